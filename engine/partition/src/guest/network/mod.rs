//! The guest's network: its adapters as the hypervisor plugs them in, its IP stack while the operating system is up, its RMC
//! daemons, and commands that take time.
//!
//! ```text
//! off --power on: adapters are plugged in--> links are known
//! operating system up --> interfaces have their addresses, frames are taken (listening), RMC begins
//! operating system down, hang, crash --> frames are not taken; the link of the adapters stays
//! ```
//!
//! A Virtual I/O Server's frames do not come here: its interfaces are a part of the network itself. Only what its RMC
//! daemons there tell is passed on to the managed system.

mod aix;
mod dump;
mod entstat;
mod firewall;
mod foreground;
mod interfaces;
mod linux;
mod ping;
mod probe;
mod rmc;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use varan_contract::engine::{AdapterAddress, GuestAdapter, Personality};
use varan_contract::network::{ConsoleAddress, GuestPort, NetworkGuest, PortEvent, PortStatistics};
use varan_environment::Monotonic;
use varan_ethernet::Frame;
use varan_model::ids::VirtualSlot;
use varan_station::rmc::{self as station_rmc, Client, Identity};
use varan_station::{InterfaceId, Station};

use super::error_log::errors;
use super::machine::Stage;
use super::session::User;
use super::shell::Reply;
use super::{Effect, Guest, Moment};
pub(super) use foreground::Foreground;

/// Least pause between attempts to reach a console, whatever the time scale.
const LEAST_RMC_PAUSE: Duration = Duration::from_millis(250);
/// How often the hypervisor is asked for the consoles.
const CONSOLES_INTERVAL: Duration = Duration::from_secs(60);

/// What a guest wants done with its adapters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkEffect {
    /// Plug this adapter in.
    Plug(Box<(NetworkGuest, GuestAdapter)>),
    /// Take this one out.
    Unplug(AdapterAddress),
    /// Frames are taken from now on, or not any more.
    Listen(bool),
    /// The operating system calls the device of a port so.
    Name(GuestPort, String),
    /// Send frames, and leave none.
    Transmit(GuestPort, Vec<Frame>),
    /// Ask for the consoles; answered by [`super::Input::Consoles`].
    AskConsoles,
    /// Ask for counters; answered by [`super::Input::PortCounters`].
    AskCounters(Vec<GuestPort>),
}

/// What a guest has of its network. See the module's description.
#[derive(Default)]
pub(super) struct Network {
    /// Links as the hypervisor told them: physical, logical.
    links: BTreeMap<(AdapterAddress, u8), (bool, bool)>,
    /// Consoles that a Virtual I/O Server's daemons have a session with.
    server_sessions: Vec<String>,
    /// The IP stack, while the operating system is up.
    pub(super) ip: Option<Box<Ip>>,
}

/// An Ethernet port of the operating system.
#[derive(Clone, Debug)]
pub(super) struct Port {
    /// Device (`ent0`).
    pub(super) device: String,
    /// Interface on it (`en0`, `eth0`).
    pub(super) name: String,
    pub(super) at: (AdapterAddress, u8),
    pub(super) id: InterfaceId,
    /// Whether the interface is in use (AIX: attached).
    pub(super) attached: bool,
    /// A virtual NIC: the state of its link goes to the error log.
    virtual_nic: bool,
}

/// The IP stack of a guest.
pub(super) struct Ip {
    pub(super) station: Station,
    pub(super) client: Client,
    /// By number of the device.
    pub(super) ports: Vec<Port>,
    pub(super) started: Monotonic,
    /// When the hypervisor is asked for the consoles again.
    consoles_due: Monotonic,
    /// What was told last of the sessions.
    told: Option<Vec<String>>,
    pub(super) foreground: Option<Box<Foreground>>,
    /// A command that waits for the counters of the hypervisor.
    asking: Option<(User, String)>,
    pub(super) counters: Vec<(GuestPort, PortStatistics)>,
    /// Frames for which the guest had no room.
    pub(super) dropped: u64,
    /// How often the daemons were started.
    pub(super) rmc_starts: u32,
    pub(super) firewall: firewall::Firewall,
    pub(super) probe: Option<probe::NetworkProbe>,
}

