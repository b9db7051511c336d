//! What a managed system is made of: processors, memory, firmware, capabilities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::firmware::{FirmwareImage, FirmwareLevels};
use crate::ids::{InvalidIdentifier, MacAddress, MachineIdentity, SystemUuid, WorldWidePortName};
use crate::sriov::SriovAdapterDescription;
use crate::units::ProcessingUnits;

/// Processor generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProcessorFamily {
    /// POWER6.
    Power6,
    /// POWER6+.
    Power6Plus,
    /// POWER7.
    Power7,
    /// POWER7+.
    Power7Plus,
    /// POWER8.
    Power8,
    /// POWER9.
    Power9,
    /// POWER10.
    Power10,
}

impl ProcessorFamily {
    /// The compatibility modes that the family offers, in the order of `lpar_proc_compat_modes`. POWER9 and POWER10 as
    /// captured on real systems; the others from the seeds' table.
    #[must_use]
    pub fn compatibility_modes(self) -> &'static [&'static str] {
        match self {
            Self::Power6 => &["default", "POWER6", "POWER6_enhanced"],
            Self::Power6Plus => &["default", "POWER6", "POWER6+", "POWER6+_enhanced"],
            Self::Power7 => &["default", "POWER6", "POWER6+", "POWER7"],
            Self::Power7Plus => &["default", "POWER6", "POWER6+", "POWER7"],
            Self::Power8 => &["default", "POWER6", "POWER6+", "POWER7", "POWER8"],
            Self::Power9 => &["default", "POWER7", "POWER8", "POWER9", "POWER9_base"],
            Self::Power10 => &["default", "POWER8", "POWER9", "POWER9_base", "POWER10"],
        }
    }

    /// The mode that `default` stands for.
    #[must_use]
    pub fn native_mode(self) -> &'static str {
        match self {
            Self::Power6 => "POWER6",
            Self::Power6Plus => "POWER6+",
            Self::Power7 | Self::Power7Plus => "POWER7",
            Self::Power8 => "POWER8",
            Self::Power9 => "POWER9",
            Self::Power10 => "POWER10",
        }
    }
}

impl FromStr for ProcessorFamily {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "POWER6" => Self::Power6,
            "POWER6+" => Self::Power6Plus,
            "POWER7" => Self::Power7,
            "POWER7+" => Self::Power7Plus,
            "POWER8" => Self::Power8,
            "POWER9" => Self::Power9,
            "POWER10" => Self::Power10,
            _ => return Err(InvalidIdentifier { kind: "processor family", text: text.to_owned() }),
        })
    }
}

/// A firmware level such as `01SV830_048`: the EC number and the level within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FirmwareLevel {
    /// EC number, `01SV830`: prefix by machine and release.
    pub ec_number: String,
    /// Level, 48 for `_048`.
    pub level: u16,
}

impl FirmwareLevel {
    /// The release: 830 for `01SV830`.
    #[must_use]
    pub fn release(&self) -> u16 {
        let digits: String = self.ec_number.chars().rev().take_while(char::is_ascii_digit).collect();
        digits.chars().rev().collect::<String>().parse().unwrap_or(0)
    }
}

impl fmt::Display for FirmwareLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{:03}", self.ec_number, self.level)
    }
}

impl FromStr for FirmwareLevel {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InvalidIdentifier { kind: "firmware level", text: text.to_owned() };
        let (ec_number, level) = text.split_once('_').ok_or_else(wrong)?;
        let shape = ec_number.len() == 7
            && ec_number.is_ascii()
            && ec_number.starts_with("01")
            && ec_number[2..4].bytes().all(|byte| byte.is_ascii_uppercase())
            && ec_number[4..].bytes().all(|byte| byte.is_ascii_digit());
        if !shape || level.len() != 3 {
            return Err(wrong());
        }
        Ok(Self { ec_number: ec_number.to_owned(), level: level.parse().map_err(|_| wrong())? })
    }
}

