//! `lshmcusr`: lists the users of the console.

use std::sync::Arc;

use varan_console::{ResourceScope, Setting, Task, User, WebLogins};
use varan_model::attributes::{Attribute, Table, Value};

use super::{FIELDS, FILTER, HEADER, resource_roles};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Optional, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;

const FILTERS: &[&str] = &["names", "taskroles", "resourceroles", "resources", "password_encryptions"];
/// What a user with the resource role `ALL:` may reach.
pub(super) const ALL_RESOURCES: &str = "<ResourceID = ALL:><UserDefinedName = AllSystemResources>";
const ENCRYPTION: &str = "argon2";

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "lshmcusr",
    summary: "list the users of the console",
    options: &[
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["default", "user"]),
            "What to list: user for users, default for defaults of all users that can be changed.",
        ),
        OptionDefinition::new("--script", OptionValue::Flag, "Print resources as mkaccfg takes them."),
        FILTER,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::filtered(&[Optional("--script")]),
        Form::filtered(&[When("-t", &["user"]), Optional("--script")]),
        Form::listing(&[When("-t", &["default"])]),
    ],
    filters: &[("users", FILTERS)],
    attributes: &[
        AttributeGroup { title: "users", attributes: |release| attributes(&USER, release) },
        AttributeGroup { title: "-t default", attributes: |release| attributes(&DEFAULTS, release) },
    ],
    run,
};

/// A user at a moment.
struct Row {
    user: Arc<User>,
    now_seconds: i64,
    resources: Vec<String>,
}

macro_rules! setting {
    ($name:literal, $setting:ident, $help:literal) => {
        Attribute::new($name, $help, |row: &Row| Value::of(row.user.settings.get(Setting::$setting)))
    };
}

static USER: Table<Row> = Table {
    name: "user",
    attributes: &[
        Attribute::new("name", "Name.", |row: &Row| Value::of(&row.user.name)),
        Attribute::new("taskrole", "Task role.", |row: &Row| Value::of(&row.user.task_role)),
        Attribute::new("description", "Description.", |row: &Row| Value::of(&row.user.description)),
        setting!("pwage", PasswordDays, "Days until the password expires."),
        Attribute::new("resourcerole", "Resource role.", |row: &Row| Value::of(&row.user.resource_role)),
        Attribute::new("authentication_type", "How the user is authenticated.", |_: &Row| Value::of("local")),
        setting!("remote_webui_access", RemoteWebAccess, "1: may use the web interface remotely."),
        setting!("remote_ssh_access", RemoteShellAccess, "1: may log in by SSH."),
        setting!("min_pwage", PasswordDaysLeast, "Days before the password may be changed again."),
        setting!("session_timeout", SessionTimeout, "Minutes of a web session, 0 for no limit."),
        setting!("verify_timeout", VerifyTimeout, "Minutes to authenticate again in a web session."),
        setting!("idle_timeout", IdleTimeout, "Minutes a web session may be idle, 0 for no limit."),
        setting!(
            "inactivity_expiration",
            InactivityDays,
            "Days until an unused name is disabled, 0 for never."
        ),
        Attribute::new("resources", "Managed resources.", |row: &Row| Value::of(row.resources.join(","))),
        Attribute::new("password_encryption", "How the password is kept.", |_: &Row| Value::of(ENCRYPTION)),
        Attribute::new("disabled", "1: has not logged in for too long and may not log in.", |row: &Row| {
            Value::flag(row.user.disabled(row.now_seconds))
        }),
    ],
};

/// The defaults of all users that can be changed.
pub(super) static DEFAULTS: Table<WebLogins> = Table {
    name: "user default",
    attributes: &[
        Attribute::new(
            "max_webui_login_attempts",
            "Wrong passwords that suspend a user of the web services.",
            |row: &WebLogins| Value::of(row.attempts),
        ),
        Attribute::new(
            "webui_login_suspend_time",
            "Minutes of the suspension; it doubles each time until a right password.",
            |row: &WebLogins| Value::of(row.suspend_minutes),
        ),
        Attribute::new("max_webui_login_suspend_time", "Most minutes of a suspension.", |row: &WebLogins| {
            Value::of(row.suspend_minutes_max)
        }),
    ],
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListUsers)?;
    if options.get("-t") == Some("default") {
        let layout = Layout::new(&DEFAULTS, options, invocation.console.release())?;
        return layout.print([invocation.console.settings().web_logins], invocation.output);
    }
    let layout = Layout::new(&USER, options, invocation.console.release())?;
    let filters = Filters::parse(options, FILTERS)?;
    let wanted = |filter: &str, value: &str| {
        filters.get(filter).is_none_or(|values| values.iter().any(|wanted| wanted == value))
    };
    let now_seconds = invocation.console.environment().wall_clock().seconds();
    let mut rows = Vec::new();
    for user in invocation.console.users() {
        let chosen = wanted("names", &user.name)
            && wanted("taskroles", &user.task_role)
            && wanted("resourceroles", &user.resource_role)
            && wanted("password_encryptions", ENCRYPTION);
        if !chosen {
            continue;
        }
        let scope = invocation.console.role_scope(&user.resource_role).unwrap_or(ResourceScope::Nothing);
        let named = |id: &String| match &scope {
            ResourceScope::All => id == "ALL:",
            ResourceScope::Role(role) => role.resources.iter().any(|resource| resource.to_string() == *id),
            ResourceScope::Nothing => false,
        };
        if filters.get("resources").is_some_and(|ids| !ids.iter().any(named)) {
            continue;
        }
        let resources = match &scope {
            ResourceScope::All if options.has("--script") => vec!["ALL:".to_owned()],
            ResourceScope::Role(role) if options.has("--script") => {
                role.resources.iter().map(ToString::to_string).collect()
            }
            ResourceScope::All => vec![ALL_RESOURCES.to_owned()],
            ResourceScope::Role(role) => resource_roles::resources_of(invocation, role),
            ResourceScope::Nothing => Vec::new(),
        };
        rows.push(Row { user, now_seconds, resources });
    }
    layout.print(rows, invocation.output)
}
