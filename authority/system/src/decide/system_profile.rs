//! System profiles, and restoring profile data.

use std::sync::Arc;

use varan_contract::system::SystemPower;
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::partition::{Partition, PartitionEntry, Profile, Usage};
use varan_model::profile_data::{self, ProfileData, RestoreKind};
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::activation;
use varan_model::rules::profile::check_repeats;
use varan_model::rules::system_profile as rules;
use varan_model::system::{ManagedSystem, SystemProfile, SystemSettings};

use super::definition::{check_reachable, current_as_profile};
use super::{Decision, Effect, Moment};
use crate::world::{Change, World};

/// Name of the profiles that [`recreate`] makes. Unverified: no source shows the real one.
const RECREATED_PROFILE: &str = "default_profile";

const NOUN: &str = "system profile";

fn has_profile(world: &World, partition: PartitionId, profile: &str) -> bool {
    let entry = world.snapshot.partitions.get(partition.0);
    entry.is_some_and(|entry| entry.partition.profile(profile).is_some())
}

fn with_profiles(world: &World, system_profiles: Vec<SystemProfile>) -> Decision {
    let settings = SystemSettings { system_profiles, ..world.system().settings.clone() };
    if settings == world.system().settings {
        return Decision::default();
    }
    Decision::change(Change::PutSettings(Box::new(settings)))
}

fn find<'a>(world: &'a World, name: &str) -> Result<&'a SystemProfile, Refusal> {
    let found = world.system().settings.system_profiles.iter().find(|present| present.name == name);
    found.ok_or_else(|| Refusal::new(MessageKey::SystemProfileNotFound).with(name))
}

pub(super) fn create(world: &World, record: &[Assignment]) -> Result<Decision, Refusal> {
    let name = record.iter().find(|one| one.name == "name").map_or("", |one| one.value.as_str());
    let create = || {
        check_reachable(world)?;
        check_repeats(record)?;
        let mut profiles = world.system().settings.system_profiles.clone();
        rules::create(&mut profiles, record, world, &|id, profile| has_profile(world, id, profile))?;
        Ok(with_profiles(world, profiles))
    };
    create().map_err(|refusal: Refusal| refusal.about("creating", NOUN, name))
}

pub(super) fn change(world: &World, name: &str, record: &[Assignment]) -> Result<Decision, Refusal> {
    find(world, name)?;
    let change = || {
        check_reachable(world)?;
        check_repeats(record)?;
        let mut profiles = world.system().settings.system_profiles.clone();
        rules::change(&mut profiles, name, record, world, &|id, profile| has_profile(world, id, profile))?;
        Ok(with_profiles(world, profiles))
    };
    change().map_err(|refusal: Refusal| refusal.about("changing", NOUN, name))
}

pub(super) fn remove(world: &World, name: &str) -> Result<Decision, Refusal> {
    find(world, name)?;
    check_reachable(world).map_err(|refusal| refusal.about("removing", NOUN, name))?;
    let mut profiles = world.system().settings.system_profiles.clone();
    profiles.retain(|present| present.name != name);
    Ok(with_profiles(world, profiles))
}

/// Whether the members can be activated one after another, each with what those before it left.
pub(super) fn test(world: &World, name: &str) -> Result<Decision, Refusal> {
    let profile = find(world, name)?;
    super::power::check_operating(world)?;
    let mut system: ManagedSystem = world.system().clone();
    for member in &profile.members {
        let Some(entry) = world.snapshot.partitions.get(member.partition.0) else { continue };
        let about =
            |refusal: Refusal| refusal.about("changing the state of", "partition", &entry.partition.name);
        if !entry.runtime.state.is_off() {
            return Err(about(Refusal::new(MessageKey::NotActivatedRequired)));
        }
        let content = entry.partition.profile(&member.profile);
        let content =
            content.ok_or_else(|| about(Refusal::new(MessageKey::ProfileNotFound).with(&member.profile)))?;
        let planned = activation::plan(&content.configuration, &system, world).map_err(about)?;
        system.usage = system.usage.plus(Usage::of(&planned, &system.hardware));
    }
    Ok(Decision::default())
}

/// Power on, then activate the members in place of what the policy says.
pub(super) fn power_on(world: &World, name: &str, moment: Moment) -> Result<Decision, Refusal> {
    find(world, name)?;
    let mut decision = super::power::power_system(world, SystemPower::On, moment)?;
    let next = Effect::StartProfileNext(name.to_owned());
    // After the transition, which ends what was to be started by an earlier one; before the start itself.
    let transition =
        decision.effects.iter().position(|effect| matches!(effect, Effect::SystemTransition { .. }));
    decision.effects.insert(transition.map_or(0, |place| place + 1), next);
    Ok(decision)
}

pub(super) fn restore(
    world: &World,
    kind: RestoreKind,
    data: Option<&ProfileData>,
) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    let nothing = ProfileData {
        identity: world.system().hardware.identity.clone(),
        partitions: Vec::new(),
        system_profiles: Vec::new(),
    };
    let present: Vec<PartitionEntry> =
        world.snapshot.partitions.iter().map(|(_, entry)| entry.clone()).collect();
    let restoration = profile_data::restore(kind, data.unwrap_or(&nothing), &present, world.system())?;
    let mut decision = with_profiles(world, restoration.system_profiles);
    let mut changes: Vec<Change> = Vec::new();
    for (id, uuid) in restoration.removed {
        changes.push(Change::RemovePartition(id));
        decision.effects.push(Effect::Forget(uuid));
    }
    changes.extend(restoration.put.into_iter().map(|one| Change::PutPartition(Box::new(one))));
    changes.append(&mut decision.changes);
    decision.changes = changes;
    Ok(decision)
}

/// One profile for each partition: what it has now. Names and further profiles are not to be had from the system itself;
/// a partition that was never activated has nothing but its default profile, which is kept under the new name.
pub(super) fn recreate(world: &World) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    let mut decision = with_profiles(world, Vec::new());
    let recreated = world.snapshot.partitions.iter().filter_map(|(_, entry)| {
        let mut partition = (*entry.partition).clone();
        let kept = partition.profile(&partition.default_profile).or(partition.profiles.first());
        let configuration = current_as_profile(&partition).or_else(|| Some(kept?.configuration.clone()))?;
        partition.profiles = vec![Arc::new(Profile { name: RECREATED_PROFILE.to_owned(), configuration })];
        partition.default_profile = RECREATED_PROFILE.to_owned();
        let known = if partition.current.is_some() { RECREATED_PROFILE } else { "" };
        partition.current_profile = known.to_owned();
        if partition == *entry.partition {
            return None;
        }
        partition.revision += 1;
        Some(Change::PutPartition(Box::new(partition)))
    });
    decision.changes.splice(0..0, recreated);
    Ok(decision)
}

/// The settings after `partition` got other profiles or (`None`) is gone, where system profiles name what is gone with it.
pub(super) fn without_lost_members(
    world: &World,
    id: PartitionId,
    partition: Option<&Partition>,
    settings: &mut SystemSettings,
) {
    SystemProfile::prune(&mut settings.system_profiles, &|member| {
        if member == id {
            return partition;
        }
        world.snapshot.partitions.get(member.0).map(|entry| &*entry.partition)
    });
}
