//! Virtual Fibre Channel: which port serves which adapter.

use varan_contract::vios::{DeviceOutcome, DeviceSelector};
use varan_model::vios::{Device, DeviceDetail, DeviceKind, DeviceName, DeviceState, ViosMessage};

use super::{Draft, Effect, Refused, find, refuse};
use crate::world::{MAP_PORT, Snapshot};

/// The port that an adapter is mapped to.
pub(crate) fn mapped_port<'a>(world: &'a Snapshot, adapter: &Device) -> Option<&'a std::sync::Arc<Device>> {
    let port = adapter.attributes.get(MAP_PORT).filter(|port| !port.is_empty())?;
    world.device(port)
}

/// Whether clients are logged in through a port, given by itself or by its protocol device.
pub(super) fn has_clients(world: &Snapshot, name: &DeviceName) -> bool {
    let mapped = world.mapped.get(&name.to_string());
    mapped.is_some_and(|adapters| {
        adapters.iter().any(|adapter| {
            let slot = world.devices.get(adapter).and_then(|device| device.virtual_slot());
            let connected = slot.and_then(|slot| world.connected.get(&slot.0));
            connected.is_some_and(|connected| !connected.logged_in.is_empty())
        })
    })
}

pub(super) fn map(draft: &mut Draft, adapter: &DeviceSelector, port: Option<&str>) -> Refused {
    let adapter = find(&draft.world, adapter)?;
    if adapter.kind != DeviceKind::VirtualFibreChannelServer {
        return Err(refuse(ViosMessage::NotFibreChannelServer).with(&adapter.name));
    }
    if adapter.state != DeviceState::Available {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(&adapter.name));
    }
    let before = adapter.attributes.get(MAP_PORT).cloned().unwrap_or_default();
    let next = port.unwrap_or_default();
    if next != before {
        let slot = adapter.virtual_slot();
        let connected = slot.and_then(|slot| draft.world.connected.get(&slot.0));
        if connected.is_some_and(|connected| !connected.logged_in.is_empty()) {
            return Err(refuse(ViosMessage::PortBusy).with(&adapter.name));
        }
        if !next.is_empty() {
            check_port(&draft.world, next)?;
        }
        let waits = connected.is_some();
        let mut device = (*adapter).clone();
        super::device::set_attribute(&mut device, MAP_PORT, next.to_owned());
        draft.put_device(device);
        if let Some(slot) = slot.filter(|_| waits && !next.is_empty()) {
            draft.effect(Effect::Login(slot.0));
        }
    }
    draft.outcome(&adapter.name, DeviceOutcome::Changed);
    Ok(())
}

fn check_port(world: &Snapshot, name: &str) -> Refused {
    let port = find(world, &DeviceSelector::Name(name.to_owned()))?;
    let DeviceDetail::FibreChannel(detail) = &port.detail else {
        return Err(refuse(ViosMessage::PortWithoutNpiv).with(name));
    };
    if port.state != DeviceState::Available {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(name));
    }
    if !detail.fabric {
        return Err(refuse(ViosMessage::PortWithoutNpiv).with(name));
    }
    let mapped = world.mapped.get(&name.to_owned()).map_or(0, |adapters| adapters.len());
    if mapped >= usize::from(detail.total_ports) {
        return Err(refuse(ViosMessage::PortFull).with(name));
    }
    Ok(())
}
