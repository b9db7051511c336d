//! Managed systems as the site file describes them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::identifiers::Ipv4Network;
use super::io::{Adapter, Slot, Unit};
use super::partition::InitialPartition;
use super::storage::LocalDisk;
use crate::firmware::FirmwareLevels;
use crate::hardware::{FirmwareLevel, Hardware, PciFunction, ProcessorFamily, SlotDescription};
use crate::ids::{MachineIdentity, SystemUuid};
use crate::system::{StartPolicy, SystemState};
use crate::units::ProcessingUnits;

/// The virtual switch that every managed system has.
pub const DEFAULT_VIRTUAL_SWITCH: &str = "ETHERNET0";

/// The flags of `lssyscfg -r sys` that a site file may override: those of the default listing of consoles
/// from version 7 to 11, and those that only `-F` prints.
pub const CAPABILITIES: [&str; 52] = [
    "active_lpar_mobility_capable",
    "inactive_lpar_mobility_capable",
    "os400_lpar_mobility_capable",
    "active_lpar_share_idle_procs_capable",
    "active_mem_dedup_capable",
    "active_mem_expansion_capable",
    "hardware_active_mem_expansion_capable",
    "active_mem_mirroring_hypervisor_capable",
    "active_mem_sharing_capable",
    "addr_broadcast_perf_policy_capable",
    "advanced_hmc_automation_and_monitoring_capable",
    "aix_capable",
    "bsr_capable",
    "capi_capable",
    "cod_mem_capable",
    "cod_proc_capable",
    "custom_mac_addr_capable",
    "disable_sec_boot_capable",
    "dynamic_platform_optimization_capable",
    "dynamic_simplified_remote_restart_toggle_capable",
    "electronic_err_reporting_capable",
    "firmware_power_saver_capable",
    "hardware_power_saver_capable",
    "hardware_discovery_capable",
    "hca_capable",
    "huge_page_mem_capable",
    "kvm_capable",
    "lhea_capable",
    "linux_capable",
    "lpar_affinity_group_capable",
    "lpar_avail_priority_capable",
    "lpar_proc_compat_mode_capable",
    "lpar_remote_restart_capable",
    "lpar_suspend_capable",
    "micro_lpar_capable",
    "os400_capable",
    "5250_application_capable",
    "os400_native_io_capable",
    "powervm_lpar_remote_restart_capable",
    "powervm_lpar_simplified_remote_restart_capable",
    "redundant_err_path_reporting_capable",
    "shared_eth_failover_capable",
    "sni_msg_passing_capable",
    "sp_failover_capable",
    "sriov_capable",
    "vet_activation_capable",
    "virtual_fc_capable",
    "virtual_io_server_capable",
    "virtual_switch_capable",
    "vnic_capable",
    "vsi_on_veth_capable",
    "vsn_phase2_capable",
];

/// PowerVM editions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PowerVmEdition {
    /// No PowerVM: one partition with all resources.
    None,
    /// Standard: micro-partitions and Virtual I/O Servers.
    Standard,
    /// Enterprise: mobility, remote restart and memory sharing too.
    Enterprise,
}

/// Activations that come beside the PowerVM edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Licence {
    /// Simplified remote restart (`simplified_remote_restart`).
    SimplifiedRemoteRestart,
    /// Active memory expansion (`active_memory_expansion`).
    ActiveMemoryExpansion,
    /// Active memory mirroring of the hypervisor (`active_memory_mirroring`).
    ActiveMemoryMirroring,
    /// Dynamic platform optimizer (`dynamic_platform_optimization`).
    DynamicPlatformOptimization,
}

/// The firmware side that the next power-on uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerOnSide {
    /// Temporary side, `temp`.
    Temporary,
    /// Permanent side, `perm`.
    Permanent,
}

/// How frames between partitions of one virtual switch travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VirtualSwitchMode {
    /// Virtual Ethernet bridge: switched in the hypervisor (`VEB`).
    Veb,
    /// Virtual Ethernet port aggregator: by way of the outside switch (`VEPA`).
    Vepa,
}

/// A virtual switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualSwitchDescription {
    /// Name, unique in the managed system.
    pub name: String,
    /// Mode.
    pub mode: VirtualSwitchMode,
}

/// The network on which consoles and partitions of a managed system reach each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagementNetwork {
    /// The virtual switch.
    pub virtual_switch: String,
    /// The VLAN on it.
    pub vlan: u16,
    /// The network from which embedded guests without an address of their own get one.
    pub network: Ipv4Network,
}

