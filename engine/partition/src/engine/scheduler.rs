//! Runs guests: a ready queue, ordered timers and disk jobs, served by worker threads or by `step_until`.
//!
//! A guest is run by one thread at a time, so its events come in order. Work per event is a few map operations
//! of logarithmic cost, whatever the number of guests. Disk operations are done by threads of their own, so a
//! disk that hangs stops neither other guests nor its own guest's power off; no lock is held meanwhile.
//!
//! Lock order: shard, then mailbox. The queues' lock is never held together with another one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, Weak};

use varan_contract::engine::{EngineEvent, EngineEventKind, EngineEvents, Generation, GuestState};
use varan_environment::{Environment, Monotonic, WallClock};
use varan_model::ids::PartitionUuid;

use super::network::NetworkWork;
use super::slot::{Posted, Slot, TimerKey};
use super::storage::StorageWork;
use super::terminal::Terminal;
use crate::disk::{self, BootConfiguration, StorePosition};
use crate::guest::{Effect, Input, Moment, StorageAsker};
use crate::lock;
use crate::memory::FrameArena;
use crate::storage::Command;

/// Locks that partitions are spread over.
const SHARDS: usize = 64;

/// Inputs that one guest may take before the next one has its turn.
const INPUTS_PER_TURN: usize = 32;

/// Timers fired at once by one worker.
const TIMERS_PER_TURN: usize = 64;

/// One partition that was started here or whose terminal was opened.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) slot: Option<Arc<Slot>>,
    /// A guest that holds what it needs and waits to be powered on.
    pub(super) admitted: Option<Arc<Slot>>,
    /// Highest generation that was started.
    pub(super) latest: Option<Generation>,
    /// An ended guest whose disk operation may still be under way.
    pub(super) lingering: Option<Arc<Slot>>,
    /// The partition's virtual terminal, whether a guest is powered on or not.
    pub(super) terminal: Arc<Terminal>,
}

impl Entry {
    /// Whether an ended guest still works on the boot disk.
    fn is_lingering(&self) -> bool {
        self.lingering.as_ref().is_some_and(|slot| lock(&slot.mailbox).disk_busy)
    }

    /// Whether that activation waits to be powered on.
    pub(super) fn admits(&self, generation: Generation) -> bool {
        self.admitted.as_ref().is_some_and(|slot| slot.generation == generation)
    }

    /// Whether nothing is known of the partition.
    pub(super) fn is_blank(&self) -> bool {
        self.slot.is_none()
            && self.admitted.is_none()
            && self.latest.is_none()
            && self.lingering.is_none()
            && !self.terminal.is_open()
    }
}

#[derive(Default)]
struct Queues {
    ready: VecDeque<Arc<Slot>>,
    timers: BTreeMap<TimerKey, Weak<Slot>>,
    shutting_down: bool,
}

enum DiskWork {
    Load,
    Store { position: Option<StorePosition>, state: Box<BootConfiguration> },
}

#[derive(Default)]
struct DiskQueue {
    /// At most one per guest.
    jobs: VecDeque<(Arc<Slot>, DiskWork)>,
    shutting_down: bool,
}

/// Everything that the engine's threads share.
pub(super) struct Shared {
    pub(super) environment: Arc<dyn Environment>,
    pub(super) events: Arc<dyn EngineEvents>,
    pub(super) arena: FrameArena,
    shards: Vec<Mutex<HashMap<PartitionUuid, Entry>>>,
    hasher: RandomState,
    /// Rises with each power loss; events of guests of an earlier epoch are not told.
    power_epoch: RwLock<u64>,
    queues: Mutex<Queues>,
    work: Condvar,
    disk_queue: Mutex<DiskQueue>,
    disk_work: Condvar,
    pub(super) storage: StorageWork,
    pub(super) network: NetworkWork,
    /// For completions that outlive the call that began them.
    myself: Weak<Self>,
    timer_numbers: AtomicU64,
    /// Virtual time that `step_until` has reached.
    stepped: Mutex<Monotonic>,
}

impl Shared {
    pub(super) fn new(
        environment: Arc<dyn Environment>,
        events: Arc<dyn EngineEvents>,
        arena: FrameArena,
        myself: Weak<Self>,
    ) -> Self {
        Self {
            environment,
            events,
            arena,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            power_epoch: RwLock::new(0),
            queues: Mutex::default(),
            work: Condvar::new(),
            disk_queue: Mutex::default(),
            disk_work: Condvar::new(),
            storage: StorageWork::default(),
            network: NetworkWork::default(),
            myself,
            timer_numbers: AtomicU64::new(0),
            stepped: Mutex::new(Monotonic::default()),
        }
    }

