//! The network of a Virtual I/O Server, as its command line asks about it and changes it.
//!
//! What is configured is answered from the server's published state; states and counters are asked from its network engine
//! when the question comes, and never stored.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_model::ids::{MacAddress, PartitionId};
use varan_model::vios::{Device, DeviceName};

use crate::network::{
    ClientStatistics, LinkAggregation, NetworkDeviceStatistics, PingResult, PortStatistics, ServerPort,
    SharedEthernetAdapter, VnicServerState,
};
use crate::vios::{DeviceSelector, Select};

/// A question about the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkQuery {
    /// Addresses, routes and names.
    Configuration,
    /// Interfaces, those that are configured, with their counters.
    Interfaces,
    /// Counters and states of an Ethernet device.
    Statistics {
        /// Device.
        device: DeviceSelector,
        /// With those of what it is made of (`entstat -all`).
        below: bool,
    },
    /// What a Shared Ethernet Adapter counts for its clients.
    Accounting(DeviceSelector),
    /// Virtual Ethernet adapters and the Shared Ethernet Adapters over them (`lsmap -net`).
    Bridges(Select),
    /// Server adapters of virtual NICs (`lsmap -vnic`).
    VirtualNics {
        /// Which.
        adapters: Select,
        /// Only those of this client.
        client: Option<PartitionId>,
    },
    /// Stations known by ARP.
    Neighbours,
    /// Asks an address.
    Ping {
        /// Address.
        address: Ipv4Addr,
        /// How often.
        count: u32,
        /// Bytes of each request behind its header.
        bytes: u16,
        /// Time between requests.
        interval: Duration,
    },
}

/// An answer to a [`NetworkQuery`], each to the question of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkAnswer {
    /// `Configuration`.
    Configuration(Box<NetworkNames>),
    /// `Interfaces`.
    Interfaces(Vec<InterfaceState>),
    /// `Statistics`: the device itself, then what it is made of, in the order of listings.
    Statistics(Vec<EthernetStatistics>),
    /// `Accounting`, by address and VLAN.
    Accounting(Vec<ClientStatistics>),
    /// `Bridges`.
    Bridges(Vec<BridgeMapping>),
    /// `VirtualNics`.
    VirtualNics(Vec<VirtualNicMapping>),
    /// `Neighbours`: address, MAC address, interface.
    Neighbours(Vec<(Ipv4Addr, MacAddress, String)>),
    /// `Ping`.
    Ping(PingResult),
}

/// Routes and names of a server, besides the addresses of its interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkNames {
    /// Default route.
    pub gateway: Option<Ipv4Addr>,
    /// Further routes: destination, prefix length, gateway.
    pub routes: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    /// Name servers, in the order in which they are asked.
    pub name_servers: Vec<Ipv4Addr>,
    /// Domain of short names.
    pub domain: Option<String>,
    /// Domains that short names are looked for in.
    pub search: Vec<String>,
    /// Names of addresses (`hostmap`), in the order in which they were given.
    pub hosts: Vec<(Ipv4Addr, Vec<String>)>,
}

/// An interface as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceState {
    /// Interface (`en5`).
    pub name: DeviceName,
    /// Device below it; `None` for the loopback interface.
    pub device: Option<DeviceName>,
    /// Address and prefix length.
    pub address: Option<(Ipv4Addr, u8)>,
    /// MAC address.
    pub mac_address: Option<MacAddress>,
    /// `up`, `down` or `detach`.
    pub state: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Counters since the server's start.
    pub statistics: PortStatistics,
}

/// What a device is to the one that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EthernetRole {
    /// It was asked about.
    Itself,
    /// Real adapter of a Shared Ethernet Adapter.
    Real,
    /// Trunk adapter.
    Virtual,
    /// Control channel.
    ControlChannel,
    /// Link of an aggregation.
    Primary,
    /// Backup of an aggregation.
    Backup,
}

/// An Ethernet device with its counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EthernetStatistics {
    /// Device.
    pub device: Arc<Device>,
    /// What it is to the one that was asked about.
    pub role: EthernetRole,
    /// Address that it sends from.
    pub mac_address: MacAddress,
    /// Adapter, for one that is none made of others.
    pub port: Option<ServerPort>,
    /// Shared Ethernet Adapter.
    pub bridge: Option<SharedEthernetAdapter>,
    /// Its trunk adapters with their port VLAN and tagged VLANs.
    pub trunks: Vec<(DeviceName, u16, Vec<u16>)>,
    /// Aggregation.
    pub aggregation: Option<LinkAggregation>,
    /// Counters and states.
    pub statistics: NetworkDeviceStatistics,
}

/// A virtual Ethernet adapter of a server and the Shared Ethernet Adapter over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeMapping {
    /// Virtual adapter.
    pub adapter: DeviceName,
    /// Its location code.
    pub location: String,
    /// Shared Ethernet Adapter.
    pub bridge: Option<DeviceName>,
    /// Its real adapter.
    pub backing: Option<DeviceName>,
    /// `Available` or `Defined`, of the Shared Ethernet Adapter.
    pub status: String,
    /// Location code of the real adapter; empty for an aggregation.
    pub backing_location: String,
}

