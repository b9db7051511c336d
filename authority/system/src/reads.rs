//! Reads: answered from the published snapshot, without the authority's thread and without the database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use varan_contract::network::HypervisorNetwork;
use varan_contract::system::{NetworkReport, PartitionFilter, SystemReply, SystemRequest};
use varan_model::attributes::profile::RemoteNames;
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::ids::PartitionId;
use varan_model::lock::LockEntry;
use varan_model::partition::{Partition, PartitionEntry, Profile};
use varan_model::profile_data::ProfileData;
use varan_model::refusal::Refusal;
use varan_model::rules::port_login::{self, PortLogin};
use varan_model::rules::sriov;
use varan_model::utilization::{PartitionUtilization, UtilizationReport};

use crate::world::Snapshot;

/// Answers a read. Adds the number of partitions that it looked at to `visited`.
///
/// # Errors
/// An unknown partition or profile.
pub fn read(
    snapshot: &Snapshot,
    request: &SystemRequest,
    visited: &AtomicU64,
) -> Result<SystemReply, Refusal> {
    match request {
        SystemRequest::ListPartitions(filter) => Ok(SystemReply::Partitions {
            system: snapshot.system.clone(),
            entries: select(snapshot, filter, visited)?,
        }),
        SystemRequest::ListAdapters(filter) => {
            let entries = select(snapshot, filter, visited)?;
            let contents = entries.iter().filter_map(|entry| entry.partition.current.as_ref());
            let names = Arc::new(remote_names(snapshot, contents));
            Ok(SystemReply::Adapters { system: snapshot.system.clone(), entries, names })
        }
        SystemRequest::ListNetwork(filter) => {
            let entries = select(snapshot, filter, visited)?;
            Ok(SystemReply::Network(Box::new(network(snapshot, entries))))
        }
        SystemRequest::ListProfiles { partitions, names, last_valid } => {
            let chosen = select(snapshot, partitions, visited)?;
            profiles(snapshot, chosen, names, *last_valid)
        }
        SystemRequest::ListLocks => Ok(SystemReply::Locks(locks(snapshot))),
        SystemRequest::ListErrors { after } => Ok(SystemReply::Errors {
            entries: snapshot.errors.after(*after).cloned().collect(),
            latest: snapshot.errors.latest(),
        }),
        SystemRequest::GetUtilization(ids) => {
            Ok(SystemReply::Utilization(Box::new(utilization(snapshot, ids.as_deref()))))
        }
        SystemRequest::ListPortLogins { partitions, profiles } => {
            let chosen = select(snapshot, partitions, visited)?;
            port_logins(snapshot, &chosen, profiles)
        }
        SystemRequest::ListSystemProfiles => {
            let profiles = snapshot.system.settings.system_profiles.clone();
            let members = profiles.iter().flat_map(|profile| &profile.members);
            let names = members.filter_map(|member| {
                let entry = snapshot.partitions.get(member.partition.0)?;
                Some((member.partition, entry.partition.name.clone()))
            });
            let names = Arc::new(names.collect());
            Ok(SystemReply::SystemProfiles { profiles, names })
        }
        SystemRequest::ReadProfileData => {
            let entries = select(snapshot, &PartitionFilter::All, visited)?;
            Ok(SystemReply::ProfileData(Box::new(ProfileData {
                identity: snapshot.system.hardware.identity.clone(),
                partitions: entries.into_iter().map(|entry| entry.partition).collect(),
                system_profiles: snapshot.system.settings.system_profiles.clone(),
            })))
        }
        _ => Ok(SystemReply::System(snapshot.system.clone())),
    }
}

/// What the snapshot says of the network; states and counters are the hypervisor's.
fn network(snapshot: &Snapshot, entries: Vec<PartitionEntry>) -> NetworkReport {
    let contents = || entries.iter().filter_map(|entry| entry.partition.current.as_ref());
    let servers: BTreeSet<PartitionId> =
        contents().flat_map(Configuration::backing_devices).filter_map(|(_, device)| device.server).collect();
    let state = |id: PartitionId| Some((id, snapshot.partitions.get(id.0)?.runtime.state));
    NetworkReport {
        system: snapshot.system.clone(),
        names: Arc::new(remote_names(snapshot, contents())),
        servers: servers.into_iter().filter_map(state).collect(),
        entries,
        physical_ports: Vec::new(),
        logical_ports: Vec::new(),
        virtual_nics: Vec::new(),
    }
}

/// Asks the hypervisor for the states and counters that a report lacks.
pub(crate) fn complete_network(report: &mut NetworkReport, hypervisor: &dyn HypervisorNetwork) {
    for (adapter, settings) in report.system.sriov_adapters() {
        if settings.adapter.is_some() {
            let state = |location: &String| Some((location.clone(), hypervisor.physical_port(location)?));
            let ports = adapter.ports.iter().filter_map(|port| state(&port.location));
            report.physical_ports.extend(ports);
        }
    }
    for entry in &report.entries {
        let Some(content) = &entry.partition.current else { continue };
        let counters = |port| Some((port, hypervisor.logical_port(port)?));
        report.logical_ports.extend(sriov::logical_port_ids(content).filter_map(counters));
        if entry.runtime.state.is_off() {
            continue;
        }
        for nic in &content.virtual_nics {
            let states = hypervisor.backing_devices(entry.partition.uuid, nic.slot);
            report.virtual_nics.push((entry.partition.id, nic.slot, states));
        }
    }
}

