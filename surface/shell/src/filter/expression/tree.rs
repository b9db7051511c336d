//! The tree of a regular expression.

use super::class::Class;

/// A place that matches without taking a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assertion {
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordBoundary,
    NoWordBoundary,
    /// No word character before this place; for `grep -w`.
    NoWordBefore,
    /// No word character after this place; for `grep -w`.
    NoWordAfter,
}

/// One part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Character(char),
    /// Any character. A byte that is not UTF-8 is none.
    Any,
    Class(Class),
    Assertion(Assertion),
    /// A group with its number, from 1.
    Group(Box<Node>, usize),
    /// One after the other. Empty matches the empty text.
    Concatenation(Vec<Node>),
    Alternation(Vec<Node>),
    Repeat {
        node: Box<Node>,
        minimum: u32,
        /// `None`: any number.
        maximum: Option<u32>,
    },
}

impl Node {
    /// Whether the longest match may differ from the one that takes the first alternative and the most
    /// repetitions from left to right. With at most one repetition of a varying number, of one character,
    /// and no alternative it cannot.
    pub(super) fn is_ambiguous(&self) -> bool {
        let mut varying = 0;
        self.has_choice(&mut varying) || varying > 1
    }

    fn has_choice(&self, varying: &mut usize) -> bool {
        match self {
            Self::Character(_) | Self::Any | Self::Class(_) | Self::Assertion(_) => false,
            Self::Group(node, _) => node.has_choice(varying),
            Self::Concatenation(nodes) => nodes.iter().any(|node| node.has_choice(varying)),
            Self::Alternation(_) => true,
            Self::Repeat { node, .. } => {
                *varying += 1;
                !matches!(**node, Self::Character(_) | Self::Any | Self::Class(_))
            }
        }
    }
}
