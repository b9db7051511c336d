//! The authority of a managed system, stepped by hand: what is recorded, what a refusal leaves, what survives.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use support::*;
use varan_contract::engine::*;
use varan_contract::system::*;
use varan_model::partition::{PartitionState, RmcState};
use varan_model::system::SystemState;

#[test]
fn a_partition_is_created_started_changed_and_stopped() {
    let mut bench = Bench::open(&directory("life"), 1);
    bench.create("lpar1").expect("created");
    assert!(bench.create("lpar1").is_err());
    bench.power_on("lpar1");
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::Starting);
    bench.boot("lpar1");
    let entry = bench.entry("lpar1");
    assert_eq!((entry.runtime.state, entry.runtime.rmc), (PartitionState::Running, RmcState::Active));
    let used = bench.authority.world().system().usage;
    assert_eq!((used.memory, used.units.0), (512, 10));

    let answer = bench.send(SystemRequest::Stop {
        partition: named("lpar1"),
        request: StopRequest::OperatingSystem,
        restart: false,
    });
    bench.step();
    assert!(answer.try_recv().is_err(), "waits for the guest");
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::ShuttingDown);
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done));
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::NotActivated);
    assert_eq!(bench.authority.world().system().usage.memory, 0);
    bench
        .call(SystemRequest::RemovePartition { partition: named("lpar1"), server_adapters: false })
        .expect("removed");
    bench.authority.world().check_invariants();
}

#[test]
fn durable_writes_keep_to_their_budget() {
    let mut bench = Bench::open(&directory("budget"), 2);
    let cost = |bench: &mut Bench, work: &mut dyn FnMut(&mut Bench)| {
        let before = bench.authority.counters().transactions;
        work(bench);
        bench.authority.counters().transactions - before
    };
    assert_eq!(cost(&mut bench, &mut |bench| drop(bench.create("lpar1"))), 1);
    assert_eq!(cost(&mut bench, &mut |bench| drop(bench.call(change("lpar1", "description=x")))), 1);
    assert_eq!(cost(&mut bench, &mut |bench| bench.power_on("lpar1")), 1);
    assert_eq!(cost(&mut bench, &mut |bench| bench.boot("lpar1")), 0);
    let dynamic = cost(&mut bench, &mut |bench| {
        let answer = bench.send(memory("lpar1", DynamicOperation::Add, 256));
        bench.step();
        let Call::Memory(_, megabytes, token) = bench.last_call() else { panic!("asked for memory") };
        bench.event("lpar1", EngineEventKind::MemorySet { token, megabytes, details: Vec::new() });
        assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done));
    });
    assert_eq!(dynamic, 1);
    // Requests that wait together share one transaction.
    let group = cost(&mut bench, &mut |bench| {
        let answers: Vec<_> = (0..100).map(|number| bench.send(create(&format!("group{number}")))).collect();
        bench.step();
        assert!(answers.iter().all(|answer| answer.try_recv() == Ok(Ok(SystemReply::Done))));
    });
    assert_eq!(group, 1);
    assert_eq!(cost(&mut bench, &mut |bench| drop(bench.create("lpar1"))), 0, "a refusal writes nothing");
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_and_a_repeat_is_harmless() {
    let directory = directory("restart");
    let mut bench = Bench::open(&directory, 3);
    let id = RequestId(42);
    let answer = bench.send_as(id, create("lpar1"));
    bench.step();
    assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done));
    bench.power_on("lpar1");
    let before = bench.entry("lpar1").partition;
    drop(bench);
    let mut bench = Bench::open(&directory, 4);
    assert_eq!(bench.entry("lpar1").partition, before);
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::NotActivated);
    let answer = bench.send_as(id, create("lpar1"));
    bench.step();
    assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done), "done once, answered twice");
    bench.authority.world().check_invariants();
}

