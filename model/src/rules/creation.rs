//! Creating partitions and profiles from the data of `mksyscfg`.

use std::sync::Arc;

use super::edit::{only_set, value_invalid};
use super::partition::{self as partition_rules, PartitionEdit, check_name};
use super::profile::{self as profile_rules, EditContext, check_repeats};
use super::unique::UniqueName;
use super::{PartitionLookup, addresses, validity};
use crate::codes::MessageKey;
use crate::configuration::{Configuration, PartitionEnvironment};
use crate::ids::{PartitionId, PartitionUuid};
use crate::partition::{GuestEngine, GuestInstallation, Partition, PartitionSettings, Profile};
use crate::record::Assignment;
use crate::refusal::Refusal;
use crate::system::{ManagedSystem, SystemSettings};

/// What creation needs besides the record.
pub struct Creation<'a> {
    /// Managed system.
    pub system: &'a ManagedSystem,
    /// The other partitions.
    pub lookup: &'a dyn PartitionLookup,
    /// UUID of the new partition.
    pub uuid: PartitionUuid,
    /// What its boot disk is installed with, where the site says so.
    pub installation: Option<GuestInstallation>,
}

/// Attributes that only creation reads, or that name the resource.
const IDENTITY: [&str; 4] = ["name", "lpar_id", "lpar_env", "profile_name"];

/// Makes a partition with its first profile. Returns it with the system settings whose counters moved.
///
/// # Errors
/// Whatever is wrong with the record; nothing is changed then.
pub fn create_partition(
    record: &[Assignment],
    creation: &Creation<'_>,
) -> Result<(Partition, SystemSettings), Refusal> {
    check_repeats(record)?;
    let name = text(record, "name").unwrap_or_default();
    let refuse = |refusal: Refusal| refusal.about("creating", "partition", name);
    create_unnamed(record, creation, name).map_err(refuse)
}

fn create_unnamed(
    record: &[Assignment],
    creation: &Creation<'_>,
    name: &str,
) -> Result<(Partition, SystemSettings), Refusal> {
    check_known(record)?;
    check_missing(record)?;
    check_name(name)?;
    if creation.lookup.id_of(name).is_some() {
        return Err(Refusal::new(MessageKey::PartitionNameUsed).with(name));
    }
    let environment = environment(record, creation.system)?;
    let id = identity(record, creation)?;
    let profile_name = text(record, "profile_name").unwrap_or_default();
    check_name(profile_name)?;
    let mut settings = creation.system.settings.clone();
    let content = build_profile(record, creation.uuid, creation.system, creation.lookup, &mut settings)?;
    let mut partition = Partition {
        id,
        uuid: creation.uuid,
        name: name.to_owned(),
        environment,
        revision: 1,
        default_profile: profile_name.to_owned(),
        current_profile: String::new(),
        current: None,
        profiles: vec![Arc::new(Profile { name: profile_name.to_owned(), configuration: content.clone() })],
        settings: PartitionSettings::new(environment),
        installation: creation
            .installation
            .clone()
            .unwrap_or_else(|| default_installation(environment, name)),
        activations: 0,
        wanted_on: false,
    };
    partition.settings.take_from_profile(&content);
    apply_settings(&mut partition, record, creation)?;
    check_partition(&partition, &content)?;
    Ok((partition, settings))
}

/// What a partition boots when the site says nothing: the kind's usual operating system.
#[must_use]
pub fn default_installation(environment: PartitionEnvironment, name: &str) -> GuestInstallation {
    let personality = match environment {
        PartitionEnvironment::AixLinux => "aix",
        PartitionEnvironment::VirtualIoServer => "vios",
        PartitionEnvironment::IbmI => "ibmi",
    };
    GuestInstallation {
        personality: personality.to_owned(),
        level: String::new(),
        hostname: name.to_owned(),
        address: None,
        engine: GuestEngine::default(),
    }
}

fn text<'a>(record: &'a [Assignment], name: &str) -> Option<&'a str> {
    record.iter().find(|assignment| assignment.name == name).map(|assignment| assignment.value.as_str())
}

fn check_known(record: &[Assignment]) -> Result<(), Refusal> {
    for assignment in record {
        let name = assignment.name.as_str();
        if !IDENTITY.contains(&name) && !partition_rules::settable(name) && !profile_rules::settable(name) {
            return Err(Refusal::new(MessageKey::AttributeInvalid).with(name));
        }
        only_set(assignment)?;
    }
    Ok(())
}

/// Names every required attribute that is missing, in one message.
fn check_missing(record: &[Assignment]) -> Result<(), Refusal> {
    let mut required = vec!["name", "profile_name", "lpar_env"];
    required.extend(missing_resources(record));
    let missing: Vec<&str> = required.into_iter().filter(|name| text(record, name).is_none()).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Refusal::new(MessageKey::AttributesMissing).with(missing.join(", ")))
    }
}

