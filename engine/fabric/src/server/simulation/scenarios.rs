//! One fault each, with the figures.

use std::time::Duration;

use varan_contract::network::{BridgeState, HighAvailabilityMode, ServerNetworkEvent};

use super::world::{Plan, World};

fn settled(plan: Plan) -> World {
    let mut world = World::new(plan);
    world.pass(Duration::from_secs(10));
    world.forget_probes();
    world
}

/// No probe lost or doubled in `time`, in which something is planned.
fn lossless(world: &mut World, time: Duration, what: &str) {
    let from = world.probes_sent + 1;
    world.pass(time);
    // The last ones are still on their way.
    let to = world.probes_sent - if world.pace < Duration::from_millis(1) { 10 } else { 1 };
    let (missing, twice) = world.faults(from, to);
    println!("{what}: {} lost, {} doubled of {}", missing.len(), twice.len(), to + 1 - from);
    let some = |faults: &[String]| faults.iter().take(3).cloned().collect::<Vec<_>>();
    assert_eq!((some(&missing), some(&twice)), (Vec::new(), Vec::new()), "{what}");
}

fn outage_of(world: &mut World, what: &str, bound: Duration) {
    let from = world.now;
    world.pass(Duration::from_secs(5));
    let outage = world.outage(from);
    println!("{what}: outage {outage:?}");
    assert!(outage < bound, "{what}: {outage:?}");
}

#[test]
fn a_planned_change_loses_nothing() {
    for (name, channels) in [("control channel", Some([99, 99])), ("VLAN 4095", None)] {
        let mut world = settled(Plan { channels, ..Plan::auto() });
        assert_eq!(world.state(0), Some(BridgeState::Primary), "{name}");
        assert_eq!(world.state(1), Some(BridgeState::Backup), "{name}");
        lossless(&mut world, Duration::from_secs(1), "nothing planned");
        // With frames on their way everywhere while it changes hands.
        let pace = std::mem::replace(&mut world.pace, Duration::from_micros(7));
        world.pass(pace);
        world.set_mode(0, HighAvailabilityMode::Standby);
        lossless(&mut world, Duration::from_millis(20), &format!("ha_mode=standby over {name}, dense"));
        assert_eq!(world.state(1), Some(BridgeState::Primary));
        world.pace = pace;
        lossless(&mut world, Duration::from_secs(3), &format!("ha_mode=standby over {name}"));
        assert_eq!((world.state(0), world.state(1)), (Some(BridgeState::Backup), Some(BridgeState::Primary)));
        world.set_mode(0, HighAvailabilityMode::Auto);
        lossless(&mut world, Duration::from_secs(5), &format!("ha_mode=auto over {name}"));
        assert_eq!((world.state(0), world.state(1)), (Some(BridgeState::Primary), Some(BridgeState::Backup)));
    }
}

#[test]
fn a_killed_server_or_a_lost_link_is_an_outage_of_milliseconds_and_going_back_is_none() {
    let short = Duration::from_millis(20);
    let mut world = settled(Plan::auto());
    world.kill(0);
    outage_of(&mut world, "server killed", short);
    world.start(0);
    lossless(&mut world, Duration::from_secs(10), "server back");
    assert_eq!(world.state(0), Some(BridgeState::Primary));
    world.set_cable(0, false);
    outage_of(&mut world, "link down", short);
    assert_eq!(world.state(0), Some(BridgeState::Limbo));
    world.set_cable(0, true);
    lossless(&mut world, Duration::from_secs(1), "link up");
    assert_eq!(world.state(0), Some(BridgeState::Unhealthy));
    lossless(&mut world, Duration::from_secs(10), "link back");
    assert_eq!(world.state(0), Some(BridgeState::Primary));
}

#[test]
fn a_hung_server_is_replaced_within_a_second_and_makes_no_loop_when_it_goes_on() {
    let mut world = settled(Plan::auto());
    let first = world.probes_sent + 1;
    world.hang(0, true);
    outage_of(&mut world, "server hung", Duration::from_secs(1));
    world.hang(0, false);
    world.pass(Duration::from_millis(100));
    let (_, twice) = world.faults(first, world.probes_sent - 1);
    assert!(twice.is_empty(), "what waited for the hung server comes no second time: {}", twice.len());
    lossless(&mut world, Duration::from_secs(20), "hung server goes on");
    assert_eq!(world.state(0), Some(BridgeState::Primary));
}

#[test]
fn two_that_stood_still_together_go_on_at_once() {
    for (number, order) in [[0, 1], [1, 0]].into_iter().enumerate() {
        let mut world = settled(Plan::auto());
        world.hang(0, true);
        world.hang(1, true);
        world.pass(Duration::from_secs(2 + number as u64));
        order.into_iter().for_each(|server| world.hang(server, false));
        outage_of(&mut world, "both go on", Duration::from_millis(20));
        lossless(&mut world, Duration::from_secs(20), "both went on");
        assert_eq!(world.state(0), Some(BridgeState::Primary));
    }
}

