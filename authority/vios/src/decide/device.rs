//! Attributes, states and removal of devices, and paths of disks.

use std::sync::Arc;

use varan_contract::vios::{DeviceOutcome, DeviceSelector, Removal};
use varan_model::site::PhysicalVolumeIdentifier;
use varan_model::vios::{
    Device, DeviceClass, DeviceDetail, DeviceKind, DeviceName, DeviceState, DiskHeader, PathState,
    ReservePolicy, ViosMessage, ViosRefusal,
};

use super::{
    Draft, Effect, Facts, Prepare, Refused, disk_of, fibre_channel, find, in_use, network, refuse, server,
    target,
};
use crate::settings::{AdapterChange, AdapterKind, ServerAdapter};
use crate::world::{Change, MAP_PORT, Snapshot};

/// Attribute of a disk by which its identifier is made or taken away: `chdev -attr pv=yes`.
const IDENTIFIER_ATTRIBUTE: &str = "pv";

/// Sets an attribute in force.
pub(super) fn set_attribute(device: &mut Device, name: &str, value: String) {
    if name == "reserve_policy"
        && let DeviceDetail::Disk(disk) = &mut device.detail
        && let Some(policy) = ReservePolicy::of(&value)
    {
        disk.reserve_policy = policy;
    }
    match device.kind.attribute(name) {
        Some(definition) if definition.default == value => drop(device.attributes.remove(name)),
        _ => drop(device.attributes.insert(name.to_owned(), value)),
    }
}

fn method_of(device: &Device) -> &'static str {
    match device.kind.class() {
        DeviceClass::Disk => "/usr/lib/methods/chgdisk",
        DeviceClass::Driver => "/usr/lib/methods/chgefscsi",
        DeviceClass::VirtualTarget => "/usr/lib/methods/chg_vt",
        _ => "/usr/lib/methods/chggen",
    }
}

pub(super) fn change(
    draft: &mut Draft,
    selector: &DeviceSelector,
    attributes: &[(String, String)],
    permanent_only: bool,
    facts: &Facts<'_>,
) -> Refused {
    let device = find(&draft.world, selector)?;
    let mut next = (*device).clone();
    let in_use = in_use(&draft.world, &device, facts);
    for (name, value) in attributes {
        if name == IDENTIFIER_ATTRIBUTE && disk_of(&device).is_some() {
            change_identifier(draft, &mut next, value, in_use, facts)?;
            continue;
        }
        let unknown = || refuse(ViosMessage::AttributeUnknown).with(&device.name).with(name);
        let definition = device.kind.attribute(name).ok_or_else(unknown)?;
        if !definition.settable {
            return Err(refuse(ViosMessage::AttributeFixed).with(&device.name).with(name));
        }
        if !definition.values.takes(value) {
            return Err(refuse(ViosMessage::AttributeValueInvalid).with(&device.name).with(name));
        }
        if permanent_only {
            next.pending.insert(name.clone(), value.clone());
            continue;
        }
        let same = device.attribute(name) == Some(value);
        if definition.when_closed && in_use && !same {
            return Err(refuse(ViosMessage::DeviceBusy).with(name).with(method_of(&device)));
        }
        if name == MAP_PORT {
            let port = (!value.is_empty()).then_some(value.as_str());
            fibre_channel::map(draft, &DeviceSelector::Name(device.name.to_string()), port)?;
            draft.done.devices.clear();
            set_attribute(&mut next, name, value.clone());
            continue;
        }
        if device.kind == DeviceKind::Internet && name == "hostname" {
            server::set_hostname(draft, value)?;
        }
        next.pending.remove(name);
        set_attribute(&mut next, name, value.clone());
    }
    if next != *device {
        network::changed(draft, &device, &mut next)?;
        draft.put_device(next);
    }
    draft.outcome(&device.name, DeviceOutcome::Changed);
    Ok(())
}

/// A new identifier for a disk that has none.
pub(super) fn new_identifier(facts: &Facts<'_>, salt: u64) -> PhysicalVolumeIdentifier {
    // As on the real thing the upper half comes from the machine, the lower from the moment.
    let bits =
        (facts.random as u64 ^ (facts.random >> 64) as u64).wrapping_add(salt.wrapping_mul(0x9E37_79B9));
    PhysicalVolumeIdentifier((bits >> 8) | 1)
}

