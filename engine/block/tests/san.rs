//! The storage array: who sees what, who has what reserved, who may write, and what a loss of power leaves of it.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use varan_block_engine::{
    LeaseDatabase, LogicalUnitNumber, MemoryDevice, Reservation, ReservePolicy, San, SanDevice, SanError,
    SanPath,
};
use varan_contract::block::{
    BlockDevice, BlockError, Epoch, LeaseStore, Nexus, OwnershipChange, OwnershipOutcome, PathGeneration,
    Udid,
};
use varan_model::ids::{PartitionUuid, SystemUuid, WorldWidePortName};
use varan_power_loss::Volume;

static NUMBER: AtomicU32 = AtomicU32::new(0);

fn directory() -> PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("san-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    directory
}

const ONE: WorldWidePortName = WorldWidePortName(0x1000_0000_0000_0001);
const TWO: WorldWidePortName = WorldWidePortName(0x1000_0000_0000_0002);
const TARGET: WorldWidePortName = WorldWidePortName(0x5000_0000_0000_0001);
const CLIENT: PartitionUuid = PartitionUuid(5);
const FRAMES: [SystemUuid; 2] = [SystemUuid(1), SystemUuid(2)];

fn udid() -> Udid {
    "disk1".parse().expect("valid")
}

/// An array with a unit of 64 KiB that both initiators see.
fn array(directory: &Path) -> San {
    let san = San::new(LeaseDatabase::open(&directory.join("leases.db")).expect("opened"));
    san.add_unit(udid(), Arc::new(MemoryDevice::new(64 << 10))).expect("added");
    for initiator in [ONE, TWO] {
        san.set_zone(initiator, TARGET, true);
        san.set_mask(initiator, TARGET, LogicalUnitNumber(3), Some(udid())).expect("masked");
    }
    san
}

fn nexus(epoch: u64, path: &str, generation: u64) -> Nexus {
    Nexus {
        client: CLIENT,
        epoch: Epoch(epoch),
        path: path.parse().expect("valid"),
        generation: PathGeneration(generation),
    }
}

fn open(san: &San, initiator: WorldWidePortName, policy: ReservePolicy) -> Result<SanDevice, SanError> {
    let path = SanPath { unit: udid(), initiator, target: TARGET };
    san.open(&path, nexus(0, "vios1", 0), policy)
}

fn error(result: Result<SanDevice, SanError>) -> Option<SanError> {
    result.err()
}

#[test]
fn an_initiator_sees_what_zoning_and_masking_let_it_see() {
    let san = array(&directory());
    assert_eq!(san.login(ONE), [TARGET]);
    assert!(san.is_logged_in(ONE) && !san.is_logged_in(TWO));
    assert_eq!(san.report_luns(ONE, TARGET), [(LogicalUnitNumber(3), udid())]);
    let device = open(&san, ONE, ReservePolicy::NoReserve).expect("seen");
    san.set_mask(ONE, TARGET, LogicalUnitNumber(3), None).expect("unmasked");
    assert_eq!(device.write_at(0, &[1; 512], false), Err(BlockError::Gone));
    assert_eq!(san.report_luns(ONE, TARGET), []);
    assert_eq!(error(open(&san, ONE, ReservePolicy::NoReserve)), Some(SanError::NotVisible));
    san.set_mask(ONE, TARGET, LogicalUnitNumber(0), Some(udid())).expect("masked");
    assert_eq!(device.write_at(0, &[1; 512], false), Ok(()));
    // At two numbers, and another unit in the place of one.
    let other = "disk0".parse::<Udid>().expect("valid");
    san.add_unit(other.clone(), Arc::new(MemoryDevice::new(512))).expect("added");
    san.set_mask(ONE, TARGET, LogicalUnitNumber(9), Some(udid())).expect("masked");
    san.set_mask(ONE, TARGET, LogicalUnitNumber(0), Some(other.clone())).expect("masked");
    let seen = [(LogicalUnitNumber(0), other.clone()), (LogicalUnitNumber(9), udid())];
    assert_eq!(san.report_luns(ONE, TARGET), seen);
    assert_eq!(device.write_at(0, &[1; 512], false), Ok(()), "still at the other number");
    san.set_mask(ONE, TARGET, LogicalUnitNumber(9), Some(other)).expect("masked");
    assert_eq!(device.write_at(0, &[1; 512], false), Err(BlockError::Gone));
    san.set_mask(ONE, TARGET, LogicalUnitNumber(9), Some(udid())).expect("masked");
    assert_eq!(device.write_at(0, &[1; 512], false), Ok(()));
    san.set_zone(ONE, TARGET, false);
    assert_eq!(device.read_at(0, 512).err(), Some(BlockError::Gone));
    assert_eq!(san.login(ONE), []);
    assert!(open(&san, TWO, ReservePolicy::NoReserve).is_ok(), "the other's zone is its own");
    let nobody = "disk9".parse::<Udid>().expect("valid");
    assert_eq!(
        san.set_mask(ONE, TARGET, LogicalUnitNumber(1), Some(nobody.clone())),
        Err(SanError::UnknownUnit)
    );
    assert_eq!(san.set_present(&nobody, true), Err(SanError::UnknownUnit));
    assert_eq!(san.add_unit(udid(), Arc::new(MemoryDevice::new(512))), Err(SanError::UnitExists));
}

