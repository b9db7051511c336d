//! `test` and `[`.

use super::fail;
use crate::evaluate::arithmetic::number;
use crate::evaluate::{Eval, Evaluator, compare};

const NUMERIC: &[&str] = &["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

/// Nesting of parentheses and negations.
const DEPTH: usize = 64;

pub(crate) fn test(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    run(shell, "test", arguments)
}

pub(crate) fn bracket(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    match arguments.split_last() {
        Some((last, rest)) if last == "]" => run(shell, "[", rest),
        _ => fail(shell, "[", "missing `]'", 2),
    }
}

fn run(shell: &Evaluator, name: &str, arguments: &[String]) -> Eval<u8> {
    let mut expression = Expression { shell, rest: arguments, depth: 0 };
    match expression.whole() {
        Ok(holds) => Ok(u8::from(!holds)),
        Err(message) => fail(shell, name, &message, 2),
    }
}

struct Expression<'a> {
    shell: &'a Evaluator,
    rest: &'a [String],
    depth: usize,
}

type Truth = Result<bool, String>;

fn is_binary(shell: &Evaluator, operator: &str) -> bool {
    NUMERIC.contains(&operator) || shell.binary_test(operator, "", "").is_some()
}

fn is_unary(shell: &Evaluator, operator: &str) -> bool {
    operator.len() == 2 && operator.starts_with('-') && shell.unary_test(operator, "").is_some()
}

impl Expression<'_> {
    /// POSIX decides by the number of arguments up to four; longer ones follow the grammar.
    fn whole(&mut self) -> Truth {
        match self.rest {
            [] => Ok(false),
            [only] => Ok(!only.is_empty()),
            [not, only] if not == "!" => Ok(only.is_empty()),
            [operator, operand] => match self.shell.unary_test(operator, operand) {
                Some(holds) if operator.starts_with('-') => Ok(holds),
                _ => Err(format!("{operator}: unary operator expected")),
            },
            [left, operator, right] if is_binary(self.shell, operator) => self.binary(left, operator, right),
            [left, operator, right] if operator == "-a" => Ok(!left.is_empty() && !right.is_empty()),
            [left, operator, right] if operator == "-o" => Ok(!left.is_empty() || !right.is_empty()),
            [not, operator, operand] if not == "!" => {
                let rest = [operator.clone(), operand.clone()];
                Expression { shell: self.shell, rest: &rest, depth: 0 }.whole().map(|holds| !holds)
            }
            [open, only, close] if open == "(" && close == ")" => Ok(!only.is_empty()),
            [_, operator, _] => Err(format!("{operator}: binary operator expected")),
            _ => {
                let holds = self.or()?;
                if self.rest.is_empty() { Ok(holds) } else { Err("too many arguments".to_string()) }
            }
        }
    }

    fn or(&mut self) -> Truth {
        let mut holds = self.and()?;
        while self.take("-o") {
            holds |= self.and()?;
        }
        Ok(holds)
    }

    fn and(&mut self) -> Truth {
        let mut holds = self.term()?;
        while self.take("-a") {
            holds &= self.term()?;
        }
        Ok(holds)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if first == word => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn term(&mut self) -> Truth {
        if self.depth >= DEPTH {
            return Err("expression nested too deep".to_string());
        }
        self.depth += 1;
        let holds = self.term_inner();
        self.depth -= 1;
        holds
    }

    fn term_inner(&mut self) -> Truth {
        let rest = self.rest;
        match rest {
            [] => Err("argument expected".to_string()),
            [left, operator, right, after @ ..] if is_binary(self.shell, operator) => {
                self.rest = after;
                self.binary(left, operator, right)
            }
            [not, after @ ..] if not == "!" => {
                self.rest = after;
                Ok(!self.term()?)
            }
            [open, after @ ..] if open == "(" => {
                self.rest = after;
                let holds = self.or()?;
                if self.take(")") { Ok(holds) } else { Err("`)' expected".to_string()) }
            }
            [operator, operand, after @ ..] if is_unary(self.shell, operator) => {
                self.rest = after;
                Ok(self.shell.unary_test(operator, operand).unwrap_or(false))
            }
            [only, after @ ..] => {
                self.rest = after;
                Ok(!only.is_empty())
            }
        }
    }

    fn binary(&self, left: &str, operator: &str, right: &str) -> Truth {
        if NUMERIC.contains(&operator) {
            return Ok(compare(operator, integer(left)?, integer(right)?));
        }
        Ok(self.shell.binary_test(operator, left, right).unwrap_or(false))
    }
}

fn integer(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    // A leading zero is decimal here, unlike in $((...)).
    let plain = digits.trim_start_matches('0');
    let value = if !digits.is_empty() && plain.is_empty() { Some(0) } else { number(plain) };
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match value.filter(|_| decimal) {
        Some(value) if trimmed.starts_with('-') => Ok(value.wrapping_neg()),
        Some(value) => Ok(value),
        None => Err(format!("{text}: integer expression expected")),
    }
}
