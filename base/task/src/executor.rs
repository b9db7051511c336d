//! The executor: which step of which task runs next, and what its outcome means.
//!
//! It calls nothing by itself. A driver takes an [`Assignment`] with [`Executor::next_assignment`], performs
//! it on whatever thread and with whatever context it likes, and gives the [`crate::Report`] back with
//! [`Executor::complete`]; [`Executor::step`] does the three in one call. Time comes in as an argument and
//! must be monotonic within one executor.
//!
//! Every change of state is a record that is durable before anything relies on it: the intent before the
//! act, the outcome before the next step. One write carries the outcome of a step and the intent of the next
//! one, so a task of n steps costs n + 2 writes (one when it is accepted, one when it begins), and one more for
//! its point of no return.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::completion::SIGNAL_LIMIT;
use crate::assignment::Assignment;
use crate::definition::{TaskDefinition, Wake};
use crate::log::{LogError, TaskLog};
use crate::record::{Outcome, TaskId, TaskRecord, UndoCause};
use crate::request::{CancelAnswer, LOCK_LIMIT, Limits, Stepped, TaskError, TaskRequest, TaskSummary};
use crate::state::{Direction, Shape, TaskState, TaskStatus};

mod completion;

/// A task, and what the executor knows of it beyond its records.
struct Entry {
    state: TaskState,
    history: Vec<TaskRecord>,
    in_flight: bool,
    /// Whether the current step was called in this life of the executor, or may have been in an earlier one.
    called: bool,
    wake: Option<Wake>,
    signals: BTreeSet<String>,
    cancelled: Arc<AtomicBool>,
}

/// Runs the tasks of one log.
pub struct Executor<C, L> {
    log: L,
    definitions: BTreeMap<String, (Arc<TaskDefinition<C>>, Arc<Shape>)>,
    limits: Limits,
    tasks: BTreeMap<TaskId, Entry>,
    queued: BTreeSet<TaskId>,
    /// Tasks under way: they hold their locks. Those that need recovery are not in it but keep their locks.
    active: BTreeSet<TaskId>,
    finished: BTreeSet<TaskId>,
    locks: BTreeMap<String, TaskId>,
    keys: BTreeMap<String, TaskId>,
    assignments: usize,
    last_served: TaskId,
    next_id: u64,
    admission_due: bool,
    appended: usize,
    /// Number of records at which the log is rewritten.
    compact_at: usize,
    stopped: bool,
}

impl<C, L: TaskLog> Executor<C, L> {
    /// Opens a log, empty or not. Tasks that were under way go forward from their point of no return, and
    /// are undone (or go on, see [`TaskDefinition::continue_after_restart`]) before it. A task whose
    /// definition is gone needs recovery.
    ///
    /// # Errors
    /// [`TaskError::Log`].
    pub fn recover(log: L, definitions: Vec<TaskDefinition<C>>, limits: Limits) -> Result<Self, TaskError> {
        let definitions = definitions.into_iter().map(|definition| {
            let shape = Arc::new(Shape::of(&definition));
            (definition.kind.clone(), (Arc::new(definition), shape))
        });
        let mut executor = Self {
            log,
            definitions: definitions.collect(),
            limits,
            tasks: BTreeMap::new(),
            queued: BTreeSet::new(),
            active: BTreeSet::new(),
            finished: BTreeSet::new(),
            locks: BTreeMap::new(),
            keys: BTreeMap::new(),
            assignments: 0,
            last_served: TaskId(0),
            next_id: 1,
            admission_due: true,
            appended: 0,
            compact_at: limits.records_between_compactions,
            stopped: false,
        };
        for record in executor.log.read()? {
            executor.appended += 1;
            executor.load(record);
        }
        for id in executor.tasks.keys().copied().collect::<Vec<_>>() {
            executor.resume(id)?;
        }
        executor.compact_if_due()?;
        Ok(executor)
    }

