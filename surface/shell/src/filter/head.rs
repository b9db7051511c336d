//! `head`: the first lines or bytes.

use std::collections::VecDeque;

use super::FilterContext;
use super::numbers::count;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};
use crate::files::FileError;
use crate::streams::Input;

static GRAMMAR: Grammar = Grammar {
    program: "head",
    synopsis: "head [OPTION]... [FILE]...",
    flags: &[
        value('n', "lines"),
        value('c', "bytes"),
        flag('q', "quiet"),
        flag('q', "silent"),
        flag('v', "verbose"),
    ],
    hint: "Try 'head --help' for more information.\n",
    trouble: 1,
};

/// How much is shown when nothing is said.
const DEFAULT_LINES: u64 = 10;

/// Runs `head`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    match old_form(context.arguments) {
        Ok(arguments) => process::run_with(context, &GRAMMAR, &arguments, head),
        Err(_) => process::run_with(context, &GRAMMAR, &[], refuse_old_form),
    }
}

fn refuse_old_form(process: &mut Process<'_>, _: Parsed) -> Result<u8, Stop> {
    let letter = old_form(process.context.arguments).err().unwrap_or(' ');
    Err(process.usage_error(&format!("invalid trailing option -- {letter}")))
}

/// `-5` is `-n 5`, `-5c` is `-c 5`; only as the first argument.
fn old_form(arguments: &[String]) -> Result<Vec<String>, char> {
    let Some(first) = arguments.first().and_then(|first| first.strip_prefix('-')) else {
        return Ok(arguments.to_vec());
    };
    let digits = first.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok(arguments.to_vec());
    }
    let (mut unit, mut key, mut more) = ("", "-n", Vec::new());
    for letter in first[digits..].chars() {
        match letter {
            'c' => (key, unit) = ("-c", ""),
            'b' => (key, unit) = ("-c", "b"),
            'k' => (key, unit) = ("-c", "k"),
            'm' => (key, unit) = ("-c", "M"),
            'l' => key = "-n",
            'q' | 'v' => more.push(format!("-{letter}")),
            other => return Err(other),
        }
    }
    more.extend([key.to_string(), format!("{}{unit}", &first[..digits])]);
    more.extend_from_slice(&arguments[1..]);
    Ok(more)
}

/// What part of an input is shown.
#[derive(Debug, Clone, Copy)]
struct Amount {
    bytes: bool,
    /// All but the last so many.
    all_but: bool,
    count: u64,
}

fn head(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let mut amount = Amount { bytes: false, all_but: false, count: DEFAULT_LINES };
    for (key, text) in &parsed.options {
        let Some(text) = text else { continue };
        let all_but = text.starts_with('-');
        let Some(number) = count(text.strip_prefix(['+', '-']).unwrap_or(text)) else {
            let what = if *key == 'c' { "bytes" } else { "lines" };
            return Err(process.fail(&format!("invalid number of {what}: '{text}'")));
        };
        amount = Amount { bytes: *key == 'c', all_but, count: number };
    }
    each_input(process, &parsed, |process, input| show(process, input, amount))
}

