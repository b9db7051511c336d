//! The station: its interfaces, addresses and routes, and its timers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::IpAddr;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};

use crate::capture::Capture;
use crate::echo::{Echo, EchoId};
use crate::fragment::Reassembly;
use crate::neighbour::NeighbourTable;
use crate::tcp::{Connections, TcpId};
use crate::{InterfaceId, Prefix, Route, Rule, link_local};

/// Datagrams that wait for the owner at one port; further ones are dropped.
const DATAGRAMS: usize = 256;

/// Why a station does not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationError {
    /// There is no such interface, socket or listener.
    Unknown,
    /// The address, or the port, is in use.
    InUse,
    /// No route leads there, or the interface is down.
    Unreachable,
    /// Larger than what can be sent.
    TooLarge,
    /// A filter refuses it.
    Refused,
    /// There is no room; later there may be.
    Full,
}

impl fmt::Display for StationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "no such interface or socket",
            Self::InUse => "address already in use",
            Self::Unreachable => "no route to host",
            Self::TooLarge => "message too long",
            Self::Refused => "operation not permitted",
            Self::Full => "no buffer space available",
        })
    }
}

impl std::error::Error for StationError {}

/// What an interface begins with. It is up and has no carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSetup {
    /// Name (`en0`).
    pub name: String,
    /// Address.
    pub address: EthernetAddress,
    /// Largest packet in bytes, 68 to 65,535; frames of stations usually carry 1,500 or 9,000.
    pub mtu: u16,
    /// It has a link-local IPv6 address, made from its Ethernet address.
    pub link_local: bool,
}

/// Counters of an interface since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received for this station.
    pub received_frames: u64,
    /// Bytes of them with their headers.
    pub received_bytes: u64,
    /// Of them to all stations.
    pub received_broadcasts: u64,
    /// Of them to several stations, without those to all.
    pub received_multicasts: u64,
    /// Of them damaged: cut, or with a wrong checksum.
    pub receive_errors: u64,
    /// Of them refused by a filter, or without room.
    pub receive_drops: u64,
    /// Frames sent.
    pub transmitted_frames: u64,
    /// Bytes of them with their headers.
    pub transmitted_bytes: u64,
    /// Of them to all stations.
    pub transmitted_broadcasts: u64,
    /// Of them to several stations, without those to all.
    pub transmitted_multicasts: u64,
    /// Packets that could not be sent: the interface is down or has no carrier.
    pub transmit_drops: u64,
    /// Packets from other stations that said they have an address of this one.
    pub address_conflicts: u64,
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    pub(crate) setup: InterfaceSetup,
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    pub(crate) addresses: Vec<Prefix>,
    pub(crate) counters: Counters,
}

impl Interface {
    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.setup.name
    }

    /// Ethernet address.
    #[must_use]
    pub fn address(&self) -> EthernetAddress {
        self.setup.address
    }

    /// Largest packet in bytes.
    #[must_use]
    pub fn mtu(&self) -> u16 {
        self.setup.mtu
    }

    /// Whether its owner wants it to be used.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Whether there is a link.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        self.carrier
    }

    /// Its addresses with their networks, in the order in which they came, those of IPv4 first.
    #[must_use]
    pub fn addresses(&self) -> &[Prefix] {
        &self.addresses
    }

    /// Its counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether packets can leave it.
    #[must_use]
    pub fn works(&self) -> bool {
        self.up && self.carrier
    }
}

/// A datagram that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Interface that it came in by; `None` for one from this station itself.
    pub interface: Option<InterfaceId>,
    /// Who sent it.
    pub source: (IpAddr, u16),
    /// Address that it was sent to.
    pub destination: IpAddr,
    /// What it carries.
    pub bytes: Vec<u8>,
}

/// What a station waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Neighbour(InterfaceId, IpAddr),
    Echo(EchoId),
    Connection(TcpId),
}

/// A station.
pub struct Station {
    pub(crate) interfaces: Vec<Option<Interface>>,
    pub(crate) routes: Vec<Route>,
    pub(crate) neighbours: NeighbourTable,
    pub(crate) timers: BTreeSet<(Monotonic, Timer)>,
    pub(crate) outgoing: Vec<(InterfaceId, Frame)>,
    pub(crate) local: VecDeque<Vec<u8>>,
    pub(crate) datagrams: BTreeMap<u16, VecDeque<Datagram>>,
    pub(crate) connections: Connections,
    pub(crate) echoes: BTreeMap<EchoId, Echo>,
    pub(crate) last_echo: u16,
    pub(crate) rules: Vec<Rule>,
    pub(crate) capture: Option<Box<Capture>>,
    pub(crate) reassembly: Reassembly,
    pub(crate) forwarding: bool,
    /// Hops of answers to IPv4 echo requests.
    pub(crate) answer_hops: u8,
    pub(crate) identification: u16,
    pub(crate) last_error: Option<Monotonic>,
    seed: u64,
}

