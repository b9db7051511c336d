//! One managed system of a site: its database, its engine, its authority.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use varan_contract::engine::{BootDisk, PartitionEngine};
use varan_environment::Environment;
use varan_model::configuration::PartitionEnvironment;
use varan_model::hardware::Hardware;
use varan_model::ids::{MachineIdentity, PartitionUuid, SystemUuid};
use varan_model::partition::{GuestEngine, GuestInstallation};
use varan_model::rules::addresses::machine_bits;
use varan_model::site::{ManagedSystemDescription, PowerOnSide, Site};
use varan_model::system::{AccessPassword, SystemSettings, SystemState};
use varan_partition_engine::{EmbeddedEngine, EngineOptions, FileBootDisk, FrameArena, Workers};
use varan_qemu_engine::{QemuEngine, QemuOptions};
use varan_system::guest::{BootDisks, GuestSettings, ManagementNetwork};
use varan_system::{InitialPartition, Opened, Opening, SystemHandle};

use crate::boot_disks::LosableBootDisks;
use crate::distance::{self, RemoteServer};
use crate::engines::RoutedEngine;
use crate::network::{ServerPlaces, SiteNetwork, look};
use crate::servers::{
    self, FrameServers, OpenServer, ServedEvents, ServerAuthority, ServingEngine, TerminalConsole,
    VirtualServers,
};
use crate::world::Network;

/// Real memory that the guests of one site may use together, in bytes, where the command line says nothing.
pub const GUEST_MEMORY_DEFAULT: u64 = 4 << 30;

/// Where the parts of a site's state are within the data directory.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout under a data directory.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A managed system's own directory.
    #[must_use]
    pub fn frame(&self, name: &str) -> PathBuf {
        self.root.join("frames").join(name)
    }

    /// Directory of the Virtual I/O Servers of a managed system.
    #[must_use]
    pub fn servers(&self, system: &str) -> PathBuf {
        self.frame(system).join("vios")
    }

    /// A console's own directory.
    #[must_use]
    pub fn console(&self, name: &str) -> PathBuf {
        self.root.join("consoles").join(name)
    }

    /// Sockets of running processes.
    #[must_use]
    pub fn sockets(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What is outside the frames.
    #[must_use]
    pub fn world(&self) -> PathBuf {
        self.root.join("world")
    }

    /// The data directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Internal boot disks: one sparse file for each partition that was started.
struct FileBootDisks {
    directory: PathBuf,
}

impl FileBootDisks {
    fn path(&self, partition: PartitionUuid) -> PathBuf {
        self.directory.join(format!("{partition}.disk"))
    }
}

impl BootDisks for FileBootDisks {
    fn open(&self, partition: PartitionUuid) -> std::io::Result<Arc<dyn BootDisk>> {
        varan_environment::make_directory(&self.directory)?;
        Ok(Arc::new(FileBootDisk::new(self.path(partition))))
    }

    fn remove(&self, partition: PartitionUuid) {
        // A file that is not there was never made: the partition never started.
        let _ = std::fs::remove_file(self.path(partition));
    }
}

/// A UUID that follows from the machine's identity, so that it is the same at every start and on every host.
fn system_uuid(identity: &MachineIdentity) -> SystemUuid {
    let mut state = machine_bits(identity) ^ 0x5641_5241_4E00;
    for byte in identity.to_string().bytes() {
        state = state.wrapping_mul(0x0000_0100_0000_01B3) ^ u64::from(byte);
    }
    let high = varan_environment::split_mix(&mut state);
    let low = varan_environment::split_mix(&mut state);
    SystemUuid::from_random(u128::from(high) << 64 | u128::from(low))
}

/// The hardware of a system of the site.
#[must_use]
pub fn hardware(system: &ManagedSystemDescription) -> Hardware {
    system.hardware(system_uuid(&system.identity))
}

/// Checks what only the whole site shows: generated addresses of two machines must differ, and nothing is asked for that
/// this level does not have.
///
/// # Errors
/// A text naming both machines, or the key.
pub fn check_site(site: &Site) -> Result<(), String> {
    if site.awk {
        return Err("site.awk: a console with awk is not supported at this level".to_owned());
    }
    let mut addresses = std::collections::HashMap::new();
    for (index, system) in site.managed_systems.iter().enumerate() {
        let address = crate::site::service_processor_address(site, index);
        if let Some(other) = addresses.insert(address.clone(), &system.name) {
            return Err(format!(
                "the service processors of {other} and {} have the same address {address}",
                system.name
            ));
        }
        let bits = machine_bits(&system.identity);
        if let Some(other) =
            site.managed_systems[..index].iter().find(|one| machine_bits(&one.identity) == bits)
        {
            return Err(format!(
                "the serial numbers of {} and {} lead to the same generated addresses: change one of them",
                other.name, system.name
            ));
        }
    }
    Ok(())
}

/// Settings of a system that is opened for the first time.
pub(crate) fn first_settings(system: &ManagedSystemDescription, hardware: &Hardware) -> SystemSettings {
    let on = !matches!(system.initial_state, SystemState::PowerOff);
    let mut settings = SystemSettings::new(hardware, on);
    settings.power_off_policy = system.power_off_policy;
    settings.start_policy = system.partition_start_policy;
    settings.temporary_side = matches!(system.power_on_side, PowerOnSide::Temporary);
    settings.description.clone_from(&system.description);
    if !system.access_password_set {
        settings.access = AccessPassword::Unset;
    }
    settings
}

/// The QEMU that runs partitions: the one that `VARAN_QEMU` names, else the one in `PATH`.
fn qemu_program() -> PathBuf {
    std::env::var_os("VARAN_QEMU").map_or_else(|| PathBuf::from("qemu-system-ppc64"), PathBuf::from)
}

/// Files of the host are recorded by absolute paths: the next start may be in another directory.
fn with_absolute_paths(mut installation: GuestInstallation) -> GuestInstallation {
    if let GuestEngine::Qemu(boot) = &mut installation.engine {
        for path in [&mut boot.kernel, &mut boot.initial_ramdisk].into_iter().flatten() {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute.to_string_lossy().into_owned();
            }
        }
    }
    installation
}

