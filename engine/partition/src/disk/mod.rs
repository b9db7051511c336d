//! Boot disks: implementations of [`varan_contract::engine::BootDisk`], and the store on one in which a guest
//! keeps its host name, IP configuration, ODM, error log and RSCT node id.

mod configuration;
mod file;
mod memory;
mod store;

pub use configuration::{
    BootConfiguration, ERROR_LOG_ENTRIES, ErrorLogEntry, Network, ODM_ATTRIBUTES, ODM_DEVICES, OdmAdapter,
    OdmDevice, OdmDisk, OdmInterface,
};
pub use file::{FILE_BOOT_DISK_BYTES, FileBootDisk};
pub use memory::MemoryBootDisk;
pub use store::{DiskFault, Loaded, STORE_END, StorePosition, load, store};
