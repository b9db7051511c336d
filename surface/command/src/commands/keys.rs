//! `mkauthkeys`: adds and removes the public keys that let a user in by SSH.

use varan_console::Task;

use super::users::covers;
use crate::catalog::CommandDefinition;
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, Required};
use crate::invocation::Invocation;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "mkauthkeys",
    summary: "add or remove the SSH keys of a user",
    options: &[
        OptionDefinition::new("-a", OptionValue::Flag, "Add the key."),
        OptionDefinition::new("--add", OptionValue::Flag, "Add the key."),
        OptionDefinition::new("-r", OptionValue::Flag, "Remove the key."),
        OptionDefinition::new("--remove", OptionValue::Flag, "Remove the key."),
        OptionDefinition::new("-u", OptionValue::Text("user-name"), "Whose key; one's own when not given."),
        OptionDefinition::new(
            "key-string",
            OptionValue::Operand,
            "The key in quotes, as its .pub file has it; to remove keys, the comment at their end will do.",
        ),
        OptionDefinition::later("-g", OptionValue::Flag, "Make a key of the console."),
        OptionDefinition::later("--ip", OptionValue::Text("address"), "Remote console."),
        OptionDefinition::later("--passwd", OptionValue::Text("password"), "Password on the remote console."),
        OptionDefinition::later("--test", OptionValue::Flag, "Test the keys of a remote console."),
        HELP,
    ],
    forms: &[Form::new(&[OneOf(&["-a", "--add", "-r", "--remove"]), Optional("-u"), Required("key-string")])],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let user = options.get("-u").unwrap_or(invocation.user);
    if user == invocation.user {
        invocation.authorize(Task::ChangeOwnPassword)?;
    } else {
        invocation.authorize(Task::ManageUsers)?;
        covers(invocation, invocation.console.tasks_of(user))?;
    }
    let key = options.require("key-string")?;
    if options.has("-a") || options.has("--add") {
        invocation.console.add_key(user, key)?;
    } else {
        invocation.console.remove_keys(user, key)?;
    }
    Ok(0)
}
