//! The types of the API: what each is about, where its objects are found, and the table of its elements.

pub mod adapter;
pub mod console;
pub mod mapping;
pub mod network;
pub mod partition;
pub mod pool;
pub mod profile;
pub mod slot;
pub mod system;

use std::sync::Arc;

use varan_console::{Console, ResourceScope, SystemConnection};
use varan_contract::system::{PartitionFilter, Selector, SystemReply, SystemRequest};
use varan_model::configuration::PartitionEnvironment;
use varan_model::ids::{PartitionId, PartitionUuid};
use varan_model::partition::PartitionEntry;
use varan_model::system::ManagedSystem;

use crate::element::{self, Outline};
use crate::entry::named_id;
use crate::query::Groups;
use crate::xml::XmlWriter;

/// How links begin and end in one answer.
pub struct Links {
    /// `https://host:port/rest/api/uom/`.
    pub base: String,
    /// `?group=None`, as the request had it, or nothing.
    pub suffix: String,
}

impl Links {
    /// A link to an object, without the suffix: the way objects refer to each other.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// A value of a quick answer.
pub type QuickValue = (&'static str, serde_json::Value);

/// One object of the API.
pub trait Object: Send {
    /// Type.
    fn kind(&self) -> &'static str;
    /// UUID.
    fn id(&self) -> String;
    /// Where the object is found below `/rest/api/uom/` when it is asked for by itself.
    fn path(&self) -> String;
    /// What the entity tag is made of.
    fn version(&self) -> String;
    /// Writes the elements.
    fn write(&self, writer: &mut XmlWriter, groups: Groups);
    /// Quick properties; `None` when the type has none.
    fn quick(&self) -> Option<Vec<QuickValue>> {
        None
    }
    /// The value of a search key; `None` when the type cannot be searched by it.
    fn search_key(&self, _: &str) -> Option<String> {
        None
    }
}

/// A partition's place in the world.
#[derive(Clone)]
pub struct Hosted {
    /// Links.
    pub links: Arc<Links>,
    /// System.
    pub system: Arc<ManagedSystem>,
    /// Partition.
    pub entry: PartitionEntry,
    /// The other partitions of the system.
    pub peers: Peers,
}

/// The partitions of a system, asked for one by one.
#[derive(Clone)]
pub struct Peers {
    /// Console.
    pub console: Arc<Console>,
    /// System.
    pub connection: Arc<SystemConnection>,
    /// What the user may reach.
    pub scope: Arc<ResourceScope>,
}

impl Peers {
    /// A partition by its number, if there is one and the user may see it.
    pub fn find(&self, id: PartitionId) -> Option<PartitionEntry> {
        if !self.scope.allows_partition(&self.connection.identity().to_string(), id) {
            return None;
        }
        let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![Selector::Id(id)]));
        match self.console.call(&self.connection, request) {
            Ok(SystemReply::Partitions { entries, .. }) => entries.into_iter().next(),
            _ => None,
        }
    }
}

/// Path of a system.
pub fn system_path(system: &ManagedSystem) -> String {
    format!("ManagedSystem/{}", system.hardware.uuid)
}

/// The type that a partition has in the API.
pub fn partition_kind(environment: PartitionEnvironment) -> &'static str {
    match environment {
        PartitionEnvironment::VirtualIoServer => "VirtualIOServer",
        PartitionEnvironment::AixLinux | PartitionEnvironment::IbmI => "LogicalPartition",
    }
}

/// The kind of a partition as documents say it.
pub fn partition_type(environment: PartitionEnvironment) -> &'static str {
    match environment {
        PartitionEnvironment::AixLinux => "AIX/Linux",
        PartitionEnvironment::VirtualIoServer => "Virtual IO Server",
        PartitionEnvironment::IbmI => "OS400",
    }
}

/// Path of a partition.
pub fn partition_path(environment: PartitionEnvironment, uuid: PartitionUuid) -> String {
    format!("{}/{uuid}", partition_kind(environment))
}

/// Identity of a profile.
pub fn profile_id(partition: PartitionUuid, name: &str) -> String {
    named_id(&["LogicalPartitionProfile", &partition.to_string(), name])
}

/// Identity of a virtual adapter.
pub fn adapter_id(kind: &str, partition: PartitionUuid, slot: impl std::fmt::Display) -> String {
    named_id(&[kind, &partition.to_string(), &slot.to_string()])
}

/// Identity of a virtual switch.
pub fn switch_id(system: &ManagedSystem, name: &str) -> String {
    named_id(&["VirtualSwitch", &system.hardware.uuid.to_string(), name])
}

/// Identity of a virtual network.
pub fn network_id(system: &ManagedSystem, switch: &str, vlan: u16) -> String {
    named_id(&["VirtualNetwork", &system.hardware.uuid.to_string(), switch, &vlan.to_string()])
}

/// Identity of a shared processor pool.
pub fn pool_id(system: &ManagedSystem, pool: u16) -> String {
    named_id(&["SharedProcessorPool", &system.hardware.uuid.to_string(), &pool.to_string()])
}

/// `true` or `false`.
pub(crate) fn boolean(value: bool) -> Option<String> {
    Some(value.to_string())
}

/// A value as text.
pub(crate) fn some(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// A partition's link for a list, by what is known of it.
pub type PartitionKey = (PartitionId, PartitionUuid, PartitionEnvironment);

/// All types with what their tables say, in order, for comparison with recorded data.
#[must_use]
pub fn outline() -> Vec<(&'static str, Vec<Outline>)> {
    let mut found = Vec::new();
    macro_rules! add {
        ($($kind:literal: $table:expr;)+) => { $({
            let mut lines = Vec::new();
            element::outline($table, "", &mut lines);
            found.push(($kind, lines));
        })+ };
    }
    add! {
        "ManagementConsole": console::CONSOLE;
        "ManagedSystem": system::SYSTEM;
        "LogicalPartition": partition::LOGICAL_PARTITION;
        "VirtualIOServer": partition::VIRTUAL_IO_SERVER;
        "LogicalPartitionProfile": profile::PROFILE;
        "ClientNetworkAdapter": adapter::CLIENT_NETWORK_ADAPTER;
        "VirtualSCSIClientAdapter": adapter::SCSI_CLIENT;
        "VirtualFibreChannelClientAdapter": adapter::FIBRE_CHANNEL_CLIENT;
        "VirtualSwitch": network::SWITCH;
        "VirtualNetwork": network::NETWORK;
        "SharedProcessorPool": pool::POOL;
    }
    found
}
