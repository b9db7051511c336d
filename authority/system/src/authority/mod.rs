//! The authority: one thread that owns the state of a managed system.
//!
//! ```text
//! requests ──┐                                    ┌─> engine
//! events   ──┼─> decide ─> admit ─> record ─> publish ─> act ─> answer ─> announce
//! timers   ──┘                (one transaction for all that wait)
//! ```
//!
//! What an engine reports is applied first, then every waiting request is decided against the result of the one before
//! it. All their changes are recorded in one transaction; if that fails, none of them happened. Answers go out after the
//! transaction and after the effects were started. An activation is admitted by the engine before it is recorded: what the
//! host cannot do is refused while nothing has changed.

mod adapters;
mod admission;
mod effects;
mod events;
mod firmware;
mod locks;
mod network;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use arc_swap::ArcSwap;
use varan_contract::engine::{EngineEvent, EngineEventKind, GuestFault, PartitionEngine, StopRequest};
use varan_contract::system::{
    CallError, RequestId, SystemEvent, SystemEventKind, SystemEvents, SystemReply, SystemRequest,
};
use varan_environment::{Environment, Monotonic};
use varan_model::codes::MessageKey;
use varan_model::ids::{PartitionId, PartitionUuid};
use varan_model::partition::{PartitionState, RmcState};
use varan_model::refusal::Refusal;
use varan_model::rules::firmware::FirmwarePlan;
use varan_model::system::SystemState;
use varan_task::{StepFailure, TaskId};

use self::admission::Admitted;
use self::locks::Asker;
use crate::claims::Claims;
use crate::decide::{self, AdapterPlan, Answer, Decision, DynamicPlan, Effect, Moment};
use crate::firmware::FirmwareTasks;
use crate::guest::{GuestSettings, specification};
use crate::inbox::{Inbox, Input, Request};
use crate::store::{Batch, REQUESTS_KEPT, Store};
use crate::world::{Change, Snapshot, World};

/// Where an answer goes.
pub type ReplySender = SyncSender<Result<SystemReply, CallError>>;

/// What happens when the real time of something is over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    RmcReaches(PartitionUuid, u64),
    RmcSilent(PartitionUuid, u64),
    SystemTransition { epoch: u64, restart: bool, standby: bool, to: u8 },
    WaitExpires(u64),
    AskAgain(u64),
    StopAgain(PartitionUuid, bool),
}

/// A change of an adapter that waits for a guest, and where its outcome goes.
struct PendingAdapter {
    plan: AdapterPlan,
    reply: Option<Asker>,
}

struct PendingDynamic {
    plan: DynamicPlan,
    reply: Option<Asker>,
}

/// Somebody who waits for a partition to be off.
struct StopWaiter {
    id: RequestId,
    /// Only the operating system can do it; another may have asked for a power off.
    by_system: bool,
    reply: ReplySender,
}

/// Who waits for the end of a guest that it crashed.
struct CrashWaiter {
    partition: PartitionUuid,
    generation: u64,
    reply: ReplySender,
}

/// Counters that tests look at: promises about work per command are shown by these, not by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Durable transactions.
    pub transactions: u64,
    /// Partition definitions written.
    pub definitions_written: u64,
    /// Requests decided.
    pub requests: u64,
}

