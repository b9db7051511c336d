//! All commands: those that are there, and those that a later level brings.

use varan_console::masked_command;
use varan_model::attributes::Release;
use varan_model::refusal::Refusal;

use crate::commands::{ALL, later};
use crate::failure::{CommandError, not_supported};
use crate::form::{self, Form};
use crate::invocation::Invocation;
use crate::manual::{self, AttributeHelp};
use crate::options::{OptionDefinition, ParsedOptions};

/// Attributes that a command lists or sets, for its manual page.
pub struct AttributeGroup {
    /// For which forms, `-r lpar`.
    pub title: &'static str,
    /// The attributes that a release has.
    pub attributes: fn(Release) -> Vec<AttributeHelp>,
}

/// A command.
pub struct CommandDefinition {
    /// Name.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Options, `--help` included.
    pub options: &'static [OptionDefinition],
    /// Lines of the synopsis.
    pub forms: &'static [Form],
    /// Filters by resource: `-r lpar` and the names that `--filter` takes.
    pub filters: &'static [(&'static str, &'static [&'static str])],
    /// Attributes.
    pub attributes: &'static [AttributeGroup],
    /// What it does with options that are of one of its forms.
    pub(crate) run: fn(&mut Invocation<'_>, &ParsedOptions) -> Result<u8, CommandError>,
}

/// What a name stands for.
#[derive(Clone, Copy)]
pub enum CommandKind {
    /// A command that is there.
    Present(&'static CommandDefinition),
    /// A command of the real console that a later level brings; it is known, and refused.
    Later(&'static str),
}

/// Exit status of a command that its user cancelled: 128 and the number of SIGINT.
const CANCELLED: u8 = 130;

/// The commands that are there, in the order of their names.
#[must_use]
pub fn commands() -> &'static [&'static CommandDefinition] {
    ALL
}

/// Every name of a command, in order, those of later levels included.
#[must_use]
pub fn command_names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = ALL.iter().map(|command| command.name).collect();
    names.extend(later::NAMES);
    names.sort_unstable();
    names
}

/// What a name stands for; `None` when the console has no such command.
#[must_use]
pub fn lookup(name: &str) -> Option<CommandKind> {
    if let Some(command) = ALL.iter().find(|command| command.name == name) {
        return Some(CommandKind::Present(command));
    }
    later::NAMES.iter().find(|later| **later == name).map(|name| CommandKind::Later(name))
}

/// Runs a command to its end and returns its exit status. The run is recorded in the console's audit. A name that is no
/// command does nothing and returns 127, as a shell does.
pub fn run(name: &str, invocation: &mut Invocation<'_>) -> u8 {
    let result = match lookup(name) {
        Some(CommandKind::Present(command)) => run_present(command, invocation),
        Some(CommandKind::Later(name)) => Err(not_supported(name).into()),
        None => return 127,
    };
    let status = match result {
        Ok(status) => status,
        Err(CommandError::Refused(refusal)) => {
            // Nobody may read any more; the status is all that is left to say.
            let _ = writeln!(invocation.output, "{refusal}");
            1
        }
        Err(CommandError::Output(_)) => 1,
        Err(CommandError::Cancelled) => CANCELLED,
    };
    let _ = invocation.output.flush();
    let line = masked_command(name, invocation.arguments);
    invocation.console.record(invocation.user, invocation.peer, &line, status);
    status
}

fn run_present(
    command: &'static CommandDefinition,
    invocation: &mut Invocation<'_>,
) -> Result<u8, CommandError> {
    if invocation.arguments.iter().any(|argument| argument == "--help") {
        invocation.output.write_all(manual::usage(command).as_bytes())?;
        return Ok(0);
    }
    let options = ParsedOptions::parse(command.options, invocation.arguments)?;
    checked(command, &options)?;
    (command.run)(invocation, &options)
}

fn checked(command: &CommandDefinition, options: &ParsedOptions) -> Result<(), Refusal> {
    form::check(command.name, command.forms, options).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_order() {
        for pair in command_names().windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for pair in commands().windows(2) {
            assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
        }
        assert!(lookup("lssyscfg").is_some() && lookup("migrlpar").is_some() && lookup("last").is_none());
    }

    #[test]
    fn forms_speak_of_options_that_exist() {
        use crate::form::PartOfForm;
        for command in commands() {
            assert!(command.options.iter().any(|option| option.name == "--help"), "{}", command.name);
            for part in command.forms.iter().flat_map(Form::parts) {
                let names: Vec<&str> = match part {
                    PartOfForm::When(name, _)
                    | PartOfForm::Given(name)
                    | PartOfForm::Required(name)
                    | PartOfForm::Optional(name) => vec![name],
                    PartOfForm::Needs(name, other) => vec![name, other],
                    PartOfForm::OneOf(names) | PartOfForm::SomeOf(names) | PartOfForm::AtMostOne(names) => {
                        names.to_vec()
                    }
                };
                for name in names {
                    let known = command.options.iter().any(|option| option.name == name);
                    assert!(known, "{}: {name}", command.name);
                }
            }
        }
    }

    #[test]
    fn every_supported_option_is_in_a_supported_form() {
        use crate::form::PartOfForm;
        for command in commands() {
            for option in command.options.iter().filter(|option| option.supported && option.name != "--help")
            {
                let taken =
                    command.forms.iter().filter(|form| form.supported).flat_map(Form::parts).any(|part| {
                        match part {
                            PartOfForm::When(name, _)
                            | PartOfForm::Given(name)
                            | PartOfForm::Required(name)
                            | PartOfForm::Optional(name)
                            | PartOfForm::Needs(name, _) => *name == option.name,
                            PartOfForm::OneOf(names)
                            | PartOfForm::SomeOf(names)
                            | PartOfForm::AtMostOne(names) => names.contains(&option.name),
                        }
                    });
                assert!(taken, "{} {}", command.name, option.name);
            }
        }
    }
}
