//! Tests that every task definition must pass, whatever it does.
//!
//! Each function takes a closure that makes a fresh [`Subject`] (a world and the definition), and one that
//! looks at the world. It runs the task many times, each time with trouble at another place, and requires
//! that the world ends as it was before (the task failed or was cancelled) or as after an undisturbed run
//! (the task succeeded), and nothing in between. [`everything`] runs them all; put it into a test of each
//! definition.
//!
//! What is compared is only what the second closure returns: it must show everything that a step can leave
//! behind, and nothing that may differ between two good runs (such as counters of calls).

use std::fmt::Debug;

use serde_json::Value;

use crate::definition::TaskDefinition;

use crate::proof_run::{Call, Crash, How, Run, Side};
use crate::record::Outcome;
use crate::request::CancelAnswer;
use crate::state::{Direction, TaskStatus};

/// A world, and the task to try on it.
pub struct Subject<C> {
    pub(crate) context: C,
    pub(crate) definition: TaskDefinition<C>,
    pub(crate) input: Value,
    pub(crate) restart: Box<dyn Fn(&mut C)>,
}

impl<C> Subject<C> {
    /// A subject whose context keeps everything over a restart.
    #[must_use]
    pub fn new(context: C, definition: TaskDefinition<C>, input: Value) -> Self {
        Self { context, definition, input, restart: Box::new(|_| {}) }
    }

    /// Drops, at each simulated restart, what the context would lose by one.
    #[must_use]
    pub fn on_restart(mut self, restart: impl Fn(&mut C) + 'static) -> Self {
        self.restart = Box::new(restart);
        self
    }
}

/// A case in which the definition did not do what it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{case}: {message}")]
pub struct ProofFailure {
    /// What was done to the task.
    pub case: String,
    /// What came of it.
    pub message: String,
}

/// Number of runs that were made.
pub type Cases = usize;

/// The worlds before and after an undisturbed run, and the calls that it made.
struct Baseline<W> {
    before: W,
    after: W,
    calls: Vec<Call>,
    appends: usize,
}

/// One kind of definition under test.
struct Bench<'a, C, W> {
    make: &'a dyn Fn() -> Subject<C>,
    observe: &'a dyn Fn(&C) -> W,
    baseline: Baseline<W>,
    cases: Cases,
}

impl<'a, C, W: PartialEq + Debug> Bench<'a, C, W> {
    fn new(make: &'a dyn Fn() -> Subject<C>, observe: &'a dyn Fn(&C) -> W) -> Result<Self, ProofFailure> {
        let mut run = Run::new(make(), "undisturbed run".into(), Vec::new());
        let before = observe(&run.context);
        let outcome = run.finish(&mut |_, _| How::Perform)?;
        if outcome != Some(TaskStatus::Finished(Outcome::Succeeded)) {
            return Err(run.fault(format!("ended as {outcome:?}")));
        }
        let after = observe(&run.context);
        let baseline = Baseline { before, after, calls: run.calls.clone(), appends: run.appends() };
        Ok(Self { make, observe, baseline, cases: 1 })
    }

    fn run(&mut self, case: String, crashes: Vec<Crash>) -> Run<C> {
        self.cases += 1;
        Run::new((self.make)(), case, crashes)
    }

    /// Requires that the world fits the outcome.
    fn check(&self, run: &Run<C>, outcome: Option<TaskStatus>) -> Result<(), ProofFailure> {
        let expected = match outcome {
            Some(TaskStatus::Finished(Outcome::Succeeded)) => &self.baseline.after,
            None
            | Some(TaskStatus::Finished(Outcome::Failed | Outcome::Cancelled | Outcome::Interrupted)) => {
                &self.baseline.before
            }
            other => return Err(run.fault(format!("ended as {other:?}"))),
        };
        let found = (self.observe)(&run.context);
        if found == *expected {
            return Ok(());
        }
        Err(run.fault(format!("ended as {outcome:?} and left {found:?} instead of {expected:?}")))
    }
}

fn expect<C>(run: &Run<C>, outcome: Option<TaskStatus>, expected: Outcome) -> Result<(), ProofFailure> {
    if outcome == Some(TaskStatus::Finished(expected)) {
        return Ok(());
    }
    Err(run.fault(format!("ended as {outcome:?} instead of {expected:?}")))
}

/// Lets each call of each act fail once, before it does anything and after it did everything. Before the
/// point of no return everything must be undone, also if each undo fails once; after it the task must
/// succeed at the next try. The point of no return itself fails only without effect, as it promises.
///
/// # Errors
/// The first case that ends otherwise.
pub fn fail_at_every_step<C, W: PartialEq + Debug>(
    make: impl Fn() -> Subject<C>,
    observe: impl Fn(&C) -> W,
) -> Result<Cases, ProofFailure> {
    let mut bench = Bench::new(&make, &observe)?;
    for (index, call) in bench.baseline.calls.clone().into_iter().enumerate() {
        for how in [How::FailBefore, How::FailAfter] {
            if call.is_point && how == How::FailAfter {
                continue;
            }
            for undo in [How::Perform, How::FailBefore, How::FailAfter] {
                let case = format!("{} (call {index}) {how:?}, undo {undo:?}", call.step);
                let mut run = bench.run(case, Vec::new());
                let mut undone = std::collections::BTreeSet::new();
                let outcome = run.finish(&mut |count, made| match made.direction {
                    Direction::Forward if count == index => how,
                    Direction::Undo if undone.insert(made.step.clone()) => undo,
                    _ => How::Perform,
                })?;
                let expected = if call.after_point { Outcome::Succeeded } else { Outcome::Failed };
                expect(&run, outcome, expected)?;
                bench.check(&run, outcome)?;
            }
        }
    }
    Ok(bench.cases)
}

