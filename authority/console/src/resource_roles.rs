//! Managed resource roles: the systems and partitions that a user may reach.
//!
//! A resource is written as on the real console: `cec:root/ibmhscS1_0|8286-41A*2166661|IBMHSC_ComputerSystem` for a managed
//! system with all its partitions, `lpar:root/ibmhscS1_0|3*8286-41A*2166661|IBMHSC_Partition` for one partition, and
//! `ALL_PARTITIONS` in place of its number for all partitions without the system itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use varan_contract::system::{PartitionFilter, SystemReply};
use varan_model::codes::MessageKey;
use varan_model::ids::{MachineIdentity, PartitionId};
use varan_model::refusal::Refusal;

use crate::console::ALL_RESOURCES;

/// Name space that all resources are written with.
const NAME_SPACE: &str = "root/ibmhscS1_0";
const SYSTEM_CLASS: &str = "IBMHSC_ComputerSystem";
const PARTITION_CLASS: &str = "IBMHSC_Partition";
const ALL_PARTITIONS: &str = "ALL_PARTITIONS";

/// Which part of a system a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ResourcePart {
    /// The system with all its partitions.
    System,
    /// All its partitions.
    AllPartitions,
    /// One partition.
    Partition(PartitionId),
}

/// A system or partition that a role may name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ManagedResource {
    /// Type, model and serial number of the system: `8286-41A*2166661`.
    pub system: String,
    /// Part of it.
    pub part: ResourcePart,
}

impl fmt::Display for ManagedResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = &self.system;
        match self.part {
            ResourcePart::System => write!(formatter, "cec:{NAME_SPACE}|{system}|{SYSTEM_CLASS}"),
            ResourcePart::AllPartitions => {
                write!(formatter, "lpar:{NAME_SPACE}|{ALL_PARTITIONS}*{system}|{PARTITION_CLASS}")
            }
            ResourcePart::Partition(id) => {
                write!(formatter, "lpar:{NAME_SPACE}|{id}*{system}|{PARTITION_CLASS}")
            }
        }
    }
}

impl FromStr for ManagedResource {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        read(text).ok_or_else(|| Refusal::new(MessageKey::ResourceInvalid).with(text))
    }
}

fn read(text: &str) -> Option<ManagedResource> {
    let (kind, rest) = text.trim().split_once(':')?;
    let mut parts = rest.split('|');
    let (space, name, class) = (parts.next()?, parts.next()?, parts.next()?);
    if space != NAME_SPACE || parts.next().is_some() {
        return None;
    }
    let (part, identity) = match (kind, class) {
        ("cec", SYSTEM_CLASS) => (ResourcePart::System, name),
        ("lpar", PARTITION_CLASS) => {
            let (partition, identity) = name.split_once('*')?;
            let part = match partition {
                ALL_PARTITIONS => ResourcePart::AllPartitions,
                number => ResourcePart::Partition(number.parse().ok()?),
            };
            (part, identity)
        }
        _ => return None,
    };
    let identity: MachineIdentity = identity.parse().ok()?;
    Some(ManagedResource { system: identity.to_string(), part })
}

/// A managed resource role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRole {
    /// Name.
    pub name: String,
    /// What its users may reach.
    pub resources: BTreeSet<ManagedResource>,
}

/// What a user may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceScope {
    /// Every system with all its partitions.
    All,
    /// What a role names.
    Role(Arc<ResourceRole>),
    /// Nothing: the user or its role is gone.
    Nothing,
}

impl ResourceScope {
    fn has(&self, system: &str, part: ResourcePart) -> bool {
        match self {
            Self::All => true,
            Self::Role(role) => role.resources.contains(&ManagedResource { system: system.to_owned(), part }),
            Self::Nothing => false,
        }
    }

    /// Whether the system itself may be changed, and so all its partitions.
    #[must_use]
    pub fn allows_system(&self, system: &str) -> bool {
        self.has(system, ResourcePart::System)
    }

    /// Whether every partition of the system may be reached.
    #[must_use]
    pub fn allows_all_partitions(&self, system: &str) -> bool {
        self.allows_system(system) || self.has(system, ResourcePart::AllPartitions)
    }

    /// Whether a partition may be reached.
    #[must_use]
    pub fn allows_partition(&self, system: &str, id: PartitionId) -> bool {
        self.allows_all_partitions(system) || self.has(system, ResourcePart::Partition(id))
    }

