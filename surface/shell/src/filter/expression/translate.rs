//! From the tree to a pattern of the `regex` crate.

use std::fmt::Write;

use super::class::Class;
use super::tree::{Assertion, Node};
use super::{ExpressionError, GROUPS};

/// Bytes of a translated pattern. A class such as `[[:alpha:]]` takes some kilobytes.
const PATTERN_BYTES: usize = 1 << 20;

/// Writes the tree as a pattern.
pub(super) fn translate(node: &Node) -> Result<String, ExpressionError> {
    let mut pattern = String::new();
    write_node(&mut pattern, node);
    if pattern.len() > PATTERN_BYTES { Err(ExpressionError::TooBig) } else { Ok(pattern) }
}

fn write_node(pattern: &mut String, node: &Node) {
    match node {
        Node::Character(character) => {
            let mut encoded = [0; 4];
            pattern.push_str(&regex::escape(character.encode_utf8(&mut encoded)));
        }
        Node::Any => pattern.push('.'),
        Node::Class(class) => write_class(pattern, class),
        Node::Assertion(assertion) => pattern.push_str(match assertion {
            Assertion::LineStart => r"\A",
            Assertion::LineEnd => r"\z",
            Assertion::WordStart => r"\b{start}",
            Assertion::WordEnd => r"\b{end}",
            Assertion::WordBoundary => r"\b",
            Assertion::NoWordBoundary => r"\B",
            Assertion::NoWordBefore => r"\b{start-half}",
            Assertion::NoWordAfter => r"\b{end-half}",
        }),
        Node::Group(node, number) => {
            pattern.push_str(if *number < GROUPS { "(" } else { "(?:" });
            write_node(pattern, node);
            pattern.push(')');
        }
        Node::Concatenation(nodes) => nodes.iter().for_each(|node| {
            // An alternation inside would otherwise reach over its neighbours.
            let grouped = matches!(node, Node::Alternation(_));
            pattern.push_str(if grouped { "(?:" } else { "" });
            write_node(pattern, node);
            pattern.push_str(if grouped { ")" } else { "" });
        }),
        Node::Alternation(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                pattern.push_str(if index > 0 { "|" } else { "" });
                write_node(pattern, node);
            }
        }
        Node::Repeat { node, minimum, maximum } => {
            pattern.push_str("(?:");
            write_node(pattern, node);
            pattern.push(')');
            let _ = match maximum {
                None => write!(pattern, "{{{minimum},}}"),
                Some(maximum) => write!(pattern, "{{{minimum},{maximum}}}"),
            };
        }
    }
}

fn write_class(pattern: &mut String, class: &Class) {
    if class.ranges().is_empty() {
        // The crate has no empty brackets; these match nothing, or everything.
        pattern.push_str(if class.is_negated() { "." } else { r"[^\x{0}-\x{10FFFF}]" });
        return;
    }
    pattern.push_str(if class.is_negated() { "[^" } else { "[" });
    for (first, last) in class.ranges() {
        let _ = write!(pattern, r"\x{{{:X}}}-\x{{{:X}}}", u32::from(*first), u32::from(*last));
    }
    pattern.push(']');
}