/// A managed system's hardware as the site file describes it. Does not change while the site runs, but for the
/// firmware level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// The key in the site file; state on disk is kept under this name.
    pub site_name: String,
    /// Further names by which `-m` finds the system.
    pub aliases: Vec<String>,
    /// Type, model and serial number.
    pub identity: MachineIdentity,
    /// UUID, derived from the identity.
    pub uuid: SystemUuid,
    /// Processor family.
    pub family: ProcessorFamily,
    /// Installed processors, in units.
    pub installed_processors: ProcessingUnits,
    /// Processors that may be used (licensed), in units.
    pub configurable_processors: ProcessingUnits,
    /// Installed memory in MB.
    pub installed_memory: u64,
    /// Logical memory block size in MB.
    pub memory_region_size: u64,
    /// Firmware level in force.
    pub firmware: FirmwareLevel,
    /// Firmware as the machine was delivered; what its own record says counts once there is one.
    pub delivered_firmware: FirmwareLevels,
    /// Least processing units per virtual processor: 0.05 or 0.1.
    pub minimum_units_per_processor: ProcessingUnits,
    /// Most partitions that can be defined.
    pub maximum_partitions: u16,
    /// Capabilities that differ from what family and firmware give: name without `_capable` suffix kept whole, value.
    pub capability_overrides: Vec<(String, bool)>,
    /// PowerVM edition: true for Enterprise (mobility, remote restart).
    pub enterprise_edition: bool,
    /// Names of the virtual switches; the first is the default one.
    pub virtual_switches: Vec<String>,
    /// VLAN and virtual switch on which the console reaches partitions by RMC.
    pub management_vlan: (u16, String),
    /// Physical I/O slots that exist, in the site file's order.
    pub slots: Vec<SlotDescription>,
    /// Virtual switches that are in VEPA mode at first.
    #[serde(default)]
    pub vepa_switches: Vec<String>,
    /// SR-IOV adapters, in the order of their slots.
    #[serde(default)]
    pub sriov_adapters: Vec<SriovAdapterDescription>,
}

/// A physical I/O slot as the site file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotDescription {
    /// DRC index: the slot's name in `io_slots`.
    pub drc_index: u32,
    /// Bus number.
    pub bus: u32,
    /// Location code of the unit (`U78C9.001.WZS8141`).
    pub unit: String,
    /// Location code of the slot (`U78C9.001.WZS8141-P1-C2`).
    pub location: String,
    /// What is in it, in words.
    pub description: String,
    /// Whether an adapter is in it.
    pub occupied: bool,
    /// How the adapter shows itself on the bus; an empty slot has none.
    #[serde(default)]
    pub function: PciFunction,
    /// Ports of the adapter, `T1` first.
    #[serde(default)]
    pub ports: Vec<SlotPort>,
}

/// Identifiers in the configuration space of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciFunction {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Vendor of the subsystem.
    pub subsystem_vendor: u16,
    /// Subsystem.
    pub subsystem_device: u16,
    /// Base class and subclass.
    pub class: u16,
    /// Revision.
    pub revision: u8,
}

impl PciFunction {
    /// What a read of an empty slot gives: all ones.
    pub const ABSENT: Self = Self {
        vendor: 0xFFFF,
        device: 0xFFFF,
        subsystem_vendor: 0xFFFF,
        subsystem_device: 0xFFFF,
        class: 0xFFFF,
        revision: 0xFF,
    };
}

impl Default for PciFunction {
    fn default() -> Self {
        Self::ABSENT
    }
}

/// A port of an adapter in a physical slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotPort {
    /// Location code (`U78C9.001.WZS8141-P1-C2-T1`).
    pub location: String,
    /// Burned-in address of an Ethernet port.
    pub mac_address: Option<MacAddress>,
    /// Burned-in name of a Fibre Channel port.
    pub port_name: Option<WorldWidePortName>,
}

impl Hardware {
    /// Delivers the machine with that firmware on its temporary side, in force, and on its permanent side.
    pub fn deliver(&mut self, level: FirmwareLevel, permanent: FirmwareLevel, service_pack: String) {
        let accepted =
            if permanent == level { service_pack.clone() } else { format!("FW{}.00", permanent.release()) };
        let temporary = FirmwareImage::delivered(level.clone(), service_pack);
        let permanent = FirmwareImage::delivered(permanent, accepted);
        self.delivered_firmware = FirmwareLevels::delivered(temporary, permanent);
        self.firmware = level;
    }

    /// Live migrations that the firmware carries at the same time: 16 from release 740 on, 8 on 720 and 730, 4 before.
    /// Source: the platform's firmware support matrix for partition mobility.
    #[must_use]
    pub fn concurrent_migrations(&self) -> u16 {
        match self.firmware.release() {
            740.. => 16,
            720..740 => 8,
            _ => 4,
        }
    }

