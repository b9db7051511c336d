//! Locks: what an operation that takes time holds, so that no other changes the same thing meanwhile.
//!
//! The managed system keeps them, not a console: two consoles that manage it meet at the same lock.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{MachineIdentity, PartitionId};

/// An operation that holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockedFor {
    /// A dynamic change of memory.
    Memory,
    /// A dynamic change of processors.
    Processors,
    /// A virtual adapter is added or removed.
    VirtualAdapter,
    /// A physical slot is added or removed.
    PhysicalSlot,
    /// An SR-IOV logical port is added or removed.
    LogicalPort,
    /// The firmware is updated.
    Firmware,
}

impl LockedFor {
    /// The word of `lslock`, after the `-r` of the command that holds the lock.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Memory => "mem",
            Self::Processors => "proc",
            Self::VirtualAdapter => "virtualio",
            Self::PhysicalSlot => "io",
            Self::LogicalPort => "sriov",
            Self::Firmware => "lic",
        }
    }
}

/// The console on whose behalf an operation holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Name of the console.
    pub console: String,
    /// Machine type, model and serial number of the console.
    pub identity: MachineIdentity,
}

/// A lock. A move holds the same one on both partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationLock {
    /// Number, unique while the system's process runs.
    pub number: u64,
    /// What holds it.
    pub operation: LockedFor,
    /// Who asked; `None` for the machine itself, and for an operation that outlived the system's process.
    pub holder: Option<LockHolder>,
    /// Since when, in seconds since 1970 UTC.
    pub since: i64,
}

/// A lock with what it is on: one row of `lslock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockEntry {
    /// Partition; `None` for the whole system.
    pub partition: Option<(PartitionId, String)>,
    /// Lock.
    pub lock: Arc<OperationLock>,
}
