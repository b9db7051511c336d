//! `up --split`: processes of their own for managed systems and consoles, and who looks after them.
//!
//! ```text
//!          child says it serves        child ends
//! started ─────────────────────> up ────────────────> started again, a console on the ports that it had
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use varan_contract::system::SystemLink;
use varan_environment::{Environment, RealEnvironment};
use varan_model::site::Site;
use varan_vios::ViosSettings;

use super::console::{ConsoleStart, Introduction};
use super::{introduce, runtime, serve_faults, wait_for_end};
use crate::arguments::Up;
use crate::distance::{self, RemoteNetwork};
use crate::fault::Faults;
use crate::fault::links::{ConsoleLinks, RemoteLinks};
use crate::frame::{FrameStart, Layout, ServerPlace};
use crate::network::{ServerProcessNetwork, SiteNetwork};
use crate::remote::{self, RemoteSystem};
use crate::servers::ServerDirectory;
use crate::sites;
use crate::world::{Network, StorageNetwork};

/// Pause before a process that died is started again, so that a defect does not spin.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// How often the supervisor looks after its processes.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Line by which a child says that it serves.
pub(super) const CHILD_READY: &str = "serving";
/// Beginning of the line by which a console's process says how the console is reached; JSON follows.
pub(super) const CHILD_CONSOLE: &str = "console ";
/// Times that the supervisor looks whether a child that was told to stop has ended; then the child hangs and is killed.
const STOP_ATTEMPTS: u32 = 500;
/// Pause between two such looks.
const STOP_PAUSE: Duration = Duration::from_millis(20);
/// Name of the world's process.
const WORLD: &str = "world";
/// Variable by which a child knows its supervisor.
const SUPERVISOR_VARIABLE: &str = "VARAN_SUPERVISOR";

/// The process of one managed system.
///
/// # Errors
/// A text for the person.
pub fn frame_process(options: &Up, system: &str) -> Result<(), String> {
    die_with_parent()?;
    let site = sites::load(&options.site)?;
    let index = site.managed_systems.iter().position(|one| one.name == system);
    let index = index.ok_or_else(|| format!("the site has no managed system {system}"))?;
    let layout = Layout::new(&options.data);
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    // Processes share no memory: each frame has its part of the site's.
    let share = options.guest_memory / site.managed_systems.len().max(1) as u64;
    let arena = crate::frame::guest_memory(share)?;
    let sockets = layout.sockets();
    let network: Arc<dyn Network> = Arc::new(RemoteNetwork::new(&sockets, environment.clone()));
    let place = ServerPlace::Apart(sockets.clone());
    let ethernet = SiteNetwork::of_frame(&sockets, &environment)?;
    let start = FrameStart {
        layout: &layout,
        environment: &environment,
        guest_memory: &arena,
        network: &network,
        ethernet: &ethernet,
    };
    let frame = crate::frame::start(&site, index, &start, &place)?;
    remote::serve(&frame.handle, &sockets, system, &environment, None).map_err(|error| error.to_string())?;
    let servers: Arc<dyn ServerDirectory> = frame.servers.clone();
    distance::serve_directory(&servers, &sockets, system, &environment).map_err(|error| error.to_string())?;
    serve_until_told(|| frame.handle.stop())
}

/// The process of what is outside the frames.
///
/// # Errors
/// A text for the person.
pub fn world_process(options: &Up) -> Result<(), String> {
    die_with_parent()?;
    let site = sites::load(&options.site)?;
    let layout = Layout::new(&options.data);
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let storage = StorageNetwork::open(&site, &layout.world())?;
    storage.attach_cables(SiteNetwork::of_world(&site, &layout.sockets(), &environment)?);
    let network: Arc<dyn Network> = storage;
    distance::serve_network(&network, &layout.sockets(), &environment).map_err(|error| error.to_string())?;
    serve_until_told(|| {})
}

/// The process of one Virtual I/O Server, named as [`distance::server_name`] does.
///
/// # Errors
/// A text for the person.
pub fn server_process(options: &Up, name: &str) -> Result<(), String> {
    die_with_parent()?;
    let site = sites::load(&options.site)?;
    let layout = Layout::new(&options.data);
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let sockets = layout.sockets();
    let network: Arc<dyn Network> = Arc::new(RemoteNetwork::new(&sockets, environment.clone()));
    let making = environment.clone();
    let ethernet = ServerProcessNetwork::new(&site, name, &sockets, &environment)?;
    let make = move |settings: ViosSettings| {
        let place = ethernet.place(settings.partition);
        crate::servers::open_here(settings, &making, &network, &place)
    };
    distance::serve_server(make, &sockets, name, &environment).map_err(|error| error.to_string())?;
    serve_until_told(|| {})
}

