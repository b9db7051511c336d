//! Bounded byte pipes between threads, with an asynchronous side for a transport.
//!
//! ```text
//!            every writer dropped                 buffer empty
//! Open ----------------------------> Draining ------------------> reads return 0 (end of file)
//!  |  every reader dropped
//!  '------------------------> Broken: writes fail with BrokenPipe
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::cancellation::Cancellation;
use crate::streams::{ByteSink, ByteSource, cancelled_error};

/// Bytes that a pipe holds unless told otherwise: what a Linux pipe holds.
pub const PIPE_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct State {
    buffer: VecDeque<u8>,
    capacity: usize,
    writers: usize,
    readers: usize,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the other side, whether it is a blocked thread or a task.
    fn announce(&self, waker: Option<Waker>) {
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Makes a pipe that holds at most `capacity` bytes (at least one).
pub fn pipe(capacity: usize) -> (PipeWriter, PipeReader) {
    let state = State {
        buffer: VecDeque::new(),
        capacity: capacity.max(1),
        writers: 1,
        readers: 1,
        read_waker: None,
        write_waker: None,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (PipeWriter { shared: shared.clone() }, PipeReader { shared })
}

/// The reading end. A clone is another reader of the same bytes.
#[derive(Debug)]
pub struct PipeReader {
    shared: Arc<Shared>,
}

/// The writing end. The pipe ends when every clone is dropped.
#[derive(Debug)]
pub struct PipeWriter {
    shared: Arc<Shared>,
}

impl PipeReader {
    /// Reads at least one byte, waiting for it. `Ok(0)` means that the pipe ended.
    ///
    /// # Errors
    /// `ConnectionAborted` when the cancellation is set while waiting.
    pub fn read(&self, buffer: &mut [u8], cancellation: &Arc<Cancellation>) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut registration = None;
        let mut state = self.shared.lock();
        loop {
            if let Some((count, waker)) = take(&mut state, buffer) {
                drop(state);
                self.shared.announce(waker);
                return Ok(count);
            }
            if cancellation.is_cancelled() {
                return Err(cancelled_error());
            }
            if registration.is_none() {
                drop(state);
                registration = Some(wake_on_cancel(&self.shared, cancellation));
                state = self.shared.lock();
                continue;
            }
            state = self.shared.wait(state);
        }
    }

    /// Reads without waiting for a thread; for asynchronous transports.
    pub fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        let mut state = self.shared.lock();
        match take(&mut state, buffer) {
            Some((count, waker)) => {
                drop(state);
                self.shared.announce(waker);
                Poll::Ready(count)
            }
            None => {
                state.read_waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Drops what is buffered up to the last occurrence of a byte, with it. False when it is not there.
    pub(crate) fn drop_through_last(&self, byte: u8) -> bool {
        let mut state = self.shared.lock();
        let Some(index) = state.buffer.iter().rposition(|buffered| *buffered == byte) else { return false };
        state.buffer.drain(..=index);
        let waker = state.write_waker.take();
        drop(state);
        self.shared.announce(waker);
        true
    }

    /// Reads what is there without waiting: `None` when nothing is there yet, `Some(0)` at the end.
    pub fn try_read(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut state = self.shared.lock();
        let (count, waker) = take(&mut state, buffer)?;
        drop(state);
        self.shared.announce(waker);
        Some(count)
    }
}

/// What can be read now: `None` when the reader must wait.
fn take(state: &mut State, buffer: &mut [u8]) -> Option<(usize, Option<Waker>)> {
    if state.buffer.is_empty() {
        return (state.writers == 0).then_some((0, None));
    }
    let count = buffer.len().min(state.buffer.len());
    let (front, back) = state.buffer.as_slices();
    let from_front = count.min(front.len());
    buffer[..from_front].copy_from_slice(&front[..from_front]);
    buffer[from_front..count].copy_from_slice(&back[..count - from_front]);
    state.buffer.drain(..count);
    Some((count, state.write_waker.take()))
}

fn wake_on_cancel(
    shared: &Arc<Shared>,
    cancellation: &Arc<Cancellation>,
) -> crate::cancellation::Registration {
    let shared = shared.clone();
    cancellation.on_cancel(move || {
        // Taking the lock makes sure that a thread about to wait has begun to, and hears this.
        drop(shared.lock());
        shared.changed.notify_all();
    })
}

impl PipeWriter {
    /// Writes everything, waiting for room.
    ///
    /// # Errors
    /// `BrokenPipe` when no reader is left, `ConnectionAborted` when the cancellation is set while waiting.
    pub fn write_all(&self, mut bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()> {
        let mut registration = None;
        let mut state = self.shared.lock();
        while !bytes.is_empty() {
            if state.readers == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let (count, waker) = put(&mut state, bytes);
            if count > 0 {
                bytes = &bytes[count..];
                drop(state);
                self.shared.announce(waker);
                state = self.shared.lock();
                continue;
            }
            if cancellation.is_cancelled() {
                return Err(cancelled_error());
            }
            if registration.is_none() {
                drop(state);
                registration = Some(wake_on_cancel(&self.shared, cancellation));
                state = self.shared.lock();
                continue;
            }
            state = self.shared.wait(state);
        }
        Ok(())
    }

    /// Writes what there is room for, without waiting for a thread; for asynchronous transports.
    ///
    /// # Errors
    /// `BrokenPipe` when no reader is left.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        if state.readers == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let (count, waker) = put(&mut state, bytes);
        if count == 0 && !bytes.is_empty() {
            state.write_waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        self.shared.announce(waker);
        Poll::Ready(Ok(count))
    }

    /// Whether some reader is left.
    pub fn has_reader(&self) -> bool {
        self.shared.lock().readers > 0
    }
}

/// Puts in what fits.
fn put(state: &mut State, bytes: &[u8]) -> (usize, Option<Waker>) {
    let count = bytes.len().min(state.capacity.saturating_sub(state.buffer.len()));
    state.buffer.extend(&bytes[..count]);
    let waker = if count > 0 { state.read_waker.take() } else { None };
    (count, waker)
}

impl Clone for PipeReader {
    fn clone(&self) -> Self {
        self.shared.lock().readers += 1;
        Self { shared: self.shared.clone() }
    }
}

impl Clone for PipeWriter {
    fn clone(&self) -> Self {
        self.shared.lock().writers += 1;
        Self { shared: self.shared.clone() }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.readers -= 1;
        let waker = if state.readers == 0 {
            state.buffer.clear();
            state.write_waker.take()
        } else {
            None
        };
        drop(state);
        self.shared.announce(waker);
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.writers -= 1;
        let waker = if state.writers == 0 { state.read_waker.take() } else { None };
        drop(state);
        self.shared.announce(waker);
    }
}

impl ByteSource for PipeReader {
    fn read(&self, buffer: &mut [u8], cancellation: &Arc<Cancellation>) -> io::Result<usize> {
        Self::read(self, buffer, cancellation)
    }
}

impl ByteSink for PipeWriter {
    fn write_all(&self, bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()> {
        Self::write_all(self, bytes, cancellation)
    }
}
