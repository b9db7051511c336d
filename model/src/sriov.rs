//! SR-IOV adapters: what a machine has, how they are set up, and the logical ports that partitions get of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::adapters::{Element, ElementError, NameOf};
use crate::ids::{InvalidIdentifier, LogicalPortId, MacAddress, PhysicalPortId, SriovAdapterId, VirtualSlot};
pub use crate::site::SriovPortType;

/// A share of a physical port in hundredths of a percent: `2.0` is 200. Prints as the console does, with at least one
/// decimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capacity(pub u16);

impl Capacity {
    /// The whole port.
    pub const WHOLE: Self = Self(10_000);
}

impl fmt::Display for Capacity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 100, self.0 % 100);
        if fraction.is_multiple_of(10) {
            write!(formatter, "{whole}.{}", fraction / 10)
        } else {
            write!(formatter, "{whole}.{fraction:02}")
        }
    }
}

impl FromStr for Capacity {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InvalidIdentifier { kind: "capacity in percent", text: text.to_owned() };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 3 || fraction.len() > 2 {
            return Err(wrong());
        }
        let hundredths: u16 = format!("{fraction:0<2}").parse().map_err(|_| wrong())?;
        let whole: u16 = whole.parse().map_err(|_| wrong())?;
        Ok(Self(whole * 100 + hundredths))
    }
}

/// An SR-IOV adapter as the site file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SriovAdapterDescription {
    /// Number in shared mode, where nobody asks for another.
    pub adapter: SriovAdapterId,
    /// DRC index of its slot: its name while it is dedicated.
    pub drc_index: u32,
    /// Location code of its slot.
    pub location: String,
    /// What it is, in words.
    pub description: String,
    /// In shared mode when the machine is delivered.
    pub shared: bool,
    /// Most logical ports.
    pub maximum_logical_ports: u16,
    /// Smallest step of a logical port's capacity.
    pub granularity: Capacity,
    /// Physical ports; number 0 is `T1`.
    pub ports: Vec<SriovPortDescription>,
}

/// A physical port of an SR-IOV adapter as the site file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SriovPortDescription {
    /// Location code.
    pub location: String,
    /// Burned-in address.
    pub mac_address: MacAddress,
    /// Speed in Mbit/s.
    pub speed: u32,
    /// Label at first.
    pub label: String,
    /// Sublabel at first.
    pub sub_label: String,
    /// Protocol.
    pub kind: SriovPortType,
    /// Most logical ports.
    pub maximum_logical_ports: u16,
}

/// How a physical port is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SriovPortSettings {
    /// `phys_port_label`; empty for none.
    pub label: String,
    /// `phys_port_sub_label`; empty for none.
    pub sub_label: String,
    /// Wished speed in Mbit/s; `None` lets the ends agree (`auto`).
    pub speed: Option<u32>,
    /// Largest payload of a frame in bytes: 1500 or 9000.
    pub maximum_payload: u16,
    /// Accepts pause frames.
    pub receive_flow_control: bool,
    /// Sends pause frames.
    pub transmit_flow_control: bool,
    /// The port passes frames between its own logical ports (`veb_mode`), else all of them go out (`vepa_mode`).
    pub bridge: bool,
    /// Most Ethernet logical ports that may be configured.
    pub maximum_ethernet_ports: u16,
}

/// How an SR-IOV adapter is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SriovAdapterSettings {
    /// Number in shared mode; `None` while it is dedicated.
    pub adapter: Option<SriovAdapterId>,
    /// Physical ports.
    pub ports: Vec<SriovPortSettings>,
}

