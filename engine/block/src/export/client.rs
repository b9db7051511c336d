//! A device that another process serves.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Buffer, Completion, Extent, ExtentState, Geometry,
    QueueFull,
};
use varan_nbd::{Answer, Client, ConnectError, OpenErrorKind, Operation, STATE_HOLE, STATE_ZERO};

use super::error;

/// How long a server may be silent before a connection is given up that is being made.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest trim, zeroing or question for states that the protocol's length takes.
const LONGEST: u64 = 1 << 31;

/// Why a served device was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NbdError {
    /// Nobody serves there, or not for long enough.
    #[error("no connection to the server: {0}")]
    Unreachable(String),
    /// The server has no such export.
    #[error("the server has no such export: {0}")]
    Unknown(String),
    /// The export is not for this client: not seen by its initiator.
    #[error("the server does not show the export: {0}")]
    Denied(String),
    /// As requests to it would be refused, such as [`BlockError::Revoked`] and [`BlockError::ReservationConflict`].
    #[error(transparent)]
    Refused(#[from] BlockError),
}

/// A device served over a Unix socket. When its connection is lost, everything fails with [`BlockError::Gone`], what was
/// under way included, of which it is then not known whether it was done. It does not connect again by itself: whoever opened
/// it knows whether that is right, and opens another one.
pub struct NbdDevice {
    client: Arc<Client<UnixStream, Buffer>>,
    geometry: Geometry,
}

impl NbdDevice {
    /// Connects to the export of this name. `logical_block_size` is what the initiator sees, 512 or 4096: the protocol does
    /// not carry it.
    ///
    /// # Errors
    /// [`NbdError`].
    pub fn connect(socket: &Path, name: &str, logical_block_size: u32) -> Result<Self, NbdError> {
        let unreachable = |error: &dyn std::fmt::Display| NbdError::Unreachable(error.to_string());
        let stream = UnixStream::connect(socket).map_err(|error| unreachable(&error))?;
        let client = Client::connect(stream, name, PATIENCE).map_err(|error| match error {
            ConnectError::Refused { kind: OpenErrorKind::Unknown, message } => NbdError::Unknown(message),
            ConnectError::Refused { message, .. } => denied(message),
            other => unreachable(&other),
        })?;
        let information = client.information();
        let alignment = information.minimum_block;
        if alignment > logical_block_size || !information.size.is_multiple_of(u64::from(logical_block_size)) {
            return Err(NbdError::Refused(BlockError::Unaligned));
        }
        let geometry = Geometry {
            size: information.size,
            logical_block_size,
            alignment,
            read_only: information.read_only,
        };
        Ok(Self { client: Arc::new(client), geometry })
    }

    /// Whether the connection is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.client.is_lost()
    }

    /// Breaks the connection off; everything fails with [`BlockError::Gone`] from here on.
    pub fn disconnect(&self) {
        self.client.close();
    }
}

fn denied(message: String) -> NbdError {
    let word = message.split(':').next().unwrap_or("");
    match super::WORDS.iter().find(|(_, _, known)| *known == word) {
        Some((error, _, _)) => NbdError::Refused(error.clone()),
        None => NbdError::Denied(message),
    }
}

fn operation(request: BlockRequest) -> Operation<Buffer> {
    match request {
        BlockRequest::Read { offset, buffer } => Operation::Read { offset, buffer },
        BlockRequest::Write { offset, data, force_unit_access } => {
            Operation::Write { offset, data, durable: force_unit_access }
        }
        BlockRequest::Flush => Operation::Flush,
        BlockRequest::Trim { offset, length, force_unit_access } => {
            Operation::Trim { offset, length, durable: force_unit_access }
        }
        BlockRequest::WriteZeroes { offset, length, may_trim, force_unit_access, only_fast } => {
            Operation::Zero { offset, length, may_trim, only_fast, durable: force_unit_access }
        }
        BlockRequest::BlockStatus { offset, length, limit } => Operation::Status { offset, length, limit },
    }
}

/// The request again, of one that was not sent.
fn request(operation: Operation<Buffer>) -> BlockRequest {
    match operation {
        Operation::Read { offset, buffer } => BlockRequest::Read { offset, buffer },
        Operation::Write { offset, data, durable } => {
            BlockRequest::Write { offset, data, force_unit_access: durable }
        }
        Operation::Flush => BlockRequest::Flush,
        Operation::Trim { offset, length, durable } => {
            BlockRequest::Trim { offset, length, force_unit_access: durable }
        }
        Operation::Zero { offset, length, may_trim, only_fast, durable } => {
            BlockRequest::WriteZeroes { offset, length, may_trim, force_unit_access: durable, only_fast }
        }
        Operation::Status { offset, length, limit } => BlockRequest::BlockStatus { offset, length, limit },
    }
}

