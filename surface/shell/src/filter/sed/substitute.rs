//! `s///`: replaces matches in one line.

use super::script::{Part, Substitution};
use crate::filter::expression::{Expression, Groups};
use crate::filter::process::{Process, Stop};

/// Replaces what the substitution selects. `None` when nothing matched.
pub(super) fn substitute(
    process: &mut Process<'_>,
    substitution: &Substitution,
    expression: &Expression,
    line: &[u8],
) -> Result<Option<Vec<u8>>, Stop> {
    let mut result = Vec::new();
    let mut copied = 0;
    let mut position = 0;
    let mut number = 0;
    let mut last_end = None;
    while position <= line.len() {
        let Some(groups) = expression.find_groups(line, position) else { break };
        let Some((start, end)) = groups[0] else { break };
        if start == end && last_end == Some(start) {
            // An empty match right after another match is none.
            position = next_character(line, start);
            continue;
        }
        last_end = Some(end);
        number += 1;
        if number >= substitution.number {
            result.extend_from_slice(&line[copied..start]);
            append(&mut result, &substitution.replacement, &groups, line);
            copied = end;
            process.check()?;
            if result.len() > process.context.limits.filter_bytes {
                return Err(process.too_large());
            }
            if !substitution.global {
                break;
            }
        }
        position = if start == end { next_character(line, end) } else { end };
    }
    if number < substitution.number {
        return Ok(None);
    }
    result.extend_from_slice(&line[copied..]);
    Ok(Some(result))
}

/// The position after the character at this one.
fn next_character(line: &[u8], position: usize) -> usize {
    let continues = |byte: &&u8| (0x80..0xc0).contains(*byte);
    let rest = line.get(position + 1..).unwrap_or_default();
    let lead = line.get(position).is_some_and(|byte| *byte >= 0xc0);
    position + 1 + if lead { rest.iter().take(3).take_while(continues).count() } else { 0 }
}

fn append(result: &mut Vec<u8>, replacement: &[Part], groups: &Groups, line: &[u8]) {
    for part in replacement {
        match part {
            Part::Text(text) => result.extend_from_slice(text),
            Part::Group(number) => {
                if let Some((start, end)) = groups.get(*number).copied().flatten() {
                    result.extend_from_slice(&line[start..end]);
                }
            }
        }
    }
}
