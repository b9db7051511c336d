//! The way of a frame through the hypervisor.

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};

use super::port::{Class, Direction, Index, Kind};
use super::switch::{LEARNED_PER_PORT, Route, Switch};
use super::{HypervisorFabric, SWEEP};
use crate::control::{Control, DISCOVERY_VLAN, TYPE_CONTROL};
use crate::place::Outbox;
use crate::table::Key;

/// Time in seconds, as learned addresses keep it.
pub(super) fn seconds(now: Monotonic) -> u32 {
    u32::try_from(now.0.as_secs()).unwrap_or(u32::MAX - 1)
}

impl HypervisorFabric {
    /// A frame enters through a port.
    pub(super) fn enter(&mut self, now: Monotonic, index: Index, frame: Frame, out: &mut Outbox) {
        let Some(port) = self.ports.get_mut(index) else { return out.drop_frame(frame) };
        port.count_from_owner(&frame);
        port.show(now, Direction::FromOwner, &frame);
        if frame.bytes().len() < varan_ethernet::HEADER_BYTES || frame.source().is_group() {
            return self.refuse(index, frame, out);
        }
        let Some(port) = self.ports.get(index) else { return out.drop_frame(frame) };
        match port.kind {
            Kind::Ethernet(trunk) => {
                if frame.ethernet_type() == TYPE_CONTROL
                    && let Some(control) = Control::read(&frame)
                {
                    out.drop_frame(frame);
                    if let (Some(_), Control::Trunk { bridges, uplink }) = (trunk, control) {
                        self.trunk_said(index, bridges, uplink, out);
                    }
                    return;
                }
                self.enter_virtual(now, index, frame, out);
            }
            Kind::Logical { .. } => self.enter_logical(now, index, index, frame, out),
            Kind::Vnic { active, disabled, link_up } => {
                if disabled || !link_up || self.ports.get(active).is_none() {
                    return self.refuse(index, frame, out);
                }
                if let Some(backing) = self.ports.get_mut(active) {
                    backing.count_from_owner(&frame);
                    backing.note_tag(frame.tag);
                }
                self.enter_logical(now, index, active, frame, out);
            }
            Kind::Cable => self.enter_cable(now, index, frame, out),
            Kind::Dedicated { cable } => {
                if !self.hand_over_whole(now, cable, frame, out) {
                    self.count_drop(index);
                }
            }
            Kind::Control => {
                if let Some(Control::Alive { number }) = Control::read(&frame) {
                    self.alive(now, index, number, out);
                }
                out.drop_frame(frame);
            }
            Kind::Free => out.drop_frame(frame),
        }
    }

    fn refuse(&mut self, index: Index, frame: Frame, out: &mut Outbox) {
        self.count_drop(index);
        out.drop_frame(frame);
    }

    fn count_drop(&mut self, index: Index) {
        if let Some(port) = self.ports.get_mut(index) {
            port.counters.transmit_drops += 1;
        }
    }

    /// A frame between a cable and the one owner of its port.
    fn hand_over_whole(&mut self, now: Monotonic, to: Index, frame: Frame, out: &mut Outbox) -> bool {
        if !self.ports.get(to).is_some_and(|port| port.takes_size_of(&frame)) {
            out.drop_frame(frame);
            return false;
        }
        self.ports.hand_over(now, to, frame, out)
    }

    /// The frame's VLAN and priority, if the port lets it in. `client` counts, `index` decides.
    fn admit(&mut self, client: Index, index: Index, frame: &Frame) -> Option<Class> {
        let port = self.ports.get(index)?;
        let vlan = match port.rule.enter(frame.tag) {
            // All trunks of a virtual switch hear each other there.
            None if frame.tag.is_some_and(|tag| tag.id == DISCOVERY_VLAN) && port.trunk().is_some() => {
                Some(DISCOVERY_VLAN)
            }
            vlan => vlan,
        };
        let address_allowed = port.may_send_from(frame.source());
        let size_allowed = port.takes_size_of(frame);
        let untagged = frame.tag.is_none_or(|tag| tag.id == 0 && tag.priority == 0);
        let given = frame.tag.map_or(0, |tag| tag.priority);
        let stamped = if untagged { port.untagged_priority } else { given };
        let priority = port.priority.unwrap_or(stamped);
        let counted = self.ports.get_mut(client)?;
        if !address_allowed {
            counted.counters.refused_address_frames += 1;
        } else if vlan.is_none() {
            counted.counters.invalid_vlan_frames += 1;
        } else if !size_allowed {
            counted.counters.transmit_drops += 1;
        }
        Some(Class { vlan: vlan?, priority }).filter(|_| address_allowed && size_allowed)
    }

