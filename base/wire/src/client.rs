//! The asking side of a connection.
//!
//! Any number of threads may ask over one client; replies are matched by id. One thread writes and one
//! reads, so that an asker's deadline holds even when the stream is stuck.
//!
//! ```text
//!  asker --- frame ---> outgoing (bounded) --- writer thread ---> stream
//!    ^                                                              |
//!    +---- reply by id ---- pending (bounded) <--- reader thread <--+
//!                                                       |
//!                                                       +--> event listener
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Read, Write};
use std::marker::PhantomData;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::{Event, Fault, Reply, Request, RequestId, Resync, Subscribe};
use crate::frame::{DEFAULT_PAYLOAD_LIMIT, Frame, FrameError, FrameKind, FrameReader, FrameWriter};
use crate::transport::Transport;

/// Events that arrive beyond a gap before the client asks once more for the missing ones.
const EVENTS_BEFORE_ASKING_AGAIN: u32 = 64;

/// Bounds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Requests without a reply at the same time.
    pub outstanding: usize,
    /// Largest payload in bytes, in both directions.
    pub payload: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { outstanding: 256, payload: DEFAULT_PAYLOAD_LIMIT }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection ended. It is unknown whether the request was done; it may be repeated with the same id
    /// over a new connection.
    #[error("disconnected")]
    Disconnected,
    /// No reply came in time. As with [`CallError::Disconnected`], a repeat keeps the id.
    #[error("no reply in time")]
    TimedOut,
    /// Too many requests wait for replies, or for a stuck stream. It was not sent.
    #[error("too many outstanding requests")]
    TooManyOutstanding,
    /// A request with this id waits already. It was not sent.
    #[error("a request with this id is outstanding")]
    RepeatedId,
    /// The other side did not do it, or could not say what came of it.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The request could not be encoded. It was not sent.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent<E> {
    /// The next event, without gaps or repeats.
    Event(Event<E>),
    /// Events were missed; read the state anew.
    Resync(Resync),
    /// The connection ended; nothing follows.
    Disconnected,
}

type Listener<E> = Box<dyn FnMut(ClientEvent<E>) + Send>;
type Answer<A> = Result<A, Fault>;

struct State<A> {
    pending: BTreeMap<RequestId, SyncSender<Answer<A>>>,
    outgoing: VecDeque<Frame>,
    position: Option<Resync>,
    closed: bool,
}

struct Shared<A> {
    state: Mutex<State<A>>,
    changed: Condvar,
    close: Arc<dyn Fn() + Send + Sync>,
    options: ClientOptions,
}

impl<A> Shared<A> {
    fn state(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection: every asker gets [`CallError::Disconnected`] as its sender is dropped.
    fn disconnect(&self) {
        let mut state = self.state();
        state.closed = true;
        state.pending.clear();
        state.outgoing.clear();
        drop(state);
        self.changed.notify_all();
        (self.close)();
    }

    fn queue(&self, state: &mut State<A>, frame: Frame) {
        state.outgoing.push_back(frame);
        self.changed.notify_all();
    }
}

/// A connection over which requests of type `Q` are answered by `A`, and events of type `E` arrive. Dropping
/// it ends the connection.
pub struct Client<Q, A, E> {
    shared: Arc<Shared<A>>,
    threads: Vec<JoinHandle<()>>,
    types: PhantomData<fn(Q) -> E>,
}

/// A request on its way. Dropping it gives up waiting; the request may be done all the same.
pub struct PendingReply<A> {
    id: RequestId,
    receiver: Receiver<Answer<A>>,
    shared: Arc<Shared<A>>,
}

impl<A> PendingReply<A> {
    /// Waits for the reply, at most for `timeout`.
    ///
    /// # Errors
    /// [`CallError::TimedOut`], [`CallError::Disconnected`], [`CallError::Fault`].
    pub fn wait(self, timeout: Duration) -> Result<A, CallError> {
        match self.receiver.recv_timeout(timeout) {
            Ok(answer) => Ok(answer?),
            Err(RecvTimeoutError::Timeout) => Err(CallError::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(CallError::Disconnected),
        }
    }
}

impl<A> Drop for PendingReply<A> {
    fn drop(&mut self) {
        self.shared.state().pending.remove(&self.id);
    }
}

impl<Q, A, E> Client<Q, A, E>
where
    Q: Serialize,
    A: DeserializeOwned + Send + 'static,
    E: DeserializeOwned + 'static,
{
    /// Starts the client's two threads on a connection. `listener` is called on the reading thread: while it
    /// runs no reply arrives, so it should only pass on what it gets.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        transport: Transport,
        options: ClientOptions,
        listener: impl FnMut(ClientEvent<E>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let Transport { reader, writer, close } = transport;
        let state =
            State { pending: BTreeMap::new(), outgoing: VecDeque::new(), position: None, closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), close, options });
        let mut client = Self { shared: Arc::clone(&shared), threads: Vec::new(), types: PhantomData };
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("wire-client-write".into());
        client.threads.push(thread.spawn(move || write_all(&writing, writer))?);
        let thread = std::thread::Builder::new().name("wire-client-read".into());
        let listener: Listener<E> = Box::new(listener);
        client.threads.push(thread.spawn(move || read_all(&shared, reader, listener))?);
        Ok(client)
    }

