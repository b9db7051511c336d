//! `lshwres -r sriov`: adapters, physical ports and logical ports. Names and order: live captures.

use std::sync::Arc;

use super::profile::RemoteNames;
use super::{Attribute, Change, Release, Table, Value};
use crate::ids::{LogicalPortId, MacAddress, PhysicalPortId, SriovAdapterId};
use crate::partition::{PartitionEntry, PartitionState};
use crate::rules::sriov::{BACKING_CONFIGURATION_ID, PROMISCUOUS_MAX, PortUse, uses};
use crate::sriov::{
    Capacity, LogicalPort, SriovAdapterDescription, SriovAdapterSettings, SriovPortDescription,
    SriovPortSettings, SriovPortType,
};
use crate::system::ManagedSystem;

/// First console release that knows a largest capacity of logical ports.
pub const MAXIMUM_CAPACITY_SINCE: Release = Release(9, 1, 9, 40);

/// A row of `--rsubtype adapter`.
#[derive(Clone, Debug)]
pub struct SriovAdapterRow {
    /// The adapter.
    pub adapter: SriovAdapterDescription,
    /// How it is set up.
    pub settings: SriovAdapterSettings,
}

impl SriovAdapterRow {
    /// What only an adapter in shared mode has.
    fn shared(&self, value: impl std::fmt::Display) -> Value {
        if self.settings.adapter.is_some() { Value::of(value) } else { Value::of("null") }
    }
}

/// Attributes of `lshwres -r sriov --rsubtype adapter`.
pub static SRIOV_ADAPTERS: Table<SriovAdapterRow> = Table {
    name: "sriov adapter",
    attributes: &[
        Attribute::new("adapter_id", "Number in shared mode; null.", |row: &SriovAdapterRow| {
            Value::of(row.settings.adapter.map_or_else(|| "null".to_owned(), |id| id.to_string()))
        })
        .change(Change::Anytime),
        Attribute::new("slot_id", "DRC index of its slot.", |row: &SriovAdapterRow| {
            Value::of(format_args!("{:08X}", row.adapter.drc_index))
        })
        .change(Change::Anytime),
        Attribute::new("adapter_max_logical_ports", "Most logical ports.", |row: &SriovAdapterRow| {
            row.shared(row.adapter.maximum_logical_ports)
        }),
        Attribute::new("config_state", "sriov, dedicated.", |row: &SriovAdapterRow| {
            Value::of(if row.settings.adapter.is_some() { "sriov" } else { "dedicated" })
        }),
        Attribute::new("functional_state", "1: it works.", |_: &SriovAdapterRow| Value::of(1)),
        Attribute::new("logical_ports", "Logical ports.", |row: &SriovAdapterRow| {
            row.shared(row.adapter.maximum_logical_ports)
        }),
        Attribute::new("phys_loc", "Location code.", |row: &SriovAdapterRow| {
            Value::of(&row.adapter.location)
        }),
        Attribute::new("phys_ports", "Physical ports.", |row: &SriovAdapterRow| {
            row.shared(row.adapter.ports.len())
        }),
        Attribute::new("sriov_status", "running; null in dedicated mode.", |row: &SriovAdapterRow| {
            row.shared("running")
        }),
        Attribute::new("alternate_config", "1: another configuration is in force.", |_: &SriovAdapterRow| {
            Value::of(0)
        }),
        Attribute::new(
            "custom_max_capacity_capable",
            "1: a largest capacity can be set.",
            |row: &SriovAdapterRow| row.shared(1),
        )
        .since(MAXIMUM_CAPACITY_SINCE),
        Attribute::new(
            "custom_min_capacity_capable",
            "1: the smallest capacity can be set.",
            |row: &SriovAdapterRow| row.shared(0),
        )
        .since(MAXIMUM_CAPACITY_SINCE),
    ],
};

/// A physical port as it is now, seen by the hypervisor; `None` where nobody carries frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames that came in.
    pub received_frames: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// Frames that came in and were dropped.
    pub receive_drops: u64,
    /// Frames that went out.
    pub transmitted_frames: u64,
    /// Bytes of them.
    pub transmitted_bytes: u64,
    /// Frames to go out that were dropped.
    pub transmit_drops: u64,
}

