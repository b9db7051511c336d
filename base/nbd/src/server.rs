//! Connections: one thread for each reads requests, does or submits them, and sends replies; others send when an operation
//! ends on their thread.
//!
//! ```text
//!   receive --> request --(nothing else under way, nothing more received)--> perform here --> reply
//!                  |
//!                  +--(otherwise)--> submit ............ ends on the export's thread --> reply
//! ```
//!
//! A connection has a budget of requests and of their bytes; what is beyond stays in the socket, so that a client that sends
//! faster than it is served, or takes no replies, waits.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::export::{Answer, Export, ExportInformation, Exports, Failure, Operation};
use crate::handshake::{Handshake, Outcome, Session};
use crate::outbox::Outbox;
use crate::reply::{encode, nothing};
use crate::request::{Command, REQUEST_LENGTH, RequestHeader};
use crate::transport::{Patience, Transport};

/// What a server gives to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more are closed at once.
    pub connections: usize,
    /// Requests under way on one connection.
    pub requests: usize,
    /// Bytes of requests and replies under way on one connection; one request may be longer.
    pub bytes: usize,
    /// How long a client may be silent during the handshake.
    pub handshake: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1_024, requests: 128, bytes: 64 << 20, handshake: Duration::from_secs(30) }
    }
}

/// Bytes received at a time.
const INPUT: usize = 128 << 10;
/// Payloads from here on are received into their own memory, and the next header alone.
const LARGE: u32 = 64 << 10;
/// Operations up to here may be done on the connection's thread.
const SHORT: u32 = 2 << 20;

/// What is under way on a connection.
#[derive(Default)]
struct UnderWay {
    requests: usize,
    bytes: usize,
    /// The connection's thread waits for less.
    waited_for: bool,
}

#[derive(Default)]
struct Budget {
    state: Mutex<UnderWay>,
    less: Condvar,
}

impl Budget {
    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `enough`.
    fn wait(&self, enough: impl Fn(&UnderWay) -> bool) -> MutexGuard<'_, UnderWay> {
        let mut state = self.lock();
        while !enough(&state) {
            state.waited_for = true;
            state = self.less.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Takes what a request needs; where it is not there, calls `before` and waits for it.
    fn take(&self, bytes: usize, limits: &Limits, before: impl FnOnce()) {
        let enough = |state: &UnderWay| {
            state.requests < limits.requests && (state.requests == 0 || state.bytes + bytes <= limits.bytes)
        };
        if !enough(&self.lock()) {
            before();
        }
        let mut state = self.wait(enough);
        state.requests += 1;
        state.bytes += bytes;
    }

    fn give(&self, bytes: usize) {
        let mut state = self.lock();
        state.requests -= 1;
        state.bytes -= bytes;
        let waited_for = std::mem::take(&mut state.waited_for);
        drop(state);
        // Waking nobody is a system call as well.
        if waited_for {
            self.less.notify_all();
        }
    }

    fn wait_until_empty(&self) {
        drop(self.wait(|state| state.requests == 0));
    }
}

/// How often it is looked for the rest of what is on its way before its thread sleeps. A client sends a request's payload
/// right behind its header, and a thread that has gone to sleep is woken too late to be of use.
const LOOKS: usize = 16;

/// Receives some bytes, looking a few times before it sleeps.
fn receive_soon<T: Transport>(transport: &T, into: &mut [u8], then: Patience) -> Result<usize> {
    for _ in 0..LOOKS {
        match transport.receive(into, Patience::None) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            result => return result,
        }
    }
    transport.receive(into, then)
}

