//! `lshwres -r io` and `lshwres -r procpool`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use varan_contract::system::PartitionFilter;
use varan_model::attributes::ibm_i::TAGGED_IO;
use varan_model::attributes::io::{
    IO_BUSES, IO_POOLS, IO_SLOT_CHILDREN, IO_SLOTS, IO_UNITS, IoPoolRow, IoSlotRow, SYSTEM_IO_POOLS,
    SlotChildRow,
};
use varan_model::attributes::processor::{PROCESSOR_POOLS, ProcessorPoolRow};
use varan_model::configuration::{Configuration, ProcessorMode};
use varan_model::ids::PartitionId;
use varan_model::refusal::Refusal;
use varan_model::rules::processor_pool::{all, by_id, by_name};
use varan_model::system::SharedProcessorPool;

use super::virtual_io::{self, Adapters, ask};
use crate::failure::{CommandError, invalid_parameters};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::options::ParsedOptions;
use crate::select::Filters;

pub(super) const SLOT_FILTERS: &[&str] = &["lpar_names", "lpar_ids", "units", "buses", "slots", "pools"];
pub(super) const IO_POOL_FILTERS: &[&str] = &["lpar_names", "lpar_ids", "pools"];
pub(super) const UNIT_FILTERS: &[&str] = &["units", "buses"];
pub(super) const POOL_FILTERS: &[&str] = &["pool_ids", "pool_names", "lpar_names", "lpar_ids"];

pub(super) fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let subtype = options.require("--rsubtype")?;
    match subtype {
        "slot" => return slots(invocation, options),
        "slotchildren" => return slot_children(invocation, options),
        "iopool" => return io_pools(invocation, options),
        "taggedio" => return virtual_io::ibm_i(invocation, options, &TAGGED_IO),
        _ => {}
    }
    let release = invocation.console.release();
    let filters = Filters::parse(options, UNIT_FILTERS)?;
    let places = Places::read(&filters)?;
    if subtype == "unit" {
        let layout = Layout::new(&IO_UNITS, options, release)?;
        let mut units: Vec<String> = Vec::new();
        for row in slot_rows(&ask(invocation, options, PartitionFilter::All)?) {
            if places.has(&row) && !units.contains(&row.slot.unit) && !options.has("-R") {
                units.push(row.slot.unit);
            }
        }
        return layout.print(units, invocation.output);
    }
    let layout = Layout::new(&IO_BUSES, options, release)?;
    let mut buses: Vec<(String, u32)> = Vec::new();
    for row in slot_rows(&ask(invocation, options, PartitionFilter::All)?) {
        let bus = (row.slot.unit.clone(), row.slot.bus);
        if places.has(&row) && !buses.contains(&bus) && !options.has("-R") {
            buses.push(bus);
        }
    }
    layout.print(buses, invocation.output)
}

/// Which slots the filters choose.
struct Places {
    units: Option<Vec<String>>,
    buses: Option<Vec<u32>>,
    slots: Option<Vec<u32>>,
    pools: Option<Vec<u32>>,
}

impl Places {
    fn read(filters: &Filters) -> Result<Self, Refusal> {
        let numbers = |name: &str, radix: u32| -> Result<Option<Vec<u32>>, Refusal> {
            let read = |text: &String| {
                u32::from_str_radix(text, radix).map_err(|_| invalid_parameters(&["--filter"]))
            };
            filters.get(name).map(|values| values.iter().map(read).collect()).transpose()
        };
        Ok(Self {
            units: filters.get("units").map(<[String]>::to_vec),
            buses: numbers("buses", 10)?,
            slots: numbers("slots", 16)?,
            pools: numbers("pools", 10)?,
        })
    }

    fn has(&self, row: &IoSlotRow) -> bool {
        self.units.as_ref().is_none_or(|units| units.contains(&row.slot.unit))
            && self.buses.as_ref().is_none_or(|buses| buses.contains(&row.slot.bus))
            && self.slots.as_ref().is_none_or(|slots| slots.contains(&row.slot.drc_index))
            && self
                .pools
                .as_ref()
                .is_none_or(|pools| row.pool.is_some_and(|pool| pools.contains(&pool.into())))
    }
}

/// Every slot of the system. Of several partitions whose current configurations have a slot, the one that holds its
/// resources owns it, else the first.
fn slot_rows(found: &Adapters) -> Vec<IoSlotRow> {
    let mut owners: HashMap<u32, (String, PartitionId, Option<u16>, bool)> = HashMap::new();
    for entry in &found.entries {
        let holds = entry.runtime.state.holds_resources();
        for slot in entry.partition.current.iter().flat_map(|content| &content.physical_slots) {
            let owner = (entry.partition.name.clone(), entry.partition.id, slot.pool, holds);
            let present = owners.entry(slot.drc_index).or_insert_with(|| owner.clone());
            if holds && !present.3 {
                *present = owner;
            }
        }
    }
    let row = |slot: &varan_model::hardware::SlotDescription| {
        let owner = owners.get(&slot.drc_index);
        IoSlotRow {
            slot: slot.clone(),
            owner: owner.map(|(name, id, ..)| (name.clone(), *id)),
            pool: owner.and_then(|(_, _, pool, _)| *pool),
        }
    };
    found.system.hardware.slots.iter().map(row).collect()
}

