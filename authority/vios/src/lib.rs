//! A Virtual I/O Server as the authority over its devices: disks and their paths, volume groups and pools, virtual SCSI and
//! virtual Fibre Channel mappings, media, the error log.
//!
//! # For whoever wires it
//!
//! [`ViosAuthority::open`] opens the server's database and files and starts its thread; nothing serves yet.
//! [`ViosAuthority::boot`] when the partition's operating system comes up, [`ViosAuthority::stop`] when it stops, crashes or
//! loses its power, [`ViosAuthority::adapter_change`] when an adapter is added or removed meanwhile. The command line asks
//! through [`ViosLink`](varan_contract::vios::ViosLink), clients through
//! [`StorageServer`](varan_contract::storage::StorageServer). While the server does not run, the first answers `NotRunning`,
//! the second `NotServing`; what clients had open answers `Gone`.
//!
//! Units of the storage network are opened at the [`StorageArray`] with the server's port as initiator and the client's
//! nexus; everything else (disks inside the machine, logical volumes on them, files, media) goes through the [`Fence`] that
//! `open` takes. Each opening sets the client's epoch there to what the array's lease store has, or to the client's own where
//! that is later; the wiring may do it sooner ([`Fence::set_epoch`]). Generations stand at both as
//! [`generation_at_array`](varan_contract::storage::generation_at_array) says.
//!
//! The network engine that `open` takes is told, in whole, what the server's network devices are to be: empty at the opening
//! and while the server does not run, and again after each recorded change that makes it another one. What happens there
//! comes back through [`ServerNetworkEvents`], which the authority implements, and becomes entries of the error log. A server
//! that a site brings with its network has it in [`ViosSettings::initial_network`]; [`NoNetwork`] carries nothing.
//!
//! A file that media are made from is put into [`ViosAuthority::upload_directory`] first. Files below
//! [`ViosAuthority::root_directory`] are those that root sees; after a change below `var/vio/VMLibrary` the command line
//! sends `RescanRepository`.
//!
//! # Inside
//!
//! One thread owns the state ([`authority`]); `decide/` is pure; `open` does I/O on disks, `files` on the host's files,
//! `multipath` keeps a unit over several ports.

mod authority;
mod decide;
mod facts;
mod files;
mod inbox;
mod multipath;
mod network;
mod network_reads;
mod open;
mod ordered;
mod reads;
mod serve;
mod settings;
mod store;
mod world;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use varan_block_engine::Fence;
use varan_contract::block::BlockError;
use varan_contract::network::{ServerNetwork, ServerNetworkEvent, ServerNetworkEvents};
use varan_contract::storage::{StorageArray, StorageError};
use varan_contract::vios::{
    DeviceSelector, RequestId, ViosAnswer, ViosCallError, ViosChange, ViosDone, ViosLink, ViosQuery,
};
use varan_environment::Environment;
use varan_model::vios::{DeviceName, ViosMessage};

use crate::authority::Authority;
use crate::inbox::{Inbox, Input};
use crate::network_reads::NetworkReader;
use crate::open::{Host, HostParts};
use crate::reads::Reader;
use crate::settings::Own;
use crate::store::Store;
use crate::world::{Change, Snapshot};

pub use network::NoNetwork;
pub use settings::{
    AdapterChange, AdapterKind, InitialBridge, InitialNetwork, LocalDisk, ServerAdapter, ViosSettings,
    ViosSpecification,
};
pub use store::StoreError;

/// Most bytes of a device that one question asks for.
const READ_MAX: u32 = 1 << 20;

/// Who stops the partition when the server's command line says so.
pub trait ShutdownRequests: Send + Sync {
    /// The operating system is to stop, and to come back if `restart` is true. Called on the authority's thread, which it
    /// must not block; [`ViosAuthority::stop`] follows.
    fn shutdown_requested(&self, force: bool, restart: bool);
}

/// A Virtual I/O Server.
pub struct ViosAuthority {
    published: Arc<ArcSwap<Snapshot>>,
    inbox: Arc<Inbox>,
    host: Arc<Host>,
    network: Arc<dyn ServerNetwork>,
    thread: Mutex<Option<JoinHandle<()>>>,
    visited: AtomicU64,
    transactions: Arc<AtomicU64>,
}

