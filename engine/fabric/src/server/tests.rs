//! One server on a bench: what goes in, and what comes out where.

use std::time::Duration;

use varan_contract::network::{
    AggregationMode, HighAvailabilityMode, LinkAggregation, ServerInterface, ServerPort,
    SharedEthernetAdapter, VlanDevice,
};
use varan_ethernet::{TYPE_ARP, TYPE_RARP, VlanTag};

use super::*;
use crate::control::HYPERVISOR_ADDRESS;

const CONTROL: PortNumber = PortNumber(0);
const REAL: u32 = 1;
const SECOND: u32 = 2;
const THIRD: u32 = 3;
const TRUNK: u32 = 10;
const OTHER_TRUNK: u32 = 11;

fn address(number: u32) -> EthernetAddress {
    let [a, b, c, d] = number.to_be_bytes();
    EthernetAddress([2, 0, a, b, c, d])
}

fn mac(number: u32) -> MacAddress {
    MacAddress(0x0200_0000_0000 | u64::from(number))
}

fn physical(number: u32) -> ServerPort {
    ServerPort {
        device: format!("ent{number}"),
        place: PortPlace::Physical(format!("U1-C{number}-T1")),
        mac_address: mac(number),
        port_vlan_id: 0,
        tagged_vlan_ids: Vec::new(),
        trunk_priority: None,
        virtual_switch: String::new(),
        jumbo_frames: false,
        poll_uplink: None,
    }
}

fn virtual_port(number: u32, vlan: u16, tagged: &[u16], trunk: Option<u8>) -> ServerPort {
    ServerPort {
        place: PortPlace::Virtual(VirtualSlot(u16::try_from(number).expect("small"))),
        port_vlan_id: vlan,
        tagged_vlan_ids: tagged.to_vec(),
        trunk_priority: trunk,
        virtual_switch: "ETHERNET0".to_owned(),
        ..physical(number)
    }
}

fn bridge() -> SharedEthernetAdapter {
    SharedEthernetAdapter {
        device: "ent20".to_owned(),
        real: "ent1".to_owned(),
        virtuals: vec!["ent10".to_owned(), "ent11".to_owned()],
        default: "ent10".to_owned(),
        default_vlan: 1,
        mode: HighAvailabilityMode::Disabled,
        control_channel: None,
        ping: None,
        failback_delay: Duration::from_secs(10),
        link_time: Duration::from_secs(2),
        health_time: Duration::from_secs(2),
        no_automatic_failback: false,
        jumbo_frames: false,
        large_send: true,
        large_receive: false,
        accounting: true,
        threads: true,
        thread_count: 7,
        quality_of_service: "disabled".to_owned(),
        announce: true,
        poll_uplink: true,
    }
}

fn interface(device: &str, last: u8) -> ServerInterface {
    ServerInterface {
        name: device.replace("ent", "en"),
        device: device.to_owned(),
        address: Some((Ipv4Addr::new(10, 0, 0, last), 24)),
        mtu: 1_500,
        up: true,
    }
}

fn configuration() -> ServerNetworkConfiguration {
    ServerNetworkConfiguration {
        ports: vec![
            physical(REAL),
            physical(SECOND),
            physical(THIRD),
            virtual_port(TRUNK, 1, &[7, 8], Some(1)),
            virtual_port(OTHER_TRUNK, 2, &[20], Some(1)),
        ],
        bridges: vec![bridge()],
        ..ServerNetworkConfiguration::default()
    }
}

fn aggregation(mode: AggregationMode) -> LinkAggregation {
    LinkAggregation {
        device: "ent5".to_owned(),
        adapters: vec!["ent1".to_owned(), "ent2".to_owned()],
        backup: Some("ent3".to_owned()),
        mode,
        hash_mode: "src_dst_port".to_owned(),
        ping: None,
        retries: 3,
        retry_seconds: 1,
        auto_recovery: true,
    }
}

type Got = Vec<(u32, Option<u16>)>;

struct Bench {
    fabric: ServerFabric,
    out: Outbox,
    now: Monotonic,
}

