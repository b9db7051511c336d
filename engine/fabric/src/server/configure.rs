//! Makes a server's devices what its configuration says.

use std::collections::BTreeMap;

use varan_contract::network::{LinkAggregation, PortPlace, ServerNetworkConfiguration, ServerPort};
use varan_environment::Monotonic;
use varan_ethernet::EthernetAddress;

use super::ServerFabric;
use super::aggregation::Aggregation;
use super::node::{Below, Device, Node, User};
use super::sea::{Sea, SeaSetup, ethernet_address};
use crate::place::{Outbox, PortNumber};

impl ServerFabric {
    /// Makes the devices what a configuration says. What stays the same goes on undisturbed; what refers to devices that it
    /// does not have is left out.
    pub fn configure(&mut self, now: Monotonic, configuration: ServerNetworkConfiguration, out: &mut Outbox) {
        let former = std::mem::take(&mut self.nodes);
        self.names.clear();
        let mut former: BTreeMap<String, Node> =
            former.into_iter().map(|node| (node.name.clone(), node)).collect();
        self.configuration = configuration;
        let configuration = self.configuration.clone();
        self.logged_in.retain(|slot| configuration.vnic_servers.iter().any(|(_, known, _)| known == slot));
        self.note_logins();
        for port in &configuration.ports {
            self.put_port(now, port, &mut former);
        }
        for aggregation in &configuration.aggregations {
            self.put_aggregation(now, aggregation, &mut former);
        }
        let mut changed = Vec::new();
        for bridge in &configuration.bridges {
            changed.extend(self.put_bridge(now, bridge, &mut former));
        }
        for vlan in &configuration.vlans {
            self.put_vlan(now, vlan, &mut former);
        }
        let names = &self.names;
        let nodes = &self.nodes;
        self.host
            .configure(now, &configuration, |device| names.get(device).map(|number| nodes[*number].address));
        for device in self.host.devices_in_use() {
            if let Some(number) = names.get(device) {
                self.nodes[*number].interface = true;
            }
        }
        self.note_uppers();
        for (number, setup) in changed {
            self.with_bridge(now, number, out, |sea, out| sea.configure(now, setup, &mut out.pool));
        }
        self.bind_all();
        self.tell_carriers(out);
        for number in 0..self.nodes.len() {
            if let Device::Port { port, .. } = self.nodes[number].device {
                let up = port.is_some_and(|port| self.carriers.get(&port) == Some(&true));
                self.set_carrier(now, number, up, out);
            }
        }
        for number in 0..self.nodes.len() {
            self.pass_carrier(now, number, out);
        }
        self.work(now, out);
    }

    /// Says which port of this place a port of an adapter is.
    pub fn bind(&mut self, now: Monotonic, place: PortPlace, port: PortNumber, out: &mut Outbox) {
        self.bindings.insert(place.clone(), port);
        self.bind_all();
        self.tell_carriers(out);
        if let Some(number) = self.at.get(&port).copied() {
            let up = self.carriers.get(&port) == Some(&true);
            self.set_carrier(now, number, up, out);
        }
        self.work(now, out);
    }

    /// The port of an adapter is gone.
    pub fn unbind(&mut self, now: Monotonic, place: &PortPlace, out: &mut Outbox) {
        let Some(port) = self.bindings.remove(place) else {
            return;
        };
        self.carriers.remove(&port);
        self.told.remove(&port);
        if let Some(number) = self.at.remove(&port) {
            self.set_carrier(now, number, false, out);
        }
        self.bind_all();
        self.work(now, out);
    }

    fn add(&mut self, node: Node) -> usize {
        let number = self.nodes.len();
        self.names.insert(node.name.clone(), number);
        self.nodes.push(node);
        number
    }

    fn put_port(&mut self, now: Monotonic, port: &ServerPort, former: &mut BTreeMap<String, Node>) {
        let address = ethernet_address(port);
        let place = port.place.clone();
        let same = |node: &Node| {
            node.address == address
                && matches!(&node.device, Device::Port { place: known, .. } if *known == place)
        };
        let known = former.remove(&port.device).filter(same);
        let fresh =
            || Node::new(now, &port.device, address, Device::Port { place: place.clone(), port: None });
        let node = known.map_or_else(fresh, Node::unused);
        self.add(node);
    }

    fn put_aggregation(
        &mut self,
        now: Monotonic,
        setup: &LinkAggregation,
        former: &mut BTreeMap<String, Node>,
    ) {
        let find = |device: &String| self.names.get(device).copied();
        let Some(main) = setup.adapters.iter().map(find).collect::<Option<Vec<usize>>>() else {
            return;
        };
        let backup = setup.backup.as_ref().and_then(find);
        let Some(address) = main.first().map(|first| self.nodes[*first].address) else {
            return;
        };
        let members: Vec<usize> = main.iter().copied().chain(backup).collect();
        let known = former.remove(&setup.device);
        let node = match known {
            Some(mut node) if node.is_aggregation(setup, address) => {
                if let Device::Aggregation(aggregation) = &mut node.device {
                    aggregation.renumber(&members);
                }
                node.unused()
            }
            _ => {
                let aggregation = Aggregation::new(setup.clone(), address, &main, backup);
                Node::new(now, &setup.device, address, Device::Aggregation(Box::new(aggregation)))
            }
        };
        let number = self.add(node);
        for (member, node) in members.into_iter().enumerate() {
            self.nodes[node].user = User::Aggregation(number, member);
        }
    }

