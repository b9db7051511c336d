//! Writing XML: namespaces, escaping, the attributes that every element carries.

use std::fmt;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// Namespace of feeds and entries.
pub const ATOM: &str = "http://www.w3.org/2005/Atom";
/// Namespace of the objects of `/rest/api/uom`.
pub const UOM: &str = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/";
/// Namespace of the objects of `/rest/api/web`.
pub const WEB: &str = "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/";
/// Namespace of the objects of `/rest/api/templates`.
pub const TEMPLATES: &str = "http://www.ibm.com/xmlns/systems/power/firmware/templates/mc/2012_10/";
/// Namespace that objects declare and do not use.
pub const K2: &str = "http://www.w3.org/XML/1998/namespace/k2";

/// Version of the object model, `V1_4_0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaVersion(pub u8, pub u8, pub u8);

impl SchemaVersion {
    /// The version that documents carry. Consoles since version 9 write the first one into every document, and mark what is
    /// newer with `ksv`; those before wrote the version that they had. Both as recorded.
    pub fn shown(self) -> Self {
        if self < Self(1, 6, 0) { self } else { Self(1, 0, 0) }
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first version has two numbers only.
        if *self == Self(1, 0, 0) {
            return formatter.write_str("V1_0");
        }
        write!(formatter, "V{}_{}_{}", self.0, self.1, self.2)
    }
}

/// Attributes of an element, in the order in which they are written.
pub type Attributes<'a> = &'a [(&'a str, &'a str)];

/// A document or a part of one, written into memory.
///
/// Writing into memory does not fail, so that nothing here returns an error.
pub struct XmlWriter {
    writer: Writer<Vec<u8>>,
    /// Version of the object model: later elements are left out.
    pub schema: SchemaVersion,
}

impl XmlWriter {
    /// An empty part.
    pub fn new(schema: SchemaVersion) -> Self {
        Self { writer: Writer::new_with_indent(Vec::new(), b' ', 4), schema }
    }

    fn put(&mut self, event: Event<'_>) {
        let written: io::Result<()> = self.writer.write_event(event);
        debug_assert!(written.is_ok(), "writing into memory does not fail");
    }

    fn start<'a>(name: &'a str, attributes: Attributes<'_>) -> BytesStart<'a> {
        let mut start = BytesStart::new(name);
        for (key, value) in attributes {
            start.push_attribute((*key, without_controls(value).as_ref()));
        }
        start
    }

    /// `<name ...>`.
    pub fn open(&mut self, name: &str, attributes: Attributes<'_>) {
        self.put(Event::Start(Self::start(name, attributes)));
    }

    /// `</name>`.
    pub fn close(&mut self, name: &str) {
        self.put(Event::End(BytesEnd::new(name)));
    }

    /// `<name .../>`.
    pub fn empty(&mut self, name: &str, attributes: Attributes<'_>) {
        self.put(Event::Empty(Self::start(name, attributes)));
    }

    /// `<name ...>text</name>`, or `<name .../>` without text.
    pub fn text(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        if text.is_empty() {
            return self.empty(name, attributes);
        }
        self.open(name, attributes);
        self.put(Event::Text(BytesText::new(&without_controls(text))));
        self.close(name);
    }

    /// `<Metadata><Atom/></Metadata>`, which every complex element begins with.
    pub fn metadata(&mut self) {
        self.open("Metadata", &[]);
        self.empty("Atom", &[]);
        self.close("Metadata");
    }

    /// Metadata of an object that has an identity.
    pub fn identified(&mut self, id: &str, created_milliseconds: i64) {
        self.open("Metadata", &[]);
        self.open("Atom", &[]);
        self.text("AtomID", &[], id);
        self.text("AtomCreated", &[], &created_milliseconds.to_string());
        self.close("Atom");
        self.close("Metadata");
    }

    /// Takes what is written so far; writing goes on at the same depth.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }
}

/// Characters that XML cannot carry become `?`.
fn without_controls(text: &str) -> std::borrow::Cow<'_, str> {
    let forbidden = |character: char| matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(forbidden) { text.replace(forbidden, "?").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_carry_is_replaced_and_the_rest_escaped() {
        let mut writer = XmlWriter::new(SchemaVersion(1, 0, 0));
        writer.text("Name", &[("href", "a?b=1&c=\"2\"")], "<one> & \u{1} two");
        let text = String::from_utf8(writer.take()).expect("text");
        assert_eq!(text, "<Name href=\"a?b=1&amp;c=&quot;2&quot;\">&lt;one&gt; &amp; ? two</Name>");
        assert!(roxmltree::Document::parse(&text).is_ok());
    }

    #[test]
    fn the_first_schema_version_has_two_numbers() {
        assert_eq!(SchemaVersion(1, 0, 0).to_string(), "V1_0");
        assert_eq!(SchemaVersion(1, 4, 0).to_string(), "V1_4_0");
        assert_eq!(SchemaVersion(1, 5, 0).shown().to_string(), "V1_5_0");
        assert_eq!(SchemaVersion(1, 17, 0).shown().to_string(), "V1_0");
    }
}
