//! The columns of `lslparutil`, and what each resource has of them.

use varan_console::{
    PoolUtilization, SystemUtilization, UtilizationKind, UtilizationResource, partition_states, system_states,
};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::configuration::{ProcessorMode, SharingMode};
use varan_model::utilization::PartitionUtilization;

use crate::time;

/// One resource of an event.
pub(super) struct Row {
    pub(super) seconds: i64,
    pub(super) time_cycles: u64,
    pub(super) kind: UtilizationKind,
    pub(super) resource: UtilizationResource,
}

impl Row {
    /// `resource_type` of the row.
    pub(super) fn resource_type(&self) -> &'static str {
        match &self.resource {
            UtilizationResource::Console => "hmc",
            UtilizationResource::System(_) => "sys",
            UtilizationResource::Pool(PoolUtilization { pool: None, .. }) => "pool",
            UtilizationResource::Pool(_) => "procpool",
            UtilizationResource::Partition(_) => "lpar",
        }
    }

    /// States are part of state changes alone.
    fn states(&self) -> Option<(&'static str, &'static str)> {
        if self.kind != UtilizationKind::StateChange {
            return None;
        }
        match &self.resource {
            UtilizationResource::Console => Some(("Started", "None")),
            UtilizationResource::System(system) => Some(system_states(system.state)),
            UtilizationResource::Partition(partition) => Some(partition_states(partition.state)),
            UtilizationResource::Pool(_) => None,
        }
    }
}

fn of_system(row: &Row, read: impl Fn(&SystemUtilization) -> Value) -> Value {
    match &row.resource {
        UtilizationResource::System(system) if row.kind != UtilizationKind::StateChange => read(system),
        _ => Value::NotApplicable,
    }
}

fn of_pool(row: &Row, read: impl Fn(&PoolUtilization) -> Value) -> Value {
    match &row.resource {
        UtilizationResource::Pool(pool) => read(pool),
        _ => Value::NotApplicable,
    }
}

fn named_pool(row: &Row, read: impl Fn(&(u16, String)) -> Value) -> Value {
    of_pool(row, |pool| pool.pool.as_ref().map_or(Value::NotApplicable, &read))
}

fn of_partition(row: &Row, read: impl Fn(&PartitionUtilization) -> Value) -> Value {
    match &row.resource {
        UtilizationResource::Partition(partition) if row.kind != UtilizationKind::StateChange => {
            read(partition)
        }
        _ => Value::NotApplicable,
    }
}

fn of_any_partition(row: &Row, read: impl Fn(&PartitionUtilization) -> Value) -> Value {
    match &row.resource {
        UtilizationResource::Partition(partition) => read(partition),
        _ => Value::NotApplicable,
    }
}

fn counter(row: &Row, read: impl Fn(&PartitionUtilization) -> u64) -> Value {
    if row.kind == UtilizationKind::Sample {
        of_partition(row, |partition| Value::of(read(partition)))
    } else {
        Value::NotApplicable
    }
}

fn shared(partition: &PartitionUtilization, value: Value) -> Value {
    if partition.mode == ProcessorMode::Shared { value } else { Value::NotApplicable }
}

const TIME: Attribute<Row> = Attribute::new("time", "When the console collected it.", |row: &Row| {
    Value::of(time::format(row.seconds))
});
const EVENT_TYPE: Attribute<Row> =
    Attribute::new("event_type", "sample, state_change or config_change.", |row: &Row| {
        Value::of(row.kind.word())
    });
const RESOURCE_TYPE: Attribute<Row> =
    Attribute::new("resource_type", "sys, lpar, pool, procpool or hmc.", |row: &Row| {
        Value::of(row.resource_type())
    });
const PRIMARY_STATE: Attribute<Row> =
    Attribute::new("primary_state", "State, in a state change.", |row: &Row| {
        row.states().map_or(Value::NotApplicable, |(primary, _)| Value::of(primary))
    });
const DETAILED_STATE: Attribute<Row> =
    Attribute::new("detailed_state", "Details of the state.", |row: &Row| {
        row.states().map_or(Value::NotApplicable, |(_, detailed)| Value::of(detailed))
    });
const SYSTEM_TIME: Attribute<Row> =
    Attribute::new("sys_time", "The system's time.", |row: &Row| match row.resource {
        UtilizationResource::Console => Value::NotApplicable,
        _ => Value::of(time::format(row.seconds)),
    })
    .unverified();
const TIME_CYCLES: Attribute<Row> =
    Attribute::new("time_cycles", "Cycles since the system started.", |row: &Row| match row.kind {
        UtilizationKind::Sample => Value::of(row.time_cycles),
        _ => Value::NotApplicable,
    });
const CONFIGURABLE_UNITS: Attribute<Row> =
    Attribute::new("configurable_sys_proc_units", "Processing units of the system.", |row: &Row| {
        of_system(row, |system| Value::of(system.configurable_units))
    });
const CONFIGURABLE_MEMORY: Attribute<Row> =
    Attribute::new("configurable_sys_mem", "Memory of the system in MB.", |row: &Row| {
        of_system(row, |system| Value::of(system.configurable_memory))
    });
