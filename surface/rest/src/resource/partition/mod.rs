//! `LogicalPartition` and `VirtualIOServer`.

mod memory;
mod processors;

use std::sync::LazyLock;

use serde_json::json;
use varan_model::adapters::AdapterSide;
use varan_model::attributes::partition::PartitionRow;
use varan_model::configuration::{BootMode, Configuration, PartitionEnvironment, ProcessorMode, SharingMode};
use varan_model::partition::{Keylock, RmcState, Synchronization};

use memory::MEMORY;
use processors::PROCESSORS;

pub use processors::{sharing, units};

use super::adapter::{outline_trunks, write_trunks};
use super::mapping::{
    clients_version, outline_fibre_channel_mappings, outline_scsi_mappings, write_fibre_channel_mappings,
    write_scsi_mappings,
};
use super::slot::{Owner, SlotView, outline_current, write_current};
use super::system::rest_mode;
use super::{
    Hosted, Object, QuickValue, adapter_id, boolean, partition_kind, partition_path, partition_type, pool_id,
    profile_id, some, system_path,
};
use crate::element::{
    Element, Group, links, links_if_any, none_inside, objects, reference, section, text, write,
};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// Log-on to nothing: a partition whose RMC never spoke.
const UNKNOWN: &str = "Unknown";

impl Hosted {
    fn row(&self) -> PartitionRow {
        PartitionRow { system: self.system.clone(), entry: self.entry.clone() }
    }

    fn environment(&self) -> PartitionEnvironment {
        self.entry.partition.environment
    }

    /// What the partition has; nothing before its first activation, whatever its profiles ask for, as recorded.
    fn content(&self) -> &Configuration {
        // As `lshwres` says it.
        static NOTHING: LazyLock<Configuration> = LazyLock::new(|| Configuration {
            processor_mode: ProcessorMode::Dedicated,
            sharing_mode: SharingMode::KeepIdle,
            ..Configuration::default()
        });
        self.entry.partition.current.as_ref().unwrap_or(&NOTHING)
    }

    fn of<T: ToString>(&self, value: impl FnOnce(&Configuration) -> T) -> Option<String> {
        Some(value(self.content()).to_string())
    }

    fn shared(&self) -> bool {
        self.content().processor_mode == ProcessorMode::Shared
    }

    fn state(&self) -> String {
        self.row().state().word().to_lowercase()
    }

    fn rmc(&self) -> &'static str {
        match self.entry.runtime.rmc {
            RmcState::Active => "active",
            RmcState::Inactive => "inactive",
        }
    }

    fn address(&self) -> Option<String> {
        let system = self.entry.runtime.operating_system.as_ref();
        let system = system.filter(|_| self.entry.runtime.rmc == RmcState::Active)?;
        system.address.map(|address| address.to_string())
    }

    fn reference_code(&self) -> String {
        let newest = self.entry.runtime.reference_codes.newest_first().next();
        newest.map(|one| one.code.clone()).unwrap_or_default()
    }

    fn operating_system(&self) -> String {
        let system = self.entry.runtime.operating_system.as_ref();
        system.map_or(UNKNOWN, |system| system.version.as_str()).to_owned()
    }

    fn kind_text(&self) -> &'static str {
        partition_type(self.environment())
    }

    /// Whether RMC works, which much of what a partition can do needs.
    fn reachable(&self) -> bool {
        self.entry.runtime.rmc == RmcState::Active
    }

    /// Whether its virtual attention indicator is on.
    fn attention(&self) -> bool {
        self.system.settings.indicators.partitions.contains(&self.entry.partition.id)
    }

    fn own_path(&self) -> String {
        partition_path(self.environment(), self.entry.partition.uuid)
    }

    /// Links to the virtual adapters of a kind.
    fn adapters(&self, kind: &str, slots: impl Fn(&Configuration) -> Vec<u16>) -> Vec<String> {
        let uuid = self.entry.partition.uuid;
        let slots = self.entry.partition.current.as_ref().map(slots).unwrap_or_default();
        let path = self.own_path();
        slots
            .iter()
            .map(|slot| self.links.to(&format!("{path}/{kind}/{}", adapter_id(kind, uuid, slot))))
            .collect()
    }

    fn managed_system(&self) -> Option<String> {
        Some(self.links.to(&system_path(&self.system)))
    }
}

/// A boot mode as the API writes it.
pub fn boot_mode(mode: BootMode) -> &'static str {
    match mode {
        BootMode::Normal => "Normal",
        BootMode::DiagnosticsDefault => "Default_Diagnostic",
        BootMode::DiagnosticsStored => "Stored_Diagnostic",
        BootMode::OpenFirmware => "Open_Firmware",
        BootMode::SystemManagementServices => "System_Management_Services",
    }
}

