//! What the program behind the server gets for each session.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cancellation::Cancellation;
use crate::channel::Channel;
use crate::output::{Output, OutputStream};
use crate::terminal::Terminal;

/// What the client asked to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionKind {
    /// An interactive shell.
    Shell,
    /// One command line, as sent.
    Exec(String),
    /// A command line that cannot be run: the host says why.
    Unusable(CommandLineProblem),
}

/// Why a command line cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandLineProblem {
    /// It has more bytes than [`crate::limits::COMMAND_LINE_LENGTH`].
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// It has a NUL byte, which no command line can hold.
    HasNul,
}

impl std::fmt::Display for CommandLineProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => {
                write!(formatter, "it has more than {} bytes", crate::limits::COMMAND_LINE_LENGTH)
            }
            Self::NotText => formatter.write_str("it is not a text in UTF-8"),
            Self::HasNul => formatter.write_str("it has a NUL byte"),
        }
    }
}

/// Checks a command line.
pub(crate) fn command_line(bytes: &[u8]) -> Result<&str, CommandLineProblem> {
    if bytes.len() > crate::limits::COMMAND_LINE_LENGTH {
        return Err(CommandLineProblem::TooLong);
    }
    let line = std::str::from_utf8(bytes).map_err(|_| CommandLineProblem::NotText)?;
    if line.contains('\0') { Err(CommandLineProblem::HasNul) } else { Ok(line) }
}

/// Who asked for a session, and how.
#[derive(Debug, Clone)]
pub struct SessionRequest {
    /// The login name as sent, a route included.
    pub user: String,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// A shell or a command.
    pub kind: SessionKind,
    /// Variables that the client set, in its order, the last value of each name; not vetted.
    pub environment: Vec<(String, String)>,
    /// The terminal, when the client asked for one.
    pub terminal: Option<Terminal>,
}

/// One running session: the request, the streams and the cancellation.
#[derive(Debug)]
pub struct Session {
    /// Who asked, and for what.
    pub request: SessionRequest,
    /// What the client sends.
    pub input: ChannelReader,
    /// Standard output.
    pub output: ChannelWriter,
    /// Standard error; with a terminal the same stream as `output`.
    pub error: ChannelWriter,
    /// Fires when the channel closes, the connection drops, or the client sends a signal.
    pub cancellation: Cancellation,
}

/// The session's standard input. Reads block until there is a byte; 0 is the client's end of
/// file. After a cancellation reads fail with [`io::ErrorKind::ConnectionAborted`]; when the
/// client sent more than it was allowed they fail with [`io::ErrorKind::OutOfMemory`].
pub struct ChannelReader {
    channel: Arc<Channel>,
}

impl std::fmt::Debug for ChannelReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ChannelReader")
    }
}

impl ChannelReader {
    pub(crate) fn new(channel: Arc<Channel>) -> Self {
        Self { channel }
    }

    /// Like [`io::Read::read`], but waits no longer than `timeout`; `Ok(None)` when nothing came.
    ///
    /// # Errors
    /// As for reading.
    pub fn read_timeout(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Option<usize>> {
        self.channel.input().read(buffer, Some(timeout))
    }
}

impl io::Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.channel.input().read(buffer, None)?.unwrap_or_default())
    }
}

/// One of the session's output streams. A write blocks until the client's window takes it, and
/// fails with [`io::ErrorKind::BrokenPipe`] when the channel is gone or the session has returned.
/// Each write is at least one packet: batch small ones in a [`io::BufWriter`]. It must not be
/// used in the callbacks of [`Cancellation`] and [`Terminal`].
#[derive(Clone)]
pub struct ChannelWriter {
    output: Arc<Output>,
    stream: OutputStream,
    terminal: Option<Terminal>,
}

impl std::fmt::Debug for ChannelWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ChannelWriter").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl ChannelWriter {
    pub(crate) fn new(output: Arc<Output>, stream: OutputStream, terminal: Option<Terminal>) -> Self {
        Self { output, stream, terminal }
    }
}

impl io::Write for ChannelWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.output.write(self.stream, data, self.terminal.as_ref())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_checked() {
        let longest = "x".repeat(crate::limits::COMMAND_LINE_LENGTH);
        let too_long = format!("{longest}x");
        for (line, expected) in [
            (&b"lssyscfg -r sys"[..], Ok("lssyscfg -r sys")),
            (b"", Ok("")),
            (longest.as_bytes(), Ok(&*longest)),
            (too_long.as_bytes(), Err(CommandLineProblem::TooLong)),
            (b"echo \xff", Err(CommandLineProblem::NotText)),
            (b"echo \0", Err(CommandLineProblem::HasNul)),
        ] {
            assert_eq!(command_line(line), expected);
        }
    }
}
