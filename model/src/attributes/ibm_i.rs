//! `lshwres -r io --rsubtype taggedio` and `lshwres -r virtualio --rsubtype {virtualopti | hsl}`: IBM i partitions.

use super::partition::PartitionRow;
use super::{Attribute, Change, Table, Value};
use crate::configuration::{Configuration, PartitionEnvironment};
use crate::ibm_i::IbmIConfiguration;

/// Reads what only IBM i partitions have.
pub(super) fn of_ibm_i(
    environment: PartitionEnvironment,
    content: &Configuration,
    read: impl FnOnce(&IbmIConfiguration) -> Value,
) -> Value {
    if environment != PartitionEnvironment::IbmI {
        return Value::NotApplicable;
    }
    match &content.ibm_i {
        Some(stated) => read(stated),
        None => read(&IbmIConfiguration::default()),
    }
}

/// Reads the current configuration; one that there is not yet states nothing.
fn current(row: &PartitionRow, read: impl FnOnce(&IbmIConfiguration) -> Value) -> Value {
    match row.entry.partition.current.as_ref().and_then(|content| content.ibm_i.as_deref()) {
        Some(stated) => read(stated),
        None => read(&IbmIConfiguration::default()),
    }
}

const PARTITION_NAME: Attribute<PartitionRow> =
    Attribute::new("lpar_name", "Partition.", |row: &PartitionRow| Value::of(&row.entry.partition.name));
const PARTITION_ID: Attribute<PartitionRow> =
    Attribute::new("lpar_id", "Number of the partition.", |row: &PartitionRow| {
        Value::of(row.entry.partition.id)
    });

macro_rules! tag {
    ($name:literal, $field:ident, $help:literal) => {
        Attribute::new($name, $help, |row: &PartitionRow| current(row, |stated| Value::of(stated.$field)))
            .change(Change::Anytime)
            .unverified()
    };
}

/// Attributes of `lshwres -r io --rsubtype taggedio`.
pub static TAGGED_IO: Table<PartitionRow> = Table {
    name: "io taggedio",
    attributes: &[
        PARTITION_NAME,
        PARTITION_ID,
        tag!("load_source_slot", load_source, "Slot of the load source: DRC index, virtual slot, none."),
        tag!("alt_restart_device_slot", alternate_restart, "Slot of the alternate restart device."),
        tag!("console_slot", console, "Slot of the console, or hmc."),
        tag!("alt_console_slot", alternate_console, "Slot of the alternate console."),
        tag!("op_console_slot", operations_console, "Slot of the operations console."),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype virtualopti`.
pub static VIRTUAL_OPTICONNECT: Table<PartitionRow> = Table {
    name: "virtualio virtualopti",
    attributes: &[
        PARTITION_NAME,
        PARTITION_ID,
        Attribute::new(
            "virtual_opti_pool_id",
            "Virtual OptiConnect pool, 0 for none.",
            |row: &PartitionRow| current(row, |stated| Value::of(stated.virtual_opticonnect_pool)),
        )
        .change(Change::Anytime)
        .unverified(),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype hsl`.
pub static HSL_OPTICONNECT: Table<PartitionRow> = Table {
    name: "virtualio hsl",
    attributes: &[
        PARTITION_NAME,
        PARTITION_ID,
        Attribute::new("hsl_pool_id", "1 with HSL OptiConnect.", |row: &PartitionRow| {
            current(row, |stated| Value::flag(stated.hsl_opticonnect))
        })
        .change(Change::Anytime)
        .unverified(),
    ],
};
