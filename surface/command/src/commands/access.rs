//! `lsaccfg`, `mkaccfg`, `chaccfg`, `rmaccfg`: task roles and managed resource roles.

use varan_console::{Task, TaskRoleEntry, TaskSet, format_tasks, parse_tasks};
use varan_model::attributes::{Attribute, Change, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::record::{Assignment, parse_list};
use varan_model::refusal::Refusal;
use varan_model::rules::profile::record_refusal;

use super::resource_roles::{self, RESOURCE_ROLE};
use super::users::covers;
use super::{FIELDS, FILTER, HEADER, RECORD, RECORD_FILE};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::records::{record, take, texts};
use crate::select::Filters;

const TASK_ROLE_FILTERS: &[&str] = &["taskroles"];
const RESOURCE_ROLE_FILTERS: &[&str] = &["resourceroles"];
const ROLE: OptionDefinition = OptionDefinition::new(
    "-t",
    OptionValue::Word(&["resourcerole", "taskrole"]),
    "Kind of the role: resourcerole for managed resources, taskrole for tasks.",
);

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lsaccfg",
    summary: "list task roles and resource roles",
    options: &[
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["resource", "resourcerole", "taskrole", "autoresourcerole"]),
            "What to list: task roles, resource roles, or the resources that roles may have.",
        ),
        OptionDefinition::new("--script", OptionValue::Flag, "Print resources as mkaccfg takes them."),
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::filtered(&[When("-t", &["taskrole", "resourcerole"])]),
        Form::new(&[When("-t", &["resource"]), Optional("--script")]),
        Form::later(&[When("-t", &["autoresourcerole"])]),
    ],
    filters: &[("-t taskrole", TASK_ROLE_FILTERS), ("-t resourcerole", RESOURCE_ROLE_FILTERS)],
    attributes: &[
        AttributeGroup { title: "-t taskrole", attributes: |release| attributes(&TASK_ROLE, release) },
        AttributeGroup {
            title: "-t resourcerole",
            attributes: |release| attributes(&RESOURCE_ROLE, release),
        },
    ],
    run: list,
};

pub(crate) static CREATE: CommandDefinition = CommandDefinition {
    name: "mkaccfg",
    summary: "make a task role or a managed resource role",
    options: &[ROLE, RECORD_FILE, RECORD, HELP],
    forms: &[Form::new(&[When("-t", &["taskrole", "resourcerole"]), OneOf(&["-f", "-i"])])],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-t taskrole", attributes: |release| attributes(&TASK_ROLE, release) },
        AttributeGroup {
            title: "-t resourcerole",
            attributes: |release| attributes(&RESOURCE_ROLE, release),
        },
    ],
    run: create,
};

pub(crate) static CHANGE: CommandDefinition = CommandDefinition {
    name: "chaccfg",
    summary: "change the tasks of a task role or the resources of a managed resource role",
    options: &[
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["resourcerole", "taskrole", "autoresource", "autoresourcerole"]),
            "What to change: task roles or resource roles.",
        ),
        RECORD_FILE,
        RECORD,
        OptionDefinition::later(
            "-o",
            OptionValue::Word(&["enable", "disable", "convert", "remove"]),
            "What to do with automatic resource roles.",
        ),
        OptionDefinition::later("--retain", OptionValue::Word(&["0", "1"]), "Keep automatic resource roles."),
        HELP,
    ],
    forms: &[
        Form::new(&[When("-t", &["taskrole", "resourcerole"]), OneOf(&["-f", "-i"])]),
        Form::later(&[When("-t", &["autoresource", "autoresourcerole"])]),
    ],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-t taskrole", attributes: |release| attributes(&TASK_ROLE, release) },
        AttributeGroup {
            title: "-t resourcerole",
            attributes: |release| attributes(&RESOURCE_ROLE, release),
        },
    ],
    run: change,
};

pub(crate) static REMOVE: CommandDefinition = CommandDefinition {
    name: "rmaccfg",
    summary: "remove a task role or a managed resource role",
    options: &[ROLE, OptionDefinition::new("-n", OptionValue::Text("role-name"), "Name of the role."), HELP],
    forms: &[Form::new(&[When("-t", &["taskrole", "resourcerole"]), Required("-n")])],
    filters: &[],
    attributes: &[],
    run: remove,
};

