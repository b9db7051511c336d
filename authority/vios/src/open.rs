//! What the server has open: disks for itself, and targets for its clients.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use varan_block_engine::{Fence, FileDevice, FileOptions, Volume, VolumePart};
use varan_contract::block::{
    BlockDevice, BlockError, BlockRequest, Completion, Epoch, Geometry, Nexus, PathGeneration, QueueFull,
    Udid,
};
use varan_contract::storage::{Reservation, StorageArray, StorageError, generation_at_array};
use varan_environment::Environment;
use varan_model::ids::{PartitionUuid, WorldWidePortName};
use varan_model::vios::header::{HEADER_BYTES, PARTITIONS_START};
use varan_model::vios::{
    Backing, Device, DeviceKind, DeviceName, DeviceState, DiskHeader, MediaAccess, PathState, ReservePolicy,
};

use crate::decide::{self, Found, PathEvent, PortView, disk_of};
use crate::files::Files;
use crate::inbox::Inbox;
use crate::multipath::{MultipathDevice, Opening, Ports};
use crate::settings::{LocalDisk, ViosSpecification};
use crate::world::{Snapshot, Volume as LogicalVolume};

/// One start of the server: what was opened during it is gone when it ends.
pub(crate) struct Start {
    pub(crate) alive: AtomicBool,
}

/// Whatever does I/O for a server.
pub(crate) struct Host {
    pub(crate) partition: PartitionUuid,
    pub(crate) files: Files,
    pub(crate) array: Arc<dyn StorageArray>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) published: Arc<ArcSwap<Snapshot>>,
    pub(crate) start: ArcSwap<Start>,
    pub(crate) mover: Sender<Weak<MultipathDevice>>,
    inbox: OnceLock<Weak<Inbox>>,
    /// Clients' open units by target.
    targets: Mutex<HashMap<DeviceName, Vec<Weak<OpenUnit>>>>,
    /// Files that are open, so that two users share one.
    open_files: Mutex<HashMap<PathBuf, Weak<FileDevice>>>,
    /// Files of disks inside the machine.
    local: Mutex<BTreeMap<String, LocalDisk>>,
    /// The latest right to run that each client came with.
    epochs: Mutex<HashMap<PartitionUuid, Epoch>>,
    /// Ports that hold reservations of disks.
    reserved: Mutex<HashMap<DeviceName, WorldWidePortName>>,
    /// Whoever changes reservations has this: giving one back and taking it through another port is one step.
    reserving: Mutex<()>,
}

/// A unit that a client has open.
struct OpenUnit {
    inner: Arc<dyn BlockDevice>,
    closed: AtomicBool,
    start: Arc<Start>,
}

/// What the client holds; when it drops it, the target is closed.
struct Handle(Arc<OpenUnit>);

impl OpenUnit {
    fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && self.start.alive.load(Ordering::Acquire)
    }
}

impl BlockDevice for Handle {
    fn geometry(&self) -> Geometry {
        self.0.inner.geometry()
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if self.0.is_open() {
            return self.0.inner.submit(request, completion);
        }
        completion(Err(BlockError::Gone));
        Ok(())
    }

