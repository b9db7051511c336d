//! Rules that span sections: names used once, and references that lead somewhere.

use std::collections::HashMap;

use super::error::{SiteError, SiteProblem};
use super::reader::{Place, error_at};

/// A space in which each value may be given once and may be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NameSpace {
    /// What `-m` takes: names, aliases and type-model*serial of managed systems.
    ManagedSystem,
    /// Names only, to which other sections refer.
    ManagedSystemName,
    SerialNumber,
    Console,
    ConsoleMachine,
    User,
    ListenAddress,
    Partition,
    PartitionId,
    VirtualSwitch,
    Unit,
    Slot,
    DrcIndex,
    SriovAdapter,
    AdapterPort,
    CableEnd,
    MacAddress,
    WorldWidePortName,
    SanDisk,
    Udid,
    PhysicalVolumeIdentifier,
    LogicalUnitNumber,
    DiskLocation,
    DeviceName,
    Switch,
    SwitchPort,
    OutsideHost,
    IpAddress,
    UnitTemplate,
    PartitionTemplate,
    Bridge,
}

impl NameSpace {
    fn what(self) -> &'static str {
        match self {
            Self::ManagedSystem | Self::ManagedSystemName => "managed system",
            Self::SerialNumber => "serial number",
            Self::Console => "console",
            Self::ConsoleMachine => "console machine",
            Self::User => "user",
            Self::ListenAddress => "listen address",
            Self::Partition => "partition",
            Self::PartitionId => "partition ID",
            Self::VirtualSwitch => "virtual switch",
            Self::Unit => "unit",
            Self::Slot => "slot",
            Self::DrcIndex => "DRC index",
            Self::SriovAdapter => "SR-IOV adapter ID",
            Self::AdapterPort => "adapter port",
            Self::CableEnd => "cable end",
            Self::MacAddress => "MAC address",
            Self::WorldWidePortName => "world-wide port name",
            Self::SanDisk => "SAN disk",
            Self::Udid => "UDID",
            Self::PhysicalVolumeIdentifier => "physical volume identifier",
            Self::LogicalUnitNumber => "logical unit number",
            Self::DiskLocation => "disk location",
            Self::DeviceName => "device name",
            Self::Switch => "switch",
            Self::SwitchPort => "switch port",
            Self::OutsideHost => "outside host",
            Self::IpAddress => "IP address",
            Self::UnitTemplate => "unit template",
            Self::PartitionTemplate => "partition template",
            Self::Bridge => "port of a Shared Ethernet Adapter",
        }
    }
}

struct Reference {
    space: NameSpace,
    scope: String,
    value: String,
    place: Place,
}

/// What has been named and referred to so far. A scope is the name of the managed system, switch or
/// console inside which a value must be unique; it is empty for what is unique in the site.
pub(super) struct Checks<'f> {
    file: &'f str,
    claims: HashMap<(NameSpace, String, String), usize>,
    references: Vec<Reference>,
}

impl<'f> Checks<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, claims: HashMap::new(), references: Vec::new() }
    }

    pub(super) fn file(&self) -> &'f str {
        self.file
    }

    pub(super) fn error(&self, place: &Place, problem: SiteProblem) -> SiteError {
        error_at(self.file, place, problem)
    }

    /// Takes a value in a name space. Fails where another place has it.
    pub(super) fn claim(
        &mut self,
        space: NameSpace,
        scope: &str,
        value: &str,
        place: &Place,
    ) -> Result<(), SiteError> {
        let key = (space, scope.to_owned(), value.to_owned());
        if let Some(first_line) = self.claims.get(&key) {
            let (value, first_line) = (value.to_owned(), *first_line);
            return Err(self.error(place, SiteProblem::Duplicate { what: space.what(), value, first_line }));
        }
        self.claims.insert(key, place.line);
        Ok(())
    }

    /// True where the value is taken.
    pub(super) fn is_claimed(&self, space: NameSpace, scope: &str, value: &str) -> bool {
        self.claims.contains_key(&(space, scope.to_owned(), value.to_owned()))
    }

    /// Notes a reference, to be checked when the whole file has been read.
    pub(super) fn refer(&mut self, space: NameSpace, scope: &str, value: &str, place: &Place) {
        let (scope, value, place) = (scope.to_owned(), value.to_owned(), place.clone());
        self.references.push(Reference { space, scope, value, place });
    }

    /// The error of a reference that leads nowhere.
    pub(super) fn unknown(&self, space: NameSpace, value: &str, place: &Place) -> SiteError {
        self.error(place, SiteProblem::UnknownReference { what: space.what(), value: value.to_owned() })
    }

    /// Checks the noted references. The uppermost wrong one is reported.
    pub(super) fn resolve(&self) -> Result<(), SiteError> {
        let wrong = self
            .references
            .iter()
            .filter(|reference| !self.is_claimed(reference.space, &reference.scope, &reference.value))
            .min_by_key(|reference| reference.place.line);
        match wrong {
            None => Ok(()),
            Some(reference) => Err(self.unknown(reference.space, &reference.value, &reference.place)),
        }
    }
}
