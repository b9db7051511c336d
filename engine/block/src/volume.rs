//! Devices made of ranges of other devices: a logical volume over physical partitions, a part of a disk, a read-only view.
//!
//! A request inside one part is passed on as it is. One that crosses parts goes to them one after the other, so that it
//! needs no memory for what is not begun:
//!
//! ```text
//!   next piece --submit--> ended inside the call --> next piece ... --> completion
//!                  |                                     ^
//!                  +-> ends later, on the part's thread -+
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Buffer, Completion, Geometry, QueueFull,
};

/// A range of a device.
#[derive(Clone)]
pub struct VolumePart {
    /// The device.
    pub device: Arc<dyn BlockDevice>,
    /// First byte on it.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Why ranges do not make a volume.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VolumeError {
    /// No part, or an empty one.
    #[error("a volume needs parts that are not empty")]
    Empty,
    /// A part reaches beyond its device.
    #[error("part {0} reaches beyond its device")]
    OutOfRange(usize),
    /// A part does not begin and end at the volume's blocks.
    #[error("part {0} does not begin and end at a block")]
    Unaligned(usize),
}

struct Inner {
    /// Parts with the volume's byte at which each ends.
    parts: Vec<(u64, VolumePart)>,
    /// Each device once.
    devices: Vec<Arc<dyn BlockDevice>>,
    geometry: Geometry,
}

/// Ranges of devices, one after the other, as a device.
pub struct Volume {
    inner: Arc<Inner>,
}

impl Volume {
    /// Puts the parts together in their order. Blocks are as large as the largest of the devices'; the volume is read-only
    /// where one of them is.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn new(parts: Vec<VolumePart>) -> Result<Self, VolumeError> {
        let geometries: Vec<Geometry> = parts.iter().map(|part| part.device.geometry()).collect();
        let block = geometries.iter().map(|geometry| geometry.logical_block_size).max();
        let logical_block_size = block.ok_or(VolumeError::Empty)?;
        let mut size = 0_u64;
        let mut ends = Vec::new();
        let mut devices: Vec<Arc<dyn BlockDevice>> = Vec::new();
        for (index, (part, geometry)) in parts.into_iter().zip(&geometries).enumerate() {
            let end = part.offset.checked_add(part.length).filter(|end| *end <= geometry.size);
            let within = end.and_then(|_| size.checked_add(part.length));
            size = within.ok_or(VolumeError::OutOfRange(index))?;
            if part.length == 0 {
                return Err(VolumeError::Empty);
            }
            if (part.offset | part.length) % u64::from(logical_block_size) != 0 {
                return Err(VolumeError::Unaligned(index));
            }
            if !devices.iter().any(|device| Arc::ptr_eq(device, &part.device)) {
                devices.push(Arc::clone(&part.device));
            }
            ends.push((size, part));
        }
        let geometry = Geometry {
            size,
            logical_block_size,
            alignment: geometries.iter().map(|geometry| geometry.alignment).max().unwrap_or(1),
            read_only: geometries.iter().any(|geometry| geometry.read_only),
        };
        Ok(Self { inner: Arc::new(Inner { parts: ends, devices, geometry }) })
    }
}

impl Inner {
    /// The part that holds a byte: its index and the byte's place in it.
    fn part(&self, at: u64) -> (usize, u64) {
        let index = self.parts.partition_point(|(end, _)| *end <= at).min(self.parts.len() - 1);
        let (end, part) = &self.parts[index];
        (index, at - (end - part.length))
    }

    /// The device and its byte for a request that lies in one part.
    fn single(&self, request: &BlockRequest) -> Option<(&Arc<dyn BlockDevice>, u64)> {
        let Some((offset, length)) = request.range() else {
            return (self.devices.len() == 1).then(|| (&self.devices[0], 0));
        };
        let (index, within) = self.part(offset);
        let (_, part) = &self.parts[index];
        (within + length <= part.length).then_some((&part.device, part.offset + within))
    }

    /// What is left of a request after `done` bytes (of a flush: devices), as far as one part takes it.
    fn piece(&self, request: &BlockRequest, done: u64) -> Option<(&Arc<dyn BlockDevice>, BlockRequest, u64)> {
        let Some((offset, length)) = request.range() else {
            let device = self.devices.get(usize::try_from(done).ok()?)?;
            return Some((device, BlockRequest::Flush, 1));
        };
        if done >= length {
            return None;
        }
        let (index, within) = self.part(offset + done);
        let (_, part) = &self.parts[index];
        let count = (length - done).min(part.length - within);
        let offset = part.offset + within;
        let bytes = || done as usize..(done + count) as usize;
        let piece = match request {
            BlockRequest::Read { .. } => {
                BlockRequest::Read { offset, buffer: Buffer::zeroed(count as usize) }
            }
            BlockRequest::Write { data, force_unit_access, .. } => BlockRequest::Write {
                offset,
                data: Buffer::from(&data[bytes()]),
                force_unit_access: *force_unit_access,
            },
            BlockRequest::Trim { force_unit_access, .. } => {
                BlockRequest::Trim { offset, length: count, force_unit_access: *force_unit_access }
            }
            BlockRequest::WriteZeroes { may_trim, force_unit_access, only_fast, .. } => {
                BlockRequest::WriteZeroes {
                    offset,
                    length: count,
                    may_trim: *may_trim,
                    force_unit_access: *force_unit_access,
                    only_fast: *only_fast,
                }
            }
            BlockRequest::BlockStatus { limit, .. } => {
                BlockRequest::BlockStatus { offset, length: count, limit: *limit }
            }
            BlockRequest::Flush => BlockRequest::Flush,
        };
        Some((&part.device, piece, count))
    }
}

