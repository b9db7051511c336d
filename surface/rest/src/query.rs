//! What follows the `?` of a request.

use crate::element::Group;

/// Which extended attribute groups an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups(u16);

/// Groups that tables use; those that a request does not name are left out.
const GROUPS: [Group; 8] = [
    Group::Hypervisor,
    Group::SystemNetwork,
    Group::ViosStorage,
    Group::ViosNetwork,
    Group::ViosScsiMapping,
    Group::ViosFcMapping,
    Group::Vnic,
    Group::Advanced,
];

/// Names that a request may give; those that the model has nothing for add nothing.
const NAMES: [&str; 13] = [
    "None",
    "Advanced",
    "EnergyManagement",
    "Hypervisor",
    "NVRAM",
    "SystemNetwork",
    "TierThreshold",
    "VNIC",
    "ViosFCMapping",
    "ViosNetwork",
    "ViosSCSIMapping",
    "ViosStorage",
    "All",
];

impl Groups {
    /// What a request without `group` gets: everything, as recorded.
    pub const ALL: Self = Self(u16::MAX);

    /// Reads the values of all `group` queries of a request; everything without any. Each may be a list. What belongs to no
    /// group is always there.
    ///
    /// # Errors
    /// The name that is no group.
    pub fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut named = values.flat_map(|value| value.split(',')).map(without_key).peekable();
        if named.peek().is_none() {
            return Ok(Self::ALL);
        }
        let mut groups = Self(1 << Group::Base as u16);
        for name in named {
            if !NAMES.contains(&name) {
                return Err(name.to_owned());
            }
            if name == "All" {
                groups = Self::ALL;
            }
            if let Some(group) = GROUPS.into_iter().find(|group| group.word() == name) {
                groups.0 |= 1 << group as u16;
            }
        }
        Ok(groups)
    }

    /// Whether elements of a group are written.
    pub fn include(self, group: Group) -> bool {
        self.0 & (1 << group as u16) != 0
    }
}

/// Links of answers repeat the query's name in a list, `group=A,group=B`; it must be possible to follow them.
fn without_key(name: &str) -> &str {
    name.strip_prefix("group=").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read() {
        let parse = |values: &[&str]| Groups::parse(values.iter().copied());
        assert_eq!(parse(&[]), Ok(Groups::ALL));
        assert!(parse(&[]).expect("groups").include(Group::Advanced));
        let none = parse(&["None"]).expect("groups");
        assert!(none.include(Group::Base) && !none.include(Group::Hypervisor));
        assert!(GROUPS.into_iter().all(|group| !none.include(group)));
        let network = parse(&["SystemNetwork"]).expect("groups");
        assert!(network.include(Group::SystemNetwork) && !network.include(Group::Hypervisor));
        let two = parse(&["ViosFCMapping,ViosSCSIMapping"]).expect("groups");
        assert!(two.include(Group::ViosFcMapping) && two.include(Group::ViosScsiMapping));
        assert!(!two.include(Group::ViosNetwork));
        assert!(parse(&["None", "ViosStorage"]).expect("groups").include(Group::ViosStorage));
        assert_eq!(parse(&["All"]), Ok(Groups::ALL));
        assert_eq!(parse(&["ViosNetwork,group=VNIC"]), parse(&["ViosNetwork", "VNIC"]));
        assert_eq!(parse(&["ViosStorage,Nothing"]), Err("Nothing".to_owned()));
    }
}
