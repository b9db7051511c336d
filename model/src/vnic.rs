//! Virtual NICs with their backing devices, as profiles and current configurations have them.
//!
//! A backing device is part of its client's configuration only. What its Virtual I/O Server has for it (the logical port and
//! the server adapter) follows from there, so that neither is ever left without the other.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::adapters::{Element, ElementError, NameOf};
use crate::ids::{LogicalPortId, MacAddress, PartitionId, PhysicalPortId, SriovAdapterId, VirtualSlot};
use crate::sriov::{
    Capacity, flag, is_address_list, is_vlan_list, pairs, parsed, priority, stated_address, text, vlan,
};

/// Most backing devices of a virtual NIC.
pub const BACKING_DEVICES_MAX: usize = 6;
/// Failover priority where none is given.
pub const FAILOVER_PRIORITY_DEFAULT: u8 = 50;
/// The slot of a server's first server adapter for a backing device.
pub const SERVER_SLOT_FIRST: u16 = 32_897;
/// The slot after a server's last one.
pub const SERVER_SLOT_END: u16 = 65_535;
/// Most addresses that a virtual NIC asks whether its uplink lives.
pub const PROBE_TARGETS_MAX: usize = 8;

/// A backing device of a virtual NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingDevice {
    /// Virtual I/O Server that hosts it; `None` until the name is resolved.
    pub server: Option<PartitionId>,
    /// Name as given; empty when not given, and once it is resolved.
    pub server_name: String,
    /// Slot of the server adapter; in a current configuration always, in a profile never.
    pub server_slot: Option<VirtualSlot>,
    /// Adapter.
    pub adapter: SriovAdapterId,
    /// Physical port.
    pub physical_port: PhysicalPortId,
    /// Logical port; in a current configuration always, in a profile never.
    pub logical_port: Option<LogicalPortId>,
    /// Assured share; `None` for the smallest one of the port.
    pub capacity: Option<Capacity>,
    /// Failover priority, 1 to 100; the lowest number is best.
    pub priority: u8,
    /// Largest share.
    pub maximum_capacity: Capacity,
}

impl BackingDevice {
    /// Reads `sriov/[vios-name]/[vios-id]/adapter/port[/[capacity]][/[priority]][/[max-capacity]]`, as `chhwres` and profiles
    /// take it.
    ///
    /// # Errors
    /// [`ElementError`].
    pub fn parse(element: &str) -> Result<Self, ElementError> {
        let wrong = |reason: String| ElementError { element: element.to_owned(), reason };
        let parts: Vec<&str> = element.split('/').map(str::trim).collect();
        if !(5..=8).contains(&parts.len()) {
            return Err(wrong(format!("it has {} parts, not 5 to 8", parts.len())));
        }
        if parts[0] != "sriov" {
            return Err(wrong("its type is not sriov".to_owned()));
        }
        let server = if parts[2].is_empty() { None } else { Some(parsed(parts[2]).map_err(wrong)?) };
        if server.is_none() && parts[1].is_empty() {
            return Err(wrong("the Virtual I/O Server is missing".to_owned()));
        }
        let part = |index: usize| parts.get(index).copied().filter(|part| !part.is_empty());
        let failover_priority = match part(6).map(str::parse::<u8>) {
            None => FAILOVER_PRIORITY_DEFAULT,
            Some(Ok(priority)) if (1..=100).contains(&priority) => priority,
            Some(_) => return Err(wrong("the failover priority is not from 1 to 100".to_owned())),
        };
        let capacity = |index: usize| part(index).map(parsed::<Capacity>).transpose();
        Ok(Self {
            server,
            server_name: parts[1].to_owned(),
            server_slot: None,
            adapter: parsed(parts[3]).map_err(wrong)?,
            physical_port: parsed(parts[4]).map_err(wrong)?,
            logical_port: None,
            capacity: capacity(5).map_err(wrong)?,
            priority: failover_priority,
            maximum_capacity: capacity(7).map_err(wrong)?.unwrap_or(Capacity::WHOLE),
        })
    }

    /// Prints the form that [`BackingDevice::parse`] reads.
    #[must_use]
    pub fn print(&self, name_of: &NameOf<'_>) -> String {
        let (id, name) = match self.server {
            Some(id) => (id.to_string(), name_of(id)),
            None => (String::new(), self.server_name.clone()),
        };
        let capacity = self.capacity.map(|capacity| capacity.to_string()).unwrap_or_default();
        let (adapter, port, priority) = (self.adapter, self.physical_port, self.priority);
        format!("sriov/{name}/{id}/{adapter}/{port}/{capacity}/{priority}/{}", self.maximum_capacity)
    }

