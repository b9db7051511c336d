//! `echo` and `printf`.

use std::borrow::Cow;

use super::{backslash_quote, fail};
use crate::escapes::{Style, unescape};
use crate::evaluate::arithmetic::number;
use crate::evaluate::{Eval, Evaluator};
use crate::limits::LimitReached;
use crate::variables::is_name;

pub(crate) fn echo(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (mut newline, mut escapes) = (true, false);
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        let Some(letters) = first.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
        if !letters.bytes().all(|letter| matches!(letter, b'n' | b'e' | b'E')) {
            break;
        }
        for letter in letters.bytes() {
            match letter {
                b'n' => newline = false,
                letter => escapes = letter == b'e',
            }
        }
        rest = others;
    }
    let mut bytes = rest.join(" ").into_bytes();
    if escapes {
        let unescaped = unescape(&String::from_utf8_lossy(&bytes), Style::Echo);
        bytes = unescaped.bytes;
        newline &= !unescaped.stopped;
    }
    if newline {
        bytes.push(b'\n');
    }
    shell.print(&bytes)?;
    Ok(0)
}

pub(crate) fn printf(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let mut rest = arguments;
    let mut variable = None;
    if let [option, name, others @ ..] = rest
        && option == "-v"
    {
        if !is_name(name) {
            return fail(shell, "printf", &format!("`{name}': not a valid identifier"), 2);
        }
        (variable, rest) = (Some(name.clone()), others);
    }
    if rest.first().is_some_and(|first| first == "--") {
        rest = &rest[1..];
    }
    let Some((format, values)) = rest.split_first() else {
        return fail(shell, "printf", "usage: printf [-v var] format [arguments]", 2);
    };
    let limit = shell.run.meter.limits.expansion_bytes;
    let mut printer =
        Printer { values, used: false, stopped: false, bytes: Vec::new(), problems: Vec::new(), limit };
    loop {
        printer.used = false;
        let before = printer.values.len();
        let result = printer.format(format);
        if let Err(Overflow) = result {
            return Err(shell.limit(LimitReached::Expansion(limit)));
        }
        shell.step()?;
        // The format is used again as long as it takes arguments.
        if printer.stopped || printer.values.is_empty() || printer.values.len() == before {
            break;
        }
    }
    let Printer { bytes, problems, .. } = printer;
    for problem in &problems {
        shell.complain(&format!("printf: {problem}"))?;
    }
    match variable {
        Some(name) => shell.assign(&name, String::from_utf8_lossy(&bytes).into_owned())?,
        None => shell.print(&bytes)?,
    }
    Ok(u8::from(!problems.is_empty()))
}

/// More bytes than an expansion may have.
struct Overflow;

struct Printer<'a> {
    values: &'a [String],
    used: bool,
    stopped: bool,
    bytes: Vec<u8>,
    problems: Vec<String>,
    limit: usize,
}

/// What stands between `%` and the letter.
#[derive(Debug, Clone, Default)]
struct Specification {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

impl<'a> Printer<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.values.split_first()?;
        self.values = rest;
        Some(first)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(Overflow);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn format(&mut self, format: &str) -> Result<(), Overflow> {
        let mut rest = format;
        while !rest.is_empty() && !self.stopped {
            let end = rest.find('%').unwrap_or(rest.len());
            let literal = unescape(&rest[..end], Style::Format);
            self.push(&literal.bytes)?;
            rest = &rest[end..];
            if let Some(after) = rest.strip_prefix('%') {
                rest = self.conversion(after)?;
            }
        }
        Ok(())
    }

