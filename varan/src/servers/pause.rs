//! A server that stands still and perhaps goes on: nothing that it is asked is answered meanwhile, and what was under way
//! goes on with it, however old it is by then.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use varan_contract::block::{
    BlockDevice, BlockError, BlockRequest, Completion, Geometry, Nexus, PathGeneration, QueueFull, Udid,
};
use varan_contract::storage::{FabricUnit, ServedUnit, StorageClient, StorageError, StorageServer};
use varan_model::ids::{PartitionUuid, VirtualSlot, WorldWidePortName};

/// Whether a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    Beating,
    Paused,
    /// Its power went while it stood still, or it never ran: nothing is answered any more.
    Dead,
}

struct State {
    pulse: Pulse,
    /// Rises with every death, so that what waited for a life does not go on in the next one.
    life: u64,
    parked: VecDeque<(Arc<dyn BlockDevice>, BlockRequest, Completion)>,
}

/// Holds up whoever asks a server that stands still.
pub struct Pause {
    state: Mutex<State>,
    changed: Condvar,
}

/// Requests that are parked at most; more are answered as gone.
const PARKED: usize = 4_096;

impl Default for Pause {
    fn default() -> Self {
        let state = State { pulse: Pulse::Dead, life: 0, parked: VecDeque::new() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl Pause {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server runs, again or at last; what was parked goes to its devices.
    pub fn go_on(&self) {
        let mut state = self.lock();
        state.pulse = Pulse::Beating;
        let parked = std::mem::take(&mut state.parked);
        drop(state);
        self.changed.notify_all();
        for (device, request, completion) in parked {
            if let Err(QueueFull { completion, .. }) = device.submit(request, completion) {
                completion(Err(BlockError::Busy));
            }
        }
    }

    /// The server stands still.
    pub fn stand_still(&self) {
        let mut state = self.lock();
        if state.pulse == Pulse::Beating {
            state.pulse = Pulse::Paused;
        }
    }

    /// The server is gone, with all that it held.
    pub fn die(&self) {
        let mut state = self.lock();
        state.pulse = Pulse::Dead;
        state.life += 1;
        let parked = std::mem::take(&mut state.parked);
        drop(state);
        self.changed.notify_all();
        for (_, _, completion) in parked {
            completion(Err(BlockError::Gone));
        }
    }

    /// Whether the server runs or stands still.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.lock().pulse != Pulse::Dead
    }

    /// Waits until the server goes on.
    ///
    /// # Errors
    /// [`StorageError::NotServing`] when it is dead, or died meanwhile.
    pub fn pass(&self) -> Result<(), StorageError> {
        let mut state = self.lock();
        let life = state.life;
        while state.pulse == Pulse::Paused && state.life == life {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.pulse == Pulse::Beating && state.life == life {
            Ok(())
        } else {
            Err(StorageError::NotServing)
        }
    }

    /// As [`Pause::pass`], but not longer than `patience`; false when it still stands still then.
    ///
    /// # Errors
    /// As [`Pause::pass`].
    pub fn pass_within(&self, patience: Duration) -> Result<bool, StorageError> {
        let state = self.lock();
        let life = state.life;
        let stands = |state: &mut State| state.pulse == Pulse::Paused && state.life == life;
        let waited = self.changed.wait_timeout_while(state, patience, stands);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Ok(false);
        }
        let runs = state.pulse == Pulse::Beating && state.life == life;
        if runs { Ok(true) } else { Err(StorageError::NotServing) }
    }

    /// Takes a request for a device, now or when the server goes on.
    fn submit(
        &self,
        device: &Arc<dyn BlockDevice>,
        request: BlockRequest,
        completion: Completion,
    ) -> Result<(), QueueFull> {
        let mut state = self.lock();
        match state.pulse {
            Pulse::Paused if state.parked.len() < PARKED => {
                state.parked.push_back((device.clone(), request, completion));
                Ok(())
            }
            Pulse::Paused => Err(QueueFull { request, completion }),
            Pulse::Beating => {
                drop(state);
                device.submit(request, completion)
            }
            Pulse::Dead => {
                drop(state);
                completion(Err(BlockError::Gone));
                Ok(())
            }
        }
    }
}

/// A server whose answers pass through its [`Pause`].
pub struct PausableServer {
    pause: Arc<Pause>,
    server: Arc<dyn StorageServer>,
}

impl PausableServer {
    /// Puts a server behind a pause.
    #[must_use]
    pub fn new(pause: Arc<Pause>, server: Arc<dyn StorageServer>) -> Self {
        Self { pause, server }
    }

    fn wrap(&self, device: Arc<dyn BlockDevice>) -> Arc<dyn BlockDevice> {
        Arc::new(PausableDevice { pause: self.pause.clone(), device })
    }
}

struct PausableDevice {
    pause: Arc<Pause>,
    device: Arc<dyn BlockDevice>,
}

impl BlockDevice for PausableDevice {
    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        self.pause.submit(&self.device, request, completion)
    }

    fn wait_for_room(&self) {
        if self.pause.pass().is_ok() {
            self.device.wait_for_room();
        }
    }
}

impl StorageServer for PausableServer {
    fn connect_scsi(&self, server: VirtualSlot, client: &StorageClient) -> Result<(), StorageError> {
        self.pause.pass()?;
        self.server.connect_scsi(server, client)
    }

