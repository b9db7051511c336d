//! The client side of virtual SCSI and virtual Fibre Channel: finds units, opens paths, sends requests, moves them.

use std::time::Duration;

use varan_contract::block::{BlockError, PathGeneration, Udid};
use varan_contract::storage::StorageError;
use varan_environment::Monotonic;
use varan_model::ids::VirtualSlot;

use super::disk::{InFlight, Request, RequestNumber, Stage};
use super::{Answer, Command, Disk, Operation, Path, PathState, SeenUnit, UnitKey};

/// Requests of one disk under way at a time (`queue_depth` of a virtual SCSI disk is 3; the floor of newer levels).
const QUEUE_DEPTH: usize = 8;
/// Most requests of one disk that wait.
pub(crate) const WAITING: usize = 64;
/// How long a request may take before its path counts as failed (`rw_timeout`, 30 s).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Least value of the same: it detects failures, and `time_scale` does not divide it below this.
const REQUEST_TIMEOUT_FLOOR: Duration = Duration::from_secs(5);
/// How long a disk without any path, a revocation that failed or a busy device waits until it is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Most disks of one client.
pub(crate) const DISKS: usize = 256;

/// An adapter of the client.
#[derive(Clone, Debug)]
pub(crate) struct ClientAdapter {
    pub(crate) slot: VirtualSlot,
    /// Name of its device (`vscsi0`).
    pub(crate) device: String,
    connecting: bool,
}

/// Something that the operating system logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A path of this disk failed.
    PathFailed(String),
    /// A path of this disk works again.
    PathRecovered(String),
    /// A request of this disk failed for good.
    DiskError(String),
    /// A new disk, by name and identifier: the operating system remembers it.
    NewDisk(String, Udid),
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) number: RequestNumber,
    pub(crate) result: Result<Vec<u8>, BlockError>,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Initiator {
    adapters: Vec<ClientAdapter>,
    disks: Vec<Disk>,
    /// Names that disks had before, by identifier.
    known: Vec<(String, Udid)>,
    prefix: &'static str,
    timeout: Duration,
    next_generation: u64,
    next_tag: u64,
    next_request: u64,
    commands: Vec<Command>,
    notices: Vec<Notice>,
    finished: Vec<Finished>,
}

impl Initiator {
    /// A client without adapters. `first_generation` is above every generation that the client used before: paths of an
    /// earlier boot were perhaps revoked.
    pub(crate) fn new(
        prefix: &'static str,
        known: Vec<(String, Udid)>,
        first_generation: u64,
        time_scale: f64,
    ) -> Self {
        let timeout = REQUEST_TIMEOUT.div_f64(time_scale.max(1.0)).max(REQUEST_TIMEOUT_FLOOR);
        Self {
            adapters: Vec::new(),
            disks: Vec::new(),
            known,
            prefix,
            timeout,
            next_generation: first_generation,
            next_tag: 1,
            next_request: 1,
            commands: Vec::new(),
            notices: Vec::new(),
            finished: Vec::new(),
        }
    }

    pub(crate) fn adapters(&self) -> &[ClientAdapter] {
        &self.adapters
    }

    pub(crate) fn disks(&self) -> &[Disk] {
        &self.disks
    }

