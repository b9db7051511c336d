//! `mkhmcusr`, `chhmcusr`, `rmhmcusr`: makes, changes and removes users of the console.

use varan_console::{NewUser, ResourceScope, Setting, Task, TaskSet, UserChange};
use varan_model::attributes::{Attribute, Change, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;

use super::{RECORD, RECORD_FILE, secret, user_list};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters, not_supported};
use crate::form::Form;
use crate::form::PartOfForm::{Needs, OneOf, Optional, Required, When};
use crate::invocation::Invocation;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::records::{record, take, texts};

/// Users that consoles begin with; they are not removed with others.
const PREDEFINED: [&str; 3] = ["hscroot", "hscpe", "root"];
const DESCRIPTION_DEFAULT: &str = "HMC User";
const RESOURCE_ROLE_DEFAULT: &str = "ALL:";
const USER: OptionDefinition =
    OptionDefinition::new("-u", OptionValue::Text("user-name"), "Name of the user.");

pub(crate) static CREATE: CommandDefinition = CommandDefinition {
    name: "mkhmcusr",
    summary: "make a user of the console",
    options: &[
        USER,
        OptionDefinition::new("-a", OptionValue::Text("task-role"), "Task role of the user."),
        OptionDefinition::new("-d", OptionValue::Text("description"), "Description of the user."),
        OptionDefinition::new(
            "--passwd",
            OptionValue::Text("password"),
            "Password of at least 7 characters; asked for twice when not given.",
        ),
        OptionDefinition::new(
            "-M",
            OptionValue::Number("days", 1, 99_999),
            "Days until the password expires.",
        ),
        OptionDefinition::new(
            "--auth",
            OptionValue::Word(&["local", "kerberos", "ldap"]),
            "How the user is authenticated; kerberos and ldap are not supported at this level.",
        ),
        OptionDefinition::later("--remoteuser", OptionValue::Text("name"), "Name of the remote user."),
        RECORD_FILE,
        RECORD,
        HELP,
    ],
    forms: &[Form::new(&[
        OneOf(&["-u", "-f", "-i"]),
        Needs("-u", "-a"),
        Needs("-a", "-u"),
        Needs("-d", "-u"),
        Needs("--passwd", "-u"),
        Needs("-M", "-u"),
        Needs("--auth", "-u"),
    ])],
    filters: &[],
    attributes: &[AttributeGroup {
        title: "-i",
        attributes: |release| attributes(&RECORD_ATTRIBUTES, release),
    }],
    run: create,
};

pub(crate) static CHANGE: CommandDefinition = CommandDefinition {
    name: "chhmcusr",
    summary: "change a user of the console",
    options: &[
        RECORD_FILE,
        RECORD,
        USER,
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["default", "assign", "desc", "name", "passwd", "pwage", "taskrole"]),
            "What to change of the user; default for defaults of all users.",
        ),
        OptionDefinition::new(
            "-v",
            OptionValue::Text("value"),
            "The new value. A password is asked for twice when it is not given.",
        ),
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["a", "e", "r"]),
            "e: enable a user that was disabled because it did not log in for too long.",
        ),
        OptionDefinition::later("-r", OptionValue::Word(&["resource", "resourcerole"]), "What to assign."),
        HELP,
    ],
    forms: &[
        Form::new(&[OneOf(&["-f", "-i"])]),
        Form::new(&[When("-t", &["default"]), OneOf(&["-f", "-i"])]),
        Form::new(&[When("-o", &["e"]), Required("-u")]),
        Form::new(&[When("-t", &["passwd"]), Required("-u"), Optional("-v")]),
        Form::new(&[When("-t", &["desc", "name", "pwage", "taskrole"]), Required("-u"), Required("-v")]),
        Form::later(&[When("-t", &["assign"])]),
        Form::later(&[When("-o", &["a", "r"])]),
    ],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-i", attributes: |release| attributes(&CHANGE_ATTRIBUTES, release) },
        AttributeGroup {
            title: "-t default -i",
            attributes: |release| attributes(&user_list::DEFAULTS, release),
        },
    ],
    run: change,
};

