//! `[[ ... ]]`, and the tests that it shares with `[ ... ]`.

use super::{Eval, Evaluator};
use crate::files::{FileKind, TreePath};
use crate::filter::expression::{self, Dialect, Options, Syntax};
use crate::syntax::tree::Condition;

/// Bytes of an expression and its text that count as one more command.
const EXPRESSION_BYTES_PER_UNIT: usize = 64;

/// How `=~` reads its right side.
const EXTENDED: Options = Options {
    syntax: Syntax::Extended,
    dialect: Dialect::Grep,
    ignore_case: false,
    whole_word: false,
    whole_line: false,
};

impl Evaluator {
    /// Evaluates a condition to a status: 0 true, 1 false, 2 error.
    pub(crate) fn condition(&mut self, condition: &Condition) -> Eval<u8> {
        self.nested(|shell| shell.condition_inner(condition))
    }

    fn condition_inner(&mut self, condition: &Condition) -> Eval<u8> {
        match condition {
            Condition::Not(inner) => Ok(match self.condition(inner)? {
                0 => 1,
                1 => 0,
                error => error,
            }),
            Condition::All(terms) => self.first_other(terms, 0),
            Condition::AnyOf(terms) => self.first_other(terms, 1),
            Condition::Unary(operator, operand) => {
                let operand = self.expand_text(operand)?;
                Ok(u8::from(!self.unary_test(operator, &operand).unwrap_or(false)))
            }
            Condition::Binary(operator, left, right) => {
                let left = self.expand_text(left)?;
                match operator.as_str() {
                    "=" | "==" | "!=" => {
                        let pattern = self.expand_pattern(right)?;
                        let equal = self.pattern_matches(&pattern, &left)?;
                        Ok(u8::from(equal == (operator == "!=")))
                    }
                    "=~" => {
                        let expression = self.expand_expression(right)?;
                        self.work(1 + (expression.len() + left.len()) / EXPRESSION_BYTES_PER_UNIT)?;
                        let compiled = expression::compile(&expression, EXTENDED);
                        Ok(compiled.map_or(2, |compiled| u8::from(!compiled.is_match(left.as_bytes()))))
                    }
                    "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" => {
                        let right = self.expand_text(right)?;
                        let (left, right) = (self.arithmetic(&left)?, self.arithmetic(&right)?);
                        Ok(u8::from(!compare(operator, left, right)))
                    }
                    _ => {
                        let right = self.expand_text(right)?;
                        Ok(u8::from(!self.binary_test(operator, &left, &right).unwrap_or(false)))
                    }
                }
            }
        }
    }

    /// The first result that is not `expected`, or `expected`.
    fn first_other(&mut self, terms: &[Condition], expected: u8) -> Eval<u8> {
        for term in terms {
            let result = self.condition(term)?;
            if result != expected {
                return Ok(result);
            }
        }
        Ok(expected)
    }

    /// A test with one operand; `None` when there is no such test.
    pub(crate) fn unary_test(&self, operator: &str, operand: &str) -> Option<bool> {
        let metadata = || {
            let path = TreePath::resolve(&self.state.directory, operand).ok()?;
            self.run.files.metadata(&path).ok()
        };
        let is = |kind: FileKind| metadata().is_some_and(|entry| entry.kind == kind);
        let permitted = |bit: u16| metadata().is_some_and(|entry| entry.mode & bit != 0);
        Some(match operator {
            "-n" => !operand.is_empty(),
            "-z" => operand.is_empty(),
            "-e" | "-a" => metadata().is_some(),
            "-f" => is(FileKind::File),
            "-d" => is(FileKind::Directory),
            "-h" | "-L" => is(FileKind::Link),
            "-c" => is(FileKind::Device),
            "-s" => metadata().is_some_and(|entry| entry.size > 0),
            "-r" => permitted(0o444),
            "-w" => permitted(0o222),
            "-x" => permitted(0o111),
            "-O" | "-G" => metadata().is_some(),
            "-b" | "-g" | "-p" | "-u" | "-k" | "-S" | "-N" => false,
            "-v" => self.state.variables.get(operand).is_some(),
            "-o" => false,
            "-t" => match operand {
                "0" => self.input.is_terminal(),
                "1" => self.output.is_terminal(),
                "2" => self.error.is_terminal(),
                _ => false,
            },
            _ => return None,
        })
    }

    /// A test with two operands that are not numbers; `None` when there is no such test.
    pub(crate) fn binary_test(&self, operator: &str, left: &str, right: &str) -> Option<bool> {
        let modified = |name: &str| {
            let path = TreePath::resolve(&self.state.directory, name).ok()?;
            self.run.files.metadata(&path).ok().map(|entry| entry.modified_seconds)
        };
        Some(match operator {
            "=" | "==" => left == right,
            "!=" => left != right,
            "<" => left < right,
            ">" => left > right,
            "-nt" => modified(left) > modified(right),
            "-ot" => modified(left) < modified(right),
            "-ef" => {
                let resolve = |name| TreePath::resolve(&self.state.directory, name).ok();
                modified(left).is_some() && resolve(left) == resolve(right)
            }
            _ => return None,
        })
    }
}

/// Compares two numbers by a test's operator.
pub(crate) fn compare(operator: &str, left: i64, right: i64) -> bool {
    match operator {
        "-eq" => left == right,
        "-ne" => left != right,
        "-lt" => left < right,
        "-le" => left <= right,
        "-gt" => left > right,
        _ => left >= right,
    }
}
