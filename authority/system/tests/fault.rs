//! Faults on purpose: what a broken system shows, and what mending it brings back.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use support::*;
use varan_contract::engine::*;
use varan_contract::fault::{FaultId, SystemFault};
use varan_contract::system::*;
use varan_model::partition::{PartitionState, RmcState};
use varan_model::system::SystemState;
use varan_model::units::ProcessingUnits;

fn running(name: &str, seed: u64) -> Bench {
    let mut bench = Bench::open(&directory(name), seed);
    bench.create("lpar1").expect("created");
    bench.power_on("lpar1");
    bench.boot("lpar1");
    bench.call(change("lpar1", "auto_start=1")).expect("changed");
    bench
}

fn fault(bench: &mut Bench, fault: SystemFault) {
    assert_eq!(bench.call(SystemRequest::Fault(fault)), Ok(SystemReply::Done));
    bench.authority.world().check_invariants();
}

fn state(bench: &Bench) -> SystemState {
    bench.authority.world().system().state
}

fn wait(bench: &mut Bench, seconds: u64) {
    bench.environment.advance(Duration::from_secs(seconds));
    bench.step();
}

#[test]
fn a_frame_without_power_comes_back_and_starts_what_the_policy_says() {
    let mut bench = running("power-failure", 1);
    fault(&mut bench, SystemFault::PowerFails);
    assert_eq!(bench.last_call(), Call::PowerLoss);
    assert_eq!(state(&bench), SystemState::PowerOff);
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::NotActivated);
    assert_eq!(bench.authority.world().system().usage.memory, 0);
    wait(&mut bench, 1_000);
    assert_eq!(state(&bench), SystemState::PowerOff, "there is no power");
    fault(&mut bench, SystemFault::PowerReturns);
    assert_eq!(state(&bench), SystemState::Initializing);
    wait(&mut bench, 301);
    assert_eq!(state(&bench), SystemState::Operating);
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::Starting);
}

#[test]
fn a_frame_that_was_off_stays_off_when_power_returns() {
    let mut bench = running("power-off", 2);
    bench
        .call(SystemRequest::PowerSystem(SystemPower::Off { immediate: true, restart: false }))
        .expect("accepted");
    // The power goes while the system is going off: nothing of that is left.
    fault(&mut bench, SystemFault::PowerFails);
    wait(&mut bench, 1_000);
    fault(&mut bench, SystemFault::PowerReturns);
    wait(&mut bench, 1_000);
    assert_eq!(state(&bench), SystemState::PowerOff);
}

#[test]
fn a_crashed_hypervisor_shows_an_error_until_it_is_restarted() {
    let mut bench = running("crash", 3);
    fault(&mut bench, SystemFault::Crash);
    assert_eq!(state(&bench), SystemState::Error);
    let system = bench.authority.world().system().clone();
    assert!(format!("{:?}", system.reference_codes).contains("B7000103"));
    let refused = bench.refused(SystemRequest::Fault(SystemFault::Crash));
    assert!(refused.starts_with("HSCL0238"), "{refused}");
    fault(&mut bench, SystemFault::Recover);
    wait(&mut bench, 301);
    assert_eq!(state(&bench), SystemState::Operating);
    fault(&mut bench, SystemFault::Recover);
    assert_eq!(state(&bench), SystemState::Operating, "nothing is left to recover");

    // An administrator may also power the system off and on.
    fault(&mut bench, SystemFault::Crash);
    bench
        .call(SystemRequest::PowerSystem(SystemPower::Off { immediate: true, restart: true }))
        .expect("accepted");
    wait(&mut bench, 61);
    wait(&mut bench, 301);
    assert_eq!(state(&bench), SystemState::Operating);
}

#[test]
fn a_crashed_partition_is_started_again_unless_somebody_did() {
    let mut bench = running("partition-crash", 4);
    let answer = bench.send(SystemRequest::Fault(SystemFault::CrashPartition(named("lpar1"))));
    bench.step();
    assert!(answer.try_recv().is_err(), "the guest has not ended yet");
    assert_eq!(bench.last_call(), Call::Fault(bench.uuid("lpar1"), GuestFault::Crash));
    bench.event("lpar1", EngineEventKind::State(GuestState::Failed));
    assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done));
    let entry = bench.entry("lpar1");
    assert_eq!(entry.runtime.state, PartitionState::Error);
    assert!(format!("{:?}", entry.runtime.reference_codes).contains("B700F104"));
    let refused = bench.refused(SystemRequest::Fault(SystemFault::CrashPartition(named("lpar1"))));
    assert!(refused.starts_with("HSCL05DF"), "{refused}");
    fault(&mut bench, SystemFault::RecoverPartition(named("lpar1")));
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::Starting);
    let generation = bench.entry("lpar1").runtime.generation;
    fault(&mut bench, SystemFault::RecoverPartition(named("lpar1")));
    assert_eq!(bench.entry("lpar1").runtime.generation, generation, "it runs: nothing to do");
    let refused = bench.refused(SystemRequest::Fault(SystemFault::CrashPartition(named("nobody"))));
    assert!(refused.starts_with("HSCL8012"), "{refused}");
}

