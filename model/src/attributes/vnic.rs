//! `lshwres -r virtualio --rsubtype {vnic | vnicbkdev}`. Names and order: live captures.

use std::sync::Arc;

use super::profile::RemoteNames;
use super::sriov::MAXIMUM_CAPACITY_SINCE;
use super::{Attribute, Change, Release, Table, Value};
use crate::ids::LogicalPortId;
use crate::partition::PartitionEntry;
use crate::vnic::{BackingDevice, VirtualNic};

/// A backing device as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceState {
    /// Logical port.
    pub port: LogicalPortId,
    /// Whether the virtual NIC uses it.
    pub active: bool,
    /// `Operational`, `Link Down`, `NotOperational`, `Powered Off`.
    pub status: &'static str,
}

/// A row: a vNIC.
#[derive(Clone, Debug)]
pub struct VnicRow {
    /// Partition.
    pub entry: PartitionEntry,
    /// Names of Virtual I/O Servers.
    pub names: Arc<RemoteNames>,
    /// The vNIC.
    pub nic: VirtualNic,
    /// States of its backing devices, as far as they are known.
    pub states: Vec<DeviceState>,
    /// Release of the console: earlier ones know no largest capacity.
    pub release: Release,
}

impl VnicRow {
    fn state(&self, device: &BackingDevice) -> (bool, &'static str) {
        let found = self.states.iter().find(|state| Some(state.port) == device.logical_port);
        found.map_or((false, "Powered Off"), |state| (state.active, state.status))
    }

    fn server_name(&self, device: &BackingDevice) -> String {
        device.server.and_then(|id| self.names.get(&id).cloned()).unwrap_or_default()
    }

    /// `sriov/vios-name/vios-id/adapter/port/logical-port/capacity/wished/priority[/most/wished]`.
    fn device(&self, device: &BackingDevice) -> String {
        let server = device.server.map(|id| id.to_string()).unwrap_or_default();
        let port = device.logical_port.map_or_else(|| "null".to_owned(), |port| port.to_string());
        let capacity = device.capacity.unwrap_or_default();
        let (adapter, physical_port, priority) = (device.adapter, device.physical_port, device.priority);
        let name = self.server_name(device);
        let text = format!(
            "sriov/{name}/{server}/{adapter}/{physical_port}/{port}/{capacity}/{capacity}/{priority}"
        );
        if self.release < MAXIMUM_CAPACITY_SINCE {
            return text;
        }
        format!("{text}/{most}/{most}", most = device.maximum_capacity)
    }

    fn device_state(&self, device: &BackingDevice) -> String {
        let (active, status) = self.state(device);
        let port = device.logical_port.map_or_else(|| "null".to_owned(), |port| port.to_string());
        format!("sriov/{port}/{}/{status}", u8::from(active))
    }
}

/// A row: a backing device of a vNIC.
#[derive(Clone, Debug)]
pub struct VnicBackingDeviceRow {
    /// The vNIC.
    pub vnic: VnicRow,
    /// The device.
    pub device: BackingDevice,
}

