//! Random networks, random faults, hours of virtual time: frames with numbers are sent all the while, and what must hold is
//! checked for each.
//!
//! - No port gets a frame twice, nor a sender its own.
//! - No port gets a frame of another VLAN, or one with a tag.
//! - Nothing goes in circles: a frame and all its copies are gone after few steps.
//! - Whoever is connected is reached, and its answer comes back to the one who asked and to nobody else.
//! - At most one backing device of a virtual NIC is active.

#![allow(missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use varan_contract::engine::{GuestEthernetPort, GuestNetworkAdapter};
use varan_contract::network::VirtualSwitchMode;
use varan_environment::{Monotonic, split_mix};
use varan_ethernet::{EthernetAddress, Frame};
use varan_fabric::control::{Control, TYPE_CONTROL};
use varan_fabric::hypervisor::{Heartbeat, HypervisorFabric, PortEnd};
use varan_fabric::outside::OutsideFabric;
use varan_fabric::{Outbox, Place, PortNumber};
use varan_model::ids::{LogicalPortId, VirtualSlot};
use varan_model::site::topology::Topology;
use varan_model::site::{CableEnd, Switch, SwitchPort};

use support::{frame, logical_port, mac, owner, physical_port, station, virtual_nic, virtual_nic_server};

const VLANS: [u16; 3] = [10, 20, 30];
/// Shared physical ports of each frame, and servers with a bridge over a port of their own.
const SHARED: u32 = 3;
const SERVERS: u32 = 2;
/// Type of the frames that are counted.
const TYPE_PROBE: u16 = 0x88B6;
/// Steps after which everything must have arrived.
const STEPS: usize = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum At {
    Machine(usize, u32),
    Outside(u32),
}

/// How a station is joined to the network.
#[derive(Clone, Debug)]
enum Joined {
    Virtual(usize),
    Logical(usize, u32),
    Nic(usize, [u32; 2]),
    Leaf(usize),
}

#[derive(Clone, Debug)]
struct Station {
    at: At,
    vlan: u16,
    address: EthernetAddress,
    joined: Joined,
    partition: u32,
    listening: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Server {
    on: bool,
    hung: bool,
    bridges: bool,
}

struct World {
    random: u64,
    now: Monotonic,
    machines: Vec<HypervisorFabric>,
    outside: OutsideFabric,
    out: Outbox,
    queue: VecDeque<(At, Frame)>,
    links: HashMap<At, At>,
    stations: Vec<Station>,
    servers: Vec<[Server; SERVERS as usize]>,
    /// Leaf of each physical port, by its port at the machine.
    leaf_of: HashMap<(usize, u32), usize>,
    /// Cables that are pulled, by their names.
    pulled: BTreeSet<String>,
    cables: Vec<String>,
    /// Cables between switches: name, one switch, the other.
    between: Vec<(String, usize, usize)>,
    got: Vec<(At, Frame)>,
    number: u64,
}

/// Ports of a machine: cables 1 to 3 shared, 11 and 12 the bridges' own; trunks 21 and 22, the bridges' physical ports 31 and
/// 32, control ports 41 and 42, stations from 100 on.
fn location(machine: usize, port: u32) -> String {
    format!("U78CA.001.CSS0{machine}-P1-C{port}-T1")
}

impl World {
    fn pick(&mut self, below: usize) -> usize {
        usize::try_from(split_mix(&mut self.random) % below as u64).expect("small")
    }

    fn new(seed: u64) -> Self {
        let mut random = seed.wrapping_mul(0x1234_5677) + 1;
        let mut pick = |below: u64| split_mix(&mut random) % below;
        let machines = 1 + usize::try_from(pick(3)).expect("small");
        let leaves = 1 + usize::try_from(pick(3)).expect("small");
        let mut world = Self {
            random,
            now: Monotonic(Duration::from_secs(1_000)),
            machines: Vec::new(),
            outside: OutsideFabric::new(&Topology { switches: Vec::new(), hosts: Vec::new() }, 0, |_| None),
            out: Outbox::new(1_024),
            queue: VecDeque::new(),
            links: HashMap::new(),
            stations: Vec::new(),
            servers: vec![[Server::default(); SERVERS as usize]; machines],
            leaf_of: HashMap::new(),
            pulled: BTreeSet::new(),
            cables: Vec::new(),
            between: Vec::new(),
            got: Vec::new(),
            number: 0,
        };
        world.build_outside(machines, leaves);
        for machine in 0..machines {
            world.build_machine(machine);
        }
        for port in 0..100 {
            world.outside.carrier(world.now, PortNumber(port), true, &mut world.out);
        }
        world.settle();
        world
    }

