//! What a managed system is asked, and what it answers and announces.
//!
//! Every request carries an id; a repeat with the same id gets the same answer and is done once. All types can cross a
//! process boundary.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use varan_model::attributes::profile::RemoteNames;
use varan_model::configuration::BootMode;
use varan_model::ids::{LogicalPortId, MachineIdentity, PartitionId, PartitionUuid, VirtualSlot};
use varan_model::lock::LockEntry;
use varan_model::partition::{Keylock, Partition, PartitionEntry, PartitionState, Profile};
use varan_model::profile_data::{ProfileData, RestoreKind};
use varan_model::record::Assignment;
use varan_model::refusal::{Refusal, Subject};
use varan_model::rules::firmware::FirmwareOperation;
use varan_model::rules::port_login::PortLogin;
use varan_model::rules::unique::{Holder, UniqueName};
use varan_model::rules::virtual_io::AdapterKind;
use varan_model::service::ErrorEntry;
use varan_model::system::{AccessPassword, ManagedSystem, SystemProfile, SystemState};
use varan_model::units::ProcessingUnits;
use varan_model::utilization::UtilizationReport;

use crate::engine::{GuestTerminal, StopRequest};
use crate::fault::SystemFault;
use crate::network::{BackingDeviceState, PhysicalPortState, PortStatistics};

/// Identity of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u128);

/// Identity of a claim on unique names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClaimId(pub u128);

/// Longest time that a console takes to claim names at all systems, and longest time after its claim at which a system
/// makes a change with it. Neither is divided by the site's time scale: they keep two changes apart.
pub const CLAIM_PHASE: Duration = Duration::from_secs(40);
/// Time after which a claim that nobody released is void: longer than claiming and changing together.
pub const CLAIM_LIFETIME: Duration = Duration::from_secs(120);
/// The console that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the console.
    pub console: String,
    /// Machine type, model and serial number of the console.
    pub identity: MachineIdentity,
    /// What the console knows of the service processor's password.
    pub access: AccessPassword,
}

/// A partition as the user named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selector {
    /// By name.
    Name(String),
    /// By number.
    Id(PartitionId),
    /// By UUID.
    Uuid(PartitionUuid),
}

/// Which partitions a listing is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionFilter {
    /// All of them, in the order of their numbers.
    All,
    /// Those, in the order given; an unknown one is refused.
    Only(Vec<Selector>),
}

/// A dynamic change of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// Memory in MB.
    Memory(u64),
    /// Processors and units; either may be zero.
    Processors {
        /// Virtual or whole processors.
        processors: u32,
        /// Processing units.
        units: ProcessingUnits,
    },
}

/// Direction of a dynamic change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DynamicOperation {
    /// Take from what is free.
    Add,
    /// Give back.
    Remove,
    /// Give to another partition.
    Move(Selector),
}

/// What happens to something of a list: a virtual adapter, a virtual switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListOperation {
    /// A new one.
    Add,
    /// It goes.
    Remove,
    /// It changes.
    Set,
}

/// A change of a partition's virtual adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterRequest {
    /// Partition.
    pub partition: Selector,
    /// What happens.
    pub operation: ListOperation,
    /// Kind of adapter; `None` removes whatever is in the slot.
    pub kind: Option<AdapterKind>,
    /// Virtual slot; `None` adds to the lowest free one.
    pub slot: Option<VirtualSlot>,
    /// Record; empty to remove.
    pub record: Vec<Assignment>,
    /// Past the guest of a running partition that has no RMC connection.
    pub force: bool,
    /// Minutes to wait for the operating system; 0 waits for ever.
    pub wait_minutes: u32,
}

/// A change of a virtual NIC that leaves its backing devices as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VnicChange {
    /// Takes part in traffic (`true`), or is cut off.
    Enable(bool),
    /// A backing device gets another failover priority.
    SetBackingDevice {
        /// Its logical port.
        port: LogicalPortId,
        /// Record of `failover_priority`.
        record: Vec<Assignment>,
    },
    /// A backing device is made active.
    Activate {
        /// Its logical port.
        port: LogicalPortId,
        /// Automatic failover stays on; else it is turned off, as on the real console.
        keep_automatic: bool,
    },
}

