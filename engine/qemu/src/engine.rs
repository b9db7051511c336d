//! The engine: which partitions have a guest, and who drives it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;

use varan_contract::engine::{
    AdapterChange, AdoptedGuest, EngineError, EngineEvent, EngineEventKind, EngineEvents, Generation,
    GuestSpecification, GuestState, GuestStatistics, GuestTerminal, PartitionEngine, ProcessorAllocation,
    StopRequest,
};
use varan_environment::Environment;
use varan_model::ids::PartitionUuid;

use crate::command_line::{arguments, kernel_boot};
use crate::directory::{GuestDirectory, GuestRecord};
use crate::driver::{self, Beginning};
use crate::guest::{Guest, Request};
use crate::host::{self, Qemu};
use crate::lock;
use crate::terminal::{Link, Terminal};

/// Stack of a guest's thread.
const STACK_BYTES: usize = 256 << 10;
/// What a dynamic change is answered with.
const NOT_DYNAMIC: &str =
    "The memory, processors and adapters of a partition on QEMU cannot be changed while it runs.";

/// How the engine works.
#[derive(Clone, Debug)]
pub struct QemuOptions {
    /// Directory for the guests' processes; made when the first guest starts.
    pub directory: PathBuf,
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: PathBuf,
}

/// An activation that is checked and waits to be powered on.
struct Admitted {
    record: GuestRecord,
    qemu: Arc<Qemu>,
    arguments: Vec<String>,
}

/// What is known of a partition that has run here.
#[derive(Default)]
struct Slot {
    latest: Option<Generation>,
    admitted: Option<Admitted>,
    guest: Option<Arc<Guest>>,
    terminal: Arc<Terminal>,
    /// Threads of its guests, the ended ones too until the next start.
    threads: Vec<JoinHandle<()>>,
}

/// What the engine and the drivers share.
pub(crate) struct Shared {
    pub(crate) environment: Arc<dyn Environment>,
    events: Arc<dyn EngineEvents>,
    options: QemuOptions,
    qemu: Mutex<Option<Arc<Qemu>>>,
    slots: Mutex<HashMap<PartitionUuid, Slot>>,
}

impl Shared {
    /// The QEMU of this host. One that is missing is looked for again each time, so that it can be installed meanwhile.
    fn qemu(&self) -> Result<Arc<Qemu>, EngineError> {
        let mut known = lock(&self.qemu);
        if let Some(qemu) = known.as_ref() {
            return Ok(Arc::clone(qemu));
        }
        let found = Arc::new(host::find(&self.options.program).map_err(EngineError::CannotStart)?);
        *known = Some(Arc::clone(&found));
        Ok(found)
    }

    pub(crate) fn report(&self, guest: &Guest, state: GuestState) {
        self.send(guest, EngineEventKind::State(state));
    }

    fn send(&self, guest: &Guest, kind: EngineEventKind) {
        let GuestRecord { partition, generation, .. } = guest.record;
        self.events.engine_event(EngineEvent { partition, generation, kind });
    }

    pub(crate) fn not_heard(&self, guest: &Guest, request: StopRequest) {
        self.send(guest, EngineEventKind::StopNotHeard(request));
    }

    /// The guest is gone. Its partition keeps the terminal.
    pub(crate) fn remove(&self, guest: &Arc<Guest>) {
        let mut slots = lock(&self.slots);
        let Some(slot) = slots.get_mut(&guest.record.partition) else { return };
        if slot.guest.as_ref().is_some_and(|present| Arc::ptr_eq(present, guest)) {
            slot.guest = None;
        }
    }

    fn guest(&self, partition: PartitionUuid) -> Result<Arc<Guest>, EngineError> {
        let slots = lock(&self.slots);
        let guest = slots.get(&partition).and_then(|slot| slot.guest.clone());
        guest.ok_or(EngineError::NotRunning(partition))
    }
}

/// Partitions on QEMU. Dropping the engine leaves the guests running.
pub struct QemuEngine {
    shared: Arc<Shared>,
}

