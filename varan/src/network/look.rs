//! Looking at the ports of a running frame: `varan network list` and `varan network capture`.
//!
//! A frame listens on `run/<system>.ports`. A program writes one line and reads what follows:
//!
//! ```text
//! list             a line for each port, then the end
//! capture PORT     `ok` and the bytes of a capture file until the program closes the connection; else a line that says why
//! ```
//!
//! A port is named by its partition and its slot (`lizard:6`), its logical port (`lizard:27004001`), or by the location code
//! of a physical port.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use varan_environment::Environment;
use varan_ethernet::Frame;
use varan_fabric::host::CaptureWriter;

use super::frame::FrameNetwork;

/// Frames that wait for the program at most; further ones are not captured.
const WAITING: usize = 4_096;
/// How often it is looked whether the program is still there.
const LOOK: Duration = Duration::from_millis(200);
/// What a capture begins with.
const GRANTED: &str = "ok";

/// Socket on which the ports of a frame are looked at.
#[must_use]
pub fn socket(sockets: &Path, system: &str) -> PathBuf {
    sockets.join(format!("{system}.ports"))
}

/// Listens for programs that look on; serving goes on on threads of its own.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) fn serve(
    network: &Arc<FrameNetwork>,
    path: &Path,
    environment: &Arc<dyn Environment>,
) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        varan_environment::make_directory(directory)?;
    }
    // A socket of an earlier process leads nowhere.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let (network, environment) = (Arc::downgrade(network), environment.clone());
    std::thread::Builder::new().name("ports".to_owned()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (network, environment) = (network.clone(), environment.clone());
            // A program that is gone needs no answer.
            let _ = std::thread::Builder::new().name("ports".to_owned()).spawn(move || {
                let _ = answer(&stream, &network, &*environment);
            });
        }
    })?;
    Ok(())
}

fn answer(
    mut stream: &UnixStream,
    network: &Weak<FrameNetwork>,
    environment: &dyn Environment,
) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream).take(1_024).read_line(&mut line)?;
    let Some(network) = network.upgrade() else { return Ok(()) };
    match line.trim_end().split_once(' ') {
        None if line.trim_end() == "list" => stream.write_all(network.list().as_bytes()),
        Some(("capture", port)) => {
            let (sender, frames) = sync_channel(WAITING);
            let ended = network.capture(port, move |frame: &Frame| sender.try_send(frame.clone()).is_ok());
            match ended {
                None => writeln!(stream, "there is no port {port}"),
                Some(end) => {
                    drop(network);
                    let result = stream_capture(stream, &frames, environment);
                    end();
                    result
                }
            }
        }
        _ => writeln!(stream, "the request is not known"),
    }
}

/// Writes captured frames until the program closes the connection.
fn stream_capture(
    mut stream: &UnixStream,
    frames: &Receiver<Frame>,
    environment: &dyn Environment,
) -> io::Result<()> {
    writeln!(stream, "{GRANTED}")?;
    let mut writer = CaptureWriter::new(stream)?;
    stream.set_nonblocking(false)?;
    let mut closed = [0; 1];
    loop {
        match frames.recv_timeout(LOOK) {
            Ok(frame) => {
                let nanoseconds = u64::try_from(environment.wall_clock().0).unwrap_or(0);
                writer.write(Duration::from_nanos(nanoseconds), &frame)?;
            }
            Err(RecvTimeoutError::Timeout) => {
                stream.set_nonblocking(true)?;
                let gone = matches!(stream.read(&mut closed), Ok(0));
                stream.set_nonblocking(false)?;
                if gone {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// What `varan network` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The ports of a managed system.
    List {
        /// Managed system, by its name in the site file.
        system: String,
    },
    /// The frames of a port as a capture file, until the program is ended.
    Capture {
        /// Managed system, by its name in the site file.
        system: String,
        /// Port.
        port: String,
        /// File; `None` for standard output.
        file: Option<PathBuf>,
    },
}

/// Carries a look out at the site whose sockets are in `directory`.
///
/// # Errors
/// A text for the person.
pub fn run(directory: &Path, look: &Look) -> Result<(), String> {
    let (system, line) = match look {
        Look::List { system } => (system, "list".to_owned()),
        Look::Capture { system, port, .. } => (system, format!("capture {port}")),
    };
    let path = socket(directory, system);
    let missing = |_| format!("no managed system {system} runs with sockets in {}", directory.display());
    let mut stream = UnixStream::connect(&path).map_err(missing)?;
    let broken = |error: io::Error| format!("{}: {error}", path.display());
    writeln!(stream, "{line}").map_err(broken)?;
    let mut reader = BufReader::new(stream);
    let Look::Capture { file, .. } = look else {
        io::copy(&mut reader, &mut io::stdout()).map_err(broken)?;
        return Ok(());
    };
    let mut answer = String::new();
    reader.read_line(&mut answer).map_err(broken)?;
    if answer.trim_end() != GRANTED {
        return Err(answer.trim_end().to_owned());
    }
    match file {
        None => copy(&mut reader, io::stdout()),
        Some(file) => {
            let output =
                std::fs::File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
            copy(&mut reader, output)
        }
    }
    .map_err(broken)
}

/// Copies, each piece at once, so that a reader at the other end of a pipe sees frames as they come.
fn copy(reader: &mut impl BufRead, mut output: impl Write) -> io::Result<()> {
    loop {
        let piece = reader.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            return Ok(());
        }
        output.write_all(piece)?;
        output.flush()?;
        reader.consume(length);
    }
}
