//! `rmsyscfg`: removes partitions and profiles.

use varan_console::Task;
use varan_contract::system::SystemRequest;

use super::{MANAGED_SYSTEM, PARTITION_NAME};
use crate::catalog::CommandDefinition;
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Needs, OneOf, Optional, Required, When};
use crate::invocation::{Invocation, selectors};
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "rmsyscfg",
    summary: "remove partitions, partition profiles and system profiles",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["lpar", "prof", "sysprof"]),
            "What to remove: partitions, partition profiles or system profiles.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "-n",
            OptionValue::Names("resource-names"),
            "Names of the partitions or profiles, with commas between.",
        ),
        PARTITION_NAME,
        OptionDefinition::new(
            "--id",
            OptionValue::PartitionIds("partition-IDs"),
            "IDs of the partitions, with commas between; with -r prof the ID of the partition.",
        ),
        OptionDefinition::new(
            "--vioscfg",
            OptionValue::Flag,
            "Remove the adapters that Virtual I/O Servers have for the partition, too.",
        ),
        OptionDefinition::new(
            "--vdisk",
            OptionValue::Flag,
            "With --vioscfg, remove the virtual disks that these adapters serve, too; none does at this level.",
        ),
        OptionDefinition::new("-v", OptionValue::Flag, "Show progress."),
        HELP,
    ],
    forms: &[
        Form::new(&[
            When("-r", &["lpar"]),
            Required("-m"),
            OneOf(&["-n", "--id"]),
            Optional("--vioscfg"),
            Needs("--vdisk", "--vioscfg"),
            Optional("-v"),
        ]),
        Form::new(&[
            When("-r", &["prof"]),
            Required("-m"),
            Required("-n"),
            OneOf(&["-p", "--id"]),
            Optional("-v"),
        ]),
        Form::new(&[When("-r", &["sysprof"]), Required("-m"), Required("-n"), Optional("-v")]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    if options.get("-r") == Some("sysprof") {
        return super::system_profiles::remove(invocation, options);
    }
    if options.get("-r") == Some("lpar") {
        invocation.authorize(Task::DeletePartition)?;
        let system = invocation.system(options)?;
        let server_adapters = options.has("--vioscfg");
        return invocation.each(selectors(options, "-n", "--id")?, |invocation, partition| {
            invocation.ask(&system, SystemRequest::RemovePartition { partition, server_adapters })?;
            Ok(())
        });
    }
    invocation.authorize(Task::DeleteProfile)?;
    let system = invocation.system(options)?;
    let partitions = selectors(options, "-p", "--id")?;
    let [partition] = &partitions[..] else { return Err(invalid_parameters(&["--id"]).into()) };
    let names = options.require("-n")?.split(',').map(|name| name.trim().to_owned());
    invocation.each(names, |invocation, profile| {
        let partition = partition.clone();
        invocation.ask(&system, SystemRequest::RemoveProfile { partition, profile })?;
        Ok(())
    })
}
