//! What a console keeps of what happens on a system: the system here is a stand-in that a test sets.

#![allow(missing_docs)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_console::*;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::*;
use varan_environment::{Environment, Monotonic, WallClock, split_mix};
use varan_model::attributes::Release;
use varan_model::codes::MessageKey;
use varan_model::configuration::{MemoryMode, ProcessorMode, SharingMode};
use varan_model::hardware::{Hardware, ProcessorFamily};
use varan_model::ids::*;
use varan_model::partition::{PartitionState, ReferenceCodes, Usage};
use varan_model::service::{ErrorLog, Failure};
use varan_model::system::{ManagedSystem, SystemSettings, SystemState};
use varan_model::units::ProcessingUnits;
use varan_model::utilization::{PartitionUtilization, UtilizationReport};

struct Clock {
    seconds: Mutex<i64>,
    random: Mutex<u64>,
}

impl Environment for Clock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_secs(1))
    }
    fn wall_clock(&self) -> WallClock {
        WallClock(i128::from(*self.seconds.lock().expect("lock")) * 1_000_000_000)
    }
    fn random(&self) -> u64 {
        split_mix(&mut self.random.lock().expect("lock"))
    }
}

struct Fake {
    hardware: Arc<Hardware>,
    state: Mutex<SystemState>,
    errors: Mutex<ErrorLog>,
    partitions: Mutex<Vec<PartitionUtilization>>,
    time_cycles: Mutex<u64>,
    connected: AtomicBool,
    calls: AtomicUsize,
    receivers: Mutex<Vec<Arc<dyn SystemEvents>>>,
    sequence: Mutex<u64>,
}

impl Fake {
    fn announce(&self, kind: SystemEventKind) {
        let mut sequence = self.sequence.lock().expect("lock");
        *sequence += 1;
        for receiver in self.receivers.lock().expect("lock").iter() {
            receiver.system_event(&SystemEvent { sequence: *sequence, kind: kind.clone() });
        }
    }

    fn fail(&self, code: &str, partition: Option<u16>) {
        let partition = partition.map(|id| (PartitionId(id), format!("lpar{id}")));
        let failure = Failure {
            reference_code: code.to_owned(),
            text: format!("{code} failed"),
            partition,
            part: None,
        };
        let mut errors = self.errors.lock().expect("lock");
        errors.add(100, failure);
        let latest = errors.latest();
        drop(errors);
        self.announce(SystemEventKind::ErrorLogged(latest));
    }

    fn system(&self) -> Arc<ManagedSystem> {
        Arc::new(ManagedSystem {
            hardware: self.hardware.clone(),
            settings: SystemSettings::new(&self.hardware, true),
            state: *self.state.lock().expect("lock"),
            usage: Usage::default(),
            reference_codes: ReferenceCodes::default(),
            partition_count: 1,
        })
    }
}

impl SystemLink for Fake {
    fn call(&self, _: RequestId, request: SystemRequest) -> Result<SystemReply, CallError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.connected.load(Ordering::SeqCst) {
            return Err(CallError::NoConnection);
        }
        Ok(match request {
            SystemRequest::GetSystem => SystemReply::System(self.system()),
            SystemRequest::ListErrors { after } => {
                let errors = self.errors.lock().expect("lock");
                SystemReply::Errors {
                    entries: errors.after(after).cloned().collect(),
                    latest: errors.latest(),
                }
            }
            SystemRequest::GetUtilization(ids) => {
                let wanted =
                    |one: &&PartitionUtilization| ids.as_ref().is_none_or(|ids| ids.contains(&one.id));
                let partitions =
                    self.partitions.lock().expect("lock").iter().filter(wanted).cloned().collect();
                let time_cycles = *self.time_cycles.lock().expect("lock");
                SystemReply::Utilization(Box::new(UtilizationReport {
                    system: self.system(),
                    time_cycles,
                    partitions,
                }))
            }
            _ => SystemReply::Done,
        })
    }
    fn open_terminal(&self, _: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        Err(CallError::NoConnection)
    }
    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.receivers.lock().expect("lock").push(receiver);
    }
}

