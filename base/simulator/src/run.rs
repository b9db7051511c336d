//! Running many seeds, and saying how to repeat the one that failed.

use std::ops::Range;
use std::time::Duration;

use crate::actor::Actor;
use crate::simulation::Simulation;
use crate::trace::Trace;

/// The environment variable that makes [`explore`] run one seed only.
pub const SEED_VARIABLE: &str = "SIMULATION_SEED";
/// The environment variable that overrides the number of steps.
pub const STEPS_VARIABLE: &str = "SIMULATION_STEPS";

/// Trace lines that a failure shows; the cause is nearly always among them.
const TAIL_LINES: usize = 60;

/// A run that broke an invariant. Its text gives the seed, the way to repeat it, and the end of the trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{message}\nseed {seed}, step {step}, time {time:?}\nrepeat with: SIMULATION_SEED={seed} \
     SIMULATION_STEPS={step} cargo test <this test>\nlast events:\n{tail}"
)]
pub struct SimulationFailure {
    /// The seed of the run.
    pub seed: u64,
    /// The event after which the invariant did not hold.
    pub step: u64,
    /// True time of that event.
    pub time: Duration,
    /// What the invariant said.
    pub message: String,
    /// The last lines of the trace.
    pub tail: String,
}

impl SimulationFailure {
    pub(crate) fn new(seed: u64, step: u64, time: Duration, message: String, trace: &Trace) -> Self {
        Self { seed, step, time, message, tail: trace.tail(TAIL_LINES) }
    }
}

impl<A: Actor> Simulation<A> {
    /// Handles up to `steps` events; fewer if nothing is left to happen. Returns how many there were.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn run(&mut self, steps: u64) -> Result<u64, SimulationFailure> {
        let guard = SeedGuard { seed: self.seed() };
        for done in 0..steps {
            if !self.step()? {
                return Ok(done);
            }
        }
        drop(guard);
        Ok(steps)
    }

    /// Handles events until `reached` holds.
    ///
    /// # Errors
    /// A broken invariant, or `steps` events (or all there are) without `reached`.
    pub fn run_until(
        &mut self,
        steps: u64,
        mut reached: impl FnMut(&Self) -> bool,
    ) -> Result<(), SimulationFailure> {
        let _guard = SeedGuard { seed: self.seed() };
        for _ in 0..steps {
            if reached(self) {
                return Ok(());
            }
            if !self.step()? {
                break;
            }
        }
        if reached(self) { Ok(()) } else { Err(self.failure("what was awaited did not happen".into())) }
    }
}

/// Runs `steps` events of each seed. `build` makes the world of a seed. With `SIMULATION_SEED` in the
/// process environment only that seed runs (and `SIMULATION_STEPS` events of it).
///
/// # Panics
/// On the first failure, with the seed, the way to repeat it, and the end of the trace.
pub fn explore<A: Actor>(seeds: Range<u64>, steps: u64, build: impl Fn(u64) -> Simulation<A>) {
    let steps = number(STEPS_VARIABLE).unwrap_or(steps);
    let seeds = number(SEED_VARIABLE).map_or(seeds, |seed| seed..seed.saturating_add(1));
    for seed in seeds {
        if let Err(failure) = build(seed).run(steps) {
            panic!("{failure}");
        }
    }
}

/// The first failure among the seeds, if any: for tests which show that a defect is found.
pub fn find_failure<A: Actor>(
    seeds: Range<u64>,
    steps: u64,
    build: impl Fn(u64) -> Simulation<A>,
) -> Option<SimulationFailure> {
    seeds.into_iter().find_map(|seed| build(seed).run(steps).err())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.trim().parse().ok()
}

/// Prints the seed when an actor panics, which no `Result` carries.
struct SeedGuard {
    seed: u64,
}

impl Drop for SeedGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "simulation panicked; repeat with: {SEED_VARIABLE}={} cargo test <this test>",
                self.seed
            );
        }
    }
}
