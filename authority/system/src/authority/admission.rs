//! Activations: the engine admits a guest before its activation is recorded, so that what the host cannot do changes
//! nothing.
//!
//! ```text
//! decided ──> applied ──> admitted ──> recorded ──> powered on
//!                │ refused    │ not recorded
//!                v            v
//!            taken back   dismissed, taken back
//! ```
//!
//! Power that is lost between the admission and the record leaves what was there before: nothing is on disk.

use varan_contract::engine::{EngineError, Generation};
use varan_model::partition::PartitionEntry;

use varan_model::service::Failure;

use super::*;

/// A guest that the engine holds for an activation.
pub(super) type Admitted = (PartitionUuid, Generation);

impl Authority {
    /// Applies a decision and has the engine admit what it starts. If that is refused, nothing has changed.
    pub(super) fn accept(
        &mut self,
        mut decision: Decision,
        dirty: &mut Dirty,
    ) -> Result<(Decision, bool, Vec<Admitted>), Refusal> {
        let (before, events) = (self.world.snapshot.clone(), self.events.len());
        let durable = decision.changes.iter().any(Change::is_recorded);
        let touched: Vec<PartitionId> = decision.changes.iter().filter_map(Change::partition).collect();
        let mut own = Dirty::default();
        self.apply(std::mem::take(&mut decision.changes), &mut own);
        let admitted = self.admit(&decision.effects).inspect_err(|_| {
            self.world.take_back(&before, &touched);
            self.events.truncate(events);
        })?;
        for effect in &decision.effects {
            if let Effect::Reserve(usage, true) = effect {
                self.world.reserve(*usage, false);
            }
        }
        dirty.merge(&own);
        Ok((decision, durable, admitted))
    }

    fn admit(&mut self, effects: &[Effect]) -> Result<Vec<Admitted>, Refusal> {
        let mut admitted = Vec::new();
        for effect in effects {
            if let Effect::ActivateBackingDevice { partition, slot, port } = effect {
                self.check_backing_device(*partition, *slot, *port)?;
            }
            let Effect::Start(id) = effect else { continue };
            let Some(entry) = self.world.snapshot.partitions.get(id.0).cloned() else { continue };
            if let Err(refusal) = self.admit_guest(&entry) {
                self.dismiss(&admitted);
                return Err(refusal);
            }
            admitted.push((entry.partition.uuid, Generation(entry.runtime.generation)));
        }
        Ok(admitted)
    }

    fn admit_guest(&self, entry: &PartitionEntry) -> Result<(), Refusal> {
        let refused = |error: &dyn std::fmt::Display| Refusal::new(MessageKey::HostRefused).with(error);
        let specification =
            specification(&self.world, entry, &self.guests).map_err(|error| refused(&error))?;
        self.engine.admit(specification).map_err(|error| refused(&error))
    }

    pub(super) fn dismiss(&self, admitted: &[Admitted]) {
        for (partition, generation) in admitted {
            self.engine.dismiss(*partition, *generation);
        }
    }

    pub(super) fn power_on(&mut self, id: PartitionId) {
        let Some(entry) = self.world.snapshot.partitions.get(id.0) else { return };
        let (partition, generation) = (entry.partition.uuid, Generation(entry.runtime.generation));
        // A new guest answers.
        self.silent.remove(&partition);
        if let Err(EngineError::NotRunning(_)) = self.engine.power_on(partition, generation) {
            self.guest_is_gone(partition);
        }
    }

    /// A guest that rebooted is powered on again. Where the host has no room any more, the partition is off.
    pub(super) fn start_again(&mut self, id: PartitionId) {
        let Some(entry) = self.world.snapshot.partitions.get(id.0).cloned() else { return };
        match self.admit_guest(&entry) {
            Ok(()) => self.power_on(id),
            Err(refusal) => {
                let waiters = self.stop_waiters.remove(&entry.partition.uuid).unwrap_or_default();
                self.guest_is_gone(entry.partition.uuid);
                self.announce();
                for one in waiters {
                    let _ = one.reply.try_send(Err(refusal.clone().into()));
                }
            }
        }
    }

