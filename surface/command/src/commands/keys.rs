//! `mkauthkeys`: adds and removes the public keys that let a user in by SSH.

use varan_console::Task;

use super::{secret, users::covers};
use crate::catalog::CommandDefinition;
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Given, OneOf, Optional, Required};
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
        OptionDefinition::new("-g", OptionValue::Flag, "Make a key pair of one's own, if there is none yet."),
        OptionDefinition::new(
            "--ip",
            OptionValue::Text("address"),
            "Host name or address of another console, whose user -u is to let one in without a password.",
        ),
        OptionDefinition::new(
            "--passwd",
            OptionValue::Text("password"),
            "Password of the user there; it is asked for when it is left out.",
        ),
        OptionDefinition::new("--test", OptionValue::Flag, "Only test whether one is let in."),
        HELP,
    ],
    forms: &[
        Form::new(&[OneOf(&["-a", "--add", "-r", "--remove"]), Optional("-u"), Required("key-string")]),
        Form::new(&[Given("-g")]),
        Form::new(&[Given("--ip"), Optional("-u"), Optional("--passwd"), Optional("-g")]),
        Form::new(&[Given("--ip"), Given("--test"), Optional("-u")]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    if let Some(host) = options.get("--ip") {
        return remote(invocation, options, host);
    }
    if options.has("-g") {
        invocation.authorize(Task::ChangeOwnPassword)?;
        invocation.remote.own_key()?;
        return Ok(0);
    }
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

/// The way to another console: the key is brought there, or tried.
fn remote(invocation: &mut Invocation<'_>, options: &ParsedOptions, host: &str) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeOwnPassword)?;
    let user = options.get("-u").unwrap_or(invocation.user).to_owned();
    if host.is_empty() || user.is_empty() {
        return Err(invalid_parameters(&[if host.is_empty() { "--ip" } else { "-u" }]).into());
    }
    if options.has("--test") {
        invocation.remote.test(host, &user)?;
        return Ok(0);
    }
    let given = options.get("--passwd").map(str::to_owned);
    let password = match given {
        Some(password) => Some(password),
        None => {
            let prompt = format!("Enter the password for user {user} on the remote host {host}:");
            secret::ask(invocation, &prompt)?
        }
    };
    let password = password.filter(|password| !password.is_empty());
    let password = password.ok_or_else(|| invalid_parameters(&["--passwd"]))?;
    invocation.remote.exchange(host, &user, &password)?;
    Ok(0)
}
