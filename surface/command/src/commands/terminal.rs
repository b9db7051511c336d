//! `mkvterm` and `rmvterm`: the virtual terminal of a partition.
//!
//! ```text
//!           opened             ~.            y or Enter
//! (none) ----------> Attached ----> Asked ----------------> Released
//!                     |  |  ^         | any other key         ^
//!                     |  |  '---------'                       |
//!                     |  '------- end of the input -----------'
//!                     |---- closed by rmvterm, partition removed, frame lost ----> Lost
//!                     '---- the user's connection is gone: nobody reads, the session stays open ----> Held
//! Held ---- rmvterm, partition removed, frame lost ----> Lost
//! ```
//!
//! A helper thread shows what the guest writes; the command's own thread types what the user types. Whichever ends first
//! wakes the other: the helper interrupts the user's terminal, the command closes the guest's. The texts are those that a
//! console was recorded with (V10R3); a dropped connection held the session there until somebody ran `rmvterm`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use varan_console::Task;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::{SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use super::{MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME};
use crate::catalog::CommandDefinition;
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Required};
use crate::invocation::{Invocation, RawTerminal, selector};
use crate::options::{HELP, ParsedOptions};

/// Bytes read from the user at once.
const INPUT_BYTES: usize = 1_024;

/// Longest wait for the frame to close a terminal.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

const OPENING: &[u8] = b"\r\n Open in progress  \r\n ";
const OPENED: &[u8] = b"\r\n Open Completed. \r\n  ";
const QUESTION: &[u8] = b"\r\nTerminate session? [y/n] ";
const INPUT_ENDED: &[u8] = b" The write socket has closed. Exiting.\n";
const LOST: &[u8] =
    b"\r\n Connection has closed \r\n\r\n\r\n This session is no longer connected. Please close this window.\n\n\n ";

pub(crate) static OPEN: CommandDefinition = CommandDefinition {
    name: "mkvterm",
    summary: "open the virtual terminal of a partition, running or not; ~. at the start of a line closes it",
    options: &[MANAGED_SYSTEM, PARTITION_NAME, PARTITION_ID, HELP],
    forms: &[Form::new(&[Required("-m"), OneOf(&["-p", "--id"])])],
    filters: &[],
    attributes: &[],
    run: open,
};

pub(crate) static CLOSE: CommandDefinition = CommandDefinition {
    name: "rmvterm",
    summary: "close the virtual terminal of a partition, whoever has it",
    options: &[MANAGED_SYSTEM, PARTITION_NAME, PARTITION_ID, HELP],
    forms: &[Form::new(&[Required("-m"), OneOf(&["-p", "--id"])])],
    filters: &[],
    attributes: &[],
    run: close,
};

fn close(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::CloseTerminal)?;
    let system = invocation.system(options)?;
    let partition = selector(options, "-p", "--id")?;
    let reply = invocation.ask(&system, SystemRequest::CloseTerminal { partition })?;
    if matches!(reply, SystemReply::TerminalClosed(true)) {
        writeln!(invocation.output, "Close command sent")?;
    }
    Ok(0)
}

fn open(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::OpenTerminal)?;
    let system = invocation.system(options)?;
    let partition = selector(options, "-p", "--id")?;
    let guest: Arc<dyn GuestTerminal> = match invocation.open_terminal(&system, partition) {
        Ok(guest) => guest.into(),
        Err(refusal) if refusal.key == MessageKey::TerminalOpen => return refused(invocation, &refusal),
        Err(refusal) => return Err(refusal.into()),
    };
    let Some(terminal) = invocation.terminal.clone() else { return Ok(0) };
    if terminal.write(OPENING).and_then(|()| terminal.write(OPENED)).is_err() {
        guest.closer()();
        return Err(CommandError::Cancelled);
    }
    relay(guest, &terminal)?;
    Ok(0)
}

/// Somebody else has the terminal. The console says so on lines of its own, and its exit status is 0.
fn refused(invocation: &mut Invocation<'_>, refusal: &Refusal) -> Result<u8, CommandError> {
    let text = refusal.to_string().replace(". ", ". \r\n ");
    match &invocation.terminal {
        Some(terminal) => terminal.write(format!("\r\n {text} \r\n").as_bytes())?,
        None => writeln!(invocation.output, "{refusal}")?,
    }
    Ok(0)
}

/// What both threads of a session know.
#[derive(Default)]
struct Session {
    /// The command closed the terminal, or is about to.
    released: AtomicBool,
    /// Somebody else did.
    lost: AtomicBool,
}

fn relay(guest: Arc<dyn GuestTerminal>, terminal: &Arc<dyn RawTerminal>) -> Result<(), CommandError> {
    let session = Arc::new(Session::default());
    let (shown_guest, shown_terminal, shown_session) = (guest.clone(), terminal.clone(), session.clone());
    let (sender, ended) = std::sync::mpsc::sync_channel::<()>(1);
    let show = move || {
        // Dropped after all else, which is what the command waits for.
        let _sender = sender;
        let (guest, terminal) = (shown_guest, shown_terminal);
        show(&*guest, &*terminal, &shown_session);
    };
    std::thread::Builder::new().name("virtual-terminal".to_owned()).spawn(show)?;
    let end = type_to(&*guest, terminal, &session)?;
    if end == End::Gone {
        // The helper reads on until somebody closes the terminal.
        return Err(CommandError::Cancelled);
    }
    session.released.store(true, Ordering::SeqCst);
    guest.closer()();
    // Whoever opens the terminal next finds it free: the frame has closed it when the guest's side ends. A frame that hangs
    // keeps the helper, not the user.
    let _ = ended.recv_timeout(CLOSE_PATIENCE);
    if end == End::Input {
        terminal.write(INPUT_ENDED)?;
    }
    Ok(())
}

