//! A storage network in memory with faults, and a server on it.

#![allow(dead_code, missing_docs)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use varan_block_engine::{Fence, MemoryDevice};
use varan_contract::block::{
    BlockDevice, BlockError, BlockRequest, Completion, Epoch, Geometry, Nexus, PathGeneration, QueueFull,
    Udid,
};
use varan_contract::engine::{GuestLogicalPort, GuestNetworkAdapter};
use varan_contract::network::{
    ClientStatistics, NetworkDeviceStatistics, PingResult, PortStatistics, ServerNetwork,
    ServerNetworkConfiguration, VnicServerState,
};
use varan_contract::storage::{FabricUnit, Reservation, StorageArray, StorageClient, StorageError};
use varan_contract::vios::{
    DeviceSelector, RequestId, ViosAnswer, ViosCallError, ViosChange, ViosDone, ViosLink, ViosQuery,
};
use varan_environment::{Environment, Monotonic, RealEnvironment, WallClock};
use varan_model::hardware::{PciFunction, SlotDescription, SlotPort};
use varan_model::ids::{MacAddress, PartitionId, PartitionUuid, VirtualSlot, WorldWidePortName};
use varan_model::site::LogicalUnitNumber;
use varan_model::vios::ViosMessage;
use varan_vios::{
    AdapterKind, InitialNetwork, LocalDisk, ServerAdapter, ShutdownRequests, ViosAuthority, ViosSettings,
    ViosSpecification,
};

pub const TARGET_PORT: WorldWidePortName = WorldWidePortName(0x5005_0768_0140_F32C);
pub const GIB: u64 = 1 << 30;

#[derive(Default)]
struct ArrayState {
    units: BTreeMap<String, Arc<MemoryDevice>>,
    numbers: BTreeMap<String, u64>,
    vanished: HashSet<String>,
    down: HashSet<u64>,
    logins: HashMap<u64, u64>,
    reservations: HashMap<String, (u64, Reservation)>,
    unreachable: bool,
}

/// Disks that every port sees through one storage port.
#[derive(Default)]
pub struct TestArray {
    state: Arc<Mutex<ArrayState>>,
    pub fence: Arc<Fence>,
    /// Whoever asks for units waits while this is true, and is counted.
    stalled: Mutex<(bool, u32)>,
    changed: Condvar,
}

fn lock(state: &Mutex<ArrayState>) -> MutexGuard<'_, ArrayState> {
    state.lock().expect("unpoisoned")
}

pub fn udid(number: u64) -> Udid {
    format!("33213600507680C800010E0000000000{number:03X}04214503IBMfcp").parse().expect("valid")
}

impl TestArray {
    pub fn new(disks: u64, bytes: u64) -> Arc<Self> {
        let array = Self::default();
        for number in 0..disks {
            let mut state = lock(&array.state);
            state.units.insert(udid(number).to_string(), Arc::new(MemoryDevice::new(bytes)));
            state.numbers.insert(udid(number).to_string(), (number + 1) << 48);
        }
        Arc::new(array)
    }

    pub fn set_link(&self, place: WorldWidePortName, up: bool) {
        let mut state = lock(&self.state);
        if up {
            state.down.remove(&place.0);
            return;
        }
        state.down.insert(place.0);
        // A lost link ends the log-ins through it, and with them their reservations.
        let lost: Vec<u64> =
            state.logins.iter().filter(|(_, at)| **at == place.0).map(|(name, _)| *name).collect();
        for name in lost {
            state.logins.remove(&name);
            state.reservations.retain(|_, (port, kind)| *port != name || *kind != Reservation::SinglePath);
        }
    }

    /// The array does not answer questions about its units any more, or again.
    pub fn stall(&self, stalled: bool) {
        self.stalled.lock().expect("unpoisoned").0 = stalled;
        self.changed.notify_all();
    }

    /// Waits until somebody waits for the array.
    pub fn wait_for_asker(&self) {
        let mut state = self.stalled.lock().expect("unpoisoned");
        while state.1 == 0 {
            state = self.changed.wait(state).expect("unpoisoned");
        }
    }

    pub fn set_vanished(&self, number: u64, vanished: bool) {
        let mut state = lock(&self.state);
        if vanished {
            state.vanished.insert(udid(number).to_string());
        } else {
            state.vanished.remove(udid(number).as_str());
        }
    }

