//! Brace expansion: `{a,b}` and `{1..5}`. Works on the text as written, before anything else.

/// Expands the braces of one word. `None` when there is nothing to expand.
///
/// # Errors
/// The limit, when more than `limit` words come out.
pub(crate) fn expand(raw: &str, limit: usize) -> Result<Option<Vec<String>>, usize> {
    if raw.len() > WORD_BYTES || !raw.contains('{') || !(raw.contains(',') || raw.contains("..")) {
        return Ok(None);
    }
    let words = expand_text(raw, limit, 0)?;
    Ok(if words.len() == 1 && words[0] == raw { None } else { Some(words) })
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
            b'\\' => index += 1,
            quote @ (b'\'' | b'"' | b'`') => index = skip_quote(bytes, index, quote),
            b'$' if bytes.get(index + 1) == Some(&b'{') => index = skip_nested(bytes, index + 1, b'{', b'}'),
            b'$' if bytes.get(index + 1) == Some(&b'(') => index = skip_nested(bytes, index + 1, b'(', b')'),
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

fn skip_quote(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut index = start + 1;
    while index < bytes.len() && bytes[index] != quote {
        if bytes[index] == b'\\' && quote != b'\'' {
            index += 1;
        }
        index += 1;
    }
    index
}

fn skip_nested(bytes: &[u8], start: usize, open: u8, close: u8) -> usize {
    let mut depth = 0usize;
    let mut index = start;
    while index < bytes.len() {
        if bytes[index] == open {
            depth += 1;
        } else if bytes[index] == close {
            depth -= 1;
            if depth == 0 {
                return index;
            }
        }
        index += 1;
    }
    index
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
