//! A Virtual I/O Server in another process.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_contract::block::{BlockDevice, Nexus, PathGeneration, Udid};
use varan_contract::storage::{FabricUnit, ServedUnit, StorageClient, StorageError, StorageServer};
use varan_contract::vios::{RequestId, ViosAnswer, ViosCallError, ViosChange, ViosDone, ViosLink, ViosQuery};
use varan_environment::Environment;
use varan_model::ids::{PartitionUuid, VirtualSlot, WorldWidePortName};
use varan_vios::{AdapterChange, ViosSettings, ViosSpecification};

use super::call::{Caller, serve};
use super::devices::{self, OpenDevices};
use crate::servers::{Gone, ServerAuthority};

/// How long a client's log-in, opening or revocation waits for a server: it detects failures, so no time scale divides it.
const CLIENT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a command waits.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// How long a server that boots may take to find its devices.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);

/// Times that a server's process is looked for: its supervisor starts it again within seconds.
const CONNECT_ATTEMPTS: u32 = 300;
/// Pause between two such looks.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Asked {
    Open(Box<ViosSettings>),
    Boot(Box<ViosSpecification>),
    Stop(bool),
    AdapterChange(AdapterChange),
    Ask(ViosQuery),
    Change(RequestId, ViosChange),
    ConnectScsi(VirtualSlot, StorageClient),
    ServedUnits(VirtualSlot),
    OpenUnit(VirtualSlot, u64, Nexus),
    ConnectFibreChannel(VirtualSlot, StorageClient, Vec<WorldWidePortName>),
    FabricUnits(VirtualSlot, WorldWidePortName),
    OpenFabricUnit(VirtualSlot, WorldWidePortName, Udid, Nexus),
    Disconnect(VirtualSlot, PartitionUuid),
    Revoke(Udid, Nexus, PathGeneration),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Answered {
    Done(Result<(), StorageError>),
    Text(Result<(), String>),
    AdapterChanged(Result<(), Vec<String>>),
    Asked(Result<ViosAnswer, ViosCallError>),
    Changed(Result<ViosDone, ViosCallError>),
    Served(Result<Vec<ServedUnit>, StorageError>),
    Fabric(Result<Vec<FabricUnit>, StorageError>),
    Opened(Result<String, StorageError>),
}

fn sockets(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{name}.vios")), directory.join(format!("{name}.nbd")))
}

/// Serves a server on its sockets.
///
/// # Errors
/// When a socket cannot be made.
pub fn serve_server(
    make: impl Fn(ViosSettings) -> Result<Arc<dyn ServerAuthority>, String> + Send + Sync + 'static,
    directory: &Path,
    name: &str,
    environment: &Arc<dyn Environment>,
) -> std::io::Result<()> {
    let (requests, units) = sockets(directory, name);
    let open = OpenDevices::serve(&units, environment)?;
    let server: Mutex<Option<Arc<dyn ServerAuthority>>> = Mutex::new(None);
    serve(&requests, environment, move |asked| {
        let mut present = server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Asked::Open(settings) = asked {
            let made = match &*present {
                Some(_) => Ok(()),
                None => make(*settings).map(|made| *present = Some(made)),
            };
            return Answered::Text(made);
        }
        let server = present.clone();
        drop(present);
        match server {
            Some(server) => answer(&*server, &open, asked),
            None => Answered::Done(Err(StorageError::NotServing)),
        }
    })
}

fn answer(server: &dyn ServerAuthority, open: &OpenDevices, asked: Asked) -> Answered {
    match asked {
        Asked::Open(_) => Answered::Text(Ok(())),
        Asked::Boot(specification) => Answered::Text(server.boot(*specification)),
        Asked::Stop(orderly) => {
            server.stop(orderly);
            Answered::Done(Ok(()))
        }
        Asked::AdapterChange(change) => Answered::AdapterChanged(server.adapter_change(change)),
        Asked::Ask(query) => Answered::Asked(server.ask(query)),
        Asked::Change(id, change) => Answered::Changed(server.change(id, change)),
        Asked::ConnectScsi(slot, client) => Answered::Done(server.connect_scsi(slot, &client)),
        Asked::ServedUnits(slot) => Answered::Served(server.served_units(slot)),
        Asked::OpenUnit(slot, lun, nexus) => {
            Answered::Opened(server.open_unit(slot, lun, &nexus).map(|device| open.publish(device)))
        }
        Asked::ConnectFibreChannel(slot, client, names) => {
            Answered::Done(server.connect_fibre_channel(slot, &client, &names))
        }
        Asked::FabricUnits(slot, name) => Answered::Fabric(server.fabric_units(slot, name)),
        Asked::OpenFabricUnit(slot, name, unit, nexus) => {
            let opened = server.open_fabric_unit(slot, name, &unit, &nexus);
            Answered::Opened(opened.map(|device| open.publish(device)))
        }
        Asked::Disconnect(slot, client) => {
            server.disconnect(slot, client);
            Answered::Done(Ok(()))
        }
        Asked::Revoke(unit, nexus, minimum) => Answered::Done(server.revoke(&unit, &nexus, minimum)),
    }
}

/// Connects to a process that is perhaps just being started again.
fn connect_soon(socket: &Path) -> std::io::Result<UnixStream> {
    let mut attempts = 1;
    loop {
        match UnixStream::connect(socket) {
            Err(_) if attempts < CONNECT_ATTEMPTS => std::thread::sleep(CONNECT_PAUSE),
            connected => return connected,
        }
        attempts += 1;
    }
}

