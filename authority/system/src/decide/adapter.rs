//! Adapters of partitions while they run: how a change begins and ends.
//!
//! ```text
//! off, forced:  record the new current configuration, done
//! add:          record ──> ask the guest ──┬─ taken ────> done
//!                                          └─ refused ──> record without it, refused
//! remove:       ask the guest ──┬─ given up ──> record ──┬─ recorded ──> done, or add to the taker of a move
//!                               │                        └─ not recorded ──> give it back, refused
//!                               └─ refused ───> refused with the guest's words
//! set:          record ──> tell the guest, done
//! ```
//!
//! An adapter is recorded before the guest has it, so that its addresses are generated once; one that goes is recorded when
//! the guest has given it up, since only the guest knows whether it is in use. A frame that loses its power in between has
//! no guests: what is recorded is what the next activation gets.

use std::sync::Arc;

use varan_contract::engine::AdapterAddress;
use varan_contract::system::DynamicOperation;
use varan_model::adapters::PhysicalSlot;
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::ids::{PartitionId, PartitionUuid};
use varan_model::lock::{LockedFor, OperationLock};
use varan_model::partition::{Partition, PartitionEntry, PartitionState, RmcState, Synchronization};
use varan_model::refusal::Refusal;
use varan_model::rules::PartitionLookup;
use varan_model::rules::virtual_io;

use super::course::{self, Course};
use super::definition::check_reachable;
use super::dynamic::{current, with_configuration};
use super::{Answer, Decision, Effect, Moment};
use crate::world::{Change, World};
use varan_contract::system::Selector;

/// What a guest is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterStep {
    /// To take the adapter, which is recorded.
    Add,
    /// To give the adapter up; afterwards the partition named gets it.
    Remove(Option<PartitionId>),
    /// To give up again what it was asked to take.
    UndoAdd,
    /// To take again what it was asked to give up.
    UndoRemove,
}

/// A change of an adapter that waits for a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterPlan {
    /// Token of the answer that it waits for.
    pub token: u64,
    /// Partition that is asked.
    pub partition: PartitionUuid,
    /// Where the adapter is.
    pub address: AdapterAddress,
    /// What is asked.
    pub step: AdapterStep,
    /// Minutes that the user waits, 0 for ever.
    pub wait_minutes: u32,
    /// What it holds.
    pub lock: Arc<OperationLock>,
    /// The change of several guests' adapters that it is a step of.
    pub course: Option<Box<Course>>,
}

impl AdapterPlan {
    /// A plan by which a partition gets an adapter.
    pub(super) fn new(
        moment: Moment,
        entry: &PartitionEntry,
        address: AdapterAddress,
        wait_minutes: u32,
        operation: LockedFor,
    ) -> Self {
        Self {
            token: moment.token,
            partition: entry.partition.uuid,
            address,
            step: AdapterStep::Add,
            wait_minutes,
            lock: moment.lock(operation),
            course: None,
        }
    }
}

/// How a change of an adapter reaches the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The partition is off.
    Off,
    /// Through its guest.
    Guest,
    /// Past its guest, which sees it when it starts again.
    Forced,
}

/// What is done to an adapter, for the refusal's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Adding,
    Removing,
    Setting,
}

/// The way to the partition, or the refusal where its state allows none.
pub(super) fn way(
    entry: &PartitionEntry,
    address_is_virtual: bool,
    doing: Doing,
    force: bool,
) -> Result<Way, Refusal> {
    let name = &entry.partition.name;
    match entry.runtime.state {
        PartitionState::NotActivated => Ok(Way::Off),
        PartitionState::Running if entry.runtime.lock.is_some() => {
            Err(Refusal::new(MessageKey::Locked).with(format_args!("partition {name}")))
        }
        PartitionState::Running if entry.runtime.rmc == RmcState::Active => Ok(Way::Guest),
        PartitionState::Running if force => Ok(Way::Forced),
        PartitionState::Running => {
            let key = match doing {
                Doing::Adding if address_is_virtual => MessageKey::VirtualAddNoRmc,
                Doing::Removing if address_is_virtual => MessageKey::VirtualRemoveNoRmc,
                _ => MessageKey::DlparNoRmc,
            };
            Err(Refusal::new(key).with(name))
        }
        _ => Err(Refusal::new(MessageKey::StateNotAllowed)),
    }
}