/// The state machine and its surroundings. Driven by [`Authority::run`], or step by step in tests.
pub struct Authority {
    world: World,
    store: Store,
    engine: Arc<dyn PartitionEngine>,
    guests: GuestSettings,
    environment: Arc<dyn Environment>,
    published: Arc<ArcSwap<Snapshot>>,
    inbox: Arc<Inbox>,
    subscribers: Arc<std::sync::Mutex<Vec<Arc<dyn SystemEvents>>>>,
    time_scale: f64,
    carried_out: HashSet<RequestId>,
    carried_out_order: VecDeque<RequestId>,
    timers: BinaryHeap<Reverse<(Monotonic, u64, Timer)>>,
    timer_sequence: u64,
    transition_epoch: u64,
    /// System profile that is activated when the system has started.
    profile_next: Option<String>,
    generation: u64,
    token: u64,
    event_sequence: u64,
    /// Partitions that were made to stand still.
    silent: HashSet<PartitionUuid>,
    stop_waiters: BTreeMap<PartitionUuid, Vec<StopWaiter>>,
    crash_waiters: Vec<CrashWaiter>,
    dynamic: HashMap<u64, PendingDynamic>,
    firmware: FirmwareTasks,
    adapters: HashMap<u64, PendingAdapter>,
    events: Vec<SystemEventKind>,
    claims: Claims,
    counters: Counters,
    /// Sequence number of the newest entry of the error log that is on disk.
    errors_recorded: u64,
}

/// What an authority is made of.
pub struct Parts {
    /// State to begin with.
    pub world: World,
    /// Its database.
    pub store: Store,
    /// Updates of its firmware.
    pub firmware: FirmwareTasks,
    /// Requests that the database remembers.
    pub requests: Vec<RequestId>,
    /// Engine that runs the partitions.
    pub engine: Arc<dyn PartitionEngine>,
    /// What guests get from the site.
    pub guests: GuestSettings,
    /// Clock and randomness.
    pub environment: Arc<dyn Environment>,
    /// Real waits are divided by this.
    pub time_scale: f64,
    /// Where snapshots are published.
    pub published: Arc<ArcSwap<Snapshot>>,
    /// Where requests and events come in.
    pub inbox: Arc<Inbox>,
    /// Who hears of events.
    pub subscribers: Arc<std::sync::Mutex<Vec<Arc<dyn SystemEvents>>>>,
}

/// An accepted request of the batch at hand.
struct Accepted {
    reply: ReplySender,
    decision: Decision,
    id: RequestId,
    durable: bool,
    /// Guests that wait for the record to be powered on.
    admitted: Vec<Admitted>,
}

