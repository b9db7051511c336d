//! Virtual NICs: what their failover machines decide is done here, and what they must know is told them.

use std::time::Duration;

use varan_contract::engine::{GuestVnicAdapter, GuestVnicBackingDevice};
use varan_contract::network::PortEvent;
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};
use varan_model::ids::LogicalPortId;

use super::port::{Allowed, Class, Index, Kind, NOWHERE, Port, ethernet};
use super::switch::Role;
use super::vnic_servers::ServerEnd;
use super::{Heartbeat, HypervisorEvent, HypervisorFabric, VnicKey};
use crate::announcement::write_announcement;
use crate::control::Control;
use crate::place::Outbox;
use crate::table::Key;
use crate::vlan::{VlanRule, VlanSet};
use crate::vnic::{
    Action, BackingDevice, DeviceHealth, FailoverMachine, ServerHealth, VnicSetup, write_probe,
};

/// A virtual NIC of a client that is on.
pub(super) struct VirtualNic {
    pub(super) index: Index,
    pub(super) machine: FailoverMachine,
    devices: Vec<GuestVnicBackingDevice>,
    /// Addresses of its probes in the tables of switches: switch, key.
    probes: Vec<(Index, Key)>,
}

impl VirtualNic {
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.machine.next_due()
    }

    /// Server adapters of its backing devices.
    pub(super) fn ends(&self) -> impl Iterator<Item = ServerEnd> {
        self.devices.iter().map(|device| (device.server, device.server_slot))
    }

    /// The backing device behind a server adapter.
    pub(super) fn device_of(&self, end: ServerEnd) -> Option<&GuestVnicBackingDevice> {
        self.devices.iter().find(|device| (device.server, device.server_slot) == end)
    }
}

/// The signs of life of a Virtual I/O Server.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLife {
    control: Index,
    health: ServerHealth,
    last_answer: Monotonic,
    next_question: Monotonic,
    number: u32,
}

impl ServerLife {
    pub(super) fn new(now: Monotonic, control: Index, up: bool) -> Self {
        let health = if up { ServerHealth::Alive } else { ServerHealth::Off };
        Self { control, health, last_answer: now, next_question: now, number: 0 }
    }

    pub(super) fn control(&self) -> Index {
        self.control
    }

    pub(super) fn next_due(&self, heartbeat: Heartbeat) -> Option<Monotonic> {
        match self.health {
            ServerHealth::Off => None,
            ServerHealth::Dead => Some(self.next_question),
            ServerHealth::Alive => Some(self.next_question.min(self.last_answer.after(heartbeat.patience))),
        }
    }
}

impl HypervisorFabric {
    /// Plugs a virtual NIC in at a port that is there, or changes it.
    pub(super) fn set_up_vnic(
        &mut self,
        now: Monotonic,
        key: VnicKey,
        index: Index,
        adapter: &GuestVnicAdapter,
        out: &mut Outbox,
    ) {
        let Some(port) = self.ports.get_mut(index) else { return };
        port.rule = VlanRule {
            port_vlan: adapter.port_vlan_id & 0xFFF,
            tagged: VlanSet::allowed(&adapter.allowed_vlans),
        };
        port.address = ethernet(adapter.mac_address);
        port.allowed = Allowed::of(&adapter.allowed_addresses);
        port.untagged_priority = adapter.port_vlan_priority & 7;
        if let Kind::Vnic { disabled, .. } = &mut port.kind {
            *disabled = adapter.disabled;
        }
        let setup = VnicSetup {
            client: port.address,
            devices: adapter
                .backing_devices
                .iter()
                .map(|device| BackingDevice { port: device.logical_port, priority: device.priority })
                .collect(),
            automatic: adapter.auto_priority_failover,
            preferred: adapter.preferred,
            probe_targets: adapter.probe_targets.clone(),
            probe_interval: None,
        };
        let mut actions = Vec::new();
        if let Some(mut vnic) = self.vnics.remove(&key) {
            let former = std::mem::replace(&mut vnic.devices, adapter.backing_devices.clone());
            let same_address = vnic.machine.setup().client == setup.client;
            for gone in former.iter().filter(|device| !vnic.devices.iter().any(|kept| is(kept, device))) {
                self.unbind(gone.logical_port, index, out);
            }
            if same_address {
                self.vnics.insert(key, vnic);
                self.bind(now, key, out);
                self.with_machine(now, key, out, |machine, actions| {
                    machine.configure(now, setup, actions);
                });
                return self.after_set_up(now, index, out);
            }
            // Another address: it begins anew.
            self.vnics.insert(key, vnic);
            self.remove_vnic(index, out);
        }
        let healths: Vec<(LogicalPortId, DeviceHealth)> = adapter
            .backing_devices
            .iter()
            .map(|device| (device.logical_port, self.health_of(device)))
            .collect();
        let health = |port: LogicalPortId| {
            healths.iter().find(|(known, _)| *known == port).map(|(_, health)| *health).unwrap_or_default()
        };
        let machine = FailoverMachine::new(now, setup, health, &mut actions);
        let vnic =
            VirtualNic { index, machine, devices: adapter.backing_devices.clone(), probes: Vec::new() };
        self.vnics.insert(key, vnic);
        self.vnic_keys.insert(index, key);
        self.bind(now, key, out);
        self.act(now, key, actions, out);
        self.after_set_up(now, index, out);
    }

