//! Adding, removing and changing the virtual adapters of a current configuration (`chhwres -r virtualio`).

use serde::{Deserialize, Serialize};

use super::edit::{capital, elements, flag, number, only_set, value_invalid};
use super::profile::{EditContext, check_repeats, resolve_all};
use super::sriov;
use crate::adapters::{
    AdapterSide, Element, Remote, RemoteSlot, VirtualEthernetAdapter, VirtualFibreChannelAdapter,
    VirtualScsiAdapter, VirtualSerialAdapter,
};
use crate::codes::MessageKey;
use crate::configuration::{Configuration, words};
use crate::ids::{LogicalPortId, MacAddress, PhysicalPortId, SriovAdapterId, VirtualSlot};
use crate::record::{Assignment, Operation};
use crate::refusal::Refusal;
use crate::sriov::LogicalPort;
use crate::vnic::{BackingDevice, VirtualNic};

/// Most virtual switches of a managed system, as the site file's reader allows.
pub const VIRTUAL_SWITCHES_MAX: usize = 16;

words! {
    /// Kind of virtual adapter (`--rsubtype`).
    AdapterKind {
        /// Virtual Ethernet.
        Ethernet = "eth",
        /// Virtual SCSI.
        Scsi = "scsi",
        /// Virtual Fibre Channel.
        FibreChannel = "fc",
        /// Virtual serial.
        Serial = "serial",
        /// Virtual NIC.
        Vnic = "vnic",
    }
}

/// The lowest virtual slot without an adapter. Slots 0 and 1 are the console's.
#[must_use]
pub fn next_free_slot(content: &Configuration) -> Option<VirtualSlot> {
    let used = content.virtual_slots();
    (2..content.maximum_virtual_slots).map(VirtualSlot).find(|slot| {
        // Slots come sorted.
        used.binary_search_by_key(slot, |(slot, _)| *slot).is_err()
    })
}

/// Adds an adapter in `slot`, or in the lowest free one. Addresses that are not stated are left to be generated. The
/// caller checks the result as a whole.
///
/// # Errors
/// An unknown or missing attribute, a value out of range, no free slot, an unknown switch or remote partition.
pub fn add(
    content: &mut Configuration,
    kind: AdapterKind,
    slot: Option<VirtualSlot>,
    record: &[Assignment],
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    check_repeats(record)?;
    let exhausted = || Refusal::new(MessageKey::VirtualSlotsExhausted).with(content.maximum_virtual_slots);
    let slot = slot.or_else(|| next_free_slot(content)).ok_or_else(exhausted)?;
    match kind {
        AdapterKind::Ethernet => content.ethernet_adapters.push(ethernet(slot, record, context)?),
        AdapterKind::Scsi => {
            let pair = Pair::read(record, &[], None)?;
            let (side, remote, remote_slot, required) =
                (pair.side, pair.remote, pair.remote_slot, pair.required);
            let adapter = VirtualScsiAdapter { slot, side, remote, remote_slot, required };
            content.scsi_adapters.push(complete(adapter, context)?);
        }
        AdapterKind::FibreChannel => {
            if !context.system.hardware.capable("virtual_fc_capable") {
                return Err(Refusal::new(MessageKey::VirtualFibreChannelUnsupported));
            }
            content.fibre_channel_adapters.push(fibre_channel(slot, record, context)?);
        }
        AdapterKind::Serial => {
            let pair = Pair::read(record, &["supports_hmc"], Some(AdapterSide::Server))?;
            let console = record.iter().find(|one| one.name == "supports_hmc").map(flag).transpose()?;
            let adapter = VirtualSerialAdapter {
                slot,
                side: pair.side,
                supports_console: console.unwrap_or(false),
                remote: pair.remote,
                remote_slot: pair.remote_slot,
                required: pair.required,
            };
            content.serial_adapters.push(complete(adapter, context)?);
        }
        AdapterKind::Vnic => {
            if !record.iter().any(|one| one.name == "backing_devices") {
                return Err(Refusal::new(MessageKey::AttributesMissing).with("backing_devices"));
            }
            let mut nic = VirtualNic::new(slot);
            change_vnic(&mut nic, record, true, context)?;
            content.virtual_nics.push(nic);
        }
    }
    Ok(())
}

