//! Setting the attributes of a profile.

use super::edit::{
    capital, edit_list, elements, flag, number, only_set, optional, quantity, small_quantity, value_invalid,
    word,
};
use super::{PartitionLookup, ibm_i, shared_memory, sriov};
use crate::adapters::{Element, Remote};
use crate::codes::MessageKey;
use crate::configuration::{BootMode, Configuration, ProcessorMode, SharingMode, console_serial_adapters};
use crate::ids::PartitionId;
use crate::record::{Assignment, Operation};
use crate::refusal::Refusal;
use crate::system::ManagedSystem;
use crate::units::ProcessingUnits;

/// What setters may look at.
pub struct EditContext<'a> {
    /// The managed system.
    pub system: &'a ManagedSystem,
    /// The other partitions.
    pub lookup: &'a dyn PartitionLookup,
}

type Setter = fn(&mut Configuration, &Assignment, &EditContext<'_>) -> Result<(), Refusal>;

/// Attributes of profiles that can be set, with how. A test compares the names with the attribute table.
pub static SETTERS: &[(&str, Setter)] = &[
    ("all_resources", |content, assignment, _| {
        content.all_resources = flag(assignment)?;
        Ok(())
    }),
    ("min_mem", |content, assignment, _| {
        content.minimum_memory = quantity(content.minimum_memory, assignment)?;
        Ok(())
    }),
    ("desired_mem", |content, assignment, _| {
        content.desired_memory = quantity(content.desired_memory, assignment)?;
        Ok(())
    }),
    ("max_mem", |content, assignment, _| {
        content.maximum_memory = quantity(content.maximum_memory, assignment)?;
        Ok(())
    }),
    ("min_num_huge_pages", |content, assignment, _| {
        content.minimum_huge_pages = small_quantity(content.minimum_huge_pages, assignment)?;
        Ok(())
    }),
    ("desired_num_huge_pages", |content, assignment, _| {
        content.desired_huge_pages = small_quantity(content.desired_huge_pages, assignment)?;
        Ok(())
    }),
    ("max_num_huge_pages", |content, assignment, _| {
        content.maximum_huge_pages = small_quantity(content.maximum_huge_pages, assignment)?;
        Ok(())
    }),
    ("mem_mode", shared_memory::set_mode),
    ("desired_io_entitled_mem", shared_memory::set_io_entitled),
    ("mem_weight", shared_memory::set_weight),
    ("primary_paging_vios_name", shared_memory::set_paging_server),
    ("primary_paging_vios_id", shared_memory::set_paging_server),
    ("secondary_paging_vios_name", shared_memory::set_paging_server),
    ("secondary_paging_vios_id", shared_memory::set_paging_server),
    ("mem_expansion", set_expansion),
    ("hpt_ratio", |content, assignment, _| {
        content.hpt_ratio = ratio(assignment, &[32, 64, 128, 256, 512])?;
        Ok(())
    }),
    ("ppt_ratio", |content, assignment, _| {
        content.ppt_ratio = ratio(assignment, &[64, 128, 256, 512, 1_024, 2_048, 4_096])?;
        Ok(())
    }),
    ("proc_mode", |content, assignment, _| {
        content.processor_mode = word(assignment, ProcessorMode::ALL, ProcessorMode::word)?;
        if !content.sharing_mode.belongs_to(content.processor_mode) {
            content.sharing_mode = match content.processor_mode {
                ProcessorMode::Dedicated => SharingMode::KeepIdle,
                ProcessorMode::Shared => SharingMode::Capped,
            };
        }
        Ok(())
    }),
    ("min_proc_units", |content, assignment, _| {
        content.minimum_units = units(content.minimum_units, assignment)?;
        Ok(())
    }),
    ("desired_proc_units", |content, assignment, _| {
        content.desired_units = units(content.desired_units, assignment)?;
        Ok(())
    }),
    ("max_proc_units", |content, assignment, _| {
        content.maximum_units = units(content.maximum_units, assignment)?;
        Ok(())
    }),
    ("min_procs", |content, assignment, _| {
        content.minimum_processors = small_quantity(content.minimum_processors, assignment)?;
        Ok(())
    }),
    ("desired_procs", |content, assignment, _| {
        content.desired_processors = small_quantity(content.desired_processors, assignment)?;
        Ok(())
    }),
    ("max_procs", |content, assignment, _| {
        content.maximum_processors = small_quantity(content.maximum_processors, assignment)?;
        Ok(())
    }),
    ("sharing_mode", |content, assignment, _| {
        content.sharing_mode = word(assignment, SharingMode::ALL, SharingMode::word)?;
        if content.sharing_mode == SharingMode::Capped {
            content.uncapped_weight = 0;
        }
        Ok(())
    }),
    ("uncap_weight", |content, assignment, _| {
        only_set(assignment)?;
        content.uncapped_weight = number(assignment)?;
        Ok(())
    }),
    ("shared_proc_pool_id", |content, assignment, context| {
        only_set(assignment)?;
        let id: u16 = number(assignment)?;
        let pool = context.system.processor_pool(id);
        content.processor_pool =
            pool.ok_or_else(|| value_invalid(assignment, "there is no such shared processor pool"))?.id;
        Ok(())
    }),
    ("shared_proc_pool_name", |content, assignment, context| {
        only_set(assignment)?;
        let pool = context.system.processor_pool_named(&assignment.value);
        content.processor_pool =
            pool.ok_or_else(|| value_invalid(assignment, "there is no such shared processor pool"))?.id;
        Ok(())
    }),
    ("affinity_group_id", |content, assignment, _| {
        content.affinity_group = affinity_group(assignment)?;
        Ok(())
    }),
    ("io_slots", |content, assignment, context| {
        edit_list(&mut content.physical_slots, assignment)?;
        let unknown =
            content.physical_slots.iter().find(|slot| context.system.hardware.slot(slot.drc_index).is_none());
        match unknown {
            Some(slot) if assignment.operation != Operation::Remove => {
                Err(Refusal::new(MessageKey::PhysicalSlotNotFound)
                    .with(format_args!("{:08X}", slot.drc_index)))
            }
            _ => Ok(()),
        }
    }),
    ("lpar_io_pool_ids", |content, assignment, _| {
        only_set(assignment)?;
        let parse = |text: String| {
            text.parse().map_err(|_| value_invalid(assignment, "I/O pool IDs are whole numbers"))
        };
        content.io_pools = elements(assignment)?.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(())
    }),
    ("load_source_slot", ibm_i::set_tag),
    ("alt_restart_device_slot", ibm_i::set_tag),
    ("console_slot", ibm_i::set_tag),
    ("alt_console_slot", ibm_i::set_tag),
    ("op_console_slot", ibm_i::set_tag),
    ("min_5250_cpw_percent", ibm_i::set_interactive),
    ("desired_5250_cpw_percent", ibm_i::set_interactive),
    ("max_5250_cpw_percent", ibm_i::set_interactive),
    ("virtual_opti_pool_id", ibm_i::set_virtual_opticonnect),
    ("hsl_pool_id", ibm_i::set_hsl_opticonnect),
    ("max_virtual_slots", |content, assignment, _| {
        only_set(assignment)?;
        let most: u16 = number(assignment)?;
        if !(4..=65_534).contains(&most) {
            return Err(value_invalid(assignment, "it is from 4 to 65534"));
        }
        content.maximum_virtual_slots = most;
        Ok(())
    }),
    ("virtual_serial_adapters", set_serial),
    ("virtual_scsi_adapters", |content, assignment, context| {
        edit_list(&mut content.scsi_adapters, assignment)?;
        resolve_all(&mut content.scsi_adapters, context)
    }),
    ("virtual_eth_adapters", set_ethernet),
    ("virtual_fc_adapters", |content, assignment, context| {
        if !context.system.hardware.capable("virtual_fc_capable") {
            return Err(value_invalid(
                assignment,
                "the managed system does not support virtual Fibre Channel",
            ));
        }
        edit_list(&mut content.fibre_channel_adapters, assignment)?;
        resolve_all(&mut content.fibre_channel_adapters, context)
    }),
    ("virtual_eth_vsi_profiles", none_only),
    ("vnic_adapters", |content, assignment, context| {
        edit_list(&mut content.virtual_nics, assignment)?;
        sriov::resolve_servers(&mut content.virtual_nics, context)
    }),
    ("vtpm_adapters", none_only),
    ("hca_adapters", none_only),
    ("sriov_eth_logical_ports", |content, assignment, _| {
        edit_list(&mut content.ethernet_logical_ports, assignment)
    }),
    ("sriov_roce_logical_ports", |content, assignment, _| {
        edit_list(&mut content.roce_logical_ports, assignment)
    }),
    ("boot_mode", |content, assignment, _| {
        content.boot_mode = word(assignment, BootMode::ALL, BootMode::word)?;
        Ok(())
    }),
    ("conn_monitoring", |content, assignment, _| {
        content.connection_monitoring = flag(assignment)?;
        Ok(())
    }),
    ("auto_start", |content, assignment, _| {
        content.auto_start = flag(assignment)?;
        Ok(())
    }),
    ("power_ctrl_lpar_ids", |content, assignment, context| {
        content.power_control = power_control(&content.power_control, assignment, context)?;
        Ok(())
    }),
    ("work_group_id", |content, assignment, _| {
        content.work_group = optional(assignment)?;
        Ok(())
    }),
    ("redundant_err_path_reporting", |content, assignment, _| {
        content.redundant_error_path = flag(assignment)?;
        Ok(())
    }),
    ("bsr_arrays", |content, assignment, _| {
        only_set(assignment)?;
        content.bsr_arrays = number(assignment)?;
        Ok(())
    }),
    ("lpar_proc_compat_mode", |content, assignment, context| {
        only_set(assignment)?;
        if !context.system.hardware.family.compatibility_modes().contains(&assignment.value.as_str()) {
            return Err(Refusal::new(MessageKey::CompatibilityModeUnsupported).with(&assignment.value));
        }
        content.compatibility_mode.clone_from(&assignment.value);
        Ok(())
    }),
];

/// Attributes that a later level brings; only `none` or `0` is accepted until then.
fn none_only(_: &mut Configuration, assignment: &Assignment, _: &EditContext<'_>) -> Result<(), Refusal> {
    match assignment.value.as_str() {
        "none" | "0" | "" => Ok(()),
        _ => Err(Refusal::new(MessageKey::NotSupportedAtThisLevel).with(&assignment.name)),
    }
}

fn set_expansion(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    only_set(assignment)?;
    let factor: ProcessingUnits =
        assignment.value.parse().map_err(|error| value_invalid(assignment, error))?;
    if factor.0 != 0 && !(100..=1_000).contains(&factor.0) {
        return Err(value_invalid(assignment, "it is 0, or from 1.0 to 10.0"));
    }
    if factor.0 != 0 && !context.system.hardware.capable("active_mem_expansion_capable") {
        return Err(value_invalid(assignment, "the managed system does not support active memory expansion"));
    }
    content.memory_expansion = factor.0;
    Ok(())
}

fn set_serial(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    edit_list(&mut content.serial_adapters, assignment)?;
    // The two adapters of the console are always there.
    for (index, adapter) in console_serial_adapters().into_iter().enumerate() {
        if !content.serial_adapters.iter().any(|present| present.slot == adapter.slot) {
            content.serial_adapters.insert(index.min(content.serial_adapters.len()), adapter);
        }
    }
    resolve_all(&mut content.serial_adapters, context)
}

fn set_ethernet(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    edit_list(&mut content.ethernet_adapters, assignment)?;
    for adapter in &mut content.ethernet_adapters {
        if adapter.virtual_switch.is_empty() {
            adapter.virtual_switch = context.system.virtual_switches().next().cloned().unwrap_or_default();
        } else if !context.system.has_virtual_switch(&adapter.virtual_switch) {
            return Err(Refusal::new(MessageKey::VirtualSwitchNotFound).with(&adapter.virtual_switch));
        }
    }
    Ok(())
}

/// Fills in the number of every remote partition that is given by name, and checks that number and name agree.
pub(crate) fn resolve_all<E: Element>(elements: &mut [E], context: &EditContext<'_>) -> Result<(), Refusal> {
    for element in elements {
        let slot = element.virtual_slot();
        let Some(Remote::Partition { id, name }) = element.remote_mut() else { continue };
        let slot = slot.map(|slot| slot.to_string()).unwrap_or_default();
        match (*id, name.as_str()) {
            (None, given) => {
                let found = context.lookup.id_of(given);
                let missing = || Refusal::new(MessageKey::RemotePartitionNotFound).with(given).with(&slot);
                *id = Some(found.ok_or_else(missing)?);
            }
            (Some(_), "") => {}
            (Some(number), given) => {
                // A partition that does not exist yet may be named beside its number.
                let other = context.lookup.id_of(given).is_some_and(|found| found != number);
                let renamed = context.lookup.name_of(number).is_some_and(|present| present != given);
                if other || renamed {
                    return Err(Refusal::new(MessageKey::RemotePartitionMismatch).with(number).with(given));
                }
            }
        }
        name.clear();
    }
    Ok(())
}

pub(crate) fn affinity_group(assignment: &Assignment) -> Result<Option<u8>, Refusal> {
    match optional::<u8>(assignment)? {
        Some(0) => Err(value_invalid(assignment, "it is from 1 to 255, or none")),
        group => Ok(group),
    }
}

pub(crate) fn power_control(
    present: &[PartitionId],
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<Vec<PartitionId>, Refusal> {
    let mut given = Vec::new();
    for text in elements(assignment)? {
        if text == "0" {
            continue;
        }
        let id: PartitionId = text.parse().map_err(|error| value_invalid(assignment, error))?;
        if context.lookup.name_of(id).is_none() {
            return Err(Refusal::new(MessageKey::PartitionIdNotFound).with(id));
        }
        given.push(id);
    }
    let mut list = present.to_vec();
    match assignment.operation {
        Operation::Set => list = given,
        Operation::Add => list.extend(given),
        Operation::Remove => list.retain(|id| !given.contains(id)),
    }
    if list.len() > 1 {
        return Err(value_invalid(assignment, "a partition has at most one power controlling partition"));
    }
    Ok(list)
}

fn units(present: ProcessingUnits, assignment: &Assignment) -> Result<ProcessingUnits, Refusal> {
    let value: ProcessingUnits = assignment
        .value
        .parse()
        .map_err(|error: crate::ids::InvalidIdentifier| value_invalid(assignment, error))?;
    match assignment.operation {
        Operation::Set => Ok(value),
        Operation::Add => Ok(present.plus(value)),
        Operation::Remove if value <= present => Ok(present.minus(value)),
        Operation::Remove => Err(value_invalid(assignment, "the result is out of range")),
    }
}

fn ratio(assignment: &Assignment, allowed: &[u16]) -> Result<u16, Refusal> {
    only_set(assignment)?;
    let number = assignment.value.strip_prefix("1:").and_then(|text| text.parse().ok());
    number.filter(|value| allowed.contains(value)).ok_or_else(|| {
        let words: Vec<String> = allowed.iter().map(|value| format!("1:{value}")).collect();
        value_invalid(assignment, format_args!("it is one of {}", words.join(", ")))
    })
}

/// Applies one assignment to the content of a profile.
///
/// # Errors
/// An unknown or read-only attribute, or a value that is not allowed.
pub fn apply(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    match SETTERS.iter().find(|(name, _)| *name == assignment.name) {
        Some((_, set)) => set(content, assignment, context),
        None => Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name)),
    }
}