    /// Asks, and waits for the answer. `deadline` also tells the other side when it need not begin any more.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call(&self, id: RequestId, deadline: Duration, body: Q) -> Result<A, CallError> {
        self.send(id, deadline, body)?.wait(deadline)
    }

    /// Asks without waiting.
    ///
    /// # Errors
    /// Those variants of [`CallError`] that say that the request was not sent, and
    /// [`CallError::Disconnected`].
    pub fn send(&self, id: RequestId, deadline: Duration, body: Q) -> Result<PendingReply<A>, CallError> {
        let deadline_milliseconds = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let request = Request { id, deadline_milliseconds, body };
        let frame = Frame::new(FrameKind::Request, &request, self.shared.options.payload)?;
        let (sender, receiver) = sync_channel(1);
        let mut state = self.shared.state();
        if state.closed {
            return Err(CallError::Disconnected);
        }
        if state.pending.contains_key(&id) {
            return Err(CallError::RepeatedId);
        }
        let limit = self.shared.options.outstanding;
        if state.pending.len() >= limit || state.outgoing.len() >= limit {
            return Err(CallError::TooManyOutstanding);
        }
        state.pending.insert(id, sender);
        self.shared.queue(&mut state, frame);
        drop(state);
        Ok(PendingReply { id, receiver, shared: Arc::clone(&self.shared) })
    }

    /// Asks for events from where this client is, or from `position` if it has had none: the place that an
    /// earlier connection had reached. Call it again from time to time if the last event could be lost.
    ///
    /// # Errors
    /// [`CallError::Disconnected`], [`CallError::TooManyOutstanding`].
    pub fn subscribe(&self, position: Option<Resync>) -> Result<(), CallError> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(CallError::Disconnected);
        }
        if state.outgoing.len() >= self.shared.options.outstanding {
            return Err(CallError::TooManyOutstanding);
        }
        state.position = state.position.or(position);
        let frame = subscription(state.position)?;
        self.shared.queue(&mut state, frame);
        Ok(())
    }

    /// The last event that the listener got; what to give to [`Client::subscribe`] of the next connection.
    #[must_use]
    pub fn position(&self) -> Option<Resync> {
        self.shared.state().position
    }

    /// Whether the connection still stands.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.shared.state().closed
    }

    /// Ends the connection; outstanding requests fail with [`CallError::Disconnected`].
    pub fn close(&self) {
        self.shared.disconnect();
    }
}

