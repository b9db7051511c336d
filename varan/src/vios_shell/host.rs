//! The shells of a Virtual I/O Server: padmin's and root's.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use varan_command::vios::{self, ViosInvocation};
use varan_contract::vios::{ViosCallError, ViosQuery};
use varan_model::vios::ViosMessage;
use varan_shell::{
    Cancellation, Channels, CommandHost, Dialect, Feature, FileTree, Identity, Input, Shell, Streams,
    TreePath, WallClock,
};

use super::commands;
use super::files::{HOME, ViosFiles};
use super::servers::{LOGIN, Server};

/// Output that a command collects before it goes out, in bytes.
const OUTPUT_BUFFER_BYTES: usize = 32 << 10;
/// Status of what could not begin.
const CANNOT_BEGIN: u8 = 1;
/// User number of padmin.
const PADMIN_NUMBER: u32 = 203;
/// The command that leads to root.
const ROOT_SHELL: &str = "oem_setup_env";

/// A server behind one shell.
pub struct ViosHost {
    server: Arc<Server>,
    files: ViosFiles,
    hostname: String,
    root: bool,
    /// Ended when the server has stopped.
    session: OnceLock<Arc<Cancellation>>,
}

impl ViosHost {
    /// The shell of root, or of padmin.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn open(server: &Arc<Server>, root: bool) -> Result<Arc<Self>, String> {
        let hostname = server.identity()?.hostname;
        let files = ViosFiles::new(&server.files, root);
        Ok(Arc::new(Self { server: server.clone(), files, hostname, root, session: OnceLock::new() }))
    }

    /// The session to end when the server has stopped; the first one that is told.
    pub fn ends_with_server(&self, session: &Arc<Cancellation>) {
        // A second session over one host is none that exists.
        let _ = self.session.set(session.clone());
    }

    /// Ends the session of a server that does not run any more, as its own shutdown ends a login.
    fn end_if_stopped(&self) {
        if let Some(session) = self.session.get()
            && matches!(self.server.link.ask(ViosQuery::Identity), Err(ViosCallError::NotRunning))
        {
            session.cancel();
        }
    }

    /// The server.
    pub(super) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Its files.
    pub(super) fn files(&self) -> &ViosFiles {
        &self.files
    }

    /// Whether root works here.
    pub(super) fn is_root(&self) -> bool {
        self.root
    }

    /// A shell over it.
    #[must_use]
    pub fn shell(self: &Arc<Self>) -> Shell {
        Shell::new(self.clone(), Arc::new(self.files.clone()))
    }

    /// The shell of root on the same server, in the same directory.
    fn root_shell(&self, streams: &Streams<'_>) -> Result<Shell, String> {
        let host = Self::open(&self.server, true)?;
        if let Some(session) = self.session.get() {
            host.ends_with_server(session);
        }
        let mut shell = host.shell();
        if let Some(terminal) = streams.variables.get("TERM") {
            // A variable that is too long is not worth a shell.
            let _ = shell.set_variable("TERM", terminal);
        }
        Ok(shell)
    }

    /// `oem_setup_env`: a shell for a person, else what comes on standard input.
    fn become_root(&self, arguments: &[String], streams: &Streams<'_>) -> u8 {
        let mut errors = streams.error;
        if !arguments.is_empty() {
            let _ = writeln!(errors, "Too many arguments: {}", arguments.join(" "));
            return CANNOT_BEGIN;
        }
        let mut shell = match self.root_shell(streams) {
            Ok(shell) => shell,
            Err(reason) => {
                let _ = writeln!(errors, "{reason}");
                return CANNOT_BEGIN;
            }
        };
        if let Some(terminal) = streams.terminal.filter(|_| streams.input.is_terminal()) {
            // Ctrl-C at its prompt is the new shell's, and this command's again when it has ended.
            terminal.set_foreground(None);
            let status = shell.interactive(terminal, streams.cancellation);
            terminal.set_foreground(Some(streams.cancellation.clone()));
            return status;
        }
        let mut script = Vec::new();
        let mut input = streams.input;
        let limit = varan_shell::SCRIPT_BYTES as u64;
        if Read::by_ref(&mut input).take(limit).read_to_end(&mut script).is_err() {
            return CANNOT_BEGIN;
        }
        shell.run_script(&String::from_utf8_lossy(&script), self.channels(streams))
    }

    fn channels(&self, streams: &Streams<'_>) -> Channels {
        Channels {
            input: Input::empty(),
            output: streams.output.clone(),
            error: streams.error.clone(),
            terminal: None,
            cancellation: streams.cancellation.clone(),
        }
    }

    /// The directory that a command was started in.
    pub(super) fn directory(&self, streams: &Streams<'_>) -> TreePath {
        let shown = streams.variables.get("PWD").unwrap_or(HOME);
        TreePath::resolve(&TreePath::root(), shown).unwrap_or_else(|_| self.files.home())
    }
}

/// The files of one command: what it uploads and the server does not take goes when it ends.
struct CommandFiles<'a> {
    host: &'a ViosHost,
    directory: TreePath,
    uploaded: RefCell<Vec<PathBuf>>,
}