/// Bytes received and not yet used.
struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn new(first: &[u8]) -> Self {
        let mut bytes = vec![0; INPUT.max(first.len())];
        bytes[..first.len()].copy_from_slice(first);
        Self { bytes, start: 0, end: first.len() }
    }

    fn available(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Receives until `count` bytes are there, at most [`INPUT`], and no more than those where `exactly`; `false` at the end
    /// of the connection.
    fn fill<T: Transport>(&mut self, transport: &T, count: usize, exactly: bool) -> Result<bool> {
        while self.available().len() < count {
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
            } else if self.bytes.len() - self.start < count {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            let limit = if exactly { self.start + count } else { self.bytes.len() };
            let received = transport.receive(&mut self.bytes[self.end..limit], Patience::Some)?;
            if received == 0 {
                return Ok(false);
            }
            self.end += received;
        }
        Ok(true)
    }

    /// Moves what is there into `into`, and receives the rest of it directly.
    fn payload<T: Transport>(&mut self, transport: &T, into: &mut [u8]) -> Result<()> {
        let count = self.available().len().min(into.len());
        into[..count].copy_from_slice(&self.available()[..count]);
        self.start += count;
        let mut done = count;
        while done < into.len() {
            let received = receive_soon(transport, &mut into[done..], Patience::All)?;
            if received == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            done += received;
        }
        Ok(())
    }
}

/// Serves one connection until it ends; everything begun has ended then.
///
/// # Errors
/// Why the connection ended, other than by the client's wish.
pub fn serve<T: Transport, X: Exports>(transport: &Arc<T>, exports: &X, limits: &Limits) -> Result<()> {
    transport.limit_receiving(Some(limits.handshake));
    let mut handshake = Handshake::new();
    let mut received = Vec::new();
    let mut piece = [0; 4_096];
    let (export, information, session) = loop {
        let outcome = handshake.receive(&mut received, exports);
        send_all(&**transport, &handshake.take_outgoing())?;
        match outcome {
            Outcome::More => {}
            Outcome::Again => continue,
            Outcome::Closed => return Ok(()),
            Outcome::Transmission(export, information, session) => break (export, information, session),
        }
        let count = transport.receive(&mut piece, Patience::Some)?;
        if count == 0 {
            return Ok(());
        }
        received.extend(&piece[..count]);
    };
    transport.limit_receiving(None);
    let budget = Arc::new(Budget::default());
    let given = Arc::clone(&budget);
    let outbox = Outbox::new(Arc::clone(transport), Box::new(move |charge| given.give(charge)));
    let flushed = Arc::clone(&outbox);
    let mut connection = Connection {
        transport,
        export: Arc::new(export),
        flush: Arc::new(move || flushed.flush()),
        information,
        session,
        limits,
        budget,
        outbox,
        input: Input::new(&received),
    };
    let result = connection.run();
    connection.outbox.release();
    if result.is_err() {
        transport.close();
    }
    // Every request that was counted is answered, or its answer is lost with the connection.
    connection.budget.wait_until_empty();
    connection.outbox.finish();
    result
}

