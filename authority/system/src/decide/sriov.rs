//! SR-IOV adapters, their physical ports, and the logical ports that partitions have themselves.
//!
//! ```text
//!            -o a (nobody owns the slot)
//! dedicated ─────────────────────────────> shared
//!     ^                                      │
//!     └── -o r (nobody has a logical port) ──┘
//! ```

use varan_contract::engine::AdapterAddress;
use varan_contract::system::{ListOperation, Selector};
use varan_model::codes::MessageKey;
use varan_model::ids::{LogicalPortId, PhysicalPortId, SriovAdapterId};
use varan_model::lock::LockedFor;
use varan_model::partition::PartitionEntry;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::edit::{flag, number, only_set, value_invalid};
use varan_model::rules::profile::check_repeats;
use varan_model::rules::sriov::{self, PortPlace};
use varan_model::rules::{PartitionLookup, validity, virtual_io};
use varan_model::sriov::{LogicalPort, SriovAdapterDescription, SriovPortSettings};

use super::adapter::{self, AdapterPlan, AdapterStep, Doing, Way};
use super::definition::{check_reachable, settings_change};
use super::dynamic::current;
use super::virtual_io::complete_addresses;
use super::vnic::check_unlocked;
use super::{Decision, Effect, Moment};
use crate::world::{Change, World};

/// Most characters of a label.
const LABEL_CHARACTERS_MAX: usize = 16;

fn named<'a>(record: &'a [Assignment], name: &str) -> Option<&'a Assignment> {
    record.iter().find(|one| one.name == name)
}

fn required<'a>(record: &'a [Assignment], name: &str) -> Result<&'a Assignment, Refusal> {
    named(record, name).ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with(name))
}

fn adapter_id(assignment: &Assignment) -> Result<SriovAdapterId, Refusal> {
    only_set(assignment)?;
    assignment.value.parse().map_err(|error| value_invalid(assignment, error))
}

fn place(record: &[Assignment]) -> Result<PortPlace, Refusal> {
    let adapter = adapter_id(required(record, "adapter_id")?)?;
    let port = required(record, "phys_port_id")?;
    only_set(port)?;
    let port_id: PhysicalPortId = port.value.parse().map_err(|error| value_invalid(port, error))?;
    Ok((adapter, port_id))
}

/// The adapter that a record names by its slot or, in shared mode, by its number.
fn find<'a>(world: &'a World, record: &[Assignment]) -> Result<&'a SriovAdapterDescription, Refusal> {
    let system = world.system();
    let Some(slot) = named(record, "slot_id") else {
        let named = required(record, "adapter_id");
        let id = adapter_id(named.map_err(|_| Refusal::new(MessageKey::AttributesMissing).with("slot_id"))?)?;
        return sriov::shared_adapter(system, id).map(|(adapter, _)| adapter);
    };
    only_set(slot)?;
    let index = u32::from_str_radix(&slot.value, 16).ok().filter(|_| slot.value.len() == 8);
    let index = index.ok_or_else(|| value_invalid(slot, "it is a DRC index of eight hexadecimal digits"))?;
    let adapter = system.hardware.sriov_adapters.iter().find(|adapter| adapter.drc_index == index);
    adapter.ok_or_else(|| Refusal::new(MessageKey::SriovAdapterNotFound).with(&slot.value))
}

pub(super) fn change_adapter(
    world: &World,
    operation: ListOperation,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    check_repeats(record)?;
    if let Some(other) = record.iter().find(|one| !matches!(one.name.as_str(), "slot_id" | "adapter_id")) {
        return Err(Refusal::new(MessageKey::AttributeInvalid).with(&other.name));
    }
    let id = match operation {
        ListOperation::Add => {
            required(record, "slot_id")?;
            Some(to_shared(world, record)?)
        }
        ListOperation::Remove => {
            to_dedicated(world, record)?;
            None
        }
        ListOperation::Set => return Err(Refusal::new(MessageKey::AttributeInvalid).with("slot_id")),
    };
    let adapter = find(world, record)?;
    let mut own = world.system().sriov_settings(adapter);
    own.adapter = id;
    let mut settings = world.system().settings.clone();
    settings.sriov_adapters.insert(adapter.drc_index, own);
    let changes = settings_change(world, settings).into_iter().collect();
    Ok(Decision { changes, effects: vec![Effect::SetUpPorts(adapter.drc_index)], ..Decision::default() })
}

