//! The real hypervisor, two real servers and a switch outside under one driver: a guest behind Shared Ethernet Adapters and
//! one with a virtual NIC, and how long each hears nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_contract::engine::{
    AllowedAddresses, AllowedVlans, GuestEthernetPort, GuestLogicalPort, GuestNetworkAdapter,
    GuestVnicAdapter, GuestVnicBackingDevice, GuestVnicServer,
};
use varan_contract::network::{
    BridgeState, HighAvailabilityMode, PhysicalPortSetup, PortPlace, ServerNetworkConfiguration,
    ServerNetworkEvent, VirtualSwitchMode,
};
use varan_environment::{Environment, Monotonic, WallClock};
use varan_ethernet::{EthernetAddress, Frame, TYPE_ARP};
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, PartitionUuid, VirtualSlot};
use varan_simulator::Randomness;

use super::world::{GATEWAY, OUTSIDE, Plan, configuration, identity, probe, probe_number};
use crate::driver::{Driver, PlaceHandle, Sink};
use crate::hypervisor::{Heartbeat, HypervisorFabric, PortEnd, PortOwner};
use crate::place::{Outbox, Place, PortNumber};
use crate::server::{ServerEvent, ServerFabric};

const SWITCH: &str = "ETHERNET0";
const SLOT: VirtualSlot = VirtualSlot(32_897);
const GUEST: PortNumber = PortNumber(1);
const VNIC: PortNumber = PortNumber(2);
/// Ports of the switch outside: network ports of the servers, SR-IOV ports of the servers, the host.
const HOST: u32 = 4;

#[derive(Default)]
struct Clock(Mutex<Duration>);

impl Environment for Clock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(*self.0.lock().expect("clock"))
    }

    fn wall_clock(&self) -> WallClock {
        WallClock(0)
    }

    fn random(&self) -> u64 {
        7
    }
}

/// A learning switch with a gateway's ARP.
#[derive(Default)]
struct Switch {
    learned: BTreeMap<EthernetAddress, u32>,
    up: BTreeMap<u32, bool>,
    /// Ports whose frames get lost though they have a carrier.
    black: Vec<u32>,
}

impl Place for Switch {
    type Event = ();

    fn receive(&mut self, _: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox) {
        if self.black.contains(&port.0) {
            return;
        }
        self.learned.insert(frame.source(), port.0);
        let asks =
            frame.ethernet_type() == TYPE_ARP && frame.payload().get(24..28) == Some(&GATEWAY.octets());
        if asks {
            let mut answer = frame.clone();
            let buffer = answer.buffer();
            buffer[..6].copy_from_slice(&frame.source().0);
            buffer[6..12].copy_from_slice(&OUTSIDE.0);
            buffer[21] = 2;
            buffer[22..28].copy_from_slice(&OUTSIDE.0);
            buffer[28..32].copy_from_slice(&GATEWAY.octets());
            out.send(port, answer);
        }
        let known = self.learned.get(&frame.destination()).copied();
        for to in (0..=HOST).filter(|to| *to != port.0 && known.is_none_or(|known| known == *to)) {
            if self.up.get(&to) == Some(&true) && !self.black.contains(&to) {
                out.send_copy(PortNumber(to), &frame);
            }
        }
    }

    fn carrier(&mut self, _: Monotonic, port: PortNumber, up: bool, _: &mut Outbox) {
        self.up.insert(port.0, up);
        self.learned.retain(|_, known| *known != port.0);
    }

    fn tick(&mut self, _: Monotonic, _: &mut Outbox) {}

    fn next_due(&self) -> Option<Monotonic> {
        None
    }

    fn take_events(&mut self) -> Vec<()> {
        Vec::new()
    }
}

#[derive(Clone, Default)]
struct Station(Arc<Mutex<Vec<(u32, EthernetAddress, Duration)>>>, Arc<Clock>);

impl Sink for Station {
    fn deliver(&mut self, frames: &mut Vec<Frame>) {
        let now = self.1.monotonic().0;
        let mut got = self.0.lock().expect("list");
        got.extend(frames.drain(..).filter_map(|frame| Some((probe_number(&frame)?, frame.source(), now))));
    }
}

struct Whole {
    clock: Arc<Clock>,
    driver: Driver,
    hypervisor: PlaceHandle<HypervisorFabric>,
    servers: [Option<PlaceHandle<ServerFabric>>; 2],
    outside: PlaceHandle<Switch>,
    /// The guest, the virtual NIC's guest, the host.
    stations: [Station; 3],
    probes: u32,
    events: [Arc<Mutex<Vec<ServerEvent>>>; 2],
    plan: Plan,
    /// Milliseconds between probes.
    pace: u64,
}

