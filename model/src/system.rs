//! Managed systems: settings that are recorded, state, and what is free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::configuration::words;
use crate::firmware::FirmwareLevels;
use crate::hardware::Hardware;
use crate::ids::{PartitionId, SriovAdapterId};
use crate::partition::{Keylock, Partition, ReferenceCodes, Usage};
use crate::rules::unique::UniqueName;
use crate::service::Indicators;
use crate::sriov::{SriovAdapterDescription, SriovAdapterSettings};
use crate::units::ProcessingUnits;

words! {
    /// State of a managed system as `lssyscfg -r sys -F state` prints it.
    SystemState {
        /// Up, partitions can run.
        Operating = "Operating",
        /// Up, no partition started yet.
        Standby = "Standby",
        /// Off.
        PowerOff = "Power Off",
        /// Going off.
        PowerOffInProgress = "Power Off In Progress",
        /// Coming up.
        Initializing = "Initializing",
        /// Failed.
        Error = "Error",
        /// Failed and writing a dump.
        ErrorDump = "Error - Dump in progress",
        /// Cannot be reached.
        NoConnection = "No Connection",
        /// Its partition data is lost and must be recovered.
        Recovery = "Recovery",
        /// The password of the service processor is wrong.
        FailedAuthentication = "Failed Authentication",
        /// The passwords of the service processor have not been set.
        PendingAuthentication = "Pending Authentication",
        /// Some of its information cannot be read.
        Incomplete = "Incomplete",
    }
}

impl SystemState {
    /// Whether partitions show their own state; else all show `Not Available`.
    #[must_use]
    pub fn shows_partitions(self) -> bool {
        matches!(self, Self::Operating | Self::Standby | Self::PowerOffInProgress)
    }
}

words! {
    /// What starts when the system comes up (`power_on_lpar_start_policy`).
    StartPolicy {
        /// Partitions with `auto_start`.
        AutoStart = "autostart",
        /// Nothing.
        UserInitiated = "userinit",
        /// Partitions that ran before power was lost, and those with `auto_start`.
        AutoRecovery = "autorecovery",
    }
}

/// A shared processor pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedProcessorPool {
    /// Number, 0 for the default pool.
    pub id: u16,
    /// Name.
    pub name: String,
    /// Most units for its uncapped partitions; `None` for the default pool, which takes what is there.
    pub maximum_units: Option<ProcessingUnits>,
    /// Units kept for its uncapped partitions.
    pub reserved_units: ProcessingUnits,
}

/// Hardware that failed and is out of use until it is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedHardware {
    /// Number of the fault.
    pub fault: u32,
    /// Processing units.
    pub units: ProcessingUnits,
    /// Megabytes.
    pub memory: u64,
}

/// The password by which consoles reach a service processor (the HMC access password). The password itself is nowhere kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessPassword {
    /// None has been set since the factory: consoles wait in Pending Authentication.
    Unset,
    /// The one that a site begins with.
    #[default]
    Initial,
    /// A key derived from a password that somebody set.
    Derived(String),
}

/// A partition in a system profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemProfileMember {
    /// Partition.
    pub partition: PartitionId,
    /// Profile that it is activated with.
    pub profile: String,
}

/// A system profile: partitions that are activated one after another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemProfile {
    /// Name, unique within the system.
    pub name: String,
    /// Members in their order, each partition once, at least one.
    pub members: Vec<SystemProfileMember>,
}

impl SystemProfile {
    /// Leaves out members whose partition or profile is gone, and system profiles that have none left.
    pub fn prune<'a>(profiles: &mut Vec<Self>, find: &dyn Fn(PartitionId) -> Option<&'a Partition>) {
        for profile in profiles.iter_mut() {
            profile.members.retain(|member| {
                find(member.partition).is_some_and(|partition| partition.profile(&member.profile).is_some())
            });
        }
        profiles.retain(|profile| !profile.members.is_empty());
    }
}

