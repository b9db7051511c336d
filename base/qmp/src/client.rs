//! A client that waits for its answers.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::LINE_BYTES_MAX;
use crate::message::{Event, Greeting};
use crate::session::{Incoming, QmpError, Session};

/// Events that wait to be taken; the oldest goes first beyond that.
const EVENTS_KEPT: usize = 256;

/// A connection to a QEMU's QMP socket.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    session: Session,
    greeting: Greeting,
    events: VecDeque<Event>,
}

impl Client {
    /// Connects to the socket at `path`. QEMU must say something within `patience` whenever it is waited for.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn connect(path: &Path, patience: Duration) -> Result<Self, QmpError> {
        Self::over(UnixStream::connect(path)?, patience)
    }

    /// As [`Client::connect`], over a socket that is connected already.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn over(stream: UnixStream, patience: Duration) -> Result<Self, QmpError> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut client = Self {
            stream,
            session: Session::new(LINE_BYTES_MAX),
            greeting: Greeting {
                version: crate::Version { major: 0, minor: 0, micro: 0 },
                package: String::new(),
                capabilities: Vec::new(),
            },
            events: VecDeque::new(),
        };
        loop {
            if let Incoming::Ready(greeting) = client.wait()? {
                client.greeting = greeting;
                return Ok(client);
            }
        }
    }

    /// What QEMU said about itself.
    #[must_use]
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Runs a command and waits for its answer; `arguments` is an object or null.
    ///
    /// # Errors
    /// [`QmpError`]; after all but [`QmpError::Refused`] the connection is of no more use.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let id = self.session.execute(command, arguments)?;
        loop {
            match self.wait()? {
                Incoming::Answer(answered, outcome) if answered == id => {
                    return outcome.map_err(|error| QmpError::Refused { command: command.to_owned(), error });
                }
                _ => {}
            }
        }
    }

    /// The next event; waits for one where none came yet.
    ///
    /// # Errors
    /// [`QmpError`]; a time-out is an [`QmpError::Io`].
    pub fn next_event(&mut self) -> Result<Event, QmpError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.wait()?;
        }
    }

    /// Waits for one thing; an event is also kept.
    fn wait(&mut self) -> Result<Incoming, QmpError> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let incoming = self.session.next_incoming()?;
            self.stream.write_all(&self.session.take_outgoing())?;
            if let Some(incoming) = incoming {
                if let Incoming::Event(event) = &incoming {
                    if self.events.len() == EVENTS_KEPT {
                        self.events.pop_front();
                    }
                    self.events.push_back(event.clone());
                }
                return Ok(incoming);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(QmpError::Closed),
                Ok(length) => self.session.feed(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
