//! Changes in which several guests take adapters one after another, all of them or none.
//!
//! ```text
//! record the result ──> ask ──┬─ took it, more to ask ──> ask the next
//!                             ├─ took it, the last one ──> tell the others, done
//!                             └─ refused, or gone ──> record what was before; those that took it give it up, refused
//! ```
//!
//! The result is recorded first, so that addresses and numbers are generated once; a frame that loses its power in between
//! has no guests, and the next activations get what is recorded. Whoever was only told has no say.

use std::collections::BTreeMap;

use varan_contract::engine::AdapterAddress;
use varan_contract::system::Selector;
use varan_model::adapters::VirtualEthernetAdapter;
use varan_model::configuration::Configuration;
use varan_model::ids::{PartitionId, PartitionUuid, VirtualSlot};
use varan_model::partition::{PartitionEntry, PartitionState};
use varan_model::refusal::Refusal;
use varan_model::vnic::VirtualNic;

use super::adapter::{AdapterEnd, AdapterPlan, AdapterStep, locked, refusal_of, request_of, with_adapters};
use super::{Answer, Decision, Effect};
use crate::world::{Change, World};

/// An adapter of a guest.
pub type Place = (PartitionUuid, AdapterAddress);

/// What a configuration goes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// A virtual NIC; `None` where there was none.
    Vnic(VirtualSlot, Option<VirtualNic>),
    /// A virtual Ethernet adapter.
    Ethernet(VirtualEthernetAdapter),
}

impl Before {
    fn address(&self) -> AdapterAddress {
        match self {
            Self::Vnic(slot, _) => AdapterAddress::Virtual(*slot),
            Self::Ethernet(adapter) => AdapterAddress::Virtual(adapter.slot),
        }
    }

    /// Whether the adapter was there at all.
    fn existed(&self) -> bool {
        !matches!(self, Self::Vnic(_, None))
    }

    fn restore(&self, content: &mut Configuration) {
        match self {
            Self::Vnic(slot, before) => {
                content.virtual_nics.retain(|nic| nic.slot != *slot);
                content.virtual_nics.extend(before.clone());
                content.virtual_nics.sort_by_key(|nic| nic.slot);
            }
            Self::Ethernet(before) => {
                let present = content.ethernet_adapters.iter_mut().find(|one| one.slot == before.slot);
                if let Some(present) = present {
                    present.clone_from(before);
                }
            }
        }
    }
}

/// A change of several guests' adapters that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// What every changed configuration goes back to when the change fails.
    pub before: Vec<(PartitionId, Before)>,
    /// Adapters that are still to be taken, the next one first.
    pub waiting: Vec<Place>,
    /// Adapters that were taken.
    pub taken: Vec<Place>,
    /// Adapters that guests are told of when all is done.
    pub told: Vec<Place>,
    /// Adapters that guests are told to give up when all is done.
    pub gone: Vec<Place>,
}

impl Course {
    /// What guests are told when all is done. Nobody waits for their answers.
    fn afterwards(&self) -> Vec<Effect> {
        let told = self.told.iter().map(|(partition, address)| put(*partition, *address));
        told.chain(self.gone.iter().map(|(partition, address)| withdraw(*partition, *address))).collect()
    }
}

pub(super) fn put(partition: PartitionUuid, address: AdapterAddress) -> Effect {
    Effect::PutAdapter { partition, address, token: 0 }
}

pub(super) fn withdraw(partition: PartitionUuid, address: AdapterAddress) -> Effect {
    Effect::WithdrawAdapter { partition, address }
}

/// Begins: `changes` are recorded; where nobody has to be asked, that is all.
pub(super) fn begin(
    world: &World,
    mut changes: Vec<Change>,
    mut course: Course,
    plan: AdapterPlan,
) -> Result<Decision, Refusal> {
    if course.waiting.is_empty() {
        return Ok(Decision { changes, effects: course.afterwards(), ..Decision::default() });
    }
    for (id, _) in &course.before {
        let entry = world.snapshot.find(&Selector::Id(*id))?;
        changes.push(locked(entry, Some(plan.lock.clone())));
    }
    let (partition, address) = course.waiting.remove(0);
    let plan = AdapterPlan { partition, address, course: Some(Box::new(course)), ..plan };
    Ok(Decision {
        changes,
        effects: vec![request_of(&plan)],
        answer: Answer::WhenAdapterChanged(Box::new(plan)),
    })
}

