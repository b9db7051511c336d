//! `lshwres -r virtualio`: virtual adapters, slots and switches. Names and order: live captures (V7, POWER8).

use std::sync::Arc;

use super::memory::SystemResourceRow;
use super::profile::RemoteNames;
use super::{Attribute, Change, Table, Value};
use crate::adapters::{
    ADDITIONAL_VLANS_MAX, AdapterSide, Remote, RemoteSlot, VirtualEthernetAdapter,
    VirtualFibreChannelAdapter, VirtualScsiAdapter, VirtualSerialAdapter,
};
use crate::ids::VirtualSlot;
use crate::partition::PartitionEntry;
use crate::rules::addresses;
use crate::rules::virtual_io::{VIRTUAL_SWITCHES_MAX, next_free_slot};
use crate::rules::virtual_network::VirtualNetwork;
use crate::system::{ManagedSystem, SwitchMode};

/// A row: one adapter of a partition's current configuration.
#[derive(Clone, Debug)]
pub struct AdapterRow<Adapter> {
    /// Managed system.
    pub system: Arc<ManagedSystem>,
    /// Partition.
    pub entry: PartitionEntry,
    /// Names of the partitions that adapters refer to.
    pub names: Arc<RemoteNames>,
    /// Adapter.
    pub adapter: Adapter,
}

type EthernetRow = AdapterRow<VirtualEthernetAdapter>;
type ScsiRow = AdapterRow<VirtualScsiAdapter>;
type FibreChannelRow = AdapterRow<VirtualFibreChannelAdapter>;
type SerialRow = AdapterRow<VirtualSerialAdapter>;

impl<Adapter> AdapterRow<Adapter> {
    fn name(&self) -> Value {
        Value::of(&self.entry.partition.name)
    }

    fn id(&self) -> Value {
        Value::of(self.entry.partition.id)
    }

    /// An adapter is there for a running partition's operating system only.
    fn state(&self) -> Value {
        Value::flag(self.entry.runtime.state.holds_resources())
    }

    fn remote_id(&self, remote: &Remote) -> Value {
        match remote {
            Remote::Any => Value::of("any"),
            Remote::Partition { id, .. } => Value::or_none(*id),
        }
    }

    /// `null` for a partition that does not exist, as captured.
    fn remote_name(&self, remote: &Remote) -> Value {
        match remote {
            Remote::Any => Value::of(""),
            Remote::Partition { id, .. } => {
                Value::of(id.and_then(|id| self.names.get(&id)).map_or("null", String::as_str))
            }
        }
    }
}

fn remote_slot(slot: RemoteSlot) -> Value {
    match slot {
        RemoteSlot::Any => Value::of("any"),
        RemoteSlot::Unset => Value::of("none"),
        RemoteSlot::Slot(slot) => Value::of(slot),
    }
}

