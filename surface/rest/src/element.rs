//! The tables that map the model to elements, and how they are written.
//!
//! An element is described once: name, the letters that say when it may be written, the version since which it exists,
//! the group that it belongs to, and where its value comes from. Order in a table is order in the document.

use crate::query::Groups;
use crate::xml::{SchemaVersion, XmlWriter};

/// Extended attribute groups (`group=` of a request).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Always there.
    Base,
    /// There unless the request asks for other groups only.
    Hypervisor,
    /// Likewise.
    SystemNetwork,
    /// Storage of a Virtual I/O Server.
    ViosStorage,
    /// Networks of a Virtual I/O Server.
    ViosNetwork,
    /// Virtual SCSI mappings of a Virtual I/O Server.
    ViosScsiMapping,
    /// Virtual Fibre Channel mappings of a Virtual I/O Server.
    ViosFcMapping,
    /// What costs more to find out.
    Advanced,
}

impl Group {
    /// Name in the `group` query and attribute.
    pub fn word(self) -> &'static str {
        match self {
            Self::Base => "None",
            Self::Hypervisor => "Hypervisor",
            Self::SystemNetwork => "SystemNetwork",
            Self::ViosStorage => "ViosStorage",
            Self::ViosNetwork => "ViosNetwork",
            Self::ViosScsiMapping => "ViosSCSIMapping",
            Self::ViosFcMapping => "ViosFCMapping",
            Self::Advanced => "Advanced",
        }
    }
}

/// Where the value of an element comes from; `C` is what the document is about.
pub enum Content<C: 'static> {
    /// One value, or nothing.
    Text(fn(&C) -> Option<String>),
    /// The element again for each value.
    Texts(fn(&C) -> Vec<String>),
    /// Further elements inside, if the condition holds.
    Section(&'static [Element<C>], fn(&C) -> bool),
    /// A link to another object.
    Reference(fn(&C) -> Option<String>),
    /// Links to other objects inside.
    Links(fn(&C) -> Vec<String>),
    /// Something whose content another table describes.
    Nested(fn(&C, &mut XmlWriter, Groups)),
}

/// One element of a document.
pub struct Element<C: 'static> {
    name: &'static str,
    /// `kb`: create, update, read; recorded with each element of real answers.
    behaviour: &'static str,
    /// `kxe`: excluded from the entity tag.
    excluded: bool,
    since: Option<SchemaVersion>,
    group: Group,
    content: Content<C>,
}

impl<C> Element<C> {
    const fn new(name: &'static str, behaviour: &'static str, content: Content<C>) -> Self {
        Self { name, behaviour, excluded: false, since: None, group: Group::Base, content }
    }

    /// Marks an element that changes without changing the entity tag.
    pub const fn excluded(mut self) -> Self {
        self.excluded = true;
        self
    }

    /// Exists since a version of the object model, and says so.
    pub const fn since(mut self, minor: u8, fix: u8) -> Self {
        self.since = Some(SchemaVersion(1, minor, fix));
        self
    }

    /// Belongs to a group.
    pub const fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }
}

/// A value.
pub const fn text<C>(
    name: &'static str,
    behaviour: &'static str,
    value: fn(&C) -> Option<String>,
) -> Element<C> {
    Element::new(name, behaviour, Content::Text(value))
}

/// Several values.
pub const fn texts<C>(
    name: &'static str,
    behaviour: &'static str,
    values: fn(&C) -> Vec<String>,
) -> Element<C> {
    Element::new(name, behaviour, Content::Texts(values))
}

/// Elements inside an element.
pub const fn section<C>(
    name: &'static str,
    behaviour: &'static str,
    elements: &'static [Element<C>],
) -> Element<C> {
    Element::new(name, behaviour, Content::Section(elements, |_| true))
}

/// Elements inside an element that is not always there.
pub const fn section_if<C>(
    name: &'static str,
    behaviour: &'static str,
    condition: fn(&C) -> bool,
    elements: &'static [Element<C>],
) -> Element<C> {
    Element::new(name, behaviour, Content::Section(elements, condition))
}

