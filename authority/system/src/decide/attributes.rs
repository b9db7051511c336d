//! Attributes of a partition's current configuration that `chhwres -o s` sets, other than adapters and processors.
//!
//! What is only of interest to the next activation (I/O pools, tagged devices, OptiConnect) may change in any settled state;
//! memory attributes go by the rule of dynamic changes.

use varan_contract::system::{AttributeSet, Selector};
use varan_model::codes::MessageKey;
use varan_model::configuration::Configuration;
use varan_model::partition::{PartitionEntry, PartitionState, Synchronization};
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::rules::creation::check_partition;
use varan_model::rules::edit::value_invalid;
use varan_model::rules::ibm_i::TAGS;
use varan_model::rules::profile::{EditContext, apply_all};
use varan_model::rules::validity;

use super::Decision;
use super::definition::check_reachable;
use super::dynamic::{current, through_guest, with_configuration};
use crate::world::{Change, World};

/// The attributes of a set.
fn names(attributes: AttributeSet) -> &'static [&'static str] {
    match attributes {
        AttributeSet::IoPools => &["lpar_io_pool_ids"],
        AttributeSet::TaggedIo => &TAGS,
        AttributeSet::VirtualOptiConnect => &["virtual_opti_pool_id"],
        AttributeSet::HslOptiConnect => &["hsl_pool_id"],
        AttributeSet::Memory => &[
            "mem_expansion",
            "mem_weight",
            "primary_paging_vios_name",
            "primary_paging_vios_id",
            "secondary_paging_vios_name",
            "secondary_paging_vios_id",
        ],
    }
}

pub(super) fn set(
    world: &World,
    selector: &Selector,
    attributes: AttributeSet,
    record: &[Assignment],
) -> Result<Decision, Refusal> {
    let entry = world.snapshot.find(selector)?;
    check_reachable(world)?;
    if let Some(other) = record.iter().find(|one| !names(attributes).contains(&one.name.as_str())) {
        return Err(Refusal::new(MessageKey::AttributeInvalid).with(&other.name));
    }
    let memory = attributes == AttributeSet::Memory;
    let running = if memory { through_guest(entry)? } else { is_up(entry)? };
    let before = current(entry)?;
    let mut content = before.clone();
    apply_all(&mut content, record, &EditContext { system: world.system(), lookup: world })?;
    check_partition(&entry.partition, &content)?;
    validity::check(&content, world.system())?;
    if let Some(expansion) = record.iter().find(|one| one.name == "mem_expansion" && running) {
        // The operating system is started with expansion or without it; only the factor changes.
        if (before.memory_expansion == 0) != (content.memory_expansion == 0) {
            let reason = "it is switched on and off by activation only";
            return Err(value_invalid(expansion, reason));
        }
    }
    let mut partition = with_configuration(entry, content.clone(), running && memory);
    if running && partition.settings.synchronization == Synchronization::Enabled {
        let name = partition.current_profile.clone();
        if let Some(profile) = partition.profiles.iter_mut().find(|one| one.name == name) {
            copy(&content, &mut std::sync::Arc::make_mut(profile).configuration, attributes);
        }
    }
    Ok(Decision::change(Change::PutPartition(Box::new(partition))))
}

fn is_up(entry: &PartitionEntry) -> Result<bool, Refusal> {
    match entry.runtime.state {
        PartitionState::NotActivated => Ok(false),
        PartitionState::Running if entry.runtime.lock.is_some() => {
            Err(Refusal::new(MessageKey::Locked).with(format_args!("partition {}", entry.partition.name)))
        }
        PartitionState::Running | PartitionState::OpenFirmware => Ok(true),
        _ => Err(Refusal::new(MessageKey::StateNotAllowed)),
    }
}

/// What synchronization writes to the current profile.
fn copy(from: &Configuration, to: &mut Configuration, attributes: AttributeSet) {
    match attributes {
        AttributeSet::IoPools => to.io_pools.clone_from(&from.io_pools),
        AttributeSet::TaggedIo | AttributeSet::VirtualOptiConnect | AttributeSet::HslOptiConnect => {
            to.ibm_i.clone_from(&from.ibm_i);
        }
        AttributeSet::Memory => {
            to.memory_expansion = from.memory_expansion;
            to.shared_memory.clone_from(&from.shared_memory);
        }
    }
}