    pub fn raw(&self, number: u64) -> Arc<MemoryDevice> {
        lock(&self.state).units[udid(number).as_str()].clone()
    }

    pub fn holder(&self, number: u64) -> Option<WorldWidePortName> {
        lock(&self.state).reservations.get(udid(number).as_str()).map(|(port, _)| WorldWidePortName(*port))
    }

    fn place(state: &ArrayState, initiator: WorldWidePortName) -> Result<u64, StorageError> {
        let place = state.logins.get(&initiator.0).copied().ok_or(StorageError::LinkDown)?;
        if state.down.contains(&place) { Err(StorageError::LinkDown) } else { Ok(place) }
    }
}

impl StorageArray for TestArray {
    fn login(&self, initiator: WorldWidePortName, place: WorldWidePortName) -> Result<(), StorageError> {
        let mut state = lock(&self.state);
        if state.down.contains(&place.0) {
            return Err(StorageError::LinkDown);
        }
        match state.logins.get(&initiator.0) {
            Some(present) if *present != place.0 => Err(StorageError::NameInUse(initiator)),
            _ => {
                state.logins.insert(initiator.0, place.0);
                Ok(())
            }
        }
    }

    fn logout(&self, initiator: WorldWidePortName) {
        let mut state = lock(&self.state);
        state.logins.remove(&initiator.0);
        state.reservations.retain(|_, (port, kind)| *port != initiator.0 || *kind != Reservation::SinglePath);
    }

    fn logged_in(&self, place: WorldWidePortName) -> Vec<WorldWidePortName> {
        let state = lock(&self.state);
        let mut names: Vec<WorldWidePortName> = state
            .logins
            .iter()
            .filter(|(_, present)| **present == place.0)
            .map(|(name, _)| WorldWidePortName(*name))
            .collect();
        names.sort_unstable();
        names
    }

    fn report_units(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        let mut stalled = self.stalled.lock().expect("unpoisoned");
        stalled.1 += 1;
        self.changed.notify_all();
        while stalled.0 {
            stalled = self.changed.wait(stalled).expect("unpoisoned");
        }
        stalled.1 -= 1;
        drop(stalled);
        let state = lock(&self.state);
        Self::place(&state, initiator)?;
        Ok(state
            .units
            .iter()
            .filter(|(udid, _)| !state.vanished.contains(*udid))
            .map(|(udid, device)| FabricUnit {
                udid: udid.parse().expect("valid"),
                target_port: TARGET_PORT,
                lun: LogicalUnitNumber(state.numbers[udid]),
                bytes: device.geometry().size,
            })
            .collect())
    }

    fn would_see(&self, initiator: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        self.report_units(initiator)
    }

    fn open(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let (place, device) = {
            let state = lock(&self.state);
            let place = Self::place(&state, initiator)?;
            let device = state.units.get(unit.as_str()).filter(|_| !state.vanished.contains(unit.as_str()));
            let device = device.cloned().ok_or(StorageError::NoSuchUnit)?;
            conflict(&state, unit.as_str(), initiator)?;
            (place, device)
        };
        let way = Way { state: self.state.clone(), place, initiator, unit: unit.to_string(), device };
        Ok(Arc::new(self.fence.open(unit, Arc::new(way), nexus.clone())?))
    }

    fn reserve(
        &self,
        initiator: WorldWidePortName,
        unit: &Udid,
        reservation: Reservation,
    ) -> Result<(), StorageError> {
        let mut state = lock(&self.state);
        Self::place(&state, initiator)?;
        conflict(&state, unit.as_str(), initiator)?;
        state.reservations.insert(unit.to_string(), (initiator.0, reservation));
        Ok(())
    }

    fn release(&self, initiator: WorldWidePortName, unit: &Udid) {
        let mut state = lock(&self.state);
        if state.reservations.get(unit.as_str()).is_some_and(|(port, _)| *port == initiator.0) {
            state.reservations.remove(unit.as_str());
        }
    }

    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError> {
        if lock(&self.state).unreachable {
            return Err(StorageError::LinkDown);
        }
        self.fence.revoke_path(unit, nexus.client, &nexus.path, minimum).wait();
        Ok(())
    }
}

