//! Writing XML: namespaces, escaping, the attributes that every element carries.

use std::fmt::{self, Write as _};

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
/// Writing into memory does not fail, so that nothing here returns an error.
pub struct XmlWriter {
    text: String,
    depth: usize,
    /// Nothing was written yet, or text was written last: what follows stands on the same line.
    inline: bool,
    /// Version of the object model: later elements are left out.
    pub schema: SchemaVersion,
    /// The version that documents carry.
    shown: String,
}

impl XmlWriter {
    /// An empty part.
    pub fn new(schema: SchemaVersion) -> Self {
        let shown = schema.shown().to_string();
        Self { text: String::new(), depth: 0, inline: true, schema, shown }
    }

    fn new_line(&mut self) {
        if !std::mem::take(&mut self.inline) {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', INDENT * self.depth));
        }
    }

    /// `<name`.
    pub fn begin(&mut self, name: &str) {
        self.new_line();
        self.text.push('<');
        self.text.push_str(name);
    }

    /// ` key="value"`.
    pub fn attribute(&mut self, key: &str, value: &str) {
        self.text.push(' ');
        self.text.push_str(key);
        self.text.push_str("=\"");
        escape(value, &mut self.text);
        self.text.push('"');
    }

    /// ` key="version"`.
    pub fn version_attribute(&mut self, key: &str, version: SchemaVersion) {
        // Writing into a string does not fail.
        let _ = write!(self.text, " {key}=\"{version}\"");
    }

    /// ` schemaVersion="version"`.
    pub fn schema_attribute(&mut self) {
        self.text.push_str(" schemaVersion=\"");
        self.text.push_str(&self.shown);
        self.text.push('"');
    }

    /// `>` of a start tag.
    pub fn finish(&mut self) {
        self.text.push('>');
        self.depth += 1;
    }

    /// `/>` of an empty element.
    pub fn finish_empty(&mut self) {
        self.text.push_str("/>");
    }

    /// `>text</name>`, or `/>` without text.
    pub fn finish_text(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return self.finish_empty();
        }
        self.text.push('>');
        escape(text, &mut self.text);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// `<name ...>`.
    pub fn open(&mut self, name: &str, attributes: Attributes<'_>) {
        self.begin(name);
        attributes.iter().for_each(|(key, value)| self.attribute(key, value));
        self.finish();
    }

    /// `</name>`.
    pub fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.new_line();
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
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
    pub fn written(&self) -> &str {
        &self.text
    }

    /// Forgets what was written so far; writing goes on at the same depth, into the same memory.
    pub fn forget(&mut self) {
        self.text.clear();
    }

    /// Takes what was written so far; writing goes on at the same depth.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }
}

/// Writes a text so that it is text again when it is read. Characters that XML cannot carry become `?`.
fn escape(text: &str, into: &mut String) {
    let special = |character: char| {
        matches!(character, '<' | '>' | '&' | '"' | '\'' | '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
    };
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        into.push_str(&rest[..at]);
        let character = rest[at..].chars().next().unwrap_or_default();
        match character {
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '&' => into.push_str("&amp;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&apos;"),
            // Written plainly, an attribute would read them as blanks, and a carriage return would become a line feed.
            '\t' | '\n' | '\r' => {
                let _ = write!(into, "&#{};", u32::from(character));
            }
            _ => into.push('?'),
        }
        rest = &rest[at + character.len_utf8()..];
    }
    into.push_str(rest);
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
        assert_eq!(
            writer.written(),
            "<a>\n    <b c=\"1&#9;2&#13;&#10;3\">\n        <d>4&#13;&#10;5 &apos;6&apos;</d>"
        );
        let mut whole = writer.written().to_owned();
        writer.forget();
        writer.empty("e", &[]);
        writer.close("b");
        writer.close("a");
        assert_eq!(writer.written(), "\n        <e/>\n    </b>\n</a>");
        whole.push_str(writer.written());
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
