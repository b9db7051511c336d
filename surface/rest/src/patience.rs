//! A stream whose other end must take what is sent: one that takes nothing for too long ends. Without it, clients that ask
//! and never read would hold connections and threads for ever.
//!
//! ```text
//! taking --nothing is taken--> waiting --something is taken--> taking
//!                              waiting --time is over--> error
//! ```

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream with a bound on the time that a write makes no progress.
pub struct Patient<S> {
    stream: S,
    most: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// A stream that waits for at most so long.
    pub fn new(stream: S, most: Duration) -> Self {
        Self { stream, most, waiting: None }
    }

    /// Passes an outcome on, but for one that has been pending for too long.
    fn watch<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let most = self.most;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(most)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(outcome, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(outcome, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime").block_on(future)
    }

    #[test]
    fn a_client_that_takes_nothing_ends() {
        run(async {
            let (ours, _theirs) = tokio::io::duplex(4);
            let mut patient = Patient::new(ours, Duration::ZERO);
            let outcome = patient.write_all(b"more than four").await;
            assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        });
    }

    #[test]
    fn a_client_that_takes_a_little_each_time_gets_all() {
        run(async {
            let (ours, mut theirs) = tokio::io::duplex(4);
            let mut patient = Patient::new(ours, Duration::from_secs(3_600));
            let writing = tokio::spawn(async move {
                patient.write_all(b"more than four").await?;
                patient.shutdown().await
            });
            let mut read = String::new();
            theirs.read_to_string(&mut read).await.expect("text");
            assert_eq!(read, "more than four");
            assert!(writing.await.expect("writer").is_ok());
        });
    }
}