/// Settings of a managed system: recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemSettings {
    /// User-defined name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Power off after all partitions are shut down.
    pub power_off_policy: bool,
    /// What starts when the system comes up.
    pub start_policy: StartPolicy,
    /// Keylock position.
    pub keylock: Keylock,
    /// Side of the firmware: true for `temp`, false for `perm`.
    pub temporary_side: bool,
    /// Firmware levels; `None` in a record of an earlier version: as delivered.
    #[serde(default)]
    pub firmware: Option<FirmwareLevels>,
    /// Powered on; what a power loss returns to.
    pub powered_on: bool,
    /// Memory block size after the next power-on, in MB.
    pub pending_memory_region_size: u64,
    /// Huge pages asked for.
    pub requested_huge_pages: u32,
    /// MAC addresses handed out so far; never falls.
    pub mac_addresses_generated: u32,
    /// WWPN pairs handed out so far; never falls.
    pub port_name_pairs_generated: u32,
    /// Revision of the system noun.
    pub revision: u64,
    /// Indicators that are on.
    #[serde(default)]
    pub indicators: Indicators,
    /// Password of consoles.
    #[serde(default)]
    pub access: AccessPassword,
    /// Virtual switches added to those of the site file.
    #[serde(default)]
    pub virtual_switches: Vec<String>,
    /// Addresses ahead of the two counters that definitions of other systems have; never generated.
    #[serde(default)]
    pub reserved_names: BTreeSet<UniqueName>,
    /// System profiles in the order of their creation.
    #[serde(default)]
    pub system_profiles: Vec<SystemProfile>,
    /// Shared processor pools that differ from their factory state; pool 0 is always there.
    pub processor_pools: Vec<SharedProcessorPool>,
    /// Hardware that is out of use. The service processor remembers it over a loss of power.
    #[serde(default)]
    pub failed_hardware: Vec<FailedHardware>,
    /// Modes of virtual switches that were set; the others are as the site file says.
    #[serde(default)]
    pub switch_modes: BTreeMap<String, SwitchMode>,
    /// SR-IOV adapters that were set up, by DRC index; the others are as delivered.
    #[serde(default)]
    pub sriov_adapters: BTreeMap<u32, SriovAdapterSettings>,
}

/// How a virtual switch treats frames between its own ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwitchMode {
    /// Virtual Ethernet bridge: it passes them on.
    Veb,
    /// Virtual Ethernet port aggregator: all goes by way of the outside switch.
    Vepa,
}

impl SwitchMode {
    /// The word of the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Veb => "VEB",
            Self::Vepa => "VEPA",
        }
    }
}

impl SystemSettings {
    /// Settings of a machine as it leaves the factory, powered on or not.
    #[must_use]
    pub fn new(hardware: &Hardware, powered_on: bool) -> Self {
        Self {
            name: hardware.site_name.clone(),
            description: String::new(),
            power_off_policy: false,
            start_policy: StartPolicy::AutoStart,
            keylock: Keylock::Normal,
            temporary_side: true,
            firmware: Some(hardware.delivered_firmware.clone()),
            powered_on,
            pending_memory_region_size: hardware.memory_region_size,
            requested_huge_pages: 0,
            mac_addresses_generated: 0,
            port_name_pairs_generated: 0,
            revision: 1,
            indicators: Indicators::default(),
            access: AccessPassword::default(),
            virtual_switches: Vec::new(),
            reserved_names: BTreeSet::new(),
            system_profiles: Vec::new(),
            processor_pools: vec![SharedProcessorPool {
                id: 0,
                name: "DefaultPool".to_owned(),
                maximum_units: None,
                reserved_units: ProcessingUnits(0),
            }],
            failed_hardware: Vec::new(),
            switch_modes: BTreeMap::new(),
            sriov_adapters: BTreeMap::new(),
        }
    }
}

/// A managed system without its partitions: what `lssyscfg -r sys` and the system levels of `lshwres` show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedSystem {
    /// Hardware.
    pub hardware: Arc<Hardware>,
    /// Settings.
    pub settings: SystemSettings,
    /// State.
    pub state: SystemState,
    /// What the partitions that hold resources take together.
    pub usage: Usage,
    /// Reference codes of the system.
    pub reference_codes: ReferenceCodes,
    /// Number of partitions.
    pub partition_count: u16,
}

impl ManagedSystem {
    /// Memory in MB that the hypervisor holds: its own and that for running partitions, in whole memory blocks.
    #[must_use]
    pub fn firmware_memory(&self) -> u64 {
        let block = self.hardware.memory_region_size;
        self.hardware.hypervisor_base_memory() + self.usage.overhead.next_multiple_of(block)
    }

    /// Memory in MB that failed.
    #[must_use]
    pub fn failed_memory(&self) -> u64 {
        self.settings.failed_hardware.iter().map(|failed| failed.memory).sum()
    }

    /// Memory in MB that can be used: what is installed without what failed.
    #[must_use]
    pub fn configurable_memory(&self) -> u64 {
        self.hardware.installed_memory.saturating_sub(self.failed_memory())
    }

    /// Processing units that failed.
    #[must_use]
    pub fn failed_units(&self) -> ProcessingUnits {
        ProcessingUnits(self.settings.failed_hardware.iter().map(|failed| failed.units.0).sum())
    }

