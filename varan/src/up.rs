//! Starting a site: everything in one process, or one process for each role.
//!
//! ```text
//! up:          this process holds all frames and consoles
//! up --split:  this process supervises: one `frame-process` for each managed system, one `console-process`
//! ```
//!
//! A frame process that dies has lost its power; it is started again, as power returns. A console process that dies is
//! started again as well; no partition notices.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use varan_console::Console;
use varan_contract::fault::FaultControl;
use varan_contract::system::SystemLink;
use varan_environment::{Environment, RealEnvironment};
use varan_model::site::Site;
use varan_rest::RestServer;
use varan_ssh::{ServerOptions, SshServer};

use crate::arguments::Up;
use crate::fault::Faults;
use crate::frame::Layout;
use crate::remote::{self, RemoteSystem};
use crate::site::{make_home_directories, open_console, start_frames};
use crate::ssh_host::ConsoleSsh;
use crate::{control, fault, rest, sites};

/// Pause before a process that died is started again, so that a defect does not spin.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// How often the supervisor looks after its processes.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Line by which a child says that it serves.
const CHILD_READY: &str = "serving";
/// Times that a start looks for the processes of a killed site to be gone: they end within moments, unless one waits for a
/// slow disk.
const LOCK_ATTEMPTS: u32 = 40;
/// Pause between two such looks.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Times that the supervisor looks whether a child that was told to stop has ended; then the child hangs and is killed.
const STOP_ATTEMPTS: u32 = 500;
/// Pause between two such looks.
const STOP_PAUSE: Duration = Duration::from_millis(20);
/// Variable by which a child knows its supervisor.
const SUPERVISOR_VARIABLE: &str = "VARAN_SUPERVISOR";

/// Holds the data directory against a second start. Children share the lock, so that it is free only when the last
/// process of the site is gone.
fn lock(data: &Path) -> Result<File, String> {
    varan_environment::make_directory(data).map_err(|error| format!("{}: {error}", data.display()))?;
    let file = File::create(data.join("lock")).map_err(|error| format!("{}: {error}", data.display()))?;
    for _ in 0..LOCK_ATTEMPTS {
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(format!("another process uses the data directory {}", data.display()))
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| format!("the runtime cannot be started: {error}"))
}

/// Runs a site in the foreground until it is told to stop.
///
/// # Errors
/// A text for the person.
pub fn up(options: &Up) -> Result<(), String> {
    let site = sites::load(&options.site)?;
    let lock = lock(&options.data)?;
    let layout = Layout::new(&options.data);
    println!(
        "varan: site {} ({} managed systems), data in {}",
        site.name,
        site.managed_systems.len(),
        options.data.display()
    );
    if options.split { supervise(options, &site, &layout, &lock) } else { run_here(options, &site, &layout) }
}

