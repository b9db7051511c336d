//! Stations that talk to each other.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::Cable;
use varan_ethernet::{EthernetAddress, Frame};
use varan_station::{
    Direction, EchoEvent, EchoRequest, InterfaceId, InterfaceSetup, Prefix, Route, Rule, Station,
    StationError, TcpState,
};

const EN0: InterfaceId = InterfaceId(0);

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn request(to: &str, count: u64) -> EchoRequest {
    EchoRequest {
        to: address(to),
        via: None,
        count: Some(count),
        interval: Duration::from_secs(1),
        size: 56,
        ttl: None,
    }
}

#[test]
fn a_station_answers_by_both_protocols_and_is_known_afterwards() {
    for to in ["10.0.0.2", "fe80::ff:fe00:2"] {
        let mut cable = Cable::new(1);
        let (one, two) = (cable.add(), cable.add());
        let id = cable.stations[one].echo_start(cable.now, request(to, 3)).expect("started");
        cable.run(Duration::from_secs(5));
        let events = cable.stations[one].echo_events(id);
        assert_eq!(events.len(), 3, "{to}: {events:?}");
        for (at, event) in events.iter().enumerate() {
            let EchoEvent::Answer { sequence, from, ttl, bytes, duplicate, .. } = *event else {
                panic!("{event:?}")
            };
            assert_eq!((sequence, from, ttl, bytes, duplicate), (at as u64, address(to), 64, 64, false));
        }
        let sums = cable.stations[one].echo_stop(cable.now, id).expect("sums");
        assert_eq!((sums.sent, sums.answered, sums.longest_loss), (3, 3, 0));
        assert!(sums.minimum > Duration::ZERO && sums.maximum < Duration::from_millis(1));
        let known = cable.stations[one].neighbours();
        assert!(known.iter().any(|entry| entry.address == address(to)
            && entry.ethernet == Some(EthernetAddress([2, 0, 0, 0, 0, 2]))));
        assert_eq!(cable.stations[two].interface(EN0).expect("en0").counters().receive_errors, 0);
        assert_eq!(cable.stations[one].next_due(), None, "nothing wakes it any more");
    }
}

#[test]
fn itself_nobody_and_no_route() {
    let mut cable = Cable::new(2);
    let one = cable.add();
    let own = cable.stations[one].echo_start(cable.now, request("10.0.0.1", 1)).expect("started");
    let nobody = cable.stations[one].echo_start(cable.now, request("10.0.0.77", 1)).expect("started");
    let nowhere = cable.stations[one].echo_start(cable.now, request("192.168.7.7", 1)).expect("started");
    cable.run(Duration::from_secs(9));
    let station = &mut cable.stations[one];
    assert!(matches!(station.echo_events(own)[..], [EchoEvent::Answer { duplicate: false, .. }]));
    assert_eq!(
        station.echo_events(nobody),
        [EchoEvent::Unreachable { sequence: 0, from: address("10.0.0.1"), kind: (3, 1) }]
    );
    assert_eq!(
        station.echo_events(nowhere),
        [EchoEvent::NotSent { sequence: 0, error: StationError::Unreachable }]
    );
    assert!(station.neighbours().is_empty());
}

#[test]
fn large_packets_go_in_pieces_and_jumbo_frames_whole() {
    for (mtu, frames) in [(1_500, 7), (9_000, 1)] {
        let mut cable = Cable::new(3);
        // Frames keep their order, so that each side asks once.
        cable.delay = Duration::ZERO;
        let (one, two) = (cable.add(), cable.add());
        for station in [one, two] {
            cable.stations[station].set_mtu(EN0, mtu);
        }
        let mut large = request("10.0.0.2", 1);
        large.size = 8_900;
        let id = cable.stations[one].echo_start(cable.now, large).expect("started");
        cable.run(Duration::from_secs(2));
        assert!(matches!(cable.stations[one].echo_events(id)[..], [EchoEvent::Answer { bytes: 8_908, .. }]));
        // One frame more: the question for the neighbour, or its answer.
        let counters = *cable.stations[two].interface(EN0).expect("en0").counters();
        assert_eq!(counters.transmitted_frames - 3, frames, "{counters:?}");
    }
}