fn missing_resources(record: &[Assignment]) -> Vec<&'static str> {
    if text(record, "all_resources") == Some("1") {
        return Vec::new();
    }
    let mut required = vec!["min_mem", "desired_mem", "max_mem", "proc_mode"];
    if text(record, "proc_mode") == Some("shared") {
        required.extend(["min_proc_units", "desired_proc_units", "max_proc_units"]);
    }
    if text(record, "proc_mode").is_some() {
        required.extend(["min_procs", "desired_procs", "max_procs", "sharing_mode"]);
    }
    if text(record, "sharing_mode") == Some("uncap") {
        required.push("uncap_weight");
    }
    required
}

fn environment(record: &[Assignment], system: &ManagedSystem) -> Result<PartitionEnvironment, Refusal> {
    let assignment = record.iter().find(|assignment| assignment.name == "lpar_env");
    let assignment =
        assignment.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("lpar_env"))?;
    let environment = super::edit::word(assignment, PartitionEnvironment::ALL, PartitionEnvironment::word)?;
    let capable = match environment {
        PartitionEnvironment::AixLinux => true,
        PartitionEnvironment::VirtualIoServer => system.hardware.capable("virtual_io_server_capable"),
        PartitionEnvironment::IbmI => system.hardware.capable("os400_capable"),
    };
    if capable {
        Ok(environment)
    } else {
        Err(value_invalid(assignment, "the managed system does not support it"))
    }
}

fn identity(record: &[Assignment], creation: &Creation<'_>) -> Result<PartitionId, Refusal> {
    let most = creation.system.hardware.maximum_partitions;
    let exhausted = || Refusal::new(MessageKey::PartitionsExhausted).with(most);
    if creation.system.partition_count >= most {
        return Err(exhausted());
    }
    let Some(assignment) = record.iter().find(|assignment| assignment.name == "lpar_id") else {
        return creation.lookup.free_id().ok_or_else(exhausted);
    };
    let id: PartitionId = assignment.value.parse().map_err(|error| value_invalid(assignment, error))?;
    if id.0 > most {
        return Err(value_invalid(assignment, format_args!("the managed system supports {most} partitions")));
    }
    match creation.lookup.name_of(id) {
        Some(_) => Err(Refusal::new(MessageKey::PartitionIdUsed).with(id)),
        None => Ok(id),
    }
}

fn build_profile(
    record: &[Assignment],
    owner: PartitionUuid,
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
    settings: &mut SystemSettings,
) -> Result<Configuration, Refusal> {
    let context = EditContext { system, lookup };
    let of_profile = |assignment: &&Assignment| profile_rules::settable(&assignment.name);
    let assignments: Vec<Assignment> = record.iter().filter(of_profile).cloned().collect();
    let mut content = Configuration::default();
    profile_rules::apply_all(&mut content, &assignments, &context)?;
    complete_profile(&mut content, owner, system, lookup, settings)?;
    Ok(content)
}

/// Checks a profile's content and gives its adapters the port names that they lack.
///
/// # Errors
/// The first rule that the content breaks.
pub fn complete_profile(
    content: &mut Configuration,
    owner: PartitionUuid,
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
    settings: &mut SystemSettings,
) -> Result<(), Refusal> {
    validity::check(content, system)?;
    validity::check_addresses(content, owner, lookup)?;
    let stated: Vec<_> = validity::port_names(content).collect();
    let taken = |name| {
        lookup.port_name_holder(name).is_some()
            || stated.contains(&name)
            || system.settings.reserved_names.contains(&UniqueName::PortName(name))
    };
    addresses::generate_port_names(content, &system.hardware.identity, settings, &taken);
    Ok(())
}

fn apply_settings(
    partition: &mut Partition,
    record: &[Assignment],
    creation: &Creation<'_>,
) -> Result<(), Refusal> {
    let context = EditContext { system: creation.system, lookup: creation.lookup };
    let edit = PartitionEdit { context, creating: true, off: true };
    for assignment in record {
        // What both a profile and a partition have was taken over from the profile.
        if partition_rules::settable(&assignment.name) && !profile_rules::settable(&assignment.name) {
            partition_rules::apply(partition, assignment, &edit)?;
        }
    }
    Ok(())
}

/// Rules that tie a partition's kind and settings to a profile.
///
/// # Errors
/// [`MessageKey::RemoteRestartPhysicalIo`], [`MessageKey::SharedMemoryInvalid`].
pub fn check_partition(partition: &Partition, content: &Configuration) -> Result<(), Refusal> {
    super::shared_memory::check(content, partition.environment)?;
    super::ibm_i::check(content, partition.environment)?;
    super::sriov::check_environment(content, partition.environment)?;
    let restartable =
        partition.settings.remote_restart_capable || partition.settings.simplified_remote_restart_capable;
    if restartable && !content.physical_slots.is_empty() {
        return Err(Refusal::new(MessageKey::RemoteRestartPhysicalIo));
    }
    Ok(())
}