    /// Whether both are on one physical port.
    #[must_use]
    pub fn same_port(&self, other: &Self) -> bool {
        (self.adapter, self.physical_port) == (other.adapter, other.physical_port)
    }
}

/// A virtual NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualNic {
    /// Virtual slot.
    pub slot: VirtualSlot,
    /// Cannot be removed while the partition runs.
    pub required: bool,
    /// The operational backing device of the best priority is made active whenever there is a better one.
    pub auto_priority_failover: bool,
    /// VLAN of untagged frames, 0 for none.
    pub port_vlan_id: u16,
    /// Priority of untagged frames, 0 to 7.
    pub port_vlan_priority: u8,
    /// `all`, `none`, or VLANs with commas between.
    pub allowed_vlan_ids: String,
    /// Address; in a profile only where it was given, in a current configuration always.
    pub mac_address: Option<MacAddress>,
    /// `all`, `none`, or addresses with commas between.
    pub allowed_mac_addresses: String,
    /// Cut off by the administrator.
    pub disabled: bool,
    /// Addresses that a working uplink reaches; of this platform alone.
    pub probe_targets: Vec<Ipv4Addr>,
    /// The backing device that a person made active.
    pub preferred: Option<LogicalPortId>,
    /// Backing devices.
    pub backing_devices: Vec<BackingDevice>,
}

impl VirtualNic {
    /// A virtual NIC without backing devices.
    #[must_use]
    pub fn new(slot: VirtualSlot) -> Self {
        Self {
            slot,
            required: false,
            auto_priority_failover: true,
            port_vlan_id: 0,
            port_vlan_priority: 0,
            allowed_vlan_ids: "all".to_owned(),
            mac_address: None,
            allowed_mac_addresses: "all".to_owned(),
            disabled: false,
            probe_targets: Vec::new(),
            preferred: None,
            backing_devices: Vec::new(),
        }
    }

    /// The backing device on that logical port.
    #[must_use]
    pub fn backing_device(&self, port: LogicalPortId) -> Option<&BackingDevice> {
        self.backing_devices.iter().find(|device| device.logical_port == Some(port))
    }

    /// Sets an attribute other than the slot and the backing devices; `None` for one that virtual NICs do not have.
    ///
    /// # Errors
    /// In words, what is allowed.
    pub fn set(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
        Some(match name {
            "is_required" => flag(value).map(|flag| self.required = flag),
            "auto_priority_failover" => flag(value).map(|flag| self.auto_priority_failover = flag),
            "port_vlan_id" => vlan(value).map(|vlan| self.port_vlan_id = vlan),
            "pvid_priority" => priority(value).map(|priority| self.port_vlan_priority = priority),
            "allowed_vlan_ids" => text(
                value,
                is_vlan_list,
                "it is all, none or VLAN IDs from 1 to 4094",
                &mut self.allowed_vlan_ids,
            ),
            "mac_addr" => stated_address(value).map(|address| self.mac_address = address),
            "allowed_os_mac_addrs" => {
                let allowed = "it is all, none or a list of MAC addresses";
                text(value, is_address_list, allowed, &mut self.allowed_mac_addresses)
            }
            "is_disabled" => flag(value).map(|flag| self.disabled = flag),
            "probe_targets" => self.set_probe_targets(value),
            "desired_mode" | "curr_mode" if value == "ded" => Ok(()),
            _ => return None,
        })
    }

    fn set_probe_targets(&mut self, value: &str) -> Result<(), String> {
        let wrong = || format!("it is none, or up to {PROBE_TARGETS_MAX} IPv4 addresses");
        if matches!(value, "" | "none") {
            self.probe_targets.clear();
            return Ok(());
        }
        let targets: Result<Vec<Ipv4Addr>, _> = value.split(',').map(|one| one.trim().parse()).collect();
        let targets = targets.map_err(|_| wrong())?;
        let usable =
            |target: &Ipv4Addr| !target.is_unspecified() && !target.is_multicast() && !target.is_broadcast();
        if targets.len() > PROBE_TARGETS_MAX || !targets.iter().all(usable) {
            return Err(wrong());
        }
        self.probe_targets = targets;
        Ok(())
    }
}

