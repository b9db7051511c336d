//! Link aggregations: `mkvdev -lnagg`, `cfglnagg` and `chdev` on one.

use std::net::Ipv4Addr;

use varan_contract::vios::{DeviceOutcome, DeviceSelector};
use varan_model::vios::{Device, DeviceKind, DeviceName, DeviceState, ViosMessage, ViosRefusal};

use super::super::device::set_attribute;
use super::{
    Draft, Refused, address, configured_interface, find, names_in, new_device, part, put_new, refuse,
    without_address,
};
use crate::world::Snapshot;

/// Most main links, and most backups, of an aggregation (AIX).
const LINKS_MAX: usize = 8;
/// What stands for no backup.
const NO_BACKUP: &str = "NONE";

/// Links: ports and logical ports, and virtual adapters, as clients have them.
const LINKS: &[DeviceKind] =
    &[DeviceKind::EthernetAdapter, DeviceKind::LogicalPort, DeviceKind::VirtualEthernetAdapter];

pub(super) fn create(
    draft: &mut Draft,
    adapters: &[String],
    attributes: &[(String, String)],
    migrate: Option<&str>,
) -> Result<DeviceName, ViosRefusal> {
    let fixed = [("adapter_names", adapters.join(","))];
    let mut device = new_device(draft, DeviceKind::LinkAggregation, &fixed, attributes)?;
    tidy(&mut device);
    let moved = migrate.and_then(|wanted| {
        let mut links = adapters.iter().filter_map(|name| name.parse::<DeviceName>().ok());
        links
            .find_map(|link| configured_interface(&draft.world, &link))
            .filter(|interface| wanted.is_empty() || interface.name.as_str() == wanted)
    });
    if let (Some(wanted), None) = (migrate.filter(|wanted| !wanted.is_empty()), &moved) {
        return Err(refuse(ViosMessage::InterfaceNotConfigured).with(wanted));
    }
    if let Some(interface) = &moved {
        address::take_down(draft, interface);
    }
    check(&draft.world, None, &device)?;
    let name = put_new(draft, device);
    if let Some(interface) = &moved {
        address::bring_up_on(draft, interface, &name);
    }
    Ok(name)
}

/// Lists as the device keeps them.
pub(super) fn tidy(device: &mut Device) {
    if let Some(value) = device.attributes.get("adapter_names").cloned() {
        set_attribute(device, "adapter_names", names_in(&value).join(","));
    }
    if let Some(value) = device.attributes.get("backup_adapter").cloned() {
        let names = names_in(&value);
        let text = if names.is_empty() { NO_BACKUP.to_owned() } else { names.join(",") };
        set_attribute(device, "backup_adapter", text);
    }
    if matches!(device.attribute("netaddr"), Some("0.0.0.0" | "")) {
        set_attribute(device, "netaddr", "0".to_owned());
    }
}

/// Whether an aggregation `device`, as a user wants it, may be.
pub(super) fn check(world: &Snapshot, own: Option<&DeviceName>, device: &Device) -> Refused {
    let main = names_in(device.attribute("adapter_names").unwrap_or_default());
    let backup = names_in(device.attribute("backup_adapter").unwrap_or_default());
    if main.is_empty() || main.len() > LINKS_MAX || backup.len() > LINKS_MAX {
        return Err(refuse(ViosMessage::LinksInvalid));
    }
    let mut seen: Vec<&String> = Vec::new();
    for name in main.iter().chain(&backup) {
        if seen.contains(&name) {
            return Err(refuse(ViosMessage::OptionRepeated).with(name));
        }
        seen.push(name);
        let link = part(world, name, own, LINKS, "it cannot be aggregated")?;
        without_address(world, &link)?;
    }
    let address = device.attribute("netaddr").unwrap_or_default();
    if address != "0" && address.parse::<Ipv4Addr>().is_err() {
        return Err(refuse(ViosMessage::AttributeValueInvalid).with(&device.name).with("netaddr"));
    }
    Ok(())
}

pub(super) fn change_links(
    draft: &mut Draft,
    selector: &DeviceSelector,
    add: &[String],
    remove: &[String],
    backup: bool,
) -> Refused {
    let device = find(&draft.world, selector)?;
    if device.kind != DeviceKind::LinkAggregation {
        return Err(refuse(ViosMessage::NotAggregation).with(&device.name));
    }
    if device.state != DeviceState::Available {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(&device.name));
    }
    let attribute = if backup { "backup_adapter" } else { "adapter_names" };
    let mut links = names_in(device.attribute(attribute).unwrap_or_default());
    for name in remove {
        let before = links.len();
        links.retain(|link| link != name);
        if links.len() == before {
            return Err(refuse(ViosMessage::EthernetInvalid)
                .with(name)
                .with(format!("it is no such link of \"{}\"", device.name)));
        }
    }
    links.extend(add.iter().cloned());
    let mut next = (*device).clone();
    set_attribute(&mut next, attribute, links.join(","));
    tidy(&mut next);
    check(&draft.world, Some(&device.name), &next)?;
    draft.put_device(next);
    draft.outcome(&device.name, DeviceOutcome::Changed);
    Ok(())
}
