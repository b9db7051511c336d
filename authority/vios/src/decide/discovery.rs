//! What there is becomes devices: at each start, and when `cfgdev` looks for new things.
//!
//! ```text
//!            found                      found
//! (nothing) -------> Available <------------------- Defined
//!                        |                             ^
//!                        '---- not there at a start ---'
//! ```
//!
//! A device is known again by its kind and location, a disk by its unique identifier; so names stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use varan_contract::engine::GuestLogicalPort;
use varan_contract::vios::{DeviceOutcome, DeviceSelector};
use varan_model::hardware::SlotDescription;
use varan_model::vios::device::DiskDetail;
use varan_model::vios::{
    Device, DeviceDetail, DeviceKind, DeviceName, DeviceState, ErrorTemplate, FibreChannelPort, PathState,
    ReservePolicy, ViosMessage, ViosRefusal,
};

use super::{Draft, Facts, Found, disk_of, find, network, refuse, root};
use crate::settings::{AdapterKind, ServerAdapter, ViosSpecification};
use crate::world::{Change, Path, Running};

/// Virtual ports of a physical port, and names that it can log in (captures of `lsnports`).
const PORTS_OF_A_PORT: u16 = 64;
const NAMES_OF_A_PORT: u16 = 2_048;

/// A look for devices.
struct Search<'a> {
    draft: &'a mut Draft,
    /// Those that are there.
    seen: BTreeSet<DeviceName>,
    /// Names that the site gives disks: nothing else gets them.
    kept: BTreeSet<DeviceName>,
    /// Devices by kind and location, looked up once.
    places: BTreeMap<(DeviceKind, String), DeviceName>,
    /// New devices are only made below this one.
    below: Option<DeviceName>,
}

/// The server's operating system comes up.
pub(crate) fn boot(draft: &mut Draft, specification: &ViosSpecification, facts: &Facts<'_>) {
    let mut adapters = crate::ordered::OrderedTable::default();
    for adapter in &specification.adapters {
        adapters.put(adapter.slot.0, adapter.clone());
    }
    let mut logical_ports = crate::ordered::OrderedTable::default();
    for port in &specification.logical_ports {
        logical_ports.put(port.id.0, Arc::new(port.clone()));
    }
    let running = Running { specification: specification.clone(), adapters, logical_ports, stopping: false };
    draft.change(Change::Running(Some(Box::new(running))));
    let mut own = (*draft.world.own).clone();
    let crashed = !own.stopped && own.generation != 0;
    own.generation = specification.generation;
    own.stopped = false;
    if own.hostname.is_empty() {
        own.hostname.clone_from(&specification.hostname);
    }
    draft.change(Change::Own(Box::new(own)));
    let slots: Vec<u16> = draft.world.connected.iter().map(|(slot, _)| *slot).collect();
    for slot in slots {
        draft.change(Change::Connected(slot, None));
    }
    if crashed {
        draft.log(facts.now, ErrorTemplate::Dump, "SYSDUMP", Vec::new());
    }
    draft.log(facts.now, ErrorTemplate::LoggingOn, "errdemon", Vec::new());
    draft.log(facts.now, ErrorTemplate::RmcStarted, "RMCdaemon", Vec::new());
    let seen = look(draft, None, facts);
    forget_what_is_gone(draft, &seen);
    network::configure(draft);
    for failure in network::install(draft) {
        eprintln!("vios: the network that the site gives is incomplete: {failure}");
    }
    root::install(draft, facts);
    root::mark_groups(draft, facts);
    configure_targets(draft, facts);
    draft.done = varan_contract::vios::ViosDone::default();
}

/// `cfgdev`: what is new or was only defined becomes available.
pub(crate) fn configure(
    draft: &mut Draft,
    below: Option<&DeviceSelector>,
    facts: &Facts<'_>,
) -> Result<(), ViosRefusal> {
    let below = below.map(|selector| find(&draft.world, selector)).transpose()?;
    if let Some(device) = &below
        && device.state != DeviceState::Available
    {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(&device.name));
    }
    look(draft, below.map(|device| device.name.clone()), facts);
    network::configure(draft);
    configure_targets(draft, facts);
    Ok(())
}

