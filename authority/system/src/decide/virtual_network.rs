//! A VLAN for a load group: on the trunk adapters of that port VLAN at all Virtual I/O Servers of a virtual switch, or at
//! none. The console's command that changes one adapter leaves the second server to be forgotten.

use std::collections::BTreeMap;

use varan_contract::engine::AdapterAddress;
use varan_contract::system::{ListOperation, Selector};
use varan_model::adapters::{ADDITIONAL_VLANS_MAX, VirtualEthernetAdapter};
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::ids::{PartitionId, VirtualSlot};
use varan_model::lock::LockedFor;
use varan_model::partition::PartitionEntry;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::PartitionLookup;
use varan_model::rules::edit::{number, only_set, value_invalid};
use varan_model::rules::profile::check_repeats;

use super::adapter::{AdapterPlan, Doing, Way, way, with_adapters};
use super::course::{Before, Course, begin};
use super::definition::check_reachable;
use super::dynamic::current;
use super::virtual_io::check_trunks;
use super::vnic::check_unlocked;
use super::{Decision, Moment};
use crate::world::{Change, World};

/// What is asked for.
struct Wish<'a> {
    switch: &'a str,
    vlan: u16,
    group: u16,
    adds: bool,
}

fn vlan(assignment: &Assignment) -> Result<u16, Refusal> {
    only_set(assignment)?;
    match number::<u16>(assignment)? {
        vlan @ 1..=4094 => Ok(vlan),
        _ => Err(value_invalid(assignment, "VLAN IDs are from 1 to 4094")),
    }
}

impl<'a> Wish<'a> {
    /// Reads the name, `VLAN3331-ETHERNET0`, and what the record says besides.
    fn read(name: &'a str, record: &[Assignment], adds: bool) -> Result<Self, Refusal> {
        check_repeats(record)?;
        let wrong = || {
            let reason = "a virtual network is named VLANn-switch";
            Refusal::new(MessageKey::NameInvalid).with(name).with(reason)
        };
        let (number, switch) =
            name.strip_prefix("VLAN").and_then(|rest| rest.split_once('-')).ok_or_else(wrong)?;
        let of_name = vlan(&Assignment::set("vlan_id", number)).map_err(|_| wrong())?;
        let mut group = None;
        for assignment in record {
            match assignment.name.as_str() {
                "load_group" => group = Some(vlan(assignment)?),
                "vlan_id" if vlan(assignment)? == of_name => {}
                "vswitch" if assignment.value == switch => only_set(assignment)?,
                "vlan_id" | "vswitch" => {
                    return Err(value_invalid(assignment, format_args!("the virtual network is {name}")));
                }
                other => return Err(Refusal::new(MessageKey::AttributeInvalid).with(other)),
            }
        }
        let group = group.ok_or_else(|| Refusal::new(MessageKey::AttributesMissing).with("load_group"))?;
        Ok(Self { switch, vlan: of_name, group, adds })
    }

    fn matches(&self, adapter: &VirtualEthernetAdapter) -> bool {
        adapter.trunk_priority.is_some()
            && adapter.port_vlan_id == self.group
            && adapter.virtual_switch == self.switch
    }

    /// Changes one adapter; false where there is nothing to change.
    fn apply(&self, adapter: &mut VirtualEthernetAdapter) -> Result<bool, String> {
        let vlans = &mut adapter.additional_vlan_ids;
        let present = vlans.iter().position(|one| *one == self.vlan);
        match (self.adds, present) {
            (true, Some(_)) | (false, None) => return Ok(false),
            (false, Some(at)) => {
                vlans.remove(at);
                return Ok(true);
            }
            (true, None) => {}
        }
        if self.vlan == adapter.port_vlan_id {
            return Err("it is the adapter's port VLAN".to_owned());
        }
        if vlans.len() >= ADDITIONAL_VLANS_MAX {
            return Err(format!("it has {ADDITIONAL_VLANS_MAX} additional VLAN IDs already"));
        }
        if !adapter.ieee {
            return Err("it is not IEEE 802.1Q compatible".to_owned());
        }
        vlans.push(self.vlan);
        Ok(true)
    }
}

