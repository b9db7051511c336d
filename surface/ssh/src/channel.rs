//! One session channel, from its opening to its exit status.
//!
//! ```text
//!            pty-req, env                 (before the start only)
//!              +-----+
//!              v     |
//!   opened ----+-----+
//!     |
//!     | shell, exec or subsystem, and a free session
//!     v
//!   running ---- the program returns or panics ----> finished: exit status, end of file, close
//!     |
//!     | channel closed, connection lost: cancelled, output fails, the program is awaited
//!     v
//!   running, closed ---- the program returns ------> finished: nothing is sent
//! ```

use std::any::Any;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::cancellation::{Cancellation, CancellationCause, Signal};
use crate::home::HomeRegistry;
use crate::host::{ServerEvent, SshHost};
use crate::input::InputQueue;
use crate::limits;
use crate::output::{Output, OutputStream};
use crate::scp::{self, ScpCommand};
use crate::session::{ChannelReader, ChannelWriter, Session, SessionKind, SessionRequest};
use crate::sftp;
use crate::terminal::{Terminal, TerminalSize};

/// The exit status of a session whose code panicked: not one that commands use.
const PANIC_STATUS: u8 = 254;

/// What a session runs.
#[derive(Debug)]
pub(crate) enum Work {
    /// The host's own.
    Host(SessionKind),
    /// The SFTP subsystem.
    Sftp,
    /// The server's side of the old scp protocol, or the reason why it cannot be run.
    Scp(Result<ScpCommand, String>),
}

struct Setup {
    output: Option<Arc<Output>>,
    environment: Vec<(String, String)>,
    terminal: Option<Terminal>,
}

/// The server's side of one channel, shared by the connection and the session's thread.
pub(crate) struct Channel {
    input: InputQueue,
    cancellation: Cancellation,
    closed: watch::Sender<bool>,
    setup: Mutex<Setup>,
}

/// Who a session belongs to, and what it may use.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) host: Arc<dyn SshHost>,
    pub(crate) homes: Arc<HomeRegistry>,
    pub(crate) user: String,
    pub(crate) peer: SocketAddr,
}

impl Channel {
    /// A channel just opened; `make_output` gets what tells that the channel is closed.
    pub(crate) fn open(make_output: impl FnOnce(watch::Receiver<bool>) -> Output) -> Arc<Self> {
        let (closed, is_closed) = watch::channel(false);
        let output = Some(Arc::new(make_output(is_closed)));
        Arc::new(Self {
            input: InputQueue::default(),
            cancellation: Cancellation::default(),
            closed,
            setup: Mutex::new(Setup { output, environment: Vec::new(), terminal: None }),
        })
    }

    pub(crate) fn input(&self) -> &InputQueue {
        &self.input
    }

    /// Whether a program runs on the channel or has run.
    pub(crate) fn is_started(&self) -> bool {
        self.lock().output.is_none()
    }

    /// Sets a variable; false when it is refused.
    pub(crate) fn set_environment(&self, name: &str, value: &str) -> bool {
        let mut setup = self.lock();
        let fits = !name.is_empty()
            && name.len() <= limits::ENVIRONMENT_NAME_LENGTH
            && value.len() <= limits::ENVIRONMENT_VALUE_LENGTH
            && !name.contains(['=', '\0'])
            && !value.contains('\0');
        if setup.output.is_none() || !fits {
            return false;
        }
        setup.environment.retain(|(known, _)| known != name);
        if setup.environment.len() >= limits::ENVIRONMENT_VARIABLES {
            return false;
        }
        setup.environment.push((name.to_owned(), value.to_owned()));
        true
    }

    /// Gives the channel a terminal; false when it has one or the program already runs.
    pub(crate) fn set_terminal(&self, name: &str, size: TerminalSize, newline_translation: bool) -> bool {
        let mut setup = self.lock();
        if setup.output.is_none() || setup.terminal.is_some() || name.len() > limits::TERMINAL_NAME_LENGTH {
            return false;
        }
        setup.terminal = Some(Terminal::new(name.to_owned(), size, newline_translation));
        true
    }

    /// Tells the session of a new size; false without a terminal.
    pub(crate) fn resize(&self, size: TerminalSize) -> bool {
        let terminal = self.lock().terminal.clone();
        terminal.is_some_and(|terminal| {
            terminal.resize(size);
            true
        })
    }

    /// Takes input from the client.
    pub(crate) fn receive(&self, data: &[u8]) {
        let terminal = self.lock().terminal.clone();
        let Some(terminal) = terminal else {
            return self.input.push(data);
        };
        let mut data = data.to_vec();
        let interrupts = terminal.take_interrupts(&mut data);
        self.input.push(&data);
        for _ in 0..interrupts {
            self.signal(Signal::Interrupt);
        }
    }

    /// A signal from the client. A session that it cancels also stops waiting for input.
    pub(crate) fn signal(&self, signal: Signal) {
        self.cancellation.signal(signal);
        if self.cancellation.is_cancelled() {
            self.input.close();
        }
    }

    /// The channel is gone: nothing can be read or written any more.
    pub(crate) fn close(&self, cause: CancellationCause) {
        // The cause first: whoever finds input or output ended asks why.
        self.cancellation.cancel(cause);
        self.closed.send_replace(true);
        self.input.close();
    }

    /// Starts the program on a thread of its own; false when one runs or has run, or the system
    /// gives no thread. `place` is dropped when all is done, and when nothing was started.
    pub(crate) fn start(self: &Arc<Self>, owner: Owner, work: Work, place: impl Send + 'static) -> bool {
        let (output, environment, terminal) = {
            let mut setup = self.lock();
            let Some(output) = setup.output.take() else { return false };
            (output, std::mem::take(&mut setup.environment), setup.terminal.clone())
        };
        if let (Some(terminal), Work::Host(kind)) = (&terminal, &work) {
            terminal.set_interrupt_character(matches!(kind, SessionKind::Exec(_)));
        }
        // SFTP and scp carry bytes; a terminal would change them.
        let terminal = terminal.filter(|_| matches!(work, Work::Host(_)));
        let kind = match &work {
            Work::Host(kind) => kind.clone(),
            Work::Sftp | Work::Scp(_) => SessionKind::Exec(String::new()),
        };
        let writer = |stream| ChannelWriter::new(Arc::clone(&output), stream, terminal.clone());
        let session = Session {
            input: ChannelReader::new(Arc::clone(self)),
            output: writer(OutputStream::Standard),
            error: writer(OutputStream::Error),
            cancellation: self.cancellation.clone(),
            request: SessionRequest {
                user: owner.user.clone(),
                peer: owner.peer,
                kind,
                environment,
                terminal,
            },
        };
        let run = move || {
            let status = run_guarded(&owner, work, session);
            output.finish(status);
            drop(place);
        };
        let thread = std::thread::Builder::new().name("ssh-session".into()).stack_size(limits::SESSION_STACK);
        thread.spawn(run).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Setup> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run_guarded(owner: &Owner, work: Work, session: Session) -> u8 {
    let outcome = catch_unwind(AssertUnwindSafe(|| match work {
        Work::Host(_) => owner.host.run(session),
        Work::Sftp => sftp::serve(owner, session),
        Work::Scp(command) => scp::serve(owner, command, session),
    }));
    outcome.unwrap_or_else(|panic| {
        let message = panic_message(panic.as_ref());
        owner.host.report(&ServerEvent::SessionPanicked { user: owner.user.clone(), message });
        PANIC_STATUS
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
