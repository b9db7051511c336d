//! DLPAR, processor time, idle memory, threads, and random operations against a model.

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::{Recorder, World, arena, disk, processors, reports, specification, states};
use varan_contract::engine::{
    BootDisk, EngineEvent, EngineEventKind, EngineEvents, Generation, GuestState, PartitionEngine,
    Personality, ProcessorAllocation, StopRequest,
};
use varan_environment::{RealEnvironment, split_mix};
use varan_partition_engine::{EmbeddedEngine, EngineOptions, MemoryBootDisk, Workers};

fn memory_answers(events: &[EngineEventKind]) -> Vec<(u64, u64, bool)> {
    let answer = |event: &EngineEventKind| match event {
        EngineEventKind::MemorySet { token, megabytes, details } => {
            Some((*token, *megabytes, details.is_empty()))
        }
        _ => None,
    };
    events.iter().filter_map(answer).collect()
}

#[test]
fn memory_is_added_at_once_and_removed_block_by_block() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let ask = |megabytes, token, seconds| {
        world.engine.set_memory(aix.partition, megabytes, token).expect("on");
        world.seconds(seconds);
        memory_answers(&world.take_events())
    };
    assert_eq!(ask(8192, 1, 0), [(1, 8192, true)]);
    assert_eq!(ask(8192, 2, 0), [(2, 8192, true)], "a repeat is harmless");
    assert_eq!(ask(9000, 3, 0), [(3, 8192, false)], "more than the maximum");
    // 8192 - 4000 is 16.4 blocks, half a second each.
    assert_eq!(ask(4000, 4, 8), []);
    assert_eq!(ask(4096, 5, 1), [(4, 4000, true), (5, 4096, true)], "requests are done in order");
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    // The workload holds 64 MB and 200,000 pages: 846 MB.
    dialogue.command("dirty start 200000 262144");
    world.seconds(1);
    dialogue.command("dirty stop");
    assert_eq!(ask(256, 6, 60), [(6, 1024, false)], "short of the wish, at a block's border");
    assert_eq!(dialogue.command("dirty verify").split(' ').next(), Some("0"));
    dialogue.command("dirty free");
    assert_eq!(ask(256, 7, 60), [(7, 256, true)]);
    assert_eq!(dialogue.command("lsattr -El sys0 -a realmem | grep -c 262144"), "1\n");
}

#[test]
fn requests_under_way_are_answered_when_the_guest_stops() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    for token in 0..40 {
        world.engine.set_memory(aix.partition, 1024, token).expect("on");
    }
    world.run(Duration::from_millis(600));
    world.engine.stop(aix.partition, StopRequest::Immediate, false).expect("on");
    world.seconds(1);
    let events = world.take_events();
    let tokens: std::collections::BTreeSet<u64> =
        memory_answers(&events).into_iter().map(|answer| answer.0).collect();
    assert_eq!(tokens.len(), 40, "every token is answered once: {events:?}");
    assert_eq!(states(&events).last(), Some(&GuestState::Stopped { restart: false }));
}

#[test]
fn processors_change_and_their_time_is_accounted() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let before = world.engine.statistics(aix.partition).expect("on");
    assert_eq!((before.capped_nanoseconds, before.idle_nanoseconds), (0, 75_000_000_000));
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    dialogue.command("load 100");
    world.seconds(10);
    let wanted = ProcessorAllocation { processors: 4, entitlement_hundredths: 100, ..processors() };
    world.engine.set_processors(aix.partition, wanted, 3).expect("on");
    world.seconds(10);
    let after = world.engine.statistics(aix.partition).expect("on");
    assert_eq!(after.capped_nanoseconds, 15_000_000_000);
    assert_eq!(after.uncapped_nanoseconds, 45_000_000_000);
    assert_eq!(after.idle_nanoseconds, before.idle_nanoseconds);
    let expected = EngineEventKind::ProcessorsSet { token: 3, processors: wanted, details: vec![] };
    assert!(world.take_events().contains(&expected));
    let none = ProcessorAllocation { processors: 0, ..wanted };
    world.engine.set_processors(aix.partition, none, 4).expect("on");
    world.seconds(0);
    let events = world.take_events();
    let [EngineEventKind::ProcessorsSet { token: 4, processors, details }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(*processors == wanted && !details.is_empty());
    assert_eq!(world.engine.timers(), 0, "a loaded guest needs no timer either");
}

