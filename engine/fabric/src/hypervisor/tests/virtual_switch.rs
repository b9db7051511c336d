use super::*;

#[test]
fn an_address_of_an_adapter_leads_to_it_and_nowhere_else() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 10);
    bench.guest(3, |_| (), 10);
    bench.guest(4, |_| (), 20);
    assert_eq!(bench.unicast(1, 2), [(2, None)]);
    assert_eq!(bench.unicast(2, 1), [(1, None)]);
    assert_eq!(bench.unicast(1, 4), [], "another VLAN");
    assert_eq!(bench.unicast(1, 1), [], "its own address");
    assert_eq!(bench.unicast(1, 99), [], "nobody's address, and no trunk");
    assert_eq!(bench.broadcast(1), [(2, None), (3, None)]);
    assert_eq!(bench.broadcast(4), [], "nobody else there");
    let counters = bench.counters(1);
    assert_eq!((counters.transmitted_frames, counters.transmit_drops), (5, 3));
    assert_eq!((counters.transmitted_broadcasts, counters.received_frames), (1, 1));
    assert_eq!(bench.counters(3).received_broadcasts, 1);
}

#[test]
fn what_a_port_does_with_tags() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    let ieee = |adapter: &mut GuestNetworkAdapter| {
        adapter.ieee = true;
        adapter.tagged_vlan_ids = vec![20, 30];
    };
    bench.guest(2, ieee, 10);
    bench.guest(3, |_| (), 20);
    bench.guest(4, |adapter| adapter.tagged_vlan_ids = vec![20], 40);
    let to_all = |from: u32| frame(EthernetAddress::BROADCAST, station(from));
    let table: [(u32, Option<u16>, Got, u64); 10] = [
        (1, None, vec![(2, None)], 0),
        (1, Some(0), vec![(2, None)], 0),
        (1, Some(20), vec![], 1),
        (1, Some(10), vec![], 1),
        (2, None, vec![(1, None)], 0),
        (2, Some(10), vec![(1, None)], 0),
        (2, Some(20), vec![(3, None)], 0),
        (2, Some(40), vec![], 1),
        (3, None, vec![(2, Some(20))], 0),
        // Not compatible with IEEE 802.1Q: its tagged VLANs count for nothing.
        (4, Some(20), vec![], 1),
    ];
    for (from, tag, expected, invalid) in table {
        let before = bench.counters(from).invalid_vlan_frames;
        let mut sent = to_all(from);
        sent.tag = tag.map(VlanTag::of);
        assert_eq!(bench.send(from, sent), expected, "{from} with tag {tag:?}");
        assert_eq!(bench.counters(from).invalid_vlan_frames - before, invalid, "{from} with tag {tag:?}");
    }
}

#[test]
fn priority_is_stamped_or_left_to_the_guest() {
    let mut bench = Bench::new();
    let with = |priority: Option<u8>| {
        move |adapter: &mut GuestNetworkAdapter| {
            adapter.ieee = true;
            adapter.tagged_vlan_ids = vec![20];
            adapter.priority = priority;
        }
    };
    bench.guest(1, with(Some(6)), 10);
    bench.guest(2, with(None), 11);
    bench.guest(3, with(None), 12);
    for (from, expected) in [(1, 6), (2, 3)] {
        let sent = tagged(frame(station(3), station(from)), 20, 3);
        bench.out.frames.clear();
        bench.fabric.receive(bench.now, PortNumber(from), sent, &mut bench.out);
        let (port, frame) = bench.out.frames.pop().expect("delivered");
        assert_eq!((port.0, frame.tag), (3, Some(VlanTag { id: 20, priority: expected })));
    }
}

