//! A storage array: units that initiators see through its target ports, by zoning and masking, with reservations; and the
//! lease store that lies on it.
//!
//! ```text
//!   initiator port --zone--> target port --mask--> logical unit number --> unit
//!        open: seen? present? not reserved by another? epoch and generation in force?  --> SanDevice
//!        each request: the same, through the session's gate
//! ```

mod reservation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use varan_contract::block::{
    BlockAnswer, BlockDevice, BlockError, BlockRequest, Completion, FrameLease, Geometry, LeaseError,
    LeaseStore, Nexus, OwnershipChange, OwnershipOutcome, OwnershipRecord, PathGeneration, PathName,
    QueueFull, Udid,
};
use varan_model::ids::{PartitionUuid, SystemUuid, WorldWidePortName};

use crate::fence::{Closed, Drain, Fence, Gate, Session};
use crate::lease::{Holder, LeaseDatabase};

use reservation::Conflict;
pub use reservation::{Reservation, ReservePolicy};

/// A logical unit number, as an initiator sees a unit at a target port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogicalUnitNumber(pub u64);

/// A way through the fabric to a unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SanPath {
    /// The unit.
    pub unit: Udid,
    /// The initiator's port.
    pub initiator: WorldWidePortName,
    /// The array's port.
    pub target: WorldWidePortName,
}

/// Why a unit was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SanError {
    /// The array has no such unit.
    #[error("the storage array has no such unit")]
    UnknownUnit,
    /// There is such a unit already.
    #[error("the storage array has this unit already")]
    UnitExists,
    /// The initiator does not see the unit at this target port.
    #[error("the initiator does not see the unit")]
    NotVisible,
    /// As requests to it would be refused.
    #[error(transparent)]
    Refused(#[from] BlockError),
}

/// An open way to a unit.
struct Attached {
    session: Arc<Session>,
    initiator: WorldWidePortName,
    target: WorldWidePortName,
    policy: ReservePolicy,
}

struct Unit {
    device: Arc<dyn BlockDevice>,
    present: bool,
    reservation: Reservation,
    attached: Vec<Attached>,
}

/// What one initiator sees at one target port, both ways round.
#[derive(Default)]
struct Mask {
    units: BTreeMap<LogicalUnitNumber, Udid>,
    numbers: BTreeSet<(Udid, LogicalUnitNumber)>,
}

impl Mask {
    /// Puts a unit at a number; gives the one that was there.
    fn set(&mut self, number: LogicalUnitNumber, unit: Option<Udid>) -> Option<Udid> {
        let before = self.units.remove(&number);
        if let Some(before) = &before {
            self.numbers.remove(&(before.clone(), number));
        }
        if let Some(unit) = unit {
            self.numbers.insert((unit.clone(), number));
            self.units.insert(number, unit);
        }
        before
    }

    fn shows(&self, unit: &Udid) -> bool {
        let from = (unit.clone(), LogicalUnitNumber(0));
        self.numbers.range(from..).next().is_some_and(|(other, _)| other == unit)
    }
}

#[derive(Default)]
struct State {
    units: BTreeMap<Udid, Unit>,
    zones: BTreeSet<(WorldWidePortName, WorldWidePortName)>,
    masks: BTreeMap<(WorldWidePortName, WorldWidePortName), Mask>,
    /// Target ports without link.
    down: BTreeSet<WorldWidePortName>,
    logins: BTreeSet<WorldWidePortName>,
}

impl State {
    fn sees(&self, initiator: WorldWidePortName, target: WorldWidePortName, unit: &Udid) -> bool {
        let mask = self.masks.get(&(initiator, target));
        self.zones.contains(&(initiator, target)) && mask.is_some_and(|mask| mask.shows(unit))
    }