/// A server whose authority is another process.
pub struct RemoteServer {
    caller: Caller<Asked, Answered>,
    units: PathBuf,
}

impl RemoteServer {
    /// Opens the server whose process has this name. `gone` is called when the process ends.
    ///
    /// # Errors
    /// A text for the person.
    pub fn open(
        directory: &Path,
        name: &str,
        environment: Arc<dyn Environment>,
        settings: ViosSettings,
        gone: Gone,
    ) -> Result<Self, String> {
        let (requests, units) = sockets(directory, name);
        // Watched before it is asked for the first time, so that no end is missed.
        let watched = connect_soon(&requests).map_err(|error| format!("{name}: {error}"))?;
        let remote = Self { caller: Caller::new(requests, environment), units };
        match remote.caller.call(Asked::Open(Box::new(settings)), BOOT_PATIENCE) {
            Some(Answered::Text(result)) => result?,
            _ => return Err(format!("{name}: its process does not answer")),
        }
        let watch = move || {
            // Nothing is ever sent on this connection: reading ends with the process.
            let _ = (&watched).read(&mut [0]);
            gone();
        };
        std::thread::Builder::new()
            .name("server process".to_owned())
            .spawn(watch)
            .map_err(|error| error.to_string())?;
        Ok(remote)
    }

    fn done(&self, asked: Asked) -> Result<(), StorageError> {
        match self.caller.call(asked, CLIENT_PATIENCE) {
            Some(Answered::Done(result)) => result,
            _ => Err(StorageError::NotServing),
        }
    }

    fn opened(&self, asked: Asked) -> Result<Arc<dyn BlockDevice>, StorageError> {
        match self.caller.call(asked, CLIENT_PATIENCE) {
            Some(Answered::Opened(Ok(name))) => {
                devices::connect(&self.units, &name).map_err(|_| StorageError::NotServing)
            }
            Some(Answered::Opened(Err(error))) => Err(error),
            _ => Err(StorageError::NotServing),
        }
    }
}

impl ServerAuthority for RemoteServer {
    fn boot(&self, specification: ViosSpecification) -> Result<(), String> {
        match self.caller.call(Asked::Boot(Box::new(specification)), BOOT_PATIENCE) {
            Some(Answered::Text(result)) => result,
            _ => Err("its process does not answer".to_owned()),
        }
    }

    fn stop(&self, orderly: bool) {
        // A process that is gone has stopped.
        let _ = self.caller.call(Asked::Stop(orderly), CLIENT_PATIENCE);
    }

    fn adapter_change(&self, change: AdapterChange) -> Result<(), Vec<String>> {
        match self.caller.call(Asked::AdapterChange(change), COMMAND_PATIENCE) {
            Some(Answered::AdapterChanged(result)) => result,
            _ => Err(vec!["The operating system does not respond.".to_owned()]),
        }
    }
}

impl ViosLink for RemoteServer {
    fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, ViosCallError> {
        match self.caller.call(Asked::Ask(query), COMMAND_PATIENCE) {
            Some(Answered::Asked(result)) => result,
            _ => Err(ViosCallError::NoAnswer),
        }
    }

    fn change(&self, id: RequestId, change: ViosChange) -> Result<ViosDone, ViosCallError> {
        match self.caller.call(Asked::Change(id, change), COMMAND_PATIENCE) {
            Some(Answered::Changed(result)) => result,
            _ => Err(ViosCallError::NoAnswer),
        }
    }
}

impl StorageServer for RemoteServer {
    fn connect_scsi(&self, server: VirtualSlot, client: &StorageClient) -> Result<(), StorageError> {
        self.done(Asked::ConnectScsi(server, client.clone()))
    }

    fn served_units(&self, server: VirtualSlot) -> Result<Vec<ServedUnit>, StorageError> {
        match self.caller.call(Asked::ServedUnits(server), CLIENT_PATIENCE) {
            Some(Answered::Served(result)) => result,
            _ => Err(StorageError::NotServing),
        }
    }

    fn open_unit(
        &self,
        server: VirtualSlot,
        lun: u64,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        self.opened(Asked::OpenUnit(server, lun, nexus.clone()))
    }

    fn connect_fibre_channel(
        &self,
        server: VirtualSlot,
        client: &StorageClient,
        names: &[WorldWidePortName],
    ) -> Result<(), StorageError> {
        self.done(Asked::ConnectFibreChannel(server, client.clone(), names.to_vec()))
    }

    fn fabric_units(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
    ) -> Result<Vec<FabricUnit>, StorageError> {
        match self.caller.call(Asked::FabricUnits(server, name), CLIENT_PATIENCE) {
            Some(Answered::Fabric(result)) => result,
            _ => Err(StorageError::NotServing),
        }
    }

    fn open_fabric_unit(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        self.opened(Asked::OpenFabricUnit(server, name, unit.clone(), nexus.clone()))
    }

    fn disconnect(&self, server: VirtualSlot, client: PartitionUuid) {
        // A server that does not answer finds out when the connection ends.
        let _ = self.caller.call(Asked::Disconnect(server, client), CLIENT_PATIENCE);
    }

    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError> {
        self.done(Asked::Revoke(unit.clone(), nexus.clone(), minimum))
    }
}
