//! One guest's memory: a sparse table of page frames, reached only through calls, so that writes can be
//! tracked.

use std::ops::Range;

use thiserror::Error;

use super::arena::{FrameArena, OutOfFrames, PAGE_BYTES, PageFrame};
use super::dirty::DirtyBitmap;
use super::sparse_table::SparseTable;

const PAGE: u64 = PAGE_BYTES as u64;

/// Why a memory call was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// The range leaves the guest's memory.
    #[error("bytes {offset} to {end} are outside the guest's {size} bytes")]
    OutOfBounds {
        /// First byte.
        offset: u64,
        /// One past the last byte.
        end: u64,
        /// The guest's memory in bytes.
        size: u64,
    },
    /// The site's limit on guest memory is reached; the guest has to wait.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
    /// The part to be taken away holds pages in use.
    #[error("page {page} is in use")]
    PageInUse {
        /// Highest page in use.
        page: u64,
    },
}

/// Real bytes behind a guest's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryResidency {
    /// Page frames.
    pub frame_bytes: u64,
    /// Page table and dirty bitmap.
    pub table_bytes: u64,
}

/// A guest's memory. An untouched page costs nothing and reads as zeros.
pub struct GuestMemory {
    arena: FrameArena,
    size: u64,
    pages: SparseTable<PageFrame>,
    dirty: Option<DirtyBitmap>,
}

