//! Attribute tables: each resource of the command line is described once, as static records.
//!
//! From a table come `-F`, `--header`, the default listing in its order, what `-i` and `-a` may set, the error for an
//! unknown or read-only attribute, the help text and the coverage test. Adding an attribute is one record.

pub mod firmware;
pub mod ibm_i;
pub mod io;
pub mod memory;
pub mod partition;
pub mod port_login;
pub mod processor;
pub mod profile;
pub mod sriov;
pub mod system;
pub mod virtual_io;
pub mod vnic;

use crate::codes::{Evidence, MessageKey};
use crate::record::{join_list, push_field, push_value};
use crate::refusal::Refusal;

/// A console release: version, release digits as in `V8R8.6.0` -> `(8, 8, 6, 0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(pub u8, pub u8, pub u8, pub u8);

impl Release {
    /// For attributes that every console has.
    pub const ANY: Self = Self(0, 0, 0, 0);
}

/// The value of an attribute of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A plain text or number.
    Text(String),
    /// A list; elements are quoted as needed.
    List(Vec<String>),
    /// Does not apply to this row: left out of the default listing, `null` with `-F`.
    NotApplicable,
}

impl Value {
    /// A value from anything that prints.
    pub fn of(value: impl std::fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    /// `1` or `0`.
    #[must_use]
    pub fn flag(value: bool) -> Self {
        Self::Text(if value { "1" } else { "0" }.to_owned())
    }

    /// The value, or the word `none`.
    #[must_use]
    pub fn or_none(value: Option<impl std::fmt::Display>) -> Self {
        Self::Text(value.map_or_else(|| "none".to_owned(), |value| value.to_string()))
    }

    /// A list, or the word `none` when it is empty.
    #[must_use]
    pub fn list(elements: Vec<String>) -> Self {
        if elements.is_empty() { Self::Text("none".to_owned()) } else { Self::List(elements) }
    }

    /// The text without outer quoting; `None` when it does not apply.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::List(elements) => Some(join_list(elements)),
            Self::NotApplicable => None,
        }
    }
}

/// Where an attribute is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// In the default listing and with `-F`.
    Default,
    /// Only when `-F` asks for it.
    OnRequest,
    /// Never listed: it can only be set (`new_name`, `profile_name`).
    Never,
}

/// Who may change an attribute, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nobody.
    ReadOnly,
    /// Only the command that creates the resource.
    AtCreation,
    /// Any time.
    Anytime,
    /// At creation, and later while the partition is shut down.
    WhenShutDown,
}

/// One attribute of a resource whose rows are `Row`.
pub struct Attribute<Row: 'static> {
    /// Name.
    pub name: &'static str,
    /// Reads the value from a row.
    pub read: fn(&Row) -> Value,
    /// Where it is listed.
    pub listing: Listing,
    /// Who may change it.
    pub change: Change,
    /// First console release that has it.
    pub since: Release,
    /// How sure the name and its place are.
    pub evidence: Evidence,
    /// One line of help.
    pub help: &'static str,
}

// A record of plain values, whatever its rows are.
impl<Row: 'static> Clone for Attribute<Row> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Row: 'static> Copy for Attribute<Row> {}

impl<Row: 'static> Attribute<Row> {
    /// An attribute of the default listing that cannot be changed.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str, read: fn(&Row) -> Value) -> Self {
        Self {
            name,
            read,
            listing: Listing::Default,
            change: Change::ReadOnly,
            since: Release::ANY,
            evidence: Evidence::Captured,
            help,
        }
    }

    /// Listed only when `-F` asks for it.
    #[must_use]
    pub const fn on_request(mut self) -> Self {
        self.listing = Listing::OnRequest;
        self
    }

    /// Never listed.
    #[must_use]
    pub const fn unlisted(mut self) -> Self {
        self.listing = Listing::Never;
        self
    }

    /// May be changed so.
    #[must_use]
    pub const fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }

    /// Exists since that console release.
    #[must_use]
    pub const fn since(mut self, release: Release) -> Self {
        self.since = release;
        self
    }

    /// Of this platform alone.
    #[must_use]
    pub const fn own(mut self) -> Self {
        self.evidence = Evidence::Own;
        self
    }

    /// The name or its place is not verified.
    #[must_use]
    pub const fn unverified(mut self) -> Self {
        self.evidence = Evidence::Unverified;
        self
    }
}

/// A resource: its attributes in the order of the default listing.
pub struct Table<Row: 'static> {
    /// Name for help and tests, such as `lpar`.
    pub name: &'static str,
    /// Attributes.
    pub attributes: &'static [Attribute<Row>],
}