/// Attributes of `lshwres -r virtualio --rsubtype eth --level sys`.
pub static SYSTEM_ETHERNET: Table<SystemResourceRow> = Table {
    name: "virtualio eth sys",
    attributes: &[
        Attribute::new(
            "max_vlans_per_port",
            "Most additional VLANs of an adapter.",
            |_: &SystemResourceRow| Value::of(ADDITIONAL_VLANS_MAX),
        )
        .unverified(),
        Attribute::new("max_virtual_switches", "Most virtual switches.", |_: &SystemResourceRow| {
            Value::of(VIRTUAL_SWITCHES_MAX)
        })
        .unverified(),
        Attribute::new("num_vswitches", "Virtual switches that there are.", |row: &SystemResourceRow| {
            Value::of(row.virtual_switches().count())
        })
        .unverified(),
        Attribute::new(
            "mac_prefix",
            "What generated MAC addresses begin with.",
            |row: &SystemResourceRow| {
                // Machine bits end within the seventh digit; six are the same for every generated address.
                let first = addresses::mac_address(&row.hardware.identity, 0).to_string();
                Value::of(&first[..6])
            },
        )
        .unverified(),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype eth --level lpar`.
pub static ETHERNET: Table<EthernetRow> = Table {
    name: "virtualio eth",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &EthernetRow| row.name()),
        Attribute::new("lpar_id", "Number of the partition.", |row: &EthernetRow| row.id()),
        Attribute::new("slot_num", "Virtual slot.", |row: &EthernetRow| Value::of(row.adapter.slot)),
        Attribute::new("state", "1: the partition runs with it.", |row: &EthernetRow| row.state()),
        Attribute::new("is_required", "The partition needs it: 0, 1.", |row: &EthernetRow| {
            Value::flag(row.adapter.required)
        })
        .change(Change::WhenShutDown),
        Attribute::new("is_trunk", "Bridges to another network: 0, 1.", |row: &EthernetRow| {
            Value::flag(row.adapter.trunk_priority.is_some())
        })
        .change(Change::WhenShutDown),
        Attribute::new("trunk_priority", "Priority of a trunk, 1 to 15.", |row: &EthernetRow| {
            row.adapter.trunk_priority.map_or(Value::NotApplicable, Value::of)
        })
        .change(Change::WhenShutDown),
        Attribute::new(
            "ieee_virtual_eth",
            "Carries tagged VLANs (IEEE 802.1Q): 0, 1.",
            |row: &EthernetRow| Value::flag(row.adapter.ieee),
        )
        .change(Change::WhenShutDown),
        Attribute::new("port_vlan_id", "Port VLAN, 1 to 4094.", |row: &EthernetRow| {
            Value::of(row.adapter.port_vlan_id)
        })
        .change(Change::WhenShutDown),
        Attribute::new("vswitch", "Virtual switch.", |row: &EthernetRow| {
            Value::of(&row.adapter.virtual_switch)
        })
        .change(Change::WhenShutDown),
        Attribute::new("addl_vlan_ids", "Tagged VLANs; also += and -=.", |row: &EthernetRow| {
            Value::List(row.adapter.additional_vlan_ids.iter().map(u16::to_string).collect())
        })
        .change(Change::WhenShutDown),
        Attribute::new("mac_addr", "MAC address.", |row: &EthernetRow| {
            let address = row.adapter.mac_address.map(|address| address.to_string().to_uppercase());
            Value::of(address.unwrap_or_default())
        })
        .change(Change::WhenShutDown),
        // Later consoles list these two by default; the captured POWER8 lines end before them.
        Attribute::new(
            "allowed_os_mac_addrs",
            "MAC addresses that the operating system may use: all, none, a list.",
            |row: &EthernetRow| Value::of(&row.adapter.allowed_mac_addresses),
        )
        .change(Change::WhenShutDown)
        .on_request(),
        Attribute::new("qos_priority", "Quality of service: none, 0 to 7.", |row: &EthernetRow| {
            Value::of(&row.adapter.quality_of_service)
        })
        .change(Change::WhenShutDown)
        .on_request(),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype scsi --level lpar`.
pub static SCSI: Table<ScsiRow> = Table {
    name: "virtualio scsi",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &ScsiRow| row.name()),
        Attribute::new("lpar_id", "Number of the partition.", |row: &ScsiRow| row.id()),
        Attribute::new("slot_num", "Virtual slot.", |row: &ScsiRow| Value::of(row.adapter.slot)),
        Attribute::new("state", "1: the partition runs with it.", |row: &ScsiRow| row.state()),
        Attribute::new("is_required", "The partition needs it: 0, 1.", |row: &ScsiRow| {
            Value::flag(row.adapter.required)
        })
        .change(Change::AtCreation),
        Attribute::new("adapter_type", "client or server.", |row: &ScsiRow| {
            Value::of(row.adapter.side.word())
        })
        .change(Change::AtCreation),
        Attribute::new("remote_lpar_id", "Partition at the other end, or any.", |row: &ScsiRow| {
            row.remote_id(&row.adapter.remote)
        })
        .change(Change::AtCreation),
        Attribute::new("remote_lpar_name", "Its name; null when it does not exist.", |row: &ScsiRow| {
            row.remote_name(&row.adapter.remote)
        })
        .change(Change::AtCreation),
        Attribute::new("remote_slot_num", "Its virtual slot, or any.", |row: &ScsiRow| {
            remote_slot(row.adapter.remote_slot)
        })
        .change(Change::AtCreation),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype fc --level lpar`.
pub static FIBRE_CHANNEL: Table<FibreChannelRow> = Table {
    name: "virtualio fc",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &FibreChannelRow| row.name()),
        Attribute::new("lpar_id", "Number of the partition.", |row: &FibreChannelRow| row.id()),
        Attribute::new("slot_num", "Virtual slot.", |row: &FibreChannelRow| Value::of(row.adapter.slot)),
        Attribute::new("adapter_type", "client or server.", |row: &FibreChannelRow| {
            Value::of(row.adapter.side.word())
        })
        .change(Change::AtCreation),
        Attribute::new("state", "1: the partition runs with it.", |row: &FibreChannelRow| row.state()),
        Attribute::new("is_required", "The partition needs it: 0, 1.", |row: &FibreChannelRow| {
            Value::flag(row.adapter.required)
        })
        .change(Change::AtCreation),
        Attribute::new("remote_lpar_id", "Partition at the other end.", |row: &FibreChannelRow| {
            row.remote_id(&row.adapter.remote)
        })
        .change(Change::AtCreation),
        Attribute::new(
            "remote_lpar_name",
            "Its name; null when it does not exist.",
            |row: &FibreChannelRow| row.remote_name(&row.adapter.remote),
        )
        .change(Change::AtCreation),
        Attribute::new("remote_slot_num", "Its virtual slot.", |row: &FibreChannelRow| {
            remote_slot(row.adapter.remote_slot)
        })
        .change(Change::AtCreation),
        Attribute::new("wwpns", "The client's pair of port names.", |row: &FibreChannelRow| {
            match (row.adapter.side, row.adapter.port_names) {
                (AdapterSide::Client, Some((first, second))) => {
                    Value::List(vec![first.to_string(), second.to_string()])
                }
                _ => Value::NotApplicable,
            }
        })
        .change(Change::AtCreation),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype serial --level lpar`.
pub static SERIAL: Table<SerialRow> = Table {
    name: "virtualio serial",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &SerialRow| row.name()),
        Attribute::new("lpar_id", "Number of the partition.", |row: &SerialRow| row.id()),
        Attribute::new("slot_num", "Virtual slot.", |row: &SerialRow| Value::of(row.adapter.slot)),
        Attribute::new("state", "1: the partition runs with it.", |row: &SerialRow| row.state()),
        Attribute::new("is_required", "The partition needs it: 0, 1.", |row: &SerialRow| {
            Value::flag(row.adapter.required)
        })
        .change(Change::AtCreation),
        // Who is connected is not part of a configuration; the captured line says so too.
        Attribute::new("connect_status", "Connection of the other end.", |_: &SerialRow| {
            Value::of("unavailable")
        }),
        Attribute::new("adapter_type", "client or server.", |row: &SerialRow| {
            Value::of(row.adapter.side.word())
        })
        .change(Change::AtCreation),
        Attribute::new("supports_hmc", "The console may open it: 0, 1.", |row: &SerialRow| {
            Value::flag(row.adapter.supports_console)
        })
        .change(Change::AtCreation),
        Attribute::new("remote_lpar_id", "Partition at the other end, or any.", |row: &SerialRow| {
            row.remote_id(&row.adapter.remote)
        })
        .change(Change::AtCreation),
        Attribute::new("remote_lpar_name", "Its name; null when it does not exist.", |row: &SerialRow| {
            row.remote_name(&row.adapter.remote)
        })
        .change(Change::AtCreation),
        Attribute::new("remote_slot_num", "Its virtual slot, or any.", |row: &SerialRow| {
            remote_slot(row.adapter.remote_slot)
        })
        .change(Change::AtCreation),
    ],
};

