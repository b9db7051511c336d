//! What a console keeps of what happens on its systems: serviceable events, samples of utilization, changes of states and
//! configurations.
//!
//! ```text
//! events of a system ──> pending (what to ask about, no more than the partitions there are)
//!                              │  one thread, or a command that wants to be up to date
//!                              v
//!                  one request to the system ──> rows of the console's database
//! ```
//!
//! A system is handled by one thread at a time (`busy`); nothing waits for a system while it holds a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use varan_contract::system::{SystemEvent, SystemEventKind, SystemEvents, SystemReply, SystemRequest};
use varan_environment::Monotonic;
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::refusal::Refusal;
use varan_model::utilization::{PartitionUtilization, UtilizationReport};

use crate::console::Console;
use crate::service_events::{COMMENT_LENGTH_MAX, COMMENTS_MAX, ServiceComment, ServiceEvent};
use crate::store::Change;
use crate::systems::SystemConnection;
use crate::utilization::{
    Rank, SAMPLE_RATE_DEFAULT, SAMPLE_RATES, SystemUtilization, Totals, UtilizationEvent, UtilizationKind,
    UtilizationResource,
};

/// Longest sleep of the observing thread: so soon it sees that its console is gone.
const NAP: Duration = Duration::from_secs(1);
/// Wait before a system that could not be reached is asked again.
const RETRY: Duration = Duration::from_secs(5);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has to be asked of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pending {
    partitions: BTreeSet<PartitionId>,
    /// Events were lost: every partition may have changed.
    all: bool,
    system: bool,
    errors: bool,
}

impl Pending {
    const EVERYTHING: Self = Self { partitions: BTreeSet::new(), all: true, system: true, errors: true };

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn merge(&mut self, other: Self) {
        self.partitions.extend(other.partitions);
        self.all |= other.all;
        self.system |= other.system;
        self.errors |= other.errors;
    }
}

/// What is remembered of a system between two looks at it.
#[derive(Default)]
struct Memory {
    pending: Pending,
    busy: bool,
    sequence: u64,
    /// Sequence number of the newest entry of its error log that is recorded here.
    mark: u64,
    partitions: BTreeMap<u16, PartitionUtilization>,
    system: Option<SystemUtilization>,
    totals: Totals,
    sample_rate: u32,
    last_sample: Option<i64>,
    due: Option<Monotonic>,
    retry: Option<Monotonic>,
}

struct Shared {
    systems: Mutex<Vec<Memory>>,
    changed: Condvar,
}

/// Takes the events of one system.
struct Watch {
    index: usize,
    shared: Arc<Shared>,
}

impl SystemEvents for Watch {
    fn system_event(&self, event: &SystemEvent) {
        let mut systems = lock(&self.shared.systems);
        let memory = &mut systems[self.index];
        if memory.sequence.checked_add(1) != Some(event.sequence) {
            memory.pending = Pending::EVERYTHING;
        }
        memory.sequence = event.sequence;
        match &event.kind {
            SystemEventKind::PartitionChanged(id)
            | SystemEventKind::PartitionRemoved(id)
            | SystemEventKind::PartitionState(id) => {
                memory.pending.partitions.insert(*id);
            }
            SystemEventKind::ErrorLogged(_) => memory.pending.errors = true,
            SystemEventKind::SystemChanged => memory.pending.system = true,
            SystemEventKind::SystemState(_) => {
                memory.pending.system = true;
                memory.pending.all = true;
            }
        }
        self.shared.changed.notify_all();
    }
}

/// What a console has observed so far.
pub(crate) struct Observation(Arc<Shared>);

/// What the database holds of earlier observation, for each system in the console's order.
#[derive(Default)]
pub(crate) struct Earlier {
    pub mark: u64,
    pub sample_rate: Option<u32>,
    pub last_sample: Option<UtilizationEvent>,
}