    fn after_set_up(&mut self, now: Monotonic, index: Index, out: &mut Outbox) {
        self.update_health(now, out);
        self.tell_link(index, out);
    }

    /// A virtual NIC goes: nothing of its backing devices reaches the client any more.
    pub(super) fn remove_vnic(&mut self, index: Index, out: &mut Outbox) {
        let Some(vnic) = self.vnic_keys.remove(&index).and_then(|key| self.vnics.remove(&key)) else {
            return;
        };
        self.forget_probes(&vnic.probes);
        if let Some(Kind::Vnic { link_up, .. }) = self.ports.get_mut(index).map(|port| &mut port.kind) {
            *link_up = false;
        }
        for device in &vnic.devices {
            self.unbind(device.logical_port, index, out);
        }
        let ends: Vec<ServerEnd> =
            vnic.devices.iter().map(|device| (device.server, device.server_slot)).collect();
        self.tell_servers(&ends, out);
    }

    fn forget_probes(&mut self, probes: &[(Index, Key)]) {
        for (switch, key) in probes {
            if let Some(switch) = self.switch_mut(*switch) {
                switch.table.remove(*key);
            }
        }
    }

    /// Makes the logical ports of a virtual NIC's backing devices its own: they have its address and its rules.
    fn bind(&mut self, now: Monotonic, key: VnicKey, out: &mut Outbox) {
        let Some(vnic) = self.vnics.get(&key) else { return };
        let client = vnic.index;
        let Some(port) = self.ports.get(client) else { return };
        let (rule, address, allowed) = (port.rule.clone(), port.address, port.allowed.clone());
        let priority = port.untagged_priority;
        let active = vnic.machine.active();
        for device in vnic.devices.clone() {
            let Some(index) = self.backing(&device) else { continue };
            let changed =
                self.ports.get(index).is_some_and(|port| port.address != address || port.rule != rule);
            if changed {
                self.leave(index, out);
            }
            let Some(port) = self.ports.get_mut(index) else { continue };
            (port.rule, port.address, port.allowed) = (rule.clone(), address, allowed.clone());
            port.untagged_priority = priority;
            if let Kind::Logical { client: of, .. } = &mut port.kind {
                *of = client;
            }
            if changed {
                self.join(index, out);
            }
            if active == Some(device.logical_port) && !self.is_active(client, index) {
                // It was away, and the machine has nothing better.
                self.activate_backing(now, client, device.logical_port, out);
            }
        }
    }

    /// Binds all virtual NICs to server adapters that came, and tells their machines of those that went.
    pub(super) fn bind_vnics(&mut self, now: Monotonic, out: &mut Outbox) {
        let keys: Vec<VnicKey> = self.vnics.keys().copied().collect();
        for key in keys {
            self.bind(now, key, out);
        }
        self.update_health(now, out);
    }

    fn unbind(&mut self, logical: LogicalPortId, client: Index, out: &mut Outbox) {
        let Some(index) = self.logical.get(&logical).copied() else { return };
        let Some(Kind::Logical { client: of, .. }) = self.ports.get(index).map(|port| port.kind) else {
            return;
        };
        if of != client {
            return;
        }
        let active = self.is_active(client, index);
        self.leave(index, out);
        if let Some(port) = self.ports.get_mut(index)
            && let Kind::Logical { client, .. } = &mut port.kind
        {
            *client = NOWHERE;
        }
        // Still where it belongs, without taking part.
        self.join(index, out);
        self.set_active(client, index, NOWHERE);
        if active {
            self.report_server(index, false);
        }
    }

