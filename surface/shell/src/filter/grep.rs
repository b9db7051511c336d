//! `grep`, `egrep` and `fgrep`: the lines that match an expression.

use std::collections::VecDeque;

use super::FilterContext;
use super::expression::{self, Dialect, Expression, Options, Syntax};
use super::options::{Flag, Grammar, Parsed, Takes, flag, long, value};
use super::process::{self, Process, Stop};
use crate::streams::Input;

/// The letter of AIX for whole paragraphs; elsewhere there is no such option.
const PARAGRAPH: char = 'p';

const FLAGS: &[Flag] = &[
    // Only where the shell is AIX's.
    flag(PARAGRAPH, ""),
    flag('E', "extended-regexp"),
    flag('F', "fixed-strings"),
    flag('G', "basic-regexp"),
    value('e', "regexp"),
    flag('i', "ignore-case"),
    flag('y', ""),
    flag('v', "invert-match"),
    flag('w', "word-regexp"),
    flag('x', "line-regexp"),
    flag('c', "count"),
    flag('l', "files-with-matches"),
    flag('L', "files-without-match"),
    value('m', "max-count"),
    flag('o', "only-matching"),
    flag('q', "quiet"),
    flag('q', "silent"),
    flag('s', "no-messages"),
    flag('n', "line-number"),
    flag('H', "with-filename"),
    flag('h', "no-filename"),
    flag('a', "text"),
    value('A', "after-context"),
    value('B', "before-context"),
    value('C', "context"),
    long('k', "color", Takes::Optional),
    long('k', "colour", Takes::Optional),
    long('u', "line-buffered", Takes::Nothing),
];

static AIX_GRAMMAR: Grammar = Grammar {
    program: "grep",
    synopsis: "grep [OPTION]... PATTERNS [FILE]...",
    flags: FLAGS,
    hint: HINT,
    trouble: 2,
};

static GRAMMAR: Grammar = Grammar { flags: GNU_FLAGS, ..copy_of(&AIX_GRAMMAR) };

/// All but the first.
const GNU_FLAGS: &[Flag] = FLAGS.split_at(1).1;

const fn copy_of(grammar: &Grammar) -> Grammar {
    Grammar {
        program: grammar.program,
        synopsis: grammar.synopsis,
        flags: grammar.flags,
        hint: grammar.hint,
        trouble: grammar.trouble,
    }
}

/// The options of the shell that it runs in.
fn grammar(context: &FilterContext<'_>) -> &'static Grammar {
    if context.host.dialect().is_korn() { &AIX_GRAMMAR } else { &GRAMMAR }
}

const HINT: &str = "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n";

/// Runs `grep`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, grammar(context), |process, parsed| grep(process, parsed, Syntax::Basic))
}

/// Runs `egrep`, which is `grep -E`.
pub(crate) fn run_extended(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, grammar(context), |process, parsed| grep(process, parsed, Syntax::Extended))
}

/// Runs `fgrep`, which is `grep -F`.
pub(crate) fn run_fixed(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, grammar(context), |process, parsed| grep(process, parsed, Syntax::Fixed))
}

/// What is shown of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Lines,
    /// Only the parts that match.
    Parts,
    Count,
    /// The names of inputs that have a selected line.
    Names,
    /// The names of inputs that have none.
    OtherNames,
    Nothing,
}

struct Search {
    expression: Expression,
    inverted: bool,
    show: Show,
    with_name: bool,
    with_number: bool,
    maximum: u64,
    before: usize,
    after: u64,
    context: bool,
    /// Paragraphs are looked at, not lines.
    paragraphs: bool,
    /// Something was shown: context groups get a separator between them.
    shown: bool,
}

fn grep(process: &mut Process<'_>, parsed: Parsed, default: Syntax) -> Result<u8, Stop> {
    let mut parsed = parsed;
    check_lengths(process, &parsed)?;
    let patterns = given_patterns(&mut parsed);
    if patterns.is_empty() {
        process.complain_raw(HINT)?;
        return Err(Stop::Status(2));
    }
    let Some(mut search) = prepare(process, &parsed, &patterns, default)? else { return Ok(2) };
    let everything = patterns.iter().all(String::is_empty);
    let nothing =
        search.maximum == 0 || (everything && parsed.has('v') && !parsed.has('x') && !parsed.has('w'));
    if nothing && search.show != Show::OtherNames {
        // No line can be selected: GNU grep does not even look at the inputs, nor shows counts.
        return Ok(1);
    }
    let quiet = search.show == Show::Nothing;
    let silent = parsed.has('s');
    let (mut selected, mut trouble) = (false, false);
    for name in parsed.inputs() {
        match process.open(&name) {
            Ok(input) => {
                let name = if name == "-" { "(standard input)" } else { name.as_str() };
                let count = search_input(process, &mut search, name, &input)?;
                selected |= count > 0;
            }
            Err(error) => {
                trouble = true;
                if !silent {
                    let text = process.unreadable(&name, &error, "0652-033", format!("{name}: {error}"));
                    process.complain(&text)?;
                }
            }
        }
        if quiet && selected {
            return Ok(0);
        }
    }
    Ok(if trouble { 2 } else { u8::from(!selected) })
}

