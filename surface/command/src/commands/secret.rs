//! Passwords that a command asks for: on the user's terminal without echo, else on standard input without a prompt, so
//! that scripts see nothing but results.

use std::io::Read;

use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::failure::CommandError;
use crate::invocation::{Invocation, RawTerminal};

/// Longest line read, in bytes; longer ones are no passwords.
const LINE_BYTES_MAX: usize = 1_024;
const INTERRUPT: u8 = 3;
const END_OF_INPUT: u8 = 4;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;

/// Reads one password; `None` at the end of input.
pub(crate) fn ask(invocation: &mut Invocation<'_>, prompt: &str) -> Result<Option<String>, CommandError> {
    let line = match invocation.terminal.clone() {
        Some(terminal) => {
            terminal.write(prompt.as_bytes())?;
            let line = type_in(&*terminal);
            terminal.write(b"\r\n")?;
            line?
        }
        None => read_line(invocation.input)?,
    };
    Ok(line.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Asks for a new password twice.
pub(crate) fn ask_new(invocation: &mut Invocation<'_>, user: &str) -> Result<Option<String>, CommandError> {
    let Some(first) = ask(invocation, &format!("Enter the new password for user {user}: "))? else {
        return Ok(None);
    };
    if ask(invocation, "Retype the new password: ")?.as_ref() != Some(&first) {
        return Err(Refusal::new(MessageKey::PasswordsDiffer).into());
    }
    Ok(Some(first))
}

/// Byte by byte: what follows the line belongs to the next reader.
fn read_line(input: &mut dyn Read) -> Result<Option<Vec<u8>>, CommandError> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        if input.read(&mut byte)? == 0 {
            return Ok((!line.is_empty()).then_some(line));
        }
        match byte[0] {
            b'\n' => return Ok(Some(line)),
            b'\r' => {}
            other if line.len() < LINE_BYTES_MAX => line.push(other),
            _ => {}
        }
    }
}

fn type_in(terminal: &dyn RawTerminal) -> Result<Option<Vec<u8>>, CommandError> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        if terminal.read(&mut byte)? == 0 {
            return Ok(None);
        }
        match byte[0] {
            b'\r' | b'\n' => return Ok(Some(line)),
            INTERRUPT => return Err(CommandError::Cancelled),
            END_OF_INPUT => return Ok(None),
            BACKSPACE | DELETE => {
                line.pop();
            }
            other if line.len() < LINE_BYTES_MAX => line.push(other),
            _ => {}
        }
    }
}
