//! Profile data and system profiles of a managed system: durable, all or nothing.

#![allow(missing_docs)]

mod support;

use support::{Bench, change, directory, named};
use varan_contract::system::*;
use varan_model::profile_data::{ProfileData, RestoreKind};
use varan_model::record::parse_record;

fn data(bench: &mut Bench) -> Box<ProfileData> {
    match bench.call(SystemRequest::ReadProfileData) {
        Ok(SystemReply::ProfileData(data)) => data,
        other => panic!("{other:?}"),
    }
}

fn restore(kind: RestoreKind, data: &ProfileData) -> SystemRequest {
    SystemRequest::RestoreProfileData { kind, data: Some(Box::new(data.clone())) }
}

const INITIALIZE: SystemRequest =
    SystemRequest::RestoreProfileData { kind: RestoreKind::Initialize, data: None };

fn names(bench: &Bench) -> Vec<String> {
    bench.authority.world().snapshot.partitions.iter().map(|(_, one)| one.partition.name.clone()).collect()
}

fn system_profile(text: &str) -> SystemRequest {
    SystemRequest::CreateSystemProfile { record: parse_record(text).expect("record") }
}

#[test]
fn what_was_removed_comes_back_in_one_transaction_and_stays() {
    let directory = directory("profile-data");
    let mut bench = Bench::open(&directory, 1);
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
    }
    bench.call(system_profile("name=night,lpar_names=lpar2,profile_names=default_profile")).expect("made");
    let backup = data(&mut bench);
    assert_eq!(backup.partitions.len(), 2);
    let before = bench.authority.counters().transactions;
    bench.call(INITIALIZE).expect("initialized");
    assert_eq!(bench.authority.counters().transactions, before + 1);
    assert!(names(&bench).is_empty() && bench.authority.world().system().settings.system_profiles.is_empty());
    bench.create("lpar1").expect("another with a name and a number of the backup");
    let refused = bench.refused(restore(
        RestoreKind::Full,
        &ProfileData { identity: "8286-41A*9999999".parse().expect("identity"), ..(*backup).clone() },
    ));
    assert!(refused.starts_with("HSCL05A4"), "{refused}");
    let before = bench.authority.counters().transactions;
    bench.call(restore(RestoreKind::BackupPriority, &backup)).expect("restored");
    assert_eq!(bench.authority.counters().transactions, before + 1);
    bench.authority.world().check_invariants();
    let after = data(&mut bench);
    drop(bench);
    let mut bench = Bench::open(&directory, 2);
    assert_eq!(data(&mut bench), after, "durable");
    assert_eq!(names(&bench), ["lpar1", "lpar2"]);
    assert_eq!(after.system_profiles, backup.system_profiles);
    for (old, new) in backup.partitions.iter().zip(&after.partitions) {
        assert_eq!((&old.uuid, &old.profiles), (&new.uuid, &new.profiles));
        assert_eq!(new.current, None);
    }
}

#[test]
fn a_partition_that_is_on_is_never_taken_away() {
    let mut bench = Bench::open(&directory("profile-data-on"), 1);
    bench.create("lpar1").expect("created");
    let backup = data(&mut bench);
    bench.create("lpar2").expect("created");
    for name in ["lpar1", "lpar2"] {
        bench.power_on(name);
        bench.boot(name);
    }
    bench.call(change("lpar1", "new_name=renamed")).expect("renamed");
    let before = bench.authority.world().snapshot.clone();
    for request in [INITIALIZE, restore(RestoreKind::Full, &backup)] {
        assert!(bench.refused(request).contains("HSCL05EA"));
    }
    let after = bench.authority.world().snapshot.clone();
    let all = |snapshot: &varan_system::world::Snapshot| {
        snapshot.partitions.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>()
    };
    assert_eq!(all(&before), all(&after), "nothing changed");
    // What runs keeps what it runs with, and gets its name and profiles back.
    let running = bench.entry("renamed").partition.current.clone();
    bench.call(restore(RestoreKind::BackupPriority, &backup)).expect("restored");
    assert_eq!(names(&bench), ["lpar1", "lpar2"]);
    assert!(running.is_some());
    assert_eq!(bench.entry("lpar1").partition.current, running);
    bench.authority.world().check_invariants();
}

#[test]
fn addresses_of_a_backup_need_claims_like_any_other() {
    let mut bench = Bench::open(&directory("profile-data-claims"), 1);
    let record =
        format!("name=lpar1,{}", support::SMALL).replace("ETHERNET0//all", "ETHERNET0/0a0102030405/all");
    bench
        .call(SystemRequest::CreatePartition { record: parse_record(&record).expect("record") })
        .expect("created");
    let backup = data(&mut bench);
    bench.call(INITIALIZE).expect("initialized");
    let reply = bench.call_once(restore(RestoreKind::Full, &backup));
    assert!(matches!(reply, Ok(SystemReply::ClaimNeeded { names, .. }) if names.len() == 1));
    bench.call(restore(RestoreKind::Full, &backup)).expect("restored");
    assert_eq!(names(&bench), ["lpar1"]);
}

