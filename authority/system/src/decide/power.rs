//! Power: of partitions and of the system.
//!
//! ```text
//!              on                      guest up
//! NotActivated ──> Starting ────────────────────> Running
//!      ^   ^          │ └── sms, of, no disk ──> OpenFirmware
//!      │   │          │                              │
//!      │   └── off ───┴──────── stop ──> ShuttingDown <── stop (Running, OpenFirmware)
//!      │                                     │
//!      └──────────── guest off ──────────────┘     (restart: back to Starting)
//!
//! system: PowerOff ── on ──> Initializing ──> Operating | Standby ── off ──> PowerOffInProgress ──> PowerOff
//! ```

use varan_contract::engine::StopRequest;
use varan_contract::system::{PowerOnOptions, Selector, SystemPower};
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::ids::PartitionId;
use varan_model::partition::{Keylock, Partition, PartitionEntry, PartitionState, Runtime};
use varan_model::refusal::Refusal;
use varan_model::rules::activation;
use varan_model::system::SystemState;
use varan_model::units::ProcessingUnits;

use super::{Answer, Decision, Effect, Moment};
use crate::world::{Change, World};

/// Real seconds that a system takes to power off.
pub const POWER_OFF_SECONDS: u64 = 60;
/// Real seconds that a system takes to initialize.
pub const INITIALIZE_SECONDS: u64 = 300;

pub(super) fn check_operating(world: &World) -> Result<(), Refusal> {
    match world.system().state {
        SystemState::Operating | SystemState::Standby => Ok(()),
        _ => Err(Refusal::new(MessageKey::SystemNotOperating)),
    }
}

pub(super) fn power_on(
    world: &World,
    selector: &Selector,
    options: &PowerOnOptions,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    check_operating(world)?;
    let profile = match &options.profile {
        Some(name) => {
            let found = entry.partition.profile(name);
            let found = found.ok_or_else(|| Refusal::new(MessageKey::ProfileNotFound).with(name))?;
            Some((name.as_str(), &found.configuration))
        }
        None => None,
    };
    if !entry.runtime.state.is_off() {
        return Err(Refusal::new(MessageKey::NotActivatedRequired));
    }
    let mut decision = activate(world, entry, profile, moment)?;
    for change in &mut decision.changes {
        match change {
            Change::PutPartition(partition) => {
                if let Some(keylock) = options.keylock {
                    partition.settings.keylock = keylock;
                }
            }
            Change::PutRuntime(_, runtime) => runtime.boot_mode = options.boot_mode,
            _ => {}
        }
    }
    Ok(decision)
}

/// Activates a partition that is off with a profile, or with its current configuration.
///
/// # Errors
/// No configuration, or not enough resources; a failed activation is left to the caller to show.
pub fn activate(
    world: &World,
    entry: &PartitionEntry,
    profile: Option<(&str, &Configuration)>,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let wanted = match (profile, &entry.partition.current) {
        (Some((_, content)), _) => content,
        (None, Some(current)) => current,
        (None, None) => return Err(Refusal::new(MessageKey::NoCurrentConfiguration)),
    };
    let planned = activation::plan(wanted, world.system(), world)?;
    super::processor_pool::check_room(world, entry.partition.id, &planned)?;
    let mut partition = (*entry.partition).clone();
    let mut settings = world.system().settings.clone();
    let name = profile.map_or_else(|| partition.current_profile.clone(), |(name, _)| name.to_owned());
    let kept = partition.settings.clone();
    super::definition::take_profile(world, &mut partition, &planned, &name, &mut settings)?;
    if profile.is_none() {
        // The current configuration is used as it is; only a profile hands over its settings.
        partition.settings = kept;
    }
    partition.wanted_on = true;
    partition.activations += 1;
    partition.revision += 1;
    let runtime = started(&partition, &planned, &entry.runtime, moment);
    let id = partition.id;
    let mut effects = vec![Effect::Start(id)];
    effects.extend(super::course::server_effects(
        world,
        entry.partition.current.as_ref(),
        partition.current.as_ref(),
    ));
    let mut changes =
        vec![Change::PutPartition(Box::new(partition)), Change::PutRuntime(id, Box::new(runtime))];
    if settings != world.system().settings {
        changes.push(Change::PutSettings(Box::new(settings)));
    }
    if world.system().state == SystemState::Standby {
        changes.push(Change::SystemState(SystemState::Operating));
    }
    Ok(Decision { changes, effects, answer: Answer::Now })
}

