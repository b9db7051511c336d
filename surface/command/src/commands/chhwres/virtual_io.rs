//! `chhwres -r virtualio`, `chhwres -r io` and `chhwres -r procpool`.

use varan_console::Task;
use varan_contract::system::{
    AdapterRequest, AttributeSet, DynamicOperation, ListOperation, PoolSelector, SystemRequest,
};
use varan_model::attributes::processor::PROCESSOR_POOLS;
use varan_model::attributes::{Change, Listing, Release, Table};
use varan_model::codes::{Evidence, MessageKey};
use varan_model::ids::VirtualSlot;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::virtual_io::AdapterKind;

use super::{network, wait_minutes};
use crate::failure::{CommandError, invalid_parameters};
use crate::invocation::{Invocation, selector};
use crate::manual::{AttributeHelp, attributes};
use crate::options::ParsedOptions;
use crate::records::record;

/// What `-a` may set of a resource.
pub(super) fn settable<Row: 'static>(table: &'static Table<Row>, release: Release) -> Vec<AttributeHelp> {
    attributes(table, release).into_iter().filter(|one| one.change != Change::ReadOnly).collect()
}

/// What `-a` may set of a shared processor pool, and of a partition.
pub(super) fn settable_pools(release: Release) -> Vec<AttributeHelp> {
    let mut found = settable(&PROCESSOR_POOLS, release);
    for (name, help) in [
        ("shared_proc_pool_name", "With -p or --id: the pool that the partition uses."),
        ("shared_proc_pool_id", "With -p or --id: the pool that the partition uses."),
    ] {
        found.push(AttributeHelp {
            name,
            help,
            listing: Listing::Never,
            change: Change::Anytime,
            evidence: Evidence::Captured,
        });
    }
    found
}

pub(super) fn operation(options: &ParsedOptions) -> Result<ListOperation, Refusal> {
    match options.require("-o")? {
        "a" => Ok(ListOperation::Add),
        "r" => Ok(ListOperation::Remove),
        "s" => Ok(ListOperation::Set),
        _ => Err(invalid_parameters(&["-o"])),
    }
}

pub(super) fn given_record(options: &ParsedOptions) -> Result<Vec<Assignment>, Refusal> {
    options.get("-a").map_or_else(|| Ok(Vec::new()), record)
}

/// `-o s` on attributes of a partition's current configuration.
pub(super) fn set(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    attributes: AttributeSet,
) -> Result<u8, CommandError> {
    invocation.authorize(Task::DynamicChange)?;
    let partition = selector(options, "-p", "--id")?;
    let record = given_record(options)?;
    let system = invocation.system(options)?;
    invocation.ask(&system, SystemRequest::SetAttributes { partition, attributes, record })?;
    Ok(0)
}

pub(super) fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    match options.get("--rsubtype") {
        Some("virtualopti") => return set(invocation, options, AttributeSet::VirtualOptiConnect),
        Some("hsl") => return set(invocation, options, AttributeSet::HslOptiConnect),
        Some("vnicbkdev") => return network::backing_device(invocation, options),
        Some("vnetwork") => return network::virtual_network(invocation, options),
        Some("vnic") => {
            network::check_release(invocation, options)?;
            if matches!(options.get("-o"), Some("e" | "d")) {
                return network::enable(invocation, options);
            }
        }
        _ => {}
    }
    let operation = operation(options)?;
    let subtype = options.get("--rsubtype");
    let switch = subtype == Some("vswitch");
    invocation.authorize(if switch { Task::ChangeSystem } else { Task::DynamicChange })?;
    let record = given_record(options)?;
    let request = if switch {
        let name = options.require("--vswitch")?.to_owned();
        SystemRequest::ChangeVirtualSwitch { name, operation, record }
    } else {
        let unknown = || invalid_parameters(&["--rsubtype"]);
        let kind = subtype.map(|word| AdapterKind::from_word(word).ok_or_else(unknown)).transpose()?;
        let slot = options.number("-s")?.map(VirtualSlot);
        let partition = selector(options, "-p", "--id")?;
        let (force, wait_minutes) = (options.has("--force"), wait_minutes(options)?);
        SystemRequest::ChangeAdapter(AdapterRequest {
            partition,
            operation,
            kind,
            slot,
            record,
            force,
            wait_minutes,
        })
    };
    let system = invocation.system(options)?;
    invocation.ask_long(&system, request)?;
    Ok(0)
}

/// `-r io`.
pub(super) fn io(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    match (options.require("-o")?, options.get("--rsubtype")) {
        ("s", Some("iopool")) => set(invocation, options, AttributeSet::IoPools),
        ("s", _) => set(invocation, options, AttributeSet::TaggedIo),
        ("c", _) => {
            invocation.authorize(Task::ChangeSystem)?;
            let drc_index = options.get("-l").map(drc_index).transpose()?;
            let system = invocation.system(options)?;
            invocation.ask(&system, SystemRequest::ClearIoSlots { drc_index })?;
            Ok(0)
        }
        _ => slot(invocation, options),
    }
}

/// Eight hexadecimal digits.
pub(in crate::commands) fn drc_index(text: &str) -> Result<u32, Refusal> {
    let index = u32::from_str_radix(text, 16).ok();
    let plain = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    index.filter(|_| plain).ok_or_else(|| invalid_parameters(&["-l"]))
}

/// `-r io -o a|r|m`.
fn slot(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::DynamicChange)?;
    if options.get("--rsubtype").is_some_and(|subtype| subtype != "slot") {
        return Err(invalid_parameters(&["--rsubtype"]).into());
    }
    let operation = match options.require("-o")? {
        "a" => DynamicOperation::Add,
        "r" => DynamicOperation::Remove,
        _ => DynamicOperation::Move(selector(options, "-t", "--tid")?),
    };
    let drc_index = drc_index(options.require("-l")?)?;
    let mut pool = None;
    for assignment in given_record(options)? {
        match (assignment.name.as_str(), assignment.value.as_str()) {
            ("slot_io_pool_id", "none") => pool = None,
            ("slot_io_pool_id", value) => {
                pool = Some(value.parse().map_err(|_| invalid_parameters(&["-a"]))?);
            }
            (other, _) => return Err(Refusal::new(MessageKey::AttributeInvalid).with(other).into()),
        }
    }
    let request = SystemRequest::ChangeIoSlot {
        partition: selector(options, "-p", "--id")?,
        operation,
        drc_index,
        pool,
        force: options.has("--force"),
        wait_minutes: wait_minutes(options)?,
    };
    let system = invocation.system(options)?;
    invocation.ask_long(&system, request)?;
    Ok(0)
}

pub(super) fn pool(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let of_partition = options.has("-p") || options.has("--id");
    invocation.authorize(if of_partition { Task::DynamicChange } else { Task::ChangeSystem })?;
    let record = given_record(options)?;
    let request = if of_partition {
        SystemRequest::AssignProcessorPool { partition: selector(options, "-p", "--id")?, record }
    } else {
        let pool = match (options.get("--poolname"), options.number("--poolid")?) {
            (Some(name), _) => PoolSelector::Name(name.to_owned()),
            (None, Some(id)) => PoolSelector::Id(id),
            (None, None) => return Err(invalid_parameters(&["--poolname or --poolid"]).into()),
        };
        SystemRequest::ChangeProcessorPool { pool, record }
    };
    let system = invocation.system(options)?;
    invocation.ask(&system, request)?;
    Ok(0)
}