    fn served_units(&self, server: VirtualSlot) -> Result<Vec<ServedUnit>, StorageError> {
        self.pause.pass()?;
        self.server.served_units(server)
    }

    fn open_unit(
        &self,
        server: VirtualSlot,
        lun: u64,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        self.pause.pass()?;
        self.server.open_unit(server, lun, nexus).map(|device| self.wrap(device))
    }

    fn connect_fibre_channel(
        &self,
        server: VirtualSlot,
        client: &StorageClient,
        names: &[WorldWidePortName],
    ) -> Result<(), StorageError> {
        self.pause.pass()?;
        self.server.connect_fibre_channel(server, client, names)
    }

    fn fabric_units(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
    ) -> Result<Vec<FabricUnit>, StorageError> {
        self.pause.pass()?;
        self.server.fabric_units(server, name)
    }

    fn open_fabric_unit(
        &self,
        server: VirtualSlot,
        name: WorldWidePortName,
        unit: &Udid,
        nexus: &Nexus,
    ) -> Result<Arc<dyn BlockDevice>, StorageError> {
        self.pause.pass()?;
        self.server.open_fabric_unit(server, name, unit, nexus).map(|device| self.wrap(device))
    }

    fn disconnect(&self, server: VirtualSlot, client: PartitionUuid) {
        // A server that stands still finds out by itself, as a real one does.
        if self.pause.alive() {
            self.server.disconnect(server, client);
        }
    }

    fn revoke(&self, unit: &Udid, nexus: &Nexus, minimum: PathGeneration) -> Result<(), StorageError> {
        self.pause.pass()?;
        self.server.revoke(unit, nexus, minimum)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use varan_block_engine::MemoryDevice;
    use varan_contract::block::Buffer;

    use super::*;

    fn write(device: &dyn BlockDevice, bytes: &[u8]) -> mpsc::Receiver<bool> {
        let (sender, receiver) = mpsc::channel();
        let request = BlockRequest::Write { offset: 0, data: Buffer::from(bytes), force_unit_access: false };
        let completion: Completion = Box::new(move |result| {
            let _ = sender.send(result.is_ok());
        });
        device.submit(request, completion).expect("room");
        receiver
    }

    #[test]
    fn what_was_under_way_goes_on_with_the_server_or_dies_with_it() {
        let memory: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(4_096));
        let pause = Arc::new(Pause::default());
        let device = PausableDevice { pause: pause.clone(), device: memory.clone() };
        assert_eq!(write(&device, b"a").recv(), Ok(false), "a server that never ran");
        pause.go_on();
        assert_eq!(write(&device, b"b").recv(), Ok(true));
        pause.stand_still();
        let parked = write(&device, b"c");
        assert_eq!(&memory.read_at(0, 1).expect("read")[..], b"b");
        assert!(parked.try_recv().is_err());
        pause.go_on();
        assert_eq!(parked.recv(), Ok(true));
        assert_eq!(&memory.read_at(0, 1).expect("read")[..], b"c");
        pause.stand_still();
        assert_eq!(pause.pass_within(Duration::from_millis(1)), Ok(false));
        let lost = write(&device, b"d");
        pause.die();
        assert_eq!(lost.recv(), Ok(false));
        assert!(pause.pass_within(Duration::ZERO).is_err());
        pause.go_on();
        assert_eq!(pause.pass_within(Duration::ZERO), Ok(true));
        assert_eq!(&memory.read_at(0, 1).expect("read")[..], b"c");
    }
}
