//! The one task executor: operations of several steps that end wholly done or wholly undone, whatever fails
//! and whenever the program stops.
//!
//! A [`TaskDefinition`] is a list of named steps in phases. Each step before the point of no return has an
//! undo (or changes nothing); steps after it only go forward. The [`Executor`] records in a [`TaskLog`] what
//! it is about to do and what came of it, and after a restart undoes what had not reached the point of no
//! return and finishes what had.
//!
//! ```
//! use serde_json::json;
//! use varan_task::{
//!     Executor, Limits, MemoryTaskLog, Step, StepOutcome, TaskDefinition, TaskRequest, TaskStatus, UndoOutcome,
//! };
//!
//! type Shelf = Vec<String>;
//! let put = Step::undoable(
//!     "put",
//!     "prepare",
//!     |shelf: &mut Shelf, view| {
//!         let book: String = view.input().unwrap();
//!         if !shelf.contains(&book) {
//!             shelf.push(book);
//!         }
//!         StepOutcome::done()
//!     },
//!     |shelf, view| {
//!         let book: String = view.input().unwrap();
//!         shelf.retain(|other| *other != book);
//!         UndoOutcome::Done
//!     },
//! );
//! let definition = TaskDefinition::new("shelve", vec![put]).unwrap();
//! let mut executor =
//!     Executor::recover(MemoryTaskLog::default(), vec![definition], Limits::default()).unwrap();
//! let request = TaskRequest { kind: "shelve".into(), input: json!("Moby-Dick"), ..Default::default() };
//! let task = executor.start(request).unwrap();
//! let mut shelf = Shelf::new();
//! while !executor.is_idle() {
//!     executor.step(std::time::Duration::ZERO, &mut shelf).unwrap();
//! }
//! assert!(matches!(executor.task(task).unwrap().status, TaskStatus::Finished(_)));
//! assert_eq!(shelf, ["Moby-Dick"]);
//! ```
//!
//! # Rules for steps
//!
//! - Act and undo are idempotent: after a crash the executor repeats the one that was at work.
//! - An undo runs even if its act failed, did only a part, or was never called. It removes what the step
//!   made and nothing else; the task's number and the step's name make a good mark to find that by.
//! - The point of no return takes effect at once or not at all, and answers `Failed` only if it did not.
//! - A step that takes long returns `Pending` and is called again.
//!
//! [`proof`] has the tests that every definition must pass.

pub mod assignment;
pub mod definition;
pub mod executor;
pub mod file_log;
pub mod log;
pub mod proof;
mod proof_run;
pub mod record;
pub mod request;
pub mod state;
pub mod storage;

pub use assignment::{Assignment, Report};
pub use definition::{
    DefinitionError, Step, StepKind, StepOutcome, StepView, TaskDefinition, UndoOutcome, Wake,
};
pub use executor::Executor;
pub use file_log::FileTaskLog;
pub use log::{LogError, MemoryTaskLog, TaskLog};
pub use record::{Outcome, StepFailure, TaskId, TaskRecord, UndoCause};
pub use request::{CancelAnswer, Limits, Stepped, TaskError, TaskRequest, TaskSummary};
pub use state::{Direction, TaskStatus};
pub use storage::{FileStorage, LogStorage};
