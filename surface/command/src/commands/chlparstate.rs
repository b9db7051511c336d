//! `chlparstate`: shuts partitions down; suspend and resume where the machine can.

use varan_console::Task;
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use super::chsysstate::stop;
use super::{
    DETAIL, IMMEDIATE, MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME, RECORD, RECORD_FILE, RESTART, WAIT,
};
use crate::catalog::CommandDefinition;
use crate::failure::{CommandError, not_supported};
use crate::form::Form;
use crate::form::PartOfForm::{AtMostOne, Needs, OneOf, Optional, Required, When};
use crate::invocation::{Invocation, selector};
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "chlparstate",
    summary: "change the state of a partition",
    options: &[
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["shutdown", "osshutdown", "suspend", "resume", "recover"]),
            "What to do.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new("-t", OptionValue::Text("type"), "Type of the operation."),
        PARTITION_NAME,
        PARTITION_ID,
        IMMEDIATE,
        RESTART,
        RECORD_FILE,
        RECORD,
        OptionDefinition::new(
            "--protectstorage",
            OptionValue::Word(&["1", "2"]),
            "Whether storage must be protected while the partition is suspended.",
        ),
        WAIT,
        DETAIL,
        OptionDefinition::new("-v", OptionValue::Flag, "Show progress."),
        OptionDefinition::new("--nodetails", OptionValue::Flag, "Show no detail messages."),
        HELP,
    ],
    forms: &[
        Form::new(&[
            When("-o", &["shutdown"]),
            Required("-m"),
            OneOf(&["-p", "--id"]),
            Optional("--immed"),
            Needs("--restart", "--immed"),
        ]),
        Form::new(&[
            When("-o", &["osshutdown"]),
            Required("-m"),
            OneOf(&["-p", "--id"]),
            Optional("--immed"),
            Optional("--restart"),
        ]),
        Form::new(&[
            When("-o", &["suspend", "resume", "recover"]),
            Required("-m"),
            Optional("-t"),
            OneOf(&["-p", "--id"]),
            AtMostOne(&["-f", "-i"]),
            Optional("--protectstorage"),
            Optional("-w"),
            Optional("-d"),
            Optional("-v"),
            Optional("--nodetails"),
        ]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let operation = options.require("-o")?;
    let shuts = matches!(operation, "shutdown" | "osshutdown");
    invocation.authorize(if shuts { Task::ShutdownPartition } else { Task::SuspendPartition })?;
    let system = invocation.system(options)?;
    let partition = selector(options, "-p", "--id")?;
    if shuts {
        stop(invocation, options, &system, partition)?;
        return Ok(0);
    }
    if system.hardware.capable("lpar_suspend_capable") {
        Err(not_supported(format_args!("chlparstate -o {operation}")).into())
    } else {
        Err(Refusal::new(MessageKey::SuspendUnsupported).into())
    }
}
