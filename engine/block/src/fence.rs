//! Who may do I/O on a unit, checked where a request is submitted to it.
//!
//! ```text
//!                 +--- Fence: for each client its epoch and the lowest generation of each path ---+
//!                 |                                                                               |
//!   client --> Gate (one for each nexus) --- enter ---> device --- completion: leave ---> client
//!                 ^
//!                 | close: the check and the count are one word, so that after it nothing more enters
//!   revoke -------+---- Drain: waits until the count is zero, that is for the device, never for a client
//! ```
//!
//! A client that was stopped with a request in hand finds its gate closed when it continues, whatever it checked before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Completion, Epoch, Geometry, Nexus, PathGeneration,
    PathName, QueueFull, Udid,
};
use varan_model::ids::PartitionUuid;

/// A reason for which a gate is closed; several may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Closed {
    /// For good.
    Revoked = 1 << 63,
    /// The unit cannot be reached now.
    Gone = 1 << 62,
    /// Reserved by another, for reads and writes.
    Reserved = 1 << 61,
    /// Reserved by another, for writes.
    WriteReserved = 1 << 60,
    /// Nobody has the gate any more.
    Abandoned = 1 << 59,
}

/// The bits that count requests under way.
const COUNT: u64 = (1 << 32) - 1;

/// The state of one gate.
pub(crate) struct Session {
    /// Reasons why it is closed, and how many requests are under way.
    word: AtomicU64,
    quiet: Mutex<()>,
    became_quiet: Condvar,
    pub(crate) nexus: Nexus,
    pub(crate) unit: Udid,
}

impl Session {
    /// Counts a request in, or says why not. One step with the closing, by the same word.
    fn enter(&self, modifies: bool) -> Result<(), BlockError> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let closed = |reason: Closed| word & reason as u64 != 0;
            if closed(Closed::Revoked) {
                return Err(BlockError::Revoked);
            }
            if closed(Closed::Gone) {
                return Err(BlockError::Gone);
            }
            if closed(Closed::Reserved) || (modifies && closed(Closed::WriteReserved)) {
                return Err(BlockError::ReservationConflict);
            }
            match self.word.compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    fn leave(&self) {
        let before = self.word.fetch_sub(1, Ordering::AcqRel);
        if before & COUNT == 1 && before != 1 {
            // Closed, and this was the last: whoever waits is under the lock or has not looked yet.
            drop(self.quiet.lock().unwrap_or_else(PoisonError::into_inner));
            self.became_quiet.notify_all();
        }
    }

    pub(crate) fn close(&self, reason: Closed) {
        self.word.fetch_or(reason as u64, Ordering::AcqRel);
    }

    pub(crate) fn open(&self, reason: Closed) {
        self.word.fetch_and(!(reason as u64), Ordering::AcqRel);
    }

    fn is(&self, reason: Closed) -> bool {
        self.word.load(Ordering::Acquire) & reason as u64 != 0
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is(Closed::Abandoned)
    }

    fn is_quiet(&self) -> bool {
        self.word.load(Ordering::Acquire) & COUNT == 0
    }

