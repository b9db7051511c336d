//! Faults on purpose: what a broken frame, partition or part means for the state, and what mending it brings back.
//!
//! ```text
//!                 power fails                         power returns, powered on
//! any state ─────────────────────> PowerOff ──────────────────────────────────────> Initializing ──> Operating
//!                 crash                               recover
//! Operating, Standby ────────────> Error ─────────────────────────────────────────> Initializing ──> Operating
//! ```
//!
//! Failed hardware is recorded, as the service processor's memory of deconfigured parts survives a loss of power. Everything
//! else ends with the frame's process: a new one has power and no broken guest.

use varan_contract::engine::GuestFault;
use varan_contract::fault::{FaultId, SystemFault};
use varan_contract::system::Selector;
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionUuid;
use varan_model::partition::{GuestEngine, PartitionEntry, PartitionState};
use varan_model::refusal::Refusal;
use varan_model::service::{FailedPart, Failure};
use varan_model::system::{FailedHardware, ManagedSystem, SystemSettings, SystemState};
use varan_model::units::ProcessingUnits;

use super::power::{activate, initialize, off};
use super::service::failure;
use super::{Answer, Decision, Effect, Moment};
use crate::world::{Change, World};

/// Real seconds of silence after which RMC gives a partition up.
pub const RMC_SILENCE_SECONDS: u64 = 120;

/// Code of a partition that the hypervisor ended after an error of its operating system. Documented for POWER6 and later.
const OPERATING_SYSTEM_ERROR: &str = "B700F104";
/// Code of a hypervisor that detected an error of its own. Documented for POWER6 and later.
const HYPERVISOR_ERROR: &str = "B7000103";
/// Codes of runtime diagnostics for processors and for memory: B1, the subsystem, E504. Unverified: no capture at hand.
const PROCESSOR_ERROR: &str = "B113E504";
const MEMORY_ERROR: &str = "B124E504";

pub(super) fn decide(world: &World, fault: &SystemFault, moment: Moment) -> Result<Decision, Refusal> {
    match fault {
        SystemFault::PowerFails => Ok(without_guests(world, SystemState::PowerOff, String::new(), moment)),
        SystemFault::PowerReturns if world.system().state != SystemState::PowerOff => Ok(Decision::default()),
        SystemFault::PowerReturns if !world.system().settings.powered_on => Ok(Decision::default()),
        SystemFault::PowerReturns => Ok(initialize(world, false, moment)),
        SystemFault::Crash => match world.system().state {
            SystemState::Operating | SystemState::Standby => {
                let code = HYPERVISOR_ERROR;
                let mut decision = without_guests(world, SystemState::Error, code.to_owned(), moment);
                decision.changes.push(logged(code, "The hypervisor ended abnormally.", None, moment));
                Ok(decision)
            }
            _ => Err(Refusal::new(MessageKey::SystemNotOperating)),
        },
        SystemFault::Recover if world.system().state == SystemState::Error => {
            Ok(initialize(world, false, moment))
        }
        SystemFault::Recover => Ok(Decision::default()),
        SystemFault::CrashPartition(selector) => {
            Ok(guest_fault(running(world, selector)?, GuestFault::Crash))
        }
        SystemFault::RecoverPartition(selector) => recover(world, selector, moment),
        SystemFault::HangPartition(selector) => Ok(guest_fault(running(world, selector)?, GuestFault::Hang)),
        SystemFault::ResumePartition(selector) => {
            // A partition that is gone or off has nothing to go on with.
            let Ok(entry) = running(world, selector) else { return Ok(Decision::default()) };
            Ok(guest_fault(entry, GuestFault::Resume))
        }
        SystemFault::LoseDisk(selector) => lose_disk(world.snapshot.find(selector)?, true),
        // A partition that is gone has no disk any more.
        SystemFault::ReturnDisk(selector) => world
            .snapshot
            .find(selector)
            .map_or_else(|_| Ok(Decision::default()), |entry| lose_disk(entry, false)),
        SystemFault::FailHardware { id, processors, memory } => {
            fail_hardware(world, *id, *processors, *memory, moment)
        }
        SystemFault::RepairHardware { id } => Ok(change_settings(world, |settings| {
            settings.failed_hardware.retain(|failed| failed.fault != id.0);
        })),
    }
}

/// Every guest is gone without warning, and the system is in `state`.
fn without_guests(world: &World, state: SystemState, code: String, moment: Moment) -> Decision {
    let up = |entry: &&PartitionEntry| entry.runtime.state != PartitionState::NotActivated;
    let mut changes: Vec<Change> = world
        .snapshot
        .partitions
        .iter()
        .map(|(_, entry)| entry)
        .filter(up)
        .map(|entry| {
            let runtime = off(&entry.runtime, PartitionState::NotActivated, moment.wall_seconds);
            Change::PutRuntime(entry.partition.id, Box::new(runtime))
        })
        .collect();
    changes.push(Change::SystemState(state));
    changes.push(Change::SystemReferenceCode(moment.wall_seconds, code));
    Decision { changes, effects: vec![Effect::PowerLoss], ..Decision::default() }
}

