//! Whether a profile is consistent in itself and with the machine. What is installed does not matter here: the console
//! accepts profiles beyond that, and refuses at activation.

use super::PartitionLookup;
use crate::adapters::Element;
use crate::codes::MessageKey;
use crate::configuration::{Configuration, ProcessorMode};
use crate::ids::{MacAddress, PartitionUuid, WorldWidePortName};
use crate::refusal::Refusal;
use crate::system::ManagedSystem;
use crate::units::ProcessingUnits;

/// Checks a profile.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(content: &Configuration, system: &ManagedSystem) -> Result<(), Refusal> {
    if !content.all_resources {
        check_memory(content, system)?;
        check_processors(content, system)?;
    }
    super::sriov::check(content, system)?;
    check_slots(content)
}

fn in_order<T: PartialOrd + std::fmt::Display>(
    names: &str,
    minimum: T,
    desired: T,
    maximum: T,
) -> Result<(), Refusal> {
    if minimum <= desired && desired <= maximum {
        return Ok(());
    }
    Err(Refusal::new(MessageKey::RangeOrder).with(names).with(minimum).with(desired).with(maximum))
}

fn check_memory(content: &Configuration, system: &ManagedSystem) -> Result<(), Refusal> {
    let block = system.hardware.memory_region_size;
    in_order(
        "min_mem, desired_mem, max_mem",
        content.minimum_memory,
        content.desired_memory,
        content.maximum_memory,
    )?;
    for quantity in [content.minimum_memory, content.desired_memory, content.maximum_memory] {
        if quantity < block {
            return Err(Refusal::new(MessageKey::MemoryTooSmall).with(quantity).with(block));
        }
        if !quantity.is_multiple_of(block) {
            return Err(Refusal::new(MessageKey::MemoryNotMultiple).with(quantity).with(block));
        }
    }
    let huge = (content.minimum_huge_pages, content.desired_huge_pages, content.maximum_huge_pages);
    in_order("min_num_huge_pages, desired_num_huge_pages, max_num_huge_pages", huge.0, huge.1, huge.2)?;
    Ok(())
}

fn check_processors(content: &Configuration, system: &ManagedSystem) -> Result<(), Refusal> {
    let (least, wished, most) =
        (content.minimum_processors, content.desired_processors, content.maximum_processors);
    in_order("min_procs, desired_procs, max_procs", least, wished, most)?;
    if least == 0 {
        return Err(Refusal::new(MessageKey::AttributeValueInvalid)
            .with("min_procs")
            .with(0)
            .with("it is at least 1"));
    }
    if !content.sharing_mode.belongs_to(content.processor_mode) {
        let (sharing, mode) = (content.sharing_mode.word(), content.processor_mode.word());
        return Err(Refusal::new(MessageKey::SharingModeMismatch).with(sharing).with(mode));
    }
    if content.processor_mode == ProcessorMode::Dedicated {
        return Ok(());
    }
    let units = (content.minimum_units, content.desired_units, content.maximum_units);
    in_order("min_proc_units, desired_proc_units, max_proc_units", units.0, units.1, units.2)?;
    for (units, processors) in [(units.0, least), (units.1, wished), (units.2, most)] {
        check_units(units, processors, system.hardware.minimum_units_per_processor)?;
    }
    Ok(())
}

/// Checks that so many virtual processors can have so many units: at most one unit each, at least the machine's minimum.
///
/// # Errors
/// [`MessageKey::UnitsTooFew`], [`MessageKey::UnitsTooMany`].
pub fn check_units(units: ProcessingUnits, processors: u32, least: ProcessingUnits) -> Result<(), Refusal> {
    if units.0 < processors.saturating_mul(least.0) {
        return Err(Refusal::new(MessageKey::UnitsTooFew).with(units).with(processors).with(least));
    }
    if units.processors() > processors {
        return Err(Refusal::new(MessageKey::UnitsTooMany)
            .with(units)
            .with(units.processors())
            .with(processors));
    }
    Ok(())
}

fn check_slots(content: &Configuration) -> Result<(), Refusal> {
    let slots = content.virtual_slots();
    for pair in slots.windows(2) {
        if pair[0].0 == pair[1].0 {
            return Err(Refusal::new(MessageKey::VirtualSlotUsed).with(pair[0].0));
        }
    }
    match slots.last() {
        Some((slot, _)) if slot.0 >= content.maximum_virtual_slots => {
            Err(Refusal::new(MessageKey::VirtualSlotTooHigh).with(slot).with(content.maximum_virtual_slots))
        }
        _ => {
            let drc_indexes: Vec<u32> = content.physical_slots.iter().map(|slot| slot.drc_index).collect();
            let repeated =
                drc_indexes.iter().enumerate().find(|(index, drc)| drc_indexes[..*index].contains(drc));
            match repeated {
                Some((_, drc)) => Err(Refusal::new(MessageKey::ElementPresent)
                    .with("io_slots")
                    .with(format_args!("{drc:08X}"))),
                None => Ok(()),
            }
        }
    }
}

