//! A unit of the storage network as the server has it open: over one of its ports, and over another when that one fails.
//!
//! ```text
//!            answer                             all waiting requests again, in their order
//!  open ----------------> open         .-------------------------------------------.
//!   |   the port's link fails           v                                          |
//!   '-------------------------------> moving: revoke what the old port may do, -----' open on another port
//!                                       |
//!                                       '---- no port left ----> every request fails with `Gone`; the next one tries again
//! ```
//!
//! What was sent through the old port is revoked at the array before anything is sent through another, so that a request
//! that hangs somewhere cannot take effect after a later one. Moving happens on a thread of the server's, never where a
//! completion runs. Two writes that overlap and are both under way when a port fails may take effect in either order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Buffer, Completion, Geometry, Nexus, QueueFull, Udid,
};
use varan_contract::storage::{StorageArray, StorageError, generation_at_array};
use varan_model::ids::WorldWidePortName;
use varan_model::vios::DeviceName;

/// Requests that wait for another port at most.
const WAITING_MAX: usize = 256;

/// Ports that are tried one after the other for the same requests, each time because the one before failed too.
const MOVES_MAX: usize = 16;

/// How often all ports are tried before the requests fail.
const ROUNDS: u32 = 4;

/// What a unit's ports are, and who hears of them.
pub(crate) trait Ports: Send + Sync {
    /// Numbers of the paths that may be used, with their ports; the one to use first comes first, those that failed last.
    fn usable(&self, disk: &DeviceName) -> Vec<(u32, WorldWidePortName)>;
    /// A path works, perhaps again.
    fn works(&self, disk: &DeviceName, path: u32);
    /// A path failed.
    fn failed(&self, disk: &DeviceName, path: u32);
    /// The unit is used through another port now: a reservation moves there.
    fn moved(&self, disk: &DeviceName, port: WorldWidePortName) -> Result<(), StorageError>;
}

struct Waiting {
    sequence: u64,
    request: BlockRequest,
    completion: Completion,
}

struct Current {
    /// How often the server moved to another port.
    attempt: u16,
    path: Option<(u32, Arc<dyn BlockDevice>)>,
    moving: bool,
    /// Something came back that has to be sent again.
    lost: bool,
    /// Requests that were answered so far.
    ended: u64,
    under_way: usize,
    sequence: u64,
    waiting: VecDeque<Waiting>,
}

/// A unit over several ports.
pub(crate) struct MultipathDevice {
    disk: DeviceName,
    unit: Udid,
    nexus: Nexus,
    geometry: Geometry,
    array: Arc<dyn StorageArray>,
    ports: Arc<dyn Ports>,
    mover: Sender<Weak<MultipathDevice>>,
    current: Mutex<Current>,
    room: Condvar,
    this: Weak<MultipathDevice>,
}

/// The thread that moves units to other ports.
pub(crate) fn start_mover() -> std::io::Result<Sender<Weak<MultipathDevice>>> {
    let (sender, receiver): (_, Receiver<Weak<MultipathDevice>>) = channel();
    let run = move || {
        for device in receiver {
            if let Some(device) = device.upgrade() {
                device.move_on();
            }
        }
    };
    std::thread::Builder::new().name("vios paths".to_owned()).spawn(run)?;
    Ok(sender)
}

/// A copy to send again; what cannot change the unit or is small is copied as it is.
fn copy(request: &BlockRequest) -> BlockRequest {
    match request {
        BlockRequest::Read { offset, buffer } => {
            BlockRequest::Read { offset: *offset, buffer: Buffer::zeroed(buffer.len()) }
        }
        BlockRequest::Write { offset, data, force_unit_access } => BlockRequest::Write {
            offset: *offset,
            data: Buffer::from(&data[..]),
            force_unit_access: *force_unit_access,
        },
        BlockRequest::Flush => BlockRequest::Flush,
        BlockRequest::Trim { offset, length, force_unit_access } => {
            BlockRequest::Trim { offset: *offset, length: *length, force_unit_access: *force_unit_access }
        }
        BlockRequest::WriteZeroes { offset, length, may_trim, force_unit_access, only_fast } => {
            BlockRequest::WriteZeroes {
                offset: *offset,
                length: *length,
                may_trim: *may_trim,
                force_unit_access: *force_unit_access,
                only_fast: *only_fast,
            }
        }
        BlockRequest::BlockStatus { offset, length, limit } => {
            BlockRequest::BlockStatus { offset: *offset, length: *length, limit: *limit }
        }
    }
}

/// Opens a unit through a port of the server's, which may have lost its log-in with its link.
fn open_through(
    array: &dyn StorageArray,
    port: WorldWidePortName,
    unit: &Udid,
    nexus: &Nexus,
) -> Result<Arc<dyn BlockDevice>, StorageError> {
    array.login(port, port)?;
    array.open(port, unit, nexus)
}