/// Holds an adapter to the grammar of profiles, and fills in the number of its remote partition.
fn complete<E: Element>(adapter: E, context: &EditContext<'_>) -> Result<E, Refusal> {
    let mut list = [adapter];
    resolve_all(&mut list, context)?;
    let [adapter] = list;
    E::parse(&adapter.print(&|_| String::new()))
        .map_err(|error| Refusal::new(MessageKey::RecordInvalid).with(capital(&error.reason)))?;
    Ok(adapter)
}

/// What adapters with another end have in common.
struct Pair {
    side: AdapterSide,
    remote: Remote,
    remote_slot: RemoteSlot,
    required: bool,
}

impl Pair {
    /// Reads the common attributes; `further` names the others that the kind has. Without `adapter_type` the adapter is
    /// of the side `assumed`.
    fn read(record: &[Assignment], further: &[&str], assumed: Option<AdapterSide>) -> Result<Self, Refusal> {
        let (mut side, mut id, mut name, mut slot, mut required) = (assumed, None, None, None, false);
        for assignment in record {
            only_set(assignment)?;
            let value = assignment.value.as_str();
            match assignment.name.as_str() {
                "adapter_type" => {
                    side = Some(match value {
                        "client" => AdapterSide::Client,
                        "server" => AdapterSide::Server,
                        _ => return Err(value_invalid(assignment, "it is client or server")),
                    });
                }
                "remote_lpar_id" => id = Some(assignment),
                "remote_lpar_name" => name = Some(value),
                "remote_slot_num" => slot = Some(assignment),
                "is_required" => required = flag(assignment)?,
                other if further.contains(&other) => {}
                other => return Err(Refusal::new(MessageKey::AttributeInvalid).with(other)),
            }
        }
        let missing = |names: &str| Refusal::new(MessageKey::AttributesMissing).with(names);
        let side = side.ok_or_else(|| missing("adapter_type"))?;
        if side == AdapterSide::Client && (id.is_none() && name.is_none() || slot.is_none()) {
            let partition = if id.is_none() && name.is_none() { "remote_lpar_id" } else { "" };
            let names = [partition, if slot.is_none() { "remote_slot_num" } else { "" }];
            let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
            return Err(missing(&names.join(", ")));
        }
        Ok(Self { side, remote: remote(id, name)?, remote_slot: remote_slot(slot)?, required })
    }
}

fn remote(id: Option<&Assignment>, name: Option<&str>) -> Result<Remote, Refusal> {
    let name = name.unwrap_or_default();
    match id {
        Some(assignment) if assignment.value == "any" && matches!(name, "" | "any") => Ok(Remote::Any),
        Some(assignment) => {
            let id = assignment.value.parse().map_err(|error| value_invalid(assignment, error))?;
            Ok(Remote::Partition { id: Some(id), name: name.to_owned() })
        }
        None if matches!(name, "" | "any") => Ok(Remote::Any),
        None => Ok(Remote::Partition { id: None, name: name.to_owned() }),
    }
}

fn remote_slot(slot: Option<&Assignment>) -> Result<RemoteSlot, Refusal> {
    match slot {
        Some(assignment) if assignment.value != "any" => {
            let slot = assignment.value.parse().map_err(|error| value_invalid(assignment, error))?;
            Ok(RemoteSlot::Slot(slot))
        }
        _ => Ok(RemoteSlot::Any),
    }
}

fn fibre_channel(
    slot: VirtualSlot,
    record: &[Assignment],
    context: &EditContext<'_>,
) -> Result<VirtualFibreChannelAdapter, Refusal> {
    let pair = Pair::read(record, &["wwpns"], None)?;
    let mut port_names = None;
    if let Some(assignment) = record.iter().find(|one| one.name == "wwpns") {
        let wrong = || value_invalid(assignment, "it is a pair of world-wide port names");
        let (first, second) = assignment.value.split_once(',').ok_or_else(wrong)?;
        port_names =
            Some((first.trim().parse().map_err(|_| wrong())?, second.trim().parse().map_err(|_| wrong())?));
    }
    let adapter = VirtualFibreChannelAdapter {
        slot,
        side: pair.side,
        remote: pair.remote,
        remote_slot: pair.remote_slot,
        port_names,
        required: pair.required,
    };
    complete(adapter, context)
}