/// The server adapter of a virtual NIC that was added is configured at once, without `cfgdev`.
pub(super) fn configure_vnic(draft: &mut Draft, adapter: &ServerAdapter) {
    let AdapterKind::VnicServer(server) = &adapter.kind else { return };
    let mut places = BTreeMap::new();
    for location in [draft.world.virtual_location(adapter.slot), server.logical_port.location.clone()] {
        for name in draft.world.locations.get(&location).into_iter().flat_map(|names| names.iter()) {
            if let Some(device) = draft.world.devices.get(name) {
                places.insert((device.kind, location.clone()), name.clone());
            }
        }
    }
    let (seen, kept) = (BTreeSet::new(), BTreeSet::new());
    let mut search = Search { draft, seen, kept, places, below: None };
    search.virtual_adapter(adapter);
}

fn look(draft: &mut Draft, below: Option<DeviceName>, facts: &Facts<'_>) -> BTreeSet<DeviceName> {
    let Some(running) = draft.world.running.clone() else { return BTreeSet::new() };
    let Some(found) = &facts.found else { return BTreeSet::new() };
    let specification = &running.specification;
    let kept = specification.disk_names.iter().filter_map(|(_, name)| name.parse().ok()).collect();
    let places = draft
        .world
        .devices
        .values()
        .map(|device| ((device.kind, device.location.clone()), device.name.clone()))
        .collect();
    let mut search = Search { draft, seen: BTreeSet::new(), kept, places, below };
    search.pseudo_devices(specification);
    for slot in specification.slots.iter().filter(|slot| slot.occupied) {
        search.slot(slot);
    }
    let adapters: Vec<ServerAdapter> = running.adapters.values().cloned().collect();
    for adapter in &adapters {
        search.virtual_adapter(adapter);
    }
    for port in running.logical_ports.values() {
        search.logical_port(port);
    }
    search.local_disks(found);
    search.fabric_disks(specification, found);
    search.seen
}

