//! Switches with hosts, and ports that lead elsewhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use varan_ethernet::{EthernetAddress, VlanTag};
use varan_model::site::topology::{Host as TopologyHost, Topology};
use varan_model::site::{self};
use varan_station::{EchoEvent, EchoRequest};

use super::*;

/// A port of a switch: name, cable, native VLAN, tagged ones, blocked ports.
pub(super) fn port(name: &str, peer: Option<CableEnd>, native: u16, tagged: &[u16]) -> site::SwitchPort {
    site::SwitchPort {
        name: name.to_owned(),
        peer,
        native_vlan: native,
        tagged_vlans: tagged.to_vec(),
        blocked_ports: Vec::new(),
    }
}

/// A cable out of the place, numbered by its name.
pub(super) fn out_of(number: u32) -> Option<CableEnd> {
    Some(CableEnd::Tap(number.to_string()))
}

pub(super) fn to_port(switch: &str, port: &str) -> Option<CableEnd> {
    Some(CableEnd::SwitchPort { switch: switch.to_owned(), port: port.to_owned() })
}

pub(super) fn to_host(name: &str) -> Option<CableEnd> {
    Some(CableEnd::OutsideHost(name.to_owned()))
}

pub(super) fn switch(name: &str, ports: Vec<site::SwitchPort>) -> site::Switch {
    site::Switch { name: name.to_owned(), ports }
}

pub(super) fn host(name: &str, router: bool, addresses: &[(Option<u16>, [u8; 4])]) -> TopologyHost {
    TopologyHost {
        end: CableEnd::OutsideHost(name.to_owned()),
        addresses: addresses.iter().map(|(vlan, address)| (*vlan, Ipv4Addr::from(*address), 24)).collect(),
        router,
    }
}

pub(super) fn station(number: u8) -> EthernetAddress {
    EthernetAddress([2, 0, 0, 0, 0, number])
}

pub(super) fn frame(destination: EthernetAddress, source: EthernetAddress) -> Frame {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&destination.0);
    bytes.extend_from_slice(&source.0);
    bytes.extend_from_slice(&[0x08, 0x00]);
    bytes.resize(60, 0xA5);
    Frame::new(bytes).expect("a frame")
}

pub(super) struct Bench {
    pub(super) fabric: OutsideFabric,
    pub(super) out: Outbox,
    pub(super) now: Monotonic,
}

impl Bench {
    pub(super) fn new(switches: Vec<site::Switch>, hosts: Vec<TopologyHost>) -> Self {
        let topology = Topology { switches, hosts };
        let number = |end: &CableEnd| match end {
            CableEnd::Tap(number) => number.parse().ok().map(PortNumber),
            _ => None,
        };
        let mut fabric = OutsideFabric::new(&topology, 11, number);
        let mut out = Outbox::new(64);
        let now = Monotonic(Duration::from_secs(1_000));
        for number in 0..64 {
            fabric.carrier(now, PortNumber(number), true, &mut out);
        }
        fabric.take_events();
        Self { fabric, out, now }
    }

    /// Sends a frame into a port; where it comes out, with which VLAN.
    pub(super) fn send(&mut self, port: u32, frame: Frame) -> Vec<(u32, Option<u16>)> {
        self.out.frames.clear();
        self.fabric.receive(self.now, PortNumber(port), frame, &mut self.out);
        let mut got: Vec<(u32, Option<u16>)> =
            self.out.frames.drain(..).map(|(port, frame)| (port.0, frame.tag.map(|tag| tag.id))).collect();
        got.sort_unstable();
        got
    }

    pub(super) fn unicast(&mut self, from: u32, source: u8, destination: u8) -> Vec<(u32, Option<u16>)> {
        self.send(from, frame(station(destination), station(source)))
    }

    pub(super) fn broadcast(&mut self, from: u32, source: u8) -> Vec<(u32, Option<u16>)> {
        self.send(from, frame(EthernetAddress::BROADCAST, station(source)))
    }