fn ethernet(
    slot: VirtualSlot,
    record: &[Assignment],
    context: &EditContext<'_>,
) -> Result<VirtualEthernetAdapter, Refusal> {
    if !record.iter().any(|one| one.name == "port_vlan_id") {
        return Err(Refusal::new(MessageKey::AttributesMissing).with("port_vlan_id"));
    }
    let mut adapter = VirtualEthernetAdapter {
        slot,
        ieee: false,
        port_vlan_id: 1,
        additional_vlan_ids: Vec::new(),
        trunk_priority: None,
        required: false,
        virtual_switch: context.system.virtual_switches().next().cloned().unwrap_or_default(),
        mac_address: None,
        allowed_mac_addresses: "all".to_owned(),
        quality_of_service: "none".to_owned(),
    };
    change_ethernet(&mut adapter, record, context)?;
    Ok(adapter)
}

/// Changes a virtual Ethernet adapter.
///
/// # Errors
/// No adapter in the slot, an unknown attribute, a value out of range or that does not go with the others.
pub fn set_ethernet(
    content: &mut Configuration,
    partition: &str,
    slot: VirtualSlot,
    record: &[Assignment],
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    check_repeats(record)?;
    let adapter = content.ethernet_adapters.iter_mut().find(|adapter| adapter.slot == slot);
    let adapter = adapter.ok_or_else(|| not_found(partition, Some(AdapterKind::Ethernet), slot))?;
    change_ethernet(adapter, record, context)
}

fn change_ethernet(
    adapter: &mut VirtualEthernetAdapter,
    record: &[Assignment],
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    let (mut trunk, mut priority) = (None, None);
    for assignment in record {
        match assignment.name.as_str() {
            "is_trunk" => trunk = Some(flag(assignment)?),
            "trunk_priority" => priority = Some(trunk_priority(assignment)?),
            _ => set_ethernet_attribute(adapter, assignment, context)?,
        }
    }
    let is_trunk = trunk.unwrap_or(adapter.trunk_priority.is_some());
    adapter.trunk_priority = match (is_trunk, priority.or(adapter.trunk_priority)) {
        (false, _) if priority.is_some() => {
            return Err(Refusal::new(MessageKey::RecordInvalid).with("trunk_priority needs is_trunk=1"));
        }
        (false, _) => None,
        (true, None) => return Err(Refusal::new(MessageKey::AttributesMissing).with("trunk_priority")),
        (true, priority) => priority,
    };
    complete(adapter.clone(), context).map(|_| ())
}

fn trunk_priority(assignment: &Assignment) -> Result<u8, Refusal> {
    only_set(assignment)?;
    match number::<u8>(assignment)? {
        priority @ 1..=15 => Ok(priority),
        _ => Err(value_invalid(assignment, "it is from 1 to 15")),
    }
}

fn vlan(assignment: &Assignment, text: &str) -> Result<u16, Refusal> {
    match text.trim().parse::<u16>() {
        Ok(vlan) if (1..=4094).contains(&vlan) => Ok(vlan),
        _ => Err(value_invalid(assignment, "VLAN IDs are from 1 to 4094")),
    }
}

fn set_ethernet_attribute(
    adapter: &mut VirtualEthernetAdapter,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    if assignment.name != "addl_vlan_ids" {
        only_set(assignment)?;
    }
    let value = assignment.value.as_str();
    match assignment.name.as_str() {
        "ieee_virtual_eth" => adapter.ieee = flag(assignment)?,
        "port_vlan_id" => adapter.port_vlan_id = vlan(assignment, value)?,
        "addl_vlan_ids" => change_vlans(&mut adapter.additional_vlan_ids, assignment)?,
        "vswitch" if context.system.has_virtual_switch(value) => {
            value.clone_into(&mut adapter.virtual_switch)
        }
        "vswitch" => return Err(Refusal::new(MessageKey::VirtualSwitchNotFound).with(value)),
        "mac_addr" => {
            let address = value.parse().map_err(|error| value_invalid(assignment, error))?;
            adapter.mac_address = Some(address);
        }
        "allowed_os_mac_addrs" => {
            let address = |text: &String| text.parse::<MacAddress>().is_ok();
            if !matches!(value, "all" | "none") && !elements(assignment)?.iter().all(address) {
                return Err(value_invalid(assignment, "it is all, none or a list of MAC addresses"));
            }
            value.clone_into(&mut adapter.allowed_mac_addresses);
        }
        "qos_priority" => {
            if value != "none" && !matches!(value.as_bytes(), [b'0'..=b'7']) {
                return Err(value_invalid(assignment, "it is none, or from 0 to 7"));
            }
            value.clone_into(&mut adapter.quality_of_service);
        }
        "is_required" => adapter.required = flag(assignment)?,
        name => return Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
    }
    Ok(())
}

