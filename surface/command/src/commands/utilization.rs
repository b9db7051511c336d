//! `lslparutil`, `chlparutil`, `rmlparutil`: utilization data of managed systems, their pools and their partitions.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use varan_console::{
    PoolUtilization, Rank, SystemConnection, SystemUtilization, Task, UtilizationEvent, UtilizationKind,
    UtilizationResource, partition_states, system_states,
};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::configuration::{ProcessorMode, SharingMode};
use varan_model::refusal::Refusal;
use varan_model::utilization::PartitionUtilization;

use super::{FIELDS, FILTER, HEADER, MANAGED_SYSTEM};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Needs, Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;
use crate::time;

const EVENT_FILTERS: &[&str] = &["event_types"];
const PARTITION_FILTERS: &[&str] = &["event_types", "lpar_names", "lpar_ids"];
const POOL_FILTERS: &[&str] = &["event_types", "pool_ids", "pool_names"];
/// Event types that `event_types` takes; the last is of Utility CoD, which no system here has.
const EVENT_TYPES: [&str; 4] = ["sample", "state_change", "config_change", "utility_cod_proc_usage"];
/// Most events that one listing shows.
const EVENTS_MAX: usize = 1_000_000;
const SECONDS_PER_MINUTE: i64 = 60;

const RESOURCE: OptionDefinition =
    OptionDefinition::new("-r", OptionValue::Word(&["config"]), "config: the settings of data collection.");

macro_rules! part_of_time {
    ($name:literal, $placeholder:literal, $least:literal, $most:literal, $help:literal) => {
        OptionDefinition::new($name, OptionValue::Number($placeholder, $least, $most), $help)
    };
}

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lslparutil",
    summary: "list utilization data, newest first",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["config", "hmc", "lpar", "pool", "procpool", "mempool", "sys", "all"]),
            "What to list: the console, partitions, the physical pool, shared processor pools, shared memory pools, the system, all of them, or the settings of data collection.",
        ),
        MANAGED_SYSTEM,
        part_of_time!("-d", "days", 0, 99_999, "Events of the last days."),
        part_of_time!(
            "-h",
            "hours",
            0,
            9_999_999,
            "Events of the last hours; with -d and --minutes, the sum."
        ),
        part_of_time!("--minutes", "minutes", 0, 99_999_999, "Events of the last minutes."),
        part_of_time!("--startyear", "year", 1_970, 9_999, "Events from this year on; 1970 when not given."),
        part_of_time!("--startmonth", "month", 1, 12, "Month of the start, 1 when not given."),
        part_of_time!("--startday", "day", 1, 31, "Day of the start, 1 when not given."),
        part_of_time!("--starthour", "hour", 0, 23, "Hour of the start, 0 when not given."),
        part_of_time!("--startminute", "minute", 0, 59, "Minute of the start, 0 when not given."),
        part_of_time!(
            "--endyear",
            "year",
            1_970,
            9_999,
            "Events until this year; now when nothing of the end is given."
        ),
        part_of_time!("--endmonth", "month", 1, 12, "Month of the end, 12 when not given."),
        part_of_time!("--endday", "day", 1, 31, "Day of the end, the last one when not given."),
        part_of_time!("--endhour", "hour", 0, 23, "Hour of the end, 23 when not given."),
        part_of_time!("--endminute", "minute", 0, 59, "Minute of the end, 59 when not given."),
        part_of_time!("-n", "events", 1, 999_999, "Most events to list."),
        OptionDefinition::new(
            "-s",
            OptionValue::Word(&["d", "h", "m", "s"]),
            "Samples to list: daily, hourly, monthly, or all that were taken.",
        ),
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::new(&[When("-r", &["config"]), Optional("-m"), Optional("-F"), Needs("--header", "-F")]),
        Form::new(&[
            When("-r", &["hmc", "lpar", "pool", "procpool", "mempool", "sys", "all"]),
            Required("-m"),
            Optional("-d"),
            Optional("-h"),
            Optional("--minutes"),
            Optional("--startyear"),
            Optional("--startmonth"),
            Optional("--startday"),
            Optional("--starthour"),
            Optional("--startminute"),
            Optional("--endyear"),
            Optional("--endmonth"),
            Optional("--endday"),
            Optional("--endhour"),
            Optional("--endminute"),
            Optional("-n"),
            Optional("-s"),
            Optional("--filter"),
            Optional("-F"),
            Needs("--header", "-F"),
        ]),
    ],
    filters: &[
        ("-r lpar", PARTITION_FILTERS),
        ("-r procpool", POOL_FILTERS),
        ("-r hmc, pool, mempool, sys, all", EVENT_FILTERS),
    ],
    attributes: &[
        AttributeGroup { title: "-r config", attributes: |release| attributes(&SETTINGS, release) },
        AttributeGroup { title: "-r sys", attributes: |release| attributes(&SYSTEMS, release) },
        AttributeGroup { title: "-r lpar", attributes: |release| attributes(&PARTITIONS, release) },
        AttributeGroup { title: "-r pool", attributes: |release| attributes(&POOL, release) },
        AttributeGroup { title: "-r procpool", attributes: |release| attributes(&POOLS, release) },
        AttributeGroup { title: "-r hmc", attributes: |release| attributes(&CONSOLE, release) },
    ],
    run: list,
};

