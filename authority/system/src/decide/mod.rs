//! Deciding: state and request give a refusal, or a list of changes with the effects that follow once they are
//! recorded. Nothing here does input or output, and nothing is changed when a request is refused.

mod access;
mod adapter;
mod attributes;
mod claim;
mod course;
mod definition;
mod dynamic;
mod dynamic_end;
mod fault;
mod firmware;
mod lock;
mod port_login;
mod power;
mod processor_pool;
mod removal;
mod restore;
mod runtime;
mod service;
mod sriov;
mod system_profile;
mod virtual_io;
mod virtual_network;
mod vnic;

pub use access::check_access;
pub use adapter::{
    AdapterEnd, AdapterPlan, finish as finish_adapter, give_up as give_up_adapter,
    request_of as adapter_request, take_back as take_back_adapter,
};
pub use claim::{subject, unique_names};
pub use course::{Before, Course, Place};
pub use dynamic::{DynamicPlan, allocation, request_of};
pub use dynamic_end::{finish_dynamic, give_up, keep_what_is, set_back};
pub use fault::{RMC_SILENCE_SECONDS, guest_crashed};
pub use firmware::power_cycle;
pub use lock::holder;
pub use power::{activate, could_not_start, failed_in_hypervisor, start_by_policy, system_timer};
pub use runtime::{adopted, engine_event};
pub use service::failure;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use varan_contract::engine::{AdapterAddress, GuestFault, ProcessorAllocation, StopRequest};
use varan_contract::system::{Origin, SystemReply, SystemRequest};
use varan_model::ids::{LogicalPortId, PartitionId, PartitionUuid, VirtualSlot};
use varan_model::partition::Usage;
use varan_model::refusal::Refusal;
use varan_model::rules::firmware::FirmwarePlan;
use varan_model::system::{SwitchMode, SystemState};

use crate::world::{Change, World};

/// What a decision may look at besides the state.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Wall-clock time in seconds since 1970 UTC.
    pub wall_seconds: i64,
    /// Random bits for a new UUID.
    pub random: u128,
    /// Number for the next activation.
    pub generation: u64,
    /// Token for the next dynamic change.
    pub token: u64,
}

/// What is done after a decision is recorded. Idempotent.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Power the partition's guest on with its current configuration. The engine admits it before the decision is
    /// recorded.
    Start(PartitionId),
    /// Power the guest of a partition that holds its resources on again.
    StartAgain(PartitionId),
    /// Ask the guest to stop.
    Stop {
        /// Partition.
        partition: PartitionUuid,
        /// How.
        request: StopRequest,
        /// Come back.
        restart: bool,
    },
    /// Cut the power of all guests.
    PowerLoss,
    /// Ask the guest for another amount of memory.
    SetMemory {
        /// Partition.
        partition: PartitionUuid,
        /// Megabytes.
        megabytes: u64,
        /// Token of the answer.
        token: u64,
    },
    /// Ask the guest for other processors.
    SetProcessors {
        /// Partition.
        partition: PartitionUuid,
        /// Processors.
        processors: ProcessorAllocation,
        /// Token of the answer.
        token: u64,
    },
    /// Give the guest the adapter of its current configuration at an address.
    PutAdapter {
        /// Partition.
        partition: PartitionUuid,
        /// Address.
        address: AdapterAddress,
        /// Token of the answer.
        token: u64,
    },
    /// Have the guest give an adapter up.
    RemoveAdapter {
        /// Partition.
        partition: PartitionUuid,
        /// Address.
        address: AdapterAddress,
        /// Token of the answer.
        token: u64,
    },
    /// Have the guest unconfigure an adapter and give it up.
    WithdrawAdapter {
        /// Partition.
        partition: PartitionUuid,
        /// Address.
        address: AdapterAddress,
    },
    /// A virtual switch is there in this mode, or not any more.
    SetUpSwitch(String, Option<SwitchMode>),
    /// The physical ports of the SR-IOV adapter with this DRC index are set up, or not shared any more.
    SetUpPorts(u32),
    /// Counters of a physical port, or of a logical port on it, begin anew.
    ClearStatistics(String, Option<LogicalPortId>),
    /// A backing device of a virtual NIC is made active. Refused before anything is recorded if it is not operational.
    ActivateBackingDevice {
        /// Client.
        partition: PartitionUuid,
        /// Slot of the virtual NIC.
        slot: VirtualSlot,
        /// Logical port.
        port: LogicalPortId,
    },
    /// The partition is gone: so are its terminal and the internal boot disk made for it.
    Forget(PartitionUuid),
    /// Go to a state of the system after its real time.
    SystemTransition {
        /// State to reach.
        to: SystemState,
        /// Real seconds until then.
        real_seconds: u64,
        /// Power on again when off.
        restart: bool,
        /// Start no partition when on.
        standby: bool,
    },
    /// RMC reaches the partition after its real time.
    RmcAfterDelay(PartitionUuid, u64),
    /// Activate a system profile in place of what the policy says, the next time that partitions start by themselves.
    StartProfileNext(String),
    /// Start partitions as the policy says.
    StartByPolicy,
    /// Hold resources back (`true`) or release them.
    Reserve(Usage, bool),
}