/// Entries of the partitions whose configurations the course changed and that are still there.
fn changed<'a>(
    world: &'a World,
    course: &'a Course,
) -> impl Iterator<Item = (&'a PartitionEntry, &'a Before)> {
    let find = |(id, before): &'a (PartitionId, Before)| Some((world.snapshot.partitions.get(id.0)?, before));
    course.before.iter().filter_map(find)
}

/// Goes on with the answer of the guest that was asked.
pub(super) fn finish(
    world: &World,
    plan: &AdapterPlan,
    course: &Course,
    answer: Result<(), Vec<String>>,
    token: u64,
) -> AdapterEnd {
    let mut course = course.clone();
    course.taken.push((plan.partition, plan.address));
    let unlock = || changed(world, &course).map(|(entry, _)| locked(entry, None));
    let details = match answer {
        Ok(()) if plan.step == AdapterStep::Add => None,
        Ok(()) => Some(Vec::new()),
        Err(details) => Some(details),
    };
    let Some(details) = details else {
        if course.waiting.is_empty() {
            let decision =
                Decision { changes: unlock().collect(), effects: course.afterwards(), ..Decision::default() };
            return AdapterEnd { decision, refusal: None, otherwise: Decision::default() };
        }
        let (partition, address) = course.waiting.remove(0);
        let next = AdapterPlan { token, partition, address, course: Some(Box::new(course)), ..plan.clone() };
        let effects = vec![request_of(&next)];
        let decision =
            Decision { effects, answer: Answer::WhenAdapterChanged(Box::new(next)), ..Decision::default() };
        return AdapterEnd { decision, refusal: None, otherwise: Decision::default() };
    };
    let refusal = world.by_uuid(plan.partition).map(|entry| refusal_of(entry, plan, details));
    let otherwise = Decision { changes: unlock().collect(), ..Decision::default() };
    let mut changes = Vec::new();
    let mut restored: BTreeMap<PartitionId, Configuration> = BTreeMap::new();
    for (entry, before) in changed(world, &course) {
        let present = || entry.partition.current.clone().unwrap_or_default();
        before.restore(restored.entry(entry.partition.id).or_insert_with(present));
    }
    for (id, content) in restored {
        if let Some(entry) = world.snapshot.partitions.get(id.0) {
            changes.push(Change::PutPartition(Box::new(with_adapters(entry, content))));
        }
    }
    changes.extend(unlock());
    let decision = Decision { changes, effects: backwards(world, &course), ..Decision::default() };
    AdapterEnd { decision, refusal, otherwise }
}

/// What undoes the course in guests: who took an adapter gives it up, or has it as it was.
fn backwards(world: &World, course: &Course) -> Vec<Effect> {
    let of_change = |partition: PartitionUuid, address: AdapterAddress| {
        changed(world, course)
            .find(|(entry, before)| entry.partition.uuid == partition && before.address() == address)
    };
    let mut effects = Vec::new();
    for (partition, address) in &course.taken {
        match of_change(*partition, *address) {
            Some((_, before)) if before.existed() => effects.push(put(*partition, *address)),
            _ => effects.push(withdraw(*partition, *address)),
        }
    }
    effects
}

/// What servers that are on are told when the backing devices of a configuration change without anybody waiting: at an
/// activation, when a profile is applied, when the partition goes.
pub(super) fn server_effects(
    world: &World,
    before: Option<&Configuration>,
    after: Option<&Configuration>,
) -> Vec<Effect> {
    let slots = |content: Option<&Configuration>| -> Vec<(PartitionId, VirtualSlot)> {
        content.into_iter().flat_map(varan_model::rules::sriov::server_slots).collect()
    };
    let (before, after) = (slots(before), slots(after));
    let gone = before.iter().filter(|place| !after.contains(place));
    let gone = gone.filter_map(|(server, slot)| server_place(world, *server, *slot));
    let gone = gone.map(|(partition, address)| withdraw(partition, address));
    let there = after.iter().filter_map(|(server, slot)| server_place(world, *server, *slot));
    gone.chain(there.map(|(partition, address)| put(partition, address))).collect()
}

/// The place of a server adapter, if its server is on.
pub(super) fn server_place(world: &World, server: PartitionId, slot: VirtualSlot) -> Option<Place> {
    let entry = world.snapshot.partitions.get(server.0)?;
    let off = entry.runtime.state.is_off() || entry.runtime.state == PartitionState::ShuttingDown;
    (!off).then_some((entry.partition.uuid, AdapterAddress::Virtual(slot)))
}
