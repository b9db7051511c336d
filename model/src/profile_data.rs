//! Profile data: what `bkprofdata` puts away and `rstprofdata` brings back. Partitions with their profiles, and system
//! profiles.
//!
//! | `-l` | partitions | profiles of a partition that is in both |
//! |---|---|---|
//! | 1 | those of the backup | those of the backup |
//! | 2 | of both; what the backup has wins | of both; the backup's win |
//! | 3 | of both; what is there wins | of both; those that are there win |
//! | 4 | none | – |
//!
//! A partition is the same where number and UUID are. One that is on keeps what it runs with; one that is off has no
//! current configuration afterwards and needs a profile applied or activated, as captured after a restore of type 3.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codes::MessageKey;
use crate::configuration::Configuration;
use crate::ids::{MachineIdentity, PartitionId, PartitionUuid};
use crate::partition::{Partition, PartitionEntry};
use crate::refusal::Refusal;
use crate::rules::unique::UniqueName;
use crate::rules::validity;
use crate::system::{ManagedSystem, SystemProfile};

/// Most bytes of profile data that a backup holds, listed as the profile space of a system: what fits into one message
/// between processes.
pub const PROFILE_DATA_BYTES_MAX: u64 = 12 << 20;

/// The profile data of a managed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileData {
    /// Machine that it is of.
    pub identity: MachineIdentity,
    /// Partitions in the order of their numbers.
    pub partitions: Vec<Arc<Partition>>,
    /// System profiles.
    pub system_profiles: Vec<SystemProfile>,
}

/// Type of a restore, `-l`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreKind {
    /// 1.
    Full,
    /// 2.
    BackupPriority,
    /// 3.
    CurrentPriority,
    /// 4.
    Initialize,
}

/// What a restore changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restoration {
    /// Partitions that are new or different.
    pub put: Vec<Partition>,
    /// Partitions that are gone.
    pub removed: Vec<(PartitionId, PartitionUuid)>,
    /// All system profiles afterwards.
    pub system_profiles: Vec<SystemProfile>,
}

type Partitions = BTreeMap<PartitionId, Partition>;

/// Works out a restore.
///
/// # Errors
/// A partition that would go is on; the backup is of another machine, refers to hardware or switches that are not there,
/// holds more partitions than the system supports, or two partitions would have one address.
pub fn restore(
    kind: RestoreKind,
    backup: &ProfileData,
    present: &[PartitionEntry],
    system: &ManagedSystem,
) -> Result<Restoration, Refusal> {
    if kind != RestoreKind::Initialize && backup.identity != system.hardware.identity {
        let reason = format!("it is of the managed system {}", backup.identity);
        return Err(Refusal::new(MessageKey::ProfileDataInvalid).with(reason));
    }
    let before: BTreeMap<PartitionId, &PartitionEntry> =
        present.iter().map(|entry| (entry.partition.id, entry)).collect();
    let mut result = merged(kind, backup, &before);
    let same = |partition: &Partition| {
        before.get(&partition.id).copied().filter(|entry| entry.partition.uuid == partition.uuid)
    };
    for partition in result.values_mut() {
        settle(partition, same(partition));
    }
    let removed: Vec<&PartitionEntry> = before
        .values()
        .copied()
        .filter(|entry| result.get(&entry.partition.id).is_none_or(|kept| kept.uuid != entry.partition.uuid))
        .collect();
    if let Some(on) = removed.iter().find(|entry| !entry.runtime.state.is_off()) {
        let refusal = Refusal::new(MessageKey::NotActivatedRequired);
        return Err(refusal.about("removing", "partition", &on.partition.name));
    }
    let most = usize::from(system.hardware.maximum_partitions);
    if result.len() > most {
        return Err(Refusal::new(MessageKey::PartitionsExhausted).with(most));
    }
    check_addresses(&result)?;
    let put: Vec<Partition> = result
        .values()
        .filter(|one| same(one).is_none_or(|entry| *entry.partition != **one))
        .cloned()
        .collect();
    for partition in &put {
        check_content(partition, system)?;
    }
    let removed = removed.iter().map(|entry| (entry.partition.id, entry.partition.uuid)).collect();
    let mut system_profiles = merged_system_profiles(kind, backup, system);
    SystemProfile::prune(&mut system_profiles, &|id| result.get(&id));
    Ok(Restoration { put: put.into_iter().map(revised).collect(), removed, system_profiles })
}