    /// Starts partitions that nobody waits for, each with the profile that is named or what it has; those that cannot start
    /// show the state Error.
    pub(super) fn start_each(&mut self, starts: Vec<(PartitionId, Option<String>)>) {
        let before = self.world.snapshot.clone();
        let (mut all, mut started) = (Dirty::default(), Vec::new());
        for (id, profile) in starts {
            let Some(entry) = self.world.snapshot.partitions.get(id.0).cloned() else { continue };
            let moment = self.moment();
            if !entry.runtime.state.is_off() {
                continue;
            }
            let decided = self.activation_by_policy(&entry, profile.as_deref(), moment);
            match decided.and_then(|decision| self.accept(decision, &mut all)) {
                Ok((decision, _, admitted)) => started.push((id, decision, admitted)),
                Err(refusal) => self.could_not_start_by_itself(id, &refusal, &mut all),
            }
        }
        // One transaction for all of them.
        match self.record(&all, &[]) {
            Ok(()) => {
                self.publish();
                for (_, decision, _) in started {
                    self.act(decision.effects);
                }
            }
            Err(refusal) => {
                let ids: Vec<PartitionId> = started.iter().map(|(id, ..)| *id).collect();
                self.world.take_back(&before, &ids);
                for (id, _, admitted) in started {
                    self.dismiss(&admitted);
                    self.could_not_start_by_itself(id, &refusal, &mut Dirty::default());
                }
            }
        }
        self.publish();
    }

    fn activation_by_policy(
        &self,
        entry: &PartitionEntry,
        profile: Option<&str>,
        moment: Moment,
    ) -> Result<Decision, Refusal> {
        let profile = match (profile, &entry.partition.current) {
            (Some(name), _) => entry.partition.profile(name).cloned(),
            (None, Some(_)) => None,
            (None, None) => entry.partition.profile(&entry.partition.default_profile).cloned(),
        };
        let named = profile.as_ref().map(|profile| (profile.name.as_str(), &profile.configuration));
        let mut decision = decide::activate(&self.world, entry, named, moment)?;
        for change in &mut decision.changes {
            if let Change::PutPartition(partition) = change {
                // What made it start is kept, whatever the profile of its first activation says.
                partition.settings.auto_start = entry.partition.settings.auto_start;
            }
        }
        Ok(decision)
    }

    fn cannot_start(&mut self, id: PartitionId) {
        let Some(entry) = self.world.snapshot.partitions.get(id.0) else { return };
        let change = decide::could_not_start(entry, self.environment.wall_clock().seconds());
        self.apply(vec![change], &mut Dirty::default());
    }

    /// Nobody waits for the refusal of a start that nobody asked for: it is logged.
    fn could_not_start_by_itself(&mut self, id: PartitionId, refusal: &Refusal, dirty: &mut Dirty) {
        self.cannot_start(id);
        let Some(entry) = self.world.snapshot.partitions.get(id.0) else { return };
        let posted = entry.runtime.reference_codes.newest_first().next();
        let reference_code = posted.and_then(|code| code.code.split_whitespace().next()).unwrap_or_default();
        let reference_code = reference_code.to_owned();
        let partition = Some((id, entry.partition.name.clone()));
        let failure = Failure { reference_code, text: refusal.to_string(), partition, part: None };
        let moment = self.moment();
        self.apply(vec![decide::failure(failure, moment)], dirty);
    }

    /// A user's activation that the hypervisor or the host could not do shows in the partition's state, and in nothing
    /// else.
    pub(super) fn activation_failed(&mut self, request: &SystemRequest, refusal: &Refusal) {
        let SystemRequest::PowerOn { partition, .. } = request else { return };
        if !decide::failed_in_hypervisor(refusal) {
            return;
        }
        let found = self.world.snapshot.find(partition).map(|entry| entry.partition.id);
        if let Ok(id) = found {
            self.cannot_start(id);
        }
    }
}
