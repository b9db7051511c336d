//! `lsled` and `chled`: attention and identify indicators of managed systems.

use varan_console::Task;
use varan_contract::system::{Indicator, SystemReply, SystemRequest};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::ids::PartitionId;

use super::{FIELDS, FILTER, HEADER, MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME, lssyscfg};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{AtMostOne, Required, When};
use crate::invocation::{Invocation, selector};
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;

const FILTERS: &[&str] = &["lpar_names", "lpar_ids"];
const IDENTIFY_FILTERS: &[&str] = &["phys_locs"];
const KIND: OptionDefinition = OptionDefinition::new(
    "-r",
    OptionValue::Word(&["sa", "ident"]),
    "sa: system attention; ident: identify, which shows a part to the person before the machine.",
);
const TYPE: OptionDefinition = OptionDefinition::new(
    "-t",
    OptionValue::Word(&["phys", "virtualsys", "virtuallpar"]),
    "phys: physical; virtualsys: of the system as a whole; virtuallpar: of partitions.",
);

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lsled",
    summary: "list indicators of a managed system",
    options: &[MANAGED_SYSTEM, KIND, TYPE, FILTER, FIELDS, HEADER, HELP],
    forms: &[
        Form::listing(&[When("-r", &["sa"]), When("-t", &["phys", "virtualsys"]), Required("-m")]),
        Form::filtered(&[When("-r", &["sa"]), When("-t", &["virtuallpar"]), Required("-m")]),
        Form::filtered(&[When("-r", &["ident"]), When("-t", &["phys"]), Required("-m")]),
    ],
    filters: &[("-t virtuallpar", FILTERS), ("-r ident", IDENTIFY_FILTERS)],
    attributes: &[
        AttributeGroup { title: "-r sa -t phys", attributes: |release| attributes(&SYSTEM, release) },
        AttributeGroup { title: "-t virtuallpar", attributes: |release| attributes(&PARTITIONS, release) },
        AttributeGroup { title: "-r ident", attributes: |release| attributes(&LOCATIONS, release) },
    ],
    run: list,
};

pub(crate) static CHANGE: CommandDefinition = CommandDefinition {
    name: "chled",
    summary: "turn indicators of a managed system on and off",
    options: &[
        MANAGED_SYSTEM,
        OptionDefinition::new("-o", OptionValue::Word(&["on", "off"]), "on or off."),
        KIND,
        TYPE,
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new("-l", OptionValue::Text("location-code"), "Physical location code of a part."),
        HELP,
    ],
    forms: &[
        Form::new(&[
            When("-r", &["sa"]),
            When("-t", &["phys", "virtualsys"]),
            Required("-m"),
            When("-o", &["on", "off"]),
        ]),
        Form::new(&[
            When("-r", &["sa"]),
            When("-t", &["virtuallpar"]),
            Required("-m"),
            When("-o", &["on", "off"]),
            AtMostOne(&["-p", "--id"]),
        ]),
        Form::new(&[
            When("-r", &["ident"]),
            When("-t", &["phys"]),
            Required("-m"),
            When("-o", &["on", "off"]),
            Required("-l"),
        ]),
    ],
    filters: &[],
    attributes: &[],
    run: change,
};

fn state(on: bool) -> Value {
    Value::of(if on { "on" } else { "off" })
}

static SYSTEM: Table<bool> = Table {
    name: "system indicator",
    attributes: &[Attribute::new("state", "on or off.", |row: &bool| state(*row))],
};

struct PartitionRow {
    id: PartitionId,
    name: String,
    on: bool,
}

static PARTITIONS: Table<PartitionRow> = Table {
    name: "partition indicator",
    attributes: &[
        Attribute::new("lpar_id", "Number of the partition.", |row: &PartitionRow| Value::of(row.id)),
        Attribute::new("lpar_name", "Partition.", |row: &PartitionRow| Value::of(&row.name)),
        Attribute::new("state", "on or off.", |row: &PartitionRow| state(row.on)),
    ],
};

static LOCATIONS: Table<(String, bool)> = Table {
    name: "identify indicator",
    attributes: &[
        Attribute::new("phys_loc", "Location code.", |row: &(String, bool)| Value::of(&row.0)).unverified(),
        Attribute::new("state", "on or off.", |row: &(String, bool)| state(row.1)),
    ],
};

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListHardware)?;
    let release = invocation.console.release();
    if options.get("-t") == Some("virtuallpar") {
        let layout = Layout::new(&PARTITIONS, options, release)?;
        let filters = Filters::parse(options, FILTERS)?;
        let connection = invocation.system(options)?;
        let rows = lssyscfg::rows(invocation, &connection, filters.partitions()?)?;
        let rows = rows.iter().map(|row| PartitionRow {
            id: row.entry.partition.id,
            name: row.entry.partition.name.clone(),
            on: row.system.settings.indicators.partitions.contains(&row.entry.partition.id),
        });
        return layout.print(rows, invocation.output);
    }
    if options.get("-r") == Some("ident") {
        let layout = Layout::new(&LOCATIONS, options, release)?;
        let filters = Filters::parse(options, IDENTIFY_FILTERS)?;
        let connection = invocation.system(options)?;
        let SystemReply::System(system) = invocation.ask(&connection, SystemRequest::GetSystem)? else {
            return layout.print(std::iter::empty(), invocation.output);
        };
        let wanted = |location: &&str| {
            filters.get("phys_locs").is_none_or(|wanted| wanted.iter().any(|one| one == location))
        };
        let rows: Vec<(String, bool)> = system
            .hardware
            .locations()
            .filter(wanted)
            .map(|location| (location.to_owned(), system.settings.indicators.identify.contains(location)))
            .collect();
        return layout.print(rows, invocation.output);
    }
    let layout = Layout::new(&SYSTEM, options, release)?;
    let connection = invocation.system(options)?;
    let row = match invocation.ask(&connection, SystemRequest::GetSystem)? {
        SystemReply::System(system) => {
            let indicators = &system.settings.indicators;
            let physical = options.get("-t") == Some("phys");
            Some(if physical { indicators.attention } else { indicators.virtual_attention })
        }
        _ => None,
    };
    layout.print(row, invocation.output)
}

fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeIndicators)?;
    let indicator = match (options.require("-r")?, options.require("-t")?) {
        ("ident", _) => Indicator::Identify(options.require("-l")?.to_owned()),
        (_, "phys") => Indicator::Attention,
        (_, "virtualsys") => Indicator::VirtualAttention,
        _ if options.has("-p") || options.has("--id") => {
            Indicator::Partition(selector(options, "-p", "--id")?)
        }
        _ => Indicator::AllPartitions,
    };
    let connection = invocation.system(options)?;
    let on = options.get("-o") == Some("on");
    invocation.ask(&connection, SystemRequest::SetIndicator { indicator, on })?;
    Ok(0)
}
