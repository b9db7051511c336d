//! Ports of the hypervisor: what is known of each, what it counts, and how a frame leaves through it.

use varan_contract::engine::AllowedAddresses;
use varan_contract::network::PortStatistics;
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, HEADER_BYTES, LARGE_SEND_BYTES, VlanTag};
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, PartitionUuid};

use crate::place::{Outbox, PortNumber};
use crate::table::{AddressTable, Key};
use crate::vlan::{VlanRule, VlanSet};
use crate::vnic::is_probe_address;

/// Index of a port in [`Ports`].
pub(super) type Index = u32;
/// No port.
pub(super) const NOWHERE: Index = Index::MAX;

/// What is at the other end of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortEnd {
    /// A guest of an engine: it takes frames while it listens, and is told of its link by events.
    Guest,
    /// Another place: it takes frames while its side has a carrier, and is told by the hypervisor's carrier.
    Link,
}

/// Whose port it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortOwner {
    /// Partition.
    pub partition: PartitionUuid,
    /// Its number.
    pub id: PartitionId,
    /// What is at the other end.
    pub end: PortEnd,
}

/// Which way a captured frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the port's owner.
    FromOwner,
    /// To the port's owner.
    ToOwner,
}

/// Sees the frames of a port, with the tags that the port's owner sees. Called while frames pass; must not block.
pub type Capture = Box<dyn FnMut(Monotonic, Direction, &Frame) + Send>;

/// A trunk adapter's standing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trunk {
    pub(super) priority: u8,
    /// What its server said last.
    pub(super) said: Option<bool>,
    /// How its uplink is, where its server watches that.
    pub(super) uplink: Option<bool>,
}

/// What kind of port it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Not in use.
    Free,
    /// Virtual Ethernet.
    Ethernet(Option<Trunk>),
    /// SR-IOV logical port. With `server`, its frames are those of the virtual NIC `client`, while there is one.
    Logical { id: LogicalPortId, promiscuous: bool, server: bool, client: Index },
    /// Virtual NIC: its frames go over a logical port, if an administrator has not cut it off and one of its devices works.
    Vnic { active: Index, disabled: bool, link_up: bool },
    /// A physical port's cable.
    Cable,
    /// A physical port's owner, which has it for itself; frames go from and to `cable`.
    Dedicated { cable: Index },
    /// Where a Virtual I/O Server gives signs of life.
    Control,
}

/// One port.
pub(super) struct Port {
    pub(super) number: Option<PortNumber>,
    pub(super) owner: Option<PortOwner>,
    pub(super) kind: Kind,
    pub(super) rule: VlanRule,
    pub(super) address: EthernetAddress,
    pub(super) allowed: Allowed,
    /// Priority of all frames of the owner.
    pub(super) priority: Option<u8>,
    /// Priority of its untagged frames.
    pub(super) untagged_priority: u8,
    /// Largest payload of a frame that is not to be cut.
    pub(super) most_payload: usize,
    /// Index of the switch that it is in.
    pub(super) switch: Index,
    /// Name of the virtual switch, or location code of the physical port, that it belongs in.
    pub(super) place: Box<str>,
    /// Whether somebody takes its frames.
    pub(super) usable: bool,
    pub(super) capture: Option<Capture>,
    pub(super) counters: PortStatistics,
    /// Addresses learned from its frames.
    pub(super) learned: Vec<Key>,
    /// VLANs of tagged frames that went over a backing device.
    pub(super) used: Option<Box<[u64; 64]>>,
    /// What its owner was last told of its link: physical, logical.
    pub(super) told: Option<(bool, bool)>,
}

/// Addresses that frames of a port may come from.
#[derive(Clone, Debug)]
pub(super) enum Allowed {
    All,
    Own,
    Only(Box<[EthernetAddress]>),
}

impl Allowed {
    pub(super) fn of(addresses: &AllowedAddresses) -> Self {
        match addresses {
            AllowedAddresses::All => Self::All,
            AllowedAddresses::None => Self::Own,
            AllowedAddresses::Only(list) => Self::Only(list.iter().map(|mac| ethernet(*mac)).collect()),
        }
    }

    fn contains(&self, address: EthernetAddress) -> bool {
        match self {
            Self::All => true,
            Self::Own => false,
            Self::Only(list) => list.contains(&address),
        }
    }
}

