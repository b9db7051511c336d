//! `rsthwres`: running partitions whose operating system has something else than their current configuration says.
//!
//! | what | how it comes about | what restores it |
//! |---|---|---|
//! | memory, processors | a dynamic change that could neither be recorded nor taken back | the configuration gets what the operating system has |
//! | physical slots | a change with `--force` past an operating system without RMC | the operating system gets or gives up the slot |
//!
//! Where both agree there is nothing to do, and nothing is done.

use varan_contract::engine::AdapterAddress;
use varan_contract::system::{Restorable, Selector};
use varan_model::codes::MessageKey;
use varan_model::configuration::ProcessorMode;
use varan_model::partition::{PartitionEntry, PartitionState, RmcState};
use varan_model::refusal::Refusal;

use super::definition::check_reachable;
use super::dynamic::{current, with_configuration};
use super::{Decision, Effect};
use crate::world::{Change, World};

pub(super) fn restore(
    world: &World,
    selector: Option<&Selector>,
    resource: Restorable,
) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    if let Restorable::IoSlots(Some(index)) = resource {
        check_slot(world, index)?;
    }
    let mut decision = Decision::default();
    match selector {
        Some(selector) => {
            let entry = world.snapshot.find(selector)?;
            check_settled(entry)?;
            restore_one(entry, resource, &mut decision)?;
        }
        None => {
            for (_, entry) in world.snapshot.partitions.iter() {
                if check_settled(entry).is_ok() {
                    restore_one(entry, resource, &mut decision)?;
                }
            }
        }
    }
    Ok(decision)
}

fn check_slot(world: &World, index: u32) -> Result<(), Refusal> {
    match world.system().hardware.slot(index) {
        Some(_) => Ok(()),
        None => Err(Refusal::new(MessageKey::PhysicalSlotNotFound).with(format_args!("{index:08X}"))),
    }
}

/// A partition that is off has nothing to restore; one that a change is under way for is not touched.
fn check_settled(entry: &PartitionEntry) -> Result<(), Refusal> {
    match entry.runtime.state {
        PartitionState::Running if entry.runtime.lock.is_some() => {
            Err(Refusal::new(MessageKey::Locked).with(format_args!("partition {}", entry.partition.name)))
        }
        _ => Ok(()),
    }
}

fn restore_one(entry: &PartitionEntry, resource: Restorable, decision: &mut Decision) -> Result<(), Refusal> {
    match resource {
        Restorable::Memory if entry.memory_differs() => {
            let mut content = current(entry)?.clone();
            content.desired_memory = entry.runtime.memory;
            let partition = with_configuration(entry, content, true);
            decision.changes.push(Change::PutPartition(Box::new(partition)));
        }
        Restorable::Processors if entry.processors_differ() => {
            let mut content = current(entry)?.clone();
            content.desired_processors = entry.runtime.processors;
            if content.processor_mode == ProcessorMode::Shared {
                content.desired_units = entry.runtime.units;
            }
            let partition = with_configuration(entry, content, true);
            decision.changes.push(Change::PutPartition(Box::new(partition)));
        }
        Restorable::IoSlots(wanted) => return restore_slots(entry, wanted, decision),
        Restorable::Memory | Restorable::Processors => {}
    }
    Ok(())
}

fn restore_slots(
    entry: &PartitionEntry,
    wanted: Option<u32>,
    decision: &mut Decision,
) -> Result<(), Refusal> {
    let past = &entry.runtime.slots_past_guest;
    let chosen: Vec<u32> =
        past.iter().copied().filter(|index| wanted.is_none_or(|one| one == *index)).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    if entry.runtime.rmc != RmcState::Active {
        return Err(Refusal::new(MessageKey::DlparNoRmc).with(&entry.partition.name));
    }
    let content = current(entry)?;
    let partition = entry.partition.uuid;
    for &index in &chosen {
        let address = AdapterAddress::Physical(index);
        let has = content.physical_slots.iter().any(|slot| slot.drc_index == index);
        // Nobody waits: a slot is always taken, and one that is another's already is always given up.
        decision.effects.push(if has {
            Effect::PutAdapter { partition, address, token: 0 }
        } else {
            Effect::WithdrawAdapter { partition, address }
        });
    }
    let mut runtime = (*entry.runtime).clone();
    runtime.slots_past_guest.retain(|index| !chosen.contains(index));
    decision.changes.push(Change::PutRuntime(entry.partition.id, Box::new(runtime)));
    Ok(())
}

/// `chhwres -r io -o c`. The hardware of every slot is there, so nothing is remembered that is gone.
pub(super) fn clear_slots(world: &World, drc_index: Option<u32>) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    if let Some(index) = drc_index {
        check_slot(world, index)?;
        return Err(Refusal::new(MessageKey::PhysicalSlotPresent).with(format_args!("{index:08X}")));
    }
    Ok(Decision::default())
}
