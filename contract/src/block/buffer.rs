//! Memory of requests: aligned as direct I/O needs it, and used again.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// What the first byte of every buffer is aligned to.
pub const BUFFER_ALIGNMENT: usize = 4_096;

/// Bytes of a request. The first one lies at a multiple of [`BUFFER_ALIGNMENT`], so that a device may transfer them
/// directly. The bytes do not move while the buffer exists.
pub struct Buffer {
    storage: Vec<u8>,
    start: usize,
    length: usize,
    home: Option<Arc<BufferPool>>,
}

impl Buffer {
    /// A buffer of zeros.
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        Self::around(vec![0; length + BUFFER_ALIGNMENT], length, None)
    }

    fn around(storage: Vec<u8>, length: usize, home: Option<Arc<BufferPool>>) -> Self {
        let start = storage.as_ptr().align_offset(BUFFER_ALIGNMENT);
        debug_assert!(start + length <= storage.len());
        Self { storage, start, length, home }
    }

    /// Forgets all but the first `length` bytes.
    ///
    /// # Panics
    /// If it is shorter already.
    pub fn shorten(&mut self, length: usize) {
        assert!(length <= self.length, "a buffer of {} bytes has no {length}", self.length);
        self.length = length;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        let mut buffer = Self::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Buffer({} bytes)", self.length)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.put(std::mem::take(&mut self.storage));
        }
    }
}

/// Memory that was used and waits to be used again: fresh memory has to be cleared by the host, which for large
/// transfers takes as long as the transfer. What a pool keeps is bounded; what it hands out is not.
pub struct BufferPool {
    /// Vectors by the binary logarithm of their room, and the bytes of all of them.
    kept: Mutex<(Vec<Vec<Vec<u8>>>, usize)>,
    limit: usize,
}

impl BufferPool {
    /// A pool that keeps at most `limit` bytes of unused memory.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::new((Vec::new(), 0)), limit })
    }

    /// A buffer of `length` bytes, which holds **anything**, also bytes of requests that are over: it must be overwritten
    /// before it is shown to anyone. It comes back to the pool when it is dropped.
    #[must_use]
    pub fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let room = length.max(BUFFER_ALIGNMENT).next_power_of_two();
        let class = room.trailing_zeros() as usize;
        let found = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let found = kept.0.get_mut(class).and_then(Vec::pop);
            if let Some(storage) = &found {
                kept.1 -= storage.len();
            }
            found
        };
        let storage = found.unwrap_or_else(|| vec![0; room + BUFFER_ALIGNMENT]);
        Buffer::around(storage, length, Some(Arc::clone(self)))
    }

    fn put(&self, storage: Vec<u8>) {
        let class = (storage.len() - BUFFER_ALIGNMENT).trailing_zeros() as usize;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.1 + storage.len() > self.limit {
            return;
        }
        kept.1 += storage.len();
        if kept.0.len() <= class {
            kept.0.resize_with(class + 1, Vec::new);
        }
        kept.0[class].push(storage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_come_back() {
        let pool = BufferPool::new(64 << 10);
        for length in [0, 1, 512, 4_096, 4_097, 40_000] {
            let mut buffer = pool.take(length);
            assert_eq!((buffer.len(), buffer.as_ptr().addr() % BUFFER_ALIGNMENT), (length, 0));
            buffer.fill(7);
        }
        let again = pool.take(512);
        assert!(again.iter().all(|byte| *byte == 7), "memory is used again");
        assert_eq!(Buffer::zeroed(9).as_ptr().addr() % BUFFER_ALIGNMENT, 0);
        assert_eq!(*Buffer::from(&b"abc"[..]), *b"abc");
    }

    #[test]
    fn a_pool_keeps_no_more_than_its_limit() {
        let pool = BufferPool::new(20_000);
        let taken: Vec<Buffer> = (0..10).map(|_| pool.take(4_096)).collect();
        drop(taken);
        assert_eq!(pool.kept.lock().expect("unpoisoned").1, 2 * (4_096 + BUFFER_ALIGNMENT));
    }
}