impl SriovAdapterDescription {
    /// How the adapter is set up when the machine is delivered.
    #[must_use]
    pub fn delivered(&self) -> SriovAdapterSettings {
        let port = |port: &SriovPortDescription| SriovPortSettings {
            label: port.label.clone(),
            sub_label: port.sub_label.clone(),
            speed: None,
            maximum_payload: 1_500,
            receive_flow_control: false,
            transmit_flow_control: false,
            bridge: true,
            maximum_ethernet_ports: port.maximum_logical_ports,
        };
        SriovAdapterSettings {
            adapter: self.shared.then_some(self.adapter),
            ports: self.ports.iter().map(port).collect(),
        }
    }
}

/// Whether a text is `all`, `none` or a list of which every element passes.
fn is_list(text: &str, valid: impl Fn(&str) -> bool) -> bool {
    matches!(text, "all" | "none") || !text.is_empty() && text.split(',').all(|one| valid(one.trim()))
}

/// Whether a text is a value of `allowed_vlan_ids`: `all`, `none` or VLANs.
#[must_use]
pub fn is_vlan_list(text: &str) -> bool {
    is_list(text, |one| one.parse::<u16>().is_ok_and(|vlan| (1..=4094).contains(&vlan)))
}

/// Whether a text is a value of `allowed_os_mac_addrs`: `all`, `none` or addresses.
#[must_use]
pub fn is_address_list(text: &str) -> bool {
    is_list(text, |one| one.parse::<MacAddress>().is_ok())
}

/// An SR-IOV logical port of a profile or a current configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalPort {
    /// Number within its configuration (`config_id`).
    pub configuration_id: Option<u16>,
    /// Adapter.
    pub adapter: SriovAdapterId,
    /// Physical port.
    pub physical_port: PhysicalPortId,
    /// Number; in a profile only where it was given, in a current configuration always.
    pub id: Option<LogicalPortId>,
    /// The partition is not activated without it.
    pub required: bool,
    /// Used for diagnostics.
    pub diagnostic: bool,
    /// Large windows for direct memory access.
    pub huge_dma_window: bool,
    /// Gets what nobody else is the address of.
    pub promiscuous: bool,
    /// `all`, `none`, or VLANs with commas between.
    pub allowed_vlan_ids: String,
    /// Address; in a profile only where it was given, in a current configuration always.
    pub mac_address: Option<MacAddress>,
    /// `all`, `none`, or addresses with commas between.
    pub allowed_mac_addresses: String,
    /// VLAN of untagged frames, 0 for none.
    pub port_vlan_id: u16,
    /// Priority of untagged frames, 0 to 7.
    pub port_vlan_priority: u8,
    /// Assured share; `None` for the smallest one of the port.
    pub capacity: Option<Capacity>,
    /// Largest share.
    pub maximum_capacity: Capacity,
}

impl LogicalPort {
    /// A port without attributes of its own.
    #[must_use]
    pub fn new(adapter: SriovAdapterId, physical_port: PhysicalPortId) -> Self {
        Self {
            configuration_id: None,
            adapter,
            physical_port,
            id: None,
            required: true,
            diagnostic: false,
            huge_dma_window: false,
            promiscuous: false,
            allowed_vlan_ids: "all".to_owned(),
            mac_address: None,
            allowed_mac_addresses: "all".to_owned(),
            port_vlan_id: 0,
            port_vlan_priority: 0,
            capacity: None,
            maximum_capacity: Capacity::WHOLE,
        }
    }

