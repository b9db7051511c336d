//! `rev`: the characters of each line from last to first.

use super::FilterContext;
use super::options::{Grammar, Parsed};
use super::process::{self, Process, Stop};

static GRAMMAR: Grammar = Grammar {
    program: "rev",
    synopsis: "rev [FILE]...",
    flags: &[],
    hint: "Try 'rev --help' for more information.\n",
    trouble: 1,
};

/// Runs `rev`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, rev)
}

fn rev(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let mut status = 0;
    let mut line = Vec::new();
    for name in parsed.inputs() {
        let input = match process.open(&name) {
            Ok(input) => input,
            Err(error) => {
                process.complain(&format!("cannot open {name}: {error}"))?;
                status = 1;
                continue;
            }
        };
        while let Some(ended) = process.read_line(&input, &mut line)? {
            reverse(&mut line);
            process.write(&line)?;
            if ended {
                process.write(b"\n")?;
            }
        }
    }
    Ok(status)
}

/// Reverses the characters; a byte that is not UTF-8 counts as one.
fn reverse(line: &mut [u8]) {
    line.reverse();
    let mut start = 0;
    // A character's bytes are now in reverse: continuation bytes first, the leading byte last.
    while start < line.len() {
        let width = (1..=4.min(line.len() - start)).find(|width| {
            let mut bytes: Vec<u8> = line[start..start + width].to_vec();
            bytes.reverse();
            std::str::from_utf8(&bytes).is_ok_and(|text| text.chars().count() == 1)
        });
        let width = width.unwrap_or(1);
        line[start..start + width].reverse();
        start += width;
    }
}
