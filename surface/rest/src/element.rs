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
    /// What the hypervisor is asked for.
    Hypervisor,
    /// Virtual networks of a system.
    SystemNetwork,
    /// Storage of a Virtual I/O Server.
    ViosStorage,
    /// Networks of a Virtual I/O Server.
    ViosNetwork,
    /// Virtual SCSI mappings of a Virtual I/O Server.
    ViosScsiMapping,
    /// Virtual Fibre Channel mappings of a Virtual I/O Server.
    ViosFcMapping,
    /// Backing devices of virtual NICs of a Virtual I/O Server.
    Vnic,
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
            Self::Vnic => "VNIC",
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
    /// Further elements inside.
    Section(&'static [Element<C>]),
    /// A link to another object.
    Reference(fn(&C) -> Option<String>),
    /// Links to other objects inside; without any it is there and empty, or not there.
    Links(fn(&C) -> Vec<String>, bool),
    /// Objects whose content another table describes: how they are written, and what that table says.
    Objects(fn(&C, &mut XmlWriter, Groups), fn(&str, &mut Vec<Outline>)),
}

/// What a table says about one element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Names from the outermost element inwards: `PartitionMemoryConfiguration/DesiredMemory`.
    pub path: String,
    /// `kb`; empty for an object inside a list, which has none.
    pub behaviour: &'static str,
    /// `kxe`.
    pub volatile: bool,
    /// `ksv`.
    pub since: Option<String>,
    /// Name of its group.
    pub group: Option<&'static str>,
    /// Whether it begins with metadata and says its schema version.
    pub complex: bool,
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
    /// It holds elements without being an object: no metadata, no schema version.
    plain: bool,
    /// Whether it is there; where that is not said, it is.
    present: Option<fn(&C) -> bool>,
    content: Content<C>,
}

