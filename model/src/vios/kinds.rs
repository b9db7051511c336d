//! Kinds of devices: class, subclass, type, description and attributes of each, once.
//!
//! `Evidence` of a kind says whether a seed or a capture shows its description and attributes.

use serde::{Deserialize, Serialize};

use crate::codes::Evidence;

/// Device classes, as AIX names them; `lsdev -type` knows some by other words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceClass {
    /// `adapter`.
    Adapter,
    /// `disk`: hdisks, and virtual target devices in `lsdev -type disk`'s sense no.
    Disk,
    /// `cdrom`: optical drives.
    Optical,
    /// `driver`: protocol devices (`fscsi0`).
    Driver,
    /// `if`: network interfaces.
    Interface,
    /// `tcpip`: `inet0`.
    Internet,
    /// `memory`.
    Memory,
    /// `processor`.
    Processor,
    /// `sys`: `sys0`.
    System,
    /// `sas`, the protocol device of a SAS adapter.
    Sas,
    /// `tty`.
    Terminal,
    /// `virtual_target`: virtual target devices.
    VirtualTarget,
    /// `pseudo` devices: `vbsd0`, `vioslpm0`, `vasi` is an adapter.
    Pseudo,
    /// `bus`.
    Bus,
}

impl DeviceClass {
    /// The class's name in the object data base.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Disk => "disk",
            Self::Optical => "cdrom",
            Self::Driver => "driver",
            Self::Interface => "if",
            Self::Internet => "tcpip",
            Self::Memory => "memory",
            Self::Processor => "processor",
            Self::System => "sys",
            Self::Sas => "sas",
            Self::Terminal => "tty",
            Self::VirtualTarget => "virtual_target",
            Self::Pseudo => "pseudo",
            Self::Bus => "bus",
        }
    }
}

/// What values an attribute takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Any text.
    Text,
    /// One of a list, in the order of `-range`.
    OneOf(&'static [&'static str]),
    /// A decimal number from, to, in steps.
    Number(u64, u64, u64),
    /// `0x` and hexadecimal digits, from and to.
    Hexadecimal(u64, u64),
}

impl Values {
    /// Whether a value is one of them.
    #[must_use]
    pub fn takes(&self, value: &str) -> bool {
        match self {
            Self::Text => true,
            Self::OneOf(words) => words.contains(&value),
            Self::Number(from, to, step) => value
                .parse::<u64>()
                .is_ok_and(|number| (*from..=*to).contains(&number) && (number - from) % step == 0),
            Self::Hexadecimal(from, to) => value
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .is_some_and(|number| (*from..=*to).contains(&number)),
        }
    }
}