    fn build_outside(&mut self, machines: usize, leaves: usize) {
        let port = |name: &str, peer: Option<CableEnd>, native: u16, tagged: &[u16]| SwitchPort {
            name: name.to_owned(),
            peer,
            native_vlan: native,
            tagged_vlans: tagged.to_vec(),
            blocked_ports: Vec::new(),
        };
        let mut switches: Vec<Switch> =
            (0..=leaves).map(|leaf| Switch { name: format!("s{leaf}"), ports: Vec::new() }).collect();
        // Each leaf leads to the core, which is the last; some lead to each other as well.
        let mut pairs: Vec<(usize, usize)> = (0..leaves).map(|leaf| (leaf, leaves)).collect();
        for _ in 0..self.pick(3) {
            let (one, other) = (self.pick(leaves + 1), self.pick(leaves + 1));
            if one != other {
                pairs.push((one, other));
            }
        }
        for (number, (one, other)) in pairs.into_iter().enumerate() {
            let name = format!("b{number}");
            let far = CableEnd::SwitchPort { switch: format!("s{other}"), port: name.clone() };
            switches[one].ports.push(port(&name, Some(far), 1, &VLANS));
            switches[other].ports.push(port(&name, None, 1, &VLANS));
            self.between.push((format!("s{one}:{name}"), one, other));
            self.cables.push(format!("s{one}:{name}"));
        }
        let mut number = 0;
        for machine in 0..machines {
            for cable in (1..=SHARED).chain(11..11 + SERVERS) {
                let leaf = self.pick(leaves + 1);
                let end = CableEnd::Tap(number.to_string());
                switches[leaf].ports.push(port(&format!("m{number}"), Some(end), 1, &VLANS));
                self.links.insert(At::Machine(machine, cable), At::Outside(number));
                self.links.insert(At::Outside(number), At::Machine(machine, cable));
                self.leaf_of.insert((machine, cable), leaf);
                self.cables.push(format!("s{leaf}:m{number}"));
                number += 1;
            }
        }
        for _ in 0..4 {
            let (leaf, vlan) = (self.pick(leaves + 1), VLANS[self.pick(3)]);
            let end = CableEnd::Tap(number.to_string());
            switches[leaf].ports.push(port(&format!("h{number}"), Some(end), vlan, &[]));
            self.stations.push(Station {
                at: At::Outside(number),
                vlan,
                address: station(900_000 + number),
                joined: Joined::Leaf(leaf),
                partition: 0,
                listening: true,
            });
            number += 1;
        }
        let topology = Topology { switches, hosts: Vec::new() };
        self.outside = OutsideFabric::new(&topology, 5, |end| match end {
            CableEnd::Tap(number) => number.parse().ok().map(PortNumber),
            _ => None,
        });
    }

