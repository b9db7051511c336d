//! The local way to a running console: `varan hmc 'command line'` over a Unix socket that only the owner of the data
//! directory can open.
//!
//! ```text
//! client:  one line of JSON: user, command
//! console: records of a tag byte (1 output, 2 error, 0 exit status), a length of four bytes, bytes
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use varan_console::Console;
use varan_shell::{ByteSink, Cancellation, Channels, Input, Output, Shell, Terminal};

use crate::commands::record_line;
use crate::site::host_for;
use crate::vios_shell::ViosServers;

const TAG_EXIT: u8 = 0;
const TAG_OUTPUT: u8 = 1;
const TAG_ERROR: u8 = 2;
/// Longest request line in bytes.
const REQUEST_MAX: u64 = 1 << 20;
/// Longest record that a client accepts, in bytes.
const RECORD_MAX: u32 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Request {
    user: String,
    command: String,
    /// The client is a terminal: what it sends after the request is typed there.
    #[serde(default)]
    terminal: bool,
    /// Not a command: the console's power button.
    #[serde(default)]
    power_on: bool,
}

/// The socket of a console.
#[must_use]
pub fn socket(directory: &Path, console: &str) -> PathBuf {
    directory.join(format!("{console}.hmc"))
}

fn write_record(stream: &mut impl Write, tag: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut record = Vec::with_capacity(bytes.len() + 5);
    record.push(tag);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(bytes);
    stream.write_all(&record)
}

struct RecordSink(u8, Arc<Mutex<UnixStream>>);

impl ByteSink for RecordSink {
    fn write_all(&self, bytes: &[u8], _: &Arc<Cancellation>) -> io::Result<()> {
        write_record(&mut *self.1.lock().unwrap_or_else(PoisonError::into_inner), self.0, bytes)
    }
}

/// Listens for local command lines; serving goes on on threads of its own.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(
    console: &Arc<Console>,
    homes: &Path,
    servers: &Arc<ViosServers>,
    directory: &Path,
) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = socket(directory, &console.description().name);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let (console, homes, servers) = (console.clone(), homes.to_owned(), servers.clone());
    std::thread::Builder::new().name("local commands".to_owned()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (console, homes, servers) = (console.clone(), homes.clone(), servers.clone());
            let answer = move || {
                let _ = answer(&console, &homes, &servers, stream);
            };
            let _ = std::thread::Builder::new().name("local command".to_owned()).spawn(answer);
        }
    })?;
    Ok(())
}

fn answer(
    console: &Arc<Console>,
    homes: &Path,
    servers: &Arc<ViosServers>,
    stream: UnixStream,
) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    reader.by_ref().take(REQUEST_MAX).read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    let shared = Arc::new(Mutex::new(stream));
    if request.power_on {
        if let Ok(machine) = console.machine() {
            machine.power_on();
        }
        return write_record(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner), TAG_EXIT, &[0]);
    }
    if console.machine().is_ok_and(|machine| !machine.is_on()) {
        let mut stream = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &console.description().name;
        let text = format!("the console {name} is shut down: `varan hmc --power-on` starts it\n");
        write_record(&mut *stream, TAG_ERROR, text.as_bytes())?;
        return write_record(&mut *stream, TAG_EXIT, &[1]);
    }
    let status = match host_for(console, &request.user, "localhost", homes, servers) {
        Ok(host) => {
            let home = host.home.clone();
            let cancellation = Cancellation::new();
            let ended = cancellation.clone();
            host.session.on_end(move || ended.cancel());
            let channels = if request.terminal {
                let terminal = Terminal::new(Arc::new(RecordSink(TAG_OUTPUT, shared.clone())), 80, 24);
                type_on(&terminal, reader, &cancellation)?;
                terminal.channels(&cancellation)
            } else {
                let sink = |tag| Output::new(Arc::new(RecordSink(tag, shared.clone())), &cancellation);
                let (output, error) = (sink(TAG_OUTPUT), sink(TAG_ERROR));
                cancel_at_end(reader, &cancellation)?;
                let cancellation = cancellation.clone();
                Channels { input: Input::empty(), output, error, terminal: None, cancellation }
            };
            let status = Shell::new(Arc::new(host), home).run_script(&request.command, channels);
            record_line(console, &request.user, "localhost", &request.command, status);
            status
        }
        Err(reason) => {
            let mut stream = shared.lock().unwrap_or_else(PoisonError::into_inner);
            write_record(&mut *stream, TAG_ERROR, format!("{reason}\n").as_bytes())?;
            1
        }
    };
    let mut stream = shared.lock().unwrap_or_else(PoisonError::into_inner);
    write_record(&mut *stream, TAG_EXIT, &[status])?;
    stream.shutdown(std::net::Shutdown::Both)
}