/// Every MAC address that a configuration states.
pub fn mac_addresses(content: &Configuration) -> impl Iterator<Item = MacAddress> + '_ {
    let ethernet = content.ethernet_adapters.iter().filter_map(|adapter| adapter.mac_address);
    let logical_ports = content.logical_ports().filter_map(|port| port.mac_address);
    let virtual_nics = content.virtual_nics.iter().filter_map(|nic| nic.mac_address);
    ethernet.chain(logical_ports).chain(virtual_nics)
}

/// Every port name that a configuration states.
pub fn port_names(content: &Configuration) -> impl Iterator<Item = WorldWidePortName> + '_ {
    content
        .fibre_channel_adapters
        .iter()
        .filter_map(|adapter| adapter.port_names)
        .flat_map(|(one, two)| [one, two])
}

/// Checks that no other definition holds an address of this configuration, and that none is in it twice.
///
/// # Errors
/// [`MessageKey::MacAddressUsed`], [`MessageKey::PortNameUsed`].
pub fn check_addresses(
    content: &Configuration,
    owner: PartitionUuid,
    lookup: &dyn PartitionLookup,
) -> Result<(), Refusal> {
    let mut seen = Vec::new();
    for address in mac_addresses(content) {
        let held = lookup.mac_address_holder(address).is_some_and(|holder| holder != owner);
        if held || seen.contains(&address.0) {
            return Err(Refusal::new(MessageKey::MacAddressUsed).with(address));
        }
        seen.push(address.0);
    }
    seen.clear();
    for name in port_names(content) {
        let held = lookup.port_name_holder(name).is_some_and(|holder| holder != owner);
        if held || seen.contains(&name.0) {
            return Err(Refusal::new(MessageKey::PortNameUsed).with(name));
        }
        seen.push(name.0);
    }
    Ok(())
}

/// Whether the configuration has an adapter on that VLAN of that virtual switch, and in which slot.
#[must_use]
pub fn adapter_on(
    content: &Configuration,
    vlan: u16,
    virtual_switch: &str,
) -> Option<crate::ids::VirtualSlot> {
    let on = |adapter: &&crate::adapters::VirtualEthernetAdapter| {
        let carried = adapter.port_vlan_id == vlan || adapter.additional_vlan_ids.contains(&vlan);
        carried && adapter.virtual_switch == virtual_switch
    };
    content.ethernet_adapters.iter().find(on).and_then(Element::virtual_slot)
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{TwoServers, system};
    use super::*;
    use crate::rules::profile::{EditContext, apply_all};

    fn check_text(text: &str) -> Result<(), String> {
        let system = system();
        let context = EditContext { system: &system, lookup: &TwoServers };
        let mut content = Configuration::default();
        let base = "min_mem=256,desired_mem=512,max_mem=1024,proc_mode=shared,sharing_mode=cap,min_procs=1,desired_procs=2,max_procs=4,min_proc_units=0.1,desired_proc_units=0.5,max_proc_units=2.0";
        for record in [base, text] {
            let record = crate::record::parse_record(record).expect("record");
            apply_all(&mut content, &record, &context).map_err(|refusal| refusal.to_string())?;
        }
        check(&content, &system).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn consistent_profiles_pass() {
        for text in [
            "",
            "max_mem=10485760",
            "proc_mode=ded,sharing_mode=keep_idle_procs",
            "desired_proc_units=0.1,min_proc_units=0.05",
            "all_resources=1,min_mem=0",
        ] {
            check_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn inconsistent_profiles_are_refused_with_their_codes() {
        for (text, code) in [
            ("min_mem=768", "HSCL0554"),
            ("max_mem=1000", "HSCL0550"),
            ("min_mem=0", "HSCL0551"),
            ("min_procs=3", "HSCL0554"),
            ("desired_proc_units=0.09,min_proc_units=0.05", "HSCL0556"),
            ("desired_proc_units=2.5,max_proc_units=3.0", "HSCL0557"),
            ("sharing_mode=keep_idle_procs", "HSCL0558"),
            ("virtual_eth_adapters=10/0/1//0/0", "HSCL0560"),
            ("\"virtual_eth_adapters=2/0/1//0/0,2/0/2//0/0\"", "HSCL0561"),
            ("virtual_scsi_adapters=1/client/1//3/0", "HSCL0561"),
        ] {
            let error = check_text(text).expect_err(text);
            assert!(error.starts_with(code), "{text}: {error}");
        }
    }
}
