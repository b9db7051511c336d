//! Virtual adapters in the profile syntax: elements of lists whose parts are separated by `/`.
//!
//! Grammar per attribute (source: the seeds' profile lines and the reference on HMC commands, section 2.1.3):
//!
//! | attribute | element |
//! |---|---|
//! | `virtual_serial_adapters` | `slot/client\|server/[supports-HMC]/[remote-id]/[remote-name]/[remote-slot]/is-required` |
//! | `virtual_scsi_adapters` | `slot/client\|server/[remote-id]/[remote-name]/[remote-slot]/is-required` |
//! | `virtual_eth_adapters` | `slot/is-ieee/port-vlan/[more-vlans]/[trunk-priority]/is-required[/[vswitch]/[MAC]/[allowed-MACs]/[qos]]` |
//! | `virtual_fc_adapters` | `slot/client\|server/[remote-id]/[remote-name]/remote-slot/[wwpns]/is-required` |
//! | `io_slots` | `drc-index/[io-pool-id]/is-required` |

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{MacAddress, PartitionId, VirtualSlot, WorldWidePortName};

/// An element that is not of its attribute's grammar.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{element}` is not a valid element: {reason}")]
pub struct ElementError {
    /// The element as given.
    pub element: String,
    /// What is wrong, in words.
    pub reason: String,
}

/// Client or server side of a pair of virtual adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AdapterSide {
    /// The side that uses what the other serves.
    Client,
    /// The side that serves.
    Server,
}

impl AdapterSide {
    /// `client` or `server`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// The partition at the other end. A record may give its number, its name or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Remote {
    /// Any partition may connect (server adapters only).
    Any,
    /// A partition by number. `name` is what the record said and is only used to check that both agree.
    Partition {
        /// Number; `None` until the name is resolved.
        id: Option<PartitionId>,
        /// Name as given; empty when not given.
        name: String,
    },
}

/// The slot at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RemoteSlot {
    /// Any slot.
    Any,
    /// Not stated.
    Unset,
    /// That slot.
    Slot(VirtualSlot),
}

impl RemoteSlot {
    fn text(self) -> String {
        match self {
            Self::Any => "any".to_owned(),
            Self::Unset => String::new(),
            Self::Slot(slot) => slot.to_string(),
        }
    }
}

/// Finds the name of a partition number when an element is printed; an unknown number prints an empty name.
pub type NameOf<'a> = dyn Fn(PartitionId) -> String + 'a;

/// A virtual serial adapter. Slots 0 and 1 of every partition serve the console.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VirtualSerialAdapter {
    /// Slot.
    pub slot: VirtualSlot,
    /// Side.
    pub side: AdapterSide,
    /// Whether the console may open it.
    pub supports_console: bool,
    /// Partition at the other end.
    pub remote: Remote,
    /// Slot at the other end.
    pub remote_slot: RemoteSlot,
    /// Cannot be removed while the partition runs.
    pub required: bool,
}

/// A virtual SCSI adapter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VirtualScsiAdapter {
    /// Slot.
    pub slot: VirtualSlot,
    /// Side.
    pub side: AdapterSide,
    /// Partition at the other end.
    pub remote: Remote,
    /// Slot at the other end.
    pub remote_slot: RemoteSlot,
    /// Cannot be removed while the partition runs.
    pub required: bool,
}

/// A virtual Ethernet adapter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VirtualEthernetAdapter {
    /// Slot.
    pub slot: VirtualSlot,
    /// IEEE 802.1Q compatible: carries tagged VLANs besides its own.
    pub ieee: bool,
    /// Port VLAN id, 1 to 4094.
    pub port_vlan_id: u16,
    /// Tagged VLAN ids, up to 20.
    pub additional_vlan_ids: Vec<u16>,
    /// Trunk priority 1 to 15; `None` is not a trunk.
    pub trunk_priority: Option<u8>,
    /// Cannot be removed while the partition runs.
    pub required: bool,
    /// Virtual switch; empty until the default one is filled in.
    pub virtual_switch: String,
    /// MAC address; in a profile only when it was given, in a current configuration always.
    pub mac_address: Option<MacAddress>,
    /// MAC addresses the operating system may use, as the text `all`, `none` or a list.
    pub allowed_mac_addresses: String,
    /// Quality of service priority as text: `none` or 0 to 7. POWER7 lines show `0`.
    pub quality_of_service: String,
}

