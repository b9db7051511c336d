//! The state of one task, as a fold over its records.
//!
//! ```text
//!            Intent             Done (last)
//!  Queued ----------> Running ---------------------------> Finished(Succeeded)
//!    |                 |    |
//!    |                 |    | failed too often after the point of no return, or panicked
//!    |                 |    v
//!    |                 |   NeedsRecovery(Forward) --- Finished(Abandoned)
//!    |                 |    |  RetryRequested: back to Running
//!    |                 | Failed, UndoStarted (only before the point of no return)
//!    |                 v
//!    |              Undoing -- Undone (first step) ------> Finished(Failed, Cancelled, Interrupted)
//!    |                 |
//!    |                 | undo failed too often, or panicked
//!    |                 v
//!    |              NeedsRecovery(Undo) --- Finished(Abandoned)
//!    |                    RetryRequested: back to Undoing
//!    +------- cancelled while it waits ------------------> Finished(Cancelled)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::definition::{StepKind, TaskDefinition};
use crate::record::{Outcome, StepFailure, TaskId, TaskRecord, UndoCause};

/// Which way a task goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Steps act.
    Forward,
    /// Steps are undone.
    Undo,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// It waits for its locks or for a free place; nothing has happened yet.
    Queued,
    /// Its steps act.
    Running,
    /// Its steps are undone.
    Undoing,
    /// The executor gave up in this direction. The task keeps its locks until a person retries or abandons it.
    NeedsRecovery(Direction),
    /// It is over.
    Finished(Outcome),
}

/// What the fold needs to know of a definition; does not depend on the context's type.
#[derive(Debug)]
pub(crate) struct Shape {
    pub steps: Vec<StepShape>,
}

#[derive(Debug)]
pub(crate) struct StepShape {
    pub name: String,
    pub phase: String,
    pub weight: u32,
    pub kind: StepKind,
}

impl Shape {
    pub fn of<C>(definition: &TaskDefinition<C>) -> Self {
        let steps = definition.steps.iter().map(|step| StepShape {
            name: step.name.clone(),
            phase: step.phase.clone(),
            weight: step.weight,
            kind: step.kind,
        });
        Self { steps: steps.collect() }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name == name)
    }
}

/// Code of the failure that a record with an unknown step or kind leads to.
const CODE_UNKNOWN_DEFINITION: &str = "task_definition_changed";

#[derive(Clone, Debug)]
pub(crate) struct TaskState {
    pub id: TaskId,
    pub kind: String,
    pub key: Option<String>,
    pub input: Arc<Value>,
    pub locks: Vec<String>,
    pub shape: Arc<Shape>,
    pub status: TaskStatus,
    /// Forward: the step that acts next; past the last one when all are done. Undo: the step that is undone
    /// next; none when all are undone.
    pub cursor: Option<usize>,
    /// Whether `Intent` of the cursor's step is recorded.
    pub intended: bool,
    pub passed_point: bool,
    pub cancel_requested: bool,
    /// How the task will end when everything is undone.
    pub verdict: Outcome,
    pub failure: Option<StepFailure>,
    /// Failures of the present act or undo.
    pub attempts: u32,
    pub outputs: Arc<BTreeMap<String, Value>>,
    pub percent: u8,
    /// The records speak of a kind or step that the definitions lack: they cannot be followed any more.
    pub broken: bool,
}

impl TaskState {
    /// The state after `Submitted`, or `None` for another record.
    pub fn submitted(record: &TaskRecord, shape: Arc<Shape>) -> Option<Self> {
        let TaskRecord::Submitted { task, kind, input, locks, key } = record else { return None };
        Some(Self {
            id: *task,
            kind: kind.clone(),
            key: key.clone(),
            input: Arc::new(input.clone()),
            locks: locks.clone(),
            shape,
            status: TaskStatus::Queued,
            cursor: Some(0),
            intended: false,
            passed_point: false,
            cancel_requested: false,
            verdict: Outcome::Failed,
            failure: None,
            attempts: 0,
            outputs: Arc::default(),
            percent: 0,
            broken: false,
        })
    }

    pub fn apply(&mut self, record: &TaskRecord) {
        if self.broken && !matches!(record, TaskRecord::Finished { .. }) {
            return;
        }
        match record {
            TaskRecord::Submitted { .. } => {}
            TaskRecord::Intent { step, .. } => self.intend(step),
            TaskRecord::Progress { percent, .. } => self.show(*percent),
            TaskRecord::Done { step, output, .. } => self.done(step, output),
            TaskRecord::Failed { step, failure, .. } => self.failed(step, failure),
            TaskRecord::CancelRequested { .. } => self.cancel_requested = true,
            TaskRecord::UndoStarted { cause, from, .. } => self.undo_started(*cause, from.as_deref()),
            TaskRecord::Undone { step, .. } => self.undone(step),
            TaskRecord::UndoFailed { failure, .. } => {
                self.attempts += 1;
                self.failure = Some(failure.clone());
            }
            TaskRecord::NeedsRecovery { failure, .. } => self.give_up(failure.clone()),
            TaskRecord::RetryRequested { .. } => self.retry(),
            TaskRecord::Finished { outcome, .. } => {
                self.status = TaskStatus::Finished(*outcome);
                if *outcome == Outcome::Succeeded {
                    self.percent = 100;
                }
            }
        }
    }

    fn give_up(&mut self, failure: StepFailure) {
        self.failure = Some(failure);
        self.status = TaskStatus::NeedsRecovery(self.direction());
    }

