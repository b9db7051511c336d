//! Command-line options as `getopt_long` reads them: combined letters, long names that may be abbreviated,
//! options after operands, `--`.

/// Whether an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// No value.
    Nothing,
    /// A value, in the same word or the next one.
    Value,
    /// A value only in the same word (`--color=never`).
    Optional,
}

/// One option of a filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// The key under which the parsed option is found; also the letter when `has_letter`.
    pub(crate) key: char,
    /// Whether `-key` is accepted.
    pub(crate) has_letter: bool,
    /// The long name without `--`, or empty.
    pub(crate) long: &'static str,
    /// Whether it takes a value.
    pub(crate) takes: Takes,
}

/// An option with a letter, and a long name unless it is empty.
pub(crate) const fn flag(key: char, long: &'static str) -> Flag {
    Flag { key, has_letter: true, long, takes: Takes::Nothing }
}

/// As [`flag`], with a value.
pub(crate) const fn value(key: char, long: &'static str) -> Flag {
    Flag { key, has_letter: true, long, takes: Takes::Value }
}

/// An option that has only a long name; `key` is what the filter looks for.
pub(crate) const fn long(key: char, name: &'static str, takes: Takes) -> Flag {
    Flag { key, has_letter: false, long: name, takes }
}

/// What a filter accepts, and how it refuses the rest.
#[derive(Debug)]
pub(crate) struct Grammar {
    /// The name that messages begin with.
    pub(crate) program: &'static str,
    /// What follows `Usage: ` in the answer to `--help`.
    pub(crate) synopsis: &'static str,
    /// The options.
    pub(crate) flags: &'static [Flag],
    /// Printed after a usage error, with its line ends.
    pub(crate) hint: &'static str,
    /// The exit status of a usage error and of other trouble.
    pub(crate) trouble: u8,
}

/// The words of a command line, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Options in their order.
    pub(crate) options: Vec<(char, Option<String>)>,
    /// Everything else in its order.
    pub(crate) operands: Vec<String>,
    /// `--help` was among them.
    pub(crate) help: bool,
}

impl Parsed {
    /// Whether the option was given.
    pub(crate) fn has(&self, key: char) -> bool {
        self.options.iter().any(|(given, _)| *given == key)
    }

    /// The value of the last such option.
    pub(crate) fn last(&self, key: char) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| *given == key).and_then(|(_, value)| value.as_deref())
    }

    /// The operands, or `-` for standard input when there are none.
    pub(crate) fn inputs(&self) -> Vec<String> {
        if self.operands.is_empty() { vec!["-".to_string()] } else { self.operands.clone() }
    }
}

/// Sorts the words of a command line.
///
/// # Errors
/// The message without the program's name.
pub(crate) fn parse(grammar: &Grammar, arguments: &[String]) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            parsed.operands.extend(words.by_ref().cloned());
        } else if let Some(text) = word.strip_prefix("--") {
            parse_long(grammar, text, &mut words, &mut parsed)?;
        } else if word.len() > 1 && word.starts_with('-') {
            parse_letters(grammar, &word[1..], &mut words, &mut parsed)?;
        } else {
            parsed.operands.push(word.clone());
        }
    }
    Ok(parsed)
}

fn parse_letters<'a>(
    grammar: &Grammar,
    letters: &str,
    words: &mut impl Iterator<Item = &'a String>,
    parsed: &mut Parsed,
) -> Result<(), String> {
    for (index, letter) in letters.char_indices() {
        let known = grammar.flags.iter().find(|flag| flag.has_letter && flag.key == letter);
        let Some(known) = known else { return Err(format!("invalid option -- '{letter}'")) };
        if known.takes != Takes::Value {
            parsed.options.push((known.key, None));
            continue;
        }
        let rest = &letters[index + letter.len_utf8()..];
        let given = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_string()) };
        let Some(given) = given else { return Err(format!("option requires an argument -- '{letter}'")) };
        parsed.options.push((known.key, Some(given)));
        break;
    }
    Ok(())
}

fn parse_long<'a>(
    grammar: &Grammar,
    text: &str,
    words: &mut impl Iterator<Item = &'a String>,
    parsed: &mut Parsed,
) -> Result<(), String> {
    const HELP: Flag = long('\0', "help", Takes::Nothing);
    let (name, given) = match text.split_once('=') {
        Some((name, given)) => (name, Some(given.to_string())),
        None => (text, None),
    };
    let known: Vec<&Flag> =
        grammar.flags.iter().chain([&HELP]).filter(|flag| !flag.long.is_empty()).collect();
    let mut fitting: Vec<&Flag> = known.iter().copied().filter(|flag| flag.long.starts_with(name)).collect();
    if let Some(exact) = fitting.iter().copied().find(|flag| flag.long == name) {
        fitting = vec![exact];
    }
    fitting.dedup_by_key(|flag| flag.key);
    let found = match fitting.as_slice() {
        [] => return Err(format!("unrecognized option '--{text}'")),
        [found] => *found,
        several => {
            let names: Vec<String> = several.iter().map(|flag| format!("'--{}'", flag.long)).collect();
            return Err(format!("option '--{text}' is ambiguous; possibilities: {}", names.join(" ")));
        }
    };
    let given = match found.takes {
        Takes::Nothing if given.is_some() => {
            return Err(format!("option '--{}' doesn't allow an argument", found.long));
        }
        Takes::Value if given.is_none() => match words.next() {
            Some(word) => Some(word.clone()),
            None => return Err(format!("option '--{}' requires an argument", found.long)),
        },
        _ => given,
    };
    if found.key == HELP.key {
        parsed.help = true;
    } else {
        parsed.options.push((found.key, given));
    }
    Ok(())
}

/// The answer to `--help`: the synopsis and the options.
pub(crate) fn help_text(grammar: &Grammar) -> String {
    let mut text = format!("Usage: {}\n", grammar.synopsis);
    for flag in grammar.flags {
        let short = if flag.has_letter { format!("-{}", flag.key) } else { "  ".to_string() };
        let separator = if flag.has_letter && !flag.long.is_empty() { ", " } else { "  " };
        let long = if flag.long.is_empty() { String::new() } else { format!("--{}", flag.long) };
        let given = match (flag.takes, flag.long.is_empty()) {
            (Takes::Nothing, _) => "",
            (Takes::Value, true) => "VALUE",
            (Takes::Value, false) => "=VALUE",
            (Takes::Optional, _) => "[=VALUE]",
        };
        text.push_str(format!("  {short}{separator}{long}{given}").trim_end());
        text.push('\n');
    }
    text
}
