//! `lshwres -r sriov`, and virtual NICs with their backing devices.

use varan_contract::network::{BackingDeviceState, PortStatistics};
use varan_contract::system::{NetworkReport, PartitionFilter, SystemReply, SystemRequest};
use varan_model::attributes::sriov::{
    LOGICAL_PORT_STATISTICS, LOGICAL_PORTS, LogicalPortRow, PHYSICAL_PORT_STATISTICS, PHYSICAL_PORTS,
    PhysicalPortRow, PortCounters, SRIOV_ADAPTERS, SriovAdapterRow, UNCONFIGURED_PORTS, logical_ports,
    physical_ports, unconfigured_ports,
};
use varan_model::attributes::vnic::{
    DeviceState, VNIC_BACKING_DEVICES, VNICS, VnicBackingDeviceRow, VnicRow,
};
use varan_model::attributes::{Release, Table};
use varan_model::codes::MessageKey;
use varan_model::ids::{LogicalPortId, PartitionId, SriovAdapterId};
use varan_model::partition::PartitionState;
use varan_model::refusal::Refusal;
use varan_model::rules::sriov::logical_port_ids;

use super::virtual_io::{ADAPTER_FILTERS as VNIC_FILTERS, chosen, numbers};
use crate::failure::{CommandError, invalid_parameters};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::options::ParsedOptions;
use crate::select::Filters;

pub(super) const ADAPTER_FILTERS: &[&str] = &["adapter_ids"];
pub(super) const PORT_FILTERS: &[&str] = &["adapter_ids", "phys_port_ids"];
pub(super) const LOGICAL_PORT_FILTERS: &[&str] =
    &["adapter_ids", "phys_port_ids", "logical_port_ids", "lpar_names", "lpar_ids"];

pub(super) fn run(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    level: Option<&str>,
) -> Result<u8, CommandError> {
    match (options.require("--rsubtype")?, level) {
        ("adapter", _) => adapters(invocation, options),
        ("physport", Some(level)) => {
            let table = if options.has("--sriovstat") { &PHYSICAL_PORT_STATISTICS } else { &PHYSICAL_PORTS };
            ports(invocation, options, level, table)
        }
        ("logport", None) => free_ports(invocation, options),
        ("logport", Some(level)) => {
            let table = if options.has("--sriovstat") { &LOGICAL_PORT_STATISTICS } else { &LOGICAL_PORTS };
            used_ports(invocation, options, level, table)
        }
        _ => Err(invalid_parameters(&["--rsubtype"]).into()),
    }
}

fn ask(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
    partitions: PartitionFilter,
) -> Result<NetworkReport, Refusal> {
    let system = invocation.system(options)?;
    match invocation.ask(&system, SystemRequest::ListNetwork(partitions))? {
        SystemReply::Network(report) => Ok(*report),
        _ => Err(invocation.console.no_connection(&system)),
    }
}

/// The adapters that a filter names; each must be there, in shared mode.
fn adapter_ids(filters: &Filters, report: &NetworkReport) -> Result<Option<Vec<u16>>, Refusal> {
    let ids = numbers(filters, "adapter_ids")?;
    for id in ids.iter().flatten() {
        if report.system.shared_adapter(SriovAdapterId(*id)).is_none() {
            return Err(Refusal::new(MessageKey::SriovAdapterNotFound).with(id));
        }
    }
    Ok(ids)
}

fn adapters(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&SRIOV_ADAPTERS, options, invocation.console.release())?;
    let filters = Filters::parse(options, ADAPTER_FILTERS)?;
    let report = ask(invocation, options, PartitionFilter::Only(Vec::new()))?;
    let ids = adapter_ids(&filters, &report)?;
    let found = report.system.sriov_adapters().into_iter();
    let named =
        |id: Option<SriovAdapterId>| ids.as_ref().is_none_or(|ids| id.is_some_and(|id| ids.contains(&id.0)));
    let rows = found
        .filter(|(_, settings)| named(settings.adapter))
        .map(|(adapter, settings)| SriovAdapterRow { adapter: adapter.clone(), settings });
    let rows: Vec<SriovAdapterRow> = rows.collect();
    layout.print(rows, invocation.output)
}

