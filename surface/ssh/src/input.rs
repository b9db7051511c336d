//! The bytes that a client sent on a channel and the session has not read.
//!
//! ```text
//!   open ---- end of file ----> ended    (what is queued can still be read)
//!     |---- too much unread --> overflowed (the queue can be read, then an error)
//!     |---- cancelled --------> closed   (nothing more can be read)
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits;

/// Capacity that an emptied queue keeps, so that a burst's memory is given back.
const KEPT_CAPACITY: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Ended,
    Overflowed,
    Closed,
}

#[derive(Debug)]
struct State {
    bytes: VecDeque<u8>,
    end: End,
}

/// A bounded queue of bytes from the network to a session's thread.
#[derive(Debug)]
pub(crate) struct InputQueue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for InputQueue {
    fn default() -> Self {
        Self { state: Mutex::new(State { bytes: VecDeque::new(), end: End::Open }), changed: Condvar::new() }
    }
}

impl InputQueue {
    /// Adds bytes. What would exceed [`limits::INPUT_MAXIMUM`] is lost, and the reader told so.
    pub(crate) fn push(&self, data: &[u8]) {
        let mut state = self.lock();
        if state.end != End::Open {
            return;
        }
        if state.bytes.len() + data.len() > limits::INPUT_MAXIMUM {
            state.end = End::Overflowed;
        } else {
            state.bytes.extend(data);
        }
        self.changed.notify_all();
    }

    /// Whether the client should stop sending.
    pub(crate) fn is_clogged(&self) -> bool {
        let state = self.lock();
        state.end == End::Open && state.bytes.len() >= limits::INPUT_CLOGGED
    }

    /// No more bytes come.
    pub(crate) fn finish(&self) {
        self.end(End::Ended);
    }

    /// Nothing is to be read any more.
    pub(crate) fn close(&self) {
        self.end(End::Closed);
    }

    fn end(&self, end: End) {
        let mut state = self.lock();
        if state.end == End::Open || end == End::Closed {
            state.end = end;
        }
        if end == End::Closed {
            state.bytes = VecDeque::new();
        }
        self.changed.notify_all();
    }

    /// Reads what there is, waiting for at least one byte, the end, or `timeout`; `Ok(None)` is
    /// the timeout.
    pub(crate) fn read(&self, buffer: &mut [u8], timeout: Option<Duration>) -> io::Result<Option<usize>> {
        if buffer.is_empty() {
            return Ok(Some(0));
        }
        let mut state = self.lock();
        let waiting = |state: &mut State| state.bytes.is_empty() && state.end == End::Open;
        match timeout {
            None => state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let result = self.changed.wait_timeout_while(state, timeout, waiting);
                let (kept, outcome) = result.unwrap_or_else(PoisonError::into_inner);
                state = kept;
                if outcome.timed_out() {
                    return Ok(None);
                }
            }
        }
        if !state.bytes.is_empty() {
            return Ok(Some(take(&mut state.bytes, buffer)));
        }
        match state.end {
            End::Open | End::Ended => Ok(Some(0)),
            End::Overflowed => Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "the client sent more input than the session read, ignoring its window",
            )),
            End::Closed => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the session was cancelled")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(bytes: &mut VecDeque<u8>, buffer: &mut [u8]) -> usize {
    let count = bytes.len().min(buffer.len());
    let (front, back) = bytes.as_slices();
    let first = front.len().min(count);
    buffer[..first].copy_from_slice(&front[..first]);
    buffer[first..count].copy_from_slice(&back[..count - first]);
    bytes.drain(..count);
    if bytes.is_empty() && bytes.capacity() > KEPT_CAPACITY {
        *bytes = VecDeque::new();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(queue: &InputQueue, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let count = queue.read(&mut buffer, None)?.unwrap_or_default();
        buffer.truncate(count);
        Ok(buffer)
    }

    #[test]
    fn bytes_come_out_in_order_and_then_the_end() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let queue = InputQueue::default();
        let sent: Vec<u8> = (0..100_000).map(|_| random.u8(..)).collect();
        let mut received = Vec::new();
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(random.usize(1..=rest.len().min(5000)));
            queue.push(piece);
            rest = tail;
            if random.bool() {
                received.extend(read(&queue, random.usize(1..7000)).unwrap());
            }
        }
        queue.finish();
        loop {
            let piece = read(&queue, 4096).unwrap();
            if piece.is_empty() {
                break;
            }
            received.extend(piece);
        }
        assert!(received == sent, "seed {seed}");
    }

    #[test]
    fn an_overflow_is_an_error_after_what_was_kept() {
        let queue = InputQueue::default();
        let piece = vec![7; 1 << 20];
        for _ in 0..8 {
            queue.push(&piece);
        }
        let mut kept = 0;
        let error = loop {
            match read(&queue, 1 << 20) {
                Ok(bytes) => kept += bytes.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(kept, limits::INPUT_MAXIMUM);
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    fn a_closed_queue_fails_and_an_empty_one_times_out() {
        let queue = InputQueue::default();
        assert_eq!(queue.read(&mut [0; 4], Some(Duration::ZERO)).unwrap(), None);
        queue.push(b"lost");
        queue.close();
        assert_eq!(read(&queue, 4).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
