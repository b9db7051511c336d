//! Decisions: state, request and facts from outside give a refusal, or a list of changes and what is to be done for them.
//! Nothing here does I/O.

mod device;
mod discovery;
mod fibre_channel;
mod media;
mod network;
mod network_log;
mod pool;
mod root;
mod server;
mod target;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use varan_contract::block::{BlockError, Udid as UnitId};
use varan_contract::storage::{FabricUnit, StorageError};
use varan_contract::vios::{DeviceOutcome, DeviceSelector, ViosChange, ViosDone};
use varan_model::ids::{PartitionUuid, WorldWidePortName};
use varan_model::vios::error_log::ENTRIES_KEPT;
use varan_model::vios::{
    Device, DeviceClass, DeviceDetail, DeviceName, DiskHeader, ErrorEntry, ErrorTemplate, ViosMessage,
    ViosRefusal,
};

use crate::settings::LocalDisk;
use crate::world::{Change, Renaming, Snapshot, Trash};

pub(crate) use device::{adapter_added, adapter_removed};
pub(crate) use discovery::{boot, configure};
pub(crate) use fibre_channel::mapped_port;
pub(crate) use media::{LIBRARY_VOLUME, UPLOADS, file_of_medium};
pub(crate) use network::{accounted, address_of, listed, parts, users, virtual_adapter};
pub(crate) use network_log::network_events;
pub(crate) use pool::{file_path, usable_of};
pub(crate) use server::{PathEvent, names_lost, path_events, stopped};
pub(crate) use target::target_of;
pub(crate) use volume::disk_selected;

/// Directory of the repository, below `root`.
pub(crate) const LIBRARY: &str = "var/vio/VMLibrary";
/// Directory of file pools, below `root`.
pub(crate) const POOLS: &str = "var/vio/storagepools";
/// Commands that the log keeps.
const COMMANDS_KEPT: usize = 10_000;

/// A file as it is on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFact {
    pub(crate) bytes: u64,
    pub(crate) inode: u64,
}

/// What a port sees.
#[derive(Clone, Debug)]
pub(crate) struct PortView {
    pub(crate) initiator: WorldWidePortName,
    pub(crate) units: Result<Vec<FabricUnit>, StorageError>,
}

/// What is found when devices are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// By port, in the order of slots.
    pub(crate) ports: Vec<PortView>,
    /// First blocks of disks of the SAN, where they could be read.
    pub(crate) headers: BTreeMap<UnitId, DiskHeader>,
    /// Disks inside the machine, with their first blocks.
    pub(crate) local: Vec<(LocalDisk, Option<DiskHeader>)>,
    /// Disks of the SAN, by unique identifier, that could not be reserved for their targets.
    pub(crate) conflicts: BTreeSet<String>,
}

/// What a decision knows besides the state.
pub(crate) struct Facts<'a> {
    /// Seconds since 1970 UTC.
    pub(crate) now: i64,
    /// For identifiers that are made.
    pub(crate) random: u128,
    /// Whether a client has a target open.
    pub(crate) is_open: &'a dyn Fn(&DeviceName) -> bool,
    /// First blocks of the disks that the request names.
    pub(crate) headers: BTreeMap<DeviceName, Result<DiskHeader, BlockError>>,
    /// Files that the request is about, by path below `root`.
    pub(crate) files: BTreeMap<String, FileFact>,
    /// Files in the repository's directory.
    pub(crate) library: Vec<(String, FileFact)>,
    pub(crate) found: Option<Found>,
}

/// What is done before a change is recorded; refuses it by failing, and is undone when anything after it fails.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Prepare {
    /// A file of zeros in the staging directory.
    StageZeros { staged: String, bytes: u64 },
    /// A file that was uploaded, linked into the staging directory.
    StageUpload { staged: String, upload: String },
    /// A file becomes longer.
    Grow { path: String, bytes: u64, before: u64 },
    /// A disk's first block.
    Header { disk: DeviceName, header: DiskHeader, before: DiskHeader },
    /// A disk of the SAN is reserved by the policy of its device.
    Reserve { disk: DeviceName },
    /// Bytes of a device; not undone.
    Write { device: DeviceName, offset: u64, data: Arc<Vec<u8>> },
}