pub(crate) static CHANGE: CommandDefinition = CommandDefinition {
    name: "chlparutil",
    summary: "change the settings of utilization data collection",
    options: &[
        RESOURCE,
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "-s",
            OptionValue::Number("seconds", 0, 3_600),
            "Seconds between samples: 30, 60, 300, 1800, 3600, or 0 for none.",
        ),
        HELP,
    ],
    forms: &[Form::new(&[When("-r", &["config"]), Optional("-m"), Required("-s")])],
    filters: &[],
    attributes: &[],
    run: change,
};

pub(crate) static REMOVE: CommandDefinition = CommandDefinition {
    name: "rmlparutil",
    summary: "remove the utilization data of a managed system",
    options: &[MANAGED_SYSTEM, HELP],
    forms: &[Form::new(&[Required("-m")])],
    filters: &[],
    attributes: &[],
    run: remove,
};

/// One resource of an event.
struct Row {
    seconds: i64,
    time_cycles: u64,
    kind: UtilizationKind,
    resource: UtilizationResource,
}

impl Row {
    fn resource_type(&self) -> &'static str {
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
        of_partition(row, |_| Value::of("0.0"))
    })
    .unverified();
const MEMORY_MODE: Attribute<Row> =
    Attribute::new("mem_mode", "Memory mode.", |row: &Row| of_partition(row, |_| Value::of("ded")));
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
    |row: &Row| counter(row, |_| 0),
);
const DONATED: Attribute<Row> = Attribute::new(
    "donated_cycles",
    "Cycles that a partition with dedicated processors donated.",
    |row: &Row| counter(row, |_| 0),
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

static SYSTEMS: Table<Row> = Table {
    name: "utilization sys",
    attributes: &[
        TIME,
        EVENT_TYPE,
        RESOURCE_TYPE,
        PRIMARY_STATE,
        DETAILED_STATE,
        SYSTEM_TIME,
        TIME_CYCLES,
        CONFIGURABLE_UNITS,
        CONFIGURABLE_MEMORY,
        AVAILABLE_UNITS,
        AVAILABLE_MEMORY,
        FIRMWARE_MEMORY,
    ],
};

static PARTITIONS: Table<Row> = Table {
    name: "utilization lpar",
    attributes: &[
        TIME,
        EVENT_TYPE,
        RESOURCE_TYPE,
        PRIMARY_STATE,
        DETAILED_STATE,
        SYSTEM_TIME,
        TIME_CYCLES,
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
    ],
};

static POOL: Table<Row> = Table {
    name: "utilization pool",
    attributes: &[
        TIME,
        EVENT_TYPE,
        RESOURCE_TYPE,
        SYSTEM_TIME,
        TIME_CYCLES,
        POOL_AVAILABLE,
        POOL_UNITS,
        POOL_BORROWED,
        POOL_TOTAL,
        POOL_UTILIZED,
    ],
};

static POOLS: Table<Row> = Table {
    name: "utilization procpool",
    attributes: &[
        TIME,
        EVENT_TYPE,
        RESOURCE_TYPE,
        SYSTEM_TIME,
        TIME_CYCLES,
        POOL_ID,
        POOL_NAME,
        POOL_TOTAL,
        POOL_UTILIZED,
    ],
};

static CONSOLE: Table<Row> = Table {
    name: "utilization hmc",
    attributes: &[TIME, EVENT_TYPE, RESOURCE_TYPE, PRIMARY_STATE, DETAILED_STATE],
};

/// Everything that any resource has, for `-r all -F`.
static ALL: Table<Row> = Table {
    name: "utilization all",
    attributes: &[
        TIME,
        EVENT_TYPE,
        RESOURCE_TYPE,
        PRIMARY_STATE,
        DETAILED_STATE,
        SYSTEM_TIME,
        TIME_CYCLES,
        CONFIGURABLE_UNITS,
        CONFIGURABLE_MEMORY,
        AVAILABLE_UNITS,
        AVAILABLE_MEMORY,
        FIRMWARE_MEMORY,
        POOL_AVAILABLE,
        POOL_UNITS,
        POOL_BORROWED,
        POOL_ID,
        POOL_NAME,
        POOL_TOTAL,
        POOL_UTILIZED,
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
        UTILITY_USED,
        UTILITY_UNREPORTED,
    ],
};

struct Setting {
    name: String,
    identity: String,
    seconds: u32,
}

static SETTINGS: Table<Setting> = Table {
    name: "utilization config",
    attributes: &[
        Attribute::new("type_model_serial_num", "Managed system.", |row: &Setting| Value::of(&row.identity)),
        Attribute::new("name", "Its user-defined name.", |row: &Setting| Value::of(&row.name)),
        Attribute::new("sample_rate", "Seconds between samples, 0 for none.", |row: &Setting| {
            Value::of(row.seconds)
        }),
    ],
};

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListUtilization)?;
    let release = invocation.console.release();
    let table = match options.require("-r")? {
        "config" => return settings(invocation, options),
        "lpar" => &PARTITIONS,
        "pool" | "mempool" => &POOL,
        "procpool" => &POOLS,
        "sys" => &SYSTEMS,
        "hmc" => &CONSOLE,
        _ => &ALL,
    };
    let layout = Layout::new(table, options, release)?;
    let known = match options.get("-r") {
        Some("lpar") => PARTITION_FILTERS,
        Some("procpool") => POOL_FILTERS,
        _ => EVENT_FILTERS,
    };
    let wish = Wish::read(options, &Filters::parse(options, known)?)?;
    let range = range(options, invocation.console.environment().wall_clock().seconds())?;
    let system = invocation.system(options)?;
    invocation.console.catch_up(&system)?;
    let scope = invocation.scope();
    let identity = system.identity().to_string();
    let rank = options.get("-s").and_then(Rank::from_word).unwrap_or(Rank::Sampled);
    let most = options.number::<usize>("-n")?.unwrap_or(EVENTS_MAX);
    let visit = move |rows: &mut Vec<Row>, event: UtilizationEvent| {
        for resource in event.resources {
            let row =
                Row { seconds: event.seconds, time_cycles: event.time_cycles, kind: event.kind, resource };
            let reached = match &row.resource {
                UtilizationResource::Partition(partition) => scope.allows_partition(&identity, partition.id),
                _ => true,
            };
            if rows.len() < most && reached && wish.wants(&row) {
                rows.push(row);
            }
        }
        rows.len() < most
    };
    let rows = invocation.console.utilization(&system, range, rank, Vec::new(), visit)?;
    layout.print(rows, invocation.output)
}