/// Partitions with the states of ports and virtual NICs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// System.
    pub system: Arc<ManagedSystem>,
    /// Partitions.
    pub entries: Vec<PartitionEntry>,
    /// Names of the partitions that adapters refer to.
    pub names: Arc<RemoteNames>,
    /// States of the Virtual I/O Servers that host backing devices of them.
    pub servers: Vec<(PartitionId, PartitionState)>,
    /// Physical ports of SR-IOV adapters in shared mode, by location code.
    pub physical_ports: Vec<(String, PhysicalPortState)>,
    /// Logical ports of the partitions that are in use.
    pub logical_ports: Vec<(LogicalPortId, PortStatistics)>,
    /// Backing devices of the partitions' virtual NICs.
    pub virtual_nics: Vec<(PartitionId, VirtualSlot, Vec<BackingDeviceState>)>,
}

/// Attributes of a partition's current configuration that are set together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeSet {
    /// I/O pools.
    IoPools,
    /// Tagged devices of IBM i.
    TaggedIo,
    /// Virtual OptiConnect of IBM i.
    VirtualOptiConnect,
    /// HSL OptiConnect of IBM i.
    HslOptiConnect,
    /// Memory: expansion, and what is asked of the shared memory pool.
    Memory,
}

/// What `rsthwres` brings back in line between a running partition and its current configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restorable {
    /// The configuration gets the memory that the operating system has.
    Memory,
    /// The configuration gets the processors that the operating system has.
    Processors,
    /// The partition gets the physical slots that were changed past its operating system: this one, or all of them.
    IoSlots(Option<u32>),
}

/// A shared processor pool as the user named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolSelector {
    /// By name.
    Name(String),
    /// By number.
    Id(u16),
}

/// An indicator of a managed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Indicator {
    /// The physical system attention indicator.
    Attention,
    /// The system's virtual attention indicator.
    VirtualAttention,
    /// The virtual attention indicator of a partition.
    Partition(Selector),
    /// The virtual attention indicators of all partitions.
    AllPartitions,
    /// The identify indicator at a location.
    Identify(String),
}

/// What happens to the power of a managed system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemPower {
    /// Power on; partitions start as the policy says.
    On,
    /// Power on to Standby: no partition starts.
    OnStandby,
    /// Power off, partitions first (`immediate` false) or all at once; `restart` comes back.
    Off {
        /// Do not wait for partitions.
        immediate: bool,
        /// Power on again.
        restart: bool,
    },
    /// Read everything again.
    Rebuild,
}

/// Which kind of change a power-on asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerOnOptions {
    /// Profile to activate; `None` uses the current configuration.
    pub profile: Option<String>,
    /// Boot mode of this activation.
    pub boot_mode: Option<BootMode>,
    /// Keylock position to set.
    pub keylock: Option<Keylock>,
}

