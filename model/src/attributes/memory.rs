//! `lshwres -r mem`.

use std::sync::Arc;

use super::partition::PartitionRow;
use super::{Attribute, Change, Table, Value};
use crate::configuration::{Configuration, PartitionEnvironment, SharedMemory};
use crate::hardware::ProcessorFamily;
use crate::system::ManagedSystem;
use crate::units::ProcessingUnits;

/// A row of the system levels of `lshwres`.
pub type SystemResourceRow = Arc<ManagedSystem>;

/// Size of a huge page in MB.
pub const HUGE_PAGE_MEGABYTES: u64 = 16_384;

const HPT_RATIOS: [&str; 5] = ["1:32", "1:64", "1:128", "1:256", "1:512"];

/// Attributes of `lshwres -r mem --level sys`.
pub static SYSTEM_MEMORY: Table<SystemResourceRow> = Table {
    name: "mem sys",
    attributes: &[
        Attribute::new(
            "configurable_sys_mem",
            "Memory that may be used, in MB.",
            |row: &SystemResourceRow| Value::of(row.configurable_memory()),
        ),
        Attribute::new(
            "curr_avail_sys_mem",
            "Memory that is free for partitions, in MB.",
            |row: &SystemResourceRow| Value::of(row.available_memory()),
        ),
        Attribute::new(
            "pend_avail_sys_mem",
            "Memory that is free after pending changes, in MB.",
            |row: &SystemResourceRow| Value::of(row.available_memory()),
        ),
        Attribute::new("installed_sys_mem", "Installed memory in MB.", |row: &SystemResourceRow| {
            Value::of(row.hardware.installed_memory)
        }),
        Attribute::new(
            "deconfig_sys_mem",
            "Memory taken out of use by errors, in MB.",
            |row: &SystemResourceRow| Value::of(row.failed_memory()),
        ),
        Attribute::new("sys_firmware_mem", "Memory of the hypervisor in MB.", |row: &SystemResourceRow| {
            Value::of(row.firmware_memory())
        }),
        Attribute::new("mem_region_size", "Logical memory block size in MB.", |row: &SystemResourceRow| {
            Value::of(row.hardware.memory_region_size)
        }),
        Attribute::new(
            "pend_mem_region_size",
            "Block size after the next power-on, in MB.",
            |row: &SystemResourceRow| Value::of(row.settings.pending_memory_region_size),
        )
        .change(Change::Anytime)
        .on_request(),
        Attribute::new(
            "configurable_num_sys_huge_pages",
            "Huge pages set aside.",
            |_: &SystemResourceRow| Value::of(0),
        ),
        Attribute::new("curr_avail_num_sys_huge_pages", "Free huge pages.", |_: &SystemResourceRow| {
            Value::of(0)
        }),
        Attribute::new("pend_avail_num_sys_huge_pages", "Free huge pages after pending changes.", |_| {
            Value::of(0)
        }),
        Attribute::new("max_num_sys_huge_pages", "Most huge pages.", |row: &SystemResourceRow| {
            Value::of(row.hardware.installed_memory / HUGE_PAGE_MEGABYTES)
        }),
        Attribute::new(
            "requested_num_sys_huge_pages",
            "Huge pages to set aside at the next power-on.",
            |row: &SystemResourceRow| Value::of(row.settings.requested_huge_pages),
        )
        .change(Change::Anytime),
        Attribute::new("huge_page_size", "Size of a huge page in MB.", |_: &SystemResourceRow| {
            Value::of(HUGE_PAGE_MEGABYTES)
        }),
        Attribute::new("max_mem_pools", "Most shared memory pools.", |row: &SystemResourceRow| {
            Value::flag(row.hardware.capable("active_mem_sharing_capable"))
        }),
        Attribute::new("max_paging_vios_per_mem_pool", "Most paging Virtual I/O Servers of a pool.", |_| {
            Value::of(2)
        })
        .on_request()
        .unverified(),
        Attribute::new("default_hpt_ratios", "Hardware page table ratio of new partitions.", |_| {
            Value::of("1:128")
        }),
        Attribute::new(
            "possible_hpt_ratios",
            "Hardware page table ratios to choose from.",
            |_: &SystemResourceRow| Value::List(HPT_RATIOS.iter().map(|&ratio| ratio.to_owned()).collect()),
        ),
    ],
};

