//! Frames: what is encoded is decoded, and arbitrary bytes do no harm.

use proptest::prelude::*;
use varan_wire::{
    Decoder, Event, Fault, Frame, FrameError, FrameKind, FrameReader, FrameWriter, HEADER_LENGTH, PUSH_LIMIT,
    Reply, Request, RequestId, Resync, fuzz_one,
};

const LIMIT: usize = 4_096;

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let kind = prop::sample::select(FrameKind::ALL.to_vec());
    let frame = (kind, prop::collection::vec(any::<u8>(), 0..200));
    prop::collection::vec(frame.prop_map(|(kind, payload)| Frame { kind, payload }), 0..8)
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut writer = FrameWriter::new(Vec::new());
    for frame in frames {
        writer.write(frame).unwrap();
    }
    frames.iter().flat_map(|frame| frame.encode().unwrap()).collect()
}

/// Everything that a decoder finds, and how it ended.
fn decode(bytes: &[u8], piece: usize) -> (Vec<Frame>, Result<(), FrameError>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut found = Vec::new();
    for bytes in bytes.chunks(piece) {
        decoder.push(bytes).unwrap();
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(error) => return (found, Err(error)),
            }
        }
    }
    (found, Ok(()))
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_whole_and_in_pieces(frames in frames(), piece in 1_usize..64) {
        let bytes = encode(&frames);
        let (found, end) = decode(&bytes, piece);
        prop_assert!(end.is_ok());
        prop_assert_eq!(&found, &frames);
        let mut reader = FrameReader::new(&bytes[..], LIMIT);
        for frame in &frames {
            let read = reader.read().unwrap();
            prop_assert_eq!(read.as_ref(), Some(frame));
        }
        prop_assert!(reader.read().unwrap().is_none());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        fuzz_one(&bytes);
    }

    #[test]
    fn damaged_frames_do_no_harm(frames in frames(), piece in 1_u8..255, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in any::<prop::sample::Index>()) {
        let mut bytes = encode(&frames);
        for (index, value) in damage {
            if !bytes.is_empty() {
                let position = index.index(bytes.len());
                bytes[position] = value;
            }
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes.insert(0, piece);
        fuzz_one(&bytes);
    }

    #[test]
    fn a_single_turned_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..100), position in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let frame = Frame { kind: FrameKind::Reply, payload };
        let mut bytes = frame.encode().unwrap();
        let position = position.index(bytes.len());
        bytes[position] ^= 1_u8 << bit;
        let (found, _) = decode(&bytes, 7);
        prop_assert!(found.is_empty(), "a changed length asks for more bytes or is refused, all else is refused");
    }

    #[test]
    fn messages_survive(id in any::<u128>(), deadline in any::<u64>(), body in ".{0,40}", sequence in any::<u64>()) {
        let request = Request { id: RequestId(id), deadline_milliseconds: deadline, body: body.clone() };
        let frame = Frame::new(FrameKind::Request, &request, LIMIT).unwrap();
        prop_assert_eq!(frame.message::<Request<String>>().unwrap(), request);
        for body in [Ok(body.clone()), Err(Fault::Busy), Err(Fault::Malformed(body.clone()))] {
            let reply = Reply { id: RequestId(id), body };
            let frame = Frame::new(FrameKind::Reply, &reply, LIMIT).unwrap();
            prop_assert_eq!(frame.message::<Reply<String>>().unwrap(), reply);
        }
        let event = Event { stream: deadline, sequence, body };
        let frame = Frame::new(FrameKind::Event, &event, LIMIT).unwrap();
        prop_assert_eq!(frame.message::<Event<String>>().unwrap(), event);
    }
}

