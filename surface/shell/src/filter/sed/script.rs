//! The parts of a `sed` script.

use std::rc::Rc;

use crate::filter::expression::Expression;

/// An expression; `None` is the empty one, which stands for the one used last.
pub(super) type Pattern = Option<Rc<Expression>>;

/// Selects lines.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// The line with this number; 0 only as the start of a range that ends with an expression.
    Line(u64),
    /// Every `step`-th line from the first number on.
    Step {
        first: u64,
        step: u64,
    },
    /// `$`
    Last,
    Matching(Pattern),
}

/// Where a range ends.
#[derive(Debug, Clone)]
pub(super) enum End {
    Address(Address),
    /// So many lines after the first.
    After(u64),
    /// At the next line whose number is a multiple.
    Multiple(u64),
}

/// How a replacement's part comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(Vec<u8>),
    /// A group; 0 is the whole match.
    Group(usize),
}

/// `s/pattern/replacement/flags`
#[derive(Debug)]
pub(super) struct Substitution {
    pub(super) pattern: Pattern,
    pub(super) replacement: Vec<Part>,
    /// The first match that is replaced, from 1.
    pub(super) number: u64,
    /// All matches from that one on.
    pub(super) global: bool,
    pub(super) print: bool,
}

/// What is done with a selected line.
#[derive(Debug)]
pub(super) enum Action {
    Substitute(Substitution),
    Delete,
    Print,
    Quit(u8),
    Number,
}

/// One command with the lines it is for.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) start: Option<Address>,
    pub(super) end: Option<End>,
    pub(super) inverted: bool,
    pub(super) action: Action,
    /// The range that is being passed through.
    pub(super) range: Range,
}

/// Where a command's range stands.
///
/// ```text
///         start matches               end reached
/// Outside --------------> Inside(end) -----------> Outside, or Over when the start is a number
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Outside,
    /// Until the line with this number, or until the end's expression matches.
    Inside(Option<u64>),
    /// The only time that the range could begin has passed.
    Over,
}
