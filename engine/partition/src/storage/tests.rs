//! Seeded simulation: two servers that crash, hang and come back with stale writes, one array, one client that writes a
//! pattern. Nothing acknowledged may be lost, and nothing stale may land on top of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use varan_contract::block::{BlockError, PathGeneration, Udid};
use varan_contract::storage::{ServedKind, StorageError};
use varan_environment::{Monotonic, split_mix};
use varan_model::ids::VirtualSlot;

use super::initiator::Initiator;
use super::workload::{DiskWorkload, Phase};
use super::{Answer, Command, Operation, SeenUnit, UnitKey};

const SLOTS: [VirtualSlot; 2] = [VirtualSlot(2), VirtualSlot(3)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Up,
    /// Takes requests and does nothing with them until it goes on.
    Hung,
    Down,
}

struct Server {
    health: Health,
    /// Generation under which the client opened the unit; `None` while it is not open.
    open: Option<PathGeneration>,
    /// Requests in the server, with the generation that they came under.
    held: Vec<(PathGeneration, Command)>,
}

/// Everything outside the client.
struct World {
    random: u64,
    udid: Udid,
    now: Monotonic,
    bytes: HashMap<u64, Vec<u8>>,
    minimum: HashMap<VirtualSlot, PathGeneration>,
    servers: BTreeMap<VirtualSlot, Server>,
    /// What reaches the client, and when.
    answers: Vec<(Monotonic, Answer)>,
    /// Whether the array checks generations; without it the simulation must find lost writes.
    fenced: bool,
}