    pub(super) fn pass_time(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some(due) = self.fabric.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.fabric.tick(self.now, &mut self.out);
        }
        self.now = end;
    }

    /// Whether a host gets an answer from an address.
    pub(super) fn ping(&mut self, from: &str, to: [u8; 4]) -> bool {
        let request = EchoRequest {
            to: IpAddr::from(to),
            via: None,
            count: Some(1),
            interval: Duration::from_secs(1),
            size: 56,
            ttl: None,
        };
        let (fabric, out) = (&mut self.fabric, &mut self.out);
        let now = self.now;
        let id = fabric.with_host(now, from, out, |station| station.echo_start(now, request));
        let id = id.expect("a host").expect("a request");
        self.pass_time(Duration::from_secs(3));
        let events = self.fabric.with_host(self.now, from, &mut self.out, |station| station.echo_events(id));
        events.expect("a host").iter().any(|event| matches!(event, EchoEvent::Answer { .. }))
    }
}

/// Ports 1 to 4: access 10, access 10, trunk 10 with 20 and 30, access 20.
fn one_switch() -> Bench {
    let ports = vec![
        port("1", out_of(1), 10, &[]),
        port("2", out_of(2), 10, &[]),
        port("3", out_of(3), 10, &[20, 30]),
        port("4", out_of(4), 20, &[]),
    ];
    Bench::new(vec![switch("leaf", ports)], Vec::new())
}

#[test]
fn a_switch_learns_floods_and_keeps_vlans_apart() {
    let mut bench = one_switch();
    assert_eq!(bench.unicast(1, 1, 2), [(2, None), (3, None)], "unknown");
    assert_eq!(bench.unicast(2, 2, 1), [(1, None)], "learned");
    assert_eq!(bench.unicast(1, 1, 2), [(2, None)]);
    assert_eq!(bench.broadcast(4, 4), [(3, Some(20))]);
    assert_eq!(bench.unicast(4, 4, 1), [(3, Some(20))], "another VLAN knows nothing of it");
    let table = [
        (3, None, vec![(1, None), (2, None)]),
        (3, Some(20), vec![(4, None)]),
        (3, Some(30), vec![]),
        (3, Some(40), vec![]),
        (1, Some(0), vec![(2, None), (3, None)]),
        (1, Some(10), vec![]),
        (4, Some(20), vec![]),
    ];
    for (from, tag, expected) in table {
        let mut sent = frame(EthernetAddress::BROADCAST, station(9));
        sent.tag = tag.map(VlanTag::of);
        assert_eq!(bench.send(from, sent), expected, "{from} with {tag:?}");
    }
    let counters = bench.fabric.statistics("leaf", "3").expect("a port");
    assert_eq!(counters.invalid_vlan_frames, 1);
    assert_eq!(bench.fabric.statistics("leaf", "9"), None);
}

#[test]
fn addresses_move_age_and_go_with_their_link() {
    let mut bench = one_switch();
    bench.broadcast(1, 1);
    assert_eq!(bench.unicast(2, 2, 1), [(1, None)]);
    bench.broadcast(3, 1);
    assert_eq!(bench.unicast(2, 2, 1), [(3, None)], "it moved");
    bench.fabric.carrier(bench.now, PortNumber(3), false, &mut bench.out);
    assert_eq!(bench.unicast(2, 2, 1), [(1, None)], "flooded where there is a link");
    bench.fabric.carrier(bench.now, PortNumber(3), true, &mut bench.out);
    bench.broadcast(1, 1);
    bench.pass_time(Duration::from_secs(400));
    assert_eq!(bench.unicast(2, 2, 1), [(1, None), (3, None)], "forgotten");
    bench.pass_time(Duration::from_secs(400));
    assert_eq!(bench.fabric.next_due(), None);
}

#[test]
fn what_is_no_frame_of_a_station_goes_nowhere() {
    let mut bench = one_switch();
    let mut reserved = frame(station(2), station(1));
    reserved.buffer()[..6].copy_from_slice(&[0x01, 0x80, 0xC2, 0, 0, 0x0E]);
    assert_eq!(bench.send(1, reserved), []);
    assert_eq!(bench.send(1, frame(station(2), EthernetAddress::BROADCAST)), []);
    let mut long = frame(station(2), station(1));
    long.buffer().resize(9_014, 0);
    assert_eq!(bench.send(1, long.clone()), [(2, None), (3, None)], "jumbo frames pass");
    long.buffer().push(0);
    assert_eq!(bench.send(1, long.clone()), []);
    long.offload.segment = Some((1_448, false));
    long.offload.header_bytes = 66;
    assert_eq!(bench.send(1, long), [(2, None), (3, None)], "to be cut");
    let mut short = frame(station(2), station(1));
    short.buffer().truncate(13);
    assert_eq!(bench.send(1, short), []);
    assert_eq!(bench.send(60, frame(station(2), station(1))), [], "no such port");
}

