//! Ports come, change and go in any order: what a frame does afterwards depends on what is there, not on how it came about.

use std::collections::{BTreeMap, BTreeSet};

use varan_environment::split_mix;

use super::*;

const CABLES: [&str; 2] = [CABLE, OTHER_CABLE];

/// What is plugged in at a port.
#[derive(Clone, Debug)]
enum Plugged {
    Ethernet(GuestNetworkAdapter, PortEnd),
    Logical(GuestLogicalPort),
    Nic(GuestVnicAdapter),
    Dedicated(String),
    Control,
    Cable(String),
}

/// Everything that a hypervisor was told and that still holds.
#[derive(Clone, Debug, Default)]
struct Configuration {
    switches: BTreeMap<String, VirtualSwitchMode>,
    shared: BTreeMap<String, bool>,
    ports: BTreeMap<u32, Plugged>,
    /// Server adapters, by number of the logical port.
    servers: BTreeMap<u32, GuestVnicServer>,
    listening: BTreeSet<u16>,
    carriers: BTreeSet<u32>,
}

const SERVER: u16 = 50;

fn number_of(port: u32) -> u16 {
    u16::try_from(port).expect("small")
}

fn plug(bench: &mut Bench, port: u32, what: &Plugged) {
    let (now, number) = (bench.now, PortNumber(port));
    let (fabric, out) = (&mut bench.fabric, &mut bench.out);
    let owner = |end| Bench::owner(number_of(port), end);
    match what {
        Plugged::Ethernet(adapter, end) => fabric.plug_ethernet(now, number, owner(*end), adapter, out),
        Plugged::Logical(logical) => {
            fabric.plug_logical_port(now, number, owner(PortEnd::Guest), logical, out);
        }
        Plugged::Nic(nic) => fabric.plug_vnic(now, number, owner(PortEnd::Guest), nic, out),
        Plugged::Dedicated(location) => {
            let spec = GuestEthernetPort { location: location.clone(), mac_address: mac(port) };
            fabric.plug_physical(now, number, owner(PortEnd::Link), &spec, out);
        }
        Plugged::Control => {
            let server = PortOwner { id: PartitionId(SERVER), ..owner(PortEnd::Link) };
            fabric.plug_control(now, number, server, out);
        }
        Plugged::Cable(location) => fabric.put_physical_port(now, number, location, out),
    }
}

fn share(bench: &mut Bench, location: &str, bridge: bool) {
    let setup =
        PhysicalPortSetup { location: location.to_owned(), speed: 10_000, maximum_payload: 1_500, bridge };
    bench.fabric.put_shared_port(bench.now, &setup, &mut bench.out);
}

fn plug_server(bench: &mut Bench, server: &GuestVnicServer) {
    let owner = Bench::owner(SERVER, PortEnd::Link);
    bench.fabric.plug_vnic_server(bench.now, owner, server, &mut bench.out);
}

impl Configuration {
    /// A hypervisor that was told only this.
    fn build(&self) -> Bench {
        let mut bench = Bench::new();
        bench.fabric.remove_switch(SWITCH, &mut bench.out);
        for (name, mode) in &self.switches {
            bench.fabric.put_switch(name, *mode, &mut bench.out);
        }
        for (location, bridge) in &self.shared {
            share(&mut bench, location, *bridge);
        }
        for (port, what) in &self.ports {
            plug(&mut bench, *port, what);
        }
        for server in self.servers.values() {
            plug_server(&mut bench, server);
        }
        for port in &self.carriers {
            bench.fabric.carrier(bench.now, PortNumber(*port), true, &mut bench.out);
        }
        for number in &self.listening {
            bench.fabric.listen(bench.now, partition(*number), true, &mut bench.out);
        }
        bench
    }
}

struct Run {
    random: u64,
    bench: Bench,
    configuration: Configuration,
}

impl Run {
    fn pick(&mut self, below: u64) -> u64 {
        split_mix(&mut self.random) % below
    }

    fn random_port(&mut self, port: u32) -> Plugged {
        let vlan = [10, 20][usize::try_from(self.pick(2)).expect("small")];
        let location = CABLES[usize::try_from(self.pick(2)).expect("small")];
        match port {
            1..=5 => {
                let mut adapter = Bench::adapter(port, vlan);
                adapter.virtual_switch = ["A", "B"][usize::try_from(self.pick(2)).expect("small")].to_owned();
                adapter.ieee = self.pick(2) == 0;
                adapter.tagged_vlan_ids = vec![30 - vlan];
                let end = if port >= 4 { PortEnd::Link } else { PortEnd::Guest };
                // Different priorities: of two equal ones it would depend on who came first.
                adapter.trunk_priority = (port >= 4).then_some(u8::try_from(port).expect("small"));
                Plugged::Ethernet(adapter, end)
            }
            6..=8 => {
                let mut logical = Bench::logical_spec(port, location);
                logical.port_vlan_id = [0, 10][usize::try_from(self.pick(2)).expect("small")];
                logical.promiscuous = self.pick(4) == 0;
                Plugged::Logical(logical)
            }
            9 | 10 => Plugged::Nic(GuestVnicAdapter {
                slot: VirtualSlot(6),
                mac_address: mac(port),
                port_vlan_id: [0, 10][usize::try_from(self.pick(2)).expect("small")],
                port_vlan_priority: 0,
                allowed_vlans: AllowedVlans::All,
                allowed_addresses: AllowedAddresses::All,
                disabled: self.pick(5) == 0,
                auto_priority_failover: true,
                backing_devices: vec![GuestVnicBackingDevice {
                    server: PartitionId(SERVER),
                    server_slot: VirtualSlot(number_of(port)),
                    logical_port: LogicalPortId(0x2700_4000 + port),
                    priority: 50,
                }],
                preferred: None,
                probe_targets: Vec::new(),
                offered_address: None,
            }),
            11 => Plugged::Dedicated(CABLES[1].to_owned()),
            12 => Plugged::Control,
            13 => Plugged::Cable(CABLES[0].to_owned()),
            _ => Plugged::Cable(CABLES[1].to_owned()),
        }
    }

