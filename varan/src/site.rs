//! A running site: its managed systems and its consoles.

use std::path::Path;
use std::sync::Arc;

use varan_console::{
    Console, ConsoleDescription, NetworkSystem, Secret, SessionKind, SystemConnection, UserDescription,
    release_number,
};
use varan_contract::system::SystemLink;
use varan_environment::Environment;
use varan_model::attributes::Release;
use varan_model::site::{ConsoleDescription as SiteConsole, Password, Site};
use varan_system::SystemHandle;

use crate::commands::ConsoleHost;
use crate::frame::{self, Frame, FrameStart, Layout, ServerPlace};
use crate::home::Home;
use crate::machine::{HostMachine, Power};
use crate::network::SiteNetwork;
use crate::servers::ServerDirectory;
use crate::vios_shell::{SiteServers, ViosServers};
use crate::world::{Network, StorageNetwork};

/// Release assumed where a site file's text is none that the platform knows; the default of the site file.
const RELEASE_DEFAULT: Release = Release(8, 8, 6, 0);

/// The managed systems of a site and what they share.
pub struct Frames {
    /// Systems, in the order of the site file, each with its Virtual I/O Servers.
    pub frames: Vec<Frame>,
    /// The storage network.
    pub network: Arc<StorageNetwork>,
}

/// Starts every managed system of a site in this process, see [`start_site`].
///
/// # Errors
/// As [`start_site`].
pub fn start_frames(
    site: &Site,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    guest_memory: u64,
) -> Result<Vec<Arc<SystemHandle>>, String> {
    let started = start_site(site, layout, environment, guest_memory)?;
    Ok(started.frames.into_iter().map(|frame| frame.handle).collect())
}

/// Starts the storage network and every managed system of a site in this process, the systems all at the same time. Their
/// guests have `guest_memory` bytes of real memory together.
///
/// # Errors
/// What is wrong with the first system that cannot be started, in the order of the site file.
pub fn start_site(
    site: &Site,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    guest_memory: u64,
) -> Result<Frames, String> {
    frame::check_site(site)?;
    let arena = &frame::guest_memory(guest_memory)?;
    let network = StorageNetwork::open(site, &layout.world())?;
    let shared: Arc<dyn Network> = network.clone();
    let ethernet = &SiteNetwork::here(site, &layout.sockets(), environment)?;
    network.attach_cables(ethernet.clone());
    let start = FrameStart { layout, environment, guest_memory: arena, network: &shared, ethernet };
    let frames = std::thread::scope(|scope| {
        let start = |index| scope.spawn(move || frame::start(site, index, &start, &ServerPlace::Here));
        let threads: Vec<_> = (0..site.managed_systems.len()).map(start).collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => Err("a managed system's start panicked".to_owned()),
        });
        results.collect::<Result<Vec<Frame>, String>>()
    })?;
    Ok(Frames { frames, network })
}

/// The address of a managed system's service processor: the site file's, else one that follows from the system's place in
/// the file. Service processors live on a private network of the console, as on the real thing.
#[must_use]
pub fn service_processor_address(site: &Site, index: usize) -> String {
    match site.managed_systems[index].service_processor_address {
        Some(address) => address.to_string(),
        None => format!("10.255.{}.{}", index / 250, index % 250 + 1),
    }
}

/// Opens a console of the site over links to its systems, in the order of the site file.
///
/// # Errors
/// A text for the person.
pub fn open_console(
    site: &Site,
    console: &SiteConsole,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    links: &[Arc<dyn SystemLink>],
) -> Result<Arc<Console>, String> {
    let network = site
        .managed_systems
        .iter()
        .zip(links)
        .enumerate()
        .map(|(index, (system, link))| NetworkSystem {
            connection: SystemConnection {
                hardware: Arc::new(frame::hardware(system)),
                address: service_processor_address(site, index),
                link: link.clone(),
            },
            connected_at_first: console.manages(&system.name),
        })
        .collect();
    let directory = layout.console(&console.name);
    let fail = |error: String| format!("console {}: {error}", console.name);
    let opened = Console::open_on_network(&directory, describe(console), environment.clone(), network);
    let opened = opened.map(Arc::new).map_err(|error| fail(error.to_string()))?;
    opened.observe().map_err(|error| fail(error.to_string()))?;
    Ok(opened)
}

