//! The one thread that writes the console's database. Waiting writes share a transaction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::store::{Change, Store, StoreError};

/// Writes that may wait. Beyond it the command that wants to write waits: the audit is complete or commands are slow.
const QUEUE: usize = 1_024;
/// Most writes of one transaction.
const BATCH: usize = 256;

enum Job {
    /// Write, and tell the result where somebody waits for it.
    Write(Change, Option<SyncSender<Result<(), StoreError>>>),
    /// Read, after all writes before it.
    Read(Box<dyn FnOnce(&Store) + Send>),
}

/// Handle of the writing thread. Dropping it writes what waits and ends the thread.
pub struct Writer {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(store: Store) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = lost.clone();
        let thread = std::thread::Builder::new()
            .name("console-database".to_owned())
            .spawn(move || run(store, &queue, &counter))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), lost })
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        jobs.ok_or(StoreError::Closed)?.send(job).map_err(|_| StoreError::Closed)
    }

    /// Writes and waits until it is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write(&self, change: Change) -> Result<(), StoreError> {
        let (sender, answer) = sync_channel(1);
        self.send(Job::Write(change, Some(sender)))?;
        answer.recv().map_err(|_| StoreError::Closed)?
    }

    /// Writes without waiting; what cannot be written is counted.
    pub fn note(&self, change: Change) {
        if self.send(Job::Write(change, None)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reads on the database's thread, after all writes that came before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read<Found: Send + 'static>(
        &self,
        query: impl FnOnce(&Store) -> Result<Found, StoreError> + Send + 'static,
    ) -> Result<Found, StoreError> {
        let (sender, answer) = sync_channel(1);
        let read = move |store: &Store| {
            // Nobody may wait for it any more.
            let _ = sender.send(query(store));
        };
        self.send(Job::Read(Box::new(read)))?;
        answer.recv().map_err(|_| StoreError::Closed)?
    }

    /// Number of notes that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn run(mut store: Store, queue: &Receiver<Job>, lost: &AtomicU64) {
    while let Ok(first) = queue.recv() {
        let mut changes = Vec::new();
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match job {
                Job::Write(change, answer) => {
                    changes.push(change);
                    waiting.push(answer);
                }
                Job::Read(read) => {
                    write(&mut store, &mut changes, &mut waiting, lost);
                    read(&store);
                }
            }
            if changes.len() < BATCH {
                next = queue.try_recv().ok();
            }
        }
        write(&mut store, &mut changes, &mut waiting, lost);
    }
}

fn write(
    store: &mut Store,
    changes: &mut Vec<Change>,
    waiting: &mut Vec<Option<SyncSender<Result<(), StoreError>>>>,
    lost: &AtomicU64,
) {
    if changes.is_empty() {
        return;
    }
    if let Ok(()) = store.write(changes) {
        for answer in waiting.drain(..).flatten() {
            let _ = answer.send(Ok(()));
        }
    } else {
        // One bad row must not fail its neighbours, and each waiter gets its own reason.
        for (change, answer) in changes.drain(..).zip(waiting.drain(..)) {
            let result = store.write(&[change]);
            match answer {
                Some(answer) => drop(answer.send(result)),
                None if result.is_err() => {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
                None => {}
            }
        }
    }
    changes.clear();
    waiting.clear();
}
