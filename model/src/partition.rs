//! Partitions: their definition, which is recorded, and their runtime, which a power loss ends.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::configuration::{BootMode, Configuration, PartitionEnvironment, ProcessorMode, words};
use crate::ids::{PartitionId, PartitionUuid};
use crate::lock::OperationLock;
use crate::rules::port_login::ServerLogin;
use crate::units::ProcessingUnits;

/// Longest partition or profile name, in characters.
pub const NAME_CHARACTERS_MAX: usize = 31;
/// Longest managed system name, in characters.
pub const SYSTEM_NAME_CHARACTERS_MAX: usize = 31;
/// Reference codes kept per partition and per system; `lsrefcode -n` cannot show more.
pub const REFERENCE_CODES_KEPT: usize = 24;

words! {
    /// State of a partition as `lssyscfg -r lpar -F state` prints it.
    PartitionState {
        /// Off.
        NotActivated = "Not Activated",
        /// Powered on; partition firmware works.
        Starting = "Starting",
        /// The operating system runs.
        Running = "Running",
        /// Stopped in partition firmware.
        OpenFirmware = "Open Firmware",
        /// Going down.
        ShuttingDown = "Shutting Down",
        /// Ended abnormally or could not start.
        Error = "Error",
        /// The managed system is not up.
        NotAvailable = "Not Available",
    }
}

impl PartitionState {
    /// Whether the partition holds memory, processors and I/O of the frame.
    #[must_use]
    pub fn holds_resources(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::OpenFirmware | Self::ShuttingDown)
    }

    /// Whether the partition counts as shut down.
    #[must_use]
    pub fn is_off(self) -> bool {
        matches!(self, Self::NotActivated | Self::Error)
    }
}

words! {
    /// How dynamic changes reach profiles (`sync_curr_profile`).
    Synchronization {
        /// Never.
        Disabled = "0",
        /// Each dynamic change is written to the current profile.
        Enabled = "1",
        /// Disabled until the next activation or apply, then enabled.
        Suspended = "2",
    }
}

words! {
    /// Keylock position of a partition.
    Keylock {
        /// Normal.
        Normal = "norm",
        /// Manual.
        Manual = "manual",
    }
}

/// A partition profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Name, unique within the partition.
    pub name: String,
    /// Content.
    pub configuration: Configuration,
}

/// What a partition that runs on QEMU boots, on the host's file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelBoot {
    /// Absolute path of the kernel; without one the firmware stops at its prompt.
    pub kernel: Option<String>,
    /// Absolute path of the initial RAM disk.
    pub initial_ramdisk: Option<String>,
    /// The kernel's arguments.
    pub arguments: String,
}

/// Which engine runs a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestEngine {
    /// The embedded engine: memory and disks are real, the guest program is ours.
    #[default]
    Embedded,
    /// QEMU's `pseries` machine: a real operating system.
    Qemu(KernelBoot),
}

/// What a new boot disk of the partition is installed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestInstallation {
    /// `aix`, `linux`, `vios` or `ibmi`.
    pub personality: String,
    /// Level of the operating system; empty for the personality's default.
    pub level: String,
    /// Host name; empty for the partition's name.
    pub hostname: String,
    /// Fixed address and prefix length, `None` for DHCP.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Engine that runs the partition.
    #[serde(default)]
    pub engine: GuestEngine,
}

/// Settings of a partition that no profile holds, or that a profile hands over when it is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSettings {
    /// Start with the system.
    pub auto_start: bool,
    /// Boot mode of the next activation that names none.
    pub boot_mode: BootMode,
    /// Workload group.
    pub work_group: Option<u16>,
    /// May see the utilization of the whole shared processor pool.
    pub pool_utilization_authority: bool,
    /// May collect performance information.
    pub allow_performance_collection: bool,
    /// Keylock.
    pub keylock: Keylock,
    /// Redundant error path reporting.
    pub redundant_error_path: bool,
    /// Partitions that may power this one on and off.
    pub power_control: Vec<PartitionId>,
    /// Reference for the time of day of the frame.
    pub time_reference: bool,
    /// Priority when processors fail, 0 to 255.
    pub availability_priority: u8,
    /// Wanted processor compatibility mode.
    pub compatibility_mode: String,
    /// Can be suspended.
    pub suspend_capable: bool,
    /// Remote restart with reserved devices.
    pub remote_restart_capable: bool,
    /// Simplified remote restart.
    pub simplified_remote_restart_capable: bool,
    /// Synchronization of dynamic changes with the current profile.
    pub synchronization: Synchronization,
    /// Affinity group.
    pub affinity_group: Option<u8>,
    /// Mover service partition (Virtual I/O Servers only).
    pub mover_service_partition: bool,
    /// May become the managing partition (NovaLink).
    pub management_capable: bool,
    /// Mobility is forbidden.
    pub migration_disabled: bool,
    /// Free text.
    pub description: String,
}

