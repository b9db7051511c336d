//! A simulated run of one managed system: the real authority, the real database code and the real embedded engine, under
//! virtual time and seeded randomness. The same seed gives the same trace.
//!
//! Each step draws a command or a fault, lets virtual time pass, and checks: a refusal changes nothing, what was
//! acknowledged survives a loss of power, the sums agree with a fresh count. Trace columns: virtual seconds, step, what was
//! done, outcome, states of the partitions (number and first letter of the state).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use varan_contract::engine::{BootDisk, PartitionEngine, StopRequest};
use varan_contract::network::NoNetwork;
use varan_contract::system::{
    CallError, DynamicOperation, PowerOnOptions, RequestId, Resource, Selector, SystemEvents, SystemPower,
    SystemRequest,
};
use varan_environment::{Environment, Monotonic, WallClock};
use varan_model::hardware::Hardware;
use varan_model::ids::PartitionUuid;
use varan_model::partition::Partition;
use varan_model::record::parse_record;
use varan_model::site::Site;
use varan_model::system::SystemSettings;
use varan_partition_engine::{EmbeddedEngine, EngineOptions, FrameArena, MemoryBootDisk, Workers};
use varan_simulator::{Randomness, VirtualClock};
use varan_system::authority::{Authority, Parts};
use varan_system::guest::{BootDisks, GuestSettings, ManagementNetwork};
use varan_system::inbox::Inbox;
use varan_system::{InitialPartition, Opening, open};

use crate::boot_disks::LosableBootDisks;
use crate::frame::{self, Layout};

/// Real memory of simulated guests, in bytes.
const GUEST_MEMORY: u64 = 256 << 20;
/// Size of a simulated boot disk, in bytes.
const BOOT_DISK_BYTES: usize = 1 << 20;

/// Virtual clock and seeded randomness as an environment.
pub(crate) struct SimulatedEnvironment {
    pub(crate) clock: VirtualClock,
    randomness: Mutex<Randomness>,
}

impl SimulatedEnvironment {
    pub(crate) fn new(seed: u64) -> Self {
        Self { clock: VirtualClock::default(), randomness: Mutex::new(Randomness::new(seed)) }
    }
}

impl Environment for SimulatedEnvironment {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.clock.monotonic())
    }

    fn wall_clock(&self) -> WallClock {
        WallClock(self.clock.wall_clock())
    }

    fn random(&self) -> u64 {
        self.randomness.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}

/// Boot disks that outlive a loss of power.
#[derive(Default)]
pub(crate) struct MemoryDisks(Mutex<BTreeMap<PartitionUuid, Arc<MemoryBootDisk>>>);

impl BootDisks for MemoryDisks {
    fn open(&self, partition: PartitionUuid) -> std::io::Result<Arc<dyn BootDisk>> {
        let mut disks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = disks.entry(partition).or_insert_with(|| Arc::new(MemoryBootDisk::new(BOOT_DISK_BYTES)));
        Ok(disk.clone())
    }

    fn remove(&self, partition: PartitionUuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }
}

/// The same, which faults can take away.
pub(crate) type Disks = LosableBootDisks<MemoryDisks>;

/// A machine that whoever holds it steps.
pub(crate) struct Machine {
    authority: Authority,
    engine: Arc<EmbeddedEngine>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) subscribers: Arc<Mutex<Vec<Arc<dyn SystemEvents>>>>,
}

/// What a machine is switched on with.
pub(crate) struct World {
    directory: PathBuf,
    environment: Arc<SimulatedEnvironment>,
    disks: Arc<Disks>,
    hardware: Arc<Hardware>,
    settings: SystemSettings,
    partitions: Vec<InitialPartition>,
    network: ManagementNetwork,
}

impl World {
    /// A machine of a site with the partitions that the site begins with.
    pub(crate) fn of_site(
        site: &Site,
        index: usize,
        layout: &Layout,
        environment: Arc<SimulatedEnvironment>,
    ) -> Self {
        let system = &site.managed_systems[index];
        let hardware = Arc::new(frame::hardware(system));
        Self {
            directory: layout.frame(&system.name),
            environment,
            disks: Arc::default(),
            settings: frame::first_settings(system, &hardware),
            hardware,
            partitions: frame::initial_partitions(system),
            network: frame::management_network(system, index),
        }
    }

