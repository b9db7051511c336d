//! The outer form of attribute records in a site file: `name=value` pairs, quoted as the console's `-i`
//! option takes them. Names and meanings of attributes are not known here, only what the site's own rules
//! need.

/// An attribute and its value, without quotes.
pub(super) type Pair = (String, String);

/// Splits `a,"b,c",d` at the commas outside quotes. A quote opens at the start of a piece, or directly
/// after the first `=` of a piece; inside, a doubled quote stands for one. Says what is wrong otherwise.
pub(super) fn split_list(text: &str) -> Result<Vec<String>, String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut seen_equals = false;
    let mut closed = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ',' => {
                pieces.push(std::mem::take(&mut piece));
                seen_equals = false;
                closed = false;
            }
            _ if closed => return Err(format!("`{character}` follows a closing quote")),
            '"' if piece.is_empty() || (piece.ends_with('=') && !seen_equals_before_last(&piece)) => {
                take_quoted(&mut characters, &mut piece)?;
                closed = true;
            }
            '"' => return Err("a quote stands inside an unquoted value".to_owned()),
            _ => {
                seen_equals |= character == '=';
                // Blanks after a comma are tolerated, as the console does.
                if character != ' ' || !piece.is_empty() || seen_equals {
                    piece.push(character);
                }
            }
        }
    }
    if !text.is_empty() {
        pieces.push(piece);
    }
    Ok(pieces)
}

fn seen_equals_before_last(piece: &str) -> bool {
    piece[..piece.len() - 1].contains('=')
}

fn take_quoted(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    piece: &mut String,
) -> Result<(), String> {
    while let Some(character) = characters.next() {
        if character != '"' {
            piece.push(character);
        } else if characters.peek() == Some(&'"') {
            characters.next();
            piece.push('"');
        } else {
            return Ok(());
        }
    }
    Err("a quote is not closed".to_owned())
}

/// Reads a record into its pairs, in order. Says what is wrong with a piece without `=`, a name that is no
/// attribute name, or a repeated name.
pub(super) fn parse(text: &str) -> Result<Vec<Pair>, String> {
    let mut pairs: Vec<Pair> = Vec::new();
    for piece in split_list(text)? {
        let Some((name, value)) = piece.split_once('=') else {
            return Err(format!("`{piece}` is not of the form name=value"));
        };
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(word) {
            return Err(format!("`{name}` is not an attribute name"));
        }
        if pairs.iter().any(|(other, _)| other == name) {
            return Err(format!("the attribute {name} is given twice"));
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

/// The value of an attribute, where the record gives it.
pub(super) fn value<'p>(pairs: &'p [Pair], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// The elements of a list attribute, each split at its slashes; empty for `none` and for an attribute
/// that is absent.
pub(super) fn elements(pairs: &[Pair], name: &str) -> Result<Vec<Vec<String>>, String> {
    let list = match value(pairs, name) {
        None | Some("" | "none") => return Ok(Vec::new()),
        Some(list) => split_list(list).map_err(|problem| format!("{name}: {problem}"))?,
    };
    Ok(list.iter().map(|element| element.split('/').map(str::to_owned).collect()).collect())
}

/// Reads a decimal number with at most two places after the point as hundredths (`0.05` is 5).
pub(super) fn hundredths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let scale = if fraction.len() == 1 { 10 } else { 1 };
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(100)?.checked_add(fraction.parse::<u64>().ok()? * scale)
}