fn partition(number: u16) -> PartitionUuid {
    format!("00000000-0000-4000-8000-{number:012x}").parse().expect("a UUID")
}

fn owner(number: u16, end: PortEnd) -> PortOwner {
    PortOwner { partition: partition(number), id: PartitionId(number), end }
}

fn guest_address() -> MacAddress {
    MacAddress(0xFA00_0000_0001)
}

fn vnic_address() -> MacAddress {
    MacAddress(0x56FB_2DB8_A406)
}

fn ethernet(address: MacAddress) -> EthernetAddress {
    let [_, _, bytes @ ..] = address.0.to_be_bytes();
    EthernetAddress(bytes)
}

fn logical(number: u16) -> LogicalPortId {
    LogicalPortId(0x2700_4000 + u32::from(number))
}

fn location(number: u16) -> String {
    format!("U78CA.001.CSS08ZN-P1-C{number}-C1-T1")
}

fn vnic_adapter(probes: bool) -> GuestVnicAdapter {
    let device = |number: u16| GuestVnicBackingDevice {
        server: PartitionId(number),
        server_slot: SLOT,
        logical_port: logical(number),
        priority: u8::try_from(number * 10).expect("small"),
    };
    GuestVnicAdapter {
        slot: VirtualSlot(6),
        mac_address: vnic_address(),
        port_vlan_id: 0,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::All,
        allowed_addresses: AllowedAddresses::All,
        disabled: false,
        auto_priority_failover: true,
        backing_devices: vec![device(1), device(2)],
        preferred: None,
        probe_targets: if probes { vec![GATEWAY] } else { Vec::new() },
        offered_address: None,
    }
}

fn logical_port(number: u16) -> GuestLogicalPort {
    GuestLogicalPort {
        id: logical(number),
        location: format!("{}-S1", location(number)),
        physical_port: location(number),
        description: String::new(),
        mac_address: MacAddress(0x0200_0000_9900 + u64::from(number)),
        port_vlan_id: 0,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::All,
        allowed_addresses: AllowedAddresses::All,
        promiscuous: false,
        capacity: 200,
        maximum_capacity: 10_000,
        offered_address: None,
    }
}

/// Port of the hypervisor for a server's port of that number.
fn port_of(server: usize, port: u32) -> PortNumber {
    PortNumber(u32::try_from(server).expect("small") * 20 + 10 + port)
}

fn cable(server: usize, shared: bool) -> PortNumber {
    PortNumber(60 + u32::try_from(server).expect("small") + if shared { 2 } else { 0 })
}

impl Whole {
    fn new(plan: Plan, probes: bool) -> Self {
        let clock = Arc::new(Clock(Mutex::new(Duration::from_secs(1))));
        let driver = Driver::stepped(clock.clone());
        let hypervisor = driver.add(HypervisorFabric::new(1, Heartbeat::default()), |_| {});
        let outside = driver.add(Switch::default(), |()| {});
        let station = || Station(Arc::default(), clock.clone());
        let mut whole = Self {
            stations: [station(), station(), station()],
            clock,
            driver,
            hypervisor,
            servers: [None, None],
            outside,
            probes: 0,
            events: [Arc::default(), Arc::default()],
            plan,
            pace: 1,
        };
        whole.plug_all();
        let wiring = whole.driver.wiring();
        wiring.attach(whole.hypervisor.port(GUEST), whole.stations[0].clone());
        wiring.attach(whole.hypervisor.port(VNIC), whole.stations[1].clone());
        wiring.attach(whole.outside.port(PortNumber(HOST)), whole.stations[2].clone());
        wiring.carrier(whole.outside.port(PortNumber(HOST)), true);
        for server in 0..2 {
            let number = u32::try_from(server).expect("small");
            wiring.link(whole.hypervisor.port(cable(server, false)), whole.outside.port(PortNumber(number)));
            wiring
                .link(whole.hypervisor.port(cable(server, true)), whole.outside.port(PortNumber(number + 2)));
            whole.start(server);
        }
        whole.hypervisor.tell(move |place, now, out| {
            let owner = owner(31, PortEnd::Guest);
            place.plug_vnic(now, VNIC, owner, &vnic_adapter(probes), out);
            place.listen(now, owner.partition, true, out);
        });
        // What is outside has power: its carriers are there for all ports but the host's already.
        whole.outside.tell(|_, _, out| out.carriers.extend((0..HOST).map(|port| (PortNumber(port), true))));
        whole
    }

