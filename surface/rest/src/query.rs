//! What follows the `?` of a request.

use crate::element::Group;

/// Which extended attribute groups an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups(u16);

/// Groups that are left out by `group=None`: those that a Virtual I/O Server must be asked for, or that cost time.
const ON_REQUEST: [Group; 5] =
    [Group::ViosStorage, Group::ViosNetwork, Group::ViosScsiMapping, Group::ViosFcMapping, Group::Advanced];

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
    /// What a request without `group` gets: everything but what is called advanced.
    pub const DEFAULT: Self = Self(!(1 << Group::Advanced as u16));
    /// Everything.
    #[cfg(test)]
    pub const ALL: Self = Self(u16::MAX);

    /// Reads the values of all `group` queries of a request; `None` without any. Each may be a list.
    ///
    /// # Errors
    /// The name that is no group.
    pub fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut named = values.flat_map(|value| value.split(',')).peekable();
        if named.peek().is_none() {
            return Ok(Self::DEFAULT);
        }
        let mut groups = Self(u16::MAX);
        for group in ON_REQUEST {
            groups.0 &= !(1 << group as u16);
        }
        for name in named {
            if !NAMES.contains(&name) {
                return Err(name.to_owned());
            }
            if name == "All" {
                groups = Self(u16::MAX);
            }
            if let Some(group) = ON_REQUEST.into_iter().find(|group| group.word() == name) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read() {
        let parse = |values: &[&str]| Groups::parse(values.iter().copied());
        assert_eq!(parse(&[]), Ok(Groups::DEFAULT));
        assert!(parse(&[]).expect("groups").include(Group::ViosStorage));
        let none = parse(&["None"]).expect("groups");
        assert!(
            !none.include(Group::ViosStorage) && none.include(Group::Hypervisor) && none.include(Group::Base)
        );
        let two = parse(&["ViosFCMapping,ViosSCSIMapping"]).expect("groups");
        assert!(two.include(Group::ViosFcMapping) && two.include(Group::ViosScsiMapping));
        assert!(!two.include(Group::ViosNetwork));
        assert!(parse(&["None", "ViosStorage"]).expect("groups").include(Group::ViosStorage));
        assert_eq!(parse(&["All"]), Ok(Groups::ALL));
        assert_eq!(parse(&["ViosStorage,Nothing"]), Err("Nothing".to_owned()));
    }
}
