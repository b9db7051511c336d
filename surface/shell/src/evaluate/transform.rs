//! What `${...}` does to a value: cutting, replacing, changing case.

use super::glob::{Matcher, STEPS_PER_UNIT};
use super::{Eval, Evaluator};
use crate::limits::LimitReached;
use crate::syntax::tree::ReplaceMode;

/// Steps that all matches of one expansion may take together.
const PATTERN_STEPS: usize = 20_000_000;

impl Evaluator {
    pub(super) fn remove_match(
        &self,
        value: &str,
        pattern: &str,
        suffix: bool,
        longest: bool,
    ) -> Eval<String> {
        let matcher = Matcher::new(pattern);
        if let Some(literal) = matcher.literal() {
            let rest = if suffix { value.strip_suffix(&literal) } else { value.strip_prefix(&literal) };
            return Ok(rest.unwrap_or(value).to_string());
        }
        let characters: Vec<char> = value.chars().collect();
        let count = characters.len();
        let mut steps = PATTERN_STEPS;
        let lengths = match matcher.length() {
            Some(length) => length..=length.min(count),
            None => 0..=count,
        };
        for length in lengths {
            let length = if longest && matcher.length().is_none() { count - length } else { length };
            let (candidate, rest) = if suffix {
                (&characters[count - length..], &characters[..count - length])
            } else {
                (&characters[..length], &characters[length..])
            };
            match matcher.matches_characters(candidate, &mut steps) {
                None => return Err(self.limit(LimitReached::Pattern)),
                Some(true) => {
                    self.work((PATTERN_STEPS - steps) / STEPS_PER_UNIT)?;
                    return Ok(rest.iter().collect());
                }
                Some(false) => {}
            }
        }
        self.work((PATTERN_STEPS - steps) / STEPS_PER_UNIT)?;
        Ok(value.to_string())
    }

    pub(super) fn replace_match(
        &self,
        value: &str,
        pattern: &str,
        replacement: &str,
        mode: ReplaceMode,
    ) -> Eval<String> {
        let matcher = Matcher::new(pattern);
        let limit = self.run.meter.limits.expansion_bytes;
        let characters: Vec<char> = value.chars().collect();
        let mut steps = PATTERN_STEPS;
        let mut result = String::with_capacity(value.len());
        let mut position = 0;
        if pattern.is_empty() {
            return Ok(value.to_string());
        }
        while position <= characters.len() {
            let anchored_out = mode == ReplaceMode::Prefix && position > 0;
            let mut found = None;
            let ends = match matcher.length() {
                Some(length) => position + length..=(position + length).min(characters.len()),
                None => position..=characters.len(),
            };
            for end in ends.rev() {
                if anchored_out || (mode == ReplaceMode::Suffix && end < characters.len()) {
                    break;
                }
                match matcher.matches_characters(&characters[position..end], &mut steps) {
                    None => return Err(self.limit(LimitReached::Pattern)),
                    Some(true) => {
                        found = Some(end);
                        break;
                    }
                    Some(false) => {}
                }
            }
            // An empty match replaces nothing, except where the whole rest is matched.
            match found.filter(|end| *end > position || characters.is_empty()) {
                Some(end) => {
                    result.push_str(replacement);
                    position = end;
                    if mode != ReplaceMode::All || characters.is_empty() {
                        break;
                    }
                }
                None => match characters.get(position) {
                    Some(character) => {
                        result.push(*character);
                        position += 1;
                    }
                    None => break,
                },
            }
            if result.len() > limit {
                return Err(self.limit(LimitReached::Expansion(limit)));
            }
        }
        self.work((PATTERN_STEPS - steps) / STEPS_PER_UNIT)?;
        result.extend(characters.get(position..).unwrap_or_default());
        Ok(result)
    }
}

/// The characters from an offset, as many as the length says; negative ones count from the end. `None`: the end
/// would come before the beginning.
pub(super) fn slice(value: &str, offset: i64, length: Option<i64>) -> Option<String> {
    let characters: Vec<char> = value.chars().collect();
    let count = characters.len() as i64;
    let start = if offset < 0 { count.saturating_add(offset) } else { offset };
    if start < 0 || start > count {
        return Some(String::new());
    }
    let end = match length {
        None => count,
        Some(length) if length < 0 => count.saturating_add(length),
        Some(length) => start.saturating_add(length).min(count),
    };
    if end < start {
        return None;
    }
    Some(characters[start as usize..end as usize].iter().collect())
}

pub(super) fn change_case(value: &str, upper: bool, all: bool) -> String {
    let change = |text: &str| if upper { text.to_uppercase() } else { text.to_lowercase() };
    if all {
        return change(value);
    }
    match value.chars().next() {
        Some(first) => format!("{}{}", change(&value[..first.len_utf8()]), &value[first.len_utf8()..]),
        None => String::new(),
    }
}
