//! The event loop: virtual time, actors, faults, invariants, trace.
//!
//! An actor's process:
//!
//! ```text
//!              Kill, PowerLoss                 Kill, PowerLoss
//!        +------------------------ Running <-----------------+
//!        v                         |     ^                   |
//!      Down ---- Restart ----------)-----+   Continue        |
//!        ^   (new incarnation)     |     |                   |
//!        |                         +-> Paused ---------------+
//!        +------- Kill, PowerLoss -------+
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::actor::{Actor, Effect, Input, Now, Outbox, SharedDisk, Start};
use crate::clock::VirtualClock;
use crate::disk::{DiskFaults, FaultDisk, PowerLoss};
use crate::fault::{Fault, FaultPlan};
use crate::network::{ActorId, FaultNetwork, LinkFaults};
use crate::random::Randomness;
use crate::run::SimulationFailure;
use crate::trace::{Line, Trace};

mod faults;

/// Events that may wait at the same time. More means that actors flood each other: a failure of the run.
pub const EVENT_LIMIT: usize = 1_000_000;

/// Messages that queue for a paused actor; further ones are dropped, as by a full socket buffer.
pub const PAUSED_QUEUE_LIMIT: usize = 10_000;

/// Messages to [`ActorId::OUTSIDE`] that are kept until taken; further ones push out the oldest.
pub const RECEIVED_LIMIT: usize = 100_000;

/// Sector size and number of sectors of the disk that an actor gets if the test gives none (4 MiB).
const DEFAULT_DISK: (usize, u64) = (512, 8_192);

/// Whether a process has an actor that gets time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Takes inputs.
    Running,
    /// Exists, but its inputs queue.
    Paused,
    /// Does not exist; messages to it are dropped, its disk stays.
    Down,
}

type EventKey = (Duration, u64);
type Factory<A> = Box<dyn FnMut(Start) -> A>;
type Invariant<A> = Box<dyn FnMut(&Simulation<A>) -> Result<(), String>>;

enum Event<M> {
    Deliver { from: ActorId, to: ActorId, body: M },
    Timer { actor: ActorId, token: u64 },
    Fault(Fault),
}

struct Process<A: Actor> {
    name: String,
    factory: Factory<A>,
    actor: Option<A>,
    state: ProcessState,
    disk: SharedDisk,
    clock: VirtualClock,
    random: Randomness,
    incarnation: u32,
    timers: BTreeMap<u64, EventKey>,
    queued: VecDeque<Input<A::Message>>,
    kill_in_next_call: bool,
}

/// One deterministic world. Everything in it follows from the seed and from what the test adds to it.
pub struct Simulation<A: Actor> {
    seed: u64,
    time: Duration,
    step: u64,
    sequence: u64,
    events: BTreeMap<EventKey, Event<A::Message>>,
    processes: Vec<Process<A>>,
    network: FaultNetwork,
    random: Randomness,
    fault_random: Randomness,
    plan: FaultPlan,
    trace: Trace,
    invariants: Vec<Invariant<A>>,
    received: VecDeque<(ActorId, A::Message)>,
}