/// Shows each input in turn, with headers where they belong: what `head` and `tail` share. Status 1 when one of them could
/// not be read.
pub(crate) fn each_input(
    process: &mut Process<'_>,
    parsed: &Parsed,
    mut show: impl FnMut(&mut Process<'_>, &Input) -> Result<(), Stop>,
) -> Result<u8, Stop> {
    let inputs = parsed.inputs();
    let headers = wants_headers(parsed, inputs.len());
    let mut first = true;
    let mut status = 0;
    for name in inputs {
        let Some(input) = open(process, &name)? else {
            status = 1;
            continue;
        };
        if headers {
            header(process, &name, first)?;
        }
        first = false;
        let Some(input) = input else {
            process.complain(&format!("error reading '{name}': {}", FileError::IsDirectory))?;
            status = 1;
            continue;
        };
        show(process, &input)?;
    }
    Ok(status)
}

/// Whether names are shown above the parts: several inputs, `-v`, not `-q`.
fn wants_headers(parsed: &Parsed, inputs: usize) -> bool {
    let last = parsed.options.iter().rev().find(|(key, _)| matches!(key, 'q' | 'v'));
    last.map_or(inputs > 1, |(key, _)| *key == 'v')
}

/// Shows an input's name.
fn header(process: &mut Process<'_>, name: &str, first: bool) -> Result<(), Stop> {
    let name = if name == "-" { "standard input" } else { name };
    let gap = if first { "" } else { "\n" };
    process.write(format!("{gap}==> {name} <==\n").as_bytes())
}

/// Opens an operand, or complains. The inner `None` is a directory: it can be opened but not read.
fn open(process: &mut Process<'_>, name: &str) -> Result<Option<Option<Input>>, Stop> {
    match process.open(name) {
        Ok(input) => Ok(Some(Some(input))),
        Err(FileError::IsDirectory) => Ok(Some(None)),
        Err(error) => {
            let elsewhere = format!("cannot open '{name}' for reading: {error}");
            let text = process.unreadable(name, &error, "", elsewhere);
            process.complain(&text)?;
            Ok(None)
        }
    }
}

fn show(process: &mut Process<'_>, input: &Input, amount: Amount) -> Result<(), Stop> {
    match (amount.all_but, amount.bytes) {
        (false, false) => first_lines(process, input, amount.count),
        (false, true) => first_bytes(process, input, amount.count),
        (true, false) => all_but_lines(process, input, amount.count),
        (true, true) => all_but_bytes(process, input, amount.count),
    }
}

fn first_lines(process: &mut Process<'_>, input: &Input, count: u64) -> Result<(), Stop> {
    let mut line = Vec::new();
    for _ in 0..count {
        let Some(ended) = process.read_line(input, &mut line)? else { break };
        process.write(&line)?;
        if ended {
            process.write(b"\n")?;
        }
    }
    Ok(())
}

fn first_bytes(process: &mut Process<'_>, input: &Input, count: u64) -> Result<(), Stop> {
    let mut block = vec![0; 8 * 1024];
    let mut left = count;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        let read = process.read_block(input, &mut block[..wanted])?;
        if read == 0 {
            break;
        }
        process.write(&block[..read])?;
        left -= read as u64;
    }
    Ok(())
}

fn all_but_lines(process: &mut Process<'_>, input: &Input, count: u64) -> Result<(), Stop> {
    let mut kept: VecDeque<(Vec<u8>, bool)> = VecDeque::new();
    let mut bytes = 0;
    loop {
        let mut line = Vec::new();
        let Some(ended) = process.read_line(input, &mut line)? else { return Ok(()) };
        bytes += line.len() + size_of::<(Vec<u8>, bool)>();
        kept.push_back((line, ended));
        if kept.len() as u64 > count
            && let Some((line, ended)) = kept.pop_front()
        {
            bytes -= line.len() + size_of::<(Vec<u8>, bool)>();
            process.write(&line)?;
            if ended {
                process.write(b"\n")?;
            }
        }
        if bytes > process.context.limits.filter_bytes {
            return Err(process.too_large());
        }
    }
}

fn all_but_bytes(process: &mut Process<'_>, input: &Input, count: u64) -> Result<(), Stop> {
    let keep = usize::try_from(count).unwrap_or(usize::MAX);
    let mut kept: Vec<u8> = Vec::new();
    let mut block = vec![0; 8 * 1024];
    loop {
        let read = process.read_block(input, &mut block)?;
        if read == 0 {
            return process.write(&kept[..kept.len().saturating_sub(keep)]);
        }
        kept.extend_from_slice(&block[..read]);
        if kept.len() > keep.saturating_add(64 * 1024) {
            let out = kept.len() - keep;
            process.write(&kept[..out])?;
            kept.drain(..out);
        } else if kept.len() > process.context.limits.filter_bytes {
            return Err(process.too_large());
        }
    }
}