impl fmt::Debug for Station {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Station").field("interfaces", &self.interfaces).finish_non_exhaustive()
    }
}

impl Station {
    /// A station without interfaces. Sequence numbers and ephemeral ports follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            interfaces: Vec::new(),
            routes: Vec::new(),
            neighbours: NeighbourTable::default(),
            timers: BTreeSet::new(),
            outgoing: Vec::new(),
            local: VecDeque::new(),
            datagrams: BTreeMap::new(),
            connections: Connections::default(),
            echoes: BTreeMap::new(),
            last_echo: 0,
            rules: Vec::new(),
            capture: None,
            reassembly: Reassembly::default(),
            forwarding: false,
            answer_hops: crate::output::HOPS,
            identification: 0,
            last_error: None,
            seed,
        }
    }

    /// The next of a row of numbers that follow from the seed (SplitMix64).
    pub(crate) fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Adds an interface.
    pub fn add_interface(&mut self, setup: InterfaceSetup) -> InterfaceId {
        let id = InterfaceId(u16::try_from(self.interfaces.len()).unwrap_or(u16::MAX));
        let addresses =
            if setup.link_local { vec![Prefix::new(link_local(setup.address), 64)] } else { Vec::new() };
        let interface =
            Interface { setup, up: true, carrier: false, addresses, counters: Counters::default() };
        self.interfaces.push(Some(interface));
        id
    }

    /// Takes an interface away, with its routes and neighbours.
    pub fn remove_interface(&mut self, id: InterfaceId) {
        if let Some(interface) = self.interfaces.get_mut(usize::from(id.0)) {
            *interface = None;
        }
        self.routes.retain(|route| route.interface != Some(id));
        self.forget_neighbours(id);
    }

    /// An interface.
    #[must_use]
    pub fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(usize::from(id.0))?.as_ref()
    }

    pub(crate) fn interface_mut(&mut self, id: InterfaceId) -> Option<&mut Interface> {
        self.interfaces.get_mut(usize::from(id.0))?.as_mut()
    }

    /// All interfaces in the order in which they were added.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        self.interfaces
            .iter()
            .enumerate()
            .filter_map(|(at, interface)| Some((InterfaceId(u16::try_from(at).ok()?), interface.as_ref()?)))
    }

    /// The interface of that name.
    #[must_use]
    pub fn interface_named(&self, name: &str) -> Option<InterfaceId> {
        self.interfaces().find(|(_, interface)| interface.name() == name).map(|(id, _)| id)
    }

    /// Uses an interface, or does not use it any more. One that comes up announces its addresses.
    pub fn set_up(&mut self, now: Monotonic, id: InterfaceId, up: bool) {
        self.change(now, id, |interface| interface.up = up);
    }

    /// The link of an interface came or went. One that gets its link announces its addresses.
    pub fn set_carrier(&mut self, now: Monotonic, id: InterfaceId, carrier: bool) {
        self.change(now, id, |interface| interface.carrier = carrier);
    }

    fn change(&mut self, now: Monotonic, id: InterfaceId, change: impl FnOnce(&mut Interface)) {
        let Some(interface) = self.interface_mut(id) else { return };
        let before = interface.works();
        change(interface);
        match (before, interface.works()) {
            (false, true) => self.announce(now, id),
            (true, false) => self.forget_neighbours(id),
            _ => {}
        }
    }

    /// Changes the largest packet of an interface.
    pub fn set_mtu(&mut self, id: InterfaceId, mtu: u16) {
        if let Some(interface) = self.interface_mut(id) {
            interface.setup.mtu = mtu;
        }
    }

    /// Changes the Ethernet address of an interface; its link-local address stays what it was.
    pub fn set_address(&mut self, now: Monotonic, id: InterfaceId, address: EthernetAddress) {
        if let Some(interface) = self.interface_mut(id) {
            interface.setup.address = address;
            self.announce(now, id);
        }
    }

    /// Gives an interface an address, and announces it.
    ///
    /// # Errors
    /// [`StationError::Unknown`] without such an interface, [`StationError::InUse`] when the station has the address.
    pub fn add_address(
        &mut self,
        now: Monotonic,
        id: InterfaceId,
        address: Prefix,
    ) -> Result<(), StationError> {
        if !is_unicast(address.address) {
            return Err(StationError::Unreachable);
        }
        let elsewhere = self.interfaces().any(|(other, interface)| {
            (other == id || !crate::is_link_local(address.address))
                && interface.addresses.iter().any(|own| own.address == address.address)
        });
        let interface = self.interface_mut(id).ok_or(StationError::Unknown)?;
        if elsewhere {
            return Err(StationError::InUse);
        }
        let sixth =
            interface.addresses.iter().position(|own| own.address.is_ipv6() && address.address.is_ipv4());
        let at = sixth.unwrap_or(interface.addresses.len());
        interface.addresses.insert(at, address);
        if interface.works() {
            self.announce_address(now, id, address.address);
        }
        Ok(())
    }

    /// Takes an address from an interface. True if it had it.
    pub fn remove_address(&mut self, id: InterfaceId, address: IpAddr) -> bool {
        let Some(interface) = self.interface_mut(id) else { return false };
        let before = interface.addresses.len();
        interface.addresses.retain(|own| own.address != address);
        before != interface.addresses.len()
    }

    /// Adds a route; one to the same network by the same gateway is replaced.
    pub fn add_route(&mut self, route: Route) {
        self.routes.retain(|other| {
            (other.destination.network(), other.destination.length, other.gateway)
                != (route.destination.network(), route.destination.length, route.gateway)
        });
        self.routes.push(route);
    }

    /// Takes the routes to a network away, all or the one over a gateway. True if there was one.
    pub fn remove_route(&mut self, destination: Prefix, gateway: Option<IpAddr>) -> bool {
        let before = self.routes.len();
        self.routes.retain(|route| {
            (route.destination.network(), route.destination.length)
                != (destination.network(), destination.length)
                || gateway.is_some() && route.gateway != gateway
        });
        before != self.routes.len()
    }

    /// Routes that were added; those of the interfaces' own networks are not among them.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Passes packets for others on, as a router does.
    pub fn set_forwarding(&mut self, forwarding: bool) {
        self.forwarding = forwarding;
    }

    /// How many hops an answer to an IPv4 echo request may take: operating systems are known by it.
    pub fn set_answer_hops(&mut self, hops: u8) {
        self.answer_hops = hops;
    }

    /// Sets what is let through; the first rule that fits decides, what none fits goes through.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        self.rules = rules;
    }

    /// The rules of what is let through.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether an address is one of this station: on an interface that is up, or a loopback address.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || self.interfaces().any(|(_, interface)| {
                interface.up && interface.addresses.iter().any(|own| own.address == address)
            })
    }

    /// Opens a UDP port.
    ///
    /// # Errors
    /// [`StationError::InUse`].
    pub fn udp_open(&mut self, port: u16) -> Result<(), StationError> {
        if self.datagrams.contains_key(&port) {
            return Err(StationError::InUse);
        }
        self.datagrams.insert(port, VecDeque::new());
        Ok(())
    }

    /// Closes a UDP port; datagrams that wait are lost.
    pub fn udp_close(&mut self, port: u16) {
        self.datagrams.remove(&port);
    }

    /// Takes the next datagram that came to a port.
    pub fn udp_receive(&mut self, port: u16) -> Option<Datagram> {
        self.datagrams.get_mut(&port)?.pop_front()
    }

    /// Keeps a datagram for the owner. False when nobody has opened the port.
    pub(crate) fn keep_datagram(&mut self, port: u16, datagram: Datagram) -> bool {
        let Some(waiting) = self.datagrams.get_mut(&port) else { return false };
        if waiting.len() < DATAGRAMS {
            waiting.push_back(datagram);
        } else if let Some(interface) = datagram.interface.and_then(|id| self.interface_mut(id)) {
            interface.counters.receive_drops += 1;
        }
        true
    }

    /// When the station has something to do without a frame: [`Station::poll`] is called then.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        if !self.outgoing.is_empty() || !self.local.is_empty() {
            return Some(Monotonic::default());
        }
        self.timers.first().map(|(due, _)| *due)
    }

    /// Does what is due and moves the frames that are to be sent to `out`. To be called after anything else was.
    pub fn poll(&mut self, now: Monotonic, out: &mut Vec<(InterfaceId, Frame)>) {
        self.receive_local(now);
        // Each timer that is due moves itself into the future, so that the rounds end; the bound is for an owner whose clock
        // stands still.
        for _ in 0..1_024 {
            match self.timers.first().copied() {
                Some((due, timer)) if due <= now => {
                    self.timers.remove(&(due, timer));
                    match timer {
                        Timer::Neighbour(interface, address) => self.neighbour_due(now, interface, address),
                        Timer::Echo(id) => self.echo_due(now, id),
                        Timer::Connection(id) => self.connection_due(now, id),
                    }
                    self.receive_local(now);
                }
                _ => break,
            }
        }
        out.append(&mut self.outgoing);
    }
}

/// Whether an address can be one station's.
pub(crate) fn is_unicast(address: IpAddr) -> bool {
    !address.is_multicast()
        && !address.is_unspecified()
        && !matches!(address, IpAddr::V4(address) if address.is_broadcast())
}
