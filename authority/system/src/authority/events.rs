//! What engines report: states, operating systems, answers to dynamic changes.

use super::*;

impl Authority {
    pub(super) fn engine_event(&mut self, event: &EngineEvent) {
        if let EngineEventKind::MemorySet { token, .. } | EngineEventKind::ProcessorsSet { token, .. } =
            &event.kind
        {
            self.dynamic_answer(*token, &event.kind);
            return;
        }
        let moment = self.moment();
        let decision = decide::engine_event(&self.world, event, moment);
        self.report(decision);
        self.settle_stopped(event.partition);
    }

    /// Ends what waited for a partition that is off or started again.
    pub(super) fn settle_stopped(&mut self, partition: PartitionUuid) {
        let gone = match self.world.by_uuid(partition) {
            Some(entry) => !matches!(entry.runtime.state, PartitionState::ShuttingDown),
            None => true,
        };
        if !gone {
            return;
        }
        for reply in self.stop_waiters.remove(&partition).unwrap_or_default() {
            let _ = reply.try_send(Ok(SystemReply::Done));
        }
        let running =
            self.world.by_uuid(partition).is_some_and(|entry| entry.runtime.state == PartitionState::Running);
        if running {
            return;
        }
        // A guest that went down will not answer any more.
        let lost: Vec<u64> = self
            .dynamic
            .iter()
            .filter(|(_, pending)| pending.plan.partition == partition)
            .map(|(token, _)| *token)
            .collect();
        for token in lost {
            if let Some(pending) = self.dynamic.remove(&token) {
                self.world.reserve(pending.plan.reserved, true);
                if let Some(reply) = pending.reply {
                    let _ = reply.try_send(Err(Refusal::new(MessageKey::StateNotAllowed).into()));
                }
            }
        }
    }

    pub(super) fn dynamic_answer(&mut self, token: u64, answer: &EngineEventKind) {
        let Some(pending) = self.dynamic.remove(&token) else { return };
        let next_token = self.moment().token;
        let (mut decision, short) = decide::finish_dynamic(&self.world, &pending.plan, answer, next_token);
        let next = std::mem::take(&mut decision.answer);
        let outcome = self.carry_out(decision);
        match (next, pending.reply) {
            (Answer::WhenDynamicEnds(plan), reply) if outcome.is_ok() => {
                self.dynamic.insert(plan.token, PendingDynamic { plan: *plan, reply });
            }
            (_, Some(reply)) => {
                let result = match (outcome, short) {
                    (Err(refusal), _) | (Ok(()), Some(refusal)) => Err(refusal.into()),
                    (Ok(()), None) => Ok(SystemReply::Done),
                };
                let _ = reply.try_send(result);
            }
            _ => {}
        }
    }
}
