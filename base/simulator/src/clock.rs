//! Virtual time: one true time line, and for each process a clock that may run fast or slow and whose wall
//! time may jump.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::random::ONE_MILLION;

/// Wall time of a new clock, nanoseconds since 1970-01-01 UTC: 2020-01-01 00:00:00. Any fixed date would do;
/// a plausible one keeps formatted output readable.
pub const DEFAULT_WALL_CLOCK: i128 = 1_577_836_800_000_000_000;

/// The most that a clock may run fast or slow, in parts per million. Real oscillators stay below 500; the
/// wide limit lets a test exaggerate, while a clock still never stands still or runs backwards.
pub const RATE_LIMIT_PARTS_PER_MILLION: i32 = 200_000;

/// A handle to one process's clock. Clones are the same clock. Time moves only through
/// [`VirtualClock::advance_to`], which the simulation calls.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    true_time: Duration,
    monotonic: Duration,
    /// Part of a nanosecond that the rate has gathered but `monotonic` does not show yet, in 1/1,000,000.
    remainder: u128,
    rate: i32,
    wall_at_origin: i128,
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new(DEFAULT_WALL_CLOCK)
    }
}

impl VirtualClock {
    /// A clock whose monotonic time is zero and whose wall time is `wall` nanoseconds since 1970.
    #[must_use]
    pub fn new(wall: i128) -> Self {
        let state = State {
            true_time: Duration::ZERO,
            monotonic: Duration::ZERO,
            remainder: 0,
            rate: 0,
            wall_at_origin: wall,
        };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Monotonic time as this process sees it: never goes back, counts on while the process is paused or
    /// down (it belongs to the machine, not to the process).
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.state().monotonic
    }

    /// Wall time as this process sees it, in nanoseconds since 1970-01-01 00:00:00 UTC. May jump.
    #[must_use]
    pub fn wall_clock(&self) -> i128 {
        let state = self.state();
        state.wall_at_origin + i128::try_from(state.monotonic.as_nanos()).unwrap_or(i128::MAX / 2)
    }

    /// Moves time on to the true time `now`; the past is ignored.
    pub fn advance_to(&self, now: Duration) {
        let mut state = self.state();
        let elapsed = now.saturating_sub(state.true_time).as_nanos();
        state.true_time = state.true_time.max(now);
        let scaled = elapsed * u128::from(factor(state.rate)) + state.remainder;
        state.remainder = scaled % u128::from(ONE_MILLION);
        let local = u64::try_from(scaled / u128::from(ONE_MILLION)).unwrap_or(u64::MAX);
        state.monotonic = state.monotonic.saturating_add(Duration::from_nanos(local));
    }

    /// Lets this clock run fast (positive) or slow (negative) from now on, clamped to
    /// [`RATE_LIMIT_PARTS_PER_MILLION`].
    pub fn set_rate(&self, parts_per_million: i32) {
        let limit = RATE_LIMIT_PARTS_PER_MILLION;
        self.state().rate = parts_per_million.clamp(-limit, limit);
    }

    /// Moves wall time by `nanoseconds`, forwards or backwards, at once; monotonic time is not touched.
    pub fn jump_wall_clock(&self, nanoseconds: i128) {
        let mut state = self.state();
        state.wall_at_origin = state.wall_at_origin.saturating_add(nanoseconds);
    }

    /// True time until `local` has passed on this clock at its present rate, rounded up so that a timer
    /// never fires before the local clock shows its time. A later change of rate does not move it.
    #[must_use]
    pub fn true_duration_of(&self, local: Duration) -> Duration {
        let state = self.state();
        let factor = u128::from(factor(state.rate));
        let wanted = local.as_nanos().saturating_mul(u128::from(ONE_MILLION)).saturating_sub(state.remainder);
        Duration::from_nanos(u64::try_from(wanted.div_ceil(factor)).unwrap_or(u64::MAX))
    }
}

/// How many millionths of a local nanosecond pass in one true nanosecond.
fn factor(rate: i32) -> u32 {
    ONE_MILLION.saturating_add_signed(rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Randomness;

    #[test]
    fn wall_time_jumps_and_monotonic_does_not() {
        let clock = VirtualClock::default();
        clock.advance_to(Duration::from_secs(5));
        clock.jump_wall_clock(-3_600_000_000_000);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
        assert_eq!(clock.wall_clock(), DEFAULT_WALL_CLOCK + 5_000_000_000 - 3_600_000_000_000);
    }

    #[test]
    fn time_never_goes_back() {
        let clock = VirtualClock::default();
        clock.advance_to(Duration::from_secs(5));
        clock.advance_to(Duration::from_secs(4));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }

    #[test]
    fn rates_lose_no_fraction_over_many_small_steps() {
        let clock = VirtualClock::default();
        clock.set_rate(500);
        for step in 1..=1_000_000_u64 {
            clock.advance_to(Duration::from_nanos(step * 3));
        }
        assert_eq!(clock.monotonic(), Duration::from_nanos(3_000_000 + 1_500));
    }

    #[test]
    fn a_timer_is_never_early_and_less_than_two_nanoseconds_late() {
        let mut random = Randomness::new(21);
        for _ in 0..2_000 {
            let clock = VirtualClock::default();
            clock.set_rate(i32::try_from(random.below(400_001)).unwrap() - RATE_LIMIT_PARTS_PER_MILLION);
            let start = Duration::from_nanos(random.below(1_000_000));
            clock.advance_to(start);
            let local = Duration::from_nanos(random.below(1_000_000_000));
            let due = clock.monotonic() + local;
            clock.advance_to(start + clock.true_duration_of(local));
            let now = clock.monotonic();
            assert!(now >= due && now - due < Duration::from_nanos(2), "{now:?} {due:?}");
        }
    }
}
