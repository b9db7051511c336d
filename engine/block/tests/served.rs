//! Devices served to other processes: the storage array's rules hold there, a stopped client writes nothing stale, and a
//! server that is killed loses nothing that it acknowledged.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use varan_block_engine::{
    DeviceTable, FileDevice, FileOptions, LeaseDatabase, LogicalUnitNumber, MemoryDevice, NbdDevice,
    NbdError, ReservePolicy, San, SanExports, SanPath, UnitName,
};
use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Epoch, ExtentState, LeaseStore, Nexus,
    OwnershipChange, PathGeneration, Udid,
};
use varan_model::ids::{PartitionUuid, SystemUuid, WorldWidePortName};
use varan_nbd::{Limits, Server, listen};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("varan-served-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const INITIATORS: [WorldWidePortName; 2] = [WorldWidePortName(1), WorldWidePortName(2)];
const TARGET: WorldWidePortName = WorldWidePortName(3);
const CLIENT: PartitionUuid = PartitionUuid(5);
const SIZE: u64 = 1 << 20;

fn udid() -> Udid {
    "disk;1%".parse().expect("valid")
}

fn array(directory: &Path) -> San {
    let san = San::new(LeaseDatabase::open(&directory.join("leases.db")).expect("opened"));
    san.add_unit(udid(), Arc::new(MemoryDevice::new(SIZE))).expect("added");
    for initiator in INITIATORS {
        san.set_zone(initiator, TARGET, true);
        san.set_mask(initiator, TARGET, LogicalUnitNumber(0), Some(udid())).expect("masked");
    }
    san
}

fn name(initiator: usize, epoch: u64, generation: u64, policy: ReservePolicy) -> String {
    let path = SanPath { unit: udid(), initiator: INITIATORS[initiator], target: TARGET };
    let nexus = Nexus {
        client: CLIENT,
        epoch: Epoch(epoch),
        path: format!("vios{initiator}").parse().expect("valid"),
        generation: PathGeneration(generation),
    };
    UnitName { path, nexus, policy }.to_string()
}

fn serve_array(socket: &Path, san: &San) -> Server {
    Server::start(listen(socket).expect("bound"), SanExports::new(san.clone()), Limits::default())
        .expect("started")
}

#[test]
fn the_rules_of_the_array_hold_over_a_socket() {
    let scratch = Scratch::new();
    let (socket, san) = (scratch.path("san"), array(&scratch.0));
    let server = serve_array(&socket, &san);
    let open = |name: &str| NbdDevice::connect(&socket, name, 512);
    let plain = ReservePolicy::NoReserve;
    let first = open(&name(0, 0, 1, plain)).expect("in force");
    assert_eq!(first.geometry(), MemoryDevice::new(SIZE).geometry());
    first.write_at(512, &[1; 1_024], true).expect("written");
    assert_eq!(*first.read_at(512, 1_024).expect("read"), [1; 1_024]);
    let status = BlockRequest::BlockStatus { offset: 0, length: SIZE, limit: 9 };
    let Ok(BlockAnswer::Status(extents)) = first.perform(status) else { panic!("states") };
    assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), SIZE);
    assert_eq!(extents[1].state, ExtentState::Hole);
    assert_eq!(first.read_at(SIZE, 512).err(), Some(BlockError::OutOfRange));
    // A path that was revoked, while it is open and when it comes again.
    let path = "vios0".parse().expect("valid");
    san.revoke_path(&udid(), CLIENT, &path, PathGeneration(2)).expect("recorded");
    assert_eq!(first.write_at(0, &[2; 512], false), Err(BlockError::Revoked));
    assert_eq!(first.flush(), Err(BlockError::Revoked));
    let refused = |name: &str| open(name).err().expect("refused");
    assert_eq!(refused(&name(0, 0, 1, plain)), NbdError::Refused(BlockError::Revoked));
    // Reservations last as long as the connection.
    let single = ReservePolicy::SinglePath;
    let holder = open(&name(0, 0, 2, single)).expect("in force");
    assert_eq!(refused(&name(1, 0, 0, single)), NbdError::Refused(BlockError::ReservationConflict));
    drop(holder);
    while san.reservation(&udid()) != Ok(varan_block_engine::Reservation::None) {
        std::thread::yield_now();
    }
    let second = open(&name(1, 0, 0, plain)).expect("free");
    // The right to run.
    let change = OwnershipChange { partition: CLIENT, expected: None, frame: Some(SystemUuid(9)) };
    san.change_ownership(&[change]).expect("recorded");
    assert_eq!(second.read_at(0, 512).err(), Some(BlockError::Revoked));
    let third = open(&name(1, 1, 0, plain)).expect("the owner");
    san.set_present(&udid(), false).expect("known");
    assert_eq!(third.write_at(0, &[3; 512], false), Err(BlockError::Gone));
    assert_eq!(refused(&name(1, 1, 0, plain)), NbdError::Refused(BlockError::Gone));
    san.set_present(&udid(), true).expect("known");
    assert_eq!(third.write_at(0, &[3; 512], false), Ok(()));
    san.set_zone(INITIATORS[1], TARGET, false);
    assert!(matches!(refused(&name(1, 1, 0, plain)), NbdError::Denied(_)));
    assert!(matches!(refused("anything"), NbdError::Unknown(_)));
    drop(server);
    assert_eq!(third.flush(), Err(BlockError::Gone));
    assert!(third.is_lost() && matches!(refused("anything"), NbdError::Unreachable(_)));
}