/// The number that a dedicated adapter gets in shared mode.
fn to_shared(world: &World, record: &[Assignment]) -> Result<SriovAdapterId, Refusal> {
    let adapter = find(world, record)?;
    let system = world.system();
    let in_use =
        |reason: String| Refusal::new(MessageKey::SriovAdapterInUse).with(&adapter.location).with(reason);
    if system.is_shared_slot(adapter.drc_index) {
        return Err(Refusal::new(MessageKey::SriovAdapterShared).with(&adapter.location));
    }
    if let Some(holder) = world.slot_holder(adapter.drc_index) {
        let name = world.name_of(holder).unwrap_or_default();
        return Err(in_use(format!("partition {name} owns its slot")));
    }
    let used = |id: SriovAdapterId| system.shared_adapter(id).is_some();
    match named(record, "adapter_id") {
        Some(assignment) => {
            let id = adapter_id(assignment)?;
            // What is left of the 24 bits below a logical port's prefix.
            if id.0 > 1_000 {
                return Err(value_invalid(assignment, "it is from 1 to 1000"));
            }
            if used(id) {
                return Err(Refusal::new(MessageKey::SriovAdapterIdUsed).with(id));
            }
            Ok(id)
        }
        None if !used(adapter.adapter) => Ok(adapter.adapter),
        None => Ok((1..=u16::MAX).map(SriovAdapterId).find(|id| !used(*id)).unwrap_or(adapter.adapter)),
    }
}

fn to_dedicated(world: &World, record: &[Assignment]) -> Result<(), Refusal> {
    let adapter = find(world, record)?;
    let Some(id) = world.system().sriov_settings(adapter).adapter else {
        return Err(Refusal::new(MessageKey::SriovAdapterDedicated).with(&adapter.location));
    };
    if let Some((port, holder)) = world.used_port_of(id) {
        let name = world.name_of(holder).unwrap_or_default();
        let reason = format!("partition {name} has its logical port {port}");
        return Err(Refusal::new(MessageKey::SriovAdapterInUse).with(&adapter.location).with(reason));
    }
    Ok(())
}

pub(super) fn change_port(world: &World, record: &[Assignment]) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    check_repeats(record)?;
    let place = place(record)?;
    let (adapter, mut own, index) = sriov::shared_port(world.system(), place)?;
    let most = adapter.ports[index].maximum_logical_ports;
    let in_use = world.port_use(place.0, place.1).ports;
    for assignment in record.iter().filter(|one| !matches!(one.name.as_str(), "adapter_id" | "phys_port_id"))
    {
        only_set(assignment)?;
        set_port(&mut own.ports[index], assignment, (in_use, most), adapter.ports[index].speed)?;
    }
    let mut settings = world.system().settings.clone();
    settings.sriov_adapters.insert(adapter.drc_index, own);
    let changes = settings_change(world, settings).into_iter().collect();
    Ok(Decision { changes, effects: vec![Effect::SetUpPorts(adapter.drc_index)], ..Decision::default() })
}

fn label(assignment: &Assignment) -> Result<String, Refusal> {
    let value = assignment.value.as_str();
    if value == "none" {
        return Ok(String::new());
    }
    let fits = value.chars().count() <= LABEL_CHARACTERS_MAX;
    let plain = value.chars().all(|one| one.is_ascii_graphic() && !matches!(one, ',' | '"' | '=' | '/'));
    if !fits || !plain {
        return Err(value_invalid(assignment, "it has up to 16 letters, digits and marks without commas"));
    }
    Ok(value.to_owned())
}

