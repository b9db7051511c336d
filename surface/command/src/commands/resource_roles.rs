//! Managed resource roles for the commands of `access`: what a user may reach.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use varan_console::{ManagedResource, ResourcePart, ResourceRole, ResourceScope, SystemConnection};
use varan_contract::system::{PartitionFilter, Selector, SystemReply, SystemRequest};
use varan_model::attributes::{Attribute, Change, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::record::{Operation, parse_list};
use varan_model::refusal::Refusal;
use varan_model::rules::profile::record_refusal;

use super::access::check_taken;
use super::user_list::ALL_RESOURCES;
use crate::failure::CommandError;
use crate::invocation::Invocation;
use crate::records::{record, take};

/// A role as it is listed.
pub(super) struct Row {
    pub name: String,
    resources: String,
}

pub(super) static RESOURCE_ROLE: Table<Row> = Table {
    name: "resource role",
    attributes: &[
        Attribute::new("name", "Name.", |row: &Row| Value::of(&row.name)).change(Change::AtCreation),
        Attribute::new(
            "resources",
            "Managed systems and partitions: cec:root/ibmhscS1_0|tttt-mmm*sssssss|IBMHSC_ComputerSystem, lpar:root/ibmhscS1_0|n*tttt-mmm*sssssss|IBMHSC_Partition with n a partition ID or ALL_PARTITIONS.",
            |row: &Row| Value::of(&row.resources),
        )
        .change(Change::Anytime),
    ],
};

/// `ALL:` and the roles of the console's own.
pub(super) fn rows(invocation: &Invocation<'_>) -> Vec<Row> {
    let all = Row { name: "ALL:".to_owned(), resources: ALL_RESOURCES.to_owned() };
    let own = invocation.console.resource_roles().into_iter().map(|role| Row {
        resources: role.resources.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        name: role.name.clone(),
    });
    std::iter::once(all).chain(own).collect()
}

/// What a record says of the resources, applied to those that a role has.
fn applied(
    present: &BTreeSet<ManagedResource>,
    operation: Operation,
    value: &str,
) -> Result<BTreeSet<ManagedResource>, Refusal> {
    let elements = parse_list(value).map_err(|error| record_refusal(&error))?;
    let named = elements.iter().flat_map(|element| element.split(',')).filter(|text| !text.trim().is_empty());
    let named = named.map(str::parse).collect::<Result<BTreeSet<ManagedResource>, Refusal>>()?;
    Ok(match operation {
        Operation::Set => named,
        Operation::Add => present.union(&named).cloned().collect(),
        Operation::Remove => present.difference(&named).cloned().collect(),
    })
}

/// Nobody gives, or takes away, more than it may reach.
fn covered(invocation: &Invocation<'_>, resources: &BTreeSet<ManagedResource>) -> Result<(), Refusal> {
    let scope = invocation.scope();
    if resources.iter().all(|resource| scope.covers(resource)) {
        Ok(())
    } else {
        Err(Refusal::new(MessageKey::NotAuthorized))
    }
}

/// A partition that is not there is no resource. One of a system that cannot be reached cannot be checked.
fn check_there(invocation: &Invocation<'_>, resources: &BTreeSet<ManagedResource>) -> Result<(), Refusal> {
    for (system, ids) in partitions(resources) {
        let Ok(connection) = invocation.find_system(system) else { continue };
        let wanted = PartitionFilter::Only(ids.into_iter().map(Selector::Id).collect());
        invocation.ask(&connection, SystemRequest::ListPartitions(wanted))?;
    }
    Ok(())
}

/// The partitions that resources name one by one, by system.
fn partitions(resources: &BTreeSet<ManagedResource>) -> BTreeMap<&str, Vec<PartitionId>> {
    let mut found: BTreeMap<&str, Vec<PartitionId>> = BTreeMap::new();
    for resource in resources {
        if let ResourcePart::Partition(id) = resource.part {
            found.entry(&resource.system).or_default().push(id);
        }
    }
    found
}

pub(super) fn create(invocation: &Invocation<'_>, text: &str) -> Result<(), CommandError> {
    let mut record = record(text)?;
    let (name, value) = (take(&mut record, "name")?, take(&mut record, "resources")?);
    check_taken(&record)?;
    let (Some(name), Some(value)) = (name, value) else {
        return Err(Refusal::new(MessageKey::AttributesMissing).with("name, resources").into());
    };
    let resources = applied(&BTreeSet::new(), Operation::Set, &value)?;
    covered(invocation, &resources)?;
    check_there(invocation, &resources)?;
    Ok(invocation.console.create_resource_role(&name, resources)?)
}

pub(super) fn change(invocation: &Invocation<'_>, text: &str) -> Result<(), CommandError> {
    let mut record = record(text)?;
    let name = take(&mut record, "name")?;
    let at = record.iter().position(|assignment| assignment.name == "resources");
    let (Some(name), Some(at)) = (name, at) else {
        return Err(Refusal::new(MessageKey::AttributesMissing).with("name, resources").into());
    };
    let assignment = record.remove(at);
    check_taken(&record)?;
    let change = |present: &BTreeSet<ManagedResource>| {
        let resources = applied(present, assignment.operation, &assignment.value)?;
        covered(invocation, present)?;
        covered(invocation, &resources)?;
        Ok(resources)
    };
    // Asking systems takes time, in which nobody else should have to wait to change users.
    if let ResourceScope::Role(role) = invocation.console.role_scope(&name)? {
        check_there(invocation, &change(&role.resources)?)?;
    }
    Ok(invocation.console.change_resource_role(&name, change)?)
}

pub(super) fn remove(invocation: &Invocation<'_>, name: &str) -> Result<(), Refusal> {
    if let ResourceScope::Role(role) = invocation.console.role_scope(name)? {
        covered(invocation, &role.resources)?;
    }
    invocation.console.remove_resource_role(name)
}

fn shown(id: impl std::fmt::Display, name: &str) -> String {
    format!("<ResourceID = {id}><UserDefinedName = {name}>")
}

/// The user-defined name of a system, or the site's name for it when it cannot be reached.
fn system_name(invocation: &Invocation<'_>, connection: &SystemConnection) -> String {
    let described = invocation.console.describe(connection);
    described.map_or_else(|_| invocation.console.name_of(connection), |system| system.settings.name.clone())
}

/// Names of partitions by number; those that are gone are left out.
fn partition_names(
    invocation: &Invocation<'_>,
    connection: &SystemConnection,
    ids: Vec<PartitionId>,
) -> BTreeMap<PartitionId, String> {
    let ask = |ids: Vec<PartitionId>| {
        let wanted = PartitionFilter::Only(ids.into_iter().map(Selector::Id).collect());
        match invocation.ask(connection, SystemRequest::ListPartitions(wanted)) {
            Ok(SystemReply::Partitions { entries, .. }) => Some(entries),
            _ => None,
        }
    };
    let entries = ask(ids.clone())
        // One that is gone spoils the question for all.
        .unwrap_or_else(|| ids.into_iter().filter_map(|id| ask(vec![id])).flatten().collect());
    entries.into_iter().map(|entry| (entry.partition.id, entry.partition.name.clone())).collect()
}

/// What the `resources` of a user show for its role.
pub(super) fn resources_of(invocation: &Invocation<'_>, role: &Arc<ResourceRole>) -> Vec<String> {
    let mut names: BTreeMap<&str, (String, BTreeMap<PartitionId, String>)> = BTreeMap::new();
    let mut named = partitions(&role.resources);
    for resource in &role.resources {
        let system = resource.system.as_str();
        if let std::collections::btree_map::Entry::Vacant(entry) = names.entry(system)
            && let Ok(connection) = invocation.find_system(system)
        {
            let ids = named.remove(system).unwrap_or_default();
            let partitions = partition_names(invocation, &connection, ids);
            entry.insert((system_name(invocation, &connection), partitions));
        }
    }
    let name = |resource: &ManagedResource| {
        let (system, partitions) = names.get(resource.system.as_str())?;
        Some(match resource.part {
            ResourcePart::System => system.clone(),
            ResourcePart::AllPartitions => format!("AllPartitions of {system}"),
            ResourcePart::Partition(id) => partitions.get(&id)?.clone(),
        })
    };
    role.resources.iter().map(|resource| shown(resource, &name(resource).unwrap_or_default())).collect()
}

/// `lsaccfg -t resource`: everything that a role may name and the user may reach.
pub(super) fn list_resources(invocation: &mut Invocation<'_>, script: bool) -> Result<u8, CommandError> {
    let scope = invocation.scope();
    let mut lines = Vec::new();
    let mut add = |resource: ManagedResource, name: &str| {
        if scope.covers(&resource) {
            lines.push(if script { resource.to_string() } else { shown(&resource, name) });
        }
    };
    for connection in invocation.systems() {
        let system = connection.identity().to_string();
        let name = system_name(invocation, &connection);
        let resource = |part| ManagedResource { system: system.clone(), part };
        add(resource(ResourcePart::System), &name);
        add(resource(ResourcePart::AllPartitions), &format!("AllPartitions of {name}"));
        let request = SystemRequest::ListPartitions(PartitionFilter::All);
        // A system that cannot be reached has no partitions to list.
        if let Ok(SystemReply::Partitions { entries, .. }) = invocation.ask(&connection, request) {
            for entry in entries {
                add(resource(ResourcePart::Partition(entry.partition.id)), &entry.partition.name);
            }
        }
    }
    if scope == ResourceScope::All {
        lines.insert(0, if script { "ALL:".to_owned() } else { ALL_RESOURCES.to_owned() });
    }
    if lines.is_empty() {
        lines.push("No results were found.".to_owned());
    }
    for line in lines {
        writeln!(invocation.output, "{line}")?;
    }
    Ok(0)
}
