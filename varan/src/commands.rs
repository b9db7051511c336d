//! The console's commands as the shell runs them: streams, terminals and files of one become those of the other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use varan_command::{HomeFiles, Invocation, RawTerminal};
use varan_console::{Console, SessionGuard, plain_command};
use varan_shell::{
    Cancellation, CommandHost, Feature, Identity, Input, Output, Streams, Terminal, WallClock,
};

use crate::files;
use crate::firmware_repository::FirmwareRepository;
use crate::home::Home;
use crate::remote_consoles::UserRemoteConsoles;
use crate::vios_shell::ViosServers;

/// Largest file that `-f` of a command reads, in bytes: far above any list of profiles.
const COMMAND_FILE_BYTES_MAX: u64 = 16 << 20;
/// Output that a command collects before it goes out, in bytes.
const OUTPUT_BUFFER_BYTES: usize = 32 << 10;
/// User number of the first user; the real console's users begin there.
const FIRST_USER_NUMBER: u32 = 500;

/// The console behind one user's shell.
pub struct ConsoleHost {
    /// Console.
    pub console: Arc<Console>,
    /// User's name.
    pub user: String,
    /// Other end of the connection; empty for a local command.
    pub peer: String,
    /// The user's files.
    pub home: Arc<Home>,
    /// Where the home directories of all users are.
    pub homes: PathBuf,
    /// Virtual I/O Servers.
    pub servers: Arc<ViosServers>,
    /// The session is listed as long as its shell lives.
    pub session: SessionGuard,
}

/// Records in the audit that a line of the shell ended. A line that is one command of the console is not recorded again:
/// the command has done it.
pub fn record_line(console: &Console, user: &str, peer: &str, line: &str, status: u8) {
    let recorded = plain_command(line).is_some_and(|name| varan_command::lookup(&name).is_some());
    if !recorded {
        console.record_line(user, peer, line, status);
    }
}

/// The user's terminal in raw form for one command. Interrupting the reader is a cancellation of its own, so that the
/// shell's goes on.
struct CommandTerminal {
    raw: varan_shell::RawTerminal,
    reading: Arc<Cancellation>,
    command: Arc<Cancellation>,
}

impl CommandTerminal {
    fn new(terminal: &Arc<Terminal>, command: &Arc<Cancellation>) -> Self {
        Self { raw: terminal.raw(), reading: Cancellation::child(command), command: command.clone() }
    }
}

impl RawTerminal for CommandTerminal {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.raw.read(buffer, &self.reading) {
            Err(_) if !self.command.is_cancelled() => Ok(0),
            // A user who is gone also ends the input; the former is what counts.
            Ok(0) if self.command.is_cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
            result => result,
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.raw.write_all(bytes, &self.command)
    }

    fn size(&self) -> (u16, u16) {
        self.raw.size()
    }

    fn interrupt(&self) {
        self.reading.cancel();
    }
}

/// Standard input and output in place of a terminal: `mkvterm` over exec without one passes bytes on.
struct CommandStreams {
    input: Input,
    output: Output,
    reading: Arc<Cancellation>,
    command: Arc<Cancellation>,
}

impl CommandStreams {
    fn new(streams: &Streams<'_>, command: &Arc<Cancellation>) -> Self {
        let reading = Cancellation::child(command);
        let input = streams.input.with_cancellation(&reading);
        Self { input, output: streams.output.clone(), reading, command: command.clone() }
    }
}

impl RawTerminal for CommandStreams {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match io::Read::read(&mut &self.input, buffer) {
            Err(_) if self.reading.is_cancelled() && !self.command.is_cancelled() => Ok(0),
            result => result,
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_bytes(bytes)
    }

    fn interrupt(&self) {
        self.reading.cancel();
    }
}

struct Files<'a> {
    home: &'a Home,
    homes: &'a Path,
    repository: FirmwareRepository,
}

