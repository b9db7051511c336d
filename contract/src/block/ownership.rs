//! The right to run a partition: one record that is changed by compare-and-swap only, one lease for each frame, and the
//! generations of paths that were revoked.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use varan_model::ids::{PartitionUuid, SystemUuid};

use super::{Epoch, PathGeneration, PathName, Udid};

/// Who may run a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnershipRecord {
    /// The partition.
    pub partition: PartitionUuid,
    /// The managed system that may run it.
    pub frame: SystemUuid,
    /// Rises with every change; 1 at first.
    pub epoch: Epoch,
}

/// One compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipChange {
    /// The partition.
    pub partition: PartitionUuid,
    /// The record that must be there, by its epoch; `None`: there must be none.
    pub expected: Option<Epoch>,
    /// Who may run the partition from now on; `None` removes the record, and nobody may do I/O as this
    /// partition until there is a new one. An epoch is never used twice, also not after a removal.
    pub frame: Option<SystemUuid>,
}

/// What became of a compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnershipOutcome {
    /// Changed, durably; the record as it is now. I/O under earlier epochs has ended and is refused from here on.
    Changed(Option<OwnershipRecord>),
    /// Something else was there: the record as it is. Nothing was changed.
    Unexpected(Option<OwnershipRecord>),
}

/// A frame's sign of life. Whether it has expired is judged by an observer's own monotonic clock: when `renewals` has stayed
/// the same for `duration` and a margin since the observer saw it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameLease {
    /// The managed system.
    pub frame: SystemUuid,
    /// How often it was renewed.
    pub renewals: u64,
    /// How long a renewal holds.
    pub duration: Duration,
}

/// Why the lease store could not answer. Nothing is known to have changed then; a change may be asked for again, because
/// it names what it expects.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum LeaseError {
    /// The store cannot be reached.
    #[error("the lease store cannot be reached")]
    Unreachable,
    /// The store's medium failed; the text is for the log.
    #[error("the lease store failed: {0}")]
    Medium(String),
}

/// The store that every candidate frame reaches. All changes are durable before they are acknowledged.
pub trait LeaseStore: Send + Sync {
    /// The record of one partition.
    ///
    /// # Errors
    /// The store's.
    fn ownership(&self, partition: PartitionUuid) -> Result<Option<OwnershipRecord>, LeaseError>;

    /// Does each compare-and-swap in order, all in one durable write; the outcomes are independent of one another.
    ///
    /// # Errors
    /// The store's, for all of them.
    fn change_ownership(&self, changes: &[OwnershipChange]) -> Result<Vec<OwnershipOutcome>, LeaseError>;

    /// Renews a frame's lease, or takes it for the first time. The holder counts `duration` from before this call, by its
    /// own monotonic clock, less a margin.
    ///
    /// # Errors
    /// The store's.
    fn renew_frame_lease(&self, frame: SystemUuid, duration: Duration) -> Result<FrameLease, LeaseError>;

    /// The lease of a frame, if it ever had one.
    ///
    /// # Errors
    /// The store's.
    fn frame_lease(&self, frame: SystemUuid) -> Result<Option<FrameLease>, LeaseError>;

    /// Makes `minimum` the lowest generation of a path that may do I/O on a unit; one that is lower than before changes
    /// nothing. When this returns, requests of lower generations have ended and none can reach the unit any more, also not
    /// after the store's process started anew. Whoever retries on another path revokes first.
    ///
    /// # Errors
    /// The store's; the caller must then not retry on another path.
    fn revoke_path(
        &self,
        unit: &Udid,
        client: PartitionUuid,
        path: &PathName,
        minimum: PathGeneration,
    ) -> Result<(), LeaseError>;

    /// The lowest generation of a path that may do I/O on a unit; zero if none was revoked.
    ///
    /// # Errors
    /// The store's.
    fn minimum_generation(
        &self,
        unit: &Udid,
        client: PartitionUuid,
        path: &PathName,
    ) -> Result<PathGeneration, LeaseError>;
}
