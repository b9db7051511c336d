//! Definitions: creating, changing, removing partitions and profiles; settings of the system.

use varan_contract::system::Selector;
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::ids::PartitionUuid;
use varan_model::partition::{Partition, PartitionEntry, Profile, SYSTEM_NAME_CHARACTERS_MAX};
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::creation::{self, Creation};
use varan_model::rules::edit::{flag, number, value_invalid, word};
use varan_model::rules::partition::{self as partition_rules, PartitionEdit, check_name, description};
use varan_model::rules::profile::{self as profile_rules, EditContext, check_repeats};
use varan_model::rules::unique::UniqueName;
use varan_model::rules::{addresses, sriov};
use varan_model::system::{StartPolicy, SystemSettings};
use varan_model::vnic::VirtualNic;

use super::system_profile::without_lost_members;
use super::{Decision, Moment, course};
use crate::world::{Change, World};
use varan_model::rules::PartitionLookup;

fn context(world: &World) -> EditContext<'_> {
    EditContext { system: world.system(), lookup: world }
}

pub(super) fn settings_change(world: &World, settings: SystemSettings) -> Option<Change> {
    (settings != world.system().settings).then(|| Change::PutSettings(Box::new(settings)))
}

/// Refuses what needs the service processor of a system that is off.
pub(super) fn check_reachable(world: &World) -> Result<(), Refusal> {
    if world.system().state.shows_partitions() {
        Ok(())
    } else {
        Err(Refusal::new(MessageKey::SystemNotOperating))
    }
}

pub(super) fn create_partition(
    world: &World,
    record: &[Assignment],
    moment: Moment,
) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    let uuid = PartitionUuid::from_random(moment.random);
    let creation = Creation { system: world.system(), lookup: world, uuid, installation: None };
    let (partition, settings) = creation::create_partition(record, &creation)?;
    let mut changes = vec![Change::PutPartition(Box::new(partition))];
    changes.extend(settings_change(world, settings));
    Ok(Decision { changes, ..Decision::default() })
}

fn revised(entry: &PartitionEntry) -> Partition {
    let mut partition = (*entry.partition).clone();
    partition.revision += 1;
    partition
}

pub(super) fn create_profile(
    world: &World,
    selector: &Selector,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    check_reachable(world)?;
    let (profile, settings) = creation::create_profile(record, &entry.partition, world.system(), world)?;
    let mut partition = revised(entry);
    partition.put_profile(profile);
    let mut changes = vec![Change::PutPartition(Box::new(partition))];
    changes.extend(settings_change(world, settings));
    Ok(Decision { changes, ..Decision::default() })
}

pub(super) fn save_profile(
    world: &World,
    selector: &Selector,
    name: &str,
    force: bool,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    let about = |refusal: Refusal| refusal.about("creating", "partition profile", name);
    check_name(name).map_err(about)?;
    let current = current_as_profile(&entry.partition);
    let configuration = current.ok_or_else(|| about(Refusal::new(MessageKey::NoCurrentConfiguration)))?;
    if entry.partition.profile(name).is_some() && !force {
        return Err(about(Refusal::new(MessageKey::ProfileNameUsed).with(name)));
    }
    let mut partition = revised(entry);
    partition.put_profile(Profile { name: name.to_owned(), configuration });
    Ok(Decision::change(Change::PutPartition(Box::new(partition))))
}

/// The current configuration as a profile states it, if the partition has one.
pub(super) fn current_as_profile(partition: &Partition) -> Option<Configuration> {
    let mut configuration = partition.current.clone()?;
    // A generated MAC address belongs to the running adapter, not to the profile.
    for adapter in &mut configuration.ethernet_adapters {
        adapter.mac_address = stated_address(partition, adapter.slot);
    }
    configuration.virtual_nics = stated_nics(&configuration);
    Some(configuration)
}

/// Virtual NICs as a profile states them: what their servers have for them belongs to the current configuration.
pub(super) fn stated_nics(content: &Configuration) -> Vec<VirtualNic> {
    let mut nics = content.virtual_nics.clone();
    for nic in &mut nics {
        nic.preferred = None;
        for device in &mut nic.backing_devices {
            device.logical_port = None;
            device.server_slot = None;
        }
    }
    nics
}

fn stated_address(
    partition: &Partition,
    slot: varan_model::ids::VirtualSlot,
) -> Option<varan_model::ids::MacAddress> {
    let profile = partition.profile(&partition.current_profile)?;
    let adapter = profile.configuration.ethernet_adapters.iter().find(|adapter| adapter.slot == slot)?;
    adapter.mac_address
}

