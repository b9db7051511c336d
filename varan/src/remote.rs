//! A managed system in another process: requests and events over a Unix socket, terminals over another.
//!
//! ```text
//! <data>/run/<frame>.sock     requests, replies, events: frames of varan-wire
//! <data>/run/<frame>.vterm    one terminal a connection: a line with the selector, a line with the outcome; then bytes
//!                             from the guest, and to it records: 0, length (2), bytes typed | 1, columns (2), rows (2)
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use varan_contract::engine::GuestTerminal;
use varan_contract::system::{
    CallError, Origin, RequestId, Selector, SystemEvent, SystemEventKind, SystemEvents, SystemLink,
    SystemReply, SystemRequest,
};
use varan_environment::Environment;
use varan_system::SystemHandle;
use varan_wire::{
    Client, ClientEvent, ClientOptions, EventHub, HubOptions, LossyLink, RequestContext, Server,
    ServerOptions, Transport,
};

/// Largest message: a listing of a frame with a thousand partitions is some megabytes.
const PAYLOAD_MAX: usize = 256 << 20;
/// Workers that answer requests; many of them wait for a guest.
const WORKERS: usize = 64;
/// Longest wait for an answer. Dynamic changes may wait for ever on the user's wish; a day stands for that.
const DEADLINE: Duration = Duration::from_secs(24 * 3_600);
/// Wait for an answer before the request is sent again with the same id.
const REPEAT_AFTER: Duration = Duration::from_secs(10);
/// Wait after which a listing gives a system up as not reachable.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// Wait after which a change gives a system up; whether it was done shows when the system is back.
const CHANGE_PATIENCE: Duration = Duration::from_secs(60);
/// Longest line that begins a terminal connection, in bytes.
const TERMINAL_LINE_MAX: u64 = 64 << 10;

/// Record of typed bytes on a terminal connection.
const TYPED: u8 = 0;
/// Record of a window's size on a terminal connection.
const RESIZED: u8 = 1;

type Answer = Result<SystemReply, CallError>;

/// A request as it crosses the socket.
#[derive(Clone, Serialize, Deserialize)]
struct Asked {
    origin: Option<Arc<Origin>>,
    request: SystemRequest,
}

type FrameClient = Client<Asked, Answer, SystemEventKind>;

/// Socket for requests of a frame.
#[must_use]
pub fn request_socket(directory: &Path, frame: &str) -> PathBuf {
    directory.join(format!("{frame}.sock"))
}

/// Socket for terminals of a frame.
#[must_use]
pub fn terminal_socket(directory: &Path, frame: &str) -> PathBuf {
    directory.join(format!("{frame}.vterm"))
}

struct Publisher(EventHub);

impl SystemEvents for Publisher {
    fn system_event(&self, event: &SystemEvent) {
        let _ = self.0.publish(&event.kind);
    }
}

fn listen(path: &Path) -> std::io::Result<UnixListener> {
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path)
}

/// Messages that tests lose, double and delay on a link, with the seed.
pub type Trouble = Option<(varan_wire::LinkTrouble, u64)>;

fn troubled(transport: Transport, trouble: Trouble) -> Transport {
    match trouble {
        Some((trouble, seed)) => transport.map_writer(|writer| LossyLink::new(writer, trouble, seed)),
        None => transport,
    }
}

/// A system that is served. A frame's process serves until it ends; whoever goes on after its frame stops this.
pub struct Serving {
    stopped: Arc<AtomicBool>,
    sockets: [PathBuf; 2],
}

impl Serving {
    /// Takes no further connections; the threads that took them end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        for socket in &self.sockets {
            // They wait for a connection, so they get one.
            let _ = UnixStream::connect(socket);
        }
    }
}

/// Serves a system on its two sockets. Returns when both listen; serving goes on on threads of its own.
///
/// # Errors
/// When a socket cannot be made.
pub fn serve(
    handle: &Arc<SystemHandle>,
    directory: &Path,
    frame: &str,
    environment: &Arc<dyn Environment>,
    trouble: Trouble,
) -> std::io::Result<Serving> {
    std::fs::create_dir_all(directory)?;
    let hub =
        EventHub::new(environment.random(), HubOptions { payload: PAYLOAD_MAX, ..HubOptions::default() });
    handle.subscribe(Arc::new(Publisher(hub.clone())));
    let answering = handle.clone();
    let answer = move |context: RequestContext, asked: Asked| -> Answer {
        let id = RequestId(context.id.0);
        match &asked.origin {
            Some(origin) => answering.call_from(origin, id, asked.request),
            None => answering.call(id, asked.request),
        }
    };
    let clock_environment = environment.clone();
    let clock: varan_wire::MonotonicClock = Arc::new(move || clock_environment.monotonic().0);
    let options = ServerOptions { workers: WORKERS, payload: PAYLOAD_MAX, ..ServerOptions::default() };
    let server: Server<Asked, Answer> = Server::start(Arc::new(answer), hub, clock, options)?;
    let sockets = [request_socket(directory, frame), terminal_socket(directory, frame)];
    let requests = listen(&sockets[0])?;
    let terminals = listen(&sockets[1])?;
    let serving = Serving { stopped: Arc::default(), sockets };
    let (requests_stopped, terminals_stopped) = (serving.stopped.clone(), serving.stopped.clone());
    std::thread::Builder::new().name("frame requests".to_owned()).spawn(move || {
        for stream in requests.incoming().map_while(Result::ok) {
            if requests_stopped.load(Ordering::Acquire) {
                return;
            }
            let _ = Transport::unix(stream).and_then(|transport| server.serve(troubled(transport, trouble)));
        }
    })?;
    let handle = handle.clone();
    std::thread::Builder::new().name("frame terminals".to_owned()).spawn(move || {
        for stream in terminals.incoming().map_while(Result::ok) {
            if terminals_stopped.load(Ordering::Acquire) {
                return;
            }
            let handle = handle.clone();
            let serve = move || {
                let _ = serve_terminal(&handle, stream);
            };
            let _ = std::thread::Builder::new().name("frame terminal".to_owned()).spawn(serve);
        }
    })?;
    Ok(serving)
}

