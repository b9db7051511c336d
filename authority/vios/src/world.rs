//! The state of a server, as it is published, and the changes that it can undergo.
//!
//! Tables that follow from others (devices below a device, at a location, in a slot, on a backing device) are kept with
//! each change, so that no question looks at more than it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use varan_contract::engine::GuestLogicalPort;
use varan_contract::storage::StorageClient;
use varan_contract::vios::CommandLogEntry;
use varan_contract::vios_network::NetworkNames;
use varan_model::ids::{
    LogicalPortId, MachineIdentity, PartitionId, PartitionUuid, VirtualSlot, WorldWidePortName,
};
use varan_model::site::PhysicalVolumeIdentifier;
use varan_model::vios::{
    Backing, Device, DeviceDetail, DeviceKind, DeviceName, DeviceState, ErrorEntry, MediaAccess, PathState,
};

use crate::ordered::OrderedTable;
use crate::settings::{AdapterKind, Own, ServerAdapter, ViosSpecification};

/// What is true while the server runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) specification: ViosSpecification,
    /// Its virtual adapters by slot, as they are now.
    pub(crate) adapters: OrderedTable<u16, ServerAdapter>,
    /// SR-IOV logical ports of its own by number, as they are now.
    pub(crate) logical_ports: OrderedTable<u32, Arc<GuestLogicalPort>>,
    /// No change is taken any more.
    pub(crate) stopping: bool,
}

/// A path to a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Path {
    pub(crate) number: u32,
    pub(crate) parent: DeviceName,
    /// Port that it goes through; `None` for a disk inside the machine.
    pub(crate) initiator: Option<WorldWidePortName>,
    pub(crate) target: Option<WorldWidePortName>,
    pub(crate) connection: String,
    pub(crate) state: PathState,
}

/// A disk of a volume group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupDisk {
    pub(crate) pvid: PhysicalVolumeIdentifier,
    /// Device that it was when it was added.
    pub(crate) name: DeviceName,
    pub(crate) total: u32,
    /// Free stretches: first partition, count; in order, never two that touch.
    pub(crate) free: Vec<(u32, u32)>,
}

impl GroupDisk {
    pub(crate) fn free_count(&self) -> u32 {
        self.free.iter().map(|(_, count)| count).sum()
    }
}

/// A volume group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) identifier: u128,
    pub(crate) partition_megabytes: u64,
    pub(crate) disks: Vec<GroupDisk>,
    pub(crate) volumes: Vec<String>,
    pub(crate) next_number: u32,
}

impl Group {
    pub(crate) fn total(&self) -> u32 {
        self.disks.iter().map(|disk| disk.total).sum()
    }

    pub(crate) fn free(&self) -> u32 {
        self.disks.iter().map(GroupDisk::free_count).sum()
    }
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) partition_megabytes: u64,
    pub(crate) extents: Vec<varan_model::vios::Extent>,
    pub(crate) mount_point: String,
    pub(crate) number: u32,
    /// The system has it open (paging, mounted file systems).
    pub(crate) open: bool,
}

impl Volume {
    pub(crate) fn partitions(&self) -> u32 {
        self.extents.iter().map(|extent| extent.count).sum()
    }

    pub(crate) fn megabytes(&self) -> u64 {
        u64::from(self.partitions()) * self.partition_megabytes
    }
}

/// A pool of files: a file system in a logical volume of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePool {
    pub(crate) name: String,
    pub(crate) parent: String,
    /// Its logical volume.
    pub(crate) volume: String,
    pub(crate) files: Vec<String>,
    pub(crate) used: u64,
}

/// A file of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolFile {
    pub(crate) pool: String,
    pub(crate) name: String,
    pub(crate) megabytes: u64,
    /// Name in the staging directory under which it was made; moved to its place from there.
    pub(crate) staged: Option<String>,
}

/// The repository of virtual media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Library {
    pub(crate) parent: String,
    pub(crate) used_bytes: u64,
}

/// A medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LibraryMedium {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) access: MediaAccess,
    pub(crate) staged: Option<String>,
}

/// A file that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trash {
    /// Path below `root`.
    pub(crate) path: String,
    /// Number of the file on its file system: another file under the same name is not ours.
    pub(crate) inode: u64,
}