fn conflict(state: &ArrayState, unit: &str, initiator: WorldWidePortName) -> Result<(), StorageError> {
    match state.reservations.get(unit) {
        Some((port, _)) if *port != initiator.0 => Err(StorageError::Block(BlockError::ReservationConflict)),
        _ => Ok(()),
    }
}

/// A unit through one port.
struct Way {
    state: Arc<Mutex<ArrayState>>,
    place: u64,
    initiator: WorldWidePortName,
    unit: String,
    device: Arc<MemoryDevice>,
}

impl BlockDevice for Way {
    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        let refused = {
            let state = lock(&self.state);
            let in_place = state.logins.get(&self.initiator.0) == Some(&self.place);
            if !in_place || state.down.contains(&self.place) || state.vanished.contains(&self.unit) {
                Some(BlockError::Gone)
            } else if conflict(&state, &self.unit, self.initiator).is_err() {
                Some(BlockError::ReservationConflict)
            } else {
                None
            }
        };
        match refused {
            Some(error) => {
                completion(Err(error));
                Ok(())
            }
            None => self.device.submit(request, completion),
        }
    }

    fn wait_for_room(&self) {}
}

#[derive(Default)]
pub struct Shutdowns(pub Mutex<Vec<(bool, bool)>>);

impl ShutdownRequests for Shutdowns {
    fn shutdown_requested(&self, force: bool, restart: bool) {
        self.0.lock().expect("unpoisoned").push((force, restart));
    }
}

/// A directory that goes with the test.
pub struct Directory(pub PathBuf, bool);

impl Directory {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("varan-vios-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("temporary directory");
        Self(path, true)
    }
}

