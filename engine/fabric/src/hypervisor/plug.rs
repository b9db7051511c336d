//! Ports come and go.

use varan_contract::engine::{
    GuestEthernetPort, GuestLogicalPort, GuestNetworkAdapter, GuestVnicAdapter, GuestVnicServer,
};
use varan_contract::network::{PhysicalPortSetup, VirtualSwitchMode};
use varan_environment::Monotonic;
use varan_ethernet::HEADER_BYTES;
use varan_model::ids::{PartitionId, PartitionUuid, VirtualSlot};

use super::port::{Allowed, Index, Kind, NOWHERE, Port, PortEnd, PortOwner, Trunk, ethernet};
use super::switch::{Role, Switch};
use super::virtual_nic::ServerLife;
use super::{HypervisorFabric, Physical};
use crate::control::DISCOVERY_VLAN;
use crate::place::{Outbox, PortNumber};
use crate::vlan::{VlanRule, VlanSet};

/// Payload that a physical port takes while it is not shared.
const JUMBO_PAYLOAD: usize = varan_ethernet::JUMBO_FRAME_BYTES - HEADER_BYTES;

impl HypervisorFabric {
    /// A virtual switch is there, in this mode; adapters that wait for it are in it.
    pub fn put_switch(&mut self, name: &str, mode: VirtualSwitchMode, out: &mut Outbox) {
        let bridge = mode == VirtualSwitchMode::Veb;
        if let Some(index) = self.switch_names.get(name).copied() {
            if let Some(switch) = self.switch_mut(index) {
                switch.bridge = bridge;
            }
            return;
        }
        let index = self.add_switch(Switch::new(bridge, false, self.seed));
        self.switch_names.insert(name.into(), index);
        let waiting = |port: &Port| matches!(port.kind, Kind::Ethernet(_)) && *port.place == *name;
        for index in self.indices(waiting) {
            self.join(index, out);
        }
    }

    /// A virtual switch is not there any more; its adapters lose their link.
    pub fn remove_switch(&mut self, name: &str, out: &mut Outbox) {
        if let Some(index) = self.switch_names.remove(name) {
            self.empty_switch(index, out);
        }
    }

    fn add_switch(&mut self, switch: Switch) -> Index {
        let free = self.switches.iter().position(Option::is_none);
        let at = free.unwrap_or(self.switches.len());
        if at == self.switches.len() {
            self.switches.push(None);
        }
        self.switches[at] = Some(switch);
        Index::try_from(at).unwrap_or(NOWHERE)
    }

    fn empty_switch(&mut self, switch: Index, out: &mut Outbox) {
        for index in self.indices(|port| port.switch == switch) {
            self.leave(index, out);
            self.tell_link(index, out);
        }
        if let Some(switch) = self.switches.get_mut(switch as usize) {
            *switch = None;
        }
    }

    /// Ports of which something holds, in the order of their places in memory.
    pub(super) fn indices(&self, mut holds: impl FnMut(&Port) -> bool) -> Vec<Index> {
        self.ports.each().filter(|(_, port)| holds(port)).map(|(index, _)| index).collect()
    }

    /// Plugs a virtual Ethernet adapter in. One with the same number is replaced: its counters go on, and a trunk is what it
    /// was.
    pub fn plug_ethernet(
        &mut self,
        now: Monotonic,
        number: PortNumber,
        owner: PortOwner,
        adapter: &GuestNetworkAdapter,
        out: &mut Outbox,
    ) {
        let former = self.take_out(now, number, out);
        let said = former.as_ref().and_then(Port::trunk);
        let trunk = adapter.trunk_priority.map(|priority| Trunk {
            priority,
            said: said.and_then(|trunk| trunk.said),
            uplink: said.and_then(|trunk| trunk.uplink),
        });
        let mut port = Port::new(Some(number), Some(owner), Kind::Ethernet(trunk));
        let tagged = if adapter.ieee { VlanSet::of(&adapter.tagged_vlan_ids) } else { VlanSet::None };
        port.rule = VlanRule { port_vlan: adapter.port_vlan_id & 0xFFF, tagged };
        port.address = ethernet(adapter.mac_address);
        port.allowed = Allowed::of(&adapter.allowed_addresses);
        port.priority = adapter.priority.map(|priority| priority & 7);
        port.place = adapter.virtual_switch.as_str().into();
        let lost = former.as_ref().map(|former| self.vlans_left(former, Some(&port)));
        let index = self.put_in(port, former);
        self.join(index, out);
        if let Some((switch, vlans)) = lost {
            self.announce_gone(&switch, &vlans, out);
        }
    }

