//! The hypervisor of a frame: virtual switches, embedded switches of SR-IOV ports, virtual NICs, physical ports.
//!
//! ```text
//!   guests ----------- virtual Ethernet --- [virtual switch] --- trunk adapters -- Virtual I/O Servers
//!      |  |                                                                             |
//!      |  +--- virtual NIC ---+                                                         | ports of their own
//!      |                      | over the active backing device                          |
//!      +--- logical port -----+------- [embedded switch] ------- physical port ---------+---- cable ---- outside
//! ```
//!
//! [`HypervisorFabric`] is a [`Place`]: frames enter and leave through ports whose numbers its owner gives. Tables grow to the
//! largest number, so numbers should be small. What a frame passes:
//!
//! 1. Its source must be the adapter's own address or an allowed one; else it is dropped and counted.
//! 2. Its VLAN must be one of the port (the port VLAN for untagged frames, and for those with only a priority); else it is
//!    dropped and counted.
//! 3. The switch's table of addresses decides who gets it (`switch.rs`). An adapter's own address is always in the table; other
//!    addresses that its guest may use are learned from its frames, 64 for each port.
//! 4. It leaves untagged where its VLAN is the port's own, tagged elsewhere.
//!
//! A frame on this way allocates nothing once buffers and tables are warm, takes no lock, and its cost does not depend on how
//! many ports a switch has, but for frames to groups.

mod links;
mod path;
mod plug;
mod port;
mod questions;
mod switch;
#[cfg(test)]
mod tests;
mod trunks;
mod virtual_nic;
mod vnic_servers;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use varan_contract::network::PortEvent;
use varan_environment::Monotonic;
use varan_ethernet::Frame;
use varan_model::ids::{LogicalPortId, PartitionId, PartitionUuid, VirtualSlot};

use crate::control::{Control, VnicClient};
use crate::place::{Outbox, Place, PortNumber};
pub use port::{Capture, Direction, PortEnd, PortOwner};
use port::{Index, Ports};
use switch::{LEARNED_SECONDS, Switch};
use virtual_nic::{ServerLife, VirtualNic};
use vnic_servers::ServerEnd;

/// Time between two looks for learned addresses that are too old.
const SWEEP: Duration = Duration::from_secs(60);

/// What the hypervisor reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HypervisorEvent {
    /// Something happened to a guest's port.
    Port {
        /// Port.
        port: PortNumber,
        /// What.
        event: PortEvent,
    },
    /// A physical port's link came or went.
    PhysicalPort {
        /// Location code.
        location: String,
        /// Whether it is up.
        link_up: bool,
    },
    /// A virtual NIC's frames go over a backing device from now on, or do not any more: its server notes it.
    VnicServer {
        /// The server's partition.
        server: PartitionId,
        /// Slot of the server adapter.
        slot: VirtualSlot,
        /// It is the active one now.
        active: bool,
    },
}

/// How a Virtual I/O Server is asked for signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time between two questions.
    pub interval: Duration,
    /// A server without answer for so long is taken for dead.
    pub patience: Duration,
}

impl Default for Heartbeat {
    /// Every 250 ms; dead after a second.
    fn default() -> Self {
        Self { interval: Duration::from_millis(250), patience: Duration::from_secs(1) }
    }
}

/// Whose virtual NIC, and where.
type VnicKey = (PartitionUuid, VirtualSlot);

/// A physical port of the machine.
struct Physical {
    cable: Index,
    /// Embedded switch while it is shared.
    switch: Option<Index>,
    /// Port of the owner that has it for itself.
    owner: Option<Index>,
    /// Largest payload of a frame.
    payload: usize,
}

