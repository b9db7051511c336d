//! What the outcome of a call means for its task.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Entry, Executor};
use crate::assignment::{Report, Verdict};
use crate::definition::Wake;
use crate::log::{LogError, TaskLog};
use crate::record::{StepFailure, TaskId, TaskRecord, UndoCause};
use crate::request::{Limits, TaskError};
use crate::state::TaskStatus;

/// Signals that are remembered while a step is at work; with more of them the step is simply called again.
pub(super) const SIGNAL_LIMIT: usize = 64;

/// Longest wait between two tries of a failing step.
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(60);

/// What follows from a verdict.
enum Meaning {
    Record(Vec<TaskRecord>),
    ActWaits(Wake, u8),
    UndoWaits(Wake),
}

impl<C, L: TaskLog> Executor<C, L> {
    /// Takes the outcome of an assignment, and records it.
    ///
    /// # Errors
    /// [`TaskError::UnknownAssignment`] if this assignment is not out; [`TaskError::Log`].
    pub fn complete(&mut self, now: Duration, report: Report) -> Result<(), TaskError> {
        self.check_running()?;
        let task = report.task;
        let entry = self.tasks.get_mut(&task).filter(|entry| entry.in_flight);
        let entry = entry.filter(|entry| entry.state.cursor == Some(report.position));
        let entry = entry.ok_or(TaskError::UnknownAssignment(task))?;
        let step = entry.state.current().map(|step| step.name.clone());
        let step = step.ok_or(TaskError::UnknownAssignment(task))?;
        entry.in_flight = false;
        self.assignments -= 1;
        let records = match entry.interpret(&self.limits, now, step, report.verdict) {
            Meaning::Record(records) => records,
            Meaning::ActWaits(wake, percent) => return self.keep_waiting(task, wake, percent),
            Meaning::UndoWaits(wake) => {
                entry.wake = unless_signalled(wake, &entry.signals);
                return Ok(());
            }
        };
        match self.commit(task, records) {
            Err(TaskError::Log(LogError::TooLarge { size, limit })) => {
                let message = format!("the step's record of {size} bytes is larger than {limit} bytes");
                self.unrecordable(task, StepFailure::new("task_record_too_large", message))
            }
            outcome => outcome,
        }
    }

    /// A step whose outcome does not fit into the log failed, as far as its task is concerned.
    fn unrecordable(&mut self, task: TaskId, failure: StepFailure) -> Result<(), TaskError> {
        let Some(entry) = self.tasks.get(&task) else { return Ok(()) };
        let state = &entry.state;
        let undoable = state.status == TaskStatus::Running && !state.passed_point && !state.at_point();
        let record = match state.current().filter(|_| undoable) {
            Some(step) => TaskRecord::Failed { task, step: step.name.clone(), failure },
            None => TaskRecord::NeedsRecovery { task, failure },
        };
        self.commit(task, vec![record])
    }

    fn keep_waiting(&mut self, task: TaskId, wake: Wake, percent: u8) -> Result<(), TaskError> {
        let Some(entry) = self.tasks.get_mut(&task) else { return Ok(()) };
        let state = &entry.state;
        if state.cancel_requested && !state.passed_point && !state.at_point() {
            let from = state.current().map(|step| step.name.clone());
            let undo = TaskRecord::UndoStarted { task, cause: UndoCause::Cancelled, from };
            return self.commit(task, vec![undo]);
        }
        let reached = state.percent_with(percent);
        let risen = reached > state.percent;
        entry.wake = unless_signalled(wake, &entry.signals);
        if risen {
            self.record_progress(task, TaskRecord::Progress { task, percent: reached })?;
        }
        Ok(())
    }

    /// Progress is written lazily: losing it to a power loss does no harm.
    fn record_progress(&mut self, task: TaskId, record: TaskRecord) -> Result<(), TaskError> {
        self.appended += 1;
        let outcome = self.log.append_lazily(&record);
        self.stop_if_failed(outcome)?;
        if let Some(entry) = self.tasks.get_mut(&task) {
            entry.state.apply(&record);
            // Only the newest matters, so that a long wait does not grow the history.
            entry.history.retain(|record| !matches!(record, TaskRecord::Progress { .. }));
            entry.history.push(record);
        }
        Ok(())
    }
}

impl Entry {
    /// Turns a verdict about `step` into records, or into a wait.
    fn interpret(&mut self, limits: &Limits, now: Duration, step: String, verdict: Verdict) -> Meaning {
        let task = self.state.id;
        let record = match verdict.without_panic(self.state.passed_point || self.state.at_point()) {
            Verdict::ActPending(wake, percent) => return Meaning::ActWaits(wake, percent),
            Verdict::UndoPending(wake) => return Meaning::UndoWaits(wake),
            Verdict::Acted(output) => TaskRecord::Done { task, step, output },
            Verdict::Undone => TaskRecord::Undone { task, step },
            Verdict::Panicked(_, failure) => TaskRecord::NeedsRecovery { task, failure },
            Verdict::ActFailed(failure) if !self.state.passed_point => {
                TaskRecord::Failed { task, step, failure }
            }
            Verdict::ActFailed(failure) => {
                return self.try_again(
                    limits,
                    now,
                    failure.clone(),
                    TaskRecord::Failed { task, step, failure },
                );
            }
            Verdict::UndoFailed(failure) => {
                let record = TaskRecord::UndoFailed { task, step, failure: failure.clone() };
                return self.try_again(limits, now, failure, record);
            }
        };
        Meaning::Record(vec![record])
    }

    /// Records a failure after which there is only the next try, or, after too many of them, a person.
    fn try_again(
        &mut self,
        limits: &Limits,
        now: Duration,
        failure: StepFailure,
        record: TaskRecord,
    ) -> Meaning {
        if self.state.attempts + 1 < limits.attempts {
            self.wake = Some(Wake::At(now.saturating_add(retry_delay(limits, self.state.attempts))));
            return Meaning::Record(vec![record]);
        }
        Meaning::Record(vec![record, TaskRecord::NeedsRecovery { task: self.state.id, failure }])
    }
}

/// The wake condition, or none if its signal came while the step was at work.
fn unless_signalled(wake: Wake, signals: &BTreeSet<String>) -> Option<Wake> {
    match &wake {
        Wake::Signal { name, .. } if signals.contains(name) || signals.len() >= SIGNAL_LIMIT => None,
        _ => Some(wake),
    }
}

fn retry_delay(limits: &Limits, failures: u32) -> Duration {
    limits.retry_delay.saturating_mul(1 << failures.min(16)).min(LONGEST_RETRY_DELAY)
}
