//! The virtual media repository.

use serde::{Deserialize, Serialize};

use super::device::DeviceName;

/// Longest name of a medium.
pub const MEDIUM_NAME_MAX: usize = 37;

/// Access to a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaAccess {
    /// `ro`: a DVD-ROM; may be loaded in several drives.
    ReadOnly,
    /// `rw`: a DVD-RAM; in one drive at a time.
    ReadWrite,
}

impl MediaAccess {
    /// `ro` or `rw`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        }
    }
}

/// A medium of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// Name: a file in `/var/vio/VMLibrary`.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Access.
    pub access: MediaAccess,
    /// Drives that it is loaded in.
    pub drives: Vec<DeviceName>,
}

impl Medium {
    /// Size in MB, rounded up as `lsrep` does.
    #[must_use]
    pub fn megabytes(&self) -> u64 {
        self.bytes.div_ceil(1 << 20).max(1)
    }
}

/// The repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Storage pool that it lies in.
    pub parent: String,
    /// Size in MB.
    pub megabytes: u64,
    /// Free in MB.
    pub free_megabytes: u64,
    /// Size of the parent pool in MB.
    pub parent_megabytes: u64,
    /// Free in the parent pool in MB.
    pub parent_free_megabytes: u64,
    /// Media by name.
    pub media: Vec<Medium>,
}