#[test]
fn system_profiles_follow_their_members() {
    let mut bench = Bench::open(&directory("system-profiles"), 1);
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
    }
    let text = "name=both,\"lpar_names=lpar1,lpar2\",\"profile_names=default_profile,default_profile\"";
    bench.call(system_profile(text)).expect("made");
    bench.call(SystemRequest::TestSystemProfile { name: "both".to_owned() }).expect("can be activated");
    let rename = SystemRequest::ChangeProfile {
        partition: named("lpar1"),
        profile: "default_profile".to_owned(),
        record: parse_record("new_name=other").expect("record"),
    };
    bench.call(rename).expect("renamed");
    let members = |bench: &Bench| {
        let profiles = &bench.authority.world().system().settings.system_profiles;
        profiles.iter().flat_map(|one| &one.members).map(|one| one.profile.clone()).collect::<Vec<_>>()
    };
    assert_eq!(members(&bench), ["other", "default_profile"]);
    bench
        .call(SystemRequest::RemovePartition { partition: named("lpar1"), server_adapters: false })
        .expect("removed");
    assert_eq!(members(&bench), ["default_profile"]);
    bench.power_on("lpar2");
    let refused = bench.refused(SystemRequest::TestSystemProfile { name: "both".to_owned() });
    assert!(refused.starts_with("An error occurred while changing the state of the partition named lpar2."));
    assert!(
        bench.refused(SystemRequest::RemoveSystemProfile { name: "none".to_owned() }).starts_with("HSCL05A0")
    );
    bench.call(SystemRequest::RemoveSystemProfile { name: "both".to_owned() }).expect("removed");
    assert!(members(&bench).is_empty());
}

#[test]
fn recreated_profiles_are_what_partitions_have_now() {
    let mut bench = Bench::open(&directory("profile-data-recreated"), 1);
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
    }
    bench.call(system_profile("name=night,lpar_names=lpar2,profile_names=default_profile")).expect("made");
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let saved =
        SystemRequest::SaveProfile { partition: named("lpar1"), profile: "saved".to_owned(), force: false };
    bench.call(saved).expect("saved");
    let changed = SystemRequest::ChangeProfile {
        partition: named("lpar1"),
        profile: "default_profile".to_owned(),
        record: parse_record("desired_mem=512").expect("record"),
    };
    bench.call(changed).expect("changed");
    let running = bench.entry("lpar1").partition.current.clone().expect("current");
    let before = bench.authority.counters().transactions;
    bench.call(SystemRequest::RecreateProfileData).expect("recreated");
    assert_eq!(bench.authority.counters().transactions, before + 1);
    let after = bench.entry("lpar1").partition.clone();
    assert_eq!(after.profiles.len(), 1, "{:?}", after.profiles);
    assert_eq!(after.profiles[0].configuration.desired_memory, running.desired_memory);
    assert_eq!((after.default_profile.as_str(), &after.current), ("default_profile", &Some(running)));
    assert_eq!(
        bench.entry("lpar2").partition.profiles.len(),
        1,
        "what was never activated keeps its profile"
    );
    assert!(bench.authority.world().system().settings.system_profiles.is_empty());
    bench.authority.world().check_invariants();
}

#[test]
fn a_system_profile_starts_its_members_with_the_system() {
    let mut bench = Bench::open(&directory("system-profile-power-on"), 1);
    for name in ["lpar1", "lpar2"] {
        bench.create(name).expect("created");
    }
    bench.call(change("lpar1", "auto_start=1")).expect("changed");
    bench.call(system_profile("name=night,lpar_names=lpar2,profile_names=default_profile")).expect("made");
    let on = |profile: &str| SystemRequest::PowerOnWithProfile { profile: profile.to_owned() };
    assert!(bench.refused(on("night")).contains("Power Off"), "it is on");
    let off = SystemRequest::PowerSystem(SystemPower::Off { immediate: true, restart: false });
    let wait = |bench: &mut Bench, seconds| {
        bench.environment.advance(std::time::Duration::from_secs(seconds));
        bench.step();
    };
    let states = |bench: &Bench| {
        ["lpar1", "lpar2"].map(|name| {
            bench.entry(name).runtime.state != varan_model::partition::PartitionState::NotActivated
        })
    };
    bench.call(off.clone()).expect("off");
    wait(&mut bench, 61);
    assert!(bench.refused(on("nosuch")).starts_with("HSCL05A0"));
    bench.call(on("night")).expect("accepted");
    wait(&mut bench, 301);
    assert_eq!(states(&bench), [false, true], "in place of what starts automatically");
    assert_eq!(bench.entry("lpar2").partition.current_profile, "default_profile");
    // Only once: the next start is that of the policy.
    bench.call(off).expect("off");
    wait(&mut bench, 61);
    bench.call(SystemRequest::PowerSystem(SystemPower::On)).expect("accepted");
    wait(&mut bench, 301);
    assert_eq!(states(&bench), [true, false], "the policy's");
    bench.authority.world().check_invariants();
}
