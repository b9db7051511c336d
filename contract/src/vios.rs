//! What a Virtual I/O Server is asked, and what it answers. Its command line is the only asker so far; the console's
//! storage commands and mobility will be others.
//!
//! Every request carries an id; a repeat with the same id gets the same answer and is done once. All types can cross a
//! process boundary. Queries are answered from the published state and never wait for a writer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use varan_model::ids::{MachineIdentity, PartitionId, PartitionUuid};
use varan_model::vios::{
    BackingFile, BackingKind, Device, DeviceClass, DeviceName, DiskPath, ErrorEntry, ErrorTemplate,
    FibreChannelMapping, LogicalVolume, MediaAccess, PathState, PhysicalVolume, Repository, ScsiMapping,
    StoragePool, ViosRefusal, VolumeGroup,
};

pub use crate::system::RequestId;
use crate::vios_network::{NetworkAnswer, NetworkChange, NetworkQuery};

/// A device as the user named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceSelector {
    /// By name.
    Name(String),
    /// By physical location code.
    Location(String),
}

/// Which of several things a query is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Select {
    /// All of them.
    All,
    /// One, which must exist.
    One(DeviceSelector),
}

/// Which devices a listing shows. Listings are in the order of class, then name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceQuery {
    /// All of them.
    All,
    /// One, which must exist.
    One(DeviceSelector),
    /// Those of these classes.
    Classes(Vec<DeviceClass>),
    /// Virtual ones.
    Virtual,
    /// Those right below one.
    Children(DeviceSelector),
}

/// What `lsmap` is asked for. An adapter that is none of the kind is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingQuery {
    /// Server adapters.
    pub adapters: Select,
    /// Only those of this client.
    pub client: Option<PartitionId>,
    /// Only virtual target devices of these kinds of backing devices, and adapters that have any; empty for all.
    pub kinds: Vec<BackingKind>,
}

/// Which entries of the error log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorQuery {
    /// Only these identifiers; empty for all.
    pub identifiers: Vec<u32>,
    /// Only this entry.
    pub sequence: Option<u64>,
    /// Only those of this resource.
    pub resource: Option<String>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViosQuery {
    /// The server itself.
    Identity,
    /// Devices.
    Devices(DeviceQuery),
    /// The attributes of a device, in their order, as in force.
    Attributes(DeviceSelector),
    /// Virtual SCSI mappings.
    ScsiMappings(MappingQuery),
    /// Virtual Fibre Channel mappings.
    FibreChannelMappings(MappingQuery),
    /// Disks, by name.
    PhysicalVolumes(Select),
    /// Paths of disks.
    Paths(Select),
    /// Ports of physical Fibre Channel adapters that can do NPIV.
    NpivPorts,
    /// Volume groups; with a name, that one, which must exist.
    VolumeGroups(Option<String>),
    /// Logical volumes of a volume group.
    LogicalVolumes(String),
    /// One logical volume.
    LogicalVolume(String),
    /// Logical volumes with physical partitions on a disk.
    LogicalVolumesOn(DeviceSelector),
    /// Storage pools; with a name, that one, which must exist.
    StoragePools(Option<String>),
    /// Backing devices of a pool; of the default pool without a name.
    BackingDevices(Option<String>),
    /// The virtual media repository; refused when there is none.
    Repository,
    /// Entries of the error log, newest first.
    Errors(ErrorQuery),
    /// Commands that changed something, oldest first (`lsgcl`).
    CommandLog,
    /// The network.
    Network(NetworkQuery),
    /// Bytes of a disk, a logical volume or a virtual target's file, for reading a device file: at most 1 MiB at once. Fewer
    /// bytes at its end.
    Bytes {
        /// Device.
        device: DeviceSelector,
        /// First byte.
        offset: u64,
        /// How many.
        length: u32,
    },
}

/// A port for NPIV (`lsnports`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpivPort {
    /// Device.
    pub name: DeviceName,
    /// Location code.
    pub location: String,
    /// Whether its fabric can do NPIV.
    pub fabric: bool,
    /// Virtual ports.
    pub total_ports: u16,
    /// Of them, not mapped.
    pub available_ports: u16,
    /// Port names that can log in.
    pub total_names: u16,
    /// Of them, free.
    pub available_names: u16,
}

