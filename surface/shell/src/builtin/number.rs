//! `seq` and `sleep`.

use std::time::Duration;

use super::utility_failed;
use crate::evaluate::{Eval, Evaluator};

/// Bytes that `seq` collects before it writes them.
const WRITE_BYTES: usize = 8 * 1024;

/// Digits behind the point that are kept: with them every number fits the arithmetic below.
const SCALE_LIMIT: usize = 9;

/// A decimal number: its value times ten to the power of the scale.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    value: i128,
    scale: usize,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        // 18 digits and 9 more for the scale stay far below what 128 bits hold.
        if digits.is_empty() || digits.len() > 18 + SCALE_LIMIT || fraction.len() > SCALE_LIMIT {
            return None;
        }
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let value: i128 = digits.parse().ok()?;
        Some(Self { value: if text.starts_with('-') { -value } else { value }, scale: fraction.len() })
    }

    fn scaled(self, scale: usize) -> i128 {
        self.value * 10i128.pow((scale - self.scale) as u32)
    }
}

fn show(value: i128, scale: usize, width: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    let missing = width.saturating_sub(sign.len() + whole.len() + point.len() + scale);
    format!("{sign}{}{whole}{point}{fraction}", "0".repeat(missing))
}

/// What `seq` was asked for.
struct Request<'a> {
    separator: &'a str,
    equal_width: bool,
    first: Decimal,
    step: Decimal,
    last: Decimal,
}

fn parse_sequence(arguments: &[String]) -> Result<Request<'_>, String> {
    let (mut separator, mut equal_width) = ("\n", false);
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        match (first.as_str(), others) {
            ("-w", _) => (equal_width, rest) = (true, others),
            ("-s", [value, others @ ..]) => (separator, rest) = (value.as_str(), others),
            (option, _) if option.starts_with("-s") && option.len() > 2 => {
                (separator, rest) = (&option[2..], others);
            }
            ("--", _) => {
                rest = others;
                break;
            }
            (option, _) if option.starts_with('-') && Decimal::parse(option).is_none() => {
                return Err(format!("invalid option -- '{}'", option.chars().nth(1).unwrap_or('-')));
            }
            _ => break,
        }
    }
    let mut numbers = Vec::new();
    for text in rest {
        let number = Decimal::parse(text);
        numbers.push(number.ok_or_else(|| format!("invalid floating point argument: '{text}'"))?);
    }
    let one = Decimal { value: 1, scale: 0 };
    let (first, step, last) = match numbers.as_slice() {
        [] => return Err("missing operand".to_string()),
        [last] => (one, one, *last),
        [first, last] => (*first, one, *last),
        [_, step, _] if step.value == 0 => return Err("invalid Zero increment value: '0'".to_string()),
        [first, step, last] => (*first, *step, *last),
        _ => return Err(format!("extra operand '{}'", rest[3])),
    };
    Ok(Request { separator, equal_width, first, step, last })
}

pub(crate) fn sequence(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let request = match parse_sequence(arguments) {
        Ok(request) => request,
        Err(message) => return utility_failed(shell, "seq", &message, 1),
    };
    let shown_scale = request.first.scale.max(request.step.scale);
    let scale = shown_scale.max(request.last.scale);
    let (first, step) = (request.first.scaled(scale), request.step.scaled(scale));
    let last = request.last.scaled(scale);
    let divisor = 10i128.pow((scale - shown_scale) as u32);
    let ends = [first / divisor, last / divisor].map(|end| show(end, shown_scale, 0).len());
    let width = if request.equal_width { ends[0].max(ends[1]) } else { 0 };
    let mut bytes = Vec::new();
    let mut value = first;
    while if step > 0 { value <= last } else { value >= last } {
        if value != first {
            bytes.extend_from_slice(request.separator.as_bytes());
        }
        bytes.extend_from_slice(show(value / divisor, shown_scale, width).as_bytes());
        value += step;
        if bytes.len() >= WRITE_BYTES {
            shell.print(&bytes)?;
            bytes.clear();
        }
    }
    if value != first {
        bytes.push(b'\n');
    }
    shell.print(&bytes)?;
    Ok(0)
}

pub(crate) fn sleep(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if arguments.is_empty() {
        return utility_failed(shell, "sleep", "missing operand", 1);
    }
    let mut total = Duration::ZERO;
    for argument in arguments {
        match duration(argument) {
            Some(part) => total = total.saturating_add(part),
            None => return utility_failed(shell, "sleep", &format!("invalid time interval '{argument}'"), 1),
        }
    }
    shell.run.host.sleep(total, shell.run.cancellation());
    shell.step()?;
    Ok(0)
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.char_indices().last()? {
        (index, 's') => (&text[..index], 1.0),
        (index, 'm') => (&text[..index], 60.0),
        (index, 'h') => (&text[..index], 3600.0),
        (index, 'd') => (&text[..index], 86_400.0),
        _ => (text, 1.0),
    };
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if number == "infinity" || number == "inf" {
        return Some(Duration::MAX);
    }
    let seconds: f64 = number.parse().ok().filter(|_| plain)?;
    Some(Duration::try_from_secs_f64(seconds * unit).unwrap_or(Duration::MAX))
}
