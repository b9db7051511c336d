//! A task log in one file.
//!
//! Each append is one line:
//!
//! ```text
//! 1f2e3d4c 17 D [{"record":"done","task":5,"step":"copy","output":null}]
//! |        |  | records, as a JSON array
//! |        |  D: synced before the append returned; L: written lazily
//! |        number of the line, from 1
//! CRC-32C of the rest of the line, from the number up to but not including the line feed
//! ```
//!
//! A power loss can damage only lines that were not synced: some lazy ones at the end, and after them at
//! most one durable line whose sync was under way. Such a tail is cut off when the file is opened. Damage
//! before that means that acknowledged records are gone, and the log refuses to open.

use std::io;
use std::path::Path;

use crate::log::{LogError, TaskLog};
use crate::record::TaskRecord;
use crate::storage::{FileStorage, LogStorage};

/// Largest line in bytes: more than any sensible step hands on, and small enough to hold in memory.
pub const LINE_LIMIT: usize = 16 * 1024 * 1024;

/// A log in one file, or in whatever stands for one.
#[derive(Debug)]
pub struct FileTaskLog<S = FileStorage> {
    storage: S,
    /// Length of the valid part in bytes; the next line goes here.
    length: u64,
    next_line: u64,
    records: Vec<TaskRecord>,
    stopped: bool,
}

/// What one line is worth.
enum Line {
    Valid { durable: bool, number: u64, records: Vec<TaskRecord> },
    Invalid(&'static str),
}

impl FileTaskLog<FileStorage> {
    /// Opens or makes the log at `path`. The folder must exist.
    ///
    /// # Errors
    /// [`LogError::InUse`], [`LogError::Damaged`], [`LogError::Io`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let storage = FileStorage::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => LogError::InUse,
            _ => LogError::Io { action: "open", source },
        })?;
        Self::with_storage(storage)
    }
}

impl<S: LogStorage> FileTaskLog<S> {
    /// Opens the log in `storage`; cuts off a torn tail.
    ///
    /// # Errors
    /// [`LogError::Damaged`], [`LogError::Io`].
    pub fn with_storage(mut storage: S) -> Result<Self, LogError> {
        let bytes = storage.read().map_err(|source| LogError::Io { action: "read", source })?;
        let mut log = Self { storage, length: 0, next_line: 1, records: Vec::new(), stopped: false };
        let valid = log.load(&bytes)?;
        if valid < bytes.len() {
            let action = "cut off the torn tail";
            log.storage.truncate(valid as u64).map_err(|source| LogError::Io { action, source })?;
            log.storage.sync().map_err(|source| LogError::Io { action, source })?;
        }
        log.length = valid as u64;
        Ok(log)
    }

    /// Takes over the valid lines and returns where they end.
    fn load(&mut self, bytes: &[u8]) -> Result<usize, LogError> {
        let mut valid = 0;
        let mut damage = None;
        let mut durable_after_damage = 0_u32;
        let mut rest = bytes;
        for index in 1.. {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
            let parsed = parse(&rest[..end]);
            rest = &rest[end + 1..];
            match (parsed, damage) {
                (Line::Valid { records, number, .. }, None) if number == self.next_line => {
                    self.records.extend(records);
                    self.next_line += 1;
                    valid = bytes.len() - rest.len();
                }
                (Line::Valid { .. }, None) => damage = Some((index, "a line is missing before it")),
                (Line::Invalid(reason), None) => damage = Some((index, reason)),
                (_, Some((line, reason))) if durable_after_damage > 0 => {
                    return Err(LogError::Damaged { line, reason });
                }
                (Line::Valid { durable: true, .. }, Some(_)) => durable_after_damage += 1,
                (_, Some(_)) => {}
            }
        }
        Ok(valid)
    }

    fn write(&mut self, records: &[TaskRecord], durable: bool) -> Result<(), LogError> {
        if self.stopped {
            return Err(LogError::Stopped);
        }
        let line = format(self.next_line, durable, records)?;
        self.stopped = true;
        self.storage
            .write_at(self.length, &line)
            .map_err(|source| LogError::Io { action: "append", source })?;
        if durable {
            self.storage.sync().map_err(|source| LogError::Io { action: "sync", source })?;
        }
        self.stopped = false;
        self.length += line.len() as u64;
        self.next_line += 1;
        Ok(())
    }
}

impl<S: LogStorage> TaskLog for FileTaskLog<S> {
    /// The records that were there when the log was opened; a second call gives none.
    fn read(&mut self) -> Result<Vec<TaskRecord>, LogError> {
        Ok(std::mem::take(&mut self.records))
    }

    fn append(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
        self.write(records, true)
    }

    fn append_lazily(&mut self, record: &TaskRecord) -> Result<(), LogError> {
        self.write(std::slice::from_ref(record), false)
    }

    fn replace(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
        if self.stopped {
            return Err(LogError::Stopped);
        }
        let mut bytes = Vec::new();
        let mut number = 0;
        for record in records {
            number += 1;
            bytes.extend(format(number, true, std::slice::from_ref(record))?);
        }
        self.stopped = true;
        self.storage.replace(&bytes).map_err(|source| LogError::Io { action: "replace", source })?;
        self.stopped = false;
        self.length = bytes.len() as u64;
        self.next_line = number + 1;
        Ok(())
    }
}

fn format(number: u64, durable: bool, records: &[TaskRecord]) -> Result<Vec<u8>, LogError> {
    let letter = if durable { 'D' } else { 'L' };
    let json = serde_json::to_string(records)
        .map_err(|error| LogError::Io { action: "encode", source: io::Error::other(error) })?;
    let body = format!("{number} {letter} {json}");
    let line = format!("{:08x} {body}\n", checksum(body.as_bytes()));
    if line.len() > LINE_LIMIT {
        return Err(LogError::TooLarge { size: line.len(), limit: LINE_LIMIT });
    }
    Ok(line.into_bytes())
}

fn parse(line: &[u8]) -> Line {
    let Some((sum, body)) = std::str::from_utf8(line).ok().and_then(|text| text.split_once(' ')) else {
        return Line::Invalid("not text");
    };
    if u32::from_str_radix(sum, 16).ok() != Some(checksum(body.as_bytes())) {
        return Line::Invalid("wrong checksum");
    }
    let mut parts = body.splitn(3, ' ');
    let (number, letter, json) = (parts.next(), parts.next(), parts.next());
    let number = number.and_then(|number| number.parse().ok());
    let records = json.and_then(|json| serde_json::from_str(json).ok());
    match (number, letter, records) {
        (Some(number), Some(letter @ ("D" | "L")), Some(records)) => {
            Line::Valid { durable: letter == "D", number, records }
        }
        _ => Line::Invalid("unknown form"),
    }
}

/// CRC-32C (Castagnoli), reflected polynomial 0x82F63B78.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| (sum >> 8) ^ TABLE[((sum ^ u32::from(*byte)) & 0xFF) as usize])
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0x82F6_3B78 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_has_the_published_check_value() {
        assert_eq!(super::checksum(b"123456789"), 0xE306_9283);
    }
}
