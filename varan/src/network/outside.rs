//! What is outside the frames, and the driver of all places of a process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use varan_contract::fault::CableFaults;
use varan_contract::network::{ConsoleAddress, NetworkGuest};
use varan_environment::Environment;
use varan_fabric::PortNumber;
use varan_fabric::driver::{Driver, Endpoint, Lines, PlaceHandle};
use varan_fabric::host::{SocketPeer, TapDevice, TapPeer, attach_socket, attach_tap};
use varan_fabric::outside::OutsideFabric;
use varan_model::ids::{PartitionId, PartitionUuid};
use varan_model::site::topology::{ethernet_ports, has_no_server};
use varan_model::site::{CableEnd, InitialPartition, ManagedSystemDescription, Site};

use super::frame::{FrameNetwork, Guests, ServerEnd};
use super::numbers::Numbers;
use super::server::{LineServer, LinedEnd, ServerPlace, ServerPlaces, connect};
use super::sessions::{SaidSessions, hear_sessions};
use crate::distance;

/// Socket on which the world's process takes the cables of the frames' processes.
fn world_socket(sockets: &Path) -> PathBuf {
    sockets.join("world.cables")
}

/// Consoles of a managed system, as its partitions reach them.
#[must_use]
pub fn consoles_of(site: &Site, system: &ManagedSystemDescription) -> Vec<ConsoleAddress> {
    let consoles = site.consoles.iter().enumerate();
    let managing = consoles.filter(|(_, console)| console.manages(&system.name));
    managing
        .map(|(index, console)| ConsoleAddress {
            name: console.name.clone(),
            address: site.console_address(index, system).into(),
        })
        .collect()
}

/// Where the cables of frames end.
enum Cables {
    /// In this process.
    Here(HashMap<String, Endpoint>),
    /// In the world's process.
    Apart(Arc<Lines>),
}

/// What of the outside is in this process.
struct Outside {
    place: PlaceHandle<OutsideFabric>,
    /// Peers of ports that lead to the host; they go with this.
    taps: Vec<TapPeer>,
    sockets: Vec<SocketPeer>,
    /// Cables to frames in other processes.
    lines: Option<(Arc<Lines>, LineServer)>,
}

/// The network of a process: its driver, and what is outside its frames, here or in the world's process.
pub struct SiteNetwork {
    /// Carries all frames of this process.
    pub(crate) driver: Driver,
    cables: Cables,
    outside: Option<Outside>,
}

impl SiteNetwork {
    /// The network of a frame: its place in this driver, with the ends of its servers' adapters. `apart` names the servers
    /// that have processes of their own.
    pub(crate) fn frame(
        self: &Arc<Self>,
        site: &Site,
        system: &ManagedSystemDescription,
        (sockets, apart): (&Path, Vec<String>),
        environment: &Arc<dyn Environment>,
    ) -> (Arc<FrameNetwork>, Arc<ServerPlaces>) {
        let guests: Guests = Arc::default();
        let consoles = consoles_of(site, system);
        let (network, known, environment) = (self.clone(), consoles.clone(), environment.clone());
        let (seed, told, pause) = (environment.random(), guests.clone(), rmc_pause(site.time_scale));
        let places = Arc::new(ServerPlaces::new(move |partition| {
            let told = told.clone();
            let sessions = move |names: Vec<String>| tell_sessions(&told, partition, &names);
            let of = (partition, known.as_slice());
            ServerPlace::new(&network.driver, &environment, of, None, (pause, Box::new(sessions)))
        }));
        let (network, here, told) = (self.clone(), places.clone(), guests.clone());
        let (sockets, system_name) = (sockets.to_owned(), system.name.clone());
        let names: Vec<String> = consoles.iter().map(|console| console.name.clone()).collect();
        let make_end = move |guest: &NetworkGuest| -> Arc<dyn ServerEnd> {
            if !apart.contains(&guest.name) {
                let place = here.of(guest.partition);
                place.identify(guest.partition, (guest.id, &guest.name), &system_name);
                return place;
            }
            let process = distance::server_name(&system_name, &guest.name);
            let end = LinedEnd::new(network.driver.wiring(), &server_socket(&sockets, &process));
            let (told, partition) = (told.clone(), guest.partition);
            hear_sessions(&network.driver, end.lines(), &names, move |established| {
                tell_sessions(&told, partition, established);
            });
            Arc::new(end)
        };
        let locations: Vec<String> = ethernet_ports(system).map(ToString::to_string).collect();
        let frame = FrameNetwork::new(
            &self.driver,
            seed,
            &locations,
            (guests, consoles),
            Box::new(make_end),
            &mut |location, hypervisor| self.cable(location, hypervisor),
        );
        if has_no_server(system) {
            let management = &system.management;
            let uplink = frame.uplink(management.vlan, &management.virtual_switch);
            self.cable(&uplink_of(&system.name), uplink);
        }
        (frame, places)
    }

