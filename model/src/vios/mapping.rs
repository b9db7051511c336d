//! What is served to whom, as `lsmap` shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::device::{DeviceName, DeviceState};
use crate::ids::{PartitionId, WorldWidePortName};

/// Kinds of backing devices (`lsmap -type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BackingKind {
    /// `disk`.
    Disk,
    /// `lv`.
    LogicalVolume,
    /// `optical`: a physical drive.
    Optical,
    /// `tape`.
    Tape,
    /// `file`: a file of any kind, disk or medium.
    File,
    /// `file_disk`.
    FileDisk,
    /// `file_opt`.
    FileOptical,
    /// `cl_disk`: a unit of a shared storage pool.
    ClusterDisk,
    /// `usb_disk`.
    UsbDisk,
}

impl BackingKind {
    /// Every kind, in the order of the manual.
    pub const ALL: [Self; 9] = [
        Self::Disk,
        Self::LogicalVolume,
        Self::Optical,
        Self::Tape,
        Self::File,
        Self::FileDisk,
        Self::FileOptical,
        Self::ClusterDisk,
        Self::UsbDisk,
    ];

    /// The word of `-type`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::LogicalVolume => "lv",
            Self::Optical => "optical",
            Self::Tape => "tape",
            Self::File => "file",
            Self::FileDisk => "file_disk",
            Self::FileOptical => "file_opt",
            Self::ClusterDisk => "cl_disk",
            Self::UsbDisk => "usb_disk",
        }
    }

    /// Whether a listing of this kind shows a device of `kind`: `file` covers both kinds of files.
    #[must_use]
    pub fn covers(self, kind: Self) -> bool {
        self == kind || (self == Self::File && matches!(kind, Self::FileDisk | Self::FileOptical))
    }
}

/// What backs a virtual target device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backing {
    /// A disk.
    Disk(DeviceName),
    /// A logical volume.
    LogicalVolume(String),
    /// A file of a file pool.
    File {
        /// Pool.
        pool: String,
        /// File.
        name: String,
    },
    /// A medium of the repository, or an empty drive.
    Medium(Option<String>),
    /// A physical optical drive.
    Drive(DeviceName),
    /// A unit of a shared storage pool: name and 32 hexadecimal digits.
    Unit {
        /// Name.
        name: String,
        /// Identifier.
        identifier: u128,
    },
}

impl Backing {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> BackingKind {
        match self {
            Self::Disk(_) => BackingKind::Disk,
            Self::LogicalVolume(_) => BackingKind::LogicalVolume,
            Self::File { .. } => BackingKind::FileDisk,
            Self::Medium(_) => BackingKind::FileOptical,
            Self::Drive(_) => BackingKind::Optical,
            Self::Unit { .. } => BackingKind::ClusterDisk,
        }
    }
}

impl fmt::Display for Backing {
    /// As `lsmap` prints it in `Backing device`; an empty drive prints nothing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(name) | Self::Drive(name) => name.fmt(formatter),
            Self::LogicalVolume(name) => formatter.write_str(name),
            Self::File { pool, name } => write!(formatter, "/var/vio/storagepools/{pool}/{name}"),
            Self::Medium(Some(name)) => write!(formatter, "/var/vio/VMLibrary/{name}"),
            Self::Medium(None) => Ok(()),
            Self::Unit { name, identifier } => write!(formatter, "{name}.{identifier:032x}"),
        }
    }
}

/// One virtual target device of a server adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetMapping {
    /// Virtual target device.
    pub name: DeviceName,
    /// State.
    pub state: DeviceState,
    /// Logical unit number.
    pub lun: u64,
    /// What backs it.
    pub backing: Backing,
    /// Physical location of the backing device; empty for files and logical volumes.
    pub backing_location: String,
    /// Whether it is mirrored; `None` prints `N/A`: files and logical volumes.
    pub mirrored: Option<bool>,
}

