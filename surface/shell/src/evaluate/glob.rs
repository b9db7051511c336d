//! Patterns of file names and texts: `*`, `?`, `[...]`, and a backslash that quotes.

use super::{Eval, Evaluator};
use crate::files::{FileKind, TreePath};

/// Steps that one match may take. A pattern with many stars takes the product of both lengths.
pub(crate) const STEPS: usize = 4_000_000;

/// Steps of matching that count as one more command.
pub(crate) const STEPS_PER_UNIT: usize = 256;

/// File names that count as one more command.
const ENTRIES_PER_UNIT: usize = 16;

/// File names that one pattern may look at.
const GLOB_ENTRIES: usize = 100_000;

/// Whether the whole text matches. `None`: the match took too many steps.
pub(crate) fn matches(pattern: &str, text: &str, steps: &mut usize) -> Option<bool> {
    let characters: Vec<char> = text.chars().collect();
    Matcher::new(pattern).matches_characters(&characters, steps)
}

#[derive(Debug, Clone)]
enum Element {
    One(char),
    Any,
    Star,
    Set { negated: bool, items: Vec<Item> },
}

#[derive(Debug, Clone)]
enum Item {
    Range(char, char),
    Class(String),
}

/// A pattern made ready for several texts.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    elements: Vec<Element>,
}

impl Matcher {
    pub(crate) fn new(pattern: &str) -> Self {
        let characters: Vec<char> = pattern.chars().collect();
        let mut elements = Vec::with_capacity(characters.len());
        let mut index = 0;
        while index < characters.len() {
            match characters[index] {
                '*' => {
                    if !matches!(elements.last(), Some(Element::Star)) {
                        elements.push(Element::Star);
                    }
                }
                '?' => elements.push(Element::Any),
                '\\' if index + 1 < characters.len() => {
                    index += 1;
                    elements.push(Element::One(characters[index]));
                }
                '[' => match parse_set(&characters, index) {
                    Some((set, end)) => {
                        elements.push(set);
                        index = end;
                    }
                    None => elements.push(Element::One('[')),
                },
                other => elements.push(Element::One(other)),
            }
            index += 1;
        }
        Self { elements }
    }

    /// The text that the pattern stands for, when it has no wildcard.
    pub(crate) fn literal(&self) -> Option<String> {
        self.elements
            .iter()
            .map(|element| if let Element::One(character) = element { Some(*character) } else { None })
            .collect()
    }

    /// The number of characters that every match has, when they all have the same.
    pub(crate) fn length(&self) -> Option<usize> {
        let fixed = !self.elements.iter().any(|element| matches!(element, Element::Star));
        fixed.then_some(self.elements.len())
    }

    pub(crate) fn matches(&self, text: &str) -> Option<bool> {
        let characters: Vec<char> = text.chars().collect();
        self.matches_characters(&characters, &mut { STEPS })
    }

    /// Matches with a shared allowance of steps.
    pub(crate) fn matches_characters(&self, text: &[char], steps: &mut usize) -> Option<bool> {
        let (mut element, mut position) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            *steps = steps.checked_sub(1)?;
            match self.elements.get(element) {
                None if position == text.len() => return Some(true),
                Some(Element::Star) => {
                    retry = Some((element + 1, position));
                    element += 1;
                    continue;
                }
                Some(single) if position < text.len() && single.accepts(text[position]) => {
                    element += 1;
                    position += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((after_star, start)) if start < text.len() => {
                    retry = Some((after_star, start + 1));
                    element = after_star;
                    position = start + 1;
                }
                _ => return Some(false),
            }
        }
    }
}

impl Element {
    fn accepts(&self, character: char) -> bool {
        match self {
            Self::One(expected) => *expected == character,
            Self::Any => true,
            Self::Star => false,
            Self::Set { negated, items } => items.iter().any(|item| item.accepts(character)) != *negated,
        }
    }
}

impl Item {
    fn accepts(&self, character: char) -> bool {
        match self {
            Self::Range(low, high) => (*low..=*high).contains(&character),
            Self::Class(name) => in_class(name, character),
        }
    }
}

/// Whether a character belongs to a POSIX class such as `alpha`.
pub(crate) fn in_class(name: &str, character: char) -> bool {
    match name {
        "alpha" => character.is_alphabetic(),
        "digit" => character.is_ascii_digit(),
        "alnum" => character.is_alphanumeric(),
        "upper" => character.is_uppercase(),
        "lower" => character.is_lowercase(),
        "space" => character.is_whitespace(),
        "blank" => matches!(character, ' ' | '\t'),
        "punct" => character.is_ascii_punctuation(),
        "cntrl" => character.is_control(),
        "xdigit" => character.is_ascii_hexdigit(),
        "print" => !character.is_control(),
        "graph" => !character.is_control() && !character.is_whitespace(),
        _ => false,
    }
}

fn parse_set(characters: &[char], open: usize) -> Option<(Element, usize)> {
    let mut index = open + 1;
    let negated = matches!(characters.get(index), Some('!' | '^'));
    if negated {
        index += 1;
    }
    let first = index;
    let mut items = Vec::new();
    loop {
        let mut character = *characters.get(index)?;
        if character == ']' && index > first {
            return Some((Element::Set { negated, items }, index));
        }
        if character == '[' && characters.get(index + 1) == Some(&':') {
            let close = characters[index + 2..].windows(2).position(|pair| pair == [':', ']']);
            if let Some(length) = close {
                items.push(Item::Class(characters[index + 2..index + 2 + length].iter().collect()));
                index += length + 4;
                continue;
            }
        }
        if character == '\\' {
            index += 1;
            character = *characters.get(index)?;
        }
        index += 1;
        if characters.get(index) == Some(&'-') && characters.get(index + 1).is_some_and(|next| *next != ']') {
            index += 1;
            if characters[index] == '\\' {
                index += 1;
            }
            items.push(Item::Range(character, *characters.get(index)?));
            index += 1;
        } else {
            items.push(Item::Range(character, character));
        }
    }
}

impl Evaluator {
    /// The paths that a pattern stands for, in order; empty when none matches.
    pub(crate) fn glob(&self, pattern: &str) -> Eval<Vec<String>> {
        let absolute = pattern.starts_with('/');
        let start = if absolute { TreePath::root() } else { self.state.directory.clone() };
        let mut found = vec![(String::from(if absolute { "/" } else { "" }), start)];
        let mut looked_at = 0;
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            let matcher = Matcher::new(part);
            let mut next = Vec::new();
            for (shown, path) in found {
                let names = match matcher.literal() {
                    Some(literal) => vec![literal],
                    None => self.run.files.list(&path).unwrap_or_default(),
                };
                for name in names {
                    looked_at += 1;
                    let hidden = name.starts_with('.') && !part.starts_with('.');
                    if looked_at > GLOB_ENTRIES || hidden || matcher.matches(&name) != Some(true) {
                        continue;
                    }
                    let Ok(child) = TreePath::resolve(&path, &name) else { continue };
                    let Ok(metadata) = self.run.files.metadata(&child) else { continue };
                    if last || metadata.kind == FileKind::Directory {
                        let separator = if last { "" } else { "/" };
                        next.push((format!("{shown}{name}{separator}"), child));
                    }
                }
            }
            found = next;
        }
        let mut names: Vec<String> = found.into_iter().map(|(shown, _)| shown).collect();
        names.sort();
        self.work(looked_at / ENTRIES_PER_UNIT)?;
        Ok(names)
    }
}