pub(crate) static REMOVE: CommandDefinition = CommandDefinition {
    name: "rmhmcusr",
    summary: "remove a user of the console with its home directory",
    options: &[
        USER,
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["all", "local", "kerberos", "ldap", "automanage"]),
            "Users of that kind: all and local are the same here, of the others there are none. hscroot, hscpe, root and the user of the command stay.",
        ),
        HELP,
    ],
    forms: &[Form::new(&[OneOf(&["-u", "-t"])])],
    filters: &[],
    attributes: &[],
    run: remove,
};

macro_rules! settable {
    ($name:literal, $help:literal) => {
        Attribute::new($name, $help, |(): &()| Value::NotApplicable).unlisted().change(Change::Anytime)
    };
}

static RECORD_ATTRIBUTES: Table<()> = Table {
    name: "user record",
    attributes: &[
        settable!("name", "Name: a letter and up to 31 letters, digits, periods, underscores and hyphens."),
        settable!("taskrole", "Task role."),
        settable!("resourcerole", "Managed resource role; ALL: for all resources."),
        settable!("description", "Description."),
        settable!("passwd", "Password; asked for when it is not given."),
        settable!("pwage", "Days until the password expires."),
        settable!("min_pwage", "Days before the user may change the password again."),
        settable!("authentication_type", "local is the only one supported."),
        settable!("session_timeout", "Minutes of a web session, 0 for no limit."),
        settable!("verify_timeout", "Minutes to authenticate again in a web session."),
        settable!("idle_timeout", "Minutes a web session may be idle, 0 for no limit."),
        settable!("remote_webui_access", "1: may use the web interface remotely."),
        settable!("remote_ssh_access", "1: may log in by SSH."),
        settable!("inactivity_expiration", "Days without a login until the user is disabled, 0 for never."),
    ],
};

static CHANGE_ATTRIBUTES: Table<()> = Table {
    name: "user change",
    attributes: &[
        settable!("name", "Name of the user to change."),
        settable!("new_name", "New name; sessions under the old one may do nothing any more."),
        settable!("current_passwd", "Present password; asked for when users change their own password."),
        settable!("passwd", "New password."),
    ],
};

/// Nobody gives, or takes away, more than it may reach.
fn covers_role(invocation: &Invocation<'_>, resource_role: &str) -> Result<(), Refusal> {
    covers_scope(invocation, &invocation.console.role_scope(resource_role)?)
}

fn covers_scope(invocation: &Invocation<'_>, scope: &ResourceScope) -> Result<(), Refusal> {
    if invocation.scope().covers_scope(scope) { Ok(()) } else { Err(Refusal::new(MessageKey::NotAuthorized)) }
}

/// Nobody gives, or takes away, more than it has.
pub(super) fn covers(invocation: &Invocation<'_>, tasks: TaskSet) -> Result<(), Refusal> {
    if invocation.tasks.intersection(tasks) == tasks {
        Ok(())
    } else {
        Err(Refusal::new(MessageKey::NotAuthorized))
    }
}

fn number(name: &str, text: &str) -> Result<u32, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(MessageKey::AttributeValueInvalid).with(name).with(text).with("it is not a number")
    })
}

fn take_settings(record: &mut Vec<Assignment>) -> Result<Vec<(Setting, u32)>, Refusal> {
    let mut settings = Vec::new();
    for setting in Setting::ALL {
        if let Some(text) = take(record, setting.word())? {
            settings.push((setting, number(setting.word(), &text)?));
        }
    }
    Ok(settings)
}

fn check_authentication(kind: Option<&str>) -> Result<(), Refusal> {
    match kind {
        None | Some("local") => Ok(()),
        Some(kind @ ("kerberos" | "ldap")) => Err(not_supported(format_args!("authentication type {kind}"))),
        Some(other) => Err(Refusal::new(MessageKey::AttributeValueInvalid)
            .with("authentication_type")
            .with(other)
            .with("local, kerberos or ldap")),
    }
}

