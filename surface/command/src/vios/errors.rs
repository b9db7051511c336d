//! The error log: `errlog` for padmin, `errpt` for root.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use varan_contract::vios::{ErrorQuery, ViosChange, ViosIdentity, ViosQuery};
use varan_model::vios::{ErrorClass, ErrorEntry, ViosMessage};

use super::ViosCommand;
use super::error::{Ended, refused};
use super::grammar::{Takes, form};
use super::invocation::{ViosInvocation, answer};

/// Characters of a description in a short listing.
const DESCRIPTION: usize = 40;
/// Between long entries.
const RULE: usize = 75;

pub(crate) static LIST: ViosCommand = ViosCommand {
    name: "errlog",
    usage: "errlog [-ls] [-seq SequenceNumber]
errlog -rm Days",
    summary: "Displays the error log, with -ls or a sequence number in detail, or clears entries older than so many days.",
    options: &[("ls", Takes::Nothing), ("seq", Takes::One), ("rm", Takes::One)],
    forms: &[form(&[], &[], &["ls", "seq"]), form(&["rm"], &[], &[])],
    changes: false,
    run: |invocation, parsed| {
        if let Some(days) = parsed.get("rm") {
            let days = days.parse().map_err(|_| refused(ViosMessage::ArgumentInvalid, days))?;
            invocation.note("errlog");
            return invocation.change_silently(ViosChange::ClearErrors { days });
        }
        let sequence = match parsed.get("seq") {
            Some(text) => Some(text.parse().map_err(|_| refused(ViosMessage::ArgumentInvalid, text))?),
            None => None,
        };
        let long = parsed.has("ls") || sequence.is_some();
        show(invocation, ErrorQuery { sequence, ..ErrorQuery::default() }, long, &|_| true)
    },
};

/// Lists entries, newest first.
pub(crate) fn show(
    invocation: &mut ViosInvocation<'_>,
    query: ErrorQuery,
    long: bool,
    wanted: &dyn Fn(&ErrorEntry) -> bool,
) -> Result<u8, Ended> {
    let mut entries = answer!(invocation, ViosQuery::Errors(query), Errors);
    entries.retain(|entry| wanted(entry));
    if entries.is_empty() {
        return Ok(0);
    }
    if !long {
        writeln!(invocation.output, "IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION")?;
        for entry in &entries {
            writeln!(invocation.output, "{}", short(entry))?;
        }
        return Ok(0);
    }
    let identity = invocation.identity()?;
    for entry in &entries {
        write!(invocation.output, "{}", detailed(entry, &identity))?;
    }
    Ok(0)
}

fn time(seconds: i64, format: &str) -> String {
    let Ok(stamp) = Timestamp::from_second(seconds) else { return String::new() };
    stamp.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

fn short(entry: &ErrorEntry) -> String {
    let row = entry.template.row();
    let description: String = row.description.chars().take(DESCRIPTION).collect();
    format!(
        "{:08X}   {} {} {} {:<14} {description}",
        row.identifier,
        time(entry.seconds, "%m%d%H%M%y"),
        row.kind.letter(),
        row.class.letter(),
        entry.resource,
    )
}

/// The machine's number as `uname -m` prints it.
#[must_use]
pub fn machine_id(identity: &ViosIdentity) -> String {
    format!("{:012X}", identity.machine.machine_id())
}

fn detailed(entry: &ErrorEntry, identity: &ViosIdentity) -> String {
    let row = entry.template.row();
    let mut text = "-".repeat(RULE);
    text.push_str(&format!("\nLABEL:          {}\nIDENTIFIER:     {:08X}\n\n", row.label, row.identifier));
    for (label, value) in [
        ("Date/Time:", time(entry.seconds, "%a %b %e %H:%M:%S %Y")),
        ("Sequence Number:", entry.sequence.to_string()),
        ("Machine Id:", machine_id(identity)),
        ("Node Id:", identity.hostname.clone()),
        ("Class:", row.class.letter().to_string()),
        ("Type:", row.kind.word().to_owned()),
        ("WPAR:", "Global".to_owned()),
        ("Resource Name:", format!("{:<16}", entry.resource)),
    ] {
        text.push_str(&format!("{label:<16} {value}\n"));
    }
    if !entry.location.is_empty() {
        text.push_str(&format!("{:<16} {}\n", "Location:", entry.location));
    }
    text.push_str(&format!("\nDescription\n{}\n", row.description));
    let mut causes = |title: &str, lines: &[&str]| {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}\n{}\n", lines.join("\n")));
        }
    };
    causes("Probable Causes", row.probable_causes);
    let failures = if row.class == ErrorClass::Operator { "User Causes" } else { "Failure Causes" };
    causes(failures, row.failure_causes);
    let actions = entry.template.recommended_actions();
    if !actions.is_empty() {
        text.push_str("\n        Recommended Actions\n");
        for action in actions {
            text.push_str(&format!("        {action}\n"));
        }
    }
    if !entry.details.is_empty() {
        text.push_str("\nDetail Data\n");
        for (title, value) in &entry.details {
            text.push_str(&format!("{title}\n{value}\n"));
        }
    }
    text
}

/// `errpt [-a] [-j ids] [-N resource] [-l sequence] [-d class] [-T type]`.
pub(crate) fn report(
    invocation: &mut ViosInvocation<'_>,
    letters: &[(char, Option<String>)],
) -> Result<u8, Ended> {
    let value = |wanted: char| {
        letters.iter().find(|(letter, _)| *letter == wanted).and_then(|(_, value)| value.as_deref())
    };
    let list = |text: Option<&str>| -> Vec<String> {
        text.map(|text| text.split([',', ' ']).map(str::to_owned).collect()).unwrap_or_default()
    };
    let wrong = |text: &str| Ended::from(refused(ViosMessage::ArgumentInvalid, text));
    let mut query = ErrorQuery { resource: value('N').map(str::to_owned), ..ErrorQuery::default() };
    for id in list(value('j')) {
        query.identifiers.push(u32::from_str_radix(&id, 16).map_err(|_| wrong(&id))?);
    }
    if let Some(text) = value('l') {
        query.sequence = Some(text.parse().map_err(|_| wrong(text))?);
    }
    let (classes, types) = (list(value('d')), list(value('T')));
    let wanted = |entry: &ErrorEntry| {
        let row = entry.template.row();
        let letter = row.class.letter().to_string();
        (classes.is_empty() || classes.contains(&letter))
            && (types.is_empty() || types.iter().any(|one| one.eq_ignore_ascii_case(row.kind.word())))
    };
    let long = letters.iter().any(|(letter, _)| *letter == 'a');
    show(invocation, query, long, &wanted)
}

#[cfg(test)]
mod tests {
    use varan_model::vios::ErrorTemplate;

    use super::*;

    #[test]
    fn short_lines_are_those_of_the_seeds() {
        let entry = |template, resource: &str, seconds| ErrorEntry {
            sequence: 1,
            seconds,
            template,
            resource: resource.to_owned(),
            location: String::new(),
            details: Vec::new(),
        };
        // 2016-12-02 19:52 UTC.
        let login = entry(ErrorTemplate::VnicTransportEvent, "vnicserver1", 1_480_708_320);
        assert_eq!(short(&login), "8C577CB6   1202195216 I S vnicserver1    VNIC Transport Event");
        let moved = entry(ErrorTemplate::MigrationCompleted, "Migration", 1_480_717_440);
        assert_eq!(
            short(&moved),
            "3EB09F5A   1202222416 I S Migration      Migration completed successfully"
        );
    }
}
