//! Reservations of a unit, as the `reserve_policy` of a disk asks for them when it is opened.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use varan_model::ids::WorldWidePortName;

/// How an initiator reserves a unit when it opens it; the values of the attribute `reserve_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReservePolicy {
    /// Not at all (`no_reserve`).
    NoReserve,
    /// For one initiator port (`single_path`, SCSI-2).
    SinglePath,
    /// For one key, on any of its paths (`PR_exclusive`).
    PersistentExclusive(u64),
    /// For all registered keys; others may read (`PR_shared`).
    PersistentShared(u64),
}

/// Who has a unit reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reservation {
    /// Nobody.
    None,
    /// One initiator port.
    SinglePath(WorldWidePortName),
    /// One key.
    PersistentExclusive(u64),
    /// Keys.
    PersistentShared(BTreeSet<u64>),
}

/// What a reservation keeps an initiator from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    Nothing,
    Writes,
    All,
}

impl Reservation {
    pub(super) fn conflict(&self, initiator: WorldWidePortName, policy: ReservePolicy) -> Conflict {
        let unless = |holds: bool, otherwise| if holds { Conflict::Nothing } else { otherwise };
        match (self, policy) {
            (Self::None, _) => Conflict::Nothing,
            (Self::SinglePath(holder), _) => unless(*holder == initiator, Conflict::All),
            (Self::PersistentExclusive(key), ReservePolicy::PersistentExclusive(own)) => {
                unless(*key == own, Conflict::All)
            }
            (Self::PersistentExclusive(_), _) => Conflict::All,
            (Self::PersistentShared(keys), ReservePolicy::PersistentShared(own)) => {
                unless(keys.contains(&own), Conflict::Writes)
            }
            (Self::PersistentShared(_), _) => Conflict::Writes,
        }
    }

    /// Reserves as an opening asks for it; `false` and no change where another's reservation forbids it.
    pub(super) fn reserve(&mut self, initiator: WorldWidePortName, policy: ReservePolicy) -> bool {
        match (&mut *self, policy) {
            (_, ReservePolicy::NoReserve) => return self.conflict(initiator, policy) != Conflict::All,
            (Self::None, ReservePolicy::SinglePath) => *self = Self::SinglePath(initiator),
            (Self::None, ReservePolicy::PersistentExclusive(key)) => *self = Self::PersistentExclusive(key),
            (Self::None, ReservePolicy::PersistentShared(key)) => {
                *self = Self::PersistentShared(BTreeSet::from([key]));
            }
            (Self::PersistentShared(keys), ReservePolicy::PersistentShared(key)) => {
                keys.insert(key);
            }
            (Self::SinglePath(holder), ReservePolicy::SinglePath) => return *holder == initiator,
            (Self::PersistentExclusive(holder), ReservePolicy::PersistentExclusive(key)) => {
                return *holder == key;
            }
            _ => return false,
        }
        true
    }

    /// Gives back what none of those who still have the unit open holds.
    pub(super) fn release(&mut self, open: impl Iterator<Item = (WorldWidePortName, ReservePolicy)>) {
        let open: Vec<_> = open.collect();
        let holds = |reservation: &Self| match reservation {
            Self::None => false,
            Self::SinglePath(holder) => open.contains(&(*holder, ReservePolicy::SinglePath)),
            Self::PersistentExclusive(key) => {
                open.iter().any(|(_, policy)| *policy == ReservePolicy::PersistentExclusive(*key))
            }
            Self::PersistentShared(keys) => !keys.is_empty(),
        };
        if let Self::PersistentShared(keys) = self {
            keys.retain(|key| {
                open.iter().any(|(_, policy)| *policy == ReservePolicy::PersistentShared(*key))
            });
        }
        if !holds(self) {
            *self = Self::None;
        }
    }
}
