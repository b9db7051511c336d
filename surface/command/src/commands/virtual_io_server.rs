//! `viosvrcmd`: a command line of a Virtual I/O Server, from the console.

use varan_console::Task;
use varan_contract::system::{PartitionFilter, SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::configuration::PartitionEnvironment;
use varan_model::partition::RmcState;
use varan_model::refusal::Refusal;

use super::{MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME};
use crate::catalog::CommandDefinition;
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, Required};
use crate::invocation::{Invocation, selector};
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "viosvrcmd",
    summary: "run a command line on a Virtual I/O Server that has an RMC connection",
    options: &[
        MANAGED_SYSTEM,
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new(
            "-c",
            OptionValue::Text("\"command\""),
            "The command line, quoted. It cannot ask questions.",
        ),
        OptionDefinition::new("--admin", OptionValue::Flag, "Run it as root instead of as padmin."),
        HELP,
    ],
    forms: &[Form::new(&[Required("-m"), OneOf(&["-p", "--id"]), Required("-c"), Optional("--admin")])],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::RunServerCommand)?;
    let system = invocation.system(options)?;
    let partition = selector(options, "-p", "--id")?;
    let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![partition]));
    let SystemReply::Partitions { entries, .. } = invocation.ask(&system, request)? else {
        return Err(invocation.console.no_connection(&system).into());
    };
    let entry = entries.into_iter().next().ok_or_else(|| Refusal::new(MessageKey::NotAuthorized))?;
    let name = &entry.partition.name;
    if entry.partition.environment != PartitionEnvironment::VirtualIoServer {
        return Err(Refusal::new(MessageKey::NotVirtualIoServer).with(name).into());
    }
    if entry.runtime.rmc != RmcState::Active {
        let reason = format!(
            "There is currently no RMC connection between the management console and the partition {name}."
        );
        return Err(Refusal::new(MessageKey::VirtualIoServerCommandFailed).with(reason).into());
    }
    let command = options.require("-c")?;
    let (status, output) = invocation.servers.run(&system, &entry, command, options.has("--admin"))?;
    if status == 0 {
        invocation.output.write_all(&output)?;
        return Ok(0);
    }
    // A command that printed something before it failed: both are told, as one text.
    let text = String::from_utf8_lossy(&output);
    Err(Refusal::new(MessageKey::VirtualIoServerCommandFailed).with(text.trim_end()).into())
}
