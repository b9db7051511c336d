//! The socket as the SSH library sees it: one that can be cut off and slowed from outside.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::limits;

/// Bytes read from the socket at a time; the SSH library reads a packet in small pieces.
const READ_BUFFER: usize = 32 << 10;

/// The switches of one connection's socket.
#[derive(Debug, Default)]
pub(crate) struct TransportControl {
    cut: AtomicBool,
    pause: AtomicBool,
    authenticated: AtomicBool,
    wakers: Mutex<[Option<Waker>; 2]>,
}

/// Index of the task that reads, in the list of wakers.
const READER: usize = 0;
/// Index of the task that writes.
const WRITER: usize = 1;

impl TransportControl {
    /// Makes every read and write fail from now on. It ends a connection whatever the SSH library
    /// is doing, a key exchange that the client does not go on with included.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for waker in self.lock().iter_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    /// Delays the next read from the socket by [`limits::TRICKLE_PAUSE`].
    pub(crate) fn pause_reading(&self) {
        self.pause.store(true, Ordering::Release);
    }

    pub(crate) fn set_authenticated(&self) {
        self.authenticated.store(true, Ordering::Release);
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Acquire)
    }

    fn check(&self, task: usize, context: &Context<'_>) -> io::Result<()> {
        let mut wakers = self.lock();
        // Under the lock, so that a cut either is seen here or finds the waker.
        if self.cut.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match &mut wakers[task] {
            Some(waker) if waker.will_wake(context.waker()) => {}
            slot => *slot = Some(context.waker().clone()),
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Option<Waker>; 2]> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket with its switches.
#[derive(Debug)]
pub(crate) struct Transport {
    socket: BufReader<TcpStream>,
    control: Arc<TransportControl>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Transport {
    pub(crate) fn new(socket: TcpStream) -> (Self, Arc<TransportControl>) {
        let control = Arc::new(TransportControl::default());
        let socket = BufReader::with_capacity(READ_BUFFER, socket);
        (Self { socket, control: Arc::clone(&control), sleep: None }, control)
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.control.check(READER, context)?;
        if this.control.pause.swap(false, Ordering::AcqRel) {
            this.sleep = Some(Box::pin(tokio::time::sleep(limits::TRICKLE_PAUSE)));
        }
        if let Some(sleep) = &mut this.sleep {
            std::task::ready!(sleep.as_mut().poll(context));
            this.sleep = None;
        }
        Pin::new(&mut this.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.control.check(WRITER, context)?;
        Pin::new(&mut this.socket).poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.control.check(WRITER, context)?;
        Pin::new(&mut this.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
