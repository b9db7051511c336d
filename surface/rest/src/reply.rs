//! An answer: status, headers, and a body that is there or is written while it is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::Bytes;
use tokio::sync::mpsc;

use crate::limits::{CHUNK_BYTES, CHUNKS};

/// Content type of feeds and entries.
pub const ATOM_XML: &str = "application/atom+xml";

/// Takes a long body piece by piece; waits while the client is slow.
pub struct Sink {
    sender: mpsc::Sender<Bytes>,
    waiting: Vec<u8>,
    whole: Arc<AtomicBool>,
}

/// The client is gone.
pub struct Gone;

impl Sink {
    /// A sink, where its pieces come out, and whether the last of them was the end: a writer that fails ends in the middle.
    pub fn new() -> (Self, mpsc::Receiver<Bytes>, Arc<AtomicBool>) {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let whole = Arc::new(AtomicBool::new(false));
        (Self { sender, waiting: Vec::with_capacity(CHUNK_BYTES), whole: whole.clone() }, receiver, whole)
    }

    /// Takes a piece.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn write(&mut self, piece: &[u8]) -> Result<(), Gone> {
        // What waits never outgrows a chunk, unless one piece alone does.
        if self.waiting.len() + piece.len() > CHUNK_BYTES {
            self.flush()?;
        }
        self.waiting.extend_from_slice(piece);
        Ok(())
    }

    /// Sends what waits; there is no more.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn finish(mut self) -> Result<(), Gone> {
        self.flush()?;
        self.whole.store(true, Ordering::Release);
        Ok(())
    }

    /// Sends what waits.
    fn flush(&mut self) -> Result<(), Gone> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK_BYTES));
        self.sender.blocking_send(piece.into()).map_err(|_| Gone)
    }
}

/// Writes a body.
pub type BodyWriter = Box<dyn FnOnce(Sink) -> Result<(), Gone> + Send>;

/// What is sent after the headers.
pub enum Body {
    /// Nothing.
    Empty,
    /// This.
    Whole(Vec<u8>),
    /// What the writer writes.
    Written(BodyWriter),
}

/// An answer.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content type; empty for none.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Body,
}

impl Reply {
    /// An answer with a body.
    pub fn whole(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { status, content_type: content_type.to_owned(), headers: Vec::new(), body: Body::Whole(body) }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        let content_type = if status == 204 { "text/plain" } else { "" };
        Self { status, content_type: content_type.to_owned(), headers: Vec::new(), body: Body::Empty }
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
