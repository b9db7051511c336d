//! Shared Ethernet Adapters: `mkvdev -sea` and `chdev` on one.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use varan_contract::engine::GuestNetworkAdapter;
use varan_contract::vios::DeviceSelector;
use varan_model::vios::{Device, DeviceDetail, DeviceKind, DeviceName, ViosMessage, ViosRefusal};

use super::super::device::set_attribute;
use super::{
    Draft, Refused, address, configured_interface, find, listed, names_in, new_device, part, put_new, refuse,
    virtual_adapter, vlan, without_address,
};
use crate::world::Snapshot;

/// Most trunk adapters of one Shared Ethernet Adapter (documentation of `mkvdev`).
const TRUNKS_MAX: usize = 16;
/// The first level of the server that finds the other one without a control channel adapter.
const DISCOVERY_LEVEL: [u32; 3] = [2, 2, 3];
/// The first firmware that reserves VLAN 4095 for that: FW780.
const DISCOVERY_FIRMWARE: u32 = 780;

/// What `mkvdev -sea` is told.
pub(super) struct Wanted<'a> {
    pub(super) real: &'a DeviceSelector,
    pub(super) virtuals: &'a [String],
    pub(super) default: &'a str,
    pub(super) default_vlan: &'a str,
    pub(super) attributes: &'a [(String, String)],
}

/// Real adapters: ports, logical ports, aggregations.
const REAL: &[DeviceKind] =
    &[DeviceKind::EthernetAdapter, DeviceKind::LogicalPort, DeviceKind::LinkAggregation];

pub(super) fn create(
    draft: &mut Draft,
    wanted: &Wanted<'_>,
    migrate: bool,
) -> Result<DeviceName, ViosRefusal> {
    let real = find(&draft.world, wanted.real)?;
    let pvid = vlan(wanted.default_vlan)?;
    let fixed = [
        ("real_adapter", real.name.to_string()),
        ("virt_adapters", wanted.virtuals.join(",")),
        ("pvid_adapter", wanted.default.to_owned()),
        ("pvid", pvid.to_string()),
    ];
    let mut device = new_device(draft, DeviceKind::SharedEthernetAdapter, &fixed, wanted.attributes)?;
    tidy(&mut device);
    let moved = configured_interface(&draft.world, &real.name).filter(|_| migrate);
    if let Some(interface) = &moved {
        address::take_down(draft, interface);
    }
    let mode = device.attribute("ha_mode").unwrap_or_default();
    if device.attribute("ctl_chan").is_some_and(|name| !name.is_empty()) && mode == "disabled" {
        return Err(refuse(ViosMessage::ModeNeeded));
    }
    check(&draft.world, None, &device)?;
    let name = put_new(draft, device);
    if let Some(interface) = &moved {
        address::bring_up_on(draft, interface, &name);
    }
    Ok(name)
}

/// Lists as the device keeps them, whatever a user put between names.
pub(super) fn tidy(device: &mut Device) {
    for attribute in ["virt_adapters", "ctl_chan", "real_adapter", "pvid_adapter"] {
        if let Some(value) = device.attributes.get(attribute).cloned() {
            set_attribute(device, attribute, names_in(&value).join(","));
        }
    }
    if device.attribute("netaddr") == Some("0.0.0.0") || device.attribute("netaddr") == Some("") {
        set_attribute(device, "netaddr", "0".to_owned());
    }
}

/// Whether a Shared Ethernet Adapter `device`, as a user wants it, may be; `own` is its name where it exists already.
pub(super) fn check(world: &Snapshot, own: Option<&DeviceName>, device: &Device) -> Refused {
    check_real(world, own, device)?;
    let trunks = check_trunks(world, own, device)?;
    check_default(device, &trunks)?;
    check_vlans(world, own, &trunks)?;
    check_failover(world, own, device, &trunks)?;
    let address = device.attribute("netaddr").unwrap_or_default();
    if address != "0" && address.parse::<Ipv4Addr>().is_err() {
        return Err(refuse(ViosMessage::AttributeValueInvalid).with(&device.name).with("netaddr"));
    }
    Ok(())
}

fn check_real(world: &Snapshot, own: Option<&DeviceName>, device: &Device) -> Refused {
    let name = device.attribute("real_adapter").unwrap_or_default();
    let why_not = "the target is no physical adapter, logical port or link aggregation";
    let real = part(world, name, own, REAL, why_not)?;
    without_address(world, &real)?;
    if let DeviceDetail::Ethernet { logical_port: Some(id), .. } = real.detail
        && world.logical_port(id).is_none_or(|port| !port.promiscuous)
    {
        return Err(refuse(ViosMessage::NotPromiscuous).with(&real.name));
    }
    Ok(())
}

type Trunk<'w> = (Arc<Device>, &'w GuestNetworkAdapter);