fn most_slots(row: &PartitionEntry) -> Value {
    Value::of(row.partition.current.as_ref().map_or(0, |content| content.maximum_virtual_slots))
}

/// Attributes of `lshwres -r virtualio --rsubtype slot --level lpar`.
pub static PARTITION_SLOTS: Table<PartitionEntry> = Table {
    name: "virtualio slot lpar",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &PartitionEntry| Value::of(&row.partition.name)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &PartitionEntry| {
            Value::of(row.partition.id)
        }),
        Attribute::new("curr_max_virtual_slots", "Virtual slots.", most_slots),
        Attribute::new("pend_max_virtual_slots", "Virtual slots after pending changes.", most_slots),
        Attribute::new("next_avail_virtual_slot", "Lowest free slot.", |row: &PartitionEntry| {
            Value::or_none(row.partition.current.as_ref().and_then(next_free_slot))
        }),
    ],
};

/// A row of `lshwres -r virtualio --rsubtype slot --level slot`: a virtual slot in use.
#[derive(Clone, Debug)]
pub struct SlotRow {
    /// Managed system.
    pub system: Arc<ManagedSystem>,
    /// Partition.
    pub entry: PartitionEntry,
    /// Slot.
    pub slot: VirtualSlot,
    /// Kind of adapter in it: `ethernet`, `scsi`, `fc`, `serial`.
    pub kind: &'static str,
    /// Cannot be removed while the partition runs.
    pub required: bool,
}

