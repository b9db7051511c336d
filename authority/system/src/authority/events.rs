//! What engines report: states, operating systems, answers to dynamic changes.

use varan_contract::engine::GuestState;

use super::*;

impl Authority {
    pub(super) fn engine_event(&mut self, event: &EngineEvent) {
        if let EngineEventKind::MemorySet { token, .. } | EngineEventKind::ProcessorsSet { token, .. } =
            &event.kind
        {
            self.dynamic_answer(*token, &event.kind);
            return;
        }
        if let EngineEventKind::AdapterChanged { token, done, details } = &event.kind {
            let answer = if *done { Ok(()) } else { Err(details.clone()) };
            self.adapter_answer(*token, answer);
            return;
        }
        let moment = self.moment();
        let decision = decide::engine_event(&self.world, event, moment);
        match &event.kind {
            EngineEventKind::StopNotHeard(_) => {
                let refusal = Refusal::new(MessageKey::OperatingSystemShutdownUnavailable);
                self.stop_refused(event.partition, decision, &refusal);
            }
            EngineEventKind::State(GuestState::Stopped { .. }) => {
                // What an operating system was asked for is recorded now that it is done.
                let waiters = self.stop_waiters.get(&event.partition).into_iter().flatten();
                let done: Vec<RequestId> = waiters.filter(|one| one.by_system).map(|one| one.id).collect();
                let _ = self.carry_out(decision, &done);
            }
            _ => self.report(decision),
        }
        self.settle_stopped(event.partition);
    }

    /// The guest goes on: those who wait for its operating system are told. Who asked for a power off still waits.
    fn stop_refused(&mut self, partition: PartitionUuid, goes_on: Decision, refusal: &Refusal) {
        let waiters = self.stop_waiters.remove(&partition).unwrap_or_default();
        let (refused, waiting): (Vec<_>, Vec<_>) = waiters.into_iter().partition(|one| one.by_system);
        if waiting.is_empty() {
            self.report(goes_on);
        } else {
            self.stop_waiters.insert(partition, waiting);
        }
        self.announce();
        for one in refused {
            let _ = one.reply.try_send(Err(refusal.clone().into()));
        }
    }

    /// Answers those who crashed the guest of a partition, when that guest is gone.
    pub(super) fn settle_crashed(&mut self, partition: PartitionUuid) {
        if self.crash_waiters.is_empty() {
            return;
        }
        let entry = self.world.by_uuid(partition);
        let running =
            entry.filter(|entry| !entry.runtime.state.is_off()).map(|entry| entry.runtime.generation);
        let over = |one: &mut CrashWaiter| one.partition == partition && running != Some(one.generation);
        let over: Vec<CrashWaiter> = self.crash_waiters.extract_if(.., over).collect();
        if !over.is_empty() {
            self.announce();
        }
        for one in over {
            let _ = one.reply.try_send(Ok(SystemReply::Done));
        }
    }

    /// Ends what waited for a partition that is off or started again.
    pub(super) fn settle_stopped(&mut self, partition: PartitionUuid) {
        self.settle_crashed(partition);
        let gone = match self.world.by_uuid(partition) {
            Some(entry) => !matches!(entry.runtime.state, PartitionState::ShuttingDown),
            None => true,
        };
        if !gone {
            return;
        }
        let waiters = self.stop_waiters.remove(&partition).unwrap_or_default();
        if !waiters.is_empty() {
            self.announce();
        }
        for one in waiters {
            let _ = one.reply.try_send(Ok(SystemReply::Done));
        }
        let running =
            self.world.by_uuid(partition).is_some_and(|entry| entry.runtime.state == PartitionState::Running);
        if running {
            return;
        }
        self.settle_adapters(partition);
        // A guest that went down will not answer any more.
        let lost: Vec<u64> = self
            .dynamic
            .iter()
            .filter(|(_, pending)| pending.plan.partition == partition)
            .map(|(token, _)| *token)
            .collect();
        for token in lost {
            if let Some(pending) = self.dynamic.remove(&token) {
                let next_token = self.moment().token;
                let (decision, refusal) = decide::give_up(&self.world, &pending.plan, next_token);
                self.continue_dynamic(decision, refusal, pending.reply);
            }
        }
    }

    pub(super) fn dynamic_answer(&mut self, token: u64, answer: &EngineEventKind) {
        let Some(pending) = self.dynamic.remove(&token) else { return };
        let next_token = self.moment().token;
        let plan = &pending.plan;
        let (mut decision, mut refusal) = decide::finish_dynamic(&self.world, plan, answer, next_token);
        if let Err(unrecorded) = self.record_all_or_nothing(&mut decision) {
            (decision, refusal) = if plan.setting_back {
                decide::keep_what_is(&self.world, plan, answer, next_token)
            } else {
                decide::set_back(&self.world, plan, Some(unrecorded), next_token)
            };
        }
        self.continue_dynamic(decision, refusal, pending.reply);
    }

    /// Does what follows from the end of one step of a dynamic change; nothing of it needs to be recorded any more.
    pub(super) fn continue_dynamic(
        &mut self,
        decision: Decision,
        refusal: Option<Refusal>,
        reply: Option<Asker>,
    ) {
        let Decision { changes, effects, answer } = decision;
        debug_assert!(!changes.iter().any(Change::is_recorded));
        self.apply(changes, &mut Dirty::default());
        self.publish();
        if let Answer::WhenDynamicEnds(plan) = answer {
            // In place before the effect, whose event may come at once.
            self.dynamic.insert(plan.token, PendingDynamic { plan: *plan, reply });
            self.act(effects);
            self.publish();
            return;
        }
        self.act(effects);
        self.publish();
        // Whoever caches what changed must know before the user who changed it asks again.
        self.announce();
        if let Some(asker) = reply {
            asker.end(refusal);
        }
    }

    /// Applies and records the changes of a decision, which then has none left. If they cannot be recorded, none of them
    /// happened.
    pub(super) fn record_all_or_nothing(&mut self, decision: &mut Decision) -> Result<(), Refusal> {
        let before = self.world.snapshot.clone();
        let (events, mut dirty) = (self.events.len(), Dirty::default());
        let touched: Vec<PartitionId> = decision.changes.iter().filter_map(Change::partition).collect();
        self.apply(std::mem::take(&mut decision.changes), &mut dirty);
        self.record(&dirty, &[]).inspect_err(|_| {
            self.world.take_back(&before, &touched);
            self.events.truncate(events);
        })
    }
}