/// An address as it stands in frames.
pub(super) fn ethernet(mac: MacAddress) -> EthernetAddress {
    let [_, _, bytes @ ..] = mac.0.to_be_bytes();
    EthernetAddress(bytes)
}

impl Port {
    /// A port that does nothing yet.
    pub(super) fn new(number: Option<PortNumber>, owner: Option<PortOwner>, kind: Kind) -> Self {
        Self {
            number,
            owner,
            kind,
            rule: VlanRule { port_vlan: 0, tagged: VlanSet::None },
            address: EthernetAddress::default(),
            allowed: Allowed::All,
            priority: None,
            untagged_priority: 0,
            most_payload: LARGE_SEND_BYTES,
            switch: NOWHERE,
            place: Box::default(),
            usable: false,
            capture: None,
            counters: PortStatistics::default(),
            learned: Vec::new(),
            used: None,
            told: None,
        }
    }

    pub(super) fn trunk(&self) -> Option<Trunk> {
        match self.kind {
            Kind::Ethernet(trunk) => trunk,
            _ => None,
        }
    }

    pub(super) fn is_server_end(&self) -> bool {
        self.owner.is_some_and(|owner| owner.end == PortEnd::Link)
    }

    /// Remembers in which VLANs the client of a backing device is.
    pub(super) fn note_tag(&mut self, tag: Option<VlanTag>) {
        if let Some(VlanTag { id: vlan @ 1..4_095, .. }) = tag {
            let used = self.used.get_or_insert_with(|| Box::new([0; 64]));
            used[usize::from(vlan >> 6)] |= 1 << (vlan & 63);
        }
    }

    /// Whether a frame from this address may come from the owner.
    pub(super) fn may_send_from(&self, source: EthernetAddress) -> bool {
        source == self.address || self.trunk().is_some() || self.allowed.contains(source)
    }

    /// Whether a frame is short enough, as it is or cut into segments.
    pub(super) fn takes_size_of(&self, frame: &Frame) -> bool {
        let whole = match frame.offload.segment {
            Some((payload, _)) => usize::from(payload) + usize::from(frame.offload.header_bytes),
            None => frame.bytes().len(),
        };
        frame.bytes().len() <= LARGE_SEND_BYTES && whole <= self.most_payload.saturating_add(HEADER_BYTES)
    }

    /// Shows a frame to whoever captures the port's.
    pub(super) fn show(&mut self, now: Monotonic, direction: Direction, frame: &Frame) {
        if let Some(capture) = &mut self.capture {
            capture(now, direction, frame);
        }
    }

    /// Counts a frame that the owner sent.
    pub(super) fn count_from_owner(&mut self, frame: &Frame) {
        // A cable's counters are those of its physical port: what comes in from outside was received.
        self.count(frame, !matches!(self.kind, Kind::Cable));
    }

    /// Counts a frame that the owner gets.
    pub(super) fn count_to_owner(&mut self, frame: &Frame) {
        self.count(frame, matches!(self.kind, Kind::Cable));
    }

    fn count(&mut self, frame: &Frame, transmitted: bool) {
        let destination = frame.destination();
        let broadcast = destination.is_broadcast();
        let multicast = destination.is_group() && !broadcast;
        let counters = &mut self.counters;
        if transmitted {
            counters.transmitted_frames += 1;
            counters.transmitted_bytes += frame.wire_bytes() as u64;
            counters.transmitted_broadcasts += u64::from(broadcast);
            counters.transmitted_multicasts += u64::from(multicast);
        } else {
            counters.received_frames += 1;
            counters.received_bytes += frame.wire_bytes() as u64;
            counters.received_broadcasts += u64::from(broadcast);
            counters.received_multicasts += u64::from(multicast);
        }
    }
}

/// A frame in a switch, its tag taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    pub(super) vlan: u16,
    pub(super) priority: u8,
}

/// All ports of a hypervisor.
#[derive(Default)]
pub(super) struct Ports {
    ports: Vec<Port>,
    free: Vec<Index>,
    by_number: Vec<Index>,
    /// Answers to probes that came in over a backing device, for its virtual NIC's machine.
    pub(super) answers: Vec<(Index, Frame)>,
}