/// Whether profiles have a settable attribute of that name.
#[must_use]
pub fn settable(name: &str) -> bool {
    SETTERS.iter().any(|(setter, _)| *setter == name)
}

/// Applies the assignments of a record in the order that makes them independent of how they are written: modes first.
///
/// # Errors
/// The first refusal, or an attribute given twice.
pub fn apply_all(
    content: &mut Configuration,
    record: &[Assignment],
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    check_repeats(record)?;
    let first = |assignment: &&Assignment| {
        matches!(assignment.name.as_str(), "proc_mode" | "mem_mode" | "all_resources")
    };
    for assignment in record.iter().filter(first) {
        apply(content, assignment, context)?;
    }
    for assignment in record.iter().filter(|assignment| !first(assignment)) {
        apply(content, assignment, context)?;
    }
    if content.sharing_mode == SharingMode::Capped {
        content.uncapped_weight = 0;
    }
    Ok(())
}

/// Refuses a record that gives an attribute twice, but for several additions or removals.
///
/// # Errors
/// [`MessageKey::AttributeRepeated`].
pub fn check_repeats(record: &[Assignment]) -> Result<(), Refusal> {
    for (index, assignment) in record.iter().enumerate() {
        let clash = |earlier: &Assignment| {
            let both_change = earlier.operation != Operation::Set && assignment.operation != Operation::Set;
            earlier.name == assignment.name && !both_change
        };
        if record[..index].iter().any(clash) {
            return Err(Refusal::new(MessageKey::AttributeRepeated).with(&assignment.name));
        }
    }
    Ok(())
}

