//! The record grammar of the console: `-i`, `-a`, `--filter` data and the lines of its listings.
//!
//! A record is a list of `name=value` fields separated by commas. A field whose value holds a comma is quoted as
//! a whole, CSV style, with inner quotes doubled, once per level of nesting:
//! `"virtual_fc_adapters=""2/client/1/vios1/32/c05...7a,c05...7b/0"""`. Programs in the field also put the quote
//! after the equals sign (`vios_names="vios1,vios2"`), so both are read. `+=` adds to a list or a number, `-=`
//! takes away. Blanks after a comma are tolerated. Source: the seeds' mksyscfg and chhwres lines and the
//! reference on HMC commands, sections 1.4 to 1.7.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest record accepted, in bytes: far above any real profile, so that input cannot exhaust memory.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// What an assignment does to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// `name=value`
    Set,
    /// `name+=value`
    Add,
    /// `name-=value`
    Remove,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// Attribute name.
    pub name: String,
    /// What to do.
    pub operation: Operation,
    /// Value with one level of quoting removed; a list of elements still carries its inner quotes.
    pub value: String,
}

impl Assignment {
    /// A plain `name=value`.
    #[must_use]
    pub fn set(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), operation: Operation::Set, value: value.into() }
    }
}

/// Why a text is not a record. The console answers all of them with its "configuration data is invalid" text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A quote was opened and never closed.
    #[error("a quotation mark is not closed in `{0}`")]
    OpenQuote(String),
    /// Text follows a closing quote where a comma was expected.
    #[error("`{0}` follows a quoted value where a comma is expected")]
    TextAfterQuote(String),
    /// A field has no equals sign.
    #[error("`{0}` is not of the form name=value")]
    NoEquals(String),
    /// A field has no name, or a name with characters that names do not have.
    #[error("`{0}` is not an attribute name")]
    BadName(String),
    /// The record is longer than [`RECORD_BYTES_MAX`].
    #[error("the data is longer than {RECORD_BYTES_MAX} bytes")]
    TooLong,
}

/// Reads a record as `-i` and `-a` take it. An empty text is an empty record.
///
/// # Errors
/// [`RecordError`] when the text is not of the grammar above.
pub fn parse_record(text: &str) -> Result<Vec<Assignment>, RecordError> {
    if text.len() > RECORD_BYTES_MAX {
        return Err(RecordError::TooLong);
    }
    let mut rest = text.trim();
    let mut assignments = Vec::new();
    while !rest.is_empty() {
        let (assignment, after) = parse_field(rest)?;
        assignments.push(assignment);
        rest = next_field(after)?;
    }
    Ok(assignments)
}

fn next_field(after: &str) -> Result<&str, RecordError> {
    let after = after.trim_start();
    match after.strip_prefix(',') {
        Some(rest) => Ok(rest.trim_start()),
        None if after.is_empty() => Ok(after),
        None => Err(RecordError::TextAfterQuote(shorten(after))),
    }
}

fn parse_field(text: &str) -> Result<(Assignment, &str), RecordError> {
    if let Some(inside) = text.strip_prefix('"') {
        let (field, after) = read_quoted(inside)?;
        let (name, operation, value) = split_assignment(&field)?;
        return Ok((Assignment { name: name.to_owned(), operation, value: value.to_owned() }, after));
    }
    let equals = text.find(['=', ',']).filter(|&at| text.as_bytes()[at] == b'=');
    let equals = equals.ok_or_else(|| RecordError::NoEquals(shorten(text)))?;
    let (name, operation, value) = split_assignment(text)?;
    let after_equals = &text[equals + 1..];
    debug_assert_eq!(value.len(), after_equals.len());
    let (value, after) = read_value(after_equals)?;
    Ok((Assignment { name: name.to_owned(), operation, value }, after))
}

/// Reads the value of an unquoted field; it ends at a comma unless it is itself quoted.
fn read_value(text: &str) -> Result<(String, &str), RecordError> {
    if let Some(inside) = text.strip_prefix("\"\"")
        && !inside.starts_with(['"', ','])
        && !inside.is_empty()
    {
        // attr=""a,b"" : an element with its quotes doubled although the field itself is not quoted.
        let end = inside.find("\"\"").ok_or_else(|| RecordError::OpenQuote(shorten(text)))?;
        return Ok((format!("\"{}\"", &inside[..end]), &inside[end + 2..]));
    }
    if let Some(inside) = text.strip_prefix('"') {
        return read_quoted(inside);
    }
    let end = text.find(',').unwrap_or(text.len());
    Ok((text[..end].trim_end().to_owned(), &text[end..]))
}

/// Reads up to the closing quote; a doubled quote stands for one. Returns the content and what follows.
fn read_quoted(inside: &str) -> Result<(String, &str), RecordError> {
    let mut content = String::new();
    let mut rest = inside;
    loop {
        let at = rest.find('"').ok_or_else(|| RecordError::OpenQuote(shorten(inside)))?;
        content.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                content.push('"');
                rest = after;
            }
            None => return Ok((content, rest)),
        }
    }
}

