//! Physical I/O slots, in the document of a system and in those of its partitions.

use varan_model::hardware::SlotDescription;
use varan_model::partition::Partition;

use super::{boolean, partition_type, some};
use crate::element::{Element, Outline, objects, outline_inner, text, write_inner};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// The partition that a slot is assigned to.
#[derive(Clone, Debug)]
pub struct Owner {
    id: String,
    name: String,
    kind: &'static str,
}

impl Owner {
    /// That partition.
    pub fn of(partition: &Partition) -> Self {
        Self {
            id: partition.id.to_string(),
            name: partition.name.clone(),
            kind: partition_type(partition.environment),
        }
    }
}

/// A slot.
pub struct SlotView<'a> {
    /// DRC index.
    pub drc_index: u32,
    /// What the site file says of it; nothing when the machine does not have it any more.
    pub slot: Option<&'a SlotDescription>,
    /// Its partition.
    pub owner: Option<&'a Owner>,
}

/// What a table reads: plain values, since tables live as long as the program.
struct SlotRow {
    drc_index: u32,
    occupied: bool,
    description: String,
    unit: String,
    location: String,
    owner: Option<Owner>,
    required: Option<bool>,
}

impl SlotRow {
    fn of(view: &SlotView<'_>) -> Self {
        let text = |of: fn(&SlotDescription) -> &String| view.slot.map(of).cloned().unwrap_or_default();
        Self {
            drc_index: view.drc_index,
            occupied: view.slot.is_some_and(|slot| slot.occupied),
            description: text(|slot| &slot.description),
            unit: text(|slot| &slot.unit),
            location: text(|slot| &slot.location),
            owner: view.owner.cloned(),
            required: None,
        }
    }

    fn of_owner(&self, value: impl FnOnce(&Owner) -> String) -> Option<String> {
        self.owner.as_ref().map(value)
    }
}

/// The slot's place within its unit: `C2` of `U78C9.001.WZS8141-P1-C2`.
fn place(row: &SlotRow) -> Option<String> {
    let inner = row.location.strip_prefix(&row.unit).unwrap_or(&row.location).trim_start_matches('-');
    // Planars are numbered P1, P2...; they are left out.
    let place =
        inner.split_once('-').filter(|(planar, _)| planar.starts_with('P')).map_or(inner, |(_, rest)| rest);
    some(place)
}

static ADAPTER: &[Element<SlotRow>] = &[
    text("AdapterID", "ROR", |row| some(row.drc_index)),
    text("Description", "CUD", |row| some(&row.description)),
    text("DeviceName", "ROR", |row| some(&row.location)),
    text("DynamicReconfigurationConnectorName", "CUD", |row| some(&row.location)),
    text("PhysicalLocation", "ROR", place),
];

static SLOT: &[Element<SlotRow>] = &[
    text("BusGroupingRequired", "CUD", |_| boolean(false)),
    text("Description", "CUD", |row| some(&row.description)),
    // What is in a slot has no feature code in a site file; an empty slot has 0.
    text("FeatureCodes", "ROO", |row| if row.occupied { None } else { some(0) }),
    text("IOUnitPhysicalLocation", "ROR", |row| some(&row.unit)),
    text("PartitionID", "ROO", |row: &SlotRow| row.of_owner(|owner| owner.id.clone())).since(3, 0),
    text("PartitionName", "ROO", |row: &SlotRow| row.of_owner(|owner| owner.name.clone())).since(3, 0),
    text("PartitionType", "ROO", |row: &SlotRow| row.of_owner(|owner| owner.kind.to_owned())).since(3, 0),
    objects(
        "RelatedIOAdapter",
        "CUD",
        |row, writer, groups| write_inner("IOAdapter", ADAPTER, row, groups, writer),
        |prefix, found| outline_inner("IOAdapter", ADAPTER, prefix, found),
    )
    .plain(),
    text("SlotDynamicReconfigurationConnectorIndex", "ROR", |row| some(row.drc_index)),
    text("SlotDynamicReconfigurationConnectorName", "CUD", |row| some(&row.location)),
    text("SlotPhysicalLocationCode", "ROR", place),
];

/// Writes a slot as an object of its own.
pub fn write_slot(name: &str, view: &SlotView<'_>, groups: Groups, writer: &mut XmlWriter) {
    write_inner(name, SLOT, &SlotRow::of(view), groups, writer);
}

/// What [`write_slot`] writes.
pub fn outline_slot(name: &str, prefix: &str, found: &mut Vec<Outline>) {
    outline_inner(name, SLOT, prefix, found);
}

const ASSOCIATED: Element<SlotRow> = objects(
    "AssociatedIOSlot",
    "CUD",
    |row, writer, groups| crate::element::write(SLOT, row, groups, writer),
    |prefix, found| crate::element::outline(SLOT, prefix, found),
);

/// A slot that a partition has.
static CURRENT: &[Element<SlotRow>] = &[ASSOCIATED];

/// A slot that a profile asks for; what a partition has is not said to be required, as recorded.
static WANTED: &[Element<SlotRow>] =
    &[ASSOCIATED, text("IsRequired", "CUD", |row| row.required.and_then(boolean))];

/// Writes a slot as a partition's own.
pub fn write_current(view: &SlotView<'_>, groups: Groups, writer: &mut XmlWriter) {
    write_inner("ProfileIOSlot", CURRENT, &SlotRow::of(view), groups, writer);
}

/// What [`write_current`] writes.
pub fn outline_current(prefix: &str, found: &mut Vec<Outline>) {
    outline_inner("ProfileIOSlot", CURRENT, prefix, found);
}

/// Writes a slot as a profile's own.
pub fn write_wanted(view: &SlotView<'_>, required: bool, groups: Groups, writer: &mut XmlWriter) {
    let row = SlotRow { required: Some(required), ..SlotRow::of(view) };
    write_inner("ProfileIOSlot", WANTED, &row, groups, writer);
}

/// What [`write_wanted`] writes.
pub fn outline_wanted(prefix: &str, found: &mut Vec<Outline>) {
    outline_inner("ProfileIOSlot", WANTED, prefix, found);
}
