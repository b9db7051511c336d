//! What activation takes from the frame, and how it is refused when it cannot.

use super::PartitionLookup;
use crate::codes::MessageKey;
use crate::configuration::{Configuration, MemoryMode, ProcessorMode};
use crate::refusal::Refusal;
use crate::system::ManagedSystem;
use crate::units::ProcessingUnits;

/// Works out the configuration that a partition runs with: what is wished if it is free, else what is free down to the
/// minimum.
///
/// # Errors
/// Not enough memory or processors, a required slot in use, or shared memory: no system has a shared memory pool.
pub fn plan(
    wanted: &Configuration,
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
) -> Result<Configuration, Refusal> {
    if wanted.memory_mode == MemoryMode::Shared {
        return Err(Refusal::new(MessageKey::NoSharedMemoryPool));
    }
    let mut content = wanted.clone();
    if content.all_resources {
        take_everything(&mut content, system);
    }
    plan_memory(&mut content, system)?;
    plan_processors(&mut content, system)?;
    plan_slots(&mut content, system, lookup)?;
    Ok(content)
}

/// A profile with all resources asks for whatever is left, whole processors only.
fn take_everything(content: &mut Configuration, system: &ManagedSystem) {
    let block = system.hardware.memory_region_size;
    let overhead =
        system.hardware.partition_overhead(system.hardware.installed_memory, content.hpt_ratio.into());
    let free = system.available_memory().saturating_sub(overhead.next_multiple_of(block) + block);
    content.minimum_memory = block;
    content.desired_memory = (free / block * block).max(block);
    content.maximum_memory = content.desired_memory;
    content.processor_mode = ProcessorMode::Dedicated;
    content.sharing_mode = crate::configuration::SharingMode::KeepIdle;
    content.minimum_processors = 1;
    content.desired_processors = (system.available_units().0 / 100).max(1);
    content.maximum_processors = content.desired_processors;
    content.physical_slots = system
        .hardware
        .slots
        .iter()
        .filter(|slot| !system.is_shared_slot(slot.drc_index))
        .map(|slot| crate::adapters::PhysicalSlot { drc_index: slot.drc_index, pool: None, required: false })
        .collect();
}

fn plan_memory(content: &mut Configuration, system: &ManagedSystem) -> Result<(), Refusal> {
    let block = system.hardware.memory_region_size;
    let own = system.hardware.partition_overhead(content.maximum_memory, content.hpt_ratio.into());
    let before = system.usage.overhead.next_multiple_of(block);
    let after = (system.usage.overhead + own).next_multiple_of(block);
    let free = system.available_memory().saturating_sub(after - before) / block * block;
    if free < content.minimum_memory {
        return Err(Refusal::new(MessageKey::NotEnoughMemory).with(free).with(content.minimum_memory));
    }
    content.desired_memory = content.desired_memory.min(free);
    Ok(())
}

fn plan_processors(content: &mut Configuration, system: &ManagedSystem) -> Result<(), Refusal> {
    let free = system.available_units();
    if content.processor_mode == ProcessorMode::Dedicated {
        let whole = free.0 / 100;
        if whole < content.minimum_processors {
            return Err(Refusal::new(MessageKey::NotEnoughProcessors)
                .with(whole)
                .with(content.minimum_processors));
        }
        content.desired_processors = content.desired_processors.min(whole);
        return Ok(());
    }
    if free < content.minimum_units {
        return Err(Refusal::new(MessageKey::NotEnoughProcessors).with(free).with(content.minimum_units));
    }
    content.desired_units = content.desired_units.min(free);
    let least = system.hardware.minimum_units_per_processor;
    content.desired_processors = fitting_processors(content, least)?;
    Ok(())
}

/// Fewer units than wished may carry fewer virtual processors than wished.
fn fitting_processors(content: &Configuration, least: ProcessingUnits) -> Result<u32, Refusal> {
    let carried = content.desired_units.0 / least.0.max(1);
    let processors = content.desired_processors.min(carried).max(content.desired_units.processors());
    if processors < content.minimum_processors {
        let required = ProcessingUnits(content.minimum_processors * least.0);
        return Err(Refusal::new(MessageKey::NotEnoughProcessors).with(content.desired_units).with(required));
    }
    Ok(processors)
}