/// The entry of the error log from which consoles make a serviceable event.
fn logged(reference_code: &str, text: &str, part: Option<FailedPart>, moment: Moment) -> Change {
    let (reference_code, text) = (reference_code.to_owned(), text.to_owned());
    failure(Failure { reference_code, text, partition: None, part }, moment)
}

/// The part that is called out. Sites describe processors and memory by their amount: the unit is where they are.
fn part_of(system: &ManagedSystem, description: &str) -> FailedPart {
    let location = system.hardware.locations().next().unwrap_or_default().to_owned();
    FailedPart { number: String::new(), description: description.to_owned(), location }
}

/// A partition that a guest stands behind.
fn running<'a>(world: &'a World, selector: &Selector) -> Result<&'a PartitionEntry, Refusal> {
    let entry = world.snapshot.find(selector)?;
    if entry.runtime.state.is_off() || entry.runtime.state == PartitionState::Error {
        return Err(Refusal::new(MessageKey::StateNotAllowed));
    }
    Ok(entry)
}

/// Whether the partition is on does not matter: what runs meets the loss with its next access, what is off when it boots.
fn lose_disk(entry: &PartitionEntry, lost: bool) -> Result<Decision, Refusal> {
    if entry.partition.installation.engine != GuestEngine::Embedded {
        let reason = format!("partition {} has no internal boot disk", entry.partition.name);
        return Err(Refusal::new(MessageKey::FaultRefused).with(reason));
    }
    Ok(Decision { answer: Answer::WhenDiskSwitched(entry.partition.uuid, lost), ..Decision::default() })
}

fn guest_fault(entry: &PartitionEntry, fault: GuestFault) -> Decision {
    Decision { answer: Answer::WhenBroken(entry.partition.uuid, fault), ..Decision::default() }
}

/// What the hypervisor notes of a guest that crashed; its state follows when the engine reports its end.
#[must_use]
pub fn guest_crashed(world: &World, partition: PartitionUuid, moment: Moment) -> Decision {
    let Some(entry) = world.by_uuid(partition) else { return Decision::default() };
    let mut runtime = (*entry.runtime).clone();
    runtime.reference_codes.post(moment.wall_seconds, OPERATING_SYSTEM_ERROR.to_owned());
    Decision::change(Change::PutRuntime(entry.partition.id, Box::new(runtime)))
}

fn recover(world: &World, selector: &Selector, moment: Moment) -> Result<Decision, Refusal> {
    match world.snapshot.find(selector) {
        Ok(entry) if entry.runtime.state == PartitionState::Error => activate(world, entry, None, moment),
        // Somebody has dealt with it.
        _ => Ok(Decision::default()),
    }
}

fn fail_hardware(
    world: &World,
    id: FaultId,
    processors: u32,
    memory: u64,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let system = world.system();
    let units = ProcessingUnits::whole(processors);
    let block = system.hardware.memory_region_size;
    let refused = |reason: String| Err(Refusal::new(MessageKey::FaultRefused).with(reason));
    if units >= system.configurable_units() && processors > 0 {
        return refused(format!("the managed system has {} processing units", system.configurable_units()));
    }
    if memory > 0 && !memory.is_multiple_of(block) {
        return refused(format!("memory fails in blocks of {block} MB"));
    }
    // The hypervisor cannot lose its own memory: that would be the end of the system.
    let most = system.configurable_memory().saturating_sub(system.firmware_memory());
    if memory > most {
        return refused(format!("the managed system has {most} MB besides its firmware's"));
    }
    let mut decision = change_settings(world, |settings| {
        settings.failed_hardware.push(FailedHardware { fault: id.0, units, memory });
    });
    let (code, text, part) = match processors {
        0 => (MEMORY_ERROR, "Memory failed and is deconfigured.", "Memory"),
        _ => (PROCESSOR_ERROR, "Processors failed and are deconfigured.", "Processor"),
    };
    decision.changes.push(Change::SystemReferenceCode(moment.wall_seconds, code.to_owned()));
    decision.changes.push(logged(code, text, Some(part_of(system, part)), moment));
    Ok(decision)
}

fn change_settings(world: &World, change: impl FnOnce(&mut SystemSettings)) -> Decision {
    let mut settings = world.system().settings.clone();
    change(&mut settings);
    settings.revision += 1;
    Decision::change(Change::PutSettings(Box::new(settings)))
}