/// The refusal for a text that is not a record.
#[must_use]
pub fn record_refusal(error: &crate::record::RecordError) -> Refusal {
    Refusal::new(MessageKey::RecordInvalid).with(capital(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::apply_text;
    use super::*;
    use crate::attributes::{Change, profile::PROFILE};

    #[test]
    fn setters_and_table_agree() {
        for attribute in PROFILE.attributes {
            let settable_here = attribute.change == Change::Anytime && attribute.name != "new_name";
            assert_eq!(settable(attribute.name), settable_here, "{}", attribute.name);
        }
        for (name, _) in SETTERS {
            assert!(PROFILE.attributes.iter().any(|attribute| attribute.name == *name), "{name}");
        }
    }

    #[test]
    fn quantities_lists_and_units_add_and_remove() {
        let mut content = Configuration::default();
        apply_text(&mut content, "desired_mem=1024,desired_proc_units=0.5,virtual_eth_adapters=2/0/1//0/0")
            .expect("set");
        apply_text(
            &mut content,
            r#"desired_mem+=256,desired_proc_units-=0.2,"virtual_eth_adapters+=""4/0/900///0""""#,
        )
        .expect("add");
        assert_eq!((content.desired_memory, content.desired_units), (1_280, ProcessingUnits(30)));
        assert_eq!(content.ethernet_adapters.len(), 2);
        assert_eq!(content.ethernet_adapters[1].virtual_switch, "ETHERNET0");
        apply_text(&mut content, "virtual_eth_adapters-=2/0/1//0/0").expect("remove");
        assert_eq!(content.ethernet_adapters[0].slot.0, 4);
        assert!(apply_text(&mut content, "desired_mem-=9999999").is_err());
    }

    #[test]
    fn remote_names_are_resolved_and_checked() {
        let mut content = Configuration::default();
        apply_text(&mut content, "virtual_scsi_adapters=3/client//vios2/32/0").expect("by name");
        assert_eq!(content.remote_partitions(), [PartitionId(2)]);
        let wrong =
            apply_text(&mut content, "virtual_scsi_adapters=3/client/1/vios2/32/0").expect_err("mismatch");
        assert!(wrong.starts_with("HSCL0567"), "{wrong}");
        let missing =
            apply_text(&mut content, "virtual_scsi_adapters=3/client//vios9/32/0").expect_err("missing");
        assert!(missing.starts_with("HSCL0566"), "{missing}");
        apply_text(&mut content, "virtual_scsi_adapters=3/server/7//3/0")
            .expect("a number that may exist later");
    }

    #[test]
    fn wrong_values_and_names_are_refused() {
        let mut content = Configuration::default();
        for text in [
            "min_mem=-1",
            "min_mem=1.5",
            "min_mem=",
            "uncap_weight=256",
            "sharing_mode=maybe",
            "boot_mode=x",
            "auto_start=2",
            "max_virtual_slots=3",
            "hpt_ratio=1:3",
            "min_mem=1,min_mem=2",
            "lpar_id=3",
            "xyz=1",
            "lpar_proc_compat_mode=POWER5",
            "virtual_eth_adapters=2/0/1//0/0/NOSUCH",
            "io_slots=DEADBEEF/none/1",
            "vnic_adapters=x",
            "mem_mode=other",
            "boot_mode+=norm",
            "mem_expansion=0.5",
        ] {
            assert!(apply_text(&mut content, text).is_err(), "{text}");
        }
        assert_eq!(
            apply_text(&mut content, "zzz=1").expect_err("unknown"),
            "An invalid attribute was entered.  The invalid attribute is zzz.  Please check your entry and retry the command."
        );
    }

    #[test]
    fn the_consoles_serial_adapters_stay() {
        let mut content = Configuration::default();
        apply_text(&mut content, "virtual_serial_adapters=none").expect("none");
        assert_eq!(content.serial_adapters.len(), 2);
    }
}
