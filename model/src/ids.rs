//! Identifiers: each has a type of its own, so that a slot is never taken for a partition number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not an identifier of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a valid {kind}")]
pub struct InvalidIdentifier {
    /// What was expected, in words.
    pub kind: &'static str,
    /// What was given.
    pub text: String,
}

fn invalid(kind: &'static str, text: &str) -> InvalidIdentifier {
    InvalidIdentifier { kind, text: text.to_owned() }
}

/// A partition's number within its managed system, 1 to 65534. It names the partition on the console
/// (`--id`), in DRC names and in location codes (`...-V6-C6`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for PartitionId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u16>() {
            Ok(number)
                if (1..u16::MAX).contains(&number) && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                Ok(Self(number))
            }
            _ => Err(invalid("partition ID", text)),
        }
    }
}

/// A virtual slot number of a partition, 0 to 65534; 0 and 1 hold the virtual serial adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VirtualSlot(pub u16);

impl fmt::Display for VirtualSlot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for VirtualSlot {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u16>() {
            Ok(number) if number < u16::MAX && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Self(number))
            }
            _ => Err(invalid("virtual slot number", text)),
        }
    }
}

/// Number of an SR-IOV adapter in shared mode, from 1 on within its managed system (`adapter_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SriovAdapterId(pub u16);

impl fmt::Display for SriovAdapterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for SriovAdapterId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u16>() {
            Ok(number) if number > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self(number)),
            _ => Err(invalid("SR-IOV adapter ID", text)),
        }
    }
}

/// Number of a physical port of an SR-IOV adapter, from 0 on; port 0 is `T1` (`phys_port_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhysicalPortId(pub u8);

impl fmt::Display for PhysicalPortId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for PhysicalPortId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u8>() {
            Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self(number)),
            _ => Err(invalid("SR-IOV physical port ID", text)),
        }
    }
}

/// An SR-IOV logical port: `0x2700_0000`, 0x4000 for each adapter number, and the port's number on the adapter from 1 on
/// (`logical_port_id`, eight lower-case hexadecimal digits: `27004001`, `2700400b`, `27008005`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogicalPortId(pub u32);

impl LogicalPortId {
    /// The port of that number, from 1 on, on an adapter.
    #[must_use]
    pub fn on(adapter: SriovAdapterId, number: u16) -> Self {
        Self(0x2700_0000 + u32::from(adapter.0) * 0x4000 + u32::from(number))
    }

    /// The adapter that the port is on.
    #[must_use]
    pub fn adapter(self) -> SriovAdapterId {
        SriovAdapterId(u16::try_from((self.0 & 0x00FF_FFFF) / 0x4000).unwrap_or(0))
    }

    /// Number on its adapter, from 1 on: the `S` of the location code.
    #[must_use]
    pub fn number(self) -> u16 {
        u16::try_from(self.0 % 0x4000).unwrap_or(0)
    }
}

impl fmt::Display for LogicalPortId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", self.0)
    }
}

impl FromStr for LogicalPortId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u32::from_str_radix(text, 16) {
            Ok(number) if shape => Ok(Self(number)),
            _ => Err(invalid("SR-IOV logical port ID", text)),
        }
    }
}