impl Search<'_> {
    /// Whether a device belongs to what is looked at.
    fn wanted(&self, parent: Option<&DeviceName>) -> bool {
        let Some(below) = &self.below else { return true };
        let mut above = parent.cloned();
        while let Some(name) = above {
            if name == *below {
                return true;
            }
            above = self.draft.world.devices.get(&name).and_then(|device| device.parent.clone());
        }
        false
    }

    /// The device of a kind at a place, made if there is none; available from now on.
    fn device(
        &mut self,
        kind: DeviceKind,
        location: &str,
        parent: Option<&DeviceName>,
        detail: DeviceDetail,
    ) -> Option<DeviceName> {
        let place = (kind, location.to_owned());
        if let Some(name) = self.places.get(&place).cloned() {
            self.present(&name, parent, Some(detail));
            return Some(name);
        }
        if !self.wanted(parent) {
            return None;
        }
        let name = self.draft.world.free_name(kind.prefix(), &self.kept);
        self.places.insert(place, name.clone());
        self.make(name.clone(), kind, location.to_owned(), parent.cloned(), detail);
        Some(name)
    }

    fn make(
        &mut self,
        name: DeviceName,
        kind: DeviceKind,
        location: String,
        parent: Option<DeviceName>,
        detail: DeviceDetail,
    ) {
        let device = Device {
            name: name.clone(),
            kind,
            state: DeviceState::Available,
            location,
            parent,
            description: None,
            attributes: BTreeMap::new(),
            pending: BTreeMap::new(),
            detail,
        };
        self.draft.put_device(device);
        self.draft.outcome(&name, DeviceOutcome::Available);
        self.seen.insert(name);
    }

    /// A device that is known is there.
    fn present(&mut self, name: &DeviceName, parent: Option<&DeviceName>, detail: Option<DeviceDetail>) {
        self.seen.insert(name.clone());
        let Some(device) = self.draft.world.devices.get(name).cloned() else { return };
        if !self.wanted(device.parent.as_ref()) {
            return;
        }
        let mut next = (*device).clone();
        next.parent = parent.cloned().or(next.parent);
        next.detail = detail.unwrap_or(next.detail);
        let was_available = device.state == DeviceState::Available;
        if !was_available || self.starts() {
            take_pending(&mut next);
            next.state = DeviceState::Available;
        }
        if next != *device {
            self.draft.put_device(next);
        }
        if !was_available {
            self.draft.outcome(name, DeviceOutcome::Available);
        }
    }

    /// Whether this is a start: nothing was connected or running before in this draft.
    fn starts(&self) -> bool {
        matches!(self.draft.changes.first(), Some(Change::Running(_)))
    }

    fn pseudo_devices(&mut self, specification: &ViosSpecification) {
        let none = || DeviceDetail::None;
        let system = self.device(DeviceKind::System, "", None, none());
        let system = system.as_ref();
        self.device(DeviceKind::Memory, "", system, none());
        self.device(DeviceKind::Cache, "", system, none());
        for number in 0..specification.processors {
            // Names of processors go up in steps of their threads.
            let name = DeviceName::numbered(DeviceKind::Processor.prefix(), number * 4);
            if self.draft.world.devices.contains(&name) {
                self.present(&name, system, None);
            } else if self.wanted(system) {
                self.make(name, DeviceKind::Processor, String::new(), system.cloned(), none());
            }
        }
        let bus = self.device(DeviceKind::VirtualBus, "", system, none());
        self.device(DeviceKind::Internet, "", None, none());
        self.device(DeviceKind::Loopback, "", None, none());
        self.device(DeviceKind::Vasi, "", bus.as_ref(), none());
        self.device(DeviceKind::VirtualBlockStorage, "", None, none());
        self.device(DeviceKind::LivePartitionMobility, "", None, none());
    }

    fn slot(&mut self, slot: &SlotDescription) {
        let Some(system) = self.draft.world.device("sys0").map(|device| device.name.clone()) else { return };
        let fibre = slot.ports.iter().any(|port| port.port_name.is_some());
        let ethernet = slot.ports.iter().any(|port| port.mac_address.is_some());
        let sas = slot.description.contains("SAS");
        if !(fibre || ethernet || sas) {
            return;
        }
        let Some(bus) = self.device(DeviceKind::PciBus, &slot.location, Some(&system), DeviceDetail::None)
        else {
            return;
        };
        for port in &slot.ports {
            if let Some(port_name) = port.port_name {
                let detail = DeviceDetail::FibreChannel(FibreChannelPort {
                    port_name,
                    fabric: true,
                    total_ports: PORTS_OF_A_PORT,
                    total_names: NAMES_OF_A_PORT,
                });
                let adapter =
                    self.device(DeviceKind::FibreChannelAdapter, &port.location, Some(&bus), detail);
                if let Some(adapter) = adapter {
                    let kind = DeviceKind::FibreChannelProtocol;
                    self.device(kind, &port.location, Some(&adapter), DeviceDetail::None);
                }
            } else if let Some(mac_address) = port.mac_address {
                let detail = DeviceDetail::Ethernet { mac_address, slot: None, logical_port: None };
                self.ethernet(DeviceKind::EthernetAdapter, &port.location, &bus, detail);
            }
        }
        if sas && !fibre && !ethernet {
            self.sas(&slot.location, &bus);
        }
    }

    fn sas(&mut self, location: &str, bus: &DeviceName) -> Option<DeviceName> {
        let adapter = self.device(DeviceKind::SasAdapter, location, Some(bus), DeviceDetail::None)?;
        self.device(DeviceKind::SasProtocol, location, Some(&adapter), DeviceDetail::None)
    }

    /// An SR-IOV logical port: on the real thing each has a bus of its own.
    fn logical_port(&mut self, port: &GuestLogicalPort) {
        let system = self.draft.world.device("sys0").map(|device| device.name.clone());
        let bus = self.device(DeviceKind::PciBus, &port.location, system.as_ref(), DeviceDetail::None);
        let Some(bus) = bus else { return };
        let detail =
            DeviceDetail::Ethernet { mac_address: port.mac_address, slot: None, logical_port: Some(port.id) };
        let name = self.ethernet(DeviceKind::LogicalPort, &port.location, &bus, detail);
        let Some(device) = name.and_then(|name| self.draft.world.devices.get(&name).cloned()) else { return };
        let description =
            format!("{} VF({})", port.description.trim_end(), DeviceKind::LogicalPort.row().unique_type);
        if device.description() != description {
            self.draft.put_device(Device { description: Some(description), ..(*device).clone() });
        }
    }

    fn ethernet(
        &mut self,
        kind: DeviceKind,
        location: &str,
        bus: &DeviceName,
        detail: DeviceDetail,
    ) -> Option<DeviceName> {
        let adapter = self.device(kind, location, Some(bus), detail)?;
        // Interfaces have the number of their adapter, and no place of their own.
        let number = adapter.parts().1?;
        for kind in [DeviceKind::EthernetInterface, DeviceKind::Ieee8023Interface] {
            let name = DeviceName::numbered(kind.prefix(), number);
            match self.draft.world.devices.get(&name).map(|device| device.state) {
                // An interface that nobody configured is defined.
                Some(_) => {
                    let device =
                        self.draft.world.devices.get(&name).filter(|device| !device.pending.is_empty());
                    if let Some(device) = device.filter(|_| self.starts()) {
                        let mut next = (**device).clone();
                        take_pending(&mut next);
                        network::settle_interface(&mut next);
                        self.draft.put_device(next);
                    }
                    self.seen.insert(name);
                }
                None if self.wanted(Some(&adapter)) => {
                    self.make(name.clone(), kind, String::new(), Some(adapter.clone()), DeviceDetail::None);
                    if let Some(device) = self.draft.world.devices.get(&name) {
                        let device = Device { state: DeviceState::Defined, ..(**device).clone() };
                        self.draft.put_device(device);
                        self.draft.done.devices.pop();
                    }
                }
                None => {}
            }
        }
        Some(adapter)
    }

    fn virtual_adapter(&mut self, adapter: &ServerAdapter) {
        let Some(bus) = self.draft.world.device("vio0").map(|device| device.name.clone()) else { return };
        let place = self.draft.world.virtual_location(adapter.slot);
        let detail = DeviceDetail::VirtualAdapter { slot: adapter.slot };
        match &adapter.kind {
            AdapterKind::ScsiServer => {
                drop(self.device(DeviceKind::VirtualScsiServer, &place, Some(&bus), detail))
            }
            AdapterKind::FibreChannelServer => {
                self.device(DeviceKind::VirtualFibreChannelServer, &place, Some(&bus), detail);
            }
            AdapterKind::Ethernet(ethernet) => {
                let mac_address = ethernet.mac_address;
                let detail =
                    DeviceDetail::Ethernet { mac_address, slot: Some(adapter.slot), logical_port: None };
                self.ethernet(DeviceKind::VirtualEthernetAdapter, &format!("{place}-T1"), &bus, detail);
            }
            AdapterKind::Serial => {
                let serial = self.device(DeviceKind::VirtualSerialAdapter, &place, Some(&bus), detail);
                let kind = DeviceKind::VirtualTerminal;
                self.device(kind, &format!("{place}-L0"), serial.as_ref(), DeviceDetail::None);
            }
            AdapterKind::VnicServer(server) => {
                self.logical_port(&server.logical_port);
                self.device(DeviceKind::VirtualNicServer, &place, Some(&bus), detail);
            }
            AdapterKind::Vasi => {}
        }
    }

    fn local_disks(&mut self, found: &Found) {
        for (disk, header) in &found.local {
            let place = disk.adapter.clone().unwrap_or_else(|| planar(&disk.location));
            let protocol = match self.places.get(&(DeviceKind::SasProtocol, place.clone())).cloned() {
                Some(name) => {
                    self.seen.insert(name.clone());
                    Some(name)
                }
                // A disk whose adapter belongs to another partition is not seen.
                None if disk.adapter.is_some() => continue,
                None => {
                    let bus = self.draft.world.device("sys0").map(|device| device.name.clone());
                    bus.and_then(|bus| self.sas(&place, &bus))
                }
            };
            let Some(parent) = protocol else { continue };
            for device in [Some(&parent), self.parent_of(&parent).as_ref()].into_iter().flatten() {
                self.seen.insert(device.clone());
            }
            let pvid = header.and_then(|header| header.identifier);
            let Ok(udid) = local_udid(&disk.location).parse() else { continue };
            let connection = format!("{},0", &local_udid(&disk.location).to_lowercase()[4..20]);
            let detail = DiskDetail {
                udid,
                megabytes: disk.megabytes,
                pvid,
                fabric: None,
                reserve_policy: ReservePolicy::None,
            };
            let kind = DeviceKind::SasDisk;
            let detail = DeviceDetail::Disk(self.kept_detail(detail, header.is_some()));
            if let Some(name) = self.device(kind, &disk.location, Some(&parent), detail) {
                let state = PathState::Enabled;
                let path = Path { number: 0, parent, initiator: None, target: None, connection, state };
                self.set_paths(&name, vec![path]);
            }
        }
    }

    fn parent_of(&self, name: &DeviceName) -> Option<DeviceName> {
        self.draft.world.devices.get(name).and_then(|device| device.parent.clone())
    }

    /// Reserve policy and, where the disk could not be read, the identifier stay as they were.
    fn kept_detail(&self, mut detail: DiskDetail, readable: bool) -> DiskDetail {
        let known = self.draft.world.units.get(&detail.udid.to_string());
        let known = known.and_then(|name| self.draft.world.devices.get(name));
        if let Some(known) = known.and_then(|device| disk_of(device)) {
            detail.reserve_policy = known.reserve_policy;
            if !readable {
                detail.pvid = known.pvid;
            }
        }
        detail
    }

    fn fabric_disks(&mut self, specification: &ViosSpecification, found: &Found) {
        let names: BTreeMap<&str, &str> =
            specification.disk_names.iter().map(|(udid, name)| (udid.as_str(), name.as_str())).collect();
        let mut disks: BTreeMap<String, (usize, Vec<Path>, DiskDetail)> = BTreeMap::new();
        let mut failed = Vec::new();
        for view in &found.ports {
            let Some(port) = self.draft.world.ports.get(&view.initiator.0).cloned() else { continue };
            let protocol = self.protocol_of(&port);
            let Some(protocol) = protocol else { continue };
            let Ok(units) = &view.units else {
                failed.push(protocol);
                continue;
            };
            for unit in units {
                let order = disks.len();
                let Ok(udid) = unit.udid.as_str().parse() else { continue };
                let header = found.headers.get(&unit.udid);
                let disk = disks.entry(unit.udid.as_str().to_owned()).or_insert_with(|| {
                    let detail = DiskDetail {
                        udid,
                        megabytes: unit.bytes >> 20,
                        pvid: header.and_then(|header| header.identifier),
                        fabric: Some((unit.target_port, unit.lun)),
                        reserve_policy: ReservePolicy::SinglePath,
                    };
                    (order, Vec::new(), self.kept_detail(detail, header.is_some()))
                });
                disk.1.push(Path {
                    number: 0,
                    parent: protocol.clone(),
                    initiator: Some(view.initiator),
                    target: Some(unit.target_port),
                    connection: format!("{:016x},{:x}", unit.target_port.0, unit.lun.0),
                    state: PathState::Enabled,
                });
            }
        }
        let mut ordered: Vec<_> = disks.into_iter().collect();
        ordered.sort_by_key(|(_, (order, _, _))| *order);
        for (udid, (_, paths, detail)) in ordered {
            self.fabric_disk(&udid, names.get(udid.as_str()).copied(), paths, detail);
        }
    }

    fn protocol_of(&self, port: &DeviceName) -> Option<DeviceName> {
        let port = self.draft.world.devices.get(port)?;
        if port.state != DeviceState::Available {
            return None;
        }
        let mut children = self.draft.world.children_of(&port.name).iter();
        children
            .find(|child| {
                self.draft.world.devices.get(child).is_some_and(|device| {
                    device.kind == DeviceKind::FibreChannelProtocol && device.state == DeviceState::Available
                })
            })
            .cloned()
    }

    fn fabric_disk(&mut self, udid: &str, given: Option<&str>, paths: Vec<Path>, detail: DiskDetail) {
        let Some(first) = paths.first() else { return };
        let parent = first.parent.clone();
        let known = self.draft.world.units.get(&udid.to_owned()).cloned();
        let name = match known {
            Some(name) => {
                self.present(&name, None, Some(DeviceDetail::Disk(detail)));
                name
            }
            None => {
                if !self.wanted(Some(&parent)) {
                    return;
                }
                let given: Option<DeviceName> = given.and_then(|name| name.parse().ok());
                let free = given.filter(|name| !self.draft.world.devices.contains(name));
                let prefix = DeviceKind::FibreChannelDisk.prefix();
                let name = free.unwrap_or_else(|| self.draft.world.free_name(prefix, &self.kept));
                let location = self.disk_location(&parent, &detail);
                let kind = DeviceKind::FibreChannelDisk;
                let description = description_of(&name, udid);
                self.make(name.clone(), kind, location, Some(parent), DeviceDetail::Disk(detail));
                if let Some(device) = self.draft.world.devices.get(&name) {
                    let device = Device { description: description.map(str::to_owned), ..(**device).clone() };
                    self.draft.put_device(device);
                }
                name
            }
        };
        self.set_paths(&name, paths);
    }

    fn disk_location(&self, parent: &DeviceName, detail: &DiskDetail) -> String {
        let place =
            self.draft.world.devices.get(parent).map(|device| device.location.clone()).unwrap_or_default();
        match detail.fabric {
            Some((port, lun)) => format!("{place}-W{:016X}-L{lun}", port.0),
            None => place,
        }
    }

    /// Paths that were known keep their numbers and stay disabled where they were; those that are not there are missing.
    fn set_paths(&mut self, disk: &DeviceName, found: Vec<Path>) {
        let before = self.draft.world.paths.get(disk).cloned().unwrap_or_default();
        let mut paths: Vec<Path> = (*before).clone();
        for path in &mut paths {
            let there = found.iter().any(|other| same_path(path, other));
            path.state = match (there, path.state) {
                (true, PathState::Disabled) => PathState::Disabled,
                (true, _) => PathState::Enabled,
                (false, state) if !self.starts() => state,
                (false, _) => PathState::Missing,
            };
        }
        for mut path in found {
            if !paths.iter().any(|other| same_path(&path, other)) {
                path.number = paths.iter().map(|path| path.number + 1).max().unwrap_or(0);
                paths.push(path);
            }
        }
        if paths != *before {
            self.draft.change(Change::PutPaths(disk.clone(), paths));
        }
    }
}