    /// Which way the task goes, or would go after a retry.
    pub fn direction(&self) -> Direction {
        match self.status {
            TaskStatus::Undoing => Direction::Undo,
            TaskStatus::NeedsRecovery(direction) => direction,
            TaskStatus::Queued | TaskStatus::Running | TaskStatus::Finished(_) => Direction::Forward,
        }
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.status, TaskStatus::Finished(_))
    }

    pub fn current(&self) -> Option<&StepShape> {
        self.shape.steps.get(self.cursor?)
    }

    /// Name of the last step that is done.
    pub fn previous(&self) -> Option<String> {
        let index = self.cursor?.checked_sub(1)?;
        self.shape.steps.get(index).map(|step| step.name.clone())
    }

    /// Whether the current step is the point of no return.
    pub fn at_point(&self) -> bool {
        self.current().is_some_and(|step| step.kind == StepKind::PointOfNoReturn)
    }

    /// The percentage with the current step done to `within` percent; 99 at most before the end.
    pub fn percent_with(&self, within: u8) -> u8 {
        let total: u64 = self.shape.steps.iter().map(|step| u64::from(step.weight)).sum();
        let before: u64 =
            self.shape.steps.iter().take(self.cursor.unwrap_or(0)).map(|step| u64::from(step.weight)).sum();
        let current = self.current().map_or(0, |step| u64::from(step.weight));
        let hundredths = before * 100 + current * u64::from(within.min(100));
        let percent = hundredths.checked_div(total).unwrap_or(0).min(99);
        u8::try_from(percent).unwrap_or(99)
    }

    fn show(&mut self, percent: u8) {
        self.percent = self.percent.max(percent.min(99));
    }

    /// The position of a recorded step. An unknown one means that the program's steps changed under the
    /// task; nobody but a person can say what is left of it.
    fn position(&mut self, step: &str) -> Option<usize> {
        let position = self.shape.position(step);
        if position.is_none() {
            let message = format!("task {} knows no step {step}", self.kind);
            self.break_off(message);
        }
        position
    }

    /// Leaves the task to a person because its records cannot be followed.
    pub fn break_off(&mut self, message: String) {
        self.broken = true;
        self.give_up(StepFailure::new(CODE_UNKNOWN_DEFINITION, message));
    }

    fn intend(&mut self, step: &str) {
        if let Some(position) = self.position(step) {
            self.status = TaskStatus::Running;
            self.cursor = Some(position);
            self.intended = true;
            self.attempts = 0;
        }
    }

    fn done(&mut self, step: &str, output: &Value) {
        let Some(position) = self.position(step) else { return };
        if !output.is_null() {
            Arc::make_mut(&mut self.outputs).insert(step.to_owned(), output.clone());
        }
        self.status = TaskStatus::Running;
        self.passed_point |= self.shape.steps[position].kind == StepKind::PointOfNoReturn;
        self.cursor = Some(position + 1);
        self.intended = false;
        self.attempts = 0;
        let percent = self.percent_with(0);
        self.show(percent);
    }

    fn failed(&mut self, step: &str, failure: &StepFailure) {
        let Some(position) = self.position(step) else { return };
        self.failure = Some(failure.clone());
        if self.passed_point {
            self.attempts += 1;
        } else {
            self.verdict = if self.cancel_requested { Outcome::Cancelled } else { Outcome::Failed };
            self.begin_undo(Some(position));
        }
    }

    fn undo_started(&mut self, cause: UndoCause, from: Option<&str>) {
        self.verdict = match cause {
            UndoCause::Cancelled => Outcome::Cancelled,
            UndoCause::Restarted if self.cancel_requested => Outcome::Cancelled,
            UndoCause::Restarted => Outcome::Interrupted,
        };
        match from {
            None => self.begin_undo(None),
            Some(step) => {
                if let Some(position) = self.position(step) {
                    self.begin_undo(Some(position));
                }
            }
        }
    }

    fn begin_undo(&mut self, from: Option<usize>) {
        self.attempts = 0;
        self.status = TaskStatus::Undoing;
        self.cursor = from;
    }

    fn undone(&mut self, step: &str) {
        let Some(position) = self.position(step) else { return };
        let before = position.checked_sub(1);
        self.begin_undo(before);
    }

    fn retry(&mut self) {
        if let TaskStatus::NeedsRecovery(direction) = self.status {
            self.attempts = 0;
            self.status = match direction {
                Direction::Forward => TaskStatus::Running,
                Direction::Undo => TaskStatus::Undoing,
            };
        }
    }

    /// The record that follows from the state alone, without calling anything: undo of a step that has
    /// none, and the end. Applying them until there is none brings the state into its normal form.
    pub fn follow_up(&self) -> Option<TaskRecord> {
        let task = self.id;
        match self.status {
            TaskStatus::Undoing => {
                let Some(step) = self.current() else {
                    return Some(TaskRecord::Finished { task, outcome: self.verdict });
                };
                (step.kind != StepKind::Undoable)
                    .then(|| TaskRecord::Undone { task, step: step.name.clone() })
            }
            TaskStatus::Running if self.cancel_requested && !self.passed_point && !self.intended => {
                Some(TaskRecord::UndoStarted { task, cause: UndoCause::Cancelled, from: self.previous() })
            }
            TaskStatus::Running if self.current().is_none() => {
                Some(TaskRecord::Finished { task, outcome: Outcome::Succeeded })
            }
            // The next step's intent shares the write of what came before it. The point of no return gets
            // a write of its own: until it is really at work, a restart still undoes.
            TaskStatus::Running if !self.intended && !self.at_point() => {
                let step = self.current()?;
                Some(TaskRecord::Intent { task, step: step.name.clone() })
            }
            _ => None,
        }
    }
}
