//! Clients' I/O through servers, with ports that fail, servers that crash and units that vanish.

#![allow(missing_docs)]

mod support;

use std::sync::Arc;

use support::{GIB, Server, TestArray, client, name, nexus, port, udid};
use varan_contract::block::{BlockDevice, BlockError, Epoch, Nexus, PathGeneration};
use varan_contract::storage::{StorageError, StorageServer};
use varan_contract::vios::{ErrorQuery, Select, ViosAnswer, ViosChange, ViosLink, ViosQuery};
use varan_model::ids::VirtualSlot;
use varan_model::vios::{PathState, ViosMessage};

const SLOT: VirtualSlot = VirtualSlot(40);
const LUN: u64 = 0x8100_0000_0000_0000;

fn open(server: &Server, path: &str, generation: u64) -> Result<Arc<dyn BlockDevice>, StorageError> {
    server.get().connect_scsi(SLOT, &client(5, 2))?;
    server.get().open_unit(SLOT, LUN, &nexus(5, path, generation))
}

fn states(server: &Server, disk: &str) -> Vec<PathState> {
    match server.ask(ViosQuery::Paths(Select::One(name(disk)))) {
        ViosAnswer::Paths(paths) => paths.iter().map(|path| path.state).collect(),
        other => panic!("{other:?}"),
    }
}

fn labels(server: &Server, resource: &str) -> Vec<&'static str> {
    let query = ErrorQuery { resource: Some(resource.into()), ..ErrorQuery::default() };
    match server.ask(ViosQuery::Errors(query)) {
        ViosAnswer::Errors(entries) => entries.iter().map(|entry| entry.template.row().label).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_that_fails_is_replaced_by_the_other_and_comes_back() {
    let array = TestArray::new(1, GIB);
    let mut server = Server::running(1, &array);
    server.map("hdisk1", "vhost0", false).expect("maps");
    let disk = open(&server, "vios1:vhost0", 1).expect("opens");
    assert_eq!(array.holder(0), Some(port(1, 2)));
    disk.write_at(0, &[1; 4_096], true).expect("written");
    array.set_link(port(1, 2), false);
    disk.write_at(4_096, &[2; 4_096], true).expect("written through the other port");
    assert_eq!(array.holder(0), Some(port(1, 3)), "the reservation moved along");
    server.get().check_paths();
    assert_eq!(states(&server, "hdisk1"), [PathState::Failed, PathState::Enabled]);
    assert_eq!(labels(&server, "hdisk1"), ["SC_DISK_ERR7"]);
    assert_eq!(labels(&server, "fscsi0"), ["FCP_ERR4"]);
    array.set_link(port(1, 3), false);
    assert_eq!(disk.write_at(8_192, &[3; 4_096], true), Err(BlockError::Gone));
    array.set_link(port(1, 2), true);
    server.get().check_paths();
    disk.write_at(8_192, &[4; 4_096], true).expect("the first port is back");
    array.set_link(port(1, 3), true);
    server.get().check_paths();
    assert_eq!(states(&server, "hdisk1"), [PathState::Enabled, PathState::Enabled]);
    assert!(labels(&server, "hdisk1").contains(&"SC_DISK_PCM_ERR9"));
    let bytes = array.raw(0).read_at(0, 12_288).expect("reads");
    let expected: Vec<u8> = [1, 2, 4].iter().flat_map(|byte| [*byte; 4_096]).collect();
    assert!(bytes[..] == expected[..]);
}

#[test]
fn two_servers_lose_nothing_of_a_client() {
    let array = TestArray::new(1, GIB);
    let mut servers = [Server::running(1, &array), Server::running(2, &array)];
    for server in &mut servers {
        server.share("hdisk1");
        server.map("hdisk1", "vhost0", false).expect("maps");
    }
    let seed = 20_261_121;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut generations = [0_u64, 0];
    let mut expected = vec![0_u8; 256];
    let mut current: Option<(usize, Arc<dyn BlockDevice>)> = None;
    for step in 0..400_u32 {
        let side = random.usize(0..2);
        match random.u8(0..12) {
            0 => array.set_link(port(side as u16 + 1, 2), false),
            1 => array.set_link(port(side as u16 + 1, 3), false),
            2 => servers[side].get().stop(false),
            3 => servers[side].boot(),
            4 => {
                for server in 1..=2 {
                    [2, 3].iter().for_each(|number| array.set_link(port(server, *number), true));
                }
                servers[side].get().check_paths();
            }
            _ => {}
        }
        let block = random.usize(0..256);
        let byte = random.u8(1..);
        // The client writes until it is done: a path that failed is revoked before the other is used.
        let mut tries = 0;
        loop {
            tries += 1;
            if tries == 4 {
                for server in 1..=2 {
                    [2, 3].iter().for_each(|number| array.set_link(port(server, *number), true));
                }
            }
            if tries == 8 {
                servers.iter_mut().for_each(|server| server.reopen());
            }
            assert!(tries < 20, "seed {seed} step {step}: no path works");
            if let Some((_, disk)) = &current
                && disk.write_at(block as u64 * 4_096, &[byte; 4_096], true).is_ok()
            {
                break;
            }
            let next = current.take().map_or(side, |(side, _)| 1 - side);
            let old = 1 - next;
            generations[old] += 1;
            let path = nexus(5, ["vios1:vhost0", "vios2:vhost0"][old], 0);
            let minimum = PathGeneration(generations[old]);
            if servers[next].get().revoke(&udid(0), &path, minimum).is_err() {
                continue;
            }
            let path = ["vios1:vhost0", "vios2:vhost0"][next];
            if let Ok(disk) = open(&servers[next], path, generations[next]) {
                current = Some((next, disk));
            } else {
                current = Some((next, Arc::new(varan_block_engine::MemoryDevice::new(0))));
            }
        }
        expected[block] = byte;
    }
    for (block, byte) in expected.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        let bytes = array.raw(0).read_at(block as u64 * 4_096, 4_096).expect("reads");
        assert!(bytes.iter().all(|found| found == byte), "seed {seed} block {block}");
    }
}

