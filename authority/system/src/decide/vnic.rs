//! Virtual NICs: what is added, removed and changed, and which guests take part in it.
//!
//! A backing device is recorded with its client only; its server gets the server adapter from there. Servers are asked
//! first, so that a client never has a backing device that nobody serves; what a client gives up its servers lose after it.

use varan_contract::engine::AdapterAddress;
use varan_contract::system::{Selector, VnicChange};
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::ids::VirtualSlot;
use varan_model::lock::LockedFor;
use varan_model::partition::{PartitionEntry, PartitionState, RmcState};
use varan_model::refusal::Refusal;
use varan_model::rules::{sriov, virtual_io};
use varan_model::vnic::{BackingDevice, VirtualNic};

use super::adapter::{AdapterPlan, Way, with_adapters};
use super::course::{Before, Course, Place, begin, put, server_place};
use super::definition::check_reachable;
use super::dynamic::current;
use super::{Decision, Effect, Moment};
use crate::world::{Change, World};

/// The virtual NIC in a slot of a configuration.
pub(super) fn find(content: &Configuration, slot: VirtualSlot) -> Option<&VirtualNic> {
    content.virtual_nics.iter().find(|nic| nic.slot == slot)
}

/// Refuses a second change of a partition that is on its way, whatever state the partition is in.
pub(super) fn check_unlocked(entry: &PartitionEntry) -> Result<(), Refusal> {
    match entry.runtime.lock {
        Some(_) => {
            Err(Refusal::new(MessageKey::Locked).with(format_args!("partition {}", entry.partition.name)))
        }
        None => Ok(()),
    }
}

/// Servers of devices that are to be made must be running with RMC.
fn check_servers<'a>(world: &World, devices: impl Iterator<Item = &'a BackingDevice>) -> Result<(), Refusal> {
    for server in devices.filter_map(|device| device.server) {
        let entry = world.snapshot.find(&Selector::Id(server))?;
        let runtime = &entry.runtime;
        if runtime.state != PartitionState::Running || runtime.rmc != RmcState::Active {
            return Err(Refusal::new(MessageKey::VnicServerUnavailable).with(&entry.partition.name));
        }
    }
    Ok(())
}

/// The places of backing devices at servers that are on.
fn places<'a>(world: &World, devices: impl Iterator<Item = &'a BackingDevice>) -> Vec<Place> {
    devices.filter_map(|device| server_place(world, device.server?, device.server_slot?)).collect()
}

/// Records a configuration in which the virtual NIC of a slot was added or changed, and has servers and client take part.
/// `content` is complete.
pub(super) fn put_vnic(
    world: &World,
    entry: &PartitionEntry,
    content: Configuration,
    slot: VirtualSlot,
    (way, plan, more): (Way, AdapterPlan, Vec<Change>),
) -> Result<Decision, Refusal> {
    check_unlocked(entry)?;
    let before = current(entry)?;
    let earlier = find(before, slot).cloned();
    let Some(nic) = find(&content, slot) else { return Ok(Decision::default()) };
    let devices = |nic: Option<&VirtualNic>| nic.map(|nic| nic.backing_devices.clone()).unwrap_or_default();
    let (old, new) = (devices(earlier.as_ref()), nic.backing_devices.clone());
    let in_list = |list: &[BackingDevice], one: &BackingDevice| {
        list.iter().any(|other| (other.server, other.server_slot) == (one.server, one.server_slot))
    };
    check_servers(world, new.iter().filter(|device| !in_list(&old, device)))?;
    let own = (entry.partition.uuid, AdapterAddress::Virtual(slot));
    let mut course = Course {
        before: vec![(entry.partition.id, Before::Vnic(slot, earlier.clone()))],
        waiting: places(world, new.iter().filter(|device| !in_list(&old, device))),
        gone: places(world, old.iter().filter(|device| !in_list(&new, device))),
        told: places(world, new.iter().filter(|device| in_list(&old, device))),
        ..Course::default()
    };
    match (&earlier, way) {
        (None, Way::Guest) => course.waiting.push(own),
        // The hypervisor's part of the adapter changed; the guest is told but has no say.
        (Some(_), _) if !entry.runtime.state.is_off() => course.told.insert(0, own),
        _ => {}
    }
    let mut changes = vec![Change::PutPartition(Box::new(with_adapters(entry, content)))];
    changes.extend(more);
    begin(world, changes, course, plan)
}

