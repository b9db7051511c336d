//! The arena of page frames: memory taken from the host in slabs, handed out as frames of 4 KiB.
//!
//! A frame has one owner at a time. Its words are atomics, so that a slab can be shared by the frames of many
//! guests without a lock on the way to the bytes and without unsafe code; relaxed loads and stores of aligned
//! words are plain moves on the hosts that matter.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use thiserror::Error;

use crate::lock;

/// Bytes of a page and of a page frame.
pub const PAGE_BYTES: usize = 4096;

const WORD_BYTES: usize = 8;
const WORDS: usize = PAGE_BYTES / WORD_BYTES;

/// Frames of one slab: 256 KiB, large enough to spare the host's allocator, small enough that a slab held by
/// one last frame wastes little. It equals the bits of the free mask.
const SLAB_FRAMES: u32 = u64::BITS;

/// The arena's limit is reached: no frame can be handed out until one comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("all {limit_bytes} bytes of the site's guest memory are in use")]
pub struct OutOfFrames {
    /// The limit in bytes.
    pub limit_bytes: u64,
}

#[repr(align(4096))]
struct Frame([AtomicU64; WORDS]);

struct Slab {
    number: u32,
    arena: Weak<Shared>,
    frames: Box<[Frame]>,
}

struct Entry {
    slab: Arc<Slab>,
    /// One bit per free frame.
    free: u64,
}

#[derive(Default)]
struct State {
    slabs: Vec<Option<Entry>>,
    vacant_numbers: Vec<u32>,
    /// Slabs with at least one free frame. The lowest is used first, so that high slabs drain and go back.
    with_free: BTreeSet<u32>,
    used_frames: u64,
    slab_count: u64,
    free_frames: u64,
}

struct Shared {
    state: Mutex<State>,
    limit_frames: u64,
}

/// What an arena holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaUsage {
    /// Bytes of frames that guests own.
    pub used_bytes: u64,
    /// Bytes taken from the host, used or not.
    pub reserved_bytes: u64,
    /// The site's limit on `used_bytes`.
    pub limit_bytes: u64,
}

/// The process-wide source of page frames. Clones share it.
#[derive(Clone)]
pub struct FrameArena {
    shared: Arc<Shared>,
}

impl FrameArena {
    /// An empty arena that hands out at most `limit_bytes`, rounded down to whole frames.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        let limit_frames = limit_bytes / PAGE_BYTES as u64;
        Self { shared: Arc::new(Shared { state: Mutex::default(), limit_frames }) }
    }

    /// Hands out a frame of zeros.
    ///
    /// # Errors
    /// [`OutOfFrames`] when the limit is reached.
    pub fn allocate(&self) -> Result<PageFrame, OutOfFrames> {
        let (slab, index) = self.take_free_frame()?;
        let frame = PageFrame { slab, index };
        // A reused frame holds its last owner's bytes. No other owner exists, so this needs no lock.
        frame.clear();
        Ok(frame)
    }

    fn take_free_frame(&self) -> Result<(Arc<Slab>, u32), OutOfFrames> {
        let mut state = lock(&self.shared.state);
        if state.used_frames >= self.shared.limit_frames {
            return Err(OutOfFrames { limit_bytes: self.shared.limit_frames * PAGE_BYTES as u64 });
        }
        let number = match state.with_free.first() {
            Some(number) => *number,
            None => add_slab(&mut state, Arc::downgrade(&self.shared)),
        };
        let Some(Some(entry)) = state.slabs.get_mut(number as usize) else {
            unreachable!("the free set names existing slabs only");
        };
        let index = entry.free.trailing_zeros();
        entry.free &= !(1 << index);
        let (slab, exhausted) = (Arc::clone(&entry.slab), entry.free == 0);
        if exhausted {
            state.with_free.remove(&number);
        }
        state.used_frames += 1;
        state.free_frames -= 1;
        Ok((slab, index))
    }

    /// What is in use now.
    #[must_use]
    pub fn usage(&self) -> ArenaUsage {
        let state = lock(&self.shared.state);
        ArenaUsage {
            used_bytes: state.used_frames * PAGE_BYTES as u64,
            reserved_bytes: state.slab_count * u64::from(SLAB_FRAMES) * PAGE_BYTES as u64,
            limit_bytes: self.shared.limit_frames * PAGE_BYTES as u64,
        }
    }
}

fn add_slab(state: &mut State, arena: Weak<Shared>) -> u32 {
    let number = state.vacant_numbers.pop().unwrap_or_else(|| {
        state.slabs.push(None);
        u32::try_from(state.slabs.len() - 1).expect("a site has fewer than 2^32 slabs")
    });
    let frames = (0..SLAB_FRAMES).map(|_| Frame([const { AtomicU64::new(0) }; WORDS])).collect();
    let slab = Arc::new(Slab { number, arena, frames });
    state.slabs[number as usize] = Some(Entry { slab, free: u64::MAX });
    state.with_free.insert(number);
    state.slab_count += 1;
    state.free_frames += u64::from(SLAB_FRAMES);
    number
}

impl Shared {
    fn release(&self, number: u32, index: u32) {
        let mut state = lock(&self.state);
        let Some(Some(entry)) = state.slabs.get_mut(number as usize) else {
            return;
        };
        entry.free |= 1 << index;
        let empty = entry.free == u64::MAX;
        state.with_free.insert(number);
        state.used_frames -= 1;
        state.free_frames += 1;
        // One spare slab stays, so that a guest at the edge does not take and return a slab per page.
        if empty && state.free_frames >= 2 * u64::from(SLAB_FRAMES) {
            state.with_free.remove(&number);
            state.slabs[number as usize] = None;
            state.vacant_numbers.push(number);
            state.slab_count -= 1;
            state.free_frames -= u64::from(SLAB_FRAMES);
        }
    }
}

