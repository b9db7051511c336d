//! What is common to the places of a network.

use varan_environment::Monotonic;
use varan_ethernet::{Frame, FramePool};

/// A port of a place, where frames enter and leave it. Whoever builds the place numbers its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortNumber(pub u32);

/// What a place has brought forth: frames and carriers in order, for the driver to carry away.
#[derive(Debug)]
pub struct Outbox {
    /// Frames that leave through ports.
    pub frames: Vec<(PortNumber, Frame)>,
    /// Ports whose carrier towards the other end changed: true when it is up.
    pub carriers: Vec<(PortNumber, bool)>,
    /// Buffers to take frames from and to give them back to.
    pub pool: FramePool,
}

impl Outbox {
    /// An empty outbox whose pool keeps at most so many buffers.
    #[must_use]
    pub fn new(buffers: usize) -> Self {
        Self { frames: Vec::new(), carriers: Vec::new(), pool: FramePool::new(buffers) }
    }

    /// Sends a frame.
    pub fn send(&mut self, port: PortNumber, frame: Frame) {
        self.frames.push((port, frame));
    }

    /// Sends a copy of a frame.
    pub fn send_copy(&mut self, port: PortNumber, frame: &Frame) {
        let copy = self.pool.copy(frame);
        self.frames.push((port, copy));
    }

    /// Drops a frame; its buffer is used again.
    pub fn drop_frame(&mut self, frame: Frame) {
        self.pool.give(frame);
    }
}

/// A part of the network with one owner: a state machine. Frames that enter at the same time leave in order.
pub trait Place: Send {
    /// What a place reports to its owner.
    type Event: Send + 'static;

    /// A frame enters.
    fn receive(&mut self, now: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox);
    /// The carrier from the other end of a port came or went. A port begins without.
    fn carrier(&mut self, now: Monotonic, port: PortNumber, up: bool, out: &mut Outbox);
    /// Time passed; does all that is due.
    fn tick(&mut self, now: Monotonic, out: &mut Outbox);
    /// When [`Place::tick`] has something to do; `None` for never.
    fn next_due(&self) -> Option<Monotonic>;
    /// Takes what was reported since the last call.
    fn take_events(&mut self) -> Vec<Self::Event>;
}
