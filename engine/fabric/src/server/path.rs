//! The way of frames and carriers through a server's devices.

use varan_contract::network::{PortPlace, ServerNetworkEvent};
use varan_environment::Monotonic;
use varan_ethernet::{Frame, VlanTag};

use super::node::{Device, User};
use super::sea::{Sea, Way};
use super::{ServerEvent, ServerFabric};
use crate::place::{Outbox, PortNumber};

/// Rounds of frames between host and devices within one call: a packet, its answer, and what these lead to.
const ROUNDS: usize = 16;

impl ServerFabric {
    /// A frame comes in through a device.
    pub(super) fn enter(&mut self, now: Monotonic, number: usize, frame: Frame, out: &mut Outbox) {
        let node = &mut self.nodes[number];
        node.count_in(&frame);
        match node.user {
            User::Above => self.rise(now, number, frame, out),
            User::Aggregation(aggregation, member) => {
                let Device::Aggregation(device) = &mut self.nodes[aggregation].device else {
                    return out.drop_frame(frame);
                };
                let taken = !device.receive(now, member, &frame, &mut out.pool);
                self.flush_aggregation(now, aggregation, out);
                if taken { out.drop_frame(frame) } else { self.enter(now, aggregation, frame, out) }
            }
            User::Real(bridge) => {
                self.with_bridge(now, bridge, out, |sea, out| sea.from_real(now, frame, &mut out.pool));
            }
            User::Trunk(bridge, trunk) => {
                self.with_bridge(now, bridge, out, |sea, out| {
                    sea.from_trunk(now, trunk, frame, &mut out.pool);
                });
            }
            User::Control(bridge) => {
                self.with_bridge(now, bridge, out, |sea, out| sea.from_control(now, frame, &mut out.pool));
            }
        }
    }

    /// A frame for what is above a device: the interface of its VLAN.
    fn rise(&mut self, now: Monotonic, number: usize, mut frame: Frame, out: &mut Outbox) {
        let vlan = frame.tag.map_or(0, |tag| tag.id);
        let over = if vlan == 0 {
            Some(number)
        } else {
            let child = self.nodes[number].vlans.iter().find(|(known, _)| *known == vlan);
            child.map(|(_, child)| *child)
        };
        let Some(over) = over else {
            return out.drop_frame(frame);
        };
        if over != number {
            frame.tag = None;
            self.nodes[over].count_in(&frame);
        }
        if self.nodes[over].interface {
            self.host.receive(now, &self.nodes[over].name, &frame);
        }
        out.drop_frame(frame);
    }

    /// A frame goes out through a device.
    pub(super) fn send(&mut self, now: Monotonic, number: usize, mut frame: Frame, out: &mut Outbox) {
        let node = &mut self.nodes[number];
        if !node.up && !matches!(node.device, Device::Bridge(_)) {
            node.counters.transmit_drops += 1;
            return out.drop_frame(frame);
        }
        node.count_out(&frame);
        match &mut node.device {
            Device::Port { port: Some(port), .. } => out.send(*port, frame),
            Device::Port { port: None, .. } => out.drop_frame(frame),
            Device::Aggregation(aggregation) => match aggregation.choose(&frame) {
                Some(link) => self.send(now, link, frame, out),
                None => out.drop_frame(frame),
            },
            Device::Bridge(_) => {
                self.with_bridge(now, number, out, |sea, out| sea.from_up(now, frame, &mut out.pool));
            }
            Device::Vlan { base, vlan } => {
                frame.tag = Some(VlanTag { id: *vlan, priority: frame.tag.map_or(0, |tag| tag.priority) });
                let base = *base;
                self.send(now, base, frame, out);
            }
        }
    }

    /// Has a Shared Ethernet Adapter do something, and sends what it has to send.
    pub(super) fn with_bridge(
        &mut self,
        now: Monotonic,
        number: usize,
        out: &mut Outbox,
        action: impl FnOnce(&mut Sea, &mut Outbox),
    ) {
        let Device::Bridge(sea) = &mut self.nodes[number].device else {
            return;
        };
        action(sea, out);
        if sea.queue.is_empty() {
            return;
        }
        let mut queue = std::mem::take(&mut sea.queue);
        for (way, frame) in queue.drain(..) {
            match way {
                Way::Up => {
                    self.nodes[number].count_in(&frame);
                    self.rise(now, number, frame, out);
                }
                way => match self.below(number, way) {
                    Some(below) => self.send(now, below, frame, out),
                    None => out.drop_frame(frame),
                },
            }
        }
        // Nothing above answers before the call is over, so that nothing was added meanwhile; the room is kept.
        if let Device::Bridge(sea) = &mut self.nodes[number].device
            && sea.queue.is_empty()
        {
            sea.queue = queue;
        }
    }

