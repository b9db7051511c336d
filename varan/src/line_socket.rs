//! Unix sockets of a site that only the owner of the data directory can open, on which one line is asked and one answered.
//!
//! ```text
//! client:  one line of JSON: a request
//! server:  one line of JSON: a reply
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest line in bytes.
const LINE_MAX: u64 = 1 << 20;

/// Listens at `path`; serving goes on on threads of its own, named `name`. A request that cannot be read is answered by
/// `unreadable`.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve<Request, Reply>(
    path: &Path,
    name: &'static str,
    handle: impl Fn(Request) -> Reply + Send + Sync + 'static,
    unreadable: impl Fn(String) -> Reply + Send + Sync + 'static,
) -> io::Result<()>
where
    Request: DeserializeOwned,
    Reply: Serialize,
{
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let respond = Arc::new(move |line: &str| {
        let reply = match serde_json::from_str::<Request>(line) {
            Ok(request) => handle(request),
            Err(error) => unreadable(format!("the request cannot be read: {error}")),
        };
        serde_json::to_string(&reply)
    });
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let respond = respond.clone();
            let answer = move || {
                // A client that is gone needs no answer.
                let _ = answer(stream, &*respond);
            };
            let _ = std::thread::Builder::new().name(name.to_owned()).spawn(answer);
        }
    })?;
    Ok(())
}

fn answer(mut stream: UnixStream, respond: &dyn Fn(&str) -> serde_json::Result<String>) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).take(LINE_MAX).read_line(&mut line)?;
    writeln!(stream, "{}", respond(&line)?)
}

/// Why a call has no reply.
pub enum NoReply {
    /// Nobody listens there.
    NotThere,
    /// The server was silent, or what it said cannot be read.
    Broken(String),
}

/// Asks the server at `path`.
///
/// # Errors
/// [`NoReply`].
pub fn call<Reply: DeserializeOwned>(
    path: &Path,
    request: &impl Serialize,
    patience: Duration,
) -> Result<Reply, NoReply> {
    let mut stream = UnixStream::connect(path).map_err(|_| NoReply::NotThere)?;
    let silent = |error: io::Error| NoReply::Broken(format!("there is no answer: {error}"));
    stream.set_read_timeout(Some(patience)).map_err(silent)?;
    let line = serde_json::to_string(request).map_err(|error| NoReply::Broken(error.to_string()))?;
    writeln!(stream, "{line}").map_err(silent)?;
    let mut answer = String::new();
    BufReader::new(stream).take(LINE_MAX).read_line(&mut answer).map_err(silent)?;
    serde_json::from_str(&answer)
        .map_err(|error| NoReply::Broken(format!("the answer cannot be read: {error}")))
}
