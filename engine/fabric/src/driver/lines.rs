//! Links between places of two processes: named lines over one stream socket.
//!
//! The side that connects opens lines by name and numbers them; a line carries frames and carriers both ways once the other
//! side has a port of that name. What the socket has no room for is dropped, as a cable's device drops it; openings and
//! carriers are not. When the connection ends, all its lines lose their carrier.
//!
//! ```text
//!   message: length (4 bytes, little-endian, of what follows), kind (1), line (4), rest
//!     1 open     name
//!     2 close
//!     3 carrier  0 or 1
//!     4 frame    tag present (1), tag (2), checksum start (2), checksum offset (2), segment size (2), flags (1), header (2), bytes
//! ```

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, Weak};

use varan_ethernet::{Frame, LARGE_SEND_BYTES, Offload, VlanTag};

use super::{Endpoint, Sink, Wiring, lock};

/// Bytes that wait to be written at most; frames beyond are dropped.
const WAITING_BYTES: usize = 4 << 20;
/// Longest message: a frame that is still to be cut, and its fields.
const MESSAGE_BYTES: usize = LARGE_SEND_BYTES + 64;
/// Frames that are read before they are handed on.
const READ_FRAMES: usize = 64;
const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const CARRIER: u8 = 3;
const FRAME: u8 = 4;
/// Bytes of a frame message before the frame's own.
const FRAME_FIELDS: usize = 12;

/// Ports of this process that lines of other processes may lead to.
pub struct Lines {
    wiring: Wiring,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bound: HashMap<String, Endpoint>,
    connections: Vec<Weak<Connection>>,
}

/// One connection.
struct Connection {
    /// This side numbers lines.
    opens: bool,
    outgoing: Mutex<Outgoing>,
    written: Condvar,
    lines: Mutex<Numbers>,
}

#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    ended: bool,
}

#[derive(Default)]
struct Numbers {
    by_name: HashMap<String, u32>,
    by_number: HashMap<u32, String>,
    /// Lines with a port at this side.
    ports: HashMap<u32, Endpoint>,
    next: u32,
}

impl Connection {
    fn new(opens: bool) -> Arc<Self> {
        Arc::new(Self { opens, outgoing: Mutex::default(), written: Condvar::new(), lines: Mutex::default() })
    }

    fn write(&self, kind: u8, line: u32, rest: &[u8]) {
        let mut outgoing = lock(&self.outgoing);
        append(&mut outgoing.bytes, kind, line, rest);
        drop(outgoing);
        self.written.notify_one();
    }

    fn write_frames(&self, line: u32, frames: &mut Vec<Frame>) {
        let mut outgoing = lock(&self.outgoing);
        for frame in &*frames {
            if outgoing.bytes.len() < WAITING_BYTES {
                append_frame(&mut outgoing.bytes, line, frame);
            }
        }
        drop(outgoing);
        self.written.notify_one();
    }

    fn end(&self) {
        lock(&self.outgoing).ended = true;
        self.written.notify_one();
    }