/// Attributes of `lshwres -r virtualio --rsubtype slot --level slot`.
pub static SLOTS: Table<SlotRow> = Table {
    name: "virtualio slot",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &SlotRow| Value::of(&row.entry.partition.name)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &SlotRow| {
            Value::of(row.entry.partition.id)
        }),
        Attribute::new("slot_num", "Virtual slot.", |row: &SlotRow| Value::of(row.slot)),
        Attribute::new("drc_name", "Location code of the slot.", |row: &SlotRow| {
            let identity = &row.system.hardware.identity;
            let type_model = identity.type_model.replace('-', ".");
            let (partition, slot) = (row.entry.partition.id, row.slot);
            Value::of(format_args!("U{type_model}.{}-V{partition}-C{slot}", identity.serial_number))
        })
        .unverified(),
        Attribute::new("config", "Kind of adapter: ethernet, scsi, fc, serial.", |row: &SlotRow| {
            Value::of(row.kind)
        })
        .unverified(),
        Attribute::new("state", "1: the partition runs with it.", |row: &SlotRow| {
            Value::flag(row.entry.runtime.state.holds_resources())
        })
        .unverified(),
        Attribute::new("is_required", "The partition needs it: 0, 1.", |row: &SlotRow| {
            Value::flag(row.required)
        })
        .unverified(),
    ],
};

/// A row of `lshwres -r virtualio --rsubtype vswitch`: name, the VLANs of the adapters on the switch, sorted, and its mode.
pub type VirtualSwitchRow = (String, Vec<u16>, SwitchMode);

/// Attributes of `lshwres -r virtualio --rsubtype vswitch`.
pub static VIRTUAL_SWITCHES: Table<VirtualSwitchRow> = Table {
    name: "virtualio vswitch",
    attributes: &[
        Attribute::new("vswitch", "Name of the virtual switch.", |row: &VirtualSwitchRow| Value::of(&row.0)),
        Attribute::new("vlan_ids", "VLANs of the adapters on it.", |row: &VirtualSwitchRow| {
            Value::list(row.1.iter().map(u16::to_string).collect())
        }),
        Attribute::new("switch_mode", "VEB, VEPA.", |row: &VirtualSwitchRow| Value::of(row.2.word()))
            .on_request()
            .unverified(),
        Attribute::new("mode", "VEB, VEPA.", |_: &VirtualSwitchRow| Value::NotApplicable)
            .change(Change::Anytime)
            .unlisted()
            .unverified(),
        Attribute::new("new_name", "Another name.", |_: &VirtualSwitchRow| Value::NotApplicable)
            .change(Change::Anytime)
            .unlisted()
            .unverified(),
    ],
};

/// Attributes of `lshwres -r virtualio --rsubtype vnetwork`.
pub static VIRTUAL_NETWORKS: Table<VirtualNetwork> = Table {
    name: "virtualio vnetwork",
    attributes: &[
        Attribute::new("vnetwork", "Name of the virtual network.", |row: &VirtualNetwork| {
            Value::of(row.name())
        })
        .unverified(),
        Attribute::new("is_tagged", "1: its frames carry a tag at some adapter.", |row: &VirtualNetwork| {
            Value::flag(row.tagged)
        })
        .unverified(),
        Attribute::new("vlan_id", "Its VLAN.", |row: &VirtualNetwork| Value::of(row.vlan)).unverified(),
        Attribute::new("vswitch", "Its virtual switch.", |row: &VirtualNetwork| Value::of(&row.switch))
            .unverified(),
    ],
};