static CAPABILITIES: &[Element<Hosted>] = &[
    text("DynamicLogicalPartitionIOCapable", "ROR", |one| boolean(one.reachable())),
    text("DynamicLogicalPartitionMemoryCapable", "ROR", |one| boolean(one.reachable())),
    text("DynamicLogicalPartitionProcessorCapable", "ROR", |one| boolean(one.reachable())),
    text("InternalAndExternalIntrusionDetectionCapable", "CUD", |_| boolean(false)),
    text("ResourceMonitoringControlOperatingSystemShutdownCapable", "CUD", |one| boolean(one.reachable())),
];

fn write_slots(one: &Hosted, writer: &mut XmlWriter, groups: Groups) {
    let owner = Owner::of(&one.entry.partition);
    for slot in &one.content().physical_slots {
        let known = one.system.hardware.slot(slot.drc_index);
        let view = SlotView { drc_index: slot.drc_index, slot: known, owner: Some(&owner) };
        write_current(&view, groups, writer);
    }
}

static IO: &[Element<Hosted>] = &[
    text("MaximumVirtualIOSlots", "CUD", |one| one.of(|content| content.maximum_virtual_slots)),
    objects("ProfileIOSlots", "CUD", write_slots, outline_current),
    text("CurrentMaximumVirtualIOSlots", "ROR", |one| one.of(|content| content.maximum_virtual_slots)),
];

fn profile_links(one: &Hosted) -> Vec<String> {
    let path = one.own_path();
    let uuid = one.entry.partition.uuid;
    let of = |name: &str| one.links.to(&format!("{path}/LogicalPartitionProfile/{}", profile_id(uuid, name)));
    one.entry.partition.profiles.iter().map(|profile| of(&profile.name)).collect()
}

fn current_profile(one: &Hosted) -> Option<String> {
    let partition = &one.entry.partition;
    let names = [&partition.current_profile, &partition.default_profile];
    let name = names.into_iter().find(|name| partition.profile(name).is_some())?;
    let id = profile_id(partition.uuid, name);
    Some(one.links.to(&format!("{}/LogicalPartitionProfile/{id}", one.own_path())))
}

fn pool(one: &Hosted) -> Option<String> {
    let id = pool_id(&one.system, one.content().processor_pool);
    one.shared().then(|| one.links.to(&format!("{}/SharedProcessorPool/{id}", system_path(&one.system))))
}

fn compatibility(mode: &str) -> Option<String> {
    Some(rest_mode(mode))
}

