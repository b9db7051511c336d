//! A Virtual I/O Server's part of the network: its Ethernet devices, and itself as a host.
//!
//! ```text
//!   ports of adapters --> aggregations --> Shared Ethernet Adapters <-- trunk and control channel adapters
//!          |                    |                    |
//!          +--------------------+--------------------+--> VLAN devices --> IP interfaces, RMC
//! ```
//!
//! [`ServerHandle`] is a server's place in a driver, as the server's authority uses it.
//!
//! A device has one user: an aggregation that it is a link of, a Shared Ethernet Adapter that it belongs to, or VLAN devices
//! and an interface. What is not used has no carrier towards the other end of its port.

mod aggregation;
mod configure;
mod fuzz;
mod handle;
mod host;
pub mod lacp;
mod node;
mod path;
pub mod sea;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use fuzz::fuzz_one;
pub use handle::ServerHandle;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use varan_contract::network::{
    ClientStatistics, NetworkDeviceStatistics, PingResult, PortPlace, PortStatistics,
    ServerNetworkConfiguration, ServerNetworkEvent, VnicServerState,
};
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};
use varan_model::ids::{MacAddress, VirtualSlot};
use varan_station::EchoId;
use varan_station::Station;
use varan_station::rmc::Identity;

use crate::control::{Control, VnicClient};
use crate::place::{Outbox, Place, PortNumber};
use host::Host;
use node::{Device, Node};

/// What a Virtual I/O Server's place reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// Something for its error log.
    Network(ServerNetworkEvent),
    /// The consoles that its RMC daemons have sessions with now.
    Sessions(Vec<String>),
    /// A round of pings is over: [`ServerFabric::ping_result`] has all of it.
    PingOver(EchoId),
}

/// The network of one Virtual I/O Server.
pub struct ServerFabric {
    configuration: ServerNetworkConfiguration,
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
    /// Ports of adapters, as the owner numbered them.
    bindings: BTreeMap<PortPlace, PortNumber>,
    /// Nodes of bound ports.
    at: BTreeMap<PortNumber, usize>,
    /// Carriers from the other ends.
    carriers: BTreeMap<PortNumber, bool>,
    /// Carriers as the other ends know them.
    told: BTreeMap<PortNumber, bool>,
    control: PortNumber,
    host: Host,
    vnic_servers: BTreeMap<VirtualSlot, VnicServerState>,
    vnic_clients: BTreeMap<VirtualSlot, VnicClient>,
    /// Server adapters whose clients are logged in, as far as was reported.
    logged_in: BTreeSet<VirtualSlot>,
    events: Vec<ServerEvent>,
    /// Frames between devices, emptied within each call.
    outgoing: Vec<(String, Frame)>,
}