/// The partitions that are defined to run on QEMU. Says at the start what would otherwise be said when the first of them is
/// activated.
fn partitions_on_qemu(opened: &Opened, options: &QemuOptions) -> HashSet<PartitionUuid> {
    let snapshot = &opened.world.snapshot;
    let partitions = snapshot.partitions.iter().map(|(_, entry)| &entry.partition);
    let real: Vec<_> =
        partitions.filter(|one| matches!(one.installation.engine, GuestEngine::Qemu(_))).collect();
    if let Some(first) = real.first()
        && let Err(reason) = varan_qemu_engine::find(&options.program)
    {
        eprintln!(
            "varan: {}: partition {} needs QEMU: {reason}",
            snapshot.system.hardware.site_name, first.name
        );
    }
    real.into_iter().map(|partition| partition.uuid).collect()
}

/// Real memory for guests: `bytes` for all engines of this process together.
///
/// # Errors
/// A text for the person.
pub fn guest_memory(bytes: u64) -> Result<FrameArena, String> {
    FrameArena::new(bytes).map_err(|error| format!("{error}; give less with --guest-memory"))
}

/// The partitions that a system begins with.
pub(crate) fn initial_partitions(system: &ManagedSystemDescription) -> Vec<InitialPartition> {
    let network = system.management.network;
    let initial = |partition: &varan_model::site::InitialPartition| InitialPartition {
        record: system.creation_record(partition),
        installation: with_absolute_paths(partition.installation(network)),
        start: partition.start,
    };
    system.partitions.iter().map(initial).collect()
}

/// The network on which the guests of a system get addresses; `index` is its place in the site.
pub(crate) fn management_network(system: &ManagedSystemDescription, index: usize) -> ManagementNetwork {
    let network = system.management.network;
    ManagementNetwork {
        network: network.address,
        prefix: network.prefix_length,
        system_index: u16::try_from(index).unwrap_or(u16::MAX),
    }
}

/// Where the authorities of Virtual I/O Servers live.
pub enum ServerPlace {
    /// In the frame's process.
    Here,
    /// In processes of their own, whose sockets are in this directory; servers that the site file does not know have none
    /// and live in the frame's process.
    Apart(PathBuf),
}

impl ServerPlace {
    /// Names of the servers that have processes of their own.
    fn apart(&self, system: &ManagedSystemDescription) -> Vec<String> {
        match self {
            Self::Here => Vec::new(),
            Self::Apart(_) => server_partitions(system).map(str::to_owned).collect(),
        }
    }

    fn opener(
        &self,
        network: &Arc<dyn Network>,
        environment: &Arc<dyn Environment>,
        system: &ManagedSystemDescription,
        places: Arc<ServerPlaces>,
    ) -> Box<OpenServer> {
        let (network, environment) = (network.clone(), environment.clone());
        let apart = self.apart(system);
        let sockets = match self {
            Self::Here => PathBuf::new(),
            Self::Apart(sockets) => sockets.clone(),
        };
        let system = system.name.clone();
        Box::new(move |name, settings, gone| {
            if apart.iter().any(|known| known == name) {
                let process = distance::server_name(&system, name);
                let remote = RemoteServer::open(&sockets, &process, environment.clone(), settings, gone)?;
                return Ok(Arc::new(remote) as Arc<dyn ServerAuthority>);
            }
            let place = places.of(settings.partition);
            servers::open_here(settings, &environment, &network, &place)
        })
    }
}

