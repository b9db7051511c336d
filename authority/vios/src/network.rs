//! What the network engine of a server is to be, from the state; and an engine that carries nothing, for a server without a
//! network.

use std::net::Ipv4Addr;
use std::time::Duration;

use varan_contract::engine::GuestNetworkAdapter;
use varan_contract::network::{
    AggregationMode, ClientStatistics, HighAvailabilityMode, LinkAggregation, NetworkDeviceStatistics,
    PingResult, PortPlace, PortStatistics, ServerInterface, ServerNetwork, ServerNetworkConfiguration,
    ServerPort, SharedEthernetAdapter, VlanDevice, VnicServerState,
};
use varan_model::ids::{MacAddress, VirtualSlot};
use varan_model::vios::{Device, DeviceDetail, DeviceKind, DeviceName, DeviceState};

use crate::decide::{address_of, listed, parts, virtual_adapter};
use crate::settings::AdapterKind;
use crate::world::{Change, Snapshot};

/// A network that carries nothing: devices can be made, no frame moves.
pub struct NoNetwork;

impl ServerNetwork for NoNetwork {
    fn configure(&self, _: ServerNetworkConfiguration) {}

    fn statistics(&self, _: &str) -> Option<NetworkDeviceStatistics> {
        None
    }

    fn reset_statistics(&self, _: &str) {}

    fn accounting(&self, _: &str) -> Vec<ClientStatistics> {
        Vec::new()
    }

    fn reset_accounting(&self, _: &str) {}

    fn vnic_server(&self, _: VirtualSlot) -> Option<VnicServerState> {
        None
    }

    fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)> {
        Vec::new()
    }

    fn interface(&self, _: &str) -> Option<PortStatistics> {
        None
    }

    fn ping(&self, _: Ipv4Addr, count: u32, _: u16, _: Duration) -> PingResult {
        PingResult { sent: count, answers: Vec::new(), unreachable: true }
    }
}

/// Whether a change may make another network of the server: others cost no look at its devices.
pub(crate) fn concerns(change: &Change) -> bool {
    match change {
        Change::Running(_) | Change::Names(_) => true,
        Change::PutDevice(device) => {
            device.kind.is_ethernet()
                || matches!(
                    device.kind,
                    DeviceKind::EthernetInterface
                        | DeviceKind::Ieee8023Interface
                        | DeviceKind::VirtualNicServer
                )
        }
        Change::RemoveDevice(name) => matches!(name.parts().0, "ent" | "en" | "et" | "vnicserver"),
        _ => false,
    }
}

/// The network devices of a server; nothing while it does not run.
pub(crate) fn configuration(world: &Snapshot) -> ServerNetworkConfiguration {
    let mut wanted = ServerNetworkConfiguration::default();
    let Some(running) = &world.running else { return wanted };
    for device in world.ethernet().filter(|device| device.state == DeviceState::Available) {
        match device.kind {
            DeviceKind::LinkAggregation => wanted.aggregations.push(aggregation(device)),
            DeviceKind::SharedEthernetAdapter => wanted.bridges.push(bridge(device)),
            DeviceKind::VlanDevice => wanted.vlans.push(VlanDevice {
                device: device.name.to_string(),
                base: parts(device).first().map(ToString::to_string).unwrap_or_default(),
                vlan: number(device, "vlan_tag_id"),
            }),
            _ => wanted.ports.extend(port(world, device)),
        }
    }
    for kind in [DeviceKind::EthernetInterface, DeviceKind::Ieee8023Interface] {
        let named = world.devices.from(&DeviceName::numbered(kind.prefix(), 0));
        let named = named.take_while(|(name, _)| name.parts().0 == kind.prefix());
        wanted.interfaces.extend(named.filter_map(|(_, device)| interface(world, device)));
    }
    for adapter in running.adapters.values() {
        let AdapterKind::VnicServer(server) = &adapter.kind else { continue };
        let name = world.slots.get(&adapter.slot.0).and_then(|name| world.devices.get(name));
        let backing = logical_port_device(world, &server.logical_port.location);
        if let (Some(device), Some(backing)) = (name, backing)
            && device.state == DeviceState::Available
        {
            wanted.vnic_servers.push((device.name.to_string(), adapter.slot, backing.name.to_string()));
        }
    }
    wanted.gateway = world.names.gateway;
    wanted.routes.clone_from(&world.names.routes);
    wanted.rmc_running = true;
    wanted
}

/// The device of the logical port at a location.
pub(crate) fn logical_port_device<'w>(
    world: &'w Snapshot,
    location: &str,
) -> Option<&'w std::sync::Arc<Device>> {
    let names = world.locations.get(&location.to_owned())?;
    let mut devices = names.iter().filter_map(|name| world.devices.get(name));
    devices.find(|device| device.kind == DeviceKind::LogicalPort)
}