/// Which rows the user wants.
struct Wish {
    resource: String,
    event_types: Option<Vec<String>>,
    names: Option<Vec<String>>,
    ids: Option<Vec<u16>>,
    pool_names: Option<Vec<String>>,
    pool_ids: Option<Vec<u16>>,
}

impl Wish {
    fn read(options: &ParsedOptions, filters: &Filters) -> Result<Self, Refusal> {
        let texts = |name: &str| filters.get(name).map(<[String]>::to_vec);
        let numbers = |name: &str| -> Result<Option<Vec<u16>>, Refusal> {
            let read = |text: &String| text.parse().map_err(|_| invalid_parameters(&["--filter"]));
            filters.get(name).map(|values| values.iter().map(read).collect()).transpose()
        };
        let event_types = texts("event_types");
        let unknown = event_types.iter().flatten().any(|kind| !EVENT_TYPES.contains(&kind.as_str()));
        if unknown {
            return Err(invalid_parameters(&["--filter"]));
        }
        Ok(Self {
            resource: options.require("-r")?.to_owned(),
            event_types,
            names: texts("lpar_names"),
            ids: numbers("lpar_ids")?,
            pool_names: texts("pool_names"),
            pool_ids: numbers("pool_ids")?,
        })
    }

    fn wants(&self, row: &Row) -> bool {
        if self.resource != "all" && self.resource != row.resource_type() {
            return false;
        }
        if self.event_types.as_ref().is_some_and(|kinds| !kinds.iter().any(|kind| kind == row.kind.word())) {
            return false;
        }
        match &row.resource {
            UtilizationResource::Partition(partition) => {
                self.names.as_ref().is_none_or(|names| names.contains(&partition.name))
                    && self.ids.as_ref().is_none_or(|ids| ids.contains(&partition.id.0))
            }
            UtilizationResource::Pool(PoolUtilization { pool: Some((id, name)), .. }) => {
                self.pool_names.as_ref().is_none_or(|names| names.contains(name))
                    && self.pool_ids.as_ref().is_none_or(|ids| ids.contains(id))
            }
            _ => true,
        }
    }
}