/// The client says nothing more; its end is the wish to stop.
fn cancel_at_end(mut reader: BufReader<UnixStream>, cancellation: &Arc<Cancellation>) -> io::Result<()> {
    let cancelled = cancellation.clone();
    let wait = move || {
        let _ = io::copy(&mut reader, &mut io::sink());
        cancelled.cancel();
    };
    std::thread::Builder::new().name("local command input".to_owned()).spawn(wait).map(|_| ())
}

/// Types what the client sends on the terminal until the client is gone.
fn type_on(
    terminal: &Arc<Terminal>,
    mut reader: BufReader<UnixStream>,
    cancellation: &Arc<Cancellation>,
) -> io::Result<()> {
    let (terminal, cancelled) = (terminal.clone(), cancellation.clone());
    let feed = move || {
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            if terminal.feed(&buffer[..count], &cancelled).is_err() {
                break;
            }
        }
        // In this order: the client is gone, which is more than the end of its input.
        cancelled.cancel();
        terminal.hang_up();
    };
    std::thread::Builder::new().name("local command input".to_owned()).spawn(feed).map(|_| ())
}

/// A command line that runs on a console.
pub struct Running(UnixStream);

/// Begins a command line on the console whose socket is in `directory`. With `terminal`, the command has a terminal on
/// which [`Running::type_bytes`] types.
///
/// # Errors
/// No console runs there.
pub fn begin(directory: &Path, user: &str, command: &str, terminal: bool) -> Result<Running, String> {
    begin_on(directory, None, user, command, terminal)
}

/// As [`begin`], on the console of that name; on the first in the order of names where none is given.
///
/// # Errors
/// No such console runs there.
pub fn begin_on(
    directory: &Path,
    console: Option<&str>,
    user: &str,
    command: &str,
    terminal: bool,
) -> Result<Running, String> {
    let request = Request { user: user.to_owned(), command: command.to_owned(), terminal, power_on: false };
    send(directory, console, &request)
}

/// Presses the power button of a console: of that name, or the first.
///
/// # Errors
/// No such console runs there.
pub fn power_on(directory: &Path, console: Option<&str>) -> Result<(), String> {
    let (user, command) = (String::new(), String::new());
    let mut running = send(directory, console, &Request { user, command, terminal: false, power_on: true })?;
    while running.next_output()?.is_ok() {}
    Ok(())
}

fn send(directory: &Path, console: Option<&str>, request: &Request) -> Result<Running, String> {
    let what = console.map_or_else(|| "no console".to_owned(), |name| format!("no console {name}"));
    let not_running =
        || format!("{what} runs with sockets in {}: start one with `varan up`", directory.display());
    let path = std::fs::read_dir(directory)
        .map_err(|_| not_running())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hmc"))
        .filter(|path| console.is_none_or(|name| *path == socket(directory, name)))
        .min()
        .ok_or_else(not_running)?;
    let mut stream = UnixStream::connect(&path).map_err(|_| not_running())?;
    let line = serde_json::to_string(request).map_err(|error| error.to_string())?;
    writeln!(stream, "{line}").map_err(|error| error.to_string())?;
    Ok(Running(stream))
}

impl Running {
    /// Types bytes on the command's terminal.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        // A command that is gone takes no input; reading shows its end.
        let _ = self.0.write_all(bytes);
    }

    /// Waits for the next output. `Ok(Err(status))` is the end of the command.
    ///
    /// # Errors
    /// The connection broke.
    pub fn next_output(&mut self) -> Result<Result<(bool, Vec<u8>), u8>, String> {
        let broken = |error: io::Error| format!("the console ended the connection: {error}");
        let mut head = [0; 5];
        self.0.read_exact(&mut head).map_err(broken)?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        if length > RECORD_MAX {
            return Err("the console sent a record that is too long".to_owned());
        }
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes).map_err(broken)?;
        Ok(match head[0] {
            TAG_EXIT => Err(bytes.first().copied().unwrap_or(1)),
            tag => Ok((tag == TAG_ERROR, bytes)),
        })
    }
}

/// Runs a command line on the console that listens in `directory`; writes to this process's streams.
///
/// # Errors
/// No console runs there, or the connection broke.
pub fn call(directory: &Path, console: Option<&str>, user: &str, command: &str) -> Result<u8, String> {
    let mut running = begin_on(directory, console, user, command, false)?;
    loop {
        match running.next_output()? {
            Ok((true, bytes)) => io::stderr().write_all(&bytes).map_err(|error| error.to_string())?,
            Ok((false, bytes)) => io::stdout().write_all(&bytes).map_err(|error| error.to_string())?,
            Err(status) => return Ok(status),
        }
    }
}
