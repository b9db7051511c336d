//! `lssvcevents -t hardware|fru|comment`, `chsvcevent` and `mksvcevent`: serviceable events of managed systems.

use varan_console::{ServiceComment, ServiceEvent, Task};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;
use varan_model::service::FailedPart;

use super::MANAGED_SYSTEM;
use crate::catalog::CommandDefinition;
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;
use crate::time;

pub(super) const HARDWARE_FILTERS: &[&str] = &[
    "status",
    "problem_nums",
    "refcodes",
    "reporting_mtms",
    "failing_mtms",
    "fru_part_nums",
    "fru_phys_locs",
];
pub(super) const PROBLEM_FILTERS: &[&str] = &["problem_nums"];

pub(crate) static CHANGE: CommandDefinition = CommandDefinition {
    name: "chsvcevent",
    summary: "close a serviceable event",
    options: &[
        OptionDefinition::new("-o", OptionValue::Word(&["close"]), "close: nothing is left to be done."),
        OptionDefinition::new(
            "-p",
            OptionValue::Number("problem-number", 1, 999_999_999),
            "Problem number, as lssvcevents -t hardware lists it.",
        ),
        OptionDefinition::new(
            "-h",
            OptionValue::Text("analyzing-HMC"),
            "The console that made the event; this one when not given.",
        ),
        OptionDefinition::new("-n", OptionValue::Text("name"), "Who closes it; the user when not given."),
        OptionDefinition::new("-c", OptionValue::Text("comment"), "Why it is closed."),
        HELP,
    ],
    forms: &[Form::new(&[
        When("-o", &["close"]),
        Required("-p"),
        Optional("-h"),
        Optional("-n"),
        Optional("-c"),
    ])],
    filters: &[],
    attributes: &[],
    run: change,
};

pub(crate) static CREATE: CommandDefinition = CommandDefinition {
    name: "mksvcevent",
    summary: "make a serviceable event",
    options: &[
        OptionDefinition::new("-d", OptionValue::Text("description"), "What the problem is."),
        OptionDefinition::new(
            "--reporting_mtms",
            OptionValue::Text("tttt-mmm*sssssss"),
            "The managed system that has the problem.",
        ),
        HELP,
    ],
    forms: &[Form::new(&[Required("-d"), Required("--reporting_mtms")])],
    filters: &[],
    attributes: &[],
    run: create,
};

/// An event with the console that lists it.
pub(super) struct Row {
    event: ServiceEvent,
    console: String,
    console_identity: String,
}

fn part(row: &Row) -> Option<&FailedPart> {
    row.event.part.as_ref()
}

fn slashed(identity: &str) -> String {
    identity.replace('*', "/")
}

macro_rules! later {
    ($name:literal, $help:literal, $value:literal) => {
        Attribute::new($name, $help, |_: &Row| Value::of($value)).unverified()
    };
}

