//! The network of one Virtual I/O Server: its place, and how its adapters reach the hypervisor.
//!
//! In the frame's process the ports of both are linked. A server in a process of its own opens one connection to its frame,
//! on which each adapter is a line: `v4` the virtual slot, `l27004001` the logical port, `p` and a location code the
//! physical port, `control` where it gives signs of life.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use varan_contract::network::{
    ClientStatistics, ConsoleAddress, NetworkDeviceStatistics, PingResult, PortPlace, PortStatistics,
    ServerNetwork, ServerNetworkConfiguration, ServerNetworkEvents, VnicServerState,
};
use varan_environment::Environment;
use varan_fabric::PortNumber;
use varan_fabric::driver::{Driver, Endpoint, Lines, PlaceHandle, Wiring};
use varan_fabric::server::{ServerEvent, ServerFabric};
use varan_model::ids::{MacAddress, PartitionId, PartitionUuid, VirtualSlot};
use varan_station::rmc::Identity;

use super::numbers::Numbers;

use super::frame::ServerEnd;

/// Name of the line on which a server gives signs of life.
const CONTROL: &str = "control";
/// How long one waits for a round of pings before one looks whether its server is still there.
const PING_LOOK: Duration = Duration::from_secs(1);
/// Pause before a connection that ended is tried again.
const RETRY: Duration = Duration::from_millis(50);

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Name of an adapter's line.
pub(super) fn line_of(place: &PortPlace) -> String {
    match place {
        PortPlace::Virtual(slot) => format!("v{slot}"),
        PortPlace::Logical(id) => format!("l{id}"),
        PortPlace::Physical(location) => format!("p{location}"),
    }
}

/// Serves connections of other processes, each for all its lines, until the value is dropped.
pub(crate) struct LineServer {
    path: PathBuf,
    ended: Arc<AtomicBool>,
}

impl LineServer {
    /// Listens at `path`.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub(crate) fn listen(path: &Path, lines: &Arc<Lines>) -> io::Result<Self> {
        // A socket of an earlier process leads nowhere.
        let _ = std::fs::remove_file(path);
        if let Some(directory) = path.parent() {
            varan_environment::make_directory(directory)?;
        }
        let listener = UnixListener::bind(path)?;
        let ended = Arc::new(AtomicBool::new(false));
        let (lines, over) = (Arc::downgrade(lines), ended.clone());
        std::thread::Builder::new()
            .name("network-lines".to_owned())
            .spawn(move || accept(&listener, &lines, &over))?;
        Ok(Self { path: path.to_owned(), ended })
    }
}

impl Drop for LineServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread that waits for a connection.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, lines: &Weak<Lines>, ended: &AtomicBool) {
    for stream in listener.incoming() {
        let (Some(lines), false) = (lines.upgrade(), ended.load(Ordering::Acquire)) else { return };
        let Ok(stream) = stream else { continue };
        // A process without a thread to spare has no network to it; it tries again.
        let _ = std::thread::Builder::new().name("network-line".to_owned()).spawn(move || {
            // How it ended is of no interest: the lines are down.
            let _ = lines.carry(&stream, false);
        });
    }
}

/// Keeps a connection to another process for as long as the lines exist.
///
/// # Errors
/// When the host gives no thread.
pub(crate) fn connect(path: PathBuf, lines: &Arc<Lines>) -> io::Result<()> {
    let lines = Arc::downgrade(lines);
    std::thread::Builder::new().name("network-line".to_owned()).spawn(move || {
        loop {
            let stream = UnixStream::connect(&path);
            let Some(lines) = lines.upgrade() else { return };
            if let Ok(stream) = stream {
                // It ends with the other process, which comes back.
                let _ = lines.carry(&stream, true);
            }
            drop(lines);
            std::thread::sleep(RETRY);
        }
    })?;
    Ok(())
}

/// Takes the names of the consoles that a server has RMC sessions with.
pub(crate) type TellSessions = Box<dyn Fn(Vec<String>) + Send>;

/// Rounds of pings that are over, for those who wait for one.
#[derive(Default)]
struct Pings {
    over: Mutex<u64>,
    another: Condvar,
}

impl Pings {
    fn one_is_over(&self) {
        *lock(&self.over) += 1;
        self.another.notify_all();
    }

    fn over(&self) -> u64 {
        *lock(&self.over)
    }