impl ServerFabric {
    /// A server without devices. `control` is the port to the hypervisor; `seed` decides about sequence numbers and ports of
    /// its connections; `identity` is what its RMC daemons say of it.
    #[must_use]
    pub fn new(control: PortNumber, seed: u64, identity: Identity) -> Self {
        Self {
            configuration: ServerNetworkConfiguration::default(),
            nodes: Vec::new(),
            names: BTreeMap::new(),
            bindings: BTreeMap::new(),
            at: BTreeMap::new(),
            carriers: BTreeMap::new(),
            told: BTreeMap::new(),
            control,
            host: Host::new(seed, identity),
            vnic_servers: BTreeMap::new(),
            vnic_clients: BTreeMap::new(),
            logged_in: BTreeSet::new(),
            events: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    fn node(&self, device: &str) -> Option<&Node> {
        self.names.get(device).and_then(|number| self.nodes.get(*number))
    }

    fn node_mut(&mut self, device: &str) -> Option<&mut Node> {
        self.names.get(device).and_then(|number| self.nodes.get_mut(*number))
    }

    /// A device as it is; `None` for one that is not configured.
    #[must_use]
    pub fn statistics(&self, now: Monotonic, device: &str) -> Option<NetworkDeviceStatistics> {
        let node = self.node(device)?;
        let mut port = node.counters;
        port.link_up = node.up;
        port.trunk_active = self.is_active_trunk(node);
        Some(NetworkDeviceStatistics {
            port,
            elapsed_seconds: now.since(node.since).as_secs(),
            bridge: match &node.device {
                Device::Bridge(sea) => Some(sea.statistics()),
                _ => None,
            },
            aggregation: match &node.device {
                Device::Aggregation(aggregation) => {
                    let name = |number: usize| self.nodes[number].name.clone();
                    Some((aggregation.nodes_in_use().map(name).collect(), aggregation.failovers()))
                }
                _ => None,
            },
        })
    }

    fn is_active_trunk(&self, node: &Node) -> bool {
        let node::User::Trunk(bridge, number) = node.user else {
            return false;
        };
        matches!(&self.nodes[bridge].device, Device::Bridge(sea) if sea.bridges(number))
    }

    /// Sets a device's counters to zero.
    pub fn reset_statistics(&mut self, now: Monotonic, device: &str) {
        if let Some(node) = self.node_mut(device) {
            node.counters = PortStatistics::default();
            node.since = now;
            if let Device::Bridge(sea) = &mut node.device {
                sea.reset_statistics();
            }
        }
    }

    /// Clients of a Shared Ethernet Adapter with accounting.
    #[must_use]
    pub fn accounting(&self, device: &str) -> Vec<ClientStatistics> {
        match self.node(device).map(|node| &node.device) {
            Some(Device::Bridge(sea)) => sea.accounts(),
            _ => Vec::new(),
        }
    }

    /// Sets those counters to zero.
    pub fn reset_accounting(&mut self, device: &str) {
        if let Some(Device::Bridge(sea)) = self.node_mut(device).map(|node| &mut node.device) {
            sea.reset_accounts();
        }
    }

    /// The server adapter of a virtual NIC; `None` for one that is not configured.
    #[must_use]
    pub fn vnic_server(&self, slot: VirtualSlot) -> Option<VnicServerState> {
        let (_, _, port) = self.configuration.vnic_servers.iter().find(|(_, known, _)| *known == slot)?;
        let state = self.vnic_servers.get(&slot).cloned().unwrap_or(UNKNOWN_VNIC_SERVER);
        let statistics = self.node(port).map(|node| node.counters).unwrap_or_default();
        Some(VnicServerState { statistics, ..state })
    }

    /// Stations known by ARP: address, MAC address, interface.
    #[must_use]
    pub fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)> {
        self.host.neighbours()
    }

    /// Packets and errors of an interface.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<PortStatistics> {
        self.host.interface(name)
    }

    /// Begins a round of pings of so many bytes; `None` when too many are under way.
    pub fn ping(
        &mut self,
        now: Monotonic,
        (to, count, bytes): (Ipv4Addr, u32, u16),
        interval: Duration,
        out: &mut Outbox,
    ) -> Option<EchoId> {
        let id = self.host.ping(now, to, count, bytes, interval);
        self.work(now, out);
        id
    }

    /// A round of pings so far, and whether it is over; asked again after that, `None`.
    pub fn ping_result(&mut self, now: Monotonic, id: EchoId) -> Option<(PingResult, bool)> {
        self.host.ping_result(now, id)
    }

    /// The server's IP station, for its commands.
    pub fn station(&mut self) -> &mut Station {
        self.host.station()
    }

    /// The consoles that its RMC daemons talk to.
    pub fn set_consoles(&mut self, now: Monotonic, consoles: &[(String, IpAddr)], out: &mut Outbox) {
        let (client, station) = self.host.rmc();
        client.set_consoles(now, station, consoles);
        self.work(now, out);
    }

    /// Who its RMC daemons say it is.
    pub fn set_identity(&mut self, now: Monotonic, identity: Identity, out: &mut Outbox) {
        let (client, station) = self.host.rmc();
        if *client.identity() != identity {
            client.set_identity(now, station, identity);
        }
        self.work(now, out);
    }

    fn event(&mut self, event: ServerNetworkEvent) {
        self.events.push(ServerEvent::Network(event));
    }

