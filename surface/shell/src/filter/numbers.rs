//! Counts as `head`, `tail` and their like take them.

/// Multiplier letters, each 1024 times (`K`) or 1000 times (`kB`) the one before.
const UNITS: &[u8] = b"KMGTPE";

/// Reads a count with an optional multiplier (`512`, `1k`, `2M`, `3b`, `1kB`). A value too large for 64 bits
/// is the largest one. `None` for anything else.
pub(crate) fn count(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    if digits == 0 {
        return None;
    }
    let number = text[..digits].parse().unwrap_or(u64::MAX);
    let suffix = &text.as_bytes()[digits..];
    let factor = match suffix {
        [] => 1,
        b"b" => 512,
        [unit] | [unit, b'i', b'B'] => power(*unit, 1024)?,
        [unit, b'B'] => power(*unit, 1000)?,
        _ => return None,
    };
    Some(u64::saturating_mul(number, factor))
}

fn power(unit: u8, base: u64) -> Option<u64> {
    let unit = if matches!(unit, b'k' | b'm') { unit.to_ascii_uppercase() } else { unit };
    let index = UNITS.iter().position(|known| *known == unit)?;
    Some((0..=index).fold(1u64, |factor, _| factor.saturating_mul(base)))
}
