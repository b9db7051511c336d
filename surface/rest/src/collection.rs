//! Which objects a path is about, and how they are found.

use std::sync::Arc;

use varan_console::SystemConnection;
use varan_contract::system::{PartitionFilter, Selector, SystemReply, SystemRequest};
use varan_model::adapters::AdapterSide;
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, PartitionEnvironment};
use varan_model::ids::{PartitionUuid, SystemUuid};
use varan_model::partition::{PartitionEntry, Profile};
use varan_model::system::ManagedSystem;

use crate::failure::Failure;
use crate::resource::adapter::{Adapter, AdapterView};
use crate::resource::console::ConsoleView;
use crate::resource::network::{NetworkView, SwitchView, networks};
use crate::resource::pool::{PoolView, members};
use crate::resource::profile::ProfileView;
use crate::resource::system::SystemView;
use crate::resource::{Hosted, Object, PartitionKey, network_id, partition_kind};
use crate::router::{Mode, Reading};

/// Types whose objects stand for themselves.
const ROOTS: [&str; 4] = ["ManagementConsole", "ManagedSystem", "LogicalPartition", "VirtualIOServer"];
/// Types that real consoles have and of which this level has no object: their feeds are empty.
const EMPTY_ROOTS: [&str; 6] =
    ["Cluster", "SharedStoragePool", "Tier", "PowerEnterprisePool", "Group", "ManagedFrame"];
/// Types below a system.
const OF_SYSTEM: [&str; 6] = [
    "LogicalPartition",
    "VirtualIOServer",
    "VirtualSwitch",
    "VirtualNetwork",
    "SharedProcessorPool",
    "SharedMemoryPool",
];
/// Types below a system of which this level has no object.
const EMPTY_OF_SYSTEM: [&str; 4] =
    ["NetworkBridge", "ReservedStorageDevicePool", "PersistentMemoryDevice", "VirtualSerialNumber"];
/// Types below a partition.
const OF_PARTITION: [&str; 4] = [
    "LogicalPartitionProfile",
    "ClientNetworkAdapter",
    "VirtualSCSIClientAdapter",
    "VirtualFibreChannelClientAdapter",
];
/// Types below a partition of which this level has no object.
const EMPTY_OF_PARTITION: [&str; 5] = [
    "VirtualNICDedicated",
    "SRIOVEthernetLogicalPort",
    "SRIOVRoCELogicalPort",
    "VirtualPersistentMemoryVolume",
    "VolumeGroup",
];

/// Objects of one type, all of them or those below another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Type.
    kind: String,
    /// Type and identity of the object that they are below.
    within: Option<(String, String)>,
    /// The type is known and has no objects here.
    empty: bool,
}

/// Objects to be written one after the other.
pub struct Objects {
    /// Objects.
    pub objects: Box<dyn Iterator<Item = Box<dyn Object>> + Send>,
    /// What the feed's entity tag is made of.
    pub versions: String,
}

impl Objects {
    fn none() -> Self {
        Self { objects: Box::new(std::iter::empty()), versions: String::new() }
    }

    fn of(objects: Vec<Box<dyn Object>>) -> Self {
        let versions: Vec<String> = objects.iter().map(|object| object.version()).collect();
        Self { objects: Box::new(objects.into_iter()), versions: versions.join("\n") }
    }
}

impl Collection {
    /// Takes the type, and the object that it is below, from the beginning of a path.
    ///
    /// # Errors
    /// 400 when a type does not exist here.
    pub fn parse<'a, 'b>(path: &'a [&'b str]) -> Result<(Self, &'a [&'b str]), Failure> {
        let unknown = |kind: &str| Failure::new(400, MessageKey::RestTypeUnknown).with(kind);
        let Some((kind, rest)) = path.split_first() else { return Err(unknown("")) };
        let (root, empty) = (ROOTS.contains(kind), EMPTY_ROOTS.contains(kind));
        if !root && !empty {
            return Err(unknown(kind));
        }
        if let [id, child, after @ ..] = rest
            && !matches!(*id, "quick" | "search")
            && *child != "quick"
        {
            let (types, empty_types): (&[&str], &[&str]) = match *kind {
                "ManagedSystem" => (&OF_SYSTEM, &EMPTY_OF_SYSTEM),
                "LogicalPartition" | "VirtualIOServer" => (&OF_PARTITION, &EMPTY_OF_PARTITION),
                _ => (&[], &[]),
            };
            let empty = empty_types.contains(child);
            if !types.contains(child) && !empty {
                return Err(unknown(child));
            }
            let within = Some(((*kind).to_owned(), (*id).to_owned()));
            return Ok((Self { kind: (*child).to_owned(), within, empty }, after));
        }
        Ok((Self { kind: (*kind).to_owned(), within: None, empty }, rest))
    }

    /// Path below `uom/`.
    pub fn path(&self) -> String {
        match &self.within {
            Some((kind, id)) => format!("{kind}/{id}/{}", self.kind),
            None => self.kind.clone(),
        }
    }
}

