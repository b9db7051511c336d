//! Devices that are open for another process: published under names that nobody can guess, used over NBD.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use varan_block_engine::{DeviceExport, NbdDevice};
use varan_contract::block::{BlockDevice, BufferPool};
use varan_environment::Environment;
use varan_nbd::{ExportInformation, Exports, Limits, OpenError, OpenErrorKind, Server};

/// Devices that wait for their connection at most; the oldest goes first: who asked for it is gone.
const WAITING: usize = 1_024;

/// Logical block of what is served: the protocol does not carry it.
const LOGICAL_BLOCK: u32 = 512;

/// Devices that were opened for another process.
pub(super) struct OpenDevices {
    published: Arc<Published>,
    _server: Server,
}

struct Published {
    environment: Arc<dyn Environment>,
    pool: Arc<BufferPool>,
    waiting: Mutex<VecDeque<(String, Arc<dyn BlockDevice>)>>,
}

impl OpenDevices {
    /// Listens on a socket.
    pub(super) fn serve(socket: &Path, environment: &Arc<dyn Environment>) -> std::io::Result<Self> {
        let published = Arc::new(Published {
            environment: environment.clone(),
            pool: DeviceExport::<Arc<dyn BlockDevice>>::pool(),
            waiting: Mutex::new(VecDeque::new()),
        });
        let listener = varan_nbd::listen(socket)?;
        let server = Server::start(listener, published.clone(), Limits::default())?;
        Ok(Self { published, _server: server })
    }

    /// Gives a device a name, under which it can be connected to once.
    pub(super) fn publish(&self, device: Arc<dyn BlockDevice>) -> String {
        let environment = &self.published.environment;
        let name = format!("{:016x}{:016x}", environment.random(), environment.random());
        let mut waiting = self.published.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if waiting.len() >= WAITING { waiting.pop_front() } else { None };
        waiting.push_back((name.clone(), device));
        drop(waiting);
        drop(oldest);
        name
    }
}

impl Published {
    fn unknown() -> OpenError {
        OpenError::new(OpenErrorKind::Unknown, "no such device is open")
    }
}

impl Exports for Published {
    type Export = DeviceExport<Arc<dyn BlockDevice>>;

    fn names(&self) -> Vec<String> {
        // The names are what protects the devices.
        Vec::new()
    }

    fn describe(&self, name: &str) -> Result<ExportInformation, OpenError> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let found = waiting.iter().find(|(known, _)| known == name).map(|(_, device)| device.clone());
        drop(waiting);
        found
            .map(|device| varan_nbd::Export::information(&DeviceExport::new(device, self.pool.clone())))
            .ok_or_else(Self::unknown)
    }

    fn open(&self, name: &str) -> Result<Self::Export, OpenError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let position = waiting.iter().position(|(known, _)| known == name).ok_or_else(Self::unknown)?;
        let device = waiting.remove(position).map(|(_, device)| device).ok_or_else(Self::unknown)?;
        Ok(DeviceExport::new(device, self.pool.clone()))
    }
}

/// Connects to a device that another process published.
pub(super) fn connect(socket: &Path, name: &str) -> Result<Arc<dyn BlockDevice>, String> {
    let device = NbdDevice::connect(socket, name, LOGICAL_BLOCK).map_err(|error| error.to_string())?;
    Ok(Arc::new(device))
}