impl Network {
    pub(super) fn due(&self) -> Option<Monotonic> {
        let ip = self.ip.as_ref()?;
        let foreground = ip.foreground.as_ref().and_then(|foreground| foreground.due());
        let client = ip.client.next_due();
        [ip.station.next_due(), client, foreground, Some(ip.consoles_due)].into_iter().flatten().min()
    }

    /// Bytes on the heap, roughly: what is behind the station's tables is not counted.
    pub(super) fn bytes(&self) -> usize {
        let ip = self.ip.as_ref().map_or(0, |ip| size_of::<Ip>() + ip.ports.capacity() * size_of::<Port>());
        size_of::<Self>() + ip
    }
}

impl Guest {
    pub(super) fn ip(&self) -> Option<&Ip> {
        self.network.as_ref()?.ip.as_deref()
    }

    pub(super) fn ip_mut(&mut self) -> Option<&mut Ip> {
        self.network.as_mut()?.ip.as_deref_mut()
    }

    fn network_effect(&mut self, effect: NetworkEffect) {
        if self.network.is_some() {
            self.effects.push(Effect::Network(effect));
        }
    }

    /// Plugs all adapters in: power came on.
    pub(super) fn plug_all(&mut self) {
        if self.network.is_none() {
            return;
        }
        let specification = &self.specification;
        let network = specification.network_adapters.iter().cloned().map(GuestAdapter::Network);
        let physical = specification.io_slots.iter().filter(|slot| !slot.ethernet_ports.is_empty());
        let physical = physical.cloned().map(GuestAdapter::Physical);
        let logical = specification.logical_ports.iter().cloned().map(GuestAdapter::LogicalPort);
        let clients = specification.virtual_nics.iter().cloned().map(GuestAdapter::Vnic);
        let servers = specification.vnic_servers.iter().cloned().map(GuestAdapter::VnicServer);
        let all: Vec<_> = network.chain(physical).chain(logical).chain(clients).chain(servers).collect();
        for adapter in all {
            self.plug(adapter);
        }
    }

    /// Plugs an adapter in, if it carries frames.
    pub(super) fn plug(&mut self, adapter: GuestAdapter) {
        let carries = match &adapter {
            GuestAdapter::Device(_) => false,
            GuestAdapter::Physical(slot) => !slot.ethernet_ports.is_empty(),
            GuestAdapter::Network(_)
            | GuestAdapter::LogicalPort(_)
            | GuestAdapter::Vnic(_)
            | GuestAdapter::VnicServer(_) => true,
        };
        if carries {
            let guest = self.network_guest();
            self.network_effect(NetworkEffect::Plug(Box::new((guest, adapter))));
        }
    }

    /// Takes an adapter out.
    pub(super) fn unplug(&mut self, address: AdapterAddress) {
        if let Some(network) = &mut self.network {
            network.links.retain(|(other, _), _| *other != address);
        }
        self.network_effect(NetworkEffect::Unplug(address));
    }

    fn network_guest(&self) -> NetworkGuest {
        let specification = &self.specification;
        NetworkGuest {
            partition: specification.partition,
            generation: specification.generation,
            id: specification.id,
            name: specification.name.clone(),
            personality: self.personality(),
        }
    }

    pub(super) fn listen(&mut self, listening: bool) {
        if self.stage == Stage::Multiuser {
            self.network_effect(NetworkEffect::Listen(listening));
        }
    }

