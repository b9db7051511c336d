//! `lshwres -r virtualio`: virtual adapters, slots and switches.

use std::collections::BTreeSet;
use std::sync::Arc;

use varan_contract::system::{PartitionFilter, SystemReply, SystemRequest};
use varan_model::adapters::{Element, VirtualEthernetAdapter};
use varan_model::attributes::Table;
use varan_model::attributes::ibm_i::{HSL_OPTICONNECT, VIRTUAL_OPTICONNECT};
use varan_model::attributes::partition::PartitionRow;
use varan_model::attributes::profile::RemoteNames;
use varan_model::attributes::virtual_io::{
    AdapterRow, ETHERNET, FIBRE_CHANNEL, PARTITION_SLOTS, SCSI, SERIAL, SLOTS, SYSTEM_ETHERNET, SlotRow,
    VIRTUAL_NETWORKS, VIRTUAL_SWITCHES,
};
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, PartitionEnvironment};
use varan_model::ids::VirtualSlot;
use varan_model::partition::PartitionEntry;
use varan_model::refusal::Refusal;
use varan_model::rules::virtual_network;
use varan_model::system::ManagedSystem;

use crate::commands::lssyscfg;
use crate::failure::{CommandError, invalid_parameters, not_supported};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::options::ParsedOptions;
use crate::select::Filters;

pub(super) const ETHERNET_FILTERS: &[&str] = &["lpar_names", "lpar_ids", "slots", "vlans", "vswitches"];
pub(super) const ADAPTER_FILTERS: &[&str] = &["lpar_names", "lpar_ids", "slots"];
pub(super) const SWITCH_FILTERS: &[&str] = &["vswitches"];
pub(super) const NETWORK_FILTERS: &[&str] = &["vnetworks", "vswitches", "vlans"];

/// Partitions with their system and the names that their adapters refer to.
pub(super) struct Adapters {
    pub system: Arc<ManagedSystem>,
    pub entries: Vec<PartitionEntry>,
    names: Arc<RemoteNames>,
}

/// Asks the system that `-m` names for partitions with their adapters.
pub(super) fn ask(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
    partitions: PartitionFilter,
) -> Result<Adapters, Refusal> {
    let system = invocation.system(options)?;
    match invocation.ask(&system, SystemRequest::ListAdapters(partitions))? {
        SystemReply::Adapters { system, entries, names } => Ok(Adapters { system, entries, names }),
        _ => Err(invocation.console.no_connection(&system)),
    }
}

pub(super) fn run(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    level: Option<&str>,
) -> Result<u8, CommandError> {
    match (options.require("--rsubtype")?, level) {
        ("eth", Some("sys")) => super::system_level(invocation, options, &SYSTEM_ETHERNET),
        ("eth", _) => ethernet(invocation, options),
        ("scsi", _) => adapters(invocation, options, &SCSI, |content| &content.scsi_adapters),
        ("fc", _) => {
            let system = invocation.system(options)?;
            if !invocation.console.reach(&system)?.hardware.capable("virtual_fc_capable") {
                return Err(Refusal::new(MessageKey::VirtualFibreChannelUnsupported).into());
            }
            adapters(invocation, options, &FIBRE_CHANNEL, |content| &content.fibre_channel_adapters)
        }
        ("serial", _) => adapters(invocation, options, &SERIAL, |content| &content.serial_adapters),
        ("slot", Some("lpar")) => partition_slots(invocation, options),
        ("slot", _) => slots(invocation, options),
        ("vswitch", _) => switches(invocation, options),
        ("vnic", _) => super::sriov::vnics(invocation, options),
        ("vnicbkdev", _) => super::sriov::backing_devices(invocation, options),
        ("vnetwork", _) => networks(invocation, options),
        ("virtualopti", _) => ibm_i(invocation, options, &VIRTUAL_OPTICONNECT),
        ("hsl", _) => ibm_i(invocation, options, &HSL_OPTICONNECT),
        (other, _) => Err(not_supported(format_args!("lshwres -r virtualio --rsubtype {other}")).into()),
    }
}

/// The numbers of a filter, if it was given.
pub(super) fn numbers(filters: &Filters, name: &str) -> Result<Option<Vec<u16>>, Refusal> {
    let read = |text: &String| text.parse().map_err(|_| invalid_parameters(&["--filter"]));
    filters.get(name).map(|values| values.iter().map(read).collect()).transpose()
}

pub(super) fn chosen<T: PartialEq>(values: Option<&Vec<T>>, value: &T) -> bool {
    values.is_none_or(|values| values.contains(value))
}

/// One row for each adapter of the partitions, by partition and slot.
fn rows<E: Element>(found: &Adapters, list: fn(&Configuration) -> &Vec<E>) -> Vec<AdapterRow<E>> {
    let mut rows = Vec::new();
    for entry in &found.entries {
        let Some(content) = &entry.partition.current else { continue };
        let mut adapters: Vec<&E> = list(content).iter().collect();
        adapters.sort_by_key(|adapter| adapter.virtual_slot());
        rows.extend(adapters.into_iter().map(|adapter| AdapterRow {
            system: found.system.clone(),
            entry: entry.clone(),
            names: found.names.clone(),
            adapter: adapter.clone(),
        }));
    }
    rows
}

fn adapters<E: Element>(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    table: &'static Table<AdapterRow<E>>,
    list: fn(&Configuration) -> &Vec<E>,
) -> Result<u8, CommandError> {
    let layout = Layout::new(table, options, invocation.console.release())?;
    let filters = Filters::parse(options, ADAPTER_FILTERS)?;
    let slots = numbers(&filters, "slots")?;
    let found = ask(invocation, options, filters.partitions()?)?;
    let mut rows = rows(&found, list);
    rows.retain(|row| row.adapter.virtual_slot().is_some_and(|slot| chosen(slots.as_ref(), &slot.0)));
    layout.print(rows, invocation.output)
}