    fn build_machine(&mut self, machine: usize) {
        let (now, base) = (self.now, u32::try_from(machine).expect("small") * 1_000);
        let mut fabric = HypervisorFabric::new(9, Heartbeat::default());
        let out = &mut self.out;
        fabric.put_switch("ETHERNET0", VirtualSwitchMode::Veb, out);
        for cable in 1..=SHARED {
            let location = location(machine, cable);
            fabric.put_physical_port(now, PortNumber(cable), &location, out);
            fabric.put_shared_port(now, &physical_port(&location), out);
            fabric.carrier(now, PortNumber(cable), true, out);
        }
        for server in 0..SERVERS {
            let location = location(machine, 11 + server);
            fabric.put_physical_port(now, PortNumber(11 + server), &location, out);
            fabric.carrier(now, PortNumber(11 + server), true, out);
        }
        self.machines.push(fabric);
        for server in 0..SERVERS {
            self.start_server(machine, server);
        }
        self.elect(machine);
        for (partition, kind) in (100..109).zip(0..) {
            let number = base + partition;
            let at = At::Machine(machine, partition);
            let vlan = VLANS[self.pick(3)];
            let first = 1 + u32::try_from(self.pick(SHARED as usize)).expect("small");
            let second = 1 + first % SHARED;
            let guest = owner(number, PortEnd::Guest);
            let fabric = &mut self.machines[machine];
            let (port, out) = (PortNumber(partition), &mut self.out);
            let joined = match kind % 3 {
                0 => {
                    let mut adapter =
                        GuestNetworkAdapter::untagged(VirtualSlot(2), mac(number), "ETHERNET0", vlan);
                    adapter.ieee = true;
                    fabric.plug_ethernet(now, port, guest, &adapter, out);
                    Joined::Virtual(machine)
                }
                1 => {
                    let logical = logical_port(number, &location(machine, first), vlan);
                    fabric.plug_logical_port(now, port, guest, &logical, out);
                    Joined::Logical(machine, first)
                }
                _ => {
                    let devices: Vec<(u32, u32, u8)> = [first, second]
                        .into_iter()
                        .enumerate()
                        .map(|(server, cable)| {
                            let server = u32::try_from(server).expect("small");
                            let logical = partition * 10 + cable;
                            (base + 1 + server, logical, 50)
                        })
                        .collect();
                    let mut nic = virtual_nic(number, vlan, &devices);
                    nic.backing_devices[1].priority = 60;
                    fabric.plug_vnic(now, port, guest, &nic, out);
                    Joined::Nic(machine, [first, second])
                }
            };
            fabric.listen(now, guest.partition, true, out);
            self.stations.push(Station {
                at,
                vlan,
                address: station(number),
                joined,
                partition: number,
                listening: true,
            });
        }
        for server in 0..SERVERS {
            self.plug_nic_servers(machine, server);
        }
    }

    fn start_server(&mut self, machine: usize, server: u32) {
        let (now, base) = (self.now, u32::try_from(machine).expect("small") * 1_000);
        let own = owner(base + 1 + server, PortEnd::Link);
        let mut trunk =
            GuestNetworkAdapter::untagged(VirtualSlot(4), mac(base + 21 + server), "ETHERNET0", 1);
        trunk.ieee = true;
        trunk.tagged_vlan_ids = VLANS.to_vec();
        trunk.trunk_priority = Some(u8::try_from(server + 1).expect("small"));
        let (fabric, out) = (&mut self.machines[machine], &mut self.out);
        fabric.plug_ethernet(now, PortNumber(21 + server), own, &trunk, out);
        let physical = GuestEthernetPort {
            location: location(machine, 11 + server),
            mac_address: mac(base + 31 + server),
        };
        fabric.plug_physical(now, PortNumber(31 + server), own, &physical, out);
        fabric.plug_control(now, PortNumber(41 + server), own, out);
        for port in [21, 31, 41] {
            fabric.carrier(now, PortNumber(port + server), true, out);
        }
        self.servers[machine][server as usize] = Server { on: true, hung: false, bridges: false };
        self.plug_nic_servers(machine, server);
        // A server that starts does not bridge until it is chosen.
        self.say(machine, server, false);
    }

    fn plug_nic_servers(&mut self, machine: usize, server: u32) {
        let base = u32::try_from(machine).expect("small") * 1_000;
        let own = owner(base + 1 + server, PortEnd::Link);
        let nics: Vec<(u32, u32)> = self
            .stations
            .iter()
            .filter_map(|station| match (station.at, &station.joined) {
                (At::Machine(at, port), Joined::Nic(_, cables)) if at == machine => {
                    Some((port, cables[server as usize]))
                }
                _ => None,
            })
            .collect();
        for (port, cable) in nics {
            let spec = virtual_nic_server(base + port, port * 10 + cable, &location(machine, cable));
            self.machines[machine].plug_vnic_server(self.now, own, &spec, &mut self.out);
        }
    }

