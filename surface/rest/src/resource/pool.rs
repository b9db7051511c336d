//! `SharedProcessorPool`.

use std::collections::BTreeMap;
use std::sync::Arc;

use varan_model::configuration::ProcessorMode;
use varan_model::partition::PartitionEntry;
use varan_model::system::{ManagedSystem, SharedProcessorPool};
use varan_model::units::ProcessingUnits;

use super::partition::units;
use super::{Links, Object, PartitionKey, partition_path, pool_id, some, system_path};
use crate::element::{Element, links_if_any, text, write};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// A shared processor pool.
pub struct PoolView {
    /// Links.
    pub links: Arc<Links>,
    /// System.
    pub system: Arc<ManagedSystem>,
    /// Pool.
    pub pool: SharedProcessorPool,
    /// Its partitions.
    pub partitions: Vec<PartitionKey>,
    /// Units that its partitions have now.
    pub used: ProcessingUnits,
}

/// Partitions of a pool, and the units that they hold.
pub type Members = (Vec<PartitionKey>, ProcessingUnits);

/// The members of each pool that has some, by its number.
pub fn members(entries: &[PartitionEntry]) -> BTreeMap<u16, Members> {
    let mut found: BTreeMap<u16, Members> = BTreeMap::new();
    for entry in entries {
        let Some(content) = &entry.partition.current else { continue };
        if content.processor_mode == ProcessorMode::Shared {
            let partition = &entry.partition;
            let (partitions, used) = found.entry(content.processor_pool).or_default();
            partitions.push((partition.id, partition.uuid, partition.environment));
            if entry.runtime.state.holds_resources() {
                *used = used.plus(entry.runtime.units);
            }
        }
    }
    found
}

fn shown(value: ProcessingUnits) -> Option<String> {
    Some(units(value))
}

/// Elements of a shared processor pool in the order of recorded answers.
pub static POOL: &[Element<PoolView>] = &[
    links_if_any("AssignedPartitions", "CUD", |view| {
        let system = system_path(&view.system);
        let path = |(_, uuid, environment): &PartitionKey| {
            format!("{system}/{}", partition_path(*environment, *uuid))
        };
        view.partitions.iter().map(|key| view.links.to(&path(key))).collect()
    }),
    text("CurrentReservedProcessingUnits", "ROR", |view| shown(view.pool.reserved_units)),
    text("MaximumProcessingUnits", "CUD", |view| shown(view.pool.maximum_units.unwrap_or_default())),
    text("PendingReservedProcessingUnits", "CUD", |view| shown(view.pool.reserved_units)),
    text("PoolID", "ROR", |view| some(view.pool.id)),
    text("AvailableProcUnits", "CUD", |view| {
        // The default pool has what the system has; another has what its partitions leave of its maximum.
        match view.pool.maximum_units {
            Some(maximum) => shown(maximum.minus(view.used)),
            None => shown(view.system.available_units()),
        }
    }),
    text("PoolName", "CUR", |view| some(&view.pool.name)),
];

impl Object for PoolView {
    fn kind(&self) -> &'static str {
        "SharedProcessorPool"
    }

    fn id(&self) -> String {
        pool_id(&self.system, self.pool.id)
    }

    fn path(&self) -> String {
        format!("{}/SharedProcessorPool/{}", system_path(&self.system), self.id())
    }

    fn version(&self) -> String {
        format!("{:?} {:?} {} {}", self.pool, self.partitions, self.used, self.system.available_units())
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(POOL, self, groups, writer);
    }
}
