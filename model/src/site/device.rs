//! How adapters of a site file show themselves on the bus and by their ports.

use super::io::{Adapter, Slot, SriovMode};
use crate::hardware::{PciFunction, SlotPort};
use crate::ids::SriovAdapterId;
use crate::sriov::{Capacity, SriovAdapterDescription, SriovPortDescription};

/// Vendor of the subsystem of every adapter here: the machines' maker.
const SUBSYSTEM_VENDOR: u16 = 0x1014;

impl Adapter {
    /// Identifiers like those of adapters that Power machines of this time carry. Class codes: the PCI Code and ID Assignment
    /// Specification. Vendors, devices and subsystems are unverified, as a site file does not say which product it means.
    #[must_use]
    pub fn function(&self) -> PciFunction {
        let (vendor, device, subsystem_device, class, revision) = match self {
            Self::Ethernet { .. } => (0x14E4, 0x1657, 0x0420, 0x0200, 1),
            Self::FibreChannel { .. } => (0x10DF, 0xF100, 0x038A, 0x0C04, 3),
            Self::Sas { .. } => (0x1014, 0x034A, 0x04C8, 0x0104, 2),
            Self::Sriov(_) => (0x10DF, 0xE228, 0x045E, 0x0200, 16),
        };
        PciFunction { vendor, device, subsystem_vendor: SUBSYSTEM_VENDOR, subsystem_device, class, revision }
    }

    /// Its ports, in their order. Ports of a SAS controller have no address that a console shows.
    #[must_use]
    pub fn described_ports(&self) -> Vec<SlotPort> {
        match self {
            Self::Ethernet { ports } => ports
                .iter()
                .map(|port| SlotPort {
                    location: port.location_code.to_string(),
                    mac_address: Some(port.mac_address),
                    port_name: None,
                })
                .collect(),
            Self::FibreChannel { ports } => ports
                .iter()
                .map(|port| SlotPort {
                    location: port.location_code.to_string(),
                    mac_address: None,
                    port_name: Some(port.port_name),
                })
                .collect(),
            Self::Sas { .. } => Vec::new(),
            Self::Sriov(adapter) => adapter
                .ports
                .iter()
                .map(|port| SlotPort {
                    location: port.location_code.to_string(),
                    mac_address: Some(port.mac_address),
                    port_name: None,
                })
                .collect(),
        }
    }
}

impl Slot {
    /// The SR-IOV adapter in the slot, as the hypervisor knows it.
    #[must_use]
    pub fn sriov_adapter(&self) -> Option<SriovAdapterDescription> {
        let Some(Adapter::Sriov(adapter)) = &self.adapter else { return None };
        // The reader allows at most 127 adapters, 1,024 logical ports and 100 %.
        let small = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let ports = adapter.ports.iter().map(|port| SriovPortDescription {
            location: port.location_code.to_string(),
            mac_address: port.mac_address,
            speed: port.speed,
            label: port.label.clone(),
            sub_label: port.sub_label.clone(),
            kind: port.port_type,
            maximum_logical_ports: small(port.maximum_logical_ports),
        });
        Some(SriovAdapterDescription {
            adapter: SriovAdapterId(small(adapter.adapter_id)),
            drc_index: self.drc_index.0,
            location: self.location_code.to_string(),
            description: self.description.clone(),
            shared: adapter.mode == SriovMode::Shared,
            maximum_logical_ports: small(adapter.maximum_logical_ports),
            granularity: Capacity(small(adapter.capacity_granularity)),
            ports: ports.collect(),
        })
    }
}
