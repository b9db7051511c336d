//! One run of a task under [`crate::proof`]: the executor over a log that can crash, driven to the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::assignment::{Assignment, Report};
use crate::definition::{StepKind, TaskDefinition};
use crate::executor::Executor;
use crate::log::{LogError, MemoryTaskLog, TaskLog};
use crate::proof::{ProofFailure, Subject};
use crate::record::{Outcome, StepFailure, TaskId, TaskRecord};
use crate::request::{CancelAnswer, Limits, TaskError, TaskRequest};
use crate::state::{Direction, TaskStatus};

/// Calls in one run; a step that is polled more often is taken to be stuck.
const CALL_LIMIT: usize = 10_000;

/// Whether the crash comes before or after the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// A crash at the `at`-th write of the log, counted from 1 over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    pub at: usize,
    pub side: Side,
}

/// What to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Perform,
    PerformTwice,
    FailBefore,
    FailAfter,
}

/// A call that a run made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub step: String,
    pub direction: Direction,
    pub is_point: bool,
    pub after_point: bool,
}

#[derive(Debug, Default)]
struct Plan {
    crashes: Vec<Crash>,
    appends: usize,
    crashed: bool,
}

/// A log in memory that ends the program at chosen writes.
struct CrashingLog {
    log: MemoryTaskLog,
    plan: Arc<Mutex<Plan>>,
}

impl TaskLog for CrashingLog {
    fn read(&mut self) -> Result<Vec<TaskRecord>, LogError> {
        self.log.read()
    }

    fn append(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.appends += 1;
        let crash = plan.crashes.iter().find(|crash| crash.at == plan.appends).copied();
        if crash.is_none_or(|crash| crash.side == Side::After) {
            self.log.append(records)?;
        }
        plan.crashed = crash.is_some();
        if crash.is_some() { Err(LogError::Stopped) } else { Ok(()) }
    }

    fn replace(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
        self.log.replace(records)
    }
}

pub(crate) type Choose<'a> = dyn FnMut(usize, &Call) -> How + 'a;

/// One task on its way.
pub(crate) struct Run<C> {
    pub context: C,
    pub calls: Vec<Call>,
    definition: TaskDefinition<C>,
    restart: Box<dyn Fn(&mut C)>,
    request: Option<TaskRequest>,
    case: String,
    log: MemoryTaskLog,
    plan: Arc<Mutex<Plan>>,
    now: Duration,
    percent: u8,
    cancel_at: Option<(usize, bool)>,
    cancelled: Option<CancelAnswer>,
}

impl<C> Run<C> {
    pub fn new(subject: Subject<C>, case: String, crashes: Vec<Crash>) -> Self {
        let kind = subject.definition.kind().to_owned();
        Self {
            context: subject.context,
            calls: Vec::new(),
            definition: subject.definition,
            restart: subject.restart,
            request: Some(TaskRequest { kind, input: subject.input, ..TaskRequest::default() }),
            case,
            log: MemoryTaskLog::default(),
            plan: Arc::new(Mutex::new(Plan { crashes, ..Plan::default() })),
            now: Duration::from_secs(1),
            percent: 0,
            cancel_at: None,
            cancelled: None,
        }
    }

    /// Cancels before the call with this number, or while it is out.
    pub fn cancel_at(&mut self, call: usize, during: bool) {
        self.cancel_at = Some((call, during));
    }

    pub fn cancelled(&self) -> Option<CancelAnswer> {
        self.cancelled
    }

