//! Disks, their paths, volume groups, logical volumes and storage pools.

use serde::{Deserialize, Serialize};

use super::device::DeviceName;
use crate::ids::WorldWidePortName;
use crate::site::{PhysicalVolumeIdentifier, Udid};

/// How a disk is reserved for the server that opens it (`reserve_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReservePolicy {
    /// `no_reserve`: not at all.
    None,
    /// `single_path`: for one port of one server (SCSI-2 reserve). The default.
    SinglePath,
    /// `PR_exclusive`: persistently, for one key.
    PersistentExclusive,
    /// `PR_shared`: persistently, for all who registered.
    PersistentShared,
}

impl ReservePolicy {
    /// Every policy, in the order of `lsattr -R`.
    pub const ALL: [Self; 4] =
        [Self::None, Self::PersistentExclusive, Self::PersistentShared, Self::SinglePath];

    /// The attribute's value.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "no_reserve",
            Self::SinglePath => "single_path",
            Self::PersistentExclusive => "PR_exclusive",
            Self::PersistentShared => "PR_shared",
        }
    }

    /// The policy of a value.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.word() == word)
    }
}

/// A port of a Fibre Channel adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FibreChannelPort {
    /// Port name.
    pub port_name: WorldWidePortName,
    /// Whether the fabric behind it can do NPIV.
    pub fabric: bool,
    /// Virtual ports that it can serve.
    pub total_ports: u16,
    /// Port names that it can log in.
    pub total_names: u16,
}

/// A disk as `lspv` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalVolume {
    /// Device.
    pub name: DeviceName,
    /// PVID; `None` for a disk that has none.
    pub pvid: Option<PhysicalVolumeIdentifier>,
    /// Volume group that it is in.
    pub volume_group: Option<String>,
    /// Whether that volume group is varied on.
    pub active: bool,
    /// Size in MB.
    pub megabytes: u64,
    /// Unique identifier.
    pub udid: Udid,
    /// Physical location code.
    pub location: String,
    /// Whether virtual target devices, a pool or a volume group use it.
    pub used: bool,
}

/// State of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PathState {
    /// In use.
    Enabled,
    /// Not used until it is enabled again (`chpath`).
    Disabled,
    /// It failed and waits for its next check.
    Failed,
    /// Was there at the last configuration and is not any more.
    Missing,
    /// Not configured.
    Defined,
}

impl PathState {
    /// The word of `lspath`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::Failed => "Failed",
            Self::Missing => "Missing",
            Self::Defined => "Defined",
        }
    }
}

/// A path to a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPath {
    /// Disk.
    pub disk: DeviceName,
    /// Device through which it leads (`fscsi0`, `sas0`, `vscsi0`).
    pub parent: DeviceName,
    /// Number of the path, from 0.
    pub number: u32,
    /// Connection: `500507680140f32c,3e5000000000000`, or `81000000000` on virtual SCSI.
    pub connection: String,
    /// State.
    pub state: PathState,
}

/// Consecutive physical partitions of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Disk, by its PVID: the device's name may differ on the next server.
    pub disk: PhysicalVolumeIdentifier,
    /// First physical partition, from 0.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// A disk of a volume group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeGroupDisk {
    /// Device.
    pub name: DeviceName,
    /// PVID.
    pub pvid: PhysicalVolumeIdentifier,
    /// Physical partitions.
    pub total: u32,
    /// Of them, free.
    pub free: u32,
    /// False while the disk cannot be reached (`missing`).
    pub active: bool,
}

/// A volume group; also a storage pool of the logical volume kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeGroup {
    /// Name, at most 15 characters.
    pub name: String,
    /// Identifier, 32 hexadecimal digits.
    pub identifier: u128,
    /// Size of a physical partition in MB.
    pub partition_megabytes: u64,
    /// Disks in the order in which they were added.
    pub disks: Vec<VolumeGroupDisk>,
    /// Logical volumes in order of creation.
    pub logical_volumes: Vec<String>,
    /// Whether it is varied on.
    pub active: bool,
    /// Whether it is the default storage pool.
    pub default_pool: bool,
}

impl VolumeGroup {
    /// Physical partitions.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.disks.iter().map(|disk| disk.total).sum()
    }

    /// Free physical partitions.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.disks.iter().map(|disk| disk.free).sum()
    }
}

/// Whether a logical volume is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogicalVolumeState {
    /// Nobody has it open.
    Closed,
    /// A file system, a client or the system has it open.
    Open,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalVolume {
    /// Name, at most 15 characters.
    pub name: String,
    /// Volume group.
    pub volume_group: String,
    /// Type: `jfs2`, `boot`, `paging`, `jfs2log`, `sysdump`.
    pub kind: String,
    /// Logical partitions; each has one physical partition.
    pub partitions: u32,
    /// Size of a partition in MB.
    pub partition_megabytes: u64,
    /// Where its partitions are, in logical order.
    pub extents: Vec<Extent>,
    /// State.
    pub state: LogicalVolumeState,
    /// Where it is mounted; empty when it is not.
    pub mount_point: String,
    /// Its place in the volume group, from 1: part of its identifier.
    pub number: u32,
}

/// Kinds of storage pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PoolKind {
    /// Logical volumes of a volume group (`LVPOOL`).
    LogicalVolume,
    /// Files (`FBPOOL`).
    File,
}

impl PoolKind {
    /// The word of `lssp`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LogicalVolume => "LVPOOL",
            Self::File => "FBPOOL",
        }
    }
}

/// A storage pool as `lssp` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoragePool {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: PoolKind,
    /// Size in MB.
    pub megabytes: u64,
    /// Free in MB.
    pub free_megabytes: u64,
    /// Smallest allocation in MB: the physical partition.
    pub allocation_megabytes: u64,
    /// Backing devices.
    pub backing_devices: u32,
    /// Whether commands without `-sp` mean it.
    pub default: bool,
    /// The pool that a file pool lies in.
    pub parent: Option<String>,
}

/// A backing device in a pool: a file of a file pool, or a logical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingFile {
    /// Name.
    pub name: String,
    /// Pool.
    pub pool: String,
    /// Size in MB.
    pub megabytes: u64,
    /// Virtual target device and its server adapter, where it is mapped.
    pub target: Option<(DeviceName, DeviceName)>,
}
