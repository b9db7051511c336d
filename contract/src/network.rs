//! The network between authorities, guests and the fabric engine.
//!
//! Three places carry frames, each an engine of its own, joined by links that may cross a process boundary:
//!
//! | place | what is in it | configured by |
//! |---|---|---|
//! | hypervisor of a frame | virtual switches, SR-IOV ports, virtual NICs, physical ports | its guests' adapters ([`GuestNetwork::plug`]), and the managed system ([`HypervisorNetwork`]) |
//! | a Virtual I/O Server | Shared Ethernet Adapters, aggregations, VLAN devices, IP interfaces | the server ([`ServerNetwork`]) |
//! | outside | switches, cables, hosts, consoles | the site file |

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_ethernet::Frame;
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, PartitionUuid, VirtualSlot};

use crate::engine::{AdapterAddress, Generation, GuestAdapter, Personality};

/// A guest as its network needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkGuest {
    /// Partition.
    pub partition: PartitionUuid,
    /// Activation.
    pub generation: Generation,
    /// Number.
    pub id: PartitionId,
    /// Partition name.
    pub name: String,
    /// Operating system.
    pub personality: Personality,
}

/// A port of a guest: the guest and where its adapter is. A physical slot has several ports, told apart by `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPort {
    /// Partition.
    pub partition: PartitionUuid,
    /// Adapter.
    pub adapter: AdapterAddress,
    /// Port of the adapter, from 0 on; 0 for what has only one.
    pub index: u8,
}

/// How guests reach the network of their frame. No call waits for anything.
pub trait GuestNetwork: Send + Sync {
    /// Plugs an adapter in: the guest is powered on, or gets it while it runs. One that is there is replaced; what the guest
    /// keeps of it (its address, for one) goes on. Adapters that carry no frames are ignored.
    fn plug(&self, guest: &NetworkGuest, adapter: &GuestAdapter);
    /// Takes an adapter out.
    fn unplug(&self, partition: PartitionUuid, adapter: AdapterAddress);
    /// The guest is off: all its adapters are out.
    fn power_off(&self, partition: PartitionUuid, generation: Generation);
    /// The operating system uses its adapters from now on, or does not any more (it ended, or stands still).
    fn listen(&self, partition: PartitionUuid, listening: bool);
    /// What the operating system calls the device of a port (`ent0`): the server of a virtual NIC shows it.
    fn name_device(&self, port: GuestPort, device: &str) {
        let _ = (port, device);
    }
    /// Sends frames of a guest; `frames` is empty afterwards.
    fn transmit(&self, port: GuestPort, frames: &mut Vec<Frame>);
    /// Counters that the hypervisor keeps of a port; `None` for a port that is not plugged in.
    fn statistics(&self, port: GuestPort) -> Option<PortStatistics>;
    /// Consoles of the managed system, as RMC daemons are told by the hypervisor.
    fn consoles(&self) -> Vec<ConsoleAddress>;
}

/// The guests of an engine, as the network reaches them. Called from the fabric's thread; must not block.
pub trait GuestPorts: Send + Sync {
    /// Frames for a guest; `frames` is empty afterwards. What the guest has no room for is dropped and counted.
    fn receive(&self, port: GuestPort, frames: &mut Vec<Frame>);
    /// Something happened to a port.
    fn port_event(&self, port: GuestPort, event: PortEvent);
    /// The sessions with consoles that a Virtual I/O Server's RMC daemons have; they run beside the server's guest.
    fn server_sessions(&self, partition: PartitionUuid, consoles: &[String]);
}

/// What happened to a port of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortEvent {
    /// Its link.
    Link {
        /// The cable, or what stands for it.
        physical: bool,
        /// What the guest may use.
        logical: bool,
    },
    /// A virtual NIC goes over another backing device now.
    BackingDevice(LogicalPortId),
}

/// A console as RMC reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleAddress {
    /// Name.
    pub name: String,
    /// Address; a link-local IPv6 address on the management switch of a NovaLink frame.
    pub address: IpAddr,
}