#[test]
fn a_silent_partition_loses_rmc_and_gets_it_back() {
    let mut bench = running("hang", 5);
    fault(&mut bench, SystemFault::HangPartition(named("lpar1")));
    assert_eq!(bench.entry("lpar1").runtime.rmc, RmcState::Active, "nobody has noticed yet");
    wait(&mut bench, 121);
    let entry = bench.entry("lpar1");
    assert_eq!((entry.runtime.state, entry.runtime.rmc), (PartitionState::Running, RmcState::Inactive));
    fault(&mut bench, SystemFault::ResumePartition(named("lpar1")));
    assert_eq!(bench.last_call(), Call::Fault(bench.uuid("lpar1"), GuestFault::Resume));
    bench.event("lpar1", EngineEventKind::OperatingSystem(report("lpar1")));
    wait(&mut bench, 301);
    assert_eq!(bench.entry("lpar1").runtime.rmc, RmcState::Active);
    // A hang that ends in time is not noticed.
    fault(&mut bench, SystemFault::HangPartition(named("lpar1")));
    fault(&mut bench, SystemFault::ResumePartition(named("lpar1")));
    wait(&mut bench, 121);
    assert_eq!(bench.entry("lpar1").runtime.rmc, RmcState::Active);
}

#[test]
fn a_disk_that_cannot_be_lost_is_refused() {
    let mut bench = running("disk", 8);
    // The disks of these tests have no switch.
    let refused = bench.refused(SystemRequest::Fault(SystemFault::LoseDisk(named("lpar1"))));
    assert!(refused.contains("unsupported"), "{refused}");
    let refused = bench.refused(SystemRequest::Fault(SystemFault::LoseDisk(named("nobody"))));
    assert!(refused.starts_with("HSCL8012"), "{refused}");
    fault(&mut bench, SystemFault::ReturnDisk(named("nobody")));
}

#[test]
fn failed_hardware_is_out_of_use_over_restarts_until_it_is_repaired() {
    let directory = directory("hardware");
    let mut bench = Bench::open(&directory, 6);
    let before = bench.authority.world().system().clone();
    let (processors, memory) = (FaultId(1), FaultId(2));
    fault(&mut bench, SystemFault::FailHardware { id: processors, processors: 2, memory: 0 });
    fault(&mut bench, SystemFault::FailHardware { id: memory, processors: 0, memory: 1_024 });
    drop(bench);
    let mut bench = Bench::open(&directory, 7);
    let system = bench.authority.world().system().clone();
    assert_eq!(system.configurable_units(), ProcessingUnits::whole(6));
    assert_eq!(system.available_units(), before.available_units().minus(ProcessingUnits::whole(2)));
    assert_eq!(system.available_memory(), before.available_memory() - 1_024);
    for (id, processors, memory) in [(3, 6, 0), (3, 99, 0), (3, 0, 100), (3, 0, 1 << 20)] {
        let wrong = SystemFault::FailHardware { id: FaultId(id), processors, memory };
        let refused = bench.refused(SystemRequest::Fault(wrong));
        assert!(refused.starts_with("The fault was not injected"), "{refused}");
    }
    for id in [processors, memory] {
        fault(&mut bench, SystemFault::RepairHardware { id });
    }
    let after = bench.authority.world().system().clone();
    assert_eq!(after.available_units(), before.available_units());
    assert_eq!(after.available_memory(), before.available_memory());
}

/// What the error log holds of faults: consoles make serviceable events from it, over a restart as well.
#[test]
fn what_fails_is_logged_once_and_turns_the_attention_indicator_on() {
    let directory = directory("fault-log");
    let mut bench = Bench::open(&directory, 8);
    let logged = |bench: &mut Bench| match bench.call(SystemRequest::ListErrors { after: 0 }) {
        Ok(SystemReply::Errors { entries, .. }) => entries
            .iter()
            .map(|entry| (entry.failure.reference_code.clone(), entry.failure.part.is_some()))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert!(!bench.authority.world().system().settings.indicators.attention);
    fault(&mut bench, SystemFault::FailHardware { id: FaultId(1), processors: 1, memory: 0 });
    fault(&mut bench, SystemFault::FailHardware { id: FaultId(2), processors: 0, memory: 1_024 });
    bench.refused(SystemRequest::Fault(SystemFault::FailHardware {
        id: FaultId(3),
        processors: 0,
        memory: 100,
    }));
    fault(&mut bench, SystemFault::Crash);
    bench.refused(SystemRequest::Fault(SystemFault::Crash));
    let expected = [("B113E504", true), ("B124E504", true), ("B7000103", false)];
    let expected: Vec<_> = expected.map(|(code, part)| (code.to_owned(), part)).into();
    assert_eq!(logged(&mut bench), expected);
    drop(bench);
    let mut bench = Bench::open(&directory, 9);
    assert_eq!(logged(&mut bench), expected);
    assert!(bench.authority.world().system().settings.indicators.attention);
}

/// What is in use when hardware fails stays in use; nothing new is given out.
#[test]
fn nothing_is_given_out_beyond_what_still_works() {
    let mut bench = running("in-use", 8);
    let free = bench.authority.world().system().available_memory();
    let lost = SystemFault::FailHardware { id: FaultId(1), processors: 0, memory: free };
    fault(&mut bench, lost);
    assert_eq!(bench.authority.world().system().available_memory(), 0);
    let refused = bench.refused(memory("lpar1", DynamicOperation::Add, 256));
    assert!(refused.starts_with("HSCL"), "{refused}");
    assert_eq!(bench.entry("lpar1").runtime.state, PartitionState::Running);
}
