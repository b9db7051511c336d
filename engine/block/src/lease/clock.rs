//! When a frame's lease ends: for its holder, and for those who watch it. Both count on monotonic clocks of their own.
//!
//! ```text
//!   holder    renewal sent ........................ stops          (duration less the margin)
//!   observer         sees it first ............................... expired   (duration and the margin)
//! ```
//!
//! The observer sees a renewal after it was sent, so that two margins lie between the holder's end and the observer's. They
//! cover what the two clocks may differ in speed and how long the holder needs to stop.

use std::time::Duration;

use varan_contract::block::FrameLease;
use varan_environment::Monotonic;

/// The margin on either side of a lease: an eighth of its duration, a second at least. Clocks may differ by an eighth in
/// speed before it is used up; crystal clocks differ by less than a thousandth.
#[must_use]
pub fn lease_margin(duration: Duration) -> Duration {
    (duration / 8).max(Duration::from_secs(1))
}

/// The side that holds a lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseHolder {
    duration: Duration,
    renewed: Option<Monotonic>,
}

impl LeaseHolder {
    /// A lease that was not renewed yet.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        Self { duration, renewed: None }
    }

    /// A renewal was acknowledged that was sent at `sent`; the time of the answer says nothing.
    pub fn renewed(&mut self, sent: Monotonic) {
        self.renewed = self.renewed.max(Some(sent));
    }

    /// When whatever depends on the lease must have stopped; `None` before the first renewal: it may not begin.
    #[must_use]
    pub fn stops_at(&self) -> Option<Monotonic> {
        let usable = self.duration.saturating_sub(lease_margin(self.duration));
        self.renewed.map(|sent| sent.after(usable))
    }

    /// When to renew at the latest, so that two more attempts fit before the end.
    #[must_use]
    pub fn renew_at(&self) -> Monotonic {
        self.renewed.map_or(Monotonic::default(), |sent| sent.after(self.duration / 3))
    }
}

/// The side that waits for a lease's end.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaseObserver {
    seen: Option<(u64, Monotonic)>,
}

impl LeaseObserver {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what the store says at `now`, which was read before the store was asked; says whether the lease has expired.
    pub fn observe(&mut self, now: Monotonic, lease: &FrameLease) -> bool {
        match self.seen {
            Some((renewals, since)) if renewals == lease.renewals => {
                now.since(since) >= lease.duration + lease_margin(lease.duration)
            }
            _ => {
                self.seen = Some((lease.renewals, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use varan_model::ids::SystemUuid;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn the_holder_ends_before_any_observer_says_so() {
        let duration = Duration::from_secs(24);
        let mut holder = LeaseHolder::new(duration);
        assert_eq!(holder.stops_at(), None);
        holder.renewed(at(100));
        holder.renewed(at(90));
        assert_eq!(holder.stops_at(), Some(at(121)));
        assert_eq!(holder.renew_at(), at(108));
        let mut observer = LeaseObserver::new();
        let lease = |renewals| FrameLease { frame: SystemUuid(1), renewals, duration };
        assert!(!observer.observe(at(100), &lease(1)));
        assert!(!observer.observe(at(126), &lease(1)));
        assert!(observer.observe(at(127), &lease(1)));
        assert!(!observer.observe(at(128), &lease(2)), "it lives");
        assert!(!observer.observe(at(154), &lease(2)));
        assert!(observer.observe(at(155), &lease(2)));
    }
}