/// Counters of a port since it was plugged in. `received` is what came out of the port towards its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatistics {
    /// Frames that the owner sent.
    pub transmitted_frames: u64,
    /// Bytes of them.
    pub transmitted_bytes: u64,
    /// Of them to all stations.
    pub transmitted_broadcasts: u64,
    /// Of them to several stations, without those to all.
    pub transmitted_multicasts: u64,
    /// Frames of the owner that were dropped: nobody takes them, or the receiver has no room.
    pub transmit_drops: u64,
    /// Frames that the owner got.
    pub received_frames: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// Of them to all stations.
    pub received_broadcasts: u64,
    /// Of them to several stations, without those to all.
    pub received_multicasts: u64,
    /// Frames for the owner that it had no room for.
    pub receive_drops: u64,
    /// Frames of the owner with a VLAN that the port does not carry.
    pub invalid_vlan_frames: u64,
    /// Frames of the owner from an address that it may not use.
    pub refused_address_frames: u64,
    /// Whether a trunk adapter is the one in use.
    pub trunk_active: bool,
    /// Whether the link is up.
    pub link_up: bool,
}

/// How a virtual switch treats frames between its own ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VirtualSwitchMode {
    /// Virtual Ethernet bridge: the switch passes them on.
    Veb,
    /// Virtual Ethernet port aggregator: all goes to the trunk; what is outside may send it back.
    Vepa,
}

/// State of a backing device of a virtual NIC, in the words of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BackingDeviceStatus {
    /// It works.
    Operational,
    /// Its physical port has no link, or its probes get no answer.
    LinkDown,
    /// Its server does not answer.
    NotOperational,
    /// Its server, or its client, is off.
    PoweredOff,
}

impl BackingDeviceStatus {
    /// The console's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Operational => "Operational",
            Self::LinkDown => "Link Down",
            Self::NotOperational => "NotOperational",
            Self::PoweredOff => "Powered Off",
        }
    }
}

/// A backing device of a virtual NIC as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingDeviceState {
    /// Logical port.
    pub logical_port: LogicalPortId,
    /// Whether frames go over it.
    pub active: bool,
    /// How it is.
    pub status: BackingDeviceStatus,
}

/// How a shared SR-IOV physical port is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalPortSetup {
    /// Location code.
    pub location: String,
    /// Speed in Mbit/s.
    pub speed: u32,
    /// Largest payload of a frame in bytes.
    pub maximum_payload: u16,
    /// The port passes frames between its own logical ports; else all of them go out.
    pub bridge: bool,
}

/// A physical port as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalPortState {
    /// Whether its cable leads to something that has power.
    pub link_up: bool,
    /// Counters, seen from the cable: `received` came in from outside.
    pub statistics: PortStatistics,
}

/// The hypervisor's network of one frame, as the managed system sets it up and asks it. No call waits for anything.
pub trait HypervisorNetwork: Send + Sync {
    /// A virtual switch is there, in this mode.
    fn put_switch(&self, name: &str, mode: VirtualSwitchMode);
    /// It is not there any more.
    fn remove_switch(&self, name: &str);
    /// A physical port of an SR-IOV adapter is shared, so.
    fn put_shared_port(&self, setup: PhysicalPortSetup);
    /// It is not shared any more.
    fn remove_shared_port(&self, location: &str);
    /// A physical port; `None` for one that does not exist.
    fn physical_port(&self, location: &str) -> Option<PhysicalPortState>;
    /// Counters of a logical port; `None` while nobody uses it.
    fn logical_port(&self, id: LogicalPortId) -> Option<PortStatistics>;
    /// Sets the counters of a physical port, or of a logical one, to zero.
    fn clear_statistics(&self, port: &str, logical: Option<LogicalPortId>);
    /// The backing devices of a virtual NIC; empty while its client is off.
    fn backing_devices(&self, partition: PartitionUuid, slot: VirtualSlot) -> Vec<BackingDeviceState>;
    /// Makes a backing device active. True if it is operational, and so active from now on.
    fn activate(&self, partition: PartitionUuid, slot: VirtualSlot, port: LogicalPortId) -> bool;
}

/// The network of a frame on which nothing is carried: what is set up is forgotten, and nothing is known of any port.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNetwork;

impl HypervisorNetwork for NoNetwork {
    fn put_switch(&self, _: &str, _: VirtualSwitchMode) {}
    fn remove_switch(&self, _: &str) {}
    fn put_shared_port(&self, _: PhysicalPortSetup) {}
    fn remove_shared_port(&self, _: &str) {}
    fn physical_port(&self, _: &str) -> Option<PhysicalPortState> {
        None
    }
    fn logical_port(&self, _: LogicalPortId) -> Option<PortStatistics> {
        None
    }
    fn clear_statistics(&self, _: &str, _: Option<LogicalPortId>) {}
    fn backing_devices(&self, _: PartitionUuid, _: VirtualSlot) -> Vec<BackingDeviceState> {
        Vec::new()
    }
    fn activate(&self, _: PartitionUuid, _: VirtualSlot, _: LogicalPortId) -> bool {
        false
    }
}