/// Attributes in the order captured from a V8 console. Those that only call home knows are empty, as on a console that
/// does not call home.
pub(super) static HARDWARE: Table<Row> = Table {
    name: "serviceable event",
    attributes: &[
        Attribute::new("problem_num", "Problem number.", |row: &Row| Value::of(row.event.problem)),
        Attribute::new("pmh_num", "Number of the service request; there is none.", |_: &Row| Value::of("")),
        Attribute::new("refcode", "Reference code.", |row: &Row| Value::of(&row.event.reference_code)),
        Attribute::new("status", "Open or Closed.", |row: &Row| {
            Value::of(if row.event.open { "Open" } else { "Closed" })
        }),
        Attribute::new("first_time", "When it happened first.", |row: &Row| {
            Value::of(time::format(row.event.first_seconds))
        }),
        Attribute::new("last_time", "When it happened last.", |row: &Row| {
            Value::of(time::format(row.event.last_seconds))
        }),
        Attribute::new("sys_name", "System that has the problem.", |row: &Row| {
            Value::of(&row.event.system_name)
        }),
        Attribute::new("sys_mtms", "Its type, model and serial number.", |row: &Row| {
            Value::of(slashed(&row.event.system))
        }),
        Attribute::new("enclosure_mtms", "Enclosure that has the problem.", |row: &Row| {
            Value::of(slashed(&row.event.system))
        }),
        Attribute::new("firmware_fix", "Whether firmware fixes it.", |_: &Row| Value::of("")),
        Attribute::new("text", "What happened.", |row: &Row| Value::of(&row.event.text)),
        Attribute::new("created_time", "When this console made the event.", |row: &Row| {
            Value::of(time::format(row.event.created_seconds))
        }),
        Attribute::new("reporting_name", "System that reports it.", |row: &Row| {
            Value::of(&row.event.system_name)
        }),
        Attribute::new("reporting_mtms", "Its type, model and serial number.", |row: &Row| {
            Value::of(slashed(&row.event.system))
        }),
        Attribute::new("failing_mtms", "System that failed.", |row: &Row| {
            Value::of(slashed(&row.event.system))
        }),
        Attribute::new("analyzing_hmc", "Console that made the event.", |row: &Row| Value::of(&row.console)),
        Attribute::new("event_time", "When it happened.", |row: &Row| {
            Value::of(time::format(row.event.first_seconds))
        }),
        Attribute::new("files", "Files of the event; there are none.", |_: &Row| Value::of("")),
        later!("approval_state", "Whether it may be sent.", "approved"),
        later!("callhome_intended", "Whether it is sent; never.", "false"),
        Attribute::new("duplicate_count", "Further times that it happened.", |row: &Row| {
            Value::of(row.event.duplicates)
        }),
        later!("event_severity", "Severity.", "0"),
        Attribute::new("analyzing_mtms", "The console's type, model and serial number.", |row: &Row| {
            Value::of(slashed(&row.console_identity))
        }),
        later!("ref_code_extn", "Extension of the reference code.", "00000000"),
        Attribute::new("sys_refcode", "Reference code of the system.", |row: &Row| {
            Value::of(&row.event.reference_code)
        }),
        Attribute::new("failing_lpar_id", "Number of the partition that failed.", |row: &Row| {
            row.event.partition.as_ref().map_or(Value::NotApplicable, |(id, _)| Value::of(id))
        })
        .unverified(),
        Attribute::new("failing_lpar_name", "Partition that failed.", |row: &Row| {
            row.event.partition.as_ref().map_or(Value::NotApplicable, |(_, name)| Value::of(name))
        })
        .unverified(),
        Attribute::new("fru_details", "Part that failed.", |row: &Row| {
            part(row).map_or(Value::NotApplicable, |part| {
                Value::of(format_args!(
                    "fru_part_num={}:fru_serial_num=:fru_location_code={}:fru_replaced_date=0:fru_class={}",
                    part.number, part.location, part.description
                ))
            })
        }),
    ],
};

/// Attributes of `-t fru`, named as in the reference of the Integrated Virtualization Manager.
pub(super) static PARTS: Table<FailedPart> = Table {
    name: "serviceable event part",
    attributes: &[
        Attribute::new("part_num", "Part number or symbolic procedure.", |row: &FailedPart| {
            Value::of(&row.number)
        })
        .unverified(),
        Attribute::new("class", "Class.", |_: &FailedPart| Value::of("FRU")).unverified(),
        Attribute::new("description", "What it is.", |row: &FailedPart| Value::of(&row.description))
            .unverified(),
        Attribute::new("phys_loc", "Location code.", |row: &FailedPart| Value::of(&row.location))
            .unverified(),
        Attribute::new("prev_replaced", "1: was replaced before.", |_: &FailedPart| Value::of("0"))
            .unverified(),
        Attribute::new("replaced_time", "When it was replaced.", |_: &FailedPart| Value::of("none"))
            .unverified(),
        Attribute::new("serial_num", "Serial number.", |_: &FailedPart| Value::of("")).unverified(),
        Attribute::new("replacement_grp", "Order of replacement.", |_: &FailedPart| Value::of("H"))
            .unverified(),
        Attribute::new("ccin", "Card identification.", |_: &FailedPart| Value::of("")).unverified(),
    ],
};

/// Attributes of `-t comment`.
pub(super) static COMMENTS: Table<ServiceComment> = Table {
    name: "serviceable event comment",
    attributes: &[
        Attribute::new("time", "When it was made.", |row: &ServiceComment| {
            Value::of(time::format(row.seconds))
        })
        .unverified(),
        Attribute::new("commenter", "Who made it.", |row: &ServiceComment| Value::of(&row.commenter))
            .unverified(),
        Attribute::new("text", "The comment.", |row: &ServiceComment| Value::of(&row.text)).unverified(),
    ],
};

/// The events of systems that the user sees, with all that happened until now.
fn events(invocation: &Invocation<'_>, options: &ParsedOptions) -> Result<Vec<ServiceEvent>, Refusal> {
    let scope = invocation.scope();
    let chosen = match options.get("-m") {
        Some(name) => vec![invocation.find_system(name)?],
        None => invocation.systems(),
    };
    for system in &chosen {
        invocation.console.catch_up(system)?;
    }
    let named: Option<Vec<String>> =
        options.has("-m").then(|| chosen.iter().map(|system| system.identity().to_string()).collect());
    let mut events = invocation.console.service_events()?;
    events.retain(|event| {
        let reached = match &event.partition {
            Some((id, _)) => scope.allows_partition(&event.system, varan_model::ids::PartitionId(*id)),
            None => scope.sees(&event.system),
        };
        reached && named.as_ref().is_none_or(|named| named.contains(&event.system))
    });
    Ok(events)
}