/// Refuses context lengths that are not numbers.
fn check_lengths(process: &mut Process<'_>, parsed: &Parsed) -> Result<(), Stop> {
    for key in ['A', 'B', 'C'] {
        if let Some(text) = parsed.last(key)
            && text.parse::<u64>().is_err()
        {
            let message = format!("{text}: invalid context length argument");
            return Err(process.fail(&message));
        }
    }
    Ok(())
}

fn given_patterns(parsed: &mut Parsed) -> Vec<String> {
    let given = parsed.options.iter().filter(|(key, _)| *key == 'e').filter_map(|(_, text)| text.clone());
    let mut patterns: Vec<String> = given.collect();
    if patterns.is_empty() && !parsed.operands.is_empty() {
        patterns.push(parsed.operands.remove(0));
    }
    patterns.iter().flat_map(|pattern| pattern.split('\n').map(str::to_string)).collect()
}

fn syntax(process: &mut Process<'_>, parsed: &Parsed, default: Syntax) -> Result<Syntax, Stop> {
    let mut chosen = None;
    for (key, _) in &parsed.options {
        let syntax = match key {
            'E' => Syntax::Extended,
            'F' => Syntax::Fixed,
            'G' => Syntax::Basic,
            _ => continue,
        };
        // As in GNU grep, basic and extended may follow one another, and the last one holds.
        let fixed = syntax == Syntax::Fixed;
        if chosen.is_some_and(|before| (before == Syntax::Fixed) != fixed) {
            return Err(process.fail("conflicting matchers specified"));
        }
        chosen = Some(syntax);
    }
    Ok(chosen.unwrap_or(default))
}

fn prepare(
    process: &mut Process<'_>,
    parsed: &Parsed,
    patterns: &[String],
    default: Syntax,
) -> Result<Option<Search>, Stop> {
    let options = Options {
        syntax: syntax(process, parsed, default)?,
        dialect: Dialect::Grep,
        ignore_case: parsed.has('i') || parsed.has('y'),
        whole_word: parsed.has('w'),
        whole_line: parsed.has('x'),
    };
    let maximum = match parsed.last('m') {
        None => u64::MAX,
        Some(text) => match text.parse::<i64>() {
            // A negative count means no limit.
            Ok(count) => u64::try_from(count).unwrap_or(u64::MAX),
            Err(_) => return Err(process.fail("invalid max count")),
        },
    };
    let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let expression = match expression::compile_all(&texts, options) {
        Ok(expression) => expression,
        Err(error) => {
            process.complain(&error.to_string())?;
            return Ok(None);
        }
    };
    let length =
        |key| parsed.last(key).or(parsed.last('C')).and_then(|text| text.parse().ok()).unwrap_or(0u64);
    let last_name =
        parsed.options.iter().rev().find(|(key, _)| matches!(key, 'h' | 'H')).map(|(key, _)| *key);
    Ok(Some(Search {
        expression,
        inverted: parsed.has('v'),
        show: show(parsed),
        with_name: last_name.map_or(parsed.operands.len() > 1, |key| key == 'H'),
        with_number: parsed.has('n'),
        maximum,
        before: usize::try_from(length('B')).unwrap_or(usize::MAX),
        after: length('A'),
        context: ['A', 'B', 'C'].iter().any(|key| parsed.has(*key)),
        paragraphs: parsed.has(PARAGRAPH),
        shown: false,
    }))
}

fn show(parsed: &Parsed) -> Show {
    let names = parsed.options.iter().rev().find(|(key, _)| matches!(key, 'l' | 'L')).map(|(key, _)| *key);
    if parsed.has('q') {
        Show::Nothing
    } else if let Some(key) = names {
        if key == 'l' { Show::Names } else { Show::OtherNames }
    } else if parsed.has('c') {
        Show::Count
    } else if parsed.has('o') {
        Show::Parts
    } else {
        Show::Lines
    }
}