impl Bench {
    fn new(configuration: ServerNetworkConfiguration) -> Self {
        let identity = Identity {
            node_id: 1,
            partition: 1,
            name: "vios1".to_owned(),
            system: String::new(),
            operating_system: String::new(),
        };
        let mut bench = Self {
            fabric: ServerFabric::new(CONTROL, 1, identity),
            out: Outbox::new(64),
            now: Monotonic(Duration::from_secs(100)),
        };
        let ports = configuration.ports.clone();
        bench.configure(configuration);
        for port in ports {
            let number: u32 = port.device[3..].parse().expect("a number");
            bench.fabric.bind(bench.now, port.place, PortNumber(number), &mut bench.out);
            bench.fabric.carrier(bench.now, PortNumber(number), true, &mut bench.out);
        }
        bench.clear();
        bench
    }

    fn configure(&mut self, configuration: ServerNetworkConfiguration) {
        self.fabric.configure(self.now, configuration, &mut self.out);
    }

    fn clear(&mut self) {
        self.out.frames.clear();
        self.out.carriers.clear();
        self.fabric.take_events();
    }

    fn carrier(&mut self, port: u32, up: bool) {
        self.fabric.carrier(self.now, PortNumber(port), up, &mut self.out);
    }

    fn send(&mut self, port: u32, frame: Frame) -> Got {
        self.out.frames.clear();
        self.fabric.receive(self.now, PortNumber(port), frame, &mut self.out);
        self.got()
    }

    fn got(&mut self) -> Got {
        let mut got: Got =
            self.out.frames.drain(..).map(|(port, frame)| (port.0, frame.tag.map(|tag| tag.id))).collect();
        got.sort_unstable();
        got
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some(due) = self.fabric.next_due().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.fabric.tick(self.now, &mut self.out);
        }
        self.now = end;
    }

    fn bridge(&self) -> varan_contract::network::BridgeStatistics {
        self.fabric.statistics(self.now, "ent20").and_then(|device| device.bridge).expect("a bridge")
    }

    fn events(&mut self) -> Vec<ServerNetworkEvent> {
        let network = |event| match event {
            ServerEvent::Network(event) => Some(event),
            ServerEvent::Sessions(_) | ServerEvent::PingOver(_) => None,
        };
        self.fabric.take_events().into_iter().filter_map(network).collect()
    }
}

fn frame(to: EthernetAddress, from: EthernetAddress, vlan: Option<u16>) -> Frame {
    let mut bytes = to.0.to_vec();
    bytes.extend(from.0);
    bytes.extend([8, 0, 0x45, 0, 0, 46]);
    bytes.resize(60, 0);
    let mut frame = Frame::new(bytes).expect("a frame");
    frame.tag = vlan.map(VlanTag::of);
    frame
}

#[test]
fn frames_find_their_trunk_adapter_by_their_vlan() {
    let mut bench = Bench::new(configuration());
    let (client, host) = (address(100), address(200));
    let all = EthernetAddress::BROADCAST;
    // From outside: tag, where it comes out, with which tag.
    let table: [(Option<u16>, Got); 7] = [
        (None, vec![(TRUNK, None)]),
        (Some(1), vec![(TRUNK, None)]),
        (Some(7), vec![(TRUNK, Some(7))]),
        (Some(20), vec![(OTHER_TRUNK, Some(20))]),
        (Some(2), vec![]),
        (Some(9), vec![]),
        (Some(0), vec![(TRUNK, None)]),
    ];
    for (tag, expected) in table {
        assert_eq!(bench.send(REAL, frame(all, host, tag)), expected, "{tag:?}");
    }
    assert_eq!(bench.bridge().real_side, [7, 5, 0, 0, 0, 0, 2, 0]);
    // From a client: as it came.
    for (port, tag) in [(TRUNK, None), (TRUNK, Some(8)), (OTHER_TRUNK, Some(20)), (OTHER_TRUNK, None)] {
        assert_eq!(bench.send(port, frame(all, client, tag)), [(REAL, tag)], "{port} {tag:?}");
    }
    // To a station that is known to be outside, from outside: not for anybody here.
    assert_eq!(bench.send(REAL, frame(host, address(201), Some(7))), []);
    assert_eq!(bench.send(REAL, frame(client, address(201), Some(8))), [(TRUNK, Some(8))]);
    // Reserved addresses are not passed on.
    let reserved = EthernetAddress([0x01, 0x80, 0xC2, 0, 0, 0x0E]);
    assert_eq!(bench.send(REAL, frame(reserved, host, None)), []);
    assert_eq!(bench.bridge().real_side[7], 1);
    let statistics = bench.fabric.statistics(bench.now, "ent10").expect("a trunk adapter");
    assert!(statistics.port.trunk_active && statistics.port.link_up);
    assert_eq!(bench.bridge().bridging, ["ent10", "ent11"]);
}

