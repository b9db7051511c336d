//! A boot disk in memory, for tests and simulation.

use std::io::{Error, ErrorKind, Result};
use std::sync::Mutex;

use varan_contract::engine::BootDisk;

use crate::lock;

/// A boot disk whose sectors are a byte vector. It loses everything when it is dropped.
pub struct MemoryBootDisk {
    bytes: Mutex<Vec<u8>>,
}

impl MemoryBootDisk {
    /// A disk of `size` zero bytes, rounded up to whole sectors.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self::from_bytes(vec![0; size])
    }

    /// A disk with these contents, padded with zeros to whole sectors.
    #[must_use]
    pub fn from_bytes(mut bytes: Vec<u8>) -> Self {
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        Self { bytes: Mutex::new(bytes) }
    }

    /// A copy of the contents: what a clone of the disk holds.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        lock(&self.bytes).clone()
    }
}

/// The range of `length` bytes at `offset` in a disk of `size` bytes.
pub(super) fn range(size: u64, offset: u64, length: usize) -> Result<std::ops::Range<usize>> {
    let end = offset.checked_add(length as u64).filter(|end| *end <= size);
    let end = end.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
    let as_index = |value: u64| usize::try_from(value).map_err(|_| Error::from(ErrorKind::UnexpectedEof));
    Ok(as_index(offset)?..as_index(end)?)
}

impl BootDisk for MemoryBootDisk {
    fn size(&self) -> u64 {
        lock(&self.bytes).len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let bytes = lock(&self.bytes);
        buffer.copy_from_slice(&bytes[range(bytes.len() as u64, offset, buffer.len())?]);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut bytes = lock(&self.bytes);
        let range = range(bytes.len() as u64, offset, data.len())?;
        bytes[range].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}