pub(super) fn change_partition(
    world: &World,
    selector: &Selector,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    let shown = entry.partition.name.clone();
    let change = || -> Result<Decision, Refusal> {
        check_reachable(world)?;
        check_repeats(record)?;
        let mut partition = revised(entry);
        let edit =
            PartitionEdit { context: context(world), creating: false, off: entry.runtime.state.is_off() };
        for assignment in record {
            match assignment.name.as_str() {
                "new_name" => rename(world, &mut partition, &assignment.value)?,
                "profile_name" => {
                    let name = &assignment.value;
                    if partition.profile(name).is_none() {
                        return Err(Refusal::new(MessageKey::ProfileNotFound).with(name));
                    }
                    partition.default_profile.clone_from(name);
                }
                _ => partition_rules::apply(&mut partition, assignment, &edit)?,
            }
        }
        for profile in &partition.profiles {
            creation::check_partition(&partition, &profile.configuration)?;
        }
        Ok(Decision::change(Change::PutPartition(Box::new(partition))))
    };
    change().map_err(|refusal| refusal.about("changing", "partition", &shown))
}

fn rename(world: &World, partition: &mut Partition, name: &str) -> Result<(), Refusal> {
    check_name(name)?;
    match world.id_of(name) {
        Some(other) if other != partition.id => Err(Refusal::new(MessageKey::PartitionNameUsed).with(name)),
        _ => {
            name.clone_into(&mut partition.name);
            Ok(())
        }
    }
}

pub(super) fn change_profile(
    world: &World,
    selector: &Selector,
    name: &str,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    let change = || -> Result<Decision, Refusal> {
        let profile = entry.partition.profile(name);
        let profile = profile.ok_or_else(|| Refusal::new(MessageKey::ProfileNotFound).with(name))?;
        check_reachable(world)?;
        let mut content = profile.configuration.clone();
        let mut partition = revised(entry);
        let (names, rest): (Vec<_>, Vec<_>) = record.iter().cloned().partition(|one| one.name == "new_name");
        profile_rules::apply_all(&mut content, &rest, &context(world))?;
        let mut settings = world.system().settings.clone();
        creation::complete_profile(&mut content, partition.uuid, world.system(), world, &mut settings)?;
        creation::check_partition(&partition, &content)?;
        partition.put_profile(Profile { name: name.to_owned(), configuration: content });
        if let Some(assignment) = names.last() {
            rename_profile(&mut partition, name, &assignment.value)?;
            for member in settings.system_profiles.iter_mut().flat_map(|profile| &mut profile.members) {
                if member.partition == partition.id && member.profile == name {
                    member.profile.clone_from(&assignment.value);
                }
            }
        }
        let mut changes = vec![Change::PutPartition(Box::new(partition))];
        changes.extend(settings_change(world, settings));
        Ok(Decision { changes, ..Decision::default() })
    };
    change().map_err(|refusal| refusal.about("changing", "partition profile", name))
}

fn rename_profile(partition: &mut Partition, name: &str, new_name: &str) -> Result<(), Refusal> {
    check_name(new_name)?;
    if new_name != name && partition.profile(new_name).is_some() {
        return Err(Refusal::new(MessageKey::ProfileNameUsed).with(new_name));
    }
    if let Some(profile) = partition.profiles.iter_mut().find(|profile| profile.name == name) {
        std::sync::Arc::make_mut(profile).name = new_name.to_owned();
    }
    for reference in [&mut partition.default_profile, &mut partition.current_profile] {
        if reference == name {
            new_name.clone_into(reference);
        }
    }
    Ok(())
}

pub(super) fn apply_profile(world: &World, selector: &Selector, name: &str) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    let apply = || -> Result<Decision, Refusal> {
        check_reachable(world)?;
        let profile = entry.partition.profile(name);
        let profile = profile.ok_or_else(|| Refusal::new(MessageKey::ProfileNotFound).with(name))?;
        if !entry.runtime.state.is_off() {
            return Err(Refusal::new(MessageKey::NotActivatedRequired));
        }
        let mut partition = revised(entry);
        let mut settings = world.system().settings.clone();
        take_profile(world, &mut partition, &profile.configuration, name, &mut settings)?;
        let effects =
            course::server_effects(world, entry.partition.current.as_ref(), partition.current.as_ref());
        let mut changes = vec![Change::PutPartition(Box::new(partition))];
        changes.extend(settings_change(world, settings));
        Ok(Decision { changes, effects, ..Decision::default() })
    };
    apply().map_err(|refusal| refusal.about("changing", "partition", &entry.partition.name))
}

