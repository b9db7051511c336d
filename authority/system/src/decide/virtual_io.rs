//! Virtual adapters of partitions and the virtual switches of the system.
//!
//! ```text
//! off:      record the new current configuration, done; profiles stay as they are
//! running:  through the guest, see `adapter`; without RMC refused, or past the guest with --force
//! ```

use varan_contract::engine::AdapterAddress;
use varan_contract::system::{AdapterRequest, ListOperation};
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::ids::{PartitionId, PartitionUuid, VirtualSlot};
use varan_model::lock::LockedFor;
use varan_model::partition::PartitionEntry;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::edit::{only_set, value_invalid};
use varan_model::rules::partition::check_name;
use varan_model::rules::profile::{EditContext, check_repeats};
use varan_model::rules::unique::UniqueName;
use varan_model::rules::virtual_io::{self, AdapterKind, VIRTUAL_SWITCHES_MAX};
use varan_model::rules::{PartitionLookup, addresses, sriov, validity};
use varan_model::system::{SwitchMode, SystemSettings};

use super::adapter::{self, AdapterPlan, AdapterStep, Doing, Way};
use super::definition::check_reachable;
use super::dynamic::current;
use super::{Decision, Effect, Moment, vnic};
use crate::world::{Change, World};

pub(super) fn change_adapter(
    world: &World,
    request: &AdapterRequest,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(&request.partition)?;
    check_reachable(world)?;
    let doing = match request.operation {
        ListOperation::Add => Doing::Adding,
        ListOperation::Remove => Doing::Removing,
        ListOperation::Set => Doing::Setting,
    };
    let alone = request.operation == ListOperation::Set && request.kind == Some(AdapterKind::Vnic);
    let way = if alone { Way::Off } else { adapter::way(entry, true, doing, request.force)? };
    let mut content = current(entry)?.clone();
    let context = EditContext { system: world.system(), lookup: world };
    let name = &entry.partition.name;
    let missing = |option: &str| Refusal::new(MessageKey::ParameterInvalid).with(option);
    let (kind, record) = (request.kind, request.record.as_slice());
    let slot = match (request.operation, request.slot) {
        (ListOperation::Add, slot) => {
            let slot = slot.or_else(|| virtual_io::next_free_slot(&content));
            let kind = kind.ok_or_else(|| missing("--rsubtype"))?;
            virtual_io::add(&mut content, kind, slot, record, &context)?;
            slot.ok_or_else(|| missing("-s"))?
        }
        (_, None) => return Err(missing("-s")),
        (ListOperation::Remove, Some(slot)) => {
            virtual_io::remove(&mut content, name, kind, slot)?;
            slot
        }
        (ListOperation::Set, Some(slot)) if kind == Some(AdapterKind::Ethernet) => {
            virtual_io::set_ethernet(&mut content, name, slot, record, &context)?;
            slot
        }
        (ListOperation::Set, Some(slot)) if kind == Some(AdapterKind::Vnic) => {
            virtual_io::set_vnic(&mut content, name, slot, record, &context)?;
            return vnic::set(world, entry, (slot, content), (request.force, request.wait_minutes), moment);
        }
        (ListOperation::Set, Some(_)) => return Err(missing("--rsubtype")),
    };
    validity::check(&content, world.system())?;
    let partition = entry.partition.uuid;
    let address = AdapterAddress::Virtual(slot);
    let plan = |step| AdapterPlan {
        token: moment.token,
        partition,
        address,
        step,
        wait_minutes: request.wait_minutes,
        lock: moment.lock(LockedFor::VirtualAdapter),
        course: None,
    };
    if request.operation == ListOperation::Remove && way == Way::Guest {
        return Ok(adapter::remove(entry, plan(AdapterStep::Remove(None))));
    }
    if request.operation == ListOperation::Remove {
        let effects = vnic::withdrawals(world, current(entry)?, slot);
        let changes = vec![Change::PutPartition(Box::new(adapter::with_adapters(entry, content)))];
        return Ok(Decision { changes, effects, ..Decision::default() });
    }
    sriov::check_environment(&content, entry.partition.environment)?;
    sriov::complete(&mut content, Some(current(entry)?), world.system(), world)?;
    check_trunks(world, entry, &content, slot)?;
    let mut settings = world.system().settings.clone();
    complete_addresses(world, partition, &mut content, &mut settings)?;
    let more = (settings != world.system().settings).then(|| Change::PutSettings(Box::new(settings)));
    let more: Vec<Change> = more.into_iter().collect();
    if kind == Some(AdapterKind::Vnic) {
        return vnic::put_vnic(world, entry, content, slot, (way, plan(AdapterStep::Add), more));
    }
    if request.operation == ListOperation::Add {
        return Ok(adapter::add(entry, content, way, plan(AdapterStep::Add), more));
    }
    let mut changes = vec![Change::PutPartition(Box::new(adapter::with_adapters(entry, content)))];
    changes.extend(more);
    // The hypervisor's part of the adapter changed; the guest is told but has no say.
    let told = Effect::PutAdapter { partition, address, token: moment.token };
    let effects = if way == Way::Guest { vec![told] } else { Vec::new() };
    Ok(Decision { changes, effects, ..Decision::default() })
}

