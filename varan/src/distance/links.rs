//! The command line's way from a console's process to the servers of a frame's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_contract::vios::{RequestId, ViosAnswer, ViosCallError, ViosChange, ViosDone, ViosLink, ViosQuery};
use varan_environment::Environment;
use varan_model::ids::PartitionUuid;

use super::call::{Caller, serve};
use crate::servers::ServerDirectory;

/// How long a command waits for a server; a server that stands still answers when it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Asked {
    /// Whether it serves.
    Find(PartitionUuid),
    Ask(PartitionUuid, ViosQuery),
    Change(PartitionUuid, RequestId, ViosChange),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Answered {
    Found(bool),
    Asked(Result<ViosAnswer, ViosCallError>),
    Changed(Result<ViosDone, ViosCallError>),
}

fn socket(directory: &Path, system: &str) -> PathBuf {
    directory.join(format!("{system}.servers"))
}

/// Serves the way to a frame's servers.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve_directory(
    servers: &Arc<dyn ServerDirectory>,
    directory: &Path,
    system: &str,
    environment: &Arc<dyn Environment>,
) -> std::io::Result<()> {
    let servers = servers.clone();
    serve(&socket(directory, system), environment, move |asked| match asked {
        Asked::Find(partition) => Answered::Found(servers.link(partition).is_some()),
        Asked::Ask(partition, query) => Answered::Asked(match servers.link(partition) {
            Some(link) => link.ask(query),
            None => Err(ViosCallError::NotRunning),
        }),
        Asked::Change(partition, id, change) => Answered::Changed(match servers.link(partition) {
            Some(link) => link.change(id, change),
            None => Err(ViosCallError::NotRunning),
        }),
    })
}

/// The servers of a frame in another process.
pub struct RemoteDirectory {
    caller: Arc<Caller<Asked, Answered>>,
    /// Directory of the frame's servers.
    trees: PathBuf,
}

impl RemoteDirectory {
    /// The servers of the frame whose sockets are in `directory`; their file trees are below `trees`.
    #[must_use]
    pub fn new(directory: &Path, system: &str, trees: PathBuf, environment: Arc<dyn Environment>) -> Self {
        Self { caller: Arc::new(Caller::new(socket(directory, system), environment)), trees }
    }
}

impl ServerDirectory for RemoteDirectory {
    fn link(&self, partition: PartitionUuid) -> Option<Arc<dyn ViosLink>> {
        match self.caller.call(Asked::Find(partition), PATIENCE) {
            Some(Answered::Found(true)) => {
                Some(Arc::new(RemoteLink { caller: self.caller.clone(), partition }))
            }
            _ => None,
        }
    }

    fn directory(&self, partition: PartitionUuid) -> PathBuf {
        self.trees.join(partition.to_string())
    }
}

struct RemoteLink {
    caller: Arc<Caller<Asked, Answered>>,
    partition: PartitionUuid,
}

impl ViosLink for RemoteLink {
    fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, ViosCallError> {
        match self.caller.call(Asked::Ask(self.partition, query), PATIENCE) {
            Some(Answered::Asked(result)) => result,
            _ => Err(ViosCallError::NoAnswer),
        }
    }

    fn change(&self, id: RequestId, change: ViosChange) -> Result<ViosDone, ViosCallError> {
        match self.caller.call(Asked::Change(self.partition, id, change), PATIENCE) {
            Some(Answered::Changed(result)) => result,
            _ => Err(ViosCallError::NoAnswer),
        }
    }
}