    /// Waits until another round is over, but not for ever: the place may be gone.
    fn wait_after(&self, seen: u64) {
        let waits = |over: &mut u64| *over == seen;
        drop(self.another.wait_timeout_while(lock(&self.over), PING_LOOK, waits));
    }
}

/// The network of a server in this process.
pub struct ServerPlace {
    place: PlaceHandle<ServerFabric>,
    wiring: Wiring,
    control: PortNumber,
    pings: Arc<Pings>,
    events: Arc<OnceLock<Weak<dyn ServerNetworkEvents>>>,
    ports: Mutex<Ports>,
    /// Lines to the frame's process, where the server has a process of its own.
    lines: Option<Arc<Lines>>,
}

#[derive(Default)]
struct Ports {
    numbers: Numbers,
    by_place: HashMap<PortPlace, PortNumber>,
}

impl ServerPlace {
    /// The network of a server whose adapters are in the same driver, or at the end of `lines`.
    pub(crate) fn new(
        driver: &Driver,
        environment: &Arc<dyn Environment>,
        (partition, consoles): (PartitionUuid, &[ConsoleAddress]),
        lines: Option<Arc<Lines>>,
        (pause, sessions): (Duration, TellSessions),
    ) -> Arc<Self> {
        let events: Arc<OnceLock<Weak<dyn ServerNetworkEvents>>> = Arc::default();
        let told = events.clone();
        let mut numbers = Numbers::default();
        let control = numbers.take();
        // Its node id is its own as long as the partition is.
        let identity = Identity { node_id: partition.0 as u64, ..Identity::default() };
        let fabric = ServerFabric::new(control, environment.random(), identity);
        let pings: Arc<Pings> = Arc::default();
        let over = pings.clone();
        let place = driver.add(fabric, move |event| match event {
            ServerEvent::PingOver(_) => over.one_is_over(),
            ServerEvent::Sessions(names) => sessions(names),
            ServerEvent::Network(event) => {
                if let Some(events) = told.get().and_then(Weak::upgrade) {
                    events.network_event(event);
                }
            }
        });
        let consoles: Vec<_> =
            consoles.iter().map(|console| (console.name.clone(), console.address)).collect();
        place.tell(move |server, now, out| {
            // Without devices nothing of it has a carrier.
            server.configure(now, ServerNetworkConfiguration::default(), out);
            server.set_rmc_pause(pause);
            server.set_consoles(now, &consoles, out);
        });
        let server = Self {
            place,
            wiring: driver.wiring(),
            events,
            control,
            pings,
            ports: Mutex::new(Ports { numbers, by_place: HashMap::new() }),
            lines,
        };
        if let Some(lines) = &server.lines {
            lines.bind(CONTROL, server.place.port(control));
        }
        Arc::new(server)
    }

    /// Says whose network it is.
    pub(crate) fn identify(&self, partition: PartitionUuid, (id, name): (PartitionId, &str), system: &str) {
        let identity = Identity {
            // The upper half of a random UUID: the lower one has fixed bits.
            node_id: (partition.0 >> 64) as u64 ^ partition.0 as u64,
            partition: id.0,
            name: name.to_owned(),
            system: system.to_owned(),
            operating_system: "VIOS".to_owned(),
        };
        self.place.tell(move |server, now, out| server.set_identity(now, identity, out));
    }

    /// Says who hears what happens.
    pub(crate) fn attach_events(&self, events: Weak<dyn ServerNetworkEvents>) {
        // Once for each server: the first stays.
        let _ = self.events.set(events);
    }

    /// The port of an adapter; made when it is asked for first.
    fn port(&self, place: &PortPlace) -> Endpoint {
        let mut ports = lock(&self.ports);
        if let Some(number) = ports.by_place.get(place) {
            return self.place.port(*number);
        }
        let number = ports.numbers.take();
        ports.by_place.insert(place.clone(), number);
        let bound = place.clone();
        self.place.tell(move |server, now, out| server.bind(now, bound, number, out));
        let endpoint = self.place.port(number);
        if let Some(lines) = &self.lines {
            lines.bind(&line_of(place), endpoint);
        }
        endpoint
    }
}

impl ServerEnd for ServerPlace {
    fn join(&self, place: &PortPlace, hypervisor: Endpoint) {
        self.wiring.link(self.port(place), hypervisor);
    }

    fn leave(&self, place: &PortPlace, _: Endpoint) {
        self.wiring.detach(self.port(place));
    }

