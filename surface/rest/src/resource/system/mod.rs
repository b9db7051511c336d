//! `ManagedSystem`.

mod capabilities;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use varan_model::configuration::PartitionEnvironment;
use varan_model::hardware::ProcessorFamily;
use varan_model::partition::Keylock;
use varan_model::rules::processor_pool::POOLS_MAX;
use varan_model::system::{ManagedSystem, SystemState};

use capabilities::CAPABILITIES;

use super::partition::units;
use super::slot::{Owner, SlotView, outline_slot, write_slot};
use super::{
    Links, Object, PartitionKey, QuickValue, boolean, partition_path, pool_id, some, switch_id, system_path,
};
use crate::element::{
    Element, Group, links, links_if_any, none_inside, objects, section, text, texts, write,
};
use crate::entry::Fingerprint;
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
    /// Owners of its physical slots, by DRC index.
    pub owners: HashMap<u32, Owner>,
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
        let path = system_path(&self.system);
        let href = |(_, uuid, environment): &PartitionKey| {
            self.links.to(&format!("{path}/{}", partition_path(*environment, *uuid)))
        };
        found.map(href).collect()
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

    /// Quick answers say a blank where there is none.
    fn shown_reference_code(&self) -> String {
        Some(self.reference_code()).filter(|code| !code.is_empty()).unwrap_or_else(|| " ".to_owned())
    }

    /// `FW860.61 (185)`.
    fn service_pack_and_level(&self) -> String {
        let activated = &self.system.firmware().activated;
        format!("{} ({})", activated.service_pack, activated.level.level)
    }

    /// `SV860_FW860.61 (185)`.
    fn firmware(&self) -> String {
        let number = &self.system.firmware().activated.level.ec_number;
        format!("{}_{}", number.strip_prefix("01").unwrap_or(number), self.service_pack_and_level())
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

static IPL: &[Element<SystemView>] = &[
    // Constants are those of `lssyscfg -r sys`.
    text("CurrentManufacturingDefaulConfigurationtBootMode", "ROR", |_| some("Normal")),
    text("CurrentPowerOnSide", "ROR", |view| {
        some(if view.system.firmware().runs_temporary { "Temporary" } else { "Permanent" })
    }),
    text("CurrentSystemKeylock", "ROR", keylock),
    text("PendingManufacturingDefaulConfigurationtBootMode", "CUD", |_| some("Normal")),
    text("PendingPowerOnSide", "CUD", |view| {
        some(if view.system.settings.temporary_side { "Temporary" } else { "Permanent" })
    }),
    text("PendingSystemKeylock", "CUD", keylock),
    text("PowerOnLogicalPartitionStartPolicy", "CUD", start_policy),
    text("PowerOnOption", "CUD", |_| some("standby")),
    text("PowerOnSpeed", "CUD", |_| some("fast")),
    text("PowerOffWhenLastLogicalPartitionIsShutdown", "CUD", |view| {
        boolean(view.system.settings.power_off_policy)
    }),
    text("CurrentManufacturingDefaultConfigurationSource", "ROO", |_: &SystemView| some("a")).since(3, 0),
    text("PendingManufacturingDefaultConfigurationSource", "CUD", |_: &SystemView| some("a")).since(3, 0),
    text("PendingPowerOnLogicalPartitionStartPolicy", "UOD", start_policy).since(3, 0),
];

fn start_policy(view: &SystemView) -> Option<String> {
    some(view.system.settings.start_policy.word())
}

static VIRTUAL_NETWORK: &[Element<SystemView>] = &[
    links_if_any("NetworkBridges", "CUD", |_| Vec::new()),
    links_if_any("VirtualNetworks", "CUD", |view| {
        view.below("VirtualNetwork", view.networks.iter().cloned())
    }),
    links("VirtualSwitches", "CUD", |view| {
        let switches = view.system.virtual_switches().map(|name| switch_id(&view.system, name));
        view.below("VirtualSwitch", switches)
    }),
];

static IO: &[Element<SystemView>] = &[
    objects(
        "IOSlots",
        "CUD",
        |view, writer, groups| {
            for slot in &view.system.hardware.slots {
                let owner = view.owners.get(&slot.drc_index);
                let view = SlotView { drc_index: slot.drc_index, slot: Some(slot), owner };
                write_slot("IOSlot", &view, groups, writer);
            }
        },
        |prefix, found| outline_slot("IOSlot", prefix, found),
    ),
    none_inside("SRIOVAdapters", "CUD"),
    section("AssociatedSystemVirtualNetwork", "CUD", VIRTUAL_NETWORK).group(Group::SystemNetwork),
];

fn free_memory(view: &SystemView) -> Option<String> {
    some(view.system.available_memory())
}

fn region(view: &SystemView) -> Option<String> {
    some(view.system.hardware.memory_region_size)
}

static MEMORY: &[Element<SystemView>] = &[
    // Logarithms of `possible_hpt_ratios`; the misspelling is the interface's own.
    texts("AllowedHardwarePageTableRations", "ROR", |_| (5..=9).map(|ratio| ratio.to_string()).collect()),
    text("ConfigurableSystemMemory", "ROR", |view| some(view.system.configurable_memory())),
    text("CurrentAvailableSystemMemory", "ROR", free_memory),
    text("CurrentLogicalMemoryBlockSize", "ROR", region),
    text("CurrentMemoryMirroringMode", "ROR", |_| some("none")),
    text("DeconfiguredSystemMemory", "CUD", |view: &SystemView| some(view.system.failed_memory()))
        .group(Group::Hypervisor),
    text("DefaultHardwarePageTableRatio", "COR", |_| some(6)),
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
    some(units(view.system.available_units()))
}

static PROCESSORS: &[Element<SystemView>] = &[
    text("ConfigurableSystemProcessorUnits", "ROR", |view| some(units(view.system.configurable_units()))),
    text("CurrentAvailableSystemProcessorUnits", "ROR", free_units),
    text("CurrentMaximumProcessorsPerAIXOrLinuxPartition", "ROR", most_processors),
    text("CurrentMaximumProcessorsPerIBMiPartition", "ROR", most_processors),
    text("CurrentMaximumAllowedProcessorsPerPartition", "ROR", most_processors),
    text("CurrentMaximumProcessorsPerVirtualIOServerPartition", "ROR", most_processors),
    text("CurrentMaximumVirtualProcessorsPerAIXOrLinuxPartition", "ROR", most_virtual),
    text("CurrentMaximumVirtualProcessorsPerIBMiPartition", "ROR", most_virtual),
    text("CurrentMaximumVirtualProcessorsPerVirtualIOServerPartition", "ROR", most_virtual),
    text("DeconfiguredSystemProcessorUnits", "ROR", |view: &SystemView| {
        some(units(view.system.failed_units()))
    })
    .group(Group::Hypervisor),
    text("InstalledSystemProcessorUnits", "ROR", |view| {
        some(units(view.system.hardware.installed_processors))
    }),
    text("MaximumAllowedVirtualProcessorsPerPartition", "ROR", most_virtual),
    text("MinimumProcessorUnitsPerVirtualProcessor", "ROR", |view| {
        some(units(view.system.hardware.minimum_units_per_processor))
    }),
    text("PendingAvailableSystemProcessorUnits", "CUD", free_units),
    text("SharedProcessorPoolCount", "ROR", |_| some(POOLS_MAX)),
    texts("SupportedPartitionProcessorCompatibilityModes", "ROR", |view| {
        view.system.hardware.family.compatibility_modes().iter().map(|mode| rest_mode(mode)).collect()
    }),
    links("SharedProcessorPool", "CUD", |view| {
        let pools = (0..POOLS_MAX).map(|id| pool_id(&view.system, id));
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

macro_rules! management {
    ($name:literal, $value:literal) => {
        text($name, "ROO", |_: &SystemView| boolean($value)).since(3, 0)
    };
}

/// Elements in the order of recorded answers.
pub static SYSTEM: &[Element<SystemView>] = &[
    text("ActivatedLevel", "ROR", |view| some(view.system.firmware().activated.level.level)),
    text("ActivatedServicePackNameAndLevel", "ROR", |view: &SystemView| some(view.service_pack_and_level()))
        .since(9, 0),
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
    text("MaximumPowerControlPartitions", "CUD", |_| some(1)),
    text("PhysicalSystemAttentionLEDState", "ROO", |view| boolean(view.system.settings.indicators.attention)),
    text("PrimaryIPAddress", "CUR", |view| some(&view.address)),
    text("Hostname", "ROO", |view: &SystemView| some(&view.address)).since(2, 0),
    text("ServiceProcessorVersion", "ROR", |view| {
        some(service_processor_version(view.system.hardware.family))
    }),
    text("State", "ROR", |view| some(view.state())),
    text("SystemName", "CUR", |view| some(&view.system.settings.name)),
    text("SystemTime", "ROR", |view: &SystemView| some(view.now)).excluded(),
    text("VirtualSystemAttentionLEDState", "UOD", |view| {
        boolean(view.system.settings.indicators.virtual_attention)
    }),
    section("SystemMigrationInformation", "ROR", MIGRATION),
    text("ReferenceCode", "ROO", |view: &SystemView| some(view.reference_code())).excluded(),
    text("MergedReferenceCode", "ROO", |view: &SystemView| some(view.reference_code()))
        .excluded()
        .since(2, 0),
    text("SystemFirmware", "ROO", |view: &SystemView| some(view.firmware())).excluded().since(2, 0),
    // A console manages; there is no co-management.
    management!("IsPowerVMManagementMaster", false),
    management!("IsClassicHMCManagement", true),
    management!("IsPowerVMManagementWithoutMaster", false),
    management!("IsManagementPartitionPowerVMManagementMaster", false),
    management!("IsHMCPowerVMManagementMaster", false),
    management!("IsNotPowerVMManagementMaster", false),
    management!("IsPowerVMManagementNormalMaster", false),
    management!("IsPowerVMManagementPersistentMaster", false),
    management!("IsPowerVMManagementTemporaryMaster", false),
    management!("IsPowerVMManagementPartitionEnabled", false),
    text("Description", "CUD", |view: &SystemView| some(&view.system.settings.description)).since(2, 0),
    text("SystemType", "ROR", |_: &SystemView| some("fsp")).since(7, 0),
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
        let mut inside = Fingerprint::default();
        for (id, uuid, environment) in &self.partitions {
            inside.add(&format!("{id} {uuid} {environment:?}"));
        }
        self.networks.iter().for_each(|network| inside.add(network));
        for slot in &system.hardware.slots {
            inside.add(&format!("{:?}", self.owners.get(&slot.drc_index)));
        }
        format!(
            "{} {:?} {:?} {:?} {} {}",
            system.settings.revision,
            system.settings.indicators,
            system.state,
            system.usage,
            system.hardware.firmware,
            inside.text()
        )
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(SYSTEM, self, groups, writer);
    }

    fn quick(&self) -> Option<Vec<QuickValue>> {
        let (system, hardware) = (&self.system, &self.system.hardware);
        let number = |units: varan_model::units::ProcessingUnits| json!(f64::from(units.0) / 100.0);
        let level = json!(system.firmware().activated.level.level.to_string());
        let activated = if system.state == SystemState::NoConnection { Value::Null } else { level };
        let flag = |flag: bool| json!(flag.to_string());
        Some(vec![
            ("UUID", json!(self.id())),
            ("SystemName", json!(system.settings.name)),
            ("State", json!(self.state())),
            ("MTMS", json!(hardware.identity.to_string())),
            ("IPAddress", json!(self.address)),
            ("SystemFirmware", json!(self.firmware())),
            ("SystemLocation", Value::Null),
            ("Description", json!(system.settings.description)),
            ("ConfigurableSystemMemory", json!(system.configurable_memory())),
            ("InstalledSystemMemory", json!(hardware.installed_memory)),
            ("CurrentAvailableSystemMemory", json!(system.available_memory())),
            ("ConfigurableSystemProcessorUnits", number(system.configurable_units())),
            ("InstalledSystemProcessorUnits", number(hardware.installed_processors)),
            ("CurrentAvailableSystemProcessorUnits", number(system.available_units())),
            ("MaximumPartitions", json!(hardware.maximum_partitions)),
            ("ActivatedLevel", activated),
            ("ServiceProcessorVersion", json!(service_processor_version(hardware.family))),
            ("ReferenceCode", json!(self.shown_reference_code())),
            ("MergedReferenceCode", json!(self.shown_reference_code())),
            ("PhysicalSystemAttentionLEDState", flag(system.settings.indicators.attention)),
            ("CapacityOnDemandProcessorCapable", flag(hardware.capable("cod_proc_capable"))),
            ("CapacityOnDemandMemoryCapable", flag(hardware.capable("cod_mem_capable"))),
            ("IsPowerVMManagementMaster", flag(false)),
            ("IsNotPowerVMManagementMaster", flag(false)),
            ("IsClassicHMCManagement", flag(true)),
            ("ManufacturingDefaultConfigurationEnabled", flag(false)),
            ("MemoryDefragmentationState", json!("Not_In_Progress")),
        ])
    }

    fn search_key(&self, key: &str) -> Option<String> {
        match key {
            "SystemName" => Some(self.system.settings.name.clone()),
            "State" => Some(self.state()),
            "UUID" => Some(self.id()),
            _ => None,
        }
    }
}