/// Trunk adapters of one VLAN of a virtual switch must have different priorities: by them the hypervisor knows which one is
/// in use.
pub(super) fn check_trunks(
    world: &World,
    entry: &PartitionEntry,
    content: &Configuration,
    slot: VirtualSlot,
) -> Result<(), Refusal> {
    let adapter = content.ethernet_adapters.iter().find(|adapter| adapter.slot == slot);
    let Some((adapter, priority)) = adapter.and_then(|one| Some((one, one.trunk_priority?))) else {
        return Ok(());
    };
    for vlan in std::iter::once(&adapter.port_vlan_id).chain(&adapter.additional_vlan_ids) {
        let same = |(partition, other, used): &(PartitionId, VirtualSlot, u8)| {
            *used == priority && (*partition, *other) != (entry.partition.id, slot)
        };
        let Some((partition, other, _)) = world.trunk_adapters(&adapter.virtual_switch, *vlan).find(same)
        else {
            continue;
        };
        let refusal = Refusal::new(MessageKey::TrunkPriorityUsed).with(priority).with(vlan);
        let name = world.name_of(partition).unwrap_or_default();
        return Err(refusal.with(&adapter.virtual_switch).with(name).with(other));
    }
    Ok(())
}

/// Checks the addresses that are stated, and generates those that are not.
pub(super) fn complete_addresses(
    world: &World,
    owner: PartitionUuid,
    content: &mut Configuration,
    settings: &mut SystemSettings,
) -> Result<(), Refusal> {
    validity::check_addresses(content, owner, world)?;
    let identity = &world.system().hardware.identity;
    let addresses: Vec<_> = validity::mac_addresses(content).collect();
    let reserved = &world.system().settings.reserved_names;
    let taken = |address| {
        world.mac_address_holder(address).is_some()
            || addresses.contains(&address)
            || reserved.contains(&UniqueName::MacAddress(address))
    };
    addresses::generate_mac_addresses(content, None, identity, settings, &taken);
    let names: Vec<_> = validity::port_names(content).collect();
    let taken = |name| {
        world.port_name_holder(name).is_some()
            || names.contains(&name)
            || reserved.contains(&UniqueName::PortName(name))
    };
    addresses::generate_port_names(content, identity, settings, &taken);
    Ok(())
}

