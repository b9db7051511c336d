//! Dynamic changes of memory and processors: how they end.
//!
//! ```text
//! asked ──answer──┬─ no taker ──────────> record ─┬─ recorded ──> done, or short
//!                 └─ taker, asked ──────> both    └─ not recorded ──> set back: taker, then giver ──> refused
//! ```
//!
//! A change that cannot be recorded must not stay in a guest, so the guest is set back to its current configuration.
//! A guest that cannot be set back (what it took is in use) is recorded as it is; where that fails too, the frame counts
//! what the guest holds, until its next dynamic change or its end. A guest that ends meanwhile has nothing to set back.

use std::sync::Arc;

use varan_contract::engine::EngineEventKind;
use varan_contract::system::Resource;
use varan_model::codes::MessageKey;
use varan_model::configuration::{Configuration, ProcessorMode};
use varan_model::ids::PartitionId;
use varan_model::lock::OperationLock;
use varan_model::partition::{PartitionEntry, PartitionState, Usage};
use varan_model::refusal::Refusal;
use varan_model::rules::dynamic::{Source, plan as plan_change};
use varan_model::units::ProcessingUnits;

use super::dynamic::{DynamicPlan, Given, change_of, current, give, request_of, with_configuration};
use super::{Answer, Decision, Effect};
use crate::world::{Change, World};

/// What follows from a guest's answer, and the refusal to show where nothing more is waited for.
pub type Ending = (Decision, Option<Refusal>);

/// What was reached, and how far that is from the current configuration.
struct Reached {
    content: Configuration,
    moved: Resource,
    details: Vec<String>,
}

impl Reached {
    fn nothing(&self) -> bool {
        matches!(
            self.moved,
            Resource::Memory(0) | Resource::Processors { processors: 0, units: ProcessingUnits(0) }
        )
    }
}

/// Reads an answer. One that does not belong to what was asked tells of nothing reached.
fn reached(before: &Configuration, plan: &DynamicPlan, answer: &EngineEventKind) -> Reached {
    let mut content = before.clone();
    let details = match (answer, plan.resource) {
        (EngineEventKind::MemorySet { megabytes, details, .. }, Resource::Memory(_)) => {
            content.desired_memory = *megabytes;
            details.clone()
        }
        (EngineEventKind::ProcessorsSet { processors, details, .. }, Resource::Processors { .. }) => {
            content.desired_processors = processors.processors;
            if content.processor_mode == ProcessorMode::Shared {
                content.desired_units = ProcessingUnits(processors.entitlement_hundredths);
            }
            details.clone()
        }
        _ => Vec::new(),
    };
    let moved = match plan.resource {
        Resource::Memory(_) => Resource::Memory(content.desired_memory.abs_diff(before.desired_memory)),
        Resource::Processors { .. } => Resource::Processors {
            processors: content.desired_processors.abs_diff(before.desired_processors),
            units: ProcessingUnits(content.desired_units.0.abs_diff(before.desired_units.0)),
        },
    };
    Reached { content, moved, details }
}

fn describe(resource: Resource) -> (&'static str, String) {
    match resource {
        Resource::Memory(megabytes) => ("memory", format!("{megabytes} MB")),
        Resource::Processors { processors, units } => {
            ("processor", format!("{processors} processors and {units} units"))
        }
    }
}

fn without(content: &Configuration, resource: Resource) -> Configuration {
    let mut content = content.clone();
    match resource {
        Resource::Memory(megabytes) => {
            content.desired_memory = content.desired_memory.saturating_sub(megabytes);
        }
        Resource::Processors { processors, units } => {
            content.desired_processors = content.desired_processors.saturating_sub(processors);
            content.desired_units = content.desired_units.minus(units);
        }
    }
    content
}

/// The runtime of a partition whose guest holds `content`.
fn holding(entry: &PartitionEntry, content: &Configuration, lock: Option<Arc<OperationLock>>) -> Change {
    let mut runtime = (*entry.runtime).clone();
    runtime.lock = lock;
    runtime.memory = content.desired_memory;
    runtime.processors = content.desired_processors;
    runtime.units = content.entitlement();
    Change::PutRuntime(entry.partition.id, Box::new(runtime))
}

