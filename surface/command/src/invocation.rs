//! What a command is given: the console, the user, streams, files, a terminal.

use std::io::{self, Read, Write};
use std::sync::Arc;

use varan_console::{Console, ResourceScope, SystemConnection, Task, TaskSet};
use varan_contract::engine::GuestTerminal;
use varan_contract::system::{PartitionFilter, RequestSubject, Selector, SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::partition::PartitionEntry;
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

    /// Names in a directory; `path` is as the user wrote it.
    ///
    /// # Errors
    /// Not there, not readable, outside the user's home.
    fn list_directory(&self, path: &str) -> io::Result<Vec<String>> {
        let _ = path;
        Err(io::ErrorKind::NotFound.into())
    }

    /// Names of the files in the console's own firmware repository.
    ///
    /// # Errors
    /// Whatever the file system reports; a repository that was never written is empty.
    fn list_repository(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Reads a file of the repository.
    ///
    /// # Errors
    /// As [`HomeFiles::read_file`].
    fn read_repository(&self, name: &str) -> io::Result<Vec<u8>> {
        let _ = name;
        Err(io::ErrorKind::NotFound.into())
    }

    /// Writes a file of the repository, wholly or not at all.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn write_repository(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let _ = (name, content);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a file of the repository; one that is not there is none.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn remove_from_repository(&self, name: &str) -> io::Result<()> {
        let _ = name;
        Ok(())
    }

    /// Gives the home directory of a user its new name.
    ///
    /// # Errors
    /// Whatever the file system reports; a home that is not there is none.
    fn rename_home(&self, user: &str, new_name: &str) -> io::Result<()> {
        let _ = (user, new_name);
        Ok(())
    }

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

/// The user's terminal, byte by byte: no echo, no editing. `mkvterm` takes it, and commands that ask for a password. Where
/// the user has none it stands for standard input and output.
pub trait RawTerminal: Send + Sync {
    /// Reads at least one byte, waiting for it; `Ok(0)` at the end of the input or after [`RawTerminal::interrupt`].
    ///
    /// # Errors
    /// When the user is gone or the command is cancelled.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Shows bytes as they are, waiting for room.
    ///
    /// # Errors
    /// When the user is gone or the command is cancelled.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
    /// Columns and rows of the user's window at this moment; 0 when unknown.
    fn size(&self) -> (u16, u16) {
        (0, 0)
    }
    /// Makes the read that waits, and every later one, return `Ok(0)`. Called from another thread.
    fn interrupt(&self);
}

/// Other consoles, as a user of this one reaches them by SSH.
pub trait RemoteConsoles {
    /// The user's own public key, made where there is none yet.
    ///
    /// # Errors
    /// The key cannot be kept.
    fn own_key(&self) -> Result<String, Refusal>;

    /// Has a user of another console let the owner of this console's key in.
    ///
    /// # Errors
    /// The console cannot be reached, the password is wrong, the other console refuses.
    fn exchange(&self, host: &str, user: &str, password: &str) -> Result<(), Refusal>;

    /// Whether the key lets in as that user.
    ///
    /// # Errors
    /// It does not.
    fn test(&self, host: &str, user: &str) -> Result<(), Refusal>;
}

/// For users who reach no other console.
pub struct NoConsoles;

impl RemoteConsoles for NoConsoles {
    fn own_key(&self) -> Result<String, Refusal> {
        Err(Refusal::new(MessageKey::NotAuthorized))
    }

    fn exchange(&self, host: &str, _: &str, _: &str) -> Result<(), Refusal> {
        Err(Refusal::new(MessageKey::RemoteConsoleUnreachable).with(host).with("it is not known"))
    }

    fn test(&self, _: &str, user: &str) -> Result<(), Refusal> {
        Err(Refusal::new(MessageKey::RemoteKeysMissing).with(user))
    }
}

/// Virtual I/O Servers, on which a console runs commands.
pub trait VirtualIoServers {
    /// Runs a command line on the server in a partition, as root or as padmin. Returns its exit status and what it printed.
    ///
    /// # Errors
    /// The server does not run, or cannot be reached.
    fn run(
        &self,
        system: &SystemConnection,
        entry: &PartitionEntry,
        command: &str,
        root: bool,
    ) -> Result<(u8, Vec<u8>), Refusal>;
}

/// For users who reach no Virtual I/O Server.
pub struct NoServers;

impl VirtualIoServers for NoServers {
    fn run(
        &self,
        _: &SystemConnection,
        entry: &PartitionEntry,
        _: &str,
        _: bool,
    ) -> Result<(u8, Vec<u8>), Refusal> {
        let reason = format!("the Virtual I/O Server {} cannot be reached", entry.partition.name);
        Err(Refusal::new(MessageKey::VirtualIoServerCommandFailed).with(reason))
    }
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
    /// Other consoles.
    pub remote: &'a dyn RemoteConsoles,
    /// Virtual I/O Servers.
    pub servers: &'a dyn VirtualIoServers,
    /// Becomes true when the user cancels.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Other end of the connection; empty for a local command.
    pub peer: &'a str,
}

/// How often a command that waits for a system looks whether it was cancelled.
const CANCELLATION_INTERVAL: std::time::Duration = std::time::Duration::from_millis(50);

impl Invocation<'_> {
    /// Lets time pass.
    ///
    /// # Errors
    /// [`CommandError::Cancelled`].
    pub(crate) fn pause(&self, duration: std::time::Duration) -> Result<(), CommandError> {
        let mut left = duration;
        while !left.is_zero() {
            if (self.cancelled)() {
                return Err(CommandError::Cancelled);
            }
            let part = left.min(CANCELLATION_INTERVAL);
            std::thread::sleep(part);
            left -= part;
        }
        Ok(())
    }

    /// Whether the user may do a task.
    pub(crate) fn authorize(&self, task: Task) -> Result<(), Refusal> {
        self.tasks.authorize(task)
    }

    /// The system that `-m` names.
    pub(crate) fn system(&self, options: &ParsedOptions) -> Result<Arc<SystemConnection>, Refusal> {
        self.find_system(options.require("-m")?)
    }

    /// The system that `-m` names, for what concerns all its partitions.
    pub(crate) fn whole_system(&self, options: &ParsedOptions) -> Result<Arc<SystemConnection>, Refusal> {
        let system = self.system(options)?;
        if self.scope().allows_system(&system.identity().to_string()) {
            Ok(system)
        } else {
            Err(Refusal::new(MessageKey::NotAuthorized))
        }
    }

    /// What the user may reach. Commands come to systems only through the functions here, which keep to it.
    pub(crate) fn scope(&self) -> ResourceScope {
        self.console.scope_of(self.user)
    }

    /// A system by its name; one of which the user may reach nothing is refused.
    pub(crate) fn find_system(&self, name: &str) -> Result<Arc<SystemConnection>, Refusal> {
        let system = self.console.find_system(name)?;
        if self.scope().sees(&system.identity().to_string()) {
            Ok(system)
        } else {
            Err(Refusal::new(MessageKey::NotAuthorized))
        }
    }

    /// The systems of which the user may reach something, in the order in which they are connected.
    pub(crate) fn systems(&self) -> Vec<Arc<SystemConnection>> {
        let scope = self.scope();
        self.console.systems().filter(|system| scope.sees(&system.identity().to_string())).cloned().collect()
    }

    /// Refuses a request for what the user may not reach.
    fn permit(
        &self,
        scope: &ResourceScope,
        system: &SystemConnection,
        request: &mut SystemRequest,
    ) -> Result<(), Refusal> {
        let identity = system.identity().to_string();
        if scope.allows_system(&identity) {
            return Ok(());
        }
        match request.subject() {
            RequestSubject::View | RequestSubject::Partitions(_) => Ok(()),
            RequestSubject::System => Err(Refusal::new(MessageKey::NotAuthorized)),
            RequestSubject::Change(_) if scope.allows_all_partitions(&identity) => Ok(()),
            RequestSubject::Change(partitions) => {
                partitions.into_iter().try_for_each(|one| self.permit_partition(scope, system, one))
            }
        }
    }

    /// Refuses a partition that the user may not reach. The selector becomes the partition's number: a name could be
    /// another's by the time that the request is carried out.
    fn permit_partition(
        &self,
        scope: &ResourceScope,
        system: &SystemConnection,
        partition: &mut Selector,
    ) -> Result<(), Refusal> {
        let identity = system.identity().to_string();
        if scope.allows_all_partitions(&identity) {
            return Ok(());
        }
        if !matches!(partition, Selector::Id(_)) {
            let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![partition.clone()]));
            if let SystemReply::Partitions { entries, .. } = self.console.call(system, request)?
                && let Some(entry) = entries.first()
            {
                *partition = Selector::Id(entry.partition.id);
            }
        }
        match partition {
            Selector::Id(id) if scope.allows_partition(&identity, *id) => Ok(()),
            _ => Err(Refusal::new(MessageKey::NotAuthorized)),
        }
    }

    /// Refuses a system that the user may not reach as a whole.
    pub(crate) fn permit_system(&self, system: &SystemConnection) -> Result<(), Refusal> {
        if self.scope().allows_system(&system.identity().to_string()) {
            Ok(())
        } else {
            Err(Refusal::new(MessageKey::NotAuthorized))
        }
    }

    /// Asks a system and waits.
    pub(crate) fn ask(
        &self,
        system: &SystemConnection,
        mut request: SystemRequest,
    ) -> Result<SystemReply, Refusal> {
        let scope = self.scope();
        self.permit(&scope, system, &mut request)?;
        if scope == ResourceScope::All {
            return self.console.call(system, request);
        }
        let asked = match request.subject() {
            RequestSubject::Partitions(partitions) => Some(partitions.clone()),
            _ => None,
        };
        let reply = self.console.call(system, request)?;
        scope.filter(&system.identity().to_string(), asked.as_ref(), reply)
    }

    /// Opens the virtual terminal of a partition.
    pub(crate) fn open_terminal(
        &self,
        system: &SystemConnection,
        mut partition: Selector,
    ) -> Result<Box<dyn GuestTerminal>, Refusal> {
        self.permit_partition(&self.scope(), system, &mut partition)?;
        self.console.open_terminal(system, partition)
    }

    /// Asks a system to change something that may take a guest's time; ends early when the user cancels.
    pub(crate) fn ask_long(
        &self,
        system: &Arc<SystemConnection>,
        mut request: SystemRequest,
    ) -> Result<SystemReply, CommandError> {
        self.permit(&self.scope(), system, &mut request)?;
        let again = request.clone();
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
                // Nothing was done: the change states names that are claimed first. Such a change waits for no guest.
                Ok(Ok(SystemReply::ClaimNeeded { .. })) => return Ok(self.console.call(system, again)?),
                Ok(result) => return Ok(self.console.answer(system, result)?),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(self.console.no_connection(system).into());
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) if (self.cancelled)() => {
                    return Err(CommandError::Cancelled);
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Does something for each of several partitions. Where there are several, a refusal says which one it is about.
    pub(crate) fn each_partition(
        &mut self,
        system: &SystemConnection,
        doing: &str,
        partitions: Vec<Selector>,
        mut action: impl FnMut(&mut Self, Selector) -> Result<(), CommandError>,
    ) -> Result<u8, CommandError> {
        let several = partitions.len() > 1;
        self.each(partitions, |invocation, partition| {
            action(invocation, partition.clone()).map_err(|error| match error {
                CommandError::Refused(refusal) if several => {
                    invocation.about_partition(system, doing, &partition, *refusal).into()
                }
                error => error,
            })
        })
    }

    /// Adds the line that names the partition, unless the refusal names it already.
    pub(crate) fn about_partition(
        &self,
        system: &SystemConnection,
        doing: &str,
        partition: &Selector,
        refusal: Refusal,
    ) -> Refusal {
        let unknown = [MessageKey::PartitionNotFound, MessageKey::PartitionIdNotFound];
        if refusal.subject.is_some() || unknown.contains(&refusal.key) {
            return refusal;
        }
        let name = match partition {
            Selector::Name(name) => Some(name.clone()),
            Selector::Id(_) | Selector::Uuid(_) => {
                let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![partition.clone()]));
                match self.ask(system, request) {
                    Ok(SystemReply::Partitions { entries, .. }) => {
                        entries.first().map(|entry| entry.partition.name.clone())
                    }
                    _ => None,
                }
            }
        };
        match name {
            Some(name) => refusal.about(doing, "partition", &name),
            None => refusal,
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
