//! Locks: who holds what, and taking one away.
//!
//! ```text
//!          begins                     guest answers, or ends
//! free ──────────> held by operation ────────────────────────> free
//!                        │                                        ^
//!                        └─ removed ─> operation undone in guest ─┘
//! ```
//!
//! A lock is not taken from under an operation: the operation is refused to whoever asked for it and undone, and the lock
//! goes when the guest has answered. So there is no moment at which two operations change one guest.

use std::sync::Arc;

use varan_contract::system::{Origin, Selector};
use varan_model::codes::MessageKey;
use varan_model::lock::{LockHolder, LockedFor, OperationLock};
use varan_model::partition::{PartitionState, RmcState};
use varan_model::refusal::Refusal;

use super::{Answer, Decision, Moment};
use crate::world::{Change, World};

impl Moment {
    /// A lock that an operation takes now. Whose it is becomes known when the decision is signed.
    pub(super) fn lock(self, operation: LockedFor) -> Arc<OperationLock> {
        Arc::new(OperationLock { number: self.token, operation, holder: None, since: self.wall_seconds })
    }
}

/// The console behind a request, as locks name it.
#[must_use]
pub fn holder(origin: Option<&Arc<Origin>>) -> Option<LockHolder> {
    origin.map(|origin| LockHolder { console: origin.console.clone(), identity: origin.identity.clone() })
}

/// Writes the console that asked into the lock which a decision takes.
pub(super) fn sign(mut decision: Decision, origin: Option<&Arc<Origin>>) -> Decision {
    let Some(holder) = holder(origin) else { return decision };
    let lock = match &mut decision.answer {
        Answer::WhenDynamicEnds(plan) => &mut plan.lock,
        Answer::WhenAdapterChanged(plan) => &mut plan.lock,
        _ => return decision,
    };
    let signed = Arc::new(OperationLock { holder: Some(holder), ..(**lock).clone() });
    *lock = signed.clone();
    for change in &mut decision.changes {
        if let Change::PutRuntime(_, runtime) = change
            && runtime.lock.as_ref().is_some_and(|lock| lock.number == signed.number)
        {
            runtime.lock = Some(signed.clone());
        }
    }
    decision
}

/// `rmlock`.
pub(super) fn remove(world: &World, partition: Option<&Selector>) -> Result<Decision, Refusal> {
    let Some(selector) = partition else {
        let name = &world.system().settings.name;
        let key = match world.snapshot.updating {
            Some(_) => MessageKey::LockOfFirmware,
            None => MessageKey::LockNotFound,
        };
        return Err(Refusal::new(key).with(name));
    };
    let entry = world.snapshot.find(selector)?;
    let name = &entry.partition.name;
    let Some(lock) = &entry.runtime.lock else {
        return Err(Refusal::new(MessageKey::LockNotFound).with(name));
    };
    if entry.runtime.state == PartitionState::Running && entry.runtime.rmc != RmcState::Active {
        return Err(Refusal::new(MessageKey::LockHolderSilent).with(name));
    }
    Ok(Decision { answer: Answer::WhenUnlocked(lock.number), ..Decision::default() })
}