fn run_here(options: &Up, site: &Site, layout: &Layout) -> Result<(), String> {
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let frames = start_frames(site, layout, &environment, options.guest_memory)?;
    let links: Vec<Arc<dyn SystemLink>> =
        frames.iter().map(|handle| handle.clone() as Arc<dyn SystemLink>).collect();
    let runtime = runtime()?;
    let servers = start_consoles(options, site, layout, &environment, &links, &runtime)?;
    serve_faults(site, layout, &environment, &links, &servers)?;
    introduce(options, site, layout, &servers)?;
    wait_for_end(&runtime)?;
    println!("varan: stopping");
    drop(servers);
    for frame in frames {
        frame.stop();
    }
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// One console that answers.
struct Served {
    name: String,
    user: String,
    password: Option<String>,
    address: SocketAddr,
    host_key: String,
    /// The REST API, the first on the console's port.
    rest: Vec<RestServer>,
    console: Arc<Console>,
    _server: SshServer,
}

fn start_consoles(
    options: &Up,
    site: &Site,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    links: &[Arc<dyn SystemLink>],
    runtime: &tokio::runtime::Runtime,
) -> Result<Vec<Served>, String> {
    let mut served = Vec::new();
    for (index, described) in site.consoles.iter().enumerate() {
        // The address by which clients reach the console is one of its settings, whoever chose it.
        let mut reached = described.clone();
        if let IpAddr::V4(address) = options.listen {
            reached.listen_address.get_or_insert(SocketAddrV4::new(address, options.ssh_port));
        }
        let console = open_console(site, &reached, layout, environment, links)?;
        make_home_directories(described, layout).map_err(|error| error.to_string())?;
        let directory = layout.console(&described.name);
        let homes = directory.join("homes");
        control::serve(&console, &homes, &layout.sockets()).map_err(|error| error.to_string())?;
        let port = match options.ssh_port {
            0 => 0,
            port => port
                .checked_add(u16::try_from(index).unwrap_or(u16::MAX))
                .ok_or("the SSH port is too high")?,
        };
        let mut addresses = vec![SocketAddr::new(options.listen, port)];
        addresses.extend(described.listen_address.map(SocketAddr::from));
        let own = described.listen_address.map(|address| (*address.ip()).into());
        let mut rest = rest::serve_console(options, &console, index, &directory, own, runtime)?;
        if index == 0 {
            rest.extend(rest::serve_novalink(options, &console, &directory, runtime)?);
        }
        let host = Arc::new(ConsoleSsh { console: console.clone(), homes });
        let bound = runtime.block_on(SshServer::bind(&addresses, ServerOptions::new(directory), host));
        let server = bound.map_err(|error| format!("console {}: {error}", described.name))?;
        let user = described.users.first();
        served.push(Served {
            name: described.name.clone(),
            user: user.map(|user| user.name.clone()).unwrap_or_default(),
            password: user.and_then(|user| match &user.password {
                Some(varan_model::site::Password::Plain(text)) if site.demonstration => Some(text.clone()),
                _ => None,
            }),
            address: server.local_addresses()[0],
            host_key: server.host_key().public_line().map_err(|error| error.to_string())?,
            rest,
            console,
            _server: server,
        });
    }
    Ok(served)
}

/// Lets whoever owns the data directory break the site on purpose.
fn serve_faults(
    site: &Site,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    links: &[Arc<dyn SystemLink>],
    served: &[Served],
) -> Result<(), String> {
    let consoles = served.iter().map(|served| served.console.clone()).collect();
    let control: Arc<dyn FaultControl> = Arc::new(Faults::new(site, links, consoles, environment.clone()));
    fault::socket::serve(&control, &layout.sockets()).map_err(|error| error.to_string())
}

/// Writes the files by which OpenSSH finds the consoles by name, and says how to connect.
fn introduce(options: &Up, site: &Site, layout: &Layout, served: &[Served]) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", layout.root().display());
    let known_hosts = layout.root().join("known_hosts");
    let known_hosts = std::path::absolute(known_hosts).map_err(fail)?;
    let (mut config, mut hosts) = (String::new(), String::new());
    for console in served {
        let (ip, port) = (console.address.ip(), console.address.port());
        config.push_str(&format!(
            "Host {}\n    HostName {ip}\n    Port {port}\n    User {}\n    UserKnownHostsFile {}\n    HostKeyAlias {}\n\n",
            console.name,
            console.user,
            known_hosts.display(),
            console.name,
        ));
        hosts.push_str(&format!("{} {}\n", console.name, console.host_key));
    }
    std::fs::write(&known_hosts, hosts).map_err(fail)?;
    let ssh_config = layout.root().join("ssh_config");
    std::fs::write(&ssh_config, config).map_err(fail)?;
    for console in served {
        let (ip, port) = (console.address.ip(), console.address.port());
        println!("varan: console {}: ssh -p {port} {}@{ip}", console.name, console.user);
        if let Some(password) = &console.password {
            println!("varan:   password {password} (a demonstration site; a site for real use sets its own)");
        }
        for server in &console.rest {
            for address in server.local_addresses() {
                println!("varan:   REST: {}://{address}/rest/api", server.scheme());
            }
        }
        println!("varan:   or by name: ssh -F {} {}", ssh_config.display(), console.name);
    }
    println!(
        "varan:   or from here: varan hmc --data {} 'lssyscfg -r sys -F name,state'",
        options.data.display()
    );
    println!("ready: site {}, ssh_config {}", site.name, ssh_config.display());
    std::io::stdout().flush().map_err(fail)
}

fn wait_for_end(runtime: &tokio::runtime::Runtime) -> Result<(), String> {
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let fail = |error: std::io::Error| error.to_string();
        let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

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
    let handle = crate::frame::start(&site, index, &layout, &environment, &arena)?;
    remote::serve(&handle, &layout.sockets(), system, &environment, None)
        .map_err(|error| error.to_string())?;
    serve_until_told(|| handle.stop())
}