#[test]
fn an_uplink_lost_behind_a_live_port_is_left_within_three_pings() {
    let mut world = settled(Plan { ping: true, ..Plan::auto() });
    world.servers[0].reaches = false;
    outage_of(&mut world, "uplink lost behind a live port, asked each second", Duration::from_secs(3));
    assert_eq!(world.state(0), Some(BridgeState::Limbo));
    world.servers[0].reaches = true;
    lossless(&mut world, Duration::from_secs(20), "uplink back");
    assert_eq!(world.state(0), Some(BridgeState::Primary));
}

#[test]
fn nobody_leaves_an_address_that_answers_nobody() {
    let mut world = settled(Plan { ping: true, ..Plan::auto() });
    world.servers[0].reaches = false;
    world.servers[1].reaches = false;
    world.pass(Duration::from_secs(10));
    world.servers[0].reaches = true;
    world.servers[1].reaches = true;
    world.pass(Duration::from_secs(10));
    lossless(&mut world, Duration::from_secs(1), "both uplinks back");
}

#[test]
fn two_share_the_trunk_adapters_and_one_takes_all_when_it_is_alone() {
    let trunks = vec![(1, vec![10]), (2, vec![20]), (3, vec![30, 31])];
    let mut world = settled(Plan { modes: [HighAvailabilityMode::Sharing; 2], trunks, ..Plan::auto() });
    assert_eq!(
        (world.state(0), world.state(1)),
        (Some(BridgeState::PrimarySharing), Some(BridgeState::BackupSharing))
    );
    assert_eq!(
        (world.bridging(0), world.bridging(1)),
        (vec!["ent3".to_owned(), "ent4".to_owned()], vec!["ent5".to_owned()])
    );
    lossless(&mut world, Duration::from_secs(1), "sharing");
    world.kill(1);
    outage_of(&mut world, "one of two that share killed", Duration::from_millis(20));
    assert_eq!(world.state(0), Some(BridgeState::Primary));
    world.start(1);
    lossless(&mut world, Duration::from_secs(10), "both share again");
    assert_eq!(world.state(1), Some(BridgeState::BackupSharing));
    world.kill(0);
    outage_of(&mut world, "the other one killed", Duration::from_millis(20));
    world.start(0);
    lossless(&mut world, Duration::from_secs(10), "both share again");
    assert_eq!(world.state(0), Some(BridgeState::PrimarySharing));
}

#[test]
fn a_lost_control_channel_adapter_makes_no_loop() {
    for number in 0..2 {
        let mut world = settled(Plan::auto());
        world.set_channel(number, false);
        lossless(&mut world, Duration::from_secs(30), "control channel adapter lost");
        world.set_channel(number, true);
        lossless(&mut world, Duration::from_secs(30), "control channel adapter back");
        world.set_channel(number, false);
        world.pass(Duration::from_secs(2));
        world.kill(0);
        outage_of(&mut world, "killed without control channel", Duration::from_millis(20));
    }
}

#[test]
fn a_loop_of_a_wrong_set_up_is_ended_by_storm_protection() {
    let different = Plan { channels: Some([98, 99]), ..Plan::auto() };
    let disabled = Plan { modes: [HighAvailabilityMode::Disabled; 2], ..Plan::auto() };
    let same = Plan { priorities: [1, 1], ..different.clone() };
    for (name, plan) in
        [("different control channels", different), ("disabled", disabled), ("same priority", same)]
    {
        let mut world = World::new(plan);
        world.pace = Duration::from_millis(10);
        let mut busy = 0;
        let (mut last, mut passed) = (0, 0);
        let rounds = 600;
        for _ in 0..rounds {
            world.pass(Duration::from_secs(1));
            busy += usize::from(world.switched - last > 10_000);
            passed += usize::from(
                world.outage(world.now - Duration::from_millis(900)) < Duration::from_millis(100),
            );
            last = world.switched;
            world.forget_probes();
        }
        let storms: usize = (0..2).map(|number| storms(&world, number)).sum();
        println!("{name}: {storms} storms, {busy} s with a loop, {passed} s with connection of {rounds} s");
        assert!((1..20).contains(&storms), "{name}: {storms}");
        assert_eq!(busy, 0, "{name}");
        assert!(passed > rounds * 9 / 10, "{name}: {passed}");
    }
}

fn storms(world: &World, number: usize) -> usize {
    let events = world.servers[number].events.iter();
    events.filter(|(_, event)| matches!(event, ServerNetworkEvent::Storm { .. })).count()
}

#[test]
fn two_of_the_same_priority_are_told_apart_and_reported() {
    let mut world = settled(Plan { priorities: [1, 1], ..Plan::auto() });
    lossless(&mut world, Duration::from_secs(5), "same priority");
    for server in &world.servers {
        let misconfigured = |(_, event): &&(Duration, ServerNetworkEvent)| {
            matches!(event, ServerNetworkEvent::Misconfigured { .. })
        };
        assert_eq!(server.events.iter().filter(misconfigured).count(), 1);
    }
}