/// An object that says it is found where it was asked for.
struct Relocated {
    object: Box<dyn Object>,
    path: String,
}

impl Object for Relocated {
    fn kind(&self) -> &'static str {
        self.object.kind()
    }

    fn id(&self) -> String {
        self.object.id()
    }

    fn path(&self) -> String {
        self.path.clone()
    }

    fn version(&self) -> String {
        self.object.version()
    }

    fn write(&self, writer: &mut crate::xml::XmlWriter, groups: crate::query::Groups) {
        self.object.write(writer, groups);
    }

    fn quick(&self) -> Option<Vec<crate::resource::QuickValue>> {
        self.object.quick()
    }

    fn search_key(&self, key: &str) -> Option<String> {
        self.object.search_key(key)
    }
}

/// A system with its partitions.
struct Read {
    connection: Arc<SystemConnection>,
    system: Arc<ManagedSystem>,
    entries: Vec<PartitionEntry>,
}

impl Reading<'_> {
    /// The systems that this API speaks for.
    pub(crate) fn connections(&self) -> impl Iterator<Item = Arc<SystemConnection>> {
        let only = match &self.api.mode {
            Mode::Console => None,
            Mode::ManagementPartition { system, .. } => Some(system),
        };
        let all = self.api.console.systems();
        let seen = |one: &&Arc<SystemConnection>| self.scope.sees(&one.identity().to_string());
        all.filter(seen).filter(move |one| only.is_none_or(|only| one.name() == only)).cloned()
    }

    fn connection(&self, id: &str) -> Result<Arc<SystemConnection>, Failure> {
        let uuid: SystemUuid = id.to_lowercase().parse().map_err(|_| Failure::not_found(id))?;
        let mut all = self.connections();
        all.find(|one| one.hardware.uuid == uuid).ok_or_else(|| Failure::not_found(id))
    }

    /// A system and its partitions; one that cannot be reached has none to show.
    fn read(&self, connection: Arc<SystemConnection>) -> Result<Read, Failure> {
        let request = SystemRequest::ListPartitions(PartitionFilter::All);
        match self.api.console.call(&connection, request) {
            Ok(SystemReply::Partitions { system, mut entries }) => {
                let identity = connection.identity().to_string();
                if !self.scope.allows_all_partitions(&identity) {
                    entries.retain(|entry| self.scope.allows_partition(&identity, entry.partition.id));
                }
                Ok(Read { connection, system, entries })
            }
            Err(refusal) if refusal.key != MessageKey::SystemNoConnection => Err(refusal.into()),
            _ => {
                let system = self.api.console.describe(&connection)?;
                Ok(Read { connection, system, entries: Vec::new() })
            }
        }
    }

    fn system_view(&self, read: Read) -> SystemView {
        let key = |entry: &PartitionEntry| -> PartitionKey {
            let partition = &entry.partition;
            (partition.id, partition.uuid, partition.environment)
        };
        let networks = networks(&read.entries);
        let ids = networks.iter().map(|network| network_id(&read.system, &network.switch, network.vlan));
        SystemView {
            links: self.links.clone(),
            networks: ids.collect(),
            partitions: read.entries.iter().map(key).collect(),
            system: read.system,
            address: read.connection.address.clone(),
            now: self.api.milliseconds(),
        }
    }

    fn hosted(&self, system: &Arc<ManagedSystem>, entry: PartitionEntry) -> Hosted {
        Hosted { links: self.links.clone(), system: system.clone(), entry }
    }

    /// A partition by its UUID: each system is asked for one, none is searched.
    fn partition(&self, kind: &str, id: &str, within: Option<&str>) -> Result<Hosted, Failure> {
        let missing = || Failure::not_found(id);
        let uuid: PartitionUuid = id.to_uppercase().parse().map_err(|_| missing())?;
        let candidates: Vec<Arc<SystemConnection>> = match within {
            Some(system) => vec![self.connection(system)?],
            None => self.connections().collect(),
        };
        for connection in candidates {
            let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![Selector::Uuid(uuid)]));
            let Ok(SystemReply::Partitions { system, entries }) = self.api.console.call(&connection, request)
            else {
                continue;
            };
            if let Some(entry) = entries.into_iter().next() {
                let identity = connection.identity().to_string();
                let right = partition_kind(entry.partition.environment) == kind
                    && self.scope.allows_partition(&identity, entry.partition.id);
                return if right { Ok(self.hosted(&system, entry)) } else { Err(missing()) };
            }
        }
        Err(missing())
    }

    /// All objects of a collection.
    ///
    /// # Errors
    /// 404 when the object that they are below does not exist, and what systems refuse.
    pub(crate) fn open(&mut self, collection: &Collection) -> Result<Objects, Failure> {
        match &collection.within {
            None if collection.empty => Ok(Objects::none()),
            None => self.open_root(&collection.kind),
            Some((kind, id)) if kind == "ManagedSystem" => {
                let read = self.read(self.connection(id)?)?;
                if collection.empty {
                    Ok(Objects::none())
                } else {
                    Ok(self.of_system(&collection.kind, read))
                }
            }
            Some((kind, id)) => {
                let hosted = self.partition(kind, id, None)?;
                if collection.empty {
                    Ok(Objects::none())
                } else {
                    Ok(of_partition(&collection.kind, hosted))
                }
            }
        }
    }

    fn open_root(&self, kind: &str) -> Result<Objects, Failure> {
        match kind {
            "ManagementConsole" => Ok(Objects::of(vec![Box::new(self.console())])),
            "ManagedSystem" => {
                let mut found: Vec<Box<dyn Object>> = Vec::new();
                for connection in self.connections() {
                    found.push(Box::new(self.system_view(self.read(connection)?)));
                }
                Ok(Objects::of(found))
            }
            _ => {
                let mut all = Vec::new();
                for connection in self.connections() {
                    let read = self.read(connection)?;
                    all.push(self.partitions(kind, read));
                }
                let versions: Vec<String> = all.iter().map(|one| one.versions.clone()).collect();
                let objects = Box::new(all.into_iter().flat_map(|one| one.objects));
                Ok(Objects { objects, versions: versions.join("\n") })
            }
        }
    }

    fn console(&self) -> ConsoleView {
        ConsoleView {
            links: self.links.clone(),
            description: self.api.console.description().clone(),
            systems: self.connections().map(|one| one.hardware.uuid).collect(),
            schema: self.api.schema,
            address: host_of(&self.request.base).to_owned(),
        }
    }

    /// Partitions of a type, made one by one while they are written.
    fn partitions(&self, kind: &str, read: Read) -> Objects {
        let servers = kind == "VirtualIOServer";
        let right = move |entry: &PartitionEntry| {
            (entry.partition.environment == PartitionEnvironment::VirtualIoServer) == servers
        };
        let (links, system) = (self.links.clone(), read.system);
        let entries: Vec<PartitionEntry> = read.entries.into_iter().filter(right).collect();
        let mut versions = String::new();
        for entry in &entries {
            let hosted = Hosted { links: links.clone(), system: system.clone(), entry: entry.clone() };
            versions.push_str(&hosted.version());
        }
        let make = move |entry| -> Box<dyn Object> {
            Box::new(Hosted { links: links.clone(), system: system.clone(), entry })
        };
        Objects { objects: Box::new(entries.into_iter().map(make)), versions }
    }

    fn of_system(&self, kind: &str, read: Read) -> Objects {
        match kind {
            "LogicalPartition" | "VirtualIOServer" => self.partitions(kind, read),
            "VirtualSwitch" => Objects::of(self.switches(&read)),
            "VirtualNetwork" => Objects::of(self.networks(&read)),
            "SharedProcessorPool" => {
                let pools = read.system.settings.processor_pools.clone();
                Objects::of(pools.into_iter().map(|pool| self.pool(&read, pool)).collect())
            }
            _ => Objects::none(),
        }
    }

    fn switches(&self, read: &Read) -> Vec<Box<dyn Object>> {
        let all = networks(&read.entries);
        let view = |(number, name): (usize, &String)| -> Box<dyn Object> {
            Box::new(SwitchView {
                links: self.links.clone(),
                system: read.system.clone(),
                number,
                name: name.clone(),
                networks: all.iter().filter(|one| one.switch == *name).cloned().collect(),
            })
        };
        read.system.virtual_switches().enumerate().map(view).collect()
    }

    fn networks(&self, read: &Read) -> Vec<Box<dyn Object>> {
        let mut found: Vec<Box<dyn Object>> = Vec::new();
        for network in networks(&read.entries) {
            let number = read.system.virtual_switches().position(|name| *name == network.switch);
            found.push(Box::new(NetworkView {
                links: self.links.clone(),
                system: read.system.clone(),
                switch_number: number.unwrap_or_default(),
                network,
            }));
        }
        found
    }

    fn pool(&self, read: &Read, pool: varan_model::system::SharedProcessorPool) -> Box<dyn Object> {
        let (partitions, used) = members(&read.entries, pool.id);
        Box::new(PoolView { links: self.links.clone(), system: read.system.clone(), pool, partitions, used })
    }

    /// One object of a collection.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn find(&mut self, collection: &Collection, id: &str) -> Result<Box<dyn Object>, Failure> {
        let within = collection.within.as_ref();
        let object: Box<dyn Object> = match (collection.kind.as_str(), within) {
            ("ManagedSystem", None) => Box::new(self.system_view(self.read(self.connection(id)?)?)),
            ("LogicalPartition" | "VirtualIOServer", None) => {
                Box::new(self.partition(&collection.kind, id, None)?)
            }
            ("LogicalPartition" | "VirtualIOServer", Some((_, system))) => {
                Box::new(self.partition(&collection.kind, id, Some(system))?)
            }
            _ => {
                let mut objects = self.open(collection)?.objects;
                let found = objects.find(|object| object.id().eq_ignore_ascii_case(id));
                found.ok_or_else(|| Failure::not_found(id))?
            }
        };
        let path = format!("{}/{}", collection.path(), object.id());
        Ok(Box::new(Relocated { object, path }))
    }
}

