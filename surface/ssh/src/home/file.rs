//! An open file of a home.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{Stat, fstat};

use super::HomeError;
use super::tree::SetAttributes;
use super::usage::{FileId, Usage, charged_bytes};

/// An open regular file. Its writes are checked against the quota; closing it is dropping it.
#[derive(Debug)]
pub(crate) struct HomeFile {
    file: File,
    id: FileId,
    append: bool,
    usage: Arc<Usage>,
}

impl HomeFile {
    /// Takes over a file that has just been opened, and is counted as open under `id`.
    pub(super) fn new(file: File, id: FileId, append: bool, usage: Arc<Usage>) -> Self {
        Self { file, id, append, usage }
    }

    /// Reads up to the buffer's length at `offset`; less only at the end of the file.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, HomeError> {
        let mut count = 0;
        while count < buffer.len() {
            match self.file.read_at(&mut buffer[count..], offset + count as u64) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(count)
    }

    /// Writes all of `data` at `offset`, or at the end of a file opened for appending.
    pub(crate) fn write_at(&self, data: &[u8], offset: u64) -> Result<(), HomeError> {
        let mut counts = self.usage.lock();
        let before = charged_bytes(&fstat(&self.file)?);
        let offset = if self.append { before } else { offset };
        let end = offset.checked_add(data.len() as u64).ok_or(HomeError::TooLong)?;
        counts.check_bytes(end.saturating_sub(before))?;
        let written = self.file.write_all_at(data, offset);
        // A write that failed half way may have made the file longer.
        counts.resized(before, charged_bytes(&fstat(&self.file)?));
        Ok(written?)
    }

    /// Makes the file `length` bytes long.
    pub(crate) fn set_length(&self, length: u64) -> Result<(), HomeError> {
        let mut counts = self.usage.lock();
        let before = charged_bytes(&fstat(&self.file)?);
        counts.check_bytes(length.saturating_sub(before))?;
        self.file.set_len(length)?;
        counts.resized(before, length);
        Ok(())
    }

    pub(crate) fn stat(&self) -> Result<Stat, HomeError> {
        Ok(fstat(&self.file)?)
    }

    /// Sets the mode and the times given; the length is [`HomeFile::set_length`]'s.
    pub(crate) fn set_attributes(&self, attributes: &SetAttributes) -> Result<(), HomeError> {
        attributes.apply(&self.file)
    }

    /// Makes the file's contents durable.
    pub(crate) fn synchronize(&self) -> Result<(), HomeError> {
        Ok(self.file.sync_all()?)
    }
}

impl Drop for HomeFile {
    fn drop(&mut self) {
        let stat = fstat(&self.file).ok();
        self.usage.lock().closed(self.id, stat.as_ref());
    }
}
