//! Firmware updates as tasks of several steps: what was begun is wholly done or wholly undone, also after a loss of power.
//!
//! ```text
//! transfer ─> accept ─> install ─> activate ══> settle
//!  (waits)   t to p     new on t   no return    the system is up again
//!            undo: p    undo: t
//! ```
//!
//! A step looks only at its plan and at [`Flash`], a copy of what is recorded. What it changes there is recorded in the
//! system's database before the step counts as done. A restart undoes an update before the system starts, so that it
//! starts from the side that was there before; after the point of no return it starts with the new level.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use varan_contract::system::RequestId;
use varan_model::firmware::FirmwareLevels;
use varan_model::rules::firmware::{Activation, FirmwarePlan};
use varan_model::system::SystemState;
use varan_task::{
    Executor, FileTaskLog, Limits, Outcome, Step, StepFailure, StepOutcome, StepView, TaskDefinition,
    TaskError, TaskId, TaskRequest, TaskStatus, TaskSummary, UndoOutcome, Wake,
};

use crate::authority::ReplySender;

/// Real seconds that the image takes to the service processor.
pub const TRANSFER_SECONDS: u64 = 300;
/// Real seconds that one side of the flash takes to be copied to the other.
pub const ACCEPT_SECONDS: u64 = 300;
/// Real seconds that a side of the flash takes to be written.
pub const INSTALL_SECONDS: u64 = 900;
/// Real seconds that a concurrent activation takes.
pub const ACTIVATE_SECONDS: u64 = 600;
/// Real seconds after which a waiting step looks again although nothing was announced.
const LOOK_SECONDS: u64 = 3_600;

const KIND: &str = "firmware";
/// The signal of a change of the system's state.
const STATE_SIGNAL: &str = "state";

/// What the steps of an update work on: the firmware as it is recorded, and what the system is doing.
#[derive(Clone, Debug)]
pub struct Flash {
    /// Levels.
    pub levels: FirmwareLevels,
    /// The side of the next start: true for the temporary one.
    pub starts_temporary: bool,
    /// State of the system.
    pub state: SystemState,
    /// A step asks for a power cycle.
    pub cycle: bool,
    time_scale: f64,
    /// Since when the step at hand waits. Lost with the process: the wait begins anew then.
    waiting: Option<(TaskId, String, Duration)>,
}

impl Flash {
    /// The flash of a system in that state.
    #[must_use]
    pub fn new(levels: FirmwareLevels, starts_temporary: bool, state: SystemState) -> Self {
        Self { levels, starts_temporary, state, cycle: false, time_scale: 1.0, waiting: None }
    }

    /// Forgets what only a running process knows.
    pub fn forget(&mut self) {
        self.waiting = None;
    }

    fn scaled(&self, real_seconds: u64) -> Duration {
        Duration::from_secs_f64(real_seconds as f64 / self.time_scale.max(1.0))
    }

    /// What a step answers until its real time is over; `None` then.
    fn wait(&mut self, view: &StepView<'_>, real_seconds: u64) -> Option<StepOutcome> {
        let now = view.now();
        let began = match &self.waiting {
            Some((task, step, began)) if *task == view.task() && step == view.step() => *began,
            _ => {
                self.waiting = Some((view.task(), view.step().to_owned(), now));
                now
            }
        };
        let whole = self.scaled(real_seconds);
        let passed = now.saturating_sub(began);
        if passed >= whole {
            return None;
        }
        let percent = passed.as_secs_f64() / whole.as_secs_f64() * 100.0;
        // Between 0 and 100, so that nothing is cut off.
        Some(StepOutcome::Pending { wake: Wake::At(began + whole), percent: percent as u8 })
    }

    fn until_announced(&self, view: &StepView<'_>) -> StepOutcome {
        let at_latest = view.now() + self.scaled(LOOK_SECONDS);
        StepOutcome::Pending { wake: Wake::Signal { name: STATE_SIGNAL.to_owned(), at_latest }, percent: 0 }
    }

    fn is_up(&self) -> bool {
        matches!(self.state, SystemState::Operating | SystemState::Standby)
    }

    /// The installed level is at work, wholly.
    fn runs_installed(&self) -> bool {
        self.levels.activated == self.levels.temporary
            && self.levels.runs_temporary
            && self.levels.deferred.is_none()
    }
}

