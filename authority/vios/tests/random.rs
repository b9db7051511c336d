//! Random changes with restarts in between: the same state after each reopening, and what must always hold.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;

use support::{GIB, Server, TestArray, name};
use varan_contract::vios::{
    BackingRequest, BackingSelector, DeviceQuery, DeviceSelector, LogicalVolumeSize, MappingQuery,
    MediumSource, Removal, Select, ViosAnswer, ViosCallError, ViosChange, ViosLink, ViosQuery,
};
use varan_model::vios::{Backing, MediaAccess, PathState, ViosMessage};

fn pick<'a>(random: &mut fastrand::Rng, words: &[&'a str]) -> &'a str {
    words[random.usize(..words.len())]
}

fn device(random: &mut fastrand::Rng) -> DeviceSelector {
    let words = [
        "hdisk0", "hdisk1", "hdisk2", "hdisk3", "hdisk4", "vhost0", "vhost1", "vfchost0", "fcs0", "fscsi1",
        "vtscsi0", "vtscsi1", "vtscsi2", "vtopt0", "vtopt1", "lv00", "lv01", "sys0", "nothing", "en0",
    ];
    name(pick(random, &words))
}

fn target(random: &mut fastrand::Rng) -> Option<String> {
    random.bool().then(|| pick(random, &["t1", "t2", "a_very_long_name", "0bad", "hdisk1"]).to_owned())
}

fn change(random: &mut fastrand::Rng) -> ViosChange {
    let vhost = |random: &mut fastrand::Rng| name(pick(random, &["vhost0", "vhost1", "vhost2", "fcs0"]));
    let disk =
        |random: &mut fastrand::Rng| pick(random, &["hdisk1", "hdisk2", "hdisk3", "hdisk9"]).to_owned();
    let group = |random: &mut fastrand::Rng| pick(random, &["rootvg", "vg00", "data", "none"]).to_owned();
    let volume =
        |random: &mut fastrand::Rng| pick(random, &["lv00", "lv01", "mine", "hd6", "none"]).to_owned();
    let pool = |random: &mut fastrand::Rng| pick(random, &["rootvg", "files", "data", "none"]).to_owned();
    let medium = |random: &mut fastrand::Rng| pick(random, &["m1", "m2", "m3"]).to_owned();
    let drive = |random: &mut fastrand::Rng| pick(random, &["vtopt0", "vtopt1", "vtscsi0"]).to_owned();
    let force = random.bool();
    match random.u8(0..30) {
        0 | 1 => ViosChange::MapDevice {
            backing: device(random),
            adapter: vhost(random),
            target: target(random),
            force,
            mirrored: random.bool(),
        },
        2 => ViosChange::MapOptical { adapter: vhost(random), target: target(random) },
        3 => ViosChange::RemoveMapping {
            device: device(random),
            by_backing: random.bool(),
            force,
            remove_logical_volume: random.bool(),
        },
        4 => ViosChange::RemoveDevice {
            device: device(random),
            removal: Removal {
                recursive: random.bool(),
                keep_definition: random.bool(),
                children_only: random.u8(0..6) == 0,
                force,
            },
        },
        5 => ViosChange::ConfigureDevices(None),
        6 => ViosChange::MakeAvailable(device(random)),
        7 => ViosChange::ChangeDevice {
            device: device(random),
            attributes: vec![(
                pick(random, &["reserve_policy", "pv", "queue_depth", "map_port", "none"]).to_owned(),
                pick(random, &["no_reserve", "single_path", "yes", "clear", "16", "fcs1"]).to_owned(),
            )],
            permanent_only: random.bool(),
        },
        8 => ViosChange::MapFibreChannel {
            adapter: name(pick(random, &["vfchost0", "vfchost1", "vhost0"])),
            port: random.bool().then(|| pick(random, &["fcs0", "fcs1", "ent0"]).to_owned()),
        },
        9 => ViosChange::ChangePath {
            disk: name(&disk(random)),
            parent: random.bool().then(|| pick(random, &["fscsi0", "fscsi1"]).to_owned()),
            connection: None,
            state: if random.bool() { PathState::Enabled } else { PathState::Disabled },
        },
        10 | 11 => ViosChange::CreateVolumeGroup {
            name: random.bool().then(|| "data".to_owned()),
            disks: vec![disk(random)],
            force,
        },
        12 => ViosChange::ExtendVolumeGroup { name: group(random), disks: vec![disk(random)], force },
        13 => ViosChange::ReduceVolumeGroup { name: group(random), disks: vec![disk(random)], force },
        14 | 15 => ViosChange::CreateLogicalVolume {
            volume_group: group(random),
            name: random.bool().then(|| "mine".to_owned()),
            kind: String::new(),
            size: LogicalVolumeSize::Megabytes(random.u64(0..900)),
            disks: Vec::new(),
        },
        16 => ViosChange::ExtendLogicalVolume {
            name: volume(random),
            size: LogicalVolumeSize::Partitions(random.u32(0..3)),
            disks: Vec::new(),
        },
        17 => ViosChange::RemoveLogicalVolumes(vec![volume(random)]),
        18 => ViosChange::CreateFilePool { name: "files".into(), parent: Some(pool(random)), megabytes: 512 },
        19 => ViosChange::GrowFilePool { name: pool(random), megabytes: 256 },
        20 => match random.u8(0..3) {
            0 => ViosChange::DefaultPool(pool(random)),
            1 => ViosChange::RemovePool { name: pool(random), force },
            _ => ViosChange::GrowBackingDevice {
                pool: Some(pool(random)),
                name: pick(random, &["b1", "b2", "mine"]).to_owned(),
                megabytes: 64,
            },
        },
        21 | 22 => ViosChange::CreateBackingDevice(BackingRequest {
            pool: random.bool().then(|| pool(random)),
            name: random.bool().then(|| pick(random, &["b1", "b2"]).to_owned()),
            megabytes: random.bool().then_some(128),
            adapter: random.bool().then(|| vhost(random)),
            target: target(random),
        }),
        23 => ViosChange::RemoveBackingDevice {
            pool: Some(pool(random)),
            device: BackingSelector::Name(pick(random, &["b1", "b2", "mine"]).to_owned()),
            keep: random.bool(),
        },
        24 => match random.u8(0..4) {
            0 => ViosChange::RemoveRepository { force },
            1 => ViosChange::GrowRepository(128),
            _ => ViosChange::CreateRepository { pool: None, megabytes: 100 },
        },
        25 => ViosChange::CreateMedium {
            name: medium(random),
            source: MediumSource::Blank(random.u64(0..60)),
            access: if random.bool() { MediaAccess::ReadOnly } else { MediaAccess::ReadWrite },
        },
        26 => ViosChange::ChangeMedium {
            name: medium(random),
            access: Some(MediaAccess::ReadOnly),
            new_name: random.bool().then(|| medium(random)),
        },
        27 => ViosChange::RemoveMedium { name: medium(random), force },
        28 => ViosChange::Load { medium: medium(random), drive: drive(random), force, release: false },
        _ => ViosChange::Unload { drive: drive(random), release: force },
    }
}