    fn wait_for_room(&self) {
        if self.0.is_open() {
            self.0.inner.wait_for_room();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is given to [`Host::new`].
pub(crate) struct HostParts {
    pub(crate) partition: PartitionUuid,
    pub(crate) files: Files,
    pub(crate) array: Arc<dyn StorageArray>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) published: Arc<ArcSwap<Snapshot>>,
    pub(crate) mover: Sender<Weak<MultipathDevice>>,
}

impl Host {
    pub(crate) fn new(parts: HostParts) -> Arc<Self> {
        Arc::new(Self {
            partition: parts.partition,
            files: parts.files,
            array: parts.array,
            fence: parts.fence,
            environment: parts.environment,
            published: parts.published,
            start: ArcSwap::from_pointee(Start { alive: AtomicBool::new(false) }),
            mover: parts.mover,
            inbox: OnceLock::new(),
            targets: Mutex::default(),
            open_files: Mutex::default(),
            local: Mutex::default(),
            epochs: Mutex::default(),
            reserved: Mutex::default(),
            reserving: Mutex::default(),
        })
    }

    pub(crate) fn report_to(&self, inbox: &Arc<Inbox>) {
        let _ = self.inbox.set(Arc::downgrade(inbox));
    }

    /// The server's own way to units. Every start logs something, so that its generation is above those before, and far below
    /// where the generations of attempts would not fit any more.
    fn own_nexus(&self, world: &Snapshot) -> Nexus {
        Nexus {
            client: self.partition,
            epoch: Epoch::default(),
            path: "vios".parse().unwrap_or_else(|_| unreachable!("a constant")),
            generation: PathGeneration(world.own.next_error),
        }
    }

    pub(crate) fn begin(&self) {
        self.start.store(Arc::new(Start { alive: AtomicBool::new(true) }));
    }

    /// Everything that clients have open is gone from here on.
    pub(crate) fn end(&self) {
        self.start.load().alive.store(false, Ordering::Release);
        lock(&self.targets).clear();
        let reserved: Vec<(DeviceName, WorldWidePortName)> = lock(&self.reserved).drain().collect();
        let world = self.published.load();
        for (disk, port) in reserved {
            if let Some(unit) = unit_of(&world, &disk) {
                self.array.release(port, &unit);
            }
        }
        lock(&self.open_files).retain(|_, file| file.strong_count() > 0);
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.start.load().alive.load(Ordering::Acquire)
    }

    // Files.

    fn shared_file(&self, path: &Path, read_only: bool) -> Option<Arc<FileDevice>> {
        let file = lock(&self.open_files).get(path).and_then(Weak::upgrade)?;
        (file.geometry().read_only == read_only).then_some(file)
    }

    pub(crate) fn open_file(&self, path: PathBuf, read_only: bool) -> Result<Arc<FileDevice>, BlockError> {
        if let Some(file) = self.shared_file(&path, read_only) {
            return Ok(file);
        }
        let options = FileOptions { read_only, ..FileOptions::default() };
        match FileDevice::open(&path, options) {
            Ok(file) => {
                let file = Arc::new(file);
                let mut open = lock(&self.open_files);
                open.retain(|_, file| file.strong_count() > 0);
                open.insert(path, Arc::downgrade(&file));
                Ok(file)
            }
            // Somebody else of this server opened it a moment ago; its lock tells.
            Err(error) => self
                .shared_file(&path, read_only)
                .ok_or_else(|| BlockError::Medium(format!("{}: {error}", path.display()))),
        }
    }

    fn local_device(&self, location: &str) -> Result<Arc<dyn BlockDevice>, BlockError> {
        let disk = lock(&self.local).get(location).cloned().ok_or(BlockError::Gone)?;
        Ok(self.open_file(disk.file, false)?)
    }

    /// Makes the files of local disks that are missing.
    pub(crate) fn install(&self, specification: &ViosSpecification) -> std::io::Result<()> {
        let mut local = BTreeMap::new();
        for disk in &specification.local_disks {
            if !disk.file.exists() {
                if let Some(parent) = disk.file.parent() {
                    varan_environment::make_directory(parent)?;
                }
                FileDevice::create(&disk.file, disk.megabytes << 20, false)?;
                if disk.identifier.is_some() {
                    let file = self.open_file(disk.file.clone(), false).map_err(std::io::Error::other)?;
                    let header = DiskHeader { identifier: disk.identifier, group: None };
                    write_header(&*file, header).map_err(std::io::Error::other)?;
                }
            }
            local.insert(disk.location.clone(), disk.clone());
        }
        *lock(&self.local) = local;
        Ok(())
    }

    // Disks.

    /// Opens a disk for a nexus. A disk of the SAN gets the nexus at the array, one of the machine's at the server's fence.
    fn open_disk(
        self: &Arc<Self>,
        world: &Snapshot,
        disk: &DeviceName,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let device = world.devices.get(disk).ok_or(StorageError::NoSuchUnit)?;
        let detail = disk_of(device).ok_or(StorageError::NoSuchUnit)?;
        let unit: Udid = detail.udid.to_string().parse().map_err(|_| StorageError::NoSuchUnit)?;
        if device.kind == DeviceKind::SasDisk {
            let inner = self.local_device(&device.location)?;
            return self.gate(&unit, inner, nexus);
        }
        let opening = Opening {
            disk: disk.clone(),
            unit,
            nexus: nexus.clone(),
            array: self.array.clone(),
            ports: Arc::new(HostPorts(Arc::downgrade(self))),
            mover: self.mover.clone(),
        };
        let opened: Arc<dyn BlockDevice> = MultipathDevice::open(opening)?;
        Ok(opened)
    }

    fn gate(
        &self,
        unit: &Udid,
        inner: Arc<dyn BlockDevice>,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let nexus = Nexus { generation: generation_at_array(nexus.generation, 0), ..nexus.clone() };
        // What the lease store says is in force, whatever the client believes; the server itself has no record there.
        let recorded = if nexus.client == self.partition { None } else { self.array.epoch(nexus.client)? };
        self.raise_epoch(nexus.client, recorded.unwrap_or_default().max(nexus.epoch));
        Ok(Arc::new(self.fence.open(unit, inner, nexus)?))
    }

    /// A later right to run than before ends what the client had under the earlier one, which is refused from then on.
    fn raise_epoch(&self, client: PartitionUuid, epoch: Epoch) {
        let drain = {
            let mut epochs = lock(&self.epochs);
            let known = epochs.entry(client).or_default();
            if epoch <= *known {
                return;
            }
            *known = epoch;
            self.fence.set_epoch(client, epoch)
        };
        drain.wait();
    }

    fn open_volume(
        self: &Arc<Self>,
        world: &Snapshot,
        volume: &LogicalVolume,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let size = volume.partition_megabytes << 20;
        let mut disks: BTreeMap<u64, Arc<dyn BlockDevice>> = BTreeMap::new();
        let mut parts = Vec::new();
        for extent in &volume.extents {
            let device = match disks.get(&extent.disk.0) {
                Some(device) => device.clone(),
                None => {
                    let name = world.identifiers.get(&extent.disk.0).ok_or(StorageError::NoSuchUnit)?;
                    let device = self.open_disk(world, name, nexus)?;
                    disks.insert(extent.disk.0, device.clone());
                    device
                }
            };
            let offset = PARTITIONS_START + u64::from(extent.first) * size;
            parts.push(VolumePart { device, offset, length: u64::from(extent.count) * size });
        }
        let volume = Volume::new(parts).map_err(|error| BlockError::Medium(error.to_string()))?;
        Ok(Arc::new(volume))
    }

    /// Opens a disk or logical volume for the server itself.
    pub(crate) fn open_own(
        self: &Arc<Self>,
        world: &Snapshot,
        name: &DeviceName,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let nexus = self.own_nexus(world);
        if world.devices.contains(name) {
            return self.open_disk(world, name, &nexus);
        }
        let volume = world.volumes.get(&name.to_string()).ok_or(StorageError::NoSuchUnit)?;
        self.open_volume(world, volume, &nexus)
    }

    pub(crate) fn read_header(
        self: &Arc<Self>,
        world: &Snapshot,
        disk: &DeviceName,
    ) -> Result<DiskHeader, BlockError> {
        let device = self.open_own(world, disk).map_err(block_error)?;
        Ok(DiskHeader::read(&device.read_at(0, HEADER_BYTES)?))
    }

    pub(crate) fn write_header(
        self: &Arc<Self>,
        world: &Snapshot,
        disk: &DeviceName,
        header: DiskHeader,
    ) -> Result<(), BlockError> {
        let device = self.open_own(world, disk).map_err(block_error)?;
        write_header(&*device, header)
    }

    // Reservations.

    fn reservation(&self, policy: ReservePolicy) -> Option<Reservation> {
        let key = self.partition.0 as u64 | 1;
        match policy {
            ReservePolicy::None => None,
            ReservePolicy::SinglePath => Some(Reservation::SinglePath),
            ReservePolicy::PersistentExclusive => Some(Reservation::PersistentExclusive(key)),
            ReservePolicy::PersistentShared => Some(Reservation::PersistentShared(key)),
        }
    }

    /// Reserves a disk by its policy through the first of its ports that works.
    pub(crate) fn reserve(&self, world: &Snapshot, disk: &DeviceName) -> Result<(), StorageError> {
        let _one_at_a_time = lock(&self.reserving);
        self.reserve_now(world, disk)
    }

    fn reserve_now(&self, world: &Snapshot, disk: &DeviceName) -> Result<(), StorageError> {
        let device = world.devices.get(disk).ok_or(StorageError::NoSuchUnit)?;
        let policy = disk_of(device).map_or(ReservePolicy::None, |detail| detail.reserve_policy);
        let Some(reservation) = self.reservation(policy) else { return Ok(()) };
        if lock(&self.reserved).contains_key(disk) {
            return Ok(());
        }
        let unit = unit_of(world, disk).ok_or(StorageError::NoSuchUnit)?;
        let mut refused = StorageError::LinkDown;
        for (_, port) in usable_paths(world, disk) {
            match self.array.reserve(port, &unit, reservation) {
                Ok(()) => {
                    lock(&self.reserved).insert(disk.clone(), port);
                    return Ok(());
                }
                Err(error @ StorageError::LinkDown) => refused = error,
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    pub(crate) fn release(&self, world: &Snapshot, disk: &DeviceName) {
        let _one_at_a_time = lock(&self.reserving);
        let port = lock(&self.reserved).remove(disk);
        if let (Some(port), Some(unit)) = (port, unit_of(world, disk)) {
            self.array.release(port, &unit);
        }
    }

    // Discovery.

    /// Looks what there is: logs the server's ports in, and reads the first block of each disk.
    pub(crate) fn look(
        self: &Arc<Self>,
        world: &Snapshot,
        specification: &ViosSpecification,
        starts: bool,
    ) -> Found {
        let mut found = Found::default();
        let ports = specification.slots.iter().filter(|slot| slot.occupied).flat_map(|slot| &slot.ports);
        let nexus = self.own_nexus(world);
        for port in ports.filter_map(|port| port.port_name) {
            let units = self.array.login(port, port).and_then(|()| self.array.report_units(port));
            for unit in units.iter().flatten() {
                if found.headers.contains_key(&unit.udid) {
                    continue;
                }
                let at_array =
                    Nexus { generation: generation_at_array(nexus.generation, 0), ..nexus.clone() };
                let opened = self.array.open(port, &unit.udid, &at_array);
                let block = opened.and_then(|device| Ok(device.read_at(0, HEADER_BYTES)?));
                if let Ok(block) = block {
                    found.headers.insert(unit.udid.clone(), DiskHeader::read(&block));
                }
            }
            found.ports.push(PortView { initiator: port, units });
        }
        for disk in &specification.local_disks {
            let header = self.local_device(&disk.location).and_then(|device| device.read_at(0, HEADER_BYTES));
            found.local.push((disk.clone(), header.ok().map(|block| DiskHeader::read(&block))));
        }
        found.conflicts = self.reserve_known(world, &found, starts);
        found
    }

    /// Reserves the disks that have targets; gives those that somebody else holds.
    fn reserve_known(&self, world: &Snapshot, found: &Found, starts: bool) -> BTreeSet<String> {
        let _one_at_a_time = lock(&self.reserving);
        let mut conflicts = BTreeSet::new();
        for view in &found.ports {
            for unit in view.units.iter().flatten() {
                let key = unit.udid.as_str().to_owned();
                let Some(name) = world.units.get(&key) else { continue };
                let mapped = !world.targets_on(&Backing::Disk(name.clone())).is_empty();
                if !mapped || lock(&self.reserved).contains_key(name) || conflicts.contains(&key) {
                    continue;
                }
                let device = world.devices.get(name);
                let policy = device.and_then(|device| disk_of(device)).map(|disk| disk.reserve_policy);
                // A start brings the policy that waited for it.
                let waits = device.and_then(|device| device.pending.get("reserve_policy")).filter(|_| starts);
                let policy = waits.and_then(|word| ReservePolicy::of(word)).or(policy);
                let reservation = policy.and_then(|policy| self.reservation(policy));
                let Some(reservation) = reservation else { continue };
                match self.array.reserve(view.initiator, &unit.udid, reservation) {
                    Ok(()) => drop(lock(&self.reserved).insert(name.clone(), view.initiator)),
                    Err(StorageError::Block(BlockError::ReservationConflict)) => {
                        conflicts.insert(key);
                    }
                    Err(_) => {}
                }
            }
        }
        conflicts
    }

    /// Reservations that a lost link took are made again, through another port where theirs is away.
    fn keep_reservations(&self, world: &Snapshot) {
        let _one_at_a_time = lock(&self.reserving);
        let held: Vec<(DeviceName, WorldWidePortName)> =
            lock(&self.reserved).iter().map(|(disk, port)| (disk.clone(), *port)).collect();
        for (disk, port) in held {
            let policy = world.devices.get(&disk).and_then(|device| disk_of(device));
            let reservation = policy.and_then(|policy| self.reservation(policy.reserve_policy));
            let (Some(reservation), Some(unit)) = (reservation, unit_of(world, &disk)) else { continue };
            if self.array.reserve(port, &unit, reservation) == Err(StorageError::LinkDown) {
                lock(&self.reserved).remove(&disk);
                if let Err(error) = self.reserve_now(world, &disk) {
                    eprintln!("vios: {disk} is not reserved any more: {error}");
                    // The next look tries again.
                    lock(&self.reserved).insert(disk, port);
                }
            }
        }
    }

    /// Looks at paths that can fail or come back: one question for each port.
    pub(crate) fn check_paths(&self, world: &Snapshot) -> Vec<PathEvent> {
        let mut seen: HashMap<u64, BTreeSet<(String, u64)>> = HashMap::new();
        for port in world.fibre_channel_ports() {
            if port.state != DeviceState::Available {
                continue;
            }
            if let varan_model::vios::DeviceDetail::FibreChannel(detail) = &port.detail {
                let name = detail.port_name;
                let units = self.array.login(name, name).and_then(|()| self.array.report_units(name));
                let units = units.unwrap_or_default();
                let units =
                    units.into_iter().map(|unit| (unit.udid.to_string(), unit.target_port.0)).collect();
                seen.insert(name.0, units);
            }
        }
        self.keep_reservations(world);
        let mut events = Vec::new();
        for (disk, paths) in world.paths.iter() {
            let Some(device) =
                world.devices.get(disk).filter(|device| device.state == DeviceState::Available)
            else {
                continue;
            };
            let (Some(detail), Some(interval)) = (disk_of(device), device.attribute("hcheck_interval"))
            else {
                continue;
            };
            if interval == "0" {
                continue;
            }
            for path in paths.iter() {
                let (Some(port), Some(target)) = (path.initiator, path.target) else { continue };
                let units = seen.get(&port.0);
                let works = units.is_some_and(|units| units.contains(&(detail.udid.to_string(), target.0)));
                let changed =
                    matches!((works, path.state), (true, PathState::Failed) | (false, PathState::Enabled));
                if changed {
                    events.push(PathEvent { disk: disk.clone(), number: path.number, works });
                }
            }
        }
        events
    }

    // Targets.

    pub(crate) fn is_open(&self, target: &DeviceName) -> bool {
        let mut targets = lock(&self.targets);
        let Some(units) = targets.get_mut(target) else { return false };
        units.retain(|unit| unit.upgrade().is_some_and(|unit| unit.is_open()));
        let open = !units.is_empty();
        if !open {
            targets.remove(target);
        }
        open
    }

    pub(crate) fn close(&self, target: &DeviceName) {
        for unit in lock(&self.targets).remove(target).into_iter().flatten() {
            if let Some(unit) = unit.upgrade() {
                unit.closed.store(true, Ordering::Release);
            }
        }
    }

    /// Unique identifier of what backs a target; the same wherever the same bytes are served.
    pub(crate) fn unit_of_backing(&self, world: &Snapshot, backing: &Backing) -> Option<Udid> {
        let own = |kind: &str, name: &str| {
            let clean: String =
                name.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '_' }).collect();
            format!("{}:{kind}:{clean}", self.partition).parse().ok()
        };
        match backing {
            Backing::Disk(name) => unit_of(world, name),
            Backing::LogicalVolume(name) => {
                let volume = world.volumes.get(name)?;
                let group = world.groups.get(&volume.group)?;
                format!("{:032x}.{}", group.identifier, volume.number).parse().ok()
            }
            Backing::File { pool, name } => own("file", &format!("{pool}/{name}")),
            Backing::Medium(Some(name)) => own("medium", name),
            Backing::Medium(None) | Backing::Drive(_) | Backing::Unit { .. } => None,
        }
    }

    /// Opens what backs a target for a client.
    pub(crate) fn open_target(
        self: &Arc<Self>,
        world: &Snapshot,
        target: &Device,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let start = self.start.load_full();
        let detail = decide::target_of(target).ok_or(StorageError::NoSuchUnit)?;
        let inner = self.open_backing(world, &detail.backing, nexus)?;
        let unit = Arc::new(OpenUnit { inner, closed: AtomicBool::new(false), start });
        self.register(&target.name, &unit);
        // A removal or a new medium may have come between.
        let now = self.published.load();
        let same = now.devices.get(&target.name).is_some_and(|device| {
            device.state == DeviceState::Available
                && decide::target_of(device).map(|target| &target.backing) == Some(&detail.backing)
        });
        if !same || !unit.is_open() {
            return Err(StorageError::NoSuchUnit);
        }
        Ok(Arc::new(Handle(unit)))
    }

    fn register(&self, name: &DeviceName, unit: &Arc<OpenUnit>) {
        let mut targets = lock(&self.targets);
        let units = targets.entry(name.clone()).or_default();
        units.retain(|other| other.strong_count() > 0);
        units.push(Arc::downgrade(unit));
    }

    /// What a client opened through a virtual Fibre Channel adapter: gone when the adapter is, or the server.
    pub(crate) fn guard(&self, adapter: &DeviceName, inner: Arc<dyn BlockDevice>) -> Arc<dyn BlockDevice> {
        let unit =
            Arc::new(OpenUnit { inner, closed: AtomicBool::new(false), start: self.start.load_full() });
        self.register(adapter, &unit);
        Arc::new(Handle(unit))
    }

    fn open_backing(
        self: &Arc<Self>,
        world: &Snapshot,
        backing: &Backing,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        match backing {
            Backing::Disk(name) => self.open_disk(world, name, nexus),
            Backing::LogicalVolume(name) => {
                let volume = world.volumes.get(name).ok_or(StorageError::NoSuchUnit)?;
                self.open_volume(world, volume, nexus)
            }
            Backing::File { pool, name } => {
                let path = self.files.root.join(decide::file_path(pool, name));
                let unit = self.unit_of_backing(world, backing).ok_or(StorageError::NoSuchUnit)?;
                let file = self.open_file(path, false)?;
                self.gate(&unit, file, nexus)
            }
            Backing::Medium(Some(name)) => {
                let medium = world.media.get(name).ok_or(StorageError::NoSuchUnit)?;
                let path = self.files.root.join(decide::file_of_medium(name));
                let unit = self.unit_of_backing(world, backing).ok_or(StorageError::NoSuchUnit)?;
                let file = self.open_file(path, medium.access == MediaAccess::ReadOnly)?;
                self.gate(&unit, file, nexus)
            }
            Backing::Medium(None) | Backing::Drive(_) | Backing::Unit { .. } => Err(StorageError::NoSuchUnit),
        }
    }

    /// Revokes a client's path to a unit, wherever its bytes are.
    pub(crate) fn revoke(
        &self,
        unit: &Udid,
        nexus: &Nexus,
        minimum: PathGeneration,
    ) -> Result<(), StorageError> {
        let minimum = generation_at_array(minimum, 0);
        let world = self.published.load_full();
        let mut units = vec![unit.clone()];
        // A logical volume is on units of its own.
        let volume = unit.as_str().split_once('.').and_then(|(group, number)| {
            let group = u128::from_str_radix(group, 16).ok()?;
            let number: u32 = number.parse().ok()?;
            let group = world.groups.values().find(|present| present.identifier == group)?;
            let named = group.volumes.iter().filter_map(|name| world.volumes.get(name));
            named.into_iter().find(|volume| volume.number == number).cloned()
        });
        for extent in volume.iter().flat_map(|volume| &volume.extents) {
            let disk = world.identifiers.get(&extent.disk.0).and_then(|name| unit_of(&world, name));
            units.extend(disk.filter(|disk| !units.contains(disk)));
        }
        for unit in units {
            let fabric = world.units.get(&unit.as_str().to_owned()).and_then(|name| world.devices.get(name));
            let fabric = fabric.is_some_and(|device| device.kind == DeviceKind::FibreChannelDisk);
            self.fence.revoke_path(&unit, nexus.client, &nexus.path, minimum).wait();
            let own = unit.as_str().starts_with(&self.partition.to_string()) || volume.is_some();
            if fabric || !own && !self.is_local(&world, &unit) {
                self.array.revoke(&unit, nexus, minimum)?;
            }
        }
        Ok(())
    }

    fn is_local(&self, world: &Snapshot, unit: &Udid) -> bool {
        let name = world.units.get(&unit.as_str().to_owned());
        name.and_then(|name| world.devices.get(name)).is_some_and(|device| device.kind == DeviceKind::SasDisk)
    }
}

fn write_header(device: &dyn BlockDevice, header: DiskHeader) -> Result<(), BlockError> {
    let mut block = device.read_at(0, HEADER_BYTES)?;
    header.write(&mut block);
    device.write_at(0, &block, true)
}

pub(crate) fn block_error(error: StorageError) -> BlockError {
    match error {
        StorageError::Block(error) => error,
        _ => BlockError::Gone,
    }
}

pub(crate) fn unit_of(world: &Snapshot, disk: &DeviceName) -> Option<Udid> {
    let device = world.devices.get(disk)?;
    disk_of(device)?.udid.to_string().parse().ok()
}

/// Enabled paths of a disk, in the order of their numbers.
fn usable_paths(world: &Snapshot, disk: &DeviceName) -> Vec<(u32, WorldWidePortName)> {
    paths_in(world, disk, PathState::Enabled)
}

fn paths_in(world: &Snapshot, disk: &DeviceName, state: PathState) -> Vec<(u32, WorldWidePortName)> {
    let paths = world.paths.get(disk);
    let mut usable: Vec<(u32, WorldWidePortName)> = paths
        .into_iter()
        .flat_map(|paths| paths.iter())
        .filter(|path| path.state == state)
        .filter_map(|path| Some((path.number, path.initiator?)))
        .collect();
    usable.sort_unstable();
    usable
}

struct HostPorts(Weak<Host>);

impl HostPorts {
    /// Tells the server what became of a path, where it does not know that already.
    fn event(&self, disk: &DeviceName, path: u32, works: bool) {
        let Some(host) = self.0.upgrade() else { return };
        let state = if works { PathState::Failed } else { PathState::Enabled };
        let world = host.published.load();
        let paths = world.paths.get(disk);
        let news =
            paths.is_some_and(|paths| paths.iter().any(|one| one.number == path && one.state == state));
        if let Some(inbox) = host.inbox.get().and_then(Weak::upgrade).filter(|_| news) {
            inbox.path_event(PathEvent { disk: disk.clone(), number: path, works });
        }
    }
}

impl Ports for HostPorts {
    fn usable(&self, disk: &DeviceName) -> Vec<(u32, WorldWidePortName)> {
        let Some(host) = self.0.upgrade() else { return Vec::new() };
        let world = host.published.load();
        let mut paths = usable_paths(&world, disk);
        if let Some(holder) = lock(&host.reserved).get(disk) {
            paths.sort_by_key(|(number, port)| (port != holder, *number));
        }
        // A path that failed may be back before the next health check: better than none.
        paths.extend(paths_in(&world, disk, PathState::Failed));
        paths
    }

    fn works(&self, disk: &DeviceName, path: u32) {
        self.event(disk, path, true);
    }

    fn failed(&self, disk: &DeviceName, path: u32) {
        self.event(disk, path, false);
    }

    fn moved(&self, disk: &DeviceName, port: WorldWidePortName) -> Result<(), StorageError> {
        let Some(host) = self.0.upgrade() else { return Err(StorageError::NotServing) };
        let _one_at_a_time = lock(&host.reserving);
        let holder = lock(&host.reserved).get(disk).copied();
        let (Some(holder), false) = (holder, holder == Some(port)) else { return Ok(()) };
        let world = host.published.load_full();
        let unit = unit_of(&world, disk).ok_or(StorageError::NoSuchUnit)?;
        host.array.release(holder, &unit);
        lock(&host.reserved).remove(disk);
        let policy = world.devices.get(disk).and_then(|device| disk_of(device));
        let policy = policy.map_or(ReservePolicy::None, |disk| disk.reserve_policy);
        if let Some(reservation) = host.reservation(policy) {
            host.array.reserve(port, &unit, reservation)?;
            lock(&host.reserved).insert(disk.clone(), port);
        }
        Ok(())
    }
}
