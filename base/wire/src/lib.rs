//! Framing and request plumbing between processes, without any knowledge of what is asked.
//!
//! - [`frame`]: checksummed, length-prefixed frames, for blocking streams ([`FrameReader`], [`FrameWriter`])
//!   and for callers that do their own reading ([`Decoder`]).
//! - [`envelope`]: requests with ids and deadlines, replies, numbered events.
//! - [`Client`] and [`Server`]: many outstanding requests on one connection, bounded everywhere.
//! - [`EventHub`]: a stream of events; a subscriber that does not keep up is told to resync.
//! - [`IdempotencyTable`]: a repeated request gets the reply of the first one.
//! - [`LossyLink`]: trouble for tests.
//!
//! # What a caller may rely on
//!
//! A request is done at most once per life of the server, as long as its reply is remembered. A caller that
//! got no answer repeats the request with the same id, over the same or a new connection, until it gets one.
//! A subscriber gets every event once and in order, or a [`Resync`] in place of those that it missed. An
//! event that was published while a request was handled arrives before its reply.

mod checksum;
pub mod client;
pub mod envelope;
pub mod frame;
mod fuzz;
pub mod hub;
pub mod idempotency;
pub mod lossy;
mod outbound;
pub mod server;
pub mod transport;

pub use client::{CallError, Client, ClientEvent, ClientOptions, PendingReply};
pub use envelope::{Event, Fault, InvalidRequestId, Reply, Request, RequestId, Resync, Subscribe};
pub use frame::{
    DEFAULT_PAYLOAD_LIMIT, Decoder, FRAME_VERSION, Frame, FrameError, FrameKind, FrameReader, FrameWriter,
    HEADER_LENGTH, PUSH_LIMIT,
};
pub use fuzz::fuzz_one;
pub use hub::{EventHub, HubOptions};
pub use idempotency::{Begin, IdempotencyTable};
pub use lossy::{LinkTrouble, LossyLink};
pub use server::{Handler, MonotonicClock, RequestContext, Server, ServerOptions};
pub use transport::Transport;