fn show(guest: &dyn GuestTerminal, terminal: &dyn RawTerminal, session: &Session) {
    let mut buffer = Vec::new();
    // When nobody is there to see it, what the guest writes is lost, as on any terminal.
    let mut reader_is_there = true;
    while guest.read(&mut buffer) {
        reader_is_there = reader_is_there && terminal.write(&buffer).is_ok();
        buffer.clear();
    }
    // What came together with the end is shown too.
    let _ = terminal.write(&buffer);
    if !session.released.load(Ordering::SeqCst) {
        let _ = terminal.write(LOST);
        session.lost.store(true, Ordering::SeqCst);
        terminal.interrupt();
    }
}

/// How a session ended for the one who types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By `~.`, or somebody else closed the terminal.
    Over,
    /// With the end of the input.
    Input,
    /// The user's connection is gone; the session goes on.
    Gone,
}

/// Types until the session ends.
fn type_to(
    guest: &dyn GuestTerminal,
    terminal: &Arc<dyn RawTerminal>,
    session: &Session,
) -> Result<End, CommandError> {
    let mut escape = Escape::default();
    let mut buffer = [0; INPUT_BYTES];
    let mut size = (0, 0);
    loop {
        let Ok(count) = terminal.read(&mut buffer) else { return Ok(End::Gone) };
        // A guest shows its window's size when somebody asks there, so it is enough to tell it before that.
        let present = terminal.size();
        if present != size && present.0 > 0 && present.1 > 0 {
            guest.resize(present.0, present.1);
            size = present;
        }
        if count == 0 {
            return Ok(if session.lost.load(Ordering::SeqCst) { End::Over } else { End::Input });
        }
        let mut typed = Vec::with_capacity(count + 1);
        for &byte in &buffer[..count] {
            match escape.feed(byte, &mut typed) {
                Fed::Typed => {}
                Fed::Question => {
                    type_out(guest, &mut typed);
                    terminal.write(QUESTION)?;
                }
                Fed::Ended => {
                    session.released.store(true, Ordering::SeqCst);
                    terminal.write(b"\r\n")?;
                    return Ok(End::Over);
                }
                Fed::Resumed => terminal.write(b"\r\n")?,
            }
        }
        type_out(guest, &mut typed);
    }
}

fn type_out(guest: &dyn GuestTerminal, typed: &mut Vec<u8>) {
    if !typed.is_empty() {
        guest.write(typed);
        typed.clear();
    }
}

/// What a typed byte meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// It goes to the guest, or waits for the next one.
    Typed,
    /// `~.`: the user is asked whether the session should end.
    Question,
    /// It should.
    Ended,
    /// It should not.
    Resumed,
}

/// Finds `~.` at the start of a line; `~~` there types one tilde.
///
/// ```text
/// Start --'~'--> Tilde --'.'--> Asked --y, Enter--> ended
///   ^              |              |
///   |'-- CR, LF ---'-- other --> Middle (back to Start after CR or LF)
///   '-----------------------------' any other key
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Start,
    Tilde,
    Asked,
    Middle,
}

impl Escape {
    /// Takes one byte; appends what goes to the guest.
    fn feed(&mut self, byte: u8, typed: &mut Vec<u8>) -> Fed {
        match (*self, byte) {
            (Self::Asked, b'y' | b'Y' | b'\r' | b'\n') => return Fed::Ended,
            (Self::Asked, _) => {
                *self = Self::Start;
                return Fed::Resumed;
            }
            (Self::Tilde, b'.') => {
                *self = Self::Asked;
                return Fed::Question;
            }
            (Self::Start, b'~') => {
                *self = Self::Tilde;
                return Fed::Typed;
            }
            (Self::Tilde, b'~') => *self = Self::Middle,
            (before, _) => {
                if before == Self::Tilde {
                    typed.push(b'~');
                }
                *self = if matches!(byte, b'\r' | b'\n') { Self::Start } else { Self::Middle };
            }
        }
        typed.push(byte);
        Fed::Typed
    }
}

#[cfg(test)]
mod tests {
    use super::{Escape, Fed};

    #[test]
    fn a_tilde_and_a_dot_at_the_start_of_a_line_end_the_session_after_a_question() {
        use Fed::{Ended, Question, Resumed};
        for (keys, typed, seen) in [
            ("~.y", "", &[Question, Ended][..]),
            ("~.Y", "", &[Question, Ended]),
            ("~.\r", "", &[Question, Ended]),
            ("~.nls\r", "ls\r", &[Question, Resumed]),
            ("~.n~.y", "", &[Question, Resumed, Question, Ended]),
            ("ls\r~.y", "ls\r", &[Question, Ended]),
            ("ls\n~.y", "ls\n", &[Question, Ended]),
            ("a~.\r", "a~.\r", &[]),
            ("~~.\r", "~.\r", &[]),
            ("~x\r~y", "~x\r~y", &[]),
            ("~\r~.y", "~\r", &[Question, Ended]),
            ("~", "", &[]),
        ] {
            let (mut escape, mut out) = (Escape::default(), Vec::new());
            let fed: Vec<Fed> = keys
                .bytes()
                .map(|byte| escape.feed(byte, &mut out))
                .filter(|fed| *fed != Fed::Typed)
                .collect();
            assert_eq!((out.as_slice(), fed.as_slice()), (typed.as_bytes(), seen), "{keys:?}");
        }
    }
}