/// A row of `--rsubtype physport`.
#[derive(Clone, Debug)]
pub struct PhysicalPortRow {
    /// Adapter.
    pub adapter: SriovAdapterId,
    /// Number of the port.
    pub port: PhysicalPortId,
    /// Smallest step of a capacity on the adapter.
    pub granularity: Capacity,
    /// The port.
    pub description: SriovPortDescription,
    /// How it is set up.
    pub settings: SriovPortSettings,
    /// What is taken of it.
    pub taken: PortUse,
    /// Whether its link is up; `None` where nobody knows.
    pub link_up: Option<bool>,
    /// Counters.
    pub counters: PortCounters,
}

impl PhysicalPortRow {
    fn speed(&self) -> u32 {
        let wished = self.settings.speed.unwrap_or(self.description.speed);
        if self.link_up == Some(false) { 0 } else { wished }
    }
}

fn is_roce(row: &PhysicalPortRow) -> bool {
    row.description.kind == SriovPortType::RdmaOverConvergedEthernet
}

/// Attributes of `lshwres -r sriov --rsubtype physport`.
pub static PHYSICAL_PORTS: Table<PhysicalPortRow> = Table {
    name: "sriov physport",
    attributes: &[
        Attribute::new("adapter_id", "Adapter.", |row: &PhysicalPortRow| Value::of(row.adapter))
            .change(Change::Anytime),
        Attribute::new("phys_port_id", "Number, from 0 on.", |row: &PhysicalPortRow| Value::of(row.port))
            .change(Change::Anytime),
        Attribute::new("phys_port_label", "Label; mobility pairs ports by it.", |row: &PhysicalPortRow| {
            Value::of(&row.settings.label)
        })
        .change(Change::Anytime),
        Attribute::new("phys_port_sub_label", "Sublabel.", |row: &PhysicalPortRow| {
            Value::of(&row.settings.sub_label)
        })
        .change(Change::Anytime),
        Attribute::new("phys_port_loc", "Location on the adapter: T1 and on.", |row: &PhysicalPortRow| {
            Value::of(&row.description.location)
        }),
        Attribute::new("phys_port_type", "eth, ethc, roce.", |row: &PhysicalPortRow| {
            Value::of(row.description.kind.word())
        }),
        Attribute::new("state", "1: the link is up.", |row: &PhysicalPortRow| {
            row.link_up.map_or_else(|| Value::of("unavailable"), Value::flag)
        }),
        Attribute::new("config_logical_ports", "Logical ports in use.", |row: &PhysicalPortRow| {
            Value::of(row.taken.ports)
        }),
        Attribute::new("phys_port_max_logical_ports", "Most logical ports.", |row: &PhysicalPortRow| {
            Value::of(row.description.maximum_logical_ports)
        }),
        Attribute::new(
            "supported_max_eth_logical_ports",
            "Most Ethernet logical ports of the hardware.",
            |row: &PhysicalPortRow| Value::of(row.description.maximum_logical_ports),
        ),
        Attribute::new(
            "max_eth_logical_ports",
            "Most Ethernet logical ports that may be configured.",
            |row: &PhysicalPortRow| Value::of(row.settings.maximum_ethernet_ports),
        )
        .change(Change::Anytime),
        Attribute::new(
            "curr_eth_logical_ports",
            "Ethernet logical ports in use.",
            |row: &PhysicalPortRow| Value::of(row.taken.ports),
        ),
        Attribute::new("max_diag_ports", "Most logical ports for diagnostics.", |_: &PhysicalPortRow| {
            Value::of(1)
        }),
        Attribute::new("max_promisc_ports", "Most promiscuous logical ports.", |_: &PhysicalPortRow| {
            Value::of(PROMISCUOUS_MAX)
        }),
        Attribute::new("capabilities", "What the port can do.", |_: &PhysicalPortRow| {
            let words = [
                "pvid_priority_capable",
                "port_vlan_id_capable",
                "mac_vlan_consistency_capable",
                "clear_phys_port_stat_capable",
                "clear_logical_port_stat_capable",
            ];
            Value::List(words.map(str::to_owned).to_vec())
        }),
        Attribute::new("conn_speed", "Speed in Mbit/s, 0 without link.", |row: &PhysicalPortRow| {
            Value::of(row.speed())
        }),
        Attribute::new("config_conn_speed", "Wished speed in Mbit/s, or auto.", |row: &PhysicalPortRow| {
            Value::of(row.settings.speed.map_or_else(|| "auto".to_owned(), |speed| speed.to_string()))
        })
        .change(Change::Anytime),
        Attribute::new("max_recv_packet_size", "Largest packet in bytes.", |row: &PhysicalPortRow| {
            Value::of(row.settings.maximum_payload)
        }),
        Attribute::new("config_max_recv_packet_size", "1500, 9000.", |row: &PhysicalPortRow| {
            Value::of(row.settings.maximum_payload)
        })
        .change(Change::Anytime),
        Attribute::new("recv_flow_control", "1: takes pause frames.", |row: &PhysicalPortRow| {
            Value::flag(row.settings.receive_flow_control)
        }),
        Attribute::new("config_recv_flow_control", "1: takes pause frames.", |row: &PhysicalPortRow| {
            Value::flag(row.settings.receive_flow_control)
        })
        .change(Change::Anytime),
        Attribute::new("trans_flow_control", "1: sends pause frames.", |row: &PhysicalPortRow| {
            Value::flag(row.settings.transmit_flow_control)
        }),
        Attribute::new("config_trans_flow_control", "1: sends pause frames.", |row: &PhysicalPortRow| {
            Value::flag(row.settings.transmit_flow_control)
        })
        .change(Change::Anytime),
        Attribute::new("veb_mode", "1: passes frames between its logical ports.", |row: &PhysicalPortRow| {
            Value::flag(row.settings.bridge)
        })
        .change(Change::Anytime),
        Attribute::new("vepa_mode", "1: all frames go out to the switch.", |row: &PhysicalPortRow| {
            Value::flag(!row.settings.bridge)
        })
        .change(Change::Anytime),
        Attribute::new("priority_flow_control_active", "1: by priority.", |_: &PhysicalPortRow| Value::of(0)),
        Attribute::new("mac_addr", "Burned-in address.", |_: &PhysicalPortRow| Value::of("unavailable")),
        Attribute::new("adapter_lldp", "1: the adapter speaks LLDP.", |_: &PhysicalPortRow| Value::of(1)),
        Attribute::new(
            "min_eth_capacity_granularity",
            "Smallest step of a capacity in percent.",
            |row: &PhysicalPortRow| Value::of(row.granularity),
        )
        .on_request(),
        Attribute::new(
            "min_roce_capacity_granularity",
            "Smallest step of a capacity for RDMA in percent.",
            |row: &PhysicalPortRow| {
                if is_roce(row) { Value::of(row.granularity) } else { Value::NotApplicable }
            },
        )
        .on_request(),
    ],
};