    /// Plugs an SR-IOV logical port in that a guest has for itself.
    pub fn plug_logical_port(
        &mut self,
        now: Monotonic,
        number: PortNumber,
        owner: PortOwner,
        logical: &GuestLogicalPort,
        out: &mut Outbox,
    ) {
        let former = self.take_out(now, number, out);
        let mut port = Port::new(Some(number), Some(owner), Kind::Control);
        Self::set_up_logical(&mut port, logical, false);
        let index = self.put_in(port, former);
        self.logical.insert(logical.id, index);
        self.join(index, out);
    }

    fn set_up_logical(port: &mut Port, logical: &GuestLogicalPort, server: bool) {
        port.kind = Kind::Logical {
            id: logical.id,
            promiscuous: logical.promiscuous && !server,
            server,
            client: NOWHERE,
        };
        port.rule = VlanRule {
            port_vlan: logical.port_vlan_id & 0xFFF,
            tagged: VlanSet::allowed(&logical.allowed_vlans),
        };
        port.address = ethernet(logical.mac_address);
        // What a promiscuous port gets for others it may also send for others: it is there for a bridge.
        port.allowed =
            if logical.promiscuous { Allowed::All } else { Allowed::of(&logical.allowed_addresses) };
        port.untagged_priority = logical.port_vlan_priority & 7;
        port.place = logical.physical_port.as_str().into();
    }

    /// Plugs a virtual NIC in.
    pub fn plug_vnic(
        &mut self,
        now: Monotonic,
        number: PortNumber,
        owner: PortOwner,
        adapter: &GuestVnicAdapter,
        out: &mut Outbox,
    ) {
        let key = (owner.partition, adapter.slot);
        let same = self.ports.find(number).filter(|index| self.vnic_keys.get(index) == Some(&key));
        let index = if let Some(index) = same {
            index
        } else {
            self.unplug(now, number, out);
            let kind = Kind::Vnic { active: NOWHERE, disabled: adapter.disabled, link_up: false };
            self.put_in(Port::new(Some(number), Some(owner), kind), None)
        };
        self.set_up_vnic(now, key, index, adapter, out);
        self.reschedule();
    }

    /// Plugs the server's end of a virtual NIC's backing device in, with its logical port.
    pub fn plug_vnic_server(
        &mut self,
        now: Monotonic,
        owner: PortOwner,
        server: &GuestVnicServer,
        out: &mut Outbox,
    ) {
        let mut port = Port::new(None, Some(owner), Kind::Control);
        Self::set_up_logical(&mut port, &server.logical_port, true);
        self.server_priorities.insert((owner.id, server.slot), server.priority);
        let former = self.vnic_servers.get(&(owner.id, server.slot)).copied();
        if let Some(index) = former {
            if let Some(known) = self.ports.get(index)
                && matches!(known.kind, Kind::Logical { id, .. } if id == server.logical_port.id)
                && known.place == port.place
            {
                // What is set of it belongs to its virtual NIC.
                return;
            }
            self.unplug_vnic_server(now, owner.id, server.slot, out);
            self.server_priorities.insert((owner.id, server.slot), server.priority);
        }
        let index = self.ports.add(port);
        self.vnic_servers.insert((owner.id, server.slot), index);
        self.logical.insert(server.logical_port.id, index);
        self.join(index, out);
        self.bind_vnics(now, out);
        self.reschedule();
    }