    /// Switches the machine on: opens its database, starts what the policy says.
    pub(crate) fn power(&self) -> Result<Machine, String> {
        let opening = Opening {
            directory: &self.directory,
            hardware: self.hardware.clone(),
            settings: self.settings.clone(),
            partitions: &self.partitions,
            environment: &*self.environment,
        };
        let opened = open(opening).map_err(|error| error.to_string())?;
        let inbox = Arc::new(Inbox::default());
        let options = EngineOptions { time_scale: 1.0, workers: Workers::Stepped };
        let arena = FrameArena::new(GUEST_MEMORY).map_err(|error| error.to_string())?;
        let environment: Arc<dyn Environment> = self.environment.clone();
        let engine = EmbeddedEngine::new(options, arena, environment.clone(), inbox.clone());
        let engine = Arc::new(engine.map_err(|error| error.to_string())?);
        let subscribers: Arc<Mutex<Vec<Arc<dyn SystemEvents>>>> = Arc::default();
        let mut authority = Authority::new(Parts {
            published: Arc::new(varan_system::published(&opened.world)),
            world: opened.world,
            store: opened.store,
            firmware: opened.firmware,
            requests: opened.requests,
            engine: engine.clone(),
            guests: GuestSettings {
                boot_disks: self.disks.clone(),
                network: Some(self.network),
                hypervisor: Arc::new(NoNetwork),
            },
            environment,
            time_scale: 1.0,
            inbox: inbox.clone(),
            subscribers: subscribers.clone(),
        });
        authority.start_initial(&opened.start);
        Ok(Machine { authority, engine, inbox, subscribers })
    }
}

impl Machine {
    /// Lets everything happen that is due.
    pub(crate) fn settle(&mut self, environment: &SimulatedEnvironment) {
        loop {
            self.engine.step_until(environment.monotonic());
            let inputs = self.inbox.drain();
            let due = self.authority.next_wake().is_some_and(|wake| wake <= environment.monotonic());
            if inputs.is_empty() && !due {
                return;
            }
            self.authority.step(inputs);
        }
    }

    fn definitions(&self) -> Vec<Arc<Partition>> {
        self.authority.world().snapshot.partitions.iter().map(|(_, entry)| entry.partition.clone()).collect()
    }

    fn states(&self) -> String {
        let mut line = String::new();
        for (id, entry) in self.authority.world().snapshot.partitions.iter() {
            let letter = entry.runtime.state.word().chars().next().unwrap_or('?');
            let _ = write!(line, " {id}{letter}");
        }
        line
    }
}

/// Runs `steps` steps from `seed` with the hardware of the site's first system, database in `directory` (empty). Every
/// trace line goes to `trace`.
///
/// # Errors
/// What broke, with the seed.
pub fn run(
    site: &Site,
    directory: &Path,
    seed: u64,
    steps: u64,
    trace: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let mut draws = Randomness::new(seed ^ 0x5EED);
    let environment = Arc::new(SimulatedEnvironment::new(seed));
    let hardware = Arc::new(frame::hardware(&site.managed_systems[0]));
    let world = World {
        directory: directory.to_owned(),
        environment: environment.clone(),
        disks: Arc::default(),
        settings: SystemSettings::new(&hardware, true),
        hardware,
        partitions: Vec::new(),
        network: frame::management_network(&site.managed_systems[0], 0),
    };
    let mut machine = Some(world.power()?);
    for step in 0..steps {
        let (name, outcome) = one_step(&world, &mut machine, &mut draws, step)
            .map_err(|error| format!("seed {seed}, step {step}: {error}"))?;
        let wait = Duration::from_millis(draws.between(0, 120_000));
        environment.clock.advance_to(environment.clock.monotonic() + wait);
        let Some(machine) = &mut machine else { return Err(format!("seed {seed}: the machine is off")) };
        machine.settle(&environment);
        let seconds = environment.clock.monotonic().as_secs();
        trace(&format!("{seconds:>7} {step:>4} {name:<34} {outcome:<10}{}", machine.states()));
    }
    Ok(())
}