/// A child must not outlive its supervisor: the frame's power comes from there.
pub(super) fn die_with_parent() -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| format!("prctl: {error}"))?;
    // A supervisor that died before this point sends no signal any more.
    let supervisor = std::env::var(SUPERVISOR_VARIABLE).ok().and_then(|text| text.parse().ok());
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    match supervisor {
        Some(supervisor) if parent != Some(supervisor) => Err("the supervisor is gone".to_owned()),
        _ => Ok(()),
    }
}

fn serve_until_told(stop: impl FnOnce()) -> Result<(), String> {
    println!("{CHILD_READY}");
    std::io::stdout().flush().map_err(|error| error.to_string())?;
    wait_for_end(&runtime()?)?;
    stop();
    Ok(())
}

/// One process under supervision.
struct Supervised {
    name: String,
    arguments: Vec<String>,
    child: Child,
    pid_file: std::path::PathBuf,
    /// The lock of the data directory.
    lock: File,
    role: Role,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Frame,
    Console,
    Server,
    World,
}

impl Role {
    fn of(arguments: &[String]) -> Self {
        match arguments.first().map(String::as_str) {
            Some("console-process") => Self::Console,
            Some("server-process") => Self::Server,
            Some("world-process") => Self::World,
            _ => Self::Frame,
        }
    }

    /// What its end means.
    fn returns(self) -> &'static str {
        match self {
            Self::Frame => "its power returns",
            Self::Console | Self::World => "it is started again",
            Self::Server => "its partition has crashed",
        }
    }
}

/// Starts a child. Its standard input, which it does not read, is the lock of the data directory: a lock belongs to all who
/// have the open file.
fn spawn_child(arguments: &[String], lock: &File) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(arguments)
        .env(SUPERVISOR_VARIABLE, std::process::id().to_string())
        .stdin(Stdio::from(lock.try_clone()?))
        .stdout(Stdio::piped())
        .spawn()
}

impl Supervised {
    fn start(
        name: &str,
        arguments: Vec<String>,
        pid_file: std::path::PathBuf,
        lock: &File,
    ) -> Result<Self, String> {
        let lock = lock.try_clone().map_err(|error| error.to_string())?;
        let child = spawn_child(&arguments, &lock).map_err(|error| format!("{name}: {error}"))?;
        std::fs::write(&pid_file, format!("{}\n", child.id())).map_err(|error| error.to_string())?;
        let role = Role::of(&arguments);
        Ok(Self { name: name.to_owned(), arguments, child, pid_file, lock, role })
    }

    /// Passes the child's lines on until it serves, and on a thread afterwards. A console says how it is reached.
    fn wait_until_serving(&mut self) -> Result<Option<Introduction>, String> {
        let Some(output) = self.child.stdout.take() else { return Ok(None) };
        let mut lines = BufReader::new(output).lines();
        let mut introduction = None;
        loop {
            match lines.next() {
                Some(Ok(line)) if line == CHILD_READY => break,
                Some(Ok(line)) => match line.strip_prefix(CHILD_CONSOLE).map(serde_json::from_str) {
                    Some(Ok(said)) => introduction = Some(said),
                    _ => println!("{line}"),
                },
                _ => return Err(format!("{} did not start", self.name)),
            }
        }
        let forward = move || lines.map_while(Result::ok).for_each(|line| println!("{line}"));
        std::thread::Builder::new()
            .name("child output".to_owned())
            .spawn(forward)
            .map_err(|error| error.to_string())?;
        Ok(introduction)
    }

    fn restart(&mut self) -> Result<(), String> {
        let fresh = Self::start(&self.name, self.arguments.clone(), self.pid_file.clone(), &self.lock)?;
        *self = fresh;
        self.wait_until_serving().map(|_| ())
    }

    fn stop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        for _ in 0..STOP_ATTEMPTS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(STOP_PAUSE);
        }
        // Nothing that was acknowledged depends on a clean end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.pid_file);
    }
}

fn child_arguments(role: &str, options: &Up) -> Vec<String> {
    let megabytes = (options.guest_memory >> 20).to_string();
    let data = options.data.display().to_string();
    [role, "--site", &options.site, "--data", &data, "--guest-memory", &megabytes].map(str::to_owned).to_vec()
}

/// Arguments of a console's process.
fn console_arguments(options: &Up, name: &str, start: &ConsoleStart) -> Vec<String> {
    let mut arguments = child_arguments("console-process", options);
    let mut add = |option: &str, value: &dyn std::fmt::Display| {
        arguments.extend([option.to_owned(), value.to_string()]);
    };
    add("--console", &name);
    add("--listen", &start.listen);
    add("--ssh-port", &start.ssh_port);
    add("--rest-port", &start.rest_port);
    if let Some((system, port)) = &start.novalink {
        add("--novalink", system);
        add("--novalink-port", port);
    }
    arguments
}

