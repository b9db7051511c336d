//! Frames: how messages lie on a byte stream.
//!
//! | bytes | field | format |
//! |---|---|---|
//! | 0..4 | length of the payload | unsigned, little-endian |
//! | 4 | version | [`FRAME_VERSION`] |
//! | 5 | kind | see [`FrameKind`] |
//! | 6..10 | CRC-32C of bytes 0..6 and the payload | unsigned, little-endian |
//! | 10.. | payload | JSON, UTF-8 |
//!
//! A length beyond the limit, an unknown version or kind, and a wrong checksum end the connection: there is
//! no way to find the next frame.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checksum::checksum;

/// The only version so far.
pub const FRAME_VERSION: u8 = 1;
/// Bytes before the payload.
pub const HEADER_LENGTH: usize = 10;
/// Largest payload unless a connection is given another limit: room for a listing of ten thousand objects.
pub const DEFAULT_PAYLOAD_LIMIT: usize = 16 * 1024 * 1024;
/// Bytes that may always be pushed into a [`Decoder`] after `next_frame` gave `None`.
pub const PUSH_LIMIT: usize = 64 * 1024;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A [`crate::Request`].
    Request = 1,
    /// A [`crate::Reply`].
    Reply = 2,
    /// A [`crate::Event`].
    Event = 3,
    /// A [`crate::Resync`].
    Resync = 4,
    /// A [`crate::Subscribe`].
    Subscribe = 5,
}

impl FrameKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Request, Self::Reply, Self::Event, Self::Resync, Self::Subscribe];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Why bytes are not a frame, or could not be transferred.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The payload is larger than the limit.
    #[error("payload of {length} bytes is larger than {limit} bytes")]
    TooLarge {
        /// Length of the payload in bytes; while encoding, how far it got.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The other side speaks another version.
    #[error("unknown frame version {0}")]
    UnknownVersion(u8),
    /// The other side sent a kind of frame that does not exist.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// The bytes were damaged on the way.
    #[error("wrong checksum")]
    WrongChecksum,
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// More bytes were pushed than a decoder holds.
    #[error("more bytes than the decoder holds")]
    BufferFull,
    /// The payload is not the expected message.
    #[error("malformed payload")]
    Malformed(#[source] serde_json::Error),
    /// The stream failed.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// One frame, its checksum verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is.
    pub kind: FrameKind,
    /// The JSON text.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame with this message.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`]; [`FrameError::Malformed`] if the message cannot be written as JSON.
    pub fn new<T: Serialize>(kind: FrameKind, message: &T, limit: usize) -> Result<Self, FrameError> {
        let mut payload = Limited { bytes: Vec::new(), limit, overflow: None };
        match serde_json::to_writer(&mut payload, message) {
            Ok(()) => Ok(Self { kind, payload: payload.bytes }),
            Err(error) => Err(match payload.overflow {
                Some(length) => FrameError::TooLarge { length, limit },
                None => FrameError::Malformed(error),
            }),
        }
    }

    /// The message.
    ///
    /// # Errors
    /// [`FrameError::Malformed`].
    pub fn message<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        serde_json::from_slice(&self.payload).map_err(FrameError::Malformed)
    }

    /// The bytes that go onto the stream.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if the payload is larger than a length field can say.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let length = self.payload.len();
        let field = u32::try_from(length)
            .map_err(|_| FrameError::TooLarge { length, limit: u32::MAX as usize })?
            .to_le_bytes();
        let head = [field[0], field[1], field[2], field[3], FRAME_VERSION, self.kind as u8];
        let sum = checksum(&[&head, &self.payload]).to_le_bytes();
        Ok([&head[..], &sum[..], &self.payload[..]].concat())
    }
}

