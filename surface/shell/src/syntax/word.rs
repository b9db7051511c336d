//! Words: quotes, parameters and substitutions.

use std::sync::Arc;

use super::SyntaxError;
use super::parser::Parser;
use super::tree::{Operation, Parameter, Part, ReplaceMode, Word};

/// Collects parts, joining neighbouring texts.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
}

impl Parts {
    fn literal(&mut self, character: char) {
        if let Some(Part::Literal(text)) = self.parts.last_mut() {
            text.push(character);
        } else {
            self.parts.push(Part::Literal(character.to_string()));
        }
    }

    fn quoted(&mut self, character: char) {
        if let Some(Part::Quoted(text)) = self.parts.last_mut() {
            text.push(character);
        } else {
            self.parts.push(Part::Quoted(character.to_string()));
        }
    }

    fn word(self) -> Word {
        Word { parts: self.parts }
    }
}

impl Parser<'_> {
    /// Scans one word at the current position. In a regular expression of `[[ =~ ]]` parentheses and bars
    /// belong to the word.
    pub(crate) fn scan_word(&mut self, expression: bool) -> Result<Word, SyntaxError> {
        let mut parts = Parts::default();
        if self.byte() == Some(b'~') {
            self.scan_tilde(&mut parts);
        }
        let mut open = 0usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'(' if expression => open += 1,
                b')' if expression && open > 0 => open -= 1,
                b'|' if expression => {}
                b' ' | b'\t' if expression && open > 0 => {}
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                b'\r' if matches!(self.byte_at(1), None | Some(b'\n')) => break,
                _ => {}
            }
            self.scan_piece(&mut parts)?;
        }
        Ok(parts.word())
    }

    fn scan_tilde(&mut self, parts: &mut Parts) {
        let rest = &self.rest()[1..];
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
            .count();
        let next = rest.as_bytes().get(length);
        if next
            .is_none_or(|byte| matches!(byte, b'/' | b' ' | b'\t' | b'\n' | b';' | b'|' | b'&' | b')' | b':'))
        {
            parts.parts.push(Part::Tilde(rest[..length].to_string()));
            self.position += 1 + length;
        }
    }

    /// Scans one quote, expansion or character outside double quotes.
    fn scan_piece(&mut self, parts: &mut Parts) -> Result<(), SyntaxError> {
        match self.byte() {
            Some(b'\\') => {
                self.position += 1;
                match self.take_character() {
                    Some('\n') => {}
                    Some(character) => parts.quoted(character),
                    None => parts.literal('\\'),
                }
            }
            Some(b'\'') => {
                let text = self.scan_single()?;
                parts.parts.push(Part::Quoted(text));
            }
            Some(b'"') => {
                let inner = self.scan_double()?;
                parts.parts.push(Part::Double(inner));
            }
            Some(b'$') if self.byte_at(1) == Some(b'\'') => {
                let text = self.scan_dollar_single()?;
                parts.parts.push(Part::Quoted(text));
            }
            // $"..." is a translated string; without a catalogue it is the string.
            Some(b'$') if self.byte_at(1) == Some(b'"') => self.position += 1,
            Some(b'$') => match self.scan_dollar()? {
                Some(part) => parts.parts.push(part),
                None => parts.literal('$'),
            },
            Some(b'`') => {
                let part = self.scan_backquote(false)?;
                parts.parts.push(part);
            }
            _ => {
                if let Some(character) = self.take_character() {
                    parts.literal(character);
                }
            }
        }
        Ok(())
    }

    fn unterminated(&self, quote: &str, line: usize) -> SyntaxError {
        SyntaxError::Unterminated { quote: quote.to_string(), line }
    }

    fn scan_single(&mut self) -> Result<String, SyntaxError> {
        let line = self.line;
        self.position += 1;
        let rest = self.rest();
        let Some(end) = rest.find('\'') else { return Err(self.unterminated("'", line)) };
        let text = rest[..end].to_string();
        self.line += text.matches('\n').count();
        self.position += end + 1;
        Ok(text)
    }

    fn scan_double(&mut self) -> Result<Vec<Part>, SyntaxError> {
        let line = self.line;
        self.position += 1;
        let mut parts = Parts::default();
        loop {
            match self.byte() {
                None => return Err(self.unterminated("\"", line)),
                Some(b'"') => {
                    self.position += 1;
                    return Ok(parts.parts);
                }
                _ => self.scan_double_piece(&mut parts, b"$`\"\\")?,
            }
        }
    }

    /// Scans one piece inside double quotes or a here-document; `escapable` says what a backslash quotes.
    fn scan_double_piece(&mut self, parts: &mut Parts, escapable: &[u8]) -> Result<(), SyntaxError> {
        match self.byte() {
            Some(b'\\') => match self.byte_at(1) {
                Some(b'\n') => {
                    self.position += 2;
                    self.line += 1;
                }
                Some(next) if escapable.contains(&next) => {
                    self.position += 2;
                    parts.quoted(char::from(next));
                }
                _ => {
                    self.position += 1;
                    parts.quoted('\\');
                }
            },
            Some(b'$') => {
                let before = std::mem::replace(&mut self.in_double, true);
                let part = self.scan_dollar()?;
                self.in_double = before;
                match part {
                    Some(part) => parts.parts.push(part),
                    None => parts.quoted('$'),
                }
            }
            Some(b'`') => {
                let part = self.scan_backquote(true)?;
                parts.parts.push(part);
            }
            _ => {
                if let Some(character) = self.take_character() {
                    parts.quoted(character);
                }
            }
        }
        Ok(())
    }

    /// The whole text as the body of a here-document.
    pub(crate) fn scan_document(&mut self) -> Result<Word, SyntaxError> {
        let mut parts = Parts::default();
        while self.byte().is_some() {
            self.scan_double_piece(&mut parts, b"$`\\")?;
        }
        Ok(Word { parts: vec![Part::Double(parts.parts)] })
    }

    /// The whole text as one word with unquoted blanks allowed, as in `${a:-two words}` and `$((...))`.
    pub(crate) fn scan_free_text(&mut self) -> Result<Word, SyntaxError> {
        let mut parts = Parts::default();
        if self.byte() == Some(b'~') {
            self.scan_tilde(&mut parts);
        }
        while self.byte().is_some() {
            self.scan_piece(&mut parts)?;
        }
        Ok(parts.word())
    }

    /// As [`Self::scan_free_text`], inside double quotes: single quotes are plain there.
    fn scan_free_quoted_text(&mut self) -> Result<Word, SyntaxError> {
        let mut parts = Parts::default();
        while let Some(byte) = self.byte() {
            if byte == b'"' {
                let inner = self.scan_double()?;
                parts.parts.extend(inner);
            } else if byte == b'$' && self.byte_at(1) == Some(b'\'') {
                let text = self.scan_dollar_single()?;
                parts.parts.push(Part::Quoted(text));
            } else {
                self.scan_double_piece(&mut parts, b"$`\"\\}")?;
            }
        }
        Ok(parts.word())
    }

    fn scan_dollar_single(&mut self) -> Result<String, SyntaxError> {
        let line = self.line;
        self.position += 2;
        let start = self.position;
        loop {
            match self.take_character() {
                None => return Err(self.unterminated("'", line)),
                Some('\\') => {
                    self.take_character();
                }
                Some('\'') => break,
                Some(_) => {}
            }
        }
        let bytes =
            crate::escapes::unescape(&self.text[start..self.position - 1], crate::escapes::Style::Dollar);
        Ok(String::from_utf8_lossy(&bytes.bytes).into_owned())
    }

    /// After `$`: the expansion, or `None` when the dollar sign is itself.
    fn scan_dollar(&mut self) -> Result<Option<Part>, SyntaxError> {
        let Some(next) = self.byte_at(1) else {
            self.position += 1;
            return Ok(None);
        };
        let simple = |name: String| Some(Part::Parameter(Parameter { name, operation: Operation::Value }));
        match next {
            b'(' if self.byte_at(2) == Some(b'(') => {
                let before = (self.position, self.line);
                if let Some(part) = self.scan_arithmetic()? {
                    return Ok(Some(part));
                }
                (self.position, self.line) = before;
                self.scan_substitution().map(Some)
            }
            b'(' => self.scan_substitution().map(Some),
            b'{' => self.scan_braced().map(Some),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let rest = &self.rest()[1..];
                let length =
                    rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
                let name = rest[..length].to_string();
                self.position += 1 + length;
                Ok(simple(name))
            }
            b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' => {
                self.position += 2;
                Ok(simple(char::from(next).to_string()))
            }
            _ => {
                self.position += 1;
                Ok(None)
            }
        }
    }

    /// `$(( ... ))`; `None` when it turns out to be a substitution that begins with a subshell.
    fn scan_arithmetic(&mut self) -> Result<Option<Part>, SyntaxError> {
        let start = self.position + 3;
        let Some(length) = arithmetic_length(&self.text[start..]) else { return Ok(None) };
        let inner = &self.text[start..start + length];
        let word = self.nested(inner)?.scan_arithmetic_text()?;
        self.line += inner.matches('\n').count();
        self.position = start + length + 2;
        Ok(Some(Part::Arithmetic(word)))
    }

    /// Text of an arithmetic expression: quotes mean nothing, expansions do.
    pub(crate) fn scan_arithmetic_text(&mut self) -> Result<Word, SyntaxError> {
        let mut parts = Parts::default();
        while let Some(byte) = self.byte() {
            if byte == b'"' {
                self.position += 1;
            } else {
                self.scan_double_piece(&mut parts, b"$`\"\\")?;
            }
        }
        Ok(parts.word())
    }

    fn scan_substitution(&mut self) -> Result<Part, SyntaxError> {
        let line = self.line;
        self.position += 2;
        let list = self.parse_substitution().map_err(|error| match error {
            SyntaxError::EndOfInput { .. } => self.unterminated(")", line),
            other => other,
        })?;
        Ok(Part::Substitution(Arc::new(list)))
    }

    fn scan_backquote(&mut self, in_double: bool) -> Result<Part, SyntaxError> {
        let line = self.line;
        self.position += 1;
        let mut inner = String::new();
        loop {
            match self.take_character() {
                None => return Err(self.unterminated("`", line)),
                Some('`') => break,
                Some('\\') => match self.byte() {
                    Some(next @ (b'`' | b'\\' | b'$')) => {
                        inner.push(char::from(next));
                        self.position += 1;
                    }
                    Some(b'"') if in_double => {
                        inner.push('"');
                        self.position += 1;
                    }
                    _ => inner.push('\\'),
                },
                Some(character) => inner.push(character),
            }
        }
        let list = self.nested(&inner)?.parse_all()?;
        Ok(Part::Substitution(Arc::new(list)))
    }

    /// `${...}`.
    fn scan_braced(&mut self) -> Result<Part, SyntaxError> {
        let line = self.line;
        let start = self.position;
        self.position += 2;
        let inner_start = self.position;
        self.skip_braced(line)?;
        let inner = &self.text[inner_start..self.position - 1];
        let whole = &self.text[start..self.position];
        match self.parse_braced(inner)? {
            Some(parameter) => Ok(Part::Parameter(parameter)),
            None => Ok(Part::BadSubstitution(whole.to_string())),
        }
    }

    /// Moves behind the `}` that closes the current `${`. Only quotes and nesting are looked at: what is
    /// inside is scanned once, later, so that deep nesting does not cost a power of two.
    fn skip_braced(&mut self, line: usize) -> Result<(), SyntaxError> {
        let mut closers = vec!['}'];
        let mut quoted = false;
        while let Some(closer) = closers.last().copied() {
            let single_quotes = !quoted && (!self.in_double || closer == ')');
            match self.take_character() {
                None => return Err(self.unterminated(&closer.to_string(), line)),
                Some('\\') => {
                    self.take_character();
                }
                Some('"') => quoted = !quoted,
                Some('\'') if single_quotes => {
                    self.position -= 1;
                    self.scan_single()?;
                }
                Some('`') => while !matches!(self.take_character(), None | Some('`')) {},
                Some('$') if self.byte() == Some(b'{') => {
                    self.position += 1;
                    closers.push('}');
                }
                Some('$') if self.byte() == Some(b'(') => {
                    self.position += 1;
                    closers.push(')');
                }
                Some('(') if closer == ')' => closers.push(')'),
                Some(character) if character == closer && (!quoted || closers.len() > 1) => {
                    closers.pop();
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn parse_braced(&mut self, inner: &str) -> Result<Option<Parameter>, SyntaxError> {
        if let Some(name) = inner.strip_prefix('#').filter(|name| !name.is_empty())
            && parameter_length(name) == name.len()
        {
            return Ok(Some(Parameter { name: name.to_string(), operation: Operation::Length }));
        }
        if let Some(name) = inner.strip_prefix('!').filter(|name| crate::variables::is_name(name)) {
            return Ok(Some(Parameter { name: name.to_string(), operation: Operation::Indirect }));
        }
        let length = parameter_length(inner);
        if length == 0 {
            return Ok(None);
        }
        let (name, rest) = inner.split_at(length);
        let operation = self.parse_operation(rest)?;
        Ok(operation.map(|operation| Parameter { name: name.to_string(), operation }))
    }

    fn parse_operation(&mut self, rest: &str) -> Result<Option<Operation>, SyntaxError> {
        let mut characters = rest.chars();
        let Some(first) = characters.next() else { return Ok(Some(Operation::Value)) };
        let after = characters.as_str();
        let second = characters.next();
        let doubled = second == Some(first);
        let behind = if doubled { characters.as_str() } else { after };
        Ok(Some(match first {
            '-' | '=' | '?' | '+' => {
                Operation::Default { kind: first, colon: false, word: self.default_operand(after)? }
            }
            ':' if matches!(second, Some('-' | '=' | '?' | '+')) => {
                let kind = second.unwrap_or('-');
                Operation::Default { kind, colon: true, word: self.default_operand(characters.as_str())? }
            }
            ':' => {
                let (offset, length) = split_slice(after);
                let length = length.map(|length| self.arithmetic_operand(length)).transpose()?;
                Operation::Slice { offset: self.arithmetic_operand(offset)?, length }
            }
            '%' | '#' => {
                let pattern = self.operand(behind)?;
                Operation::Remove { suffix: first == '%', longest: doubled, pattern }
            }
            '/' => return self.parse_replacement(after).map(Some),
            '^' | ',' if behind.is_empty() => Operation::Case { upper: first == '^', all: doubled },
            _ => return Ok(None),
        }))
    }

    fn parse_replacement(&mut self, after: &str) -> Result<Operation, SyntaxError> {
        let (mode, rest) = match after.chars().next() {
            Some('/') => (ReplaceMode::All, &after[1..]),
            Some('#') => (ReplaceMode::Prefix, &after[1..]),
            Some('%') => (ReplaceMode::Suffix, &after[1..]),
            _ => (ReplaceMode::First, after),
        };
        let mut end = rest.len();
        let mut escaped = false;
        for (index, byte) in rest.bytes().enumerate() {
            if byte == b'/' && !escaped {
                end = index;
                break;
            }
            escaped = byte == b'\\' && !escaped;
        }
        let replacement = rest.get(end + 1..).unwrap_or("");
        Ok(Operation::Replace {
            mode,
            pattern: self.operand(&rest[..end])?,
            replacement: self.operand(replacement)?,
        })
    }

    /// The word behind `:-` and its like: inside double quotes a single quote is plain text.
    fn default_operand(&mut self, text: &str) -> Result<Word, SyntaxError> {
        if self.in_double { self.nested(text)?.scan_free_quoted_text() } else { self.operand(text) }
    }

    fn operand(&mut self, text: &str) -> Result<Word, SyntaxError> {
        self.nested(text)?.scan_free_text()
    }

    fn arithmetic_operand(&mut self, text: &str) -> Result<Word, SyntaxError> {
        self.nested(text)?.scan_arithmetic_text()
    }
}

/// The length of the parameter's name at a text's beginning, 0 when there is none.
fn parameter_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(byte) if byte.is_ascii_digit() => bytes.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' => {
            bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
        }
        Some(b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') => 1,
        _ => 0,
    }
}

/// Splits `offset:length`; a `:` within parentheses or after `?` belongs to the offset.
fn split_slice(text: &str) -> (&str, Option<&str>) {
    let mut depth = 0usize;
    let mut choices = 0usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'?' => choices += 1,
            b':' if choices > 0 => choices -= 1,
            b':' if depth == 0 => return (&text[..index], Some(&text[index + 1..])),
            _ => {}
        }
    }
    (text, None)
}

/// The bytes up to the `))` that closes an arithmetic expression; `None` if a single `)` comes first.
pub(crate) fn arithmetic_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b')' => return (bytes.get(index + 1) == Some(&b')')).then_some(index),
            b'\\' => index += 1,
            _ => {}
        }
        index += 1;
    }
    None
}