    /// The operating system is up.
    pub(super) fn start_network(&mut self, now: Moment) {
        if self.network.is_none() {
            return;
        }
        self.network_effect(NetworkEffect::Listen(true));
        if self.personality() == Personality::VirtualIoServer {
            return;
        }
        let mut station = Station::new(self.options.seed ^ now.monotonic.0.as_nanos() as u64);
        if self.personality() == Personality::Aix {
            station.set_answer_hops(255);
        }
        let mut client = Client::new(self.rmc_identity());
        client.set_pause(self.scaled(station_rmc::PAUSE).max(LEAST_RMC_PAUSE));
        client.set_running(now.monotonic, &mut station, true);
        let ip = Ip {
            station,
            client,
            ports: Vec::new(),
            started: now.monotonic,
            consoles_due: now.monotonic.after(CONSOLES_INTERVAL),
            told: None,
            foreground: None,
            asking: None,
            counters: Vec::new(),
            dropped: 0,
            rmc_starts: 0,
            firewall: firewall::Firewall::default(),
            probe: None,
        };
        if let Some(network) = &mut self.network {
            network.ip = Some(Box::new(ip));
        }
        self.attach_interfaces(now);
        self.network_effect(NetworkEffect::AskConsoles);
    }

    /// The operating system goes down.
    pub(super) fn stop_network(&mut self) {
        self.network_effect(NetworkEffect::Listen(false));
        if let Some(network) = &mut self.network {
            network.ip = None;
        }
        self.queued.clear();
    }

    pub(super) fn rmc_identity(&self) -> Identity {
        Identity {
            node_id: self.configuration.as_ref().map_or(0, |configuration| configuration.rsct_node_id),
            partition: self.specification.id.0,
            name: self.specification.name.clone(),
            system: self.specification.machine.to_string(),
            operating_system: self.level().to_owned(),
        }
    }

    /// Frames came in.
    pub(super) fn frames_received(
        &mut self,
        now: Moment,
        frames: &[(AdapterAddress, u8, Frame)],
        dropped: u64,
    ) {
        let Some(ip) = self.ip_mut() else { return };
        ip.dropped += dropped;
        for (address, index, frame) in frames {
            if let Some(port) = ip.ports.iter().find(|port| port.at == (*address, *index)) {
                ip.station.receive(now.monotonic, port.id, frame);
            }
        }
    }

    /// Something happened to a port.
    pub(super) fn port_event(&mut self, now: Moment, at: (AdapterAddress, u8), event: PortEvent) {
        let PortEvent::Link { physical, logical } = event else { return };
        let Some(network) = &mut self.network else { return };
        let before = network.links.insert(at, (physical, logical)).unwrap_or((true, true));
        let Some(ip) = &mut network.ip else { return };
        let Some(port) = ip.ports.iter().find(|port| port.at == at) else { return };
        ip.station.set_carrier(now.monotonic, port.id, logical);
        if logical {
            ip.client.try_now(now.monotonic);
        }
        if port.virtual_nic && before.1 != logical {
            let identifier =
                if logical { errors::VIRTUAL_NIC_LINK_UP } else { errors::VIRTUAL_NIC_LINK_DOWN };
            let device = port.device.clone();
            let address = self.adapter_at(at.0, at.1).and_then(|adapter| adapter.mac_address());
            self.log_link(now, identifier, device, (physical, logical, address));
        }
    }

    /// What the daemons of a Virtual I/O Server have told.
    pub(super) fn server_sessions(&mut self, consoles: Vec<String>) {
        let Some(network) = &mut self.network else { return };
        if network.server_sessions != consoles {
            network.server_sessions = consoles;
            if self.stage == Stage::Multiuser && self.personality() == Personality::VirtualIoServer {
                self.report();
            }
        }
    }

    /// The hypervisor tells the consoles.
    pub(super) fn consoles_told(&mut self, now: Moment, consoles: Vec<ConsoleAddress>) {
        if let Some(ip) = self.ip_mut() {
            let consoles: Vec<_> =
                consoles.into_iter().map(|console| (console.name, console.address)).collect();
            ip.client.set_consoles(now.monotonic, &mut ip.station, &consoles);
        }
    }

