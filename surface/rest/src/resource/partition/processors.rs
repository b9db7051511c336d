//! Processors of a partition.

use varan_model::configuration::SharingMode;
use varan_model::units::ProcessingUnits;

use crate::element::{Element, section_if, text};
use crate::resource::{Hosted, boolean, some};

/// Processing units in as few digits as say them: `0`, `2`, `0.4`, `0.05`.
pub fn units(value: ProcessingUnits) -> String {
    let text = format!("{}.{:02}", value.0 / 100, value.0 % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A sharing mode as the API writes it.
pub fn sharing(mode: SharingMode) -> &'static str {
    match mode {
        SharingMode::KeepIdle => "keep idle procs",
        // The misspelling is the interface's own.
        SharingMode::ShareIdle => "sre idle proces",
        SharingMode::ShareIdleActive => "sre idle procs active",
        SharingMode::ShareIdleAlways => "sre idle procs always",
        SharingMode::Capped => "capped",
        SharingMode::Uncapped => "uncapped",
    }
}

static DEDICATED: &[Element<Hosted>] = &[
    text("DesiredProcessors", "CUD", |one| one.of(|content| content.desired_processors)),
    text("MaximumProcessors", "CUD", |one| one.of(|content| content.maximum_processors)),
    text("MinimumProcessors", "CUD", |one| one.of(|content| content.minimum_processors)),
];

static SHARED: &[Element<Hosted>] = &[
    text("DesiredProcessingUnits", "CUD", |one| one.of(|content| units(content.desired_units))),
    text("DesiredVirtualProcessors", "CUD", |one| one.of(|content| content.desired_processors)),
    text("MaximumProcessingUnits", "CUD", |one| one.of(|content| units(content.maximum_units))),
    text("MaximumVirtualProcessors", "CUD", |one| one.of(|content| content.maximum_processors)),
    text("MinimumProcessingUnits", "CUD", |one| one.of(|content| units(content.minimum_units))),
    text("MinimumVirtualProcessors", "CUD", |one| one.of(|content| content.minimum_processors)),
    text("SharedProcessorPoolID", "CUD", |one| one.of(|content| content.processor_pool)),
    text("UncappedWeight", "CUD", |one| one.of(|content| content.uncapped_weight).filter(|_| !one.capped())),
];

static CURRENT_DEDICATED: &[Element<Hosted>] = &[
    text("CurrentMaximumProcessors", "ROR", |one| one.of(|content| content.maximum_processors)),
    text("CurrentMinimumProcessors", "ROR", |one| one.of(|content| content.minimum_processors)),
    text("CurrentProcessors", "ROR", |one| one.of(|content| content.desired_processors)),
    text("RunProcessors", "ROR", |one| some(one.entry.runtime.processors)),
];

static CURRENT_SHARED: &[Element<Hosted>] = &[
    text("AllocatedVirtualProcessors", "ROR", |one| one.of(|content| content.desired_processors)),
    text("CurrentMaximumProcessingUnits", "ROR", |one| one.of(|content| units(content.maximum_units))),
    text("CurrentMinimumProcessingUnits", "ROR", |one| one.of(|content| units(content.minimum_units))),
    text("CurrentProcessingUnits", "ROR", |one| one.of(|content| units(content.desired_units))),
    text("CurrentSharedProcessorPoolID", "ROR", |one| one.of(|content| content.processor_pool)),
    text("CurrentUncappedWeight", "ROR", |one| {
        one.of(|content| content.uncapped_weight).filter(|_| !one.capped())
    }),
    text("CurrentMinimumVirtualProcessors", "ROR", |one| one.of(|content| content.minimum_processors)),
    text("CurrentMaximumVirtualProcessors", "ROR", |one| one.of(|content| content.maximum_processors)),
    text("RuntimeProcessingUnits", "ROR", |one| some(units(one.entry.runtime.units))),
    text("RuntimeUncappedWeight", "ROR", |one| {
        let running = one.entry.runtime.state.holds_resources();
        let weight = if running { one.of(|content| content.uncapped_weight) } else { some(0) };
        weight.filter(|_| !one.capped())
    }),
];

impl Hosted {
    /// Weights are said of uncapped partitions only.
    fn capped(&self) -> bool {
        self.content().sharing_mode != SharingMode::Uncapped
    }
}

fn dedicated_now(one: &Hosted) -> Option<String> {
    boolean(!one.shared())
}

/// `PartitionProcessorConfiguration`.
pub static PROCESSORS: &[Element<Hosted>] = &[
    section_if("DedicatedProcessorConfiguration", "CUD", |one| !one.shared(), DEDICATED),
    text("HasDedicatedProcessors", "CUD", |one| boolean(!one.shared())),
    section_if("SharedProcessorConfiguration", "CUD", Hosted::shared, SHARED),
    text("SharingMode", "CUD", |one| one.of(|content| sharing(content.sharing_mode))),
    text("CurrentHasDedicatedProcessors", "ROR", dedicated_now),
    text("CurrentSharingMode", "ROR", |one| one.of(|content| sharing(content.sharing_mode))),
    section_if("CurrentDedicatedProcessorConfiguration", "ROR", |one| !one.shared(), CURRENT_DEDICATED),
    text("RuntimeHasDedicatedProcessors", "ROR", dedicated_now),
    section_if("CurrentSharedProcessorConfiguration", "ROR", Hosted::shared, CURRENT_SHARED),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_no_digit_too_many() {
        for (value, text) in [(0, "0"), (5, "0.05"), (40, "0.4"), (100, "1"), (150, "1.5"), (2_000, "20")] {
            assert_eq!(units(ProcessingUnits(value)), text);
        }
    }
}
