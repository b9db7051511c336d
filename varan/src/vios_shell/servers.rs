//! Which servers there are, who may log in to them, and what sessions on one server share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use varan_command::VirtualIoServers;
use varan_console::{Console, SystemConnection};
use varan_contract::system::{PartitionFilter, Selector, SystemReply, SystemRequest};
use varan_contract::vios::{RequestId, ViosAnswer, ViosIdentity, ViosLink, ViosQuery};
use varan_environment::{Environment, RealEnvironment};
use varan_model::configuration::PartitionEnvironment;
use varan_model::ids::PartitionUuid;
use varan_model::partition::{PartitionEntry, PartitionState};
use varan_model::refusal::Refusal;
use varan_model::site::Password;
use varan_shell::{Cancellation, Capture, Channels, Input, Output};

use crate::servers::ServerDirectory;

use super::devices::LinkDevices;
use super::files::ServerFiles;
use super::host::{ViosHost, run_script};

/// The prime administrator, who alone logs in.
pub const LOGIN: &str = "padmin";
/// Separates the parts of a login name: `padmin%vios1%p814-1`.
const SEPARATOR: char = '%';
/// Output of one remote command that is kept, in bytes.
const OUTPUT_MAX: usize = 16 << 20;

/// The ways to the servers of a site.
pub trait ViosLinks: Send + Sync {
    /// The way to the server in a partition of a managed system (its name in the site file), and the server's directory on
    /// the host; `None` where the partition is no Virtual I/O Server that this host has.
    fn server(&self, system: &str, partition: PartitionUuid) -> Option<(Arc<dyn ViosLink>, PathBuf)>;
}

/// The servers of a site by their managed systems.
pub struct SiteServers(HashMap<String, Arc<dyn ServerDirectory>>);

impl SiteServers {
    /// Managed systems, by their names in the site file, and where their servers are found.
    #[must_use]
    pub fn new(systems: impl IntoIterator<Item = (String, Arc<dyn ServerDirectory>)>) -> Self {
        Self(systems.into_iter().collect())
    }
}

impl ViosLinks for SiteServers {
    fn server(&self, system: &str, partition: PartitionUuid) -> Option<(Arc<dyn ViosLink>, PathBuf)> {
        let directory = self.0.get(system)?;
        Some((directory.link(partition)?, directory.directory(partition)))
    }
}

/// A site without servers.
pub struct NoLinks;

impl ViosLinks for NoLinks {
    fn server(&self, _: &str, _: PartitionUuid) -> Option<(Arc<dyn ViosLink>, PathBuf)> {
        None
    }
}

/// A server that a login name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// User: only `padmin` logs in.
    pub user: String,
    /// Partition.
    pub partition: String,
    /// Managed system.
    pub system: String,
}

impl Route {
    /// Reads a login name; `None` for one that is no route.
    #[must_use]
    pub fn parse(login: &str) -> Option<Self> {
        let mut parts = login.split(SEPARATOR);
        let route = Self {
            user: parts.next()?.to_owned(),
            partition: parts.next()?.to_owned(),
            system: parts.next()?.to_owned(),
        };
        parts.next().is_none().then_some(route)
    }

    /// The login name.
    #[must_use]
    pub fn login(&self) -> String {
        format!("{}{SEPARATOR}{}{SEPARATOR}{}", self.user, self.partition, self.system)
    }
}

/// What sessions on one server share as long as it runs.
pub struct Server {
    /// Way to it.
    pub link: Arc<dyn ViosLink>,
    /// Its files.
    pub files: Arc<ServerFiles>,
    /// Where files for the server are put.
    pub upload: PathBuf,
    /// Start of the partition that this belongs to.
    generation: u64,
    /// Clock and randomness.
    pub environment: Arc<dyn Environment>,
}

impl Server {
    /// Opens a server whose files are in a directory of the host.
    ///
    /// # Errors
    /// The host's.
    pub fn open(
        link: Arc<dyn ViosLink>,
        directory: &Path,
        generation: u64,
        environment: &Arc<dyn Environment>,
    ) -> std::io::Result<Arc<Self>> {
        let devices = Arc::new(LinkDevices::new(link.clone(), environment.clone()));
        let files = ServerFiles::open(&directory.join("root"), devices)?;
        let (upload, environment) = (directory.join("upload"), environment.clone());
        Ok(Arc::new(Self { link, files, upload, generation, environment }))
    }

    /// Runs a command line without a terminal; its status, and output and errors together.
    ///
    /// # Errors
    /// A text for the person.
    pub fn run(self: &Arc<Self>, command: &str, root: bool) -> Result<(u8, Vec<u8>), String> {
        let cancellation = Cancellation::new();
        let capture = Capture::new(OUTPUT_MAX);
        let output = Output::new(capture.clone(), &cancellation);
        let channels = Channels {
            input: Input::empty(),
            output: output.clone(),
            error: output,
            terminal: None,
            cancellation,
        };
        let host = ViosHost::open(self, root)?;
        let status = run_script(&host, command, channels);
        Ok((status, capture.take()))
    }

