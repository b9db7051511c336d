//! The server as its clients see it.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use varan_contract::block::{BlockDevice, Nexus, PathGeneration, Udid};
use varan_contract::storage::{
    FabricUnit, ServedKind, ServedUnit, StorageClient, StorageError, StorageServer, generation_at_array,
};
use varan_model::ids::{PartitionUuid, VirtualSlot, WorldWidePortName};
use varan_model::vios::{Backing, Device, DeviceDetail, DeviceKind, DeviceState};

use crate::ViosAuthority;
use crate::decide;
use crate::inbox::Input;
use crate::open::Host;
use crate::world::{Connected, LastClient, Snapshot};

/// The available server adapter of a kind in a slot.
fn adapter(world: &Snapshot, slot: VirtualSlot, kind: DeviceKind) -> Result<&Arc<Device>, StorageError> {
    let device = world.slots.get(&slot.0).and_then(|name| world.devices.get(name));
    device
        .filter(|device| device.kind == kind && device.state == DeviceState::Available)
        .ok_or(StorageError::NotServing)
}

/// Whether a client may use the adapter in a slot.
fn check_client(world: &Snapshot, slot: VirtualSlot, client: &StorageClient) -> Result<(), StorageError> {
    let adapter = world.adapter_in(slot).ok_or(StorageError::NotServing)?;
    let meant = adapter.remote.is_none_or(|remote| remote == client.id)
        && adapter.remote_slot.is_none_or(|remote| remote == client.slot);
    let other = world.connected.get(&slot.0).is_some_and(|present| {
        present.client.partition != client.partition || present.client.slot != client.slot
    });
    if meant && !other { Ok(()) } else { Err(StorageError::OtherClient) }
}

fn last_client(client: &StorageClient) -> Box<LastClient> {
    Box::new(LastClient {
        id: client.id,
        name: client.name.clone(),
        operating_system: client.operating_system.clone(),
        machine: client.machine.clone(),
        slot: client.slot,
        device: client.device.clone(),
    })
}

/// The physical port behind an adapter.
fn port_of(world: &Snapshot, adapter: &Device) -> Result<WorldWidePortName, StorageError> {
    let port = decide::mapped_port(world, adapter).ok_or(StorageError::LinkDown)?;
    match &port.detail {
        DeviceDetail::FibreChannel(detail) if port.state == DeviceState::Available => Ok(detail.port_name),
        _ => Err(StorageError::LinkDown),
    }
}

/// Logs a client's names in through the port that its adapter is mapped to.
pub(crate) fn log_in(
    host: &Host,
    world: &Snapshot,
    slot: u16,
    client: &StorageClient,
    names: &[WorldWidePortName],
) -> Result<Connected, StorageError> {
    let adapter = adapter(world, VirtualSlot(slot), DeviceKind::VirtualFibreChannelServer)?;
    let place = port_of(world, adapter)?;
    let mut logged_in: Vec<WorldWidePortName> = Vec::new();
    for name in names {
        if let Err(error) = host.array.login(*name, place) {
            for name in logged_in {
                host.array.logout(name);
            }
            return Err(error);
        }
        logged_in.push(*name);
    }
    let mut targets: Vec<WorldWidePortName> = logged_in
        .iter()
        .flat_map(|name| host.array.report_units(*name).unwrap_or_default())
        .map(|unit| unit.target_port)
        .collect();
    targets.sort_unstable();
    targets.dedup();
    let ports = u32::try_from(logged_in.len() + targets.len()).unwrap_or(u32::MAX);
    Ok(Connected { client: client.clone(), names: names.to_vec(), logged_in, ports })
}

impl ViosAuthority {
    fn put_client(
        &self,
        slot: VirtualSlot,
        connected: Option<Connected>,
        last: Option<Box<LastClient>>,
    ) -> Result<(), StorageError> {
        let (reply, answer) = sync_channel(1);
        let connected = connected.map(Box::new);
        if !self.inbox.put(Input::Client { slot: slot.0, connected, last, reply }) {
            return Err(StorageError::NotServing);
        }
        answer.recv().unwrap_or(Err(StorageError::NotServing))
    }

    fn serving(&self) -> Result<Arc<Snapshot>, StorageError> {
        let world = self.published.load_full();
        if world.running.is_some() && self.host.is_serving() {
            Ok(world)
        } else {
            Err(StorageError::NotServing)
        }
    }
}

impl StorageServer for ViosAuthority {
    fn connect_scsi(&self, server: VirtualSlot, client: &StorageClient) -> Result<(), StorageError> {
        let world = self.serving()?;
        adapter(&world, server, DeviceKind::VirtualScsiServer)?;
        check_client(&world, server, client)?;
        let connected =
            Connected { client: client.clone(), names: Vec::new(), logged_in: Vec::new(), ports: 0 };
        if world.connected.get(&server.0).is_some_and(|present| **present == connected) {
            return Ok(());
        }
        self.put_client(server, Some(connected), Some(last_client(client)))
    }

