//! A toy replicated counter with defects that can be switched on: the simulator must find each of them, and
//! nothing in the correct one.

use std::time::Duration;

use varan_simulator::{
    Actor, ActorId, Fault, FaultPlan, Input, LinkFaults, Now, Outbox, ProcessState, SharedDisk, Simulation,
    Start, explore, find_failure,
};

const LEADER: ActorId = ActorId(0);
const BACKUP: ActorId = ActorId(1);
const CLIENT: ActorId = ActorId(2);
const RETRY: u64 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    /// The leader acknowledges what it wrote but did not sync.
    NoSync,
    /// The leader counts a request again when it is repeated.
    CountsRepeats,
    /// The leader's memory is the only place where it remembers the last request.
    ForgetsRequest,
}

#[derive(Clone, Debug)]
enum Message {
    Increment { request: u64 },
    Replicate { count: u64, request: u64 },
    Stored { request: u64 },
    Counted { request: u64 },
}

/// Count and last request, in one sector.
fn load(disk: &SharedDisk) -> (u64, u64) {
    let mut bytes = [0; 16];
    disk.lock().unwrap().read_at(0, &mut bytes).unwrap();
    (u64::from_le_bytes(bytes[..8].try_into().unwrap()), u64::from_le_bytes(bytes[8..].try_into().unwrap()))
}

fn save(disk: &SharedDisk, count: u64, request: u64, sync: bool) {
    let mut bytes = count.to_le_bytes().to_vec();
    bytes.extend(request.to_le_bytes());
    let mut disk = disk.lock().unwrap();
    disk.write_at(0, &bytes).unwrap();
    if sync {
        disk.sync().unwrap();
    }
}

enum Toy {
    Leader { disk: SharedDisk, defect: Defect, count: u64, request: u64 },
    Backup { disk: SharedDisk },
    Client { request: u64 },
}

impl Actor for Toy {
    type Message = Message;

    fn start(&mut self, now: Now, outbox: &mut Outbox<Message>) {
        if matches!(self, Self::Client { .. }) {
            self.apply(now, Input::Timer { token: RETRY }, outbox);
        }
    }

    fn apply(&mut self, _now: Now, input: Input<Message>, outbox: &mut Outbox<Message>) {
        match (self, input) {
            (Self::Leader { disk, defect, count, request }, Input::Message { body, .. }) => match body {
                Message::Increment { request: asked } => {
                    if asked > *request || *defect == Defect::CountsRepeats {
                        (*count, *request) = (*count + 1, asked);
                        let kept = if *defect == Defect::ForgetsRequest { 0 } else { asked };
                        save(disk, *count, kept, *defect != Defect::NoSync);
                    }
                    outbox.send(BACKUP, Message::Replicate { count: *count, request: *request });
                }
                Message::Stored { request: stored } => {
                    outbox.send(CLIENT, Message::Counted { request: stored })
                }
                _ => {}
            },
            (Self::Backup { disk }, Input::Message { from, body: Message::Replicate { count, request } }) => {
                if request > load(disk).1 {
                    save(disk, count, request, true);
                }
                outbox.send(from, Message::Stored { request });
            }
            (
                Self::Client { request },
                Input::Message { body: Message::Counted { request: counted }, .. },
            ) if counted == *request => {
                *request += 1;
                outbox.send(LEADER, Message::Increment { request: *request });
            }
            (Self::Client { request }, Input::Timer { .. }) => {
                outbox.send(LEADER, Message::Increment { request: *request });
                outbox.arm(RETRY, Duration::from_millis(50));
            }
            _ => {}
        }
    }
}

fn started(simulation: &Simulation<Toy>) -> u64 {
    match simulation.actor(CLIENT) {
        Some(Toy::Client { request }) => *request,
        _ => unreachable!("the plan spares the client"),
    }
}

/// Acknowledged increments are counted, and none is counted that was not asked for.
fn counted_exactly(simulation: &Simulation<Toy>) -> Result<(), String> {
    let Some(Toy::Leader { count, .. }) = simulation.actor(LEADER) else { return Ok(()) };
    let started = started(simulation);
    if *count < started - 1 {
        return Err(format!("{} increments were acknowledged, the leader counts {count}", started - 1));
    }
    if *count > started {
        return Err(format!("{started} increments were asked for, the leader counts {count}"));
    }
    Ok(())
}