    /// The logical port of a backing device, if its server has it.
    fn backing(&self, device: &GuestVnicBackingDevice) -> Option<Index> {
        let index = self.vnic_servers.get(&(device.server, device.server_slot)).copied()?;
        let port = self.ports.get(index)?;
        matches!(port.kind, Kind::Logical { id, .. } if id == device.logical_port).then_some(index)
    }

    fn health_of(&self, device: &GuestVnicBackingDevice) -> DeviceHealth {
        let link = self
            .backing(device)
            .and_then(|index| self.ports.get(index))
            .is_some_and(|port| port.switch != NOWHERE && self.has_link(&port.place));
        let server = self.servers.get(&device.server).map_or(ServerHealth::Off, |life| life.health);
        DeviceHealth { link, server }
    }

    /// Tells the machines how their devices are.
    pub(super) fn update_health(&mut self, now: Monotonic, out: &mut Outbox) {
        let mut news = Vec::new();
        for (key, vnic) in &self.vnics {
            news.extend(
                vnic.devices.iter().map(|device| (*key, device.logical_port, self.health_of(device))),
            );
        }
        for (key, port, health) in news {
            self.with_machine(now, key, out, |machine, actions| {
                machine.set_health(now, port, health, actions);
            });
        }
        let indices: Vec<Index> = self.vnics.values().map(|vnic| vnic.index).collect();
        for index in indices {
            self.tell_link(index, out);
        }
        self.tell_all_servers(out);
    }

    /// Has a machine do something, and does what it says.
    pub(super) fn with_machine<R>(
        &mut self,
        now: Monotonic,
        key: VnicKey,
        out: &mut Outbox,
        act: impl FnOnce(&mut FailoverMachine, &mut Vec<Action>) -> R,
    ) -> Option<R> {
        let vnic = self.vnics.get_mut(&key)?;
        let mut actions = Vec::new();
        let answer = act(&mut vnic.machine, &mut actions);
        self.act(now, key, actions, out);
        Some(answer)
    }

    fn act(&mut self, now: Monotonic, key: VnicKey, actions: Vec<Action>, out: &mut Outbox) {
        let news = actions.iter().any(|action| !matches!(action, Action::Probe { .. }));
        for action in actions {
            let Some(vnic) = self.vnics.get_mut(&key) else { return };
            let client = vnic.index;
            match action {
                Action::Activate(port) => self.activate_backing(now, client, port, out),
                Action::Drain(port) => self.drain_backing(client, port),
                Action::Release(port) => self.release_backing(client, port, out),
                Action::ClientLink { up } => {
                    let port = self.ports.get_mut(client);
                    if let Some(Kind::Vnic { link_up, .. }) = port.map(|port| &mut port.kind) {
                        *link_up = up;
                    }
                    self.tell_link(client, out);
                }
                Action::Probe { port, target, source } => {
                    let mut probe = out.pool.take();
                    write_probe(&mut probe, source, target);
                    self.send_probe(now, key, port, probe, out);
                }
            }
        }
        if news && let Some(vnic) = self.vnics.get(&key) {
            let ends = vnic.devices.iter().map(|device| (device.server, device.server_slot));
            let ends: Vec<ServerEnd> = ends.collect();
            self.tell_servers(&ends, out);
        }
    }

    fn activate_backing(&mut self, now: Monotonic, client: Index, port: LogicalPortId, out: &mut Outbox) {
        let Some(index) = self.logical.get(&port).copied() else { return };
        let former = self.ports.get(client).map(|port| port.kind);
        let moved = match former {
            Some(Kind::Vnic { active, .. }) => self.ports.get_mut(active).map(|former| {
                let used = former.used.take();
                (former.learned.clone(), used)
            }),
            _ => None,
        };
        // One that drains takes part only with its own address.
        self.forget_learned(index);
        if let Some((rule, address, switch)) =
            self.ports.get(index).map(|port| (port.rule.clone(), port.address, port.switch))
            && let Some(switch) = self.switch_mut(switch)
        {
            switch.leave(index, &rule, address);
        }
        self.take_part(index);
        if let Some(Kind::Vnic { active, .. }) = self.ports.get_mut(client).map(|port| &mut port.kind) {
            *active = index;
        }
        self.report_server(index, true);
        if let Some(number) = self.ports.get(client).and_then(|port| port.number) {
            let event = PortEvent::BackingDevice(port);
            self.events.push(HypervisorEvent::Port { port: number, event });
        }
        let (learned, used) = moved.unwrap_or_default();
        if let Some(port) = self.ports.get_mut(index) {
            port.used = used;
        }
        self.announce(now, index, &learned, out);
        self.tell_link(client, out);
    }

