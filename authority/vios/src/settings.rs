//! What a server is made of: what it is opened with, what it is told at each start, and what it records of itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use varan_contract::engine::{GuestLogicalPort, GuestNetworkAdapter, GuestVnicServer};
use varan_model::hardware::SlotDescription;
use varan_model::ids::{LogicalPortId, MachineIdentity, PartitionId, PartitionUuid, VirtualSlot};
use varan_model::site::PhysicalVolumeIdentifier;

/// What a server is opened with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ViosSettings {
    /// The partition that it runs in: its database belongs to it.
    pub partition: PartitionUuid,
    /// Directory of `vios.db` and `root/`; made where it is missing.
    pub directory: PathBuf,
    /// `ioslevel` of a server that is opened for the first time: `2.2.5.10`.
    pub level: String,
    /// The level of AIX below it: `6.1.0.0`.
    pub platform_level: String,
    /// Real waits (health checks of paths) are divided by this; not below one second.
    pub time_scale: f64,
    /// Network that a server is installed with: configured when it starts for the first time in its life.
    #[serde(default)]
    pub initial_network: Option<InitialNetwork>,
}

/// The network of a server that a site brings with it. Devices get the names that a person's commands would give them, in
/// this order: aggregations and Shared Ethernet Adapters one after the other, each with the next free number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialNetwork {
    /// Shared Ethernet Adapters.
    pub bridges: Vec<InitialBridge>,
    /// Default route.
    pub gateway: Option<std::net::Ipv4Addr>,
}

/// A Shared Ethernet Adapter of an [`InitialNetwork`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialBridge {
    /// Location code of the real port; several become a link aggregation in mode `8023ad` first.
    pub real: Vec<String>,
    /// Slots of the trunk adapters.
    pub trunks: Vec<VirtualSlot>,
    /// Slot of the trunk adapter of untagged frames, one of `trunks`.
    pub default: VirtualSlot,
    /// Slot of the control channel adapter.
    pub control_channel: Option<VirtualSlot>,
    /// `ha_mode`; `None` for the default.
    pub mode: Option<String>,
    /// Further attributes and values, as `mkvdev -attr` takes them.
    pub attributes: Vec<(String, String)>,
    /// Address and prefix length of its interface.
    pub address: Option<(std::net::Ipv4Addr, u8)>,
}

/// What a server is told when its operating system comes up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViosSpecification {
    /// Rises with every start of the partition.
    pub generation: u64,
    /// Host name of a server that has none yet.
    pub hostname: String,
    /// Partition name.
    pub name: String,
    /// Partition number.
    pub id: PartitionId,
    /// Machine.
    pub machine: MachineIdentity,
    /// Firmware level in force (`IBM,FW860.10 (SV860_056)`), for `sys0`.
    pub firmware: String,
    /// Memory in MB.
    pub memory: u64,
    /// Virtual or dedicated processors.
    pub processors: u32,
    /// Virtual adapters.
    pub adapters: Vec<ServerAdapter>,
    /// SR-IOV logical ports of the server's own, besides those of its virtual NIC server adapters.
    #[serde(default)]
    pub logical_ports: Vec<GuestLogicalPort>,
    /// Physical slots that the partition has.
    pub slots: Vec<SlotDescription>,
    /// Disks inside the machine that its adapters reach; the first that is marked so holds the root volume group.
    pub local_disks: Vec<LocalDisk>,
    /// Names that the site gives disks of the SAN on this server, by unique identifier.
    pub disk_names: Vec<(String, String)>,
}

/// A disk inside the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDisk {
    /// Location code (`U78AA.001.WZSKM8U-P2-D4`).
    pub location: String,
    /// Location code of the slot of the adapter that reaches it; `None` for one that hangs on the planar.
    pub adapter: Option<String>,
    /// Size in MB.
    pub megabytes: u64,
    /// File that holds its bytes; made, without taking room, where it is missing.
    pub file: PathBuf,
    /// Identifier that a disk that is made here bears.
    pub identifier: Option<PhysicalVolumeIdentifier>,
    /// Whether the server is installed on it.
    pub boot: bool,
}

/// A virtual adapter of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAdapter {
    /// Slot.
    pub slot: VirtualSlot,
    /// Kind.
    pub kind: AdapterKind,
    /// Partition at the other end; `None` for any.
    pub remote: Option<PartitionId>,
    /// Slot at the other end; `None` for any.
    pub remote_slot: Option<VirtualSlot>,
}

/// Kinds of virtual adapters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdapterKind {
    /// Virtual SCSI server adapter.
    ScsiServer,
    /// Virtual Fibre Channel server adapter.
    FibreChannelServer,
    /// Virtual Ethernet adapter.
    Ethernet(Box<GuestNetworkAdapter>),
    /// Server's end of a backing device of a virtual NIC, with the logical port behind it. It is configured when it comes, and
    /// gone with its removal, without a command.
    VnicServer(Box<GuestVnicServer>),
    /// Virtual serial adapter of the console.
    Serial,
    /// The hypervisor's interface for mobility.
    Vasi,
}

/// A change of the server's adapters while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdapterChange {
    /// A virtual adapter was added, or replaces the one in its slot.
    Add(ServerAdapter),
    /// The virtual adapter of a slot is to be removed.
    Remove(VirtualSlot),
    /// A physical slot was added.
    AddSlot(SlotDescription),
    /// A physical slot, by its location code, is to be removed.
    RemoveSlot(String),
    /// An SR-IOV logical port was added, or changed.
    AddLogicalPort(Box<GuestLogicalPort>),
    /// An SR-IOV logical port is to be removed.
    RemoveLogicalPort(LogicalPortId),
}

/// What a server records of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) hostname: String,
    pub(crate) level: String,
    pub(crate) platform_level: String,
    pub(crate) licence_accepted: bool,
    pub(crate) default_pool: String,
    /// Numbers of the next entries of the logs.
    pub(crate) next_error: u64,
    pub(crate) next_command: u64,
    /// Number of the last start; the last stop was orderly when `stopped` is true.
    pub(crate) generation: u64,
    pub(crate) stopped: bool,
    /// What is to be configured at the first start.
    #[serde(default)]
    pub(crate) initial_network: Option<InitialNetwork>,
}

impl Own {
    pub(crate) fn new(settings: &ViosSettings) -> Self {
        Self {
            hostname: String::new(),
            level: settings.level.clone(),
            platform_level: settings.platform_level.clone(),
            licence_accepted: true,
            default_pool: ROOT_GROUP.to_owned(),
            next_error: 1,
            next_command: 1,
            generation: 0,
            stopped: true,
            initial_network: settings.initial_network.clone(),
        }
    }
}

/// Name of the volume group that the server is installed in.
pub(crate) const ROOT_GROUP: &str = "rootvg";
