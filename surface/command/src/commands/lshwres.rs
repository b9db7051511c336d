//! `lshwres`: memory, processors, shared processor pools, physical and virtual I/O.

mod forms;
mod io;
mod sriov;
mod virtual_io;

use std::sync::Arc;

use varan_console::Task;
use varan_contract::system::PartitionFilter;
use varan_model::attributes::ibm_i::{HSL_OPTICONNECT, TAGGED_IO, VIRTUAL_OPTICONNECT};
use varan_model::attributes::io::{
    IO_BUSES, IO_POOLS, IO_SLOT_CHILDREN, IO_SLOTS, IO_UNITS, SYSTEM_IO_POOLS,
};
use varan_model::attributes::memory::{
    MEMORY_POOLS, PAGING_DEVICES, PARTITION_MEMORY, SYSTEM_MEMORY, SystemResourceRow,
};
use varan_model::attributes::partition::PartitionRow;
use varan_model::attributes::processor::{
    PARTITION_PROCESSORS, POOL_PROCESSORS, PROCESSOR_POOLS, SYSTEM_PROCESSORS,
};
use varan_model::attributes::sriov::{
    LOGICAL_PORT_STATISTICS, LOGICAL_PORTS, PHYSICAL_PORT_STATISTICS, PHYSICAL_PORTS, SRIOV_ADAPTERS,
    UNCONFIGURED_PORTS,
};
use varan_model::attributes::virtual_io::{
    ETHERNET, FIBRE_CHANNEL, PARTITION_SLOTS, SCSI, SERIAL, SLOTS, SYSTEM_ETHERNET, VIRTUAL_NETWORKS,
    VIRTUAL_SWITCHES,
};
use varan_model::attributes::vnic::{VNIC_BACKING_DEVICES, VNICS};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::hardware::{Hardware, ProcessorFamily};
use varan_model::partition::PartitionEntry;
use varan_model::refusal::Refusal;
use varan_model::system::{ManagedSystem, SystemState};

use super::{FIELDS, FILTER, HEADER, MANAGED_SYSTEM, lssyscfg};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters, not_supported};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;

