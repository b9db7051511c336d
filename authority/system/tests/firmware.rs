//! Firmware updates of a managed system: levels, power cycles, refusals, loss of power at every moment.

#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use support::{Bench, Call, directory};
use varan_contract::engine::{EngineEventKind, GuestState};
use varan_contract::system::{CallError, RequestId, SystemPower, SystemReply, SystemRequest};
use varan_model::firmware::{FirmwareImage, FirmwareLevels, FirmwarePackage};
use varan_model::refusal::Refusal;
use varan_model::rules::firmware::FirmwareOperation;
use varan_model::system::SystemState;
use varan_system::firmware::{ACCEPT_SECONDS, ACTIVATE_SECONDS, INSTALL_SECONDS, TRANSFER_SECONDS};

type Answer = Receiver<Result<SystemReply, CallError>>;

fn package(level: &str, last_disruptive: u16) -> Box<FirmwarePackage> {
    Box::new(FirmwarePackage {
        image: FirmwareImage {
            level: level.parse().expect("level"),
            service_pack: "FW830.10".to_owned(),
            last_disruptive,
            deferred: false,
        },
        machines: vec!["8286-41A".to_owned()],
        minimum_console: (8, 8, 3, 0),
        required_fixes: Vec::new(),
        image_file: "image".to_owned(),
        image_sha256: "0".repeat(64),
    })
}

fn update(operation: FirmwareOperation) -> SystemRequest {
    SystemRequest::UpdateFirmware(operation)
}

fn levels(bench: &Bench) -> FirmwareLevels {
    bench.authority.world().system().firmware().clone()
}

/// Installed, activated, accepted, started with.
fn summary(bench: &Bench) -> [u16; 4] {
    let levels = levels(bench);
    [&levels.temporary, &levels.activated, &levels.permanent, &levels.platform_ipl]
        .map(|image| image.level.level)
}

fn pass(bench: &mut Bench, seconds: u64) {
    bench.environment.advance(Duration::from_secs(seconds));
    bench.step();
}

/// Lets time pass until the answer is there.
fn finish(bench: &mut Bench, answer: &Answer) -> Result<SystemReply, CallError> {
    for _ in 0..100 {
        if let Ok(result) = answer.try_recv() {
            return result;
        }
        pass(bench, 60);
    }
    panic!("the update does not end");
}

