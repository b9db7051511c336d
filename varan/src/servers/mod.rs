//! The Virtual I/O Servers of a frame: their partitions run in the embedded engine as guests, their storage in an
//! authority of their own.
//!
//! ```text
//!   managed system -> ServingEngine -> embedded engine: boot, terminal, RMC, DLPAR
//!                          |    ^            |
//!                          |    '- events ---'  (operating system up, stopped, failed)
//!                          v
//!                     one thread for each server: boot, stop, adapters -> ViosAuthority
//!   client guests -> StorageFabric -> PausableServer -> ViosAuthority -> storage network
//! ```
//!
//! A server serves from when its operating system is up until it stops, fails or loses its power.

mod engine;
mod exports;
mod here;
mod pause;
mod specification;
mod terminal;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use varan_contract::block::Epoch;
use varan_contract::engine::{
    AdapterChange, EngineEvent, EngineEventKind, EngineEvents, Generation, GuestFault, GuestSpecification,
    PartitionEngine, StopRequest,
};
use varan_contract::storage::{StorageError, StorageFabric, StorageServer};
use varan_contract::vios::{RequestId, ViosAnswer, ViosCallError, ViosChange, ViosDone, ViosLink, ViosQuery};
use varan_environment::Environment;
use varan_model::ids::{PartitionId, PartitionUuid, SystemUuid};
use varan_model::site::{ManagedSystemDescription, Site};
use varan_vios::{AdapterChange as ServerChange, ViosSettings, ViosSpecification};

use crate::network::FrameNetwork;
use crate::world::Network;

pub use engine::{ServedEvents, ServingEngine};
pub use here::open_here;
use pause::{PausableServer, Pause};
use specification::FrameSite;
pub use terminal::TerminalConsole;

/// How long a command waits for a server that stands still.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);
/// Times that a server that starts tries to have its disks.
const BOOT_ATTEMPTS: u32 = 20;
/// Pause between two such attempts.
const BOOT_PAUSE: Duration = Duration::from_millis(250);

/// The AIX below a level of the server, as `oem_platform_level` names it.
fn platform_level(level: &str) -> &'static str {
    match level.chars().next() {
        Some('4') => "7.3.0.0",
        Some('3') => "7.2.0.0",
        _ => "6.1.0.0",
    }
}

/// A server's own state and what it serves, in this process or in another one.
pub trait ServerAuthority: StorageServer + ViosLink {
    /// Its operating system is up.
    ///
    /// # Errors
    /// A text for the log; it does not serve then.
    fn boot(&self, specification: ViosSpecification) -> Result<(), String>;
    /// Its operating system is down: shut down in order, or not.
    fn stop(&self, orderly: bool);
    /// A dynamic change of its adapters.
    ///
    /// # Errors
    /// Lines of its DLPAR manager.
    fn adapter_change(&self, change: ServerChange) -> Result<(), Vec<String>>;
}

/// Is called when the process of a server is gone.
pub type Gone = Box<dyn FnOnce() + Send>;

/// Opens the authority of a server. Its partition's name comes with it, for a process of its own.
pub type OpenServer =
    dyn Fn(&str, ViosSettings, Gone) -> Result<Arc<dyn ServerAuthority>, String> + Send + Sync;

/// Where the command line finds servers.
pub trait ServerDirectory: Send + Sync {
    /// The way to a server of a partition; `None` while it does not serve.
    fn link(&self, partition: PartitionUuid) -> Option<Arc<dyn ViosLink>>;
    /// Directory of a server's files.
    fn directory(&self, partition: PartitionUuid) -> PathBuf;
}

/// What the servers of a frame are made with.
pub struct FrameServers {
    /// The frame.
    pub system: SystemUuid,
    /// Directory of the frame's servers.
    pub directory: PathBuf,
    /// Directory of sockets.
    pub sockets: PathBuf,
    /// Clock and randomness.
    pub environment: Arc<dyn Environment>,
    /// The storage network.
    pub network: Arc<dyn Network>,
    /// Opens the authority of a server.
    pub open: Box<OpenServer>,
    /// Real waits are divided by this.
    pub time_scale: f64,
    /// The frame's network.
    pub ethernet: Arc<FrameNetwork>,
}

/// The Virtual I/O Servers of a frame.
pub struct VirtualServers {
    frame: FrameServers,
    site: FrameSite,
    /// The engine that runs the guests, once it is made.
    engine: OnceLock<Weak<dyn PartitionEngine>>,
    events: OnceLock<Arc<dyn EngineEvents>>,
    servers: Mutex<HashMap<PartitionUuid, Arc<Server>>>,
    myself: Weak<Self>,
}

