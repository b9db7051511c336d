//! `lshwres -r virtualio --rsubtype {vnic | vnicbkdev}`. Names and order: live captures. No partition can have a vNIC yet, so
//! there are no rows.

use super::{Attribute, Table};

/// A row: a vNIC.
#[derive(Clone, Copy, Debug)]
pub enum VnicRow {}

/// A row: a backing device of a vNIC.
#[derive(Clone, Copy, Debug)]
pub enum VnicBackingDeviceRow {}

macro_rules! vnic {
    ($name:literal, $help:literal) => {
        Attribute::new($name, $help, |row: &VnicRow| match *row {})
    };
}

macro_rules! device {
    ($name:literal, $help:literal) => {
        Attribute::new($name, $help, |row: &VnicBackingDeviceRow| match *row {})
    };
}

/// Attributes of `lshwres -r virtualio --rsubtype vnic`.
pub static VNICS: Table<VnicRow> = Table {
    name: "virtualio vnic",
    attributes: &[
        vnic!("lpar_name", "Partition."),
        vnic!("lpar_id", "Number of the partition."),
        vnic!("slot_num", "Virtual slot."),
        vnic!("desired_mode", "Wished mode: ded."),
        vnic!("curr_mode", "Mode."),
        vnic!("auto_priority_failover", "1: the operational backing device of the best priority is active."),
        vnic!("port_vlan_id", "VLAN of untagged frames, 0 for none."),
        vnic!("pvid_priority", "Priority of untagged frames."),
        vnic!("allowed_vlan_ids", "VLANs that may be used."),
        vnic!("mac_addr", "MAC address."),
        vnic!("allowed_os_mac_addrs", "MAC addresses that the operating system may set."),
        vnic!("backing_devices", "Backing devices."),
        vnic!("backing_device_states", "Their states."),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype vnicbkdev`.
pub static VNIC_BACKING_DEVICES: Table<VnicBackingDeviceRow> = Table {
    name: "virtualio vnicbkdev",
    attributes: &[
        device!("lpar_name", "Virtual I/O Server that hosts the device."),
        device!("lpar_id", "Number of that server."),
        device!("type", "Kind: sriov."),
        device!("adapter_id", "SR-IOV adapter."),
        device!("physical_port_id", "Physical port."),
        device!("logical_port_id", "Logical port."),
        device!("capacity", "Capacity in percent of the physical port."),
        device!("desired_capacity", "Wished capacity."),
        device!("max_capacity", "Most capacity."),
        device!("desired_max_capacity", "Wished most capacity."),
        device!("failover_priority", "Priority, 1 is best."),
        device!("is_active", "1: the vNIC uses it."),
        device!("status", "Operational, Link Down, NotOperational, Powered Off."),
    ],
};
