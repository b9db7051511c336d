//! The dirty bitmap: which pages were written since they were last asked for. Sparse, so that tracking a large
//! idle guest costs nothing.

use std::ops::Range;

use super::sparse_table::SparseTable;

const WORD_PAGES: u64 = u64::BITS as u64;

pub(super) struct DirtyBitmap {
    words: SparseTable<u64>,
}

impl DirtyBitmap {
    pub(super) fn new() -> Self {
        Self { words: SparseTable::new() }
    }

    pub(super) fn set(&mut self, page: u64) {
        *self.words.entry(page / WORD_PAGES, || 0) |= 1 << (page % WORD_PAGES);
    }

    /// Takes the dirty pages in `pages` as ascending, non-adjacent runs and clears them.
    pub(super) fn take(&mut self, pages: Range<u64>) -> Vec<Range<u64>> {
        if pages.is_empty() {
            return Vec::new();
        }
        let mut words = Vec::new();
        let word_range = pages.start / WORD_PAGES..pages.end.div_ceil(WORD_PAGES);
        self.words.drain(word_range, &mut |index, word| words.push((index, word)));
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (index, word) in words {
            let mut kept = 0;
            for bit in 0..WORD_PAGES {
                let page = index * WORD_PAGES + bit;
                if word & (1 << bit) == 0 {
                    continue;
                }
                if !pages.contains(&page) {
                    kept |= 1 << bit;
                    continue;
                }
                match runs.last_mut() {
                    Some(run) if run.end == page => run.end += 1,
                    _ => runs.push(page..page + 1),
                }
            }
            if kept != 0 {
                *self.words.entry(index, || 0) = kept;
            }
        }
        runs
    }

    pub(super) fn bytes(&self) -> u64 {
        self.words.table_bytes()
    }
}
