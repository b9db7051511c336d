//! What a command reads from and writes to.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cancellation::Cancellation;
use crate::limits::{LimitReached, Meter};
use crate::terminal::Terminal;
use crate::variables::Variables;

/// Bytes that an [`Input`] asks its source for at once.
const READ_BYTES: usize = 8 * 1024;

/// Somewhere to read bytes from. Shared by all commands that have it as standard input.
pub trait ByteSource: Send + Sync {
    /// Reads at least one byte, waiting for it; `Ok(0)` is the end.
    ///
    /// # Errors
    /// What the source fails with; `ConnectionAborted` when the cancellation is set while waiting.
    fn read(&self, buffer: &mut [u8], cancellation: &Arc<Cancellation>) -> io::Result<usize>;

    /// Whether a person types it.
    fn is_terminal(&self) -> bool {
        false
    }
}

/// Somewhere to write bytes to. Shared by all commands that have it as standard output or error.
pub trait ByteSink: Send + Sync {
    /// Writes everything, waiting for room.
    ///
    /// # Errors
    /// `BrokenPipe` when nobody reads any more; `ConnectionAborted` when the cancellation is set while
    /// waiting.
    fn write_all(&self, bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()>;

    /// Whether a person sees it.
    fn is_terminal(&self) -> bool {
        false
    }
}

/// The error of a read or write that was cancelled.
pub(crate) fn cancelled_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cancelled")
}

struct Buffered {
    bytes: Vec<u8>,
    position: usize,
    ended: bool,
}

struct InputShared {
    source: Arc<dyn ByteSource>,
    buffer: Mutex<Buffered>,
}

/// A standard input. Clones share the position, and what one command left unread the next one gets.
#[derive(Clone)]
pub struct Input {
    shared: Arc<InputShared>,
    cancellation: Arc<Cancellation>,
}

impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Input").field("is_terminal", &self.is_terminal()).finish()
    }
}

impl Input {
    /// An input over a source; reads end when the cancellation is set.
    pub fn new(source: Arc<dyn ByteSource>, cancellation: &Arc<Cancellation>) -> Self {
        let buffer = Mutex::new(Buffered { bytes: Vec::new(), position: 0, ended: false });
        Self { shared: Arc::new(InputShared { source, buffer }), cancellation: cancellation.clone() }
    }

    /// The same input, whose waiting reads end when another cancellation is set.
    #[must_use]
    pub fn with_cancellation(&self, cancellation: &Arc<Cancellation>) -> Self {
        Self { shared: self.shared.clone(), cancellation: cancellation.clone() }
    }

    /// An input that is at its end, like `/dev/null`.
    pub fn empty() -> Self {
        Self::from_bytes(Vec::new())
    }

    /// An input that gives the bytes and then ends.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        struct Nothing;
        impl ByteSource for Nothing {
            fn read(&self, _: &mut [u8], _: &Arc<Cancellation>) -> io::Result<usize> {
                Ok(0)
            }
        }
        let input = Self::new(Arc::new(Nothing), &Cancellation::new());
        input.lock().bytes = bytes;
        input
    }

    /// An input over any reader, such as an open file.
    pub fn from_reader(reader: Box<dyn Read + Send>, cancellation: &Arc<Cancellation>) -> Self {
        struct Wrapped(Mutex<Box<dyn Read + Send>>);
        impl ByteSource for Wrapped {
            fn read(&self, buffer: &mut [u8], cancellation: &Arc<Cancellation>) -> io::Result<usize> {
                if cancellation.is_cancelled() {
                    return Err(cancelled_error());
                }
                self.0.lock().unwrap_or_else(PoisonError::into_inner).read(buffer)
            }
        }
        Self::new(Arc::new(Wrapped(Mutex::new(reader))), cancellation)
    }

    /// Whether a person types it.
    pub fn is_terminal(&self) -> bool {
        self.shared.source.is_terminal()
    }

    /// Appends bytes up to and with the delimiter, or to the end. Returns how many came; 0 is the end.
    ///
    /// # Errors
    /// What the source fails with; `OutOfMemory` when more than `limit` bytes come without a delimiter.
    pub fn read_until(&self, delimiter: u8, line: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let mut total = 0;
        let mut buffer = self.lock();
        loop {
            if !self.fill(&mut buffer)? {
                return Ok(total);
            }
            let waiting = &buffer.bytes[buffer.position..];
            let found = waiting.iter().position(|byte| *byte == delimiter);
            let count = found.map_or(waiting.len(), |index| index + 1);
            line.extend_from_slice(&waiting[..count]);
            buffer.position += count;
            total += count;
            if found.is_some() {
                return Ok(total);
            }
            if total > limit {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
    }

    /// Whether a read would be answered from what is already here.
    pub(crate) fn has_buffered(&self) -> bool {
        let buffer = self.lock();
        buffer.position < buffer.bytes.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Buffered> {
        self.shared.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that something is buffered; false at the end.
    fn fill(&self, buffer: &mut Buffered) -> io::Result<bool> {
        if buffer.position < buffer.bytes.len() {
            return Ok(true);
        }
        if buffer.ended {
            return Ok(false);
        }
        buffer.bytes.resize(READ_BYTES, 0);
        buffer.position = 0;
        let result = self.shared.source.read(&mut buffer.bytes, &self.cancellation);
        let count = *result.as_ref().unwrap_or(&0);
        buffer.bytes.truncate(count);
        result?;
        // A terminal may go on after an end of file; everything else has ended.
        buffer.ended = count == 0 && !self.is_terminal();
        Ok(count > 0)
    }
}

impl Read for &Input {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let mut buffer = self.lock();
        if target.is_empty() || !self.fill(&mut buffer)? {
            return Ok(0);
        }
        let count = target.len().min(buffer.bytes.len() - buffer.position);
        target[..count].copy_from_slice(&buffer.bytes[buffer.position..buffer.position + count]);
        buffer.position += count;
        Ok(count)
    }
}

impl Read for Input {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        (&*self).read(target)
    }
}

/// A standard output or error. Every write goes to the sink at once; a command buffers for itself.
#[derive(Clone)]
pub struct Output {
    sink: Arc<dyn ByteSink>,
    cancellation: Arc<Cancellation>,
    meter: Option<Arc<Meter>>,
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Output").field("is_terminal", &self.is_terminal()).finish()
    }
}

