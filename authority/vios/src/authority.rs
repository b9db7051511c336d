//! The authority: one thread that owns the state of a server.
//!
//! ```text
//! requests ──┐
//! starts   ──┼─> facts ─> decide ─> prepare ─> record ─> publish ─> act ─> answer
//! paths    ──┘            (pure)       |          one transaction for all that wait
//!                                      '--- undone when anything after it fails
//! ```

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use varan_contract::block::BlockError;
use varan_contract::network::{ServerNetwork, ServerNetworkConfiguration, ServerNetworkEvent};
use varan_contract::storage::StorageError;
use varan_contract::vios::{RequestId, ViosCallError, ViosChange, ViosDone};
use varan_environment::Monotonic;
use varan_model::vios::{DeviceName, ViosMessage, ViosRefusal};

use crate::ShutdownRequests;
use crate::decide::{self, Draft, Effect, Facts, Found, PathEvent, Prepare, refuse};
use crate::facts;
use crate::inbox::{Inbox, Input, ReplySender};
use crate::network;
use crate::open::Host;
use crate::settings::{AdapterChange, ViosSpecification};
use crate::store::{REQUESTS_KEPT, Store};
use crate::world::{Change, Connected, LastClient, LibraryMedium, PoolFile, Row, Snapshot};

/// Real time between looks at paths: the default `hcheck_interval`.
const CHECK_SECONDS: f64 = 60.0;
/// Not more often than this, whatever the time scale: paths are given time to come back.
const CHECK_FLOOR_SECONDS: f64 = 1.0;

/// What an authority is made of.
pub(crate) struct Parts {
    pub(crate) world: Snapshot,
    pub(crate) store: Store,
    pub(crate) host: Arc<Host>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) shutdown: Arc<dyn ShutdownRequests>,
    pub(crate) network: Arc<dyn ServerNetwork>,
    pub(crate) time_scale: f64,
    /// Requests that were carried out before, with their answers.
    pub(crate) requests: Vec<(RequestId, ViosDone)>,
    pub(crate) transactions: Arc<AtomicU64>,
    /// What the opening finished and is not recorded yet.
    pub(crate) settled: Vec<Change>,
}

pub(crate) struct Authority {
    world: Snapshot,
    store: Store,
    host: Arc<Host>,
    inbox: Arc<Inbox>,
    shutdown: Arc<dyn ShutdownRequests>,
    network: Arc<dyn ServerNetwork>,
    /// What the network was told last.
    configured: ServerNetworkConfiguration,
    check_every: Duration,
    answers: HashMap<RequestId, ViosDone>,
    answer_order: VecDeque<RequestId>,
    next_check: Option<Monotonic>,
    transactions: Arc<AtomicU64>,
    /// Recorded with the next transaction.
    settled: Vec<Change>,
}

/// A request of the batch that was not refused.
struct Accepted {
    id: RequestId,
    done: ViosDone,
    reply: ReplySender,
}

/// What a batch comes to.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    prepared: Vec<Prepare>,
    effects: Vec<Effect>,
    accepted: Vec<Accepted>,
}

impl Authority {
    pub(crate) fn new(parts: Parts) -> Self {
        let seconds = (CHECK_SECONDS / parts.time_scale.max(1.0)).max(CHECK_FLOOR_SECONDS);
        Self {
            world: parts.world,
            store: parts.store,
            host: parts.host,
            inbox: parts.inbox,
            shutdown: parts.shutdown,
            network: parts.network,
            configured: ServerNetworkConfiguration::default(),
            check_every: Duration::from_secs_f64(seconds),
            answer_order: parts.requests.iter().map(|(id, _)| *id).collect(),
            answers: parts.requests.into_iter().collect(),
            next_check: None,
            transactions: parts.transactions,
            settled: parts.settled,
        }
    }

    /// Runs until the inbox is closed.
    pub(crate) fn run(mut self) {
        // An engine that outlived the last opening hears that the server does not run.
        self.network.configure(self.configured.clone());
        loop {
            let now = self.host.environment.monotonic();
            let wait = self.next_check.map(|at| at.since(now));
            let Some(inputs) = self.inbox.wait(wait) else { break };
            self.step(inputs);
        }
        self.host.end();
    }

