//! Dynamic changes of memory and processors.
//!
//! ```text
//! off:      record the new current configuration, done
//! running:  hold back what is added ──> ask the guest ──> record what it reached, release, done or short
//! move:     ask the giver ──> record ──> ask the taker for what was given ──> record, done
//! ```

use varan_contract::engine::{EngineEventKind, ProcessorAllocation};
use varan_contract::system::{DynamicOperation, Resource, Selector};
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, ProcessorMode, SharingMode};
use varan_model::ids::{PartitionId, PartitionUuid};
use varan_model::partition::{Partition, PartitionEntry, PartitionState, RmcState, Synchronization, Usage};
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::dynamic::{DynamicChange, Source, plan};
use varan_model::rules::profile::{EditContext, apply_all};
use varan_model::rules::validity;

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
    /// Adding (or taking away).
    pub adding: bool,
    /// Held back from what is free until the answer.
    pub reserved: Usage,
    /// Afterwards this partition gets what was given.
    pub taker: Option<PartitionId>,
    /// Minutes that the user waits, 0 for ever.
    pub wait_minutes: u32,
}

fn change_of(resource: Resource, adding: bool) -> DynamicChange {
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
        PartitionState::Running if entry.runtime.changing => {
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
    ask(world, entry, resource, adding, source, Request { taker, wait_minutes, token: moment.token })
}

struct Request {
    taker: Option<PartitionId>,
    wait_minutes: u32,
    token: u64,
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

fn ask(
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
        super::processor_pool::check_room(world, entry.partition.id, &target)?;
    }
    let hardware = &world.system().hardware;
    let reserved = if adding && running {
        Usage::of(&target, hardware).minus(Usage::of(content, hardware))
    } else {
        Usage::default()
    };
    let plan = DynamicPlan {
        token: request.token,
        partition: entry.partition.uuid,
        target,
        resource,
        adding,
        reserved,
        taker: request.taker,
        wait_minutes: request.wait_minutes,
    };
    if running { Ok(ask_guest(entry, plan)) } else { finish_off(world, entry, &plan) }
}

fn ask_guest(entry: &PartitionEntry, plan: DynamicPlan) -> Decision {
    let mut runtime = (*entry.runtime).clone();
    runtime.changing = true;
    let effect = match plan.resource {
        Resource::Memory(_) => Effect::SetMemory {
            partition: plan.partition,
            megabytes: plan.target.desired_memory,
            token: plan.token,
        },
        Resource::Processors { .. } => Effect::SetProcessors {
            partition: plan.partition,
            processors: allocation(&plan.target),
            token: plan.token,
        },
    };
    Decision {
        changes: vec![Change::PutRuntime(entry.partition.id, Box::new(runtime))],
        effects: vec![Effect::Reserve(plan.reserved, true), effect],
        answer: Answer::WhenDynamicEnds(Box::new(plan)),
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
        let profile = std::sync::Arc::make_mut(profile);
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

/// A partition that is off changes at once.
fn finish_off(world: &World, entry: &PartitionEntry, plan: &DynamicPlan) -> Result<Decision, Refusal> {
    let partition = with_configuration(entry, plan.target.clone(), false);
    let mut decision = Decision::change(Change::PutPartition(Box::new(partition)));
    if let Some(taker) = plan.taker {
        let next = give(world, taker, plan.resource, plan.wait_minutes, plan.token)?;
        decision.changes.extend(next.changes);
        decision.effects.extend(next.effects);
        decision.answer = next.answer;
    }
    Ok(decision)
}

fn give(
    world: &World,
    taker: PartitionId,
    resource: Resource,
    wait_minutes: u32,
    token: u64,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(&Selector::Id(taker))?;
    ask(world, entry, resource, true, Source::OtherPartition, Request { taker: None, wait_minutes, token })
}

/// What was reached, as a resource, and whether it is all that was asked.
struct Reached {
    content: Configuration,
    moved: Resource,
    details: Vec<String>,
}

fn reached(before: &Configuration, plan: &DynamicPlan, answer: &EngineEventKind) -> Option<Reached> {
    let mut content = before.clone();
    match (answer, plan.resource) {
        (EngineEventKind::MemorySet { megabytes, details, .. }, Resource::Memory(_)) => {
            content.desired_memory = *megabytes;
            let moved = Resource::Memory(megabytes.abs_diff(before.desired_memory));
            Some(Reached { content, moved, details: details.clone() })
        }
        (EngineEventKind::ProcessorsSet { processors, details, .. }, Resource::Processors { .. }) => {
            content.desired_processors = processors.processors;
            if content.processor_mode == ProcessorMode::Shared {
                content.desired_units =
                    varan_model::units::ProcessingUnits(processors.entitlement_hundredths);
            }
            let units = content.desired_units.0.abs_diff(before.desired_units.0);
            let moved = Resource::Processors {
                processors: processors.processors.abs_diff(before.desired_processors),
                units: varan_model::units::ProcessingUnits(units),
            };
            Some(Reached { content, moved, details: details.clone() })
        }
        _ => None,
    }
}

fn describe(resource: Resource) -> (&'static str, String) {
    match resource {
        Resource::Memory(megabytes) => ("memory", format!("{megabytes} MB")),
        Resource::Processors { processors, units } => {
            ("processor", format!("{processors} processors and {units} units"))
        }
    }
}

/// Ends a dynamic change with the guest's answer. Returns what to record, and the refusal to show when it fell short.
#[must_use]
pub fn finish_dynamic(
    world: &World,
    plan: &DynamicPlan,
    answer: &EngineEventKind,
    token: u64,
) -> (Decision, Option<Refusal>) {
    let mut decision =
        Decision { effects: vec![Effect::Reserve(plan.reserved, false)], ..Decision::default() };
    let Some(entry) = world.by_uuid(plan.partition) else { return (decision, None) };
    let mut runtime = (*entry.runtime).clone();
    runtime.changing = false;
    let before = entry.partition.current.clone().unwrap_or_default();
    let Some(reached) = reached(&before, plan, answer) else {
        decision.changes.push(Change::PutRuntime(entry.partition.id, Box::new(runtime)));
        return (decision, None);
    };
    runtime.memory = reached.content.desired_memory;
    runtime.processors = reached.content.desired_processors;
    runtime.units = reached.content.entitlement();
    let whole = reached.content == plan.target;
    if reached.content != before {
        let partition = with_configuration(entry, reached.content, true);
        decision.changes.push(Change::PutPartition(Box::new(partition)));
    }
    decision.changes.push(Change::PutRuntime(entry.partition.id, Box::new(runtime)));
    let short = (!whole).then(|| {
        let ((what, moved), (_, asked)) = (describe(reached.moved), describe(plan.resource));
        let refusal = Refusal::new(MessageKey::DlparPartial).with(what).with(&entry.partition.name);
        refusal.with(moved).with(asked).detailed(reached.details)
    });
    let moved_something = !matches!(reached.moved, Resource::Memory(0));
    if let Some(taker) = plan.taker.filter(|_| moved_something) {
        match give(world, taker, reached.moved, plan.wait_minutes, token) {
            Ok(next) => {
                decision.changes.extend(next.changes);
                decision.effects.extend(next.effects);
                decision.answer = next.answer;
            }
            // What was given stays free; the user sees why the other did not take it.
            Err(refusal) => return (decision, Some(refusal)),
        }
    }
    (decision, short)
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