    /// Location codes of the parts that have an indicator: units in the order of their first slot, each before its slots.
    pub fn locations(&self) -> impl Iterator<Item = &str> {
        let mut seen: Vec<&str> = Vec::new();
        for slot in &self.slots {
            for location in [slot.unit.as_str(), slot.location.as_str()] {
                if !seen.contains(&location) {
                    seen.push(location);
                }
            }
        }
        seen.into_iter()
    }

    /// The physical I/O slot of that DRC index.
    #[must_use]
    pub fn slot(&self, drc_index: u32) -> Option<&SlotDescription> {
        self.slots.iter().find(|slot| slot.drc_index == drc_index)
    }

    /// Whether the machine is a scale-out model (`S8xx`), whose firmware gates differ from the enterprise models'.
    #[must_use]
    pub fn scale_out(&self) -> bool {
        matches!(
            self.identity.type_model.as_str(),
            "8286-41A" | "8286-42A" | "8284-22A" | "8247-21L" | "8247-22L" | "8247-42L"
        )
    }

    /// The value of a `..._capable` flag: the site file's override, else what family and firmware give.
    #[must_use]
    pub fn capable(&self, flag: &str) -> bool {
        match self.capability_overrides.iter().find(|(name, _)| name == flag) {
            Some((_, value)) => *value,
            None => self.capable_by_default(flag),
        }
    }

    fn capable_by_default(&self, flag: &str) -> bool {
        let power8 = self.family >= ProcessorFamily::Power8;
        let power7 = self.family >= ProcessorFamily::Power7;
        match flag {
            "active_lpar_mobility_capable" | "inactive_lpar_mobility_capable" => self.enterprise_edition,
            "powervm_lpar_simplified_remote_restart_capable" => {
                // The seeds' gates: SV830 on scale-out machines, 820 on the enterprise models, POWER8 and later.
                let release = if self.scale_out() { 830 } else { 820 };
                let newer = self.family > ProcessorFamily::Power8;
                self.enterprise_edition && power8 && (newer || self.firmware.release() >= release)
            }
            "dynamic_simplified_remote_restart_toggle_capable" => {
                power8 && self.firmware.release() >= 860 && self.enterprise_edition
            }
            "lpar_remote_restart_capable" | "powervm_lpar_remote_restart_capable" => {
                power7 && self.enterprise_edition
            }
            "lpar_suspend_capable" | "active_mem_sharing_capable" => {
                // POWER9 firmware dropped suspend and active memory sharing.
                power7 && self.family < ProcessorFamily::Power9 && self.enterprise_edition
            }
            "active_mem_expansion_capable"
            | "lpar_avail_priority_capable"
            | "active_lpar_share_idle_procs_capable" => power7,
            "hardware_active_mem_expansion_capable" => self.family == ProcessorFamily::Power7Plus || power8,
            "dynamic_platform_optimization_capable" | "capi_capable" => power8,
            "vsi_on_veth_capable" | "virtual_switch_capable" | "vsn_phase2_capable" => power7,
            "hca_capable" | "lhea_capable" | "bsr_capable" | "sni_msg_passing_capable" => !power8,
            "5250_application_capable"
            | "cod_mem_capable"
            | "active_mem_mirroring_hypervisor_capable"
            | "addr_broadcast_perf_policy_capable"
            | "redundant_err_path_reporting_capable"
            | "os400_native_io_capable" => false,
            "sp_failover_capable" => !self.scale_out(),
            _ => flag.ends_with("_capable"),
        }
    }

    /// Memory in MB that the hypervisor keeps for itself before any partition runs: 1/64 of what is installed, at least
    /// 1024 MB on POWER7 and later, in whole memory blocks.
    #[must_use]
    pub fn hypervisor_base_memory(&self) -> u64 {
        let floor = if self.family >= ProcessorFamily::Power7 { 1_024 } else { 512 };
        let share = (self.installed_memory / 64).max(floor).min(self.installed_memory / 4);
        share.next_multiple_of(self.memory_region_size)
    }

    /// Memory in MB that the hypervisor takes for one running partition: its hardware page table (the next power of two
    /// of maximum memory divided by the HPT ratio).
    #[must_use]
    pub fn partition_overhead(&self, maximum_memory: u64, hpt_ratio: u64) -> u64 {
        (maximum_memory / hpt_ratio.max(1)).max(1).next_power_of_two()
    }
}

