//! A network that loses, doubles, delays and reorders messages, and can be cut into parts.
//!
//! The network only decides *when* and *how often* a message arrives; the simulation's event queue carries
//! it. A message to a link that is cut is lost, both at sending and at arrival.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::random::Randomness;

/// An actor's number: its place in the order in which actors were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub u32);

impl ActorId {
    /// The test itself, as the sender of a message that comes from outside, and as the addressee of answers
    /// ([`crate::Simulation::take_received`]).
    pub const OUTSIDE: Self = Self(u32::MAX);
}

impl std::fmt::Display for ActorId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::OUTSIDE { formatter.pad("out") } else { formatter.pad(&format!("a{:02}", self.0)) }
    }
}

/// How one link, in one direction, treats messages. Probabilities are in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFaults {
    /// A message is lost.
    pub loss: u32,
    /// A message arrives twice.
    pub duplication: u32,
    /// Shortest way.
    pub minimum_delay: Duration,
    /// Longest way in the ordinary case. Two messages with different delays overtake each other, unless
    /// the link is first-in-first-out.
    pub maximum_delay: Duration,
    /// A message takes an extra [`LinkFaults::straggler_delay`].
    pub straggler: u32,
    /// Longest extra delay of a straggler.
    pub straggler_delay: Duration,
    /// Messages of this link keep their order, as on a byte stream.
    pub first_in_first_out: bool,
}

impl Default for LinkFaults {
    /// A healthy, ordered link with 0.1 to 1 millisecond of delay.
    fn default() -> Self {
        Self {
            loss: 0,
            duplication: 0,
            minimum_delay: Duration::from_micros(100),
            maximum_delay: Duration::from_millis(1),
            straggler: 0,
            straggler_delay: Duration::ZERO,
            first_in_first_out: true,
        }
    }
}

impl LinkFaults {
    /// A bad datagram network: 2 % lost, 2 % doubled, 1 % late by up to a second, no order.
    #[must_use]
    pub fn hostile() -> Self {
        Self {
            loss: 20_000,
            duplication: 20_000,
            minimum_delay: Duration::from_micros(100),
            maximum_delay: Duration::from_millis(20),
            straggler: 10_000,
            straggler_delay: Duration::from_secs(1),
            first_in_first_out: false,
        }
    }
}

type Link = (ActorId, ActorId);

/// The links between all actors.
#[derive(Clone, Debug, Default)]
pub struct FaultNetwork {
    default_faults: LinkFaults,
    links: BTreeMap<Link, LinkFaults>,
    cut: BTreeSet<Link>,
    last_arrival: BTreeMap<Link, Duration>,
}

impl FaultNetwork {
    /// A network whose links all behave like `faults` until told otherwise.
    #[must_use]
    pub fn new(faults: LinkFaults) -> Self {
        Self { default_faults: faults, ..Self::default() }
    }

    /// Sets the behaviour of all links that have none of their own.
    pub fn set_default(&mut self, faults: LinkFaults) {
        self.default_faults = faults;
    }

    /// Sets the behaviour of the link from `from` to `to` (one direction).
    pub fn set_link(&mut self, from: ActorId, to: ActorId, faults: LinkFaults) {
        self.links.insert((from, to), faults);
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: ActorId, to: ActorId) {
        self.cut.insert((from, to));
    }

    /// Cuts both directions between every actor in `left` and every actor in `right`.
    pub fn partition(&mut self, left: &[ActorId], right: &[ActorId]) {
        for &one in left {
            for &other in right {
                self.cut.insert((one, other));
                self.cut.insert((other, one));
            }
        }
    }

    /// Mends one direction.
    pub fn mend(&mut self, from: ActorId, to: ActorId) {
        self.cut.remove(&(from, to));
    }

    /// Mends every cut; loss and delays stay.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Whether messages pass from `from` to `to` now.
    #[must_use]
    pub fn is_open(&self, from: ActorId, to: ActorId) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// The times at which a message sent at `now` arrives: none (lost), one, or two (doubled). A message to
    /// oneself, from outside or to outside passes at once and is never lost.
    pub fn route(
        &mut self,
        now: Duration,
        link: (ActorId, ActorId),
        random: &mut Randomness,
    ) -> Vec<Duration> {
        let (from, to) = link;
        if from == to || from == ActorId::OUTSIDE || to == ActorId::OUTSIDE {
            return vec![now];
        }
        let faults = *self.links.get(&link).unwrap_or(&self.default_faults);
        if !self.is_open(from, to) || random.chance(faults.loss) {
            return Vec::new();
        }
        let copies = if random.chance(faults.duplication) { 2 } else { 1 };
        (0..copies).map(|_| self.arrival(now, link, &faults, random)).collect()
    }

    fn arrival(
        &mut self,
        now: Duration,
        link: Link,
        faults: &LinkFaults,
        random: &mut Randomness,
    ) -> Duration {
        let mut arrival = now + random.duration_between(faults.minimum_delay, faults.maximum_delay);
        if random.chance(faults.straggler) {
            arrival += random.duration_between(Duration::ZERO, faults.straggler_delay);
        }
        if faults.first_in_first_out {
            let last = self.last_arrival.entry(link).or_default();
            arrival = arrival.max(*last);
            *last = arrival;
        }
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ActorId = ActorId(0);
    const B: ActorId = ActorId(1);

    #[test]
    fn an_ordered_link_keeps_order_and_an_unordered_one_does_not() {
        let mut random = Randomness::new(1);
        for (ordered, expected) in [(true, true), (false, false)] {
            let faults = LinkFaults { first_in_first_out: ordered, ..LinkFaults::hostile() };
            let mut network = FaultNetwork::new(faults);
            let arrivals: Vec<Duration> = (0..200)
                .flat_map(|sent| network.route(Duration::from_micros(sent), (A, B), &mut random))
                .collect();
            assert_eq!(arrivals.is_sorted(), expected);
        }
    }

    #[test]
    fn loss_and_duplication_happen_at_their_rates() {
        let mut random = Randomness::new(2);
        let mut network =
            FaultNetwork::new(LinkFaults { loss: 100_000, duplication: 200_000, ..Default::default() });
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[network.route(Duration::ZERO, (A, B), &mut random).len()] += 1;
        }
        assert!((900..1_100).contains(&counts[0]), "{counts:?}");
        assert!((1_650..1_950).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn cuts_may_be_one_way_and_heal() {
        let mut random = Randomness::new(3);
        let mut network = FaultNetwork::default();
        network.cut(A, B);
        assert!(network.route(Duration::ZERO, (A, B), &mut random).is_empty());
        assert_eq!(network.route(Duration::ZERO, (B, A), &mut random).len(), 1);
        network.heal();
        network.partition(&[A], &[B]);
        assert!(!network.is_open(A, B) && !network.is_open(B, A));
        network.mend(A, B);
        assert!(network.is_open(A, B));
    }
}