    /// Plugs the cable of a physical port in.
    fn cable(&self, location: &str, hypervisor: Endpoint) {
        match &self.cables {
            Cables::Here(ends) => {
                if let Some(end) = ends.get(location) {
                    self.driver.wiring().link(hypervisor, *end);
                }
            }
            Cables::Apart(lines) => lines.bind(location, hypervisor),
        }
    }
}

/// Name of the cable of a hypervisor itself.
fn uplink_of(system: &str) -> String {
    format!("hypervisor {system}")
}

fn tell_sessions(guests: &Guests, partition: PartitionUuid, consoles: &[String]) {
    if let Some(guests) = guests.get() {
        guests.server_sessions(partition, consoles);
    }
}

/// Least pause between a partition's attempts to reach a console.
const LEAST_PAUSE: Duration = Duration::from_millis(250);

/// Pause between a partition's attempts to reach a console, in a site with that time scale.
#[must_use]
pub fn rmc_pause(time_scale: f64) -> Duration {
    varan_station::rmc::PAUSE.div_f64(time_scale.max(1.0)).max(LEAST_PAUSE)
}

/// Socket on which a frame takes the adapters of a server in a process of its own.
pub(crate) fn server_socket(sockets: &Path, process: &str) -> PathBuf {
    sockets.join(format!("{process}.adapters"))
}

/// The network of the process of one Virtual I/O Server.
pub struct ServerProcessNetwork {
    driver: Driver,
    environment: Arc<dyn Environment>,
    consoles: Vec<ConsoleAddress>,
    /// Number and name of the partition, name of its system.
    identity: Option<(PartitionId, String, String)>,
    lines: Arc<Lines>,
    pause: Duration,
}

impl ServerProcessNetwork {
    /// Reaches for the frame of the server, whose process is named as [`distance::server_name`] does.
    ///
    /// # Errors
    /// A text for the person.
    pub fn new(
        site: &Site,
        process: &str,
        sockets: &Path,
        environment: &Arc<dyn Environment>,
    ) -> Result<Arc<Self>, String> {
        let host = |error: std::io::Error| format!("the network of {process}: {error}");
        let driver = Driver::threaded(environment.clone()).map_err(host)?;
        let lines = Arc::new(Lines::new(driver.wiring()));
        connect(server_socket(sockets, process), &lines).map_err(host)?;
        let named = site.managed_systems.iter().find_map(|system| {
            let is = |one: &&InitialPartition| distance::server_name(&system.name, &one.name) == process;
            Some((system, system.partitions.iter().find(is)?))
        });
        let consoles = named.map(|(system, _)| consoles_of(site, system)).unwrap_or_default();
        let identity = named.map(|(system, one)| (one.id, one.name.clone(), system.name.clone()));
        let (environment, pause) = (environment.clone(), rmc_pause(site.time_scale));
        Ok(Arc::new(Self { driver, environment, consoles, identity, lines, pause }))
    }

    /// The network of the server.
    #[must_use]
    pub fn place(&self, partition: PartitionUuid) -> Arc<ServerPlace> {
        let names: Vec<String> = self.consoles.iter().map(|console| console.name.clone()).collect();
        let said = SaidSessions::new(&self.driver, &self.lines, &names);
        let sessions = move |established: Vec<String>| said.say(&established);
        let of = (partition, self.consoles.as_slice());
        let lines = Some(self.lines.clone());
        let place =
            ServerPlace::new(&self.driver, &self.environment, of, lines, (self.pause, Box::new(sessions)));
        if let Some((id, name, system)) = &self.identity {
            place.identify(partition, (*id, name), system);
        }
        place
    }
}

impl SiteNetwork {
    /// The network of a site whose frames are all in this process.
    ///
    /// # Errors
    /// A text for the person.
    pub fn here(
        site: &Site,
        sockets: &Path,
        environment: &Arc<dyn Environment>,
    ) -> Result<Arc<Self>, String> {
        let driver = threaded(environment)?;
        let (outside, ends) = Outside::new(site, &driver, sockets, environment)?;
        Ok(Arc::new(Self { driver, cables: Cables::Here(ends), outside: Some(outside) }))
    }

