//! Tables for the failover machine, and random histories held against its rules.

use std::net::Ipv4Addr;
use std::time::Duration;

use varan_contract::network::BackingDeviceStatus;
use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, TYPE_ARP};
use varan_model::ids::LogicalPortId;
use varan_simulator::Randomness;

use super::*;

const CLIENT: EthernetAddress = EthernetAddress([0x56, 0xFB, 0x2D, 0xB8, 0xA4, 0x06]);
const WELL: DeviceHealth = DeviceHealth { link: true, server: ServerHealth::Alive };
const UNPLUGGED: DeviceHealth = DeviceHealth { link: false, server: ServerHealth::Alive };
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn port(number: u32) -> LogicalPortId {
    LogicalPortId(0x2700_4000 + number)
}

fn at(milliseconds: u64) -> Monotonic {
    Monotonic(Duration::from_millis(milliseconds))
}

fn setup(priorities: &[u8], automatic: bool) -> VnicSetup {
    let device = |(number, priority): (u32, &u8)| BackingDevice { port: port(number), priority: *priority };
    VnicSetup {
        client: CLIENT,
        devices: (1..).zip(priorities).map(device).collect(),
        automatic,
        preferred: None,
        probe_targets: Vec::new(),
        probe_interval: None,
    }
}

/// A machine with its clock and what it did since it was last asked.
struct Bench {
    machine: FailoverMachine,
    now: u64,
    actions: Vec<Action>,
}

impl Bench {
    fn new(setup: VnicSetup, health: DeviceHealth) -> Self {
        let mut actions = Vec::new();
        let machine = FailoverMachine::new(at(0), setup, |_| health, &mut actions);
        Self { machine, now: 0, actions }
    }

    fn health(&mut self, number: u32, health: DeviceHealth) -> Vec<Action> {
        self.machine.set_health(at(self.now), port(number), health, &mut self.actions);
        std::mem::take(&mut self.actions)
    }

    /// Lets time pass as a driver does: a tick when one is due. Answers probes of the devices that `answers` names.
    fn pass(&mut self, milliseconds: u64, answers: &[u32]) -> Vec<Action> {
        let end = self.now + milliseconds;
        let mut done = std::mem::take(&mut self.actions);
        while let Some(due) = self.machine.next_due().filter(|due| *due <= at(end)) {
            assert!(due >= at(self.now), "time goes on");
            self.now = u64::try_from(due.0.as_millis()).expect("small")
                + u64::from(due.0.subsec_nanos() % 1_000_000 != 0);
            let mut actions = Vec::new();
            self.machine.tick(at(self.now), &mut actions);
            for action in &actions {
                match *action {
                    Action::Probe { port: from, target, source }
                        if answers.iter().any(|number| port(*number) == from) =>
                    {
                        let answer = answer(target, source);
                        assert!(self.machine.take_answer(at(self.now), from, &answer, &mut done));
                    }
                    Action::Probe { .. } => {}
                    other => done.push(other),
                }
            }
        }
        self.now = end;
        done
    }
}

fn answer(target: Ipv4Addr, to: EthernetAddress) -> Frame {
    let mut bytes = to.0.to_vec();
    bytes.extend([2, 0, 0, 0, 0, 9]);
    bytes.extend(TYPE_ARP.to_be_bytes());
    bytes.extend([0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9]);
    bytes.extend(target.octets());
    bytes.extend(to.0);
    bytes.extend([0; 4]);
    Frame::new(bytes).expect("a frame")
}

#[test]
fn the_lowest_number_serves_and_a_failed_one_is_left_at_once() {
    let mut bench = Bench::new(setup(&[20, 10, 30], true), WELL);
    assert_eq!(bench.actions, [Action::Activate(port(2)), Action::ClientLink { up: true }]);
    bench.actions.clear();
    assert_eq!(bench.health(2, UNPLUGGED), [Action::Activate(port(1)), Action::Release(port(2))]);
    assert_eq!(bench.machine.status(port(2)), Some(BackingDeviceStatus::LinkDown));
    let dead = DeviceHealth { link: true, server: ServerHealth::Dead };
    assert_eq!(bench.health(1, dead), [Action::Activate(port(3)), Action::Release(port(1))]);
    assert_eq!(bench.machine.status(port(1)), Some(BackingDeviceStatus::NotOperational));
    let off = DeviceHealth { link: false, server: ServerHealth::Off };
    assert_eq!(bench.health(3, off), [Action::ClientLink { up: false }]);
    assert_eq!(bench.machine.status(port(3)), Some(BackingDeviceStatus::PoweredOff));
    // Back by itself, over whichever works first.
    assert_eq!(
        bench.health(1, WELL),
        [Action::Activate(port(1)), Action::Release(port(3)), Action::ClientLink { up: true }]
    );
    // And to the better one after its hold time, without a gap.
    assert_eq!(bench.health(2, WELL), []);
    assert_eq!(bench.pass(999, &[]), []);
    assert_eq!(
        bench.pass(200, &[]),
        [Action::Activate(port(2)), Action::Drain(port(1)), Action::Release(port(1))]
    );
}

