//! Utilization: what a managed system reports about itself, its pools and its partitions at one moment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::configuration::{MemoryMode, ProcessorMode, SharingMode};
use crate::ids::{PartitionId, PartitionUuid};
use crate::partition::{PartitionEntry, PartitionState};
use crate::system::ManagedSystem;
use crate::units::ProcessingUnits;

/// Cycles per second of the counters: the time base of Power processors.
pub const CYCLES_PER_SECOND: u64 = 512_000_000;

/// Cycles of a time in nanoseconds.
#[must_use]
pub fn cycles(nanoseconds: u64) -> u64 {
    let cycles = u128::from(nanoseconds) * u128::from(CYCLES_PER_SECOND) / 1_000_000_000;
    u64::try_from(cycles).unwrap_or(u64::MAX)
}

/// A partition at a moment. Counters are cycles since its activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionUtilization {
    /// Number.
    pub id: PartitionId,
    /// Identity.
    pub uuid: PartitionUuid,
    /// Name.
    pub name: String,
    /// State.
    pub state: PartitionState,
    /// Activation that the counters belong to.
    pub generation: u64,
    /// Shared or dedicated processors.
    pub mode: ProcessorMode,
    /// How processors are shared.
    pub sharing: SharingMode,
    /// Weight, when uncapped.
    pub weight: u8,
    /// Shared processor pool, when shared.
    pub pool: Option<u16>,
    /// Virtual or whole processors.
    pub processors: u32,
    /// Entitlement.
    pub units: ProcessingUnits,
    /// Memory in MB.
    pub memory: u64,
    /// Cycles that the partition was entitled to.
    pub entitled_cycles: u64,
    /// Cycles used within the entitlement.
    pub capped_cycles: u64,
    /// Cycles used beyond the entitlement.
    pub uncapped_cycles: u64,
    /// Cycles that the partition was idle.
    pub idle_cycles: u64,
    /// Of these, cycles of its own processors that it lent to others.
    #[serde(default)]
    pub donated_cycles: u64,
    /// Memory of its own, or of the shared memory pool.
    #[serde(default = "dedicated")]
    pub memory_mode: MemoryMode,
    /// Share of the system's 5250 capacity, in percent; only IBM i has one.
    #[serde(default)]
    pub interactive_percent: ProcessingUnits,
}

/// What a record of an earlier version means.
fn dedicated() -> MemoryMode {
    MemoryMode::Dedicated
}

impl PartitionUtilization {
    /// A partition without counters: one that does not run has none. One that was never given a configuration has no
    /// resources.
    #[must_use]
    pub fn of(entry: &PartitionEntry, shows_state: bool) -> Self {
        let (partition, runtime) = (&entry.partition, &entry.runtime);
        let current = partition.current.as_ref();
        let mode = current.map_or(ProcessorMode::Shared, |current| current.processor_mode);
        Self {
            id: partition.id,
            uuid: partition.uuid,
            name: partition.name.clone(),
            state: if shows_state { runtime.state } else { PartitionState::NotAvailable },
            generation: runtime.generation,
            mode,
            sharing: current.map_or(SharingMode::Capped, |current| current.sharing_mode),
            weight: current.map_or(0, |current| current.uncapped_weight),
            pool: current.filter(|_| mode == ProcessorMode::Shared).map(|current| current.processor_pool),
            processors: current.map_or(0, |current| current.desired_processors),
            units: current.map(crate::configuration::Configuration::entitlement).unwrap_or_default(),
            memory: current.map_or(0, |current| current.desired_memory),
            entitled_cycles: 0,
            capped_cycles: 0,
            uncapped_cycles: 0,
            idle_cycles: 0,
            donated_cycles: 0,
            memory_mode: current.map_or(MemoryMode::Dedicated, |current| current.memory_mode),
            interactive_percent: current
                .and_then(|current| current.ibm_i.as_deref())
                .map(|stated| stated.desired_interactive)
                .unwrap_or_default(),
        }
    }

    /// Cycles used.
    #[must_use]
    pub fn used_cycles(&self) -> u64 {
        self.capped_cycles.saturating_add(self.uncapped_cycles)
    }

    /// Whether what the partition has is the same as in another report; counters and state aside.
    #[must_use]
    pub fn same_configuration(&self, other: &Self) -> bool {
        let part = |one: &Self| {
            (
                one.name.clone(),
                one.mode,
                one.sharing,
                one.weight,
                one.pool,
                one.processors,
                one.units,
                one.memory,
                one.memory_mode,
                one.interactive_percent,
            )
        };
        part(self) == part(other)
    }
}

/// What a managed system reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UtilizationReport {
    /// The system.
    pub system: Arc<ManagedSystem>,
    /// The system's time in cycles.
    pub time_cycles: u64,
    /// Partitions in the order of their numbers.
    pub partitions: Vec<PartitionUtilization>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn nanoseconds_become_cycles_without_overflow() {
        assert_eq!(super::cycles(1_000_000_000), 512_000_000);
        assert_eq!(super::cycles(0), 0);
        assert_eq!(super::cycles(u64::MAX), (u128::from(u64::MAX) * 512 / 1_000) as u64);
    }
}
