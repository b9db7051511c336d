//! `paste`: lines of several inputs side by side, or of one input in one line.

use super::FilterContext;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};
use crate::streams::Input;

static GRAMMAR: Grammar = Grammar {
    program: "paste",
    synopsis: "paste [OPTION]... [FILE]...",
    flags: &[value('d', "delimiters"), flag('s', "serial")],
    hint: "Try 'paste --help' for more information.\n",
    trouble: 1,
};

/// Runs `paste`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, paste)
}

fn paste(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let given = parsed.last('d').unwrap_or("\t");
    let Some(delimiters) = delimiters(given) else {
        return Err(process.fail(&format!("delimiter list ends with an unescaped backslash: {given}")));
    };
    if parsed.has('s') {
        return serial(process, &parsed.inputs(), &delimiters);
    }
    let mut inputs = Vec::new();
    for name in parsed.inputs() {
        match process.open_or_complain(&name)? {
            Some(input) => inputs.push(Some(input)),
            None => return Ok(1),
        }
    }
    parallel(process, &mut inputs, &delimiters)?;
    Ok(0)
}

/// The delimiters one by one; an empty one stands for `\0`, nothing between two columns.
fn delimiters(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut list = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            list.push(vec![byte]);
            continue;
        }
        list.push(match bytes.next()? {
            b'0' => Vec::new(),
            b'b' => vec![8],
            b'f' => vec![12],
            b'n' => vec![b'\n'],
            b'r' => vec![b'\r'],
            b't' => vec![b'\t'],
            b'v' => vec![11],
            other => vec![other],
        });
    }
    if list.is_empty() {
        list.push(Vec::new());
    }
    Some(list)
}

fn parallel(
    process: &mut Process<'_>,
    inputs: &mut [Option<Input>],
    delimiters: &[Vec<u8>],
) -> Result<(), Stop> {
    let mut line = Vec::new();
    loop {
        let mut row = Vec::new();
        let mut found = false;
        for (index, slot) in inputs.iter_mut().enumerate() {
            if index > 0 {
                row.extend_from_slice(&delimiters[(index - 1) % delimiters.len()]);
            }
            let Some(input) = slot else { continue };
            match process.read_line(input, &mut line)? {
                None => *slot = None,
                Some(_) => {
                    found = true;
                    row.extend_from_slice(&line);
                }
            }
            if row.len() > process.context.limits.filter_bytes {
                return Err(process.too_large());
            }
        }
        if !found {
            return Ok(());
        }
        row.push(b'\n');
        process.write(&row)?;
    }
}

fn serial(process: &mut Process<'_>, names: &[String], delimiters: &[Vec<u8>]) -> Result<u8, Stop> {
    let mut status = 0;
    let mut line = Vec::new();
    for name in names {
        let Some(input) = process.open_or_complain(name)? else {
            status = 1;
            continue;
        };
        let mut number = 0;
        while process.read_line(&input, &mut line)?.is_some() {
            if number > 0 {
                process.write(&delimiters[(number - 1) % delimiters.len()])?;
            }
            number += 1;
            process.write(&line)?;
        }
        process.write(b"\n")?;
    }
    Ok(status)
}