/// Of [`state`], the first line that only a change changes: volume groups, pools, media.
const FIRST_RECORDED: usize = 5;

/// Everything that must be the same after a restart, as text.
fn state(server: &Server) -> Vec<String> {
    let query = || MappingQuery { adapters: Select::All, client: None, kinds: Vec::new() };
    let questions = [
        ViosQuery::Devices(DeviceQuery::All),
        ViosQuery::ScsiMappings(query()),
        ViosQuery::FibreChannelMappings(query()),
        ViosQuery::PhysicalVolumes(Select::All),
        ViosQuery::Paths(Select::All),
        ViosQuery::VolumeGroups(None),
        ViosQuery::StoragePools(None),
        ViosQuery::Repository,
    ];
    let mut lines: Vec<String> =
        questions.into_iter().map(|question| format!("{:?}", server.get().ask(question))).collect();
    for group in groups(server) {
        lines.push(format!("{:?}", server.ask(ViosQuery::LogicalVolumes(group.name.clone()))));
        lines.push(format!("{:?}", server.ask(ViosQuery::BackingDevices(Some(group.name)))));
    }
    lines
}

fn groups(server: &Server) -> Vec<varan_model::vios::VolumeGroup> {
    match server.ask(ViosQuery::VolumeGroups(None)) {
        ViosAnswer::VolumeGroups(groups) => groups,
        other => panic!("{other:?}"),
    }
}

