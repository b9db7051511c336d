//! QEMU Machine Protocol (QMP): JSON objects, one a line, over a Unix socket.
//!
//! - [`Decoder`] makes messages from bytes, bounded, without input or output.
//! - [`Session`] is the client's side of a connection, also without input or output: greeting, capabilities, commands
//!   with ids, events. Who polls several sockets drives it.
//! - [`Client`] drives a session over a socket and waits for answers.
//! - [`Schema`] is what a QEMU says about itself (`query-qmp-schema`); what a program needs is checked against it before
//!   anything depends on it.
//!
//! The protocol: QEMU's `docs/interop/qmp-spec.rst`.

mod client;
mod fuzz;
mod message;
mod schema;
mod session;

pub use client::Client;
pub use fuzz::fuzz_one;
pub use message::{CommandError, Decoder, Event, Greeting, Message, ReadError, Reply, Version};
pub use schema::{Need, Schema};
pub use session::{CommandId, Incoming, QmpError, Session};

/// Longest line that is taken from QEMU: the schema, the longest answer there is, has 0.25 MB in QEMU 10.
pub const LINE_BYTES_MAX: usize = 4 << 20;