#[test]
fn a_unit_that_vanishes_fails_and_comes_back_with_its_bytes() {
    let san = array(&directory());
    let device = open(&san, ONE, ReservePolicy::NoReserve).expect("seen");
    device.write_at(512, &[7; 512], true).expect("written");
    san.set_present(&udid(), false).expect("known");
    assert_eq!(device.read_at(512, 512).err(), Some(BlockError::Gone));
    assert_eq!(san.report_luns(ONE, TARGET), []);
    assert_eq!(error(open(&san, TWO, ReservePolicy::NoReserve)), Some(SanError::Refused(BlockError::Gone)));
    san.set_present(&udid(), true).expect("known");
    assert_eq!(*device.read_at(512, 512).expect("read"), [7; 512]);
    san.set_target_port(TARGET, false);
    assert_eq!(device.flush(), Err(BlockError::Gone));
    assert_eq!((san.login(ONE), san.report_luns(ONE, TARGET)), (vec![], vec![]));
    san.set_target_port(TARGET, true);
    assert_eq!(device.flush(), Ok(()));
    san.remove_unit(&udid()).expect("known");
    assert_eq!(device.flush(), Err(BlockError::Gone));
}

#[test]
fn a_single_path_reservation_keeps_others_out_until_it_is_given_back() {
    use ReservePolicy::{NoReserve, SinglePath};
    let conflict = || Some(SanError::Refused(BlockError::ReservationConflict));
    let san = array(&directory());
    let without = open(&san, TWO, NoReserve).expect("free");
    let first = open(&san, ONE, SinglePath).expect("free");
    assert_eq!(san.reservation(&udid()), Ok(Reservation::SinglePath(ONE)));
    assert_eq!(without.read_at(0, 512).err(), Some(BlockError::ReservationConflict));
    for policy in [NoReserve, SinglePath] {
        assert_eq!(error(open(&san, TWO, policy)), conflict());
    }
    let second = open(&san, ONE, SinglePath).expect("the same port");
    drop(first);
    assert_eq!(error(open(&san, TWO, SinglePath)), conflict(), "still open once");
    drop(second);
    assert_eq!(san.reservation(&udid()), Ok(Reservation::None));
    assert_eq!(without.write_at(0, &[1; 512], false), Ok(()));
    let held = open(&san, TWO, SinglePath).expect("free again");
    san.clear_reservation(&udid()).expect("known");
    assert!(open(&san, ONE, SinglePath).is_ok());
    drop(held);
}

