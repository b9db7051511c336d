//! `read`.

use std::io;

use varan_terminal::{Echo, Event};

use super::{fail, invalid_option};
use crate::evaluate::{Eval, Evaluator, Halt};
use crate::limits::LimitReached;
use crate::variables::is_name;

#[derive(Debug)]
struct Settings {
    raw: bool,
    silent: bool,
    delimiter: u8,
    prompt: String,
}

/// One character, and whether a backslash stood before it.
type Marked = (char, bool);

pub(crate) fn read(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (settings, names) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(letter) => return invalid_option(shell, "read", letter),
    };
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return fail(shell, "read", &format!("`{name}': not a valid identifier"), 1);
    }
    let mut line = Vec::new();
    let ended = read_line(shell, &settings, &mut line)?;
    let marked = unescaped(&String::from_utf8_lossy(&line), settings.raw);
    store(shell, &marked, names)?;
    Ok(u8::from(ended))
}

fn parse(arguments: &[String]) -> Result<(Settings, &[String]), char> {
    let mut settings = Settings { raw: false, silent: false, delimiter: b'\n', prompt: String::new() };
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        let Some(letters) = first.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
        rest = others;
        if first == "--" {
            break;
        }
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            match letter {
                'r' => settings.raw = true,
                's' => settings.silent = true,
                // Editing is always there on a terminal.
                'e' => {}
                'p' | 'd' => {
                    let attached = letters.as_str();
                    let value = if attached.is_empty() {
                        let Some((value, others)) = rest.split_first() else { return Err(letter) };
                        rest = others;
                        value.as_str()
                    } else {
                        attached
                    };
                    if letter == 'p' {
                        settings.prompt = value.to_string();
                    } else {
                        settings.delimiter = value.bytes().next().unwrap_or(0);
                    }
                    break;
                }
                other => return Err(other),
            }
        }
    }
    Ok((settings, rest))
}

/// Reads up to the delimiter, which is left out. True when the input ended first.
fn read_line(shell: &Evaluator, settings: &Settings, line: &mut Vec<u8>) -> Eval<bool> {
    let mut prompt = settings.prompt.as_str();
    loop {
        let before = line.len();
        if read_part(shell, settings, prompt, line)? {
            return Ok(true);
        }
        prompt = "> ";
        let backslashes = line[before..].iter().rev().take_while(|byte| **byte == b'\\').count();
        if settings.raw || backslashes % 2 == 0 || settings.delimiter != b'\n' {
            return Ok(false);
        }
        line.pop();
        shell.step()?;
    }
}

fn read_part(shell: &Evaluator, settings: &Settings, prompt: &str, line: &mut Vec<u8>) -> Eval<bool> {
    let input = &shell.input;
    let terminal = shell.run.terminal.as_ref();
    if let Some(terminal) =
        terminal.filter(|_| input.is_terminal() && !input.has_buffered() && settings.delimiter == b'\n')
    {
        let echo = if settings.silent { Echo::Off } else { Echo::On };
        return match terminal.read_line(prompt, echo, shell.run.cancellation()) {
            Ok(Event::Line(text)) => {
                line.extend_from_slice(text.as_bytes());
                check_size(shell, line).map(|()| false)
            }
            Ok(Event::Interrupt) => {
                shell.run.cancellation().cancel();
                Err(Halt::Stopped)
            }
            Ok(_) => Ok(true),
            Err(error) => Err(shell.failed(&error)),
        };
    }
    let limit = shell.run.meter.limits.expansion_bytes;
    match input.read_until(settings.delimiter, line, limit) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            return Err(shell.limit(LimitReached::Expansion(limit)));
        }
        Err(error) => return Err(shell.failed(&error)),
    }
    check_size(shell, line)?;
    if line.last() == Some(&settings.delimiter) {
        line.pop();
        return Ok(false);
    }
    Ok(true)
}

fn check_size(shell: &Evaluator, line: &[u8]) -> Eval<()> {
    let limit = shell.run.meter.limits.expansion_bytes;
    if line.len() > limit { Err(shell.limit(LimitReached::Expansion(limit))) } else { Ok(()) }
}

fn unescaped(text: &str, raw: bool) -> Vec<Marked> {
    let mut marked = Vec::with_capacity(text.len());
    let mut characters = text.chars().filter(|character| *character != '\0');
    while let Some(character) = characters.next() {
        if character == '\\' && !raw {
            match characters.next() {
                Some('\n') | None => {}
                Some(next) => marked.push((next, true)),
            }
        } else {
            marked.push((character, false));
        }
    }
    marked
}

fn text_of(marked: &[Marked]) -> String {
    marked.iter().map(|(character, _)| *character).collect()
}

fn store(shell: &mut Evaluator, marked: &[Marked], names: &[String]) -> Eval<()> {
    let Some((last, others)) = names.split_last() else {
        return shell.assign("REPLY", text_of(marked));
    };
    let separators = shell.state.variables.get("IFS").unwrap_or(" \t\n").to_string();
    let mut splitter = Splitter { rest: marked, separators: &separators };
    splitter.skip_blanks();
    for name in others {
        let field = text_of(splitter.field());
        shell.assign(name, field)?;
    }
    let field = text_of(splitter.remainder());
    shell.assign(last, field)
}

/// Takes fields from a line as the separators say.
struct Splitter<'a> {
    rest: &'a [Marked],
    separators: &'a str,
}

impl<'a> Splitter<'a> {
    fn is_separator(&self, marked: &Marked) -> bool {
        !marked.1 && self.separators.contains(marked.0)
    }

    fn is_blank(&self, marked: &Marked) -> bool {
        matches!(marked.0, ' ' | '\t' | '\n') && self.is_separator(marked)
    }

    fn skip_blanks(&mut self) {
        let count = self.rest.iter().take_while(|marked| self.is_blank(marked)).count();
        self.rest = &self.rest[count..];
    }

    fn field(&mut self) -> &'a [Marked] {
        let end = self.rest.iter().position(|marked| self.is_separator(marked)).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip_blanks();
        if self.rest.first().is_some_and(|marked| self.is_separator(marked)) {
            self.rest = &self.rest[1..];
            self.skip_blanks();
        }
        field
    }

    /// What is left for the last name: whole, but without blanks at its end; when it is one field with one
    /// separator behind it, without the separator.
    fn remainder(mut self) -> &'a [Marked] {
        let whole = self.rest;
        let first = self.field();
        if self.rest.is_empty() {
            return first;
        }
        let blanks = whole.iter().rev().take_while(|marked| self.is_blank(marked)).count();
        &whole[..whole.len() - blanks]
    }
}