fn current<T: std::fmt::Display + Default>(
    row: &PartitionRow,
    read: impl FnOnce(&Configuration) -> T,
) -> Value {
    Value::of(row.entry.partition.current.as_ref().map(read).unwrap_or_default())
}

fn huge<T: std::fmt::Display + Default>(row: &PartitionRow, read: impl FnOnce(&Configuration) -> T) -> Value {
    if row.entry.partition.environment == PartitionEnvironment::VirtualIoServer {
        Value::NotApplicable
    } else {
        current(row, read)
    }
}

fn shared<T: std::fmt::Display>(row: &PartitionRow, read: impl FnOnce(&SharedMemory) -> T) -> Value {
    let content = row.entry.partition.current.as_ref();
    let shared = content.and_then(|content| content.shared_memory.as_deref());
    shared.map_or(Value::NotApplicable, |shared| Value::of(read(shared)))
}

fn expansion(row: &PartitionRow) -> Value {
    if row.system.hardware.family < ProcessorFamily::Power7 {
        return Value::NotApplicable;
    }
    current(row, |content| ProcessingUnits(content.memory_expansion))
}

/// Attributes of `lshwres -r mem --level lpar`.
pub static PARTITION_MEMORY: Table<PartitionRow> = Table {
    name: "mem lpar",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &PartitionRow| Value::of(&row.entry.partition.name)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &PartitionRow| {
            Value::of(row.entry.partition.id)
        }),
        Attribute::new("curr_min_mem", "Least memory in MB.", |row: &PartitionRow| {
            current(row, |content| content.minimum_memory)
        }),
        Attribute::new("curr_mem", "Memory in MB.", |row: &PartitionRow| {
            current(row, |content| content.desired_memory)
        }),
        Attribute::new("curr_max_mem", "Most memory in MB.", |row: &PartitionRow| {
            current(row, |content| content.maximum_memory)
        }),
        Attribute::new("pend_min_mem", "Least memory after pending changes, in MB.", |row: &PartitionRow| {
            current(row, |content| content.minimum_memory)
        }),
        Attribute::new("pend_mem", "Memory after pending changes, in MB.", |row: &PartitionRow| {
            current(row, |content| content.desired_memory)
        }),
        Attribute::new("pend_max_mem", "Most memory after pending changes, in MB.", |row: &PartitionRow| {
            current(row, |content| content.maximum_memory)
        }),
        Attribute::new(
            "run_min_mem",
            "Least memory that the operating system can run with, in MB.",
            |row: &PartitionRow| {
                let running = row.entry.runtime.state.holds_resources();
                if running { current(row, |content| content.minimum_memory) } else { Value::of(0) }
            },
        ),
        Attribute::new("run_mem", "Memory that the operating system has, in MB.", |row: &PartitionRow| {
            Value::of(row.entry.runtime.memory)
        }),
        Attribute::new("curr_min_num_huge_pages", "Least number of huge pages.", |row: &PartitionRow| {
            huge(row, |content| content.minimum_huge_pages)
        }),
        Attribute::new("curr_num_huge_pages", "Huge pages.", |row: &PartitionRow| {
            huge(row, |content| content.desired_huge_pages)
        }),
        Attribute::new("curr_max_num_huge_pages", "Most huge pages.", |row: &PartitionRow| {
            huge(row, |content| content.maximum_huge_pages)
        }),
        Attribute::new(
            "pend_min_num_huge_pages",
            "Least number of huge pages after pending changes.",
            |row: &PartitionRow| huge(row, |content| content.minimum_huge_pages),
        ),
        Attribute::new("pend_num_huge_pages", "Huge pages after pending changes.", |row: &PartitionRow| {
            huge(row, |content| content.desired_huge_pages)
        }),
        Attribute::new(
            "pend_max_num_huge_pages",
            "Most huge pages after pending changes.",
            |row: &PartitionRow| huge(row, |content| content.maximum_huge_pages),
        ),
        Attribute::new(
            "run_num_huge_pages",
            "Huge pages that the operating system has.",
            |row: &PartitionRow| huge(row, |_| 0),
        ),
        Attribute::new("mem_mode", "Memory mode: ded, shared.", |row: &PartitionRow| {
            Value::of(
                row.entry.partition.current.as_ref().map_or("ded", |content| content.memory_mode.word()),
            )
        }),
        Attribute::new(
            "curr_io_entitled_mem",
            "Memory in MB that I/O is entitled to with shared memory.",
            |row: &PartitionRow| shared(row, |shared| shared.io_entitled_memory.unwrap_or_default()),
        ),
        Attribute::new("curr_mem_weight", "Share of the shared memory pool.", |row: &PartitionRow| {
            shared(row, |shared| shared.weight)
        }),
        Attribute::new(
            "run_io_entitled_mem",
            "Memory in MB that I/O of the running partition is entitled to.",
            |row: &PartitionRow| shared(row, |_| 0),
        ),
        Attribute::new("curr_mem_expansion", "Active memory expansion factor.", expansion).on_request(),
        Attribute::new(
            "pend_mem_expansion",
            "Active memory expansion factor after pending changes.",
            expansion,
        )
        .on_request(),
        Attribute::new("curr_hpt_ratio", "Hardware page table ratio.", |row: &PartitionRow| {
            current(row, |content| format!("1:{}", content.hpt_ratio))
        }),
    ],
};