#[test]
fn the_hypervisor_is_told_of_trunk_adapters_and_uplink() {
    let mut bench = Bench::new(configuration());
    let messages = |bench: &mut Bench| -> Vec<(u32, Control)> {
        let read =
            |(port, frame): (PortNumber, Frame)| Control::read(&frame).map(|message| (port.0, message));
        bench.out.frames.drain(..).filter_map(read).collect()
    };
    bench.carrier(REAL, false);
    let down = Control::Trunk { bridges: true, uplink: Some(false) };
    assert_eq!(messages(&mut bench), [(TRUNK, down), (OTHER_TRUNK, down)]);
    bench.carrier(TRUNK, false);
    bench.carrier(TRUNK, true);
    assert_eq!(messages(&mut bench).last(), Some(&(TRUNK, down)));
    let ask = |number| {
        let mut frame = Frame::default();
        Control::AskLife { number }.write(HYPERVISOR_ADDRESS, &mut frame);
        frame
    };
    bench.fabric.receive(bench.now, CONTROL, ask(9), &mut bench.out);
    assert_eq!(messages(&mut bench), [(0, Control::Alive { number: 9 })]);
}

#[test]
fn clients_are_counted_by_address_and_vlan() {
    let mut bench = Bench::new(configuration());
    let mut packet = frame(address(200), address(100), Some(7));
    packet.buffer()[26..34].copy_from_slice(&[10, 0, 0, 5, 10, 0, 0, 6]);
    bench.send(TRUNK, packet.clone());
    packet = frame(address(100), address(200), Some(7));
    packet.buffer()[26..34].copy_from_slice(&[10, 0, 0, 6, 10, 0, 0, 5]);
    bench.send(REAL, packet);
    let accounts = bench.fabric.accounting("ent20");
    assert_eq!(accounts.len(), 1);
    assert_eq!((accounts[0].mac_address, accounts[0].vlan), (mac(100), Some(7)));
    assert_eq!(accounts[0].address, Some(Ipv4Addr::new(10, 0, 0, 5).into()));
    assert_eq!((accounts[0].transmitted, accounts[0].received), ((1, 64), (1, 64)));
    bench.fabric.reset_accounting("ent20");
    assert!(bench.fabric.accounting("ent20").is_empty());
}

#[test]
fn a_large_packet_of_a_client_is_refused_or_cut() {
    let mut bench = Bench::new(configuration());
    let packet = |flags: u8| {
        let mut packet = frame(address(200), address(100), None);
        packet.buffer().resize(14 + 3_000, 0);
        packet.buffer()[16..18].copy_from_slice(&3_000u16.to_be_bytes());
        packet.buffer()[20] = flags;
        packet
    };
    assert_eq!(bench.send(TRUNK, packet(0x40)), [(TRUNK, None)]);
    assert_eq!(bench.send(TRUNK, packet(0)), [(REAL, None), (REAL, None), (REAL, None)]);
    let mut large = packet(0x40);
    large.offload.segment = Some((1_448, false));
    large.offload.header_bytes = 66;
    assert_eq!(bench.send(TRUNK, large), [(REAL, None)], "to be cut outside");
    let bridge = bench.bridge();
    assert_eq!((bridge.icmp_errors, bridge.virtual_side[3]), (1, 1));
    let mut jumbo = configuration();
    jumbo.bridges[0].jumbo_frames = true;
    bench.configure(jumbo);
    assert_eq!(bench.send(TRUNK, packet(0x40)), [(REAL, None)]);
}

