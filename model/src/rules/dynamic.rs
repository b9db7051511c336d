//! Dynamic changes of memory and processors: what is allowed, with the configuration that results.

use crate::codes::MessageKey;
use crate::configuration::{Configuration, ProcessorMode};
use crate::refusal::Refusal;
use crate::system::ManagedSystem;
use crate::units::ProcessingUnits;

use super::validity::check_units;

/// A change of memory or processors of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicChange {
    /// Megabytes to add, or to take away when negative.
    Memory(i64),
    /// Processors and hundredths of units to add, or to take away when negative.
    Processors {
        /// Virtual or whole processors.
        processors: i64,
        /// Hundredths of processing units; must be 0 for dedicated processors.
        hundredths: i64,
    },
}

/// Whether the change needs something from the frame's free pool. A move between partitions does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Takes from what is free, or gives back to it.
    Free,
    /// Another partition gives at the same time.
    OtherPartition,
}

fn out_of_range(
    what: &str,
    result: impl std::fmt::Display,
    least: impl std::fmt::Display,
    most: impl std::fmt::Display,
    name: &str,
) -> Refusal {
    Refusal::new(MessageKey::DlparOutOfRange).with(what).with(result).with(least).with(most).with(name)
}

/// Works out the configuration after the change.
///
/// # Errors
/// Out of the current range, not a whole memory block, not enough free, or units and processors that do not fit.
pub fn plan(
    current: &Configuration,
    change: DynamicChange,
    system: &ManagedSystem,
    name: &str,
    source: Source,
    holds_resources: bool,
) -> Result<Configuration, Refusal> {
    let mut content = current.clone();
    match change {
        DynamicChange::Memory(delta) => plan_memory(&mut content, delta, system, name)?,
        DynamicChange::Processors { processors, hundredths } => {
            plan_processors(&mut content, processors, hundredths, system, name)?;
        }
    }
    if source == Source::Free && holds_resources {
        check_free(current, &content, system)?;
    }
    Ok(content)
}

fn plan_memory(
    content: &mut Configuration,
    delta: i64,
    system: &ManagedSystem,
    name: &str,
) -> Result<(), Refusal> {
    let block = system.hardware.memory_region_size;
    let quantity = delta.unsigned_abs();
    if quantity == 0 || !quantity.is_multiple_of(block) {
        return Err(Refusal::new(MessageKey::MemoryNotMultiple).with(quantity).with(block));
    }
    let (least, most) = (content.minimum_memory, content.maximum_memory);
    let result = content.desired_memory.checked_add_signed(delta);
    let result = result.filter(|memory| (least..=most).contains(memory));
    let shown = i128::from(content.desired_memory) + i128::from(delta);
    content.desired_memory = result.ok_or_else(|| out_of_range("memory in MB", shown, least, most, name))?;
    Ok(())
}

fn plan_processors(
    content: &mut Configuration,
    processors: i64,
    hundredths: i64,
    system: &ManagedSystem,
    name: &str,
) -> Result<(), Refusal> {
    let (least, most) = (content.minimum_processors, content.maximum_processors);
    let wanted = i64::from(content.desired_processors).saturating_add(processors);
    let result = u32::try_from(wanted).ok().filter(|result| (least..=most).contains(result));
    content.desired_processors =
        result.ok_or_else(|| out_of_range("number of processors", wanted, least, most, name))?;
    if content.processor_mode == ProcessorMode::Dedicated {
        if hundredths != 0 {
            return Err(Refusal::new(MessageKey::ParameterInvalid).with("--procunits"));
        }
        return Ok(());
    }
    let (least, most) = (content.minimum_units, content.maximum_units);
    let wanted = i64::from(content.desired_units.0).saturating_add(hundredths);
    let result =
        u32::try_from(wanted).ok().map(ProcessingUnits).filter(|result| (least..=most).contains(result));
    let shown = ProcessingUnits(u32::try_from(wanted.max(0)).unwrap_or(u32::MAX));
    content.desired_units =
        result.ok_or_else(|| out_of_range("number of processing units", shown, least, most, name))?;
    check_units(
        content.desired_units,
        content.desired_processors,
        system.hardware.minimum_units_per_processor,
    )
}

fn check_free(before: &Configuration, after: &Configuration, system: &ManagedSystem) -> Result<(), Refusal> {
    let more = after.desired_memory.saturating_sub(before.desired_memory);
    if more > system.available_memory() {
        let free = system.available_memory();
        return Err(Refusal::new(MessageKey::DlparNotEnough).with(free).with("MB of memory").with(more));
    }
    let more = after.entitlement().minus(before.entitlement());
    if more > system.available_units() {
        let free = system.available_units();
        return Err(Refusal::new(MessageKey::DlparNotEnough).with(free).with("processing units").with(more));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::system;
    use super::*;

    fn current() -> Configuration {
        Configuration {
            minimum_memory: 1_024,
            desired_memory: 2_048,
            maximum_memory: 4_096,
            minimum_units: ProcessingUnits(10),
            desired_units: ProcessingUnits(50),
            maximum_units: ProcessingUnits(200),
            minimum_processors: 1,
            desired_processors: 2,
            maximum_processors: 4,
            ..Configuration::default()
        }
    }

    fn try_change(change: DynamicChange) -> Result<Configuration, MessageKey> {
        plan(&current(), change, &system(), "lpar1", Source::Free, true).map_err(|refusal| refusal.key)
    }

    #[test]
    fn memory_stays_in_range_and_in_blocks() {
        assert_eq!(try_change(DynamicChange::Memory(512)).expect("fits").desired_memory, 2_560);
        assert_eq!(try_change(DynamicChange::Memory(-1_024)).expect("fits").desired_memory, 1_024);
        assert_eq!(try_change(DynamicChange::Memory(100)), Err(MessageKey::MemoryNotMultiple));
        assert_eq!(try_change(DynamicChange::Memory(0)), Err(MessageKey::MemoryNotMultiple));
        assert_eq!(try_change(DynamicChange::Memory(4_096)), Err(MessageKey::DlparOutOfRange));
        assert_eq!(try_change(DynamicChange::Memory(-4_096)), Err(MessageKey::DlparOutOfRange));
    }

    #[test]
    fn units_and_processors_fit_each_other() {
        let change =
            |processors, hundredths| try_change(DynamicChange::Processors { processors, hundredths });
        assert_eq!(change(0, 50).expect("fits").desired_units, ProcessingUnits(100));
        assert_eq!(change(1, 0).expect("fits").desired_processors, 3);
        assert_eq!(change(0, 160), Err(MessageKey::DlparOutOfRange));
        assert_eq!(change(-1, 60), Err(MessageKey::UnitsTooMany));
        assert_eq!(change(0, -45), Err(MessageKey::DlparOutOfRange));
        assert_eq!(change(3, 0), Err(MessageKey::DlparOutOfRange));
    }

    #[test]
    fn what_is_not_free_cannot_be_added_but_can_be_moved() {
        let mut system = system();
        system.usage.memory = system.available_memory();
        let change = DynamicChange::Memory(256);
        let refused =
            plan(&current(), change, &system, "lpar1", Source::Free, true).expect_err("nothing free");
        assert_eq!(refused.key, MessageKey::DlparNotEnough);
        plan(&current(), change, &system, "lpar1", Source::OtherPartition, true).expect("moved");
        plan(&current(), change, &system, "lpar1", Source::Free, false)
            .expect("a partition that is off holds nothing");
    }
}
