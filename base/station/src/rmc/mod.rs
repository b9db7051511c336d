//! Resource Monitoring and Control: the dialogue by which a console knows that a partition is there.
//!
//! Both sides have UDP and TCP port 657. The partition ([`Client`]) opens a connection to each console ([`Server`]), says who
//! it is in five steps that the console acknowledges one by one, and from then on the console sends heartbeats by UDP, which
//! the partition answers. Either side gives the session up when it hears nothing for three intervals, or when the
//! connection ends. Lengths of all messages are those of a capture on a NovaLink frame.
//!
//! ```text
//!   partition                                  console
//!      | -- hello (208) -------- TCP ----------> |
//!      | <------------------ acknowledge (96) -- |
//!      | -- identity (168), classes (80), ready (72), managers (152), each acknowledged
//!      |                                         | session established
//!      | <-- heartbeat (88) ---- UDP ----------- | every 10 s
//!      | -- heartbeat (88) --------------------> |
//! ```
//!
//! # Messages, version 1
//!
//! All numbers are big-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 0-3 | `VRMC` |
//! | 4 | version |
//! | 5 | kind ([`Kind`]) |
//! | 6-7 | length of the whole message |
//! | 8-15 | RSCT node id of the sender |
//! | 16-23 | number of the session; 0 while there is none |
//! | 24-27 | sequence number |
//! | 28-29 | partition number of the sender; 0 for a console |
//! | 30-31 | seconds between heartbeats |
//! | 32- | texts, each with a byte of length: name, system, operating system; then zeros |
//!
//! A console knows a partition by its node id. When a second partition says the same one (a clone that was never given its
//! own), the console ends the session of the first for that of the second; the first comes again and ends that of the
//! second, and so on: neither has a session that lasts, until `recfgct` gives one of them another node id.

mod client;
mod message;
mod server;

use std::fmt;
use std::time::Duration;

pub use client::{Client, ConsoleSession};
pub use message::{Kind, Message, NotRmc};
pub use server::{PartitionSession, Server, ServerEvent};

/// Port of both protocols.
pub const PORT: u16 = 657;
/// Time between heartbeats.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Heartbeats in a row that may be missing.
pub const MISSES: u32 = 3;
/// Time from the end of one attempt to the next one; doubles up to four times as long.
pub const PAUSE: Duration = Duration::from_secs(10);
/// Bytes of a connection's buffers: more than the longest message.
const BUFFER: usize = 1_024;

/// Who a partition, or a console, is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// RSCT node id.
    pub node_id: u64,
    /// Number of the partition; 0 for a console.
    pub partition: u16,
    /// Name.
    pub name: String,
    /// Managed system (`8286-42A*1234567`); empty for a console.
    pub system: String,
    /// Operating system and level.
    pub operating_system: String,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The daemons do not run.
    Stopped,
    /// This side has no address that could reach the other one.
    NoAddress,
    /// It is being tried.
    Trying,
    /// Nobody answers, or the connection is refused.
    NoAnswer,
    /// Heartbeats were missing.
    Silent,
    /// The other side ended the session.
    Ended,
    /// Another partition has the same node id.
    SameNodeId,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stopped => "the daemons do not run",
            Self::NoAddress => "no address that reaches it",
            Self::Trying => "being established",
            Self::NoAnswer => "no answer",
            Self::Silent => "no heartbeats",
            Self::Ended => "ended by the other side",
            Self::SameNodeId => "another partition has the same node id",
        })
    }
}
