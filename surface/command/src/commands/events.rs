//! `lssvcevents` and `lslogon`: what was run on the console, serviceable events, and who is logged in.

use varan_console::{AuditEntry, ConsoleError, LoginSession, SessionKind, SessionTask, Task};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use super::service_events::{self, COMMENTS, HARDWARE, HARDWARE_FILTERS, PARTS, PROBLEM_FILTERS};
use super::{FIELDS, FILTER, HEADER};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{AtMostOne, Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;
use crate::time;

const EVENT_FILTERS: &[&str] = &["userids", "names", "severities"];
/// Days listed when none are given.
const DAYS_DEFAULT: i64 = 7;
const SECONDS_PER_DAY: i64 = 86_400;
const SECONDS_PER_MINUTE: i64 = 60;

pub(crate) static EVENTS: CommandDefinition = CommandDefinition {
    name: "lssvcevents",
    summary: "list events, newest first: what was run on the console, and serviceable events",
    options: &[
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["console", "hardware", "fru", "comment", "files", "vpd"]),
            "console: who ran which command from where; hardware: serviceable events; fru, comment: parts and comments of a serviceable event.",
        ),
        OptionDefinition::new(
            "-d",
            OptionValue::Number("days", 0, 99_999),
            "Events since the midnight (UTC) so many days ago, 0 for today; 7 when not given.",
        ),
        OptionDefinition::new(
            "-i",
            OptionValue::Number("minutes", 1, 99_999_999),
            "Events of the last minutes.",
        ),
        service_events::SYSTEM,
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::filtered(&[When("-t", &["console"]), AtMostOne(&["-d", "-i"])]),
        Form::filtered(&[When("-t", &["hardware"]), AtMostOne(&["-d", "-i"]), Optional("-m")]),
        Form::listing(&[When("-t", &["fru", "comment"]), Optional("-m"), Required("--filter")]),
        Form::later(&[When("-t", &["files", "vpd"])]),
    ],
    filters: &[
        ("-t console", EVENT_FILTERS),
        ("-t hardware", HARDWARE_FILTERS),
        ("-t fru, comment", PROBLEM_FILTERS),
    ],
    attributes: &[
        AttributeGroup { title: "-t console", attributes: |release| attributes(&EVENT, release) },
        AttributeGroup { title: "-t hardware", attributes: |release| attributes(&HARDWARE, release) },
        AttributeGroup { title: "-t fru", attributes: |release| attributes(&PARTS, release) },
        AttributeGroup { title: "-t comment", attributes: |release| attributes(&COMMENTS, release) },
    ],
    run: events,
};

pub(crate) static SESSIONS: CommandDefinition = CommandDefinition {
    name: "lslogon",
    summary: "list the users that are logged in",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["ssh", "webui"]),
            "Sessions by SSH or of the web services.",
        ),
        OptionDefinition::new("-u", OptionValue::Flag, "List users; this is the default."),
        OptionDefinition::new("-t", OptionValue::Flag, "List the commands that sessions run."),
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[Form::listing(&[When("-r", &["ssh", "webui"]), AtMostOne(&["-u", "-t"])])],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-u", attributes: |release| attributes(&SESSION, release) },
        AttributeGroup { title: "-t", attributes: |release| attributes(&TASK, release) },
    ],
    run: sessions,
};

pub(crate) static END_TASK: CommandDefinition = CommandDefinition {
    name: "termtask",
    summary: "end a command that a user runs",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["ssh", "webui"]),
            "Kind of the session; those of the web services end with their log-off only.",
        ),
        OptionDefinition::new("-s", OptionValue::Text("session"), "Session, as lslogon lists it."),
        OptionDefinition::new(
            "-t",
            OptionValue::Text("{task | all}"),
            "Command, as lslogon -t lists it; all ends the session with all that it runs.",
        ),
        HELP,
    ],
    forms: &[
        Form::new(&[When("-r", &["ssh"]), Required("-s"), Required("-t")]),
        Form::later(&[When("-r", &["webui"])]),
    ],
    filters: &[],
    attributes: &[],
    run: end_task,
};

fn command_name(entry: &AuditEntry) -> &str {
    entry.command.split_whitespace().next().unwrap_or_default()
}

fn severity(entry: &AuditEntry) -> &'static str {
    if entry.status == 0 { "INFO" } else { "WARNING" }
}

/// One line however many the command had.
fn text(entry: &AuditEntry) -> String {
    let command = entry.command.replace(char::is_control, " ");
    let from = if entry.peer.is_empty() { "the console" } else { &entry.peer };
    format!("User {} from {from} ran: {command} (exit status {})", entry.user, entry.status)
}

static EVENT: Table<AuditEntry> = Table {
    name: "console event",
    attributes: &[
        Attribute::new("time", "When it ended.", |row: &AuditEntry| Value::of(time::format(row.seconds))),
        Attribute::new("userid", "User.", |row: &AuditEntry| Value::of(&row.user)),
        Attribute::new("pid", "Process; commands of this console have none.", |_: &AuditEntry| {
            Value::NotApplicable
        }),
        Attribute::new("name", "Command.", |row: &AuditEntry| Value::of(command_name(row))),
        Attribute::new("category", "Category.", |_: &AuditEntry| Value::of("HMC")).unverified(),
        Attribute::new("severity", "INFO, or WARNING for a command that failed.", |row: &AuditEntry| {
            Value::of(severity(row))
        })
        .unverified(),
        Attribute::new("time_bin", "When it ended, in seconds since 1970 UTC.", |row: &AuditEntry| {
            Value::of(row.seconds)
        })
        .unverified(),
        Attribute::new("text", "Who ran what from where, and how it ended.", |row: &AuditEntry| {
            Value::of(text(row))
        })
        .unverified(),
    ],
};

