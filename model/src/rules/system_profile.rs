//! System profiles: an ordered list of partitions, each with the profile that it is activated with.

use super::PartitionLookup;
use super::edit::{elements, value_invalid};
use super::partition::check_name;
use crate::codes::MessageKey;
use crate::ids::PartitionId;
use crate::record::{Assignment, Operation};
use crate::refusal::Refusal;
use crate::system::{SystemProfile, SystemProfileMember};

/// What a record does to the list: the operation, and the members that it names.
struct Edit {
    operation: Operation,
    members: Vec<SystemProfileMember>,
}

/// Whether a partition has a profile of a name.
pub type HasProfile<'a> = &'a dyn Fn(PartitionId, &str) -> bool;

/// Reads `lpar_names` or `lpar_ids`, and `profile_names`: lists of the same length and operation.
fn read(
    record: &[Assignment],
    lookup: &dyn PartitionLookup,
    has_profile: HasProfile<'_>,
) -> Result<Option<Edit>, Refusal> {
    let find = |name: &str| record.iter().find(|assignment| assignment.name == name);
    let (names, ids, profiles) = (find("lpar_names"), find("lpar_ids"), find("profile_names"));
    if names.is_some() && ids.is_some() {
        return Err(Refusal::new(MessageKey::ParametersExclusive).with("lpar_names, lpar_ids"));
    }
    let missing = |name: &str| Refusal::new(MessageKey::AttributesMissing).with(name);
    let (partitions, profiles) = match (names.or(ids), profiles) {
        (None, None) => return Ok(None),
        (Some(partitions), Some(profiles)) => (partitions, profiles),
        (None, Some(_)) => return Err(missing("lpar_names")),
        (Some(_), None) => return Err(missing("profile_names")),
    };
    let (chosen, wanted) = (elements(partitions)?, elements(profiles)?);
    if partitions.operation != profiles.operation || chosen.len() != wanted.len() {
        return Err(value_invalid(profiles, format_args!("there is one for each of {}", partitions.name)));
    }
    let mut members: Vec<SystemProfileMember> = Vec::with_capacity(chosen.len());
    for (text, profile) in chosen.iter().zip(wanted) {
        let partition = if names.is_some() {
            let found = lookup.id_of(text);
            found.ok_or_else(|| Refusal::new(MessageKey::PartitionNotFound).with(text))?
        } else {
            let id: Option<PartitionId> = text.parse().ok();
            let found = id.filter(|id| lookup.name_of(*id).is_some());
            found.ok_or_else(|| Refusal::new(MessageKey::PartitionIdNotFound).with(text))?
        };
        if !has_profile(partition, &profile) {
            return Err(Refusal::new(MessageKey::ProfileNotFound).with(profile));
        }
        if members.iter().any(|member| member.partition == partition) {
            return Err(value_invalid(partitions, "a partition is in a system profile once"));
        }
        members.push(SystemProfileMember { partition, profile });
    }
    Ok(Some(Edit { operation: partitions.operation, members }))
}

fn check_known(record: &[Assignment], known: &[&str]) -> Result<(), Refusal> {
    match record.iter().find(|assignment| !known.contains(&assignment.name.as_str())) {
        Some(stranger) => Err(Refusal::new(MessageKey::AttributeInvalid).with(&stranger.name)),
        None => Ok(()),
    }
}

/// Adds a system profile.
///
/// # Errors
/// What is wrong with the record; a name that is used.
pub fn create(
    profiles: &mut Vec<SystemProfile>,
    record: &[Assignment],
    lookup: &dyn PartitionLookup,
    has_profile: HasProfile<'_>,
) -> Result<(), Refusal> {
    check_known(record, &["name", "lpar_names", "lpar_ids", "profile_names"])?;
    let name = record.iter().find(|assignment| assignment.name == "name");
    let name = name.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("name"))?;
    check_name(&name.value)?;
    check_free(profiles, &name.value)?;
    let edit = read(record, lookup, has_profile)?;
    let edit =
        edit.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("lpar_names, profile_names"))?;
    if edit.operation != Operation::Set || edit.members.is_empty() {
        return Err(Refusal::new(MessageKey::AttributesMissing).with("lpar_names, profile_names"));
    }
    profiles.push(SystemProfile { name: name.value.clone(), members: edit.members });
    Ok(())
}

fn check_free(profiles: &[SystemProfile], name: &str) -> Result<(), Refusal> {
    if profiles.iter().any(|present| present.name == name) {
        return Err(Refusal::new(MessageKey::SystemProfileNameUsed).with(name));
    }
    Ok(())
}