/// A file that is renamed; the old name is gone when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Renaming {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) inode: u64,
}

/// Who used an adapter last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastClient {
    pub(crate) id: PartitionId,
    pub(crate) name: String,
    pub(crate) operating_system: String,
    pub(crate) machine: MachineIdentity,
    pub(crate) slot: VirtualSlot,
    pub(crate) device: String,
}

/// A client that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connected {
    pub(crate) client: StorageClient,
    /// Names that it asked to log in.
    pub(crate) names: Vec<WorldWidePortName>,
    /// Of them, those that are logged in.
    pub(crate) logged_in: Vec<WorldWidePortName>,
    /// Storage ports that they see, and themselves.
    pub(crate) ports: u32,
}

/// The state.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// The partition that the server runs in.
    pub(crate) partition: PartitionUuid,
    pub(crate) own: Arc<Own>,
    pub(crate) running: Option<Arc<Running>>,
    pub(crate) devices: OrderedTable<DeviceName, Arc<Device>>,
    pub(crate) children: OrderedTable<DeviceName, Arc<Vec<DeviceName>>>,
    pub(crate) locations: OrderedTable<String, Arc<Vec<DeviceName>>>,
    pub(crate) slots: OrderedTable<u16, DeviceName>,
    /// Virtual targets by what backs them ([`backing_key`]).
    pub(crate) backings: OrderedTable<String, Arc<Vec<DeviceName>>>,
    pub(crate) units: OrderedTable<String, DeviceName>,
    pub(crate) identifiers: OrderedTable<u64, DeviceName>,
    pub(crate) ports: OrderedTable<u64, DeviceName>,
    /// Virtual Fibre Channel adapters by the port that they are mapped to.
    pub(crate) mapped: OrderedTable<String, Arc<Vec<DeviceName>>>,
    pub(crate) paths: OrderedTable<DeviceName, Arc<Vec<Path>>>,
    pub(crate) groups: OrderedTable<String, Arc<Group>>,
    pub(crate) group_of: OrderedTable<u64, String>,
    pub(crate) volumes: OrderedTable<String, Arc<Volume>>,
    pub(crate) pools: OrderedTable<String, Arc<FilePool>>,
    pub(crate) files: OrderedTable<(String, String), Arc<PoolFile>>,
    pub(crate) library: Option<Arc<Library>>,
    pub(crate) media: OrderedTable<String, Arc<LibraryMedium>>,
    pub(crate) trash: OrderedTable<String, Arc<Trash>>,
    pub(crate) renaming: OrderedTable<String, Arc<Renaming>>,
    pub(crate) last_clients: OrderedTable<u16, Arc<LastClient>>,
    pub(crate) connected: OrderedTable<u16, Arc<Connected>>,
    pub(crate) errors: OrderedTable<u64, Arc<ErrorEntry>>,
    pub(crate) commands: OrderedTable<u64, Arc<CommandLogEntry>>,
    /// Routes and names.
    pub(crate) names: Arc<NetworkNames>,
}

/// What backs a target, as the key of the table of backing devices.
pub(crate) fn backing_key(backing: &Backing) -> Option<String> {
    Some(match backing {
        Backing::Disk(name) | Backing::Drive(name) => format!("d {name}"),
        Backing::LogicalVolume(name) => format!("l {name}"),
        Backing::File { pool, name } => format!("f {pool}/{name}"),
        Backing::Medium(Some(name)) => format!("m {name}"),
        Backing::Medium(None) => return None,
        Backing::Unit { identifier, .. } => format!("u {identifier:032x}"),
    })
}

/// Attribute of a virtual Fibre Channel adapter: the port that it is mapped to.
pub(crate) const MAP_PORT: &str = "map_port";