    /// Sets an attribute; `None` for one that logical ports do not have.
    ///
    /// # Errors
    /// In words, what is allowed.
    pub fn set(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
        Some(match name {
            "config_id" => parsed(value).map(|id| self.configuration_id = Some(id)),
            "adapter_id" => parsed(value).map(|id| self.adapter = id),
            "phys_port_id" => parsed(value).map(|id| self.physical_port = id),
            "logical_port_id" if matches!(value, "" | "null" | "none") => {
                self.id = None;
                Ok(())
            }
            "logical_port_id" => parsed(value).map(|id| self.id = Some(id)),
            "is_required" => flag(value).map(|flag| self.required = flag),
            "diag_mode" => flag(value).map(|flag| self.diagnostic = flag),
            "huge_dma_window_mode" => flag(value).map(|flag| self.huge_dma_window = flag),
            "promisc_mode" => flag(value).map(|flag| self.promiscuous = flag),
            "allowed_vlan_ids" => text(
                value,
                is_vlan_list,
                "it is all, none or VLAN IDs from 1 to 4094",
                &mut self.allowed_vlan_ids,
            ),
            "allowed_os_mac_addrs" => {
                let allowed = "it is all, none or a list of MAC addresses";
                text(value, is_address_list, allowed, &mut self.allowed_mac_addresses)
            }
            "mac_addr" => stated_address(value).map(|address| self.mac_address = address),
            "port_vlan_id" => vlan(value).map(|vlan| self.port_vlan_id = vlan),
            "pvid_priority" => priority(value).map(|priority| self.port_vlan_priority = priority),
            "capacity" => parsed(value).map(|capacity| self.capacity = Some(capacity)),
            "max_capacity" => parsed(value).map(|capacity| self.maximum_capacity = capacity),
            // What a profile of a later console says, where it says what is so.
            "allowed_priorities" if value == "none" => Ok(()),
            _ => return None,
        })
    }
}

pub(crate) fn parsed<T: FromStr>(value: &str) -> Result<T, String>
where
    T::Err: fmt::Display,
{
    value.parse().map_err(|error: T::Err| error.to_string())
}

pub(crate) fn flag(value: &str) -> Result<bool, String> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("it is 0 or 1".to_owned()),
    }
}

pub(crate) fn text(
    value: &str,
    valid: fn(&str) -> bool,
    allowed: &str,
    place: &mut String,
) -> Result<(), String> {
    if !valid(value) {
        return Err(allowed.to_owned());
    }
    value.clone_into(place);
    Ok(())
}

/// A port VLAN: 0 for none, else 1 to 4094.
pub(crate) fn vlan(value: &str) -> Result<u16, String> {
    match value.parse::<u16>() {
        Ok(vlan) if vlan <= 4094 => Ok(vlan),
        _ => Err("it is 0 for none, or a VLAN ID from 1 to 4094".to_owned()),
    }
}

pub(crate) fn priority(value: &str) -> Result<u8, String> {
    match value.parse::<u8>() {
        Ok(priority) if priority <= 7 => Ok(priority),
        _ => Err("it is from 0 to 7".to_owned()),
    }
}

/// An address that is stated; nothing and zeros leave it to be generated.
pub(crate) fn stated_address(value: &str) -> Result<Option<MacAddress>, String> {
    /// The group bit of the first octet (IEEE 802).
    const GROUP: u64 = 1 << 40;
    if value.is_empty() {
        return Ok(None);
    }
    match parsed::<MacAddress>(value)? {
        MacAddress(0) => Ok(None),
        MacAddress(address) if address & GROUP != 0 => Err("it is not the address of one station".to_owned()),
        address => Ok(Some(address)),
    }
}

/// Splits an element of `name=value` pairs with colons between.
///
/// # Errors
/// A pair without a name.
pub(crate) fn pairs(element: &str) -> Result<Vec<(&str, &str)>, ElementError> {
    let wrong = || ElementError {
        element: element.to_owned(),
        reason: "it is attribute=value pairs with colons between".to_owned(),
    };
    let pair = |text: &'_ str| -> Option<(usize, usize)> { text.find('=').map(|at| (at, text.len())) };
    element
        .split(':')
        .map(|one| {
            let (at, end) = pair(one).ok_or_else(wrong)?;
            Ok((one[..at].trim(), one[at + 1..end].trim().trim_matches('"')))
        })
        .collect()
}