/// A server adapter of a virtual NIC, with what is behind it and who uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualNicMapping {
    /// Server adapter.
    pub adapter: DeviceName,
    /// Its location code.
    pub location: String,
    /// Client partition.
    pub client: PartitionId,
    /// The client as it named itself at its first login to this adapter; `None` before that.
    pub client_login: Option<VnicClient>,
    /// Location code of the client's virtual NIC.
    pub client_location: String,
    /// Logical port behind the adapter.
    pub backing: Option<Arc<Device>>,
    /// State; `None` where the network engine does not know the adapter.
    pub state: Option<VnicServerState>,
    /// Failover priority.
    pub priority: u8,
    /// VLAN of untagged frames of the logical port, 0 for none, and their priority.
    pub port_vlan: (u16, u8),
}

/// What a client says of itself when it logs in to a server adapter of its virtual NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnicClient {
    /// Partition name.
    pub name: String,
    /// `AIX`, `Linux`, ...; empty where it did not say.
    pub operating_system: String,
    /// Its device (`ent0`); empty where it did not say.
    pub device: String,
}

/// A kind of network device that a user makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkDeviceKind {
    /// Shared Ethernet Adapter.
    Bridge,
    /// Link aggregation.
    Aggregation,
    /// VLAN device.
    Vlan,
}

/// How an address is set up (`mktcpip`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSetup {
    /// Host name.
    pub hostname: Option<String>,
    /// Interface.
    pub interface: String,
    /// Address.
    pub address: Ipv4Addr,
    /// Prefix length; `None` for that of the address's class.
    pub prefix: Option<u8>,
    /// Default route.
    pub gateway: Option<Ipv4Addr>,
    /// Name server and domain.
    pub name_server: Option<(Ipv4Addr, String)>,
}

/// A change of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkChange {
    /// Makes a Shared Ethernet Adapter (`mkvdev -sea`).
    CreateBridge {
        /// Device towards the physical network.
        real: DeviceSelector,
        /// Trunk adapters.
        virtuals: Vec<String>,
        /// The one of untagged frames.
        default: String,
        /// VLAN of untagged frames.
        default_vlan: String,
        /// Attributes and values.
        attributes: Vec<(String, String)>,
        /// The real adapter's IP configuration moves to it (`-migrate`).
        migrate: bool,
    },
    /// Makes a link aggregation (`mkvdev -lnagg`).
    CreateAggregation {
        /// Links.
        adapters: Vec<String>,
        /// Attributes and values.
        attributes: Vec<(String, String)>,
        /// The IP configuration of this interface moves to it (`-migrate -auto`): one of the links, the first one that has
        /// an address where the name is empty.
        migrate: Option<String>,
    },
    /// Makes a VLAN device (`mkvdev -vlan`).
    CreateVlan {
        /// Device that carries it.
        base: DeviceSelector,
        /// VLAN.
        tag: String,
    },
    /// Removes one of these (`rmvdev -sea`, `-lnagg`, `-vlan`).
    Remove {
        /// Device.
        device: DeviceSelector,
        /// What it must be.
        kind: NetworkDeviceKind,
        /// Its IP configuration moves to what is below it.
        migrate: bool,
    },
    /// Changes the links of an aggregation (`cfglnagg`).
    ChangeAggregation {
        /// Device.
        device: DeviceSelector,
        /// Links that it gets.
        add: Vec<String>,
        /// Links that it loses.
        remove: Vec<String>,
        /// They are backups.
        backup: bool,
    },
    /// Sets up an address (`mktcpip`).
    Address(AddressSetup),
    /// Removes TCP/IP configuration (`rmtcpip`).
    RemoveAddresses {
        /// Interfaces; `None` for all.
        interfaces: Option<Vec<String>>,
        /// The host name too.
        hostname: bool,
        /// The routes too.
        routing: bool,
        /// Name servers and domain too.
        name_service: bool,
    },
    /// Adds and removes routes (`chtcpip`): destination, prefix length, gateway; prefix length 0 for the default route.
    Routes {
        /// To be removed.
        remove: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
        /// To be added.
        add: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    },
    /// Sets the routes and names as they are to be (`cfgnamesrv`); addresses and routes are left alone.
    NameService {
        /// Name servers.
        name_servers: Vec<Ipv4Addr>,
        /// Domain.
        domain: Option<String>,
        /// Domains that are searched.
        search: Vec<String>,
    },
    /// Names an address (`hostmap -addr`).
    AddHost {
        /// Address.
        address: Ipv4Addr,
        /// Names.
        names: Vec<String>,
    },
    /// Removes the names of an address (`hostmap -rm`).
    RemoveHost(Ipv4Addr),
    /// Sets a device's counters to zero; not recorded.
    ResetStatistics(DeviceSelector),
    /// Sets what a Shared Ethernet Adapter counts for its clients to zero; not recorded.
    ResetAccounting(DeviceSelector),
}