#[test]
fn the_bytes_of_version_one_do_not_change() {
    let frame = Frame::new(FrameKind::Resync, &Resync { stream: 7, sequence: 9 }, LIMIT).unwrap();
    let bytes = frame.encode().unwrap();
    assert_eq!(bytes[..6], [25, 0, 0, 0, 1, 4]);
    assert_eq!(&bytes[HEADER_LENGTH..], br#"{"stream":7,"sequence":9}"#);
    let request = Request { id: RequestId(0xAB), deadline_milliseconds: 5, body: () };
    let frame = Frame::new(FrameKind::Request, &request, LIMIT).unwrap();
    let expected = r#"{"id":"000000000000000000000000000000ab","deadline_milliseconds":5,"body":null}"#;
    assert_eq!(String::from_utf8(frame.payload).unwrap(), expected);
}

#[test]
fn wrong_headers_are_refused_by_name() {
    let good = Frame { kind: FrameKind::Event, payload: b"1".to_vec() }.encode().unwrap();
    let changed = |position: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[position] = value;
        let streamed = FrameReader::new(&bytes[..], LIMIT).read().unwrap_err().to_string();
        let pieces = decode(&bytes, 3).1.unwrap_err().to_string();
        assert_eq!(streamed, pieces);
        pieces
    };
    assert_eq!(changed(4, 2), "unknown frame version 2");
    assert_eq!(changed(5, 0), "unknown frame kind 0");
    assert_eq!(changed(2, 1), "payload of 65537 bytes is larger than 4096 bytes");
    assert_eq!(changed(10, b'2'), "wrong checksum");
    for length in 1..good.len() {
        let outcome = FrameReader::new(&good[..length], LIMIT).read();
        assert!(matches!(outcome, Err(FrameError::Truncated)), "{length}");
    }
}

/// Gives a header that claims much and then only a little; and notes how much room it was asked to fill.
struct Claimant {
    bytes: Vec<u8>,
    largest_buffer: usize,
}

impl std::io::Read for &mut Claimant {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.largest_buffer = self.largest_buffer.max(buffer.len());
        let count = self.bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        Ok(count)
    }
}

#[test]
fn memory_follows_what_arrives_not_what_is_claimed() {
    let limit = 1 << 30;
    let mut bytes = Frame { kind: FrameKind::Event, payload: vec![0; 100] }.encode().unwrap();
    bytes[..4].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let mut claimant = Claimant { bytes: bytes.clone(), largest_buffer: 0 };
    let outcome = FrameReader::new(&mut claimant, limit).read();
    assert!(matches!(outcome, Err(FrameError::Truncated)));
    assert!(claimant.largest_buffer <= 64 * 1024, "{}", claimant.largest_buffer);

    let mut decoder = Decoder::new(LIMIT);
    let claim = [(LIMIT as u32).to_le_bytes().as_slice(), &[1, 3, 0, 0, 0, 0]].concat();
    decoder.push(&claim).unwrap();
    decoder.push(&vec![0; PUSH_LIMIT]).unwrap();
    assert!(matches!(decoder.push(&vec![0; PUSH_LIMIT]), Err(FrameError::BufferFull)));
    assert!(matches!(decoder.next_frame(), Err(FrameError::WrongChecksum)));
}

#[test]
fn a_message_that_is_too_large_is_refused_before_it_is_built() {
    let outcome = Frame::new(FrameKind::Event, &"x".repeat(10 * LIMIT), LIMIT);
    assert!(matches!(outcome, Err(FrameError::TooLarge { limit: LIMIT, .. })));
    let exact = "x".repeat(LIMIT - 2);
    assert_eq!(Frame::new(FrameKind::Event, &exact, LIMIT).unwrap().payload.len(), LIMIT);
    assert!(Frame::new(FrameKind::Event, &format!("{exact}x"), LIMIT).is_err());
}

#[test]
fn request_ids_are_read_strictly() {
    for wrong in ["", "ab", "+0000000000000000000000000000001", "0000000000000000000000000000000g"] {
        assert!(wrong.parse::<RequestId>().is_err(), "{wrong}");
    }
    assert_eq!("0000000000000000000000000000000F".parse(), Ok(RequestId(15)));
}