impl<C> Element<C> {
    const fn new(name: &'static str, behaviour: &'static str, content: Content<C>) -> Self {
        Self {
            name,
            behaviour,
            excluded: false,
            since: None,
            group: Group::Base,
            plain: false,
            present: None,
            content,
        }
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

    /// Is there under a condition.
    pub const fn present(mut self, condition: fn(&C) -> bool) -> Self {
        self.present = Some(condition);
        self
    }

    /// Holds elements without being an object.
    pub const fn plain(mut self) -> Self {
        self.plain = true;
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
    Element::new(name, behaviour, Content::Section(elements))
}

/// Elements inside an element that is not always there.
pub const fn section_if<C>(
    name: &'static str,
    behaviour: &'static str,
    condition: fn(&C) -> bool,
    elements: &'static [Element<C>],
) -> Element<C> {
    Element::new(name, behaviour, Content::Section(elements)).present(condition)
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
    Element::new(name, behaviour, Content::Links(hrefs, true))
}

/// Links to other objects; without any it is left out.
pub const fn links_if_any<C>(
    name: &'static str,
    behaviour: &'static str,
    hrefs: fn(&C) -> Vec<String>,
) -> Element<C> {
    Element::new(name, behaviour, Content::Links(hrefs, false))
}

/// Objects inside an object; `outline` says what their table has.
pub const fn objects<C>(
    name: &'static str,
    behaviour: &'static str,
    write: fn(&C, &mut XmlWriter, Groups),
    outline: fn(&str, &mut Vec<Outline>),
) -> Element<C> {
    Element::new(name, behaviour, Content::Objects(write, outline))
}

/// An element that may hold objects of which the model has none.
pub const fn none_inside<C>(name: &'static str, behaviour: &'static str) -> Element<C> {
    objects(name, behaviour, |_, _, _| {}, |_, _| {})
}

/// Writes the elements of a table.
pub fn write<C>(elements: &[Element<C>], context: &C, groups: Groups, writer: &mut XmlWriter) {
    for element in elements {
        let known = element.since.is_none_or(|since| since <= writer.schema);
        let present = element.present.is_none_or(|condition| condition(context));
        if known && groups.include(element.group) && present {
            write_one(element, context, groups, writer);
        }
    }
}

/// The tag of an element with its attributes, but for what its content adds.
fn begin<C>(element: &Element<C>, writer: &mut XmlWriter) {
    writer.begin(element.name);
    if element.group != Group::Base {
        writer.attribute("group", element.group.word());
    }
    if let Some(since) = element.since {
        writer.version_attribute("ksv", since);
    }
    writer.attribute("kb", element.behaviour);
    writer.attribute("kxe", if element.excluded { "true" } else { "false" });
}

/// The same for an element that holds others.
fn open<C>(element: &Element<C>, writer: &mut XmlWriter) {
    begin(element, writer);
    if element.plain {
        return writer.finish();
    }
    writer.schema_attribute();
    writer.finish();
    writer.metadata();
}

fn write_one<C>(element: &Element<C>, context: &C, groups: Groups, writer: &mut XmlWriter) {
    match &element.content {
        Content::Text(value) => {
            if let Some(value) = value(context) {
                begin(element, writer);
                writer.finish_text(element.name, &value);
            }
        }
        Content::Texts(values) => {
            for value in values(context) {
                begin(element, writer);
                writer.finish_text(element.name, &value);
            }
        }
        Content::Section(inner) => {
            open(element, writer);
            write(inner, context, groups, writer);
            writer.close(element.name);
        }
        Content::Reference(href) => {
            if let Some(href) = href(context) {
                begin(element, writer);
                writer.attribute("href", &href);
                writer.attribute("rel", "related");
                writer.finish_empty();
            }
        }
        Content::Links(hrefs, empty_too) => {
            let hrefs = hrefs(context);
            if hrefs.is_empty() && !empty_too {
                return;
            }
            begin(element, writer);
            if hrefs.is_empty() {
                return writer.finish_empty();
            }
            writer.finish();
            for href in &hrefs {
                writer.empty("link", &[("href", href), ("rel", "related")]);
            }
            writer.close(element.name);
        }
        Content::Objects(write, _) => {
            open(element, writer);
            write(context, writer, groups);
            writer.close(element.name);
        }
    }
}

/// Writes an object inside an object: `<name schemaVersion="..."><Metadata><Atom/></Metadata>...</name>`.
pub fn write_inner<C>(
    name: &str,
    elements: &[Element<C>],
    context: &C,
    groups: Groups,
    writer: &mut XmlWriter,
) {
    writer.begin(name);
    writer.schema_attribute();
    writer.finish();
    writer.metadata();
    write(elements, context, groups, writer);
    writer.close(name);
}

/// What a table says, with what is inside its elements, in their order.
pub fn outline<C>(elements: &[Element<C>], prefix: &str, found: &mut Vec<Outline>) {
    for element in elements {
        let path = format!("{prefix}{}", element.name);
        let inside = format!("{path}/");
        let complex = matches!(element.content, Content::Section(_) | Content::Objects(..)) && !element.plain;
        found.push(Outline {
            path,
            behaviour: element.behaviour,
            volatile: element.excluded,
            since: element.since.map(|since| since.to_string()),
            group: (element.group != Group::Base).then(|| element.group.word()),
            complex,
        });
        match &element.content {
            Content::Section(inner) => outline(inner, &inside, found),
            Content::Objects(_, inner) => inner(&inside, found),
            Content::Text(_) | Content::Texts(_) | Content::Reference(_) | Content::Links(..) => {}
        }
    }
}

/// What [`write_inner`] writes, for an outline.
pub fn outline_inner<C>(name: &str, elements: &[Element<C>], prefix: &str, found: &mut Vec<Outline>) {
    let path = format!("{prefix}{name}");
    let inside = format!("{path}/");
    found.push(Outline { path, behaviour: "", volatile: false, since: None, group: None, complex: true });
    outline(elements, &inside, found);
}