/// The partitions that the filters name; `None` when they name none.
fn partitions(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
    filters: &Filters,
) -> Result<Option<Vec<PartitionId>>, Refusal> {
    match filters.partitions()? {
        PartitionFilter::All => Ok(None),
        only => {
            let found = ask(invocation, options, only)?;
            Ok(Some(found.entries.iter().map(|entry| entry.partition.id).collect()))
        }
    }
}

/// The slots that the filters choose, and with `-R` only those that were changed past an operating system.
fn chosen_slots(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
    filters: &Filters,
) -> Result<Vec<IoSlotRow>, Refusal> {
    let places = Places::read(filters)?;
    let chosen = partitions(invocation, options, filters)?;
    let found = ask(invocation, options, PartitionFilter::All)?;
    let mut rows = slot_rows(&found);
    rows.retain(|row| {
        let owner = row.owner.as_ref().map(|(_, id)| *id);
        let of_partition = chosen.as_ref().is_none_or(|ids| owner.is_some_and(|id| ids.contains(&id)));
        places.has(row) && of_partition
    });
    if options.has("-R") {
        let past: BTreeSet<u32> =
            found.entries.iter().flat_map(|entry| &entry.runtime.slots_past_guest).copied().collect();
        rows.retain(|row| past.contains(&row.slot.drc_index));
    }
    Ok(rows)
}

fn slots(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&IO_SLOTS, options, invocation.console.release())?;
    let filters = Filters::parse(options, SLOT_FILTERS)?;
    let rows = chosen_slots(invocation, options, &filters)?;
    layout.print(rows, invocation.output)
}

fn slot_children(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&IO_SLOT_CHILDREN, options, invocation.console.release())?;
    let filters = Filters::parse(options, SLOT_FILTERS)?;
    let mut rows = Vec::new();
    for slot in chosen_slots(invocation, options, &filters)? {
        let ports = slot.slot.ports.clone();
        rows.extend(ports.into_iter().enumerate().map(|(index, port)| SlotChildRow {
            slot: slot.clone(),
            number: index + 1,
            port,
        }));
    }
    layout.print(rows, invocation.output)
}

/// The I/O pools that a partition takes part in or a slot is in.
fn io_pools(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let release = invocation.console.release();
    if options.get("--level") == Some("sys") {
        let layout = Layout::new(&SYSTEM_IO_POOLS, options, release)?;
        let found = ask(invocation, options, PartitionFilter::All)?;
        return layout.print([pools_of(&found).len()], invocation.output);
    }
    let layout = Layout::new(&IO_POOLS, options, release)?;
    let filters = Filters::parse(options, IO_POOL_FILTERS)?;
    let places = Places::read(&filters)?;
    let chosen = partitions(invocation, options, &filters)?;
    let mut rows = pools_of(&ask(invocation, options, PartitionFilter::All)?);
    rows.retain(|row| {
        places.pools.as_ref().is_none_or(|pools| pools.contains(&row.id.into()))
            && chosen.as_ref().is_none_or(|ids| row.partitions.iter().any(|(id, _)| ids.contains(id)))
    });
    layout.print(rows, invocation.output)
}

fn pools_of(found: &Adapters) -> Vec<IoPoolRow> {
    let mut pools: BTreeMap<u16, IoPoolRow> = BTreeMap::new();
    for entry in &found.entries {
        for &id in entry.partition.current.iter().flat_map(|content| &content.io_pools) {
            let pool = pools.entry(id).or_default();
            pool.partitions.push((entry.partition.id, entry.partition.name.clone()));
        }
    }
    for row in slot_rows(found) {
        if let Some(id) = row.pool {
            pools.entry(id).or_default().slots.push(row.slot.drc_index);
        }
    }
    pools.into_iter().map(|(id, pool)| IoPoolRow { id, ..pool }).collect()
}

pub(super) fn pools(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&PROCESSOR_POOLS, options, invocation.console.release())?;
    let filters = Filters::parse(options, POOL_FILTERS)?;
    let read = |text: &String| text.parse::<u16>().map_err(|_| invalid_parameters(&["--filter"]));
    let ids: Option<Vec<u16>> =
        filters.get("pool_ids").map(|values| values.iter().map(read).collect()).transpose()?;
    let chosen = partitions(invocation, options, &filters)?;
    let found = ask(invocation, options, PartitionFilter::All)?;
    for name in filters.get("pool_names").unwrap_or_default() {
        by_name(&found.system, name)?;
    }
    for &id in ids.iter().flatten() {
        by_id(&found.system, id)?;
    }
    let mut members: BTreeMap<u16, Vec<(PartitionId, String)>> = BTreeMap::new();
    for partition in found.entries.iter().map(|entry| &entry.partition) {
        let shared = |content: &&Configuration| content.processor_mode == ProcessorMode::Shared;
        if let Some(content) = partition.current.as_ref().filter(shared) {
            members.entry(content.processor_pool).or_default().push((partition.id, partition.name.clone()));
        }
    }
    let row = |pool: SharedProcessorPool| {
        let partitions = members.remove(&pool.id).unwrap_or_default();
        ProcessorPoolRow { pool, partitions }
    };
    let wanted = |row: &ProcessorPoolRow| {
        filters.get("pool_names").is_none_or(|names| names.contains(&row.pool.name))
            && ids.as_ref().is_none_or(|ids| ids.contains(&row.pool.id))
            && chosen.as_ref().is_none_or(|ids| row.partitions.iter().any(|(id, _)| ids.contains(id)))
    };
    layout.print(all(&found.system).map(row).filter(wanted), invocation.output)
}