    fn wait_until_quiet(&self) {
        let mut guard = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_quiet() {
            guard = self.became_quiet.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Requests that entered before their gates were closed.
#[must_use = "what was under way may still reach the device until it was waited for"]
#[derive(Default)]
pub struct Drain(Vec<Arc<Session>>);

impl Drain {
    /// Whether all of them have ended.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.iter().all(|session| session.is_quiet())
    }

    /// Waits until all of them have ended: as long as the device takes.
    pub fn wait(self) {
        for session in self.0 {
            session.wait_until_quiet();
        }
    }
}

#[derive(Default)]
struct ClientFence {
    epoch: Epoch,
    /// Nobody has the right to run it: not even the present epoch may do I/O.
    ended: bool,
    minimum: HashMap<(Udid, PathName), PathGeneration>,
    /// Those whose gate exists or which have requests under way.
    sessions: Vec<Arc<Session>>,
}

impl ClientFence {
    fn permits(&self, unit: &Udid, nexus: &Nexus) -> bool {
        let minimum = self.minimum.get(&(unit.clone(), nexus.path.clone())).copied().unwrap_or_default();
        !self.ended && nexus.epoch == self.epoch && nexus.generation >= minimum
    }

    /// Closes what is not permitted any more; gives everything closed that is under way, also from earlier.
    fn enforce(&mut self) -> Drain {
        self.sessions.retain(|session| !session.is_abandoned() || !session.is_quiet());
        for session in &self.sessions {
            if !self.permits(&session.unit, &session.nexus) {
                session.close(Closed::Revoked);
            }
        }
        let closed = |session: &&Arc<Session>| session.is(Closed::Revoked) && !session.is_quiet();
        Drain(self.sessions.iter().filter(closed).cloned().collect())
    }
}

/// The rules for all clients of some units: those of a storage array, or those that one server has of its own. A client
/// without a rule may do I/O under epoch zero on any path.
#[derive(Default)]
pub struct Fence {
    clients: Mutex<HashMap<PartitionUuid, ClientFence>>,
}

impl Fence {
    /// No rule yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionUuid, ClientFence>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `epoch` the only one under which the client may do I/O; a lower one than before changes nothing, because epochs
    /// only rise. Nothing enters under another one from here on; what had entered is given.
    pub fn set_epoch(&self, client: PartitionUuid, epoch: Epoch) -> Drain {
        self.change_epoch(client, epoch, false)
    }

    /// Lets nobody do I/O for the client until an epoch above `last` begins; without effect where it has begun.
    pub fn end_epoch(&self, client: PartitionUuid, last: Epoch) -> Drain {
        self.change_epoch(client, last, true)
    }

    fn change_epoch(&self, client: PartitionUuid, epoch: Epoch, ended: bool) -> Drain {
        let mut clients = self.lock();
        let fence = clients.entry(client).or_default();
        if epoch > fence.epoch {
            fence.epoch = epoch;
            fence.ended = ended;
        }
        fence.enforce()
    }

    /// Makes `minimum` the lowest generation of the client's path that may do I/O on the unit; a lower one than before
    /// changes nothing. Nothing of a lower one enters from here on; what had entered is given.
    pub fn revoke_path(
        &self,
        unit: &Udid,
        client: PartitionUuid,
        path: &PathName,
        minimum: PathGeneration,
    ) -> Drain {
        let mut clients = self.lock();
        let fence = clients.entry(client).or_default();
        let present = fence.minimum.entry((unit.clone(), path.clone())).or_default();
        *present = (*present).max(minimum);
        fence.enforce()
    }

    /// The way of one nexus to a device. Waits for requests of the same client that were revoked and are still under way on
    /// the unit, so that none of them takes effect after the first of this one.
    ///
    /// # Errors
    /// [`BlockError::Revoked`] when the nexus may do nothing.
    pub fn open(&self, unit: &Udid, device: Arc<dyn BlockDevice>, nexus: Nexus) -> Result<Gate, BlockError> {
        let session = Arc::new(Session {
            word: AtomicU64::new(0),
            quiet: Mutex::new(()),
            became_quiet: Condvar::new(),
            nexus,
            unit: unit.clone(),
        });
        let stale = {
            let mut clients = self.lock();
            let fence = clients.entry(session.nexus.client).or_default();
            if !fence.permits(unit, &session.nexus) {
                return Err(BlockError::Revoked);
            }
            let mut stale = fence.enforce();
            stale.0.retain(|other| other.unit == *unit);
            fence.sessions.push(Arc::clone(&session));
            stale
        };
        stale.wait();
        Ok(Gate { device, session })
    }
}

/// A device as one nexus has it. Dropping it does not wait for what is under way.
pub struct Gate {
    device: Arc<dyn BlockDevice>,
    session: Arc<Session>,
}

impl Gate {
    /// Who does I/O through it.
    #[must_use]
    pub fn nexus(&self) -> &Nexus {
        &self.session.nexus
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.session.close(Closed::Abandoned);
    }
}

impl BlockDevice for Gate {
    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if let Err(error) = self.session.enter(request.modifies()) {
            completion(Err(error));
            return Ok(());
        }
        // The completion goes through this slot, so that a full device can give it back as it was.
        let slot = Arc::new(Mutex::new(Some(completion)));
        let (session, taken) = (Arc::clone(&self.session), Arc::clone(&slot));
        let passed = Passed(session);
        let result = self.device.submit(
            request,
            Box::new(move |result| {
                drop(passed);
                if let Some(completion) = take(&taken) {
                    completion(result);
                }
            }),
        );
        match result {
            Ok(()) => Ok(()),
            Err(full) => {
                // Counts the request out.
                drop(full.completion);
                let completion = take(&slot).expect("a completion that was refused was not called");
                Err(QueueFull { request: full.request, completion })
            }
        }
    }

    fn wait_for_room(&self) {
        self.device.wait_for_room();
    }

    fn perform(&self, request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        self.session.enter(request.modifies())?;
        let _passed = Passed(Arc::clone(&self.session));
        self.device.perform(request)
    }
}

fn take(slot: &Mutex<Option<Completion>>) -> Option<Completion> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A request that entered; leaves when it is dropped, also with a completion that a device forgot.
struct Passed(Arc<Session>);

impl Drop for Passed {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests;
