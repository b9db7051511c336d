//! How adapters of a site file show themselves on the bus and by their ports.

use super::io::Adapter;
use crate::hardware::{PciFunction, SlotPort};

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
