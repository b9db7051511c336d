//! Sending on a channel, within the client's window and in order.

use std::io;

use russh::ChannelWriteHalf;
use russh::server::Msg;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};

use crate::terminal::{Terminal, translate_newlines};

/// The extended data type of standard error (RFC 4254, section 5.2).
const STANDARD_ERROR: u32 = 1;

/// Most bytes that one call takes: bounds what waits for the window in memory.
const PIECE: usize = 256 << 10;

/// Which of a session's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputStream {
    Standard,
    Error,
}

#[derive(Debug)]
struct Progress {
    /// Exit status and close have been sent: nothing may follow.
    finished: bool,
    /// The last byte sent, for the translation of newlines.
    last: u8,
}

/// The sending half of a channel. Each message waits until the window has room for it, so that
/// the SSH library never holds back data of this channel, which would hold back all others too.
pub(crate) struct Output {
    half: ChannelWriteHalf<Msg>,
    runtime: Handle,
    closed: watch::Receiver<bool>,
    progress: Mutex<Progress>,
}

impl Output {
    pub(crate) fn new(half: ChannelWriteHalf<Msg>, runtime: Handle, closed: watch::Receiver<bool>) -> Self {
        Self { half, runtime, closed, progress: Mutex::new(Progress { finished: false, last: 0 }) }
    }

    /// Sends the first part of `data`, waiting for the window; must not be called on a thread of
    /// the asynchronous runtime. On a terminal both streams are one, as on a real one.
    pub(crate) fn write(
        &self,
        stream: OutputStream,
        data: &[u8],
        terminal: Option<&Terminal>,
    ) -> io::Result<usize> {
        let piece = &data[..data.len().min(PIECE)];
        if piece.is_empty() {
            return Ok(0);
        }
        self.runtime.block_on(self.until_closed(async {
            let mut progress = self.progress.lock().await;
            if progress.finished {
                return Err(closed());
            }
            let bytes = match terminal {
                Some(terminal) if terminal.newline_translation() => {
                    translate_newlines(piece, &mut progress.last)
                }
                _ => piece.to_vec(),
            };
            let sent = match stream {
                OutputStream::Error if terminal.is_none() => {
                    self.half.extended_data_bytes(STANDARD_ERROR, bytes).await
                }
                _ => self.half.data_bytes(bytes).await,
            };
            sent.map(|()| piece.len()).map_err(|_| closed())
        }))
    }

    /// Sends the exit status, the end of the output and the close, after all data.
    pub(crate) fn finish(&self, status: u8) {
        let outcome = self.runtime.block_on(self.until_closed(async {
            let mut progress = self.progress.lock().await;
            progress.finished = true;
            let send = async {
                self.half.exit_status(u32::from(status)).await?;
                self.half.eof().await?;
                self.half.close().await
            };
            send.await.map_err(|_| closed())
        }));
        // A client that is gone needs no exit status.
        drop(outcome);
    }

    async fn until_closed<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut gone = self.closed.clone();
        tokio::select! {
            biased;
            // An error means that the sender, and with it the channel, is gone: just as well.
            _ = gone.wait_for(|closed| *closed) => Err(closed()),
            result = work => result,
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the channel is closed")
}
