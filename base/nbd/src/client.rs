//! The client's side: one connection, many requests under way, answers in any order.
//!
//! ```text
//!   submit: cookie -> what waits for it;  request out
//!   reader thread:  chunk in -> into the buffer of what waits; the last one -> reply
//!   connection lost -> every reply is told, and every later submission
//! ```

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error as ThisError;

use crate::export::{Answer, ExportInformation, Failure, OpenErrorKind, Operation, Reply, StatusExtent};
use crate::outbox::Outbox;
use crate::protocol::{
    ALLOCATION, ErrorNumber, FLAG_FIXED_NEWSTYLE, FLAG_NO_ZEROES, Fields, INITIAL_MAGIC, MAXIMUM_PAYLOAD,
    MAXIMUM_TEXT, OPTION_MAGIC, OPTION_REPLY_MAGIC, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC, chunk,
    command, information, option, option_reply, transmission,
};
use crate::reply::Message;
use crate::request::RequestHeader;
use crate::transport::{Patience, Transport};

/// Requests under way on one connection.
const REQUESTS: usize = 256;
/// Longest reply to an option, and longest chunk without data.
const MAXIMUM_REPLY: u32 = 64 << 10;
/// Pieces out of order in which a read may come.
const MAXIMUM_CHUNKS: usize = 1_024;