    /// The writing thread's life.
    fn write_out(&self, mut stream: &UnixStream) {
        let mut bytes = Vec::new();
        loop {
            let mut outgoing = lock(&self.outgoing);
            while outgoing.bytes.is_empty() && !outgoing.ended {
                outgoing = self.written.wait(outgoing).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            if outgoing.ended {
                return;
            }
            bytes.clear();
            std::mem::swap(&mut bytes, &mut outgoing.bytes);
            drop(outgoing);
            if stream.write_all(&bytes).is_err() {
                // The reading side finds out as well and ends the connection.
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }
}

fn append(bytes: &mut Vec<u8>, kind: u8, line: u32, rest: &[u8]) {
    let length = u32::try_from(rest.len() + 5).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&line.to_le_bytes());
    bytes.extend_from_slice(rest);
}

fn append_frame(bytes: &mut Vec<u8>, line: u32, frame: &Frame) {
    let length = u32::try_from(frame.bytes().len() + FRAME_FIELDS + 5).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.push(FRAME);
    bytes.extend_from_slice(&line.to_le_bytes());
    let tag = frame.tag.map_or(0, VlanTag::bits);
    let (start, offset) = frame.offload.checksum.unwrap_or_default();
    let (size, version_6) = frame.offload.segment.unwrap_or_default();
    let flags = u8::from(frame.offload.checksum.is_some())
        | u8::from(frame.offload.segment.is_some()) << 1
        | u8::from(version_6) << 2;
    bytes.push(u8::from(frame.tag.is_some()));
    for field in [tag, start, offset, size] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.push(flags);
    bytes.extend_from_slice(&frame.offload.header_bytes.to_le_bytes());
    bytes.extend_from_slice(frame.bytes());
}

fn read_frame(rest: &[u8]) -> Option<Frame> {
    let (fields, bytes) = rest.split_at_checked(FRAME_FIELDS)?;
    let field = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
    let mut frame = Frame::new(bytes.to_vec()).ok()?;
    frame.tag = (fields[0] == 1).then(|| VlanTag::from_bits(field(1)));
    let flags = fields[9];
    frame.offload = Offload {
        checksum: (flags & 1 != 0).then(|| (field(3), field(5))),
        segment: (flags & 2 != 0).then(|| (field(7), flags & 4 != 0)),
        header_bytes: field(10),
    };
    Some(frame)
}

/// Sends what leaves a port over its line.
struct LineSink {
    connection: Arc<Connection>,
    line: u32,
}

impl Sink for LineSink {
    fn deliver(&mut self, frames: &mut Vec<Frame>) {
        self.connection.write_frames(self.line, frames);
    }

    fn carrier(&mut self, up: bool) {
        self.connection.write(CARRIER, self.line, &[u8::from(up)]);
    }
}

impl Lines {
    /// No port yet.
    #[must_use]
    pub fn new(wiring: Wiring) -> Self {
        Self { wiring, state: Mutex::default() }
    }

    /// A port is to be reached by this name. One that had it loses it.
    pub fn bind(&self, name: &str, endpoint: Endpoint) {
        let mut state = lock(&self.state);
        state.bound.insert(name.to_owned(), endpoint);
        state.connections.retain(|connection| connection.strong_count() > 0);
        for connection in state.connections.iter().filter_map(Weak::upgrade) {
            self.connect(&connection, name, endpoint);
        }
    }

    /// No port has this name any more.
    pub fn unbind(&self, name: &str) {
        let mut state = lock(&self.state);
        let Some(endpoint) = state.bound.remove(name) else { return };
        self.wiring.detach(endpoint);
        for connection in state.connections.iter().filter_map(Weak::upgrade) {
            let mut lines = lock(&connection.lines);
            let Some(line) = lines.by_name.get(name).copied() else { continue };
            lines.ports.remove(&line);
            if connection.opens {
                lines.by_name.remove(name);
                lines.by_number.remove(&line);
                connection.write(CLOSE, line, &[]);
            } else {
                connection.write(CARRIER, line, &[0]);
            }
        }
    }

    /// A line of a connection has a port at this side, if both know its name.
    fn connect(&self, connection: &Arc<Connection>, name: &str, endpoint: Endpoint) {
        let mut lines = lock(&connection.lines);
        let line = match lines.by_name.get(name) {
            Some(line) => *line,
            None if connection.opens => {
                let line = lines.next;
                lines.next += 1;
                lines.by_name.insert(name.to_owned(), line);
                lines.by_number.insert(line, name.to_owned());
                connection.write(OPEN, line, name.as_bytes());
                line
            }
            None => return,
        };
        lines.ports.insert(line, endpoint);
        drop(lines);
        self.wiring.attach(endpoint, LineSink { connection: connection.clone(), line });
    }

    /// Carries lines over a connection until it ends. `opens` on the side that connected.
    ///
    /// # Errors
    /// Whatever ended the connection; none when the other side closed it.
    pub fn carry(&self, stream: &UnixStream, opens: bool) -> io::Result<()> {
        let connection = Connection::new(opens);
        {
            let mut state = lock(&self.state);
            state.connections.push(Arc::downgrade(&connection));
            if opens {
                let bound: Vec<_> = state.bound.iter().map(|(name, at)| (name.clone(), *at)).collect();
                for (name, endpoint) in bound {
                    self.connect(&connection, &name, endpoint);
                }
            }
        }
        let result = std::thread::scope(|scope| {
            let writer = connection.clone();
            scope.spawn(move || writer.write_out(stream));
            let result = self.read_in(&connection, stream);
            connection.end();
            result
        });
        let ports: Vec<Endpoint> = lock(&connection.lines).ports.drain().map(|(_, port)| port).collect();
        for port in ports {
            self.wiring.detach(port);
        }
        result
    }

    fn read_in(&self, connection: &Arc<Connection>, stream: &UnixStream) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(256 << 10, stream);
        let mut message = Vec::new();
        let mut batch: (Option<Endpoint>, Vec<Frame>) = (None, Vec::new());
        loop {
            if batch.1.len() >= READ_FRAMES || reader.buffer().len() < 4 {
                self.hand_on(&mut batch);
            }
            let mut length = [0; 4];
            match reader.read_exact(&mut length) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                other => other?,
            }
            let length = u32::from_le_bytes(length) as usize;
            if !(5..=MESSAGE_BYTES).contains(&length) {
                return Err(io::Error::other("a message of a wrong length"));
            }
            message.resize(length, 0);
            reader.read_exact(&mut message)?;
            let line = u32::from_le_bytes([message[1], message[2], message[3], message[4]]);
            let rest = &message[5..];
            if message[0] == FRAME {
                let port = lock(&connection.lines).ports.get(&line).copied();
                if batch.0 != port {
                    self.hand_on(&mut batch);
                }
                batch.0 = port;
                batch.1.extend(read_frame(rest).filter(|_| port.is_some()));
            } else {
                self.hand_on(&mut batch);
                self.control(connection, message[0], line, rest)?;
            }
        }
    }

