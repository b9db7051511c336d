//! Every bound of the server, with its reason.
//!
//! The constants are the defaults of [`Limits`], which a site (or a test) may lower or raise;
//! bounds that are not in [`Limits`] follow from the protocol and are fixed.

use std::time::Duration;

/// Connections that have not logged in, in total: each holds a key exchange's state and may start
/// a password check, so strangers must not be able to hold many. OpenSSH's `MaxStartups` refuses
/// all above 100; a console has fewer users.
pub const LOGINS_IN_PROGRESS: usize = 64;

/// Connections that have not logged in, from one address: one host must not use up the total.
/// An automation host that starts 32 jobs at once stays below it.
pub const LOGINS_IN_PROGRESS_PER_ADDRESS: usize = 40;

/// Connections in total: each costs a socket and buffers of about 100 KiB.
pub const CONNECTIONS: usize = 512;

/// Time from the TCP connection to a finished login. OpenSSH's `LoginGraceTime` is 120 s; one
/// minute is enough for a person who types a password.
pub const LOGIN_TIME: Duration = Duration::from_secs(60);

/// Rejected attempts on one connection before it is closed (OpenSSH's `MaxAuthTries` is 6). The
/// query of methods (`none`) and every refused key count, and people carry several keys.
pub const AUTHENTICATION_ATTEMPTS: usize = 10;

/// A rejection is sent no sooner than this after the attempt, so that the time does not tell an
/// unknown user from a wrong password, and guessing is slow.
pub const REJECTION_TIME: Duration = Duration::from_millis(500);

/// Longest user name in bytes; a route such as `padmin%vios1%p814-1` fits several times.
pub const USER_NAME_LENGTH: usize = 256;

/// Longest password in bytes: what a password hash must read is bounded.
pub const PASSWORD_LENGTH: usize = 1024;

/// Channels open at once on one connection. OpenSSH's `MaxSessions` is 10; drivers that multiplex
/// a whole play over one connection use more.
pub const CHANNELS_PER_CONNECTION: usize = 64;

/// Channels opened on one connection in its life. The SSH library keeps about 3 KiB for each
/// channel until the connection ends, so this bounds a connection at about 100 MiB.
pub const CHANNELS_IN_CONNECTION_LIFE: usize = 30_000;

/// Sessions running at once in the whole server. Each is a thread with its stack and at most
/// [`INPUT_MAXIMUM`] of unread input.
pub const SESSIONS: usize = 256;

/// Stack of a session's thread in bytes (address space; only touched pages cost memory). A shell
/// evaluator recurses with the nesting of its input.
pub const SESSION_STACK: usize = 4 << 20;

/// Environment variables that one session may set.
pub const ENVIRONMENT_VARIABLES: usize = 64;

/// Longest name of an environment variable in bytes.
pub const ENVIRONMENT_NAME_LENGTH: usize = 256;

/// Longest value of an environment variable in bytes.
pub const ENVIRONMENT_VALUE_LENGTH: usize = 4096;

/// Longest name of a terminal type in bytes; terminfo names are far shorter.
pub const TERMINAL_NAME_LENGTH: usize = 64;

/// Longest command line in bytes (Linux's limit for one argument).
pub const COMMAND_LINE_LENGTH: usize = 128 << 10;

/// The window that a client gets per channel in bytes: what it may send before it must wait.
pub const WINDOW: u32 = 512 << 10;

/// Unread input of a channel, in bytes, from which its client's window is no longer reopened.
pub const INPUT_CLOGGED: usize = 512 << 10;

/// Unread input of a channel, in bytes, that is never exceeded. A client that keeps to its window
/// reaches about 1.3 MiB; one that does not loses its input, not the server's memory.
pub const INPUT_MAXIMUM: usize = 4 << 20;

/// The window while a channel is clogged, in bytes. The SSH library reopens a window only when
/// data arrives, so a window of zero could never be opened again; this one trickles.
pub const TRICKLE_WINDOW: u32 = 2;

/// Pause in reading from a connection after each trickled packet, so that a clogged channel costs
/// neither processor time nor memory (100 bytes a second).
pub const TRICKLE_PAUSE: Duration = Duration::from_millis(20);

/// Largest SSH data packet in bytes (RFC 4253, section 6.1 asks for 32 KiB).
pub const PACKET: u32 = 32 << 10;

/// Silence after which the server asks the client for a sign of life.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// Unanswered signs of life after which the connection is dropped.
pub const KEEPALIVE_MAXIMUM: usize = 3;

/// Time for a socket write, or for the client's half of a close. Longer than the keepalive's.
pub const INACTIVITY_TIME: Duration = Duration::from_secs(300);

/// Time that a shutdown gives a client to take its disconnect message.
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// Open SFTP handles per session: OpenSSH's client uses one per transfer, parallel ones a few.
pub const SFTP_HANDLES: usize = 128;

/// Largest SFTP packet in bytes, as OpenSSH's server has it.
pub const SFTP_PACKET: usize = 256 << 10;

/// Largest piece of a file in one SFTP read or write, in bytes.
pub const SFTP_DATA: usize = SFTP_PACKET - 1024;

/// Names in one answer to an SFTP directory read.
pub const SFTP_NAMES: usize = 128;

/// Entries of one directory that are listed: the whole list is held in memory.
pub const DIRECTORY_ENTRIES: usize = 100_000;

/// Longest path in bytes (Linux's `PATH_MAX`).
pub const PATH_LENGTH: usize = 4096;

/// Deepest path in components below the home: opening one holds two descriptors at most, the
/// bound keeps a request's work small.
pub const PATH_DEPTH: usize = 64;

/// Longest control line of the scp protocol in bytes: a path and three numbers.
pub const SCP_LINE: usize = PATH_LENGTH + 64;

/// Sources that one `scp -f` names, patterns expanded.
pub const SCP_SOURCES: usize = 10_000;

/// The bounds that a site may set.
#[derive(Debug, Clone)]
pub struct Limits {
    /// See [`LOGINS_IN_PROGRESS`].
    pub logins_in_progress: usize,
    /// See [`LOGINS_IN_PROGRESS_PER_ADDRESS`].
    pub logins_in_progress_per_address: usize,
    /// See [`CONNECTIONS`].
    pub connections: usize,
    /// See [`LOGIN_TIME`].
    pub login_time: Duration,
    /// See [`AUTHENTICATION_ATTEMPTS`].
    pub authentication_attempts: usize,
    /// See [`REJECTION_TIME`].
    pub rejection_time: Duration,
    /// See [`CHANNELS_PER_CONNECTION`].
    pub channels_per_connection: usize,
    /// See [`SESSIONS`].
    pub sessions: usize,
    /// See [`KEEPALIVE_INTERVAL`].
    pub keepalive_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            logins_in_progress: LOGINS_IN_PROGRESS,
            logins_in_progress_per_address: LOGINS_IN_PROGRESS_PER_ADDRESS,
            connections: CONNECTIONS,
            login_time: LOGIN_TIME,
            authentication_attempts: AUTHENTICATION_ATTEMPTS,
            rejection_time: REJECTION_TIME,
            channels_per_connection: CHANNELS_PER_CONNECTION,
            sessions: SESSIONS,
            keepalive_interval: KEEPALIVE_INTERVAL,
        }
    }
}
