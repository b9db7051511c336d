//! `LogicalPartitionProfile`.

use std::sync::Arc;

use varan_model::configuration::{Configuration, PartitionEnvironment, ProcessorMode};
use varan_model::partition::Profile;

use super::slot::{SlotView, outline_wanted, write_wanted};
use super::{Hosted, Object, boolean, partition_path, profile_id, some};
use crate::element::{Element, objects, reference, section, section_if, text, write};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// A profile of a partition.
pub struct ProfileView {
    /// Partition.
    pub hosted: Hosted,
    /// Profile.
    pub profile: Arc<Profile>,
}

impl ProfileView {
    fn content(&self) -> &Configuration {
        &self.profile.configuration
    }
}

static MEMORY: &[Element<ProfileView>] = &[
    text("DesiredMemory", "CUD", |view| some(view.content().desired_memory)),
    text("MaximumMemory", "CUD", |view| some(view.content().maximum_memory)),
    text("MinimumMemory", "CUD", |view| some(view.content().minimum_memory)),
];

static DEDICATED: &[Element<ProfileView>] = &[
    text("DesiredProcessors", "CUD", |view| some(view.content().desired_processors)),
    text("MaximumProcessors", "CUD", |view| some(view.content().maximum_processors)),
    text("MinimumProcessors", "CUD", |view| some(view.content().minimum_processors)),
];

static SHARED: &[Element<ProfileView>] = &[
    text("DesiredProcessingUnits", "CUD", |view| some(super::partition::units(view.content().desired_units))),
    text("DesiredVirtualProcessors", "CUD", |view| some(view.content().desired_processors)),
    text("MaximumProcessingUnits", "CUD", |view| some(super::partition::units(view.content().maximum_units))),
    text("MaximumVirtualProcessors", "CUD", |view| some(view.content().maximum_processors)),
    text("MinimumProcessingUnits", "CUD", |view| some(super::partition::units(view.content().minimum_units))),
    text("MinimumVirtualProcessors", "CUD", |view| some(view.content().minimum_processors)),
    text("SharedProcessorPoolID", "CUD", |view| some(view.content().processor_pool)),
    text("UncappedWeight", "CUD", |view| some(view.content().uncapped_weight)),
];

fn dedicated(view: &ProfileView) -> bool {
    view.content().processor_mode == ProcessorMode::Dedicated
}

static PROCESSORS: &[Element<ProfileView>] = &[
    section_if("DedicatedProcessorConfiguration", "CUD", dedicated, DEDICATED),
    text("HasDedicatedProcessors", "CUD", |view| boolean(dedicated(view))),
    section_if("SharedProcessorConfiguration", "CUD", |view| !dedicated(view), SHARED),
    text("SharingMode", "CUD", |view| some(super::partition::sharing(view.content().sharing_mode))),
];

static IO: &[Element<ProfileView>] = &[
    text("MaximumVirtualIOSlots", "CUD", |view| some(view.content().maximum_virtual_slots)),
    objects(
        "ProfileIOSlots",
        "CUD",
        |view, writer, groups| {
            for slot in &view.content().physical_slots {
                let known = view.hosted.system.hardware.slot(slot.drc_index);
                let place = SlotView { drc_index: slot.drc_index, slot: known, owner: None };
                write_wanted(&place, slot.required, groups, writer);
            }
        },
        outline_wanted,
    ),
];

/// Elements of a profile. No whole answer is recorded: the names are those that clients read, in the order of the alphabet,
/// which recorded parts keep.
pub static PROFILE: &[Element<ProfileView>] = &[
    text("AffinityGroupID", "CUD", |view| view.content().affinity_group.and_then(some)),
    text("AssignAllResources", "CUD", |view| boolean(view.content().all_resources)),
    reference("AssociatedPartition", "ROR", |view| {
        let partition = &view.hosted.entry.partition;
        Some(view.hosted.links.to(&partition_path(partition.environment, partition.uuid)))
    }),
    text("AutoStart", "CUD", |view| boolean(view.content().auto_start)),
    text("BootMode", "CUD", |view| some(super::partition::boot_mode(view.content().boot_mode))),
    text("ConnectionMonitoringEnabled", "CUD", |view| boolean(view.content().connection_monitoring)),
    text("DesiredProcessorCompatibilityMode", "CUD", |view| {
        some(super::system::rest_mode(&view.content().compatibility_mode))
    }),
    section("IOConfigurationInstance", "CUD", IO),
    section("ProcessorAttributes", "CUD", PROCESSORS),
    section("ProfileMemory", "CUD", MEMORY),
    text("ProfileName", "CUR", |view| some(&view.profile.name)),
    text("ProfileType", "ROR", |view| {
        some(match view.hosted.entry.partition.environment {
            PartitionEnvironment::AixLinux => "REG_LPAR_PROFILE_TYPE",
            PartitionEnvironment::VirtualIoServer => "REG_VIOS_PROFILE_TYPE",
            PartitionEnvironment::IbmI => "REG_OS400_PROFILE_TYPE",
        })
    }),
    text("RedundantErrorPathReportingEnabled", "CUD", |view| boolean(view.content().redundant_error_path)),
];

impl Object for ProfileView {
    fn kind(&self) -> &'static str {
        "LogicalPartitionProfile"
    }

    fn id(&self) -> String {
        profile_id(self.hosted.entry.partition.uuid, &self.profile.name)
    }

    fn path(&self) -> String {
        let partition = &self.hosted.entry.partition;
        format!(
            "{}/LogicalPartitionProfile/{}",
            partition_path(partition.environment, partition.uuid),
            self.id()
        )
    }

    fn version(&self) -> String {
        // A definition's revision rises with each change of any of its profiles.
        format!("{} {}", self.hosted.entry.partition.revision, self.profile.name)
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(PROFILE, self, groups, writer);
    }
}
