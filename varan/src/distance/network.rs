//! The storage network in another process.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_contract::block::{BlockDevice, Epoch, Nexus, PathGeneration, Udid};
use varan_contract::fault::StorageFaults;
use varan_contract::storage::{FabricUnit, Reservation, StorageArray, StorageError};
use varan_environment::Environment;
use varan_model::ids::{PartitionUuid, SystemUuid, WorldWidePortName};

use super::call::{Caller, serve};
use super::devices::{self, OpenDevices};
use super::{world_socket, world_units};
use crate::world::Network;

/// How long a request waits for the world: it waits for nothing but its disks.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Asked {
    Login(WorldWidePortName, WorldWidePortName),
    Logout(WorldWidePortName),
    LoggedIn(WorldWidePortName),
    ReportUnits(WorldWidePortName),
    WouldSee(WorldWidePortName),
    Open(WorldWidePortName, Udid, Nexus),
    Reserve(WorldWidePortName, Udid, Reservation),
    Release(WorldWidePortName, Udid),
    Revoke(Udid, Nexus, PathGeneration),
    RightToRun(PartitionUuid, SystemUuid),
    EpochOf(PartitionUuid),
    SetUnit(String, bool),
    SetPort(String, bool),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Answered {
    Done(Result<(), StorageError>),
    Names(Vec<WorldWidePortName>),
    Units(Result<Vec<FabricUnit>, StorageError>),
    /// Name under which the unit is exported.
    Opened(Result<String, StorageError>),
    Epoch(Result<Epoch, StorageError>),
    EpochOf(Result<Option<Epoch>, StorageError>),
    Broken(Result<(), String>),
}

/// Serves a storage network on the sockets of a directory.
///
/// # Errors
/// When a socket cannot be made.
pub fn serve_network(
    network: &Arc<dyn Network>,
    directory: &Path,
    environment: &Arc<dyn Environment>,
) -> std::io::Result<()> {
    let open = OpenDevices::serve(&world_units(directory), environment)?;
    let network = network.clone();
    serve(&world_socket(directory), environment, move |asked| answer(&*network, &open, asked))
}

fn answer(network: &dyn Network, open: &OpenDevices, asked: Asked) -> Answered {
    match asked {
        Asked::Login(name, place) => Answered::Done(network.login(name, place)),
        Asked::Logout(name) => {
            network.logout(name);
            Answered::Done(Ok(()))
        }
        Asked::LoggedIn(place) => Answered::Names(network.logged_in(place)),
        Asked::ReportUnits(name) => Answered::Units(network.report_units(name)),
        Asked::WouldSee(name) => Answered::Units(network.would_see(name)),
        Asked::Open(name, unit, nexus) => {
            Answered::Opened(network.open(name, &unit, &nexus).map(|device| open.publish(device)))
        }
        Asked::Reserve(name, unit, reservation) => Answered::Done(network.reserve(name, &unit, reservation)),
        Asked::Release(name, unit) => {
            network.release(name, &unit);
            Answered::Done(Ok(()))
        }
        Asked::Revoke(unit, nexus, minimum) => Answered::Done(network.revoke(&unit, &nexus, minimum)),
        Asked::RightToRun(partition, frame) => Answered::Epoch(network.right_to_run(partition, frame)),
        Asked::EpochOf(partition) => Answered::EpochOf(network.epoch(partition)),
        Asked::SetUnit(disk, present) => Answered::Broken(network.set_unit(&disk, present)),
        Asked::SetPort(port, up) => Answered::Broken(network.set_port(&port, up)),
    }
}

/// The storage network of a site whose world is another process.
///
/// A world that was started anew knows nobody: log-ins and reservations of this process are made again when it says so.
pub struct RemoteNetwork {
    caller: Caller<Asked, Answered>,
    units: std::path::PathBuf,
    mine: Mutex<Mine>,
}

/// What this process has asked for and would have to ask for again.
#[derive(Default)]
struct Mine {
    places: HashMap<WorldWidePortName, WorldWidePortName>,
    reserved: HashMap<(WorldWidePortName, Udid), Reservation>,
}

impl RemoteNetwork {
    /// A link to the world whose sockets are in `directory`.
    #[must_use]
    pub fn new(directory: &Path, environment: Arc<dyn Environment>) -> Self {
        let caller = Caller::new(world_socket(directory), environment);
        Self { caller, units: world_units(directory), mine: Mutex::default() }
    }

