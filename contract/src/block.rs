//! Block targets: what every disk, logical volume and exported file is to those who do I/O on it, who may do I/O, and
//! the record that says so.
//!
//! ```text
//!   guest, NBD client ---> Nexus: client, epoch, path, generation
//!                            |
//!                            v  checked where a request is submitted, not where it was made
//!   BlockDevice::submit ---> driver of the device ---> Completion
//! ```
//!
//! A device does requests concurrently. What is fixed:
//!
//! - A flush covers every write, trim and zeroing whose completion ran before the flush was submitted, by whichever
//!   submitter. A request with `force_unit_access` is durable itself when its completion runs.
//! - Writes that overlap and are under way at the same time take effect one after the other, in the order of their
//!   submission. A read that overlaps a write under way may see old bytes, new ones, or some of each.
//! - A write that failed leaves any mixture of old and new bytes in its own range and changes nothing outside it.

mod buffer;
mod ownership;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use varan_model::ids::{InvalidIdentifier, PartitionUuid};

pub use buffer::{BUFFER_ALIGNMENT, Buffer, BufferPool};
pub use ownership::{FrameLease, LeaseError, LeaseStore, OwnershipChange, OwnershipOutcome, OwnershipRecord};

/// Largest length of one read, write or zeroing that goes through memory, in bytes. Larger ones are refused by whoever
/// takes them from outside.
pub const MAXIMUM_TRANSFER: usize = 32 << 20;

/// What a device looks like to its initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Size in bytes; a multiple of the logical block size.
    pub size: u64,
    /// Logical block size in bytes, 512 or 4096.
    pub logical_block_size: u32,
    /// What offsets and lengths of requests must be multiples of, in bytes: 1 where the device takes any, otherwise a
    /// power of two not above the logical block size.
    pub alignment: u32,
    /// Writes are refused.
    pub read_only: bool,
}

/// One request.
#[derive(Debug)]
pub enum BlockRequest {
    /// Fills `buffer` from the bytes at `offset`; answered with [`BlockAnswer::Data`].
    Read {
        /// First byte.
        offset: u64,
        /// Where to; its length is the request's. What is in it before does not matter.
        buffer: Buffer,
    },
    /// Writes `data` at `offset`.
    Write {
        /// First byte.
        offset: u64,
        /// What to write.
        data: Buffer,
        /// Durable when it completes.
        force_unit_access: bool,
    },
    /// Makes durable what was completed before.
    Flush,
    /// The bytes are not needed any more; they read as what they were or as zeros.
    Trim {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Durable when it completes.
        force_unit_access: bool,
    },
    /// The bytes read as zeros from now on.
    WriteZeroes {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The room may be given back.
        may_trim: bool,
        /// Durable when it completes.
        force_unit_access: bool,
        /// Fail with [`BlockError::NotSupported`], changing nothing, rather than write the zeros out.
        only_fast: bool,
    },
    /// Which parts hold data; answered with [`BlockAnswer::Status`].
    BlockStatus {
        /// First byte.
        offset: u64,
        /// Bytes; not zero.
        length: u64,
        /// Most extents wanted; not zero.
        limit: usize,
    },
}

impl BlockRequest {
    /// First byte and length of what the request is about; nothing for a flush.
    #[must_use]
    pub fn range(&self) -> Option<(u64, u64)> {
        match self {
            Self::Read { offset, buffer } => Some((*offset, buffer.len() as u64)),
            Self::Write { offset, data, .. } => Some((*offset, data.len() as u64)),
            Self::Flush => None,
            Self::Trim { offset, length, .. }
            | Self::WriteZeroes { offset, length, .. }
            | Self::BlockStatus { offset, length, .. } => Some((*offset, *length)),
        }
    }

    /// Whether it changes bytes of the device.
    #[must_use]
    pub fn modifies(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Trim { .. } | Self::WriteZeroes { .. })
    }

    /// Holds the request against a device of this geometry. Every device does this first.
    ///
    /// # Errors
    /// [`BlockError::OutOfRange`], [`BlockError::Unaligned`], [`BlockError::ReadOnly`].
    pub fn check(&self, geometry: &Geometry) -> Result<(), BlockError> {
        if geometry.read_only && self.modifies() {
            return Err(BlockError::ReadOnly);
        }
        let Some((offset, length)) = self.range() else { return Ok(()) };
        if offset.checked_add(length).is_none_or(|end| end > geometry.size) {
            return Err(BlockError::OutOfRange);
        }
        let alignment = u64::from(geometry.alignment.max(1));
        if offset % alignment != 0 || length % alignment != 0 {
            return Err(BlockError::Unaligned);
        }
        if let Self::BlockStatus { limit, .. } = self
            && (*limit == 0 || length == 0)
        {
            return Err(BlockError::OutOfRange);
        }
        Ok(())
    }
}