/// What is done once a change is recorded and published. Repeated after a crash where it left something on disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Staged files go to their places, renamed ones too, files to be removed go.
    Files,
    /// An uploaded file that was taken over goes from the upload directory.
    Uploaded(String),
    /// What clients have open of targets is gone.
    Close(Vec<DeviceName>),
    /// A disk of the SAN is reserved where that is possible.
    Reserve(DeviceName),
    /// A reservation is given back.
    Release(DeviceName),
    /// A disk's first block, where failing is not our caller's matter.
    Header { disk: DeviceName, header: DiskHeader },
    /// Port names of the client of an adapter log in through its port, which is another one now.
    Login(u16),
    /// A network device's counters begin anew.
    ResetStatistics(String),
    /// What a Shared Ethernet Adapter counts for its clients begins anew.
    ResetAccounting(String),
    /// The partition's operating system stops.
    Shutdown { force: bool, restart: bool },
}

/// A decision in the making: the state as it will be, and how to get there.
pub(crate) struct Draft {
    pub(crate) world: Snapshot,
    pub(crate) changes: Vec<Change>,
    pub(crate) prepare: Vec<Prepare>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) done: ViosDone,
    /// The partition that the server runs in.
    pub(crate) author: PartitionUuid,
}

type Refused = Result<(), ViosRefusal>;

impl Draft {
    pub(crate) fn new(world: &Snapshot) -> Self {
        Self {
            author: world.partition,
            world: world.clone(),
            changes: Vec::new(),
            prepare: Vec::new(),
            effects: Vec::new(),
            done: ViosDone::default(),
        }
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.world.apply(change.clone());
        self.changes.push(change);
    }

    pub(crate) fn put_device(&mut self, device: Device) {
        self.change(Change::PutDevice(Box::new(device)));
    }

    fn outcome(&mut self, name: &DeviceName, outcome: DeviceOutcome) {
        self.done.devices.push((name.clone(), outcome));
    }

    fn effect(&mut self, effect: Effect) {
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }

    /// Adds an entry to the error log.
    pub(crate) fn log(
        &mut self,
        now: i64,
        template: ErrorTemplate,
        resource: &str,
        details: Vec<(String, String)>,
    ) {
        let mut own = (*self.world.own).clone();
        let sequence = own.next_error;
        own.next_error += 1;
        let location = self.world.device(resource).map(|device| device.location.clone()).unwrap_or_default();
        let entry =
            ErrorEntry { sequence, seconds: now, template, resource: resource.to_owned(), location, details };
        self.change(Change::Own(Box::new(own)));
        self.change(Change::PutError(Box::new(entry)));
        let oldest = self.world.errors.first().copied();
        if let Some(oldest) = oldest.filter(|_| self.world.errors.len() > ENTRIES_KEPT) {
            self.change(Change::RemoveError(oldest));
        }
    }

    /// A file goes. Files that are not there any more, or are not the ones that were recorded, are left alone.
    fn remove_file(&mut self, path: String, facts: &Facts<'_>) {
        if let Some(fact) = facts.files.get(&path) {
            self.change(Change::PutTrash(Trash { path, inode: fact.inode }));
            self.effect(Effect::Files);
        }
    }

    fn rename_file(&mut self, from: String, to: String, facts: &Facts<'_>) {
        if let Some(fact) = facts.files.get(&from) {
            self.change(Change::PutRenaming(Renaming { from, to, inode: fact.inode }));
            self.effect(Effect::Files);
        }
    }
}

pub(crate) fn refuse(message: ViosMessage) -> ViosRefusal {
    ViosRefusal::new(message)
}

