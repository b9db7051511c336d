//! The outside as a site's file describes it.

use std::collections::HashMap;

use varan_contract::network::PortStatistics;
use varan_ethernet::EthernetAddress;
use varan_model::site::CableEnd;
use varan_model::site::topology::Topology;

use super::channel::Channels;
use super::hosts::Host;
use super::{End, Index, NOWHERE, OutsideFabric, Switch, SwitchPort};
use crate::place::PortNumber;
use crate::table::AddressTable;
use crate::vlan::{VlanRule, VlanSet};

/// An address that stands for something outside: locally administered, told apart by kind and number.
pub(super) fn own_address(kind: u8, number: usize) -> EthernetAddress {
    let [.., high, low] = number.to_be_bytes();
    EthernetAddress([0x02, 0x56, 0x48, kind, high, low])
}

impl OutsideFabric {
    /// Builds switches, cables and hosts. `number` says through which port of this place a cable leads elsewhere: to an
    /// adapter, a TAP device, a socket. Hosts and consoles are here where it says nothing of them; any other cable without a
    /// number leads nowhere. `seed` is random.
    #[must_use]
    pub fn new(
        topology: &Topology,
        seed: u64,
        mut number: impl FnMut(&CableEnd) -> Option<PortNumber>,
    ) -> Self {
        let mut fabric = Self {
            switches: Vec::new(),
            ports: Vec::new(),
            by_number: Vec::new(),
            hosts: Vec::new(),
            host_names: HashMap::new(),
            ends: Vec::new(),
            channels: Channels::default(),
            spanning_tree: true,
            under_way: std::collections::VecDeque::new(),
            lost_under_way: 0,
            events: Vec::new(),
            next_sweep: None,
            due: None,
            sent: Vec::new(),
        };
        for (position, host) in topology.hosts.iter().enumerate() {
            let name = match &host.end {
                CableEnd::OutsideHost(name) | CableEnd::Console(name) => name,
                _ => continue,
            };
            if number(&host.end).is_none() {
                let gateways = topology.hosts.iter().filter(|other| other.router && other.end != host.end);
                let address = own_address(1, position);
                let index = fabric.hosts.len();
                fabric.hosts.push(Host::new(host, address, seed ^ index as u64, gateways));
                fabric.host_names.insert(name.clone(), index);
            }
        }
        for switch in &topology.switches {
            fabric.add_switch(switch, seed, &mut number);
        }
        fabric.join_switches();
        fabric.settle_links();
        fabric
    }

    fn add_switch(
        &mut self,
        switch: &varan_model::site::Switch,
        seed: u64,
        number: &mut impl FnMut(&CableEnd) -> Option<PortNumber>,
    ) {
        let position = self.switches.len();
        let mut ports = Vec::new();
        for port in &switch.ports {
            let index = Index::try_from(self.ports.len()).unwrap_or(NOWHERE);
            let end = match &port.peer {
                None => End::Nothing,
                Some(end) => {
                    self.ends.push((end.clone(), index));
                    self.end_of(end, index, number)
                }
            };
            ports.push(index);
            self.ports.push(SwitchPort {
                switch: position,
                name: port.name.as_str().into(),
                rule: VlanRule { port_vlan: port.native_vlan, tagged: VlanSet::of(&port.tagged_vlans) },
                blocked: port.blocked_ports.as_slice().into(),
                end,
                plugged: true,
                enabled: true,
                far: false,
                up: false,
                blocking: false,
                counters: PortStatistics::default(),
            });
        }
        self.switches.push(Switch {
            name: switch.name.as_str().into(),
            ports,
            table: AddressTable::new(seed),
        });
    }

    fn end_of(
        &mut self,
        end: &CableEnd,
        index: Index,
        number: &mut impl FnMut(&CableEnd) -> Option<PortNumber>,
    ) -> End {
        if let Some(PortNumber(number)) = number(end) {
            let at = number as usize;
            if self.by_number.len() <= at {
                self.by_number.resize(at + 1, NOWHERE);
            }
            self.by_number[at] = index;
            return End::Outside(PortNumber(number));
        }
        match end {
            CableEnd::OutsideHost(name) | CableEnd::Console(name) => {
                let host = self.host_names.get(name).copied().and_then(|host| {
                    self.hosts.get_mut(host)?.port = index;
                    Some(End::Host(host))
                });
                host.unwrap_or(End::Nothing)
            }
            _ => End::Nothing,
        }
    }

    /// A cable between two switches stands at one of its ends.
    fn join_switches(&mut self) {
        for (end, index) in self.ends.clone() {
            let CableEnd::SwitchPort { switch, port } = end else { continue };
            if let Some(other) = self.find_port(&switch, &port)
                && other != index
                && self.ports[other as usize].end == End::Nothing
            {
                self.ports[index as usize].end = End::Port(other);
                self.ports[other as usize].end = End::Port(index);
            }
        }
    }

    /// Switches break circles among themselves with a spanning tree, or do not.
    pub fn set_spanning_tree(&mut self, on: bool) {
        self.spanning_tree = on;
        self.settle_links();
    }
}
