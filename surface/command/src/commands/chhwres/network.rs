//! `chhwres -r sriov`, and what is special about virtual NICs and virtual networks.

use varan_console::Task;
use varan_contract::system::{PartitionFilter, SystemReply, SystemRequest, VnicChange};
use varan_model::attributes::Release;
use varan_model::codes::MessageKey;
use varan_model::ids::{LogicalPortId, VirtualSlot};
use varan_model::record::Operation;
use varan_model::refusal::Refusal;
use varan_model::rules::edit::{elements, flag};

use super::virtual_io::{given_record, operation};
use super::wait_minutes;
use crate::failure::{CommandError, invalid_parameters, not_supported};
use crate::invocation::{Invocation, selector};
use crate::options::ParsedOptions;

/// First console release with failover of virtual NICs. Source: the seeds.
const FAILOVER_SINCE: Release = Release(8, 8, 6, 0);

/// Failover of virtual NICs, where the console has none.
pub(super) fn check_release(invocation: &Invocation<'_>, options: &ParsedOptions) -> Result<(), Refusal> {
    if invocation.console.release() >= FAILOVER_SINCE {
        return Ok(());
    }
    for assignment in given_record(options)? {
        let several = match assignment.name.as_str() {
            "backing_devices" => assignment.operation != Operation::Set || elements(&assignment)?.len() > 1,
            name => name == "auto_priority_failover",
        };
        if several {
            let reason = "the management console is older than V8 R8.6.0";
            return Err(Refusal::new(MessageKey::VnicFailoverUnsupported).with(reason));
        }
    }
    Ok(())
}

fn slot(options: &ParsedOptions) -> Result<VirtualSlot, Refusal> {
    options.number("-s")?.map(VirtualSlot).ok_or_else(|| invalid_parameters(&["-s"]))
}

fn change(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    change: VnicChange,
) -> Result<u8, CommandError> {
    invocation.authorize(Task::DynamicChange)?;
    let partition = selector(options, "-p", "--id")?;
    let request = SystemRequest::ChangeVnic { partition, slot: slot(options)?, change };
    let system = invocation.system(options)?;
    invocation.ask_long(&system, request)?;
    Ok(0)
}

/// Whether the virtual NIC that the options name fails over by priority.
fn fails_over(invocation: &Invocation<'_>, options: &ParsedOptions) -> Result<bool, Refusal> {
    let (slot, partition) = (slot(options)?, selector(options, "-p", "--id")?);
    let system = invocation.system(options)?;
    let request = SystemRequest::ListAdapters(PartitionFilter::Only(vec![partition]));
    let SystemReply::Adapters { entries, .. } = invocation.ask(&system, request)? else { return Ok(false) };
    let contents = entries.iter().filter_map(|entry| entry.partition.current.as_ref());
    let mut nics = contents.flat_map(|content| &content.virtual_nics);
    Ok(nics.any(|nic| nic.slot == slot && nic.auto_priority_failover))
}

/// `--rsubtype vnic -o e|d`.
pub(super) fn enable(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    change(invocation, options, VnicChange::Enable(options.get("-o") == Some("e")))
}

/// `--rsubtype vnicbkdev -o s|act`.
pub(super) fn backing_device(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
) -> Result<u8, CommandError> {
    let port: LogicalPortId =
        options.require("--logport")?.parse().map_err(|_| invalid_parameters(&["--logport"]))?;
    let record = given_record(options)?;
    if options.get("-o") != Some("act") {
        return change(invocation, options, VnicChange::SetBackingDevice { port, record });
    }
    let mut keep_automatic = false;
    for assignment in &record {
        match assignment.name.as_str() {
            "keep_auto_priority_failover" => keep_automatic = flag(assignment)?,
            name => return Err(Refusal::new(MessageKey::AttributeInvalid).with(name).into()),
        }
    }
    invocation.authorize(Task::DynamicChange)?;
    let turned_off = !keep_automatic && fails_over(invocation, options)?;
    change(invocation, options, VnicChange::Activate { port, keep_automatic })?;
    if turned_off {
        let warning = Refusal::new(MessageKey::VnicFailoverTurnedOff).with(slot(options)?);
        writeln!(invocation.output, "{warning}")?;
    }
    Ok(0)
}

/// `--rsubtype vnetwork -o a|r`.
pub(super) fn virtual_network(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeSystem)?;
    let request = SystemRequest::ChangeVirtualNetwork {
        name: options.require("--vnetwork")?.to_owned(),
        operation: operation(options)?,
        record: given_record(options)?,
        wait_minutes: wait_minutes(options)?,
    };
    let system = invocation.system(options)?;
    invocation.ask_long(&system, request)?;
    Ok(0)
}

/// `-r sriov`.
pub(super) fn sriov(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let record = given_record(options)?;
    let (subtype, letter) = (options.require("--rsubtype")?, options.require("-o")?);
    let of_partition = subtype == "logport" && letter != "c";
    invocation.authorize(if of_partition { Task::DynamicChange } else { Task::ChangeSystem })?;
    let request = match (subtype, letter) {
        ("logport" | "physport", "c") => SystemRequest::ClearPortStatistics { record },
        ("adapter", _) => SystemRequest::ChangeSriovAdapter { operation: operation(options)?, record },
        ("physport", _) => SystemRequest::ChangeSriovPort { record },
        ("logport", _) => SystemRequest::ChangeLogicalPort {
            partition: selector(options, "-p", "--id")?,
            operation: operation(options)?,
            record,
            force: options.has("--force"),
            wait_minutes: wait_minutes(options)?,
        },
        (other, _) => return Err(not_supported(format_args!("chhwres -r sriov --rsubtype {other}")).into()),
    };
    let system = invocation.system(options)?;
    invocation.ask_long(&system, request)?;
    Ok(0)
}
