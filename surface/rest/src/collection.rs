//! Which objects a path is about.

use varan_model::codes::MessageKey;

use crate::failure::Failure;

/// A type, and whether this level has objects of it.
type Known = (&'static str, bool);

/// Types whose objects stand for themselves. Types that real consoles have and of which this level has no object have
/// empty feeds.
const ROOTS: &[Known] = &[
    ("ManagementConsole", true),
    ("ManagedSystem", true),
    ("LogicalPartition", true),
    ("VirtualIOServer", true),
    ("Cluster", false),
    ("SharedStoragePool", false),
    ("Tier", false),
    ("PowerEnterprisePool", false),
    ("Group", false),
    ("ManagedFrame", false),
];

/// Types below the console.
const OF_CONSOLE: &[Known] = &[("ManagedSystem", true)];

/// Types below a system.
const OF_SYSTEM: &[Known] = &[
    ("LogicalPartition", true),
    ("VirtualIOServer", true),
    ("VirtualSwitch", true),
    ("VirtualNetwork", true),
    ("SharedProcessorPool", true),
    ("SharedMemoryPool", false),
    ("NetworkBridge", false),
    ("ReservedStorageDevicePool", false),
    ("PersistentMemoryDevice", false),
    ("VirtualSerialNumber", false),
];

/// Types below a partition.
const OF_PARTITION: &[Known] = &[
    ("LogicalPartitionProfile", true),
    ("ClientNetworkAdapter", true),
    ("VirtualSCSIClientAdapter", true),
    ("VirtualFibreChannelClientAdapter", true),
    ("VirtualNICDedicated", false),
    ("SRIOVEthernetLogicalPort", false),
    ("SRIOVRoCELogicalPort", false),
    ("SRIOVFibreChannelOverEthernetLogicalPort", false),
    ("VirtualPersistentMemoryVolume", false),
];

/// Types below a Virtual I/O Server and below no other partition.
const OF_SERVER: &[Known] = &[("VolumeGroup", false)];

/// Types below objects that this level does not have.
const OF_OTHERS: &[(&str, &[Known])] = &[
    ("Cluster", &[("LogicalUnit", false)]),
    ("SharedStoragePool", &[("LogicalUnit", false)]),
    ("Tier", &[("LogicalUnit", false)]),
    ("PowerEnterprisePool", &[("PowerEnterprisePoolMember", false)]),
];

/// Whether a type is known below a type, and whether this level has objects of it.
fn below(kind: &str, child: &str) -> Option<bool> {
    let lists: &[&[Known]] = match kind {
        "ManagementConsole" => &[OF_CONSOLE],
        "ManagedSystem" => &[OF_SYSTEM],
        "LogicalPartition" => &[OF_PARTITION],
        "VirtualIOServer" => &[OF_PARTITION, OF_SERVER],
        _ => {
            let (_, list) = OF_OTHERS.iter().find(|(parent, _)| *parent == kind)?;
            &[list]
        }
    };
    lists.iter().copied().flatten().find(|(name, _)| *name == child).map(|(_, here)| *here)
}

/// Objects of one type, all of them or those below another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Type.
    pub kind: String,
    /// Type and identity of the object that they are below.
    pub within: Option<(String, String)>,
    /// The type is known and has no objects here.
    pub empty: bool,
}

impl Collection {
    /// Takes the type, and the object that it is below, from the beginning of a path.
    ///
    /// # Errors
    /// 400 when a type does not exist here.
    pub fn parse<'a, 'b>(path: &'a [&'b str]) -> Result<(Self, &'a [&'b str]), Failure> {
        let unknown = |kind: &str| Failure::new(400, MessageKey::RestTypeUnknown).with(kind);
        let Some((kind, rest)) = path.split_first() else { return Err(unknown("")) };
        let Some((_, here)) = ROOTS.iter().find(|(name, _)| name == kind) else { return Err(unknown(kind)) };
        if let [id, child, after @ ..] = rest
            && !matches!(*id, "quick" | "search")
            && *child != "quick"
        {
            let here = below(kind, child)
                .ok_or_else(|| Failure::new(400, MessageKey::RestChildUnknown).with(child).with(kind))?;
            let within = Some(((*kind).to_owned(), (*id).to_owned()));
            return Ok((Self { kind: (*child).to_owned(), within, empty: !here }, after));
        }
        Ok((Self { kind: (*kind).to_owned(), within: None, empty: !here }, rest))
    }

    /// Path below `uom/`.
    pub fn path(&self) -> String {
        match &self.within {
            Some((kind, id)) => format!("{kind}/{id}/{}", self.kind),
            None => self.kind.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections() {
        let parse = |path: &[&str]| {
            let (collection, rest) = Collection::parse(path).ok()?;
            Some((collection.path(), collection.empty, rest.len()))
        };
        let found = |path: &str, empty, rest| Some((path.to_owned(), empty, rest));
        assert_eq!(parse(&["ManagedSystem"]), found("ManagedSystem", false, 0));
        assert_eq!(parse(&["ManagedSystem", "x"]), found("ManagedSystem", false, 1));
        assert_eq!(parse(&["ManagedSystem", "quick", "All"]), found("ManagedSystem", false, 2));
        assert_eq!(parse(&["ManagedSystem", "x", "quick", "State"]), found("ManagedSystem", false, 3));
        assert_eq!(
            parse(&["ManagedSystem", "x", "VirtualSwitch"]),
            found("ManagedSystem/x/VirtualSwitch", false, 0)
        );
        assert_eq!(
            parse(&["ManagedSystem", "x", "LogicalPartition", "quick", "All"]),
            found("ManagedSystem/x/LogicalPartition", false, 2)
        );
        assert_eq!(
            parse(&["LogicalPartition", "x", "VirtualNICDedicated"]),
            found("LogicalPartition/x/VirtualNICDedicated", true, 0)
        );
        assert_eq!(parse(&["Cluster"]), found("Cluster", true, 0));
        assert_eq!(parse(&["Job"]), None);
        assert_eq!(parse(&["ManagedSystem", "x", "Job"]), None);
        assert_eq!(
            parse(&["ManagementConsole", "x", "ManagedSystem", "y"]),
            found("ManagementConsole/x/ManagedSystem", false, 1)
        );
        assert_eq!(parse(&["LogicalPartition", "x", "VolumeGroup"]), None);
        assert_eq!(
            parse(&["VirtualIOServer", "x", "VolumeGroup"]),
            found("VirtualIOServer/x/VolumeGroup", true, 0)
        );
        assert_eq!(parse(&["Tier", "x", "LogicalUnit"]), found("Tier/x/LogicalUnit", true, 0));
    }
}
