//! Feeds and entries: what stands around every object.

use crate::xml::{ATOM, K2, UOM, XmlWriter};

/// Author of every entry and generator of every feed.
pub const CONSOLE: &str = "IBM Power Systems Management Console";

/// A hash of 128 bits over parts; the same parts give the same number on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u128);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fingerprint {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    /// Adds a part.
    pub fn add(&mut self, part: &str) {
        for byte in part.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(Self::PRIME);
        }
    }

    /// The hash as text.
    pub fn text(self) -> String {
        format!("{:032x}", self.0)
    }
}

fn fingerprint(parts: &[&str]) -> u128 {
    let mut whole = Fingerprint::default();
    parts.iter().for_each(|part| whole.add(part));
    whole.0
}

/// The identity of something that has none of its own, in the form of a UUID of version 3, which real ones have:
/// the same for the same parts, for ever.
pub fn named_id(parts: &[&str]) -> String {
    let bits = fingerprint(parts) & !(0xF << 76) & !(0x3 << 62) | (0x3 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// A time as feeds write it, from milliseconds since 1970: `2022-04-22T13:59:56.000Z`.
pub fn timestamp(milliseconds: i64) -> String {
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(time) => {
            time.strftime("%Y-%m-%dT%H:%M:%S.").to_string()
                + &format!("{:03}Z", milliseconds.rem_euclid(1_000))
        }
        Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
    }
}

/// The entity tag of a state: a signed number of 32 bits, as real ones are.
pub fn entity_tag(parts: &[&str]) -> String {
    let bits = fingerprint(parts);
    let folded = (bits ^ bits >> 32 ^ bits >> 64 ^ bits >> 96) as u32;
    folded.cast_signed().to_string()
}

/// `<author>`.
pub fn author(writer: &mut XmlWriter) {
    writer.open("author", &[]);
    writer.text("name", &[], CONSOLE);
    writer.close("author");
}

/// Opens `<X:X ...>`, the root of an object.
pub fn object_start(writer: &mut XmlWriter, kind: &str, namespace: &str) {
    let (name, prefix) = (format!("{kind}:{kind}"), format!("xmlns:{kind}"));
    writer.begin(&name);
    for (key, value) in [(prefix.as_str(), namespace), ("xmlns", namespace), ("xmlns:ns2", K2)] {
        writer.attribute(key, value);
    }
    writer.schema_attribute();
    writer.finish();
}

/// What an entry says about its object.
pub struct EntryHead<'a> {
    /// Type: `LogicalPartition`.
    pub kind: &'a str,
    /// UUID.
    pub id: &'a str,
    /// Where it is found.
    pub href: &'a str,
    /// Entity tag.
    pub tag: &'a str,
    /// When it was read, in milliseconds since 1970.
    pub now: i64,
    /// When the object was made, in milliseconds since 1970.
    pub created: i64,
    /// Link to the console, for an entry that is a document of its own: then it declares the namespaces, too.
    pub console: Option<&'a str>,
}

/// Writes an entry; `object` writes what follows the object's metadata.
pub fn entry(writer: &mut XmlWriter, head: &EntryHead<'_>, object: impl FnOnce(&mut XmlWriter)) {
    if head.console.is_some() {
        writer.open("entry", &FEED_NAMESPACES);
    } else {
        writer.open("entry", &[]);
    }
    writer.text("id", &[], head.id);
    writer.text("title", &[], head.kind);
    writer.text("published", &[], &timestamp(head.now));
    writer.empty("link", &[("rel", "SELF"), ("href", head.href)]);
    if let Some(console) = head.console {
        writer.empty("link", &[("rel", "MANAGEMENT_CONSOLE"), ("href", console)]);
    }
    author(writer);
    writer.text("etag:etag", &[("xmlns:etag", UOM), ("xmlns", UOM)], head.tag);
    let content_type = format!("application/vnd.ibm.powervm.uom+xml; type={}", head.kind);
    writer.open("content", &[("type", &content_type)]);
    object_start(writer, head.kind, UOM);
    writer.identified(head.id, head.created);
    object(writer);
    writer.close(&format!("{0}:{0}", head.kind));
    writer.close("content");
    writer.close("entry");
}

const FEED_NAMESPACES: [(&str, &str); 3] = [
    ("xmlns", ATOM),
    ("xmlns:ns2", "http://a9.com/-/spec/opensearch/1.1/"),
    ("xmlns:ns3", "http://www.w3.org/1999/xhtml"),
];

/// Opens a feed.
pub fn feed_start(writer: &mut XmlWriter, href: &str, console_href: &str, now: i64) {
    writer.open("feed", &FEED_NAMESPACES);
    writer.text("id", &[], &named_id(&["feed", href]));
    writer.text("updated", &[], &timestamp(now));
    writer.empty("link", &[("rel", "SELF"), ("href", href)]);
    writer.empty("link", &[("rel", "MANAGEMENT_CONSOLE"), ("href", console_href)]);
    writer.text("generator", &[], CONSOLE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_of_version_three_and_stay() {
        let id = named_id(&["ClientNetworkAdapter", "x", "3"]);
        assert_eq!(id, named_id(&["ClientNetworkAdapter", "x", "3"]));
        assert_ne!(id, named_id(&["ClientNetworkAdapter", "x3", ""]));
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'3'));
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(timestamp(1_650_636_596_789), "2022-04-22T14:09:56.789Z");
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
    }
}