fn one_step(
    world: &World,
    machine: &mut Option<Machine>,
    draws: &mut Randomness,
    step: u64,
) -> Result<(String, String), String> {
    if draws.chance(40_000) {
        let before = machine.as_ref().map(Machine::definitions).unwrap_or_default();
        if let Some(lost) = machine.take() {
            lost.engine.power_loss();
        }
        // What the lost machine had open is closed by now, as its process's end closes it.
        let fresh = world.power()?;
        let after = fresh.definitions();
        *machine = Some(fresh);
        let same = before.len() == after.len()
            && before
                .iter()
                .zip(&after)
                .all(|(one, two)| one.uuid == two.uuid && one.profiles == two.profiles);
        return if same {
            Ok(("power loss".to_owned(), "recovered".to_owned()))
        } else {
            Err("a definition was lost".to_owned())
        };
    }
    let machine = machine.as_mut().ok_or("the machine is off")?;
    let name = format!("lpar{}", draws.between(1, 6));
    let (shown, request) = draw_request(draws, &name);
    let before = machine.authority.world().snapshot.clone();
    let (reply, answer) = sync_channel(1);
    if !machine.inbox.request(RequestId(u128::from(step) + 1), request, reply) {
        return Err("the inbox refused".to_owned());
    }
    machine.authority.step(machine.inbox.drain());
    let outcome = match answer.try_recv() {
        Ok(Ok(_)) => "done".to_owned(),
        Ok(Err(CallError::Refused(refusal))) => {
            let after = &machine.authority.world().snapshot;
            let same = before.system == after.system && before.partitions.iter().eq(after.partitions.iter());
            if !same {
                return Err(format!("a refusal changed something: {shown}"));
            }
            let code = refusal.key.message().code;
            if code.is_empty() { "refused".to_owned() } else { code.to_owned() }
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => "waits".to_owned(),
    };
    Ok((shown, outcome))
}

const RECORD: &str = "profile_name=default_profile,lpar_env=aixlinux,min_mem=256,desired_mem=1024,max_mem=4096,proc_mode=shared,sharing_mode=uncap,uncap_weight=128,min_procs=1,desired_procs=1,max_procs=4,min_proc_units=0.1,desired_proc_units=0.2,max_proc_units=2.0,virtual_eth_adapters=2/0/1//0/0";

fn draw_request(draws: &mut Randomness, name: &str) -> (String, SystemRequest) {
    let partition = Selector::Name(name.to_owned());
    let change = |text: &str| SystemRequest::ChangePartition {
        partition: partition.clone(),
        record: parse_record(text).unwrap_or_default(),
    };
    let memory = |operation, megabytes| SystemRequest::ChangeResource {
        partition: partition.clone(),
        operation,
        resource: Resource::Memory(megabytes),
        wait_minutes: 5,
    };
    match draws.below(12) {
        0..=2 => {
            let record = parse_record(&format!("name={name},{RECORD}")).unwrap_or_default();
            (format!("mksyscfg {name}"), SystemRequest::CreatePartition { record })
        }
        3..=5 => {
            let options =
                PowerOnOptions { profile: Some("default_profile".to_owned()), ..PowerOnOptions::default() };
            (format!("chsysstate -o on {name}"), SystemRequest::PowerOn { partition, options })
        }
        6 => {
            let stop =
                SystemRequest::Stop { partition, request: StopRequest::OperatingSystem, restart: false };
            (format!("chsysstate -o osshutdown {name}"), stop)
        }
        7 => {
            let stop = SystemRequest::Stop {
                partition,
                request: StopRequest::Immediate,
                restart: draws.chance(500_000),
            };
            (format!("chsysstate -o shutdown {name}"), stop)
        }
        8 => {
            (format!("chhwres -r mem -o a {name}"), memory(DynamicOperation::Add, 256 * draws.between(1, 4)))
        }
        9 => (format!("chhwres -r mem -o r {name}"), memory(DynamicOperation::Remove, 256)),
        10 => {
            (format!("rmsyscfg {name}"), SystemRequest::RemovePartition { partition, server_adapters: false })
        }
        _ if draws.chance(200_000) => {
            let off = SystemPower::Off { immediate: true, restart: true };
            ("chsysstate -r sys -o off --restart".to_owned(), SystemRequest::PowerSystem(off))
        }
        _ => (format!("chsyscfg {name}"), change("auto_start=1,description=simulated")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(name: &str, seed: u64, steps: u64) -> Vec<String> {
        let directory = std::env::temp_dir().join(format!("varan-simulation-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        let site = crate::sites::load("demo").expect("site");
        let mut lines = Vec::new();
        run(&site, &directory, seed, steps, &mut |line| lines.push(line.to_owned()))
            .unwrap_or_else(|error| panic!("{error}"));
        let _ = std::fs::remove_dir_all(&directory);
        lines
    }

    #[test]
    fn the_same_seed_gives_the_same_trace() {
        let (one, two) = (traced("one", 7, 120), traced("two", 7, 120));
        assert_eq!(one, two);
        assert_ne!(one, traced("other", 8, 120));
        assert!(one.iter().any(|line| line.contains('R')), "something ran:\n{}", one.join("\n"));
    }

    #[test]
    fn many_seeds_keep_the_promises() {
        for seed in 100..112 {
            traced(&format!("many{seed}"), seed, 200);
        }
    }
}
