//! The record of a run: one dense line per event.
//!
//! Columns, separated by one space, the first five of fixed width:
//!
//! | column | meaning |
//! |---|---|
//! | 1 | step: number of the event in which the line was written, from 1 |
//! | 2 | true time in seconds, with nanoseconds |
//! | 3 | kind: `start`, `recv`, `timer`, `send`, `lost`, `drop`, `arm`, `cancel`, `note`, `crash`, `power`, `up`, `pause`, `cont`, `cut`, `heal`, `jump`, `rate` |
//! | 4 | the actor that the line is about (`a00`...), `out` for the test, `net` for the network |
//! | 5 | the other actor of a message, or `-` |
//! | 6 | detail: the message, the timer's token, the size of a jump ... |
//!
//! `lost` is a message that the network dropped at sending, `drop` one that arrived where nobody could
//! take it. Two runs are the same if and only if their lines are the same.

use std::collections::VecDeque;
use std::time::Duration;

/// Lines that are kept, newest last. A longer run keeps its digest over all lines, and a repeat of the seed
/// with fewer steps shows any part of it.
pub const TRACE_LIMIT_LINES: usize = 50_000;

/// The lines of one run.
#[derive(Clone, Debug)]
pub struct Trace {
    lines: VecDeque<String>,
    written: u64,
    digest: u64,
}

impl Default for Trace {
    fn default() -> Self {
        // The offset basis of the 64-bit FNV-1a hash.
        Self { lines: VecDeque::new(), written: 0, digest: 0xCBF2_9CE4_8422_2325 }
    }
}

/// The columns of one line; see the module's table.
pub(crate) struct Line<'a> {
    pub step: u64,
    pub time: Duration,
    pub kind: &'static str,
    pub actor: &'a dyn std::fmt::Display,
    pub other: &'a dyn std::fmt::Display,
    pub detail: &'a dyn std::fmt::Display,
}

impl Trace {
    pub(crate) fn write(&mut self, line: &Line<'_>) {
        let text = format!(
            "{:07} {:>5}.{:09} {:<6} {:<3} {:<3} {}",
            line.step,
            line.time.as_secs(),
            line.time.subsec_nanos(),
            line.kind,
            line.actor,
            line.other,
            line.detail
        );
        for byte in text.bytes().chain([b'\n']) {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.written += 1;
        if self.lines.len() == TRACE_LIMIT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(text);
    }

    /// The kept lines, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// The last `count` kept lines, oldest first, each ended by a line feed.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let skipped = self.lines.len().saturating_sub(count);
        self.lines.iter().skip(skipped).map(|line| format!("{line}\n")).collect()
    }

    /// Number of lines written, forgotten ones included.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// A 64-bit FNV-1a hash over all lines written, forgotten ones included.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }
}