    /// Takes the server's end of a backing device out.
    pub fn unplug_vnic_server(
        &mut self,
        now: Monotonic,
        server: PartitionId,
        slot: VirtualSlot,
        out: &mut Outbox,
    ) {
        if let Some(index) = self.vnic_servers.remove(&(server, slot)) {
            self.server_priorities.remove(&(server, slot));
            if let Some(Kind::Logical { id, client, .. }) = self.ports.get(index).map(|port| port.kind) {
                if self.logical.get(&id) == Some(&index) {
                    self.logical.remove(&id);
                }
                self.set_active(client, index, NOWHERE);
            }
            self.bind_vnics(now, out);
            self.leave(index, out);
            self.ports.remove(index);
            self.reschedule();
        }
    }

    /// Plugs a port of a physical adapter in that a guest has for itself.
    pub fn plug_physical(
        &mut self,
        now: Monotonic,
        number: PortNumber,
        owner: PortOwner,
        physical: &GuestEthernetPort,
        out: &mut Outbox,
    ) {
        let former = self.take_out(now, number, out);
        let cable = self.physical_mut(&physical.location).cable;
        let mut port = Port::new(Some(number), Some(owner), Kind::Dedicated { cable });
        port.address = ethernet(physical.mac_address);
        port.most_payload = JUMBO_PAYLOAD;
        port.place = physical.location.as_str().into();
        let index = self.put_in(port, former);
        self.physical_mut(&physical.location).owner = Some(index);
        self.tell_link(index, out);
    }

    fn physical_mut(&mut self, location: &str) -> &mut Physical {
        self.physical.entry(location.into()).or_insert(Physical {
            cable: NOWHERE,
            switch: None,
            owner: None,
            payload: JUMBO_PAYLOAD,
        })
    }

    /// A physical port has a cable: frames between it and what is outside go through this port.
    pub fn put_physical_port(&mut self, now: Monotonic, cable: PortNumber, location: &str, out: &mut Outbox) {
        let former = self.take_out(now, cable, out);
        let mut port = Port::new(Some(cable), None, Kind::Cable);
        port.rule = VlanRule { port_vlan: 0, tagged: VlanSet::All };
        port.place = location.into();
        let index = self.put_in(port, former);
        let physical = self.physical_mut(location);
        physical.cable = index;
        let owner = physical.owner;
        if let Some(owner) = owner.and_then(|owner| self.ports.get_mut(owner)) {
            owner.kind = Kind::Dedicated { cable: index };
        }
        out.carriers.push((cable, true));
        self.join(index, out);
        self.physical_link_changed(now, location, out);
    }

    /// A physical port is shared: its logical ports meet in its embedded switch. One that is shared already is changed.
    pub fn put_shared_port(&mut self, now: Monotonic, setup: &PhysicalPortSetup, out: &mut Outbox) {
        let location = setup.location.as_str();
        let physical = self.physical_mut(location);
        physical.payload = usize::from(setup.maximum_payload);
        let known = physical.switch;
        if let Some(switch) = known.and_then(|index| self.switch_mut(index)) {
            switch.bridge = setup.bridge;
        } else {
            let index = self.add_switch(Switch::new(setup.bridge, true, self.seed));
            self.physical_mut(location).switch = Some(index);
        }
        let inside =
            |port: &Port| *port.place == *location && matches!(port.kind, Kind::Logical { .. } | Kind::Cable);
        for index in self.indices(inside) {
            if known.is_none() {
                self.join(index, out);
            } else if let Some(port) = self.ports.get_mut(index) {
                port.most_payload = usize::from(setup.maximum_payload);
            }
        }
        self.physical_link_changed(now, location, out);
    }

    /// A physical port is not shared any more; its logical ports lose their link.
    pub fn remove_shared_port(&mut self, now: Monotonic, location: &str, out: &mut Outbox) {
        let Some(physical) = self.physical.get_mut(location) else { return };
        let Some(switch) = physical.switch.take() else { return };
        physical.payload = JUMBO_PAYLOAD;
        let cable = physical.cable;
        self.empty_switch(switch, out);
        if let Some(port) = self.ports.get_mut(cable) {
            port.most_payload = JUMBO_PAYLOAD;
        }
        self.physical_link_changed(now, location, out);
    }

