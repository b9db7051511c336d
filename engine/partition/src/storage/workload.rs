//! A workload that writes a pattern to a disk that can be checked, byte for byte.
//!
//! ```text
//! Running --stop--> Draining --all written--> Stopped
//! Running | Stopped --verify--> Draining --> Verifying --all read--> Verified
//! ```
//!
//! Step `n` writes block `n mod blocks` for the `n / blocks + 1`-th time, and a step is only begun when the one of the
//! same block before it was acknowledged. So the number of steps alone tells what every block must hold.

use std::collections::BTreeMap;
use std::time::Duration;

use varan_contract::block::BlockError;
use varan_environment::{Monotonic, split_mix};

use super::Operation;
use super::disk::RequestNumber;
use super::initiator::{Finished, Initiator};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 4_096;
/// First byte of the disk that is written: what lies below belongs to whoever labels the disk.
pub(crate) const FIRST_BYTE: u64 = 1 << 20;
/// How often a running workload writes. Not scaled: its rate is in real blocks per second.
const TICK: Duration = Duration::from_millis(50);
const TICKS_PER_SECOND: u64 = 20;
/// Requests of the workload under way.
const DEPTH: usize = 16;
const MAGIC: u64 = 0x5641_5241_4E42_4C4B;

/// Where a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It writes.
    Running,
    /// It waits for what it has begun; then it verifies or not.
    Draining {
        /// To verify next.
        verify: bool,
    },
    /// All that was begun is written.
    Stopped,
    /// It reads.
    Verifying {
        /// Blocks asked for.
        asked: u64,
        /// Blocks read.
        read: u64,
        /// Blocks that do not hold what they must.
        wrong: u64,
    },
    /// It has read everything.
    Verified {
        /// Blocks that do not hold what they must.
        wrong: u64,
    },
}

/// What a workload says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) blocks: u64,
    pub(crate) written: u64,
    pub(crate) under_way: usize,
    pub(crate) errors: u64,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Write { step: u64 },
    Read { block: u64 },
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct DiskWorkload {
    pub(crate) disk: String,
    seed: u64,
    blocks: u64,
    per_second: u64,
    begun: u64,
    written: u64,
    errors: u64,
    phase: Phase,
    jobs: BTreeMap<RequestNumber, Job>,
    /// Jobs that failed and are asked again.
    again: Vec<Job>,
    due: Option<Monotonic>,
}

impl DiskWorkload {
    pub(crate) fn start(now: Monotonic, disk: &str, seed: u64, blocks: u64, per_second: u64) -> Self {
        Self {
            disk: disk.to_owned(),
            seed,
            blocks,
            per_second,
            begun: 0,
            written: 0,
            errors: 0,
            phase: Phase::Running,
            jobs: BTreeMap::new(),
            again: Vec::new(),
            due: Some(now),
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            blocks: self.blocks,
            written: self.written,
            under_way: self.jobs.len() + self.again.len(),
            errors: self.errors,
            phase: self.phase,
        }
    }

    pub(crate) fn due(&self) -> Option<Monotonic> {
        self.due
    }

    /// Ends the writing; `verify` reads everything afterwards.
    pub(crate) fn stop(&mut self, now: Monotonic, verify: bool) {
        if matches!(self.phase, Phase::Running | Phase::Stopped | Phase::Verified { .. }) {
            self.phase = Phase::Draining { verify };
        } else if let Phase::Draining { verify: later } = &mut self.phase {
            *later |= verify;
        }
        self.due = Some(now);
    }

    /// Takes an answer, if it is of a request of this workload.
    pub(crate) fn takes(&mut self, now: Monotonic, finished: &Finished) {
        let Some(job) = self.jobs.remove(&finished.number) else { return };
        match (&finished.result, job) {
            (Err(BlockError::OutOfRange), Job::Read { .. }) => self.read_done(false),
            (Err(_), job) => {
                self.errors += 1;
                self.again.push(job);
                self.due = Some(now.after(TICK * 10));
                return;
            }
            (Ok(_), Job::Write { .. }) => self.written += 1,
            (Ok(data), Job::Read { block }) => {
                let right = *data == self.expected(block);
                self.read_done(right);
            }
        }
        self.due = Some(self.due.map_or(now, |due| due.min(now)));
    }

    fn read_done(&mut self, right: bool) {
        if let Phase::Verifying { read, wrong, .. } = &mut self.phase {
            *read += 1;
            *wrong += u64::from(!right);
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Monotonic, disks: &mut Initiator) {
        self.due = None;
        for job in std::mem::take(&mut self.again) {
            self.ask(now, job, disks);
        }
        match self.phase {
            Phase::Running => {
                self.write_some(now, disks);
                self.due = Some(now.after(TICK));
            }
            Phase::Draining { verify } if self.jobs.is_empty() && self.again.is_empty() => {
                self.phase =
                    if verify { Phase::Verifying { asked: 0, read: 0, wrong: 0 } } else { Phase::Stopped };
                self.read_some(now, disks);
            }
            Phase::Verifying { .. } => self.read_some(now, disks),
            Phase::Draining { .. } | Phase::Stopped | Phase::Verified { .. } => {}
        }
        if !self.again.is_empty() && self.due.is_none() {
            self.due = Some(now.after(TICK * 10));
        }
    }

    fn write_some(&mut self, now: Monotonic, disks: &mut Initiator) {
        let oldest = self.jobs.values().chain(&self.again).filter_map(|job| match job {
            Job::Write { step } => Some(*step),
            Job::Read { .. } => None,
        });
        let last = oldest.min().unwrap_or(self.begun) + self.blocks;
        for _ in 0..self.per_second.div_ceil(TICKS_PER_SECOND) {
            if self.jobs.len() + self.again.len() >= DEPTH || self.begun >= last {
                return;
            }
            let step = self.begun;
            self.begun += 1;
            self.ask(now, Job::Write { step }, disks);
        }
    }

    fn read_some(&mut self, now: Monotonic, disks: &mut Initiator) {
        while self.jobs.len() + self.again.len() < DEPTH
            && let Phase::Verifying { asked, .. } = &mut self.phase
            && *asked < self.blocks.min(self.begun)
        {
            let block = *asked;
            *asked += 1;
            self.ask(now, Job::Read { block }, disks);
        }
        if let Phase::Verifying { read, wrong, .. } = self.phase
            && read == self.blocks.min(self.begun)
        {
            self.phase = Phase::Verified { wrong };
        }
    }

    fn ask(&mut self, now: Monotonic, job: Job, disks: &mut Initiator) {
        let offset = |block: u64| FIRST_BYTE + block * BLOCK as u64;
        let operation = match job {
            Job::Write { step } => {
                let (block, version) = (step % self.blocks, step / self.blocks + 1);
                Operation::Write { offset: offset(block), data: self.pattern(block, version) }
            }
            Job::Read { block } => Operation::Read { offset: offset(block), length: BLOCK },
        };
        match disks.submit(now, &self.disk, operation) {
            Some(number) => {
                self.jobs.insert(number, job);
            }
            None => self.again.push(job),
        }
    }

    fn expected(&self, block: u64) -> Vec<u8> {
        self.pattern(block, self.begun / self.blocks + u64::from(block < self.begun % self.blocks))
    }

    fn pattern(&self, block: u64, version: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BLOCK);
        for word in [MAGIC, self.seed, block, version] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let mut state = self.seed ^ block.rotate_left(40) ^ version.rotate_left(20);
        while bytes.len() < BLOCK {
            bytes.extend_from_slice(&split_mix(&mut state).to_le_bytes());
        }
        bytes
    }
}
