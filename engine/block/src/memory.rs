//! A device in memory, which takes room for what is written and loses it when it is dropped.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Completion, Extent, ExtentState, Geometry, QueueFull,
};

/// Bytes that are taken at a time.
const CHUNK: usize = 64 << 10;

/// A chunk's bytes, once something was written to it.
type Bytes = Option<Box<[u8]>>;

/// Bytes in memory, zeros at first. Requests are done inside `submit`, so that it is never full.
pub struct MemoryDevice {
    chunks: Box<[RwLock<Bytes>]>,
    geometry: Geometry,
}

impl MemoryDevice {
    /// A device of `size` bytes with blocks of 512.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self::with_block_size(size, 512)
    }

    /// A device of `size` bytes with other blocks.
    ///
    /// # Panics
    /// If `size` is no multiple of the block size, or has more chunks than addresses exist.
    #[must_use]
    pub fn with_block_size(size: u64, logical_block_size: u32) -> Self {
        assert!(
            size.is_multiple_of(u64::from(logical_block_size)),
            "{size} bytes in blocks of {logical_block_size}"
        );
        let count = usize::try_from(size.div_ceil(CHUNK as u64)).expect("addressable");
        let chunks = (0..count).map(|_| RwLock::new(None)).collect();
        Self { chunks, geometry: Geometry { size, logical_block_size, alignment: 1, read_only: false } }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        // All chunks are held before the first is changed, so that of two writes that overlap one comes after the other.
        // They are taken in ascending order, so that two never wait for each other.
        let mut held: Vec<(RwLockWriteGuard<'_, Bytes>, Piece)> = pieces(offset, data.len() as u64)
            .map(|piece| (self.chunks[piece.chunk].write().unwrap_or_else(PoisonError::into_inner), piece))
            .collect();
        let mut rest = data;
        for (chunk, piece) in &mut held {
            let (now, later) = rest.split_at(piece.length);
            rest = later;
            let bytes = chunk.get_or_insert_with(|| vec![0; CHUNK].into_boxed_slice());
            bytes[piece.start..piece.start + piece.length].copy_from_slice(now);
        }
    }

    fn read(&self, offset: u64, into: &mut [u8]) {
        let mut rest = into;
        for piece in pieces(offset, rest.len() as u64) {
            let (now, later) = rest.split_at_mut(piece.length);
            rest = later;
            match &*self.chunk(piece.chunk) {
                Some(bytes) => now.copy_from_slice(&bytes[piece.start..piece.start + piece.length]),
                None => now.fill(0),
            }
        }
    }

    fn chunk(&self, index: usize) -> RwLockReadGuard<'_, Bytes> {
        self.chunks[index].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn zero(&self, offset: u64, length: u64, keep: bool) {
        // One chunk at a time: a range may be as long as the device, and zeros over zeros have no order.
        for piece in pieces(offset, length) {
            let mut chunk = self.chunks[piece.chunk].write().unwrap_or_else(PoisonError::into_inner);
            if keep {
                let bytes = chunk.get_or_insert_with(|| vec![0; CHUNK].into_boxed_slice());
                bytes[piece.start..piece.start + piece.length].fill(0);
            } else if piece.length == CHUNK {
                *chunk = None;
            } else if let Some(bytes) = chunk.as_mut() {
                bytes[piece.start..piece.start + piece.length].fill(0);
            }
        }
    }

    fn status(&self, offset: u64, length: u64, limit: usize) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::new();
        for piece in pieces(offset, length) {
            let state = if self.chunk(piece.chunk).is_some() { ExtentState::Data } else { ExtentState::Hole };
            let found = extents.len();
            match extents.last_mut() {
                Some(last) if last.state == state => last.length += piece.length as u64,
                _ if found == limit => break,
                _ => extents.push(Extent { length: piece.length as u64, state }),
            }
        }
        extents
    }
}

/// The part of a range that lies in one chunk.
struct Piece {
    chunk: usize,
    start: usize,
    length: usize,
}

fn pieces(offset: u64, length: u64) -> impl Iterator<Item = Piece> {
    let end = offset + length;
    let mut at = offset;
    std::iter::from_fn(move || {
        let start = (at % CHUNK as u64) as usize;
        let length = (end - at).min((CHUNK - start) as u64) as usize;
        let piece = Piece { chunk: (at / CHUNK as u64) as usize, start, length };
        at += length as u64;
        (length > 0).then_some(piece)
    })
}

impl BlockDevice for MemoryDevice {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        completion(self.perform(request));
        Ok(())
    }

    fn wait_for_room(&self) {}

    fn perform(&self, request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        request.check(&self.geometry)?;
        match request {
            BlockRequest::Read { offset, mut buffer } => {
                self.read(offset, &mut buffer);
                return Ok(BlockAnswer::Data(buffer));
            }
            BlockRequest::Write { offset, data, .. } => self.write(offset, &data),
            BlockRequest::Flush => {}
            BlockRequest::Trim { offset, length, .. } => self.zero(offset, length, false),
            BlockRequest::WriteZeroes { offset, length, may_trim, .. } => {
                self.zero(offset, length, !may_trim);
            }
            BlockRequest::BlockStatus { offset, length, limit } => {
                return Ok(BlockAnswer::Status(self.status(offset, length, limit)));
            }
        }
        Ok(BlockAnswer::Done)
    }
}