    /// Holds the gates of a unit's sessions against what is so now.
    fn refresh(&self, udid: &Udid) {
        let Some(unit) = self.units.get(udid) else { return };
        for attached in &unit.attached {
            let reached = unit.present
                && !self.down.contains(&attached.target)
                && self.sees(attached.initiator, attached.target, udid);
            let conflict = unit.reservation.conflict(attached.initiator, attached.policy);
            for (reason, holds) in [
                (Closed::Gone, !reached),
                (Closed::Reserved, conflict == Conflict::All),
                (Closed::WriteReserved, conflict == Conflict::Writes),
            ] {
                if holds {
                    attached.session.close(reason);
                } else {
                    attached.session.open(reason);
                }
            }
        }
    }

    fn refresh_all(&self) {
        for udid in self.units.keys() {
            self.refresh(udid);
        }
    }
}

struct Shared {
    leases: LeaseDatabase,
    fence: Arc<Fence>,
    /// Never held across I/O.
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The storage array of a site. Clones are the same array.
#[derive(Clone)]
pub struct San {
    shared: Arc<Shared>,
}

impl San {
    /// An array without units, on whose lease store what was revoked before stays revoked.
    #[must_use]
    pub fn new(leases: LeaseDatabase) -> Self {
        let fence = Fence::new();
        for (client, holder) in leases.holders() {
            enforce(&fence, client, holder).wait();
        }
        for ((unit, client, path), minimum) in leases.minimums() {
            fence.revoke_path(&unit, client, &path, minimum).wait();
        }
        Self { shared: Arc::new(Shared { leases, fence, state: Mutex::default() }) }
    }

    /// Adds a unit, which nobody sees yet.
    ///
    /// # Errors
    /// [`SanError::UnitExists`].
    pub fn add_unit(&self, udid: Udid, device: Arc<dyn BlockDevice>) -> Result<(), SanError> {
        let mut state = self.shared.lock();
        if state.units.contains_key(&udid) {
            return Err(SanError::UnitExists);
        }
        let unit = Unit { device, present: true, reservation: Reservation::None, attached: Vec::new() };
        state.units.insert(udid, unit);
        Ok(())
    }

    /// Removes a unit; who has it open finds it gone. Its bytes stay where they are.
    ///
    /// # Errors
    /// [`SanError::UnknownUnit`].
    pub fn remove_unit(&self, udid: &Udid) -> Result<(), SanError> {
        self.set_present(udid, false)?;
        self.shared.lock().units.remove(udid);
        Ok(())
    }

    /// All units with their geometry, in order.
    #[must_use]
    pub fn units(&self) -> Vec<(Udid, Geometry)> {
        let state = self.shared.lock();
        state.units.iter().map(|(udid, unit)| (udid.clone(), unit.device.geometry())).collect()
    }

    /// Makes a unit vanish or come back, as a fault does: while it is away, requests end with [`BlockError::Gone`].
    ///
    /// # Errors
    /// [`SanError::UnknownUnit`].
    pub fn set_present(&self, udid: &Udid, present: bool) -> Result<(), SanError> {
        let mut state = self.shared.lock();
        state.units.get_mut(udid).ok_or(SanError::UnknownUnit)?.present = present;
        state.refresh(udid);
        Ok(())
    }

    /// Lets an initiator port and a target port talk, or not any more.
    pub fn set_zone(&self, initiator: WorldWidePortName, target: WorldWidePortName, zoned: bool) {
        let mut state = self.shared.lock();
        if zoned {
            state.zones.insert((initiator, target));
        } else {
            state.zones.remove(&(initiator, target));
        }
        let mask = state.masks.get(&(initiator, target));
        mask.into_iter().flat_map(|mask| mask.units.values()).for_each(|unit| state.refresh(unit));
    }

    /// Puts a unit at a logical unit number that an initiator sees at a target port, or nothing.
    ///
    /// # Errors
    /// [`SanError::UnknownUnit`].
    pub fn set_mask(
        &self,
        initiator: WorldWidePortName,
        target: WorldWidePortName,
        number: LogicalUnitNumber,
        unit: Option<Udid>,
    ) -> Result<(), SanError> {
        let mut state = self.shared.lock();
        if unit.as_ref().is_some_and(|unit| !state.units.contains_key(unit)) {
            return Err(SanError::UnknownUnit);
        }
        let mask = state.masks.entry((initiator, target)).or_default();
        let before = mask.set(number, unit.clone());
        before.iter().chain(&unit).for_each(|unit| state.refresh(unit));
        Ok(())
    }

