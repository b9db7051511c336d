//! Storage across processes, with `--split`.
//!
//! ```text
//!   frame process                 vios process                  world process
//!   VirtualServers -- wire -----> ViosAuthority -- wire ------> StorageNetwork     log-ins, units, revocations
//!   guest's path ---- NBD ------> exports -------- NBD -------> exports            reads and writes
//! ```
//!
//! What is opened over the wire is published under a name that nobody can guess, and used over an NBD connection of its
//! own; when that connection ends, the device is closed. A process that stands still with requests in hand sends them when
//! it goes on: the world refuses what was revoked meanwhile.

mod call;
mod devices;
mod links;
mod network;
mod server;

pub use links::{RemoteDirectory, serve_directory};
pub use network::{RemoteNetwork, serve_network};
pub use server::{RemoteServer, serve_server};

use std::path::{Path, PathBuf};

/// Socket for requests to the world.
#[must_use]
pub fn world_socket(directory: &Path) -> PathBuf {
    directory.join("world.sock")
}

/// Socket of the world's open units.
#[must_use]
pub fn world_units(directory: &Path) -> PathBuf {
    directory.join("world.nbd")
}

/// Name of a server's process, and of its sockets: a socket's path is short.
#[must_use]
pub fn server_name(system: &str, partition: &str) -> String {
    format!("{system}.{partition}")
}