#[test]
fn the_same_device_comes_back_when_it_was_the_only_one() {
    let mut bench = Bench::new(setup(&[50], true), WELL);
    bench.actions.clear();
    assert_eq!(bench.health(1, UNPLUGGED), [Action::ClientLink { up: false }]);
    assert_eq!(bench.health(1, WELL), [Action::ClientLink { up: true }]);
    assert_eq!(bench.machine.next_due(), None);
}

#[test]
fn without_automatic_a_failure_is_failed_over_but_not_back() {
    let mut bench = Bench::new(setup(&[10, 20], false), WELL);
    bench.actions.clear();
    assert_eq!(bench.health(1, UNPLUGGED), [Action::Activate(port(2)), Action::Release(port(1))]);
    assert_eq!(bench.health(1, WELL), []);
    assert_eq!(bench.pass(600_000, &[]), []);
    // Turned on, it goes to the best one now, without hold time.
    bench.health(1, UNPLUGGED);
    bench.health(1, WELL);
    bench.machine.configure(at(bench.now), setup(&[10, 20], true), &mut bench.actions);
    assert_eq!(bench.actions, [Action::Activate(port(1)), Action::Drain(port(2))]);
}

#[test]
fn a_person_chooses_until_that_device_fails() {
    for automatic in [false, true] {
        let mut bench = Bench::new(setup(&[10, 20], automatic), WELL);
        bench.actions.clear();
        assert!(bench.machine.activate(at(0), port(2), &mut bench.actions));
        assert_eq!(bench.actions, [Action::Activate(port(2)), Action::Drain(port(1))]);
        assert_eq!(bench.pass(600_000, &[]).last(), Some(&Action::Release(port(1))));
        assert_eq!(bench.machine.active(), Some(port(2)));
        assert!(!bench.machine.activate(at(bench.now), port(7), &mut bench.actions));
        bench.health(1, UNPLUGGED);
        assert!(!bench.machine.activate(at(bench.now), port(1), &mut bench.actions), "not operational");
        bench.health(1, WELL);
        assert_eq!(bench.health(2, UNPLUGGED), [Action::Activate(port(1)), Action::Release(port(2))]);
        bench.health(2, WELL);
        assert_eq!(bench.pass(600_000, &[]), []);
    }
}

#[test]
fn what_a_person_chose_is_chosen_again_at_power_on() {
    let chosen = VnicSetup { preferred: Some(port(2)), ..setup(&[10, 20], false) };
    assert_eq!(Bench::new(chosen.clone(), WELL).machine.active(), Some(port(2)));
    // Its server is not up yet: the other one serves until then.
    let mut bench = Bench::new(chosen, DeviceHealth::default());
    bench.health(1, WELL);
    assert_eq!(bench.machine.active(), Some(port(1)));
    bench.health(2, WELL);
    assert_eq!(bench.machine.active(), Some(port(2)));
}