#[test]
fn a_revoked_path_writes_nothing_more() {
    let array = TestArray::new(1, GIB);
    let mut one = Server::running(1, &array);
    let mut two = Server::running(2, &array);
    for server in [&mut one, &mut two] {
        server.share("hdisk1");
        server.map("hdisk1", "vhost0", false).expect("maps");
    }
    let old = open(&one, "vios1:vhost0", 1).expect("opens");
    old.write_at(0, &[1; 512], true).expect("writes");
    // The other server, or the array, does it; the first one need not answer.
    two.get().revoke(&udid(0), &nexus(5, "vios1:vhost0", 1), PathGeneration(2)).expect("revoked");
    let new = open(&two, "vios2:vhost0", 1).expect("opens");
    new.write_at(0, &[2; 512], true).expect("writes");
    assert_eq!(old.write_at(0, &[1; 512], true), Err(BlockError::Revoked));
    // Also not by way of another port of the server.
    array.set_link(port(1, 2), false);
    assert_eq!(old.write_at(0, &[1; 512], true).map_err(|error| error != BlockError::Busy), Err(true));
    assert_eq!(array.raw(0).read_at(0, 1).expect("reads")[0], 2);
    assert_eq!(open(&one, "vios1:vhost0", 1).err(), Some(StorageError::Block(BlockError::Revoked)));
    open(&one, "vios1:vhost0", 2).expect("the next generation opens");
}

