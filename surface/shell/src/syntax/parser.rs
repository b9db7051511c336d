//! From tokens to commands. Compound commands are in `compound.rs`, `[[ ... ]]` in `conditional.rs`.

use std::sync::{Arc, OnceLock};

use super::SyntaxError;
use super::braces;
use super::lexer::{PendingDocument, Token};
use super::tree::{
    Assignment, Command, Connector, List, Part, Pipeline, Redirection, Simple, Stage, Statement, Target, Word,
};
use crate::limits::Limits;
use crate::variables::is_name;

/// Words that have a meaning where a command begins.
pub(crate) const KEYWORDS: &[&str] = &[
    "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "{",
    "}", "!", "[[", "]]", "function", "select", "time", "coproc",
];

/// Reads a script command by command.
pub(crate) struct Parser<'t> {
    pub(crate) text: &'t str,
    pub(crate) position: usize,
    pub(crate) line: usize,
    pub(crate) token: Token,
    pub(crate) token_start: usize,
    pub(crate) pending: Vec<PendingDocument>,
    /// A here-document that the text's end cuts off is an error (more may be typed).
    pub(crate) strict_documents: bool,
    /// The position is inside double quotes.
    pub(crate) in_double: bool,
    depth: usize,
    depth_limit: usize,
    brace_limit: usize,
    started: bool,
}

impl<'t> Parser<'t> {
    /// A parser at the beginning of a script. `interactive`: more text may follow.
    pub(crate) fn new(text: &'t str, limits: &Limits, interactive: bool) -> Self {
        Self {
            text,
            position: 0,
            line: 1,
            token: Token::Newline,
            token_start: 0,
            pending: Vec::new(),
            strict_documents: interactive,
            in_double: false,
            depth: 0,
            depth_limit: limits.nesting_depth,
            brace_limit: limits.brace_words,
            started: false,
        }
    }

