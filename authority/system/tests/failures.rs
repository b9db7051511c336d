//! What fails changes nothing: the host refuses an activation, a change cannot be recorded, a guest cannot be set back.

#![allow(missing_docs)]

mod support;

use std::sync::mpsc::Receiver;
use std::time::Duration;

use support::*;
use varan_contract::engine::*;
use varan_contract::system::*;
use varan_model::partition::PartitionState;
use varan_model::record::parse_record;
use varan_system::world::Snapshot;

fn activate(name: &str) -> SystemRequest {
    let options = PowerOnOptions { profile: Some("default_profile".to_owned()), ..PowerOnOptions::default() };
    SystemRequest::PowerOn { partition: named(name), options }
}

#[track_caller]
fn assert_same(before: &Snapshot, bench: &Bench) {
    let after = &bench.authority.world().snapshot;
    assert_eq!(before.system, after.system);
    assert!(before.partitions.iter().eq(after.partitions.iter()), "a partition is different");
    bench.authority.world().check_invariants();
}

#[track_caller]
fn refusal(answer: &Receiver<Result<SystemReply, CallError>>) -> String {
    match answer.try_recv() {
        Ok(Err(CallError::Refused(refusal))) => refusal.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).expect("directory") {
        let entry = entry.expect("entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// A partition with two profiles whose second one was never applied.
fn with_second_profile(bench: &mut Bench, name: &str) {
    bench.create(name).expect("created");
    bench.power_on(name);
    bench.event(name, EngineEventKind::State(GuestState::Stopped { restart: false }));
    let record = format!("name=other,{}", &SMALL[SMALL.find("lpar_env").expect("there")..]);
    let record = record.replace("lpar_env=aixlinux,", "").replace("desired_mem=512", "desired_mem=1024");
    let record =
        record.replace("2/0/1//0/0", "3/0/1//0/0") + ",auto_start=1,virtual_fc_adapters=5/client/1//6//0";
    let record = parse_record(&record).expect("record");
    bench.call(SystemRequest::CreateProfile { partition: named(name), record }).expect("created");
}

#[test]
fn an_activation_that_the_host_refuses_changes_nothing() {
    let mut bench = Bench::open(&directory("room"), 10);
    with_second_profile(&mut bench, "lpar1");
    bench.create("lpar2").expect("created");
    let before = bench.authority.world().snapshot.clone();
    let written = bench.authority.counters().transactions;
    *bench.engine.refuse_start.lock().expect("lock") = true;
    for name in ["lpar1", "lpar2"] {
        let options = PowerOnOptions {
            profile: Some(if name == "lpar1" { "other" } else { "default_profile" }.to_owned()),
            keylock: Some(varan_model::partition::Keylock::Manual),
            ..PowerOnOptions::default()
        };
        let refused = bench.refused(SystemRequest::PowerOn { partition: named(name), options });
        assert!(refused.starts_with("HSCL03F9"), "{refused}");
        assert_eq!(bench.authority.world().snapshot.system, before.system);
        let entry = bench.entry(name);
        assert_eq!(entry.partition, before.find(&named(name)).expect("there").partition);
        // What the real one shows after a failed activation.
        assert_eq!(entry.runtime.state, PartitionState::Error);
        let codes: Vec<&str> =
            entry.runtime.reference_codes.newest_first().map(|one| one.code.as_str()).collect();
        let number = if name == "lpar1" { "B2001230 LP=00001" } else { "B2001230 LP=00002" };
        assert_eq!(codes[..3], [number, "D200C301", "D200C300"]);
        bench.authority.world().check_invariants();
    }
    assert_eq!(bench.authority.counters().transactions, written, "nothing was written");
    // The others of the same batch are carried out.
    let answers = [bench.send(activate("lpar1")), bench.send(change("lpar2", "description=kept"))];
    bench.step();
    refusal(&answers[0]);
    assert_eq!(answers[1].try_recv(), Ok(Ok(SystemReply::Done)));
    *bench.engine.refuse_start.lock().expect("lock") = false;
    let definition = bench.entry("lpar1").partition;
    let description = bench.entry("lpar2").partition;
    let directory = bench.directory.clone();
    drop(bench);
    let mut bench = Bench::open(&directory, 11);
    assert_eq!(bench.entry("lpar1").partition, definition);
    assert_eq!(bench.entry("lpar2").partition, description);
    bench.call(activate("lpar2")).expect("room again");
}

#[test]
fn power_lost_between_admission_and_record_leaves_what_was_there() {
    let mut bench = Bench::open(&directory("admission"), 14);
    with_second_profile(&mut bench, "lpar1");
    let before = bench.entry("lpar1").partition;
    let copied = directory("admission-copy");
    let (from, to) = (bench.directory.clone(), copied.clone());
    let hook = move || copy(&from, &to);
    *bench.engine.on_admission.lock().expect("lock") = Some(Box::new(hook));
    bench.power_on("lpar1");
    assert_ne!(bench.entry("lpar1").partition, before);
    // What kill -9 leaves at the instant of the admission.
    let killed = Bench::open(&copied, 15);
    assert_eq!(killed.entry("lpar1").partition, before);
    assert_eq!(killed.entry("lpar1").runtime.state, PartitionState::NotActivated);
    killed.authority.world().check_invariants();
}

#[test]
fn an_activation_that_cannot_be_recorded_is_dismissed() {
    let mut bench = Bench::open(&directory("dismissed"), 16);
    with_second_profile(&mut bench, "lpar1");
    let before = bench.authority.world().snapshot.clone();
    bench.recording(false);
    let refused = bench.refused(activate("lpar1"));
    assert!(refused.starts_with("HSCL0002"), "{refused}");
    assert_same(&before, &bench);
    assert!(bench.engine.admitted.lock().expect("lock").is_empty(), "given back");
    bench.recording(true);
    bench.call(activate("lpar1")).expect("again");
}

#[test]
fn a_rebooting_guest_without_room_is_off_and_its_user_is_told() {
    let mut bench = Bench::open(&directory("reboot"), 17);
    bench.create("lpar1").expect("created");
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let request = StopRequest::OperatingSystem;
    let answer = bench.send(SystemRequest::Stop { partition: named("lpar1"), request, restart: true });
    bench.step();
    *bench.engine.refuse_start.lock().expect("lock") = true;
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: true }));
    assert!(refusal(&answer).starts_with("HSCL03F9"));
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::NotActivated);
    assert!(!bench.entry("lpar1").partition.wanted_on);
    bench.authority.world().check_invariants();
}

