//! `hmcshutdown`: ends the console's services. Frames and partitions go on.

use std::time::Duration;

use varan_console::Task;

use crate::catalog::CommandDefinition;
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Optional, Required};
use crate::invocation::Invocation;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

/// Most minutes to wait: a week.
const MINUTES_MAX: u64 = 10_080;

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "hmcshutdown",
    summary: "shut the console down or restart it",
    options: &[
        OptionDefinition::new(
            "-t",
            OptionValue::Text("{now | minutes}"),
            "When: now, or after so many minutes. A later command replaces an earlier one.",
        ),
        OptionDefinition::new("-r", OptionValue::Flag, "Start again afterwards."),
        HELP,
    ],
    forms: &[Form::new(&[Required("-t"), Optional("-r")])],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ShutDownConsole)?;
    let minutes = match options.require("-t")? {
        "now" => 0,
        text => {
            let minutes: Option<u64> =
                text.parse().ok().filter(|_| text.bytes().all(|one| one.is_ascii_digit()));
            minutes.filter(|minutes| *minutes <= MINUTES_MAX).ok_or_else(|| invalid_parameters(&["-t"]))?
        }
    };
    invocation.console.machine()?.shut_down(Duration::from_secs(minutes * 60), options.has("-r"));
    Ok(0)
}