    /// Whether the daemons run, as the guest's report says.
    pub(super) fn rmc_runs(&self) -> bool {
        self.ip().is_none_or(|ip| ip.client.is_running())
    }

    /// The consoles with a session; `None` without a network.
    pub(super) fn rmc_sessions(&self) -> Option<Vec<String>> {
        let network = self.network.as_ref()?;
        Some(match &network.ip {
            Some(ip) => ip.client.established(),
            None => network.server_sessions.clone(),
        })
    }

    /// The node id is another one.
    pub(super) fn rmc_identity_changed(&mut self, now: Moment) {
        let identity = self.rmc_identity();
        if let Some(ip) = self.ip_mut() {
            ip.client.set_identity(now.monotonic, &mut ip.station, identity);
            ip.client.set_running(now.monotonic, &mut ip.station, true);
        }
    }

    /// Addresses for the report: those of the first interface first.
    pub(super) fn reported_addresses(&self) -> Vec<(VirtualSlot, Ipv4Addr)> {
        let Some(ip) = self.ip() else {
            return self.address().map(|(slot, address, _)| (slot, address)).into_iter().collect();
        };
        let mut addresses = Vec::new();
        for port in ip.ports.iter().filter(|port| port.attached) {
            let slot = match port.at.0 {
                AdapterAddress::Virtual(slot) => slot,
                AdapterAddress::Physical(_) | AdapterAddress::LogicalPort(_) => VirtualSlot(0),
            };
            let own = ip.station.interface(port.id).map_or(&[][..], |interface| interface.addresses());
            addresses.extend(own.iter().filter_map(|own| match own.address {
                std::net::IpAddr::V4(address) => Some((slot, address)),
                std::net::IpAddr::V6(_) => None,
            }));
        }
        addresses
    }

    /// Lets the network do what is due, hands frames on, and tells what changed.
    pub(super) fn run_network(&mut self, now: Moment) {
        let partition = self.specification.partition;
        let Some(ip) = self.network.as_mut().and_then(|network| network.ip.as_deref_mut()) else { return };
        let mut out = Vec::new();
        ip.station.poll(now.monotonic, &mut out);
        ip.client.poll(now.monotonic, &mut ip.station);
        ip.station.poll(now.monotonic, &mut out);
        let mut by_port: Vec<(GuestPort, Vec<Frame>)> = Vec::new();
        for (id, frame) in out {
            let Some(port) = ip.ports.iter().find(|port| port.id == id) else { continue };
            let port = GuestPort { partition, adapter: port.at.0, index: port.at.1 };
            match by_port.last_mut().filter(|(last, _)| *last == port) {
                Some((_, frames)) => frames.push(frame),
                None => by_port.push((port, vec![frame])),
            }
        }
        let sessions = ip.client.established();
        let ask = ip.consoles_due <= now.monotonic;
        if ask {
            ip.consoles_due = now.monotonic.after(CONSOLES_INTERVAL);
        }
        let changed = ip.told.as_ref() != Some(&sessions);
        let first = ip.told.is_none();
        ip.told = Some(sessions);
        for (port, frames) in by_port {
            self.effects.push(Effect::Network(NetworkEffect::Transmit(port, frames)));
        }
        if ask {
            self.network_effect(NetworkEffect::AskConsoles);
        }
        // The first report is made when the operating system comes up.
        if changed && !first && self.stage == Stage::Multiuser {
            self.report();
        }
        self.run_foreground(now);
    }

    /// Runs a line once the counters of the hypervisor are known.
    pub(super) fn ask_counters(&mut self, user: User, line: &str) -> bool {
        let Some(ip) = self.ip() else { return false };
        let ports = ip.ports.iter().map(|port| self.guest_port(port)).collect();
        let Some(ip) = self.ip_mut() else { return false };
        ip.asking = Some((user, line.to_owned()));
        self.network_effect(NetworkEffect::AskCounters(ports));
        true
    }