/// Reads one record of a terminal connection and passes it on.
fn take_record(reader: &mut impl Read, terminal: &dyn GuestTerminal) -> std::io::Result<()> {
    let mut tag = [0];
    reader.read_exact(&mut tag)?;
    let mut number = || -> std::io::Result<u16> {
        let mut bytes = [0; 2];
        reader.read_exact(&mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    };
    match tag[0] {
        TYPED => {
            let mut bytes = vec![0; usize::from(number()?)];
            reader.read_exact(&mut bytes)?;
            terminal.write(&bytes);
        }
        RESIZED => terminal.resize(number()?, number()?),
        _ => return Err(std::io::ErrorKind::InvalidData.into()),
    }
    Ok(())
}

fn serve_terminal(handle: &SystemHandle, stream: UnixStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut line = String::new();
    reader.by_ref().take(TERMINAL_LINE_MAX).read_line(&mut line)?;
    let selector: Selector = serde_json::from_str(&line)?;
    let opened = handle.open_terminal(selector);
    let outcome: Result<(), CallError> = opened.as_ref().map(|_| ()).map_err(Clone::clone);
    writeln!(writer, "{}", serde_json::to_string(&outcome)?)?;
    let Ok(terminal) = opened else { return Ok(()) };
    let terminal: Arc<dyn GuestTerminal> = Arc::from(terminal);
    let typing = terminal.clone();
    let close = terminal.closer();
    std::thread::Builder::new().name("frame terminal input".to_owned()).spawn(move || {
        // Ends when the user has closed the terminal or the console is gone.
        while take_record(&mut reader, &*typing).is_ok() {}
        close();
    })?;
    let mut buffer = Vec::new();
    while terminal.read(&mut buffer) {
        if writer.write_all(&buffer).is_err() {
            break;
        }
        buffer.clear();
    }
    let _ = writer.shutdown(std::net::Shutdown::Both);
    Ok(())
}

/// A system of another process, as a console sees it. Connects when it is asked, and again after a loss.
pub struct RemoteSystem {
    directory: PathBuf,
    frame: String,
    client: Mutex<Option<Arc<FrameClient>>>,
    subscribers: Arc<Mutex<Vec<Arc<dyn SystemEvents>>>>,
    trouble: Trouble,
    repeat_after: Duration,
}

impl RemoteSystem {
    /// A link to the frame whose sockets are in `directory`.
    #[must_use]
    pub fn new(directory: &Path, frame: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            frame: frame.to_owned(),
            client: Mutex::new(None),
            subscribers: Arc::default(),
            trouble: None,
            repeat_after: REPEAT_AFTER,
        }
    }

    /// The same with trouble on the link, for tests. Requests are repeated after a shorter time.
    #[must_use]
    pub fn with_trouble(self, trouble: Trouble, repeat_after: Duration) -> Self {
        Self { trouble, repeat_after, ..self }
    }

    fn connected(&self) -> Result<Arc<FrameClient>, CallError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = client.as_ref().filter(|present| present.is_connected()) {
            return Ok(present.clone());
        }
        let lost = |_: std::io::Error| CallError::NoConnection;
        let stream = UnixStream::connect(request_socket(&self.directory, &self.frame)).map_err(lost)?;
        let subscribers = self.subscribers.clone();
        let listener = move |event: ClientEvent<SystemEventKind>| announce(&subscribers, event);
        let options = ClientOptions { outstanding: 4_096, payload: PAYLOAD_MAX };
        let transport = troubled(Transport::unix(stream).map_err(lost)?, self.trouble);
        let fresh = Arc::new(Client::start(transport, options, listener).map_err(lost)?);
        let _ = fresh.subscribe(None);
        *client = Some(fresh.clone());
        drop(client);
        // Nobody knows what happened meanwhile: whoever caches reads again.
        tell(&self.subscribers, &SystemEvent { sequence: 0, kind: SystemEventKind::SystemChanged });
        Ok(fresh)
    }
}

