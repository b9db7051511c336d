//! Driving firmware updates: steps are called on the authority's thread, what they change is recorded before they count.

use varan_model::rules::firmware::failed;

use super::*;
use crate::firmware::Standing;

impl Authority {
    /// Begins an update that was decided. It is answered when it ends.
    pub(super) fn begin_update(&mut self, id: RequestId, plan: &FirmwarePlan, reply: ReplySender) {
        match self.firmware.begin(id, plan) {
            Ok(task) => self.firmware.waiting.entry(task).or_default().push(reply),
            Err(error) => {
                let _ = reply.try_send(Err(Refusal::new(MessageKey::RecordFailed).with(error).into()));
            }
        }
        let busy = self.firmware.is_busy();
        self.lock_firmware(busy, None);
        self.publish();
    }

    /// A request that began an update before gets the answer of that update; false for every other request.
    pub(super) fn repeated_update(&mut self, id: RequestId, reply: &ReplySender) -> bool {
        let Some((task, standing)) = self.firmware.of_request(id) else { return false };
        match self.update_result(standing) {
            Some(result) => {
                let _ = reply.try_send(result);
            }
            None => self.firmware.waiting.entry(task).or_default().push(reply.clone()),
        }
        true
    }

    fn update_result(&self, standing: Standing) -> Option<Result<SystemReply, CallError>> {
        let reason = match standing {
            Standing::UnderWay => return None,
            Standing::Done => return Some(Ok(SystemReply::Done)),
            Standing::Undone(reason) => Refusal::new(MessageKey::FirmwareUndone).with(reason),
            Standing::Stuck(reason) => Refusal::new(MessageKey::FirmwareStuck).with(reason),
        };
        Some(Err(failed(self.world.system(), &reason).into()))
    }

    /// Calls every step that is due, and answers who waits for an update that has ended.
    pub(super) fn drive_firmware(&mut self) {
        if self.world.snapshot.updating.is_none() {
            return;
        }
        if self.firmware.flash.state != self.world.system().state {
            self.firmware.announce_state();
        }
        loop {
            let now = self.environment.monotonic().0;
            let assignment = match self.firmware.executor.next_assignment(now) {
                Ok(Some(assignment)) => assignment,
                Ok(None) => break,
                Err(error) => {
                    self.firmware.fail(&error);
                    break;
                }
            };
            let system = self.world.system();
            self.firmware.flash.levels = system.firmware().clone();
            self.firmware.flash.starts_temporary = system.settings.temporary_side;
            self.firmware.flash.state = system.state;
            self.firmware.flash.cycle = false;
            let report = assignment.perform(&mut self.firmware.flash);
            let report = match self.record_firmware() {
                Ok(()) => report,
                Err(refusal) => assignment.fail(StepFailure::new("record_failed", refusal.to_string())),
            };
            if let Err(error) = self.firmware.executor.complete(now, report) {
                self.firmware.fail(&error);
                break;
            }
        }
        self.firmware.flash.state = self.world.system().state;
        if !self.firmware.is_busy() {
            self.lock_firmware(false, None);
            self.publish();
        }
        let waiting: Vec<TaskId> = self.firmware.waiting.keys().copied().collect();
        for task in waiting {
            if let Some(result) = self.update_result(self.firmware.standing(task)) {
                for reply in self.firmware.waiting.remove(&task).unwrap_or_default() {
                    let _ = reply.try_send(result.clone());
                }
            }
        }
    }

    /// Records and publishes what a step changed, and acts on it. Nothing of it happened when it cannot be recorded.
    fn record_firmware(&mut self) -> Result<(), Refusal> {
        let flash = self.firmware.flash.clone();
        let mut settings = self.world.system().settings.clone();
        let same = settings.temporary_side == flash.starts_temporary
            && *self.world.system().firmware() == flash.levels;
        if same && !flash.cycle {
            return Ok(());
        }
        let before = self.world.snapshot.clone();
        settings.temporary_side = flash.starts_temporary;
        settings.firmware = Some(flash.levels);
        let announced = self.events.len();
        let mut dirty = Dirty::default();
        self.apply(vec![Change::PutSettings(Box::new(settings))], &mut dirty);
        let mut effects = Vec::new();
        if flash.cycle {
            let moment = self.moment();
            let decision = decide::power_cycle(&self.world, moment)?;
            self.apply(decision.changes, &mut dirty);
            effects = decision.effects;
        }
        if let Err(refusal) = self.record(&dirty, &[]) {
            self.world.roll_back(before);
            self.events.truncate(announced);
            return Err(refusal);
        }
        self.publish();
        self.act(effects);
        Ok(())
    }
}