#[test]
fn persistent_reservations_are_by_key() {
    use ReservePolicy::{NoReserve, PersistentExclusive, PersistentShared};
    let san = array(&directory());
    let first = open(&san, ONE, PersistentExclusive(1)).expect("free");
    let again = open(&san, TWO, PersistentExclusive(1)).expect("the same key on another path");
    assert!(open(&san, TWO, PersistentExclusive(2)).is_err());
    assert!(open(&san, TWO, NoReserve).is_err());
    drop((first, again));
    let first = open(&san, ONE, PersistentShared(1)).expect("free");
    let second = open(&san, TWO, PersistentShared(2)).expect("shared");
    let reader = open(&san, TWO, NoReserve).expect("may read");
    assert!(first.write_at(0, &[1; 512], false).is_ok() && second.write_at(0, &[1; 512], false).is_ok());
    assert!(reader.read_at(0, 512).is_ok());
    assert_eq!(reader.write_at(0, &[1; 512], false), Err(BlockError::ReservationConflict));
    drop(first);
    assert_eq!(san.reservation(&udid()), Ok(Reservation::PersistentShared([2].into())));
    drop(second);
    assert_eq!(reader.write_at(0, &[1; 512], false), Ok(()));
}

fn change(expected: Option<u64>, frame: Option<SystemUuid>) -> OwnershipChange {
    OwnershipChange { partition: CLIENT, expected: expected.map(Epoch), frame }
}

fn changed(san: &San, change: OwnershipChange) -> OwnershipOutcome {
    san.change_ownership(&[change]).expect("recorded")[0]
}

#[test]
fn ownership_changes_by_compare_and_swap_and_ends_the_former_epoch() {
    let directory = directory();
    let san = array(&directory);
    let path = SanPath { unit: udid(), initiator: ONE, target: TARGET };
    let open = |san: &San, epoch| san.open(&path, nexus(epoch, "vios1", 0), ReservePolicy::NoReserve);
    let OwnershipOutcome::Changed(Some(record)) = changed(&san, change(None, Some(FRAMES[0]))) else {
        panic!("there was none");
    };
    assert_eq!((record.frame, record.epoch), (FRAMES[0], Epoch(1)));
    let first = open(&san, 1).expect("in force");
    for expected in [None, Some(2)] {
        let outcome = changed(&san, change(expected, Some(FRAMES[1])));
        assert_eq!(outcome, OwnershipOutcome::Unexpected(Some(record)));
    }
    assert_eq!(first.write_at(0, &[1; 512], false), Ok(()));
    assert!(matches!(changed(&san, change(Some(1), Some(FRAMES[1]))), OwnershipOutcome::Changed(Some(_))));
    assert_eq!(first.write_at(0, &[2; 512], false), Err(BlockError::Revoked));
    assert_eq!(error(open(&san, 1)), Some(SanError::Refused(BlockError::Revoked)));
    let second = open(&san, 2).expect("in force");
    assert_eq!(changed(&san, change(Some(2), None)), OwnershipOutcome::Changed(None));
    assert_eq!(second.read_at(0, 512).err(), Some(BlockError::Revoked));
    assert_eq!(error(open(&san, 0)), Some(SanError::Refused(BlockError::Revoked)), "removed is not never");
    drop((first, second, san));
    let san = array(&directory);
    assert_eq!(san.ownership(CLIENT), Ok(None));
    assert!(open(&san, 2).is_err() && open(&san, 3).is_err());
    let OwnershipOutcome::Changed(Some(record)) = changed(&san, change(None, Some(FRAMES[0]))) else {
        panic!("there was none");
    };
    assert_eq!(record.epoch, Epoch(4), "no epoch is used twice");
}