/// The current configuration becomes what the guest holds.
fn settled(entry: &PartitionEntry, reached: &Reached) -> Vec<Change> {
    let mut changes = Vec::new();
    if entry.partition.current.as_ref() != Some(&reached.content) {
        let partition = with_configuration(entry, reached.content.clone(), true);
        changes.push(Change::PutPartition(Box::new(partition)));
    }
    changes.push(holding(entry, &reached.content, None));
    changes
}

fn released(plan: &DynamicPlan) -> Decision {
    Decision { effects: vec![Effect::Reserve(plan.reserved, false)], ..Decision::default() }
}

fn and_then(mut decision: Decision, next: Decision) -> Decision {
    decision.changes.extend(next.changes);
    decision.effects.extend(next.effects);
    decision.answer = next.answer;
    decision
}

/// Goes on with the guest's answer to what it was asked, or to being set back.
#[must_use]
pub fn finish_dynamic(world: &World, plan: &DynamicPlan, answer: &EngineEventKind, token: u64) -> Ending {
    let Some(entry) = world.by_uuid(plan.partition) else { return give_up(world, plan, token) };
    let before = entry.partition.current.clone().unwrap_or_default();
    let reached = reached(&before, plan, answer);
    if plan.setting_back {
        return was_set_back(world, plan, entry, &reached, settled(entry, &reached), token);
    }
    let refusal = plan.refusal.clone().or_else(|| short(entry, plan, &reached));
    let mut decision = released(plan);
    if reached.nothing() {
        decision.changes = settled(entry, &reached);
        return give_back(world, plan, decision, None, refusal, token);
    }
    if let Some(taker) = plan.taker {
        return hand_over(world, plan, entry, &reached, (taker, refusal), token);
    }
    decision.changes = settled(entry, &reached);
    if let Some(given) = &plan.given {
        match giver_gives(world, given) {
            Ok(changes) => decision.changes.extend(changes),
            Err(refusal) => return set_back(world, plan, Some(refusal), token),
        }
    }
    (decision, refusal)
}

fn short(entry: &PartitionEntry, plan: &DynamicPlan, reached: &Reached) -> Option<Refusal> {
    let ((what, moved), (_, asked)) = (describe(reached.moved), describe(plan.resource));
    (reached.content != plan.target).then(|| {
        let refusal = Refusal::new(MessageKey::DlparPartial).with(what).with(&entry.partition.name);
        refusal.with(moved).with(asked).detailed(reached.details.clone())
    })
}

/// The giver of a move has given; now its taker takes. One that is off takes at once.
fn hand_over(
    world: &World,
    plan: &DynamicPlan,
    entry: &PartitionEntry,
    reached: &Reached,
    (taker, refusal): (PartitionId, Option<Refusal>),
    token: u64,
) -> Ending {
    let generation = Some(entry.runtime.generation);
    let given = Given { partition: plan.partition, generation, resource: reached.moved };
    match give(world, taker, given, plan, refusal.clone(), token) {
        Ok(next) => {
            let waits = matches!(next.answer, Answer::WhenDynamicEnds(_));
            let mut decision = released(plan);
            // While it waits, the giver's current configuration stays and holds what was given.
            decision.changes = if waits {
                vec![holding(entry, &reached.content, Some(plan.lock.clone()))]
            } else {
                settled(entry, reached)
            };
            (and_then(decision, next), refusal)
        }
        Err(refusal) => set_back(world, plan, Some(refusal), token),
    }
}

/// The giver's part of a move, recorded with the taker's.
fn giver_gives(world: &World, given: &Given) -> Result<Vec<Change>, Refusal> {
    let changed = || Refusal::new(MessageKey::StateNotAllowed);
    let entry = world.by_uuid(given.partition).ok_or_else(changed)?;
    let content = current(entry)?;
    if given.generation.is_some() {
        if !gives(entry, given) {
            return Err(changed());
        }
        let content = without(content, given.resource);
        let runtime = holding(entry, &content, None);
        let partition = with_configuration(entry, content, true);
        return Ok(vec![Change::PutPartition(Box::new(partition)), runtime]);
    }
    if entry.runtime.state != PartitionState::NotActivated {
        return Err(changed());
    }
    let change = change_of(given.resource, false);
    let name = &entry.partition.name;
    let content = plan_change(content, change, world.system(), name, Source::OtherPartition, false)?;
    Ok(vec![Change::PutPartition(Box::new(with_configuration(entry, content, false)))])
}