pub(super) fn change_switch(
    world: &World,
    name: &str,
    operation: ListOperation,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    check_reachable(world)?;
    check_repeats(record)?;
    let mut settings = world.system().settings.clone();
    let mut effects = Vec::new();
    let put = |name: &str, mode| Effect::SetUpSwitch(name.to_owned(), Some(mode));
    match operation {
        ListOperation::Add => {
            let (new_name, mode) = switch_attributes(record)?;
            if new_name.is_some() {
                return Err(Refusal::new(MessageKey::AttributeInvalid).with("new_name"));
            }
            settings.virtual_switches.push(new_switch(world, name)?);
            let mode = mode.unwrap_or(SwitchMode::Veb);
            settings.switch_modes.insert(name.to_owned(), mode);
            effects.push(put(name, mode));
            if world.system().virtual_switches().count() >= VIRTUAL_SWITCHES_MAX {
                return Err(Refusal::new(MessageKey::VirtualSwitchesExhausted).with(VIRTUAL_SWITCHES_MAX));
            }
        }
        ListOperation::Remove => {
            check_removable(world, name)?;
            settings.virtual_switches.retain(|present| present != name);
            settings.switch_modes.remove(name);
            effects.push(Effect::SetUpSwitch(name.to_owned(), None));
        }
        ListOperation::Set => {
            let (new_name, mode) = switch_attributes(record)?;
            if new_name.is_none() && mode.is_none() {
                return Err(Refusal::new(MessageKey::AttributesMissing).with("new_name"));
            }
            if !world.system().has_virtual_switch(name) {
                return Err(Refusal::new(MessageKey::VirtualSwitchNotFound).with(name));
            }
            let mode = mode.unwrap_or_else(|| world.system().switch_mode(name));
            let mut kept = name.to_owned();
            if let Some(new_name) = new_name.filter(|new_name| *new_name != name) {
                check_removable(world, name)?;
                kept = new_switch(world, new_name)?;
                settings.virtual_switches.iter_mut().filter(|one| *one == name).for_each(|one| {
                    one.clone_from(&kept);
                });
                settings.switch_modes.remove(name);
                effects.push(Effect::SetUpSwitch(name.to_owned(), None));
            }
            effects.push(put(&kept, mode));
            settings.switch_modes.insert(kept, mode);
        }
    }
    let changes = super::definition::settings_change(world, settings).into_iter().collect();
    Ok(Decision { changes, effects, ..Decision::default() })
}

/// A new name and a mode, as far as the record states them.
fn switch_attributes(record: &[Assignment]) -> Result<(Option<&str>, Option<SwitchMode>), Refusal> {
    let (mut name, mut mode) = (None, None);
    for assignment in record {
        only_set(assignment)?;
        match (assignment.name.as_str(), assignment.value.as_str()) {
            ("new_name", value) => name = Some(value),
            ("mode", "VEB" | "veb") => mode = Some(SwitchMode::Veb),
            ("mode", "VEPA" | "vepa") => mode = Some(SwitchMode::Vepa),
            ("mode", _) => return Err(value_invalid(assignment, "it is VEB or VEPA")),
            (other, _) => return Err(Refusal::new(MessageKey::AttributeInvalid).with(other)),
        }
    }
    Ok((name, mode))
}

/// A name for a new switch. Elements of profiles separate their parts by `/` and themselves by commas.
fn new_switch(world: &World, name: &str) -> Result<String, Refusal> {
    check_name(name)?;
    if name.contains(['/', ',']) {
        return Err(Refusal::new(MessageKey::NameInvalid).with(name).with("it has a slash or a comma"));
    }
    if world.system().has_virtual_switch(name) {
        return Err(Refusal::new(MessageKey::VirtualSwitchUsed).with(name));
    }
    Ok(name.to_owned())
}

/// A switch that was added, and that no definition names.
fn check_removable(world: &World, name: &str) -> Result<(), Refusal> {
    let system = world.system();
    if system.hardware.virtual_switches.iter().any(|present| present == name) {
        return Err(Refusal::new(MessageKey::VirtualSwitchFixed).with(name));
    }
    if !system.has_virtual_switch(name) {
        return Err(Refusal::new(MessageKey::VirtualSwitchNotFound).with(name));
    }
    for (_, entry) in world.snapshot.partitions.iter() {
        let profiles = entry.partition.profiles.iter().map(|profile| &profile.configuration);
        let adapters =
            profiles.chain(&entry.partition.current).flat_map(|content| &content.ethernet_adapters);
        if adapters.into_iter().any(|adapter| adapter.virtual_switch == name) {
            let refusal = Refusal::new(MessageKey::VirtualSwitchInUse).with(name);
            return Err(refusal.with(&entry.partition.name));
        }
    }
    Ok(())
}