impl Element for LogicalPort {
    fn parse(element: &str) -> Result<Self, ElementError> {
        let wrong = |reason: String| ElementError { element: element.to_owned(), reason };
        let mut port = Self::new(SriovAdapterId(0), PhysicalPortId(u8::MAX));
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs(element)? {
            if seen.contains(&name) {
                return Err(wrong(format!("{name} is given twice")));
            }
            seen.push(name);
            let set = port.set(name, value).ok_or_else(|| wrong(format!("{name} is no attribute of it")))?;
            set.map_err(|reason| wrong(format!("{name}: {reason}")))?;
        }
        for name in ["adapter_id", "phys_port_id"] {
            if !seen.contains(&name) {
                return Err(wrong(format!("{name} is missing")));
            }
        }
        Ok(port)
    }

    fn print(&self, _: &NameOf<'_>) -> String {
        let flag = |value: bool| u8::from(value);
        format!(
            "config_id={}:adapter_id={}:phys_port_id={}:logical_port_id={}:diag_mode={}:huge_dma_window_mode={}:\
             promisc_mode={}:allowed_vlan_ids={}:mac_addr={}:allowed_os_mac_addrs={}:port_vlan_id={}:\
             pvid_priority={}:capacity={}:max_capacity={}:allowed_priorities=none",
            self.configuration_id.unwrap_or(0),
            self.adapter,
            self.physical_port,
            self.id.map_or_else(|| "null".to_owned(), |id| id.to_string()),
            flag(self.diagnostic),
            flag(self.huge_dma_window),
            flag(self.promiscuous),
            self.allowed_vlan_ids,
            self.mac_address.unwrap_or(MacAddress(0)),
            self.allowed_mac_addresses,
            self.port_vlan_id,
            self.port_vlan_priority,
            self.capacity.unwrap_or_default(),
            self.maximum_capacity,
        )
    }

    fn virtual_slot(&self) -> Option<VirtualSlot> {
        None
    }

    fn same_place(&self, other: &Self) -> bool {
        match (self.id, other.id, self.configuration_id, other.configuration_id) {
            (Some(one), Some(two), _, _) => one == two,
            (_, _, Some(one), Some(two)) => one == two,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_read_and_print() {
        for (text, hundredths, printed) in [
            ("2.0", 200, "2.0"),
            ("2", 200, "2.0"),
            ("0.25", 25, "0.25"),
            ("7.5", 750, "7.5"),
            ("100.0", 10_000, "100.0"),
        ] {
            let capacity: Capacity = text.parse().expect(text);
            assert_eq!((capacity.0, capacity.to_string().as_str()), (hundredths, printed));
        }
        for text in ["", ".5", "2.", "2.125", "-1", "1e2", "1000", "2,0"] {
            assert!(text.parse::<Capacity>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_captured_element_reads_and_prints_alike() {
        let text = "config_id=0:adapter_id=1:phys_port_id=1:logical_port_id=27004002:diag_mode=0:huge_dma_window_mode=0:promisc_mode=0:allowed_vlan_ids=all:mac_addr=000000000000:allowed_os_mac_addrs=all:port_vlan_id=0:pvid_priority=0:capacity=2.0:max_capacity=100.0:allowed_priorities=none";
        assert_eq!(LogicalPort::parse(text).expect("element").print(&|_| String::new()), text);
    }

    #[test]
    fn wrong_elements_are_refused() {
        for text in [
            "",
            "adapter_id=1",
            "phys_port_id=0",
            "adapter_id=0:phys_port_id=0",
            "adapter_id=1:phys_port_id=x",
            "adapter_id=1:phys_port_id=0:port_vlan_id=4095",
            "adapter_id=1:phys_port_id=0:capacity=a",
            "adapter_id=1:phys_port_id=0:adapter_id=1",
            "adapter_id=1:phys_port_id=0:foo=1",
            "adapter_id=1:phys_port_id=0:allowed_vlan_ids=0",
            "adapter_id=1:phys_port_id=0:mac_addr=010000000000",
        ] {
            assert!(LogicalPort::parse(text).is_err(), "{text}");
        }
    }
}
