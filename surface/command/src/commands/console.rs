//! `lssysconn`: connections of the console.

use std::sync::Arc;

use varan_console::{SystemConnection, Task};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::system::SystemState;

use super::{FIELDS, HEADER, MANAGED_SYSTEM};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Needs, Optional, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

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
        Some(name) => vec![invocation.find_system(name)?],
        None => invocation.systems(),
    };
    let mut rows = Vec::with_capacity(chosen.len());
    for connection in chosen {
        let connected = console.describe(&connection)?.state != SystemState::NoConnection;
        rows.push(ConnectionRow { connection, connected });
    }
    layout.print(rows, invocation.output)
}
