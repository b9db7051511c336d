//! The block engine: devices over files, memory and other devices; the storage array with its units, masking and
//! reservations; and the gate that lets through only who may do I/O.
//!
//! Nothing here knows commands, users or partitions' definitions: who may do what is given as a
//! [`Nexus`](varan_contract::block::Nexus) and as initiator port names.

mod batch;
mod export;
mod fence;
mod file;
mod lease;
mod memory;
mod order;
mod san;
mod volume;

pub use export::{DeviceExport, DeviceTable, InvalidExportName, NbdDevice, NbdError, SanExports, UnitName};
pub use fence::{Drain, Fence, Gate};
pub use file::{Cache, DriverKind, FileDevice, FileOptions};
pub use lease::{LeaseDatabase, LeaseHolder, LeaseObserver, lease_margin};
pub use memory::MemoryDevice;
pub use san::{LogicalUnitNumber, Reservation, ReservePolicy, San, SanDevice, SanError, SanPath};
pub use volume::{ReadOnly, Volume, VolumeError, VolumePart};
