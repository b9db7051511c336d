//! What is asked of the executor, what it answers, and its bounds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::log::LogError;
use crate::record::{StepFailure, TaskId};
use crate::state::TaskStatus;

/// Keys that one task may lock.
pub const LOCK_LIMIT: usize = 1_024;

/// Bounds of one executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tasks under way at the same time; others queue in the order in which they were started.
    pub active_tasks: usize,
    /// Tasks that may queue; further ones are refused.
    pub queued_tasks: usize,
    /// Assignments given out and not yet completed.
    pub assignments: usize,
    /// Failures of an undo, or of an act after the point of no return, before the task needs recovery.
    pub attempts: u32,
    /// Wait before the second try; each further one waits twice as long, up to a minute.
    pub retry_delay: Duration,
    /// Finished tasks that stay visible; at least 1.
    pub finished_tasks: usize,
    /// Records appended before the log is rewritten without forgotten tasks.
    pub records_between_compactions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            active_tasks: 64,
            queued_tasks: 10_000,
            assignments: 16,
            attempts: 5,
            retry_delay: Duration::from_secs(1),
            finished_tasks: 1_000,
            records_between_compactions: 50_000,
        }
    }
}

/// Why the executor refused something.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No definition has this name.
    #[error("unknown kind of task: {0}")]
    UnknownKind(String),
    /// There is no such task, or it finished long ago.
    #[error("no such task: {0}")]
    UnknownTask(TaskId),
    /// Too many tasks queue already.
    #[error("{0} tasks wait already")]
    QueueFull(usize),
    /// The task names too many locks.
    #[error("{0} locks are more than {LOCK_LIMIT}")]
    TooManyLocks(usize),
    /// The task does not need recovery.
    #[error("task {0} does not need recovery")]
    NotInRecovery(TaskId),
    /// The report belongs to no assignment that is out.
    #[error("task {0} has no such assignment")]
    UnknownAssignment(TaskId),
    /// The log failed earlier; open it anew with [`crate::Executor::recover`].
    #[error("the task executor stopped after its log failed")]
    Stopped,
    /// The log failed now; from here on every call answers [`TaskError::Stopped`].
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A task to start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskRequest {
    /// Name of the definition.
    pub kind: String,
    /// What the steps work from.
    pub input: Value,
    /// Keys that no other task may hold meanwhile. All are taken together or none, so tasks cannot
    /// deadlock; waiting tasks are served in order, so none starves.
    pub locks: Vec<String>,
    /// The caller's name for this request: a repeat gets the task that is there already, as long as it is
    /// visible.
    pub key: Option<String>,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// The task will end as cancelled, with everything undone.
    Accepted,
    /// The task is being undone already.
    AlreadyUndoing,
    /// The point of no return is passed or being passed; the task goes on.
    TooLate,
    /// The task is over.
    AlreadyFinished,
}

/// What can be told about a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSummary {
    /// Its number.
    pub id: TaskId,
    /// Name of its definition.
    pub kind: String,
    /// The key that it was started with.
    pub key: Option<String>,
    /// Its input.
    pub input: Arc<Value>,
    /// The keys that it holds or waits for.
    pub locks: Vec<String>,
    /// Where it is.
    pub status: TaskStatus,
    /// The phase of its current step; empty when it is over.
    pub phase: String,
    /// Its current step; empty when it is over.
    pub step: String,
    /// 0 to 100; never falls; 100 only when it succeeded.
    pub percent: u8,
    /// Whether somebody cancelled it.
    pub cancel_requested: bool,
    /// Why it failed, or what its last try failed with.
    pub failure: Option<StepFailure>,
    /// What its steps handed on, by name.
    pub outputs: Arc<BTreeMap<String, Value>>,
}

/// What one call of [`crate::Executor::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// A step of this task was called.
    Called(TaskId),
    /// Nothing can be called before this time, or before a signal or a new task.
    IdleUntil(Duration),
    /// Nothing can be called before a signal, a report or a new task.
    Idle,
}
