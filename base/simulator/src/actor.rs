//! What runs in the simulation: single-owner state machines, and what they may ask for.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::VirtualClock;
use crate::disk::FaultDisk;
use crate::network::ActorId;
use crate::random::Randomness;

/// An actor's disk, which outlives the actor. The lock is never contended: the simulation has one thread.
pub type SharedDisk = Arc<Mutex<FaultDisk>>;

/// The time as the actor's own clock shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Never goes back; may run at another rate than true time.
    pub monotonic: Duration,
    /// Nanoseconds since 1970-01-01 00:00:00 UTC; may jump.
    pub wall_clock: i128,
}

/// Why an actor is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<M> {
    /// A message arrived.
    Message {
        /// Who sent it; [`ActorId::OUTSIDE`] for the test.
        from: ActorId,
        /// Its content.
        body: M,
    },
    /// A timer that this incarnation of the actor armed has run out.
    Timer {
        /// The token that the timer was armed with.
        token: u64,
    },
}

/// A single-owner state machine. It is called with one input at a time and keeps all its volatile state in
/// itself: a crash drops it, and a restart makes a new one from its disk.
pub trait Actor {
    /// What actors send each other. Its `Debug` form goes into the trace, so it must be deterministic (no
    /// hash maps, no addresses).
    type Message: Clone + Debug;

    /// Called once for each incarnation, before any input.
    fn start(&mut self, _now: Now, _outbox: &mut Outbox<Self::Message>) {}

    /// Takes one input. What is put into the outbox happens when this returns; if the actor's disk loses
    /// its power meanwhile, nothing of it happens.
    fn apply(&mut self, now: Now, input: Input<Self::Message>, outbox: &mut Outbox<Self::Message>);
}

impl<A: Actor + ?Sized> Actor for Box<A> {
    type Message = A::Message;

    fn start(&mut self, now: Now, outbox: &mut Outbox<Self::Message>) {
        (**self).start(now, outbox);
    }

    fn apply(&mut self, now: Now, input: Input<Self::Message>, outbox: &mut Outbox<Self::Message>) {
        (**self).apply(now, input, outbox);
    }
}

/// What an actor asks the world to do.
#[derive(Clone, Debug)]
pub(crate) enum Effect<M> {
    Send { to: ActorId, body: M },
    Arm { token: u64, after: Duration },
    Cancel { token: u64 },
    Note(String),
}

/// Where an actor puts its wishes, in the order in which they are to happen.
#[derive(Debug)]
pub struct Outbox<M> {
    pub(crate) effects: Vec<Effect<M>>,
    pub(crate) random: Randomness,
}

impl<M> Outbox<M> {
    /// Sends a message; the network may lose or delay it.
    pub fn send(&mut self, to: ActorId, body: M) {
        self.effects.push(Effect::Send { to, body });
    }

    /// Arms the timer `token` to run out when `after` has passed on the actor's own clock. An armed timer
    /// with the same token is replaced.
    pub fn arm(&mut self, token: u64, after: Duration) {
        self.effects.push(Effect::Arm { token, after });
    }

    /// Disarms a timer; does nothing if it is not armed.
    pub fn cancel(&mut self, token: u64) {
        self.effects.push(Effect::Cancel { token });
    }

    /// Writes a line into the trace.
    pub fn note(&mut self, text: impl Into<String>) {
        self.effects.push(Effect::Note(text.into()));
    }

    /// The actor's own random numbers.
    pub fn random(&mut self) -> &mut Randomness {
        &mut self.random
    }
}

/// What a new incarnation of an actor finds.
#[derive(Clone, Debug)]
pub struct Start {
    /// The actor's number.
    pub id: ActorId,
    /// 1 at first, one more after each restart.
    pub incarnation: u32,
    /// The disk with what earlier incarnations left on it.
    pub disk: SharedDisk,
    /// The machine's clock, for components that take a clock rather than a time.
    pub clock: VirtualClock,
    /// Randomness of this incarnation, for components that take a generator.
    pub random: Randomness,
}