/// The device that was named, or the one at a location: of an adapter and its protocol, the adapter.
pub(crate) fn find(world: &Snapshot, selector: &DeviceSelector) -> Result<Arc<Device>, ViosRefusal> {
    match selector {
        DeviceSelector::Name(name) => {
            world.device(name).cloned().ok_or_else(|| refuse(ViosMessage::DeviceUnknown).with(name))
        }
        DeviceSelector::Location(location) => {
            let unknown = || refuse(ViosMessage::LocationUnknown).with(location);
            let names = world.locations.get(location).ok_or_else(unknown)?;
            let devices: Vec<&Arc<Device>> =
                names.iter().filter_map(|name| world.devices.get(name)).collect();
            let adapters: Vec<&&Arc<Device>> =
                devices.iter().filter(|device| device.kind.class() == DeviceClass::Adapter).collect();
            match (devices.as_slice(), adapters.as_slice()) {
                ([one], _) => Ok(Arc::clone(one)),
                (_, [one]) => Ok(Arc::clone(one)),
                ([], _) => Err(unknown()),
                _ => Err(refuse(ViosMessage::LocationAmbiguous).with(location)),
            }
        }
    }
}

/// Whether something uses a device so that it cannot be reconfigured or removed: in words of `lsdev`, it is open.
pub(crate) fn in_use(world: &Snapshot, device: &Device, facts: &Facts<'_>) -> bool {
    use varan_model::vios::{Backing, DeviceKind as Kind};
    match device.kind {
        Kind::FibreChannelDisk | Kind::SasDisk => {
            world.group_of_disk(device).is_some()
                || !world.targets_on(&Backing::Disk(device.name.clone())).is_empty()
        }
        kind if kind.is_target() => (facts.is_open)(&device.name),
        Kind::VirtualScsiServer => {
            let slot = device.virtual_slot();
            slot.is_some_and(|slot| world.connected.contains(&slot.0))
                && world.children_of(&device.name).iter().any(|target| (facts.is_open)(target))
        }
        Kind::VirtualFibreChannelServer => device
            .virtual_slot()
            .and_then(|slot| world.connected.get(&slot.0))
            .is_some_and(|connected| !connected.logged_in.is_empty()),
        Kind::FibreChannelAdapter | Kind::FibreChannelProtocol | Kind::SasAdapter | Kind::SasProtocol => {
            let mut children = world.children_of(&device.name).iter();
            let below = children.any(|child| {
                world.devices.get(child).is_some_and(|child| {
                    child.state == varan_model::vios::DeviceState::Available && in_use(world, child, facts)
                })
            });
            below || fibre_channel::has_clients(world, &device.name)
        }
        kind if kind.is_ethernet() => network::in_use(world, device),
        Kind::EthernetInterface | Kind::Ieee8023Interface => device.attribute("state") == Some("up"),
        _ => false,
    }
}

pub(crate) fn disk_of(device: &Device) -> Option<&varan_model::vios::device::DiskDetail> {
    match &device.detail {
        DeviceDetail::Disk(disk) => Some(disk),
        _ => None,
    }
}

/// Decides a request: a refusal, or the draft of what is to come.
pub(crate) fn decide(world: &Snapshot, change: &ViosChange, facts: &Facts<'_>) -> Result<Draft, ViosRefusal> {
    let mut draft = Draft::new(world);
    if world.running.as_ref().is_some_and(|running| running.stopping)
        && !matches!(change, ViosChange::LogCommand { .. })
    {
        return Err(refuse(ViosMessage::ShuttingDown));
    }
    carry_out(&mut draft, change, facts)?;
    Ok(draft)
}