    /// The port over which a Virtual I/O Server is asked for signs of life. It is on while that port has a carrier.
    pub fn plug_control(&mut self, now: Monotonic, number: PortNumber, owner: PortOwner, out: &mut Outbox) {
        let former = self.take_out(now, number, out);
        let index = self.put_in(Port::new(Some(number), Some(owner), Kind::Control), former);
        let up = self.ports.get(index).is_some_and(|port| port.usable);
        self.servers.insert(owner.id, ServerLife::new(now, index, up));
        self.tell_link(index, out);
        self.update_health(now, out);
        self.reschedule();
    }

    /// Takes a port out.
    pub fn unplug(&mut self, now: Monotonic, number: PortNumber, out: &mut Outbox) {
        if let Some(port) = self.take_out(now, number, out) {
            let (switch, vlans) = self.vlans_left(&port, None);
            self.announce_gone(&switch, &vlans, out);
            if port.is_server_end() || matches!(port.kind, Kind::Cable) {
                out.carriers.push((number, false));
            }
        }
    }

    /// A partition is off: all its ports are out, and so are the backing devices that it serves.
    pub fn power_off(&mut self, now: Monotonic, partition: PartitionUuid, out: &mut Outbox) {
        let of = |owner: Option<PortOwner>| owner.is_some_and(|owner| owner.partition == partition);
        self.listening.remove(&partition);
        let mut numbers: Vec<PortNumber> = self
            .ports
            .each()
            .filter(|(_, port)| of(port.owner))
            .filter_map(|(_, port)| port.number)
            .collect();
        numbers.sort_unstable();
        let served = |index: &Index| of(self.ports.get(*index).and_then(|port| port.owner));
        let mut served: Vec<(PartitionId, VirtualSlot)> =
            self.vnic_servers.iter().filter(|(_, index)| served(index)).map(|(key, _)| *key).collect();
        served.sort_unstable();
        for number in numbers {
            self.unplug(now, number, out);
        }
        for (server, slot) in served {
            self.unplug_vnic_server(now, server, slot, out);
        }
    }

    /// Puts a port in its place; what goes on from a former one of its number is kept.
    fn put_in(&mut self, mut port: Port, former: Option<Port>) -> Index {
        if let Some(owner) = port.owner {
            port.usable = owner.end == PortEnd::Guest && self.listening.contains(&owner.partition);
        }
        if let Some(former) = former {
            if former.owner == port.owner {
                port.counters = former.counters;
                port.usable = former.usable;
                port.told = former.told;
            }
            port.capture = former.capture;
        }
        self.ports.add(port)
    }

    /// Takes a port out without a word to anybody.
    fn take_out(&mut self, now: Monotonic, number: PortNumber, out: &mut Outbox) -> Option<Port> {
        let index = self.ports.find(number)?;
        let kind = self.ports.get(index)?.kind;
        let location = self.ports.get(index)?.place.clone();
        match kind {
            Kind::Vnic { .. } => self.remove_vnic(index, out),
            Kind::Logical { id, .. } => {
                // Another port may have the number by now.
                if self.logical.get(&id) == Some(&index) {
                    self.logical.remove(&id);
                }
            }
            Kind::Dedicated { .. } => {
                let physical = self.physical_mut(&location);
                physical.owner = physical.owner.filter(|owner| *owner != index);
            }
            Kind::Cable => self.forget_cable(&location, index),
            Kind::Control => self.servers.retain(|_, life| life.control() != index),
            Kind::Ethernet(_) | Kind::Free => {}
        }
        self.leave(index, out);
        let port = self.ports.remove(index);
        match kind {
            Kind::Cable => self.physical_link_changed(now, &location, out),
            Kind::Control => self.update_health(now, out),
            _ => {}
        }
        self.reschedule();
        Some(port)
    }

    /// A cable goes; the port's owner has nothing any more to send through.
    fn forget_cable(&mut self, location: &str, index: Index) {
        let physical = self.physical_mut(location);
        if physical.cable == index {
            physical.cable = NOWHERE;
            let owner = physical.owner;
            if let Some(owner) = owner.and_then(|owner| self.ports.get_mut(owner)) {
                owner.kind = Kind::Dedicated { cable: NOWHERE };
            }
        }
    }

