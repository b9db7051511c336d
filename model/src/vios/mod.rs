//! Nouns of a Virtual I/O Server: its devices, disks, mappings, media and error log.
//!
//! Names, classes and texts are those that AIX and the Virtual I/O Server show (the seeds' listings; the reference on
//! VIOS commands, sections 1 and 4).

pub mod codes;
pub mod device;
pub mod error_log;
pub mod header;
pub mod kinds;
pub mod mapping;
pub mod media;
pub mod refusal;
pub mod storage;

pub use codes::ViosMessage;
pub use device::{Device, DeviceDetail, DeviceName, DeviceState};
pub use error_log::{ErrorClass, ErrorEntry, ErrorTemplate, ErrorType};
pub use header::{DiskHeader, GroupMark};
pub use kinds::{AttributeDefinition, DeviceClass, DeviceKind};
pub use mapping::{
    Backing, BackingKind, FibreChannelMapping, PortStatus, ScsiMapping, TargetMapping,
    VirtualFibreChannelFlags,
};
pub use media::{MediaAccess, Medium, Repository};
pub use refusal::ViosRefusal;
pub use storage::{
    BackingFile, DiskPath, Extent, FibreChannelPort, LogicalVolume, LogicalVolumeState, PathState,
    PhysicalVolume, PoolKind, ReservePolicy, StoragePool, VolumeGroup, VolumeGroupDisk,
};