/// How long a request waits for a system that does not answer. What waits for a guest has the user's own limit,
/// and firmware takes its real time.
fn patience(request: &SystemRequest) -> Duration {
    match request {
        SystemRequest::Stop { .. }
        | SystemRequest::ChangeResource { .. }
        | SystemRequest::UpdateFirmware(_)
        | SystemRequest::ChangeAdapter(_)
        | SystemRequest::ChangeIoSlot { .. } => DEADLINE,
        // A system that hangs must not use up the time in which a claim is to be had everywhere.
        SystemRequest::Claim { .. } | SystemRequest::ReleaseClaim { .. } => READ_PATIENCE,
        request if request.is_read() => READ_PATIENCE,
        _ => CHANGE_PATIENCE,
    }
}

fn tell(subscribers: &Mutex<Vec<Arc<dyn SystemEvents>>>, event: &SystemEvent) {
    let subscribers = subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for subscriber in subscribers {
        subscriber.system_event(event);
    }
}

fn announce(subscribers: &Mutex<Vec<Arc<dyn SystemEvents>>>, event: ClientEvent<SystemEventKind>) {
    let event = match event {
        ClientEvent::Event(event) => SystemEvent { sequence: event.sequence, kind: event.body },
        ClientEvent::Resync(_) | ClientEvent::Disconnected => {
            SystemEvent { sequence: 0, kind: SystemEventKind::SystemChanged }
        }
    };
    tell(subscribers, &event);
}

impl RemoteSystem {
    fn ask(&self, id: RequestId, asked: &Asked) -> Result<SystemReply, CallError> {
        // Without an answer the request is sent again with the same id: the system does a request once, however often it
        // is asked. A connection that broke meanwhile is made anew, once.
        let mut broken = 0;
        let mut waited = Duration::ZERO;
        while waited < DEADLINE && broken < 2 {
            let client = self.connected()?;
            match client.call(varan_wire::RequestId(id.0), self.repeat_after, asked.clone()) {
                Ok(answer) => return answer,
                Err(varan_wire::CallError::TooManyOutstanding) => return Err(CallError::Busy),
                Err(varan_wire::CallError::TimedOut | varan_wire::CallError::Fault(_)) => {
                    waited += self.repeat_after
                }
                Err(varan_wire::CallError::Disconnected) => broken += 1,
                Err(_) => return Err(CallError::NoConnection),
            }
            if waited >= patience(&asked.request) {
                break;
            }
        }
        Err(CallError::NoConnection)
    }
}

impl SystemLink for RemoteSystem {
    fn call(&self, id: RequestId, request: SystemRequest) -> Result<SystemReply, CallError> {
        self.ask(id, &Asked { origin: None, request })
    }

    fn call_from(
        &self,
        origin: &Arc<Origin>,
        id: RequestId,
        request: SystemRequest,
    ) -> Result<SystemReply, CallError> {
        self.ask(id, &Asked { origin: Some(origin.clone()), request })
    }

    fn open_terminal(&self, partition: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        let lost = |_| CallError::NoConnection;
        let mut stream = UnixStream::connect(terminal_socket(&self.directory, &self.frame)).map_err(lost)?;
        let line = serde_json::to_string(&partition).map_err(|_| CallError::NoConnection)?;
        writeln!(stream, "{line}").map_err(lost)?;
        let mut reader = BufReader::new(stream.try_clone().map_err(lost)?);
        let mut outcome = String::new();
        reader.by_ref().take(TERMINAL_LINE_MAX).read_line(&mut outcome).map_err(lost)?;
        let outcome: Result<(), CallError> =
            serde_json::from_str(&outcome).map_err(|_| CallError::NoConnection)?;
        outcome?;
        Ok(Box::new(RemoteTerminal { reader: Mutex::new(reader), stream: Arc::new(stream) }))
    }

    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(receiver);
    }
}

struct RemoteTerminal {
    reader: Mutex<BufReader<UnixStream>>,
    stream: Arc<UnixStream>,
}

impl GuestTerminal for RemoteTerminal {
    fn read(&self, buffer: &mut Vec<u8>) -> bool {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = [0; 4_096];
        match reader.read(&mut bytes) {
            Ok(count @ 1..) => {
                buffer.extend_from_slice(&bytes[..count]);
                true
            }
            _ => false,
        }
    }

    fn write(&self, bytes: &[u8]) {
        for bytes in bytes.chunks(usize::from(u16::MAX)) {
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            let mut record = vec![TYPED];
            record.extend_from_slice(&length.to_le_bytes());
            record.extend_from_slice(bytes);
            // A frame that is gone takes no input; reading shows that the terminal is closed.
            let _ = (&*self.stream).write_all(&record);
        }
    }

    fn resize(&self, columns: u16, rows: u16) {
        let ([a, b], [c, d]) = (columns.to_le_bytes(), rows.to_le_bytes());
        // As above.
        let _ = (&*self.stream).write_all(&[RESIZED, a, b, c, d]);
    }

    fn closer(&self) -> Box<dyn Fn() + Send + Sync> {
        let stream = self.stream.clone();
        // The frame sees the end, closes the terminal and then its own side: reading ends when the terminal is free.
        Box::new(move || {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        })
    }
}

impl Drop for RemoteTerminal {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