fn set_port(
    port: &mut SriovPortSettings,
    assignment: &Assignment,
    (in_use, most): (u16, u16),
    fastest: u32,
) -> Result<(), Refusal> {
    match (assignment.name.as_str(), assignment.value.as_str()) {
        ("phys_port_label", _) => port.label = label(assignment)?,
        ("phys_port_sub_label", _) => port.sub_label = label(assignment)?,
        ("config_conn_speed" | "conn_speed", "auto") => port.speed = None,
        ("config_conn_speed" | "conn_speed", _) => {
            let speeds = [10, 100, 1_000, 10_000, 25_000, 40_000, 50_000, 100_000, 200_000, 400_000];
            let speed: u32 = number(assignment)?;
            if !speeds.contains(&speed) || speed > fastest {
                return Err(value_invalid(
                    assignment,
                    format_args!("it is auto, or a speed up to {fastest}"),
                ));
            }
            port.speed = Some(speed);
        }
        ("config_max_recv_packet_size" | "max_recv_packet_size", "1500") => port.maximum_payload = 1_500,
        ("config_max_recv_packet_size" | "max_recv_packet_size", "9000") => port.maximum_payload = 9_000,
        ("config_max_recv_packet_size" | "max_recv_packet_size", _) => {
            return Err(value_invalid(assignment, "it is 1500 or 9000"));
        }
        ("config_recv_flow_control" | "recv_flow_control", _) => {
            port.receive_flow_control = flag(assignment)?
        }
        ("config_trans_flow_control" | "trans_flow_control", _) => {
            port.transmit_flow_control = flag(assignment)?;
        }
        ("veb_mode", _) => port.bridge = flag(assignment)?,
        ("vepa_mode", _) => port.bridge = !flag(assignment)?,
        ("max_eth_logical_ports", _) => {
            let number: u16 = number(assignment)?;
            if !(in_use.max(1)..=most).contains(&number) {
                let least = in_use.max(1);
                return Err(value_invalid(assignment, format_args!("it is from {least} to {most}")));
            }
            port.maximum_ethernet_ports = number;
        }
        (name, _) => return Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
    }
    Ok(())
}

pub(super) fn clear_statistics(world: &World, record: &[Assignment]) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    check_repeats(record)?;
    let known =
        |one: &&Assignment| !matches!(one.name.as_str(), "adapter_id" | "phys_port_id" | "logical_port_id");
    if let Some(other) = record.iter().find(known) {
        return Err(Refusal::new(MessageKey::AttributeInvalid).with(&other.name));
    }
    let (place, logical) = match named(record, "logical_port_id") {
        None => (place(record)?, None),
        Some(_) => {
            let id = virtual_io::named_logical_port(record)?;
            (port_of(world, id)?, Some(id))
        }
    };
    let (adapter, _, index) = sriov::shared_port(world.system(), place)?;
    let effects = vec![Effect::ClearStatistics(adapter.ports[index].location.clone(), logical)];
    Ok(Decision { effects, ..Decision::default() })
}

/// The physical port of a logical port that somebody has.
fn port_of(world: &World, id: LogicalPortId) -> Result<PortPlace, Refusal> {
    let missing = || Refusal::new(MessageKey::LogicalPortNotFound).with(id);
    let holder = world.logical_port_holder(id).ok_or_else(missing)?;
    let entry = world.snapshot.find(&Selector::Id(holder))?;
    let content = current(entry)?;
    let own = content.logical_ports().find(|port| port.id == Some(id));
    let own = own.map(|port| (port.adapter, port.physical_port));
    let behind = || content.backing_devices().find(|(_, device)| device.logical_port == Some(id));
    let behind = || behind().map(|(_, device)| (device.adapter, device.physical_port));
    own.or_else(behind).ok_or_else(missing)
}

