//! Carries out what guests want done with disks of Virtual I/O Servers.
//!
//! Log-ins, openings and revocations may take as long as a server that hangs, so threads of their own do them, one at a
//! time for each server of a guest's: a server that hangs holds up one thread and whoever asks it. Reads and writes are
//! handed to the device and answered from its driver's thread.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};

use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Buffer, Nexus, PathName, QueueFull,
};
use varan_contract::engine::{DeviceAdapterKind, GuestDeviceAdapter, ServerConsole};
use varan_contract::storage::{StorageClient, StorageError, StorageFabric, StorageServer};
use varan_model::ids::{PartitionId, VirtualSlot, WorldWidePortName};

use super::scheduler::Shared;
use super::slot::Slot;
use crate::guest::{Input, StorageAsker};
use crate::lock;
use crate::storage::{Answer, Command, Operation, SeenUnit, UnitKey};

/// What a guest's storage needs to know of the guest.
#[derive(Default)]
pub(super) struct GuestStorage {
    /// Units that are open.
    open: Mutex<HashMap<(VirtualSlot, UnitKey), Arc<dyn BlockDevice>>>,
    /// Servers that the guest logged in to.
    connected: Mutex<HashSet<(PartitionId, VirtualSlot)>>,
}

struct Job {
    slot: Arc<Slot>,
    asker: StorageAsker,
    server: PartitionId,
    command: Command,
}

/// A line of a Virtual I/O Server's user.
struct Line {
    slot: Arc<Slot>,
    root: bool,
    line: String,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// At most one for each guest.
    lines: VecDeque<Line>,
    /// Servers that a thread is asking now.
    busy: HashSet<PartitionId>,
    shutting_down: bool,
}

/// The queue of the engine's storage threads.
#[derive(Default)]
pub(super) struct StorageWork {
    fabric: OnceLock<Arc<dyn StorageFabric>>,
    console: OnceLock<Arc<dyn ServerConsole>>,
    queue: Mutex<Queue>,
    work: Condvar,
}

impl Queue {
    /// The first job whose server nobody asks now.
    fn next(&mut self) -> Option<Job> {
        let position = self.jobs.iter().position(|job| !self.busy.contains(&job.server))?;
        let job = self.jobs.remove(position)?;
        self.busy.insert(job.server);
        Some(job)
    }
}

impl StorageWork {
    pub(super) fn attach(&self, fabric: Arc<dyn StorageFabric>) {
        // The first one stays: guests may be using it.
        let _ = self.fabric.set(fabric);
    }

    pub(super) fn attach_console(&self, console: Arc<dyn ServerConsole>) {
        // As above.
        let _ = self.console.set(console);
    }

    /// Takes a line of a Virtual I/O Server's user.
    pub(super) fn run_line(&self, slot: &Arc<Slot>, root: bool, line: String) {
        lock(&self.queue).lines.push_back(Line { slot: Arc::clone(slot), root, line });
        self.work.notify_one();
    }

    fn finish_line(&self, shared: &Shared, line: &Line) {
        let console = self.console.get();
        let output = console.and_then(|console| console.run(line.slot.partition, line.root, &line.line));
        shared.post(&line.slot, shared.now(), Input::ConsoleAnswered(output));
    }

    pub(super) fn shut_down(&self) {
        lock(&self.queue).shutting_down = true;
        self.work.notify_all();
    }