    pub(super) fn shard(&self, partition: PartitionUuid) -> &Mutex<HashMap<PartitionUuid, Entry>> {
        &self.shards[self.hasher.hash_one(partition) as usize % SHARDS]
    }

    pub(super) fn slot(&self, partition: PartitionUuid) -> Option<Arc<Slot>> {
        lock(self.shard(partition)).get(&partition)?.slot.clone()
    }

    pub(super) fn all_slots(&self) -> Vec<Arc<Slot>> {
        self.shards
            .iter()
            .flat_map(|shard| lock(shard).values().filter_map(|entry| entry.slot.clone()).collect::<Vec<_>>())
            .collect()
    }

    pub(super) fn epoch(&self) -> u64 {
        *self.power_epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Present time; not before what `step_until` has reached.
    pub(super) fn now(&self) -> Moment {
        let monotonic = self.environment.monotonic();
        self.moment_at(monotonic.max(*lock(&self.stepped)))
    }

    fn moment_at(&self, monotonic: Monotonic) -> Moment {
        let (present, wall) = (self.environment.monotonic(), self.environment.wall_clock());
        let ahead = monotonic.0.as_nanos() as i128 - present.0.as_nanos() as i128;
        Moment { monotonic, wall: WallClock(wall.0 + ahead) }
    }

    /// Hands an input to a guest.
    pub(super) fn post(&self, slot: &Arc<Slot>, now: Moment, input: Input) -> Posted {
        let posted = slot.post(now, input);
        if posted == Posted::Schedule {
            self.make_ready(slot);
        }
        posted
    }

    fn make_ready(&self, slot: &Arc<Slot>) {
        lock(&self.queues).ready.push_back(Arc::clone(slot));
        self.work.notify_one();
    }

    /// A worker thread's life.
    pub(super) fn work(&self) {
        let mut queues = lock(&self.queues);
        while !queues.shutting_down {
            let now = self.environment.monotonic();
            let due = take_due(&mut queues, now);
            if !due.is_empty() {
                drop(queues);
                self.fire(due, now);
                queues = lock(&self.queues);
            } else if let Some(slot) = queues.ready.pop_front() {
                drop(queues);
                self.run(&slot);
                queues = lock(&self.queues);
            } else if let Some((&(first, _), _)) = queues.timers.first_key_value() {
                let waited = self.work.wait_timeout(queues, first.since(now));
                queues = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else {
                queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// A disk thread's life.
    pub(super) fn work_on_disks(&self) {
        let mut queue = lock(&self.disk_queue);
        while !queue.shutting_down {
            if let Some((slot, work)) = queue.jobs.pop_front() {
                drop(queue);
                self.do_disk_work(&slot, work);
                queue = lock(&self.disk_queue);
            } else {
                queue = self.disk_work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Makes every thread end after what it is doing.
    pub(super) fn shut_down(&self) {
        lock(&self.queues).shutting_down = true;
        self.work.notify_all();
        lock(&self.disk_queue).shutting_down = true;
        self.disk_work.notify_all();
        self.storage.shut_down();
    }

    /// Runs everything that is due up to `target` on the calling thread, in the order of time.
    pub(super) fn step_until(&self, target: Monotonic) {
        loop {
            let job = lock(&self.disk_queue).jobs.pop_front();
            if let Some((slot, work)) = job {
                self.do_disk_work(&slot, work);
                continue;
            }
            if self.storage.step(self) {
                continue;
            }
            let mut queues = lock(&self.queues);
            if let Some(slot) = queues.ready.pop_front() {
                drop(queues);
                self.run(&slot);
                continue;
            }
            let next = queues.timers.first_key_value().map(|(key, _)| key.0).filter(|next| *next <= target);
            let Some(next) = next else {
                break;
            };
            let due = take_due(&mut queues, next);
            drop(queues);
            let mut stepped = lock(&self.stepped);
            *stepped = next.max(*stepped);
            drop(stepped);
            self.fire(due, next);
        }
        let mut stepped = lock(&self.stepped);
        *stepped = target.max(*stepped);
    }

    fn fire(&self, due: Vec<(TimerKey, Arc<Slot>)>, now: Monotonic) {
        let now = self.moment_at(now);
        for (key, slot) in due {
            let mut mailbox = lock(&slot.mailbox);
            // Another key there means that the guest has asked for another time since.
            if mailbox.timer == Some(key) {
                mailbox.timer = None;
                drop(mailbox);
                self.post(&slot, now, Input::Wake);
            }
        }
    }

    fn run(&self, slot: &Arc<Slot>) {
        for _ in 0..INPUTS_PER_TURN {
            let Some((now, input)) = slot.next_input() else {
                return;
            };
            let mut guest = lock(&slot.guest);
            let Some(running) = guest.as_mut() else {
                continue;
            };
            let applied = catch_unwind(AssertUnwindSafe(|| (running.apply(now, input), running.next_wake())));
            // Requests to open devices, by far the most, need nothing of the guest.
            let asks = |effect: &Effect| matches!(effect, Effect::Storage(command) if !matches!(command, Command::Submit { .. }));
            let asker = applied.as_ref().ok().filter(|(effects, _)| effects.iter().any(asks));
            let asker = asker.map(|_| running.storage_asker());
            drop(guest);
            // A defect in one guest's program ends that guest, not the site.
            let (effects, wake) = applied.unwrap_or_else(|_| {
                let failed = Effect::Event(EngineEventKind::State(GuestState::Failed));
                (vec![failed, Effect::PowerOff], None)
            });
            self.carry_out(slot, effects, wake, asker.as_ref());
        }
        self.make_ready(slot);
    }

    fn carry_out(
        &self,
        slot: &Arc<Slot>,
        effects: Vec<Effect>,
        wake: Option<Monotonic>,
        asker: Option<&StorageAsker>,
    ) {
        if matches!(effects.last(), Some(Effect::PowerOff)) {
            // Before the event is told, so that whoever hears it may start the partition again.
            self.unregister(slot);
            self.network.power_off(slot.partition, slot.generation);
        } else {
            self.set_timer(slot, wake);
        }
        for effect in effects {
            match effect {
                Effect::Event(kind) => self.tell(slot, kind),
                Effect::Output(bytes) => slot.terminal.show(&bytes),
                Effect::LoadDisk => self.queue_disk_work(slot, DiskWork::Load),
                Effect::StoreDisk { position, state } => {
                    self.queue_disk_work(slot, DiskWork::Store { position, state });
                }
                Effect::Storage(command) => {
                    self.storage.carry_out(&self.myself, slot, asker, command);
                }
                Effect::Network(effect) => self.network.carry_out(self, slot, effect),
                Effect::Console { root, line } => self.storage.run_line(slot, root, line),
                Effect::PowerOff => self.discard(slot),
            }
        }
    }

    fn tell(&self, slot: &Slot, kind: EngineEventKind) {
        let epoch = self.power_epoch.read().unwrap_or_else(PoisonError::into_inner);
        if *epoch == slot.epoch {
            let (partition, generation) = (slot.partition, slot.generation);
            self.events.engine_event(EngineEvent { partition, generation, kind });
        }
    }

    fn set_timer(&self, slot: &Arc<Slot>, wake: Option<Monotonic>) {
        let mut mailbox = lock(&slot.mailbox);
        if mailbox.ended || mailbox.timer.map(|key| key.0) == wake {
            return;
        }
        let new = wake.map(|wake| (wake, self.timer_numbers.fetch_add(1, Ordering::Relaxed)));
        let old = std::mem::replace(&mut mailbox.timer, new);
        drop(mailbox);
        let mut queues = lock(&self.queues);
        if let Some(old) = old {
            queues.timers.remove(&old);
        }
        if let Some(new) = new {
            let first = queues.timers.first_key_value().is_none_or(|(key, _)| new < *key);
            queues.timers.insert(new, Arc::downgrade(slot));
            drop(queues);
            if first {
                self.work.notify_one();
            }
        }
    }

    fn queue_disk_work(&self, slot: &Arc<Slot>, work: DiskWork) {
        let mut mailbox = lock(&slot.mailbox);
        if mailbox.ended {
            return;
        }
        mailbox.disk_busy = true;
        drop(mailbox);
        lock(&self.disk_queue).jobs.push_back((Arc::clone(slot), work));
        self.disk_work.notify_one();
    }

    fn do_disk_work(&self, slot: &Arc<Slot>, work: DiskWork) {
        let ended = lock(&slot.mailbox).ended;
        let answer = slot.disk.as_ref().filter(|_| !ended).map(|boot_disk| match work {
            DiskWork::Load => Input::DiskLoaded(disk::load(&**boot_disk)),
            DiskWork::Store { position, state } => {
                Input::DiskStored(disk::store(&**boot_disk, position, &state))
            }
        });
        let mut mailbox = lock(&slot.mailbox);
        mailbox.disk_busy = false;
        // Somebody waits only for a guest that has ended, so no further operation can begin.
        let successor = mailbox.successor.take();
        drop(mailbox);
        if let Some(answer) = answer {
            self.post(slot, self.now(), answer);
        }
        if let Some(successor) = successor {
            self.release(&successor);
        }
    }

    /// A guest that waited for its predecessor's disk operation may run.
    fn release(&self, slot: &Arc<Slot>) {
        let mut mailbox = lock(&slot.mailbox);
        mailbox.held = false;
        let posted = Slot::wants_scheduling(&mut mailbox);
        drop(mailbox);
        if posted == Posted::Schedule {
            self.make_ready(slot);
        }
    }

    fn unregister(&self, slot: &Arc<Slot>) {
        let mut shard = lock(self.shard(slot.partition));
        let busy = slot.cut_power();
        if let Some(entry) = shard.get_mut(&slot.partition)
            && entry.slot.as_ref().is_some_and(|present| Arc::ptr_eq(present, slot))
        {
            entry.slot = None;
            if busy {
                entry.lingering = Some(Arc::clone(slot));
            }
        }
    }

    /// Frees what an ended guest holds.
    pub(super) fn discard(&self, slot: &Arc<Slot>) {
        let timer = lock(&slot.mailbox).timer.take();
        if let Some(timer) = timer {
            lock(&self.queues).timers.remove(&timer);
        }
        *lock(&slot.guest) = None;
        self.storage.release(slot);
        self.network.power_off(slot.partition, slot.generation);
    }

    /// The terminal of a partition; made when it is asked for the first time.
    pub(super) fn terminal(&self, partition: PartitionUuid) -> Arc<Terminal> {
        Arc::clone(&lock(self.shard(partition)).entry(partition).or_default().terminal)
    }

    /// The terminal of a partition, if it was made.
    pub(super) fn present_terminal(&self, partition: PartitionUuid) -> Option<Arc<Terminal>> {
        lock(self.shard(partition)).get(&partition).map(|entry| Arc::clone(&entry.terminal))
    }

    /// Closes the terminal of a partition that is gone, and drops its entry unless a guest still needs it.
    pub(super) fn forget(&self, partition: PartitionUuid) {
        let mut shard = lock(self.shard(partition));
        if let Some(entry) = shard.get(&partition) {
            entry.terminal.close();
            if entry.slot.is_none() && entry.admitted.is_none() && !entry.is_lingering() {
                shard.remove(&partition);
            }
        }
    }

    /// Cuts the power of every guest; no event of theirs is told after this returns.
    pub(super) fn power_loss(&self) {
        *self.power_epoch.write().unwrap_or_else(PoisonError::into_inner) += 1;
        for shard in &self.shards {
            let mut ended = Vec::new();
            lock(shard).retain(|_, entry| {
                entry.latest = None;
                entry.admitted = None;
                entry.terminal.close();
                if let Some(slot) = entry.slot.take() {
                    if slot.cut_power() {
                        entry.lingering = Some(Arc::clone(&slot));
                    }
                    ended.push(slot);
                }
                entry.is_lingering()
            });
            for slot in ended {
                self.discard(&slot);
            }
        }
    }

    /// The first timer.
    pub(super) fn next_timer(&self) -> Option<Monotonic> {
        lock(&self.queues).timers.first_key_value().map(|(key, _)| key.0)
    }

    /// Timers that exist now.
    pub(super) fn timers(&self) -> usize {
        lock(&self.queues).timers.len()
    }
}

fn take_due(queues: &mut Queues, now: Monotonic) -> Vec<(TimerKey, Arc<Slot>)> {
    let mut due = Vec::new();
    while due.len() < TIMERS_PER_TURN
        && let Some(first) = queues.timers.first_entry()
        && first.key().0 <= now
    {
        let (key, slot) = first.remove_entry();
        due.extend(slot.upgrade().map(|slot| (key, slot)));
    }
    due
}
