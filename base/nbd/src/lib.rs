//! The network block device protocol (NBD): server and client, fixed newstyle only.
//!
//! The protocol itself is in [`handshake`], [`request`] and [`reply`], which do no I/O; [`Server`] and [`Client`] run them over
//! a [`Transport`], usually a Unix socket. What a server serves is behind [`Exports`] and [`Export`].
//!
//! Supported: `NBD_OPT_EXPORT_NAME`, `ABORT`, `LIST`, `INFO`, `GO`, `STRUCTURED_REPLY`, `LIST_META_CONTEXT`,
//! `SET_META_CONTEXT` with `base:allocation`; `NBD_CMD_READ`, `WRITE`, `DISC`, `FLUSH`, `TRIM`, `CACHE` (answered, does
//! nothing), `WRITE_ZEROES`, `BLOCK_STATUS`, with all their flags. Everything else is answered as unsupported. No TLS: sockets
//! are protected by the permissions of their directory.

pub mod handshake;
pub mod reply;
pub mod request;

mod client;
mod export;
mod fuzz;
mod outbox;
mod protocol;
mod server;
mod transport;

pub use client::{Client, ConnectError};
pub use export::{
    Answer, Export, ExportInformation, Exports, Failure, OpenError, OpenErrorKind, Operation, Reply,
    StatusExtent,
};
pub use fuzz::fuzz_one;
pub use protocol::{ErrorNumber, MAXIMUM_PAYLOAD, STATE_HOLE, STATE_ZERO};
pub use server::{Limits, Server, listen, serve};
pub use transport::{Patience, Transport};