fn split_assignment(field: &str) -> Result<(&str, Operation, &str), RecordError> {
    let at = field.find('=').ok_or_else(|| RecordError::NoEquals(shorten(field)))?;
    let (name, value) = (&field[..at], &field[at + 1..]);
    let (name, operation) = match name.as_bytes().last() {
        Some(b'+') => (&name[..name.len() - 1], Operation::Add),
        Some(b'-') => (&name[..name.len() - 1], Operation::Remove),
        _ => (name, Operation::Set),
    };
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(RecordError::BadName(shorten(name)));
    }
    Ok((name, operation, value))
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Splits a list value into its elements: separated by commas, an element with commas in quotes.
///
/// # Errors
/// [`RecordError::OpenQuote`] or [`RecordError::TextAfterQuote`].
pub fn parse_list(text: &str) -> Result<Vec<String>, RecordError> {
    let mut elements = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Ok(elements);
    }
    loop {
        if let Some(inside) = rest.strip_prefix('"') {
            let (element, after) = read_quoted(inside)?;
            elements.push(element);
            rest = after.trim_start();
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            elements.push(rest[..end].trim().to_owned());
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Ok(elements),
            None => return Err(RecordError::TextAfterQuote(shorten(rest))),
        }
    }
}

/// Reads `--filter` data: like a record, but a piece without an equals sign continues the list before it, because
/// a shell strips the quotes of `--filter ""lpar_names=a,b",profile_names=p"`.
///
/// # Errors
/// [`RecordError`] as for [`parse_record`].
pub fn parse_filter(text: &str) -> Result<Vec<(String, Vec<String>)>, RecordError> {
    if text.len() > RECORD_BYTES_MAX {
        return Err(RecordError::TooLong);
    }
    let mut filters: Vec<(String, Vec<String>)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let piece = &rest[..rest.find(',').unwrap_or(rest.len())];
        if !piece.contains('=')
            && !rest.starts_with('"')
            && let Some((_, values)) = filters.last_mut()
        {
            values.push(piece.trim().to_owned());
            rest = next_field(&rest[piece.len()..])?;
            continue;
        }
        let (assignment, after) = parse_field(rest)?;
        if assignment.operation != Operation::Set {
            return Err(RecordError::BadName(shorten(rest)));
        }
        filters.push((assignment.name, parse_list(&assignment.value)?));
        rest = next_field(after)?;
    }
    Ok(filters)
}

/// Joins list elements; an element that holds a comma or a quote is quoted.
#[must_use]
pub fn join_list<Element: AsRef<str>>(elements: &[Element]) -> String {
    let mut joined = String::new();
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            joined.push(',');
        }
        push_quoted(&mut joined, element.as_ref(), &[',', '"']);
    }
    joined
}

/// Appends `name=value` to a listing line, the whole field in quotes where the value needs them.
pub fn push_field(line: &mut String, name: &str, value: &str) {
    if value.contains([',', '"']) {
        line.push('"');
        line.push_str(name);
        line.push('=');
        push_doubled(line, value);
        line.push('"');
    } else {
        line.push_str(name);
        line.push('=');
        line.push_str(value);
    }
}

/// Appends a bare value (`-F`), in quotes where it holds the delimiter or a quote.
pub fn push_value(line: &mut String, value: &str, delimiter: char) {
    push_quoted(line, value, &[delimiter, '"']);
}

fn push_quoted(line: &mut String, value: &str, special: &[char]) {
    if value.contains(special) {
        line.push('"');
        push_doubled(line, value);
        line.push('"');
    } else {
        line.push_str(value);
    }
}

fn push_doubled(line: &mut String, value: &str) {
    for character in value.chars() {
        if character == '"' {
            line.push('"');
        }
        line.push(character);
    }
}