    pub(crate) fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name == name)
    }

    /// What is to be done, told and answered since the last call.
    pub(crate) fn take(&mut self) -> (Vec<Command>, Vec<Notice>, Vec<Finished>) {
        (
            std::mem::take(&mut self.commands),
            std::mem::take(&mut self.notices),
            std::mem::take(&mut self.finished),
        )
    }

    /// `cfgmgr`: looks behind these adapters for units; those that are gone are forgotten once nothing uses them.
    pub(crate) fn configure(&mut self, adapters: Vec<(VirtualSlot, String)>) {
        self.adapters.retain(|known| adapters.iter().any(|(slot, _)| *slot == known.slot));
        for (slot, device) in adapters {
            if !self.adapters.iter().any(|known| known.slot == slot) {
                self.adapters.push(ClientAdapter { slot, device, connecting: false });
            }
        }
        for number in 0..self.adapters.len() {
            self.connect(number);
        }
        let slots: Vec<VirtualSlot> = self.adapters.iter().map(|adapter| adapter.slot).collect();
        for disk in &mut self.disks {
            for path in &mut disk.paths {
                if !slots.contains(&path.adapter) && path.stage == Stage::Closed {
                    path.state = PathState::Missing;
                }
            }
        }
    }

    fn connect(&mut self, number: usize) {
        let adapter = &mut self.adapters[number];
        if !adapter.connecting {
            adapter.connecting = true;
            self.commands.push(Command::Connect { adapter: adapter.slot });
        }
    }

    fn connect_slot(&mut self, slot: VirtualSlot) {
        if let Some(number) = self.adapters.iter().position(|adapter| adapter.slot == slot) {
            self.connect(number);
        }
    }

    /// Asks for bytes of a disk; `None` when the disk is unknown or has too much waiting.
    pub(crate) fn submit(
        &mut self,
        now: Monotonic,
        disk: &str,
        operation: Operation,
    ) -> Option<RequestNumber> {
        let index = self.disks.iter().position(|known| known.name == disk)?;
        if self.disks[index].waiting.len() >= WAITING {
            return None;
        }
        let number = RequestNumber(self.next_request);
        self.next_request += 1;
        self.disks[index].waiting.push_back(Request { number, operation });
        self.dispatch(now, index);
        Some(number)
    }

    /// When [`Initiator::run_due`] is to be called.
    pub(crate) fn due(&self) -> Option<Monotonic> {
        self.disks.iter().filter_map(Disk::next_due).min()
    }

    /// Does what time has brought.
    pub(crate) fn run_due(&mut self, now: Monotonic) {
        for index in 0..self.disks.len() {
            self.expire(now, index);
            self.retry_revocations(now, index);
            let disk = &mut self.disks[index];
            if disk.retry_due.is_some_and(|due| due <= now) {
                disk.retry_due = None;
                self.retry_paths(index);
                self.dispatch(now, index);
            }
            let disk = &mut self.disks[index];
            if disk.health_check_due.is_some_and(|due| due <= now) {
                disk.health_check_due = None;
                self.retry_paths(index);
                self.plan_health_check(now, index);
            }
        }
    }

    fn expire(&mut self, now: Monotonic, index: usize) {
        let late: Vec<VirtualSlot> = self.disks[index]
            .in_flight
            .values()
            .filter(|request| request.due <= now)
            .map(|request| request.adapter)
            .collect();
        for adapter in late {
            self.fail_path(now, index, adapter);
        }
    }

    /// Takes an answer.
    pub(crate) fn answer(&mut self, now: Monotonic, answer: Answer) {
        match answer {
            Answer::Connected { adapter, result } => self.connected(now, adapter, result),
            Answer::Opened { adapter, unit, generation, result } => {
                self.opened(now, (adapter, &unit), generation, result);
            }
            Answer::Done { tag, result } => self.done(now, tag, result),
            Answer::Revoked { udid, of, minimum, result } => self.revoked(now, (&udid, of), minimum, result),
        }
    }

    fn connected(&mut self, now: Monotonic, slot: VirtualSlot, result: Result<Vec<SeenUnit>, StorageError>) {
        let Some(adapter) = self.adapters.iter_mut().find(|adapter| adapter.slot == slot) else { return };
        adapter.connecting = false;
        let Ok(units) = result else {
            for index in 0..self.disks.len() {
                self.plan_retry(now, index);
            }
            return;
        };
        for index in 0..self.disks.len() {
            let disk = &mut self.disks[index];
            let seen = units.iter().any(|unit| unit.udid == disk.udid);
            if let Some(path) = disk.path_mut(slot)
                && !seen
                && path.stage == Stage::Closed
            {
                path.state = PathState::Missing;
                path.wanted = false;
            }
        }
        for unit in units {
            self.seen(slot, unit);
        }
        for index in 0..self.disks.len() {
            self.open_wanted(index, slot);
            self.plan_retry(now, index);
        }
    }

    fn seen(&mut self, slot: VirtualSlot, unit: SeenUnit) {
        let index = match self.disks.iter().position(|disk| disk.udid == unit.udid) {
            Some(index) => index,
            None if self.disks.len() >= DISKS => return,
            None => self.add_disk(&unit),
        };
        let disk = &mut self.disks[index];
        disk.bytes = unit.bytes;
        match disk.path_mut(slot) {
            Some(path) => {
                if path.unit != unit.key && path.stage == Stage::Closed {
                    path.unit = unit.key;
                }
                if path.state == PathState::Missing {
                    path.state = PathState::Enabled;
                    path.wanted = true;
                }
            }
            None => {
                disk.paths.push(Path {
                    adapter: slot,
                    unit: unit.key,
                    state: PathState::Enabled,
                    stage: Stage::Closed,
                    generation: PathGeneration(0),
                    wanted: true,
                    revoke_due: None,
                    revocations: 0,
                });
                disk.paths.sort_by_key(|path| path.adapter);
            }
        }
    }

    fn add_disk(&mut self, unit: &SeenUnit) -> usize {
        let optical = unit.kind == varan_contract::storage::ServedKind::Optical;
        let known = self.known.iter().find(|(_, udid)| *udid == unit.udid).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let prefix = if optical { "cd" } else { self.prefix };
            let taken = |name: &String| {
                self.known.iter().any(|(known, _)| known == name)
                    || self.disks.iter().any(|disk| disk.name == *name)
            };
            let name = (0u32..).map(|number| disk_name(prefix, number)).find(|name| !taken(name));
            let name = name.unwrap_or_default();
            self.known.push((name.clone(), unit.udid.clone()));
            self.notices.push(Notice::NewDisk(name.clone(), unit.udid.clone()));
            name
        });
        self.disks.push(Disk {
            name,
            udid: unit.udid.clone(),
            bytes: unit.bytes,
            kind: unit.kind,
            paths: Vec::new(),
            health_check_seconds: 0,
            health_check_due: None,
            waiting: Default::default(),
            in_flight: Default::default(),
            retry_due: None,
        });
        self.disks.len() - 1
    }

    fn open_wanted(&mut self, index: usize, slot: VirtualSlot) {
        let generation = PathGeneration(self.next_generation);
        let Some(path) = self.disks[index].path_mut(slot) else { return };
        if path.wanted && path.stage == Stage::Closed && path.state != PathState::Disabled {
            path.wanted = false;
            path.stage = Stage::Opening;
            path.generation = generation;
            self.next_generation += 1;
            let unit = path.unit.clone();
            self.commands.push(Command::Open { adapter: slot, unit, generation });
        }
    }

    fn opened(
        &mut self,
        now: Monotonic,
        (slot, unit): (VirtualSlot, &UnitKey),
        generation: PathGeneration,
        result: Result<(), StorageError>,
    ) {
        let found = self.disks.iter().position(|disk| {
            disk.paths
                .iter()
                .any(|path| path.adapter == slot && path.unit == *unit && path.generation == generation)
        });
        let Some(index) = found else { return };
        if matches!(result, Err(StorageError::Block(BlockError::Revoked))) {
            // Somebody revoked more than this client knows of: its clock went back since an earlier boot.
            self.next_generation += 1 << 32;
        }
        let disk = &mut self.disks[index];
        let name = disk.name.clone();
        let Some(path) = disk.path_mut(slot) else { return };
        match result {
            Ok(()) => {
                path.stage = Stage::Open;
                if path.state == PathState::Failed {
                    path.state = PathState::Enabled;
                    self.notices.push(Notice::PathRecovered(name));
                }
                self.dispatch(now, index);
            }
            Err(_) => {
                path.stage = Stage::Closed;
                if path.state == PathState::Enabled {
                    path.state = PathState::Failed;
                    self.notices.push(Notice::PathFailed(name));
                }
                self.plan_retry(now, index);
            }
        }
        self.plan_health_check(now, index);
    }

    fn done(&mut self, now: Monotonic, tag: u64, result: Result<Vec<u8>, BlockError>) {
        // A late answer of a path that was given up has no request any more.
        let Some(index) = self.disks.iter().position(|disk| disk.in_flight.contains_key(&tag)) else {
            return;
        };
        let disk = &mut self.disks[index];
        match result {
            Err(BlockError::Gone | BlockError::Revoked | BlockError::ReservationConflict) => {
                let adapter = disk.in_flight[&tag].adapter;
                self.fail_path(now, index, adapter);
            }
            Err(BlockError::Busy) => {
                if let Some(in_flight) = disk.in_flight.remove(&tag) {
                    disk.waiting.push_front(in_flight.request);
                    disk.retry_due = Some(now.after(RETRY));
                }
            }
            result => {
                if let Some(in_flight) = disk.in_flight.remove(&tag) {
                    if result.is_err() {
                        self.notices.push(Notice::DiskError(disk.name.clone()));
                    }
                    self.finished.push(Finished { number: in_flight.request.number, result });
                }
                self.dispatch(now, index);
            }
        }
    }

    /// Gives a path up: what was under way on it is sent again elsewhere, once nothing of it can be written any more.
    fn fail_path(&mut self, now: Monotonic, index: usize, slot: VirtualSlot) {
        let disk = &mut self.disks[index];
        let name = disk.name.clone();
        let Some(path) = disk.path_mut(slot) else { return };
        if path.stage != Stage::Open {
            return;
        }
        path.stage = Stage::Revoking;
        path.revoke_due = None;
        path.revocations = 0;
        if path.state == PathState::Enabled {
            path.state = PathState::Failed;
            self.notices.push(Notice::PathFailed(name));
        }
        let tags: Vec<u64> = disk
            .in_flight
            .iter()
            .filter(|(_, request)| request.adapter == slot)
            .map(|(tag, _)| *tag)
            .collect();
        for tag in tags.into_iter().rev() {
            if let Some(in_flight) = disk.in_flight.remove(&tag) {
                disk.waiting.push_front(in_flight.request);
            }
        }
        self.revoke(index, slot);
        self.plan_health_check(now, index);
    }

    /// Asks for a path to be revoked, through another adapter where there is one: its own server is perhaps dead.
    fn revoke(&mut self, index: usize, slot: VirtualSlot) {
        let disk = &self.disks[index];
        let Some(path) = disk.paths.iter().find(|path| path.adapter == slot) else { return };
        let minimum = PathGeneration(path.generation.0 + 1);
        // The others first; each attempt asks through the next one, so that dead servers do not hide one that answers. The
        // path's own server comes last: it may have been started anew while all others are dead.
        let mut adapters: Vec<VirtualSlot> =
            disk.paths.iter().map(|path| path.adapter).filter(|other| *other != slot).collect();
        adapters.push(slot);
        let via = adapters[path.revocations % adapters.len()];
        let Some(path) = self.disks[index].path_mut(slot) else { return };
        path.revocations += 1;
        let disk = &self.disks[index];
        self.commands.push(Command::Revoke { via, udid: disk.udid.clone(), of: slot, minimum });
    }

    fn retry_revocations(&mut self, now: Monotonic, index: usize) {
        let mut again = Vec::new();
        for path in &mut self.disks[index].paths {
            if path.revoke_due.is_some_and(|due| due <= now) {
                path.revoke_due = None;
                again.push(path.adapter);
            }
        }
        for slot in again {
            self.revoke(index, slot);
        }
    }

    fn revoked(
        &mut self,
        now: Monotonic,
        (udid, slot): (&Udid, VirtualSlot),
        minimum: PathGeneration,
        result: Result<(), StorageError>,
    ) {
        let Some(index) = self.disks.iter().position(|disk| disk.udid == *udid) else { return };
        let Some(path) = self.disks[index].path_mut(slot) else { return };
        if path.stage != Stage::Revoking || path.generation.0 + 1 != minimum.0 {
            return;
        }
        if result.is_err() {
            path.revoke_due = Some(now.after(RETRY));
            return;
        }
        path.stage = Stage::Closed;
        self.next_generation = self.next_generation.max(minimum.0);
        self.dispatch(now, index);
    }

    /// Sends what waits, as far as the queue depth and the paths allow.
    fn dispatch(&mut self, now: Monotonic, index: usize) {
        let timeout = self.timeout;
        let disk = &mut self.disks[index];
        if disk.revoking() {
            return;
        }
        while disk.in_flight.len() < QUEUE_DEPTH
            && let Some((adapter, unit)) = disk.usable().map(|path| (path.adapter, path.unit.clone()))
            && let Some(request) = disk.waiting.pop_front()
        {
            let tag = self.next_tag;
            self.next_tag += 1;
            let operation = request.operation.clone();
            disk.in_flight.insert(tag, InFlight { request, adapter, due: now.after(timeout) });
            self.commands.push(Command::Submit { tag, adapter, unit, operation });
        }
        self.plan_retry(now, index);
    }

    /// A disk without any path that works tries them all, again and again.
    fn plan_retry(&mut self, now: Monotonic, index: usize) {
        let disk = &mut self.disks[index];
        let opening = disk.paths.iter().any(|path| path.stage == Stage::Opening);
        if disk.usable().is_none() && !disk.revoking() && !opening && disk.retry_due.is_none() {
            disk.retry_due = Some(now.after(RETRY));
        }
    }

    fn plan_health_check(&mut self, now: Monotonic, index: usize) {
        let disk = &mut self.disks[index];
        let failed = disk.paths.iter().any(|path| path.state == PathState::Failed);
        let seconds = disk.health_check_seconds;
        disk.health_check_due = match disk.health_check_due {
            _ if !failed || seconds == 0 => None,
            Some(due) => Some(due),
            None => Some(now.after(Duration::from_secs(u64::from(seconds)))),
        };
    }

    /// Tries every path that failed; the answer of its adapter opens it.
    fn retry_paths(&mut self, index: usize) {
        let mut slots = Vec::new();
        for path in &mut self.disks[index].paths {
            if path.stage == Stage::Closed && path.state != PathState::Disabled {
                path.wanted = true;
                slots.push(path.adapter);
            }
        }
        for slot in slots {
            self.connect_slot(slot);
        }
    }

    /// `chpath -s`: false when there is no such path, or the last one that works would go.
    pub(crate) fn change_path(
        &mut self,
        now: Monotonic,
        disk: &str,
        slot: VirtualSlot,
        enable: bool,
    ) -> bool {
        let Some(index) = self.disks.iter().position(|known| known.name == disk) else { return false };
        let known = &mut self.disks[index];
        let others = known.paths.iter().any(|path| path.adapter != slot && path.state == PathState::Enabled);
        let Some(path) = known.path_mut(slot) else { return false };
        if enable {
            if path.state == PathState::Disabled && path.stage == Stage::Open {
                path.state = PathState::Enabled;
            } else {
                if path.state == PathState::Disabled {
                    path.state = PathState::Failed;
                }
                path.wanted = path.stage == Stage::Closed;
                self.connect_slot(slot);
            }
        } else {
            if !others {
                return false;
            }
            path.state = PathState::Disabled;
        }
        self.dispatch(now, index);
        true
    }

    /// `chdev -a hcheck_interval`: false when there is no such disk.
    pub(crate) fn set_health_check(&mut self, now: Monotonic, disk: &str, seconds: u32) -> bool {
        let Some(index) = self.disks.iter().position(|known| known.name == disk) else { return false };
        self.disks[index].health_check_seconds = seconds;
        self.disks[index].health_check_due = None;
        self.plan_health_check(now, index);
        true
    }
}

/// `hdisk4`, `cd0`; Linux counts `sda` to `sdz`, `sdaa`, ...
fn disk_name(prefix: &str, number: u32) -> String {
    if prefix != "sd" {
        return format!("{prefix}{number}");
    }
    let mut letters = Vec::new();
    let mut rest = number + 1;
    while rest > 0 {
        letters.push(b'a' + u8::try_from((rest - 1) % 26).unwrap_or(0));
        rest = (rest - 1) / 26;
    }
    letters.reverse();
    format!("sd{}", String::from_utf8_lossy(&letters))
}
