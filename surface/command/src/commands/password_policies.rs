//! `lspwdpolicy`, `mkpwdpolicy`, `chpwdpolicy`, `rmpwdpolicy`: password policies.

use std::sync::Arc;

use varan_console::{PasswordPolicy, PolicyRule, Task};
use varan_model::attributes::{Attribute, Change, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;

use super::access::check_taken;
use super::{FIELDS, HEADER, RECORD, RECORD_FILE};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Required, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::records::{record, take, texts};

const NAME: OptionDefinition =
    OptionDefinition::new("-n", OptionValue::Text("policy-name"), "Name of the password policy.");

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lspwdpolicy",
    summary: "list password policies",
    options: &[
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["p", "s"]),
            "p: the policies; s: whether one is active, and which.",
        ),
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[Form::listing(&[When("-t", &["p"])]), Form::listing(&[When("-t", &["s"])])],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-t p", attributes: |release| attributes(&POLICIES, release) },
        AttributeGroup { title: "-t s", attributes: |release| attributes(&STATUS, release) },
    ],
    run: list,
};

pub(crate) static CREATE: CommandDefinition = CommandDefinition {
    name: "mkpwdpolicy",
    summary: "make a password policy",
    options: &[RECORD_FILE, RECORD, HELP],
    forms: &[Form::new(&[OneOf(&["-f", "-i"])])],
    filters: &[],
    attributes: &[AttributeGroup { title: "-i", attributes: |release| attributes(&POLICIES, release) }],
    run: create,
};

pub(crate) static CHANGE: CommandDefinition = CommandDefinition {
    name: "chpwdpolicy",
    summary: "activate, deactivate or change a password policy",
    options: &[
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["a", "d", "m"]),
            "a: activate a policy; d: deactivate the active one; m: modify a policy.",
        ),
        NAME,
        RECORD_FILE,
        RECORD,
        HELP,
    ],
    forms: &[
        Form::new(&[When("-o", &["a"]), Required("-n")]),
        Form::new(&[When("-o", &["d"])]),
        Form::new(&[When("-o", &["m"]), OneOf(&["-f", "-i"])]),
    ],
    filters: &[],
    attributes: &[AttributeGroup { title: "-i", attributes: |release| attributes(&MODIFY, release) }],
    run: change,
};

pub(crate) static REMOVE: CommandDefinition = CommandDefinition {
    name: "rmpwdpolicy",
    summary: "remove a password policy",
    options: &[NAME, HELP],
    forms: &[Form::new(&[Required("-n")])],
    filters: &[],
    attributes: &[],
    run: remove,
};

macro_rules! rule {
    ($name:literal, $rule:ident, $help:literal) => {
        Attribute::new($name, $help, |row: &Arc<PasswordPolicy>| Value::of(row.get(PolicyRule::$rule)))
            .change(Change::Anytime)
    };
}

static POLICIES: Table<Arc<PasswordPolicy>> = Table {
    name: "password policy",
    attributes: &[
        Attribute::new("name", "Name.", |row: &Arc<PasswordPolicy>| Value::of(&row.name))
            .change(Change::AtCreation),
        Attribute::new("description", "Description.", |row: &Arc<PasswordPolicy>| {
            Value::of(&row.description)
        })
        .change(Change::Anytime),
        rule!("min_pwage", DaysLeast, "Days before users may change their password again."),
        rule!("pwage", Days, "Days after which a password expires."),
        rule!("warn_pwage", WarningDays, "Days before that in which users are warned."),
        rule!("min_length", Length, "Least characters."),
        rule!("hist_size", History, "Earlier passwords that may not be used again."),
        rule!("min_digits", Digits, "Least digits."),
        rule!("min_uppercase_chars", UpperCase, "Least upper case letters."),
        rule!("min_lowercase_chars", LowerCase, "Least lower case letters."),
        rule!("min_special_chars", Special, "Least characters that are neither letters nor digits."),
    ],
};

static STATUS: Table<Option<String>> = Table {
    name: "password policy status",
    attributes: &[
        Attribute::new("status", "1: a policy is active.", |row: &Option<String>| Value::flag(row.is_some()))
            .unverified(),
        Attribute::new("name", "Name of the active policy.", |row: &Option<String>| {
            row.as_ref().map_or(Value::NotApplicable, Value::of)
        })
        .unverified(),
    ],
};

static MODIFY: Table<()> = Table {
    name: "password policy change",
    attributes: &[Attribute::new("new_name", "New name.", |(): &()| Value::NotApplicable)
        .unlisted()
        .change(Change::Anytime)],
};

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListUsers)?;
    let release = invocation.console.release();
    if options.get("-t") == Some("s") {
        let layout = Layout::new(&STATUS, options, release)?;
        return layout.print([invocation.console.active_password_policy()], invocation.output);
    }
    let layout = Layout::new(&POLICIES, options, release)?;
    layout.print(invocation.console.password_policies(), invocation.output)
}

/// Sets what is left of a record.
fn apply(policy: &mut PasswordPolicy, record: &mut Vec<Assignment>) -> Result<(), Refusal> {
    if let Some(description) = take(record, "description")? {
        policy.description = description;
    }
    for rule in PolicyRule::ALL {
        if let Some(text) = take(record, rule.word())? {
            let wrong = |_| {
                let refusal = Refusal::new(MessageKey::AttributeValueInvalid).with(rule.word());
                refusal.with(&text).with("it is not a number")
            };
            policy.set(rule, text.parse().map_err(wrong)?)?;
        }
    }
    check_taken(record)
}

fn create(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageUsers)?;
    let texts = texts(invocation, options)?;
    invocation.each(texts, |invocation, text| {
        let mut record = record(&text)?;
        let name = take(&mut record, "name")?;
        let name = name.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("name"))?;
        let mut policy = PasswordPolicy::new(&name, "");
        apply(&mut policy, &mut record)?;
        Ok(invocation.console.create_password_policy(policy)?)
    })
}

fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageUsers)?;
    match options.require("-o")? {
        "a" => {
            let name = options.get("-n").ok_or_else(|| invalid_parameters(&["-n"]))?;
            invocation.console.activate_password_policy(Some(name))?;
            Ok(0)
        }
        "d" => {
            invocation.console.activate_password_policy(None)?;
            Ok(0)
        }
        _ => {
            let texts = texts(invocation, options)?;
            invocation.each(texts, |invocation, text| {
                let mut record = record(&text)?;
                let name = take(&mut record, "name")?;
                let name = name.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("name"))?;
                let new_name = take(&mut record, "new_name")?;
                Ok(invocation.console.change_password_policy(&name, |policy| {
                    if let Some(new_name) = new_name {
                        policy.name = new_name;
                    }
                    apply(policy, &mut record)
                })?)
            })
        }
    }
}

fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ManageUsers)?;
    invocation.console.remove_password_policy(options.require("-n")?)?;
    Ok(0)
}