impl PartitionSettings {
    /// Settings of a new partition of the given kind.
    #[must_use]
    pub fn new(environment: PartitionEnvironment) -> Self {
        let server = environment == PartitionEnvironment::VirtualIoServer;
        Self {
            auto_start: false,
            boot_mode: BootMode::Normal,
            work_group: None,
            pool_utilization_authority: false,
            allow_performance_collection: false,
            keylock: Keylock::Normal,
            redundant_error_path: false,
            power_control: Vec::new(),
            time_reference: false,
            // Virtual I/O Servers outlive their clients when processors fail.
            availability_priority: if server { 191 } else { 127 },
            compatibility_mode: "default".to_owned(),
            suspend_capable: false,
            remote_restart_capable: false,
            simplified_remote_restart_capable: false,
            synchronization: Synchronization::Disabled,
            affinity_group: None,
            mover_service_partition: false,
            management_capable: false,
            migration_disabled: false,
            description: String::new(),
        }
    }

    /// Takes over what a profile says when it is applied or activated.
    pub fn take_from_profile(&mut self, configuration: &Configuration) {
        self.auto_start = configuration.auto_start;
        self.boot_mode = configuration.boot_mode;
        self.work_group = configuration.work_group;
        self.redundant_error_path = configuration.redundant_error_path;
        self.power_control.clone_from(&configuration.power_control);
        self.compatibility_mode.clone_from(&configuration.compatibility_mode);
        self.affinity_group = configuration.affinity_group;
        if self.synchronization == Synchronization::Suspended {
            self.synchronization = Synchronization::Enabled;
        }
    }
}

/// A partition's definition. Recorded with the managed system that hosts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Number within the system.
    pub id: PartitionId,
    /// Identity for life, kept when the partition moves.
    pub uuid: PartitionUuid,
    /// Name, unique within the system.
    pub name: String,
    /// Kind.
    pub environment: PartitionEnvironment,
    /// Rises with each recorded change.
    pub revision: u64,
    /// Profile used when activation names none and there is no current configuration.
    pub default_profile: String,
    /// Profile that was last applied or activated; empty if none.
    pub current_profile: String,
    /// Current configuration; `None` until a profile is applied or activated.
    pub current: Option<Configuration>,
    /// Profiles in the order of their creation.
    pub profiles: Vec<Arc<Profile>>,
    /// Settings.
    pub settings: PartitionSettings,
    /// What its boot disk is installed with.
    pub installation: GuestInstallation,
    /// Number of activations so far.
    pub activations: u64,
    /// Powered on with the intent to stay so; a power loss does not clear it, shutting down does.
    pub wanted_on: bool,
}

impl Partition {
    /// The profile of that name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<&Arc<Profile>> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// Replaces or appends a profile.
    pub fn put_profile(&mut self, profile: Profile) {
        match self.profiles.iter_mut().find(|present| present.name == profile.name) {
            Some(present) => *present = Arc::new(profile),
            None => self.profiles.push(Arc::new(profile)),
        }
    }
}

/// What RMC knows of a partition (`rmc_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RmcState {
    /// A connection exists.
    Active,
    /// None.
    #[default]
    Inactive,
}

/// A reference code with the time it was posted, in seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceCode {
    /// When.
    pub posted_seconds: i64,
    /// Up to nine words; the first is the code.
    pub code: String,
}

/// A bounded list of reference codes, newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceCodes(VecDeque<ReferenceCode>);

impl ReferenceCodes {
    /// Posts a code; the oldest is forgotten beyond [`REFERENCE_CODES_KEPT`].
    pub fn post(&mut self, posted_seconds: i64, code: String) {
        if self.0.len() == REFERENCE_CODES_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(ReferenceCode { posted_seconds, code });
    }

    /// Codes, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &ReferenceCode> {
        self.0.iter().rev()
    }
}

/// What the operating system reported through RMC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatingSystem {
    /// Text of `os_version`.
    pub version: String,
    /// Host name.
    pub hostname: String,
    /// Address on the management VLAN.
    pub address: Option<Ipv4Addr>,
    /// RSCT node id.
    pub rsct_node_id: String,
    /// Consoles that the RMC daemons have a session with; `None` where the guest cannot say.
    #[serde(default)]
    pub rmc_sessions: Option<Vec<String>>,
}

