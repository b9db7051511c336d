//! `cut`: chosen bytes or fields of each line.

use super::FilterContext;
use super::options::Takes;
use super::options::{Grammar, Parsed, flag, long, value};
use super::process::{self, Process, Stop};

static GRAMMAR: Grammar = Grammar {
    program: "cut",
    synopsis: "cut OPTION... [FILE]...",
    flags: &[
        value('b', "bytes"),
        value('c', "characters"),
        value('f', "fields"),
        value('d', "delimiter"),
        flag('s', "only-delimited"),
        flag('n', ""),
        long('C', "complement", Takes::Nothing),
        long('O', "output-delimiter", Takes::Value),
    ],
    hint: "Try 'cut --help' for more information.\n",
    trouble: 1,
};

/// Ranges in one list. Each takes 16 bytes.
const RANGES: usize = 100_000;

/// Runs `cut`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, cut)
}

/// First and last number, from 1; the last may be `usize::MAX`.
type Range = (usize, usize);

struct Rules {
    fields: bool,
    ranges: Vec<Range>,
    delimiter: u8,
    only_delimited: bool,
    /// Between fields, or between byte ranges where it is given.
    output_delimiter: Option<Vec<u8>>,
}

fn cut(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let rules = match rules(&parsed) {
        Ok(rules) => rules,
        Err(message) => return Err(process.usage_error(&message)),
    };
    let mut status = 0;
    let mut line = Vec::new();
    for name in parsed.inputs() {
        let Some(input) = process.open_or_complain(&name)? else {
            status = 1;
            continue;
        };
        while process.read_line(&input, &mut line)?.is_some() {
            if rules.fields {
                cut_fields(process, &rules, &line)?
            } else {
                cut_bytes(process, &rules, &line)?
            }
        }
    }
    Ok(status)
}

fn rules(parsed: &Parsed) -> Result<Rules, String> {
    let lists: Vec<&(char, Option<String>)> =
        parsed.options.iter().filter(|(key, _)| matches!(key, 'b' | 'c' | 'f')).collect();
    let delimiter = match parsed.last('d') {
        None => None,
        Some(text) if text.len() > 1 => return Err("the delimiter must be a single character".to_string()),
        // As GNU cut does: an empty delimiter is the NUL byte.
        Some(text) => Some(text.bytes().next().unwrap_or(0)),
    };
    let (key, list) = match lists.as_slice() {
        [] => return Err("you must specify a list of bytes, characters, or fields".to_string()),
        [(key, list)] => (*key, list.as_deref().unwrap_or("")),
        _ => return Err("only one list may be specified".to_string()),
    };
    let fields = key == 'f';
    if delimiter.is_some() && !fields {
        return Err("an input delimiter may be specified only when operating on fields".to_string());
    }
    if parsed.has('s') && !fields {
        let message = "suppressing non-delimited lines makes sense\n\tonly when operating on fields";
        return Err(message.to_string());
    }
    let mut ranges = ranges(list, fields)?;
    if parsed.has('C') {
        ranges = complement(&ranges);
    }
    Ok(Rules {
        fields,
        ranges,
        delimiter: delimiter.unwrap_or(b'\t'),
        only_delimited: parsed.has('s'),
        output_delimiter: parsed.last('O').map(|text| text.as_bytes().to_vec()),
    })
}

fn ranges(list: &str, fields: bool) -> Result<Vec<Range>, String> {
    let from_one =
        if fields { "fields are numbered from 1" } else { "byte/character positions are numbered from 1" };
    let mut ranges = Vec::new();
    for part in list.split([',', ' ', '\t']) {
        let (first, last) = match part.split_once('-') {
            None => (part, None),
            Some((_, rest)) if rest.contains('-') => {
                let what = if fields { "invalid field range" } else { "invalid byte or character range" };
                return Err(what.to_string());
            }
            Some(("", "")) => return Err("invalid range with no endpoint: -".to_string()),
            Some((first, last)) => (first, Some(last)),
        };
        let open_start = last.is_some() && first.is_empty();
        let first = if open_start { 1 } else { number(first, fields)?.ok_or(from_one)? };
        let last = match last {
            None => first,
            Some("") => usize::MAX,
            Some(last) => number(last, fields)?.unwrap_or(0),
        };
        if first == 0 {
            return Err(from_one.to_string());
        }
        if last < first {
            return Err("invalid decreasing range".to_string());
        }
        ranges.push((first, last));
        if ranges.len() > RANGES {
            return Err(format!("more than {RANGES} ranges"));
        }
    }
    ranges.sort_unstable();
    // Only ranges that overlap become one: a delimiter is put between those that merely touch.
    let mut merged: Vec<Range> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(before) if range.0 <= before.1 => before.1 = before.1.max(range.1),
            _ => merged.push(range),
        }
    }
    Ok(merged)
}

/// A number; `None` for an empty text.
fn number(text: &str, fields: bool) -> Result<Option<usize>, String> {
    if let Some(start) = text.find(|character: char| !character.is_ascii_digit()) {
        let what = if fields { "invalid field value" } else { "invalid byte/character position" };
        return Err(format!("{what} '{}'", &text[start..]));
    }
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(number) if number < usize::MAX => Ok(Some(number)),
        _ => {
            let what = if fields { "field number" } else { "byte/character offset" };
            Err(format!("{what} '{text}' is too large"))
        }
    }
}

fn complement(ranges: &[Range]) -> Vec<Range> {
    let mut left = Vec::new();
    let mut next = 1;
    for (first, last) in ranges {
        if *first > next {
            left.push((next, first - 1));
        }
        next = last.saturating_add(1);
    }
    if next < usize::MAX {
        left.push((next, usize::MAX));
    }
    left
}

fn cut_bytes(process: &mut Process<'_>, rules: &Rules, line: &[u8]) -> Result<(), Stop> {
    let mut first_range = true;
    for (first, last) in &rules.ranges {
        if *first > line.len() {
            break;
        }
        if let Some(delimiter) = rules.output_delimiter.as_ref().filter(|_| !first_range) {
            process.write(delimiter)?;
        }
        first_range = false;
        process.write(&line[first - 1..(*last).min(line.len())])?;
    }
    process.write(b"\n")
}

fn cut_fields(process: &mut Process<'_>, rules: &Rules, line: &[u8]) -> Result<(), Stop> {
    if !line.contains(&rules.delimiter) {
        if rules.only_delimited {
            return Ok(());
        }
        process.write(line)?;
        return process.write(b"\n");
    }
    let input_delimiter = [rules.delimiter];
    let delimiter = rules.output_delimiter.as_deref().unwrap_or(&input_delimiter);
    let mut ranges = rules.ranges.iter().peekable();
    let mut shown = false;
    for (index, field) in line.split(|byte| *byte == rules.delimiter).enumerate() {
        let number = index + 1;
        while ranges.next_if(|(_, last)| *last < number).is_some() {}
        match ranges.peek() {
            None => break,
            Some((first, _)) if *first > number => {}
            Some(_) => {
                if shown {
                    process.write(delimiter)?;
                }
                shown = true;
                process.write(field)?;
            }
        }
    }
    process.write(b"\n")
}