macro_rules! base_elements {
    ($($further:expr),* $(,)?) => {
        &[
            text("AllowPerformanceDataCollection", "CUD", |one: &Hosted| {
                boolean(one.entry.partition.settings.allow_performance_collection)
            }),
            reference("AssociatedPartitionProfile", "CUD", current_profile),
            text("DefaultProfileName", "UOD", |one: &Hosted| some(&one.entry.partition.default_profile)).since(17, 0),
            text("AvailabilityPriority", "UOD", |one| some(one.entry.partition.settings.availability_priority)),
            text("CurrentAllocatedBarrierSynchronizationRegisterArrays", "ROO", |one| {
                one.of(|content| content.bsr_arrays)
            }),
            text("CurrentProcessorCompatibilityMode", "ROO", |one| compatibility(one.row().current_mode())),
            text("CurrentProfileSync", "CUD", |one| {
                some(match one.entry.partition.settings.synchronization {
                    Synchronization::Disabled => "Disabled",
                    Synchronization::Enabled => "On",
                    Synchronization::Suspended => "Suspended",
                })
            }),
            text("IsConnectionMonitoringEnabled", "UOD", |one| {
                one.of(|content| content.connection_monitoring)
            }),
            text("IsOperationInProgress", "ROR", |one| boolean(one.entry.runtime.lock.is_some())),
            text("IsRedundantErrorPathReportingEnabled", "UOD", |one| {
                boolean(one.entry.partition.settings.redundant_error_path)
            }),
            text("IsTimeReferencePartition", "UOD", |one| boolean(one.entry.partition.settings.time_reference)),
            text("IsVirtualServiceAttentionLEDOn", "ROR", |one| boolean(one.attention())),
            text("IsVirtualTrustedPlatformModuleEnabled", "UOD", |_| boolean(false)),
            text("KeylockPosition", "CUD", |one| {
                some(if one.entry.partition.settings.keylock == Keylock::Manual { "manual" } else { "normal" })
            }),
            text("LogicalSerialNumber", "ROR", |one| some(one.row().logical_serial_number())),
            text("OperatingSystemVersion", "ROR", |one| some(one.operating_system())),
            section("PartitionCapabilities", "ROR", CAPABILITIES),
            text("PartitionID", "COD", |one| some(one.entry.partition.id)),
            section("PartitionIOConfiguration", "CUD", IO),
            section("PartitionMemoryConfiguration", "CUD", MEMORY),
            text("PartitionName", "CUR", |one| some(&one.entry.partition.name)),
            section("PartitionProcessorConfiguration", "CUD", PROCESSORS),
            links("PartitionProfiles", "CUD", profile_links),
            text("PartitionState", "ROO", |one| some(one.state())),
            text("PartitionType", "COD", |one| some(one.kind_text())),
            text("PartitionUUID", "ROO", |one| some(one.entry.partition.uuid)),
            text("PendingProcessorCompatibilityMode", "CUD", |one| {
                compatibility(&one.entry.partition.settings.compatibility_mode)
            }),
            reference("ProcessorPool", "CUD", pool),
            text("ProgressPartitionDataRemaining", "ROR", |_| some(0)),
            text("ProgressPartitionDataTotal", "ROR", |_| some(0)),
            text("ResourceMonitoringControlState", "ROR", |one| some(one.rmc())),
            text("ResourceMonitoringIPAddress", "CUD", Hosted::address),
            reference("AssociatedManagedSystem", "CUD", Hosted::managed_system),
            links_if_any("ClientNetworkAdapters", "CUR", |one| {
                one.adapters("ClientNetworkAdapter", |content| {
                    content.ethernet_adapters.iter().filter(|one| one.trunk_priority.is_none()).map(|one| one.slot.0).collect()
                })
            }),
            // No machine here has host Ethernet adapters.
            none_inside("HostEthernetAdapterLogicalPorts", "CUD"),
            text("IsServicePartition", "CUD", |_| boolean(false)),
            text("PowerVMManagementCapable", "ROR", |one: &Hosted| {
                boolean(one.entry.partition.settings.management_capable)
            })
            .since(5, 0),
            text("ReferenceCode", "ROO", |one: &Hosted| some(one.reference_code())).excluded(),
            text("AssignAllResources", "COD", |one: &Hosted| one.of(|content| content.all_resources))
                .since(6, 0),
            text("LastActivatedProfile", "ROO", |one: &Hosted| {
                Some(one.entry.partition.current_profile.clone()).filter(|name| !name.is_empty())
            })
            .since(7, 0),
            text("HasPhysicalIO", "ROO", |one: &Hosted| {
                one.of(|content| !content.physical_slots.is_empty())
            })
            .since(7, 0),
            text("BootMode", "COD", |one: &Hosted| {
                some(boot_mode(one.entry.runtime.boot_mode.unwrap_or(one.entry.partition.settings.boot_mode)))
            })
            .since(10, 1),
            text("SystemName", "ROR", |one: &Hosted| some(&one.system.settings.name)).since(14, 0),
            text("PowerOnWithHypervisor", "CUD", |one: &Hosted| {
                boolean(one.entry.partition.settings.auto_start)
            })
            .since(2, 0),
            text("Description", "CUD", |one: &Hosted| some(&one.entry.partition.settings.description))
                .since(2, 0),
            $($further),*
        ]
    };
}

/// Elements of a client partition in the order of recorded answers.
pub static LOGICAL_PARTITION: &[Element<Hosted>] = base_elements![
    text("RemoteRestartCapable", "CUA", |one| boolean(one.entry.partition.settings.remote_restart_capable)),
    text("SimplifiedRemoteRestartCapable", "CUD", |one: &Hosted| {
        boolean(one.entry.partition.settings.simplified_remote_restart_capable)
    })
    .since(2, 0),
    text("HasDedicatedProcessorsForMigration", "ROR", |_| boolean(false)),
    text("SuspendCapable", "CUD", |one| boolean(one.entry.partition.settings.suspend_capable)),
    text("MigrationDisable", "CUD", |one: &Hosted| boolean(one.entry.partition.settings.migration_disabled))
        .since(3, 0),
    text("MigrationState", "ROR", |_| some("Not_Migrating")),
    text("RemoteRestartState", "ROR", |_| some("Invalid")),
    links_if_any("VirtualFibreChannelClientAdapters", "CUR", |one| {
        one.adapters("VirtualFibreChannelClientAdapter", |content| {
            let clients = content.fibre_channel_adapters.iter();
            clients.filter(|one| one.side == AdapterSide::Client).map(|one| one.slot.0).collect()
        })
    }),
    links_if_any("VirtualSCSIClientAdapters", "CUR", |one| {
        one.adapters("VirtualSCSIClientAdapter", |content| {
            let clients = content.scsi_adapters.iter();
            clients.filter(|one| one.side == AdapterSide::Client).map(|one| one.slot.0).collect()
        })
    }),
];