fn problems(filters: &Filters) -> Result<Option<Vec<i64>>, Refusal> {
    let read = |text: &String| text.parse().map_err(|_| invalid_parameters(&["--filter"]));
    filters.get("problem_nums").map(|values| values.iter().map(read).collect()).transpose()
}

/// `lssvcevents -t hardware`, from `since` (seconds since 1970 UTC) on.
pub(super) fn hardware(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    since: i64,
) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListServiceEvents)?;
    let layout = Layout::new(&HARDWARE, options, invocation.console.release())?;
    let filters = Filters::parse(options, HARDWARE_FILTERS)?;
    let numbers = problems(&filters)?;
    let wanted = |filter: &str, value: &str| {
        filters.get(filter).is_none_or(|values| values.iter().any(|one| one.eq_ignore_ascii_case(value)))
    };
    let mut events = events(invocation, options)?;
    events.retain(|event| {
        let failed = event.part.as_ref();
        event.last_seconds >= since
            && numbers.as_ref().is_none_or(|numbers| numbers.contains(&event.problem))
            && wanted("status", if event.open { "open" } else { "closed" })
            && wanted("refcodes", &event.reference_code)
            && (wanted("reporting_mtms", &event.system) || wanted("reporting_mtms", &slashed(&event.system)))
            && (wanted("failing_mtms", &event.system) || wanted("failing_mtms", &slashed(&event.system)))
            && wanted("fru_part_nums", failed.map_or("", |part| part.number.as_str()))
            && wanted("fru_phys_locs", failed.map_or("", |part| part.location.as_str()))
    });
    let description = invocation.console.description();
    let row = |event| Row {
        event,
        console: description.hostname.clone(),
        console_identity: description.identity.to_string(),
    };
    layout.print(events.into_iter().map(row), invocation.output)
}

/// The events that the filter `problem_nums`, which must be there, names.
fn named(invocation: &Invocation<'_>, options: &ParsedOptions) -> Result<Vec<ServiceEvent>, Refusal> {
    let filters = Filters::parse(options, PROBLEM_FILTERS)?;
    let numbers = problems(&filters)?.ok_or_else(|| invalid_parameters(&["--filter"]))?;
    let events = events(invocation, options)?;
    let find = |number: i64| {
        let event = events.iter().find(|event| event.problem == number).cloned();
        event.ok_or_else(|| Refusal::new(MessageKey::ProblemNotFound).with(number))
    };
    numbers.into_iter().map(find).collect()
}

/// `lssvcevents -t fru`.
pub(super) fn parts(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListServiceEvents)?;
    let layout = Layout::new(&PARTS, options, invocation.console.release())?;
    let events = named(invocation, options)?;
    layout.print(events.into_iter().filter_map(|event| event.part), invocation.output)
}

/// `lssvcevents -t comment`.
pub(super) fn comments(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListServiceEvents)?;
    let layout = Layout::new(&COMMENTS, options, invocation.console.release())?;
    let events = named(invocation, options)?;
    layout.print(events.into_iter().flat_map(|event| event.comments), invocation.output)
}

fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageServiceEvents)?;
    let description = invocation.console.description();
    let own = [&description.name, &description.hostname, &description.address];
    if options.get("-h").is_some_and(|console| !own.iter().any(|name| *name == console)) {
        return Err(invalid_parameters(&["-h"]).into());
    }
    let number = options.number::<i64>("-p")?.ok_or_else(|| invalid_parameters(&["-p"]))?;
    let reached = events(invocation, &ParsedOptions::default())?.iter().any(|event| event.problem == number);
    if !reached {
        return Err(Refusal::new(MessageKey::ProblemNotFound).with(number).into());
    }
    let commenter = options.get("-n").unwrap_or(invocation.user);
    invocation.console.close_service_event(number, commenter, options.get("-c"))?;
    Ok(0)
}

fn create(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageServiceEvents)?;
    let system = invocation.find_system(options.require("--reporting_mtms")?)?;
    invocation.console.report_problem(&system, options.require("-d")?)?;
    Ok(0)
}

/// `-m` of `lssvcevents`.
pub(super) const SYSTEM: OptionDefinition = MANAGED_SYSTEM;
