//! Hosts and consoles: IP stations at switch ports.

use std::net::{IpAddr, Ipv4Addr};

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, VlanTag};
use varan_model::site::CableEnd;
use varan_model::site::topology;
use varan_station::{InterfaceId, InterfaceSetup, Prefix, Route, Station, rmc};

use super::{Hop, Index, NOWHERE, OutsideEvent, OutsideFabric};
use crate::place::Outbox;

/// Largest packet of a host.
const MTU: u16 = 1_500;

/// A host.
pub(super) struct Host {
    pub(super) port: Index,
    name: String,
    station: Station,
    /// VLAN of each interface.
    interfaces: Vec<(Option<u16>, InterfaceId)>,
    /// A console's daemons.
    console: Option<rmc::Server>,
    pub(super) on: bool,
}

impl Host {
    /// A host that is on. Its way to other networks is the first router that has an address in one of its own.
    pub(super) fn new<'a>(
        host: &topology::Host,
        address: EthernetAddress,
        seed: u64,
        routers: impl Iterator<Item = &'a topology::Host>,
    ) -> Self {
        let mut station = Station::new(seed);
        let mut interfaces: Vec<(Option<u16>, InterfaceId)> = Vec::new();
        let begin = Monotonic::default();
        for (vlan, own, length) in &host.addresses {
            let known = interfaces.iter().find(|(known, _)| known == vlan).map(|(_, id)| *id);
            let id = known.unwrap_or_else(|| {
                let name = vlan.map_or_else(|| "eth0".to_owned(), |vlan| format!("eth0.{vlan}"));
                let id = station.add_interface(InterfaceSetup { name, address, mtu: MTU, link_local: true });
                interfaces.push((*vlan, id));
                id
            });
            // An address that a host has twice is one.
            let _ = station.add_address(begin, id, Prefix::new(*own, *length));
        }
        station.set_forwarding(host.router);
        if !host.router
            && let Some(gateway) = routers
                .flat_map(|router| &router.addresses)
                .find_map(|router| host.addresses.iter().find_map(|own| shared_network(own, router)))
        {
            let gateway: IpAddr = gateway.into();
            station.add_route(Route {
                destination: Prefix::everything(),
                gateway: Some(gateway),
                interface: None,
            });
        }
        let (name, console) = match &host.end {
            CableEnd::Console(name) => {
                let [_, _, _, kind, high, low] = address.0;
                let node = u64::from_be_bytes([0, 0, 0, 0, 0, kind, high, low]);
                (name.clone(), Some(rmc::Server::new(name, node)))
            }
            CableEnd::OutsideHost(name) => (name.clone(), None),
            _ => (String::new(), None),
        };
        Self { port: NOWHERE, name, station, interfaces, console, on: true }
    }

    pub(super) fn next_due(&self) -> Option<Monotonic> {
        if !self.on {
            return None;
        }
        let console = self.console.as_ref().and_then(rmc::Server::next_due);
        self.station.next_due().into_iter().chain(console).min()
    }
}

/// The router's address, if it is in the host's network. Where one is in a VLAN by its tags and the other by its switch port,
/// only the network tells.
fn shared_network(
    own: &(Option<u16>, Ipv4Addr, u8),
    router: &(Option<u16>, Ipv4Addr, u8),
) -> Option<Ipv4Addr> {
    let network = Prefix::new(own.1, own.2);
    (own.1 != router.1 && network.contains(router.1.into())).then_some(router.1)
}

impl OutsideFabric {
    /// A frame reaches a host.
    pub(super) fn reach_host(&mut self, now: Monotonic, host: usize, mut frame: Frame, out: &mut Outbox) {
        let Some(known) = self.hosts.get_mut(host).filter(|host| host.on) else {
            return out.drop_frame(frame);
        };
        let vlan = frame.tag.map(|tag| tag.id).filter(|id| *id != 0);
        let interface = known.interfaces.iter().find(|(of, _)| *of == vlan).map(|(_, id)| *id);
        if let Some(id) = interface {
            frame.tag = None;
            let station = &mut known.station;
            if frame.offload == varan_ethernet::Offload::default() {
                station.receive(now, id, &frame);
                out.drop_frame(frame);
            } else {
                frame.complete(&mut out.pool, |whole| station.receive(now, id, &whole));
            }
            self.settle(now, host, out);
        } else {
            out.drop_frame(frame);
        }
    }

