//! The console behind its SSH server.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use varan_console::{Console, LoginOutcome, OfferedKey as ConsoleKey};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;
use varan_shell::{ByteSink, Cancellation, Channels, Input, Output, Shell, Terminal};
use varan_ssh::{
    AuthenticationOutcome, AuthorizedKey, ChannelReader, ChannelWriter, HomeDirectory, HomeQuota, OfferedKey,
    ServerEvent, Session, SessionKind, SshHost,
};

use crate::commands::record_line;
use crate::home::{HOME_BYTES_MAX, HOME_FILES_MAX};
use crate::site::host_for;
use crate::vios_shell::files::{FILES_BYTES_MAX, FILES_MAX, HOME};
use crate::vios_shell::{Route, Server, ViosHost, ViosServers};

/// Status of a session that could not begin.
const CANNOT_BEGIN: u8 = 1;

/// One console as an SSH server's host.
pub struct ConsoleSsh {
    /// Console.
    pub console: Arc<Console>,
    /// Where home directories are.
    pub homes: PathBuf,
    /// Virtual I/O Servers, entered as `padmin%vios1%p814-1`.
    pub servers: Arc<ViosServers>,
    /// The one server that this address is for: users log in to it by their names alone.
    pub server: Option<Route>,
}

fn outcome(outcome: &LoginOutcome) -> AuthenticationOutcome {
    match outcome {
        LoginOutcome::Accepted(_) => AuthenticationOutcome::Accepted,
        LoginOutcome::Rejected => AuthenticationOutcome::Rejected,
        LoginOutcome::Locked { .. } => AuthenticationOutcome::Locked {
            message: outcome.message().unwrap_or_default().replace('\n', " "),
        },
    }
}

/// A channel's output as the shell's sink.
struct ChannelSink(Mutex<ChannelWriter>);

impl ByteSink for ChannelSink {
    fn write_all(&self, bytes: &[u8], _: &Arc<Cancellation>) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)
    }
}

/// Gives what the client types to the shell's terminal until the client is gone.
fn feed(mut input: ChannelReader, terminal: &Arc<Terminal>, cancellation: &Arc<Cancellation>) {
    let mut buffer = [0; 4_096];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if terminal.feed(&buffer[..count], cancellation).is_ok() => {}
            // The client is gone, not only at the end of its input: whoever reads must be able to tell.
            _ => {
                cancellation.cancel();
                break;
            }
        }
    }
    terminal.hang_up();
}

impl ConsoleSsh {
    /// The server that a login name means, if it means one.
    fn route(&self, user: &str) -> Option<Route> {
        match &self.server {
            Some(server) => Some(Route { user: user.to_owned(), ..server.clone() }),
            None => Route::parse(user),
        }
    }

    fn check_server(&self, route: &Route, fits: impl FnOnce(&Server) -> bool) -> AuthenticationOutcome {
        match self.servers.find(&self.console, route) {
            Ok(opened) if fits(&opened.server) => AuthenticationOutcome::Accepted,
            Ok(_) => AuthenticationOutcome::Rejected,
            Err(reason) => AuthenticationOutcome::Locked { message: reason.replace('\n', " ") },
        }
    }

    fn run_session(&self, session: Session) -> Result<u8, String> {
        let (user, peer) = (session.request.user.clone(), session.request.peer.ip().to_string());
        if let SessionKind::Unusable(problem) = session.request.kind {
            let refusal = Refusal::new(MessageKey::CommandLineUnusable).with(problem);
            let mut output = session.output;
            let _ = writeln!(output, "{refusal}");
            if self.route(&user).is_none() {
                self.console.record(&user, &peer, "(command line that cannot be run)", CANNOT_BEGIN);
            }
            return Ok(CANNOT_BEGIN);
        }
        let cancellation = Cancellation::new();
        let cancelled = cancellation.clone();
        session.cancellation.on_cancel(move |_| cancelled.cancel());
        if let Some(route) = self.route(&user) {
            let opened = self.servers.find(&self.console, &route)?;
            let host = ViosHost::open(&opened.server, false)?;
            host.ends_with_server(&cancellation);
            let run =
                |_: &mut Shell, line: &str, channels| crate::vios_shell::run_script(&host, line, channels);
            return run_in(&mut host.shell(), session, &cancellation, None, run);
        }
        let host = host_for(&self.console, &user, &peer, &self.homes, &self.servers)?;
        let home = host.home.clone();
        let ended = cancellation.clone();
        host.session.on_end(move || ended.cancel());
        let mut shell = Shell::new(Arc::new(host), home);
        let warning = self.console.password_warning(&user);
        let is_exec = matches!(session.request.kind, SessionKind::Exec(_));
        let run = |shell: &mut Shell, line: &str, channels| {
            let status = shell.run_script(line, channels);
            if is_exec {
                record_line(&self.console, &user, &peer, line, status);
            }
            status
        };
        run_in(&mut shell, session, &cancellation, warning, run)
    }
}

