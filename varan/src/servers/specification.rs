//! What a Virtual I/O Server is told at its start, from what the hypervisor gives its partition and what the site says.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use varan_contract::engine::{
    AdapterChange, DeviceAdapterKind, GuestAdapter, GuestDeviceAdapter, GuestNetworkAdapter,
    GuestSpecification, GuestVnicServer,
};
use varan_model::hardware::{Hardware, SlotDescription};
use varan_model::ids::VirtualSlot;
use varan_model::site::{InitialBridge as SiteBridge, ManagedSystemDescription, Site};
use varan_vios::{
    AdapterChange as ServerChange, AdapterKind, InitialBridge, InitialNetwork, LocalDisk, ServerAdapter,
    ViosSpecification,
};

/// Size in MB of the disk that a server boots from where the site gives none.
const BOOT_DISK_MEGABYTES: u64 = 139_264;

/// Slots of virtual NICs' server adapters begin here (0x8081).
const FIRST_VNIC_SLOT: u16 = 32_897;

/// What of the site matters to the servers of one frame.
#[derive(Clone, Debug)]
pub(super) struct FrameSite {
    pub(super) hardware: Hardware,
    /// Disks inside the machine: location, adapter's slot, size, identifier.
    pub(super) local_disks: Vec<varan_model::site::LocalDisk>,
    /// Way out of the management network.
    pub(super) gateway: Ipv4Addr,
    /// Shared Ethernet Adapters that servers are installed with, by partition name; the others have the usual one.
    pub(super) bridges: HashMap<String, Vec<SiteBridge>>,
    /// Names of SAN disks: partition name (`None`: all), identifier, name.
    pub(super) disk_names: Vec<(Option<String>, String, String)>,
}

impl FrameSite {
    pub(super) fn new(site: &Site, system: &ManagedSystemDescription) -> Self {
        let mut disk_names = Vec::new();
        for disk in &site.san_disks {
            let udid = disk.udid.to_string();
            for own in disk.device_names.iter().filter(|own| own.managed_system == system.name) {
                disk_names.push((Some(own.partition.clone()), udid.clone(), own.name.clone()));
            }
            if let Some(name) = &disk.device_name {
                disk_names.push((None, udid, name.clone()));
            }
        }
        let stated = system.partitions.iter();
        let stated = stated.filter_map(|one| Some((one.name.clone(), one.bridges.clone()?)));
        Self {
            hardware: crate::frame::hardware(system),
            local_disks: system.local_disks.clone(),
            gateway: Site::gateway_address(system),
            bridges: stated.collect(),
            disk_names,
        }
    }

    /// The network that a server is installed with: what the site file says, else one Shared Ethernet Adapter over its first
    /// Ethernet port and its trunk adapters of the management switch.
    pub(super) fn initial_network(&self, guest: &GuestSpecification) -> Option<InitialNetwork> {
        let bridges = match self.bridges.get(&guest.name) {
            Some(stated) => stated.iter().map(|bridge| stated_bridge(guest, bridge)).collect(),
            None => vec![self.usual_bridge(guest)?],
        };
        Some(InitialNetwork { bridges, gateway: Some(self.gateway) })
    }

    fn usual_bridge(&self, guest: &GuestSpecification) -> Option<InitialBridge> {
        let (vlan, switch) = &self.hardware.management_vlan;
        let trunk = |adapter: &&GuestNetworkAdapter| {
            adapter.trunk_priority.is_some() && adapter.virtual_switch == *switch
        };
        let trunks: Vec<&GuestNetworkAdapter> = guest.network_adapters.iter().filter(trunk).collect();
        let default = trunks.iter().find(|adapter| adapter.port_vlan_id == *vlan)?;
        let port = guest.io_slots.iter().flat_map(|slot| &slot.ethernet_ports).next()?;
        Some(InitialBridge {
            real: vec![port.location.clone()],
            trunks: trunks.iter().map(|adapter| adapter.slot).collect(),
            default: default.slot,
            control_channel: None,
            mode: Some("auto".to_owned()),
            attributes: Vec::new(),
            address: guest.installation.address.or(default.offered_address),
        })
    }

    /// Names of SAN disks on one server; its own come before those for all.
    fn names_on(&self, partition: &str) -> Vec<(String, String)> {
        let mut names: Vec<(String, String)> = Vec::new();
        for own in [true, false] {
            for (owner, udid, name) in &self.disk_names {
                let fits = if own { owner.as_deref() == Some(partition) } else { owner.is_none() };
                if fits && !names.iter().any(|(known, _)| known == udid) {
                    names.push((udid.clone(), name.clone()));
                }
            }
        }
        names
    }

    fn slot(&self, drc_index: u32) -> Option<&SlotDescription> {
        self.hardware.slots.iter().find(|slot| slot.drc_index == drc_index)
    }

    /// Disks that the adapters of these slots reach; the first holds the root volume group. A server without any gets one.
    fn local_disks(&self, slots: &[SlotDescription], directory: &Path) -> Vec<LocalDisk> {
        let file = |location: &str| -> PathBuf { directory.join(format!("{location}.disk")) };
        let reached = self.local_disks.iter().filter(|disk| {
            let adapter = disk.adapter.as_ref().map(ToString::to_string);
            adapter.is_some_and(|adapter| slots.iter().any(|slot| slot.location == adapter))
        });
        let mut disks: Vec<LocalDisk> = reached
            .map(|disk| {
                let location = disk.location_code.to_string();
                LocalDisk {
                    file: file(&location),
                    location,
                    adapter: disk.adapter.as_ref().map(ToString::to_string),
                    megabytes: u64::from(disk.size),
                    identifier: disk.physical_volume_identifier,
                    boot: false,
                }
            })
            .collect();
        if disks.is_empty() {
            let adapter = slots.iter().find(|slot| slot.description.contains("SAS"));
            let unit = self.hardware.slots.first().map_or("", |slot| slot.unit.as_str());
            let base = adapter.map_or(unit, |slot| slot.location.as_str());
            let location = format!("{base}-D1");
            disks.push(LocalDisk {
                file: file(&location),
                location,
                adapter: adapter.map(|slot| slot.location.clone()),
                megabytes: BOOT_DISK_MEGABYTES,
                identifier: None,
                boot: false,
            });
        }
        disks[0].boot = true;
        disks
    }