    /// VLANs of a virtual switch in which a server's adapter was and, replaced by `next`, is not any more.
    fn vlans_left(&self, former: &Port, next: Option<&Port>) -> (Box<str>, Vec<u16>) {
        if !matches!(former.kind, Kind::Ethernet(_)) || !former.is_server_end() && former.trunk().is_none() {
            return (former.place.clone(), Vec::new());
        }
        let stays = |vlan: u16| {
            next.is_some_and(|next| {
                next.place == former.place
                    && next.trunk().is_some() == former.trunk().is_some()
                    && (next.rule.carries(vlan) || vlan == DISCOVERY_VLAN)
            })
        };
        let mut vlans = vlans_of(former);
        vlans.retain(|vlan| !stays(*vlan));
        (former.place.clone(), vlans)
    }

    /// Puts a port into the switch that it belongs in, if that is there.
    pub(super) fn join(&mut self, index: Index, out: &mut Outbox) {
        let Some(port) = self.ports.get(index) else { return };
        let (switch, role) = match port.kind {
            Kind::Ethernet(trunk) => {
                let role = if trunk.is_some() { Role::Trunk } else { Role::Member };
                (self.switch_names.get(&port.place).copied(), Some(role))
            }
            Kind::Logical { server, promiscuous, client, .. } => {
                let role = if promiscuous { Role::Promiscuous } else { Role::Member };
                // A backing device takes part when its virtual NIC's machine says so.
                let takes_part = !server || self.is_active(client, index);
                (self.embedded(&port.place), takes_part.then_some(role))
            }
            Kind::Cable => (self.embedded(&port.place), Some(Role::Cable)),
            _ => return,
        };
        let payload = self.physical.get(&port.place).map(|physical| physical.payload);
        let (rule, address, trunk) = (port.rule.clone(), port.address, port.trunk().is_some());
        if let Some(index_of_switch) = switch {
            if let (Some(switch), Some(role)) = (self.switch_mut(index_of_switch), role) {
                switch.join(index, &rule, address, role);
            }
            if let Some(port) = self.ports.get_mut(index) {
                port.switch = index_of_switch;
            }
        }
        if let (Some(port), Some(payload)) = (self.ports.get_mut(index), payload)
            && matches!(port.kind, Kind::Logical { .. } | Kind::Cable)
        {
            port.most_payload = payload;
        }
        if trunk {
            let vlans = self.ports.get(index).map(vlans_of).unwrap_or_default();
            self.elect(switch.unwrap_or(NOWHERE), &vlans, out);
        }
        self.tell_link(index, out);
    }

    /// Takes a port out of its switch.
    pub(super) fn leave(&mut self, index: Index, out: &mut Outbox) {
        self.forget_learned(index);
        let Some(port) = self.ports.get_mut(index) else { return };
        let switch = std::mem::replace(&mut port.switch, NOWHERE);
        let (rule, address) = (port.rule.clone(), port.address);
        let trunk = port.trunk().is_some();
        if let Some(switch) = self.switch_mut(switch) {
            switch.leave(index, &rule, address);
        }
        if trunk {
            let vlans = self.ports.get(index).map(vlans_of).unwrap_or_default();
            self.elect(switch, &vlans, out);
        }
    }

    fn embedded(&self, location: &str) -> Option<Index> {
        self.physical.get(location)?.switch
    }

    /// The cable of a physical port; [`NOWHERE`] for one without.
    pub(super) fn cable(&self, location: &str) -> Index {
        self.physical.get(location).map_or(NOWHERE, |physical| physical.cable)
    }
}

/// VLANs that a virtual Ethernet adapter is in.
pub(super) fn vlans_of(port: &Port) -> Vec<u16> {
    let mut vlans = vec![port.rule.port_vlan];
    vlans.extend(port.rule.tagged.each().filter(|vlan| *vlan != port.rule.port_vlan));
    if port.trunk().is_some() {
        vlans.push(DISCOVERY_VLAN);
    }
    vlans
}