fn world(seed: u64, defect: Defect) -> Simulation<Toy> {
    let mut simulation = Simulation::new(seed);
    simulation.network().set_default(LinkFaults::hostile());
    simulation.add("leader", move |Start { disk, .. }| {
        let (count, request) = load(&disk);
        Toy::Leader { disk, defect, count, request }
    });
    simulation.add("backup", |Start { disk, .. }| Toy::Backup { disk });
    simulation.add("client", |_| Toy::Client { request: 1 });
    simulation.check_invariants(counted_exactly);
    simulation.set_plan(FaultPlan {
        eligible: vec![LEADER, BACKUP],
        longest_outage: Duration::from_millis(500),
        ..FaultPlan::hostile()
    });
    simulation
}

#[test]
fn the_correct_counter_survives_every_fault() {
    explore(0..60, 2_000, |seed| world(seed, Defect::None));
}

#[test]
fn every_defect_is_found_and_its_seed_repeats_it() {
    for defect in [Defect::NoSync, Defect::CountsRepeats, Defect::ForgetsRequest] {
        let failure = find_failure(0..60, 2_000, |seed| world(seed, defect))
            .unwrap_or_else(|| panic!("{defect:?} not found"));
        let text = failure.to_string();
        assert!(text.contains(&format!("SIMULATION_SEED={}", failure.seed)), "{text}");
        let again = world(failure.seed, defect).run(failure.step).unwrap_err();
        assert_eq!(again, failure, "{defect:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte_and_others_differ() {
    let trace = |seed| {
        let mut simulation = world(seed, Defect::None);
        simulation.run(1_500).unwrap();
        let lines: Vec<String> = simulation.trace().lines().map(str::to_owned).collect();
        assert_eq!(simulation.trace().written(), lines.len() as u64);
        (lines, simulation.trace().digest())
    };
    let mut digests = std::collections::BTreeSet::new();
    for seed in 0..10 {
        let (first, second) = (trace(seed), trace(seed));
        assert_eq!(first, second, "seed {seed}");
        digests.insert(first.1);
    }
    assert_eq!(digests.len(), 10);
}

#[test]
fn after_all_trouble_ends_the_counter_makes_progress() {
    for seed in 0..20 {
        let mut simulation = world(seed, Defect::None);
        simulation.run(1_000).unwrap();
        simulation.recover_all();
        let goal = started(&simulation) + 50;
        simulation
            .run_until(2_000, |world| started(world) >= goal)
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// Runs timers, to look at pauses, clocks and cancelling.
struct Ticker {
    fired: Vec<(u64, Duration)>,
}

impl Actor for Ticker {
    type Message = &'static str;

    fn start(&mut self, _now: Now, outbox: &mut Outbox<&'static str>) {
        for token in 1..=3 {
            outbox.arm(token, Duration::from_secs(token));
        }
    }

    fn apply(&mut self, now: Now, input: Input<&'static str>, outbox: &mut Outbox<&'static str>) {
        match input {
            Input::Timer { token } => {
                self.fired.push((token, now.monotonic));
                outbox.send(ActorId::OUTSIDE, "fired");
                if token == 1 {
                    outbox.cancel(2);
                }
            }
            Input::Message { .. } => outbox.send(ActorId::OUTSIDE, "answer"),
        }
    }
}

fn ticker() -> (Simulation<Ticker>, ActorId) {
    let mut simulation = Simulation::new(1);
    let id = simulation.add("ticker", |_| Ticker { fired: Vec::new() });
    (simulation, id)
}

#[test]
fn timers_fire_in_order_and_a_cancelled_one_does_not() {
    let (mut simulation, id) = ticker();
    assert_eq!(simulation.run(100).unwrap(), 4, "two timers, two answers to the test");
    let fired = &simulation.actor(id).unwrap().fired;
    assert_eq!(*fired, [(1, Duration::from_secs(1)), (3, Duration::from_secs(3))]);
    assert_eq!(simulation.take_received().len(), 2);
}

#[test]
fn a_paused_actor_gets_nothing_until_it_continues_and_then_everything() {
    let (mut simulation, id) = ticker();
    simulation.schedule(Duration::from_millis(500), Fault::Pause(id));
    simulation.schedule(Duration::from_secs(10), Fault::Continue(id));
    simulation.inject(id, "before");
    simulation.run_until(10, |world| world.state(id) == ProcessState::Paused).unwrap();
    simulation.inject(id, "during");
    simulation.run_until(10, |world| world.now() >= Duration::from_secs(3)).unwrap();
    assert_eq!(simulation.received().count(), 1, "only the answer to the first message");
    simulation.run(100).unwrap();
    let fired = &simulation.actor(id).unwrap().fired;
    let late = Duration::from_secs(10);
    assert_eq!(*fired, [(1, late), (3, late)], "the first timer cancels the second though both ran out");
    assert_eq!(simulation.received().count(), 4);
}

#[test]
fn a_killed_actor_loses_timers_and_messages_and_starts_anew() {
    let (mut simulation, id) = ticker();
    simulation.schedule(Duration::from_millis(1_500), Fault::Kill(id));
    simulation.schedule(Duration::from_millis(5_000), Fault::Restart(id));
    simulation.run_until(10, |world| world.state(id) == ProcessState::Down).unwrap();
    simulation.inject(id, "nobody is there");
    simulation.run(100).unwrap();
    let fired: Vec<u64> = simulation.actor(id).unwrap().fired.iter().map(|(token, _)| *token).collect();
    assert_eq!(fired, [1, 3]);
    assert!(
        simulation.trace().lines().any(|line| line.contains(" drop ")),
        "{}",
        simulation.trace().tail(50)
    );
    assert_eq!(simulation.now(), Duration::from_secs(8));
}

#[test]
fn timers_follow_the_actors_own_clock() {
    let mut simulation = Simulation::new(1);
    let id = simulation.add("ticker", |Start { clock, .. }| {
        clock.set_rate(100_000);
        Ticker { fired: Vec::new() }
    });
    simulation.schedule(Duration::ZERO, Fault::WallClockJump(id, -5_000_000_000));
    simulation.run(100).unwrap();
    let fired = &simulation.actor(id).unwrap().fired;
    assert!(
        fired.iter().all(|(token, local)| *local - Duration::from_secs(*token) < Duration::from_nanos(2))
    );
    assert!(simulation.now() < Duration::from_millis(2_728), "three local seconds pass faster");
    let jumped = varan_simulator::clock::DEFAULT_WALL_CLOCK - 5_000_000_000;
    assert_eq!(simulation.clock(id).wall_clock() - jumped, 3_000_000_000);
}

/// Writes, ignores the outcome, and tells that it is done.
struct Careless {
    disk: SharedDisk,
}

impl Actor for Careless {
    type Message = u8;

    fn apply(&mut self, _now: Now, input: Input<u8>, outbox: &mut Outbox<u8>) {
        if let Input::Message { body, .. } = input {
            let mut disk = self.disk.lock().unwrap();
            let _ignored = disk.write_at(0, &[body]).and_then(|()| disk.sync());
            outbox.send(ActorId::OUTSIDE, body);
        }
    }
}

#[test]
fn a_power_cut_in_a_call_takes_its_sends_with_it_and_the_actor_comes_back() {
    let mut simulation = Simulation::new(3);
    let id = simulation.add("careless", |Start { disk, .. }| Careless { disk });
    simulation.disk(id).lock().unwrap().cut_power_after(1);
    for body in 1..=2 {
        simulation.inject(id, body);
    }
    simulation.run(10).unwrap();
    simulation.inject(id, 3);
    simulation.run(10).unwrap();
    let answers: Vec<u8> = simulation.take_received().into_iter().map(|(_, body)| body).collect();
    assert_eq!(answers, [1, 3]);
    assert!(simulation.trace().lines().any(|line| line.ends_with("careless incarnation 2")));
}

#[test]
fn the_plan_keeps_its_limit_of_unavailable_actors() {
    for seed in 0..20 {
        let mut simulation = world(seed, Defect::None);
        simulation.set_plan(FaultPlan {
            maximum_unavailable: 1,
            eligible: vec![LEADER, BACKUP],
            ..FaultPlan::hostile()
        });
        simulation.check_invariants(|world| {
            let away =
                [LEADER, BACKUP].iter().filter(|id| world.state(**id) != ProcessState::Running).count();
            if away > 1 { Err(format!("{away} actors are away")) } else { Ok(()) }
        });
        simulation.run(1_000).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