/// Elements of a Virtual I/O Server in the order of recorded answers. What only the server itself knows is there while it
/// can be asked; a server without disks and bridges says so with empty lists.
pub static VIRTUAL_IO_SERVER: &[Element<Hosted>] = base_elements![
    text("APICapable", "CUD", |one| boolean(one.reachable())),
    text("ManagerPassthroughCapable", "CUD", |one| boolean(one.reachable())),
    text("MoverServicePartition", "CUD", |one| boolean(one.entry.partition.settings.mover_service_partition)),
    text("PagingServicePartition", "CUD", |_| boolean(false)),
    none_inside("PhysicalVolumes", "CUD").group(Group::ViosStorage).present(Hosted::reachable),
    none_inside("SharedEthernetAdapters", "CUD").group(Group::ViosNetwork).present(Hosted::reachable),
    links("StoragePools", "CUD", |_| Vec::new()).group(Group::ViosStorage).present(Hosted::reachable),
    objects("TrunkAdapters", "CUD", write_trunks, outline_trunks).group(Group::ViosNetwork),
    text("VirtualIOServerLicenseAccepted", "CUD", |_| boolean(true)),
    objects(
        "VirtualFibreChannelMappings",
        "CUD",
        write_fibre_channel_mappings,
        outline_fibre_channel_mappings
    )
    .group(Group::ViosFcMapping),
    objects("VirtualSCSIMappings", "CUD", write_scsi_mappings, outline_scsi_mappings)
        .group(Group::ViosScsiMapping),
    none_inside("VirtualNICBackingDevices", "ROR").since(3, 0).group(Group::Vnic),
];

impl Object for Hosted {
    fn kind(&self) -> &'static str {
        partition_kind(self.environment())
    }

    fn id(&self) -> String {
        self.entry.partition.uuid.to_string()
    }

    fn path(&self) -> String {
        self.own_path()
    }

    fn version(&self) -> String {
        let runtime = &self.entry.runtime;
        let server = self.environment() == PartitionEnvironment::VirtualIoServer;
        let clients = if server { clients_version(self) } else { String::new() };
        format!(
            "{clients} {} {} {:?} {:?} {} {:?} {} {} {} {}",
            self.entry.partition.revision,
            self.attention(),
            self.system.state,
            runtime.state,
            runtime.generation,
            runtime.rmc,
            runtime.memory,
            runtime.processors,
            runtime.units,
            runtime.lock.is_some(),
        )
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        let table = match self.environment() {
            PartitionEnvironment::VirtualIoServer => VIRTUAL_IO_SERVER,
            _ => LOGICAL_PARTITION,
        };
        write(table, self, groups, writer);
    }

    fn quick(&self) -> Option<Vec<QuickValue>> {
        let (partition, runtime) = (&self.entry.partition, &self.entry.runtime);
        let current = partition.current.as_ref();
        let of = |value: fn(&Configuration) -> u64| json!(current.map(value).unwrap_or_default());
        let mut values = vec![
            ("UUID", json!(self.id())),
            ("PartitionID", json!(partition.id.0)),
            ("PartitionName", json!(partition.name)),
            ("PartitionType", json!(self.kind_text())),
            ("PartitionState", json!(self.state())),
            ("RMCState", json!(self.rmc())),
            ("OperatingSystemVersion", json!(self.operating_system())),
            ("ResourceMonitoringIPAddress", json!(self.address())),
            ("ReferenceCode", json!(self.reference_code())),
            ("AllocatedVirtualProcessors", of(|content| u64::from(content.desired_processors))),
            ("CurrentProcessors", of(|content| u64::from(content.desired_processors))),
            ("CurrentProcessingUnits", json!(f64::from(runtime.units.0) / 100.0)),
            ("CurrentMemory", of(|content| content.desired_memory)),
            ("HasDedicatedProcessors", json!((!self.shared()).to_string())),
            ("SharingMode", json!(sharing(self.content().sharing_mode))),
        ];
        if self.environment() == PartitionEnvironment::VirtualIoServer {
            values.extend([
                ("APICapable", json!(self.reachable().to_string())),
                ("VirtualIOServerLicenseAccepted", json!("true")),
            ]);
        } else {
            values
                .push(("RemoteRestartCapable", json!(partition.settings.remote_restart_capable.to_string())));
        }
        values.extend([
            ("IsVirtualServiceAttentionLEDOn", json!(self.attention().to_string())),
            ("AssociatedManagedSystem", json!(self.managed_system())),
        ]);
        Some(values)
    }

    fn search_key(&self, key: &str) -> Option<String> {
        match key {
            "PartitionName" => Some(self.entry.partition.name.clone()),
            "PartitionID" => Some(self.entry.partition.id.to_string()),
            "PartitionState" => Some(self.state()),
            "PartitionType" => Some(self.kind_text().to_owned()),
            "PartitionUUID" | "UUID" => Some(self.id()),
            "RMCState" => Some(self.rmc().to_owned()),
            _ => None,
        }
    }
}