#[test]
fn requests_of_one_batch_that_change_the_same_partition_are_all_remembered() {
    let directory = directory("batch");
    let mut bench = Bench::open(&directory, 11);
    bench.create("lpar1").expect("created");
    let requests = [
        change("lpar1", "new_name=lpar2"),
        change("lpar2", "description=x"),
        change("lpar2", "new_name=lpar3"),
    ];
    let answers: Vec<_> =
        (0..).zip(&requests).map(|(id, request)| bench.send_as(RequestId(id), request.clone())).collect();
    bench.step();
    assert!(answers.iter().all(|answer| answer.try_recv() == Ok(Ok(SystemReply::Done))));
    drop(bench);
    let mut bench = Bench::open(&directory, 12);
    for (id, request) in (0..).zip(&requests) {
        let answer = bench.send_as(RequestId(id), request.clone());
        bench.step();
        assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done), "{request:?}");
    }
    assert_eq!(bench.entry("lpar3").partition.settings.description, "x");
}

#[test]
fn auto_start_partitions_boot_after_a_power_loss() {
    let directory = directory("autostart");
    let mut bench = Bench::open(&directory, 5);
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
        bench.power_on(name);
    }
    bench.call(change("lpar2", "auto_start=1")).expect("changed");
    drop(bench);
    let bench = Bench::open(&directory, 6);
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::NotActivated);
    assert_eq!(bench.entry("lpar2").runtime.state, PartitionState::Starting);
}

#[test]
fn guests_that_outlived_the_program_go_on_without_a_new_activation() {
    let directory = directory("adopted");
    let mut bench = Bench::open(&directory, 31);
    for name in ["lpar1", "lpar2", "lpar3"] {
        bench.create(name).expect("created");
        bench.power_on(name);
    }
    bench.call(change("lpar1", "auto_start=1")).expect("changed");
    bench.event("lpar1", EngineEventKind::State(GuestState::Running));
    // Its stop is recorded, and its guest is still going down when the program ends.
    bench.event("lpar3", EngineEventKind::State(GuestState::Running));
    let request = StopRequest::Delayed;
    bench.send(SystemRequest::Stop { partition: named("lpar3"), request, restart: false });
    bench.step();
    let activations = bench.entry("lpar1").partition.activations;
    let free = bench.authority.world().system().available_memory();
    let guest = |name: &str, generation: u64, state: GuestState| AdoptedGuest {
        partition: bench.uuid(name),
        generation: Generation(generation),
        state,
    };
    let far = u64::MAX / 2;
    let unknown = varan_model::ids::PartitionUuid::from_random(99);
    let adopted = vec![
        guest("lpar1", 7, GuestState::Running),
        guest("lpar2", far, GuestState::Starting),
        guest("lpar3", 9, GuestState::Running),
        AdoptedGuest { partition: unknown, generation: Generation(1), state: GuestState::Running },
    ];
    let uuid = bench.uuid("lpar3");
    drop(bench);

    let mut bench = Bench::open_adopting(&directory, 32, &[], adopted).expect("opened");
    let expected =
        [Call::Stop(uuid, StopRequest::Delayed, false), Call::Stop(unknown, StopRequest::Immediate, false)];
    assert_eq!(*bench.engine.calls.lock().unwrap(), expected, "nothing is started, nobody unknown goes on");
    let state = |bench: &Bench, name: &str| bench.entry(name).runtime.state;
    assert_eq!(state(&bench, "lpar1"), PartitionState::Running);
    assert_eq!(state(&bench, "lpar2"), PartitionState::Starting);
    assert_eq!(state(&bench, "lpar3"), PartitionState::ShuttingDown);
    assert_eq!(bench.entry("lpar1").partition.activations, activations);
    assert_eq!(bench.entry("lpar1").runtime.memory, 512);
    assert_eq!(bench.authority.world().system().available_memory(), free);
    bench.authority.world().check_invariants();
    // What they report counts, and the next activation is a later one.
    bench.event("lpar2", EngineEventKind::State(GuestState::Stopped { restart: true }));
    assert_eq!(state(&bench, "lpar2"), PartitionState::Starting);
    assert!(bench.entry("lpar2").runtime.generation > far);
    bench.event("lpar3", EngineEventKind::State(GuestState::Stopped { restart: false }));
    assert_eq!(state(&bench, "lpar3"), PartitionState::NotActivated);
}

