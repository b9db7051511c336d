//! The local way to break a running site: a Unix socket that only the owner of the data directory can open.
//!
//! ```text
//! client:  one line of JSON: a FaultRequest
//! site:    one line of JSON: a FaultReply
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use varan_contract::fault::{FaultControl, FaultReply, FaultRequest};

/// Longest line in bytes.
const LINE_MAX: u64 = 1 << 20;
/// Longest wait for an answer: a change waits this long for a frame that is silent, and some more.
const PATIENCE: Duration = Duration::from_secs(90);

/// The socket of a site.
#[must_use]
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("site.faults")
}

/// Listens for requests; serving goes on on threads of its own.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(control: &Arc<dyn FaultControl>, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = socket(directory);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let control = control.clone();
    std::thread::Builder::new().name("faults".to_owned()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let control = control.clone();
            let answer = move || {
                // A client that is gone needs no answer.
                let _ = answer(&*control, stream);
            };
            let _ = std::thread::Builder::new().name("fault".to_owned()).spawn(answer);
        }
    })?;
    Ok(())
}

fn answer(control: &dyn FaultControl, mut stream: UnixStream) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).take(LINE_MAX).read_line(&mut line)?;
    let reply = match serde_json::from_str::<FaultRequest>(&line) {
        Ok(request) => control.fault(request),
        Err(error) => FaultReply::Refused(format!("the request cannot be read: {error}")),
    };
    writeln!(stream, "{}", serde_json::to_string(&reply)?)
}

/// Asks the site whose sockets are in `directory`.
///
/// # Errors
/// No site runs there, or it does not answer.
pub fn call(directory: &Path, request: &FaultRequest) -> Result<FaultReply, String> {
    let mut stream = UnixStream::connect(socket(directory)).map_err(|_| {
        format!("no site runs with sockets in {}: start one with `varan up`", directory.display())
    })?;
    let silent = |error: io::Error| format!("the site does not answer: {error}");
    stream.set_read_timeout(Some(PATIENCE)).map_err(silent)?;
    let line = serde_json::to_string(request).map_err(|error| error.to_string())?;
    writeln!(stream, "{line}").map_err(silent)?;
    let mut answer = String::new();
    BufReader::new(stream).take(LINE_MAX).read_line(&mut answer).map_err(silent)?;
    serde_json::from_str(&answer).map_err(|error| format!("the site's answer cannot be read: {error}"))
}
