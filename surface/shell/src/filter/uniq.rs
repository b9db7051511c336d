//! `uniq`: neighbouring equal lines once.

use super::FilterContext;
use super::numbers::count;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};

static GRAMMAR: Grammar = Grammar {
    program: "uniq",
    synopsis: "uniq [OPTION]... [INPUT]",
    flags: &[
        flag('c', "count"),
        flag('d', "repeated"),
        flag('u', "unique"),
        flag('i', "ignore-case"),
        value('f', "skip-fields"),
        value('s', "skip-chars"),
        value('w', "check-chars"),
    ],
    hint: "Try 'uniq --help' for more information.\n",
    trouble: 1,
};

/// Runs `uniq`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, uniq)
}

struct Rules {
    counted: bool,
    only_repeated: bool,
    only_single: bool,
    ignore_case: bool,
    skip_fields: usize,
    skip_bytes: usize,
    compared_bytes: usize,
}

fn uniq(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    if let Some(operand) = parsed.operands.get(2) {
        return Err(process.extra_operand(operand));
    }
    if let Some(output) = parsed.operands.get(1) {
        return Err(process.fail(&format!("{output}: writing to a file is not supported")));
    }
    let rules = rules(process, &parsed)?;
    let name = parsed.operands.first().map_or("-", String::as_str);
    let Some(input) = process.open_or_complain(name)? else { return Ok(1) };
    let mut line = Vec::new();
    let mut group: Option<(Vec<u8>, u64)> = None;
    while process.read_line(&input, &mut line)?.is_some() {
        match &mut group {
            Some((first, seen)) if rules.are_equal(first, &line) => *seen += 1,
            _ => {
                if let Some((first, seen)) = group.take() {
                    rules.show(process, &first, seen)?;
                }
                group = Some((std::mem::take(&mut line), 1));
            }
        }
    }
    if let Some((first, seen)) = group {
        rules.show(process, &first, seen)?;
    }
    Ok(0)
}

fn rules(process: &mut Process<'_>, parsed: &Parsed) -> Result<Rules, Stop> {
    let mut number = |key: char, otherwise: usize, what: &str| match parsed.last(key) {
        None => Ok(otherwise),
        Some(text) => match count(text).filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())) {
            Some(number) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            None => Err(process.fail(&format!("{text}: invalid number of {what}"))),
        },
    };
    Ok(Rules {
        skip_fields: number('f', 0, "fields to skip")?,
        skip_bytes: number('s', 0, "bytes to skip")?,
        compared_bytes: number('w', usize::MAX, "bytes to compare")?,
        counted: parsed.has('c'),
        only_repeated: parsed.has('d'),
        only_single: parsed.has('u'),
        ignore_case: parsed.has('i'),
    })
}

impl Rules {
    fn are_equal(&self, one: &[u8], other: &[u8]) -> bool {
        let (one, other) = (self.compared(one), self.compared(other));
        if self.ignore_case { one.eq_ignore_ascii_case(other) } else { one == other }
    }

    /// The part of a line that counts.
    fn compared<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let mut rest = line;
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        for _ in 0..self.skip_fields {
            if rest.is_empty() {
                break;
            }
            let blanks = rest.iter().take_while(|byte| blank(byte)).count();
            rest = &rest[blanks..];
            let field = rest.iter().take_while(|byte| !blank(byte)).count();
            rest = &rest[field..];
        }
        rest = &rest[self.skip_bytes.min(rest.len())..];
        &rest[..self.compared_bytes.min(rest.len())]
    }

    fn show(&self, process: &mut Process<'_>, line: &[u8], seen: u64) -> Result<(), Stop> {
        if (self.only_repeated && seen == 1) || (self.only_single && seen > 1) {
            return Ok(());
        }
        if self.counted {
            process.write(format!("{seen:>7} ").as_bytes())?;
        }
        process.write(line)?;
        process.write(b"\n")
    }
}
