//! `LogicalPartition` and `VirtualIOServer`.

use serde_json::json;
use varan_model::adapters::{AdapterSide, PhysicalSlot};
use varan_model::attributes::partition::PartitionRow;
use varan_model::configuration::{BootMode, Configuration, PartitionEnvironment, ProcessorMode, SharingMode};
use varan_model::partition::{Keylock, RmcState, Synchronization};
use varan_model::units::ProcessingUnits;

use super::system::rest_mode;
use super::{
    Hosted, Object, QuickValue, adapter_id, boolean, partition_kind, partition_path, pool_id, profile_id,
    some, system_path,
};
use crate::element::{
    Element, Group, links, nested, reference, section, section_if, text, write, write_inner,
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

    /// What the partition has or, before its first activation, would get.
    fn wanted(&self) -> Option<&Configuration> {
        let partition = &self.entry.partition;
        let default = || partition.profile(&partition.default_profile).map(|profile| &profile.configuration);
        partition.current.as_ref().or_else(default)
    }

    fn of_wanted<T: ToString>(&self, value: impl FnOnce(&Configuration) -> T) -> Option<String> {
        self.wanted().map(|content| value(content).to_string())
    }

    /// A value of the current configuration; zero without one.
    fn of_current<T: ToString + Default>(&self, value: impl FnOnce(&Configuration) -> T) -> Option<String> {
        some(self.entry.partition.current.as_ref().map(value).unwrap_or_default())
    }

    fn shared(&self) -> bool {
        self.wanted().is_some_and(|content| content.processor_mode == ProcessorMode::Shared)
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
        match self.environment() {
            PartitionEnvironment::AixLinux => "AIX/Linux",
            PartitionEnvironment::VirtualIoServer => "Virtual IO Server",
            PartitionEnvironment::IbmI => "OS400",
        }
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

/// The base-two logarithm of a page table ratio `1:n`, as the API writes it.
fn ratio(content: &Configuration) -> u32 {
    u32::from(content.hpt_ratio).max(1).ilog2()
}

/// Processing units with two decimals, as the API writes zero.
pub fn units(value: ProcessingUnits) -> String {
    if value.0 == 0 { "0.00".to_owned() } else { value.to_string() }
}

pub fn sharing(mode: SharingMode) -> &'static str {
    match mode {
        SharingMode::KeepIdle => "keep idle procs",
        // The misspelling is the interface's own.
        SharingMode::ShareIdle => "sre idle proces",
        SharingMode::ShareIdleActive => "sre idle procs active",
        SharingMode::ShareIdleAlways => "sre idle procs always",
        SharingMode::Capped => "capped",
        SharingMode::Uncapped => "uncapped",
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
    text("DynamicLogicalPartitionIOCapable", "ROR", |one| boolean(one.entry.runtime.rmc == RmcState::Active)),
    text("DynamicLogicalPartitionMemoryCapable", "ROR", |one| {
        boolean(one.entry.runtime.rmc == RmcState::Active)
    }),
    text("DynamicLogicalPartitionProcessorCapable", "ROR", |one| {
        boolean(one.entry.runtime.rmc == RmcState::Active)
    }),
    text("InternalAndExternalIntrusionDetectionCapable", "CUD", |_| boolean(false)),
    text("ResourceMonitoringControlOperatingSystemShutdownCapable", "CUD", |one| {
        boolean(one.entry.runtime.rmc == RmcState::Active)
    }),
];

/// A physical slot as plain values, which tables can point into.
struct SlotRow {
    drc_index: u32,
    required: bool,
    description: String,
    unit: String,
    location: String,
}

impl SlotRow {
    fn of(hosted: &Hosted, slot: &PhysicalSlot) -> Self {
        let known = hosted.system.hardware.slot(slot.drc_index);
        Self {
            drc_index: slot.drc_index,
            required: slot.required,
            description: known.map(|slot| slot.description.clone()).unwrap_or_default(),
            unit: known.map(|slot| slot.unit.clone()).unwrap_or_default(),
            location: known.map(|slot| slot.location.clone()).unwrap_or_default(),
        }
    }
}

static ASSOCIATED_SLOT: &[Element<SlotRow>] = &[
    text("BusGroupingRequired", "CUD", |_| boolean(false)),
    text("Description", "CUD", |slot| some(&slot.description)),
    text("IOUnitPhysicalLocation", "ROR", |slot| some(&slot.unit)),
    text("SlotDynamicReconfigurationConnectorIndex", "ROR", |slot| some(slot.drc_index)),
    text("SlotDynamicReconfigurationConnectorName", "CUD", |slot| some(&slot.location)),
    text("SlotPhysicalLocationCode", "ROR", |slot| slot.location.rsplit('-').next().map(str::to_owned)),
];

static PROFILE_SLOT: &[Element<SlotRow>] = &[
    section("AssociatedIOSlot", "CUD", ASSOCIATED_SLOT),
    text("IsRequired", "CUD", |slot| boolean(slot.required)),
];

fn write_slots(one: &Hosted, writer: &mut XmlWriter, groups: Groups) {
    for slot in one.wanted().into_iter().flat_map(|content| &content.physical_slots) {
        write_inner("ProfileIOSlot", PROFILE_SLOT, &SlotRow::of(one, slot), groups, writer);
    }
}

static IO: &[Element<Hosted>] = &[
    text("MaximumVirtualIOSlots", "CUD", |one| one.of_wanted(|content| content.maximum_virtual_slots)),
    nested("ProfileIOSlots", "CUD", write_slots),
    text("CurrentMaximumVirtualIOSlots", "ROR", |one| {
        one.of_current(|content| content.maximum_virtual_slots)
    }),
];

static MEMORY: &[Element<Hosted>] = &[
    text("ActiveMemoryExpansionEnabled", "CUD", |one| one.of_wanted(|content| content.memory_expansion > 0)),
    text("ActiveMemorySharingEnabled", "CUD", |_| boolean(false)),
    text("DesiredHugePageCount", "CUD", |one| one.of_wanted(|content| content.desired_huge_pages)),
    text("DesiredMemory", "CUD", |one| one.of_wanted(|content| content.desired_memory)),
    text("ExpansionFactor", "CUD", |one| one.of_wanted(|content| expansion(content.memory_expansion))),
    text("HardwarePageTableRatio", "CUD", |one| one.of_wanted(ratio)),
    text("MaximumHugePageCount", "CUD", |one| one.of_wanted(|content| content.maximum_huge_pages)),
    text("MaximumMemory", "CUD", |one| one.of_wanted(|content| content.maximum_memory)),
    text("MinimumHugePageCount", "CUD", |one| one.of_wanted(|content| content.minimum_huge_pages)),
    text("MinimumMemory", "CUD", |one| one.of_wanted(|content| content.minimum_memory)),
    text("CurrentExpansionFactor", "ROR", |one| {
        some(
            one.entry
                .partition
                .current
                .as_ref()
                .map_or(expansion(0), |content| expansion(content.memory_expansion)),
        )
    }),
    text("CurrentHardwarePageTableRatio", "ROR", |one| one.of_current(ratio)),
    text("CurrentHugePageCount", "ROR", |one| one.of_current(|content| content.desired_huge_pages)),
    text("CurrentMaximumHugePageCount", "ROR", |one| one.of_current(|content| content.maximum_huge_pages)),
    text("CurrentMaximumMemory", "ROR", |one| one.of_current(|content| content.maximum_memory)),
    text("CurrentMemory", "ROR", |one| one.of_current(|content| content.desired_memory)),
    text("CurrentMinimumHugePageCount", "ROR", |one| one.of_current(|content| content.minimum_huge_pages)),
    text("CurrentMinimumMemory", "ROR", |one| one.of_current(|content| content.minimum_memory)),
    text("MemoryExpansionEnabled", "ROR", |one| {
        boolean(one.entry.partition.current.as_ref().is_some_and(|content| content.memory_expansion > 0))
    }),
    text("RedundantErrorPathReportingEnabled", "ROR", |one| {
        boolean(one.entry.partition.settings.redundant_error_path)
    }),
    text("RuntimeMemory", "ROR", |one| some(one.entry.runtime.memory)),
    text("RuntimeMinimumMemory", "ROR", |one| one.of_current(|content| content.minimum_memory)),
    text("SharedMemoryEnabled", "CUD", |_| boolean(false)),
];

/// The expansion factor from hundredths: `0.0`, `1.25`.
fn expansion(hundredths: u32) -> String {
    ProcessingUnits(hundredths).to_string()
}

static DEDICATED: &[Element<Hosted>] = &[
    text("DesiredProcessors", "CUD", |one| one.of_wanted(|content| content.desired_processors)),
    text("MaximumProcessors", "CUD", |one| one.of_wanted(|content| content.maximum_processors)),
    text("MinimumProcessors", "CUD", |one| one.of_wanted(|content| content.minimum_processors)),
];

static SHARED: &[Element<Hosted>] = &[
    text("DesiredProcessingUnits", "CUD", |one| one.of_wanted(|content| units(content.desired_units))),
    text("DesiredVirtualProcessors", "CUD", |one| one.of_wanted(|content| content.desired_processors)),
    text("MaximumProcessingUnits", "CUD", |one| one.of_wanted(|content| units(content.maximum_units))),
    text("MaximumVirtualProcessors", "CUD", |one| one.of_wanted(|content| content.maximum_processors)),
    text("MinimumProcessingUnits", "CUD", |one| one.of_wanted(|content| units(content.minimum_units))),
    text("MinimumVirtualProcessors", "CUD", |one| one.of_wanted(|content| content.minimum_processors)),
    text("SharedProcessorPoolID", "CUD", |one| one.of_wanted(|content| content.processor_pool)),
    text("UncappedWeight", "CUD", |one| one.of_wanted(|content| content.uncapped_weight)),
];

static CURRENT_DEDICATED: &[Element<Hosted>] = &[
    text("CurrentMaximumProcessors", "ROR", |one| one.of_current(|content| content.maximum_processors)),
    text("CurrentMinimumProcessors", "ROR", |one| one.of_current(|content| content.minimum_processors)),
    text("CurrentProcessors", "ROR", |one| one.of_current(|content| content.desired_processors)),
    text("RunProcessors", "ROR", |one| some(one.entry.runtime.processors)),
];

static CURRENT_SHARED: &[Element<Hosted>] = &[
    text("AllocatedVirtualProcessors", "ROR", |one| one.of_current(|content| content.desired_processors)),
    text("CurrentMaximumProcessingUnits", "ROR", |one| some(units(current_units(one, |c| c.maximum_units)))),
    text("CurrentMinimumProcessingUnits", "ROR", |one| some(units(current_units(one, |c| c.minimum_units)))),
    text("CurrentProcessingUnits", "ROR", |one| some(units(current_units(one, |c| c.desired_units)))),
    text("CurrentSharedProcessorPoolID", "ROR", |one| one.of_current(|content| content.processor_pool)),
    text("CurrentUncappedWeight", "ROR", |one| one.of_current(|content| content.uncapped_weight)),
    text("CurrentMinimumVirtualProcessors", "ROR", |one| {
        one.of_current(|content| content.minimum_processors)
    }),
    text("CurrentMaximumVirtualProcessors", "ROR", |one| {
        one.of_current(|content| content.maximum_processors)
    }),
    text("RuntimeProcessingUnits", "ROR", |one| some(units(one.entry.runtime.units))),
    text("RuntimeUncappedWeight", "ROR", |one| {
        let running = one.entry.runtime.state.holds_resources();
        if running { one.of_current(|content| content.uncapped_weight) } else { some(0) }
    }),
];

fn current_units(one: &Hosted, value: fn(&Configuration) -> ProcessingUnits) -> ProcessingUnits {
    one.entry.partition.current.as_ref().map(value).unwrap_or_default()
}

fn has_current(one: &Hosted, shared: bool) -> bool {
    let current = one.entry.partition.current.as_ref();
    current.is_some_and(|content| (content.processor_mode == ProcessorMode::Shared) == shared)
}

fn dedicated_now(one: &Hosted) -> Option<String> {
    boolean(has_current(one, false))
}

static PROCESSORS: &[Element<Hosted>] = &[
    section_if("DedicatedProcessorConfiguration", "CUD", |one| !one.shared(), DEDICATED),
    text("HasDedicatedProcessors", "CUD", |one| boolean(!one.shared())),
    section_if("SharedProcessorConfiguration", "CUD", Hosted::shared, SHARED),
    text("SharingMode", "CUD", |one| one.of_wanted(|content| sharing(content.sharing_mode))),
    text("CurrentHasDedicatedProcessors", "ROR", dedicated_now),
    text("CurrentSharingMode", "ROR", |one| one.of_wanted(|content| sharing(content.sharing_mode))),
    section_if(
        "CurrentDedicatedProcessorConfiguration",
        "ROR",
        |one| has_current(one, false),
        CURRENT_DEDICATED,
    ),
    text("RuntimeHasDedicatedProcessors", "ROR", dedicated_now),
    section_if("CurrentSharedProcessorConfiguration", "ROR", |one| has_current(one, true), CURRENT_SHARED),
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
    let pool = one.wanted().filter(|_| one.shared())?.processor_pool;
    let id = pool_id(&one.system, pool);
    Some(one.links.to(&format!("{}/SharedProcessorPool/{id}", system_path(&one.system))))
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
            text("AvailabilityPriority", "UOD", |one| some(one.entry.partition.settings.availability_priority)),
            text("CurrentAllocatedBarrierSynchronizationRegisterArrays", "ROO", |one| {
                one.of_current(|content| content.bsr_arrays)
            }),
            text("CurrentProcessorCompatibilityMode", "ROO", |one| compatibility(one.row().current_mode())),
            text("CurrentProfileSync", "CUD", |one| {
                some(match one.entry.partition.settings.synchronization {
                    Synchronization::Disabled => "Off",
                    Synchronization::Enabled => "On",
                    Synchronization::Suspended => "Suspend",
                })
            }),
            text("IsConnectionMonitoringEnabled", "UOD", |one| {
                one.of_wanted(|content| content.connection_monitoring)
            }),
            text("IsOperationInProgress", "ROR", |one| boolean(one.entry.runtime.changing)),
            text("IsRedundantErrorPathReportingEnabled", "UOD", |one| {
                boolean(one.entry.partition.settings.redundant_error_path)
            }),
            text("IsTimeReferencePartition", "UOD", |one| boolean(one.entry.partition.settings.time_reference)),
            text("IsVirtualServiceAttentionLEDOn", "ROR", |_| boolean(false)),
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
            links("ClientNetworkAdapters", "CUR", |one| {
                one.adapters("ClientNetworkAdapter", |content| {
                    content.ethernet_adapters.iter().filter(|one| one.trunk_priority.is_none()).map(|one| one.slot.0).collect()
                })
            }),
            text("IsServicePartition", "CUD", |_| boolean(false)),
            text("ReferenceCode", "ROO", |one: &Hosted| some(one.reference_code())).excluded(),
            text("BootMode", "ROR", |one| {
                some(boot_mode(one.entry.runtime.boot_mode.unwrap_or(one.entry.partition.settings.boot_mode)))
            }),
            text("Description", "CUD", |one: &Hosted| {
                Some(one.entry.partition.settings.description.clone()).filter(|text| !text.is_empty())
            }).since(2, 0),
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
    text("MigrationState", "ROR", |_| some("Not_Migrating")),
    text("RemoteRestartState", "ROR", |_| some("Invalid")),
    links("VirtualFibreChannelClientAdapters", "CUR", |one| {
        one.adapters("VirtualFibreChannelClientAdapter", |content| {
            let clients = content.fibre_channel_adapters.iter();
            clients.filter(|one| one.side == AdapterSide::Client).map(|one| one.slot.0).collect()
        })
    }),
    links("VirtualSCSIClientAdapters", "CUR", |one| {
        one.adapters("VirtualSCSIClientAdapter", |content| {
            let clients = content.scsi_adapters.iter();
            clients.filter(|one| one.side == AdapterSide::Client).map(|one| one.slot.0).collect()
        })
    }),
];

/// Elements of a Virtual I/O Server in the order of recorded answers.
pub static VIRTUAL_IO_SERVER: &[Element<Hosted>] = base_elements![
    text("APICapable", "CUD", |one| boolean(one.entry.runtime.rmc == RmcState::Active)),
    text("MoverServicePartition", "CUD", |one| boolean(one.entry.partition.settings.mover_service_partition)),
    text("PagingServicePartition", "CUD", |_| boolean(false)),
    nested("TrunkAdapters", "CUD", super::adapter::write_trunks).group(Group::ViosNetwork),
    text("VirtualIOServerLicenseAccepted", "CUD", |_| boolean(true)),
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
        format!(
            "{} {:?} {:?} {} {:?} {} {} {} {}",
            self.entry.partition.revision,
            self.system.state,
            runtime.state,
            runtime.generation,
            runtime.rmc,
            runtime.memory,
            runtime.processors,
            runtime.units,
            runtime.changing,
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
            ("SharingMode", json!(self.wanted().map(|content| sharing(content.sharing_mode)))),
        ];
        if self.environment() == PartitionEnvironment::VirtualIoServer {
            values.extend([
                ("APICapable", json!((runtime.rmc == RmcState::Active).to_string())),
                ("VirtualIOServerLicenseAccepted", json!("true")),
            ]);
        } else {
            values
                .push(("RemoteRestartCapable", json!(partition.settings.remote_restart_capable.to_string())));
        }
        values.extend([
            ("IsVirtualServiceAttentionLEDOn", json!("false")),
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