#[test]
fn the_server_itself_is_reached_over_the_shared_ethernet_adapter_and_its_vlans() {
    let mut configuration = configuration();
    configuration.interfaces.push(interface("ent20", 1));
    configuration.vlans.push(VlanDevice { device: "ent21".to_owned(), base: "ent20".to_owned(), vlan: 7 });
    let mut vlan_interface = interface("ent21", 0);
    vlan_interface.address = Some((Ipv4Addr::new(10, 0, 7, 1), 24));
    configuration.interfaces.push(vlan_interface);
    let mut bench = Bench::new(configuration);
    let ask = |from: u32, last: [u8; 2], vlan: Option<u16>| {
        let mut question = Frame::default();
        crate::vnic::write_probe(&mut question, address(from), Ipv4Addr::new(10, 0, last[0], last[1]));
        question.tag = vlan.map(VlanTag::of);
        question
    };
    // A question of a client: the answer, and the question outside.
    assert_eq!(bench.send(TRUNK, ask(100, [0, 1], None)), [(REAL, None), (TRUNK, None)]);
    assert_eq!(bench.send(REAL, ask(200, [0, 1], None)), [(REAL, None), (TRUNK, None)]);
    assert_eq!(bench.send(REAL, ask(201, [7, 1], Some(7))), [(REAL, Some(7)), (TRUNK, Some(7))]);
    assert_eq!(bench.send(REAL, ask(202, [0, 9], None)), [(TRUNK, None)], "somebody else");
    assert!(bench.fabric.interface("en21").is_some_and(|counters| counters.transmitted_frames >= 1));
    // It asks itself.
    let id = bench
        .fabric
        .ping(bench.now, (Ipv4Addr::new(10, 0, 0, 77), 2, 56), Duration::from_secs(1), &mut bench.out)
        .expect("room");
    assert!(bench.out.frames.iter().any(|(_, frame)| frame.ethernet_type() == TYPE_ARP));
    bench.pass(Duration::from_secs(5));
    let (result, over) = bench.fabric.ping_result(bench.now, id).expect("a round");
    assert!(over && result.answers.is_empty() && result.sent == 2, "{result:?}");
    assert_eq!(bench.fabric.ping_result(bench.now, id), None);
}

#[test]
fn two_servers_ping_each_other_and_know_each_other_afterwards() {
    let with = |last: u8, real: u32| {
        let mut one = physical(REAL);
        one.mac_address = mac(real);
        Bench::new(ServerNetworkConfiguration {
            ports: vec![one],
            interfaces: vec![interface("ent1", last)],
            ..ServerNetworkConfiguration::default()
        })
    };
    let mut servers = [with(1, 501), with(2, 502)];
    let now = servers[0].now;
    let [one, _] = &mut servers;
    let to = (Ipv4Addr::new(10, 0, 0, 2), 3, 56);
    let id = one.fabric.ping(now, to, Duration::from_secs(1), &mut one.out).expect("room");
    for millisecond in 0..5_000 {
        for number in 0..2 {
            let frames: Vec<Frame> = servers[number].out.frames.drain(..).map(|(_, frame)| frame).collect();
            let other = &mut servers[1 - number];
            for frame in frames {
                other.fabric.receive(other.now, PortNumber(REAL), frame, &mut other.out);
            }
            servers[number].now = now.after(Duration::from_millis(millisecond));
            servers[number].pass(Duration::from_millis(1));
        }
    }
    let [one, two] = &mut servers;
    let (result, over) = one.fabric.ping_result(one.now, id).expect("a round");
    assert!(over);
    assert_eq!((result.sent, result.answers.len(), result.unreachable), (3, 3, false));
    assert_eq!(two.fabric.neighbours(), [(Ipv4Addr::new(10, 0, 0, 1), mac(501), "en1".to_owned())]);
}

#[test]
fn an_aggregation_spreads_frames_and_goes_over_to_its_backup() {
    let aggregated = |mode| {
        let mut configuration = configuration();
        configuration.aggregations.push(aggregation(mode));
        configuration.bridges[0].real = "ent5".to_owned();
        configuration
    };
    let packet = |number: u8| {
        let mut packet = frame(address(200), address(100), None);
        packet.buffer()[23] = 17;
        packet.buffer()[34..38].copy_from_slice(&[0, number * 2, 0, 4]);
        packet
    };
    for mode in [AggregationMode::Standard, AggregationMode::RoundRobin] {
        let mut bench = Bench::new(aggregated(mode));
        let used: Vec<u32> =
            (0..8).flat_map(|number| bench.send(TRUNK, packet(number))).map(|(port, _)| port).collect();
        assert!(
            used.contains(&REAL) && used.contains(&SECOND) && !used.contains(&THIRD),
            "{mode:?}: {used:?}"
        );
        assert_eq!(
            bench.send(THIRD, frame(EthernetAddress::BROADCAST, address(200), None)),
            [],
            "not in use"
        );
        bench.carrier(REAL, false);
        assert_eq!(bench.send(TRUNK, packet(0)), [(SECOND, None)]);
        bench.clear();
        bench.carrier(SECOND, false);
        assert!(
            bench
                .out
                .frames
                .iter()
                .any(|(port, frame)| { *port == PortNumber(THIRD) && frame.ethernet_type() == TYPE_RARP })
        );
        let device = || "ent5".to_owned();
        let events = bench.events();
        assert!(
            events.contains(&ServerNetworkEvent::Backup { device: device(), on_backup: true }),
            "{events:?}"
        );
        assert!(!events.contains(&ServerNetworkEvent::Link { device: device(), up: false }), "{events:?}");
        assert_eq!(bench.send(TRUNK, packet(0)), [(THIRD, None)]);
        let statistics = bench.fabric.statistics(bench.now, "ent5").expect("an aggregation");
        assert_eq!(statistics.aggregation, Some((vec!["ent3".to_owned()], 1)));
        bench.clear();
        bench.carrier(THIRD, false);
        assert!(bench.events().contains(&ServerNetworkEvent::Link { device: device(), up: false }));
        bench.carrier(THIRD, true);
        bench.carrier(SECOND, true);
        assert_eq!(bench.send(TRUNK, packet(0)), [(SECOND, None)], "recovered");
    }
}

