//! Starting a site: everything in one process, or one process for each role.
//!
//! ```text
//! up:          this process holds all frames and consoles
//! up --split:  this process supervises: one `world-process` for the storage network, one `server-process` for each Virtual
//!              I/O Server of the site file, one `frame-process` for each managed system, one `console-process` for each
//!              console; it keeps the list of faults
//! ```
//!
//! A frame process that dies has lost its power; it is started again, as power returns. A server's process that dies is a
//! crash of its partition. A console process that dies is started again as well, on the same ports; no partition notices.

mod console;
mod servers;
mod supervisor;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use varan_contract::fault::FaultControl;
use varan_contract::system::SystemLink;
use varan_environment::{Environment, RealEnvironment};
use varan_model::site::Site;

pub use self::console::console_process;
use self::console::{ConsoleStart, Introduction, Served, Surroundings};
pub use self::supervisor::{frame_process, server_process, world_process};
use crate::arguments::Up;
use crate::fault::links::ConsoleLinks;
use crate::fault::{self, Faults};
use crate::frame::Layout;
use crate::servers::ServerDirectory;
use crate::site::start_site;
use crate::sites;
use crate::world::Network;

/// Times that a start looks for the processes of a killed site to be gone: they end within moments, unless one waits for a
/// slow disk.
const LOCK_ATTEMPTS: u32 = 40;
/// Pause between two such looks.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

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
    if options.split {
        supervisor::supervise(options, &site, &layout, &lock)
    } else {
        run_here(options, &site, &layout)
    }
}

fn run_here(options: &Up, site: &Site, layout: &Layout) -> Result<(), String> {
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let started = start_site(site, layout, &environment, options.guest_memory)?;
    let links: Vec<Arc<dyn SystemLink>> =
        started.frames.iter().map(|frame| frame.handle.clone() as Arc<dyn SystemLink>).collect();
    let runtime = runtime()?;
    let directories = started.frames.iter().map(|frame| frame.servers.clone() as Arc<dyn ServerDirectory>);
    let servers = crate::site::servers(site, directories, &environment);
    let surroundings = Surroundings {
        layout,
        environment: &environment,
        links: &links,
        servers: &servers,
        runtime: &runtime,
    };
    let servers = (0..site.consoles.len())
        .map(|index| {
            let start = ConsoleStart::of(options, index)?;
            console::start(&start, site, &site.consoles[index], &surroundings)
        })
        .collect::<Result<Vec<Served>, String>>()?;
    let consoles = servers.iter().map(|served| Arc::new(served.console.clone()) as Arc<dyn ConsoleLinks>);
    serve_faults(site, layout, &environment, &links, consoles.collect(), started.network.clone())?;
    introduce(options, site, layout, servers.iter().map(|served| &served.introduction))?;
    wait_for_end(&runtime)?;
    println!("varan: stopping");
    drop(servers);
    for frame in started.frames {
        frame.handle.stop();
    }
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// Lets whoever owns the data directory break the site on purpose.
fn serve_faults(
    site: &Site,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    links: &[Arc<dyn SystemLink>],
    consoles: Vec<Arc<dyn ConsoleLinks>>,
    network: Arc<dyn Network>,
) -> Result<Arc<Faults>, String> {
    let faults = Faults::new(site, links, consoles, environment.clone()).with_storage(network);
    let faults = Arc::new(faults);
    let control: Arc<dyn FaultControl> = faults.clone();
    fault::socket::serve(&control, &layout.sockets()).map_err(|error| error.to_string())?;
    Ok(faults)
}

/// Writes the files by which OpenSSH finds the consoles by name, and says how to connect.
fn introduce<'a>(
    options: &Up,
    site: &Site,
    layout: &Layout,
    consoles: impl Iterator<Item = &'a Introduction> + Clone,
) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", layout.root().display());
    let known_hosts = layout.root().join("known_hosts");
    let known_hosts = std::path::absolute(known_hosts).map_err(fail)?;
    let (mut config, mut hosts) = (String::new(), String::new());
    for console in consoles.clone() {
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
    config.push_str(&servers::configuration(consoles.clone(), &known_hosts));
    std::fs::write(&known_hosts, hosts).map_err(fail)?;
    let ssh_config = layout.root().join("ssh_config");
    std::fs::write(&ssh_config, config).map_err(fail)?;
    for console in consoles {
        let (ip, port) = (console.address.ip(), console.address.port());
        println!("varan: console {}: ssh -p {port} {}@{ip}", console.name, console.user);
        if let Some(password) = &console.password {
            println!("varan:   password {password} (a demonstration site; a site for real use sets its own)");
        }
        for address in &console.rest {
            println!("varan:   REST: {address}/rest/api");
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
