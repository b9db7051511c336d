//! Dynamic changes of memory and processors: how they begin. `dynamic_end` says how they end.
//!
//! ```text
//! off:      record the new current configuration, done
//! running:  hold back what is added ──> ask the guest ──> record what it reached, release, done or short
//! move:     ask the giver ──> ask the taker for what was given ──> record both, done or short
//! ```

use std::sync::Arc;

use varan_contract::engine::ProcessorAllocation;
use varan_contract::system::{DynamicOperation, Resource, Selector};
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, ProcessorMode, SharingMode};
use varan_model::ids::{PartitionId, PartitionUuid};
use varan_model::lock::{LockedFor, OperationLock};
use varan_model::partition::{Partition, PartitionEntry, PartitionState, RmcState, Synchronization, Usage};
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::dynamic::{DynamicChange, Source, plan};
use varan_model::rules::profile::{EditContext, apply_all};
use varan_model::rules::validity;
use varan_model::units::ProcessingUnits;

use super::{Answer, Decision, Effect, Moment};
use crate::world::{Change, World};

/// A dynamic change that waits for a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicPlan {
    /// Token of the answer that it waits for.
    pub token: u64,
    /// Partition that is asked.
    pub partition: PartitionUuid,
    /// Configuration if the guest does all that is asked.
    pub target: Configuration,
    /// What is asked.
    pub resource: Resource,
    /// Held back from what is free until the answer.
    pub reserved: Usage,
    /// Afterwards this partition gets what was given.
    pub taker: Option<PartitionId>,
    /// What another partition gives for this change; recorded together with it.
    pub given: Option<Given>,
    /// The guest is set back to its current configuration, because the change could not be made.
    pub setting_back: bool,
    /// What the user is told in the end, where that is known already.
    pub refusal: Option<Refusal>,
    /// Minutes that the user waits, 0 for ever.
    pub wait_minutes: u32,
    /// What it holds, on the giver of a move and on its taker.
    pub lock: Arc<OperationLock>,
}

/// What the giver of a move gives. Its current configuration has it until the taker's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Giver.
    pub partition: PartitionUuid,
    /// Activation of the giver whose guest has given it; `None` where the giver is off.
    pub generation: Option<u64>,
    /// How much.
    pub resource: Resource,
}

pub(super) fn change_of(resource: Resource, adding: bool) -> DynamicChange {
    let sign = if adding { 1 } else { -1 };
    match resource {
        Resource::Memory(megabytes) => {
            DynamicChange::Memory(sign * i64::try_from(megabytes).unwrap_or(i64::MAX / 2))
        }
        Resource::Processors { processors, units } => DynamicChange::Processors {
            processors: sign * i64::from(processors),
            hundredths: sign * i64::from(units.0),
        },
    }
}

pub(super) fn current(entry: &PartitionEntry) -> Result<&Configuration, Refusal> {
    entry.partition.current.as_ref().ok_or_else(|| Refusal::new(MessageKey::NoCurrentConfiguration))
}

/// Whether the change goes through the guest, or the refusal where the state allows none.
pub(super) fn through_guest(entry: &PartitionEntry) -> Result<bool, Refusal> {
    match entry.runtime.state {
        PartitionState::NotActivated => Ok(false),
        PartitionState::Running if entry.runtime.rmc != RmcState::Active => {
            Err(Refusal::new(MessageKey::DlparNoRmc).with(&entry.partition.name))
        }
        PartitionState::Running if entry.runtime.lock.is_some() => {
            Err(Refusal::new(MessageKey::Locked).with(format_args!("partition {}", entry.partition.name)))
        }
        PartitionState::Running => Ok(true),
        _ => Err(Refusal::new(MessageKey::StateNotAllowed)),
    }
}

