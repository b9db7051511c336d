//! `lshwres -r proc`.

use super::memory::SystemResourceRow;
use super::partition::PartitionRow;
use super::{Attribute, Change, Table, Value};
use crate::configuration::{Configuration, ProcessorMode, SharingMode};
use crate::hardware::ProcessorFamily;
use crate::ids::PartitionId;
use crate::rules::processor_pool::POOLS_MAX;
use crate::system::SharedProcessorPool;
use crate::units::ProcessingUnits;

fn most_virtual(row: &SystemResourceRow) -> Value {
    // 64 virtual processors per partition up to POWER7, 256 later (per partition limits of the hypervisor).
    Value::of(if row.hardware.family >= ProcessorFamily::Power7 { 256 } else { 64 })
}

fn most_dedicated(row: &SystemResourceRow) -> Value {
    let most = if row.hardware.family >= ProcessorFamily::Power7 { 256 } else { 64 };
    Value::of(row.hardware.installed_processors.processors().min(most))
}

/// Attributes of `lshwres -r proc --level sys`.
pub static SYSTEM_PROCESSORS: Table<SystemResourceRow> = Table {
    name: "proc sys",
    attributes: &[
        Attribute::new(
            "configurable_sys_proc_units",
            "Processing units that may be used.",
            |row: &SystemResourceRow| Value::of(row.configurable_units()),
        ),
        Attribute::new("curr_avail_sys_proc_units", "Free processing units.", |row: &SystemResourceRow| {
            Value::of(row.available_units())
        }),
        Attribute::new(
            "pend_avail_sys_proc_units",
            "Free processing units after pending changes.",
            |row: &SystemResourceRow| Value::of(row.available_units()),
        ),
        Attribute::new(
            "installed_sys_proc_units",
            "Installed processing units.",
            |row: &SystemResourceRow| Value::of(row.hardware.installed_processors),
        ),
        Attribute::new(
            "deconfig_sys_proc_units",
            "Processing units taken out of use by errors.",
            |row: &SystemResourceRow| match row.failed_units() {
                ProcessingUnits(0) => Value::of(0),
                failed => Value::of(failed),
            },
        ),
        Attribute::new(
            "min_proc_units_per_virtual_proc",
            "Least processing units of a virtual processor.",
            |row: &SystemResourceRow| Value::of(row.hardware.minimum_units_per_processor),
        ),
        Attribute::new("max_virtual_procs_per_lpar", "Most virtual processors of a partition.", most_virtual),
        Attribute::new("max_procs_per_lpar", "Most processors of a partition.", most_dedicated),
        Attribute::new(
            "max_curr_virtual_procs_per_aixlinux_lpar",
            "Most virtual processors of an AIX or Linux partition.",
            most_virtual,
        ),
        Attribute::new(
            "max_curr_virtual_procs_per_vios_lpar",
            "Most virtual processors of a Virtual I/O Server.",
            most_virtual,
        ),
        Attribute::new(
            "max_curr_virtual_procs_per_os400_lpar",
            "Most virtual processors of an IBM i partition.",
            most_virtual,
        ),
        Attribute::new(
            "max_curr_procs_per_aixlinux_lpar",
            "Most processors of an AIX or Linux partition.",
            most_dedicated,
        ),
        Attribute::new(
            "max_curr_procs_per_vios_lpar",
            "Most processors of a Virtual I/O Server.",
            most_dedicated,
        ),
        Attribute::new(
            "max_curr_procs_per_os400_lpar",
            "Most processors of an IBM i partition.",
            most_dedicated,
        ),
        Attribute::new("max_shared_proc_pools", "Most shared processor pools.", |_: &SystemResourceRow| {
            Value::of(POOLS_MAX)
        }),
        Attribute::new("curr_sys_virtual_procs", "Virtual processors in use.", |row: &SystemResourceRow| {
            Value::of(row.usage.virtual_processors)
        })
        .on_request(),
    ],
};

