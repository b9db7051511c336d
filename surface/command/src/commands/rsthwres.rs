//! `rsthwres`: brings running partitions and their current configurations back in line after a dynamic change that failed.

use varan_console::Task;
use varan_contract::system::{Restorable, SystemRequest};

use super::chhwres::virtual_io::drc_index;
use super::{MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME};
use crate::catalog::CommandDefinition;
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{AtMostOne, Optional, Required, When};
use crate::invocation::{Invocation, selector};
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "rsthwres",
    summary: "restore hardware resources after a dynamic change that failed",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["io", "mem", "proc", "sriov"]),
            "What to restore: physical I/O slots, memory, processors. lshwres -R lists what can be.",
        ),
        MANAGED_SYSTEM,
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new(
            "-l",
            OptionValue::Text("slot-DRC-index"),
            "DRC index of the physical I/O slot, eight hexadecimal digits; all slots when not given.",
        ),
        HELP,
    ],
    forms: &[
        Form::new(&[When("-r", &["io"]), Required("-m"), AtMostOne(&["-p", "--id"]), Optional("-l")]),
        Form::new(&[When("-r", &["mem", "proc"]), Required("-m"), AtMostOne(&["-p", "--id"])]),
        Form::later(&[When("-r", &["sriov"])]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::RestoreHardware)?;
    let resource = match options.require("-r")? {
        "mem" => Restorable::Memory,
        "proc" => Restorable::Processors,
        _ => Restorable::IoSlots(options.get("-l").map(drc_index).transpose()?),
    };
    let named = options.has("-p") || options.has("--id");
    let partition = named.then(|| selector(options, "-p", "--id")).transpose()?;
    let system = invocation.system(options)?;
    invocation.ask(&system, SystemRequest::RestoreResources { partition, resource })?;
    Ok(0)
}
