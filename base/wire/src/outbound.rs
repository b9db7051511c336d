//! What waits to be written to one connection of a server.
//!
//! Replies are bounded because no more requests are read while too many wait for being answered. Events are
//! bounded because a subscriber that does not keep up loses them and is told to resync. Both share one
//! queue: an event that was published before a reply was given arrives before it.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// An encoded frame; events are encoded once for all subscribers.
pub(crate) type Bytes = Arc<[u8]>;

enum Item {
    Reply(Bytes),
    Event(Bytes),
    Resync(Bytes),
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    events: usize,
    /// Requests that were read and whose replies were not yet written.
    unanswered: usize,
    subscribed: bool,
    closed: bool,
}

pub(crate) struct Outbound {
    state: Mutex<State>,
    changed: Condvar,
    close: Arc<dyn Fn() + Send + Sync>,
    unanswered_limit: usize,
    event_limit: usize,
}

impl Outbound {
    pub fn new(close: Arc<dyn Fn() + Send + Sync>, unanswered_limit: usize, event_limit: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), close, unanswered_limit, event_limit }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, after waiting until there is room for its reply. False if the connection ended.
    pub fn admit(&self) -> bool {
        let full = |state: &mut State| state.unanswered >= self.unanswered_limit && !state.closed;
        let mut state = self.changed.wait_while(self.state(), full).unwrap_or_else(PoisonError::into_inner);
        state.unanswered += 1;
        !state.closed
    }

    pub fn reply(&self, bytes: Bytes) {
        self.push(|state| state.queue.push_back(Item::Reply(bytes)));
    }

    /// Queues an event; a subscriber with too many gets `resync` in their place.
    pub fn event(&self, bytes: &Bytes, resync: impl FnOnce() -> Option<Bytes>) {
        self.push(|state| {
            if !state.subscribed {
                return;
            }
            if state.events < self.event_limit {
                state.events += 1;
                state.queue.push_back(Item::Event(Arc::clone(bytes)));
                return;
            }
            state.drop_events();
            state.queue.extend(resync().map(Item::Resync));
        });
    }

    /// Begins a subscription anew with `resync`, or with these events if there is room for them.
    pub fn subscribe(&self, events: Option<Vec<Bytes>>, resync: impl FnOnce() -> Option<Bytes>) {
        self.push(|state| {
            state.subscribed = true;
            state.drop_events();
            match events.filter(|events| events.len() <= self.event_limit) {
                Some(events) => {
                    state.events = events.len();
                    state.queue.extend(events.into_iter().map(Item::Event));
                }
                None => state.queue.extend(resync().map(Item::Resync)),
            }
        });
    }

    fn push(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        if !state.closed {
            change(&mut state);
            self.changed.notify_all();
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.changed.notify_all();
        (self.close)();
    }

    /// Writes until the connection ends.
    pub fn write_all(&self, mut stream: impl Write) {
        loop {
            let idle = |state: &mut State| state.queue.is_empty() && !state.closed;
            let mut state =
                self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
            let Some(item) = state.queue.pop_front() else { return };
            let last = state.queue.is_empty();
            state.events -= usize::from(matches!(item, Item::Event(_)));
            drop(state);
            let (Item::Reply(bytes) | Item::Event(bytes) | Item::Resync(bytes)) = &item;
            let written = stream.write_all(bytes);
            if written.and_then(|()| if last { stream.flush() } else { Ok(()) }).is_err() {
                self.close();
                return;
            }
            if matches!(item, Item::Reply(_)) {
                self.state().unanswered -= 1;
                self.changed.notify_all();
            }
        }
    }
}

impl State {
    fn drop_events(&mut self) {
        self.queue.retain(|item| matches!(item, Item::Reply(_)));
        self.events = 0;
    }
}
