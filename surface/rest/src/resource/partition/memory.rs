//! Memory of a partition.

use varan_model::configuration::{Configuration, MemoryMode, PartitionEnvironment};
use varan_model::units::ProcessingUnits;

use crate::element::{Element, text};
use crate::resource::{Hosted, boolean, some};

/// Huge pages stand in the documents of client partitions only.
fn huge_pages(one: &Hosted, value: fn(&Configuration) -> u32) -> Option<String> {
    if one.environment() == PartitionEnvironment::VirtualIoServer { None } else { one.of(value) }
}

fn shares_memory(one: &Hosted) -> Option<String> {
    boolean(one.content().memory_mode == MemoryMode::Shared)
}

/// The base-two logarithm of a page table ratio `1:n`, as the API writes it.
fn ratio(content: &Configuration) -> u32 {
    u32::from(content.hpt_ratio).max(1).ilog2()
}

/// The base-two logarithm of the physical page table ratio.
fn physical_ratio(content: &Configuration) -> u32 {
    u32::from(content.ppt_ratio).max(1).ilog2()
}

/// `PartitionMemoryConfiguration`.
pub static MEMORY: &[Element<Hosted>] = &[
    text("ActiveMemoryExpansionEnabled", "CUD", |one| one.of(|content| content.memory_expansion > 0)),
    text("ActiveMemorySharingEnabled", "CUD", shares_memory),
    text("DesiredHugePageCount", "CUD", |one| huge_pages(one, |content| content.desired_huge_pages)),
    text("DesiredMemory", "CUD", |one| one.of(|content| content.desired_memory)),
    text("ExpansionFactor", "CUD", |one| one.of(|content| expansion(content.memory_expansion))),
    text("HardwarePageTableRatio", "CUD", |one| one.of(ratio)),
    text("MaximumHugePageCount", "CUD", |one| huge_pages(one, |content| content.maximum_huge_pages)),
    text("MaximumMemory", "CUD", |one| one.of(|content| content.maximum_memory)),
    text("MinimumHugePageCount", "CUD", |one| huge_pages(one, |content| content.minimum_huge_pages)),
    text("MinimumMemory", "CUD", |one| one.of(|content| content.minimum_memory)),
    text("CurrentExpansionFactor", "ROR", |one| one.of(|content| expansion(content.memory_expansion))),
    text("CurrentHardwarePageTableRatio", "ROR", |one| one.of(ratio)),
    text("CurrentHugePageCount", "ROR", |one| one.of(|content| content.desired_huge_pages)),
    text("CurrentMaximumHugePageCount", "ROR", |one| one.of(|content| content.maximum_huge_pages)),
    text("CurrentMaximumMemory", "ROR", |one| one.of(|content| content.maximum_memory)),
    text("CurrentMemory", "ROR", |one| one.of(|content| content.desired_memory)),
    text("CurrentMinimumHugePageCount", "ROR", |one| one.of(|content| content.minimum_huge_pages)),
    text("CurrentMinimumMemory", "ROR", |one| one.of(|content| content.minimum_memory)),
    text("MemoryExpansionEnabled", "ROR", |one| one.of(|content| content.memory_expansion > 0)),
    text("RedundantErrorPathReportingEnabled", "ROR", |one| {
        boolean(one.entry.partition.settings.redundant_error_path)
    }),
    text("RuntimeHugePageCount", "ROR", |one| {
        let holds = one.entry.runtime.state.holds_resources();
        if holds { one.of(|content| content.desired_huge_pages) } else { some(0) }
    }),
    text("RuntimeMemory", "ROR", |one| some(one.entry.runtime.memory)),
    text("RuntimeMinimumMemory", "ROR", |one| one.of(|content| content.minimum_memory)),
    text("SharedMemoryEnabled", "CUD", shares_memory),
    text("PhysicalPageTableRatio", "CUD", |one: &Hosted| one.of(physical_ratio)).since(6, 0),
];

/// The expansion factor from hundredths: `0.0`, `1.25`.
fn expansion(hundredths: u32) -> String {
    ProcessingUnits(hundredths).to_string()
}
