//! Requests and answers of one kind over a Unix socket.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use varan_environment::Environment;
use varan_wire::{
    Client, ClientOptions, EventHub, HubOptions, RequestContext, Server, ServerOptions, Transport,
};

/// Workers that answer; several of them may wait for a device.
const WORKERS: usize = 16;
/// Largest message: a megabyte of a disk, encoded.
const PAYLOAD_MAX: usize = 16 << 20;

/// Answers requests on a socket, on threads of its own, until the process ends.
///
/// # Errors
/// When the socket cannot be made.
pub(super) fn serve<Q, A>(
    socket: &Path,
    environment: &Arc<dyn Environment>,
    answer: impl Fn(Q) -> A + Send + Sync + 'static,
) -> std::io::Result<()>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    // A socket of an earlier process.
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    let hub = EventHub::new(environment.random(), HubOptions::default());
    let clock_environment = environment.clone();
    let clock: varan_wire::MonotonicClock = Arc::new(move || clock_environment.monotonic().0);
    let options = ServerOptions { workers: WORKERS, payload: PAYLOAD_MAX, ..ServerOptions::default() };
    let handler = move |_: RequestContext, request: Q| answer(request);
    let server: Server<Q, A> = Server::start(Arc::new(handler), hub, clock, options)?;
    std::thread::Builder::new().name("storage requests".to_owned()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A connection that fails is its client's loss.
            let _ = Transport::unix(stream).and_then(|transport| server.serve(transport));
        }
    })?;
    Ok(())
}

/// Asks over a socket; connects when it is asked, and again after a loss.
pub(super) struct Caller<Q, A> {
    socket: PathBuf,
    environment: Arc<dyn Environment>,
    client: Mutex<Option<Arc<Client<Q, A, ()>>>>,
}

impl<Q, A> Caller<Q, A>
where
    Q: Serialize + Send + 'static,
    A: DeserializeOwned + Send + 'static,
{
    pub(super) fn new(socket: PathBuf, environment: Arc<dyn Environment>) -> Self {
        Self { socket, environment, client: Mutex::new(None) }
    }

    fn connected(&self) -> Option<Arc<Client<Q, A, ()>>> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = client.as_ref().filter(|present| present.is_connected()) {
            return Some(present.clone());
        }
        let stream = UnixStream::connect(&self.socket).ok()?;
        let options = ClientOptions { outstanding: 1_024, payload: PAYLOAD_MAX };
        let fresh = Client::start(Transport::unix(stream).ok()?, options, |_| {}).ok()?;
        let fresh = Arc::new(fresh);
        *client = Some(fresh.clone());
        Some(fresh)
    }

    /// Asks once. `None` when there was no answer in time: whether it was done is not known.
    pub(super) fn call(&self, request: Q, patience: Duration) -> Option<A> {
        let id = u128::from(self.environment.random()) << 64 | u128::from(self.environment.random());
        self.connected()?.call(varan_wire::RequestId(id), patience, request).ok()
    }
}