    fn served_units(&self, server: VirtualSlot) -> Result<Vec<ServedUnit>, StorageError> {
        let world = self.serving()?;
        let adapter = adapter(&world, server, DeviceKind::VirtualScsiServer)?;
        let mut units = Vec::new();
        for name in world.children_of(&adapter.name) {
            let Some(device) =
                world.devices.get(name).filter(|device| device.state == DeviceState::Available)
            else {
                continue;
            };
            let Some(target) = decide::target_of(device) else { continue };
            let kind = match target.backing {
                Backing::Medium(_) | Backing::Drive(_) => ServedKind::Optical,
                _ => ServedKind::Disk,
            };
            // A drive has an identifier also when it is empty.
            let empty = || format!("{}:drive:{name}", self.host.partition).parse().ok();
            let Some(udid) = self.host.unit_of_backing(&world, &target.backing).or_else(empty) else {
                continue;
            };
            let bytes = backing_bytes(&world, &target.backing);
            units.push(ServedUnit { lun: target.lun, kind, udid, bytes });
        }
        units.sort_by_key(|unit| unit.lun);
        Ok(units)
    }

    fn open_unit(
        &self,
        server: VirtualSlot,
        lun: u64,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let world = self.serving()?;
        let adapter = adapter(&world, server, DeviceKind::VirtualScsiServer)?;
        // The server's own use of a target (its exports) needs no client.
        if nexus.client != self.host.partition {
            let connected = world.connected.get(&server.0).ok_or(StorageError::NotServing)?;
            if connected.client.partition != nexus.client {
                return Err(StorageError::OtherClient);
            }
        }
        let target = world.children_of(&adapter.name).iter().find_map(|name| {
            let device = world.devices.get(name)?;
            (decide::target_of(device)?.lun == lun && device.state == DeviceState::Available)
                .then_some(device)
        });
        self.host.open_target(&world, target.ok_or(StorageError::NoSuchUnit)?, nexus)
    }

    fn connect_fibre_channel(
        &self,
        server: VirtualSlot,
        client: &StorageClient,
        names: &[WorldWidePortName],
    ) -> Result<(), StorageError> {
        let world = self.serving()?;
        adapter(&world, server, DeviceKind::VirtualFibreChannelServer)?;
        check_client(&world, server, client)?;
        match log_in(&self.host, &world, server.0, client, names) {
            Ok(connected) => {
                let dropped: Vec<WorldWidePortName> = world
                    .connected
                    .get(&server.0)
                    .map(|before| {
                        before.logged_in.iter().filter(|name| !names.contains(name)).copied().collect()
                    })
                    .unwrap_or_default();
                dropped.iter().for_each(|name| self.host.array.logout(*name));
                self.put_client(server, Some(connected), Some(last_client(client)))
            }
            Err(error) => {
                // The client is known, and logged in when its port is back.
                let (names, client_name) = (names.to_vec(), client.clone());
                let connected = Connected { client: client_name, names, logged_in: Vec::new(), ports: 0 };
                self.put_client(server, Some(connected), Some(last_client(client)))?;
                Err(error)
            }
        }
    }

    fn fabric_units(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
    ) -> Result<Vec<FabricUnit>, StorageError> {
        let world = self.serving()?;
        adapter(&world, server, DeviceKind::VirtualFibreChannelServer)?;
        let connected = world.connected.get(&server.0).ok_or(StorageError::NotServing)?;
        if !connected.logged_in.contains(&name) {
            return Err(StorageError::LinkDown);
        }
        self.host.array.report_units(name)
    }

    fn open_fabric_unit(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        let world = self.serving()?;
        let adapter = adapter(&world, server, DeviceKind::VirtualFibreChannelServer)?;
        let connected = world.connected.get(&server.0).ok_or(StorageError::NotServing)?;
        if connected.client.partition != nexus.client {
            return Err(StorageError::OtherClient);
        }
        if !connected.logged_in.contains(&name) {
            return Err(StorageError::LinkDown);
        }
        let at_array = Nexus { generation: generation_at_array(nexus.generation, 0), ..nexus.clone() };
        let device = self.host.array.open(name, unit, &at_array)?;
        Ok(self.host.guard(&adapter.name, device))
    }

    fn disconnect(&self, server: VirtualSlot, client: PartitionUuid) {
        let world = self.published.load_full();
        let Some(connected) = world.connected.get(&server.0) else { return };
        if connected.client.partition != client {
            return;
        }
        connected.logged_in.iter().for_each(|name| self.host.array.logout(*name));
        if let Some(adapter) = world.slots.get(&server.0) {
            self.host.close(adapter);
            world.children_of(adapter).iter().for_each(|target| self.host.close(target));
        }
        let _ = self.put_client(server, None, None);
    }

    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError> {
        self.host.revoke(unit, nexus, minimum)
    }
}

fn backing_bytes(world: &Snapshot, backing: &Backing) -> u64 {
    match backing {
        Backing::Disk(name) => {
            let disk = world.devices.get(name).and_then(|device| decide::disk_of(device));
            disk.map_or(0, |disk| disk.megabytes << 20)
        }
        Backing::LogicalVolume(name) => world.volumes.get(name).map_or(0, |volume| volume.megabytes() << 20),
        Backing::File { pool, name } => {
            world.files.get(&(pool.clone(), name.clone())).map_or(0, |file| file.megabytes << 20)
        }
        Backing::Medium(Some(name)) => {
            world.media.get(name).map_or(0, |medium| medium.bytes.next_multiple_of(512))
        }
        Backing::Medium(None) | Backing::Drive(_) | Backing::Unit { .. } => 0,
    }
}
