//! Service: the error log of a managed system and its indicators.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::PartitionId;

/// Entries of the error log that a system keeps; the oldest go first. A console that was away for longer misses those.
pub const ERRORS_KEPT: usize = 1_000;

/// Something that failed, before it is logged. Whatever injects or detects a fault makes one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Reference code.
    pub reference_code: String,
    /// What happened, in words.
    pub text: String,
    /// Partition that failed, with its name at that time.
    pub partition: Option<(PartitionId, String)>,
    /// Part that failed.
    pub part: Option<FailedPart>,
}

/// A part that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPart {
    /// Part number, or a symbolic procedure such as `FSPSP04`.
    pub number: String,
    /// What it is, in words.
    pub description: String,
    /// Location code; empty when it has none.
    pub location: String,
}

/// One entry of the error log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// Place in the log, from 1, never used twice.
    pub sequence: u64,
    /// When, in seconds since 1970 UTC.
    pub seconds: i64,
    /// What failed.
    pub failure: Failure,
}

/// The error log of a system. Entries that follow each other in time have sequence numbers without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorLog {
    entries: VecDeque<Arc<ErrorEntry>>,
    latest: u64,
}

impl ErrorLog {
    /// The log that a database holds, oldest first.
    #[must_use]
    pub fn of(entries: Vec<ErrorEntry>) -> Self {
        let latest = entries.last().map_or(0, |entry| entry.sequence);
        Self { entries: entries.into_iter().map(Arc::new).collect(), latest }
    }

    /// Appends an entry.
    pub fn add(&mut self, seconds: i64, failure: Failure) {
        self.latest += 1;
        if self.entries.len() == ERRORS_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Arc::new(ErrorEntry { sequence: self.latest, seconds, failure }));
    }

    /// Sequence number of the newest entry, 0 when there was none.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// Entries after a sequence number, oldest first.
    pub fn after(&self, sequence: u64) -> impl Iterator<Item = &Arc<ErrorEntry>> {
        let skip = self.entries.partition_point(|entry| entry.sequence <= sequence);
        self.entries.iter().skip(skip)
    }
}

/// The indicators of a system that are on. Recorded: they stay on through a loss of power.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicators {
    /// The physical system attention indicator.
    pub attention: bool,
    /// The system's virtual attention indicator.
    pub virtual_attention: bool,
    /// Virtual attention indicators of partitions.
    pub partitions: BTreeSet<PartitionId>,
    /// Identify indicators, by location code.
    pub identify: BTreeSet<String>,
}

impl Indicators {
    /// A failure turns the attention indicators on: the system's, and its partition's.
    pub fn failed(&mut self, failure: &Failure) {
        match &failure.partition {
            Some((id, _)) => {
                self.partitions.insert(*id);
                self.virtual_attention = true;
            }
            None => self.attention = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str) -> Failure {
        Failure { reference_code: code.to_owned(), text: String::new(), partition: None, part: None }
    }

    #[test]
    fn the_log_is_bounded_and_numbers_go_on() {
        let mut log = ErrorLog::default();
        for number in 0..ERRORS_KEPT as i64 + 5 {
            log.add(number, failure("B1"));
        }
        assert_eq!(log.latest(), ERRORS_KEPT as u64 + 5);
        assert_eq!(log.after(0).count(), ERRORS_KEPT);
        assert_eq!(log.after(0).next().map(|entry| entry.sequence), Some(6));
        assert_eq!(log.after(log.latest() - 1).count(), 1);
        assert_eq!(log.after(log.latest()).count(), 0);
        let mut again = ErrorLog::of(log.after(0).map(|entry| (**entry).clone()).collect());
        again.add(0, failure("B2"));
        assert_eq!(again.latest(), ERRORS_KEPT as u64 + 6);
    }

    #[test]
    fn a_failure_turns_attention_on() {
        let mut indicators = Indicators::default();
        indicators.failed(&failure("B1"));
        assert!(indicators.attention && !indicators.virtual_attention);
        indicators.failed(&Failure { partition: Some((PartitionId(3), "a".to_owned())), ..failure("B2") });
        assert!(indicators.virtual_attention && indicators.partitions.contains(&PartitionId(3)));
    }
}
