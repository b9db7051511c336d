//! The local way to break a running site: a [`FaultRequest`] and its [`FaultReply`] on the site's socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use varan_contract::fault::{FaultControl, FaultReply, FaultRequest};

use crate::line_socket::{self, NoReply};

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
    let control = control.clone();
    let handle = move |request: FaultRequest| control.fault(request);
    line_socket::serve(&socket(directory), "faults", handle, FaultReply::Refused)
}

/// Asks the site whose sockets are in `directory`.
///
/// # Errors
/// No site runs there, or it does not answer.
pub fn call(directory: &Path, request: &FaultRequest) -> Result<FaultReply, String> {
    line_socket::call(&socket(directory), request, PATIENCE).map_err(|error| match error {
        NoReply::NotThere => {
            format!("no site runs with sockets in {}: start one with `varan up`", directory.display())
        }
        NoReply::Broken(why) => format!("the site: {why}"),
    })
}
