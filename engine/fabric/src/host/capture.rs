//! Frames as a file that `tcpdump -r` and others read: pcap with nanoseconds.

use std::io::{self, Write};
use std::time::Duration;

use varan_ethernet::Frame;

/// Magic number of a file with nanoseconds (the pcap savefile format).
const MAGIC: u32 = 0xA1B2_3C4D;
/// Most bytes of a frame that are kept.
const SNAP_BYTES: u32 = 262_144;
/// Link type Ethernet.
const ETHERNET: u32 = 1;

/// Writes frames to a capture file.
pub struct CaptureWriter<W: Write> {
    output: W,
    bytes: Vec<u8>,
}

impl<W: Write> CaptureWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Whatever the output reports.
    pub fn new(mut output: W) -> io::Result<Self> {
        let mut header = Vec::new();
        header.extend(MAGIC.to_le_bytes());
        // Version 2.4.
        header.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        header.extend(SNAP_BYTES.to_le_bytes());
        header.extend(ETHERNET.to_le_bytes());
        output.write_all(&header)?;
        output.flush()?;
        Ok(Self { output, bytes: Vec::new() })
    }

    /// Writes a frame as it stands on a wire, seen at that time since 1970.
    ///
    /// # Errors
    /// Whatever the output reports.
    pub fn write(&mut self, at: Duration, frame: &Frame) -> io::Result<()> {
        self.bytes.clear();
        frame.write_tagged(&mut self.bytes);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let mut record = Vec::with_capacity(16);
        // The format ends in 2106.
        record.extend((at.as_secs() as u32).to_le_bytes());
        record.extend(at.subsec_nanos().to_le_bytes());
        record.extend(length.to_le_bytes());
        record.extend(length.to_le_bytes());
        self.output.write_all(&record)?;
        self.output.write_all(&self.bytes)?;
        self.output.flush()
    }
}
