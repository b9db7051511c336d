//! Backslash sequences of `echo -e`, `printf` and `$'...'`.

/// Whose rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `echo -e` and `printf %b`: octal is `\0nnn`.
    Echo,
    /// A `printf` format: octal is `\nnn`.
    Format,
    /// `$'...'`: as a format, and quotes can be escaped.
    Dollar,
}

/// A text with its sequences replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unescaped {
    pub(crate) bytes: Vec<u8>,
    /// `\c` was met: nothing more is to be written.
    pub(crate) stopped: bool,
}

/// Replaces the sequences.
pub(crate) fn unescape(text: &str, style: Style) -> Unescaped {
    let source = text.as_bytes();
    let mut bytes = Vec::with_capacity(source.len());
    let mut index = 0;
    while index < source.len() {
        if source[index] != b'\\' || index + 1 >= source.len() {
            bytes.push(source[index]);
            index += 1;
            continue;
        }
        let kind = source[index + 1];
        index += 2;
        match kind {
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b'e' | b'E' => bytes.push(0x1b),
            b'f' => bytes.push(0x0c),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'v' => bytes.push(0x0b),
            b'\\' => bytes.push(b'\\'),
            b'\'' | b'"' | b'?' if style == Style::Dollar => bytes.push(kind),
            b'"' if style == Style::Format => bytes.push(kind),
            b'c' if style == Style::Echo => return Unescaped { bytes, stopped: true },
            b'x' => number(source, &mut index, 16, 2, &mut bytes, b"\\x"),
            b'u' | b'U' => {
                let digits = if kind == b'u' { 4 } else { 8 };
                unicode(source, &mut index, digits, kind, &mut bytes);
            }
            b'0' if style == Style::Echo => number(source, &mut index, 8, 3, &mut bytes, b"\0"),
            b'0'..=b'7' if style != Style::Echo => {
                index -= 1;
                number(source, &mut index, 8, 3, &mut bytes, b"");
            }
            other => bytes.extend_from_slice(&[b'\\', other]),
        }
    }
    Unescaped { bytes, stopped: false }
}

fn digits(source: &[u8], index: &mut usize, radix: u32, limit: usize) -> Option<u32> {
    let start = *index;
    let mut value = 0u32;
    while *index < source.len() && *index - start < limit {
        let Some(digit) = char::from(source[*index]).to_digit(radix) else { break };
        value = value.wrapping_mul(radix).wrapping_add(digit);
        *index += 1;
    }
    (*index > start).then_some(value)
}

fn number(source: &[u8], index: &mut usize, radix: u32, limit: usize, bytes: &mut Vec<u8>, otherwise: &[u8]) {
    match digits(source, index, radix, limit) {
        Some(value) => bytes.push((value & 0xff) as u8),
        None => bytes.extend_from_slice(otherwise),
    }
}

fn unicode(source: &[u8], index: &mut usize, limit: usize, kind: u8, bytes: &mut Vec<u8>) {
    match digits(source, index, 16, limit) {
        Some(value) => {
            let character = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
            let mut encoded = [0; 4];
            bytes.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
        }
        None => bytes.extend_from_slice(&[b'\\', kind]),
    }
}