fn started(partition: &Partition, planned: &Configuration, before: &Runtime, moment: Moment) -> Runtime {
    debug_assert!(partition.current.is_some());
    Runtime {
        state: PartitionState::Starting,
        generation: moment.generation,
        reference_codes: before.reference_codes.clone(),
        memory: planned.desired_memory,
        processors: planned.desired_processors,
        units: planned.entitlement(),
        ..Runtime::default()
    }
}

/// Reference code of a partition that is off, as the documents show it.
const OFF: &str = "00000000";
/// Reference codes of a partition that the hypervisor could not start for want of resources, oldest first; the number of
/// the partition follows the last one.
const COULD_NOT_START: [&str; 3] = ["D200C300", "D200C301", "B2001230 LP="];

/// The runtime of a partition that is off.
pub(super) fn off(before: &Runtime, state: PartitionState, wall_seconds: i64) -> Runtime {
    let mut reference_codes = before.reference_codes.clone();
    if state == PartitionState::NotActivated {
        reference_codes.post(wall_seconds, OFF.to_owned());
    }
    Runtime {
        state,
        generation: before.generation,
        reference_codes,
        units: ProcessingUnits(0),
        ..Runtime::default()
    }
}

/// The state that a failed activation leaves: Error, with the reference codes that say so. The definition is as before.
#[must_use]
pub fn could_not_start(entry: &PartitionEntry, wall_seconds: i64) -> Change {
    let mut runtime = off(&entry.runtime, PartitionState::Error, wall_seconds);
    for code in COULD_NOT_START {
        let number = if code.ends_with('=') { format!("{:05}", entry.partition.id.0) } else { String::new() };
        runtime.reference_codes.post(wall_seconds, format!("{code}{number}"));
    }
    Change::PutRuntime(entry.partition.id, Box::new(runtime))
}

/// Whether an activation that was refused so failed in the hypervisor, and not before anything was tried.
#[must_use]
pub fn failed_in_hypervisor(refusal: &Refusal) -> bool {
    matches!(
        refusal.key,
        MessageKey::NotEnoughMemory
            | MessageKey::NotEnoughProcessors
            | MessageKey::PhysicalSlotInUse
            | MessageKey::LogicalPortUsed
            | MessageKey::LogicalPortsExhausted
            | MessageKey::CapacityExceeded
            | MessageKey::SriovAdapterDedicated
            | MessageKey::HostRefused
    )
}

fn unwanted(entry: &PartitionEntry) -> Option<Change> {
    entry.partition.wanted_on.then(|| {
        let mut partition = (*entry.partition).clone();
        partition.wanted_on = false;
        partition.revision += 1;
        Change::PutPartition(Box::new(partition))
    })
}