impl QemuEngine {
    /// Makes an engine. QEMU is looked for when the first guest starts.
    #[must_use]
    pub fn new(
        options: QemuOptions,
        environment: Arc<dyn Environment>,
        events: Arc<dyn EngineEvents>,
    ) -> Self {
        let (qemu, slots) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { environment, events, options, qemu, slots }) }
    }

    /// Guests that have a process or are getting one.
    #[must_use]
    pub fn guests(&self) -> usize {
        lock(&self.shared.slots).values().filter(|slot| slot.guest.is_some()).count()
    }

    /// Puts a guest into its slot and starts its driver.
    fn drive(
        &self,
        slot: &mut Slot,
        record: GuestRecord,
        directory: GuestDirectory,
        beginning: Beginning,
    ) -> Result<(), EngineError> {
        let fail = |error: std::io::Error| EngineError::CannotStart(error.to_string());
        let generation = record.generation;
        let name = format!("qemu {}", record.partition);
        let guest = Arc::new(Guest::new(record, Arc::clone(&slot.terminal)).map_err(fail)?);
        let (shared, driven) = (Arc::clone(&self.shared), Arc::clone(&guest));
        let thread = std::thread::Builder::new()
            .name(name)
            .stack_size(STACK_BYTES)
            .spawn(move || driver::run(&shared, &driven, &directory, beginning))
            .map_err(fail)?;
        slot.threads.retain(|thread| !thread.is_finished());
        slot.threads.push(thread);
        slot.latest = Some(generation);
        slot.terminal.begin();
        if let Some(before) = slot.guest.replace(guest) {
            before.request(Request::Replace)?;
        }
        Ok(())
    }

    /// Passes a request to every guest and waits for the drivers to end.
    fn end_drivers(&self, request: Request) {
        let threads: Vec<JoinHandle<()>> = {
            let mut slots = lock(&self.shared.slots);
            for guest in slots.values_mut().filter_map(|slot| slot.guest.take()) {
                // Requests of this kind are never refused.
                let _ = guest.request(request);
            }
            slots.values_mut().flat_map(|slot| std::mem::take(&mut slot.threads)).collect()
        };
        for thread in threads {
            // A driver that panicked has ended already.
            let _ = thread.join();
        }
        for slot in lock(&self.shared.slots).values_mut() {
            slot.admitted = None;
            slot.terminal.retire();
        }
    }
}

impl Drop for QemuEngine {
    fn drop(&mut self) {
        self.end_drivers(Request::Leave);
    }
}

/// A file that the guest boots from must be there now: what QEMU says about it comes too late for who asks.
fn check_file(what: &str, path: Option<&String>) -> Result<(), EngineError> {
    let Some(path) = path else { return Ok(()) };
    let opened = std::fs::File::open(path).and_then(|file| file.metadata());
    match opened {
        Ok(about) if about.is_file() => Ok(()),
        Ok(_) => Err(EngineError::CannotStart(format!("{what} {path} is not a file"))),
        Err(error) => Err(EngineError::CannotStart(format!("{what} {path}: {error}"))),
    }
}

impl PartitionEngine for QemuEngine {
    fn admit(&self, specification: GuestSpecification) -> Result<(), EngineError> {
        let (partition, generation) = (specification.partition, specification.generation);
        if lock(&self.shared.slots).get(&partition).is_some_and(|slot| slot.latest >= Some(generation)) {
            return Ok(());
        }
        let boot = kernel_boot(&specification)?;
        check_file("kernel", boot.kernel.as_ref())?;
        check_file("initial RAM disk", boot.initial_ramdisk.as_ref())?;
        let qemu = self.shared.qemu()?;
        let arguments = arguments(&specification, qemu.sandbox)?;
        let record = GuestRecord {
            partition,
            generation,
            memory_megabytes: specification.memory_megabytes,
            processors: specification.processors,
            state: GuestState::Starting,
        };
        let mut slots = lock(&self.shared.slots);
        slots.entry(partition).or_default().admitted = Some(Admitted { record, qemu, arguments });
        Ok(())
    }

    fn power_on(&self, partition: PartitionUuid, generation: Generation) -> Result<(), EngineError> {
        let mut slots = lock(&self.shared.slots);
        let slot = slots.get_mut(&partition).ok_or(EngineError::NotRunning(partition))?;
        if slot.latest >= Some(generation) {
            return Ok(());
        }
        let admitted = slot.admitted.take_if(|admitted| admitted.record.generation == generation);
        let Admitted { record, qemu, arguments } = admitted.ok_or(EngineError::NotRunning(partition))?;
        let started = GuestDirectory::make(&self.shared.options.directory, partition)
            .map_err(|error| EngineError::CannotStart(error.to_string()))
            .and_then(|directory| self.drive(slot, record, directory, Beginning::Start { qemu, arguments }));
        started.map_err(|error| {
            // The host took away what was there at the admission; the partition is off.
            eprintln!("varan: partition {partition}: {error}");
            EngineError::NotRunning(partition)
        })
    }

    fn dismiss(&self, partition: PartitionUuid, generation: Generation) {
        if let Some(slot) = lock(&self.shared.slots).get_mut(&partition) {
            slot.admitted.take_if(|admitted| admitted.record.generation == generation);
        }
    }

    fn stop(&self, partition: PartitionUuid, request: StopRequest, restart: bool) -> Result<(), EngineError> {
        self.shared.guest(partition)?.request(Request::Stop { request, restart })
    }