#[test]
fn dynamic_changes_need_rmc_and_report_what_they_reached() {
    let mut bench = Bench::open(&directory("dynamic"), 7);
    bench.create("lpar1").expect("created");
    let refused = bench.refused(memory("lpar1", DynamicOperation::Add, 256));
    assert!(refused.starts_with("HSCL3680"), "{refused}");
    bench.power_on("lpar1");
    let refused = bench.refused(memory("lpar1", DynamicOperation::Add, 256));
    assert!(refused.starts_with("HSCL05DF"), "{refused}");
    bench.event("lpar1", EngineEventKind::State(GuestState::Running));
    let refused = bench.refused(memory("lpar1", DynamicOperation::Add, 256));
    assert!(refused.starts_with("HSCL2957"), "{refused}");
    bench.boot("lpar1");

    let free = bench.authority.world().system().available_memory();
    let answer = bench.send(memory("lpar1", DynamicOperation::Add, 1_024));
    bench.step();
    assert_eq!(bench.authority.world().system().available_memory(), free - 1_024, "held back");
    let refused = bench.refused(memory("lpar1", DynamicOperation::Add, 256));
    assert!(refused.starts_with("HSCL0405"), "{refused}");
    let Call::Memory(_, 1_536, token) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
    let details = vec!["drmgr: no more".to_owned()];
    bench.event("lpar1", EngineEventKind::MemorySet { token, megabytes: 768, details });
    let Err(CallError::Refused(refusal)) = answer.try_recv().expect("answered") else { panic!("short") };
    assert!(refusal.to_string().contains("256 MB of 1024 MB"), "{refusal}");
    assert!(refusal.to_string().ends_with("drmgr: no more"));
    assert_eq!(bench.entry("lpar1").runtime.memory, 768);
    assert_eq!(bench.authority.world().system().available_memory(), free - 256);
    bench.authority.world().check_invariants();
}

#[test]
fn memory_moves_between_partitions_and_off_partitions_change_at_once() {
    let mut bench = Bench::open(&directory("move"), 8);
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
        bench.power_on(name);
        bench.boot(name);
    }
    let answer = bench.send(memory("lpar1", DynamicOperation::Move(named("lpar2")), 256));
    bench.step();
    let Call::Memory(giver, 256, token) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
    assert_eq!(giver, bench.uuid("lpar1"));
    bench.event("lpar1", EngineEventKind::MemorySet { token, megabytes: 256, details: Vec::new() });
    let Call::Memory(taker, 768, token) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
    assert_eq!(taker, bench.uuid("lpar2"));
    bench.event("lpar2", EngineEventKind::MemorySet { token, megabytes: 768, details: Vec::new() });
    assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done));
    bench.authority.world().check_invariants();

    bench.create("lpar3").expect("created");
    bench
        .call(SystemRequest::ApplyProfile {
            partition: named("lpar3"),
            profile: "default_profile".to_owned(),
        })
        .expect("applied");
    bench.call(memory("lpar3", DynamicOperation::Add, 512)).expect("changed without RMC");
    assert_eq!(
        bench.entry("lpar3").partition.current.as_ref().map(|content| content.desired_memory),
        Some(1_024)
    );
}

#[test]
fn the_system_powers_off_and_on_in_its_real_time() {
    let mut bench = Bench::open(&directory("power"), 9);
    bench.create("lpar1").expect("created");
    bench.power_on("lpar1");
    bench
        .call(SystemRequest::PowerSystem(SystemPower::Off { immediate: true, restart: false }))
        .expect("accepted");
    assert_eq!(bench.authority.world().system().state, SystemState::PowerOffInProgress);
    assert_eq!(bench.last_call(), Call::PowerLoss);
    bench.environment.advance(Duration::from_secs(61));
    bench.step();
    assert_eq!(bench.authority.world().system().state, SystemState::PowerOff);
    let refused = bench.refused(create("lpar2"));
    assert!(refused.starts_with("HSCL0238"), "{refused}");
    bench.call(SystemRequest::PowerSystem(SystemPower::On)).expect("accepted");
    assert_eq!(bench.authority.world().system().state, SystemState::Initializing);
    bench.environment.advance(Duration::from_secs(301));
    bench.step();
    assert_eq!(bench.authority.world().system().state, SystemState::Operating);
    bench.authority.world().check_invariants();
}