impl Directory {
    /// One of somebody else.
    pub fn kept(path: &std::path::Path) -> Self {
        Self(path.to_owned(), false)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.1 {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Randomness from a seed; time stands still.
pub struct Fixed(Mutex<u64>);

impl Environment for Fixed {
    fn monotonic(&self) -> Monotonic {
        Monotonic::default()
    }

    fn wall_clock(&self) -> WallClock {
        WallClock(1_700_000_000_000_000_000)
    }

    fn random(&self) -> u64 {
        varan_environment::split_mix(&mut self.0.lock().expect("unpoisoned"))
    }
}

pub struct Server {
    pub vios: Option<ViosAuthority>,
    pub array: Arc<TestArray>,
    pub shutdowns: Arc<Shutdowns>,
    pub directory: Arc<Directory>,
    pub number: u16,
    pub adapters: Vec<ServerAdapter>,
    pub fence: Arc<Fence>,
    pub network: Arc<TestNetwork>,
    pub initial_network: Option<InitialNetwork>,
    pub level: String,
    /// Physical Ethernet ports: address of each.
    pub ports: Vec<u64>,
    pub logical_ports: Vec<GuestLogicalPort>,
    generation: u64,
    request: u128,
}

/// A virtual Ethernet adapter; a trunk with a priority.
pub fn ethernet(slot: u16, address: u64, vlan: u16, trunk: Option<u8>) -> ServerAdapter {
    let mut adapter =
        GuestNetworkAdapter::untagged(VirtualSlot(slot), MacAddress(address), "ETHERNET0", vlan);
    adapter.trunk_priority = trunk;
    let kind = AdapterKind::Ethernet(Box::new(adapter));
    ServerAdapter { slot: VirtualSlot(slot), kind, remote: None, remote_slot: None }
}

/// A network engine that remembers what it was told.
#[derive(Default)]
pub struct TestNetwork {
    pub configurations: Mutex<Vec<ServerNetworkConfiguration>>,
    pub resets: Mutex<Vec<String>>,
    pub vnics: Mutex<BTreeMap<u16, VnicServerState>>,
}

impl TestNetwork {
    pub fn last(&self) -> ServerNetworkConfiguration {
        self.configurations.lock().expect("unpoisoned").last().cloned().unwrap_or_default()
    }
}

impl ServerNetwork for TestNetwork {
    fn configure(&self, configuration: ServerNetworkConfiguration) {
        self.configurations.lock().expect("unpoisoned").push(configuration);
    }

    fn statistics(&self, device: &str) -> Option<NetworkDeviceStatistics> {
        let port = PortStatistics { transmitted_frames: device.len() as u64, ..PortStatistics::default() };
        Some(NetworkDeviceStatistics { port, ..NetworkDeviceStatistics::default() })
    }

    fn reset_statistics(&self, device: &str) {
        self.resets.lock().expect("unpoisoned").push(device.to_owned());
    }

    fn accounting(&self, _: &str) -> Vec<ClientStatistics> {
        Vec::new()
    }

    fn reset_accounting(&self, device: &str) {
        self.resets.lock().expect("unpoisoned").push(format!("{device} accounting"));
    }

    fn vnic_server(&self, slot: VirtualSlot) -> Option<VnicServerState> {
        self.vnics.lock().expect("unpoisoned").get(&slot.0).cloned()
    }

    fn vnic_client(&self, _: VirtualSlot) -> Option<(String, String)> {
        Some(("AIX".to_owned(), "ent0".to_owned()))
    }

    fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)> {
        Vec::new()
    }

    fn interface(&self, _: &str) -> Option<PortStatistics> {
        None
    }

    fn ping(&self, _: Ipv4Addr, count: u32, _: u16, _: Duration) -> PingResult {
        PingResult { sent: count, answers: Vec::new(), unreachable: true }
    }
}

pub fn port(server: u16, number: u64) -> WorldWidePortName {
    WorldWidePortName(0x1000_0090_FA00_0000 + u64::from(server) * 0x100 + number)
}

pub fn client(id: u16, slot: u16) -> StorageClient {
    StorageClient {
        partition: PartitionUuid(u128::from(id) + 0xC000),
        id: PartitionId(id),
        name: format!("lpar{id}"),
        operating_system: "AIX".into(),
        machine: "8286-41A*21AFF8V".parse().expect("valid"),
        slot: VirtualSlot(slot),
        device: "vscsi0".into(),
    }
}

pub fn nexus(id: u16, path: &str, generation: u64) -> Nexus {
    Nexus {
        client: client(id, 2).partition,
        epoch: Epoch::default(),
        path: path.parse().expect("valid"),
        generation: PathGeneration(generation),
    }
}

pub fn name(text: &str) -> DeviceSelector {
    DeviceSelector::Name(text.into())
}

impl Server {
    /// Number 1 or 2 on one array, with two ports, ten server adapters of virtual SCSI in slots 40 to 49 and two of Fibre
    /// Channel in slots 60 and 61; not running.
    pub fn new(number: u16, array: &Arc<TestArray>) -> Self {
        Self::at(number, array, Arc::new(Directory::new()))
    }

    /// The same in a directory.
    pub fn at(number: u16, array: &Arc<TestArray>, directory: Arc<Directory>) -> Self {
        let mut adapters: Vec<ServerAdapter> = (40..50)
            .map(|slot| ServerAdapter {
                slot: VirtualSlot(slot),
                kind: AdapterKind::ScsiServer,
                remote: None,
                remote_slot: None,
            })
            .collect();
        for slot in 60..62 {
            let kind = AdapterKind::FibreChannelServer;
            adapters.push(ServerAdapter { slot: VirtualSlot(slot), kind, remote: None, remote_slot: None });
        }
        adapters.push(ethernet(2, 0x0202_0304_0506, 1, None));
        let kind = AdapterKind::Serial;
        adapters.push(ServerAdapter { slot: VirtualSlot(0), kind, remote: None, remote_slot: None });
        let mut server = Self {
            vios: None,
            array: array.clone(),
            shutdowns: Arc::default(),
            directory,
            number,
            adapters,
            fence: Fence::new(),
            network: Arc::default(),
            initial_network: None,
            level: "2.2.5.10".into(),
            ports: Vec::new(),
            logical_ports: Vec::new(),
            generation: 0,
            request: u128::from(number) << 64 | u128::from(std::process::id()) << 32,
        };
        server.open();
        server
    }

    /// A server that runs.
    pub fn running(number: u16, array: &Arc<TestArray>) -> Self {
        let mut server = Self::new(number, array);
        server.boot();
        server
    }

    pub fn settings(&self) -> ViosSettings {
        ViosSettings {
            partition: PartitionUuid(0xA000 + u128::from(self.number)),
            directory: self.directory.0.join("vios"),
            level: self.level.clone(),
            platform_level: "6.1.0.0".into(),
            time_scale: 1.0,
            initial_network: self.initial_network.clone(),
        }
    }

    pub fn open(&mut self) {
        self.vios = None;
        let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
        let opened = ViosAuthority::open(
            &self.settings(),
            environment,
            self.array.clone(),
            self.fence.clone(),
            self.shutdowns.clone(),
            self.network.clone(),
        );
        self.vios = Some(opened.expect("opens"));
    }

    pub fn specification(&self) -> ViosSpecification {
        let slot = |number: u64| SlotDescription {
            drc_index: 0x2101_0200 + u32::try_from(number).expect("small"),
            bus: 513,
            unit: "U78C9.001.WZS8141".into(),
            location: format!("U78C9.001.WZS8141-P1-C{number}"),
            description: "Fibre Channel".into(),
            occupied: true,
            function: PciFunction::default(),
            ports: vec![SlotPort {
                location: format!("U78C9.001.WZS8141-P1-C{number}-T1"),
                mac_address: None,
                port_name: Some(port(self.number, number)),
            }],
        };
        ViosSpecification {
            generation: self.generation,
            hostname: format!("vios{}", self.number),
            name: format!("vios{}", self.number),
            id: PartitionId(self.number),
            machine: "8286-41A*21AFF8V".parse().expect("valid"),
            firmware: "IBM,FW860.10 (SV860_056)".into(),
            memory: 8_192,
            processors: 2,
            adapters: self.adapters.clone(),
            slots: vec![slot(2), slot(3), self.ethernet_slot()],
            logical_ports: self.logical_ports.clone(),
            local_disks: vec![LocalDisk {
                location: "U78C9.001.WZS8141-P2-D1".into(),
                adapter: None,
                megabytes: 139_264,
                file: self.directory.0.join("boot.disk"),
                identifier: None,
                boot: true,
            }],
            disk_names: Vec::new(),
        }
    }

    /// An adapter in slot C7 with the server's physical Ethernet ports.
    fn ethernet_slot(&self) -> SlotDescription {
        let location = "U78C9.001.WZS8141-P1-C7".to_owned();
        let ports = self.ports.iter().enumerate().map(|(index, address)| SlotPort {
            location: format!("{location}-T{}", index + 1),
            mac_address: Some(MacAddress(*address)),
            port_name: None,
        });
        SlotDescription {
            drc_index: 0x2101_0300,
            bus: 514,
            unit: "U78C9.001.WZS8141".into(),
            description: "Ethernet".into(),
            occupied: !self.ports.is_empty(),
            function: PciFunction::default(),
            ports: ports.collect(),
            location,
        }
    }

    pub fn boot(&mut self) {
        self.generation += 1;
        self.get().boot(self.specification()).expect("boots");
    }

    /// kill -9 of the server's process, and its next start.
    pub fn reopen(&mut self) {
        self.vios = None;
        self.open();
        self.boot();
    }

    pub fn get(&self) -> &ViosAuthority {
        self.vios.as_ref().expect("open")
    }

    pub fn request(&mut self) -> RequestId {
        self.request += 1;
        RequestId(self.request)
    }

    pub fn change(&mut self, change: ViosChange) -> Result<ViosDone, ViosCallError> {
        let id = self.request();
        self.get().change(id, change)
    }

    pub fn done(&mut self, change: ViosChange) -> ViosDone {
        let text = format!("{change:?}");
        self.change(change).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    pub fn refused(&mut self, change: ViosChange) -> ViosMessage {
        let text = format!("{change:?}");
        match self.change(change) {
            Err(ViosCallError::Refused(refusal)) => refusal.message,
            other => panic!("{text}: {other:?}"),
        }
    }

    pub fn ask(&self, query: ViosQuery) -> ViosAnswer {
        let text = format!("{query:?}");
        self.get().ask(query).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    pub fn map(&mut self, backing: &str, adapter: &str, force: bool) -> Result<ViosDone, ViosCallError> {
        self.change(ViosChange::MapDevice {
            backing: name(backing),
            adapter: name(adapter),
            target: None,
            force,
            mirrored: false,
        })
    }

    pub fn share(&mut self, disk: &str) {
        self.done(ViosChange::ChangeDevice {
            device: name(disk),
            attributes: vec![("reserve_policy".into(), "no_reserve".into())],
            permanent_only: false,
        });
    }
}