/// A bench with running partitions and RMC.
fn running(name: &str, seed: u64, partitions: &[&str]) -> Bench {
    let mut bench = Bench::open(&directory(name), seed);
    for name in partitions {
        bench.create(name).expect("created");
        bench.power_on(name);
        bench.boot(name);
    }
    bench
}

#[test]
fn a_dynamic_change_that_cannot_be_recorded_is_undone_in_the_guest() {
    for operation in [DynamicOperation::Add, DynamicOperation::Remove] {
        let mut bench = running("undo", 20, &["lpar1"]);
        let before = bench.authority.world().snapshot.clone();
        let answer = bench.send(memory("lpar1", operation.clone(), 256));
        bench.step();
        bench.recording(false);
        bench.answer_memory(None, &[]);
        assert!(answer.try_recv().is_err(), "refused only when the guest is as it was");
        let Call::Memory(_, 512, _) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
        let locked = bench.refused(memory("lpar1", DynamicOperation::Add, 256));
        assert!(locked.starts_with("HSCL0405"), "{locked}");
        bench.answer_memory(None, &[]);
        assert!(refusal(&answer).starts_with("HSCL0002"));
        assert_same(&before, &bench);
        bench.recording(true);
        let answer = bench.send(memory("lpar1", operation, 256));
        bench.step();
        bench.answer_memory(None, &[]);
        assert_eq!(answer.try_recv(), Ok(Ok(SystemReply::Done)));
        bench.authority.world().check_invariants();
    }
}

#[test]
fn processors_are_undone_as_well() {
    let mut bench = running("undo-processors", 21, &["lpar1"]);
    let before = bench.authority.world().snapshot.clone();
    let units = varan_model::units::ProcessingUnits(30);
    let answer = bench.send(SystemRequest::ChangeResource {
        partition: named("lpar1"),
        operation: DynamicOperation::Add,
        resource: Resource::Processors { processors: 1, units },
        wait_minutes: 0,
    });
    bench.step();
    bench.recording(false);
    for expected in [(2, 40), (1, 10)] {
        let Call::Processors(_, processors, token) = bench.last_call() else { panic!("asked") };
        assert_eq!((processors.processors, processors.entitlement_hundredths), expected);
        bench.event("lpar1", EngineEventKind::ProcessorsSet { token, processors, details: Vec::new() });
    }
    assert!(refusal(&answer).starts_with("HSCL0002"));
    assert_same(&before, &bench);
}