/// Where a network port of a Virtual I/O Server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PortPlace {
    /// A virtual Ethernet adapter.
    Virtual(VirtualSlot),
    /// A port of a physical adapter, by location code.
    Physical(String),
    /// An SR-IOV logical port.
    Logical(LogicalPortId),
}

/// An Ethernet device of a Virtual I/O Server over an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerPort {
    /// Device (`ent4`).
    pub device: String,
    /// Where its adapter is.
    pub place: PortPlace,
    /// Address.
    pub mac_address: MacAddress,
    /// Port VLAN of a virtual adapter; 0 for others.
    pub port_vlan_id: u16,
    /// Tagged VLANs of a virtual adapter.
    pub tagged_vlan_ids: Vec<u16>,
    /// Trunk priority of a virtual adapter that is a trunk.
    pub trunk_priority: Option<u8>,
    /// Virtual switch of a virtual adapter; empty for others.
    pub virtual_switch: String,
    /// Frames with a payload of 9,000 bytes pass.
    pub jumbo_frames: bool,
    /// Address to ask whether the uplink lives, and how often: `poll_uplink` and `poll_uplink_int` of a virtual adapter.
    pub poll_uplink: Option<Duration>,
}

/// How the links of an aggregation are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AggregationMode {
    /// By a hash over addresses.
    Standard,
    /// In turns.
    RoundRobin,
    /// IEEE 802.3ad, negotiated.
    Ieee8023ad,
}

/// A link aggregation (EtherChannel).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAggregation {
    /// Device.
    pub device: String,
    /// Its links.
    pub adapters: Vec<String>,
    /// A link that is used only when all others are down.
    pub backup: Option<String>,
    /// How a link is chosen.
    pub mode: AggregationMode,
    /// What is hashed: `default`, `dst_port`, `src_port`, `src_dst_port`.
    pub hash_mode: String,
    /// Address to ask over the link in use; without an answer the backup is used.
    pub ping: Option<Ipv4Addr>,
    /// Asked so many times before it counts as lost.
    pub retries: u32,
    /// Seconds between them.
    pub retry_seconds: u32,
    /// Back to the main links when they work again.
    pub auto_recovery: bool,
}

/// What a Shared Ethernet Adapter does about a second one for the same VLANs (`ha_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HighAvailabilityMode {
    /// Nothing: it bridges always.
    Disabled,
    /// The one of the better trunk priority bridges.
    Auto,
    /// This one lets the other one bridge.
    Standby,
    /// Both bridge, each its share of the trunk adapters.
    Sharing,
}

/// A Shared Ethernet Adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedEthernetAdapter {
    /// Device.
    pub device: String,
    /// Device towards the physical network.
    pub real: String,
    /// Trunk adapters.
    pub virtuals: Vec<String>,
    /// The trunk adapter of untagged frames.
    pub default: String,
    /// VLAN of untagged frames.
    pub default_vlan: u16,
    /// What it does about a second one.
    pub mode: HighAvailabilityMode,
    /// Control channel adapter; `None` uses VLAN 4095 of the default adapter's switch.
    pub control_channel: Option<String>,
    /// Address to ask over the real adapter; without an answer it is not healthy. `netaddr`.
    pub ping: Option<Ipv4Addr>,
    /// Wait before it takes over again after it was healthy again (`fb_delay`).
    pub failback_delay: Duration,
    /// How long the link must be up before it counts (`link_time`).
    pub link_time: Duration,
    /// How long all must be well before it takes over again (`health_time`).
    pub health_time: Duration,
    /// It does not take over again by itself (`noauto_failback`).
    pub no_automatic_failback: bool,
    /// Frames of 9,000 bytes payload pass.
    pub jumbo_frames: bool,
    /// Large frames are cut by the real adapter (`largesend`).
    pub large_send: bool,
    /// Segments are joined (`large_receive`).
    pub large_receive: bool,
    /// Counts for each client (`accounting`).
    pub accounting: bool,
    /// Works in threads rather than in interrupts (`thread`).
    pub threads: bool,
    /// Number of them (`nthreads`).
    pub thread_count: u32,
    /// Priority of tagged frames: `disabled`, `strict`, `loose`.
    pub quality_of_service: String,
    /// Announces its clients by RARP after a take-over (`send_RARP`).
    pub announce: bool,
    /// Tells clients' adapters whether the uplink is up (`poll_uplink`).
    pub poll_uplink: bool,
}

