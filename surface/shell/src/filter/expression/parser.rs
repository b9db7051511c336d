//! From text to the tree.

use super::class::{Class, named};
use super::tree::{Assertion, Node};
use super::{Dialect, ExpressionError, Options, Syntax};

/// Nesting of groups and of repetitions of repetitions; recursion follows it.
const DEPTH: usize = 64;

/// The largest number in an interval, as in the GNU library.
const REPETITIONS: u32 = 32_767;

/// Parses an expression. Returns the tree and the number of groups.
pub(super) fn parse(text: &str, options: Options) -> Result<(Node, usize), ExpressionError> {
    if options.syntax == Syntax::Fixed {
        return Ok((Node::Concatenation(text.chars().map(Node::Character).collect()), 0));
    }
    let mut parser = Parser {
        text: text.chars().collect(),
        position: 0,
        extended: options.syntax == Syntax::Extended,
        dialect: options.dialect,
        groups: 0,
        closed: 0,
    };
    let node = parser.alternation(0)?;
    if parser.position < parser.text.len() {
        return Err(ExpressionError::UnmatchedClose);
    }
    Ok((node, parser.groups))
}

struct Parser {
    text: Vec<char>,
    position: usize,
    extended: bool,
    dialect: Dialect,
    /// Groups that were opened, and how many of them are closed.
    groups: usize,
    closed: usize,
}

/// An operator that repeats what stands before it.
struct Repetition {
    minimum: u32,
    maximum: Option<u32>,
}

