use super::*;

#[test]
fn logical_ports_meet_in_the_adapter_or_outside() {
    let mut bench = Bench::new();
    bench.physical(100, CABLE, true);
    bench.logical(1, CABLE, |_| ());
    bench.logical(2, CABLE, |_| ());
    bench.logical(3, CABLE, |spec| spec.port_vlan_id = 10);
    assert_eq!(bench.unicast(1, 2), [(2, None)]);
    assert_eq!(bench.unicast(1, 3), [], "another VLAN: it is not outside either");
    assert_eq!(bench.unicast(1, 99), [(100, None)]);
    assert_eq!(bench.broadcast(1), [(2, None), (100, None)]);
    assert_eq!(bench.broadcast(3), [(1, Some(10)), (2, Some(10)), (100, Some(10))]);
    assert_eq!(bench.send(100, frame(station(2), station(99))), [(2, None)]);
    assert_eq!(bench.send(100, tagged(frame(station(3), station(99)), 10, 0)), [(3, None)]);
    assert_eq!(bench.send(100, frame(station(98), station(99))), []);
    bench.physical(100, CABLE, false);
    assert_eq!(bench.unicast(1, 2), [(100, None)], "all of it goes out now");
    assert_eq!(bench.send(100, frame(station(2), station(1))), [(2, None)]);
    let back = frame(EthernetAddress::BROADCAST, station(1));
    assert_eq!(bench.send(100, back), [(2, None)], "not to the sender");
}

#[test]
fn a_promiscuous_port_gets_what_nobody_else_is_the_address_of() {
    let mut bench = Bench::new();
    bench.physical(100, CABLE, true);
    bench.logical(1, CABLE, |_| ());
    bench.logical(2, CABLE, |spec| spec.promiscuous = true);
    assert_eq!(bench.unicast(1, 99), [(2, None), (100, None)]);
    assert_eq!(bench.send(100, frame(station(55), station(99))), [(2, None)]);
    assert_eq!(bench.send(100, frame(station(1), station(99))), [(1, None)]);
    // It is there for a bridge: what is behind it may talk, and is learned.
    assert_eq!(bench.send(2, frame(station(99), station(55))), [(100, None)]);
    assert_eq!(bench.unicast(1, 55), [(2, None)]);
}

#[test]
fn rules_of_a_logical_port() {
    let mut bench = Bench::new();
    bench.physical(100, CABLE, true);
    bench.logical(1, CABLE, |spec| {
        spec.allowed_vlans = AllowedVlans::Only(vec![20]);
        spec.allowed_addresses = AllowedAddresses::None;
    });
    bench.logical(2, CABLE, |spec| {
        spec.port_vlan_id = 30;
        spec.port_vlan_priority = 5;
        spec.allowed_vlans = AllowedVlans::None;
    });
    let out = |from: u32| frame(station(99), station(from));
    assert_eq!(bench.send(1, out(1)), [(100, None)]);
    assert_eq!(bench.send(1, tagged(out(1), 20, 0)), [(100, Some(20))]);
    assert_eq!(bench.send(1, tagged(out(1), 21, 0)), []);
    assert_eq!(bench.send(1, frame(station(99), station(5))), []);
    let counters = bench.counters(1);
    assert_eq!((counters.invalid_vlan_frames, counters.refused_address_frames), (1, 1));
    bench.fabric.receive(bench.now, PortNumber(2), out(2), &mut bench.out);
    let (_, sent) = bench.out.frames.pop().expect("sent");
    assert_eq!(sent.tag, Some(VlanTag { id: 30, priority: 5 }));
    assert_eq!(bench.send(2, tagged(out(2), 30, 0)), [], "it knows no tags");
    // A priority without a VLAN stays on the wire.
    assert_eq!(bench.send(1, tagged(out(1), 0, 6)), [(100, Some(0))]);
    // A payload beyond that of the physical port.
    let mut long = out(1);
    long.buffer().resize(1_515, 0);
    assert_eq!(bench.send(1, long.clone()), []);
    long.offload.segment = Some((1_448, false));
    long.offload.header_bytes = 66;
    long.buffer().resize(30_000, 0);
    assert_eq!(bench.send(1, long), [(100, None)], "to be cut");
}

#[test]
fn a_cable_carries_the_links_of_all_its_ports() {
    let mut bench = Bench::new();
    bench.logical(1, CABLE, |_| ());
    assert!(!bench.counters(1).link_up, "not shared yet");
    bench.physical(100, CABLE, true);
    assert!(bench.counters(1).link_up);
    bench.fabric.take_events();
    bench.fabric.carrier(bench.now, PortNumber(100), false, &mut bench.out);
    let expected = [
        HypervisorEvent::PhysicalPort { location: CABLE.to_owned(), link_up: false },
        HypervisorEvent::Port {
            port: PortNumber(1),
            event: PortEvent::Link { physical: false, logical: true },
        },
    ];
    assert_eq!(bench.fabric.take_events(), expected);
    assert_eq!(bench.unicast(1, 99), []);
    assert!(!bench.fabric.physical_port(CABLE).expect("there").link_up);
    bench.fabric.carrier(bench.now, PortNumber(100), true, &mut bench.out);
    assert_eq!(bench.unicast(1, 99), [(100, None)]);
    let state = bench.fabric.physical_port(CABLE).expect("there");
    assert_eq!((state.statistics.transmitted_frames, state.statistics.received_frames), (1, 0));
    bench.send(100, frame(station(1), station(99)));
    let state = bench.fabric.physical_port(CABLE).expect("there");
    assert_eq!(state.statistics.received_frames, 1, "seen from the cable");
    bench.fabric.remove_shared_port(bench.now, CABLE, &mut bench.out);
    assert!(!bench.counters(1).link_up);
    assert_eq!(bench.unicast(1, 99), []);
    bench.physical(100, CABLE, true);
    assert_eq!(bench.unicast(1, 99), [(100, None)]);
}

#[test]
fn a_port_of_its_own_carries_all() {
    let mut bench = Bench::new();
    let spec = GuestEthernetPort { location: CABLE.to_owned(), mac_address: mac(5) };
    let owner = Bench::owner(5, PortEnd::Link);
    bench.fabric.plug_physical(bench.now, PortNumber(5), owner, &spec, &mut bench.out);
    assert_eq!(bench.out.carriers, [(PortNumber(5), false)]);
    bench.fabric.carrier(bench.now, PortNumber(5), true, &mut bench.out);
    bench.out.carriers.clear();
    bench.fabric.put_physical_port(bench.now, PortNumber(100), CABLE, &mut bench.out);
    bench.fabric.carrier(bench.now, PortNumber(100), true, &mut bench.out);
    assert_eq!(bench.out.carriers, [(PortNumber(100), true), (PortNumber(5), true)]);
    let sent = tagged(frame(station(77), station(78)), 4_000, 3);
    assert_eq!(bench.send(5, sent.clone()), [(100, Some(4_000))]);
    assert_eq!(bench.send(100, sent), [(5, Some(4_000))]);
    let mut reserved = frame(station(2), station(1));
    reserved.buffer()[..6].copy_from_slice(&[0x01, 0x80, 0xC2, 0, 0, 2]);
    assert_eq!(bench.send(5, reserved), [(100, None)], "aggregation is between the owner and the switch");
    bench.fabric.unplug(bench.now, PortNumber(5), &mut bench.out);
    assert_eq!(bench.send(100, frame(station(77), station(78))), []);
}
