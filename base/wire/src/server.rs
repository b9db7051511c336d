//! The answering side: connections, a bounded pool of workers, remembered replies.
//!
//! ```text
//!  stream --> reader thread --> jobs (bounded) --> workers --> handler
//!                 |   repeat: remembered reply       |
//!                 v                                  v
//!  stream <-- writer thread <-------------- outbound queue <-- events
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Read};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::envelope::{Fault, Reply, Request, RequestId, Subscribe};
use crate::frame::{DEFAULT_PAYLOAD_LIMIT, Frame, FrameError, FrameKind, FrameReader};
use crate::hub::EventHub;
use crate::idempotency::{Begin, IdempotencyTable};
use crate::outbound::{Bytes, Outbound};
use crate::transport::Transport;

/// The time since some fixed moment, never going back; what deadlines are measured with.
pub type MonotonicClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Threads that call the handler.
    pub workers: usize,
    /// Requests that wait for a worker; further ones are answered [`Fault::Busy`].
    pub waiting: usize,
    /// Requests of one connection without a written reply; beyond it the connection is not read.
    pub unanswered: usize,
    /// Events that wait for one subscriber; beyond it the subscriber is told to resync.
    pub events: usize,
    /// Connections at the same time; further ones are closed.
    pub connections: usize,
    /// Replies that are remembered for repeats. Must exceed what all clients together may repeat.
    pub remembered: usize,
    /// Bytes that the remembered replies may have together.
    pub remembered_bytes: usize,
    /// Largest payload in bytes, in both directions.
    pub payload: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            workers: 4,
            waiting: 1_024,
            unanswered: 256,
            events: 1_024,
            connections: 256,
            remembered: 4_096,
            remembered_bytes: 64 * 1024 * 1024,
            payload: DEFAULT_PAYLOAD_LIMIT,
        }
    }
}

/// What is known of a request beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// Its id. Record it together with the effect if a repeat after a restart must not have a second effect.
    pub id: RequestId,
    /// The time, by the server's clock, after which the asker no longer waits.
    pub deadline: Duration,
}

/// Answers requests; called by several threads at once.
pub trait Handler<Q, A>: Send + Sync {
    /// Answers one request. Its refusals are part of `A`.
    fn handle(&self, context: RequestContext, body: Q) -> A;
}

impl<Q, A, F: Fn(RequestContext, Q) -> A + Send + Sync> Handler<Q, A> for F {
    fn handle(&self, context: RequestContext, body: Q) -> A {
        self(context, body)
    }
}

struct Job<Q> {
    context: RequestContext,
    body: Q,
}

struct State<Q> {
    jobs: VecDeque<Job<Q>>,
    replies: IdempotencyTable<Bytes>,
    /// The connections that wait for a request being done, once for each time they asked.
    askers: BTreeMap<RequestId, Vec<Arc<Outbound>>>,
    connections: Vec<Arc<Outbound>>,
    threads: Vec<JoinHandle<()>>,
    stopping: bool,
}

struct Shared<Q, A> {
    handler: Arc<dyn Handler<Q, A>>,
    hub: EventHub,
    options: ServerOptions,
    clock: MonotonicClock,
    state: Mutex<State<Q>>,
    changed: Condvar,
}

/// Answers requests of type `Q` by `A` on any number of connections. Dropping it ends them.
pub struct Server<Q, A>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + 'static,
{
    shared: Arc<Shared<Q, A>>,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Server<Q, A>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + 'static,
{
    /// Starts the workers. Subscribers get the events of `hub`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        handler: Arc<dyn Handler<Q, A>>,
        hub: EventHub,
        clock: MonotonicClock,
        options: ServerOptions,
    ) -> io::Result<Self> {
        let state = State {
            jobs: VecDeque::new(),
            replies: IdempotencyTable::new(options.remembered, options.remembered_bytes),
            askers: BTreeMap::new(),
            connections: Vec::new(),
            threads: Vec::new(),
            stopping: false,
        };
        let shared = Arc::new(Shared {
            handler,
            hub,
            options,
            clock,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let server = Self { shared, types: PhantomData };
        for _ in 0..options.workers.max(1) {
            server.spawn("wire-worker", Shared::work)?;
        }
        Ok(server)
    }

    /// Serves a connection until it ends, on two threads of its own.
    ///
    /// # Errors
    /// [`io::ErrorKind::QuotaExceeded`] if there are too many connections, or if a thread cannot be started;
    /// the connection is closed then.
    pub fn serve(&self, transport: Transport) -> io::Result<()> {
        let Transport { reader, writer, close } = transport;
        let options = self.shared.options;
        let connection = Arc::new(Outbound::new(close, options.unanswered, options.events));
        let mut state = self.shared.state();
        state.connections.retain(|connection| !connection.is_closed());
        state.threads.retain(|thread| !thread.is_finished());
        if state.stopping || state.connections.len() >= options.connections {
            drop(state);
            connection.close();
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        state.connections.push(Arc::clone(&connection));
        drop(state);
        let writing = Arc::clone(&connection);
        let reading = Arc::clone(&connection);
        self.spawn("wire-server-write", move |_| writing.write_all(writer))
            .and_then(|()| self.spawn("wire-server-read", move |shared| shared.read_all(&reading, reader)))
            .inspect_err(|_| connection.close())
    }

    fn spawn(&self, name: &str, run: impl FnOnce(&Shared<Q, A>) + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared))?;
        self.shared.state().threads.push(thread);
        Ok(())
    }

    /// Number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections.iter().filter(|connection| !connection.is_closed()).count()
    }