/// The Virtual I/O Servers of a site, behind the directories of its managed systems in the order of the site file.
#[must_use]
pub fn servers(
    site: &Site,
    directories: impl IntoIterator<Item = Arc<dyn ServerDirectory>>,
    environment: &Arc<dyn Environment>,
) -> Arc<ViosServers> {
    let names = site.managed_systems.iter().map(|system| system.name.clone());
    let links = SiteServers::new(names.zip(directories));
    ViosServers::new(Arc::new(links), site.virtual_io_server_password.clone(), environment.clone())
}

/// Says that a console, whose own directory is `directory`, runs on this computer. Returns its power switch; a console that
/// nobody listens to for has no services to end.
#[must_use]
pub fn attach_machine(
    console: &Console,
    directory: &Path,
    environment: &Arc<dyn Environment>,
    time_scale: f64,
) -> Arc<Power> {
    let power = Arc::new(Power::new(environment.clone(), time_scale));
    console.attach_machine(Arc::new(HostMachine::new(directory, power.clone())));
    power
}

/// Memory of this machine in bytes as the kernel has it; 0 where it does not say.
fn memory_of_host() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

fn describe(console: &SiteConsole) -> ConsoleDescription {
    ConsoleDescription {
        name: console.name.clone(),
        hostname: console.hostname.clone(),
        domain: String::new(),
        address: console.listen_address.map(|address| address.ip().to_string()).unwrap_or_default(),
        release_text: console.release.clone(),
        release: release_number(&console.release, &console.service_pack).unwrap_or(RELEASE_DEFAULT),
        base_version: console.base_version.clone(),
        service_pack: console.service_pack.clone(),
        build_level: console.build_level.clone(),
        bios_level: concat!("Varan ", env!("CARGO_PKG_VERSION")).to_owned(),
        memory_bytes: memory_of_host(),
        fixes: console.fixes.clone(),
        identity: console.identity.clone(),
        users: console
            .users
            .iter()
            .map(|user| UserDescription {
                name: user.name.clone(),
                password: user.password.as_ref().map(|password| match password {
                    Password::Plain(text) => Secret::Plain(text.clone()),
                    Password::Hash(text) => Secret::Hash(text.clone()),
                }),
                task_role: user.task_role.clone(),
                resource_role: user.resource_role.clone(),
                description: user.description.clone(),
                authorized_keys: user.authorized_keys.clone(),
            })
            .collect(),
    }
}

/// What one user of a console works with.
///
/// # Errors
/// No such user, or its home directory cannot be made.
pub fn host_for(
    console: &Arc<Console>,
    user: &str,
    peer: &str,
    homes: &Path,
    servers: &Arc<ViosServers>,
) -> Result<ConsoleHost, String> {
    console.user(user).ok_or_else(|| format!("there is no user {user}"))?;
    let home = Home::open(homes, user).map_err(|error| format!("home of {user}: {error}"))?;
    Ok(ConsoleHost {
        console: console.clone(),
        user: user.to_owned(),
        peer: peer.to_owned(),
        home: Arc::new(home),
        homes: homes.to_owned(),
        servers: servers.clone(),
        session: console.begin_session(SessionKind::Shell, user, peer),
    })
}

/// Makes the home directories that the site file names for the first user.
///
/// # Errors
/// Whatever the host's file system reports.
pub fn make_home_directories(console: &SiteConsole, layout: &Layout) -> std::io::Result<()> {
    let Some(user) = console.users.first() else { return Ok(()) };
    let home = layout.console(&console.name).join("homes").join(&user.name);
    for name in &console.home_directories {
        std::fs::create_dir_all(home.join(name))?;
        crate::firmware_repository::fill_shipped(&home.join(name))?;
    }
    Ok(())
}
