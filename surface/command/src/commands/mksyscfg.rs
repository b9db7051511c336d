//! `mksyscfg`: creates partitions and profiles.

use varan_console::Task;
use varan_contract::system::SystemRequest;
use varan_model::attributes::partition::PARTITION;
use varan_model::attributes::profile::PROFILE;

use super::system_profiles::{self, SYSTEM_PROFILE};
use super::{MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME, RECORD, RECORD_FILE};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, Required, When};
use crate::invocation::{Invocation, selector};
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::records::{record, take_partition, texts};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "mksyscfg",
    summary: "create partitions, partition profiles and system profiles",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["lpar", "prof", "sysprof"]),
            "What to create: a partition with its first profile, a partition profile, a system profile.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["save"]),
            "save: the current configuration of a partition becomes a profile.",
        ),
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new("-n", OptionValue::Text("profile-name"), "Name of the profile to save to."),
        RECORD_FILE,
        RECORD,
        OptionDefinition::new("--force", OptionValue::Flag, "Overwrite a profile that exists."),
        HELP,
    ],
    forms: &[
        Form::new(&[When("-r", &["lpar", "prof", "sysprof"]), Required("-m"), OneOf(&["-f", "-i"])]),
        Form::new(&[
            When("-r", &["prof"]),
            Required("-m"),
            When("-o", &["save"]),
            OneOf(&["-p", "--id"]),
            Required("-n"),
            Optional("--force"),
        ]),
    ],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-r lpar", attributes: |release| attributes(&PARTITION, release) },
        AttributeGroup { title: "-r lpar and -r prof", attributes: |release| attributes(&PROFILE, release) },
        AttributeGroup { title: "-r sysprof", attributes: |release| attributes(&SYSTEM_PROFILE, release) },
    ],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    if options.get("-r") == Some("sysprof") {
        return system_profiles::create(invocation, options);
    }
    let of_partition = options.get("-r") == Some("lpar");
    invocation.authorize(if of_partition { Task::CreatePartition } else { Task::CreateProfile })?;
    let system = invocation.system(options)?;
    if options.has("-o") {
        let request = SystemRequest::SaveProfile {
            partition: selector(options, "-p", "--id")?,
            profile: options.require("-n")?.to_owned(),
            force: options.has("--force"),
        };
        invocation.ask(&system, request)?;
        return Ok(0);
    }
    let texts = texts(invocation, options)?;
    invocation.each(texts, |invocation, text| {
        let mut record = record(&text)?;
        let request = if of_partition {
            SystemRequest::CreatePartition { record }
        } else {
            let partition = take_partition(invocation, &system, &mut record, "lpar_name")?;
            SystemRequest::CreateProfile { partition, record }
        };
        invocation.ask(&system, request)?;
        Ok(())
    })
}
