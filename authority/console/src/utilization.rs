//! Utilization data: samples of managed systems, and changes of their states and configurations.
//!
//! One report of a system is one row, so a sample costs one request and one row however many partitions there are. A
//! sample at the turn of an hour, a day or a month is kept longer than others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use varan_model::partition::PartitionState;
use varan_model::system::{ManagedSystem, SystemState};
use varan_model::units::ProcessingUnits;
use varan_model::utilization::{PartitionUtilization, UtilizationReport};

/// Sample rates in seconds that a console takes; 0 is off.
pub const SAMPLE_RATES: [u32; 6] = [0, 30, 60, 300, 1_800, 3_600];
/// Sample rate of a system for which none was set.
pub const SAMPLE_RATE_DEFAULT: u32 = 300;
/// Rows kept for a system by their rank: plain samples, hourly, daily, monthly ones.
pub const SAMPLES_KEPT: [u32; 4] = [2_880, 1_464, 732, 24];
/// State and configuration changes kept for a system.
pub const CHANGES_KEPT: u32 = 20_000;
/// Most bytes of plain samples, and of hourly samples, of one system.
pub const SAMPLE_BYTES_MAX: u64 = 48 << 20;

/// How long a sample is kept, and which `-s` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// Every sample.
    Sampled,
    /// The first of an hour.
    Hourly,
    /// The first of a day.
    Daily,
    /// The first of a month.
    Monthly,
}

impl Rank {
    /// All ranks.
    pub const ALL: [Self; 4] = [Self::Sampled, Self::Hourly, Self::Daily, Self::Monthly];

    /// The rank that `-s` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        ["s", "h", "d", "m"].iter().position(|known| *known == word).map(|index| Self::ALL[index])
    }

    /// The rank of a sample at `now` when the one before it was at `before`; times in seconds since 1970 UTC, months by
    /// `month`, which numbers them.
    #[must_use]
    pub fn of(before: Option<i64>, now: i64, month: impl Fn(i64) -> i64) -> Self {
        let Some(before) = before else { return Self::Sampled };
        let turned = |seconds: i64| before.div_euclid(seconds) != now.div_euclid(seconds);
        if month(before) != month(now) {
            Self::Monthly
        } else if turned(86_400) {
            Self::Daily
        } else if turned(3_600) {
            Self::Hourly
        } else {
            Self::Sampled
        }
    }
}

/// Kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UtilizationKind {
    /// Counters.
    Sample,
    /// A state changed.
    StateChange,
    /// Resources changed.
    ConfigurationChange,
}

impl UtilizationKind {
    /// The word of `event_type`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::StateChange => "state_change",
            Self::ConfigurationChange => "config_change",
        }
    }
}

/// A managed system at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemUtilization {
    /// State.
    pub state: SystemState,
    /// Processing units that may be used.
    pub configurable_units: ProcessingUnits,
    /// Processing units that are free.
    pub available_units: ProcessingUnits,
    /// Memory in MB.
    pub configurable_memory: u64,
    /// Memory in MB that is free.
    pub available_memory: u64,
    /// Memory in MB of the hypervisor.
    pub firmware_memory: u64,
}

impl SystemUtilization {
    /// Of a system as it is.
    #[must_use]
    pub fn of(system: &ManagedSystem) -> Self {
        Self {
            state: system.state,
            configurable_units: system.configurable_units(),
            available_units: system.available_units(),
            configurable_memory: system.configurable_memory(),
            available_memory: system.available_memory(),
            firmware_memory: system.firmware_memory(),
        }
    }
}

/// The physical pool, or a shared processor pool, at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolUtilization {
    /// Number and name of a shared processor pool; `None` for the physical pool.
    pub pool: Option<(u16, String)>,
    /// Processing units of the pool.
    pub configurable_units: ProcessingUnits,
    /// Processing units of the pool that are free.
    pub available_units: ProcessingUnits,
    /// Processing units of running partitions that lend their own processors while these are idle. Those of partitions
    /// that are off count as free.
    pub borrowed_units: ProcessingUnits,
    /// Cycles that the pool had.
    pub total_cycles: u64,
    /// Cycles that were used.
    pub utilized_cycles: u64,
}

/// One resource in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UtilizationResource {
    /// The console itself, started.
    Console,
    /// The system.
    System(SystemUtilization),
    /// The physical pool or a shared processor pool.
    Pool(PoolUtilization),
    /// A partition.
    Partition(PartitionUtilization),
}

/// What one row holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UtilizationEvent {
    /// When, in seconds since 1970 UTC.
    pub seconds: i64,
    /// The system's time in cycles.
    pub time_cycles: u64,
    /// Kind.
    pub kind: UtilizationKind,
    /// Resources: of a sample the system, its pools and its partitions.
    pub resources: Vec<UtilizationResource>,
}

/// What is remembered of a system from one report to the next: counters of partitions begin anew at each activation, those
/// of pools must not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Activation and used cycles of partitions in the report before.
    partitions: BTreeMap<u16, (u64, u64)>,
    /// Used cycles by pool.
    utilized: BTreeMap<u16, u64>,
    time_cycles: u64,
}

