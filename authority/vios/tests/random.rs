//! Random changes with restarts in between: the same state after each reopening, and what must always hold.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;

use support::{GIB, Server, TestArray, ethernet, name};
use varan_contract::vios::{
    BackingRequest, BackingSelector, DeviceQuery, DeviceSelector, LogicalVolumeSize, MappingQuery,
    MediumSource, Removal, Select, ViosAnswer, ViosCallError, ViosChange, ViosLink, ViosQuery,
};
use varan_contract::vios_network::{AddressSetup, NetworkChange, NetworkDeviceKind, NetworkQuery};
use varan_model::vios::{Backing, MediaAccess, PathState, ViosMessage};

fn pick<'a>(random: &mut fastrand::Rng, words: &[&'a str]) -> &'a str {
    words[random.usize(..words.len())]
}

fn device(random: &mut fastrand::Rng) -> DeviceSelector {
    let words = [
        "hdisk0", "hdisk1", "hdisk2", "hdisk3", "hdisk4", "vhost0", "vhost1", "vfchost0", "fcs0", "fscsi1",
        "vtscsi0", "vtscsi1", "vtscsi2", "vtopt0", "vtopt1", "lv00", "lv01", "sys0", "nothing", "en0",
        "ent0", "ent1", "ent3", "ent4", "ent7", "ent8", "en8",
    ];
    name(pick(random, &words))
}

fn target(random: &mut fastrand::Rng) -> Option<String> {
    random.bool().then(|| pick(random, &["t1", "t2", "a_very_long_name", "0bad", "hdisk1"]).to_owned())
}

/// Devices of the network: ports ent0 to ent2, plain ent3, trunks ent4 and ent5, ent6 for a control channel; the next ones are
/// made of these.
fn network_change(random: &mut fastrand::Rng) -> ViosChange {
    let adapters = ["ent0", "ent1", "ent2", "ent3", "ent4", "ent5", "ent6", "ent7", "ent8", "hdisk1"];
    let made = |random: &mut fastrand::Rng| name(pick(random, &["ent7", "ent8", "ent9", "ent0"]));
    let migrate = random.bool();
    ViosChange::Network(match random.u8(0..10) {
        0 | 1 => {
            let modes = ["disabled", "auto", "sharing", "standby", "never"];
            let mut attributes = vec![("ha_mode".to_owned(), pick(random, &modes).to_owned())];
            if random.bool() {
                attributes.push(("ctl_chan".to_owned(), pick(random, &["ent6", "ent3"]).to_owned()));
            }
            let both = random.bool();
            let virtuals: &[&str] = if both { &["ent4", "ent5"] } else { &["ent4"] };
            NetworkChange::CreateBridge {
                real: name(pick(random, &adapters)),
                virtuals: virtuals.iter().map(|name| (*name).to_owned()).collect(),
                default: "ent4".to_owned(),
                default_vlan: pick(random, &["10", "10", "11"]).to_owned(),
                attributes,
                migrate,
            }
        }
        2 => NetworkChange::CreateAggregation {
            adapters: vec![pick(random, &adapters).to_owned(), pick(random, &adapters).to_owned()],
            attributes: Vec::new(),
            migrate: migrate.then(String::new),
        },
        3 => NetworkChange::CreateVlan {
            base: name(pick(random, &adapters)),
            tag: pick(random, &["5", "6", "4095"]).to_owned(),
        },
        4 | 5 => {
            let kinds = [NetworkDeviceKind::Bridge, NetworkDeviceKind::Aggregation, NetworkDeviceKind::Vlan];
            NetworkChange::Remove { device: made(random), kind: kinds[random.usize(..3)], migrate }
        }
        6 => NetworkChange::Address(AddressSetup {
            hostname: None,
            interface: pick(random, &["en0", "en1", "en3", "en7", "en8"]).to_owned(),
            address: [10, 0, 0, random.u8(0..4)].into(),
            prefix: Some(24),
            gateway: random.bool().then_some([10, 0, random.u8(0..2), 254].into()),
            name_server: None,
        }),
        7 => NetworkChange::RemoveAddresses {
            interfaces: random.bool().then(|| vec![pick(random, &["en0", "en7", "en8"]).to_owned()]),
            hostname: false,
            routing: random.bool(),
            name_service: false,
        },
        8 => NetworkChange::AddHost { address: [10, 0, 0, 9].into(), names: vec!["host".to_owned()] },
        _ => NetworkChange::ChangeAggregation {
            device: made(random),
            add: vec![pick(random, &adapters).to_owned()],
            remove: Vec::new(),
            backup: random.bool(),
        },
    })
}

