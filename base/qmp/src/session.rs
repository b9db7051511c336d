//! The client's side of a connection, without input or output.
//!
//! ```text
//!             greeting                        {} to qmp_capabilities
//! Greeting ────────────────> Negotiating ──────────────────────────> Ready
//!    └── anything else: error   └── an error, an answer to another id: error
//! ```
//!
//! Events may come in any state after the greeting.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use thiserror::Error;

use crate::message::{CommandError, Decoder, Event, Greeting, Message, ReadError};

/// Commands that may wait for an answer at the same time.
const OUTSTANDING_MAX: usize = 64;

/// What went wrong between us and QEMU.
#[derive(Debug, Error)]
pub enum QmpError {
    /// What came is not the protocol.
    #[error("QMP: {0}")]
    Read(#[from] ReadError),
    /// A message that does not belong here.
    #[error("QMP: {0}")]
    Protocol(&'static str),
    /// A command before the connection is ready, or one too many.
    #[error("QMP: the connection takes no command now")]
    NotReady,
    /// QEMU refused a command.
    #[error("QMP: {command}: {error}")]
    Refused {
        /// The command.
        command: String,
        /// Why.
        error: CommandError,
    },
    /// The socket.
    #[error("QMP: {0}")]
    Io(#[from] std::io::Error),
    /// QEMU closed the connection.
    #[error("QMP: QEMU closed the connection")]
    Closed,
}

/// Identity of a command on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(u64);

/// What a session hands out.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Commands are taken from now on.
    Ready(Greeting),
    /// The answer to a command.
    Answer(CommandId, Result<Value, CommandError>),
    /// Something happened.
    Event(Event),
}

#[derive(Debug)]
enum Phase {
    Greeting,
    Negotiating(Greeting),
    Ready,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    phase: Phase,
    next_id: u64,
    outstanding: BTreeSet<u64>,
    outgoing: Vec<u8>,
}

impl Session {
    /// A new connection, from which lines of at most `line_bytes_max` bytes are taken.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            decoder: Decoder::new(line_bytes_max),
            phase: Phase::Greeting,
            next_id: 1,
            outstanding: BTreeSet::new(),
            outgoing: Vec::new(),
        }
    }

    /// Takes bytes that QEMU wrote. [`Session::next_incoming`] is called until it has nothing before more is fed.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
    }

    /// Bytes to be written to QEMU.
    #[must_use]
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Whether commands are taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Queues a command; `arguments` is an object or null.
    ///
    /// # Errors
    /// [`QmpError::NotReady`].
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<CommandId, QmpError> {
        if !self.is_ready() || self.outstanding.len() >= OUTSTANDING_MAX {
            return Err(QmpError::NotReady);
        }
        Ok(CommandId(self.send(command, arguments)))
    }

    fn send(&mut self, command: &str, arguments: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = json!({ "execute": command, "id": id });
        if !arguments.is_null() {
            line["arguments"] = arguments;
        }
        self.outgoing.extend_from_slice(line.to_string().as_bytes());
        self.outgoing.push(b'\n');
        self.outstanding.insert(id);
        id
    }

    /// What came, one at a time; `None` until more is fed.
    ///
    /// # Errors
    /// [`QmpError::Read`], [`QmpError::Protocol`], [`QmpError::Refused`] (the capabilities): the connection is to be
    /// closed.
    pub fn next_incoming(&mut self) -> Result<Option<Incoming>, QmpError> {
        while let Some(message) = self.decoder.next_message()? {
            match (message, std::mem::replace(&mut self.phase, Phase::Ready)) {
                (Message::Greeting(greeting), Phase::Greeting) => {
                    self.send("qmp_capabilities", Value::Null);
                    self.phase = Phase::Negotiating(greeting);
                }
                (_, Phase::Greeting) => {
                    self.phase = Phase::Greeting;
                    return Err(QmpError::Protocol("no greeting"));
                }
                (Message::Greeting(_), _) => return Err(QmpError::Protocol("a second greeting")),
                (Message::Event(event), phase) => {
                    self.phase = phase;
                    return Ok(Some(Incoming::Event(event)));
                }
                (Message::Reply(reply), phase) => {
                    let Some(id) = reply.id.filter(|id| self.outstanding.remove(id)) else {
                        return Err(QmpError::Protocol("an answer that nobody waits for"));
                    };
                    let Phase::Negotiating(greeting) = phase else {
                        return Ok(Some(Incoming::Answer(CommandId(id), reply.outcome)));
                    };
                    return match reply.outcome {
                        Ok(_) => Ok(Some(Incoming::Ready(greeting))),
                        Err(error) => {
                            Err(QmpError::Refused { command: "qmp_capabilities".to_owned(), error })
                        }
                    };
                }
            }
        }
        Ok(None)
    }
}
