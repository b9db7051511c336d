//! What a server serves.

use std::borrow::Cow;
use std::sync::Arc;

use thiserror::Error;

use crate::protocol::{ErrorNumber, MAXIMUM_PAYLOAD, transmission};

/// What a client learns about an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportInformation {
    /// Bytes.
    pub size: u64,
    /// What offsets and lengths must be multiples of: a power of two, at most 65536.
    pub minimum_block: u32,
    /// What they better are multiples of: a power of two, at least 512 and the minimum.
    pub preferred_block: u32,
    /// Longest payload of a request.
    pub maximum_payload: u32,
    /// Writes are refused.
    pub read_only: bool,
    /// A flush on one connection covers what was answered on any.
    pub multi_connection: bool,
    /// For people.
    pub description: Option<String>,
}

impl ExportInformation {
    /// An export that can be written, in bytes of any alignment.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            size,
            minimum_block: 1,
            preferred_block: 4_096,
            maximum_payload: MAXIMUM_PAYLOAD,
            read_only: false,
            multi_connection: true,
            description: None,
        }
    }

    /// The flags of the transmission phase.
    pub(crate) fn flags(&self, structured: bool) -> u16 {
        use transmission::{
            CACHE, DO_NOT_FRAGMENT, FAST_ZERO, FLUSH, FORCE_UNIT_ACCESS, HAS_FLAGS, MULTI_CONNECTION,
            READ_ONLY, TRIM, WRITE_ZEROES,
        };
        let mut flags = HAS_FLAGS | FLUSH | FORCE_UNIT_ACCESS | CACHE;
        flags |= if self.read_only { READ_ONLY } else { TRIM | WRITE_ZEROES | FAST_ZERO };
        if structured {
            flags |= DO_NOT_FRAGMENT;
        }
        if self.multi_connection {
            flags |= MULTI_CONNECTION;
        }
        flags
    }
}

/// What is to be done with an export. Ranges lie inside the export and at its minimum blocks.
#[derive(Debug)]
pub enum Operation<B> {
    /// Fills the buffer.
    Read {
        /// First byte.
        offset: u64,
        /// Where to.
        buffer: B,
    },
    /// Writes.
    Write {
        /// First byte.
        offset: u64,
        /// What.
        data: B,
        /// Durable before it is answered.
        durable: bool,
    },
    /// Makes durable what was answered before.
    Flush,
    /// The bytes are not needed.
    Trim {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Durable before it is answered.
        durable: bool,
    },
    /// Zeros.
    Zero {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The room may be given back.
        may_trim: bool,
        /// Fail with [`ErrorNumber::NotSupported`] rather than write them out.
        only_fast: bool,
        /// Durable before it is answered.
        durable: bool,
    },
    /// What the bytes are.
    Status {
        /// First byte.
        offset: u64,
        /// Bytes, not zero.
        length: u64,
        /// Most extents.
        limit: usize,
    },
}

/// Bytes in one state, in an answer to [`Operation::Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusExtent {
    /// Bytes, not zero.
    pub length: u32,
    /// [`STATE_HOLE`](crate::STATE_HOLE) and [`STATE_ZERO`](crate::STATE_ZERO).
    pub flags: u32,
}

/// What an operation that succeeded gives.
#[derive(Debug)]
pub enum Answer<B> {
    /// Nothing more.
    Done,
    /// The buffer of a read.
    Data(B),
    /// Extents from the offset on, at least one.
    Status(Vec<StatusExtent>),
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub number: ErrorNumber,
    /// For people; clients with structured replies get it.
    pub message: Cow<'static, str>,
}

impl Failure {
    /// A failure with a fixed text.
    #[must_use]
    pub const fn new(number: ErrorNumber, message: &'static str) -> Self {
        Self { number, message: Cow::Borrowed(message) }
    }
}

/// Takes the end of an operation; called once, from any thread.
pub type Reply<B> = Box<dyn FnOnce(Result<Answer<B>, Failure>) + Send>;

/// Why there is no such export for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenErrorKind {
    /// No export has this name.
    Unknown,
    /// There is one, not for this client or not now.
    Denied,
    /// The server ends.
    Shutdown,
}

/// Why an export was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct OpenError {
    /// For programs.
    pub kind: OpenErrorKind,
    /// For people.
    pub message: Cow<'static, str>,
}

impl OpenError {
    /// An error with a fixed text.
    #[must_use]
    pub const fn new(kind: OpenErrorKind, message: &'static str) -> Self {
        Self { kind, message: Cow::Borrowed(message) }
    }
}

/// The exports of a server.
pub trait Exports: Send + Sync + 'static {
    /// One of them, open.
    type Export: Export;

    /// Names that clients are shown, in order.
    fn names(&self) -> Vec<String>;

    /// What an export is like, without opening it.
    ///
    /// # Errors
    /// [`OpenError`].
    fn describe(&self, name: &str) -> Result<ExportInformation, OpenError>;

    /// Opens an export for one connection.
    ///
    /// # Errors
    /// [`OpenError`].
    fn open(&self, name: &str) -> Result<Self::Export, OpenError>;
}

/// An export that a connection uses. Dropped when the connection has ended and nothing is under way any more.
pub trait Export: Send + Sync + 'static {
    /// Memory of requests.
    type Buffer: AsRef<[u8]> + AsMut<[u8]> + Send + 'static;

    /// What it is like.
    fn information(&self) -> ExportInformation;

    /// Memory of `length` bytes for one request, at most the largest payload. It is overwritten before it is shown.
    fn buffer(&self, length: usize) -> Self::Buffer;

    /// Begins an operation. May wait on the caller's thread, which is the connection's, until there is room for it; but must
    /// call `reply` from where it cannot block the export.
    fn submit(&self, operation: Operation<Self::Buffer>, reply: Reply<Self::Buffer>);

    /// Called by a reply that has left something to send: calls `send` now, or once when the operations that end together
    /// with this one have all ended, so that their answers go together.
    fn after_others(&self, send: &Arc<dyn Fn() + Send + Sync>) {
        send();
    }

    /// Whether operations never wait for anything, so that they are better done on the connection's thread.
    fn prefers_caller(&self) -> bool {
        false
    }

    /// Does an operation on the caller's thread, which is the connection's.
    ///
    /// # Errors
    /// Those of the operation.
    fn perform(&self, operation: Operation<Self::Buffer>) -> Result<Answer<Self::Buffer>, Failure>;
}