#[test]
fn a_guest_that_cannot_be_set_back_is_recorded_as_it_is_or_counted() {
    for possible_again in [true, false] {
        let mut bench = running("stuck", 22, &["lpar1"]);
        let free = bench.authority.world().system().available_memory();
        let answer = bench.send(memory("lpar1", DynamicOperation::Add, 1_024));
        bench.step();
        bench.recording(false);
        bench.answer_memory(None, &[]);
        if possible_again {
            bench.recording(true);
        }
        bench.answer_memory(Some(1_024), &["0930-033 busy"]);
        let text = refusal(&answer);
        assert!(text.starts_with("HSCL0002") && text.ends_with("0930-033 busy"), "{text}");
        let entry = bench.entry("lpar1");
        let recorded = entry.partition.current.as_ref().expect("active").desired_memory;
        assert_eq!(recorded, if possible_again { 1_024 } else { 512 });
        assert_eq!(entry.runtime.memory, 1_024, "what the guest has");
        // Nobody else gets what the guest holds.
        assert_eq!(bench.authority.world().system().available_memory(), free - 512);
        bench.authority.world().check_invariants();
        if possible_again {
            continue;
        }
        // The next dynamic change brings both together.
        bench.recording(true);
        let answer = bench.send(memory("lpar1", DynamicOperation::Add, 256));
        bench.step();
        let Call::Memory(_, 768, _) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
        bench.answer_memory(None, &[]);
        assert_eq!(answer.try_recv(), Ok(Ok(SystemReply::Done)));
        let entry = bench.entry("lpar1");
        assert_eq!(
            (entry.runtime.memory, free - 256),
            (768, bench.authority.world().system().available_memory())
        );
        bench.authority.world().check_invariants();
    }
}

#[test]
fn a_guest_that_ends_while_it_is_set_back_leaves_nothing_behind() {
    for restart in [false, true] {
        let mut bench = running("ends", 23, &["lpar1"]);
        let content = bench.entry("lpar1").partition.current.clone();
        let answer = bench.send(memory("lpar1", DynamicOperation::Add, 256));
        bench.step();
        bench.recording(false);
        bench.answer_memory(None, &[]);
        bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart }));
        assert!(refusal(&answer).starts_with("HSCL0002"));
        let entry = bench.entry("lpar1");
        assert_eq!(entry.partition.current, content);
        assert_eq!(entry.runtime.memory, if restart { 512 } else { 0 });
        assert!(entry.runtime.lock.is_none());
        bench.authority.world().check_invariants();
    }
}

#[test]
fn a_guest_that_takes_no_request_is_asked_again() {
    let mut bench = running("again", 24, &["lpar1"]);
    let before = bench.authority.world().snapshot.clone();
    let answer = bench.send(memory("lpar1", DynamicOperation::Add, 256));
    bench.step();
    bench.recording(false);
    let full = EngineError::NoRoom("too many requests wait for this partition".to_owned());
    *bench.engine.refuse_requests.lock().expect("lock") = Some(full);
    bench.answer_memory(None, &[]);
    *bench.engine.refuse_requests.lock().expect("lock") = None;
    bench.environment.advance(Duration::from_secs(2));
    bench.step();
    bench.answer_memory(Some(512), &[]);
    assert!(refusal(&answer).starts_with("HSCL0002"));
    assert_same(&before, &bench);
}