impl<Row: 'static> Table<Row> {
    /// The attribute of that name, if the console's release has it.
    #[must_use]
    pub fn find(&self, name: &str, release: Release) -> Option<&'static Attribute<Row>> {
        self.attributes.iter().find(|attribute| attribute.name == name && attribute.since <= release)
    }

    /// The default listing line of a row.
    #[must_use]
    pub fn line(&self, row: &Row, release: Release) -> String {
        let mut line = String::with_capacity(1_024);
        for attribute in self.attributes {
            if attribute.listing != Listing::Default || attribute.since > release {
                continue;
            }
            if let Some(value) = (attribute.read)(row).text() {
                if !line.is_empty() {
                    line.push(',');
                }
                push_field(&mut line, attribute.name, &value);
            }
        }
        line
    }

    /// Chooses the columns of `-F`: no names means all.
    ///
    /// # Errors
    /// [`MessageKey::AttributeInvalid`] naming the first unknown attribute.
    pub fn select(&self, names: &FieldNames, release: Release) -> Result<Selection<Row>, Refusal> {
        let attributes = if names.names.is_empty() {
            let listed = |one: &&Attribute<Row>| one.listing != Listing::Never && one.since <= release;
            self.attributes.iter().filter(listed).collect()
        } else {
            let find = |name: &String| match self.find(name, release) {
                Some(attribute) if attribute.listing != Listing::Never => Ok(attribute),
                _ => Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
            };
            names.names.iter().map(find).collect::<Result<Vec<_>, _>>()?
        };
        Ok(Selection { attributes, delimiter: names.delimiter })
    }
}

/// The argument of `-F`: names and what separates them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNames {
    /// Names in order; empty for all.
    pub names: Vec<String>,
    /// What separates names and so values.
    pub delimiter: char,
}

impl FieldNames {
    /// Reads the argument; the first character that no name has is the delimiter.
    #[must_use]
    pub fn parse(argument: &str) -> Self {
        let in_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let delimiter = argument.chars().find(|&character| !in_name(character)).unwrap_or(',');
        let names = argument
            .split(delimiter)
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        Self { names, delimiter }
    }
}

/// Chosen columns.
pub struct Selection<Row: 'static> {
    attributes: Vec<&'static Attribute<Row>>,
    delimiter: char,
}

impl<Row: 'static> Selection<Row> {
    /// The line that `--header` prints.
    #[must_use]
    pub fn header(&self) -> String {
        let names: Vec<&str> = self.attributes.iter().map(|attribute| attribute.name).collect();
        names.join(&self.delimiter.to_string())
    }

    /// The values of a row.
    #[must_use]
    pub fn line(&self, row: &Row) -> String {
        let mut line = String::new();
        for (index, attribute) in self.attributes.iter().enumerate() {
            if index > 0 {
                line.push(self.delimiter);
            }
            match (attribute.read)(row).text() {
                Some(value) => push_value(&mut line, &value, self.delimiter),
                None => line.push_str("null"),
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_of_f_is_what_stands_between_names() {
        let read = |text: &str| FieldNames::parse(text);
        assert_eq!(
            read("name,state"),
            FieldNames { names: vec!["name".into(), "state".into()], delimiter: ',' }
        );
        assert_eq!(read("name:state").delimiter, ':');
        assert_eq!(read("name state").delimiter, ' ');
        assert_eq!(read("name").names, ["name"]);
        assert!(read("").names.is_empty());
    }

    #[test]
    fn tables_have_no_name_twice() {
        fn check<Row>(table: &Table<Row>) {
            let mut names: Vec<&str> = table.attributes.iter().map(|attribute| attribute.name).collect();
            names.sort_unstable();
            for pair in names.windows(2) {
                assert_ne!(pair[0], pair[1], "in {}", table.name);
            }
        }
        check(&system::SYSTEM);
        check(&firmware::FIRMWARE);
        check(&port_login::PORT_LOGINS);
        check(&firmware::FIRMWARE_REPOSITORY);
        check(&partition::PARTITION);
        check(&profile::PROFILE);
        check(&memory::SYSTEM_MEMORY);
        check(&memory::PARTITION_MEMORY);
        check(&memory::MEMORY_POOLS);
        check(&memory::PAGING_DEVICES);
        check(&processor::SYSTEM_PROCESSORS);
        check(&processor::PARTITION_PROCESSORS);
        check(&processor::POOL_PROCESSORS);
        check(&processor::PROCESSOR_POOLS);
        check(&io::IO_SLOTS);
        check(&io::IO_UNITS);
        check(&io::IO_BUSES);
        check(&io::IO_SLOT_CHILDREN);
        check(&io::IO_POOLS);
        check(&io::SYSTEM_IO_POOLS);
        check(&ibm_i::TAGGED_IO);
        check(&ibm_i::VIRTUAL_OPTICONNECT);
        check(&ibm_i::HSL_OPTICONNECT);
        check(&virtual_io::SYSTEM_ETHERNET);
        check(&virtual_io::ETHERNET);
        check(&virtual_io::SCSI);
        check(&virtual_io::FIBRE_CHANNEL);
        check(&virtual_io::SERIAL);
        check(&virtual_io::PARTITION_SLOTS);
        check(&virtual_io::SLOTS);
        check(&virtual_io::VIRTUAL_SWITCHES);
        check(&virtual_io::VIRTUAL_NETWORKS);
        check(&sriov::SRIOV_ADAPTERS);
        check(&sriov::PHYSICAL_PORTS);
        check(&sriov::PHYSICAL_PORT_STATISTICS);
        check(&sriov::UNCONFIGURED_PORTS);
        check(&sriov::LOGICAL_PORTS);
        check(&sriov::LOGICAL_PORT_STATISTICS);
        check(&vnic::VNICS);
        check(&vnic::VNIC_BACKING_DEVICES);
    }
}