impl HomeFiles for Files<'_> {
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        self.home.read_file(path, COMMAND_FILE_BYTES_MAX)
    }

    fn list_directory(&self, path: &str) -> io::Result<Vec<String>> {
        self.home.list_directory(path)
    }

    fn list_repository(&self) -> io::Result<Vec<String>> {
        self.repository.list()
    }

    fn read_repository(&self, name: &str) -> io::Result<Vec<u8>> {
        self.repository.read(name, COMMAND_FILE_BYTES_MAX)
    }

    fn write_repository(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.repository.write(name, content)
    }

    fn remove_from_repository(&self, name: &str) -> io::Result<()> {
        self.repository.remove(name)
    }

    fn rename_home(&self, user: &str, new_name: &str) -> io::Result<()> {
        crate::remote_consoles::rename(self.homes, user, new_name)?;
        files::if_there(std::fs::rename(self.homes.join(user), self.homes.join(new_name)))
    }

    fn remove_home(&self, user: &str) -> io::Result<()> {
        crate::remote_consoles::forget(self.homes, user)?;
        // Names of users have no slash and begin with a letter, so this is a directory of its own below `homes`.
        files::if_there(std::fs::remove_dir_all(self.homes.join(user)))
    }
}

impl CommandHost for ConsoleHost {
    fn lookup(&self, name: &str) -> bool {
        varan_command::lookup(name).is_some()
    }

    fn run(&self, name: &str, arguments: &[String], streams: Streams<'_>) -> u8 {
        // A task that an administrator ends is this command; what the shell goes on with is not its business.
        let cancellation = Cancellation::child(streams.cancellation);
        let ending = cancellation.clone();
        let now = self.console.environment().wall_clock().seconds();
        let line = varan_console::masked_command(name, arguments);
        let _task = self.session.begin_task(line, now, move || ending.cancel());
        // Only the command that takes the terminal byte by byte gets it: taking it turns echo and editing off.
        let terminal: Option<Arc<dyn RawTerminal>> = match (name, streams.terminal) {
            ("mkvterm", Some(terminal)) if streams.input.is_terminal() => {
                Some(Arc::new(CommandTerminal::new(terminal, &cancellation)))
            }
            ("mkvterm", _) => Some(Arc::new(CommandStreams::new(&streams, &cancellation))),
            // They may ask for a password, which must not be echoed; a password from a pipe is read from there.
            ("chhmcusr" | "chsyspwd" | "mkauthkeys" | "mkhmcusr" | "mksysconn", Some(terminal))
                if streams.input.is_terminal() =>
            {
                Some(Arc::new(CommandTerminal::new(terminal, &cancellation)))
            }
            _ => None,
        };
        let (mut input, mut errors) = (streams.input, streams.error);
        // A listing is many lines; one write each would be one packet each.
        let mut output = io::BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, streams.output);
        let mut invocation = Invocation {
            console: &self.console,
            user: &self.user,
            // Asked for at each command: a user that is removed or gets another role feels it at once.
            tasks: self.console.tasks_of(&self.user),
            arguments,
            input: &mut input,
            output: &mut output,
            errors: &mut errors,
            terminal,
            files: &Files {
                home: &self.home,
                homes: &self.homes,
                repository: FirmwareRepository::beside(&self.homes),
            },
            remote: &UserRemoteConsoles::beside(&self.homes, &self.console.description().name, &self.user),
            servers: &*self.servers,
            cancelled: &|| cancellation.is_cancelled(),
            peer: &self.peer,
        };
        let status = varan_command::run(name, &mut invocation);
        // A reader that is gone does not change what the command did.
        let _ = io::Write::flush(&mut output);
        status
    }

    fn command_names(&self) -> Vec<String> {
        varan_command::command_names().into_iter().map(str::to_owned).collect()
    }

    fn user_name(&self) -> String {
        self.user.clone()
    }

    fn host_name(&self) -> String {
        self.console.hostname()
    }

    fn identity(&self) -> Identity {
        let position = self.console.users().iter().position(|user| user.name == self.user).unwrap_or(0);
        let user_id = FIRST_USER_NUMBER + u32::try_from(position).unwrap_or(0);
        Identity { user_id, groups: vec![(FIRST_USER_NUMBER, "hmc".to_owned())] }
    }

    fn allows(&self, _: Feature) -> bool {
        false
    }

    fn wall_clock(&self) -> WallClock {
        let now = self.console.environment().wall_clock();
        WallClock {
            unix_seconds: now.seconds(),
            nanoseconds: u32::try_from(now.0.rem_euclid(1_000_000_000)).unwrap_or(0),
            offset_seconds: 0,
            zone: "UTC".to_owned(),
        }
    }

    fn sleep(&self, duration: Duration, cancellation: &Cancellation) {
        cancellation.wait(duration);
    }

    fn manual(&self, name: &str) -> Option<String> {
        varan_command::manual(name, self.console.release())
    }
}
