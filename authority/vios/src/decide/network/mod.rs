//! Network devices that a user makes of others, and TCP/IP: what may be, and what follows.
//!
//! ```text
//!  en5 (address)                  interface: a device below the Ethernet device of its number
//!   |
//!  ent5 Shared Ethernet Adapter   parts: real adapter, trunk adapters, control channel
//!   |      \
//!  ent4     ent2, ent3            real adapter: a port, a logical port, or an aggregation of such
//! ```
//!
//! A device is available when all its parts are. The rules for a device are one function that a new device, a changed one
//! and one of the site go through.

mod address;
mod aggregation;
mod bridge;
mod initial;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use varan_contract::engine::GuestNetworkAdapter;
use varan_contract::vios::{DeviceOutcome, DeviceSelector};
use varan_contract::vios_network::{NetworkChange, NetworkDeviceKind};
use varan_model::vios::{
    Device, DeviceDetail, DeviceKind, DeviceName, DeviceState, ViosMessage, ViosRefusal,
};

use super::device::set_attribute;
use super::discovery::take_pending;
use super::{Draft, Effect, Refused, find, refuse};
use crate::settings::AdapterKind;
use crate::world::Snapshot;

pub(crate) use address::address_of;
pub(super) use address::settle_interface;
pub(super) use initial::install;

pub(super) fn carry_out(draft: &mut Draft, change: &NetworkChange) -> Refused {
    use NetworkChange as C;
    match change {
        C::CreateBridge { real, virtuals, default, default_vlan, attributes, migrate } => {
            let wanted = bridge::Wanted { real, virtuals, default, default_vlan, attributes };
            bridge::create(draft, &wanted, *migrate).map(drop)
        }
        C::CreateAggregation { adapters, attributes, migrate } => {
            aggregation::create(draft, adapters, attributes, migrate.as_deref()).map(drop)
        }
        C::CreateVlan { base, tag } => create_vlan(draft, base, tag),
        C::Remove { device, kind, migrate } => remove(draft, device, *kind, *migrate),
        C::ChangeAggregation { device, add, remove, backup } => {
            aggregation::change_links(draft, device, add, remove, *backup)
        }
        C::Address(setup) => address::set_up(draft, setup),
        C::RemoveAddresses { interfaces, hostname, routing, name_service } => {
            let wanted = address::Removal { hostname: *hostname, routing: *routing, names: *name_service };
            address::remove(draft, interfaces.as_deref(), &wanted)
        }
        C::Routes { remove, add } => address::change_routes(draft, remove, add),
        C::NameService { name_servers, domain, search } => {
            address::set_name_service(draft, name_servers, domain.as_deref(), search)
        }
        C::AddHost { address, names } => address::add_host(draft, *address, names),
        C::RemoveHost(address) => address::remove_host(draft, *address),
        C::ResetStatistics(device) => {
            let device = find(&draft.world, device)?;
            if !device.kind.is_ethernet() {
                return Err(refuse(ViosMessage::NoStatistics).with(&device.name));
            }
            draft.effect(Effect::ResetStatistics(device.name.to_string()));
            Ok(())
        }
        C::ResetAccounting(device) => {
            let device = accounted(&draft.world, device)?;
            draft.effect(Effect::ResetAccounting(device.name.to_string()));
            Ok(())
        }
    }
}

/// A Shared Ethernet Adapter that counts for its clients.
pub(crate) fn accounted(world: &Snapshot, selector: &DeviceSelector) -> Result<Arc<Device>, ViosRefusal> {
    let device = find(world, selector)?;
    if device.kind != DeviceKind::SharedEthernetAdapter {
        return Err(refuse(ViosMessage::NotBridge).with(&device.name));
    }
    if device.attribute("accounting") != Some("enabled") {
        return Err(refuse(ViosMessage::AccountingOff).with(&device.name));
    }
    Ok(device)
}

/// Names in a list that users may write with commas or blanks.
pub(crate) fn names_in(text: &str) -> Vec<String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty() && *word != "NONE");
    words.map(str::to_owned).collect()
}