    fn stop_server(&mut self, machine: usize, server: u32) {
        let base = u32::try_from(machine).expect("small") * 1_000;
        let own = owner(base + 1 + server, PortEnd::Link);
        self.machines[machine].power_off(self.now, own.partition, &mut self.out);
        self.servers[machine][server as usize] = Server::default();
        self.elect(machine);
    }

    fn say(&mut self, machine: usize, server: u32, bridges: bool) {
        self.servers[machine][server as usize].bridges = bridges;
        let mut message = Frame::default();
        Control::Trunk { bridges, uplink: None }.write(station(21 + server), &mut message);
        let port = PortNumber(21 + server);
        self.machines[machine].receive(self.now, port, message, &mut self.out);
        self.collect_machine(machine);
    }

    /// The server that bridges: the first one that is on and whose cable is in its place.
    fn elect(&mut self, machine: usize) {
        let chosen = (0..SERVERS).find(|server| {
            self.servers[machine][*server as usize].on && self.cable_works(machine, 11 + *server)
        });
        for server in (0..SERVERS).filter(|server| Some(*server) != chosen) {
            if self.servers[machine][server as usize].on {
                self.say(machine, server, false);
            }
        }
        if let Some(server) = chosen {
            self.say(machine, server, true);
        }
    }

    fn cable_works(&self, machine: usize, cable: u32) -> bool {
        let At::Outside(number) = self.links[&At::Machine(machine, cable)] else { return false };
        let leaf = self.leaf_of[&(machine, cable)];
        !self.pulled.contains(&format!("s{leaf}:m{number}"))
    }

    /// Takes what came out of a machine. Its side of a cable has always a carrier.
    fn collect_machine(&mut self, machine: usize) {
        for (port, frame) in self.out.frames.drain(..) {
            self.queue.push_back((At::Machine(machine, port.0), frame));
        }
        self.out.carriers.clear();
    }

    /// Takes what came out of the outside; carriers are known at once.
    fn collect_outside(&mut self) {
        for (port, frame) in self.out.frames.drain(..) {
            self.queue.push_back((At::Outside(port.0), frame));
        }
        let carriers: Vec<(PortNumber, bool)> = self.out.carriers.drain(..).collect();
        for (port, up) in carriers {
            if let Some(At::Machine(machine, cable)) = self.links.get(&At::Outside(port.0)).copied() {
                self.machines[machine].carrier(self.now, PortNumber(cable), up, &mut self.out);
                self.collect_machine(machine);
            }
        }
    }

    /// Hands frames on until there are none.
    fn settle(&mut self) {
        for _ in 0..STEPS {
            let Some((from, frame)) = self.queue.pop_front() else { return };
            match (from, self.links.get(&from).copied()) {
                (_, Some(to)) => self.enter(to, frame),
                (At::Machine(machine, port @ 21..49), None) => self.serve(machine, port, frame),
                _ => self.got.push((from, frame)),
            }
        }
        panic!("frames go in circles");
    }

    fn enter(&mut self, to: At, frame: Frame) {
        match to {
            At::Machine(machine, port) => {
                self.machines[machine].receive(self.now, PortNumber(port), frame, &mut self.out);
                self.collect_machine(machine);
            }
            At::Outside(port) => {
                self.outside.receive(self.now, PortNumber(port), frame, &mut self.out);
                self.collect_outside();
            }
        }
    }

    /// A server: it bridges between its trunk and its physical port, and answers.
    fn serve(&mut self, machine: usize, port: u32, frame: Frame) {
        let (kind, server) = (port / 10 * 10 + 1, (port - 1) % 10);
        let known = self.servers[machine][server as usize];
        if !known.on || known.hung {
            return;
        }
        if frame.ethernet_type() == TYPE_CONTROL {
            if let Some(Control::AskLife { number }) = Control::read(&frame) {
                let mut answer = Frame::default();
                Control::Alive { number }.write(station(41 + server), &mut answer);
                self.enter(At::Machine(machine, 41 + server), answer);
            }
        } else if known.bridges {
            let other = if kind == 21 { 31 } else { 21 };
            self.enter(At::Machine(machine, other + server), frame);
        }
    }