/// Why there is no connection.
#[derive(Debug, ThisError)]
pub enum ConnectError {
    /// The host's, or an end in the middle.
    #[error("the connection failed: {0}")]
    Io(#[from] Error),
    /// What came is not this protocol, or not as much of it as is needed.
    #[error("the server does not speak the protocol: {0}")]
    Protocol(&'static str),
    /// The server gives no such export.
    #[error("{message}")]
    Refused {
        /// For programs.
        kind: OpenErrorKind,
        /// What the server says.
        message: String,
    },
}

/// Something that waits for an answer.
struct Waiting<B> {
    reply: Reply<B>,
    /// Where a read goes.
    buffer: Option<B>,
    offset: u64,
    /// What of a read has come.
    filled: Vec<Range<usize>>,
    status: Option<Vec<StatusExtent>>,
    failure: Option<Failure>,
}

struct State<B> {
    waiting: HashMap<u64, Waiting<B>>,
    next: u64,
    lost: bool,
    /// Threads that wait for room.
    hopeful: usize,
}

struct Shared<T, B> {
    transport: Arc<T>,
    outbox: Arc<Outbox<T, B>>,
    state: Mutex<State<B>>,
    room: Condvar,
}

impl<T: Transport, B> Shared<T, B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to an export. It does not reconnect: when it is lost, every request fails with
/// [`ErrorNumber::Shutdown`], and whether requests under way were done is not known.
pub struct Client<T: Transport, B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static> {
    shared: Arc<Shared<T, B>>,
    information: ExportInformation,
    reader: Option<JoinHandle<()>>,
}

impl<T: Transport, B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static> Client<T, B> {
    /// Connects to the export of this name. `limit` is how long the server may be silent meanwhile.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(transport: T, name: &str, limit: Duration) -> std::result::Result<Self, ConnectError> {
        transport.limit_receiving(Some(limit));
        let information = negotiate(&transport, name)?;
        transport.limit_receiving(None);
        let transport = Arc::new(transport);
        let outbox = Outbox::new(Arc::clone(&transport), Box::new(|_| ()));
        let state = State { waiting: HashMap::new(), next: 0, lost: false, hopeful: 0 };
        let shared = Arc::new(Shared { transport, outbox, state: Mutex::new(state), room: Condvar::new() });
        let reading = Arc::clone(&shared);
        let reader =
            std::thread::Builder::new().name("nbd-client".to_owned()).spawn(move || read(&reading))?;
        Ok(Self { shared, information, reader: Some(reader) })
    }

    /// What the export is like.
    #[must_use]
    pub fn information(&self) -> &ExportInformation {
        &self.information
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.shared.lock().lost
    }

    /// Sends a request; its end goes to `reply`, on the connection's thread or, where the connection is lost, on this one.
    ///
    /// # Errors
    /// Both back, where as many are under way as may be.
    pub fn submit(
        &self,
        operation: Operation<B>,
        reply: Reply<B>,
    ) -> std::result::Result<(), (Operation<B>, Reply<B>)> {
        let mut state = self.shared.lock();
        if state.lost {
            drop(state);
            reply(Err(lost()));
            return Ok(());
        }
        if state.waiting.len() >= REQUESTS {
            return Err((operation, reply));
        }
        let cookie = state.next;
        state.next += 1;
        let (message, buffer, offset) = encode(cookie, operation);
        let waiting = Waiting { reply, buffer, offset, filled: Vec::new(), status: None, failure: None };
        state.waiting.insert(cookie, waiting);
        drop(state);
        self.shared.outbox.push(message, false);
        Ok(())
    }

    /// Waits until a request may be accepted.
    pub fn wait_for_room(&self) {
        let mut state = self.shared.lock();
        state.hopeful += 1;
        while !state.lost && state.waiting.len() >= REQUESTS {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.hopeful -= 1;
    }

    /// Breaks the connection off.
    pub fn close(&self) {
        self.shared.transport.close();
    }
}

impl<T: Transport, B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static> Drop for Client<T, B> {
    fn drop(&mut self) {
        let idle = {
            let state = self.shared.lock();
            !state.lost && state.waiting.is_empty()
        };
        if idle {
            let header =
                RequestHeader { flags: 0, command: command::DISCONNECT, cookie: 0, offset: 0, length: 0 };
            self.shared.outbox.push(Message::plain(header.encode()), false);
        }
        self.shared.transport.close();
        if let Some(reader) = self.reader.take()
            && reader.thread().id() != std::thread::current().id()
        {
            let _ = reader.join();
        }
        self.shared.outbox.finish();
    }
}

fn lost() -> Failure {
    Failure::new(ErrorNumber::Shutdown, "the connection is lost")
}

/// The request's bytes, the buffer that its answer goes to, and its first byte.
fn encode<B: AsRef<[u8]>>(cookie: u64, operation: Operation<B>) -> (Message<B>, Option<B>, u64) {
    let access = |durable: bool| if durable { command::FLAG_FORCE_UNIT_ACCESS } else { 0 };
    let header = |command: u16, flags: u16, offset: u64, length: u64| {
        // What is longer than the field is cut by whoever asks; a server would refuse it.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        RequestHeader { flags, command, cookie, offset, length }.encode()
    };
    let plain = |heads, offset| (Message::plain(heads), None, offset);
    match operation {
        Operation::Read { offset, buffer } => {
            let heads = header(command::READ, 0, offset, buffer.as_ref().len() as u64);
            (Message::plain(heads), Some(buffer), offset)
        }
        Operation::Write { offset, data, durable } => {
            let heads = header(command::WRITE, access(durable), offset, data.as_ref().len() as u64);
            (Message::with_body(heads, data), None, offset)
        }
        Operation::Flush => plain(header(command::FLUSH, 0, 0, 0), 0),
        Operation::Trim { offset, length, durable } => {
            plain(header(command::TRIM, access(durable), offset, length), offset)
        }
        Operation::Zero { offset, length, may_trim, only_fast, durable } => {
            let mut flags = access(durable);
            flags |= if may_trim { 0 } else { command::FLAG_NO_HOLE };
            flags |= if only_fast { command::FLAG_FAST_ZERO } else { 0 };
            plain(header(command::WRITE_ZEROES, flags, offset, length), offset)
        }
        Operation::Status { offset, length, limit } => {
            let flags = if limit == 1 { command::FLAG_ONE } else { 0 };
            plain(header(command::BLOCK_STATUS, flags, offset, length), offset)
        }
    }
}

fn receive_exactly<T: Transport>(transport: &T, into: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < into.len() {
        match transport.receive(&mut into[done..], Patience::All)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

fn receive_array<T: Transport, const N: usize>(transport: &T) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    receive_exactly(transport, &mut bytes)?;
    Ok(bytes)
}

fn send_option<T: Transport>(transport: &T, number: u32, data: &[u8]) -> Result<()> {
    let mut bytes = OPTION_MAGIC.to_be_bytes().to_vec();
    bytes.extend(number.to_be_bytes());
    bytes.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(data);
    crate::server::send_all(transport, &bytes)
}

/// One reply to an option: its kind and data.
fn option_answer<T: Transport>(
    transport: &T,
    option: u32,
) -> std::result::Result<(u32, Vec<u8>), ConnectError> {
    let header: [u8; 20] = receive_array(transport)?;
    let mut fields = Fields(&header);
    let malformed = || ConnectError::Protocol("a reply to an option is malformed");
    let magic = fields.u64().ok_or_else(malformed)?;
    let (of, kind) = (fields.u32().ok_or_else(malformed)?, fields.u32().ok_or_else(malformed)?);
    let length = fields.u32().filter(|length| *length <= MAXIMUM_REPLY).ok_or_else(malformed)?;
    if magic != OPTION_REPLY_MAGIC || of != option {
        return Err(malformed());
    }
    let mut data = vec![0; length as usize];
    receive_exactly(transport, &mut data)?;
    Ok((kind, data))
}

/// The client's handshake, with structured replies and, where the server has it, `base:allocation`.
fn negotiate<T: Transport>(
    transport: &T,
    name: &str,
) -> std::result::Result<ExportInformation, ConnectError> {
    let greeting: [u8; 18] = receive_array(transport)?;
    let mut fields = Fields(&greeting);
    let magics = (fields.u64(), fields.u64());
    if magics != (Some(INITIAL_MAGIC), Some(OPTION_MAGIC)) {
        return Err(ConnectError::Protocol("no greeting"));
    }
    let flags = fields.u16().unwrap_or(0);
    if flags & FLAG_FIXED_NEWSTYLE == 0 {
        return Err(ConnectError::Protocol("no fixed newstyle"));
    }
    let ours = u32::from(FLAG_FIXED_NEWSTYLE | flags & FLAG_NO_ZEROES);
    crate::server::send_all(transport, &ours.to_be_bytes())?;
    send_option(transport, option::STRUCTURED_REPLY, &[])?;
    if option_answer(transport, option::STRUCTURED_REPLY)?.0 != option_reply::ACKNOWLEDGE {
        return Err(ConnectError::Protocol("no structured replies"));
    }
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut data = [&length[..], name.as_bytes(), &1_u32.to_be_bytes()].concat();
    data.extend(u32::try_from(ALLOCATION.len()).unwrap_or(0).to_be_bytes());
    data.extend(ALLOCATION.as_bytes());
    send_option(transport, option::SET_META_CONTEXT, &data)?;
    // Without it, states are refused later by the server; an export that is not there is told by the next option.
    while option_answer(transport, option::SET_META_CONTEXT)?.0 == option_reply::META_CONTEXT {}
    let wanted = [&1_u16.to_be_bytes()[..], &information::BLOCK_SIZE.to_be_bytes()].concat();
    send_option(transport, option::GO, &[&length[..], name.as_bytes(), &wanted].concat())?;
    let mut export = ExportInformation::new(0);
    let mut known = false;
    loop {
        let (kind, data) = option_answer(transport, option::GO)?;
        match kind {
            option_reply::INFO => known |= take_information(&mut export, &data),
            option_reply::ACKNOWLEDGE if known => return Ok(export),
            option_reply::ACKNOWLEDGE => return Err(ConnectError::Protocol("no size")),
            kind => {
                let message = String::from_utf8_lossy(&data).into_owned();
                let kind = match kind {
                    option_reply::UNKNOWN => OpenErrorKind::Unknown,
                    option_reply::SHUTDOWN => OpenErrorKind::Shutdown,
                    _ => OpenErrorKind::Denied,
                };
                return Err(ConnectError::Refused { kind, message });
            }
        }
    }
}

/// Takes one information of `NBD_OPT_GO`; says whether it was the one with the size.
fn take_information(export: &mut ExportInformation, data: &[u8]) -> bool {
    let mut fields = Fields(data);
    match fields.u16() {
        Some(information::EXPORT) => {
            let (Some(size), Some(flags)) = (fields.u64(), fields.u16()) else { return false };
            export.size = size;
            export.read_only = flags & transmission::READ_ONLY != 0;
            export.multi_connection = flags & transmission::MULTI_CONNECTION != 0;
            true
        }
        Some(information::BLOCK_SIZE) => {
            let sizes = (fields.u32(), fields.u32(), fields.u32());
            if let (Some(minimum), Some(preferred), Some(maximum)) = sizes
                && minimum.is_power_of_two()
                && minimum <= 1 << 16
            {
                export.minimum_block = minimum;
                export.preferred_block = preferred.max(minimum);
                export.maximum_payload = maximum.min(MAXIMUM_PAYLOAD);
            }
            false
        }
        _ => false,
    }
}

/// The reader's body.
fn read<T: Transport, B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static>(shared: &Arc<Shared<T, B>>) {
    while read_one(shared).is_ok() {}
    shared.transport.close();
    let waiting = {
        let mut state = shared.lock();
        state.lost = true;
        std::mem::take(&mut state.waiting)
    };
    shared.room.notify_all();
    for waiting in waiting.into_values() {
        (waiting.reply)(Err(lost()));
    }
}

fn nonsense() -> Error {
    Error::new(ErrorKind::InvalidData, "the server's reply makes no sense")
}

/// Takes one reply or chunk. While its data comes, what waits for it is held by this thread.
fn read_one<T: Transport, B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static>(
    shared: &Arc<Shared<T, B>>,
) -> Result<()> {
    let magic: [u8; 4] = receive_array(&*shared.transport)?;
    match u32::from_be_bytes(magic) {
        SIMPLE_REPLY_MAGIC => {
            let rest: [u8; 12] = receive_array(&*shared.transport)?;
            let mut fields = Fields(&rest);
            let (error, cookie) = (fields.u32().unwrap_or(0), fields.u64().unwrap_or(0));
            let mut waiting = take(shared, cookie)?;
            if error != 0 {
                waiting.failure = Some(failure(error, String::new()));
            } else if waiting.buffer.is_some() {
                (waiting.reply)(Err(lost()));
                return Err(nonsense());
            }
            finish(shared, waiting);
            Ok(())
        }
        STRUCTURED_REPLY_MAGIC => {
            let rest: [u8; 16] = receive_array(&*shared.transport)?;
            let mut fields = Fields(&rest);
            let (flags, kind) = (fields.u16().unwrap_or(0), fields.u16().unwrap_or(0));
            let (cookie, length) = (fields.u64().unwrap_or(0), fields.u32().unwrap_or(0));
            let mut waiting = take(shared, cookie)?;
            if let Err(error) = take_chunk(&*shared.transport, &mut waiting, kind, length) {
                (waiting.reply)(Err(lost()));
                return Err(error);
            }
            if flags & chunk::FLAG_DONE != 0 {
                finish(shared, waiting);
            } else {
                shared.lock().waiting.insert(cookie, waiting);
            }
            Ok(())
        }
        _ => Err(nonsense()),
    }
}

fn take<T: Transport, B>(shared: &Shared<T, B>, cookie: u64) -> Result<Waiting<B>> {
    shared.lock().waiting.remove(&cookie).ok_or_else(nonsense)
}

fn failure(number: u32, message: String) -> Failure {
    Failure { number: ErrorNumber::from_number(number), message: message.into() }
}

fn finish<T: Transport, B: AsRef<[u8]>>(shared: &Shared<T, B>, waiting: Waiting<B>) {
    let Waiting { reply, buffer, filled, status, failure, .. } = waiting;
    let result = match (failure, buffer, status) {
        (Some(failure), _, _) => Err(failure),
        (None, Some(buffer), _) if length(&filled) == buffer.as_ref().len() => Ok(Answer::Data(buffer)),
        (None, Some(_), _) => Err(Failure::new(ErrorNumber::Io, "the server sent less than was asked for")),
        (None, None, Some(extents)) => Ok(Answer::Status(extents)),
        (None, None, None) => Ok(Answer::Done),
    };
    if shared.lock().hopeful > 0 {
        shared.room.notify_all();
    }
    reply(result);
}

fn length(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(Range::len).sum()
}

/// The bytes of a buffer that a chunk is about; they come once.
fn place<B: AsRef<[u8]>>(waiting: &mut Waiting<B>, offset: u64, length: u32) -> Result<Range<usize>> {
    let buffer = waiting.buffer.as_ref().ok_or_else(nonsense)?;
    let start = offset.checked_sub(waiting.offset).and_then(|start| usize::try_from(start).ok());
    let start = start.ok_or_else(nonsense)?;
    let end = start.checked_add(length as usize).filter(|end| *end <= buffer.as_ref().len());
    let end = end.ok_or_else(nonsense)?;
    if waiting.filled.len() == MAXIMUM_CHUNKS
        || waiting.filled.iter().any(|other| other.start < end && start < other.end)
    {
        return Err(nonsense());
    }
    match waiting.filled.last_mut() {
        Some(last) if last.end == start => last.end = end,
        _ => waiting.filled.push(start..end),
    }
    Ok(start..end)
}

fn take_chunk<T: Transport, B: AsRef<[u8]> + AsMut<[u8]>>(
    transport: &T,
    waiting: &mut Waiting<B>,
    kind: u16,
    length: u32,
) -> Result<()> {
    if kind == chunk::OFFSET_DATA {
        let offset = u64::from_be_bytes(receive_array(transport)?);
        let range = place(waiting, offset, length.checked_sub(8).ok_or_else(nonsense)?)?;
        let buffer = waiting.buffer.as_mut().ok_or_else(nonsense)?;
        return receive_exactly(transport, &mut buffer.as_mut()[range]);
    }
    if length > MAXIMUM_REPLY {
        return Err(nonsense());
    }
    let mut data = vec![0; length as usize];
    receive_exactly(transport, &mut data)?;
    let mut fields = Fields(&data);
    match kind {
        chunk::NONE if length == 0 => {}
        chunk::OFFSET_HOLE => {
            let (Some(offset), Some(count)) = (fields.u64(), fields.u32()) else { return Err(nonsense()) };
            let range = place(waiting, offset, count)?;
            waiting.buffer.as_mut().ok_or_else(nonsense)?.as_mut()[range].fill(0);
        }
        chunk::BLOCK_STATUS => {
            // The one context that was asked for.
            let _ = fields.u32().ok_or_else(nonsense)?;
            let mut extents = Vec::new();
            while let (Some(length), Some(flags)) = (fields.u32(), fields.u32()) {
                extents.push(StatusExtent { length, flags });
            }
            if extents.is_empty() || extents.iter().any(|extent| extent.length == 0) {
                return Err(nonsense());
            }
            waiting.status = Some(extents);
        }
        chunk::ERROR | chunk::ERROR_OFFSET => {
            let (Some(number), Some(count)) = (fields.u32(), fields.u16()) else { return Err(nonsense()) };
            let count = usize::from(count);
            let text = fields.bytes(count).filter(|_| count <= MAXIMUM_TEXT).ok_or_else(nonsense)?;
            waiting.failure = Some(failure(number, String::from_utf8_lossy(text).into_owned()));
        }
        kind if kind & (1 << 15) != 0 => {
            waiting.failure = Some(Failure::new(ErrorNumber::Io, "an unknown error"));
        }
        _ => return Err(nonsense()),
    }
    Ok(())
}