/// One step from a state to the next.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Own(Box<Own>),
    Running(Option<Box<Running>>),
    PutDevice(Box<Device>),
    RemoveDevice(DeviceName),
    PutPaths(DeviceName, Vec<Path>),
    /// The same, not recorded: states of paths are found again at each start.
    PathStates(DeviceName, Vec<Path>),
    PutGroup(Box<Group>),
    RemoveGroup(String),
    PutVolume(Box<Volume>),
    RemoveVolume(String),
    PutPool(Box<FilePool>),
    RemovePool(String),
    PutFile(Box<PoolFile>),
    RemoveFile(String, String),
    Library(Option<Library>),
    PutMedium(Box<LibraryMedium>),
    RemoveMedium(String),
    PutTrash(Trash),
    RemoveTrash(String),
    PutRenaming(Renaming),
    RemoveRenaming(String),
    LastClient(u16, Option<Box<LastClient>>),
    Connected(u16, Option<Box<Connected>>),
    PutError(Box<ErrorEntry>),
    RemoveError(u64),
    PutCommand(u64, Box<CommandLogEntry>),
    RemoveCommand(u64),
    Names(Box<NetworkNames>),
}

/// A row of the database: table and key, content or removal.
pub(crate) struct Row {
    pub(crate) table: &'static str,
    pub(crate) key: String,
    pub(crate) content: Option<String>,
}

fn put<T: Serialize>(table: &'static str, key: impl ToString, value: &T) -> Option<Row> {
    // These types always can be written: their maps have text keys.
    Some(Row { table, key: key.to_string(), content: serde_json::to_string(value).ok() })
}

fn gone(table: &'static str, key: impl ToString) -> Option<Row> {
    Some(Row { table, key: key.to_string(), content: None })
}

/// Key of a log entry: sorts as text.
pub(crate) fn log_key(number: u64) -> String {
    format!("{number:020}")
}

impl Change {
    /// What the database records of the change; nothing for what is only true while the server runs.
    pub(crate) fn row(&self) -> Option<Row> {
        match self {
            Self::Own(own) => put("own", "1", own),
            Self::Running(_) | Self::PathStates(..) | Self::Connected(..) => None,
            Self::PutDevice(device) => put("device", &device.name, device),
            Self::RemoveDevice(name) => gone("device", name),
            Self::PutPaths(disk, paths) if paths.is_empty() => gone("path", disk),
            Self::PutPaths(disk, paths) => put("path", disk, paths),
            Self::PutGroup(group) => put("volume_group", &group.name, group),
            Self::RemoveGroup(name) => gone("volume_group", name),
            Self::PutVolume(volume) => put("logical_volume", &volume.name, volume),
            Self::RemoveVolume(name) => gone("logical_volume", name),
            Self::PutPool(pool) => put("pool", &pool.name, pool),
            Self::RemovePool(name) => gone("pool", name),
            Self::PutFile(file) => put("file", format!("{}/{}", file.pool, file.name), file),
            Self::RemoveFile(pool, name) => gone("file", format!("{pool}/{name}")),
            Self::Library(Some(library)) => put("library", "1", library),
            Self::Library(None) => gone("library", "1"),
            Self::PutMedium(medium) => put("medium", &medium.name, medium),
            Self::RemoveMedium(name) => gone("medium", name),
            Self::PutTrash(trash) => put("trash", &trash.path, trash),
            Self::RemoveTrash(path) => gone("trash", path),
            Self::PutRenaming(renaming) => put("renaming", &renaming.to, renaming),
            Self::RemoveRenaming(to) => gone("renaming", to),
            Self::LastClient(slot, Some(client)) => put("client", slot, client),
            Self::LastClient(slot, None) => gone("client", slot),
            Self::PutError(entry) => put("error", log_key(entry.sequence), entry),
            Self::RemoveError(sequence) => gone("error", log_key(*sequence)),
            Self::PutCommand(number, entry) => put("command", log_key(*number), entry),
            Self::RemoveCommand(number) => gone("command", log_key(*number)),
            Self::Names(names) => put("network", "1", names),
        }
    }