    /// A frame from a virtual Ethernet adapter.
    fn enter_virtual(&mut self, now: Monotonic, index: Index, frame: Frame, out: &mut Outbox) {
        let Some(class) = self.admit(index, index, &frame) else { return out.drop_frame(frame) };
        let Some(port) = self.ports.get(index) else { return out.drop_frame(frame) };
        let (trunk, own, switch_index) = (port.trunk().is_some(), port.address, port.switch);
        let source = frame.source();
        let Some(Some(switch)) = self.switches.get_mut(switch_index as usize) else {
            return self.refuse(index, frame, out);
        };
        if frame.destination().is_reserved() {
            // No bridge passes these on.
            return self.refuse(index, frame, out);
        }
        if class.vlan == DISCOVERY_VLAN {
            return self.discover(now, index, class, frame, out);
        }
        if trunk {
            if source != own && !switch.is_uplink(class.vlan, index) {
                return self.refuse(index, frame, out);
            }
            if switch.learned > 0 {
                self.forget_moved(switch_index, class.vlan, source);
            }
        } else if source != own {
            self.learn(now, switch_index, class.vlan, index, source);
        }
        self.pass(now, switch_index, index, index, class, frame, out);
    }

    /// A frame over a logical port: from its owner, or from the client of its virtual NIC.
    fn enter_logical(&mut self, now: Monotonic, client: Index, index: Index, frame: Frame, out: &mut Outbox) {
        let Some(class) = self.admit(client, index, &frame) else { return out.drop_frame(frame) };
        let Some(port) = self.ports.get(index) else { return out.drop_frame(frame) };
        let (own, switch) = (port.address, port.switch);
        let source = frame.source();
        if source != own {
            self.learn(now, switch, class.vlan, index, source);
        }
        self.pass(now, switch, index, client, class, frame, out);
    }

    /// A frame from outside.
    fn enter_cable(&mut self, now: Monotonic, index: Index, frame: Frame, out: &mut Outbox) {
        let Some(port) = self.ports.get(index) else { return out.drop_frame(frame) };
        let Some(physical) = self.physical.get(&port.place) else { return out.drop_frame(frame) };
        if let Some(owner) = physical.owner {
            self.hand_over_whole(now, owner, frame, out);
            return;
        }
        let (Some(switch_index), true) = (physical.switch, port.takes_size_of(&frame)) else {
            return self.refuse(index, frame, out);
        };
        let Some(vlan) = port.rule.enter(frame.tag) else { return self.refuse(index, frame, out) };
        let class = Class { vlan, priority: frame.tag.map_or(0, |tag| tag.priority) };
        if self.switch_mut(switch_index).is_some_and(|switch| switch.learned > 0) {
            self.forget_moved(switch_index, vlan, frame.source());
        }
        self.pass(now, switch_index, index, index, class, frame, out);
    }

