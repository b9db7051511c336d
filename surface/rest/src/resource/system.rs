//! `ManagedSystem`.

use std::sync::Arc;

use serde_json::json;
use varan_model::configuration::PartitionEnvironment;
use varan_model::hardware::{ProcessorFamily, SlotDescription};
use varan_model::partition::Keylock;
use varan_model::system::{ManagedSystem, StartPolicy, SystemState};

use super::{
    Links, Object, PartitionKey, QuickValue, boolean, partition_path, pool_id, some, switch_id, system_path,
};
use crate::element::{Element, Group, links, nested, section, text, texts, write, write_inner};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// A system with what its document refers to.
pub struct SystemView {
    /// Links.
    pub links: Arc<Links>,
    /// System.
    pub system: Arc<ManagedSystem>,
    /// Address of the service processor.
    pub address: String,
    /// Its partitions, in the order of their numbers.
    pub partitions: Vec<PartitionKey>,
    /// Identities of its virtual networks.
    pub networks: Vec<String>,
    /// When it was read, in milliseconds since 1970.
    pub now: i64,
}

impl SystemView {
    fn capable(&self, flag: &str) -> Option<String> {
        boolean(self.system.hardware.capable(flag))
    }

    /// Virtual NICs came with firmware FW840, their failover with FW860, on POWER8 and later.
    fn firmware_gives_vnic(&self, release: u16) -> bool {
        let hardware = &self.system.hardware;
        hardware.family > ProcessorFamily::Power8
            || hardware.family == ProcessorFamily::Power8 && hardware.firmware.release() >= release
    }

    fn partition_links(&self, servers: bool) -> Vec<String> {
        let own = |environment: &PartitionEnvironment| {
            (*environment == PartitionEnvironment::VirtualIoServer) == servers
        };
        let found = self.partitions.iter().filter(|(_, _, environment)| own(environment));
        found.map(|(_, uuid, environment)| self.links.to(&partition_path(*environment, *uuid))).collect()
    }

    fn below(&self, kind: &str, ids: impl Iterator<Item = String>) -> Vec<String> {
        let path = system_path(&self.system);
        ids.map(|id| self.links.to(&format!("{path}/{kind}/{id}"))).collect()
    }

    fn state(&self) -> String {
        self.system.state.word().to_lowercase()
    }

    fn type_model(&self) -> (&str, &str) {
        self.system.hardware.identity.type_model.split_once('-').unwrap_or_default()
    }

    fn reference_code(&self) -> String {
        self.system.reference_codes.newest_first().next().map(|one| one.code.clone()).unwrap_or_default()
    }
}

/// Version of the service processor's interface, as `lssyscfg -r sys -F sp_version` has it.
fn service_processor_version(family: ProcessorFamily) -> &'static str {
    match family {
        family if family >= ProcessorFamily::Power9 => "00090005",
        family if family >= ProcessorFamily::Power8 => "00080000",
        _ => "00070000",
    }
}

fn keylock(view: &SystemView) -> Option<String> {
    some(if view.system.settings.keylock == Keylock::Manual { "manual" } else { "normal" })
}

fn side(view: &SystemView) -> Option<String> {
    some(if view.system.settings.temporary_side { "Temporary" } else { "Permanent" })
}

static IPL: &[Element<SystemView>] = &[
    text("CurrentPowerOnSide", "ROR", side),
    text("CurrentSystemKeylock", "ROR", keylock),
    text("PendingPowerOnSide", "CUD", side),
    text("PendingSystemKeylock", "CUD", keylock),
    text("PowerOnLogicalPartitionStartPolicy", "CUD", |view| some(view.system.settings.start_policy.word())),
    text("PowerOnOption", "CUD", |view| {
        let automatic = view.system.settings.start_policy == StartPolicy::AutoStart;
        some(if automatic { "autostart" } else { "standby" })
    }),
    text("PowerOffWhenLastLogicalPartitionIsShutdown", "CUD", |view| {
        boolean(view.system.settings.power_off_policy)
    }),
];

macro_rules! capability {
    ($name:literal, $flag:literal) => {
        text($name, "ROO", |view: &SystemView| view.capable($flag))
    };
}