impl Observation {
    pub fn new(earlier: Vec<Earlier>) -> Self {
        let memory = |earlier: Earlier| Memory {
            pending: Pending::EVERYTHING,
            mark: earlier.mark,
            sample_rate: earlier.sample_rate.unwrap_or(SAMPLE_RATE_DEFAULT),
            last_sample: earlier.last_sample.as_ref().map(|event| event.seconds),
            totals: earlier.last_sample.as_ref().map(Totals::resume).unwrap_or_default(),
            ..Memory::default()
        };
        let systems = Mutex::new(earlier.into_iter().map(memory).collect());
        Self(Arc::new(Shared { systems, changed: Condvar::new() }))
    }

    fn memory<T>(&self, index: usize, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        use_it(&mut lock(&self.0.systems)[index])
    }

    /// Takes what is pending of a system once nobody else handles it; the caller releases it again.
    fn begin(&self, index: usize) -> Pending {
        let mut systems = lock(&self.0.systems);
        while systems[index].busy {
            systems = self.0.changed.wait(systems).unwrap_or_else(PoisonError::into_inner);
        }
        systems[index].busy = true;
        std::mem::take(&mut systems[index].pending)
    }

    /// Ends what [`Observation::begin`] began; `left` is asked again later.
    fn end(&self, index: usize, left: Pending, now: Monotonic) {
        let mut systems = lock(&self.0.systems);
        let memory = &mut systems[index];
        memory.busy = false;
        memory.retry = (!left.is_empty()).then(|| now.after(RETRY));
        memory.pending.merge(left);
        self.0.changed.notify_all();
    }
}