impl vios::ServerFiles for CommandFiles<'_> {
    fn upload(&self, path: &str) -> Result<String, ViosMessage> {
        let unreadable = |_| ViosMessage::FileUnreadable;
        let resolved = TreePath::resolve(&self.directory, path).map_err(unreadable)?;
        let mut reader = self.host.files.open(&resolved).map_err(unreadable)?;
        let server = &self.host.server;
        let copied = std::fs::create_dir_all(&server.upload).and_then(|()| {
            let name = format!("upload-{:016x}", server.environment.random());
            let target = server.upload.join(&name);
            let mut file = std::fs::File::create_new(&target)?;
            self.uploaded.borrow_mut().push(target);
            io::copy(&mut reader, &mut file)?;
            file.sync_all()?;
            Ok(name)
        });
        copied.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ViosMessage::NoSpace,
            _ => ViosMessage::FileUnreadable,
        })
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let open = |path: &str| {
            let resolved = TreePath::resolve(&self.directory, path)?;
            self.host.files.open(&resolved)
        };
        let reader = open(path).map_err(|error| io::Error::other(error.in_words_of_aix()))?;
        let mut content = Vec::new();
        reader.take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::other(format!("it is larger than {limit} bytes")));
        }
        Ok(content)
    }
}

impl Drop for CommandFiles<'_> {
    fn drop(&mut self) {
        for path in self.uploaded.borrow().iter() {
            // What the server took is not there any more.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl CommandHost for ViosHost {
    fn lookup(&self, name: &str) -> bool {
        name == ROOT_SHELL && !self.root
            || commands::find(name, self.root).is_some()
            || vios::knows(name, self.root)
    }

    fn run(&self, name: &str, arguments: &[String], streams: Streams<'_>) -> u8 {
        // `ioscli X` is X, also for what this shell itself has.
        let (name, arguments) = match (name, arguments) {
            ("ioscli", [inner, rest @ ..])
                if inner == ROOT_SHELL || commands::find(inner, self.root).is_some() =>
            {
                (inner.as_str(), rest)
            }
            _ => (name, arguments),
        };
        if name == ROOT_SHELL && !self.root {
            return self.become_root(arguments, &streams);
        }
        if let Some(run) = commands::find(name, self.root) {
            return run(self, arguments, &streams);
        }
        let (mut input, mut errors) = (streams.input, streams.error);
        let mut output = io::BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, streams.output);
        let files =
            CommandFiles { host: self, directory: self.directory(&streams), uploaded: RefCell::default() };
        let mut invocation = ViosInvocation {
            server: &*self.server.link,
            request_id: &|| self.server.request_id(),
            root: self.root,
            arguments,
            input: &mut input,
            output: &mut output,
            errors: &mut errors,
            files: &files,
        };
        let status = vios::run(name, &mut invocation);
        // A reader that is gone does not change what the command did.
        let _ = output.flush();
        self.end_if_stopped();
        status
    }

    fn command_names(&self) -> Vec<String> {
        let mut names: Vec<String> = vios::names(self.root).into_iter().map(str::to_owned).collect();
        names.extend(commands::names(self.root).map(str::to_owned));
        if !self.root {
            names.push(ROOT_SHELL.to_owned());
        }
        names.sort();
        names.dedup();
        names
    }

    fn user_name(&self) -> String {
        if self.root { "root" } else { LOGIN }.to_owned()
    }

    fn host_name(&self) -> String {
        self.hostname.clone()
    }

    fn identity(&self) -> Identity {
        let (user_id, group) = if self.root { (0, (0, "system")) } else { (PADMIN_NUMBER, (1, "staff")) };
        Identity { user_id, groups: vec![(group.0, group.1.to_owned())] }
    }

    fn allows(&self, feature: Feature) -> bool {
        self.root || !matches!(feature, Feature::OutputRedirection)
    }

    fn dialect(&self) -> Dialect {
        if self.root { Dialect::Korn } else { Dialect::RestrictedKorn }
    }

    fn may_enter(&self, directory: &TreePath) -> bool {
        self.root || ViosFiles::may_enter(directory)
    }

    fn wall_clock(&self) -> WallClock {
        let now = self.server.environment.wall_clock();
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
        vios::manual(name)
    }
}

/// Runs a script as the shell of a login reads it from its input: a line that is only `oem_setup_env` leads to root, who
/// reads the lines behind it.
#[must_use]
pub fn run_script(host: &Arc<ViosHost>, script: &str, channels: Channels) -> u8 {
    if host.is_root() {
        return host.shell().run_script(script, channels);
    }
    let is_root_shell = |line: &str| {
        let line = line.trim();
        line == ROOT_SHELL || line.strip_prefix("ioscli ").map(str::trim) == Some(ROOT_SHELL)
    };
    let lines: Vec<&str> = script.lines().collect();
    let Some(at) = lines.iter().position(|line| is_root_shell(line)).filter(|at| at + 1 < lines.len()) else {
        // `oem_setup_env && command`: what joins them is root's too.
        let trimmed = script.trim_start();
        if let Some(rest) = trimmed.strip_prefix(ROOT_SHELL)
            && let Some(rest) =
                rest.trim_start().strip_prefix("&&").or_else(|| rest.trim_start().strip_prefix(';'))
        {
            return as_root(host, rest, channels);
        }
        return host.shell().run_script(script, channels);
    };
    let before = lines[..at].join("\n");
    if !before.trim().is_empty() {
        host.shell().run_script(&before, channels.clone());
    }
    as_root(host, &lines[at + 1..].join("\n"), channels)
}

fn as_root(host: &Arc<ViosHost>, script: &str, channels: Channels) -> u8 {
    match ViosHost::open(host.server(), true) {
        Ok(root) => root.shell().run_script(script, channels),
        Err(reason) => {
            let _ = channels.error.write_bytes(format!("{reason}\n").as_bytes());
            CANNOT_BEGIN
        }
    }
}
