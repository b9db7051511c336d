//! Firmware: what an update may do now. The steps themselves are a task, see [`crate::firmware`].

use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;
use varan_model::rules::firmware::{FirmwareOperation, plan};
use varan_model::system::SystemState;

use super::{Answer, Decision, Effect, Moment};
use crate::world::{Change, World};

/// Refuses what cannot be done while firmware is updated.
pub(super) fn check_idle(world: &World) -> Result<(), Refusal> {
    if world.snapshot.updating.is_some() {
        return Err(Refusal::new(MessageKey::Locked).with(&world.system().settings.name));
    }
    Ok(())
}

pub(super) fn update(world: &World, operation: &FirmwareOperation) -> Result<Decision, Refusal> {
    check_idle(world)?;
    if let Some(plan) = plan(world.system(), operation)? {
        return Ok(Decision { answer: Answer::WhenFirmwareEnds(Box::new(plan)), ..Decision::default() });
    }
    let FirmwareOperation::Control { console } = operation else { return Ok(Decision::default()) };
    let mut settings = world.system().settings.clone();
    let mut levels = world.system().firmware().clone();
    levels.console_controls = *console;
    settings.firmware = Some(levels);
    Ok(Decision::change(Change::PutSettings(Box::new(settings))))
}

/// The power cycle of an update: partitions are shut down, the system goes off and comes back to the state it was in.
///
/// # Errors
/// The system is not up.
pub fn power_cycle(world: &World, moment: Moment) -> Result<Decision, Refusal> {
    let in_standby = world.system().state == SystemState::Standby;
    let mut decision = super::power::power_off(world, false, true, moment)?;
    for effect in &mut decision.effects {
        if let Effect::SystemTransition { standby, .. } = effect {
            *standby = in_standby;
        }
    }
    Ok(decision)
}