/// Resident pages of this process, in bytes.
fn resident_of_process() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

#[test]
fn ten_thousand_idle_guests_stay_within_the_memory_aim() {
    const GUESTS: u16 = 10_000;
    const AIM: u64 = 64 << 10;
    let world = World::new(1);
    // The disks are the test's: 1 MiB of untouched zeros each would be counted for the guests.
    let disks: Vec<Arc<SmallDisk>> = (0..GUESTS).map(|_| Arc::new(SmallDisk::default())).collect();
    let before = resident_of_process();
    for (number, disk) in (1..).zip(&disks) {
        world.engine.start(specification(number, Personality::Aix, Some(disk.clone()))).expect("room");
    }
    world.seconds(200);
    assert_eq!(reports(&world.take_events()).len(), usize::from(GUESTS));
    let report = world.engine.resident();
    let per_guest = report.total_bytes() / u64::from(GUESTS);
    let on_disks: u64 = disks.iter().map(|disk| disk.bytes()).sum();
    let grown = resident_of_process().saturating_sub(before).saturating_sub(on_disks) / u64::from(GUESTS);
    println!("{report:?}: {per_guest} bytes per guest, the process grew by {grown} per guest");
    assert_eq!(report.guests, u64::from(GUESTS));
    assert!(per_guest < AIM, "{per_guest} bytes per guest: {report:?}");
    assert!(grown < AIM, "the process grew by {grown} bytes per guest");
    assert_eq!(world.engine.timers(), 0);
}

/// A disk that keeps only the sectors written, not empty ones.
#[derive(Default)]
struct SmallDisk {
    sectors: Mutex<BTreeMap<u64, Box<[u8; 512]>>>,
}

impl SmallDisk {
    fn bytes(&self) -> u64 {
        self.sectors.lock().expect("no panic").len() as u64 * 560
    }
}