/// A device for one VLAN of another device (`mkvdev -vlan`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanDevice {
    /// Device.
    pub device: String,
    /// Device that carries it.
    pub base: String,
    /// VLAN.
    pub vlan: u16,
}

/// An IP interface of a Virtual I/O Server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInterface {
    /// Interface (`en5`).
    pub name: String,
    /// Device below it.
    pub device: String,
    /// Address and prefix length; `None` for one that only receives.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Largest packet in bytes.
    pub mtu: u16,
    /// Whether it is in use.
    pub up: bool,
}

/// All network devices of a Virtual I/O Server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerNetworkConfiguration {
    /// Adapters.
    pub ports: Vec<ServerPort>,
    /// Aggregations.
    pub aggregations: Vec<LinkAggregation>,
    /// Shared Ethernet Adapters.
    pub bridges: Vec<SharedEthernetAdapter>,
    /// VLAN devices.
    pub vlans: Vec<VlanDevice>,
    /// Interfaces.
    pub interfaces: Vec<ServerInterface>,
    /// Default route.
    pub gateway: Option<Ipv4Addr>,
    /// Further routes: destination, prefix length, gateway.
    pub routes: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    /// Server adapters of virtual NICs: device, slot, logical port's device.
    pub vnic_servers: Vec<(String, VirtualSlot, String)>,
    /// Whether its RMC daemons run.
    pub rmc_running: bool,
}

/// State of a Shared Ethernet Adapter (source: SEA failover statistics of the documentation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BridgeState {
    /// Just configured; it looks for a second one.
    Init,
    /// It bridges.
    Primary,
    /// The other one bridges.
    Backup,
    /// It bridges its share of the trunk adapters, the better one of two.
    PrimarySharing,
    /// It bridges its share, the other one of two.
    BackupSharing,
    /// The better one takes over again.
    Recovering,
    /// The other one saw that.
    Notify,
    /// Its uplink is lost.
    Limbo,
    /// Its health is being watched after a loss.
    Unhealthy,
}

impl BridgeState {
    /// The word of `entstat`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Primary => "PRIMARY",
            Self::Backup => "BACKUP",
            Self::PrimarySharing => "PRIMARY_SH",
            Self::BackupSharing => "BACKUP_SH",
            Self::Recovering => "RECOVERING",
            Self::Notify => "NOTIFY",
            Self::Limbo => "LIMBO",
            Self::Unhealthy => "UNHEALTHY",
        }
    }
}

/// What a Shared Ethernet Adapter counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeStatistics {
    /// State.
    pub state: BridgeState,
    /// Trunk adapters that it bridges now.
    pub bridging: Vec<String>,
    /// Priority of its trunk adapters.
    pub priority: u8,
    /// From the real adapter: received, bridged, consumed, fragmented, transmitted there, dropped, filtered by VLAN,
    /// filtered by reserved address.
    pub real_side: [u64; 8],
    /// From trunk adapters, in the same order; no reserved addresses.
    pub virtual_side: [u64; 8],
    /// Frames that it made itself.
    pub generated: u64,
    /// Of them dropped.
    pub generated_drops: u64,
    /// ICMP errors that it sent because a packet was too large.
    pub icmp_errors: u64,
    /// Frames that are no IP and too large for the other side.
    pub too_large: u64,
    /// Control packets received and sent.
    pub control_packets: (u64, u64),
    /// Of the received ones: keep-alive, recovery, notify, limbo.
    pub control_kinds: [u64; 4],
    /// Times that it became backup, and primary.
    pub changes: (u64, u64),
    /// VLAN of the control channel.
    pub control_vlan: u16,
    /// Loops that storm protection ended.
    pub storms: u64,
}

/// A network device of a Virtual I/O Server as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkDeviceStatistics {
    /// Counters of the device itself.
    pub port: PortStatistics,
    /// Since when they count, as seconds ago.
    pub elapsed_seconds: u64,
    /// Counters of a Shared Ethernet Adapter.
    pub bridge: Option<BridgeStatistics>,
    /// Of an aggregation: the links in use, and times that the backup was used.
    pub aggregation: Option<(Vec<String>, u64)>,
}