pub(super) fn change_resource(
    world: &World,
    selector: &Selector,
    operation: &DynamicOperation,
    resource: Resource,
    wait_minutes: u32,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    super::definition::check_reachable(world)?;
    let taker = match operation {
        DynamicOperation::Move(selector) => Some(check_taker(world, entry, selector, resource)?),
        _ => None,
    };
    let adding = *operation == DynamicOperation::Add;
    let source = if taker.is_some() { Source::OtherPartition } else { Source::Free };
    let operation = match resource {
        Resource::Memory(_) => LockedFor::Memory,
        Resource::Processors { .. } => LockedFor::Processors,
    };
    let lock = moment.lock(operation);
    let request = Request { taker, wait_minutes, token: moment.token, given: None, refusal: None, lock };
    ask(world, entry, resource, adding, source, request)
}

pub(super) struct Request {
    pub(super) taker: Option<PartitionId>,
    pub(super) wait_minutes: u32,
    pub(super) token: u64,
    pub(super) given: Option<Given>,
    pub(super) refusal: Option<Refusal>,
    pub(super) lock: Arc<OperationLock>,
}

/// The taker of a move must be able to take before anything is given.
fn check_taker(
    world: &World,
    giver: &PartitionEntry,
    selector: &Selector,
    resource: Resource,
) -> Result<PartitionId, Refusal> {
    let taker = world.snapshot.find(selector)?;
    if taker.partition.id == giver.partition.id {
        return Err(Refusal::new(MessageKey::ParameterInvalid).with("-t"));
    }
    let running = through_guest(taker)?;
    let content = current(taker)?;
    plan(
        content,
        change_of(resource, true),
        world.system(),
        &taker.partition.name,
        Source::OtherPartition,
        running,
    )?;
    Ok(taker.partition.id)
}

/// Units that the giver of a move leaves in the pool of the taker.
fn freed_in_pool(world: &World, taker: &Configuration, given: &Given) -> ProcessingUnits {
    let giver = world.by_uuid(given.partition).filter(|_| given.generation.is_some());
    let same_pool = giver
        .and_then(|entry| entry.partition.current.as_ref())
        .is_some_and(|content| content.processor_pool == taker.processor_pool);
    match given.resource {
        Resource::Processors { units, .. } if same_pool => units,
        _ => ProcessingUnits(0),
    }
}

pub(super) fn ask(
    world: &World,
    entry: &PartitionEntry,
    resource: Resource,
    adding: bool,
    source: Source,
    request: Request,
) -> Result<Decision, Refusal> {
    let running = through_guest(entry)?;
    let content = current(entry)?;
    let change = change_of(resource, adding);
    let target = plan(content, change, world.system(), &entry.partition.name, source, running)?;
    if running {
        let freed = request.given.map_or(ProcessingUnits(0), |given| freed_in_pool(world, &target, &given));
        super::processor_pool::check_room_beside(world, entry.partition.id, &target, freed)?;
    }
    let hardware = &world.system().hardware;
    // What a running giver gives is held by its current configuration until both are recorded.
    let reserved = if adding && running && source == Source::Free {
        Usage::of(&target, hardware).minus(Usage::of(content, hardware))
    } else {
        Usage::default()
    };
    let plan = DynamicPlan {
        token: request.token,
        partition: entry.partition.uuid,
        target,
        resource,
        reserved,
        taker: request.taker,
        given: request.given,
        setting_back: false,
        refusal: request.refusal,
        wait_minutes: request.wait_minutes,
        lock: request.lock,
    };
    if running { Ok(ask_guest(entry, plan)) } else { finish_off(world, entry, &plan) }
}

fn ask_guest(entry: &PartitionEntry, plan: DynamicPlan) -> Decision {
    let mut runtime = (*entry.runtime).clone();
    runtime.lock = Some(plan.lock.clone());
    Decision {
        changes: vec![Change::PutRuntime(entry.partition.id, Box::new(runtime))],
        effects: vec![Effect::Reserve(plan.reserved, true), request_of(&plan)],
        answer: Answer::WhenDynamicEnds(Box::new(plan)),
    }
}