impl BootDisk for SmallDisk {
    fn size(&self) -> u64 {
        1 << 20
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let sectors = self.sectors.lock().expect("no panic");
        for (position, byte) in (offset..).zip(buffer) {
            *byte = sectors.get(&(position / 512)).map_or(0, |sector| sector[(position % 512) as usize]);
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut sectors = self.sectors.lock().expect("no panic");
        for (position, byte) in (offset..).zip(data) {
            let sector = sectors.entry(position / 512).or_insert_with(|| Box::new([0; 512]));
            sector[(position % 512) as usize] = *byte;
        }
        Ok(())
    }

    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a partition must look like after the events so far.
#[derive(Clone, Debug, Default, PartialEq)]
struct Expected {
    generation: u64,
    on: bool,
}

#[test]
fn random_operations_keep_the_engine_and_its_events_consistent() {
    for seed in 0..25 {
        random_operations(seed);
    }
}

fn random_operations(seed: u64) {
    let world = World::new(seed);
    let mut state = seed;
    let mut random = |below: u64| split_mix(&mut state) % below;
    let disks: Vec<Arc<MemoryBootDisk>> = (0..5).map(|_| disk()).collect();
    let mut model = vec![Expected::default(); 5];
    let mut tokens = 0;
    let mut asked = std::collections::BTreeSet::new();
    for step in 0..200 {
        let place = format!("seed {seed} step {step}");
        let number = random(5) as usize;
        let personality = [Personality::Aix, Personality::Linux][number % 2];
        let mut specification = specification(number as u16 + 1, personality, Some(disks[number].clone()));
        let on = model[number].on;
        match random(8) {
            0 | 1 => {
                let generation = (model[number].generation + random(2)).max(1);
                specification.generation = Generation(generation);
                world.engine.start(specification).expect(&place);
                if generation > model[number].generation {
                    model[number] = Expected { generation, on: true };
                }
            }
            2 => {
                let requests = [
                    StopRequest::Immediate,
                    StopRequest::Delayed,
                    StopRequest::OperatingSystem,
                    StopRequest::OperatingSystemImmediate,
                ];
                let request = requests[random(4) as usize];
                let answer = world.engine.stop(specification.partition, request, random(2) == 0);
                assert_eq!(answer.is_ok(), on, "{place}");
            }
            3 => {
                tokens += 1;
                let answer = world.engine.set_memory(specification.partition, 256 * (1 + random(32)), tokens);
                assert_eq!(answer.is_ok(), on, "{place}");
                if on {
                    asked.insert((number, tokens));
                }
            }
            4 => {
                if let Ok(terminal) = world.engine.open_terminal(specification.partition) {
                    terminal.write(b"root\rabc123\rdirty start 60 20\rdirty verify\r");
                    world.seconds(2);
                    // A closed terminal hands out what there is and never waits.
                    terminal.closer()();
                    let mut shown = Vec::new();
                    while terminal.read(&mut shown) {}
                    let shown = String::from_utf8_lossy(&shown).into_owned();
                    assert!(!shown.contains(" wrong pages") || shown.contains("\n0 wrong pages"), "{place}");
                }
            }
            _ => world.seconds(random(60)),
        }
        world.run(Duration::ZERO);
        let events = std::mem::take(&mut *world.recorder.events.lock().expect("no panic"));
        for event in events {
            let number = (1..=5).find(|number| {
                common::specification(*number, Personality::Aix, None).partition == event.partition
            });
            let number = usize::from(number.expect("a known partition")) - 1;
            match event.kind {
                EngineEventKind::State(GuestState::Stopped { .. } | GuestState::Failed)
                    if event.generation.0 == model[number].generation =>
                {
                    model[number].on = false;
                }
                EngineEventKind::MemorySet { token, megabytes, .. } => {
                    assert!(asked.remove(&(number, token)), "{place}: answered twice");
                    assert!((64..=8192).contains(&megabytes), "{place}: {megabytes}");
                }
                _ => {}
            }
        }
        for (number, expected) in (1..).zip(&model) {
            let partition = common::specification(number, Personality::Aix, None).partition;
            assert_eq!(world.engine.statistics(partition).is_ok(), expected.on, "{place} partition {number}");
        }
    }
    let resident = world.engine.resident();
    assert_eq!(resident.frame_bytes, world.engine.arena_usage().used_bytes, "seed {seed}");
    world.engine.power_loss();
    assert_eq!((world.engine.arena_usage().used_bytes, world.engine.timers()), (0, 0), "seed {seed}");
}

/// Lets a test wait for events.
#[derive(Default)]
struct Waiter {
    recorder: Recorder,
    changed: Condvar,
}

impl EngineEvents for Waiter {
    fn engine_event(&self, event: EngineEvent) {
        self.recorder.engine_event(event);
        self.changed.notify_all();
    }
}

impl Waiter {
    fn wait(&self, enough: impl Fn(&[EngineEvent]) -> bool) -> Vec<EngineEvent> {
        let mut events = self.recorder.events.lock().expect("no panic");
        while !enough(&events) {
            events = self.changed.wait(events).expect("no panic");
        }
        events.clone()
    }
}

#[test]
fn threads_run_many_guests_with_their_events_in_order() {
    let waiter = Arc::new(Waiter::default());
    let options = EngineOptions { time_scale: 10_000.0, workers: Workers::Cores };
    let engine =
        EmbeddedEngine::new(options, arena(1 << 30), Arc::new(RealEnvironment::new()), waiter.clone())
            .expect("threads");
    for number in 1..=300 {
        engine.start(specification(number, Personality::Aix, Some(disk()))).expect("room");
    }
    let count = |events: &[EngineEvent], wanted: fn(&EngineEventKind) -> bool| {
        events.iter().filter(|event| wanted(&event.kind)).count()
    };
    let up = |kind: &EngineEventKind| matches!(kind, EngineEventKind::OperatingSystem(_));
    let down = |kind: &EngineEventKind| matches!(kind, EngineEventKind::State(GuestState::Stopped { .. }));
    waiter.wait(|events| count(events, up) == 300);
    assert_eq!(engine.timers(), 0);
    for number in 1..=300 {
        let partition = specification(number, Personality::Aix, None).partition;
        engine.stop(partition, StopRequest::OperatingSystem, true).expect("on");
    }
    let events = waiter.wait(|events| count(events, down) == 300);
    let reference = World::new(1);
    let aix = specification(1, Personality::Aix, Some(disk()));
    let mut expected = reference.boot(&aix);
    reference.engine.stop(aix.partition, StopRequest::OperatingSystem, true).expect("on");
    reference.seconds(60);
    expected.extend(reference.take_events());
    let shape = |kind: &EngineEventKind| match kind {
        EngineEventKind::OperatingSystem(_) => "report".to_owned(),
        other => format!("{other:?}"),
    };
    let expected: Vec<String> = expected.iter().map(shape).collect();
    for number in 1..=300 {
        let partition = specification(number, Personality::Aix, None).partition;
        let own = events.iter().filter(|event| event.partition == partition);
        assert_eq!(own.map(|event| shape(&event.kind)).collect::<Vec<_>>(), expected, "partition {number}");
    }
}

/// A disk whose writes wait until they are let through.
struct GatedDisk {
    disk: MemoryBootDisk,
    /// Whether writes pass; number of writes that wait; most that ever ran at once.
    gate: Mutex<(bool, usize, usize)>,
    changed: Condvar,
}

impl BootDisk for GatedDisk {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut gate = self.gate.lock().expect("no panic");
        gate.1 += 1;
        gate.2 = gate.2.max(gate.1);
        self.changed.notify_all();
        while !gate.0 {
            gate = self.changed.wait(gate).expect("no panic");
        }
        gate.1 -= 1;
        drop(gate);
        self.disk.write_at(offset, data)
    }

    fn flush(&self) -> std::io::Result<()> {
        self.disk.flush()
    }
}

#[test]
fn a_hanging_disk_stops_neither_a_power_off_nor_lets_two_activations_write() {
    let gated = Arc::new(GatedDisk {
        disk: MemoryBootDisk::new(1 << 20),
        gate: Mutex::new((false, 0, 0)),
        changed: Condvar::new(),
    });
    let waiter = Arc::new(Waiter::default());
    let options = EngineOptions { time_scale: 10_000.0, workers: Workers::Cores };
    let engine =
        EmbeddedEngine::new(options, arena(1 << 30), Arc::new(RealEnvironment::new()), waiter.clone())
            .expect("threads");
    let mut aix = specification(5, Personality::Aix, Some(gated.clone()));
    engine.start(aix.clone()).expect("room");
    let mut gate = gated.gate.lock().expect("no panic");
    while gate.1 == 0 {
        gate = gated.changed.wait(gate).expect("no panic");
    }
    drop(gate);
    engine.stop(aix.partition, StopRequest::Immediate, true).expect("on");
    let stopped = EngineEventKind::State(GuestState::Stopped { restart: true });
    waiter.wait(|events| events.iter().any(|event| event.kind == stopped));
    aix.generation = Generation(2);
    engine.start(aix.clone()).expect("room");
    aix.generation = Generation(3);
    engine.start(aix.clone()).expect("room");
    engine.power_loss();
    engine.start(aix).expect("room");
    *gated.gate.lock().expect("no panic") = (true, 1, 1);
    gated.changed.notify_all();
    let events = waiter
        .wait(|events| events.iter().any(|event| matches!(event.kind, EngineEventKind::OperatingSystem(_))));
    assert_eq!(events.last().map(|event| event.generation), Some(Generation(3)));
    assert_eq!(gated.gate.lock().expect("no panic").2, 1, "writes never overlapped");
}
