//! Compound commands.

use std::sync::Arc;

use super::SyntaxError;
use super::lexer::Token;
use super::parser::Parser;
use super::tree::{CaseArm, CaseEnd, Command, Compound, List, Word};
use super::word::arithmetic_length;
use crate::variables::is_name;

impl Parser<'_> {
    /// A command that begins with a keyword.
    pub(crate) fn parse_keyword(&mut self, keyword: &str) -> Result<Command, SyntaxError> {
        let compound = match keyword {
            "{" => {
                self.advance()?;
                let list = self.parse_body(&["}"])?;
                self.expect_word("}")?;
                Compound::Group(list)
            }
            "if" => self.parse_if()?,
            "for" => self.parse_for()?,
            "while" | "until" => {
                self.advance()?;
                let condition = self.parse_body(&["do"])?;
                let body = self.parse_do()?;
                Compound::While { until: keyword == "until", condition, body }
            }
            "case" => self.parse_case()?,
            "[[" => self.parse_conditional()?,
            "function" => {
                self.advance()?;
                let Token::Word(_, name) = self.token.clone() else { return Err(self.unexpected()) };
                self.advance()?;
                return self.parse_function(name);
            }
            "select" => return Err(SyntaxError::Refused { what: "select", line: self.line }),
            "coproc" => return Err(SyntaxError::Refused { what: "coproc", line: self.line }),
            "time" => return Err(SyntaxError::Refused { what: "time", line: self.line }),
            _ => return Err(self.unexpected()),
        };
        self.with_redirections(compound)
    }

    pub(crate) fn parse_subshell(&mut self) -> Result<Compound, SyntaxError> {
        self.expect_operator("(")?;
        let list = self.parse_body(&[])?;
        self.expect_operator(")")?;
        Ok(Compound::Subshell(list))
    }

    /// `(( ... ))` at the first parenthesis; `None` when it is two nested subshells.
    pub(crate) fn parse_double_parenthesis(&mut self) -> Result<Option<Compound>, SyntaxError> {
        let start = self.position + 1;
        let Some(length) = arithmetic_length(&self.text[start..]) else { return Ok(None) };
        let inner = &self.text[start..start + length];
        let word = self.nested(inner)?.scan_arithmetic_text()?;
        self.line += inner.matches('\n').count();
        self.position = start + length + 2;
        self.advance()?;
        Ok(Some(Compound::Arithmetic(word)))
    }

    /// The body of a function; the name was taken, the parentheses may follow.
    pub(crate) fn parse_function(&mut self, name: String) -> Result<Command, SyntaxError> {
        if self.token == Token::Operator("(") {
            self.advance()?;
            self.expect_operator(")")?;
        }
        self.skip_newlines()?;
        let body = match &self.token {
            Token::Operator("(") => {
                let compound = self.parse_subshell()?;
                self.with_redirections(compound)?
            }
            Token::Word(_, raw) if raw == "{" => self.parse_keyword("{")?,
            _ => return Err(self.unexpected()),
        };
        Ok(Command::Function { name, body: Arc::new(body) })
    }

    fn parse_if(&mut self) -> Result<Compound, SyntaxError> {
        let mut branches = Vec::new();
        loop {
            // At `if` or `elif`.
            self.advance()?;
            let condition = self.parse_body(&["then"])?;
            self.expect_word("then")?;
            let body = self.parse_body(&["elif", "else", "fi"])?;
            branches.push((condition, body));
            if !self.is_word("elif") {
                break;
            }
        }
        let mut otherwise = None;
        if self.is_word("else") {
            self.advance()?;
            otherwise = Some(self.parse_body(&["fi"])?);
        }
        self.expect_word("fi")?;
        Ok(Compound::If { branches, otherwise })
    }

    fn parse_do(&mut self) -> Result<List, SyntaxError> {
        self.expect_word("do")?;
        let body = self.parse_body(&["done"])?;
        self.expect_word("done")?;
        Ok(body)
    }

    fn parse_for(&mut self) -> Result<Compound, SyntaxError> {
        self.advance()?;
        if self.token == Token::Operator("(") && self.byte() == Some(b'(') {
            return self.parse_arithmetic_for();
        }
        let Token::Word(_, name) = self.token.clone() else { return Err(self.unexpected()) };
        if !is_name(&name) {
            return Err(SyntaxError::Unexpected { token: name, line: self.line });
        }
        self.advance()?;
        let newline_first = self.token == Token::Newline;
        self.skip_newlines()?;
        let mut words = None;
        if self.is_word("in") {
            self.advance()?;
            words = Some(self.parse_words()?);
            if !matches!(self.token, Token::Operator(";") | Token::Newline) {
                return Err(self.unexpected());
            }
            self.advance()?;
        } else if self.token == Token::Operator(";") && !newline_first {
            self.advance()?;
        }
        self.skip_newlines()?;
        let body = self.parse_do()?;
        Ok(Compound::For { name, words, body })
    }

    fn parse_arithmetic_for(&mut self) -> Result<Compound, SyntaxError> {
        let start = self.position + 1;
        let Some(length) = arithmetic_length(&self.text[start..]) else {
            return Err(if self.text[start..].contains("))") {
                self.unexpected()
            } else {
                SyntaxError::EndOfInput { line: self.line }
            });
        };
        let inner = self.text[start..start + length].to_string();
        let parts: Vec<&str> = inner.split(';').collect();
        let [first, condition, step] = parts.as_slice() else {
            return Err(SyntaxError::Unexpected { token: "((".to_string(), line: self.line });
        };
        let scan = |parser: &Self, text: &str| -> Result<Word, SyntaxError> {
            parser.nested(text)?.scan_arithmetic_text()
        };
        let (first, condition, step) = (scan(self, first)?, scan(self, condition)?, scan(self, step)?);
        self.position = start + length + 2;
        self.advance()?;
        if self.token == Token::Operator(";") {
            self.advance()?;
        }
        self.skip_newlines()?;
        let body = self.parse_do()?;
        Ok(Compound::ForArithmetic { start: first, condition, step, body })
    }

    fn parse_case(&mut self) -> Result<Compound, SyntaxError> {
        self.advance()?;
        let Token::Word(subject, _) = self.token.clone() else { return Err(self.unexpected()) };
        self.advance()?;
        self.skip_newlines()?;
        self.expect_word("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.is_word("esac") {
                self.advance()?;
                return Ok(Compound::Case { subject, arms });
            }
            arms.push(self.parse_case_arm()?);
        }
    }

    fn parse_case_arm(&mut self) -> Result<CaseArm, SyntaxError> {
        if self.token == Token::Operator("(") {
            self.advance()?;
        }
        let mut patterns = Vec::new();
        loop {
            let Token::Word(pattern, _) = self.token.clone() else { return Err(self.unexpected()) };
            patterns.push(pattern);
            self.advance()?;
            match self.token {
                Token::Operator("|") => self.advance()?,
                Token::Operator(")") => break,
                _ => return Err(self.unexpected()),
            }
        }
        self.advance()?;
        let body = self.parse_list(&["esac"])?;
        let end = match self.token {
            Token::Operator(";;") => CaseEnd::Leave,
            Token::Operator(";&") => CaseEnd::FallThrough,
            Token::Operator(";;&") => CaseEnd::TestNext,
            _ if self.is_word("esac") => return Ok(CaseArm { patterns, body, end: CaseEnd::Leave }),
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        Ok(CaseArm { patterns, body, end })
    }
}