fn change_vlans(vlans: &mut Vec<u16>, assignment: &Assignment) -> Result<(), Refusal> {
    let given = elements(assignment)?;
    let given: Vec<u16> = given
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| vlan(assignment, text))
        .collect::<Result<_, _>>()?;
    match assignment.operation {
        Operation::Set => *vlans = given,
        Operation::Add => {
            for vlan in given {
                if vlans.contains(&vlan) {
                    return Err(Refusal::new(MessageKey::ElementPresent).with(&assignment.name).with(vlan));
                }
                vlans.push(vlan);
            }
        }
        Operation::Remove => {
            for vlan in given {
                let Some(at) = vlans.iter().position(|&present| present == vlan) else {
                    return Err(Refusal::new(MessageKey::ElementAbsent).with(&assignment.name).with(vlan));
                };
                vlans.remove(at);
            }
        }
    }
    Ok(())
}

/// Changes a virtual NIC.
///
/// # Errors
/// No virtual NIC in the slot, an unknown attribute or one that only creation takes, a value out of range, a backing device
/// that is there already or that is not there.
pub fn set_vnic(
    content: &mut Configuration,
    partition: &str,
    slot: VirtualSlot,
    record: &[Assignment],
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    check_repeats(record)?;
    let nic = vnic_mut(content, partition, slot)?;
    change_vnic(nic, record, false, context)
}

/// The virtual NIC in a slot.
///
/// # Errors
/// [`MessageKey::VirtualAdapterNotFound`].
pub fn vnic_mut<'a>(
    content: &'a mut Configuration,
    partition: &str,
    slot: VirtualSlot,
) -> Result<&'a mut VirtualNic, Refusal> {
    let nic = content.virtual_nics.iter_mut().find(|nic| nic.slot == slot);
    nic.ok_or_else(|| not_found(partition, Some(AdapterKind::Vnic), slot))
}

fn change_vnic(
    nic: &mut VirtualNic,
    record: &[Assignment],
    creating: bool,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    for assignment in record {
        let name = assignment.name.as_str();
        if name == "backing_devices" {
            change_backing_devices(nic, assignment, context)?;
            continue;
        }
        only_set(assignment)?;
        if !creating && matches!(name, "mac_addr" | "desired_mode" | "is_required") {
            return Err(Refusal::new(MessageKey::VnicAttributeFixed).with(name));
        }
        let unknown = || Refusal::new(MessageKey::AttributeInvalid).with(name);
        // Enabling and disabling are operations of their own.
        let set = if name == "is_disabled" { None } else { nic.set(name, &assignment.value) };
        set.ok_or_else(unknown)?.map_err(|reason| value_invalid(assignment, reason))?;
        if name == "auto_priority_failover" && nic.auto_priority_failover {
            // From now on the best one is active, whatever a person chose before.
            nic.preferred = None;
        }
    }
    Ok(())
}

