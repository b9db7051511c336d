//! `mkvterm` and `rmvterm`: the virtual terminal of a partition.
//!
//! ```text
//!          open                             ~. or the user is gone
//! (none) --------> Attached ------------------------------------------> (none)
//!                     |        closed by rmvterm, partition off            ^
//!                     '----------------------------------------------------'
//! ```
//!
//! A helper thread shows what the guest writes; the command's own thread types what the user types. Whichever ends first
//! wakes the other: the helper interrupts the user's terminal, the command closes the guest's.

use std::sync::Arc;

use varan_console::Task;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::SystemRequest;
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

pub(crate) static OPEN: CommandDefinition = CommandDefinition {
    name: "mkvterm",
    summary: "open the virtual terminal of a partition; ~. at the start of a line closes it",
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
    invocation.ask(&system, SystemRequest::CloseTerminal { partition })?;
    Ok(0)
}

fn open(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::OpenTerminal)?;
    let system = invocation.system(options)?;
    let partition = selector(options, "-p", "--id")?;
    let terminal = invocation.terminal.clone().ok_or_else(|| Refusal::new(MessageKey::TerminalNeeded))?;
    let guest: Arc<dyn GuestTerminal> = invocation.open_terminal(&system, partition)?.into();
    let guest = ClosedOnDrop(guest);
    terminal.write(b" Open in progress \r\n\r\n Open completed.\r\n".as_slice())?;
    relay(&guest.0, &terminal)?;
    Ok(0)
}

/// Closes the guest's terminal on every path out.
struct ClosedOnDrop(Arc<dyn GuestTerminal>);

impl Drop for ClosedOnDrop {
    fn drop(&mut self) {
        self.0.closer()();
    }
}

fn relay(guest: &Arc<dyn GuestTerminal>, terminal: &Arc<dyn RawTerminal>) -> Result<(), CommandError> {
    let (shown_guest, shown_terminal) = (guest.clone(), terminal.clone());
    let show = move || {
        let mut buffer = Vec::new();
        while shown_guest.read(&mut buffer) {
            if shown_terminal.write(&buffer).is_err() {
                break;
            }
            buffer.clear();
        }
        // What came together with the end is shown too; nobody may be there to see it.
        let _ = shown_terminal.write(&buffer);
        shown_terminal.interrupt();
    };
    let helper = std::thread::Builder::new().name("virtual-terminal".to_owned()).spawn(show)?;
    let result = type_to(guest, terminal);
    guest.closer()();
    // A panic of the helper was reported when it happened.
    let _ = helper.join();
    result
}

fn type_to(guest: &Arc<dyn GuestTerminal>, terminal: &Arc<dyn RawTerminal>) -> Result<(), CommandError> {
    let mut escape = Escape::default();
    let mut buffer = [0; INPUT_BYTES];
    loop {
        let count = match terminal.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(_) => return Err(CommandError::Cancelled),
        };
        let (typed, ended) = escape.filter(&buffer[..count]);
        if !typed.is_empty() {
            guest.write(&typed);
        }
        if ended {
            return Ok(());
        }
    }
}

/// Finds `~.` at the start of a line; `~~` there types one tilde.
///
/// ```text
/// Start --'~'--> Tilde --'.'--> ended
///   ^              |
///   '-- CR, LF ----'-- other --> Middle (back to Start after CR or LF)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Start,
    Tilde,
    Middle,
}

impl Escape {
    /// What goes to the guest, and whether the user ended the session.
    fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut typed = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            match (*self, byte) {
                (Self::Tilde, b'.') => return (typed, true),
                (Self::Start, b'~') => {
                    *self = Self::Tilde;
                    continue;
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
        }
        (typed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::Escape;

    fn filter(chunks: &[&str]) -> (String, bool) {
        let mut escape = Escape::default();
        let mut typed = Vec::new();
        for chunk in chunks {
            let (bytes, ended) = escape.filter(chunk.as_bytes());
            typed.extend(bytes);
            if ended {
                return (String::from_utf8(typed).expect("UTF-8"), true);
            }
        }
        (String::from_utf8(typed).expect("UTF-8"), false)
    }

    #[test]
    fn a_tilde_and_a_dot_at_the_start_of_a_line_end_the_session() {
        for (chunks, typed, ended) in [
            (&["~."][..], "", true),
            (&["ls\r", "~", "."], "ls\r", true),
            (&["ls\n~.x"], "ls\n", true),
            (&["a~.\r"], "a~.\r", false),
            (&["~~.\r"], "~.\r", false),
            (&["~x\r~y"], "~x\r~y", false),
            (&["~", "\r", "~."], "~\r", true),
            (&["~"], "", false),
        ] {
            assert_eq!(filter(chunks), (typed.to_owned(), ended), "{chunks:?}");
        }
    }
}