    fn step(&mut self) {
        let port = u32::try_from(1 + self.pick(14)).expect("small");
        let bench = &mut self.bench;
        match split_mix(&mut self.random) % 12 {
            0..=3 => {
                let what = self.random_port(port);
                if let Some(Plugged::Nic(_)) = self.configuration.ports.get(&port)
                    && self.pick(2) == 0
                {
                    // Sometimes taken out before, sometimes changed where it is.
                    self.bench.fabric.unplug(self.bench.now, PortNumber(port), &mut self.bench.out);
                }
                let fresh = !self.configuration.ports.contains_key(&port);
                if fresh {
                    self.configuration.carriers.remove(&port);
                }
                plug(&mut self.bench, port, &what);
                self.configuration.ports.insert(port, what);
            }
            4 => {
                bench.fabric.unplug(bench.now, PortNumber(port), &mut bench.out);
                self.configuration.ports.remove(&port);
                self.configuration.carriers.remove(&port);
            }
            5 => {
                bench.fabric.power_off(bench.now, partition(number_of(port)), &mut bench.out);
                self.configuration.listening.remove(&number_of(port));
                // Cables belong to no partition.
                if port < 13 {
                    self.configuration.ports.remove(&port);
                    self.configuration.carriers.remove(&port);
                }
            }
            6 => {
                let listening = self.configuration.listening.insert(number_of(port));
                if !listening {
                    self.configuration.listening.remove(&number_of(port));
                }
                bench.fabric.listen(bench.now, partition(number_of(port)), listening, &mut bench.out);
            }
            7 => {
                let linked = match self.configuration.ports.get(&port) {
                    Some(Plugged::Ethernet(_, end)) => *end == PortEnd::Link,
                    Some(Plugged::Dedicated(_) | Plugged::Control | Plugged::Cable(_)) => true,
                    _ => false,
                };
                if linked {
                    let up = self.configuration.carriers.insert(port);
                    if !up {
                        self.configuration.carriers.remove(&port);
                    }
                    bench.fabric.carrier(bench.now, PortNumber(port), up, &mut bench.out);
                }
            }
            8 => {
                let name = if port % 2 == 0 { "A" } else { "B" };
                if port > 10 {
                    bench.fabric.remove_switch(name, &mut bench.out);
                    self.configuration.switches.remove(name);
                } else {
                    let mode = if port < 7 { VirtualSwitchMode::Veb } else { VirtualSwitchMode::Vepa };
                    bench.fabric.put_switch(name, mode, &mut bench.out);
                    self.configuration.switches.insert(name.to_owned(), mode);
                }
            }
            9 => {
                let location = CABLES[usize::try_from(port % 2).expect("small")];
                if port > 10 {
                    bench.fabric.remove_shared_port(bench.now, location, &mut bench.out);
                    self.configuration.shared.remove(location);
                } else {
                    share(bench, location, port < 8);
                    self.configuration.shared.insert(location.to_owned(), port < 8);
                }
            }
            10 => {
                let logical = 9 + port % 2;
                let location = CABLES[usize::try_from(port / 2 % 2).expect("small")];
                let server = GuestVnicServer {
                    slot: VirtualSlot(number_of(logical)),
                    client: PartitionId(number_of(logical)),
                    client_name: String::new(),
                    client_slot: VirtualSlot(6),
                    priority: 50,
                    logical_port: Bench::logical_spec(logical, location),
                };
                plug_server(bench, &server);
                self.configuration.servers.insert(logical, server);
            }
            _ => {
                let logical = 9 + port % 2;
                let (server, slot) = (PartitionId(SERVER), VirtualSlot(number_of(logical)));
                bench.fabric.unplug_vnic_server(bench.now, server, slot, &mut bench.out);
                self.configuration.servers.remove(&logical);
            }
        }
    }

    /// Frames of all kinds into every port: both hypervisors do the same.
    fn compare(&mut self, context: &str) {
        let mut fresh = self.configuration.build();
        self.bench.out.frames.clear();
        for from in 1..=14 {
            let destinations = (1..=12).map(station).chain([station(99), EthernetAddress::BROADCAST]);
            for destination in destinations {
                for vlan in [None, Some(10), Some(20)] {
                    // A cable brings frames of strangers.
                    let source = if from > 12 { station(700 + from) } else { station(from) };
                    let mut sent = frame(destination, source);
                    sent.tag = vlan.map(VlanTag::of);
                    let expected = fresh.send(from, sent.clone());
                    let got = self.bench.send(from, sent);
                    assert_eq!(
                        got, expected,
                        "{context}: from {from} to {destination} in {vlan:?}; {:#?}",
                        self.configuration
                    );
                }
            }
            let link = |bench: &Bench| bench.fabric.statistics(PortNumber(from)).map(|port| port.link_up);
            assert_eq!(link(&self.bench), link(&fresh), "{context}: link of {from}");
        }
    }
}

#[test]
fn only_what_is_there_counts() {
    for seed in 0..60 {
        let mut bench = Bench::new();
        bench.fabric.remove_switch(SWITCH, &mut bench.out);
        let mut run = Run { random: seed * 1_000_003 + 17, bench, configuration: Configuration::default() };
        for step in 0..120 {
            run.step();
            if step % 4 == 3 {
                run.compare(&format!("seed {seed}, step {step}"));
            }
        }
    }
}
