//! `help`, `help COMMAND` and `COMMAND -help`.

use super::error::{Ended, refused};
use super::invocation::ViosInvocation;
use super::{FAMILIES, ViosCommand, find};
use varan_model::vios::ViosMessage;

/// Width of descriptions.
const WIDTH: usize = 70;

/// The usage of a command: its synopsis, a blank line, its description.
pub(crate) fn usage(command: &ViosCommand) -> String {
    let mut text = String::new();
    for (number, line) in command.usage.lines().enumerate() {
        // A line that goes on stands under the first word behind the command's name.
        let first = if number == 0 { "Usage: " } else { "       " };
        text.push_str(if line.starts_with(' ') { "" } else { first });
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    let mut line = String::from("       ");
    for word in command.summary.split(' ') {
        if line.len() + word.len() >= WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = String::from("       ");
        }
        line.push_str(word);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
    text
}

/// All commands, family by family.
pub(crate) fn all() -> String {
    let mut text = String::new();
    for (title, commands) in FAMILIES {
        text.push_str(title);
        text.push('\n');
        for command in *commands {
            text.push_str("        ");
            text.push_str(command.name);
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

pub(crate) fn run(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let text = match invocation.arguments {
        [] => all(),
        [name, ..] => match find(name) {
            Some(command) => usage(command),
            None => return Err(refused(ViosMessage::ArgumentInvalid, name).into()),
        },
    };
    invocation.output.write_all(text.as_bytes())?;
    Ok(0)
}