/// Writes a configuration with other adapters as the current one, and to the current profile where synchronization says
/// so.
pub(super) fn with_adapters(entry: &PartitionEntry, content: Configuration) -> Partition {
    let running = entry.runtime.state != PartitionState::NotActivated;
    let mut partition = with_configuration(entry, content, false);
    let name = partition.current_profile.clone();
    let synchronized = running && partition.settings.synchronization == Synchronization::Enabled;
    let profile = partition.profiles.iter_mut().find(|one| synchronized && one.name == name);
    if let (Some(profile), Some(content)) = (profile, &partition.current) {
        let kept = &mut Arc::make_mut(profile).configuration;
        kept.ethernet_adapters.clone_from(&content.ethernet_adapters);
        kept.scsi_adapters.clone_from(&content.scsi_adapters);
        kept.fibre_channel_adapters.clone_from(&content.fibre_channel_adapters);
        kept.serial_adapters.clone_from(&content.serial_adapters);
        kept.physical_slots.clone_from(&content.physical_slots);
        kept.ethernet_logical_ports.clone_from(&content.ethernet_logical_ports);
        kept.roce_logical_ports.clone_from(&content.roce_logical_ports);
        kept.virtual_nics = super::definition::stated_nics(content);
    }
    partition
}

pub(super) fn locked(entry: &PartitionEntry, lock: Option<Arc<OperationLock>>) -> Change {
    let mut runtime = (*entry.runtime).clone();
    runtime.lock = lock;
    Change::PutRuntime(entry.partition.id, Box::new(runtime))
}

/// Adds an adapter that `content` has: recorded, then taken by the guest where there is one.
pub(super) fn add(
    entry: &PartitionEntry,
    content: Configuration,
    way: Way,
    plan: AdapterPlan,
    more: Vec<Change>,
) -> Decision {
    let mut changes = vec![Change::PutPartition(Box::new(with_adapters(entry, content)))];
    changes.extend(more);
    if way != Way::Guest {
        return Decision { changes, ..Decision::default() };
    }
    changes.push(locked(entry, Some(plan.lock.clone())));
    Decision { changes, effects: vec![request_of(&plan)], answer: Answer::WhenAdapterChanged(Box::new(plan)) }
}

/// Has a guest give an adapter up.
pub(super) fn remove(entry: &PartitionEntry, plan: AdapterPlan) -> Decision {
    Decision {
        changes: vec![locked(entry, Some(plan.lock.clone()))],
        effects: vec![request_of(&plan)],
        answer: Answer::WhenAdapterChanged(Box::new(plan)),
    }
}

/// What the guest of a plan is asked.
#[must_use]
pub fn request_of(plan: &AdapterPlan) -> Effect {
    let (partition, address, token) = (plan.partition, plan.address, plan.token);
    match plan.step {
        AdapterStep::Add | AdapterStep::UndoRemove => Effect::PutAdapter { partition, address, token },
        AdapterStep::Remove(_) | AdapterStep::UndoAdd => Effect::RemoveAdapter { partition, address, token },
    }
}

fn without(content: &Configuration, partition: &Partition, address: AdapterAddress) -> Configuration {
    let mut content = content.clone();
    match address {
        // An adapter that is gone already leaves what is there.
        AdapterAddress::Virtual(slot) => {
            let _ = virtual_io::remove(&mut content, &partition.name, None, slot);
        }
        AdapterAddress::Physical(index) => content.physical_slots.retain(|slot| slot.drc_index != index),
        AdapterAddress::LogicalPort(id) => {
            let _ = virtual_io::remove_logical_port(&mut content, &partition.name, id);
        }
    }
    content
}

pub(super) fn refusal_of(entry: &PartitionEntry, plan: &AdapterPlan, details: Vec<String>) -> Refusal {
    let key = match (plan.step, plan.address) {
        (
            AdapterStep::Add | AdapterStep::UndoRemove,
            AdapterAddress::Virtual(_) | AdapterAddress::LogicalPort(_),
        ) => MessageKey::VirtualAddFailed,
        (AdapterStep::Add | AdapterStep::UndoRemove, AdapterAddress::Physical(_)) => {
            MessageKey::PhysicalAddFailed
        }
        (
            AdapterStep::Remove(_) | AdapterStep::UndoAdd,
            AdapterAddress::Virtual(_) | AdapterAddress::LogicalPort(_),
        ) => MessageKey::VirtualRemoveFailed,
        (AdapterStep::Remove(_) | AdapterStep::UndoAdd, AdapterAddress::Physical(_)) => {
            MessageKey::PhysicalRemoveFailed
        }
    };
    Refusal::new(key).with(&entry.partition.name).detailed(details)
}

/// What follows from a guest's answer.
pub struct AdapterEnd {
    /// To be recorded, all or nothing.
    pub decision: Decision,
    /// What the user is told; `None` when it is done.
    pub refusal: Option<Refusal>,
    /// What follows when it cannot be recorded.
    pub otherwise: Decision,
}