/// Names that an attribute of a device lists.
pub(crate) fn listed(device: &Device, attribute: &str) -> Vec<DeviceName> {
    let text = device.attribute(attribute).unwrap_or_default();
    names_in(text).iter().filter_map(|name| name.parse().ok()).collect()
}

/// What an Ethernet device is made of.
pub(crate) fn parts(device: &Device) -> Vec<DeviceName> {
    let attributes: &[&str] = match device.kind {
        DeviceKind::SharedEthernetAdapter => &["real_adapter", "virt_adapters", "ctl_chan"],
        DeviceKind::LinkAggregation => &["adapter_names", "backup_adapter"],
        DeviceKind::VlanDevice => &["base_adapter"],
        _ => &[],
    };
    attributes.iter().flat_map(|attribute| listed(device, attribute)).collect()
}

/// The devices that are made of an Ethernet device, and the server adapter of a virtual NIC that it is behind.
pub(crate) fn users(world: &Snapshot, name: &DeviceName) -> Vec<DeviceName> {
    let made = world.ethernet().filter(|device| device.kind.is_made_of_ethernet());
    let mut users: Vec<DeviceName> =
        made.filter(|device| parts(device).contains(name)).map(|device| device.name.clone()).collect();
    let logical_port = world.devices.get(name).and_then(|device| match device.detail {
        DeviceDetail::Ethernet { logical_port, .. } => logical_port,
        _ => None,
    });
    if let (Some(port), Some(running)) = (logical_port, &world.running) {
        let slots = running.adapters.values().filter(|adapter| {
            matches!(&adapter.kind, AdapterKind::VnicServer(server) if server.logical_port.id == port)
        });
        users.extend(slots.filter_map(|adapter| world.slots.get(&adapter.slot.0).cloned()));
    }
    users
}

/// The virtual adapter behind a device as the hypervisor shows it.
pub(crate) fn virtual_adapter<'w>(world: &'w Snapshot, device: &Device) -> Option<&'w GuestNetworkAdapter> {
    match &world.adapter_in(device.virtual_slot()?)?.kind {
        AdapterKind::Ethernet(adapter) => Some(adapter),
        _ => None,
    }
}

/// The interface of an Ethernet device that has an address or is up.
pub(crate) fn configured_interface(world: &Snapshot, name: &DeviceName) -> Option<Arc<Device>> {
    let interfaces = world.children_of(name).iter().filter_map(|child| world.devices.get(child));
    interfaces.into_iter().find(|device| is_configured(device)).cloned()
}

/// Whether an interface has an address or is up.
pub(crate) fn is_configured(interface: &Device) -> bool {
    let has = |name: &str| interface.attribute(name).is_some_and(|value| !value.is_empty());
    interface.attribute("state") == Some("up") || has("netaddr")
}

/// Whether an Ethernet device is open: something is made of it, or its interface is up.
pub(super) fn in_use(world: &Snapshot, device: &Device) -> bool {
    let available = |name: &DeviceName| {
        world.devices.get(name).is_some_and(|device| device.state == DeviceState::Available)
    };
    users(world, &device.name).iter().any(available)
        || configured_interface(world, &device.name)
            .is_some_and(|interface| interface.attribute("state") == Some("up"))
}

/// An Ethernet device that is to become a part of another one: of one of these kinds, available, and nobody else's.
fn part(
    world: &Snapshot,
    name: &str,
    owner: Option<&DeviceName>,
    kinds: &[DeviceKind],
    why_not: &str,
) -> Result<Arc<Device>, ViosRefusal> {
    let device = find(world, &DeviceSelector::Name(name.to_owned()))?;
    if !kinds.contains(&device.kind) {
        return Err(refuse(ViosMessage::EthernetInvalid).with(&device.name).with(why_not));
    }
    if device.state != DeviceState::Available {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(&device.name));
    }
    if let Some(other) = users(world, &device.name).iter().find(|user| Some(*user) != owner) {
        return Err(refuse(ViosMessage::AdapterOwned).with(&device.name).with(other));
    }
    Ok(device)
}

/// Refuses a part whose interface is configured.
fn without_address(world: &Snapshot, device: &Device) -> Refused {
    match configured_interface(world, &device.name) {
        Some(interface) => {
            Err(refuse(ViosMessage::AdapterHasAddress).with(&device.name).with(&interface.name))
        }
        None => Ok(()),
    }
}