#[test]
fn a_table_that_is_full_floods_what_is_new() {
    let mut bench = one_switch();
    bench.broadcast(2, 2);
    for number in 0..40_000u32 {
        let [_, a, b, c] = number.to_be_bytes();
        bench.send(1, frame(station(2), EthernetAddress([6, 0, 0, a, b, c])));
    }
    assert_eq!(bench.fabric.switches[0].table.len(), switching::TABLE_SIZE);
    assert_eq!(bench.unicast(1, 1, 2), [(2, None)], "known ones are found");
    let last = EthernetAddress([6, 0, 0, 0, 0x9C, 0x3F]);
    assert_eq!(bench.send(2, frame(last, station(2))), [(1, None), (3, None)]);
}

/// Two leaves under a core; a host at the core, a gateway too.
fn two_leaves() -> Bench {
    let all = [10, 20];
    let leaf = |name: &str, first: u32| {
        switch(
            name,
            vec![
                port("1", out_of(first), 10, &[20]),
                port("2", out_of(first + 1), 20, &[]),
                port("up", to_port("core", name), 1, &all),
            ],
        )
    };
    let core = switch(
        "core",
        vec![
            port("leaf1", None, 1, &all),
            port("leaf2", None, 1, &all),
            port("server", to_host("server"), 10, &[]),
            port("gateway", to_host("gateway"), 1, &all),
            port("other", to_host("other"), 20, &[]),
        ],
    );
    let hosts = vec![
        host("server", false, &[(None, [10, 0, 10, 5])]),
        host("gateway", true, &[(Some(10), [10, 0, 10, 1]), (Some(20), [10, 0, 20, 1])]),
        host("other", false, &[(None, [10, 0, 20, 5])]),
    ];
    Bench::new(vec![leaf("leaf1", 1), leaf("leaf2", 3), core], hosts)
}

#[test]
fn frames_find_their_way_over_several_switches() {
    let mut bench = two_leaves();
    assert_eq!(bench.broadcast(1, 1), [(3, None)]);
    assert_eq!(bench.unicast(3, 3, 1), [(1, None)]);
    assert_eq!(bench.broadcast(2, 2), [(1, Some(20)), (3, Some(20)), (4, None)]);
    assert!(bench.fabric.set_cable(bench.now, "leaf2:up", false, &mut bench.out), "pulled");
    assert_eq!(bench.unicast(3, 3, 1), []);
    assert_eq!(bench.broadcast(1, 1), []);
    let link = |switch: &str, port: &str, up: bool| OutsideEvent::Link {
        switch: switch.to_owned(),
        port: port.to_owned(),
        up,
    };
    assert_eq!(bench.fabric.take_events(), [link("leaf2", "up", false), link("core", "leaf2", false)]);
    assert!(bench.fabric.set_cable(bench.now, "leaf2:up", true, &mut bench.out));
    assert_eq!(bench.unicast(3, 3, 1), [(1, None)]);
}

#[test]
fn hosts_answer_and_the_gateway_routes() {
    let mut bench = two_leaves();
    bench.pass_time(Duration::from_secs(1));
    assert!(bench.ping("server", [10, 0, 10, 1]));
    assert!(bench.ping("server", [10, 0, 20, 5]), "over the gateway");
    assert!(!bench.ping("server", [10, 0, 10, 77]));
    assert!(bench.fabric.set_host(bench.now, "gateway", false, &mut bench.out));
    assert!(!bench.ping("server", [10, 0, 20, 5]));
    assert!(bench.fabric.set_host(bench.now, "gateway", true, &mut bench.out));
    assert!(bench.ping("server", [10, 0, 20, 5]));
    assert!(bench.fabric.set_cable(bench.now, "server", false, &mut bench.out));
    assert!(!bench.ping("server", [10, 0, 10, 1]));
    assert!(bench.fabric.set_cable(bench.now, "server", true, &mut bench.out));
    assert!(bench.ping("server", [10, 0, 10, 1]));
    assert!(!bench.fabric.set_cable(bench.now, "nobody", true, &mut bench.out));
    assert!(!bench.fabric.set_host(bench.now, "nobody", true, &mut bench.out));
}

