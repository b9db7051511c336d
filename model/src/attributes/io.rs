//! `lshwres -r io`: physical I/O as the site file describes it, with owners from current configurations.

use super::{Attribute, Release, Table, Value};
use crate::hardware::{SlotDescription, SlotPort};
use crate::ids::{PartitionId, WorldWidePortName};

/// Most I/O pools of a managed system.
const IO_POOLS_MAX: u16 = 256;

/// A row of `lshwres -r io --rsubtype slot`.
#[derive(Clone, Debug)]
pub struct IoSlotRow {
    /// The slot.
    pub slot: SlotDescription,
    /// Name and number of the partition that owns it.
    pub owner: Option<(String, PartitionId)>,
    /// I/O pool that the owner's configuration states.
    pub pool: Option<u16>,
}

/// The name of the partition that owns a slot.
fn owner_name(row: &IoSlotRow) -> Value {
    row.owner.as_ref().map_or(Value::NotApplicable, |(name, _)| Value::of(name))
}

/// The number of the partition that owns a slot.
fn owner_id(row: &IoSlotRow) -> Value {
    Value::or_none(row.owner.as_ref().map(|(_, id)| id))
}

/// The slot's place within its unit: `C2` of `U78C9.001.WZS8141-P1-C2`.
fn place(slot: &SlotDescription) -> &str {
    let inner = slot.location.strip_prefix(&slot.unit).unwrap_or(&slot.location).trim_start_matches('-');
    match inner.split_once('-') {
        // Planars are numbered P1, P2...; listings leave them out.
        Some((planar, rest)) if planar.starts_with('P') => rest,
        _ => inner,
    }
}

macro_rules! hexadecimal {
    ($name:literal, $field:ident, $digits:literal, $help:literal) => {
        Attribute::new($name, $help, |row: &IoSlotRow| {
            Value::of(format_args!(concat!("{:0", $digits, "X}"), row.slot.function.$field))
        })
    };
}

/// Attributes of `lshwres -r io --rsubtype slot`, in the captured order.
pub static IO_SLOTS: Table<IoSlotRow> = Table {
    name: "io slot",
    attributes: &[
        Attribute::new("unit_phys_loc", "Location code of the unit.", |row: &IoSlotRow| {
            Value::of(&row.slot.unit)
        }),
        Attribute::new("bus_id", "Bus, a decimal number.", |row: &IoSlotRow| Value::of(row.slot.bus)),
        Attribute::new("phys_loc", "Place within the unit.", |row: &IoSlotRow| Value::of(place(&row.slot))),
        Attribute::new("drc_index", "DRC index, eight hexadecimal digits.", |row: &IoSlotRow| {
            Value::of(format_args!("{:08X}", row.slot.drc_index))
        }),
        Attribute::new("lpar_name", "Partition that owns the slot.", owner_name),
        Attribute::new("lpar_id", "Number of that partition.", owner_id),
        Attribute::new("slot_io_pool_id", "I/O pool.", |row: &IoSlotRow| Value::or_none(row.pool)),
        Attribute::new("description", "What is in the slot.", |row: &IoSlotRow| {
            Value::of(&row.slot.description)
        }),
        Attribute::new("feature_codes", "Feature codes; 0 for an empty slot.", |row: &IoSlotRow| {
            Value::of(if row.slot.occupied { "none" } else { "0" })
        }),
        hexadecimal!("pci_vendor_id", vendor, 4, "PCI vendor; FFFF for an empty slot."),
        hexadecimal!("pci_device_id", device, 4, "PCI device."),
        hexadecimal!("pci_subs_vendor_id", subsystem_vendor, 4, "PCI vendor of the subsystem."),
        hexadecimal!("pci_subs_device_id", subsystem_device, 4, "PCI subsystem."),
        hexadecimal!("pci_class", class, 4, "PCI base class and subclass."),
        hexadecimal!("pci_revision_id", revision, 2, "PCI revision."),
        Attribute::new("bus_grouping", "1: all slots of the bus go to one partition.", |_: &IoSlotRow| {
            // One bus for each slot: there is nothing to group.
            Value::flag(false)
        }),
        Attribute::new("iop", "1: an I/O processor of IBM i is in the slot.", |_: &IoSlotRow| {
            Value::flag(false)
        }),
        Attribute::new("parent_slot_drc_index", "Slot that this slot extends.", |_: &IoSlotRow| {
            Value::of("none")
        }),
        Attribute::new("drc_name", "Location code of the slot.", |row: &IoSlotRow| {
            Value::of(&row.slot.location)
        }),
        Attribute::new("interposer_present", "1: an interposer carries the adapter.", |_: &IoSlotRow| {
            Value::flag(false)
        }),
        Attribute::new("interposer_pcie", "1: the interposer is for PCI Express.", |_: &IoSlotRow| {
            Value::flag(false)
        }),
        Attribute::new("lpar_assignment_capable", "1: partitions can have the slot.", |_: &IoSlotRow| {
            Value::flag(true)
        })
        .since(Release(10, 1, 0, 0)),
        Attribute::new(
            "dynamic_lpar_assignment_capable",
            "1: running partitions can get the slot and give it up.",
            |_: &IoSlotRow| Value::flag(true),
        )
        .since(Release(10, 1, 0, 0)),
    ],
};

/// A row of `lshwres -r io --rsubtype slotchildren`: a port of the adapter in a slot.
#[derive(Clone, Debug)]
pub struct SlotChildRow {
    /// The slot with its owner.
    pub slot: IoSlotRow,
    /// Number of the port among the adapter's, from 1.
    pub number: usize,
    /// The port.
    pub port: SlotPort,
}