/// A request to a managed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemRequest {
    /// The system itself. Answered by [`SystemReply::System`].
    GetSystem,
    /// Locks that operations hold. Answered by [`SystemReply::Locks`].
    ListLocks,
    /// Partitions. Answered by [`SystemReply::Partitions`].
    ListPartitions(PartitionFilter),
    /// Profiles. Answered by [`SystemReply::Profiles`].
    ListProfiles {
        /// Partitions.
        partitions: PartitionFilter,
        /// Only profiles of these names; empty for all.
        names: Vec<String>,
        /// The last valid configuration instead of profiles.
        last_valid: bool,
    },
    /// Counters and configuration of partitions, in one answer: those named that exist, or all. Answered by
    /// [`SystemReply::Utilization`].
    GetUtilization(Option<Vec<PartitionId>>),
    /// Entries of the error log. Answered by [`SystemReply::Errors`].
    ListErrors {
        /// Sequence number of the newest entry that is known.
        after: u64,
    },
    /// System profiles with the names of their partitions. Answered by [`SystemReply::SystemProfiles`].
    ListSystemProfiles,
    /// All profile data. Answered by [`SystemReply::ProfileData`].
    ReadProfileData,
    /// Partitions with the names that their virtual adapters refer to. Answered by [`SystemReply::Adapters`].
    ListAdapters(PartitionFilter),
    /// Partitions with the states of ports and virtual NICs. Answered by [`SystemReply::Network`].
    ListNetwork(PartitionFilter),
    /// Logins of virtual Fibre Channel ports. Answered by [`SystemReply::PortLogins`].
    ListPortLogins {
        /// Partitions.
        partitions: PartitionFilter,
        /// Only adapters of profiles of these names; empty for the current configuration.
        profiles: Vec<String>,
    },
    /// `mksyscfg -r lpar`.
    CreatePartition {
        /// Record.
        record: Vec<Assignment>,
    },
    /// `mksyscfg -r prof`.
    CreateProfile {
        /// Partition.
        partition: Selector,
        /// Record.
        record: Vec<Assignment>,
    },
    /// `mksyscfg -r prof -o save`: the current configuration becomes a profile.
    SaveProfile {
        /// Partition.
        partition: Selector,
        /// Profile to write.
        profile: String,
        /// Overwrite an existing one.
        force: bool,
    },
    /// `chsyscfg -r lpar`.
    ChangePartition {
        /// Partition.
        partition: Selector,
        /// Record without the attributes that name the partition.
        record: Vec<Assignment>,
    },
    /// `chsyscfg -r prof`.
    ChangeProfile {
        /// Partition.
        partition: Selector,
        /// Profile.
        profile: String,
        /// Record without the attributes that name the profile.
        record: Vec<Assignment>,
    },
    /// `chsyscfg -r lpar -o apply`.
    ApplyProfile {
        /// Partition.
        partition: Selector,
        /// Profile.
        profile: String,
    },
    /// `chsyscfg -r sys`.
    ChangeSystem {
        /// Record.
        record: Vec<Assignment>,
    },
    /// `rmsyscfg -r lpar`.
    RemovePartition {
        /// Partition.
        partition: Selector,
        /// Remove the server adapters that Virtual I/O Servers have for it, too.
        server_adapters: bool,
    },
    /// `rmsyscfg -r prof`.
    RemoveProfile {
        /// Partition.
        partition: Selector,
        /// Profile.
        profile: String,
    },
    /// `chsysstate -r lpar -o on`.
    PowerOn {
        /// Partition.
        partition: Selector,
        /// Options.
        options: PowerOnOptions,
    },
    /// `chsysstate -r lpar -o shutdown|osshutdown`.
    Stop {
        /// Partition.
        partition: Selector,
        /// How.
        request: StopRequest,
        /// Start again afterwards.
        restart: bool,
    },
    /// `chsysstate -r lpar -o chkey`.
    TurnKey {
        /// Partition; `None` for the system's own key.
        partition: Option<Selector>,
        /// Position.
        keylock: Keylock,
    },
    /// `chsysstate -r sys`.
    PowerSystem(SystemPower),
    /// `chsysstate -r sys -o onsysprof`: power on, then activate a system profile in place of what the policy says.
    PowerOnWithProfile {
        /// Name of the system profile.
        profile: String,
    },
    /// `chhwres -r mem|proc -o a|r|m`.
    ChangeResource {
        /// Partition.
        partition: Selector,
        /// Direction.
        operation: DynamicOperation,
        /// Quantity.
        resource: Resource,
        /// Minutes to wait for the operating system; 0 waits for ever.
        wait_minutes: u32,
    },
    /// `chhwres -r proc -o s`: sharing mode and weight.
    SetSharing {
        /// Partition.
        partition: Selector,
        /// Record of `sharing_mode`, `uncap_weight`.
        record: Vec<Assignment>,
    },
    /// `chhwres -r mem|io|virtualio -o s`: attributes of a partition's current configuration.
    SetAttributes {
        /// Partition.
        partition: Selector,
        /// Which attributes.
        attributes: AttributeSet,
        /// Record.
        record: Vec<Assignment>,
    },
    /// `rsthwres`.
    RestoreResources {
        /// Partition; `None` for all that have something to restore.
        partition: Option<Selector>,
        /// What.
        resource: Restorable,
    },
    /// `chhwres -r io -o c`: what the machine remembers of physical slots whose hardware is gone.
    ClearIoSlots {
        /// DRC index; `None` for all.
        drc_index: Option<u32>,
    },
    /// `chhwres -r mem -o s`: system-wide memory settings.
    SetSystemMemory {
        /// Record.
        record: Vec<Assignment>,
    },
    /// `chhwres -r virtualio` on the adapters of a partition.
    ChangeAdapter(AdapterRequest),
    /// `chhwres -r virtualio --rsubtype vnic -o e|d` and `--rsubtype vnicbkdev`.
    ChangeVnic {
        /// Partition.
        partition: Selector,
        /// Virtual slot.
        slot: VirtualSlot,
        /// What happens.
        change: VnicChange,
    },
    /// `chhwres -r sriov --rsubtype logport` on a partition.
    ChangeLogicalPort {
        /// Partition.
        partition: Selector,
        /// What happens.
        operation: ListOperation,
        /// Record.
        record: Vec<Assignment>,
        /// Past the guest of a running partition that has no RMC connection.
        force: bool,
        /// Minutes to wait for the operating system; 0 waits for ever.
        wait_minutes: u32,
    },
    /// `chhwres -r sriov --rsubtype adapter`: an adapter comes to shared mode (`Add`) or leaves it (`Remove`).
    ChangeSriovAdapter {
        /// What happens.
        operation: ListOperation,
        /// Record of `slot_id` or `adapter_id`.
        record: Vec<Assignment>,
    },
    /// `chhwres -r sriov --rsubtype physport -o s`.
    ChangeSriovPort {
        /// Record of `adapter_id`, `phys_port_id` and what is set.
        record: Vec<Assignment>,
    },
    /// `chhwres -r sriov --rsubtype physport|logport -o c`: counters begin anew.
    ClearPortStatistics {
        /// Record of `adapter_id` and `phys_port_id` or `logical_port_id`.
        record: Vec<Assignment>,
    },
    /// `chhwres -r virtualio --rsubtype vnetwork -o a|r`: a VLAN is on all trunk adapters of a load group, or on none.
    ChangeVirtualNetwork {
        /// Name, `VLAN3331-ETHERNET0`.
        name: String,
        /// `Add` or `Remove`.
        operation: ListOperation,
        /// Record of `load_group`, and `vlan_id` and `vswitch` where they are stated.
        record: Vec<Assignment>,
        /// Minutes to wait for the operating systems; 0 waits for ever.
        wait_minutes: u32,
    },
    /// `chhwres -r io -o a|r|m`: a physical slot of a partition.
    ChangeIoSlot {
        /// Partition.
        partition: Selector,
        /// Direction.
        operation: DynamicOperation,
        /// DRC index.
        drc_index: u32,
        /// I/O pool to be stated with the slot.
        pool: Option<u16>,
        /// Past the guest of a running partition that has no RMC connection.
        force: bool,
        /// Minutes to wait for the operating system; 0 waits for ever.
        wait_minutes: u32,
    },
    /// `chhwres -r virtualio --rsubtype vswitch`.
    ChangeVirtualSwitch {
        /// Name of the switch.
        name: String,
        /// What happens.
        operation: ListOperation,
        /// Record with `new_name`, to change it.
        record: Vec<Assignment>,
    },
    /// `chhwres -r procpool -o s` on a pool.
    ChangeProcessorPool {
        /// Pool.
        pool: PoolSelector,
        /// Record.
        record: Vec<Assignment>,
    },
    /// `chhwres -r procpool -o s` on a partition: it gets another pool.
    AssignProcessorPool {
        /// Partition.
        partition: Selector,
        /// Record of `shared_proc_pool_name` or `shared_proc_pool_id`.
        record: Vec<Assignment>,
    },
    /// `chnportlogin`.
    ChangePortLogins {
        /// Partition.
        partition: Selector,
        /// Profile with the adapters; `None` for the current configuration.
        profile: Option<String>,
        /// Log in, else log out.
        login: bool,
    },
    /// `updlic`. Answered when it is done, or undone.
    UpdateFirmware(FirmwareOperation),
    /// `chled`.
    SetIndicator {
        /// Indicator.
        indicator: Indicator,
        /// On or off.
        on: bool,
    },
    /// `chsyspwd -t access`: the password by which consoles reach the service processor. It proves itself by `current`, so
    /// that a console whose own password is wrong may ask.
    SetAccessPassword {
        /// The password that is in force; of no meaning while none is set.
        current: AccessPassword,
        /// The password from now on; the same as `current` to try it only.
        new: AccessPassword,
    },
    /// `rmvterm`.
    CloseTerminal {
        /// Partition.
        partition: Selector,
    },
    /// `rmlock`: ends the operation that holds a lock, and with it the lock.
    RemoveLock {
        /// Partition; `None` for the lock of the whole system.
        partition: Option<Selector>,
    },
    /// A fault on purpose, or its end.
    Fault(SystemFault),
    /// `mksyscfg -r sysprof`.
    CreateSystemProfile {
        /// Record.
        record: Vec<Assignment>,
    },
    /// `chsyscfg -r sysprof`.
    ChangeSystemProfile {
        /// Name.
        name: String,
        /// Record without the attribute that names it.
        record: Vec<Assignment>,
    },
    /// `rmsyscfg -r sysprof`.
    RemoveSystemProfile {
        /// Name.
        name: String,
    },
    /// `chsysstate -r sysprof -o on --test`: whether all members could be activated one after another.
    TestSystemProfile {
        /// Name.
        name: String,
    },
    /// `rstprofdata`.
    RestoreProfileData {
        /// Type.
        kind: RestoreKind,
        /// Backup; `None` to initialize.
        data: Option<Box<ProfileData>>,
    },
    /// `mkprofdata -o recreate`: one profile for each partition, from what it has now.
    RecreateProfileData,
    /// Holds unique names for a change that is about to be made, here or on another system. Refused when a definition of
    /// this system or another claim has one of them.
    Claim {
        /// Identity; a repeat is harmless.
        claim: ClaimId,
        /// Names, each with who is to have it.
        names: Vec<(Holder, UniqueName)>,
    },
    /// Ends a claim: the change was made or refused.
    ReleaseClaim {
        /// Identity.
        claim: ClaimId,
    },
    /// A change that states unique names, made under a claim on them.
    WithClaim {
        /// Claim.
        claim: ClaimId,
        /// Change.
        request: Box<SystemRequest>,
    },
}