impl ViosAuthority {
    /// Opens a server's database and files, finishes what a crash cut off, and starts its thread.
    ///
    /// # Errors
    /// [`StoreError`]: the host's disk, a damaged database, or one of another partition.
    pub fn open(
        settings: &ViosSettings,
        environment: Arc<dyn Environment>,
        array: Arc<dyn StorageArray>,
        fence: Arc<Fence>,
        shutdown: Arc<dyn ShutdownRequests>,
        network: Arc<dyn ServerNetwork>,
    ) -> Result<Self, StoreError> {
        let file_error = |source| StoreError::File { path: settings.directory.clone(), source };
        varan_environment::make_directory(&settings.directory).map_err(file_error)?;
        let files = files::Files::open(&settings.directory).map_err(file_error)?;
        let store = Store::open(&settings.directory, &settings.partition.to_string())?;
        let contents = store.load()?;
        let mut world = Snapshot::new(settings.partition, Own::new(settings));
        for change in contents.changes {
            world.apply(change);
        }
        files.recover(&world).map_err(file_error)?;
        let settled = settle(&mut world);
        let published = Arc::new(ArcSwap::from_pointee(world.clone()));
        let mover = multipath::start_mover().map_err(file_error)?;
        let partition = settings.partition;
        let parts =
            HostParts { partition, files, array, fence, environment, published: published.clone(), mover };
        let host = Host::new(parts);
        let inbox = Arc::new(Inbox::default());
        host.report_to(&inbox);
        let transactions = Arc::new(AtomicU64::new(0));
        let authority = Authority::new(authority::Parts {
            world,
            store,
            host: host.clone(),
            inbox: inbox.clone(),
            shutdown,
            network: network.clone(),
            time_scale: settings.time_scale,
            requests: contents.requests,
            transactions: transactions.clone(),
            settled,
        });
        let thread = std::thread::Builder::new().name("vios".to_owned());
        let thread = thread.spawn(move || authority.run()).map_err(file_error)?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { published, inbox, host, network, thread, visited: AtomicU64::new(0), transactions })
    }

    /// The partition's operating system comes up: devices are found, targets serve. A server that runs already starts anew.
    ///
    /// # Errors
    /// In words: the host refused a file or the database.
    pub fn boot(&self, specification: ViosSpecification) -> Result<(), String> {
        let (reply, answer) = sync_channel(1);
        let gone = || "the server is closed".to_owned();
        if !self.inbox.put(Input::Boot { specification: Box::new(specification), reply }) {
            return Err(gone());
        }
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// The server stopped: `orderly` by a shutdown, else by a crash or the loss of its power. What clients have open is gone
    /// when this begins, even while the server's thread waits for a disk.
    pub fn stop(&self, orderly: bool) {
        self.host.end();
        let (reply, answer) = sync_channel(1);
        if self.inbox.put(Input::Stop { orderly, reply }) {
            let _ = answer.recv();
        }
    }

    /// An adapter was added, or is to be removed. An added one gets a device with `cfgdev` or at the next start.
    ///
    /// # Errors
    /// Lines for the console that say why an adapter cannot be removed: its device is configured.
    pub fn adapter_change(&self, change: AdapterChange) -> Result<(), Vec<String>> {
        let gone = || vec!["The operating system does not respond.".to_owned()];
        let (reply, answer) = sync_channel(1);
        if !self.inbox.put(Input::Adapter { change, reply }) {
            return Err(gone());
        }
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Looks at the paths of disks and the log-ins of clients now instead of at the next health check.
    pub fn check_paths(&self) {
        let (reply, answer) = sync_channel(1);
        if self.inbox.put(Input::Check { reply }) {
            let _ = answer.recv();
        }
    }

    /// The files that root sees, with `/` here.
    #[must_use]
    pub fn root_directory(&self) -> &Path {
        &self.host.files.root
    }

    /// Where files are put that `MediumSource::Upload` names; on the same file system as the repository.
    #[must_use]
    pub fn upload_directory(&self) -> &Path {
        self.host.files.uploads()
    }

    /// The rules for clients' I/O on what is the server's own.
    #[must_use]
    pub fn fence(&self) -> &Arc<Fence> {
        &self.host.fence
    }

    /// Nouns that questions looked at since the opening. For tests: the work of an answer is shown by this, not by time.
    #[must_use]
    pub fn nouns_visited(&self) -> u64 {
        self.visited.load(Ordering::Relaxed)
    }

    /// Durable transactions since the opening, for tests.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    fn read_bytes(
        &self,
        world: &Snapshot,
        selector: &DeviceSelector,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, ViosCallError> {
        let name: DeviceName = match selector {
            DeviceSelector::Name(name) if world.volumes.contains(name) && world.device(name).is_none() => {
                name.parse().map_err(|_| decide::refuse(ViosMessage::DeviceUnknown).with(name))?
            }
            selector => decide::disk_selected(world, selector)?.name.clone(),
        };
        let failed = |error: BlockError| match error {
            BlockError::ReservationConflict => decide::refuse(ViosMessage::ReservationConflict).with(&name),
            _ => decide::refuse(ViosMessage::DiskError),
        };
        let device = self.host.open_own(world, &name).map_err(|error| match error {
            StorageError::NoSuchUnit => decide::refuse(ViosMessage::DeviceNotAvailable).with(&name),
            other => failed(open::block_error(other)),
        })?;
        let geometry = device.geometry();
        let end = offset.saturating_add(u64::from(length.min(READ_MAX))).min(geometry.size);
        if offset >= end {
            return Ok(Vec::new());
        }
        let alignment = u64::from(geometry.alignment.max(1));
        let start = offset - offset % alignment;
        let whole = usize::try_from(end.next_multiple_of(alignment) - start).unwrap_or(usize::MAX);
        let block = device.read_at(start, whole).map_err(failed)?;
        let first = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let count = usize::try_from(end - offset).unwrap_or(usize::MAX);
        Ok(block[first..first + count].to_vec())
    }
}

/// Forgets what the opening finished; gives the changes to be recorded.
fn settle(world: &mut Snapshot) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    changes.extend(world.trash.iter().map(|(path, _)| Change::RemoveTrash(path.clone())));
    changes.extend(world.renaming.iter().map(|(path, _)| Change::RemoveRenaming(path.clone())));
    let files = world.files.values().filter(|file| file.staged.is_some());
    changes.extend(
        files.map(|file| Change::PutFile(Box::new(world::PoolFile { staged: None, ..(**file).clone() }))),
    );
    let media = world.media.values().filter(|medium| medium.staged.is_some());
    changes.extend(media.map(|medium| {
        Change::PutMedium(Box::new(world::LibraryMedium { staged: None, ..(**medium).clone() }))
    }));
    for change in &changes {
        world.apply(change.clone());
    }
    changes
}