    /// Tells the switches outside that the client is behind this backing device now: in its own VLAN, in those in which it
    /// sent tagged frames, and for each address that was learned from it.
    fn announce(&mut self, now: Monotonic, index: Index, learned: &[Key], out: &mut Outbox) {
        let Some(port) = self.ports.get(index) else { return };
        let mut stations = vec![(port.rule.port_vlan, port.address)];
        if let Some(used) = &port.used {
            let vlans = (1..4_095u16).filter(|vlan| used[usize::from(vlan >> 6)] >> (vlan & 63) & 1 == 1);
            stations.extend(vlans.map(|vlan| (vlan, port.address)));
        }
        stations.extend(learned.iter().map(|key| key.parts()));
        let switch = port.switch;
        for (vlan, address) in stations {
            let mut frame = out.pool.take();
            write_announcement(&mut frame, address);
            self.pass(now, switch, index, index, Class { vlan, priority: 0 }, frame, out);
        }
    }

    fn take_part(&mut self, index: Index) {
        let Some(port) = self.ports.get(index) else { return };
        let (rule, address, switch) = (port.rule.clone(), port.address, port.switch);
        if let Some(switch) = self.switch_mut(switch) {
            switch.join(index, &rule, address, Role::Member);
        }
    }

    fn drain_backing(&mut self, client: Index, port: LogicalPortId) {
        let Some(index) = self.logical.get(&port).copied() else { return };
        let Some((rule, switch)) = self.ports.get(index).map(|port| (port.rule.clone(), port.switch)) else {
            return;
        };
        if let Some(switch) = self.switch_mut(switch) {
            switch.leave_groups(index, &rule);
        }
        if !self.is_active(client, index) {
            self.report_server(index, false);
        }
    }

    fn release_backing(&mut self, client: Index, port: LogicalPortId, out: &mut Outbox) {
        let Some(index) = self.logical.get(&port).copied() else { return };
        let of_client = |port: &Port| matches!(port.kind, Kind::Logical { client: of, .. } if of == client);
        if !self.ports.get(index).is_some_and(of_client) {
            return;
        }
        if self.is_active(client, index) {
            self.set_active(client, index, NOWHERE);
        }
        self.leave(index, out);
        self.join(index, out);
        self.report_server(index, false);
    }

    pub(super) fn is_active(&self, client: Index, index: Index) -> bool {
        let kind = self.ports.get(client).map(|port| port.kind);
        matches!(kind, Some(Kind::Vnic { active, .. }) if active == index)
    }

    /// Where `client` goes over `index`, it goes over `next`.
    pub(super) fn set_active(&mut self, client: Index, index: Index, next: Index) {
        if let Some(Kind::Vnic { active, .. }) = self.ports.get_mut(client).map(|port| &mut port.kind)
            && *active == index
        {
            *active = next;
        }
    }

    /// Reports to a backing device's server whether it is the active one, if that is news.
    fn report_server(&mut self, index: Index, active: bool) {
        let Some(port) = self.ports.get_mut(index) else { return };
        if port.told == Some((active, active)) || !active && port.told.is_none() {
            return;
        }
        port.told = Some((active, active));
        let found = self.vnic_servers.iter().find(|(_, known)| **known == index);
        if let Some(((server, slot), _)) = found {
            self.events.push(HypervisorEvent::VnicServer { server: *server, slot: *slot, active });
        }
    }