/// The name of a logical port's host bridge. The base is what live listings have.
fn bridge_name(id: LogicalPortId) -> String {
    format!("PHB {}", 4_099 + 128 * u32::from(id.adapter().0) + u32::from(id.number()))
}

/// A row of `--rsubtype logport` without a level: a logical port that nobody has.
#[derive(Clone, Debug)]
pub struct FreePortRow {
    /// Number.
    pub id: LogicalPortId,
    /// Location code.
    pub location: String,
}

/// Attributes of `lshwres -r sriov --rsubtype logport` without a level.
pub static UNCONFIGURED_PORTS: Table<FreePortRow> = Table {
    name: "sriov logport",
    attributes: &[
        Attribute::new("adapter_id", "Adapter.", |row: &FreePortRow| Value::of(row.id.adapter())),
        Attribute::new("logical_port_id", "Number.", |row: &FreePortRow| Value::of(row.id)),
        Attribute::new("logical_port_type", "unconfigured.", |_: &FreePortRow| Value::of("unconfigured")),
        Attribute::new("drc_name", "Host bridge.", |row: &FreePortRow| Value::of(bridge_name(row.id))),
        Attribute::new("location_code", "Location code.", |row: &FreePortRow| Value::of(&row.location)),
    ],
};

/// A row of `--rsubtype logport --level eth`: a logical port that somebody has.
#[derive(Clone, Debug)]
pub struct LogicalPortRow {
    /// Who has it: the partition, or the Virtual I/O Server of a backing device.
    pub owner: (Option<u16>, String),
    /// Its state.
    pub state: &'static str,
    /// The port.
    pub port: LogicalPort,
    /// Its number.
    pub id: LogicalPortId,
    /// `eth`, `roce`.
    pub kind: SriovPortType,
    /// Location code of its physical port.
    pub location: String,
    /// Client of the virtual NIC that it is behind.
    pub client: Option<(u16, String)>,
    /// Counters.
    pub counters: PortCounters,
}