/// The value of an attribute of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeValue {
    /// Name.
    pub name: String,
    /// Value in force.
    pub value: String,
    /// Description.
    pub description: String,
    /// Whether a user may set it.
    pub settable: bool,
    /// What `-range` lists, a line each: values, or `from...to (+step)`.
    pub range: Vec<String>,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViosIdentity {
    /// Host name.
    pub hostname: String,
    /// Partition name.
    pub partition_name: String,
    /// Partition number.
    pub partition_id: PartitionId,
    /// Partition.
    pub partition: PartitionUuid,
    /// Machine.
    pub machine: MachineIdentity,
    /// `ioslevel`: `2.2.5.10`.
    pub level: String,
    /// The AIX level below it (`oem_platform_level`): `6.1.0.0`.
    pub platform_level: String,
    /// Whether the licence was accepted. It is on a server that a site brings with it.
    pub licence_accepted: bool,
    /// Seconds since 1970 UTC at the server.
    pub seconds: i64,
}

/// One line of the command log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLogEntry {
    /// When, in seconds since 1970 UTC.
    pub seconds: i64,
    /// Who: `padmin` or `root`.
    pub user: String,
    /// Command line.
    pub command: String,
}

/// An answer to a [`ViosQuery`], each to the question of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViosAnswer {
    /// `Identity`.
    Identity(ViosIdentity),
    /// `Devices`.
    Devices(Vec<Arc<Device>>),
    /// `Attributes`.
    Attributes(Vec<AttributeValue>),
    /// `ScsiMappings`.
    ScsiMappings(Vec<ScsiMapping>),
    /// `FibreChannelMappings`.
    FibreChannelMappings(Vec<FibreChannelMapping>),
    /// `PhysicalVolumes`.
    PhysicalVolumes(Vec<PhysicalVolume>),
    /// `Paths`.
    Paths(Vec<DiskPath>),
    /// `NpivPorts`.
    NpivPorts(Vec<NpivPort>),
    /// `VolumeGroups`.
    VolumeGroups(Vec<VolumeGroup>),
    /// `LogicalVolumes`, `LogicalVolume`, `LogicalVolumesOn`.
    LogicalVolumes(Vec<LogicalVolume>),
    /// `StoragePools`.
    StoragePools(Vec<StoragePool>),
    /// `BackingDevices`.
    BackingDevices(Vec<BackingFile>),
    /// `Repository`.
    Repository(Repository),
    /// `Errors`.
    Errors(Vec<ErrorEntry>),
    /// `CommandLog`.
    CommandLog(Vec<CommandLogEntry>),
    /// `Network`.
    Network(NetworkAnswer),
    /// `Bytes`.
    Bytes(Vec<u8>),
}

/// How a device is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Its children first (`-recursive`).
    pub recursive: bool,
    /// It stays in the data base as `Defined` (`-ucfg`; `rmdev -l` without `-d` in AIX's words).
    pub keep_definition: bool,
    /// Only its children go (`-pdev`).
    pub children_only: bool,
    /// Forced (`-f`).
    pub force: bool,
}

/// Where a new medium's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediumSource {
    /// Zeros: a blank DVD-RAM of so many MB.
    Blank(u64),
    /// A file that was put into the server's upload directory, moved from there; path relative to it.
    Upload(String),
}

