//! Where tasks are recorded.

use std::sync::{Arc, Mutex, PoisonError};

use crate::record::TaskRecord;

/// Why a log could not be read or written. After a failed write the executor stops: what is on disk is then
/// unknown, and only opening the log anew tells.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The storage failed.
    #[error("task log: {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A line in the middle of the log is damaged, so that acknowledged records are lost.
    #[error("task log is damaged at line {line}: {reason}")]
    Damaged {
        /// Line number from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Another executor has the log open.
    #[error("task log is in use by another process")]
    InUse,
    /// A record is larger than a line may be.
    #[error("task record of {size} bytes is larger than {limit} bytes")]
    TooLarge {
        /// The record's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The log stopped working earlier.
    #[error("task log stopped after an earlier failure")]
    Stopped,
}

/// An append-only list of records that survives the process.
pub trait TaskLog {
    /// All records, oldest first.
    ///
    /// # Errors
    /// See [`LogError`].
    fn read(&mut self) -> Result<Vec<TaskRecord>, LogError>;

    /// Appends the records as one: after a crash all of them are there or none. They are durable when this
    /// returns.
    ///
    /// # Errors
    /// See [`LogError`]. The records may or may not be there when the log is read again.
    fn append(&mut self, records: &[TaskRecord]) -> Result<(), LogError>;

    /// Appends a record that may be lost by a power loss, but not by the end of the process.
    ///
    /// # Errors
    /// See [`LogError`].
    fn append_lazily(&mut self, record: &TaskRecord) -> Result<(), LogError> {
        self.append(std::slice::from_ref(record))
    }

    /// Replaces everything by these records, atomically and durably.
    ///
    /// # Errors
    /// See [`LogError`]. The log then holds the old records or the new ones.
    fn replace(&mut self, records: &[TaskRecord]) -> Result<(), LogError>;
}

/// A log in memory. Clones share the records, so that a test can keep them over a simulated crash.
#[derive(Clone, Debug, Default)]
pub struct MemoryTaskLog {
    records: Arc<Mutex<Vec<TaskRecord>>>,
}

impl MemoryTaskLog {
    /// A copy of all records.
    #[must_use]
    pub fn records(&self) -> Vec<TaskRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TaskLog for MemoryTaskLog {
    fn read(&mut self) -> Result<Vec<TaskRecord>, LogError> {
        Ok(self.records())
    }

    fn append(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(records);
        Ok(())
    }

    fn replace(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
        *self.records.lock().unwrap_or_else(PoisonError::into_inner) = records.to_vec();
        Ok(())
    }
}