fn address(address: Option<MacAddress>) -> Value {
    Value::of(address.unwrap_or(MacAddress(0)))
}

/// Attributes of `lshwres -r sriov --rsubtype logport --level {eth | roce}`.
pub static LOGICAL_PORTS: Table<LogicalPortRow> = Table {
    name: "sriov logport eth",
    attributes: &[
        Attribute::new(
            "config_id",
            "Number within its configuration; from 16384 on behind virtual NICs.",
            |row: &LogicalPortRow| Value::of(row.port.configuration_id.unwrap_or(0)),
        )
        .change(Change::AtCreation),
        Attribute::new("lpar_name", "Partition.", |row: &LogicalPortRow| Value::of(&row.owner.1)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &LogicalPortRow| {
            Value::or_none(row.owner.0)
        }),
        Attribute::new("lpar_state", "State of the partition.", |row: &LogicalPortRow| Value::of(row.state)),
        Attribute::new("is_required", "The partition needs it: 0, 1.", |row: &LogicalPortRow| {
            Value::flag(row.port.required)
        })
        .change(Change::AtCreation),
        Attribute::new("adapter_id", "Adapter.", |row: &LogicalPortRow| Value::of(row.port.adapter))
            .change(Change::AtCreation),
        Attribute::new("logical_port_id", "Number.", |row: &LogicalPortRow| Value::of(row.id))
            .change(Change::Anytime),
        Attribute::new("logical_port_type", "eth, roce.", |row: &LogicalPortRow| Value::of(row.kind.word()))
            .change(Change::AtCreation),
        Attribute::new("drc_name", "Host bridge.", |row: &LogicalPortRow| Value::of(bridge_name(row.id))),
        Attribute::new("location_code", "Location code.", |row: &LogicalPortRow| {
            Value::of(format_args!("{}-S{}", row.location, row.id.number()))
        }),
        Attribute::new("functional_state", "1: it works.", |_: &LogicalPortRow| Value::of(1)),
        Attribute::new("phys_port_id", "Physical port.", |row: &LogicalPortRow| {
            Value::of(row.port.physical_port)
        })
        .change(Change::AtCreation),
        Attribute::new("debug_mode", "1: for debugging.", |_: &LogicalPortRow| Value::of(0)),
        Attribute::new("diag_mode", "1: for diagnostics.", |row: &LogicalPortRow| {
            Value::flag(row.port.diagnostic)
        })
        .change(Change::Anytime),
        Attribute::new(
            "huge_dma_window_mode",
            "1: large windows for direct memory access.",
            |row: &LogicalPortRow| Value::flag(row.port.huge_dma_window),
        )
        .change(Change::Anytime),
        Attribute::new(
            "capacity",
            "Assured share of the physical port in percent.",
            |row: &LogicalPortRow| Value::of(row.port.capacity.unwrap_or_default()),
        )
        .change(Change::AtCreation),
        Attribute::new("max_capacity", "Largest share in percent.", |row: &LogicalPortRow| {
            Value::of(row.port.maximum_capacity)
        })
        .change(Change::AtCreation)
        .since(MAXIMUM_CAPACITY_SINCE),
        Attribute::new("promisc_mode", "1: gets all that nobody else gets.", |row: &LogicalPortRow| {
            Value::flag(row.port.promiscuous)
        })
        .change(Change::AtCreation),
        Attribute::new("mac_addr", "MAC address.", |row: &LogicalPortRow| address(row.port.mac_address))
            .change(Change::AtCreation),
        Attribute::new("curr_mac_addr", "MAC address in use.", |row: &LogicalPortRow| {
            address(row.port.mac_address)
        }),
        Attribute::new(
            "allowed_os_mac_addrs",
            "MAC addresses that the operating system may use: all, none, a list.",
            |row: &LogicalPortRow| Value::of(&row.port.allowed_mac_addresses),
        )
        .change(Change::Anytime),
        Attribute::new(
            "allowed_vlan_ids",
            "VLANs that the operating system may use: all, none, a list.",
            |row: &LogicalPortRow| Value::of(&row.port.allowed_vlan_ids),
        )
        .change(Change::Anytime),
        Attribute::new("port_vlan_id", "VLAN of untagged frames, 0 for none.", |row: &LogicalPortRow| {
            Value::of(row.port.port_vlan_id)
        })
        .change(Change::Anytime),
        Attribute::new("is_vnic_backing_device", "1: behind a virtual NIC.", |row: &LogicalPortRow| {
            Value::flag(row.client.is_some())
        }),
        Attribute::new("mode", "ded.", |_: &LogicalPortRow| Value::of("ded")),
        Attribute::new("client_lpar_names", "Client of the virtual NIC.", |row: &LogicalPortRow| {
            Value::or_none(row.client.as_ref().map(|(_, name)| name))
        }),
        Attribute::new("client_lpar_ids", "Its number.", |row: &LogicalPortRow| {
            Value::or_none(row.client.as_ref().map(|(id, _)| id))
        }),
        Attribute::new("pvid_priority", "Priority of untagged frames, 0 to 7.", |row: &LogicalPortRow| {
            Value::of(row.port.port_vlan_priority)
        })
        .change(Change::Anytime)
        .on_request(),
    ],
};