impl Parser {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.position + ahead).copied()
    }

    /// Takes an operator that is plain in extended and has a backslash in basic expressions.
    fn take_operator(&mut self, operator: char) -> bool {
        let found = self.at_operator(operator);
        if found {
            self.position += if self.extended { 1 } else { 2 };
        }
        found
    }

    fn at_operator(&self, operator: char) -> bool {
        self.at_operator_ahead(operator, 0)
    }

    fn at_operator_ahead(&self, operator: char, ahead: usize) -> bool {
        if self.extended {
            self.peek(ahead) == Some(operator)
        } else {
            self.peek(ahead) == Some('\\') && self.peek(ahead + 1) == Some(operator)
        }
    }

    fn alternation(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        if depth > DEPTH {
            return Err(ExpressionError::TooBig);
        }
        let mut branches = vec![self.branch(depth)?];
        while self.take_operator('|') {
            branches.push(self.branch(depth)?);
        }
        Ok(if branches.len() == 1 { branches.swap_remove(0) } else { Node::Alternation(branches) })
    }

    fn branch(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        let mut nodes: Vec<Node> = Vec::new();
        while self.position < self.text.len() && !self.at_operator('|') {
            if self.at_operator(')') && (depth > 0 || !self.extended || self.dialect == Dialect::Sed) {
                break;
            }
            let at_start = nodes.is_empty()
                || (!self.extended && matches!(nodes[..], [Node::Assertion(Assertion::LineStart)]));
            if let Some(node) = self.operator_at_start(at_start)? {
                nodes.extend(node);
                continue;
            }
            let atom = self.atom(nodes.is_empty(), depth)?;
            nodes.push(self.repetitions(atom)?);
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::Concatenation(nodes) })
    }

    /// An operator with nothing to repeat before it: ignored by `egrep`, refused by `sed -E`, and an
    /// ordinary character in basic expressions.
    fn operator_at_start(&mut self, at_start: bool) -> Result<Option<Option<Node>>, ExpressionError> {
        if !at_start {
            return Ok(None);
        }
        if self.extended {
            let before = self.position;
            return match self.repetition()? {
                None => Ok(None),
                Some(_) if self.dialect == Dialect::Grep => Ok(Some(None)),
                Some(_) => {
                    self.position = before;
                    Err(ExpressionError::Preceding)
                }
            };
        }
        let Some(operator) = self.basic_operator() else { return Ok(None) };
        if operator == '{' && self.dialect == Dialect::Sed {
            return Err(ExpressionError::Preceding);
        }
        self.position += if operator == '*' { 1 } else { 2 };
        let atom = self.repetitions(Node::Character(operator))?;
        Ok(Some(Some(atom)))
    }

    fn basic_operator(&self) -> Option<char> {
        match (self.peek(0)?, self.peek(1)) {
            ('*', _) => Some('*'),
            ('\\', Some(operator @ ('+' | '?' | '{'))) => Some(operator),
            _ => None,
        }
    }

    fn repetitions(&mut self, atom: Node) -> Result<Node, ExpressionError> {
        let mut node = atom;
        let mut depth = 0;
        while let Some(Repetition { minimum, maximum }) = self.repetition()? {
            if matches!(node, Node::Repeat { minimum: 0, maximum: None, .. }) {
                // Any number of any number is any number.
                continue;
            }
            depth += 1;
            if depth > DEPTH / 4 {
                return Err(ExpressionError::TooBig);
            }
            node = Node::Repeat { node: Box::new(node), minimum, maximum };
        }
        Ok(node)
    }

    fn repetition(&mut self) -> Result<Option<Repetition>, ExpressionError> {
        if self.peek(0) == Some('*') {
            self.position += 1;
            return Ok(Some(Repetition { minimum: 0, maximum: None }));
        }
        if self.take_operator('+') {
            return Ok(Some(Repetition { minimum: 1, maximum: None }));
        }
        if self.take_operator('?') {
            return Ok(Some(Repetition { minimum: 0, maximum: Some(1) }));
        }
        if self.at_operator('{') { self.interval() } else { Ok(None) }
    }

    /// `{M}`, `{M,}`, `{,N}`, `{M,N}`. What is none of these is an ordinary brace for `egrep`.
    fn interval(&mut self) -> Result<Option<Repetition>, ExpressionError> {
        let start = self.position;
        self.take_operator('{');
        let minimum = self.number();
        let comma = self.peek(0) == Some(',');
        let maximum = if comma {
            self.position += 1;
            self.number()
        } else {
            minimum
        };
        let closed = self.take_operator('}');
        let plain = self.extended && self.dialect == Dialect::Grep;
        if !closed || (minimum.is_none() && !comma) {
            let unclosed = !(self.position..self.text.len())
                .any(|index| self.at_operator_ahead('}', index - self.position));
            self.position = start;
            return match (plain, unclosed) {
                (true, _) => Ok(None),
                (false, true) => Err(ExpressionError::UnmatchedBrace),
                (false, false) => Err(ExpressionError::Interval),
            };
        }
        let minimum = minimum.unwrap_or(0);
        if maximum.is_some_and(|maximum| maximum < minimum) {
            return Err(ExpressionError::Interval);
        }
        if maximum.unwrap_or(minimum) > REPETITIONS {
            return Err(ExpressionError::TooBig);
        }
        Ok(Some(Repetition { minimum, maximum }))
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek(0).and_then(|character| character.to_digit(10)) {
            number = Some(number.unwrap_or(0u32).saturating_mul(10).saturating_add(digit));
            self.position += 1;
        }
        number
    }

    fn atom(&mut self, first: bool, depth: usize) -> Result<Node, ExpressionError> {
        if self.take_operator('(') {
            self.groups += 1;
            let number = self.groups;
            let node = self.alternation(depth + 1)?;
            if !self.take_operator(')') {
                return Err(ExpressionError::UnmatchedOpen);
            }
            self.closed += 1;
            return Ok(Node::Group(Box::new(node), number));
        }
        let Some(character) = self.peek(0) else { return Ok(Node::Concatenation(Vec::new())) };
        self.position += 1;
        Ok(match character {
            '.' => Node::Any,
            '[' => self.bracket()?,
            '^' if self.extended || first => Node::Assertion(Assertion::LineStart),
            '$' if self.extended || self.at_branch_end() => Node::Assertion(Assertion::LineEnd),
            '\\' => self.escape()?,
            other => Node::Character(other),
        })
    }

    fn at_branch_end(&self) -> bool {
        self.position == self.text.len() || self.at_operator('|') || self.at_operator(')')
    }

    fn escape(&mut self) -> Result<Node, ExpressionError> {
        let Some(character) = self.peek(0) else { return Err(ExpressionError::Trailing) };
        self.position += 1;
        if self.dialect == Dialect::Sed
            && let Some(plain) = self.sed_escape(character)
        {
            return Ok(Node::Character(plain));
        }
        let class = |name: &str, negated: bool| {
            Node::Class(Class::new(named(name).unwrap_or_default().to_vec(), negated))
        };
        Ok(match character {
            '<' => Node::Assertion(Assertion::WordStart),
            '>' => Node::Assertion(Assertion::WordEnd),
            'b' => Node::Assertion(Assertion::WordBoundary),
            'B' => Node::Assertion(Assertion::NoWordBoundary),
            '`' => Node::Assertion(Assertion::LineStart),
            '\'' => Node::Assertion(Assertion::LineEnd),
            'w' => class("word", false),
            'W' => class("word", true),
            's' => class("space", false),
            'S' => class("space", true),
            '1'..='9' => {
                let number = character.to_digit(10).unwrap_or(0) as usize;
                return Err(if number <= self.closed {
                    ExpressionError::BackReference
                } else {
                    ExpressionError::Reference
                });
            }
            other => Node::Character(other),
        })
    }

    /// The characters that `sed` lets one write with a letter or a number.
    fn sed_escape(&mut self, letter: char) -> Option<char> {
        Some(match letter {
            'n' => '\n',
            't' => '\t',
            'f' => '\x0c',
            'v' => '\x0b',
            'a' => '\x07',
            'r' => '\r',
            'x' => {
                let high = self.peek(0)?.to_digit(16)?;
                self.position += 1;
                let low = self.peek(0).and_then(|digit| digit.to_digit(16));
                self.position += usize::from(low.is_some());
                char::from_u32(low.map_or(high, |low| high * 16 + low))?
            }
            _ => return None,
        })
    }

    fn bracket(&mut self) -> Result<Node, ExpressionError> {
        let start = self.position;
        let negated = self.peek(0) == Some('^');
        self.position += usize::from(negated);
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            let Some(character) = self.peek(0) else { return Err(ExpressionError::UnmatchedBracket) };
            if character == ']' && !first {
                self.position += 1;
                break;
            }
            first = false;
            let element = self.bracket_element(character, &mut ranges)?;
            let Some(low) = element else { continue };
            if self.peek(0) != Some('-') || matches!(self.peek(1), None | Some(']')) {
                ranges.push((low, low));
                continue;
            }
            self.position += 1;
            let Some(end) = self.peek(0) else { return Err(ExpressionError::UnmatchedBracket) };
            let Some(high) = self.bracket_element(end, &mut ranges)? else {
                return Err(ExpressionError::Range);
            };
            if high < low {
                return Err(ExpressionError::Range);
            }
            ranges.push((low, high));
        }
        let inner = &self.text[start..self.position - 1];
        let colons = inner.len() > 2 && inner[0] == ':' && inner[inner.len() - 1] == ':';
        if colons && self.dialect == Dialect::Grep {
            return Err(ExpressionError::ClassSyntax);
        }
        Ok(Node::Class(Class::new(ranges, negated)))
    }

    /// One element: a character, or a class, which goes straight into the ranges.
    fn bracket_element(
        &mut self,
        character: char,
        ranges: &mut Vec<(char, char)>,
    ) -> Result<Option<char>, ExpressionError> {
        self.position += 1;
        if self.dialect == Dialect::Sed && character == '\\' {
            let plain = match self.peek(0) {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                Some('f') => Some('\x0c'),
                Some('v') => Some('\x0b'),
                Some('r') => Some('\r'),
                Some('a') => Some('\x07'),
                _ => None,
            };
            self.position += usize::from(plain.is_some());
            return Ok(Some(plain.unwrap_or('\\')));
        }
        let Some(kind @ (':' | '.' | '=')) = self.peek(0).filter(|_| character == '[') else {
            return Ok(Some(character));
        };
        let start = self.position + 1;
        let end = (start..self.text.len().saturating_sub(1))
            .find(|index| self.text[*index] == kind && self.text[index + 1] == ']')
            .ok_or(ExpressionError::UnmatchedBracket)?;
        let name: String = self.text[start..end].iter().collect();
        self.position = end + 2;
        if kind == ':' {
            if name == "word" {
                return Err(ExpressionError::Class);
            }
            ranges.extend_from_slice(named(&name).ok_or(ExpressionError::Class)?);
            return Ok(None);
        }
        let mut characters = name.chars();
        match (characters.next(), characters.next()) {
            (Some(single), None) => Ok(Some(single)),
            _ => Err(ExpressionError::Collation),
        }
    }
}