/// What a partition is doing now. Lost with the frame's power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// State; never `NotAvailable`, which is how a frame that is down shows all its partitions.
    pub state: PartitionState,
    /// Activation that this belongs to.
    pub generation: u64,
    /// Reference codes.
    pub reference_codes: ReferenceCodes,
    /// RMC.
    pub rmc: RmcState,
    /// Operating system, once RMC has told.
    pub operating_system: Option<OperatingSystem>,
    /// Memory in MB that the operating system has.
    pub memory: u64,
    /// Processors that the operating system has.
    pub processors: u32,
    /// Units that the hypervisor gives.
    pub units: ProcessingUnits,
    /// Held by a dynamic change that is under way; others are refused.
    pub lock: Option<Arc<OperationLock>>,
    /// Ports of virtual Fibre Channel adapters that servers logged in on request; an activation logs them out.
    pub server_logins: Vec<ServerLogin>,
    /// Boot mode of this activation alone (`chsysstate -b`); `None` uses the partition's.
    pub boot_mode: Option<BootMode>,
    /// DRC indexes of the physical slots that were changed past the operating system, which knows nothing of it.
    #[serde(default)]
    pub slots_past_guest: BTreeSet<u32>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            state: PartitionState::NotActivated,
            generation: 0,
            reference_codes: ReferenceCodes::default(),
            rmc: RmcState::Inactive,
            operating_system: None,
            memory: 0,
            processors: 0,
            units: ProcessingUnits(0),
            lock: None,
            server_logins: Vec::new(),
            boot_mode: None,
            slots_past_guest: BTreeSet::new(),
        }
    }
}

/// A partition with its runtime: what listings show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionEntry {
    /// Definition.
    pub partition: Arc<Partition>,
    /// Runtime.
    pub runtime: Arc<Runtime>,
}

/// What a partition takes from the frame while it holds resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory in MB.
    pub memory: u64,
    /// Hypervisor memory for it in MB.
    pub overhead: u64,
    /// Processing units.
    pub units: ProcessingUnits,
    /// Virtual processors.
    pub virtual_processors: u32,
}

impl Usage {
    /// What `configuration` takes.
    #[must_use]
    pub fn of(configuration: &Configuration, hardware: &crate::hardware::Hardware) -> Self {
        let overhead =
            hardware.partition_overhead(configuration.maximum_memory, configuration.hpt_ratio.into());
        let shared = configuration.processor_mode == ProcessorMode::Shared;
        Self {
            memory: configuration.desired_memory,
            overhead,
            units: configuration.entitlement(),
            virtual_processors: if shared { configuration.desired_processors } else { 0 },
        }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory + other.memory,
            overhead: self.overhead + other.overhead,
            units: self.units.plus(other.units),
            virtual_processors: self.virtual_processors + other.virtual_processors,
        }
    }

    /// The difference; `other` must be part of `self`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        debug_assert!(self.memory >= other.memory && self.units >= other.units);
        Self {
            memory: self.memory.saturating_sub(other.memory),
            overhead: self.overhead.saturating_sub(other.overhead),
            units: self.units.minus(other.units),
            virtual_processors: self.virtual_processors.saturating_sub(other.virtual_processors),
        }
    }
}

impl PartitionEntry {
    /// Whether the running operating system has another amount of memory than the current configuration says: a dynamic
    /// change that could neither be recorded nor taken back.
    #[must_use]
    pub fn memory_differs(&self) -> bool {
        self.differs(|content, runtime| content.desired_memory != runtime.memory)
    }

    /// As [`PartitionEntry::memory_differs`], for processors and processing units.
    #[must_use]
    pub fn processors_differ(&self) -> bool {
        self.differs(|content, runtime| {
            content.desired_processors != runtime.processors || content.entitlement() != runtime.units
        })
    }

    fn differs(&self, differ: impl FnOnce(&Configuration, &Runtime) -> bool) -> bool {
        // While a change is under way they differ because it is.
        let settled = self.runtime.state == PartitionState::Running && self.runtime.lock.is_none();
        settled && self.partition.current.as_ref().is_some_and(|content| differ(content, &self.runtime))
    }

    /// What the partition takes from the frame now: what its current configuration says, or what its guest holds where
    /// that is more (a dynamic change that could neither be recorded nor taken back).
    #[must_use]
    pub fn usage(&self, hardware: &crate::hardware::Hardware) -> Usage {
        let Some(configuration) = &self.partition.current else { return Usage::default() };
        if !self.runtime.state.holds_resources() {
            return Usage::default();
        }
        let said = Usage::of(configuration, hardware);
        let processors =
            if configuration.processor_mode == ProcessorMode::Shared { self.runtime.processors } else { 0 };
        Usage {
            memory: said.memory.max(self.runtime.memory),
            overhead: said.overhead,
            units: said.units.max(self.runtime.units),
            virtual_processors: said.virtual_processors.max(processors),
        }
    }
}
