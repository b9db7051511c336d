//! The adapters that the hypervisor gives the guest, and the devices that the operating system makes of them.
//!
//! ```text
//!            added                cfgmgr, boot (Linux: at once)
//! (nothing) -------> Undiscovered -------------------------------> Available
//!    ^                    |          cfgmgr, mkdev, boot            |   ^
//!    |                    | removed        .------ rmdev -l --------'   |
//!    |                    v                v                            |
//!    '--------- removed --+----------- Defined -------------------------'
//! ```
//!
//! An adapter whose device is Available is not given up. Linux has no such states: its devices come and go with the
//! adapters. A device whose adapter is gone stays Defined until `rmdev -d`.

use std::net::Ipv4Addr;

use varan_contract::engine::{
    AdapterAddress, AdapterChange, DeviceAdapterKind, EngineEventKind, GuestAdapter, GuestDeviceAdapter,
    GuestEthernetPort, GuestIoSlot, GuestLogicalPort, GuestNetworkAdapter, GuestVnicAdapter, Personality,
};

use varan_model::ids::{MacAddress, VirtualSlot};

use super::date::Date;
use super::machine::Stage;
use super::{Guest, Moment};
use crate::disk::{ODM_DEVICES, OdmAdapter, OdmDevice};

/// A device of the operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// Logical name, such as `ent0`.
    pub(super) name: String,
    /// Where its adapter is or was.
    pub(super) address: AdapterAddress,
    /// Port of the adapter, where it has several.
    pub(super) index: u8,
    /// Whether the adapter is there.
    pub(super) present: bool,
    /// Available; Defined otherwise.
    pub(super) available: bool,
}