    fn send_probe(
        &mut self,
        now: Monotonic,
        key: VnicKey,
        port: LogicalPortId,
        frame: Frame,
        out: &mut Outbox,
    ) {
        let Some(index) = self.logical.get(&port).copied() else { return };
        let Some((vlan, switch)) = self.ports.get(index).map(|port| (port.rule.port_vlan, port.switch))
        else {
            return;
        };
        let table_key = Key::new(vlan, frame.source());
        let Some(known) = self.switch_mut(switch) else { return };
        let former = known.table.put(table_key, index);
        known.learned -= usize::from(former.is_some_and(|found| !found.fixed));
        if former.is_none_or(|found| !found.fixed)
            && let Some(vnic) = self.vnics.get_mut(&key)
        {
            vnic.probes.push((switch, table_key));
        }
        if let Some(port) = self.ports.get_mut(index) {
            port.count_from_owner(&frame);
        }
        self.pass(now, switch, index, index, Class { vlan, priority: 0 }, frame, out);
    }

    /// Gives answers to probes to the machines that sent them.
    pub(super) fn take_answers(&mut self, now: Monotonic, out: &mut Outbox) {
        while let Some((index, frame)) = self.ports.answers.pop() {
            self.take_answer(now, index, &frame, out);
            out.drop_frame(frame);
        }
        self.reschedule();
    }

    fn take_answer(&mut self, now: Monotonic, index: Index, frame: &Frame, out: &mut Outbox) {
        let Some(Kind::Logical { id, client, .. }) = self.ports.get(index).map(|port| port.kind) else {
            return;
        };
        if let Some(port) = self.ports.get_mut(index) {
            port.count_to_owner(frame);
        }
        if let Some(key) = self.vnic_keys.get(&client).copied() {
            self.with_machine(now, key, out, |machine, actions| {
                machine.take_answer(now, id, frame, actions);
            });
        }
    }

    pub(super) fn tick_vnics(&mut self, now: Monotonic, out: &mut Outbox) {
        let due = |vnic: &VirtualNic| vnic.next_due().is_some_and(|due| due <= now);
        let keys: Vec<VnicKey> =
            self.vnics.iter().filter(|(_, vnic)| due(vnic)).map(|(key, _)| *key).collect();
        for key in keys {
            self.with_machine(now, key, out, |machine, actions| machine.tick(now, actions));
        }
    }

    /// Asks servers for signs of life, and notes those that gave none for too long.
    pub(super) fn tick_servers(&mut self, now: Monotonic, out: &mut Outbox) {
        let heartbeat = self.heartbeat;
        let mut changed = false;
        for life in self.servers.values_mut().filter(|life| life.health != ServerHealth::Off) {
            if life.next_question <= now {
                life.number = life.number.wrapping_add(1);
                life.next_question = now.after(heartbeat.interval.max(Duration::from_millis(1)));
                let number = self.ports.get(life.control).and_then(|port| port.number);
                if let Some(number) = number {
                    let mut frame = out.pool.take();
                    Control::AskLife { number: life.number }.write(EthernetAddress::default(), &mut frame);
                    out.send(number, frame);
                }
            }
            if life.health == ServerHealth::Alive && now.since(life.last_answer) >= heartbeat.patience {
                life.health = ServerHealth::Dead;
                changed = true;
            }
        }
        if changed {
            self.update_health(now, out);
        }
    }

    /// A sign of life came.
    pub(super) fn alive(&mut self, now: Monotonic, control: Index, number: u32, out: &mut Outbox) {
        let found = self.servers.values_mut().find(|life| life.control == control);
        let Some(life) = found.filter(|life| life.health != ServerHealth::Off) else { return };
        // What answers a question of long ago was on its way for as long.
        if life.number.wrapping_sub(number) > 1 {
            return;
        }
        life.last_answer = now;
        if std::mem::replace(&mut life.health, ServerHealth::Alive) != ServerHealth::Alive {
            self.update_health(now, out);
        }
        self.reschedule();
    }

    /// The carrier of a control port: a server is on, or gone at once.
    pub(super) fn control_carrier(&mut self, now: Monotonic, control: Index, up: bool, out: &mut Outbox) {
        let Some(life) = self.servers.values_mut().find(|life| life.control == control) else { return };
        *life = ServerLife { number: life.number, ..ServerLife::new(now, control, up) };
        self.forget_server_news(control);
        self.update_health(now, out);
    }
}

fn is(one: &GuestVnicBackingDevice, other: &GuestVnicBackingDevice) -> bool {
    (one.server, one.server_slot, one.logical_port) == (other.server, other.server_slot, other.logical_port)
}
