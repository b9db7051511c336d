//! `-r sysprof` of `lssyscfg`, `mksyscfg`, `chsyscfg`, `rmsyscfg` and `chsysstate`.

use std::sync::Arc;

use varan_console::{SystemConnection, Task};
use varan_contract::system::{PowerOnOptions, Selector, SystemReply, SystemRequest};
use varan_model::attributes::profile::RemoteNames;
use varan_model::attributes::{Attribute, Change, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;
use varan_model::system::SystemProfile;

use crate::failure::CommandError;
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::options::ParsedOptions;
use crate::records::{record, take, texts};
use crate::select::Filters;

/// Filters of `lssyscfg -r sysprof`.
pub(super) const FILTERS: &[&str] = &["profile_names"];

/// A system profile and the names of the partitions in it.
pub(super) struct SystemProfileRow {
    profile: SystemProfile,
    names: Arc<RemoteNames>,
}

impl SystemProfileRow {
    fn partition_names(&self) -> Vec<String> {
        let name = |id| self.names.get(id).cloned().unwrap_or_default();
        self.profile.members.iter().map(|member| name(&member.partition)).collect()
    }
}

pub(super) static SYSTEM_PROFILE: Table<SystemProfileRow> = Table {
    name: "sysprof",
    attributes: &[
        Attribute::new("name", "Name of the system profile.", |row: &SystemProfileRow| {
            Value::of(&row.profile.name)
        })
        .change(Change::AtCreation),
        Attribute::new(
            "lpar_names",
            "Partitions in the order of their activation.",
            |row: &SystemProfileRow| Value::list(row.partition_names()),
        )
        .change(Change::Anytime),
        Attribute::new("lpar_ids", "Numbers of the partitions.", |row: &SystemProfileRow| {
            Value::list(row.profile.members.iter().map(|member| member.partition.to_string()).collect())
        })
        .change(Change::Anytime),
        Attribute::new("profile_names", "Profile of each partition.", |row: &SystemProfileRow| {
            Value::list(row.profile.members.iter().map(|member| member.profile.clone()).collect())
        })
        .change(Change::Anytime),
        Attribute::new("new_name", "New name of the system profile.", |_: &SystemProfileRow| {
            Value::NotApplicable
        })
        .unlisted()
        .change(Change::Anytime),
    ],
};

fn rows(
    invocation: &Invocation<'_>,
    system: &SystemConnection,
    chosen: Option<&[String]>,
) -> Result<Vec<SystemProfileRow>, Refusal> {
    let reply = invocation.ask(system, SystemRequest::ListSystemProfiles)?;
    let SystemReply::SystemProfiles { profiles, names } = reply else { return Ok(Vec::new()) };
    let row = |profile: SystemProfile| SystemProfileRow { profile, names: names.clone() };
    let Some(chosen) = chosen else { return Ok(profiles.into_iter().map(row).collect()) };
    chosen
        .iter()
        .map(|name| {
            let found = profiles.iter().find(|profile| profile.name == *name).cloned();
            found.map(row).ok_or_else(|| Refusal::new(MessageKey::SystemProfileNotFound).with(name))
        })
        .collect()
}

pub(super) fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListSystemProfiles)?;
    let layout = Layout::new(&SYSTEM_PROFILE, options, invocation.console.release())?;
    let filters = Filters::parse(options, FILTERS)?;
    let system = invocation.system(options)?;
    let rows = rows(invocation, &system, filters.get("profile_names"))?;
    layout.print(rows, invocation.output)
}

pub(super) fn create(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::CreateSystemProfile)?;
    let system = invocation.system(options)?;
    let texts = texts(invocation, options)?;
    invocation.each(texts, |invocation, text| {
        invocation.ask(&system, SystemRequest::CreateSystemProfile { record: record(&text)? })?;
        Ok(())
    })
}

pub(super) fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeSystemProfile)?;
    let system = invocation.system(options)?;
    let texts = texts(invocation, options)?;
    invocation.each(texts, |invocation, text| {
        let mut record = record(&text)?;
        let name = take(&mut record, "name")?;
        let name = name.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("name"))?;
        invocation.ask(&system, SystemRequest::ChangeSystemProfile { name, record })?;
        Ok(())
    })
}

pub(super) fn remove(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::RemoveSystemProfile)?;
    let system = invocation.system(options)?;
    let names = options.require("-n")?.split(',').map(|name| name.trim().to_owned());
    invocation.each(names, |invocation, name| {
        invocation.ask(&system, SystemRequest::RemoveSystemProfile { name })?;
        Ok(())
    })
}

/// Activates the members one after another, or (`--test`) asks whether they could be.
pub(super) fn activate(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ActivateSystemProfile)?;
    let system = invocation.system(options)?;
    let name = options.require("-n")?.to_owned();
    if options.has("--test") {
        invocation.ask(&system, SystemRequest::TestSystemProfile { name })?;
        return Ok(0);
    }
    let rows = rows(invocation, &system, Some(&[name]))?;
    let members = rows.into_iter().flat_map(|row| row.profile.members);
    invocation.each(members, |invocation, member| {
        let partition = Selector::Id(member.partition);
        let options = PowerOnOptions { profile: Some(member.profile), ..PowerOnOptions::default() };
        let request = SystemRequest::PowerOn { partition: partition.clone(), options };
        invocation.ask_long(&system, request).map(|_| ()).map_err(|error| match error {
            CommandError::Refused(refusal) => {
                invocation.about_partition(&system, "changing the state of", &partition, *refusal).into()
            }
            error => error,
        })
    })
}