macro_rules! universally_unique {
    ($(#[$documentation:meta])* $name:ident, $kind:literal, $case:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// Makes a version 4 identifier of 128 random bits.
            #[must_use]
            pub fn from_random(bits: u128) -> Self {
                Self(bits & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = format!("{:032x}", self.0).$case();
                write!(
                    formatter,
                    "{}-{}-{}-{}-{}",
                    &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]
                )
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let groups: Vec<&str> = text.split('-').collect();
                let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
                if lengths != [8, 4, 4, 4, 12] || !text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
                    return Err(invalid($kind, text));
                }
                u128::from_str_radix(&groups.concat(), 16).map(Self).map_err(|_| invalid($kind, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

universally_unique!(
    /// A partition's UUID; printed in upper case (`lssyscfg -r lpar -F uuid`).
    PartitionUuid,
    "partition UUID",
    to_uppercase
);
universally_unique!(
    /// A managed system's UUID; printed in lower case (`lssyscfg -r sys -F uuid`).
    SystemUuid,
    "managed system UUID",
    to_lowercase
);

/// A MAC address: 12 hexadecimal digits, lower case, no separators (`facc157c3e20`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub u64);

/// A Fibre Channel world-wide port name: 16 hexadecimal digits, lower case (`c050760727c5007a`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorldWidePortName(pub u64);

macro_rules! hexadecimal {
    ($name:ident, $digits:literal, $kind:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.len() != $digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(invalid($kind, text));
                }
                u64::from_str_radix(text, 16).map(Self).map_err(|_| invalid($kind, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hexadecimal!(MacAddress, 12, "MAC address");
hexadecimal!(WorldWidePortName, 16, "world-wide port name");

/// A machine's type, model and serial number, written `8286-41A*2166666` as the console takes it for `-m`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MachineIdentity {
    /// Type and model, four characters, `-`, three characters (`8286-41A`).
    pub type_model: String,
    /// Serial number, seven characters (`2166666`).
    pub serial_number: String,
}

impl fmt::Display for MachineIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}*{}", self.type_model, self.serial_number)
    }
}

impl MachineIdentity {
    /// The machine id that `uname -m` and the error log print as 12 hexadecimal digits: `00C9707C4C00` for serial number
    /// 659707C. The plant's two digits become one (C for 65 and 10, F for the others), the last five follow, 4C is the model
    /// id of all these machines. A letter that is no hexadecimal digit stands for one all the same.
    #[must_use]
    pub fn machine_id(&self) -> u64 {
        let serial = &self.serial_number;
        let plant: u64 = match serial.get(..2) {
            Some("65" | "10") => 0xC,
            _ => 0xF,
        };
        let digits = serial.bytes().skip(2).take(5).fold(0, |number, byte| {
            let digit = char::from(byte).to_digit(16).unwrap_or(u32::from(byte) % 16);
            number << 4 | u64::from(digit)
        });
        (plant << 20 | digits) << 16 | 0x4C00
    }
}

impl FromStr for MachineIdentity {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || invalid("type-model*serial", text);
        let (type_model, serial_number) = text.split_once('*').ok_or_else(wrong)?;
        let (machine_type, model) = type_model.split_once('-').ok_or_else(wrong)?;
        let upper = |part: &str| part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if machine_type.len() != 4 || model.len() != 3 || serial_number.len() != 7 {
            return Err(wrong());
        }
        if !upper(machine_type) || !upper(model) || !upper(serial_number) {
            return Err(wrong());
        }
        Ok(Self { type_model: type_model.to_owned(), serial_number: serial_number.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back_what_they_print() {
        let uuid = "0A1B2C3D-0000-4000-8000-00000000000F";
        assert_eq!(uuid.parse::<PartitionUuid>().expect("valid").to_string(), uuid);
        assert_eq!("facc157c3e20".parse::<MacAddress>().expect("valid").to_string(), "facc157c3e20");
        assert_eq!(
            "c050760727c5007a".parse::<WorldWidePortName>().expect("valid").to_string(),
            "c050760727c5007a"
        );
        assert_eq!(
            "8286-41A*2166666".parse::<MachineIdentity>().expect("valid").to_string(),
            "8286-41A*2166666"
        );
    }

    #[test]
    fn machine_ids() {
        for (machine, expected) in [
            ("9119-MME*659707C", "00C9707C4C00"),
            ("8202-E4C*066BCD6", "00F6BCD64C00"),
            ("8286-41A*2166666", "00F666664C00"),
        ] {
            let machine: MachineIdentity = machine.parse().expect("valid");
            assert_eq!(format!("{:012X}", machine.machine_id()), expected);
        }
    }

    #[test]
    fn malformed_identifiers_are_refused() {
        for text in ["", "0", "65535", "+1", " 1", "1x"] {
            assert!(text.parse::<PartitionId>().is_err(), "{text:?}");
        }
        for text in ["", "8286-41A", "8286-41*2166666", "8286-41A*216666", "8286-41a*2166666"] {
            assert!(text.parse::<MachineIdentity>().is_err(), "{text:?}");
        }
        assert!("fa:cc:15:7c:3e:20".parse::<MacAddress>().is_err());
        assert!("0A1B2C3D-0000-4000-8000-00000000000".parse::<PartitionUuid>().is_err());
    }

    #[test]
    fn random_identifiers_carry_the_version() {
        assert_eq!(PartitionUuid::from_random(u128::MAX).to_string(), "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF");
    }
}