    /// Writes of the log that were tried.
    pub fn appends(&self) -> usize {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).appends
    }

    pub fn fault(&self, message: String) -> ProofFailure {
        ProofFailure { case: self.case.clone(), message }
    }

    /// Drives the task to its end, over all crashes. `None` means that no trace of the task survived.
    pub fn finish(&mut self, choose: &mut Choose<'_>) -> Result<Option<TaskStatus>, ProofFailure> {
        loop {
            let outcome = self.live(choose);
            if !std::mem::take(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner).crashed) {
                return outcome;
            }
            (self.restart)(&mut self.context);
        }
    }

    /// One life of the program.
    fn live(&mut self, choose: &mut Choose<'_>) -> Result<Option<TaskStatus>, ProofFailure> {
        let log = CrashingLog { log: self.log.clone(), plan: Arc::clone(&self.plan) };
        let recovered = Executor::recover(log, vec![self.definition.clone()], Limits::default());
        let mut executor = recovered.map_err(|error| self.stopped(&error))?;
        if let Some(request) = self.request.take() {
            executor.start(request).map_err(|error| self.stopped(&error))?;
        }
        let Some(task) = executor.tasks().next().map(|task| task.id) else { return Ok(None) };
        for _ in 0..CALL_LIMIT {
            self.cancel_if_due(&mut executor, task, false)?;
            let next = executor.next_assignment(self.now).map_err(|error| self.stopped(&error))?;
            match next {
                Some(assignment) => {
                    self.cancel_if_due(&mut executor, task, true)?;
                    let report = self.call(&assignment, choose);
                    executor.complete(self.now, report).map_err(|error| self.stopped(&error))?;
                    self.check_progress(&executor, task)?;
                }
                // A step that waits for a signal is called at its latest time.
                None => match executor.next_wake() {
                    Some(wake) => self.now = self.now.max(wake),
                    None => return self.ended(&executor, task),
                },
            }
        }
        Err(self.fault(format!("did not end within {CALL_LIMIT} calls")))
    }

    fn stopped(&self, error: &TaskError) -> ProofFailure {
        self.fault(format!("the executor stopped: {error}"))
    }

    fn cancel_if_due(
        &mut self,
        executor: &mut Executor<C, CrashingLog>,
        task: TaskId,
        during: bool,
    ) -> Result<(), ProofFailure> {
        if self.cancel_at == Some((self.calls.len(), during)) {
            self.cancel_at = None;
            self.cancelled = Some(executor.cancel(task).map_err(|error| self.stopped(&error))?);
        }
        Ok(())
    }

    fn call(&mut self, assignment: &Assignment<C>, choose: &mut Choose<'_>) -> Report {
        let steps: Vec<(&str, StepKind)> = self.definition.steps().collect();
        let position = steps.iter().position(|(name, _)| *name == assignment.step()).unwrap_or(0);
        let point = steps.iter().position(|(_, kind)| *kind == StepKind::PointOfNoReturn);
        let call = Call {
            step: assignment.step().to_owned(),
            direction: assignment.direction(),
            is_point: point == Some(position),
            after_point: point.is_some_and(|point| point < position),
        };
        let how = choose(self.calls.len(), &call);
        self.calls.push(call);
        let failure = StepFailure::new("injected", "the test let this step fail");
        match how {
            How::Perform => assignment.perform(&mut self.context),
            How::PerformTwice => {
                let _repeated = assignment.perform(&mut self.context);
                assignment.perform(&mut self.context)
            }
            How::FailBefore => assignment.fail(failure),
            How::FailAfter => {
                let _hidden = assignment.perform(&mut self.context);
                assignment.fail(failure)
            }
        }
    }

    fn check_progress(
        &mut self,
        executor: &Executor<C, CrashingLog>,
        task: TaskId,
    ) -> Result<(), ProofFailure> {
        let Some(summary) = executor.task(task) else { return Ok(()) };
        let percent = summary.percent;
        let complete = summary.status == TaskStatus::Finished(Outcome::Succeeded);
        if percent < self.percent || (percent == 100) != complete {
            let message = format!("progress went from {} to {percent} in {:?}", self.percent, summary.status);
            return Err(self.fault(message));
        }
        self.percent = percent;
        Ok(())
    }

    fn ended(
        &self,
        executor: &Executor<C, CrashingLog>,
        task: TaskId,
    ) -> Result<Option<TaskStatus>, ProofFailure> {
        let status = executor.task(task).map(|task| task.status);
        let decided = executor.history(task).into_iter().flatten().any(|record| match record {
            TaskRecord::Done { step, .. } => {
                self.definition.steps().any(|(name, kind)| name == step && kind == StepKind::PointOfNoReturn)
            }
            _ => false,
        });
        if decided && status != Some(TaskStatus::Finished(Outcome::Succeeded)) {
            return Err(self.fault(format!("passed its point of no return and ended as {status:?}")));
        }
        Ok(status)
    }
}