/// What holds whatever was done.
fn check(server: &Server, context: &str) {
    for group in groups(server) {
        let ViosAnswer::LogicalVolumes(volumes) = server.ask(ViosQuery::LogicalVolumes(group.name.clone()))
        else {
            panic!("{context}")
        };
        for disk in &group.disks {
            let mut taken = BTreeSet::new();
            for extent in
                volumes.iter().flat_map(|volume| &volume.extents).filter(|extent| extent.disk == disk.pvid)
            {
                for partition in extent.first..extent.first + extent.count {
                    assert!(taken.insert(partition), "{context}: partition {partition} is used twice");
                }
            }
            let used = u32::try_from(taken.len()).expect("small");
            assert_eq!(used + disk.free, disk.total, "{context}: {}", disk.name);
        }
    }
    let query = MappingQuery { adapters: Select::All, client: None, kinds: Vec::new() };
    let ViosAnswer::ScsiMappings(mappings) = server.ask(ViosQuery::ScsiMappings(query)) else {
        panic!("{context}")
    };
    let mut files = BTreeSet::new();
    for mapping in &mappings {
        let luns: BTreeSet<u64> = mapping.targets.iter().map(|target| target.lun).collect();
        assert_eq!(luns.len(), mapping.targets.len(), "{context}: {}", mapping.adapter);
        for target in &mapping.targets {
            if let Backing::File { .. } | Backing::Medium(Some(_)) = &target.backing {
                files.insert(target.backing.to_string());
            }
        }
    }
    let root = server.get().root_directory();
    for file in files {
        assert!(root.join(&file[1..]).is_file(), "{context}: {file} is mapped and not there");
    }
    let mut there: Vec<String> = std::fs::read_dir(root.join("var/vio/VMLibrary"))
        .expect("directory")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
        .collect();
    there.sort();
    let known: Vec<String> = match server.get().ask(ViosQuery::Repository) {
        Ok(ViosAnswer::Repository(repository)) => {
            repository.media.into_iter().map(|medium| medium.name).collect()
        }
        _ => Vec::new(),
    };
    assert_eq!(there, known, "{context}: media and their files");
}

#[test]
fn the_state_is_the_same_after_every_reopening() {
    let mut accepted = 0;
    for seed in 1..=6_u64 {
        let array = TestArray::new(4, 4 * GIB);
        let mut server = Server::running(1, &array);
        let mut random = fastrand::Rng::with_seed(seed);
        for step in 0..200_u32 {
            let change = change(&mut random);
            let context = format!("seed {seed} step {step}: {change:?}");
            let before = state(&server);
            let transactions = server.get().transactions();
            match server.change(change) {
                Ok(_) => {
                    accepted += 1;
                    assert_eq!(server.get().transactions(), transactions + 1, "{context}");
                }
                Err(ViosCallError::Refused(_)) => {
                    assert_eq!(state(&server), before, "{context}: a refusal changed something");
                    assert_eq!(server.get().transactions(), transactions, "{context}");
                }
                Err(other) => panic!("{context}: {other}"),
            }
            check(&server, &context);
            if random.u8(0..12) == 0 {
                // What was not configured comes up with a start, so devices are compared from one start to the next.
                let recorded = state(&server).split_off(FIRST_RECORDED);
                server.reopen();
                let once = state(&server);
                assert_eq!(once[FIRST_RECORDED..], recorded, "{context}");
                server.reopen();
                assert_eq!(state(&server), once, "{context}");
                check(&server, &context);
            }
        }
    }
    assert!(accepted > 200, "{accepted} changes were accepted");
}

#[test]
fn a_database_that_cannot_be_written_changes_nothing() {
    let array = TestArray::new(2, 4 * GIB);
    let mut server = Server::running(1, &array);
    server.done(ViosChange::CreateRepository { pool: None, megabytes: 200 });
    let before = state(&server);
    let database = rusqlite::Connection::open(server.directory.0.join("vios/vios.db")).expect("opens");
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON row BEGIN SELECT RAISE(ABORT, 'full'); END;";
    database.execute_batch(trigger).expect("made");
    let create = || ViosChange::CreateMedium {
        name: "m1".into(),
        source: MediumSource::Blank(5),
        access: MediaAccess::ReadOnly,
    };
    let group = || ViosChange::CreateVolumeGroup { name: None, disks: vec!["hdisk1".into()], force: false };
    assert_eq!(server.refused(create()), ViosMessage::HostFailed);
    assert_eq!(server.refused(group()), ViosMessage::HostFailed);
    assert_eq!(state(&server), before);
    assert_eq!(array.holder(0), None, "the reservation was given back");
    assert_eq!(std::fs::read_dir(server.directory.0.join("vios/staging")).expect("directory").count(), 0);
    database.execute_batch("DROP TRIGGER full").expect("dropped");
    server.done(create());
    server.done(group());
    check(&server, "after");
}