fn counters(statistics: &PortStatistics) -> PortCounters {
    PortCounters {
        received_frames: statistics.received_frames,
        received_bytes: statistics.received_bytes,
        receive_drops: statistics.receive_drops,
        transmitted_frames: statistics.transmitted_frames,
        transmitted_bytes: statistics.transmitted_bytes,
        transmit_drops: statistics.transmit_drops,
    }
}

fn ports(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    level: &str,
    table: &'static Table<PhysicalPortRow>,
) -> Result<u8, CommandError> {
    let layout = Layout::new(table, options, invocation.console.release())?;
    let filters = Filters::parse(options, PORT_FILTERS)?;
    let port_ids = numbers(&filters, "phys_port_ids")?;
    let report = ask(invocation, options, PartitionFilter::All)?;
    let adapter_ids = adapter_ids(&filters, &report)?;
    let mut rows = physical_ports(&report.system, &report.entries);
    rows.retain(|row| {
        row.description.kind.word() == level
            && chosen(adapter_ids.as_ref(), &row.adapter.0)
            && chosen(port_ids.as_ref(), &u16::from(row.port.0))
    });
    for row in &mut rows {
        let state = report.physical_ports.iter().find(|(location, _)| *location == row.description.location);
        if let Some((_, state)) = state {
            row.link_up = Some(state.link_up);
            row.counters = counters(&state.statistics);
        }
    }
    layout.print(rows, invocation.output)
}

fn port_ids(filters: &Filters) -> Result<Option<Vec<LogicalPortId>>, Refusal> {
    let read = |text: &String| text.parse().map_err(|_| invalid_parameters(&["--filter"]));
    filters.get("logical_port_ids").map(|values| values.iter().map(read).collect()).transpose()
}

fn free_ports(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&UNCONFIGURED_PORTS, options, invocation.console.release())?;
    let filters = Filters::parse(options, LOGICAL_PORT_FILTERS)?;
    let ids = port_ids(&filters)?;
    let report = ask(invocation, options, PartitionFilter::All)?;
    let adapters = adapter_ids(&filters, &report)?;
    let contents = report.entries.iter().filter_map(|entry| entry.partition.current.as_ref());
    let taken: Vec<LogicalPortId> = contents.flat_map(logical_port_ids).collect();
    let mut rows = unconfigured_ports(&report.system, &taken);
    rows.retain(|row| chosen(adapters.as_ref(), &row.id.adapter().0) && chosen(ids.as_ref(), &row.id));
    // What nobody has is of no partition and of no physical port.
    if ["lpar_names", "lpar_ids", "phys_port_ids"].iter().any(|name| filters.get(name).is_some()) {
        rows.clear();
    }
    layout.print(rows, invocation.output)
}

fn used_ports(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    level: &str,
    table: &'static Table<LogicalPortRow>,
) -> Result<u8, CommandError> {
    let layout = Layout::new(table, options, invocation.console.release())?;
    let filters = Filters::parse(options, LOGICAL_PORT_FILTERS)?;
    let ids = port_ids(&filters)?;
    let physical_ports = numbers(&filters, "phys_port_ids")?;
    let report = ask(invocation, options, PartitionFilter::All)?;
    let owners = owners(&filters, &report)?;
    let adapters = adapter_ids(&filters, &report)?;
    let state_of = |id: u16| {
        let found = report.servers.iter().find(|(server, _)| server.0 == id);
        found.map_or(PartitionState::NotAvailable, |(_, state)| *state)
    };
    let mut rows = logical_ports(&report.system, &report.entries, &report.names, &state_of);
    rows.retain(|row| {
        row.kind.word() == level
            && chosen(ids.as_ref(), &row.id)
            && chosen(adapters.as_ref(), &row.port.adapter.0)
            && chosen(physical_ports.as_ref(), &u16::from(row.port.physical_port.0))
            && owners
                .as_ref()
                .is_none_or(|owners| row.owner.0.is_some_and(|id| owners.contains(&PartitionId(id))))
    });
    for row in &mut rows {
        if let Some((_, found)) = report.logical_ports.iter().find(|(id, _)| *id == row.id) {
            row.counters = counters(found);
        }
    }
    layout.print(rows, invocation.output)
}