static CAPABILITIES: &[Element<SystemView>] = &[
    capability!("ActiveLogicalPartitionMobilityCapable", "active_lpar_mobility_capable"),
    capability!("ActiveLogicalPartitionSharedIdeProcessorsCapable", "active_lpar_share_idle_procs_capable"),
    capability!("ActiveMemoryExpansionCapable", "active_mem_expansion_capable"),
    capability!("ActiveMemoryMirroringCapable", "active_mem_mirroring_hypervisor_capable"),
    capability!("ActiveMemorySharingCapable", "active_mem_sharing_capable"),
    capability!("AddressBroadcastPolicyCapable", "addr_broadcast_perf_policy_capable"),
    text("AIXCapable", "ROO", |view| {
        some(if view.system.hardware.capable("aix_capable") { "Active" } else { "Inactive" })
    }),
    capability!("BarrierSynchronizationRegisterCapable", "bsr_capable"),
    capability!("CapacityOnDemandMemoryCapable", "cod_mem_capable"),
    capability!("CapacityOnDemandProcessorCapable", "cod_proc_capable"),
    capability!("ElectronicErrorReportingCapable", "electronic_err_reporting_capable"),
    capability!("FirmwarePowerSaverCapable", "firmware_power_saver_capable"),
    capability!("HardwareDiscoveryCapable", "hardware_discovery_capable"),
    capability!("HardwarePowerSaverCapable", "hardware_power_saver_capable"),
    capability!("HostChannelAdapterCapable", "hca_capable"),
    capability!("HugePageMemoryCapable", "huge_page_mem_capable"),
    capability!("IBMiCapable", "os400_capable"),
    capability!("IBMiLogicalPartitionMobilityCapable", "os400_lpar_mobility_capable"),
    capability!("IBMiLogicalPartitionSuspendCapable", "os400_lpar_suspend_capable"),
    capability!("IBMiRestrictedIOModeCapable", "os400_restricted_io_mode_capable"),
    capability!("InactiveLogicalPartitionMobilityCapable", "inactive_lpar_mobility_capable"),
    capability!("LinuxCapable", "linux_capable"),
    capability!("LogicalHostEthernetAdapterCapable", "lhea_capable"),
    capability!("LogicalPartitionAffinityGroupCapable", "lpar_affinity_group_capable"),
    capability!("LogicalPartitionAvailabilityPriorityCapable", "lpar_avail_priority_capable"),
    capability!("LogicalPartitionProcessorCompatibilityModeCapable", "lpar_proc_compat_mode_capable"),
    text("PowerVMLogicalPartitionSimplifiedRemoteRestartCapable", "ROO", |view: &SystemView| {
        view.capable("powervm_lpar_simplified_remote_restart_capable")
    })
    .since(2, 0),
    capability!("LogicalPartitionRemoteRestartCapable", "lpar_remote_restart_capable"),
    capability!("LogicalPartitionSuspendCapable", "lpar_suspend_capable"),
    capability!("MicroLogicalPartitionCapable", "micro_lpar_capable"),
    capability!("RedundantErrorPathReportingCapable", "redundant_err_path_reporting_capable"),
    capability!("ServiceProcessorFailoverCapable", "sp_failover_capable"),
    capability!("SharedEthernetFailoverCapable", "shared_eth_failover_capable"),
    capability!("SharedProcessorPoolCapable", "shared_proc_pool_capable"),
    capability!("SRIOVCapable", "sriov_capable"),
    capability!("SwitchNetworkInterfaceMessagePassingCapable", "sni_msg_passing_capable"),
    capability!("Telnet5250ApplicationCapable", "5250_application_capable"),
    capability!("VirtualFiberChannelCapable", "virtual_fc_capable"),
    capability!("VirtualIOServerCapable", "virtual_io_server_capable"),
    capability!("VirtualizationEngineTechnologiesActivationCapable", "vet_activation_capable"),
    capability!("VirtualServerNetworkingPhase2Capable", "vsn_phase2_capable"),
    capability!("VirtualSwitchCapable", "virtual_switch_capable"),
    capability!("VirtualTrustedPlatformModuleCapable", "vtpm_capable"),
    text("VirtualEthernetCustomMACAddressCapable", "ROR", |view: &SystemView| {
        view.capable("virtual_eth_custom_mac_addr_capable")
    }),
    text("VirtualNICDedicatedSRIOVCapable", "ROO", |view: &SystemView| {
        boolean(view.firmware_gives_vnic(840))
    }),
    text("VirtualNICFailOverCapable", "ROO", |view: &SystemView| boolean(view.firmware_gives_vnic(860)))
        .since(4, 0),
    text("DynamicSimplifiedRemoteRestartToggleCapable", "ROO", |view: &SystemView| {
        view.capable("dynamic_simplified_remote_restart_toggle_capable")
    })
    .since(5, 0),
];