    fn pass_time(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            let due = self.machines.iter().filter_map(HypervisorFabric::next_due);
            let due = due.chain(self.outside.next_due()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            for machine in 0..self.machines.len() {
                self.machines[machine].tick(self.now, &mut self.out);
                self.collect_machine(machine);
            }
            self.outside.tick(self.now, &mut self.out);
            self.collect_outside();
            self.settle();
        }
        self.now = end;
        self.got.clear();
    }

    /// Something breaks, or is mended.
    fn fault(&mut self) {
        let machine = self.pick(self.machines.len());
        match self.pick(8) {
            0..3 => {
                let index = self.pick(self.cables.len());
                let cable = self.cables[index].clone();
                let plugged = self.pulled.remove(&cable);
                if !plugged {
                    self.pulled.insert(cable.clone());
                }
                assert!(self.outside.set_cable(self.now, &cable, plugged, &mut self.out), "{cable}");
                self.collect_outside();
                self.settle();
                for machine in 0..self.machines.len() {
                    self.elect(machine);
                }
            }
            3 => {
                let server = u32::try_from(self.pick(2)).expect("small");
                if self.servers[machine][server as usize].on {
                    self.stop_server(machine, server);
                } else {
                    self.start_server(machine, server);
                    self.elect(machine);
                }
                self.collect_machine(machine);
            }
            4 => {
                // Only the other one's frames are looked at while one hangs: it still says that it bridges.
                let server = self.pick(2);
                let known = &mut self.servers[machine][server];
                known.hung = known.on && !known.hung;
            }
            5 => {
                let index = self.pick(self.stations.len());
                if let At::Machine(machine, _) = self.stations[index].at {
                    let listening = !self.stations[index].listening;
                    self.stations[index].listening = listening;
                    let partition = owner(self.stations[index].partition, PortEnd::Guest).partition;
                    self.machines[machine].listen(self.now, partition, listening, &mut self.out);
                }
            }
            _ => {
                let index = self.pick(self.stations.len());
                let station = self.stations[index].clone();
                if let (At::Machine(machine, port), Joined::Nic(_, cables)) = (station.at, &station.joined) {
                    let cable = cables[self.pick(2)];
                    let partition = owner(station.partition, PortEnd::Guest).partition;
                    let logical = LogicalPortId(0x2700_4000 + port * 10 + cable);
                    let (fabric, out) = (&mut self.machines[machine], &mut self.out);
                    fabric.activate(self.now, partition, VirtualSlot(6), logical, out);
                    self.collect_machine(machine);
                }
            }
        }
        self.settle();
        self.got.clear();
    }

    /// The node of the network that a station is at; `None` for one that is cut off.
    fn node_of(&self, station: &Station) -> Option<String> {
        if !station.listening {
            return None;
        }
        Some(match &station.joined {
            Joined::Leaf(leaf) => format!("s{leaf}"),
            Joined::Virtual(machine) => format!("v{machine}"),
            Joined::Logical(machine, cable) => format!("e{machine}-{cable}"),
            Joined::Nic(machine, _) => {
                let At::Machine(_, port) = station.at else { return None };
                let partition = owner(station.partition, PortEnd::Guest).partition;
                let states = self.machines[*machine].backing_devices(partition, VirtualSlot(6));
                let active: Vec<u32> = states
                    .iter()
                    .filter(|state| state.active)
                    .map(|state| state.logical_port.0 - 0x2700_4000 - port * 10)
                    .collect();
                assert!(active.len() <= 1, "one active device at most");
                let cable = *active.first()?;
                let link =
                    self.machines[*machine].statistics(PortNumber(port)).is_some_and(|port| port.link_up);
                if !link {
                    return None;
                }
                format!("e{machine}-{cable}")
            }
        })
    }

