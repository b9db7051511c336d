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
    pub fn not_found(id: &str) -> Self {
        Self::new(404, MessageKey::RestObjectNotFound).with(id)
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

fn shown_headers(request: &Request) -> String {
    let shown = request.headers.iter().map(|(name, value)| {
        let secret = SECRET.contains(&name.as_str());
        let value = if secret { "*******" } else { value.to_str().unwrap_or("?") };
        format!("{}={value}", title_case(name.as_str()))
    });
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

/// The error document. It has no XML declaration: a client that reads it as text would choke on one.
pub fn reply(failure: &Failure, request: &Request, schema: SchemaVersion, now_milliseconds: i64) -> Reply {
    let mut writer = XmlWriter::new(schema);
    let (kind, text) = ("HttpErrorResponse", failure.refusal.to_string());
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
    writer.text("ReasonCode", &read_only, reason(failure.status));
    writer.text("Message", &optional, &text);
    writer.empty("RequestBody", &optional);
    writer.text("RequestHeaders", &optional, &shown_headers(request));
    writer.close("HttpErrorResponse:HttpErrorResponse");
    writer.close("content");
    writer.close("entry");
    Reply::whole(failure.status, ATOM_XML, writer.take())
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Unknown internal error.",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
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
