//! Addresses of Virtual I/O Servers: each has one of its own, so that `ssh padmin@vios1` works by the generated
//! configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use varan_console::Console;
use varan_model::configuration::PartitionEnvironment;
use varan_model::site::{ConsoleDescription, Site};
use varan_ssh::{ServerOptions, SshServer};

use super::console::Introduction;
use crate::ssh_host::ConsoleSsh;
use crate::vios_shell::{LOGIN, Route, ViosServers};

/// Servers of one console that get a free port each; beyond that only those with an address of their own in the site file.
const FREE_PORTS_MAX: usize = 64;
/// Where a console keeps the ports of its servers, so that a restart takes the same.
const PORTS_FILE: &str = "server-ports.json";

/// What the addresses of a console's servers are opened with.
pub(super) struct ServerListeners<'a> {
    /// Console through which servers are found.
    pub console: &'a Arc<Console>,
    /// Its directory, with its host key.
    pub directory: &'a Path,
    /// Servers.
    pub servers: &'a Arc<ViosServers>,
    /// Address of servers without one of their own.
    pub listen: IpAddr,
}

/// Servers with their managed systems and addresses.
type Addresses = Vec<(String, String, SocketAddr)>;

impl ServerListeners<'_> {
    /// Opens an address for each server of the site. The first console of a managed system serves it.
    pub fn open(
        &self,
        site: &Site,
        described: &ConsoleDescription,
        runtime: &Handle,
    ) -> Result<(Vec<SshServer>, Addresses), String> {
        let path = self.directory.join(PORTS_FILE);
        let remembered = std::fs::read(&path).unwrap_or_default();
        let mut ports: BTreeMap<String, u16> = serde_json::from_slice(&remembered).unwrap_or_default();
        let before = ports.clone();
        let (mut open, mut addresses) = (Vec::new(), Vec::new());
        for system in &site.managed_systems {
            let first = site.consoles.iter().find(|console| console.manages(&system.name));
            if first.is_none_or(|first| first.name != described.name) {
                continue;
            }
            let is_server = |environment| environment == PartitionEnvironment::VirtualIoServer;
            for partition in system.partitions.iter().filter(|one| is_server(one.environment)) {
                if partition.listen_address.is_none() && addresses.len() >= FREE_PORTS_MAX {
                    continue;
                }
                let route = Route {
                    user: LOGIN.to_owned(),
                    partition: partition.name.clone(),
                    system: system.name.clone(),
                };
                let key = format!("{}.{}", partition.name, system.name);
                let own = partition.listen_address.map(SocketAddr::from);
                let port = ports.get(&key).copied().unwrap_or(0);
                let wanted = own.unwrap_or(SocketAddr::new(self.listen, port));
                let server = match self.bind(&route, wanted, runtime) {
                    // Somebody else has the port by now.
                    Err(_) if own.is_none() && port != 0 => {
                        self.bind(&route, SocketAddr::new(self.listen, 0), runtime)?
                    }
                    bound => bound?,
                };
                let address = server.local_addresses()[0];
                if own.is_none() {
                    ports.insert(key, address.port());
                }
                addresses.push((partition.name.clone(), system.name.clone(), address));
                open.push(server);
            }
        }
        if ports != before {
            let text = serde_json::to_vec(&ports).map_err(|error| error.to_string())?;
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok((open, addresses))
    }

    fn bind(&self, route: &Route, address: SocketAddr, runtime: &Handle) -> Result<SshServer, String> {
        let host = Arc::new(ConsoleSsh {
            console: self.console.clone(),
            homes: self.directory.join("homes"),
            servers: self.servers.clone(),
            server: Some(route.clone()),
        });
        let bound = runtime.block_on(SshServer::bind(&[address], ServerOptions::new(self.directory), host));
        bound.map_err(|error| format!("{} of {}: {error}", route.partition, route.system))
    }
}

/// What OpenSSH's configuration says of the servers: `vios1.p814-1`, and `vios1` where the site has one of that name.
pub(super) fn configuration<'a>(
    consoles: impl Iterator<Item = &'a Introduction> + Clone,
    known_hosts: &Path,
) -> String {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (partition, _, _) in consoles.clone().flat_map(|console| &console.servers) {
        *names.entry(partition).or_default() += 1;
    }
    let mut text = String::new();
    for console in consoles {
        for (partition, system, address) in &console.servers {
            let alone = names.get(partition.as_str()) == Some(&1);
            let short = if alone { format!(" {partition}") } else { String::new() };
            text.push_str(&format!(
                "Host {partition}.{system}{short}\n    HostName {}\n    Port {}\n    User {LOGIN}\n    UserKnownHostsFile {}\n    HostKeyAlias {}\n\n",
                address.ip(),
                address.port(),
                known_hosts.display(),
                console.name,
            ));
        }
    }
    text
}
