//! The entry for fuzzing: arbitrary bytes must never panic, and both decoders must agree about them.

use serde_json::Value;

use crate::envelope::{Event, Reply, Request, Resync, Subscribe};
use crate::frame::{Decoder, Frame, FrameKind, FrameReader};

/// Largest payload while fuzzing; small, so that lengths around the limit come up.
const LIMIT: usize = 512;

/// Decodes `data` in pieces and as a stream, decodes the messages, and encodes them again.
///
/// # Panics
/// If the decoders disagree, hold more than their limit, or a message does not survive encoding.
pub fn fuzz_one(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let piece = usize::from(*first).max(1);
    let mut decoder = Decoder::new(LIMIT);
    let mut frames = Vec::new();
    let mut failed = false;
    'pieces: for bytes in data.chunks(piece) {
        assert!(decoder.push(bytes).is_ok(), "all frames were taken before");
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => {
                    failed = true;
                    break 'pieces;
                }
            }
        }
    }
    let truncated = !failed && !decoder.is_at_boundary();
    let mut reader = FrameReader::new(data, LIMIT);
    for frame in &frames {
        assert!(
            matches!(reader.read(), Ok(Some(other)) if other == *frame),
            "the stream gives {frame:?} too"
        );
        check(frame);
    }
    match reader.read() {
        Ok(None) => assert!(!failed && !truncated, "the stream ends, the pieces do not"),
        Ok(Some(frame)) => panic!("the stream gives {frame:?} more"),
        Err(_) => assert!(failed || truncated, "the stream fails, the pieces do not"),
    }
}

fn check(frame: &Frame) {
    assert!(frame.payload.len() <= LIMIT);
    match frame.kind {
        FrameKind::Request => again::<Request<Value>>(frame),
        FrameKind::Reply => again::<Reply<Value>>(frame),
        FrameKind::Event => again::<Event<Value>>(frame),
        FrameKind::Resync => again::<Resync>(frame),
        FrameKind::Subscribe => again::<Subscribe>(frame),
    }
}

fn again<T>(frame: &Frame)
where
    T: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let Ok(message) = frame.message::<T>() else { return };
    // Numbers such as 1e300 grow when they are written out, so the limit is another; and fractions may
    // change in their last digit, so the messages are not compared.
    let Ok(encoded) = Frame::new(frame.kind, &message, usize::MAX) else {
        panic!("{message:?} was read and cannot be written");
    };
    assert!(encoded.message::<T>().is_ok(), "{message:?} was written and cannot be read");
}
