//! POSIX regular expressions with GNU's extensions, for `grep` and `sed`.
//!
//! An expression is parsed into a tree. The tree becomes a pattern of the `regex` crate, which decides
//! whether and where a match begins in linear time. POSIX wants the longest match at that place, where the
//! crate takes the first alternative; expressions for which the two may differ also become a [`Program`]
//! that finds the longest one. Back-references are refused: they need unbounded time.

mod class;
mod parser;
mod program;
mod translate;
mod tree;

use regex::bytes::{Regex, RegexBuilder};

use program::Program;
use tree::{Assertion, Node};

/// Groups that can be asked for: `\1` to `\9`, and the whole match as 0.
pub(crate) const GROUPS: usize = 10;

/// Bytes of one compiled expression, and of its cache. 4 MiB holds some thousand alternatives.
const COMPILED_BYTES: usize = 4 << 20;

/// How an expression is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `egrep`: `+ ? | ( ) { }` are special.
    Extended,
    /// `grep`: they are special after a backslash.
    Basic,
    /// Nothing is special.
    Fixed,
}

/// Whose rules hold where tools differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `grep`: forgiving with operators that have nothing to repeat.
    Grep,
    /// `sed`: strict, and `\n`, `\t` and the like stand for characters.
    Sed,
}

/// How an expression is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// How it is written.
    pub(crate) syntax: Syntax,
    /// Whose rules hold.
    pub(crate) dialect: Dialect,
    /// Upper and lower case are the same.
    pub(crate) ignore_case: bool,
    /// No word character may stand next to the match.
    pub(crate) whole_word: bool,
    /// The match must be the whole line.
    pub(crate) whole_line: bool,
}

/// Why an expression is refused. The texts are those of the GNU tools, except for back-references.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpressionError {
    /// A group that is not closed.
    #[error("Unmatched ( or \\(")]
    UnmatchedOpen,
    /// A closing parenthesis too many.
    #[error("Unmatched ) or \\)")]
    UnmatchedClose,
    /// A bracket expression that is not closed.
    #[error("Unmatched [, [^, [:, [., or [=")]
    UnmatchedBracket,
    /// An interval that is not closed.
    #[error("Unmatched \\{{")]
    UnmatchedBrace,
    /// An interval that is none.
    #[error("Invalid content of \\{{\\}}")]
    Interval,
    /// A range from a later to an earlier character.
    #[error("Invalid range end")]
    Range,
    /// A class such as `[:foo:]`.
    #[error("Invalid character class name")]
    Class,
    /// `[:space:]` without the outer brackets.
    #[error("character class syntax is [[:space:]], not [:space:]")]
    ClassSyntax,
    /// A collating symbol of more than one character.
    #[error("Invalid collation character")]
    Collation,
    /// A backslash at the end.
    #[error("Trailing backslash")]
    Trailing,
    /// An operator with nothing to repeat.
    #[error("Invalid preceding regular expression")]
    Preceding,
    /// A back-reference to a group that does not exist.
    #[error("Invalid back reference")]
    Reference,
    /// A back-reference to a group that exists.
    #[error("back-references are not supported")]
    BackReference,
    /// Too many repetitions, alternatives or levels.
    #[error("Regular expression too big")]
    TooBig,
}

/// Where a match and its groups are: start and end of each, in bytes.
pub(crate) type Groups = [Option<(usize, usize)>; GROUPS];

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    regex: Regex,
    /// Finds the longest match, where that may differ from the crate's.
    program: Option<Program>,
    groups: usize,
}

/// Compiles one expression.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn compile(text: &str, options: Options) -> Result<Expression, ExpressionError> {
    compile_all(&[text], options)
}

/// Compiles several expressions into one that matches where any of them does.
///
/// # Errors
/// Says what is wrong with the first that is wrong.
pub(crate) fn compile_all(texts: &[&str], options: Options) -> Result<Expression, ExpressionError> {
    let mut groups = 0;
    let mut branches = Vec::with_capacity(texts.len());
    for text in texts {
        let (node, count) = parser::parse(text, options)?;
        groups = groups.max(count);
        branches.push(node);
    }
    let mut node = if branches.len() == 1 { branches.swap_remove(0) } else { Node::Alternation(branches) };
    if options.whole_line {
        node = enclose(Assertion::LineStart, node, Assertion::LineEnd);
    } else if options.whole_word {
        node = enclose(Assertion::NoWordBefore, node, Assertion::NoWordAfter);
    }
    let pattern = translate::translate(&node)?;
    let regex = RegexBuilder::new(&pattern)
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(true)
        .size_limit(COMPILED_BYTES)
        .dfa_size_limit(COMPILED_BYTES)
        .build()
        .map_err(|_| ExpressionError::TooBig)?;
    let program = if node.is_ambiguous() { Some(Program::new(&node, options.ignore_case)?) } else { None };
    Ok(Expression { regex, program, groups })
}

fn enclose(before: Assertion, node: Node, after: Assertion) -> Node {
    Node::Concatenation(vec![Node::Assertion(before), node, Node::Assertion(after)])
}

impl Expression {
    /// Whether some part of the text matches.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// How many groups the expression has.
    pub(crate) fn group_count(&self) -> usize {
        self.groups
    }

    /// The first match that begins at or after `start`, and the longest there.
    pub(crate) fn find(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        let first = self.regex.find_at(text, start)?;
        let longest = self.program.as_ref().and_then(|program| program.longest(text, first.start()));
        longest.map_or(Some((first.start(), first.end())), |groups| groups[0])
    }

    /// As [`Expression::find`], with all groups.
    pub(crate) fn find_groups(&self, text: &[u8], start: usize) -> Option<Groups> {
        if let Some(program) = &self.program {
            let first = self.regex.find_at(text, start)?;
            if let Some(groups) = program.longest(text, first.start()) {
                return Some(groups);
            }
        }
        let captures = self.regex.captures_at(text, start)?;
        let mut groups = [None; GROUPS];
        for (group, captured) in groups.iter_mut().zip(captures.iter()) {
            *group = captured.map(|captured| (captured.start(), captured.end()));
        }
        Some(groups)
    }
}