fn ethernet(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&ETHERNET, options, invocation.console.release())?;
    let filters = Filters::parse(options, ETHERNET_FILTERS)?;
    let (slots, vlans) = (numbers(&filters, "slots")?, numbers(&filters, "vlans")?);
    let switches = filters.get("vswitches").map(<[String]>::to_vec);
    let found = ask(invocation, options, filters.partitions()?)?;
    check_switches(&found, &filters)?;
    let mut rows = rows(&found, |content| &content.ethernet_adapters);
    rows.retain(|row| {
        chosen(slots.as_ref(), &row.adapter.slot.0)
            && chosen(switches.as_ref(), &row.adapter.virtual_switch)
            && vlans.as_ref().is_none_or(|vlans| carried(&row.adapter).any(|vlan| vlans.contains(&vlan)))
    });
    layout.print(rows, invocation.output)
}

/// Every VLAN that an adapter carries.
fn carried(adapter: &VirtualEthernetAdapter) -> impl Iterator<Item = u16> + '_ {
    std::iter::once(adapter.port_vlan_id).chain(adapter.additional_vlan_ids.iter().copied())
}

fn partition_slots(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&PARTITION_SLOTS, options, invocation.console.release())?;
    let filters = Filters::parse(options, super::PARTITION_FILTERS)?;
    let found = ask(invocation, options, filters.partitions()?)?;
    layout.print(found.entries, invocation.output)
}

/// Every virtual slot in use with its kind of adapter and whether it is required.
fn used(content: &Configuration) -> Vec<(VirtualSlot, &'static str, bool)> {
    let mut found: Vec<(VirtualSlot, &'static str, bool)> = Vec::new();
    found.extend(content.serial_adapters.iter().map(|one| (one.slot, "serial", one.required)));
    found.extend(content.scsi_adapters.iter().map(|one| (one.slot, "scsi", one.required)));
    found.extend(content.ethernet_adapters.iter().map(|one| (one.slot, "ethernet", one.required)));
    found.extend(content.fibre_channel_adapters.iter().map(|one| (one.slot, "fc", one.required)));
    found.extend(content.virtual_nics.iter().map(|one| (one.slot, "vnic", one.required)));
    found.sort_unstable();
    found
}

fn slots(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&SLOTS, options, invocation.console.release())?;
    let filters = Filters::parse(options, ADAPTER_FILTERS)?;
    let wanted = numbers(&filters, "slots")?;
    let found = ask(invocation, options, filters.partitions()?)?;
    let mut rows = Vec::new();
    for entry in &found.entries {
        for (slot, kind, required) in entry.partition.current.iter().flat_map(used) {
            if chosen(wanted.as_ref(), &slot.0) {
                let (system, entry) = (found.system.clone(), entry.clone());
                rows.push(SlotRow { system, entry, slot, kind, required });
            }
        }
    }
    layout.print(rows, invocation.output)
}

fn switches(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&VIRTUAL_SWITCHES, options, invocation.console.release())?;
    let filters = Filters::parse(options, SWITCH_FILTERS)?;
    let found = ask(invocation, options, PartitionFilter::All)?;
    check_switches(&found, &filters)?;
    let contents: Vec<&Configuration> =
        found.entries.iter().filter_map(|entry| entry.partition.current.as_ref()).collect();
    let mut rows = Vec::new();
    for name in found.system.virtual_switches() {
        if filters.get("vswitches").is_none_or(|names| names.contains(name)) {
            let adapters = contents.iter().flat_map(|content| &content.ethernet_adapters);
            let on_switch = adapters.filter(|adapter| adapter.virtual_switch == *name);
            let vlans: BTreeSet<u16> = on_switch.flat_map(carried).collect();
            rows.push((name.clone(), vlans.into_iter().collect(), found.system.switch_mode(name)));
        }
    }
    layout.print(rows, invocation.output)
}

/// Switches that a filter names must be there.
fn check_switches(found: &Adapters, filters: &Filters) -> Result<(), Refusal> {
    let mut named = filters.get("vswitches").unwrap_or_default().iter();
    match named.find(|name| !found.system.has_virtual_switch(name)) {
        Some(missing) => Err(Refusal::new(MessageKey::VirtualSwitchNotFound).with(missing)),
        None => Ok(()),
    }
}

fn networks(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&VIRTUAL_NETWORKS, options, invocation.console.release())?;
    let filters = Filters::parse(options, NETWORK_FILTERS)?;
    let vlans = numbers(&filters, "vlans")?;
    let found = ask(invocation, options, PartitionFilter::All)?;
    check_switches(&found, &filters)?;
    let contents = found.entries.iter().filter_map(|entry| entry.partition.current.as_ref());
    let mut rows = virtual_network::networks(contents);
    let named = |name: &str, value: &String| filters.get(name).is_none_or(|values| values.contains(value));
    rows.retain(|row| {
        chosen(vlans.as_ref(), &row.vlan)
            && named("vswitches", &row.switch)
            && named("vnetworks", &row.name())
    });
    layout.print(rows, invocation.output)
}

/// What only IBM i partitions have, one row for each of them.
pub(super) fn ibm_i(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    table: &'static Table<PartitionRow>,
) -> Result<u8, CommandError> {
    let layout = Layout::new(table, options, invocation.console.release())?;
    let filters = Filters::parse(options, super::PARTITION_FILTERS)?;
    let system = invocation.system(options)?;
    let mut rows = lssyscfg::rows(invocation, &system, filters.partitions()?)?;
    rows.retain(|row| row.entry.partition.environment == PartitionEnvironment::IbmI);
    layout.print(rows, invocation.output)
}
