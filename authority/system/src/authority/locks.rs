//! Locks that are taken away, and the lock of a firmware update.

use varan_model::lock::{LockHolder, LockedFor, OperationLock};

use super::*;

/// Minutes that the removal of a lock waits for a guest.
const UNLOCK_MINUTES: u32 = 5;

/// Who waits for the end of an operation.
pub(super) struct Asker {
    pub(super) reply: ReplySender,
    /// It removes the operation's lock: how the operation ends is all the same to it.
    pub(super) unlocks: bool,
}

impl Asker {
    /// Somebody who asked for the operation itself.
    pub(super) fn new(reply: ReplySender) -> Self {
        Self { reply, unlocks: false }
    }

    /// The operation has ended.
    pub(super) fn end(self, refusal: Option<Refusal>) {
        let refusal = refusal.filter(|_| !self.unlocks);
        let _ = self.reply.try_send(refusal.map_or(Ok(SystemReply::Done), |refusal| Err(refusal.into())));
    }

    /// The time to wait is over; the operation goes on.
    pub(super) fn expire(self, minutes: u32) {
        let _ = self.reply.try_send(Err(Refusal::new(MessageKey::WaitExpired).with(minutes).into()));
    }
}

impl Authority {
    /// Undoes the operation that holds a lock. Answered when the lock is free.
    pub(super) fn unlock(&mut self, number: u64, reply: ReplySender) {
        let asker = Asker { reply, unlocks: true };
        let dynamic = self.dynamic.iter().find(|(_, pending)| pending.plan.lock.number == number);
        let adapter = self.adapters.iter().find(|(_, pending)| pending.plan.lock.number == number);
        let being_removed = |reply: &Option<Asker>| reply.as_ref().is_some_and(|asker| asker.unlocks);
        if dynamic.is_some_and(|(_, pending)| being_removed(&pending.reply))
            || adapter.is_some_and(|(_, pending)| being_removed(&pending.reply))
        {
            let refusal = Refusal::new(MessageKey::Locked).with("the lock");
            let _ = asker.reply.try_send(Err(refusal.into()));
            return;
        }
        let (dynamic, adapter) = (dynamic.map(|(token, _)| *token), adapter.map(|(token, _)| *token));
        let next = self.moment().token;
        if let Some(pending) = dynamic.and_then(|token| self.dynamic.remove(&token)) {
            tell(pending.reply);
            let plan = DynamicPlan { refusal: None, wait_minutes: UNLOCK_MINUTES, ..pending.plan };
            let (decision, _) = decide::set_back(&self.world, &plan, None, next);
            self.continue_dynamic(decision, None, Some(asker));
        } else if let Some(pending) = adapter.and_then(|token| self.adapters.remove(&token)) {
            tell(pending.reply);
            let plan = AdapterPlan { token: next, wait_minutes: UNLOCK_MINUTES, ..pending.plan };
            let decision = decide::take_back_adapter(plan);
            if let Answer::WhenAdapterChanged(plan) = decision.answer {
                self.await_adapter(*plan, Some(asker));
            }
            self.act(decision.effects);
            return;
        } else {
            // It ended in the meantime.
            asker.end(None);
            return;
        }
        self.schedule_after(Duration::from_secs(60 * u64::from(UNLOCK_MINUTES)), Timer::WaitExpires(next));
    }

    /// Whoever removes the lock of a guest that has fallen silent is told so, and need not wait any longer.
    pub(super) fn give_up_unlocking(&mut self, partition: PartitionUuid) {
        let Some(entry) = self.world.by_uuid(partition) else { return };
        let refusal = Refusal::new(MessageKey::LockHolderSilent).with(&entry.partition.name);
        let dynamic = self.dynamic.values_mut().map(|one| (one.plan.partition, &mut one.reply));
        let adapters = self.adapters.values_mut().map(|one| (one.plan.partition, &mut one.reply));
        for (_, reply) in dynamic.chain(adapters).filter(|(of, _)| *of == partition) {
            if let Some(asker) = reply.take_if(|asker| asker.unlocks) {
                let _ = asker.reply.try_send(Err(refusal.clone().into()));
            }
        }
    }

    /// Takes or releases the lock of a firmware update. It is published with what follows.
    pub(super) fn lock_firmware(&mut self, busy: bool, holder: Option<LockHolder>) {
        let updating = &mut self.world.snapshot.updating;
        if !busy {
            *updating = None;
        } else if updating.is_none() {
            let lock = OperationLock {
                number: 0,
                operation: LockedFor::Firmware,
                holder,
                since: self.environment.wall_clock().seconds(),
            };
            *updating = Some(Arc::new(lock));
        }
    }
}

/// The operation was taken away from whoever asked for it.
fn tell(asker: Option<Asker>) {
    if let Some(asker) = asker {
        asker.end(Some(Refusal::new(MessageKey::LockRemoved)));
    }
}