/// Runs the processes of a site until it is told to stop.
pub(super) fn supervise(options: &Up, site: &Site, layout: &Layout, lock: &File) -> Result<(), String> {
    crate::frame::check_site(site)?;
    let named_twice = |console: &&str| site.managed_systems.iter().any(|system| system.name == **console);
    if let Some(name) = site.consoles.iter().map(|console| console.name.as_str()).find(named_twice) {
        return Err(format!("with --split a console and a managed system cannot both be named {name}"));
    }
    let sockets = layout.sockets();
    std::fs::create_dir_all(&sockets).map_err(|error| error.to_string())?;
    let pid_file = |name: &str| sockets.join(format!("{name}.pid"));
    let mut processes = Vec::new();
    let world = child_arguments("world-process", options);
    processes.push(Supervised::start(WORLD, world, pid_file(WORLD), lock)?);
    for system in &site.managed_systems {
        for partition in crate::frame::server_partitions(system) {
            let name = distance::server_name(&system.name, partition);
            let mut arguments = child_arguments("server-process", options);
            arguments.extend(["--system".to_owned(), name.clone()]);
            processes.push(Supervised::start(&name, arguments, pid_file(&name), lock)?);
        }
    }
    for process in &mut processes {
        process.wait_until_serving()?;
    }
    let below = processes.len();
    for system in &site.managed_systems {
        let mut arguments = child_arguments("frame-process", options);
        arguments.extend(["--system".to_owned(), system.name.clone()]);
        processes.push(Supervised::start(&system.name, arguments, pid_file(&system.name), lock)?);
    }
    for process in &mut processes[below..] {
        process.wait_until_serving()?;
    }
    let mut introductions = Vec::new();
    for (index, console) in site.consoles.iter().enumerate() {
        let mut start = ConsoleStart::of(options, index)?;
        let arguments = console_arguments(options, &console.name, &start);
        let mut process = Supervised::start(&console.name, arguments, pid_file(&console.name), lock)?;
        if let Some(introduction) = process.wait_until_serving()? {
            // Whatever free ports it took, it has them again after a restart.
            start.ssh_port = introduction.address.port();
            start.rest_port = introduction.rest_port;
            process.arguments = console_arguments(options, &console.name, &start);
            introductions.push(introduction);
        }
        processes.push(process);
    }
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let link = |name: &String| Arc::new(RemoteSystem::new(&sockets, name)) as Arc<dyn SystemLink>;
    let links: Vec<Arc<dyn SystemLink>> = site.managed_systems.iter().map(|one| link(&one.name)).collect();
    let console = |name: &String| Arc::new(RemoteLinks::new(&sockets, name)) as Arc<dyn ConsoleLinks>;
    let consoles = site.consoles.iter().map(|one| console(&one.name)).collect();
    let network: Arc<dyn Network> = Arc::new(RemoteNetwork::new(&sockets, environment.clone()));
    let faults = serve_faults(site, layout, &environment, &links, consoles, network)?;
    introduce(options, site, layout, introductions.iter())?;
    watch(&runtime()?, &mut processes, &faults)?;
    println!("varan: stopping");
    for process in processes.iter_mut().rev() {
        process.stop();
    }
    Ok(())
}

/// Links that faults have cut stay cut although the console's process is another one.
fn cut_links(faults: &Arc<Faults>, console: &str) {
    let (faults, console) = (faults.clone(), console.to_owned());
    let cut = move || faults.console_restarted(&console);
    if let Err(error) = std::thread::Builder::new().name("links".to_owned()).spawn(cut) {
        eprintln!("varan: {error}");
    }
}

/// Starts processes that died again, until the site is told to stop.
fn watch(
    runtime: &tokio::runtime::Runtime,
    processes: &mut [Supervised],
    faults: &Arc<Faults>,
) -> Result<(), String> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        let _ = sender.send(());
    });
    loop {
        if receiver.recv_timeout(WATCH_INTERVAL) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            return Ok(());
        }
        for process in processes.iter_mut() {
            if let Ok(Some(status)) = process.child.try_wait() {
                println!("varan: {} ended ({status}); {}", process.name, process.role.returns());
                std::thread::sleep(RESTART_PAUSE);
                match process.restart() {
                    Ok(()) if process.role == Role::Console => cut_links(faults, &process.name),
                    Ok(()) => {}
                    Err(error) => eprintln!("varan: {error}"),
                }
            }
        }
    }
}
