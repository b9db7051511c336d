//! One flag that stops everything that belongs to a command, a session or a channel.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

type Waker = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Wakers {
    next: u64,
    registered: BTreeMap<u64, Waker>,
}

/// A flag that can be set once, and wakes whoever waits. Cheap to ask.
#[derive(Default)]
pub struct Cancellation {
    cancelled: AtomicBool,
    wakers: Mutex<Wakers>,
    sleepers: Condvar,
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cancellation").field("cancelled", &self.is_cancelled()).finish()
    }
}

impl Cancellation {
    /// A flag that is not set.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A flag that is set when the parent is, and can be set on its own without touching the parent. A
    /// child that is dropped is forgotten.
    pub fn child(parent: &Arc<Self>) -> Arc<Self> {
        let child = Self::new();
        let weak = Arc::downgrade(&child);
        let number = parent.register(Arc::new(move || {
            if let Some(child) = weak.upgrade() {
                child.cancel();
            }
        }));
        // The child's end removes the parent's entry: a session runs any number of commands.
        let link = Arc::new(Registration { cancellation: Arc::downgrade(parent), number });
        child.register(Arc::new(move || {
            let _ = &link;
        }));
        child
    }

    /// Whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Sets the flag and wakes everyone. Further calls do nothing.
    pub fn cancel(&self) {
        if self.cancelled.swap(true, Ordering::AcqRel) {
            return;
        }
        let wakers = std::mem::take(&mut self.lock().registered);
        self.sleepers.notify_all();
        for waker in wakers.into_values() {
            waker();
        }
    }

    /// Calls `waker` when the flag is set, at once if it is set already, until the registration is dropped.
    /// The call comes from the thread that cancels; it must be short and must not block.
    pub fn on_cancel(self: &Arc<Self>, waker: impl Fn() + Send + Sync + 'static) -> Registration {
        let number = self.register(Arc::new(waker));
        Registration { cancellation: Arc::downgrade(self), number }
    }

    /// Waits for the given time or until the flag is set. Returns true when it is set.
    pub fn wait(&self, duration: Duration) -> bool {
        let guard = self.lock();
        let wait = self.sleepers.wait_timeout_while(guard, duration, |_| !self.is_cancelled());
        drop(wait.unwrap_or_else(PoisonError::into_inner));
        self.is_cancelled()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, waker: Waker) -> u64 {
        let mut wakers = self.lock();
        let number = wakers.next;
        wakers.next += 1;
        // Under the lock: cancel() sets the flag first and takes the list after, so a waker is either
        // in the list that cancel() takes or sees the flag here.
        if self.is_cancelled() {
            drop(wakers);
            waker();
        } else {
            wakers.registered.insert(number, waker);
        }
        number
    }
}

/// Keeps a waker registered; see [`Cancellation::on_cancel`].
#[derive(Debug)]
pub struct Registration {
    cancellation: Weak<Cancellation>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(cancellation) = self.cancellation.upgrade() {
            let waker = cancellation.lock().registered.remove(&self.number);
            // Dropped outside the lock: a waker may own another registration.
            drop(waker);
        }
    }
}