    /// Handles one conversion; returns the text behind it.
    fn conversion<'f>(&mut self, text: &'f str) -> Result<&'f str, Overflow> {
        if let Some(rest) = text.strip_prefix('%') {
            self.push(b"%")?;
            return Ok(rest);
        }
        let mut specification = Specification::default();
        let mut rest = text.trim_start_matches(|flag| {
            match flag {
                '-' => specification.left = true,
                '0' => specification.zero = true,
                '+' => specification.plus = true,
                ' ' => specification.blank = true,
                '#' => specification.alternate = true,
                _ => return false,
            }
            true
        });
        if let Some(after) = rest.strip_prefix('*') {
            let width = self.next().and_then(number).unwrap_or(0);
            specification.left |= width < 0;
            specification.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
            rest = after;
        } else {
            (specification.width, rest) = take_number(rest);
        }
        if let Some(after) = rest.strip_prefix('.') {
            if let Some(after) = after.strip_prefix('*') {
                let precision = self.next().and_then(number).unwrap_or(0);
                specification.precision = usize::try_from(precision).ok();
                rest = after;
            } else {
                let (precision, after) = take_number(after);
                (specification.precision, rest) = (Some(precision), after);
            }
        }
        // What may come is bounded by the two numbers; a floating-point number adds at most 400 digits.
        if specification.width.max(specification.precision.unwrap_or(0)) > self.limit {
            return Err(Overflow);
        }
        rest = rest.trim_start_matches(['l', 'h', 'j', 'z', 't', 'L']);
        let Some(letter) = rest.chars().next() else {
            self.problems.push(format!("`%{text}': missing format character"));
            self.stopped = true;
            return Ok("");
        };
        self.convert(letter, &specification)?;
        Ok(&rest[letter.len_utf8()..])
    }

    fn convert(&mut self, letter: char, specification: &Specification) -> Result<(), Overflow> {
        match letter {
            's' => {
                let value = self.next().unwrap_or("");
                self.padded(cut(value, specification.precision).as_bytes(), specification)
            }
            'b' => {
                let unescaped = unescape(self.next().unwrap_or(""), Style::Echo);
                self.stopped |= unescaped.stopped;
                self.padded(&unescaped.bytes, specification)
            }
            'q' => {
                let quoted = backslash_quote(self.next().unwrap_or(""));
                self.padded(quoted.as_bytes(), specification)
            }
            'c' => {
                let value = self.next().unwrap_or("");
                let first = value.chars().next().map(String::from).unwrap_or_default();
                self.padded(first.as_bytes(), specification)
            }
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
                let value = self.integer();
                self.padded_number(&integer_text(letter, value, specification), specification)
            }
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                let value = self.float();
                self.padded_number(&float_text(letter, value, specification), specification)
            }
            other => {
                self.problems.push(format!("`{other}': invalid format character"));
                self.stopped = true;
                Ok(())
            }
        }
    }

    fn integer(&mut self) -> i64 {
        let Some(text) = self.next() else { return 0 };
        let trimmed = text.trim_start();
        if let Some(quoted) = trimmed.strip_prefix(['"', '\'']) {
            return quoted.chars().next().map_or(0, |character| i64::from(u32::from(character)));
        }
        let unsigned = trimmed.strip_prefix('+').unwrap_or(trimmed);
        if let Some(value) = number(unsigned).filter(|_| !unsigned.contains('#')) {
            return value;
        }
        self.problems.push(format!("{text}: invalid number"));
        let digits = unsigned.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count();
        number(&unsigned[..digits]).unwrap_or(0)
    }

    fn float(&mut self) -> f64 {
        let Some(text) = self.next() else { return 0.0 };
        text.trim().parse().unwrap_or_else(|_| {
            self.problems.push(format!("{text}: invalid number"));
            0.0
        })
    }

    fn padded(&mut self, bytes: &[u8], specification: &Specification) -> Result<(), Overflow> {
        let shown = String::from_utf8_lossy(bytes).chars().count();
        let missing = specification.width.saturating_sub(shown);
        if !specification.left {
            self.push(&vec![b' '; missing])?;
        }
        self.push(bytes)?;
        if specification.left { self.push(&vec![b' '; missing]) } else { Ok(()) }
    }

    fn padded_number(&mut self, text: &str, specification: &Specification) -> Result<(), Overflow> {
        let missing = specification.width.saturating_sub(text.len());
        let fill_zero = specification.zero
            && !specification.left
            && text.ends_with(|last: char| last.is_ascii_hexdigit());
        if missing == 0 || !fill_zero {
            return self.padded(text.as_bytes(), specification);
        }
        let prefix = text.len() - text.trim_start_matches(['+', '-', ' ']).len();
        self.push(&text.as_bytes()[..prefix])?;
        self.push(&vec![b'0'; missing])?;
        self.push(&text.as_bytes()[prefix..])
    }
}

fn cut(text: &str, characters: Option<usize>) -> &str {
    let end =
        characters.and_then(|count| text.char_indices().nth(count)).map_or(text.len(), |(index, _)| index);
    &text[..end]
}

fn take_number(text: &str) -> (usize, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let value = if digits == 0 { 0 } else { text[..digits].parse().unwrap_or(usize::MAX) };
    (value, &text[digits..])
}

fn sign(negative: bool, specification: &Specification) -> &'static str {
    match (negative, specification.plus, specification.blank) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn integer_text(letter: char, value: i64, specification: &Specification) -> String {
    let (sign, mut digits) = match letter {
        'd' | 'i' => (sign(value < 0, specification), value.unsigned_abs().to_string()),
        'u' => ("", (value as u64).to_string()),
        'o' => (if specification.alternate { "0" } else { "" }, format!("{value:o}")),
        'x' => (if specification.alternate && value != 0 { "0x" } else { "" }, format!("{value:x}")),
        _ => (if specification.alternate && value != 0 { "0X" } else { "" }, format!("{value:X}")),
    };
    if let Some(precision) = specification.precision
        && digits.len() < precision
    {
        digits.insert_str(0, &"0".repeat(precision - digits.len()));
    }
    format!("{sign}{digits}")
}

/// Digits behind the point are bounded here: more than this are all zero.
const FLOAT_DIGITS: usize = 1100;

fn float_text(letter: char, value: f64, specification: &Specification) -> String {
    let precision = specification.precision.unwrap_or(6).min(FLOAT_DIGITS);
    let magnitude = value.abs();
    let digits: Cow<'_, str> = if !value.is_finite() {
        if value.is_nan() { "nan".into() } else { "inf".into() }
    } else {
        match letter {
            'f' | 'F' => format!("{magnitude:.precision$}").into(),
            'e' | 'E' => exponent_text(magnitude, precision).into(),
            _ => general_text(magnitude, precision.max(1)).into(),
        }
    };
    let text = format!("{}{digits}", sign(value.is_sign_negative() && !value.is_nan(), specification));
    if letter.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

fn exponent_text(magnitude: f64, precision: usize) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn general_text(magnitude: f64, precision: usize) -> String {
    let scientific = exponent_text(magnitude, precision - 1);
    let exponent: i64 =
        scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        } else {
            text.to_string()
        }
    };
    if exponent < -4 || exponent >= precision as i64 {
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
        return format!("{}e{exponent}", trim(digits));
    }
    let decimals = (precision as i64 - 1 - exponent).max(0) as usize;
    trim(&format!("{magnitude:.decimals$}"))
}
