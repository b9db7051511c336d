//! `lssyscfg`: managed systems, partitions, profiles.

use std::sync::Arc;

use varan_console::{SystemConnection, Task};
use varan_contract::system::{PartitionFilter, SystemReply, SystemRequest};
use varan_model::attributes::partition::{PARTITION, PartitionRow};
use varan_model::attributes::profile::{PROFILE, ProfileRow};
use varan_model::attributes::system::{SYSTEM, SystemRow};
use varan_model::refusal::Refusal;

use super::system_profiles::{self, SYSTEM_PROFILE};
use super::{FIELDS, FILTER, HEADER, MANAGED_SYSTEM};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;
use crate::time;

const PARTITION_FILTERS: &[&str] = &["lpar_names", "lpar_ids", "work_groups"];
const PROFILE_FILTERS: &[&str] = &["lpar_names", "lpar_ids", "profile_names"];

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "lssyscfg",
    summary: "list managed systems, partitions, partition profiles and system profiles",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["lpar", "prof", "sys", "sysprof", "cage", "frame"]),
            "What to list: partitions, partition profiles, managed systems, system profiles, cages, frames.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new("-e", OptionValue::Text("managed-frame"), "Name of the managed frame."),
        OptionDefinition::new(
            "--osrefresh",
            OptionValue::Flag,
            "Ask the operating systems for their level first.",
        ),
        OptionDefinition::new(
            "--lastvalidcfg",
            OptionValue::Flag,
            "List the last valid configuration of partitions instead of their profiles.",
        ),
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::listing(&[When("-r", &["sys"]), Optional("-m")]),
        Form::filtered(&[When("-r", &["lpar"]), Required("-m"), Optional("--osrefresh")]),
        Form::filtered(&[When("-r", &["prof"]), Required("-m"), Optional("--lastvalidcfg")]),
        Form::filtered(&[When("-r", &["sysprof"]), Required("-m")]),
        Form::listing(&[When("-r", &["cage", "frame"]), Optional("-e")]),
    ],
    filters: &[
        ("-r lpar", PARTITION_FILTERS),
        ("-r prof", PROFILE_FILTERS),
        ("-r sysprof", system_profiles::FILTERS),
    ],
    attributes: &[
        AttributeGroup { title: "-r sys", attributes: |release| attributes(&SYSTEM, release) },
        AttributeGroup { title: "-r lpar", attributes: |release| attributes(&PARTITION, release) },
        AttributeGroup { title: "-r prof", attributes: |release| attributes(&PROFILE, release) },
        AttributeGroup { title: "-r sysprof", attributes: |release| attributes(&SYSTEM_PROFILE, release) },
    ],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    match options.require("-r")? {
        "sys" => systems(invocation, options),
        "lpar" => partitions(invocation, options),
        "prof" => profiles(invocation, options),
        "sysprof" => system_profiles::list(invocation, options),
        // A console without frames has none to list, whatever is asked about them.
        _ => {
            invocation.authorize(Task::ListSystems)?;
            Layout::new(&SYSTEM_PROFILE, &ParsedOptions::default(), invocation.console.release())?
                .print(std::iter::empty(), invocation.output)
        }
    }
}

fn systems(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListSystems)?;
    let console = invocation.console;
    let layout = Layout::new(&SYSTEM, options, console.release())?;
    let chosen: Vec<Arc<SystemConnection>> = match options.get("-m") {
        Some(name) => vec![invocation.find_system(name)?],
        None => invocation.systems(),
    };
    let seconds = console.environment().wall_clock().seconds();
    let mut rows = Vec::with_capacity(chosen.len());
    for connection in chosen {
        let system = console.describe(&connection)?;
        rows.push(SystemRow { system, time: time::format(seconds), address: connection.address.clone() });
    }
    layout.print(rows, invocation.output)
}

/// The partitions that a filter chooses, with their system.
pub(super) fn rows(
    invocation: &Invocation<'_>,
    system: &SystemConnection,
    partitions: PartitionFilter,
) -> Result<Vec<PartitionRow>, Refusal> {
    match invocation.ask(system, SystemRequest::ListPartitions(partitions))? {
        SystemReply::Partitions { system, entries } => {
            Ok(entries.into_iter().map(|entry| PartitionRow { system: system.clone(), entry }).collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn partitions(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListPartitions)?;
    let layout = Layout::new(&PARTITION, options, invocation.console.release())?;
    let filters = Filters::parse(options, PARTITION_FILTERS)?;
    let groups = work_groups(&filters)?;
    let system = invocation.system(options)?;
    let mut rows = rows(invocation, &system, filters.partitions()?)?;
    if let Some(groups) = groups {
        rows.retain(|row| groups.contains(&row.entry.partition.settings.work_group));
    }
    layout.print(rows, invocation.output)
}

/// The groups of `work_groups`; `none` stands for partitions of no group.
fn work_groups(filters: &Filters) -> Result<Option<Vec<Option<u16>>>, Refusal> {
    let read = |value: &String| match value.as_str() {
        "none" => Ok(None),
        text => text.parse().map(Some).map_err(|_| invalid_parameters(&["--filter"])),
    };
    filters.get("work_groups").map(|values| values.iter().map(read).collect()).transpose()
}

fn profiles(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListProfiles)?;
    let layout = Layout::new(&PROFILE, options, invocation.console.release())?;
    let filters = Filters::parse(options, PROFILE_FILTERS)?;
    let system = invocation.system(options)?;
    let request = SystemRequest::ListProfiles {
        partitions: filters.partitions()?,
        names: filters.get("profile_names").map(<[String]>::to_vec).unwrap_or_default(),
        last_valid: options.has("--lastvalidcfg"),
    };
    let SystemReply::Profiles { system, profiles, names } = invocation.ask(&system, request)? else {
        return layout.print(std::iter::empty(), invocation.output);
    };
    let row = |(partition, profile)| ProfileRow {
        system: system.clone(),
        partition,
        profile,
        names: names.clone(),
    };
    layout.print(profiles.into_iter().map(row), invocation.output)
}