#[test]
fn a_router_joins_two_networks_and_says_what_it_cannot_reach() {
    let mut cable = Cable::new(4);
    let (one, two, router) = (cable.add(), cable.add(), cable.add());
    let now = cable.now;
    // Both networks are on one cable; what matters is who passes packets on.
    cable.stations[two].remove_address(EN0, address("10.0.0.2"));
    cable.stations[two].add_address(now, EN0, Prefix::new([10, 9, 0, 2], 24)).expect("address");
    cable.stations[router].add_address(now, EN0, Prefix::new([10, 9, 0, 1], 24)).expect("address");
    cable.stations[router].set_forwarding(true);
    let default = |gateway: &str| Route {
        destination: Prefix::everything(),
        gateway: Some(address(gateway)),
        interface: None,
    };
    cable.stations[one].add_route(default("10.0.0.3"));
    cable.stations[two].add_route(default("10.9.0.1"));
    let through = cable.stations[one].echo_start(now, request("10.9.0.2", 2)).expect("started");
    let beyond = cable.stations[one].echo_start(now, request("172.16.0.1", 1)).expect("started");
    let mut short = request("10.9.0.2", 1);
    short.ttl = Some(1);
    let tired = cable.stations[one].echo_start(now, short).expect("started");
    cable.run(Duration::from_secs(4));
    let station = &mut cable.stations[one];
    let answers = station.echo_events(through);
    assert!(answers.iter().all(|event| matches!(event, EchoEvent::Answer { ttl: 63, .. })), "{answers:?}");
    assert_eq!(answers.len(), 2);
    let from = address("10.0.0.3");
    // The second of two errors within a millisecond is not reported.
    let reported = [station.echo_events(beyond), station.echo_events(tired)].concat();
    assert!(!reported.is_empty());
    for event in reported {
        let EchoEvent::Unreachable { from: who, kind, .. } = event else { panic!("{event:?}") };
        assert!(who == from && [(3, 0), (11, 0)].contains(&kind));
    }
}

#[test]
fn an_outage_is_measured_in_its_length() {
    let mut cable = Cable::new(5);
    let (one, two) = (cable.add(), cable.add());
    let mut probe = request("10.0.0.2", 5_000);
    probe.interval = Duration::from_millis(1);
    let id = cable.stations[one].echo_start(cable.now, probe).expect("started");
    cable.run(Duration::from_micros(1_000_500));
    cable.cut = vec![two];
    cable.run(Duration::from_millis(250));
    cable.cut.clear();
    cable.run(Duration::from_secs(20));
    let sums = cable.stations[one].echo_statistics(cable.now, id).expect("sums");
    assert_eq!((sums.sent, sums.answered, sums.longest_loss), (5_000, 4_750, 250));
    assert_eq!(sums.longest_outage, Duration::from_millis(250));
}

#[test]
fn a_carrier_that_comes_back_is_announced() {
    let mut cable = Cable::new(6);
    let (one, two) = (cable.add(), cable.add());
    let id = cable.stations[two].echo_start(cable.now, request("10.0.0.1", 1)).expect("started");
    cable.run(Duration::from_secs(2));
    assert_eq!(cable.stations[two].echo_events(id).len(), 1);
    let now = cable.now;
    cable.stations[one].set_carrier(now, EN0, false);
    cable.stations[one].set_address(now, EN0, EthernetAddress([2, 0, 0, 0, 9, 9]));
    cable.stations[one].set_carrier(now, EN0, true);
    cable.run(Duration::from_secs(1));
    let known = cable.stations[two].neighbours();
    let found = known.iter().find(|entry| entry.address == address("10.0.0.1")).expect("known");
    assert_eq!(found.ethernet, Some(EthernetAddress([2, 0, 0, 0, 9, 9])));
}

#[test]
fn rules_let_through_and_drop() {
    let mut cable = Cable::new(7);
    let (one, two) = (cable.add(), cable.add());
    let mut rule = Rule::new(Direction::In, false);
    rule.protocol = Some(varan_station::packet::UDP);
    rule.destination_port = Some(657);
    cable.stations[two].set_rules(vec![rule]);
    for port in [657, 700] {
        cable.stations[two].udp_open(port).expect("open");
        let now = cable.now;
        cable.stations[one].udp_send(now, 5_000, (address("10.0.0.2"), port), None, b"hello").expect("sent");
    }
    cable.run(Duration::from_secs(1));
    assert_eq!(cable.stations[two].udp_receive(657), None);
    let got = cable.stations[two].udp_receive(700).expect("a datagram");
    assert_eq!((got.source, &got.bytes[..]), ((address("10.0.0.1"), 5_000), &b"hello"[..]));
    assert_eq!(cable.stations[two].interface(EN0).expect("en0").counters().receive_drops, 1);
}

/// Sends `total` bytes over a connection; gives what arrived.
fn transfer(cable: &mut Cable, total: usize) -> Vec<u8> {
    let now = cable.now;
    cable.stations[1].tcp_listen(5_001, 16_384).expect("listening");
    let id =
        cable.stations[0].tcp_connect(now, (address("10.0.0.2"), 5_001), None, 16_384).expect("connecting");
    let data: Vec<u8> = (0..total).map(|at| (at * 31 % 251) as u8).collect();
    let (mut sent, mut got, mut server) = (0, Vec::new(), None);
    let end = cable.now.after(Duration::from_secs(3_600));
    while got.len() < total && cable.step(end) {
        let now = cable.now;
        if cable.stations[0].tcp_state(id) == TcpState::Open && sent < total {
            sent += cable.stations[0].tcp_send(now, id, &data[sent..]).expect("open");
        }
        server = server.or_else(|| cable.stations[1].tcp_accept(5_001).map(|(id, _)| id));
        if let Some(server) = server {
            cable.stations[1].tcp_receive(now, server, &mut got);
        }
    }
    assert_eq!(got, data);
    let now = cable.now;
    cable.stations[0].tcp_close(now, id);
    cable.run(Duration::from_millis(500));
    let server = server.expect("accepted");
    assert_eq!(cable.stations[1].tcp_state(server), TcpState::HalfClosed);
    let now = cable.now;
    cable.stations[1].tcp_close(now, server);
    cable.run(Duration::from_secs(60));
    assert_eq!(cable.stations.iter().map(|station| station.tcp_connections().count()).sum::<usize>(), 0);
    got
}

