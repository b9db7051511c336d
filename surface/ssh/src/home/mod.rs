//! A user's home directory: real files, confined to one directory and bounded by a quota.
//!
//! Confinement does not rest on checking names. A path is first reduced to components below the
//! home (`path`), then opened one component at a time, each relative to the directory before and
//! none through a symbolic link (`tree`). So no link, whoever made it, leads out, and nothing that
//! happens to the tree meanwhile does either.

mod file;
mod path;
mod tree;
mod usage;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub(crate) use file::HomeFile;
pub(crate) use path::HomePath;
pub(crate) use tree::{Entry, Home, OpenMode, SetAttributes};
use usage::Usage;

/// What a user may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeQuota {
    /// Sum of the lengths of all files, in bytes.
    pub bytes: u64,
    /// Number of files and directories below the home.
    pub files: u64,
}

/// The directory that SFTP and scp show to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeDirectory {
    /// Where it is on this machine; it must exist, and only the server may change what is above.
    pub path: PathBuf,
    /// Its absolute name for the user, such as `/home/hscroot`. Paths relative to it, and `~`,
    /// mean the same directory; every other absolute path is refused.
    pub shown_as: String,
    /// What may be stored in it.
    pub quota: HomeQuota,
}

/// Why an operation on the home failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error("No such file or directory")]
    NotFound,
    #[error("File exists")]
    Exists,
    #[error("Permission denied: outside the home directory")]
    Outside,
    #[error("Permission denied: symbolic links are not followed")]
    SymbolicLink,
    #[error("Permission denied")]
    Denied,
    #[error("Is a directory")]
    IsDirectory,
    #[error("Not a directory")]
    NotDirectory,
    #[error("Directory not empty")]
    NotEmpty,
    #[error("Not a regular file")]
    NotRegular,
    #[error("Path too long")]
    TooLong,
    #[error("Disk quota exceeded: {limit} bytes")]
    QuotaBytes { limit: u64 },
    #[error("Disk quota exceeded: {limit} files")]
    QuotaFiles { limit: u64 },
    #[error("Too many entries in one directory")]
    TooManyEntries,
    #[error("{0}")]
    Io(io::Error),
}

impl From<io::Error> for HomeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::IsADirectory => Self::IsDirectory,
            io::ErrorKind::NotADirectory => Self::NotDirectory,
            io::ErrorKind::DirectoryNotEmpty => Self::NotEmpty,
            io::ErrorKind::InvalidFilename => Self::TooLong,
            _ => Self::Io(error),
        }
    }
}

impl From<rustix::io::Errno> for HomeError {
    fn from(error: rustix::io::Errno) -> Self {
        match error {
            rustix::io::Errno::LOOP => Self::SymbolicLink,
            error => io::Error::from(error).into(),
        }
    }
}

/// The homes in use, so that all sessions of a user share one count of what is stored. The count
/// is taken anew when a home that nobody uses is opened, since its user's shell writes there too.
#[derive(Debug, Default)]
pub(crate) struct HomeRegistry {
    homes: Mutex<HashMap<PathBuf, Weak<Usage>>>,
}

impl HomeRegistry {
    pub(crate) fn open(&self, directory: &HomeDirectory) -> Result<Home, HomeError> {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        homes.retain(|_, usage| usage.strong_count() > 0);
        let known = homes.get(&directory.path).and_then(Weak::upgrade);
        let root = tree::open_root(&directory.path)?;
        let usage = match known {
            Some(usage) => usage,
            None => {
                let usage = Arc::new(Usage::count(&root, directory.quota)?);
                homes.insert(directory.path.clone(), Arc::downgrade(&usage));
                usage
            }
        };
        Ok(Home::new(root, &directory.shown_as, usage))
    }
}