    fn plug_all(&self) {
        let plan = self.plan.clone();
        self.hypervisor.tell(move |place, now, out| {
            place.put_switch(SWITCH, VirtualSwitchMode::Veb, out);
            let adapter = GuestNetworkAdapter::untagged(VirtualSlot(2), guest_address(), SWITCH, 1);
            place.plug_ethernet(now, GUEST, owner(30, PortEnd::Guest), &adapter, out);
            place.listen(now, partition(30), true, out);
            for server in 0..2 {
                let id = u16::try_from(server).expect("small") + 1;
                let owner = owner(id, PortEnd::Link);
                place.plug_control(now, port_of(server, 0), owner, out);
                let configuration = configuration(&plan, server, plan.modes[server]);
                for port in &configuration.ports {
                    let PortPlace::Virtual(slot) = port.place else {
                        let physical = GuestEthernetPort {
                            location: format!("U1-C{id}-T1"),
                            mac_address: port.mac_address,
                        };
                        place.put_physical_port(now, cable(server, false), &physical.location, out);
                        place.plug_physical(now, port_of(server, 1), owner, &physical, out);
                        continue;
                    };
                    let mut adapter =
                        GuestNetworkAdapter::untagged(slot, port.mac_address, SWITCH, port.port_vlan_id);
                    adapter.ieee = !port.tagged_vlan_ids.is_empty();
                    adapter.tagged_vlan_ids.clone_from(&port.tagged_vlan_ids);
                    adapter.trunk_priority = port.trunk_priority;
                    place.plug_ethernet(now, port_of(server, u32::from(slot.0)), owner, &adapter, out);
                }
                place.put_physical_port(now, cable(server, true), &location(id), out);
                let setup = PhysicalPortSetup {
                    location: location(id),
                    speed: 10_000,
                    maximum_payload: 1_500,
                    bridge: true,
                };
                place.put_shared_port(now, &setup, out);
                let server = GuestVnicServer {
                    slot: SLOT,
                    client: PartitionId(31),
                    client_name: "client".to_owned(),
                    client_slot: VirtualSlot(6),
                    priority: 50,
                    logical_port: logical_port(id),
                };
                place.plug_vnic_server(now, owner, &server, out);
            }
        });
    }

    fn start(&mut self, server: usize) {
        let events = self.events[server].clone();
        let fabric = ServerFabric::new(PortNumber(0), 3, identity(server));
        let handle = self.driver.add(fabric, move |event| events.lock().expect("list").push(event));
        let mut wanted = configuration(&self.plan, server, self.plan.modes[server]);
        wanted.vnic_servers.push(("vnicserver0".to_owned(), SLOT, "ent0".to_owned()));
        let ports = wanted.ports.clone();
        let wiring = self.driver.wiring();
        let link = |port: u32| {
            wiring.link(handle.port(PortNumber(port)), self.hypervisor.port(port_of(server, port)));
        };
        link(0);
        handle.tell(move |place, now, out| place.configure(now, wanted, out));
        for port in ports {
            let number = match port.place {
                PortPlace::Virtual(slot) => u32::from(slot.0),
                _ => 1,
            };
            let place_of = port.place.clone();
            handle.tell(move |place, now, out| place.bind(now, place_of, PortNumber(number), out));
            link(number);
        }
        self.servers[server] = Some(handle);
    }

    fn kill(&mut self, server: usize) {
        if let Some(handle) = self.servers[server].take() {
            handle.remove();
        }
    }

    fn hang(&self, server: usize, hung: bool) {
        if let Some(handle) = &self.servers[server] {
            handle.pause(hung);
        }
    }

    fn configure(&self, server: usize, mode: HighAvailabilityMode) {
        let mut wanted: ServerNetworkConfiguration = configuration(&self.plan, server, mode);
        wanted.vnic_servers.push(("vnicserver0".to_owned(), SLOT, "ent0".to_owned()));
        if let Some(handle) = &self.servers[server] {
            handle.tell(move |place, now, out| place.configure(now, wanted, out));
        }
    }

    fn state(&self, server: usize) -> Option<BridgeState> {
        let handle = self.servers[server].as_ref()?;
        let bridge = handle.ask(|place, now, _| place.statistics(now, "ent20"))??.bridge?;
        Some(bridge.state)
    }