/// Joins with commas, or the word `none`.
fn list_or_none<T: ToString>(values: &[T]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Element for VirtualNic {
    /// Reads the element of `vnic_adapters`: `attribute=value` pairs with colons between.
    fn parse(element: &str) -> Result<Self, ElementError> {
        let wrong = |reason: String| ElementError { element: element.to_owned(), reason };
        let mut nic = Self::new(VirtualSlot(0));
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs(element)? {
            if seen.contains(&name) {
                return Err(wrong(format!("{name} is given twice")));
            }
            seen.push(name);
            match name {
                "slot_num" => nic.slot = parsed(value).map_err(wrong)?,
                "backing_devices" => {
                    let devices = value.split(',').map(BackingDevice::parse).collect::<Result<_, _>>();
                    nic.backing_devices = devices.map_err(|error| wrong(error.to_string()))?;
                }
                _ => {
                    let set = nic.set(name, value);
                    let set = set.ok_or_else(|| wrong(format!("{name} is no attribute of it")))?;
                    set.map_err(|reason| wrong(format!("{name}: {reason}")))?;
                }
            }
        }
        for name in ["slot_num", "backing_devices"] {
            if !seen.contains(&name) {
                return Err(wrong(format!("{name} is missing")));
            }
        }
        Ok(nic)
    }

    fn print(&self, name_of: &NameOf<'_>) -> String {
        let flag = |value: bool| u8::from(value);
        let devices: Vec<String> = self.backing_devices.iter().map(|device| device.print(name_of)).collect();
        let probes = match self.probe_targets.as_slice() {
            [] => String::new(),
            targets => format!(":probe_targets={}", list_or_none(targets)),
        };
        format!(
            "slot_num={}:is_required={}:auto_priority_failover={}:port_vlan_id={}:pvid_priority={}:\
             allowed_vlan_ids={}:mac_addr={}:allowed_os_mac_addrs={}:is_disabled={}{probes}:backing_devices={}",
            self.slot,
            flag(self.required),
            flag(self.auto_priority_failover),
            self.port_vlan_id,
            self.port_vlan_priority,
            self.allowed_vlan_ids,
            self.mac_address.map(|address| address.to_string()).unwrap_or_default(),
            self.allowed_mac_addresses,
            flag(self.disabled),
            devices.join(","),
        )
    }

    fn virtual_slot(&self) -> Option<VirtualSlot> {
        Some(self.slot)
    }

    fn same_place(&self, other: &Self) -> bool {
        self.slot == other.slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        let name_of = |id: PartitionId| format!("vios{id}");
        BackingDevice::parse(text).unwrap_or_else(|error| panic!("{error}")).print(&name_of)
    }

    #[test]
    fn the_seeds_backing_devices_are_read() {
        assert_eq!(round("sriov/vios1//1/1/2.0/10"), "sriov/vios1//1/1/2.0/10/100.0");
        assert_eq!(round("sriov/vios1/100/1/1/2"), "sriov/vios100/100/1/1/2.0/50/100.0");
        assert_eq!(round("sriov/vios1/1/2/0/0/50"), "sriov/vios1/1/2/0/0.0/50/100.0");
        assert_eq!(round("sriov//2/4/1//"), "sriov/vios2/2/4/1//50/100.0");
    }

    #[test]
    fn wrong_backing_devices_are_refused() {
        for text in [
            "",
            "sriov/vios1//1",
            "hnv/vios1//1/1",
            "sriov///1/1",
            "sriov/vios1//0/1",
            "sriov/vios1//1/x",
            "sriov/vios1//1/1/2.0/0",
            "sriov/vios1//1/1/2.0/101",
            "sriov/vios1//1/1/a",
            "sriov/vios1//1/1/2.0/10/100.0/1",
        ] {
            assert!(BackingDevice::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_profile_element_reads_and_prints_alike() {
        let text = "slot_num=6:is_required=0:auto_priority_failover=1:port_vlan_id=3455:pvid_priority=0:allowed_vlan_ids=all:mac_addr=:allowed_os_mac_addrs=all:is_disabled=0:probe_targets=10.0.0.1:backing_devices=sriov/vios1/1/1/1/2.0/10/100.0,sriov/vios2/2/3/1/2.0/20/100.0";
        let nic = VirtualNic::parse(text).expect("element");
        assert_eq!(nic.print(&|id| format!("vios{id}")), text);
        for text in
            ["slot_num=6", "backing_devices=sriov/v//1/1", "slot_num=6:slot_num=7", "slot_num=6:foo=1"]
        {
            assert!(VirtualNic::parse(text).is_err(), "{text}");
        }
    }
}