    fn load(&mut self, record: TaskRecord) {
        let id = record.task();
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.state.apply(&record);
            entry.history.push(record);
            return;
        }
        let TaskRecord::Submitted { kind, .. } = &record else { return };
        let shape = self.definitions.get(kind).map(|(_, shape)| Arc::clone(shape));
        let unknown = shape.is_none();
        let shape = shape.unwrap_or_else(|| Arc::new(Shape { steps: Vec::new() }));
        let Some(mut state) = TaskState::submitted(&record, shape) else { return };
        if unknown {
            let message = format!("this program knows no task {kind}");
            state.break_off(message);
        }
        self.next_id = self.next_id.max(id.0 + 1);
        self.insert(state, vec![record]);
    }

    fn insert(&mut self, state: TaskState, history: Vec<TaskRecord>) {
        if let Some(key) = &state.key {
            self.keys.insert(key.clone(), state.id);
        }
        let entry = Entry {
            history,
            in_flight: false,
            called: false,
            wake: None,
            signals: BTreeSet::new(),
            cancelled: Arc::new(AtomicBool::new(false)),
            state,
        };
        self.tasks.insert(entry.state.id, entry);
    }

    /// Puts a task that was read from the log back to work.
    fn resume(&mut self, id: TaskId) -> Result<(), TaskError> {
        let Some(entry) = self.tasks.get_mut(&id) else { return Ok(()) };
        // An earlier life may have called it.
        entry.called = true;
        entry.cancelled.store(entry.state.cancel_requested, Ordering::Relaxed);
        let state = &entry.state;
        match state.status {
            TaskStatus::Finished(_) => {
                self.finished.insert(id);
                self.forget_oldest();
                return Ok(());
            }
            TaskStatus::Queued => {
                self.queued.insert(id);
                return Ok(());
            }
            TaskStatus::NeedsRecovery(_) => {}
            TaskStatus::Running | TaskStatus::Undoing => {
                self.active.insert(id);
            }
        }
        for lock in &state.locks {
            self.locks.insert(lock.clone(), id);
        }
        let state = &self.tasks[&id].state;
        let continues =
            self.definitions.get(&state.kind).is_some_and(|known| known.0.continues_after_restart);
        // A point of no return that was at work is asked again: only its own answer tells what happened.
        let decided = state.passed_point || (state.at_point() && state.intended);
        let undo = state.status == TaskStatus::Running && !decided && (!continues || state.cancel_requested);
        let first = undo.then(|| {
            let maybe_acted = state.intended.then(|| state.current().map(|step| step.name.clone())).flatten();
            let from = maybe_acted.or_else(|| state.previous());
            TaskRecord::UndoStarted { task: id, cause: UndoCause::Restarted, from }
        });
        self.commit(id, first.into_iter().collect())
    }

    /// Accepts a task. It begins as soon as its locks and a place are free.
    ///
    /// # Errors
    /// [`TaskError::UnknownKind`], [`TaskError::QueueFull`], [`TaskError::TooManyLocks`], [`TaskError::Log`].
    pub fn start(&mut self, request: TaskRequest) -> Result<TaskId, TaskError> {
        self.check_running()?;
        if let Some(known) = request.key.as_ref().and_then(|key| self.keys.get(key)) {
            return Ok(*known);
        }
        let Some((_, shape)) = self.definitions.get(&request.kind) else {
            return Err(TaskError::UnknownKind(request.kind));
        };
        let shape = Arc::clone(shape);
        if self.queued.len() >= self.limits.queued_tasks {
            return Err(TaskError::QueueFull(self.queued.len()));
        }
        let locks: BTreeSet<String> = request.locks.into_iter().collect();
        if locks.len() > LOCK_LIMIT {
            return Err(TaskError::TooManyLocks(locks.len()));
        }
        let id = TaskId(self.next_id);
        let record = TaskRecord::Submitted {
            task: id,
            kind: request.kind,
            input: request.input,
            locks: locks.into_iter().collect(),
            key: request.key,
        };
        let Some(state) = TaskState::submitted(&record, shape) else {
            return Err(TaskError::UnknownTask(id));
        };
        self.append(std::slice::from_ref(&record))?;
        self.next_id += 1;
        self.insert(state, vec![record]);
        self.queued.insert(id);
        self.admission_due = true;
        Ok(id)
    }

    /// Cancels a task. Before the point of no return it is accepted in every phase; a step that is at work
    /// is undone when it reports.
    ///
    /// # Errors
    /// [`TaskError::UnknownTask`], [`TaskError::Log`].
    pub fn cancel(&mut self, task: TaskId) -> Result<CancelAnswer, TaskError> {
        self.check_running()?;
        let entry = self.tasks.get(&task).ok_or(TaskError::UnknownTask(task))?;
        let state = &entry.state;
        let records = match state.status {
            TaskStatus::Finished(_) => return Ok(CancelAnswer::AlreadyFinished),
            TaskStatus::Undoing | TaskStatus::NeedsRecovery(Direction::Undo) => {
                return Ok(CancelAnswer::AlreadyUndoing);
            }
            TaskStatus::NeedsRecovery(Direction::Forward) => return Ok(CancelAnswer::TooLate),
            TaskStatus::Queued => {
                let end = TaskRecord::Finished { task, outcome: Outcome::Cancelled };
                vec![TaskRecord::CancelRequested { task }, end]
            }
            TaskStatus::Running if state.passed_point || (state.at_point() && state.intended) => {
                return Ok(CancelAnswer::TooLate);
            }
            TaskStatus::Running if entry.in_flight => vec![TaskRecord::CancelRequested { task }],
            TaskStatus::Running => {
                let acted = entry.called.then(|| state.current().map(|step| step.name.clone())).flatten();
                let from = acted.or_else(|| state.previous());
                let undo = TaskRecord::UndoStarted { task, cause: UndoCause::Cancelled, from };
                vec![TaskRecord::CancelRequested { task }, undo]
            }
        };
        entry.cancelled.store(true, Ordering::Relaxed);
        self.commit(task, records)?;
        Ok(CancelAnswer::Accepted)
    }

    /// Lets a task that needs recovery try again, in the direction in which it was going.
    ///
    /// # Errors
    /// [`TaskError::UnknownTask`], [`TaskError::NotInRecovery`], [`TaskError::UnknownKind`] if its definition
    /// is still missing, [`TaskError::Log`].
    pub fn retry(&mut self, task: TaskId) -> Result<(), TaskError> {
        self.check_running()?;
        let state = self.in_recovery(task)?;
        if state.broken {
            return Err(TaskError::UnknownKind(state.kind.clone()));
        }
        self.active.insert(task);
        self.commit(task, vec![TaskRecord::RetryRequested { task }])
    }

    /// Ends a task that needs recovery because a person has put things right by hand; frees its locks.
    ///
    /// # Errors
    /// [`TaskError::UnknownTask`], [`TaskError::NotInRecovery`], [`TaskError::Log`].
    pub fn abandon(&mut self, task: TaskId) -> Result<(), TaskError> {
        self.check_running()?;
        self.in_recovery(task)?;
        self.commit(task, vec![TaskRecord::Finished { task, outcome: Outcome::Abandoned }])
    }

    fn in_recovery(&self, task: TaskId) -> Result<&TaskState, TaskError> {
        let entry = self.tasks.get(&task).ok_or(TaskError::UnknownTask(task))?;
        match entry.state.status {
            TaskStatus::NeedsRecovery(_) => Ok(&entry.state),
            _ => Err(TaskError::NotInRecovery(task)),
        }
    }

    /// Wakes the steps that wait for this signal.
    pub fn signal(&mut self, name: &str) {
        for id in &self.active {
            let Some(entry) = self.tasks.get_mut(id) else { continue };
            if entry.in_flight {
                // The step may be about to wait for just this.
                if entry.signals.len() < SIGNAL_LIMIT {
                    entry.signals.insert(name.to_owned());
                }
            } else if matches!(&entry.wake, Some(Wake::Signal { name: awaited, .. }) if awaited == name) {
                entry.wake = None;
            }
        }
    }

    /// Performs one assignment with `context`, if there is one.
    ///
    /// # Errors
    /// [`TaskError::Log`], [`TaskError::Stopped`].
    pub fn step(&mut self, now: Duration, context: &mut C) -> Result<Stepped, TaskError> {
        match self.next_assignment(now)? {
            Some(assignment) => {
                let task = assignment.task();
                let report = assignment.perform(context);
                self.complete(now, report)?;
                Ok(Stepped::Called(task))
            }
            None => Ok(self.next_wake().map_or(Stepped::Idle, Stepped::IdleUntil)),
        }
    }

    /// The earliest time at which a waiting step is due.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let entries = self.active.iter().filter_map(|id| self.tasks.get(id)).filter(|entry| !entry.in_flight);
        entries.filter_map(|entry| entry.wake.as_ref().map(due)).min()
    }

    /// The next call to make, if any: tasks take turns. Its intent is durable. It must be completed.
    ///
    /// # Errors
    /// [`TaskError::Log`], [`TaskError::Stopped`].
    pub fn next_assignment(&mut self, now: Duration) -> Result<Option<Assignment<C>>, TaskError> {
        self.check_running()?;
        if self.assignments >= self.limits.assignments {
            return Ok(None);
        }
        self.admit()?;
        let ready = |id: &&TaskId| {
            let entry = &self.tasks[*id];
            !entry.in_flight && entry.wake.as_ref().is_none_or(|wake| due(wake) <= now)
        };
        let after = (std::ops::Bound::Excluded(self.last_served), std::ops::Bound::Unbounded);
        let next = self.active.range(after).find(ready).or_else(|| self.active.iter().find(ready));
        let Some(id) = next.copied() else { return Ok(None) };
        self.last_served = id;
        if let Some(record) = self.missing_intent(id) {
            self.commit(id, vec![record])?;
        }
        Ok(self.assign(id, now))
    }

    /// Only a point of no return gets its intent here; all others got it with the write before.
    fn missing_intent(&self, id: TaskId) -> Option<TaskRecord> {
        let state = &self.tasks[&id].state;
        let forward = matches!(state.status, TaskStatus::Queued | TaskStatus::Running);
        let missing = forward && !state.intended;
        let step = state.current().filter(|_| missing)?;
        Some(TaskRecord::Intent { task: id, step: step.name.clone() })
    }

    fn assign(&mut self, id: TaskId, now: Duration) -> Option<Assignment<C>> {
        let entry = self.tasks.get_mut(&id)?;
        let position = entry.state.cursor?;
        let (definition, _) = self.definitions.get(&entry.state.kind)?;
        entry.in_flight = true;
        entry.called = true;
        entry.wake = None;
        entry.signals.clear();
        self.assignments += 1;
        Some(Assignment {
            task: id,
            definition: Arc::clone(definition),
            position,
            direction: entry.state.direction(),
            input: Arc::clone(&entry.state.input),
            outputs: Arc::clone(&entry.state.outputs),
            attempt: entry.state.attempts,
            now,
            cancelled: Arc::clone(&entry.cancelled),
        })
    }

    /// Admits queued tasks in order: a task starts if none of its keys is held or wanted by an earlier one.
    fn admit(&mut self) -> Result<(), TaskError> {
        if !std::mem::take(&mut self.admission_due) {
            return Ok(());
        }
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for id in self.queued.iter().copied().collect::<Vec<_>>() {
            if self.active.len() >= self.limits.active_tasks {
                break;
            }
            let locks = self.tasks[&id].state.locks.clone();
            if locks.iter().any(|lock| self.locks.contains_key(lock) || wanted.contains(lock)) {
                wanted.extend(locks);
                continue;
            }
            self.queued.remove(&id);
            self.active.insert(id);
            self.locks.extend(locks.into_iter().map(|lock| (lock, id)));
            let state = &self.tasks[&id].state;
            if !state.at_point()
                && let Some(step) = state.current()
            {
                self.commit(id, vec![TaskRecord::Intent { task: id, step: step.name.clone() }])?;
            }
        }
        Ok(())
    }

    /// Makes the records and what follows from them durable in one write, then takes them over.
    fn commit(&mut self, task: TaskId, mut records: Vec<TaskRecord>) -> Result<(), TaskError> {
        let Some(entry) = self.tasks.get(&task) else { return Ok(()) };
        let mut state = entry.state.clone();
        for record in &records {
            state.apply(record);
        }
        while let Some(record) = state.follow_up() {
            state.apply(&record);
            records.push(record);
        }
        if records.is_empty() {
            return Ok(());
        }
        self.append(&records)?;
        let Some(entry) = self.tasks.get_mut(&task) else { return Ok(()) };
        let moved = entry.state.cursor != state.cursor || entry.state.direction() != state.direction();
        if moved {
            entry.called = false;
            entry.wake = None;
        }
        entry.state = state;
        entry.history.extend(records);
        if entry.state.passed_point {
            entry.cancelled.store(false, Ordering::Relaxed);
        }
        self.settle(task);
        self.compact_if_due()
    }

    /// Files the task under what it is now.
    fn settle(&mut self, task: TaskId) {
        let Some(entry) = self.tasks.get(&task) else { return };
        match entry.state.status {
            TaskStatus::Finished(_) => {
                for lock in &entry.state.locks {
                    if self.locks.get(lock) == Some(&task) {
                        self.locks.remove(lock);
                    }
                }
                self.active.remove(&task);
                self.queued.remove(&task);
                self.finished.insert(task);
                self.admission_due = true;
                self.forget_oldest();
            }
            TaskStatus::NeedsRecovery(_) => {
                self.active.remove(&task);
                self.admission_due = true;
            }
            TaskStatus::Queued | TaskStatus::Running | TaskStatus::Undoing => {}
        }
    }

    fn forget_oldest(&mut self) {
        while self.finished.len() > self.limits.finished_tasks.max(1) {
            let Some(oldest) = self.finished.pop_first() else { return };
            if let Some(entry) = self.tasks.remove(&oldest)
                && let Some(key) = entry.state.key
            {
                self.keys.remove(&key);
            }
        }
    }

    fn append(&mut self, records: &[TaskRecord]) -> Result<(), TaskError> {
        let outcome = self.log.append(records);
        self.stop_if_failed(outcome)?;
        self.appended += records.len();
        Ok(())
    }

    /// After a failed write nobody knows what is on disk, so nothing more may rest on this state.
    fn stop_if_failed(&mut self, outcome: Result<(), LogError>) -> Result<(), TaskError> {
        if let Err(LogError::TooLarge { size, limit }) = outcome {
            return Err(LogError::TooLarge { size, limit }.into());
        }
        self.stopped |= outcome.is_err();
        Ok(outcome?)
    }

    fn compact_if_due(&mut self) -> Result<(), TaskError> {
        if self.appended < self.compact_at {
            return Ok(());
        }
        let records: Vec<TaskRecord> =
            self.tasks.values().flat_map(|entry| entry.history.iter().cloned()).collect();
        let outcome = self.log.replace(&records);
        self.appended = records.len();
        // At least half of the next log must be waste, or a full executor would rewrite it again and again.
        self.compact_at = self.limits.records_between_compactions.max(2 * records.len());
        self.stop_if_failed(outcome)
    }

    fn check_running(&self) -> Result<(), TaskError> {
        if self.stopped { Err(TaskError::Stopped) } else { Ok(()) }
    }

    /// One task, if it is still visible.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<TaskSummary> {
        self.tasks.get(&id).map(|entry| summary(&entry.state))
    }

    /// All visible tasks, oldest first.
    pub fn tasks(&self) -> impl Iterator<Item = TaskSummary> {
        self.tasks.values().map(|entry| summary(&entry.state))
    }

    /// The records of one task, oldest first.
    #[must_use]
    pub fn history(&self, id: TaskId) -> Option<&[TaskRecord]> {
        self.tasks.get(&id).map(|entry| entry.history.as_slice())
    }

    /// Whether no task is queued or under way. Tasks that need recovery do not count.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.active.is_empty() && self.queued.is_empty()
    }
}

fn due(wake: &Wake) -> Duration {
    match wake {
        Wake::At(time) | Wake::Signal { at_latest: time, .. } => *time,
    }
}

fn summary(state: &TaskState) -> TaskSummary {
    let current = if state.is_finished() { None } else { state.current() };
    TaskSummary {
        id: state.id,
        kind: state.kind.clone(),
        key: state.key.clone(),
        input: Arc::clone(&state.input),
        locks: state.locks.clone(),
        status: state.status,
        phase: current.map(|step| step.phase.clone()).unwrap_or_default(),
        step: current.map(|step| step.name.clone()).unwrap_or_default(),
        percent: state.percent,
        cancel_requested: state.cancel_requested,
        failure: state.failure.clone(),
        outputs: Arc::clone(&state.outputs),
    }
}