/// What a device is opened with.
pub(crate) struct Opening {
    pub(crate) disk: DeviceName,
    pub(crate) unit: Udid,
    pub(crate) nexus: Nexus,
    pub(crate) array: Arc<dyn StorageArray>,
    pub(crate) ports: Arc<dyn Ports>,
    pub(crate) mover: Sender<Weak<MultipathDevice>>,
}

impl MultipathDevice {
    /// Opens a unit through the first port that reaches it.
    pub(crate) fn open(opening: Opening) -> Result<Arc<Self>, StorageError> {
        let Opening { disk, unit, nexus, array, ports, mover } = opening;
        let mut refused = StorageError::LinkDown;
        for (path, port) in ports.usable(&disk) {
            let at_array = Nexus { generation: generation_at_array(nexus.generation, 0), ..nexus.clone() };
            match open_through(&*array, port, &unit, &at_array) {
                Ok(device) => {
                    ports.works(&disk, path);
                    let current = Current {
                        attempt: 0,
                        path: Some((path, device.clone())),
                        moving: false,
                        lost: false,
                        ended: 0,
                        under_way: 0,
                        sequence: 0,
                        waiting: VecDeque::new(),
                    };
                    let geometry = device.geometry();
                    return Ok(Arc::new_cyclic(|this| Self {
                        disk,
                        unit,
                        nexus,
                        geometry,
                        array,
                        ports,
                        mover,
                        current: Mutex::new(current),
                        room: Condvar::new(),
                        this: this.clone(),
                    }));
                }
                Err(error @ (StorageError::LinkDown | StorageError::NoSuchUnit))
                | Err(error @ StorageError::Block(BlockError::Gone)) => {
                    ports.failed(&disk, path);
                    refused = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the unit moved to another port, where nobody does it yet.
    fn ask_to_move(&self, current: &mut Current) {
        if !current.moving {
            current.moving = true;
            // The thread ends with the server, and its requests then too.
            let _ = self.mover.send(self.this.clone());
        }
    }

    /// Sends a request; `again` while the unit is being moved, when everything else waits.
    fn send(
        self: &Arc<Self>,
        sequence: u64,
        request: BlockRequest,
        completion: Completion,
        again: bool,
    ) -> Result<(), QueueFull> {
        let (device, attempt) = {
            let mut current = self.lock();
            let free = again || !current.moving;
            let usable = current.path.as_ref().filter(|_| free).map(|(_, device)| device.clone());
            let Some(device) = usable else {
                if !again && current.waiting.len() >= WAITING_MAX {
                    return Err(QueueFull { request, completion });
                }
                current.waiting.push_back(Waiting { sequence, request, completion });
                self.ask_to_move(&mut current);
                return Ok(());
            };
            current.under_way += 1;
            (device, current.attempt)
        };
        let spare = copy(&request);
        let slot = Arc::new(Mutex::new(Some(completion)));
        let (taken, this) = (slot.clone(), self.clone());
        let result = device.submit(
            request,
            Box::new(move |result| {
                let completion = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(completion) = completion {
                    this.ended(sequence, attempt, spare, result, completion);
                }
            }),
        );
        let Err(full) = result else { return Ok(()) };
        let completion = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.lock().under_way -= 1;
        self.room.notify_all();
        match completion {
            Some(completion) => Err(QueueFull { request: full.request, completion }),
            None => Ok(()),
        }
    }

    fn ended(
        &self,
        sequence: u64,
        attempt: u16,
        spare: BlockRequest,
        result: Result<BlockAnswer, BlockError>,
        completion: Completion,
    ) {
        let mut current = self.lock();
        current.under_way -= 1;
        let moved_on = attempt < current.attempt || current.moving;
        let retry = match &result {
            Err(BlockError::Gone) => true,
            // The server's own reservation is on another of its ports meanwhile.
            Err(BlockError::ReservationConflict) => {
                let first = self.ports.usable(&self.disk).first().map(|(path, _)| *path);
                current.path.as_ref().is_some_and(|(path, _)| first != Some(*path))
            }
            Err(BlockError::Revoked) => moved_on,
            _ => false,
        };
        if retry {
            current.waiting.push_back(Waiting { sequence, request: spare, completion });
            current.lost = true;
            self.ask_to_move(&mut current);
            drop(current);
            self.room.notify_all();
            return;
        }
        current.ended += 1;
        drop(current);
        self.room.notify_all();
        completion(result);
    }

    /// Moves to another port, then sends what waits; again as often as the new port fails too.
    fn move_on(self: &Arc<Self>) {
        let (mut fruitless, mut ended) = (0, self.lock().ended);
        while fruitless < MOVES_MAX {
            if !self.move_once() {
                return self.give_up();
            }
            if self.send_waiting() {
                self.room.notify_all();
                return;
            }
            // Ports may come and go for long while requests get through between.
            let before = std::mem::replace(&mut ended, self.lock().ended);
            fruitless = if before == ended { fruitless + 1 } else { 0 };
        }
        self.lock().path = None;
        self.give_up();
    }

    /// Ends the move. Where no port is left, whatever waits fails.
    fn give_up(&self) {
        let mut current = self.lock();
        current.moving = false;
        let failed: Vec<Waiting> =
            if current.path.is_none() { current.waiting.drain(..).collect() } else { Vec::new() };
        drop(current);
        self.room.notify_all();
        for one in failed {
            (one.completion)(Err(BlockError::Gone));
        }
    }

    /// Opens the unit on another port; false when none is left.
    fn move_once(&self) -> bool {
        let (attempt, old) = {
            let mut current = self.lock();
            current.lost = false;
            (current.attempt, current.path.as_ref().map(|(number, _)| *number))
        };
        if let Some(path) = old {
            self.ports.failed(&self.disk, path);
        }
        // Where the last try found no port, nothing was sent under its generation.
        let next = if old.is_some() { attempt.checked_add(1) } else { Some(attempt) };
        let opened = next.and_then(|next| self.reopen(next, old));
        let mut current = self.lock();
        // What was revoked has ended at the array; its completions may still be on their way here.
        while current.under_way > 0 {
            current = self.room.wait(current).unwrap_or_else(PoisonError::into_inner);
        }
        current.attempt = next.unwrap_or(attempt);
        current.lost = false;
        current.path = opened;
        current.path.is_some()
    }

    /// Sends what waits, in its order, until nothing is left; false when something came back.
    fn send_waiting(self: &Arc<Self>) -> bool {
        loop {
            let mut waiting: Vec<Waiting> = {
                let mut current = self.lock();
                if current.lost {
                    return false;
                }
                if current.waiting.is_empty() {
                    current.moving = false;
                    return true;
                }
                current.waiting.drain(..).collect()
            };
            self.room.notify_all();
            waiting.sort_by_key(|one| one.sequence);
            for one in waiting {
                let mut rest = (one.request, one.completion);
                while let Err(full) = self.send(one.sequence, rest.0, rest.1, true) {
                    let device = self.lock().path.as_ref().map(|(_, device)| device.clone());
                    if let Some(device) = device {
                        device.wait_for_room();
                    }
                    rest = (full.request, full.completion);
                }
            }
        }
    }

    fn reopen(&self, attempt: u16, old: Option<u32>) -> Option<(u32, Arc<dyn BlockDevice>)> {
        let minimum = generation_at_array(self.nexus.generation, attempt);
        self.array.revoke(&self.unit, &self.nexus, minimum).ok()?;
        let nexus = Nexus { generation: minimum, ..self.nexus.clone() };
        // A port may come back while another one is tried.
        for _ in 0..ROUNDS {
            let mut ports = self.ports.usable(&self.disk);
            // The port that failed is tried last: it may be the only one, and back.
            ports.sort_by_key(|(path, _)| Some(*path) == old);
            for (path, port) in ports {
                match self.open_on(port, &nexus) {
                    Ok(device) => {
                        self.ports.works(&self.disk, path);
                        return Some((path, device));
                    }
                    Err(_) => self.ports.failed(&self.disk, path),
                }
            }
        }
        None
    }

    /// Opens the unit through a port, with its reservation.
    fn open_on(&self, port: WorldWidePortName, nexus: &Nexus) -> Result<Arc<dyn BlockDevice>, StorageError> {
        // A reservation can only move to a port that is logged in.
        self.array.login(port, port)?;
        self.ports.moved(&self.disk, port)?;
        self.array.open(port, &self.unit, nexus)
    }
}

impl BlockDevice for MultipathDevice {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if let Err(error) = request.check(&self.geometry) {
            completion(Err(error));
            return Ok(());
        }
        let Some(this) = self.this.upgrade() else {
            completion(Err(BlockError::Gone));
            return Ok(());
        };
        let sequence = {
            let mut current = self.lock();
            current.sequence += 1;
            current.sequence
        };
        this.send(sequence, request, completion, false)
    }

    fn wait_for_room(&self) {
        let device = {
            let mut current = self.lock();
            while current.moving && current.waiting.len() >= WAITING_MAX {
                current = self.room.wait(current).unwrap_or_else(PoisonError::into_inner);
            }
            current.path.as_ref().map(|(_, device)| device.clone())
        };
        if let Some(device) = device {
            device.wait_for_room();
        }
    }
}
