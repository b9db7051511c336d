//! What a command is given: the console, the user, streams, files, a terminal.

use std::io::{self, Read, Write};
use std::sync::Arc;

use varan_console::{Console, SystemConnection, Task, TaskSet};
use varan_contract::system::{Selector, SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::refusal::Refusal;

use crate::failure::CommandError;
use crate::options::ParsedOptions;

/// Reads the user's own files, for `-f`.
pub trait HomeFiles {
    /// The whole file; `path` is as the user wrote it.
    ///
    /// # Errors
    /// Not there, not readable, outside the user's home, too large.
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>>;

    /// Removes the home directory of a user that was removed.
    ///
    /// # Errors
    /// Whatever the file system reports; a home that is not there is none.
    fn remove_home(&self, user: &str) -> io::Result<()> {
        let _ = user;
        Ok(())
    }
}

/// For users without files.
pub struct NoFiles;

impl HomeFiles for NoFiles {
    fn read_file(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The user's terminal, byte by byte: no echo, no editing. `mkvterm` takes it, and commands that ask for a password.
pub trait RawTerminal: Send + Sync {
    /// Reads at least one byte, waiting for it; `Ok(0)` when the user is gone or after [`RawTerminal::interrupt`].
    ///
    /// # Errors
    /// When the command is cancelled.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Shows bytes as they are, waiting for room.
    ///
    /// # Errors
    /// When the user is gone or the command is cancelled.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the read that waits, and every later one, return `Ok(0)`. Called from another thread.
    fn interrupt(&self);
}

/// One run of a command.
pub struct Invocation<'a> {
    /// Console.
    pub console: &'a Console,
    /// User's name.
    pub user: &'a str,
    /// What the user may do.
    pub tasks: TaskSet,
    /// Arguments without the command's name.
    pub arguments: &'a [String],
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output; errors go here too, as on the real console.
    pub output: &'a mut dyn Write,
    /// Standard error.
    pub errors: &'a mut dyn Write,
    /// The user's terminal, if the command has one.
    pub terminal: Option<Arc<dyn RawTerminal>>,
    /// The user's files.
    pub files: &'a dyn HomeFiles,
    /// Becomes true when the user cancels.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Other end of the connection; empty for a local command.
    pub peer: &'a str,
}

/// How often a command that waits for a system looks whether it was cancelled.
const CANCELLATION_INTERVAL: std::time::Duration = std::time::Duration::from_millis(50);

impl Invocation<'_> {
    /// Whether the user may do a task.
    pub(crate) fn authorize(&self, task: Task) -> Result<(), Refusal> {
        self.tasks.authorize(task)
    }

    /// The system that `-m` names.
    pub(crate) fn system(&self, options: &ParsedOptions) -> Result<Arc<SystemConnection>, Refusal> {
        self.console.find_system(options.require("-m")?)
    }

    /// Asks a system and waits.
    pub(crate) fn ask(
        &self,
        system: &SystemConnection,
        request: SystemRequest,
    ) -> Result<SystemReply, Refusal> {
        self.console.call(system, request)
    }

    /// Asks a system for something that may take a guest's time; ends early when the user cancels.
    pub(crate) fn ask_long(
        &self,
        system: &Arc<SystemConnection>,
        request: SystemRequest,
    ) -> Result<SystemReply, CommandError> {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let id = self.console.request_id();
        let connection = system.clone();
        let ask = move || {
            // Nobody may listen any more: the user cancelled.
            let _ = sender.send(connection.link.call(id, request));
        };
        std::thread::Builder::new().name("console-request".to_owned()).spawn(ask)?;
        loop {
            match answer.recv_timeout(CANCELLATION_INTERVAL) {
                Ok(result) => return Ok(self.console.answer(system, result)?),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(Refusal::new(MessageKey::SystemNoConnection).with(system.name()).into());
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) if (self.cancelled)() => {
                    return Err(CommandError::Cancelled);
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Does something for each of several targets. What fails is printed, the others are done all the same.
    pub(crate) fn each<Target>(
        &mut self,
        targets: impl IntoIterator<Item = Target>,
        mut action: impl FnMut(&mut Self, Target) -> Result<(), CommandError>,
    ) -> Result<u8, CommandError> {
        let mut status = 0;
        for target in targets {
            if (self.cancelled)() {
                return Err(CommandError::Cancelled);
            }
            match action(self, target) {
                Ok(()) => {}
                Err(CommandError::Refused(refusal)) => {
                    writeln!(self.output, "{refusal}")?;
                    status = 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(status)
    }
}

/// The partitions that a pair of options such as `-n`/`--id` names.
pub(crate) fn selectors(options: &ParsedOptions, names: &str, ids: &str) -> Result<Vec<Selector>, Refusal> {
    let mut found = Vec::new();
    for name in options.get(names).into_iter().flat_map(|value| value.split(',')) {
        found.push(Selector::Name(name.trim().to_owned()));
    }
    for id in options.get(ids).into_iter().flat_map(|value| value.split(',')) {
        let id: Result<PartitionId, _> = id.trim().parse();
        found.push(Selector::Id(id.map_err(|_| crate::failure::invalid_parameters(&[ids]))?));
    }
    Ok(found)
}

/// The one partition that a pair of options such as `-p`/`--id` names.
pub(crate) fn selector(options: &ParsedOptions, name: &str, id: &str) -> Result<Selector, Refusal> {
    if let Some(name) = options.get(name) {
        return Ok(Selector::Name(name.to_owned()));
    }
    match options.number::<PartitionId>(id)? {
        Some(id) => Ok(Selector::Id(id)),
        None => Err(crate::failure::invalid_parameters(&[name, id])),
    }
}