/// A managed system's hardware, licences and first partitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManagedSystemDescription {
    /// Name at first start; `chsyscfg -r sys` may change it later.
    pub name: String,
    /// Further names that `-m` accepts.
    pub aliases: Vec<String>,
    /// Type, model and serial number.
    pub identity: MachineIdentity,
    /// Description attribute.
    pub description: String,
    /// Processor family.
    pub processor_family: ProcessorFamily,
    /// Installed processor cores.
    pub installed_processors: u32,
    /// Cores that are activated.
    pub configurable_processors: u32,
    /// Installed memory in MB.
    pub installed_memory: u64,
    /// Memory that is activated, in MB.
    pub configurable_memory: u64,
    /// Memory region (logical memory block) size in MB, a power of two from 16 to 1024.
    pub memory_region_size: u64,
    /// Firmware on the temporary side.
    pub firmware_level: FirmwareLevel,
    /// Firmware on the permanent side.
    pub permanent_firmware_level: FirmwareLevel,
    /// Activated service pack name, `FW830.00`.
    pub service_pack_name: String,
    /// Least processing units for each virtual processor, 0.05 or 0.1.
    pub minimum_units_per_processor: ProcessingUnits,
    /// Most partitions.
    pub maximum_partitions: u32,
    /// Capabilities that differ from what family and firmware give: flag (one of [`CAPABILITIES`]) and value.
    pub capabilities: BTreeMap<String, bool>,
    /// PowerVM edition.
    pub powervm_edition: PowerVmEdition,
    /// Further activations, in their defined order.
    pub licences: Vec<Licence>,
    /// `power_off_policy`: the system powers off after its last partition.
    pub power_off_policy: bool,
    /// `power_on_lpar_start_policy`.
    pub partition_start_policy: StartPolicy,
    /// `pend_power_on_side`.
    pub power_on_side: PowerOnSide,
    /// State at first start: `Operating`, `Standby`, `Power Off` or `Error`.
    pub initial_state: SystemState,
    /// Physical I/O.
    pub units: Vec<Unit>,
    /// Disks inside the units.
    pub local_disks: Vec<LocalDisk>,
    /// Virtual switches; `ETHERNET0` is the first.
    pub virtual_switches: Vec<VirtualSwitchDescription>,
    /// Management network.
    pub management: ManagementNetwork,
    /// Address of the service processor; `None` for one that follows from the system's place in the file.
    pub service_processor_address: Option<Ipv4Addr>,
    /// Whether the password by which consoles reach the service processor has been set.
    pub access_password_set: bool,
    /// Prefix of virtual MAC addresses: the first 32 bits; the rest counts. `None` for one derived from the
    /// identity.
    pub mac_address_prefix: Option<u32>,
    /// First partitions.
    pub partitions: Vec<InitialPartition>,
}

impl ManagedSystemDescription {
    /// The hardware as the rules of the platform take it. `uuid` is the managed system's.
    #[must_use]
    pub fn hardware(&self, uuid: SystemUuid) -> Hardware {
        let mut hardware = Hardware {
            site_name: self.name.clone(),
            aliases: self.aliases.clone(),
            identity: self.identity.clone(),
            uuid,
            family: self.processor_family,
            installed_processors: ProcessingUnits::whole(self.installed_processors),
            configurable_processors: ProcessingUnits::whole(self.configurable_processors),
            installed_memory: self.configurable_memory,
            memory_region_size: self.memory_region_size,
            firmware: self.firmware_level.clone(),
            delivered_firmware: FirmwareLevels::of(self.firmware_level.clone()),
            minimum_units_per_processor: self.minimum_units_per_processor,
            // The file's limit fits 16 bits.
            maximum_partitions: u16::try_from(self.maximum_partitions).unwrap_or(u16::MAX),
            capability_overrides: self
                .capabilities
                .iter()
                .map(|(name, value)| (name.clone(), *value))
                .collect(),
            enterprise_edition: self.powervm_edition == PowerVmEdition::Enterprise,
            virtual_switches: self.virtual_switches.iter().map(|switch| switch.name.clone()).collect(),
            management_vlan: (self.management.vlan, self.management.virtual_switch.clone()),
            slots: self.slot_descriptions(),
            vepa_switches: self.vepa_switches(),
            sriov_adapters: self
                .units
                .iter()
                .flat_map(|unit| &unit.slots)
                .filter_map(Slot::sriov_adapter)
                .collect(),
        };
        hardware.deliver(
            self.firmware_level.clone(),
            self.permanent_firmware_level.clone(),
            self.service_pack_name.clone(),
        );
        hardware
    }

    fn vepa_switches(&self) -> Vec<String> {
        let vepa = self.virtual_switches.iter().filter(|switch| switch.mode == VirtualSwitchMode::Vepa);
        vepa.map(|switch| switch.name.clone()).collect()
    }

    fn slot_descriptions(&self) -> Vec<SlotDescription> {
        let mut found = Vec::new();
        for unit in &self.units {
            found.extend(unit.slots.iter().map(|slot| SlotDescription {
                drc_index: slot.drc_index.0,
                bus: slot.bus_id,
                unit: unit.location_code.to_string(),
                location: slot.location_code.to_string(),
                description: slot.description.clone(),
                occupied: slot.adapter.is_some(),
                function: slot.adapter.as_ref().map_or(PciFunction::ABSENT, Adapter::function),
                ports: slot.adapter.as_ref().map(Adapter::described_ports).unwrap_or_default(),
            }));
        }
        found
    }

    /// True where `-m` with this text means the system: its name, an alias, or type-model*serial.
    #[must_use]
    pub fn answers_to(&self, text: &str) -> bool {
        self.name == text
            || self.aliases.iter().any(|alias| alias == text)
            || self.identity.to_string() == text
    }

    /// The record that creates a partition, in the form of `mksyscfg -r lpar -i`: the keys of the site
    /// file, the profile, `io_slots` from the slots that name the partition as their owner, and the further
    /// attributes.
    #[must_use]
    pub fn creation_record(&self, partition: &InitialPartition) -> String {
        let mut record = format!(
            "name={},profile_name={},lpar_id={},lpar_env={},{}",
            partition.name,
            partition.profile_name,
            partition.id,
            partition.environment.word(),
            partition.profile
        );
        let slots: Vec<String> = self
            .units
            .iter()
            .flat_map(|unit| &unit.slots)
            .filter(|slot| slot.owner.as_deref() == Some(&partition.name))
            .map(|slot| format!("{}/none/0", slot.drc_index))
            .collect();
        match slots.as_slice() {
            [] => {}
            [slot] => record.push_str(&format!(",io_slots={slot}")),
            slots => record.push_str(&format!(",\"io_slots={}\"", slots.join(","))),
        }
        if !partition.attributes.is_empty() {
            record.push(',');
            record.push_str(&partition.attributes);
        }
        record
    }
}