static SLOT_ADAPTER: &[Element<SlotDescription>] = &[
    text("AdapterID", "ROR", |slot| some(slot.drc_index)),
    text("Description", "CUD", |slot| some(&slot.description)),
    text("DeviceName", "ROR", |slot| some(&slot.location)),
    text("DynamicReconfigurationConnectorName", "CUD", |slot| some(&slot.location)),
    text("PhysicalLocation", "ROR", |slot| slot.location.rsplit('-').next().map(str::to_owned)),
];

static SLOT: &[Element<SlotDescription>] = &[
    text("BusGroupingRequired", "CUD", |_| boolean(false)),
    text("Description", "CUD", |slot| some(&slot.description)),
    text("IOUnitPhysicalLocation", "ROR", |slot| some(&slot.unit)),
    nested("RelatedIOAdapter", "CUD", |slot, writer, groups| {
        if slot.occupied {
            write(SLOT_ADAPTER, slot, groups, writer);
        }
    }),
    text("SlotDynamicReconfigurationConnectorIndex", "ROR", |slot| some(slot.drc_index)),
    text("SlotDynamicReconfigurationConnectorName", "CUD", |slot| some(&slot.location)),
    text("SlotPhysicalLocationCode", "ROR", |slot| slot.location.rsplit('-').next().map(str::to_owned)),
];

static VIRTUAL_NETWORK: &[Element<SystemView>] = &[
    links("NetworkBridges", "CUD", |_| Vec::new()),
    links("VirtualNetworks", "CUD", |view| view.below("VirtualNetwork", view.networks.iter().cloned())),
    links("VirtualSwitches", "CUD", |view| {
        let switches = view.system.virtual_switches().map(|name| switch_id(&view.system, name));
        view.below("VirtualSwitch", switches)
    }),
];

static IO: &[Element<SystemView>] = &[
    nested("IOSlots", "CUD", |view, writer, groups| {
        for slot in &view.system.hardware.slots {
            write_inner("IOSlot", SLOT, slot, groups, writer);
        }
    }),
    section("AssociatedSystemVirtualNetwork", "CUD", VIRTUAL_NETWORK).group(Group::SystemNetwork),
];

fn free_memory(view: &SystemView) -> Option<String> {
    some(view.system.available_memory())
}

fn region(view: &SystemView) -> Option<String> {
    some(view.system.hardware.memory_region_size)
}

static MEMORY: &[Element<SystemView>] = &[
    text("ConfigurableSystemMemory", "ROR", |view| some(view.system.hardware.installed_memory)),
    text("CurrentAvailableSystemMemory", "ROR", free_memory),
    text("CurrentLogicalMemoryBlockSize", "ROR", region),
    text("CurrentMemoryMirroringMode", "ROR", |_| some("none")),
    text("DeconfiguredSystemMemory", "CUD", |_| some(0)),
    text("DefaultHardwarePageTableRatio", "COR", |_| some(7)),
    text("DefaultHardwarePagingTableRatioForDedicatedMemoryPartition", "CUD", |_| some(7)),
    text("InstalledSystemMemory", "ROR", |view| some(view.system.hardware.installed_memory)),
    text("MaximumMemoryPoolCount", "ROR", |_| some(1)),
    text("MemoryRegionSize", "CUD", region),
    text("MemoryUsedByHypervisor", "ROR", |view| some(view.system.firmware_memory())),
    text("PendingAvailableSystemMemory", "CUD", free_memory),
    text("PendingLogicalMemoryBlockSize", "CUD", |view| {
        some(view.system.settings.pending_memory_region_size)
    }),
    text("PendingMemoryRegionSize", "CUD", |view| some(view.system.settings.pending_memory_region_size)),
    text("RequestedHugePages", "CUD", |view| some(view.system.settings.requested_huge_pages)),
];

fn most_processors(view: &SystemView) -> Option<String> {
    some(view.system.hardware.configurable_processors.0 / 100)
}

/// Virtual processors that a partition may have, as `lshwres -r proc --level sys` says.
fn most_virtual(_: &SystemView) -> Option<String> {
    some(256)
}