/// One attribute of a kind of device.
#[derive(Debug)]
pub struct AttributeDefinition {
    /// Name.
    pub name: &'static str,
    /// Value of a device that nobody changed; attributes that describe the device itself are filled in per device.
    pub default: &'static str,
    /// Text of the description column.
    pub description: &'static str,
    /// Whether a user may set it.
    pub settable: bool,
    /// Values.
    pub values: Values,
    /// Whether a change needs the device to be closed, so that it is refused on a device in use without `-perm`.
    pub when_closed: bool,
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeviceKind {
    /// `sys0`.
    System,
    /// `mem0`.
    Memory,
    /// `L2cache0`.
    Cache,
    /// `proc0`, `proc4`, ...
    Processor,
    /// `vio0`: the virtual I/O bus.
    VirtualBus,
    /// `pci0`: a bus of physical adapters.
    PciBus,
    /// `fcs0`: a port of a Fibre Channel adapter.
    FibreChannelAdapter,
    /// `fscsi0`: the SCSI protocol on it.
    FibreChannelProtocol,
    /// `ent0`: a physical Ethernet port.
    EthernetAdapter,
    /// `ent4`: a virtual Ethernet adapter.
    VirtualEthernetAdapter,
    /// `en0`: the standard Ethernet interface of an adapter.
    EthernetInterface,
    /// `et0`: its IEEE 802.3 interface.
    Ieee8023Interface,
    /// `inet0`.
    Internet,
    /// `lo0`.
    Loopback,
    /// `sissas0`: a SAS adapter.
    SasAdapter,
    /// `sas0`: its protocol.
    SasProtocol,
    /// `vsa0`: the virtual serial adapter of the console.
    VirtualSerialAdapter,
    /// `vty0`: its terminal.
    VirtualTerminal,
    /// `vhost0`: a virtual SCSI server adapter.
    VirtualScsiServer,
    /// `vfchost0`: a virtual Fibre Channel server adapter.
    VirtualFibreChannelServer,
    /// `vasi0`.
    Vasi,
    /// `vbsd0`.
    VirtualBlockStorage,
    /// `vioslpm0`.
    LivePartitionMobility,
    /// `vnicserver0`.
    VirtualNicServer,
    /// A Shared Ethernet Adapter.
    SharedEthernetAdapter,
    /// `ent3`: an SR-IOV logical port.
    LogicalPort,
    /// `ent8`: a link aggregation (EtherChannel).
    LinkAggregation,
    /// `ent9`: one VLAN of another adapter.
    VlanDevice,
    /// `hdisk4`: a disk of the SAN.
    FibreChannelDisk,
    /// `hdisk0`: a disk on a SAS adapter.
    SasDisk,
    /// `cd0`.
    OpticalDrive,
    /// `vtscsi0` over a disk.
    TargetDisk,
    /// `vtscsi0` over a logical volume.
    TargetLogicalVolume,
    /// `vtscsi0` over a file.
    TargetFile,
    /// `vtopt0`: over media of the repository.
    TargetFileOptical,
    /// `vtopt0` over a physical drive.
    TargetOptical,
    /// Over a unit of a shared storage pool.
    TargetUnit,
}

/// One row of the table.
#[derive(Debug)]
pub struct Kind {
    /// Class.
    pub class: DeviceClass,
    /// Subclass, as AIX's `lsdev -C -s` takes it.
    pub subclass: &'static str,
    /// Type, as AIX's `lsdev -C -t` takes it.
    pub unique_type: &'static str,
    /// Prefix of names.
    pub prefix: &'static str,
    /// Description.
    pub description: &'static str,
    /// Whether `lsdev -virtual` lists it.
    pub is_virtual: bool,
    /// Attributes, in the order of `lsattr`.
    pub attributes: &'static [AttributeDefinition],
    /// How sure description and attributes are.
    pub evidence: Evidence,
}

mod network;
mod table;

impl DeviceKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::System,
        Self::Memory,
        Self::Cache,
        Self::Processor,
        Self::VirtualBus,
        Self::PciBus,
        Self::FibreChannelAdapter,
        Self::FibreChannelProtocol,
        Self::EthernetAdapter,
        Self::VirtualEthernetAdapter,
        Self::EthernetInterface,
        Self::Ieee8023Interface,
        Self::Internet,
        Self::Loopback,
        Self::SasAdapter,
        Self::SasProtocol,
        Self::VirtualSerialAdapter,
        Self::VirtualTerminal,
        Self::VirtualScsiServer,
        Self::VirtualFibreChannelServer,
        Self::Vasi,
        Self::VirtualBlockStorage,
        Self::LivePartitionMobility,
        Self::VirtualNicServer,
        Self::SharedEthernetAdapter,
        Self::LogicalPort,
        Self::LinkAggregation,
        Self::VlanDevice,
        Self::FibreChannelDisk,
        Self::SasDisk,
        Self::OpticalDrive,
        Self::TargetDisk,
        Self::TargetLogicalVolume,
        Self::TargetFile,
        Self::TargetFileOptical,
        Self::TargetOptical,
        Self::TargetUnit,
    ];

    /// Its row.
    #[must_use]
    pub fn row(self) -> &'static Kind {
        table::row(self)
    }

    /// Class.
    #[must_use]
    pub fn class(self) -> DeviceClass {
        self.row().class
    }

    /// Prefix of names.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        self.row().prefix
    }

    /// Description.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.row().description
    }

    /// One of its attributes.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'static AttributeDefinition> {
        self.row().attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Whether it carries Ethernet frames: `entN`.
    #[must_use]
    pub fn is_ethernet(self) -> bool {
        matches!(
            self,
            Self::EthernetAdapter
                | Self::VirtualEthernetAdapter
                | Self::SharedEthernetAdapter
                | Self::LogicalPort
                | Self::LinkAggregation
                | Self::VlanDevice
        )
    }

    /// Whether it is made of other Ethernet devices.
    #[must_use]
    pub fn is_made_of_ethernet(self) -> bool {
        matches!(self, Self::SharedEthernetAdapter | Self::LinkAggregation | Self::VlanDevice)
    }

    /// Whether it is a virtual target device.
    #[must_use]
    pub fn is_target(self) -> bool {
        self.class() == DeviceClass::VirtualTarget
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_row_and_its_attributes_are_named_once() {
        for kind in DeviceKind::ALL {
            let row = kind.row();
            assert!(!row.prefix.is_empty() && !row.description.is_empty(), "{kind:?}");
            let names: BTreeSet<&str> = row.attributes.iter().map(|attribute| attribute.name).collect();
            assert_eq!(names.len(), row.attributes.len(), "{kind:?}");
            for attribute in row.attributes {
                let fits = attribute.default.is_empty() || attribute.values.takes(attribute.default);
                assert!(fits, "{kind:?} {}: {}", attribute.name, attribute.default);
            }
        }
    }
}
