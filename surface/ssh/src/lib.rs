//! The SSH server of a console: authentication, exec and interactive sessions, SFTP and scp.
//!
//! The crate knows nothing of partitions or shells. A program implements [`SshHost`] and gives it
//! to [`SshServer::bind`]; each session then runs as one blocking call of [`SshHost::run`] on a
//! thread of its own, with ordinary [`std::io::Read`] and [`std::io::Write`] streams.
//!
//! What depends on the SSH library is in five files: `server` (sockets and connections),
//! `connection` (its callbacks), `output` (sending on a channel), `host_key` and `client`, which runs
//! one command on another console. SFTP and scp are
//! written against [`Session`] like any other program, over a file view confined to one directory
//! ([`HomeDirectory`]).
//!
//! Refused by design: port forwarding, agent and X11 forwarding, symbolic links over SFTP, host
//! keys other than Ed25519 (see [`HostKey`]).

mod admission;
mod cancellation;
mod channel;
mod client;
mod connection;
mod home;
mod host;
mod host_key;
mod input;
pub mod limits;
mod output;
mod scp;
mod server;
mod session;
mod sftp;
mod terminal;
mod transport;

pub use cancellation::{Cancellation, CancellationCause, Signal};
pub use client::{ClientError, Credential, RemoteCommand, RemoteOutput, run_remote};
pub use home::{HomeDirectory, HomeQuota};
pub use host::{
    AuthenticationOutcome, AuthorizedKey, InvalidAuthorizedKey, OfferedKey, ServerEvent, SshHost,
};
pub use host_key::{HostKey, HostKeyError, NO_RSA_HOST_KEY};
pub use limits::Limits;
pub use server::{ServerError, ServerOptions, SshServer};
pub use session::{ChannelReader, ChannelWriter, CommandLineProblem, Session, SessionKind, SessionRequest};
pub use terminal::{Terminal, TerminalSize};
