//! The driver of the guests, behind [`PartitionEngine`].

mod network;
mod scheduler;
mod slot;
mod storage;
mod terminal;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;

use varan_contract::engine::{
    AdapterChange, EngineError, EngineEvents, Generation, GuestFault, GuestSpecification, GuestStatistics,
    GuestTerminal, PartitionEngine, ProcessorAllocation, ServerConsole, StopRequest,
};
use varan_contract::network::{GuestNetwork, GuestPorts};
use varan_contract::storage::StorageFabric;
use varan_environment::{Environment, Monotonic};
use varan_model::ids::PartitionUuid;

use crate::guest::{Guest, GuestOptions, Input};
use crate::lock;
use crate::memory::{ArenaUsage, FrameArena, MemoryError};
use scheduler::{Entry, Shared};
use slot::{Mailbox, Posted, Slot};
use storage::GuestStorage;
use terminal::{Link, Terminal};

/// Threads for disk operations: enough that one slow disk does not hold up the site.
const DISK_THREADS: usize = 4;

/// Threads that ask Virtual I/O Servers: one that hangs takes one of them.
const STORAGE_THREADS: usize = 3;

/// Stack of a worker: guests' commands are shallow.
const STACK_BYTES: usize = 512 << 10;

/// Who runs the guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// As many threads as the host has cores.
    Cores,
    /// This many threads.
    Threads(NonZeroUsize),
    /// Nobody but the caller of [`EmbeddedEngine::step_until`]: single-threaded, in virtual time, with the same
    /// trace for the same seed.
    Stepped,
}

/// How an engine works.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Real durations (boot phases, shutdown, DLPAR) are divided by this; less than 1 counts as 1.
    pub time_scale: f64,
    /// Who runs the guests.
    pub workers: Workers,
}

impl Default for EngineOptions {
    /// Real time, a worker per core.
    fn default() -> Self {
        Self { time_scale: 1.0, workers: Workers::Cores }
    }
}

/// Bytes of real memory by part, over all powered-on guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidentReport {
    /// Powered-on guests.
    pub guests: u64,
    /// Page frames of guest memory.
    pub frame_bytes: u64,
    /// Page tables and dirty bitmaps.
    pub table_bytes: u64,
    /// Guest state: specification, configuration, session, workload.
    pub state_bytes: u64,
    /// Scrollback and unread output of terminals.
    pub terminal_bytes: u64,
    /// The engine's own book-keeping per guest.
    pub driver_bytes: u64,
}

impl ResidentReport {
    /// Sum of all parts.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.frame_bytes + self.table_bytes + self.state_bytes + self.terminal_bytes + self.driver_bytes
    }
}

/// The embedded partition engine. Dropping it ends its threads; guests' power is cut.
pub struct EmbeddedEngine {
    shared: Arc<Shared>,
    time_scale: f64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedEngine {
    /// An engine without guests, whose guests take their memory from `arena`; several engines may share one.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`] when the host gives no thread.
    pub fn new(
        options: EngineOptions,
        arena: FrameArena,
        environment: Arc<dyn Environment>,
        events: Arc<dyn EngineEvents>,
    ) -> Result<Self, EngineError> {
        let shared = Arc::new_cyclic(|shared| Shared::new(environment, events, arena, shared.clone()));
        let engine =
            Self { shared, time_scale: options.time_scale.max(1.0), threads: Mutex::new(Vec::new()) };
        let workers = match options.workers {
            Workers::Stepped => return Ok(engine),
            Workers::Threads(count) => count.get(),
            Workers::Cores => std::thread::available_parallelism().map_or(2, NonZeroUsize::get),
        };
        for number in 0..workers {
            engine.spawn(format!("guests-{number}"), Shared::work)?;
        }
        for number in 0..DISK_THREADS {
            engine.spawn(format!("boot-disks-{number}"), Shared::work_on_disks)?;
        }
        for number in 0..STORAGE_THREADS {
            engine.spawn(format!("storage-{number}"), |shared| shared.storage.work(shared))?;
        }
        Ok(engine)
    }

    /// Says how adapters of guests reach Virtual I/O Servers. Until then they find nobody.
    pub fn attach_storage(&self, fabric: Arc<dyn StorageFabric>) {
        self.shared.storage.attach(fabric);
    }

    /// Says who runs what users type on virtual terminals of Virtual I/O Servers.
    pub fn attach_console(&self, console: Arc<dyn ServerConsole>) {
        self.shared.storage.attach_console(console);
    }

    /// Says which network guests are plugged in to; to be called before the first guest is admitted. Without it guests have no
    /// network, and count as having a session with each console.
    pub fn attach_network(&self, network: Arc<dyn GuestNetwork>) {
        self.shared.network.attach(network);
    }

    /// The guests, for the network to reach them. Does not keep the engine alive.
    #[must_use]
    pub fn ports(&self) -> Arc<dyn GuestPorts> {
        Arc::new(network::Ports(Arc::downgrade(&self.shared)))
    }

    fn spawn(&self, name: String, life: fn(&Shared)) -> Result<(), EngineError> {
        let shared = Arc::clone(&self.shared);
        let builder = std::thread::Builder::new().name(name).stack_size(STACK_BYTES);
        let thread = builder.spawn(move || life(&shared));
        let thread = thread.map_err(|error| EngineError::NoRoom(error.to_string()))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// With [`Workers::Stepped`]: runs everything that is due up to `target` on the calling thread and moves
    /// the engine's time there. Does nothing useful with threads, which do the same on their own.
    pub fn step_until(&self, target: Monotonic) {
        self.shared.step_until(target);
    }

    /// Real memory by part. Visits every guest: for figures, not for answering requests.
    #[must_use]
    pub fn resident(&self) -> ResidentReport {
        let mut report = ResidentReport::default();
        for slot in self.shared.all_slots() {
            let guest = lock(&slot.guest);
            let Some(guest) = guest.as_ref() else {
                continue;
            };
            let memory = guest.memory_residency();
            report.guests += 1;
            report.frame_bytes += memory.frame_bytes;
            report.table_bytes += memory.table_bytes;
            report.state_bytes += guest.state_bytes();
            report.terminal_bytes += slot.terminal.bytes();
            // The guest's own value is a part of the slot and counted above.
            let own = (size_of::<Slot>() - size_of::<Guest>()) as u64;
            let entry = size_of::<(PartitionUuid, Entry)>() as u64;
            report.driver_bytes += own + entry + slot.mailbox_bytes();
        }
        report
    }

    /// What the arena of page frames holds, for all engines that share it.
    #[must_use]
    pub fn arena_usage(&self) -> ArenaUsage {
        self.shared.arena.usage()
    }

    /// Timers that exist now; an idle running guest has none.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.shared.timers()
    }

    /// When a guest wants to do something next.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        self.shared.next_timer()
    }