fn change(random: &mut fastrand::Rng) -> ViosChange {
    if random.u8(0..4) == 0 {
        return network_change(random);
    }
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
                pick(
                    random,
                    &["reserve_policy", "pv", "queue_depth", "map_port", "none", "state", "ha_mode"],
                )
                .to_owned(),
                pick(random, &["no_reserve", "single_path", "yes", "clear", "16", "fcs1", "up", "auto"])
                    .to_owned(),
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
const FIRST_RECORDED: usize = 6;

/// Everything that must be the same after a restart, as text.
fn state(server: &Server) -> Vec<String> {
    let query = || MappingQuery { adapters: Select::All, client: None, kinds: Vec::new() };
    let questions = [
        ViosQuery::Devices(DeviceQuery::All),
        ViosQuery::ScsiMappings(query()),
        ViosQuery::FibreChannelMappings(query()),
        ViosQuery::PhysicalVolumes(Select::All),
        ViosQuery::Paths(Select::All),
        ViosQuery::Network(NetworkQuery::Interfaces),
        ViosQuery::VolumeGroups(None),
        ViosQuery::StoragePools(None),
        ViosQuery::Repository,
        ViosQuery::Network(NetworkQuery::Configuration),
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

/// What the network engine was told fits together: no adapter is part of two devices, none that is part of one has an
/// address, and everything that is named is there.
fn check_network(server: &Server, context: &str) {
    let told = server.network.last();
    let mut there: BTreeSet<String> = told.ports.iter().map(|port| port.device.clone()).collect();
    there.extend(told.aggregations.iter().map(|one| one.device.clone()));
    there.extend(told.bridges.iter().map(|one| one.device.clone()));
    there.extend(told.vlans.iter().map(|one| one.device.clone()));
    let mut parts: Vec<String> = Vec::new();
    for one in &told.aggregations {
        parts.extend(one.adapters.iter().chain(&one.backup).cloned());
    }
    for one in &told.bridges {
        parts.push(one.real.clone());
        parts.extend(one.virtuals.iter().chain(&one.control_channel).cloned());
    }
    let distinct: BTreeSet<&String> = parts.iter().collect();
    assert_eq!(distinct.len(), parts.len(), "{context}: {told:?}");
    let bases = told.vlans.iter().map(|one| &one.base);
    for part in parts.iter().chain(bases).chain(told.interfaces.iter().map(|one| &one.device)) {
        assert!(there.contains(part), "{context}: {part} in {told:?}");
    }
    for interface in &told.interfaces {
        assert!(!parts.contains(&interface.device), "{context}: {told:?}");
    }
    let addresses: BTreeSet<_> = told.interfaces.iter().filter_map(|one| one.address).collect();
    let count = told.interfaces.iter().filter(|one| one.address.is_some()).count();
    assert_eq!(addresses.len(), count, "{context}: {told:?}");
}

/// What holds whatever was done.
fn check(server: &Server, context: &str) {
    check_network(server, context);
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
        let mut server = Server::new(1, &array);
        server.ports = vec![0xC1, 0xC2, 0xC3];
        server.adapters.extend([
            ethernet(10, 0x0A10, 10, Some(1)),
            ethernet(11, 0x0A11, 11, Some(1)),
            ethernet(20, 0x0A20, 99, None),
        ]);
        server.boot();
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
                let told = server.network.last();
                server.reopen();
                assert_eq!(state(&server), once, "{context}");
                assert_eq!(server.network.last(), told, "{context}");
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
