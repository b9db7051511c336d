//! What only IBM i partitions may state: tagged devices and OptiConnect.

use super::edit::{flag, number, only_set, value_invalid};
use super::profile::EditContext;
use crate::codes::MessageKey;
use crate::configuration::{Configuration, PartitionEnvironment};
use crate::ibm_i::{IbmIConfiguration, TaggedSlot, VIRTUAL_OPTICONNECT_POOLS_MAX};
use crate::record::Assignment;
use crate::refusal::Refusal;
use crate::units::ProcessingUnits;

/// The attributes of tagged devices, in the order of listings.
pub const TAGS: [&str; 5] =
    ["load_source_slot", "alt_restart_device_slot", "console_slot", "alt_console_slot", "op_console_slot"];

/// Changes what is stated; nothing stated is nothing kept.
fn change(
    content: &mut Configuration,
    edit: impl FnOnce(&mut IbmIConfiguration) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut stated = content.ibm_i.take().unwrap_or_default();
    let result = edit(&mut stated);
    content.ibm_i = stated.stated().is_some().then_some(stated);
    result
}

/// Sets one of [`TAGS`].
pub(super) fn set_tag(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    only_set(assignment)?;
    let wrong = || value_invalid(assignment, "it is a DRC index, a virtual slot number or none");
    let slot: TaggedSlot = assignment.value.parse().map_err(|_| wrong())?;
    match slot {
        TaggedSlot::Console if assignment.name != "console_slot" => return Err(wrong()),
        TaggedSlot::Physical(index) if context.system.hardware.slot(index).is_none() => {
            return Err(Refusal::new(MessageKey::PhysicalSlotNotFound).with(format_args!("{index:08X}")));
        }
        _ => {}
    }
    change(content, |stated| {
        let unknown = || Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name);
        *stated.tag_mut(&assignment.name).ok_or_else(unknown)? = slot;
        Ok(())
    })
}

/// Sets a share of 5250 capacity.
pub(super) fn set_interactive(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    only_set(assignment)?;
    let share = assignment.value.parse::<ProcessingUnits>().ok().filter(|share| share.0 <= 10_000);
    let share = share.ok_or_else(|| value_invalid(assignment, "it is from 0.0 to 100.0"))?;
    if share.0 != 0 && !context.system.hardware.capable("5250_application_capable") {
        return Err(value_invalid(assignment, "the managed system has no 5250 capacity"));
    }
    change(content, |stated| {
        match assignment.name.as_str() {
            "min_5250_cpw_percent" => stated.minimum_interactive = share,
            "desired_5250_cpw_percent" => stated.desired_interactive = share,
            _ => stated.maximum_interactive = share,
        }
        Ok(())
    })
}

/// Sets `virtual_opti_pool_id`.
pub(super) fn set_virtual_opticonnect(
    content: &mut Configuration,
    assignment: &Assignment,
    _: &EditContext<'_>,
) -> Result<(), Refusal> {
    only_set(assignment)?;
    let pool: u16 = number(assignment)?;
    if pool > VIRTUAL_OPTICONNECT_POOLS_MAX {
        let most = format_args!("it is from 0 to {VIRTUAL_OPTICONNECT_POOLS_MAX}").to_string();
        return Err(value_invalid(assignment, most));
    }
    change(content, |stated| {
        stated.virtual_opticonnect_pool = pool;
        Ok(())
    })
}

/// Sets `hsl_pool_id`.
pub(super) fn set_hsl_opticonnect(
    content: &mut Configuration,
    assignment: &Assignment,
    _: &EditContext<'_>,
) -> Result<(), Refusal> {
    let enabled = flag(assignment)?;
    change(content, |stated| {
        stated.hsl_opticonnect = enabled;
        Ok(())
    })
}

/// Checks that the partition may state what its configuration does.
///
/// # Errors
/// [`MessageKey::IbmIOnly`], [`MessageKey::RangeOrder`], [`MessageKey::VirtualSlotTooHigh`].
pub fn check(content: &Configuration, environment: PartitionEnvironment) -> Result<(), Refusal> {
    let Some(stated) = &content.ibm_i else { return Ok(()) };
    if let (Some(name), false) = (stated.stated(), environment == PartitionEnvironment::IbmI) {
        return Err(Refusal::new(MessageKey::IbmIOnly).with(name));
    }
    let [(_, least), (_, wished), (_, most)] = stated.interactive();
    if !(least <= wished && wished <= most) {
        let refusal = Refusal::new(MessageKey::RangeOrder).with("5250_cpw_percent");
        return Err(refusal.with(least).with(wished).with(most));
    }
    for (_, tag) in stated.tags() {
        match tag {
            TaggedSlot::Virtual(slot) if slot.0 >= content.maximum_virtual_slots => {
                let refusal = Refusal::new(MessageKey::VirtualSlotTooHigh).with(slot);
                return Err(refusal.with(content.maximum_virtual_slots));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {

    use super::super::tests_support::apply_text;
    use super::*;

    #[test]
    fn tags_are_set_and_cleared() {
        let mut content = Configuration::default();
        apply_text(&mut content, "load_source_slot=21020013,console_slot=hmc,virtual_opti_pool_id=255")
            .expect("set");
        let stated = content.ibm_i.clone().expect("stated");
        assert_eq!(stated.load_source, TaggedSlot::Physical(0x2102_0013));
        assert_eq!((stated.console, stated.virtual_opticonnect_pool), (TaggedSlot::Console, 255));
        assert!(check(&content, PartitionEnvironment::IbmI).is_ok());
        assert!(check(&content, PartitionEnvironment::AixLinux).is_err());
        apply_text(&mut content, "load_source_slot=none,console_slot=none,virtual_opti_pool_id=0")
            .expect("cleared");
        assert_eq!(content.ibm_i, None);
    }

    #[test]
    fn what_is_no_slot_is_refused_and_changes_nothing() {
        let before = Configuration::default();
        for text in [
            "load_source_slot=hmc",
            "load_source_slot=21029999",
            "alt_restart_device_slot=x",
            "console_slot+=3",
            "virtual_opti_pool_id=256",
            "hsl_pool_id=2",
            "min_5250_cpw_percent=101",
            "desired_5250_cpw_percent=1.0",
        ] {
            let mut content = before.clone();
            assert!(apply_text(&mut content, text).is_err(), "{text}");
            assert_eq!(content, before, "{text}");
        }
        let mut content = before;
        apply_text(&mut content, "alt_console_slot=10").expect("set");
        assert!(check(&content, PartitionEnvironment::IbmI).is_err(), "10 slots are 0 to 9");
    }
}