pub(super) fn stop(
    world: &World,
    selector: &Selector,
    request: StopRequest,
    restart: bool,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    super::definition::check_reachable(world)?;
    let by_system = matches!(request, StopRequest::OperatingSystem | StopRequest::OperatingSystemImmediate);
    match entry.runtime.state {
        PartitionState::NotActivated | PartitionState::NotAvailable => {
            return Err(Refusal::new(MessageKey::AlreadyOff));
        }
        PartitionState::Error if !by_system => {
            let runtime = Box::new(off(&entry.runtime, PartitionState::NotActivated, moment.wall_seconds));
            let mut changes: Vec<Change> = unwanted(entry).into_iter().collect();
            changes.push(Change::PutRuntime(entry.partition.id, runtime));
            return Ok(Decision { changes, ..Decision::default() });
        }
        PartitionState::Running => {}
        _ if by_system => return Err(Refusal::new(MessageKey::OperatingSystemShutdownUnavailable)),
        _ => {}
    }
    if by_system && entry.runtime.rmc != varan_model::partition::RmcState::Active {
        return Err(Refusal::new(MessageKey::OperatingSystemShutdownUnavailable));
    }
    let mut runtime = (*entry.runtime).clone();
    runtime.state = PartitionState::ShuttingDown;
    // An operating system may not hear: what it was asked for is recorded when it is done.
    let recorded = if restart || by_system { None } else { unwanted(entry) };
    let mut changes: Vec<Change> = recorded.into_iter().collect();
    changes.push(Change::PutRuntime(entry.partition.id, Box::new(runtime)));
    let partition = entry.partition.uuid;
    Ok(Decision {
        changes,
        effects: vec![Effect::Stop { partition, request, restart }],
        answer: Answer::WhenStopped(partition),
    })
}

pub(super) fn turn_key(
    world: &World,
    selector: Option<&Selector>,
    keylock: Keylock,
) -> Result<Decision, Refusal> {
    let Some(selector) = selector else {
        // The system's own key is the service processor's, whether the system is on or off.
        let mut settings = world.system().settings.clone();
        settings.keylock = keylock;
        return Ok(Decision::change(Change::PutSettings(Box::new(settings))));
    };
    super::definition::check_reachable(world)?;
    let entry = world.snapshot.find(selector)?;
    let mut partition = (*entry.partition).clone();
    partition.settings.keylock = keylock;
    partition.revision += 1;
    Ok(Decision::change(Change::PutPartition(Box::new(partition))))
}

pub(super) fn power_system(world: &World, power: SystemPower, moment: Moment) -> Result<Decision, Refusal> {
    if power != SystemPower::Rebuild {
        super::firmware::check_idle(world)?;
    }
    let state = world.system().state;
    match power {
        SystemPower::On | SystemPower::OnStandby => match state {
            SystemState::PowerOff => Ok(initialize(world, power == SystemPower::OnStandby, moment)),
            SystemState::Standby if power == SystemPower::On => Ok(Decision {
                changes: vec![Change::SystemState(SystemState::Operating)],
                effects: vec![Effect::StartByPolicy],
                ..Decision::default()
            }),
            _ => Err(Refusal::new(MessageKey::SystemNotPoweredOff)),
        },
        SystemPower::Off { immediate, restart } => match state {
            SystemState::Operating | SystemState::Standby | SystemState::PowerOffInProgress => {
                power_off(world, immediate, restart, moment)
            }
            // A system whose hypervisor failed has nothing to wait for.
            SystemState::Error => power_off(world, true, restart, moment),
            _ => Err(Refusal::new(MessageKey::SystemNotOperating)),
        },
        // The state is always read from the one place that holds it, so that there is nothing to rebuild.
        SystemPower::Rebuild => Ok(Decision::default()),
    }
}

/// Power is on: the side that was chosen is started.
fn started_system(world: &World) -> Change {
    let mut settings = world.system().settings.clone();
    settings.powered_on = true;
    let mut levels = world.system().firmware().clone();
    levels.start(settings.temporary_side);
    settings.firmware = Some(levels);
    Change::PutSettings(Box::new(settings))
}

fn powered(world: &World, on: bool) -> Change {
    let mut settings = world.system().settings.clone();
    settings.powered_on = on;
    Change::PutSettings(Box::new(settings))
}

pub(super) fn initialize(world: &World, standby: bool, moment: Moment) -> Decision {
    let to = if standby { SystemState::Standby } else { SystemState::Operating };
    Decision {
        changes: vec![
            started_system(world),
            Change::SystemState(SystemState::Initializing),
            Change::SystemReferenceCode(moment.wall_seconds, "C1001F00".to_owned()),
        ],
        effects: vec![Effect::SystemTransition {
            to,
            real_seconds: INITIALIZE_SECONDS,
            restart: false,
            standby,
        }],
        answer: Answer::Now,
    }
}