#[test]
fn a_move_is_recorded_as_one_or_undone_on_both_sides() {
    let mut bench = running("move", 25, &["lpar1", "lpar2"]);
    let before = bench.authority.world().snapshot.clone();
    let request = || memory("lpar1", DynamicOperation::Move(named("lpar2")), 256);
    let answer = bench.send(request());
    bench.step();
    bench.recording(false);
    bench.answer_memory(None, &[]);
    let Call::Memory(taker, 768, _) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
    assert_eq!(taker, bench.uuid("lpar2"));
    // Not recorded: first the taker is set back, then the giver.
    for (name, megabytes) in [("lpar2", 768), ("lpar2", 512), ("lpar1", 512)] {
        let asked = bench.last_call();
        assert!(matches!(asked, Call::Memory(one, size, _) if one == bench.uuid(name) && size == megabytes));
        assert!(answer.try_recv().is_err());
        bench.answer_memory(None, &[]);
    }
    assert!(refusal(&answer).starts_with("HSCL0002"));
    assert_same(&before, &bench);

    bench.recording(true);
    let written = bench.authority.counters().transactions;
    let answer = bench.send(request());
    bench.step();
    bench.answer_memory(None, &[]);
    bench.answer_memory(None, &[]);
    assert_eq!(answer.try_recv(), Ok(Ok(SystemReply::Done)));
    assert_eq!(bench.authority.counters().transactions - written, 1, "both in one transaction");
    for (name, megabytes) in [("lpar1", 256), ("lpar2", 768)] {
        let entry = bench.entry(name);
        assert_eq!(entry.partition.current.as_ref().expect("active").desired_memory, megabytes);
        assert_eq!(entry.runtime.memory, megabytes);
    }
    bench.authority.world().check_invariants();
}

#[test]
fn a_taker_that_does_not_take_leaves_the_giver_as_it_was() {
    let mut bench = running("taker", 26, &["lpar1", "lpar2"]);
    let before = bench.authority.world().snapshot.clone();
    let answer = bench.send(memory("lpar1", DynamicOperation::Move(named("lpar2")), 256));
    bench.step();
    bench.answer_memory(None, &[]);
    bench.answer_memory(Some(512), &["no"]);
    bench.answer_memory(None, &[]);
    assert!(refusal(&answer).ends_with("no"));
    assert_same(&before, &bench);

    // The taker ends instead of answering.
    let content = bench.entry("lpar1").partition.current.clone();
    let answer = bench.send(memory("lpar1", DynamicOperation::Move(named("lpar2")), 256));
    bench.step();
    bench.answer_memory(None, &[]);
    bench.event("lpar2", EngineEventKind::State(GuestState::Stopped { restart: false }));
    let Call::Memory(giver, 512, _) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
    assert_eq!(giver, bench.uuid("lpar1"));
    bench.answer_memory(None, &[]);
    assert!(refusal(&answer).starts_with("HSCL05DF"));
    let entry = bench.entry("lpar1");
    assert_eq!((entry.partition.current.clone(), entry.runtime.memory), (content, 512));
    bench.authority.world().check_invariants();

    // The giver ends before the taker has taken: the taker gives back.
    bench.power_on("lpar2");
    bench.boot("lpar2");
    let answer = bench.send(memory("lpar1", DynamicOperation::Move(named("lpar2")), 256));
    bench.step();
    bench.answer_memory(None, &[]);
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: true }));
    // The last request is still the taker's.
    let calls = bench.engine.calls.lock().expect("lock").clone();
    let asked = calls.iter().rev().find(|call| matches!(call, Call::Memory(..))).expect("asked").clone();
    bench.engine.calls.lock().expect("lock").push(asked);
    bench.answer_memory(None, &[]);
    bench.answer_memory(None, &[]);
    assert!(refusal(&answer).starts_with("HSCL05DF"));
    assert_eq!(bench.entry("lpar1").runtime.memory, 512);
    assert_eq!(bench.entry("lpar2").runtime.memory, 512);
    bench.authority.world().check_invariants();
}

#[test]
fn a_partition_that_is_off_gives_when_the_taker_has_taken() {
    let mut bench = running("off", 27, &["lpar1", "lpar2"]);
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    let before = bench.authority.world().snapshot.clone();
    let free = bench.authority.world().system().available_memory();
    let request = || memory("lpar1", DynamicOperation::Move(named("lpar2")), 256);
    let answer = bench.send(request());
    bench.step();
    assert_eq!(bench.authority.world().system().available_memory(), free - 256, "it held nothing");
    bench.recording(false);
    bench.answer_memory(None, &[]);
    bench.answer_memory(None, &[]);
    assert!(refusal(&answer).starts_with("HSCL0002"));
    assert_same(&before, &bench);
    bench.recording(true);
    let answer = bench.send(request());
    bench.step();
    bench.answer_memory(None, &[]);
    assert_eq!(answer.try_recv(), Ok(Ok(SystemReply::Done)));
    for (name, megabytes) in [("lpar1", 256), ("lpar2", 768)] {
        assert_eq!(bench.entry(name).partition.current.as_ref().expect("there").desired_memory, megabytes);
    }
    bench.authority.world().check_invariants();
}