/// A link to another object.
pub const fn reference<C>(
    name: &'static str,
    behaviour: &'static str,
    href: fn(&C) -> Option<String>,
) -> Element<C> {
    Element::new(name, behaviour, Content::Reference(href))
}

/// Links to other objects.
pub const fn links<C>(
    name: &'static str,
    behaviour: &'static str,
    hrefs: fn(&C) -> Vec<String>,
) -> Element<C> {
    Element::new(name, behaviour, Content::Links(hrefs))
}

/// Objects inside an object.
pub const fn nested<C>(
    name: &'static str,
    behaviour: &'static str,
    write: fn(&C, &mut XmlWriter, Groups),
) -> Element<C> {
    Element::new(name, behaviour, Content::Nested(write))
}

/// Writes the elements of a table.
pub fn write<C>(elements: &[Element<C>], context: &C, groups: Groups, writer: &mut XmlWriter) {
    for element in elements {
        let known = element.since.is_none_or(|since| since <= writer.schema);
        if known && groups.include(element.group) {
            write_one(element, context, groups, writer);
        }
    }
}

fn write_one<C>(element: &Element<C>, context: &C, groups: Groups, writer: &mut XmlWriter) {
    let since = element.since.map(|since| since.to_string());
    let mut attributes: Vec<(&str, &str)> = Vec::with_capacity(6);
    if element.group != Group::Base {
        attributes.push(("group", element.group.word()));
    }
    if let Some(since) = &since {
        attributes.push(("ksv", since));
    }
    attributes.push(("kb", element.behaviour));
    attributes.push(("kxe", if element.excluded { "true" } else { "false" }));
    match &element.content {
        Content::Text(value) => {
            if let Some(value) = value(context) {
                writer.text(element.name, &attributes, &value);
            }
        }
        Content::Texts(values) => {
            for value in values(context) {
                writer.text(element.name, &attributes, &value);
            }
        }
        Content::Section(inner, condition) => {
            if condition(context) {
                open_section(element.name, attributes, writer);
                write(inner, context, groups, writer);
                writer.close(element.name);
            }
        }
        Content::Reference(href) => {
            if let Some(href) = href(context) {
                attributes.extend([("href", href.as_str()), ("rel", "related")]);
                writer.empty(element.name, &attributes);
            }
        }
        Content::Links(hrefs) => {
            let hrefs = hrefs(context);
            if hrefs.is_empty() {
                return writer.empty(element.name, &attributes);
            }
            writer.open(element.name, &attributes);
            for href in &hrefs {
                writer.empty("link", &[("href", href), ("rel", "related")]);
            }
            writer.close(element.name);
        }
        Content::Nested(write) => {
            open_section(element.name, attributes, writer);
            write(context, writer, groups);
            writer.close(element.name);
        }
    }
}

fn open_section<'a>(name: &str, mut attributes: Vec<(&'a str, &'a str)>, writer: &mut XmlWriter) {
    let schema = writer.schema.to_string();
    let mut with_schema: Vec<(&str, &str)> = std::mem::take(&mut attributes);
    with_schema.push(("schemaVersion", &schema));
    writer.open(name, &with_schema);
    writer.metadata();
}

/// Writes an object inside an object: `<name schemaVersion="..."><Metadata><Atom/></Metadata>...</name>`.
pub fn write_inner<C>(
    name: &str,
    elements: &[Element<C>],
    context: &C,
    groups: Groups,
    writer: &mut XmlWriter,
) {
    open_section(name, Vec::new(), writer);
    write(elements, context, groups, writer);
    writer.close(name);
}

/// Names of a table's elements with those inside, `Outer/Inner`, in their order, for comparison with recorded data.
pub fn names<C>(elements: &[Element<C>], prefix: &str, found: &mut Vec<(String, &'static str)>) {
    for element in elements {
        let path = format!("{prefix}{}", element.name);
        found.push((path.clone(), element.behaviour));
        if let Content::Section(inner, _) = &element.content {
            names(inner, &format!("{path}/"), found);
        }
    }
}
