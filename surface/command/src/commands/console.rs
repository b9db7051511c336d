//! `lssysconn` and `lshmcusr`: connections and users of the console.

use std::sync::Arc;

use varan_console::{SystemConnection, Task, User};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::system::SystemState;

use super::{FIELDS, FILTER, HEADER, MANAGED_SYSTEM};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Needs, Optional, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;

const USER_FILTERS: &[&str] = &["names", "taskroles", "resourceroles"];

pub(crate) static CONNECTIONS: CommandDefinition = CommandDefinition {
    name: "lssysconn",
    summary: "list the connections to managed systems",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["all", "sys"]),
            "Which connections: all, or those to systems.",
        ),
        MANAGED_SYSTEM,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::new(&[When("-r", &["all"]), Optional("-F"), Needs("--header", "-F")]),
        Form::new(&[When("-r", &["sys"]), Optional("-m"), Optional("-F"), Needs("--header", "-F")]),
    ],
    filters: &[],
    attributes: &[AttributeGroup { title: "-r all", attributes: |release| attributes(&CONNECTION, release) }],
    run: connections,
};

pub(crate) static USERS: CommandDefinition = CommandDefinition {
    name: "lshmcusr",
    summary: "list the users of the console",
    options: &[
        OptionDefinition::later("-t", OptionValue::Word(&["default", "user"]), "What to list."),
        OptionDefinition::later("--script", OptionValue::Flag, "Print commands that make the users."),
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[Form::new(&[Optional("--filter"), Optional("-F"), Needs("--header", "-F")])],
    filters: &[("users", USER_FILTERS)],
    attributes: &[AttributeGroup { title: "users", attributes: |release| attributes(&USER, release) }],
    run: users,
};

/// A connection and what the system says of itself.
struct ConnectionRow {
    connection: Arc<SystemConnection>,
    connected: bool,
}

static CONNECTION: Table<ConnectionRow> = Table {
    name: "system connection",
    attributes: &[
        Attribute::new("resource_type", "Kind of the resource.", |_: &ConnectionRow| Value::of("sys")),
        Attribute::new("type_model_serial_num", "Type, model and serial number.", |row: &ConnectionRow| {
            Value::of(row.connection.identity())
        }),
        Attribute::new("sp", "Role of the service processor.", |row: &ConnectionRow| {
            Value::of(if row.connected { "primary" } else { "unavailable" })
        }),
        Attribute::new("sp_phys_loc", "Location of the service processor.", |_: &ConnectionRow| {
            Value::of("unavailable")
        }),
        Attribute::new("ipaddr", "Address of the service processor.", |row: &ConnectionRow| {
            Value::of(&row.connection.address)
        }),
        Attribute::new("alt_ipaddr", "Further address of the service processor.", |_: &ConnectionRow| {
            Value::of("unavailable")
        }),
        Attribute::new("state", "State of the connection.", |row: &ConnectionRow| {
            Value::of(if row.connected { "Connected" } else { "No Connection" })
        }),
        Attribute::new("connection_error_code", "Why there is no connection.", |row: &ConnectionRow| {
            if row.connected { Value::NotApplicable } else { Value::of("Connecting 0000-0000-00000000") }
        }),
    ],
};

fn connections(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListConnections)?;
    let console = invocation.console;
    let layout = Layout::new(&CONNECTION, options, console.release())?;
    let chosen: Vec<Arc<SystemConnection>> = match options.get("-m") {
        Some(name) => vec![console.find_system(name)?],
        None => console.systems().cloned().collect(),
    };
    let mut rows = Vec::with_capacity(chosen.len());
    for connection in chosen {
        let connected = console.describe(&connection)?.state != SystemState::NoConnection;
        rows.push(ConnectionRow { connection, connected });
    }
    layout.print(rows, invocation.output)
}

macro_rules! fixed {
    ($name:literal, $value:literal, $help:literal) => {
        Attribute::new($name, $help, |_: &Arc<User>| Value::of($value))
    };
}

static USER: Table<Arc<User>> = Table {
    name: "user",
    attributes: &[
        Attribute::new("name", "Name.", |row: &Arc<User>| Value::of(&row.name)),
        Attribute::new("taskrole", "Task role.", |row: &Arc<User>| Value::of(&row.task_role)),
        Attribute::new("description", "Description.", |row: &Arc<User>| Value::of(&row.description)),
        fixed!("pwage", "99999", "Days until the password expires."),
        Attribute::new("resourcerole", "Resource role.", |row: &Arc<User>| Value::of(&row.resource_role)),
        fixed!("authentication_type", "local", "How the user is authenticated."),
        fixed!("remote_webui_access", "0", "1: may use the web interface remotely."),
        fixed!("remote_ssh_access", "1", "1: may log in by SSH."),
        fixed!("min_pwage", "0", "Days before the password may be changed again."),
        fixed!("session_timeout", "0", "Minutes of a session, 0 for no limit."),
        fixed!("verify_timeout", "15", "Minutes to authenticate again."),
        fixed!("idle_timeout", "0", "Minutes a session may be idle, 0 for no limit."),
        fixed!("inactivity_expiration", "0", "Days until an unused name is disabled, 0 for never."),
        fixed!(
            "resources",
            "<ResourceID = ALL:><UserDefinedName = AllSystemResources>",
            "Managed resources."
        ),
        fixed!("password_encryption", "argon2", "How the password is kept."),
        fixed!("disabled", "0", "1: may not log in."),
    ],
};

fn users(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListUsers)?;
    let layout = Layout::new(&USER, options, invocation.console.release())?;
    let filters = Filters::parse(options, USER_FILTERS)?;
    let wanted = |filter: &str, value: &str| {
        filters.get(filter).is_none_or(|values| values.iter().any(|wanted| wanted == value))
    };
    let mut rows = invocation.console.users();
    rows.retain(|user| {
        wanted("names", &user.name)
            && wanted("taskroles", &user.task_role)
            && wanted("resourceroles", &user.resource_role)
    });
    layout.print(rows, invocation.output)
}
