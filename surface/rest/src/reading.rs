//! How the objects of a collection are found.
//!
//! A feed is written from an iterator that makes its objects one by one. Systems are read when their turn comes, so that a
//! feed over many of them holds the list of one.

use std::collections::HashMap;
use std::sync::Arc;

use varan_console::{Console, ResourceScope, SystemConnection};
use varan_contract::system::{PartitionFilter, Selector, SystemReply, SystemRequest};
use varan_model::adapters::AdapterSide;
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, PartitionEnvironment};
use varan_model::ids::{PartitionUuid, SystemUuid};
use varan_model::partition::{PartitionEntry, Profile};
use varan_model::rules::processor_pool;
use varan_model::system::{ManagedSystem, SharedProcessorPool};

use crate::collection::Collection;
use crate::entry::Fingerprint;
use crate::failure::Failure;
use crate::resource::adapter::{Adapter, AdapterView};
use crate::resource::console::ConsoleView;
use crate::resource::network::{NetworkView, SwitchView, networks};
use crate::resource::pool::{PoolView, members};
use crate::resource::profile::ProfileView;
use crate::resource::slot::Owner;
use crate::resource::system::SystemView;
use crate::resource::{Hosted, Links, Object, PartitionKey, Peers, network_id, partition_kind};
use crate::router::{Mode, Reading};

/// Objects that are made while they are written.
pub type ObjectIterator = Box<dyn Iterator<Item = Box<dyn Object>> + Send>;

/// Objects to be written one after the other.
pub struct Objects {
    /// Objects.
    pub objects: ObjectIterator,
    /// What the feed's entity tag is made of.
    pub versions: Fingerprint,
}

impl Objects {
    fn none() -> Self {
        Self { objects: Box::new(std::iter::empty()), versions: Fingerprint::default() }
    }