#[test]
fn a_pulled_cable_is_seen_at_both_ends() {
    let mut bench = one_switch();
    bench.out.carriers.clear();
    assert!(bench.fabric.set_cable(bench.now, "3", false, &mut bench.out), "by what it leads to");
    assert_eq!(bench.out.carriers, [(PortNumber(3), false)]);
    assert_eq!(bench.broadcast(1, 1), [(2, None)]);
    assert_eq!(bench.broadcast(3, 3), []);
    assert!(bench.fabric.set_switch_port(bench.now, "leaf", "3", false, &mut bench.out));
    assert!(bench.fabric.set_cable(bench.now, "leaf:3", true, &mut bench.out));
    assert_eq!(bench.broadcast(1, 1), [(2, None)], "the port is off");
    assert!(bench.fabric.set_switch_port(bench.now, "leaf", "3", true, &mut bench.out));
    assert_eq!(bench.out.carriers.last(), Some(&(PortNumber(3), true)));
    assert_eq!(bench.broadcast(1, 1), [(2, None), (3, None)]);
}

/// An IPv4 packet to a TCP or UDP port.
fn to_service(protocol: u8, service: u16, source: u8) -> Frame {
    let mut payload = vec![0; 20];
    payload[..4].copy_from_slice(&[0x80, 0, service.to_be_bytes()[0], service.to_be_bytes()[1]]);
    let packet = varan_station::packet::Packet {
        source: Ipv4Addr::new(10, 0, 0, 1).into(),
        destination: Ipv4Addr::new(10, 0, 0, 2).into(),
        protocol,
        ttl: 64,
        fragment: None,
        payload: &payload,
    };
    let mut bytes = Vec::new();
    varan_station::packet::write(&packet, 1, &mut bytes);
    let mut frame = frame(EthernetAddress::BROADCAST, station(source));
    frame.buffer().truncate(14);
    frame.buffer().extend(bytes);
    frame
}

#[test]
fn a_firewall_stops_packets_to_a_service_both_ways() {
    let mut closed = port("1", out_of(1), 10, &[]);
    closed.blocked_ports = vec![657, 22];
    let mut bench = Bench::new(vec![switch("leaf", vec![closed, port("2", out_of(2), 10, &[])])], Vec::new());
    for (protocol, service, passes) in
        [(6, 657, false), (17, 657, false), (6, 22, false), (6, 23, true), (1, 657, true), (17, 53, true)]
    {
        for (from, to) in [(1, 2), (2, 1)] {
            let expected: &[(u32, Option<u16>)] = if passes { &[(to, None)] } else { &[] };
            let got = bench.send(from, to_service(protocol, service, 9));
            assert_eq!(got, expected, "{protocol} to {service} from {from}");
        }
    }
}

/// Three switches in a triangle, one port each.
pub(super) fn triangle() -> Bench {
    let all = [10];
    let node = |name: &str, out: u32, peers: [Option<CableEnd>; 2]| {
        let [one, other] = peers;
        switch(
            name,
            vec![port("out", out_of(out), 10, &[]), port("a", one, 1, &all), port("b", other, 1, &all)],
        )
    };
    Bench::new(
        vec![
            node("one", 1, [to_port("two", "a"), to_port("three", "a")]),
            node("two", 2, [None, to_port("three", "b")]),
            node("three", 3, [None, None]),
        ],
        Vec::new(),
    )
}