/// Stops a serializer at the limit, so that an oversized message costs no more memory than an allowed one.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    overflow: Option<usize>,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.bytes.len() + bytes.len();
        if length > self.limit {
            self.overflow = Some(length);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Header {
    head: [u8; 6],
    length: usize,
    kind: FrameKind,
    sum: u32,
}

impl Header {
    fn parse(bytes: &[u8; HEADER_LENGTH], limit: usize) -> Result<Self, FrameError> {
        let [l0, l1, l2, l3, version, kind, s0, s1, s2, s3] = *bytes;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if version != FRAME_VERSION {
            return Err(FrameError::UnknownVersion(version));
        }
        let known = FrameKind::from_byte(kind).ok_or(FrameError::UnknownKind(kind))?;
        if length > limit {
            return Err(FrameError::TooLarge { length, limit });
        }
        let sum = u32::from_le_bytes([s0, s1, s2, s3]);
        Ok(Self { head: [l0, l1, l2, l3, version, kind], length, kind: known, sum })
    }

    fn frame(&self, payload: Vec<u8>) -> Result<Frame, FrameError> {
        if checksum(&[&self.head, &payload]) != self.sum {
            return Err(FrameError::WrongChecksum);
        }
        Ok(Frame { kind: self.kind, payload })
    }
}

/// Takes frames out of bytes that arrive in pieces, for callers that do their own reading.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the buffer's start that belong to frames already given out.
    used: usize,
    limit: usize,
}

impl Decoder {
    /// A decoder for payloads of up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), used: 0, limit }
    }

    /// Adds bytes. Take out all frames before pushing again.
    ///
    /// # Errors
    /// [`FrameError::BufferFull`] if more than one largest frame and [`PUSH_LIMIT`] bytes would wait; nothing
    /// is added then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let waiting = self.buffer.len() - self.used;
        if waiting + bytes.len() > HEADER_LENGTH + self.limit + PUSH_LIMIT {
            return Err(FrameError::BufferFull);
        }
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next frame, or `None` if more bytes are needed. A header that cannot be right is told as soon as
    /// it is there. After an error the stream is lost.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let waiting = &self.buffer[self.used..];
        let Some((header, rest)) = waiting.split_first_chunk::<HEADER_LENGTH>() else { return Ok(None) };
        let header = Header::parse(header, self.limit)?;
        let Some(payload) = rest.get(..header.length) else { return Ok(None) };
        let frame = header.frame(payload.to_vec())?;
        self.used += HEADER_LENGTH + header.length;
        Ok(Some(frame))
    }

    /// Whether the bytes so far end at the end of a frame.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.used == self.buffer.len()
    }
}

/// Reads frames from a blocking stream.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    limit: usize,
}

impl<R: Read> FrameReader<R> {
    /// A reader of payloads of up to `limit` bytes. `stream` should be buffered.
    pub fn new(stream: R, limit: usize) -> Self {
        Self { stream, limit }
    }

    /// The next frame; `None` if the stream ended at a frame's end. Memory grows with the bytes that really
    /// arrive, not with the length that the header claims.
    ///
    /// # Errors
    /// See [`FrameError`]. After an error the stream is lost.
    pub fn read(&mut self) -> Result<Option<Frame>, FrameError> {
        let mut header = [0; HEADER_LENGTH];
        let mut filled = 0;
        while filled < HEADER_LENGTH {
            match self.stream.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(FrameError::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let header = Header::parse(&header, self.limit)?;
        let mut payload = Vec::new();
        (&mut self.stream).take(header.length as u64).read_to_end(&mut payload)?;
        if payload.len() < header.length {
            return Err(FrameError::Truncated);
        }
        header.frame(payload).map(Some)
    }
}

/// Writes frames to a blocking stream.
#[derive(Debug)]
pub struct FrameWriter<W> {
    stream: W,
}

impl<W: Write> FrameWriter<W> {
    /// A writer to `stream`.
    pub fn new(stream: W) -> Self {
        Self { stream }
    }

    /// Writes one frame in one call; not flushed.
    ///
    /// # Errors
    /// [`FrameError::Io`], [`FrameError::TooLarge`].
    pub fn write(&mut self, frame: &Frame) -> Result<(), FrameError> {
        Ok(self.stream.write_all(&frame.encode()?)?)
    }

    /// Flushes the stream.
    ///
    /// # Errors
    /// [`FrameError::Io`].
    pub fn flush(&mut self) -> Result<(), FrameError> {
        Ok(self.stream.flush()?)
    }
}