pub(super) fn power_off(
    world: &World,
    immediate: bool,
    restart: bool,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let running: Vec<&PartitionEntry> = world
        .snapshot
        .partitions
        .iter()
        .map(|(_, entry)| entry)
        .filter(|entry| !matches!(entry.runtime.state, PartitionState::NotActivated))
        .collect();
    if !immediate && world.system().state == SystemState::PowerOffInProgress {
        return Err(Refusal::new(MessageKey::SystemNotOperating));
    }
    let mut changes = vec![
        powered(world, restart),
        Change::SystemState(SystemState::PowerOffInProgress),
        Change::SystemReferenceCode(moment.wall_seconds, "D1001800".to_owned()),
    ];
    let stopped = |entry: &PartitionEntry| {
        let runtime = off(&entry.runtime, PartitionState::NotActivated, moment.wall_seconds);
        Change::PutRuntime(entry.partition.id, Box::new(runtime))
    };
    if immediate || running.iter().all(|entry| entry.runtime.state.is_off()) {
        changes.extend(running.into_iter().map(stopped));
        let transition = Effect::SystemTransition {
            to: SystemState::PowerOff,
            real_seconds: POWER_OFF_SECONDS,
            restart,
            standby: false,
        };
        return Ok(Decision { changes, effects: vec![Effect::PowerLoss, transition], answer: Answer::Now });
    }
    // Partitions first; the system follows when the last one is off.
    let mut effects = Vec::new();
    for entry in running {
        if entry.runtime.state.is_off() {
            changes.push(stopped(entry));
            continue;
        }
        let mut runtime = (*entry.runtime).clone();
        runtime.state = PartitionState::ShuttingDown;
        let request = StopRequest::Delayed;
        effects.push(Effect::Stop { partition: entry.partition.uuid, request, restart: false });
        changes.push(Change::PutRuntime(entry.partition.id, Box::new(runtime)));
    }
    Ok(Decision { changes, effects, answer: Answer::Now })
}

/// What follows when the time of a transition of the system is over.
#[must_use]
pub fn system_timer(
    world: &World,
    to: SystemState,
    restart: bool,
    standby: bool,
    moment: Moment,
) -> Decision {
    match to {
        SystemState::PowerOff if restart => {
            let mut decision = initialize(world, standby, moment);
            decision.changes.insert(0, Change::SystemState(SystemState::PowerOff));
            decision
        }
        SystemState::Operating => Decision {
            changes: vec![
                Change::SystemState(SystemState::Operating),
                Change::SystemReferenceCode(moment.wall_seconds, String::new()),
            ],
            effects: vec![Effect::StartByPolicy],
            answer: Answer::Now,
        },
        state => Decision {
            changes: vec![
                Change::SystemState(state),
                Change::SystemReferenceCode(moment.wall_seconds, String::new()),
            ],
            ..Decision::default()
        },
    }
}

/// The partitions that start when the system comes up, in the order of their numbers, servers first.
#[must_use]
pub fn start_by_policy(world: &World) -> Vec<PartitionId> {
    use varan_model::configuration::PartitionEnvironment;
    use varan_model::system::StartPolicy;
    let policy = world.system().settings.start_policy;
    let starts = |entry: &PartitionEntry| match policy {
        StartPolicy::UserInitiated => false,
        StartPolicy::AutoStart => entry.partition.settings.auto_start,
        StartPolicy::AutoRecovery => entry.partition.settings.auto_start || entry.partition.wanted_on,
    };
    let mut found: Vec<(bool, PartitionId)> = world
        .snapshot
        .partitions
        .iter()
        .filter(|(_, entry)| starts(entry) && entry.runtime.state.is_off())
        .map(|(id, entry)| {
            (entry.partition.environment != PartitionEnvironment::VirtualIoServer, PartitionId(id))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, id)| id).collect()
}
