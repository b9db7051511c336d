//! Shared memory (Active Memory Sharing): what a profile may say of it. No managed system has a shared memory pool yet, so
//! that such a profile can be written and read, and its activation is refused.

use super::edit::{number, only_set, value_invalid, word};
use super::profile::EditContext;
use crate::codes::MessageKey;
use crate::configuration::{Configuration, MemoryMode, PartitionEnvironment, ProcessorMode, SharedMemory};
use crate::ids::PartitionId;
use crate::record::Assignment;
use crate::refusal::Refusal;

/// Sets `mem_mode`.
pub(super) fn set_mode(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    content.memory_mode = word(assignment, MemoryMode::ALL, MemoryMode::word)?;
    match content.memory_mode {
        MemoryMode::Dedicated => content.shared_memory = None,
        MemoryMode::Shared if context.system.hardware.capable("active_mem_sharing_capable") => {
            content.shared_memory.get_or_insert_default();
        }
        MemoryMode::Shared => return Err(Refusal::new(MessageKey::SuspendUnsupported)),
    }
    Ok(())
}

/// The shared memory of a profile; a profile with memory of its own has no such attributes.
fn shared<'a>(
    content: &'a mut Configuration,
    assignment: &Assignment,
) -> Result<&'a mut SharedMemory, Refusal> {
    only_set(assignment)?;
    let missing = || Refusal::new(MessageKey::AttributeInvalid).with(&assignment.name);
    content.shared_memory.as_deref_mut().ok_or_else(missing)
}

/// Sets `desired_io_entitled_mem`.
pub(super) fn set_io_entitled(
    content: &mut Configuration,
    assignment: &Assignment,
    _: &EditContext<'_>,
) -> Result<(), Refusal> {
    let shared = shared(content, assignment)?;
    shared.io_entitled_memory = match assignment.value.as_str() {
        "auto" => None,
        _ => Some(number(assignment)?),
    };
    Ok(())
}

/// Sets `mem_weight`.
pub(super) fn set_weight(
    content: &mut Configuration,
    assignment: &Assignment,
    _: &EditContext<'_>,
) -> Result<(), Refusal> {
    shared(content, assignment)?.weight = number(assignment)?;
    Ok(())
}

/// Sets one of the paging servers, by number or by name.
pub(super) fn set_paging_server(
    content: &mut Configuration,
    assignment: &Assignment,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    let shared = shared(content, assignment)?;
    let value = assignment.value.as_str();
    let server = match value {
        "none" | "" => None,
        _ if assignment.name.ends_with("_id") => {
            let id: PartitionId = value.parse().map_err(|error| value_invalid(assignment, error))?;
            Some(id)
        }
        _ => {
            let missing = || Refusal::new(MessageKey::PartitionNotFound).with(value);
            Some(context.lookup.id_of(value).ok_or_else(missing)?)
        }
    };
    if assignment.name.starts_with("primary") {
        shared.primary_paging_server = server;
    } else {
        shared.secondary_paging_server = server;
    }
    Ok(())
}

/// Checks what a partition with shared memory must be and may not have.
///
/// # Errors
/// [`MessageKey::SharedMemoryInvalid`].
pub fn check(content: &Configuration, environment: PartitionEnvironment) -> Result<(), Refusal> {
    let Some(shared) = &content.shared_memory else { return Ok(()) };
    let rules = [
        (environment == PartitionEnvironment::VirtualIoServer, "cannot be a Virtual I/O Server"),
        (content.all_resources, "cannot have all resources"),
        (content.processor_mode == ProcessorMode::Dedicated, "must use shared processors"),
        (!content.physical_slots.is_empty(), "cannot have physical I/O slots"),
        (content.maximum_huge_pages > 0, "cannot use huge pages"),
        (content.bsr_arrays > 0, "cannot use barrier synchronization register arrays"),
        (
            shared.io_entitled_memory.is_some_and(|memory| memory > content.desired_memory),
            "cannot have more I/O entitled memory than memory",
        ),
        (
            shared.secondary_paging_server.is_some()
                && shared.secondary_paging_server == shared.primary_paging_server,
            "must have two different paging Virtual I/O Servers, or one",
        ),
    ];
    match rules.into_iter().find(|(broken, _)| *broken) {
        Some((_, rule)) => Err(Refusal::new(MessageKey::SharedMemoryInvalid).with(rule)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::apply_all;
    use super::super::tests_support::{TwoServers, system};
    use super::*;
    use crate::record::parse_record;

    fn applied(text: &str) -> Result<Configuration, Refusal> {
        let system = system();
        let context = EditContext { system: &system, lookup: &TwoServers };
        let mut content = Configuration::default();
        apply_all(&mut content, &parse_record(text).expect("record"), &context).map(|()| content)
    }

    #[test]
    fn the_mode_brings_its_attributes_in_any_order_and_takes_them_away() {
        let content = applied(
            "mem_weight=200,desired_io_entitled_mem=64,primary_paging_vios_name=vios2,secondary_paging_vios_id=1,mem_mode=shared",
        );
        let shared = SharedMemory {
            io_entitled_memory: Some(64),
            weight: 200,
            primary_paging_server: Some(PartitionId(2)),
            secondary_paging_server: Some(PartitionId(1)),
        };
        let content = content.expect("set");
        assert_eq!(content.shared_memory.as_deref(), Some(&shared));
        assert_eq!(content.remote_partitions(), [PartitionId(1), PartitionId(2)]);
        assert_eq!(applied("mem_mode=shared").expect("set").shared_memory, Some(Box::default()));
        assert_eq!(applied("mem_mode=ded").expect("set").shared_memory, None);
    }

    #[test]
    fn wrong_values_are_refused() {
        for (text, key) in [
            ("mem_mode=ded,mem_weight=5", MessageKey::AttributeInvalid),
            ("mem_weight=5", MessageKey::AttributeInvalid),
            ("mem_mode=shared,mem_weight=256", MessageKey::AttributeValueInvalid),
            ("mem_mode=shared,desired_io_entitled_mem=much", MessageKey::AttributeValueInvalid),
            ("mem_mode=shared,primary_paging_vios_name=nobody", MessageKey::PartitionNotFound),
            ("mem_mode=shared,secondary_paging_vios_id=x", MessageKey::AttributeValueInvalid),
        ] {
            assert_eq!(applied(text).expect_err(text).key, key, "{text}");
        }
    }

    #[test]
    fn what_does_not_go_with_shared_memory_is_refused() {
        let good = "mem_mode=shared,proc_mode=shared,desired_mem=1024";
        let check_text = |text: &str, environment| check(&applied(text).expect(text), environment);
        check_text(good, PartitionEnvironment::AixLinux).expect("fits");
        for more in [
            "proc_mode=ded",
            "all_resources=1",
            "max_num_huge_pages=1",
            "bsr_arrays=1",
            "desired_io_entitled_mem=2048",
            "primary_paging_vios_id=1,secondary_paging_vios_id=1",
        ] {
            let text = if more.starts_with("proc_mode") {
                good.replace("proc_mode=shared", more)
            } else {
                format!("{good},{more}")
            };
            let refusal = check_text(&text, PartitionEnvironment::AixLinux).expect_err(more);
            assert_eq!(refusal.key, MessageKey::SharedMemoryInvalid, "{more}");
        }
        check_text(good, PartitionEnvironment::VirtualIoServer).expect_err("a server");
    }
}