fn refusal(result: Result<SystemReply, CallError>) -> Refusal {
    match result {
        Err(CallError::Refused(refusal)) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_concurrent_update_leaves_partitions_running() {
    let directory = directory("firmware-concurrent");
    let mut bench = Bench::open(&directory, 1);
    bench.create("lpar1").expect("created");
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let calls = bench.engine.calls.lock().expect("calls").len();
    let answer = bench.send(update(FirmwareOperation::Activate(package("01SV830_068", 48))));
    bench.step();
    pass(&mut bench, TRANSFER_SECONDS);
    // Delivered with one level on both sides, there is nothing to accept.
    assert_eq!(summary(&bench), [48, 48, 48, 48]);
    pass(&mut bench, INSTALL_SECONDS);
    assert_eq!(summary(&bench), [68, 48, 48, 48]);
    assert!(answer.try_recv().is_err());
    pass(&mut bench, ACTIVATE_SECONDS);
    assert_eq!(answer.try_recv().expect("answered"), Ok(SystemReply::Done));
    assert_eq!(summary(&bench), [68, 68, 48, 48]);
    assert_eq!(bench.engine.calls.lock().expect("calls").len(), calls, "no guest was touched");
    assert_eq!(bench.authority.world().system().hardware.firmware.to_string(), "01SV830_068");
    // The next update accepts what runs first.
    let answer = bench.send(update(FirmwareOperation::Activate(package("01SV830_075", 48))));
    bench.step();
    pass(&mut bench, TRANSFER_SECONDS);
    pass(&mut bench, ACCEPT_SECONDS);
    assert_eq!(summary(&bench), [68, 68, 68, 48]);
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    assert_eq!(summary(&bench), [75, 75, 68, 48]);
}

#[test]
fn an_upgrade_shuts_partitions_down_and_brings_the_system_back() {
    let directory = directory("firmware-upgrade");
    let mut bench = Bench::open(&directory, 2);
    bench.create("lpar1").expect("created");
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let answer = bench.send(update(FirmwareOperation::Upgrade(package("01SV840_056", 56))));
    bench.step();
    pass(&mut bench, TRANSFER_SECONDS);
    pass(&mut bench, INSTALL_SECONDS);
    assert_eq!(bench.authority.world().system().state, SystemState::PowerOffInProgress);
    assert!(matches!(bench.last_call(), Call::Stop(..)));
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    pass(&mut bench, 60);
    assert_eq!(bench.authority.world().system().state, SystemState::Initializing);
    assert_eq!(summary(&bench), [56, 56, 48, 56]);
    assert!(answer.try_recv().is_err(), "the system is not up yet");
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    assert_eq!(bench.authority.world().system().state, SystemState::Operating);
}

#[test]
fn an_update_of_a_system_that_is_off_leaves_it_off() {
    let directory = directory("firmware-off");
    let mut bench = Bench::open(&directory, 3);
    bench
        .call(SystemRequest::PowerSystem(SystemPower::Off { immediate: true, restart: false }))
        .expect("off");
    pass(&mut bench, 60);
    let answer = bench.send(update(FirmwareOperation::Upgrade(package("01SV840_056", 56))));
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    assert_eq!(bench.authority.world().system().state, SystemState::PowerOff);
    assert_eq!(summary(&bench), [56, 56, 48, 56]);
}

#[test]
fn an_installed_level_is_activated_by_the_next_start() {
    let directory = directory("firmware-install");
    let mut bench = Bench::open(&directory, 4);
    let answer = bench.send(update(FirmwareOperation::Install(package("01SV830_068", 48))));
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    assert_eq!(summary(&bench), [68, 48, 48, 48]);
    let accept = bench.send(update(FirmwareOperation::Accept));
    assert!(refusal(finish(&mut bench, &accept)).to_string().contains("is not activated"));
    bench.call(SystemRequest::PowerSystem(SystemPower::Off { immediate: true, restart: true })).expect("off");
    pass(&mut bench, 60);
    assert_eq!(summary(&bench), [68, 68, 48, 68]);
    pass(&mut bench, 300);
    // Back to what was accepted, concurrently.
    let answer = bench.send(update(FirmwareOperation::Remove));
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    assert_eq!(summary(&bench), [48, 48, 48, 68]);
}

#[test]
fn accepting_makes_the_running_level_the_way_back() {
    let directory = directory("firmware-accept");
    let mut bench = Bench::open(&directory, 5);
    let answer = bench.send(update(FirmwareOperation::Activate(package("01SV830_068", 48))));
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    let answer = bench.send(update(FirmwareOperation::Accept));
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    assert_eq!(summary(&bench), [68, 68, 68, 48]);
}

#[test]
fn one_update_at_a_time_and_no_power_change_meanwhile() {
    let directory = directory("firmware-locked");
    let mut bench = Bench::open(&directory, 6);
    let first = bench.send(update(FirmwareOperation::Activate(package("01SV830_068", 48))));
    let second = bench.send(update(FirmwareOperation::Activate(package("01SV830_075", 48))));
    bench.step();
    let refused = refusal(second.try_recv().expect("answered")).to_string();
    assert!(refused.contains("another operation is in progress on p814-1"), "{refused}");
    let off = SystemRequest::PowerSystem(SystemPower::Off { immediate: true, restart: false });
    assert!(bench.refused(off).contains("another operation is in progress"));
    assert_eq!(finish(&mut bench, &first), Ok(SystemReply::Done));
    assert_eq!(summary(&bench), [68, 68, 48, 48]);
}

#[test]
fn a_repeated_request_gets_the_answer_of_the_update_it_began() {
    let directory = directory("firmware-repeat");
    let mut bench = Bench::open(&directory, 7);
    let request = update(FirmwareOperation::Activate(package("01SV830_068", 48)));
    let first = bench.send_as(RequestId(77), request.clone());
    bench.step();
    let again = bench.send_as(RequestId(77), request.clone());
    bench.step();
    assert!(again.try_recv().is_err(), "it is under way");
    assert_eq!(finish(&mut bench, &first), Ok(SystemReply::Done));
    assert_eq!(again.try_recv().expect("answered too"), Ok(SystemReply::Done));
    let late = bench.send_as(RequestId(77), request.clone());
    bench.step();
    assert_eq!(late.try_recv().expect("answered at once"), Ok(SystemReply::Done));
    drop(bench);
    let mut bench = Bench::open(&directory, 8);
    let late = bench.send_as(RequestId(77), request);
    bench.step();
    assert_eq!(late.try_recv().expect("answered after a restart"), Ok(SystemReply::Done));
}

/// Runs an update and cuts the power `steps` steps of a minute after its begin; the levels after the restart.
fn cut(directory: &Path, operation: &FirmwareOperation, steps: u64) -> ([u16; 4], bool) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).expect("directory");
    let mut bench = Bench::open(directory, steps);
    let answer = bench.send_as(RequestId(5), update(operation.clone()));
    bench.step();
    for _ in 0..steps {
        pass(&mut bench, 60);
    }
    let acknowledged = matches!(answer.try_recv(), Ok(Ok(_)));
    // Dropped without any farewell: only what is on disk is left.
    drop(bench);
    let mut bench = Bench::open(directory, steps + 1);
    bench.step();
    let after = summary(&bench);
    let again = bench.send_as(RequestId(5), update(operation.clone()));
    bench.step();
    match again.try_recv().expect("nothing is under way after a restart") {
        Ok(_) => assert_ne!(after[0], 48, "done"),
        Err(_) => assert!(!acknowledged, "an acknowledged update is done"),
    }
    let repeated = summary(&bench);
    assert_eq!(after, repeated);
    // The next start changes nothing any more.
    drop(bench);
    assert_eq!(summary(&Bench::open(directory, steps + 2)), after);
    (after, acknowledged)
}