    fn hand_on(&self, (port, frames): &mut (Option<Endpoint>, Vec<Frame>)) {
        if let Some(port) = port {
            self.wiring.send(*port, frames);
        }
    }

    fn control(&self, connection: &Arc<Connection>, kind: u8, line: u32, rest: &[u8]) -> io::Result<()> {
        match kind {
            OPEN if !connection.opens => {
                let name = String::from_utf8_lossy(rest).into_owned();
                let state = lock(&self.state);
                {
                    let mut lines = lock(&connection.lines);
                    lines.by_name.insert(name.clone(), line);
                    lines.by_number.insert(line, name.clone());
                }
                if let Some(endpoint) = state.bound.get(&name).copied() {
                    self.connect(connection, &name, endpoint);
                }
            }
            CLOSE if !connection.opens => {
                let mut lines = lock(&connection.lines);
                if let Some(name) = lines.by_number.remove(&line) {
                    lines.by_name.remove(&name);
                }
                if let Some(endpoint) = lines.ports.remove(&line) {
                    self.wiring.detach(endpoint);
                }
            }
            CARRIER => {
                let port = lock(&connection.lines).ports.get(&line).copied();
                if let Some(port) = port {
                    self.wiring.carrier(port, rest == [1]);
                }
            }
            _ => return Err(io::Error::other("a message of an unknown kind")),
        }
        Ok(())
    }
}

/// A frame written and read again.
#[cfg(test)]
pub(super) fn round(frame: &Frame) -> Option<Frame> {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, 0, frame);
    read_frame(&bytes[9..])
}