    /// A new request id.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        RequestId(u128::from(self.environment.random()) << 64 | u128::from(self.environment.random()))
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// A text for the person.
    pub fn identity(&self) -> Result<ViosIdentity, String> {
        match self.link.ask(ViosQuery::Identity) {
            Ok(ViosAnswer::Identity(identity)) => Ok(identity),
            Ok(_) => Err("the Virtual I/O Server answers another question".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A server that was found, with its partition as it is now.
pub struct Opened {
    /// Server.
    pub server: Arc<Server>,
    /// Partition.
    pub entry: PartitionEntry,
}

/// The servers of a site.
pub struct ViosServers {
    links: Arc<dyn ViosLinks>,
    password: Option<Password>,
    environment: Arc<dyn Environment>,
    open: Mutex<HashMap<PartitionUuid, Arc<Server>>>,
}

impl ViosServers {
    /// The servers behind `links`; `password` is padmin's.
    #[must_use]
    pub fn new(
        links: Arc<dyn ViosLinks>,
        password: Option<Password>,
        environment: Arc<dyn Environment>,
    ) -> Arc<Self> {
        Arc::new(Self { links, password, environment, open: Mutex::default() })
    }

    /// No servers at all.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Self::new(Arc::new(NoLinks), None, Arc::new(RealEnvironment::new()))
    }

    /// Whether the password is padmin's.
    #[must_use]
    pub fn password_fits(&self, password: &str) -> bool {
        match &self.password {
            // Only demonstration sites have a password in plain text.
            Some(Password::Plain(text)) => text == password,
            Some(Password::Hash(hash)) => varan_console::verify_password(password, hash),
            None => false,
        }
    }

    /// Finds the server that a route means, as it is reached from a console. The text of an error says why it cannot be
    /// entered.
    ///
    /// # Errors
    /// Another user than padmin, an unknown system or partition, no Virtual I/O Server, one that does not run.
    pub fn find(&self, console: &Console, route: &Route) -> Result<Opened, String> {
        if route.user != LOGIN {
            return Err(format!("only {LOGIN} logs in to a Virtual I/O Server"));
        }
        let system = console.find_system(&route.system).map_err(|refusal| refusal.to_string())?;
        let partition = Selector::Name(route.partition.clone());
        let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![partition]));
        let reply = console.call(&system, request).map_err(|refusal| refusal.to_string())?;
        let SystemReply::Partitions { entries, .. } = reply else {
            return Err("the managed system answers another question".to_owned());
        };
        let entry = entries.into_iter().next().ok_or("there is no such partition")?;
        if entry.partition.environment != PartitionEnvironment::VirtualIoServer {
            return Err(format!("{} is not a Virtual I/O Server", entry.partition.name));
        }
        let server = self.enter(&system, &entry)?;
        Ok(Opened { server, entry })
    }

    /// The server in a partition.
    ///
    /// # Errors
    /// It does not run, or this host does not have it.
    pub fn enter(&self, system: &SystemConnection, entry: &PartitionEntry) -> Result<Arc<Server>, String> {
        let name = &entry.partition.name;
        if entry.runtime.state != PartitionState::Running {
            let state = entry.runtime.state.word();
            return Err(format!("the Virtual I/O Server {name} is not running: its state is {state}"));
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = open.get(&entry.partition.uuid) {
            if server.generation == entry.runtime.generation {
                return Ok(server.clone());
            }
            // It was stopped since: its mounts are gone.
            server.files.forget_mounts();
        }
        let found = self.links.server(system.name(), entry.partition.uuid);
        let (link, directory) =
            found.ok_or_else(|| format!("the Virtual I/O Server {name} cannot be reached"))?;
        let server = Server::open(link, &directory, entry.runtime.generation, &self.environment)
            .map_err(|error| format!("files of {name}: {error}"))?;
        open.insert(entry.partition.uuid, server.clone());
        Ok(server)
    }

    /// Public keys that padmin put into its home: `~/.ssh/authorized_keys` and AIX's `authorized_keys2`.
    #[must_use]
    pub fn authorized_keys(server: &Server) -> Vec<String> {
        let directory = server.files.home().join(".ssh");
        let mut lines = Vec::new();
        for name in ["authorized_keys", "authorized_keys2"] {
            let text = std::fs::read_to_string(directory.join(name)).unwrap_or_default();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }
}

impl VirtualIoServers for ViosServers {
    fn run(
        &self,
        system: &SystemConnection,
        entry: &PartitionEntry,
        command: &str,
        root: bool,
    ) -> Result<(u8, Vec<u8>), Refusal> {
        let failed = |reason: String| {
            Refusal::new(varan_model::codes::MessageKey::VirtualIoServerCommandFailed).with(reason)
        };
        let server = self.enter(system, entry).map_err(failed)?;
        server.run(command, root).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[test]
    fn routes_have_three_parts() {
        let route = Route::parse("padmin%vios1%p814-1").expect("route");
        assert_eq!((&*route.user, &*route.partition, &*route.system), ("padmin", "vios1", "p814-1"));
        assert_eq!(route.login(), "padmin%vios1%p814-1");
        for login in ["hscroot", "padmin%vios1", "a%b%c%d", ""] {
            assert_eq!(Route::parse(login), None, "{login}");
        }
    }
}
