//! Versions of the object model, and the schema documents that describe the types.

use varan_model::attributes::Release;

use crate::resource::outline;
use crate::xml::{SchemaVersion, UOM, XmlWriter};

/// The version of the object model that a console's release has. 8.8.6 had V1_5_0 and 10.3.1060 has V1_17_0, as recorded
/// answers show; documents of 9.1.942 hold elements up to V1_11_0. The others lie between and are unverified.
pub fn version_of(release: Release) -> SchemaVersion {
    let minor = match (release.0, release.1, release.2, release.3) {
        (..8, ..) => 0,
        (8, _, ..=2, _) => 1,
        (8, _, 3..=4, _) => 2,
        (8, _, 5, _) => 3,
        (8, ..) => 5,
        (9, 1, 9, ..=19) => 6,
        (9, 1, 9, ..=29) => 8,
        (9, 1, ..) => 11,
        (9, ..) => 12,
        (10, 1, ..) => 13,
        (10, 2, 10, ..=39) => 14,
        (10, 2, ..) => 15,
        (10, 3, 10, ..=59) => 16,
        (10, ..) => 17,
        (11, 1, ..) => 19,
        _ => 20,
    };
    SchemaVersion(1, minor, 0)
}

/// The schema of a type, made from its table; `None` for a type that there is not.
pub fn document(kind: &str, version: SchemaVersion) -> Option<Vec<u8>> {
    let (_, lines) = outline().into_iter().find(|(name, _)| *name == kind)?;
    let mut writer = XmlWriter::new(version);
    let text = version.to_string();
    writer.open(
        "xs:schema",
        &[
            ("xmlns:xs", "http://www.w3.org/2001/XMLSchema"),
            ("targetNamespace", UOM),
            ("elementFormDefault", "qualified"),
            ("version", &text),
        ],
    );
    writer.empty("xs:element", &[("name", kind), ("type", &format!("{kind}.Type"))]);
    writer.open("xs:complexType", &[("name", &format!("{kind}.Type"))]);
    writer.open("xs:sequence", &[]);
    for line in lines.iter().filter(|line| !line.path.contains('/')) {
        let attributes = [
            ("name", line.path.as_str()),
            ("minOccurs", "0"),
            ("maxOccurs", "unbounded"),
            ("kb", line.behaviour),
        ];
        writer.empty("xs:element", &attributes);
    }
    writer.close("xs:sequence");
    writer.close("xs:complexType");
    writer.close("xs:schema");
    Some(writer.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_the_release() {
        assert_eq!(version_of(Release(8, 8, 5, 0)).to_string(), "V1_3_0");
        assert_eq!(version_of(Release(8, 8, 6, 0)).to_string(), "V1_5_0");
        assert_eq!(version_of(Release(10, 3, 10, 60)).to_string(), "V1_17_0");
        assert!(version_of(Release(10, 3, 10, 60)) > version_of(Release(9, 1, 0, 0)));
        assert!(document("ManagedSystem", SchemaVersion(1, 4, 0)).is_some());
        assert!(document("Nothing", SchemaVersion(1, 4, 0)).is_none());
    }
}