impl ViosLink for ViosAuthority {
    fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, ViosCallError> {
        let world = self.published.load_full();
        if world.running.is_none() {
            return Err(ViosCallError::NotRunning);
        }
        if let ViosQuery::Bytes { device, offset, length } = &query {
            return Ok(ViosAnswer::Bytes(self.read_bytes(&world, device, *offset, *length)?));
        }
        if let ViosQuery::Network(query) = &query {
            let reader = NetworkReader { world: &world, network: &*self.network };
            return Ok(ViosAnswer::Network(reader.read(query)?));
        }
        let host = self.host.clone();
        let is_open = move |target: &DeviceName| host.is_open(target);
        let reader = Reader {
            world: &world,
            seconds: self.host.environment.wall_clock().seconds(),
            is_open: &is_open,
            visited: &self.visited,
        };
        Ok(reader.read(&query)?)
    }

    fn change(&self, id: RequestId, change: ViosChange) -> Result<ViosDone, ViosCallError> {
        let (reply, answer) = sync_channel(1);
        if !self.inbox.put(Input::Change { id, change, reply }) {
            return Err(ViosCallError::NoAnswer);
        }
        answer.recv().unwrap_or(Err(ViosCallError::NoAnswer))
    }
}

impl ServerNetworkEvents for ViosAuthority {
    fn network_event(&self, event: ServerNetworkEvent) {
        self.inbox.network_event(event);
    }
}

impl Drop for ViosAuthority {
    fn drop(&mut self) {
        self.host.end();
        self.inbox.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
