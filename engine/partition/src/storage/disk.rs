//! A disk of a client and its paths.
//!
//! ```text
//!               Opened(ok)                     I/O fails or takes too long
//!  Closed ---------------------> Open ------------------------------------> Revoking
//!    ^  \-- Opened(error) --> Closed (tried again)                             |
//!    |                                                                         |
//!    '-------------------- Revoked(ok) ----------------------------------------'
//! ```
//!
//! While any path of a disk is being revoked, nothing is sent on another one: a stale write of the old path could land on
//! top of a newer one. A path that failed stays failed until a health check, `chpath` or the loss of all others tries it
//! again.

use std::collections::{BTreeMap, VecDeque};

use varan_contract::block::{PathGeneration, Udid};
use varan_contract::storage::ServedKind;
use varan_environment::Monotonic;
use varan_model::ids::VirtualSlot;

use super::{Operation, UnitKey};

/// State of a path as `lspath` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathState {
    /// In use.
    Enabled,
    /// Switched off by a user.
    Disabled,
    /// It failed.
    Failed,
    /// Its adapter does not show the unit any more.
    Missing,
}

impl PathState {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::Failed => "Failed",
            Self::Missing => "Missing",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Closed,
    Opening,
    Open,
    Revoking,
}

/// A way to a disk.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) adapter: VirtualSlot,
    pub(crate) unit: UnitKey,
    pub(crate) state: PathState,
    pub(super) stage: Stage,
    /// Generation that it has or had last.
    pub(super) generation: PathGeneration,
    /// Is to be opened as soon as its adapter is connected.
    pub(super) wanted: bool,
    /// When a revocation that failed is tried again.
    pub(super) revoke_due: Option<Monotonic>,
    /// Attempts to revoke it since it failed.
    pub(super) revocations: usize,
}

/// Who a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestNumber(pub(crate) u64);

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) number: RequestNumber,
    pub(super) operation: Operation,
}

#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) request: Request,
    pub(super) adapter: VirtualSlot,
    pub(super) due: Monotonic,
}

/// A disk or a drive.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) name: String,
    pub(crate) udid: Udid,
    pub(crate) bytes: u64,
    pub(crate) kind: ServedKind,
    pub(crate) paths: Vec<Path>,
    /// Seconds between health checks of paths that failed; 0 is never.
    pub(crate) health_check_seconds: u32,
    pub(super) health_check_due: Option<Monotonic>,
    pub(super) waiting: VecDeque<Request>,
    /// By tag.
    pub(super) in_flight: BTreeMap<u64, InFlight>,
    /// When a disk without a path that works tries all of them again.
    pub(super) retry_due: Option<Monotonic>,
}

impl Disk {
    pub(super) fn path_mut(&mut self, adapter: VirtualSlot) -> Option<&mut Path> {
        self.paths.iter_mut().find(|path| path.adapter == adapter)
    }

    /// The path that the next request takes: the first that works.
    pub(super) fn usable(&self) -> Option<&Path> {
        self.paths.iter().find(|path| path.state == PathState::Enabled && path.stage == Stage::Open)
    }

    pub(super) fn revoking(&self) -> bool {
        self.paths.iter().any(|path| path.stage == Stage::Revoking)
    }

    /// Whether requests wait although no path works.
    pub(crate) fn stalled(&self) -> bool {
        !self.waiting.is_empty() && self.usable().is_none()
    }

    pub(super) fn next_due(&self) -> Option<Monotonic> {
        let revocations = self.paths.iter().filter_map(|path| path.revoke_due);
        let requests = self.in_flight.values().map(|request| request.due);
        revocations.chain(requests).chain(self.retry_due).chain(self.health_check_due).min()
    }
}