/// When a request is answered.
#[derive(Clone, Debug, Default)]
pub enum Answer {
    /// As soon as the changes are recorded and the effects started.
    #[default]
    Now,
    /// With this reply.
    With(SystemReply),
    /// When the partition is off (or started again).
    WhenStopped(PartitionUuid),
    /// When the dynamic change ends.
    WhenDynamicEnds(Box<DynamicPlan>),
    /// When the lock of that number is free.
    WhenUnlocked(u64),
    /// When the firmware update ends.
    WhenFirmwareEnds(Box<FirmwarePlan>),
    /// When a guest has taken an adapter or given it up.
    WhenAdapterChanged(Box<AdapterPlan>),
    /// With the outcome of closing a terminal.
    WhenTerminalClosed(PartitionUuid),
    /// When the engine has broken the guest on purpose, or mended it.
    WhenBroken(PartitionUuid, GuestFault),
    /// When the boot disk is lost (`true`) or back.
    WhenDiskSwitched(PartitionUuid, bool),
}

/// An accepted request.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Changes in order.
    pub changes: Vec<Change>,
    /// Effects in order.
    pub effects: Vec<Effect>,
    /// When to answer.
    pub answer: Answer,
}

impl Decision {
    fn change(change: Change) -> Self {
        Self { changes: vec![change], ..Self::default() }
    }
}

/// Decides a request of a console, or of the machine itself.
///
/// # Errors
/// The refusal that the user sees.
pub fn decide_from(
    world: &World,
    origin: Option<&Arc<Origin>>,
    request: &SystemRequest,
    moment: Moment,
) -> Result<Decision, Refusal> {
    check_access(world.system(), origin, request)?;
    decide(world, request, moment).map(|decision| lock::sign(decision, origin))
}

