//! `lshwres -r io`: physical I/O as the site file describes it, with owners from current configurations.

use super::{Attribute, Table, Value};
use crate::hardware::SlotDescription;
use crate::ids::PartitionId;

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

/// The slot's place within its unit: `C2` of `U78C9.001.WZS8141-P1-C2`.
fn place(slot: &SlotDescription) -> &str {
    let inner = slot.location.strip_prefix(&slot.unit).unwrap_or(&slot.location).trim_start_matches('-');
    match inner.split_once('-') {
        // Planars are numbered P1, P2...; listings leave them out.
        Some((planar, rest)) if planar.starts_with('P') => rest,
        _ => inner,
    }
}

/// Attributes of `lshwres -r io --rsubtype slot`, in the captured order. The captured PCI identifiers are not in site
/// files and left out.
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
        Attribute::new("lpar_name", "Partition that owns the slot.", |row: &IoSlotRow| match &row.owner {
            Some((name, _)) => Value::of(name),
            None => Value::NotApplicable,
        }),
        Attribute::new("lpar_id", "Number of that partition.", |row: &IoSlotRow| {
            Value::or_none(row.owner.as_ref().map(|(_, id)| id))
        }),
        Attribute::new("slot_io_pool_id", "I/O pool.", |row: &IoSlotRow| Value::or_none(row.pool)),
        Attribute::new("description", "What is in the slot.", |row: &IoSlotRow| {
            Value::of(&row.slot.description)
        }),
        Attribute::new("feature_codes", "Feature codes; 0 for an empty slot.", |row: &IoSlotRow| {
            Value::of(if row.slot.occupied { "none" } else { "0" })
        }),
        Attribute::new("parent_slot_drc_index", "Slot that this slot extends.", |_: &IoSlotRow| {
            Value::of("none")
        }),
        Attribute::new("drc_name", "Location code of the slot.", |row: &IoSlotRow| {
            Value::of(&row.slot.location)
        }),
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
