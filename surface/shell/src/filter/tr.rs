//! `tr`: replaces, deletes or squeezes bytes.

use super::FilterContext;
use super::options::{Grammar, Parsed, flag};
use super::process::{self, Process, Stop};

static GRAMMAR: Grammar = Grammar {
    program: "tr",
    synopsis: "tr [OPTION]... STRING1 [STRING2]",
    flags: &[
        flag('c', "complement"),
        flag('C', ""),
        flag('d', "delete"),
        flag('s', "squeeze-repeats"),
        flag('t', "truncate-set1"),
    ],
    hint: "Try 'tr --help' for more information.\n",
    trouble: 1,
};

/// Bytes in one written-out set. More than any real set, with its repetitions, has.
const SET_BYTES: usize = 1 << 20;

/// Runs `tr`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    // A set may begin with a dash: options end at the first word that is none.
    let mut arguments = context.arguments.to_vec();
    let end = arguments.iter().position(|word| !word.starts_with('-') || word == "-" || word == "--");
    if let Some(end) = end.filter(|end| arguments[*end] != "--") {
        arguments.insert(end, "--".to_string());
    }
    process::run_with(context, &GRAMMAR, &arguments, tr)
}

/// One element of a set as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    Byte(u8),
    Range(u8, u8),
    Class(String),
    Equivalence(u8),
    /// `[c*n]`; without a number as many as needed.
    Repeat(u8, Option<usize>),
}

/// What is done to each byte.
struct Work {
    map: [u8; 256],
    deleted: [bool; 256],
    squeezed: [bool; 256],
}

fn tr(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    check_operands(process, &parsed)?;
    if parsed.operands.iter().any(|operand| ends_in_backslash(operand)) {
        process.complain("warning: an unescaped backslash at end of string is not portable")?;
    }
    let work = match work(&parsed) {
        Ok(work) => work,
        Err(message) => return Err(process.fail(&message)),
    };
    let mut block = vec![0; 16 * 1024];
    let mut before = None;
    loop {
        let read = process.read_block(process.context.stdin, &mut block)?;
        if read == 0 {
            return Ok(0);
        }
        let mut kept = 0;
        for index in 0..read {
            let byte = block[index];
            if work.deleted[usize::from(byte)] {
                continue;
            }
            let byte = work.map[usize::from(byte)];
            if work.squeezed[usize::from(byte)] && before == Some(byte) {
                continue;
            }
            before = Some(byte);
            block[kept] = byte;
            kept += 1;
        }
        process.write(&block[..kept])?;
    }
}

fn check_operands(process: &mut Process<'_>, parsed: &Parsed) -> Result<(), Stop> {
    let (delete, squeeze) = (parsed.has('d'), parsed.has('s'));
    let wanted = if delete == squeeze { 2 } else { 1 };
    let most = if delete && !squeeze { 1 } else { 2 };
    let operands = &parsed.operands;
    if let Some(extra) = operands.get(most) {
        let more = if most == 1 {
            "\nOnly one string may be given when deleting without squeezing repeats."
        } else {
            ""
        };
        return Err(process.usage_error(&format!("extra operand '{extra}'{more}")));
    }
    if operands.len() >= wanted {
        return Ok(());
    }
    Err(match operands.last() {
        None => process.usage_error("missing operand"),
        Some(last) => {
            let why = if delete { "both deleting and squeezing repeats" } else { "translating" };
            process.usage_error(&format!(
                "missing operand after '{last}'\nTwo strings must be given when {why}."
            ))
        }
    })
}