impl Console {
    /// Begins to observe the systems, on a thread that ends when nobody has the console any more.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn observe(self: &Arc<Self>) -> std::io::Result<()> {
        let shared = self.observation.0.clone();
        for (index, system) in self.network().enumerate() {
            system.link.subscribe(Arc::new(Watch { index, shared: shared.clone() }));
        }
        let now = self.environment().wall_clock().seconds();
        let started = UtilizationEvent {
            seconds: now,
            time_cycles: 0,
            kind: UtilizationKind::StateChange,
            resources: vec![UtilizationResource::Console],
        };
        self.writer.note(Change::Utilization { system: String::new(), rank: None, event: Box::new(started) });
        let console = Arc::downgrade(self);
        std::thread::Builder::new()
            .name("console-observation".to_owned())
            .spawn(move || observe_until_gone(&console, &shared))
            .map(|_| ())
    }

    fn index_of(&self, system: &SystemConnection) -> usize {
        self.network().position(|one| one.identity() == system.identity()).unwrap_or(0)
    }

    /// Records what happened on a system up to now.
    ///
    /// # Errors
    /// [`MessageKey::RecordFailed`]. A system that cannot be reached is asked later; that is no error.
    pub fn catch_up(&self, system: &SystemConnection) -> Result<(), Refusal> {
        let index = self.index_of(system);
        // What a system shows may be newer than what it has announced.
        self.observation.memory(index, |memory| memory.pending.errors = true);
        self.attend(index, system)
    }

    fn attend(&self, index: usize, system: &SystemConnection) -> Result<(), Refusal> {
        let pending = self.observation.begin(index);
        let mut left = pending.clone();
        let result = self.handle(index, system, &mut left);
        self.observation.end(index, left, self.environment().monotonic());
        result
    }

    /// Handles what is pending; takes out of `pending` what is done.
    fn handle(&self, index: usize, system: &SystemConnection, pending: &mut Pending) -> Result<(), Refusal> {
        if pending.errors {
            if !self.gather_errors(index, system)? {
                return Ok(());
            }
            pending.errors = false;
        }
        if pending.all || pending.system || !pending.partitions.is_empty() {
            let ids = (!pending.all).then(|| pending.partitions.iter().copied().collect::<Vec<_>>());
            let Some(report) = self.report(system, ids) else { return Ok(()) };
            self.record_changes(index, system, &report, pending);
            *pending = Pending::default();
        }
        Ok(())
    }

    fn report(&self, system: &SystemConnection, ids: Option<Vec<PartitionId>>) -> Option<UtilizationReport> {
        match system.link.call(self.request_id(), SystemRequest::GetUtilization(ids)) {
            Ok(SystemReply::Utilization(report)) => Some(*report),
            _ => None,
        }
    }

    /// Makes serviceable events of what is new in a system's error log; false when it cannot be reached.
    fn gather_errors(&self, index: usize, system: &SystemConnection) -> Result<bool, Refusal> {
        let after = self.observation.memory(index, |memory| memory.mark);
        let answer = system.link.call(self.request_id(), SystemRequest::ListErrors { after });
        let Ok(SystemReply::Errors { mut entries, mut latest }) = answer else { return Ok(false) };
        // A log that is younger than what was read of it is another one: the system's data directory was replaced.
        let another = latest < after;
        if another {
            let answer = system.link.call(self.request_id(), SystemRequest::ListErrors { after: 0 });
            let Ok(SystemReply::Errors { entries: all, latest: newest }) = answer else { return Ok(false) };
            (entries, latest) = (all, newest);
        }
        if latest != after {
            let now = self.environment().wall_clock().seconds();
            let identity = system.identity().to_string();
            let name = self.describe(system).map(|system| system.settings.name.clone());
            let name = name.unwrap_or_else(|_| system.name().to_owned());
            let events = entries.iter().map(|entry| ServiceEvent::of(&identity, &name, entry, now)).collect();
            let change = Change::ServiceEvents { system: identity, events, mark: latest };
            self.durable(change)?;
            self.observation.memory(index, |memory| memory.mark = latest);
        }
        Ok(true)
    }

    /// Compares a report with what was known and records what differs.
    fn record_changes(
        &self,
        index: usize,
        system: &SystemConnection,
        report: &UtilizationReport,
        asked: &Pending,
    ) {
        let now_system = SystemUtilization::of(&report.system);
        let mut states = Vec::new();
        let mut configurations = Vec::new();
        self.observation.memory(index, |memory| {
            if let Some(before) = memory.system.replace(now_system.clone()) {
                if before.state != now_system.state {
                    states.push(UtilizationResource::System(now_system.clone()));
                }
                if (SystemUtilization { state: now_system.state, ..before }) != now_system {
                    configurations.push(UtilizationResource::System(now_system));
                }
            }
            // The first look at a system only says how things are.
            let first = asked.all && memory.partitions.is_empty();
            let mut gone: BTreeSet<u16> = if asked.all {
                memory.partitions.keys().copied().collect()
            } else {
                asked.partitions.iter().map(|id| id.0).collect()
            };
            for partition in &report.partitions {
                gone.remove(&partition.id.0);
                let before = memory.partitions.insert(partition.id.0, partition.clone());
                if first {
                    continue;
                }
                let one = || UtilizationResource::Partition(partition.clone());
                if before.as_ref().is_none_or(|before| before.state != partition.state) {
                    states.push(one());
                }
                if before.as_ref().is_none_or(|before| !before.same_configuration(partition)) {
                    configurations.push(one());
                }
            }
            for id in gone {
                memory.partitions.remove(&id);
            }
        });
        let seconds = self.environment().wall_clock().seconds();
        for (kind, resources) in
            [(UtilizationKind::StateChange, states), (UtilizationKind::ConfigurationChange, configurations)]
        {
            if !resources.is_empty() {
                let event = UtilizationEvent { seconds, time_cycles: report.time_cycles, kind, resources };
                let system = system.identity().to_string();
                self.writer.note(Change::Utilization { system, rank: None, event: Box::new(event) });
            }
        }
    }

    /// Takes a sample of a system: one request and one row.
    ///
    /// # Errors
    /// [`MessageKey::SystemNoConnection`], [`MessageKey::RecordFailed`].
    pub fn sample(&self, system: &SystemConnection) -> Result<(), Refusal> {
        let SystemReply::Utilization(report) = self.call(system, SystemRequest::GetUtilization(None))? else {
            return Err(Refusal::new(MessageKey::SystemNoConnection).with(system.name()));
        };
        let seconds = self.environment().wall_clock().seconds();
        let (event, rank) = self.observation.memory(self.index_of(system), |memory| {
            let rank = Rank::of(memory.last_sample.replace(seconds), seconds, month_number);
            (memory.totals.sample(seconds, &report), rank)
        });
        let system = system.identity().to_string();
        self.durable(Change::Utilization { system, rank: Some(rank), event: Box::new(event) })
    }

    /// Seconds between two samples of a system; 0 when none are taken.
    #[must_use]
    pub fn sample_rate(&self, system: &SystemConnection) -> u32 {
        self.observation.memory(self.index_of(system), |memory| memory.sample_rate)
    }

    /// Sets the seconds between two samples of a system, durably.
    ///
    /// # Errors
    /// Not one of [`SAMPLE_RATES`]; [`MessageKey::RecordFailed`].
    pub fn set_sample_rate(&self, system: &SystemConnection, seconds: u32) -> Result<(), Refusal> {
        if !SAMPLE_RATES.contains(&seconds) {
            let rates: Vec<String> = SAMPLE_RATES.iter().map(ToString::to_string).collect();
            let refusal = Refusal::new(MessageKey::AttributeValueInvalid).with("sample_rate").with(seconds);
            return Err(refusal.with(rates.join(", ")));
        }
        self.durable(Change::SampleRate { system: system.identity().to_string(), seconds })?;
        self.observation.memory(self.index_of(system), |memory| {
            memory.sample_rate = seconds;
            memory.due = None;
        });
        self.observation.0.changed.notify_all();
        Ok(())
    }

    /// Removes the utilization data of a system.
    ///
    /// # Errors
    /// [`MessageKey::RecordFailed`].
    pub fn remove_utilization(&self, system: &SystemConnection) -> Result<(), Refusal> {
        self.durable(Change::RemoveUtilization(system.identity().to_string()))?;
        self.observation.memory(self.index_of(system), |memory| memory.last_sample = None);
        Ok(())
    }

    /// Shows the utilization data of a system and of the console to `visit`, newest first, until it says false. Samples
    /// below `rank` are left out. It runs on the database's thread.
    ///
    /// # Errors
    /// [`MessageKey::UtilizationUnreadable`].
    pub fn utilization<Found: Send + 'static>(
        &self,
        system: &SystemConnection,
        (from, to): (i64, i64),
        rank: Rank,
        found: Found,
        visit: impl FnMut(&mut Found, UtilizationEvent) -> bool + Send + 'static,
    ) -> Result<Found, Refusal> {
        let identity = system.identity().to_string();
        let read =
            self.writer.read(move |store| store.utilization(&identity, (from, to), rank, found, visit));
        read.map_err(|error| Refusal::new(MessageKey::UtilizationUnreadable).with(error))
    }

    /// The serviceable events, newest first.
    ///
    /// # Errors
    /// [`MessageKey::EventsUnreadable`].
    pub fn service_events(&self) -> Result<Vec<ServiceEvent>, Refusal> {
        let read = self.writer.read(crate::store::Store::service_events);
        read.map_err(|error| Refusal::new(MessageKey::EventsUnreadable).with(error))
    }

    fn service_event(&self, problem: i64) -> Result<ServiceEvent, Refusal> {
        let event = self.service_events()?.into_iter().find(|event| event.problem == problem);
        event.ok_or_else(|| Refusal::new(MessageKey::ProblemNotFound).with(problem))
    }

    /// Closes a serviceable event, with a comment where there is one to make.
    ///
    /// # Errors
    /// No such event, closed already, a comment that is too long, too many comments.
    pub fn close_service_event(
        &self,
        problem: i64,
        commenter: &str,
        comment: Option<&str>,
    ) -> Result<(), Refusal> {
        let _changing = self.changing_users.lock().unwrap_or_else(PoisonError::into_inner);
        let mut event = self.service_event(problem)?;
        if !event.open {
            return Err(Refusal::new(MessageKey::ProblemClosed).with(problem));
        }
        event.open = false;
        if let Some(text) = comment {
            check_text("comment", text)?;
            if event.comments.len() >= COMMENTS_MAX {
                return Err(Refusal::new(MessageKey::AccessLimit)
                    .with(COMMENTS_MAX)
                    .with("comments of an event"));
            }
            let seconds = self.environment().wall_clock().seconds();
            let (commenter, text) = (commenter.to_owned(), text.to_owned());
            event.comments.push(ServiceComment { seconds, commenter, text });
        }
        self.durable(Change::PutServiceEvent(Box::new(event)))
    }

    /// Makes a serviceable event of what somebody reports.
    ///
    /// # Errors
    /// A description that is too long; [`MessageKey::RecordFailed`].
    pub fn report_problem(&self, system: &SystemConnection, text: &str) -> Result<(), Refusal> {
        check_text("description", text)?;
        let now = self.environment().wall_clock().seconds();
        let name = self.describe(system)?.settings.name.clone();
        let event = ServiceEvent {
            problem: 0,
            open: true,
            system: system.identity().to_string(),
            system_name: name,
            reference_code: USER_REPORTED.to_owned(),
            text: text.to_owned(),
            partition: None,
            part: None,
            first_seconds: now,
            last_seconds: now,
            created_seconds: now,
            duplicates: 0,
            comments: Vec::new(),
        };
        self.durable(Change::PutServiceEvent(Box::new(event)))
    }
}

