//! What an engine's event means for a partition.

use varan_contract::engine::{
    AdapterAddress, AdoptedGuest, EngineEvent, EngineEventKind, GuestState, OperatingSystemReport,
    StopRequest,
};
use varan_model::ids::VirtualSlot;
use varan_model::partition::{OperatingSystem, PartitionEntry, PartitionState, RmcState, Runtime};
use varan_model::rules::validity;
use varan_model::system::SystemState;

use super::power::{POWER_OFF_SECONDS, off};
use super::{Decision, Effect, Moment};
use crate::world::{Change, World};

/// Real seconds after which RMC reaches a partition whose operating system is up. The documents say 5 to 7 minutes.
pub const RMC_SECONDS: u64 = 300;

/// Decides what follows from an engine event. Events of an earlier activation are nothing.
#[must_use]
pub fn engine_event(world: &World, event: &EngineEvent, moment: Moment) -> Decision {
    let Some(entry) = world.by_uuid(event.partition) else { return Decision::default() };
    if entry.runtime.generation != event.generation.0 || entry.runtime.state.is_off() {
        return Decision::default();
    }
    let mut runtime = (*entry.runtime).clone();
    let mut effects = Vec::new();
    match &event.kind {
        EngineEventKind::ReferenceCode(code) => {
            runtime.reference_codes.post(moment.wall_seconds, code.clone())
        }
        EngineEventKind::State(state) => return state_change(world, entry, state, moment),
        EngineEventKind::OperatingSystem(report) => {
            runtime.operating_system = Some(operating_system(world, entry, report));
            if let Some(sessions) = &report.rmc_sessions {
                // The guest's daemons reached the console, or did not; nothing is left to wait for.
                let connected = report.rmc_running && !sessions.is_empty();
                let running = runtime.state == PartitionState::Running;
                runtime.rmc = if connected && running { RmcState::Active } else { RmcState::Inactive };
                let changes = vec![Change::PutRuntime(entry.partition.id, Box::new(runtime))];
                return Decision { changes, ..Decision::default() };
            }
            let reachable = report.rmc_running && managed_address(world, entry, report).is_some();
            if reachable && runtime.rmc == RmcState::Inactive {
                effects.push(Effect::RmcAfterDelay(event.partition, RMC_SECONDS));
            } else if !reachable {
                runtime.rmc = RmcState::Inactive;
            }
        }
        EngineEventKind::StopNotHeard(_) => {
            if runtime.state != PartitionState::ShuttingDown {
                return Decision::default();
            }
            // Only a running operating system is asked to shut down, so this is what it still does.
            runtime.state = PartitionState::Running;
        }
        // Answers to dynamic changes are matched with their plans by the authority.
        EngineEventKind::MemorySet { .. }
        | EngineEventKind::ProcessorsSet { .. }
        | EngineEventKind::AdapterChanged { .. } => {
            return Decision::default();
        }
    }
    let changes = vec![Change::PutRuntime(entry.partition.id, Box::new(runtime))];
    Decision { changes, effects, ..Decision::default() }
}

/// The address by which the console reaches the partition: one on the management VLAN.
fn managed_address(
    world: &World,
    entry: &PartitionEntry,
    report: &OperatingSystemReport,
) -> Option<std::net::Ipv4Addr> {
    let (vlan, virtual_switch) = &world.system().hardware.management_vlan;
    let content = entry.partition.current.as_ref()?;
    let slot = validity::adapter_on(content, *vlan, virtual_switch)?;
    report.addresses.iter().find(|(one, _)| *one == slot).map(|(_, address)| *address)
}

/// The address of a partition whose session is not over the management VLAN.
fn reached_at(report: &OperatingSystemReport) -> Option<std::net::Ipv4Addr> {
    let connected = report.rmc_sessions.as_ref().is_some_and(|sessions| !sessions.is_empty());
    report.addresses.first().filter(|_| connected).map(|(_, address)| *address)
}

fn operating_system(
    world: &World,
    entry: &PartitionEntry,
    report: &OperatingSystemReport,
) -> OperatingSystem {
    OperatingSystem {
        version: report.version.clone(),
        hostname: report.hostname.clone(),
        address: managed_address(world, entry, report).or_else(|| reached_at(report)),
        rsct_node_id: report.rsct_node_id.clone(),
        rmc_sessions: report.rmc_sessions.clone(),
    }
}

