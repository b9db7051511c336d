//! One call of one step, and what came of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::Value;

use crate::definition::{StepOutcome, StepView, TaskDefinition, UndoOutcome, Wake};
use crate::record::{StepFailure, TaskId};
use crate::state::Direction;

/// A call that the executor wants to be made: the act or the undo of one step. May be sent to another thread.
pub struct Assignment<C> {
    pub(crate) task: TaskId,
    pub(crate) definition: Arc<TaskDefinition<C>>,
    pub(crate) position: usize,
    pub(crate) direction: Direction,
    pub(crate) input: Arc<Value>,
    pub(crate) outputs: Arc<BTreeMap<String, Value>>,
    pub(crate) attempt: u32,
    pub(crate) now: Duration,
    pub(crate) cancelled: Arc<AtomicBool>,
}

/// What came of an assignment; to be handed to [`crate::Executor::complete`].
#[derive(Debug)]
pub struct Report {
    pub(crate) task: TaskId,
    pub(crate) position: usize,
    pub(crate) verdict: Verdict,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    Acted(Value),
    ActPending(Wake, u8),
    ActFailed(StepFailure),
    Undone,
    UndoPending(Wake),
    UndoFailed(StepFailure),
    Panicked(Direction, StepFailure),
}

impl Verdict {
    /// What a panic means: a failure like any other, unless the task can only go forward, when repeating
    /// what stopped unexpectedly is for a person to decide.
    pub fn without_panic(self, decided: bool) -> Self {
        match self {
            Self::Panicked(Direction::Undo, failure) => Self::UndoFailed(failure),
            Self::Panicked(Direction::Forward, failure) if !decided => Self::ActFailed(failure),
            other => other,
        }
    }
}

impl<C> Assignment<C> {
    /// The task.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The step's name.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.definition.steps[self.position].name
    }

    /// Whether the step's act or its undo is to be called.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Makes the call. A panic is caught and counts as a failure; at or after the point of no return
    /// the task then needs recovery.
    pub fn perform(&self, context: &mut C) -> Report {
        let verdict = catch_unwind(AssertUnwindSafe(|| self.call(context))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            let message = format!("step {} stopped unexpectedly", self.step());
            let failure = StepFailure::new("task_step_panicked", message).with_cause(text);
            Verdict::Panicked(self.direction, failure)
        });
        self.report(verdict)
    }

    /// A report that the call failed, without making it.
    #[must_use]
    pub fn fail(&self, failure: StepFailure) -> Report {
        self.report(match self.direction {
            Direction::Forward => Verdict::ActFailed(failure),
            Direction::Undo => Verdict::UndoFailed(failure),
        })
    }

    fn report(&self, verdict: Verdict) -> Report {
        Report { task: self.task, position: self.position, verdict }
    }

    fn call(&self, context: &mut C) -> Verdict {
        let step = &self.definition.steps[self.position];
        let view = StepView {
            task: self.task,
            step: &step.name,
            input: &self.input,
            outputs: &self.outputs,
            attempt: self.attempt,
            now: self.now,
            cancelled: &self.cancelled,
        };
        match (self.direction, &step.undo) {
            (Direction::Forward, _) => match (step.act)(context, &view) {
                StepOutcome::Done(output) => Verdict::Acted(output),
                StepOutcome::Pending { wake, percent } => Verdict::ActPending(wake, percent),
                StepOutcome::Failed(failure) => Verdict::ActFailed(failure),
            },
            (Direction::Undo, None) => Verdict::Undone,
            (Direction::Undo, Some(undo)) => match undo(context, &view) {
                UndoOutcome::Done => Verdict::Undone,
                UndoOutcome::Pending(wake) => Verdict::UndoPending(wake),
                UndoOutcome::Failed(failure) => Verdict::UndoFailed(failure),
            },
        }
    }
}
