//! Who has an address: ARP for IPv4, neighbour discovery for IPv6.
//!
//! ```text
//!   (nothing) --packet to send--> asking --answer--> known --20 minutes, or the link went--> (nothing)
//!                                   | 3 questions, 1 s apart, without answer
//!                                   +--> (nothing); what waited is lost
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, TYPE_ARP};

use crate::packet::{ICMPV6, Packet, control_message, ipv4_at, ipv6_at, word};
use crate::station::{Timer, is_unicast};
use crate::{InterfaceId, Station, is_link_local, multicast_address, solicited_node};

/// Neighbours of one station at most.
const MOST: usize = 16_384;
/// Packets that wait for one neighbour at most; the oldest one gives way.
const WAITING: usize = 16;
/// How often is asked.
const QUESTIONS: u8 = 3;
/// Time between questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer holds (AIX: `arpt_killc`, 20 minutes).
const KEPT: Duration = Duration::from_secs(20 * 60);

/// A neighbour as a listing shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourEntry {
    /// Interface that it is reached by.
    pub interface: InterfaceId,
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address; `None` while it is being asked for.
    pub ethernet: Option<EthernetAddress>,
}

#[derive(Debug)]
enum State {
    Asking { asked: u8, waiting: Vec<Vec<u8>> },
    Known { ethernet: EthernetAddress, since: Monotonic },
}

/// The neighbours of a station.
#[derive(Debug, Default)]
pub(crate) struct NeighbourTable {
    known: BTreeMap<(InterfaceId, IpAddr), State>,
}

impl Station {
    /// The neighbours, by interface and address.
    #[must_use]
    pub fn neighbours(&self) -> Vec<NeighbourEntry> {
        let entry = |(&(interface, address), state): (&(InterfaceId, IpAddr), &State)| NeighbourEntry {
            interface,
            address,
            ethernet: match state {
                State::Known { ethernet, .. } => Some(*ethernet),
                State::Asking { .. } => None,
            },
        };
        self.neighbours.known.iter().map(entry).collect()
    }

    /// Forgets a neighbour. True if it was known.
    pub fn forget_neighbour(&mut self, interface: InterfaceId, address: IpAddr) -> bool {
        self.neighbours.known.remove(&(interface, address)).is_some()
    }

    pub(crate) fn forget_neighbours(&mut self, interface: InterfaceId) {
        self.neighbours.known.retain(|(of, _), _| *of != interface);
    }

    /// Tells all stations which addresses an interface has, so that switches and neighbours learn where they are now.
    pub fn announce(&mut self, now: Monotonic, id: InterfaceId) {
        let Some(interface) = self.interface(id).filter(|interface| interface.works()) else { return };
        for address in interface.addresses.clone() {
            self.announce_address(now, id, address.address);
        }
    }

