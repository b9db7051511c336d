//! What only IBM i partitions have: devices that are found by a tag, and OptiConnect.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::VirtualSlot;
use crate::units::ProcessingUnits;

/// Most that `virtual_opti_pool_id` can be.
pub const VIRTUAL_OPTICONNECT_POOLS_MAX: u16 = 255;
/// A number of up to so many digits is a virtual slot, a longer one a DRC index.
const SLOT_DIGITS_MAX: usize = 5;
/// Hexadecimal digits of a DRC index.
const DRC_INDEX_DIGITS: usize = 8;

/// Where a tagged device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaggedSlot {
    /// Nowhere (`none`).
    #[default]
    None,
    /// The management console itself (`hmc`); only the console device can be there.
    Console,
    /// In a virtual slot of the partition.
    Virtual(VirtualSlot),
    /// In a physical slot, by its DRC index.
    Physical(u32),
}

impl fmt::Display for TaggedSlot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Console => formatter.write_str("hmc"),
            Self::Virtual(slot) => slot.fmt(formatter),
            Self::Physical(index) => write!(formatter, "{index:08X}"),
        }
    }
}

/// A text that is no tagged slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTaggedSlot;

impl FromStr for TaggedSlot {
    type Err = NoTaggedSlot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "hmc" => Ok(Self::Console),
            _ if text.len() == DRC_INDEX_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u32::from_str_radix(text, 16).map(Self::Physical).map_err(|_| NoTaggedSlot)
            }
            _ if (1..=SLOT_DIGITS_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                text.parse().map(|slot| Self::Virtual(VirtualSlot(slot))).map_err(|_| NoTaggedSlot)
            }
            _ => Err(NoTaggedSlot),
        }
    }
}

/// What only the configuration of an IBM i partition states. The default is that of every other partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IbmIConfiguration {
    /// Slot of the load source (`load_source_slot`).
    pub load_source: TaggedSlot,
    /// Slot of the alternate restart device (`alt_restart_device_slot`).
    pub alternate_restart: TaggedSlot,
    /// Slot of the console (`console_slot`).
    pub console: TaggedSlot,
    /// Slot of the alternate console (`alt_console_slot`).
    pub alternate_console: TaggedSlot,
    /// Slot of the operations console (`op_console_slot`).
    pub operations_console: TaggedSlot,
    /// Least share of the system's 5250 capacity, in percent (`min_5250_cpw_percent`).
    #[serde(default)]
    pub minimum_interactive: ProcessingUnits,
    /// Wished or assigned share (`desired_5250_cpw_percent`).
    #[serde(default)]
    pub desired_interactive: ProcessingUnits,
    /// Most (`max_5250_cpw_percent`).
    #[serde(default)]
    pub maximum_interactive: ProcessingUnits,
    /// Virtual OptiConnect pool, 0 for none (`virtual_opti_pool_id`).
    pub virtual_opticonnect_pool: u16,
    /// HSL OptiConnect (`hsl_pool_id`, 0 or 1).
    pub hsl_opticonnect: bool,
}

impl IbmIConfiguration {
    /// The tagged devices by the names of their attributes.
    #[must_use]
    pub fn tags(&self) -> [(&'static str, TaggedSlot); 5] {
        [
            ("load_source_slot", self.load_source),
            ("alt_restart_device_slot", self.alternate_restart),
            ("console_slot", self.console),
            ("alt_console_slot", self.alternate_console),
            ("op_console_slot", self.operations_console),
        ]
    }

    /// Shares of 5250 capacity by the names of their attributes.
    #[must_use]
    pub fn interactive(&self) -> [(&'static str, ProcessingUnits); 3] {
        [
            ("min_5250_cpw_percent", self.minimum_interactive),
            ("desired_5250_cpw_percent", self.desired_interactive),
            ("max_5250_cpw_percent", self.maximum_interactive),
        ]
    }

    /// The tagged device of an attribute.
    pub fn tag_mut(&mut self, name: &str) -> Option<&mut TaggedSlot> {
        Some(match name {
            "load_source_slot" => &mut self.load_source,
            "alt_restart_device_slot" => &mut self.alternate_restart,
            "console_slot" => &mut self.console,
            "alt_console_slot" => &mut self.alternate_console,
            "op_console_slot" => &mut self.operations_console,
            _ => return None,
        })
    }

    /// The first attribute that states something.
    #[must_use]
    pub fn stated(&self) -> Option<&'static str> {
        let tag = self.tags().into_iter().find(|(_, slot)| *slot != TaggedSlot::None).map(|(name, _)| name);
        let interactive = self.interactive().into_iter().find(|(_, share)| share.0 != 0);
        tag.or(interactive.map(|(name, _)| name))
            .or((self.virtual_opticonnect_pool != 0).then_some("virtual_opti_pool_id"))
            .or(self.hsl_opticonnect.then_some("hsl_pool_id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tagged_slots_read_and_print() {
        for (text, slot) in [
            ("none", TaggedSlot::None),
            ("hmc", TaggedSlot::Console),
            ("0", TaggedSlot::Virtual(VirtualSlot(0))),
            ("12", TaggedSlot::Virtual(VirtualSlot(12))),
            ("21010200", TaggedSlot::Physical(0x2101_0200)),
        ] {
            assert_eq!(text.parse(), Ok(slot), "{text}");
            assert_eq!(slot.to_string(), text);
        }
        for text in ["", "HMC", "-1", "70000", "123456", "2101020G", "210102000", "1 "] {
            assert_eq!(text.parse::<TaggedSlot>(), Err(NoTaggedSlot), "{text}");
        }
    }

    #[test]
    fn only_what_differs_is_stated() {
        let mut content = IbmIConfiguration::default();
        assert_eq!(content.stated(), None);
        content.hsl_opticonnect = true;
        assert_eq!(content.stated(), Some("hsl_pool_id"));
        *content.tag_mut("console_slot").expect("a tag") = TaggedSlot::Console;
        assert_eq!(content.stated(), Some("console_slot"));
        assert_eq!(content.tag_mut("slot"), None);
    }
}