const AVAILABLE_UNITS: Attribute<Row> =
    Attribute::new("curr_avail_sys_proc_units", "Processing units that are free.", |row: &Row| {
        of_system(row, |system| Value::of(system.available_units))
    });
const AVAILABLE_MEMORY: Attribute<Row> =
    Attribute::new("curr_avail_sys_mem", "Memory that is free, in MB.", |row: &Row| {
        of_system(row, |system| Value::of(system.available_memory))
    });
const FIRMWARE_MEMORY: Attribute<Row> =
    Attribute::new("sys_firmware_mem", "Memory of the hypervisor in MB.", |row: &Row| {
        of_system(row, |system| Value::of(system.firmware_memory))
    });
const POOL_UNITS: Attribute<Row> =
    Attribute::new("configurable_pool_proc_units", "Processing units of the pool.", |row: &Row| {
        of_pool(row, |pool| Value::of(pool.configurable_units))
    });
const POOL_AVAILABLE: Attribute<Row> = Attribute::new(
    "curr_avail_pool_proc_units",
    "Processing units of the pool that are free.",
    |row: &Row| of_pool(row, |pool| Value::of(pool.available_units)),
);
const POOL_BORROWED: Attribute<Row> = Attribute::new(
    "borrowed_pool_proc_units",
    "Processing units lent by partitions with dedicated processors.",
    |row: &Row| of_pool(row, |pool| Value::of(pool.borrowed_units)),
);
const POOL_TOTAL: Attribute<Row> =
    Attribute::new("total_pool_cycles", "Cycles that the pool had.", |row: &Row| {
        of_pool(row, |pool| Value::of(pool.total_cycles))
    });
const POOL_UTILIZED: Attribute<Row> =
    Attribute::new("utilized_pool_cycles", "Cycles that were used.", |row: &Row| {
        of_pool(row, |pool| Value::of(pool.utilized_cycles))
    });
const POOL_ID: Attribute<Row> =
    Attribute::new("shared_proc_pool_id", "Number of the shared processor pool.", |row: &Row| {
        named_pool(row, |(id, _)| Value::of(id))
    });
const POOL_NAME: Attribute<Row> =
    Attribute::new("shared_proc_pool_name", "Shared processor pool.", |row: &Row| {
        named_pool(row, |(_, name)| Value::of(name))
    });
const PARTITION_NAME: Attribute<Row> = Attribute::new("lpar_name", "Partition.", |row: &Row| {
    of_any_partition(row, |partition| Value::of(&partition.name))
});
const PARTITION_ID: Attribute<Row> = Attribute::new("lpar_id", "Number of the partition.", |row: &Row| {
    of_any_partition(row, |partition| Value::of(partition.id))
});
const MODE: Attribute<Row> =
    Attribute::new("curr_proc_mode", "Processor mode: ded or shared.", |row: &Row| {
        of_partition(row, |partition| Value::of(partition.mode.word()))
    });
const UNITS: Attribute<Row> =
    Attribute::new("curr_proc_units", "Processing units, when shared.", |row: &Row| {
        of_partition(row, |partition| shared(partition, Value::of(partition.units)))
    });
const PROCESSORS: Attribute<Row> =
    Attribute::new("curr_procs", "Processors, virtual when shared.", |row: &Row| {
        of_partition(row, |partition| Value::of(partition.processors))
    });
const SHARING: Attribute<Row> = Attribute::new("curr_sharing_mode", "Sharing mode.", |row: &Row| {
    of_partition(row, |partition| Value::of(partition.sharing.word()))
});
const WEIGHT: Attribute<Row> = Attribute::new("curr_uncap_weight", "Weight, when uncapped.", |row: &Row| {
    of_partition(row, |partition| {
        if partition.sharing == SharingMode::Uncapped {
            Value::of(partition.weight)
        } else {
            Value::NotApplicable
        }
    })
});
const PARTITION_POOL: Attribute<Row> =
    Attribute::new("curr_shared_proc_pool_id", "Shared processor pool, when shared.", |row: &Row| {
        of_partition(row, |partition| partition.pool.map_or(Value::NotApplicable, Value::of))
    })
    .unverified();
const INTERACTIVE: Attribute<Row> =
    Attribute::new("curr_5250_cpw_percent", "Share of 5250 CPW.", |row: &Row| {
        of_partition(row, |partition| Value::of(partition.interactive_percent))
    })
    .unverified();
const MEMORY_MODE: Attribute<Row> = Attribute::new("mem_mode", "Memory mode.", |row: &Row| {
    of_partition(row, |partition| Value::of(partition.memory_mode.word()))
});
const MEMORY: Attribute<Row> = Attribute::new("curr_mem", "Memory in MB.", |row: &Row| {
    of_partition(row, |partition| Value::of(partition.memory))
});
const ENTITLED: Attribute<Row> =
    Attribute::new("entitled_cycles", "Cycles that the partition was entitled to.", |row: &Row| {
        counter(row, |partition| partition.entitled_cycles)
    });
const CAPPED: Attribute<Row> =
    Attribute::new("capped_cycles", "Cycles used within the entitlement.", |row: &Row| {
        counter(row, |partition| partition.capped_cycles)
    });