/// Lets each act fail, and runs every undo twice.
///
/// # Errors
/// The first case that does not end with the world as before.
pub fn undo_twice<C, W: PartialEq + Debug>(
    make: impl Fn() -> Subject<C>,
    observe: impl Fn(&C) -> W,
) -> Result<Cases, ProofFailure> {
    let mut bench = Bench::new(&make, &observe)?;
    for (index, call) in bench.baseline.calls.clone().into_iter().enumerate() {
        if call.after_point {
            break;
        }
        for how in [How::FailBefore, How::FailAfter] {
            if call.is_point && how == How::FailAfter {
                continue;
            }
            let mut run = bench.run(format!("{} (call {index}) {how:?}, undo twice", call.step), Vec::new());
            let outcome = run.finish(&mut |count, made| match made.direction {
                Direction::Forward if count == index => how,
                Direction::Forward => How::Perform,
                Direction::Undo => How::PerformTwice,
            })?;
            expect(&run, outcome, Outcome::Failed)?;
            bench.check(&run, outcome)?;
        }
    }
    Ok(bench.cases)
}

/// Runs every act twice.
///
/// # Errors
/// If the task does not succeed, or the world differs from that after an undisturbed run.
pub fn act_twice<C, W: PartialEq + Debug>(
    make: impl Fn() -> Subject<C>,
    observe: impl Fn(&C) -> W,
) -> Result<Cases, ProofFailure> {
    let mut bench = Bench::new(&make, &observe)?;
    let mut run = bench.run("every act twice".into(), Vec::new());
    let outcome = run.finish(&mut |_, _| How::PerformTwice)?;
    expect(&run, outcome, Outcome::Succeeded)?;
    bench.check(&run, outcome)?;
    Ok(bench.cases)
}

/// Stops the program before and after every write of the log, so before and after every act and undo, in an
/// undisturbed run and in runs in which a step fails; and a second time during the recovery.
///
/// # Errors
/// The first case in which the recovered task ends otherwise than wholly done or wholly undone.
pub fn crash_at_every_step<C, W: PartialEq + Debug>(
    make: impl Fn() -> Subject<C>,
    observe: impl Fn(&C) -> W,
) -> Result<Cases, ProofFailure> {
    let mut bench = Bench::new(&make, &observe)?;
    crash_everywhere(&mut bench, None)?;
    for (index, call) in bench.baseline.calls.clone().into_iter().enumerate() {
        if !call.after_point {
            crash_everywhere(&mut bench, Some((index, call.step)))?;
        }
    }
    Ok(bench.cases)
}

fn crash_everywhere<C, W: PartialEq + Debug>(
    bench: &mut Bench<'_, C, W>,
    failing: Option<(usize, String)>,
) -> Result<(), ProofFailure> {
    // A failing run writes at most one line more for each step that it undoes.
    for at in 1..=2 * bench.baseline.appends + 2 {
        for side in [Side::Before, Side::After] {
            let first = Crash { at, side };
            let appends = crash_case(bench, &failing, vec![first])?;
            for second in at + 1..=appends {
                for side in [Side::Before, Side::After] {
                    crash_case(bench, &failing, vec![first, Crash { at: second, side }])?;
                }
            }
            if appends < at {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Runs one case and returns how many writes it tried.
fn crash_case<C, W: PartialEq + Debug>(
    bench: &mut Bench<'_, C, W>,
    failing: &Option<(usize, String)>,
    crashes: Vec<Crash>,
) -> Result<usize, ProofFailure> {
    let failure = failing.as_ref().map(|(index, step)| format!(", {step} (call {index}) fails"));
    let mut run = bench.run(format!("crash {crashes:?}{}", failure.unwrap_or_default()), crashes);
    let outcome = run.finish(&mut |count, made| match failing {
        Some((index, _)) if made.direction == Direction::Forward && count == *index => How::FailBefore,
        _ => How::Perform,
    })?;
    bench.check(&run, outcome)?;
    Ok(run.appends())
}

/// Cancels before each call and while each call is out. An accepted cancellation must leave the world as
/// before; one that comes too late must let the task succeed.
///
/// # Errors
/// The first case that ends otherwise.
pub fn cancel_at_every_step<C, W: PartialEq + Debug>(
    make: impl Fn() -> Subject<C>,
    observe: impl Fn(&C) -> W,
) -> Result<Cases, ProofFailure> {
    let mut bench = Bench::new(&make, &observe)?;
    for (index, call) in bench.baseline.calls.clone().into_iter().enumerate() {
        for during in [false, true] {
            let moment = if during { "during" } else { "before" };
            let mut run = bench.run(format!("cancel {moment} {} (call {index})", call.step), Vec::new());
            run.cancel_at(index, during);
            let outcome = run.finish(&mut |_, _| How::Perform)?;
            match run.cancelled() {
                Some(CancelAnswer::Accepted) => expect(&run, outcome, Outcome::Cancelled)?,
                Some(CancelAnswer::TooLate) => expect(&run, outcome, Outcome::Succeeded)?,
                other => return Err(run.fault(format!("was answered {other:?}"))),
            }
            bench.check(&run, outcome)?;
        }
    }
    Ok(bench.cases)
}

/// All of the tests above.
///
/// # Errors
/// The first case that fails.
pub fn everything<C, W: PartialEq + Debug>(
    make: impl Fn() -> Subject<C>,
    observe: impl Fn(&C) -> W,
) -> Result<Cases, ProofFailure> {
    Ok(fail_at_every_step(&make, &observe)?
        + undo_twice(&make, &observe)?
        + act_twice(&make, &observe)?
        + cancel_at_every_step(&make, &observe)?
        + crash_at_every_step(&make, &observe)?)
}
