//! Host memory for guests: one anonymous mapping as large as the site's limit, of which the host backs only what is
//! touched, and takes back what is released.
//!
//! The one module of this crate with unsafe code, because the standard library can neither map memory nor give parts
//! of an allocation back: an allocator keeps what is freed in pieces, and guests of a frame that stops must not stay
//! resident. The words are atomics and every bit pattern is one, so that neither a shared word nor one that the host
//! zeroes can break an invariant of Rust.

#![allow(unsafe_code)]

use std::io::Result;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU64;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::arena::{PAGE_BYTES, WORDS};

/// A mapping of whole page frames, all zeros at first.
pub(super) struct HostMemory {
    start: NonNull<[AtomicU64; WORDS]>,
    frames: usize,
}

// SAFETY: the mapping belongs to this value until it is dropped, and is reached only as shared atomics.
unsafe impl Send for HostMemory {}
// SAFETY: as above.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    /// Maps room for `frames` page frames. The host backs none of them yet and does not count them against its limits.
    ///
    /// # Errors
    /// What the host says: no address space of that size.
    pub(super) fn map(frames: usize) -> Result<Self> {
        let bytes = frames.max(1).checked_mul(PAGE_BYTES).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new private anonymous mapping at an address of the host's choice touches no memory in use.
        let start = unsafe {
            mmap_anonymous(null_mut(), bytes, protection, MapFlags::PRIVATE | MapFlags::NORESERVE)
        }?;
        let start = NonNull::new(start.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let memory = Self { start, frames };
        // Large pages would back 2 MiB for a guest that touches one page. A kernel without them refuses; so be it.
        // SAFETY: advice on the mapping just made; this one never changes contents.
        let _ = unsafe { madvise(start.as_ptr().cast(), bytes, Advice::LinuxNoHugepage) };
        Ok(memory)
    }

    /// The words of one frame.
    ///
    /// # Panics
    /// When there is no such frame.
    pub(super) fn frame(&self, index: usize) -> &[AtomicU64; WORDS] {
        assert!(index < self.frames, "frame {index} of {}", self.frames);
        // SAFETY: the index is inside the mapping, which lives as long as `self`, is aligned to a page, and holds valid
        // atomics whatever its bytes.
        unsafe { self.start.add(index).as_ref() }
    }

    /// Gives the frames back to the host: they read as zeros and cost nothing until they are touched. True if the host
    /// took them; it does not where they are no whole pages of its own.
    pub(super) fn release(&self, frames: Range<usize>) -> bool {
        assert!(frames.start <= frames.end && frames.end <= self.frames, "{frames:?} of {}", self.frames);
        // SAFETY: the range is inside the mapping. Its words become zero, which is a valid value of an atomic.
        let done = unsafe {
            let start = self.start.add(frames.start).as_ptr().cast();
            madvise(start, frames.len() * PAGE_BYTES, Advice::LinuxDontNeed)
        };
        done.is_ok()
    }

    /// Where the mapping begins, to ask the host about it.
    #[cfg(test)]
    pub(super) fn address(&self) -> usize {
        self.start.as_ptr() as usize
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this size, and nobody can hold a reference into it any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.frames.max(1) * PAGE_BYTES) };
        debug_assert!(unmapped.is_ok());
    }
}