macro_rules! counters {
    ($row:ty) => {
        [
            Attribute::new("recv_packets", "Frames that came in.", |row: &$row| {
                Value::of(row.counters.received_frames)
            })
            .unverified(),
            Attribute::new("recv_bytes", "Bytes of them.", |row: &$row| {
                Value::of(row.counters.received_bytes)
            })
            .unverified(),
            Attribute::new("recv_dropped_packets", "Frames that came in and were dropped.", |row: &$row| {
                Value::of(row.counters.receive_drops)
            })
            .unverified(),
            Attribute::new("trans_packets", "Frames that went out.", |row: &$row| {
                Value::of(row.counters.transmitted_frames)
            })
            .unverified(),
            Attribute::new("trans_bytes", "Bytes of them.", |row: &$row| {
                Value::of(row.counters.transmitted_bytes)
            })
            .unverified(),
            Attribute::new("trans_dropped_packets", "Frames to go out that were dropped.", |row: &$row| {
                Value::of(row.counters.transmit_drops)
            })
            .unverified(),
        ]
    };
}

const PHYSICAL_COUNTERS: [Attribute<PhysicalPortRow>; 6] = counters!(PhysicalPortRow);
const LOGICAL_COUNTERS: [Attribute<LogicalPortRow>; 6] = counters!(LogicalPortRow);

/// Attributes of `lshwres -r sriov --rsubtype physport --sriovstat`.
pub static PHYSICAL_PORT_STATISTICS: Table<PhysicalPortRow> = Table {
    name: "sriov physport statistics",
    attributes: &[
        Attribute::new("adapter_id", "Adapter.", |row: &PhysicalPortRow| Value::of(row.adapter)),
        Attribute::new("phys_port_id", "Number, from 0 on.", |row: &PhysicalPortRow| Value::of(row.port)),
        PHYSICAL_COUNTERS[0],
        PHYSICAL_COUNTERS[1],
        PHYSICAL_COUNTERS[2],
        PHYSICAL_COUNTERS[3],
        PHYSICAL_COUNTERS[4],
        PHYSICAL_COUNTERS[5],
    ],
};

/// Attributes of `lshwres -r sriov --rsubtype logport --sriovstat`.
pub static LOGICAL_PORT_STATISTICS: Table<LogicalPortRow> = Table {
    name: "sriov logport statistics",
    attributes: &[
        Attribute::new("adapter_id", "Adapter.", |row: &LogicalPortRow| Value::of(row.port.adapter)),
        Attribute::new("logical_port_id", "Number.", |row: &LogicalPortRow| Value::of(row.id)),
        LOGICAL_COUNTERS[0],
        LOGICAL_COUNTERS[1],
        LOGICAL_COUNTERS[2],
        LOGICAL_COUNTERS[3],
        LOGICAL_COUNTERS[4],
        LOGICAL_COUNTERS[5],
    ],
};