/// Makes `content` the current configuration of the partition, with addresses for its adapters.
///
/// # Errors
/// SR-IOV logical ports that cannot be had.
pub(super) fn take_profile(
    world: &World,
    partition: &mut Partition,
    content: &Configuration,
    profile: &str,
    settings: &mut SystemSettings,
) -> Result<(), Refusal> {
    let mut content = content.clone();
    sriov::complete(&mut content, partition.current.as_ref(), world.system(), world)?;
    let identity = &world.system().hardware.identity;
    let reserved = &world.system().settings.reserved_names;
    let taken = |address| {
        world.mac_address_holder(address).is_some() || reserved.contains(&UniqueName::MacAddress(address))
    };
    addresses::generate_mac_addresses(&mut content, partition.current.as_ref(), identity, settings, &taken);
    partition.settings.take_from_profile(&content);
    partition.current = Some(content);
    profile.clone_into(&mut partition.current_profile);
    Ok(())
}

pub(super) fn remove_profile(world: &World, selector: &Selector, name: &str) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    let about = |refusal: Refusal| refusal.about("removing", "partition profile", name);
    check_reachable(world).map_err(about)?;
    if entry.partition.profile(name).is_none() {
        return Err(Refusal::new(MessageKey::ProfileNotFound).with(name));
    }
    if entry.partition.default_profile == name {
        return Err(about(Refusal::new(MessageKey::LastProfile).with(name)));
    }
    let mut partition = revised(entry);
    partition.profiles.retain(|profile| profile.name != name);
    let mut settings = world.system().settings.clone();
    without_lost_members(world, partition.id, Some(&partition), &mut settings);
    let mut changes = vec![Change::PutPartition(Box::new(partition))];
    changes.extend(settings_change(world, settings));
    Ok(Decision { changes, ..Decision::default() })
}

pub(super) fn change_system(world: &World, record: &[Assignment]) -> Result<Decision, Refusal> {
    let shown = world.system().settings.name.clone();
    let change = || -> Result<Decision, Refusal> {
        check_repeats(record)?;
        let mut settings = world.system().settings.clone();
        for assignment in record {
            set_system(&mut settings, assignment)?;
        }
        Ok(Decision::change(Change::PutSettings(Box::new(settings))))
    };
    change().map_err(|refusal| refusal.about("changing", "managed system", &shown))
}

fn set_system(settings: &mut SystemSettings, assignment: &Assignment) -> Result<(), Refusal> {
    match assignment.name.as_str() {
        "new_name" => {
            check_name(&assignment.value)?;
            if assignment.value.chars().count() > SYSTEM_NAME_CHARACTERS_MAX {
                return Err(value_invalid(assignment, "it is too long"));
            }
            settings.name.clone_from(&assignment.value);
        }
        "description" => settings.description = description(assignment)?,
        "power_off_policy" => settings.power_off_policy = flag(assignment)?,
        "power_on_lpar_start_policy" | "pend_power_on_lpar_start_policy" => {
            settings.start_policy = word(assignment, StartPolicy::ALL, StartPolicy::word)?;
        }
        "pend_power_on_side" => {
            settings.temporary_side = match assignment.value.as_str() {
                "temp" => true,
                "perm" => false,
                _ => return Err(value_invalid(assignment, "it is temp or perm")),
            };
        }
        name => return Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
    }
    Ok(())
}

pub(super) fn set_system_memory(world: &World, record: &[Assignment]) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    check_repeats(record)?;
    let mut settings = world.system().settings.clone();
    for assignment in record {
        match assignment.name.as_str() {
            "pend_mem_region_size" => {
                let size: u64 = number(assignment)?;
                if !size.is_power_of_two() || !(16..=256).contains(&size) {
                    return Err(value_invalid(assignment, "it is 16, 32, 64, 128 or 256"));
                }
                settings.pending_memory_region_size = size;
            }
            "requested_num_sys_huge_pages" => {
                let pages: u32 = number(assignment)?;
                let most = world.system().hardware.installed_memory
                    / varan_model::attributes::memory::HUGE_PAGE_MEGABYTES;
                if u64::from(pages) > most {
                    return Err(value_invalid(
                        assignment,
                        format_args!("the managed system can have {most}"),
                    ));
                }
                settings.requested_huge_pages = pages;
            }
            name => return Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
        }
    }
    Ok(Decision::change(Change::PutSettings(Box::new(settings))))
}