fn check_trunks<'w>(
    world: &'w Snapshot,
    own: Option<&DeviceName>,
    device: &Device,
) -> Result<Vec<Trunk<'w>>, ViosRefusal> {
    let names = names_in(device.attribute("virt_adapters").unwrap_or_default());
    if names.is_empty() {
        return Err(refuse(ViosMessage::AttributeValueInvalid).with(&device.name).with("virt_adapters"));
    }
    if names.len() > TRUNKS_MAX {
        return Err(refuse(ViosMessage::TooMany).with(TRUNKS_MAX).with("virtual adapters"));
    }
    let mut trunks: Vec<Trunk<'_>> = Vec::new();
    for name in &names {
        let kinds = &[DeviceKind::VirtualEthernetAdapter];
        let trunk = part(world, name, own, kinds, "it is no virtual Ethernet adapter")?;
        if trunks.iter().any(|(other, _)| other.name == trunk.name) {
            return Err(refuse(ViosMessage::OptionRepeated).with(name));
        }
        without_address(world, &trunk)?;
        let adapter = virtual_adapter(world, &trunk);
        let not_trunk = || refuse(ViosMessage::NotTrunk).with(&trunk.name);
        let adapter = adapter.filter(|adapter| adapter.trunk_priority.is_some()).ok_or_else(not_trunk)?;
        if let Some((first, other)) = trunks.first()
            && other.trunk_priority != adapter.trunk_priority
        {
            return Err(refuse(ViosMessage::TrunkPrioritiesDiffer)
                .with(&first.name)
                .with(other.trunk_priority.unwrap_or(0))
                .with(&trunk.name)
                .with(adapter.trunk_priority.unwrap_or(0)));
        }
        trunks.push((trunk, adapter));
    }
    Ok(trunks)
}

fn check_default(device: &Device, trunks: &[Trunk<'_>]) -> Refused {
    let default = device.attribute("pvid_adapter").unwrap_or_default();
    let found = trunks.iter().find(|(trunk, _)| trunk.name.as_str() == default);
    let (_, adapter) = found.ok_or_else(|| refuse(ViosMessage::DefaultNotBridged).with(default))?;
    let pvid = device.attribute("pvid").unwrap_or_default();
    if pvid != adapter.port_vlan_id.to_string() {
        return Err(refuse(ViosMessage::DefaultVlanDiffers)
            .with(pvid)
            .with(default)
            .with(adapter.port_vlan_id));
    }
    Ok(())
}

/// VLANs of an adapter: that of untagged frames and the tagged ones.
fn vlans(adapter: &GuestNetworkAdapter) -> impl Iterator<Item = u16> {
    std::iter::once(adapter.port_vlan_id).chain(adapter.tagged_vlan_ids.iter().copied())
}

/// A VLAN of a virtual switch is bridged by one trunk adapter of a server.
fn check_vlans(world: &Snapshot, own: Option<&DeviceName>, trunks: &[Trunk<'_>]) -> Refused {
    let mut taken: BTreeMap<(&str, u16), DeviceName> = BTreeMap::new();
    let bridges = world.ethernet().filter(|device| device.kind == DeviceKind::SharedEthernetAdapter);
    for bridge in bridges.filter(|bridge| Some(&bridge.name) != own) {
        for name in listed(bridge, "virt_adapters") {
            let Some(device) = world.devices.get(&name) else { continue };
            let Some(adapter) = virtual_adapter(world, device) else { continue };
            for vlan in vlans(adapter) {
                taken.insert((&adapter.virtual_switch, vlan), name.clone());
            }
        }
    }
    for (trunk, adapter) in trunks {
        for vlan in vlans(adapter) {
            let key = (adapter.virtual_switch.as_str(), vlan);
            if let Some(other) = taken.insert(key, trunk.name.clone()) {
                return Err(refuse(ViosMessage::VlanBridgedTwice)
                    .with(vlan)
                    .with(&adapter.virtual_switch)
                    .with(other)
                    .with(&trunk.name));
            }
        }
    }
    Ok(())
}

fn check_failover(
    world: &Snapshot,
    own: Option<&DeviceName>,
    device: &Device,
    trunks: &[Trunk<'_>],
) -> Refused {
    let mode = device.attribute("ha_mode").unwrap_or_default();
    let control = listed(device, "ctl_chan");
    if mode == "sharing" && trunks.len() < 2 {
        return Err(refuse(ViosMessage::SharingNeedsTrunks));
    }
    let Some(control) = control.first() else {
        if mode != "disabled" && !discovers(world) {
            return Err(refuse(ViosMessage::ControlChannelNeeded));
        }
        return Ok(());
    };
    let invalid = |why: &str| refuse(ViosMessage::ControlChannelInvalid).with(control).with(why);
    if trunks.iter().any(|(trunk, _)| trunk.name == *control) {
        return Err(invalid("it is one of the virtual adapters"));
    }
    let kinds = &[DeviceKind::VirtualEthernetAdapter];
    let adapter = part(world, control.as_str(), own, kinds, "it is no virtual Ethernet adapter")?;
    without_address(world, &adapter)?;
    let adapter = virtual_adapter(world, &adapter).ok_or_else(|| invalid("it has no adapter"))?;
    if adapter.trunk_priority.is_some() {
        return Err(invalid("it is a trunk adapter"));
    }
    let clash = world.ethernet().find(|other| {
        let there = virtual_adapter(world, other);
        other.name != *control
            && there.is_some_and(|there| {
                there.virtual_switch == adapter.virtual_switch
                    && vlans(there).any(|vlan| vlan == adapter.port_vlan_id)
            })
    });
    match clash {
        Some(other) => {
            Err(invalid(&format!("its VLAN {} is also on \"{}\"", adapter.port_vlan_id, other.name)))
        }
        None => Ok(()),
    }
}

/// Whether two Shared Ethernet Adapters find each other without a control channel adapter at these levels.
fn discovers(world: &Snapshot) -> bool {
    let level: Vec<u32> = world.own.level.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    let firmware = world.running.as_ref().and_then(|running| {
        let (_, level) = running.specification.firmware.split_once("FW")?;
        level.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<u32>().ok()
    });
    level.as_slice() >= DISCOVERY_LEVEL.as_slice()
        && firmware.is_none_or(|firmware| firmware >= DISCOVERY_FIRMWARE)
}
