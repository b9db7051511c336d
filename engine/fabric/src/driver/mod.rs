//! Drives the places of a process: one thread hands frames from place to place and to those outside.
//!
//! ```text
//!   guests, sockets, TAP devices --> inbox --> [ place <-> place <-> place ] --> sinks --> guests, sockets, TAP devices
//!                                    (batches)         one thread                (batches)
//! ```
//!
//! Who sends takes the inbox's lock once for a batch; between places no lock is taken. A place is only touched under the
//! engine's lock, which the thread holds while it works; questions ([`PlaceHandle::ask`]) take it between two batches.
//! Without a thread, [`Driver::step`] does the same on the caller's, in virtual time.

mod engine;
mod lines;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use varan_environment::{Environment, Monotonic};
use varan_ethernet::Frame;

use crate::place::{Outbox, Place, PortNumber};
use engine::{Engine, Message};
pub use lines::Lines;

/// Frames that wait in the inbox at most; more are dropped, as a device without room drops them.
const INBOX_FRAMES: usize = 65_536;
/// Longest sleep of the thread when nothing is due.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// A place of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(u32);

/// A port of a place of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Place.
    pub place: PlaceId,
    /// Port.
    pub port: PortNumber,
}

/// Takes what leaves through a port. Called from the driver's thread; must not block and must not call the driver.
pub trait Sink: Send {
    /// Frames in order; what is left in `frames` is dropped.
    fn deliver(&mut self, frames: &mut Vec<Frame>);
    /// The carrier of the place's side.
    fn carrier(&mut self, up: bool) {
        let _ = up;
    }
}

/// Drives places until it is dropped.
pub struct Driver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Inbox {
    messages: Vec<Message>,
    frames: usize,
    /// Frames dropped because the inbox was full.
    dropped: u64,
    shutting_down: bool,
}

struct Shared {
    environment: Arc<dyn Environment>,
    inbox: Mutex<Inbox>,
    wake: Condvar,
    engine: Mutex<Engine>,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn post(&self, message: Message) {
        let mut inbox = lock(&self.inbox);
        let frames = message.frames();
        if frames > 0 && inbox.frames + frames > INBOX_FRAMES {
            inbox.dropped += frames as u64;
            return;
        }
        inbox.frames += frames;
        let first = inbox.messages.is_empty();
        inbox.messages.push(message);
        drop(inbox);
        if first {
            self.wake.notify_one();
        }
    }

    /// Does what is in the inbox, due or under way; true when something is still under way.
    fn work(&self, engine: &mut Engine) -> bool {
        let messages = {
            let mut inbox = lock(&self.inbox);
            inbox.frames = 0;
            std::mem::replace(&mut inbox.messages, engine.spare())
        };
        engine.run(self.environment.monotonic(), messages)
    }

    /// The thread's life.
    fn live(&self) {
        loop {
            let mut engine = lock(&self.engine);
            let busy = self.work(&mut engine);
            let due = engine.next_due();
            drop(engine);
            if busy {
                // Whoever waits to ask gets its turn between two batches.
                std::thread::yield_now();
            }
            let inbox = lock(&self.inbox);
            if inbox.shutting_down {
                return;
            }
            if busy || !inbox.messages.is_empty() {
                continue;
            }
            let now = self.environment.monotonic();
            let sleep = due.map_or(LONGEST_SLEEP, |due| due.since(now)).min(LONGEST_SLEEP);
            if !sleep.is_zero() {
                // Woken for whatever reason, it looks again.
                let _ = self.wake.wait_timeout(inbox, sleep);
            }
        }
    }
}

impl Driver {
    /// A driver with a thread of its own.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn threaded(environment: Arc<dyn Environment>) -> io::Result<Self> {
        let mut driver = Self::stepped(environment);
        let shared = driver.shared.clone();
        driver.thread =
            Some(std::thread::Builder::new().name("fabric".to_owned()).spawn(move || shared.live())?);
        Ok(driver)
    }

    /// A driver that works when it is stepped.
    #[must_use]
    pub fn stepped(environment: Arc<dyn Environment>) -> Self {
        let shared = Shared {
            environment,
            inbox: Mutex::default(),
            wake: Condvar::new(),
            engine: Mutex::new(Engine::new()),
        };
        Self { shared: Arc::new(shared), thread: None }
    }

    /// Adds a place. `events` takes what it reports; it is called from the driver's thread, must not block and must not
    /// call the driver.
    pub fn add<P: Place + 'static>(
        &self,
        place: P,
        events: impl FnMut(P::Event) + Send + 'static,
    ) -> PlaceHandle<P> {
        let id = lock(&self.shared.engine).add(place, Box::new(events));
        self.shared.wake.notify_one();
        PlaceHandle { shared: Arc::downgrade(&self.shared), id, place: PhantomData }
    }

    /// Does on the calling thread what waits and what is due; true when something was done.
    pub fn step(&self) -> bool {
        let mut engine = lock(&self.shared.engine);
        let now = self.shared.environment.monotonic();
        let waits = !lock(&self.shared.inbox).messages.is_empty();
        let due = engine.next_due().is_some_and(|due| due <= now);
        while self.shared.work(&mut engine) {}
        waits || due
    }

    /// When a place has something to do; `None` for never. What waits in the inbox is due at once.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        let engine = lock(&self.shared.engine);
        if engine.busy() || !lock(&self.shared.inbox).messages.is_empty() {
            return Some(self.shared.environment.monotonic());
        }
        engine.next_due()
    }

    /// Whoever joins ports of this driver.
    #[must_use]
    pub fn wiring(&self) -> Wiring {
        Wiring { shared: Arc::downgrade(&self.shared) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        lock(&self.shared.inbox).shutting_down = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended already.
            let _ = thread.join();
        }
    }
}