/// One frame of 4 KiB, owned by whoever holds this. Dropping it gives it back to its arena.
pub struct PageFrame {
    slab: Arc<Slab>,
    index: u32,
}

impl PageFrame {
    fn words(&self) -> &[AtomicU64; WORDS] {
        &self.slab.frames[self.index as usize].0
    }

    fn clear(&self) {
        for word in self.words() {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Reads `buffer.len()` bytes at `offset`.
    ///
    /// # Panics
    /// When the range leaves the page.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) {
        assert!(offset + buffer.len() <= PAGE_BYTES, "a read stays within its page");
        let words = self.words();
        let head_length = buffer.len().min((WORD_BYTES - offset % WORD_BYTES) % WORD_BYTES);
        let (head, rest) = buffer.split_at_mut(head_length);
        if !head.is_empty() {
            let bytes = words[offset / WORD_BYTES].load(Ordering::Relaxed).to_le_bytes();
            head.copy_from_slice(&bytes[offset % WORD_BYTES..][..head_length]);
        }
        let first = (offset + head_length) / WORD_BYTES;
        let tail_word = first + rest.len() / WORD_BYTES;
        let mut chunks = rest.chunks_exact_mut(WORD_BYTES);
        for (chunk, word) in chunks.by_ref().zip(words.iter().skip(first)) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let tail = chunks.into_remainder();
        if !tail.is_empty() {
            let bytes = words[tail_word].load(Ordering::Relaxed).to_le_bytes();
            let length = tail.len();
            tail.copy_from_slice(&bytes[..length]);
        }
    }

    /// Writes `data` at `offset`. Takes `&mut self` because a frame has one writer.
    ///
    /// # Panics
    /// When the range leaves the page.
    pub fn write(&mut self, offset: usize, data: &[u8]) {
        assert!(offset + data.len() <= PAGE_BYTES, "a write stays within its page");
        let head_length = data.len().min((WORD_BYTES - offset % WORD_BYTES) % WORD_BYTES);
        let (head, rest) = data.split_at(head_length);
        self.write_within_word(offset, head);
        let first = (offset + head_length) / WORD_BYTES;
        let chunks = rest.chunks_exact(WORD_BYTES);
        let tail = chunks.remainder();
        for (chunk, word) in chunks.zip(self.words().iter().skip(first)) {
            let mut bytes = [0; WORD_BYTES];
            bytes.copy_from_slice(chunk);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.write_within_word(offset + data.len() - tail.len(), tail);
    }

    fn write_within_word(&mut self, offset: usize, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let word = &self.words()[offset / WORD_BYTES];
        let mut bytes = word.load(Ordering::Relaxed).to_le_bytes();
        bytes[offset % WORD_BYTES..][..data.len()].copy_from_slice(data);
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
}

impl Drop for PageFrame {
    fn drop(&mut self) {
        if let Some(arena) = self.slab.arena.upgrade() {
            arena.release(self.slab.number, self.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_at_every_alignment_match_a_byte_array() {
        let arena = FrameArena::new(PAGE_BYTES as u64);
        let mut frame = arena.allocate().expect("room");
        let mut model = [0_u8; PAGE_BYTES];
        let mut state = 1;
        for round in 0..2_000_usize {
            let offset = varan_environment::split_mix(&mut state) as usize % PAGE_BYTES;
            let length = varan_environment::split_mix(&mut state) as usize % 40;
            let length = length.min(PAGE_BYTES - offset);
            let data: Vec<u8> = (0..length).map(|position| (round + position) as u8).collect();
            frame.write(offset, &data);
            model[offset..offset + length].copy_from_slice(&data);
            let start = offset.saturating_sub(11);
            let mut read = vec![0; (length + 23).min(PAGE_BYTES - start)];
            frame.read(start, &mut read);
            assert_eq!(read, model[start..start + read.len()], "round {round}");
        }
    }

    #[test]
    fn a_reused_frame_is_zero_and_the_limit_holds() {
        let arena = FrameArena::new(2 * PAGE_BYTES as u64);
        let mut first = arena.allocate().expect("room");
        first.write(0, &[7; PAGE_BYTES]);
        let _second = arena.allocate().expect("room");
        assert_eq!(arena.allocate().err(), Some(OutOfFrames { limit_bytes: 2 * PAGE_BYTES as u64 }));
        drop(first);
        let again = arena.allocate().expect("room again");
        let mut bytes = [1; PAGE_BYTES];
        again.read(0, &mut bytes);
        assert_eq!(bytes, [0; PAGE_BYTES]);
    }

    #[test]
    fn empty_slabs_go_back_to_the_host() {
        let arena = FrameArena::new(1 << 30);
        let frames: Vec<_> = (0..10 * SLAB_FRAMES).map(|_| arena.allocate().expect("room")).collect();
        let slab_bytes = u64::from(SLAB_FRAMES) * PAGE_BYTES as u64;
        assert_eq!(arena.usage().reserved_bytes, 10 * slab_bytes);
        drop(frames);
        assert_eq!(
            arena.usage(),
            ArenaUsage { used_bytes: 0, reserved_bytes: slab_bytes, limit_bytes: 1 << 30 }
        );
    }

    #[test]
    fn frames_outlive_the_arena_handle() {
        let frame = FrameArena::new(1 << 20).allocate().expect("room");
        let mut byte = [9];
        frame.read(5, &mut byte);
        assert_eq!(byte, [0]);
    }
}
