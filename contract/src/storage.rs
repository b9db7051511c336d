//! The two sides of a Virtual I/O Server's storage: the arrays that it uses, and the clients that use it.
//!
//! ```text
//!   client partition        Virtual I/O Server              storage network
//!   vscsi0  ---- slot ----> vhost0 -> virtual target ----> StorageArray::open (as fcs0)
//!   fcs0    ---- slot ----> vfchost0 -> mapped port -----> StorageArray::open (as the client's own port name)
//! ```
//!
//! Both are synchronous and may take as long as an array or a server that hangs; callers ask on threads of their own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use varan_model::ids::{MachineIdentity, PartitionId, PartitionUuid, VirtualSlot, WorldWidePortName};
use varan_model::site::LogicalUnitNumber;

use crate::block::{BlockDevice, BlockError, Epoch, Nexus, PathGeneration, Udid};

/// Generations that a server may use up by itself for each one that its client gives it.
pub const GENERATIONS_OF_A_SERVER: u64 = 1 << 16;

/// The generation under which a server opens a unit at the array for its client: each time the server moves a client's
/// requests from one of its own ports to another, it revokes the last one and counts `attempt` up. The client's generations
/// stay apart: revoking all below one of the client's revokes every attempt of those before.
#[must_use]
pub fn generation_at_array(client: PathGeneration, attempt: u16) -> PathGeneration {
    PathGeneration(client.0.saturating_mul(GENERATIONS_OF_A_SERVER).saturating_add(u64::from(attempt)))
}

/// A unit as a port of the fabric sees it through one storage port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FabricUnit {
    /// The unit.
    pub udid: Udid,
    /// Storage port.
    pub target_port: WorldWidePortName,
    /// Logical unit number there.
    pub lun: LogicalUnitNumber,
    /// Size in bytes.
    pub bytes: u64,
}

/// Why something on the storage network could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum StorageError {
    /// The link of the port is down, or its fabric is.
    #[error("the link is down")]
    LinkDown,
    /// The port name is logged in from another place.
    #[error("the port name {0} is logged in elsewhere")]
    NameInUse(WorldWidePortName),
    /// No such unit is seen on this path.
    #[error("no such unit")]
    NoSuchUnit,
    /// The server, or its adapter, does not serve.
    #[error("the server does not answer")]
    NotServing,
    /// The adapter is connected to another client.
    #[error("the adapter serves another client")]
    OtherClient,
    /// A unit's own error.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// How a unit is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reservation {
    /// For one port, until it is released or the unit is reset.
    SinglePath,
    /// For one registered key, persistently.
    PersistentExclusive(u64),
    /// For all registered keys, persistently.
    PersistentShared(u64),
}

/// The storage network as ports see it: one for all arrays of a world.
pub trait StorageArray: Send + Sync {
    /// Logs a port name in at a place (the physical port that it goes through). A repeat from the same place is harmless.
    ///
    /// # Errors
    /// [`StorageError::LinkDown`], [`StorageError::NameInUse`].
    fn login(&self, initiator: WorldWidePortName, place: WorldWidePortName) -> Result<(), StorageError>;
    /// Logs a port name out. Its open units are gone; its reservations that are not persistent are released.
    fn logout(&self, initiator: WorldWidePortName);
    /// Port names that are logged in through a place.
    fn logged_in(&self, place: WorldWidePortName) -> Vec<WorldWidePortName>;
    /// What a port that is logged in sees by zoning and masking, in the order of storage port and number. A port that is
    /// not logged in is not asked about: [`StorageError::LinkDown`].
    ///
    /// # Errors
    /// [`StorageError::LinkDown`].
    fn report_units(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError>;
    /// What a port name would see if it were logged in, and whether its fabric knows it: for mobility's checks.
    ///
    /// # Errors
    /// [`StorageError::LinkDown`].
    fn would_see(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError>;
    /// Opens a unit for a nexus. Writes and reads through it are checked against the right to run and the generation of the
    /// path where they reach the array.
    ///
    /// # Errors
    /// [`StorageError::LinkDown`], [`StorageError::NoSuchUnit`], [`StorageError::Block`] with a reservation conflict.
    fn open(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError>;
    /// Reserves a unit.
    ///
    /// # Errors
    /// [`StorageError::Block`] with [`BlockError::ReservationConflict`].
    fn reserve(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        reservation: Reservation,
    ) -> Result<(), StorageError>;
    /// Gives a reservation of this initiator back; nothing otherwise.
    fn release(&self, initiator: WorldWidePortName, unit: &Udid);
    /// Revokes every generation of a path below `minimum`, see
    /// [`LeaseStore::revoke_path`](crate::block::LeaseStore::revoke_path).
    ///
    /// # Errors
    /// [`StorageError::LinkDown`] when the array cannot be reached: the caller must not retry on another path then.
    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError>;
    /// The epoch under which a partition may do I/O, as the lease store on the array has it; `None` for one that nobody took
    /// the right to run for, and where there is no lease store. Servers hold what is their own to it as well.
    ///
    /// # Errors
    /// [`StorageError::LinkDown`] when the lease store cannot be reached.
    fn epoch(&self, partition: PartitionUuid) -> Result<Option<Epoch>, StorageError> {
        let _ = partition;
        Ok(None)
    }
}

/// A client partition as its server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageClient {
    /// Partition.
    pub partition: PartitionUuid,
    /// Number.
    pub id: PartitionId,
    /// Name.
    pub name: String,
    /// `AIX`, `Linux`, `IBM i`.
    pub operating_system: String,
    /// Machine that it runs on.
    pub machine: MachineIdentity,
    /// The client adapter's slot.
    pub slot: VirtualSlot,
    /// Name of the client's device (`vscsi0`, `fcs0`).
    pub device: String,
}

/// Kinds of units that a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServedKind {
    /// A disk.
    Disk,
    /// An optical drive.
    Optical,
}

/// A unit that a server adapter serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedUnit {
    /// Logical unit number: `0x8100000000000000`, ...
    pub lun: u64,
    /// Kind.
    pub kind: ServedKind,
    /// What tells that two paths lead to the same bytes: the backing device's identifier. Unique in the world.
    pub udid: Udid,
    /// Size in bytes; 0 for an empty drive.
    pub bytes: u64,
}