/// An adapter as the hypervisor shows it.
#[derive(Clone, Copy)]
pub(super) enum Adapter<'a> {
    Network(&'a GuestNetworkAdapter),
    Device(&'a GuestDeviceAdapter),
    Physical(&'a GuestIoSlot),
    Vnic(&'a GuestVnicAdapter),
    LogicalPort(&'a GuestLogicalPort),
    EthernetPort(&'a GuestIoSlot, &'a GuestEthernetPort, u8),
}

impl Adapter<'_> {
    pub(super) fn address(&self) -> AdapterAddress {
        match self {
            Self::Network(adapter) => AdapterAddress::Virtual(adapter.slot),
            Self::Device(adapter) => AdapterAddress::Virtual(adapter.slot),
            Self::Physical(slot) | Self::EthernetPort(slot, ..) => AdapterAddress::Physical(slot.drc_index),
            Self::Vnic(adapter) => AdapterAddress::Virtual(adapter.slot),
            Self::LogicalPort(port) => AdapterAddress::LogicalPort(port.id),
        }
    }

    /// Port of the adapter; 0 where it has only one.
    pub(super) fn index(&self) -> u8 {
        match self {
            Self::EthernetPort(_, _, index) => *index,
            _ => 0,
        }
    }

    /// Its Ethernet address, if it has one.
    pub(super) fn mac_address(&self) -> Option<MacAddress> {
        match self {
            Self::Network(adapter) => Some(adapter.mac_address),
            Self::Vnic(adapter) => Some(adapter.mac_address),
            Self::LogicalPort(port) => Some(port.mac_address),
            Self::EthernetPort(_, port, _) => Some(port.mac_address),
            Self::Device(_) | Self::Physical(_) => None,
        }
    }

    /// The address that it gets by DHCP.
    fn offered_address(&self) -> Option<(Ipv4Addr, u8)> {
        match self {
            Self::Network(adapter) => adapter.offered_address,
            Self::Vnic(adapter) => adapter.offered_address,
            Self::LogicalPort(port) => port.offered_address,
            Self::EthernetPort(..) | Self::Device(_) | Self::Physical(_) => None,
        }
    }

    /// Whether it is for the management of a NovaLink frame only.
    pub(super) fn is_management(&self) -> bool {
        matches!(self, Self::Network(adapter) if adapter.virtual_switch == MANAGEMENT_SWITCH)
    }

    /// What logical names begin with; `None` where there is nothing to configure.
    fn prefix(&self) -> Option<&'static str> {
        Some(match self {
            Self::Network(_) | Self::Vnic(_) | Self::LogicalPort(_) | Self::EthernetPort(..) => "ent",
            Self::Device(adapter) => match (adapter.kind, adapter.server) {
                (DeviceAdapterKind::Scsi, false) => "vscsi",
                (DeviceAdapterKind::Scsi, true) => "vhost",
                (DeviceAdapterKind::FibreChannel, false) => "fcs",
                (DeviceAdapterKind::FibreChannel, true) => "vfchost",
                (DeviceAdapterKind::Serial, _) => "vsa",
            },
            Self::Physical(slot) if !slot.occupied => return None,
            Self::Physical(slot) if slot.description.contains("Ethernet") => "ent",
            Self::Physical(slot) if slot.description.contains("Fibre") => "fcs",
            Self::Physical(slot) if slot.description.contains("SAS") => "sissas",
            Self::Physical(_) => "pci",
        })
    }

    pub(super) fn description(&self) -> &str {
        match self {
            Self::Network(_) => "Virtual I/O Ethernet Adapter (l-lan)",
            Self::Device(adapter) => match (adapter.kind, adapter.server) {
                (DeviceAdapterKind::Scsi, false) => "Virtual SCSI Client Adapter",
                (DeviceAdapterKind::Scsi, true) => "Virtual SCSI Server Adapter",
                (DeviceAdapterKind::FibreChannel, false) => "Virtual Fibre Channel Client Adapter",
                (DeviceAdapterKind::FibreChannel, true) => "Virtual FC Server Adapter",
                (DeviceAdapterKind::Serial, _) => "LPAR Virtual Serial Adapter",
            },
            Self::Physical(slot) | Self::EthernetPort(slot, ..) => &slot.description,
            Self::Vnic(_) => "Virtual NIC Client Adapter (vnic)",
            Self::LogicalPort(port) => &port.description,
        }
    }
}

/// Slot of an adapter, the address that it gets by DHCP, and its device.
pub(super) type PrimaryAdapter = (VirtualSlot, Option<(Ipv4Addr, u8)>, String);

/// What is in a physical slot: its Ethernet ports one by one, or the adapter.
fn in_slot(slot: &GuestIoSlot) -> impl Iterator<Item = Adapter<'_>> {
    let whole = slot.ethernet_ports.is_empty().then_some(Adapter::Physical(slot));
    let ports =
        (0..).zip(&slot.ethernet_ports).map(move |(index, port)| Adapter::EthernetPort(slot, port, index));
    whole.into_iter().chain(ports)
}

/// The virtual switch between the partitions of a NovaLink frame and its console.
pub(super) const MANAGEMENT_SWITCH: &str = "MGMTSWITCH";

impl Guest {
    /// Every adapter, virtual Ethernet first.
    pub(super) fn hardware(&self) -> impl Iterator<Item = Adapter<'_>> {
        let specification = &self.specification;
        let network = specification.network_adapters.iter().map(Adapter::Network);
        let devices = specification.device_adapters.iter().map(Adapter::Device);
        let virtual_nics = specification.virtual_nics.iter().map(Adapter::Vnic);
        let logical = specification.logical_ports.iter().map(Adapter::LogicalPort);
        network
            .chain(virtual_nics)
            .chain(logical)
            .chain(devices)
            .chain(specification.io_slots.iter().flat_map(in_slot))
    }

    /// The Ethernet devices that are in use, by number.
    pub(super) fn ethernet_devices(&self) -> Vec<(Device, Adapter<'_>)> {
        let number = |name: &str| name.trim_start_matches("ent").parse::<u32>().unwrap_or(u32::MAX);
        let mut found: Vec<_> = self
            .devices()
            .into_iter()
            .filter(|device| device.available && device.name.starts_with("ent"))
            .filter_map(|device| {
                let adapter = self.adapter_at(device.address, device.index)?;
                adapter.mac_address().map(|_| (device, adapter))
            })
            .collect();
        found.sort_by_key(|(device, _)| number(&device.name));
        found
    }

    /// The adapter at an address.
    pub(super) fn adapter_at(&self, address: AdapterAddress, index: u8) -> Option<Adapter<'_>> {
        self.hardware().find(|adapter| adapter.address() == address && adapter.index() == index)
    }

    /// Location code of an adapter without its port: `U8286.41A.2166661-V3-C2`.
    pub(super) fn location(&self, address: AdapterAddress) -> String {
        match address {
            AdapterAddress::Virtual(slot) => {
                let machine = &self.specification.machine;
                let model = machine.type_model.replace('-', ".");
                format!("U{model}.{}-V{}-C{slot}", machine.serial_number, self.specification.id)
            }
            AdapterAddress::Physical(index) => {
                let slot = self.specification.io_slots.iter().find(|slot| slot.drc_index == index);
                slot.map(|slot| slot.location.clone()).unwrap_or_default()
            }
            AdapterAddress::LogicalPort(id) => {
                let port = self.specification.logical_ports.iter().find(|port| port.id == id);
                port.map(|port| port.location.clone()).unwrap_or_default()
            }
        }
    }

    /// The devices, by name within their kind in the order of their making.
    pub(super) fn devices(&self) -> Vec<Device> {
        let Some(configuration) = &self.configuration else { return Vec::new() };
        let network = configuration.devices.iter().map(|device| {
            let adapter = self.specification.network_adapters.iter();
            let adapter = adapter.clone().find(|adapter| adapter.mac_address == device.mac_address);
            let slot = adapter.map_or(device.slot, |adapter| adapter.slot);
            (&device.name, AdapterAddress::Virtual(slot), 0, adapter.is_some())
        });
        let others = configuration.adapters.iter().map(|device| {
            // A slot whose adapter was replaced by one of another kind does not make the old device come back.
            let present = self.hardware().any(|adapter| {
                adapter.address() == device.address
                    && adapter.index() == device.index
                    && !matches!(adapter, Adapter::Network(_))
                    && adapter
                        .prefix()
                        .is_some_and(|prefix| device.name.trim_end_matches(char::is_numeric) == prefix)
            });
            (&device.name, device.address, device.index, present)
        });
        network
            .chain(others)
            .map(|(name, address, index, present)| Device {
                name: name.clone(),
                address,
                index,
                present,
                available: present && !configuration.defined.contains(name),
            })
            .collect()
    }

    /// The Ethernet adapter that carries the guest's address: slot, offered address and device of the one with the first
    /// device that is in use. The management switch of a NovaLink frame carries none.
    pub(super) fn primary_adapter(&self) -> Option<PrimaryAdapter> {
        let (device, adapter) =
            self.ethernet_devices().into_iter().find(|(_, adapter)| !adapter.is_management())?;
        let slot = match device.address {
            AdapterAddress::Virtual(slot) => slot,
            // An adapter without a slot.
            AdapterAddress::Physical(_) | AdapterAddress::LogicalPort(_) => VirtualSlot(0),
        };
        Some((slot, adapter.offered_address(), device.name))
    }

    /// Makes the devices of all adapters that are there Available; returns the names of those that were not.
    pub(super) fn configure_devices(&mut self) -> Vec<String> {
        let mut changed = Vec::new();
        for device in self.devices() {
            if device.present && !device.available {
                changed.push(device.name);
            }
        }
        let known = self.devices();
        let mut names: Vec<String> = known.iter().map(|device| device.name.clone()).collect();
        let (mut network, mut others) = (Vec::new(), Vec::new());
        for adapter in self.hardware() {
            let Some(prefix) = adapter.prefix() else { continue };
            let address = adapter.address();
            let index = adapter.index();
            let has_device = known
                .iter()
                .any(|device| device.present && device.address == address && device.index == index);
            if has_device || names.len() >= ODM_DEVICES {
                continue;
            }
            let mut candidates = (0..).map(|number| format!("{prefix}{number}"));
            let name = candidates.find(|name| !names.contains(name)).unwrap_or_default();
            names.push(name.clone());
            changed.push(name.clone());
            match adapter {
                Adapter::Network(adapter) => {
                    network.push(OdmDevice { name, slot: adapter.slot, mac_address: adapter.mac_address });
                }
                _ => others.push(OdmAdapter { name, address, index }),
            }
        }
        let slots: Vec<(String, AdapterAddress)> =
            known.into_iter().map(|device| (device.name, device.address)).collect();
        if let Some(configuration) = &mut self.configuration {
            for device in &mut configuration.devices {
                // The slot of a known address may be another one since the last boot.
                if let Some((_, AdapterAddress::Virtual(slot))) =
                    slots.iter().find(|(name, _)| *name == device.name)
                {
                    device.slot = *slot;
                }
            }
            configuration.devices.extend(network);
            configuration.adapters.extend(others);
            configuration.defined.retain(|name| !changed.contains(name));
        }
        changed
    }

    /// DLPAR of an adapter.
    pub(super) fn adapter_requested(&mut self, now: Moment, change: AdapterChange, token: u64) {
        let details = match change {
            _ if self.stage != Stage::Multiuser => vec!["The operating system does not respond.".to_owned()],
            AdapterChange::Put(adapter) => {
                self.put_adapter(now, adapter);
                Vec::new()
            }
            AdapterChange::Remove(address) => self.give_up(now, address),
            AdapterChange::Withdraw(address) => {
                let devices = self.devices().into_iter().filter(|device| device.address == address);
                let names: Vec<String> = devices.map(|device| device.name).collect();
                self.take_away(address);
                self.unplug(address);
                self.delete_devices(&names);
                self.save();
                self.attach_interfaces(now);
                Vec::new()
            }
        };
        self.event(EngineEventKind::AdapterChanged { token, done: details.is_empty(), details });
    }

    fn put_adapter(&mut self, now: Moment, adapter: GuestAdapter) {
        self.take_away(adapter.address());
        self.plug(adapter.clone());
        // A virtual NIC configures itself.
        let itself = matches!(adapter, GuestAdapter::Vnic(_)) || self.personality() == Personality::Linux;
        match adapter {
            GuestAdapter::Network(adapter) => self.specification.network_adapters.push(adapter),
            GuestAdapter::Device(adapter) => self.specification.device_adapters.push(adapter),
            GuestAdapter::Physical(slot) => self.specification.io_slots.push(slot),
            GuestAdapter::LogicalPort(port) => self.specification.logical_ports.push(port),
            GuestAdapter::Vnic(adapter) => self.specification.virtual_nics.push(adapter),
            GuestAdapter::VnicServer(server) => self.specification.vnic_servers.push(server),
        }
        if itself {
            self.configure_devices();
            self.save();
        }
        self.attach_interfaces(now);
    }

    fn take_away(&mut self, address: AdapterAddress) {
        let kept = |other: AdapterAddress| other != address;
        let specification = &mut self.specification;
        specification.network_adapters.retain(|adapter| kept(AdapterAddress::Virtual(adapter.slot)));
        specification.device_adapters.retain(|adapter| kept(AdapterAddress::Virtual(adapter.slot)));
        specification.io_slots.retain(|slot| kept(AdapterAddress::Physical(slot.drc_index)));
        specification.logical_ports.retain(|port| kept(AdapterAddress::LogicalPort(port.id)));
        specification.virtual_nics.retain(|adapter| kept(AdapterAddress::Virtual(adapter.slot)));
        specification.vnic_servers.retain(|server| kept(AdapterAddress::Virtual(server.slot)));
    }

    /// Gives an adapter up; detail lines say why not.
    fn give_up(&mut self, now: Moment, address: AdapterAddress) -> Vec<String> {
        let users: Vec<Device> =
            self.devices().into_iter().filter(|device| device.address == address).collect();
        if self.personality() == Personality::Linux {
            // The kernel takes the device away with its adapter.
            let names: Vec<String> = users.into_iter().map(|device| device.name).collect();
            self.take_away(address);
            self.unplug(address);
            self.delete_devices(&names);
            self.save();
            self.attach_interfaces(now);
            self.report();
            return Vec::new();
        }
        let itself = matches!(self.adapter_at(address, 0), Some(Adapter::Vnic(_)));
        let uses = |device: &Device| device.available && !(itself && self.is_idle(&device.name));
        let busy: Vec<String> =
            users.iter().filter(|device| uses(device)).map(|device| device.name.clone()).collect();
        if busy.is_empty() {
            if itself {
                // A virtual NIC that configured itself goes with its device, as long as no interface is on it.
                let names: Vec<String> = users.into_iter().map(|device| device.name).collect();
                self.delete_devices(&names);
                self.save();
            }
            self.take_away(address);
            self.unplug(address);
            self.attach_interfaces(now);
            return Vec::new();
        }
        let date = Date::from_seconds(now.wall.seconds());
        let mut lines = vec![
            format!(
                "{} {:02} {:02}:{:02}:{:02} caDlparCommand:execv to drmgr",
                date.month_name(),
                date.day,
                date.hour,
                date.minute,
                date.second
            ),
            format!("{}", self.location(address)),
            "The specified slot contains device(s) which are currently configured.".to_owned(),
            "Unconfigure the following device(s) and try again.".to_owned(),
        ];
        lines.extend(busy.iter().map(|name| format!("\t{name}")));
        lines.push("The OS return code is 3.".to_owned());
        lines
    }

    /// Whether no interface is in use over an Ethernet device.
    fn is_idle(&self, device: &str) -> bool {
        let primary = self.address().is_some()
            && self.primary_adapter().is_some_and(|(_, _, primary)| primary == device);
        !self.is_attached(device).unwrap_or(primary)
    }

    /// Forgets devices.
    pub(super) fn delete_devices(&mut self, names: &[String]) {
        if let Some(configuration) = &mut self.configuration {
            configuration.devices.retain(|device| !names.contains(&device.name));
            configuration.adapters.retain(|device| !names.contains(&device.name));
            configuration.defined.retain(|name| !names.contains(name));
        }
    }
}
