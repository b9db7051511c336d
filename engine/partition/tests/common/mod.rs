//! A virtual world for the engine: time that moves when it is told to, seeded randomness, recorded events.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_contract::engine::{
    BootDisk, BootMode, EngineEvent, EngineEventKind, EngineEvents, Generation, GuestNetworkAdapter,
    GuestSpecification, GuestState, GuestTerminal, Installation, OperatingSystemReport, PartitionEngine,
    Personality, ProcessorAllocation,
};
use varan_environment::{Environment, Monotonic, WallClock, split_mix};
use varan_model::ids::{MacAddress, PartitionId, PartitionUuid, VirtualSlot};
use varan_partition_engine::{EmbeddedEngine, EngineOptions, FrameArena, MemoryBootDisk, Workers};

/// 2015-06-18 17:15:00 UTC.
pub const START_OF_TIME: i128 = 1_434_647_700_000_000_000;

pub struct VirtualEnvironment {
    now: Mutex<Duration>,
    seed: Mutex<u64>,
}

impl VirtualEnvironment {
    pub fn new(seed: u64) -> Self {
        Self { now: Mutex::default(), seed: Mutex::new(seed) }
    }

    pub fn advance(&self, duration: Duration) -> Monotonic {
        let mut now = self.now.lock().expect("no panic");
        *now += duration;
        Monotonic(*now)
    }
}

impl Environment for VirtualEnvironment {
    fn monotonic(&self) -> Monotonic {
        Monotonic(*self.now.lock().expect("no panic"))
    }

    fn wall_clock(&self) -> WallClock {
        WallClock(START_OF_TIME + self.monotonic().0.as_nanos() as i128)
    }

    fn random(&self) -> u64 {
        split_mix(&mut self.seed.lock().expect("no panic"))
    }
}

#[derive(Default)]
pub struct Recorder {
    pub events: Mutex<Vec<EngineEvent>>,
}

impl EngineEvents for Recorder {
    fn engine_event(&self, event: EngineEvent) {
        self.events.lock().expect("no panic").push(event);
    }
}

pub fn arena(limit_bytes: u64) -> FrameArena {
    FrameArena::new(limit_bytes).expect("address space")
}

/// A stepped engine in a virtual world.
pub struct World {
    pub environment: Arc<VirtualEnvironment>,
    pub recorder: Arc<Recorder>,
    pub engine: EmbeddedEngine,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with_memory(seed, 1 << 30)
    }

    pub fn with_memory(seed: u64, memory_limit_bytes: u64) -> Self {
        Self::with_arena(seed, arena(memory_limit_bytes))
    }

    pub fn with_arena(seed: u64, arena: FrameArena) -> Self {
        let environment = Arc::new(VirtualEnvironment::new(seed));
        let recorder = Arc::new(Recorder::default());
        let options = EngineOptions { time_scale: 1.0, workers: Workers::Stepped };
        let engine =
            EmbeddedEngine::new(options, arena, environment.clone(), recorder.clone()).expect("no threads");
        Self { environment, recorder, engine }
    }

    pub fn run(&self, duration: Duration) {
        let now = self.environment.monotonic();
        self.engine.step_until(now.after(duration));
        self.environment.advance(duration);
    }

    pub fn seconds(&self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    pub fn take_events(&self) -> Vec<EngineEventKind> {
        let events = std::mem::take(&mut *self.recorder.events.lock().expect("no panic"));
        events.into_iter().map(|event| event.kind).collect()
    }

    /// Starts a partition and runs it for longer than any boot takes; returns the events.
    pub fn boot(&self, specification: &GuestSpecification) -> Vec<EngineEventKind> {
        self.engine.start(specification.clone()).expect("room");
        self.seconds(150);
        self.take_events()
    }

    pub fn terminal(&self, partition: PartitionUuid) -> Dialogue<'_> {
        Dialogue { world: self, terminal: self.engine.open_terminal(partition).expect("free") }
    }
}

