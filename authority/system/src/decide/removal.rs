//! Removing a partition, and what Virtual I/O Servers have for it.
//!
//! ```text
//! partition off ──> its server adapters, at each server:  off:      out of the current configuration
//!                                                         running:  the same, the guest unconfigures the device
//!                                                         without RMC, or in between: refused, nothing is changed
//!               ──> record all of it together, done
//! ```

use std::collections::BTreeSet;

use varan_contract::engine::AdapterAddress;
use varan_contract::system::Selector;
use varan_model::adapters::{AdapterSide, Element, Remote};
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, PartitionEnvironment};
use varan_model::ids::{PartitionId, VirtualSlot};
use varan_model::partition::{Partition, PartitionEntry};
use varan_model::refusal::Refusal;

use super::adapter::{Doing, Way, way, with_adapters};
use super::course::server_effects;
use super::definition::{check_reachable, settings_change};
use super::system_profile::without_lost_members;
use super::{Decision, Effect};
use crate::world::{Change, World};
use varan_model::rules::PartitionLookup;

pub(super) fn remove_partition(
    world: &World,
    selector: &Selector,
    server_adapters: bool,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    let about = |refusal: Refusal| refusal.about("removing", "partition", &entry.partition.name);
    check_reachable(world).map_err(about)?;
    if !entry.runtime.state.is_off() {
        return Err(about(Refusal::new(MessageKey::NotActivatedRequired)));
    }
    let mut decision = Decision::default();
    if server_adapters {
        for server in servers(&entry.partition) {
            // A server that is not there any more has nothing.
            let Ok(server) = world.snapshot.find(&Selector::Id(server)) else { continue };
            withdraw(server, entry.partition.id, &mut decision).map_err(about)?;
        }
    }
    if let Some((_, client, _)) = world.hosted(entry.partition.id).next() {
        let client = world.name_of(client).unwrap_or_default();
        let refusal = Refusal::new(MessageKey::VnicServerHosts).with(&entry.partition.name);
        return Err(about(refusal.with(client)));
    }
    decision.effects.extend(server_effects(world, entry.partition.current.as_ref(), None));
    decision.changes.push(Change::RemovePartition(entry.partition.id));
    let mut settings = world.system().settings.clone();
    without_lost_members(world, entry.partition.id, None, &mut settings);
    decision.changes.extend(settings_change(world, settings));
    decision.effects.push(Effect::Forget(entry.partition.uuid));
    Ok(decision)
}

/// The partitions that the client adapters of a partition name.
fn servers(partition: &Partition) -> BTreeSet<PartitionId> {
    fn remotes<E: Element>(adapters: &[E]) -> impl Iterator<Item = PartitionId> {
        adapters.iter().filter_map(|adapter| match adapter.remote() {
            Some(Remote::Partition { id, .. }) => *id,
            _ => None,
        })
    }
    let profiles = partition.profiles.iter().map(|profile| &profile.configuration);
    let contents = profiles.chain(&partition.current);
    contents
        .flat_map(|content| remotes(&content.scsi_adapters).chain(remotes(&content.fibre_channel_adapters)))
        .filter(|id| *id != partition.id)
        .collect()
}

/// The virtual slots of a server in which adapters serve that client alone.
fn slots_for(content: &Configuration, client: PartitionId) -> Vec<VirtualSlot> {
    let is_client =
        |remote: &Remote| matches!(remote, Remote::Partition { id: Some(id), .. } if *id == client);
    let scsi = content.scsi_adapters.iter();
    let scsi = scsi.filter(|one| one.side == AdapterSide::Server && is_client(&one.remote));
    let fibre_channel = content.fibre_channel_adapters.iter();
    let fibre_channel = fibre_channel.filter(|one| one.side == AdapterSide::Server && is_client(&one.remote));
    scsi.map(|one| one.slot).chain(fibre_channel.map(|one| one.slot)).collect()
}

fn withdraw(server: &PartitionEntry, client: PartitionId, decision: &mut Decision) -> Result<(), Refusal> {
    let Some(content) = &server.partition.current else { return Ok(()) };
    let slots = slots_for(content, client);
    if slots.is_empty() || server.partition.environment != PartitionEnvironment::VirtualIoServer {
        return Ok(());
    }
    let way = way(server, true, Doing::Removing, false)?;
    let mut content = content.clone();
    content.scsi_adapters.retain(|adapter| !slots.contains(&adapter.slot));
    content.fibre_channel_adapters.retain(|adapter| !slots.contains(&adapter.slot));
    decision.changes.push(Change::PutPartition(Box::new(with_adapters(server, content))));
    if way == Way::Guest {
        let partition = server.partition.uuid;
        decision.effects.extend(
            slots
                .into_iter()
                .map(|slot| Effect::WithdrawAdapter { partition, address: AdapterAddress::Virtual(slot) }),
        );
    }
    Ok(())
}