impl Ports {
    pub(super) fn add(&mut self, port: Port) -> Index {
        let number = port.number;
        let index = match self.free.pop() {
            Some(index) => {
                self.ports[index as usize] = port;
                index
            }
            None => {
                self.ports.push(port);
                Index::try_from(self.ports.len() - 1).unwrap_or(NOWHERE)
            }
        };
        if let Some(PortNumber(number)) = number {
            let number = number as usize;
            if self.by_number.len() <= number {
                self.by_number.resize(number + 1, NOWHERE);
            }
            self.by_number[number] = index;
        }
        index
    }

    /// Takes a port that is in no switch any more.
    pub(super) fn remove(&mut self, index: Index) -> Port {
        let port = std::mem::replace(&mut self.ports[index as usize], Port::new(None, None, Kind::Free));
        if let Some(PortNumber(number)) = port.number
            && let Some(at) = self.by_number.get_mut(number as usize)
            && *at == index
        {
            *at = NOWHERE;
        }
        self.free.push(index);
        port
    }

    pub(super) fn find(&self, number: PortNumber) -> Option<Index> {
        self.by_number.get(number.0 as usize).copied().filter(|index| *index != NOWHERE)
    }

    pub(super) fn get(&self, index: Index) -> Option<&Port> {
        self.ports.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, index: Index) -> Option<&mut Port> {
        self.ports.get_mut(index as usize)
    }

    /// All ports in use.
    pub(super) fn each(&self) -> impl Iterator<Item = (Index, &Port)> {
        let used = |(_, port): &(usize, &Port)| !matches!(port.kind, Kind::Free);
        let ports = self.ports.iter().enumerate().filter(used);
        ports.map(|(index, port)| (Index::try_from(index).unwrap_or(NOWHERE), port))
    }

    /// A learned address is not this port's any more.
    pub(super) fn forget(&mut self, index: Index, key: Key) {
        if let Some(port) = self.ports.get_mut(index as usize) {
            port.learned.retain(|known| *known != key);
        }
    }

    /// Forgets learned addresses that are not in their table any more.
    pub(super) fn forget_removed(&mut self, switch: Index, table: &AddressTable) {
        for port in self.ports.iter_mut().filter(|port| port.switch == switch) {
            port.learned.retain(|key| table.get(*key).is_some_and(|found| !found.fixed));
        }
    }

    /// Hands a frame to a port's owner; true if the owner got it.
    pub(super) fn deliver(
        &mut self,
        now: Monotonic,
        to: Index,
        class: Class,
        mut frame: Frame,
        out: &mut Outbox,
    ) -> bool {
        let Some(port) = self.ports.get_mut(to as usize) else {
            out.drop_frame(frame);
            return false;
        };
        frame.tag = port.rule.leave(class.vlan, class.priority);
        let via = match port.kind {
            Kind::Logical { server: true, client, .. } => {
                if is_probe_address(frame.destination(), port.address) {
                    self.answers.push((to, frame));
                    return true;
                }
                client
            }
            Kind::Cable if class.vlan == 0 && class.priority != 0 => {
                // On a wire a priority alone is a tag of no VLAN.
                frame.tag = Some(VlanTag { id: 0, priority: class.priority });
                to
            }
            _ => to,
        };
        if !port.rule.carries(class.vlan) || !port.takes_size_of(&frame) {
            out.drop_frame(frame);
            return false;
        }
        if via != to {
            port.count_to_owner(&frame);
        }
        self.hand_over(now, via, frame, out)
    }

    /// The last step of a frame: out of a port as it is.
    pub(super) fn hand_over(&mut self, now: Monotonic, to: Index, frame: Frame, out: &mut Outbox) -> bool {
        let Some(port) = self.ports.get_mut(to as usize) else {
            out.drop_frame(frame);
            return false;
        };
        let cut_off = |kind| matches!(kind, Kind::Vnic { disabled, link_up, .. } if disabled || !link_up);
        let blocked = !port.usable || cut_off(port.kind);
        let Some(number) = port.number.filter(|_| !blocked) else {
            port.counters.receive_drops += 1;
            out.drop_frame(frame);
            return false;
        };
        port.count_to_owner(&frame);
        port.show(now, Direction::ToOwner, &frame);
        out.send(number, frame);
        true
    }
}