#[test]
fn an_aggregation_with_lacp_uses_links_that_are_in_step_and_static_ones_where_nobody_speaks_it() {
    let mut configuration = configuration();
    configuration.aggregations.push(aggregation(AggregationMode::Ieee8023ad));
    configuration.bridges[0].real = "ent5".to_owned();
    let mut bench = Bench::new(configuration);
    let links = |bench: &Bench| {
        let statistics = bench.fabric.statistics(bench.now, "ent5").expect("an aggregation");
        statistics.aggregation.expect("links").0
    };
    assert_eq!(links(&bench), ["ent1", "ent2"]);
    // A partner speaks on the second link only.
    let mut partner = lacp::Link::new(address(900), 1);
    partner.carrier(bench.now, true);
    for _ in 0..200 {
        if let Some(packet) = partner.tick(bench.now) {
            let mut frame = Frame::default();
            packet.write(address(900), &mut frame);
            bench.fabric.receive(bench.now, PortNumber(SECOND), frame, &mut bench.out);
        }
        bench.pass(Duration::from_millis(100));
        for (port, frame) in std::mem::take(&mut bench.out.frames) {
            if let (PortNumber(SECOND), Some(packet)) = (port, lacp::Lacpdu::read(&frame)) {
                partner.receive(bench.now, &packet);
            }
        }
    }
    assert!(partner.in_step());
    assert_eq!(links(&bench), ["ent2"]);
    bench.pass(Duration::from_secs(100));
    assert_eq!(links(&bench), ["ent1"], "the partner is gone");
}

#[test]
fn an_aggregation_leaves_links_whose_address_is_silent_and_comes_back() {
    let mut configuration = configuration();
    let gateway = Ipv4Addr::new(10, 0, 0, 254);
    configuration
        .aggregations
        .push(LinkAggregation { ping: Some(gateway), ..aggregation(AggregationMode::Standard) });
    configuration.bridges[0].real = "ent5".to_owned();
    let mut bench = Bench::new(configuration);
    let mut on_backup = Vec::new();
    for second in 0..40 {
        // The links reach nobody from the tenth to the twentieth second.
        bench.pass(Duration::from_secs(1));
        for (port, question) in std::mem::take(&mut bench.out.frames) {
            let silent = port == PortNumber(REAL) && (10..20).contains(&second);
            if question.ethernet_type() != TYPE_ARP || silent {
                continue;
            }
            let mut answer = question.clone();
            answer.buffer()[..6].copy_from_slice(&question.source().0);
            answer.buffer()[6..12].copy_from_slice(&address(700).0);
            answer.buffer()[21] = 2;
            answer.buffer()[28..32].copy_from_slice(&gateway.octets());
            bench.fabric.receive(bench.now, port, answer, &mut bench.out);
        }
        let statistics = bench.fabric.statistics(bench.now, "ent5").and_then(|device| device.aggregation);
        on_backup.push(statistics.is_some_and(|(links, _)| links == ["ent3"]));
    }
    assert_eq!(on_backup.iter().position(|backup| *backup), Some(13), "{on_backup:?}");
    assert_eq!(on_backup.iter().rposition(|backup| *backup), Some(19), "{on_backup:?}");
}