/// The first block of a disk that a request is about.
pub(super) fn header_of(facts: &Facts<'_>, disk: &DeviceName) -> Result<DiskHeader, ViosRefusal> {
    match facts.headers.get(disk) {
        Some(Ok(header)) => Ok(*header),
        _ => Err(refuse(ViosMessage::DiskError)),
    }
}

fn change_identifier(
    draft: &mut Draft,
    next: &mut Device,
    value: &str,
    in_use: bool,
    facts: &Facts<'_>,
) -> Refused {
    let name = next.name.clone();
    let before = header_of(facts, &name)?;
    let identifier = match value {
        "yes" => {
            before.identifier.or_else(|| Some(new_identifier(facts, name.parts().1.unwrap_or(0).into())))
        }
        "clear" => None,
        _ => return Err(refuse(ViosMessage::AttributeValueInvalid).with(&name).with(IDENTIFIER_ATTRIBUTE)),
    };
    if identifier != before.identifier {
        if in_use {
            return Err(refuse(ViosMessage::DeviceBusy).with(IDENTIFIER_ATTRIBUTE).with(method_of(next)));
        }
        let header = DiskHeader { identifier, ..before };
        draft.prepare.push(Prepare::Header { disk: name, header, before });
    }
    if let DeviceDetail::Disk(disk) = &mut next.detail {
        disk.pvid = identifier;
    }
    Ok(())
}

/// `mkdev -l`: a defined device whose hardware is there.
pub(super) fn make_available(draft: &mut Draft, selector: &DeviceSelector, facts: &Facts<'_>) -> Refused {
    let device = find(&draft.world, selector)?;
    if device.state == DeviceState::Defined {
        let mut scratch = Draft::new(&draft.world);
        super::configure(&mut scratch, None, facts)?;
        let configured = scratch.world.devices.get(&device.name).cloned();
        let absent = || refuse(ViosMessage::DeviceAbsent).with(&device.name);
        let mut configured = configured.filter(|device| device.state == DeviceState::Available);
        if matches!(device.kind, DeviceKind::EthernetInterface | DeviceKind::Ieee8023Interface) {
            configured = Some(Arc::new(Device { state: DeviceState::Available, ..(*device).clone() }));
        }
        let configured = configured.ok_or_else(absent)?;
        draft.put_device((*configured).clone());
        if let Some(paths) = scratch.world.paths.get(&device.name) {
            draft.change(Change::PutPaths(device.name.clone(), (**paths).clone()));
        }
    }
    draft.outcome(&device.name, DeviceOutcome::Available);
    Ok(())
}

fn is_required(kind: DeviceKind) -> bool {
    matches!(
        kind,
        DeviceKind::System
            | DeviceKind::Memory
            | DeviceKind::Cache
            | DeviceKind::Processor
            | DeviceKind::VirtualBus
            | DeviceKind::Internet
            | DeviceKind::Loopback
            | DeviceKind::VirtualSerialAdapter
            | DeviceKind::VirtualTerminal
    )
}

pub(super) fn remove(
    draft: &mut Draft,
    selector: &DeviceSelector,
    removal: Removal,
    facts: &Facts<'_>,
) -> Refused {
    let device = find(&draft.world, selector)?;
    if is_required(device.kind) {
        return Err(refuse(ViosMessage::DeviceRequired).with(&device.name));
    }
    let children = draft.world.children_of(&device.name).to_vec();
    if removal.children_only {
        for child in &children {
            remove_tree(draft, child, removal, facts)?;
        }
        return Ok(());
    }
    let has = |child: &DeviceName| {
        let child = draft.world.devices.get(child);
        child.is_some_and(|child| !removal.keep_definition || child.state == DeviceState::Available)
    };
    let counted = |child: &DeviceName| !is_interface(&draft.world, child);
    if !removal.recursive && children.iter().any(|child| counted(child) && has(child)) {
        return Err(refuse(ViosMessage::DeviceHasChildren).with(&device.name));
    }
    remove_tree(draft, &device.name, removal, facts)
}

fn is_interface(world: &Snapshot, name: &DeviceName) -> bool {
    world.devices.get(name).is_some_and(|device| device.kind.class() == DeviceClass::Interface)
}