#[test]
fn a_connection_carries_all_bytes_in_order_over_a_bad_cable() {
    for seed in 1..=12u64 {
        let mut cable = Cable::new(seed);
        println!("seed {seed}");
        cable.add();
        cable.add();
        (cable.loss, cable.doubles, cable.delay) = (seed * 8, seed * 4, Duration::from_micros(seed * 80));
        transfer(&mut cable, 60_000);
    }
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let mut cable = Cable::new(8);
    cable.add();
    cable.add();
    for to in ["10.0.0.2", "fe80::ff:fe00:2"] {
        let now = cable.now;
        let id = cable.stations[0].tcp_connect(now, (address(to), 23), None, 512).expect("connecting");
        cable.run(Duration::from_secs(1));
        assert_eq!(cable.stations[0].tcp_state(id), TcpState::Closed);
        let now = cable.now;
        cable.stations[0].tcp_abort(now, id);
    }
}

#[test]
fn hostile_frames_do_no_harm() {
    // Real frames first, then each with every byte changed and each cut at every length.
    let mut cable = Cable::new(9);
    let (one, two) = (cable.add(), cable.add());
    cable.stations[two].capture_start(None, 65_535, 10_000);
    cable.stations[two].tcp_listen(657, 512).expect("listening");
    cable.stations[two].udp_open(657).expect("open");
    let now = cable.now;
    for to in ["10.0.0.2", "fe80::ff:fe00:2"] {
        let mut large = request(to, 1);
        large.size = 1_400;
        cable.stations[one].echo_start(now, large).expect("started");
        cable.stations[one].udp_send(now, 657, (address(to), 657), None, b"hello").expect("sent");
        cable.stations[one].udp_send(now, 657, (address(to), 9), None, b"hello").expect("sent");
        cable.stations[one].tcp_connect(now, (address(to), 657), None, 512).expect("connecting");
    }
    cable.stations[one].set_mtu(EN0, 100);
    cable.stations[one].udp_send(now, 657, (address("10.0.0.2"), 657), None, &[7; 400]).expect("sent");
    cable.run(Duration::from_secs(2));
    let seen = cable.stations[two].capture_take();
    assert!(seen.len() > 15);
    let mut out = Vec::new();
    let mut all = Vec::new();
    for captured in &seen {
        all.extend_from_slice(&(captured.bytes.len() as u16).to_be_bytes());
        all.extend_from_slice(&captured.bytes);
    }
    varan_station::fuzz_one(&all);
    for _ in 0..300 {
        let mut damaged = all.clone();
        for _ in 0..20 {
            let (at, change) = (cable.random() as usize % damaged.len(), cable.random() as u8);
            damaged[at] = change;
        }
        varan_station::fuzz_one(&damaged);
    }
    for captured in &seen {
        for at in 0..captured.bytes.len() {
            for change in [0xFF, 0x01, 0x80] {
                let mut bytes = captured.bytes.clone();
                bytes[at] ^= change;
                give(&mut cable.stations[two], now, bytes);
            }
            give(&mut cable.stations[two], now, captured.bytes[..at].to_vec());
        }
        cable.stations[two].poll(now, &mut out);
        out.clear();
    }
    for _ in 0..20_000 {
        let length = 14 + cable.random() as usize % 200;
        let mut bytes: Vec<u8> = (0..length).map(|_| cable.random() as u8).collect();
        bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
        let kind: [u8; 2] = [[8, 0], [8, 6], [0x86, 0xDD]][cable.random() as usize % 3];
        bytes[12..14].copy_from_slice(&kind);
        give(&mut cable.stations[two], now, bytes);
        cable.stations[two].poll(now, &mut out);
        out.clear();
    }
}

fn give(station: &mut Station, now: varan_environment::Monotonic, bytes: Vec<u8>) {
    if let Ok(frame) = Frame::new(bytes) {
        station.receive(now, EN0, &frame);
    }
}

#[test]
fn an_idle_station_is_small() {
    let mut station = Station::new(1);
    let address = EthernetAddress([2, 0, 0, 0, 0, 1]);
    station.add_interface(InterfaceSetup { name: "en0".into(), address, mtu: 1_500, link_local: true });
    assert!(size_of::<Station>() <= 1_024, "{}", size_of::<Station>());
    assert_eq!(station.next_due(), None);
}