    /// Ends all connections, lets the requests that are being done end, and waits for the threads. Requests
    /// that wait are not done.
    pub fn shutdown(&self) {
        let mut state = self.shared.state();
        state.stopping = true;
        state.jobs.clear();
        let connections = std::mem::take(&mut state.connections);
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.shared.changed.notify_all();
        for connection in connections {
            connection.close();
        }
        for thread in threads {
            // A handler may hold the last reference to its own server.
            if thread.thread().id() != std::thread::current().id() {
                let _ended = thread.join();
            }
        }
    }
}

impl<Q, A> Drop for Server<Q, A>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + 'static,
{
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The id alone, to answer a request whose body is not understood.
#[derive(Deserialize)]
struct IdOnly {
    id: RequestId,
    #[serde(rename = "body")]
    _body: IgnoredAny,
}

impl<Q: DeserializeOwned, A: Serialize> Shared<Q, A> {
    fn state(&self) -> MutexGuard<'_, State<Q>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_all(&self, connection: &Arc<Outbound>, stream: impl Read) {
        let mut reader = FrameReader::new(BufReader::new(stream), self.options.payload);
        while let Ok(Some(frame)) = reader.read() {
            if self.take(connection, &frame).is_err() || connection.is_closed() {
                break;
            }
        }
        connection.close();
    }

    fn take(&self, connection: &Arc<Outbound>, frame: &Frame) -> Result<(), FrameError> {
        match frame.kind {
            FrameKind::Request => self.take_request(connection, frame),
            FrameKind::Subscribe => {
                let Subscribe { position } = frame.message()?;
                self.hub.subscribe(connection, position);
                Ok(())
            }
            FrameKind::Reply | FrameKind::Event | FrameKind::Resync => {
                Err(FrameError::UnknownKind(frame.kind as u8))
            }
        }
    }

    fn take_request(&self, connection: &Arc<Outbound>, frame: &Frame) -> Result<(), FrameError> {
        let request = match frame.message::<Request<Q>>() {
            Ok(request) => request,
            Err(FrameError::Malformed(error)) => {
                let IdOnly { id, .. } = frame.message()?;
                if connection.admit() {
                    connection.reply(self.encode(id, &Err(Fault::Malformed(error.to_string()))));
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !connection.admit() {
            return Ok(());
        }
        let deadline = (self.clock)().saturating_add(Duration::from_millis(request.deadline_milliseconds));
        let context = RequestContext { id: request.id, deadline };
        self.enqueue(connection, Job { context, body: request.body });
        Ok(())
    }

    fn enqueue(&self, connection: &Arc<Outbound>, job: Job<Q>) {
        let id = job.context.id;
        let mut state = self.state();
        match state.replies.begin(id) {
            Begin::Done(reply) => connection.reply(reply),
            Begin::InProgress => state.askers.entry(id).or_default().push(Arc::clone(connection)),
            Begin::New if state.stopping || state.jobs.len() >= self.options.waiting => {
                state.replies.abandon(id);
                let fault = if state.stopping { Fault::Stopping } else { Fault::Busy };
                connection.reply(self.encode(id, &Err(fault)));
            }
            Begin::New => {
                state.askers.insert(id, vec![Arc::clone(connection)]);
                state.jobs.push_back(job);
                self.changed.notify_one();
            }
        }
    }

    /// One worker: takes jobs until the server stops.
    fn work(&self) {
        loop {
            let idle = |state: &mut State<Q>| state.jobs.is_empty() && !state.stopping;
            let mut state =
                self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
            let Some(job) = state.jobs.pop_front() else { return };
            drop(state);
            self.perform(job);
        }
    }

    fn perform(&self, job: Job<Q>) {
        let id = job.context.id;
        if (self.clock)() > job.context.deadline {
            let reply = self.encode(id, &Err(Fault::DeadlineExceeded));
            let mut state = self.state();
            state.replies.abandon(id);
            return self.answer(state, id, &reply);
        }
        let handler = AssertUnwindSafe(|| self.handler.handle(job.context, job.body));
        let body = catch_unwind(handler).map_err(|_| Fault::Internal);
        let reply = self.encode(id, &body);
        let mut state = self.state();
        state.replies.finish(id, Arc::clone(&reply), reply.len());
        self.answer(state, id, &reply);
    }

    fn answer(&self, mut state: MutexGuard<'_, State<Q>>, id: RequestId, reply: &Bytes) {
        let askers = state.askers.remove(&id).unwrap_or_default();
        drop(state);
        for asker in askers {
            asker.reply(Arc::clone(reply));
        }
    }

    /// A reply that cannot be encoded becomes one that says so; that one always can.
    fn encode(&self, id: RequestId, body: &Result<A, Fault>) -> Bytes {
        #[derive(Serialize)]
        struct Borrowed<'a, A> {
            id: RequestId,
            body: Result<&'a A, &'a Fault>,
        }
        let reply = Borrowed { id, body: body.as_ref() };
        let frame = Frame::new(FrameKind::Reply, &reply, self.options.payload).or_else(|error| {
            let fault = match error {
                FrameError::TooLarge { .. } => Fault::ReplyTooLarge,
                _ => Fault::Internal,
            };
            let reply = Reply::<()> { id, body: Err(fault) };
            Frame::new(FrameKind::Reply, &reply, DEFAULT_PAYLOAD_LIMIT)
        });
        frame.and_then(|frame| frame.encode()).unwrap_or_default().into()
    }
}