pub(super) fn change(
    world: &World,
    name: &str,
    operation: ListOperation,
    record: &[Assignment],
    wait_minutes: u32,
    moment: Moment,
) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    let wish = Wish::read(name, record, operation == ListOperation::Add)?;
    if !world.system().has_virtual_switch(wish.switch) {
        return Err(Refusal::new(MessageKey::VirtualSwitchNotFound).with(wish.switch));
    }
    let mut members: BTreeMap<PartitionId, Vec<VirtualSlot>> = BTreeMap::new();
    for (partition, slot, _) in world.trunk_adapters(wish.switch, wish.group) {
        members.entry(partition).or_default().push(slot);
    }
    let mut course = Course::default();
    let mut changes = Vec::new();
    let mut plan = None;
    let mut found = false;
    for (id, slots) in members {
        let entry = world.snapshot.find(&Selector::Id(id))?;
        let mut content = current(entry)?.clone();
        let own = Member { world, entry, wish: &wish };
        let so_far = course.before.len();
        for slot in slots {
            let Some(before) = own.change(&mut content, slot, &mut found)? else { continue };
            let way = own.way(slot)?;
            let address = AdapterAddress::Virtual(slot);
            plan.get_or_insert_with(|| {
                AdapterPlan::new(moment, entry, address, wait_minutes, LockedFor::VirtualAdapter)
            });
            course.before.push((id, Before::Ethernet(before)));
            if way == Way::Guest {
                course.waiting.push((entry.partition.uuid, address));
            }
        }
        if course.before.len() > so_far {
            changes.push(Change::PutPartition(Box::new(with_adapters(entry, content))));
        }
    }
    if !found {
        return Err(Refusal::new(MessageKey::LoadGroupNotFound).with(wish.group).with(wish.switch));
    }
    match plan {
        Some(plan) => begin(world, changes, course, plan),
        // Every adapter has it already, or none has it.
        None => {
            let key = if wish.adds { MessageKey::ElementPresent } else { MessageKey::ElementAbsent };
            Err(Refusal::new(key).with("addl_vlan_ids").with(wish.vlan))
        }
    }
}

/// A server with adapters of the group.
struct Member<'a> {
    world: &'a World,
    entry: &'a PartitionEntry,
    wish: &'a Wish<'a>,
}

impl Member<'_> {
    fn refused(&self, slot: VirtualSlot, reason: impl std::fmt::Display) -> Refusal {
        Refusal::new(MessageKey::LoadGroupRefused).with(&self.entry.partition.name).with(slot).with(reason)
    }

    /// Changes the adapter of a slot; returns what it was before, `None` where it stays as it is.
    fn change(
        &self,
        content: &mut Configuration,
        slot: VirtualSlot,
        found: &mut bool,
    ) -> Result<Option<VirtualEthernetAdapter>, Refusal> {
        let adapter = content.ethernet_adapters.iter_mut().find(|one| one.slot == slot);
        let Some(adapter) = adapter.filter(|adapter| self.wish.matches(adapter)) else { return Ok(None) };
        *found = true;
        let before = adapter.clone();
        if !self.wish.apply(adapter).map_err(|reason| self.refused(slot, reason))? {
            return Ok(None);
        }
        check_trunks(self.world, self.entry, content, slot).map_err(|refusal| self.refused(slot, refusal))?;
        debug_assert!(self.world.name_of(self.entry.partition.id).is_some());
        Ok(Some(before))
    }

    fn way(&self, slot: VirtualSlot) -> Result<Way, Refusal> {
        let refused = |refusal: Refusal| self.refused(slot, refusal);
        check_unlocked(self.entry).map_err(refused)?;
        way(self.entry, true, Doing::Setting, false).map_err(refused)
    }
}
