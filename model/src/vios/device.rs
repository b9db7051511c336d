//! The device tree: what a Virtual I/O Server has, under which names.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::kinds::DeviceKind;
use super::mapping::Backing;
use super::storage::{FibreChannelPort, ReservePolicy};
use crate::ids::{InvalidIdentifier, LogicalPortId, MacAddress, PartitionId, VirtualSlot, WorldWidePortName};
use crate::site::{LogicalUnitNumber, PhysicalVolumeIdentifier, Udid};

/// Longest name of a device (AIX: 15 bytes).
pub const DEVICE_NAME_MAX: usize = 15;

/// The name of a device: `hdisk0`, `vhost12`, or one that a user gave (`-dev`): a letter, then letters, digits and `_`,
/// `-`, `.`; at most [`DEVICE_NAME_MAX`] bytes where a user gives it. Names sort by prefix and number: `hdisk2` before
/// `hdisk10`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceName(String);

impl DeviceName {
    /// A name that this program made itself.
    #[must_use]
    pub fn numbered(prefix: &str, number: u32) -> Self {
        Self(format!("{prefix}{number}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Prefix and number: `hdisk` and 12; no number where the name does not end with digits that fit.
    #[must_use]
    pub fn parts(&self) -> (&str, Option<u32>) {
        let digits = self.0.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (prefix, number) = self.0.split_at(self.0.len() - digits);
        match number.parse() {
            Ok(number) if digits == 1 || !number_has_zero(&self.0[prefix.len()..]) => (prefix, Some(number)),
            _ => (&self.0, None),
        }
    }
}

fn number_has_zero(digits: &str) -> bool {
    digits.starts_with('0')
}

impl std::str::FromStr for DeviceName {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if first && rest && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdentifier { kind: "device name", text: text.to_owned() })
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl PartialOrd for DeviceName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DeviceName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts()).then_with(|| self.0.cmp(&other.0))
    }
}

/// Whether a device can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceState {
    /// Known to the object data base, not configured.
    Defined,
    /// Configured and usable.
    Available,
}

impl DeviceState {
    /// `Defined` or `Available`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Defined => "Defined",
            Self::Available => "Available",
        }
    }
}

/// A device. Durable: names and attributes survive a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Name.
    pub name: DeviceName,
    /// Kind: class, description, attributes.
    pub kind: DeviceKind,
    /// State.
    pub state: DeviceState,
    /// Physical location code (`U8286.41A.21AFF8V-V2-C40`); empty for pseudo devices.
    pub location: String,
    /// Device that it hangs on.
    pub parent: Option<DeviceName>,
    /// The description where it is not that of the kind.
    pub description: Option<String>,
    /// Attributes in force that differ from the kind's defaults.
    pub attributes: BTreeMap<String, String>,
    /// Attributes that are only recorded (`chdev -perm`): in force once the device is configured again.
    pub pending: BTreeMap<String, String>,
    /// What is particular to the device.
    pub detail: DeviceDetail,
}

impl Device {
    /// The description that listings show.
    #[must_use]
    pub fn description(&self) -> &str {
        self.description.as_deref().unwrap_or_else(|| self.kind.description())
    }

    /// An attribute's value in force: the device's own, else the kind's default; `None` where the kind has no such attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(value) => Some(value),
            None => self.kind.attribute(name).map(|definition| definition.default),
        }
    }

    /// The virtual slot of a virtual adapter.
    #[must_use]
    pub fn virtual_slot(&self) -> Option<VirtualSlot> {
        match &self.detail {
            DeviceDetail::VirtualAdapter { slot } => Some(*slot),
            DeviceDetail::Ethernet { slot, .. } => *slot,
            _ => None,
        }
    }
}

/// What is particular to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceDetail {
    /// Nothing.
    None,
    /// A port of a physical Fibre Channel adapter.
    FibreChannel(FibreChannelPort),
    /// A virtual SCSI or virtual Fibre Channel server adapter.
    VirtualAdapter {
        /// Slot.
        slot: VirtualSlot,
    },
    /// An Ethernet adapter.
    Ethernet {
        /// MAC address.
        mac_address: MacAddress,
        /// Virtual slot; `None` for a physical port.
        slot: Option<VirtualSlot>,
        /// Number of an SR-IOV logical port.
        #[serde(default)]
        logical_port: Option<LogicalPortId>,
    },
    /// A disk.
    Disk(DiskDetail),
    /// A virtual target device: what a client sees as a disk or a drive.
    VirtualTarget(VirtualTarget),
}

/// A disk as its device knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskDetail {
    /// Unique identifier, the same on every server.
    pub udid: Udid,
    /// Size in MB.
    pub megabytes: u64,
    /// The PVID that is on the disk, as read when it was configured last.
    pub pvid: Option<PhysicalVolumeIdentifier>,
    /// Storage port and logical unit number of a disk of the SAN; `None` for a local one.
    pub fabric: Option<(WorldWidePortName, LogicalUnitNumber)>,
    /// How the device reserves the disk when it is opened.
    pub reserve_policy: ReservePolicy,
}

/// A virtual target device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualTarget {
    /// Logical unit number: `0x8100000000000000` and on.
    pub lun: u64,
    /// What backs it.
    pub backing: Backing,
    /// Secondary of a mirrored pair (`-attr mirrored=true`).
    pub mirrored: bool,
    /// Partition number of the client that used it last; 0 when none ever did.
    pub last_client: PartitionId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_number() {
        let mut names: Vec<DeviceName> =
            ["hdisk10", "hdisk2", "fcs0", "vopt_x", "hdiskpower3", "hdisk0", "a01"]
                .iter()
                .map(|name| name.parse().expect("name"))
                .collect();
        names.sort();
        let names: Vec<&str> = names.iter().map(DeviceName::as_str).collect();
        assert_eq!(names, ["a01", "fcs0", "hdisk0", "hdisk2", "hdisk10", "hdiskpower3", "vopt_x"]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "0disk", "a/b", "a b", "-x", "x:y"] {
            assert!(text.parse::<DeviceName>().is_err(), "{text}");
        }
    }
}
