//! From characters to tokens. Words are scanned together with what they contain, see `word.rs`.

use std::sync::{Arc, OnceLock};

use super::SyntaxError;
use super::parser::Parser;
use super::tree::{Part, Word};

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A word, with its text as written.
    Word(Word, String),
    /// The digits directly before `<` or `>`.
    Descriptor(u32),
    Operator(&'static str),
    Newline,
    End,
}

impl Token {
    /// How an error message names it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(_, raw) => raw.clone(),
            Self::Descriptor(number) => number.to_string(),
            Self::Operator(operator) => (*operator).to_string(),
            Self::Newline => "newline".to_string(),
            Self::End => "end of file".to_string(),
        }
    }
}

/// Longest first.
const OPERATORS: &[&str] = &[
    "&>>", "<<<", "<<-", ";;&", "&&", "||", ";;", ";&", "|&", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "|",
    "&", ";", "(", ")", "<", ">",
];

/// A here-document whose lines come after the end of the current line.
#[derive(Debug)]
pub(crate) struct PendingDocument {
    pub(crate) delimiter: String,
    pub(crate) quoted: bool,
    pub(crate) strip_tabs: bool,
    pub(crate) body: Arc<OnceLock<Word>>,
}

impl Parser<'_> {
    /// Moves to the next token.
    pub(crate) fn advance(&mut self) -> Result<(), SyntaxError> {
        if self.token == Token::Newline && !self.pending.is_empty() {
            self.read_documents()?;
        }
        self.skip_blanks();
        self.token_start = self.position;
        self.token = self.scan_token()?;
        Ok(())
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\r') => self.position += 1,
                Some(b'\\') if self.byte_at(1) == Some(b'\n') => {
                    self.position += 2;
                    self.line += 1;
                }
                Some(b'#') => {
                    while self.byte().is_some_and(|byte| byte != b'\n') {
                        self.position += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn scan_token(&mut self) -> Result<Token, SyntaxError> {
        let Some(byte) = self.byte() else { return Ok(Token::End) };
        if byte == b'\n' {
            self.position += 1;
            self.line += 1;
            return Ok(Token::Newline);
        }
        let rest = self.rest();
        if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
            self.position += operator.len();
            return Ok(Token::Operator(operator));
        }
        if byte.is_ascii_digit() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if matches!(self.byte_at(digits), Some(b'<' | b'>'))
                && let Ok(number) = rest[..digits].parse()
            {
                self.position += digits;
                return Ok(Token::Descriptor(number));
            }
        }
        let start = self.position;
        let word = self.scan_word(false)?;
        Ok(Token::Word(word, self.text[start..self.position].to_string()))
    }

    /// Reads the lines of the here-documents that began on the line just ended.
    fn read_documents(&mut self) -> Result<(), SyntaxError> {
        for document in std::mem::take(&mut self.pending) {
            let mut body = String::new();
            loop {
                if self.position >= self.text.len() {
                    // bash takes what is there; an interactive user gets to type the rest.
                    if self.strict_documents {
                        return Err(SyntaxError::EndOfInput { line: self.line });
                    }
                    break;
                }
                let text = self.text;
                let rest = &text[self.position..];
                let line_end = rest.find('\n').unwrap_or(rest.len());
                let mut line = &rest[..line_end];
                self.position += (line_end + 1).min(rest.len());
                self.line += 1;
                if document.strip_tabs {
                    line = line.trim_start_matches('\t');
                }
                if line == document.delimiter {
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
            let word = if document.quoted {
                Word { parts: vec![Part::Quoted(body)] }
            } else {
                self.nested(&body)?.scan_document()?
            };
            // Set once: each document is read once.
            let _ = document.body.set(word);
        }
        Ok(())
    }

    pub(crate) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    pub(crate) fn byte_at(&self, offset: usize) -> Option<u8> {
        self.text.as_bytes().get(self.position + offset).copied()
    }

    pub(crate) fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    /// Takes one character, counting lines.
    pub(crate) fn take_character(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.position += character.len_utf8();
        if character == '\n' {
            self.line += 1;
        }
        Some(character)
    }
}