    fn control(&self, hypervisor: Endpoint, there: bool) {
        let control = self.place.port(self.control);
        if there {
            self.wiring.link(control, hypervisor);
        } else {
            self.wiring.detach(control);
        }
    }

    fn pause(&self, paused: bool) {
        self.place.pause(paused);
    }
}

impl ServerNetwork for ServerPlace {
    fn configure(&self, configuration: ServerNetworkConfiguration) {
        for port in &configuration.ports {
            self.port(&port.place);
        }
        self.place.tell(move |server, now, out| server.configure(now, configuration, out));
    }

    fn statistics(&self, device: &str) -> Option<NetworkDeviceStatistics> {
        self.place.ask(|server, now, _| server.statistics(now, device))?
    }

    fn reset_statistics(&self, device: &str) {
        let device = device.to_owned();
        self.place.tell(move |server, now, _| server.reset_statistics(now, &device));
    }

    fn accounting(&self, device: &str) -> Vec<ClientStatistics> {
        self.place.ask(|server, _, _| server.accounting(device)).unwrap_or_default()
    }

    fn reset_accounting(&self, device: &str) {
        let device = device.to_owned();
        self.place.tell(move |server, _, _| server.reset_accounting(&device));
    }

    fn vnic_server(&self, slot: VirtualSlot) -> Option<VnicServerState> {
        self.place.ask(|server, _, _| server.vnic_server(slot))?
    }

    fn vnic_client(&self, slot: VirtualSlot) -> Option<(String, String)> {
        self.place.ask(|server, _, _| server.vnic_client(slot))?
    }

    fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)> {
        self.place.ask(|server, _, _| server.neighbours()).unwrap_or_default()
    }

    fn interface(&self, name: &str) -> Option<PortStatistics> {
        self.place.ask(|server, _, _| server.interface(name))?
    }

    fn ping(&self, address: Ipv4Addr, count: u32, bytes: u16, interval: Duration) -> PingResult {
        let started =
            self.place.ask(|server, now, out| server.ping(now, (address, count, bytes), interval, out));
        let Some(Some(ping)) = started else {
            return PingResult { unreachable: true, ..PingResult::default() };
        };
        loop {
            let seen = self.pings.over();
            match self.place.ask(|server, now, _| server.ping_result(now, ping)).flatten() {
                Some((result, true)) => return result,
                Some((_, false)) => self.pings.wait_after(seen),
                None => return PingResult::default(),
            }
        }
    }
}

/// Networks of the servers of one frame, made when first asked for.
pub(crate) struct ServerPlaces {
    make: Box<dyn Fn(PartitionUuid) -> Arc<ServerPlace> + Send + Sync>,
    places: Mutex<HashMap<PartitionUuid, Arc<ServerPlace>>>,
}

impl ServerPlaces {
    pub(crate) fn new(make: impl Fn(PartitionUuid) -> Arc<ServerPlace> + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), places: Mutex::default() }
    }

    pub(crate) fn of(&self, partition: PartitionUuid) -> Arc<ServerPlace> {
        lock(&self.places).entry(partition).or_insert_with(|| (self.make)(partition)).clone()
    }
}

/// The adapters of a server in a process of its own, as its frame sees them.
pub(crate) struct LinedEnd {
    lines: Arc<Lines>,
    _server: Option<LineServer>,
}

impl LinedEnd {
    /// Lines to the server's process.
    pub(crate) fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    /// Waits for the server's process at `path`.
    pub(crate) fn new(wiring: Wiring, path: &Path) -> Self {
        let lines = Arc::new(Lines::new(wiring));
        let server = LineServer::listen(path, &lines);
        if let Err(error) = &server {
            eprintln!("varan: {}: {error}", path.display());
        }
        Self { lines, _server: server.ok() }
    }
}

impl ServerEnd for LinedEnd {
    fn join(&self, place: &PortPlace, hypervisor: Endpoint) {
        self.lines.bind(&line_of(place), hypervisor);
    }

    fn leave(&self, place: &PortPlace, _: Endpoint) {
        self.lines.unbind(&line_of(place));
    }

    fn control(&self, hypervisor: Endpoint, there: bool) {
        if there {
            self.lines.bind(CONTROL, hypervisor);
        } else {
            self.lines.unbind(CONTROL);
        }
    }

    // A process that stands still does so by itself.
    fn pause(&self, _: bool) {}
}
