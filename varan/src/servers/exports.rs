//! Virtual target devices as block devices for programs outside: NBD on a socket of each server, an export for each device,
//! named as the device is (`lsmap`'s `VTD`).
//!
//! What is written there is written by the server itself, beside its client: who uses a target that a client has mounted
//! shares the disk, as on a storage network. The exports of a server end with it; a client that comes back finds what was
//! acknowledged.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use varan_block_engine::DeviceExport;
use varan_contract::block::{BlockDevice, BufferPool, Epoch, Nexus, PathGeneration};
use varan_contract::storage::{StorageFabric, StorageServer};
use varan_contract::vios::{DeviceSelector, MappingQuery, Select, ViosAnswer, ViosQuery};
use varan_model::ids::{PartitionUuid, VirtualSlot};
use varan_model::vios::ScsiMapping;
use varan_nbd::{ExportInformation, Exports, Limits, OpenError, OpenErrorKind, Server};

use super::{ServerDirectory, VirtualServers};

/// The exports of one server.
pub(super) struct TargetExports {
    servers: Weak<VirtualServers>,
    partition: PartitionUuid,
    pool: Arc<BufferPool>,
    /// Each opening is a path of its own time.
    generation: AtomicU64,
}

/// Serves the targets of a server on a socket, until the returned value is dropped.
///
/// # Errors
/// When the socket cannot be made.
pub(super) fn serve(
    servers: &Arc<VirtualServers>,
    partition: PartitionUuid,
    socket: &Path,
    first_generation: u64,
) -> std::io::Result<Server> {
    let exports = TargetExports {
        servers: Arc::downgrade(servers),
        partition,
        pool: DeviceExport::<Arc<dyn BlockDevice>>::pool(),
        generation: AtomicU64::new(first_generation),
    };
    Server::start(varan_nbd::listen(socket)?, Arc::new(exports), Limits::default())
}

fn unknown() -> OpenError {
    OpenError::new(OpenErrorKind::Unknown, "no such virtual target device")
}

impl TargetExports {
    fn mappings(&self, adapters: Select) -> Option<Vec<ScsiMapping>> {
        let link = self.servers.upgrade()?.link(self.partition)?;
        let query = MappingQuery { adapters, client: None, kinds: Vec::new() };
        match link.ask(ViosQuery::ScsiMappings(query)) {
            Ok(ViosAnswer::ScsiMappings(mappings)) => Some(mappings),
            _ => None,
        }
    }

    /// Server adapter's slot and number of a target.
    fn find(&self, name: &str) -> Option<(VirtualSlot, u64)> {
        let link = self.servers.upgrade()?.link(self.partition)?;
        let one = |name: String| {
            let query =
                ViosQuery::Devices(varan_contract::vios::DeviceQuery::One(DeviceSelector::Name(name)));
            match link.ask(query) {
                Ok(ViosAnswer::Devices(devices)) => devices.into_iter().next(),
                _ => None,
            }
        };
        let target = one(name.to_owned()).filter(|device| device.kind.is_target())?;
        let adapter = one(target.parent.as_ref()?.to_string())?;
        let mapping = self.mappings(Select::One(DeviceSelector::Name(adapter.name.to_string())))?;
        let mut targets = mapping.first()?.targets.iter();
        let lun = targets.find(|target| target.name.as_str() == name)?.lun;
        Some((adapter.virtual_slot()?, lun))
    }

    fn device(&self, name: &str) -> Result<Arc<dyn BlockDevice>, OpenError> {
        let (slot, lun) = self.find(name).ok_or_else(unknown)?;
        let servers = self.servers.upgrade().ok_or_else(unknown)?;
        let server = servers.serving(self.partition).ok_or_else(unknown)?;
        let nexus = Nexus {
            client: self.partition,
            epoch: Epoch(0),
            path: format!("nbd.c{slot}").parse().map_err(|_| unknown())?,
            generation: PathGeneration(self.generation.fetch_add(1, Ordering::Relaxed)),
        };
        server
            .open_unit(slot, lun, &nexus)
            .map_err(|error| OpenError { kind: OpenErrorKind::Denied, message: error.to_string().into() })
    }
}

impl Exports for TargetExports {
    type Export = DeviceExport<Arc<dyn BlockDevice>>;

    fn names(&self) -> Vec<String> {
        let mappings = self.mappings(Select::All).unwrap_or_default();
        let targets = mappings.iter().flat_map(|mapping| &mapping.targets);
        targets.map(|target| target.name.to_string()).collect()
    }

    fn describe(&self, name: &str) -> Result<ExportInformation, OpenError> {
        let device = DeviceExport::new(self.device(name)?, self.pool.clone());
        Ok(varan_nbd::Export::information(&device))
    }

    fn open(&self, name: &str) -> Result<Self::Export, OpenError> {
        Ok(DeviceExport::new(self.device(name)?, self.pool.clone()))
    }
}

impl VirtualServers {
    /// A server as its clients see it, while it serves.
    fn serving(&self, partition: PartitionUuid) -> Option<Arc<dyn StorageServer>> {
        let (number, _) = (*super::lock(&self.server(partition)?.serving))?;
        StorageFabric::server(self, number)
    }
}
