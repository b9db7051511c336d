//! Sets of characters: bracket expressions and `\w`, `\s`.

use std::sync::OnceLock;

/// Characters in order, as ranges that do not touch, and whether those are the ones left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Class {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Class {
    /// A set of ranges in any order.
    pub(super) fn new(mut ranges: Vec<(char, char)>, negated: bool) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(char, char)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 || u32::from(first) == u32::from(before.1) + 1 => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged, negated }
    }

    /// The ranges, in order.
    pub(super) fn ranges(&self) -> &[(char, char)] {
        &self.ranges
    }

    /// Whether the ranges are left out.
    pub(super) fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether the character is in the set; with `ignore_case` also its other case.
    pub(super) fn contains(&self, character: char, ignore_case: bool) -> bool {
        let held = self.holds(character)
            || (ignore_case && (self.holds(lower(character)) || self.holds(upper(character))));
        held != self.negated
    }

    fn holds(&self, character: char) -> bool {
        let index = self.ranges.partition_point(|range| range.1 < character);
        self.ranges.get(index).is_some_and(|range| range.0 <= character)
    }
}

/// The lower case of a character that has just one.
pub(super) fn lower(character: char) -> char {
    let mut mapped = character.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}

/// The upper case of a character that has just one.
pub(super) fn upper(character: char) -> char {
    let mut mapped = character.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}

/// Whether the character belongs to a word.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The ranges of `[:name:]`.
pub(super) fn named(name: &str) -> Option<&'static [(char, char)]> {
    macro_rules! cached {
        ($test:expr) => {{
            static RANGES: OnceLock<Vec<(char, char)>> = OnceLock::new();
            RANGES.get_or_init(|| collect($test)).as_slice()
        }};
    }
    Some(match name {
        "alpha" => cached!(char::is_alphabetic),
        "alnum" => cached!(char::is_alphanumeric),
        "word" => cached!(is_word),
        "upper" => cached!(char::is_uppercase),
        "lower" => cached!(char::is_lowercase),
        "space" => &[('\t', '\r'), (' ', ' ')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "digit" => &[('0', '9')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\u{9f}')],
        "print" => cached!(|character: char| !character.is_control()),
        "graph" => cached!(|character: char| !character.is_control() && !character.is_whitespace()),
        "punct" => cached!(|character: char| {
            !character.is_control() && !character.is_whitespace() && !character.is_alphanumeric()
        }),
        _ => return None,
    })
}

fn collect(test: impl Fn(char) -> bool) -> Vec<(char, char)> {
    let mut ranges: Vec<(char, char)> = Vec::new();
    for character in ('\0'..=char::MAX).filter(|character| test(*character)) {
        match ranges.last_mut() {
            Some(last) if u32::from(last.1) + 1 == u32::from(character) => last.1 = character,
            _ => ranges.push((character, character)),
        }
    }
    ranges
}