/// What a successful request is answered with.
#[derive(Debug)]
pub enum BlockAnswer {
    /// Done; writes, flushes, trims and zeroings.
    Done,
    /// The buffer of a read, filled.
    Data(Buffer),
    /// Extents in order from the offset asked for; at least one, together not longer than what was asked for, but
    /// perhaps shorter.
    Status(Vec<Extent>),
}

/// A stretch of a device in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes; not zero.
    pub length: u64,
    /// State.
    pub state: ExtentState,
}

/// What is in an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtentState {
    /// Bytes that may be anything.
    Data,
    /// Room is taken and reads as zeros.
    Zero,
    /// No room is taken; reads as zeros.
    Hole,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum BlockError {
    /// Beyond the end of the device, or an empty range where one is needed.
    #[error("the request is outside the device")]
    OutOfRange,
    /// Offset or length is no multiple of the device's alignment.
    #[error("the request is not aligned to the device's blocks")]
    Unaligned,
    /// A write to what is read-only.
    #[error("the device is read-only")]
    ReadOnly,
    /// What holds the device is full.
    #[error("no room is left for the device")]
    NoSpace,
    /// The device cannot do this, or not in the way that was asked for.
    #[error("the device does not support the request")]
    NotSupported,
    /// The medium failed; the text is for the log.
    #[error("the medium failed: {0}")]
    Medium(String),
    /// The device is not there any more: vanished, unmapped, or its server is disconnected.
    #[error("the device is gone")]
    Gone,
    /// The nexus that asked may not do I/O any more: its path's generation was revoked, or its epoch is not the one that
    /// may run.
    #[error("the right to do I/O on this path was revoked")]
    Revoked,
    /// Another initiator has the unit reserved.
    #[error("the unit is reserved by another initiator")]
    ReservationConflict,
    /// Too much is under way; the same request may succeed later.
    #[error("the device is busy")]
    Busy,
}

/// What is called when a request has ended, once. It runs on a thread of the device's or inside the call that submitted
/// the request; it must not block, and a submitter must hold no lock during `submit` that its completion takes.
pub type Completion = Box<dyn FnOnce(Result<BlockAnswer, BlockError>) + Send>;

/// A request that a device has no room for, unchanged.
pub struct QueueFull {
    /// The request.
    pub request: BlockRequest,
    /// Its completion; was not called.
    pub completion: Completion,
}

impl fmt::Debug for QueueFull {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("QueueFull").field("request", &self.request).finish_non_exhaustive()
    }
}

/// A block target, whatever backs it.
pub trait BlockDevice: Send + Sync {
    /// What it looks like. Does not change while the device is open.
    fn geometry(&self) -> Geometry;

    /// Takes a request and returns at once; `completion` is called exactly once, whatever happens to the device. Requests
    /// that are refused without I/O (out of range, revoked) complete inside the call.
    ///
    /// # Errors
    /// [`QueueFull`] with the request, when as much is under way as the device takes. A submitter that may wait calls
    /// [`wait_for_room`](Self::wait_for_room) and tries again; one that may not reports it busy to its guest.
    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull>;

    /// Waits on the caller's thread until a request may be accepted, or the device is gone. Another submitter may still be
    /// faster.
    fn wait_for_room(&self);

    /// Does one request and waits for its end on the caller's thread, which must not be one that runs completions.
    /// Devices whose bytes can be reached from any thread do it here without their driver.
    ///
    /// # Errors
    /// Those of the request.
    fn perform(&self, request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let mut request = request;
        let mut completion: Completion = Box::new(move |result| {
            // Nobody waits any more only when the waiting thread is gone with its process.
            let _ = sender.send(result);
        });
        while let Err(full) = self.submit(request, completion) {
            self.wait_for_room();
            QueueFull { request, completion } = full;
        }
        // A completion that was dropped uncalled is a device that died with it.
        receiver.recv().unwrap_or(Err(BlockError::Gone))
    }

    /// Reads `length` bytes at `offset`; blocks as [`perform`](Self::perform).
    ///
    /// # Errors
    /// Those of the request.
    fn read_at(&self, offset: u64, length: usize) -> Result<Buffer, BlockError> {
        match self.perform(BlockRequest::Read { offset, buffer: Buffer::zeroed(length) })? {
            BlockAnswer::Data(buffer) => Ok(buffer),
            other => Err(BlockError::Medium(format!("a read was answered with {other:?}"))),
        }
    }

