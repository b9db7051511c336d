//! One console with its surfaces: in the process of the site, or in a process of its own.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_console::Console;
use varan_contract::system::SystemLink;
use varan_environment::{Environment, RealEnvironment};
use varan_model::site::{ConsoleDescription, Password, Site};
use varan_rest::RestServer;
use varan_ssh::SshServer;

use super::servers::ServerListeners;
use super::supervisor::{CHILD_CONSOLE, CHILD_READY, die_with_parent};
use super::{runtime, wait_for_end};
use crate::arguments::Up;
use crate::console_services::{ConsoleServices, Reach};
use crate::control;
use crate::distance::RemoteDirectory;
use crate::fault::links;
use crate::frame::Layout;
use crate::remote::RemoteSystem;
use crate::rest::{self, ConsoleApi};
use crate::servers::ServerDirectory;
use crate::site::{attach_machine, make_home_directories, open_console};
use crate::sites;
use crate::vios_shell::ViosServers;

/// How one console is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsoleStart {
    /// Address to listen on.
    pub listen: IpAddr,
    /// Port of its SSH server; 0 takes a free one.
    pub ssh_port: u16,
    /// Port of its REST API; 0 takes a free one.
    pub rest_port: u16,
    /// System whose management partition this console's process stands for, and the port of its API.
    pub novalink: Option<(String, u16)>,
}

fn port(first: u16, index: usize, what: &str) -> Result<u16, String> {
    match first {
        0 => Ok(0),
        first => first
            .checked_add(u16::try_from(index).unwrap_or(u16::MAX))
            .ok_or_else(|| format!("the {what} port is too high")),
    }
}

impl ConsoleStart {
    /// The console with that index has the ports after those of the first.
    pub(super) fn of(options: &Up, index: usize) -> Result<Self, String> {
        // A site on any free SSH port takes any free port for the API as well.
        let rest = options.rest_port.unwrap_or(if options.ssh_port == 0 { 0 } else { rest::REST_PORT });
        let novalink = options.novalink.clone().filter(|_| index == 0);
        Ok(Self {
            listen: options.listen,
            ssh_port: port(options.ssh_port, index, "SSH")?,
            rest_port: port(rest, index, "REST")?,
            novalink: novalink.map(|system| (system, options.novalink_port)),
        })
    }
}

/// How a console that answers is reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Introduction {
    /// Name.
    pub name: String,
    /// Its first user.
    pub user: String,
    /// That user's password, where a demonstration site gives it.
    pub password: Option<String>,
    /// Address of the SSH server.
    pub address: SocketAddr,
    /// Public host key.
    pub host_key: String,
    /// Addresses of the REST API with their scheme, the one on the console's port first.
    pub rest: Vec<String>,
    /// Port of the REST API.
    pub rest_port: u16,
    /// Virtual I/O Servers that have addresses of their own: partition, managed system, address.
    pub servers: Vec<(String, String, SocketAddr)>,
}

/// One console that answers.
pub(super) struct Served {
    /// How it is reached.
    pub introduction: Introduction,
    /// The console.
    pub console: Arc<Console>,
    _services: ConsoleServices,
    /// The API of a management partition, which is no service of the console.
    _novalink: Option<RestServer>,
    /// Addresses of Virtual I/O Servers, which do not go by the console's power.
    _servers: Vec<SshServer>,
}

/// What consoles are started with.
pub(super) struct Surroundings<'a> {
    /// Directories.
    pub layout: &'a Layout,
    /// Clock and randomness.
    pub environment: &'a Arc<dyn Environment>,
    /// The site's managed systems, in its order.
    pub links: &'a [Arc<dyn SystemLink>],
    /// Virtual I/O Servers of the site.
    pub servers: &'a Arc<ViosServers>,
    /// Where servers run.
    pub runtime: &'a tokio::runtime::Runtime,
}