fn remove_tree(draft: &mut Draft, name: &DeviceName, removal: Removal, facts: &Facts<'_>) -> Refused {
    let Some(device) = draft.world.devices.get(name).cloned() else { return Ok(()) };
    for child in draft.world.children_of(name).to_vec() {
        remove_tree(draft, &child, removal, facts)?;
    }
    if device.kind.is_target() {
        return target::remove(draft, &device, removal.keep_definition, facts);
    }
    if in_use(&draft.world, &device, facts) {
        let method = match device.kind.class() {
            DeviceClass::Disk => "/usr/lib/methods/ucfgdevice",
            _ => "/etc/methods/ucfgdevice",
        };
        return Err(refuse(ViosMessage::DeviceBusy).with(&device.name).with(method));
    }
    if removal.keep_definition {
        if device.state == DeviceState::Available {
            draft.put_device(Device { state: DeviceState::Defined, ..(*device).clone() });
        }
        draft.outcome(name, DeviceOutcome::Defined);
        return Ok(());
    }
    if draft.world.paths.contains(name) {
        draft.change(Change::PutPaths(name.clone(), Vec::new()));
    }
    draft.change(Change::RemoveDevice(name.clone()));
    draft.outcome(name, DeviceOutcome::Deleted);
    Ok(())
}

/// `chpath`.
pub(super) fn change_path(
    draft: &mut Draft,
    selector: &DeviceSelector,
    parent: Option<&str>,
    connection: Option<&str>,
    state: PathState,
) -> Refused {
    let disk = find(&draft.world, selector)?;
    let none = || refuse(ViosMessage::PathUnknown).with(&disk.name).with(parent.unwrap_or(""));
    let mut paths = (**draft.world.paths.get(&disk.name).ok_or_else(none)?).clone();
    let mut found = false;
    for path in &mut paths {
        let wanted = parent.is_none_or(|parent| path.parent.as_str() == parent)
            && connection.is_none_or(|connection| path.connection == connection);
        if !wanted || path.state == PathState::Missing {
            continue;
        }
        found = true;
        path.state = state;
    }
    if !found {
        return Err(none());
    }
    if !paths.iter().any(|path| path.state == PathState::Enabled) {
        return Err(refuse(ViosMessage::LastPath).with(&disk.name));
    }
    draft.change(Change::PutPaths(disk.name.clone(), paths));
    draft.outcome(&disk.name, DeviceOutcome::Changed);
    Ok(())
}

/// An adapter was added while the server runs. Its device comes with `cfgdev`.
pub(crate) fn adapter_added(draft: &mut Draft, change: &AdapterChange) {
    let Some(running) = &draft.world.running else { return };
    let mut running = (**running).clone();
    match change {
        AdapterChange::Add(adapter) => {
            forget_replaced(draft, adapter);
            running.adapters.put(adapter.slot.0, adapter.clone());
            let others =
                running.specification.adapters.into_iter().filter(|other| other.slot != adapter.slot);
            running.specification.adapters = others.chain([adapter.clone()]).collect();
        }
        AdapterChange::AddSlot(slot) => {
            running.specification.slots.retain(|other| other.location != slot.location);
            running.specification.slots.push(slot.clone());
        }
        AdapterChange::AddLogicalPort(port) => {
            running.logical_ports.put(port.id.0, Arc::new((**port).clone()));
            running.specification.logical_ports.retain(|other| other.id != port.id);
            running.specification.logical_ports.push((**port).clone());
        }
        AdapterChange::Remove(_) | AdapterChange::RemoveSlot(_) | AdapterChange::RemoveLogicalPort(_) => {
            return;
        }
    }
    draft.change(Change::Running(Some(Box::new(running))));
    if let AdapterChange::Add(adapter) = change
        && matches!(adapter.kind, AdapterKind::VnicServer(_))
    {
        super::discovery::configure_vnic(draft, adapter);
    }
}

/// The server adapter of a virtual NIC that another one replaces in its slot, with another logical port behind it.
fn forget_replaced(draft: &mut Draft, adapter: &ServerAdapter) {
    let Some(before) = draft.world.adapter_in(adapter.slot).cloned() else { return };
    let AdapterKind::VnicServer(server) = &before.kind else { return };
    let same = matches!(&adapter.kind, AdapterKind::VnicServer(next) if next.logical_port.id == server.logical_port.id);
    if !same {
        remove_vnic(draft, &before);
    }
}

/// The devices of a virtual NIC's server adapter go, with the logical port behind it: nothing else can use them.
fn remove_vnic(draft: &mut Draft, adapter: &ServerAdapter) {
    let AdapterKind::VnicServer(server) = &adapter.kind else { return };
    let locations = [draft.world.virtual_location(adapter.slot), server.logical_port.location.clone()];
    for location in locations {
        for name in
            draft.world.locations.get(&location).cloned().into_iter().flat_map(|names| (*names).clone())
        {
            for child in draft.world.children_of(&name).to_vec() {
                if is_interface(&draft.world, &child) {
                    draft.change(Change::RemoveDevice(child));
                }
            }
            draft.change(Change::RemoveDevice(name));
        }
    }
}