    fn of(objects: Vec<Box<dyn Object>>) -> Self {
        let mut versions = Fingerprint::default();
        objects.iter().for_each(|object| versions.add(&object.version()));
        Self { objects: Box::new(objects.into_iter()), versions }
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

/// What systems are read with; owns what it needs, since it outlives the request.
#[derive(Clone)]
struct Reader {
    console: Arc<Console>,
    scope: Arc<ResourceScope>,
    links: Arc<Links>,
    now: i64,
}

impl Reader {
    fn peers(&self, connection: &Arc<SystemConnection>) -> Peers {
        Peers { console: self.console.clone(), connection: connection.clone(), scope: self.scope.clone() }
    }

    /// A system and its partitions; one that cannot be reached has none to show.
    fn read(&self, connection: Arc<SystemConnection>) -> Result<Read, Failure> {
        let request = SystemRequest::ListPartitions(PartitionFilter::All);
        match self.console.call(&connection, request) {
            Ok(SystemReply::Partitions { system, mut entries }) => {
                let identity = connection.identity().to_string();
                if !self.scope.allows_all_partitions(&identity) {
                    entries.retain(|entry| self.scope.allows_partition(&identity, entry.partition.id));
                }
                Ok(Read { connection, system, entries })
            }
            Err(refusal) if refusal.key != MessageKey::SystemNoConnection => Err(refusal.into()),
            _ => {
                let system = self.console.describe(&connection)?;
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
        let mut owners = HashMap::new();
        for entry in &read.entries {
            for slot in entry.partition.current.iter().flat_map(|content| &content.physical_slots) {
                owners.insert(slot.drc_index, Owner::of(&entry.partition));
            }
        }
        SystemView {
            links: self.links.clone(),
            owners,
            networks: ids.collect(),
            partitions: read.entries.iter().map(key).collect(),
            system: read.system,
            address: read.connection.address.clone(),
            now: self.now,
        }
    }

    /// The partitions of a type, made one by one.
    fn partitions(&self, servers: bool, read: Read) -> impl Iterator<Item = Hosted> + Send + use<> {
        let right = move |entry: &PartitionEntry| {
            (entry.partition.environment == PartitionEnvironment::VirtualIoServer) == servers
        };
        let (links, system, peers) = (self.links.clone(), read.system, self.peers(&read.connection));
        read.entries.into_iter().filter(right).map(move |entry| Hosted {
            links: links.clone(),
            system: system.clone(),
            entry,
            peers: peers.clone(),
        })
    }

    /// Objects of several systems: read once for the entity tag if there is to be one, and again one system at a time for
    /// the answer.
    fn of_systems<I>(
        &self,
        tagged: bool,
        connections: Vec<Arc<SystemConnection>>,
        open: impl Fn(&Self, Read) -> I + Send + 'static,
    ) -> Result<Objects, Failure>
    where
        I: Iterator<Item = Box<dyn Object>> + Send + 'static,
    {
        let mut versions = Fingerprint::default();
        for connection in connections.iter().filter(|_| tagged) {
            for object in open(self, self.read(connection.clone())?) {
                versions.add(&object.version());
            }
        }
        let reader = self.clone();
        // A system that was lost since then has nothing to show.
        let reads = connections.into_iter().filter_map({
            let reader = self.clone();
            move |connection| reader.read(connection).ok()
        });
        Ok(Objects { objects: Box::new(reads.flat_map(move |read| open(&reader, read))), versions })
    }

    fn systems(&self, tagged: bool, connections: Vec<Arc<SystemConnection>>) -> Result<Objects, Failure> {
        self.of_systems(tagged, connections, |reader, read| {
            std::iter::once(Box::new(reader.system_view(read)) as Box<dyn Object>)
        })
    }

    fn partitions_of(
        &self,
        kind: &str,
        tagged: bool,
        connections: Vec<Arc<SystemConnection>>,
    ) -> Result<Objects, Failure> {
        let servers = kind == "VirtualIOServer";
        self.of_systems(tagged, connections, move |reader, read| {
            reader.partitions(servers, read).map(|hosted| Box::new(hosted) as Box<dyn Object>)
        })
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

    fn pools(&self, read: &Read) -> Vec<Box<dyn Object>> {
        let mut members = members(&read.entries);
        let view = |pool: SharedProcessorPool| -> Box<dyn Object> {
            let (partitions, used) = members.remove(&pool.id).unwrap_or_default();
            let (links, system) = (self.links.clone(), read.system.clone());
            Box::new(PoolView { links, system, pool, partitions, used })
        };
        processor_pool::all(&read.system).map(view).collect()
    }
}

impl Reading<'_> {
    fn reader(&self) -> Reader {
        Reader {
            console: self.api.console.clone(),
            scope: self.scope.clone(),
            links: self.links.clone(),
            now: self.api.milliseconds(),
        }
    }

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
        let uuid: SystemUuid = id.to_lowercase().parse().map_err(|_| Failure::not_found())?;
        let mut all = self.connections();
        all.find(|one| one.hardware.uuid == uuid).ok_or_else(Failure::not_found)
    }

    /// A partition by its UUID: each system is asked for one, none is searched.
    fn partition(&self, kind: &str, id: &str, within: Option<&str>) -> Result<Hosted, Failure> {
        let uuid: PartitionUuid = id.to_uppercase().parse().map_err(|_| Failure::not_found())?;
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
                let (links, peers) = (self.links.clone(), self.reader().peers(&connection));
                return right
                    .then_some(Hosted { links, system, entry, peers })
                    .ok_or_else(Failure::not_found);
            }
        }
        Err(Failure::not_found())
    }

    /// All objects of a collection; with what an entity tag is made of, which means to read them twice, if that is asked for.
    ///
    /// # Errors
    /// 404 when the object that they are below does not exist, and what systems refuse.
    pub(crate) fn open(&self, collection: &Collection, tagged: bool) -> Result<Objects, Failure> {
        let found = match &collection.within {
            None if collection.empty => Objects::none(),
            None => self.open_root(&collection.kind, tagged)?,
            Some((kind, id)) => self.open_below(kind, id, &collection.kind, tagged)?,
        };
        Ok(found)
    }

    fn open_root(&self, kind: &str, tagged: bool) -> Result<Objects, Failure> {
        match kind {
            "ManagementConsole" => Ok(Objects::of(vec![Box::new(self.console())])),
            "ManagedSystem" => self.reader().systems(tagged, self.connections().collect()),
            _ => self.reader().partitions_of(kind, tagged, self.connections().collect()),
        }
    }

    /// Objects of a type below an object. What the object is below of must exist, even if the type has no objects here.
    fn open_below(&self, parent: &str, id: &str, kind: &str, tagged: bool) -> Result<Objects, Failure> {
        match parent {
            "ManagementConsole" => {
                self.is_console(id)?;
                self.open_root(kind, tagged)
            }
            "ManagedSystem" => {
                let (reader, connection) = (self.reader(), self.connection(id)?);
                match kind {
                    "LogicalPartition" | "VirtualIOServer" => {
                        reader.partitions_of(kind, tagged, vec![connection])
                    }
                    "VirtualSwitch" => Ok(Objects::of(reader.switches(&reader.read(connection)?))),
                    "VirtualNetwork" => Ok(Objects::of(reader.networks(&reader.read(connection)?))),
                    "SharedProcessorPool" => Ok(Objects::of(reader.pools(&reader.read(connection)?))),
                    _ => Ok(Objects::none()),
                }
            }
            "LogicalPartition" | "VirtualIOServer" => {
                Ok(of_partition(kind, &self.partition(parent, id, None)?))
            }
            _ => Err(Failure::not_found()),
        }
    }

    fn console(&self) -> ConsoleView {
        ConsoleView {
            links: self.links.clone(),
            description: self.api.console.description().clone(),
            systems: self.connections().map(|one| one.hardware.uuid).collect(),
            address: host_of(&self.request.base).to_owned(),
        }
    }

    fn is_console(&self, id: &str) -> Result<(), Failure> {
        let own = crate::resource::console::console_id(self.api.console.description());
        if own.eq_ignore_ascii_case(id) { Ok(()) } else { Err(Failure::not_found()) }
    }

    /// One object of a collection.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn find(&self, collection: &Collection, id: &str) -> Result<Box<dyn Object>, Failure> {
        let within = collection.within.as_ref().map(|(kind, id)| (kind.as_str(), id.as_str()));
        let object: Box<dyn Object> = match (collection.kind.as_str(), within) {
            ("ManagedSystem", _) => {
                if let Some((_, console)) = within {
                    self.is_console(console)?;
                }
                let reader = self.reader();
                Box::new(reader.system_view(reader.read(self.connection(id)?)?))
            }
            (kind @ ("LogicalPartition" | "VirtualIOServer"), _) => {
                Box::new(self.partition(kind, id, within.map(|(_, system)| system))?)
            }
            _ => {
                let mut objects = self.open(collection, false)?.objects;
                let found = objects.find(|object| object.id().eq_ignore_ascii_case(id));
                found.ok_or_else(Failure::not_found)?
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

fn of_partition(kind: &str, hosted: &Hosted) -> Objects {
    let partition = hosted.entry.partition.clone();
    match kind {
        "LogicalPartitionProfile" => {
            let view = |profile: &Arc<Profile>| -> Box<dyn Object> {
                Box::new(ProfileView { hosted: hosted.clone(), profile: profile.clone() })
            };
            Objects::of(partition.profiles.iter().map(view).collect())
        }
        "ClientNetworkAdapter" => adapters(hosted, |content| {
            content.ethernet_adapters.iter().filter(|one| one.trunk_priority.is_none()).cloned().collect()
        }),
        "VirtualSCSIClientAdapter" => adapters(hosted, |content| {
            content.scsi_adapters.iter().filter(|one| one.side == AdapterSide::Client).cloned().collect()
        }),
        "VirtualFibreChannelClientAdapter" => adapters(hosted, |content| {
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
    fn hosts_are_taken_from_links() {
        assert_eq!(host_of("https://127.0.0.1:12443"), "127.0.0.1");
        assert_eq!(host_of("https://[::1]:12443"), "::1");
        assert_eq!(host_of("http://myhmc"), "myhmc");
    }
}