/// Attributes of `lshwres -r proc --level pool`: the processors that are not dedicated to a partition.
pub static POOL_PROCESSORS: Table<SystemResourceRow> = Table {
    name: "proc pool",
    attributes: &[
        Attribute::new(
            "configurable_pool_proc_units",
            "Processing units of the pool.",
            |row: &SystemResourceRow| Value::of(row.configurable_units()),
        )
        .unverified(),
        Attribute::new(
            "curr_avail_pool_proc_units",
            "Free processing units of the pool.",
            |row: &SystemResourceRow| Value::of(row.available_units()),
        )
        .unverified(),
        Attribute::new(
            "pend_avail_pool_proc_units",
            "Free processing units of the pool after pending changes.",
            |row: &SystemResourceRow| Value::of(row.available_units()),
        )
        .unverified(),
    ],
};

fn current<T: std::fmt::Display + Default>(
    row: &PartitionRow,
    read: impl FnOnce(&Configuration) -> T,
) -> Value {
    Value::of(row.entry.partition.current.as_ref().map(read).unwrap_or_default())
}

fn mode(row: &PartitionRow) -> ProcessorMode {
    row.entry.partition.current.as_ref().map_or(ProcessorMode::Dedicated, |content| content.processor_mode)
}

fn shared<T: std::fmt::Display + Default>(
    row: &PartitionRow,
    read: impl FnOnce(&Configuration) -> T,
) -> Value {
    if mode(row) == ProcessorMode::Shared { current(row, read) } else { Value::NotApplicable }
}

fn pool_name(row: &PartitionRow) -> Value {
    shared(row, |content| {
        row.system.processor_pool(content.processor_pool).map(|pool| pool.name.clone()).unwrap_or_default()
    })
}

fn sharing(row: &PartitionRow) -> Value {
    let sharing =
        row.entry.partition.current.as_ref().map_or(SharingMode::KeepIdle, |content| content.sharing_mode);
    Value::of(sharing.word())
}

/// Attributes of `lshwres -r proc --level lpar`.
pub static PARTITION_PROCESSORS: Table<PartitionRow> = Table {
    name: "proc lpar",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &PartitionRow| Value::of(&row.entry.partition.name)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &PartitionRow| {
            Value::of(row.entry.partition.id)
        }),
        Attribute::new("curr_shared_proc_pool_id", "Shared processor pool.", |row: &PartitionRow| {
            shared(row, |content| content.processor_pool)
        }),
        Attribute::new("curr_shared_proc_pool_name", "Shared processor pool.", pool_name),
        Attribute::new("curr_proc_mode", "Processor mode: ded, shared.", |row: &PartitionRow| {
            Value::of(mode(row).word())
        }),
        Attribute::new("curr_min_proc_units", "Least processing units.", |row: &PartitionRow| {
            shared(row, |content| content.minimum_units)
        }),
        Attribute::new("curr_proc_units", "Processing units.", |row: &PartitionRow| {
            shared(row, |content| content.desired_units)
        }),
        Attribute::new("curr_max_proc_units", "Most processing units.", |row: &PartitionRow| {
            shared(row, |content| content.maximum_units)
        }),
        Attribute::new("curr_min_procs", "Least processors.", |row: &PartitionRow| {
            current(row, |content| content.minimum_processors)
        }),
        Attribute::new("curr_procs", "Processors.", |row: &PartitionRow| {
            current(row, |content| content.desired_processors)
        }),
        Attribute::new("curr_max_procs", "Most processors.", |row: &PartitionRow| {
            current(row, |content| content.maximum_processors)
        }),
        Attribute::new("curr_sharing_mode", "Sharing mode.", sharing),
        Attribute::new("curr_uncap_weight", "Weight when uncapped.", |row: &PartitionRow| {
            shared(row, |content| content.uncapped_weight)
        }),
        Attribute::new(
            "pend_shared_proc_pool_id",
            "Shared processor pool after pending changes.",
            |row: &PartitionRow| shared(row, |content| content.processor_pool),
        ),
        Attribute::new(
            "pend_shared_proc_pool_name",
            "Shared processor pool after pending changes.",
            pool_name,
        ),
        Attribute::new("pend_proc_mode", "Processor mode after pending changes.", |row: &PartitionRow| {
            Value::of(mode(row).word())
        }),
        Attribute::new(
            "pend_min_proc_units",
            "Least processing units after pending changes.",
            |row: &PartitionRow| shared(row, |content| content.minimum_units),
        ),
        Attribute::new("pend_proc_units", "Processing units after pending changes.", |row: &PartitionRow| {
            shared(row, |content| content.desired_units)
        }),
        Attribute::new(
            "pend_max_proc_units",
            "Most processing units after pending changes.",
            |row: &PartitionRow| shared(row, |content| content.maximum_units),
        ),
        Attribute::new("pend_min_procs", "Least processors after pending changes.", |row: &PartitionRow| {
            current(row, |content| content.minimum_processors)
        }),
        Attribute::new("pend_procs", "Processors after pending changes.", |row: &PartitionRow| {
            current(row, |content| content.desired_processors)
        }),
        Attribute::new("pend_max_procs", "Most processors after pending changes.", |row: &PartitionRow| {
            current(row, |content| content.maximum_processors)
        }),
        Attribute::new("pend_sharing_mode", "Sharing mode after pending changes.", sharing),
        Attribute::new(
            "pend_uncap_weight",
            "Weight when uncapped, after pending changes.",
            |row: &PartitionRow| shared(row, |content| content.uncapped_weight),
        ),
        Attribute::new(
            "run_proc_units",
            "Processing units that the partition runs with.",
            |row: &PartitionRow| {
                if mode(row) == ProcessorMode::Shared {
                    Value::of(row.entry.runtime.units)
                } else {
                    Value::NotApplicable
                }
            },
        ),
        Attribute::new("run_procs", "Processors that the operating system has.", |row: &PartitionRow| {
            Value::of(row.entry.runtime.processors)
        }),
        Attribute::new("run_uncap_weight", "Weight in force.", |row: &PartitionRow| {
            let running = row.entry.runtime.state.holds_resources();
            shared(row, |content| if running { content.uncapped_weight } else { 0 })
        }),
    ],
};