    /// Writes `data` at `offset`, durably where `force_unit_access`; blocks as [`perform`](Self::perform).
    ///
    /// # Errors
    /// Those of the request.
    fn write_at(&self, offset: u64, data: &[u8], force_unit_access: bool) -> Result<(), BlockError> {
        self.perform(BlockRequest::Write { offset, data: Buffer::from(data), force_unit_access }).map(drop)
    }

    /// Makes durable what was completed before; blocks as [`perform`](Self::perform).
    ///
    /// # Errors
    /// Those of the request.
    fn flush(&self) -> Result<(), BlockError> {
        self.perform(BlockRequest::Flush).map(drop)
    }
}

impl<T: BlockDevice + ?Sized> BlockDevice for Arc<T> {
    fn geometry(&self) -> Geometry {
        (**self).geometry()
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        (**self).submit(request, completion)
    }

    fn wait_for_room(&self) {
        (**self).wait_for_room();
    }

    fn perform(&self, request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        (**self).perform(request)
    }
}

/// How often the right to run a partition has changed hands. Zero is the epoch of what never had an ownership record:
/// Virtual I/O Servers and whatever else does I/O of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// How often a path was given anew to its client. Rises; what is below the lowest generation that was not revoked may do
/// nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathGeneration(pub u64);

macro_rules! short_text {
    ($(#[$documentation:meta])* $name:ident, $kind:literal, $limit:literal, $allowed:expr) => {
        $(#[$documentation])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || text.len() > $limit || !text.bytes().all(allowed) {
                    return Err(InvalidIdentifier { kind: $kind, text: text.to_owned() });
                }
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidIdentifier;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, formatter)
            }
        }
    };
}

short_text!(
    /// A unit's unique device identifier (UDID, `3321360050768...03IBMfcp`): 1 to 160 printable ASCII characters without
    /// blanks. The same wherever the unit is seen.
    Udid,
    "unique device identifier",
    160,
    |byte| byte.is_ascii_graphic()
);
short_text!(
    /// A way from a client to a unit, such as one server adapter of one Virtual I/O Server: 1 to 80 letters, digits and
    /// `._:-`. Unique for its client.
    PathName,
    "path name",
    80,
    |byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte)
);

/// Who does I/O, and on which path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nexus {
    /// The partition whose bytes these are: the client, also where a Virtual I/O Server passes them on; the Virtual I/O
    /// Server for its own.
    pub client: PartitionUuid,
    /// The right to run under which the client was activated.
    pub epoch: Epoch,
    /// The path.
    pub path: PathName,
    /// The path's generation.
    pub generation: PathGeneration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GEOMETRY: Geometry =
        Geometry { size: 8_192, logical_block_size: 512, alignment: 512, read_only: false };

    fn zeroes(offset: u64, length: u64) -> BlockRequest {
        BlockRequest::WriteZeroes {
            offset,
            length,
            may_trim: true,
            force_unit_access: false,
            only_fast: false,
        }
    }

    #[test]
    fn requests_are_held_against_the_geometry() {
        assert_eq!(zeroes(0, 8_192).check(&GEOMETRY), Ok(()));
        assert_eq!(zeroes(8_192, 0).check(&GEOMETRY), Ok(()));
        assert_eq!(zeroes(8_192, 512).check(&GEOMETRY), Err(BlockError::OutOfRange));
        assert_eq!(zeroes(u64::MAX, 512).check(&GEOMETRY), Err(BlockError::OutOfRange));
        assert_eq!(zeroes(1, 512).check(&GEOMETRY), Err(BlockError::Unaligned));
        assert_eq!(zeroes(512, 1).check(&GEOMETRY), Err(BlockError::Unaligned));
        let read_only = Geometry { read_only: true, ..GEOMETRY };
        assert_eq!(zeroes(0, 512).check(&read_only), Err(BlockError::ReadOnly));
        assert_eq!(BlockRequest::Flush.check(&read_only), Ok(()));
        let status = BlockRequest::BlockStatus { offset: 0, length: 0, limit: 1 };
        assert_eq!(status.check(&GEOMETRY), Err(BlockError::OutOfRange));
    }

    #[test]
    fn names_are_checked() {
        assert!("3321360050768018304D4F8000000000000A503IBMfcp".parse::<Udid>().is_ok());
        for text in ["", "a b", "a\n", &"u".repeat(161)] {
            assert!(text.parse::<Udid>().is_err(), "{text:?}");
        }
        assert!("vios1:vhost0".parse::<PathName>().is_ok());
        for text in ["", "a/b", "a;b", &"p".repeat(81)] {
            assert!(text.parse::<PathName>().is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<PathName>("\"a/b\"").is_err());
    }
}