impl GuestMemory {
    /// Memory of `size` bytes, rounded up to whole pages, all zeros.
    #[must_use]
    pub fn new(arena: FrameArena, size: u64) -> Self {
        Self { arena, size: size.next_multiple_of(PAGE), pages: SparseTable::new(), dirty: None }
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    fn check(&self, offset: u64, length: u64) -> Result<(), MemoryError> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            end => Err(MemoryError::OutOfBounds { offset, end: end.unwrap_or(u64::MAX), size: self.size }),
        }
    }

    /// Reads `buffer.len()` bytes at `offset`.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`].
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        self.check(offset, buffer.len() as u64)?;
        let mut position = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let within = (position % PAGE) as usize;
            let (piece, following) = rest.split_at_mut(rest.len().min(PAGE_BYTES - within));
            match self.pages.get(position / PAGE) {
                Some(frame) => frame.read(within, piece),
                None => piece.fill(0),
            }
            position += piece.len() as u64;
            rest = following;
        }
        Ok(())
    }

    /// Writes `data` at `offset`; sets dirty bits while tracking is on.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], [`MemoryError::OutOfFrames`]; nothing is written then.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), MemoryError> {
        self.check(offset, data.len() as u64)?;
        self.back(offset, data.len() as u64)?;
        self.write_backed(offset, data);
        Ok(())
    }

    /// Copies `length` bytes from `from` to `to`, correctly where the two overlap; sets dirty bits at `to`.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], [`MemoryError::OutOfFrames`]; nothing is copied then.
    pub fn copy(&mut self, from: u64, to: u64, length: u64) -> Result<(), MemoryError> {
        self.check(from, length)?;
        self.check(to, length)?;
        self.back(to, length)?;
        let mut buffer = [0_u8; PAGE_BYTES];
        let mut done = 0;
        while done < length {
            let piece = PAGE.min(length - done);
            // From the end when the target lies above the source, else bytes would be read after being
            // overwritten.
            let at = if to > from { length - done - piece } else { done };
            let bytes = &mut buffer[..piece as usize];
            self.read(from + at, bytes)?;
            self.write_backed(to + at, bytes);
            done += piece;
        }
        Ok(())
    }

    fn write_backed(&mut self, offset: u64, data: &[u8]) {
        let mut position = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let within = (position % PAGE) as usize;
            let (piece, following) = rest.split_at(rest.len().min(PAGE_BYTES - within));
            let page = position / PAGE;
            if let Some(frame) = self.pages.get_mut(page) {
                frame.write(within, piece);
            }
            if let Some(dirty) = &mut self.dirty {
                dirty.set(page);
            }
            position += piece.len() as u64;
            rest = following;
        }
    }

    /// Gives every page of the range a frame, or none of those that had none.
    fn back(&mut self, offset: u64, length: u64) -> Result<(), MemoryError> {
        if length == 0 {
            return Ok(());
        }
        let mut added = Vec::new();
        for page in offset / PAGE..=(offset + length - 1) / PAGE {
            if self.pages.get(page).is_some() {
                continue;
            }
            match self.arena.allocate() {
                Ok(frame) => {
                    self.pages.entry(page, || frame);
                    added.push(page);
                }
                Err(refusal) => {
                    for page in added {
                        self.pages.drain(page..page + 1, &mut |_, _| ());
                    }
                    return Err(refusal.into());
                }
            }
        }
        Ok(())
    }

    /// The guest gives up the pages in `pages`: they read as zeros and cost nothing afterwards. Pages that
    /// had a frame become dirty.
    pub fn discard(&mut self, pages: Range<u64>) {
        let dirty = &mut self.dirty;
        self.pages.drain(pages, &mut |page, _frame| {
            if let Some(dirty) = dirty {
                dirty.set(page);
            }
        });
    }

    /// Adds `bytes`, rounded up to whole pages, at the end.
    pub fn grow(&mut self, bytes: u64) {
        self.size = self.size.saturating_add(bytes.next_multiple_of(PAGE));
    }

    /// Takes `bytes` (whole pages) away from the end.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] when there is less, [`MemoryError::PageInUse`] when the part holds a page
    /// that was written and not given up.
    pub fn shrink(&mut self, bytes: u64) -> Result<(), MemoryError> {
        let bytes = bytes.next_multiple_of(PAGE);
        let Some(size) = self.size.checked_sub(bytes) else {
            return Err(MemoryError::OutOfBounds { offset: 0, end: bytes, size: self.size });
        };
        match self.pages.last() {
            Some(page) if page >= size / PAGE => return Err(MemoryError::PageInUse { page }),
            _ => {}
        }
        if let Some(dirty) = &mut self.dirty {
            dirty.take(size / PAGE..u64::MAX);
        }
        self.size = size;
        Ok(())
    }

    /// Starts to record which pages are written; what was recorded before is forgotten.
    pub fn start_tracking(&mut self) {
        self.dirty = Some(DirtyBitmap::new());
    }

    /// Stops recording and frees the record.
    pub fn stop_tracking(&mut self) {
        self.dirty = None;
    }

    /// Takes the pages in `pages` that were written since tracking started or since they were last taken, as
    /// ascending runs, and clears them. Empty while tracking is off.
    pub fn take_dirty(&mut self, pages: Range<u64>) -> Vec<Range<u64>> {
        self.dirty.as_mut().map(|dirty| dirty.take(pages)).unwrap_or_default()
    }

    /// Pages that have a frame.
    #[must_use]
    pub fn pages_in_use(&self) -> u64 {
        self.pages.length()
    }

    /// Real bytes behind this memory now.
    #[must_use]
    pub fn residency(&self) -> MemoryResidency {
        MemoryResidency {
            frame_bytes: self.pages.length() * PAGE,
            table_bytes: self.pages.table_bytes() + self.dirty.as_ref().map_or(0, DirtyBitmap::bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    struct Model {
        bytes: Vec<u8>,
        backed: BTreeSet<u64>,
        dirty: Option<BTreeSet<u64>>,
    }

    impl Model {
        fn touch(&mut self, offset: u64, length: u64) {
            if length == 0 {
                return;
            }
            for page in offset / PAGE..=(offset + length - 1) / PAGE {
                self.backed.insert(page);
                if let Some(dirty) = &mut self.dirty {
                    dirty.insert(page);
                }
            }
        }
    }

    fn runs(pages: &BTreeSet<u64>) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for &page in pages {
            match runs.last_mut() {
                Some(run) if run.end == page => run.end += 1,
                _ => runs.push(page..page + 1),
            }
        }
        runs
    }

    #[test]
    fn random_operations_match_a_byte_vector() {
        for seed in 0..30_u64 {
            random_operations(seed);
        }
    }

    fn random_operations(seed: u64) {
        let mut state = seed;
        let mut random = |below: u64| varan_environment::split_mix(&mut state) % below.max(1);
        let mut size = 200 * PAGE;
        let mut memory = GuestMemory::new(FrameArena::new(1 << 30).expect("address space"), size);
        let mut model = Model { bytes: vec![0; size as usize], backed: BTreeSet::new(), dirty: None };
        for step in 0..300 {
            let place = format!("seed {seed} step {step}");
            let offset = random(size);
            let length = random(3 * PAGE).min(size - offset);
            match random(10) {
                0..=2 => {
                    let data: Vec<u8> = (0..length).map(|at| (step + at) as u8).collect();
                    memory.write(offset, &data).expect(&place);
                    model.bytes[offset as usize..(offset + length) as usize].copy_from_slice(&data);
                    model.touch(offset, length);
                }
                3 | 4 => {
                    let to = random(size - length + 1);
                    memory.copy(offset, to, length).expect(&place);
                    model.bytes.copy_within(offset as usize..(offset + length) as usize, to as usize);
                    model.touch(to, length);
                }
                5 => {
                    let pages = offset / PAGE..(offset + length) / PAGE;
                    memory.discard(pages.clone());
                    for page in pages {
                        if model.backed.remove(&page) {
                            model.bytes[(page * PAGE) as usize..][..PAGE_BYTES].fill(0);
                            if let Some(dirty) = &mut model.dirty {
                                dirty.insert(page);
                            }
                        }
                    }
                }
                6 => {
                    let start = random(2) == 0;
                    if start {
                        memory.start_tracking()
                    } else {
                        memory.stop_tracking()
                    }
                    model.dirty = start.then(BTreeSet::new);
                }
                7 => {
                    let pages = offset / PAGE..offset / PAGE + random(64);
                    let expected = model.dirty.as_mut().map(|dirty| {
                        let taken: BTreeSet<u64> = dirty.range(pages.clone()).copied().collect();
                        dirty.retain(|page| !pages.contains(page));
                        runs(&taken)
                    });
                    assert_eq!(memory.take_dirty(pages), expected.unwrap_or_default(), "{place}");
                }
                8 => {
                    let added = random(4) * PAGE;
                    memory.grow(added);
                    size += added;
                    model.bytes.resize(size as usize, 0);
                }
                _ => {
                    let removed = (random(6) * PAGE).min(size - PAGE);
                    let in_use = model.backed.last().is_some_and(|&page| page >= (size - removed) / PAGE);
                    assert_eq!(memory.shrink(removed).is_err(), in_use, "{place}");
                    if !in_use {
                        size -= removed;
                        model.bytes.truncate(size as usize);
                        if let Some(dirty) = &mut model.dirty {
                            dirty.retain(|&page| page < size / PAGE);
                        }
                    }
                }
            }
            assert_eq!(memory.size(), size, "{place}");
            assert_eq!(memory.pages_in_use(), model.backed.len() as u64, "{place}");
        }
        let mut bytes = vec![0; size as usize];
        memory.read(0, &mut bytes).expect("within bounds");
        assert!(bytes == model.bytes, "contents differ, seed {seed}");
    }

    #[test]
    fn a_write_that_does_not_fit_the_site_changes_nothing() {
        let arena = FrameArena::new(2 * PAGE).expect("address space");
        let mut memory = GuestMemory::new(arena.clone(), 1 << 40);
        memory.start_tracking();
        let refusal = memory.write(10, &[1; 2 * PAGE_BYTES]).expect_err("three pages do not fit");
        assert_eq!(refusal, OutOfFrames { limit_bytes: 2 * PAGE }.into());
        assert_eq!(arena.usage().used_bytes, 0);
        assert!(memory.take_dirty(0..u64::MAX).is_empty());
        memory.write(1 << 39, &[1; PAGE_BYTES]).expect("one page fits");
    }

    #[test]
    fn ranges_outside_are_refused() {
        let mut memory = GuestMemory::new(FrameArena::new(1 << 20).expect("address space"), PAGE);
        for (offset, length) in [(PAGE, 1), (PAGE - 1, 2), (u64::MAX, 1)] {
            assert!(memory.read(offset, &mut vec![0; length]).is_err(), "{offset}");
            assert!(memory.write(offset, &vec![0; length]).is_err(), "{offset}");
            assert!(memory.copy(0, offset, length as u64).is_err(), "{offset}");
        }
        memory.read(PAGE, &mut []).expect("an empty range at the end is inside");
    }
}