/// Ends a step with the guest's answer: `Ok` when it did what was asked, else its words.
#[must_use]
pub fn finish(world: &World, plan: &AdapterPlan, answer: Result<(), Vec<String>>, token: u64) -> AdapterEnd {
    let nothing = AdapterEnd { decision: Decision::default(), refusal: None, otherwise: Decision::default() };
    if let Some(course) = &plan.course {
        return course::finish(world, plan, course, answer, token);
    }
    let Some(entry) = world.by_uuid(plan.partition) else { return nothing };
    let unlock = locked(entry, None);
    let otherwise = Decision::change(unlock.clone());
    let content = entry.partition.current.clone().unwrap_or_default();
    let without = || without(&content, &entry.partition, plan.address);
    match (&answer, plan.step) {
        // What an undone change leaves in the guest is recorded already.
        (Ok(()), AdapterStep::Add | AdapterStep::UndoRemove)
        | (Err(_), AdapterStep::UndoAdd | AdapterStep::UndoRemove) => {
            AdapterEnd { decision: Decision::change(unlock), ..nothing }
        }
        (Ok(()), AdapterStep::UndoAdd) | (Err(_), AdapterStep::Add) => {
            let partition = with_adapters(entry, without());
            let changes = vec![Change::PutPartition(Box::new(partition)), unlock];
            let refusal = answer.err().map(|details| refusal_of(entry, plan, details));
            AdapterEnd { decision: Decision { changes, ..Decision::default() }, refusal, otherwise }
        }
        (Err(details), AdapterStep::Remove(_)) => {
            let refusal = Some(refusal_of(entry, plan, details.clone()));
            AdapterEnd { decision: Decision::change(unlock), refusal, ..nothing }
        }
        (Ok(()), AdapterStep::Remove(taker)) => {
            let partition = with_adapters(entry, without());
            let mut decision = Decision {
                changes: vec![Change::PutPartition(Box::new(partition)), unlock],
                ..Decision::default()
            };
            if let AdapterAddress::Virtual(slot) = plan.address {
                decision.effects.extend(super::vnic::withdrawals(world, &content, slot));
            }
            // Nobody waits for this answer: what the guest gave up it can take.
            let back = Effect::PutAdapter { partition: plan.partition, address: plan.address, token: 0 };
            let otherwise = Decision { effects: vec![back], ..otherwise };
            let given = match taker {
                Some(taker) => hand_over(world, taker, &content, plan, token),
                None => Ok(Decision::default()),
            };
            match given {
                Ok(next) => {
                    decision.changes.extend(next.changes);
                    decision.effects.extend(next.effects);
                    decision.answer = next.answer;
                    AdapterEnd { decision, refusal: None, otherwise }
                }
                // The slot is free; the user sees why the other partition did not take it.
                Err(refusal) => AdapterEnd { decision, refusal: Some(refusal), otherwise },
            }
        }
    }
}

/// Asks the guest to undo what it was asked to do. What is recorded follows its answer.
#[must_use]
pub fn take_back(plan: AdapterPlan) -> Decision {
    let step = match plan.step {
        AdapterStep::Add | AdapterStep::UndoAdd => AdapterStep::UndoAdd,
        AdapterStep::Remove(_) | AdapterStep::UndoRemove => AdapterStep::UndoRemove,
    };
    let plan = AdapterPlan { step, ..plan };
    let effects = vec![request_of(&plan)];
    Decision { effects, answer: Answer::WhenAdapterChanged(Box::new(plan)), ..Decision::default() }
}

/// A guest ended before it answered.
#[must_use]
pub fn give_up(world: &World, plan: &AdapterPlan, token: u64) -> AdapterEnd {
    // A guest that is gone has nothing that it was to give up.
    let answer = if plan.step == AdapterStep::UndoAdd { Ok(()) } else { Err(Vec::new()) };
    let mut end = finish(world, plan, answer, token);
    end.refusal = Some(Refusal::new(MessageKey::StateNotAllowed));
    end
}

/// The taker of a move gets the slot that another partition has given up by `plan`.
fn hand_over(
    world: &World,
    taker: PartitionId,
    giver: &Configuration,
    plan: &AdapterPlan,
    token: u64,
) -> Result<Decision, Refusal> {
    let AdapterAddress::Physical(index) = plan.address else { return Ok(Decision::default()) };
    let entry = world.snapshot.find(&Selector::Id(taker))?;
    let moved = giver.physical_slots.iter().find(|slot| slot.drc_index == index);
    let pool = moved.and_then(|slot| slot.pool);
    let way = way(entry, false, Doing::Adding, false)?;
    let mut content = current(entry)?.clone();
    content.physical_slots.retain(|slot| slot.drc_index != index);
    content.physical_slots.push(PhysicalSlot { drc_index: index, pool, required: false });
    let partition = entry.partition.uuid;
    let plan = AdapterPlan { token, partition, step: AdapterStep::Add, ..plan.clone() };
    Ok(add(entry, content, way, plan, Vec::new()))
}

