//! What a task consists of: a list of steps, each with what it does and how it is undone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::record::{StepFailure, TaskId};

/// Steps of one task. A task of more steps is two tasks.
pub const STEP_LIMIT: usize = 256;

/// When a step that waits is to be called again. It may be called earlier as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// At this monotonic time.
    At(Duration),
    /// When [`crate::Executor::signal`] is called with this name, at the latest at this monotonic time (a
    /// signal may be lost with the process that would have given it).
    Signal {
        /// The signal's name.
        name: String,
        /// When to look even without it.
        at_latest: Duration,
    },
}

/// What came of calling a step's act.
#[derive(Clone, Debug, PartialEq)]
pub enum StepOutcome {
    /// It is done; the value is recorded and handed to later steps and to the undo. Keep it small.
    Done(Value),
    /// It is under way; call again.
    Pending {
        /// When.
        wake: Wake,
        /// How much of this step is done, 0 to 100; smaller values than before are ignored.
        percent: u8,
    },
    /// It failed. The point of no return may say so only if it certainly had no effect.
    Failed(StepFailure),
}

impl StepOutcome {
    /// Done, with nothing to hand on.
    #[must_use]
    pub fn done() -> Self {
        Self::Done(Value::Null)
    }
}

/// What came of calling a step's undo.
#[derive(Clone, Debug, PartialEq)]
pub enum UndoOutcome {
    /// Nothing of the step is left.
    Done,
    /// It is under way; call again.
    Pending(Wake),
    /// It failed, and is tried again a bounded number of times.
    Failed(StepFailure),
}

/// What a step sees of its task.
#[derive(Clone, Copy, Debug)]
pub struct StepView<'a> {
    pub(crate) task: TaskId,
    pub(crate) step: &'a str,
    pub(crate) input: &'a Value,
    pub(crate) outputs: &'a BTreeMap<String, Value>,
    pub(crate) attempt: u32,
    pub(crate) now: Duration,
    pub(crate) cancelled: &'a AtomicBool,
}

impl StepView<'_> {
    /// The task. Together with the step's name it makes a request id that repeats keep.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The step's name.
    #[must_use]
    pub fn step(&self) -> &str {
        self.step
    }

    /// How often this act or undo failed before.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Monotonic time at which the executor gave out this call.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Whether somebody wants this task to end; a long act may then return early, with any outcome.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The task's input.
    ///
    /// # Errors
    /// A failure with code `task_input` if it is not a `T`.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, StepFailure> {
        decode(self.input, "task_input")
    }

    /// What a step handed on, or `None` if that step is not known to be done. For an undo this includes the
    /// step itself; its own output is missing if the act failed or the program stopped before recording it.
    ///
    /// # Errors
    /// A failure with code `task_output` if it is not a `T`.
    pub fn output<T: DeserializeOwned>(&self, step: &str) -> Result<Option<T>, StepFailure> {
        self.outputs.get(step).map(|value| decode(value, "task_output")).transpose()
    }
}

fn decode<T: DeserializeOwned>(value: &Value, code: &str) -> Result<T, StepFailure> {
    T::deserialize(value)
        .map_err(|error| StepFailure::new(code, "the task's record has another form").with_cause(error))
}

pub(crate) type Act<C> = Arc<dyn Fn(&mut C, &StepView<'_>) -> StepOutcome + Send + Sync>;
pub(crate) type Undo<C> = Arc<dyn Fn(&mut C, &StepView<'_>) -> UndoOutcome + Send + Sync>;

/// What kind of step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Its effects are taken back by its undo.
    Undoable,
    /// It has no effects.
    Reading,
    /// When it is done, the task only goes forward.
    PointOfNoReturn,
    /// It comes after the point of no return.
    Forward,
}

/// One step of a task. Act and undo must be idempotent: after a crash they are called again, and an undo
/// also runs when the act did nothing or only a part.
pub struct Step<C> {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) weight: u32,
    pub(crate) kind: StepKind,
    pub(crate) act: Act<C>,
    pub(crate) undo: Option<Undo<C>>,
}

impl<C> Clone for Step<C> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            phase: self.phase.clone(),
            weight: self.weight,
            kind: self.kind,
            act: Arc::clone(&self.act),
            undo: self.undo.clone(),
        }
    }
}

