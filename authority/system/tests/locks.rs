//! Locks: who holds what, what meets a lock, and how a lock is taken away.

#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use support::*;
use varan_contract::engine::*;
use varan_contract::fault::SystemFault;
use varan_contract::system::*;
use varan_environment::Environment;
use varan_model::ids::VirtualSlot;
use varan_model::record::parse_record;
use varan_model::rules::virtual_io::AdapterKind;
use varan_model::system::AccessPassword;

type Answer = Receiver<Result<SystemReply, CallError>>;

fn named(name: &str) -> Selector {
    Selector::Name(name.to_owned())
}

fn origin(console: &str) -> Arc<Origin> {
    Arc::new(Origin {
        console: console.to_owned(),
        identity: "7042-CR8*21C0001".parse().unwrap(),
        access: AccessPassword::Initial,
    })
}

fn running(name: &str, partitions: &[&str]) -> Bench {
    let mut bench = Bench::open(&directory(name), 31);
    for name in partitions {
        bench.create(name).expect("created");
        bench.power_on(name);
        bench.boot(name);
    }
    bench
}

fn memory(operation: DynamicOperation) -> SystemRequest {
    let resource = Resource::Memory(256);
    SystemRequest::ChangeResource { partition: named("lpar1"), operation, resource, wait_minutes: 0 }
}

fn ethernet(operation: ListOperation, slot: Option<u16>) -> SystemRequest {
    let record = if slot.is_none() { "port_vlan_id=900" } else { "" };
    SystemRequest::ChangeAdapter(AdapterRequest {
        partition: named("lpar1"),
        operation,
        kind: Some(AdapterKind::Ethernet),
        slot: slot.map(VirtualSlot),
        record: parse_record(record).unwrap(),
        force: false,
        wait_minutes: 0,
    })
}

/// Asks for a change that waits for a guest, as a console's.
fn begin(bench: &mut Bench, console: &str, request: SystemRequest) -> Answer {
    let (reply, answer) = sync_channel(1);
    let id = RequestId(0xFEED_0000 + u128::from(bench.environment.random()));
    assert!(bench.inbox.request_from(Some(origin(console)), id, request, reply));
    bench.step();
    answer
}

fn remove(bench: &mut Bench, name: &str) -> Answer {
    let answer = bench.send(SystemRequest::RemoveLock { partition: Some(named(name)) });
    bench.step();
    answer
}

/// Rows as "partition operation console".
fn locks(bench: &Bench) -> Vec<String> {
    let visited = std::sync::atomic::AtomicU64::default();
    let reply =
        varan_system::reads::read(&bench.authority.world().snapshot, &SystemRequest::ListLocks, &visited);
    let Ok(SystemReply::Locks(rows)) = reply else { panic!("{reply:?}") };
    let row = |row: &varan_model::lock::LockEntry| {
        let name = row.partition.as_ref().map_or("-", |(_, name)| name);
        let console = row.lock.holder.as_ref().map_or("-", |holder| &holder.console);
        format!("{name} {} {console}", row.lock.operation.word())
    };
    rows.iter().map(row).collect()
}