impl SystemRequest {
    /// Whether the request only reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::GetSystem
                | Self::ListLocks
                | Self::GetUtilization(_)
                | Self::ListErrors { .. }
                | Self::ListPartitions(_)
                | Self::ListProfiles { .. }
                | Self::ListSystemProfiles
                | Self::ReadProfileData
                | Self::ListAdapters(_)
                | Self::ListNetwork(_)
                | Self::ListPortLogins { .. }
        )
    }
}

/// What of a system a request is about: by this a console decides whether a user may ask for it.
pub enum RequestSubject<'a> {
    /// The system is looked at; everybody who can name it may.
    View,
    /// Partitions are looked at; the answer has those that the user may see.
    Partitions(&'a PartitionFilter),
    /// The system is changed, or everything that it has.
    System,
    /// These partitions are changed.
    Change(Vec<&'a mut Selector>),
}

impl SystemRequest {
    /// What the request is about.
    pub fn subject(&mut self) -> RequestSubject<'_> {
        match self {
            // The console's own questions; what it shows of the answers goes by the user's role.
            Self::GetSystem
            | Self::GetUtilization(_)
            | Self::ListErrors { .. }
            | Self::ListLocks
            | Self::ListSystemProfiles => RequestSubject::View,
            Self::ListPartitions(partitions)
            | Self::ListProfiles { partitions, .. }
            | Self::ListAdapters(partitions)
            | Self::ListNetwork(partitions)
            | Self::ListPortLogins { partitions, .. } => RequestSubject::Partitions(partitions),
            Self::SetIndicator { indicator: Indicator::Partition(partition), .. } => {
                RequestSubject::Change(vec![partition])
            }
            Self::CreatePartition { .. }
            | Self::SetIndicator { .. }
            | Self::ChangeSystem { .. }
            | Self::TurnKey { partition: None, .. }
            | Self::RemoveLock { partition: None }
            | Self::PowerSystem(_)
            | Self::PowerOnWithProfile { .. }
            | Self::UpdateFirmware(_)
            | Self::SetSystemMemory { .. }
            | Self::RestoreResources { partition: None, .. }
            // The servers are changed, too.
            | Self::RemovePartition { server_adapters: true, .. }
            | Self::ClearIoSlots { .. }
            | Self::ChangeVirtualSwitch { .. }
            | Self::ChangeVirtualNetwork { .. }
            | Self::ChangeSriovAdapter { .. }
            | Self::ChangeSriovPort { .. }
            | Self::ClearPortStatistics { .. }
            | Self::ChangeProcessorPool { .. }
            | Self::SetAccessPassword { .. }
            | Self::Fault(_)
            | Self::ReadProfileData
            | Self::CreateSystemProfile { .. }
            | Self::ChangeSystemProfile { .. }
            | Self::RemoveSystemProfile { .. }
            | Self::TestSystemProfile { .. }
            | Self::RestoreProfileData { .. }
            | Self::RecreateProfileData
            | Self::Claim { .. }
            | Self::ReleaseClaim { .. } => RequestSubject::System,
            Self::WithClaim { request, .. } => request.subject(),
            Self::ChangeResource { partition, operation: DynamicOperation::Move(target), .. }
            | Self::ChangeIoSlot { partition, operation: DynamicOperation::Move(target), .. } => {
                RequestSubject::Change(vec![partition, target])
            }
            Self::CreateProfile { partition, .. }
            | Self::SaveProfile { partition, .. }
            | Self::ChangePartition { partition, .. }
            | Self::ChangeProfile { partition, .. }
            | Self::ApplyProfile { partition, .. }
            | Self::RemovePartition { partition, .. }
            | Self::SetAttributes { partition, .. }
            | Self::RestoreResources { partition: Some(partition), .. }
            | Self::RemoveProfile { partition, .. }
            | Self::PowerOn { partition, .. }
            | Self::Stop { partition, .. }
            | Self::TurnKey { partition: Some(partition), .. }
            | Self::ChangeResource { partition, .. }
            | Self::SetSharing { partition, .. }
            | Self::ChangeAdapter(AdapterRequest { partition, .. })
            | Self::ChangeIoSlot { partition, .. }
            | Self::ChangeVnic { partition, .. }
            | Self::ChangeLogicalPort { partition, .. }
            | Self::AssignProcessorPool { partition, .. }
            | Self::ChangePortLogins { partition, .. }
            | Self::RemoveLock { partition: Some(partition) }
            | Self::CloseTerminal { partition } => RequestSubject::Change(vec![partition]),
        }
    }
}

