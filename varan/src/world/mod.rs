//! What is outside the frames: the storage network of a site.
//!
//! One array stands for all of a site's storage. Its units are files in `world/san`, made when they are first used; its
//! lease store is `world/leases.db`. Ports of Fibre Channel adapters see what the site file gives their managed systems,
//! ports of clients on virtual Fibre Channel what names them.

mod unit;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use varan_block_engine::{
    LeaseDatabase, LogicalUnitNumber as ArrayNumber, ReservePolicy, San, SanDevice, SanError, SanPath,
};
use varan_contract::block::{
    BlockDevice, BlockError, BlockRequest, Completion, Epoch, Geometry, LeaseStore, Nexus, OwnershipChange,
    OwnershipOutcome, PathGeneration, QueueFull, Udid,
};
use varan_contract::fault::{CableFaults, StorageFaults};
use varan_contract::storage::{FabricUnit, Reservation, StorageArray, StorageError};
use varan_model::ids::{PartitionUuid, SystemUuid, WorldWidePortName};
use varan_model::site::{LogicalUnitNumber, ManagedSystemDescription, SanDisk, Site};

use unit::UnitFile;

/// The storage network as frames and their servers use it, in this process or in another one.
pub trait Network: StorageArray + StorageFaults {
    /// Takes the right to run a partition for a managed system, or keeps it.
    ///
    /// # Errors
    /// [`StorageError::Block`] with [`BlockError::Revoked`] when another managed system has it,
    /// [`StorageError::LinkDown`] when the lease store cannot be reached.
    fn right_to_run(&self, partition: PartitionUuid, frame: SystemUuid) -> Result<Epoch, StorageError>;
}

/// The storage network.
pub struct StorageNetwork {
    san: San,
    units: BTreeMap<Udid, KnownUnit>,
    /// Disks by the site file's names.
    names: HashMap<String, Udid>,
    /// Ports of adapters by location code.
    ports: HashMap<String, WorldWidePortName>,
    state: Mutex<State>,
    /// The Ethernet outside the frames, once it is there.
    cables: OnceLock<Arc<dyn CableFaults>>,
}

struct KnownUnit {
    bytes: u64,
    target_port: WorldWidePortName,
    number: LogicalUnitNumber,
}

/// A port name that is logged in.
struct Login {
    /// The physical port that it goes through.
    place: WorldWidePortName,
    /// Shared with what is open through it; false once it is logged out.
    up: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// Port names that are logged in.
    logins: HashMap<WorldWidePortName, Login>,
    /// Physical ports without link.
    down: Vec<WorldWidePortName>,
    /// Units that an initiator has reserved.
    held: HashMap<(WorldWidePortName, Udid), (ReservePolicy, SanDevice)>,
}

fn block_error(error: SanError) -> StorageError {
    match error {
        SanError::UnknownUnit | SanError::NotVisible | SanError::UnitExists => StorageError::NoSuchUnit,
        SanError::Refused(error) => StorageError::Block(error),
    }
}

/// Ports of the Fibre Channel adapters of a managed system: location code and port name.
fn located_ports(system: &ManagedSystemDescription) -> Vec<(String, WorldWidePortName)> {
    let hardware = crate::frame::hardware(system);
    let ports = hardware.slots.iter().flat_map(|slot| &slot.ports);
    ports.filter_map(|port| Some((port.location.clone(), port.port_name?))).collect()
}

fn physical_ports(system: &ManagedSystemDescription) -> Vec<WorldWidePortName> {
    located_ports(system).into_iter().map(|(_, name)| name).collect()
}

fn identifier(disk: &SanDisk) -> Result<Udid, String> {
    disk.udid.to_string().parse().map_err(|_| format!("SAN disk {}: its identifier is not usable", disk.name))
}

impl StorageNetwork {
    /// Opens the storage of a site in `directory`.
    ///
    /// # Errors
    /// A text for the person.
    pub fn open(site: &Site, directory: &Path) -> Result<Arc<Self>, String> {
        let files = directory.join("san");
        varan_environment::make_directory(&files).map_err(|error| format!("{}: {error}", files.display()))?;
        let leases = LeaseDatabase::open(&directory.join("leases.db")).map_err(|error| error.to_string())?;
        let san = San::new(leases);
        let mut units = BTreeMap::new();
        for disk in &site.san_disks {
            let udid = identifier(disk)?;
            let bytes = u64::from(disk.size) << 20;
            let file = UnitFile::new(
                files.join(format!("{}.disk", disk.name)),
                bytes,
                disk.physical_volume_identifier,
            );
            san.add_unit(udid.clone(), Arc::new(file)).map_err(|error| error.to_string())?;
            units.insert(
                udid,
                KnownUnit { bytes, target_port: disk.target_port, number: disk.logical_unit_number },
            );
        }
        let names = site.san_disks.iter().map(|disk| Ok((disk.name.clone(), identifier(disk)?)));
        let names = names.collect::<Result<_, String>>()?;
        let ports = site.managed_systems.iter().flat_map(located_ports).collect();
        let state = Mutex::default();
        let network = Self { san, units, names, ports, state, cables: OnceLock::new() };
        network.zone(site)?;
        Ok(Arc::new(network))
    }