    /// A parser for a part of the text, one level deeper.
    pub(crate) fn nested<'n>(&self, text: &'n str) -> Result<Parser<'n>, SyntaxError> {
        if self.depth >= self.depth_limit {
            return Err(SyntaxError::TooDeep { limit: self.depth_limit, line: self.line });
        }
        Ok(Parser {
            text,
            position: 0,
            line: self.line,
            token: Token::Newline,
            token_start: 0,
            pending: Vec::new(),
            strict_documents: self.strict_documents,
            in_double: false,
            depth: self.depth + 1,
            depth_limit: self.depth_limit,
            brace_limit: self.brace_limit,
            started: false,
        })
    }

    pub(crate) fn deeper(&mut self) -> Result<(), SyntaxError> {
        if self.depth >= self.depth_limit {
            return Err(SyntaxError::TooDeep { limit: self.depth_limit, line: self.line });
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn shallower(&mut self) {
        self.depth -= 1;
    }

    /// The commands of the next line (or lines, when a command goes on); `None` at the end.
    pub(crate) fn next_commands(&mut self) -> Result<Option<List>, SyntaxError> {
        if !self.started {
            self.started = true;
            self.advance()?;
        }
        while self.token == Token::Newline {
            self.advance()?;
        }
        if self.token == Token::End {
            return Ok(None);
        }
        let mut list = List::default();
        loop {
            list.statements.push(self.parse_statement()?);
            match self.token {
                Token::Operator(";") => {
                    self.advance()?;
                    if matches!(self.token, Token::Newline | Token::End) {
                        break;
                    }
                }
                Token::Newline | Token::End => break,
                _ => return Err(self.unexpected()),
            }
        }
        if self.token == Token::Newline && !self.pending.is_empty() {
            self.advance()?;
        } else if self.token == Token::End && !self.pending.is_empty() {
            self.token = Token::Newline;
            self.advance()?;
        }
        Ok(Some(list))
    }

    /// Everything up to the end, as one list.
    pub(crate) fn parse_all(&mut self) -> Result<List, SyntaxError> {
        let mut all = List::default();
        while let Some(list) = self.next_commands()? {
            all.statements.extend(list.statements);
        }
        Ok(all)
    }

    /// The commands behind `$(`, up to the `)`. The position is left behind it.
    pub(crate) fn parse_substitution(&mut self) -> Result<List, SyntaxError> {
        self.deeper()?;
        let token = std::mem::replace(&mut self.token, Token::Newline);
        let pending = std::mem::take(&mut self.pending);
        let (token_start, in_double) = (self.token_start, std::mem::take(&mut self.in_double));
        let result = self.parse_until_parenthesis();
        (self.token, self.pending, self.token_start, self.in_double) =
            (token, pending, token_start, in_double);
        self.shallower();
        result
    }

    fn parse_until_parenthesis(&mut self) -> Result<List, SyntaxError> {
        self.advance()?;
        let list = self.parse_list(&[])?;
        if self.token != Token::Operator(")") {
            return Err(self.unexpected());
        }
        self.position = self.token_start + 1;
        Ok(list)
    }

    /// A list within a compound command: stops at a closing parenthesis, at the end, or at one of the words.
    pub(crate) fn parse_list(&mut self, stops: &[&str]) -> Result<List, SyntaxError> {
        let mut list = List::default();
        loop {
            while self.token == Token::Newline {
                self.advance()?;
            }
            let stopped = match &self.token {
                Token::End | Token::Operator(")" | ";;" | ";&" | ";;&") => true,
                Token::Word(_, raw) => stops.contains(&raw.as_str()),
                _ => false,
            };
            if stopped {
                return Ok(list);
            }
            list.statements.push(self.parse_statement()?);
            match self.token {
                Token::Operator(";") => self.advance()?,
                Token::Newline | Token::End | Token::Operator(")" | ";;" | ";&" | ";;&") => {}
                _ => return Err(self.unexpected()),
            }
        }
    }

    /// A list that must not be empty.
    pub(crate) fn parse_body(&mut self, stops: &[&str]) -> Result<List, SyntaxError> {
        let list = self.parse_list(stops)?;
        if list.statements.is_empty() { Err(self.unexpected()) } else { Ok(list) }
    }

    fn parse_statement(&mut self) -> Result<Statement, SyntaxError> {
        let first = self.parse_pipeline()?;
        let mut rest = Vec::new();
        loop {
            let connector = match self.token {
                Token::Operator("&&") => Connector::And,
                Token::Operator("||") => Connector::Or,
                Token::Operator("&") => {
                    return Err(SyntaxError::Refused { what: "&: background jobs", line: self.line });
                }
                _ => return Ok(Statement { first, rest }),
            };
            self.advance()?;
            self.skip_newlines()?;
            rest.push((connector, self.parse_pipeline()?));
        }
    }

    pub(crate) fn skip_newlines(&mut self) -> Result<(), SyntaxError> {
        while self.token == Token::Newline {
            self.advance()?;
        }
        Ok(())
    }

    fn parse_pipeline(&mut self) -> Result<Pipeline, SyntaxError> {
        let mut negated = false;
        while self.is_word("!") {
            negated = !negated;
            self.advance()?;
        }
        let mut stages = Vec::new();
        loop {
            self.deeper()?;
            let command = self.parse_command();
            self.shallower();
            let error_too = self.token == Token::Operator("|&");
            stages.push(Stage { command: command?, error_too });
            if !matches!(self.token, Token::Operator("|" | "|&")) {
                return Ok(Pipeline { negated, stages });
            }
            self.advance()?;
            self.skip_newlines()?;
        }
    }

    fn parse_command(&mut self) -> Result<Command, SyntaxError> {
        match &self.token {
            Token::Operator("(") => {
                if self.byte() == Some(b'(')
                    && let Some(compound) = self.parse_double_parenthesis()?
                {
                    return self.with_redirections(compound);
                }
                let compound = self.parse_subshell()?;
                self.with_redirections(compound)
            }
            Token::Word(_, raw) if KEYWORDS.contains(&raw.as_str()) => {
                let keyword = raw.clone();
                self.parse_keyword(&keyword)
            }
            Token::Word(_, raw) if self.function_follows(raw) => {
                let name = raw.clone();
                self.advance()?;
                self.parse_function(name)
            }
            Token::Word(..) | Token::Descriptor(_) => self.parse_simple(),
            Token::Operator(
                "<" | ">" | ">>" | "<<" | "<<-" | "<<<" | "&>" | "&>>" | "<&" | ">&" | "<>" | ">|",
            ) => self.parse_simple(),
            _ => Err(self.unexpected()),
        }
    }

    fn function_follows(&self, raw: &str) -> bool {
        is_name(&raw.replace('-', "_")) && {
            let rest = self.rest().trim_start_matches([' ', '\t']);
            rest.strip_prefix('(').is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(')'))
        }
    }

    pub(crate) fn with_redirections(
        &mut self,
        compound: super::tree::Compound,
    ) -> Result<Command, SyntaxError> {
        let mut redirections = Vec::new();
        while let Some(redirection) = self.parse_redirection()? {
            redirections.push(redirection);
        }
        Ok(Command::Compound(compound, redirections))
    }

    fn parse_simple(&mut self) -> Result<Command, SyntaxError> {
        let mut simple = Simple::default();
        loop {
            if let Some(redirection) = self.parse_redirection()? {
                simple.redirections.push(redirection);
                continue;
            }
            let Token::Word(word, raw) = &self.token else { break };
            if simple.words.is_empty()
                && let Some(assignment) = as_assignment(word)
            {
                let array = assignment.value.parts.is_empty() && self.byte() == Some(b'(');
                simple.assignments.push(assignment);
                self.advance()?;
                if array {
                    return Err(self.unexpected());
                }
                continue;
            }
            self.add_word(word, raw, &mut simple.words)?;
            self.advance()?;
        }
        if self.token == Token::Operator("(") {
            return Err(self.unexpected());
        }
        Ok(Command::Simple(simple))
    }

    /// The words of `for name in ...`, up to the line's end.
    pub(crate) fn parse_words(&mut self) -> Result<Vec<Word>, SyntaxError> {
        let mut words = Vec::new();
        while let Token::Word(word, raw) = &self.token {
            self.add_word(word, raw, &mut words)?;
            self.advance()?;
        }
        Ok(words)
    }

    /// Adds a word, or the words that its braces stand for.
    fn add_word(&self, word: &Word, raw: &str, words: &mut Vec<Word>) -> Result<(), SyntaxError> {
        match braces::expand(word, raw, self.brace_limit) {
            Ok(None) => words.push(word.clone()),
            Ok(Some(expanded)) => words.extend(expanded),
            Err(limit) => return Err(SyntaxError::TooManyWords { limit, line: self.line }),
        }
        Ok(())
    }

    fn parse_redirection(&mut self) -> Result<Option<Redirection>, SyntaxError> {
        let explicit = match self.token {
            Token::Descriptor(number) => {
                self.advance()?;
                Some(number)
            }
            _ => None,
        };
        let Token::Operator(operator) = self.token else { return Ok(None) };
        let standard = match operator {
            "<" | "<&" | "<<" | "<<-" | "<<<" | "<>" => 0,
            ">" | ">>" | ">&" | ">|" | "&>" | "&>>" => 1,
            _ => return Ok(None),
        };
        self.advance()?;
        let Token::Word(word, raw) = self.token.clone() else { return Err(self.unexpected()) };
        let target = match operator {
            "<" | "<>" => Target::Read(word),
            ">" | ">|" => Target::Write { path: word, append: false },
            ">>" => Target::Write { path: word, append: true },
            "&>" => Target::WriteBoth { path: word, append: false },
            "&>>" => Target::WriteBoth { path: word, append: true },
            "<<<" => Target::HereString(word),
            "<<" | "<<-" => self.here_document(&word, &raw, operator == "<<-"),
            _ => Target::Duplicate(word),
        };
        self.advance()?;
        Ok(Some(Redirection { descriptor: explicit.unwrap_or(standard), target }))
    }

    fn here_document(&mut self, word: &Word, raw: &str, strip_tabs: bool) -> Target {
        let body = Arc::new(OnceLock::new());
        self.pending.push(PendingDocument {
            delimiter: plain_text(&word.parts),
            quoted: raw.contains(['\'', '"', '\\']),
            strip_tabs,
            body: body.clone(),
        });
        Target::HereDocument(body)
    }

    pub(crate) fn is_word(&self, text: &str) -> bool {
        matches!(&self.token, Token::Word(_, raw) if raw == text)
    }

    /// Takes a keyword that must come here.
    pub(crate) fn expect_word(&mut self, text: &str) -> Result<(), SyntaxError> {
        if self.is_word(text) { self.advance() } else { Err(self.unexpected()) }
    }

    pub(crate) fn expect_operator(&mut self, operator: &'static str) -> Result<(), SyntaxError> {
        if self.token == Token::Operator(operator) { self.advance() } else { Err(self.unexpected()) }
    }

    /// The error for the current token.
    pub(crate) fn unexpected(&self) -> SyntaxError {
        match &self.token {
            Token::End => SyntaxError::EndOfInput { line: self.line },
            token => {
                let line = if *token == Token::Newline { self.line - 1 } else { self.line };
                SyntaxError::Unexpected { token: token.describe(), line }
            }
        }
    }
}