    fn set_cable(&self, port: u32, up: bool) {
        self.outside.tell(move |place, _, out| {
            out.carriers.push((PortNumber(port), up));
            place.learned.retain(|_, known| *known != port);
        });
    }

    fn set_black(&self, ports: Vec<u32>) {
        self.outside.tell(move |place, _, _| place.black = ports);
    }

    fn work(&self) {
        // Frames in a circle would keep the driver busy for ever at one point of time.
        for _ in 0..1_000 {
            if !self.driver.step() {
                return;
            }
        }
        panic!("no rest at {:?}", self.clock.monotonic());
    }

    /// Lets time pass with probes each way for each guest.
    fn pass(&mut self, milliseconds: u64) {
        let wiring = self.driver.wiring();
        for _ in 0..milliseconds / self.pace {
            self.probes += 1;
            for (port, address) in [(GUEST, guest_address()), (VNIC, vnic_address())] {
                let mut frames = vec![probe(OUTSIDE, ethernet(address), self.probes)];
                wiring.send(self.hypervisor.port(port), &mut frames);
                let mut frames = vec![probe(ethernet(address), OUTSIDE, self.probes)];
                wiring.send(self.outside.port(PortNumber(HOST)), &mut frames);
            }
            self.work();
            *self.clock.0.lock().expect("clock") += Duration::from_millis(self.pace);
            self.work();
        }
    }

    fn forget(&self) {
        self.stations.iter().for_each(|station| station.0.lock().expect("list").clear());
    }

    /// Who sent and who gets, of the probes of one guest.
    fn ways(&self, nic: bool) -> [Vec<(u32, Duration)>; 2] {
        let (station, address) =
            if nic { (&self.stations[1], vnic_address()) } else { (&self.stations[0], guest_address()) };
        let of = |station: &Station, from: EthernetAddress| {
            let got = station.0.lock().expect("list");
            got.iter()
                .filter(|(_, source, _)| *source == from)
                .map(|(number, _, at)| (*number, *at))
                .collect()
        };
        [of(station, OUTSIDE), of(&self.stations[2], ethernet(address))]
    }

    /// Nothing lost, nothing doubled while `milliseconds` pass.
    fn lossless(&mut self, milliseconds: u64, what: &str) {
        self.forget();
        let from = self.probes + 1;
        self.pass(milliseconds);
        for nic in [false, true] {
            for way in self.ways(nic) {
                let numbers: Vec<u32> = way.iter().map(|(number, _)| *number).collect();
                let expected: Vec<u32> = (from..=self.probes).collect();
                let lost = expected.iter().filter(|number| !numbers.contains(number)).count();
                assert_eq!((lost, numbers.len()), (0, expected.len()), "{what}, virtual NIC: {nic}");
            }
        }
        println!("{what}: nothing lost or doubled in {milliseconds} ms");
    }

    /// The longest silence of either guest while two seconds pass.
    fn outages(&mut self, what: &str, bounds: [u64; 2]) {
        self.forget();
        let from = self.clock.monotonic().0;
        self.pass(2_000);
        for (nic, bound) in [false, true].into_iter().zip(bounds) {
            let mut longest = Duration::ZERO;
            for way in self.ways(nic) {
                let mut last = from;
                for (_, at) in way {
                    longest = longest.max(at - last);
                    last = at;
                }
                longest = longest.max(self.clock.monotonic().0 - last);
            }
            let guest = if nic { "virtual NIC" } else { "Shared Ethernet Adapter" };
            println!("{what}: {guest} silent for {longest:?}");
            assert!(longest < Duration::from_millis(bound), "{what}: {guest} silent for {longest:?}");
        }
    }

    fn activate(&self, number: u16) -> bool {
        let port = logical(number);
        let answer = self
            .hypervisor
            .ask(move |place, now, out| place.activate(now, partition(31), VirtualSlot(6), port, out));
        answer == Some(true)
    }
}

fn settled(probes: bool) -> Whole {
    let mut whole = Whole::new(Plan { delay: Duration::from_secs(1), ..Plan::auto() }, probes);
    whole.pass(3_000);
    assert_eq!((whole.state(0), whole.state(1)), (Some(BridgeState::Primary), Some(BridgeState::Backup)));
    whole.lossless(500, "nothing happens");
    whole
}

