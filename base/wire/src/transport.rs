//! Byte streams in both directions, and how to end them.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that an in-memory stream holds in each direction before its writer waits.
const PIPE_LIMIT: usize = 64 * 1024;

/// The two directions of a connection. They are used by different threads; `close` ends both, also while a
/// thread waits in them.
pub struct Transport {
    pub(crate) reader: Box<dyn Read + Send>,
    pub(crate) writer: Box<dyn Write + Send>,
    pub(crate) close: Arc<dyn Fn() + Send + Sync>,
}

impl Transport {
    /// A connection from its parts. `close` must make pending and later reads and writes end.
    pub fn new(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        close: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { reader: Box::new(reader), writer: Box::new(writer), close: Arc::new(close) }
    }

    /// A connected Unix socket.
    ///
    /// # Errors
    /// If the socket cannot be duplicated.
    pub fn unix(stream: UnixStream) -> io::Result<Self> {
        let (writer, closer) = (stream.try_clone()?, stream.try_clone()?);
        Ok(Self::new(stream, writer, move || {
            // It may be closed already, which is what is wanted.
            let _closed = closer.shutdown(Shutdown::Both);
        }))
    }

    /// A connected TCP socket. Small messages are sent at once.
    ///
    /// # Errors
    /// If the socket cannot be duplicated or set up.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (writer, closer) = (stream.try_clone()?, stream.try_clone()?);
        Ok(Self::new(stream, writer, move || {
            let _closed = closer.shutdown(Shutdown::Both);
        }))
    }

    /// Two ends of a connection within this process.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let (there, back) = (Pipe::default(), Pipe::default());
        let end = |reader: &Pipe, writer: &Pipe| {
            let (first, second) = (reader.clone(), writer.clone());
            Self::new(reader.clone(), writer.clone(), move || {
                first.close();
                second.close();
            })
        };
        (end(&back, &there), end(&there, &back))
    }

    /// The same connection with something between it and its writing side, such as [`crate::LossyLink`].
    #[must_use]
    pub fn map_writer<W: Write + Send + 'static>(
        self,
        wrap: impl FnOnce(Box<dyn Write + Send>) -> W,
    ) -> Self {
        Self { reader: self.reader, writer: Box::new(wrap(self.writer)), close: self.close }
    }
}

/// One direction of an in-memory connection.
#[derive(Clone, Default)]
struct Pipe {
    shared: Arc<(Mutex<Content>, Condvar)>,
}

#[derive(Default)]
struct Content {
    bytes: VecDeque<u8>,
    closed: bool,
}

impl Pipe {
    fn close(&self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.1.notify_all();
    }
}

impl Read for Pipe {
    /// Bytes that were written before the end are still read.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self
            .shared
            .1
            .wait_while(content, |content| content.bytes.is_empty() && !content.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let count = content.bytes.read(buffer)?;
        self.shared.1.notify_all();
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let content = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self
            .shared
            .1
            .wait_while(content, |content| content.bytes.len() >= PIPE_LIMIT && !content.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if content.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(PIPE_LIMIT - content.bytes.len());
        content.bytes.extend(&bytes[..count]);
        self.shared.1.notify_all();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