/// `chhwres -r virtualio --rsubtype vnic -o e|d`, `--rsubtype vnicbkdev -o s|act`: nothing that an operating system has a
/// say in.
pub(super) fn change(
    world: &World,
    selector: &Selector,
    slot: VirtualSlot,
    change: &VnicChange,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    check_reachable(world)?;
    check_unlocked(entry)?;
    let name = &entry.partition.name;
    let mut content = current(entry)?.clone();
    let mut then = Vec::new();
    match change {
        VnicChange::Enable(enabled) => {
            virtual_io::vnic_mut(&mut content, name, slot)?.disabled = !enabled;
        }
        VnicChange::SetBackingDevice { port, record } => {
            virtual_io::set_backing_device(&mut content, name, (slot, *port), record)?;
        }
        VnicChange::Activate { port, keep_automatic } => {
            let nic = virtual_io::vnic_mut(&mut content, name, slot)?;
            if nic.backing_device(*port).is_none() {
                return Err(Refusal::new(MessageKey::VnicBackingDeviceNotFound).with(slot).with(port));
            }
            if entry.runtime.state.is_off() {
                return Err(Refusal::new(MessageKey::StateNotAllowed));
            }
            if nic.auto_priority_failover && !keep_automatic {
                nic.auto_priority_failover = false;
            }
            nic.preferred = Some(*port);
            then.push(Effect::ActivateBackingDevice { partition: entry.partition.uuid, slot, port: *port });
        }
    }
    let Some(nic) = find(&content, slot) else { return Ok(Decision::default()) };
    let mut effects: Vec<Effect> = Vec::new();
    if !entry.runtime.state.is_off() {
        effects.push(put(entry.partition.uuid, AdapterAddress::Virtual(slot)));
    }
    effects.extend(places(world, nic.backing_devices.iter()).into_iter().map(|(one, at)| put(one, at)));
    effects.extend(then);
    let changes = vec![Change::PutPartition(Box::new(with_adapters(entry, content)))];
    Ok(Decision { changes, effects, ..Decision::default() })
}

/// What servers lose with a virtual NIC.
pub(super) fn withdrawals(world: &World, content: &Configuration, slot: VirtualSlot) -> Vec<Effect> {
    let devices = find(content, slot).into_iter().flat_map(|nic| &nic.backing_devices);
    places(world, devices).into_iter().map(|(one, at)| super::course::withdraw(one, at)).collect()
}

/// `chhwres -r virtualio --rsubtype vnic -o s`.
pub(super) fn set(
    world: &World,
    entry: &PartitionEntry,
    (slot, content): (VirtualSlot, Configuration),
    (force, wait_minutes): (bool, u32),
    moment: Moment,
) -> Result<Decision, Refusal> {
    let mut content = content;
    sriov::check(&content, world.system())?;
    sriov::complete(&mut content, Some(current(entry)?), world.system(), world)?;
    let devices = |content| find(content, slot).map(|nic| &nic.backing_devices);
    let same = devices(current(entry)?) == devices(&content);
    // What the hypervisor does alone needs no operating system.
    let way = if same {
        Way::Off
    } else {
        super::adapter::way(entry, true, super::adapter::Doing::Setting, force)?
    };
    let plan = AdapterPlan::new(
        moment,
        entry,
        AdapterAddress::Virtual(slot),
        wait_minutes,
        LockedFor::VirtualAdapter,
    );
    put_vnic(world, entry, content, slot, (way, plan, Vec::new()))
}
