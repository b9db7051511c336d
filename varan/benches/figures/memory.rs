//! Resident memory of a whole site with all its partitions running and idle. Each measurement has a process of its own,
//! so that none sees what another left behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan::frame::{GUEST_MEMORY_DEFAULT, Layout};
use varan_contract::engine::{BootDisk, PartitionEngine};
use varan_contract::system::SystemLink;
use varan_environment::Environment;
use varan_model::ids::PartitionUuid;
use varan_model::partition::{PartitionState, RmcState};
use varan_model::site::Site;
use varan_model::system::SystemSettings;
use varan_partition_engine::{EmbeddedEngine, EngineOptions, FileBootDisk, FrameArena, Workers};
use varan_system::guest::{BootDisks, GuestSettings, ManagementNetwork};
use varan_system::inbox::Inbox;
use varan_system::{InitialPartition, Opening, SystemHandle};

use crate::measured::{self, FRAMES, PROFILE, Scratch, UserShell, frame_name};
use crate::statistics::{Spread, count, head, number, row};
use crate::{SIZES, scaled};

/// First argument of a process that measures one site.
pub const CHILD: &str = "memory-of";
const ROUNDS: usize = 3;
/// Boots take milliseconds; what is resident afterwards does not depend on it.
const TIME_SCALE: u32 = 20_000;
/// How often the site is looked at while it boots.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What one process measured, in bytes.
#[derive(Serialize, Deserialize)]
struct Measured {
    empty: u64,
    defined: u64,
    running: u64,
    guests: u64,
    frames: u64,
    tables: u64,
    state: u64,
    terminals: u64,
    driver: u64,
    boot_seconds: f64,
}

struct Disks(PathBuf);

impl BootDisks for Disks {
    fn open(&self, partition: PartitionUuid) -> std::io::Result<Arc<dyn BootDisk>> {
        std::fs::create_dir_all(&self.0)?;
        Ok(Arc::new(FileBootDisk::new(self.0.join(format!("{partition}.disk")))))
    }

    fn remove(&self, partition: PartitionUuid) {
        let _ = std::fs::remove_file(self.0.join(format!("{partition}.disk")));
    }
}

/// Starts one frame as the program does, and keeps its engine at hand.
fn start_frame(
    site: &Site,
    index: usize,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    arena: &FrameArena,
) -> (Arc<SystemHandle>, Arc<EmbeddedEngine>) {
    let system = &site.managed_systems[index];
    let hardware = Arc::new(varan::frame::hardware(system));
    let directory = layout.frame(&system.name);
    let network = system.management.network;
    let initial = |partition| InitialPartition {
        record: system.creation_record(partition),
        installation: partition.installation(network),
        start: partition.start,
    };
    let partitions: Vec<InitialPartition> = system.partitions.iter().map(initial).collect();
    let opened = varan_system::open(Opening {
        directory: &directory,
        settings: SystemSettings::new(&hardware, true),
        hardware,
        partitions: &partitions,
        environment: &**environment,
    });
    let guests = GuestSettings {
        boot_disks: Arc::new(Disks(directory.join("disks"))),
        network: Some(ManagementNetwork {
            network: network.address,
            prefix: network.prefix_length,
            system_index: u16::try_from(index).expect("few frames"),
        }),
        hypervisor: Arc::new(varan_contract::network::NoNetwork),
    };
    let options =
        EngineOptions { time_scale: site.time_scale, workers: Workers::Threads(std::num::NonZeroUsize::MIN) };
    let mut kept = None;
    let make_engine = |inbox: Arc<Inbox>| -> std::io::Result<Arc<dyn PartitionEngine>> {
        let engine = EmbeddedEngine::new(options, arena.clone(), environment.clone(), inbox)
            .map_err(std::io::Error::other)?;
        let engine = Arc::new(engine);
        kept = Some(engine.clone());
        Ok(engine)
    };
    let opened = opened.expect("frame");
    let handle = varan_system::start(opened, make_engine, guests, environment.clone(), site.time_scale);
    (Arc::new(handle.expect("authority")), kept.expect("engine"))
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes << 10
}

fn idle(frame: &SystemHandle, engine: &EmbeddedEngine) -> bool {
    let snapshot = frame.snapshot();
    engine.timers() == 0
        && snapshot.partitions.iter().all(|(_, entry)| {
            entry.runtime.state == PartitionState::Running && entry.runtime.rmc == RmcState::Active
        })
}

