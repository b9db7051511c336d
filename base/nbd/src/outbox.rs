//! What waits to be sent on a connection. Whoever has something to send sends it at once where nobody else is sending; what
//! the other side does not take goes on a thread of its own, which exists from the first time this happens.
//!
//! ```text
//!   Idle --push--> Sending --all sent--> Idle
//!    ^  hold         |  ^
//!    |               |  +--- what others pushed meanwhile
//!   Held <--hold     +--would block--> Stalled --writer thread: waits, sends--> Idle
//! ```

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::reply::Message;
use crate::transport::Transport;

/// Parts that one system call takes.
const PARTS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Idle,
    /// Pushed messages wait for the release, so that they go together.
    Held,
    Sending,
    Stalled,
    Broken,
}

struct State<B> {
    queue: VecDeque<Message<B>>,
    /// Bytes of the first message that are sent.
    sent: usize,
    mode: Mode,
    writer: Option<JoinHandle<()>>,
    /// No more messages come, and the writer ends.
    closing: bool,
}

pub(crate) struct Outbox<T, B> {
    transport: Arc<T>,
    state: Mutex<State<B>>,
    changed: Condvar,
    /// Called with the charge of every message that was sent or lost.
    gone: Box<dyn Fn(usize) + Send + Sync>,
}

impl<T: Transport, B: AsRef<[u8]> + Send + 'static> Outbox<T, B> {
    pub(crate) fn new(transport: Arc<T>, gone: Box<dyn Fn(usize) + Send + Sync>) -> Arc<Self> {
        let state = State { queue: VecDeque::new(), sent: 0, mode: Mode::Idle, writer: None, closing: false };
        Arc::new(Self { transport, state: Mutex::new(state), changed: Condvar::new(), gone })
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message and sends it if nobody else is sending. With `wait` the caller's thread may wait for the other side a
    /// little.
    pub(crate) fn push(self: &Arc<Self>, message: Message<B>, wait: bool) {
        let mut state = self.lock();
        if state.mode == Mode::Broken {
            drop(state);
            return self.let_go(&message);
        }
        state.queue.push_back(message);
        if state.mode == Mode::Idle {
            state.mode = Mode::Sending;
            drop(state);
            self.pump(wait);
        }
    }

    /// Adds a message and leaves it to the next who sends; [`flush`](Self::flush) must follow.
    pub(crate) fn leave(&self, message: Message<B>) {
        let mut state = self.lock();
        if state.mode == Mode::Broken {
            drop(state);
            return self.let_go(&message);
        }
        state.queue.push_back(message);
    }

    /// Sends what was left, if nobody else is sending, as far as the other side takes it.
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.mode == Mode::Idle && !state.queue.is_empty() {
            state.mode = Mode::Sending;
            drop(state);
            self.pump(false);
        }
    }

    /// Lets messages wait, if nobody is sending.
    pub(crate) fn hold(&self) {
        let mut state = self.lock();
        if state.mode == Mode::Idle {
            state.mode = Mode::Held;
        }
    }

    /// Sends what was held.
    pub(crate) fn release(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.mode != Mode::Held {
            return;
        }
        if state.queue.is_empty() {
            state.mode = Mode::Idle;
            return;
        }
        state.mode = Mode::Sending;
        drop(state);
        self.pump(true);
    }

    /// Sends until nothing is left or the other side takes no more. The mode is `Sending`, by this thread.
    fn pump(self: &Arc<Self>, wait: bool) {
        let mut batch: VecDeque<Message<B>> = VecDeque::new();
        let mut skip = 0;
        loop {
            let mut state = self.lock();
            if batch.is_empty() && state.queue.is_empty() {
                state.mode = Mode::Idle;
                let closing = state.closing;
                drop(state);
                // Waking nobody is a system call as well.
                if closing {
                    self.changed.notify_all();
                }
                return;
            }
            if batch.is_empty() {
                skip = std::mem::take(&mut state.sent);
            }
            while batch.len() < PARTS / 2
                && let Some(message) = state.queue.pop_front()
            {
                batch.push_back(message);
            }
            drop(state);
            match self.send(&batch, skip, wait) {
                Ok(count) => skip = self.settle(&mut batch, skip + count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.stall(batch, skip),
                Err(_) => return self.fail(batch),
            }
        }
    }

    fn send(&self, batch: &VecDeque<Message<B>>, skip: usize, wait: bool) -> std::io::Result<usize> {
        let mut skip = skip;
        let mut parts: Vec<IoSlice<'_>> = Vec::with_capacity(8);
        for part in batch.iter().flat_map(Message::parts) {
            if skip >= part.len() {
                skip -= part.len();
                continue;
            }
            parts.push(IoSlice::new(&part[skip..]));
            skip = 0;
            if parts.len() == PARTS {
                break;
            }
        }
        let count = self.transport.send(&parts, wait)?;
        if count == 0 { Err(ErrorKind::WriteZero.into()) } else { Ok(count) }
    }

    /// Lets go of messages that are sent; gives how much of the first one left is.
    fn settle(&self, batch: &mut VecDeque<Message<B>>, sent: usize) -> usize {
        let mut sent = sent;
        while let Some(message) = batch.front() {
            let length = message.length();
            if sent < length {
                break;
            }
            sent -= length;
            if let Some(message) = batch.pop_front() {
                self.let_go(&message);
            }
        }
        sent
    }

    /// Leaves what could not be sent to the writer.
    fn stall(self: &Arc<Self>, batch: VecDeque<Message<B>>, skip: usize) {
        let mut state = self.lock();
        for message in batch.into_iter().rev() {
            state.queue.push_front(message);
        }
        state.sent = skip;
        state.mode = Mode::Stalled;
        if state.writer.is_none() {
            let outbox = Arc::clone(self);
            match std::thread::Builder::new().name("nbd-writer".to_owned()).spawn(move || outbox.write()) {
                Ok(writer) => state.writer = Some(writer),
                Err(_) => {
                    // Without a thread the connection cannot go on.
                    drop(state);
                    return self.fail(VecDeque::new());
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn fail(&self, batch: VecDeque<Message<B>>) {
        let mut state = self.lock();
        state.mode = Mode::Broken;
        let lost = std::mem::take(&mut state.queue);
        drop(state);
        self.transport.close();
        self.changed.notify_all();
        batch.iter().chain(&lost).for_each(|message| self.let_go(message));
    }

    fn let_go(&self, message: &Message<B>) {
        if let Some(charge) = message.charge {
            (self.gone)(charge);
        }
    }

    /// The body of the writer.
    fn write(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            while state.mode != Mode::Stalled {
                let over = state.mode == Mode::Broken || state.closing && state.mode == Mode::Idle;
                if over {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.mode = Mode::Sending;
            drop(state);
            self.transport.wait_writable();
            self.pump(true);
        }
    }

    /// Waits until everything is sent or lost, and ends the writer. Nothing may be pushed any more.
    pub(crate) fn finish(self: &Arc<Self>) {
        self.release();
        let mut state = self.lock();
        state.closing = true;
        self.changed.notify_all();
        while !matches!(state.mode, Mode::Idle | Mode::Broken) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer
            && writer.thread().id() != std::thread::current().id()
        {
            let _ = writer.join();
        }
    }
}
