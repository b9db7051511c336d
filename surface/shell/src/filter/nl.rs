//! `nl`: numbers lines.

use super::FilterContext;
use super::options::{Grammar, Parsed, value};
use super::process::{self, Process, Stop};

static GRAMMAR: Grammar = Grammar {
    program: "nl",
    synopsis: "nl [OPTION]... [FILE]...",
    flags: &[
        value('b', "body-numbering"),
        value('i', "line-increment"),
        value('n', "number-format"),
        value('s', "number-separator"),
        value('v', "starting-line-number"),
        value('w', "number-width"),
    ],
    hint: "Try 'nl --help' for more information.\n",
    trouble: 1,
};

/// The widest number column.
const WIDTH: usize = 1000;

/// Runs `nl`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, nl)
}

/// Which lines get a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbered {
    All,
    NotEmpty,
    None,
}

struct Rules {
    body: Numbered,
    increment: i64,
    left: bool,
    zeros: bool,
    separator: String,
    start: i64,
    width: usize,
}

fn nl(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let rules = rules(process, &parsed)?;
    let mut number = rules.start;
    let mut numbered = rules.body;
    let mut status = 0;
    let mut line = Vec::new();
    for name in parsed.inputs() {
        let Some(input) = process.open_or_complain(&name)? else {
            status = 1;
            continue;
        };
        while process.read_line(&input, &mut line)?.is_some() {
            // A page has a header, a body and a footer; only the body is numbered.
            let section = match line.as_slice() {
                br"\:\:\:" | br"\:" => Some(Numbered::None),
                br"\:\:" => Some(rules.body),
                _ => None,
            };
            if let Some(section) = section {
                if line.as_slice() != br"\:" {
                    number = rules.start;
                }
                numbered = section;
                process.write(b"\n")?;
                continue;
            }
            let counts = numbered == Numbered::All || (numbered == Numbered::NotEmpty && !line.is_empty());
            if counts {
                process.write(rules.format(number).as_bytes())?;
                process.write(rules.separator.as_bytes())?;
                number = number.wrapping_add(rules.increment);
            } else {
                process.write(&vec![b' '; rules.width + rules.separator.len()])?;
            }
            process.write(&line)?;
            process.write(b"\n")?;
        }
    }
    Ok(status)
}

fn rules(process: &mut Process<'_>, parsed: &Parsed) -> Result<Rules, Stop> {
    let body = match parsed.last('b').unwrap_or("t") {
        "a" => Numbered::All,
        "t" => Numbered::NotEmpty,
        "n" => Numbered::None,
        other => return Err(process.usage_error(&format!("invalid body numbering style: '{other}'"))),
    };
    let (left, zeros) = match parsed.last('n').unwrap_or("rn") {
        "ln" => (true, false),
        "rn" => (false, false),
        "rz" => (false, true),
        other => return Err(process.usage_error(&format!("invalid line numbering format: '{other}'"))),
    };
    let mut number = |key: char, otherwise: i64, what: &str| match parsed.last(key) {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| process.fail(&format!("invalid {what}: '{text}'"))),
    };
    let increment = number('i', 1, "line number increment")?;
    let start = number('v', 1, "starting line number")?;
    let width = number('w', 6, "line number field width")?;
    let width = match usize::try_from(width) {
        Ok(width @ 1..=WIDTH) => width,
        _ => return Err(process.fail(&format!("invalid line number field width: '{width}'"))),
    };
    let separator = parsed.last('s').unwrap_or("\t").to_string();
    Ok(Rules { body, increment, left, zeros, separator, start, width })
}

impl Rules {
    fn format(&self, number: i64) -> String {
        let width = self.width;
        match (self.left, self.zeros) {
            (true, _) => format!("{number:<width$}"),
            (false, true) => format!("{number:0width$}"),
            (false, false) => format!("{number:>width$}"),
        }
    }
}
