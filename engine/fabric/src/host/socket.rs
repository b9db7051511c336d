//! A port whose other end is a program that connects to a socket. Each frame stands after its length in four bytes, most
//! significant first, as QEMU's stream network back end writes it.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use varan_ethernet::{Frame, FramePool, LARGE_SEND_BYTES, TAG_BYTES};

use crate::driver::{Endpoint, Sink, Wiring};

/// Batches that wait for a program at most; more are dropped.
const WAITING: usize = 256;
/// Frames that are read before they are handed on.
const BATCH: usize = 64;

/// A port's socket. The port has a carrier while a program is connected; one at a time.
pub struct SocketPeer {
    path: PathBuf,
    wiring: Wiring,
    port: Endpoint,
    ended: Arc<AtomicBool>,
    /// The connection that there is.
    current: Arc<Mutex<Option<UnixStream>>>,
}

struct SocketSink {
    batches: SyncSender<Vec<u8>>,
    pool: FramePool,
}

impl Sink for SocketSink {
    fn deliver(&mut self, frames: &mut Vec<Frame>) {
        let mut bytes = Vec::new();
        for frame in frames.drain(..) {
            frame.complete(&mut self.pool, |frame| append(&mut bytes, &frame));
        }
        // A program that does not read loses frames.
        let _ = self.batches.try_send(bytes);
    }
}

fn append(bytes: &mut Vec<u8>, frame: &Frame) {
    let length = u32::try_from(frame.wire_bytes()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    frame.write_tagged(bytes);
}

/// Makes a socket at `path` the other end of a port.
///
/// # Errors
/// Whatever the host reports about the socket, or when it gives no thread.
pub fn attach_socket(wiring: &Wiring, port: Endpoint, path: &Path) -> io::Result<SocketPeer> {
    // A socket of an earlier process leads nowhere.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    let ended = Arc::new(AtomicBool::new(false));
    let current: Arc<Mutex<Option<UnixStream>>> = Arc::default();
    let (over, sender, connected) = (ended.clone(), wiring.clone(), current.clone());
    std::thread::Builder::new().name("network-socket".to_owned()).spawn(move || {
        for stream in listener.incoming() {
            if over.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else { continue };
            *connected.lock().unwrap_or_else(PoisonError::into_inner) = stream.try_clone().ok();
            // How it ended is of no interest: the next program may come.
            let _ = carry(&sender, port, &stream);
            sender.detach(port);
        }
    })?;
    Ok(SocketPeer { path: path.to_owned(), wiring: wiring.clone(), port, ended, current })
}

fn carry(wiring: &Wiring, port: Endpoint, stream: &UnixStream) -> io::Result<()> {
    let (batches, waiting) = sync_channel(WAITING);
    wiring.attach(port, SocketSink { batches, pool: FramePool::new(BATCH) });
    wiring.carrier(port, true);
    std::thread::scope(|scope| {
        scope.spawn(move || write_out(stream, &waiting));
        let result = read_in(wiring, port, stream);
        // The sink goes, and with it the channel: the writer ends.
        wiring.detach(port);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        result
    })
}

fn write_out(mut stream: &UnixStream, batches: &Receiver<Vec<u8>>) {
    while let Ok(batch) = batches.recv() {
        if stream.write_all(&batch).is_err() {
            return;
        }
    }
}

fn read_in(wiring: &Wiring, port: Endpoint, stream: &UnixStream) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(128 << 10, stream);
    let mut bytes = Vec::new();
    let mut frames = Vec::new();
    loop {
        if frames.len() >= BATCH || reader.buffer().len() < 4 {
            wiring.send(port, &mut frames);
        }
        let mut length = [0; 4];
        match reader.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > LARGE_SEND_BYTES + TAG_BYTES {
            return Err(io::Error::other("a frame that is too long"));
        }
        bytes.resize(length, 0);
        reader.read_exact(&mut bytes)?;
        // What is no frame is dropped, as a cable's device drops it.
        frames.extend(Frame::from_wire(&bytes).ok());
    }
}

impl Drop for SocketPeer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.wiring.detach(self.port);
        if let Some(stream) = self.current.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        // Wakes the thread that waits for a program.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}