/// Starts a console and its surfaces.
pub(super) fn start(
    start: &ConsoleStart,
    site: &Site,
    described: &ConsoleDescription,
    surroundings: &Surroundings<'_>,
) -> Result<Served, String> {
    let Surroundings { layout, environment, links, servers, runtime } = surroundings;
    // The address by which clients reach the console is one of its settings, whoever chose it.
    let mut reached = described.clone();
    if let IpAddr::V4(address) = start.listen {
        reached.listen_address.get_or_insert(SocketAddrV4::new(address, start.ssh_port));
    }
    let console = open_console(site, &reached, layout, environment, links)?;
    make_home_directories(described, layout).map_err(|error| error.to_string())?;
    let directory = layout.console(&described.name);
    let homes = directory.join("homes");
    control::serve(&console, &homes, servers, &layout.sockets()).map_err(|error| error.to_string())?;
    let mut addresses = vec![SocketAddr::new(start.listen, start.ssh_port)];
    addresses.extend(described.listen_address.map(SocketAddr::from));
    let own = described.listen_address.map(|address| (*address.ip()).into());
    let address = SocketAddr::new(start.listen, start.rest_port);
    let power = attach_machine(&console, &directory, environment, site.time_scale);
    let api = ConsoleApi::prepare(&console, address, own, &directory)?;
    let novalink = start
        .novalink
        .as_ref()
        .map(|(system, port)| rest::serve_novalink(system, *port, &console, &directory, runtime));
    let novalink = novalink.transpose()?;
    let listeners =
        ServerListeners { console: &console, directory: &directory, servers, listen: start.listen };
    let (vios, server_addresses) = listeners.open(site, described, runtime.handle())?;
    let servers = (*servers).clone();
    let reach = Reach { console: console.clone(), directory, servers, ssh: addresses, api };
    let (services, mut first) = ConsoleServices::start(reach, power, runtime.handle())?;
    first.rest.extend(novalink.iter().flat_map(rest::addresses));
    let user = described.users.first();
    let introduction = Introduction {
        name: described.name.clone(),
        user: user.map(|user| user.name.clone()).unwrap_or_default(),
        password: user.and_then(|user| match &user.password {
            Some(Password::Plain(text)) if site.demonstration => Some(text.clone()),
            _ => None,
        }),
        address: first.address,
        host_key: first.host_key,
        rest_port: first.rest_port,
        rest: first.rest,
        servers: server_addresses,
    };
    Ok(Served { introduction, console, _services: services, _novalink: novalink, _servers: vios })
}

/// The process of one console: its name is an argument, its ports are exactly those of the options.
///
/// # Errors
/// A text for the person.
pub fn console_process(options: &Up, name: &str) -> Result<(), String> {
    die_with_parent()?;
    let site = sites::load(&options.site)?;
    let described = site.consoles.iter().find(|one| one.name == name);
    let described = described.ok_or_else(|| format!("the site has no console {name}"))?;
    let layout = Layout::new(&options.data);
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let links: Vec<Arc<dyn SystemLink>> = site
        .managed_systems
        .iter()
        .map(|system| Arc::new(RemoteSystem::new(&layout.sockets(), &system.name)) as Arc<dyn SystemLink>)
        .collect();
    let runtime = runtime()?;
    let directories = site.managed_systems.iter().map(|system| {
        let trees = layout.servers(&system.name);
        let remote = RemoteDirectory::new(&layout.sockets(), &system.name, trees, environment.clone());
        Arc::new(remote) as Arc<dyn ServerDirectory>
    });
    let servers = crate::site::servers(&site, directories, &environment);
    let surroundings = Surroundings {
        layout: &layout,
        environment: &environment,
        links: &links,
        servers: &servers,
        runtime: &runtime,
    };
    let served = start(&ConsoleStart::of(options, 0)?, &site, described, &surroundings)?;
    links::serve(&served.console, &layout.sockets()).map_err(|error| error.to_string())?;
    let introduction = serde_json::to_string(&served.introduction).map_err(|error| error.to_string())?;
    println!("{CHILD_CONSOLE}{introduction}");
    println!("{CHILD_READY}");
    std::io::stdout().flush().map_err(|error| error.to_string())?;
    wait_for_end(&runtime)?;
    drop(served);
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}
