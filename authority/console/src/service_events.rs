//! Serviceable events: what the error logs of managed systems held when this console read them, and what was done about it.

use serde::{Deserialize, Serialize};
use varan_model::service::{ErrorEntry, FailedPart};

/// Serviceable events kept; the oldest closed ones go first, then the oldest.
pub const SERVICE_EVENTS_KEPT: u32 = 5_000;
/// Most comments of one event.
pub const COMMENTS_MAX: usize = 100;
/// Longest comment or description in characters.
pub const COMMENT_LENGTH_MAX: usize = 1_024;

/// What somebody wrote about an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceComment {
    /// When, in seconds since 1970 UTC.
    pub seconds: i64,
    /// Who.
    pub commenter: String,
    /// What.
    pub text: String,
}

/// A serviceable event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEvent {
    /// Number, given by the database.
    #[serde(skip)]
    pub problem: i64,
    /// Whether somebody still has to do something.
    pub open: bool,
    /// Type, model and serial number of the system that reports it.
    pub system: String,
    /// The system's name when it was reported.
    pub system_name: String,
    /// Reference code.
    pub reference_code: String,
    /// What happened.
    pub text: String,
    /// Partition that failed: number and name.
    pub partition: Option<(u16, String)>,
    /// Part that failed.
    pub part: Option<FailedPart>,
    /// When it happened first, in seconds since 1970 UTC.
    pub first_seconds: i64,
    /// When it happened last.
    pub last_seconds: i64,
    /// When this console made the event.
    pub created_seconds: i64,
    /// Number of further times that it happened while the event was open.
    pub duplicates: u32,
    /// Comments, oldest first.
    pub comments: Vec<ServiceComment>,
}

impl ServiceEvent {
    /// The event of an entry of a system's error log.
    #[must_use]
    pub fn of(system: &str, system_name: &str, entry: &ErrorEntry, now_seconds: i64) -> Self {
        let failure = &entry.failure;
        Self {
            problem: 0,
            open: true,
            system: system.to_owned(),
            system_name: system_name.to_owned(),
            reference_code: failure.reference_code.clone(),
            text: failure.text.clone(),
            partition: failure.partition.as_ref().map(|(id, name)| (id.0, name.clone())),
            part: failure.part.clone(),
            first_seconds: entry.seconds,
            last_seconds: entry.seconds,
            created_seconds: now_seconds,
            duplicates: 0,
            comments: Vec::new(),
        }
    }

    /// What makes two events the same problem: system, reference code, partition and part.
    #[must_use]
    pub fn cause(&self) -> String {
        let partition = self.partition.as_ref().map_or(0, |(id, _)| *id);
        let location = self.part.as_ref().map_or("", |part| part.location.as_str());
        format!("{}/{}/{partition}/{location}", self.system, self.reference_code)
    }
}