/// Makes a further profile of a partition (`mksyscfg -r prof -i`).
///
/// # Errors
/// Whatever is wrong with the record.
pub fn create_profile(
    record: &[Assignment],
    partition: &Partition,
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
) -> Result<(Profile, SystemSettings), Refusal> {
    check_repeats(record)?;
    let name = text(record, "name").unwrap_or_default();
    let build = || {
        for assignment in record {
            let known = matches!(assignment.name.as_str(), "name" | "lpar_name" | "lpar_id");
            if !known && !profile_rules::settable(&assignment.name) {
                return Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name));
            }
            only_set(assignment)?;
        }
        let mut missing: Vec<&str> = if name.is_empty() { vec!["name"] } else { Vec::new() };
        missing.extend(missing_resources(record).into_iter().filter(|one| text(record, one).is_none()));
        if !missing.is_empty() {
            return Err(Refusal::new(MessageKey::AttributesMissing).with(missing.join(", ")));
        }
        check_name(name)?;
        if partition.profile(name).is_some() {
            return Err(Refusal::new(MessageKey::ProfileNameUsed).with(name));
        }
        let mut settings = system.settings.clone();
        let configuration = build_profile(record, partition.uuid, system, lookup, &mut settings)?;
        check_partition(partition, &configuration)?;
        Ok((Profile { name: name.to_owned(), configuration }, settings))
    };
    build().map_err(|refusal: Refusal| refusal.about("creating", "partition profile", name))
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{TwoServers, system};
    use super::*;
    use crate::record::parse_record;

    const BASE: &str = "name=lpar1,profile_name=default_profile,lpar_env=aixlinux,min_mem=256,desired_mem=512,max_mem=1024,proc_mode=shared,sharing_mode=uncap,uncap_weight=128,min_procs=1,desired_procs=2,max_procs=4,min_proc_units=0.1,desired_proc_units=0.5,max_proc_units=2.0";

    fn create(text: &str) -> Result<Partition, String> {
        let system = system();
        let creation = Creation {
            system: &system,
            lookup: &TwoServers,
            uuid: PartitionUuid::from_random(1),
            installation: None,
        };
        let record = parse_record(text).map_err(|error| error.to_string())?;
        create_partition(&record, &creation)
            .map(|(partition, _)| partition)
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_partition_gets_the_next_number_and_a_profile() {
        let partition = create(BASE).expect("created");
        assert_eq!((partition.id.0, partition.default_profile.as_str()), (3, "default_profile"));
        assert!(partition.current.is_none());
        assert_eq!(partition.profiles[0].configuration.desired_memory, 512);
    }

    #[test]
    fn missing_attributes_are_named_together() {
        let error = create("name=a,profile_name=p,lpar_env=aixlinux,min_mem=256,desired_mem=256,max_mem=256,proc_mode=shared").expect_err("missing");
        assert!(error.contains("The missing attributes are min_proc_units, desired_proc_units, max_proc_units, min_procs, desired_procs, max_procs, sharing_mode."), "{error}");
    }

    #[test]
    fn what_is_wrong_is_refused_with_two_lines() {
        for (change, expected) in [
            (",name=b", "The repeated attribute is name"),
            (",lpar_id=1", "HSCL05DC"),
            (",lpar_id=0", "lpar_id is not valid"),
            (",lpar_id=201", "supports 200 partitions"),
            (",foo=1", "The invalid attribute is foo"),
            (",msp=1", "The invalid attribute is msp"),
            (",virtual_eth_adapters=2/0/1//0/0/ETHERNET0/00000000dead", "HSCL0564"),
            (
                ",\"virtual_fc_adapters=\"\"2/client/1//3/000000000000beef,0000000000000001/0\"\"\"",
                "HSCL0565",
            ),
            (",simplified_remote_restart_capable=1,io_slots=21020013/none/1", "HSCLA9F5"),
        ] {
            let error = create(&format!("{BASE}{change}")).expect_err(change);
            assert!(error.contains(expected), "{change}: {error}");
        }
        let error = create(&BASE.replace("name=lpar1", "name=vios1")).expect_err("used");
        assert!(
            error.starts_with("An error occurred while creating the partition named vios1.\nHSCL05DE"),
            "{error}"
        );
    }

    #[test]
    fn each_creation_consumes_a_pair() {
        let system = system();
        let text = format!("{BASE},virtual_fc_adapters=4/client/1//5//0");
        let record = parse_record(&text).expect("record");
        let creation = Creation {
            system: &system,
            lookup: &TwoServers,
            uuid: PartitionUuid::from_random(1),
            installation: None,
        };
        let (partition, settings) = create_partition(&record, &creation).expect("created");
        assert_eq!(settings.port_name_pairs_generated, 1);
        assert!(partition.profiles[0].configuration.fibre_channel_adapters[0].port_names.is_some());
    }
}
