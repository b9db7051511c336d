//! `sort`: lines in order, by bytes or by number, by the whole line or by keys.

use std::cmp::Ordering;

use super::FilterContext;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};
use crate::files::FileError;

static GRAMMAR: Grammar = Grammar {
    program: "sort",
    synopsis: "sort [OPTION]... [FILE]...",
    flags: &[
        flag('n', "numeric-sort"),
        flag('r', "reverse"),
        flag('u', "unique"),
        flag('f', "ignore-case"),
        flag('b', "ignore-leading-blanks"),
        flag('s', "stable"),
        value('k', "key"),
        value('t', "field-separator"),
    ],
    hint: "Try 'sort --help' for more information.\n",
    trouble: 2,
};

/// Lines sorted in one go. Between such runs a cancelled `sort` ends.
const RUN_LINES: usize = 8 * 1024;

/// Memory that one line takes besides its bytes.
const LINE_OVERHEAD: usize = 48;

/// Runs `sort`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, sort)
}

/// How one part of a line is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ordered {
    numeric: bool,
    reverse: bool,
    fold: bool,
    skip_start_blanks: bool,
    skip_end_blanks: bool,
}

/// Where a key begins and ends. Fields and bytes count from 0 here.
#[derive(Debug, Clone, Copy, Default)]
struct Key {
    start_field: usize,
    start_byte: usize,
    /// Field and bytes of it that the key ends with; no bytes: the whole field. `None`: the line's end.
    end: Option<(usize, usize)>,
    ordered: Ordered,
}

struct Rules {
    keys: Vec<Key>,
    separator: Option<u8>,
    reverse: bool,
    unique: bool,
    stable: bool,
}

fn sort(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let rules = match rules(&parsed) {
        Ok(rules) => rules,
        Err(message) => return Err(process.fail(&message)),
    };
    let lines = read_all(process, &parsed.inputs())?;
    let sorted = merge_sort(process, lines, &rules)?;
    let mut before: Option<&[u8]> = None;
    for line in &sorted {
        if rules.unique && before.is_some_and(|before| rules.compare(before, line).is_eq()) {
            continue;
        }
        before = Some(line);
        process.write(line)?;
        process.write(b"\n")?;
    }
    Ok(0)
}

fn read_all(process: &mut Process<'_>, names: &[String]) -> Result<Vec<Vec<u8>>, Stop> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    for name in names {
        let input = match process.open(name) {
            Ok(input) => input,
            Err(FileError::IsDirectory) => {
                return Err(process.fail(&format!("read failed: {name}: {}", FileError::IsDirectory)));
            }
            Err(error) => {
                let text = process.unreadable(name, &error, "", format!("cannot read: {name}: {error}"));
                return Err(process.fail(&text));
            }
        };
        let mut line = Vec::new();
        while process.read_line(&input, &mut line)?.is_some() {
            bytes += line.len() + LINE_OVERHEAD;
            if bytes > process.context.limits.filter_bytes {
                return Err(process.too_large());
            }
            lines.push(line.as_slice().to_vec());
        }
    }
    Ok(lines)
}

/// A stable sort that looks at the cancellation now and then.
fn merge_sort(process: &Process<'_>, lines: Vec<Vec<u8>>, rules: &Rules) -> Result<Vec<Vec<u8>>, Stop> {
    let mut runs: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut lines = lines.into_iter().peekable();
    while lines.peek().is_some() {
        process.check()?;
        let mut run: Vec<Vec<u8>> = lines.by_ref().take(RUN_LINES).collect();
        run.sort_by(|one, other| rules.compare(one, other));
        runs.push(run);
    }
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pairs = runs.into_iter();
        while let Some(first) = pairs.next() {
            merged.push(match pairs.next() {
                Some(second) => merge(process, first, second, rules)?,
                None => first,
            });
        }
        runs = merged;
    }
    Ok(runs.pop().unwrap_or_default())
}

