//! Logins of virtual Fibre Channel ports on request.

use varan_contract::system::Selector;
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::partition::{PartitionEntry, PartitionState};
use varan_model::refusal::Refusal;
use varan_model::rules::port_login::{
    PortState, ServerLogin, check_server, client_adapters, server_id, state,
};

use super::Decision;
use crate::world::{Change, Snapshot, World};

fn configuration<'e>(
    entry: &'e PartitionEntry,
    profile: Option<&str>,
) -> Result<Option<&'e Configuration>, Refusal> {
    let Some(name) = profile else { return Ok(entry.partition.current.as_ref()) };
    match entry.partition.profile(name) {
        Some(profile) => Ok(Some(&profile.configuration)),
        None => Err(Refusal::new(MessageKey::ProfileNotFound).with(name)),
    }
}

fn server<'s>(
    snapshot: &'s Snapshot,
    adapter: &varan_model::adapters::VirtualFibreChannelAdapter,
) -> Option<&'s PartitionEntry> {
    server_id(adapter).and_then(|id| snapshot.partitions.get(id.0))
}

pub(super) fn change(
    world: &World,
    selector: &Selector,
    profile: Option<&str>,
    login: bool,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    super::power::check_operating(world)?;
    if !world.system().hardware.capable("virtual_fc_capable") {
        return Err(Refusal::new(MessageKey::VirtualFibreChannelUnsupported));
    }
    if !matches!(entry.runtime.state, PartitionState::NotActivated | PartitionState::Running) {
        return Err(Refusal::new(MessageKey::StateNotAllowed));
    }
    let adapters = configuration(entry, profile)?.map(client_adapters).unwrap_or_default();
    if adapters.is_empty() {
        return Err(Refusal::new(MessageKey::PortLoginNoAdapter).with(&entry.partition.name));
    }
    let mut runtime = (*entry.runtime).clone();
    for (adapter, ports) in adapters {
        let server = server(&world.snapshot, adapter);
        check_server(entry.partition.id, adapter, server).map_err(|reason| {
            Refusal::new(MessageKey::PortLoginFailed).with(adapter.slot).with(reason.text())
        })?;
        let generation = server.map_or(0, |server| server.runtime.generation);
        for port_name in ports {
            runtime.server_logins.retain(|present| present.port_name != port_name);
            let now = state(entry, adapter, server, port_name);
            // What the partition itself uses stays under its control.
            if login && now != PortState::Client {
                runtime.server_logins.push(ServerLogin { port_name, server_generation: generation });
            }
        }
    }
    Ok(Decision::change(Change::PutRuntime(entry.partition.id, Box::new(runtime))))
}