    /// The hypervisor tells its counters.
    pub(super) fn counters_told(&mut self, now: Moment, counters: Vec<(GuestPort, PortStatistics)>) {
        let Some(ip) = self.ip_mut() else { return };
        ip.counters = counters;
        let Some((user, line)) = ip.asking.take() else { return };
        let reply = self.execute_here(now, user, &line);
        self.show_reply(now, reply);
        self.type_ahead(now);
    }

    /// Takes what was typed while a command ran.
    pub(super) fn type_ahead(&mut self, now: Moment) {
        let typed: Vec<u8> = std::mem::take(&mut self.typed_ahead).into();
        self.typed(now, &typed);
    }

    /// Whether a command is one about the network, of the guest's operating system.
    pub(super) fn is_network_command(&self, name: &str) -> bool {
        let common = [
            "ping",
            "tcpdump",
            "netprobe",
            "ifconfig",
            "lssrc",
            "startsrc",
            "stopsrc",
            "rmcctrl",
            "lsnodeid",
            "lsrsrc",
            "rmcdomainstatus",
        ];
        let aix = ["arp", "netstat", "route", "entstat", "mktcpip", "genfilt", "mkfilt", "rmfilt", "lsfilt"];
        let linux = ["ip", "ethtool", "iptables", "ip6tables"];
        let name = base_name(name);
        common.contains(&name)
            || if self.personality() == Personality::Linux {
                linux.contains(&name)
            } else {
                aix.contains(&name)
            }
    }

    /// Runs a command about the network.
    pub(super) fn network_command(
        &mut self,
        now: Moment,
        user: User,
        name: &str,
        arguments: &[&str],
    ) -> Reply {
        let linux = self.personality() == Personality::Linux;
        match base_name(name) {
            "ping" => self.ping(now, user, arguments),
            "tcpdump" => self.tcpdump(user, arguments),
            "netprobe" => self.netprobe(now, arguments),
            "arp" => self.arp(arguments),
            "netstat" => self.netstat(now, arguments),
            "ifconfig" if linux => self.ifconfig_linux(now, arguments),
            "ifconfig" => self.ifconfig_command(now, arguments),
            "route" => self.route(now, arguments),
            "lssrc" => self.lssrc(arguments),
            "startsrc" => self.startsrc(now, arguments),
            "stopsrc" => self.stopsrc(now, arguments),
            "rmcctrl" => self.rmcctrl(now, arguments),
            "lsnodeid" => self.lsnodeid(),
            "lsrsrc" => self.lsrsrc(arguments),
            "rmcdomainstatus" => self.rmcdomainstatus(arguments),
            "entstat" => self.entstat(now, arguments),
            "mktcpip" => self.mktcpip(now, arguments),
            "genfilt" => self.genfilt(arguments),
            "mkfilt" => self.mkfilt(now, arguments),
            "rmfilt" => self.rmfilt(arguments),
            "lsfilt" => self.lsfilt(arguments),
            "ip" => self.ip_command(now, arguments),
            "ethtool" => self.ethtool(arguments),
            name => self.iptables(name, arguments),
        }
    }

    /// Whether a command runs that takes time.
    pub(super) fn is_waiting(&self) -> bool {
        self.ip().is_some_and(|ip| ip.foreground.is_some() || ip.asking.is_some())
    }
}

/// A command without the directory that it is called by.
fn base_name(name: &str) -> &str {
    match name.rsplit_once('/') {
        Some((directory, base))
            if ["/usr/sbin/rsct/bin", "/opt/rsct/bin", "/usr/sbin", "/usr/bin", "/sbin", "/etc"]
                .contains(&directory) =>
        {
            base
        }
        _ => name,
    }
}
