//! Units and devices over the network block device protocol: as a server, and as a client to one.
//!
//! How errors travel: the protocol has few numbers, but a message for people beside them. A message begins with a word of
//! [`WORDS`], by which the client side finds the error again; other clients see the number and a readable text.

mod client;
mod name;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Buffer, BufferPool, ExtentState, QueueFull,
};
use varan_nbd::{
    Answer, ErrorNumber, Export, ExportInformation, Exports, Failure, MAXIMUM_PAYLOAD, OpenError,
    OpenErrorKind, Operation, Reply, STATE_HOLE, STATE_ZERO, StatusExtent,
};

use crate::san::{San, SanDevice, SanError};

pub use client::{NbdDevice, NbdError};
pub use name::{InvalidExportName, UnitName};

/// Errors with their number and the word that a message begins with. The first of a number is what a number alone means.
const WORDS: [(BlockError, ErrorNumber, &str); 9] = [
    (BlockError::ReadOnly, ErrorNumber::NotPermitted, "read-only"),
    (BlockError::ReservationConflict, ErrorNumber::NotPermitted, "reservation-conflict"),
    (BlockError::Gone, ErrorNumber::Shutdown, "gone"),
    (BlockError::Revoked, ErrorNumber::Shutdown, "revoked"),
    (BlockError::NoSpace, ErrorNumber::NoSpace, "no-space"),
    (BlockError::NotSupported, ErrorNumber::NotSupported, "not-supported"),
    (BlockError::OutOfRange, ErrorNumber::Invalid, "out-of-range"),
    (BlockError::Unaligned, ErrorNumber::Invalid, "unaligned"),
    (BlockError::Busy, ErrorNumber::OutOfMemory, "busy"),
];

fn failure(error: &BlockError) -> Failure {
    match WORDS.iter().find(|(known, _, _)| known == error) {
        Some((_, number, word)) => {
            Failure { number: *number, message: Cow::Owned(format!("{word}: {error}")) }
        }
        None => Failure { number: ErrorNumber::Io, message: Cow::Owned(error.to_string()) },
    }
}

fn error(failure: &Failure) -> BlockError {
    let word = failure.message.split(':').next().unwrap_or("");
    let by_word = WORDS.iter().find(|(_, number, known)| *number == failure.number && *known == word);
    match by_word.or_else(|| WORDS.iter().find(|(_, number, _)| *number == failure.number)) {
        Some((error, _, _)) => error.clone(),
        None => BlockError::Medium(failure.message.clone().into_owned()),
    }
}

/// Unused memory that a server keeps for its next requests.
const POOL: usize = 48 << 20;

/// A device as an export. Connections share the device, so that a flush on one covers what was answered on any.
pub struct DeviceExport<D> {
    device: D,
    pool: Arc<BufferPool>,
    prefers_caller: bool,
}

impl<D: BlockDevice> DeviceExport<D> {
    /// Serves a device whose requests may take their time.
    #[must_use]
    pub fn new(device: D, pool: Arc<BufferPool>) -> Self {
        Self { device, pool, prefers_caller: false }
    }

    /// Memory for requests, to be shared by the connections of one server.
    #[must_use]
    pub fn pool() -> Arc<BufferPool> {
        BufferPool::new(POOL)
    }
}

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
            BlockRequest::WriteZeroes { offset, length, may_trim, only_fast, force_unit_access: durable }
        }
        Operation::Status { offset, length, limit } => BlockRequest::BlockStatus { offset, length, limit },
    }
}

fn answer(result: Result<BlockAnswer, BlockError>) -> Result<Answer<Buffer>, Failure> {
    match result {
        Ok(BlockAnswer::Done) => Ok(Answer::Done),
        Ok(BlockAnswer::Data(buffer)) => Ok(Answer::Data(buffer)),
        Ok(BlockAnswer::Status(extents)) => {
            let flags = |state| match state {
                ExtentState::Data => 0,
                ExtentState::Zero => STATE_ZERO,
                ExtentState::Hole => STATE_ZERO | STATE_HOLE,
            };
            let extent = |length: u64, state| StatusExtent {
                length: u32::try_from(length).unwrap_or(u32::MAX),
                flags: flags(state),
            };
            Ok(Answer::Status(extents.iter().map(|each| extent(each.length, each.state)).collect()))
        }
        Err(error) => Err(failure(&error)),
    }
}

fn information(device: &dyn BlockDevice) -> ExportInformation {
    let geometry = device.geometry();
    ExportInformation {
        size: geometry.size,
        minimum_block: geometry.alignment,
        preferred_block: 4_096,
        maximum_payload: MAXIMUM_PAYLOAD,
        read_only: geometry.read_only,
        multi_connection: true,
        description: None,
    }
}