/// One server, from its first activation on.
struct Server {
    partition: PartitionUuid,
    /// Made at the first activation; an error is tried again at the next one.
    authority: Mutex<Option<Arc<dyn ServerAuthority>>>,
    pause: Arc<Pause>,
    /// The activation that is admitted or runs, with what it was given.
    specification: Mutex<Option<GuestSpecification>>,
    /// Number under which clients find it while it serves.
    serving: Mutex<Option<(PartitionId, Generation)>>,
    jobs: Sender<Job>,
    /// The last activation that ended.
    ended: Mutex<Option<Generation>>,
    /// Its targets for programs outside, from its first start on.
    exports: Mutex<Option<varan_nbd::Server>>,
}

enum Job {
    Boot(Generation),
    Stop { generation: Generation, orderly: bool },
    Change { change: AdapterChange, token: u64 },
}

/// Socket on which the targets of a server are block devices for other programs.
#[must_use]
pub fn target_socket(sockets: &Path, system: &str, server: &str) -> PathBuf {
    sockets.join(format!("{system}.{server}.targets"))
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VirtualServers {
    /// The servers of a managed system; none runs yet.
    #[must_use]
    pub fn new(site: &Site, system: &ManagedSystemDescription, frame: FrameServers) -> Arc<Self> {
        let site = FrameSite::new(site, system);
        Arc::new_cyclic(|myself| Self {
            frame,
            site,
            engine: OnceLock::new(),
            events: OnceLock::new(),
            servers: Mutex::default(),
            myself: myself.clone(),
        })
    }

    fn server(&self, partition: PartitionUuid) -> Option<Arc<Server>> {
        lock(&self.servers).get(&partition).cloned()
    }

    /// The activation that serves; `None` while none does.
    fn generation(&self, partition: PartitionUuid) -> Option<u64> {
        let server = self.server(partition)?;
        let serving = *lock(&server.serving);
        serving.map(|(_, generation)| generation.0)
    }

    /// A server is admitted: what it is made of is known from now on. Its authority is opened by its own thread, when its
    /// operating system is up: a managed system does not wait for it.
    ///
    /// # Errors
    /// A text for the person.
    fn admit(&self, specification: &GuestSpecification) -> Result<(), String> {
        let server = match self.server(specification.partition) {
            Some(server) => server,
            None => self.begin(specification.partition)?,
        };
        *lock(&server.specification) = Some(specification.clone());
        // Numbers begin anew after a loss of power.
        lock(&server.ended).take_if(|ended| *ended == specification.generation);
        Ok(())
    }

    /// The authority of a server; opened if it is not open yet.
    fn authority(
        &self,
        server: &Server,
        specification: &GuestSpecification,
    ) -> Result<Arc<dyn ServerAuthority>, String> {
        let mut authority = lock(&server.authority);
        if let Some(authority) = &*authority {
            return Ok(authority.clone());
        }
        let partition = server.partition;
        let level = specification.installation.level.clone();
        let settings = ViosSettings {
            partition,
            directory: self.directory(partition),
            platform_level: platform_level(&level).to_owned(),
            level,
            time_scale: self.frame.time_scale,
            initial_network: self.site.initial_network(specification),
        };
        let myself = self.myself.clone();
        let gone = move || {
            if let Some(servers) = myself.upgrade() {
                servers.process_gone(partition);
            }
        };
        let opened = (self.frame.open)(&specification.name, settings, Box::new(gone))?;
        *authority = Some(opened.clone());
        Ok(opened)
    }

    /// The process of a server is gone: its operating system has crashed.
    fn process_gone(&self, partition: PartitionUuid) {
        let Some(server) = self.server(partition) else { return };
        *lock(&server.authority) = None;
        server.end_any(false);
        if let Some(engine) = self.engine.get().and_then(Weak::upgrade) {
            // A guest that is off has nothing to crash.
            let _ = engine.fault(partition, GuestFault::Crash);
        }
    }

    /// Serves the targets of a server to programs outside.
    fn export(&self, server: &Server, name: &str) {
        let mut exports = lock(&server.exports);
        let Some(myself) = self.myself.upgrade().filter(|_| exports.is_none()) else { return };
        let socket = target_socket(&self.frame.sockets, &self.site.hardware.site_name, name);
        // Above every generation of an earlier life of this process.
        let first = u64::try_from(self.frame.environment.wall_clock().seconds()).unwrap_or(0) << 16;
        let serving = varan_environment::make_directory(&self.frame.sockets)
            .and_then(|()| exports::serve(&myself, server.partition, &socket, first));
        match serving {
            Ok(serving) => *exports = Some(serving),
            Err(error) => eprintln!("varan: {}: {error}", socket.display()),
        }
    }

    /// `shutdown` on the server itself.
    fn shut_down(&self, partition: PartitionUuid, force: bool, restart: bool) {
        let request =
            if force { StopRequest::OperatingSystemImmediate } else { StopRequest::OperatingSystem };
        if let Some(engine) = self.engine.get().and_then(Weak::upgrade) {
            // It is going down already when it is not there.
            let _ = engine.stop(partition, request, restart);
        }
    }

    fn begin(&self, partition: PartitionUuid) -> Result<Arc<Server>, String> {
        let (jobs, receiver) = channel();
        let server = Arc::new(Server {
            partition,
            authority: Mutex::new(None),
            pause: Arc::new(Pause::default()),
            specification: Mutex::new(None),
            serving: Mutex::new(None),
            jobs,
            ended: Mutex::new(None),
            exports: Mutex::new(None),
        });
        let (worker, servers) = (Arc::downgrade(&server), self.myself.clone());
        std::thread::Builder::new()
            .name("virtual-io-server".to_owned())
            .spawn(move || work(&worker, &servers, &receiver))
            .map_err(|error| error.to_string())?;
        lock(&self.servers).insert(partition, server.clone());
        Ok(server)
    }

    /// Something happened to a guest; true when its event is to be told.
    fn happened(&self, event: &EngineEvent) {
        let Some(server) = self.server(event.partition) else { return };
        let generation = event.generation;
        match &event.kind {
            EngineEventKind::OperatingSystem(_) => {
                let running = lock(&server.serving).is_some_and(|(_, running)| running == generation);
                if !running {
                    server.ask(Job::Boot(generation));
                }
            }
            EngineEventKind::State(varan_contract::engine::GuestState::Stopped { .. }) => {
                server.end(generation, true);
            }
            EngineEventKind::State(varan_contract::engine::GuestState::Failed) => {
                server.end(generation, false);
            }
            _ => {}
        }
    }

    /// The power of the frame is gone.
    fn power_loss(&self) {
        for server in lock(&self.servers).values() {
            server.end_any(false);
        }
    }

    fn broken(&self, partition: PartitionUuid, fault: GuestFault) {
        let Some(server) = self.server(partition) else { return };
        match fault {
            GuestFault::Hang => {
                server.pause.stand_still();
                self.frame.ethernet.pause_server(partition, true);
            }
            GuestFault::Resume if server.pause.alive() => {
                server.pause.go_on();
                self.frame.ethernet.pause_server(partition, false);
            }
            GuestFault::Resume | GuestFault::Crash => {}
        }
    }

    fn tell(&self, event: EngineEvent) {
        if let Some(events) = self.events.get() {
            events.engine_event(event);
        }
    }
}

impl Server {
    fn ask(&self, job: Job) {
        // A thread that is gone has ended with its process.
        let _ = self.jobs.send(job);
    }

    /// Its guest ended: nobody is served from this moment on; the authority hears it in its turn.
    fn end(&self, generation: Generation, orderly: bool) {
        let mut serving = lock(&self.serving);
        *lock(&self.ended) = Some(generation);
        if serving.is_some_and(|(_, running)| running == generation) {
            *serving = None;
            self.pause.die();
        }
        drop(serving);
        self.ask(Job::Stop { generation, orderly });
    }

    /// Whether that activation is the last one that ended.
    fn has_ended(&self, generation: Generation) -> bool {
        *lock(&self.ended) == Some(generation)
    }

    fn end_any(&self, orderly: bool) {
        let running = lock(&self.serving).map(|(_, generation)| generation);
        if let Some(generation) = running {
            self.end(generation, orderly);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whoever waits for it to go on waits for ever: its exports end after what is under way on them.
        self.pause.die();
    }
}

/// A server's thread: what it is told, in order.
fn work(server: &Weak<Server>, servers: &Weak<VirtualServers>, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let (Some(server), Some(servers)) = (server.upgrade(), servers.upgrade()) else { return };
        match job {
            Job::Boot(generation) => boot(&server, &servers, generation),
            Job::Stop { generation, orderly } => {
                let serves_later = lock(&server.serving).is_some_and(|(_, running)| running > generation);
                if let Some(authority) = lock(&server.authority).clone().filter(|_| !serves_later) {
                    authority.stop(orderly);
                }
            }
            Job::Change { change, token } => change_adapter(&server, &servers, change, token),
        }
    }
}

fn boot(server: &Server, servers: &VirtualServers, generation: Generation) {
    let specification = lock(&server.specification).clone();
    let Some(specification) = specification.filter(|known| known.generation == generation) else { return };
    let directory = servers.directory(server.partition).join("disks");
    let mut attempts = 1;
    while !server.has_ended(generation) {
        let booted = servers
            .authority(server, &specification)
            .and_then(|authority| authority.boot(servers.site.specification(&specification, &directory)));
        match booted {
            Ok(()) => break,
            // Somebody who is just ending may still hold a disk.
            Err(_) if attempts < BOOT_ATTEMPTS => std::thread::sleep(BOOT_PAUSE),
            Err(error) => {
                let name = &specification.name;
                eprintln!("varan: Virtual I/O Server {name}: its storage is not served: {error}");
                return;
            }
        }
        attempts += 1;
    }
    let mut serving = lock(&server.serving);
    if server.has_ended(generation) {
        return;
    }
    *serving = Some((specification.id, generation));
    drop(serving);
    server.pause.go_on();
    servers.export(server, &specification.name);
}

/// A dynamic change: the server first, because it knows what is in use; then the guest.
fn change_adapter(server: &Server, servers: &VirtualServers, change: AdapterChange, token: u64) {
    let authority = lock(&server.authority).clone();
    let generation = lock(&server.serving).map(|(_, generation)| generation);
    let wanted = servers.site.change(&change);
    if let (Some(authority), Some(generation), Some(wanted)) = (authority, generation, wanted) {
        let answer = match server.pause.pass() {
            Ok(()) => authority.adapter_change(wanted),
            Err(_) => Err(vec!["The operating system does not respond.".to_owned()]),
        };
        if let Err(details) = answer {
            let kind = EngineEventKind::AdapterChanged { token, done: false, details };
            servers.tell(EngineEvent { partition: server.partition, generation, kind });
            return;
        }
    }
    let Some(engine) = servers.engine.get().and_then(Weak::upgrade) else { return };
    // The server has given it up: its guest's own device is no reason to keep it.
    let change = match change {
        AdapterChange::Remove(address) if generation.is_some() => AdapterChange::Withdraw(address),
        other => other,
    };
    if engine.change_adapter(server.partition, change, token).is_err()
        && let Some(generation) = generation
    {
        let details = vec!["The operating system does not respond.".to_owned()];
        let kind = EngineEventKind::AdapterChanged { token, done: false, details };
        servers.tell(EngineEvent { partition: server.partition, generation, kind });
    }
}

impl ServerDirectory for VirtualServers {
    fn link(&self, partition: PartitionUuid) -> Option<Arc<dyn ViosLink>> {
        let server = self.server(partition)?;
        lock(&server.serving).as_ref()?;
        let authority = lock(&server.authority).clone()?;
        let (pause, servers) = (server.pause.clone(), self.myself.clone());
        Some(Arc::new(PausableLink { pause, authority, partition, servers }))
    }

    fn directory(&self, partition: PartitionUuid) -> PathBuf {
        self.frame.directory.join(partition.to_string())
    }
}

impl StorageFabric for VirtualServers {
    fn server(&self, number: PartitionId) -> Option<Arc<dyn StorageServer>> {
        let servers = lock(&self.servers);
        let serves = |server: &&Arc<Server>| lock(&server.serving).is_some_and(|(id, _)| id == number);
        let server = servers.values().find(serves)?.clone();
        drop(servers);
        let authority = lock(&server.authority).clone()?;
        Some(Arc::new(PausableServer::new(server.pause.clone(), authority)))
    }

    fn right_to_run(&self, partition: PartitionUuid) -> Result<Epoch, StorageError> {
        self.frame.network.right_to_run(partition, self.frame.system)
    }
}

/// A command line's way to a server that may stand still.
struct PausableLink {
    pause: Arc<Pause>,
    authority: Arc<dyn ServerAuthority>,
    partition: PartitionUuid,
    servers: Weak<VirtualServers>,
}

impl PausableLink {
    /// Waits for a server that stands still, as long as a command does.
    fn pass(&self) -> Result<(), ViosCallError> {
        match self.pause.pass_within(COMMAND_PATIENCE) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ViosCallError::NoAnswer),
            Err(_) => Err(ViosCallError::NotRunning),
        }
    }
}

impl ViosLink for PausableLink {
    fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, ViosCallError> {
        self.pass()?;
        self.authority.ask(query)
    }

    fn change(&self, id: RequestId, change: ViosChange) -> Result<ViosDone, ViosCallError> {
        self.pass()?;
        let stop = match &change {
            ViosChange::Shutdown { force, restart } => Some((*force, *restart)),
            _ => None,
        };
        let done = self.authority.change(id, change)?;
        if let (Some((force, restart)), Some(servers)) = (stop, self.servers.upgrade()) {
            servers.shut_down(self.partition, force, restart);
        }
        Ok(done)
    }
}
