//! Listening, admitting connections, and ending them.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{Config, run_stream};
use russh::{Disconnect, Preferred, SshId};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::admission::{Admission, ConnectionPermit, LoginPermit};
use crate::connection::{Connection, Shared, is_strong, methods};
use crate::home::HomeRegistry;
use crate::host::{ServerEvent, SshHost};
use crate::host_key::{HostKey, HostKeyError, NO_RSA_HOST_KEY};
use crate::limits::{self, Limits};
use crate::transport::{Transport, TransportControl};

/// Pause after a failed accept: out of descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where the host key is kept; made when it does not exist.
    pub host_key_directory: PathBuf,
    /// The software version in the server's greeting, after `SSH-2.0-`: printable ASCII without
    /// space or `-`.
    pub software_version: String,
    /// The bounds.
    pub limits: Limits,
}

impl ServerOptions {
    /// The defaults, with the host key in `host_key_directory`.
    #[must_use]
    pub fn new(host_key_directory: impl Into<PathBuf>) -> Self {
        Self {
            host_key_directory: host_key_directory.into(),
            software_version: "Varan".to_owned(),
            limits: Limits::default(),
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no usable host key.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// A running server. Dropping it, like [`SshServer::shutdown`], ends all connections, but does
/// not wait for them.
#[derive(Debug)]
pub struct SshServer {
    addresses: Vec<SocketAddr>,
    host_key: HostKey,
    stop: watch::Sender<bool>,
    /// Every task of the server holds the other end; it closes when the last has ended.
    ended: mpsc::Receiver<()>,
}

impl SshServer {
    /// Listens on `addresses` (port 0 takes a free one) and serves `host` on the current tokio
    /// runtime, which needs its time and I/O drivers.
    ///
    /// # Errors
    /// See [`ServerError`]; nothing is left listening then.
    pub async fn bind(
        addresses: &[SocketAddr],
        options: ServerOptions,
        host: Arc<dyn SshHost>,
    ) -> Result<Self, ServerError> {
        let host_key = HostKey::load_or_create(&options.host_key_directory)?;
        let mut listeners = Vec::new();
        let mut bound = Vec::new();
        for &address in addresses {
            let fail = |source| ServerError::Listen { address, source };
            let listener = TcpListener::bind(address).await.map_err(fail)?;
            bound.push(listener.local_addr().map_err(fail)?);
            listeners.push(listener);
        }
        host.report(&ServerEvent::HostKey {
            fingerprint: host_key.fingerprint(),
            created: host_key.was_created(),
            note: NO_RSA_HOST_KEY,
        });
        let (stop, stopped) = watch::channel(false);
        let (running, ended) = mpsc::channel(1);
        let acceptor = Acceptor {
            config: Arc::new(configuration(&options, &host_key)),
            admission: Admission::new(&options.limits),
            shared: Arc::new(Shared {
                host,
                homes: Arc::new(HomeRegistry::default()),
                sessions: Arc::new(Semaphore::new(options.limits.sessions)),
                limits: options.limits,
            }),
            stopped,
            _running: running,
        };
        for listener in listeners {
            tokio::spawn(acceptor.clone().accept(listener));
        }
        Ok(Self { addresses: bound, host_key, stop, ended })
    }

    /// The addresses that the server listens on, in the order given, with the ports it got.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The host key, for a `known_hosts` line.
    #[must_use]
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Stops listening, disconnects every client and waits until all connections have ended.
    /// Sessions are cancelled; their threads end when the host's code returns.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // Nothing is ever sent: `None` comes when the last task has dropped its end.
        while self.ended.recv().await.is_some() {}
    }
}

fn configuration(options: &ServerOptions, host_key: &HostKey) -> Config {
    Config {
        server_id: SshId::Standard(format!("SSH-2.0-{}", options.software_version).into()),
        methods: methods(),
        auth_rejection_time: options.limits.rejection_time,
        // The query of methods tells nothing that could be guessed.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key.private_key()],
        preferred: Preferred {
            key: Preferred::DEFAULT.key.iter().filter(|key| is_strong(key)).cloned().collect(),
            ..Preferred::DEFAULT
        },
        window_size: limits::WINDOW,
        maximum_packet_size: limits::PACKET,
        // The library's own input queue is not used.
        channel_buffer_size: 1,
        max_auth_attempts: options.limits.authentication_attempts,
        inactivity_timeout: Some(limits::INACTIVITY_TIME.max(options.limits.keepalive_interval * 2)),
        keepalive_interval: Some(options.limits.keepalive_interval),
        keepalive_max: limits::KEEPALIVE_MAXIMUM,
        nodelay: true,
        ..Config::default()
    }
}

#[derive(Clone)]
struct Acceptor {
    config: Arc<Config>,
    admission: Arc<Admission>,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
    /// Held by each of the server's tasks until it ends.
    _running: mpsc::Sender<()>,
}

impl Acceptor {
    async fn accept(self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                () = until_stopped(&mut stopped) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer),
                Err(error) => {
                    let reason = error.to_string();
                    self.shared.host.report(&ServerEvent::AcceptFailed { reason });
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, mut socket: TcpStream, peer: SocketAddr) {
        match self.admission.admit(peer.ip()) {
            Ok(permits) => {
                tokio::spawn(self.clone().serve(socket, peer, permits));
            }
            Err(reason) => {
                self.shared.host.report(&ServerEvent::ConnectionRefused { peer, reason });
                // Lines before the greeting are shown or skipped by clients (RFC 4253, section
                // 4.2). A fresh socket takes the line without waiting; if not, it is not sent.
                let line = format!("Connection refused: {reason}\r\n");
                if socket.try_write(line.as_bytes()).is_ok() {
                    tokio::spawn(async move { drop(socket.shutdown().await) });
                }
            }
        }
    }

    async fn serve(mut self, socket: TcpStream, peer: SocketAddr, permits: (ConnectionPermit, LoginPermit)) {
        let (_connection, login) = permits;
        // Without it small answers wait for the peer's delayed acknowledgement; nothing breaks.
        drop(socket.set_nodelay(true));
        let (transport, control) = Transport::new(socket);
        let handler = Connection::new(Arc::clone(&self.shared), peer, Arc::clone(&control), login);
        let deadline = tokio::time::sleep(self.shared.limits.login_time);
        tokio::pin!(deadline);
        let greeted = tokio::select! {
            biased;
            () = until_stopped(&mut self.stopped) => return,
            () = &mut deadline => return,
            greeted = run_stream(Arc::clone(&self.config), transport, handler) => greeted,
        };
        let Ok(mut connection) = greeted else { return };
        let handle = connection.handle();
        tokio::select! {
            biased;
            () = until_stopped(&mut self.stopped) => {}
            () = late_login(deadline, &control) => control.cut(),
            // How a connection ends is the handler's to notice; errors are the client's.
            _ = &mut connection => return,
        }
        let goodbye = async {
            let text = "the server is shutting down".to_owned();
            drop(handle.disconnect(Disconnect::ByApplication, text, String::new()).await);
            drop((&mut connection).await);
        };
        if tokio::time::timeout(limits::SHUTDOWN_TIME, goodbye).await.is_err() {
            control.cut();
            drop(connection.await);
        }
    }
}

/// Waits until the server is told to stop or is dropped.
async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server was dropped.
    drop(stopped.wait_for(|stop| *stop).await);
}

/// Waits until the time for a login is over without one; for ever when there was one.
async fn late_login(deadline: impl Future<Output = ()>, control: &TransportControl) {
    deadline.await;
    if control.is_authenticated() {
        std::future::pending::<()>().await;
    }
}
