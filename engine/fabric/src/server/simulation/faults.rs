//! Random faults for hours.

use std::time::Duration;

use varan_contract::network::HighAvailabilityMode;
use varan_simulator::Randomness;

use super::world::{Plan, World};

/// Time after a fault in which all must be as it should be again: the delays of the plan, and what detection takes.
const SETTLING: Duration = Duration::from_secs(6);

fn history(seed: u64, plan: Plan, hours: u64) {
    let mut random = Randomness::new(seed);
    let mut world = World::new(plan.clone());
    world.pace = Duration::from_millis(50);
    let end = Duration::from_secs(3_600 * hours);
    // A server that never heard of the other one does not know that it is alone only by its own fault.
    world.pass(SETTLING);
    let mut faults = 0u64;
    while world.now < end {
        let number = usize::from(random.below(2) == 1);
        let what = fault(&mut random, &mut world, number);
        faults += 1;
        world.pass(SETTLING);
        world.forget_probes();
        let from = world.probes_sent + 1;
        world.pass(Duration::from_millis(random.between(1_000, 20_000)));
        let to = world.probes_sent - 1;
        let states = [world.state(0), world.state(1)];
        let place = format!("seed {seed}, fault {faults} at {:?}: {what} of {number}, {states:?}", world.now);
        let works = |number: usize| {
            let server = &world.servers[number];
            server.fabric.is_some() && !server.hung && server.cable && (server.reaches || !plan.ping)
        };
        if works(0) || works(1) {
            let (missing, twice) = world.faults(from, to);
            assert!(missing.is_empty(), "{place}: lost {} ({:?})", missing.len(), missing.first());
            assert!(twice.is_empty(), "{place}: doubled {} ({:?})", twice.len(), twice.first());
            let bridging: Vec<String> = (0..2)
                .filter(|number| !world.servers[*number].hung)
                .flat_map(|number| world.bridging(number))
                .collect();
            assert_eq!(bridging.len(), plan.trunks.len(), "{place}: {bridging:?}");
        }
        assert!(world.most_under_way < 2_000, "{place}: {} frames under way", world.most_under_way);
    }
    println!("seed {seed}: {faults} faults in {hours} h, {} probes", world.probes_sent);
}

/// One fault, or the end of one.
fn fault(random: &mut Randomness, world: &mut World, number: usize) -> &'static str {
    // A control channel adapter that is missing is put back before anything else fails: with two faults at once nobody can
    // tell a dead server from a mute one.
    if let Some(number) = (0..2).find(|number| !world.servers[*number].channel) {
        world.set_channel(number, true);
        return "control channel back";
    }
    if world.servers[number].fabric.is_none() {
        world.start(number);
        return "start";
    }
    if world.servers[number].hung {
        world.hang(number, false);
        return "go on";
    }
    let calm = (0..2).all(|number| {
        let server = &world.servers[number];
        server.fabric.is_some() && !server.hung && server.cable && server.reaches
    });
    match random.below(if world.plan.ping { 7 } else { 6 }) {
        0 => {
            world.kill(number);
            "kill"
        }
        1 => {
            world.hang(number, true);
            "hang"
        }
        2 => {
            let up = !world.servers[number].cable;
            world.set_cable(number, up);
            "cable"
        }
        3 => {
            for _ in 0..random.between(2, 20) {
                let up = !world.servers[number].cable;
                world.set_cable(number, up);
                world.pass(Duration::from_millis(random.between(1, 300)));
            }
            "flapping cable"
        }
        4 if calm && world.plan.channels.is_some() => {
            world.set_channel(number, false);
            "control channel lost"
        }
        5 if world.plan.modes[number] == HighAvailabilityMode::Auto => {
            let standby = world.servers[number].mode == HighAvailabilityMode::Standby;
            world.set_mode(
                number,
                if standby { HighAvailabilityMode::Auto } else { HighAvailabilityMode::Standby },
            );
            "mode"
        }
        6 => {
            world.servers[number].reaches ^= true;
            "uplink"
        }
        _ => "nothing",
    }
}

#[test]
fn random_faults_leave_one_bridge_and_a_way_wherever_there_is_one() {
    for seed in 0..2 {
        history(seed, Plan::auto(), 1);
        history(100 + seed, Plan { channels: None, ..Plan::auto() }, 1);
        history(200 + seed, Plan { ping: true, ..Plan::auto() }, 1);
        let trunks = vec![(1, vec![10]), (2, vec![20]), (3, vec![30])];
        let sharing = Plan { modes: [HighAvailabilityMode::Sharing; 2], trunks, ..Plan::auto() };
        history(300 + seed, sharing, 1);
    }
}