    /// The change that a recorded row stands for.
    pub(crate) fn of_row(table: &str, key: &str, content: &str) -> Result<Option<Self>, serde_json::Error> {
        let number = |text: &str| text.parse().unwrap_or_default();
        Ok(Some(match table {
            "own" => Self::Own(serde_json::from_str(content)?),
            "device" => Self::PutDevice(serde_json::from_str(content)?),
            "path" => {
                Self::PutPaths(serde_json::from_str(&format!("\"{key}\""))?, serde_json::from_str(content)?)
            }
            "volume_group" => Self::PutGroup(serde_json::from_str(content)?),
            "logical_volume" => Self::PutVolume(serde_json::from_str(content)?),
            "pool" => Self::PutPool(serde_json::from_str(content)?),
            "file" => Self::PutFile(serde_json::from_str(content)?),
            "library" => Self::Library(Some(serde_json::from_str(content)?)),
            "medium" => Self::PutMedium(serde_json::from_str(content)?),
            "trash" => Self::PutTrash(serde_json::from_str(content)?),
            "renaming" => Self::PutRenaming(serde_json::from_str(content)?),
            "client" => {
                Self::LastClient(key.parse().unwrap_or_default(), Some(serde_json::from_str(content)?))
            }
            "error" => Self::PutError(serde_json::from_str(content)?),
            "command" => Self::PutCommand(number(key), serde_json::from_str(content)?),
            "network" => Self::Names(serde_json::from_str(content)?),
            _ => return Ok(None),
        }))
    }
}

fn add<K: Ord + Clone>(table: &mut OrderedTable<K, Arc<Vec<DeviceName>>>, key: K, name: &DeviceName) {
    let mut names = table.get(&key).map(|names| (**names).clone()).unwrap_or_default();
    if names.contains(name) {
        return;
    }
    let place = names.partition_point(|other| other < name);
    names.insert(place, name.clone());
    table.put(key, Arc::new(names));
}

fn drop_from<K: Ord + Clone>(table: &mut OrderedTable<K, Arc<Vec<DeviceName>>>, key: &K, name: &DeviceName) {
    let Some(names) = table.get(key) else { return };
    let left: Vec<DeviceName> = names.iter().filter(|other| *other != name).cloned().collect();
    if left.is_empty() {
        table.remove(key);
    } else {
        table.put(key.clone(), Arc::new(left));
    }
}

