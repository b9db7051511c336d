//! `-i`, `-f` and `-a`: records of attributes.

use varan_console::SystemConnection;
use varan_contract::system::{PartitionFilter, Selector, SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::record::{Assignment, Operation, parse_record};
use varan_model::refusal::Refusal;
use varan_model::rules::profile::record_refusal;

use crate::failure::invalid_parameters;
use crate::invocation::Invocation;
use crate::options::ParsedOptions;

/// Longest file that `-f` reads, in bytes: some thousand records.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reads one record.
pub(crate) fn record(text: &str) -> Result<Vec<Assignment>, Refusal> {
    parse_record(text).map_err(|error| record_refusal(&error))
}

/// The texts of the records that `-i` or `-f` gives; a file has one on each line.
pub(crate) fn texts(invocation: &Invocation<'_>, options: &ParsedOptions) -> Result<Vec<String>, Refusal> {
    if let Some(text) = options.get("-i") {
        return Ok(vec![text.to_owned()]);
    }
    let path = options.get("-f").ok_or_else(|| invalid_parameters(&["-i or -f"]))?;
    let unreadable = |reason: String| Refusal::new(MessageKey::FileUnreadable).with(path).with(reason);
    let content = invocation.files.read_file(path).map_err(|error| unreadable(error.to_string()))?;
    if content.len() > FILE_BYTES_MAX {
        return Err(unreadable(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    let content =
        String::from_utf8(content).map_err(|_| unreadable("it is not a text in UTF-8".to_owned()))?;
    let lines: Vec<String> =
        content.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if lines.is_empty() { Err(unreadable("it has no records".to_owned())) } else { Ok(lines) }
}

/// Takes a plain `name=value` out of a record.
pub(crate) fn take(record: &mut Vec<Assignment>, name: &str) -> Result<Option<String>, Refusal> {
    let Some(at) = record.iter().position(|assignment| assignment.name == name) else { return Ok(None) };
    let assignment = record.remove(at);
    if record.iter().any(|assignment| assignment.name == name) {
        return Err(Refusal::new(MessageKey::AttributeRepeated).with(name));
    }
    if assignment.operation != Operation::Set {
        return Err(Refusal::new(MessageKey::AttributeInvalid).with(name));
    }
    Ok(Some(assignment.value))
}

/// Takes out of a record what names its partition: `name_attribute` or `lpar_id`, or both if they agree, as a listing has
/// them.
pub(crate) fn take_partition(
    invocation: &Invocation<'_>,
    system: &SystemConnection,
    record: &mut Vec<Assignment>,
    name_attribute: &str,
) -> Result<Selector, Refusal> {
    let name = take(record, name_attribute)?;
    let id = take(record, "lpar_id")?;
    let id = match id {
        None => None,
        Some(text) => Some(text.parse().map_err(|error| {
            Refusal::new(MessageKey::AttributeValueInvalid).with("lpar_id").with(&text).with(error)
        })?),
    };
    match (name, id) {
        (Some(name), Some(id)) => {
            let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![Selector::Id(id)]));
            let found = invocation.ask(system, request)?;
            let agrees = matches!(&found, SystemReply::Partitions { entries, .. }
                if entries.iter().any(|entry| entry.partition.name == name));
            if agrees {
                Ok(Selector::Id(id))
            } else {
                Err(Refusal::new(MessageKey::PartitionNotFound).with(name))
            }
        }
        (Some(name), None) => Ok(Selector::Name(name)),
        (None, Some(id)) => Ok(Selector::Id(id)),
        (None, None) => Err(Refusal::new(MessageKey::AttributesMissing).with(name_attribute)),
    }
}