/// A virtual SCSI server adapter and what it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScsiMapping {
    /// Server adapter.
    pub adapter: DeviceName,
    /// Its location code.
    pub location: String,
    /// Number of the client; `None` (printed as 0) when no client ever connected.
    pub client: Option<PartitionId>,
    /// Virtual target devices in the order of their logical unit numbers.
    pub targets: Vec<TargetMapping>,
}

/// `Status` of a virtual Fibre Channel server adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PortStatus {
    /// The client is logged in.
    LoggedIn,
    /// It is not.
    NotLoggedIn,
}

impl PortStatus {
    /// The word of `lsmap -npiv`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LoggedIn => "LOGGED_IN",
            Self::NotLoggedIn => "NOT_LOGGED_IN",
        }
    }
}

/// `Flags` of a virtual Fibre Channel server adapter. Captured: `a<LOGGED_IN,STRIP_MERGE>`,
/// `1<NOT_MAPPED,NOT_CONNECTED>`, `4<NOT_LOGGED>`; the rest follows from their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VirtualFibreChannelFlags(pub u32);

impl VirtualFibreChannelFlags {
    /// No physical port is mapped.
    pub const NOT_MAPPED: u32 = 0x1;
    /// The client is logged in to the fabric.
    pub const LOGGED_IN: u32 = 0x2;
    /// A client is connected, but not logged in.
    pub const NOT_LOGGED: u32 = 0x4;
    /// The transport strips and merges frames; set with a log-in.
    pub const STRIP_MERGE: u32 = 0x8;
}

impl fmt::Display for VirtualFibreChannelFlags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (bit, word) in [
            (Self::NOT_MAPPED, "NOT_MAPPED"),
            (Self::LOGGED_IN, "LOGGED_IN"),
            (Self::NOT_LOGGED, "NOT_LOGGED"),
            (Self::STRIP_MERGE, "STRIP_MERGE"),
        ] {
            if self.0 & bit != 0 {
                words.push(word);
            }
        }
        if self.0 == Self::NOT_MAPPED {
            words.push("NOT_CONNECTED");
        }
        write!(formatter, "{:x}<{}>", self.0, words.join(","))
    }
}

/// A virtual Fibre Channel server adapter, the port behind it and the client before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FibreChannelMapping {
    /// Server adapter.
    pub adapter: DeviceName,
    /// Its location code.
    pub location: String,
    /// Number of the client that the adapter is for.
    pub client: Option<PartitionId>,
    /// The client's name; empty until it connected.
    pub client_name: String,
    /// The client's operating system (`AIX`, `Linux`); empty until it connected.
    pub client_operating_system: String,
    /// Status.
    pub status: PortStatus,
    /// Physical port and its location code, where one is mapped.
    pub port: Option<(DeviceName, String)>,
    /// Port names that are logged in to the fabric.
    pub names_logged_in: Vec<WorldWidePortName>,
    /// Ports that the client sees on the fabric, its own among them (`Ports logged in`).
    pub ports_logged_in: u32,
    /// Flags.
    pub flags: VirtualFibreChannelFlags,
    /// The client's device (`fcs0`); empty until it connected.
    pub client_device: String,
    /// The client adapter's location code; empty until it connected.
    pub client_location: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_as_captured() {
        assert_eq!(VirtualFibreChannelFlags(0xa).to_string(), "a<LOGGED_IN,STRIP_MERGE>");
        assert_eq!(VirtualFibreChannelFlags(1).to_string(), "1<NOT_MAPPED,NOT_CONNECTED>");
        assert_eq!(VirtualFibreChannelFlags(4).to_string(), "4<NOT_LOGGED>");
    }

    #[test]
    fn file_covers_disks_and_media() {
        assert!(
            BackingKind::File.covers(BackingKind::FileOptical)
                && BackingKind::File.covers(BackingKind::FileDisk)
        );
        assert!(!BackingKind::Disk.covers(BackingKind::FileDisk));
    }
}