impl<C> Step<C> {
    fn new(name: &str, phase: &str, kind: StepKind, act: Act<C>) -> Self {
        Self { name: name.to_owned(), phase: phase.to_owned(), weight: 1, kind, act, undo: None }
    }

    /// A step before the point of no return that changes something, and what takes it back.
    pub fn undoable(
        name: &str,
        phase: &str,
        act: impl Fn(&mut C, &StepView<'_>) -> StepOutcome + Send + Sync + 'static,
        undo: impl Fn(&mut C, &StepView<'_>) -> UndoOutcome + Send + Sync + 'static,
    ) -> Self {
        Self { undo: Some(Arc::new(undo)), ..Self::new(name, phase, StepKind::Undoable, Arc::new(act)) }
    }

    /// A step that only looks or waits, so that there is nothing to undo.
    pub fn reading(
        name: &str,
        phase: &str,
        act: impl Fn(&mut C, &StepView<'_>) -> StepOutcome + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, phase, StepKind::Reading, Arc::new(act))
    }

    /// The step with which the task is decided. Its act takes effect wholly or not at all. If the program
    /// stops while it is at work, the act is called again and its answer decides.
    pub fn point_of_no_return(
        name: &str,
        phase: &str,
        act: impl Fn(&mut C, &StepView<'_>) -> StepOutcome + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, phase, StepKind::PointOfNoReturn, Arc::new(act))
    }

    /// A step after the point of no return: tried again when it fails, never undone.
    pub fn forward(
        name: &str,
        phase: &str,
        act: impl Fn(&mut C, &StepView<'_>) -> StepOutcome + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, phase, StepKind::Forward, Arc::new(act))
    }

    /// The step's share of the progress, relative to the other steps' weights; 1 if not set.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

/// Why a list of steps is not a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// There is no step, or there are more than [`STEP_LIMIT`].
    #[error("task {kind} has {count} steps; 1 to {STEP_LIMIT} are allowed")]
    StepCount {
        /// The task's kind.
        kind: String,
        /// The number of steps.
        count: usize,
    },
    /// Two steps have one name.
    #[error("task {kind} has two steps named {step}")]
    RepeatedName {
        /// The task's kind.
        kind: String,
        /// The name.
        step: String,
    },
    /// An undoable step or a second point of no return comes after the point of no return, or a forward step
    /// comes before it.
    #[error("step {step} of task {kind} is on the wrong side of the point of no return")]
    WrongSide {
        /// The task's kind.
        kind: String,
        /// The step.
        step: String,
    },
}

/// The steps of one kind of task, in the order in which they act. They are undone in the reverse order.
pub struct TaskDefinition<C> {
    pub(crate) kind: String,
    pub(crate) steps: Vec<Step<C>>,
    pub(crate) continues_after_restart: bool,
}

impl<C> Clone for TaskDefinition<C> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            steps: self.steps.clone(),
            continues_after_restart: self.continues_after_restart,
        }
    }
}

impl<C> TaskDefinition<C> {
    /// A task kind with these steps.
    ///
    /// # Errors
    /// See [`DefinitionError`].
    pub fn new(kind: &str, steps: Vec<Step<C>>) -> Result<Self, DefinitionError> {
        let kind = kind.to_owned();
        if steps.is_empty() || steps.len() > STEP_LIMIT {
            return Err(DefinitionError::StepCount { kind, count: steps.len() });
        }
        let mut passed = false;
        let mut names = std::collections::BTreeSet::new();
        for step in &steps {
            if !names.insert(&step.name) {
                return Err(DefinitionError::RepeatedName { kind, step: step.name.clone() });
            }
            let right_side = match step.kind {
                StepKind::Undoable | StepKind::PointOfNoReturn => !passed,
                StepKind::Forward => passed,
                StepKind::Reading => true,
            };
            if !right_side {
                return Err(DefinitionError::WrongSide { kind, step: step.name.clone() });
            }
            passed |= step.kind == StepKind::PointOfNoReturn;
        }
        Ok(Self { kind, steps, continues_after_restart: false })
    }

    /// Lets a restart before the point of no return repeat the current step and go on instead of undoing:
    /// for long tasks whose half-done work is worth keeping.
    #[must_use]
    pub fn continue_after_restart(mut self) -> Self {
        self.continues_after_restart = true;
        self
    }

    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Names and kinds of the steps, in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (&str, StepKind)> {
        self.steps.iter().map(|step| (step.name.as_str(), step.kind))
    }
}