/// What `mkbdsp` and its like are to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingRequest {
    /// Pool; `None` is the default pool.
    pub pool: Option<String>,
    /// Name of the backing device; `None` lets the server name it.
    pub name: Option<String>,
    /// Size in MB; `None` maps one that exists.
    pub megabytes: Option<u64>,
    /// Server adapter to map it to.
    pub adapter: Option<DeviceSelector>,
    /// Name of the virtual target device.
    pub target: Option<String>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViosChange {
    /// Finds what is there and configures it (`cfgdev`); below one device, or everywhere.
    ConfigureDevices(Option<DeviceSelector>),
    /// Makes a defined device available (AIX's `mkdev -l`).
    MakeAvailable(DeviceSelector),
    /// Sets attributes (`chdev`).
    ChangeDevice {
        /// Device.
        device: DeviceSelector,
        /// Attributes and values.
        attributes: Vec<(String, String)>,
        /// Only in the data base (`-perm`).
        permanent_only: bool,
    },
    /// Removes a device (`rmdev`).
    RemoveDevice {
        /// Device.
        device: DeviceSelector,
        /// How.
        removal: Removal,
    },
    /// Maps a disk, a logical volume, a file of the default pool or a physical drive to a client (`mkvdev -vdev`).
    MapDevice {
        /// Backing device.
        backing: DeviceSelector,
        /// Server adapter.
        adapter: DeviceSelector,
        /// Name of the virtual target device.
        target: Option<String>,
        /// Although it is mapped already (`-f`).
        force: bool,
        /// As the secondary of a mirror (`-attr mirrored=true`).
        mirrored: bool,
    },
    /// Makes a virtual optical drive (`mkvdev -fbo`).
    MapOptical {
        /// Server adapter.
        adapter: DeviceSelector,
        /// Name of the drive.
        target: Option<String>,
    },
    /// Removes a virtual target device (`rmvdev -vtd`), or those of a backing device (`rmvdev -vdev`).
    RemoveMapping {
        /// Virtual target device or backing device.
        device: DeviceSelector,
        /// `device` is the backing device.
        by_backing: bool,
        /// All of them, where there are several.
        force: bool,
        /// The logical volume goes with it (`-rmlv`).
        remove_logical_volume: bool,
    },
    /// Maps a virtual Fibre Channel adapter to a port, or to none (`vfcmap`).
    MapFibreChannel {
        /// Server adapter.
        adapter: DeviceSelector,
        /// Port.
        port: Option<String>,
    },
    /// Enables or disables paths of a disk (`chpath`).
    ChangePath {
        /// Disk.
        disk: DeviceSelector,
        /// Only paths through this device.
        parent: Option<String>,
        /// Only the path of this connection.
        connection: Option<String>,
        /// `Enabled` or `Disabled`.
        state: PathState,
    },
    /// The network.
    Network(NetworkChange),
    /// Makes a volume group (`mkvg`, `mksp`).
    CreateVolumeGroup {
        /// Name; `None` lets the server name it `vg00`, ...
        name: Option<String>,
        /// Disks.
        disks: Vec<String>,
        /// Past traces of another volume group (`-f`).
        force: bool,
    },
    /// Adds disks (`extendvg`, `chsp -add`).
    ExtendVolumeGroup {
        /// Name.
        name: String,
        /// Disks.
        disks: Vec<String>,
        /// Past traces of another volume group.
        force: bool,
    },
    /// Takes disks out (`reducevg`, `chsp -rm`); the group goes with its last disk.
    ReduceVolumeGroup {
        /// Name.
        name: String,
        /// Disks.
        disks: Vec<String>,
        /// With the logical volumes on them (`-rmlv`, `-f`).
        force: bool,
    },
    /// Makes a logical volume (`mklv`).
    CreateLogicalVolume {
        /// Volume group.
        volume_group: String,
        /// Name; `None` lets the server name it `lv00`, ...
        name: Option<String>,
        /// Type; empty for `jfs`.
        kind: String,
        /// Size.
        size: LogicalVolumeSize,
        /// Only on these disks; empty for any.
        disks: Vec<String>,
    },
    /// Makes a logical volume larger (`extendlv`).
    ExtendLogicalVolume {
        /// Name.
        name: String,
        /// By how much.
        size: LogicalVolumeSize,
        /// Only on these disks.
        disks: Vec<String>,
    },
    /// Removes logical volumes (`rmlv`).
    RemoveLogicalVolumes(Vec<String>),
    /// Makes a file pool in a pool of logical volumes (`mksp -fb`).
    CreateFilePool {
        /// Name.
        name: String,
        /// Pool that it lies in; `None` is the default pool.
        parent: Option<String>,
        /// Size in MB.
        megabytes: u64,
    },
    /// Makes a file pool larger (`chsp -add -size`).
    GrowFilePool {
        /// Name.
        name: String,
        /// By how many MB.
        megabytes: u64,
    },
    /// Makes a pool the default one (`chsp -default`).
    DefaultPool(String),
    /// Removes a pool (`rmsp`).
    RemovePool {
        /// Name.
        name: String,
        /// With what is in it.
        force: bool,
    },
    /// Makes a backing device, maps one, or both (`mkbdsp`).
    CreateBackingDevice(BackingRequest),
    /// Makes a backing device larger (`chbdsp -size`).
    GrowBackingDevice {
        /// Pool.
        pool: Option<String>,
        /// Name.
        name: String,
        /// By how many MB.
        megabytes: u64,
    },
    /// Removes a backing device, or only its mapping (`rmbdsp`).
    RemoveBackingDevice {
        /// Pool.
        pool: Option<String>,
        /// Its name, or its virtual target device.
        device: BackingSelector,
        /// Only the mapping (`-savebd`).
        keep: bool,
    },
    /// Makes the virtual media repository (`mkrep`).
    CreateRepository {
        /// Pool; `None` is the default one.
        pool: Option<String>,
        /// Size in MB; rounded up to whole physical partitions.
        megabytes: u64,
    },
    /// Makes it larger (`chrep`).
    GrowRepository(u64),
    /// Removes it (`rmrep`).
    RemoveRepository {
        /// With its media.
        force: bool,
    },
    /// Makes a medium (`mkvopt`).
    CreateMedium {
        /// Name.
        name: String,
        /// Bytes.
        source: MediumSource,
        /// Access.
        access: MediaAccess,
    },
    /// Changes a medium's access or name (`chvopt`).
    ChangeMedium {
        /// Name.
        name: String,
        /// New access.
        access: Option<MediaAccess>,
        /// New name.
        new_name: Option<String>,
    },
    /// Removes a medium (`rmvopt`).
    RemoveMedium {
        /// Name.
        name: String,
        /// Out of its drives first.
        force: bool,
    },
    /// Puts a medium into a drive (`loadopt`).
    Load {
        /// Medium.
        medium: String,
        /// Drive.
        drive: String,
        /// Instead of the medium that is in it.
        force: bool,
        /// Although the client holds the drive.
        release: bool,
    },
    /// Takes the medium out (`unloadopt`).
    Unload {
        /// Drive.
        drive: String,
        /// Although the client holds the drive.
        release: bool,
    },
    /// Files of the repository changed without the server (`mv`, `cp`, `rm` as root): it looks again.
    RescanRepository,
    /// Writes bytes to a disk as root does (`dd of=/dev/hdisk4`): at most 1 MiB.
    WriteBytes {
        /// Device.
        device: DeviceSelector,
        /// First byte.
        offset: u64,
        /// Bytes.
        data: Vec<u8>,
    },
    /// Removes entries of the error log that are older than so many days (`errlog -rm`).
    ClearErrors {
        /// Days; 0 removes all.
        days: u32,
    },
    /// Logs an entry on behalf of a component or a user (`errlogger`).
    LogError {
        /// Template.
        template: ErrorTemplate,
        /// Resource.
        resource: String,
        /// Detail data.
        details: Vec<(String, String)>,
    },
    /// Accepts the licence.
    AcceptLicence,
    /// Sets the host name.
    SetHostname(String),
    /// Installs an update whose bundle says this level (`updateios`).
    Update {
        /// The level that the bundle brings.
        level: String,
    },
    /// Notes a command in the command log.
    LogCommand {
        /// `padmin` or `root`.
        user: String,
        /// Command line.
        command: String,
    },
    /// The server stops, and starts again if `restart` is true.
    Shutdown {
        /// At once.
        force: bool,
        /// It comes back.
        restart: bool,
    },
}

