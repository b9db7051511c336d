//! Setting the attributes of a partition that no profile holds.

use super::edit::{flag, number, only_set, optional, value_invalid, word};
use super::profile::{EditContext, affinity_group, power_control};
use crate::codes::MessageKey;
use crate::configuration::{BootMode, PartitionEnvironment};
use crate::hardware::ProcessorFamily;
use crate::partition::{NAME_CHARACTERS_MAX, Partition, Synchronization};
use crate::record::Assignment;
use crate::refusal::Refusal;

/// What a change of partition attributes may look at besides the partition.
pub struct PartitionEdit<'a> {
    /// System and other partitions.
    pub context: EditContext<'a>,
    /// The partition is being created.
    pub creating: bool,
    /// The partition is shut down.
    pub off: bool,
}

type Setter = fn(&mut Partition, &Assignment, &PartitionEdit<'_>) -> Result<(), Refusal>;

/// Attributes of partitions that can be set, with how. A test compares the names with the attribute table.
pub static SETTERS: &[(&str, Setter)] = &[
    ("work_group_id", |partition, assignment, _| {
        partition.settings.work_group = optional(assignment)?;
        Ok(())
    }),
    ("shared_proc_pool_util_auth", |partition, assignment, _| {
        partition.settings.pool_utilization_authority = flag(assignment)?;
        Ok(())
    }),
    ("allow_perf_collection", |partition, assignment, _| {
        partition.settings.allow_performance_collection = flag(assignment)?;
        Ok(())
    }),
    ("power_ctrl_lpar_ids", |partition, assignment, edit| {
        partition.settings.power_control =
            power_control(&partition.settings.power_control, assignment, &edit.context)?;
        Ok(())
    }),
    ("boot_mode", |partition, assignment, _| {
        partition.settings.boot_mode = word(assignment, BootMode::ALL, BootMode::word)?;
        Ok(())
    }),
    ("auto_start", |partition, assignment, _| {
        partition.settings.auto_start = flag(assignment)?;
        Ok(())
    }),
    ("redundant_err_path_reporting", |partition, assignment, _| {
        partition.settings.redundant_error_path = flag(assignment)?;
        Ok(())
    }),
    ("time_ref", |partition, assignment, _| {
        partition.settings.time_reference = flag(assignment)?;
        Ok(())
    }),
    ("lpar_avail_priority", |partition, assignment, _| {
        only_set(assignment)?;
        partition.settings.availability_priority = number(assignment)?;
        Ok(())
    }),
    ("msp", |partition, assignment, _| {
        let wanted = flag(assignment)?;
        if partition.environment != PartitionEnvironment::VirtualIoServer {
            return Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name));
        }
        partition.settings.mover_service_partition = wanted;
        Ok(())
    }),
    ("suspend_capable", set_suspend),
    ("remote_restart_capable", set_remote_restart),
    ("simplified_remote_restart_capable", set_simplified_remote_restart),
    ("sync_curr_profile", |partition, assignment, _| {
        partition.settings.synchronization = word(assignment, Synchronization::ALL, Synchronization::word)?;
        Ok(())
    }),
    ("affinity_group_id", |partition, assignment, _| {
        partition.settings.affinity_group = affinity_group(assignment)?;
        Ok(())
    }),
    ("powervm_mgmt_capable", |partition, assignment, _| {
        let wanted = flag(assignment)?;
        if wanted && partition.environment != PartitionEnvironment::AixLinux {
            return Err(value_invalid(assignment, "only a Linux partition can manage the system"));
        }
        partition.settings.management_capable = wanted;
        Ok(())
    }),
    ("migration_disabled", |partition, assignment, _| {
        partition.settings.migration_disabled = flag(assignment)?;
        Ok(())
    }),
    ("description", |partition, assignment, _| {
        only_set(assignment)?;
        partition.settings.description = description(assignment)?;
        Ok(())
    }),
];

/// Longest description, in characters.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 1_024;

/// Reads a description.
///
/// # Errors
/// Too long, or control characters.
pub fn description(assignment: &Assignment) -> Result<String, Refusal> {
    let long = assignment.value.chars().count() > DESCRIPTION_CHARACTERS_MAX;
    if long || assignment.value.chars().any(char::is_control) {
        return Err(value_invalid(
            assignment,
            format_args!("it has at most {DESCRIPTION_CHARACTERS_MAX} printable characters"),
        ));
    }
    Ok(assignment.value.clone())
}

fn server_refused(partition: &Partition, assignment: &Assignment) -> Result<(), Refusal> {
    if partition.environment == PartitionEnvironment::VirtualIoServer {
        return Err(value_invalid(assignment, "a Virtual I/O Server is not restarted elsewhere"));
    }
    Ok(())
}

