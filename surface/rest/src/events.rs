//! The event feed: what the managed systems announce, for clients that wait for it.
//!
//! ```text
//! system event -> queue of each session (bounded) -> GET Event: translated to URIs -> feed
//! ```
//!
//! Announcements name a partition by its number; the number is turned into a UUID when a client asks, since announcing
//! must not wait. The numbers seen so far are remembered, so that a removed partition still has its URI.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use varan_contract::system::{SystemEvent, SystemEventKind, SystemEvents};
use varan_model::ids::{PartitionId, SystemUuid};

use crate::limits::EVENTS_KEPT;

/// Something that a system announced.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// System.
    pub system: SystemUuid,
    /// What.
    pub kind: SystemEventKind,
    /// Number of the event, rising over all systems.
    pub number: u64,
}

#[derive(Default)]
struct Waiting {
    /// The client has asked once and was told that it is new.
    introduced: bool,
    announced: VecDeque<Announcement>,
    missed: bool,
    closed: bool,
}

/// What waits for one client.
#[derive(Default)]
pub struct EventQueue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// What a client gets.
pub enum Taken {
    /// The client is new.
    New,
    /// These, perhaps after others that were lost.
    Some {
        /// Oldest first.
        announced: Vec<Announcement>,
        /// Others were lost.
        missed: bool,
    },
    /// Nothing happened.
    Nothing,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventQueue {
    fn push(&self, announcement: &Announcement) {
        let mut waiting = lock(&self.waiting);
        if !waiting.introduced || waiting.closed {
            return;
        }
        if waiting.announced.len() == EVENTS_KEPT {
            waiting.announced.pop_front();
            waiting.missed = true;
        }
        waiting.announced.push_back(announcement.clone());
        self.arrived.notify_all();
    }

    /// Nobody asks any more.
    pub fn close(&self) {
        lock(&self.waiting).closed = true;
        self.arrived.notify_all();
    }

    /// Whether this client has not asked before.
    pub fn is_new(&self) -> bool {
        !lock(&self.waiting).introduced
    }

    /// Takes what waits; waits for something if nothing does.
    pub fn take(&self, wait: Duration) -> Taken {
        let mut waiting = lock(&self.waiting);
        if !waiting.introduced {
            waiting.introduced = true;
            return Taken::New;
        }
        let idle = |waiting: &mut Waiting| waiting.announced.is_empty() && !waiting.closed;
        let waited = self.arrived.wait_timeout_while(waiting, wait, idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.announced.is_empty() {
            return Taken::Nothing;
        }
        let missed = std::mem::take(&mut waiting.missed);
        Taken::Some { announced: waiting.announced.drain(..).collect(), missed }
    }
}

/// Where a partition is found: path below `uom/`.
pub type KnownPartitions = HashMap<(SystemUuid, PartitionId), String>;

/// All queues.
#[derive(Default)]
pub struct EventHub {
    queues: Mutex<Vec<Weak<EventQueue>>>,
    /// Paths of partitions by number.
    pub known: Mutex<KnownPartitions>,
    number: AtomicU64,
}

/// One system's part of a hub.
pub struct SystemWatch {
    hub: Weak<EventHub>,
    system: SystemUuid,
}

impl SystemEvents for SystemWatch {
    fn system_event(&self, event: &SystemEvent) {
        if let Some(hub) = self.hub.upgrade() {
            hub.announce(self.system, event.kind.clone());
        }
    }
}

impl EventHub {
    /// What a system must tell.
    pub fn watch(self: &Arc<Self>, system: SystemUuid) -> Arc<SystemWatch> {
        Arc::new(SystemWatch { hub: Arc::downgrade(self), system })
    }

    /// A queue for a new client.
    pub fn queue(&self) -> Arc<EventQueue> {
        let queue = Arc::new(EventQueue::default());
        let mut queues = lock(&self.queues);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        queue
    }

    fn announce(&self, system: SystemUuid, kind: SystemEventKind) {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let announcement = Announcement { system, kind, number };
        for queue in lock(&self.queues).iter().filter_map(Weak::upgrade) {
            queue.push(&announcement);
        }
    }

    /// A number for an event that no system announced.
    pub fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The paths known so far.
    pub fn known(&self) -> MutexGuard<'_, KnownPartitions> {
        lock(&self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_introduced_and_then_told_in_order() {
        let hub = Arc::new(EventHub::default());
        let watch = hub.watch(SystemUuid(1));
        let queue = hub.queue();
        let event = |sequence| SystemEvent { sequence, kind: SystemEventKind::SystemChanged };
        watch.system_event(&event(1));
        assert!(matches!(queue.take(Duration::ZERO), Taken::New));
        assert!(matches!(queue.take(Duration::ZERO), Taken::Nothing));
        for sequence in 2..2 + EVENTS_KEPT as u64 + 1 {
            watch.system_event(&event(sequence));
        }
        let Taken::Some { announced, missed } = queue.take(Duration::ZERO) else { panic!("events") };
        assert_eq!((announced.len(), missed), (EVENTS_KEPT, true));
        assert!(announced.windows(2).all(|pair| pair[0].number < pair[1].number));
        queue.close();
        assert!(matches!(queue.take(Duration::from_secs(3_600)), Taken::Nothing));
    }
}
