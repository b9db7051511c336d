//! The network that a site installs a server with: made once, at the server's first start, by the rules that a person's
//! commands go through.

use varan_contract::vios::DeviceSelector;
use varan_contract::vios_network::AddressSetup;
use varan_model::ids::VirtualSlot;
use varan_model::vios::{DeviceKind, DeviceName, ViosMessage, ViosRefusal};

use super::{Draft, address, aggregation, bridge, refuse};
use crate::settings::{InitialBridge, InitialNetwork};
use crate::world::Change;

/// Makes what is to be made at the first start. What cannot be made is left out, and said why.
pub(in crate::decide) fn install(draft: &mut Draft) -> Vec<String> {
    let Some(network) = draft.world.own.initial_network.clone() else { return Vec::new() };
    let mut own = (*draft.world.own).clone();
    own.initial_network = None;
    draft.change(Change::Own(Box::new(own)));
    let mut failures = Vec::new();
    for wanted in &network.bridges {
        let mut attempt = Draft::new(&draft.world);
        match make(&mut attempt, wanted, &network) {
            Ok(()) => attempt.changes.into_iter().for_each(|change| draft.change(change)),
            Err(refusal) => failures.push(format!("{}: {refusal}", wanted.real.join(","))),
        }
    }
    failures
}

fn make(draft: &mut Draft, wanted: &InitialBridge, network: &InitialNetwork) -> Result<(), ViosRefusal> {
    let real = match wanted.real.as_slice() {
        [one] => adapter_at(draft, one)?,
        several => {
            let links: Result<Vec<String>, ViosRefusal> =
                several.iter().map(|place| adapter_at(draft, place).map(|name| name.to_string())).collect();
            aggregation::create(draft, &links?, &[("mode".to_owned(), "8023ad".to_owned())], None)?
        }
    };
    let trunks: Result<Vec<String>, ViosRefusal> =
        wanted.trunks.iter().map(|slot| in_slot(draft, *slot).map(|name| name.to_string())).collect();
    let default = in_slot(draft, wanted.default)?;
    let default_vlan = draft
        .world
        .devices
        .get(&default)
        .and_then(|device| super::virtual_adapter(&draft.world, device))
        .map_or(0, |adapter| adapter.port_vlan_id);
    let mut attributes = wanted.attributes.clone();
    if let Some(mode) = &wanted.mode {
        attributes.push(("ha_mode".to_owned(), mode.clone()));
    }
    if let Some(slot) = wanted.control_channel {
        attributes.push(("ctl_chan".to_owned(), in_slot(draft, slot)?.to_string()));
    }
    let made = bridge::create(
        draft,
        &bridge::Wanted {
            real: &DeviceSelector::Name(real.to_string()),
            virtuals: &trunks?,
            default: default.as_str(),
            default_vlan: &default_vlan.to_string(),
            attributes: &attributes,
        },
        false,
    )?;
    let Some((address, prefix)) = wanted.address else { return Ok(()) };
    let interface = DeviceName::numbered(DeviceKind::EthernetInterface.prefix(), made.parts().1.unwrap_or(0));
    let reached = network.gateway.filter(|gateway| address::same_network(*gateway, address, prefix));
    let setup = AddressSetup {
        hostname: None,
        interface: interface.to_string(),
        address,
        prefix: Some(prefix),
        gateway: reached,
        name_server: None,
    };
    address::set_up(draft, &setup)
}

fn adapter_at(draft: &Draft, location: &str) -> Result<DeviceName, ViosRefusal> {
    let selector = DeviceSelector::Location(location.to_owned());
    super::find(&draft.world, &selector).map(|device| device.name.clone())
}

fn in_slot(draft: &Draft, slot: VirtualSlot) -> Result<DeviceName, ViosRefusal> {
    let unknown = || refuse(ViosMessage::LocationUnknown).with(draft.world.virtual_location(slot));
    draft.world.slots.get(&slot.0).cloned().ok_or_else(unknown)
}
