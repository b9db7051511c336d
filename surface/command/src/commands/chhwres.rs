//! `chhwres`: changes memory, processors and virtual adapters of partitions, virtual switches and shared processor
//! pools.

mod forms;
mod network;
pub(super) mod virtual_io;

use varan_console::Task;
use varan_contract::system::{AttributeSet, DynamicOperation, Resource, SystemRequest};
use varan_model::attributes::ibm_i::{HSL_OPTICONNECT, TAGGED_IO, VIRTUAL_OPTICONNECT};
use varan_model::attributes::memory::SYSTEM_MEMORY;
use varan_model::attributes::sriov::{LOGICAL_PORTS, PHYSICAL_PORTS, SRIOV_ADAPTERS};
use varan_model::attributes::virtual_io::{ETHERNET, FIBRE_CHANNEL, SCSI, SERIAL, VIRTUAL_SWITCHES};
use varan_model::attributes::vnic::{VNIC_BACKING_DEVICES, VNICS};
use varan_model::units::ProcessingUnits;

use super::{ATTRIBUTES, DETAIL, MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME, WAIT, lshwres};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters};
use crate::invocation::{Invocation, selector};
use crate::manual::{AttributeHelp, attributes};
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::records::record;
use varan_model::attributes::{Change, Listing};
use varan_model::codes::Evidence;
use varan_model::refusal::Refusal;

