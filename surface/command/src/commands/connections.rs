//! `lssysconn`, `mksysconn`, `rmsysconn`, `chsyspwd`: connections of the console to managed systems.

use std::net::IpAddr;
use std::sync::Arc;

use varan_console::{
    ConnectionEntry, ConnectionState, ConnectionTarget, ResourceScope, SystemConnection, Task,
};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use super::{FIELDS, HEADER, MANAGED_SYSTEM, secret};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, Required, SomeOf, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

const ADDRESS: OptionDefinition =
    OptionDefinition::new("--ip", OptionValue::Text("IP-address"), "Address of the service processor.");

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lssysconn",
    summary: "list the connections to managed systems",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["all", "sys", "frame"]),
            "Which connections: all, those to systems, those to frames.",
        ),
        MANAGED_SYSTEM,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::listing(&[When("-r", &["all", "frame"])]),
        Form::listing(&[When("-r", &["sys"]), Optional("-m")]),
    ],
    filters: &[],
    attributes: &[AttributeGroup { title: "-r all", attributes: |release| attributes(&CONNECTION, release) }],
    run: list,
};

pub(crate) static CREATE: CommandDefinition = CommandDefinition {
    name: "mksysconn",
    summary: "connect the console to a managed system",
    options: &[
        ADDRESS,
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["sys", "frame"]),
            "Kind of the resource; only systems can be connected at this level.",
        ),
        OptionDefinition::later("-u", OptionValue::Text("user-name"), "User of a baseboard controller."),
        OptionDefinition::new(
            "--passwd",
            OptionValue::Text("password"),
            "Password of the service processor. It is asked for on a terminal, read from standard input otherwise.",
        ),
        OptionDefinition::later("--force", OptionValue::Flag, "Connect although another console refuses."),
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["auto"]),
            "Connect to all systems on the console's network, those whose connection was removed included.",
        ),
        HELP,
    ],
    forms: &[
        Form::new(&[Required("--ip"), Optional("--passwd")]),
        Form::new(&[When("-r", &["sys"]), Required("--ip"), Optional("--passwd")]),
        Form::later(&[When("-r", &["frame"])]),
        Form::new(&[When("-o", &["auto"])]),
    ],
    filters: &[],
    attributes: &[],
    run: create,
};

pub(crate) static REMOVE: CommandDefinition = CommandDefinition {
    name: "rmsysconn",
    summary: "reset or remove the connection to a managed system",
    options: &[
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["remove", "reset"]),
            "remove: forget the connection; reset: end it and begin it anew.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::later("-e", OptionValue::Text("managed-frame"), "Name of the managed frame."),
        ADDRESS,
        HELP,
    ],
    forms: &[Form::new(&[When("-o", &["remove", "reset"]), OneOf(&["-m", "--ip"])])],
    filters: &[],
    attributes: &[],
    run: remove,
};

pub(crate) static PASSWORD: CommandDefinition = CommandDefinition {
    name: "chsyspwd",
    summary: "change the password of a managed system",
    options: &[
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["access", "admin", "general"]),
            "Which password: access for that of consoles; those of the other users of the service processor come later.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "--passwd",
            OptionValue::Text("password"),
            "Current password; the one that the console knows when it is left out. Alone it tells the console the password.",
        ),
        OptionDefinition::new("--newpasswd", OptionValue::Text("password"), "New password."),
        HELP,
    ],
    forms: &[
        Form::new(&[When("-t", &["access"]), Required("-m"), SomeOf(&["--passwd", "--newpasswd"])]),
        Form::later(&[When("-t", &["admin", "general"])]),
    ],
    filters: &[],
    attributes: &[],
    run: change_password,
};

fn connected(row: &ConnectionEntry) -> bool {
    row.state == ConnectionState::Connected
}