    /// A storage thread's life.
    pub(super) fn work(&self, shared: &Shared) {
        let mut queue = lock(&self.queue);
        while !queue.shutting_down {
            if let Some(job) = queue.next() {
                drop(queue);
                queue = self.finish(shared, job);
            } else if let Some(line) = queue.lines.pop_front() {
                drop(queue);
                self.finish_line(shared, &line);
                queue = lock(&self.queue);
            } else {
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Does one waiting job on the calling thread; false when there is none.
    pub(super) fn step(&self, shared: &Shared) -> bool {
        let line = lock(&self.queue).lines.pop_front();
        if let Some(line) = line {
            self.finish_line(shared, &line);
            return true;
        }
        let job = lock(&self.queue).next();
        job.is_some_and(|job| {
            drop(self.finish(shared, job));
            true
        })
    }

    fn finish(&self, shared: &Shared, job: Job) -> std::sync::MutexGuard<'_, Queue> {
        let server = job.server;
        let (slot, answer) = self.do_job(job);
        shared.post(&slot, shared.now(), Input::Storage(answer));
        let mut queue = lock(&self.queue);
        queue.busy.remove(&server);
        self.work.notify_one();
        queue
    }

    /// Takes a command of a guest; all but requests need to know who asks.
    pub(super) fn carry_out(
        &self,
        shared: &Weak<Shared>,
        slot: &Arc<Slot>,
        asker: Option<&StorageAsker>,
        command: Command,
    ) {
        if let Command::Submit { tag, adapter, unit, operation } = command {
            submit(shared, slot, tag, (adapter, unit), operation);
            return;
        }
        let Some(asker) = asker else { return };
        let adapter = match &command {
            Command::Connect { adapter } | Command::Open { adapter, .. } => *adapter,
            Command::Revoke { via, .. } => *via,
            Command::Submit { .. } => return,
        };
        let server = asker.remote(adapter).map_or(PartitionId(0), |(server, _)| server);
        let job = Job { slot: Arc::clone(slot), asker: asker.clone(), server, command };
        lock(&self.queue).jobs.push_back(job);
        self.work.notify_one();
    }

    fn do_job(&self, job: Job) -> (Arc<Slot>, Answer) {
        let Job { slot, asker, command, .. } = job;
        let answer = match command {
            Command::Connect { adapter } => {
                Answer::Connected { adapter, result: self.connect(&slot, &asker, adapter) }
            }
            Command::Open { adapter, unit, generation } => {
                let result = self.nexus(&asker, adapter, generation).and_then(|nexus| {
                    let device = self.open(&asker, adapter, &unit, &nexus)?;
                    lock(&slot.storage.open).insert((adapter, unit.clone()), device);
                    Ok(())
                });
                Answer::Opened { adapter, unit, generation, result }
            }
            Command::Revoke { via, udid, of, minimum } => {
                let result = self.nexus(&asker, of, minimum).and_then(|nexus| {
                    let (server, _, _) = self.server(&asker, via)?;
                    server.revoke(&udid, &nexus, minimum)
                });
                if result.is_ok() {
                    lock(&slot.storage.open).retain(|(adapter, _), _| *adapter != of);
                }
                Answer::Revoked { udid, of, minimum, result }
            }
            Command::Submit { tag, .. } => Answer::Done { tag, result: Err(BlockError::Gone) },
        };
        (slot, answer)
    }

    fn nexus(
        &self,
        asker: &StorageAsker,
        adapter: VirtualSlot,
        generation: varan_contract::block::PathGeneration,
    ) -> Result<Nexus, StorageError> {
        let fabric = self.fabric.get().ok_or(StorageError::NotServing)?;
        let (server, server_slot) = asker.remote(adapter).ok_or(StorageError::NotServing)?;
        let path: PathName =
            format!("v{server}.c{server_slot}").parse().map_err(|_| StorageError::NotServing)?;
        let client = asker.client.partition;
        Ok(Nexus { client, epoch: fabric.right_to_run(client)?, path, generation })
    }

    #[allow(clippy::type_complexity)]
    fn server<'a>(
        &self,
        asker: &'a StorageAsker,
        adapter: VirtualSlot,
    ) -> Result<(Arc<dyn StorageServer>, VirtualSlot, &'a GuestDeviceAdapter), StorageError> {
        let fabric = self.fabric.get().ok_or(StorageError::NotServing)?;
        let known = asker.adapter(adapter).ok_or(StorageError::NotServing)?;
        let (server, slot) = known.remote.ok_or(StorageError::NotServing)?;
        Ok((fabric.server(server).ok_or(StorageError::NotServing)?, slot, known))
    }

    fn connect(
        &self,
        slot: &Slot,
        asker: &StorageAsker,
        adapter: VirtualSlot,
    ) -> Result<Vec<SeenUnit>, StorageError> {
        let (server, server_slot, known) = self.server(asker, adapter)?;
        let client =
            StorageClient { slot: adapter, device: asker.device_name(known), ..asker.client.clone() };
        let remote = known.remote.map_or(PartitionId(0), |(server, _)| server);
        match (known.kind, known.port_name) {
            (DeviceAdapterKind::FibreChannel, Some(name)) => {
                server.connect_fibre_channel(server_slot, &client, &[name])?;
                lock(&slot.storage.connected).insert((remote, server_slot));
                fabric_units(&*server, server_slot, name)
            }
            (DeviceAdapterKind::Scsi, _) => {
                server.connect_scsi(server_slot, &client)?;
                lock(&slot.storage.connected).insert((remote, server_slot));
                let units = server.served_units(server_slot)?.into_iter();
                Ok(units
                    .map(|unit| SeenUnit {
                        key: UnitKey::Lun(unit.lun),
                        udid: unit.udid,
                        bytes: unit.bytes,
                        kind: unit.kind,
                    })
                    .collect())
            }
            _ => Err(StorageError::NotServing),
        }
    }

    fn open(
        &self,
        asker: &StorageAsker,
        adapter: VirtualSlot,
        unit: &UnitKey,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let (server, server_slot, known) = self.server(asker, adapter)?;
        match (unit, known.port_name) {
            (UnitKey::Lun(lun), _) => server.open_unit(server_slot, *lun, nexus),
            (UnitKey::Fabric(udid), Some(name)) => server.open_fabric_unit(server_slot, name, udid, nexus),
            (UnitKey::Fabric(_), None) => Err(StorageError::NoSuchUnit),
        }
    }

    /// The guest is off: its servers are told, on threads of their own because they may hang.
    pub(super) fn release(&self, slot: &Slot) {
        lock(&slot.storage.open).clear();
        let connected: Vec<_> = lock(&slot.storage.connected).drain().collect();
        let Some(fabric) = self.fabric.get() else { return };
        for (server, server_slot) in connected {
            if let Some(server) = fabric.server(server) {
                server.disconnect(server_slot, slot.partition);
            }
        }
    }
}

fn fabric_units(
    server: &dyn StorageServer,
    slot: VirtualSlot,
    name: WorldWidePortName,
) -> Result<Vec<SeenUnit>, StorageError> {
    let mut units: Vec<SeenUnit> = Vec::new();
    for unit in server.fabric_units(slot, name)? {
        // Several storage ports show the same unit; the server's own multipathing is not the client's concern here.
        if !units.iter().any(|known| known.udid == unit.udid) {
            units.push(SeenUnit {
                key: UnitKey::Fabric(unit.udid.clone()),
                udid: unit.udid,
                bytes: unit.bytes,
                kind: varan_contract::storage::ServedKind::Disk,
            });
        }
    }
    Ok(units)
}

impl StorageAsker {
    fn adapter(&self, slot: VirtualSlot) -> Option<&GuestDeviceAdapter> {
        self.adapters.iter().find(|adapter| adapter.slot == slot)
    }