/// A virtual Fibre Channel adapter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VirtualFibreChannelAdapter {
    /// Slot.
    pub slot: VirtualSlot,
    /// Side.
    pub side: AdapterSide,
    /// Partition at the other end.
    pub remote: Remote,
    /// Slot at the other end.
    pub remote_slot: RemoteSlot,
    /// The pair of port names of a client adapter; `None` until it is generated, and on server adapters.
    pub port_names: Option<(WorldWidePortName, WorldWidePortName)>,
    /// Cannot be removed while the partition runs.
    pub required: bool,
}

/// A physical I/O slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PhysicalSlot {
    /// DRC index, printed as eight hexadecimal digits.
    pub drc_index: u32,
    /// I/O pool, if any.
    pub pool: Option<u16>,
    /// The partition does not start without it.
    pub required: bool,
}

struct Parts<'a> {
    element: &'a str,
    parts: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn new(element: &'a str, counts: &[usize]) -> Result<Self, ElementError> {
        let parts: Vec<&str> = element.split('/').map(str::trim).collect();
        let this = Self { element, parts };
        if counts.contains(&this.parts.len()) {
            Ok(this)
        } else {
            Err(this.error(format!("it has {} parts separated by /", this.parts.len())))
        }
    }

    fn error(&self, reason: impl Into<String>) -> ElementError {
        ElementError { element: self.element.to_owned(), reason: reason.into() }
    }

    fn text(&self, index: usize) -> &'a str {
        self.parts.get(index).copied().unwrap_or("")
    }

    fn slot(&self, index: usize) -> Result<VirtualSlot, ElementError> {
        self.text(index).parse().map_err(|error: crate::ids::InvalidIdentifier| self.error(error.to_string()))
    }

    fn flag(&self, index: usize, what: &str) -> Result<bool, ElementError> {
        match self.text(index) {
            "0" => Ok(false),
            "1" => Ok(true),
            other => Err(self.error(format!("{what} is `{other}`, not 0 or 1"))),
        }
    }

    fn side(&self, index: usize) -> Result<AdapterSide, ElementError> {
        match self.text(index) {
            "client" => Ok(AdapterSide::Client),
            "server" => Ok(AdapterSide::Server),
            other => Err(self.error(format!("the adapter type is `{other}`, not client or server"))),
        }
    }

    fn remote(&self, id: usize, name: usize) -> Result<Remote, ElementError> {
        match (self.text(id), self.text(name)) {
            ("any", "" | "any") => Ok(Remote::Any),
            ("", "any") => Ok(Remote::Any),
            ("", "") => Err(self.error("the remote partition is missing")),
            ("", name) => Ok(Remote::Partition { id: None, name: name.to_owned() }),
            (id, name) => {
                let id = id
                    .parse()
                    .map_err(|error: crate::ids::InvalidIdentifier| self.error(error.to_string()))?;
                Ok(Remote::Partition { id: Some(id), name: name.to_owned() })
            }
        }
    }

    fn remote_slot(&self, index: usize) -> Result<RemoteSlot, ElementError> {
        match self.text(index) {
            "any" => Ok(RemoteSlot::Any),
            "" => Ok(RemoteSlot::Unset),
            _ => self.slot(index).map(RemoteSlot::Slot),
        }
    }
}

/// An element of a list attribute: reads and prints one grammar.
pub trait Element: Sized + Clone {
    /// Reads an element.
    ///
    /// # Errors
    /// [`ElementError`] when it is not of the grammar.
    fn parse(element: &str) -> Result<Self, ElementError>;
    /// Prints an element as the console lists it.
    fn print(&self, name_of: &NameOf<'_>) -> String;
    /// The virtual slot that the element occupies, if it occupies one.
    fn virtual_slot(&self) -> Option<VirtualSlot>;
    /// Whether `-=` with `other` removes this element: same slot (virtual) or same DRC index (physical).
    fn same_place(&self, other: &Self) -> bool;
    /// The remote partition, to be resolved from its name.
    fn remote_mut(&mut self) -> Option<&mut Remote> {
        None
    }
    /// The remote partition.
    fn remote(&self) -> Option<&Remote> {
        None
    }
}

fn flag(value: bool) -> char {
    if value { '1' } else { '0' }
}

fn remote_text(remote: &Remote, name_of: &NameOf<'_>) -> String {
    match remote {
        Remote::Any => "any/".to_owned(),
        Remote::Partition { id: Some(id), .. } => format!("{id}/{}", name_of(*id)),
        Remote::Partition { id: None, name } => format!("/{name}"),
    }
}

impl Element for VirtualSerialAdapter {
    fn parse(element: &str) -> Result<Self, ElementError> {
        let parts = Parts::new(element, &[7])?;
        let remote = match (parts.text(3), parts.text(4)) {
            ("", "") => Remote::Any,
            _ => parts.remote(3, 4)?,
        };
        Ok(Self {
            slot: parts.slot(0)?,
            side: parts.side(1)?,
            supports_console: if parts.text(2).is_empty() { false } else { parts.flag(2, "supports-HMC")? },
            remote,
            remote_slot: parts.remote_slot(5)?,
            required: parts.flag(6, "is-required")?,
        })
    }