    fn step(&mut self, inputs: Vec<Input>) {
        let mut batch = Batch::default();
        let mut events = Vec::new();
        let mut network_events = Vec::new();
        for input in inputs {
            match input {
                Input::Path(event) => events.push(event),
                Input::Network(event) => network_events.push(event),
                Input::Change { id, change, reply } => self.decide(&mut batch, id, &change, reply),
                other => {
                    // What is not a request is recorded by itself, after the requests that came before.
                    self.commit(std::mem::take(&mut batch));
                    self.network_events(&std::mem::take(&mut network_events));
                    self.other(other);
                }
            }
        }
        self.commit(batch);
        self.path_events(&events);
        self.network_events(&network_events);
        let now = self.host.environment.monotonic();
        if self.next_check.is_some_and(|at| at <= now) {
            self.check();
        }
    }

    fn other(&mut self, input: Input) {
        match input {
            Input::Boot { specification, reply } => {
                let _ = reply.send(self.boot(&specification));
            }
            Input::Stop { orderly, reply } => {
                self.stop(orderly);
                let _ = reply.send(());
            }
            Input::Adapter { change, reply } => {
                let _ = reply.send(self.adapter(&change));
            }
            Input::Client { slot, connected, last, reply } => {
                let _ = reply.send(self.client(slot, connected, last));
            }
            Input::Check { reply } => {
                self.check();
                let _ = reply.send(());
            }
            Input::Change { .. } | Input::Path(_) | Input::Network(_) => {}
        }
    }

    fn now(&self) -> i64 {
        self.host.environment.wall_clock().seconds()
    }

    fn random(&self) -> u128 {
        let environment = &self.host.environment;
        u128::from(environment.random()) << 64 | u128::from(environment.random())
    }

    // Requests.

    fn decide(&mut self, batch: &mut Batch, id: RequestId, change: &ViosChange, reply: ReplySender) {
        let earlier = batch.accepted.iter().find(|accepted| accepted.id == id).map(|accepted| &accepted.done);
        if let Some(done) = self.answers.get(&id).or(earlier) {
            // One that waits to be recorded is answered a moment early only in the same batch as its first.
            let done = done.clone();
            batch.accepted.push(Accepted { id, done, reply });
            return;
        }
        if self.world.running.is_none() {
            let _ = reply.send(Err(ViosCallError::NotRunning));
            return;
        }
        let decided = self.consider(change).and_then(|draft| self.prepare(batch, draft));
        match decided {
            Ok(done) => batch.accepted.push(Accepted { id, done, reply }),
            Err(refusal) => {
                let _ = reply.send(Err(refusal.into()));
            }
        }
    }

    fn consider(&self, change: &ViosChange) -> Result<Draft, ViosRefusal> {
        let found = facts::needs_search(change).then(|| self.look()).flatten();
        let host = self.host.clone();
        let is_open = move |target: &DeviceName| host.is_open(target);
        let facts = Facts {
            now: self.now(),
            random: self.random(),
            is_open: &is_open,
            headers: facts::headers(&self.world, change, &self.host),
            files: facts::files(&self.world, change, &self.host.files),
            library: facts::library(change, &self.host.files),
            found,
        };
        decide::decide(&self.world, change, &facts)
    }

    fn look(&self) -> Option<Found> {
        let running = self.world.running.as_ref()?;
        Some(self.host.look(&self.world, &running.specification, false))
    }

    /// Does what must succeed before a change is recorded; takes it back when a part of it fails.
    fn prepare(&mut self, batch: &mut Batch, draft: Draft) -> Result<ViosDone, ViosRefusal> {
        let mut prepared = Vec::new();
        for step in draft.prepare {
            if let Err(refusal) = self.prepare_step(&draft.world, &step) {
                self.undo(&prepared);
                return Err(refusal);
            }
            prepared.push(step);
        }
        batch.prepared.extend(prepared);
        batch.changes.extend(draft.changes);
        batch.effects.extend(draft.effects);
        self.world = draft.world;
        Ok(draft.done)
    }

    fn prepare_step(&self, next: &Snapshot, step: &Prepare) -> Result<(), ViosRefusal> {
        let files = &self.host.files;
        match step {
            Prepare::StageZeros { staged, bytes } => files.stage_zeros(staged, *bytes).map_err(host_error),
            Prepare::StageUpload { staged, upload } => files.stage_upload(staged, upload).map_err(host_error),
            Prepare::Grow { path, bytes, .. } => files.resize(path, *bytes).map_err(host_error),
            Prepare::Header { disk, header, .. } => {
                self.host.write_header(next, disk, *header).map_err(|error| disk_error(disk, &error))
            }
            Prepare::Reserve { disk } => self.host.reserve(next, disk).map_err(|error| match error {
                StorageError::Block(error) => disk_error(disk, &error),
                _ => refuse(ViosMessage::ReservationConflict).with(disk),
            }),
            Prepare::Write { device, offset, data } => {
                let opened = self.host.open_own(next, device).map_err(crate::open::block_error);
                let written = opened.and_then(|device| write_any(&*device, *offset, data));
                written.map_err(|error| disk_error(device, &error))
            }
        }
    }