/// The process of the consoles.
///
/// # Errors
/// A text for the person.
pub fn console_process(options: &Up) -> Result<(), String> {
    die_with_parent()?;
    let site = sites::load(&options.site)?;
    let layout = Layout::new(&options.data);
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let links: Vec<Arc<dyn SystemLink>> = site
        .managed_systems
        .iter()
        .map(|system| Arc::new(RemoteSystem::new(&layout.sockets(), &system.name)) as Arc<dyn SystemLink>)
        .collect();
    let runtime = runtime()?;
    let servers = start_consoles(options, &site, &layout, &environment, &links, &runtime)?;
    serve_faults(&site, &layout, &environment, &links, &servers)?;
    introduce(options, &site, &layout, &servers)?;
    wait_for_end(&runtime)?;
    drop(servers);
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// A child must not outlive its supervisor: the frame's power comes from there.
fn die_with_parent() -> Result<(), String> {
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
        Ok(Self { name: name.to_owned(), arguments, child, pid_file, lock })
    }

    /// Passes the child's lines on until it serves; goes on passing them on a thread afterwards.
    fn wait_until_serving(&mut self) -> Result<(), String> {
        let Some(output) = self.child.stdout.take() else { return Ok(()) };
        let mut lines = BufReader::new(output).lines();
        loop {
            match lines.next() {
                Some(Ok(line)) if line == CHILD_READY => break,
                Some(Ok(line)) => {
                    println!("{line}");
                    if line.starts_with("ready:") {
                        break;
                    }
                }
                _ => return Err(format!("{} did not start", self.name)),
            }
        }
        let forward = move || lines.map_while(Result::ok).for_each(|line| println!("{line}"));
        std::thread::Builder::new()
            .name("child output".to_owned())
            .spawn(forward)
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), String> {
        let fresh = Self::start(&self.name, self.arguments.clone(), self.pid_file.clone(), &self.lock)?;
        *self = fresh;
        self.wait_until_serving()
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
    let mut arguments: Vec<String> = vec![
        role.to_owned(),
        "--site".to_owned(),
        options.site.clone(),
        "--data".to_owned(),
        options.data.display().to_string(),
        "--ssh-port".to_owned(),
        options.ssh_port.to_string(),
        "--novalink-port".to_owned(),
        options.novalink_port.to_string(),
        "--listen".to_owned(),
        options.listen.to_string(),
    ];
    if let Some(port) = options.rest_port {
        arguments.extend(["--rest-port".to_owned(), port.to_string()]);
    }
    if let Some(system) = &options.novalink {
        arguments.extend(["--novalink".to_owned(), system.clone()]);
    }
    arguments.extend(["--guest-memory".to_owned(), (options.guest_memory >> 20).to_string()]);
    arguments
}

fn supervise(options: &Up, site: &Site, layout: &Layout, lock: &File) -> Result<(), String> {
    crate::frame::check_site(site)?;
    let sockets = layout.sockets();
    std::fs::create_dir_all(&sockets).map_err(|error| error.to_string())?;
    let mut processes = Vec::new();
    for system in &site.managed_systems {
        let mut arguments = child_arguments("frame-process", options);
        arguments.extend(["--system".to_owned(), system.name.clone()]);
        processes.push(Supervised::start(
            &system.name,
            arguments,
            sockets.join(format!("{}.pid", system.name)),
            lock,
        )?);
    }
    for process in &mut processes {
        process.wait_until_serving()?;
    }
    let arguments = child_arguments("console-process", options);
    let mut console = Supervised::start("console", arguments, sockets.join("console.pid"), lock)?;
    console.wait_until_serving()?;
    processes.push(console);
    watch(&runtime()?, &mut processes)?;
    println!("varan: stopping");
    for process in processes.iter_mut().rev() {
        process.stop();
    }
    Ok(())
}

fn watch(runtime: &tokio::runtime::Runtime, processes: &mut [Supervised]) -> Result<(), String> {
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
                println!("varan: {} ended ({status}); its power returns", process.name);
                std::thread::sleep(RESTART_PAUSE);
                if let Err(error) = process.restart() {
                    eprintln!("varan: {error}");
                }
            }
        }
    }
}