#[test]
fn switches_break_their_circles_and_mend_their_ways() {
    let mut bench = triangle();
    assert_eq!(bench.broadcast(1, 1), [(2, None), (3, None)]);
    assert_eq!(bench.unicast(2, 2, 1), [(1, None)]);
    assert_eq!(bench.unicast(3, 3, 2), [(2, None)]);
    assert!(bench.fabric.set_cable(bench.now, "one:a", false, &mut bench.out));
    assert_eq!(bench.broadcast(1, 1), [(2, None), (3, None)], "by the other way");
    assert_eq!(bench.unicast(2, 2, 1), [(1, None)]);
    assert!(bench.fabric.set_cable(bench.now, "two:b", false, &mut bench.out));
    assert_eq!(bench.broadcast(2, 2), [], "cut off");
    assert!(bench.fabric.set_cable(bench.now, "one:a", true, &mut bench.out));
    assert_eq!(bench.unicast(2, 2, 1), [(1, None)]);
}

#[test]
fn a_circle_without_a_spanning_tree_is_real_and_holds_nobody_up() {
    let mut bench = triangle();
    bench.fabric.set_spanning_tree(false);
    let first = bench.broadcast(1, 1).len();
    assert!(first > 100, "each round comes out again: {first}");
    assert!(first <= 2 * HOPS);
    bench.out.frames.clear();
    let due = bench.fabric.next_due().expect("it goes on");
    assert!(due > bench.now, "a moment later");
    bench.pass_time(Duration::from_millis(1));
    assert!(bench.out.frames.len() > 1_000);
    bench.fabric.set_spanning_tree(true);
    bench.pass_time(Duration::from_millis(10));
    bench.out.frames.clear();
    bench.pass_time(Duration::from_millis(10));
    assert_eq!(bench.out.frames.len(), 0, "the circle is open");
}

#[test]
fn an_aggregation_carries_each_frame_once() {
    let ports = (1..=4).map(|number| port(&number.to_string(), out_of(number), 10, &[])).collect();
    let mut bench = Bench::new(vec![switch("leaf", ports)], Vec::new());
    assert!(bench.fabric.set_channel("leaf", &["1", "2"]));
    assert!(!bench.fabric.set_channel("leaf", &["1", "9"]));
    let mut used = BTreeMap::new();
    for source in 10..60 {
        let got = bench.broadcast(3, source);
        assert_eq!(got.len(), 2, "once over the aggregation, once to port 4");
        *used.entry(got[0].0).or_insert(0) += 1;
    }
    assert_eq!(used.keys().copied().collect::<Vec<_>>(), [1, 2], "both links are used: {used:?}");
    assert_eq!(bench.broadcast(1, 1), [(3, None), (4, None)], "not back over the other link");
    bench.broadcast(2, 1);
    bench.fabric.carrier(bench.now, PortNumber(1), false, &mut bench.out);
    for source in 10..20 {
        assert_eq!(bench.unicast(3, source, 1), [(2, None)], "over the link that works");
    }
    assert!(bench.fabric.set_channel("leaf", &["1"]));
    bench.fabric.carrier(bench.now, PortNumber(1), true, &mut bench.out);
    assert_eq!(bench.broadcast(3, 3), [(1, None), (2, None), (4, None)]);
}