#[test]
fn what_stays_in_a_configuration_goes_on_and_what_is_not_used_has_no_carrier() {
    let mut configuration = configuration();
    let mut bench = Bench::new(configuration.clone());
    let all = EthernetAddress::BROADCAST;
    bench.send(TRUNK, frame(all, address(100), Some(7)));
    let before = bench.bridge();
    // Another attribute, another VLAN on a trunk adapter, a further interface.
    configuration.bridges[0].failback_delay = Duration::from_secs(99);
    configuration.ports[3].tagged_vlan_ids.push(9);
    configuration.ports.push(physical(4));
    configuration.interfaces.push(interface("ent2", 3));
    bench.fabric.bind(bench.now, PortPlace::Physical("U1-C4-T1".to_owned()), PortNumber(4), &mut bench.out);
    bench.configure(configuration.clone());
    assert_eq!(bench.bridge(), before);
    assert_eq!(bench.out.carriers, [(PortNumber(4), false), (PortNumber(2), true)]);
    assert_eq!(bench.send(REAL, frame(all, address(200), Some(9))), [(TRUNK, Some(9))]);
    // The second trunk adapter goes; the first one goes on.
    bench.clear();
    configuration.bridges[0].virtuals.pop();
    bench.configure(configuration.clone());
    assert_eq!(bench.out.carriers, [(PortNumber(OTHER_TRUNK), false)]);
    assert_eq!(bench.bridge().bridging, ["ent10"]);
    assert!(bench.out.frames.is_empty(), "nothing is said anew");
    assert_eq!(bench.send(TRUNK, frame(all, address(100), Some(7))), [(REAL, Some(7))]);
    // All goes.
    bench.clear();
    bench.configure(ServerNetworkConfiguration::default());
    assert_eq!(bench.fabric.statistics(bench.now, "ent20"), None);
    assert!(bench.out.carriers.iter().all(|(_, up)| !up));
    assert_eq!(bench.send(TRUNK, frame(all, address(100), Some(7))), []);
    // References to what is not there are left out.
    let mut dangling = self::configuration();
    dangling.bridges[0].real = "ent99".to_owned();
    dangling.vlans.push(VlanDevice { device: "ent30".to_owned(), base: "ent20".to_owned(), vlan: 5 });
    dangling.aggregations.push(LinkAggregation {
        adapters: vec!["ent77".to_owned()],
        ..aggregation(AggregationMode::Standard)
    });
    dangling.interfaces.push(interface("ent66", 6));
    bench.configure(dangling);
    assert_eq!(bench.fabric.statistics(bench.now, "ent20"), None);
}

#[test]
fn server_adapters_of_virtual_nics_are_as_the_hypervisor_says() {
    let slot = VirtualSlot(32_897);
    let mut configuration = configuration();
    configuration.vnic_servers.push(("vnicserver0".to_owned(), slot, "ent2".to_owned()));
    let mut bench = Bench::new(configuration.clone());
    assert_eq!(bench.fabric.vnic_server(slot), Some(UNKNOWN_VNIC_SERVER));
    assert_eq!(bench.fabric.vnic_server(VirtualSlot(5)), None);
    let say = |bench: &mut Bench, active: bool| {
        let mut frame = Frame::default();
        let message =
            Control::VnicServer { slot: slot.0, active, operational: true, client_known: true, priority: 10 };
        message.write(EthernetAddress::default(), &mut frame);
        bench.fabric.receive(bench.now, CONTROL, frame, &mut bench.out);
        bench.events()
    };
    let device = || "vnicserver0".to_owned();
    assert_eq!(say(&mut bench, true), [ServerNetworkEvent::VnicLogin { device: device() }]);
    assert_eq!(say(&mut bench, true), []);
    assert!(bench.fabric.vnic_server(slot).is_some_and(|state| state.active && state.priority == 10));
    assert_eq!(say(&mut bench, false), [ServerNetworkEvent::VnicTransport { device: device() }]);
    // What was said before the device is configured is kept for it.
    bench.configure(self::configuration());
    say(&mut bench, true);
    bench.configure(configuration);
    assert!(bench.fabric.vnic_server(slot).is_some_and(|state| state.active));
}