    fn mine(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a port name in again; false when it was not logged in from here, or cannot be.
    fn log_in_again(&self, initiator: WorldWidePortName) -> bool {
        let mine = self.mine();
        let Some(place) = mine.places.get(&initiator).copied() else { return false };
        let reserved: Vec<(Udid, Reservation)> = mine
            .reserved
            .iter()
            .filter(|((name, _), _)| *name == initiator)
            .map(|((_, unit), reservation)| (unit.clone(), *reservation))
            .collect();
        drop(mine);
        if self.done(Asked::Login(initiator, place)).is_err() {
            return false;
        }
        for (unit, reservation) in reserved {
            // Somebody else has it by now: the next request finds out.
            let _ = self.done(Asked::Reserve(initiator, unit, reservation));
        }
        true
    }

    fn call(&self, asked: Asked) -> Option<Answered> {
        self.caller.call(asked, PATIENCE)
    }

    fn done(&self, asked: Asked) -> Result<(), StorageError> {
        match self.call(asked) {
            Some(Answered::Done(result)) => result,
            _ => Err(StorageError::LinkDown),
        }
    }

    fn units(&self, asked: Asked) -> Result<Vec<FabricUnit>, StorageError> {
        match self.call(asked) {
            Some(Answered::Units(result)) => result,
            _ => Err(StorageError::LinkDown),
        }
    }

    fn broken(&self, asked: Asked) -> Result<(), String> {
        match self.call(asked) {
            Some(Answered::Broken(result)) => result,
            _ => Err("the world does not answer".to_owned()),
        }
    }
}

impl StorageArray for RemoteNetwork {
    fn epoch(&self, partition: PartitionUuid) -> Result<Option<Epoch>, StorageError> {
        match self.call(Asked::EpochOf(partition)) {
            Some(Answered::EpochOf(result)) => result,
            _ => Err(StorageError::LinkDown),
        }
    }

    fn login(&self, initiator: WorldWidePortName, place: WorldWidePortName) -> Result<(), StorageError> {
        self.done(Asked::Login(initiator, place))?;
        self.mine().places.insert(initiator, place);
        Ok(())
    }

    fn logout(&self, initiator: WorldWidePortName) {
        self.mine().places.remove(&initiator);
        // A world that is gone has nobody logged in.
        let _ = self.call(Asked::Logout(initiator));
    }

    fn logged_in(&self, place: WorldWidePortName) -> Vec<WorldWidePortName> {
        match self.call(Asked::LoggedIn(place)) {
            Some(Answered::Names(names)) => names,
            _ => Vec::new(),
        }
    }

    fn report_units(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        match self.units(Asked::ReportUnits(initiator)) {
            Err(StorageError::LinkDown) if self.log_in_again(initiator) => {
                self.units(Asked::ReportUnits(initiator))
            }
            other => other,
        }
    }

    fn would_see(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        self.units(Asked::WouldSee(initiator))
    }

    fn open(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let asked = Asked::Open(initiator, unit.clone(), nexus.clone());
        let mut answer = self.call(asked.clone());
        if matches!(answer, Some(Answered::Opened(Err(StorageError::LinkDown))))
            && self.log_in_again(initiator)
        {
            answer = self.call(asked);
        }
        match answer {
            Some(Answered::Opened(Ok(name))) => {
                devices::connect(&self.units, &name).map_err(|_| StorageError::LinkDown)
            }
            Some(Answered::Opened(Err(error))) => Err(error),
            _ => Err(StorageError::LinkDown),
        }
    }

    fn reserve(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        reservation: Reservation,
    ) -> Result<(), StorageError> {
        self.done(Asked::Reserve(initiator, unit.clone(), reservation))?;
        self.mine().reserved.insert((initiator, unit.clone()), reservation);
        Ok(())
    }

    fn release(&self, initiator: WorldWidePortName, unit: &Udid) {
        self.mine().reserved.remove(&(initiator, unit.clone()));
        // As with a log-out.
        let _ = self.call(Asked::Release(initiator, unit.clone()));
    }

    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError> {
        self.done(Asked::Revoke(unit.clone(), nexus.clone(), minimum))
    }
}

impl StorageFaults for RemoteNetwork {
    fn set_unit(&self, disk: &str, present: bool) -> Result<(), String> {
        self.broken(Asked::SetUnit(disk.to_owned(), present))
    }

    fn set_port(&self, port: &str, up: bool) -> Result<(), String> {
        self.broken(Asked::SetPort(port.to_owned(), up))
    }
}

impl Network for RemoteNetwork {
    fn right_to_run(&self, partition: PartitionUuid, frame: SystemUuid) -> Result<Epoch, StorageError> {
        match self.call(Asked::RightToRun(partition, frame)) {
            Some(Answered::Epoch(result)) => result,
            _ => Err(StorageError::LinkDown),
        }
    }
}