static TASK_ROLE: Table<TaskRoleEntry> = Table {
    name: "task role",
    attributes: &[
        Attribute::new("name", "Name.", |row: &TaskRoleEntry| Value::of(&row.name))
            .change(Change::AtCreation),
        Attribute::new("parent", "Role whose tasks it has a part of.", |row: &TaskRoleEntry| {
            Value::of(&row.parent)
        })
        .change(Change::AtCreation),
        Attribute::new(
            "resources",
            "Tasks by the kind of what they act on: cec:task+task,lpar:task,HMCConsole:task.",
            |row: &TaskRoleEntry| Value::list(vec![format_tasks(row.tasks)]),
        )
        .change(Change::Anytime),
    ],
};

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListRoles)?;
    let wanted = |filters: &Filters, filter: &str, name: &str| {
        filters.get(filter).is_none_or(|values| values.iter().any(|wanted| wanted == name))
    };
    let layout = match options.get("-t") {
        Some("resource") => return resource_roles::list_resources(invocation, options.has("--script")),
        Some("resourcerole") => {
            let layout = Layout::new(&RESOURCE_ROLE, options, invocation.console.release())?;
            let filters = Filters::parse(options, RESOURCE_ROLE_FILTERS)?;
            let mut roles = resource_roles::rows(invocation);
            roles.retain(|role| wanted(&filters, "resourceroles", &role.name));
            return layout.print(roles, invocation.output);
        }
        _ => Layout::new(&TASK_ROLE, options, invocation.console.release())?,
    };
    let filters = Filters::parse(options, TASK_ROLE_FILTERS)?;
    let mut roles = invocation.console.task_roles();
    roles.retain(|role| wanted(&filters, "taskroles", &role.name));
    layout.print(roles, invocation.output)
}

/// The tasks that a record names, in the form of the listing or without its inner quotes.
fn tasks(value: &str) -> Result<TaskSet, Refusal> {
    let elements = parse_list(value).map_err(|error| record_refusal(&error))?;
    parse_tasks(&elements.join(","))
}

pub(super) fn check_taken(record: &[Assignment]) -> Result<(), Refusal> {
    match record.first() {
        None => Ok(()),
        Some(assignment) => Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name)),
    }
}

/// Takes attributes that must be there out of a record.
fn take_all<const COUNT: usize>(
    record: &mut Vec<Assignment>,
    names: [&str; COUNT],
) -> Result<[String; COUNT], Refusal> {
    let mut missing = Vec::new();
    let mut values = [const { String::new() }; COUNT];
    for (name, value) in names.into_iter().zip(&mut values) {
        match take(record, name)? {
            Some(given) => *value = given,
            None => missing.push(name),
        }
    }
    check_taken(record)?;
    if missing.is_empty() {
        Ok(values)
    } else {
        Err(Refusal::new(MessageKey::AttributesMissing).with(missing.join(", ")))
    }
}

fn create(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageRoles)?;
    let texts = texts(invocation, options)?;
    if options.get("-t") == Some("resourcerole") {
        return invocation.each(texts, |invocation, text| resource_roles::create(invocation, &text));
    }
    invocation.each(texts, |invocation, text| {
        let [name, parent, resources] = take_all(&mut record(&text)?, ["name", "parent", "resources"])?;
        let tasks = tasks(&resources)?;
        covers(invocation, tasks)?;
        Ok(invocation.console.create_task_role(&name, &parent, tasks)?)
    })
}

fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageRoles)?;
    let texts = texts(invocation, options)?;
    if options.get("-t") == Some("resourcerole") {
        return invocation.each(texts, |invocation, text| resource_roles::change(invocation, &text));
    }
    invocation.each(texts, |invocation, text| {
        let [name, resources] = take_all(&mut record(&text)?, ["name", "resources"])?;
        let tasks = tasks(&resources)?;
        covers(invocation, tasks)?;
        covers(invocation, invocation.console.role_tasks(&name)?)?;
        Ok(invocation.console.change_task_role(&name, tasks)?)
    })
}

fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageRoles)?;
    let name = options.require("-n")?;
    if options.get("-t") == Some("resourcerole") {
        resource_roles::remove(invocation, name)?;
    } else {
        invocation.console.remove_task_role(name)?;
    }
    Ok(0)
}