fn change_backing_devices(
    nic: &mut VirtualNic,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    let given = elements(assignment)?;
    let given = given.iter().map(|text| BackingDevice::parse(text)).collect::<Result<Vec<_>, _>>();
    let given = given.map_err(|error| value_invalid(assignment, error))?;
    let mut named = VirtualNic { backing_devices: given, ..VirtualNic::new(nic.slot) };
    sriov::resolve_servers(std::slice::from_mut(&mut named), context)?;
    let given = named.backing_devices;
    let same =
        |one: &BackingDevice, other: &BackingDevice| one.same_port(other) && one.server == other.server;
    match assignment.operation {
        Operation::Set => {
            let before = std::mem::replace(&mut nic.backing_devices, given);
            for device in &mut nic.backing_devices {
                // What stays keeps its logical port; its capacity cannot change.
                if let Some(kept) = before.iter().find(|one| same(one, device)) {
                    *device = BackingDevice { priority: device.priority, ..kept.clone() };
                }
            }
        }
        Operation::Add => nic.backing_devices.extend(given),
        Operation::Remove => {
            for device in given {
                let Some(at) = nic.backing_devices.iter().position(|one| same(one, &device)) else {
                    let text = device.print(&|id| context.lookup.name_of(id).unwrap_or_default());
                    return Err(Refusal::new(MessageKey::ElementAbsent).with(&assignment.name).with(text));
                };
                nic.backing_devices.remove(at);
            }
        }
    }
    let preferred = nic.preferred.filter(|port| nic.backing_device(*port).is_some());
    nic.preferred = preferred;
    Ok(())
}

/// Changes a backing device of a virtual NIC: its failover priority is all that can change.
///
/// # Errors
/// No such virtual NIC or backing device, another attribute, a priority out of range.
pub fn set_backing_device(
    content: &mut Configuration,
    partition: &str,
    (slot, port): (VirtualSlot, LogicalPortId),
    record: &[Assignment],
) -> Result<(), Refusal> {
    check_repeats(record)?;
    let nic = vnic_mut(content, partition, slot)?;
    let missing = || Refusal::new(MessageKey::VnicBackingDeviceNotFound).with(slot).with(port);
    let device = nic.backing_devices.iter_mut().find(|device| device.logical_port == Some(port));
    let device = device.ok_or_else(missing)?;
    if record.is_empty() {
        return Err(Refusal::new(MessageKey::AttributesMissing).with("failover_priority"));
    }
    for assignment in record {
        match assignment.name.as_str() {
            "failover_priority" => {
                only_set(assignment)?;
                device.priority = match number::<u8>(assignment)? {
                    priority @ 1..=100 => priority,
                    _ => return Err(value_invalid(assignment, "it is from 1 to 100")),
                };
            }
            "capacity" | "max_capacity" => {
                return Err(Refusal::new(MessageKey::VnicAttributeFixed).with(&assignment.name));
            }
            name => return Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
        }
    }
    Ok(())
}

/// Adds a logical port (`chhwres -r sriov --rsubtype logport -o a`) that is completed later.
///
/// # Errors
/// An unknown or missing attribute, a value out of range.
pub fn add_logical_port(content: &mut Configuration, record: &[Assignment]) -> Result<(), Refusal> {
    check_repeats(record)?;
    let missing: Vec<&str> = ["adapter_id", "phys_port_id", "logical_port_type"]
        .into_iter()
        .filter(|name| !record.iter().any(|one| one.name == *name))
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::new(MessageKey::AttributesMissing).with(missing.join(", ")));
    }
    let mut port = LogicalPort::new(SriovAdapterId(0), PhysicalPortId(0));
    port.required = false;
    let mut ethernet = true;
    for assignment in record {
        only_set(assignment)?;
        if assignment.name == "logical_port_type" {
            ethernet = match assignment.value.as_str() {
                "eth" => true,
                "roce" => false,
                _ => return Err(value_invalid(assignment, "it is eth or roce")),
            };
            continue;
        }
        set_port(&mut port, assignment)?;
    }
    if port
        .configuration_id
        .is_some_and(|id| content.logical_ports().any(|one| one.configuration_id == Some(id)))
    {
        return Err(Refusal::new(MessageKey::ElementPresent)
            .with("config_id")
            .with(port.configuration_id.unwrap_or(0)));
    }
    let list = if ethernet { &mut content.ethernet_logical_ports } else { &mut content.roce_logical_ports };
    list.push(port);
    Ok(())
}

fn set_port(port: &mut LogicalPort, assignment: &Assignment) -> Result<(), Refusal> {
    let unknown = || Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name);
    let set = port.set(&assignment.name, &assignment.value);
    set.ok_or_else(unknown)?.map_err(|reason| value_invalid(assignment, reason))
}