impl<Q, A, E> Drop for Client<Q, A, E> {
    fn drop(&mut self) {
        self.shared.disconnect();
        for thread in self.threads.drain(..) {
            // The listener may hold the last reference to its own client.
            if thread.thread().id() != std::thread::current().id() {
                let _ended = thread.join();
            }
        }
    }
}

fn subscription(position: Option<Resync>) -> Result<Frame, FrameError> {
    Frame::new(FrameKind::Subscribe, &Subscribe { position }, DEFAULT_PAYLOAD_LIMIT)
}

fn write_all<A>(shared: &Shared<A>, stream: impl Write) {
    let mut writer = FrameWriter::new(stream);
    loop {
        let state = shared.state();
        let waits = |state: &mut State<A>| state.outgoing.is_empty() && !state.closed;
        let mut state = shared.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return;
        }
        let frames = std::mem::take(&mut state.outgoing);
        drop(state);
        let written = frames.iter().try_for_each(|frame| writer.write(frame));
        if written.and_then(|()| writer.flush()).is_err() {
            shared.disconnect();
            return;
        }
    }
}

fn read_all<A: DeserializeOwned, E: DeserializeOwned>(
    shared: &Shared<A>,
    stream: impl Read,
    mut listener: Listener<E>,
) {
    let mut reader = FrameReader::new(BufReader::new(stream), shared.options.payload);
    let mut beyond_gap = 0;
    while let Ok(Some(frame)) = reader.read() {
        let taken = match frame.kind {
            FrameKind::Reply => take_reply(shared, &frame),
            FrameKind::Event => take_event(shared, &frame, &mut listener, &mut beyond_gap),
            FrameKind::Resync => take_resync(shared, &frame, &mut listener, &mut beyond_gap),
            FrameKind::Request | FrameKind::Subscribe => break,
        };
        if taken.is_err() || shared.state().closed {
            break;
        }
    }
    shared.disconnect();
    listener(ClientEvent::Disconnected);
}

fn take_reply<A: DeserializeOwned>(shared: &Shared<A>, frame: &Frame) -> Result<(), FrameError> {
    let reply: Reply<A> = frame.message()?;
    // A reply that nobody waits for is a repeat, or its asker gave up.
    if let Some(sender) = shared.state().pending.remove(&reply.id) {
        let _given_up = sender.try_send(reply.body);
    }
    Ok(())
}

fn take_event<A, E: DeserializeOwned>(
    shared: &Shared<A>,
    frame: &Frame,
    listener: &mut Listener<E>,
    beyond_gap: &mut u32,
) -> Result<(), FrameError> {
    let event: Event<E> = frame.message()?;
    let mut state = shared.state();
    let Some(position) = state.position else { return Ok(()) };
    let same = event.stream == position.stream;
    if same && event.sequence <= position.sequence {
        return Ok(());
    }
    if same && event.sequence == position.sequence + 1 {
        state.position = Some(Resync { sequence: event.sequence, ..position });
        drop(state);
        *beyond_gap = 0;
        listener(ClientEvent::Event(event));
        return Ok(());
    }
    // Asking at each event would bring the same events again and again.
    if beyond_gap.is_multiple_of(EVENTS_BEFORE_ASKING_AGAIN)
        && state.outgoing.len() < shared.options.outstanding
    {
        let frame = subscription(Some(position))?;
        shared.queue(&mut state, frame);
    }
    *beyond_gap = beyond_gap.wrapping_add(1);
    Ok(())
}

fn take_resync<A, E>(
    shared: &Shared<A>,
    frame: &Frame,
    listener: &mut Listener<E>,
    beyond_gap: &mut u32,
) -> Result<(), FrameError> {
    let resync: Resync = frame.message()?;
    let mut state = shared.state();
    // A late or doubled one must not lead back.
    let old = |position: Resync| position.stream == resync.stream && position.sequence >= resync.sequence;
    if state.position.is_some_and(old) {
        return Ok(());
    }
    state.position = Some(resync);
    drop(state);
    *beyond_gap = 0;
    listener(ClientEvent::Resync(resync));
    Ok(())
}