fn revised(mut partition: Partition) -> Partition {
    partition.revision += 1;
    partition
}

fn merged(
    kind: RestoreKind,
    backup: &ProfileData,
    before: &BTreeMap<PartitionId, &PartitionEntry>,
) -> Partitions {
    let present = || before.iter().map(|(id, entry)| (*id, (*entry.partition).clone()));
    let stored = || backup.partitions.iter().map(|partition| (partition.id, (**partition).clone()));
    match kind {
        RestoreKind::Initialize => Partitions::new(),
        RestoreKind::Full => stored().collect(),
        RestoreKind::BackupPriority => {
            let mut result: Partitions = present().collect();
            for (id, mut partition) in stored() {
                if let Some(other) = result.get(&id).filter(|other| other.uuid == partition.uuid) {
                    add_missing_profiles(&mut partition, other);
                }
                result.retain(|_, other| !conflicts(other, &partition));
                result.insert(id, partition);
            }
            result
        }
        RestoreKind::CurrentPriority => {
            let mut result: Partitions = present().collect();
            let held: HashSet<UniqueName> = result.values().flat_map(addresses).collect();
            for (id, partition) in stored() {
                if let Some(other) = result.get_mut(&id).filter(|other| other.uuid == partition.uuid) {
                    add_missing_profiles(other, &partition);
                } else if !result.values().any(|other| conflicts(other, &partition))
                    && !addresses(&partition).any(|address| held.contains(&address))
                {
                    result.insert(id, partition);
                }
            }
            result
        }
    }
}

fn add_missing_profiles(partition: &mut Partition, other: &Partition) {
    for profile in &other.profiles {
        if partition.profile(&profile.name).is_none() {
            partition.profiles.push(profile.clone());
        }
    }
}

/// Whether two partitions cannot both be on one system.
fn conflicts(one: &Partition, other: &Partition) -> bool {
    one.id == other.id || one.uuid == other.uuid || one.name == other.name
}

fn contents(partition: &Partition) -> impl Iterator<Item = &Configuration> {
    partition.profiles.iter().map(|profile| &profile.configuration).chain(&partition.current)
}

fn addresses(partition: &Partition) -> impl Iterator<Item = UniqueName> + '_ {
    contents(partition).flat_map(|content| {
        let macs = validity::mac_addresses(content).map(UniqueName::MacAddress);
        macs.chain(validity::port_names(content).map(UniqueName::PortName))
    })
}

/// What a partition is after the restore: what runs goes on, what is off starts from a profile again.
fn settle(partition: &mut Partition, before: Option<&PartitionEntry>) {
    match before {
        Some(entry) if !entry.runtime.state.is_off() => {
            let running = &*entry.partition;
            partition.current.clone_from(&running.current);
            partition.current_profile.clone_from(&running.current_profile);
            partition.wanted_on = running.wanted_on;
            partition.environment = running.environment;
        }
        _ => {
            partition.current = None;
            partition.wanted_on = false;
        }
    }
    if let Some(entry) = before {
        // What happened to the boot disk did happen.
        partition.installation.clone_from(&entry.partition.installation);
        partition.activations = entry.partition.activations;
        partition.revision = entry.partition.revision;
    }
    if partition.profile(&partition.default_profile).is_none()
        && let Some(profile) = partition.profiles.first()
    {
        partition.default_profile.clone_from(&profile.name);
    }
}

fn check_addresses(result: &Partitions) -> Result<(), Refusal> {
    let mut holders: HashMap<UniqueName, PartitionId> = HashMap::new();
    for partition in result.values() {
        for address in addresses(partition) {
            if let Some(holder) = holders.insert(address.clone(), partition.id)
                && holder != partition.id
            {
                return Err(address.used());
            }
        }
    }
    Ok(())
}

