//! A console's links to managed systems, as faults switch them: of a console in this process, or in one of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_console::Console;
use varan_model::ids::MachineIdentity;

use crate::line_socket::{self, NoReply};

/// Longest wait for a console's process: switching a link waits for nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The links of one console.
pub trait ConsoleLinks: Send + Sync {
    /// Name of the console.
    fn console(&self) -> &str;

    /// Brings a link up (`true`) or cuts it, or leaves it (`None`); false if the console has none to that system.
    ///
    /// # Errors
    /// The console's process does not answer.
    fn switch(&self, system: &MachineIdentity, up: Option<bool>) -> Result<bool, String>;
}

impl ConsoleLinks for Arc<Console> {
    fn console(&self) -> &str {
        &self.description().name
    }

    fn switch(&self, system: &MachineIdentity, up: Option<bool>) -> Result<bool, String> {
        let Some(switch) = self.link_switch(system) else { return Ok(false) };
        match up {
            Some(true) => switch.restore(),
            Some(false) => switch.cut(),
            None => false,
        };
        Ok(true)
    }
}

#[derive(Serialize, Deserialize)]
struct LinkRequest {
    system: MachineIdentity,
    up: Option<bool>,
}

fn socket(directory: &Path, console: &str) -> PathBuf {
    directory.join(format!("{console}.links"))
}

/// Has the links of a console switched by another process.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(console: &Arc<Console>, directory: &Path) -> io::Result<()> {
    let path = socket(directory, &console.description().name);
    let console = console.clone();
    let handle = move |request: LinkRequest| console.switch(&request.system, request.up);
    line_socket::serve(&path, "links", handle, Err)
}

/// The links of a console in a process of its own.
pub struct RemoteLinks {
    console: String,
    socket: PathBuf,
}

impl RemoteLinks {
    /// The links of the console whose sockets are in `directory`.
    #[must_use]
    pub fn new(directory: &Path, console: &str) -> Self {
        Self { console: console.to_owned(), socket: socket(directory, console) }
    }
}

impl ConsoleLinks for RemoteLinks {
    fn console(&self) -> &str {
        &self.console
    }

    fn switch(&self, system: &MachineIdentity, up: Option<bool>) -> Result<bool, String> {
        let request = LinkRequest { system: system.clone(), up };
        let reply: Result<Result<bool, String>, NoReply> =
            line_socket::call(&self.socket, &request, PATIENCE);
        reply.unwrap_or_else(|error| {
            let why = match error {
                NoReply::NotThere => "its process is not there".to_owned(),
                NoReply::Broken(why) => why,
            };
            Err(format!("console {}: {why}", self.console))
        })
    }
}