/// Entry for the fuzzer: no input may panic, and what parses must print and parse alike.
pub fn fuzz_one(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = parse_filter(text);
    let _ = parse_list(text);
    let Ok(assignments) = parse_record(text) else { return };
    let mut printed = String::new();
    for assignment in assignments.iter().filter(|assignment| assignment.operation == Operation::Set) {
        if !printed.is_empty() {
            printed.push(',');
        }
        // A value with outer blanks or a leading quote only survives inside a quoted field.
        printed.push('"');
        printed.push_str(&assignment.name);
        printed.push('=');
        push_doubled(&mut printed, &assignment.value);
        printed.push('"');
    }
    let again = parse_record(&printed).unwrap_or_default();
    let sets: Vec<&Assignment> = assignments.iter().filter(|one| one.operation == Operation::Set).collect();
    assert!(
        printed.len() > RECORD_BYTES_MAX || again.iter().collect::<Vec<_>>() == sets,
        "{text:?} printed as {printed:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<(String, Operation, String)> {
        let assignments = parse_record(text).expect(text);
        assignments.into_iter().map(|one| (one.name, one.operation, one.value)).collect()
    }

    #[test]
    fn both_quote_placements_are_read() {
        let expected = vec![("vios_names".to_owned(), Operation::Set, "vios1,vios2".to_owned())];
        assert_eq!(values("\"vios_names=vios1,vios2\""), expected);
        assert_eq!(values("vios_names=\"vios1,vios2\""), expected);
    }

    #[test]
    fn nested_lists_keep_their_inner_quotes() {
        let text =
            r#"name=a,"virtual_fc_adapters=""2/client/1/v/32/c0,c1/0"",""4/client/1/v/35/c2,c3/0""",x=1"#;
        let read = values(text);
        assert_eq!(read[1].2, r#""2/client/1/v/32/c0,c1/0","4/client/1/v/35/c2,c3/0""#);
        assert_eq!(
            parse_list(&read[1].2).expect("list"),
            ["2/client/1/v/32/c0,c1/0", "4/client/1/v/35/c2,c3/0"]
        );
        assert_eq!(read[2], ("x".to_owned(), Operation::Set, "1".to_owned()));
    }

    #[test]
    fn additions_and_removals() {
        assert_eq!(values("desired_mem+=256")[0].1, Operation::Add);
        assert_eq!(values("io_slots-=21020013/none/1")[0].1, Operation::Remove);
        let read = values(r#""virtual_eth_adapters+=""4/0/900///0""""#);
        assert_eq!(
            read[0],
            ("virtual_eth_adapters".to_owned(), Operation::Add, "\"4/0/900///0\"".to_owned())
        );
        let read = values(r#"virtual_eth_adapters+=""4/1/1/3,4/0/0"",x=1"#);
        assert_eq!(read[0].2, "\"4/1/1/3,4/0/0\"");
        assert_eq!(
            values(r#""backing_devices+=sriov/vios1//2/1/2.0/30,sriov/vios2//4/1/2.0/40""#)[0].1,
            Operation::Add
        );
    }

    #[test]
    fn blanks_after_commas_are_tolerated_and_empty_values_stay_empty() {
        let read = values("name=a, vtpm_enabled=1, description=");
        assert_eq!(read[1].0, "vtpm_enabled");
        assert_eq!(read[2].2, "");
    }

    #[test]
    fn malformed_records_are_refused() {
        for text in [
            "name", "=x", "a=1,,b=2", "\"a=1", "a=\"1", "a=\"1\"x", "a b=1", "a=1,b", ",a=1", "+=1", "\"\"=1",
        ] {
            assert!(parse_record(text).is_err(), "{text:?} was read as {:?}", parse_record(text));
        }
    }

    #[test]
    fn filters_rejoin_what_a_shell_unquoted() {
        let expected = vec![
            ("lpar_names".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
            ("profile_names".to_owned(), vec!["p".to_owned()]),
        ];
        assert_eq!(parse_filter("lpar_names=a,b,profile_names=p").expect("filter"), expected);
        assert_eq!(parse_filter("\"lpar_names=a,b\",profile_names=p").expect("filter"), expected);
        assert!(parse_filter("a").is_err());
        assert!(parse_filter("a+=1").is_err());
    }

    #[test]
    fn listing_fields_are_quoted_like_the_seeds() {
        let mut line = String::new();
        push_field(&mut line, "virtual_scsi_adapters", &join_list(&["3/client/2/s00ia9927560/32/0"]));
        line.push(',');
        push_field(
            &mut line,
            "virtual_fc_adapters",
            &join_list(&["2/client/1/v/32/a,b/0", "4/client/1/v/35/c,d/0"]),
        );
        assert_eq!(
            line,
            r#"virtual_scsi_adapters=3/client/2/s00ia9927560/32/0,"virtual_fc_adapters=""2/client/1/v/32/a,b/0"",""4/client/1/v/35/c,d/0""""#
        );
        let mut bare = String::new();
        push_value(&mut bare, "default,POWER9", ',');
        assert_eq!(bare, "\"default,POWER9\"");
    }

    #[test]
    fn the_fuzzers_corpus_replays() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/record-corpus");
        let mut inputs = 0;
        for entry in std::fs::read_dir(directory).expect("corpus") {
            fuzz_one(&std::fs::read(entry.expect("entry").path()).expect("input"));
            inputs += 1;
        }
        assert!(inputs >= 20);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(fields in prop::collection::vec(("[a-z_]{1,12}", prop::collection::vec("[ -~]{0,12}", 0..4)), 0..6)) {
            let mut line = String::new();
            for (name, elements) in &fields {
                if !line.is_empty() { line.push(','); }
                push_field(&mut line, name, &join_list(elements));
            }
            let quoted_only = fields.iter().all(|(_, elements)| elements.iter().all(|one| one.trim() == one && !one.is_empty()));
            prop_assume!(quoted_only);
            let read = parse_record(&line).map_err(|error| TestCaseError::fail(format!("{line}: {error}")))?;
            prop_assert_eq!(read.len(), fields.len());
            for (assignment, (name, elements)) in read.iter().zip(&fields) {
                prop_assert_eq!(&assignment.name, name);
                prop_assert_eq!(&parse_list(&assignment.value).expect("list"), elements);
            }
        }

        #[test]
        fn no_input_panics(text in "\\PC{0,200}") {
            fuzz_one(text.as_bytes());
        }

        #[test]
        fn no_record_like_input_panics(text in "[a=\",+b -]{0,40}") {
            fuzz_one(text.as_bytes());
        }
    }
}
