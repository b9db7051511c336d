//! The arena of page frames: memory of the host, handed out as frames of 4 KiB, and given back to the host when it is
//! no longer used.
//!
//! A frame has one owner at a time. Its words are atomics, so that the mapping can be shared by the frames of many
//! guests without a lock on the way to the bytes; relaxed loads and stores of aligned words are plain moves on the
//! hosts that matter.
//!
//! ```text
//! untouched ──allocate──> used ──drop──> stale ──allocate──> used
//!     ^                                    │
//!     └──────── given back to the host ────┘     (some of a slab, and more than the spare in the arena)
//! ```

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use thiserror::Error;

use super::host::HostMemory;
use crate::lock;

/// Bytes of a page and of a page frame.
pub const PAGE_BYTES: usize = 4096;

const WORD_BYTES: usize = 8;
pub(super) const WORDS: usize = PAGE_BYTES / WORD_BYTES;

/// Frames of one slab, the unit of book-keeping: one bit of a mask each.
const SLAB_FRAMES: u32 = u64::BITS;

/// Stale frames that the arena keeps, so that a guest at the edge does not take and return a page in turns.
const SPARE_FRAMES: u64 = 64;

/// Stale frames of one slab from which on they are given back: fewer calls of the host for a guest that goes.
const RELEASE_FRAMES: u32 = 8;

/// The arena's limit is reached: no frame can be handed out until one comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("all {limit_bytes} bytes of the site's guest memory are in use")]
pub struct OutOfFrames {
    /// The limit in bytes.
    pub limit_bytes: u64,
}

/// The host has no address space for an arena of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the host cannot set aside {limit_bytes} bytes for guest memory")]
pub struct ArenaTooLarge {
    /// The limit in bytes.
    pub limit_bytes: u64,
}

#[derive(Clone, Copy)]
struct Slab {
    /// One bit per frame without an owner.
    free: u64,
    /// One bit per frame that the host may back: it was used since it was last given back.
    touched: u64,
}

#[derive(Default)]
struct State {
    /// Slabs up to the highest one that was ever used.
    slabs: Vec<Slab>,
    /// Slabs with at least one free frame. The lowest is used first, so that high slabs drain.
    with_free: BTreeSet<u32>,
    used_frames: u64,
    touched_frames: u64,
}

struct Shared {
    memory: HostMemory,
    state: Mutex<State>,
    limit_frames: u64,
    /// Frames of one page of the host.
    host_page_frames: u32,
}

/// What an arena holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaUsage {
    /// Bytes of frames that guests own.
    pub used_bytes: u64,
    /// Bytes that the host may have to back: used now, or used before and not given back yet.
    pub reserved_bytes: u64,
    /// The limit on `used_bytes`.
    pub limit_bytes: u64,
}

/// The process-wide source of page frames. Clones share it: the frames of one site have one limit together.
#[derive(Clone)]
pub struct FrameArena {
    shared: Arc<Shared>,
}

impl FrameArena {
    /// An empty arena that hands out at most `limit_bytes`, rounded down to whole frames.
    ///
    /// # Errors
    /// [`ArenaTooLarge`] when the host has no address space for it.
    pub fn new(limit_bytes: u64) -> Result<Self, ArenaTooLarge> {
        let too_large = ArenaTooLarge { limit_bytes };
        let limit_frames = u32::try_from(limit_bytes / PAGE_BYTES as u64).map_err(|_| too_large)?;
        let frames = limit_frames.checked_next_multiple_of(SLAB_FRAMES).ok_or(too_large)?;
        let memory = HostMemory::map(frames as usize).map_err(|_| too_large)?;
        let host_page_frames = (rustix::param::page_size() / PAGE_BYTES).clamp(1, SLAB_FRAMES as usize);
        Ok(Self {
            shared: Arc::new(Shared {
                memory,
                state: Mutex::default(),
                limit_frames: limit_frames.into(),
                host_page_frames: u32::try_from(host_page_frames).unwrap_or(1),
            }),
        })
    }

    /// Hands out a frame of zeros.
    ///
    /// # Errors
    /// [`OutOfFrames`] when the limit is reached.
    pub fn allocate(&self) -> Result<PageFrame, OutOfFrames> {
        let (index, stale) = self.take_free_frame()?;
        let frame = PageFrame { shared: Arc::clone(&self.shared), index };
        if stale {
            // A reused frame holds its last owner's bytes. No other owner exists, so this needs no lock.
            frame.clear();
        }
        Ok(frame)
    }

