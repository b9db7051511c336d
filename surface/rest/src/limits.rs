//! Every bound of the server, with its reason.

use std::time::Duration;

/// Connections in total: each costs a socket, a TLS state and buffers of about 50 KiB.
pub const CONNECTIONS: usize = 512;

/// Connections without a session's request on them, from one address: one host must not use up the total.
pub const CONNECTIONS_PER_ADDRESS: usize = 128;

/// Time for the TLS handshake, and for a request's headers to arrive.
pub const HEADER_TIME: Duration = Duration::from_secs(30);

/// Time for a request's body to arrive.
pub const BODY_TIME: Duration = Duration::from_secs(60);

/// Time for which a client may take nothing of its answer.
pub const STALL_TIME: Duration = Duration::from_secs(60);

/// Largest body of a log-on request in bytes: a user's name and a password fit many times.
pub const LOGON_BODY_BYTES: usize = 16 << 10;

/// Largest body of any other request in bytes: whole documents of a Virtual I/O Server with many mappings come back.
pub const BODY_BYTES: usize = 8 << 20;

/// Bytes beyond the largest body that are read and forgotten before the connection is given up.
pub const DISCARDED_BYTES: usize = 1 << 20;

/// Nodes of a request's XML document. Nesting is bounded by the parser.
pub const XML_NODES: u32 = 200_000;

/// Nesting of a request's XML document.
pub const XML_DEPTH: usize = 64;

/// Log-ons that are being checked at once: each is a password hash, which is slow on purpose.
pub const LOGONS_IN_PROGRESS: usize = 4;

/// Sessions at once.
pub const SESSIONS: usize = 1_024;

/// Sessions of one user at once.
pub const SESSIONS_PER_USER: usize = 256;

/// A session that is not used for so long is over.
pub const SESSION_IDLE: Duration = Duration::from_secs(2 * 3_600);

/// Chunks of an answer that wait for a slow client.
pub const CHUNKS: usize = 4;

/// Size at which a chunk goes out, in bytes.
pub const CHUNK_BYTES: usize = 32 << 10;

/// Bytes of a request's head, and bytes of an answer that wait to be written to the network.
pub const BUFFER_BYTES: usize = 64 << 10;

/// Events kept for a client that does not ask; then it is told that it missed some.
pub const EVENTS_KEPT: usize = 1_024;

/// How long a request for events waits for the next one.
pub const EVENT_WAIT: Duration = Duration::from_secs(10);

/// Requests for events that wait at once.
pub const EVENT_WAITERS: usize = 64;

/// The bounds that tests lower.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// See [`CONNECTIONS`].
    pub connections: usize,
    /// See [`SESSION_IDLE`].
    pub session_idle: Duration,
    /// See [`EVENT_WAIT`].
    pub event_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS, session_idle: SESSION_IDLE, event_wait: EVENT_WAIT }
    }
}