/// A row of `lshwres -r mempool`. No managed system has a shared memory pool yet, so there is none.
#[derive(Clone, Copy, Debug)]
pub enum MemoryPoolRow {}

macro_rules! pool {
    ($name:literal, $help:literal) => {
        Attribute::new($name, $help, |row: &MemoryPoolRow| match *row {})
    };
}

/// Attributes of `lshwres -r mempool`. Names that scanners of a console read come first.
pub static MEMORY_POOLS: Table<MemoryPoolRow> = Table {
    name: "mempool",
    attributes: &[
        pool!("curr_pool_mem", "Memory of the pool in MB."),
        pool!("curr_max_pool_mem", "Most memory of the pool in MB."),
        pool!("pend_pool_mem", "Memory of the pool after pending changes, in MB.").unverified(),
        pool!("pend_max_pool_mem", "Most memory of the pool after pending changes, in MB.").unverified(),
        pool!("sys_firmware_pool_mem", "Memory of the pool that the firmware keeps, in MB."),
        pool!("paging_vios_names", "Virtual I/O Servers that page for the pool.").unverified(),
        pool!("paging_vios_ids", "Numbers of these servers.").unverified(),
    ],
};

/// A row of `lshwres -r mempool --rsubtype pgdev`. Paging devices belong to a pool, so there is none either.
#[derive(Clone, Copy, Debug)]
pub enum PagingDeviceRow {}

macro_rules! device {
    ($name:literal, $help:literal) => {
        Attribute::new($name, $help, |row: &PagingDeviceRow| match *row {}).unverified()
    };
}

/// Attributes of `lshwres -r mempool --rsubtype pgdev`.
pub static PAGING_DEVICES: Table<PagingDeviceRow> = Table {
    name: "mempool pgdev",
    attributes: &[
        device!("device_name", "Name of the device."),
        device!("paging_vios_name", "Virtual I/O Server that has it."),
        device!("paging_vios_id", "Number of that server."),
        device!("size", "Size in MB."),
        device!("type", "phys or logical."),
        device!("state", "Active, Inactive or Failed."),
        device!("phys_loc", "Location code."),
        device!("is_redundant", "1: two servers have it."),
        device!("lpar_name", "Partition that pages to it."),
        device!("lpar_id", "Number of that partition."),
    ],
};
