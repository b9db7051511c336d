//! A server's authority in this process.

use std::sync::Arc;

use varan_block_engine::Fence;
use varan_contract::block::{BlockDevice, Nexus, PathGeneration, Udid};
use varan_contract::storage::{
    FabricUnit, ServedUnit, StorageArray, StorageClient, StorageError, StorageServer,
};
use varan_contract::vios::{RequestId, ViosAnswer, ViosCallError, ViosChange, ViosDone, ViosLink, ViosQuery};
use varan_environment::Environment;
use varan_model::ids::{PartitionUuid, VirtualSlot, WorldWidePortName};
use varan_vios::{AdapterChange, ShutdownRequests, ViosAuthority, ViosSettings, ViosSpecification};

use super::ServerAuthority;
use crate::world::Network;

/// Opens the authority of a server in this process.
///
/// # Errors
/// A text for the person.
pub fn open_here(
    settings: ViosSettings,
    environment: &Arc<dyn Environment>,
    network: &Arc<dyn Network>,
) -> Result<Arc<dyn ServerAuthority>, String> {
    let (array, fence): (Arc<dyn StorageArray>, _) = (network.clone(), Fence::new());
    // Whoever passes a request to stop on has done so before the server hears of it.
    let shutdown = Arc::new(PassedOn);
    let opened = ViosAuthority::open(&settings, environment.clone(), array, fence.clone(), shutdown);
    let authority = opened.map_err(|error| error.to_string())?;
    Ok(Arc::new(LocalServer { authority, fence, network: network.clone() }))
}

struct PassedOn;

impl ShutdownRequests for PassedOn {
    fn shutdown_requested(&self, _: bool, _: bool) {}
}

/// A server with the rules for what is its own: disks inside the machine, logical volumes, files. The storage network has
/// rules of its own.
struct LocalServer {
    authority: ViosAuthority,
    fence: Arc<Fence>,
    network: Arc<dyn Network>,
}

impl ServerAuthority for LocalServer {
    fn boot(&self, specification: ViosSpecification) -> Result<(), String> {
        self.authority.boot(specification)
    }

    fn stop(&self, orderly: bool) {
        self.authority.stop(orderly);
    }

    fn adapter_change(&self, change: AdapterChange) -> Result<(), Vec<String>> {
        self.authority.adapter_change(change)
    }
}

impl ViosLink for LocalServer {
    fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, ViosCallError> {
        self.authority.ask(query)
    }

    fn change(&self, id: RequestId, change: ViosChange) -> Result<ViosDone, ViosCallError> {
        self.authority.change(id, change)
    }
}

impl StorageServer for LocalServer {
    fn connect_scsi(&self, server: VirtualSlot, client: &StorageClient) -> Result<(), StorageError> {
        self.authority.connect_scsi(server, client)
    }

    fn served_units(&self, server: VirtualSlot) -> Result<Vec<ServedUnit>, StorageError> {
        self.authority.served_units(server)
    }

    fn open_unit(
        &self,
        server: VirtualSlot,
        lun: u64,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        // What the lease store says is in force from here on, whatever the client believes.
        if let Some(epoch) = self.network.epoch(nexus.client)? {
            self.fence.set_epoch(nexus.client, epoch).wait();
        }
        self.authority.open_unit(server, lun, nexus)
    }

    fn connect_fibre_channel(
        &self,
        server: VirtualSlot,
        client: &StorageClient,
        names: &[WorldWidePortName],
    ) -> Result<(), StorageError> {
        self.authority.connect_fibre_channel(server, client, names)
    }

    fn fabric_units(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
    ) -> Result<Vec<FabricUnit>, StorageError> {
        self.authority.fabric_units(server, name)
    }

    fn open_fabric_unit(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        self.authority.open_fabric_unit(server, name, unit, nexus)
    }

    fn disconnect(&self, server: VirtualSlot, client: PartitionUuid) {
        self.authority.disconnect(server, client);
    }

    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError> {
        self.authority.revoke(unit, nexus, minimum)
    }
}
