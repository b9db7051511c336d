//! Changes of adapters that wait for a guest.

use super::*;
use crate::decide::AdapterEnd;

impl Authority {
    /// Remembers a change until the guest answers. Called before the guest is asked, whose answer may come at once.
    pub(super) fn await_adapter(&mut self, plan: AdapterPlan, reply: Option<Asker>) {
        let (token, minutes) = (plan.token, plan.wait_minutes);
        self.adapters.insert(token, PendingAdapter { plan, reply });
        if minutes > 0 {
            self.schedule_after(Duration::from_secs(60 * u64::from(minutes)), Timer::WaitExpires(token));
        }
    }

    /// A guest has answered.
    pub(super) fn adapter_answer(&mut self, token: u64, answer: Result<(), Vec<String>>) {
        // Nobody waits for what a guest is only told.
        let Some(pending) = self.adapters.remove(&token) else { return };
        let next = self.moment().token;
        let end = decide::finish_adapter(&self.world, &pending.plan, answer, next);
        self.end_adapter(end, pending.reply);
    }

    /// A guest that went down will not answer any more.
    pub(super) fn settle_adapters(&mut self, partition: PartitionUuid) {
        let lost = self.adapters.iter().filter(|(_, pending)| pending.plan.partition == partition);
        let lost: Vec<u64> = lost.map(|(token, _)| *token).collect();
        for token in lost {
            if let Some(pending) = self.adapters.remove(&token) {
                let next = self.moment().token;
                let end = decide::give_up_adapter(&self.world, &pending.plan, next);
                self.end_adapter(end, pending.reply);
            }
        }
    }

    fn end_adapter(&mut self, end: AdapterEnd, reply: Option<Asker>) {
        let AdapterEnd { mut decision, mut refusal, otherwise } = end;
        if let Err(unrecorded) = self.record_all_or_nothing(&mut decision) {
            refusal = Some(refusal.unwrap_or(unrecorded));
            decision = otherwise;
            self.apply(std::mem::take(&mut decision.changes), &mut Dirty::default());
        }
        self.publish();
        if let Answer::WhenAdapterChanged(plan) = decision.answer {
            self.await_adapter(*plan, reply);
            self.act(decision.effects);
            return;
        }
        self.act(decision.effects);
        // Whoever caches what changed must know before the user who changed it asks again.
        self.announce();
        if let Some(asker) = reply {
            asker.end(refusal);
        }
    }
}