/// Joins ports. What it is told happens in order with frames sent before and after. Nothing happens once the driver is
/// gone.
#[derive(Clone)]
pub struct Wiring {
    shared: Weak<Shared>,
}

impl Wiring {
    fn post(&self, message: Message) {
        if let Some(shared) = self.shared.upgrade() {
            shared.post(message);
        }
    }

    /// Joins two ports: what leaves one enters the other.
    pub fn link(&self, one: Endpoint, other: Endpoint) {
        self.post(Message::Link(one, other));
    }

    /// What leaves a port goes to a sink. The place sees a carrier as [`Wiring::carrier`] says; at first none.
    pub fn attach(&self, port: Endpoint, sink: impl Sink + 'static) {
        self.post(Message::Attach(port, Box::new(sink)));
    }

    /// Nothing is at a port any more; both sides lose their carrier.
    pub fn detach(&self, port: Endpoint) {
        self.post(Message::Detach(port));
    }

    /// The carrier that comes into a port from a sink's side.
    pub fn carrier(&self, port: Endpoint, up: bool) {
        self.post(Message::Carrier(port, up));
    }

    /// Frames that enter a port; `frames` is empty afterwards.
    pub fn send(&self, port: Endpoint, frames: &mut Vec<Frame>) {
        if !frames.is_empty() {
            self.post(Message::Frames(port, std::mem::take(frames)));
        }
    }
}

/// A place in a driver's hands. It goes with [`PlaceHandle::remove`] or with the driver.
pub struct PlaceHandle<P> {
    shared: Weak<Shared>,
    id: PlaceId,
    place: PhantomData<fn(P)>,
}

impl<P> Clone for PlaceHandle<P> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), id: self.id, place: PhantomData }
    }
}

impl<P: Place + 'static> PlaceHandle<P> {
    /// The place.
    #[must_use]
    pub fn id(&self) -> PlaceId {
        self.id
    }

    /// A port of it.
    #[must_use]
    pub fn port(&self, port: PortNumber) -> Endpoint {
        Endpoint { place: self.id, port }
    }

    /// Has something done to the place, in order with frames sent before and after. Does not wait.
    pub fn tell(&self, change: impl FnOnce(&mut P, Monotonic, &mut Outbox) + Send + 'static) {
        let Some(shared) = self.shared.upgrade() else { return };
        let change = move |place: &mut dyn Any, now: Monotonic, out: &mut Outbox| {
            if let Some(place) = place.downcast_mut::<P>() {
                change(place, now, out);
            }
        };
        shared.post(Message::Call(self.id, Box::new(change)));
    }

    /// Asks the place, after all that was told before. `None` when it is gone. Never from a sink or an event handler.
    pub fn ask<R>(&self, question: impl FnOnce(&mut P, Monotonic, &mut Outbox) -> R) -> Option<R> {
        let shared = self.shared.upgrade()?;
        let mut engine = lock(&shared.engine);
        shared.work(&mut engine);
        let now = shared.environment.monotonic();
        let mut answer = None;
        let mut question = Some(question);
        engine.call(self.id, now, &mut |place, now, out| {
            if let (Some(place), Some(question)) = (place.downcast_mut::<P>(), question.take()) {
                answer = Some(question(place, now, out));
            }
        });
        drop(engine);
        // Something may be under way, or due earlier than the thread knows.
        shared.wake.notify_one();
        answer
    }

    /// The place stands still, or goes on: meanwhile nothing of it happens and what is sent to it waits, up to a limit.
    pub fn pause(&self, paused: bool) {
        if let Some(shared) = self.shared.upgrade() {
            shared.post(Message::Pause(self.id, paused));
        }
    }

    /// The place is gone; whatever was linked to it loses its carrier.
    pub fn remove(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.post(Message::Remove(self.id));
        }
    }
}