#[track_caller]
fn refusal(answer: &Answer) -> String {
    match answer.try_recv() {
        Ok(Err(CallError::Refused(refusal))) => refusal.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn adapter_answer(bench: &mut Bench, done: bool) {
    let Call::Adapter(_, _, token) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
    bench.event("lpar1", EngineEventKind::AdapterChanged { token, done, details: Vec::new() });
}

fn ethernets(bench: &Bench) -> usize {
    bench.entry("lpar1").partition.current.as_ref().expect("active").ethernet_adapters.len()
}

#[test]
fn a_dynamic_change_holds_a_lock_until_the_guest_answers() {
    let mut bench = running("locks-held", &["lpar1", "lpar2"]);
    let first = begin(&mut bench, "myhmc", memory(DynamicOperation::Move(named("lpar2"))));
    assert_eq!(locks(&bench), ["lpar1 mem myhmc"]);
    let second = begin(&mut bench, "myhmc2", memory(DynamicOperation::Add));
    assert!(refusal(&second).starts_with("HSCL0405 "));
    bench.answer_memory(None, &[]);
    assert_eq!(locks(&bench), ["lpar1 mem myhmc", "lpar2 mem myhmc"], "a move holds both");
    bench.authority.world().check_invariants();
    bench.answer_memory(None, &[]);
    assert_eq!(first.try_recv(), Ok(Ok(SystemReply::Done)));
    assert!(locks(&bench).is_empty());
    assert!(refusal(&remove(&mut bench, "lpar1")).starts_with("No operation holds a lock"));
}

#[test]
fn a_removed_lock_leaves_what_was_there_before() {
    let mut bench = running("locks-removed", &["lpar1", "lpar2"]);
    let before = bench.authority.world().snapshot.clone();
    let moved = begin(&mut bench, "myhmc", memory(DynamicOperation::Move(named("lpar2"))));
    bench.answer_memory(None, &[]);
    let unlocked = remove(&mut bench, "lpar1");
    assert!(refusal(&moved).contains("rmlock"));
    assert!(refusal(&remove(&mut bench, "lpar2")).starts_with("HSCL0405 "), "it is being removed already");
    assert_eq!(locks(&bench).len(), 2, "not before the guests are as they were");
    for (name, megabytes) in [("lpar2", 512), ("lpar1", 512)] {
        let asked = bench.last_call();
        assert!(matches!(asked, Call::Memory(one, size, _) if one == bench.uuid(name) && size == megabytes));
        assert!(unlocked.try_recv().is_err());
        bench.answer_memory(None, &[]);
    }
    assert_eq!(unlocked.try_recv(), Ok(Ok(SystemReply::Done)));
    let after = &bench.authority.world().snapshot;
    assert_eq!(before.system, after.system);
    assert!(before.partitions.iter().eq(after.partitions.iter()));
    bench.authority.world().check_invariants();
}

#[test]
fn adapters_are_given_back_when_their_lock_is_removed() {
    let mut bench = running("locks-adapters", &["lpar1"]);
    let added = begin(&mut bench, "myhmc", ethernet(ListOperation::Add, None));
    assert_eq!((locks(&bench), ethernets(&bench)), (vec!["lpar1 virtualio myhmc".to_owned()], 2));
    let unlocked = remove(&mut bench, "lpar1");
    assert!(refusal(&added).contains("rmlock"));
    assert!(matches!(bench.last_call(), Call::Adapter(_, AdapterChange::Remove(_), _)));
    adapter_answer(&mut bench, true);
    assert_eq!(unlocked.try_recv(), Ok(Ok(SystemReply::Done)));
    assert_eq!((locks(&bench).len(), ethernets(&bench)), (0, 1));

    let removed = begin(&mut bench, "myhmc", ethernet(ListOperation::Remove, Some(2)));
    let unlocked = remove(&mut bench, "lpar1");
    assert!(refusal(&removed).contains("rmlock"));
    assert!(matches!(bench.last_call(), Call::Adapter(_, AdapterChange::Put(_), _)));
    adapter_answer(&mut bench, true);
    assert_eq!(unlocked.try_recv(), Ok(Ok(SystemReply::Done)));
    assert_eq!((locks(&bench).len(), ethernets(&bench)), (0, 1));

    // The guest ends before it has given the adapter up: it has nothing any more.
    let added = begin(&mut bench, "myhmc", ethernet(ListOperation::Add, None));
    let unlocked = remove(&mut bench, "lpar1");
    assert!(refusal(&added).contains("rmlock"));
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    assert_eq!(unlocked.try_recv(), Ok(Ok(SystemReply::Done)));
    assert_eq!((locks(&bench).len(), ethernets(&bench)), (0, 1));
    bench.authority.world().check_invariants();
}

#[test]
fn a_guest_that_does_not_answer_keeps_its_lock() {
    let mut bench = running("locks-silent", &["lpar1"]);
    let first = begin(&mut bench, "myhmc", memory(DynamicOperation::Add));
    let unlocked = remove(&mut bench, "lpar1");
    assert!(refusal(&first).contains("rmlock"));
    bench.environment.advance(Duration::from_secs(5 * 60));
    bench.step();
    assert!(refusal(&unlocked).contains('5'), "the removal was waited for long enough");
    assert_eq!(locks(&bench).len(), 1);
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    assert!(locks(&bench).is_empty());
    bench.authority.world().check_invariants();
}

#[test]
fn a_lock_of_a_guest_that_falls_silent_is_not_waited_for() {
    let mut bench = running("locks-falls-silent", &["lpar1"]);
    bench.call(SystemRequest::Fault(SystemFault::HangPartition(named("lpar1")))).expect("hangs");
    let first = begin(&mut bench, "myhmc", memory(DynamicOperation::Add));
    let unlocked = remove(&mut bench, "lpar1");
    assert!(refusal(&first).contains("rmlock"));
    assert!(unlocked.try_recv().is_err());
    let Call::Memory(_, megabytes, token) = bench.last_call() else { panic!("{:?}", bench.last_call()) };
    bench.environment.advance(Duration::from_secs(121));
    bench.step();
    assert!(refusal(&unlocked).contains("does not answer"));
    assert!(refusal(&remove(&mut bench, "lpar1")).contains("does not answer"), "nor is a later one");
    assert_eq!(locks(&bench).len(), 1);
    // It goes on, and undoes what it was asked for.
    bench.call(SystemRequest::Fault(SystemFault::ResumePartition(named("lpar1")))).expect("goes on");
    bench.event("lpar1", EngineEventKind::MemorySet { token, megabytes, details: Vec::new() });
    assert!(locks(&bench).is_empty());
    bench.authority.world().check_invariants();
}