/// What the guest of a plan is asked.
#[must_use]
pub fn request_of(plan: &DynamicPlan) -> Effect {
    let (partition, token) = (plan.partition, plan.token);
    match plan.resource {
        Resource::Memory(_) => Effect::SetMemory { partition, megabytes: plan.target.desired_memory, token },
        Resource::Processors { .. } => {
            Effect::SetProcessors { partition, processors: allocation(&plan.target), token }
        }
    }
}

/// Processors of a configuration, as an engine takes them.
#[must_use]
pub fn allocation(content: &Configuration) -> ProcessorAllocation {
    ProcessorAllocation {
        processors: content.desired_processors,
        entitlement_hundredths: content.entitlement().0,
        dedicated: content.processor_mode == ProcessorMode::Dedicated,
        uncapped: content.sharing_mode == SharingMode::Uncapped,
        uncapped_weight: content.uncapped_weight,
        donating: content.sharing_mode.donates(),
    }
}

/// Writes a configuration as the current one, and to the current profile where synchronization says so.
pub(super) fn with_configuration(entry: &PartitionEntry, content: Configuration, running: bool) -> Partition {
    let mut partition = (*entry.partition).clone();
    partition.revision += 1;
    let current_profile = partition.current_profile.clone();
    let synchronized = running && partition.settings.synchronization == Synchronization::Enabled;
    if let Some(profile) =
        partition.profiles.iter_mut().find(|one| synchronized && one.name == current_profile)
    {
        let profile = Arc::make_mut(profile);
        profile.configuration.desired_memory = content.desired_memory;
        profile.configuration.desired_processors = content.desired_processors;
        profile.configuration.desired_units = content.desired_units;
        profile.configuration.sharing_mode = content.sharing_mode;
        profile.configuration.uncapped_weight = content.uncapped_weight;
        profile.configuration.processor_pool = content.processor_pool;
    }
    partition.current = Some(content);
    partition
}

/// A partition that is off changes at once. What it gives to a running one it gives when that has taken it.
fn finish_off(world: &World, entry: &PartitionEntry, plan: &DynamicPlan) -> Result<Decision, Refusal> {
    let partition = with_configuration(entry, plan.target.clone(), false);
    let mut decision = Decision::change(Change::PutPartition(Box::new(partition)));
    if let Some(taker) = plan.taker {
        let given = Given { partition: plan.partition, generation: None, resource: plan.resource };
        let next = give(world, taker, given, plan, None, plan.token)?;
        if matches!(next.answer, Answer::WhenDynamicEnds(_)) {
            return Ok(next);
        }
        decision.changes.extend(next.changes);
    }
    Ok(decision)
}

/// Has the taker of a move take what is given. A giver that is off holds nothing: what it gives must be free.
pub(super) fn give(
    world: &World,
    taker: PartitionId,
    given: Given,
    plan: &DynamicPlan,
    refusal: Option<Refusal>,
    token: u64,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(&Selector::Id(taker))?;
    let source = if given.generation.is_some() { Source::OtherPartition } else { Source::Free };
    let wait_minutes = plan.wait_minutes;
    let lock = plan.lock.clone();
    let request = Request { taker: None, wait_minutes, token, given: Some(given), refusal, lock };
    ask(world, entry, given.resource, true, source, request)
}

pub(super) fn set_sharing(
    world: &World,
    selector: &Selector,
    record: &[Assignment],
    moment: Moment,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    super::definition::check_reachable(world)?;
    for assignment in record {
        if !matches!(assignment.name.as_str(), "sharing_mode" | "uncap_weight") {
            return Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name));
        }
    }
    let running = through_guest(entry)?;
    let mut content = current(entry)?.clone();
    apply_all(&mut content, record, &EditContext { system: world.system(), lookup: world })?;
    validity::check(&content, world.system())?;
    let mut decision = Decision::default();
    if running {
        // The hypervisor applies weight and mode; the guest is told but has no say.
        decision.effects.push(Effect::SetProcessors {
            partition: entry.partition.uuid,
            processors: allocation(&content),
            token: moment.token,
        });
    }
    decision.changes.push(Change::PutPartition(Box::new(with_configuration(entry, content, running))));
    Ok(decision)
}
