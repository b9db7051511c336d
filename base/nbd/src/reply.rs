//! Replies of the transmission phase, as bytes and stretches of a body between them.

use std::ops::Range;

use crate::export::{Answer, Failure};
use crate::handshake::Session;
use crate::protocol::{ALLOCATION_ID, MAXIMUM_TEXT, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC, chunk};

/// Zeros are looked for in pieces of this length.
const PIECE: usize = 64 << 10;

/// Something to send: bytes of its own, and between them stretches of a body that is not copied.
#[derive(Debug)]
pub struct Message<B> {
    /// Bytes of its own, one after the other.
    pub(crate) heads: Vec<u8>,
    /// How many of those come before each stretch of the body.
    pub(crate) stretches: Vec<(usize, Range<usize>)>,
    pub(crate) body: Option<B>,
    /// Bytes of a budget that are free when it is gone; `None` where no budget counts it.
    pub(crate) charge: Option<usize>,
}

impl<B: AsRef<[u8]>> Message<B> {
    /// Bytes alone.
    #[must_use]
    pub fn plain(heads: Vec<u8>) -> Self {
        Self { heads, stretches: Vec::new(), body: None, charge: None }
    }

    /// Bytes, and then a whole body.
    #[must_use]
    pub fn with_body(heads: Vec<u8>, body: B) -> Self {
        let stretches = vec![(heads.len(), 0..body.as_ref().len())];
        Self { heads, stretches, body: Some(body), charge: None }
    }

    /// Counted in a budget.
    pub(crate) fn charged(mut self, bytes: usize) -> Self {
        self.charge = Some(bytes);
        self
    }

    /// Its length on the wire.
    #[must_use]
    pub fn length(&self) -> usize {
        self.heads.len() + self.stretches.iter().map(|(_, range)| range.len()).sum::<usize>()
    }

    /// Its parts in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let body = self.body.as_ref().map(AsRef::as_ref).unwrap_or_default();
        let ends = self.stretches.iter().scan(0, |start, (count, range)| {
            let head = &self.heads[*start..*start + count];
            *start += count;
            Some([head, &body[range.clone()]])
        });
        let rest: usize = self.stretches.iter().map(|(count, _)| count).sum();
        ends.flatten().chain([&self.heads[rest..]]).filter(|part| !part.is_empty())
    }

    fn chunk(&mut self, kind: u16, done: bool, cookie: u64, length: usize) {
        self.heads.extend(STRUCTURED_REPLY_MAGIC.to_be_bytes());
        self.heads.extend((if done { chunk::FLAG_DONE } else { 0 }).to_be_bytes());
        self.heads.extend(kind.to_be_bytes());
        self.heads.extend(cookie.to_be_bytes());
        self.heads.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
}

fn simple<B: AsRef<[u8]>>(cookie: u64, error: u32) -> Message<B> {
    let mut heads = Vec::with_capacity(16);
    heads.extend(SIMPLE_REPLY_MAGIC.to_be_bytes());
    heads.extend(error.to_be_bytes());
    heads.extend(cookie.to_be_bytes());
    Message::plain(heads)
}

/// Whether the reply to a request is structured: reads and states are where it was agreed on, and everything that failed,
/// for the sake of its message.
pub(crate) fn encode<B: AsRef<[u8]>>(
    session: Session,
    cookie: u64,
    offset: u64,
    whole: bool,
    result: Result<Answer<B>, Failure>,
) -> Message<B> {
    match result {
        Ok(Answer::Done) => simple(cookie, 0),
        Ok(Answer::Data(body)) if session.structured => data(cookie, offset, whole, body),
        Ok(Answer::Data(body)) => {
            let heads = simple::<B>(cookie, 0).heads;
            Message::with_body(heads, body)
        }
        Ok(Answer::Status(extents)) => {
            let mut message = Message::plain(Vec::with_capacity(24 + 8 * extents.len()));
            message.chunk(chunk::BLOCK_STATUS, true, cookie, 4 + 8 * extents.len());
            message.heads.extend(ALLOCATION_ID.to_be_bytes());
            for extent in extents {
                message.heads.extend(extent.length.to_be_bytes());
                message.heads.extend(extent.flags.to_be_bytes());
            }
            message
        }
        Err(failure) if session.structured => {
            let text = &failure.message.as_bytes()[..failure.message.len().min(MAXIMUM_TEXT)];
            let mut message = Message::plain(Vec::with_capacity(26 + text.len()));
            message.chunk(chunk::ERROR, true, cookie, 6 + text.len());
            message.heads.extend(failure.number.number().to_be_bytes());
            message.heads.extend(u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
            message.heads.extend(text);
            message
        }
        Err(failure) => simple(cookie, failure.number.number()),
    }
}

/// The reply to a read of nothing, where replies are structured.
pub(crate) fn nothing<B: AsRef<[u8]>>(cookie: u64) -> Message<B> {
    let mut message = Message::plain(Vec::with_capacity(20));
    message.chunk(chunk::NONE, true, cookie, 0);
    message
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// Data and holes. Long zeros are not sent: that a piece is not zero is mostly seen at its first bytes.
fn data<B: AsRef<[u8]>>(cookie: u64, offset: u64, whole: bool, body: B) -> Message<B> {
    let bytes = body.as_ref();
    let mut runs: Vec<(bool, Range<usize>)> = Vec::new();
    if whole || bytes.len() < 4_096 {
        runs.push((false, 0..bytes.len()));
    } else {
        let mut start = 0;
        while start < bytes.len() {
            let end = (start + PIECE).min(bytes.len());
            let zero = is_zero(&bytes[start..end]);
            match runs.last_mut() {
                Some((kind, run)) if *kind == zero => run.end = end,
                _ => runs.push((zero, start..end)),
            }
            start = end;
        }
    }
    let mut message = Message {
        heads: Vec::with_capacity(32 * runs.len()),
        stretches: Vec::new(),
        body: None,
        charge: None,
    };
    let (count, mut before) = (runs.len(), 0);
    for (index, (zero, run)) in runs.into_iter().enumerate() {
        let (done, at) = (index + 1 == count, offset + run.start as u64);
        if zero {
            message.chunk(chunk::OFFSET_HOLE, done, cookie, 12);
            message.heads.extend(at.to_be_bytes());
            message.heads.extend(u32::try_from(run.len()).unwrap_or(u32::MAX).to_be_bytes());
        } else {
            message.chunk(chunk::OFFSET_DATA, done, cookie, 8 + run.len());
            message.heads.extend(at.to_be_bytes());
            message.stretches.push((message.heads.len() - before, run));
            before = message.heads.len();
        }
    }
    message.body = Some(body);
    message
}
