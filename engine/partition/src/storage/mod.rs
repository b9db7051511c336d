//! A client of Virtual I/O Servers: adapters, disks with several paths, and I/O that moves from one path to another.
//! A state machine without I/O, threads or clocks; the driver carries its commands out and brings the answers.

mod disk;
mod initiator;
mod workload;

#[cfg(test)]
mod tests;

use varan_contract::block::{BlockError, PathGeneration, Udid};
use varan_contract::storage::{ServedKind, StorageError};
use varan_model::ids::VirtualSlot;

pub(crate) use disk::{Disk, Path, PathState};
pub(crate) use initiator::{Initiator, Notice};
pub(crate) use workload::{BLOCK as WORKLOAD_BLOCK, DiskWorkload, FIRST_BYTE, Phase};

/// How a client names a unit behind an adapter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitKey {
    /// By its number on virtual SCSI.
    Lun(u64),
    /// By its identifier on the fabric.
    Fabric(Udid),
}

/// A unit that was found behind an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenUnit {
    /// How it is named there.
    pub key: UnitKey,
    /// Which bytes they are.
    pub udid: Udid,
    /// Size in bytes.
    pub bytes: u64,
    /// Kind.
    pub kind: ServedKind,
}

/// What is done with bytes of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads.
    Read {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: usize,
    },
    /// Writes.
    Write {
        /// First byte.
        offset: u64,
        /// Bytes.
        data: Vec<u8>,
    },
}

/// What the client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Log in to the server of an adapter and list what it serves; answered by [`Answer::Connected`].
    Connect {
        /// Adapter.
        adapter: VirtualSlot,
    },
    /// Open a unit; answered by [`Answer::Opened`].
    Open {
        /// Adapter.
        adapter: VirtualSlot,
        /// Unit.
        unit: UnitKey,
        /// Generation of the path.
        generation: PathGeneration,
    },
    /// One request; answered by [`Answer::Done`].
    Submit {
        /// Identity of the request, never used twice.
        tag: u64,
        /// Adapter.
        adapter: VirtualSlot,
        /// Unit.
        unit: UnitKey,
        /// Request.
        operation: Operation,
    },
    /// Revoke what was under way on a path; answered by [`Answer::Revoked`].
    Revoke {
        /// Adapter through which to ask.
        via: VirtualSlot,
        /// Unit.
        udid: Udid,
        /// Adapter of the path.
        of: VirtualSlot,
        /// Lowest generation that stays.
        minimum: PathGeneration,
    },
}

/// What came of a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Of [`Command::Connect`].
    Connected {
        /// Adapter.
        adapter: VirtualSlot,
        /// Units, in the order of their numbers.
        result: Result<Vec<SeenUnit>, StorageError>,
    },
    /// Of [`Command::Open`].
    Opened {
        /// Adapter.
        adapter: VirtualSlot,
        /// Unit.
        unit: UnitKey,
        /// Generation of the path.
        generation: PathGeneration,
        /// Whether it is open.
        result: Result<(), StorageError>,
    },
    /// Of [`Command::Submit`].
    Done {
        /// Request.
        tag: u64,
        /// Bytes of a read; nothing of a write.
        result: Result<Vec<u8>, BlockError>,
    },
    /// Of [`Command::Revoke`].
    Revoked {
        /// Unit.
        udid: Udid,
        /// Adapter of the path.
        of: VirtualSlot,
        /// Lowest generation that stays.
        minimum: PathGeneration,
        /// Whether nothing of earlier generations can be written any more.
        result: Result<(), StorageError>,
    },
}