    fn power_loss(&self) {
        self.end_drivers(Request::PowerLoss);
    }

    fn detach(&self) {
        self.end_drivers(Request::Leave);
    }

    fn adopt(&self) -> Vec<AdoptedGuest> {
        let mut adopted = Vec::new();
        for directory in GuestDirectory::all(&self.shared.options.directory) {
            match directory.try_lock() {
                // Nobody runs here any more.
                Ok(Some(_lock)) => directory.clear(),
                Ok(None) => match self.adopt_one(&directory) {
                    Ok(guest) => adopted.push(guest),
                    Err(error) => eprintln!("varan: {}: {error}", directory.path().display()),
                },
                Err(error) => eprintln!("varan: {}: {error}", directory.path().display()),
            }
        }
        adopted
    }

    fn set_memory(&self, partition: PartitionUuid, _: u64, token: u64) -> Result<(), EngineError> {
        let guest = self.shared.guest(partition)?;
        let (megabytes, details) = (guest.record.memory_megabytes, vec![NOT_DYNAMIC.to_owned()]);
        self.shared.send(&guest, EngineEventKind::MemorySet { token, megabytes, details });
        Ok(())
    }

    fn set_processors(
        &self,
        partition: PartitionUuid,
        _: ProcessorAllocation,
        token: u64,
    ) -> Result<(), EngineError> {
        let guest = self.shared.guest(partition)?;
        let (processors, details) = (guest.record.processors, vec![NOT_DYNAMIC.to_owned()]);
        self.shared.send(&guest, EngineEventKind::ProcessorsSet { token, processors, details });
        Ok(())
    }

    fn change_adapter(
        &self,
        partition: PartitionUuid,
        _: AdapterChange,
        token: u64,
    ) -> Result<(), EngineError> {
        let guest = self.shared.guest(partition)?;
        let details = vec![NOT_DYNAMIC.to_owned()];
        self.shared.send(&guest, EngineEventKind::AdapterChanged { token, done: false, details });
        Ok(())
    }

    fn open_terminal(&self, partition: PartitionUuid) -> Result<Box<dyn GuestTerminal>, EngineError> {
        let terminal = Arc::clone(&lock(&self.shared.slots).entry(partition).or_default().terminal);
        let link = terminal.attach().ok_or(EngineError::TerminalBusy(partition))?;
        Ok(Box::new(AttachedTerminal { shared: Arc::downgrade(&self.shared), partition, link }))
    }

    fn close_terminal(&self, partition: PartitionUuid) -> bool {
        let terminal = lock(&self.shared.slots).get(&partition).map(|slot| Arc::clone(&slot.terminal));
        terminal.is_some_and(|terminal| terminal.close())
    }

    fn forget(&self, partition: PartitionUuid) {
        let mut slots = lock(&self.shared.slots);
        let Some(slot) = slots.get_mut(&partition) else { return };
        slot.terminal.retire();
        slot.admitted = None;
        slot.threads.retain(|thread| !thread.is_finished());
        if slot.guest.is_none() && slot.threads.is_empty() {
            slots.remove(&partition);
        }
    }

    fn statistics(&self, partition: PartitionUuid) -> Result<GuestStatistics, EngineError> {
        Ok(self.shared.guest(partition)?.statistics())
    }
}

impl QemuEngine {
    fn adopt_one(&self, directory: &GuestDirectory) -> Result<AdoptedGuest, String> {
        let record = directory.read_record().map_err(|error| format!("guest.json: {error}"))?;
        let GuestRecord { partition, generation, .. } = record;
        let state = record.state.clone();
        let mut slots = lock(&self.shared.slots);
        let slot = slots.entry(partition).or_default();
        self.drive(slot, record, directory.clone(), Beginning::Adopt).map_err(|error| error.to_string())?;
        Ok(AdoptedGuest { partition, generation, state })
    }
}

/// A terminal in somebody's hands: of the partition, whichever guest it has.
struct AttachedTerminal {
    shared: Weak<Shared>,
    partition: PartitionUuid,
    link: Arc<Link>,
}

impl GuestTerminal for AttachedTerminal {
    fn read(&self, buffer: &mut Vec<u8>) -> bool {
        self.link.read(buffer)
    }

    fn write(&self, bytes: &[u8]) {
        if self.link.is_closed() {
            return;
        }
        if let Some(shared) = self.shared.upgrade()
            && let Ok(guest) = shared.guest(self.partition)
        {
            guest.write(bytes);
        }
    }

    /// The console is a serial line, which has no size: a user sets it in the guest (`stty`).
    fn resize(&self, _: u16, _: u16) {}

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