fn events(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    match options.get("-t") {
        Some("fru") => return service_events::parts(invocation, options),
        Some("comment") => return service_events::comments(invocation, options),
        _ => {}
    }
    let now = invocation.console.environment().wall_clock().seconds();
    let since = match options.number::<i64>("-i")? {
        Some(minutes) => now - minutes * SECONDS_PER_MINUTE,
        None => {
            let days = options.number::<i64>("-d")?.unwrap_or(DAYS_DEFAULT);
            now - now.rem_euclid(SECONDS_PER_DAY) - days * SECONDS_PER_DAY
        }
    };
    if options.get("-t") == Some("hardware") {
        return service_events::hardware(invocation, options, since);
    }
    invocation.authorize(Task::ListEvents)?;
    let layout = Layout::new(&EVENT, options, invocation.console.release())?;
    let filters = Filters::parse(options, EVENT_FILTERS)?;
    let wanted = |filter: &str, value: &str| {
        filters.get(filter).is_none_or(|values| values.iter().any(|wanted| wanted == value))
    };
    let failed = |error: ConsoleError| Refusal::new(MessageKey::EventsUnreadable).with(error);
    let mut entries = invocation.console.audit_since(since).map_err(failed)?;
    entries.retain(|entry| {
        wanted("userids", &entry.user)
            && wanted("names", command_name(entry))
            && wanted("severities", severity(entry))
    });
    layout.print(entries, invocation.output)
}

static SESSION: Table<LoginSession> = Table {
    name: "logon session",
    attributes: &[
        Attribute::new("user_name", "User.", |row: &LoginSession| Value::of(&row.user)).unverified(),
        Attribute::new("logon_id", "Number of the session.", |row: &LoginSession| Value::of(row.id))
            .unverified(),
        Attribute::new("logon_time", "When it began.", |row: &LoginSession| {
            Value::of(time::format(row.seconds))
        })
        .unverified(),
        Attribute::new("client", "Other end of the connection.", |row: &LoginSession| Value::of(&row.peer))
            .unverified(),
    ],
};

/// A command and who runs it.
struct TaskRow {
    session: LoginSession,
    task: SessionTask,
}

static TASK: Table<TaskRow> = Table {
    name: "logon task",
    attributes: &[
        Attribute::new("user_name", "User.", |row: &TaskRow| Value::of(&row.session.user)).unverified(),
        Attribute::new("logon_id", "Number of the session.", |row: &TaskRow| Value::of(row.session.id))
            .unverified(),
        Attribute::new("pid", "Number of the command.", |row: &TaskRow| Value::of(row.task.id)).unverified(),
        Attribute::new("start_time", "When it began.", |row: &TaskRow| {
            Value::of(time::format(row.task.seconds))
        })
        .unverified(),
        Attribute::new("task_name", "Command line without passwords.", |row: &TaskRow| {
            Value::of(row.task.command.replace(char::is_control, " "))
        })
        .unverified(),
    ],
};

/// The sessions of the kind that `-r` names.
fn chosen_sessions(invocation: &Invocation<'_>, options: &ParsedOptions) -> Vec<LoginSession> {
    let kind = if options.get("-r") == Some("ssh") { SessionKind::Shell } else { SessionKind::Web };
    let mut sessions = invocation.console.sessions();
    sessions.retain(|session| session.kind == kind);
    sessions
}

fn sessions(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListSessions)?;
    if !options.has("-t") {
        let layout = Layout::new(&SESSION, options, invocation.console.release())?;
        return layout.print(chosen_sessions(invocation, options), invocation.output);
    }
    let layout = Layout::new(&TASK, options, invocation.console.release())?;
    let sessions = chosen_sessions(invocation, options);
    let rows = sessions.into_iter().flat_map(|mut session| {
        let tasks = std::mem::take(&mut session.tasks);
        tasks.into_iter().map(move |task| TaskRow { session: session.clone(), task })
    });
    layout.print(rows, invocation.output)
}

fn end_task(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::EndSessions)?;
    let session = options.require("-s")?;
    let unknown = || Refusal::new(MessageKey::SessionNotFound).with(session);
    let sessions = chosen_sessions(invocation, options);
    let found = sessions.iter().find(|one| one.id.to_string() == session).ok_or_else(unknown)?;
    let task = match options.require("-t")? {
        "all" => None,
        text => {
            let task = found.tasks.iter().find(|task| task.id.to_string() == text);
            let refusal = || Refusal::new(MessageKey::SessionTaskNotFound).with(text).with(session);
            Some(task.ok_or_else(refusal)?.id)
        }
    };
    invocation.console.end_session(found.id, task)?;
    Ok(0)
}