#[test]
fn addresses_that_a_guest_may_use() {
    let mut bench = Bench::new();
    bench.guest(1, |adapter| adapter.allowed_addresses = AllowedAddresses::None, 10);
    bench.guest(2, |adapter| adapter.allowed_addresses = AllowedAddresses::Only(vec![mac(50)]), 10);
    bench.guest(3, |_| (), 10);
    assert_eq!(bench.send(1, frame(station(3), station(50))), []);
    assert_eq!(bench.counters(1).refused_address_frames, 1);
    assert_eq!(bench.send(3, frame(station(50), station(3))), [], "not known yet");
    assert_eq!(bench.send(2, frame(station(3), station(50))), [(3, None)]);
    assert_eq!(bench.send(3, frame(station(50), station(3))), [(2, None)], "learned");
    assert_eq!(bench.send(2, frame(station(3), station(51))), []);
    assert_eq!(bench.counters(2).refused_address_frames, 1);
    // Another adapter's own address cannot be taken from it.
    assert_eq!(bench.send(3, frame(station(2), station(1))), [(2, None)]);
    assert_eq!(bench.send(2, frame(station(1), station(2))), [(1, None)]);
}

#[test]
fn learned_addresses_age_and_move() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 10);
    bench.guest(3, |_| (), 10);
    bench.server(9, 10, &[], Some(1));
    bench.broadcast(1);
    assert_eq!(bench.send(1, frame(station(2), station(70))), [(2, None)]);
    assert_eq!(bench.send(2, frame(station(70), station(2))), [(1, None)]);
    assert_eq!(bench.send(3, frame(station(2), station(70))), [(2, None)], "it moved");
    assert_eq!(bench.send(2, frame(station(70), station(2))), [(3, None)]);
    assert_eq!(bench.send(9, frame(station(2), station(70))), [(2, None)], "it comes from outside");
    assert_eq!(bench.send(2, frame(station(70), station(2))), [(9, None)]);
    assert_eq!(bench.send(1, frame(station(2), station(70))), [(2, None)]);
    assert!(bench.fabric.next_due().is_some());
    for _ in 0..7 {
        bench.pass_time(Duration::from_secs(60));
    }
    assert_eq!(bench.send(2, frame(station(70), station(2))), [(9, None)], "forgotten");
    assert_eq!(bench.fabric.next_due(), None, "nothing left to forget");
}

#[test]
fn a_guest_that_does_not_listen_gets_nothing() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 10);
    bench.fabric.listen(bench.now, partition(2), false, &mut bench.out);
    assert_eq!(bench.unicast(1, 2), []);
    assert_eq!((bench.counters(1).transmit_drops, bench.counters(2).receive_drops), (1, 1));
    bench.fabric.listen(bench.now, partition(2), true, &mut bench.out);
    assert_eq!(bench.unicast(1, 2), [(2, None)]);
    bench.fabric.power_off(bench.now, partition(2), &mut bench.out);
    assert_eq!(bench.unicast(1, 2), []);
    assert_eq!(bench.fabric.statistics(PortNumber(2)), None);
}

#[test]
fn unknown_addresses_go_to_the_active_trunk() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 20);
    bench.server(8, 10, &[20], Some(2));
    bench.server(9, 10, &[20], Some(1));
    // Nobody said anything: the best priority.
    assert_eq!(bench.unicast(1, 99), [(9, None)]);
    assert_eq!(bench.unicast(2, 99), [(9, Some(20))]);
    bench.say(9, false);
    bench.say(8, true);
    assert_eq!(bench.unicast(1, 99), [(8, None)]);
    assert_eq!(bench.broadcast(1), [(8, None)]);
    assert!(bench.counters(8).trunk_active && !bench.counters(9).trunk_active);
    // One that is not active neither gets nor sends what is not its own.
    assert_eq!(bench.send(9, frame(station(1), station(99))), []);
    assert_eq!(bench.unicast(9, 1), [(1, None)]);
    assert_eq!(bench.unicast(1, 9), [(9, None)], "its own address");
    // From outside.
    assert_eq!(bench.send(8, frame(station(1), station(99))), [(1, None)]);
    assert_eq!(bench.send(8, tagged(frame(station(2), station(99)), 20, 0)), [(2, None)]);
    assert_eq!(bench.send(8, frame(station(98), station(99))), [], "nobody's here");
    // The server is gone: what it said is void, and the other one said that it does not bridge.
    bench.fabric.carrier(bench.now, PortNumber(8), false, &mut bench.out);
    bench.got();
    assert_eq!(bench.unicast(1, 99), []);
    bench.say(9, true);
    assert_eq!(bench.unicast(1, 99), [(9, None)]);
}