    /// A frame's number, and whether it holds what its last owner wrote.
    fn take_free_frame(&self) -> Result<(u32, bool), OutOfFrames> {
        let mut state = lock(&self.shared.state);
        if state.used_frames >= self.shared.limit_frames {
            return Err(OutOfFrames { limit_bytes: self.shared.limit_frames * PAGE_BYTES as u64 });
        }
        let number = state.with_free.first().copied().unwrap_or_else(|| state.add_slab());
        let slab = &mut state.slabs[number as usize];
        // What the host backs already comes first.
        let stale = slab.free & slab.touched;
        let place = if stale == 0 { slab.free } else { stale }.trailing_zeros();
        slab.free &= !(1 << place);
        slab.touched |= 1 << place;
        if slab.free == 0 {
            state.with_free.remove(&number);
        }
        state.used_frames += 1;
        state.touched_frames += u64::from(stale == 0);
        Ok((number * SLAB_FRAMES + place, stale != 0))
    }

    /// What is in use now.
    #[must_use]
    pub fn usage(&self) -> ArenaUsage {
        let state = lock(&self.shared.state);
        ArenaUsage {
            used_bytes: state.used_frames * PAGE_BYTES as u64,
            reserved_bytes: state.touched_frames * PAGE_BYTES as u64,
            limit_bytes: self.shared.limit_frames * PAGE_BYTES as u64,
        }
    }
}

impl State {
    /// The limit is below the mapping's end, so there is room as long as a frame may be handed out.
    fn add_slab(&mut self) -> u32 {
        let number = u32::try_from(self.slabs.len()).unwrap_or(u32::MAX);
        self.slabs.push(Slab { free: u64::MAX, touched: 0 });
        self.with_free.insert(number);
        number
    }
}

impl Shared {
    fn release(&self, index: u32) {
        let (number, place) = (index / SLAB_FRAMES, index % SLAB_FRAMES);
        let mut state = lock(&self.state);
        let slab = &mut state.slabs[number as usize];
        slab.free |= 1 << place;
        let (stale, unused) = (slab.free & slab.touched, slab.free == u64::MAX);
        state.with_free.insert(number);
        state.used_frames -= 1;
        let spare = state.touched_frames - state.used_frames;
        if spare > SPARE_FRAMES && (unused || stale.count_ones() >= RELEASE_FRAMES) {
            self.give_back(&mut state, number);
        }
    }

    /// Gives the stale frames of a slab back to the host, as far as they are whole pages of its own.
    fn give_back(&self, state: &mut State, number: u32) {
        let slab = &mut state.slabs[number as usize];
        let mut run_start = 0;
        let mut given = 0;
        let releasable = whole_pages(slab.free, self.host_page_frames);
        while run_start < SLAB_FRAMES {
            if slab.free & slab.touched & releasable & (1 << run_start) == 0 {
                run_start += 1;
                continue;
            }
            // Untouched frames within a run cost nothing more; what follows the last stale one is left out.
            let length = (releasable >> run_start).trailing_ones();
            let run = mask(run_start, length);
            let first = (number * SLAB_FRAMES + run_start) as usize;
            if self.memory.release(first..first + length as usize) {
                given += u64::from((slab.touched & run).count_ones());
                slab.touched &= !run;
            }
            run_start += length;
        }
        state.touched_frames -= given;
    }
}

fn mask(start: u32, length: u32) -> u64 {
    if length >= u64::BITS { u64::MAX } else { ((1 << length) - 1) << start }
}

/// The frames of `free` whose whole page of the host is free.
fn whole_pages(free: u64, host_page_frames: u32) -> u64 {
    let mut whole = 0;
    for start in (0..u64::BITS).step_by(host_page_frames as usize) {
        let page = mask(start, host_page_frames);
        if free & page == page {
            whole |= page;
        }
    }
    whole
}

/// One frame of 4 KiB, owned by whoever holds this. Dropping it gives it back to its arena.
pub struct PageFrame {
    shared: Arc<Shared>,
    index: u32,
}