/// A node's name has the port's digits under another name authority: NAA 2 in the place of NAA 1.
fn node_name(port: WorldWidePortName) -> WorldWidePortName {
    WorldWidePortName(port.0 & 0x0FFF_FFFF_FFFF_FFFF | 0x2000_0000_0000_0000)
}

/// Attributes of `lshwres -r io --rsubtype slotchildren`. Names: public scanners of consoles; which are in the default
/// listing, and its order, is not shown by them.
pub static IO_SLOT_CHILDREN: Table<SlotChildRow> = Table {
    name: "io slotchildren",
    attributes: &[
        Attribute::new("parent", "Location code of the slot.", |row: &SlotChildRow| {
            Value::of(&row.slot.slot.location)
        }),
        Attribute::new("parent_slot_child_id", "Device that the device is part of.", |_: &SlotChildRow| {
            Value::of("none")
        }),
        Attribute::new("slot_child_id", "Number of the device.", |row: &SlotChildRow| {
            Value::of(format_args!("{:08X}{:04X}", row.slot.slot.drc_index, row.number))
        })
        .unverified(),
        Attribute::new("lpar_name", "Partition that owns the slot.", |row: &SlotChildRow| {
            owner_name(&row.slot)
        }),
        Attribute::new("lpar_id", "Number of that partition.", |row: &SlotChildRow| owner_id(&row.slot)),
        Attribute::new("phys_loc", "Location code of the device.", |row: &SlotChildRow| {
            Value::of(&row.port.location)
        }),
        Attribute::new("description", "What it is.", |row: &SlotChildRow| {
            Value::of(&row.slot.slot.description)
        }),
        Attribute::new("mac_address", "Burned-in MAC address.", |row: &SlotChildRow| {
            row.port.mac_address.map_or(Value::NotApplicable, Value::of)
        }),
        Attribute::new("wwpn", "Burned-in world-wide port name.", |row: &SlotChildRow| {
            row.port.port_name.map_or(Value::NotApplicable, Value::of)
        }),
        Attribute::new("wwnn", "World-wide node name.", |row: &SlotChildRow| {
            row.port.port_name.map(node_name).map_or(Value::NotApplicable, Value::of)
        }),
        Attribute::new("serial_num", "Serial number; ports have none.", |_: &SlotChildRow| {
            Value::NotApplicable
        }),
        Attribute::new(
            "microcode_version",
            "Microcode; what the ports run is not known.",
            |_: &SlotChildRow| Value::NotApplicable,
        ),
    ],
};

/// A row of `lshwres -r io --rsubtype iopool --level pool`.
#[derive(Clone, Debug, Default)]
pub struct IoPoolRow {
    /// Number of the pool.
    pub id: u16,
    /// Partitions whose current configuration takes part in it, by number.
    pub partitions: Vec<(PartitionId, String)>,
    /// DRC indexes of the slots that are in it.
    pub slots: Vec<u32>,
}

/// Attributes of `lshwres -r io --rsubtype iopool --level pool`: the pools that a partition or a slot is in.
pub static IO_POOLS: Table<IoPoolRow> = Table {
    name: "io iopool",
    attributes: &[
        Attribute::new("io_pool_id", "Number of the pool.", |row: &IoPoolRow| Value::of(row.id)).unverified(),
        Attribute::new("lpar_names", "Partitions that take part.", |row: &IoPoolRow| {
            Value::list(row.partitions.iter().map(|(_, name)| name.clone()).collect())
        })
        .unverified(),
        Attribute::new("lpar_ids", "Numbers of these partitions.", |row: &IoPoolRow| {
            Value::list(row.partitions.iter().map(|(id, _)| id.to_string()).collect())
        })
        .unverified(),
        Attribute::new("slots", "DRC indexes of the slots.", |row: &IoPoolRow| {
            Value::list(row.slots.iter().map(|index| format!("{index:08X}")).collect())
        })
        .unverified(),
    ],
};

/// Attributes of `lshwres -r io --rsubtype iopool --level sys`: a row is the number of pools that there are.
pub static SYSTEM_IO_POOLS: Table<usize> = Table {
    name: "io iopool sys",
    attributes: &[
        Attribute::new("max_io_pools", "Most I/O pools.", |_: &usize| Value::of(IO_POOLS_MAX)).unverified(),
        Attribute::new("num_io_pools", "I/O pools that there are.", |row: &usize| Value::of(row))
            .unverified(),
    ],
};

/// Attributes of `lshwres -r io --rsubtype unit`: rows are location codes.
pub static IO_UNITS: Table<String> = Table {
    name: "io unit",
    attributes: &[Attribute::new("unit_phys_loc", "Location code of the unit.", |row: &String| {
        Value::of(row)
    })
    .unverified()],
};

/// A row of `lshwres -r io --rsubtype bus`: the unit's location code and the bus.
pub type BusRow = (String, u32);

/// Attributes of `lshwres -r io --rsubtype bus`.
pub static IO_BUSES: Table<BusRow> = Table {
    name: "io bus",
    attributes: &[
        Attribute::new("bus_id", "Bus, a decimal number.", |row: &BusRow| Value::of(row.1)).unverified(),
        Attribute::new("unit_phys_loc", "Location code of the unit.", |row: &BusRow| Value::of(&row.0))
            .unverified(),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_leaves_unit_and_planar_out() {
        let mut slot = crate::hardware::sample().slots.remove(0);
        assert_eq!(place(&slot), "C2");
        slot.location = format!("{}-P1-C5-C1", slot.unit);
        assert_eq!(place(&slot), "C5-C1");
    }
}