    /// Has a host do what is due, and sends what it has to send.
    fn settle(&mut self, now: Monotonic, host: usize, out: &mut Outbox) {
        let Some(known) = self.hosts.get_mut(host).filter(|host| host.on) else { return };
        let mut sent = std::mem::take(&mut self.sent);
        known.station.poll(now, &mut sent);
        if let Some(console) = &mut known.console {
            console.poll(now, &mut known.station);
            known.station.poll(now, &mut sent);
            for event in console.take_events() {
                self.events.push(OutsideEvent::Session { console: known.name.clone(), event });
            }
        }
        let port = known.port;
        for (id, mut frame) in sent.drain(..) {
            let interfaces = &self.hosts[host].interfaces;
            let vlan = interfaces.iter().find(|(_, known)| *known == id).and_then(|(vlan, _)| *vlan);
            frame.tag = vlan.map(VlanTag::of);
            self.hop(Hop::Port(port, frame), out);
        }
        self.sent = sent;
    }

    pub(super) fn tick_hosts(&mut self, now: Monotonic, out: &mut Outbox) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].next_due().is_some_and(|due| due <= now) {
                self.settle(now, host, out);
            }
        }
    }

    /// Tells a host whether its cable has a carrier.
    pub(super) fn tell_host(&mut self, now: Monotonic, host: usize, up: bool) {
        let Some(host) = self.hosts.get_mut(host) else { return };
        for (_, id) in &host.interfaces {
            host.station.set_carrier(now, *id, up);
        }
    }

    /// Has something done with a host's station; what it sends goes out. `None` for a host that is not here.
    pub fn with_host<R>(
        &mut self,
        now: Monotonic,
        name: &str,
        out: &mut Outbox,
        act: impl FnOnce(&mut Station) -> R,
    ) -> Option<R> {
        let host = self.host_names.get(name).copied()?;
        let answer = act(&mut self.hosts.get_mut(host)?.station);
        self.settle(now, host, out);
        self.run(now, out);
        self.reschedule(now);
        Some(answer)
    }

    /// Turns a host on or off. Off, it loses its link and its sessions. False for a host that is not here.
    pub fn set_host(&mut self, now: Monotonic, name: &str, on: bool, out: &mut Outbox) -> bool {
        let Some(index) = self.host_names.get(name).copied() else { return false };
        let Some(host) = self.hosts.get_mut(index) else { return false };
        if host.on != on {
            if let Some(console) = host.console.as_mut().filter(|_| !on) {
                // As when it loses its power: nobody hears of it.
                console.set_running(now, &mut host.station, false);
                host.station.poll(now, &mut Vec::new());
                for event in console.take_events() {
                    self.events.push(OutsideEvent::Session { console: host.name.clone(), event });
                }
            }
            host.on = on;
            let port = host.port;
            self.update_link(now, port, out);
            self.run(now, out);
            self.reschedule(now);
        }
        true
    }

    /// Starts or stops the daemons with which a console holds sessions with partitions. False for a console that is not
    /// here.
    pub fn set_console_running(
        &mut self,
        now: Monotonic,
        name: &str,
        running: bool,
        out: &mut Outbox,
    ) -> bool {
        let Some(index) = self.host_names.get(name).copied() else { return false };
        let Some(host) = self.hosts.get_mut(index) else { return false };
        let Some(console) = &mut host.console else { return false };
        console.set_running(now, &mut host.station, running);
        self.settle(now, index, out);
        self.run(now, out);
        self.reschedule(now);
        true
    }

    /// Partitions with which a console has a session.
    #[must_use]
    pub fn sessions(&self, console: &str) -> Vec<rmc::PartitionSession> {
        let host = self.host_names.get(console).and_then(|index| self.hosts.get(*index));
        let server = host.and_then(|host| host.console.as_ref());
        server.map_or_else(Vec::new, |server| server.sessions().cloned().collect())
    }
}