/// An answer of a managed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemReply {
    /// Done.
    Done,
    /// The system.
    System(Arc<ManagedSystem>),
    /// Partitions with their system.
    Partitions {
        /// System.
        system: Arc<ManagedSystem>,
        /// Partitions.
        entries: Vec<PartitionEntry>,
    },
    /// Partitions with their system and the names that their adapters refer to.
    Adapters {
        /// System.
        system: Arc<ManagedSystem>,
        /// Partitions.
        entries: Vec<PartitionEntry>,
        /// Names of the partitions that adapters refer to.
        names: Arc<RemoteNames>,
    },
    /// Partitions with the states of ports and virtual NICs.
    Network(Box<NetworkReport>),
    /// Profiles with their system.
    Profiles {
        /// System.
        system: Arc<ManagedSystem>,
        /// Partition and profile of each row.
        profiles: Vec<(Arc<Partition>, Arc<Profile>)>,
        /// Names of the partitions that adapters refer to.
        names: Arc<RemoteNames>,
    },
    /// Counters and configuration.
    Utilization(Box<UtilizationReport>),
    /// Entries of the error log, oldest first.
    Errors {
        /// Entries after the one that is known.
        entries: Vec<Arc<ErrorEntry>>,
        /// Sequence number of the newest entry; lower than what the asker knows when the log is another one.
        latest: u64,
    },
    /// Locks.
    Locks(Vec<LockEntry>),
    /// Ports by partition and slot.
    PortLogins(Vec<PortLogin>),
    /// System profiles, and the names of the partitions in them.
    SystemProfiles {
        /// System profiles.
        profiles: Vec<SystemProfile>,
        /// Names.
        names: Arc<RemoteNames>,
    },
    /// Profile data.
    ProfileData(Box<ProfileData>),
    /// A terminal was closed, or none was open.
    TerminalClosed(bool),
    /// Nothing was done: the change states unique names, which the asker claims at all systems before it asks again with
    /// [`SystemRequest::WithClaim`].
    ClaimNeeded {
        /// Names, each with who is to have it.
        names: Vec<(Holder, UniqueName)>,
        /// First line of the refusal, where one of them is used.
        subject: Option<Subject>,
    },
}

