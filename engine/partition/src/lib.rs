//! The embedded partition engine: partitions whose memory is real pages and whose boot disk is real blocks;
//! only the guest program is ours.
//!
//! - [`memory`]: the process-wide arena of page frames and a guest's sparse memory with dirty tracking.
//! - [`disk`]: boot disks for tests and files, and the format of what a guest keeps on one.
//! - [`guest`]: one guest as a state machine without I/O: boot, firmware menus, login, shell, DLPAR, stop.
//! - [`engine`]: the driver that runs guests on a worker pool, or single-threaded in virtual time, behind
//!   [`varan_contract::engine::PartitionEngine`].

pub mod disk;
pub mod engine;
pub mod guest;
pub mod memory;
mod storage;

pub use disk::{FileBootDisk, MemoryBootDisk};
pub use engine::{EmbeddedEngine, EngineOptions, ResidentReport, Workers};
pub use memory::FrameArena;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose data stays consistent even if a holder panicked: every critical section in this crate
/// finishes its change before it can fail.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