    pub(crate) fn announce_address(&mut self, now: Monotonic, id: InterfaceId, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.send_arp(now, id, 1, address, (EthernetAddress::BROADCAST, address)),
            IpAddr::V6(address) => {
                let all = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
                self.send_advertisement(now, id, address, (all, multicast_address(all.into())), false);
            }
        }
    }

    /// Sends a packet to a neighbour, asking for its Ethernet address first when it is not known.
    pub(crate) fn send_to_neighbour(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        hop: IpAddr,
        packet: Vec<u8>,
    ) {
        let key = (id, hop);
        match self.neighbours.known.get_mut(&key) {
            Some(State::Known { ethernet, since }) if now.since(*since) < KEPT => {
                let ethernet = *ethernet;
                self.transmit_packet(now, id, ethernet, &packet);
            }
            Some(State::Asking { waiting, .. }) => {
                if waiting.len() >= WAITING {
                    waiting.remove(0);
                }
                waiting.push(packet);
            }
            _ => {
                self.make_room(key);
                self.neighbours.known.insert(key, State::Asking { asked: 0, waiting: vec![packet] });
                self.neighbour_due(now, id, hop);
            }
        }
    }

    /// Asks, or gives up.
    pub(crate) fn neighbour_due(&mut self, now: Monotonic, id: InterfaceId, address: IpAddr) {
        let Some(State::Asking { asked, .. }) = self.neighbours.known.get_mut(&(id, address)) else { return };
        if *asked >= QUESTIONS {
            if let Some(State::Asking { waiting, .. }) = self.neighbours.known.remove(&(id, address)) {
                for packet in waiting {
                    self.no_such_neighbour(now, &packet);
                }
            }
            return;
        }
        *asked += 1;
        self.timers.insert((now.after(INTERVAL), Timer::Neighbour(id, address)));
        self.ask(now, id, address);
    }

    fn ask(&mut self, now: Monotonic, id: InterfaceId, address: IpAddr) {
        let Some(source) = self.source_on(id, address) else { return };
        match (source, address) {
            (IpAddr::V4(source), IpAddr::V4(address)) => {
                self.send_arp(now, id, 1, source, (EthernetAddress::BROADCAST, address));
            }
            (IpAddr::V6(_), IpAddr::V6(address)) => {
                let Some(own) = self.interface(id).map(crate::Interface::address) else { return };
                let group = solicited_node(address);
                let mut rest = vec![0; 4];
                rest.extend_from_slice(&address.octets());
                rest.extend_from_slice(&[1, 1]);
                rest.extend_from_slice(&own.0);
                let ends = (source, group.into(), multicast_address(group.into()));
                self.send_discovery(now, id, ends, (135, &rest));
            }
            _ => {}
        }
    }

    pub(crate) fn neighbour_is_known(&self, id: InterfaceId, address: IpAddr) -> bool {
        matches!(self.neighbours.known.get(&(id, address)), Some(State::Known { .. }))
    }

    /// Makes room for one more: whoever follows it in the table gives way, so that a flood of addresses costs no search.
    fn make_room(&mut self, for_key: (InterfaceId, IpAddr)) {
        if self.neighbours.known.len() < MOST {
            return;
        }
        let next =
            self.neighbours.known.range(for_key..).next().or_else(|| self.neighbours.known.iter().next());
        if let Some(key) = next.map(|(key, _)| *key) {
            self.neighbours.known.remove(&key);
        }
    }

    /// Learns where an address is: always when it was asked for or known, else only if `new` says so.
    fn learn(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        address: IpAddr,
        ethernet: EthernetAddress,
        new: bool,
    ) {
        if ethernet.is_group() || !is_unicast(address) {
            return;
        }
        if !self.neighbours.known.contains_key(&(id, address)) {
            if !new {
                return;
            }
            self.make_room((id, address));
        }
        let before = self.neighbours.known.insert((id, address), State::Known { ethernet, since: now });
        if let Some(State::Asking { waiting, .. }) = before {
            for packet in waiting {
                self.transmit_packet(now, id, ethernet, &packet);
            }
        }
    }

    /// An ARP packet came in (RFC 826).
    pub(crate) fn receive_arp(&mut self, now: Monotonic, id: InterfaceId, bytes: &[u8]) -> Option<()> {
        if bytes.get(..6)? != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let operation = word(bytes, 6)?;
        let sender = EthernetAddress(bytes.get(8..14)?.try_into().ok()?);
        let (source, target) = (ipv4_at(bytes, 14)?, ipv4_at(bytes, 24)?);
        let interface = self.interface_mut(id)?;
        let has =
            |address: Ipv4Addr| interface.addresses.iter().any(|own| own.address == IpAddr::V4(address));
        let (own, asked, claimed) = (interface.address(), has(target), has(source));
        if claimed && sender != own {
            interface.counters.address_conflicts += 1;
            return Some(());
        }
        self.learn(now, id, source.into(), sender, asked && source != target);
        if operation == 1 && asked && sender != own {
            self.send_arp(now, id, 2, target, (sender, source));
        }
        Some(())
    }

    fn send_arp(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        kind: u8,
        source: Ipv4Addr,
        to: (EthernetAddress, Ipv4Addr),
    ) {
        let Some(own) = self.interface(id).map(crate::Interface::address) else { return };
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, kind];
        packet.extend_from_slice(&own.0);
        packet.extend_from_slice(&source.octets());
        packet.extend_from_slice(if to.0.is_broadcast() { &[0; 6] } else { &to.0.0 });
        packet.extend_from_slice(&to.1.octets());
        self.transmit(now, id, to.0, TYPE_ARP, &packet);
    }

    /// A message of neighbour discovery came in (RFC 4861). True if the packet was one.
    pub(crate) fn receive_discovery(&mut self, now: Monotonic, id: InterfaceId, packet: &Packet<'_>) -> bool {
        let kind = packet.payload.first().copied().unwrap_or(0);
        if !matches!(kind, 133..=137) {
            return false;
        }
        if packet.ttl == 255 && packet.payload.get(1) == Some(&0) {
            let _ = match kind {
                135 => self.receive_solicitation(now, id, packet),
                136 => self.receive_advertisement(now, id, packet),
                _ => None,
            };
        }
        true
    }

    fn receive_solicitation(&mut self, now: Monotonic, id: InterfaceId, packet: &Packet<'_>) -> Option<()> {
        let target = ipv6_at(packet.payload, 8)?;
        let own = self.interface(id)?.addresses.iter().any(|own| own.address == IpAddr::V6(target));
        if !own {
            return None;
        }
        let IpAddr::V6(source) = packet.source else { return None };
        match link_layer_option(packet.payload.get(24..)?, 1) {
            Some(ethernet) if !source.is_unspecified() => {
                self.learn(now, id, source.into(), ethernet, true);
                self.send_advertisement(now, id, target, (source, ethernet), true);
            }
            _ => self.announce_address(now, id, target.into()),
        }
        Some(())
    }

    fn receive_advertisement(&mut self, now: Monotonic, id: InterfaceId, packet: &Packet<'_>) -> Option<()> {
        let target: IpAddr = ipv6_at(packet.payload, 8)?.into();
        let ethernet = link_layer_option(packet.payload.get(24..)?, 2)?;
        let interface = self.interface_mut(id)?;
        if interface.addresses.iter().any(|own| own.address == target) {
            if ethernet != interface.address() {
                interface.counters.address_conflicts += 1;
            }
            return None;
        }
        self.learn(now, id, target, ethernet, false);
        Some(())
    }

    fn send_advertisement(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        address: Ipv6Addr,
        to: (Ipv6Addr, EthernetAddress),
        solicited: bool,
    ) {
        let Some(own) = self.interface(id).map(crate::Interface::address) else { return };
        let mut rest = vec![if solicited { 0x60 } else { 0x20 }, 0, 0, 0];
        rest.extend_from_slice(&address.octets());
        rest.extend_from_slice(&[2, 1]);
        rest.extend_from_slice(&own.0);
        self.send_discovery(now, id, (address.into(), to.0.into(), to.1), (136, &rest));
    }

    fn send_discovery(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        (source, destination, ethernet): (IpAddr, IpAddr, EthernetAddress),
        (kind, rest): (u8, &[u8]),
    ) {
        let message = control_message(source, destination, kind, 0, rest);
        let packet =
            Packet { source, destination, protocol: ICMPV6, ttl: 255, fragment: None, payload: &message };
        let mut bytes = Vec::with_capacity(message.len() + 40);
        crate::packet::write(&packet, 0, &mut bytes);
        self.transmit_packet(now, id, ethernet, &bytes);
    }

    /// The address that an interface uses towards another one.
    pub(crate) fn source_on(&self, id: InterfaceId, towards: IpAddr) -> Option<IpAddr> {
        let addresses = &self.interface(id)?.addresses;
        let kind = |own: IpAddr| own.is_ipv4() == towards.is_ipv4();
        let scope = |own: IpAddr| is_link_local(own) == is_link_local(towards);
        addresses
            .iter()
            .find(|own| own.contains(towards))
            .or_else(|| addresses.iter().find(|own| kind(own.address) && scope(own.address)))
            .or_else(|| addresses.iter().find(|own| kind(own.address)))
            .map(|own| own.address)
    }
}

/// The Ethernet address in an option of neighbour discovery.
fn link_layer_option(mut options: &[u8], wanted: u8) -> Option<EthernetAddress> {
    loop {
        let (kind, length) = (*options.first()?, usize::from(*options.get(1)?) * 8);
        if length == 0 {
            return None;
        }
        if kind == wanted {
            return Some(EthernetAddress(options.get(2..8)?.try_into().ok()?));
        }
        options = options.get(length..)?;
    }
}