#[test]
fn the_power_off_policy_takes_the_system_down_after_its_last_partition() {
    let mut bench = Bench::open(&directory("policy"), 13);
    let record = varan_model::record::parse_record("power_off_policy=1").expect("record");
    bench.call(SystemRequest::ChangeSystem { record }).expect("changed");
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
        bench.power_on(name);
    }
    for (name, state) in [("lpar1", SystemState::Operating), ("lpar2", SystemState::PowerOffInProgress)] {
        bench.event(name, EngineEventKind::State(GuestState::Stopped { restart: false }));
        assert_eq!(bench.authority.world().system().state, state);
    }
    bench.environment.advance(Duration::from_secs(61));
    bench.step();
    assert_eq!(bench.authority.world().system().state, SystemState::PowerOff);
    bench.authority.world().check_invariants();
}

/// A deterministic random run: after each step the sums agree; a refusal changes nothing; a restart finds what was
/// acknowledged.
#[test]
fn random_sequences_keep_the_invariants_and_survive_restarts() {
    for seed in 0..12_u64 {
        let directory = directory(&format!("random{seed}"));
        let mut bench = Bench::open(&directory, seed);
        let mut state = seed;
        for step in 0..150 {
            let draw = varan_environment::split_mix(&mut state);
            let name = format!("p{}", draw % 8);
            let before = bench.authority.world().snapshot.clone();
            let request = random_request(draw >> 8, &name);
            let answer = bench.send(request.clone());
            bench.step();
            if let Ok(Err(CallError::Refused(_))) = answer.try_recv() {
                let after = &bench.authority.world().snapshot;
                assert_eq!(before.system, after.system, "seed {seed} step {step}: {request:?}");
                assert!(
                    before.partitions.iter().eq(after.partitions.iter()),
                    "seed {seed} step {step}: {request:?}"
                );
            }
            random_guest(&mut bench, &name, draw >> 40);
            if draw.is_multiple_of(29) {
                let definitions: Vec<_> = bench
                    .authority
                    .world()
                    .snapshot
                    .partitions
                    .iter()
                    .map(|(_, entry)| entry.partition.clone())
                    .collect();
                drop(bench);
                bench = Bench::open(&directory, state.rotate_left(17) ^ 0xA5A5);
                let again: Vec<_> = bench
                    .authority
                    .world()
                    .snapshot
                    .partitions
                    .iter()
                    .map(|(_, entry)| entry.partition.clone())
                    .collect();
                let comparable = |partition: &varan_model::partition::Partition| {
                    let mut copy = partition.clone();
                    (copy.revision, copy.activations, copy.wanted_on) = (0, 0, false);
                    if copy.settings.auto_start {
                        // It was started by the restart itself, perhaps for the first time.
                        copy.current = None;
                        copy.current_profile.clear();
                    }
                    copy
                };
                let one: Vec<_> = definitions.iter().map(|partition| comparable(partition)).collect();
                let two: Vec<_> = again.iter().map(|partition| comparable(partition)).collect();
                assert!(one == two, "seed {seed} step {step}");
            }
            if bench.engine.calls.lock().expect("lock").is_empty() || !reserved(&bench) {
                bench.authority.world().check_invariants();
            }
        }
    }
}

/// While a dynamic addition waits for its guest, more is in use than the partitions show.
fn reserved(bench: &Bench) -> bool {
    bench.authority.world().snapshot.partitions.iter().any(|(_, entry)| entry.runtime.lock.is_some())
}

fn random_guest(bench: &mut Bench, name: &str, draw: u64) {
    let found = bench.authority.world().snapshot.find(&named(name)).is_ok();
    if !found {
        return;
    }
    let call = bench.engine.calls.lock().expect("lock").last().cloned();
    match draw % 5 {
        0 => bench.event(name, EngineEventKind::State(GuestState::Running)),
        1 => bench.boot(name),
        2 => bench.event(name, EngineEventKind::State(GuestState::Stopped { restart: draw & 64 == 0 })),
        3 => {
            if let Some(Call::Memory(_, megabytes, token)) = call {
                bench.event(name, EngineEventKind::MemorySet { token, megabytes, details: Vec::new() });
            }
        }
        _ => {}
    }
}
