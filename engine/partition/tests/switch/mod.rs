//! A small switch behind the guests of a stepped engine, with consoles that have RMC.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_contract::engine::{AdapterAddress, Generation, GuestAdapter};
use varan_contract::network::{
    ConsoleAddress, GuestNetwork, GuestPort, GuestPorts, NetworkGuest, PortEvent, PortStatistics,
};
use varan_environment::{Environment, Monotonic};
use varan_ethernet::{EthernetAddress, Frame};
use varan_model::ids::PartitionUuid;
use varan_station::rmc::Server;
use varan_station::{InterfaceId, InterfaceSetup, Prefix, Station};

use crate::common::World;

#[derive(Clone, Debug)]
struct Plugged {
    switch: String,
    vlan: u16,
    statistics: PortStatistics,
}

#[derive(Default)]
struct State {
    ports: BTreeMap<GuestPort, Plugged>,
    listening: BTreeSet<PartitionUuid>,
    off: Vec<(PartitionUuid, Generation)>,
    sent: Vec<(GuestPort, Frame)>,
    consoles: Vec<ConsoleAddress>,
    plugs: u32,
}

/// What the guests are plugged in to.
#[derive(Default)]
pub struct Switch {
    state: Mutex<State>,
}

impl GuestNetwork for Switch {
    fn plug(&self, guest: &NetworkGuest, adapter: &GuestAdapter) {
        let mut state = self.state.lock().expect("no panic");
        state.plugs += 1;
        let (switch, vlan, ports) = match adapter {
            GuestAdapter::Network(adapter) => (adapter.virtual_switch.clone(), adapter.port_vlan_id, 1),
            GuestAdapter::Vnic(adapter) => ("sriov".to_owned(), adapter.port_vlan_id, 1),
            GuestAdapter::LogicalPort(port) => ("sriov".to_owned(), port.port_vlan_id, 1),
            GuestAdapter::Physical(slot) => (slot.location.clone(), 0, slot.ethernet_ports.len() as u8),
            GuestAdapter::Device(_) | GuestAdapter::VnicServer(_) => return,
        };
        for index in 0..ports {
            let port = GuestPort { partition: guest.partition, adapter: adapter.address(), index };
            let plugged = Plugged { switch: switch.clone(), vlan, statistics: PortStatistics::default() };
            state.ports.insert(port, plugged);
        }
    }

    fn unplug(&self, partition: PartitionUuid, adapter: AdapterAddress) {
        let mut state = self.state.lock().expect("no panic");
        state.ports.retain(|port, _| port.partition != partition || port.adapter != adapter);
    }

    fn power_off(&self, partition: PartitionUuid, generation: Generation) {
        let mut state = self.state.lock().expect("no panic");
        state.ports.retain(|port, _| port.partition != partition);
        state.listening.remove(&partition);
        state.off.push((partition, generation));
    }

    fn listen(&self, partition: PartitionUuid, listening: bool) {
        let mut state = self.state.lock().expect("no panic");
        if listening {
            state.listening.insert(partition);
        } else {
            state.listening.remove(&partition);
        }
    }

    fn transmit(&self, port: GuestPort, frames: &mut Vec<Frame>) {
        let mut state = self.state.lock().expect("no panic");
        if let Some(plugged) = state.ports.get_mut(&port) {
            plugged.statistics.transmitted_frames += frames.len() as u64;
        }
        state.sent.extend(frames.drain(..).map(|frame| (port, frame)));
    }

    fn statistics(&self, port: GuestPort) -> Option<PortStatistics> {
        self.state.lock().expect("no panic").ports.get(&port).map(|plugged| plugged.statistics)
    }

    fn consoles(&self) -> Vec<ConsoleAddress> {
        self.state.lock().expect("no panic").consoles.clone()
    }
}

/// A station outside the guests, with a console's RMC if it is one.
pub struct Outside {
    pub station: Station,
    pub server: Option<Server>,
    switch: String,
    vlan: u16,
}

/// A stepped engine with a switch.
pub struct Site {
    pub world: World,
    pub switch: Arc<Switch>,
    pub ports: Arc<dyn GuestPorts>,
    pub outside: Vec<Outside>,
    /// Guests of switches in VEPA mode do not reach each other.
    pub vepa: BTreeSet<String>,
    /// Partitions whose frames are lost.
    pub cut: BTreeSet<PartitionUuid>,
    pub lost: u64,
}