/// The rows of physical ports of adapters in shared mode, by adapter and port. `entries` are all partitions.
#[must_use]
pub fn physical_ports(system: &ManagedSystem, entries: &[PartitionEntry]) -> Vec<PhysicalPortRow> {
    let mut taken: std::collections::BTreeMap<_, PortUse> = std::collections::BTreeMap::new();
    for content in entries.iter().filter_map(|entry| entry.partition.current.as_ref()) {
        for (place, own) in uses(content) {
            taken.entry(place).or_default().add(own);
        }
    }
    let mut rows = Vec::new();
    for (adapter, settings) in system.sriov_adapters() {
        let Some(id) = settings.adapter else { continue };
        for (index, (description, port)) in adapter.ports.iter().zip(&settings.ports).enumerate() {
            let number = PhysicalPortId(u8::try_from(index).unwrap_or(u8::MAX));
            rows.push(PhysicalPortRow {
                adapter: id,
                port: number,
                granularity: adapter.granularity,
                description: description.clone(),
                settings: port.clone(),
                taken: taken.get(&(id, number)).copied().unwrap_or_default(),
                link_up: None,
                counters: PortCounters::default(),
            });
        }
    }
    rows
}

/// Logical ports that nobody has, by number.
#[must_use]
pub fn unconfigured_ports(system: &ManagedSystem, taken: &[LogicalPortId]) -> Vec<FreePortRow> {
    let mut rows = Vec::new();
    for (adapter, settings) in system.sriov_adapters() {
        let Some(id) = settings.adapter else { continue };
        let numbers = (1..=adapter.maximum_logical_ports).map(|number| LogicalPortId::on(id, number));
        let free = numbers.filter(|port| !taken.contains(port));
        rows.extend(
            free.map(|id| FreePortRow { id, location: format!("{}-S{}", adapter.location, id.number()) }),
        );
    }
    rows
}

/// Logical ports that partitions have, with those behind their virtual NICs, by number.
#[must_use]
pub fn logical_ports(
    system: &Arc<ManagedSystem>,
    entries: &[PartitionEntry],
    names: &RemoteNames,
    state_of: &dyn Fn(u16) -> PartitionState,
) -> Vec<LogicalPortRow> {
    let location = |adapter: SriovAdapterId, port: PhysicalPortId| {
        let adapter = system.shared_adapter(adapter).map(|(adapter, _)| adapter);
        let port = adapter.and_then(|adapter| adapter.ports.get(usize::from(port.0)));
        port.map(|port| port.location.clone()).unwrap_or_default()
    };
    let mut rows = Vec::new();
    for entry in entries {
        let Some(content) = &entry.partition.current else { continue };
        let partition = (entry.partition.id.0, entry.partition.name.clone());
        let kinds = [
            (&content.ethernet_logical_ports, SriovPortType::Ethernet),
            (&content.roce_logical_ports, SriovPortType::RdmaOverConvergedEthernet),
        ];
        for (port, kind) in kinds.iter().flat_map(|(list, kind)| list.iter().map(move |port| (port, *kind))) {
            let Some(id) = port.id else { continue };
            rows.push(LogicalPortRow {
                owner: (Some(partition.0), partition.1.clone()),
                state: entry.runtime.state.word(),
                port: port.clone(),
                id,
                kind,
                location: location(port.adapter, port.physical_port),
                client: None,
                counters: PortCounters::default(),
            });
        }
        for (number, (nic, device)) in (BACKING_CONFIGURATION_ID..).zip(content.backing_devices()) {
            let Some(id) = device.logical_port else { continue };
            let server = device.server;
            let mut port = LogicalPort::new(device.adapter, device.physical_port);
            port.configuration_id = Some(number);
            port.required = false;
            port.id = Some(id);
            port.capacity = device.capacity;
            port.maximum_capacity = device.maximum_capacity;
            port.mac_address = nic.mac_address;
            port.allowed_mac_addresses.clone_from(&nic.allowed_mac_addresses);
            port.allowed_vlan_ids.clone_from(&nic.allowed_vlan_ids);
            port.port_vlan_id = nic.port_vlan_id;
            port.port_vlan_priority = nic.port_vlan_priority;
            rows.push(LogicalPortRow {
                owner: (
                    server.map(|id| id.0),
                    server.and_then(|id| names.get(&id).cloned()).unwrap_or_default(),
                ),
                state: server.map_or("null", |id| state_of(id.0).word()),
                port,
                id,
                kind: SriovPortType::Ethernet,
                location: location(device.adapter, device.physical_port),
                client: Some(partition.clone()),
                counters: PortCounters::default(),
            });
        }
    }
    rows.sort_by_key(|row| row.id);
    rows
}
