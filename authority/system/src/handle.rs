//! The way in for consoles of the same process: reads from the published snapshot, changes through the inbox.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use varan_contract::engine::{EngineError, GuestTerminal, PartitionEngine};
use varan_contract::network::HypervisorNetwork;
use varan_contract::system::{
    CallError, Origin, RequestId, Selector, SystemEvents, SystemLink, SystemReply, SystemRequest,
};
use varan_environment::Environment;
use varan_model::codes::MessageKey;
use varan_model::configuration::PartitionEnvironment;
use varan_model::ids::PartitionUuid;
use varan_model::partition::PartitionState;
use varan_model::refusal::Refusal;
use varan_model::system::SystemState;
use varan_model::utilization::{UtilizationReport, cycles};

use crate::authority::{Authority, Parts};
use crate::decide;
use crate::guest::GuestSettings;
use crate::inbox::Inbox;
use crate::opening::Opened;
use crate::reads::{complete_network, read};
use crate::world::Snapshot;

/// A running managed system.
pub struct SystemHandle {
    published: Arc<ArcSwap<Snapshot>>,
    inbox: Arc<Inbox>,
    engine: Arc<dyn PartitionEngine>,
    subscribers: Arc<Mutex<Vec<Arc<dyn SystemEvents>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    visited: AtomicU64,
    environment: Arc<dyn Environment>,
    hypervisor: Arc<dyn HypervisorNetwork>,
}

/// Starts the authority of an opened system on a thread of its own. `make_engine` gets the inbox that the engine reports
/// to.
///
/// # Errors
/// When the engine or the thread cannot be started.
pub fn start(
    opened: Opened,
    make_engine: impl FnOnce(Arc<Inbox>) -> std::io::Result<Arc<dyn PartitionEngine>>,
    guests: GuestSettings,
    environment: Arc<dyn Environment>,
    time_scale: f64,
) -> std::io::Result<SystemHandle> {
    let inbox = Arc::new(Inbox::default());
    let engine = make_engine(inbox.clone())?;
    let published = Arc::new(ArcSwap::from_pointee(opened.world.snapshot.clone()));
    let subscribers: Arc<Mutex<Vec<Arc<dyn SystemEvents>>>> = Arc::default();
    let name = format!("system {}", opened.world.system().hardware.site_name);
    let (clock, hypervisor) = (environment.clone(), guests.hypervisor.clone());
    let mut authority = Authority::new(Parts {
        world: opened.world,
        store: opened.store,
        firmware: opened.firmware,
        requests: opened.requests,
        engine: engine.clone(),
        guests,
        environment,
        time_scale,
        published: published.clone(),
        inbox: inbox.clone(),
        subscribers: subscribers.clone(),
    });
    let initial = opened.start;
    let run = move || {
        authority.set_up_network();
        authority.adopt();
        authority.start_initial(&initial);
        authority.run();
    };
    let thread = std::thread::Builder::new().name(name).spawn(run)?;
    let (thread, visited) = (Mutex::new(Some(thread)), AtomicU64::default());
    Ok(SystemHandle {
        published,
        inbox,
        engine,
        subscribers,
        thread,
        visited,
        environment: clock,
        hypervisor,
    })
}

impl SystemHandle {
    /// The snapshot of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Partitions that listings looked at since the start. For tests: the work of an answer is shown by this, not by time.
    #[must_use]
    pub fn partitions_visited(&self) -> u64 {
        self.visited.load(Ordering::Relaxed)
    }

    /// Fills the engine's counters and the system's time into a report.
    fn count(&self, report: &mut UtilizationReport) {
        let now = self.environment.monotonic().0.as_nanos();
        report.time_cycles = cycles(u64::try_from(now).unwrap_or(u64::MAX));
        for partition in &mut report.partitions {
            // One that does not run has no counters.
            let Ok(statistics) = self.engine.statistics(partition.uuid) else { continue };
            partition.capped_cycles = cycles(statistics.capped_nanoseconds);
            partition.uncapped_cycles = cycles(statistics.uncapped_nanoseconds);
            partition.idle_cycles = cycles(statistics.idle_nanoseconds);
            partition.donated_cycles = cycles(statistics.donated_nanoseconds);
            partition.entitled_cycles = partition.capped_cycles + partition.idle_cycles;
        }
    }

    /// Stops the authority after what it is doing. Guests that cannot outlive this program lose their power.
    pub fn stop(&self) {
        self.inbox.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.engine.detach();
    }
}

impl Drop for SystemHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The partition whose virtual terminal may be opened. Whether the partition is on does not matter: its terminal is the
/// hypervisor's.
fn terminal_of(snapshot: &Snapshot, partition: &Selector) -> Result<PartitionUuid, Refusal> {
    let entry = snapshot.find(partition)?;
    let partition = &entry.partition;
    if !matches!(snapshot.system.state, SystemState::Operating | SystemState::Standby) {
        let state = PartitionState::NotAvailable.word();
        return Err(Refusal::new(MessageKey::TerminalSystemOff).with(&partition.name).with(state));
    }
    if partition.environment == PartitionEnvironment::IbmI {
        return Err(Refusal::new(MessageKey::TerminalOfIbmI).with(&partition.name));
    }
    Ok(partition.uuid)
}

impl SystemHandle {
    fn ask(
        &self,
        origin: Option<&Arc<Origin>>,
        id: RequestId,
        request: SystemRequest,
    ) -> Result<SystemReply, CallError> {
        if request.is_read() {
            let snapshot = self.published.load();
            decide::check_access(&snapshot.system, origin, &request)?;
            let mut reply = read(&snapshot, &request, &self.visited)?;
            match &mut reply {
                SystemReply::Utilization(report) => self.count(report),
                SystemReply::Network(report) => complete_network(report, &*self.hypervisor),
                _ => {}
            }
            return Ok(reply);
        }
        let (reply, answer) = sync_channel(1);
        if !self.inbox.request_from(origin.cloned(), id, request, reply) {
            return Err(CallError::Busy);
        }
        answer.recv().unwrap_or(Err(CallError::NoConnection))
    }
}

impl SystemLink for SystemHandle {
    fn call(&self, id: RequestId, request: SystemRequest) -> Result<SystemReply, CallError> {
        self.ask(None, id, request)
    }

    fn call_from(
        &self,
        origin: &Arc<Origin>,
        id: RequestId,
        request: SystemRequest,
    ) -> Result<SystemReply, CallError> {
        self.ask(Some(origin), id, request)
    }

    fn open_terminal(&self, partition: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        let uuid = {
            let published = self.published.load();
            let uuid = terminal_of(&published, &partition)?;
            // One that was never activated is known by its definition only.
            let entry = published.find(&partition)?;
            self.engine.name_engine(uuid, &entry.partition.installation.engine);
            uuid
        };
        let terminal = self.engine.open_terminal(uuid).map_err(|error| match error {
            EngineError::TerminalBusy(_) => Refusal::new(MessageKey::TerminalOpen),
            other => Refusal::new(MessageKey::HostRefused).with(other),
        })?;
        // The partition may have gone meanwhile, or the system's power; nobody would close the terminal any more.
        if let Err(refusal) = terminal_of(&self.published.load(), &partition) {
            self.engine.forget(uuid);
            return Err(refusal.into());
        }
        Ok(terminal)
    }

    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(receiver);
    }
}