struct Discard;

impl ByteSink for Discard {
    fn write_all(&self, _: &[u8], _: &Arc<Cancellation>) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    /// An output over a sink; waiting writes end when the cancellation is set.
    pub fn new(sink: Arc<dyn ByteSink>, cancellation: &Arc<Cancellation>) -> Self {
        Self { sink, cancellation: cancellation.clone(), meter: None }
    }

    /// An output that drops everything, like `/dev/null`.
    pub fn discard() -> Self {
        Self::new(Arc::new(Discard), &Cancellation::new())
    }

    /// The same output, counted by a run's meter.
    pub(crate) fn metered(&self, meter: &Arc<Meter>) -> Self {
        Self { sink: self.sink.clone(), cancellation: meter.cancellation.clone(), meter: Some(meter.clone()) }
    }

    /// Whether a person sees it.
    pub fn is_terminal(&self) -> bool {
        self.sink.is_terminal()
    }

    /// Writes everything.
    ///
    /// # Errors
    /// As [`ByteSink::write_all`]; `ConnectionAborted` also when the run's output limit is passed.
    pub fn write_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(meter) = &self.meter
            && !meter.charge_output(bytes.len())
        {
            return Err(cancelled_error());
        }
        if self.cancellation.is_cancelled() {
            return Err(cancelled_error());
        }
        let written = self.sink.write_all(bytes, &self.cancellation);
        // A collection that is full ends the run: whoever writes need not know what it writes to.
        if let (Err(error), Some(meter)) = (&written, &self.meter)
            && error.kind() == io::ErrorKind::OutOfMemory
        {
            meter.fail(LimitReached::Expansion(meter.limits.expansion_bytes));
        }
        written
    }

    /// Writes past the meter, for the message that says that a limit was reached.
    pub(crate) fn write_message(&self, bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()> {
        self.sink.write_all(bytes, cancellation)
    }
}

impl Write for &Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_bytes(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink over any writer, such as a socket or a file. Every write is flushed. A writer that blocks is not
/// woken by a cancellation.
pub struct WriteSink {
    writer: Mutex<Box<dyn Write + Send>>,
    terminal: bool,
}

impl WriteSink {
    /// A sink over a writer; `terminal`: a person sees it.
    pub fn new(writer: Box<dyn Write + Send>, terminal: bool) -> Arc<Self> {
        Arc::new(Self { writer: Mutex::new(writer), terminal })
    }
}

impl ByteSink for WriteSink {
    fn write_all(&self, bytes: &[u8], _: &Arc<Cancellation>) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes)?;
        writer.flush()
    }

    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

/// Collects what is written, up to a limit; for tests and for `$(...)`.
#[derive(Debug)]
pub struct Capture {
    bytes: Mutex<Vec<u8>>,
    limit: usize,
}

impl Capture {
    /// An empty collection of at most `limit` bytes; a write beyond it fails with `OutOfMemory`, which ends
    /// a shell's run.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new(Vec::new()), limit })
    }

    /// Takes what was collected so far.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ByteSink for Capture {
    fn write_all(&self, bytes: &[u8], _: &Arc<Cancellation>) -> io::Result<()> {
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        held.extend_from_slice(bytes);
        Ok(())
    }
}

/// Where a whole run reads and writes: what the caller of a shell provides.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Standard input.
    pub input: Input,
    /// Standard output.
    pub output: Output,
    /// Standard error. May be the same sink as the output.
    pub error: Output,
    /// The terminal, when the run has one.
    pub terminal: Option<Arc<Terminal>>,
    /// Set by the caller to stop the run.
    pub cancellation: Arc<Cancellation>,
}

/// What one console command gets from the shell.
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    /// Standard input; `&Input` implements [`Read`].
    pub input: &'a Input,
    /// Standard output; `&Output` implements [`Write`]. Each write goes out at once. A `BrokenPipe` error
    /// means that nobody reads any more: the command should end.
    pub output: &'a Output,
    /// Standard error.
    pub error: &'a Output,
    /// The user's terminal, if there is one, even when the standard streams are redirected.
    pub terminal: Option<&'a Arc<Terminal>>,
    /// The command must end soon after this is set.
    pub cancellation: &'a Arc<Cancellation>,
    /// The shell's variables; [`Variables::exported`] gives what a program would see (`LANG`).
    pub variables: &'a Variables,
}
