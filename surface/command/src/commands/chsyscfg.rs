//! `chsyscfg`: changes partitions, profiles and managed systems.

use std::sync::Arc;

use varan_console::{SystemConnection, Task};
use varan_contract::system::SystemRequest;
use varan_model::attributes::partition::PARTITION;
use varan_model::attributes::profile::PROFILE;
use varan_model::attributes::system::SYSTEM;
use varan_model::codes::MessageKey;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;

use super::system_profiles::{self, SYSTEM_PROFILE};
use super::{MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME, RECORD, RECORD_FILE};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, Required, When};
use crate::invocation::{Invocation, selector};
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::records::{record, take, take_partition, texts};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "chsyscfg",
    summary: "change partitions, partition profiles, managed systems and system profiles",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["lpar", "prof", "sys", "sysprof", "frame"]),
            "What to change: a partition, a partition profile, the managed system, a system profile.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::later("-e", OptionValue::Text("managed-frame"), "Name of the managed frame."),
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["apply"]),
            "apply: a profile becomes the current configuration of a partition that is shut down.",
        ),
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new("-n", OptionValue::Text("profile-name"), "Name of the profile to apply."),
        RECORD_FILE,
        RECORD,
        OptionDefinition::new(
            "--force",
            OptionValue::Flag,
            "Carry the change out although it might not be synchronized.",
        ),
        HELP,
    ],
    forms: &[
        Form::new(&[
            When("-r", &["lpar", "prof", "sys", "sysprof"]),
            Required("-m"),
            OneOf(&["-f", "-i"]),
            Optional("--force"),
        ]),
        Form::new(&[
            When("-r", &["lpar"]),
            Required("-m"),
            When("-o", &["apply"]),
            OneOf(&["-p", "--id"]),
            Required("-n"),
            Optional("--force"),
        ]),
        Form::later(&[When("-r", &["frame"])]),
    ],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-r lpar", attributes: |release| attributes(&PARTITION, release) },
        AttributeGroup { title: "-r prof", attributes: |release| attributes(&PROFILE, release) },
        AttributeGroup { title: "-r sys", attributes: |release| attributes(&SYSTEM, release) },
        AttributeGroup { title: "-r sysprof", attributes: |release| attributes(&SYSTEM_PROFILE, release) },
    ],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let resource = options.require("-r")?;
    if resource == "sysprof" {
        return system_profiles::change(invocation, options);
    }
    invocation.authorize(match resource {
        "lpar" => Task::ChangePartition,
        "prof" => Task::ChangeProfile,
        _ => Task::ChangeSystem,
    })?;
    let system = invocation.system(options)?;
    if options.has("-o") {
        let profile = options.require("-n")?.to_owned();
        let partition = selector(options, "-p", "--id")?;
        invocation.ask(&system, SystemRequest::ApplyProfile { partition, profile })?;
        return Ok(0);
    }
    let texts = texts(invocation, options)?;
    invocation.each(texts, |invocation, text| {
        let request = request(invocation, &system, resource, record(&text)?)?;
        invocation.ask(&system, request)?;
        Ok(())
    })
}

fn request(
    invocation: &Invocation<'_>,
    system: &Arc<SystemConnection>,
    resource: &str,
    mut record: Vec<Assignment>,
) -> Result<SystemRequest, Refusal> {
    match resource {
        "lpar" => {
            let partition = take_partition(invocation, system, &mut record, "name")?;
            Ok(SystemRequest::ChangePartition { partition, record })
        }
        "prof" => {
            let profile = take(&mut record, "name")?;
            let profile = profile.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("name"))?;
            let partition = take_partition(invocation, system, &mut record, "lpar_name")?;
            Ok(SystemRequest::ChangeProfile { partition, profile, record })
        }
        _ => Ok(SystemRequest::ChangeSystem { record }),
    }
}