#[test]
fn what_a_client_uses_cannot_be_taken_and_goes_with_a_crash() {
    let array = TestArray::new(1, GIB);
    let mut server = Server::running(1, &array);
    let done = server.done(ViosChange::CreateLogicalVolume {
        volume_group: "rootvg".into(),
        name: Some("lpar5".into()),
        kind: String::new(),
        size: varan_contract::vios::LogicalVolumeSize::Megabytes(300),
        disks: Vec::new(),
    });
    assert_eq!(done.name.as_deref(), Some("lpar5"));
    server.map("lpar5", "vhost0", false).expect("maps");
    assert_eq!(server.get().served_units(SLOT).expect("serves")[0].bytes, 512 << 20);
    let disk = open(&server, "vios1:vhost0", 1).expect("opens");
    disk.write_at((512 << 20) - 512, &[7; 512], true).expect("writes at the end");
    assert_eq!(disk.write_at(512 << 20, &[7; 512], true), Err(BlockError::OutOfRange));
    let unmap = || ViosChange::RemoveMapping {
        device: name("vtscsi0"),
        by_backing: false,
        force: false,
        remove_logical_volume: true,
    };
    assert_eq!(server.refused(unmap()), ViosMessage::TargetBusy);
    let other = nexus(6, "vios1:vhost0", 1);
    assert_eq!(server.get().open_unit(SLOT, LUN, &other).err(), Some(StorageError::OtherClient));
    server.get().stop(false);
    assert_eq!(disk.read_at(0, 512).err(), Some(BlockError::Gone));
    assert_eq!(server.get().served_units(SLOT).err(), Some(StorageError::NotServing));
    server.boot();
    assert_eq!(disk.read_at(0, 512).err(), Some(BlockError::Gone), "also after the next start");
    assert_eq!(labels(&server, "SYSDUMP"), ["DUMP_STATS"]);
    let disk = open(&server, "vios1:vhost0", 2).expect("opens");
    assert_eq!(disk.read_at((512 << 20) - 512, 512).expect("reads")[..], [7; 512]);
    // A later right to run fences the earlier one.
    let later = Nexus { epoch: Epoch(3), ..nexus(5, "vios1:vhost0", 2) };
    let again = server.get().open_unit(SLOT, LUN, &later).expect("opens");
    again.write_at(0, &[8; 512], true).expect("writes");
    assert_eq!(disk.write_at(0, &[7; 512], true), Err(BlockError::Revoked));
    let earlier = Nexus { epoch: Epoch(2), ..later };
    assert_eq!(
        server.get().open_unit(SLOT, LUN, &earlier).err(),
        Some(StorageError::Block(BlockError::Revoked))
    );
    drop((disk, again));
    server.done(unmap());
    assert!(server.get().served_units(SLOT).expect("serves").is_empty());
}

#[test]
fn every_request_ends_once_while_ports_come_and_go() {
    let array = TestArray::new(1, GIB);
    let mut server = Server::running(1, &array);
    server.map("hdisk1", "vhost0", false).expect("maps");
    let disk = open(&server, "vios1:vhost0", 1).expect("opens");
    let done = std::sync::atomic::AtomicBool::new(false);
    let byte_of = |step: u64| u8::try_from(step % 250 + 1).expect("small");
    let last: Vec<u64> = std::thread::scope(|scope| {
        let (array, server, disk, done) = (&array, &server, &disk, &done);
        let write = move |writer: u64| {
            for step in 0_u64.. {
                let block = writer * 64 + step % 64;
                let byte = byte_of(step);
                disk.write_at(block * 4_096, &[byte; 4_096], true).expect("one port always works");
                let read = disk.read_at(block * 4_096, 4_096).expect("one port always works");
                assert!(read.iter().all(|found| *found == byte), "block {block} step {step}");
                if step >= 64 && done.load(std::sync::atomic::Ordering::Acquire) {
                    return step;
                }
            }
            0
        };
        let writers: Vec<_> = (0..6).map(|writer| scope.spawn(move || write(writer))).collect();
        for round in 0..40 {
            let number = 2 + round % 2;
            array.set_link(port(1, number), false);
            server.get().check_paths();
            array.set_link(port(1, number), true);
            server.get().check_paths();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
        writers.into_iter().map(|writer| writer.join().expect("wrote")).collect()
    });
    for (writer, last) in last.into_iter().enumerate() {
        for place in 0..64 {
            let step = last - (last + 64 - place) % 64;
            let block = writer as u64 * 64 + place;
            let found = array.raw(0).read_at(block * 4_096, 1).expect("reads")[0];
            assert_eq!(found, byte_of(step), "block {block}");
        }
    }
}

#[test]
fn an_array_that_hangs_stops_neither_questions_nor_clients_nor_a_crash() {
    let array = TestArray::new(1, GIB);
    let mut server = Server::running(1, &array);
    server.map("hdisk1", "vhost0", false).expect("maps");
    let disk = open(&server, "vios1:vhost0", 1).expect("opens");
    let id = server.request();
    std::thread::scope(|scope| {
        array.stall(true);
        let server = &server;
        let change = scope.spawn(move || server.get().change(id, ViosChange::ConfigureDevices(None)));
        array.wait_for_asker();
        assert_eq!(states(server, "hdisk1").len(), 2, "questions are answered from what is published");
        disk.write_at(0, &[1; 512], true).expect("a client goes on");
        let stop = scope.spawn(move || server.get().stop(false));
        // The crash is at once what clients see; the server's own thread hears of it when the array lets it go.
        while disk.read_at(0, 512).is_ok() {
            std::thread::yield_now();
        }
        assert_eq!(server.get().served_units(SLOT).err(), Some(StorageError::NotServing));
        array.stall(false);
        change.join().expect("ended").expect("done");
        stop.join().expect("ended");
    });
}