    /// Nodes that are connected, each with the first of its group.
    fn groups(&self) -> BTreeMap<String, String> {
        let mut edges: Vec<(String, String)> = Vec::new();
        for (name, one, other) in &self.between {
            if !self.pulled.contains(name) {
                edges.push((format!("s{one}"), format!("s{other}")));
            }
        }
        for ((machine, cable), leaf) in &self.leaf_of {
            if !self.cable_works(*machine, *cable) {
                continue;
            }
            let near = match *cable {
                11.. => {
                    let server = self.servers[*machine][*cable as usize - 11];
                    if !server.on || server.hung || !server.bridges {
                        continue;
                    }
                    format!("v{machine}")
                }
                _ => format!("e{machine}-{cable}"),
            };
            edges.push((near, format!("s{leaf}")));
        }
        let mut group: BTreeMap<String, String> = BTreeMap::new();
        for (one, other) in &edges {
            group.insert(one.clone(), one.clone());
            group.insert(other.clone(), other.clone());
        }
        for (one, other) in &edges {
            let (one, other) = (group[one].clone(), group[other].clone());
            group.values_mut().filter(|value| **value == other).for_each(|value| value.clone_from(&one));
        }
        group
    }

    fn numbered(&mut self, destination: EthernetAddress, source: EthernetAddress) -> Frame {
        self.number += 1;
        let mut sent = frame(destination, source, 64);
        sent.buffer()[12..14].copy_from_slice(&TYPE_PROBE.to_be_bytes());
        sent.buffer()[14..22].copy_from_slice(&self.number.to_be_bytes());
        sent
    }

    /// Ports that got the last frame sent.
    fn received(&mut self, vlan: u16) -> BTreeSet<At> {
        let mut ports = BTreeSet::new();
        for (at, got) in std::mem::take(&mut self.got) {
            if got.ethernet_type() != TYPE_PROBE {
                continue;
            }
            assert_eq!(got.payload()[..8], self.number.to_be_bytes(), "late");
            assert!(ports.insert(at), "{at:?} got it twice");
            assert_eq!(got.tag, None, "{at:?} knows no tags");
            let station = self.stations.iter().find(|station| station.at == at).expect("a station's port");
            assert_eq!(station.vlan, vlan, "{at:?} is in another VLAN");
        }
        ports
    }

    /// One station asks all, and one of those answers.
    fn ask(&mut self) {
        let (asking, asked) = (self.pick(self.stations.len()), self.pick(self.stations.len()));
        let (asking, asked) = (self.stations[asking].clone(), self.stations[asked].clone());
        if asking.at == asked.at {
            return;
        }
        let groups = self.groups();
        let group = |node: String| groups.get(&node).cloned().unwrap_or(node);
        let home = self.node_of(&asking).map(group);
        let group = |node: String| groups.get(&node).cloned().unwrap_or(node);
        let question = self.numbered(EthernetAddress::BROADCAST, asking.address);
        self.enter(asking.at, question);
        self.settle();
        let reached = self.received(asking.vlan);
        assert!(!reached.contains(&asking.at), "its own frame came back");
        let mut expected = BTreeSet::new();
        if let Some(home) = home {
            for station in self.stations.iter().filter(|station| station.vlan == asking.vlan) {
                if station.at != asking.at && self.node_of(station).map(group).as_ref() == Some(&home) {
                    expected.insert(station.at);
                }
            }
            assert_eq!(reached, expected, "who is connected to {asking:?}");
        } else {
            return;
        }
        if expected.contains(&asked.at) {
            let answer = self.numbered(asking.address, asked.address);
            self.enter(asked.at, answer);
            self.settle();
            assert_eq!(self.received(asked.vlan), BTreeSet::from([asking.at]), "{asked:?} to {asking:?}");
        }
    }
}

fn run(seed: u64, rounds: u32) {
    let mut world = World::new(seed);
    world.pass_time(Duration::from_secs(2));
    for _ in 0..rounds {
        if world.pick(3) == 0 {
            world.fault();
        }
        if world.pick(4) > 0 {
            let time = [1, 30, 300, 3_000, 30_000][world.pick(5)];
            world.pass_time(Duration::from_millis(time));
        }
        world.ask();
    }
}

#[test]
fn whatever_breaks_each_frame_comes_once_where_it_belongs() {
    for seed in 0..40 {
        let result = std::panic::catch_unwind(|| run(seed, 500));
        if let Err(panic) = result {
            println!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