/// The time that `-d`, `-h`, `--minutes` and the start and end options choose, in seconds since 1970 UTC.
fn range(options: &ParsedOptions, now: i64) -> Result<(i64, i64), Refusal> {
    let number = |name: &str| options.number::<i64>(name);
    let back = ["-d", "-h", "--minutes"].iter().any(|name| options.has(name));
    let absolute = options.names().find(|one| one.name.starts_with("--start"));
    if let (true, Some(start)) = (back, absolute) {
        let text = format!("{}, -d, -h, --minutes", start.name);
        return Err(Refusal::new(varan_model::codes::MessageKey::ParametersExclusive).with(text));
    }
    let from = if back {
        let hours = number("-d")?.unwrap_or(0) * 24 + number("-h")?.unwrap_or(0);
        let minutes = hours * 60 + number("--minutes")?.unwrap_or(0);
        now - minutes * SECONDS_PER_MINUTE
    } else {
        let year = number("--startyear")?.unwrap_or(1_970);
        let (month, day) = (number("--startmonth")?.unwrap_or(1), number("--startday")?.unwrap_or(1));
        let minute = number("--starthour")?.unwrap_or(0) * 60 + number("--startminute")?.unwrap_or(0);
        moment(year, month, Some(day), minute, "--startday")?
    };
    let ends = ["--endyear", "--endmonth", "--endday", "--endhour", "--endminute"];
    if !ends.iter().any(|name| options.has(name)) {
        return Ok((from, i64::MAX));
    }
    let year = number("--endyear")?.ok_or_else(|| invalid_parameters(&["--endyear"]))?;
    let (month, day) = (number("--endmonth")?.unwrap_or(12), number("--endday")?);
    let minute = number("--endhour")?.unwrap_or(23) * 60 + number("--endminute")?.unwrap_or(59);
    // The whole minute is part of the time.
    Ok((from, moment(year, month, day, minute, "--endday")? + SECONDS_PER_MINUTE - 1))
}

/// A minute of a day; the last day of the month when none is given.
fn moment(year: i64, month: i64, day: Option<i64>, minute: i64, name: &str) -> Result<i64, Refusal> {
    let wrong = || invalid_parameters(&[name]);
    let narrow = |number: i64| i8::try_from(number).map_err(|_| wrong());
    let year = i16::try_from(year).map_err(|_| wrong())?;
    let first = Date::new(year, narrow(month)?, 1).map_err(|_| wrong())?;
    let date = match day {
        Some(day) => Date::new(year, narrow(month)?, narrow(day)?).map_err(|_| wrong())?,
        None => first.last_of_month(),
    };
    let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp().as_second();
    Ok(midnight + minute * SECONDS_PER_MINUTE)
}

fn chosen(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
) -> Result<Vec<std::sync::Arc<SystemConnection>>, Refusal> {
    match options.get("-m") {
        Some(name) => Ok(vec![invocation.find_system(name)?]),
        None => Ok(invocation.systems()),
    }
}

fn settings(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let layout = Layout::new(&SETTINGS, options, invocation.console.release())?;
    let mut rows = Vec::new();
    for system in chosen(invocation, options)? {
        rows.push(Setting {
            name: invocation.console.describe(&system)?.settings.name.clone(),
            identity: system.identity().to_string(),
            seconds: invocation.console.sample_rate(&system),
        });
    }
    layout.print(rows, invocation.output)
}

fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeUtilization)?;
    let seconds = options.number::<u32>("-s")?.ok_or_else(|| invalid_parameters(&["-s"]))?;
    let systems = chosen(invocation, options)?;
    invocation.each(systems, |invocation, system| {
        invocation.permit_system(&system)?;
        invocation.console.set_sample_rate(&system, seconds)?;
        if seconds > 0 {
            // Data is there at once, not only after the first interval. A system that cannot be reached has none.
            let _ = invocation.console.sample(&system);
        }
        Ok(())
    })
}

fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeUtilization)?;
    let system = invocation.system(options)?;
    invocation.permit_system(&system)?;
    invocation.console.remove_utilization(&system)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> ParsedOptions {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        ParsedOptions::parse(LIST.options, &words).expect("options")
    }

    #[test]
    fn times_are_chosen_by_days_back_or_by_dates() {
        let now = 1_790_826_184;
        for (line, expected) in [
            ("", (0, i64::MAX)),
            ("-d 1 -h 2 --minutes 3", (now - 86_400 - 7_200 - 180, i64::MAX)),
            ("--startyear 2026 --startmonth 10", (1_790_812_800, i64::MAX)),
            (
                "--startyear 2026 --startmonth 10 --startday 1 --starthour 3 --startminute 43",
                (1_790_826_180, i64::MAX),
            ),
            ("--startyear 1970 --endyear 1970 --endmonth 2", (0, 59 * 86_400 - 1)),
            ("--endyear 1970 --endmonth 1 --endday 1 --endhour 0 --endminute 0", (0, 59)),
        ] {
            assert_eq!(range(&parsed(line), now), Ok(expected), "{line}");
        }
        for line in ["--startyear 2026 -d 1", "--startyear 2026 --startmonth 2 --startday 30", "--endmonth 3"]
        {
            assert!(range(&parsed(line), now).is_err(), "{line}");
        }
    }
}