    pub(super) fn specification(&self, guest: &GuestSpecification, directory: &Path) -> ViosSpecification {
        let slots: Vec<SlotDescription> =
            guest.io_slots.iter().filter_map(|slot| self.slot(slot.drc_index).cloned()).collect();
        let network = guest.network_adapters.iter().map(ethernet);
        let devices = guest.device_adapters.iter().filter_map(device);
        let vnics = guest.vnic_servers.iter().map(vnic_server);
        ViosSpecification {
            generation: guest.generation.0,
            hostname: guest.installation.hostname.clone(),
            name: guest.name.clone(),
            id: guest.id,
            machine: guest.machine.clone(),
            firmware: format!("IBM,{}", self.hardware.firmware),
            memory: guest.memory_megabytes,
            processors: guest.processors.processors,
            adapters: console_adapter().into_iter().chain(network).chain(devices).chain(vnics).collect(),
            logical_ports: guest.logical_ports.clone(),
            local_disks: self.local_disks(&slots, directory),
            slots,
            disk_names: self.names_on(&guest.name),
        }
    }

    /// A dynamic change in the server's terms; `None` for what is no matter of the server's.
    pub(super) fn change(&self, change: &AdapterChange) -> Option<ServerChange> {
        use varan_contract::engine::AdapterAddress;
        Some(match change {
            AdapterChange::Put(GuestAdapter::Network(adapter)) => ServerChange::Add(ethernet(adapter)),
            AdapterChange::Put(GuestAdapter::Device(adapter)) => ServerChange::Add(device(adapter)?),
            AdapterChange::Put(GuestAdapter::Physical(slot)) => {
                ServerChange::AddSlot(self.slot(slot.drc_index)?.clone())
            }
            AdapterChange::Remove(AdapterAddress::Virtual(slot)) => ServerChange::Remove(*slot),
            AdapterChange::Remove(AdapterAddress::Physical(index)) => {
                ServerChange::RemoveSlot(self.slot(*index)?.location.clone())
            }
            AdapterChange::Put(GuestAdapter::LogicalPort(port)) => {
                ServerChange::AddLogicalPort(Box::new(port.clone()))
            }
            AdapterChange::Put(GuestAdapter::VnicServer(server)) => ServerChange::Add(vnic_server(server)),
            AdapterChange::Remove(AdapterAddress::LogicalPort(id)) => ServerChange::RemoveLogicalPort(*id),
            // What belongs to a virtual NIC is never in anybody's way.
            AdapterChange::Withdraw(AdapterAddress::Virtual(slot)) if slot.0 >= FIRST_VNIC_SLOT => {
                ServerChange::Remove(*slot)
            }
            // A server is no client of a virtual NIC.
            AdapterChange::Put(GuestAdapter::Vnic(_)) | AdapterChange::Withdraw(_) => return None,
        })
    }
}

/// A Shared Ethernet Adapter of the site file. The address of the server goes to the first one.
fn stated_bridge(guest: &GuestSpecification, bridge: &SiteBridge) -> InitialBridge {
    let default = bridge.trunks[0];
    let adapter = guest.network_adapters.iter().find(|adapter| adapter.slot == default);
    let offered = adapter.and_then(|adapter| adapter.offered_address);
    let mut attributes = bridge.attributes.clone();
    let mode = attributes.iter().position(|(name, _)| name == "ha_mode").map(|at| attributes.remove(at).1);
    InitialBridge {
        real: vec![bridge.real.clone()],
        trunks: bridge.trunks.clone(),
        default,
        control_channel: bridge.control_channel,
        mode,
        attributes,
        address: offered.and(guest.installation.address).or(offered),
    }
}

/// The virtual serial adapter of the console, which every partition has in slot 0.
fn console_adapter() -> [ServerAdapter; 1] {
    [ServerAdapter { slot: VirtualSlot(0), kind: AdapterKind::Serial, remote: None, remote_slot: None }]
}

fn ethernet(adapter: &GuestNetworkAdapter) -> ServerAdapter {
    ServerAdapter {
        slot: adapter.slot,
        kind: AdapterKind::Ethernet(Box::new(adapter.clone())),
        remote: None,
        remote_slot: None,
    }
}

fn vnic_server(server: &GuestVnicServer) -> ServerAdapter {
    ServerAdapter {
        slot: server.slot,
        kind: AdapterKind::VnicServer(Box::new(server.clone())),
        remote: Some(server.client),
        remote_slot: Some(server.client_slot),
    }
}

fn device(adapter: &GuestDeviceAdapter) -> Option<ServerAdapter> {
    let kind = match (adapter.kind, adapter.server) {
        (DeviceAdapterKind::Scsi, true) => AdapterKind::ScsiServer,
        (DeviceAdapterKind::FibreChannel, true) => AdapterKind::FibreChannelServer,
        (DeviceAdapterKind::Serial, _) => AdapterKind::Serial,
        _ => return None,
    };
    let (remote, remote_slot) = adapter.remote.unzip();
    Some(ServerAdapter { slot: adapter.slot, kind, remote, remote_slot })
}