/// A logical volume's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogicalVolumeSize {
    /// In partitions of the group.
    Partitions(u32),
    /// In MB, rounded up to whole partitions.
    Megabytes(u64),
}

/// A backing device by its own name or by that of its virtual target device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackingSelector {
    /// By its name.
    Name(String),
    /// By its virtual target device.
    Target(String),
}

/// What a change brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViosDone {
    /// Devices that are new or have another state now, in order.
    pub devices: Vec<(DeviceName, DeviceOutcome)>,
    /// Name of what was made where it is no device: volume group, logical volume, backing device.
    pub name: Option<String>,
    /// What the operation has to say besides (method warnings), a line each.
    pub notes: Vec<String>,
}

/// What became of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceOutcome {
    /// `Available`.
    Available,
    /// `Defined`.
    Defined,
    /// `deleted`.
    Deleted,
    /// `changed`.
    Changed,
}

/// Why a call to a server failed.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum ViosCallError {
    /// It refused; nothing changed.
    #[error("{0}")]
    Refused(ViosRefusal),
    /// It does not run.
    #[error("the Virtual I/O Server is not running")]
    NotRunning,
    /// It did not answer in time; whether a change was made is not known.
    #[error("the Virtual I/O Server does not answer")]
    NoAnswer,
}

impl From<ViosRefusal> for ViosCallError {
    fn from(refusal: ViosRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The way to a Virtual I/O Server.
pub trait ViosLink: Send + Sync {
    /// Asks; answers the question of the same name.
    ///
    /// # Errors
    /// [`ViosCallError`].
    fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, ViosCallError>;
    /// Changes. A repeat with the same id is done once.
    ///
    /// # Errors
    /// [`ViosCallError`].
    fn change(&self, id: RequestId, change: ViosChange) -> Result<ViosDone, ViosCallError>;
}