/// Names of the Virtual I/O Servers that a system begins with.
pub fn server_partitions(system: &ManagedSystemDescription) -> impl Iterator<Item = &str> {
    let servers = system.partitions.iter();
    let servers = servers.filter(|one| one.environment == PartitionEnvironment::VirtualIoServer);
    servers.map(|one| one.name.as_str())
}

/// A managed system that runs, with its Virtual I/O Servers.
pub struct Frame {
    /// The system.
    pub handle: Arc<SystemHandle>,
    /// Its servers.
    pub servers: Arc<VirtualServers>,
}

/// What a managed system is started with.
#[derive(Clone, Copy)]
pub struct FrameStart<'a> {
    /// Where its state is.
    pub layout: &'a Layout,
    /// Clock and randomness.
    pub environment: &'a Arc<dyn Environment>,
    /// Memory of its guests.
    pub guest_memory: &'a FrameArena,
    /// The storage network.
    pub network: &'a Arc<dyn Network>,
    /// The Ethernet.
    pub ethernet: &'a Arc<SiteNetwork>,
}

/// Opens one system and starts its authority and engine, with its Virtual I/O Servers.
///
/// # Errors
/// A text for the person.
pub fn start(
    site: &Site,
    index: usize,
    start: &FrameStart<'_>,
    servers_of: &ServerPlace,
) -> Result<Frame, String> {
    let FrameStart { layout, environment, guest_memory, network, ethernet } = *start;
    let system = &site.managed_systems[index];
    let hardware = Arc::new(hardware(system));
    let hardware_uuid = hardware.uuid;
    let directory = layout.frame(&system.name);
    let partitions = initial_partitions(system);
    let opening = Opening {
        directory: &directory,
        settings: first_settings(system, &hardware),
        hardware,
        partitions: &partitions,
        environment: &**environment,
    };
    let opened = varan_system::open(opening).map_err(|error| error.to_string())?;
    let qemu = QemuOptions { directory: directory.join("qemu"), program: qemu_program() };
    let on_qemu = partitions_on_qemu(&opened, &qemu);
    let sockets = layout.sockets();
    let (frame_network, places) =
        ethernet.frame(site, system, (&sockets, servers_of.apart(system)), environment);
    let ports = look::socket(&sockets, &system.name);
    if let Err(error) = look::serve(&frame_network, &ports, environment) {
        // The frame works without anybody who looks on.
        eprintln!("varan: {}: {error}", ports.display());
    }
    let guests = GuestSettings {
        boot_disks: Arc::new(LosableBootDisks::new(FileBootDisks { directory: directory.join("disks") })),
        network: Some(management_network(system, index)),
        hypervisor: frame_network.clone(),
    };
    let options = EngineOptions {
        time_scale: site.time_scale,
        // The frames of one process share its cores; one worker each keeps the number of threads small.
        workers: Workers::Threads(std::num::NonZeroUsize::MIN),
    };
    let uuid = hardware_uuid;
    let frame_servers = FrameServers {
        system: uuid,
        directory: layout.servers(&system.name),
        sockets: layout.sockets(),
        environment: environment.clone(),
        network: network.clone(),
        open: servers_of.opener(network, environment, system, places),
        time_scale: site.time_scale,
        ethernet: frame_network.clone(),
    };
    let servers = VirtualServers::new(site, system, frame_servers);
    let serving = servers.clone();
    let make_engine = |inbox: Arc<varan_system::inbox::Inbox>| -> std::io::Result<Arc<dyn PartitionEngine>> {
        let events = Arc::new(ServedEvents::new(serving.clone(), inbox.clone()));
        let embedded = EmbeddedEngine::new(options, guest_memory.clone(), environment.clone(), events)
            .map_err(std::io::Error::other)?;
        embedded.attach_storage(serving.clone());
        embedded.attach_network(frame_network.clone());
        frame_network.attach_guests(embedded.ports());
        embedded.attach_console(Arc::new(TerminalConsole::new(&serving, environment)));
        let embedded = ServingEngine::new(Arc::new(embedded), serving);
        let qemu = QemuEngine::new(qemu, environment.clone(), inbox);
        Ok(Arc::new(RoutedEngine::new(Arc::new(embedded), Arc::new(qemu), on_qemu)))
    };
    let handle = varan_system::start(opened, make_engine, guests, environment.clone(), site.time_scale);
    let handle = handle.map(Arc::new).map_err(|error| format!("managed system {}: {error}", system.name))?;
    Ok(Frame { handle, servers })
}
