//! Identifiers of hardware that only the site file gives out: places, disks, networks.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidIdentifier;

fn invalid(kind: &'static str, text: &str) -> InvalidIdentifier {
    InvalidIdentifier { kind, text: text.to_owned() }
}

/// A unit (enclosure) by its location code, `U78CA.001.CSS08ZN`: `U`, feature or type code, sequence or
/// model, serial number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitLocationCode(String);

impl UnitLocationCode {
    /// Stands for the unit while a unit template is checked by itself.
    pub(super) fn of_template() -> Self {
        Self("U0000.000.0000000".to_owned())
    }

    /// The location code of a place in this unit, from its labels (`P1-C6-T1`).
    #[must_use]
    pub fn place(&self, labels: &LocationLabels) -> LocationCode {
        LocationCode { unit: self.clone(), labels: labels.clone() }
    }
}

impl fmt::Display for UnitLocationCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for UnitLocationCode {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.strip_prefix('U').unwrap_or_default().split('.').collect();
        let word = |part: &&str| part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        if lengths != [4, 3, 7] || !parts.iter().all(word) {
            return Err(invalid("unit location code", text));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Labels inside a unit, from the planar down: `P1-C6`, `P1-C3-C1`, `P2-D4`, `P1-C6-T1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocationLabels(String);

impl LocationLabels {
    /// The labels of a port of the adapter at these labels; ports count from 1.
    #[must_use]
    pub fn port(&self, number: usize) -> Self {
        Self(format!("{}-T{number}", self.0))
    }
}

impl fmt::Display for LocationLabels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for LocationLabels {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        /// Deeper than any machine nests planars, cards, ports and disks.
        const LABELS_MAX: usize = 8;
        let label = |label: &str| {
            let bytes = label.as_bytes();
            (2..=4).contains(&bytes.len())
                && bytes[0].is_ascii_uppercase()
                && bytes[1..].iter().all(u8::is_ascii_digit)
        };
        if !text.starts_with('P') || text.split('-').count() > LABELS_MAX || !text.split('-').all(label) {
            return Err(invalid("location in a unit", text));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A physical location code, `U78CA.001.CSS08ZN-P1-C3-C1-T2`: a unit and the labels inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocationCode {
    /// The unit.
    pub unit: UnitLocationCode,
    /// The place inside the unit.
    pub labels: LocationLabels,
}

impl LocationCode {
    /// The location code of a port of the adapter at this place; ports count from 1.
    #[must_use]
    pub fn port(&self, number: usize) -> Self {
        self.unit.place(&self.labels.port(number))
    }
}

impl fmt::Display for LocationCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.unit, self.labels)
    }
}

impl FromStr for LocationCode {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || invalid("location code", text);
        let (unit, labels) = text.split_once('-').ok_or_else(wrong)?;
        let unit = unit.parse().map_err(|_| wrong())?;
        Ok(Self { unit, labels: labels.parse().map_err(|_| wrong())? })
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(LocationCode, DrcIndex, PhysicalVolumeIdentifier, LogicalUnitNumber, Ipv4Network);

/// A DRC index: eight hexadecimal digits (`21010200`) by which the console names a physical slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrcIndex(pub u32);

impl fmt::Display for DrcIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", self.0)
    }
}

impl FromStr for DrcIndex {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fixed_hexadecimal(text, 8, "DRC index")
            .and_then(|bits| u32::try_from(bits).map(Self).map_err(|_| invalid("DRC index", text)))
    }
}

fn fixed_hexadecimal(text: &str, digits: usize, kind: &'static str) -> Result<u64, InvalidIdentifier> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid(kind, text));
    }
    u64::from_str_radix(text, 16).map_err(|_| invalid(kind, text))
}

/// The identifier that AIX writes on a disk (PVID): 16 hexadecimal digits (`00ced82ce999d6f3`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysicalVolumeIdentifier(pub u64);

impl fmt::Display for PhysicalVolumeIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl FromStr for PhysicalVolumeIdentifier {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fixed_hexadecimal(text, 16, "physical volume identifier").map(Self)
    }
}

/// A SCSI logical unit number as location codes print it after `-L`: hexadecimal, upper case, without
/// leading zeros (`3E5000000000000`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogicalUnitNumber(pub u64);

impl fmt::Display for LogicalUnitNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}", self.0)
    }
}

impl FromStr for LogicalUnitNumber {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 16 {
            return Err(invalid("logical unit number", text));
        }
        fixed_hexadecimal(text, text.len(), "logical unit number").map(Self)
    }
}

/// A disk's unique identifier as a Virtual I/O Server prints it
/// (`33213600507680C800010E0000000000003FA04214503IBMfcp`, `1D06020F6709SYMMETRIX03EMCfcp`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Udid(String);

impl fmt::Display for Udid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Udid {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        /// Longer than any that the seeds or the manuals show.
        const LENGTH_MAX: usize = 80;
        let fits = (8..=LENGTH_MAX).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(invalid("UDID", text));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An IPv4 network, `10.20.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Network {
    /// The network's address; the bits beyond the prefix are zero.
    pub address: Ipv4Addr,
    /// Prefix length in bits, 8 to 30.
    pub prefix_length: u8,
}

impl Ipv4Network {
    fn mask(self) -> u32 {
        u32::MAX << (32 - u32::from(self.prefix_length))
    }

    /// True where the address can be given to a host of this network: neither its first nor its last.
    #[must_use]
    pub fn holds_host(self, address: Ipv4Addr) -> bool {
        let bits = address.to_bits();
        let host = bits & !self.mask();
        bits & self.mask() == self.address.to_bits() && host != 0 && host != !self.mask()
    }

    /// The number of host addresses.
    #[must_use]
    pub fn host_count(self) -> u32 {
        !self.mask() - 1
    }

    /// The address of a host by its number from 1; `None` beyond the network.
    #[must_use]
    pub fn host(self, number: u32) -> Option<Ipv4Addr> {
        let fits = (1..=self.host_count()).contains(&number);
        fits.then(|| Ipv4Addr::from_bits(self.address.to_bits() | number))
    }
}

impl fmt::Display for Ipv4Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_length)
    }
}

impl FromStr for Ipv4Network {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || invalid("IPv4 network", text);
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix_length: u8 = length.parse().map_err(|_| wrong())?;
        // Below 8 no private network exists; above 30 there is no room for two hosts.
        if !(8..=30).contains(&prefix_length) || length.starts_with(['+', '0']) {
            return Err(wrong());
        }
        let network = Self { address, prefix_length };
        if address.to_bits() & !network.mask() != 0 {
            return Err(wrong());
        }
        Ok(network)
    }
}

/// Makes 64 bits from a text, the same for the same text in every release (FNV-1a).
pub(super) fn stable_bits(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |bits, byte| {
        (bits ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