impl Authority {
    /// Makes an authority. Nothing starts until [`Authority::start_by_policy`] or a request.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let mut firmware = parts.firmware;
        firmware.scale(parts.time_scale);
        let generation = parts.environment.wall_clock().0.unsigned_abs() as u64;
        let errors_recorded = parts.world.snapshot.errors.latest();
        let busy = firmware.is_busy();
        let mut authority = Self {
            world: parts.world,
            store: parts.store,
            engine: parts.engine,
            guests: parts.guests,
            environment: parts.environment,
            published: parts.published,
            inbox: parts.inbox,
            subscribers: parts.subscribers,
            time_scale: parts.time_scale,
            carried_out: parts.requests.iter().copied().collect(),
            carried_out_order: parts.requests.into(),
            timers: BinaryHeap::new(),
            timer_sequence: 0,
            transition_epoch: 0,
            profile_next: None,
            generation,
            token: 0,
            event_sequence: 0,
            silent: HashSet::new(),
            stop_waiters: BTreeMap::new(),
            crash_waiters: Vec::new(),
            dynamic: HashMap::new(),
            firmware,
            adapters: HashMap::new(),
            events: Vec::new(),
            claims: Claims::default(),
            counters: Counters::default(),
            errors_recorded,
        };
        authority.lock_firmware(busy, None);
        authority
    }

    /// Runs until the inbox is closed.
    pub fn run(mut self) {
        loop {
            let deadline = self.next_wake();
            let now = self.environment.monotonic();
            let wait = deadline.map(|deadline| deadline.since(now));
            let Some(inputs) = self.inbox.wait(wait) else { return };
            self.step(inputs);
        }
    }

    /// When the next timer is due.
    #[must_use]
    pub fn next_wake(&self) -> Option<Monotonic> {
        let timer = self.timers.peek().map(|Reverse((at, _, _))| *at);
        let step = self.firmware.next_wake().map(Monotonic);
        timer.into_iter().chain(step).min()
    }

    /// Counters so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { transactions: self.store.transactions(), ..self.counters }
    }

    /// The state, for tests.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    fn moment(&mut self) -> Moment {
        self.generation += 1;
        self.token += 1;
        let random = u128::from(self.environment.random()) << 64 | u128::from(self.environment.random());
        Moment {
            wall_seconds: self.environment.wall_clock().seconds(),
            random,
            generation: self.generation,
            token: self.token,
        }
    }

    /// Handles everything that waits: events, timers, then requests.
    pub fn step(&mut self, inputs: Vec<Input>) {
        let mut requests = Vec::new();
        for input in inputs {
            match input {
                Input::Engine(event) => self.engine_event(&event),
                Input::Request { id, origin, request, reply } => requests.push((id, origin, request, reply)),
            }
        }
        self.run_timers();
        self.handle_requests(requests);
        self.drive_firmware();
        self.announce();
    }

    fn run_timers(&mut self) {
        let now = self.environment.monotonic();
        while let Some(Reverse((at, _, _))) = self.timers.peek() {
            if *at > now {
                break;
            }
            if let Some(Reverse((_, _, timer))) = self.timers.pop() {
                self.timer(&timer);
            }
        }
    }

    fn schedule(&mut self, real_seconds: u64, timer: Timer) {
        let scaled = Duration::from_secs_f64(real_seconds as f64 / self.time_scale.max(1.0));
        self.schedule_after(scaled, timer);
    }

    fn schedule_after(&mut self, wait: Duration, timer: Timer) {
        self.timer_sequence += 1;
        let at = self.environment.monotonic().after(wait);
        self.timers.push(Reverse((at, self.timer_sequence, timer)));
    }

    fn timer(&mut self, timer: &Timer) {
        match timer {
            Timer::RmcReaches(partition, generation) => self.rmc_reaches(*partition, *generation),
            Timer::RmcSilent(partition, generation) => self.rmc_silent(*partition, *generation),
            Timer::SystemTransition { epoch, to, restart, standby } if *epoch == self.transition_epoch => {
                let to = SystemState::ALL[usize::from(*to)];
                let moment = self.moment();
                let decision = decide::system_timer(&self.world, to, *restart, *standby, moment);
                self.report(decision);
            }
            Timer::SystemTransition { .. } => {}
            Timer::StopAgain(partition, restart) => {
                let (partition, restart) = (*partition, *restart);
                let going = self.world.by_uuid(partition);
                if going.is_some_and(|entry| entry.runtime.state == PartitionState::ShuttingDown) {
                    self.act(vec![Effect::Stop { partition, request: StopRequest::Delayed, restart }]);
                }
            }
            Timer::AskAgain(token) => {
                let request = self.dynamic.get(token).map(|pending| decide::request_of(&pending.plan));
                let adapter = self.adapters.get(token).map(|pending| decide::adapter_request(&pending.plan));
                self.act(request.into_iter().chain(adapter).collect());
            }
            Timer::WaitExpires(token) => {
                let dynamic = self.dynamic.get_mut(token);
                let dynamic = dynamic.map(|one| (&mut one.reply, one.plan.wait_minutes));
                let adapter = self.adapters.get_mut(token);
                let adapter = adapter.map(|one| (&mut one.reply, one.plan.wait_minutes));
                if let Some((reply, minutes)) = dynamic.or(adapter)
                    && let Some(asker) = reply.take()
                {
                    asker.expire(minutes);
                }
            }
        }
    }

    fn rmc_reaches(&mut self, partition: PartitionUuid, generation: u64) {
        let Some(entry) = self.world.by_uuid(partition) else { return };
        let reachable = entry.runtime.operating_system.as_ref().is_some_and(|system| {
            // Sessions that the guest reports say more than time that passed.
            system.address.is_some() && system.rmc_sessions.is_none()
        });
        if entry.runtime.generation == generation
            && entry.runtime.state == PartitionState::Running
            && reachable
            && !self.silent.contains(&partition)
        {
            let mut runtime = (*entry.runtime).clone();
            runtime.rmc = RmcState::Active;
            let id = entry.partition.id;
            self.report(Decision {
                changes: vec![Change::PutRuntime(id, Box::new(runtime))],
                ..Decision::default()
            });
        }
    }

    /// Carries out what follows from a report. If the definition cannot be recorded (a full disk), the runtime is still
    /// true; the definition is written with its next change.
    fn report(&mut self, decision: Decision) {
        let _ = self.carry_out(decision, &[]);
    }

    /// Records, publishes and acts on a decision that follows from a report; `requests` are done with it.
    fn carry_out(&mut self, decision: Decision, requests: &[RequestId]) -> Result<(), Refusal> {
        if decision.changes.is_empty() && decision.effects.is_empty() {
            return Ok(());
        }
        let before = self.world.snapshot.clone();
        let Decision { changes, effects, .. } = decision;
        let mut dirty = Dirty::default();
        self.apply(changes, &mut dirty);
        if let Err(error) = self.record(&dirty, requests) {
            // What the engine reports is true whether it can be recorded or not; only definitions go back.
            self.restore_definitions(&before, &dirty);
            self.act(effects);
            return Err(error);
        }
        requests.iter().for_each(|id| self.remember(*id));
        self.publish();
        self.act(effects);
        Ok(())
    }

    fn restore_definitions(&mut self, before: &Snapshot, dirty: &Dirty) {
        for id in &dirty.put {
            if let Some(entry) = before.partitions.get(id.0) {
                self.world.apply(Change::PutPartition(Box::new((*entry.partition).clone())));
            }
        }
        self.publish();
    }

    fn handle_requests(&mut self, requests: Vec<Request>) {
        if requests.is_empty() {
            return;
        }
        let before = self.world.snapshot.clone();
        let mut dirty = Dirty::default();
        let mut accepted: Vec<Accepted> = Vec::new();
        let mut refused: Vec<(ReplySender, Refusal)> = Vec::new();
        for (id, origin, request, reply) in requests {
            self.counters.requests += 1;
            let updates = matches!(request, SystemRequest::UpdateFirmware(_));
            if updates && self.repeated_update(id, &reply) {
                continue;
            }
            if !request.is_read() && self.carried_out.contains(&id) {
                let _ = reply.try_send(Ok(SystemReply::Done));
                continue;
            }
            let moment = self.moment();
            let decided = decide::decide_from(&self.world, origin.as_ref(), &request, moment);
            match decided
                .and_then(|decision| self.settle_claims(&request, decision))
                .and_then(|decision| self.accept(decision, &mut dirty))
            {
                Ok((decision, durable, admitted)) => {
                    // A second update of the same batch must not find the system idle.
                    if matches!(decision.answer, Answer::WhenFirmwareEnds(_)) {
                        self.lock_firmware(true, decide::holder(origin.as_ref()));
                    }
                    accepted.push(Accepted { reply, decision, id, durable, admitted });
                }
                Err(refusal) => {
                    self.activation_failed(&request, &refusal);
                    refused.push((reply, refusal));
                }
            }
        }
        self.finish_batch(&before, &dirty, accepted);
        // After the snapshot is published: a refused activation shows in the partition's state.
        for (reply, refusal) in refused {
            let _ = reply.try_send(Err(refusal.into()));
        }
    }

    /// Grants and ends claims; a change that states unique names without a claim on them is not made.
    fn settle_claims(&mut self, request: &SystemRequest, decision: Decision) -> Result<Decision, Refusal> {
        let now = self.environment.monotonic();
        let claim = match request {
            SystemRequest::Claim { claim, names, .. } => {
                self.claims.grant(*claim, names, now)?;
                return Ok(decision);
            }
            SystemRequest::ReleaseClaim { claim } => {
                self.claims.release(*claim);
                return Ok(decision);
            }
            SystemRequest::WithClaim { claim, .. } => Some(*claim),
            _ => None,
        };
        let names = decide::unique_names(&self.world, &decision.changes);
        if names.is_empty() || claim.is_some_and(|claim| self.claims.covers(claim, &names, now)) {
            return Ok(decision);
        }
        let subject = decide::subject(&self.world, request);
        let answer = Answer::With(SystemReply::ClaimNeeded { names, subject });
        Ok(Decision { answer, ..Decision::default() })
    }

    fn finish_batch(&mut self, before: &Snapshot, dirty: &Dirty, accepted: Vec<Accepted>) {
        let ids: Vec<RequestId> = accepted.iter().filter(|one| one.durable).map(|one| one.id).collect();
        if let Err(refusal) = self.record(dirty, &ids) {
            self.world.roll_back(before.clone());
            self.lock_firmware(self.firmware.is_busy(), None);
            self.events.clear();
            for one in accepted {
                self.dismiss(&one.admitted);
                let _ = one.reply.try_send(Err(refusal.clone().into()));
            }
            return;
        }
        for id in ids {
            self.remember(id);
        }
        self.publish();
        // Whoever caches what changed must know before the user who changed it asks again.
        self.announce();
        for one in accepted {
            self.answer(one);
        }
    }

    fn remember(&mut self, id: RequestId) {
        self.carried_out.insert(id);
        self.carried_out_order.push_back(id);
        while self.carried_out_order.len() > REQUESTS_KEPT {
            if let Some(oldest) = self.carried_out_order.pop_front() {
                self.carried_out.remove(&oldest);
            }
        }
    }

    fn answer(&mut self, one: Accepted) {
        let Accepted { reply, decision, id, .. } = one;
        // Waiters are in place before the effect, whose event may come at once.
        let answer = decision.answer;
        match answer {
            Answer::WhenStopped(partition) => {
                let by_system = |effect: &Effect| matches!(effect, Effect::Stop { request, .. } if is_by_system(*request));
                let by_system = decision.effects.iter().any(by_system);
                let waiter = StopWaiter { id, by_system, reply };
                self.stop_waiters.entry(partition).or_default().push(waiter);
                self.act(decision.effects);
                self.settle_stopped(partition);
            }
            Answer::WhenDynamicEnds(plan) => {
                let (token, minutes) = (plan.token, plan.wait_minutes);
                self.dynamic.insert(token, PendingDynamic { plan: *plan, reply: Some(Asker::new(reply)) });
                if minutes > 0 {
                    self.schedule_after(
                        Duration::from_secs(60 * u64::from(minutes)),
                        Timer::WaitExpires(token),
                    );
                }
                let effects =
                    decision.effects.into_iter().filter(|effect| !matches!(effect, Effect::Reserve(_, true)));
                self.act(effects.collect());
            }
            Answer::WhenAdapterChanged(plan) => {
                self.await_adapter(*plan, Some(Asker::new(reply)));
                self.act(decision.effects);
            }
            Answer::WhenTerminalClosed(partition) => {
                let closed = self.engine.close_terminal(partition);
                let _ = reply.try_send(Ok(SystemReply::TerminalClosed(closed)));
            }
            Answer::WhenBroken(partition, fault) => {
                let result = self.break_guest(partition, fault);
                if fault == GuestFault::Crash && result.is_ok() {
                    // Who asked sees what it asked for: the guest's end is on its way.
                    let generation =
                        self.world.by_uuid(partition).map_or(0, |entry| entry.runtime.generation);
                    self.crash_waiters.push(CrashWaiter { partition, generation, reply });
                    self.settle_crashed(partition);
                } else {
                    let _ = reply.try_send(result.map(|()| SystemReply::Done).map_err(Into::into));
                }
            }
            Answer::WhenDiskSwitched(partition, lost) => {
                let switched = self.guests.boot_disks.lose(partition, lost);
                let refused = |error| Refusal::new(MessageKey::FaultRefused).with(error).into();
                let _ = reply.try_send(switched.map(|()| SystemReply::Done).map_err(refused));
            }
            Answer::WhenUnlocked(number) => self.unlock(number, reply),
            Answer::WhenFirmwareEnds(plan) => self.begin_update(id, &plan, reply),
            Answer::With(answer) => {
                let _ = reply.try_send(Ok(answer));
            }
            Answer::Now => {
                self.act(decision.effects);
                let _ = reply.try_send(Ok(SystemReply::Done));
            }
        }
    }

    fn apply(&mut self, changes: Vec<Change>, dirty: &mut Dirty) {
        for change in changes {
            match &change {
                Change::PutPartition(partition) => {
                    dirty.removed.retain(|id| *id != partition.id);
                    dirty.put.insert(partition.id);
                    self.events.push(SystemEventKind::PartitionChanged(partition.id));
                }
                Change::RemovePartition(id) => {
                    dirty.put.remove(id);
                    dirty.removed.push(*id);
                    dirty.settings +=
                        usize::from(self.world.system().settings.indicators.partitions.contains(id));
                    self.events.push(SystemEventKind::PartitionRemoved(*id));
                }
                Change::PutSettings(_) => {
                    dirty.settings += 1;
                    self.events.push(SystemEventKind::SystemChanged);
                }
                Change::LogError(..) => {
                    dirty.settings += 1;
                    self.events.push(SystemEventKind::ErrorLogged(self.world.snapshot.errors.latest() + 1));
                }
                Change::PutRuntime(id, _) => self.events.push(SystemEventKind::PartitionState(*id)),
                Change::SystemState(state) => self.events.push(SystemEventKind::SystemState(*state)),
                Change::SystemReferenceCode(..) => {}
            }
            self.world.apply(change);
        }
    }

    fn record(&mut self, dirty: &Dirty, requests: &[RequestId]) -> Result<(), Refusal> {
        if dirty.settings == 0 && dirty.put.is_empty() && dirty.removed.is_empty() {
            return Ok(());
        }
        let snapshot = self.world.snapshot.clone();
        let put: Vec<_> = dirty
            .put
            .iter()
            .filter_map(|id| snapshot.partitions.get(id.0))
            .map(|entry| &*entry.partition)
            .collect();
        self.counters.definitions_written += put.len() as u64;
        let batch = Batch {
            settings: (dirty.settings > 0).then_some(&snapshot.system.settings),
            put,
            removed: dirty.removed.clone(),
            errors: snapshot.errors.after(self.errors_recorded).map(|entry| &**entry).collect(),
            requests: requests.to_vec(),
        };
        let written = self.store.write(&batch);
        written.map_err(|error| Refusal::new(MessageKey::RecordFailed).with(error))?;
        self.errors_recorded = snapshot.errors.latest();
        Ok(())
    }

    fn publish(&self) {
        self.published.store(Arc::new(self.world.snapshot.clone()));
    }

    fn announce(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let subscribers = self.subscribers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for kind in std::mem::take(&mut self.events) {
            self.event_sequence += 1;
            let event = SystemEvent { sequence: self.event_sequence, kind };
            for subscriber in &subscribers {
                subscriber.system_event(&event);
            }
        }
    }
}

fn is_by_system(request: StopRequest) -> bool {
    matches!(request, StopRequest::OperatingSystem | StopRequest::OperatingSystemImmediate)
}

/// What a batch has to record.
#[derive(Debug, Default)]
struct Dirty {
    put: std::collections::BTreeSet<PartitionId>,
    removed: Vec<PartitionId>,
    settings: usize,
}

impl Dirty {
    /// Adds what happened after it.
    fn merge(&mut self, other: &Self) {
        self.removed.retain(|id| !other.put.contains(id));
        self.put.retain(|id| !other.removed.contains(id));
        self.put.extend(&other.put);
        self.removed.extend(&other.removed);
        self.settings += other.settings;
    }
}