impl Totals {
    /// Goes on where the last sample of the database ended.
    pub fn resume(event: &UtilizationEvent) -> Self {
        let mut totals = Self { time_cycles: event.time_cycles, ..Self::default() };
        for resource in &event.resources {
            match resource {
                UtilizationResource::Partition(partition) => {
                    let before = (partition.generation, partition.used_cycles());
                    totals.partitions.insert(partition.id.0, before);
                }
                UtilizationResource::Pool(PoolUtilization {
                    pool: Some((id, _)), utilized_cycles, ..
                }) => {
                    totals.utilized.insert(*id, *utilized_cycles);
                }
                _ => {}
            }
        }
        totals
    }

    /// Takes a report into account and makes the sample of it.
    pub fn sample(&mut self, seconds: i64, report: &UtilizationReport) -> UtilizationEvent {
        if report.time_cycles < self.time_cycles {
            // The system's counters began anew.
            *self = Self::default();
        }
        let mut partitions = BTreeMap::new();
        for partition in &report.partitions {
            let used = partition.used_cycles();
            let fresh = match self.partitions.get(&partition.id.0) {
                Some((generation, before)) if *generation == partition.generation => {
                    used.saturating_sub(*before)
                }
                _ => used,
            };
            partitions.insert(partition.id.0, (partition.generation, used));
            if let Some(pool) = partition.pool {
                *self.utilized.entry(pool).or_default() += fresh;
            }
        }
        self.partitions = partitions;
        self.time_cycles = report.time_cycles;
        let mut resources = vec![UtilizationResource::System(SystemUtilization::of(&report.system))];
        resources.extend(self.pools(report).into_iter().map(UtilizationResource::Pool));
        resources.extend(report.partitions.iter().cloned().map(UtilizationResource::Partition));
        let kind = UtilizationKind::Sample;
        UtilizationEvent { seconds, time_cycles: report.time_cycles, kind, resources }
    }

    /// The physical pool, then the shared processor pools. All shared processors are in the physical pool.
    fn pools(&self, report: &UtilizationReport) -> Vec<PoolUtilization> {
        let system = &report.system;
        let dedicated: u32 = report
            .partitions
            .iter()
            .filter(|one| one.pool.is_none() && one.state.holds_resources())
            .map(|one| one.units.0)
            .sum();
        let lends = |one: &&PartitionUtilization| {
            one.pool.is_none() && one.state.holds_resources() && one.sharing.donates()
        };
        let borrowed: u32 = report.partitions.iter().filter(lends).map(|one| one.units.0).sum();
        let configurable = system.configurable_units().minus(ProcessingUnits(dedicated));
        let total = |units: ProcessingUnits| {
            let cycles = u128::from(report.time_cycles) * u128::from(units.0) / 100;
            u64::try_from(cycles).unwrap_or(u64::MAX)
        };
        let mut pools = vec![PoolUtilization {
            pool: None,
            configurable_units: configurable,
            available_units: system.available_units(),
            borrowed_units: ProcessingUnits(borrowed),
            total_cycles: total(configurable),
            utilized_cycles: self.utilized.values().sum(),
        }];
        for pool in &system.settings.processor_pools {
            let units = pool.maximum_units.unwrap_or(configurable);
            pools.push(PoolUtilization {
                pool: Some((pool.id, pool.name.clone())),
                configurable_units: units,
                available_units: pool.reserved_units,
                borrowed_units: ProcessingUnits(0),
                total_cycles: total(units),
                utilized_cycles: self.utilized.get(&pool.id).copied().unwrap_or_default(),
            });
        }
        pools
    }
}

/// `primary_state` and `detailed_state` of a system.
#[must_use]
pub fn system_states(state: SystemState) -> (&'static str, &'static str) {
    match state {
        SystemState::Operating => ("Started", "None"),
        SystemState::Standby => ("Standby", "None"),
        SystemState::PowerOff => ("Stopped", "None"),
        SystemState::PowerOffInProgress => ("Stopping", "None"),
        SystemState::Initializing => ("Starting", "None"),
        SystemState::Error => ("Stopped", "Error"),
        SystemState::ErrorDump => ("Stopped", "Error - Dump in progress"),
        SystemState::Recovery => ("Started", "Recovery"),
        SystemState::Incomplete => ("Started", "Incomplete"),
        SystemState::NoConnection
        | SystemState::FailedAuthentication
        | SystemState::PendingAuthentication => ("Not Available", "Unknown"),
    }
}

/// `primary_state` and `detailed_state` of a partition.
#[must_use]
pub fn partition_states(state: PartitionState) -> (&'static str, &'static str) {
    match state {
        PartitionState::Running => ("Started", "None"),
        PartitionState::NotActivated => ("Stopped", "None"),
        PartitionState::Starting => ("Starting", "None"),
        PartitionState::ShuttingDown => ("Stopping", "None"),
        PartitionState::OpenFirmware => ("Started", "Open Firmware"),
        PartitionState::Error => ("Stopped", "Error"),
        PartitionState::NotAvailable => ("Not Available", "Unknown"),
    }
}