    /// The device of a Shared Ethernet Adapter's way.
    fn below(&self, bridge: usize, way: Way) -> Option<usize> {
        let wiring = self.nodes[bridge].below.as_ref()?;
        match way {
            Way::Real => Some(wiring.real),
            Way::Trunk(number) => wiring.trunks.get(number).copied(),
            Way::Control => wiring.control,
            Way::Up => None,
        }
    }

    fn flush_aggregation(&mut self, now: Monotonic, number: usize, out: &mut Outbox) {
        let Device::Aggregation(aggregation) = &mut self.nodes[number].device else {
            return;
        };
        let (up, on_backup) = (aggregation.is_up(), aggregation.is_on_backup());
        if !aggregation.queue.is_empty() {
            for (link, frame) in std::mem::take(&mut aggregation.queue) {
                self.send(now, link, frame, out);
            }
        }
        let node = &mut self.nodes[number];
        if std::mem::replace(&mut node.on_backup, on_backup) != on_backup {
            let device = node.name.clone();
            self.event(ServerNetworkEvent::Backup { device, on_backup });
        }
        self.set_carrier(now, number, up, out);
    }

    /// A device's carrier came or went, or not.
    pub(super) fn set_carrier(&mut self, now: Monotonic, number: usize, up: bool, out: &mut Outbox) {
        let node = &mut self.nodes[number];
        if node.up == up {
            return;
        }
        node.up = up;
        let virtual_adapter = matches!(node.device, Device::Port { place: PortPlace::Virtual(_), .. });
        // The first carrier is no event: nothing was lost before.
        if !virtual_adapter && std::mem::replace(&mut node.was_up, true) {
            let device = node.name.clone();
            self.event(ServerNetworkEvent::Link { device, up });
        }
        self.pass_carrier(now, number, out);
    }

    /// Tells a device's user of its carrier. Telling it again changes nothing.
    pub(super) fn pass_carrier(&mut self, now: Monotonic, number: usize, out: &mut Outbox) {
        let (up, user) = (self.nodes[number].up, self.nodes[number].user);
        match user {
            User::Above => {
                self.host.carrier(now, &self.nodes[number].name, up);
                for child in 0..self.nodes[number].vlans.len() {
                    let (_, child) = self.nodes[number].vlans[child];
                    self.nodes[child].up = up;
                    self.host.carrier(now, &self.nodes[child].name, up);
                }
            }
            User::Aggregation(aggregation, member) => {
                if let Device::Aggregation(device) = &mut self.nodes[aggregation].device {
                    device.carrier(now, member, up, &mut out.pool);
                }
                self.flush_aggregation(now, aggregation, out);
            }
            User::Real(bridge) => {
                self.with_bridge(now, bridge, out, |sea, out| sea.real_carrier(now, up, &mut out.pool));
                self.set_carrier(now, bridge, up, out);
            }
            User::Trunk(bridge, trunk) => {
                self.with_bridge(now, bridge, out, |sea, out| {
                    sea.trunk_carrier(now, trunk, up, &mut out.pool);
                });
            }
            User::Control(bridge) => {
                self.with_bridge(now, bridge, out, |sea, out| sea.control_carrier(now, up, &mut out.pool));
            }
        }
    }

    pub(super) fn tick_device(&mut self, now: Monotonic, number: usize, out: &mut Outbox) {
        match &mut self.nodes[number].device {
            Device::Aggregation(aggregation) if aggregation.next_due().is_some_and(|due| due <= now) => {
                aggregation.tick(now, &mut out.pool);
                self.flush_aggregation(now, number, out);
            }
            Device::Bridge(sea) if sea.next_due().is_some_and(|due| due <= now) => {
                self.with_bridge(now, number, out, |sea, out| sea.tick(now, &mut out.pool));
            }
            _ => {}
        }
    }

    /// Lets the host do what is due and sends its frames, until nothing more comes of it.
    pub(super) fn work(&mut self, now: Monotonic, out: &mut Outbox) {
        for _ in 0..ROUNDS {
            for id in self.host.finished(now) {
                self.events.push(ServerEvent::PingOver(id));
            }
            if !self.host.wants_poll(now) {
                return;
            }
            let mut frames = std::mem::take(&mut self.outgoing);
            if let Some(sessions) = self.host.poll(now, &mut frames) {
                self.events.push(ServerEvent::Sessions(sessions));
            }
            for (device, frame) in frames.drain(..) {
                match self.names.get(&device).copied() {
                    Some(number) => self.send(now, number, frame, out),
                    None => out.drop_frame(frame),
                }
            }
            self.outgoing = frames;
        }
    }

    /// Tells the other end of a port whether its device is used.
    pub(super) fn tell_carrier(&mut self, port: PortNumber, up: bool, out: &mut Outbox) {
        if self.told.insert(port, up) != Some(up) {
            out.carriers.push((port, up));
        }
    }
}