/// Decides a request.
///
/// # Errors
/// The refusal that the user sees.
pub fn decide(world: &World, request: &SystemRequest, moment: Moment) -> Result<Decision, Refusal> {
    match request {
        SystemRequest::GetSystem
        | SystemRequest::ListLocks
        | SystemRequest::GetUtilization(_)
        | SystemRequest::ListErrors { .. }
        | SystemRequest::ListPartitions(_)
        | SystemRequest::ListProfiles { .. }
        | SystemRequest::ListSystemProfiles
        | SystemRequest::ReadProfileData
        | SystemRequest::ListAdapters(_)
        | SystemRequest::ListNetwork(_)
        | SystemRequest::ListPortLogins { .. } => {
            crate::reads::read(&world.snapshot, request, &AtomicU64::default())
                .map(|reply| Decision { answer: Answer::With(reply), ..Decision::default() })
        }
        SystemRequest::CreatePartition { record } => definition::create_partition(world, record, moment),
        SystemRequest::CreateProfile { partition, record } => {
            definition::create_profile(world, partition, record)
        }
        SystemRequest::SaveProfile { partition, profile, force } => {
            definition::save_profile(world, partition, profile, *force)
        }
        SystemRequest::ChangePartition { partition, record } => {
            definition::change_partition(world, partition, record)
        }
        SystemRequest::ChangeProfile { partition, profile, record } => {
            definition::change_profile(world, partition, profile, record)
        }
        SystemRequest::ApplyProfile { partition, profile } => {
            definition::apply_profile(world, partition, profile)
        }
        SystemRequest::ChangeSystem { record } => definition::change_system(world, record),
        SystemRequest::RemovePartition { partition, server_adapters } => {
            removal::remove_partition(world, partition, *server_adapters)
        }
        SystemRequest::RemoveProfile { partition, profile } => {
            definition::remove_profile(world, partition, profile)
        }
        SystemRequest::PowerOn { partition, options } => power::power_on(world, partition, options, moment),
        SystemRequest::Stop { partition, request, restart } => {
            power::stop(world, partition, *request, *restart, moment)
        }
        SystemRequest::TurnKey { partition, keylock } => power::turn_key(world, partition.as_ref(), *keylock),
        SystemRequest::PowerSystem(power) => power::power_system(world, *power, moment),
        SystemRequest::PowerOnWithProfile { profile } => system_profile::power_on(world, profile, moment),
        SystemRequest::ChangeResource { partition, operation, resource, wait_minutes } => {
            dynamic::change_resource(world, partition, operation, *resource, *wait_minutes, moment)
        }
        SystemRequest::SetSharing { partition, record } => {
            dynamic::set_sharing(world, partition, record, moment)
        }
        SystemRequest::SetAttributes { partition, attributes, record } => {
            attributes::set(world, partition, *attributes, record)
        }
        SystemRequest::RestoreResources { partition, resource } => {
            restore::restore(world, partition.as_ref(), *resource)
        }
        SystemRequest::ClearIoSlots { drc_index } => restore::clear_slots(world, *drc_index),
        SystemRequest::SetSystemMemory { record } => definition::set_system_memory(world, record),
        SystemRequest::ChangeAdapter(change) => virtual_io::change_adapter(world, change, moment),
        SystemRequest::ChangeIoSlot { partition, operation, drc_index, pool, force, wait_minutes } => {
            let change = adapter::SlotChange {
                operation,
                index: *drc_index,
                pool: *pool,
                force: *force,
                wait_minutes: *wait_minutes,
            };
            adapter::change_slot(world, partition, &change, moment)
        }
        SystemRequest::ChangeVnic { partition, slot, change } => {
            vnic::change(world, partition, *slot, change)
        }
        SystemRequest::ChangeLogicalPort { partition, operation, record, force, wait_minutes } => {
            let how = (*force, *wait_minutes);
            sriov::change_logical_port(world, partition, *operation, record, how, moment)
        }
        SystemRequest::ChangeSriovAdapter { operation, record } => {
            sriov::change_adapter(world, *operation, record)
        }
        SystemRequest::ChangeSriovPort { record } => sriov::change_port(world, record),
        SystemRequest::ClearPortStatistics { record } => sriov::clear_statistics(world, record),
        SystemRequest::ChangeVirtualNetwork { name, operation, record, wait_minutes } => {
            virtual_network::change(world, name, *operation, record, *wait_minutes, moment)
        }
        SystemRequest::ChangeVirtualSwitch { name, operation, record } => {
            virtual_io::change_switch(world, name, *operation, record)
        }
        SystemRequest::ChangeProcessorPool { pool, record } => {
            processor_pool::change_pool(world, pool, record)
        }
        SystemRequest::AssignProcessorPool { partition, record } => {
            processor_pool::assign_pool(world, partition, record)
        }
        SystemRequest::Fault(fault) => fault::decide(world, fault, moment),
        SystemRequest::ChangePortLogins { partition, profile, login } => {
            port_login::change(world, partition, profile.as_deref(), *login)
        }
        SystemRequest::UpdateFirmware(operation) => firmware::update(world, operation),
        SystemRequest::SetIndicator { indicator, on } => service::set_indicator(world, indicator, *on),
        SystemRequest::SetAccessPassword { current, new } => access::set_password(world, current, new),
        SystemRequest::CloseTerminal { partition } => {
            let entry = world.snapshot.find(partition)?;
            let uuid = entry.partition.uuid;
            Ok(Decision { answer: Answer::WhenTerminalClosed(uuid), ..Decision::default() })
        }
        SystemRequest::RemoveLock { partition } => lock::remove(world, partition.as_ref()),
        SystemRequest::CreateSystemProfile { record } => system_profile::create(world, record),
        SystemRequest::ChangeSystemProfile { name, record } => system_profile::change(world, name, record),
        SystemRequest::RemoveSystemProfile { name } => system_profile::remove(world, name),
        SystemRequest::TestSystemProfile { name } => system_profile::test(world, name),
        SystemRequest::RestoreProfileData { kind, data } => {
            system_profile::restore(world, *kind, data.as_deref())
        }
        SystemRequest::RecreateProfileData => system_profile::recreate(world),
        SystemRequest::Claim { names, .. } => claim::claim(world, names),
        SystemRequest::ReleaseClaim { .. } => Ok(Decision::default()),
        // The claim is a matter of time, which the authority judges.
        SystemRequest::WithClaim { request, .. } => decide(world, request, moment),
    }
}
