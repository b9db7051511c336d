//! What is outside the frames: switches, the cables between them, and hosts.
//!
//! ```text
//!   frames, TAP devices, sockets --- cables --- [switch] --- cable --- [switch] --- hosts, consoles
//! ```
//!
//! [`OutsideFabric`] is a [`Place`] built from a site's [`Topology`]. A frame hops from switch to switch inside it, in order, a
//! bounded number of hops at a time: frames that go in a circle through cables of this place keep it busy, as they keep real
//! switches busy, but hold nobody up. By default switches break circles among themselves with a spanning tree; circles that
//! lead through other places are left as they are.
//!
//! A switch port carries its native VLAN untagged and its tagged VLANs tagged. A switch learns addresses, 32,768 at most,
//! forgets them after 300 seconds or with their port's link, and floods what it does not know. Packets to blocked TCP and UDP
//! ports pass in neither direction.

mod build;
mod channel;
mod faults;
mod firewall;
mod hosts;
mod switching;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use varan_contract::network::PortStatistics;
use varan_environment::Monotonic;
use varan_ethernet::Frame;
use varan_model::site::CableEnd;
use varan_station::rmc;

use crate::place::{Outbox, Place, PortNumber};
use crate::table::AddressTable;
use crate::vlan::VlanRule;
use channel::Channels;
use hosts::Host;

/// Index of a switch port.
type Index = u32;
/// No port.
const NOWHERE: Index = Index::MAX;
/// Time between two looks for learned addresses that are too old.
const SWEEP: Duration = Duration::from_secs(60);
/// Frames on cables inside this place at most; more are dropped.
const UNDER_WAY: usize = 4_096;
/// Hops of one call; what is left goes on a moment later.
const HOPS: usize = 1_024;
/// That moment.
const MOMENT: Duration = Duration::from_micros(50);

/// What the outside reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideEvent {
    /// A switch port's link came or went.
    Link {
        /// Switch.
        switch: String,
        /// Port.
        port: String,
        /// Whether it is up.
        up: bool,
    },
    /// Something happened to a console's sessions with partitions.
    Session {
        /// Console.
        console: String,
        /// What.
        event: rmc::ServerEvent,
    },
}

/// What is at the other end of a switch port's cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Nothing,
    /// Another place.
    Outside(PortNumber),
    /// A port of a switch here.
    Port(Index),
    /// A host here.
    Host(usize),
}

struct SwitchPort {
    switch: usize,
    name: Box<str>,
    rule: VlanRule,
    blocked: Box<[u16]>,
    end: End,
    /// The cable is in its socket.
    plugged: bool,
    /// The switch has it turned on.
    enabled: bool,
    /// The carrier from another place.
    far: bool,
    /// Whether frames pass.
    up: bool,
    /// The spanning tree keeps it out.
    blocking: bool,
    counters: PortStatistics,
}

struct Switch {
    name: Box<str>,
    ports: Vec<Index>,
    table: AddressTable,
}

/// A frame on a cable inside this place.
enum Hop {
    /// It enters a switch.
    Port(Index, Frame),
    /// It reaches a host.
    Host(usize, Frame),
}

/// The network outside the frames. See the module.
pub struct OutsideFabric {
    switches: Vec<Switch>,
    ports: Vec<SwitchPort>,
    by_number: Vec<Index>,
    hosts: Vec<Host>,
    host_names: HashMap<String, usize>,
    /// Switch ports by what their cables lead to.
    ends: Vec<(CableEnd, Index)>,
    channels: Channels,
    spanning_tree: bool,
    under_way: VecDeque<Hop>,
    lost_under_way: u64,
    events: Vec<OutsideEvent>,
    next_sweep: Option<Monotonic>,
    due: Option<Monotonic>,
    /// Frames that a host sends.
    sent: Vec<(varan_station::InterfaceId, Frame)>,
}

impl OutsideFabric {
    /// Notes when there is something to do next.
    fn reschedule(&mut self, now: Monotonic) {
        let stalled = (!self.under_way.is_empty()).then(|| now.after(MOMENT));
        let hosts = self.hosts.iter().filter_map(Host::next_due).min();
        let channels = self.channels.next_due();
        self.due = [stalled, hosts, channels, self.next_sweep].into_iter().flatten().min();
    }

    /// Lets frames hop until all have left or arrived, or enough hops are done.
    fn run(&mut self, now: Monotonic, out: &mut Outbox) {
        let mut hosts = false;
        for _ in 0..HOPS {
            match self.under_way.pop_front() {
                Some(Hop::Port(port, frame)) => self.enter(now, port, frame, out),
                Some(Hop::Host(host, frame)) => {
                    hosts = true;
                    self.reach_host(now, host, frame, out);
                }
                None => break,
            }
        }
        if hosts || !self.under_way.is_empty() {
            self.reschedule(now);
        }
    }

    fn hop(&mut self, hop: Hop, out: &mut Outbox) {
        if self.under_way.len() < UNDER_WAY {
            self.under_way.push_back(hop);
        } else {
            self.lost_under_way += 1;
            let (Hop::Port(_, frame) | Hop::Host(_, frame)) = hop;
            out.drop_frame(frame);
        }
    }

    /// Frames that were lost because too many were on cables inside this place: more than a few speak of a circle.
    #[must_use]
    pub fn lost_under_way(&self) -> u64 {
        self.lost_under_way
    }

    /// Counters of a switch port; `received` came in over its cable. `None` where there is no such port.
    #[must_use]
    pub fn statistics(&self, switch: &str, port: &str) -> Option<PortStatistics> {
        let port = self.ports.get(self.find_port(switch, port)? as usize)?;
        Some(PortStatistics { link_up: port.up, ..port.counters })
    }

    fn find_port(&self, switch: &str, port: &str) -> Option<Index> {
        let switch = self.switches.iter().find(|known| *known.name == *switch)?;
        switch.ports.iter().copied().find(|index| *self.ports[*index as usize].name == *port)
    }
}

impl Place for OutsideFabric {
    type Event = OutsideEvent;

    fn receive(&mut self, now: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox) {
        match self.by_number.get(port.0 as usize).copied().filter(|index| *index != NOWHERE) {
            Some(index) if self.under_way.is_empty() => self.enter(now, index, frame, out),
            Some(index) => self.hop(Hop::Port(index, frame), out),
            None => return out.drop_frame(frame),
        }
        self.run(now, out);
    }

    fn carrier(&mut self, now: Monotonic, port: PortNumber, up: bool, out: &mut Outbox) {
        let index = self.by_number.get(port.0 as usize).copied().unwrap_or(NOWHERE);
        if let Some(port) = self.ports.get_mut(index as usize) {
            port.far = up;
            self.update_link(now, index, out);
            self.run(now, out);
            self.reschedule(now);
        }
    }

    fn tick(&mut self, now: Monotonic, out: &mut Outbox) {
        if self.next_sweep.is_some_and(|due| due <= now) {
            self.forget_old_addresses(now);
        }
        self.tick_channels(now, out);
        self.tick_hosts(now, out);
        self.run(now, out);
        self.reschedule(now);
    }

    fn next_due(&self) -> Option<Monotonic> {
        self.due
    }

    fn take_events(&mut self) -> Vec<OutsideEvent> {
        std::mem::take(&mut self.events)
    }
}
