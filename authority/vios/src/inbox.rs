//! Where requests, starts and stops, clients' log-ins and states of paths wait for the authority.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use varan_contract::network::ServerNetworkEvent;
use varan_contract::storage::StorageError;
use varan_contract::vios::{RequestId, ViosCallError, ViosChange, ViosDone};

use crate::decide::PathEvent;
use crate::settings::{AdapterChange, ViosSpecification};
use crate::world::{Connected, LastClient};

/// Requests that may wait.
const REQUESTS_WAITING_MAX: usize = 4_096;
/// Events of the network that may wait; what comes above that is lost, as a full error log buffer loses entries.
const EVENTS_WAITING_MAX: usize = 1_024;
/// Inputs handled in one batch, so that one transaction stays small.
const BATCH_MAX: usize = 256;

/// Where the answer to a change goes.
pub(crate) type ReplySender = SyncSender<Result<ViosDone, ViosCallError>>;

/// One thing for the authority to handle.
pub(crate) enum Input {
    Change { id: RequestId, change: ViosChange, reply: ReplySender },
    Boot { specification: Box<ViosSpecification>, reply: SyncSender<Result<(), String>> },
    Stop { orderly: bool, reply: SyncSender<()> },
    Adapter { change: AdapterChange, reply: SyncSender<Result<(), Vec<String>>> },
    Client { slot: u16, connected: Option<Box<Connected>>, last: Option<Box<LastClient>>, reply: ClientReply },
    Check { reply: SyncSender<()> },
    Path(PathEvent),
    Network(ServerNetworkEvent),
}

/// Where the answer to a client's log-in goes.
pub(crate) type ClientReply = SyncSender<Result<(), StorageError>>;

#[derive(Default)]
struct Waiting {
    inputs: VecDeque<Input>,
    /// Events of paths; each path once.
    paths: VecDeque<PathEvent>,
    events: VecDeque<ServerNetworkEvent>,
    closed: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.paths.is_empty() && self.events.is_empty()
    }
}

#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an input; false when too many wait or the server is closed.
    pub(crate) fn put(&self, input: Input) -> bool {
        let mut waiting = self.lock();
        if waiting.closed || waiting.inputs.len() >= REQUESTS_WAITING_MAX {
            return false;
        }
        waiting.inputs.push_back(input);
        drop(waiting);
        self.filled.notify_one();
        true
    }

    pub(crate) fn path_event(&self, event: PathEvent) {
        let mut waiting = self.lock();
        if waiting.closed || waiting.paths.contains(&event) {
            return;
        }
        waiting.paths.push_back(event);
        drop(waiting);
        self.filled.notify_one();
    }

    pub(crate) fn network_event(&self, event: ServerNetworkEvent) {
        let mut waiting = self.lock();
        if waiting.closed || waiting.events.len() >= EVENTS_WAITING_MAX {
            return;
        }
        waiting.events.push_back(event);
        drop(waiting);
        self.filled.notify_one();
    }

    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        // Dropping the senders tells every caller that there is no answer.
        waiting.inputs.clear();
        drop(waiting);
        self.filled.notify_all();
    }

    /// Waits for input, at most `wait`; an empty list when the time is over, `None` when closed.
    pub(crate) fn wait(&self, wait: Option<Duration>) -> Option<Vec<Input>> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if !waiting.is_empty() {
                let mut taken: Vec<Input> = waiting.paths.drain(..).map(Input::Path).collect();
                taken.extend(waiting.events.drain(..).map(Input::Network));
                let count = waiting.inputs.len().min(BATCH_MAX);
                taken.extend(waiting.inputs.drain(..count));
                return Some(taken);
            }
            match wait {
                Some(wait) => {
                    let (guard, timeout) =
                        self.filled.wait_timeout(waiting, wait).unwrap_or_else(PoisonError::into_inner);
                    waiting = guard;
                    if timeout.timed_out() && waiting.is_empty() {
                        return if waiting.closed { None } else { Some(Vec::new()) };
                    }
                }
                None => waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
