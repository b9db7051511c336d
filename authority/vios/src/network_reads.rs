//! Answers to questions about the network: what is configured comes from the state, what happens from the engine.

use std::sync::Arc;
use std::time::Duration;

use varan_contract::network::ServerNetwork;
use varan_contract::vios::{DeviceSelector, Select};
use varan_contract::vios_network::{
    BridgeMapping, EthernetRole, EthernetStatistics, InterfaceState, NetworkAnswer, NetworkQuery,
    VirtualNicMapping, VnicClient,
};
use varan_model::ids::PartitionId;
use varan_model::vios::{Device, DeviceKind, DeviceName, ViosMessage, ViosRefusal};

use crate::decide::{accounted, address_of, find, listed, parts, refuse, users, virtual_adapter};
use crate::network::{aggregation, bridge, logical_port_device, mac_address, port};
use crate::settings::AdapterKind;
use crate::world::{Snapshot, location_of};

/// Requests of one `ping`.
const PINGS_MAX: u32 = 1_000;
/// Longest time between two of them.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// A question's view: the state, and the engine that knows the rest.
pub(crate) struct NetworkReader<'a> {
    pub(crate) world: &'a Snapshot,
    pub(crate) network: &'a dyn ServerNetwork,
}

type Answer<T> = Result<T, ViosRefusal>;