/// Somebody at a virtual terminal.
pub struct Dialogue<'world> {
    world: &'world World,
    pub terminal: Box<dyn GuestTerminal>,
}

impl Dialogue<'_> {
    /// Types a line and returns what is shown until nothing more happens, with line feeds only.
    pub fn line(&self, line: &str) -> String {
        self.bytes(format!("{line}\r").as_bytes())
    }

    pub fn bytes(&self, bytes: &[u8]) -> String {
        self.terminal.write(bytes);
        self.world.run(Duration::ZERO);
        let mut shown = Vec::new();
        self.terminal.read(&mut shown);
        String::from_utf8(shown).expect("UTF-8").replace("\r\n", "\n")
    }

    /// Runs a command: what is shown without the echoed line and the prompt after it.
    pub fn command(&self, line: &str) -> String {
        let shown = self.line(line);
        let shown = shown.strip_prefix(&format!("{line}\n")).expect(&shown);
        let prompt = shown.rfind('\n').map_or(0, |end| end + 1);
        shown[..prompt].to_owned()
    }

    pub fn login(&self, name: &str, password: &str) -> String {
        let mut shown = self.line(name);
        shown.push_str(&self.line(password));
        shown
    }
}

pub fn disk() -> Arc<MemoryBootDisk> {
    Arc::new(MemoryBootDisk::new(1 << 20))
}

pub fn level(personality: Personality) -> &'static str {
    match personality {
        Personality::Aix => "7100-03-05-1524",
        Personality::Linux => "4.18.0-553.el8_10.ppc64le",
        Personality::VirtualIoServer => "2.2.6.21",
        Personality::IbmI => "7.4",
    }
}

pub fn processors() -> ProcessorAllocation {
    ProcessorAllocation {
        processors: 2,
        entitlement_hundredths: 50,
        dedicated: false,
        uncapped: true,
        uncapped_weight: 128,
        donating: false,
    }
}

pub fn specification(
    number: u16,
    personality: Personality,
    boot_disk: Option<Arc<dyn BootDisk>>,
) -> GuestSpecification {
    GuestSpecification {
        partition: PartitionUuid::from_random(u128::from(number) << 8),
        generation: Generation(1),
        name: format!("lpar{number}"),
        id: PartitionId(number),
        machine: "9119-MME*659707C".parse().expect("valid"),
        processor_mode: "POWER8".to_owned(),
        memory_megabytes: 4096,
        maximum_memory_megabytes: 8192,
        processors: processors(),
        boot_mode: BootMode::Normal,
        network_adapters: vec![GuestNetworkAdapter {
            offered_address: Some((Ipv4Addr::new(10, 10, 0, 7), 16)),
            ..GuestNetworkAdapter::untagged(
                VirtualSlot(2),
                MacAddress(0xFACC_157C_3E00 + u64::from(number)),
                "ETHERNET0",
                1,
            )
        }],
        device_adapters: Vec::new(),
        io_slots: Vec::new(),
        logical_ports: Vec::new(),
        virtual_nics: Vec::new(),
        vnic_servers: Vec::new(),
        boot_disk,
        installation: Installation {
            personality,
            level: level(personality).to_owned(),
            hostname: format!("host{number}"),
            address: None,
        },
        engine: varan_model::partition::GuestEngine::default(),
    }
}

pub fn codes(events: &[EngineEventKind]) -> Vec<&str> {
    let mut codes = Vec::new();
    for event in events {
        if let EngineEventKind::ReferenceCode(code) = event {
            codes.push(code.as_str());
        }
    }
    codes
}

pub fn states(events: &[EngineEventKind]) -> Vec<GuestState> {
    let state = |event: &EngineEventKind| match event {
        EngineEventKind::State(state) => Some(state.clone()),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}

pub fn reports(events: &[EngineEventKind]) -> Vec<OperatingSystemReport> {
    let report = |event: &EngineEventKind| match event {
        EngineEventKind::OperatingSystem(report) => Some(report.clone()),
        _ => None,
    };
    events.iter().filter_map(report).collect()
}