/// Locks: the system's own first, then those of partitions in the order of their numbers.
fn locks(snapshot: &Snapshot) -> Vec<LockEntry> {
    let system = snapshot.updating.iter().map(|lock| LockEntry { partition: None, lock: lock.clone() });
    let of_partition = |(id, ()): (u16, &())| {
        let entry = snapshot.partitions.get(id)?;
        let lock = entry.runtime.lock.clone()?;
        Some(LockEntry { partition: Some((entry.partition.id, entry.partition.name.clone())), lock })
    };
    system.chain(snapshot.locked.iter().filter_map(of_partition)).collect()
}

/// What the snapshot says of utilization; counters and time are the engine's and the clock's.
fn utilization(snapshot: &Snapshot, ids: Option<&[PartitionId]>) -> UtilizationReport {
    let shows = snapshot.system.state.shows_partitions();
    let of = |entry: &PartitionEntry| PartitionUtilization::of(entry, shows);
    let partitions = match ids {
        None => snapshot.partitions.iter().map(|(_, entry)| of(entry)).collect(),
        Some(ids) => ids.iter().filter_map(|id| snapshot.partitions.get(id.0)).map(of).collect(),
    };
    UtilizationReport { system: snapshot.system.clone(), time_cycles: 0, partitions }
}

fn select(
    snapshot: &Snapshot,
    filter: &PartitionFilter,
    visited: &AtomicU64,
) -> Result<Vec<PartitionEntry>, Refusal> {
    let mut looked_at = 0;
    let chosen = choose(snapshot, filter, &mut looked_at);
    visited.fetch_add(looked_at, Ordering::Relaxed);
    chosen
}

fn choose(
    snapshot: &Snapshot,
    filter: &PartitionFilter,
    looked_at: &mut u64,
) -> Result<Vec<PartitionEntry>, Refusal> {
    match filter {
        PartitionFilter::All => {
            let entries = snapshot.partitions.iter().inspect(|_| *looked_at += 1);
            Ok(entries.map(|(_, entry)| entry.clone()).collect())
        }
        PartitionFilter::Only(selectors) => {
            let mut entries: Vec<PartitionEntry> = Vec::with_capacity(selectors.len());
            for selector in selectors {
                *looked_at += 1;
                let entry = snapshot.find(selector)?;
                if !entries.iter().any(|present| present.partition.id == entry.partition.id) {
                    entries.push(entry.clone());
                }
            }
            Ok(entries)
        }
    }
}

fn profiles(
    snapshot: &Snapshot,
    chosen: Vec<PartitionEntry>,
    names: &[String],
    last_valid: bool,
) -> Result<SystemReply, Refusal> {
    let mut rows: Vec<(Arc<Partition>, Arc<Profile>)> = Vec::new();
    for entry in chosen {
        if last_valid {
            let current = entry.partition.current.clone();
            let profile = current
                .map(|configuration| Profile { name: "last*valid*configuration".to_owned(), configuration });
            rows.extend(profile.map(|profile| (entry.partition.clone(), Arc::new(profile))));
            continue;
        }
        let wanted = |profile: &&Arc<Profile>| names.is_empty() || names.contains(&profile.name);
        rows.extend(
            entry
                .partition
                .profiles
                .iter()
                .filter(wanted)
                .map(|profile| (entry.partition.clone(), profile.clone())),
        );
    }
    let missing = names.iter().find(|name| !rows.iter().any(|(_, profile)| profile.name == **name));
    if let Some(missing) = missing.filter(|_| !last_valid) {
        return Err(Refusal::new(MessageKey::ProfileNotFound).with(missing));
    }
    let remote = remote_names(snapshot, rows.iter().map(|(_, profile)| &profile.configuration));
    Ok(SystemReply::Profiles { system: snapshot.system.clone(), profiles: rows, names: Arc::new(remote) })
}

/// Ports of client adapters: of profiles of those names, else of the current configurations.
fn port_logins(
    snapshot: &Snapshot,
    chosen: &[PartitionEntry],
    profiles: &[String],
) -> Result<SystemReply, Refusal> {
    let mut rows = Vec::new();
    for entry in chosen {
        let named = entry.partition.profiles.iter().filter(|profile| profiles.contains(&profile.name));
        let mut contents: Vec<(Option<&String>, &Configuration)> =
            named.map(|profile| (Some(&profile.name), &profile.configuration)).collect();
        if profiles.is_empty() {
            contents.extend(entry.partition.current.as_ref().map(|content| (None, content)));
        }
        for (profile, content) in contents {
            for (adapter, ports) in port_login::client_adapters(content) {
                let server = port_login::server_id(adapter).and_then(|id| snapshot.partitions.get(id.0));
                rows.extend(ports.into_iter().map(|port_name| PortLogin {
                    partition_name: entry.partition.name.clone(),
                    partition_id: entry.partition.id,
                    profile: profile.cloned(),
                    slot: adapter.slot,
                    port_name,
                    state: port_login::state(entry, adapter, server, port_name),
                }));
            }
        }
    }
    let has = |name: &&String| {
        chosen.iter().any(|entry| entry.partition.profiles.iter().any(|profile| profile.name == **name))
    };
    match profiles.iter().find(|name| !has(name)) {
        Some(missing) => Err(Refusal::new(MessageKey::ProfileNotFound).with(missing)),
        None => Ok(SystemReply::PortLogins(rows)),
    }
}

/// Names of the partitions that configurations refer to; those that do not exist are left out.
fn remote_names<'a>(snapshot: &Snapshot, contents: impl Iterator<Item = &'a Configuration>) -> RemoteNames {
    let mut names = RemoteNames::new();
    for id in contents.flat_map(Configuration::remote_partitions) {
        if let Some(entry) = snapshot.partitions.get(id.0) {
            names.entry(id).or_insert_with(|| entry.partition.name.clone());
        }
    }
    names
}