/// Measures one site in this process and prints one line.
pub fn child(partitions: usize, directory: &Path, environment: &Arc<dyn Environment>) {
    let site = measured::parse(&measured::site_text(partitions, TIME_SCALE, None));
    let layout = Layout::new(directory);
    let arena = FrameArena::new(GUEST_MEMORY_DEFAULT).expect("address space");
    let empty = resident();
    let (frames, engines): (Vec<_>, Vec<_>) =
        (0..FRAMES).map(|index| start_frame(&site, index, &layout, environment, &arena)).unzip();
    let links: Vec<Arc<dyn SystemLink>> =
        frames.iter().map(|frame| frame.clone() as Arc<dyn SystemLink>).collect();
    let console = measured::console(&site, &layout, environment, &links);
    let defined = resident();
    let begin = environment.monotonic();
    std::thread::scope(|scope| {
        for index in 0..FRAMES {
            let (console, layout) = (&console, &layout);
            scope.spawn(move || {
                let names: Vec<String> =
                    (1..=partitions / FRAMES).map(|number| format!("p{number}")).collect();
                let (frame, names) = (frame_name(index), names.join(","));
                let command = format!("chsysstate -r lpar -m {frame} -o on -f {PROFILE} -n {names}");
                UserShell::open(console, layout).done(&command);
            });
        }
    });
    while !frames.iter().zip(&engines).all(|(frame, engine)| idle(frame, engine)) {
        std::thread::sleep(LOOK_INTERVAL);
    }
    let boot_seconds = environment.monotonic().since(begin).as_secs_f64();
    let running = resident();
    let reports: Vec<_> = engines.iter().map(|engine| engine.resident()).collect();
    let sum =
        |part: fn(&varan_partition_engine::ResidentReport) -> u64| reports.iter().map(part).sum::<u64>();
    let measured = Measured {
        empty,
        defined,
        running,
        guests: sum(|report| report.guests),
        frames: sum(|report| report.frame_bytes),
        tables: sum(|report| report.table_bytes),
        state: sum(|report| report.state_bytes),
        terminals: sum(|report| report.terminal_bytes),
        driver: sum(|report| report.driver_bytes),
        boot_seconds,
    };
    println!("{}", serde_json::to_string(&measured).expect("JSON"));
    for frame in &frames {
        frame.stop();
    }
}

fn measure_one(partitions: usize) -> Measured {
    let scratch = Scratch::new("figures-memory");
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args([CHILD, &partitions.to_string()]).arg(scratch.path()).output();
    let output = output.expect("the measuring process");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr));
    })
}

/// Measures and prints.
pub fn measure(_: &Arc<dyn Environment>) {
    let mut results: Vec<Vec<Measured>> = SIZES.iter().map(|_| Vec::new()).collect();
    for _ in 0..scaled(ROUNDS) {
        for (partitions, measured) in SIZES.iter().zip(&mut results) {
            measured.push(measure_one(*partitions));
        }
    }
    let columns = [
        "running partitions",
        "page frames",
        "page tables",
        "guest state",
        "terminals",
        "driver",
        "sum of parts",
        "process growth",
        "defined, not running",
        "whole process MiB",
        "all booted after s",
    ];
    head("Resident memory, KiB for each partition", &columns);
    for (partitions, rounds) in SIZES.iter().zip(&results) {
        assert!(rounds.iter().all(|one| one.guests == *partitions as u64));
        let each = |part: fn(&Measured) -> u64| {
            let spread = Spread::of(rounds.iter().map(|one| part(one) as f64 / 1_024.0 / *partitions as f64));
            if spread.low == spread.high { number(spread.median) } else { spread.show() }
        };
        row(&[
            count(*partitions),
            each(|one| one.frames),
            each(|one| one.tables),
            each(|one| one.state),
            each(|one| one.terminals),
            each(|one| one.driver),
            each(|one| one.frames + one.tables + one.state + one.terminals + one.driver),
            each(|one| one.running.saturating_sub(one.defined)),
            each(|one| one.defined.saturating_sub(one.empty)),
            Spread::of(rounds.iter().map(|one| one.running as f64 / f64::from(1 << 20))).show(),
            Spread::of(rounds.iter().map(|one| one.boot_seconds)).show(),
        ]);
    }
}
