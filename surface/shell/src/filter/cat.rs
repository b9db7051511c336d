//! `cat`: one input after the other, with numbered lines if wanted.

use super::FilterContext;
use super::options::{Grammar, Parsed, flag};
use super::process::{self, Process, Stop};
use crate::streams::Input;

static GRAMMAR: Grammar = Grammar {
    program: "cat",
    synopsis: "cat [OPTION]... [FILE]...",
    flags: &[flag('n', "number"), flag('b', "number-nonblank"), flag('s', "squeeze-blank"), flag('u', "")],
    hint: "Try 'cat --help' for more information.\n",
    trouble: 1,
};

/// Bytes copied at once.
const BLOCK: usize = 16 * 1024;

/// Runs `cat`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, cat)
}

/// What the numbering remembers from one input to the next.
struct Numbering {
    all: bool,
    non_blank: bool,
    squeeze: bool,
    number: u64,
    at_line_start: bool,
    blank_before: bool,
}

fn cat(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let mut numbering = Numbering {
        all: parsed.has('n'),
        non_blank: parsed.has('b'),
        squeeze: parsed.has('s'),
        number: 0,
        at_line_start: true,
        blank_before: false,
    };
    let plain = !(numbering.all || numbering.non_blank || numbering.squeeze);
    let mut status = 0;
    for name in parsed.inputs() {
        match process.open_or_complain(&name)? {
            None => status = 1,
            Some(input) if plain => copy(process, &input)?,
            Some(input) => copy_lines(process, &input, &mut numbering)?,
        }
    }
    Ok(status)
}

/// Copies an input as it is.
pub(crate) fn copy(process: &mut Process<'_>, input: &Input) -> Result<(), Stop> {
    let mut block = vec![0; BLOCK];
    loop {
        let count = process.read_block(input, &mut block)?;
        if count == 0 {
            return Ok(());
        }
        process.write(&block[..count])?;
    }
}

fn copy_lines(process: &mut Process<'_>, input: &Input, numbering: &mut Numbering) -> Result<(), Stop> {
    let mut line = Vec::new();
    while let Some(ended) = process.read_line(input, &mut line)? {
        let blank = line.is_empty() && numbering.at_line_start;
        if blank && numbering.blank_before && numbering.squeeze {
            continue;
        }
        numbering.blank_before = blank;
        let numbered = if numbering.non_blank { !blank } else { numbering.all };
        if numbering.at_line_start && numbered {
            numbering.number += 1;
            process.write(format!("{:>6}\t", numbering.number).as_bytes())?;
        }
        process.write(&line)?;
        if ended {
            process.write(b"\n")?;
        }
        numbering.at_line_start = ended;
    }
    Ok(())
}
