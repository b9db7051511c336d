//! A request as the steps that the host does for it.
//!
//! ```text
//!   Read, Write --(short)--> again with the rest --> end
//!   Flush ------------------------------------------> end
//!   Trim ------ punch --+------------ not durable --> end
//!   WriteZeroes punch --+             durable: Sync -> end
//!               or zero-|range
//!                       +-- the host cannot: Fill (writes zeros, piece by piece), the last with Sync
//! ```

use std::io::{Error, ErrorKind};
use std::sync::OnceLock;

use varan_contract::block::{BlockAnswer, BlockError, BlockRequest, Buffer, Completion, Extent, ExtentState};

use super::Backing;
use crate::order::Range;

/// Zeros to write where the host cannot zero a range itself.
fn zeros() -> &'static Buffer {
    static ZEROS: OnceLock<Buffer> = OnceLock::new();
    ZEROS.get_or_init(|| Buffer::zeroed(1 << 20))
}

/// Where an operation is, besides the bytes that are done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Main,
    Fill,
    Sync,
}

/// What the host is to do next.
pub(super) enum Step<'a> {
    Read {
        offset: u64,
        into: &'a mut [u8],
    },
    Write {
        offset: u64,
        from: &'a [u8],
        durable: bool,
    },
    /// `fdatasync`.
    Sync,
    /// Zeros for the range, keeping its room or giving it back.
    Zero {
        offset: u64,
        length: u64,
        punch: bool,
    },
    /// Asking where data is; the operation does it itself.
    Status,
}

/// A request under way.
pub(super) struct Operation {
    pub(super) request: BlockRequest,
    pub(super) completion: Option<Completion>,
    stage: Stage,
    done: u64,
}

impl Operation {
    pub(super) fn new(request: BlockRequest, completion: Option<Completion>) -> Self {
        Self { request, completion, stage: Stage::Main, done: 0 }
    }

    /// The bytes it changes, if any.
    pub(super) fn changes(&self) -> Option<Range> {
        let (start, length) = self.request.range()?;
        (self.request.modifies() && length > 0).then_some(Range { start, end: start + length })
    }

    /// Whether nothing is left to do before anything was done: an empty range.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.request.range(), Some((_, 0)))
    }

    pub(super) fn step(&mut self) -> Step<'_> {
        let done = self.done;
        match (&mut self.request, self.stage) {
            (BlockRequest::Flush, _) | (_, Stage::Sync) => Step::Sync,
            (BlockRequest::Read { offset, buffer }, _) => {
                Step::Read { offset: *offset + done, into: &mut buffer[done as usize..] }
            }
            (BlockRequest::Write { offset, data, force_unit_access }, _) => Step::Write {
                offset: *offset + done,
                from: &data[done as usize..],
                durable: *force_unit_access,
            },
            (BlockRequest::WriteZeroes { offset, length, .. }, Stage::Fill) => {
                let piece = (*length - done).min(zeros().len() as u64);
                Step::Write { offset: *offset + done, from: &zeros()[..piece as usize], durable: false }
            }
            (BlockRequest::Trim { offset, length, .. }, _) => {
                Step::Zero { offset: *offset, length: *length, punch: true }
            }
            (BlockRequest::WriteZeroes { offset, length, may_trim, .. }, _) => {
                Step::Zero { offset: *offset, length: *length, punch: *may_trim }
            }
            (BlockRequest::BlockStatus { .. }, _) => Step::Status,
        }
    }

    /// Takes what the host said about the last step; `Some` when the operation is over.
    pub(super) fn advance(
        &mut self,
        backing: &Backing,
        result: std::io::Result<usize>,
    ) -> Option<Result<(), BlockError>> {
        let count = match result {
            Ok(count) => count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => return None,
            Err(error) => return self.failed(backing, &error),
        };
        if self.stage == Stage::Sync {
            return Some(Ok(()));
        }
        let (length, durable) = match &self.request {
            BlockRequest::Flush => return Some(backing.flush_failure()),
            BlockRequest::Read { buffer, .. } => (buffer.len() as u64, false),
            // Durable by the write itself.
            BlockRequest::Write { data, .. } => (data.len() as u64, false),
            BlockRequest::WriteZeroes { length, force_unit_access, .. } => (*length, *force_unit_access),
            BlockRequest::Trim { force_unit_access, .. } => return self.synchronize(*force_unit_access),
            BlockRequest::BlockStatus { .. } => return Some(Ok(())),
        };
        let whole = matches!(self.request, BlockRequest::WriteZeroes { .. }) && self.stage == Stage::Main;
        if whole {
            return self.synchronize(durable);
        }
        if count == 0 {
            return Some(Err(BlockError::Medium("unexpected end of the file".to_owned())));
        }
        self.done += count;
        if self.done < length {
            return None;
        }
        self.synchronize(durable)
    }

    fn synchronize(&mut self, durable: bool) -> Option<Result<(), BlockError>> {
        if !durable {
            return Some(Ok(()));
        }
        self.stage = Stage::Sync;
        None
    }

    fn failed(&mut self, backing: &Backing, error: &Error) -> Option<Result<(), BlockError>> {
        if self.stage == Stage::Sync || matches!(self.request, BlockRequest::Flush) {
            let _ = backing.flush_failed.set(format!("a flush failed: {error}"));
            return Some(backing.flush_failure());
        }
        let cannot = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput)
            || error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error());
        if self.stage == Stage::Main && cannot {
            match &self.request {
                // A trim is a hint.
                BlockRequest::Trim { force_unit_access, .. } => return self.synchronize(*force_unit_access),
                BlockRequest::WriteZeroes { only_fast: true, .. } => {
                    return Some(Err(BlockError::NotSupported));
                }
                BlockRequest::WriteZeroes { .. } => {
                    self.stage = Stage::Fill;
                    return None;
                }
                _ => {}
            }
        }
        Some(Err(match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BlockError::NoSpace,
            _ => BlockError::Medium(error.to_string()),
        }))
    }

    /// The answer of an operation that succeeded.
    pub(super) fn answer(request: BlockRequest, backing: &Backing) -> Result<BlockAnswer, BlockError> {
        match request {
            BlockRequest::Read { buffer, .. } => Ok(BlockAnswer::Data(buffer)),
            BlockRequest::BlockStatus { offset, length, limit } => {
                status(backing, offset, length, limit).map(BlockAnswer::Status)
            }
            _ => Ok(BlockAnswer::Done),
        }
    }
}

/// Where the host says that data and holes are. What a file has behind a hole's end is asked for extent by extent.
fn status(backing: &Backing, offset: u64, length: u64, limit: usize) -> Result<Vec<Extent>, BlockError> {
    use rustix::fs::{SeekFrom, seek};
    let end = offset + length;
    let mut extents: Vec<Extent> = Vec::new();
    let mut at = offset;
    while at < end && extents.len() < limit {
        let data = match seek(&backing.file, SeekFrom::Data(at)) {
            Ok(data) => data.min(end),
            // Nothing but a hole up to the end of the file.
            Err(rustix::io::Errno::NXIO) => end,
            // A host that cannot tell has data everywhere.
            Err(_) => at,
        };
        let (next, state) = if data > at {
            (data, ExtentState::Hole)
        } else {
            let hole = seek(&backing.file, SeekFrom::Hole(at)).unwrap_or(end);
            // A hole at the very place is a file that changes meanwhile.
            (if hole > at { hole.min(end) } else { end }, ExtentState::Data)
        };
        extents.push(Extent { length: next - at, state });
        at = next;
    }
    Ok(extents)
}