#[test]
fn a_console_has_sessions_while_packets_reach_it() {
    use varan_station::rmc::{Client, Identity};
    use varan_station::{InterfaceSetup, Prefix, Station};

    let console = TopologyHost {
        end: CableEnd::Console("hmc1".to_owned()),
        addresses: vec![(None, Ipv4Addr::new(10, 0, 10, 2), 24)],
        router: false,
    };
    let peer = Some(CableEnd::Console("hmc1".to_owned()));
    let ports = vec![port("console", peer, 10, &[]), port("1", out_of(1), 10, &[])];
    let mut bench = Bench::new(vec![switch("leaf", ports)], vec![console]);
    assert!(bench.fabric.set_console_running(bench.now, "hmc1", true, &mut bench.out));
    assert!(!bench.fabric.set_console_running(bench.now, "hmc2", true, &mut bench.out));

    // A partition behind port 1.
    let mut partition = Station::new(3);
    let setup = InterfaceSetup { name: "en0".to_owned(), address: station(1), mtu: 1_500, link_local: false };
    let id = partition.add_interface(setup);
    let address = Prefix::new(Ipv4Addr::new(10, 0, 10, 9), 24);
    partition.add_address(bench.now, id, address).expect("an address");
    partition.set_carrier(bench.now, id, true);
    let identity = Identity { node_id: 77, partition: 5, name: "lpar5".to_owned(), ..Identity::default() };
    let mut client = Client::new(identity);
    client.set_consoles(bench.now, &mut partition, &[("hmc1".to_owned(), IpAddr::from([10, 0, 10, 2]))]);
    client.set_running(bench.now, &mut partition, true);

    let run = |bench: &mut Bench, client: &mut Client, partition: &mut Station, seconds: u32| {
        for _ in 0..seconds * 100 {
            client.poll(bench.now, partition);
            let mut sent = Vec::new();
            partition.poll(bench.now, &mut sent);
            for (_, frame) in sent {
                bench.fabric.receive(bench.now, PortNumber(1), frame, &mut bench.out);
            }
            for (_, frame) in bench.out.frames.drain(..) {
                partition.receive(bench.now, id, &frame);
            }
            bench.pass_time(Duration::from_millis(10));
        }
    };
    run(&mut bench, &mut client, &mut partition, 30);
    assert_eq!(client.established(), ["hmc1"]);
    let sessions = bench.fabric.sessions("hmc1");
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].partition.node_id, sessions[0].address), (77, IpAddr::from([10, 0, 10, 9])));
    let established = |event: &OutsideEvent| {
        matches!(event, OutsideEvent::Session { event: rmc::ServerEvent::Established(_), .. })
    };
    assert_eq!(bench.fabric.take_events().iter().filter(|event| established(event)).count(), 1);
    assert!(bench.fabric.set_cable(bench.now, "hmc1", false, &mut bench.out));
    run(&mut bench, &mut client, &mut partition, 120);
    assert_eq!(client.established(), Vec::<String>::new());
    assert_eq!(bench.fabric.sessions("hmc1"), []);
    assert!(bench.fabric.set_cable(bench.now, "hmc1", true, &mut bench.out));
    run(&mut bench, &mut client, &mut partition, 120);
    assert_eq!(client.established(), ["hmc1"], "by itself");
}

#[test]
fn who_speaks_the_protocol_of_aggregations_gets_one() {
    use crate::server::lacp::{Lacpdu, Link};

    let ports = (1..=4).map(|number| port(&number.to_string(), out_of(number), 10, &[])).collect();
    let mut bench = Bench::new(vec![switch("leaf", ports)], Vec::new());
    let mut links = [1, 2].map(|number| Link::new(station(77), number));
    links.iter_mut().for_each(|link| link.carrier(bench.now, true));
    let talk = |bench: &mut Bench, links: &mut [Link; 2], seconds: u32| {
        for _ in 0..seconds * 10 {
            for (number, link) in (1..).zip(links.iter_mut()) {
                if let Some(packet) = link.tick(bench.now) {
                    let mut sent = Frame::default();
                    packet.write(station(77), &mut sent);
                    bench.fabric.receive(bench.now, PortNumber(number), sent, &mut bench.out);
                }
            }
            bench.pass_time(Duration::from_millis(100));
            for (port, frame) in bench.out.frames.drain(..) {
                if let Some(packet) = Lacpdu::read(&frame) {
                    links[port.0 as usize - 1].receive(bench.now, &packet);
                }
            }
        }
    };
    assert_eq!(bench.broadcast(3, 3), [(1, None), (2, None), (4, None)], "no partner yet");
    talk(&mut bench, &mut links, 5);
    assert!(links.iter().all(Link::in_step));
    assert_eq!(bench.broadcast(3, 3).len(), 2, "one of the two, and port 4");
    assert_eq!(bench.broadcast(1, 1), [(3, None), (4, None)]);
    bench.fabric.carrier(bench.now, PortNumber(1), false, &mut bench.out);
    assert_eq!(bench.broadcast(3, 3), [(2, None), (4, None)]);
    bench.fabric.carrier(bench.now, PortNumber(1), true, &mut bench.out);
    links[0].carrier(bench.now, true);
    talk(&mut bench, &mut links, 5);
    assert_eq!(bench.broadcast(3, 3).len(), 2, "together again");
    bench.pass_time(Duration::from_secs(200));
    assert_eq!(bench.broadcast(3, 3), [(1, None), (2, None), (4, None)], "nothing heard for long");
}