#[test]
fn many_requests_of_many_threads_are_all_answered() {
    let scratch = Scratch::new();
    let file = scratch.path("disk");
    FileDevice::create(&file, 8 << 20, false).expect("created");
    let table = DeviceTable::new();
    let device = FileDevice::open(&file, FileOptions::default()).expect("opened");
    table.insert("disk", Arc::new(device));
    let socket = scratch.path("socket");
    let server = Server::start(listen(&socket).expect("bound"), table, Limits::default()).expect("started");
    let devices: Vec<NbdDevice> =
        (0..2).map(|_| NbdDevice::connect(&socket, "disk", 512).expect("connected")).collect();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let device = &devices[thread as usize % 2];
            scope.spawn(move || {
                let (sender, receiver) = std::sync::mpsc::channel();
                for round in 0..500_u64 {
                    let block = thread * 500 + round;
                    let data = varan_contract::block::Buffer::from(&[block as u8 | 1; 4_096][..]);
                    let offset = block * 4_096;
                    let mut request = BlockRequest::Write { offset, data, force_unit_access: false };
                    let sender = sender.clone();
                    let mut completion: varan_contract::block::Completion =
                        Box::new(move |result| sender.send(result.is_ok()).expect("waited for"));
                    while let Err(full) = device.submit(request, completion) {
                        device.wait_for_room();
                        (request, completion) = (full.request, full.completion);
                    }
                }
                assert!((0..500).all(|_| receiver.recv().expect("answered")));
            });
        }
    });
    devices[0].flush().expect("flushed");
    let bytes = devices[1].read_at(0, 2_000 * 4_096).expect("read");
    for (block, bytes) in bytes.chunks(4_096).enumerate() {
        assert!(bytes.iter().all(|byte| *byte == block as u8 | 1), "block {block}");
    }
    drop(devices);
    drop(server);
}

/// Starts this test program again with one of the tests below, which then is the body of a process.
fn process(test: &str, socket: &Path, argument: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env("VARAN_SERVED_SOCKET", socket)
        .env("VARAN_SERVED_ARGUMENT", argument)
        .spawn()
        .expect("started")
}

fn role() -> Option<(PathBuf, String)> {
    let socket = std::env::var_os("VARAN_SERVED_SOCKET")?;
    Some((socket.into(), std::env::var("VARAN_SERVED_ARGUMENT").unwrap_or_default()))
}

