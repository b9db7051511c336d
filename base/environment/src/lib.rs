//! The one door through which everything below the surfaces reaches clock and randomness.
//!
//! Production code takes an [`Environment`] (usually as `Arc<dyn Environment>`) and never calls the
//! standard library's clocks or a random generator itself; `clippy.toml` bans the direct calls. Two
//! implementations exist: [`RealEnvironment`] here, and the simulator's, whose time is virtual and whose
//! randomness comes from a seed.
//!
//! There are no timers in this trait on purpose: cores are state machines that say when they want to be
//! woken (`next_wake`), and their driver waits.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock, as the time since an arbitrary fixed origin of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    /// The point `duration` later; saturates at the end of time.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall-clock time in nanoseconds since 1970-01-01 00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallClock(pub i128);

impl WallClock {
    /// Whole seconds since 1970-01-01 00:00:00 UTC, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
    }
}

/// Makes a directory and those above it that are missing, and makes their names durable: a database that syncs its files
/// is lost all the same if the name of its directory is.
///
/// # Errors
/// Those of the file system.
pub fn make_directory(path: &Path) -> std::io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    if !parent.is_dir() {
        make_directory(parent)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    // Also when it was there before: whoever made it may have lost its power before this.
    std::fs::File::open(parent)?.sync_all()
}

/// Clock and randomness of the world that a component runs in.
pub trait Environment: Send + Sync {
    /// Monotonic time: never goes back, does not count from a date.
    fn monotonic(&self) -> Monotonic;
    /// Wall-clock time: may jump; only for showing and recording.
    fn wall_clock(&self) -> WallClock;
    /// 64 random bits. In the simulator they come from the seed; they are not for cryptographic keys.
    fn random(&self) -> u64;
}

/// The real world: the host's clocks and a generator seeded by the operating system.
pub struct RealEnvironment {
    origin: Instant,
    state: Mutex<u64>,
}

impl RealEnvironment {
    /// Opens the real world; monotonic time counts from this call.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the host's clock")]
    pub fn new() -> Self {
        // `RandomState` is the standard library's only source of operating-system randomness.
        let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
        Self { origin: Instant::now(), state: Mutex::new(seed) }
    }
}

impl Default for RealEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment for RealEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the host's clock")]
    fn monotonic(&self) -> Monotonic {
        Monotonic(Instant::now().duration_since(self.origin))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the host's clock")]
    fn wall_clock(&self) -> WallClock {
        let nanoseconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
            Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
        };
        WallClock(nanoseconds)
    }

    fn random(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        split_mix(&mut state)
    }
}

/// One step of the SplitMix64 generator; shared with the simulator so that both draw alike.
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_never_goes_back() {
        let environment = RealEnvironment::new();
        let mut last = environment.monotonic();
        for _ in 0..1_000 {
            let now = environment.monotonic();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn wall_clock_seconds_round_down_before_the_epoch() {
        assert_eq!(WallClock(-1).seconds(), -1);
        assert_eq!(WallClock(1_999_999_999).seconds(), 1);
    }

    #[test]
    fn directories_are_made_with_those_above_them() {
        let top = std::env::temp_dir().join(format!("varan-environment-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&top);
        for _ in 0..2 {
            make_directory(&top.join("a/b")).expect("made");
        }
        assert!(top.join("a/b").is_dir());
        std::fs::write(top.join("file"), "").expect("written");
        assert!(make_directory(&top.join("file")).is_err());
        assert!(make_directory(&top.join("file/a")).is_err());
        std::fs::remove_dir_all(&top).expect("removed");
    }

    #[test]
    fn two_draws_differ() {
        let environment = RealEnvironment::new();
        assert_ne!(environment.random(), environment.random());
    }
}
