//! The messages that carry bodies: requests, replies, events.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names one request. A repeat of the request carries the same id and is then harmless. Ids are drawn at
/// random; on the wire they are 32 hexadecimal digits, because not every JSON reader keeps 128-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u128);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// A text that is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request id is 32 hexadecimal digits")]
pub struct InvalidRequestId;

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, InvalidRequestId> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidRequestId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| InvalidRequestId)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Something that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<B> {
    /// Its id.
    pub id: RequestId,
    /// Milliseconds, from the arrival of the request, after which the asker no longer waits. A span rather
    /// than a time of day, so that clocks need not agree.
    pub deadline_milliseconds: u64,
    /// What is asked.
    pub body: B,
}

/// Why a request got no body for a reply. Refusals by the one who is asked belong into the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Too many requests wait; it was not done. Repeat it later.
    #[error("too many requests are waiting")]
    Busy,
    /// It was not done before its deadline, and will not be.
    #[error("the deadline passed before the request was begun")]
    DeadlineExceeded,
    /// The body is not what the other side understands; it was not done.
    #[error("the request is malformed: {0}")]
    Malformed(String),
    /// The other side is shutting down; it was not done.
    #[error("the server is stopping")]
    Stopping,
    /// It was done, but the reply is larger than a frame.
    #[error("the reply is too large")]
    ReplyTooLarge,
    /// The other side failed unexpectedly; it may have been done.
    #[error("the server failed unexpectedly")]
    Internal,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<B> {
    /// The request's id.
    pub id: RequestId,
    /// The answer.
    pub body: Result<B, Fault>,
}

/// Something that happened. Numbers rise by one, so a gap means that events were lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<B> {
    /// The stream that it belongs to; see [`Resync::stream`].
    pub stream: u64,
    /// Its number in the stream.
    pub sequence: u64,
    /// What happened.
    pub body: B,
}

/// Tells a subscriber that events before this are missing: it must read the state anew. The next event is
/// `sequence + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resync {
    /// The stream; another one after a restart of its source, whose numbers begin anew.
    pub stream: u64,
    /// The last event before now.
    pub sequence: u64,
}

/// Asks for events. May be repeated at any time; that also finds a lost last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// The last event that the subscriber has. Without it, or if later events are no longer kept, the answer
    /// begins with a [`Resync`].
    pub position: Option<Resync>,
}