/// Adapter 1 in shared mode and adapter 2 that is dedicated, each with two ports.
#[cfg(test)]
fn sample_sriov_adapters() -> Vec<SriovAdapterDescription> {
    use crate::sriov::{Capacity, SriovPortDescription, SriovPortType};
    let port = |adapter: u16, port: u8| SriovPortDescription {
        location: format!("U78C9.001.WZS8141-P1-C{}-T{}", adapter + 4, port + 1),
        mac_address: MacAddress(0x0090_FA00_0100 + u64::from(adapter) * 16 + u64::from(port)),
        speed: 10_000,
        label: String::new(),
        sub_label: String::new(),
        kind: SriovPortType::Ethernet,
        maximum_logical_ports: 4,
    };
    let adapter = |adapter: u16| SriovAdapterDescription {
        adapter: crate::ids::SriovAdapterId(adapter),
        drc_index: 0x2101_0100 + u32::from(adapter),
        location: format!("U78C9.001.WZS8141-P1-C{}", adapter + 4),
        description: "PCIe3 4-Port 10GbE SR Adapter".to_owned(),
        shared: adapter == 1,
        maximum_logical_ports: 6,
        granularity: Capacity(200),
        ports: vec![port(adapter, 0), port(adapter, 1)],
    };
    vec![adapter(1), adapter(2)]
}

#[cfg(test)]
pub(crate) fn sample() -> Hardware {
    Hardware {
        site_name: "p814-1".to_owned(),
        aliases: Vec::new(),
        identity: "8286-41A*2166661".parse().expect("identity"),
        uuid: SystemUuid::from_random(7),
        family: ProcessorFamily::Power8,
        installed_processors: ProcessingUnits::whole(8),
        configurable_processors: ProcessingUnits::whole(8),
        installed_memory: 65_536,
        memory_region_size: 256,
        firmware: "01SV830_048".parse().expect("level"),
        delivered_firmware: FirmwareLevels::of("01SV830_048".parse().expect("level")),
        minimum_units_per_processor: ProcessingUnits(5),
        maximum_partitions: 200,
        capability_overrides: Vec::new(),
        enterprise_edition: true,
        virtual_switches: vec!["ETHERNET0".to_owned()],
        management_vlan: (1, "ETHERNET0".to_owned()),
        vepa_switches: Vec::new(),
        sriov_adapters: sample_sriov_adapters(),
        slots: vec![SlotDescription {
            drc_index: 0x2102_0013,
            bus: 531,
            unit: "U78C9.001.WZS8141".to_owned(),
            location: "U78C9.001.WZS8141-P1-C2".to_owned(),
            description: "Ethernet controller".to_owned(),
            occupied: true,
            function: PciFunction { vendor: 0x14E4, device: 0x1657, class: 0x0200, ..PciFunction::ABSENT },
            ports: vec![SlotPort {
                location: "U78C9.001.WZS8141-P1-C2-T1".to_owned(),
                mac_address: Some(MacAddress(0x0090_FA00_0001)),
                port_name: None,
            }],
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_levels_read_and_print() {
        let level: FirmwareLevel = "01SV830_048".parse().expect("level");
        assert_eq!((level.ec_number.as_str(), level.level, level.release()), ("01SV830", 48, 830));
        assert_eq!(level.to_string(), "01SV830_048");
        for text in ["01SV830", "SV830_048", "01SV830_48", "01sv830_048", "02SV830_048"] {
            assert!(text.parse::<FirmwareLevel>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_firmware_says_how_many_migrations_there_may_be() {
        let mut hardware = sample();
        for (level, most) in
            [("01AL770_063", 16), ("01AL730_051", 8), ("01EL350_149", 4), ("01SC860_056", 16)]
        {
            hardware.firmware = level.parse().expect("level");
            assert_eq!(hardware.concurrent_migrations(), most, "{level}");
        }
    }

    #[test]
    fn simplified_remote_restart_comes_with_the_firmware() {
        let flag = "powervm_lpar_simplified_remote_restart_capable";
        let mut hardware = sample();
        assert!(hardware.capable(flag));
        hardware.firmware = "01SV810_081".parse().expect("level");
        assert!(!hardware.capable(flag));
        hardware.identity = "9119-MME*65BA46F".parse().expect("identity");
        hardware.firmware = "01SC820_051".parse().expect("level");
        assert!(hardware.capable(flag));
        hardware.family = ProcessorFamily::Power7;
        assert!(!hardware.capable(flag));
        hardware.capability_overrides.push((flag.to_owned(), true));
        assert!(hardware.capable(flag));
    }
}
