//! Virtual NICs over two servers and two physical ports; the machine itself has its own tests.

use varan_contract::network::BackingDeviceStatus;

use super::*;

const CLIENT: u16 = 30;

fn logical(number: u32) -> LogicalPortId {
    LogicalPortId(0x2700_4000 + number)
}

/// Servers 1 and 2 with logical ports 1 and 2 on their physical ports 101 and 102, control ports 201 and 202.
fn servers(bench: &mut Bench) {
    bench.physical(101, CABLE, true);
    bench.physical(102, OTHER_CABLE, true);
    for (number, location) in [(1, CABLE), (2, OTHER_CABLE)] {
        let owner = Bench::owner(number, PortEnd::Link);
        let control = PortNumber(200 + u32::from(number));
        bench.fabric.plug_control(bench.now, control, owner, &mut bench.out);
        bench.fabric.carrier(bench.now, control, true, &mut bench.out);
        let server = GuestVnicServer {
            slot: VirtualSlot(32_897),
            client: PartitionId(CLIENT),
            client_name: "client".to_owned(),
            client_slot: VirtualSlot(6),
            priority: 50,
            logical_port: Bench::logical_spec(u32::from(number), location),
        };
        bench.fabric.plug_vnic_server(bench.now, owner, &server, &mut bench.out);
    }
}

fn adapter() -> GuestVnicAdapter {
    let device = |number: u16, priority: u8| GuestVnicBackingDevice {
        server: PartitionId(number),
        server_slot: VirtualSlot(32_897),
        logical_port: logical(u32::from(number)),
        priority,
    };
    GuestVnicAdapter {
        slot: VirtualSlot(6),
        mac_address: mac(u32::from(CLIENT)),
        port_vlan_id: 0,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::All,
        allowed_addresses: AllowedAddresses::All,
        disabled: false,
        auto_priority_failover: true,
        backing_devices: vec![device(1, 10), device(2, 20)],
        preferred: None,
        probe_targets: Vec::new(),
        offered_address: None,
    }
}

fn plug(bench: &mut Bench, adapter: &GuestVnicAdapter) {
    let owner = Bench::owner(CLIENT, PortEnd::Guest);
    let port = PortNumber(u32::from(CLIENT));
    bench.fabric.plug_vnic(bench.now, port, owner, adapter, &mut bench.out);
    bench.fabric.listen(bench.now, owner.partition, true, &mut bench.out);
}

fn with_nic() -> Bench {
    let mut bench = Bench::new();
    servers(&mut bench);
    plug(&mut bench, &adapter());
    bench.out.frames.clear();
    bench.fabric.take_events();
    bench
}

fn states(bench: &Bench) -> Vec<(bool, BackingDeviceStatus)> {
    let states = bench.fabric.backing_devices(partition(CLIENT), VirtualSlot(6));
    states.into_iter().map(|state| (state.active, state.status)).collect()
}

const NIC: u32 = CLIENT as u32;

#[test]
fn frames_go_over_the_active_device_and_only_over_it() {
    let mut bench = with_nic();
    assert_eq!(bench.unicast(NIC, 99), [(101, None)]);
    assert_eq!(bench.send(NIC, tagged(frame(station(99), station(NIC)), 7, 0)), [(101, Some(7))]);
    assert_eq!(bench.send(101, frame(station(NIC), station(99))), [(NIC, None)]);
    let all = frame(EthernetAddress::BROADCAST, station(99));
    assert_eq!(bench.send(101, all.clone()), [(NIC, None)]);
    assert_eq!(bench.send(102, all), [], "the other device gets nothing");
    assert_eq!(bench.send(102, frame(station(NIC), station(99))), []);
    let logical_port = bench.fabric.logical_port(logical(1)).expect("there");
    assert_eq!((logical_port.transmitted_frames, logical_port.received_frames), (2, 2));
    assert!(bench.counters(NIC).link_up);
}

