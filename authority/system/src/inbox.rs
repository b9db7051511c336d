//! Where requests and engine events wait for the authority.
//!
//! Requests are bounded: beyond the bound a caller is told that the system is busy. Engine events are not refused,
//! because a lost one would leave a partition in a wrong state; their number is bounded by what guests can produce
//! between two steps of the authority.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use varan_contract::engine::{EngineEvent, EngineEvents};
use varan_contract::system::{Origin, RequestId, SystemRequest};

use crate::authority::ReplySender;

/// Requests that may wait: enough for every session of a console, few enough to answer in seconds.
pub const REQUESTS_WAITING_MAX: usize = 4_096;
/// Inputs handled in one batch, so that one transaction stays small.
pub const BATCH_MAX: usize = 256;

/// One thing for the authority to handle.
pub enum Input {
    /// An engine's report.
    Engine(EngineEvent),
    /// A request.
    Request {
        /// Identity.
        id: RequestId,
        /// The console that asks; `None` for the machine itself.
        origin: Option<Arc<Origin>>,
        /// What is asked.
        request: SystemRequest,
        /// Where the answer goes.
        reply: ReplySender,
    },
}

/// A request with its origin and where its answer goes.
pub(crate) type Request = (RequestId, Option<Arc<Origin>>, SystemRequest, ReplySender);

#[derive(Default)]
struct Waiting {
    events: VecDeque<EngineEvent>,
    requests: VecDeque<Request>,
    closed: bool,
}

/// The inbox of one managed system.
#[derive(Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Inbox {
    /// Puts a request; false when too many wait or the system is stopped.
    #[must_use]
    pub fn request(&self, id: RequestId, request: SystemRequest, reply: ReplySender) -> bool {
        self.request_from(None, id, request, reply)
    }

    /// The same for a console.
    #[must_use]
    pub fn request_from(
        &self,
        origin: Option<Arc<Origin>>,
        id: RequestId,
        request: SystemRequest,
        reply: ReplySender,
    ) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed || waiting.requests.len() >= REQUESTS_WAITING_MAX {
            return false;
        }
        waiting.requests.push_back((id, origin, request, reply));
        drop(waiting);
        self.filled.notify_one();
        true
    }

    /// Ends the authority's run after what is being handled.
    pub fn close(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.closed = true;
        // Dropping the senders tells every caller that there is no answer.
        waiting.requests.clear();
        drop(waiting);
        self.filled.notify_all();
    }

    /// Waits for input, at most `wait`; an empty list when the time is over, `None` when closed.
    pub fn wait(&self, wait: Option<Duration>) -> Option<Vec<Input>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if waiting.closed {
                return None;
            }
            if !waiting.events.is_empty() || !waiting.requests.is_empty() {
                return Some(Self::take(&mut waiting));
            }
            match wait {
                Some(wait) if wait.is_zero() => return Some(Vec::new()),
                Some(wait) => {
                    let (guard, timeout) =
                        self.filled.wait_timeout(waiting, wait).unwrap_or_else(PoisonError::into_inner);
                    waiting = guard;
                    if timeout.timed_out() {
                        return if waiting.closed { None } else { Some(Self::take(&mut waiting)) };
                    }
                }
                None => waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Takes what waits without waiting. For tests and simulations.
    pub fn drain(&self) -> Vec<Input> {
        Self::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(waiting: &mut Waiting) -> Vec<Input> {
        let mut inputs: Vec<Input> = Vec::new();
        while inputs.len() < BATCH_MAX {
            let Some(event) = waiting.events.pop_front() else { break };
            inputs.push(Input::Engine(event));
        }
        while inputs.len() < BATCH_MAX {
            let Some((id, origin, request, reply)) = waiting.requests.pop_front() else { break };
            inputs.push(Input::Request { id, origin, request, reply });
        }
        inputs
    }
}

impl EngineEvents for Inbox {
    fn engine_event(&self, event: EngineEvent) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).events.push_back(event);
        self.filled.notify_one();
    }
}
