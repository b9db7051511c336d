//! From a partition's current configuration to what an engine needs to power it on.

mod network;

use std::net::Ipv4Addr;
use std::sync::Arc;

use varan_contract::engine::{
    AdapterAddress, AllowedAddresses, BootDisk, BootMode as EngineBootMode, DeviceAdapterKind, Generation,
    GuestAdapter, GuestDeviceAdapter, GuestEthernetPort, GuestIoSlot, GuestNetworkAdapter,
    GuestSpecification, Installation, Personality,
};
use varan_contract::network::HypervisorNetwork;
use varan_model::adapters::{AdapterSide, Remote, RemoteSlot, VirtualEthernetAdapter};
use varan_model::configuration::{BootMode, Configuration};
use varan_model::hardware::{SlotDescription, SlotPort};
use varan_model::ids::{MacAddress, PartitionId, PartitionUuid, VirtualSlot};
use varan_model::partition::{GuestEngine, GuestInstallation, PartitionEntry};

use crate::decide::allocation;
use crate::world::World;

/// Where the internal boot disks of partitions are. They stand in until virtual SCSI serves real ones.
pub trait BootDisks: Send + Sync {
    /// Opens the boot disk of a partition; makes a blank one where there is none.
    ///
    /// # Errors
    /// Whatever the storage reports.
    fn open(&self, partition: PartitionUuid) -> std::io::Result<Arc<dyn BootDisk>>;
    /// Removes the boot disk of a partition that is gone.
    fn remove(&self, partition: PartitionUuid);
    /// Loses a disk on purpose (`true`), or brings it back as it was. Of no meaning for a disk that is removed.
    ///
    /// # Errors
    /// These disks cannot be lost.
    fn lose(&self, partition: PartitionUuid, lost: bool) -> std::io::Result<()> {
        let _ = (partition, lost);
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Addresses that guests on the management VLAN get when they ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagementNetwork {
    /// Network address.
    pub network: Ipv4Addr,
    /// Prefix length.
    pub prefix: u8,
    /// Number of this system within the site; each has a range of its own.
    pub system_index: u16,
}

/// Addresses of one system's range.
const ADDRESSES_PER_SYSTEM: u32 = 4_096;

impl ManagementNetwork {
    /// The address of a partition; `None` where the network has no room for it.
    #[must_use]
    pub fn address(&self, partition: PartitionId) -> Option<(Ipv4Addr, u8)> {
        // The first 256 addresses are for consoles and gateways.
        let offset = 256 + u32::from(self.system_index) * ADDRESSES_PER_SYSTEM + u32::from(partition.0);
        let size = 1u64 << (32 - u32::from(self.prefix.min(32)));
        if u32::from(partition.0) >= ADDRESSES_PER_SYSTEM || u64::from(offset) + 1 >= size {
            return None;
        }
        Some((Ipv4Addr::from(u32::from(self.network).checked_add(offset)?), self.prefix))
    }
}

/// What guests get from the site.
#[derive(Clone)]
pub struct GuestSettings {
    /// Boot disks.
    pub boot_disks: Arc<dyn BootDisks>,
    /// Management network; `None` where nobody answers DHCP.
    pub network: Option<ManagementNetwork>,
    /// What carries frames in the frame.
    pub hypervisor: Arc<dyn HypervisorNetwork>,
}

/// Builds the specification of a partition that was activated.
///
/// # Errors
/// When its boot disk cannot be opened.
pub fn specification(
    world: &World,
    entry: &PartitionEntry,
    settings: &GuestSettings,
) -> std::io::Result<GuestSpecification> {
    let partition = &entry.partition;
    let hardware = &world.system().hardware;
    let content = partition.current.clone().unwrap_or_default();
    let installation = &partition.installation;
    let mode = partition.settings.compatibility_mode.as_str();
    Ok(GuestSpecification {
        partition: partition.uuid,
        generation: Generation(entry.runtime.generation),
        name: partition.name.clone(),
        id: partition.id,
        machine: hardware.identity.clone(),
        processor_mode: if mode == "default" {
            hardware.family.native_mode().to_owned()
        } else {
            mode.to_owned()
        },
        memory_megabytes: content.desired_memory,
        maximum_memory_megabytes: content.maximum_memory,
        processors: allocation(&content),
        boot_mode: engine_boot_mode(entry.runtime.boot_mode.unwrap_or(partition.settings.boot_mode)),
        network_adapters: network_adapters(world, entry, settings),
        device_adapters: device_adapters(&content),
        io_slots: io_slots(world, &content),
        logical_ports: network::logical_ports(world, &content),
        virtual_nics: content.virtual_nics.iter().map(network::virtual_nic).collect(),
        vnic_servers: network::vnic_servers(world, partition.id),
        boot_disk: match installation.engine {
            GuestEngine::Embedded => Some(settings.boot_disks.open(partition.uuid)?),
            // Its disks are the ones that its adapters lead to.
            GuestEngine::Qemu(_) => None,
        },
        installation: Installation {
            personality: personality(&installation.personality),
            level: level(installation),
            hostname: if installation.hostname.is_empty() {
                partition.name.clone()
            } else {
                installation.hostname.clone()
            },
            address: installation.address,
        },
        engine: installation.engine.clone(),
    })
}

/// The level of a new installation where nothing else is said: levels that the documents show.
fn level(installation: &GuestInstallation) -> String {
    let usual = match installation.personality.as_str() {
        "linux" => "7.3",
        "vios" => "2.2.5.10",
        "ibmi" => "V7R3M0",
        _ => "7100-03-05-1524",
    };
    if installation.level.is_empty() { usual.to_owned() } else { installation.level.clone() }
}

fn personality(word: &str) -> Personality {
    match word {
        "linux" => Personality::Linux,
        "vios" => Personality::VirtualIoServer,
        "ibmi" => Personality::IbmI,
        _ => Personality::Aix,
    }
}

fn engine_boot_mode(mode: BootMode) -> EngineBootMode {
    match mode {
        BootMode::Normal => EngineBootMode::Normal,
        BootMode::DiagnosticsDefault => EngineBootMode::DiagnosticsDefault,
        BootMode::DiagnosticsStored => EngineBootMode::DiagnosticsStored,
        BootMode::OpenFirmware => EngineBootMode::OpenFirmware,
        BootMode::SystemManagementServices => EngineBootMode::SystemManagementServices,
    }
}

fn network_adapters(
    world: &World,
    entry: &PartitionEntry,
    settings: &GuestSettings,
) -> Vec<GuestNetworkAdapter> {
    let content = entry.partition.current.as_ref();
    let adapters = content.map(|content| content.ethernet_adapters.as_slice()).unwrap_or_default();
    let mut network: Vec<GuestNetworkAdapter> =
        adapters.iter().map(|adapter| network_adapter(world, entry, settings, adapter)).collect();
    network.sort_by_key(|adapter| adapter.slot);
    network
}

fn network_adapter(
    world: &World,
    entry: &PartitionEntry,
    settings: &GuestSettings,
    adapter: &VirtualEthernetAdapter,
) -> GuestNetworkAdapter {
    let (vlan, virtual_switch) = &world.system().hardware.management_vlan;
    let managed = adapter.port_vlan_id == *vlan && adapter.virtual_switch == *virtual_switch;
    GuestNetworkAdapter {
        slot: adapter.slot,
        mac_address: adapter.mac_address.unwrap_or(MacAddress(0)),
        port_vlan_id: adapter.port_vlan_id,
        ieee: adapter.ieee,
        tagged_vlan_ids: adapter.additional_vlan_ids.clone(),
        trunk_priority: adapter.trunk_priority,
        allowed_addresses: allowed_addresses(&adapter.allowed_mac_addresses),
        priority: adapter.quality_of_service.parse().ok(),
        virtual_switch: adapter.virtual_switch.clone(),
        offered_address: settings
            .network
            .filter(|_| managed)
            .and_then(|network| network.address(entry.partition.id)),
    }
}

/// Reads `allowed_os_mac_addrs`: `all`, `none`, or addresses with commas or slashes between them.
pub(crate) fn allowed_addresses(text: &str) -> AllowedAddresses {
    match text {
        "" | "all" => AllowedAddresses::All,
        "none" => AllowedAddresses::None,
        list => {
            AllowedAddresses::Only(list.split([',', '/']).filter_map(|one| one.trim().parse().ok()).collect())
        }
    }
}

/// The partition and slot that an adapter is made for, where it names both.
fn other_end(remote: &Remote, slot: RemoteSlot) -> Option<(PartitionId, VirtualSlot)> {
    match (remote, slot) {
        (Remote::Partition { id: Some(id), .. }, RemoteSlot::Slot(slot)) => Some((*id, slot)),
        _ => None,
    }
}

/// Virtual storage and serial adapters in slot order. Slots 0 and 1 are the console's.
fn device_adapters(content: &Configuration) -> Vec<GuestDeviceAdapter> {
    let server = |side| side == AdapterSide::Server;
    let scsi = content.scsi_adapters.iter().map(|adapter| GuestDeviceAdapter {
        slot: adapter.slot,
        kind: DeviceAdapterKind::Scsi,
        server: server(adapter.side),
        port_name: None,
        remote: other_end(&adapter.remote, adapter.remote_slot),
    });
    let fibre_channel = content.fibre_channel_adapters.iter().map(|adapter| GuestDeviceAdapter {
        slot: adapter.slot,
        kind: DeviceAdapterKind::FibreChannel,
        server: server(adapter.side),
        port_name: adapter.port_names.map(|(first, _)| first),
        remote: other_end(&adapter.remote, adapter.remote_slot),
    });
    let serial = content.serial_adapters.iter().filter(|adapter| adapter.slot.0 > 1);
    let serial = serial.map(|adapter| GuestDeviceAdapter {
        slot: adapter.slot,
        kind: DeviceAdapterKind::Serial,
        server: server(adapter.side),
        port_name: None,
        remote: other_end(&adapter.remote, adapter.remote_slot),
    });
    let mut adapters: Vec<GuestDeviceAdapter> = scsi.chain(fibre_channel).chain(serial).collect();
    adapters.sort_by_key(|adapter| adapter.slot);
    adapters
}

fn ethernet_ports(slot: &SlotDescription) -> Vec<GuestEthernetPort> {
    let ports = slot.ports.iter();
    let port = |port: &SlotPort| {
        Some(GuestEthernetPort { location: port.location.clone(), mac_address: port.mac_address? })
    };
    ports.filter_map(port).collect()
}

fn io_slots(world: &World, content: &Configuration) -> Vec<GuestIoSlot> {
    let known = content.physical_slots.iter().filter_map(|slot| world.system().hardware.slot(slot.drc_index));
    let mut slots: Vec<GuestIoSlot> = known
        .map(|slot| GuestIoSlot {
            drc_index: slot.drc_index,
            location: slot.location.clone(),
            description: slot.description.clone(),
            occupied: slot.occupied,
            ethernet_ports: ethernet_ports(slot),
        })
        .collect();
    slots.sort_by_key(|slot| slot.drc_index);
    slots
}

/// The adapter that a partition's current configuration has at an address.
#[must_use]
pub fn adapter_at(
    world: &World,
    entry: &PartitionEntry,
    settings: &GuestSettings,
    address: AdapterAddress,
) -> Option<GuestAdapter> {
    let content = entry.partition.current.as_ref()?;
    match address {
        AdapterAddress::Virtual(slot) => {
            let network = content.ethernet_adapters.iter().find(|adapter| adapter.slot == slot);
            let network = network.map(|adapter| network_adapter(world, entry, settings, adapter));
            let device = || device_adapters(content).into_iter().find(|adapter| adapter.slot == slot);
            let nic = content.virtual_nics.iter().find(|nic| nic.slot == slot);
            let nic = || nic.map(|nic| GuestAdapter::Vnic(network::virtual_nic(nic)));
            let server =
                || network::vnic_server(world, entry.partition.id, slot).map(GuestAdapter::VnicServer);
            let network = network.map(GuestAdapter::Network);
            network.or_else(|| device().map(GuestAdapter::Device)).or_else(nic).or_else(server)
        }
        AdapterAddress::Physical(index) => {
            let slot = io_slots(world, content).into_iter().find(|slot| slot.drc_index == index);
            slot.map(GuestAdapter::Physical)
        }
        AdapterAddress::LogicalPort(id) => {
            let ports = network::logical_ports(world, content);
            ports.into_iter().find(|port| port.id == id).map(GuestAdapter::LogicalPort)
        }
    }
}
