//! The directory of one guest's process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Result};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use varan_contract::engine::{Generation, GuestState, ProcessorAllocation};
use varan_model::ids::PartitionUuid;

pub(crate) const QMP_SOCKET: &str = "qmp.sock";
pub(crate) const CONSOLE_SOCKET: &str = "console.sock";
pub(crate) const PID_FILE: &str = "qemu.pid";
const LOG_FILE: &str = "qemu.log";
const LOCK_FILE: &str = "lock";
const RECORD_FILE: &str = "guest.json";
/// Bytes of QEMU's last words that are shown.
const LAST_WORDS_BYTES: usize = 400;

/// What a process runs. Written while the lock is held and before the process exists, so that a held lock says that the
/// record is true. Not made durable: a host that loses its power loses the process too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GuestRecord {
    pub(crate) partition: PartitionUuid,
    pub(crate) generation: Generation,
    pub(crate) memory_megabytes: u64,
    pub(crate) processors: ProcessorAllocation,
    /// What was reported last: starting, at the firmware's prompt, or running.
    pub(crate) state: GuestState,
}

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct GuestDirectory {
    path: PathBuf,
}

impl GuestDirectory {
    /// Makes the directory of a partition under `root`.
    pub(crate) fn make(root: &Path, partition: PartitionUuid) -> Result<Self> {
        let path = root.join(partition.to_string());
        std::fs::create_dir_all(&path)?;
        Ok(Self { path: std::fs::canonicalize(path)? })
    }

    /// Directories under `root`, in the order of their names.
    pub(crate) fn all(root: &Path) -> Vec<Self> {
        let entries = match std::fs::read_dir(root) {
            Ok(entries) => entries,
            // No guest was ever started here.
            Err(_) => return Vec::new(),
        };
        let paths = entries.filter_map(|entry| std::fs::canonicalize(entry.ok()?.path()).ok());
        let mut found: Vec<Self> = paths.map(|path| Self { path }).collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock, if no process has it. A process inherits it and keeps it until its end.
    pub(crate) fn try_lock(&self) -> Result<Option<File>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(self.path.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(crate) fn read_record(&self) -> Result<GuestRecord> {
        Ok(serde_json::from_slice(&std::fs::read(self.path.join(RECORD_FILE))?)?)
    }

    pub(crate) fn write_record(&self, record: &GuestRecord) -> Result<()> {
        let fresh = self.path.join("guest.json.new");
        std::fs::write(&fresh, serde_json::to_vec(record)?)?;
        std::fs::rename(fresh, self.path.join(RECORD_FILE))
    }

    /// Removes what the process before left behind. Only for who has the lock; the lock itself stays, since a removed one
    /// could be held by one process and made anew by another.
    pub(crate) fn clear(&self) {
        for name in [QMP_SOCKET, CONSOLE_SOCKET, PID_FILE, RECORD_FILE] {
            // What is not there need not be removed.
            let _ = std::fs::remove_file(self.path.join(name));
        }
    }

    /// An empty log for a new process.
    pub(crate) fn make_log(&self) -> Result<File> {
        File::create(self.path.join(LOG_FILE))
    }

    /// The last line of the log; empty if there is none.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read(self.path.join(LOG_FILE)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[log.len().saturating_sub(LAST_WORDS_BYTES)..]).into_owned();
        log.trim_end().lines().last().unwrap_or_default().to_owned()
    }

    /// The process id in the pid file.
    pub(crate) fn read_pid(&self) -> Result<i32> {
        let text = std::fs::read_to_string(self.path.join(PID_FILE))?;
        text.trim().parse().map_err(|_| ErrorKind::InvalidData.into())
    }

    /// Connects to a socket of the directory. Paths of sockets are short, data directories may be long: the way leads
    /// through the open directory.
    pub(crate) fn connect(&self, socket: &str) -> Result<UnixStream> {
        let directory = File::open(&self.path)?;
        let stream = UnixStream::connect(format!("/proc/self/fd/{}/{socket}", directory.as_raw_fd()))?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_the_last_copy_is_closed() {
        let root = std::env::temp_dir().join(format!("varan-qemu-lock-{}", std::process::id()));
        let directory = GuestDirectory::make(&root, PartitionUuid::from_random(7)).expect("directory");
        let first = directory.try_lock().expect("lock").expect("free");
        let copy = first.try_clone().expect("copy");
        assert!(directory.try_lock().expect("lock").is_none());
        drop(first);
        assert!(directory.try_lock().expect("lock").is_none());
        drop(copy);
        assert!(directory.try_lock().expect("lock").is_some());
        assert_eq!(GuestDirectory::all(&root).len(), 1);
        assert!(GuestDirectory::all(&root.join("none")).is_empty());
        std::fs::remove_dir_all(root).expect("clean");
    }

    #[test]
    fn a_socket_is_reached_whatever_the_length_of_its_path() {
        let root =
            std::env::temp_dir().join(format!("varan-qemu-{}-{}", "long".repeat(40), std::process::id()));
        let directory = GuestDirectory::make(&root, PartitionUuid::from_random(8)).expect("directory");
        let open = File::open(directory.path()).expect("open");
        let path = format!("/proc/self/fd/{}/{QMP_SOCKET}", open.as_raw_fd());
        let _listener = std::os::unix::net::UnixListener::bind(path).expect("bind");
        directory.connect(QMP_SOCKET).expect("connect");
        assert!(directory.connect(CONSOLE_SOCKET).is_err());
        std::fs::remove_dir_all(root).expect("clean");
    }
}
