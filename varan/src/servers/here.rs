//! A server's authority in this process.

use std::sync::{Arc, Weak};

use varan_block_engine::Fence;
use varan_contract::network::ServerNetworkEvents;
use varan_contract::storage::StorageArray;
use varan_environment::Environment;
use varan_vios::{AdapterChange, ShutdownRequests, ViosAuthority, ViosSettings, ViosSpecification};

use super::ServerAuthority;
use crate::network::ServerPlace;
use crate::world::Network;

/// Opens the authority of a server in this process.
///
/// # Errors
/// A text for the person.
pub fn open_here(
    settings: ViosSettings,
    environment: &Arc<dyn Environment>,
    network: &Arc<dyn Network>,
    ethernet: &Arc<ServerPlace>,
) -> Result<Arc<dyn ServerAuthority>, String> {
    let array: Arc<dyn StorageArray> = network.clone();
    // Whoever passes a request to stop on has done so before the server hears of it.
    let shutdown = Arc::new(PassedOn);
    let opened =
        ViosAuthority::open(&settings, environment.clone(), array, Fence::new(), shutdown, ethernet.clone());
    let authority = Arc::new(opened.map_err(|error| error.to_string())?);
    let events: Weak<dyn ServerNetworkEvents> = Arc::downgrade(&(authority.clone() as _));
    ethernet.attach_events(events);
    Ok(authority)
}

struct PassedOn;

impl ShutdownRequests for PassedOn {
    fn shutdown_requested(&self, _: bool, _: bool) {}
}

impl ServerAuthority for ViosAuthority {
    fn boot(&self, specification: ViosSpecification) -> Result<(), String> {
        self.boot(specification)
    }

    fn stop(&self, orderly: bool) {
        self.stop(orderly);
    }

    fn adapter_change(&self, change: AdapterChange) -> Result<(), Vec<String>> {
        self.adapter_change(change)
    }
}