/// Refuses what is left of a record.
fn check_taken(record: &[Assignment]) -> Result<(), Refusal> {
    match record.first().map(|assignment| assignment.name.as_str()) {
        None => Ok(()),
        Some(name @ ("remote_user_name" | "passwd_authentication")) => {
            Err(not_supported(format_args!("attribute {name}")))
        }
        Some(name) => Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
    }
}

fn create(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageUsers)?;
    if let Some(name) = options.get("-u") {
        check_authentication(options.get("--auth"))?;
        let age = options.number("-M")?.map(|days| (Setting::PasswordDays, days));
        let new = NewUser {
            name: name.to_owned(),
            task_role: options.require("-a")?.to_owned(),
            resource_role: RESOURCE_ROLE_DEFAULT.to_owned(),
            description: options.get("-d").unwrap_or(DESCRIPTION_DEFAULT).to_owned(),
            password: options.get("--passwd").unwrap_or_default().to_owned(),
            settings: age.into_iter().collect(),
        };
        create_one(invocation, new)?;
        return Ok(0);
    }
    let texts = texts(invocation, options)?;
    invocation.each(texts, |invocation, text| {
        let new = new_user(&text)?;
        create_one(invocation, new)
    })
}

fn new_user(text: &str) -> Result<NewUser, Refusal> {
    let mut record = record(text)?;
    let (name, task_role) = (take(&mut record, "name")?, take(&mut record, "taskrole")?);
    check_authentication(take(&mut record, "authentication_type")?.as_deref())?;
    let mut or_else = |name: &str, default: &str| {
        Ok::<String, Refusal>(take(&mut record, name)?.unwrap_or_else(|| default.to_owned()))
    };
    let resource_role = or_else("resourcerole", RESOURCE_ROLE_DEFAULT)?;
    let description = or_else("description", DESCRIPTION_DEFAULT)?;
    let password = or_else("passwd", "")?;
    let settings = take_settings(&mut record)?;
    check_taken(&record)?;
    let missing: Vec<&str> = [("name", &name), ("taskrole", &task_role)]
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| *name)
        .collect();
    let (Some(name), Some(task_role)) = (name, task_role) else {
        return Err(Refusal::new(MessageKey::AttributesMissing).with(missing.join(", ")));
    };
    Ok(NewUser { name, task_role, resource_role, description, password, settings })
}

fn create_one(invocation: &mut Invocation<'_>, mut new: NewUser) -> Result<(), CommandError> {
    covers(invocation, invocation.console.role_tasks(&new.task_role)?)?;
    covers_role(invocation, &new.resource_role)?;
    if new.password.is_empty() {
        let asked = secret::ask_new(invocation, &new.name)?;
        new.password = asked.ok_or_else(|| invalid_parameters(&["--passwd"]))?;
    }
    Ok(invocation.console.create_user(&new)?)
}

/// A change of one user, and what it says is the present password.
struct Wish {
    name: String,
    present: Option<String>,
    change: UserChange,
}

fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    if options.get("-t") == Some("default") {
        return change_defaults(invocation, options);
    }
    let Some(name) = options.get("-u") else {
        let texts = texts(invocation, options)?;
        return invocation.each(texts, |invocation, text| {
            let wish = wish(&text)?;
            change_one(invocation, wish)
        });
    };
    let value = options.get("-v").map(str::to_owned);
    let mut change = UserChange::default();
    match options.get("-t") {
        Some("name") => change.new_name = value,
        Some("desc") => change.description = value,
        Some("taskrole") => change.task_role = value,
        Some("pwage") => {
            let age = number("pwage", &value.unwrap_or_default())?;
            change.settings.push((Setting::PasswordDays, age));
        }
        // An empty password is one that is still to be asked for.
        Some(_) => change.password = Some(value.unwrap_or_default()),
        None => change.enable = true,
    }
    change_one(invocation, Wish { name: name.to_owned(), present: None, change })?;
    Ok(0)
}