/// The logical port that a record names by `logical_port_id`.
///
/// # Errors
/// It names none, or one that is not of the adapter that it names.
pub fn named_logical_port(record: &[Assignment]) -> Result<LogicalPortId, Refusal> {
    let named = record.iter().find(|one| one.name == "logical_port_id");
    let named = named.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("logical_port_id"))?;
    let port: LogicalPortId = named.value.parse().map_err(|error| value_invalid(named, error))?;
    if let Some(adapter) = record.iter().find(|one| one.name == "adapter_id") {
        let id: SriovAdapterId = adapter.value.parse().map_err(|error| value_invalid(adapter, error))?;
        if port.adapter() != id {
            return Err(Refusal::new(MessageKey::LogicalPortNotFound).with(port));
        }
    }
    Ok(port)
}

/// Changes a logical port: what its operating system can be told while it uses it.
///
/// # Errors
/// No such logical port, an attribute that cannot change, a value out of range.
pub fn set_logical_port(
    content: &mut Configuration,
    partition: &str,
    record: &[Assignment],
) -> Result<LogicalPortId, Refusal> {
    check_repeats(record)?;
    let id = named_logical_port(record)?;
    let ports = content.ethernet_logical_ports.iter_mut().chain(&mut content.roce_logical_ports);
    let port = ports.into_iter().find(|port| port.id == Some(id));
    let port = port.ok_or_else(|| Refusal::new(MessageKey::LogicalPortNotOwned).with(id).with(partition))?;
    for assignment in
        record.iter().filter(|one| !matches!(one.name.as_str(), "logical_port_id" | "adapter_id"))
    {
        only_set(assignment)?;
        let changes = matches!(
            assignment.name.as_str(),
            "diag_mode"
                | "huge_dma_window_mode"
                | "allowed_os_mac_addrs"
                | "allowed_vlan_ids"
                | "port_vlan_id"
                | "pvid_priority"
        );
        if !changes {
            return Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name));
        }
        set_port(port, assignment)?;
    }
    Ok(id)
}

/// Removes a logical port.
///
/// # Errors
/// [`MessageKey::LogicalPortNotOwned`].
pub fn remove_logical_port(
    content: &mut Configuration,
    partition: &str,
    id: LogicalPortId,
) -> Result<(), Refusal> {
    let before = content.logical_ports().count();
    content.ethernet_logical_ports.retain(|port| port.id != Some(id));
    content.roce_logical_ports.retain(|port| port.id != Some(id));
    if content.logical_ports().count() == before {
        return Err(Refusal::new(MessageKey::LogicalPortNotOwned).with(id).with(partition));
    }
    Ok(())
}

fn not_found(partition: &str, kind: Option<AdapterKind>, slot: VirtualSlot) -> Refusal {
    let kind = kind.map_or("virtual", AdapterKind::word);
    Refusal::new(MessageKey::VirtualAdapterNotFound).with(partition).with(kind).with(slot)
}

/// Removes the adapter in a slot; with `kind` only if it is of that kind.
///
/// # Errors
/// No such adapter, or one of the console's own.
pub fn remove(
    content: &mut Configuration,
    partition: &str,
    kind: Option<AdapterKind>,
    slot: VirtualSlot,
) -> Result<(), Refusal> {
    fn take<E: Element>(list: &mut Vec<E>, slot: VirtualSlot) -> bool {
        let before = list.len();
        list.retain(|element| element.virtual_slot() != Some(slot));
        list.len() < before
    }
    let wanted = |one: AdapterKind| kind.is_none_or(|kind| kind == one);
    if slot.0 < 2 && wanted(AdapterKind::Serial) {
        return Err(Refusal::new(MessageKey::ConsoleAdapterFixed).with(slot));
    }
    let removed = wanted(AdapterKind::Ethernet) && take(&mut content.ethernet_adapters, slot)
        || wanted(AdapterKind::Scsi) && take(&mut content.scsi_adapters, slot)
        || wanted(AdapterKind::FibreChannel) && take(&mut content.fibre_channel_adapters, slot)
        || wanted(AdapterKind::Serial) && take(&mut content.serial_adapters, slot)
        || wanted(AdapterKind::Vnic) && take(&mut content.virtual_nics, slot);
    if removed { Ok(()) } else { Err(not_found(partition, kind, slot)) }
}

#[cfg(test)]
mod tests;
