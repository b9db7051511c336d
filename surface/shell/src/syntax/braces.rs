//! Brace expansion: `{a,b}` and `{1..5}`. It comes before every other expansion.
//!
//! Only what is written without quotes takes part. So a word becomes a text in which each quoted or expanded
//! part is one character that no brace means anything to; the words that come out get the parts back.

use super::tree::{Part, Word};

/// The first of the characters that stand for parts: a private-use area that nobody types.
const FIRST_MARK: u32 = 0xF_0000;

/// Parts of one word that can be marked.
const MARKS: u32 = 0xFFFE;

/// Expands the braces of one word. `None` when there is nothing to expand.
///
/// # Errors
/// The limit, when more than `limit` words come out.
pub(crate) fn expand(word: &Word, raw: &str, limit: usize) -> Result<Option<Vec<Word>>, usize> {
    if raw.len() > WORD_BYTES || !raw.contains('{') || !(raw.contains(',') || raw.contains("..")) {
        return Ok(None);
    }
    let Some(text) = marked(word) else { return Ok(None) };
    let words = expand_text(&text, limit, 0)?;
    if words.len() == 1 && words[0] == text {
        return Ok(None);
    }
    // No part is longer than the word as it was written.
    if words.len().saturating_mul(raw.len()) > limit.saturating_mul(BYTES_PER_WORD) {
        return Err(limit);
    }
    Ok(Some(words.iter().map(|text| unmarked(text, word)).collect()))
}

/// The word's text with one character for each part that is not plain. `None` when the text has such a
/// character itself, or too many parts.
fn marked(word: &Word) -> Option<String> {
    let mut text = String::new();
    for (index, part) in word.parts.iter().enumerate() {
        match part {
            Part::Literal(literal) if literal.chars().any(|character| part_index(character).is_some()) => {
                return None;
            }
            Part::Literal(literal) => text.push_str(literal),
            _ => {
                let index = u32::try_from(index).ok().filter(|index| *index < MARKS)?;
                text.push(char::from_u32(FIRST_MARK + index)?);
            }
        }
    }
    Some(text)
}

fn part_index(character: char) -> Option<usize> {
    let index = u32::from(character).checked_sub(FIRST_MARK)?;
    (index < MARKS).then_some(index as usize)
}

/// Puts the parts back into one of the words that came out.
fn unmarked(text: &str, word: &Word) -> Word {
    let mut parts = Vec::new();
    let mut plain = text;
    if let Some(tail) = text.strip_prefix('~').filter(|tail| tail.is_empty() || tail.starts_with('/')) {
        parts.push(Part::Tilde(String::new()));
        plain = tail;
    }
    for character in plain.chars() {
        match (part_index(character).and_then(|index| word.parts.get(index)), parts.last_mut()) {
            (Some(part), _) => parts.push(part.clone()),
            (None, Some(Part::Literal(literal))) => literal.push(character),
            (None, _) => parts.push(Part::Literal(character.to_string())),
        }
    }
    Word { parts }
}

/// Longer words are left as they are: finding the braces of a word takes a time that grows with its square.
const WORD_BYTES: usize = 16 * 1024;

/// Nested braces deeper than this are left as they are.
const DEPTH: usize = 16;

/// Bytes that the words of one expansion may have for each word that is allowed.
const BYTES_PER_WORD: usize = 64;

fn expand_text(raw: &str, limit: usize, depth: usize) -> Result<Vec<String>, usize> {
    let mut from = 0;
    while let Some((open, close, commas)) = find_braces(raw, from) {
        let inner = &raw[open + 1..close];
        let alternatives =
            if commas.is_empty() { sequence(inner, limit)? } else { Some(split(inner, &commas, open)) };
        let Some(alternatives) = alternatives.filter(|_| depth < DEPTH) else {
            from = open + 1;
            continue;
        };
        let tails = expand_text(&raw[close + 1..], limit, depth + 1)?;
        let mut words = Vec::new();
        let mut bytes = 0;
        for alternative in alternatives {
            let middles = if commas.is_empty() {
                vec![alternative]
            } else {
                expand_text(&alternative, limit, depth + 1)?
            };
            for middle in middles {
                for tail in &tails {
                    bytes += open + middle.len() + tail.len();
                    if words.len() >= limit || bytes > limit.saturating_mul(BYTES_PER_WORD) {
                        return Err(limit);
                    }
                    words.push(format!("{}{middle}{tail}", &raw[..open]));
                }
            }
        }
        return Ok(words);
    }
    Ok(vec![raw.to_string()])
}

fn split(inner: &str, commas: &[usize], open: usize) -> Vec<String> {
    let mut start = 0;
    let mut alternatives = Vec::new();
    for comma in commas {
        let end = comma - open - 1;
        alternatives.push(inner[start..end].to_string());
        start = end + 1;
    }
    alternatives.push(inner[start..].to_string());
    alternatives
}

/// Finds the first pair of braces from an offset, and its commas: positions in the text.
fn find_braces(raw: &str, from: usize) -> Option<(usize, usize, Vec<usize>)> {
    let bytes = raw.as_bytes();
    let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut index = 0;
    let mut best: Option<(usize, usize, Vec<usize>)> = None;
    while index < bytes.len() {
        match bytes[index] {
            b'{' if index >= from => open.push((index, Vec::new())),
            b',' => {
                if let Some((_, commas)) = open.last_mut() {
                    commas.push(index);
                }
            }
            b'}' => {
                if let Some((start, commas)) = open.pop() {
                    let useful = !commas.is_empty() || raw[start + 1..index].contains("..");
                    if useful && best.as_ref().is_none_or(|(known, _, _)| start < *known) {
                        best = Some((start, index, commas));
                    }
                    if open.is_empty() && best.is_some() {
                        return best;
                    }
                }
            }
            _ => {}
        }
        index += 1;
    }
    best
}

/// `1..5`, `01..10`, `a..e`, with an optional step.
fn sequence(inner: &str, limit: usize) -> Result<Option<Vec<String>>, usize> {
    let parts: Vec<&str> = inner.split("..").collect();
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (*first, *last, 1),
        [first, last, step] => match step.parse::<i64>() {
            Ok(step) => (*first, *last, step.unsigned_abs().max(1)),
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let single = |text: &str| (text.len() == 1).then(|| text.as_bytes()[0]).filter(u8::is_ascii_alphabetic);
    let (from, to, letters) = match (first.parse::<i64>(), last.parse::<i64>(), single(first), single(last)) {
        (Ok(from), Ok(to), _, _) => (from, to, false),
        (_, _, Some(from), Some(to)) => (i64::from(from), i64::from(to), true),
        _ => return Ok(None),
    };
    let count = from.abs_diff(to) / step;
    if count >= limit as u64 {
        return Err(limit);
    }
    let padded =
        |text: &str| text.trim_start_matches('-').len() > 1 && text.trim_start_matches('-').starts_with('0');
    let width = if padded(first) || padded(last) { first.len().max(last.len()) } else { 0 };
    let mut values = Vec::with_capacity(count as usize + 1);
    for index in 0..=count {
        // Within the two ends, so it cannot overflow.
        let distance = index * step;
        let value = if from <= to {
            from.wrapping_add_unsigned(distance)
        } else {
            from.wrapping_sub_unsigned(distance)
        };
        values.push(match u8::try_from(value) {
            Ok(letter) if letters => char::from(letter).to_string(),
            _ => format!("{value:0width$}"),
        });
    }
    Ok(Some(values))
}