    /// Whether anything of the system may be reached, so that it can be named.
    #[must_use]
    pub fn sees(&self, system: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Role(role) => {
                let first = ManagedResource { system: system.to_owned(), part: ResourcePart::System };
                role.resources.range(first..).next().is_some_and(|resource| resource.system == system)
            }
        }
    }

    /// Whether all that `resource` stands for may be reached.
    #[must_use]
    pub fn covers(&self, resource: &ManagedResource) -> bool {
        match resource.part {
            ResourcePart::System => self.allows_system(&resource.system),
            ResourcePart::AllPartitions => self.allows_all_partitions(&resource.system),
            ResourcePart::Partition(id) => self.allows_partition(&resource.system, id),
        }
    }

    /// Whether all that `other` may reach may be reached.
    #[must_use]
    pub fn covers_scope(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::Nothing) => true,
            (_, Self::All) => false,
            (own, Self::Role(role)) => role.resources.iter().all(|resource| own.covers(resource)),
        }
    }

    /// Leaves out of a listing what may not be reached. `asked` is what the user asked for: a partition that it named and
    /// may not reach is refused.
    ///
    /// # Errors
    /// [`MessageKey::NotAuthorized`].
    pub fn filter(
        &self,
        system: &str,
        asked: Option<&PartitionFilter>,
        mut reply: SystemReply,
    ) -> Result<SystemReply, Refusal> {
        if self.allows_all_partitions(system) {
            return Ok(reply);
        }
        let allowed = |id: PartitionId| self.allows_partition(system, id);
        let left_out = match &mut reply {
            SystemReply::Partitions { entries, .. } | SystemReply::Adapters { entries, .. } => {
                let before = entries.len();
                entries.retain(|entry| allowed(entry.partition.id));
                before != entries.len()
            }
            SystemReply::Network(report) => {
                let before = report.entries.len();
                report.entries.retain(|entry| allowed(entry.partition.id));
                report.virtual_nics.retain(|(id, ..)| allowed(*id));
                before != report.entries.len()
            }
            SystemReply::Profiles { profiles, .. } => {
                let before = profiles.len();
                profiles.retain(|(partition, _)| allowed(partition.id));
                before != profiles.len()
            }
            SystemReply::PortLogins(ports) => {
                let before = ports.len();
                ports.retain(|port| allowed(port.partition_id));
                before != ports.len()
            }
            SystemReply::Utilization(report) => {
                report.partitions.retain(|partition| allowed(partition.id));
                false
            }
            SystemReply::SystemProfiles { profiles, .. } => {
                profiles.retain(|profile| profile.members.iter().all(|member| allowed(member.partition)));
                false
            }
            SystemReply::Locks(locks) => {
                locks.retain(|lock| lock.partition.as_ref().is_none_or(|(id, _)| allowed(*id)));
                false
            }
            SystemReply::Done
            | SystemReply::System(_)
            | SystemReply::Errors { .. }
            | SystemReply::ProfileData(_)
            | SystemReply::TerminalClosed(_)
            | SystemReply::ClaimNeeded { .. } => false,
        };
        if left_out && matches!(asked, Some(PartitionFilter::Only(_))) {
            return Err(Refusal::new(MessageKey::NotAuthorized));
        }
        Ok(reply)
    }
}

/// The resource roles of a console besides `ALL:`.
pub(crate) struct ResourceRoles(RwLock<BTreeMap<String, Arc<ResourceRole>>>);

impl ResourceRoles {
    pub fn new(roles: Vec<ResourceRole>) -> Self {
        Self(RwLock::new(roles.into_iter().map(|role| (role.name.clone(), Arc::new(role))).collect()))
    }

    /// What the users of a role may reach; `None` when there is no such role.
    pub fn scope(&self, name: &str) -> Option<ResourceScope> {
        if name == ALL_RESOURCES { Some(ResourceScope::All) } else { self.get(name).map(ResourceScope::Role) }
    }

    pub fn get(&self, name: &str) -> Option<Arc<ResourceRole>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All roles in the order of their names.
    pub fn all(&self) -> Vec<Arc<ResourceRole>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn put(&self, role: ResourceRole) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(role.name.clone(), Arc::new(role));
    }

    pub fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "8286-41A*2166661";

    fn role(resources: &[&str]) -> ResourceScope {
        let resources = resources.iter().map(|text| text.parse().expect("resource")).collect();
        ResourceScope::Role(Arc::new(ResourceRole { name: "r".to_owned(), resources }))
    }

    #[test]
    fn resources_are_read_as_they_are_written() {
        for text in [
            "cec:root/ibmhscS1_0|8286-41A*2166661|IBMHSC_ComputerSystem",
            "lpar:root/ibmhscS1_0|ALL_PARTITIONS*9131-52A*6535CCG|IBMHSC_Partition",
            "lpar:root/ibmhscS1_0|5*9131-52A*6535CCG|IBMHSC_Partition",
        ] {
            assert_eq!(text.parse::<ManagedResource>().expect("resource").to_string(), text);
        }
        for text in [
            "",
            "cec:",
            "cec:root/ibmhscS1_0|8286-41A*2166661|IBMHSC_Partition",
            "lpar:root/ibmhscS1_0|8286-41A*2166661|IBMHSC_Partition",
            "lpar:root/ibmhscS1_0|0*8286-41A*2166661|IBMHSC_Partition",
            "lpar:root/ibmhscS1_0|5*8286-41A*2166661|IBMHSC_Partition|x",
            "cec:root/other|8286-41A*2166661|IBMHSC_ComputerSystem",
            "frame:root/ibmhscS1_0|8286-41A*2166661|IBMHSC_Frame",
        ] {
            assert!(text.parse::<ManagedResource>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_system_has_its_partitions_and_partitions_have_not_their_system() {
        let whole = role(&["cec:root/ibmhscS1_0|8286-41A*2166661|IBMHSC_ComputerSystem"]);
        let all = role(&["lpar:root/ibmhscS1_0|ALL_PARTITIONS*8286-41A*2166661|IBMHSC_Partition"]);
        let one = role(&["lpar:root/ibmhscS1_0|5*8286-41A*2166661|IBMHSC_Partition"]);
        let (five, six) = (PartitionId(5), PartitionId(6));
        for (scope, system, other) in [(&whole, true, true), (&all, false, true), (&one, false, false)] {
            assert!(scope.sees(SYSTEM) && !scope.sees("8286-41A*2166662") && !scope.sees("8286-41A*216666"));
            assert_eq!(scope.allows_system(SYSTEM), system);
            assert!(scope.allows_partition(SYSTEM, five));
            assert_eq!(scope.allows_partition(SYSTEM, six), other);
            assert!(ResourceScope::All.covers_scope(scope) && !scope.covers_scope(&ResourceScope::All));
            assert!(scope.covers_scope(&ResourceScope::Nothing) && !ResourceScope::Nothing.sees(SYSTEM));
        }
        assert!(whole.covers_scope(&all) && all.covers_scope(&one) && whole.covers_scope(&one));
        assert!(!all.covers_scope(&whole) && !one.covers_scope(&all));
    }
}