#[test]
fn hostile_frames_change_nothing() {
    let mut random = varan_simulator::Randomness::new(5);
    let mut bench = Bench::new({
        let mut configuration = configuration();
        configuration.bridges[0].mode = HighAvailabilityMode::Auto;
        configuration.interfaces.push(interface("ent20", 1));
        configuration
    });
    bench.pass(Duration::from_secs(10));
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> =
            (0..random.between(14, 200)).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect();
        match random.below(4) {
            0 => bytes[12..14].copy_from_slice(&[0x88, 0xB5]),
            1 => bytes[12..14].copy_from_slice(&[0x08, 0x06]),
            2 => bytes[..6].copy_from_slice(&lacp::GROUP.0),
            _ => {}
        }
        let mut frame = Frame::new(bytes).expect("a frame");
        frame.tag = (random.below(2) == 0)
            .then(|| VlanTag::from_bits(u16::try_from(random.below(65_536)).expect("two bytes")));
        let port = [0, REAL, TRUNK, OTHER_TRUNK, 55][usize::try_from(random.below(5)).expect("small")];
        bench.out.frames.clear();
        bench.fabric.receive(bench.now, PortNumber(port), frame, &mut bench.out);
    }
    assert_eq!(bench.bridge().state, varan_contract::network::BridgeState::Primary);
    assert_eq!(bench.bridge().bridging.len(), 2);
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/server-corpus");
    let entries = std::fs::read_dir(folder).expect("corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files.iter().map(|path| std::fs::read(path).expect("read")).collect()
}

#[test]
fn the_corpus_and_what_is_near_it_break_nothing() {
    let files = corpus();
    assert!(files.len() >= 12, "{} files", files.len());
    for file in &files {
        for configuration in 0..6 {
            fuzz_one(&[&[configuration], &file[1..]].concat());
        }
        for end in 0..file.len().min(300) {
            fuzz_one(&file[..end]);
        }
    }
    let mut random = varan_simulator::Randomness::new(11);
    let mut below = |bound: usize| usize::try_from(random.below(bound as u64)).expect("small");
    let rounds = if std::env::var_os("VARAN_SOAK").is_some() { 200_000 } else { 3_000 };
    for _ in 0..rounds {
        let mut data = files[below(files.len())].clone();
        for _ in 0..=below(4) {
            let at = below(data.len());
            match below(5) {
                0 => data[at] = u8::try_from(below(256)).expect("a byte"),
                1 => data[at] ^= 1 << below(8),
                2 => data.truncate(at.max(1)),
                3 => {
                    let other = &files[below(files.len())];
                    data.extend(&other[1 + below(other.len() - 1)..]);
                }
                _ => {
                    let end = (at + below(60)).min(data.len());
                    data.extend_from_within(at..end);
                }
            }
        }
        fuzz_one(&data);
    }
}

#[test]
fn an_authority_pings_over_a_driver_with_a_thread() {
    use varan_contract::network::ServerNetwork;

    let environment: std::sync::Arc<dyn varan_environment::Environment> =
        std::sync::Arc::new(varan_environment::RealEnvironment::new());
    let driver = crate::driver::Driver::threaded(environment).expect("a thread");
    let server = |last: u8| {
        let fabric = ServerFabric::new(CONTROL, u64::from(last), Identity::default());
        let handle = ServerHandle::add(&driver, fabric, |_| {});
        let mut port = physical(REAL);
        port.mac_address = mac(600 + u32::from(last));
        let place = port.place.clone();
        handle.configure(ServerNetworkConfiguration {
            ports: vec![port],
            interfaces: vec![interface("ent1", last)],
            ..ServerNetworkConfiguration::default()
        });
        handle.place().tell(move |server, now, out| server.bind(now, place, PortNumber(REAL), out));
        handle
    };
    let servers = [server(1), server(2)];
    let port = |number: usize| servers[number].place().port(PortNumber(REAL));
    driver.wiring().link(port(0), port(1));
    let result = servers[0].ping(Ipv4Addr::new(10, 0, 0, 2), 3, 56, Duration::from_millis(1));
    assert_eq!((result.sent, result.answers.len(), result.unreachable), (3, 3, false));
    assert_eq!(servers[0].neighbours(), [(Ipv4Addr::new(10, 0, 0, 2), mac(602), "en1".to_owned())]);
    assert!(servers[1].interface("en1").is_some_and(|counters| counters.received_frames >= 3));
    assert!(servers[0].statistics("ent1").is_some_and(|device| device.port.link_up));
    let unreachable = servers[0].ping(Ipv4Addr::new(192, 168, 9, 9), 1, 56, Duration::from_millis(1));
    assert!(unreachable.unreachable && unreachable.answers.is_empty(), "{unreachable:?}");
}
