//! Ports of a switch that carry frames as one: link aggregations.
//!
//! An administrator puts ports together ([`OutsideFabric::set_channel`]), or those at the other end do by LACP: ports in step
//! with the same partner and key, and with the same VLANs, are one. A switch answers LACP and never begins, so that whoever
//! does not speak it is a station of its own.

use std::collections::BTreeMap;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};

use super::build::own_address;
use super::{End, Index, OutsideFabric};
use crate::place::Outbox;
use crate::server::lacp::{Lacpdu, Link};

/// The aggregations of all switches.
#[derive(Default)]
pub(super) struct Channels {
    /// Ports by the first port of their channel; each list has two or more.
    members: BTreeMap<Index, Vec<Index>>,
    leads: BTreeMap<Index, Index>,
    /// What an administrator put together.
    configured: BTreeMap<Index, Vec<Index>>,
    /// Ports whose other end speaks LACP.
    links: BTreeMap<Index, Link>,
}

impl Channels {
    /// When a link has something to say.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.links.values().filter_map(Link::next_due).min()
    }

    /// The port that stands for a port: the first of its channel.
    pub(super) fn lead(&self, port: Index) -> Index {
        if self.leads.is_empty() { port } else { self.leads.get(&port).copied().unwrap_or(port) }
    }

    /// Whether a port stands for a channel.
    pub(super) fn is_lead(&self, port: Index) -> bool {
        !self.members.is_empty() && self.members.contains_key(&port)
    }

    /// The port of a channel over which a frame goes: frames between two stations stay in order.
    pub(super) fn choose(&self, lead: Index, frame: &Frame, works: impl Fn(Index) -> bool) -> Index {
        let Some(members) = self.members.get(&lead).filter(|_| !self.members.is_empty()) else {
            return lead;
        };
        let addresses = frame.bytes().get(..12).unwrap_or_default();
        let hash = addresses.iter().fold(0usize, |hash, byte| hash.wrapping_mul(31) ^ usize::from(*byte));
        let working = || members.iter().copied().filter(|port| works(*port));
        let count = working().count().max(1);
        working().nth(hash % count).unwrap_or(lead)
    }
}

impl OutsideFabric {
    /// Makes ports of a switch one aggregation, without any negotiation, as its administrator does; fewer than two ports end
    /// those that they are in. False where there is no such port.
    pub fn set_channel(&mut self, switch: &str, ports: &[&str]) -> bool {
        let found: Option<Vec<Index>> = ports.iter().map(|port| self.find_port(switch, port)).collect();
        let Some(ports) = found else { return false };
        let configured = &mut self.channels.configured;
        configured.retain(|_, known| !known.iter().any(|port| ports.contains(port)));
        if let ([first, _, ..], ports) = (&ports[..], &ports) {
            configured.insert(*first, ports.clone());
        }
        self.group_channels();
        true
    }

    /// A frame to a reserved address is for the switch itself.
    pub(super) fn take_reserved(&mut self, now: Monotonic, index: Index, frame: &Frame, out: &mut Outbox) {
        let Some(packet) = Lacpdu::read(frame) else { return };
        let Some(port) = self.ports.get(index as usize) else { return };
        let system = own_address(0, port.switch);
        let link = self.channels.links.entry(index).or_insert_with(|| {
            let number = u16::try_from(index + 1).unwrap_or(u16::MAX);
            let mut link = Link::new(system, number);
            link.carrier(now, true);
            link
        });
        link.receive(now, &packet);
        self.tick_channels(now, out);
        self.reschedule(now);
    }

    /// A port without a link is in no negotiated aggregation.
    pub(super) fn leave_channel(&mut self, index: Index) {
        if self.channels.links.remove(&index).is_some() {
            self.group_channels();
        }
    }

    /// Sends what is due to those who speak LACP, and forgets those who do not any more.
    pub(super) fn tick_channels(&mut self, now: Monotonic, out: &mut Outbox) {
        if self.channels.links.is_empty() {
            return;
        }
        let mut packets = Vec::new();
        for (index, link) in &mut self.channels.links {
            packets.extend(link.tick(now).map(|packet| (*index, packet)));
        }
        for (index, packet) in packets {
            let Some(port) = self.ports.get_mut(index as usize) else { continue };
            if let End::Outside(number) = port.end {
                let mut frame = out.pool.take();
                packet.write(own_address(0, port.switch), &mut frame);
                port.count_out(&frame);
                out.send(number, frame);
            }
        }
        self.channels.links.retain(|_, link| link.partner().is_some());
        self.group_channels();
    }

    /// Puts ports together: those in step with the same partner, and what an administrator says.
    fn group_channels(&mut self) {
        let mut groups: BTreeMap<(usize, EthernetAddress, u16), Vec<Index>> = BTreeMap::new();
        for (index, link) in self.channels.links.iter().filter(|(_, link)| link.in_step()) {
            let (Some((system, key)), Some(port)) = (link.partner(), self.ports.get(*index as usize)) else {
                continue;
            };
            let group = groups.entry((port.switch, system, key)).or_default();
            if group.first().is_none_or(|first| self.ports[*first as usize].rule == port.rule) {
                group.push(*index);
            }
        }
        let mut members = self.channels.configured.clone();
        let negotiated = groups.into_values().filter(|ports| ports.len() > 1);
        let configured: Vec<Index> = members.values().flatten().copied().collect();
        members.extend(
            negotiated
                .filter(|ports| !ports.iter().any(|port| configured.contains(port)))
                .map(|ports| (ports[0], ports)),
        );
        self.take_channels(members);
    }

    /// Learned addresses follow their ports.
    fn take_channels(&mut self, members: BTreeMap<Index, Vec<Index>>) {
        if members == self.channels.members {
            return;
        }
        let pairs = members.iter().flat_map(|(lead, ports)| ports.iter().map(|port| (*port, *lead)));
        self.channels.leads = pairs.collect();
        let mut touched: Vec<Index> = members.values().flatten().copied().collect();
        touched.extend(self.channels.members.values().flatten());
        self.channels.members = members;
        for switch in &mut self.switches {
            switch.table.remove_learned(|port, _| touched.contains(&port));
        }
    }
}