impl<A: Actor> Simulation<A> {
    /// An empty world for `seed`: a healthy ordered network, no faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Randomness::new(seed);
        let fault_random = random.fork();
        Self {
            seed,
            time: Duration::ZERO,
            step: 0,
            sequence: 0,
            events: BTreeMap::new(),
            processes: Vec::new(),
            network: FaultNetwork::default(),
            random,
            fault_random,
            plan: FaultPlan::default(),
            trace: Trace::default(),
            invariants: Vec::new(),
            received: VecDeque::new(),
        }
    }

    /// Adds an actor with a disk of 4 MiB, and starts it. `factory` makes each incarnation.
    pub fn add(&mut self, name: &str, factory: impl FnMut(Start) -> A + 'static) -> ActorId {
        let random = self.random.fork();
        let disk = FaultDisk::new(DEFAULT_DISK.0, DEFAULT_DISK.1, random);
        self.add_with_disk(name, Arc::new(Mutex::new(disk)), factory)
    }

    /// Adds an actor with the given disk, and starts it.
    pub fn add_with_disk(
        &mut self,
        name: &str,
        disk: SharedDisk,
        factory: impl FnMut(Start) -> A + 'static,
    ) -> ActorId {
        let id = ActorId(u32::try_from(self.processes.len()).unwrap_or(u32::MAX - 1));
        self.processes.push(Process {
            name: name.to_owned(),
            factory: Box::new(factory),
            actor: None,
            state: ProcessState::Down,
            disk,
            clock: VirtualClock::default(),
            random: self.random.fork(),
            incarnation: 0,
            timers: BTreeMap::new(),
            queued: VecDeque::new(),
            kill_in_next_call: false,
        });
        self.restart(id);
        id
    }

    /// Adds a check that runs after each event and names what is wrong.
    pub fn check_invariants(&mut self, check: impl FnMut(&Self) -> Result<(), String> + 'static) {
        self.invariants.push(Box::new(check));
    }

    /// Sets which faults strike at random from now on.
    pub fn set_plan(&mut self, plan: FaultPlan) {
        self.plan = plan;
    }

    /// The network, to set its behaviour.
    pub fn network(&mut self) -> &mut FaultNetwork {
        &mut self.network
    }

    /// The seed of this world.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// True time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.time
    }

    /// Number of events so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// What happened so far.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// All actors, in the order in which they were added.
    #[must_use]
    pub fn actors(&self) -> Vec<ActorId> {
        (0..self.processes.len()).map(|index| ActorId(u32::try_from(index).unwrap_or(u32::MAX))).collect()
    }

    /// The actor's present incarnation; `None` while it is down.
    #[must_use]
    pub fn actor(&self, id: ActorId) -> Option<&A> {
        self.processes.get(id.0 as usize)?.actor.as_ref()
    }

    /// The name that the actor was added with.
    ///
    /// # Panics
    /// If there is no such actor.
    #[must_use]
    pub fn name(&self, id: ActorId) -> &str {
        &self.process(id).name
    }

    /// Whether the actor runs.
    ///
    /// # Panics
    /// If there is no such actor.
    #[must_use]
    pub fn state(&self, id: ActorId) -> ProcessState {
        self.process(id).state
    }

    /// The actor's disk.
    ///
    /// # Panics
    /// If there is no such actor.
    #[must_use]
    pub fn disk(&self, id: ActorId) -> SharedDisk {
        Arc::clone(&self.process(id).disk)
    }

    /// The actor's clock, moved on to the present.
    ///
    /// # Panics
    /// If there is no such actor.
    #[must_use]
    pub fn clock(&self, id: ActorId) -> VirtualClock {
        let clock = self.process(id).clock.clone();
        clock.advance_to(self.time);
        clock
    }

    /// Gives an actor a message from [`ActorId::OUTSIDE`]; it arrives with the next events of this time.
    pub fn inject(&mut self, to: ActorId, body: A::Message) {
        self.push(self.time, Event::Deliver { from: ActorId::OUTSIDE, to, body });
    }

    /// The messages that actors sent to [`ActorId::OUTSIDE`] since the last call, with their senders.
    pub fn take_received(&mut self) -> Vec<(ActorId, A::Message)> {
        self.received.drain(..).collect()
    }

    /// The messages that actors sent to [`ActorId::OUTSIDE`] and that were not taken yet.
    pub fn received(&self) -> impl Iterator<Item = &(ActorId, A::Message)> {
        self.received.iter()
    }

    /// Lets a fault strike when `after` has passed.
    pub fn schedule(&mut self, after: Duration, fault: Fault) {
        self.push(self.time + after, Event::Fault(fault));
    }

    /// Ends all trouble: no more random faults, a healthy network and healthy disks, everybody up. What is
    /// wrong after this and some time is a defect, not an outage.
    pub fn recover_all(&mut self) {
        self.plan = FaultPlan::default();
        self.network.set_default(LinkFaults::default());
        self.strike(&Fault::Heal);
        self.events.retain(|_, event| !matches!(event, Event::Fault(_)));
        for id in self.actors() {
            self.disk(id).lock().unwrap_or_else(PoisonError::into_inner).set_faults(DiskFaults::default());
            self.process_mut(id).kill_in_next_call = false;
            self.strike(&Fault::Continue(id));
            self.strike(&Fault::Restart(id));
        }
    }

    /// Handles the next event. `Ok(false)` means that nothing is left to happen.
    ///
    /// # Errors
    /// The first invariant that does not hold afterwards, or an event queue beyond [`EVENT_LIMIT`].
    pub fn step(&mut self) -> Result<bool, SimulationFailure> {
        if self.events.is_empty() {
            return Ok(false);
        }
        self.step += 1;
        self.strike_at_random();
        let Some(((time, _), event)) = self.events.pop_first() else { return Ok(false) };
        self.time = self.time.max(time);
        self.handle(event);
        if self.events.len() > EVENT_LIMIT {
            return Err(self.failure(format!("more than {EVENT_LIMIT} events wait")));
        }
        self.verify()?;
        Ok(true)
    }

    fn verify(&mut self) -> Result<(), SimulationFailure> {
        let mut invariants = std::mem::take(&mut self.invariants);
        let outcome = invariants.iter_mut().try_for_each(|check| check(self));
        self.invariants = invariants;
        outcome.map_err(|message| self.failure(message))
    }

    pub(crate) fn failure(&self, message: String) -> SimulationFailure {
        SimulationFailure::new(self.seed, self.step, self.time, message, &self.trace)
    }

    fn process(&self, id: ActorId) -> &Process<A> {
        &self.processes[id.0 as usize]
    }

    fn process_mut(&mut self, id: ActorId) -> &mut Process<A> {
        &mut self.processes[id.0 as usize]
    }

    fn push(&mut self, time: Duration, event: Event<A::Message>) -> EventKey {
        self.sequence += 1;
        let key = (time, self.sequence);
        self.events.insert(key, event);
        key
    }

    fn write(&mut self, kind: &'static str, actor: &dyn Display, other: &dyn Display, detail: &dyn Display) {
        self.trace.write(&Line { step: self.step, time: self.time, kind, actor, other, detail });
    }

    fn handle(&mut self, event: Event<A::Message>) {
        match event {
            Event::Fault(fault) => self.strike(&fault),
            Event::Deliver { from, to: ActorId::OUTSIDE, body } => {
                self.write("recv", &ActorId::OUTSIDE, &from, &format_args!("{body:?}"));
                if self.received.len() == RECEIVED_LIMIT {
                    self.received.pop_front();
                }
                self.received.push_back((from, body));
            }
            Event::Deliver { from, to, body } => {
                let known = (to.0 as usize) < self.processes.len();
                if known && self.network.is_open(from, to) && self.process(to).state != ProcessState::Down {
                    self.give(to, Input::Message { from, body });
                } else {
                    self.write("drop", &to, &from, &format_args!("{body:?}"));
                }
            }
            Event::Timer { actor, token } => self.give(actor, Input::Timer { token }),
        }
    }

    /// Hands an input to an actor that is up, or queues it if the actor is paused.
    fn give(&mut self, id: ActorId, input: Input<A::Message>) {
        if self.process(id).state == ProcessState::Paused {
            let full = self.process(id).queued.len() >= PAUSED_QUEUE_LIMIT;
            // Timers are bounded by the actor itself and are never lost.
            if full && let Input::Message { from, body } = &input {
                self.write("drop", &id, from, &format_args!("{body:?}"));
            } else {
                self.process_mut(id).queued.push_back(input);
            }
            return;
        }
        match &input {
            Input::Message { from, body } => self.write("recv", &id, from, &format_args!("{body:?}")),
            Input::Timer { token } => {
                self.process_mut(id).timers.remove(token);
                self.write("timer", &id, &"-", token);
            }
        }
        self.call(id, |actor, now, outbox| actor.apply(now, input, outbox));
    }

    /// Calls the actor and does what it asked for, unless its disk lost the power or it is to die now.
    fn call(&mut self, id: ActorId, call: impl FnOnce(&mut A, Now, &mut Outbox<A::Message>)) {
        let clock = self.clock(id);
        let now = Now { monotonic: clock.monotonic(), wall_clock: clock.wall_clock() };
        let process = self.process_mut(id);
        let Some(actor) = process.actor.as_mut() else { return };
        let mut outbox = Outbox { effects: Vec::new(), random: process.random.clone() };
        call(actor, now, &mut outbox);
        process.random = outbox.random;
        let powered = process.disk.lock().unwrap_or_else(PoisonError::into_inner).is_powered();
        if !powered {
            self.strike(&Fault::PowerLoss(id, PowerLoss::Random));
            // The cut was asked for by the test, which wants to see the recovery.
            self.push(self.time, Event::Fault(Fault::Restart(id)));
            return;
        }
        let mut effects = outbox.effects;
        let dies = std::mem::take(&mut self.process_mut(id).kill_in_next_call);
        if dies {
            let done = self.fault_random.between(0, effects.len() as u64);
            effects.truncate(usize::try_from(done).unwrap_or(0));
        }
        for effect in effects {
            self.perform(id, effect);
        }
        if dies {
            self.strike(&Fault::Kill(id));
        }
    }

    fn perform(&mut self, id: ActorId, effect: Effect<A::Message>) {
        match effect {
            Effect::Send { to, body } => self.send(id, to, &body),
            Effect::Arm { token, after } => {
                self.disarm(id, token);
                let due = self.time + self.clock(id).true_duration_of(after);
                let key = self.push(due, Event::Timer { actor: id, token });
                self.process_mut(id).timers.insert(token, key);
                self.write("arm", &id, &"-", &format_args!("{token} after {after:?}"));
            }
            Effect::Cancel { token } => {
                self.disarm(id, token);
                self.write("cancel", &id, &"-", &token);
            }
            Effect::Note(text) => self.write("note", &id, &"-", &text),
        }
    }

    fn send(&mut self, from: ActorId, to: ActorId, body: &A::Message) {
        let arrivals = self.network.route(self.time, (from, to), &mut self.random);
        let kind = if arrivals.is_empty() { "lost" } else { "send" };
        self.write(kind, &from, &to, &format_args!("{body:?}"));
        for arrival in arrivals {
            self.push(arrival, Event::Deliver { from, to, body: body.clone() });
        }
    }

    fn disarm(&mut self, id: ActorId, token: u64) {
        if let Some(key) = self.process_mut(id).timers.remove(&token) {
            self.events.remove(&key);
        }
    }
}