/// Changes a system profile.
///
/// # Errors
/// What is wrong with the record; no such system profile; one without members.
pub fn change(
    profiles: &mut [SystemProfile],
    name: &str,
    record: &[Assignment],
    lookup: &dyn PartitionLookup,
    has_profile: HasProfile<'_>,
) -> Result<(), Refusal> {
    check_known(record, &["new_name", "lpar_names", "lpar_ids", "profile_names"])?;
    let place = profiles.iter().position(|present| present.name == name);
    let place = place.ok_or_else(|| Refusal::new(MessageKey::SystemProfileNotFound).with(name))?;
    if let Some(edit) = read(record, lookup, has_profile)? {
        apply(&mut profiles[place].members, edit)?;
    }
    if let Some(new_name) = record.iter().find(|assignment| assignment.name == "new_name") {
        check_name(&new_name.value)?;
        if new_name.value != name {
            check_free(profiles, &new_name.value)?;
            profiles[place].name.clone_from(&new_name.value);
        }
    }
    Ok(())
}

fn apply(members: &mut Vec<SystemProfileMember>, edit: Edit) -> Result<(), Refusal> {
    let mut after = members.clone();
    match edit.operation {
        Operation::Set => after = edit.members,
        Operation::Add => {
            for member in edit.members {
                if after.iter().any(|present| present.partition == member.partition) {
                    let refusal = Refusal::new(MessageKey::ElementPresent).with("lpar_names");
                    return Err(refusal.with(member.partition));
                }
                after.push(member);
            }
        }
        Operation::Remove => {
            for member in edit.members {
                let place = after.iter().position(|present| *present == member);
                let place = place.ok_or_else(|| {
                    Refusal::new(MessageKey::ElementAbsent).with("lpar_names").with(member.partition)
                })?;
                after.remove(place);
            }
        }
    }
    if after.is_empty() {
        return Err(Refusal::new(MessageKey::AttributesMissing).with("lpar_names, profile_names"));
    }
    *members = after;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::TwoServers;
    use super::*;
    use crate::record::parse_record;

    fn has(_: PartitionId, profile: &str) -> bool {
        profile != "nosuch"
    }

    fn shown(profiles: &[SystemProfile]) -> String {
        let member = |one: &SystemProfileMember| format!("{}:{}", one.partition, one.profile);
        let profile = |one: &SystemProfile| {
            format!("{}({})", one.name, one.members.iter().map(member).collect::<Vec<_>>().join(" "))
        };
        profiles.iter().map(profile).collect::<Vec<_>>().join(" ")
    }

    fn made(text: &str) -> Result<Vec<SystemProfile>, String> {
        let mut profiles = vec![SystemProfile {
            name: "day".to_owned(),
            members: vec![SystemProfileMember { partition: PartitionId(1), profile: "a".to_owned() }],
        }];
        let record = parse_record(text).map_err(|error| error.to_string())?;
        let result = match record.iter().find(|one| one.name == "name") {
            Some(_) => create(&mut profiles, &record, &TwoServers, &has),
            None => change(&mut profiles, "day", &record, &TwoServers, &has),
        };
        result.map(|()| profiles).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn system_profiles_are_made_and_changed() {
        for (text, expected) in [
            ("name=night,lpar_names=vios2,profile_names=b", "day(1:a) night(2:b)"),
            ("name=night,\"lpar_ids=2,1\",\"profile_names=b,c\"", "day(1:a) night(2:b 1:c)"),
            ("lpar_names=vios2,profile_names=b", "day(2:b)"),
            ("lpar_names+=vios2,profile_names+=b,new_name=both", "both(1:a 2:b)"),
            ("\"lpar_ids=1,2\",\"profile_names=x,y\"", "day(1:x 2:y)"),
            ("new_name=day", "day(1:a)"),
        ] {
            assert_eq!(made(text).map(|profiles| shown(&profiles)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (text, expected) in [
            ("name=day,lpar_names=vios2,profile_names=b", "HSCL05A1"),
            ("name=night", "missing attributes are lpar_names, profile_names"),
            ("name=night,lpar_names=vios2", "missing attributes are profile_names"),
            ("name=night,profile_names=b", "missing attributes are lpar_names"),
            ("name=night,lpar_names=nobody,profile_names=b", "HSCL8012"),
            ("name=night,lpar_ids=77,profile_names=b", "HSCL8013"),
            ("name=night,lpar_names=vios2,profile_names=nosuch", "HSCL800F"),
            ("name=night,\"lpar_names=vios1,vios2\",profile_names=b", "one for each of lpar_names"),
            ("name=night,\"lpar_names=vios1,vios1\",\"profile_names=a,b\"", "in a system profile once"),
            ("name=night,lpar_names=vios1,lpar_ids=1,profile_names=a", "lpar_names, lpar_ids"),
            ("name=night,lpar_names=vios1,profile_names=a,desired_mem=1", "attribute is desired_mem"),
            ("lpar_names+=vios1,profile_names+=b", "HSCL0568"),
            ("lpar_names-=vios1,profile_names-=b", "HSCL0569"),
            ("lpar_names-=vios1,profile_names-=a", "missing attributes"),
            ("lpar_names+=vios2,profile_names-=a", "one for each of lpar_names"),
        ] {
            let error = made(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
