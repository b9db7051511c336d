//! Watching what passes an interface.

use std::collections::VecDeque;

use varan_environment::Monotonic;

use crate::{InterfaceId, Station};

/// A frame that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When.
    pub at: Monotonic,
    /// Interface that it passed.
    pub interface: InterfaceId,
    /// Whether it was sent.
    pub outgoing: bool,
    /// Bytes that it has.
    pub length: usize,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Capture {
    interface: Option<InterfaceId>,
    snap: usize,
    most: usize,
    seen: VecDeque<Captured>,
    dropped: u64,
}

impl Station {
    /// Begins to keep the first `snap` bytes of each frame that passes an interface, or all of them; at most `most` frames
    /// wait, further ones are counted and dropped.
    pub fn capture_start(&mut self, interface: Option<InterfaceId>, snap: usize, most: usize) {
        self.capture = Some(Box::new(Capture { interface, snap, most, seen: VecDeque::new(), dropped: 0 }));
    }

    /// Takes what was seen since the last call.
    pub fn capture_take(&mut self) -> VecDeque<Captured> {
        self.capture.as_mut().map(|capture| std::mem::take(&mut capture.seen)).unwrap_or_default()
    }

    /// Whether something that was seen waits to be taken.
    #[must_use]
    pub fn capture_waits(&self) -> bool {
        self.capture.as_ref().is_some_and(|capture| !capture.seen.is_empty())
    }

    /// Ends it; tells how many frames were dropped.
    pub fn capture_stop(&mut self) -> u64 {
        self.capture.take().map_or(0, |capture| capture.dropped)
    }

    pub(crate) fn observe(&mut self, at: Monotonic, interface: InterfaceId, outgoing: bool, bytes: &[u8]) {
        let Some(capture) = &mut self.capture else { return };
        if capture.interface.is_some_and(|only| only != interface) {
            return;
        }
        if capture.seen.len() >= capture.most {
            capture.dropped += 1;
            return;
        }
        let kept = bytes.get(..capture.snap.min(bytes.len())).unwrap_or_default().to_vec();
        capture.seen.push_back(Captured { at, interface, outgoing, length: bytes.len(), bytes: kept });
    }
}