impl World {
    fn new(seed: u64, fenced: bool) -> Self {
        let server = || Server { health: Health::Up, open: None, held: Vec::new() };
        Self {
            random: seed,
            udid: "600507680C800001".parse().expect("udid"),
            now: Monotonic::default(),
            bytes: HashMap::new(),
            minimum: HashMap::new(),
            servers: SLOTS.into_iter().map(|slot| (slot, server())).collect(),
            answers: Vec::new(),
            fenced,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        split_mix(&mut self.random) % limit
    }

    fn answer(&mut self, answer: Answer) {
        let delay = Duration::from_millis(self.below(30));
        self.answers.push((self.now.after(delay), answer));
    }

    fn take(&mut self, command: Command) {
        let slot = match &command {
            Command::Connect { adapter }
            | Command::Open { adapter, .. }
            | Command::Submit { adapter, .. } => *adapter,
            Command::Revoke { via, .. } => *via,
        };
        let server = self.servers.get_mut(&slot).expect("server");
        match (server.health, &command) {
            (Health::Hung, _) => {
                let generation = server.open.unwrap_or(PathGeneration(0));
                server.held.push((generation, command));
            }
            (Health::Down, _) => self.refuse(command),
            (Health::Up, _) => {
                let generation = server.open.unwrap_or(PathGeneration(0));
                self.serve(slot, generation, command);
            }
        }
    }

    fn refuse(&mut self, command: Command) {
        let error = StorageError::NotServing;
        self.answer(match command {
            Command::Connect { adapter } => Answer::Connected { adapter, result: Err(error) },
            Command::Open { adapter, unit, generation } => {
                Answer::Opened { adapter, unit, generation, result: Err(error) }
            }
            Command::Submit { tag, .. } => Answer::Done { tag, result: Err(BlockError::Gone) },
            Command::Revoke { udid, of, minimum, .. } => {
                Answer::Revoked { udid, of, minimum, result: Err(error) }
            }
        });
    }

    fn serve(&mut self, slot: VirtualSlot, generation: PathGeneration, command: Command) {
        let answer = match command {
            Command::Connect { adapter } => {
                let unit = SeenUnit {
                    key: UnitKey::Lun(0x8100_0000_0000_0000),
                    udid: self.udid.clone(),
                    bytes: 64 << 20,
                    kind: ServedKind::Disk,
                };
                Answer::Connected { adapter, result: Ok(vec![unit]) }
            }
            Command::Open { adapter, unit, generation } => {
                let stale = self.fenced && self.minimum.get(&slot).is_some_and(|least| generation < *least);
                let result = if stale { Err(StorageError::Block(BlockError::Revoked)) } else { Ok(()) };
                if !stale {
                    self.servers.get_mut(&slot).expect("server").open = Some(generation);
                }
                Answer::Opened { adapter, unit, generation, result }
            }
            Command::Submit { tag, operation, .. } => {
                Answer::Done { tag, result: self.reach(slot, generation, operation) }
            }
            Command::Revoke { udid, of, minimum, .. } => {
                self.minimum.insert(of, minimum);
                Answer::Revoked { udid, of, minimum, result: Ok(()) }
            }
        };
        self.answer(answer);
    }

    /// A request reaches the array.
    fn reach(
        &mut self,
        slot: VirtualSlot,
        generation: PathGeneration,
        operation: Operation,
    ) -> Result<Vec<u8>, BlockError> {
        if self.fenced && self.minimum.get(&slot).is_some_and(|least| generation < *least) {
            return Err(BlockError::Revoked);
        }
        Ok(match operation {
            Operation::Read { offset, length } => {
                self.bytes.get(&offset).cloned().unwrap_or_else(|| vec![0; length])
            }
            Operation::Write { offset, data } => {
                self.bytes.insert(offset, data);
                Vec::new()
            }
        })
    }

    fn set(&mut self, slot: VirtualSlot, health: Health) {
        let server = self.servers.get_mut(&slot).expect("server");
        let before = std::mem::replace(&mut server.health, health);
        let held = std::mem::take(&mut server.held);
        match (before, health) {
            // What it held goes to the array now: stale, if the client has moved on.
            (Health::Hung, Health::Up) => {
                for (generation, command) in held {
                    self.serve(slot, generation, command);
                }
            }
            (_, Health::Down) => {
                server.open = None;
                held.into_iter().for_each(|(_, command)| self.refuse(command));
            }
            _ => server.held = held,
        }
    }
}

/// Runs a client against a world with faults; returns the number of wrong blocks and of I/O errors.
fn run(seed: u64, fenced: bool) -> (u64, u64, u64) {
    let mut world = World::new(seed, fenced);
    let mut disks = Initiator::new("hdisk", Vec::new(), 1, 15.0);
    disks.configure(SLOTS.into_iter().zip(["vscsi0".to_owned(), "vscsi1".to_owned()]).collect());
    let mut workload: Option<DiskWorkload> = None;
    let end = Monotonic::default().after(Duration::from_secs(60));
    let stop_at = Monotonic::default().after(Duration::from_secs(30));
    let faults_until = Monotonic::default().after(Duration::from_secs(40));
    while world.now < end {
        if workload.is_none() && disks.disk("hdisk0").is_some() {
            workload = Some(DiskWorkload::start(world.now, "hdisk0", seed, 24, 400));
        }
        if world.now < faults_until {
            if world.below(150) == 0 {
                let slot = SLOTS[world.below(2) as usize];
                let health = [Health::Up, Health::Hung, Health::Hung, Health::Down][world.below(4) as usize];
                world.set(slot, health);
            }
        } else {
            SLOTS.into_iter().for_each(|slot| world.set(slot, Health::Up));
        }
        step(&mut world, &mut disks, workload.as_mut());
        let Some(workload) = &mut workload else { continue };
        // The last writes are over before the last server that hangs goes on: what is stale stays visible.
        let phase = workload.progress().phase;
        if world.now > stop_at && phase == Phase::Running {
            workload.stop(world.now, false);
        } else if world.now > faults_until.after(Duration::from_secs(8)) && phase == Phase::Stopped {
            workload.stop(world.now, true);
        }
    }
    let progress = workload.expect("a disk was found").progress();
    match progress.phase {
        Phase::Verified { wrong } => (wrong, progress.errors, progress.written),
        other => panic!("seed {seed}: {other:?} {progress:?}"),
    }
}

fn step(world: &mut World, disks: &mut Initiator, mut workload: Option<&mut DiskWorkload>) {
    let (commands, _, finished) = disks.take();
    if let Some(workload) = &mut workload {
        finished.iter().for_each(|finished| workload.takes(world.now, finished));
    }
    commands.into_iter().for_each(|command| world.take(command));
    world.now = world.now.after(Duration::from_millis(10));
    let now = world.now;
    let (due, later): (Vec<_>, Vec<_>) =
        std::mem::take(&mut world.answers).into_iter().partition(|(when, _)| *when <= now);
    world.answers = later;
    due.into_iter().for_each(|(_, answer)| disks.answer(now, answer));
    disks.run_due(now);
    if let Some(workload) = workload
        && workload.due().is_some_and(|due| due <= now)
    {
        workload.tick(now, disks);
    }
}

#[test]
fn servers_that_crash_and_hang_lose_no_write() {
    for seed in 0..60 {
        let (wrong, errors, written) = run(seed, true);
        assert_eq!((wrong, errors), (0, 0), "seed {seed}: {wrong} wrong blocks, {errors} errors");
        assert!(written > 500, "seed {seed}: only {written} blocks were written");
    }
}

/// The same world without the array's check: stale writes must show, else the test above proves nothing.
#[test]
fn without_the_check_at_the_array_stale_writes_are_found() {
    let found = (0..60).filter(|seed| run(*seed, false).0 > 0).count();
    assert!(found > 0, "no stale write in sixty worlds");
}

#[test]
fn a_failed_path_stays_failed_until_it_is_checked() {
    let mut world = World::new(1, true);
    let mut disks = Initiator::new("hdisk", Vec::new(), 1, 15.0);
    disks.configure(SLOTS.into_iter().zip(["vscsi0".to_owned(), "vscsi1".to_owned()]).collect());
    let settle = |world: &mut World, disks: &mut Initiator, seconds: u32| {
        (0..seconds * 100).for_each(|_| step(world, disks, None));
        let disk = disks.disk("hdisk0").expect("disk");
        disk.paths.iter().map(|path| path.state.word()).collect::<Vec<_>>()
    };
    assert_eq!(settle(&mut world, &mut disks, 1), ["Enabled", "Enabled"]);
    world.set(SLOTS[0], Health::Down);
    disks.submit(world.now, "hdisk0", Operation::Read { offset: 0, length: 512 }).expect("room");
    assert_eq!(settle(&mut world, &mut disks, 5), ["Failed", "Enabled"]);
    world.set(SLOTS[0], Health::Up);
    assert_eq!(settle(&mut world, &mut disks, 5), ["Failed", "Enabled"]);
    assert!(disks.change_path(world.now, "hdisk0", SLOTS[0], true));
    assert_eq!(settle(&mut world, &mut disks, 1), ["Enabled", "Enabled"]);
    // The same with a health check.
    world.set(SLOTS[1], Health::Down);
    assert!(disks.change_path(world.now, "hdisk0", SLOTS[0], false));
    assert_eq!(settle(&mut world, &mut disks, 1), ["Disabled", "Enabled"]);
    disks.submit(world.now, "hdisk0", Operation::Read { offset: 0, length: 512 }).expect("room");
    assert_eq!(settle(&mut world, &mut disks, 2), ["Disabled", "Failed"]);
    assert!(disks.disk("hdisk0").expect("disk").stalled());
    world.set(SLOTS[1], Health::Up);
    assert_eq!(
        settle(&mut world, &mut disks, 3),
        ["Disabled", "Enabled"],
        "a disk without any path tries again"
    );
    assert!(disks.set_health_check(world.now, "hdisk0", 2));
    assert!(!disks.change_path(world.now, "hdisk0", SLOTS[1], false), "the last path stays");
}