    /// Processing units that can be used: what is configurable without what failed.
    #[must_use]
    pub fn configurable_units(&self) -> ProcessingUnits {
        self.hardware.configurable_processors.minus(self.failed_units())
    }

    /// Memory in MB that is free for partitions.
    #[must_use]
    pub fn available_memory(&self) -> u64 {
        self.configurable_memory().saturating_sub(self.firmware_memory()).saturating_sub(self.usage.memory)
    }

    /// Processing units that are free: neither a partition's nor reserved for a shared processor pool.
    #[must_use]
    pub fn available_units(&self) -> ProcessingUnits {
        let reserved: u32 = self.settings.processor_pools.iter().map(|pool| pool.reserved_units.0).sum();
        self.configurable_units().minus(self.usage.units).minus(ProcessingUnits(reserved))
    }

    /// Its firmware levels.
    #[must_use]
    pub fn firmware(&self) -> &FirmwareLevels {
        self.settings.firmware.as_ref().unwrap_or(&self.hardware.delivered_firmware)
    }

    /// Names of the virtual switches: those of the site file, the default one first, then those that were added.
    pub fn virtual_switches(&self) -> impl Iterator<Item = &String> {
        let of_hardware = &self.hardware.virtual_switches;
        // A later site file may bring a switch of the same name.
        let added = self.settings.virtual_switches.iter().filter(|name| !of_hardware.contains(name));
        of_hardware.iter().chain(added)
    }

    /// Whether `-m` finds this system by that name: its user-defined name, an alias of the site file, its type, model and
    /// serial number.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.settings.name == name
            || self.hardware.aliases.iter().any(|alias| alias == name)
            || self.hardware.identity.to_string() == name
    }

    /// The mode of a virtual switch.
    #[must_use]
    pub fn switch_mode(&self, name: &str) -> SwitchMode {
        let at_first = if self.hardware.vepa_switches.iter().any(|one| one == name) {
            SwitchMode::Vepa
        } else {
            SwitchMode::Veb
        };
        self.settings.switch_modes.get(name).copied().unwrap_or(at_first)
    }

    /// How an SR-IOV adapter is set up.
    #[must_use]
    pub fn sriov_settings(&self, adapter: &SriovAdapterDescription) -> SriovAdapterSettings {
        let present = self.settings.sriov_adapters.get(&adapter.drc_index);
        // A later site file may describe another adapter in the slot.
        let fits = present.filter(|settings| settings.ports.len() == adapter.ports.len());
        fits.cloned().unwrap_or_else(|| adapter.delivered())
    }

    /// SR-IOV adapters with how they are set up, those in shared mode first by number, then the others by slot.
    #[must_use]
    pub fn sriov_adapters(&self) -> Vec<(&SriovAdapterDescription, SriovAdapterSettings)> {
        let adapters = self.hardware.sriov_adapters.iter();
        let mut found: Vec<_> = adapters.map(|adapter| (adapter, self.sriov_settings(adapter))).collect();
        found.sort_by_key(|(adapter, settings)| {
            (settings.adapter.is_none(), settings.adapter, adapter.drc_index)
        });
        found
    }

    /// The SR-IOV adapter of that number, in shared mode.
    #[must_use]
    pub fn shared_adapter(
        &self,
        id: SriovAdapterId,
    ) -> Option<(&SriovAdapterDescription, SriovAdapterSettings)> {
        let adapters = self.hardware.sriov_adapters.iter();
        let mut adapters = adapters.map(|adapter| (adapter, self.sriov_settings(adapter)));
        adapters.find(|(_, settings)| settings.adapter == Some(id))
    }

    /// Whether the hypervisor itself has the slot of that DRC index, for an SR-IOV adapter in shared mode.
    #[must_use]
    pub fn is_shared_slot(&self, drc_index: u32) -> bool {
        let adapter = self.hardware.sriov_adapters.iter().find(|adapter| adapter.drc_index == drc_index);
        adapter.is_some_and(|adapter| self.sriov_settings(adapter).adapter.is_some())
    }

    /// Whether there is a virtual switch of that name.
    #[must_use]
    pub fn has_virtual_switch(&self, name: &str) -> bool {
        self.virtual_switches().any(|present| present == name)
    }

    /// The pool of that number.
    #[must_use]
    pub fn processor_pool(&self, id: u16) -> Option<&SharedProcessorPool> {
        self.settings.processor_pools.iter().find(|pool| pool.id == id)
    }

    /// The pool of that name.
    #[must_use]
    pub fn processor_pool_named(&self, name: &str) -> Option<&SharedProcessorPool> {
        self.settings.processor_pools.iter().find(|pool| pool.name == name)
    }
}