    fn remote(&self, slot: VirtualSlot) -> Option<(PartitionId, VirtualSlot)> {
        self.adapter(slot)?.remote
    }

    /// The name that a client's device has: its place among the client adapters of its kind.
    fn device_name(&self, adapter: &GuestDeviceAdapter) -> String {
        let same = self.adapters.iter().filter(|other| other.kind == adapter.kind && !other.server);
        let number = same.take_while(|other| other.slot != adapter.slot).count();
        let prefix = if adapter.kind == DeviceAdapterKind::FibreChannel { "fcs" } else { "vscsi" };
        format!("{prefix}{number}")
    }
}

fn submit(
    shared: &Weak<Shared>,
    slot: &Arc<Slot>,
    tag: u64,
    unit: (VirtualSlot, UnitKey),
    operation: Operation,
) {
    let device = lock(&slot.storage.open).get(&unit).cloned();
    let (answer_to, target) = (Weak::clone(shared), Arc::clone(slot));
    let completion = move |result: Result<BlockAnswer, BlockError>| {
        let result = result.map(|answer| match answer {
            BlockAnswer::Data(buffer) => buffer.to_vec(),
            _ => Vec::new(),
        });
        if let Some(shared) = answer_to.upgrade() {
            shared.post(&target, shared.now(), Input::Storage(Answer::Done { tag, result }));
        }
    };
    let Some(device) = device else { return completion(Err(BlockError::Gone)) };
    let request = match operation {
        Operation::Read { offset, length } => BlockRequest::Read { offset, buffer: Buffer::zeroed(length) },
        Operation::Write { offset, data } => {
            BlockRequest::Write { offset, data: Buffer::from(&data[..]), force_unit_access: false }
        }
    };
    if let Err(QueueFull { completion, .. }) = device.submit(request, Box::new(completion)) {
        completion(Err(BlockError::Busy));
    }
}