fn change_defaults(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageUsers)?;
    let texts = texts(invocation, options)?;
    invocation.each(texts, |invocation, text| {
        let mut record = record(&text)?;
        let mut logins = invocation.console.settings().web_logins;
        for (name, value) in [
            ("max_webui_login_attempts", &mut logins.attempts),
            ("webui_login_suspend_time", &mut logins.suspend_minutes),
            ("max_webui_login_suspend_time", &mut logins.suspend_minutes_max),
        ] {
            if let Some(text) = take(&mut record, name)? {
                *value = number(name, &text)?;
            }
        }
        check_taken(&record)?;
        Ok(invocation.console.set_web_logins(logins)?)
    })
}

fn wish(text: &str) -> Result<Wish, Refusal> {
    let mut record = record(text)?;
    let name = take(&mut record, "name")?;
    let present = take(&mut record, "current_passwd")?;
    check_authentication(take(&mut record, "authentication_type")?.as_deref())?;
    let change = UserChange {
        task_role: take(&mut record, "taskrole")?,
        resource_role: take(&mut record, "resourcerole")?,
        description: take(&mut record, "description")?,
        password: take(&mut record, "passwd")?,
        settings: take_settings(&mut record)?,
        enable: false,
        new_name: take(&mut record, "new_name")?,
    };
    check_taken(&record)?;
    let name = name.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("name"))?;
    Ok(Wish { name, present, change })
}

fn change_one(invocation: &mut Invocation<'_>, wish: Wish) -> Result<(), CommandError> {
    let Wish { name, present, mut change } = wish;
    let password_only = UserChange { password: change.password.clone(), ..UserChange::default() } == change;
    let oneself = name == invocation.user;
    if oneself && password_only {
        invocation.authorize(Task::ChangeOwnPassword)?;
    } else {
        invocation.authorize(Task::ManageUsers)?;
        covers(invocation, invocation.console.tasks_of(&name))?;
        covers_scope(invocation, &invocation.console.scope_of(&name))?;
        if let Some(role) = &change.resource_role {
            covers_role(invocation, role)?;
        }
        if let Some(role) = &change.task_role {
            covers(invocation, invocation.console.role_tasks(role)?)?;
        }
    }
    if let Some(password) = &change.password {
        let asked = match present {
            None if oneself => {
                let prompt = format!("Enter the current password for user {name}: ");
                Some(secret::ask(invocation, &prompt)?.unwrap_or_default())
            }
            given => given,
        };
        if let Some(present) = asked {
            invocation.console.confirm_password(&name, &present)?;
        }
        if password.is_empty() {
            let asked = secret::ask_new(invocation, &name)?;
            change.password = Some(asked.ok_or_else(|| invalid_parameters(&["-v"]))?);
        }
    }
    invocation.console.change_user(invocation.user, &name, &change)?;
    if let Some(new_name) = change.new_name.filter(|new_name| *new_name != name) {
        let failed = |error| Refusal::new(MessageKey::HomeNotRenamed).with(&name).with(error);
        invocation.files.rename_home(&name, &new_name).map_err(failed)?;
    }
    Ok(())
}

fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageUsers)?;
    match (options.get("-u"), options.get("-t")) {
        (Some(name), _) => remove_one(invocation, name).map(|()| 0),
        (None, Some("all" | "local")) => {
            let users = invocation.console.users().into_iter().map(|user| user.name.clone());
            let names: Vec<String> = users
                .filter(|name| !PREDEFINED.contains(&name.as_str()) && name != invocation.user)
                .collect();
            invocation.each(names, |invocation, name| remove_one(invocation, &name))
        }
        // All users are local.
        _ => Ok(0),
    }
}

fn remove_one(invocation: &mut Invocation<'_>, name: &str) -> Result<(), CommandError> {
    covers(invocation, invocation.console.tasks_of(name))?;
    covers_scope(invocation, &invocation.console.scope_of(name))?;
    invocation.console.delete_user(invocation.user, name)?;
    let failed = |error| Refusal::new(MessageKey::HomeNotRemoved).with(name).with(error);
    Ok(invocation.files.remove_home(name).map_err(failed)?)
}