    fn undo(&self, prepared: &[Prepare]) {
        for step in prepared.iter().rev() {
            match step {
                Prepare::StageZeros { staged, .. } | Prepare::StageUpload { staged, .. } => {
                    self.host.files.unstage(staged);
                }
                Prepare::Grow { path, before, .. } => {
                    if let Err(error) = self.host.files.resize(path, *before) {
                        eprintln!("vios: {path} stays larger than it was: {error}");
                    }
                }
                Prepare::Header { disk, before, .. } => {
                    if let Err(error) = self.host.write_header(&self.world, disk, *before) {
                        eprintln!("vios: the first block of {disk} stays changed: {error}");
                    }
                }
                Prepare::Reserve { disk } => self.host.release(&self.world, disk),
                Prepare::Write { .. } => {}
            }
        }
    }

    // Recording.

    /// Writes the rows of changes, each row once as it is at the end.
    fn write(&mut self, changes: &[Change], requests: &[(RequestId, ViosDone)]) -> bool {
        let mut rows: BTreeMap<(&'static str, String), Row> = BTreeMap::new();
        for row in self.settled.iter().chain(changes).filter_map(Change::row) {
            rows.insert((row.table, row.key.clone()), row);
        }
        let rows: Vec<Row> = rows.into_values().collect();
        if rows.is_empty() && requests.is_empty() {
            return true;
        }
        let written = self.store.write(&rows, requests);
        self.transactions.store(self.store.transactions(), Ordering::Relaxed);
        match written {
            Ok(()) => self.settled.clear(),
            Err(error) => {
                eprintln!("vios: {error}");
                return false;
            }
        }
        true
    }

    fn publish(&self) {
        self.host.published.store(Arc::new(self.world.clone()));
    }

    fn commit(&mut self, batch: Batch) {
        if batch.accepted.is_empty() && batch.changes.is_empty() {
            return;
        }
        let before = self.host.published.load_full();
        let fresh: Vec<(RequestId, ViosDone)> = batch
            .accepted
            .iter()
            .filter(|accepted| !self.answers.contains_key(&accepted.id))
            .map(|accepted| (accepted.id, accepted.done.clone()))
            .collect();
        if !self.write(&batch.changes, &fresh) {
            self.world = (*before).clone();
            self.undo(&batch.prepared);
            for accepted in batch.accepted {
                let refusal = refuse(ViosMessage::HostFailed).with("the database cannot be written");
                let _ = accepted.reply.send(Err(refusal.into()));
            }
            return;
        }
        for (id, done) in fresh {
            self.remember(id, done);
        }
        self.publish();
        self.act(&before, &batch.changes, batch.effects);
        for accepted in batch.accepted {
            let _ = accepted.reply.send(Ok(accepted.done));
        }
    }

    fn remember(&mut self, id: RequestId, done: ViosDone) {
        self.answers.insert(id, done);
        self.answer_order.push_back(id);
        while self.answer_order.len() > REQUESTS_KEPT {
            if let Some(oldest) = self.answer_order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }

    /// Records what is decided by the server itself; a failing database leaves the state in memory true.
    fn record(&mut self, draft: Draft) {
        let before = self.host.published.load_full();
        self.world = draft.world;
        self.write(&draft.changes, &[]);
        self.publish();
        self.act(&before, &draft.changes, draft.effects);
    }

    // Acting.

    fn act(&mut self, before: &Snapshot, changes: &[Change], effects: Vec<Effect>) {
        if changes.iter().any(network::concerns) {
            self.configure_network();
        }
        for effect in effects {
            match effect {
                Effect::Files => self.settle_files(changes),
                Effect::Uploaded(name) => self.host.files.uploaded(&name),
                Effect::Close(targets) => targets.iter().for_each(|target| self.host.close(target)),
                Effect::Reserve(disk) => {
                    if let Err(error) = self.host.reserve(&self.world, &disk) {
                        eprintln!("vios: {disk} is not reserved: {error}");
                    }
                }
                Effect::Release(disk) => self.host.release(before, &disk),
                Effect::Header { disk, header } => {
                    if let Err(error) = self.host.write_header(before, &disk, header) {
                        eprintln!("vios: the first block of {disk} is written at the next start: {error}");
                    }
                }
                Effect::Login(slot) => self.log_in(slot),
                Effect::ResetStatistics(device) => self.network.reset_statistics(&device),
                Effect::ResetAccounting(device) => self.network.reset_accounting(&device),
                Effect::Shutdown { force, restart } => self.shutdown.shutdown_requested(force, restart),
            }
        }
    }

    /// Tells the network engine what the devices are to be now, where that is news.
    fn configure_network(&mut self) {
        let wanted = network::configuration(&self.world);
        if wanted != self.configured {
            self.configured = wanted.clone();
            self.network.configure(wanted);
        }
    }

    fn network_events(&mut self, events: &[ServerNetworkEvent]) {
        if events.is_empty() || self.world.running.is_none() {
            return;
        }
        let mut draft = Draft::new(&self.world);
        decide::network_events(&mut draft, events, self.now());
        if !draft.changes.is_empty() {
            self.record(draft);
        }
    }

    /// Carries out what was recorded about files. That it is done is recorded with the next transaction; until then the
    /// next opening does it again, which does nothing.
    fn settle_files(&mut self, changes: &[Change]) {
        let files = self.host.files.clone();
        for change in changes {
            let (path, result, settled) = match change {
                Change::PutFile(file) => {
                    let Some(staged) = &file.staged else { continue };
                    let path = decide::file_path(&file.pool, &file.name);
                    let settled = PoolFile { staged: None, ..(**file).clone() };
                    (path.clone(), files.place(staged, &path), Change::PutFile(Box::new(settled)))
                }
                Change::PutMedium(medium) => {
                    let Some(staged) = &medium.staged else { continue };
                    let path = decide::file_of_medium(&medium.name);
                    let settled = LibraryMedium { staged: None, ..(**medium).clone() };
                    (path.clone(), files.place(staged, &path), Change::PutMedium(Box::new(settled)))
                }
                Change::PutTrash(trash) => {
                    let path = trash.path.clone();
                    (path.clone(), files.remove(trash), Change::RemoveTrash(path))
                }
                Change::PutRenaming(renaming) => {
                    let path = renaming.to.clone();
                    (path.clone(), files.rename(renaming), Change::RemoveRenaming(path))
                }
                _ => continue,
            };
            match result {
                Ok(()) => {
                    // A later change of the same batch may have removed it again.
                    if self.still_there(&settled) {
                        self.world.apply(settled.clone());
                        self.settled.push(settled);
                    }
                }
                Err(error) => eprintln!("vios: {path}: {error}"),
            }
        }
        self.publish();
    }

    fn still_there(&self, settled: &Change) -> bool {
        match settled {
            Change::PutFile(file) => {
                let key = (file.pool.clone(), file.name.clone());
                self.world.files.get(&key).is_some_and(|present| present.megabytes == file.megabytes)
            }
            Change::PutMedium(medium) => {
                self.world.media.get(&medium.name).is_some_and(|present| present.bytes == medium.bytes)
            }
            _ => true,
        }
    }

    // The server's own life.

    fn boot(&mut self, specification: &ViosSpecification) -> Result<(), String> {
        self.host.end();
        self.host.install(specification).map_err(|error| error.to_string())?;
        let found = Some(self.host.look(&self.world, specification, true));
        let is_open = |_: &DeviceName| false;
        let facts = Facts {
            now: self.now(),
            random: self.random(),
            is_open: &is_open,
            headers: BTreeMap::new(),
            files: BTreeMap::new(),
            library: Vec::new(),
            found,
        };
        let mut draft = Draft::new(&self.world);
        decide::boot(&mut draft, specification, &facts);
        for step in std::mem::take(&mut draft.prepare) {
            if let Err(refusal) = self.prepare_step(&draft.world, &step) {
                return Err(refusal.to_string());
            }
        }
        if !self.write(&draft.changes, &[]) {
            return Err("the database cannot be written".to_owned());
        }
        let before = self.host.published.load_full();
        self.world = draft.world;
        self.publish();
        self.host.begin();
        self.act(&before, &draft.changes, draft.effects);
        self.next_check = Some(self.host.environment.monotonic().after(self.check_every));
        Ok(())
    }

    fn stop(&mut self, orderly: bool) {
        self.host.end();
        self.next_check = None;
        let names: Vec<_> =
            self.world.connected.values().flat_map(|connected| connected.logged_in.clone()).collect();
        let ports: Vec<_> =
            self.world.ports.iter().map(|(name, _)| varan_model::ids::WorldWidePortName(*name)).collect();
        let mut draft = Draft::new(&self.world);
        decide::stopped(&mut draft, orderly, self.now());
        self.record(draft);
        for name in names.into_iter().chain(ports) {
            self.host.array.logout(name);
        }
    }

    fn adapter(&mut self, change: &AdapterChange) -> Result<(), Vec<String>> {
        if self.world.running.is_none() {
            return Err(vec!["The operating system does not respond.".to_owned()]);
        }
        let host = self.host.clone();
        let is_open = move |target: &DeviceName| host.is_open(target);
        let facts = Facts {
            now: self.now(),
            random: self.random(),
            is_open: &is_open,
            headers: BTreeMap::new(),
            files: BTreeMap::new(),
            library: Vec::new(),
            found: None,
        };
        let mut draft = Draft::new(&self.world);
        decide::adapter_added(&mut draft, change);
        decide::adapter_removed(&mut draft, change, &facts)?;
        self.record(draft);
        Ok(())
    }

    fn client(
        &mut self,
        slot: u16,
        connected: Option<Box<Connected>>,
        last: Option<Box<LastClient>>,
    ) -> Result<(), StorageError> {
        if self.world.running.is_none() {
            return Err(StorageError::NotServing);
        }
        let mut draft = Draft::new(&self.world);
        if let Some(last) =
            last.filter(|last| draft.world.last_clients.get(&slot).map(|present| &**present) != Some(&**last))
        {
            draft.change(Change::LastClient(slot, Some(last)));
        }
        draft.change(Change::Connected(slot, connected));
        self.record(draft);
        Ok(())
    }

    /// A client whose adapter was mapped to another port logs in there.
    fn log_in(&mut self, slot: u16) {
        let Some(connected) = self.world.connected.get(&slot).cloned() else { return };
        let next = crate::serve::log_in(&self.host, &self.world, slot, &connected.client, &connected.names);
        if let Ok(next) = next {
            let mut draft = Draft::new(&self.world);
            draft.change(Change::Connected(slot, Some(Box::new(next))));
            self.record(draft);
        }
    }

    // Paths.

    fn path_events(&mut self, events: &[PathEvent]) {
        if events.is_empty() || self.world.running.is_none() {
            return;
        }
        let mut draft = Draft::new(&self.world);
        decide::path_events(&mut draft, events, self.now());
        if !draft.changes.is_empty() {
            self.record(draft);
        }
    }

    fn check(&mut self) {
        if self.world.running.is_none() {
            return;
        }
        // What became of files is recorded at the latest now.
        self.write(&[], &[]);
        let events = self.host.check_paths(&self.world);
        self.path_events(&events);
        self.check_clients();
        self.next_check = Some(self.host.environment.monotonic().after(self.check_every));
    }

    /// Clients whose port was lost are logged out here, and logged in again when it is back.
    fn check_clients(&mut self) {
        let mut draft = Draft::new(&self.world);
        let clients: Vec<(u16, Arc<Connected>)> =
            self.world.connected.iter().map(|(slot, connected)| (*slot, connected.clone())).collect();
        for (slot, connected) in &clients {
            let Some(first) = connected.logged_in.first() else { continue };
            if self.host.array.report_units(*first).is_err() {
                decide::names_lost(&mut draft, *slot, self.now());
            }
        }
        if !draft.changes.is_empty() {
            self.record(draft);
        }
        for (slot, connected) in clients {
            let now = self.world.connected.get(&slot).map_or(0, |now| now.logged_in.len());
            if now < connected.names.len() {
                self.log_in(slot);
            }
        }
    }
}

/// Writes bytes that need not lie at blocks, as a device file takes them.
fn write_any(
    device: &dyn varan_contract::block::BlockDevice,
    offset: u64,
    data: &[u8],
) -> Result<(), BlockError> {
    let alignment = u64::from(device.geometry().alignment.max(1));
    let start = offset - offset % alignment;
    let end = (offset + data.len() as u64).next_multiple_of(alignment);
    let length = usize::try_from(end - start).map_err(|_| BlockError::OutOfRange)?;
    if start == offset && length == data.len() {
        return device.write_at(offset, data, true);
    }
    let mut block = device.read_at(start, length)?;
    let at = usize::try_from(offset - start).map_err(|_| BlockError::OutOfRange)?;
    block[at..at + data.len()].copy_from_slice(data);
    device.write_at(start, &block, true)
}

fn host_error(error: std::io::Error) -> ViosRefusal {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::FileTooLarge => refuse(ViosMessage::NoSpace),
        _ => refuse(ViosMessage::HostFailed).with(error),
    }
}

fn disk_error(disk: &DeviceName, error: &BlockError) -> ViosRefusal {
    match error {
        BlockError::ReservationConflict => refuse(ViosMessage::ReservationConflict).with(disk),
        _ => refuse(ViosMessage::DiskError),
    }
}