pub(crate) fn send_all<T: Transport>(transport: &T, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match transport.send(&[std::io::IoSlice::new(bytes)], true) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => transport.wait_writable(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Connection<'a, T, E: Export> {
    transport: &'a Arc<T>,
    export: Arc<E>,
    /// Sends what was left in the outbox.
    flush: Arc<dyn Fn() + Send + Sync>,
    information: ExportInformation,
    session: Session,
    limits: &'a Limits,
    budget: Arc<Budget>,
    outbox: Arc<Outbox<T, E::Buffer>>,
    input: Input,
}

impl<T: Transport, E: Export> Connection<'_, T, E> {
    fn run(&mut self) -> Result<()> {
        let mut large = false;
        loop {
            if self.input.available().len() < REQUEST_LENGTH {
                // What was answered meanwhile goes out before this thread waits.
                self.outbox.release();
                if !self.input.fill(&**self.transport, REQUEST_LENGTH, large)? {
                    return if self.input.available().is_empty() {
                        Ok(())
                    } else {
                        Err(ErrorKind::UnexpectedEof.into())
                    };
                }
                self.outbox.hold();
            }
            let header: &[u8; REQUEST_LENGTH] =
                self.input.available()[..REQUEST_LENGTH].try_into().expect("as long");
            let Some(header) = RequestHeader::decode(header) else {
                return Err(Error::new(ErrorKind::InvalidData, "not a request"));
            };
            self.input.start += REQUEST_LENGTH;
            large = header.payload() >= LARGE;
            if !self.request(&header)? {
                return Ok(());
            }
        }
    }

    /// Does one request; `false` when it was the last.
    fn request(&mut self, header: &RequestHeader) -> Result<bool> {
        let checked = header.check(&self.information, self.session);
        let payload = header.payload() as usize;
        if matches!(checked, Ok(Command::Disconnect)) {
            return Ok(false);
        }
        let carried = match checked {
            Ok(Command::Read { .. } | Command::Write { .. }) => header.length as usize,
            _ => 0,
        };
        // Every request is counted, also one that makes no sense: its answer takes memory until it is sent.
        self.budget.take(carried, self.limits, || self.outbox.release());
        match checked {
            Ok(Command::Nothing) => self.answer_nothing(header),
            Ok(command) => match self.operation(header, command) {
                Ok(operation) => self.run_operation(header, command, operation, carried),
                Err(error) => {
                    self.budget.give(carried);
                    return Err(error);
                }
            },
            Err(failure) => {
                self.answer(header, Err(failure));
                if header.payload() > self.information.maximum_payload {
                    return Err(Error::new(ErrorKind::InvalidData, "a payload beyond the limit"));
                }
                self.discard(payload)?;
            }
        }
        Ok(true)
    }

    /// Receives what belongs to a request and makes it an operation.
    fn operation(&mut self, header: &RequestHeader, command: Command) -> Result<Operation<E::Buffer>> {
        let (offset, length) = (header.offset, u64::from(header.length));
        Ok(match command {
            Command::Read { .. } => {
                Operation::Read { offset, buffer: self.export.buffer(header.length as usize) }
            }
            Command::Write { durable } => {
                let mut data = self.export.buffer(header.length as usize);
                if header.length as usize > self.input.available().len() {
                    self.outbox.release();
                }
                self.input.payload(&**self.transport, data.as_mut())?;
                Operation::Write { offset, data, durable }
            }
            Command::Trim { durable } => Operation::Trim { offset, length, durable },
            Command::Zero { may_trim, only_fast, durable } => {
                Operation::Zero { offset, length, may_trim, only_fast, durable }
            }
            Command::Status { limit } => Operation::Status { offset, length, limit },
            Command::Flush | Command::Nothing | Command::Disconnect => Operation::Flush,
        })
    }

    fn run_operation(
        &self,
        header: &RequestHeader,
        command: Command,
        operation: Operation<E::Buffer>,
        carried: usize,
    ) {
        let whole = matches!(command, Command::Read { whole: true });
        let (session, cookie, offset) = (self.session, header.cookie, header.offset);
        let quick = match command {
            Command::Read { .. } | Command::Write { durable: false } => header.length <= SHORT,
            Command::Status { .. } => true,
            _ => false,
        };
        let alone = self.budget.lock().requests == 1 && self.input.available().len() < REQUEST_LENGTH;
        if self.export.prefers_caller() || quick && alone {
            let result = self.export.perform(operation);
            self.outbox.push(encode(session, cookie, offset, whole, result).charged(carried), true);
            return;
        }
        let (outbox, export, flush) =
            (Arc::clone(&self.outbox), Arc::clone(&self.export), Arc::clone(&self.flush));
        self.export.submit(
            operation,
            Box::new(move |result| {
                outbox.leave(encode(session, cookie, offset, whole, result).charged(carried));
                export.after_others(&flush);
            }),
        );
    }

    fn answer(&self, header: &RequestHeader, result: std::result::Result<Answer<E::Buffer>, Failure>) {
        let message = encode(self.session, header.cookie, header.offset, false, result);
        self.outbox.push(message.charged(0), true);
    }

    fn answer_nothing(&self, header: &RequestHeader) {
        if self.session.structured && header.command == crate::protocol::command::READ {
            self.outbox.push(nothing(header.cookie).charged(0), true);
        } else {
            self.answer(header, Ok(Answer::Done));
        }
    }

    /// Receives a payload that nobody wants.
    fn discard(&mut self, mut count: usize) -> Result<()> {
        let mut piece = vec![0; count.min(INPUT)];
        while count > 0 {
            let now = count.min(piece.len());
            self.input.payload(&**self.transport, &mut piece[..now])?;
            count -= now;
        }
        Ok(())
    }
}