pub(super) fn change_logical_port(
    world: &World,
    selector: &Selector,
    operation: ListOperation,
    record: &[Assignment],
    (force, wait_minutes): (bool, u32),
    moment: Moment,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    check_reachable(world)?;
    check_unlocked(entry)?;
    let before = current(entry)?;
    let mut content = before.clone();
    let name = &entry.partition.name;
    let doing = match operation {
        ListOperation::Add => Doing::Adding,
        ListOperation::Remove => Doing::Removing,
        ListOperation::Set => Doing::Setting,
    };
    let way = adapter::way(entry, true, doing, force)?;
    let plan = |id, step| AdapterPlan {
        step,
        ..AdapterPlan::new(
            moment,
            entry,
            AdapterAddress::LogicalPort(id),
            wait_minutes,
            LockedFor::LogicalPort,
        )
    };
    match operation {
        ListOperation::Remove => {
            check_repeats(record)?;
            let id = virtual_io::named_logical_port(record)?;
            virtual_io::remove_logical_port(&mut content, name, id)?;
            if way == Way::Guest {
                return Ok(adapter::remove(entry, plan(id, AdapterStep::Remove(None))));
            }
            let partition = adapter::with_adapters(entry, content);
            Ok(Decision::change(Change::PutPartition(Box::new(partition))))
        }
        ListOperation::Add => {
            if let Some(asked) = named(record, "logical_port_id") {
                let id: LogicalPortId = asked.value.parse().map_err(|error| value_invalid(asked, error))?;
                if sriov::logical_port_ids(before).any(|one| one == id) {
                    return Err(wrapped(Refusal::new(MessageKey::LogicalPortOwned).with(id)));
                }
            }
            virtual_io::add_logical_port(&mut content, record)?;
            // The console moves the port of another partition that is off, without a word.
            let giver = named(record, "logical_port_id").and_then(|asked| giver(world, entry, asked));
            let mut held = before.clone();
            if let Some((_, port)) = &giver {
                held.ethernet_logical_ports.push(port.clone());
            }
            sriov::complete(&mut content, Some(&held), world.system(), world).map_err(wrapped)?;
            validity::check(&content, world.system())?;
            let mut settings = world.system().settings.clone();
            complete_addresses(world, entry.partition.uuid, &mut content, &mut settings)?;
            let known: Vec<LogicalPortId> = sriov::logical_port_ids(before).collect();
            let added = sriov::logical_port_ids(&content).find(|id| !known.contains(id));
            let Some(id) = added else { return Ok(Decision::default()) };
            let mut more: Vec<Change> = settings_change(world, settings).into_iter().collect();
            if let Some((giver, _)) = giver {
                let mut given = current(giver)?.clone();
                virtual_io::remove_logical_port(&mut given, &giver.partition.name, id)?;
                more.push(Change::PutPartition(Box::new(adapter::with_adapters(giver, given))));
            }
            Ok(adapter::add(entry, content, way, plan(id, AdapterStep::Add), more))
        }
        ListOperation::Set => {
            let id = virtual_io::set_logical_port(&mut content, name, record)?;
            let changes = vec![Change::PutPartition(Box::new(adapter::with_adapters(entry, content)))];
            let told = super::course::put(entry.partition.uuid, AdapterAddress::LogicalPort(id));
            let effects = if way == Way::Guest { vec![told] } else { Vec::new() };
            Ok(Decision { changes, effects, ..Decision::default() })
        }
    }
}

/// The partition that is off and has the logical port that another one asks for, with the port.
fn giver<'a>(
    world: &'a World,
    taker: &PartitionEntry,
    asked: &Assignment,
) -> Option<(&'a PartitionEntry, LogicalPort)> {
    let id: LogicalPortId = asked.value.parse().ok()?;
    let entry = world.snapshot.partitions.get(world.logical_port_holder(id)?.0)?;
    let off = entry.runtime.state.is_off() && entry.runtime.lock.is_none();
    if entry.partition.id == taker.partition.id || !off {
        return None;
    }
    let content = entry.partition.current.as_ref()?;
    let port = content.logical_ports().find(|port| port.id == Some(id))?;
    Some((entry, port.clone()))
}

/// The console puts a code of its own before what is wrong with a logical port.
fn wrapped(refusal: Refusal) -> Refusal {
    Refusal::new(MessageKey::LogicalPortRefused).with(refusal)
}
