//! The command line of servers on their virtual terminals.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use varan_contract::engine::ServerConsole;
use varan_environment::Environment;
use varan_model::ids::PartitionUuid;

use super::{ServerDirectory, VirtualServers, lock};
use crate::vios_shell::Server;

/// Runs what users type on a server's virtual terminal.
pub struct TerminalConsole {
    servers: Weak<VirtualServers>,
    environment: Arc<dyn Environment>,
    /// Servers by partition, with the activation that they were opened for.
    open: Mutex<HashMap<PartitionUuid, (u64, Arc<Server>)>>,
}

impl TerminalConsole {
    /// The command line of a frame's servers.
    #[must_use]
    pub fn new(servers: &Arc<VirtualServers>, environment: &Arc<dyn Environment>) -> Self {
        Self { servers: Arc::downgrade(servers), environment: environment.clone(), open: Mutex::default() }
    }

    fn server(&self, partition: PartitionUuid) -> Option<Arc<Server>> {
        let servers = self.servers.upgrade()?;
        let generation = servers.generation(partition)?;
        let mut open = lock(&self.open);
        if let Some((known, server)) = open.get(&partition)
            && *known == generation
        {
            return Some(server.clone());
        }
        let link = servers.link(partition)?;
        let server = Server::open(link, &servers.directory(partition), generation, &self.environment).ok()?;
        open.insert(partition, (generation, server.clone()));
        Some(server)
    }
}

impl ServerConsole for TerminalConsole {
    fn run(&self, partition: PartitionUuid, root: bool, line: &str) -> Option<String> {
        let server = self.server(partition)?;
        Some(match server.run(line, root) {
            Ok((_, output)) => String::from_utf8_lossy(&output).into_owned(),
            Err(error) => format!("{error}\n"),
        })
    }
}