#[test]
fn a_loss_of_power_at_any_minute_leaves_the_old_level_or_the_new_one() {
    for (name, operation, minutes) in [
        ("cut-a", FirmwareOperation::Activate(package("01SV830_068", 48)), 35),
        ("cut-i", FirmwareOperation::Install(package("01SV830_068", 48)), 25),
        ("cut-u", FirmwareOperation::Upgrade(package("01SV840_068", 48)), 35),
    ] {
        let directory = directory(name);
        let mut seen = std::collections::BTreeSet::new();
        for steps in 0..minutes {
            let (after, acknowledged) = cut(&directory, &operation, steps);
            // A start activates what is installed.
            assert!([[48; 4], [68, 68, 48, 68]].contains(&after), "{name} after {steps} minutes: {after:?}");
            assert!(!acknowledged || after[0] == 68, "{name}: acknowledged and lost");
            seen.insert(after);
        }
        assert_eq!(seen.len(), 2, "{name} was cut before and after its point of no return");
    }
}

#[test]
fn capabilities_follow_the_level_in_force() {
    let directory = directory("firmware-capability");
    let mut bench = Bench::open_at(&directory, 9, "01SV810_101");
    let flag = "powervm_lpar_simplified_remote_restart_capable";
    let capable = |bench: &Bench| bench.authority.world().system().hardware.capable(flag);
    assert!(!capable(&bench));
    let answer = bench.send(update(FirmwareOperation::Upgrade(package("01SV830_048", 48))));
    assert_eq!(finish(&mut bench, &answer), Ok(SystemReply::Done));
    assert!(capable(&bench));
    drop(bench);
    assert!(capable(&Bench::open_at(&directory, 10, "01SV810_101")), "the machine keeps its own record");
}