/// A new device with the attributes that a user gave, checked one by one; `fixed` are those that the command itself sets.
fn new_device(
    draft: &Draft,
    kind: DeviceKind,
    fixed: &[(&str, String)],
    attributes: &[(String, String)],
) -> Result<Device, ViosRefusal> {
    let name = free_name(&draft.world);
    let mut device = Device {
        name,
        kind,
        state: DeviceState::Available,
        location: String::new(),
        parent: None,
        description: None,
        attributes: BTreeMap::new(),
        pending: BTreeMap::new(),
        detail: DeviceDetail::None,
    };
    for (name, value) in attributes {
        let unknown = || refuse(ViosMessage::AttributeUnknown).with(kind.description()).with(name);
        let definition = kind.attribute(name).ok_or_else(unknown)?;
        let given_otherwise = fixed.iter().any(|(fixed, _)| fixed == name);
        if !definition.settable || given_otherwise {
            return Err(refuse(ViosMessage::AttributeFixed).with(&device.name).with(name));
        }
        if !definition.values.takes(value) {
            return Err(refuse(ViosMessage::AttributeValueInvalid).with(&device.name).with(name));
        }
        set_attribute(&mut device, name, value.clone());
    }
    for (name, value) in fixed {
        set_attribute(&mut device, name, value.clone());
    }
    Ok(device)
}

/// The lowest number that neither an Ethernet device nor an interface has.
fn free_name(world: &Snapshot) -> DeviceName {
    let mut kept = BTreeSet::new();
    loop {
        let name = world.free_name(DeviceKind::EthernetAdapter.prefix(), &kept);
        let number = name.parts().1.unwrap_or(0);
        let taken = |prefix: &str| world.devices.contains(&DeviceName::numbered(prefix, number));
        if !taken("en") && !taken("et") {
            return name;
        }
        kept.insert(name);
    }
}

/// Puts a new device and its interfaces.
fn put_new(draft: &mut Draft, device: Device) -> DeviceName {
    let name = device.name.clone();
    draft.put_device(device);
    let number = name.parts().1.unwrap_or(0);
    for kind in [DeviceKind::EthernetInterface, DeviceKind::Ieee8023Interface] {
        draft.put_device(Device {
            name: DeviceName::numbered(kind.prefix(), number),
            kind,
            state: DeviceState::Defined,
            location: String::new(),
            parent: Some(name.clone()),
            description: None,
            attributes: BTreeMap::new(),
            pending: BTreeMap::new(),
            detail: DeviceDetail::None,
        });
    }
    draft.outcome(&name, DeviceOutcome::Available);
    name
}

/// A VLAN that a user named: 1 to 4094.
fn vlan(text: &str) -> Result<u16, ViosRefusal> {
    let valid = text.parse().ok().filter(|vlan| (1..=4_094).contains(vlan));
    valid.ok_or_else(|| refuse(ViosMessage::VlanInvalid).with(text))
}

fn create_vlan(draft: &mut Draft, base: &DeviceSelector, tag: &str) -> Refused {
    let tag = vlan(tag)?;
    let world = &draft.world;
    let base = find(world, base)?;
    if !base.kind.is_ethernet() || base.kind == DeviceKind::VlanDevice {
        return Err(refuse(ViosMessage::EthernetInvalid)
            .with(&base.name)
            .with("it is no Ethernet adapter that carries VLANs"));
    }
    if base.state != DeviceState::Available {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(&base.name));
    }
    for user in users(world, &base.name) {
        let Some(other) = world.devices.get(&user) else { continue };
        if other.kind != DeviceKind::VlanDevice {
            return Err(refuse(ViosMessage::AdapterOwned).with(&base.name).with(user));
        }
        if other.attribute("vlan_tag_id") == Some(tag.to_string().as_str()) {
            return Err(refuse(ViosMessage::VlanTaken).with(tag).with(&base.name).with(user));
        }
    }
    let fixed = [("base_adapter", base.name.to_string()), ("vlan_tag_id", tag.to_string())];
    let device = new_device(draft, DeviceKind::VlanDevice, &fixed, &[])?;
    put_new(draft, device);
    Ok(())
}