/// What a disk of a known maker is called: PowerPath's pseudo devices as in the seeds' listing of a pool, disks of an SVC as
/// captured.
fn description_of(name: &DeviceName, udid: &str) -> Option<&'static str> {
    if name.parts().0 == "hdiskpower" {
        return Some("PowerPath Device");
    }
    udid.ends_with("214503IBMfcp").then_some("MPIO IBM 2145 FC Disk")
}

fn same_path(one: &Path, other: &Path) -> bool {
    one.parent == other.parent && one.connection == other.connection
}

/// Attributes that waited for the device to be configured are in force.
pub(super) fn take_pending(device: &mut Device) {
    let pending: Vec<(String, String)> = std::mem::take(&mut device.pending).into_iter().collect();
    for (name, value) in pending {
        super::device::set_attribute(device, &name, value);
    }
}

/// Where the controller on the planar is that a disk without an adapter hangs on: `U78C9.001.WZS8141-P1`.
fn planar(location: &str) -> String {
    let unit = location.split('-').next().unwrap_or_default();
    format!("{unit}-P1")
}

/// Unique identifier of a disk inside the machine, from its place.
pub(crate) fn local_udid(location: &str) -> String {
    let mut hash: u128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D;
    for byte in location.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B);
    }
    format!("2A1135000C{:014X}03IBMsas", (hash ^ (hash >> 56)) & 0xFF_FFFF_FFFF_FFFF)
}