/// What a Shared Ethernet Adapter counts for one of its clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatistics {
    /// Address of the client.
    pub mac_address: MacAddress,
    /// VLAN; `None` for untagged frames.
    pub vlan: Option<u16>,
    /// VLAN priority.
    pub priority: u8,
    /// IP address, where one was seen.
    pub address: Option<IpAddr>,
    /// Frames and bytes from the client.
    pub transmitted: (u64, u64),
    /// Frames and bytes to the client.
    pub received: (u64, u64),
}

/// A server adapter of a virtual NIC as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnicServerState {
    /// Whether frames of the client go over it.
    pub active: bool,
    /// Whether it could carry them.
    pub operational: bool,
    /// Whether the client ever logged in to it since it was made.
    pub client_known: bool,
    /// Priority.
    pub priority: u8,
    /// Counters of its logical port.
    pub statistics: PortStatistics,
}

/// Counters of one round of pings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingResult {
    /// Requests sent.
    pub sent: u32,
    /// Sequence number, time to live and microseconds of each answer.
    pub answers: Vec<(u16, u8, u64)>,
    /// The address could not be reached: no route, or nobody has it.
    pub unreachable: bool,
}

/// Something that happened in the network of a Virtual I/O Server, for its error log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerNetworkEvent {
    /// A Shared Ethernet Adapter has another state.
    Bridge {
        /// Device.
        device: String,
        /// State.
        state: BridgeState,
    },
    /// Frames went in a circle through a Shared Ethernet Adapter; it stopped bridging until the circle is open.
    Storm {
        /// Device.
        device: String,
        /// VLAN on which it was seen.
        vlan: u16,
    },
    /// The other Shared Ethernet Adapter of the control channel does not fit: same priority, or another mode.
    Misconfigured {
        /// Device.
        device: String,
        /// What is wrong, in words.
        reason: String,
    },
    /// A device's link.
    Link {
        /// Device.
        device: String,
        /// Whether it is up.
        up: bool,
    },
    /// An aggregation goes over its backup, or over its main links again.
    Backup {
        /// Device.
        device: String,
        /// Over the backup.
        on_backup: bool,
    },
    /// A client logged in to the server adapter of a virtual NIC: it is the active one now.
    VnicLogin {
        /// Device (`vnicserver1`).
        device: String,
    },
    /// The transport of a server adapter of a virtual NIC changed: opened, or closed.
    VnicTransport {
        /// Device.
        device: String,
    },
}

/// Takes events. Called from the fabric's thread; must not block.
pub trait ServerNetworkEvents: Send + Sync {
    /// Takes one event.
    fn network_event(&self, event: ServerNetworkEvent);
}

/// The network engine of one Virtual I/O Server.
pub trait ServerNetwork: Send + Sync {
    /// Makes the network devices what `configuration` says. What stays the same goes on undisturbed. No wait.
    fn configure(&self, configuration: ServerNetworkConfiguration);
    /// A device as it is; `None` for one that is not configured.
    fn statistics(&self, device: &str) -> Option<NetworkDeviceStatistics>;
    /// Sets a device's counters to zero.
    fn reset_statistics(&self, device: &str);
    /// Clients of a Shared Ethernet Adapter with accounting.
    fn accounting(&self, device: &str) -> Vec<ClientStatistics>;
    /// Sets those counters to zero.
    fn reset_accounting(&self, device: &str);
    /// The server adapter of a virtual NIC; `None` for one that is not configured.
    fn vnic_server(&self, slot: VirtualSlot) -> Option<VnicServerState>;
    /// What the client of a virtual NIC said of itself when it logged in to this server adapter: operating system (`AIX`) and
    /// device (`ent0`). `None` before that, or where the engine does not carry it.
    fn vnic_client(&self, slot: VirtualSlot) -> Option<(String, String)> {
        let _ = slot;
        None
    }
    /// Stations known by ARP: address, MAC address, interface.
    fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)>;
    /// Packets and errors of an interface.
    fn interface(&self, name: &str) -> Option<PortStatistics>;
    /// Asks an address so many times, `interval` apart; waits for the answers, each at most a second.
    fn ping(&self, address: Ipv4Addr, count: u32, bytes: u16, interval: Duration) -> PingResult;
}