#[test]
fn planned_changes_lose_nothing() {
    let mut whole = settled(false);
    assert!(whole.activate(2));
    whole.lossless(500, "chhwres -o act");
    assert!(whole.activate(1));
    whole.lossless(500, "chhwres -o act, back");
    whole.configure(0, HighAvailabilityMode::Standby);
    whole.lossless(2_000, "chdev ha_mode=standby");
    assert_eq!(whole.state(1), Some(BridgeState::Primary));
    whole.configure(0, HighAvailabilityMode::Auto);
    whole.lossless(3_000, "chdev ha_mode=auto");
    assert_eq!(whole.state(0), Some(BridgeState::Primary));
    let events = whole.events[1].lock().expect("list").clone();
    let device = || "vnicserver0".to_owned();
    assert!(
        events.contains(&ServerEvent::Network(ServerNetworkEvent::VnicLogin { device: device() })),
        "{events:?}"
    );
    assert!(events.contains(&ServerEvent::Network(ServerNetworkEvent::VnicTransport { device: device() })));
}

#[test]
fn a_killed_server() {
    let mut whole = settled(false);
    whole.kill(0);
    whole.outages("server killed", [20, 20]);
    whole.start(0);
    whole.lossless(6_000, "server back");
    assert_eq!(whole.state(0), Some(BridgeState::Primary));
}

#[test]
fn a_hung_server() {
    let mut whole = settled(false);
    whole.hang(0, true);
    // Signs of life are asked for every 250 ms, and missed for a second.
    whole.outages("server hung", [1_000, 1_250]);
    whole.hang(0, false);
    whole.pass(10);
    whole.lossless(6_000, "hung server goes on");
    assert_eq!(whole.state(0), Some(BridgeState::Primary));
}

#[test]
fn lost_links() {
    let mut whole = settled(false);
    whole.set_cable(0, false);
    whole.outages("network port down", [20, 2]);
    whole.set_cable(0, true);
    whole.lossless(6_000, "network port back");
    whole.set_cable(2, false);
    whole.outages("SR-IOV port down", [2, 20]);
    whole.set_cable(2, true);
    whole.lossless(6_000, "SR-IOV port back");
}

#[test]
fn an_uplink_lost_behind_a_live_port() {
    let mut whole = settled(true);
    whole.set_black(vec![2]);
    whole.outages("uplink lost behind a live SR-IOV port", [2, 300]);
    whole.set_black(Vec::new());
    whole.pass(200);
    whole.lossless(6_000, "uplink back");
}

/// Random faults of the whole: who has a way is heard, once; one of each pair is in use.
#[test]
fn random_faults_of_the_whole() {
    for seed in 0..3 {
        let mut random = Randomness::new(seed);
        let mut whole = settled(false);
        whole.pace = 10;
        let mut hung = [false; 2];
        // Network ports and SR-IOV ports of the servers.
        let mut cables = [true; 4];
        for fault in 0..60 {
            let server = usize::from(random.below(2) == 1);
            let what = match random.below(6) {
                _ if whole.servers[server].is_none() => {
                    whole.start(server);
                    "start"
                }
                _ if hung[server] => {
                    whole.hang(server, false);
                    hung[server] = false;
                    "go on"
                }
                0 => {
                    whole.kill(server);
                    "kill"
                }
                1 => {
                    whole.hang(server, true);
                    hung[server] = true;
                    "hang"
                }
                2 => {
                    whole.activate(u16::try_from(server).expect("small") + 1);
                    "activate"
                }
                _ => {
                    let port = usize::try_from(random.below(4)).expect("small");
                    for _ in 0..=random.below(6) {
                        cables[port] ^= true;
                        whole.set_cable(u32::try_from(port).expect("small"), cables[port]);
                        whole.pass(random.between(1, 20) * 10);
                    }
                    "cable"
                }
            };
            whole.pass(5_000);
            whole.forget();
            let from = whole.probes + 1;
            whole.pass(random.between(1, 5) * 500);
            let place =
                format!("seed {seed}, fault {fault}: {what} of {server}, cables {cables:?}, hung {hung:?}");
            let lives = |server: usize| whole.servers[server].is_some() && !hung[server];
            for nic in [false, true] {
                let cable = |server: usize| cables[server + if nic { 2 } else { 0 }];
                if !(0..2).any(|server| lives(server) && cable(server)) {
                    continue;
                }
                for way in whole.ways(nic) {
                    let numbers: Vec<u32> = way.iter().map(|(number, _)| *number).collect();
                    let expected: Vec<u32> = (from..=whole.probes).collect();
                    assert_eq!(numbers, expected, "{place}, virtual NIC: {nic}");
                }
            }
        }
        println!("seed {seed}: {} probes", whole.probes);
    }
}
