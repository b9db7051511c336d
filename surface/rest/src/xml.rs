//! Writing XML: namespaces, escaping, the attributes that every element carries.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use quick_xml::Writer;
use quick_xml::escape::escape;
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

/// Spaces for each level.
const INDENT: usize = 4;

/// A document or a part of one, written into memory; a start tag is begun, gets its attributes, and is finished.
///
/// ```text
/// content --begin--> tag --open--> content (one deeper)
///                    tag --close_empty--> content
/// content --end--> content (one higher)
/// ```
///
/// Writing into memory does not fail, so that nothing here returns an error. A start tag is put together in memory of its
/// own that is used again, so that an element costs no allocation.
pub struct XmlWriter {
    writer: Writer<Vec<u8>>,
    /// The start tag that was begun: its name and its attributes, escaped.
    tag: String,
    name_length: usize,
    /// Version of the object model: later elements are left out.
    pub schema: SchemaVersion,
    /// The version that documents carry.
    shown: String,
}

fn put(writer: &mut Writer<Vec<u8>>, event: Event<'_>) {
    let written = writer.write_event(event);
    debug_assert!(written.is_ok(), "writing into memory does not fail");
}

impl XmlWriter {
    /// An empty part.
    pub fn new(schema: SchemaVersion) -> Self {
        let (writer, shown) = (Writer::new_with_indent(Vec::new(), b' ', INDENT), schema.shown().to_string());
        Self { writer, tag: String::new(), name_length: 0, schema, shown }
    }

    /// `<name`.
    pub fn begin(&mut self, name: &str) {
        self.tag.clear();
        self.tag.push_str(name);
        self.name_length = name.len();
    }

    /// ` key="value"`.
    pub fn attribute(&mut self, key: &str, value: &str) {
        self.tag.push(' ');
        self.tag.push_str(key);
        self.tag.push_str("=\"");
        self.tag.push_str(&escaped(value));
        self.tag.push('"');
    }

    /// ` key="version"`.
    pub fn version_attribute(&mut self, key: &str, version: SchemaVersion) {
        // Writing into a string does not fail.
        let _ = write!(self.tag, " {key}=\"{version}\"");
    }

    /// ` schemaVersion="version"`.
    pub fn schema_attribute(&mut self) {
        self.tag.push_str(" schemaVersion=\"");
        self.tag.push_str(&self.shown);
        self.tag.push('"');
    }

    /// `>` of a start tag.
    pub fn finish(&mut self) {
        let start = BytesStart::from_content(self.tag.as_str(), self.name_length);
        put(&mut self.writer, Event::Start(start));
    }

    /// `/>` of an empty element.
    pub fn finish_empty(&mut self) {
        let start = BytesStart::from_content(self.tag.as_str(), self.name_length);
        put(&mut self.writer, Event::Empty(start));
    }

    /// `>text</name>`, or `/>` without text.
    pub fn finish_text(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return self.finish_empty();
        }
        self.finish();
        put(&mut self.writer, Event::Text(BytesText::from_escaped(escaped(text))));
        self.close(name);
    }

    /// `<name ...>`.
    pub fn open(&mut self, name: &str, attributes: Attributes<'_>) {
        self.begin(name);
        attributes.iter().for_each(|(key, value)| self.attribute(key, value));
        self.finish();
    }

    /// `</name>`.
    pub fn close(&mut self, name: &str) {
        put(&mut self.writer, Event::End(BytesEnd::new(name)));
    }

    /// `<name .../>`.
    pub fn empty(&mut self, name: &str, attributes: Attributes<'_>) {
        self.text(name, attributes, "");
    }

    /// `<name ...>text</name>`, or `<name .../>` without text.
    pub fn text(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        self.begin(name);
        attributes.iter().for_each(|(key, value)| self.attribute(key, value));
        self.finish_text(name, text);
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

    /// What was written so far.
    pub fn written(&self) -> &[u8] {
        self.writer.get_ref()
    }

    /// Forgets what was written so far; writing goes on at the same depth, into the same memory.
    pub fn forget(&mut self) {
        self.writer.get_mut().clear();
    }

    /// Takes what was written so far; writing goes on at the same depth.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }
}

/// A text as it is written, to be the same text when it is read. Characters that XML cannot carry become `?`.
fn escaped(text: &str) -> Cow<'_, str> {
    let control = |character: char| matches!(character, '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    let text = escape(text);
    if !text.contains(control) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Written plainly, an attribute would read them as blanks, and a carriage return would become a line feed.
            '\t' | '\n' | '\r' => {
                let _ = write!(plain, "&#{};", u32::from(character));
            }
            other if control(other) => plain.push('?'),
            other => plain.push(other),
        }
    }
    plain.into()
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
    fn a_document_is_indented_and_what_was_written_is_read_again() {
        let mut writer = XmlWriter::new(SchemaVersion(1, 0, 0));
        writer.open("a", &[]);
        writer.open("b", &[("c", "1\t2\r\n3")]);
        writer.text("d", &[], "4\r\n5 '6'");
        let text = |writer: &XmlWriter| String::from_utf8(writer.written().to_vec()).expect("text");
        assert_eq!(
            text(&writer),
            "<a>\n    <b c=\"1&#9;2&#13;&#10;3\">\n        <d>4&#13;&#10;5 &apos;6&apos;</d>"
        );
        let mut whole = text(&writer);
        writer.forget();
        writer.empty("e", &[]);
        writer.close("b");
        writer.close("a");
        assert_eq!(text(&writer), "\n        <e/>\n    </b>\n</a>");
        whole.push_str(&text(&writer));
        let document = roxmltree::Document::parse(&whole).expect("XML");
        let node = |name| document.descendants().find(|node| node.has_tag_name(name)).expect("node");
        assert_eq!(node("b").attribute("c"), Some("1\t2\r\n3"));
        assert_eq!(node("d").text(), Some("4\r\n5 '6'"));
    }

    #[test]
    fn the_first_schema_version_has_two_numbers() {
        assert_eq!(SchemaVersion(1, 0, 0).to_string(), "V1_0");
        assert_eq!(SchemaVersion(1, 4, 0).to_string(), "V1_4_0");
        assert_eq!(SchemaVersion(1, 5, 0).shown().to_string(), "V1_5_0");
        assert_eq!(SchemaVersion(1, 17, 0).shown().to_string(), "V1_0");
    }
}