/// The partitions that a filter names; each must be there.
fn owners(filters: &Filters, report: &NetworkReport) -> Result<Option<Vec<PartitionId>>, Refusal> {
    let find = |found: &dyn Fn(&PartitionId, &str) -> bool| {
        let entries = report.entries.iter().map(|entry| &entry.partition);
        entries.into_iter().find(|one| found(&one.id, &one.name)).map(|one| one.id)
    };
    if let Some(names) = filters.get("lpar_names") {
        let id = |name: &String| {
            let missing = || Refusal::new(MessageKey::PartitionNotFound).with(name);
            find(&|_, present| present == name).ok_or_else(missing)
        };
        return names.iter().map(id).collect::<Result<_, _>>().map(Some);
    }
    let Some(ids) = numbers(filters, "lpar_ids")? else { return Ok(None) };
    let known = |id: &u16| {
        let missing = || Refusal::new(MessageKey::PartitionIdNotFound).with(id);
        find(&|present, _| present.0 == *id).ok_or_else(missing)
    };
    ids.iter().map(known).collect::<Result<_, _>>().map(Some)
}

fn device_state(state: &BackingDeviceState) -> DeviceState {
    DeviceState { port: state.logical_port, active: state.active, status: state.status.word() }
}

/// One row for each virtual NIC of the partitions, by partition and slot.
fn rows(report: &NetworkReport, release: Release) -> Vec<VnicRow> {
    let mut rows = Vec::new();
    for entry in &report.entries {
        let Some(content) = &entry.partition.current else { continue };
        let mut nics: Vec<_> = content.virtual_nics.iter().collect();
        nics.sort_by_key(|nic| nic.slot);
        for nic in nics {
            let own = |(id, slot, _): &&(PartitionId, _, Vec<BackingDeviceState>)| {
                (*id, *slot) == (entry.partition.id, nic.slot)
            };
            let states = report.virtual_nics.iter().find(own);
            rows.push(VnicRow {
                entry: entry.clone(),
                names: report.names.clone(),
                nic: nic.clone(),
                states: states
                    .map(|(.., states)| states.iter().map(device_state).collect())
                    .unwrap_or_default(),
                release,
            });
        }
    }
    rows
}

fn chosen_vnics(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
    release: Release,
) -> Result<Vec<VnicRow>, Refusal> {
    let filters = Filters::parse(options, VNIC_FILTERS)?;
    let slots = numbers(&filters, "slots")?;
    let report = ask(invocation, options, filters.partitions()?)?;
    let mut rows = rows(&report, release);
    rows.retain(|row| chosen(slots.as_ref(), &row.nic.slot.0));
    Ok(rows)
}

/// `lshwres -r virtualio --rsubtype vnic`.
pub(super) fn vnics(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let release = invocation.console.release();
    let layout = Layout::new(&VNICS, options, release)?;
    let rows = chosen_vnics(invocation, options, release)?;
    layout.print(rows, invocation.output)
}

/// `lshwres -r virtualio --rsubtype vnicbkdev`.
pub(super) fn backing_devices(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
) -> Result<u8, CommandError> {
    let release = invocation.console.release();
    let layout = Layout::new(&VNIC_BACKING_DEVICES, options, release)?;
    let mut rows = Vec::new();
    for vnic in chosen_vnics(invocation, options, release)? {
        for device in vnic.nic.backing_devices.clone() {
            rows.push(VnicBackingDeviceRow { vnic: vnic.clone(), device });
        }
    }
    layout.print(rows, invocation.output)
}
