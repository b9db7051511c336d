//! `bkprofdata`, `rstprofdata`, `mkprofdata`, `rmprofdata`, `lsprofspace`: profile data of a managed system.

use varan_console::Task;
use varan_contract::system::{PartitionFilter, SystemRequest};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::profile_data::{PROFILE_DATA_BYTES_MAX, RestoreKind};

use super::{FIELDS, HEADER, MANAGED_SYSTEM, lssyscfg};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

const FILE: OptionDefinition = OptionDefinition::new(
    "-f",
    OptionValue::Text("file"),
    "Backup file in /var/hsc/profiles/serial-number, by its name or by its whole path.",
);

pub(crate) static BACK_UP: CommandDefinition = CommandDefinition {
    name: "bkprofdata",
    summary: "back up profile data",
    options: &[
        MANAGED_SYSTEM,
        FILE,
        OptionDefinition::new("--force", OptionValue::Flag, "Overwrite a backup file that exists."),
        HELP,
    ],
    forms: &[Form::new(&[Required("-m"), Required("-f"), Optional("--force")])],
    filters: &[],
    attributes: &[],
    run: back_up,
};

pub(crate) static RESTORE: CommandDefinition = CommandDefinition {
    name: "rstprofdata",
    summary: "restore profile data",
    options: &[
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "-l",
            OptionValue::Word(&["1", "2", "3", "4"]),
            "1: all from the backup. 2: merge, the backup wins. 3: merge, what is there wins. 4: initialize, all partitions and profiles go.",
        ),
        FILE,
        OptionDefinition::later("--forcekeystore", OptionValue::Flag, "Restore although keystores are lost."),
        HELP,
    ],
    forms: &[
        Form::new(&[Required("-m"), When("-l", &["1", "2", "3"]), Required("-f")]),
        Form::new(&[Required("-m"), When("-l", &["4"])]),
    ],
    filters: &[],
    attributes: &[],
    run: restore,
};

pub(crate) static RECREATE: CommandDefinition = CommandDefinition {
    name: "mkprofdata",
    summary: "create profile data from what a managed system has now",
    options: &[
        OptionDefinition::new("-r", OptionValue::Word(&["sys"]), "sys: managed systems."),
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["recreate", "createxml"]),
            "recreate: one profile for each partition, from its current configuration. All profiles and system profiles that are there go.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new("-s", OptionValue::Word(&["sys"]), "sys: from the managed system."),
        OptionDefinition::new("-v", OptionValue::Flag, "Print the partitions whose profiles were created."),
        OptionDefinition::later("-b", OptionValue::Text("binary-file"), "Backup file to convert."),
        OptionDefinition::later("-x", OptionValue::Text("XML-file"), "File for the result."),
        HELP,
    ],
    forms: &[
        Form::new(&[
            When("-r", &["sys"]),
            When("-o", &["recreate"]),
            Required("-m"),
            Required("-s"),
            Optional("-v"),
        ]),
        Form::later(&[When("-r", &["sys"]), When("-o", &["createxml"])]),
    ],
    filters: &[],
    attributes: &[],
    run: recreate,
};

pub(crate) static REMOVE: CommandDefinition = CommandDefinition {
    name: "rmprofdata",
    summary: "remove a backup of profile data",
    options: &[MANAGED_SYSTEM, FILE, HELP],
    forms: &[Form::new(&[Required("-m"), Required("-f")])],
    filters: &[],
    attributes: &[],
    run: remove,
};

pub(crate) static SPACE: CommandDefinition = CommandDefinition {
    name: "lsprofspace",
    summary: "list the space for profile data",
    options: &[MANAGED_SYSTEM, FIELDS, HEADER, HELP],
    forms: &[Form::listing(&[Required("-m")])],
    filters: &[],
    attributes: &[AttributeGroup { title: "", attributes: |release| attributes(&PROFILE_SPACE, release) }],
    run: space,
};

/// Bytes of profile data that a system has.
struct SpaceRow(u64);

static PROFILE_SPACE: Table<SpaceRow> = Table {
    name: "profile space",
    attributes: &[
        Attribute::new("total_profile_space", "Most bytes that a backup can have.", |_: &SpaceRow| {
            Value::of(PROFILE_DATA_BYTES_MAX)
        })
        .unverified(),
        Attribute::new("used_profile_space", "Bytes of the profile data now.", |row: &SpaceRow| {
            Value::of(row.0)
        })
        .unverified(),
        Attribute::new("avail_profile_space", "Bytes that are left.", |row: &SpaceRow| {
            Value::of(PROFILE_DATA_BYTES_MAX.saturating_sub(row.0))
        })
        .unverified(),
    ],
};

fn back_up(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::BackUpProfileData)?;
    let system = invocation.whole_system(options)?;
    invocation.console.back_up_profile_data(&system, options.require("-f")?, options.has("--force"))?;
    Ok(0)
}

fn restore(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::RestoreProfileData)?;
    let system = invocation.whole_system(options)?;
    let kind = match options.require("-l")? {
        "1" => RestoreKind::Full,
        "2" => RestoreKind::BackupPriority,
        "3" => RestoreKind::CurrentPriority,
        _ => RestoreKind::Initialize,
    };
    let data = match options.get("-f") {
        Some(file) => Some(Box::new(invocation.console.profile_data_backup(&system, file)?)),
        None => None,
    };
    invocation.ask(&system, SystemRequest::RestoreProfileData { kind, data })?;
    Ok(0)
}

fn recreate(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::RestoreProfileData)?;
    let system = invocation.whole_system(options)?;
    invocation.ask(&system, SystemRequest::RecreateProfileData)?;
    if options.has("-v") {
        for row in lssyscfg::rows(invocation, &system, PartitionFilter::All)? {
            writeln!(invocation.output, "{} ({})", row.entry.partition.name, row.entry.partition.id)?;
        }
    }
    Ok(0)
}

fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::RemoveProfileData)?;
    let system = invocation.whole_system(options)?;
    invocation.console.remove_profile_data(&system, options.require("-f")?)?;
    Ok(0)
}

fn space(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListProfileSpace)?;
    let layout = Layout::new(&PROFILE_SPACE, options, invocation.console.release())?;
    let system = invocation.whole_system(options)?;
    let bytes = invocation.console.profile_data_bytes(&system)?;
    layout.print([SpaceRow(bytes)], invocation.output)
}