#[test]
fn a_planned_change_loses_nothing_and_doubles_nothing() {
    let mut bench = with_nic();
    bench.unicast(NIC, 99);
    bench.send(NIC, tagged(frame(station(99), station(NIC)), 7, 0));
    bench.send(NIC, frame(station(99), station(300)));
    assert!(bench.fabric.activate(bench.now, partition(CLIENT), VirtualSlot(6), logical(2), &mut bench.out));
    let announced: Vec<(u32, Option<u16>, EthernetAddress)> = bench
        .out
        .frames
        .drain(..)
        .filter(|(port, _)| port.0 < 200)
        .map(|(port, frame)| (port.0, frame.tag.map(|tag| tag.id), frame.source()))
        .collect();
    let expected = [(102, None, station(NIC)), (102, Some(7), station(NIC)), (102, None, station(300))];
    assert_eq!(announced, expected, "the switches outside learn of it");
    let events = bench.fabric.take_events();
    let server = |server: u16, active: bool| HypervisorEvent::VnicServer {
        server: PartitionId(server),
        slot: VirtualSlot(32_897),
        active,
    };
    let backing =
        HypervisorEvent::Port { port: PortNumber(NIC), event: PortEvent::BackingDevice(logical(2)) };
    assert_eq!(events, [server(2, true), backing, server(1, false)]);
    assert_eq!(bench.unicast(NIC, 99), [(102, None)]);
    let own = frame(station(NIC), station(99));
    let all = frame(EthernetAddress::BROADCAST, station(99));
    assert_eq!(bench.send(101, own.clone()), [(NIC, None)], "what was on its way still comes");
    assert_eq!(bench.send(101, all.clone()), [], "but nothing twice");
    assert_eq!(bench.send(102, own.clone()), [(NIC, None)]);
    assert_eq!(bench.send(102, all), [(NIC, None)]);
    let due = bench.fabric.next_due().expect("the former device is released");
    bench.pass_time(due.since(bench.now).max(Duration::from_millis(200)));
    bench.out.frames.clear();
    assert_eq!(bench.send(101, own), []);
}

#[test]
fn a_lost_cable_a_hung_server_and_a_dead_one() {
    let mut bench = with_nic();
    bench.fabric.carrier(bench.now, PortNumber(101), false, &mut bench.out);
    assert_eq!(
        states(&bench),
        [(false, BackingDeviceStatus::LinkDown), (true, BackingDeviceStatus::Operational)]
    );
    bench.got();
    assert_eq!(bench.unicast(NIC, 99), [(102, None)]);
    // Server 2 stops answering; nobody else works.
    bench.fabric.take_events();
    for _ in 0..5 {
        bench.pass_time(Duration::from_millis(250));
        let asked: Vec<u32> = bench
            .out
            .frames
            .drain(..)
            .filter_map(|(port, frame)| match Control::read(&frame) {
                Some(Control::AskLife { number }) if port.0 == 201 => Some(number),
                _ => None,
            })
            .collect();
        for number in asked {
            let mut answer = Frame::default();
            Control::Alive { number }.write(station(1), &mut answer);
            bench.fabric.receive(bench.now, PortNumber(201), answer, &mut bench.out);
        }
    }
    assert_eq!(states(&bench)[1].1, BackingDeviceStatus::NotOperational);
    let down = HypervisorEvent::Port {
        port: PortNumber(NIC),
        event: PortEvent::Link { physical: true, logical: false },
    };
    assert!(bench.fabric.take_events().contains(&down));
    bench.fabric.carrier(bench.now, PortNumber(202), false, &mut bench.out);
    assert_eq!(states(&bench)[1].1, BackingDeviceStatus::PoweredOff);
    bench.fabric.carrier(bench.now, PortNumber(101), true, &mut bench.out);
    assert_eq!(states(&bench)[0], (true, BackingDeviceStatus::Operational), "it works again by itself");
    bench.got();
    assert_eq!(bench.unicast(NIC, 99), [(101, None)]);
}