/// The site's hardware may have changed since the backup.
fn check_content(partition: &Partition, system: &ManagedSystem) -> Result<(), Refusal> {
    let about = |refusal: Refusal| refusal.about("restoring", "partition", &partition.name);
    if partition.profiles.is_empty() {
        return Err(about(Refusal::new(MessageKey::ProfileDataInvalid).with("it has no profile")));
    }
    for profile in &partition.profiles {
        let content = &profile.configuration;
        validity::check(content, system).map_err(about)?;
        if let Some(slot) =
            content.physical_slots.iter().find(|slot| system.hardware.slot(slot.drc_index).is_none())
        {
            let index = format!("{:08X}", slot.drc_index);
            return Err(about(Refusal::new(MessageKey::PhysicalSlotNotFound).with(index)));
        }
        let switch = content
            .ethernet_adapters
            .iter()
            .map(|adapter| &adapter.virtual_switch)
            .find(|name| !system.has_virtual_switch(name));
        if let Some(name) = switch {
            return Err(about(Refusal::new(MessageKey::VirtualSwitchNotFound).with(name)));
        }
    }
    Ok(())
}

fn merged_system_profiles(
    kind: RestoreKind,
    backup: &ProfileData,
    system: &ManagedSystem,
) -> Vec<SystemProfile> {
    let (stored, present) = (&backup.system_profiles, &system.settings.system_profiles);
    let (first, second) = match kind {
        RestoreKind::Initialize => return Vec::new(),
        RestoreKind::Full => return stored.clone(),
        RestoreKind::BackupPriority => (stored, present),
        RestoreKind::CurrentPriority => (present, stored),
    };
    let mut result = first.clone();
    let missing = second.iter().filter(|one| !first.iter().any(|other| other.name == one.name));
    result.extend(missing.cloned());
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::{PartitionState, Profile, Runtime};
    use crate::record::parse_record;
    use crate::rules::creation::{Creation, create_partition};
    use crate::rules::tests_support::{TwoServers, system};
    use crate::system::SystemProfileMember;

    fn partition(id: u16, uuid: u128, name: &str, profiles: &[(&str, u64)]) -> Partition {
        let record = parse_record(&format!("name={name},lpar_id={id},profile_name=x,lpar_env=aixlinux,min_mem=256,desired_mem=512,max_mem=4096,proc_mode=shared,sharing_mode=cap,min_procs=1,desired_procs=1,max_procs=4,min_proc_units=0.1,desired_proc_units=0.2,max_proc_units=2.0")).expect("record");
        let (system, uuid) = (system(), PartitionUuid::from_random(uuid));
        let creation = Creation { system: &system, lookup: &TwoServers, uuid, installation: None };
        let (mut partition, _) = create_partition(&record, &creation).expect("created");
        let content = partition.profiles[0].configuration.clone();
        let profile = |(name, memory): &(&str, u64)| {
            let configuration = Configuration { desired_memory: *memory, ..content.clone() };
            Arc::new(Profile { name: (*name).to_owned(), configuration })
        };
        partition.profiles = profiles.iter().map(profile).collect();
        partition.default_profile = profiles[0].0.to_owned();
        partition.current = Some(content);
        partition
    }

    fn entry(partition: Partition, state: PartitionState) -> PartitionEntry {
        let runtime = Arc::new(Runtime { state, ..Runtime::default() });
        PartitionEntry { partition: Arc::new(partition), runtime }
    }

    fn data(partitions: Vec<Partition>) -> ProfileData {
        ProfileData {
            identity: system().hardware.identity.clone(),
            partitions: partitions.into_iter().map(Arc::new).collect(),
            system_profiles: vec![SystemProfile {
                name: "night".to_owned(),
                members: vec![SystemProfileMember { partition: PartitionId(3), profile: "a".to_owned() }],
            }],
        }
    }

    /// Afterwards, as `id name profile:memory...`, with `*` for what has a current configuration.
    fn outcome(kind: RestoreKind, backup: &ProfileData, present: &[PartitionEntry]) -> Vec<String> {
        let restoration = restore(kind, backup, present, &system()).expect("restored");
        let mut after: Partitions =
            present.iter().map(|entry| (entry.partition.id, (*entry.partition).clone())).collect();
        for (id, _) in &restoration.removed {
            after.remove(id);
        }
        for partition in restoration.put {
            after.insert(partition.id, partition);
        }
        let show = |partition: &Partition| {
            let profiles: Vec<String> = partition
                .profiles
                .iter()
                .map(|one| format!("{}:{}", one.name, one.configuration.desired_memory))
                .collect();
            let current = if partition.current.is_some() { "*" } else { "" };
            format!("{} {}{current} {}", partition.id, partition.name, profiles.join(" "))
        };
        after.values().map(show).collect()
    }

    #[test]
    fn each_type_merges_as_its_table_says() {
        use PartitionState::{NotActivated, Running};
        let backup = data(vec![
            partition(3, 3, "same", &[("a", 512), ("b", 512)]),
            partition(4, 4, "gone", &[("a", 512)]),
            partition(5, 5, "runs", &[("a", 512)]),
            partition(6, 6, "taken", &[("a", 512)]),
        ]);
        let present = [
            entry(partition(3, 3, "renamed", &[("a", 1024), ("c", 1024)]), NotActivated),
            entry(partition(5, 5, "runs", &[("a", 1024)]), Running),
            // Another partition has the number, and another the name, of one in the backup.
            entry(partition(6, 16, "other", &[("a", 1024)]), NotActivated),
            entry(partition(7, 7, "gone", &[("a", 1024)]), NotActivated),
        ];
        for (kind, expected) in [
            (RestoreKind::Full, vec!["3 same a:512 b:512", "4 gone a:512", "5 runs* a:512", "6 taken a:512"]),
            (
                RestoreKind::BackupPriority,
                vec!["3 same a:512 b:512 c:1024", "4 gone a:512", "5 runs* a:512", "6 taken a:512"],
            ),
            (
                RestoreKind::CurrentPriority,
                vec!["3 renamed a:1024 c:1024 b:512", "5 runs* a:1024", "6 other a:1024", "7 gone a:1024"],
            ),
        ] {
            assert_eq!(outcome(kind, &backup, &present), expected, "{kind:?}");
        }
        let off = [present[0].clone(), present[2].clone()];
        assert!(outcome(RestoreKind::Initialize, &backup, &off).is_empty());
        assert_eq!(
            outcome(RestoreKind::CurrentPriority, &backup, &[]),
            ["3 same a:512 b:512", "4 gone a:512", "5 runs a:512", "6 taken a:512"]
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let backup = data(vec![partition(3, 3, "lpar3", &[("a", 512)])]);
        let on = [entry(partition(9, 9, "busy", &[("a", 512)]), PartitionState::Running)];
        let refused = |kind, backup: &ProfileData, present: &[PartitionEntry]| {
            restore(kind, backup, present, &system()).expect_err("refused").to_string()
        };
        for kind in [RestoreKind::Full, RestoreKind::Initialize] {
            let text = refused(kind, &backup, &on);
            assert!(
                text.starts_with("An error occurred while removing the partition named busy.\nHSCL05EA"),
                "{text}"
            );
        }
        restore(RestoreKind::BackupPriority, &backup, &on, &system()).expect("nothing goes");
        let mut other = backup.clone();
        other.identity.serial_number = "9999999".to_owned();
        assert!(refused(RestoreKind::Full, &other, &[]).contains("it is of the managed system"));
        let mut odd = partition(3, 3, "lpar3", &[("a", 300)]);
        assert!(refused(RestoreKind::Full, &data(vec![odd.clone()]), &[]).contains("HSCL0550"));
        odd.profiles.clear();
        assert!(refused(RestoreKind::Full, &data(vec![odd]), &[]).contains("it has no profile"));
    }

    #[test]
    fn system_profiles_come_back_without_what_is_gone() {
        let backup = data(vec![partition(3, 3, "lpar3", &[("a", 512)])]);
        let after = restore(RestoreKind::Full, &backup, &[], &system()).expect("restored");
        assert_eq!(after.system_profiles, backup.system_profiles);
        let without = ProfileData { partitions: Vec::new(), ..backup };
        let after = restore(RestoreKind::Full, &without, &[], &system()).expect("restored");
        assert!(after.system_profiles.is_empty());
    }
}