/// An adapter is to be removed while the server runs: refused, with lines for the console, while its device is available.
pub(crate) fn adapter_removed(
    draft: &mut Draft,
    change: &AdapterChange,
    facts: &Facts<'_>,
) -> Result<(), Vec<String>> {
    let Some(running) = &draft.world.running else { return Ok(()) };
    let mut running = (**running).clone();
    let location = match change {
        AdapterChange::Remove(slot) => draft.world.virtual_location(*slot),
        AdapterChange::RemoveSlot(location) => location.clone(),
        AdapterChange::RemoveLogicalPort(id) => match draft.world.logical_port(*id) {
            Some(port) => port.location.clone(),
            None => return Ok(()),
        },
        AdapterChange::Add(_) | AdapterChange::AddSlot(_) | AdapterChange::AddLogicalPort(_) => return Ok(()),
    };
    if let AdapterChange::Remove(slot) = change
        && let Some(adapter) = draft.world.adapter_in(*slot).cloned()
        && matches!(adapter.kind, AdapterKind::VnicServer(_))
    {
        remove_vnic(draft, &adapter);
    }
    let available = |name: &DeviceName| {
        draft.world.devices.get(name).is_some_and(|device| device.state == DeviceState::Available)
    };
    let below = format!("{location}-");
    let here = draft.world.locations.get(&location).into_iter();
    let ports = draft.world.locations.from(&below).take_while(|(other, _)| other.starts_with(&below));
    let adapters = here.chain(ports.map(|(_, names)| names)).flat_map(|names| names.iter());
    let busy: Vec<DeviceName> = adapters
        .filter(|name| {
            draft.world.devices.get(name).is_some_and(|device| device.kind.class() == DeviceClass::Adapter)
        })
        .filter(|name| available(name))
        .cloned()
        .collect();
    if !busy.is_empty() {
        let mut lines = vec![
            format!("{} caDlparCommand:execv to drmgr", month_day_time(facts.now)),
            location,
            "The specified slot contains device(s) which are currently configured.".to_owned(),
            "Unconfigure the following device(s) and try again.".to_owned(),
        ];
        lines.extend(busy.iter().map(|name| format!("\t{name}")));
        lines.push("The OS return code is 3.".to_owned());
        return Err(lines);
    }
    match change {
        AdapterChange::Remove(slot) => {
            running.adapters.remove(&slot.0);
            running.specification.adapters.retain(|adapter| adapter.slot != *slot);
            if draft.world.last_clients.contains(&slot.0) {
                draft.change(Change::LastClient(slot.0, None));
            }
        }
        AdapterChange::RemoveSlot(location) => {
            running.specification.slots.retain(|slot| slot.location != *location);
        }
        AdapterChange::RemoveLogicalPort(id) => {
            running.logical_ports.remove(&id.0);
            running.specification.logical_ports.retain(|port| port.id != *id);
        }
        AdapterChange::Add(_) | AdapterChange::AddSlot(_) | AdapterChange::AddLogicalPort(_) => {}
    }
    draft.change(Change::Running(Some(Box::new(running))));
    Ok(())
}

/// `Nov 21 20:46:40`, in UTC.
fn month_day_time(seconds: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Days are counted from 1 March of year 0, so that the leap day is a year's last.
    let days = seconds.div_euclid(86_400) + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let rest = seconds.rem_euclid(86_400);
    let name = MONTHS[usize::try_from((month + 2) % 12).unwrap_or(0)];
    format!("{name} {day:02} {:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Gives a disk's reservation back when nothing uses the disk any more.
pub(super) fn release_if_unused(draft: &mut Draft, disk: &DeviceName) {
    let Some(device) = draft.world.devices.get(disk) else { return };
    let unused = draft.world.targets_on(&varan_model::vios::Backing::Disk(disk.clone())).is_empty();
    if unused && draft.world.group_of_disk(device).is_none() && device.kind == DeviceKind::FibreChannelDisk {
        let disk = disk.clone();
        draft.effect(Effect::Release(disk));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(super::month_day_time(0), "Jan 01 00:00:00");
        assert_eq!(super::month_day_time(1_709_164_800 + 3_661), "Feb 29 01:01:01");
        assert_eq!(super::month_day_time(1_795_294_000), "Nov 21 20:46:40");
    }
}