const UNCAPPED: Attribute<Row> =
    Attribute::new("uncapped_cycles", "Cycles used beyond the entitlement.", |row: &Row| {
        counter(row, |partition| partition.uncapped_cycles)
    });
const SHARED_CYCLES: Attribute<Row> = Attribute::new(
    "shared_cycles_while_active",
    "Cycles that a partition with dedicated processors lent while it ran.",
    |row: &Row| counter(row, |partition| partition.donated_cycles),
);
const DONATED: Attribute<Row> = Attribute::new(
    "donated_cycles",
    "Cycles that a partition with dedicated processors donated.",
    |row: &Row| counter(row, |partition| partition.donated_cycles),
);
const IDLE: Attribute<Row> =
    Attribute::new("idle_cycles", "Cycles that the partition was idle.", |row: &Row| {
        counter(row, |partition| partition.idle_cycles)
    });
const UTILITY_USED: Attribute<Row> =
    Attribute::new("used_proc_min", "Minutes of Utility CoD used; no system has it.", |_: &Row| {
        Value::NotApplicable
    })
    .on_request();
const UTILITY_UNREPORTED: Attribute<Row> =
    Attribute::new("unreported_proc_min", "Minutes of Utility CoD not yet reported.", |_: &Row| {
        Value::NotApplicable
    })
    .on_request();

/// What every event has.
const EVENT: [Attribute<Row>; 3] = [TIME, EVENT_TYPE, RESOURCE_TYPE];
/// What state changes have.
const STATES: [Attribute<Row>; 2] = [PRIMARY_STATE, DETAILED_STATE];
/// What samples of anything but the console have.
const CLOCK: [Attribute<Row>; 2] = [SYSTEM_TIME, TIME_CYCLES];
const OF_SYSTEM: [Attribute<Row>; 5] =
    [CONFIGURABLE_UNITS, CONFIGURABLE_MEMORY, AVAILABLE_UNITS, AVAILABLE_MEMORY, FIRMWARE_MEMORY];
const OF_PHYSICAL_POOL: [Attribute<Row>; 3] = [POOL_AVAILABLE, POOL_UNITS, POOL_BORROWED];
const OF_NAMED_POOL: [Attribute<Row>; 2] = [POOL_ID, POOL_NAME];
const OF_ANY_POOL: [Attribute<Row>; 2] = [POOL_TOTAL, POOL_UTILIZED];
const OF_PARTITION: [Attribute<Row>; 17] = [
    PARTITION_NAME,
    PARTITION_ID,
    MODE,
    UNITS,
    PROCESSORS,
    SHARING,
    WEIGHT,
    PARTITION_POOL,
    INTERACTIVE,
    MEMORY_MODE,
    MEMORY,
    ENTITLED,
    CAPPED,
    UNCAPPED,
    SHARED_CYCLES,
    DONATED,
    IDLE,
];
const OF_UTILITY_COD: [Attribute<Row>; 2] = [UTILITY_USED, UTILITY_UNREPORTED];

/// Groups of columns, one after the other.
const fn joined<const COLUMNS: usize>(groups: &[&[Attribute<Row>]]) -> [Attribute<Row>; COLUMNS] {
    let mut columns = [TIME; COLUMNS];
    let (mut group, mut next) = (0, 0);
    while group < groups.len() {
        let mut column = 0;
        while column < groups[group].len() {
            columns[next] = groups[group][column];
            (column, next) = (column + 1, next + 1);
        }
        group += 1;
    }
    assert!(next == COLUMNS, "the number of columns is that of the groups");
    columns
}

pub(super) static SYSTEMS: Table<Row> =
    Table { name: "utilization sys", attributes: &joined::<12>(&[&EVENT, &STATES, &CLOCK, &OF_SYSTEM]) };

pub(super) static PARTITIONS: Table<Row> =
    Table { name: "utilization lpar", attributes: &joined::<24>(&[&EVENT, &STATES, &CLOCK, &OF_PARTITION]) };

pub(super) static POOL: Table<Row> = Table {
    name: "utilization pool",
    attributes: &joined::<10>(&[&EVENT, &CLOCK, &OF_PHYSICAL_POOL, &OF_ANY_POOL]),
};

pub(super) static POOLS: Table<Row> = Table {
    name: "utilization procpool",
    attributes: &joined::<9>(&[&EVENT, &CLOCK, &OF_NAMED_POOL, &OF_ANY_POOL]),
};

pub(super) static CONSOLE: Table<Row> =
    Table { name: "utilization hmc", attributes: &joined::<5>(&[&EVENT, &STATES]) };

/// Everything that any resource has, for `-r all -F`.
pub(super) static ALL: Table<Row> = Table {
    name: "utilization all",
    attributes: &joined::<38>(&[
        &EVENT,
        &STATES,
        &CLOCK,
        &OF_SYSTEM,
        &OF_PHYSICAL_POOL,
        &OF_NAMED_POOL,
        &OF_ANY_POOL,
        &OF_PARTITION,
        &OF_UTILITY_COD,
    ]),
};