    /// Gives a target port its link, or takes it.
    pub fn set_target_port(&self, target: WorldWidePortName, up: bool) {
        let mut state = self.shared.lock();
        if up {
            state.down.remove(&target);
        } else {
            state.down.insert(target);
        }
        state.refresh_all();
    }

    /// Logs an initiator port in; gives the target ports that it reaches, in order.
    pub fn login(&self, initiator: WorldWidePortName) -> Vec<WorldWidePortName> {
        let mut state = self.shared.lock();
        state.logins.insert(initiator);
        let from =
            state.zones.range((initiator, WorldWidePortName(0))..=(initiator, WorldWidePortName(u64::MAX)));
        from.map(|(_, target)| *target).filter(|target| !state.down.contains(target)).collect()
    }

    /// Logs an initiator port out.
    pub fn logout(&self, initiator: WorldWidePortName) {
        self.shared.lock().logins.remove(&initiator);
    }

    /// Whether an initiator port is logged in.
    #[must_use]
    pub fn is_logged_in(&self, initiator: WorldWidePortName) -> bool {
        self.shared.lock().logins.contains(&initiator)
    }

    /// The units that an initiator sees at a target port, by number; nothing where it is not zoned or the port has no
    /// link. A unit that has vanished is not among them.
    #[must_use]
    pub fn report_luns(
        &self,
        initiator: WorldWidePortName,
        target: WorldWidePortName,
    ) -> Vec<(LogicalUnitNumber, Udid)> {
        let state = self.shared.lock();
        if !state.zones.contains(&(initiator, target)) || state.down.contains(&target) {
            return Vec::new();
        }
        let present = |udid: &Udid| state.units.get(udid).is_some_and(|unit| unit.present);
        let masked = state.masks.get(&(initiator, target)).into_iter().flat_map(|mask| &mask.units);
        masked.filter(|(_, udid)| present(udid)).map(|(number, udid)| (*number, udid.clone())).collect()
    }

    /// Opens a unit on a path for a nexus, reserving it as `policy` says. Waits for requests of the same client that were
    /// revoked and are still at the unit.
    ///
    /// # Errors
    /// [`SanError`]; as [`SanError::Refused`] also [`BlockError::ReservationConflict`], [`BlockError::Revoked`] and
    /// [`BlockError::Gone`].
    pub fn open(&self, path: &SanPath, nexus: Nexus, policy: ReservePolicy) -> Result<SanDevice, SanError> {
        let device = {
            let state = self.shared.lock();
            let unit = state.units.get(&path.unit).ok_or(SanError::UnknownUnit)?;
            if !state.sees(path.initiator, path.target, &path.unit) {
                return Err(SanError::NotVisible);
            }
            Arc::clone(&unit.device)
        };
        let gate = self.shared.fence.open(&path.unit, device, nexus)?;
        let mut state = self.shared.lock();
        let down = state.down.contains(&path.target);
        let unit = state.units.get_mut(&path.unit).ok_or(SanError::UnknownUnit)?;
        if down || !unit.present {
            return Err(SanError::Refused(BlockError::Gone));
        }
        if !unit.reservation.reserve(path.initiator, policy) {
            return Err(SanError::Refused(BlockError::ReservationConflict));
        }
        unit.attached.push(Attached {
            session: Arc::clone(gate.session()),
            initiator: path.initiator,
            target: path.target,
            policy,
        });
        state.refresh(&path.unit);
        drop(state);
        Ok(SanDevice { gate, shared: Arc::clone(&self.shared), unit: path.unit.clone() })
    }