    fn print(&self, name_of: &NameOf<'_>) -> String {
        let (slot, side, console) = (self.slot, self.side.word(), flag(self.supports_console));
        let remote = remote_text(&self.remote, name_of);
        format!("{slot}/{side}/{console}/{remote}/{}/{}", self.remote_slot.text(), flag(self.required))
    }

    fn virtual_slot(&self) -> Option<VirtualSlot> {
        Some(self.slot)
    }

    fn same_place(&self, other: &Self) -> bool {
        self.slot == other.slot
    }

    fn remote_mut(&mut self) -> Option<&mut Remote> {
        Some(&mut self.remote)
    }

    fn remote(&self) -> Option<&Remote> {
        Some(&self.remote)
    }
}

impl Element for VirtualScsiAdapter {
    fn parse(element: &str) -> Result<Self, ElementError> {
        let parts = Parts::new(element, &[6])?;
        let adapter = Self {
            slot: parts.slot(0)?,
            side: parts.side(1)?,
            remote: parts.remote(2, 3)?,
            remote_slot: parts.remote_slot(4)?,
            required: parts.flag(5, "is-required")?,
        };
        if adapter.side == AdapterSide::Client && adapter.remote == Remote::Any {
            return Err(parts.error("a client adapter names the partition that serves it"));
        }
        Ok(adapter)
    }

    fn print(&self, name_of: &NameOf<'_>) -> String {
        let remote = remote_text(&self.remote, name_of);
        format!(
            "{}/{}/{remote}/{}/{}",
            self.slot,
            self.side.word(),
            self.remote_slot.text(),
            flag(self.required)
        )
    }

    fn virtual_slot(&self) -> Option<VirtualSlot> {
        Some(self.slot)
    }

    fn same_place(&self, other: &Self) -> bool {
        self.slot == other.slot
    }

    fn remote_mut(&mut self) -> Option<&mut Remote> {
        Some(&mut self.remote)
    }