    /// A frame from the hypervisor itself.
    fn receive_control(&mut self, frame: Frame, out: &mut Outbox) {
        match Control::read(&frame) {
            Some(Control::AskLife { number }) => {
                let mut answer = out.pool.take();
                Control::Alive { number }.write(EthernetAddress::default(), &mut answer);
                out.send(self.control, answer);
            }
            Some(Control::VnicServer { slot, active, operational, client_known, priority }) => {
                let statistics = PortStatistics::default();
                let state = VnicServerState { active, operational, client_known, priority, statistics };
                self.vnic_servers.insert(VirtualSlot(slot), state);
                self.note_logins();
            }
            Some(Control::VnicClient { slot, client }) => {
                self.vnic_clients.insert(VirtualSlot(slot), client);
            }
            _ => {}
        }
        out.drop_frame(frame);
    }

    /// A client logs in to the server adapter that becomes active, and leaves the one that was: the transport goes. Told
    /// when the adapter has its device, whichever came first.
    fn note_logins(&mut self) {
        for (device, slot, _) in self.configuration.vnic_servers.clone() {
            let active = self.vnic_servers.get(&slot).is_some_and(|state| state.active);
            if self.logged_in.contains(&slot) == active {
                continue;
            }
            if active {
                self.logged_in.insert(slot);
                self.event(ServerNetworkEvent::VnicLogin { device });
            } else {
                self.logged_in.remove(&slot);
                self.event(ServerNetworkEvent::VnicTransport { device });
            }
        }
    }

    /// What the client of a virtual NIC said of itself at its log-in: operating system and device.
    #[must_use]
    pub fn vnic_client(&self, slot: VirtualSlot) -> Option<(String, String)> {
        let (system, device) = self.vnic_clients.get(&slot)?.names();
        Some((system.to_owned(), device))
    }

    /// Pause between attempts of its RMC daemons to reach a console.
    pub fn set_rmc_pause(&mut self, pause: Duration) {
        self.host.rmc().0.set_pause(pause);
    }

    /// Whether the server runs: it has devices.
    fn runs(&self) -> bool {
        self.configuration.rmc_running || !self.configuration.ports.is_empty()
    }
}

/// A server adapter that the hypervisor has said nothing of.
const UNKNOWN_VNIC_SERVER: VnicServerState = VnicServerState {
    active: false,
    operational: false,
    client_known: false,
    priority: 50,
    statistics: PortStatistics {
        transmitted_frames: 0,
        transmitted_bytes: 0,
        transmitted_broadcasts: 0,
        transmitted_multicasts: 0,
        transmit_drops: 0,
        received_frames: 0,
        received_bytes: 0,
        received_broadcasts: 0,
        received_multicasts: 0,
        receive_drops: 0,
        invalid_vlan_frames: 0,
        refused_address_frames: 0,
        trunk_active: false,
        link_up: false,
    },
};

impl Place for ServerFabric {
    type Event = ServerEvent;

    fn receive(&mut self, now: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox) {
        if port == self.control {
            return self.receive_control(frame, out);
        }
        let Some(number) = self.at.get(&port).copied() else {
            return out.drop_frame(frame);
        };
        self.enter(now, number, frame, out);
        self.work(now, out);
    }

    fn carrier(&mut self, now: Monotonic, port: PortNumber, up: bool, out: &mut Outbox) {
        self.carriers.insert(port, up);
        if port == self.control {
            self.tell_carrier(port, self.runs(), out);
            return;
        }
        if let Some(number) = self.at.get(&port).copied() {
            self.set_carrier(now, number, up, out);
        }
        self.work(now, out);
    }

    fn tick(&mut self, now: Monotonic, out: &mut Outbox) {
        for number in 0..self.nodes.len() {
            self.tick_device(now, number, out);
        }
        self.work(now, out);
    }

    fn next_due(&self) -> Option<Monotonic> {
        let devices = self.nodes.iter().filter_map(|node| match &node.device {
            Device::Aggregation(aggregation) => aggregation.next_due(),
            Device::Bridge(sea) => sea.next_due(),
            _ => None,
        });
        devices.chain(self.host.next_due()).min()
    }

    fn take_events(&mut self) -> Vec<ServerEvent> {
        for number in 0..self.nodes.len() {
            if let Device::Bridge(sea) = &mut self.nodes[number].device {
                let events = std::mem::take(&mut sea.events);
                self.events.extend(events.into_iter().map(ServerEvent::Network));
            }
        }
        std::mem::take(&mut self.events)
    }
}