/// Why a call has no answer of the system.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum CallError {
    /// The system refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// There is no connection to the system, or it broke. The request may have been carried out.
    #[error("no connection to the managed system")]
    NoConnection,
    /// The system has too much to do.
    #[error("the managed system is busy")]
    Busy,
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// What a managed system announces after it has recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemEventKind {
    /// A partition was created or its definition changed.
    PartitionChanged(PartitionId),
    /// A partition is gone.
    PartitionRemoved(PartitionId),
    /// A partition's state, reference code or RMC connection changed.
    PartitionState(PartitionId),
    /// An entry of the error log, by its sequence number.
    ErrorLogged(u64),
    /// The system's settings changed.
    SystemChanged,
    /// The system's state changed.
    SystemState(SystemState),
}

/// An event with its place in the stream of its system. A gap means that some were lost: read everything again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemEvent {
    /// Place in the stream, from 1 at each start of the system's process.
    pub sequence: u64,
    /// What happened.
    pub kind: SystemEventKind,
}

/// Receives events; must not block.
pub trait SystemEvents: Send + Sync {
    /// Takes one event.
    fn system_event(&self, event: &SystemEvent);
}

/// A console's or management partition's connection to a managed system, in the same process or another.
pub trait SystemLink: Send + Sync {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`CallError`].
    fn call(&self, id: RequestId, request: SystemRequest) -> Result<SystemReply, CallError>;

    /// As [`SystemLink::call`], for a console: the system checks the console's password and knows whose request it is. A
    /// link that does not say where requests come from is one of the machine's own, which needs no password.
    ///
    /// # Errors
    /// [`CallError`].
    fn call_from(
        &self,
        origin: &Arc<Origin>,
        id: RequestId,
        request: SystemRequest,
    ) -> Result<SystemReply, CallError> {
        let _ = origin;
        self.call(id, request)
    }

    /// Opens the virtual terminal of a partition.
    ///
    /// # Errors
    /// [`CallError`].
    fn open_terminal(&self, partition: Selector) -> Result<Box<dyn GuestTerminal>, CallError>;

    /// Subscribes to events; they stop when `receiver` is dropped by everybody else.
    fn subscribe(&self, receiver: Arc<dyn SystemEvents>);
}