fn carry_out(draft: &mut Draft, change: &ViosChange, facts: &Facts<'_>) -> Refused {
    use ViosChange as C;
    match change {
        C::ConfigureDevices(below) => configure(draft, below.as_ref(), facts),
        C::MakeAvailable(device) => device::make_available(draft, device, facts),
        C::ChangeDevice { device, attributes, permanent_only } => {
            device::change(draft, device, attributes, *permanent_only, facts)
        }
        C::RemoveDevice { device, removal } => device::remove(draft, device, *removal, facts),
        C::MapDevice { backing, adapter, target, force, mirrored } => {
            let target = target.as_deref();
            target::map(
                draft,
                backing,
                adapter,
                target::Mapping { target, force: *force, mirrored: *mirrored },
            )
        }
        C::MapOptical { adapter, target } => target::map_optical(draft, adapter, target.as_deref()),
        C::RemoveMapping { device, by_backing, force, remove_logical_volume } => {
            let removal = target::Unmapping {
                by_backing: *by_backing,
                force: *force,
                remove_logical_volume: *remove_logical_volume,
            };
            target::unmap(draft, device, removal, facts)
        }
        C::MapFibreChannel { adapter, port } => fibre_channel::map(draft, adapter, port.as_deref()),
        C::ChangePath { disk, parent, connection, state } => {
            device::change_path(draft, disk, parent.as_deref(), connection.as_deref(), *state)
        }
        C::CreateVolumeGroup { name, disks, force } => {
            volume::create_group(draft, name.as_deref(), disks, *force, facts)
        }
        C::ExtendVolumeGroup { name, disks, force } => {
            volume::extend_group(draft, name, disks, *force, facts)
        }
        C::ReduceVolumeGroup { name, disks, force } => volume::reduce_group(draft, name, disks, *force),
        C::CreateLogicalVolume { volume_group, name, kind, size, disks } => {
            volume::create(draft, volume_group, name.as_deref(), kind, *size, disks)
        }
        C::ExtendLogicalVolume { name, size, disks } => volume::extend(draft, name, *size, disks),
        C::RemoveLogicalVolumes(names) => volume::remove_all(draft, names),
        C::CreateFilePool { name, parent, megabytes } => {
            pool::create(draft, name, parent.as_deref(), *megabytes)
        }
        C::GrowFilePool { name, megabytes } => pool::grow(draft, name, *megabytes),
        C::DefaultPool(name) => pool::set_default(draft, name),
        C::RemovePool { name, force } => pool::remove(draft, name, *force, facts),
        C::CreateBackingDevice(request) => pool::create_backing(draft, request, facts),
        C::GrowBackingDevice { pool, name, megabytes } => {
            pool::grow_backing(draft, pool.as_deref(), name, *megabytes, facts)
        }
        C::RemoveBackingDevice { pool, device, keep } => {
            pool::remove_backing(draft, pool.as_deref(), device, *keep, facts)
        }
        C::CreateRepository { pool, megabytes } => media::create_library(draft, pool.as_deref(), *megabytes),
        C::GrowRepository(megabytes) => media::grow_library(draft, *megabytes),
        C::RemoveRepository { force } => media::remove_library(draft, *force, facts),
        C::CreateMedium { name, source, access } => media::create(draft, name, source, *access, facts),
        C::ChangeMedium { name, access, new_name } => {
            media::change(draft, name, *access, new_name.as_deref(), facts)
        }
        C::RemoveMedium { name, force } => media::remove(draft, name, *force, facts),
        C::Load { medium, drive, force, release } => {
            media::load(draft, medium, drive, *force, *release, facts)
        }
        C::Unload { drive, release } => media::unload(draft, drive, *release, facts),
        C::Network(change) => network::carry_out(draft, change),
        C::RescanRepository => media::rescan(draft, facts),
        C::WriteBytes { device, offset, data } => server::write_bytes(draft, device, *offset, data),
        C::ClearErrors { days } => server::clear_errors(draft, *days, facts),
        C::LogError { template, resource, details } => {
            draft.log(facts.now, *template, resource, details.clone());
            Ok(())
        }
        C::AcceptLicence => server::accept_licence(draft),
        C::SetHostname(name) => server::set_hostname(draft, name),
        C::Update { level } => server::update(draft, level),
        C::LogCommand { user, command } => server::log_command(draft, user, command, facts),
        C::Shutdown { force, restart } => server::shut_down(draft, *force, *restart),
    }
}