    fn remote(&self) -> Option<&Remote> {
        Some(&self.remote)
    }
}

/// Most tagged VLAN ids of one virtual Ethernet adapter.
pub const ADDITIONAL_VLANS_MAX: usize = 20;

fn parse_vlan(parts: &Parts<'_>, text: &str) -> Result<u16, ElementError> {
    match text.parse::<u16>() {
        // 4095 carries the hypervisor's own management traffic and is reserved.
        Ok(vlan) if (1..=4094).contains(&vlan) => Ok(vlan),
        _ => Err(parts.error(format!("`{text}` is not a VLAN ID from 1 to 4094"))),
    }
}

impl VirtualEthernetAdapter {
    fn check_vlans(&self, parts: &Parts<'_>) -> Result<(), ElementError> {
        if self.additional_vlan_ids.len() > ADDITIONAL_VLANS_MAX {
            return Err(parts.error(format!("more than {ADDITIONAL_VLANS_MAX} additional VLAN IDs")));
        }
        if !self.ieee && !self.additional_vlan_ids.is_empty() {
            return Err(parts.error("additional VLAN IDs need an IEEE 802.1Q compatible adapter"));
        }
        let repeated = self.additional_vlan_ids.iter().enumerate().any(|(index, vlan)| {
            *vlan == self.port_vlan_id || self.additional_vlan_ids[..index].contains(vlan)
        });
        if repeated { Err(parts.error("a VLAN ID is given twice")) } else { Ok(()) }
    }
}

impl Element for VirtualEthernetAdapter {
    fn parse(element: &str) -> Result<Self, ElementError> {
        let parts = Parts::new(element, &[6, 7, 8, 9, 10])?;
        let additional_vlan_ids = match parts.text(3) {
            "" | "none" => Vec::new(),
            list => list.split(',').map(|one| parse_vlan(&parts, one.trim())).collect::<Result<_, _>>()?,
        };
        let trunk_priority = match parts.text(4) {
            "" | "0" => None,
            text => match text.parse::<u8>() {
                Ok(priority) if priority <= 15 => Some(priority),
                _ => return Err(parts.error(format!("`{text}` is not a trunk priority from 0 to 15"))),
            },
        };
        let mac_address = match parts.text(7) {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|error: crate::ids::InvalidIdentifier| parts.error(error.to_string()))?,
            ),
        };
        let quality_of_service = match parts.text(9) {
            "" => "none".to_owned(),
            "none" => "none".to_owned(),
            text if matches!(text.as_bytes(), [b'0'..=b'7']) => text.to_owned(),
            text => return Err(parts.error(format!("`{text}` is not a QoS priority from 0 to 7"))),
        };
        let adapter = Self {
            slot: parts.slot(0)?,
            ieee: parts.flag(1, "is-ieee")?,
            port_vlan_id: parse_vlan(&parts, parts.text(2))?,
            additional_vlan_ids,
            trunk_priority,
            required: parts.flag(5, "is-required")?,
            virtual_switch: parts.text(6).to_owned(),
            mac_address,
            allowed_mac_addresses: if parts.text(8).is_empty() {
                "all".to_owned()
            } else {
                parts.text(8).to_owned()
            },
            quality_of_service,
        };
        adapter.check_vlans(&parts)?;
        Ok(adapter)
    }

    fn print(&self, _: &NameOf<'_>) -> String {
        let vlans: Vec<String> = self.additional_vlan_ids.iter().map(u16::to_string).collect();
        format!(
            "{}/{}/{}/{}/{}/{}/{}/{}/{}/{}",
            self.slot,
            flag(self.ieee),
            self.port_vlan_id,
            vlans.join(","),
            self.trunk_priority.unwrap_or(0),
            flag(self.required),
            self.virtual_switch,
            self.mac_address.map(|address| address.to_string()).unwrap_or_default(),
            self.allowed_mac_addresses,
            self.quality_of_service,
        )
    }

    fn virtual_slot(&self) -> Option<VirtualSlot> {
        Some(self.slot)
    }

    fn same_place(&self, other: &Self) -> bool {
        self.slot == other.slot
    }
}

impl Element for VirtualFibreChannelAdapter {
    fn parse(element: &str) -> Result<Self, ElementError> {
        let parts = Parts::new(element, &[7])?;
        let wrong = |error: crate::ids::InvalidIdentifier| parts.error(error.to_string());
        let port_names = match parts.text(5) {
            "" => None,
            pair => {
                let (first, second) =
                    pair.split_once(',').ok_or_else(|| parts.error("WWPNs come in pairs"))?;
                let pair = (first.trim().parse().map_err(wrong)?, second.trim().parse().map_err(wrong)?);
                if pair.0 == pair.1 {
                    return Err(parts.error("the two WWPNs of a pair are the same"));
                }
                Some(pair)
            }
        };
        let adapter = Self {
            slot: parts.slot(0)?,
            side: parts.side(1)?,
            remote: parts.remote(2, 3)?,
            remote_slot: parts.remote_slot(4)?,
            port_names,
            required: parts.flag(6, "is-required")?,
        };
        match (adapter.side, adapter.remote_slot, &adapter.remote, adapter.port_names) {
            (_, RemoteSlot::Any, _, _) | (_, _, Remote::Any, _) => {
                Err(parts.error("a virtual Fibre Channel adapter names its remote partition and slot"))
            }
            (AdapterSide::Server, _, _, Some(_)) => Err(parts.error("a server adapter has no WWPNs")),
            _ => Ok(adapter),
        }
    }

    fn print(&self, name_of: &NameOf<'_>) -> String {
        let remote = remote_text(&self.remote, name_of);
        let port_names =
            self.port_names.map(|(first, second)| format!("{first},{second}")).unwrap_or_default();
        format!(
            "{}/{}/{remote}/{}/{port_names}/{}",
            self.slot,
            self.side.word(),
            self.remote_slot.text(),
            flag(self.required)
        )
    }

    fn virtual_slot(&self) -> Option<VirtualSlot> {
        Some(self.slot)
    }