/// The storage of a managed system as its hypervisor connects it: which servers there are, and who may run.
pub trait StorageFabric: Send + Sync {
    /// The server of a partition number, while its operating system is up.
    fn server(&self, server: PartitionId) -> Option<Arc<dyn StorageServer>>;
    /// Takes the right to run a partition for this managed system, or renews it; its epoch stands in every nexus of the
    /// partition from then on.
    ///
    /// # Errors
    /// [`StorageError::Block`] with [`BlockError::Revoked`] when another managed system has it,
    /// [`StorageError::LinkDown`] when the lease store cannot be reached.
    fn right_to_run(&self, partition: PartitionUuid) -> Result<Epoch, StorageError>;
}

/// A Virtual I/O Server as its clients see it: the partner of each client adapter.
pub trait StorageServer: Send + Sync {
    /// Connects a client's virtual SCSI adapter (its log-in). A repeat renews what the server knows of the client.
    ///
    /// # Errors
    /// [`StorageError::NotServing`], [`StorageError::OtherClient`].
    fn connect_scsi(&self, server: VirtualSlot, client: &StorageClient) -> Result<(), StorageError>;
    /// What the adapter serves, in the order of numbers.
    ///
    /// # Errors
    /// [`StorageError::NotServing`].
    fn served_units(&self, server: VirtualSlot) -> Result<Vec<ServedUnit>, StorageError>;
    /// Opens a unit. What the server writes for the client, it writes under this nexus. A nexus of the server's own partition
    /// needs no client that is connected: the server exports the unit to programs outside.
    ///
    /// # Errors
    /// [`StorageError::NotServing`], [`StorageError::NoSuchUnit`], [`StorageError::Block`].
    fn open_unit(
        &self,
        server: VirtualSlot,
        lun: u64,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError>;
    /// Connects a client's virtual Fibre Channel adapter and logs its port names in through the mapped port.
    ///
    /// # Errors
    /// [`StorageError::NotServing`], [`StorageError::LinkDown`], [`StorageError::NameInUse`].
    fn connect_fibre_channel(
        &self,
        server: VirtualSlot,
        client: &StorageClient,
        names: &[WorldWidePortName],
    ) -> Result<(), StorageError>;
    /// What a port name of the client sees through the server's port.
    ///
    /// # Errors
    /// [`StorageError::NotServing`], [`StorageError::LinkDown`].
    fn fabric_units(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
    ) -> Result<Vec<FabricUnit>, StorageError>;
    /// Opens a unit that a port name of the client sees.
    ///
    /// # Errors
    /// As [`StorageServer::open_unit`].
    fn open_fabric_unit(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError>;
    /// The client went away: logged out, powered off, crashed.
    fn disconnect(&self, server: VirtualSlot, client: PartitionUuid);
    /// Revokes a path's generations below `minimum` for a unit (the client's generations; at the array and in the lease store
    /// they stand as [`generation_at_array`] says): what is under way on it has ended when this returns, and
    /// nothing of it is written later. Any server that reaches the unit, or its array, can do it; a server that is dead or
    /// stopped need not answer.
    ///
    /// # Errors
    /// [`StorageError`]: the caller must not retry on another path then.
    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError>;
}