/// Runs a session in a shell: `run` runs a script to its end. `greeting` is shown to a person first.
fn run_in(
    shell: &mut Shell,
    session: Session,
    cancellation: &Arc<Cancellation>,
    greeting: Option<String>,
    run: impl Fn(&mut Shell, &str, Channels) -> u8,
) -> Result<u8, String> {
    let request = session.request;
    let output = Arc::new(ChannelSink(Mutex::new(session.output)));
    let Some(client) = request.terminal else {
        let (line, input) = match request.kind {
            SessionKind::Exec(line) => (line, Input::from_reader(Box::new(session.input), cancellation)),
            // A shell without a terminal reads its script from standard input.
            _ => match script_from_input(session.input) {
                Some(script) => (script, Input::empty()),
                None => return Ok(CANNOT_BEGIN),
            },
        };
        let channels = Channels {
            input,
            output: Output::new(output, cancellation),
            error: Output::new(Arc::new(ChannelSink(Mutex::new(session.error))), cancellation),
            terminal: None,
            cancellation: cancellation.clone(),
        };
        return Ok(run(shell, &line, channels));
    };
    // Newlines and Ctrl-C are the shell's terminal's own business.
    client.set_newline_translation(false);
    client.set_interrupt_character(false);
    let narrow = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    let size = client.size();
    let shown = output.clone();
    let terminal = Terminal::new(output, narrow(size.columns), narrow(size.rows));
    let resized = terminal.clone();
    client.on_resize(move |size| resized.resize(narrow(size.columns), narrow(size.rows)));
    let (input, fed, feeding) = (session.input, terminal.clone(), cancellation.clone());
    let feeder =
        std::thread::Builder::new().name("ssh input".to_owned()).spawn(move || feed(input, &fed, &feeding));
    feeder.map_err(|error| error.to_string())?;
    match request.kind {
        SessionKind::Exec(line) => {
            let channels = terminal.channels(cancellation);
            terminal.set_foreground(Some(cancellation.clone()));
            let status = run(shell, &line, channels);
            terminal.set_foreground(None);
            Ok(status)
        }
        SessionKind::Shell => {
            if let Some(greeting) = greeting {
                let _ = shown.write_all(format!("{greeting}\r\n").as_bytes(), cancellation);
            }
            Ok(shell.interactive(&terminal, cancellation))
        }
        SessionKind::Unusable(_) => Ok(CANNOT_BEGIN),
    }
}

/// The script that comes instead of a person; `None` when the client is gone.
fn script_from_input(mut input: ChannelReader) -> Option<String> {
    let mut script = Vec::new();
    let limit = varan_shell::SCRIPT_BYTES as u64;
    Read::by_ref(&mut input).take(limit).read_to_end(&mut script).ok()?;
    Some(String::from_utf8_lossy(&script).into_owned())
}

impl SshHost for ConsoleSsh {
    fn check_password(&self, user: &str, password: &str, peer: SocketAddr) -> AuthenticationOutcome {
        if let Some(route) = self.route(user) {
            return self.check_server(&route, |_| self.servers.password_fits(password));
        }
        outcome(&self.console.check_password(user, password, &peer.ip().to_string()))
    }

    fn check_public_key(&self, user: &str, key: &OfferedKey, peer: SocketAddr) -> AuthenticationOutcome {
        if let Some(route) = self.route(user) {
            return match self.check_server(&route, |server| has_key(server, key)) {
                // The text has its place where the password is asked for.
                AuthenticationOutcome::Locked { .. } => AuthenticationOutcome::Rejected,
                outcome => outcome,
            };
        }
        let line = format!("{} {}", key.algorithm, base64(&key.blob));
        let offered = ConsoleKey { line: &line, proven: key.proven };
        outcome(&self.console.check_key(user, offered, &peer.ip().to_string()))
    }

    fn run(&self, session: Session) -> u8 {
        let mut error = session.error.clone();
        match self.run_session(session) {
            Ok(status) => status,
            Err(reason) => {
                let _ = writeln!(error, "{reason}");
                CANNOT_BEGIN
            }
        }
    }

    fn home_directory(&self, user: &str) -> Option<HomeDirectory> {
        if let Some(route) = self.route(user) {
            let opened = self.servers.find(&self.console, &route).ok()?;
            return Some(HomeDirectory {
                path: opened.server.files.home(),
                shown_as: HOME.to_owned(),
                quota: HomeQuota { bytes: FILES_BYTES_MAX, files: FILES_MAX },
            });
        }
        let home = crate::home::Home::open(&self.homes, user).ok()?;
        self.console.user(user)?;
        Some(HomeDirectory {
            path: home.path().to_owned(),
            shown_as: home.shown_as().to_owned(),
            quota: HomeQuota { bytes: HOME_BYTES_MAX, files: HOME_FILES_MAX },
        })
    }

    fn report(&self, event: &ServerEvent) {
        match event {
            ServerEvent::SessionPanicked { user, message } => {
                eprintln!("varan: a session of {user} ended by an internal error: {message}");
            }
            ServerEvent::AcceptFailed { reason } => {
                eprintln!("varan: accepting connections failed: {reason}")
            }
            _ => {}
        }
    }
}

/// Whether padmin put the key into its home.
fn has_key(server: &Server, key: &OfferedKey) -> bool {
    ViosServers::authorized_keys(server)
        .iter()
        .filter_map(|line| AuthorizedKey::parse(line).ok())
        .any(|known| known.algorithm == key.algorithm && known.blob == key.blob)
}

/// Base64 with padding, as in an `authorized_keys` line.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            if position <= chunk.len() {
                let digit = usize::try_from(word >> (18 - 6 * position) & 63).unwrap_or(0);
                text.push(char::from(DIGITS[digit]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
