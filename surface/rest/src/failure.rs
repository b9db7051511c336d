//! What goes wrong, and the document that says so.

use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::entry::{author, named_id, object_start};
use crate::reply::{ATOM_XML, Reply};
use crate::request::Request;
use crate::xml::{ATOM, SchemaVersion, WEB, XmlWriter};

/// A request that is not carried out.
#[derive(Debug)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// The text, from the registry.
    pub refusal: Refusal,
}

impl Failure {
    /// A failure with a text of the registry.
    pub fn new(status: u16, key: MessageKey) -> Self {
        Self { status, refusal: Refusal::new(key) }
    }

    /// Adds an argument of the text.
    pub fn with(mut self, argument: impl std::fmt::Display) -> Self {
        self.refusal = self.refusal.with(argument);
        self
    }

    /// No such object.
    pub fn not_found() -> Self {
        Self::new(404, MessageKey::RestObjectNotFound)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.key {
            MessageKey::SystemNotFound | MessageKey::PartitionNotFound | MessageKey::PartitionIdNotFound => {
                404
            }
            MessageKey::NotAuthorized => 403,
            MessageKey::Busy => 503,
            _ => 500,
        };
        Self { status, refusal }
    }
}

/// Headers whose values nobody may read in an answer or a log.
const SECRET: [&str; 5] = ["x-api-session", "x-api-key", "authorization", "cookie", "proxy-authorization"];

fn shown_headers(request: &Request, transaction: &str) -> String {
    let shown = request.headers.iter().map(|(name, value)| {
        let secret = SECRET.contains(&name.as_str());
        let value = if secret { "*******" } else { value.to_str().unwrap_or("?") };
        format!("{}={value}", title_case(name.as_str()))
    });
    let shown = shown.chain([format!("X-Transaction-ID={transaction}")]);
    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
}

/// `x-api-session` as `X-API-Session`, the way that servers show it.
fn title_case(name: &str) -> String {
    let part = |part: &str| match part {
        "api" => "API".to_owned(),
        "mc" => "MC".to_owned(),
        _ => part.get(..1).map(str::to_uppercase).unwrap_or_default() + part.get(1..).unwrap_or_default(),
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

/// The path of a request without its query, as the error document shows it.
fn shown_path(request: &Request) -> &str {
    request.target.split('?').next().unwrap_or_default()
}

/// The text of a failure. Consoles before version 9 said less of what does not exist, as recorded.
fn message(failure: &Failure, schema: SchemaVersion) -> String {
    if failure.refusal.key == MessageKey::RestObjectNotFound && schema < SchemaVersion(1, 6, 0) {
        return Refusal::new(MessageKey::RestPathInvalid).to_string();
    }
    failure.refusal.to_string()
}

/// The error document. It has no XML declaration: a client that reads it as text would choke on one. `transaction` is what
/// the answer's header says.
pub fn reply(
    failure: &Failure,
    request: &Request,
    schema: SchemaVersion,
    now_milliseconds: i64,
    transaction: &str,
) -> Reply {
    let mut writer = XmlWriter::new(schema);
    let (kind, text) = ("HttpErrorResponse", message(failure, schema));
    writer.open("entry", &[("xmlns", ATOM)]);
    writer.text("id", &[], &named_id(&[&request.target, &text, &now_milliseconds.to_string()]));
    writer.text("title", &[], kind);
    writer.text("published", &[], &crate::entry::timestamp(now_milliseconds));
    author(&mut writer);
    writer.open("content", &[("type", "application/vnd.ibm.powervm.web+xml; type=HttpErrorResponse")]);
    object_start(&mut writer, kind, WEB);
    writer.metadata();
    let read_only = [("kb", "ROR"), ("kxe", "false")];
    let optional = [("kb", "ROO"), ("kxe", "false")];
    writer.text("HTTPStatus", &read_only, &failure.status.to_string());
    writer.text("RequestURI", &read_only, shown_path(request));
    writer.text("ReasonCode", &read_only, reason(failure));
    writer.text("Message", &optional, &text);
    writer.empty("RequestBody", &optional);
    writer.text("RequestHeaders", &optional, &shown_headers(request, transaction));
    writer.close("HttpErrorResponse:HttpErrorResponse");
    writer.close("content");
    writer.close("entry");
    Reply::whole(failure.status, ATOM_XML, writer.take())
}

/// The reason code; the first three and that of 500 are recorded.
fn reason(failure: &Failure) -> &'static str {
    match (failure.status, failure.refusal.key) {
        (_, MessageKey::RestObjectNotFound) => "The supplied URI does not identify a known resource.",
        (403, _) => "The user does not have the role authority to perform the request.",
        (_, MessageKey::RestQuickUnsupported) | (404, _) => "INVALID_URL",
        (400, MessageKey::RestDocumentInvalid) => "Bad Request",
        (400, _) => "INVALID_URL",
        (401, _) => "Unauthorized",
        (405, _) => "Method Not Allowed",
        (406, _) => "Not Acceptable",
        (412, _) => "Precondition Failed",
        (413, _) => "Payload Too Large",
        (429, _) => "Too Many Requests",
        (503, _) => "Service Unavailable",
        _ => "Unknown internal error.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_are_shown_as_servers_show_them() {
        assert_eq!(title_case("x-api-session"), "X-API-Session");
        assert_eq!(title_case("content-type"), "Content-Type");
    }
}