/// Minutes that a dynamic change waits for the operating system when `-w` is not given.
const WAIT_MINUTES: u32 = 5;

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "chhwres",
    summary: "change hardware resources of partitions and managed systems",
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
            "What to change: memory, processors, shared processor pools, physical and virtual I/O.",
        ),
        OptionDefinition::new(
            "--rsubtype",
            OptionValue::Text(
                "{eth | scsi | fc | serial | hsl | virtualopti | vnic | vnicbkdev | vswitch | vnetwork | slot | bus | iopool | taggedio | adapter | physport | logport | pgdev}",
            ),
            "Kind of resource within -r virtualio, -r io, -r sriov or -r mempool.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["a", "r", "m", "s", "c", "e", "d", "act"]),
            "a: add, r: remove, m: move to another partition, s: set, c: clear what is left of removed hardware or counters, e: enable, d: disable, act: make active.",
        ),
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new("-t", OptionValue::Text("partition-name"), "Partition to move to."),
        OptionDefinition::new(
            "--tid",
            OptionValue::PartitionId("partition-ID"),
            "ID of the partition to move to.",
        ),
        OptionDefinition::new("-q", OptionValue::Number("quantity", 1, 1 << 40), "Memory in MB."),
        OptionDefinition::new("--procs", OptionValue::Number("processors", 1, 65_535), "Processors."),
        OptionDefinition::new("--procunits", OptionValue::Units("processing-units"), "Processing units."),
        ATTRIBUTES,
        WAIT,
        DETAIL,
        OptionDefinition::new(
            "--force",
            OptionValue::Flag,
            "Change the adapters of a running partition without RMC; it sees the change when it starts again.",
        ),
        OptionDefinition::later("--entitled", OptionValue::Text("quantity"), "I/O entitled memory."),
        OptionDefinition::new(
            "--poolname",
            OptionValue::Text("pool-name"),
            "Name of the shared processor pool.",
        ),
        OptionDefinition::new(
            "--poolid",
            OptionValue::Number("pool-ID", 0, 63),
            "Number of the shared processor pool.",
        ),
        OptionDefinition::new(
            "-l",
            OptionValue::Text("slot-DRC-index"),
            "DRC index of the physical I/O slot, eight hexadecimal digits.",
        ),
        OptionDefinition::new(
            "-s",
            OptionValue::Number("virtual-slot", 0, 65_534),
            "Virtual slot; the lowest free one when not given to add.",
        ),
        OptionDefinition::new(
            "--logport",
            OptionValue::Text("logical-port-ID"),
            "SR-IOV logical port of a backing device, eight hexadecimal digits.",
        ),
        OptionDefinition::new(
            "--vnetwork",
            OptionValue::Text("virtual-network"),
            "Virtual network, as VLAN3331-ETHERNET0: its VLAN is changed on all Virtual I/O Servers or on none.",
        ),
        OptionDefinition::new(
            "--vswitch",
            OptionValue::Text("virtual-switch"),
            "Name of the virtual switch.",
        ),
        OptionDefinition::new("--device", OptionValue::Text("device"), "Paging device."),
        OptionDefinition::later("--volume", OptionValue::Text("volume"), "Persistent memory volume."),
        OptionDefinition::later("--manual", OptionValue::Flag, "The device is selected by hand."),
        OptionDefinition::later("--allownetdisrupt", OptionValue::Flag, "The network may be disrupted."),
        OptionDefinition::later("-g", OptionValue::Text("group-name"), "Resource group."),
        OptionDefinition::later("--gid", OptionValue::Text("group-ID"), "Resource group."),
        OptionDefinition::new("-v", OptionValue::Flag, "Show progress."),
        HELP,
    ],
    forms: forms::FORMS,
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-r mem -o s", attributes: settable_memory },
        AttributeGroup { title: "-r mem -o s {-p | --id}", attributes: |_| PARTITION_MEMORY.to_vec() },
        AttributeGroup { title: "-r proc -o s", attributes: |_| SHARING.to_vec() },
        AttributeGroup { title: "-r io -o a", attributes: |_| SLOT_POOL.to_vec() },
        AttributeGroup { title: "-r io -o s --rsubtype iopool", attributes: |_| IO_POOLS.to_vec() },
        AttributeGroup {
            title: "-r io -o s --rsubtype taggedio",
            attributes: |release| virtual_io::settable(&TAGGED_IO, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype virtualopti -o s",
            attributes: |release| virtual_io::settable(&VIRTUAL_OPTICONNECT, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype hsl -o s",
            attributes: |release| virtual_io::settable(&HSL_OPTICONNECT, release),
        },
        AttributeGroup { title: "-r procpool -o s", attributes: virtual_io::settable_pools },
        AttributeGroup {
            title: "-r virtualio --rsubtype eth -o {a | s}",
            attributes: |release| virtual_io::settable(&ETHERNET, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype scsi -o a",
            attributes: |release| virtual_io::settable(&SCSI, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype fc -o a",
            attributes: |release| virtual_io::settable(&FIBRE_CHANNEL, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype serial -o a",
            attributes: |release| virtual_io::settable(&SERIAL, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vnic -o {a | s}",
            attributes: |release| virtual_io::settable(&VNICS, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vnicbkdev -o {s | act}",
            attributes: |release| virtual_io::settable(&VNIC_BACKING_DEVICES, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vnetwork -o {a | r}",
            attributes: |_| NETWORK.to_vec(),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype adapter -o {a | r}",
            attributes: |release| virtual_io::settable(&SRIOV_ADAPTERS, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype physport -o {s | c}",
            attributes: |release| virtual_io::settable(&PHYSICAL_PORTS, release),
        },
        AttributeGroup {
            title: "-r sriov --rsubtype logport -o {a | r | s | c}",
            attributes: |release| virtual_io::settable(&LOGICAL_PORTS, release),
        },
        AttributeGroup {
            title: "-r virtualio --rsubtype vswitch -o {a | s}",
            attributes: |release| virtual_io::settable(&VIRTUAL_SWITCHES, release),
        },
    ],
    run,
};

/// Minutes that a dynamic change waits for the operating system.
fn wait_minutes(options: &ParsedOptions) -> Result<u32, Refusal> {
    Ok(options.number("-w")?.unwrap_or(WAIT_MINUTES))
}

const fn settable(name: &'static str, help: &'static str) -> AttributeHelp {
    AttributeHelp {
        name,
        help,
        listing: Listing::Never,
        change: Change::Anytime,
        evidence: Evidence::Captured,
    }
}

/// As [`settable`], where no source shows that this command takes the name; profiles have it.
const fn unverified(name: &'static str, help: &'static str) -> AttributeHelp {
    AttributeHelp { evidence: Evidence::Unverified, ..settable(name, help) }
}

const SLOT_POOL: [AttributeHelp; 1] = [settable("slot_io_pool_id", "I/O pool, or none.")];
const IO_POOLS: [AttributeHelp; 1] =
    [unverified("lpar_io_pool_ids", "I/O pools in which the partition takes part, or none.")];
const PARTITION_MEMORY: [AttributeHelp; 6] = [
    unverified(
        "mem_expansion",
        "Active memory expansion factor; of a running partition that was started with one.",
    ),
    unverified("mem_weight", "Share of the shared memory pool, 0 to 255."),
    unverified("primary_paging_vios_name", "Virtual I/O Server that pages for the partition."),
    unverified("primary_paging_vios_id", "Number of that server."),
    unverified("secondary_paging_vios_name", "Virtual I/O Server that does so when the first cannot."),
    unverified("secondary_paging_vios_id", "Number of that server."),
];
/// As [`settable`], for what only this platform has.
const fn own(name: &'static str, help: &'static str) -> AttributeHelp {
    AttributeHelp { evidence: Evidence::Own, ..settable(name, help) }
}

const NETWORK: [AttributeHelp; 3] = [
    own("load_group", "Port VLAN of the trunk adapters that get the VLAN or lose it."),
    unverified("vlan_id", "Its VLAN; the name says it, too."),
    unverified("vswitch", "Its virtual switch; the name says it, too."),
];
const SHARING: [AttributeHelp; 2] = [
    settable(
        "sharing_mode",
        "keep_idle_procs, share_idle_procs, share_idle_procs_active, share_idle_procs_always, cap, uncap.",
    ),
    settable("uncap_weight", "Weight when uncapped, 0 to 255."),
];

fn settable_memory(release: varan_model::attributes::Release) -> Vec<AttributeHelp> {
    attributes(&SYSTEM_MEMORY, release).into_iter().filter(|one| one.change == Change::Anytime).collect()
}

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let resource = options.require("-r")?;
    match resource {
        "virtualio" => return virtual_io::run(invocation, options),
        "sriov" => return network::sriov(invocation, options),
        "io" => return virtual_io::io(invocation, options),
        "procpool" => return virtual_io::pool(invocation, options),
        _ => {}
    }
    let set = options.get("-o") == Some("s");
    let of_partition = options.has("-p") || options.has("--id");
    let task =
        if set && resource == "mem" && !of_partition { Task::ChangeSystem } else { Task::DynamicChange };
    invocation.authorize(task)?;
    let system = invocation.system(options)?;
    match resource {
        "mem" if set && of_partition => virtual_io::set(invocation, options, AttributeSet::Memory),
        "mem" if set => {
            let record = record(options.require("-a")?)?;
            invocation.ask(&system, SystemRequest::SetSystemMemory { record })?;
            Ok(0)
        }
        "proc" if set => {
            let record = record(options.require("-a")?)?;
            let partition = selector(options, "-p", "--id")?;
            invocation.ask_long(&system, SystemRequest::SetSharing { partition, record })?;
            Ok(0)
        }
        "mem" | "proc" => {
            let request = change(options, resource)?;
            invocation.ask_long(&system, request)?;
            Ok(0)
        }
        "mempool" if options.get("-o") != Some("a") || options.has("--rsubtype") => {
            Err(lshwres::missing_pool(&system.hardware).into())
        }
        other => Err(lshwres::missing_resource("chhwres", other, &system.hardware).into()),
    }
}

fn change(options: &ParsedOptions, resource: &str) -> Result<SystemRequest, Refusal> {
    let operation = match options.require("-o")? {
        "a" => DynamicOperation::Add,
        "r" => DynamicOperation::Remove,
        _ => DynamicOperation::Move(selector(options, "-t", "--tid")?),
    };
    let resource = if resource == "mem" {
        Resource::Memory(options.number("-q")?.ok_or_else(|| invalid_parameters(&["-q"]))?)
    } else {
        Resource::Processors {
            processors: options.number("--procs")?.unwrap_or_default(),
            units: options.number("--procunits")?.unwrap_or(ProcessingUnits(0)),
        }
    };
    Ok(SystemRequest::ChangeResource {
        partition: selector(options, "-p", "--id")?,
        operation,
        resource,
        wait_minutes: wait_minutes(options)?,
    })
}
