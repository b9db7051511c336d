//! The queue of a file device and the threads that empty it.

use std::collections::VecDeque;
use std::io::{IoSlice, Result};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rustix::io::{ReadWriteFlags, pwritev2};
use varan_contract::block::{BlockAnswer, BlockError, BlockRequest, Completion, QueueFull};

use super::operation::{Operation, Step};
use super::ring::{Ring, zero_mode};
use super::{Backing, DriverKind};
use crate::order::WriteOrder;

/// Requests that a device takes before it is full.
const QUEUE_LIMIT: usize = 512;
/// Operations that the kernel does at a time.
const DEPTH: usize = 128;
/// Threads where the kernel has no io_uring.
const THREADS: usize = 4;

/// What submitters and driver share. The lock is never held across I/O or a completion.
struct Shared {
    backing: Arc<Backing>,
    table: Mutex<Table>,
    /// Raised for threads that wait for work.
    work: Condvar,
    /// Raised when there is room again.
    room: Condvar,
    /// Raised for a ring that waits; nothing where threads do the requests.
    event: OnceLock<Option<OwnedFd>>,
}

struct Table {
    queue: VecDeque<Box<Operation>>,
    order: WriteOrder<Box<Operation>>,
    /// Operations accepted and not ended.
    accepted: usize,
    /// Threads in `wait_for_room`.
    waiting: usize,
    /// The ring's thread waits and needs the event.
    asleep: bool,
    closing: bool,
}

/// Starts its threads when something is first queued: a device that is only performed on, or not used, costs none.
pub(super) struct Driver {
    shared: Arc<Shared>,
    kind: DriverKind,
    /// Why there are none, where the host gives none.
    threads: OnceLock<std::result::Result<Vec<JoinHandle<()>>, String>>,
}

impl Driver {
    pub(super) fn new(backing: Arc<Backing>, kind: DriverKind) -> Self {
        let table = Table {
            queue: VecDeque::new(),
            order: WriteOrder::new(),
            accepted: 0,
            waiting: 0,
            asleep: false,
            closing: false,
        };
        let (work, room) = (Condvar::new(), Condvar::new());
        let shared = Shared { backing, table: Mutex::new(table), work, room, event: OnceLock::new() };
        Self { shared: Arc::new(shared), kind, threads: OnceLock::new() }
    }

    fn start(&self) -> std::result::Result<(), BlockError> {
        let started = self.threads.get_or_init(|| self.spawn_all().map_err(|error| error.to_string()));
        started.as_ref().map(drop).map_err(|text| BlockError::Medium(text.clone()))
    }

    fn spawn_all(&self) -> Result<Vec<JoinHandle<()>>> {
        let mut ring = None;
        let mut event = None;
        if self.kind == DriverKind::Automatic {
            let wake = Ring::event()?;
            // A kernel without io_uring, or one that denies it, is what the threads are for.
            if let Ok(made) = Ring::new(DEPTH, wake.try_clone()?) {
                ring = Some(made);
                event = Some(wake);
            }
        }
        let _ = self.shared.event.set(event);
        let spawn = |body: Box<dyn FnOnce(&Shared) + Send>| {
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new().name("block".to_owned()).spawn(move || body(&shared))
        };
        match ring {
            Some(ring) => Ok(vec![spawn(Box::new(|shared| shared.run_ring(ring)))?]),
            None => {
                // One is enough to go on; the others make it faster.
                let first = spawn(Box::new(Shared::run_thread))?;
                let more = (1..THREADS).map_while(|_| spawn(Box::new(Shared::run_thread)).ok());
                Ok(std::iter::once(first).chain(more).collect())
            }
        }
    }

    pub(super) fn uses_io_uring(&self) -> bool {
        self.start().is_ok() && self.shared.ring_event().is_some()
    }

    pub(super) fn backing(&self) -> &Backing {
        &self.shared.backing
    }

    pub(super) fn submit(
        &self,
        request: BlockRequest,
        completion: Completion,
    ) -> std::result::Result<(), QueueFull> {
        if let Err(error) = self.start() {
            completion(Err(error));
            return Ok(());
        }
        let mut table = self.shared.lock();
        if table.accepted >= QUEUE_LIMIT {
            return Err(QueueFull { request, completion });
        }
        table.accepted += 1;
        let operation = Box::new(Operation::new(request, Some(completion)));
        if let Some(range) = operation.changes() {
            if table.order.must_wait(range) {
                table.order.hold(range, operation);
                return Ok(());
            }
            table.order.begin(range);
        }
        table.queue.push_back(operation);
        self.shared.wake(table, 1);
        Ok(())
    }

