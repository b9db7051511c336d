//! What a user has stored, kept in step with every change that goes through the server.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};

use super::{HomeError, HomeQuota};

/// A file's identity on this machine.
pub(super) type FileId = (u64, u64);

pub(super) fn file_id(stat: &Stat) -> FileId {
    #[allow(clippy::useless_conversion, reason = "the types differ between architectures")]
    (stat.st_dev.into(), stat.st_ino.into())
}

/// The bytes that a file counts for: its length, holes included, so that no hole can be filled
/// later past the quota. Only regular files count.
pub(super) fn charged_bytes(stat: &Stat) -> u64 {
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        u64::try_from(stat.st_size).unwrap_or_default()
    } else {
        0
    }
}

#[derive(Debug)]
pub(super) struct Counts {
    bytes: u64,
    files: u64,
    quota: HomeQuota,
    /// How often each file is open: a removed file holds its bytes until its last close.
    open: HashMap<FileId, usize>,
}

impl Counts {
    /// Whether `bytes` more fit.
    pub(super) fn check_bytes(&self, bytes: u64) -> Result<(), HomeError> {
        if self.bytes.saturating_add(bytes) > self.quota.bytes && bytes > 0 {
            return Err(HomeError::QuotaBytes { limit: self.quota.bytes });
        }
        Ok(())
    }

    /// Whether one more file or directory fits.
    pub(super) fn check_file(&self) -> Result<(), HomeError> {
        if self.files >= self.quota.files {
            return Err(HomeError::QuotaFiles { limit: self.quota.files });
        }
        Ok(())
    }

    /// A file's length has changed.
    pub(super) fn resized(&mut self, before: u64, after: u64) {
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
    }

    pub(super) fn created(&mut self) {
        self.files += 1;
    }

    /// A name is gone; `stat` is what it named.
    pub(super) fn removed(&mut self, stat: &Stat) {
        self.files = self.files.saturating_sub(1);
        if stat.st_nlink <= 1 && !self.open.contains_key(&file_id(stat)) {
            self.resized(charged_bytes(stat), 0);
        }
    }

    pub(super) fn opened(&mut self, id: FileId) {
        *self.open.entry(id).or_default() += 1;
    }

    /// A handle is closed; `stat` is the file's last state.
    pub(super) fn closed(&mut self, id: FileId, stat: Option<&Stat>) {
        let Some(count) = self.open.get_mut(&id) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.open.remove(&id);
        if let Some(stat) = stat.filter(|stat| stat.st_nlink == 0) {
            self.resized(charged_bytes(stat), 0);
        }
    }
}

/// The counts of one home, shared by its sessions.
#[derive(Debug)]
pub(crate) struct Usage {
    counts: Mutex<Counts>,
}

impl Usage {
    /// Counts what is stored below `root`. Directories are reopened by their way from the root,
    /// so that depth costs time, not descriptors.
    pub(super) fn count(root: &OwnedFd, quota: HomeQuota) -> Result<Self, HomeError> {
        let mut counts = Counts { bytes: 0, files: 0, quota, open: HashMap::new() };
        let mut ways = vec![Vec::new()];
        while let Some(way) = ways.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut directory = openat(root, ".", flags, Mode::empty())?;
            for name in &way {
                directory = openat(&directory, name, flags, Mode::empty())?;
            }
            for entry in Dir::read_from(&directory)? {
                let entry = entry?;
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                counts.files += 1;
                counts.bytes = counts.bytes.saturating_add(charged_bytes(&stat));
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    let mut below = way.clone();
                    below.push(name.to_owned());
                    ways.push(below);
                }
            }
        }
        Ok(Self { counts: Mutex::new(counts) })
    }

    /// Held over an operation and its count, so that two sessions cannot both take the last byte.
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