/// Makes a listening Unix socket that only its owner may use. A socket that is there already is replaced where nobody answers
/// on it.
///
/// # Errors
/// The host's; `AddrInUse` where somebody answers.
pub fn listen(path: &Path) -> Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            let listener = UnixListener::bind(path)?;
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
            Ok(listener)
        }
        bound => {
            let listener = bound?;
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
            Ok(listener)
        }
    }
}

struct Accepting {
    stopping: AtomicBool,
    /// Open connections by number.
    connections: Mutex<(u64, std::collections::BTreeMap<u64, Arc<UnixStream>>)>,
    none: Condvar,
}

impl Accepting {
    fn lock(&self) -> MutexGuard<'_, (u64, std::collections::BTreeMap<u64, Arc<UnixStream>>)> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server on a Unix socket. Dropping it stops it: connections end after what they have begun, for which it waits; what its
/// exports stand on must not be stuck then.
pub struct Server {
    accepting: Arc<Accepting>,
    /// The socket that it listens on, to end the waiting for connections.
    listener: UnixListener,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on `listener` from now on.
    ///
    /// # Errors
    /// The host's, when it gives no thread.
    pub fn start<X: Exports>(listener: UnixListener, exports: Arc<X>, limits: Limits) -> Result<Self> {
        let accepting = Arc::new(Accepting {
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            none: Condvar::new(),
        });
        let waiting = listener.try_clone()?;
        let shared = Arc::clone(&accepting);
        let thread = std::thread::Builder::new()
            .name("nbd-accept".to_owned())
            .spawn(move || accept(&waiting, &shared, &exports, limits))?;
        Ok(Self { accepting, listener, thread: Some(thread) })
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.accepting.lock().1.len()
    }

    /// Closes all connections, as a server that breaks off does; new ones are accepted.
    pub fn disconnect_all(&self) {
        for stream in self.accepting.lock().1.values() {
            stream.close();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.stopping.store(true, Ordering::Release);
        // Wakes the accepting thread. The socket's name may be gone or another server's by now.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.disconnect_all();
        let mut connections = self.accepting.lock();
        while !connections.1.is_empty() {
            connections = self.accepting.none.wait(connections).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn accept<X: Exports>(listener: &UnixListener, accepting: &Arc<Accepting>, exports: &Arc<X>, limits: Limits) {
    for stream in listener.incoming() {
        if accepting.stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            // No descriptors or no memory: connections that end make room.
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        let stream = Arc::new(stream);
        let number = {
            let mut connections = accepting.lock();
            if connections.1.len() >= limits.connections {
                continue;
            }
            connections.0 += 1;
            let number = connections.0;
            connections.1.insert(number, Arc::clone(&stream));
            number
        };
        let (shared, exports) = (Arc::clone(accepting), Arc::clone(exports));
        let spawned = std::thread::Builder::new().name("nbd".to_owned()).spawn(move || {
            let _open = Open { accepting: shared, number };
            // Why a client's connection ended is the client's affair.
            let _ = serve(&stream, &*exports, &limits);
            stream.close();
        });
        if spawned.is_err() {
            accepting.lock().1.remove(&number);
        }
    }
}

/// A connection among the open ones, also while its thread panics.
struct Open {
    accepting: Arc<Accepting>,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.accepting.lock().1.remove(&self.number);
        self.accepting.none.notify_all();
    }
}