fn ends_in_backslash(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn work(parsed: &Parsed) -> Result<Work, String> {
    let mut work = Work { map: [0; 256], deleted: [false; 256], squeezed: [false; 256] };
    for (byte, mapped) in (0..=u8::MAX).zip(&mut work.map) {
        *mapped = byte;
    }
    let (delete, squeeze) = (parsed.has('d'), parsed.has('s'));
    let complement = parsed.has('c') || parsed.has('C');
    let first = parse(&parsed.operands[0])?;
    if first.iter().any(|element| matches!(element, Element::Repeat(_, None))) {
        return Err("the [c*] repeat construct may not appear in string1".to_string());
    }
    let mut from = write_out(&first, 0)?;
    if complement {
        from = (0..=u8::MAX).filter(|byte| !from.contains(byte)).collect();
    }
    let second = parsed.operands.get(1).map(|text| parse(text)).transpose()?;
    match second {
        None => mark(if delete { &mut work.deleted } else { &mut work.squeezed }, &from),
        Some(second) if delete => {
            if second.iter().any(|element| matches!(element, Element::Repeat(_, None))) {
                return Err("the [c*] construct may appear in string2 only when translating".to_string());
            }
            mark(&mut work.deleted, &from);
            mark(&mut work.squeezed, &write_out(&second, 0)?);
        }
        Some(second) => {
            let to = targets(&first, &mut from, &second, complement, parsed.has('t'))?;
            for (from, to) in from.iter().zip(&to) {
                work.map[usize::from(*from)] = *to;
            }
            if squeeze {
                mark(&mut work.squeezed, &to);
            }
        }
    }
    Ok(work)
}

fn mark(marks: &mut [bool; 256], bytes: &[u8]) {
    for byte in bytes {
        marks[usize::from(*byte)] = true;
    }
}

/// What the bytes of the first set become.
fn targets(
    first: &[Element],
    from: &mut Vec<u8>,
    second: &[Element],
    complement: bool,
    truncate: bool,
) -> Result<Vec<u8>, String> {
    check_second(first, from.len(), second, complement)?;
    let mut to = write_out(second, from.len())?;
    if to.is_empty() && !from.is_empty() && !truncate {
        return Err("when not truncating set1, string2 must be non-empty".to_string());
    }
    let one_target = all_same(&to, from.len()) && (!truncate || to.len() == from.len());
    if complement && first.iter().any(|element| matches!(element, Element::Class(_))) && !one_target {
        let message = "when translating with complemented character classes,\nstring2 must map all characters in the domain to one";
        return Err(message.to_string());
    }
    if truncate {
        from.truncate(to.len());
        return Ok(to);
    }
    if to.len() < from.len() {
        if matches!(second.last(), Some(Element::Class(_))) {
            let message = "when translating with string1 longer than string2,\nthe latter string must not end with a character class";
            return Err(message.to_string());
        }
        let last = to.last().copied().unwrap_or(0);
        to.resize(from.len(), last);
    }
    Ok(to)
}

fn all_same(bytes: &[u8], wanted: usize) -> bool {
    let used = &bytes[..bytes.len().min(wanted.max(1))];
    used.windows(2).all(|pair| pair[0] == pair[1])
}

/// Only `[:upper:]` and `[:lower:]` may stand in the second set, opposite to one another.
fn check_second(
    first: &[Element],
    length: usize,
    second: &[Element],
    complement: bool,
) -> Result<(), String> {
    if second.iter().any(|element| matches!(element, Element::Equivalence(_))) {
        return Err("[=c=] expressions may not appear in string2 when translating".to_string());
    }
    if second.iter().filter(|element| matches!(element, Element::Repeat(_, None))).count() > 1 {
        return Err("only one [c*] repeat construct may appear in string2".to_string());
    }
    let cases = |name: &str| matches!(name, "upper" | "lower");
    let mut places = Vec::new();
    let mut position = 0;
    for element in first {
        if matches!(element, Element::Class(name) if cases(name)) {
            places.push(position);
        }
        position += write_out(std::slice::from_ref(element), 0)?.len();
    }
    let mut position = 0;
    for element in second {
        if let Element::Class(name) = element {
            if !cases(name) {
                let message = "when translating, the only character classes that may appear in\nstring2 are 'upper' and 'lower'";
                return Err(message.to_string());
            }
            // Behind the end of the first set there is nothing to be opposite to.
            if !complement && position <= length && !places.contains(&position) {
                return Err("misaligned [:upper:] and/or [:lower:] construct".to_string());
            }
        }
        position += write_out(std::slice::from_ref(element), 0)?.len();
    }
    Ok(())
}

/// All bytes of a set in their order; an open repetition fills up to `length`.
fn write_out(elements: &[Element], length: usize) -> Result<Vec<u8>, String> {
    let fixed = |elements: &[Element]| -> usize {
        elements
            .iter()
            .map(|element| match element {
                Element::Byte(_) | Element::Equivalence(_) => 1,
                Element::Range(first, last) => usize::from(last - first) + 1,
                Element::Class(name) => (0..=u8::MAX).filter(|byte| is_in_class(name, *byte)).count(),
                Element::Repeat(_, count) => count.unwrap_or(0),
            })
            .fold(0usize, usize::saturating_add)
    };
    let known = fixed(elements);
    if known > SET_BYTES {
        return Err(format!("a set larger than {SET_BYTES} bytes"));
    }
    let mut bytes = Vec::new();
    for element in elements {
        match element {
            Element::Byte(byte) | Element::Equivalence(byte) => bytes.push(*byte),
            Element::Range(first, last) => bytes.extend(*first..=*last),
            Element::Class(name) => bytes.extend((0..=u8::MAX).filter(|byte| is_in_class(name, *byte))),
            Element::Repeat(byte, count) => {
                let count = count.unwrap_or(length.saturating_sub(known));
                bytes.extend(std::iter::repeat_n(*byte, count));
            }
        }
    }
    Ok(bytes)
}

fn is_in_class(name: &str, byte: u8) -> bool {
    match name {
        "alnum" => byte.is_ascii_alphanumeric(),
        "alpha" => byte.is_ascii_alphabetic(),
        "blank" => matches!(byte, b' ' | b'\t'),
        "cntrl" => byte.is_ascii_control(),
        "digit" => byte.is_ascii_digit(),
        "graph" => byte.is_ascii_graphic(),
        "lower" => byte.is_ascii_lowercase(),
        "print" => byte.is_ascii_graphic() || byte == b' ',
        "punct" => byte.is_ascii_punctuation(),
        "space" => matches!(byte, b' ' | b'\t'..=b'\r'),
        "upper" => byte.is_ascii_uppercase(),
        "xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

const CLASSES: &[&str] = &[
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
    "xdigit",
];

/// A byte of a set, and whether a backslash stood before it.
type Unescaped = (u8, bool);

fn parse(text: &str) -> Result<Vec<Element>, String> {
    let bytes = unescape(text);
    let mut elements = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let (byte, escaped) = bytes[position];
        if byte == b'['
            && !escaped
            && let Some((element, width)) = bracket(&bytes[position..])?
        {
            elements.push(element);
            position += width;
            continue;
        }
        match bytes.get(position + 1..position + 3) {
            Some([(b'-', false), (last, _)]) => {
                if *last < byte {
                    let range = format!("{}-{}", printable(byte), printable(*last));
                    return Err(format!(
                        "range-endpoints of '{range}' are in reverse collating sequence order"
                    ));
                }
                elements.push(Element::Range(byte, *last));
                position += 3;
            }
            _ => {
                elements.push(Element::Byte(byte));
                position += 1;
            }
        }
    }
    Ok(elements)
}

fn printable(byte: u8) -> String {
    if byte.is_ascii_graphic() || byte == b' ' {
        char::from(byte).to_string()
    } else {
        format!("\\{byte:03o}")
    }
}

fn unescape(text: &str) -> Vec<Unescaped> {
    let source = text.as_bytes();
    let mut bytes = Vec::with_capacity(source.len());
    let mut position = 0;
    while position < source.len() {
        let byte = source[position];
        position += 1;
        let Some(next) = source.get(position).filter(|_| byte == b'\\') else {
            bytes.push((byte, false));
            continue;
        };
        position += 1;
        bytes.push((
            match next {
                b'a' => 7,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                b'0'..=b'7' => {
                    let mut value = u32::from(next - b'0');
                    for _ in 0..2 {
                        let Some(digit @ b'0'..=b'7') = source.get(position) else { break };
                        let larger = value * 8 + u32::from(digit - b'0');
                        // A third digit that would not fit in a byte is a byte of its own.
                        if larger > 255 {
                            break;
                        }
                        value = larger;
                        position += 1;
                    }
                    (value & 0xff) as u8
                }
                other => *other,
            },
            true,
        ));
    }
    bytes
}

/// `[:class:]`, `[=c=]` or `[c*n]` at the beginning, with its width; `None` when it is just a bracket.
fn bracket(bytes: &[Unescaped]) -> Result<Option<(Element, usize)>, String> {
    let Some((kind, false)) = bytes.get(1).copied() else { return Ok(repeat(bytes)) };
    if matches!(kind, b':' | b'=') {
        let end = (2..bytes.len().saturating_sub(1))
            .find(|index| bytes[*index] == (kind, false) && bytes[index + 1] == (b']', false));
        if let Some(end) = end {
            let name: Vec<u8> = bytes[2..end].iter().map(|(byte, _)| *byte).collect();
            if let Some(element) = named(kind, &name, bytes)? {
                return Ok(Some((element, end + 2)));
            }
        }
    }
    Ok(repeat(bytes))
}

fn named(kind: u8, name: &[u8], bytes: &[Unescaped]) -> Result<Option<Element>, String> {
    let text = String::from_utf8_lossy(name).into_owned();
    // `[:*]` and `[=*2]` are repetitions of a colon or an equals sign.
    let repeats = repeat(bytes).is_some();
    if kind == b'=' {
        return match name {
            [] if !repeats => Err("missing equivalence class character '[==]'".to_string()),
            [byte] => Ok(Some(Element::Equivalence(*byte))),
            _ if repeats => Ok(None),
            _ => Err(format!("{text}: equivalence class operand must be a single character")),
        };
    }
    if CLASSES.contains(&text.as_str()) {
        return Ok(Some(Element::Class(text)));
    }
    match (repeats, name.is_empty()) {
        (true, _) => Ok(None),
        (false, true) => Err("missing character class name '[::]'".to_string()),
        (false, false) => Err(format!("invalid character class '{text}'")),
    }
}

fn repeat(bytes: &[Unescaped]) -> Option<(Element, usize)> {
    let (byte, _) = *bytes.get(1)?;
    if bytes.get(2) != Some(&(b'*', false)) {
        return None;
    }
    let end = bytes[3..].iter().position(|one| *one == (b']', false))? + 3;
    let digits: Option<String> = bytes[3..end]
        .iter()
        .map(|(digit, escaped)| (digit.is_ascii_digit() && !escaped).then_some(char::from(*digit)))
        .collect();
    let digits = digits?;
    let radix = if digits.starts_with('0') { 8 } else { 10 };
    let count = match digits.as_str() {
        "" => 0,
        digits => usize::from_str_radix(digits, radix).ok()?,
    };
    Some((Element::Repeat(byte, (count > 0).then_some(count)), end + 1))
}