impl NetworkReader<'_> {
    pub(crate) fn read(&self, query: &NetworkQuery) -> Answer<NetworkAnswer> {
        Ok(match query {
            NetworkQuery::Configuration => {
                NetworkAnswer::Configuration(Box::new((*self.world.names).clone()))
            }
            NetworkQuery::Interfaces => NetworkAnswer::Interfaces(self.interfaces()),
            NetworkQuery::Statistics { device, below } => {
                NetworkAnswer::Statistics(self.statistics(device, *below)?)
            }
            NetworkQuery::Accounting(device) => {
                let device = accounted(self.world, device)?;
                let mut clients = self.network.accounting(device.name.as_str());
                clients.sort_by_key(|client| (client.mac_address, client.vlan, client.address));
                NetworkAnswer::Accounting(clients)
            }
            NetworkQuery::Bridges(select) => NetworkAnswer::Bridges(self.bridges(select)?),
            NetworkQuery::VirtualNics { adapters, client } => {
                NetworkAnswer::VirtualNics(self.virtual_nics(adapters, *client)?)
            }
            NetworkQuery::Neighbours => NetworkAnswer::Neighbours(self.network.neighbours()),
            NetworkQuery::Ping { address, count, bytes, interval } => {
                let own = self
                    .interfaces()
                    .into_iter()
                    .any(|one| one.state == "up" && one.address.is_some_and(|(known, _)| known == *address));
                NetworkAnswer::Ping(if own {
                    answered_by_itself(*count)
                } else {
                    let count = (*count).clamp(1, PINGS_MAX);
                    self.network.ping(*address, count, *bytes, (*interval).min(INTERVAL_MAX))
                })
            }
        })
    }

    fn interfaces(&self) -> Vec<InterfaceState> {
        let mut found = Vec::new();
        let kinds = [DeviceKind::EthernetInterface, DeviceKind::Ieee8023Interface, DeviceKind::Loopback];
        for kind in kinds {
            let named = self.world.devices.from(&DeviceName::numbered(kind.prefix(), 0));
            let named = named.take_while(|(name, _)| name.parts().0 == kind.prefix());
            let configured = named.map(|(_, device)| device).filter(|device| {
                let state = device.attribute("state") == Some("up");
                device.kind == kind && (state || address_of(device).is_some())
            });
            found.extend(configured.map(|device| self.interface(device)));
        }
        found
    }

    fn interface(&self, device: &Device) -> InterfaceState {
        let below = device.parent.as_ref().and_then(|name| self.world.devices.get(name));
        InterfaceState {
            name: device.name.clone(),
            device: below.map(|below| below.name.clone()),
            address: address_of(device),
            mac_address: below.map(|below| mac_address(self.world, below)),
            state: device.attribute("state").unwrap_or_default().to_owned(),
            mtu: device.attribute("mtu").and_then(|text| text.parse().ok()).unwrap_or_default(),
            statistics: self.network.interface(device.name.as_str()).unwrap_or_default(),
        }
    }

    /// The Ethernet device that a name means: itself, or that of an interface.
    fn ethernet(&self, selector: &DeviceSelector) -> Answer<Arc<Device>> {
        let device = find(self.world, selector)?;
        let below = device.parent.as_ref().and_then(|name| self.world.devices.get(name));
        let device = match below {
            Some(below) if !device.kind.is_ethernet() && below.kind.is_ethernet() => below.clone(),
            _ => device,
        };
        if device.kind.is_ethernet() {
            Ok(device)
        } else {
            Err(refuse(ViosMessage::NoStatistics).with(&device.name))
        }
    }

    fn statistics(&self, selector: &DeviceSelector, below: bool) -> Answer<Vec<EthernetStatistics>> {
        let device = self.ethernet(selector)?;
        let mut all = vec![self.one(&device, EthernetRole::Itself)];
        if below {
            self.add_parts(&device, &mut all);
        }
        Ok(all)
    }

    fn add_parts(&self, device: &Device, all: &mut Vec<EthernetStatistics>) {
        let roles: &[(&str, EthernetRole)] = match device.kind {
            DeviceKind::SharedEthernetAdapter => &[
                ("real_adapter", EthernetRole::Real),
                ("virt_adapters", EthernetRole::Virtual),
                ("ctl_chan", EthernetRole::ControlChannel),
            ],
            DeviceKind::LinkAggregation => {
                &[("adapter_names", EthernetRole::Primary), ("backup_adapter", EthernetRole::Backup)]
            }
            _ => return,
        };
        for (attribute, role) in roles {
            for name in listed(device, attribute) {
                let Some(part) = self.world.devices.get(&name) else { continue };
                all.push(self.one(part, *role));
                self.add_parts(part, all);
            }
        }
        // Without a control channel adapter the default adapter carries it, and is shown again as such (captures).
        let discovers = device.kind == DeviceKind::SharedEthernetAdapter
            && device.attribute("ha_mode") != Some("disabled")
            && listed(device, "ctl_chan").is_empty();
        let default = listed(device, "pvid_adapter").into_iter().next().filter(|_| discovers);
        if let Some(part) = default.and_then(|name| self.world.devices.get(&name)) {
            all.push(self.one(part, EthernetRole::ControlChannel));
        }
    }

    fn one(&self, device: &Arc<Device>, role: EthernetRole) -> EthernetStatistics {
        let is_bridge = device.kind == DeviceKind::SharedEthernetAdapter;
        let trunks = listed(device, "virt_adapters").into_iter().filter_map(|name| {
            let adapter = virtual_adapter(self.world, self.world.devices.get(&name)?)?;
            Some((name, adapter.port_vlan_id, adapter.tagged_vlan_ids.clone()))
        });
        EthernetStatistics {
            device: device.clone(),
            role,
            mac_address: mac_address(self.world, device),
            port: port(self.world, device),
            bridge: is_bridge.then(|| bridge(device)),
            trunks: if is_bridge { trunks.collect() } else { Vec::new() },
            aggregation: (device.kind == DeviceKind::LinkAggregation).then(|| aggregation(device)),
            statistics: self.network.statistics(device.name.as_str()).unwrap_or_default(),
        }
    }

    fn chosen(&self, select: &Select, kind: DeviceKind, wrong: ViosMessage) -> Answer<Vec<Arc<Device>>> {
        match select {
            Select::One(selector) => {
                let device = find(self.world, selector)?;
                if device.kind == kind { Ok(vec![device]) } else { Err(refuse(wrong).with(&device.name)) }
            }
            Select::All => {
                let named = self.world.devices.from(&DeviceName::numbered(kind.prefix(), 0));
                let named = named.take_while(|(name, _)| name.parts().0 == kind.prefix());
                Ok(named.map(|(_, device)| device).filter(|device| device.kind == kind).cloned().collect())
            }
        }
    }

    fn bridges(&self, select: &Select) -> Answer<Vec<BridgeMapping>> {
        let wrong = ViosMessage::NotEthernetServer;
        let adapters = self.chosen(select, DeviceKind::VirtualEthernetAdapter, wrong)?;
        Ok(adapters.iter().map(|adapter| self.bridge_over(adapter)).collect())
    }

    fn bridge_over(&self, adapter: &Device) -> BridgeMapping {
        let over = users(self.world, &adapter.name);
        let over = over.iter().filter_map(|name| self.world.devices.get(name));
        let over = over.into_iter().find(|device| {
            device.kind == DeviceKind::SharedEthernetAdapter
                && listed(device, "virt_adapters").contains(&adapter.name)
        });
        let backing = over.and_then(|bridge| parts(bridge).into_iter().next());
        let real = backing.as_ref().and_then(|name| self.world.devices.get(name));
        BridgeMapping {
            adapter: adapter.name.clone(),
            location: adapter.location.clone(),
            bridge: over.map(|bridge| bridge.name.clone()),
            status: over.map(|bridge| bridge.state.word().to_owned()).unwrap_or_default(),
            backing_location: real.map(|real| real.location.clone()).unwrap_or_default(),
            backing,
        }
    }

    fn virtual_nics(&self, select: &Select, client: Option<PartitionId>) -> Answer<Vec<VirtualNicMapping>> {
        let adapters = self.chosen(select, DeviceKind::VirtualNicServer, ViosMessage::NotNicServer)?;
        let mappings = adapters.iter().filter_map(|adapter| self.virtual_nic(adapter));
        Ok(mappings.filter(|mapping| client.is_none_or(|client| mapping.client == client)).collect())
    }

    fn virtual_nic(&self, device: &Device) -> Option<VirtualNicMapping> {
        let running = self.world.running.as_ref()?;
        let adapter = self.world.adapter_in(device.virtual_slot()?)?;
        let AdapterKind::VnicServer(server) = &adapter.kind else { return None };
        let state = self.network.vnic_server(adapter.slot);
        let known = state.as_ref().is_some_and(|state| state.client_known);
        let client_login = known.then(|| {
            let (operating_system, device) = self.network.vnic_client(adapter.slot).unwrap_or_default();
            VnicClient { name: server.client_name.clone(), operating_system, device }
        });
        let port = &server.logical_port;
        Some(VirtualNicMapping {
            adapter: device.name.clone(),
            location: device.location.clone(),
            client: server.client,
            client_login,
            client_location: location_of(&running.specification.machine, server.client, server.client_slot),
            backing: logical_port_device(self.world, &port.location).cloned(),
            priority: server.priority,
            port_vlan: (port.port_vlan_id, port.port_vlan_priority),
            state,
        })
    }
}

/// An address of the server's own answers without any network.
fn answered_by_itself(count: u32) -> varan_contract::network::PingResult {
    let count = count.clamp(1, PINGS_MAX);
    let answers = (0..count).map(|number| (u16::try_from(number).unwrap_or(u16::MAX), 255, 0)).collect();
    varan_contract::network::PingResult { sent: count, answers, unreachable: false }
}
