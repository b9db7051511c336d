//! Interfaces over the Ethernet devices, and their addresses.

use std::net::{IpAddr, Ipv4Addr};

use varan_contract::engine::Personality;
use varan_contract::network::GuestPort;
use varan_ethernet::EthernetAddress;
use varan_model::ids::MacAddress;
use varan_station::{InterfaceSetup, Prefix, Route};

use super::super::{Guest, Moment};
use super::{NetworkEffect, Port};

/// Bytes of an address as frames have it.
pub(super) fn ethernet_address(address: MacAddress) -> EthernetAddress {
    let [_, _, bytes @ ..] = address.0.to_be_bytes();
    EthernetAddress(bytes)
}

/// What an interface is set up with.
struct Wanted {
    device: String,
    at: (varan_contract::engine::AdapterAddress, u8),
    address: EthernetAddress,
    management: bool,
    virtual_nic: bool,
}

impl Guest {
    /// Name of the interface over a device.
    pub(super) fn interface_name(&self, device: &str) -> String {
        let prefix = if self.personality() == Personality::Linux { "eth" } else { "en" };
        device.replacen("ent", prefix, 1)
    }

    /// The address that an interface has by its configuration.
    pub(in super::super) fn configured_address(&self, device: &str) -> Option<(Ipv4Addr, u8)> {
        if self.primary_adapter().is_some_and(|(_, _, primary)| primary == device) {
            return self.address().map(|(_, address, prefix)| (address, prefix));
        }
        let interfaces = &self.configuration.as_ref()?.interfaces;
        interfaces
            .iter()
            .find(|interface| interface.device == device)
            .map(|known| (known.address, known.prefix))
    }

    /// Brings the interfaces in line with the devices: new ones get their configured addresses, those without a device go.
    pub(in super::super) fn attach_interfaces(&mut self, now: Moment) {
        if self.ip().is_none() {
            return;
        }
        let wanted: Vec<Wanted> = self
            .ethernet_devices()
            .into_iter()
            .filter_map(|(device, adapter)| {
                Some(Wanted {
                    device: device.name,
                    at: (device.address, device.index),
                    address: ethernet_address(adapter.mac_address()?),
                    management: adapter.is_management(),
                    virtual_nic: matches!(adapter, super::super::adapters::Adapter::Vnic(_)),
                })
            })
            .collect();
        let linux = self.personality() == Personality::Linux;
        let (mut added, mut named) = (Vec::new(), Vec::new());
        let names: Vec<String> = wanted.iter().map(|wanted| self.interface_name(&wanted.device)).collect();
        let Some(network) = self.network.as_deref_mut() else { return };
        let (links, Some(ip)) = (&network.links, network.ip.as_deref_mut()) else { return };
        let mut before = std::mem::take(&mut ip.ports);
        for (wanted, name) in wanted.into_iter().zip(names) {
            let same = |port: &Port| port.at == wanted.at && port.device == wanted.device;
            if let Some(at) = before.iter().position(same) {
                let port = before.swap_remove(at);
                if ip.station.interface(port.id).is_some_and(|own| own.address() != wanted.address) {
                    ip.station.set_address(now.monotonic, port.id, wanted.address);
                }
                ip.ports.push(port);
                continue;
            }
            let setup = InterfaceSetup {
                name: name.clone(),
                address: wanted.address,
                mtu: 1_500,
                link_local: wanted.management || linux,
            };
            let id = ip.station.add_interface(setup);
            let attached = wanted.management || linux;
            ip.station.set_up(now.monotonic, id, attached);
            let carrier = links.get(&wanted.at).is_none_or(|(_, logical)| *logical);
            ip.station.set_carrier(now.monotonic, id, carrier);
            let (device, at, virtual_nic) = (wanted.device, wanted.at, wanted.virtual_nic);
            if virtual_nic {
                named.push((at, device.clone()));
            }
            added.push(device.clone());
            ip.ports.push(Port { device, name, at, id, attached, virtual_nic });
        }
        for gone in before {
            ip.station.remove_interface(gone.id);
        }
        for device in added {
            self.apply_configuration(now, &device);
        }
        let partition = self.specification.partition;
        for ((adapter, index), device) in named {
            let port = GuestPort { partition, adapter, index };
            self.network_effect(NetworkEffect::Name(port, device));
        }
    }

    /// Gives an interface the addresses that its configuration says.
    pub(in super::super) fn apply_configuration(&mut self, now: Moment, device: &str) {
        let address = self.configured_address(device);
        let gateway = self.configuration.as_ref().and_then(|configuration| configuration.gateway);
        let Some(ip) = self.ip_mut() else { return };
        let Some(port) = ip.ports.iter_mut().find(|port| port.device == device) else { return };
        let own = ip.station.interface(port.id).map(|interface| interface.addresses().to_vec());
        for address in own.into_iter().flatten().filter(|own| own.address.is_ipv4()) {
            ip.station.remove_address(port.id, address.address);
        }
        if let Some((address, prefix)) = address {
            port.attached = true;
            ip.station.set_up(now.monotonic, port.id, true);
            let _ = ip.station.add_address(now.monotonic, port.id, Prefix::new(address, prefix));
        }
        if let Some(gateway) = gateway {
            let gateway = Some(IpAddr::V4(gateway));
            ip.station.add_route(Route { destination: Prefix::everything(), gateway, interface: None });
        }
        ip.client.try_now(now.monotonic);
    }

    /// Whether the interface over a device is in use; `None` without a network.
    pub(in super::super) fn is_attached(&self, device: &str) -> Option<bool> {
        Some(self.ip()?.ports.iter().any(|port| port.device == device && port.attached))
    }

    /// Takes all addresses of an interface away (`ifconfig en0 detach`). False when it is not in use.
    pub(in super::super) fn detach_interface(&mut self, now: Moment, interface: &str) -> bool {
        let Some(ip) = self.ip_mut() else { return false };
        let Some(port) = ip.ports.iter_mut().find(|port| port.name == interface && port.attached) else {
            return false;
        };
        let own = ip.station.interface(port.id).map(|own| own.addresses().to_vec()).unwrap_or_default();
        for address in own {
            ip.station.remove_address(port.id, address.address);
        }
        ip.station.set_up(now.monotonic, port.id, false);
        port.attached = false;
        true
    }
}