fn act(
    run: impl Fn(&mut Flash, &StepView<'_>, FirmwarePlan) -> StepOutcome + Send + Sync + 'static,
) -> impl Fn(&mut Flash, &StepView<'_>) -> StepOutcome + Send + Sync + 'static {
    move |flash, view| match view.input() {
        Ok(plan) => run(flash, view, plan),
        Err(failure) => StepOutcome::Failed(failure),
    }
}

fn undo(
    run: impl Fn(&mut Flash, FirmwarePlan) + Send + Sync + 'static,
) -> impl Fn(&mut Flash, &StepView<'_>) -> UndoOutcome + Send + Sync + 'static {
    move |flash, view| match view.input() {
        Ok(plan) => {
            run(flash, plan);
            UndoOutcome::Done
        }
        Err(failure) => UndoOutcome::Failed(failure),
    }
}

fn activate(flash: &mut Flash, view: &StepView<'_>, plan: &FirmwarePlan) -> StepOutcome {
    match plan.activation {
        Activation::None => {}
        Activation::Concurrent if flash.levels.activated != flash.levels.temporary => {
            if let Some(waiting) = flash.wait(view, ACTIVATE_SECONDS) {
                return waiting;
            }
            flash.levels.activate_concurrently();
        }
        Activation::Concurrent => {}
        // It happened already: a loss of power is a power cycle.
        Activation::PowerCycle if flash.runs_installed() => {}
        Activation::PowerCycle if flash.is_up() => {
            flash.starts_temporary = true;
            flash.cycle = true;
        }
        Activation::PowerCycle if flash.state == SystemState::PowerOff => {
            // Only the service processor is up; it starts anew by itself.
            flash.starts_temporary = true;
            flash.levels.start(true);
        }
        Activation::PowerCycle => return flash.until_announced(view),
    }
    StepOutcome::done()
}

fn settle(flash: &mut Flash, view: &StepView<'_>, plan: &FirmwarePlan) -> StepOutcome {
    let reached = flash.is_up() || flash.state == SystemState::PowerOff;
    if plan.activation != Activation::PowerCycle || (reached && flash.runs_installed()) {
        return StepOutcome::done();
    }
    flash.until_announced(view)
}

/// The steps of every update; those that a plan does not need do nothing.
///
/// # Errors
/// Never: the list is a constant one.
pub fn definition() -> Result<TaskDefinition<Flash>, TaskError> {
    let transfer = act(|flash, view, plan| match plan.install {
        Some(_) => flash.wait(view, TRANSFER_SECONDS).unwrap_or_else(StepOutcome::done),
        None => StepOutcome::done(),
    });
    let accept = act(|flash, view, plan| {
        if plan.accept && flash.levels.permanent != plan.before.temporary {
            if let Some(waiting) = flash.wait(view, ACCEPT_SECONDS) {
                return waiting;
            }
            flash.levels.permanent = plan.before.temporary;
        }
        StepOutcome::done()
    });
    let install = act(|flash, view, plan| {
        if let Some(image) = plan.install.filter(|image| *image != flash.levels.temporary) {
            if let Some(waiting) = flash.wait(view, INSTALL_SECONDS) {
                return waiting;
            }
            flash.levels.temporary = image;
        }
        StepOutcome::done()
    });
    let steps = vec![
        Step::reading("transfer", "retrieve", transfer).weight(3),
        Step::undoable(
            "accept",
            "install",
            accept,
            undo(|flash, plan| flash.levels.permanent = plan.before.permanent),
        )
        .weight(3),
        Step::undoable(
            "install",
            "install",
            install,
            undo(|flash, plan| flash.levels.temporary = plan.before.temporary),
        )
        .weight(9),
        Step::point_of_no_return(
            "activate",
            "activate",
            act(|flash, view, plan| activate(flash, view, &plan)),
        )
        .weight(6),
        Step::forward("settle", "activate", act(|flash, view, plan| settle(flash, view, &plan))),
    ];
    TaskDefinition::new(KIND, steps).map_err(|_| TaskError::UnknownKind(KIND.to_owned()))
}

fn limits() -> Limits {
    Limits {
        active_tasks: 1,
        queued_tasks: 1,
        assignments: 1,
        finished_tasks: 16,
        records_between_compactions: 512,
        ..Limits::default()
    }
}

/// How an update stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Under way.
    UnderWay,
    /// Done.
    Done,
    /// Undone, for this reason.
    Undone(String),
    /// It can only go forward and does not, for this reason.
    Stuck(String),
}

fn standing(task: &TaskSummary) -> Standing {
    let reason = || match &task.failure {
        Some(StepFailure { message, .. }) => message.clone(),
        None => "the managed system lost its power".to_owned(),
    };
    match task.status {
        TaskStatus::Finished(Outcome::Succeeded | Outcome::Abandoned) => Standing::Done,
        TaskStatus::Finished(_) => Standing::Undone(reason()),
        TaskStatus::NeedsRecovery(_) => Standing::Stuck(reason()),
        TaskStatus::Queued | TaskStatus::Running | TaskStatus::Undoing => Standing::UnderWay,
    }
}

/// The updates of one system: at most one is under way.
pub struct FirmwareTasks {
    pub(crate) executor: Executor<Flash, FileTaskLog>,
    pub(crate) flash: Flash,
    pub(crate) waiting: BTreeMap<TaskId, Vec<ReplySender>>,
    /// Why the log failed: nothing goes on until the system is opened again.
    failed: Option<String>,
}

impl FirmwareTasks {
    /// Opens the log in `directory` and undoes an update that had not reached its point of no return. `record` makes the
    /// levels durable; `now` is monotonic.
    ///
    /// # Errors
    /// The log cannot be read or written, or the levels cannot be recorded.
    pub fn open<E: From<TaskError>>(
        directory: &Path,
        flash: Flash,
        now: Duration,
        mut record: impl FnMut(&FirmwareLevels) -> Result<(), E>,
    ) -> Result<Self, E> {
        let log = FileTaskLog::open(&directory.join("firmware.log")).map_err(TaskError::from)?;
        let executor = Executor::recover(log, vec![definition()?], limits())?;
        let mut tasks = Self { executor, flash, waiting: BTreeMap::new(), failed: None };
        let recovering = |task: &TaskSummary| matches!(task.status, TaskStatus::NeedsRecovery(_));
        let stuck: Vec<TaskId> = tasks.executor.tasks().filter(recovering).map(|task| task.id).collect();
        for task in stuck {
            tasks.executor.retry(task)?;
        }
        while tasks.executor.tasks().any(|task| task.status == TaskStatus::Undoing) {
            let Some(assignment) = tasks.executor.next_assignment(now)? else { break };
            let report = assignment.perform(&mut tasks.flash);
            record(&tasks.flash.levels)?;
            tasks.executor.complete(now, report)?;
        }
        Ok(tasks)
    }

    /// Real waits are divided by this.
    pub(crate) fn scale(&mut self, time_scale: f64) {
        self.flash.time_scale = time_scale;
    }

    /// The log failed.
    pub(crate) fn fail(&mut self, error: &TaskError) {
        self.failed = Some(error.to_string());
    }

    /// When the next step is due.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        if self.failed.is_some() { None } else { self.executor.next_wake() }
    }

    /// Whether an update is under way, or waits for one that can be made again.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let over = |task: &TaskSummary| matches!(task.status, TaskStatus::Finished(_));
        self.executor.tasks().any(|task| !over(&task))
    }

    fn key(id: RequestId) -> String {
        format!("{:032x}", id.0)
    }

    /// The update that a request began, as long as it is remembered, and how it stands.
    #[must_use]
    pub fn of_request(&self, id: RequestId) -> Option<(TaskId, Standing)> {
        let key = Self::key(id);
        let found = self.executor.tasks().find(|task| task.key.as_ref() == Some(&key));
        found.map(|task| (task.id, self.standing(task.id)))
    }

    /// How an update stands; one that is forgotten is done.
    #[must_use]
    pub fn standing(&self, task: TaskId) -> Standing {
        let found = self.executor.task(task).map_or(Standing::Done, |task| standing(&task));
        match &self.failed {
            Some(reason) if found == Standing::UnderWay => Standing::Stuck(reason.clone()),
            _ => found,
        }
    }

    /// Begins an update.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn begin(&mut self, id: RequestId, plan: &FirmwarePlan) -> Result<TaskId, TaskError> {
        let input = serde_json::to_value(plan).map_err(|_| TaskError::UnknownKind(KIND.to_owned()))?;
        self.executor.start(TaskRequest {
            kind: KIND.to_owned(),
            input,
            locks: vec![KIND.to_owned()],
            key: Some(Self::key(id)),
        })
    }

    /// Tells waiting steps that the state of the system changed.
    pub(crate) fn announce_state(&mut self) {
        self.executor.signal(STATE_SIGNAL);
    }
}

