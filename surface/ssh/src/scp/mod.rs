//! The server's side of the old scp protocol (`scp -O`).

mod command;
mod receive;
mod send;

use std::io::{self, Read, Write};

use crate::channel::Owner;
use crate::home::HomeError;
use crate::limits;
use crate::session::Session;

pub(crate) use command::{Direction, ScpCommand, parse_command};

/// The acknowledgement of a message.
const DONE: u8 = 0;
/// An error after which the copy goes on.
const WARNING: u8 = 1;
/// An error that ends the copy.
const FATAL: u8 = 2;

/// Why a copy ended early.
#[derive(Debug, thiserror::Error)]
enum ScpError {
    /// The other side, or the connection to it, is gone: nothing can be said.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// The other side ended the copy and knows why.
    #[error("the client ended the copy")]
    Ended,
    /// The other side broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The home cannot be used.
    #[error("{0}")]
    Unavailable(String),
}

/// Runs one copy; returns the exit status.
pub(crate) fn serve(owner: &Owner, command: Result<ScpCommand, String>, session: Session) -> u8 {
    let mut peer = Peer { session, failed: false };
    let outcome = run(owner, command, &mut peer);
    match outcome {
        Ok(()) => u8::from(peer.failed),
        Err(ScpError::Connection(_) | ScpError::Ended) => 1,
        Err(error) => {
            // The client may be gone, then nobody needs the reason.
            drop(peer.send_error(FATAL, &error.to_string()));
            1
        }
    }
}

fn run(owner: &Owner, command: Result<ScpCommand, String>, peer: &mut Peer) -> Result<(), ScpError> {
    let command = command.map_err(ScpError::Unavailable)?;
    let directory = owner
        .host
        .home_directory(&owner.user)
        .ok_or_else(|| ScpError::Unavailable("scp is not available to this user".to_owned()))?;
    let home = owner
        .homes
        .open(&directory)
        .map_err(|error| ScpError::Unavailable(format!("home directory: {error}")))?;
    match command.direction {
        Direction::Receive => receive::run(&home, &command, peer),
        Direction::Send => send::run(&home, &command, peer),
    }
}

/// The client's end of the copy.
struct Peer {
    session: Session,
    /// An error has been reported: the exit status is 1.
    failed: bool,
}

impl Peer {
    fn acknowledge(&mut self) -> Result<(), ScpError> {
        Ok(self.session.output.write_all(&[DONE])?)
    }

    fn send(&mut self, data: &[u8]) -> Result<(), ScpError> {
        Ok(self.session.output.write_all(data)?)
    }

    fn send_error(&mut self, kind: u8, text: &str) -> Result<(), ScpError> {
        self.failed = true;
        let mut message = vec![kind];
        message.extend(b"scp: ");
        // A message is one line.
        message.extend(text.bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
        message.push(b'\n');
        self.send(&message)
    }

    /// Reports an error about one file; the copy goes on with the next.
    fn warn(&mut self, name: &[u8], error: &HomeError) -> Result<(), ScpError> {
        self.send_error(WARNING, &format!("{}: {error}", String::from_utf8_lossy(name)))
    }

    /// Waits for the answer to a message; false when the client refused it.
    fn answer(&mut self) -> Result<bool, ScpError> {
        let mut kind = [0];
        self.session.input.read_exact(&mut kind)?;
        match kind[0] {
            DONE => Ok(true),
            WARNING => {
                self.failed = true;
                self.line(&mut Vec::new())?;
                Ok(false)
            }
            FATAL => Err(ScpError::Ended),
            _ => Err(ScpError::Protocol("an unknown answer")),
        }
    }

    /// Reads a message's line without its newline; false at the end of the input before it.
    fn line(&mut self, line: &mut Vec<u8>) -> Result<bool, ScpError> {
        line.clear();
        loop {
            let mut byte = [0];
            if self.session.input.read(&mut byte)? == 0 {
                return if line.is_empty() {
                    Ok(false)
                } else {
                    Err(ScpError::Protocol("the input ends in a message"))
                };
            }
            match byte[0] {
                b'\n' => return Ok(true),
                _ if line.len() >= limits::SCP_LINE => {
                    return Err(ScpError::Protocol("a message is too long"));
                }
                byte => line.push(byte),
            }
        }
    }
}