/// The network of one frame's hypervisor. See the module.
pub struct HypervisorFabric {
    ports: Ports,
    switches: Vec<Option<Switch>>,
    switch_names: HashMap<Box<str>, Index>,
    physical: BTreeMap<Box<str>, Physical>,
    logical: HashMap<LogicalPortId, Index>,
    vnics: BTreeMap<VnicKey, VirtualNic>,
    vnic_keys: HashMap<Index, VnicKey>,
    /// Logical ports of server adapters, by server and slot.
    vnic_servers: BTreeMap<ServerEnd, Index>,
    /// Their priorities, as the servers have them.
    server_priorities: BTreeMap<ServerEnd, u8>,
    /// What the servers were told of them.
    server_news: BTreeMap<ServerEnd, Control>,
    /// What clients of virtual NICs say of themselves.
    vnic_clients: HashMap<VnicKey, VnicClient>,
    servers: BTreeMap<PartitionId, ServerLife>,
    listening: HashSet<PartitionUuid>,
    heartbeat: Heartbeat,
    events: Vec<HypervisorEvent>,
    seed: u64,
    next_sweep: Option<Monotonic>,
    due: Option<Monotonic>,
}

impl HypervisorFabric {
    /// A hypervisor without any port. `seed` is random, so that no guest can choose addresses that slow a table down.
    #[must_use]
    pub fn new(seed: u64, heartbeat: Heartbeat) -> Self {
        Self {
            ports: Ports::default(),
            switches: Vec::new(),
            switch_names: HashMap::new(),
            physical: BTreeMap::new(),
            logical: HashMap::new(),
            vnics: BTreeMap::new(),
            vnic_keys: HashMap::new(),
            listening: HashSet::new(),
            vnic_servers: BTreeMap::new(),
            server_priorities: BTreeMap::new(),
            server_news: BTreeMap::new(),
            vnic_clients: HashMap::new(),
            servers: BTreeMap::new(),
            heartbeat,
            events: Vec::new(),
            seed,
            next_sweep: None,
            due: None,
        }
    }

    /// Sees the frames of a port from now on, both ways; `None` ends that. It also ends when the port is taken out.
    pub fn set_capture(&mut self, port: PortNumber, capture: Option<Capture>) {
        if let Some(port) = self.ports.find(port).and_then(|index| self.ports.get_mut(index)) {
            port.capture = capture;
        }
    }

    fn switch_mut(&mut self, index: Index) -> Option<&mut Switch> {
        self.switches.get_mut(index as usize)?.as_mut()
    }

    fn forget_old_addresses(&mut self, now: Monotonic) {
        let seconds = path::seconds(now);
        for (index, switch) in (0..).zip(&mut self.switches) {
            let Some(switch) = switch.as_mut().filter(|switch| switch.learned > 0) else { continue };
            let mut removed = 0;
            switch.table.remove_learned(|_, seen| {
                let old = seconds.saturating_sub(seen) > LEARNED_SECONDS;
                removed += usize::from(old);
                old
            });
            switch.learned -= removed;
            if removed > 0 {
                self.ports.forget_removed(index, &switch.table);
            }
        }
    }

    /// Notes when there is something to do next.
    fn reschedule(&mut self) {
        let vnics = self.vnics.values().filter_map(VirtualNic::next_due);
        let lives = self.servers.values().filter_map(|life| life.next_due(self.heartbeat));
        self.due = vnics.chain(lives).chain(self.next_sweep).min();
    }
}

impl Place for HypervisorFabric {
    type Event = HypervisorEvent;

    fn receive(&mut self, now: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox) {
        match self.ports.find(port) {
            Some(index) => self.enter(now, index, frame, out),
            None => out.drop_frame(frame),
        }
    }

    fn carrier(&mut self, now: Monotonic, port: PortNumber, up: bool, out: &mut Outbox) {
        if let Some(index) = self.ports.find(port) {
            self.carrier_of(now, index, up, out);
            self.reschedule();
        }
    }

    fn tick(&mut self, now: Monotonic, out: &mut Outbox) {
        if self.next_sweep.is_some_and(|due| due <= now) {
            self.forget_old_addresses(now);
            let learned = self.switches.iter().flatten().any(|switch| switch.learned > 0);
            self.next_sweep = learned.then(|| now.after(SWEEP));
        }
        self.tick_servers(now, out);
        self.tick_vnics(now, out);
        self.reschedule();
    }

    fn next_due(&self) -> Option<Monotonic> {
        self.due
    }

    fn take_events(&mut self) -> Vec<HypervisorEvent> {
        std::mem::take(&mut self.events)
    }
}
