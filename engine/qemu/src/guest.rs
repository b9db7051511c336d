//! What the engine and the driver of one guest share.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::event::{EventfdFlags, eventfd};
use varan_contract::engine::{EngineError, GuestStatistics, StopRequest};

use crate::directory::GuestRecord;
use crate::lock;
use crate::statistics::{self, Meter};
use crate::terminal::Terminal;

/// Requests that may wait for the driver.
const REQUESTS_MAX: usize = 64;
/// Typed bytes that may wait for the driver; what goes beyond is dropped, as a serial line does.
const TYPED_BYTES_MAX: usize = 4 << 10;

/// What the driver is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The guest is to stop.
    Stop { request: StopRequest, restart: bool },
    /// Another activation takes its place: end it, and say nothing.
    Replace,
    /// The frame lost its power: end it, and say nothing.
    PowerLoss,
    /// Leave it alone: this program ends.
    Leave,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    typed: Vec<u8>,
}

/// One activation of a partition.
pub(crate) struct Guest {
    pub(crate) record: GuestRecord,
    pub(crate) terminal: Arc<Terminal>,
    waiting: Mutex<Waiting>,
    waker: OwnedFd,
    pid: Mutex<Option<i32>>,
    meter: Mutex<Meter>,
}

impl Guest {
    pub(crate) fn new(record: GuestRecord, terminal: Arc<Terminal>) -> std::io::Result<Self> {
        Ok(Self {
            record,
            terminal,
            waiting: Mutex::default(),
            waker: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            pid: Mutex::default(),
            meter: Mutex::default(),
        })
    }

    /// Passes a request to the driver. What ends the guest or its driver is never refused.
    pub(crate) fn request(&self, request: Request) -> Result<(), EngineError> {
        let mut waiting = lock(&self.waiting);
        if matches!(request, Request::Stop { .. }) && waiting.requests.len() >= REQUESTS_MAX {
            return Err(EngineError::NoRoom("too many requests wait for this partition".to_owned()));
        }
        waiting.requests.push_back(request);
        drop(waiting);
        self.wake();
        Ok(())
    }

    /// Types bytes on the console.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut waiting = lock(&self.waiting);
        let room = TYPED_BYTES_MAX - waiting.typed.len();
        waiting.typed.extend_from_slice(&bytes[..bytes.len().min(room)]);
        drop(waiting);
        self.wake();
    }

    /// What waits for the driver.
    pub(crate) fn take(&self) -> (VecDeque<Request>, Vec<u8>) {
        let mut seen = [0; 8];
        // Nothing to read means that nobody woke the driver; it looks all the same.
        let _ = rustix::io::read(&self.waker, &mut seen);
        let mut waiting = lock(&self.waiting);
        (std::mem::take(&mut waiting.requests), std::mem::take(&mut waiting.typed))
    }

    fn wake(&self) {
        // A full counter wakes too.
        let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
    }

    /// Readable when something waits for the driver.
    pub(crate) fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    pub(crate) fn set_pid(&self, pid: Option<i32>) {
        *lock(&self.pid) = pid;
    }

    /// Counters; zero while the process is being started.
    pub(crate) fn statistics(&self) -> GuestStatistics {
        let sample = lock(&self.pid).and_then(statistics::sample);
        sample.map(|sample| lock(&self.meter).add(sample, &self.record.processors)).unwrap_or_default()
    }
}