impl Site {
    pub fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let switch = Arc::new(Switch::default());
        world.engine.attach_network(switch.clone());
        let ports = world.engine.ports();
        let (outside, vepa, cut) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        Self { world, switch, ports, outside, vepa, cut, lost: 0 }
    }

    /// A station outside; `address` is an address with its prefix, or empty for one that has only a link-local address.
    pub fn add(&mut self, number: u8, address: &str, switch: &str, vlan: u16) -> usize {
        let now = self.world.environment.monotonic();
        let mut station = Station::new(u64::from(number) + 1_000);
        let address_bytes = EthernetAddress([0xD2, 0x9E, 0x0A, 0xCF, 0xA8, number]);
        let setup =
            InterfaceSetup { name: "eth0".into(), address: address_bytes, mtu: 1_500, link_local: true };
        let id = station.add_interface(setup);
        if let Ok(address) = address.parse::<Prefix>() {
            station.add_address(now, id, address).expect("an address");
        }
        station.set_carrier(now, id, true);
        self.outside.push(Outside { station, server: None, switch: switch.to_owned(), vlan });
        self.outside.len() - 1
    }

    /// A console outside; its address is told to the guests.
    pub fn add_console(&mut self, name: &str, number: u8, address: &str, switch: &str, vlan: u16) -> usize {
        let at = self.add(number, address, switch, vlan);
        let now = self.world.environment.monotonic();
        let outside = &mut self.outside[at];
        let mut server = Server::new(name, u64::from(number));
        server.set_running(now, &mut outside.station, true);
        outside.server = Some(server);
        let own = outside.station.interfaces().next().expect("one").1.addresses().to_vec();
        let address =
            own.iter().find(|own| own.address.is_ipv4()).or(own.first()).expect("an address").address;
        let mut state = self.switch.state.lock().expect("no panic");
        state.consoles.push(ConsoleAddress { name: name.to_owned(), address });
        at
    }

    pub fn address_of(&self, outside: usize) -> IpAddr {
        self.outside[outside].station.interfaces().next().expect("one").1.addresses()[0].address
    }

    pub fn plugged(&self) -> usize {
        self.switch.state.lock().expect("no panic").ports.len()
    }

    pub fn is_listening(&self, partition: PartitionUuid) -> bool {
        self.switch.state.lock().expect("no panic").listening.contains(&partition)
    }

    /// Whether a port that sent reaches another one.
    fn reaches(&self, from: (&str, u16), to: (&str, u16), guests: bool) -> bool {
        from == to && !(guests && self.vepa.contains(from.0))
    }

    fn deliver(&mut self) -> bool {
        let now = self.world.environment.monotonic();
        let sent = std::mem::take(&mut self.switch.state.lock().expect("no panic").sent);
        let mut flying: Vec<(Option<GuestPort>, usize, String, u16, Frame)> = Vec::new();
        for (port, frame) in sent {
            let plugged = self.switch.state.lock().expect("no panic").ports.get(&port).cloned();
            if let Some(plugged) = plugged.filter(|_| !self.cut.contains(&port.partition)) {
                flying.push((Some(port), usize::MAX, plugged.switch, plugged.vlan, frame));
            }
        }
        for (at, outside) in self.outside.iter_mut().enumerate() {
            let mut out = Vec::new();
            outside.station.poll(now, &mut out);
            if let Some(server) = &mut outside.server {
                server.poll(now, &mut outside.station);
                outside.station.poll(now, &mut out);
            }
            flying.extend(
                out.into_iter().map(|(_, frame)| (None, at, outside.switch.clone(), outside.vlan, frame)),
            );
        }
        let any = !flying.is_empty();
        for (guest, number, switch, vlan, frame) in flying {
            let guests: Vec<GuestPort> = {
                let state = self.switch.state.lock().expect("no panic");
                state
                    .ports
                    .iter()
                    .filter(|(port, to)| {
                        Some(**port) != guest
                            && state.listening.contains(&port.partition)
                            && !self.cut.contains(&port.partition)
                            && self.reaches((&switch, vlan), (&to.switch, to.vlan), guest.is_some())
                    })
                    .map(|(port, _)| *port)
                    .collect()
            };
            for port in guests {
                self.ports.receive(port, &mut vec![frame.clone()]);
            }
            for at in 0..self.outside.len() {
                if at != number
                    && self.reaches((&switch, vlan), (&self.outside[at].switch, self.outside[at].vlan), false)
                {
                    self.outside[at].station.receive(now, InterfaceId(0), &frame);
                }
            }
        }
        any
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.world.environment.monotonic().after(time);
        loop {
            let now = self.world.environment.monotonic();
            self.world.engine.step_until(now);
            if self.deliver() {
                continue;
            }
            let outside = self.outside.iter().flat_map(|outside| {
                let server = outside.server.as_ref().and_then(Server::next_due);
                [outside.station.next_due(), server]
            });
            let next = outside.flatten().chain(self.world.engine.next_due()).min();
            let next: Monotonic = next.map_or(end, |next| next.min(end)).max(now);
            if next >= end && now >= end {
                return;
            }
            self.world.environment.advance(next.since(now).max(Duration::from_nanos(1)));
        }
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    pub fn link(&self, port: GuestPort, physical: bool, logical: bool) {
        self.ports.port_event(port, PortEvent::Link { physical, logical });
    }

    /// Types a line at a terminal, lets time pass and gives what was shown, with line feeds only.
    pub fn line(
        &mut self,
        terminal: &dyn varan_contract::engine::GuestTerminal,
        line: &str,
        time: Duration,
    ) -> String {
        self.keys(terminal, &format!("{line}\r"), time)
    }

    pub fn keys(
        &mut self,
        terminal: &dyn varan_contract::engine::GuestTerminal,
        keys: &str,
        time: Duration,
    ) -> String {
        terminal.write(keys.as_bytes());
        self.run(time);
        // A read waits for output; the prompt is there in every case.
        let mut shown = Vec::new();
        terminal.read(&mut shown);
        String::from_utf8(shown).expect("UTF-8").replace("\r\n", "\n")
    }
}
