//! Ports of a switch that carry frames as one: link aggregations.

use std::collections::BTreeMap;

use varan_ethernet::Frame;

use super::{Index, OutsideFabric};

/// The aggregations of all switches.
#[derive(Default)]
pub(super) struct Channels {
    /// Ports by the first port of their channel; each list has two or more.
    members: BTreeMap<Index, Vec<Index>>,
    leads: BTreeMap<Index, Index>,
}

impl Channels {
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
        let mut members = self.channels.members.clone();
        members.retain(|_, known| !known.iter().any(|port| ports.contains(port)));
        if let ([first, _, ..], ports) = (&ports[..], &ports) {
            members.insert(*first, ports.clone());
        }
        self.take_channels(members);
        true
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