impl Snapshot {
    pub(crate) fn new(partition: PartitionUuid, own: Own) -> Self {
        Self {
            partition,
            own: Arc::new(own),
            running: None,
            devices: OrderedTable::default(),
            children: OrderedTable::default(),
            locations: OrderedTable::default(),
            slots: OrderedTable::default(),
            backings: OrderedTable::default(),
            units: OrderedTable::default(),
            identifiers: OrderedTable::default(),
            ports: OrderedTable::default(),
            mapped: OrderedTable::default(),
            paths: OrderedTable::default(),
            groups: OrderedTable::default(),
            group_of: OrderedTable::default(),
            volumes: OrderedTable::default(),
            pools: OrderedTable::default(),
            files: OrderedTable::default(),
            library: None,
            media: OrderedTable::default(),
            trash: OrderedTable::default(),
            renaming: OrderedTable::default(),
            last_clients: OrderedTable::default(),
            connected: OrderedTable::default(),
            errors: OrderedTable::default(),
            commands: OrderedTable::default(),
            names: Arc::default(),
        }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Own(own) => self.own = Arc::new(*own),
            Change::Running(running) => self.running = running.map(|running| Arc::new(*running)),
            Change::PutDevice(device) => self.put_device(*device),
            Change::RemoveDevice(name) => {
                if let Some(device) = self.devices.remove(&name) {
                    self.forget(&device);
                }
            }
            Change::PutPaths(disk, paths) | Change::PathStates(disk, paths) => {
                if paths.is_empty() {
                    self.paths.remove(&disk);
                } else {
                    self.paths.put(disk, Arc::new(paths));
                }
            }
            Change::PutGroup(group) => self.put_group(*group),
            Change::RemoveGroup(name) => {
                if let Some(group) = self.groups.remove(&name) {
                    for disk in &group.disks {
                        self.group_of.remove(&disk.pvid.0);
                    }
                }
            }
            Change::PutVolume(volume) => self.volumes.put(volume.name.clone(), Arc::new(*volume)),
            Change::RemoveVolume(name) => drop(self.volumes.remove(&name)),
            Change::PutPool(pool) => self.pools.put(pool.name.clone(), Arc::new(*pool)),
            Change::RemovePool(name) => drop(self.pools.remove(&name)),
            Change::PutFile(file) => {
                self.files.put((file.pool.clone(), file.name.clone()), Arc::new(*file));
            }
            Change::RemoveFile(pool, name) => drop(self.files.remove(&(pool, name))),
            Change::Library(library) => self.library = library.map(Arc::new),
            Change::PutMedium(medium) => self.media.put(medium.name.clone(), Arc::new(*medium)),
            Change::RemoveMedium(name) => drop(self.media.remove(&name)),
            Change::PutTrash(trash) => self.trash.put(trash.path.clone(), Arc::new(trash)),
            Change::RemoveTrash(path) => drop(self.trash.remove(&path)),
            Change::PutRenaming(renaming) => self.renaming.put(renaming.to.clone(), Arc::new(renaming)),
            Change::RemoveRenaming(to) => drop(self.renaming.remove(&to)),
            Change::LastClient(slot, Some(client)) => self.last_clients.put(slot, Arc::new(*client)),
            Change::LastClient(slot, None) => drop(self.last_clients.remove(&slot)),
            Change::Connected(slot, Some(connected)) => self.connected.put(slot, Arc::new(*connected)),
            Change::Connected(slot, None) => drop(self.connected.remove(&slot)),
            Change::PutError(entry) => self.errors.put(entry.sequence, Arc::new(*entry)),
            Change::RemoveError(sequence) => drop(self.errors.remove(&sequence)),
            Change::PutCommand(number, entry) => self.commands.put(number, Arc::new(*entry)),
            Change::RemoveCommand(number) => drop(self.commands.remove(&number)),
            Change::Names(names) => self.names = Arc::new(*names),
        }
    }

    fn put_group(&mut self, group: Group) {
        if let Some(before) = self.groups.get(&group.name).cloned() {
            for disk in &before.disks {
                self.group_of.remove(&disk.pvid.0);
            }
        }
        for disk in &group.disks {
            self.group_of.put(disk.pvid.0, group.name.clone());
        }
        self.groups.put(group.name.clone(), Arc::new(group));
    }

    fn forget(&mut self, device: &Device) {
        if let Some(parent) = &device.parent {
            drop_from(&mut self.children, parent, &device.name);
        }
        if !device.location.is_empty() {
            drop_from(&mut self.locations, &device.location, &device.name);
        }
        if let Some(port) = device.attributes.get(MAP_PORT) {
            drop_from(&mut self.mapped, port, &device.name);
        }
        if let Some(slot) = device.virtual_slot()
            && self.slots.get(&slot.0) == Some(&device.name)
        {
            self.slots.remove(&slot.0);
        }
        match &device.detail {
            DeviceDetail::VirtualTarget(target) => {
                if let Some(key) = backing_key(&target.backing) {
                    drop_from(&mut self.backings, &key, &device.name);
                }
            }
            DeviceDetail::Disk(disk) => {
                self.units.remove(&disk.udid.to_string());
                if let Some(pvid) = disk.pvid
                    && self.identifiers.get(&pvid.0) == Some(&device.name)
                {
                    self.identifiers.remove(&pvid.0);
                }
            }
            DeviceDetail::FibreChannel(port) => drop(self.ports.remove(&port.port_name.0)),
            _ => {}
        }
    }

    fn put_device(&mut self, device: Device) {
        if let Some(before) = self.devices.get(&device.name).cloned() {
            // The tables that follow stay as they are.
            let same_place = before.parent == device.parent && before.location == device.location;
            let same_port = before.attributes.get(MAP_PORT) == device.attributes.get(MAP_PORT);
            if same_place && same_port && before.state == device.state && before.detail == device.detail {
                self.devices.put(device.name.clone(), Arc::new(device));
                return;
            }
            self.forget(&before);
        }
        if let Some(parent) = &device.parent {
            add(&mut self.children, parent.clone(), &device.name);
        }
        if !device.location.is_empty() {
            add(&mut self.locations, device.location.clone(), &device.name);
        }
        if let Some(port) = device.attributes.get(MAP_PORT).filter(|port| !port.is_empty()) {
            add(&mut self.mapped, port.clone(), &device.name);
        }
        // The slot is the device's whose adapter is there, not that of one that was there before.
        if let Some(slot) = device.virtual_slot()
            && (device.state == DeviceState::Available || !self.slots.contains(&slot.0))
        {
            self.slots.put(slot.0, device.name.clone());
        }
        match &device.detail {
            DeviceDetail::VirtualTarget(target) => {
                if let Some(key) = backing_key(&target.backing) {
                    add(&mut self.backings, key, &device.name);
                }
            }
            DeviceDetail::Disk(disk) => {
                self.units.put(disk.udid.to_string(), device.name.clone());
                if let Some(pvid) = disk.pvid {
                    self.identifiers.put(pvid.0, device.name.clone());
                }
            }
            DeviceDetail::FibreChannel(port) => self.ports.put(port.port_name.0, device.name.clone()),
            _ => {}
        }
        self.devices.put(device.name.clone(), Arc::new(device));
    }

    pub(crate) fn device(&self, name: &str) -> Option<&Arc<Device>> {
        self.devices.get(&name.parse().ok()?)
    }

    pub(crate) fn children_of(&self, name: &DeviceName) -> &[DeviceName] {
        self.children.get(name).map_or(&[], |names| names)
    }

    /// Virtual targets over a backing device.
    pub(crate) fn targets_on(&self, backing: &Backing) -> &[DeviceName] {
        backing_key(backing).and_then(|key| self.backings.get(&key)).map_or(&[], |names| names)
    }

    /// The lowest free name of a prefix that is not kept for something else.
    pub(crate) fn free_name(&self, prefix: &str, kept: &BTreeSet<DeviceName>) -> DeviceName {
        let first = DeviceName::numbered(prefix, 0);
        let mut present = self.devices.from(&first).map(|(name, _)| name).peekable();
        let mut number = 0;
        loop {
            let name = DeviceName::numbered(prefix, number);
            while present.next_if(|other| **other < name).is_some() {}
            if present.peek() != Some(&&name)
                && !kept.contains(&name)
                && !self.volumes.contains(&name.to_string())
            {
                return name;
            }
            number += 1;
        }
    }

    /// Where a virtual adapter is: `U8286.41A.21AFF8V-V2-C40`.
    pub(crate) fn virtual_location(&self, slot: VirtualSlot) -> String {
        let Some(running) = &self.running else { return String::new() };
        location_of(&running.specification.machine, running.specification.id, slot)
    }

    /// The virtual adapter in a slot as the hypervisor shows it.
    pub(crate) fn adapter_in(&self, slot: VirtualSlot) -> Option<&ServerAdapter> {
        self.running.as_ref()?.adapters.get(&slot.0)
    }

    /// Ethernet devices, by name.
    pub(crate) fn ethernet(&self) -> impl Iterator<Item = &Arc<Device>> {
        let prefix = DeviceKind::EthernetAdapter.prefix();
        let named = self.devices.from(&DeviceName::numbered(prefix, 0));
        let named = named.take_while(move |(name, _)| name.parts().0 == prefix);
        named.map(|(_, device)| device).filter(|device| device.kind.is_ethernet())
    }

    /// The logical port of that number: of the server's own, or of one of its virtual NIC server adapters.
    pub(crate) fn logical_port(&self, id: LogicalPortId) -> Option<&GuestLogicalPort> {
        let running = self.running.as_ref()?;
        if let Some(port) = running.logical_ports.get(&id.0) {
            return Some(port);
        }
        running.adapters.values().find_map(|adapter| match &adapter.kind {
            AdapterKind::VnicServer(server) if server.logical_port.id == id => Some(&server.logical_port),
            _ => None,
        })
    }

    /// The volume group that a disk is in.
    pub(crate) fn group_of_disk(&self, device: &Device) -> Option<&String> {
        match &device.detail {
            DeviceDetail::Disk(disk) => self.group_of.get(&disk.pvid?.0),
            _ => None,
        }
    }

    /// Ports of physical Fibre Channel adapters, in order.
    pub(crate) fn fibre_channel_ports(&self) -> impl Iterator<Item = &Arc<Device>> {
        let first = DeviceName::numbered(DeviceKind::FibreChannelAdapter.prefix(), 0);
        self.devices
            .from(&first)
            .map(|(_, device)| device)
            .take_while(|device| device.name.parts().0 == DeviceKind::FibreChannelAdapter.prefix())
            .filter(|device| device.kind == DeviceKind::FibreChannelAdapter)
    }
}

/// Location code of a virtual slot.
pub(crate) fn location_of(machine: &MachineIdentity, id: PartitionId, slot: VirtualSlot) -> String {
    let model = machine.type_model.replace('-', ".");
    format!("U{model}.{}-V{id}-C{slot}", machine.serial_number)
}
