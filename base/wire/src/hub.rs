//! A stream of numbered events and those who listen to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::envelope::{Event, Resync};
use crate::frame::{DEFAULT_PAYLOAD_LIMIT, Frame, FrameError, FrameKind};
use crate::outbound::{Bytes, Outbound};

/// Bounds of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubOptions {
    /// Events that are kept for subscribers who reconnect.
    pub backlog: usize,
    /// Bytes that the kept events may have together.
    pub backlog_bytes: usize,
    /// Largest payload of one event in bytes.
    pub payload: usize,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { backlog: 4_096, backlog_bytes: 16 * 1024 * 1024, payload: DEFAULT_PAYLOAD_LIMIT }
    }
}

struct State {
    sequence: u64,
    backlog: VecDeque<Bytes>,
    bytes: usize,
    subscribers: Vec<Arc<Outbound>>,
}

/// One stream of events. Clones are the same stream; several servers may share it.
#[derive(Clone)]
pub struct EventHub {
    stream: u64,
    options: HubOptions,
    state: Arc<Mutex<State>>,
}

impl EventHub {
    /// A stream without events. `stream` must differ from that of an earlier life of the process: draw it
    /// at random.
    #[must_use]
    pub fn new(stream: u64, options: HubOptions) -> Self {
        let state = State { sequence: 0, backlog: VecDeque::new(), bytes: 0, subscribers: Vec::new() };
        Self { stream, options, state: Arc::new(Mutex::new(state)) }
    }

    /// Sends an event to all subscribers and returns its number. Never waits for a subscriber.
    ///
    /// # Errors
    /// [`FrameError`] if the event cannot be encoded; then nobody gets anything.
    pub fn publish<E: Serialize>(&self, body: &E) -> Result<u64, FrameError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = state.sequence + 1;
        let event = Event { stream: self.stream, sequence, body };
        let bytes: Bytes = Frame::new(FrameKind::Event, &event, self.options.payload)?.encode()?.into();
        state.sequence = sequence;
        state.bytes += bytes.len();
        state.backlog.push_back(Arc::clone(&bytes));
        while state.backlog.len() > self.options.backlog || state.bytes > self.options.backlog_bytes {
            let Some(oldest) = state.backlog.pop_front() else { break };
            state.bytes -= oldest.len();
        }
        state.subscribers.retain(|subscriber| !subscriber.is_closed());
        for subscriber in &state.subscribers {
            subscriber.event(&bytes, || self.resync(sequence));
        }
        Ok(sequence)
    }

    /// Where the stream is.
    #[must_use]
    pub fn position(&self) -> Resync {
        let sequence = self.state.lock().unwrap_or_else(PoisonError::into_inner).sequence;
        Resync { stream: self.stream, sequence }
    }

    /// Number of connections that listen.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.subscribers.retain(|subscriber| !subscriber.is_closed());
        state.subscribers.len()
    }

    pub(crate) fn subscribe(&self, subscriber: &Arc<Outbound>, position: Option<Resync>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = state.sequence;
        let missing = position
            .filter(|position| position.stream == self.stream)
            .and_then(|position| sequence.checked_sub(position.sequence))
            .and_then(|missing| usize::try_from(missing).ok())
            .filter(|missing| *missing <= state.backlog.len());
        let events =
            missing.map(|missing| state.backlog.range(state.backlog.len() - missing..).cloned().collect());
        subscriber.subscribe(events, || self.resync(sequence));
        if !state.subscribers.iter().any(|known| Arc::ptr_eq(known, subscriber)) {
            state.subscribers.push(Arc::clone(subscriber));
        }
    }

    fn resync(&self, sequence: u64) -> Option<Bytes> {
        let resync = Resync { stream: self.stream, sequence };
        // Two numbers always fit.
        let frame = Frame::new(FrameKind::Resync, &resync, DEFAULT_PAYLOAD_LIMIT).ok()?;
        Some(frame.encode().ok()?.into())
    }
}