fn remove(draft: &mut Draft, selector: &DeviceSelector, kind: NetworkDeviceKind, migrate: bool) -> Refused {
    let device = find(&draft.world, selector)?;
    let (wanted, wrong) = match kind {
        NetworkDeviceKind::Bridge => (DeviceKind::SharedEthernetAdapter, ViosMessage::NotBridge),
        NetworkDeviceKind::Aggregation => (DeviceKind::LinkAggregation, ViosMessage::NotAggregation),
        NetworkDeviceKind::Vlan => (DeviceKind::VlanDevice, ViosMessage::NotVlanDevice),
    };
    if device.kind != wanted {
        return Err(refuse(wrong).with(&device.name));
    }
    if migrate && users(&draft.world, &device.name).is_empty() {
        let below = parts(&device).into_iter().next();
        if let (Some(from), Some(below)) = (configured_interface(&draft.world, &device.name), below) {
            address::take_down(draft, &from);
            remove_free(draft, &device)?;
            address::bring_up_on(draft, &from, &below);
            return Ok(());
        }
    }
    remove_free(draft, &device)
}

/// Removes a device that nothing uses, with its interfaces.
fn remove_free(draft: &mut Draft, device: &Device) -> Refused {
    // A configured interface holds its device, even one that is down: its address would be lost silently.
    let busy = !users(&draft.world, &device.name).is_empty()
        || configured_interface(&draft.world, &device.name).is_some()
        || device.attribute("lldpsvc") == Some("yes");
    if busy {
        return Err(refuse(ViosMessage::EthernetBusy));
    }
    for child in draft.world.children_of(&device.name).to_vec() {
        draft.change(crate::world::Change::RemoveDevice(child));
    }
    draft.change(crate::world::Change::RemoveDevice(device.name.clone()));
    draft.outcome(&device.name, DeviceOutcome::Deleted);
    Ok(())
}

/// Checks a device or interface as `chdev` is to leave it, and changes what follows.
pub(super) fn changed(draft: &mut Draft, before: &Device, next: &mut Device) -> Refused {
    let mut candidate = next.clone();
    take_pending(&mut candidate);
    match next.kind {
        DeviceKind::SharedEthernetAdapter => {
            bridge::tidy(next);
            bridge::tidy(&mut candidate);
            bridge::check(&draft.world, Some(&before.name), &candidate)
        }
        DeviceKind::LinkAggregation => {
            aggregation::tidy(next);
            aggregation::tidy(&mut candidate);
            aggregation::check(&draft.world, Some(&before.name), &candidate)
        }
        DeviceKind::EthernetInterface | DeviceKind::Ieee8023Interface => {
            address::check_interface(draft, before, &candidate)?;
            settle_interface(next);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Devices made of others are available where all their parts are; their interfaces with them.
pub(super) fn configure(draft: &mut Draft) {
    let starts = matches!(draft.changes.first(), Some(crate::world::Change::Running(_)));
    // Aggregations are parts of Shared Ethernet Adapters, and both carry VLAN devices.
    for kind in [DeviceKind::LinkAggregation, DeviceKind::SharedEthernetAdapter, DeviceKind::VlanDevice] {
        let devices: Vec<Arc<Device>> =
            draft.world.ethernet().filter(|device| device.kind == kind).cloned().collect();
        for device in devices {
            let there = |name: &DeviceName| {
                draft.world.devices.get(name).is_some_and(|part| part.state == DeviceState::Available)
            };
            let usable = parts(&device).iter().all(there);
            if usable == (device.state == DeviceState::Available) && !(usable && starts) || !usable && !starts
            {
                continue;
            }
            let mut next = (*device).clone();
            next.state = if usable { DeviceState::Available } else { DeviceState::Defined };
            if usable {
                take_pending(&mut next);
            }
            let came = usable && device.state != DeviceState::Available;
            if next != *device {
                draft.put_device(next);
            }
            if came {
                draft.outcome(&device.name, DeviceOutcome::Available);
            }
        }
    }
}
