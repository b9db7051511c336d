//! The entry for fuzzing: arbitrary bytes must never panic, and how they are cut must not matter.

use crate::message::{Decoder, Message, ReadError};
use crate::session::Session;

/// Longest line while fuzzing; small, so that lengths around the limit come up.
const LIMIT: usize = 256;

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<ReadError>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(decoder.waiting() <= LIMIT, "more is kept than a line may have");
    }
    (messages, None)
}

/// Decodes `data` in pieces whose size is its first byte, and at once, and runs a session over it.
///
/// # Panics
/// If the two differ.
pub fn fuzz_one(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let piece = usize::from(*first).max(1);
    assert_eq!(decode(data.chunks(piece)), decode(std::iter::once(data)), "cut into pieces of {piece}");
    let mut session = Session::new(LIMIT);
    for bytes in data.chunks(piece) {
        session.feed(bytes);
        loop {
            match session.next_incoming() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if session.is_ready() {
            // What is refused is the one command too many.
            let _ = session.execute("query-status", serde_json::Value::Null);
        }
        let _ = session.take_outgoing();
    }
}