#[cfg(test)]
mod tests {
    use varan_model::firmware::FirmwareImage;
    use varan_task::proof::{self, Subject};

    use super::*;

    fn image(level: &str) -> FirmwareImage {
        FirmwareImage { last_disruptive: 48, ..FirmwareLevels::of(level.parse().expect("level")).temporary }
    }

    fn subject(activation: Activation, state: SystemState) -> Subject<Flash> {
        let levels = FirmwareLevels::delivered(image("01SV830_050"), image("01SV830_048"));
        let plan = FirmwarePlan {
            before: levels.clone(),
            accept: true,
            install: Some(image("01SV830_068")),
            activation,
        };
        let input = serde_json::to_value(plan).expect("plan");
        let definition = definition().expect("definition");
        Subject::new(Flash::new(levels, true, state), definition, input).on_restart(Flash::forget)
    }

    #[test]
    fn an_update_is_wholly_done_or_wholly_undone() {
        for (activation, state) in [
            (Activation::Concurrent, SystemState::Operating),
            (Activation::None, SystemState::Operating),
            (Activation::PowerCycle, SystemState::PowerOff),
        ] {
            let cases =
                proof::everything(|| subject(activation, state), |flash: &Flash| flash.levels.clone());
            assert!(cases.expect("proof") > 100);
        }
    }
}