    fn same_place(&self, other: &Self) -> bool {
        self.slot == other.slot
    }

    fn remote_mut(&mut self) -> Option<&mut Remote> {
        Some(&mut self.remote)
    }

    fn remote(&self) -> Option<&Remote> {
        Some(&self.remote)
    }
}

impl Element for PhysicalSlot {
    fn parse(element: &str) -> Result<Self, ElementError> {
        let parts = Parts::new(element, &[3])?;
        let index = parts.text(0);
        if index.len() != 8 || !index.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(parts.error("the DRC index is not eight hexadecimal digits"));
        }
        let pool = match parts.text(1) {
            "" | "none" => None,
            text => Some(text.parse().map_err(|_| parts.error(format!("`{text}` is not an I/O pool ID")))?),
        };
        Ok(Self {
            drc_index: u32::from_str_radix(index, 16)
                .map_err(|_| parts.error("the DRC index is not a number"))?,
            pool,
            required: parts.flag(2, "is-required")?,
        })
    }

    fn print(&self, _: &NameOf<'_>) -> String {
        let pool = self.pool.map_or_else(|| "none".to_owned(), |pool| pool.to_string());
        format!("{:08X}/{pool}/{}", self.drc_index, flag(self.required))
    }

    fn virtual_slot(&self) -> Option<VirtualSlot> {
        None
    }

    fn same_place(&self, other: &Self) -> bool {
        self.drc_index == other.drc_index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round<E: Element>(text: &str) -> String {
        let name_of = |id: PartitionId| match id.0 {
            1 => "s00ia9927559".to_owned(),
            2 => "s00ia9927560".to_owned(),
            _ => String::new(),
        };
        E::parse(text).unwrap_or_else(|error| panic!("{error}")).print(&name_of)
    }

    #[test]
    fn the_seeds_elements_read_and_print_alike() {
        assert_eq!(round::<VirtualSerialAdapter>("0/server/1/any//any/1"), "0/server/1/any//any/1");
        assert_eq!(
            round::<VirtualScsiAdapter>("3/client/2/s00ia9927560/32/0"),
            "3/client/2/s00ia9927560/32/0"
        );
        let ethernet = "32/0/1659//0/0/vdct/facc157c3e20/all/0";
        assert_eq!(round::<VirtualEthernetAdapter>(ethernet), ethernet);
        let fibre = "2/client/1/s00ia9927559/32/c050760727c5007a,c050760727c5007b/0";
        assert_eq!(round::<VirtualFibreChannelAdapter>(fibre), fibre);
        assert_eq!(round::<PhysicalSlot>("21020013/none/1"), "21020013/none/1");
    }

    #[test]
    fn short_forms_are_completed() {
        assert_eq!(round::<VirtualEthernetAdapter>("4/0/900///0"), "4/0/900//0/0///all/none");
        assert_eq!(
            round::<VirtualEthernetAdapter>("2/1/1/3,4,5/1/1/ETHERNET0"),
            "2/1/1/3,4,5/1/1/ETHERNET0//all/none"
        );
        assert_eq!(round::<VirtualScsiAdapter>("2/server/any//any/0"), "2/server/any//any/0");
        assert_eq!(round::<VirtualScsiAdapter>("5/server/2//3/0"), "5/server/2/s00ia9927560/3/0");
        assert_eq!(round::<VirtualScsiAdapter>("5/server/9/gone/3/0"), "5/server/9//3/0");
    }

    #[test]
    fn wrong_elements_are_refused() {
        for text in [
            "",
            "x/0/1//0/0",
            "2/0/0//0/0",
            "2/0/4095//0/0",
            "2/0/1/5/0/0",
            "2/1/1/1/0/0",
            "2/0/1//16/0",
            "2/0/1//0/2",
        ] {
            assert!(VirtualEthernetAdapter::parse(text).is_err(), "{text}");
        }
        for text in ["2/client/any//any/0", "2/both/1//3/0", "2/client///3/0", "2/client/1//3"] {
            assert!(VirtualScsiAdapter::parse(text).is_err(), "{text}");
        }
        for text in [
            "2/client/1//3/c050760727c5007a/0",
            "2/server/1//3/c050760727c5007a,c050760727c5007b/0",
            "2/client/any//any//0",
        ] {
            assert!(VirtualFibreChannelAdapter::parse(text).is_err(), "{text}");
        }
    }
}