/// The text of a word's parts without quotes, for a here-document's delimiter.
fn plain_text(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Literal(piece) | Part::Quoted(piece) => text.push_str(piece),
            Part::Double(inner) => text.push_str(&plain_text(inner)),
            Part::Parameter(parameter) => {
                text.push('$');
                text.push_str(&parameter.name);
            }
            _ => {}
        }
    }
    text
}

/// `name=value` or `name+=value`, when the name and the sign are not quoted.
pub(crate) fn as_assignment(word: &Word) -> Option<Assignment> {
    let Some(Part::Literal(first)) = word.parts.first() else { return None };
    let sign = first.find('=')?;
    let (name, append) = match first[..sign].strip_suffix('+') {
        Some(name) => (name, true),
        None => (&first[..sign], false),
    };
    if !is_name(name) {
        return None;
    }
    let mut parts = Vec::with_capacity(word.parts.len());
    let rest = &first[sign + 1..];
    if let Some(tail) = rest.strip_prefix('~').filter(|tail| tail.is_empty() || tail.starts_with('/')) {
        parts.push(Part::Tilde(String::new()));
        parts.push(Part::Literal(tail.to_string()));
    } else if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_string()));
    }
    parts.extend(word.parts[1..].iter().cloned());
    Some(Assignment { name: name.to_string(), append, value: Word { parts } })
}
