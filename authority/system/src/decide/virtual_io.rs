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
use varan_model::ids::PartitionUuid;
use varan_model::lock::LockedFor;
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::edit::only_set;
use varan_model::rules::partition::check_name;
use varan_model::rules::profile::{EditContext, check_repeats};
use varan_model::rules::unique::UniqueName;
use varan_model::rules::virtual_io::{self, AdapterKind, VIRTUAL_SWITCHES_MAX};
use varan_model::rules::{PartitionLookup, addresses, validity};
use varan_model::system::SystemSettings;

use super::adapter::{self, AdapterPlan, AdapterStep, Doing, Way};
use super::definition::check_reachable;
use super::dynamic::current;
use super::{Decision, Effect, Moment};
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
    let way = adapter::way(entry, true, doing, request.force)?;
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
    };
    if request.operation == ListOperation::Remove && way == Way::Guest {
        return Ok(adapter::remove(entry, plan(AdapterStep::Remove(None))));
    }
    let mut settings = world.system().settings.clone();
    complete_addresses(world, partition, &mut content, &mut settings)?;
    let more = (settings != world.system().settings).then(|| Change::PutSettings(Box::new(settings)));
    let more: Vec<Change> = more.into_iter().collect();
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

/// Checks the addresses that are stated, and generates those that are not.
fn complete_addresses(
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
    match operation {
        ListOperation::Add => {
            if let Some(assignment) = record.first() {
                return Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name));
            }
            settings.virtual_switches.push(new_switch(world, name)?);
            if world.system().virtual_switches().count() >= VIRTUAL_SWITCHES_MAX {
                return Err(Refusal::new(MessageKey::VirtualSwitchesExhausted).with(VIRTUAL_SWITCHES_MAX));
            }
        }
        ListOperation::Remove => {
            check_removable(world, name)?;
            settings.virtual_switches.retain(|present| present != name);
        }
        ListOperation::Set => {
            check_removable(world, name)?;
            let new_name = new_name(record)?;
            if new_name == name {
                return Ok(Decision::default());
            }
            let new_name = new_switch(world, new_name)?;
            settings.virtual_switches.iter_mut().filter(|one| *one == name).for_each(|one| {
                one.clone_from(&new_name);
            });
        }
    }
    Ok(Decision::change(Change::PutSettings(Box::new(settings))))
}

fn new_name(record: &[Assignment]) -> Result<&str, Refusal> {
    if let Some(other) = record.iter().find(|one| one.name != "new_name") {
        return Err(Refusal::new(MessageKey::AttributeInvalid).with(&other.name));
    }
    let missing = || Refusal::new(MessageKey::AttributesMissing).with("new_name");
    let assignment = record.first().ok_or_else(missing)?;
    only_set(assignment)?;
    Ok(&assignment.value)
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