fn partition(id: u16, generation: u64, used: u64) -> PartitionUtilization {
    PartitionUtilization {
        id: PartitionId(id),
        uuid: PartitionUuid::from_random(u128::from(id)),
        name: format!("lpar{id}"),
        state: PartitionState::Running,
        generation,
        mode: ProcessorMode::Shared,
        sharing: SharingMode::Uncapped,
        weight: 128,
        pool: Some(0),
        processors: 1,
        units: ProcessingUnits(50),
        memory: 1_024,
        entitled_cycles: 1_000,
        capped_cycles: used,
        uncapped_cycles: 0,
        idle_cycles: 1_000 - used,
        donated_cycles: 0,
        memory_mode: MemoryMode::Dedicated,
        interactive_percent: ProcessingUnits(0),
    }
}

struct World {
    fake: Arc<Fake>,
    clock: Arc<Clock>,
    directory: PathBuf,
    console: Option<Console>,
}

impl World {
    fn new(name: &str) -> Self {
        let hardware = Arc::new(Hardware {
            site_name: "p814-1".to_owned(),
            aliases: Vec::new(),
            identity: "8286-41A*1000002".parse().expect("identity"),
            uuid: SystemUuid::from_random(1),
            family: ProcessorFamily::Power8,
            installed_processors: ProcessingUnits::whole(8),
            configurable_processors: ProcessingUnits::whole(8),
            installed_memory: 65_536,
            memory_region_size: 256,
            firmware: "01SV830_048".parse().expect("firmware"),
            delivered_firmware: varan_model::firmware::FirmwareLevels::of(
                "01SV830_048".parse().expect("firmware"),
            ),
            minimum_units_per_processor: ProcessingUnits(5),
            maximum_partitions: 1_000,
            capability_overrides: Vec::new(),
            enterprise_edition: true,
            virtual_switches: vec!["ETHERNET0".to_owned()],
            management_vlan: (1, "ETHERNET0".to_owned()),
            slots: Vec::new(),
            vepa_switches: Vec::new(),
            sriov_adapters: Vec::new(),
        });
        let fake = Arc::new(Fake {
            hardware,
            state: Mutex::new(SystemState::Operating),
            errors: Mutex::default(),
            partitions: Mutex::new(vec![partition(1, 1, 10)]),
            time_cycles: Mutex::new(1_000),
            connected: AtomicBool::new(true),
            calls: AtomicUsize::new(0),
            receivers: Mutex::default(),
            sequence: Mutex::default(),
        });
        let clock = Arc::new(Clock { seconds: Mutex::new(3_600), random: Mutex::new(1) });
        let directory = std::env::temp_dir().join(format!("varan-observation-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        let mut world = Self { fake, clock, directory, console: None };
        world.open();
        world
    }

    /// Opens the console anew over what its directory holds.
    fn open(&mut self) {
        self.console = None;
        let connection = SystemConnection {
            hardware: self.fake.hardware.clone(),
            address: "10.0.0.1".to_owned(),
            link: self.fake.clone(),
        };
        let description = ConsoleDescription {
            name: "myhmc".to_owned(),
            hostname: "myhmc".to_owned(),
            domain: String::new(),
            address: String::new(),
            release_text: "V8R8.6.0".to_owned(),
            release: Release(8, 8, 6, 0),
            base_version: "V8R8.6.0".to_owned(),
            service_pack: "0".to_owned(),
            build_level: "1".to_owned(),
            bios_level: "1.0".to_owned(),
            memory_bytes: 0,
            fixes: Vec::new(),
            identity: "7042-CR7*1234567".parse().expect("identity"),
            users: Vec::new(),
        };
        let opened = Console::open(&self.directory, description, self.clock.clone(), vec![connection]);
        self.console = Some(opened.expect("console"));
    }

    fn console(&self) -> &Console {
        self.console.as_ref().expect("console")
    }

    fn system(&self) -> Arc<SystemConnection> {
        self.console().systems().next().expect("system").clone()
    }

    fn catch_up(&self) {
        self.console().catch_up(&self.system()).expect("caught up");
    }

    fn at(&self, seconds: i64) {
        *self.clock.seconds.lock().expect("lock") = seconds;
    }

    /// Kinds, times and partitions of all events of a rank, newest first.
    fn listed(&self, rank: Rank) -> Vec<(UtilizationKind, i64, usize)> {
        let visit = |found: &mut Vec<_>, event: UtilizationEvent| {
            found.push((event.kind, event.seconds, event.resources.len()));
            true
        };
        self.console()
            .utilization(&self.system(), (i64::MIN, i64::MAX), rank, Vec::new(), visit)
            .expect("utilization")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.console = None;
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn each_entry_of_the_error_log_becomes_one_event() {
    let mut world = World::new("events");
    world.fake.fail("B1", None);
    world.fake.fail("BA", Some(3));
    world.catch_up();
    let events = world.console().service_events().expect("events");
    let seen: Vec<_> = events.iter().map(|one| (one.problem, one.reference_code.as_str())).collect();
    assert_eq!(seen, [(2, "BA"), (1, "B1")]);
    assert_eq!(events[0].partition, Some((3, "lpar3".to_owned())));
    // Nothing is read twice, not even by a console that starts again.
    world.catch_up();
    world.open();
    world.catch_up();
    assert_eq!(world.console().service_events().expect("events").len(), 2);
    // The same once more is counted while the event is open, and a new event afterwards.
    world.fake.fail("B1", None);
    world.open();
    world.catch_up();
    let events = world.console().service_events().expect("events");
    assert_eq!((events.len(), events[1].duplicates), (2, 1));
    world.console().close_service_event(1, "hscroot", Some("done")).expect("closed");
    let again = world.console().close_service_event(1, "hscroot", None).expect_err("closed already");
    assert_eq!(again.key, MessageKey::ProblemClosed);
    world.fake.fail("B1", None);
    world.open();
    world.catch_up();
    let events = world.console().service_events().expect("events");
    assert_eq!(
        events.iter().map(|one| (one.problem, one.open)).collect::<Vec<_>>(),
        [(3, true), (2, true), (1, false)]
    );
    assert_eq!(events[2].comments.len(), 1);
}

#[test]
fn a_system_that_was_away_is_caught_up_with() {
    let mut world = World::new("away");
    world.fake.connected.store(false, Ordering::SeqCst);
    world.fake.fail("B1", None);
    world.catch_up();
    assert_eq!(world.console().service_events().expect("events"), []);
    world.fake.connected.store(true, Ordering::SeqCst);
    world.catch_up();
    assert_eq!(world.console().service_events().expect("events").len(), 1);
    // The data of the system was replaced: its log is another one.
    world.fake.fail("B1", None);
    world.fake.fail("B1", None);
    world.open();
    world.catch_up();
    *world.fake.errors.lock().expect("lock") = ErrorLog::default();
    world.fake.fail("B9", None);
    world.open();
    world.catch_up();
    let events = world.console().service_events().expect("events");
    assert_eq!(events[0].reference_code, "B9");
}

#[test]
fn a_sample_is_one_request_and_one_row() {
    let world = World::new("samples");
    *world.fake.partitions.lock().expect("lock") = (1..=500).map(|id| partition(id, 1, 10)).collect();
    let before = world.fake.calls.load(Ordering::SeqCst);
    world.console().sample(&world.system()).expect("sample");
    assert_eq!(world.fake.calls.load(Ordering::SeqCst) - before, 1);
    // The system, the physical pool, the default pool, and the partitions.
    assert_eq!(world.listed(Rank::Sampled), [(UtilizationKind::Sample, 3_600, 503)]);
}

#[test]
fn hours_days_and_months_turn() {
    let world = World::new("ranks");
    for seconds in [3_600, 3_660, 7_200, 7_260, 86_400, 86_460, 31 * 86_400, 31 * 86_400 + 60] {
        world.at(seconds);
        world.console().sample(&world.system()).expect("sample");
    }
    let times = |rank| world.listed(rank).iter().map(|(_, seconds, _)| *seconds).collect::<Vec<_>>();
    assert_eq!(times(Rank::Monthly), [31 * 86_400]);
    assert_eq!(times(Rank::Daily), [31 * 86_400, 86_400]);
    assert_eq!(times(Rank::Hourly), [31 * 86_400, 86_400, 7_200]);
    assert_eq!(times(Rank::Sampled).len(), 8);
    world.console().remove_utilization(&world.system()).expect("removed");
    assert_eq!(world.listed(Rank::Sampled), []);
}

#[test]
fn samples_are_bounded() {
    let world = World::new("bounded");
    // Within one hour, so that all have the lowest rank.
    for _ in 0..SAMPLES_KEPT[0] + 7 {
        world.console().sample(&world.system()).expect("sample");
    }
    assert_eq!(world.listed(Rank::Sampled).len(), SAMPLES_KEPT[0] as usize);
}

#[test]
fn pools_count_on_through_activations_and_restarts() {
    let mut world = World::new("pools");
    let utilized = |world: &World| {
        let visit = |found: &mut Option<u64>, event: UtilizationEvent| {
            *found = event.resources.iter().find_map(|one| match one {
                UtilizationResource::Pool(pool) if pool.pool.is_none() => Some(pool.utilized_cycles),
                _ => None,
            });
            false
        };
        let range = (i64::MIN, i64::MAX);
        world.console().utilization(&world.system(), range, Rank::Sampled, None, visit).expect("utilization")
    };
    let sample = |world: &World, generation, used| {
        *world.fake.partitions.lock().expect("lock") = vec![partition(1, generation, used)];
        *world.fake.time_cycles.lock().expect("lock") += 1_000;
        world.console().sample(&world.system()).expect("sample");
    };
    sample(&world, 1, 10);
    assert_eq!(utilized(&world), Some(10));
    sample(&world, 1, 25);
    assert_eq!(utilized(&world), Some(25));
    // Activated anew: its counters begin at 0.
    sample(&world, 2, 5);
    assert_eq!(utilized(&world), Some(30));
    // A console that starts again goes on where it was.
    world.open();
    sample(&world, 2, 6);
    assert_eq!(utilized(&world), Some(31));
    // The system lost its power: everything begins anew.
    *world.fake.time_cycles.lock().expect("lock") = 0;
    sample(&world, 3, 7);
    assert_eq!(utilized(&world), Some(7));
}

#[test]
fn sample_rates_are_durable() {
    let mut world = World::new("rates");
    assert_eq!(world.console().sample_rate(&world.system()), SAMPLE_RATE_DEFAULT);
    assert!(world.console().set_sample_rate(&world.system(), 45).is_err());
    world.console().set_sample_rate(&world.system(), 60).expect("rate");
    world.open();
    assert_eq!(world.console().sample_rate(&world.system()), 60);
}

/// The whole way: events of the system, the observing thread, the database.
#[test]
fn states_are_recorded_as_they_change() {
    let mut world = World::new("states");
    let console = Arc::new(world.console.take().expect("console"));
    console.observe().expect("thread");
    let system = console.systems().next().expect("system").clone();
    console.catch_up(&system).expect("caught up");
    let events = |kind: UtilizationKind| {
        let visit = move |found: &mut Vec<UtilizationResource>, event: UtilizationEvent| {
            if event.kind == kind {
                found.extend(event.resources);
            }
            true
        };
        console.utilization(&system, (i64::MIN, i64::MAX), Rank::Sampled, Vec::new(), visit).expect("read")
    };
    assert_eq!(events(UtilizationKind::StateChange), [UtilizationResource::Console]);
    world.fake.partitions.lock().expect("lock")[0].state = PartitionState::NotActivated;
    world.fake.announce(SystemEventKind::PartitionState(PartitionId(1)));
    console.catch_up(&system).expect("caught up");
    // A reference code is no change of the state.
    world.fake.announce(SystemEventKind::PartitionState(PartitionId(1)));
    console.catch_up(&system).expect("caught up");
    let states = events(UtilizationKind::StateChange);
    assert_eq!(states.len(), 2, "{states:?}");
    assert!(
        matches!(&states[0], UtilizationResource::Partition(one) if one.state == PartitionState::NotActivated)
    );
    world.fake.partitions.lock().expect("lock")[0].memory = 2_048;
    world.fake.announce(SystemEventKind::PartitionChanged(PartitionId(1)));
    console.catch_up(&system).expect("caught up");
    assert_eq!(events(UtilizationKind::ConfigurationChange).len(), 1);
    *world.fake.state.lock().expect("lock") = SystemState::PowerOff;
    world.fake.announce(SystemEventKind::SystemState(SystemState::PowerOff));
    console.catch_up(&system).expect("caught up");
    assert!(
        matches!(&events(UtilizationKind::StateChange)[0], UtilizationResource::System(one) if one.state == SystemState::PowerOff)
    );
}