#[test]
fn probes_find_an_uplink_that_is_lost_behind_a_live_port() {
    let mut bench = Bench::new();
    servers(&mut bench);
    let mut probing = adapter();
    probing.port_vlan_id = 12;
    probing.probe_targets = vec!["10.0.0.1".parse().expect("an address")];
    plug(&mut bench, &probing);
    let mut silent = std::collections::BTreeSet::new();
    let mut now_over = Vec::new();
    for step in 0..40 {
        if step == 15 {
            silent.insert(101);
        }
        bench.pass_time(Duration::from_millis(20));
        let sent: Vec<(PortNumber, Frame)> = bench.out.frames.drain(..).collect();
        for (cable, asked) in sent {
            if asked.ethernet_type() != varan_ethernet::TYPE_ARP {
                continue;
            }
            assert_eq!(asked.tag, Some(VlanTag::of(12)));
            assert_ne!(asked.source(), station(NIC), "switches learn nothing wrong");
            if silent.contains(&cable.0) {
                continue;
            }
            let mut answer = frame(asked.source(), station(500));
            let bytes = answer.buffer();
            bytes[12..14].copy_from_slice(&[8, 6]);
            bytes[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
            bytes[28..32].copy_from_slice(&[10, 0, 0, 1]);
            bench.fabric.receive(bench.now, cable, tagged(answer, 12, 0), &mut bench.out);
        }
        for (port, frame) in bench.out.frames.drain(..) {
            assert_ne!(port.0, NIC, "the client sees no answer to a probe: {frame:?}");
        }
        let over = bench.unicast(NIC, 99);
        now_over.push(over.first().map_or(0, |(cable, _)| *cable));
    }
    assert_eq!(now_over[..15], [101; 15]);
    assert_eq!(now_over[15 + 15..], [102; 10], "within three intervals of 100 ms: {now_over:?}");
}

#[test]
fn a_nic_that_is_changed_disabled_or_gone() {
    let mut bench = with_nic();
    let mut changed = adapter();
    changed.disabled = true;
    plug(&mut bench, &changed);
    assert_eq!(bench.unicast(NIC, 99), []);
    assert_eq!(bench.send(101, frame(station(NIC), station(99))), []);
    changed.disabled = false;
    changed.port_vlan_id = 44;
    changed.allowed_vlans = AllowedVlans::None;
    plug(&mut bench, &changed);
    assert_eq!(bench.unicast(NIC, 99), [(101, Some(44))]);
    assert_eq!(bench.send(101, tagged(frame(station(NIC), station(99)), 44, 0)), [(NIC, None)]);
    assert_eq!(bench.send(101, frame(station(NIC), station(99))), []);
    changed.backing_devices.remove(0);
    plug(&mut bench, &changed);
    bench.got();
    assert_eq!(bench.unicast(NIC, 99), [(102, Some(44))], "its active device was taken away");
    bench.fabric.power_off(bench.now, partition(2), &mut bench.out);
    assert_eq!(bench.unicast(NIC, 99), []);
    bench.fabric.power_off(bench.now, partition(CLIENT), &mut bench.out);
    assert_eq!(bench.fabric.statistics(PortNumber(NIC)), None);
    assert_eq!(bench.fabric.backing_devices(partition(CLIENT), VirtualSlot(6)), []);
    assert_eq!(bench.send(101, tagged(frame(station(NIC), station(99)), 44, 0)), []);
}

#[test]
fn servers_may_come_after_their_client() {
    let mut bench = Bench::new();
    plug(&mut bench, &adapter());
    assert_eq!(states(&bench)[0], (false, BackingDeviceStatus::PoweredOff));
    assert_eq!(bench.unicast(NIC, 99), []);
    servers(&mut bench);
    bench.got();
    assert_eq!(bench.unicast(NIC, 99), [(101, None)]);
}

#[test]
fn two_nics_on_one_adapter_meet_in_it() {
    let mut bench = with_nic();
    bench.logical(3, CABLE, |_| ());
    assert_eq!(bench.unicast(NIC, 3), [(3, None)]);
    assert_eq!(bench.unicast(3, NIC), [(NIC, None)]);
    assert_eq!(bench.broadcast(3), [(NIC, None), (101, None)]);
}

/// What the control port of a server says of its server adapter: active, operational, the client is known.
fn told(bench: &mut Bench, number: u32) -> Vec<(bool, bool, bool)> {
    let port = PortNumber(200 + number);
    let messages = bench.out.frames.iter().filter(|(to, _)| *to == port);
    let state = |(_, frame): &(PortNumber, Frame)| match Control::read(frame) {
        Some(Control::VnicServer { slot: 32_897, active, operational, client_known, priority: _ }) => {
            Some((active, operational, client_known))
        }
        _ => None,
    };
    messages.filter_map(state).collect()
}

#[test]
fn servers_are_told_of_their_server_adapters_when_it_is_news() {
    let mut bench = Bench::new();
    servers(&mut bench);
    assert_eq!(told(&mut bench, 1), [(false, true, false)], "nobody uses it");
    bench.out.frames.clear();
    plug(&mut bench, &adapter());
    assert_eq!(told(&mut bench, 1), [(true, true, true)]);
    assert_eq!(told(&mut bench, 2), [(false, true, false)], "with its priority");
    bench.out.frames.clear();
    bench.fabric.carrier(bench.now, PortNumber(101), false, &mut bench.out);
    assert_eq!(told(&mut bench, 1).last(), Some(&(false, false, true)));
    assert_eq!(told(&mut bench, 2).last(), Some(&(true, true, true)));
    bench.out.frames.clear();
    bench.fabric.carrier(bench.now, PortNumber(202), false, &mut bench.out);
    bench.fabric.carrier(bench.now, PortNumber(202), true, &mut bench.out);
    assert_eq!(told(&mut bench, 2).len(), 1, "one that is on again knows nothing");
    bench.out.frames.clear();
    bench.fabric.power_off(bench.now, partition(CLIENT), &mut bench.out);
    assert_eq!(told(&mut bench, 2).last().map(|state| state.0), Some(false));
}

#[test]
fn an_only_device_that_was_away_carries_again() {
    let mut bench = Bench::new();
    servers(&mut bench);
    let mut only = adapter();
    only.backing_devices.truncate(1);
    plug(&mut bench, &only);
    bench.got();
    assert_eq!(bench.unicast(NIC, 99), [(101, None)]);
    bench.fabric.power_off(bench.now, partition(1), &mut bench.out);
    assert_eq!(bench.unicast(NIC, 99), []);
    assert!(!bench.counters(NIC).link_up);
    servers(&mut bench);
    bench.got();
    assert_eq!(bench.unicast(NIC, 99), [(101, None)], "its server was restarted");
    assert_eq!(bench.send(101, frame(station(NIC), station(99))), [(NIC, None)]);
    bench.fabric.remove_shared_port(bench.now, CABLE, &mut bench.out);
    assert_eq!(bench.unicast(NIC, 99), []);
    bench.physical(101, CABLE, true);
    bench.got();
    assert_eq!(bench.unicast(NIC, 99), [(101, None)], "its port is shared again");
    assert_eq!(bench.send(101, frame(station(NIC), station(99))), [(NIC, None)]);
    // A server that hangs: nothing passes while the link is down.
    for _ in 0..5 {
        bench.pass_time(Duration::from_millis(250));
    }
    bench.got();
    assert!(!bench.counters(NIC).link_up);
    assert_eq!(bench.unicast(NIC, 99), []);
    assert_eq!(bench.send(101, frame(station(NIC), station(99))), []);
}
