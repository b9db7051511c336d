//! The inside of `[[ ... ]]`.

use super::SyntaxError;
use super::lexer::Token;
use super::parser::Parser;
use super::tree::{Compound, Condition, Word};

const UNARY: &[&str] = &[
    "-n", "-z", "-e", "-f", "-d", "-r", "-w", "-x", "-s", "-h", "-L", "-t", "-a", "-b", "-c", "-g", "-p",
    "-u", "-k", "-O", "-G", "-N", "-S", "-v", "-o",
];

const BINARY: &[&str] =
    &["=", "==", "!=", "=~", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];

impl Parser<'_> {
    pub(crate) fn parse_conditional(&mut self) -> Result<Compound, SyntaxError> {
        self.advance()?;
        let condition = self.parse_or()?;
        self.skip_newlines()?;
        self.expect_word("]]")?;
        Ok(Compound::Conditional(condition))
    }

    fn parse_or(&mut self) -> Result<Condition, SyntaxError> {
        let first = self.parse_and()?;
        self.skip_newlines()?;
        let mut terms = vec![first];
        while self.token == Token::Operator("||") {
            self.advance()?;
            terms.push(self.parse_and()?);
            self.skip_newlines()?;
        }
        Ok(Condition::AnyOf(terms))
    }

    fn parse_and(&mut self) -> Result<Condition, SyntaxError> {
        let first = self.parse_term()?;
        self.skip_newlines()?;
        let mut terms = vec![first];
        while self.token == Token::Operator("&&") {
            self.advance()?;
            terms.push(self.parse_term()?);
            self.skip_newlines()?;
        }
        Ok(Condition::All(terms))
    }

    fn parse_term(&mut self) -> Result<Condition, SyntaxError> {
        self.skip_newlines()?;
        self.deeper()?;
        let term = self.parse_term_inner();
        self.shallower();
        term
    }

    fn parse_term_inner(&mut self) -> Result<Condition, SyntaxError> {
        if self.token == Token::Operator("(") {
            self.advance()?;
            let inner = self.parse_or()?;
            self.expect_operator(")")?;
            return Ok(inner);
        }
        if self.is_word("!") {
            self.advance()?;
            return Ok(Condition::Not(Box::new(self.parse_term()?)));
        }
        let Token::Word(first, raw) = self.token.clone() else { return Err(self.unexpected()) };
        if raw == "]]" {
            return Err(self.unexpected());
        }
        self.advance()?;
        if UNARY.contains(&raw.as_str())
            && let Token::Word(operand, operand_raw) = self.token.clone()
            && operand_raw != "]]"
        {
            self.advance()?;
            return Ok(Condition::Unary(raw, operand));
        }
        let operator = match &self.token {
            Token::Operator(operator @ ("<" | ">")) => (*operator).to_string(),
            Token::Word(_, operator) if BINARY.contains(&operator.as_str()) => operator.clone(),
            _ => return Ok(Condition::Unary("-n".to_string(), first)),
        };
        let second = self.parse_operand(&operator)?;
        Ok(Condition::Binary(operator, first, second))
    }

    /// The right side. A regular expression is scanned by its own rules.
    fn parse_operand(&mut self, operator: &str) -> Result<Word, SyntaxError> {
        if operator == "=~" {
            while matches!(self.byte(), Some(b' ' | b'\t')) {
                self.position += 1;
            }
            let word = self.scan_word(true)?;
            self.advance()?;
            return Ok(word);
        }
        self.advance()?;
        let Token::Word(word, _) = self.token.clone() else { return Err(self.unexpected()) };
        self.advance()?;
        Ok(word)
    }
}