    /// Hands an input to a powered-on guest.
    fn request(&self, partition: PartitionUuid, input: Input) -> Result<(), EngineError> {
        let slot = self.shared.slot(partition).ok_or(EngineError::NotRunning(partition))?;
        match self.shared.post(&slot, self.shared.now(), input) {
            Posted::Schedule | Posted::Waiting => Ok(()),
            Posted::Ended => Err(EngineError::NotRunning(partition)),
            Posted::Full => Err(EngineError::NoRoom("too many requests wait for this partition".to_owned())),
        }
    }

    fn make_slot(
        &self,
        specification: GuestSpecification,
        terminal: Arc<Terminal>,
    ) -> Result<Arc<Slot>, EngineError> {
        let (partition, generation) = (specification.partition, specification.generation);
        let disk = specification.boot_disk.clone();
        let seed = self.shared.environment.random();
        let networked = self.shared.network.is_attached();
        let options = GuestOptions { time_scale: self.time_scale, seed, networked };
        let guest = Guest::new(specification, self.shared.arena.clone(), options).map_err(refusal)?;
        Ok(Arc::new(Slot {
            partition,
            generation,
            epoch: self.shared.epoch(),
            disk,
            mailbox: Mutex::new(Mailbox::default()),
            guest: Mutex::new(Some(guest)),
            terminal,
            storage: GuestStorage::default(),
        }))
    }
}

fn refusal(error: MemoryError) -> EngineError {
    EngineError::NoRoom(error.to_string())
}

impl Drop for EmbeddedEngine {
    fn drop(&mut self) {
        self.shared.power_loss();
        self.shared.shut_down();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A worker that panicked has already ended; there is nothing left to undo.
            let _ = thread.join();
        }
    }
}

impl PartitionEngine for EmbeddedEngine {
    fn admit(&self, specification: GuestSpecification) -> Result<(), EngineError> {
        let (partition, generation) = (specification.partition, specification.generation);
        let mut shard = lock(self.shared.shard(partition));
        if let Some(entry) = shard.get(&partition)
            && (entry.latest >= Some(generation) || entry.admits(generation))
        {
            return Ok(());
        }
        // A partition that the host has no room for leaves no entry.
        let terminal = shard.get(&partition).map(|entry| Arc::clone(&entry.terminal)).unwrap_or_default();
        let slot = self.make_slot(specification, Arc::clone(&terminal))?;
        let entry = shard.entry(partition).or_default();
        entry.terminal = terminal;
        entry.admitted = Some(slot);
        Ok(())
    }

