//! `$((...))`: 64-bit integers with C's operators.

use super::{Eval, Evaluator, Halt};
use crate::syntax::tree::Word;
use crate::variables::is_name;

/// Nesting of parentheses and of variables that hold expressions.
const DEPTH: usize = 64;

/// Binary operators by rising precedence.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
    &["**"],
];

const ASSIGNMENTS: &[&str] = &["<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "&=", "^=", "|=", "="];

enum Problem {
    Message(String),
    Halted(Halt),
}

impl From<Halt> for Problem {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

type Value = Result<i64, Problem>;

struct Expression<'e, 't> {
    shell: &'e mut Evaluator,
    text: &'t str,
    position: usize,
    depth: usize,
    /// False in a branch that is not taken: nothing is assigned, and nothing divides.
    active: bool,
}

impl Evaluator {
    /// Expands and evaluates an expression. An error ends the command line, as in bash.
    pub(crate) fn arithmetic_word(&mut self, word: &Word) -> Eval<i64> {
        let text = self.expand_text(word)?;
        self.arithmetic(&text)
    }

    /// Evaluates an expression.
    pub(crate) fn arithmetic(&mut self, text: &str) -> Eval<i64> {
        match evaluate(self, text, 0) {
            Ok(value) => Ok(value),
            Err(Problem::Halted(halt)) => Err(halt),
            Err(Problem::Message(message)) => {
                self.complain(&format!("{text}: {message}"))?;
                Err(Halt::Abort(1))
            }
        }
    }
}

fn evaluate(shell: &mut Evaluator, text: &str, depth: usize) -> Value {
    let mut expression = Expression { shell, text, position: 0, depth, active: true };
    expression.blanks();
    if expression.rest().is_empty() {
        return Ok(0);
    }
    let value = expression.comma()?;
    if !expression.rest().is_empty() {
        return Err(expression.error());
    }
    Ok(value)
}

impl Expression<'_, '_> {
    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn blanks(&mut self) {
        self.position += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&self) -> Problem {
        let token = self.rest();
        if token.is_empty() {
            Problem::Message("syntax error: operand expected (error token is \" \")".to_string())
        } else {
            Problem::Message(format!("syntax error in expression (error token is \"{token}\")"))
        }
    }

    fn take(&mut self, operator: &str) -> bool {
        if !self.rest().starts_with(operator) {
            return false;
        }
        self.position += operator.len();
        self.blanks();
        true
    }

    fn deeper<T>(&mut self, action: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        if self.depth >= DEPTH {
            return Err(Problem::Message("expression recursion level exceeded".to_string()));
        }
        self.depth += 1;
        let result = action(self);
        self.depth -= 1;
        result
    }

    fn comma(&mut self) -> Value {
        let mut value = self.assignment()?;
        while self.take(",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn assignment(&mut self) -> Value {
        let start = self.position;
        let length = name_length(self.rest());
        if length > 0 {
            let name = self.rest()[..length].to_string();
            self.position += length;
            self.blanks();
            let operator = ASSIGNMENTS.iter().find(|operator| self.rest().starts_with(**operator));
            if let Some(operator) = operator
                && !self.rest().starts_with("==")
            {
                self.take(operator);
                let right = self.deeper(Self::assignment)?;
                return self.store(&name, operator, right);
            }
            self.position = start;
        }
        self.choice()
    }

    fn store(&mut self, name: &str, operator: &str, right: i64) -> Value {
        let value = match operator.strip_suffix('=') {
            Some("") | None => right,
            Some(binary) => {
                let left = self.variable(name)?;
                self.apply(binary, left, right)?
            }
        };
        if self.active {
            self.shell.assign(name, value.to_string())?;
        }
        Ok(value)
    }

    fn choice(&mut self) -> Value {
        let condition = self.binary(0)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let active = self.active;
        self.active = active && condition != 0;
        let first = self.deeper(Self::assignment)?;
        if !self.take(":") {
            return Err(self.error());
        }
        self.active = active && condition == 0;
        let second = self.deeper(Self::assignment)?;
        self.active = active;
        Ok(if condition != 0 { first } else { second })
    }

    fn operator_at(&self, level: usize) -> Option<&'static str> {
        let rest = self.rest();
        let operator = LEVELS[level].iter().copied().find(|operator| rest.starts_with(operator))?;
        let after = &rest[operator.len()..];
        // A longer operator begins the same way.
        let longer = match operator {
            "|" | "&" => after.starts_with(operator) || after.starts_with('='),
            "<" | ">" => after.starts_with(operator),
            "*" => after.starts_with('*') || after.starts_with('='),
            "<<" | ">>" | "+" | "-" | "/" | "%" | "^" => after.starts_with('='),
            _ => false,
        };
        (!longer).then_some(operator)
    }

    fn binary(&mut self, level: usize) -> Value {
        if level >= LEVELS.len() {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator_at(level) {
            self.take(operator);
            let active = self.active;
            if operator == "&&" {
                self.active = active && left != 0;
            } else if operator == "||" {
                self.active = active && left == 0;
            }
            let right = if operator == "**" {
                // Binds to the right.
                self.deeper(|expression| expression.binary(level))?
            } else {
                self.binary(level + 1)?
            };
            self.active = active;
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Value {
        let truth = |holds: bool| i64::from(holds);
        Ok(match operator {
            "||" => truth(left != 0 || right != 0),
            "&&" => truth(left != 0 && right != 0),
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => truth(left == right),
            "!=" => truth(left != right),
            "<=" => truth(left <= right),
            ">=" => truth(left >= right),
            "<" => truth(left < right),
            ">" => truth(left > right),
            "<<" => left.wrapping_shl(right as u32),
            ">>" => left.wrapping_shr(right as u32),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" | "%" if right == 0 => {
                if self.active {
                    return Err(Problem::Message("division by 0 (error token is \"0\")".to_string()));
                }
                0
            }
            "/" => left.wrapping_div(right),
            "%" => left.wrapping_rem(right),
            "**" if right < 0 => {
                return Err(Problem::Message("exponent less than 0 (error token is \"\")".to_string()));
            }
            _ => power(left, right),
        })
    }

    fn unary(&mut self) -> Value {
        for operator in ["++", "--"] {
            if self.rest().starts_with(operator) && name_length(self.rest()[2..].trim_start()) > 0 {
                self.take(operator);
                let name = self.name();
                let value = self.variable(&name)?.wrapping_add(if operator == "++" { 1 } else { -1 });
                return self.store(&name, "=", value);
            }
        }
        if self.take("-") {
            return Ok(self.deeper(Self::unary)?.wrapping_neg());
        }
        if self.take("+") {
            return self.deeper(Self::unary);
        }
        if self.take("~") {
            return Ok(!self.deeper(Self::unary)?);
        }
        if self.rest().starts_with('!') && !self.rest().starts_with("!=") {
            self.take("!");
            return Ok(i64::from(self.deeper(Self::unary)? == 0));
        }
        self.primary()
    }

    fn name(&mut self) -> String {
        let length = name_length(self.rest());
        let name = self.rest()[..length].to_string();
        self.position += length;
        self.blanks();
        name
    }

    fn primary(&mut self) -> Value {
        if self.take("(") {
            let value = self.deeper(Self::comma)?;
            return if self.take(")") {
                Ok(value)
            } else {
                Err(Problem::Message("missing `)' (error token is \"\")".to_string()))
            };
        }
        if name_length(self.rest()) > 0 {
            let name = self.name();
            let value = self.variable(&name)?;
            for (operator, step) in [("++", 1), ("--", -1)] {
                if self.take(operator) {
                    self.store(&name, "=", value.wrapping_add(step))?;
                }
            }
            return Ok(value);
        }
        let length = self
            .rest()
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b'@' | b'_'))
            .count();
        if length == 0 {
            return Err(self.error());
        }
        let digits = self.rest()[..length].to_string();
        let value = number(&digits).ok_or_else(|| {
            Problem::Message(format!("value too great for base (error token is \"{digits}\")"))
        })?;
        self.position += length;
        self.blanks();
        Ok(value)
    }

    /// A variable's value: a number, or an expression that is evaluated.
    fn variable(&mut self, name: &str) -> Value {
        let Some(value) = self.shell.parameter(name) else { return Ok(0) };
        let value = value.trim().to_string();
        if value.is_empty() {
            return Ok(0);
        }
        if let Some(plain) = number(&value) {
            return Ok(plain);
        }
        if self.depth >= DEPTH {
            return Err(Problem::Message("expression recursion level exceeded".to_string()));
        }
        // A chain of variables may be walked more than once at each link; the step counter bounds that.
        self.shell.step()?;
        evaluate(self.shell, &value, self.depth + 8)
    }
}

fn name_length(text: &str) -> usize {
    let length = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if is_name(&text[..length]) { length } else { 0 }
}

/// Decimal, `0x` hexadecimal, `0` octal, `base#digits`.
pub(crate) fn number(text: &str) -> Option<i64> {
    let parse = |digits: &str, base: u32| {
        if digits.is_empty() || digits.starts_with(['+', '-']) {
            return None;
        }
        let mut value = 0i64;
        for digit in digits.chars() {
            let digit = digit.to_digit(base)?;
            value = value.wrapping_mul(i64::from(base)).wrapping_add(i64::from(digit));
        }
        Some(value)
    };
    if let Some(rest) = text.strip_prefix('-') {
        return number(rest).filter(|_| !rest.starts_with(['-', '+'])).map(i64::wrapping_neg);
    }
    if let Some((base, digits)) = text.split_once('#') {
        let base: u32 = base.parse().ok().filter(|base| (2..=36).contains(base))?;
        return parse(digits, base);
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return parse(digits, 16);
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => parse(digits, 8),
        _ => parse(text, 10),
    }
}

fn power(base: i64, exponent: i64) -> i64 {
    let (mut base, mut exponent, mut result) = (base, exponent, 1i64);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}