    pub(super) fn wait_for_room(&self) {
        let mut table = self.shared.lock();
        table.waiting += 1;
        while table.accepted >= QUEUE_LIMIT {
            table = self.shared.room.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        table.waiting -= 1;
    }

    /// Does a request on the caller's thread; a write that must wait for another goes through the queue.
    pub(super) fn perform(&self, request: BlockRequest) -> std::result::Result<BlockAnswer, BlockError> {
        let operation = Operation::new(request, None);
        let changes = operation.changes();
        if let Some(range) = changes {
            let mut table = self.shared.lock();
            if table.order.must_wait(range) {
                drop(table);
                return self.perform_queued(operation.request);
            }
            table.order.begin(range);
        }
        let (request, result) = self.shared.backing.execute(operation);
        if let Some(range) = changes {
            self.shared.end_write(range, false);
        }
        result.and_then(|()| Operation::answer(request, &self.shared.backing))
    }

    fn perform_queued(&self, request: BlockRequest) -> std::result::Result<BlockAnswer, BlockError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let mut request = request;
        let mut completion: Completion = Box::new(move |result| {
            let _ = sender.send(result);
        });
        while let Err(full) = self.submit(request, completion) {
            self.wait_for_room();
            QueueFull { request, completion } = full;
        }
        receiver.recv().unwrap_or(Err(BlockError::Gone))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut table = self.shared.lock();
        table.closing = true;
        self.shared.work.notify_all();
        self.shared.wake(table, THREADS);
        let own = std::thread::current().id();
        for thread in self.threads.take().and_then(std::result::Result::ok).unwrap_or_default() {
            // The last user may be a completion, on the driver's own thread: it then ends after this.
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_event(&self) -> Option<&OwnedFd> {
        self.event.get().and_then(Option::as_ref)
    }

    /// Tells the driver that there is work.
    fn wake(&self, mut table: MutexGuard<'_, Table>, operations: usize) {
        match self.ring_event() {
            Some(event) => {
                let asleep = std::mem::take(&mut table.asleep);
                drop(table);
                if asleep {
                    // Fails only when the count would overflow, and then the event is raised already.
                    let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
                }
            }
            None => {
                drop(table);
                for _ in 0..operations.min(THREADS) {
                    self.work.notify_one();
                }
            }
        }
    }

    /// Lets the writes begin that waited for this one; `accepted` where the queue counts it.
    fn end_write(&self, range: crate::order::Range, accepted: bool) {
        let mut table = self.lock();
        let ready = table.order.end(range);
        let count = ready.len();
        table.queue.extend(ready);
        if accepted {
            self.release(&mut table);
        }
        if count > 0 {
            self.wake(table, count);
        }
    }

    fn release(&self, table: &mut Table) {
        table.accepted -= 1;
        if table.waiting > 0 {
            self.room.notify_all();
        }
    }

    fn finish(&self, mut operation: Operation, result: std::result::Result<(), BlockError>) {
        match operation.changes() {
            Some(range) => self.end_write(range, true),
            None => self.release(&mut self.lock()),
        }
        let completion = operation.completion.take().expect("accepted with a completion");
        completion(result.and_then(|()| Operation::answer(operation.request, &self.backing)));
    }

    /// The body of a thread without a ring.
    fn run_thread(&self) {
        loop {
            let mut table = self.lock();
            let operation = loop {
                if let Some(operation) = table.queue.pop_front() {
                    break operation;
                }
                if table.closing {
                    return;
                }
                table = self.work.wait(table).unwrap_or_else(PoisonError::into_inner);
            };
            drop(table);
            let mut operation = *operation;
            let completion = operation.completion.take();
            let (request, result) = self.backing.execute(operation);
            self.finish(Operation::new(request, completion), result);
        }
    }

    /// The body of the thread with the ring.
    fn run_ring(&self, mut ring: Ring) {
        let mut batch: VecDeque<Box<Operation>> = VecDeque::new();
        let mut done = Vec::new();
        loop {
            let mut table = self.lock();
            batch.append(&mut table.queue);
            if batch.is_empty() && ring.is_idle() && table.closing && table.accepted == 0 {
                return;
            }
            table.asleep = true;
            drop(table);
            let intact = if batch.iter().any(|operation| operation.request.modifies()) {
                self.backing.verify()
            } else {
                Ok(())
            };
            while let Some(operation) = batch.pop_front() {
                if !self.begin(&mut ring, operation, &intact, &mut batch) {
                    break;
                }
            }
            ring.wait(&mut done);
            crate::batch::run(|| {
                for (mut operation, result) in done.drain(..) {
                    match operation.advance(&self.backing, result) {
                        Some(result) => self.finish(*operation, result),
                        None => ring.begin(&self.backing.file, operation),
                    }
                }
            });
        }
    }

    /// Begins an operation; without room it goes back and `false` is given.
    fn begin(
        &self,
        ring: &mut Ring,
        mut operation: Box<Operation>,
        intact: &std::result::Result<(), BlockError>,
        batch: &mut VecDeque<Box<Operation>>,
    ) -> bool {
        if !ring.has_room() {
            batch.push_front(operation);
            return false;
        }
        if operation.request.modifies()
            && let Err(error) = intact
        {
            self.finish(*operation, Err(error.clone()));
        } else if operation.is_empty() || matches!(operation.step(), Step::Status) {
            self.finish(*operation, Ok(()));
        } else {
            ring.begin(&self.backing.file, operation);
        }
        true
    }
}

impl Backing {
    /// Does an operation on this thread.
    pub(super) fn execute(
        &self,
        mut operation: Operation,
    ) -> (BlockRequest, std::result::Result<(), BlockError>) {
        if operation.is_empty() {
            return (operation.request, Ok(()));
        }
        if operation.request.modifies()
            && let Err(error) = self.verify()
        {
            return (operation.request, Err(error));
        }
        loop {
            let result = match operation.step() {
                Step::Read { offset, into } => self.file.read_at(into, offset),
                Step::Write { offset, from, durable: false } => self.file.write_at(from, offset),
                Step::Write { offset, from, durable: true } => {
                    pwritev2(&self.file, &[IoSlice::new(from)], offset, ReadWriteFlags::DSYNC)
                        .map_err(std::io::Error::from)
                }
                Step::Sync => rustix::fs::fdatasync(&self.file).map(|()| 0).map_err(std::io::Error::from),
                Step::Zero { offset, length, punch } => {
                    rustix::fs::fallocate(&self.file, zero_mode(punch), offset, length)
                        .map(|()| 0)
                        .map_err(std::io::Error::from)
                }
                Step::Status => Ok(0),
            };
            if let Some(result) = operation.advance(self, result) {
                return (operation.request, result);
            }
        }
    }
}
