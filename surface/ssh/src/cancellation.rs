//! How a session learns that it should stop.
//!
//! ```text
//!             interrupt, a handler is set
//!                 +--------+
//!                 v        |
//!   live ---------+--------+
//!     |
//!     | channel closed, connection lost, server shut down,
//!     | TERM, HUP, QUIT or KILL, interrupt without a handler
//!     v
//!   cancelled (final; keeps its first cause)
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A signal that a client sent (RFC 4254, section 6.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `HUP`
    Hangup,
    /// `INT`, or the interrupt character on a terminal.
    Interrupt,
    /// `QUIT`
    Quit,
    /// `TERM`
    Terminate,
    /// `KILL`
    Kill,
}

impl Signal {
    /// The signal's number on Linux; a program that it ends has exit status 128 + number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Kill => 9,
            Self::Terminate => 15,
        }
    }
}

/// Why a session was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancellationCause {
    /// The client closed the channel.
    ChannelClosed,
    /// The connection ended, whoever ended it.
    ConnectionLost,
    /// The client sent a signal that ends the session. Output is still delivered.
    Signal(Signal),
}

type CancelCallback = Box<dyn FnOnce(CancellationCause) + Send>;
type InterruptCallback = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct State {
    cause: Option<CancellationCause>,
    on_cancel: Vec<CancelCallback>,
    on_interrupt: Option<InterruptCallback>,
}

/// The cancellation of one session; clones speak of the same session.
#[derive(Clone, Default)]
pub struct Cancellation {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Cancellation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cancellation").field("cause", &self.cause()).finish_non_exhaustive()
    }
}

impl Cancellation {
    /// Whether the session should stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cause().is_some()
    }

    /// Why the session should stop, when it should.
    #[must_use]
    pub fn cause(&self) -> Option<CancellationCause> {
        self.lock().cause
    }

    /// Calls `callback` once, when the session is cancelled; at once if it has been. The callback
    /// runs on one of the server's threads and must not block.
    pub fn on_cancel(&self, callback: impl FnOnce(CancellationCause) + Send + 'static) {
        let mut state = self.lock();
        match state.cause {
            None => state.on_cancel.push(Box::new(callback)),
            Some(cause) => {
                drop(state);
                callback(cause);
            }
        }
    }

    /// Sets what an interrupt does (the signal `INT`, or the interrupt character on a terminal
    /// that has it enabled): the callback runs each time instead of a cancellation. It runs on one
    /// of the server's threads and must not block.
    pub fn on_interrupt(&self, callback: impl Fn() + Send + Sync + 'static) {
        self.lock().on_interrupt = Some(Arc::new(callback));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let handler = self.lock().on_interrupt.clone();
        match (signal, handler) {
            (Signal::Interrupt, Some(handler)) => handler(),
            _ => self.cancel(CancellationCause::Signal(signal)),
        }
    }

    pub(crate) fn cancel(&self, cause: CancellationCause) {
        let callbacks = {
            let mut state = self.lock();
            if state.cause.is_some() {
                return;
            }
            state.cause = Some(cause);
            std::mem::take(&mut state.on_cancel)
        };
        for callback in callbacks {
            callback(cause);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_first_cause_stays_and_each_callback_runs_once() {
        let cancellation = Cancellation::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let early = Arc::clone(&calls);
        cancellation.on_cancel(move |_| {
            early.fetch_add(1, Ordering::SeqCst);
        });
        cancellation.signal(Signal::Terminate);
        cancellation.cancel(CancellationCause::ConnectionLost);
        assert_eq!(cancellation.cause(), Some(CancellationCause::Signal(Signal::Terminate)));
        let late = Arc::clone(&calls);
        cancellation.on_cancel(move |cause| {
            assert_eq!(cause, CancellationCause::Signal(Signal::Terminate));
            late.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn an_interrupt_cancels_only_without_a_handler() {
        let handled = Cancellation::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        handled.on_interrupt(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        handled.signal(Signal::Interrupt);
        handled.signal(Signal::Interrupt);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert!(!handled.is_cancelled());
        let plain = Cancellation::default();
        plain.signal(Signal::Interrupt);
        assert_eq!(plain.cause(), Some(CancellationCause::Signal(Signal::Interrupt)));
    }
}
