//! TAP devices: a port whose other end is an interface of the host.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use varan_ethernet::{Frame, FramePool, LARGE_SEND_BYTES, Offload, TAG_BYTES, TYPE_VLAN};

use super::tap_device;
use crate::driver::{Endpoint, Sink, Wiring};

/// Bytes of `struct virtio_net_hdr`, which stands before each frame.
const HEADER: usize = 10;
/// Frames that are read before they are handed on.
const BATCH: usize = 64;
/// How often the reading thread looks whether its peer is still wanted.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
const NEEDS_CHECKSUM: u8 = 1;
const SEGMENT_NONE: u8 = 0;
const SEGMENT_TCP4: u8 = 1;
const SEGMENT_TCP6: u8 = 4;

/// An open TAP device.
#[derive(Debug)]
pub struct TapDevice {
    file: File,
}

impl TapDevice {
    /// Opens the device of that name, which is made where there is none. With `offload` the host's kernel may leave
    /// checksums and the cutting of TCP packets to whoever gets the frames, and takes such frames.
    ///
    /// # Errors
    /// Whatever the kernel reports: no permission, a device that another program has.
    pub fn open(name: &str, offload: bool) -> io::Result<Self> {
        Ok(Self { file: tap_device::open(name, offload)? })
    }

    /// Reads a frame that the host sent; false when there is none now. Bytes that are no frame are skipped.
    ///
    /// # Errors
    /// Whatever the kernel reports.
    pub fn read(&self, bytes: &mut Vec<u8>, frame: &mut Frame) -> io::Result<bool> {
        loop {
            bytes.resize(HEADER + LARGE_SEND_BYTES + TAG_BYTES, 0);
            match (&self.file).read(bytes) {
                Ok(length) if length > HEADER => {
                    if frame.fill_from_wire(&bytes[HEADER..length]).is_ok() {
                        read_header(&bytes[..HEADER], frame);
                        return Ok(true);
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands a frame to the host; false when the host has no room for it.
    ///
    /// # Errors
    /// Whatever the kernel reports: the interface is down, for one.
    pub fn write(&self, bytes: &mut Vec<u8>, frame: &Frame) -> io::Result<bool> {
        bytes.clear();
        bytes.resize(HEADER, 0);
        write_header(bytes, frame);
        // The payload goes from where it is: a large frame is not copied once more.
        let (addresses, rest) = frame.bytes().split_at(frame.bytes().len().min(12));
        bytes.extend_from_slice(addresses);
        if let Some(tag) = frame.tag {
            bytes.extend_from_slice(&TYPE_VLAN.to_be_bytes());
            bytes.extend_from_slice(&tag.bits().to_be_bytes());
        }
        match (&self.file).write_vectored(&[IoSlice::new(bytes), IoSlice::new(rest)]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until there is something to read, at most a fifth of a second.
    fn wait(&self) -> io::Result<()> {
        let mut waited = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut waited, Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Bytes by which offsets differ where the tag stands among the bytes.
fn shift(frame: &Frame) -> u16 {
    if frame.tag.is_some() { TAG_BYTES as u16 } else { 0 }
}

fn read_header(header: &[u8], frame: &mut Frame) {
    let field = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let checksum =
        (header[0] & NEEDS_CHECKSUM != 0).then(|| (field(6).saturating_sub(shift(frame)), field(8)));
    let segment = match header[1] & 0x7F {
        SEGMENT_TCP4 => Some((field(4), false)),
        SEGMENT_TCP6 => Some((field(4), true)),
        _ => None,
    };
    frame.offload = Offload { checksum, segment, header_bytes: field(2).saturating_sub(shift(frame)) };
}

fn write_header(header: &mut [u8], frame: &Frame) {
    let mut put = |at: usize, value: u16| header[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    if let Some((start, offset)) = frame.offload.checksum {
        put(6, start + shift(frame));
        put(8, offset);
    }
    if let Some((size, _)) = frame.offload.segment {
        put(2, frame.offload.header_bytes + shift(frame));
        put(4, size);
    }
    header[0] = if frame.offload.checksum.is_some() { NEEDS_CHECKSUM } else { 0 };
    header[1] = match frame.offload.segment {
        None => SEGMENT_NONE,
        Some((_, false)) => SEGMENT_TCP4,
        Some((_, true)) => SEGMENT_TCP6,
    };
}

/// A port's TAP device; the port loses its carrier when this is dropped.
pub struct TapPeer {
    wiring: Wiring,
    port: Endpoint,
    ended: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

struct TapSink {
    device: Arc<TapDevice>,
    bytes: Vec<u8>,
    /// The host may get frames with work left to do.
    offload: bool,
    pool: FramePool,
}

impl Sink for TapSink {
    fn deliver(&mut self, frames: &mut Vec<Frame>) {
        let Self { device, bytes, offload, pool } = self;
        if *offload {
            for frame in &*frames {
                // What the host does not take is lost, as on a cable.
                let _ = device.write(bytes, frame);
            }
            return;
        }
        for frame in frames.drain(..) {
            frame.complete(pool, |frame| {
                let _ = device.write(bytes, &frame);
            });
        }
    }
}

/// Makes a TAP device the other end of a port.
///
/// # Errors
/// When the host gives no thread.
pub fn attach_tap(wiring: &Wiring, port: Endpoint, device: TapDevice, offload: bool) -> io::Result<TapPeer> {
    let device = Arc::new(device);
    let ended = Arc::new(AtomicBool::new(false));
    wiring.attach(
        port,
        TapSink { device: device.clone(), bytes: Vec::new(), offload, pool: FramePool::new(BATCH) },
    );
    wiring.carrier(port, true);
    let (over, sender) = (ended.clone(), wiring.clone());
    let reader = std::thread::Builder::new().name("tap".to_owned()).spawn(move || {
        while !over.load(Ordering::Acquire) {
            // A device that was taken away has no more frames; its port stays without a carrier.
            if device.wait().and_then(|()| read_batch(&device, &sender, port)).is_err() {
                sender.carrier(port, false);
                return;
            }
        }
    })?;
    Ok(TapPeer { wiring: wiring.clone(), port, ended, reader: Some(reader) })
}

fn read_batch(device: &TapDevice, wiring: &Wiring, port: Endpoint) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let mut frames = Vec::new();
        while frames.len() < BATCH {
            let mut frame = Frame::default();
            if !device.read(&mut bytes, &mut frame)? {
                break;
            }
            frames.push(frame);
        }
        let full = frames.len() == BATCH;
        wiring.send(port, &mut frames);
        if !full {
            return Ok(());
        }
    }
}

impl Drop for TapPeer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.wiring.detach(self.port);
        if let Some(reader) = self.reader.take() {
            // A thread that panicked has ended already.
            let _ = reader.join();
        }
    }
}