fn merge(
    process: &Process<'_>,
    first: Vec<Vec<u8>>,
    second: Vec<Vec<u8>>,
    rules: &Rules,
) -> Result<Vec<Vec<u8>>, Stop> {
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    while let (Some(one), Some(other)) = (first.peek(), second.peek()) {
        if merged.len() % RUN_LINES == 0 {
            process.check()?;
        }
        let next = if rules.compare(one, other).is_le() { first.next() } else { second.next() };
        merged.extend(next);
    }
    merged.extend(first);
    merged.extend(second);
    Ok(merged)
}

fn rules(parsed: &Parsed) -> Result<Rules, String> {
    let mut global = Ordered::default();
    for (letter, _) in &parsed.options {
        match letter {
            'n' => global.numeric = true,
            'r' => global.reverse = true,
            'f' => global.fold = true,
            'b' => (global.skip_start_blanks, global.skip_end_blanks) = (true, true),
            _ => {}
        }
    }
    let mut keys = Vec::new();
    for (letter, text) in &parsed.options {
        if let ('k', Some(text)) = (letter, text) {
            let mut key = parse_key(text)?;
            // A key that says nothing about its order takes that of the whole command.
            if key.ordered == Ordered::default() {
                key.ordered = global;
            }
            keys.push(key);
        }
    }
    let plain = Ordered { reverse: false, ..global } == Ordered::default();
    if keys.is_empty() && !plain {
        keys.push(Key { ordered: global, ..Key::default() });
    }
    Ok(Rules {
        keys,
        separator: separator(parsed)?,
        reverse: global.reverse,
        unique: parsed.has('u'),
        stable: parsed.has('s'),
    })
}

fn separator(parsed: &Parsed) -> Result<Option<u8>, String> {
    let mut separator = None;
    for text in
        parsed.options.iter().filter(|(letter, _)| *letter == 't').filter_map(|(_, text)| text.as_ref())
    {
        let byte = match text.as_bytes() {
            [] => return Err("empty tab".to_string()),
            [byte] => *byte,
            b"\\0" => 0,
            _ => return Err(format!("multi-character tab '{text}'")),
        };
        if separator.is_some_and(|before| before != byte) {
            return Err("incompatible tabs".to_string());
        }
        separator = Some(byte);
    }
    Ok(separator)
}

/// Reads `F[.C][OPTIONS][,F[.C][OPTIONS]]`.
fn parse_key(text: &str) -> Result<Key, String> {
    let invalid = |what: &str| format!("{what}: invalid field specification '{text}'");
    let mut key = Key::default();
    let mut rest = text;
    key.start_field = match number(&mut rest, "number at field start")? {
        0 => return Err(invalid("field number is zero")),
        field => field - 1,
    };
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        key.start_byte = match number(&mut rest, "number after '.'")? {
            0 => return Err(invalid("character offset is zero")),
            byte => byte - 1,
        };
    }
    let blanks = letters(&mut rest, &mut key.ordered);
    key.ordered.skip_start_blanks = blanks;
    if let Some(after) = rest.strip_prefix(',') {
        rest = after;
        let field = match number(&mut rest, "number after ','")? {
            0 => return Err(invalid("field number is zero")),
            field => field - 1,
        };
        let mut bytes = 0;
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            bytes = number(&mut rest, "number after '.'")?;
        }
        key.end = Some((field, bytes));
        let blanks = letters(&mut rest, &mut key.ordered);
        key.ordered.skip_end_blanks = blanks;
    }
    if rest.is_empty() { Ok(key) } else { Err(invalid("stray character in field spec")) }
}

fn number(rest: &mut &str, what: &str) -> Result<usize, String> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(format!("invalid {what}: invalid count at start of '{rest}'"));
    }
    let number = rest[..digits].parse().unwrap_or(usize::MAX);
    *rest = &rest[digits..];
    Ok(number)
}