/// Attributes of `lshwres -r virtualio --rsubtype vnic`.
pub static VNICS: Table<VnicRow> = Table {
    name: "virtualio vnic",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &VnicRow| Value::of(&row.entry.partition.name)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &VnicRow| {
            Value::of(row.entry.partition.id)
        }),
        Attribute::new("slot_num", "Virtual slot.", |row: &VnicRow| Value::of(row.nic.slot)),
        Attribute::new("desired_mode", "Wished mode: ded.", |_: &VnicRow| Value::of("ded")),
        Attribute::new("curr_mode", "Mode.", |_: &VnicRow| Value::of("ded")),
        Attribute::new(
            "auto_priority_failover",
            "1: the operational backing device of the best priority is active.",
            |row: &VnicRow| Value::flag(row.nic.auto_priority_failover),
        )
        .change(Change::Anytime),
        Attribute::new("port_vlan_id", "VLAN of untagged frames, 0 for none.", |row: &VnicRow| {
            Value::of(row.nic.port_vlan_id)
        })
        .change(Change::Anytime),
        Attribute::new("pvid_priority", "Priority of untagged frames.", |row: &VnicRow| {
            Value::of(row.nic.port_vlan_priority)
        })
        .change(Change::Anytime),
        Attribute::new("allowed_vlan_ids", "VLANs that may be used.", |row: &VnicRow| {
            Value::of(&row.nic.allowed_vlan_ids)
        })
        .change(Change::Anytime),
        Attribute::new("mac_addr", "MAC address.", |row: &VnicRow| {
            Value::of(row.nic.mac_address.map(|address| address.to_string()).unwrap_or_default())
        })
        .change(Change::AtCreation),
        Attribute::new(
            "allowed_os_mac_addrs",
            "MAC addresses that the operating system may set.",
            |row: &VnicRow| Value::of(&row.nic.allowed_mac_addresses),
        )
        .change(Change::Anytime),
        Attribute::new(
            "backing_devices",
            "Backing devices; also += and -=: sriov/vios-name/vios-ID/adapter-ID/port-ID/[capacity]/[priority].",
            |row: &VnicRow| {
                Value::list(row.nic.backing_devices.iter().map(|device| row.device(device)).collect())
            },
        )
        .change(Change::Anytime),
        Attribute::new("backing_device_states", "Their states.", |row: &VnicRow| {
            Value::list(row.nic.backing_devices.iter().map(|device| row.device_state(device)).collect())
        }),
        Attribute::new("is_disabled", "1: cut off by the administrator.", |row: &VnicRow| {
            Value::flag(row.nic.disabled)
        })
        .on_request(),
        Attribute::new(
            "probe_targets",
            "Addresses that a working uplink reaches; a backing device from which none answers is not operational.",
            |row: &VnicRow| Value::list(row.nic.probe_targets.iter().map(ToString::to_string).collect()),
        )
        .change(Change::Anytime)
        .on_request()
        .own(),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype vnicbkdev`.
pub static VNIC_BACKING_DEVICES: Table<VnicBackingDeviceRow> = Table {
    name: "virtualio vnicbkdev",
    attributes: &[
        Attribute::new(
            "lpar_name",
            "Virtual I/O Server that hosts the device.",
            |row: &VnicBackingDeviceRow| Value::of(row.vnic.server_name(&row.device)),
        ),
        Attribute::new("lpar_id", "Number of that server.", |row: &VnicBackingDeviceRow| {
            Value::or_none(row.device.server)
        }),
        Attribute::new("type", "Kind: sriov.", |_: &VnicBackingDeviceRow| Value::of("sriov")),
        Attribute::new("adapter_id", "SR-IOV adapter.", |row: &VnicBackingDeviceRow| {
            Value::of(row.device.adapter)
        }),
        Attribute::new("physical_port_id", "Physical port.", |row: &VnicBackingDeviceRow| {
            Value::of(row.device.physical_port)
        }),
        Attribute::new("logical_port_id", "Logical port.", |row: &VnicBackingDeviceRow| {
            Value::or_none(row.device.logical_port)
        }),
        Attribute::new(
            "capacity",
            "Capacity in percent of the physical port.",
            |row: &VnicBackingDeviceRow| Value::of(row.device.capacity.unwrap_or_default()),
        ),
        Attribute::new("desired_capacity", "Wished capacity.", |row: &VnicBackingDeviceRow| {
            Value::of(row.device.capacity.unwrap_or_default())
        }),
        Attribute::new("max_capacity", "Most capacity.", |row: &VnicBackingDeviceRow| {
            Value::of(row.device.maximum_capacity)
        })
        .since(MAXIMUM_CAPACITY_SINCE),
        Attribute::new("desired_max_capacity", "Wished most capacity.", |row: &VnicBackingDeviceRow| {
            Value::of(row.device.maximum_capacity)
        })
        .since(MAXIMUM_CAPACITY_SINCE),
        Attribute::new("failover_priority", "Priority, 1 is best.", |row: &VnicBackingDeviceRow| {
            Value::of(row.device.priority)
        })
        .change(Change::Anytime),
        Attribute::new("is_active", "1: the vNIC uses it.", |row: &VnicBackingDeviceRow| {
            Value::flag(row.vnic.state(&row.device).0)
        }),
        Attribute::new(
            "status",
            "Operational, Link Down, NotOperational, Powered Off.",
            |row: &VnicBackingDeviceRow| Value::of(row.vnic.state(&row.device).1),
        ),
        Attribute::new("keep_auto_priority_failover", "With -o act.", |_: &VnicBackingDeviceRow| {
            Value::NotApplicable
        })
        .change(Change::Anytime)
        .unlisted()
        .own(),
    ],
};
