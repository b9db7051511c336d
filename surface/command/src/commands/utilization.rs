//! `lslparutil`, `chlparutil`, `rmlparutil`: utilization data of managed systems, their pools and their partitions.

mod columns;
mod range;

use varan_console::{PoolUtilization, Rank, SystemConnection, Task, UtilizationEvent, UtilizationResource};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::refusal::Refusal;

use self::columns::{ALL, CONSOLE, PARTITIONS, POOL, POOLS, Row, SYSTEMS};
use self::range::range;

use super::{FIELDS, FILTER, HEADER, MANAGED_SYSTEM};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;

const EVENT_FILTERS: &[&str] = &["event_types"];
const PARTITION_FILTERS: &[&str] = &["event_types", "lpar_names", "lpar_ids"];
const POOL_FILTERS: &[&str] = &["event_types", "pool_ids", "pool_names"];
/// Event types that `event_types` takes; the last is of Utility CoD, which no system here has.
const EVENT_TYPES: [&str; 4] = ["sample", "state_change", "config_change", "utility_cod_proc_usage"];
/// Most events that one listing shows.
const EVENTS_MAX: usize = 1_000_000;

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
        Form::listing(&[When("-r", &["config"]), Optional("-m")]),
        Form::filtered(&[
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