/// Reads a key's letters; true when `b` is among them.
fn letters(rest: &mut &str, ordered: &mut Ordered) -> bool {
    let mut blanks = false;
    loop {
        match rest.bytes().next() {
            Some(b'n') => ordered.numeric = true,
            Some(b'r') => ordered.reverse = true,
            Some(b'f') => ordered.fold = true,
            Some(b'b') => blanks = true,
            _ => return blanks,
        }
        *rest = &rest[1..];
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn skip_blanks(line: &[u8], from: usize) -> usize {
    from + line[from..].iter().take_while(|byte| is_blank(**byte)).count()
}

impl Rules {
    fn compare(&self, one: &[u8], other: &[u8]) -> Ordering {
        for key in &self.keys {
            let ordering = key.ordered.compare(self.part(key, one), self.part(key, other));
            if ordering.is_ne() {
                return if key.ordered.reverse { ordering.reverse() } else { ordering };
            }
        }
        if !self.keys.is_empty() && (self.unique || self.stable) {
            return Ordering::Equal;
        }
        let ordering = one.cmp(other);
        if self.reverse { ordering.reverse() } else { ordering }
    }

    /// The part of a line that a key names.
    fn part<'a>(&self, key: &Key, line: &'a [u8]) -> &'a [u8] {
        let mut start = self.field_start(line, key.start_field);
        if key.ordered.skip_start_blanks {
            start = skip_blanks(line, start);
        }
        start = start.saturating_add(key.start_byte).min(line.len());
        let end = match key.end {
            None => line.len(),
            Some((field, 0)) => self.field_end(line, field),
            Some((field, bytes)) => {
                let mut end = self.field_start(line, field);
                if key.ordered.skip_end_blanks {
                    end = skip_blanks(line, end);
                }
                end.saturating_add(bytes).min(line.len())
            }
        };
        &line[start..end.max(start)]
    }

    /// Where the field with this index begins. Without a separator it begins with the blanks before it.
    fn field_start(&self, line: &[u8], field: usize) -> usize {
        let mut position = 0;
        for _ in 0..field {
            if position >= line.len() {
                break;
            }
            position = self.end_from(line, position);
            if self.separator.is_some() && position < line.len() {
                position += 1;
            }
        }
        position
    }

    fn field_end(&self, line: &[u8], field: usize) -> usize {
        let start = self.field_start(line, field);
        self.end_from(line, start)
    }

    fn end_from(&self, line: &[u8], start: usize) -> usize {
        match self.separator {
            Some(separator) => start + line[start..].iter().take_while(|byte| **byte != separator).count(),
            None => {
                let start = skip_blanks(line, start);
                start + line[start..].iter().take_while(|byte| !is_blank(**byte)).count()
            }
        }
    }
}

impl Ordered {
    fn compare(&self, one: &[u8], other: &[u8]) -> Ordering {
        if self.numeric {
            return Number::read(one).compare(&Number::read(other));
        }
        if self.fold {
            return one.iter().map(u8::to_ascii_uppercase).cmp(other.iter().map(u8::to_ascii_uppercase));
        }
        one.cmp(other)
    }
}

/// A number of any length at the beginning of a text; no digits are 0.
struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Number<'a> {
    fn read(text: &'a [u8]) -> Self {
        let mut rest = &text[skip_blanks(text, 0)..];
        let negative = rest.first() == Some(&b'-');
        rest = &rest[usize::from(negative)..];
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (whole, after) = rest.split_at(digits(rest));
        let fraction = match after.split_first() {
            Some((b'.', after)) => &after[..digits(after)],
            _ => &[],
        };
        let zeros = whole.iter().take_while(|byte| **byte == b'0').count();
        let used = fraction.len() - fraction.iter().rev().take_while(|byte| **byte == b'0').count();
        let (whole, fraction) = (&whole[zeros..], &fraction[..used]);
        Self { negative: negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sizes = || {
            let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(other.whole));
            whole.then_with(|| self.fraction.cmp(other.fraction))
        };
        match (self.negative, other.negative) {
            (false, false) => sizes(),
            (true, true) => sizes().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}