/// Whether the guest that has given is still the one that runs.
fn gives(entry: &PartitionEntry, given: &Given) -> bool {
    entry.runtime.lock.is_some() && given.generation == Some(entry.runtime.generation)
}

/// The change could not be made: asks the guest to have what its current configuration says.
#[must_use]
pub fn set_back(world: &World, plan: &DynamicPlan, refusal: Option<Refusal>, token: u64) -> Ending {
    let Some(entry) = world.by_uuid(plan.partition) else {
        return give_up(world, &DynamicPlan { refusal, ..plan.clone() }, token);
    };
    let target = entry.partition.current.clone().unwrap_or_default();
    let next = DynamicPlan { token, target, taker: None, setting_back: true, refusal, ..plan.clone() };
    let effects = vec![request_of(&next)];
    (Decision { effects, answer: Answer::WhenDynamicEnds(Box::new(next)), ..Decision::default() }, None)
}

/// The guest was set back and fell short, and that cannot be recorded: the frame counts what the guest holds.
#[must_use]
pub fn keep_what_is(world: &World, plan: &DynamicPlan, answer: &EngineEventKind, token: u64) -> Ending {
    let Some(entry) = world.by_uuid(plan.partition) else { return give_up(world, plan, token) };
    let before = entry.partition.current.clone().unwrap_or_default();
    let reached = reached(&before, plan, answer);
    let changes = vec![holding(entry, &reached.content, None)];
    was_set_back(world, plan, entry, &reached, changes, token)
}

fn was_set_back(
    world: &World,
    plan: &DynamicPlan,
    entry: &PartitionEntry,
    reached: &Reached,
    changes: Vec<Change>,
    token: u64,
) -> Ending {
    debug_assert_eq!(entry.partition.uuid, plan.partition);
    let decision = Decision { changes, ..released(plan) };
    if reached.nothing() {
        return give_back(world, plan, decision, None, plan.refusal.clone(), token);
    }
    // The guest's own words say why it keeps what it does.
    let refusal = plan.refusal.clone().map(|refusal| refusal.detailed(reached.details.clone()));
    give_back(world, plan, decision, Some(reached.moved), refusal, token)
}

/// The guest that was asked is gone, and with it what it took.
#[must_use]
pub fn give_up(world: &World, plan: &DynamicPlan, token: u64) -> Ending {
    let refusal = plan.refusal.clone().unwrap_or_else(|| Refusal::new(MessageKey::StateNotAllowed));
    give_back(world, plan, released(plan), None, Some(refusal), token)
}

/// After `decision`: the giver of a move that failed gets back what it gave, less what the taker kept.
fn give_back(
    world: &World,
    plan: &DynamicPlan,
    decision: Decision,
    kept: Option<Resource>,
    refusal: Option<Refusal>,
    token: u64,
) -> Ending {
    let Some(given) = plan.given else { return (decision, refusal) };
    let entry = world.by_uuid(given.partition);
    let running = |entry: &&PartitionEntry| entry.runtime.state == PartitionState::Running;
    let Some(entry) = entry.filter(|entry| gives(entry, &given)).filter(running) else {
        return (decision, refusal);
    };
    let content = entry.partition.current.clone().unwrap_or_default();
    let next = DynamicPlan {
        token,
        partition: given.partition,
        target: kept.map_or_else(|| content.clone(), |kept| without(&content, kept)),
        resource: given.resource,
        reserved: Usage::default(),
        taker: None,
        given: None,
        setting_back: true,
        refusal,
        wait_minutes: plan.wait_minutes,
        lock: plan.lock.clone(),
    };
    let effects = vec![request_of(&next)];
    let next = Decision { effects, answer: Answer::WhenDynamicEnds(Box::new(next)), ..Decision::default() };
    (and_then(decision, next), None)
}