    /// Says where the cables of the Ethernet are.
    pub fn attach_cables(&self, cables: Arc<dyn CableFaults>) {
        // Once for each site: the first stays.
        let _ = self.cables.set(cables);
    }

    fn zone(&self, site: &Site) -> Result<(), String> {
        let systems: Vec<(&str, Vec<WorldWidePortName>)> = site
            .managed_systems
            .iter()
            .map(|system| (system.name.as_str(), physical_ports(system)))
            .collect();
        for disk in &site.san_disks {
            let udid = identifier(disk)?;
            let seen = systems.iter().filter(|(name, _)| disk.visible_to(name)).flat_map(|(_, ports)| ports);
            for initiator in seen.chain(&disk.port_names) {
                self.san.set_zone(*initiator, disk.target_port, true);
                let number = ArrayNumber(disk.logical_unit_number.0);
                self.san
                    .set_mask(*initiator, disk.target_port, number, Some(udid.clone()))
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the link from a physical port or gives it back. What is open through it is gone.
    fn set_link(&self, place: WorldWidePortName, up: bool) {
        let mut state = self.lock();
        state.down.retain(|port| *port != place);
        if up {
            return;
        }
        state.down.push(place);
        let lost: Vec<WorldWidePortName> =
            state.logins.iter().filter(|(_, login)| login.place == place).map(|(name, _)| *name).collect();
        let mut held = Vec::new();
        for name in lost {
            held.extend(self.log_out(&mut state, name));
        }
        // Giving a reservation back takes the array's own lock.
        drop(state);
        drop(held);
    }

    /// Forgets a log-in; what is returned is to be dropped.
    fn log_out(&self, state: &mut State, initiator: WorldWidePortName) -> Vec<(ReservePolicy, SanDevice)> {
        if let Some(login) = state.logins.remove(&initiator) {
            login.up.store(false, Ordering::Release);
        }
        self.san.logout(initiator);
        let volatile: Vec<(WorldWidePortName, Udid)> = state
            .held
            .iter()
            .filter(|((name, _), (policy, _))| *name == initiator && *policy == ReservePolicy::SinglePath)
            .map(|(key, _)| key.clone())
            .collect();
        volatile.iter().filter_map(|key| state.held.remove(key)).collect()
    }

    fn visible(&self, initiator: WorldWidePortName) -> Vec<FabricUnit> {
        let targets = self.san.login(initiator);
        let mut units = Vec::new();
        for target_port in targets {
            for (number, udid) in self.san.report_luns(initiator, target_port) {
                let bytes = self.units.get(&udid).map_or(0, |unit| unit.bytes);
                units.push(FabricUnit { udid, target_port, lun: LogicalUnitNumber(number.0), bytes });
            }
        }
        units
    }

    fn path(&self, initiator: WorldWidePortName, unit: &Udid) -> Result<SanPath, StorageError> {
        let target = self.units.get(unit).ok_or(StorageError::NoSuchUnit)?.target_port;
        Ok(SanPath { unit: unit.clone(), initiator, target })
    }

    /// Location of a unit at its storage port, for location codes.
    #[must_use]
    pub fn address(&self, unit: &Udid) -> Option<(WorldWidePortName, LogicalUnitNumber)> {
        self.units.get(unit).map(|unit| (unit.target_port, unit.number))
    }
}

impl Network for StorageNetwork {
    fn right_to_run(&self, partition: PartitionUuid, frame: SystemUuid) -> Result<Epoch, StorageError> {
        let unreachable = |_| StorageError::LinkDown;
        if let Some(record) = self.san.ownership(partition).map_err(unreachable)? {
            return if record.frame == frame { Ok(record.epoch) } else { Err(BlockError::Revoked.into()) };
        }
        let change = OwnershipChange { partition, expected: None, frame: Some(frame) };
        let outcomes = self.san.change_ownership(&[change]).map_err(unreachable)?;
        match outcomes.first() {
            Some(OwnershipOutcome::Changed(Some(record)) | OwnershipOutcome::Unexpected(Some(record)))
                if record.frame == frame =>
            {
                Ok(record.epoch)
            }
            _ => Err(BlockError::Revoked.into()),
        }
    }
}

/// A unit as it is open through a port: gone with the port's log-in.
struct Linked {
    device: SanDevice,
    up: Arc<AtomicBool>,
}

impl BlockDevice for Linked {
    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        if !self.up.load(Ordering::Acquire) {
            completion(Err(BlockError::Gone));
            return Ok(());
        }
        self.device.submit(request, completion)
    }

    fn wait_for_room(&self) {
        self.device.wait_for_room();
    }
}

impl StorageFaults for StorageNetwork {
    fn set_unit(&self, disk: &str, present: bool) -> Result<(), String> {
        let unknown = || format!("the site has no SAN disk {disk}");
        let unit = match self.names.get(disk) {
            Some(unit) => unit.clone(),
            None => disk.parse().map_err(|_| unknown())?,
        };
        self.san.set_present(&unit, present).map_err(|_| unknown())
    }

    fn set_port(&self, port: &str, up: bool) -> Result<(), String> {
        let named = self.ports.get(port).copied().or_else(|| port.parse().ok());
        if let Some(place) = named.filter(|place| self.ports.values().any(|known| known == place)) {
            self.set_link(place, up);
            return Ok(());
        }
        match self.cables.get() {
            Some(cables) if cables.set_cable(port, up) => Ok(()),
            _ => Err(format!("the site has no port {port}")),
        }
    }
}

impl StorageArray for StorageNetwork {
    fn epoch(&self, partition: PartitionUuid) -> Result<Option<Epoch>, StorageError> {
        let record = self.san.ownership(partition).map_err(|_| StorageError::LinkDown)?;
        Ok(record.map(|record| record.epoch))
    }

    fn login(&self, initiator: WorldWidePortName, place: WorldWidePortName) -> Result<(), StorageError> {
        let mut state = self.lock();
        if state.down.contains(&place) {
            return Err(StorageError::LinkDown);
        }
        match state.logins.get(&initiator) {
            Some(other) if other.place != place => Err(StorageError::NameInUse(initiator)),
            Some(_) => Ok(()),
            None => {
                state.logins.insert(initiator, Login { place, up: Arc::new(AtomicBool::new(true)) });
                self.san.login(initiator);
                Ok(())
            }
        }
    }

    fn logout(&self, initiator: WorldWidePortName) {
        let mut state = self.lock();
        let held = self.log_out(&mut state, initiator);
        drop(state);
        drop(held);
    }

    fn logged_in(&self, place: WorldWidePortName) -> Vec<WorldWidePortName> {
        let state = self.lock();
        let mut names: Vec<_> =
            state.logins.iter().filter(|(_, login)| login.place == place).map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }

    fn report_units(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        if !self.lock().logins.contains_key(&initiator) {
            return Err(StorageError::LinkDown);
        }
        Ok(self.visible(initiator))
    }

    fn would_see(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        let logged_in = self.lock().logins.contains_key(&initiator);
        let units = self.visible(initiator);
        if !logged_in {
            self.san.logout(initiator);
        }
        Ok(units)
    }

    fn open(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let path = self.path(initiator, unit)?;
        let (up, policy) = {
            let state = self.lock();
            let login = state.logins.get(&initiator).ok_or(StorageError::LinkDown)?;
            let held = state.held.get(&(initiator, unit.clone())).map(|(policy, _)| *policy);
            (login.up.clone(), held.unwrap_or(ReservePolicy::NoReserve))
        };
        let device = self.san.open(&path, nexus.clone(), policy).map_err(block_error)?;
        Ok(Arc::new(Linked { device, up }))
    }

    fn reserve(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        reservation: Reservation,
    ) -> Result<(), StorageError> {
        let policy = match reservation {
            Reservation::SinglePath => ReservePolicy::SinglePath,
            Reservation::PersistentExclusive(key) => ReservePolicy::PersistentExclusive(key),
            Reservation::PersistentShared(key) => ReservePolicy::PersistentShared(key),
        };
        let path = self.path(initiator, unit)?;
        let key = (initiator, unit.clone());
        if self.lock().held.get(&key).is_some_and(|(held, _)| *held == policy) {
            return Ok(());
        }
        // The reservation is the initiator's own, not a client's.
        let nexus = Nexus {
            client: PartitionUuid::from_random(u128::from(initiator.0)),
            epoch: Epoch(0),
            path: "reservation".parse().map_err(|_| StorageError::NoSuchUnit)?,
            generation: PathGeneration(0),
        };
        let device = self.san.open(&path, nexus, policy).map_err(block_error)?;
        let before = self.lock().held.insert(key, (policy, device));
        drop(before);
        Ok(())
    }

    fn release(&self, initiator: WorldWidePortName, unit: &Udid) {
        let held = self.lock().held.remove(&(initiator, unit.clone()));
        drop(held);
    }

    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError> {
        self.san.revoke_path(unit, nexus.client, &nexus.path, minimum).map_err(|_| StorageError::LinkDown)
    }
}
