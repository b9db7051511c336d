//! The workload that dirties memory in a pattern that can be checked.
//!
//! Step `n` writes page `n mod pages` for the `n / pages + 1`-th time, so that the number of steps alone tells
//! what every page must hold.

use std::time::Duration;

use varan_environment::{Monotonic, split_mix};

use crate::memory::{GuestMemory, PAGE_BYTES};

/// First byte of the workload's pages: what lies below belongs to firmware and operating system.
pub(super) const WORKLOAD_OFFSET: u64 = 64 << 20;

/// How often a running workload writes. Not scaled: its rate is in real pages per second.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_SECOND: u64 = 10;

pub(super) struct Workload {
    seed: u64,
    pages: u64,
    pages_per_second: u64,
    steps: u64,
    /// Ticks at which the site had no frame to give.
    stalls: u64,
    due: Option<Monotonic>,
}

impl Workload {
    pub(super) fn start(now: Monotonic, seed: u64, pages: u64, pages_per_second: u64) -> Self {
        Self { seed, pages, pages_per_second, steps: 0, stalls: 0, due: Some(now.after(TICK)) }
    }

    pub(super) fn due(&self) -> Option<Monotonic> {
        self.due
    }

    pub(super) fn stop(&mut self) {
        self.due = None;
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn stalls(&self) -> u64 {
        self.stalls
    }

    /// Pages that the workload holds.
    pub(super) fn page_range(&self) -> std::ops::Range<u64> {
        let first = WORKLOAD_OFFSET / PAGE_BYTES as u64;
        first..first + self.pages
    }

    /// Writes one tick's pages. Without room for a page the workload waits for the next tick.
    pub(super) fn tick(&mut self, now: Monotonic, memory: &mut GuestMemory) {
        self.due = Some(now.after(TICK));
        for _ in 0..self.pages_per_second.div_ceil(TICKS_PER_SECOND) {
            let (page, version) = (self.steps % self.pages, self.steps / self.pages + 1);
            if memory.write(offset_of(page), &self.pattern(page, version)).is_err() {
                self.stalls += 1;
                return;
            }
            self.steps += 1;
        }
    }

    /// Number of pages that do not hold what was written last.
    pub(super) fn verify(&self, memory: &GuestMemory) -> u64 {
        let mut found = [0; PAGE_BYTES];
        let wrong = (0..self.pages).filter(|&page| {
            let version = self.steps / self.pages + u64::from(page < self.steps % self.pages);
            let expected = if version == 0 { [0; PAGE_BYTES] } else { self.pattern(page, version) };
            memory.read(offset_of(page), &mut found).is_err() || found != expected
        });
        wrong.count() as u64
    }

    fn pattern(&self, page: u64, version: u64) -> [u8; PAGE_BYTES] {
        let mut state = self.seed ^ page.rotate_left(40) ^ version;
        let mut bytes = [0; PAGE_BYTES];
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&split_mix(&mut state).to_le_bytes());
        }
        bytes
    }
}

fn offset_of(page: u64) -> u64 {
    WORKLOAD_OFFSET + page * PAGE_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FrameArena;

    #[test]
    fn every_wrong_page_is_found() {
        let mut memory = GuestMemory::new(FrameArena::new(1 << 30).expect("address space"), 256 << 20);
        let mut workload = Workload::start(Monotonic::default(), 7, 50, 300);
        for _ in 0..4 {
            workload.tick(Monotonic::default(), &mut memory);
            assert_eq!(workload.verify(&memory), 0);
        }
        assert_eq!(workload.steps(), 120);
        for (count, page) in [0, 13, 49].into_iter().enumerate() {
            memory.write(offset_of(page) + 4095, &[0xAA; 1]).expect("room");
            let mut byte = [0];
            memory.read(offset_of(page) + 4094, &mut byte).expect("inside");
            memory.write(offset_of(page) + 4094, &[!byte[0]]).expect("room");
            assert_eq!(workload.verify(&memory), count as u64 + 1);
        }
    }

    #[test]
    fn a_full_site_stalls_the_workload_and_loses_nothing() {
        let arena = FrameArena::new(10 * PAGE_BYTES as u64).expect("address space");
        let mut memory = GuestMemory::new(arena, 256 << 20);
        let mut workload = Workload::start(Monotonic::default(), 7, 50, 1_000);
        workload.tick(Monotonic::default(), &mut memory);
        assert_eq!((workload.steps(), workload.stalls(), workload.verify(&memory)), (10, 1, 0));
    }
}