fn free_units(view: &SystemView) -> Option<String> {
    some(view.system.available_units())
}

static PROCESSORS: &[Element<SystemView>] = &[
    text("ConfigurableSystemProcessorUnits", "ROR", |view| {
        some(view.system.hardware.configurable_processors)
    }),
    text("CurrentAvailableSystemProcessorUnits", "ROR", free_units),
    text("CurrentMaximumProcessorsPerAIXOrLinuxPartition", "ROR", most_processors),
    text("CurrentMaximumProcessorsPerIBMiPartition", "ROR", most_processors),
    text("CurrentMaximumAllowedProcessorsPerPartition", "ROR", most_processors),
    text("CurrentMaximumProcessorsPerVirtualIOServerPartition", "ROR", most_processors),
    text("CurrentMaximumVirtualProcessorsPerAIXOrLinuxPartition", "ROR", most_virtual),
    text("CurrentMaximumVirtualProcessorsPerIBMiPartition", "ROR", most_virtual),
    text("CurrentMaximumVirtualProcessorsPerVirtualIOServerPartition", "ROR", most_virtual),
    text("DeconfiguredSystemProcessorUnits", "ROR", |view| {
        let hardware = &view.system.hardware;
        some(hardware.installed_processors.minus(hardware.configurable_processors))
    }),
    text("InstalledSystemProcessorUnits", "ROR", |view| some(view.system.hardware.installed_processors)),
    text("MaximumAllowedVirtualProcessorsPerPartition", "ROR", most_virtual),
    text("MinimumProcessorUnitsPerVirtualProcessor", "ROR", |view| {
        some(view.system.hardware.minimum_units_per_processor)
    }),
    text("PendingAvailableSystemProcessorUnits", "CUD", free_units),
    text("SharedProcessorPoolCount", "ROR", |_| some(64)),
    texts("SupportedPartitionProcessorCompatibilityModes", "ROR", |view| {
        view.system.hardware.family.compatibility_modes().iter().map(|mode| rest_mode(mode)).collect()
    }),
    links("SharedProcessorPool", "CUD", |view| {
        let pools = view.system.settings.processor_pools.iter().map(|pool| pool_id(&view.system, pool.id));
        view.below("SharedProcessorPool", pools)
    }),
];

/// A processor compatibility mode as the API writes it: `POWER6+` is `POWER6_Plus`.
pub fn rest_mode(mode: &str) -> String {
    match mode {
        "POWER6+" => "POWER6_Plus".to_owned(),
        "POWER6+_enhanced" => "POWER6_Plus_Enhanced".to_owned(),
        "POWER6_enhanced" => "POWER6_Enhanced".to_owned(),
        "POWER9_base" => "POWER9_Base".to_owned(),
        other => other.to_owned(),
    }
}

static MACHINE: &[Element<SystemView>] = &[
    text("MachineType", "CUR", |view| some(view.type_model().0)),
    text("Model", "CUR", |view| some(view.type_model().1)),
    text("SerialNumber", "CUR", |view| some(&view.system.hardware.identity.serial_number)),
];

static MIGRATION: &[Element<SystemView>] = &[
    text("NumberOfInactiveMigrationsInProgress", "ROR", |_| some(0)),
    text("NumberOfActiveMigrationsInProgress", "ROR", |_| some(0)),
];