    /// What a unit is like, for an initiator that sees it.
    ///
    /// # Errors
    /// [`SanError::UnknownUnit`], [`SanError::NotVisible`].
    pub fn geometry(&self, path: &SanPath) -> Result<Geometry, SanError> {
        let state = self.shared.lock();
        let unit = state.units.get(&path.unit).ok_or(SanError::UnknownUnit)?;
        let seen = state.sees(path.initiator, path.target, &path.unit);
        if seen { Ok(unit.device.geometry()) } else { Err(SanError::NotVisible) }
    }

    /// Who has a unit reserved.
    ///
    /// # Errors
    /// [`SanError::UnknownUnit`].
    pub fn reservation(&self, udid: &Udid) -> Result<Reservation, SanError> {
        let state = self.shared.lock();
        Ok(state.units.get(udid).ok_or(SanError::UnknownUnit)?.reservation.clone())
    }

    /// Takes a reservation away, as a reset of the unit does.
    ///
    /// # Errors
    /// [`SanError::UnknownUnit`].
    pub fn clear_reservation(&self, udid: &Udid) -> Result<(), SanError> {
        let mut state = self.shared.lock();
        state.units.get_mut(udid).ok_or(SanError::UnknownUnit)?.reservation = Reservation::None;
        state.refresh(udid);
        Ok(())
    }
}

fn enforce(fence: &Fence, client: PartitionUuid, holder: Holder) -> Drain {
    match holder.frame {
        Some(_) => fence.set_epoch(client, holder.epoch),
        None => fence.end_epoch(client, holder.epoch),
    }
}

impl LeaseStore for San {
    fn ownership(&self, partition: PartitionUuid) -> Result<Option<OwnershipRecord>, LeaseError> {
        Ok(self.shared.leases.ownership(partition))
    }

    fn change_ownership(&self, changes: &[OwnershipChange]) -> Result<Vec<OwnershipOutcome>, LeaseError> {
        let changed = self.shared.leases.change(changes)?;
        // All are closed before the first is waited for.
        let drains: Vec<_> = (changes.iter().zip(&changed))
            .map(|(change, changed)| enforce(&self.shared.fence, change.partition, changed.holder))
            .collect();
        drains.into_iter().for_each(Drain::wait);
        Ok(changed.into_iter().map(|changed| changed.outcome).collect())
    }

    fn renew_frame_lease(&self, frame: SystemUuid, duration: Duration) -> Result<FrameLease, LeaseError> {
        self.shared.leases.renew(frame, duration)
    }

    fn frame_lease(&self, frame: SystemUuid) -> Result<Option<FrameLease>, LeaseError> {
        Ok(self.shared.leases.lease(frame))
    }

    fn revoke_path(
        &self,
        unit: &Udid,
        client: PartitionUuid,
        path: &PathName,
        minimum: PathGeneration,
    ) -> Result<(), LeaseError> {
        self.shared.leases.revoke((unit.clone(), client, path.clone()), minimum)?;
        self.shared.fence.revoke_path(unit, client, path, minimum).wait();
        Ok(())
    }

    fn minimum_generation(
        &self,
        unit: &Udid,
        client: PartitionUuid,
        path: &PathName,
    ) -> Result<PathGeneration, LeaseError> {
        Ok(self.shared.leases.minimum(&(unit.clone(), client, path.clone())))
    }
}

/// A unit as one nexus has it on one path. Dropping it gives its reservation back.
pub struct SanDevice {
    gate: Gate,
    shared: Arc<Shared>,
    unit: Udid,
}

impl Drop for SanDevice {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(unit) = state.units.get_mut(&self.unit) else { return };
        unit.attached.retain(|attached| !Arc::ptr_eq(&attached.session, self.gate.session()));
        let Unit { reservation, attached, .. } = unit;
        reservation.release(attached.iter().map(|attached| (attached.initiator, attached.policy)));
        state.refresh(&self.unit);
    }
}

impl BlockDevice for SanDevice {
    fn geometry(&self) -> Geometry {
        self.gate.geometry()
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        self.gate.submit(request, completion)
    }

    fn wait_for_room(&self) {
        self.gate.wait_for_room();
    }

    fn perform(&self, request: BlockRequest) -> Result<BlockAnswer, BlockError> {
        self.gate.perform(request)
    }
}