impl PageFrame {
    fn words(&self) -> &[AtomicU64; WORDS] {
        self.shared.memory.frame(self.index as usize)
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
        self.shared.release(self.index);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn arena(pages: u64) -> FrameArena {
        FrameArena::new(pages * PAGE_BYTES as u64).expect("address space")
    }

    #[test]
    fn reads_and_writes_at_every_alignment_match_a_byte_array() {
        let arena = arena(1);
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
        let arena = arena(2);
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

    /// Pages of the arena's mapping that the host backs, by the host's own account.
    fn backed_by_host(arena: &FrameArena) -> Option<u64> {
        let page = rustix::param::page_size();
        let map = std::fs::File::open("/proc/self/pagemap").ok()?;
        let frames = lock(&arena.shared.state).slabs.len() * SLAB_FRAMES as usize;
        let mut entries = vec![0; frames * PAGE_BYTES / page * 8];
        map.read_exact_at(&mut entries, (arena.shared.memory.address() / page * 8) as u64).ok()?;
        // Bit 63: in memory; bit 62: swapped out.
        let backed = entries.chunks_exact(8).filter(|entry| entry[7] & 0xC0 != 0).count();
        Some((backed * page) as u64)
    }

    fn fill(frame: &mut PageFrame) {
        frame.write(0, &[0x5A; PAGE_BYTES]);
    }

    #[test]
    fn what_a_guest_leaves_goes_back_to_the_host_even_if_its_pages_lay_among_others() {
        let arena = arena(1 << 20);
        let mut kept = Vec::new();
        let mut left = Vec::new();
        for number in 0..6_400 {
            let mut frame = arena.allocate().expect("room");
            fill(&mut frame);
            if number % 4 == 0 { kept.push(frame) } else { left.push(frame) }
        }
        let pages = |count: u64| count * PAGE_BYTES as u64;
        let usage = |used, reserved| ArenaUsage {
            used_bytes: pages(used),
            reserved_bytes: pages(reserved),
            limit_bytes: pages(1 << 20),
        };
        assert_eq!(arena.usage(), usage(6_400, 6_400));
        drop(left);
        let ArenaUsage { used_bytes, reserved_bytes, .. } = arena.usage();
        assert_eq!(used_bytes, pages(1_600));
        // At most a few stale frames for each of 100 slabs, and the spare.
        let most = pages(1_600 + 100 * u64::from(RELEASE_FRAMES) + SPARE_FRAMES);
        assert!(reserved_bytes <= most, "{reserved_bytes} bytes for {used_bytes}");
        match backed_by_host(&arena) {
            Some(backed) if rustix::param::page_size() == PAGE_BYTES => assert_eq!(backed, reserved_bytes),
            _ => println!("SKIP: the host does not tell what it backs"),
        }
        for frame in &kept {
            let mut bytes = [0; PAGE_BYTES];
            frame.read(0, &mut bytes);
            assert!(bytes == [0x5A; PAGE_BYTES], "a neighbour's page");
        }
        drop(kept);
        let ArenaUsage { used_bytes, reserved_bytes, .. } = arena.usage();
        assert_eq!(used_bytes, 0);
        assert!(reserved_bytes <= pages(100 * u64::from(RELEASE_FRAMES) + SPARE_FRAMES), "{reserved_bytes}");
        // Everything that comes again is zero, whether the host gave it back or it was reused.
        let mut again = Vec::new();
        for _ in 0..6_400 {
            let mut frame = arena.allocate().expect("room");
            let mut bytes = [1; PAGE_BYTES];
            frame.read(0, &mut bytes);
            assert!(bytes == [0; PAGE_BYTES]);
            fill(&mut frame);
            again.push(frame);
        }
    }

    #[test]
    fn the_account_agrees_with_the_frames_whatever_the_order() {
        for seed in 0..20_u64 {
            let (arena, mut state) = (arena(2_000), seed);
            let mut held: Vec<PageFrame> = Vec::new();
            for step in 0..4_000 {
                let draw = varan_environment::split_mix(&mut state);
                // Long phases of growth and of shrinking.
                if draw % 8 < if step / 700 % 2 == 0 { 6 } else { 2 } {
                    match arena.allocate() {
                        Ok(mut frame) => {
                            let mut bytes = [1; PAGE_BYTES];
                            frame.read(0, &mut bytes);
                            assert!(bytes == [0; PAGE_BYTES], "seed {seed} step {step}");
                            fill(&mut frame);
                            held.push(frame);
                        }
                        Err(_) => assert_eq!(held.len(), 2_000),
                    }
                } else if !held.is_empty() {
                    held.swap_remove(draw as usize / 8 % held.len());
                }
                let usage = arena.usage();
                assert_eq!(usage.used_bytes, (held.len() * PAGE_BYTES) as u64, "seed {seed} step {step}");
                assert!(usage.reserved_bytes >= usage.used_bytes);
                let state = lock(&arena.shared.state);
                let touched: u32 = state.slabs.iter().map(|slab| slab.touched.count_ones()).sum();
                assert_eq!(state.touched_frames, u64::from(touched));
            }
        }
    }

    #[test]
    fn larger_host_pages_are_given_back_whole() {
        assert_eq!(whole_pages(0xFFFF_0000_FFFF_00FF, 16), 0xFFFF_0000_FFFF_0000);
        assert_eq!(whole_pages(0xF0, 1), 0xF0);
        assert_eq!(whole_pages(u64::MAX, 64), u64::MAX);
    }

    #[test]
    fn an_arena_that_the_host_cannot_map_is_refused() {
        assert!(FrameArena::new(u64::MAX).is_err());
    }

    #[test]
    fn frames_outlive_the_arena_handle() {
        let frame = arena(256).allocate().expect("room");
        let mut byte = [9];
        frame.read(5, &mut byte);
        assert_eq!(byte, [0]);
    }
}
