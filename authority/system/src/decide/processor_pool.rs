//! Shared processor pools: their limits, and which pool a partition uses.

use varan_contract::system::{PoolSelector, Selector};
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, ProcessorMode};
use varan_model::ids::PartitionId;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::processor_pool::{by_id, by_name, change, check_fit};
use varan_model::rules::profile::{EditContext, apply_all, check_repeats};
use varan_model::system::SharedProcessorPool;
use varan_model::units::ProcessingUnits;

use super::Decision;
use super::definition::check_reachable;
use super::dynamic::{current, through_guest, with_configuration};
use crate::world::{Change, World};

/// The entitlement of the partitions that run in a pool, without one of them.
fn used(world: &World, pool: u16, without: Option<PartitionId>) -> ProcessingUnits {
    let entries = world.snapshot.partitions.iter().map(|(_, entry)| entry);
    let units = entries
        .filter(|entry| entry.runtime.state.holds_resources() && Some(entry.partition.id) != without)
        .filter_map(|entry| entry.partition.current.as_ref())
        .filter(|content| in_pool(content, pool))
        .map(|content| content.desired_units.0)
        .sum();
    ProcessingUnits(units)
}

fn in_pool(content: &Configuration, pool: u16) -> bool {
    content.processor_mode == ProcessorMode::Shared && content.processor_pool == pool
}

/// Whether a partition with that configuration fits its pool beside the others that run in it.
pub(super) fn check_room(
    world: &World,
    partition: PartitionId,
    content: &Configuration,
) -> Result<(), Refusal> {
    check_room_beside(world, partition, content, ProcessingUnits(0))
}

/// As [`check_room`], where the others are about to give `freed` of their units.
pub(super) fn check_room_beside(
    world: &World,
    partition: PartitionId,
    content: &Configuration,
    freed: ProcessingUnits,
) -> Result<(), Refusal> {
    if content.processor_pool == 0 || content.processor_mode == ProcessorMode::Dedicated {
        return Ok(());
    }
    let pool = by_id(world.system(), content.processor_pool)?;
    let others = used(world, pool.id, Some(partition)).minus(freed);
    check_fit(&pool, others.plus(content.desired_units))
}

pub(super) fn change_pool(
    world: &World,
    selector: &PoolSelector,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    check_repeats(record)?;
    let system = world.system();
    let pool = match selector {
        PoolSelector::Id(id) => by_id(system, *id)?,
        PoolSelector::Name(name) => by_name(system, name)?,
    };
    let taken = used(world, pool.id, None);
    let pool = change(pool, record, taken, system)?;
    if pool.maximum_units == Some(ProcessingUnits(0)) {
        check_unused(world, &pool)?;
    }
    let mut settings = system.settings.clone();
    settings.processor_pools.retain(|present| present.id != pool.id);
    // A pool without capacity and with its first name is as it left the factory.
    let factory_name = pool.name == format!("SharedPool{:02}", pool.id);
    if pool.maximum_units != Some(ProcessingUnits(0)) || !factory_name {
        settings.processor_pools.push(pool);
        settings.processor_pools.sort_by_key(|pool| pool.id);
    }
    Ok(Decision::change(Change::PutSettings(Box::new(settings))))
}

/// A pool that a definition names keeps some capacity, or the definition could never be activated.
fn check_unused(world: &World, pool: &SharedProcessorPool) -> Result<(), Refusal> {
    for (_, entry) in world.snapshot.partitions.iter() {
        let profiles = entry.partition.profiles.iter().map(|profile| &profile.configuration);
        if profiles.chain(&entry.partition.current).any(|content| in_pool(content, pool.id)) {
            let refusal = Refusal::new(MessageKey::ProcessorPoolInUse).with(&pool.name);
            return Err(refusal.with(&entry.partition.name));
        }
    }
    Ok(())
}

pub(super) fn assign_pool(
    world: &World,
    selector: &Selector,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    check_reachable(world)?;
    check_repeats(record)?;
    for assignment in record {
        if !matches!(assignment.name.as_str(), "shared_proc_pool_name" | "shared_proc_pool_id") {
            return Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name));
        }
    }
    // The hypervisor alone applies the pool; the guest's state decides as for the sharing mode.
    let running = through_guest(entry)?;
    let mut content = current(entry)?.clone();
    if content.processor_mode == ProcessorMode::Dedicated {
        let (pool, mode) = ("shared processor pool", content.processor_mode.word());
        return Err(Refusal::new(MessageKey::SharingModeMismatch).with(pool).with(mode));
    }
    apply_all(&mut content, record, &EditContext { system: world.system(), lookup: world })?;
    if running {
        check_room(world, entry.partition.id, &content)?;
    }
    let partition = with_configuration(entry, content, running);
    Ok(Decision::change(Change::PutPartition(Box::new(partition))))
}
