//! `wc`: counts of lines, words, characters and bytes.

use super::FilterContext;
use super::options::{Grammar, Parsed, flag};
use super::process::{self, Process, Stop};
use crate::files::{FileError, FileKind};
use crate::streams::Input;

static GRAMMAR: Grammar = Grammar {
    program: "wc",
    synopsis: "wc [OPTION]... [FILE]...",
    flags: &[
        flag('l', "lines"),
        flag('w', "words"),
        flag('m', "chars"),
        flag('c', "bytes"),
        flag('L', "max-line-length"),
    ],
    hint: "Try 'wc --help' for more information.\n",
    trouble: 1,
};

/// The columns of a count whose size is not known beforehand.
const UNKNOWN_WIDTH: usize = 7;

/// Runs `wc`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, wc)
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    lines: u64,
    words: u64,
    characters: u64,
    bytes: u64,
    longest: u64,
}

struct Shown {
    keys: Vec<char>,
    width: usize,
}

fn wc(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let mut keys: Vec<char> = ['l', 'w', 'm', 'c', 'L'].into_iter().filter(|key| parsed.has(*key)).collect();
    if keys.is_empty() {
        keys = vec!['l', 'w', 'c'];
    }
    let inputs = parsed.inputs();
    let width = width(process, &inputs, keys.len());
    let shown = Shown { keys, width };
    let mut total = Counts::default();
    let mut status = 0;
    for name in &inputs {
        let counts = match process.open(name) {
            Ok(input) => count(process, &input)?,
            Err(error) => {
                let text = process.unreadable(name, &error, "0653-755", format!("{name}: {error}"));
                process.complain(&text)?;
                status = 1;
                if error != FileError::IsDirectory {
                    continue;
                }
                Counts::default()
            }
        };
        total.lines += counts.lines;
        total.words += counts.words;
        total.characters += counts.characters;
        total.bytes += counts.bytes;
        total.longest = total.longest.max(counts.longest);
        let named = if parsed.operands.is_empty() { None } else { Some(name.as_str()) };
        shown.write(process, counts, named)?;
    }
    if inputs.len() > 1 {
        shown.write(process, total, Some("total"))?;
    }
    Ok(status)
}

/// The columns of each count: enough for the sum of the files' sizes, 7 when a size is not known, and none
/// for a single count of a single input.
fn width(process: &Process<'_>, inputs: &[String], counts: usize) -> usize {
    if inputs.len() == 1 && counts == 1 {
        return 1;
    }
    let mut sum = 0u64;
    let mut least = 1;
    for name in inputs {
        if name == "-" {
            least = UNKNOWN_WIDTH;
            continue;
        }
        let path = process.path(name);
        match path.and_then(|path| process.context.files.metadata(&path)) {
            Ok(entry) if entry.kind == FileKind::File => sum = sum.saturating_add(entry.size),
            Ok(_) => least = UNKNOWN_WIDTH,
            Err(_) => {}
        }
    }
    sum.to_string().len().max(least)
}

impl Shown {
    fn write(&self, process: &mut Process<'_>, counts: Counts, name: Option<&str>) -> Result<(), Stop> {
        let mut row = String::new();
        for key in &self.keys {
            let number = match key {
                'l' => counts.lines,
                'w' => counts.words,
                'm' => counts.characters,
                'c' => counts.bytes,
                _ => counts.longest,
            };
            let gap = if row.is_empty() { "" } else { " " };
            row.push_str(&format!("{gap}{number:>width$}", width = self.width));
        }
        if let Some(name) = name {
            row.push(' ');
            row.push_str(name);
        }
        row.push('\n');
        process.write(row.as_bytes())
    }
}

fn count(process: &mut Process<'_>, input: &Input) -> Result<Counts, Stop> {
    let mut counts = Counts::default();
    let mut block = vec![0; 16 * 1024];
    let mut held = 0;
    let mut in_word = false;
    let mut column = 0;
    loop {
        let read = process.read_block(input, &mut block[held..])?;
        counts.bytes += read as u64;
        let end = held + read;
        let used = scan(&block[..end], read == 0, &mut counts, &mut in_word, &mut column);
        block.copy_within(used..end, 0);
        held = end - used;
        if read == 0 {
            counts.longest = counts.longest.max(column);
            return Ok(counts);
        }
    }
}

/// Counts all whole characters. Returns the bytes that they take; at the end everything is taken.
fn scan(bytes: &[u8], at_end: bool, counts: &mut Counts, in_word: &mut bool, column: &mut u64) -> usize {
    let mut position = 0;
    while position < bytes.len() {
        let rest = &bytes[position..bytes.len().min(position + 4)];
        let (character, width) = match first_character(rest) {
            Some(character) => (Some(character), character.len_utf8()),
            None if !at_end && could_continue(rest) => break,
            None => (None, 1),
        };
        position += width;
        let Some(character) = character else { continue };
        counts.characters += 1;
        match character {
            '\n' => {
                counts.lines += 1;
                end_line(counts, column);
            }
            '\r' | '\x0c' => end_line(counts, column),
            '\t' => *column += 8 - *column % 8,
            other if !other.is_control() => *column += varan_terminal::character_width(other) as u64,
            _ => {}
        }
        if character.is_whitespace() && !matches!(character, '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}') {
            *in_word = false;
        } else if !*in_word && !character.is_control() {
            *in_word = true;
            counts.words += 1;
        }
    }
    position
}

fn end_line(counts: &mut Counts, column: &mut u64) {
    counts.longest = counts.longest.max(*column);
    *column = 0;
}

fn first_character(bytes: &[u8]) -> Option<char> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next()
}

/// Whether the bytes are the beginning of a character.
fn could_continue(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}
