//! A device in the server's graph of devices.

use varan_contract::network::{PortPlace, PortStatistics};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};

use super::aggregation::Aggregation;
use super::sea::Sea;
use crate::place::PortNumber;

/// What a device is.
pub(super) enum Device {
    /// A port of an adapter.
    Port {
        place: PortPlace,
        /// Port of the place, once the owner gave one.
        port: Option<PortNumber>,
    },
    Aggregation(Box<Aggregation>),
    Bridge(Box<Sea>),
    Vlan {
        base: usize,
        vlan: u16,
    },
}

/// Who gets what comes in through a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// VLAN devices and an interface, if any.
    Above,
    /// An aggregation, as its link of that number.
    Aggregation(usize, usize),
    /// A Shared Ethernet Adapter, as its real device.
    Real(usize),
    /// As its trunk adapter of that number.
    Trunk(usize, usize),
    /// As its control channel.
    Control(usize),
}

/// The devices below a Shared Ethernet Adapter.
pub(super) struct Below {
    pub real: usize,
    pub trunks: Vec<usize>,
    pub control: Option<usize>,
}

/// A device.
pub(super) struct Node {
    pub name: String,
    pub address: EthernetAddress,
    pub device: Device,
    pub user: User,
    /// What a Shared Ethernet Adapter consists of.
    pub below: Option<Below>,
    /// VLAN devices over it.
    pub vlans: Vec<(u16, usize)>,
    /// An interface over it is in use.
    pub interface: bool,
    pub up: bool,
    /// It had a carrier once.
    pub was_up: bool,
    /// An aggregation that goes over its backup.
    pub on_backup: bool,
    pub counters: PortStatistics,
    /// Since when it counts.
    pub since: Monotonic,
}

impl Node {
    /// A frame came in.
    pub fn count_in(&mut self, frame: &Frame) {
        let counters = &mut self.counters;
        counters.received_frames += 1;
        counters.received_bytes += frame.wire_bytes() as u64;
        let destination = frame.destination();
        if destination.is_broadcast() {
            counters.received_broadcasts += 1;
        } else if destination.is_group() {
            counters.received_multicasts += 1;
        }
    }

    /// A frame goes out.
    pub fn count_out(&mut self, frame: &Frame) {
        let counters = &mut self.counters;
        counters.transmitted_frames += 1;
        counters.transmitted_bytes += frame.wire_bytes() as u64;
        let destination = frame.destination();
        if destination.is_broadcast() {
            counters.transmitted_broadcasts += 1;
        } else if destination.is_group() {
            counters.transmitted_multicasts += 1;
        }
    }
}