#[test]
fn a_revoked_path_stays_revoked_after_a_restart() {
    let directory = directory();
    let path = SanPath { unit: udid(), initiator: ONE, target: TARGET };
    let open =
        |san: &San, name, generation| san.open(&path, nexus(0, name, generation), ReservePolicy::NoReserve);
    let san = array(&directory);
    let old = open(&san, "vios1", 1).expect("in force");
    let name = "vios1".parse().expect("valid");
    san.revoke_path(&udid(), CLIENT, &name, PathGeneration(2)).expect("recorded");
    san.revoke_path(&udid(), CLIENT, &name, PathGeneration(1)).expect("changes nothing");
    assert_eq!(old.write_at(0, &[1; 512], false), Err(BlockError::Revoked));
    drop((old, san));
    let san = array(&directory);
    assert_eq!(san.minimum_generation(&udid(), CLIENT, &name), Ok(PathGeneration(2)));
    assert_eq!(error(open(&san, "vios1", 1)), Some(SanError::Refused(BlockError::Revoked)));
    assert!(open(&san, "vios1", 2).is_ok() && open(&san, "vios2", 0).is_ok());
}

#[test]
fn a_restarted_store_makes_every_lease_look_renewed() {
    let directory = directory();
    let duration = Duration::from_secs(30);
    let san = array(&directory);
    let first = san.renew_frame_lease(FRAMES[0], duration).expect("renewed");
    let second = san.renew_frame_lease(FRAMES[0], duration).expect("renewed");
    assert!(second.renewals > first.renewals);
    assert_eq!(san.frame_lease(FRAMES[0]), Ok(Some(second)));
    assert_eq!(san.frame_lease(FRAMES[1]), Ok(None));
    drop(san);
    let san = array(&directory);
    let after = san.frame_lease(FRAMES[0]).expect("read").expect("known");
    assert!(after.renewals > second.renewals && after.duration == duration);
    assert!(san.renew_frame_lease(FRAMES[0], duration).expect("renewed").renewals > after.renewals);
}

#[test]
fn changes_that_wait_share_a_transaction_and_only_one_of_rivals_wins() {
    let san = array(&directory());
    let winners: Vec<usize> = (1..=20_u64)
        .map(|round| {
            let expected = (round > 1).then(|| round - 1);
            std::thread::scope(|scope| {
                let rivals: Vec<_> = (0..8)
                    .map(|rival| {
                        scope.spawn({
                            let san = &san;
                            move || changed(san, change(expected, Some(SystemUuid(rival))))
                        })
                    })
                    .collect();
                let outcomes = rivals.into_iter().map(|rival| rival.join().expect("ended"));
                outcomes.filter(|outcome| matches!(outcome, OwnershipOutcome::Changed(_))).count()
            })
        })
        .collect();
    assert_eq!(winners, [1; 20]);
}

/// The lease store loses its power after any number of operations: what was acknowledged is there.
#[test]
fn what_the_lease_store_acknowledged_survives_a_loss_of_power() {
    for seed in 0..60 {
        let directory = directory();
        let volume = Volume::new(&directory, seed);
        volume.cut_power_after(seed % 83 + 20);
        let file = directory.join("leases.db");
        let (mut epoch, mut minimum) = (0, 0);
        let name = "vios1".parse().expect("valid");
        if let Ok(leases) = LeaseDatabase::open(&file) {
            let san = San::new(leases);
            for round in 1..200 {
                let expected = (epoch > 0).then_some(epoch);
                let Ok(outcomes) = san.change_ownership(&[change(expected, Some(FRAMES[0]))]) else { break };
                assert!(matches!(outcomes[0], OwnershipOutcome::Changed(Some(_))), "seed {seed}");
                epoch += 1;
                if san.revoke_path(&udid(), CLIENT, &name, PathGeneration(round)).is_err() {
                    break;
                }
                minimum = round;
            }
        }
        assert!(!volume.is_powered(), "seed {seed}: the power went");
        volume.restore_power();
        let san = San::new(LeaseDatabase::open(&file).expect("opens again"));
        let found = san.ownership(CLIENT).expect("read").map_or(0, |record| record.epoch.0);
        assert!(found == epoch || found == epoch + 1, "seed {seed}: {found} after {epoch}");
        let found = san.minimum_generation(&udid(), CLIENT, &name).expect("read").0;
        assert!(found == minimum || found == minimum + 1, "seed {seed}: {found} after {minimum}");
        drop(san);
    }
}
