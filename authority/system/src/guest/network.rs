//! SR-IOV logical ports, virtual NICs and what servers have for them, as guests see them.

use varan_contract::engine::{
    AllowedVlans, GuestLogicalPort, GuestVnicAdapter, GuestVnicBackingDevice, GuestVnicServer,
};
use varan_model::configuration::Configuration;
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, VirtualSlot};
use varan_model::rules::sriov::PortPlace;
use varan_model::sriov::LogicalPort;
use varan_model::vnic::{BackingDevice, VirtualNic};

use super::allowed_addresses;
use crate::world::World;

fn allowed_vlans(text: &str) -> AllowedVlans {
    match text {
        "" | "all" => AllowedVlans::All,
        "none" => AllowedVlans::None,
        list => AllowedVlans::Only(list.split(',').filter_map(|one| one.trim().parse().ok()).collect()),
    }
}

/// Location codes of a physical port, and the description of its adapter. Empty for an adapter that is gone.
fn place(world: &World, (adapter, port): PortPlace) -> (String, String) {
    let adapter = world.system().shared_adapter(adapter).map(|(adapter, _)| adapter);
    let location = adapter.and_then(|adapter| adapter.ports.get(usize::from(port.0)));
    (
        location.map(|port| port.location.clone()).unwrap_or_default(),
        adapter.map(|adapter| adapter.description.clone()).unwrap_or_default(),
    )
}

/// The logical ports of a configuration, by number.
pub(super) fn logical_ports(world: &World, content: &Configuration) -> Vec<GuestLogicalPort> {
    let port = |port: &LogicalPort| Some(logical_port(world, port, port.id?));
    let mut ports: Vec<GuestLogicalPort> = content.logical_ports().filter_map(port).collect();
    ports.sort_by_key(|port| port.id);
    ports
}

fn logical_port(world: &World, port: &LogicalPort, id: LogicalPortId) -> GuestLogicalPort {
    let (physical_port, description) = place(world, (port.adapter, port.physical_port));
    GuestLogicalPort {
        id,
        location: format!("{physical_port}-S{}", id.number()),
        physical_port,
        description,
        mac_address: port.mac_address.unwrap_or(MacAddress(0)),
        port_vlan_id: port.port_vlan_id,
        port_vlan_priority: port.port_vlan_priority,
        allowed_vlans: allowed_vlans(&port.allowed_vlan_ids),
        allowed_addresses: allowed_addresses(&port.allowed_mac_addresses),
        promiscuous: port.promiscuous,
        capacity: port.capacity.unwrap_or_default().0,
        maximum_capacity: port.maximum_capacity.0,
        offered_address: None,
    }
}

/// A virtual NIC. Backing devices without a logical port are those of a profile, which no guest has.
pub(super) fn virtual_nic(nic: &VirtualNic) -> GuestVnicAdapter {
    let device = |device: &BackingDevice| {
        Some(GuestVnicBackingDevice {
            server: device.server?,
            server_slot: device.server_slot?,
            logical_port: device.logical_port?,
            priority: device.priority,
        })
    };
    GuestVnicAdapter {
        slot: nic.slot,
        mac_address: nic.mac_address.unwrap_or(MacAddress(0)),
        port_vlan_id: nic.port_vlan_id,
        port_vlan_priority: nic.port_vlan_priority,
        allowed_vlans: allowed_vlans(&nic.allowed_vlan_ids),
        allowed_addresses: allowed_addresses(&nic.allowed_mac_addresses),
        disabled: nic.disabled,
        auto_priority_failover: nic.auto_priority_failover,
        backing_devices: nic.backing_devices.iter().filter_map(device).collect(),
        preferred: nic.preferred,
        probe_targets: nic.probe_targets.clone(),
        offered_address: None,
    }
}

/// The server adapters that a Virtual I/O Server has for its clients' backing devices, in slot order.
pub(super) fn vnic_servers(world: &World, server: PartitionId) -> Vec<GuestVnicServer> {
    world.hosted(server).filter_map(|(slot, ..)| vnic_server(world, server, slot)).collect()
}

/// The server adapter in a slot of a Virtual I/O Server.
pub(super) fn vnic_server(world: &World, server: PartitionId, slot: VirtualSlot) -> Option<GuestVnicServer> {
    let (client, client_slot) = world.hosted_at(server, slot)?;
    let entry = world.snapshot.partitions.get(client.0)?;
    let nic = entry.partition.current.as_ref()?.virtual_nics.iter().find(|nic| nic.slot == client_slot)?;
    let own = |device: &&BackingDevice| device.server == Some(server) && device.server_slot == Some(slot);
    let device = nic.backing_devices.iter().find(own)?;
    let mut port = LogicalPort::new(device.adapter, device.physical_port);
    port.mac_address = nic.mac_address;
    port.port_vlan_id = nic.port_vlan_id;
    port.port_vlan_priority = nic.port_vlan_priority;
    port.allowed_vlan_ids.clone_from(&nic.allowed_vlan_ids);
    port.allowed_mac_addresses.clone_from(&nic.allowed_mac_addresses);
    port.capacity = device.capacity;
    port.maximum_capacity = device.maximum_capacity;
    Some(GuestVnicServer {
        slot,
        client,
        client_name: entry.partition.name.clone(),
        client_slot,
        priority: device.priority,
        logical_port: logical_port(world, &port, device.logical_port?),
    })
}