const PARTITION_FILTERS: &[&str] = &["lpar_names", "lpar_ids"];

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "lshwres",
    summary: "list hardware resources",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&[
                "mem",
                "proc",
                "io",
                "virtualio",
                "mempool",
                "rspool",
                "pmem",
                "procpool",
                "sriov",
                "hca",
                "hea",
                "sni",
                "accel",
                "resgroup",
            ]),
            "What to list: memory, processors, shared processor pools, physical or virtual I/O.",
        ),
        OptionDefinition::new(
            "--rsubtype",
            OptionValue::Text(
                "{unit | bus | slot | iopool | taggedio | slotchildren | eth | fc | hsl | virtualopti | scsi | serial | vnetwork | vnic | vnicbkdev | vswitch | adapter | physport | logport | pgdev}",
            ),
            "Kind of resource within -r io, -r virtualio, -r sriov or -r mempool.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "--level",
            OptionValue::Text("{sys | lpar | pool | slot | eth | ethc | roce}"),
            "Whose resources: of the managed system, of partitions, of the shared processor pool, of virtual slots; protocol of SR-IOV ports.",
        ),
        OptionDefinition::new("-R", OptionValue::Flag, "Only what rsthwres could restore."),
        OptionDefinition::new(
            "--maxmem",
            OptionValue::Number("maximum-memory", 1, 1 << 40),
            "Show the memory that must be free for a partition with this maximum, in MB.",
        ),
        OptionDefinition::new(
            "--hptratio",
            OptionValue::Word(&["1:32", "1:64", "1:128", "1:256", "1:512"]),
            "With --maxmem, the hardware page table ratio, 1:128 when not given.",
        ),
        OptionDefinition::later("--stat", OptionValue::Flag, "Statistics of shared memory."),
        OptionDefinition::new("--sriovstat", OptionValue::Flag, "Counters of SR-IOV ports."),
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: forms::FORMS,
    filters: &[
        ("-r mem --level lpar", PARTITION_FILTERS),
        ("-r proc --level lpar", PARTITION_FILTERS),
        ("-r procpool", io::POOL_FILTERS),
        ("-r io --rsubtype slot", io::SLOT_FILTERS),
        ("-r io --rsubtype {unit | bus}", io::UNIT_FILTERS),
        ("-r virtualio --rsubtype eth --level lpar", virtual_io::ETHERNET_FILTERS),
        ("-r virtualio --rsubtype {scsi | fc | serial} --level lpar", virtual_io::ADAPTER_FILTERS),
        ("-r virtualio --rsubtype slot --level lpar", PARTITION_FILTERS),
        ("-r virtualio --rsubtype slot --level slot", virtual_io::ADAPTER_FILTERS),
        ("-r virtualio --rsubtype vswitch", virtual_io::SWITCH_FILTERS),
        ("-r virtualio --rsubtype vnetwork", virtual_io::NETWORK_FILTERS),
        ("-r virtualio --rsubtype {hsl | virtualopti}", PARTITION_FILTERS),
        ("-r virtualio --rsubtype {vnic | vnicbkdev}", virtual_io::ADAPTER_FILTERS),
        ("-r sriov --rsubtype adapter", sriov::ADAPTER_FILTERS),
        ("-r sriov --rsubtype physport", sriov::PORT_FILTERS),
        ("-r sriov --rsubtype logport", sriov::LOGICAL_PORT_FILTERS),
        ("-r io --rsubtype slotchildren", io::SLOT_FILTERS),
        ("-r io --rsubtype taggedio", PARTITION_FILTERS),
        ("-r io --rsubtype iopool --level pool", io::IO_POOL_FILTERS),
    ],
    attributes: &[
        AttributeGroup {
            title: "-r mem --level sys",
            attributes: |release| attributes(&SYSTEM_MEMORY, release),
        },
        AttributeGroup {
            title: "-r mem --level sys --maxmem",
            attributes: |release| attributes(&REQUIRED_MEMORY, release),
        },
        AttributeGroup {
            title: "-r mem --level lpar",
            attributes: |release| attributes(&PARTITION_MEMORY, release),
        },
        AttributeGroup {
            title: "-r proc --level sys",
            attributes: |release| attributes(&SYSTEM_PROCESSORS, release),
        },
        AttributeGroup {
            title: "-r proc --level lpar",
            attributes: |release| attributes(&PARTITION_PROCESSORS, release),
        },
        AttributeGroup {
            title: "-r proc --level pool",
            attributes: |release| attributes(&POOL_PROCESSORS, release),
        },
        AttributeGroup { title: "-r procpool", attributes: |release| attributes(&PROCESSOR_POOLS, release) },
        AttributeGroup { title: "-r mempool", attributes: |release| attributes(&MEMORY_POOLS, release) },
        AttributeGroup {
            title: "-r mempool --rsubtype pgdev",
            attributes: |release| attributes(&PAGING_DEVICES, release),
        },
        AttributeGroup {
            title: "-r io --rsubtype slot",
            attributes: |release| attributes(&IO_SLOTS, release),
        },
        AttributeGroup {
            title: "-r io --rsubtype unit",
            attributes: |release| attributes(&IO_UNITS, release),
        },
        AttributeGroup {
            title: "-r io --rsubtype bus",
            attributes: |release| attributes(&IO_BUSES, release),
        },
        AttributeGroup {
            title: "-r io --rsubtype slotchildren",
            attributes: |release| attributes(&IO_SLOT_CHILDREN, release),
        },
        AttributeGroup {
            title: "-r io --rsubtype iopool --level pool",
            attributes: |release| attributes(&IO_POOLS, release),
        },
        AttributeGroup {
            title: "-r io --rsubtype iopool --level sys",
            attributes: |release| attributes(&SYSTEM_IO_POOLS, release),
        },
        AttributeGroup {
            title: "-r io --rsubtype taggedio",
            attributes: |release| attributes(&TAGGED_IO, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype eth --level sys",
            attributes: |release| attributes(&SYSTEM_ETHERNET, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype eth --level lpar",
            attributes: |release| attributes(&ETHERNET, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype scsi --level lpar",
            attributes: |release| attributes(&SCSI, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype fc --level lpar",
            attributes: |release| attributes(&FIBRE_CHANNEL, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype serial --level lpar",
            attributes: |release| attributes(&SERIAL, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype slot --level lpar",
            attributes: |release| attributes(&PARTITION_SLOTS, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype slot --level slot",
            attributes: |release| attributes(&SLOTS, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vswitch",
            attributes: |release| attributes(&VIRTUAL_SWITCHES, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vnetwork",
            attributes: |release| attributes(&VIRTUAL_NETWORKS, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vnic",
            attributes: |release| attributes(&VNICS, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vnicbkdev",
            attributes: |release| attributes(&VNIC_BACKING_DEVICES, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype adapter",
            attributes: |release| attributes(&SRIOV_ADAPTERS, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype physport",
            attributes: |release| attributes(&PHYSICAL_PORTS, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype physport --sriovstat",
            attributes: |release| attributes(&PHYSICAL_PORT_STATISTICS, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype logport",
            attributes: |release| attributes(&UNCONFIGURED_PORTS, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype logport --level {eth | roce}",
            attributes: |release| attributes(&LOGICAL_PORTS, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype logport --level {eth | roce} --sriovstat",
            attributes: |release| attributes(&LOGICAL_PORT_STATISTICS, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype virtualopti",
            attributes: |release| attributes(&VIRTUAL_OPTICONNECT, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype hsl",
            attributes: |release| attributes(&HSL_OPTICONNECT, release),
        },
    ],
    run,
};

/// What a partition with a maximum memory needs before it can be activated.
struct RequiredMemory {
    megabytes: u64,
}

fn required(row: &RequiredMemory) -> Value {
    Value::of(row.megabytes)
}

/// Attributes of `--maxmem`.
static REQUIRED_MEMORY: Table<RequiredMemory> = Table {
    name: "mem sys maxmem",
    attributes: &[
        Attribute::new(
            "required_min_mem_aix_linux",
            "Memory in MB that must be free for an AIX or Linux partition.",
            required,
        )
        .unverified(),
        Attribute::new(
            "required_min_mem_os400",
            "Memory in MB that must be free for an IBM i partition.",
            required,
        )
        .unverified(),
        Attribute::new(
            "required_min_mem_vios",
            "Memory in MB that must be free for a Virtual I/O Server.",
            required,
        )
        .unverified(),
    ],
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListHardware)?;
    match (options.require("-r")?, options.get("--level")) {
        ("mem", Some("sys")) if options.has("--maxmem") => required_memory(invocation, options),
        ("mem", Some("sys")) => system_level(invocation, options, &SYSTEM_MEMORY),
        ("mem", _) => partition_level(invocation, options, &PARTITION_MEMORY, PartitionEntry::memory_differs),
        ("proc", Some("sys")) => system_level(invocation, options, &SYSTEM_PROCESSORS),
        ("proc", Some("pool")) => system_level(invocation, options, &POOL_PROCESSORS),
        ("proc", _) => {
            partition_level(invocation, options, &PARTITION_PROCESSORS, PartitionEntry::processors_differ)
        }
        ("procpool", _) => io::pools(invocation, options),
        ("mempool", _) => memory_pools(invocation, options),
        ("io", _) => io::run(invocation, options),
        ("virtualio", level) => virtual_io::run(invocation, options, level),
        ("sriov", level) => sriov::run(invocation, options, level),
        (resource, _) => {
            let system = invocation.system(options)?;
            Err(missing_resource("lshwres", resource, &system.hardware).into())
        }
    }
}

/// The refusal for a resource that this level has not, or that the machine has not.
pub(super) fn missing_resource(command: &str, resource: &str, hardware: &Hardware) -> Refusal {
    match resource {
        "resgroup" => Refusal::new(MessageKey::ResourceGroupsUnsupported),
        "mempool" if !hardware.capable("active_mem_sharing_capable") => {
            Refusal::new(MessageKey::SuspendUnsupported)
        }
        "rspool" if !hardware.capable("lpar_suspend_capable") => Refusal::new(MessageKey::SuspendUnsupported),
        _ => match unsupported_hardware(resource, hardware) {
            Some(what) => Refusal::new(MessageKey::HardwareUnsupported).with(what),
            None => not_supported(format_args!("{command} -r {resource}")),
        },
    }
}

/// The refusal for a change of a shared memory pool: no managed system has one.
pub(super) fn missing_pool(hardware: &Hardware) -> Refusal {
    if hardware.capable("active_mem_sharing_capable") {
        Refusal::new(MessageKey::SharedMemoryPoolAbsent)
    } else {
        Refusal::new(MessageKey::SuspendUnsupported)
    }
}

/// In words, what the machine cannot have.
fn unsupported_hardware(resource: &str, hardware: &Hardware) -> Option<&'static str> {
    let power9 = hardware.family >= ProcessorFamily::Power9;
    let (capable, what) = match resource {
        "hea" => (hardware.capable("lhea_capable"), "Host Ethernet Adapters"),
        "hca" => (hardware.capable("hca_capable"), "Host Channel Adapters"),
        "sni" => (hardware.capable("sni_msg_passing_capable"), "Switch Network Interface adapters"),
        "pmem" => (power9, "persistent memory volumes"),
        "accel" => (power9, "hardware accelerators"),
        _ => (true, ""),
    };
    (!capable).then_some(what)
}

/// A managed system that can share memory has no pool yet; the others say that they cannot.
fn memory_pools(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    if options.has("--rsubtype") {
        return empty(invocation, options, &PAGING_DEVICES);
    }
    empty(invocation, options, &MEMORY_POOLS)
}

fn empty<Row>(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    table: &'static Table<Row>,
) -> Result<u8, CommandError> {
    let layout = Layout::new(table, options, invocation.console.release())?;
    Filters::parse(options, &[])?;
    let system = reachable(invocation, options)?;
    if !system.hardware.capable("active_mem_sharing_capable") {
        return Err(missing_resource("lshwres", "mempool", &system.hardware).into());
    }
    layout.print(Vec::new(), invocation.output)
}

fn reachable(invocation: &Invocation<'_>, options: &ParsedOptions) -> Result<Arc<ManagedSystem>, Refusal> {
    let connection = invocation.system(options)?;
    let system = invocation.console.reach(&connection)?;
    if system.state == SystemState::NoConnection {
        return Err(invocation.console.no_connection(&connection));
    }
    Ok(system)
}

fn system_level(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    table: &'static Table<SystemResourceRow>,
) -> Result<u8, CommandError> {
    let layout = Layout::new(table, options, invocation.console.release())?;
    let system = reachable(invocation, options)?;
    // Nothing of a system itself is ever restored by rsthwres.
    let row = (!options.has("-R")).then_some(system);
    layout.print(row, invocation.output)
}

fn required_memory(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&REQUIRED_MEMORY, options, invocation.console.release())?;
    let maximum: u64 = options.number("--maxmem")?.unwrap_or_default();
    let ratio = options.get("--hptratio").and_then(|ratio| ratio.strip_prefix("1:")).unwrap_or("128");
    let ratio: u64 = ratio.parse().map_err(|_| invalid_parameters(&["--hptratio"]))?;
    let system = reachable(invocation, options)?;
    let hardware = &system.hardware;
    let block = hardware.memory_region_size;
    if maximum > hardware.installed_memory.saturating_mul(2) {
        return Err(invalid_parameters(&["--maxmem"]).into());
    }
    // One memory block to start with, and the page table that grows with the maximum.
    let megabytes = block + hardware.partition_overhead(maximum, ratio).next_multiple_of(block);
    layout.print([RequiredMemory { megabytes }], invocation.output)
}

fn partition_level(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    table: &'static Table<PartitionRow>,
    restorable: fn(&PartitionEntry) -> bool,
) -> Result<u8, CommandError> {
    let layout = Layout::new(table, options, invocation.console.release())?;
    let filters = Filters::parse(options, PARTITION_FILTERS)?;
    let system = invocation.system(options)?;
    let partitions: PartitionFilter = filters.partitions()?;
    let mut rows = lssyscfg::rows(invocation, &system, partitions)?;
    if options.has("-R") {
        rows.retain(|row| restorable(&row.entry));
    }
    layout.print(rows, invocation.output)
}