#[test]
fn two_active_trunks_make_a_loop() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.server(8, 10, &[], Some(2));
    bench.server(9, 10, &[], Some(1));
    bench.say(8, true);
    bench.say(9, true);
    assert_eq!(bench.unicast(1, 99), [(8, None), (9, None)]);
    let outside = frame(EthernetAddress::BROADCAST, station(99));
    assert_eq!(bench.send(8, outside.clone()), [(1, None), (9, None)]);
    assert_eq!(bench.send(9, outside), [(1, None), (8, None)]);
}

#[test]
fn trunks_hear_each_other_where_they_look_for_each_other() {
    let mut bench = Bench::new();
    bench.guest(1, |adapter| adapter.ieee = true, 10);
    bench.server(8, 10, &[20], Some(2));
    bench.server(9, 10, &[20], Some(1));
    bench.server(7, 99, &[], None);
    bench.say(8, false);
    bench.say(9, true);
    let discovery = |from: u32| tagged(frame(EthernetAddress::BROADCAST, station(from)), 4_095, 7);
    assert_eq!(bench.send(8, discovery(8)), [(9, Some(4_095))]);
    assert_eq!(bench.send(9, discovery(9)), [(8, Some(4_095))]);
    assert_eq!(bench.send(1, discovery(1)), []);
    assert_eq!(bench.counters(1).invalid_vlan_frames, 1);
    assert_eq!(bench.send(7, discovery(7)), []);
}

/// Control messages that came out: port and VLAN.
fn notices(bench: &mut Bench) -> Vec<(u32, u16)> {
    let read = |(port, frame): (PortNumber, Frame)| match Control::read(&frame) {
        Some(Control::Gone { vlan }) => Some((port.0, vlan)),
        _ => None,
    };
    let mut notices: Vec<(u32, u16)> = bench.out.frames.drain(..).filter_map(read).collect();
    notices.sort_unstable();
    notices
}

#[test]
fn the_others_are_told_of_an_adapter_that_is_gone() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.server(5, 99, &[], None);
    bench.server(6, 99, &[], None);
    bench.server(8, 10, &[20], Some(2));
    bench.server(9, 10, &[20], Some(1));
    bench.out.frames.clear();
    bench.fabric.carrier(bench.now, PortNumber(9), false, &mut bench.out);
    assert_eq!(notices(&mut bench), [(8, 10), (8, 20), (8, 4_095)], "its server stopped");
    bench.fabric.carrier(bench.now, PortNumber(9), true, &mut bench.out);
    bench.fabric.unplug(bench.now, PortNumber(9), &mut bench.out);
    assert_eq!(notices(&mut bench), [(8, 10), (8, 20), (8, 4_095)], "it was taken out");
    bench.fabric.unplug(bench.now, PortNumber(5), &mut bench.out);
    assert_eq!(notices(&mut bench), [(6, 99)], "a control channel");
    bench.server(9, 10, &[20], Some(1));
    bench.out.frames.clear();
    bench.server(9, 10, &[30], Some(1));
    assert_eq!(notices(&mut bench), [(8, 20)], "a VLAN was taken from it");
}

#[test]
fn an_aggregator_sends_all_out_and_takes_it_back() {
    let mut bench = Bench::new();
    bench.fabric.put_switch(SWITCH, VirtualSwitchMode::Vepa, &mut bench.out);
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 10);
    bench.guest(3, |_| (), 10);
    assert_eq!(bench.unicast(1, 2), [], "no trunk");
    assert_eq!(bench.broadcast(1), []);
    assert_eq!(bench.counters(1).transmit_drops, 2);
    bench.server(9, 10, &[], Some(1));
    assert_eq!(bench.unicast(1, 2), [(9, None)]);
    assert_eq!(bench.broadcast(1), [(9, None)]);
    assert_eq!(bench.unicast(1, 9), [(9, None)], "the server itself");
    // A switch outside with reflective relay sends it back.
    assert_eq!(bench.send(9, frame(station(2), station(1))), [(2, None)]);
    let back = frame(EthernetAddress::BROADCAST, station(1));
    assert_eq!(bench.send(9, back), [(2, None), (3, None)], "not to the sender");
    assert_eq!(bench.send(9, frame(station(1), station(1))), []);
    assert_eq!(bench.broadcast(9), [(1, None), (2, None), (3, None)]);
}