/// States as far as they were asked for: a server may say more, and ignores how many are wanted.
fn extents(answered: &[varan_nbd::StatusExtent], length: u64, limit: usize) -> Vec<Extent> {
    let mut rest = length;
    let mut extents = Vec::new();
    for extent in answered.iter().take(limit) {
        let state = match extent.flags & (STATE_HOLE | STATE_ZERO) {
            flags if flags & STATE_ZERO == 0 => ExtentState::Data,
            STATE_ZERO => ExtentState::Zero,
            _ => ExtentState::Hole,
        };
        let length = u64::from(extent.length).min(rest);
        if length == 0 {
            break;
        }
        extents.push(Extent { length, state });
        rest -= length;
    }
    extents
}

type Connection = Client<UnixStream, Buffer>;

/// Longer than the protocol's lengths: goes in pieces, one after the other.
fn is_long(request: &BlockRequest) -> bool {
    let pieces = matches!(request, BlockRequest::Trim { .. } | BlockRequest::WriteZeroes { .. });
    pieces && request.range().is_some_and(|(_, length)| length > LONGEST)
}

/// The piece of a long request that begins after `done` bytes, and its length.
fn piece(request: &BlockRequest, done: u64) -> (Operation<Buffer>, u64) {
    let (from, all) = request.range().unwrap_or_default();
    let (offset, length) = (from + done, (all - done).min(LONGEST));
    let operation = match request {
        BlockRequest::WriteZeroes { may_trim, force_unit_access, only_fast, .. } => Operation::Zero {
            offset,
            length,
            may_trim: *may_trim,
            only_fast: *only_fast,
            durable: *force_unit_access,
        },
        BlockRequest::Trim { force_unit_access, .. } => {
            Operation::Trim { offset, length, durable: *force_unit_access }
        }
        _ => unreachable!("only these are long"),
    };
    (operation, length)
}

/// Sends a long request from `done` bytes on; each piece follows from the answer to the one before.
fn send_long(
    client: &Arc<Connection>,
    request: BlockRequest,
    done: u64,
    completion: Completion,
) -> Result<(), QueueFull> {
    let (operation, length) = piece(&request, done);
    let last = request.range().is_some_and(|(_, all)| done + length == all);
    let then = Arc::clone(client);
    submit(client, operation, (request, completion), move |result, (request, completion)| match result {
        Ok(_) if last => completion(Ok(BlockAnswer::Done)),
        Ok(_) => {
            if let Err(full) = send_long(&then, request, done + length, completion) {
                (full.completion)(Err(BlockError::Busy));
            }
        }
        Err(failure) => completion(Err(error(&failure))),
    })
    .map_err(|(_, (request, completion))| QueueFull { request, completion })
}

/// Submits an operation; `carried` goes to `then` with the answer, or comes back with the operation where there is no room.
fn submit<C: Send + 'static>(
    client: &Connection,
    operation: Operation<Buffer>,
    carried: C,
    then: impl FnOnce(Result<Answer<Buffer>, varan_nbd::Failure>, C) + Send + 'static,
) -> Result<(), (Operation<Buffer>, C)> {
    // A reply that was refused cannot be opened again for what it carries, so that this is kept beside it.
    let slot = Arc::new(Mutex::new(Some(carried)));
    let take = |slot: &Mutex<Option<C>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let taken = Arc::clone(&slot);
    let reply = Box::new(move |result| {
        if let Some(carried) = take(&taken) {
            then(result, carried);
        }
    });
    client
        .submit(operation, reply)
        .map_err(|(operation, _)| (operation, take(&slot).expect("a reply that was refused was not called")))
}

fn send(client: &Connection, request_in: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
    let (length, limit) = match &request_in {
        BlockRequest::BlockStatus { length, limit, .. } => (*length, *limit),
        _ => (0, 0),
    };
    let request_in = match request_in {
        BlockRequest::BlockStatus { offset, length, limit } => {
            BlockRequest::BlockStatus { offset, length: length.min(LONGEST), limit }
        }
        other => other,
    };
    let sent = submit(client, operation(request_in), completion, move |result, completion| {
        completion(match result {
            Ok(Answer::Done) => Ok(BlockAnswer::Done),
            Ok(Answer::Data(buffer)) => Ok(BlockAnswer::Data(buffer)),
            Ok(Answer::Status(answered)) => Ok(BlockAnswer::Status(extents(&answered, length, limit))),
            Err(failure) => Err(error(&failure)),
        });
    });
    sent.map_err(|(operation, completion)| {
        let mut request = request(operation);
        if let BlockRequest::BlockStatus { length: cut, .. } = &mut request {
            *cut = length;
        }
        QueueFull { request, completion }
    })
}

impl BlockDevice for NbdDevice {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if let Err(error) = request.check(&self.geometry) {
            completion(Err(error));
            return Ok(());
        }
        if too_large(&request) {
            completion(Err(BlockError::NotSupported));
            return Ok(());
        }
        if is_long(&request) {
            return send_long(&self.client, request, 0, completion);
        }
        send(&self.client, request, completion)
    }

    fn wait_for_room(&self) {
        self.client.wait_for_room();
    }
}

/// Longer than what goes through memory anywhere.
fn too_large(request: &BlockRequest) -> bool {
    let carried = matches!(request, BlockRequest::Read { .. } | BlockRequest::Write { .. });
    carried
        && request.range().is_some_and(|(_, length)| length > varan_contract::block::MAXIMUM_TRANSFER as u64)
}