/// The host of `https://host:port`.
fn host_of(base: &str) -> &str {
    let host = base.split("://").nth(1).unwrap_or(base);
    match host.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
        Some(address) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}

fn of_partition(kind: &str, hosted: Hosted) -> Objects {
    let partition = hosted.entry.partition.clone();
    match kind {
        "LogicalPartitionProfile" => {
            let view = |profile: &Arc<Profile>| -> Box<dyn Object> {
                Box::new(ProfileView { hosted: hosted.clone(), profile: profile.clone() })
            };
            Objects::of(partition.profiles.iter().map(view).collect())
        }
        "ClientNetworkAdapter" => adapters(&hosted, |content| {
            content.ethernet_adapters.iter().filter(|one| one.trunk_priority.is_none()).cloned().collect()
        }),
        "VirtualSCSIClientAdapter" => adapters(&hosted, |content| {
            content.scsi_adapters.iter().filter(|one| one.side == AdapterSide::Client).cloned().collect()
        }),
        "VirtualFibreChannelClientAdapter" => adapters(&hosted, |content| {
            content
                .fibre_channel_adapters
                .iter()
                .filter(|one| one.side == AdapterSide::Client)
                .cloned()
                .collect()
        }),
        _ => Objects::none(),
    }
}

fn adapters<A: Adapter>(hosted: &Hosted, of: impl Fn(&Configuration) -> Vec<A>) -> Objects
where
    AdapterView<A>: Object,
{
    let found = hosted.entry.partition.current.as_ref().map(of).unwrap_or_default();
    let view = |adapter| -> Box<dyn Object> { Box::new(AdapterView { hosted: hosted.clone(), adapter }) };
    Objects::of(found.into_iter().map(view).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections() {
        let parse = |path: &[&str]| {
            let (collection, rest) = Collection::parse(path).ok()?;
            Some((collection.path(), collection.empty, rest.len()))
        };
        let found = |path: &str, empty, rest| Some((path.to_owned(), empty, rest));
        assert_eq!(parse(&["ManagedSystem"]), found("ManagedSystem", false, 0));
        assert_eq!(parse(&["ManagedSystem", "x"]), found("ManagedSystem", false, 1));
        assert_eq!(parse(&["ManagedSystem", "quick", "All"]), found("ManagedSystem", false, 2));
        assert_eq!(parse(&["ManagedSystem", "x", "quick", "State"]), found("ManagedSystem", false, 3));
        assert_eq!(
            parse(&["ManagedSystem", "x", "VirtualSwitch"]),
            found("ManagedSystem/x/VirtualSwitch", false, 0)
        );
        assert_eq!(
            parse(&["ManagedSystem", "x", "LogicalPartition", "quick", "All"]),
            found("ManagedSystem/x/LogicalPartition", false, 2)
        );
        assert_eq!(
            parse(&["LogicalPartition", "x", "VirtualNICDedicated"]),
            found("LogicalPartition/x/VirtualNICDedicated", true, 0)
        );
        assert_eq!(parse(&["Cluster"]), found("Cluster", true, 0));
        assert_eq!(parse(&["Job"]), None);
        assert_eq!(parse(&["ManagedSystem", "x", "Job"]), None);
        assert_eq!(parse(&["ManagementConsole", "x", "ManagedSystem"]), None);
    }

    #[test]
    fn hosts_are_taken_from_links() {
        assert_eq!(host_of("https://127.0.0.1:12443"), "127.0.0.1");
        assert_eq!(host_of("https://[::1]:12443"), "::1");
        assert_eq!(host_of("http://myhmc"), "myhmc");
    }
}