fn number<T: std::str::FromStr + Default>(device: &Device, attribute: &str) -> T {
    device.attribute(attribute).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn is_yes(device: &Device, attribute: &str) -> bool {
    matches!(device.attribute(attribute), Some("yes" | "1" | "enabled"))
}

fn seconds(device: &Device, attribute: &str) -> Duration {
    Duration::from_secs(number(device, attribute))
}

/// The adapter behind an Ethernet device; `None` for one that is made of others, or whose adapter is not there.
pub(crate) fn port(world: &Snapshot, device: &Device) -> Option<ServerPort> {
    let DeviceDetail::Ethernet { mac_address, slot, logical_port } = &device.detail else { return None };
    let place = match (slot, logical_port) {
        (Some(slot), _) => PortPlace::Virtual(*slot),
        (None, Some(id)) => PortPlace::Logical(*id),
        (None, None) => PortPlace::Physical(device.location.clone()),
    };
    let adapter: Option<&GuestNetworkAdapter> = virtual_adapter(world, device);
    if slot.is_some() && adapter.is_none() {
        return None;
    }
    Some(ServerPort {
        device: device.name.to_string(),
        place,
        mac_address: *mac_address,
        port_vlan_id: adapter.map_or(0, |adapter| adapter.port_vlan_id),
        tagged_vlan_ids: adapter.map(|adapter| adapter.tagged_vlan_ids.clone()).unwrap_or_default(),
        trunk_priority: adapter.and_then(|adapter| adapter.trunk_priority),
        virtual_switch: adapter.map(|adapter| adapter.virtual_switch.clone()).unwrap_or_default(),
        jumbo_frames: slot.is_some() || is_yes(device, "jumbo_frames"),
        poll_uplink: is_yes(device, "poll_uplink")
            .then(|| Duration::from_millis(number(device, "poll_uplink_int"))),
    })
}

pub(crate) fn aggregation(device: &Device) -> LinkAggregation {
    LinkAggregation {
        device: device.name.to_string(),
        adapters: listed(device, "adapter_names").iter().map(ToString::to_string).collect(),
        backup: listed(device, "backup_adapter").first().map(ToString::to_string),
        mode: match device.attribute("mode") {
            Some("8023ad") => AggregationMode::Ieee8023ad,
            Some("round_robin") => AggregationMode::RoundRobin,
            _ => AggregationMode::Standard,
        },
        hash_mode: device.attribute("hash_mode").unwrap_or_default().to_owned(),
        ping: device.attribute("netaddr").and_then(|text| text.parse().ok()),
        retries: number(device, "num_retries"),
        retry_seconds: number(device, "retry_time"),
        auto_recovery: is_yes(device, "auto_recovery"),
    }
}

pub(crate) fn bridge(device: &Device) -> SharedEthernetAdapter {
    let text = |attribute: &str| device.attribute(attribute).unwrap_or_default().to_owned();
    SharedEthernetAdapter {
        device: device.name.to_string(),
        real: text("real_adapter"),
        virtuals: listed(device, "virt_adapters").iter().map(ToString::to_string).collect(),
        default: text("pvid_adapter"),
        default_vlan: number(device, "pvid"),
        mode: match device.attribute("ha_mode") {
            Some("auto") => HighAvailabilityMode::Auto,
            Some("standby") => HighAvailabilityMode::Standby,
            Some("sharing") => HighAvailabilityMode::Sharing,
            _ => HighAvailabilityMode::Disabled,
        },
        control_channel: listed(device, "ctl_chan").first().map(ToString::to_string),
        ping: device.attribute("netaddr").and_then(|text| text.parse().ok()),
        failback_delay: seconds(device, "fb_delay"),
        link_time: seconds(device, "link_time"),
        health_time: seconds(device, "health_time"),
        no_automatic_failback: is_yes(device, "noauto_failback"),
        jumbo_frames: is_yes(device, "jumbo_frames"),
        large_send: is_yes(device, "largesend"),
        large_receive: is_yes(device, "large_receive"),
        accounting: is_yes(device, "accounting"),
        threads: is_yes(device, "thread"),
        thread_count: number(device, "nthreads"),
        quality_of_service: text("qos_mode"),
        announce: is_yes(device, "send_RARP"),
        poll_uplink: is_yes(device, "poll_uplink"),
    }
}

fn interface(world: &Snapshot, device: &Device) -> Option<ServerInterface> {
    let up = device.attribute("state") == Some("up");
    let address = address_of(device);
    let below = device.parent.as_ref().and_then(|name| world.devices.get(name))?;
    if !up && address.is_none() || below.state != DeviceState::Available {
        return None;
    }
    Some(ServerInterface {
        name: device.name.to_string(),
        device: below.name.to_string(),
        address,
        mtu: number(device, "mtu"),
        up,
    })
}

/// The address that an Ethernet device sends from: its own, or that of the first thing that it is made of.
pub(crate) fn mac_address(world: &Snapshot, device: &Device) -> MacAddress {
    if let DeviceDetail::Ethernet { mac_address, .. } = &device.detail {
        return *mac_address;
    }
    let first = parts(device).into_iter().next();
    let first = first.as_ref().and_then(|name| world.devices.get(name));
    // Parts are simpler than what is made of them: the depth is at most three.
    first.map_or(MacAddress(0), |part| mac_address(world, part))
}