/// Reference code of an event that a person made.
const USER_REPORTED: &str = "#03330000";

fn check_text(what: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() > COMMENT_LENGTH_MAX || text.chars().any(char::is_control) {
        let refusal = Refusal::new(MessageKey::AttributeValueInvalid).with(what).with(text);
        return Err(refusal.with(format!("at most {COMMENT_LENGTH_MAX} printable characters")));
    }
    Ok(())
}

/// Numbers months: 0 for January 1970. From days by the civil calendar's 400-year cycle.
fn month_number(seconds: i64) -> i64 {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year_of_era - 1970) * 12 + month_from_march + 2
}

fn observe_until_gone(console: &Weak<Console>, shared: &Shared) {
    loop {
        let Some(present) = console.upgrade() else { return };
        let wait = round(&present);
        drop(present);
        let systems = lock(&shared.systems);
        let idle =
            systems.iter().all(|memory| memory.busy || memory.pending.is_empty() || memory.retry.is_some());
        if idle {
            // Woken by an event, or when the next sample is due.
            drop(shared.changed.wait_timeout(systems, wait).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Handles what is pending and samples what is due; returns how long nothing will be.
fn round(console: &Console) -> Duration {
    let mut wait = NAP;
    for (index, system) in console.network().enumerate() {
        let now = console.environment().monotonic();
        let (pending, due) = console.observation.memory(index, |memory| {
            if memory.retry.is_some_and(|at| at <= now) {
                memory.retry = None;
            }
            let every = Duration::from_secs(u64::from(memory.sample_rate));
            let next = match memory.due {
                _ if memory.sample_rate == 0 => None,
                None => {
                    memory.due = Some(now.after(every));
                    Some(false)
                }
                Some(at) if at <= now => {
                    memory.due = Some(now.after(every));
                    Some(true)
                }
                Some(_) => Some(false),
            };
            if let Some(at) = memory.due.filter(|_| memory.sample_rate > 0) {
                wait = wait.min(at.since(now));
            }
            (!memory.busy && !memory.pending.is_empty() && memory.retry.is_none(), next == Some(true))
        });
        if pending {
            // What cannot be recorded now stays pending.
            let _ = console.attend(index, system);
        }
        if due {
            let _ = console.sample(system);
        }
    }
    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_numbered() {
        for (seconds, month) in [
            (0, 0),
            (31 * 86_400 - 1, 0),
            (31 * 86_400, 1),
            (59 * 86_400, 2),
            (365 * 86_400, 12),
            (951_782_400, 361),
            (951_868_800, 362),
            (-1, -1),
        ] {
            assert_eq!(month_number(seconds), month, "{seconds}");
        }
    }
}
