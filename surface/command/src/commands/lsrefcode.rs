//! `lsrefcode`: reference codes of managed systems and partitions, newest first.

use varan_console::Task;
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::ids::PartitionId;
use varan_model::partition::{REFERENCE_CODES_KEPT, ReferenceCode};
use varan_model::system::SystemState;

use super::{FIELDS, FILTER, HEADER, MANAGED_SYSTEM, lssyscfg};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;
use crate::time;

const FILTERS: &[&str] = &["lpar_names", "lpar_ids"];

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "lsrefcode",
    summary: "list reference codes of managed systems and partitions",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["sys", "lpar"]),
            "Whose codes: the managed system's or partitions'.",
        ),
        MANAGED_SYSTEM,
        OptionDefinition::new(
            "-s",
            OptionValue::Word(&["p", "s"]),
            "Primary or secondary service processor.",
        ),
        OptionDefinition::new(
            "-n",
            OptionValue::Number("number", 1, 9_999),
            "Number of codes, newest first; 1 when not given.",
        ),
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::listing(&[When("-r", &["sys"]), Required("-m"), Optional("-s"), Optional("-n")]),
        Form::filtered(&[When("-r", &["lpar"]), Required("-m"), Optional("-n")]),
    ],
    filters: &[("-r lpar", FILTERS)],
    attributes: &[
        AttributeGroup { title: "-r sys", attributes: |release| attributes(&SYSTEM_CODES, release) },
        AttributeGroup { title: "-r lpar", attributes: |release| attributes(&PARTITION_CODES, release) },
    ],
    run,
};

/// One reference code of a system.
struct SystemCode {
    number: usize,
    code: ReferenceCode,
}

/// One reference code of a partition.
struct PartitionCode {
    name: String,
    id: PartitionId,
    code: ReferenceCode,
}

fn nothing<Row>(_: &Row) -> Value {
    Value::of("")
}

macro_rules! word {
    ($name:literal) => {
        Attribute::new($name, "A further word of the code.", nothing).on_request()
    };
}

/// Attributes of `-r sys`.
static SYSTEM_CODES: Table<SystemCode> = Table {
    name: "refcode sys",
    attributes: &[
        Attribute::new("refcode_num", "Number of the code, 0 for the newest.", |row: &SystemCode| {
            Value::of(row.number)
        }),
        Attribute::new("time_stamp", "When the code was posted.", |row: &SystemCode| {
            Value::of(time::format(row.code.posted_seconds))
        }),
        Attribute::new("refcode", "The code.", |row: &SystemCode| Value::of(&row.code.code)),
        Attribute::new("word2", "The second word of the code.", nothing),
        word!("word3"),
        word!("word4"),
        word!("word5"),
        word!("word6"),
        word!("word7"),
        word!("word8"),
        word!("word9"),
        Attribute::new("fru_call_out_loc_codes", "Location codes of the parts called out.", nothing),
    ],
};

/// Attributes of `-r lpar`, in the order captured from a console with a POWER10 system.
static PARTITION_CODES: Table<PartitionCode> = Table {
    name: "refcode lpar",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &PartitionCode| Value::of(&row.name)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &PartitionCode| Value::of(row.id)),
        Attribute::new("time_stamp", "When the code was posted.", |row: &PartitionCode| {
            Value::of(time::format(row.code.posted_seconds))
        }),
        Attribute::new("refcode", "The code.", |row: &PartitionCode| Value::of(&row.code.code)),
        Attribute::new("word2", "The second word of the code.", nothing),
        word!("word3"),
        word!("word4"),
        word!("word5"),
        word!("word6"),
        word!("word7"),
        word!("word8"),
        word!("word9"),
        Attribute::new("fru_call_out_loc_codes", "Location codes of the parts called out.", nothing),
    ],
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListHardware)?;
    let most = options.number::<usize>("-n")?.unwrap_or(1).min(REFERENCE_CODES_KEPT);
    if options.get("-r") == Some("sys") {
        return system_codes(invocation, options, most);
    }
    let layout = Layout::new(&PARTITION_CODES, options, invocation.console.release())?;
    let filters = Filters::parse(options, FILTERS)?;
    let system = invocation.system(options)?;
    let rows = lssyscfg::rows(invocation, &system, filters.partitions()?)?;
    let codes = rows.iter().flat_map(|row| {
        let newest = row.entry.runtime.reference_codes.newest_first().take(most);
        newest.map(|code| PartitionCode {
            name: row.entry.partition.name.clone(),
            id: row.entry.partition.id,
            code: code.clone(),
        })
    });
    layout.print(codes, invocation.output)
}

fn system_codes(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    most: usize,
) -> Result<u8, CommandError> {
    let layout = Layout::new(&SYSTEM_CODES, options, invocation.console.release())?;
    let connection = invocation.system(options)?;
    let system = invocation.console.reach(&connection)?;
    if system.state == SystemState::NoConnection {
        return Err(invocation.console.no_connection(&connection).into());
    }
    // The codes are those of the primary service processor.
    let most = if options.get("-s") == Some("s") { 0 } else { most };
    let newest = system.reference_codes.newest_first().take(most).enumerate();
    layout.print(newest.map(|(number, code)| SystemCode { number, code: code.clone() }), invocation.output)
}
