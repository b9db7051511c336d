//! What the protocol runs over.

use std::io::{Error, IoSlice, Result};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};

/// How long a send waits before its thread has better things to do.
const PATIENCE: Duration = Duration::from_millis(20);

/// What receiving waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Nothing: what is there.
    None,
    /// Some bytes.
    Some,
    /// As many as fit.
    All,
}

/// A stream in both directions that several threads use: one receives, any sends.
pub trait Transport: Send + Sync + 'static {
    /// Receives; zero at the end.
    ///
    /// # Errors
    /// The host's; `WouldBlock` where there is nothing and it may not wait, or a time limit is over.
    fn receive(&self, into: &mut [u8], patience: Patience) -> Result<usize>;

    /// Sends some bytes; where it may `wait`, until they are on their way or the other side has not taken any for a while.
    ///
    /// # Errors
    /// The host's; `WouldBlock` where nothing could be sent.
    fn send(&self, parts: &[IoSlice<'_>], wait: bool) -> Result<usize>;

    /// Waits until something can be sent, or the connection has ended.
    fn wait_writable(&self);

    /// Limits how long receiving waits; `None` for ever.
    fn limit_receiving(&self, limit: Option<Duration>);

    /// Ends the connection in both directions; whoever waits finds out.
    fn close(&self);
}

impl Transport for UnixStream {
    fn receive(&self, into: &mut [u8], patience: Patience) -> Result<usize> {
        let flags = match patience {
            Patience::None => RecvFlags::DONTWAIT,
            Patience::Some => RecvFlags::empty(),
            Patience::All => RecvFlags::WAITALL,
        };
        loop {
            match recv(self, &mut *into, flags) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.map(|(count, _)| count).map_err(Error::from),
            }
        }
    }

    fn send(&self, parts: &[IoSlice<'_>], wait: bool) -> Result<usize> {
        let flags = SendFlags::NOSIGNAL | if wait { SendFlags::empty() } else { SendFlags::DONTWAIT };
        loop {
            match sendmsg(self, parts, &mut SendAncillaryBuffer::default(), flags) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.map_err(Error::from),
            }
        }
    }

    fn wait_writable(&self) {
        // Fails only by interruption; the send that follows then says what is.
        let _ = poll(&mut [PollFd::new(self, PollFlags::OUT)], None);
    }

    fn limit_receiving(&self, limit: Option<Duration>) {
        // A socket that refuses has ended, as the next receive says.
        let _ = self.set_read_timeout(limit);
        let _ = self.set_write_timeout(Some(PATIENCE));
    }

    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}