    /// Adds a Shared Ethernet Adapter; the set-up that it is to take when all devices are there, if it goes on with another.
    fn put_bridge(
        &mut self,
        now: Monotonic,
        adapter: &varan_contract::network::SharedEthernetAdapter,
        former: &mut BTreeMap<String, Node>,
    ) -> Option<(usize, SeaSetup)> {
        let real = self.names.get(&adapter.real).copied()?;
        let address = self.nodes[real].address;
        let ports = &self.configuration.ports;
        let setup =
            SeaSetup::new(adapter, address, |device| ports.iter().find(|port| port.device == device))?;
        let find = |device: &String| self.names.get(device).copied();
        let trunks = setup.trunks.iter().map(|trunk| find(&trunk.device)).collect::<Option<Vec<usize>>>()?;
        let control = adapter.control_channel.as_ref().and_then(find);
        let known = former.remove(&adapter.device);
        let mut goes_on = false;
        let mut node = match known {
            Some(node) if matches!(&node.device, Device::Bridge(sea) if sea.setup().can_become(&setup)) => {
                goes_on = matches!(&node.device, Device::Bridge(sea) if *sea.setup() != setup);
                node.unused()
            }
            _ => {
                let sea = Sea::new(now, setup.clone());
                Node::new(now, &adapter.device, address, Device::Bridge(Box::new(sea)))
            }
        };
        node.below = Some(Below { real, trunks: trunks.clone(), control });
        let number = self.add(node);
        self.nodes[real].user = User::Real(number);
        for (trunk, node) in trunks.into_iter().enumerate() {
            self.nodes[node].user = User::Trunk(number, trunk);
        }
        if let Some(control) = control {
            self.nodes[control].user = User::Control(number);
        }
        goes_on.then_some((number, setup))
    }

    fn put_vlan(
        &mut self,
        now: Monotonic,
        vlan: &varan_contract::network::VlanDevice,
        former: &mut BTreeMap<String, Node>,
    ) {
        let Some(base) = self.names.get(&vlan.base).copied() else {
            return;
        };
        let address = self.nodes[base].address;
        let device = Device::Vlan { base, vlan: vlan.vlan };
        let fresh = Node::new(now, &vlan.device, address, device);
        let known = former.remove(&vlan.device).filter(|node| matches!(node.device, Device::Vlan { .. }));
        let node = match known {
            Some(known) => Node { counters: known.counters, since: known.since, ..fresh },
            None => fresh,
        };
        let number = self.add(node);
        self.nodes[number].up = self.nodes[base].up;
        self.nodes[base].vlans.push((vlan.vlan, number));
    }

    /// Shared Ethernet Adapters give frames to what is above them only if something is.
    fn note_uppers(&mut self) {
        for number in 0..self.nodes.len() {
            let above = self.nodes[number].interface || !self.nodes[number].vlans.is_empty();
            if let Device::Bridge(sea) = &mut self.nodes[number].device {
                sea.has_upper = above;
            }
        }
    }

    fn bind_all(&mut self) {
        self.at.clear();
        for (number, node) in self.nodes.iter_mut().enumerate() {
            if let Device::Port { place, port } = &mut node.device {
                *port = self.bindings.get(place).copied();
                self.at.extend(port.map(|port| (port, number)));
            }
        }
    }

    /// Tells the other ends which ports are used.
    fn tell_carriers(&mut self, out: &mut Outbox) {
        self.tell_carrier(self.control, self.runs(), out);
        let ports: Vec<(PortNumber, bool)> = self
            .bindings
            .values()
            .map(|port| (*port, self.at.get(port).is_some_and(|number| self.is_used(*number))))
            .collect();
        for (port, used) in ports {
            self.tell_carrier(port, used, out);
        }
    }

    fn is_used(&self, number: usize) -> bool {
        let node = &self.nodes[number];
        let vlan_used = || node.vlans.iter().any(|(_, child)| self.nodes[*child].interface);
        node.user != User::Above || node.interface || vlan_used()
    }
}

impl Node {
    fn new(now: Monotonic, name: &str, address: EthernetAddress, device: Device) -> Self {
        Self {
            name: name.to_owned(),
            address,
            device,
            user: User::Above,
            below: None,
            vlans: Vec::new(),
            interface: false,
            up: false,
            was_up: false,
            on_backup: false,
            counters: varan_contract::network::PortStatistics::default(),
            since: now,
        }
    }

    /// The device without what is above it.
    fn unused(mut self) -> Self {
        self.user = User::Above;
        self.vlans.clear();
        self.interface = false;
        self
    }

    fn is_aggregation(&self, setup: &LinkAggregation, address: EthernetAddress) -> bool {
        matches!(&self.device, Device::Aggregation(known) if known.setup() == setup && known.address() == address)
    }
}
