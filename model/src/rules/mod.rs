//! Rules: what may be created, changed, activated and moved dynamically, and how it is refused. Pure functions.

pub mod activation;
pub mod addresses;
pub mod creation;
pub mod dynamic;
pub mod edit;
pub mod firmware;
pub mod ibm_i;
pub mod partition;
pub mod port_login;
pub mod processor_pool;
pub mod profile;
pub mod shared_memory;
pub mod sriov;
pub mod system_profile;
pub mod unique;
pub mod validity;
pub mod virtual_io;
pub mod virtual_network;

use crate::ids::{
    LogicalPortId, MacAddress, PartitionId, PartitionUuid, PhysicalPortId, SriovAdapterId, VirtualSlot,
    WorldWidePortName,
};

/// What a rule asks about the other partitions of the system. Every answer takes the same time however many there are.
pub trait PartitionLookup {
    /// The partition of that name.
    fn id_of(&self, name: &str) -> Option<PartitionId>;
    /// The name of that partition.
    fn name_of(&self, id: PartitionId) -> Option<String>;
    /// Who holds that MAC address in a definition.
    fn mac_address_holder(&self, address: MacAddress) -> Option<PartitionUuid>;
    /// Who holds that port name in a definition.
    fn port_name_holder(&self, name: WorldWidePortName) -> Option<PartitionUuid>;
    /// The running partition that holds that physical slot.
    fn slot_holder(&self, drc_index: u32) -> Option<PartitionId>;
    /// A number that no partition has, the lowest.
    fn free_id(&self) -> Option<PartitionId>;
    /// The partition whose current configuration has that SR-IOV logical port, for itself or behind a virtual NIC.
    fn logical_port_holder(&self, port: LogicalPortId) -> Option<PartitionId> {
        let _ = port;
        None
    }
    /// What current configurations take of an SR-IOV physical port.
    fn port_use(&self, adapter: SriovAdapterId, port: PhysicalPortId) -> sriov::PortUse {
        let _ = (adapter, port);
        sriov::PortUse::default()
    }
    /// The client of a server's adapter for a backing device in that slot.
    fn backing_device_client(&self, server: PartitionId, slot: VirtualSlot) -> Option<PartitionId> {
        let _ = (server, slot);
        None
    }
    /// Whether the partition is a Virtual I/O Server.
    fn is_virtual_io_server(&self, id: PartitionId) -> bool {
        self.name_of(id).is_some()
    }
}

#[cfg(test)]
pub(crate) mod tests_support {
    use super::*;

    /// Applies a record to a profile or configuration, as the command line does.
    pub fn apply_text(content: &mut crate::configuration::Configuration, text: &str) -> Result<(), String> {
        let system = system();
        let context = profile::EditContext { system: &system, lookup: &TwoServers };
        let record = crate::record::parse_record(text).map_err(|error| error.to_string())?;
        profile::apply_all(content, &record, &context).map_err(|refusal| refusal.to_string())
    }

    /// A lookup with two servers, numbers 1 and 2.
    pub struct TwoServers;

    impl PartitionLookup for TwoServers {
        fn id_of(&self, name: &str) -> Option<PartitionId> {
            match name {
                "vios1" | "s00ia9927559" => Some(PartitionId(1)),
                "vios2" | "s00ia9927560" => Some(PartitionId(2)),
                _ => None,
            }
        }
        fn name_of(&self, id: PartitionId) -> Option<String> {
            matches!(id.0, 1 | 2).then(|| format!("vios{id}"))
        }
        fn mac_address_holder(&self, address: MacAddress) -> Option<PartitionUuid> {
            (address == MacAddress(0xDEAD)).then(|| PartitionUuid::from_random(9))
        }
        fn port_name_holder(&self, name: WorldWidePortName) -> Option<PartitionUuid> {
            (name == WorldWidePortName(0xBEEF)).then(|| PartitionUuid::from_random(9))
        }
        fn slot_holder(&self, drc_index: u32) -> Option<PartitionId> {
            (drc_index == 0x2102_0013).then_some(PartitionId(1))
        }
        fn free_id(&self) -> Option<PartitionId> {
            Some(PartitionId(3))
        }
    }

    /// A freshly powered-on system with nothing in use.
    pub fn system() -> crate::system::ManagedSystem {
        let hardware = std::sync::Arc::new(crate::hardware::sample());
        crate::system::ManagedSystem {
            settings: crate::system::SystemSettings::new(&hardware, true),
            hardware,
            state: crate::system::SystemState::Operating,
            usage: crate::partition::Usage::default(),
            reference_codes: crate::partition::ReferenceCodes::default(),
            partition_count: 2,
        }
    }
}