impl<D: BlockDevice + 'static> Export for DeviceExport<D> {
    type Buffer = Buffer;

    fn information(&self) -> ExportInformation {
        information(&self.device)
    }

    fn buffer(&self, length: usize) -> Buffer {
        self.pool.take(length)
    }

    fn submit(&self, operation: Operation<Buffer>, reply: Reply<Buffer>) {
        let mut request = request(operation);
        let mut completion: varan_contract::block::Completion = Box::new(move |result| reply(answer(result)));
        // The connection's own thread waits, and with it its client.
        while let Err(full) = self.device.submit(request, completion) {
            self.device.wait_for_room();
            QueueFull { request, completion } = full;
        }
    }

    fn after_others(&self, send: &Arc<dyn Fn() + Send + Sync>) {
        crate::batch::after(send);
    }

    fn prefers_caller(&self) -> bool {
        self.prefers_caller
    }

    fn perform(&self, operation: Operation<Buffer>) -> Result<Answer<Buffer>, Failure> {
        answer(self.device.perform(request(operation)))
    }
}

/// Any device; what a [`DeviceTable`] serves.
type Shared = Arc<dyn BlockDevice>;

struct Entry {
    device: Shared,
    in_memory: bool,
}

/// Devices by export name, which may change while they are served: a connection keeps the device that it opened. To take it
/// away from its clients as well, serve it through a [`Gate`](crate::Gate) and revoke that.
pub struct DeviceTable {
    entries: Mutex<BTreeMap<String, Entry>>,
    pool: Arc<BufferPool>,
}

impl DeviceTable {
    /// Serves nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { entries: Mutex::default(), pool: DeviceExport::<Shared>::pool() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves `device` under this name; one that had the name before is replaced.
    pub fn insert(&self, name: &str, device: Shared) {
        self.put(name, device, false);
    }

    /// As [`insert`](Self::insert), for a device that never waits for I/O, such as [`MemoryDevice`](crate::MemoryDevice).
    pub fn insert_in_memory(&self, name: &str, device: Shared) {
        self.put(name, device, true);
    }

    fn put(&self, name: &str, device: Shared, in_memory: bool) {
        self.lock().insert(name.to_owned(), Entry { device, in_memory });
    }

    /// Serves this name no more; whether it was served.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }
}

fn unknown() -> OpenError {
    OpenError::new(OpenErrorKind::Unknown, "no such export")
}

impl Exports for DeviceTable {
    type Export = DeviceExport<Shared>;

    fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn describe(&self, name: &str) -> Result<ExportInformation, OpenError> {
        self.lock().get(name).map(|entry| information(&entry.device)).ok_or_else(unknown)
    }

    fn open(&self, name: &str) -> Result<DeviceExport<Shared>, OpenError> {
        let entries = self.lock();
        let entry = entries.get(name).ok_or_else(unknown)?;
        Ok(DeviceExport {
            device: Arc::clone(&entry.device),
            pool: Arc::clone(&self.pool),
            prefers_caller: entry.in_memory,
        })
    }
}

/// The units of a storage array, each for whoever may open it: an export's name says who that is ([`UnitName`]).
pub struct SanExports {
    san: San,
    pool: Arc<BufferPool>,
}

impl SanExports {
    /// Serves the array's units.
    #[must_use]
    pub fn new(san: San) -> Arc<Self> {
        Arc::new(Self { san, pool: DeviceExport::<SanDevice>::pool() })
    }
}

fn refused(error: &SanError) -> OpenError {
    let (kind, message) = match error {
        SanError::UnknownUnit | SanError::UnitExists => (OpenErrorKind::Unknown, error.to_string()),
        SanError::NotVisible => (OpenErrorKind::Denied, format!("not-visible: {error}")),
        SanError::Refused(error) => (OpenErrorKind::Denied, failure(error).message.into_owned()),
    };
    OpenError { kind, message: message.into() }
}

impl Exports for SanExports {
    type Export = DeviceExport<SanDevice>;

    /// None: who may see what is known only by the name that asks for it.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn describe(&self, name: &str) -> Result<ExportInformation, OpenError> {
        let name: UnitName = name.parse().map_err(|_| unknown())?;
        let geometry = self.san.geometry(&name.path).map_err(|error| refused(&error))?;
        Ok(ExportInformation {
            minimum_block: geometry.alignment,
            read_only: geometry.read_only,
            ..ExportInformation::new(geometry.size)
        })
    }

    fn open(&self, name: &str) -> Result<DeviceExport<SanDevice>, OpenError> {
        let name: UnitName = name.parse().map_err(|_| unknown())?;
        let device = self.san.open(&name.path, name.nexus, name.policy).map_err(|error| refused(&error))?;
        Ok(DeviceExport::new(device, Arc::clone(&self.pool)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_again() {
        for (known, _, _) in &WORDS {
            assert_eq!(error(&failure(known)), *known);
        }
        let medium = BlockError::Medium("a bad place".to_owned());
        assert_eq!(error(&failure(&medium)), BlockError::Medium("the medium failed: a bad place".to_owned()));
        // Other servers send numbers without our words.
        let number =
            |number, message: &str| error(&Failure { number, message: Cow::Owned(message.to_owned()) });
        assert_eq!(number(ErrorNumber::NoSpace, ""), BlockError::NoSpace);
        assert_eq!(number(ErrorNumber::Shutdown, "going down"), BlockError::Gone);
        assert_eq!(number(ErrorNumber::NotPermitted, ""), BlockError::ReadOnly);
        assert_eq!(number(ErrorNumber::Io, "revoked: no"), BlockError::Medium("revoked: no".to_owned()));
    }
}
