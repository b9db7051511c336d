//! What a task leaves on disk, and the small types that appear in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A task's number: rises by one with each task of one log and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u64);

impl std::fmt::Display for TaskId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Why a step could not do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct StepFailure {
    /// A stable code that programs may match.
    pub code: String,
    /// One sentence for the person who started the task.
    pub message: String,
    /// What lies behind it, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl StepFailure {
    /// A failure without a further cause.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), cause: None }
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn with_cause(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}

/// Why a task undoes its steps without one of them having failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoCause {
    /// Somebody cancelled it.
    Cancelled,
    /// The program restarted before the point of no return.
    Restarted,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All steps are done.
    Succeeded,
    /// A step failed and everything was undone.
    Failed,
    /// It was cancelled and everything was undone.
    Cancelled,
    /// The program restarted before the point of no return and everything was undone.
    Interrupted,
    /// It needed recovery, and a person declared that they had put things right by hand.
    Abandoned,
}

/// One line of a task's history. The state of every task is what its records add up to, in memory as after
/// a restart. Steps are named, not numbered, so that a newer program with other steps notices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum TaskRecord {
    /// The task was accepted.
    Submitted {
        /// The task.
        task: TaskId,
        /// Name of its definition.
        kind: String,
        /// What its steps work from.
        input: Value,
        /// Keys that no other task may hold while it is under way; sorted, without repeats.
        locks: Vec<String>,
        /// The caller's name for this request, by which a repeat is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// The step's act may begin from now on.
    Intent {
        /// The task.
        task: TaskId,
        /// The step.
        step: String,
    },
    /// The percentage that was shown; written lazily.
    Progress {
        /// The task.
        task: TaskId,
        /// 0 to 99.
        percent: u8,
    },
    /// The step's act is done.
    Done {
        /// The task.
        task: TaskId,
        /// The step.
        step: String,
        /// What the step handed on to later steps and to its undo.
        output: Value,
    },
    /// The step's act failed. Before the point of no return this begins the undo.
    Failed {
        /// The task.
        task: TaskId,
        /// The step.
        step: String,
        /// The reason.
        failure: StepFailure,
    },
    /// A cancellation was accepted while a step was at work.
    CancelRequested {
        /// The task.
        task: TaskId,
    },
    /// The undo begins without a failure.
    UndoStarted {
        /// The task.
        task: TaskId,
        /// Why.
        cause: UndoCause,
        /// The last step that may have done something; none if no step has.
        from: Option<String>,
    },
    /// The step's undo is done.
    Undone {
        /// The task.
        task: TaskId,
        /// The step.
        step: String,
    },
    /// The step's undo failed and may be tried again.
    UndoFailed {
        /// The task.
        task: TaskId,
        /// The step.
        step: String,
        /// The reason.
        failure: StepFailure,
    },
    /// The executor gave up; a person has to look at it.
    NeedsRecovery {
        /// The task.
        task: TaskId,
        /// The reason.
        failure: StepFailure,
    },
    /// A person asked to try again.
    RetryRequested {
        /// The task.
        task: TaskId,
    },
    /// The task is over.
    Finished {
        /// The task.
        task: TaskId,
        /// How.
        outcome: Outcome,
    },
}

impl TaskRecord {
    /// The task that the record belongs to.
    #[must_use]
    pub fn task(&self) -> TaskId {
        match self {
            Self::Submitted { task, .. }
            | Self::Intent { task, .. }
            | Self::Progress { task, .. }
            | Self::Done { task, .. }
            | Self::Failed { task, .. }
            | Self::CancelRequested { task }
            | Self::UndoStarted { task, .. }
            | Self::Undone { task, .. }
            | Self::UndoFailed { task, .. }
            | Self::NeedsRecovery { task, .. }
            | Self::RetryRequested { task }
            | Self::Finished { task, .. } => *task,
        }
    }
}