/// Whether a location code is that of an SR-IOV logical port: it ends with `-S5`.
fn is_logical_place(location: &str) -> bool {
    location.rsplit('-').next().is_some_and(|part| part.starts_with('S'))
}

/// Whether a device is an interface of one that is made of others: it is there as long as that is.
fn is_interface_of_made(world: &crate::world::Snapshot, device: &Device) -> bool {
    let parent = device.parent.as_ref().and_then(|parent| world.devices.get(parent));
    parent.is_some_and(|parent| parent.kind.is_made_of_ethernet())
}

/// What was not found at a start is defined, and paths that were not seen are missing.
fn forget_what_is_gone(draft: &mut Draft, seen: &BTreeSet<DeviceName>) {
    let gone: Vec<Arc<Device>> = draft
        .world
        .devices
        .values()
        .filter(|device| !device.kind.is_target() && !seen.contains(&device.name))
        .filter(|device| !device.kind.is_made_of_ethernet() && !is_interface_of_made(&draft.world, device))
        .cloned()
        .collect();
    for device in gone {
        // What belongs to a virtual NIC goes with it; another logical port is kept for those who use it.
        let vanishes = device.kind == DeviceKind::VirtualNicServer
            || device.kind == DeviceKind::LogicalPort
                && network::users(&draft.world, &device.name).is_empty()
                && network::configured_interface(&draft.world, &device.name).is_none()
            || device.kind == DeviceKind::PciBus
                && is_logical_place(&device.location)
                && draft.world.children_of(&device.name).is_empty();
        if vanishes {
            for child in draft.world.children_of(&device.name).to_vec() {
                draft.change(Change::RemoveDevice(child));
            }
            draft.change(Change::RemoveDevice(device.name.clone()));
            continue;
        }
        if !draft.world.devices.contains(&device.name) {
            continue;
        }
        if device.state == DeviceState::Available {
            draft.put_device(Device { state: DeviceState::Defined, ..(*device).clone() });
        }
        if let Some(paths) = draft.world.paths.get(&device.name).cloned() {
            let mut missing = (*paths).clone();
            for path in missing.iter_mut().filter(|path| path.state != PathState::Disabled) {
                path.state = PathState::Missing;
            }
            if missing != *paths {
                draft.change(Change::PutPaths(device.name.clone(), missing));
            }
        }
    }
}

/// Targets are available where their adapter and what backs them is; the others are defined.
fn configure_targets(draft: &mut Draft, facts: &Facts<'_>) {
    let starts = matches!(draft.changes.first(), Some(Change::Running(_)));
    let targets: Vec<Arc<Device>> =
        draft.world.devices.values().filter(|device| device.kind.is_target()).cloned().collect();
    for device in targets {
        let usable = super::target::is_usable(&draft.world, &device, facts);
        let state = if usable { DeviceState::Available } else { DeviceState::Defined };
        if state == device.state || (!usable && !starts) {
            continue;
        }
        let mut next = (*device).clone();
        next.state = state;
        take_pending(&mut next);
        draft.put_device(next);
        if usable {
            draft.outcome(&device.name, DeviceOutcome::Available);
        }
    }
}
