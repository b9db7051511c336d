//! Acting: what is done after a decision is recorded.

use super::*;

impl Authority {
    /// Starts effects in order; the refusal of the first that the host could not do.
    pub(super) fn act(&mut self, effects: Vec<Effect>) -> Option<Refusal> {
        let mut failed = None;
        for effect in effects {
            if let Err(refusal) = self.effect(effect) {
                failed.get_or_insert(refusal);
            }
        }
        failed
    }

    fn effect(&mut self, effect: Effect) -> Result<(), Refusal> {
        match effect {
            Effect::Start(id) => return self.start(id),
            Effect::Stop { partition, request, restart } => {
                if self.engine.stop(partition, request, restart).is_err() {
                    self.guest_is_gone(partition);
                }
            }
            Effect::PowerLoss => {
                self.engine.power_loss();
                let waiting: Vec<PartitionUuid> = self.stop_waiters.keys().copied().collect();
                let asked: Vec<PartitionUuid> =
                    self.dynamic.values().map(|pending| pending.plan.partition).collect();
                for partition in waiting.into_iter().chain(asked) {
                    self.settle_stopped(partition);
                }
            }
            Effect::SetMemory { partition, megabytes, token } => {
                if self.engine.set_memory(partition, megabytes, token).is_err() {
                    self.guest_is_gone(partition);
                }
            }
            Effect::SetProcessors { partition, processors, token } => {
                if self.engine.set_processors(partition, processors, token).is_err() {
                    self.guest_is_gone(partition);
                }
            }
            Effect::RemoveBootDisk(partition) => self.guests.boot_disks.remove(partition),
            Effect::SystemTransition { to, real_seconds, restart, standby } => {
                self.transition_epoch += 1;
                let position = SystemState::ALL.iter().position(|state| *state == to).unwrap_or(0);
                let to = u8::try_from(position).unwrap_or(0);
                let epoch = self.transition_epoch;
                self.schedule(real_seconds, Timer::SystemTransition { epoch, restart, standby, to });
            }
            Effect::RmcAfterDelay(partition, real_seconds) => {
                let generation = self.world.by_uuid(partition).map_or(0, |entry| entry.runtime.generation);
                self.schedule(real_seconds, Timer::RmcReaches(partition, generation));
            }
            Effect::StartByPolicy => self.start_by_policy(),
            Effect::Reserve(usage, true) => self.world.reserve(usage, false),
            Effect::Reserve(usage, false) => self.world.reserve(usage, true),
        }
        Ok(())
    }

    fn guest_is_gone(&mut self, partition: PartitionUuid) {
        let Some(entry) = self.world.by_uuid(partition) else { return };
        let event = EngineEvent {
            partition,
            generation: varan_contract::engine::Generation(entry.runtime.generation),
            kind: EngineEventKind::State(varan_contract::engine::GuestState::Stopped { restart: false }),
        };
        self.engine_event(&event);
    }

    fn start(&mut self, id: PartitionId) -> Result<(), Refusal> {
        let Some(entry) = self.world.snapshot.partitions.get(id.0).cloned() else { return Ok(()) };
        let specification = specification(&self.world, &entry, &self.guests);
        let refused = match specification {
            Ok(specification) => match self.engine.start(specification) {
                Ok(()) => return Ok(()),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let mut runtime = (*entry.runtime).clone();
        runtime.state = PartitionState::NotActivated;
        let mut partition = (*entry.partition).clone();
        partition.wanted_on = false;
        partition.revision += 1;
        let changes =
            vec![Change::PutPartition(Box::new(partition)), Change::PutRuntime(id, Box::new(runtime))];
        self.carry_out(Decision { changes, ..Decision::default() })?;
        Err(Refusal::new(MessageKey::HostRefused).with(refused))
    }

    /// Starts what runs when the process starts: initial partitions of a new system, else what the policy names.
    pub fn start_initial(&mut self, initial: &[PartitionId]) {
        if self.world.system().state != SystemState::Operating {
            return;
        }
        if initial.is_empty() {
            self.start_by_policy();
        } else {
            self.start_each(initial);
        }
    }

    /// Starts the partitions that the policy names; those that cannot start show the state Error.
    pub fn start_by_policy(&mut self) {
        self.start_each(&decide::start_by_policy(&self.world));
    }

    pub(super) fn start_each(&mut self, ids: &[PartitionId]) {
        let mut changes = Vec::new();
        for &id in ids {
            let Some(entry) = self.world.snapshot.partitions.get(id.0).cloned() else { continue };
            let moment = self.moment();
            let profile = match &entry.partition.current {
                Some(_) => None,
                None => entry.partition.profile(&entry.partition.default_profile).cloned(),
            };
            let named = profile.as_ref().map(|profile| (profile.name.as_str(), &profile.configuration));
            match decide::activate(&self.world, &entry, named, moment) {
                Ok(mut decision) => {
                    for change in &mut decision.changes {
                        if let Change::PutPartition(partition) = change {
                            // What made it start is kept, whatever the profile of its first activation says.
                            partition.settings.auto_start = entry.partition.settings.auto_start;
                        }
                    }
                    let mut dirty = Dirty::default();
                    self.apply(decision.changes, &mut dirty);
                    changes.push((id, dirty));
                }
                Err(refusal) => {
                    let mut runtime = (*entry.runtime).clone();
                    runtime.state = PartitionState::Error;
                    runtime.reference_codes.post(moment.wall_seconds, refusal.key.message().code.to_owned());
                    self.apply(vec![Change::PutRuntime(id, Box::new(runtime))], &mut Dirty::default());
                }
            }
        }
        // One transaction for all of them.
        let mut all = Dirty::default();
        for (_, dirty) in &changes {
            all.merge(dirty);
        }
        if self.record(&all, &[]).is_ok() {
            self.publish();
            for (id, _) in changes {
                let _ = self.start(id);
            }
        }
        self.publish();
    }
}