fn set_suspend(
    partition: &mut Partition,
    assignment: &Assignment,
    edit: &PartitionEdit<'_>,
) -> Result<(), Refusal> {
    let wanted = flag(assignment)?;
    if wanted && !edit.context.system.hardware.capable("lpar_suspend_capable") {
        return Err(Refusal::new(MessageKey::SuspendUnsupported));
    }
    if wanted != partition.settings.suspend_capable && !edit.off {
        return Err(Refusal::new(MessageKey::NotActivatedRequired));
    }
    partition.settings.suspend_capable = wanted;
    Ok(())
}

fn set_remote_restart(
    partition: &mut Partition,
    assignment: &Assignment,
    edit: &PartitionEdit<'_>,
) -> Result<(), Refusal> {
    let wanted = flag(assignment)?;
    if wanted == partition.settings.remote_restart_capable {
        return Ok(());
    }
    let hardware = &edit.context.system.hardware;
    if wanted && !hardware.capable("powervm_lpar_remote_restart_capable") {
        return Err(Refusal::new(MessageKey::RemoteRestartUnsupported));
    }
    // Before POWER8 the capability is fixed at creation (seed passage P199).
    if !edit.creating && hardware.family < ProcessorFamily::Power8 {
        return Err(Refusal::new(MessageKey::RemoteRestartFixed));
    }
    if !edit.off {
        return Err(Refusal::new(MessageKey::RemoteRestartNeedsShutdown));
    }
    server_refused(partition, assignment)?;
    partition.settings.remote_restart_capable = wanted;
    Ok(())
}

fn set_simplified_remote_restart(
    partition: &mut Partition,
    assignment: &Assignment,
    edit: &PartitionEdit<'_>,
) -> Result<(), Refusal> {
    let wanted = flag(assignment)?;
    if wanted == partition.settings.simplified_remote_restart_capable {
        return Ok(());
    }
    let hardware = &edit.context.system.hardware;
    if wanted && !hardware.capable("powervm_lpar_simplified_remote_restart_capable") {
        return Err(Refusal::new(MessageKey::SimplifiedRemoteRestartUnsupported));
    }
    if !edit.off && !hardware.capable("dynamic_simplified_remote_restart_toggle_capable") {
        return Err(Refusal::new(MessageKey::RemoteRestartNeedsShutdown));
    }
    server_refused(partition, assignment)?;
    partition.settings.simplified_remote_restart_capable = wanted;
    Ok(())
}

/// Applies one assignment to the settings of a partition.
///
/// # Errors
/// An unknown or read-only attribute, a value or state that does not allow it.
pub fn apply(
    partition: &mut Partition,
    assignment: &Assignment,
    edit: &PartitionEdit<'_>,
) -> Result<(), Refusal> {
    if assignment.name == "lpar_proc_compat_mode" && assignment.value == partition.settings.compatibility_mode
    {
        // Setting what is there already is let through; any other value belongs to a profile.
        return Ok(());
    }
    match SETTERS.iter().find(|(name, _)| *name == assignment.name) {
        Some((_, set)) => set(partition, assignment, edit),
        None => Err(Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name)),
    }
}

/// Whether partitions have a settable attribute of that name.
#[must_use]
pub fn settable(name: &str) -> bool {
    SETTERS.iter().any(|(setter, _)| *setter == name)
}

/// Checks the name of a partition, profile or system.
///
/// # Errors
/// [`MessageKey::NameInvalid`].
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.chars().count() > NAME_CHARACTERS_MAX {
        format!("it is longer than {NAME_CHARACTERS_MAX} characters")
    } else if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        "it begins or ends with a blank".to_owned()
    } else if let Some(wrong) =
        name.chars().find(|&one| one.is_control() || "()<>*$&?|[]'\"`,=:/\\".contains(one))
    {
        // These would break the record grammar or the shell's quoting.
        format!("it contains {wrong:?}")
    } else {
        return Ok(());
    };
    Err(Refusal::new(MessageKey::NameInvalid).with(name).with(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Change, partition::PARTITION};

    #[test]
    fn setters_and_table_agree() {
        for attribute in PARTITION.attributes {
            let apart = matches!(attribute.name, "new_name" | "profile_name");
            let expected = matches!(attribute.change, Change::Anytime | Change::WhenShutDown) && !apart;
            assert_eq!(settable(attribute.name), expected, "{}", attribute.name);
        }
        for (name, _) in SETTERS {
            assert!(PARTITION.attributes.iter().any(|attribute| attribute.name == *name), "{name}");
        }
    }

    #[test]
    fn names_are_checked() {
        for name in ["lpar1", "temp3-b642c120-00000133", "a b", "x.y_z", "reptilian-9119-MME-65BA46F"] {
            check_name(name).expect(name);
        }
        for name in ["", " a", "a ", "a,b", "a=b", "a/b", "a\"b", "a\nb", "abcdefghijklmnopqrstuvwxyz0123456"]
        {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
