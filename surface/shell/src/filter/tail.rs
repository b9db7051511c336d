//! `tail`: the last lines or bytes, or everything from a place on.

use std::collections::VecDeque;

use super::FilterContext;
use super::cat::copy;
use super::head::each_input;
use super::numbers::count;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};
use crate::streams::Input;

static GRAMMAR: Grammar = Grammar {
    program: "tail",
    synopsis: "tail [OPTION]... [FILE]...",
    flags: &[
        value('n', "lines"),
        value('c', "bytes"),
        flag('q', "quiet"),
        flag('q', "silent"),
        flag('v', "verbose"),
    ],
    hint: "Try 'tail --help' for more information.\n",
    trouble: 1,
};

/// How much is shown when nothing is said.
const DEFAULT_LINES: u64 = 10;

/// Runs `tail`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    match old_form(context.arguments) {
        Ok(arguments) => process::run_with(context, &GRAMMAR, &arguments, tail),
        Err(()) => process::run_with(context, &GRAMMAR, &[], refuse_old_form),
    }
}

fn refuse_old_form(process: &mut Process<'_>, _: Parsed) -> Result<u8, Stop> {
    let first = process.context.arguments.first().map_or("", String::as_str);
    let digit = first.chars().nth(1).unwrap_or(' ');
    Err(process.fail(&format!("option used in invalid context -- {digit}")))
}

/// `-5` is `-n 5` and `+5` is `-n +5`, as the first argument, with at most one file and no options.
fn old_form(arguments: &[String]) -> Result<Vec<String>, ()> {
    let unchanged = || Ok(arguments.to_vec());
    let Some(first) = arguments.first() else { return unchanged() };
    let sign = first.chars().next().unwrap_or(' ');
    if !matches!(sign, '-' | '+') {
        return unchanged();
    }
    let rest = &first[1..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let one_file = match &arguments[1..] {
        [] => true,
        [file] => !file.starts_with('-') || file == "-",
        [separator, _] => separator == "--",
        _ => false,
    };
    let (key, unit) = match &rest[digits..] {
        "" | "l" => ("-n", ""),
        "c" => ("-c", ""),
        "b" => ("-c", "b"),
        _ if digits > 0 && sign == '-' => return Err(()),
        _ => return unchanged(),
    };

    if digits == 0 || (!one_file && sign == '+') {
        return unchanged();
    }
    if !one_file {
        return Err(());
    }
    let sign = if sign == '+' { "+" } else { "" };
    let mut changed = vec![key.to_string(), format!("{sign}{}{unit}", &rest[..digits])];
    changed.extend_from_slice(&arguments[1..]);
    Ok(changed)
}

/// What part of an input is shown.
#[derive(Debug, Clone, Copy)]
struct Amount {
    bytes: bool,
    /// Everything from this line or byte on, counted from 1.
    from: bool,
    count: u64,
}

fn tail(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let mut amount = Amount { bytes: false, from: false, count: DEFAULT_LINES };
    for (key, text) in &parsed.options {
        let Some(text) = text else { continue };
        let Some(number) = count(text.strip_prefix(['+', '-']).unwrap_or(text)) else {
            let what = if *key == 'c' { "bytes" } else { "lines" };
            return Err(process.fail(&format!("invalid number of {what}: '{text}'")));
        };
        amount = Amount { bytes: *key == 'c', from: text.starts_with('+'), count: number };
    }
    if amount.count == 0 && !amount.from {
        // As GNU tail: not even the inputs' names are shown.
        return Ok(0);
    }
    each_input(process, &parsed, |process, input| show(process, input, amount))
}

fn show(process: &mut Process<'_>, input: &Input, amount: Amount) -> Result<(), Stop> {
    match (amount.from, amount.bytes) {
        (true, false) => from_line(process, input, amount.count),
        (true, true) => from_byte(process, input, amount.count),
        (false, false) => last_lines(process, input, amount.count),
        (false, true) => last_bytes(process, input, amount.count),
    }
}

fn from_line(process: &mut Process<'_>, input: &Input, line_number: u64) -> Result<(), Stop> {
    let mut line = Vec::new();
    for _ in 1..line_number {
        if process.read_line(input, &mut line)?.is_none() {
            return Ok(());
        }
    }
    copy(process, input)
}

fn from_byte(process: &mut Process<'_>, input: &Input, byte_number: u64) -> Result<(), Stop> {
    let mut block = vec![0; 8 * 1024];
    let mut left = byte_number.saturating_sub(1);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        let read = process.read_block(input, &mut block[..wanted])?;
        if read == 0 {
            return Ok(());
        }
        left -= read as u64;
    }
    copy(process, input)
}

fn last_lines(process: &mut Process<'_>, input: &Input, count: u64) -> Result<(), Stop> {
    let mut kept: VecDeque<(Vec<u8>, bool)> = VecDeque::new();
    let mut bytes = 0;
    let mut line = Vec::new();
    while let Some(ended) = process.read_line(input, &mut line)? {
        bytes += line.len() + size_of::<(Vec<u8>, bool)>();
        kept.push_back((line.clone(), ended));
        if kept.len() as u64 > count
            && let Some((dropped, _)) = kept.pop_front()
        {
            bytes -= dropped.len() + size_of::<(Vec<u8>, bool)>();
        }
        if bytes > process.context.limits.filter_bytes {
            return Err(process.too_large());
        }
    }
    for (line, ended) in kept {
        process.write(&line)?;
        if ended {
            process.write(b"\n")?;
        }
    }
    Ok(())
}

fn last_bytes(process: &mut Process<'_>, input: &Input, count: u64) -> Result<(), Stop> {
    let keep = usize::try_from(count).unwrap_or(usize::MAX);
    let mut kept: Vec<u8> = Vec::new();
    let mut block = vec![0; 8 * 1024];
    loop {
        let read = process.read_block(input, &mut block)?;
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&block[..read]);
        if kept.len() > keep.saturating_add(64 * 1024) {
            kept.drain(..kept.len() - keep);
        } else if kept.len() > process.context.limits.filter_bytes {
            return Err(process.too_large());
        }
    }
    process.write(&kept[kept.len().saturating_sub(keep)..])
}
