//! From the script's text to commands, with the positions that messages give.

use std::rc::Rc;

use super::script::{Action, Address, Command, End, Part, Pattern, Range, Substitution};
use crate::filter::expression::{Dialect, Options, Syntax, compile};

/// Parses all expressions.
///
/// # Errors
/// The message without the program's name.
pub(super) fn parse(expressions: &[String], extended: bool) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    for (index, expression) in expressions.iter().enumerate() {
        let mut parser = Parser { text: expression.chars().collect(), position: 0, extended };
        parser.commands(&mut commands).map_err(|message| {
            format!(
                "-e expression #{}, char {}: {message}",
                index + 1,
                parser.position.min(parser.text.len())
            )
        })?;
    }
    Ok(commands)
}

struct Parser {
    text: Vec<char>,
    /// Characters taken so far: also where a message says that the mistake is.
    position: usize,
    extended: bool,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.position).copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek();
        self.position += usize::from(character.is_some());
        character
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&skipped) {
            self.position += 1;
        }
    }

    fn number(&mut self) -> u64 {
        let mut number = 0u64;
        while let Some(digit) = self.peek().and_then(|character| character.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit.into());
            self.position += 1;
        }
        number
    }

    fn commands(&mut self, commands: &mut Vec<Command>) -> Result<(), String> {
        loop {
            self.skip(|character| character.is_ascii_whitespace() || character == ';');
            match self.peek() {
                None => return Ok(()),
                Some('#') => self.skip(|character| character != '\n'),
                Some(_) => commands.push(self.command()?),
            }
        }
    }

    fn command(&mut self) -> Result<Command, String> {
        let start = self.address()?;
        let mut end = None;
        if start.is_some() {
            self.skip(|character| character.is_ascii_whitespace());
            if self.peek() == Some(',') {
                self.position += 1;
                self.skip(|character| character.is_ascii_whitespace());
                end = Some(self.end()?);
            }
        }
        let ends_with_expression = matches!(end, Some(End::Address(Address::Matching(_))));
        if matches!(start, Some(Address::Line(0))) && !ends_with_expression {
            self.position += usize::from(self.peek().is_some());
            return Err("invalid usage of line address 0".to_string());
        }
        self.skip(|character| character.is_ascii_whitespace());
        let inverted = self.peek() == Some('!');
        if inverted {
            self.position += 1;
            self.skip(|character| character.is_ascii_whitespace());
            if self.peek() == Some('!') {
                self.position += 1;
                return Err("multiple `!'s".to_string());
            }
        }
        let action = self.action(end.is_some())?;
        Ok(Command { start, end, inverted, action, range: Range::Outside })
    }

    fn address(&mut self) -> Result<Option<Address>, String> {
        Ok(match self.peek() {
            Some('0'..='9') => {
                let first = self.number();
                if self.peek() != Some('~') {
                    return Ok(Some(Address::Line(first)));
                }
                self.position += 1;
                match self.number() {
                    0 => Some(Address::Line(first)),
                    step => Some(Address::Step { first, step }),
                }
            }
            Some('$') => {
                self.position += 1;
                Some(Address::Last)
            }
            Some(delimiter @ ('/' | '\\')) => {
                self.position += 1;
                let delimiter = if delimiter == '\\' { self.next() } else { Some(delimiter) };
                let text = delimiter.and_then(|delimiter| self.delimited(delimiter, true));
                let Some(text) = text else { return Err("unterminated address regex".to_string()) };
                let ignore_case = self.peek() == Some('I');
                self.position += usize::from(ignore_case);
                Some(Address::Matching(self.pattern(&text, ignore_case)?))
            }
            Some('+' | '~') => {
                self.position += 1;
                self.number();
                return Err("invalid usage of +N or ~N as first address".to_string());
            }
            _ => None,
        })
    }

    fn end(&mut self) -> Result<End, String> {
        match self.peek() {
            Some('+') => {
                self.position += 1;
                Ok(End::After(self.number()))
            }
            Some('~') => {
                self.position += 1;
                Ok(End::Multiple(self.number()))
            }
            _ => match self.address()? {
                Some(address) => Ok(End::Address(address)),
                None => {
                    self.position += usize::from(self.peek().is_some());
                    Err("unexpected `,'".to_string())
                }
            },
        }
    }

    fn action(&mut self, is_range: bool) -> Result<Action, String> {
        let Some(letter) = self.next() else { return Err("missing command".to_string()) };
        if letter == 'q' && is_range {
            return Err("command only uses one address".to_string());
        }
        let action = match letter {
            's' => return self.substitution().map(Action::Substitute),
            'd' => Action::Delete,
            'p' => Action::Print,
            '=' => Action::Number,
            'q' => {
                self.skip(|character| character == ' ' || character == '\t');
                Action::Quit((self.number() & 0xff) as u8)
            }
            '}' => return Err("unexpected `}'".to_string()),
            other => return Err(format!("unknown command: `{other}'")),
        };
        self.end_of_command()?;
        Ok(action)
    }

    fn end_of_command(&mut self) -> Result<(), String> {
        self.skip(|character| character == ' ' || character == '\t' || character == '\r');
        match self.peek() {
            // A brace is refused where the next command is read.
            None | Some('#' | '}') => Ok(()),
            Some('\n' | ';') => {
                self.position += 1;
                Ok(())
            }
            Some(_) => {
                self.position += 1;
                Err("extra characters after command".to_string())
            }
        }
    }

    fn substitution(&mut self) -> Result<Substitution, String> {
        let unterminated = || "unterminated `s' command".to_string();
        let delimiter = self.next().filter(|delimiter| !matches!(delimiter, '\n' | '\\'));
        let delimiter = delimiter.ok_or_else(unterminated)?;
        let text = self.delimited(delimiter, true).ok_or_else(unterminated)?;
        let replacement = self.delimited(delimiter, false).ok_or_else(unterminated)?;
        let flags = self.flags()?;
        let pattern = self.pattern(&text, flags.ignore_case)?;
        let replacement = parse_replacement(&replacement)?;
        let groups = pattern.as_ref().map_or(9, |expression| expression.group_count());
        for part in &replacement {
            if let Part::Group(number) = part
                && *number > groups
            {
                return Err(format!("invalid reference \\{number} on `s' command's RHS"));
            }
        }
        let number = flags.number.unwrap_or(1);
        Ok(Substitution { pattern, replacement, number, global: flags.global, print: flags.print })
    }

    /// Text up to a delimiter. A delimiter with a backslash is taken without it. `None`: there is no end.
    fn delimited(&mut self, delimiter: char, is_pattern: bool) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                found if found == delimiter => return Some(text),
                '\\' => match self.next()? {
                    escaped if escaped == delimiter => {
                        // `&` as delimiter is the character itself in a replacement.
                        let plain = !is_pattern && escaped == '&';
                        text.push_str(if plain { "\\" } else { "" });
                        text.push(escaped);
                    }
                    other => text.extend(['\\', other]),
                },
                '[' if is_pattern => {
                    text.push('[');
                    self.bracket(&mut text)?;
                }
                '\n' if is_pattern => return None,
                other => text.push(other),
            }
        }
    }

    /// The rest of a bracket expression, in which the delimiter is a character like others.
    fn bracket(&mut self, text: &mut String) -> Option<()> {
        let mut first = true;
        loop {
            let character = self.next()?;
            text.push(character);
            match character {
                '^' if first && !text.ends_with("[^^") => continue,
                ']' if !first => return Some(()),
                '[' => {
                    if let Some(kind @ (':' | '.' | '=')) = self.peek() {
                        text.push(kind);
                        self.position += 1;
                        let mut before = ' ';
                        loop {
                            let inner = self.next()?;
                            text.push(inner);
                            if inner == ']' && before == kind {
                                break;
                            }
                            before = inner;
                        }
                    }
                }
                _ => {}
            }
            first = false;
        }
    }

    fn pattern(&self, text: &str, ignore_case: bool) -> Result<Pattern, String> {
        if text.is_empty() {
            return if ignore_case {
                Err("cannot specify modifiers on empty regexp".to_string())
            } else {
                Ok(None)
            };
        }
        let syntax = if self.extended { Syntax::Extended } else { Syntax::Basic };
        let options =
            Options { syntax, dialect: Dialect::Sed, ignore_case, whole_word: false, whole_line: false };
        match compile(text, options) {
            Ok(expression) => Ok(Some(Rc::new(expression))),
            Err(error) => Err(error.to_string()),
        }
    }

    fn flags(&mut self) -> Result<Flags, String> {
        let mut flags = Flags::default();
        loop {
            match self.next() {
                Some('g') if flags.global => return Err("multiple `g' options to `s' command".to_string()),
                Some('g') => flags.global = true,
                Some('p') if flags.print => return Err("multiple `p' options to `s' command".to_string()),
                Some('p') => flags.print = true,
                Some('i' | 'I') => flags.ignore_case = true,
                Some('0'..='9') => {
                    self.position -= 1;
                    let number = self.number();
                    if flags.number.is_some() {
                        return Err("multiple number options to `s' command".to_string());
                    }
                    if number == 0 {
                        return Err("number option to `s' command may not be zero".to_string());
                    }
                    flags.number = Some(number);
                }
                Some(' ' | '\t' | '\r') => {}
                Some('#' | '}') => {
                    self.position -= 1;
                    return Ok(flags);
                }
                None | Some('\n' | ';') => return Ok(flags),
                Some(_) => return Err("unknown option to `s'".to_string()),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Flags {
    number: Option<u64>,
    global: bool,
    print: bool,
    ignore_case: bool,
}

fn parse_replacement(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = Vec::new();
    let mut characters = text.chars().peekable();
    let push = |plain: &mut Vec<u8>, character: char| {
        plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    };
    while let Some(character) = characters.next() {
        let group = match character {
            '&' => 0,
            '\\' => match characters.next() {
                Some(digit @ '0'..='9') => digit.to_digit(10).unwrap_or(0) as usize,
                Some(letter @ ('u' | 'l' | 'U' | 'L' | 'E')) => {
                    return Err(format!("case conversion `\\{letter}' is not supported"));
                }
                Some('x') => {
                    plain.extend(hexadecimal(&mut characters));
                    continue;
                }
                Some(letter) => {
                    push(&mut plain, control(letter));
                    continue;
                }
                None => continue,
            },
            other => {
                push(&mut plain, other);
                continue;
            }
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Group(group));
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// The control character that a letter stands for, or the letter.
fn control(letter: char) -> char {
    match letter {
        'n' => '\n',
        't' => '\t',
        'f' => '\x0c',
        'v' => '\x0b',
        'a' => '\x07',
        'r' => '\r',
        other => other,
    }
}

/// The byte of one or two hexadecimal digits; without digits the letter `x`.
fn hexadecimal(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<u8> {
    let mut value = None;
    for _ in 0..2 {
        let Some(digit) = characters.peek().and_then(|digit| digit.to_digit(16)) else { break };
        characters.next();
        value = Some(value.unwrap_or(0) * 16 + digit);
    }
    value.map_or(Some(b'x'), |value| u8::try_from(value).ok())
}