/// Searches one input. Returns how many lines were selected, or 1 when only that matters.
fn search_input(
    process: &mut Process<'_>,
    search: &mut Search,
    name: &str,
    input: &Input,
) -> Result<u64, Stop> {
    if search.paragraphs {
        return search_paragraphs(process, search, input);
    }
    let stop_early = matches!(search.show, Show::Nothing | Show::Names | Show::OtherNames);
    let mut count = 0;
    let mut trail = Trail::default();
    let mut line = Vec::new();
    let mut number = 0u64;
    while count < search.maximum || (trail.after_left > 0 && search.maximum > 0) {
        if process.read_line(input, &mut line)?.is_none() {
            break;
        }
        number += 1;
        let matches = search.expression.is_match(&line) != search.inverted;
        if matches && count < search.maximum {
            count += 1;
            if stop_early {
                break;
            }
            select(process, search, name, number, &line, &mut trail)?;
        } else if search.context && search.show == Show::Lines {
            // After the last selected line that counts, further ones are just lines around it.
            trail.pass(process, search, name, number, &line)?;
        }
    }
    match search.show {
        Show::Count => {
            let prefix = if search.with_name { format!("{name}:") } else { String::new() };
            process.write(format!("{prefix}{count}\n").as_bytes())?;
        }
        Show::Names if count > 0 => process.write(format!("{name}\n").as_bytes())?,
        Show::OtherNames if count == 0 => process.write(format!("{name}\n").as_bytes())?,
        _ => {}
    }
    Ok(count)
}

/// Shows the paragraphs, parted by blank lines, that have a line that matches.
fn search_paragraphs(process: &mut Process<'_>, search: &Search, input: &Input) -> Result<u64, Stop> {
    let (mut paragraph, mut line) = (Vec::new(), Vec::new());
    let (mut count, mut found) = (0, false);
    loop {
        let ended = process.read_line(input, &mut line)?.is_none();
        if ended || line.is_empty() {
            if !paragraph.is_empty() && found != search.inverted {
                count += 1;
                if search.show == Show::Lines {
                    process.write(&paragraph)?;
                    process.write(b"\n")?;
                }
            }
            paragraph.clear();
            found = false;
            if ended {
                break;
            }
            continue;
        }
        found |= search.expression.is_match(&line);
        paragraph.extend_from_slice(&line);
        paragraph.push(b'\n');
        if paragraph.len() > process.context.limits.filter_bytes {
            return Err(process.too_large());
        }
    }
    if search.show == Show::Count {
        process.write(format!("{count}\n").as_bytes())?;
    }
    Ok(count)
}

/// Lines around the selected ones.
#[derive(Default)]
struct Trail {
    waiting: VecDeque<(u64, Vec<u8>)>,
    waiting_bytes: usize,
    after_left: u64,
    last_shown: u64,
}

impl Trail {
    /// A line that is not selected: shown after a selected one, or kept for the next one.
    fn pass(
        &mut self,
        process: &mut Process<'_>,
        search: &mut Search,
        name: &str,
        number: u64,
        line: &[u8],
    ) -> Result<(), Stop> {
        if self.after_left > 0 {
            self.after_left -= 1;
            self.last_shown = number;
            return show_line(process, search, name, number, line, '-');
        }
        if search.before == 0 {
            return Ok(());
        }
        self.waiting_bytes += line.len() + 32;
        self.waiting.push_back((number, line.to_vec()));
        if self.waiting.len() > search.before
            && let Some((_, dropped)) = self.waiting.pop_front()
        {
            self.waiting_bytes -= dropped.len() + 32;
        }
        if self.waiting_bytes > process.context.limits.filter_bytes {
            Err(process.too_large())
        } else {
            Ok(())
        }
    }
}

fn select(
    process: &mut Process<'_>,
    search: &mut Search,
    name: &str,
    number: u64,
    line: &[u8],
    trail: &mut Trail,
) -> Result<(), Stop> {
    match search.show {
        Show::Lines => {
            let first = trail.waiting.front().map_or(number, |(first, _)| *first);
            if search.context && search.shown && (trail.last_shown == 0 || first > trail.last_shown + 1) {
                process.write(b"--\n")?;
            }
            search.shown = true;
            trail.waiting_bytes = 0;
            for (number, line) in std::mem::take(&mut trail.waiting) {
                show_line(process, search, name, number, &line, '-')?;
            }
            trail.last_shown = number;
            trail.after_left = search.after;
            show_line(process, search, name, number, line, ':')
        }
        // Lines that do not match have no matching parts.
        Show::Parts if !search.inverted => show_parts(process, search, name, number, line),
        _ => Ok(()),
    }
}

fn show_line(
    process: &mut Process<'_>,
    search: &Search,
    name: &str,
    number: u64,
    line: &[u8],
    separator: char,
) -> Result<(), Stop> {
    if search.with_name {
        process.write(format!("{name}{separator}").as_bytes())?;
    }
    if search.with_number {
        process.write(format!("{number}{separator}").as_bytes())?;
    }
    process.write(line)?;
    process.write(b"\n")
}

fn show_parts(
    process: &mut Process<'_>,
    search: &Search,
    name: &str,
    number: u64,
    line: &[u8],
) -> Result<(), Stop> {
    let mut position = 0;
    while position < line.len() {
        process.check()?;
        let Some((start, end)) = search.expression.find(line, position) else { break };
        if start == end {
            position = end + 1;
            continue;
        }
        show_line(process, search, name, number, &line[start..end], ':')?;
        position = end;
    }
    Ok(())
}