#[test]
fn a_flapping_device_is_trusted_less_each_time() {
    let mut bench = Bench::new(setup(&[10, 20], true), WELL);
    let mut waits = Vec::new();
    for _ in 0..9 {
        bench.health(1, UNPLUGGED);
        bench.pass(10, &[]);
        bench.health(1, WELL);
        let start = bench.now;
        while bench.machine.active() == Some(port(2)) {
            bench.pass(100, &[]);
        }
        waits.push((bench.now - start) / 1_000);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    bench.pass(120_000, &[]);
    bench.health(1, UNPLUGGED);
    bench.health(1, WELL);
    bench.pass(1_000, &[]);
    assert_eq!(bench.machine.active(), Some(port(1)), "forgiven");
}

#[test]
fn a_failure_goes_to_a_settled_device_before_a_flapping_one() {
    let mut bench = Bench::new(setup(&[10, 20, 30], true), WELL);
    bench.health(2, UNPLUGGED);
    bench.health(2, WELL);
    bench.health(1, UNPLUGGED);
    assert_eq!(bench.machine.active(), Some(port(3)));
    bench.pass(1_000, &[]);
    assert_eq!(bench.machine.active(), Some(port(2)));
}

#[test]
fn a_lost_uplink_behind_a_live_port_is_left_within_three_probe_intervals() {
    let probed = VnicSetup { probe_targets: vec![GATEWAY], ..setup(&[10, 20], true) };
    let mut bench = Bench::new(probed, WELL);
    bench.pass(1_000, &[1, 2]);
    assert_eq!(bench.machine.active(), Some(port(1)));
    for lost_after in [0, 1, 50, 99] {
        bench.pass(10_000 + lost_after, &[1, 2]);
        let lost = bench.now;
        while bench.machine.active() == Some(port(1)) {
            bench.pass(1, &[2]);
        }
        println!("probes lost: failed over after {} ms", bench.now - lost);
        assert!(bench.now - lost < 300, "{} ms", bench.now - lost);
        assert_eq!(bench.machine.status(port(1)), Some(BackingDeviceStatus::LinkDown));
        assert!(bench.machine.link_up());
        bench.pass(60_000, &[1, 2]);
        assert_eq!(bench.machine.active(), Some(port(1)));
    }
}

#[test]
fn silent_targets_change_nothing() {
    let probed = VnicSetup { probe_targets: vec![GATEWAY], ..setup(&[10, 20], true) };
    let mut bench = Bench::new(probed.clone(), WELL);
    bench.pass(5_050, &[1, 2]);
    assert_eq!(bench.pass(600_000, &[]), []);
    assert_eq!((bench.machine.active(), bench.machine.link_up()), (Some(port(1)), true));
    // Links decide then.
    assert_eq!(bench.health(1, UNPLUGGED), [Action::Activate(port(2)), Action::Release(port(1))]);
    assert_eq!(bench.health(2, UNPLUGGED), [Action::ClientLink { up: false }]);
    // Targets that never answered change nothing either.
    let mut bench = Bench::new(probed, WELL);
    bench.actions.clear();
    assert_eq!(bench.pass(600_000, &[]), []);
}

#[test]
fn probes_find_back_to_their_device_and_only_answers_count() {
    let probed = VnicSetup { probe_targets: vec![GATEWAY], ..setup(&[10, 20], true) };
    let mut bench = Bench::new(probed, WELL);
    let mut actions = Vec::new();
    bench.machine.tick(at(0), &mut actions);
    let sources: Vec<EthernetAddress> = actions
        .iter()
        .map(|action| match action {
            Action::Probe { source, target: GATEWAY, .. } => *source,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sources.len(), 2);
    assert!(sources[0] != sources[1] && sources.iter().all(|source| is_probe_address(*source, CLIENT)));
    assert!(!is_probe_address(CLIENT, CLIENT));
    let mut frame = Frame::default();
    write_probe(&mut frame, sources[0], GATEWAY);
    assert!(frame.destination().is_broadcast() && frame.source() == sources[0] && frame.bytes().len() == 60);
    // To the client, of another target, of the other device: none of them is an answer of this device.
    let mut take =
        |number, frame: &Frame| bench.machine.take_answer(at(1), port(number), frame, &mut actions);
    assert!(!take(1, &answer(GATEWAY, CLIENT)));
    assert!(!take(2, &answer(GATEWAY, sources[0])));
    assert!(take(1, &answer(Ipv4Addr::new(10, 0, 0, 9), sources[0])));
    assert!(take(1, &answer(GATEWAY, sources[0])));
}

#[test]
fn devices_come_and_go_while_it_runs() {
    let mut bench = Bench::new(setup(&[10], true), WELL);
    bench.actions.clear();
    let two = setup(&[10, 5], true);
    bench.machine.configure(at(0), two.clone(), &mut bench.actions);
    assert_eq!(bench.actions, []);
    assert_eq!(bench.health(2, WELL), [Action::Activate(port(2)), Action::Drain(port(1))]);
    // The active one is taken away.
    bench.machine.configure(at(10), setup(&[10], true), &mut bench.actions);
    assert_eq!(bench.actions, [Action::Activate(port(1)), Action::Release(port(2))]);
    bench.actions.clear();
    let none = VnicSetup { devices: Vec::new(), ..two };
    bench.machine.configure(at(20), none, &mut bench.actions);
    assert_eq!(bench.actions, [Action::Release(port(1)), Action::ClientLink { up: false }]);
    let seven = setup(&[1, 2, 3, 4, 5, 6, 7], true);
    bench.machine.configure(at(30), seven, &mut bench.actions);
    assert_eq!(bench.machine.states().len(), 6);
}

/// Random inputs; after each, the rules.
#[test]
fn random_histories_keep_the_rules() {
    for seed in 0..300 {
        let mut random = Randomness::new(seed);
        let count = random.between(1, 6);
        let priorities: Vec<u8> =
            (0..count).map(|_| u8::try_from(random.between(1, 100)).expect("small")).collect();
        let mut bench = Bench::new(setup(&priorities, random.below(2) == 0), DeviceHealth::default());
        let mut current = bench.machine.setup().clone();
        let mut carrying: Option<LogicalPortId> = None;
        let mut draining: Option<LogicalPortId> = None;
        let mut link = false;
        for step in 0..400 {
            let number = u32::try_from(random.between(1, count)).expect("small");
            let mut done = Vec::new();
            match random.below(10) {
                0..5 => {
                    let server =
                        [ServerHealth::Alive, ServerHealth::Alive, ServerHealth::Dead, ServerHealth::Off];
                    let server = server[usize::try_from(random.below(4)).expect("small")];
                    let health = DeviceHealth { link: random.below(3) > 0, server };
                    done = bench.health(number, health);
                }
                5 => {
                    if bench.machine.activate(at(bench.now), port(number), &mut done) {
                        assert_eq!(bench.machine.active(), Some(port(number)), "seed {seed} step {step}");
                    }
                }
                6 => {
                    current.automatic = random.below(2) == 0;
                    current.devices[0].priority = u8::try_from(random.between(1, 100)).expect("small");
                    bench.machine.configure(at(bench.now), current.clone(), &mut done);
                }
                _ => done = bench.pass(random.below(100_000), &[]),
            }
            for action in done {
                match action {
                    Action::Activate(port) => {
                        assert_ne!(carrying, Some(port), "seed {seed} step {step}");
                        draining = carrying.replace(port).or(draining).filter(|drained| *drained != port);
                    }
                    Action::Drain(port) => assert_eq!(draining, Some(port), "seed {seed} step {step}"),
                    Action::Release(port) => {
                        assert_ne!(carrying, Some(port), "seed {seed} step {step}");
                        draining = draining.filter(|drained| *drained != port);
                    }
                    Action::ClientLink { up } => {
                        assert_ne!(link, up, "seed {seed} step {step}");
                        link = up;
                    }
                    Action::Probe { .. } => panic!("seed {seed} step {step}"),
                }
            }
            check(&bench.machine, (carrying, draining, link), &format!("seed {seed} step {step}"));
            if step % 50 == 49 {
                // Left alone, it ends at the best one.
                current.automatic = true;
                let off = VnicSetup { automatic: false, ..current.clone() };
                bench.machine.configure(at(bench.now), off, &mut Vec::new());
                bench.machine.configure(at(bench.now), current.clone(), &mut Vec::new());
                bench.pass(200_000, &[]);
                draining = None;
                let states = bench.machine.states();
                let operational = |port: LogicalPortId| {
                    states.iter().any(|state| {
                        state.logical_port == port && state.status == BackingDeviceStatus::Operational
                    })
                };
                let best = current.devices.iter().filter(|device| operational(device.port));
                let best = best.map(|device| device.priority).min();
                let active =
                    current.devices.iter().find(|device| Some(device.port) == bench.machine.active());
                if best.is_some() {
                    assert_eq!(active.map(|device| device.priority), best, "seed {seed} step {step}");
                }
                carrying = bench.machine.active();
            }
        }
    }
}

fn check(
    machine: &FailoverMachine,
    (carrying, draining, link): (Option<LogicalPortId>, Option<LogicalPortId>, bool),
    place: &str,
) {
    let states = machine.states();
    assert!(states.iter().filter(|state| state.active).count() <= 1, "{place}");
    assert_eq!((machine.active(), machine.link_up()), (carrying, link), "{place}");
    if machine.draining().is_some() {
        assert_eq!(machine.draining(), draining, "{place}");
        assert_ne!(machine.draining(), carrying, "{place}");
    }
    let operational = states.iter().filter(|state| state.status == BackingDeviceStatus::Operational);
    let operational: Vec<_> = operational.map(|state| state.logical_port).collect();
    // Connectivity whenever a device works: without automatic, too.
    assert_eq!(link, !operational.is_empty(), "{place}");
    assert!(operational.is_empty() || carrying.is_some_and(|port| operational.contains(&port)), "{place}");
}
