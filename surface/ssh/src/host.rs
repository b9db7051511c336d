//! What the server asks of the program that it belongs to.

use std::net::SocketAddr;

use russh::keys::ssh_key;

use crate::home::HomeDirectory;
use crate::session::Session;

/// The program behind the server. All calls block: the server runs them on threads made for it.
pub trait SshHost: Send + Sync + 'static {
    /// Decides on a password, given by the `password` or the `keyboard-interactive` method.
    /// `user` is the login name as sent, a route such as `padmin%vios1%p814-1` included.
    fn check_password(&self, user: &str, password: &str, peer: SocketAddr) -> AuthenticationOutcome;

    /// Decides on a public key. With [`OfferedKey::proven`] false the client only asks whether
    /// the key would do; the answer must be the same, but nothing should be counted or recorded.
    fn check_public_key(&self, user: &str, key: &OfferedKey, peer: SocketAddr) -> AuthenticationOutcome;

    /// Text that clients show before the login (`SSH_MSG_USERAUTH_BANNER`), with its newlines.
    fn banner_before_login(&self) -> Option<String> {
        None
    }

    /// Runs one session to its end on a thread of its own and returns the exit status. A panic
    /// ends this session with status 254 and no other.
    fn run(&self, session: Session) -> u8;

    /// The directory that SFTP and scp show to `user`; `None` refuses both.
    fn home_directory(&self, user: &str) -> Option<HomeDirectory> {
        let _ = user;
        None
    }

    /// Told of what an operator may want in a log. Called on the server's threads: be quick.
    fn report(&self, event: &ServerEvent) {
        let _ = event;
    }
}

/// The answer to a login attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationOutcome {
    /// The user is who it claims to be.
    Accepted,
    /// Wrong password or key, or no such user; the client is not told which.
    Rejected,
    /// The right answer would not help now (too many failures, expired account). A client that
    /// uses `keyboard-interactive` sees the message; the other methods cannot carry one.
    Locked {
        /// One line for the person, without newline.
        message: String,
    },
}

/// A public key that a client presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedKey {
    /// The key's algorithm as in an `authorized_keys` line, such as `ssh-ed25519` or `ssh-rsa`.
    pub algorithm: String,
    /// The key in SSH wire format (RFC 4253, section 6.6): what the base64 of a key line encodes.
    pub blob: Vec<u8>,
    /// `SHA256:` and unpadded base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// Whether the client has shown, by a signature, that it holds the private key.
    pub proven: bool,
}

impl OfferedKey {
    pub(crate) fn new(key: &ssh_key::PublicKey, proven: bool) -> Option<Self> {
        Some(Self {
            algorithm: key.algorithm().to_string(),
            blob: key.to_bytes().ok()?,
            fingerprint: key.fingerprint(ssh_key::HashAlg::Sha256).to_string(),
            proven,
        })
    }
}

/// One line of an `authorized_keys` file: `algorithm base64 [comment]`, without options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizedKey {
    /// The algorithm, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The key in SSH wire format; equal to [`OfferedKey::blob`] for the same key.
    pub blob: Vec<u8>,
    /// What follows the key, or empty.
    pub comment: String,
}

/// A text that is not a public key in OpenSSH's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a public key in OpenSSH form: {reason}")]
pub struct InvalidAuthorizedKey {
    /// What is wrong with it.
    pub reason: String,
}

impl AuthorizedKey {
    /// Reads one line.
    ///
    /// # Errors
    /// When the line is not `algorithm base64 [comment]` with a key of a known algorithm.
    pub fn parse(line: &str) -> Result<Self, InvalidAuthorizedKey> {
        let refuse = |error: ssh_key::Error| InvalidAuthorizedKey { reason: error.to_string() };
        let key = ssh_key::PublicKey::from_openssh(line.trim()).map_err(refuse)?;
        Ok(Self {
            algorithm: key.algorithm().to_string(),
            blob: key.to_bytes().map_err(refuse)?,
            comment: line.trim().splitn(3, ' ').nth(2).unwrap_or_default().to_owned(),
        })
    }
}

/// Something that an operator may want to see in a log or an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// The server has its host key.
    HostKey {
        /// `SHA256:...`, as clients show it.
        fingerprint: String,
        /// Whether it was made just now.
        created: bool,
        /// Why there is no RSA host key.
        note: &'static str,
    },
    /// A connection was refused before anything was read from it.
    ConnectionRefused {
        /// The other end.
        peer: SocketAddr,
        /// Which limit it met.
        reason: &'static str,
    },
    /// A login was refused.
    LoginRejected {
        /// The name given.
        user: String,
        /// The other end.
        peer: SocketAddr,
        /// `password`, `keyboard-interactive` or `publickey`.
        method: &'static str,
    },
    /// A user logged in.
    LoggedIn {
        /// The name given.
        user: String,
        /// The other end.
        peer: SocketAddr,
    },
    /// The connection of a user who had logged in has ended.
    LoggedOut {
        /// The name given.
        user: String,
        /// The other end.
        peer: SocketAddr,
    },
    /// A session could not start since all are taken.
    SessionRefused {
        /// The user who asked for it.
        user: String,
        /// The other end.
        peer: SocketAddr,
    },
    /// The code behind a session panicked; the session ended with status 254.
    SessionPanicked {
        /// The user of the session.
        user: String,
        /// The panic's message.
        message: String,
    },
    /// Accepting connections failed; the server goes on trying.
    AcceptFailed {
        /// The operating system's reason.
        reason: String,
    },
}
