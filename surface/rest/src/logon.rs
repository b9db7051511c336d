//! Logging on and off: `PUT` and `DELETE` of `/rest/api/web/Logon`.

use varan_model::codes::MessageKey;

use crate::failure::Failure;
use crate::limits::{XML_DEPTH, XML_NODES};
use crate::xml::{K2, SchemaVersion, WEB, XmlWriter};

/// Content type of the answer.
pub const LOGON_RESPONSE: &str = "application/vnd.ibm.powervm.web+xml; type=LogonResponse";

/// What a client sends to log on.
#[derive(Clone, PartialEq, Eq)]
pub struct LogonRequest {
    /// User.
    pub user: String,
    /// Password; `None` with file authentication.
    pub password: Option<String>,
    /// The client asks for a file that holds the token: being able to read it is the proof.
    pub session_file: bool,
}

fn wrong(reason: impl std::fmt::Display) -> Failure {
    Failure::new(400, MessageKey::RestDocumentInvalid).with(reason)
}

/// Reads an XML document that a client sent. No document type, bounded size and depth.
///
/// # Errors
/// 400 with the reason.
pub fn parse_document(body: &[u8]) -> Result<roxmltree::Document<'_>, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| wrong("The document is not UTF-8."))?;
    if nests_too_deep(text) {
        return Err(wrong(format!("The document is nested more than {XML_DEPTH} deep.")));
    }
    let options = roxmltree::ParsingOptions { nodes_limit: XML_NODES, ..Default::default() };
    roxmltree::Document::parse_with_options(text, options).map_err(wrong)
}

/// Whether elements nest deeper than [`XML_DEPTH`], found without recursion: the parser works on its own stack.
fn nests_too_deep(text: &str) -> bool {
    let (mut depth, bytes) = (0usize, text.as_bytes());
    for (at, _) in text.match_indices('<') {
        match bytes.get(at + 1) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') | None => {}
            Some(_) => {
                let end = text[at..].find('>').map_or(text.len(), |length| at + length);
                if bytes.get(end.wrapping_sub(1)) != Some(&b'/') {
                    depth += 1;
                }
                if depth > XML_DEPTH {
                    return true;
                }
            }
        }
    }
    false
}

/// Reads a log-on request in any of the shapes that clients send: with or without metadata, prefixes, attributes.
///
/// # Errors
/// 400 with the reason.
pub fn parse(body: &[u8]) -> Result<LogonRequest, Failure> {
    let document = parse_document(body)?;
    let root = document.root_element();
    if root.tag_name().name() != "LogonRequest" {
        return Err(wrong(format!(
            "Invalid content was found starting with element '{}'. One of '{{LogonRequest}}' is expected.",
            root.tag_name().name()
        )));
    }
    let text_of = |name: &str| {
        let node = root.children().find(|node| node.is_element() && node.tag_name().name() == name);
        node.map(|node| node.text().unwrap_or_default().to_owned())
    };
    let user = text_of("UserID").filter(|user| !user.trim().is_empty());
    let user = user.ok_or_else(|| wrong("The element UserID is missing."))?.trim().to_owned();
    let session_file = text_of("GenerateX-API-SessionFile").is_some_and(|text| text.trim() == "true");
    Ok(LogonRequest { user, password: text_of("Password"), session_file })
}

/// The answer to a log-on. It alone begins with an XML declaration.
pub fn response(element: &str, value: &str) -> Vec<u8> {
    let mut writer = XmlWriter::new(SchemaVersion(1, 0, 0));
    let schema = writer.schema.to_string();
    writer.open("LogonResponse", &[("xmlns", WEB), ("xmlns:ns2", K2), ("schemaVersion", &schema)]);
    writer.metadata();
    writer.text(element, &[("kb", "ROR"), ("kxe", "false")], value);
    writer.close("LogonResponse");
    let mut body = b"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n".to_vec();
    body.extend(writer.take());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [&str; 3] = [
        // Attributes of each kind, metadata, a declaration.
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><LogonRequest xmlns=\"http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/\" schemaVersion=\"V1_0\"><Metadata><Atom/></Metadata><UserID kb=\"CUR\" kxe=\"false\">hscroot</UserID><Password kb=\"CUR\" kxe=\"false\">abc123</Password></LogonRequest>",
        // Single quotes and no metadata.
        "<LogonRequest schemaVersion='V1_1_0' xmlns='http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/'><UserID>hscroot</UserID><Password>abc123</Password></LogonRequest>",
        // A prefix.
        "<web:LogonRequest xmlns:web=\"http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/\" schemaVersion=\"V1_0\"><web:UserID>hscroot</web:UserID><web:Password>abc123</web:Password></web:LogonRequest>",
    ];

    #[test]
    fn every_shape_of_a_log_on_is_read() {
        for shape in SHAPES {
            let request = parse(shape.as_bytes()).expect(shape);
            assert_eq!((request.user.as_str(), request.password.as_deref()), ("hscroot", Some("abc123")));
            assert!(!request.session_file);
        }
        let file = "<LogonRequest><UserID>pypowervm_1</UserID><GenerateX-API-SessionFile>true</GenerateX-API-SessionFile></LogonRequest>";
        let request = parse(file.as_bytes()).expect("file");
        assert!(request.session_file && request.password.is_none());
    }

    #[test]
    fn what_is_no_log_on_is_refused() {
        let deep = "<a>".repeat(100_000);
        let bomb = "<!DOCTYPE a [<!ENTITY b \"b\"><!ENTITY c \"&b;&b;\">]><LogonRequest><UserID>&c;</UserID></LogonRequest>";
        for body in [
            "",
            "<",
            "<LogonRequest/>",
            "<Other><UserID>a</UserID></Other>",
            "<LogonRequest><UserID/></LogonRequest>",
            &deep,
            bomb,
            "\u{0}",
        ] {
            let failure = parse(body.as_bytes()).err().expect(body);
            assert_eq!(failure.status, 400);
        }
        assert_eq!(parse(&[0xff, 0xfe]).err().map(|failure| failure.status), Some(400));
    }
}