/// A row of `lshwres -r procpool`: a pool with the partitions whose current configuration uses it.
#[derive(Clone, Debug)]
pub struct ProcessorPoolRow {
    /// The pool.
    pub pool: SharedProcessorPool,
    /// Its partitions, by number.
    pub partitions: Vec<(PartitionId, String)>,
}

fn reserved(row: &ProcessorPoolRow) -> Value {
    if row.pool.id == 0 { Value::NotApplicable } else { Value::of(row.pool.reserved_units) }
}

/// Attributes of `lshwres -r procpool`. The default pool has no limits of its own.
pub static PROCESSOR_POOLS: Table<ProcessorPoolRow> = Table {
    name: "procpool",
    attributes: &[
        Attribute::new("name", "Name.", |row: &ProcessorPoolRow| Value::of(&row.pool.name)),
        Attribute::new("shared_proc_pool_id", "Number.", |row: &ProcessorPoolRow| Value::of(row.pool.id)),
        Attribute::new(
            "max_pool_proc_units",
            "Most processing units of its partitions and its reserve together.",
            |row: &ProcessorPoolRow| row.pool.maximum_units.map_or(Value::NotApplicable, Value::of),
        )
        .change(Change::Anytime),
        Attribute::new("curr_reserved_pool_proc_units", "Processing units reserved for it.", reserved),
        Attribute::new(
            "pend_reserved_pool_proc_units",
            "Processing units reserved for it after pending changes.",
            reserved,
        )
        .unverified(),
        Attribute::new("lpar_names", "Partitions.", |row: &ProcessorPoolRow| {
            Value::List(row.partitions.iter().map(|(_, name)| name.clone()).collect())
        })
        .unverified(),
        Attribute::new("lpar_ids", "Numbers of the partitions.", |row: &ProcessorPoolRow| {
            Value::List(row.partitions.iter().map(|(id, _)| id.to_string()).collect())
        })
        .unverified(),
        Attribute::new("new_name", "Another name.", |_: &ProcessorPoolRow| Value::NotApplicable)
            .change(Change::Anytime)
            .unlisted(),
        Attribute::new("reserved_pool_proc_units", "Processing units to reserve.", |_: &ProcessorPoolRow| {
            Value::NotApplicable
        })
        .change(Change::Anytime)
        .unlisted(),
    ],
};
