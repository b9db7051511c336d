//! `lslock`, `rmlock`: what operations hold at a managed system.
//!
//! Both commands are in the inventory of the real console; no public source shows their options or output, so that the
//! attributes and the way to name a lock are ours.

use varan_console::Task;
use varan_contract::system::{SystemReply, SystemRequest};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::lock::LockEntry;

use super::{FIELDS, HEADER, MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{AtMostOne, Required};
use crate::invocation::{Invocation, selector};
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, ParsedOptions};
use crate::time;

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lslock",
    summary: "list the locks that operations hold at a managed system",
    options: &[MANAGED_SYSTEM, FIELDS, HEADER, HELP],
    forms: &[Form::listing(&[Required("-m")])],
    filters: &[],
    attributes: &[AttributeGroup { title: "", attributes: |release| attributes(&LOCKS, release) }],
    run: list,
};

pub(crate) static REMOVE: CommandDefinition = CommandDefinition {
    name: "rmlock",
    summary: "end the operation that holds a lock at a managed system, and remove the lock",
    options: &[MANAGED_SYSTEM, PARTITION_NAME, PARTITION_ID, HELP],
    forms: &[Form::new(&[Required("-m"), AtMostOne(&["-p", "--id"])])],
    filters: &[],
    attributes: &[],
    run: remove,
};

fn of_holder(row: &LockEntry, value: impl Fn(&varan_model::lock::LockHolder) -> String) -> Value {
    row.lock.holder.as_ref().map_or(Value::NotApplicable, |holder| Value::Text(value(holder)))
}

static LOCKS: Table<LockEntry> = Table {
    name: "lock",
    attributes: &[
        Attribute::new("resource_type", "sys for a lock on the whole system, lpar.", |row: &LockEntry| {
            Value::of(if row.partition.is_some() { "lpar" } else { "sys" })
        })
        .unverified(),
        Attribute::new("lpar_name", "Partition.", |row: &LockEntry| match &row.partition {
            Some((_, name)) => Value::of(name),
            None => Value::NotApplicable,
        })
        .unverified(),
        Attribute::new("lpar_id", "Number of the partition.", |row: &LockEntry| match &row.partition {
            Some((id, _)) => Value::of(id),
            None => Value::NotApplicable,
        })
        .unverified(),
        Attribute::new(
            "lock_id",
            "Number of the lock; a move holds one on two partitions.",
            |row: &LockEntry| Value::of(row.lock.number),
        )
        .unverified(),
        Attribute::new(
            "operation",
            "mem, proc, virtualio, io: a dynamic change; lic: an update.",
            |row: &LockEntry| Value::of(row.lock.operation.word()),
        )
        .unverified(),
        Attribute::new(
            "hmc_name",
            "Management console on whose behalf the lock is held.",
            |row: &LockEntry| of_holder(row, |holder| holder.console.clone()),
        )
        .unverified(),
        Attribute::new("hmc_type_model_serial_num", "The machine of that console.", |row: &LockEntry| {
            of_holder(row, |holder| holder.identity.to_string())
        })
        .unverified(),
        Attribute::new("time", "Since when the lock is held.", |row: &LockEntry| {
            Value::of(time::format(row.lock.since))
        })
        .unverified(),
    ],
};

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListHardware)?;
    let layout = Layout::new(&LOCKS, options, invocation.console.release())?;
    let connection = invocation.system(options)?;
    let SystemReply::Locks(rows) = invocation.ask(&connection, SystemRequest::ListLocks)? else {
        return layout.print(std::iter::empty(), invocation.output);
    };
    layout.print(rows, invocation.output)
}

fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::RemoveLock)?;
    let partition = match options.has("-p") || options.has("--id") {
        true => Some(selector(options, "-p", "--id")?),
        false => None,
    };
    let connection = invocation.system(options)?;
    invocation.ask(&connection, SystemRequest::RemoveLock { partition })?;
    Ok(0)
}