fn state_change(world: &World, entry: &PartitionEntry, state: &GuestState, moment: Moment) -> Decision {
    let mut runtime = (*entry.runtime).clone();
    let id = entry.partition.id;
    // A partition that is being shut down stays so until it is off, whatever its guest is doing meanwhile.
    let going_down = runtime.state == PartitionState::ShuttingDown;
    match state {
        GuestState::Starting if !going_down => runtime.state = PartitionState::Starting,
        GuestState::OpenFirmware if !going_down => runtime.state = PartitionState::OpenFirmware,
        GuestState::Running if !going_down => {
            runtime.state = PartitionState::Running;
            let sessions = runtime.operating_system.as_ref().and_then(|system| system.rmc_sessions.as_ref());
            if sessions.is_some_and(|sessions| !sessions.is_empty()) {
                runtime.rmc = RmcState::Active;
            }
            // What clients began to need while the server came up.
            let put = |(slot, ..): (VirtualSlot, _, _)| {
                super::course::put(entry.partition.uuid, AdapterAddress::Virtual(slot))
            };
            let effects = world.hosted(id).map(put).collect();
            let changes = vec![Change::PutRuntime(id, Box::new(runtime))];
            return Decision { changes, effects, ..Decision::default() };
        }
        GuestState::Starting | GuestState::OpenFirmware | GuestState::Running => return Decision::default(),
        GuestState::ShuttingDown => {
            runtime.state = PartitionState::ShuttingDown;
            runtime.rmc = RmcState::Inactive;
        }
        GuestState::Stopped { restart: true } if world.system().state != SystemState::PowerOffInProgress => {
            return restarted(entry, moment);
        }
        GuestState::Stopped { .. } => return stopped(world, entry, moment),
        GuestState::Failed => {
            let failed = super::service::partition_failed(entry, moment);
            let runtime = off(&runtime, PartitionState::Error, moment.wall_seconds);
            let changes = vec![Change::PutRuntime(id, Box::new(runtime)), failed];
            return Decision { changes, ..Decision::default() };
        }
    }
    Decision::change(Change::PutRuntime(id, Box::new(runtime)))
}

/// What becomes of a guest that outlived the program before this one: its partition goes on where it was, without a new
/// activation. A guest whose stop was recorded goes on stopping; one that no partition has any more loses its power.
#[must_use]
pub fn adopted(world: &World, guest: &AdoptedGuest) -> Decision {
    let stop = |request| Effect::Stop { partition: guest.partition, request, restart: false };
    let is_up = matches!(world.system().state, SystemState::Operating | SystemState::Standby);
    let found = world.by_uuid(guest.partition).filter(|_| is_up);
    let Some((entry, current)) = found.and_then(|entry| Some((entry, entry.partition.current.as_ref()?)))
    else {
        return Decision { effects: vec![stop(StopRequest::Immediate)], ..Decision::default() };
    };
    let (state, effects) = match guest.state {
        _ if !entry.partition.wanted_on => (PartitionState::ShuttingDown, vec![stop(StopRequest::Delayed)]),
        GuestState::Running => (PartitionState::Running, Vec::new()),
        GuestState::OpenFirmware => (PartitionState::OpenFirmware, Vec::new()),
        _ => (PartitionState::Starting, Vec::new()),
    };
    let runtime = Runtime {
        state,
        generation: guest.generation.0,
        memory: current.desired_memory,
        processors: current.desired_processors,
        units: current.entitlement(),
        ..Runtime::default()
    };
    let changes = vec![Change::PutRuntime(entry.partition.id, Box::new(runtime))];
    Decision { changes, effects, ..Decision::default() }
}

/// The guest rebooted: the partition keeps what it holds and starts anew.
fn restarted(entry: &PartitionEntry, moment: Moment) -> Decision {
    let current = entry.partition.current.as_ref();
    let runtime = Runtime {
        state: PartitionState::Starting,
        generation: moment.generation,
        reference_codes: entry.runtime.reference_codes.clone(),
        memory: current.map_or(0, |content| content.desired_memory),
        processors: current.map_or(0, |content| content.desired_processors),
        units: current.map(varan_model::configuration::Configuration::entitlement).unwrap_or_default(),
        ..Runtime::default()
    };
    let id = entry.partition.id;
    Decision {
        changes: vec![Change::PutRuntime(id, Box::new(runtime))],
        effects: vec![Effect::StartAgain(id)],
        ..Decision::default()
    }
}

fn stopped(world: &World, entry: &PartitionEntry, moment: Moment) -> Decision {
    let mut changes = Vec::new();
    if entry.partition.wanted_on && world.system().state != SystemState::PowerOffInProgress {
        // It shut itself down: nobody wants it back after a loss of power.
        let mut partition = (*entry.partition).clone();
        partition.wanted_on = false;
        partition.revision += 1;
        changes.push(Change::PutPartition(Box::new(partition)));
    }
    let runtime = off(&entry.runtime, PartitionState::NotActivated, moment.wall_seconds);
    changes.push(Change::PutRuntime(entry.partition.id, Box::new(runtime)));
    let mut effects = Vec::new();
    if last_partition(world, entry) && follows_partitions(world) {
        if world.system().state != SystemState::PowerOffInProgress {
            // `power_off_policy=1`: the system goes off after its last partition.
            let mut settings = world.system().settings.clone();
            settings.powered_on = false;
            changes.push(Change::PutSettings(Box::new(settings)));
            changes.push(Change::SystemState(SystemState::PowerOffInProgress));
        }
        let restart =
            world.system().state == SystemState::PowerOffInProgress && world.system().settings.powered_on;
        effects.push(Effect::SystemTransition {
            to: SystemState::PowerOff,
            real_seconds: POWER_OFF_SECONDS,
            restart,
            standby: false,
        });
    }
    Decision { changes, effects, ..Decision::default() }
}

/// Whether no other partition holds anything. Looks at what is in use, not at partitions.
fn last_partition(world: &World, entry: &PartitionEntry) -> bool {
    let system = world.system();
    system.usage.minus(entry.usage(&system.hardware)) == varan_model::partition::Usage::default()
}

/// Whether the system goes off with its last partition: it is going off already, or its policy says so.
fn follows_partitions(world: &World) -> bool {
    let system = world.system();
    system.state == SystemState::PowerOffInProgress
        || (system.state == SystemState::Operating && system.settings.power_off_policy)
}