#[test]
fn sizes() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 10);
    let long = |bytes: usize| {
        let mut long = frame(station(2), station(1));
        long.buffer().resize(bytes, 0);
        long
    };
    assert_eq!(bench.send(1, long(9_014)), [(2, None)]);
    assert_eq!(bench.send(1, long(65_549)), [(2, None)], "the largest packet, as it is or to be cut");
    assert_eq!(bench.send(1, long(65_550)), []);
    assert_eq!(bench.send(1, long(13)), [], "no header");
    assert_eq!(bench.counters(1).transmit_drops, 2);
    let mut from_group = frame(station(2), station(1));
    from_group.buffer()[6] = 0x01;
    assert_eq!(bench.send(1, from_group), [], "no station");
    let mut reserved = frame(station(2), station(1));
    reserved.buffer()[..6].copy_from_slice(&[0x01, 0x80, 0xC2, 0, 0, 2]);
    assert_eq!(bench.send(1, reserved), [], "slow protocols stay on their link");
}

#[test]
fn a_lost_uplink_is_the_clients_lost_link() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 20);
    bench.server(9, 10, &[20], Some(1));
    bench.fabric.take_events();
    bench.say_uplink(9, true, Some(true));
    assert_eq!(bench.fabric.take_events(), []);
    bench.say_uplink(9, true, Some(false));
    let link = |port: u32, physical: bool| HypervisorEvent::Port {
        port: PortNumber(port),
        event: PortEvent::Link { physical, logical: true },
    };
    assert_eq!(bench.fabric.take_events(), [link(1, false), link(2, false)]);
    bench.server(8, 10, &[20], Some(2));
    bench.say(8, true);
    assert_eq!(bench.fabric.take_events(), [link(1, true), link(2, true)], "another one works");
    bench.say_uplink(9, false, Some(false));
    bench.say_uplink(8, false, Some(true));
    assert_eq!(bench.fabric.take_events(), [], "one of them could bridge");
    bench.say_uplink(8, false, Some(false));
    assert_eq!(bench.fabric.take_events(), [link(1, false), link(2, false)], "none can");
}

#[test]
fn a_switch_that_goes_takes_the_link_along() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 10);
    bench.fabric.take_events();
    bench.fabric.remove_switch(SWITCH, &mut bench.out);
    assert_eq!(bench.fabric.take_events().len(), 2);
    assert_eq!(bench.unicast(1, 2), []);
    assert!(!bench.counters(1).link_up);
    bench.fabric.put_switch(SWITCH, VirtualSwitchMode::Veb, &mut bench.out);
    assert_eq!(bench.unicast(1, 2), [(2, None)]);
    assert!(bench.counters(1).link_up);
}

#[test]
fn a_replaced_adapter_goes_on() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    bench.guest(2, |_| (), 10);
    bench.unicast(1, 2);
    bench.guest(2, |_| (), 20);
    assert_eq!(bench.unicast(1, 2), [], "it is in another VLAN now");
    assert_eq!(bench.counters(2).received_frames, 1);
    bench.guest(1, |_| (), 20);
    assert_eq!(bench.unicast(1, 2), [(2, None)]);
}

#[test]
fn a_capture_sees_what_the_owner_sees() {
    let mut bench = Bench::new();
    bench.guest(1, |_| (), 10);
    let ieee = |adapter: &mut GuestNetworkAdapter| {
        adapter.ieee = true;
        adapter.tagged_vlan_ids = vec![10];
    };
    bench.guest(2, ieee, 20);
    let (sender, seen) = std::sync::mpsc::channel();
    let capture: Capture = Box::new(move |_, direction, frame| {
        sender.send((direction, frame.tag.map(|tag| tag.id))).expect("open");
    });
    bench.fabric.set_capture(PortNumber(2), Some(capture));
    bench.unicast(1, 2);
    bench.send(2, tagged(frame(station(1), station(2)), 10, 0));
    bench.fabric.set_capture(PortNumber(2), None);
    bench.unicast(1, 2);
    let expected = [(Direction::ToOwner, Some(10)), (Direction::FromOwner, Some(10))];
    assert_eq!(seen.iter().collect::<Vec<_>>(), expected);
}