static CONNECTION: Table<ConnectionEntry> = Table {
    name: "system connection",
    attributes: &[
        Attribute::new("resource_type", "Kind of the resource.", |_: &ConnectionEntry| Value::of("sys")),
        Attribute::new("type_model_serial_num", "Type, model and serial number.", |row: &ConnectionEntry| {
            match &row.identity {
                Some(identity) => Value::of(identity),
                None => Value::of("unavailable"),
            }
        }),
        Attribute::new("sp", "Role of the service processor.", |row: &ConnectionEntry| {
            Value::of(if connected(row) { "primary" } else { "unavailable" })
        }),
        Attribute::new("sp_phys_loc", "Location of the service processor.", |_: &ConnectionEntry| {
            Value::of("unavailable")
        }),
        Attribute::new("ipaddr", "Address of the service processor.", |row: &ConnectionEntry| {
            Value::of(&row.address)
        }),
        Attribute::new("alt_ipaddr", "Further address of the service processor.", |_: &ConnectionEntry| {
            Value::of("unavailable")
        }),
        Attribute::new("state", "State of the connection.", |row: &ConnectionEntry| {
            Value::of(row.state.word())
        }),
        Attribute::new("connection_error_code", "Why there is no connection.", |row: &ConnectionEntry| {
            match row.state {
                ConnectionState::Connected => Value::NotApplicable,
                ConnectionState::NoConnection => Value::of("Connecting 0000-0000-00000000"),
                ConnectionState::FailedAuthentication => Value::of("Incorrect password 0802-0001-00000026"),
                // The text that the real console shows here is not known.
                ConnectionState::PendingAuthentication => Value::of("Password updates required"),
            }
        }),
    ],
};

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListConnections)?;
    let console = invocation.console;
    let layout = Layout::new(&CONNECTION, options, console.release())?;
    let rows = match options.get("-m") {
        _ if options.get("-r") == Some("frame") => Vec::new(),
        Some(name) => vec![console.connection_entry(&*invocation.find_system(name)?)],
        None => {
            let mut rows: Vec<ConnectionEntry> =
                invocation.systems().iter().map(|system| console.connection_entry(system)).collect();
            // What nobody answers is no resource that a role could name.
            if invocation.scope() == ResourceScope::All {
                rows.extend(console.unanswered_connections());
            }
            rows
        }
    };
    layout.print(rows, invocation.output)
}

/// The address of `--ip`, as it is compared and listed.
fn address(options: &ParsedOptions) -> Result<String, CommandError> {
    let address: Result<IpAddr, _> = options.require("--ip")?.parse();
    match address {
        Ok(address) if !address.is_unspecified() && !address.is_multicast() => Ok(address.to_string()),
        _ => Err(invalid_parameters(&["--ip"]).into()),
    }
}

/// A password given as an option; an empty one is none.
fn password<'o>(options: &'o ParsedOptions, name: &str) -> Result<Option<&'o str>, CommandError> {
    match options.get(name) {
        Some("") => Err(invalid_parameters(&[name]).into()),
        value => Ok(value),
    }
}

/// Connections by address are for users who may reach every resource.
fn all_resources(invocation: &Invocation<'_>) -> Result<(), Refusal> {
    match invocation.scope() {
        ResourceScope::All => Ok(()),
        _ => Err(Refusal::new(MessageKey::NotAuthorized)),
    }
}

/// A system that the user may reach as a whole, not only some of its partitions.
fn whole_system(invocation: &Invocation<'_>, name: &str) -> Result<Arc<SystemConnection>, Refusal> {
    let system = invocation.find_system(name)?;
    if invocation.scope().allows_system(&system.identity().to_string()) {
        Ok(system)
    } else {
        Err(Refusal::new(MessageKey::NotAuthorized))
    }
}

fn create(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageConnections)?;
    all_resources(invocation)?;
    if options.has("-o") {
        invocation.console.discover()?;
        return Ok(0);
    }
    let address = address(options)?;
    let given = password(options, "--passwd")?.map(str::to_owned);
    let given = match given {
        Some(given) => Some(given),
        None => secret::ask(invocation, "Enter the password of the managed system: ")?,
    };
    let given = given.filter(|given| !given.is_empty());
    invocation.console.connect(&address, given.as_deref())?;
    Ok(0)
}

fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageConnections)?;
    let console = invocation.console;
    let target = match options.get("-m") {
        Some(name) => ConnectionTarget::System(whole_system(invocation, name)?),
        None => {
            all_resources(invocation)?;
            ConnectionTarget::Address(address(options)?)
        }
    };
    match options.require("-o")? {
        "reset" => console.reset_connection(&target)?,
        _ => console.disconnect(&target)?,
    }
    Ok(0)
}

fn change_password(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeAccessPassword)?;
    let (current, new) = (password(options, "--passwd")?, password(options, "--newpasswd")?);
    let system = whole_system(invocation, options.require("-m")?)?;
    invocation.console.set_access_password(&system, current, new)?;
    Ok(0)
}