fn plan_slots(
    content: &mut Configuration,
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
) -> Result<(), Refusal> {
    for slot in content.physical_slots.iter().filter(|slot| slot.required) {
        if system.is_shared_slot(slot.drc_index) {
            let index = format!("{:08X}", slot.drc_index);
            return Err(Refusal::new(MessageKey::SriovAdapterShared).with(index));
        }
        if let Some(holder) = lookup.slot_holder(slot.drc_index) {
            let index = format!("{:08X}", slot.drc_index);
            let holder = lookup.name_of(holder).unwrap_or_else(|| holder.to_string());
            return Err(Refusal::new(MessageKey::PhysicalSlotInUse).with(index).with(holder));
        }
    }
    content.physical_slots.retain(|slot| {
        let free = lookup.slot_holder(slot.drc_index).is_none() && !system.is_shared_slot(slot.drc_index);
        slot.required || free
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{TwoServers, system};
    use super::*;
    use crate::adapters::{Element, PhysicalSlot};
    use crate::configuration::SharingMode;
    use crate::partition::Usage;

    fn wanted() -> Configuration {
        Configuration {
            minimum_memory: 1_024,
            desired_memory: 4_096,
            maximum_memory: 8_192,
            minimum_units: ProcessingUnits(10),
            desired_units: ProcessingUnits(100),
            maximum_units: ProcessingUnits(200),
            minimum_processors: 1,
            desired_processors: 2,
            maximum_processors: 4,
            ..Configuration::default()
        }
    }

    #[test]
    fn the_wish_is_taken_when_it_is_free() {
        let planned = plan(&wanted(), &system(), &TwoServers).expect("fits");
        assert_eq!(planned, wanted());
    }

    #[test]
    fn less_is_taken_down_to_the_minimum() {
        let mut system = system();
        let free = system.available_memory();
        system.usage =
            Usage { memory: free - 2_304, overhead: 0, units: ProcessingUnits(785), virtual_processors: 0 };
        let planned = plan(&wanted(), &system, &TwoServers).expect("fits");
        // 256 MB of what is free go to the page table of the partition itself.
        assert_eq!(planned.desired_memory, 2_048);
        assert_eq!(planned.desired_units, ProcessingUnits(15));
        assert_eq!(planned.desired_processors, 2);
        system.usage.memory = free - 1_024;
        let refusal = plan(&wanted(), &system, &TwoServers).expect_err("too little");
        assert_eq!(refusal.key, MessageKey::NotEnoughMemory);
        assert_eq!(refusal.arguments, ["768", "1024"]);
    }

    #[test]
    fn dedicated_processors_are_whole() {
        let mut system = system();
        system.usage.units = ProcessingUnits(650);
        let mut content = wanted();
        content.processor_mode = ProcessorMode::Dedicated;
        content.sharing_mode = SharingMode::KeepIdle;
        assert_eq!(plan(&content, &system, &TwoServers).expect("fits").desired_processors, 1);
        content.minimum_processors = 2;
        assert_eq!(
            plan(&content, &system, &TwoServers).expect_err("too few").key,
            MessageKey::NotEnoughProcessors
        );
    }

    #[test]
    fn slots_in_use_are_left_out_or_refused() {
        let mut content = wanted();
        content.physical_slots.push(PhysicalSlot::parse("21020013/none/0").expect("slot"));
        assert!(plan(&content, &system(), &TwoServers).expect("fits").physical_slots.is_empty());
        content.physical_slots[0].required = true;
        assert_eq!(
            plan(&content, &system(), &TwoServers).expect_err("in use").key,
            MessageKey::PhysicalSlotInUse
        );
    }

    #[test]
    fn all_resources_take_what_is_left() {
        let content = Configuration { all_resources: true, ..Configuration::default() };
        let planned = plan(&content, &system(), &TwoServers).expect("fits");
        assert!(planned.desired_memory > 32_768 && planned.desired_processors == 8);
    }
}