    /// What is outside the frames, for frames in processes of their own.
    ///
    /// # Errors
    /// A text for the person.
    pub fn of_world(
        site: &Site,
        sockets: &Path,
        environment: &Arc<dyn Environment>,
    ) -> Result<Arc<Self>, String> {
        let driver = threaded(environment)?;
        let (mut outside, ends) = Outside::new(site, &driver, sockets, environment)?;
        let lines = Arc::new(Lines::new(driver.wiring()));
        for (location, end) in &ends {
            lines.bind(location, *end);
        }
        let server = LineServer::listen(&world_socket(sockets), &lines);
        let server = server.map_err(|error| format!("{}: {error}", world_socket(sockets).display()))?;
        outside.lines = Some((lines, server));
        Ok(Arc::new(Self { driver, cables: Cables::Here(ends), outside: Some(outside) }))
    }

    /// The network of a process with a frame, whose world is another one.
    ///
    /// # Errors
    /// A text for the person.
    pub fn of_frame(sockets: &Path, environment: &Arc<dyn Environment>) -> Result<Arc<Self>, String> {
        let driver = threaded(environment)?;
        let lines = Arc::new(Lines::new(driver.wiring()));
        connect(world_socket(sockets), &lines).map_err(|error| error.to_string())?;
        Ok(Arc::new(Self { driver, cables: Cables::Apart(lines), outside: None }))
    }
}

fn threaded(environment: &Arc<dyn Environment>) -> Result<Driver, String> {
    Driver::threaded(environment.clone()).map_err(|error| format!("no thread for the network: {error}"))
}

impl CableFaults for SiteNetwork {
    fn set_cable(&self, port: &str, plugged: bool) -> bool {
        let Some(outside) = &self.outside else { return false };
        let pulled = outside.place.ask(|outside, now, out| outside.set_cable(now, port, plugged, out));
        pulled.unwrap_or(false)
    }
}

impl Outside {
    /// Builds what is outside; returns the ends of the cables to adapters by location code as well.
    fn new(
        site: &Site,
        driver: &Driver,
        sockets: &Path,
        environment: &Arc<dyn Environment>,
    ) -> Result<(Self, HashMap<String, Endpoint>), String> {
        let mut numbers = Numbers::default();
        let mut numbered: Vec<(CableEnd, PortNumber)> = Vec::new();
        let fabric = OutsideFabric::new(&site.topology(), environment.random(), |end| {
            let leads_out = matches!(
                end,
                CableEnd::AdapterPort(_) | CableEnd::Tap(_) | CableEnd::Socket(_) | CableEnd::Hypervisor(_)
            );
            leads_out.then(|| {
                let number = numbers.take();
                numbered.push((end.clone(), number));
                number
            })
        });
        let place = driver.add(fabric, |_| {});
        let consoles: Vec<String> = site.consoles.iter().map(|console| console.name.clone()).collect();
        place.tell(move |outside, now, out| {
            for console in &consoles {
                outside.set_console_running(now, console, true, out);
            }
        });
        let mut outside = Self { place, taps: Vec::new(), sockets: Vec::new(), lines: None };
        let mut ends = HashMap::new();
        for (end, number) in numbered {
            let port = outside.place.port(number);
            match end {
                CableEnd::AdapterPort(location) => {
                    ends.insert(location.to_string(), port);
                }
                CableEnd::Tap(name) => {
                    let device = TapDevice::open(&name, false);
                    let peer = device.and_then(|device| attach_tap(&driver.wiring(), port, device, false));
                    outside.taps.push(peer.map_err(|error| format!("TAP device {name}: {error}"))?);
                }
                CableEnd::Socket(name) => {
                    let path = sockets.join(&name);
                    let peer = varan_environment::make_directory(sockets)
                        .and_then(|()| attach_socket(&driver.wiring(), port, &path));
                    outside.sockets.push(peer.map_err(|error| format!("{}: {error}", path.display()))?);
                }
                CableEnd::Hypervisor(system) => {
                    ends.insert(uplink_of(&system), port);
                }
                CableEnd::OutsideHost(_) | CableEnd::Console(_) | CableEnd::SwitchPort { .. } => {}
            }
        }
        Ok((outside, ends))
    }
}