/// A request that crosses parts.
struct Crossing {
    request: BlockRequest,
    completion: Completion,
    /// Bytes that are done; of a flush, devices.
    done: u64,
    /// Bytes of the piece under way.
    piece: u64,
}

impl Crossing {
    /// Takes the end of a piece; gives itself back where more is to do.
    fn piece_ended(mut self, result: Result<BlockAnswer, BlockError>) -> Option<Self> {
        match result.map(|answer| take_piece(&mut self.request, self.done, answer)) {
            Ok(None) => {
                self.done += self.piece;
                Some(self)
            }
            Ok(Some(answer)) => {
                (self.completion)(Ok(answer));
                None
            }
            Err(error) => {
                (self.completion)(Err(error));
                None
            }
        }
    }
}

/// Takes the answer of a piece that began after `done` bytes; `Some` when the request is over.
fn take_piece(request: &mut BlockRequest, done: u64, answer: BlockAnswer) -> Option<BlockAnswer> {
    match answer {
        // The states of one part are a whole answer.
        BlockAnswer::Status(_) => return Some(answer),
        BlockAnswer::Data(bytes) => {
            if let BlockRequest::Read { buffer, .. } = request {
                buffer[done as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
        }
        BlockAnswer::Done => {}
    }
    None
}

fn whole_answer(request: BlockRequest) -> BlockAnswer {
    match request {
        BlockRequest::Read { buffer, .. } => BlockAnswer::Data(buffer),
        _ => BlockAnswer::Done,
    }
}

/// Where the one who submits a piece meets the one who completes it.
struct Meeting {
    /// The submitter is still at it, and goes on itself where the piece has ended.
    submitting: bool,
    crossing: Option<Crossing>,
    result: Option<Result<BlockAnswer, BlockError>>,
}

fn lock(meeting: &Mutex<Meeting>) -> std::sync::MutexGuard<'_, Meeting> {
    meeting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a crossing until a piece ends later than its submission.
fn cross(inner: &Arc<Inner>, mut crossing: Crossing) -> Result<(), QueueFull> {
    loop {
        let Some((device, request, length)) = inner.piece(&crossing.request, crossing.done) else {
            (crossing.completion)(Ok(whole_answer(crossing.request)));
            return Ok(());
        };
        let first = crossing.done == 0;
        crossing.piece = length;
        let meeting = Meeting { submitting: true, crossing: Some(crossing), result: None };
        let meeting = Arc::new(Mutex::new(meeting));
        let (other, then) = (Arc::clone(&meeting), Arc::clone(inner));
        let ended: Completion = Box::new(move |result| {
            let mut meeting = lock(&other);
            if meeting.submitting {
                meeting.result = Some(result);
                return;
            }
            let crossing = meeting.crossing.take();
            drop(meeting);
            if let Some(crossing) = crossing.and_then(|crossing| crossing.piece_ended(result)) {
                // Only a first piece is refused, and this is none.
                let _ = cross(&then, crossing);
            }
        });
        let full = device.submit(request, ended).is_err();
        let mut state = lock(&meeting);
        let result = match state.result.take() {
            Some(result) => result,
            None if full => Err(BlockError::Busy),
            None => {
                state.submitting = false;
                return Ok(());
            }
        };
        let back = state.crossing.take().expect("the submitter has it");
        drop(state);
        if full && first {
            return Err(QueueFull { request: back.request, completion: back.completion });
        }
        match back.piece_ended(result) {
            Some(more) => crossing = more,
            None => return Ok(()),
        }
    }
}

impl BlockDevice for Volume {
    fn geometry(&self) -> Geometry {
        self.inner.geometry
    }

    fn submit(&self, mut request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if let Err(error) = request.check(&self.inner.geometry) {
            completion(Err(error));
            return Ok(());
        }
        let Some((device, offset)) = self.inner.single(&request) else {
            return cross(&self.inner, Crossing { request, completion, done: 0, piece: 0 });
        };
        let original = move_to(&mut request, offset);
        device.submit(request, completion).map_err(|mut full| {
            move_to(&mut full.request, original);
            full
        })
    }

    fn wait_for_room(&self) {
        for device in &self.inner.devices {
            device.wait_for_room();
        }
    }

    fn perform(&self, mut request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        request.check(&self.inner.geometry)?;
        if let Some((device, offset)) = self.inner.single(&request) {
            move_to(&mut request, offset);
            return device.perform(request);
        }
        let mut done = 0;
        while let Some((device, piece, length)) = self.inner.piece(&request, done) {
            if let Some(answer) = take_piece(&mut request, done, device.perform(piece)?) {
                return Ok(answer);
            }
            done += length;
        }
        Ok(whole_answer(request))
    }
}

/// Moves a request to another byte; gives the one where it was.
fn move_to(request: &mut BlockRequest, to: u64) -> u64 {
    match request {
        BlockRequest::Read { offset, .. }
        | BlockRequest::Write { offset, .. }
        | BlockRequest::Trim { offset, .. }
        | BlockRequest::WriteZeroes { offset, .. }
        | BlockRequest::BlockStatus { offset, .. } => std::mem::replace(offset, to),
        BlockRequest::Flush => 0,
    }
}

/// A device to which nothing can be written through this view.
pub struct ReadOnly<T>(pub T);

impl<T: BlockDevice> BlockDevice for ReadOnly<T> {
    fn geometry(&self) -> Geometry {
        Geometry { read_only: true, ..self.0.geometry() }
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if request.modifies() {
            completion(Err(BlockError::ReadOnly));
            return Ok(());
        }
        self.0.submit(request, completion)
    }

    fn wait_for_room(&self) {
        self.0.wait_for_room();
    }

    fn perform(&self, request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        if request.modifies() { Err(BlockError::ReadOnly) } else { self.0.perform(request) }
    }
}