/// Not a test unless it is started as a process: serves a file until it is killed.
#[test]
fn role_server() {
    let Some((socket, file)) = role() else { return };
    let table = DeviceTable::new();
    let device = FileDevice::open(Path::new(&file), FileOptions::default()).expect("opened");
    table.insert("disk", Arc::new(device));
    let server = Server::start(listen(&socket).expect("bound"), table, Limits::default()).expect("started");
    loop {
        std::thread::park();
        assert_eq!(server.connections(), usize::MAX);
    }
}

/// Not a test unless it is started as a process: writes through a nexus as fast as it can until it may not.
#[test]
fn role_writer() {
    let Some((socket, name)) = role() else { return };
    let device = NbdDevice::connect(&socket, &name, 512).expect("connected");
    let mut block = 0;
    loop {
        match device.write_at(block % (SIZE / 4_096) * 4_096, &[0xEE; 4_096], false) {
            Ok(()) => block += 1,
            Err(BlockError::Revoked) => std::process::exit(42),
            Err(error) => panic!("{error}"),
        }
    }
}

fn connect(socket: &Path) -> NbdDevice {
    loop {
        match NbdDevice::connect(socket, "disk", 512) {
            Ok(device) => return device,
            Err(NbdError::Unreachable(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// One block per number: written durably, or written and then flushed.
#[test]
fn a_killed_server_loses_nothing_that_it_acknowledged() {
    let scratch = Scratch::new();
    let (socket, file) = (scratch.path("socket"), scratch.path("disk"));
    const BLOCKS: u64 = 256;
    FileDevice::create(&file, BLOCKS * 4_096, false).expect("created");
    let mut acknowledged = vec![0_u32; BLOCKS as usize];
    let mut number = 0_u32;
    for round in 0..8_u32 {
        let mut server = process("role_server", &socket, file.to_str().expect("text"));
        let device = connect(&socket);
        let mut attempted = acknowledged.clone();
        for (block, expected) in acknowledged.iter().enumerate() {
            let bytes = device.read_at(block as u64 * 4_096, 4_096).expect("read");
            let found = u32::from_le_bytes(bytes[..4].try_into().expect("four"));
            assert!(found >= *expected, "round {round}: block {block} holds {found}, not {expected}");
        }
        let killed_after = 150 + round * 37;
        let mut pending: Vec<(usize, u32)> = Vec::new();
        for step in 0.. {
            if step == killed_after {
                server.kill().expect("killed");
            }
            number += 1;
            let block = (number as usize * 31) % BLOCKS as usize;
            let mut bytes = [0_u8; 4_096];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            attempted[block] = number;
            let durable = number.is_multiple_of(2);
            if device.write_at(block as u64 * 4_096, &bytes, durable).is_err() {
                break;
            }
            pending.push((block, number));
            if durable {
                acknowledged[block] = acknowledged[block].max(number);
            }
            if number.is_multiple_of(5) {
                if device.flush().is_err() {
                    break;
                }
                for (block, number) in pending.drain(..) {
                    acknowledged[block] = acknowledged[block].max(number);
                }
            }
        }
        server.wait().expect("ended");
        assert_eq!(device.read_at(0, 512).err(), Some(BlockError::Gone));
    }
    assert!(acknowledged.iter().any(|number| *number > 0));
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

/// A process with writes in its hands is stopped, its path is revoked, the unit is written on another path, and the process
/// continues: it finds itself revoked, and none of its bytes is on the unit.
#[test]
fn a_process_that_was_stopped_and_continues_writes_nothing_stale() {
    let scratch = Scratch::new();
    let (socket, san) = (scratch.path("san"), array(&scratch.0));
    let _server = serve_array(&socket, &san);
    let plain = ReservePolicy::NoReserve;
    let look = NbdDevice::connect(&socket, &name(1, 0, 0, plain), 512).expect("connected");
    for generation in 1..6 {
        let mut writer = process("role_writer", &socket, &name(0, 0, generation, plain));
        while look.read_at(0, 1_024).expect("read")[0] != 0xEE {
            assert!(writer.try_wait().expect("asked").is_none(), "the writer has not begun");
            std::thread::yield_now();
        }
        signal(&writer, "-STOP");
        let path = "vios0".parse().expect("valid");
        san.revoke_path(&udid(), CLIENT, &path, PathGeneration(generation + 1)).expect("recorded");
        look.write_at(0, &vec![0x11; SIZE as usize], true).expect("the other path");
        signal(&writer, "-CONT");
        let status = writer.wait().expect("ended");
        assert_eq!(status.code(), Some(42), "it found itself revoked");
        let bytes = look.read_at(0, SIZE as usize).expect("read");
        assert!(bytes.iter().all(|byte| *byte == 0x11), "generation {generation}");
    }
}

/// Requests longer than the protocol's 32 bits, and a unit that vanishes and comes back while it is written.
#[test]
fn long_ranges_and_a_unit_that_vanishes_under_load() {
    const LONG: u64 = 9 << 30;
    let scratch = Scratch::new();
    let san = array(&scratch.0);
    let large: Udid = "large".parse().expect("valid");
    san.add_unit(large.clone(), Arc::new(MemoryDevice::new(LONG))).expect("added");
    san.set_mask(INITIATORS[0], TARGET, LogicalUnitNumber(7), Some(large.clone())).expect("masked");
    let socket = scratch.path("san");
    let _server = serve_array(&socket, &san);
    let name = name(0, 0, 0, ReservePolicy::NoReserve).replace("unit=disk%3B1%25", "unit=large");
    let device = NbdDevice::connect(&socket, &name, 512).expect("connected");
    for place in [0, 3 << 30, LONG - 512] {
        device.write_at(place, &[1; 512], false).expect("written");
    }
    let all = |may_trim| BlockRequest::WriteZeroes {
        offset: 512,
        length: LONG - 512,
        may_trim,
        force_unit_access: false,
        only_fast: false,
    };
    device.perform(all(true)).expect("zeroed");
    assert_eq!(device.read_at(0, 512).expect("read")[0], 1);
    for place in [3 << 30, LONG - 512] {
        assert_eq!(device.read_at(place, 512).expect("read")[0], 0, "{place}");
    }
    let status = BlockRequest::BlockStatus { offset: 65_536, length: LONG - 65_536, limit: 1 };
    let Ok(BlockAnswer::Status(extents)) = device.perform(status) else { panic!("states") };
    assert!(extents.len() == 1 && extents[0].state == ExtentState::Hole);
    // Under load: every write ends, either done or because the unit is gone, and what was acknowledged is there.
    let (sender, receiver) = std::sync::mpsc::channel();
    for block in 0..2_000_u64 {
        if block % 400 == 200 {
            san.set_present(&large, false).expect("known");
        } else if block % 400 == 300 {
            san.set_present(&large, true).expect("known");
        }
        let data = varan_contract::block::Buffer::from(&[7; 4_096][..]);
        let mut request = BlockRequest::Write { offset: block * 4_096, data, force_unit_access: false };
        let sender = sender.clone();
        let mut completion: varan_contract::block::Completion =
            Box::new(move |result| sender.send((block, result.map(drop))).expect("waited for"));
        while let Err(full) = device.submit(request, completion) {
            device.wait_for_room();
            (request, completion) = (full.request, full.completion);
        }
    }
    let mut gone = 0;
    san.set_present(&large, true).expect("known");
    for _ in 0..2_000 {
        match receiver.recv().expect("every write ends") {
            (block, Ok(())) => {
                assert_eq!(device.read_at(block * 4_096, 4_096).expect("read")[4_095], 7, "{block}");
            }
            (_, Err(error)) => {
                assert_eq!(error, BlockError::Gone);
                gone += 1;
            }
        }
    }
    println!("{gone} writes met the absent unit");
}

/// A device that keeps what is not durable in a cache, and loses any part of it with its power.
struct Losing {
    medium: MemoryDevice,
    cache: std::sync::Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Losing {
    fn lose_power(&self, seed: u64) {
        let mut state = seed;
        let mut cache = std::mem::take(&mut *self.cache.lock().expect("unpoisoned"));
        while !cache.is_empty() {
            let (offset, data) =
                cache.swap_remove((varan_environment::split_mix(&mut state) % cache.len() as u64) as usize);
            if varan_environment::split_mix(&mut state).is_multiple_of(2) {
                self.medium.write_at(offset, &data, false).expect("written");
            }
        }
    }
}

impl BlockDevice for Losing {
    fn geometry(&self) -> varan_contract::block::Geometry {
        self.medium.geometry()
    }

    fn submit(
        &self,
        request: BlockRequest,
        completion: varan_contract::block::Completion,
    ) -> Result<(), varan_contract::block::QueueFull> {
        completion(self.perform(request));
        Ok(())
    }

    fn wait_for_room(&self) {}

    fn perform(&self, request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        let mut cache = self.cache.lock().expect("unpoisoned");
        match request {
            BlockRequest::Write { offset, data, force_unit_access: false } => {
                cache.push((offset, data.to_vec()));
            }
            BlockRequest::WriteZeroes { offset, length, force_unit_access: false, .. } => {
                cache.push((offset, vec![0; length as usize]));
            }
            BlockRequest::Flush => {
                for (offset, data) in cache.drain(..) {
                    self.medium.write_at(offset, &data, true)?;
                }
            }
            request => return self.medium.perform(request),
        }
        Ok(BlockAnswer::Done)
    }
}

/// Two connections write, durably or not, zero and flush; then the power goes. Whatever was answered durably, and whatever was
/// answered on either connection before a flush on either was sent, is there. Blocks are written once.
#[test]
fn what_is_durable_survives_a_loss_of_power_whichever_connection_flushed() {
    for seed in 0..40_u64 {
        let scratch = Scratch::new();
        let losing = Arc::new(Losing { medium: MemoryDevice::new(SIZE), cache: std::sync::Mutex::default() });
        losing.medium.write_at(0, &vec![0x77; SIZE as usize], true).expect("written");
        let table = DeviceTable::new();
        table.insert("disk", losing.clone());
        let socket = scratch.path("socket");
        let server =
            Server::start(listen(&socket).expect("bound"), table, Limits::default()).expect("started");
        let devices = [connect(&socket), connect(&socket)];
        let mut state = seed;
        let mut random = |below: u64| varan_environment::split_mix(&mut state) % below;
        // Blocks with the byte that they hold, once it is durable.
        let (mut answered, mut durable) = (Vec::new(), Vec::new());
        for block in 0..100_u64 {
            let device = &devices[random(2) as usize];
            let now = random(3) == 0;
            let byte = if random(4) == 0 { 0 } else { block as u8 + 1 };
            let offset = block * 4_096;
            if byte == 0 {
                let zeroes = BlockRequest::WriteZeroes {
                    offset,
                    length: 4_096,
                    may_trim: true,
                    force_unit_access: now,
                    only_fast: false,
                };
                device.perform(zeroes).expect("zeroed");
            } else {
                device.write_at(offset, &[byte; 4_096], now).expect("written");
            }
            if now { &mut durable } else { &mut answered }.push((offset, byte));
            if random(10) == 0 {
                devices[random(2) as usize].flush().expect("flushed");
                durable.append(&mut answered);
            }
        }
        drop(devices);
        drop(server);
        losing.lose_power(seed);
        for (offset, byte) in durable {
            let bytes = losing.medium.read_at(offset, 4_096).expect("read");
            assert!(bytes.iter().all(|other| *other == byte), "seed {seed}: {byte} at {offset}");
        }
    }
}