/// A change of a physical slot's owner, as it was asked for.
pub(super) struct SlotChange<'a> {
    pub(super) operation: &'a DynamicOperation,
    /// DRC index.
    pub(super) index: u32,
    /// I/O pool to be stated with the slot.
    pub(super) pool: Option<u16>,
    pub(super) force: bool,
    pub(super) wait_minutes: u32,
}

/// `chhwres -r io -o a|r|m`: a physical slot of a partition.
pub(super) fn change_slot(
    world: &World,
    selector: &Selector,
    change: &SlotChange<'_>,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let SlotChange { operation, index, pool, force, wait_minutes } = *change;
    let entry = world.snapshot.find(selector)?;
    check_reachable(world)?;
    if world.system().hardware.slot(index).is_none() {
        return Err(Refusal::new(MessageKey::PhysicalSlotNotFound).with(format_args!("{index:08X}")));
    }
    if world.system().is_shared_slot(index) {
        return Err(Refusal::new(MessageKey::SriovAdapterShared).with(format_args!("{index:08X}")));
    }
    let content = current(entry)?;
    let has = content.physical_slots.iter().any(|slot| slot.drc_index == index);
    let address = AdapterAddress::Physical(index);
    let lock = moment.lock(LockedFor::PhysicalSlot);
    let plan = |step| AdapterPlan {
        token: moment.token,
        partition: entry.partition.uuid,
        address,
        step,
        wait_minutes,
        lock: lock.clone(),
        course: None,
    };
    if *operation == DynamicOperation::Add {
        let way = way(entry, false, Doing::Adding, force)?;
        check_free(world, entry, index, has)?;
        let mut content = content.clone();
        content.physical_slots.push(PhysicalSlot { drc_index: index, pool, required: false });
        return Ok(add(entry, content, way, plan(AdapterStep::Add), past_guest(entry, way, index)));
    }
    if !has {
        let refusal = Refusal::new(MessageKey::PhysicalSlotNotOwned).with(&entry.partition.name);
        return Err(refusal.with(format_args!("{index:08X}")));
    }
    let way_out = way(entry, false, Doing::Removing, force)?;
    let taker = match operation {
        DynamicOperation::Move(selector) => {
            let taker = world.snapshot.find(selector)?;
            if taker.partition.id == entry.partition.id {
                return Err(Refusal::new(MessageKey::ParameterInvalid).with("-t"));
            }
            // It must be able to take before anything is given.
            way(taker, false, Doing::Adding, false)?;
            let has = current(taker)?.physical_slots.iter().any(|slot| slot.drc_index == index);
            if has && taker.runtime.state != PartitionState::NotActivated {
                return Err(Refusal::new(MessageKey::PhysicalSlotOwned).with(&taker.partition.name));
            }
            Some(taker.partition.id)
        }
        _ => None,
    };
    if way_out == Way::Guest {
        return Ok(remove(entry, plan(AdapterStep::Remove(taker))));
    }
    let partition = with_adapters(entry, without(content, &entry.partition, address));
    let mut decision = Decision::change(Change::PutPartition(Box::new(partition)));
    decision.changes.extend(past_guest(entry, way_out, index));
    if let Some(taker) = taker {
        let plan = plan(AdapterStep::Remove(Some(taker)));
        let next = hand_over(world, taker, content, &plan, moment.token)?;
        decision.changes.extend(next.changes);
        decision.effects.extend(next.effects);
        decision.answer = next.answer;
    }
    Ok(decision)
}

/// What the hypervisor remembers of a slot that was changed past a guest. Changed back, it is as the guest knows it.
fn past_guest(entry: &PartitionEntry, way: Way, index: u32) -> Vec<Change> {
    if way != Way::Forced {
        return Vec::new();
    }
    let mut runtime = (*entry.runtime).clone();
    if !runtime.slots_past_guest.remove(&index) {
        runtime.slots_past_guest.insert(index);
    }
    vec![Change::PutRuntime(entry.partition.id, Box::new(runtime))]
}

/// A slot that no partition which holds its resources has.
fn check_free(world: &World, entry: &PartitionEntry, index: u32, has: bool) -> Result<(), Refusal> {
    if has {
        return Err(Refusal::new(MessageKey::PhysicalSlotOwned).with(&entry.partition.name));
    }
    match world.slot_holder(index) {
        Some(holder) if holder != entry.partition.id => {
            let name = world.snapshot.find(&Selector::Id(holder))?.partition.name.clone();
            Err(Refusal::new(MessageKey::PhysicalSlotInUse).with(format_args!("{index:08X}")).with(name))
        }
        _ => Ok(()),
    }
}
