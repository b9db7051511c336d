//! The network outside the frames as a whole: what the site file says of it, and what follows where it says nothing.

use std::net::Ipv4Addr;

use super::fabric::{CableEnd, Switch, SwitchPort, all_vlans};
use super::identifiers::LocationCode;
use super::io::Adapter;
use super::{ManagedSystemDescription, Site};
use crate::configuration::PartitionEnvironment;

/// Name of the switch of a site whose file has none.
const ONLY_SWITCH: &str = "switch-1";
/// Name of the way out of the management networks where the file gives none.
const GATEWAY: &str = "gateway";

/// Switches with all their cables, and the hosts on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Switches; a cable between two stands at one of its ends only.
    pub switches: Vec<Switch>,
    /// Hosts, consoles among them; each is named by the cable end of one switch port, or not cabled.
    pub hosts: Vec<Host>,
}

/// A host outside the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// What the cable that leads to it names.
    pub end: CableEnd,
    /// Addresses: VLAN (`None` for untagged frames), address, prefix length.
    pub addresses: Vec<(Option<u16>, Ipv4Addr, u8)>,
    /// Passes packets on between its networks.
    pub router: bool,
}

/// Location codes of all Ethernet ports of a system, SR-IOV ports among them.
pub fn ethernet_ports(system: &ManagedSystemDescription) -> impl Iterator<Item = &LocationCode> {
    let adapters = system.units.iter().flat_map(|unit| &unit.slots).filter_map(|slot| slot.adapter.as_ref());
    adapters.flat_map(|adapter| -> Vec<&LocationCode> {
        match adapter {
            Adapter::Ethernet { ports } => ports.iter().map(|port| &port.location_code).collect(),
            Adapter::Sriov(adapter) => adapter.ports.iter().map(|port| &port.location_code).collect(),
            Adapter::FibreChannel { .. } | Adapter::Sas { .. } => Vec::new(),
        }
    })
}

/// Whether the file gives a system no Virtual I/O Server. The management VLAN of such a system's management switch then leads
/// to the first switch by itself, so that its partitions reach consoles.
#[must_use]
pub fn has_no_server(system: &ManagedSystemDescription) -> bool {
    !system.partitions.iter().any(|one| one.environment == PartitionEnvironment::VirtualIoServer)
}

fn port(name: String, peer: CableEnd, tagged_vlans: Vec<u16>) -> SwitchPort {
    SwitchPort { name, peer: Some(peer), native_vlan: 1, tagged_vlans, blocked_ports: Vec::new() }
}

impl Site {
    /// Address of a console on the management network of a managed system: the second usable one for the first console
    /// of the file, the third for the next.
    #[must_use]
    pub fn console_address(&self, console: usize, system: &ManagedSystemDescription) -> Ipv4Addr {
        let network = u32::from(system.management.network.address);
        let offset = u32::try_from(console).unwrap_or(u32::MAX).saturating_add(2);
        Ipv4Addr::from(network.saturating_add(offset))
    }