#[test]
fn a_frame_that_cannot_record_starts_nothing_by_itself() {
    let directory = directory("policy");
    let mut bench = Bench::open(&directory, 28);
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
        bench.call(change(name, "auto_start=1")).expect("changed");
    }
    let power = |power| SystemRequest::PowerSystem(power);
    bench.call(power(SystemPower::Off { immediate: true, restart: false })).expect("accepted");
    bench.environment.advance(Duration::from_secs(61));
    bench.step();
    bench.call(power(SystemPower::On)).expect("accepted");
    bench.recording(false);
    bench.environment.advance(Duration::from_secs(301));
    bench.step();
    for name in ["lpar1", "lpar2"] {
        let entry = bench.entry(name);
        assert_eq!((entry.runtime.state, entry.partition.activations), (PartitionState::Error, 0));
    }
    assert!(bench.engine.admitted.lock().expect("lock").is_empty());
    bench.authority.world().check_invariants();
}

#[test]
fn an_operating_system_that_does_not_hear_goes_on_and_its_user_is_told() {
    let stop = |request| SystemRequest::Stop { partition: named("lpar1"), request, restart: false };
    let mut bench = running("unheard", 30, &["lpar1"]);
    let before = bench.authority.world().snapshot.clone();
    let written = bench.authority.counters().transactions;
    for full in [false, true] {
        let mailbox = EngineError::NoRoom("too many requests wait for this partition".to_owned());
        *bench.engine.refuse_requests.lock().expect("lock") = full.then_some(mailbox);
        let answer = bench.send(stop(StopRequest::OperatingSystem));
        bench.step();
        if !full {
            assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::ShuttingDown);
            bench.event("lpar1", EngineEventKind::StopNotHeard(StopRequest::OperatingSystem));
        }
        assert!(refusal(&answer).starts_with("HSCL0DB4"));
        assert_same(&before, &bench);
    }
    assert_eq!(bench.authority.counters().transactions, written);
    *bench.engine.refuse_requests.lock().expect("lock") = None;

    // Who asked for a power off besides still gets it.
    let (system, button) =
        (bench.send(stop(StopRequest::OperatingSystem)), bench.send(stop(StopRequest::Delayed)));
    bench.step();
    bench.event("lpar1", EngineEventKind::StopNotHeard(StopRequest::OperatingSystem));
    assert!(refusal(&system).starts_with("HSCL0DB4"));
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::ShuttingDown);
    assert!(button.try_recv().is_err());
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    assert_eq!(button.try_recv(), Ok(Ok(SystemReply::Done)));
    let codes = bench.entry("lpar1").runtime.reference_codes.clone();
    assert_eq!(codes.newest_first().next().map(|one| one.code.as_str()), Some("00000000"), "off");
}

#[test]
fn an_operating_system_shutdown_is_recorded_with_its_request_when_it_is_done() {
    let directory = directory("os-stop");
    let mut bench = Bench::open(&directory, 31);
    bench.create("lpar1").expect("created");
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let written = bench.authority.counters().transactions;
    let id = RequestId(7);
    let request = || SystemRequest::Stop {
        partition: named("lpar1"),
        request: StopRequest::OperatingSystem,
        restart: false,
    };
    let answer = bench.send_as(id, request());
    bench.step();
    assert!(bench.entry("lpar1").partition.wanted_on);
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    assert_eq!(answer.try_recv(), Ok(Ok(SystemReply::Done)));
    assert!(!bench.entry("lpar1").partition.wanted_on);
    assert_eq!(bench.authority.counters().transactions - written, 1);
    for _ in 0..2 {
        let answer = bench.send_as(id, request());
        bench.step();
        assert_eq!(answer.try_recv(), Ok(Ok(SystemReply::Done)), "a repeat is harmless");
        drop(bench);
        bench = Bench::open(&directory, 32);
    }
}

#[test]
fn a_system_goes_off_although_a_partition_could_not_start() {
    let mut bench = Bench::open(&directory("off-error"), 33);
    bench.create("lpar1").expect("created");
    *bench.engine.refuse_start.lock().expect("lock") = true;
    bench.refused(activate("lpar1"));
    let off = SystemPower::Off { immediate: false, restart: false };
    bench.call(SystemRequest::PowerSystem(off)).expect("accepted");
    bench.environment.advance(Duration::from_secs(61));
    bench.step();
    assert_eq!(bench.authority.world().system().state, varan_model::system::SystemState::PowerOff);
}