    fn power_on(&self, partition: PartitionUuid, generation: Generation) -> Result<(), EngineError> {
        let mut shard = lock(self.shared.shard(partition));
        let Some(entry) = shard.get_mut(&partition) else { return Err(EngineError::NotRunning(partition)) };
        if entry.latest >= Some(generation) {
            return Ok(());
        }
        let admitted = entry.admitted.take_if(|slot| slot.generation == generation);
        let Some(slot) = admitted else { return Err(EngineError::NotRunning(partition)) };
        let (columns, rows) = slot.terminal.begin();
        entry.latest = Some(generation);
        let replaced = entry.slot.replace(Arc::clone(&slot));
        if let Some(replaced) = &replaced
            && replaced.cut_power()
        {
            // Its own predecessor is done, else it would not have begun a disk operation.
            entry.lingering = Some(Arc::clone(replaced));
        }
        // Two activations must never write the same disk at the same time.
        if let Some(lingering) = entry.lingering.take() {
            let mut before = lock(&lingering.mailbox);
            if before.disk_busy {
                lock(&slot.mailbox).held = true;
                before.successor = Some(Arc::clone(&slot));
                drop(before);
                entry.lingering = Some(lingering);
            }
        }
        drop(shard);
        if let Some(replaced) = replaced {
            self.shared.discard(&replaced);
        }
        self.shared.post(&slot, self.shared.now(), Input::TerminalSize { columns, rows });
        self.shared.post(&slot, self.shared.now(), Input::PowerOn);
        Ok(())
    }

    fn dismiss(&self, partition: PartitionUuid, generation: Generation) {
        let mut shard = lock(self.shared.shard(partition));
        if let Some(entry) = shard.get_mut(&partition) {
            entry.admitted.take_if(|slot| slot.generation == generation);
            if entry.is_blank() {
                shard.remove(&partition);
            }
        }
    }

    fn stop(&self, partition: PartitionUuid, request: StopRequest, restart: bool) -> Result<(), EngineError> {
        self.request(partition, Input::Stop { request, restart })
    }

    fn power_loss(&self) {
        self.shared.power_loss();
    }

    fn set_memory(&self, partition: PartitionUuid, megabytes: u64, token: u64) -> Result<(), EngineError> {
        self.request(partition, Input::SetMemory { megabytes, token })
    }

    fn set_processors(
        &self,
        partition: PartitionUuid,
        processors: ProcessorAllocation,
        token: u64,
    ) -> Result<(), EngineError> {
        self.request(partition, Input::SetProcessors { processors, token })
    }

    fn change_adapter(
        &self,
        partition: PartitionUuid,
        change: AdapterChange,
        token: u64,
    ) -> Result<(), EngineError> {
        self.request(partition, Input::ChangeAdapter { change, token })
    }

    fn open_terminal(&self, partition: PartitionUuid) -> Result<Box<dyn GuestTerminal>, EngineError> {
        let link = self.shared.terminal(partition).attach().ok_or(EngineError::TerminalBusy(partition))?;
        Ok(Box::new(AttachedTerminal { shared: Arc::downgrade(&self.shared), partition, link }))
    }

    fn close_terminal(&self, partition: PartitionUuid) -> bool {
        self.shared.present_terminal(partition).is_some_and(|terminal| terminal.close())
    }

    fn forget(&self, partition: PartitionUuid) {
        self.shared.forget(partition);
    }

    fn statistics(&self, partition: PartitionUuid) -> Result<GuestStatistics, EngineError> {
        let slot = self.shared.slot(partition).ok_or(EngineError::NotRunning(partition))?;
        let now = self.shared.now().monotonic;
        let guest = lock(&slot.guest);
        guest.as_ref().map(|guest| guest.statistics(now)).ok_or(EngineError::NotRunning(partition))
    }

    fn fault(&self, partition: PartitionUuid, fault: GuestFault) -> Result<(), EngineError> {
        self.request(partition, Input::Fault(fault))
    }
}

/// A terminal in somebody's hands. It keeps neither the engine nor a guest alive.
struct AttachedTerminal {
    shared: Weak<Shared>,
    partition: PartitionUuid,
    link: Arc<Link>,
}

impl AttachedTerminal {
    /// Hands an input to the guest that is powered on now, if there is one.
    fn post(&self, input: Input) {
        if let Some(shared) = self.shared.upgrade()
            && let Some(slot) = shared.slot(self.partition)
        {
            shared.post(&slot, shared.now(), input);
        }
    }
}

impl GuestTerminal for AttachedTerminal {
    fn read(&self, buffer: &mut Vec<u8>) -> bool {
        self.link.read(buffer)
    }

    fn write(&self, bytes: &[u8]) {
        if !self.link.is_closed() {
            self.post(Input::Typed(bytes.to_vec()));
        }
    }

    fn resize(&self, columns: u16, rows: u16) {
        let terminal = self.shared.upgrade().and_then(|shared| shared.present_terminal(self.partition));
        if !self.link.is_closed() && terminal.is_some_and(|terminal| terminal.resize((columns, rows))) {
            self.post(Input::TerminalSize { columns, rows });
        }
    }

    fn closer(&self) -> Box<dyn Fn() + Send + Sync> {
        let link = Arc::clone(&self.link);
        Box::new(move || link.close())
    }
}

impl Drop for AttachedTerminal {
    fn drop(&mut self) {
        self.link.close();
    }
}
