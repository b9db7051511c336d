//! The way of a frame through a switch.

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, HEADER_BYTES, JUMBO_FRAME_BYTES};

use super::firewall::is_blocked;
use super::{End, Hop, Index, OutsideFabric, SWEEP, SwitchPort};
use crate::place::Outbox;
use crate::table::Key;

/// Addresses that a switch learns at most.
pub(super) const TABLE_SIZE: usize = 32_768;
/// After so many seconds without a frame a learned address is forgotten.
const LEARNED_SECONDS: u32 = 300;

/// A frame in a switch.
#[derive(Clone, Copy)]
struct Class {
    vlan: u16,
    priority: u8,
}

fn seconds(now: Monotonic) -> u32 {
    u32::try_from(now.0.as_secs()).unwrap_or(u32::MAX - 1)
}

impl SwitchPort {
    fn forwards(&self) -> bool {
        self.up && !self.blocking
    }

    pub(super) fn count_in(&mut self, frame: &Frame) {
        let (broadcast, multicast) = groups(frame);
        self.counters.received_frames += 1;
        self.counters.received_bytes += frame.wire_bytes() as u64;
        self.counters.received_broadcasts += broadcast;
        self.counters.received_multicasts += multicast;
    }

    pub(super) fn count_out(&mut self, frame: &Frame) {
        let (broadcast, multicast) = groups(frame);
        self.counters.transmitted_frames += 1;
        self.counters.transmitted_bytes += frame.wire_bytes() as u64;
        self.counters.transmitted_broadcasts += broadcast;
        self.counters.transmitted_multicasts += multicast;
    }
}

fn groups(frame: &Frame) -> (u64, u64) {
    let destination = frame.destination();
    let broadcast = destination.is_broadcast();
    (u64::from(broadcast), u64::from(destination.is_group() && !broadcast))
}

fn has_right_size(frame: &Frame) -> bool {
    let whole = match frame.offload.segment {
        Some((payload, _)) => usize::from(payload) + usize::from(frame.offload.header_bytes),
        None => frame.bytes().len(),
    };
    frame.bytes().len() >= HEADER_BYTES && whole <= JUMBO_FRAME_BYTES
}

impl OutsideFabric {
    /// A frame enters a switch.
    pub(super) fn enter(&mut self, now: Monotonic, index: Index, frame: Frame, out: &mut Outbox) {
        let Some(port) = self.ports.get_mut(index as usize).filter(|port| port.up) else {
            return out.drop_frame(frame);
        };
        port.count_in(&frame);
        if frame.destination().is_reserved() {
            self.take_reserved(now, index, &frame, out);
            return out.drop_frame(frame);
        }
        let Some(port) = self.ports.get_mut(index as usize) else { return out.drop_frame(frame) };
        if port.blocking || !has_right_size(&frame) || frame.source().is_group() {
            port.counters.receive_drops += 1;
            return out.drop_frame(frame);
        }
        let Some(vlan) = port.rule.enter(frame.tag) else {
            port.counters.invalid_vlan_frames += 1;
            return out.drop_frame(frame);
        };
        if is_blocked(&port.blocked, &frame) {
            port.counters.receive_drops += 1;
            return out.drop_frame(frame);
        }
        let class = Class { vlan, priority: frame.tag.map_or(0, |tag| tag.priority) };
        let switch = port.switch;
        let from = self.channels.lead(index);
        self.learn(now, switch, vlan, frame.source(), from);
        let destination = frame.destination();
        let known = if destination.is_group() {
            None
        } else {
            self.switches[switch].table.get(Key::new(vlan, destination))
        };
        match known {
            Some(found) if found.value == from => out.drop_frame(frame),
            Some(found) => self.leave(found.value, class, frame, out),
            None => self.flood(switch, from, class, frame, out),
        }
    }

    fn learn(&mut self, now: Monotonic, switch: usize, vlan: u16, source: EthernetAddress, from: Index) {
        let table = &mut self.switches[switch].table;
        let key = Key::new(vlan, source);
        if table.len() < TABLE_SIZE || table.get(key).is_some() {
            table.learn(key, from, seconds(now));
        }
        if self.next_sweep.is_none() {
            self.next_sweep = Some(now.after(SWEEP));
            self.reschedule(now);
        }
    }

    fn flood(&mut self, switch: usize, from: Index, class: Class, frame: Frame, out: &mut Outbox) {
        let mut last = None;
        for position in 0..self.switches[switch].ports.len() {
            let to = self.switches[switch].ports[position];
            let port = &self.ports[to as usize];
            // Of a channel only the first port: it stands for all.
            if to == from || self.channels.lead(to) != to || !port.rule.carries(class.vlan) {
                continue;
            }
            if !port.forwards() && !self.channels.is_lead(to) {
                continue;
            }
            if let Some(to) = last.replace(to) {
                let copy = out.pool.copy(&frame);
                self.leave(to, class, copy, out);
            }
        }
        match last {
            Some(to) => self.leave(to, class, frame, out),
            None => out.drop_frame(frame),
        }
    }

    /// A frame leaves a switch.
    fn leave(&mut self, to: Index, class: Class, mut frame: Frame, out: &mut Outbox) {
        let ports = &self.ports;
        let to = self.channels.choose(to, &frame, |port| ports[port as usize].forwards());
        let Some(port) = self.ports.get_mut(to as usize).filter(|port| port.forwards()) else {
            return out.drop_frame(frame);
        };
        if !port.rule.carries(class.vlan) || is_blocked(&port.blocked, &frame) {
            port.counters.transmit_drops += 1;
            return out.drop_frame(frame);
        }
        frame.tag = port.rule.leave(class.vlan, class.priority);
        port.count_out(&frame);
        match port.end {
            End::Outside(number) => out.send(number, frame),
            End::Port(other) => self.hop(Hop::Port(other, frame), out),
            End::Host(host) => self.hop(Hop::Host(host, frame), out),
            End::Nothing => out.drop_frame(frame),
        }
    }

    pub(super) fn forget_old_addresses(&mut self, now: Monotonic) {
        let seconds = seconds(now);
        let mut left = 0;
        for switch in &mut self.switches {
            switch.table.remove_learned(|_, seen| seconds.saturating_sub(seen) > LEARNED_SECONDS);
            left += switch.table.len();
        }
        self.next_sweep = (left > 0).then(|| now.after(SWEEP));
    }
}