    /// Hands a frame to whoever gets it. `client` counts what nobody takes.
    #[expect(clippy::too_many_arguments, reason = "one step of the way of a frame, all in registers")]
    pub(super) fn pass(
        &mut self,
        now: Monotonic,
        switch: Index,
        from: Index,
        client: Index,
        class: Class,
        frame: Frame,
        out: &mut Outbox,
    ) {
        let Some(Some(switch)) = self.switches.get(switch as usize) else {
            return self.refuse(client, frame, out);
        };
        let route = switch.route(class.vlan, from, frame.source(), frame.destination());
        let taken = match route {
            Route::One(to) => self.ports.deliver(now, to, class, frame, out),
            Route::Nobody => {
                out.drop_frame(frame);
                false
            }
            several @ Route::Several { .. } => {
                let ports = &mut self.ports;
                let mut last = None;
                let mut taken = false;
                switch.each_of(several, class.vlan, from, |to| {
                    if let Some(to) = last.replace(to) {
                        let copy = out.pool.copy(&frame);
                        taken |= ports.deliver(now, to, class, copy, out);
                    }
                });
                match last {
                    Some(to) => taken | ports.deliver(now, to, class, frame, out),
                    None => {
                        // A frame to all with nobody else there is not lost.
                        let group = frame.destination().is_group() && switch.bridge;
                        out.drop_frame(frame);
                        group
                    }
                }
            }
        };
        if !taken {
            self.count_drop(client);
        }
        if !self.ports.answers.is_empty() {
            self.take_answers(now, out);
        }
    }

    /// A frame of the VLAN on which trunk adapters hear each other.
    fn discover(&mut self, now: Monotonic, from: Index, class: Class, frame: Frame, out: &mut Outbox) {
        let switch = self.ports.get(from).and_then(|port| self.switches.get(port.switch as usize)?.as_ref());
        let trunks = switch.map(|switch| switch.trunks.clone()).unwrap_or_default();
        for to in trunks.into_iter().filter(|trunk| *trunk != from) {
            let Some(number) = self.ports.get(to).filter(|port| port.usable).and_then(|port| port.number)
            else {
                continue;
            };
            let mut copy = out.pool.copy(&frame);
            copy.tag = Some(varan_ethernet::VlanTag { id: class.vlan, priority: class.priority });
            if let Some(port) = self.ports.get_mut(to) {
                port.count_to_owner(&copy);
                port.show(now, Direction::ToOwner, &copy);
            }
            out.send(number, copy);
        }
        out.drop_frame(frame);
    }

    /// Notes that an address is at a port, unless it is another adapter's own.
    fn learn(&mut self, now: Monotonic, switch: Index, vlan: u16, port: Index, source: EthernetAddress) {
        let Some(Some(switch)) = self.switches.get_mut(switch as usize) else { return };
        let key = Key::new(vlan, source);
        match switch.find(vlan, source) {
            Some(found) if found.fixed => {}
            Some(found) if found.value == port => {
                switch.table.learn(key, port, seconds(now));
            }
            former => {
                if self.ports.get(port).is_none_or(|port| port.learned.len() >= LEARNED_PER_PORT) {
                    return;
                }
                if let Some(former) = former {
                    self.ports.forget(former.value, key);
                } else {
                    switch.learned += 1;
                }
                switch.table.learn(key, port, seconds(now));
                if let Some(port) = self.ports.get_mut(port) {
                    port.learned.push(key);
                }
                if self.next_sweep.is_none() {
                    self.next_sweep = Some(now.after(SWEEP));
                    self.reschedule();
                }
            }
        }
    }

    /// Forgets a learned address that now comes from outside.
    fn forget_moved(&mut self, switch: Index, vlan: u16, source: EthernetAddress) {
        let Some(Some(switch)) = self.switches.get_mut(switch as usize) else { return };
        let key = Key::new(vlan, source);
        if let Some(found) = switch.table.get(key).filter(|found| !found.fixed) {
            switch.table.remove(key);
            switch.learned -= 1;
            self.ports.forget(found.value, key);
        }
    }

    /// Forgets all that was learned from a port.
    pub(super) fn forget_learned(&mut self, port: Index) {
        let Some(learned) = self.ports.get_mut(port).map(|port| std::mem::take(&mut port.learned)) else {
            return;
        };
        let switch = self.ports.get(port).map(|port| port.switch);
        let switch: Option<&mut Switch> = switch.and_then(|switch| self.switch_mut(switch));
        if let Some(switch) = switch {
            for key in learned {
                if switch.table.get(key).is_some_and(|found| !found.fixed && found.value == port) {
                    switch.table.remove(key);
                    switch.learned -= 1;
                }
            }
        }
    }
}