    /// Address of the gateway of a managed system's management network: the first usable one.
    #[must_use]
    pub fn gateway_address(system: &ManagedSystemDescription) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(system.management.network.address).saturating_add(1))
    }

    /// The network outside the frames: as the file describes it, with a switch where it has none, with cables to consoles
    /// that it does not mention, and with a gateway where no host has its address.
    #[must_use]
    pub fn topology(&self) -> Topology {
        let mut switches = self.switches.clone();
        if switches.is_empty() {
            switches.push(self.only_switch());
        }
        let mut hosts: Vec<Host> = self.outside_hosts.iter().map(outside).collect();
        hosts.extend((0..self.consoles.len()).map(|index| self.console_host(index)));
        hosts.extend(self.gateway(&hosts));
        for host in &hosts {
            let cabled = switches.iter().flat_map(|switch| &switch.ports);
            if !cabled.into_iter().any(|port| port.peer.as_ref() == Some(&host.end)) {
                let name = match &host.end {
                    CableEnd::Console(name) => format!("console-{name}"),
                    // A host that the file describes and does not cable is off the network.
                    CableEnd::OutsideHost(name) if name == GATEWAY => GATEWAY.to_owned(),
                    _ => continue,
                };
                switches[0].ports.push(port(name, host.end.clone(), Vec::new()));
            }
        }
        for system in self.managed_systems.iter().filter(|system| has_no_server(system)) {
            let end = CableEnd::Hypervisor(system.name.clone());
            switches[0].ports.push(port(format!("hypervisor-{}", system.name), end, Vec::new()));
        }
        Topology { switches, hosts }
    }

    fn only_switch(&self) -> Switch {
        let locations = self.managed_systems.iter().flat_map(ethernet_ports);
        let mut ports: Vec<SwitchPort> = locations
            .map(|location| port(location.to_string(), CableEnd::AdapterPort(location.clone()), all_vlans()))
            .collect();
        for host in &self.outside_hosts {
            ports.push(port(host.name.clone(), CableEnd::OutsideHost(host.name.clone()), all_vlans()));
        }
        Switch { name: ONLY_SWITCH.to_owned(), ports }
    }

    fn console_host(&self, index: usize) -> Host {
        let mut addresses = Vec::new();
        for system in &self.managed_systems {
            let address =
                (None, self.console_address(index, system), system.management.network.prefix_length);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Host { end: CableEnd::Console(self.consoles[index].name.clone()), addresses, router: false }
    }

    /// A gateway of the management networks whose gateway address no host has.
    fn gateway(&self, hosts: &[Host]) -> Option<Host> {
        let mut addresses = Vec::new();
        for system in &self.managed_systems {
            let (address, prefix) = (Self::gateway_address(system), system.management.network.prefix_length);
            let known = hosts.iter().flat_map(|host| &host.addresses).any(|(_, known, _)| *known == address);
            if !known && !addresses.contains(&(None, address, prefix)) {
                addresses.push((None, address, prefix));
            }
        }
        let taken = hosts.iter().any(|host| host.end == CableEnd::OutsideHost(GATEWAY.to_owned()));
        let end = CableEnd::OutsideHost(GATEWAY.to_owned());
        (!addresses.is_empty() && !taken).then_some(Host { end, addresses, router: true })
    }
}

fn outside(host: &super::OutsideHost) -> Host {
    let mut addresses = vec![(None, host.ip_address, host.prefix_length)];
    addresses
        .extend(host.vlan_addresses.iter().map(|(vlan, address, prefix)| (Some(*vlan), *address, *prefix)));
    Host { end: CableEnd::OutsideHost(host.name.clone()), addresses, router: host.router }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn shipped() -> impl Iterator<Item = Site> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../sites");
        let files = std::fs::read_dir(directory).expect("sites").map(|file| file.expect("a file").path());
        files.map(|path| {
            let text = std::fs::read_to_string(&path).expect("a site file");
            Site::parse(&text, &path.to_string_lossy()).expect("a site")
        })
    }

    #[test]
    fn every_shipped_site_reaches_its_consoles_and_gateways() {
        for site in shipped() {
            let topology = site.topology();
            let mut ends = HashSet::new();
            for peer in topology
                .switches
                .iter()
                .flat_map(|switch| &switch.ports)
                .filter_map(|port| port.peer.as_ref())
            {
                assert!(ends.insert(format!("{peer:?}")), "{}: two cables to {peer:?}", site.name);
            }
            for host in &topology.hosts {
                assert!(
                    ends.contains(&format!("{:?}", host.end)),
                    "{}: {:?} has no cable",
                    site.name,
                    host.end
                );
            }
            let addresses: Vec<_> = topology.hosts.iter().flat_map(|host| &host.addresses).collect();
            for system in &site.managed_systems {
                let gateway = Site::gateway_address(system);
                assert!(addresses.iter().any(|(_, address, _)| *address == gateway), "{}", site.name);
            }
            let different: HashSet<_> = addresses.iter().map(|(_, address, _)| address).collect();
            assert_eq!(different.len(), addresses.len(), "{}: an address twice", site.name);
        }
    }

    #[test]
    fn a_site_without_switches_has_one_for_all_its_ports() {
        let without = shipped().find(|site| site.name == "storage").expect("a site without switches");
        let topology = without.topology();
        assert_eq!(topology.switches.len(), 1);
        let ports = without.managed_systems.iter().flat_map(ethernet_ports).count();
        // The console and the gateway besides.
        assert_eq!(topology.switches[0].ports.len(), ports + 2);
        assert_eq!(topology.switches[0].ports[0].tagged_vlans.len(), 4_093);
    }
}
