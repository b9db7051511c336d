//! A link for tests that loses, doubles and delays whole messages, by seed.

use std::collections::VecDeque;
use std::io::{self, Write};

use crate::frame::{DEFAULT_PAYLOAD_LIMIT, Decoder, Frame, PUSH_LIMIT};

/// Messages that are held back at most; one more lets the oldest go.
const HELD_LIMIT: usize = 64;

/// How often a message suffers what, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTrouble {
    /// It is lost.
    pub loss: u32,
    /// It comes twice.
    pub duplication: u32,
    /// It comes after one to eight later messages; never, if there are none.
    pub delay: u32,
}

/// Stands between a writer of frames and its stream.
pub struct LossyLink<W> {
    stream: W,
    decoder: Decoder,
    trouble: LinkTrouble,
    random: u64,
    /// Held messages, each with the number of later messages that it waits for.
    held: VecDeque<(u32, Frame)>,
}

impl<W: Write> LossyLink<W> {
    /// A link onto `stream`. The same seed and the same messages give the same trouble.
    pub fn new(stream: W, trouble: LinkTrouble, seed: u64) -> Self {
        let decoder = Decoder::new(DEFAULT_PAYLOAD_LIMIT);
        Self { stream, decoder, trouble, random: seed, held: VecDeque::new() }
    }

    /// One step of SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, per_million: u32) -> bool {
        self.draw() % 1_000_000 < u64::from(per_million)
    }

    fn pass(&mut self, frame: Frame) -> io::Result<()> {
        if self.chance(self.trouble.loss) {
            return Ok(());
        }
        let copies = if self.chance(self.trouble.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance(self.trouble.delay) {
                let wait = u32::try_from(1 + self.draw() % 8).unwrap_or(1);
                self.held.push_back((wait, frame.clone()));
            } else {
                self.send(&frame)?;
            }
        }
        self.release()
    }

    fn release(&mut self) -> io::Result<()> {
        for (wait, _) in &mut self.held {
            *wait = wait.saturating_sub(1);
        }
        while let Some(position) = self.held.iter().position(|(wait, _)| *wait == 0) {
            if let Some((_, frame)) = self.held.remove(position) {
                self.send(&frame)?;
            }
        }
        if self.held.len() > HELD_LIMIT
            && let Some((_, frame)) = self.held.pop_front()
        {
            self.send(&frame)?;
        }
        Ok(())
    }

    fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.stream.write_all(&frame.encode().map_err(io::Error::other)?)
    }
}

impl<W: Write> Write for LossyLink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PUSH_LIMIT);
        self.decoder.push(&bytes[..count]).map_err(io::Error::other)?;
        while let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
            self.pass(frame)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
