//! Quick answers: a few properties as JSON.

use std::fmt::Write;

use varan_model::codes::MessageKey;

use crate::failure::Failure;
use crate::reply::{Body, Reply};
use crate::resource::{Object, QuickValue};

/// Content type of quick answers.
pub const JSON: &str = "application/json";

fn unsupported(kind: &str, property: &str) -> Failure {
    Failure::new(404, MessageKey::RestQuickUnsupported).with(kind).with(property)
}

/// Writes an object of JSON with its properties in their order; their names need no escaping.
fn in_order(values: &[QuickValue], text: &mut String) {
    let mut separator = '{';
    for (name, value) in values {
        // Writing into a string does not fail.
        let _ = write!(text, "{separator}\"{name}\":{value}");
        separator = ',';
    }
    text.push('}');
}

/// All objects of a feed: `quick/All`.
///
/// # Errors
/// [`MessageKey::RestQuickUnsupported`] when the type has no quick properties.
pub fn all(objects: impl Iterator<Item = Box<dyn Object>> + Send + 'static) -> Result<Reply, Failure> {
    let mut objects = objects.peekable();
    if let Some(first) = objects.peek()
        && first.quick().is_none()
    {
        return Err(unsupported(first.kind(), "All"));
    }
    Ok(Reply {
        status: 200,
        content_type: JSON.to_owned(),
        headers: Vec::new(),
        body: Body::Written(Box::new(move |mut sink| {
            let (mut piece, mut separator) = (String::new(), '[');
            for object in objects {
                piece.clear();
                piece.push(separator);
                in_order(&object.quick().unwrap_or_default(), &mut piece);
                sink.write(piece.as_bytes())?;
                separator = ',';
            }
            sink.write(if separator == '[' { b"[]" } else { b"]" })?;
            sink.finish()
        })),
    })
}

/// One object's quick properties, or one of them.
///
/// # Errors
/// [`MessageKey::RestQuickUnsupported`].
pub fn one(object: &dyn Object, property: Option<&str>) -> Result<Reply, Failure> {
    let name = property.unwrap_or("All");
    let mut values = object.quick().ok_or_else(|| unsupported(object.kind(), name))?;
    let answer = match property {
        // An object's own quick answer does not repeat its UUID.
        None => {
            values.retain(|(name, _)| *name != "UUID");
            let mut text = String::new();
            in_order(&values, &mut text);
            text
        }
        Some(name) => {
            let found = values.into_iter().find(|(property, _)| *property == name);
            found.ok_or_else(|| unsupported(object.kind(), name))?.1.to_string()
        }
    };
    Ok(Reply::whole(200, JSON, answer.into_bytes()))
}