/// Elements in the order of recorded answers.
pub static SYSTEM: &[Element<SystemView>] = &[
    section("AssociatedIPLConfiguration", "CUD", IPL).group(Group::Hypervisor),
    links("AssociatedLogicalPartitions", "CUD", |view| view.partition_links(false)),
    section("AssociatedSystemCapabilities", "CUD", CAPABILITIES),
    section("AssociatedSystemIOConfiguration", "CUD", IO),
    section("AssociatedSystemMemoryConfiguration", "CUD", MEMORY),
    section("AssociatedSystemProcessorConfiguration", "CUD", PROCESSORS),
    links("AssociatedVirtualIOServers", "CUD", |view| view.partition_links(true)),
    text("DetailedState", "ROR", |_| some("None")),
    section("MachineTypeModelAndSerialNumber", "ROR", MACHINE),
    text("ManufacturingDefaultConfigurationEnabled", "ROR", |_| boolean(false)),
    text("MaximumPartitions", "CUD", |view| some(view.system.hardware.maximum_partitions)),
    text("PhysicalSystemAttentionLEDState", "ROO", |_| boolean(false)),
    text("PrimaryIPAddress", "CUR", |view| some(&view.address)),
    text("State", "ROR", |view| some(view.state())),
    text("SystemName", "CUR", |view| some(&view.system.settings.name)),
    text("SystemTime", "CUD", |view: &SystemView| some(view.now)).excluded(),
    section("SystemMigrationInformation", "ROR", MIGRATION),
    text("ReferenceCode", "ROO", |view: &SystemView| some(view.reference_code())).excluded(),
    text("IsPowerVMManagementMaster", "ROO", |_: &SystemView| boolean(false)).since(3, 0),
    text("IsManagementPartitionPowerVMManagementMaster", "ROO", |_: &SystemView| boolean(false)).since(3, 0),
    text("IsHMCPowerVMManagementMaster", "ROO", |_: &SystemView| boolean(false)).since(3, 0),
    text("SystemFirmware", "ROO", |view: &SystemView| some(&view.system.hardware.firmware)).since(3, 0),
    text("Description", "CUD", |view: &SystemView| {
        Some(view.system.settings.description.clone()).filter(|text| !text.is_empty())
    })
    .since(2, 0),
];

impl Object for SystemView {
    fn kind(&self) -> &'static str {
        "ManagedSystem"
    }

    fn id(&self) -> String {
        self.system.hardware.uuid.to_string()
    }

    fn path(&self) -> String {
        system_path(&self.system)
    }

    fn version(&self) -> String {
        let system = &self.system;
        format!(
            "{} {:?} {:?} {} {} {}",
            system.settings.revision,
            system.state,
            system.usage,
            self.partitions.len(),
            system.hardware.firmware,
            self.networks.len()
        )
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(SYSTEM, self, groups, writer);
    }

    fn quick(&self) -> Option<Vec<QuickValue>> {
        let (system, hardware) = (&self.system, &self.system.hardware);
        let units = |units: varan_model::units::ProcessingUnits| json!(f64::from(units.0) / 100.0);
        let reachable = system.state != SystemState::NoConnection;
        Some(vec![
            ("UUID", json!(self.id())),
            ("SystemName", json!(system.settings.name)),
            ("State", json!(self.state())),
            ("MTMS", json!(hardware.identity.to_string())),
            ("IPAddress", json!(self.address)),
            ("SystemFirmware", json!(hardware.firmware.to_string())),
            ("SystemLocation", serde_json::Value::Null),
            ("Description", json!(system.settings.description)),
            ("ConfigurableSystemMemory", json!(hardware.installed_memory)),
            ("InstalledSystemMemory", json!(hardware.installed_memory)),
            ("CurrentAvailableSystemMemory", json!(system.available_memory())),
            ("ConfigurableSystemProcessorUnits", units(hardware.configurable_processors)),
            ("InstalledSystemProcessorUnits", units(hardware.installed_processors)),
            ("CurrentAvailableSystemProcessorUnits", units(system.available_units())),
            ("MaximumPartitions", json!(hardware.maximum_partitions)),
            (
                "ActivatedLevel",
                if reachable { json!(hardware.firmware.level) } else { serde_json::Value::Null },
            ),
            ("ServiceProcessorVersion", json!(service_processor_version(hardware.family))),
            ("ReferenceCode", json!(self.reference_code())),
            ("MergedReferenceCode", json!(self.reference_code())),
            ("PhysicalSystemAttentionLEDState", json!("false")),
            ("CapacityOnDemandProcessorCapable", json!(hardware.capable("cod_proc_capable").to_string())),
            ("CapacityOnDemandMemoryCapable", json!(hardware.capable("cod_mem_capable").to_string())),
            ("IsPowerVMManagementMaster", json!("false")),
            ("IsNotPowerVMManagementMaster", json!("true")),
            ("IsClassicHMCManagement", json!("true")),
            ("ManufacturingDefaultConfigurationEnabled", json!("false")),
            ("MemoryDefragmentationState", json!("Not_In_Progress")),
        ])
    }

    fn search_key(&self, key: &str) -> Option<String> {
        match key {
            "SystemName" => Some(self.system.settings.name.clone()),
            "UUID" => Some(self.id()),
            _ => None,
        }
    }
}
