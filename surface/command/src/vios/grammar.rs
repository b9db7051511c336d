//! The grammar of ioscli: options of one dash and many letters, values as separate words, several words behind some
//! options up to the next one, in any order.

use varan_model::vios::{ViosMessage, ViosRefusal};

use super::error::refused;

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// One word.
    One,
    /// One word that may be left out.
    Maybe,
    /// One or more words, up to the next option.
    Many,
}

/// An option without its dash, and what follows it.
pub type OptionRow = (&'static str, Takes);

/// One way to use a command.
#[derive(Debug)]
pub struct Form {
    /// Options that are given when this form is meant, all of them.
    pub given: &'static [&'static str],
    /// Options that it needs besides, one of each group.
    pub needs: &'static [&'static [&'static str]],
    /// Options that it takes besides.
    pub takes: &'static [&'static str],
    /// Fewest and most words that belong to no option.
    pub operands: (usize, usize),
}

/// The form of a command whose one way to use it has these options and no operands.
pub const fn form(
    given: &'static [&'static str],
    needs: &'static [&'static [&'static str]],
    takes: &'static [&'static str],
) -> Form {
    Form { given, needs, takes, operands: (0, 0) }
}

/// As [`form`], with operands.
pub const fn form_with(
    given: &'static [&'static str],
    needs: &'static [&'static [&'static str]],
    takes: &'static [&'static str],
    operands: (usize, usize),
) -> Form {
    Form { given, needs, takes, operands }
}

/// What a user gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    given: Vec<(&'static str, Vec<String>)>,
    /// Words that belong to no option, in their order.
    pub operands: Vec<String>,
}

impl Parsed {
    /// Whether the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The option's one word.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.words(name).first().map(String::as_str)
    }

    /// The option's words; empty when it was not given.
    pub fn words(&self, name: &str) -> &[String] {
        self.given.iter().find(|(given, _)| *given == name).map_or(&[], |(_, words)| words)
    }

    /// The words of an option that lists things, with commas taken as blanks.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let words = self.words(name).iter();
        words.flat_map(|word| word.split([',', ' '])).filter(|word| !word.is_empty()).collect()
    }

    /// The same with the last word of an option as an operand: `lsvg -field "FREE PPs" rootvg` ends with a group.
    pub fn with_last_word_as_operand(&self, name: &str) -> Self {
        let mut parsed = self.clone();
        if let Some((_, words)) = parsed.given.iter_mut().find(|(given, _)| *given == name)
            && words.len() > 1
        {
            parsed.operands.extend(words.pop());
        }
        parsed
    }

    /// The `name=value` words of an option.
    pub fn pairs(&self, name: &str) -> Result<Vec<(&str, &str)>, ViosRefusal> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for word in self.words(name) {
            let pair = word.split_once('=').filter(|(attribute, _)| !attribute.is_empty());
            let pair = pair.ok_or_else(|| refused(ViosMessage::ArgumentInvalid, word))?;
            if pairs.iter().any(|(attribute, _)| *attribute == pair.0) {
                return Err(refused(ViosMessage::OptionRepeated, pair.0));
            }
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

/// Reads the words of a command line and finds the form that they are of.
///
/// # Errors
/// The first fault: an unknown or repeated option, a missing word, a form that is not there, missing options, options or
/// words too many.
pub fn parse(
    options: &'static [OptionRow],
    forms: &[Form],
    arguments: &[String],
) -> Result<Parsed, ViosRefusal> {
    let mut parsed = Parsed::default();
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
            parsed.operands.push(word.clone());
            continue;
        };
        let found = options.iter().find(|(known, _)| *known == name);
        let Some((name, takes)) = found else { return Err(refused(ViosMessage::OptionUnknown, word)) };
        if parsed.has(name) {
            return Err(refused(ViosMessage::OptionRepeated, word));
        }
        let is_option =
            |word: &&String| word.len() > 1 && word.starts_with('-') && known_option(options, word);
        let mut values = Vec::new();
        match takes {
            Takes::Nothing => {}
            Takes::One | Takes::Maybe => values.extend(words.next_if(|word| !is_option(word)).cloned()),
            Takes::Many => {
                while let Some(value) = words.next_if(|word| !is_option(word)) {
                    values.push(value.clone());
                }
            }
        }
        if values.is_empty() && matches!(takes, Takes::One | Takes::Many) {
            return Err(refused(ViosMessage::OptionValueMissing, word));
        }
        parsed.given.push((name, values));
    }
    check(forms, &parsed)?;
    Ok(parsed)
}

fn known_option(options: &[OptionRow], word: &str) -> bool {
    // A word with a dash that is no option is a value, such as a delimiter, unless it looks like a mistyped option.
    options.iter().any(|(known, _)| word[1..] == **known)
        || word[1..].len() > 1 && word[1..].bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

fn check(forms: &[Form], parsed: &Parsed) -> Result<(), ViosRefusal> {
    let matching = forms.iter().filter(|form| form.given.iter().all(|name| parsed.has(name)));
    let Some(form) = matching.max_by_key(|form| form.given.len()) else {
        let mut starts: Vec<String> = Vec::new();
        for start in forms.iter().filter_map(|form| form.given.first()) {
            let shown = format!("-{start}");
            if !starts.contains(&shown) {
                starts.push(shown);
            }
        }
        return Err(refused(ViosMessage::OptionMissing, starts.join(" ")));
    };
    for group in form.needs {
        let count = group.iter().filter(|name| parsed.has(name)).count();
        let shown: Vec<String> = group.iter().map(|name| format!("-{name}")).collect();
        if count == 0 {
            return Err(refused(ViosMessage::OptionMissing, shown.join(" ")));
        }
        if count > 1 {
            return Err(refused(ViosMessage::OptionsExclusive, shown.join(" ")));
        }
    }
    let takes = |name: &str| {
        form.given.contains(&name)
            || form.takes.contains(&name)
            || form.needs.iter().any(|group| group.contains(&name))
    };
    if let Some((name, _)) = parsed.given.iter().find(|(name, _)| !takes(name)) {
        return Err(refused(ViosMessage::OptionsExclusive, format!("-{name}")));
    }
    let (least, most) = form.operands;
    if parsed.operands.len() < least {
        return Err(refused(ViosMessage::OptionMissing, "argument"));
    }
    match parsed.operands.get(most) {
        Some(extra) => Err(refused(ViosMessage::ArgumentUnexpected, extra)),
        None => Ok(()),
    }
}

/// Reads any bytes as a command line of words; for the fuzz target. It must not panic.
pub fn fuzz_one(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut words = text.split('\n').map(str::to_owned);
    let Some(name) = words.next() else { return };
    let arguments: Vec<String> = words.collect();
    for command in super::commands().filter(|command| name.is_empty() || command.name == name) {
        let parsed = parse(command.options, command.forms, &arguments);
        if let Ok(parsed) = parsed {
            // Each given option is one that the command has, and what was given is all there.
            let words: usize = parsed.given.iter().map(|(_, words)| 1 + words.len()).sum();
            assert_eq!(words + parsed.operands.len(), arguments.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[OptionRow] = &[
        ("all", Takes::Nothing),
        ("vadapter", Takes::One),
        ("field", Takes::Many),
        ("fmt", Takes::One),
        ("attr", Takes::Maybe),
        ("net", Takes::Nothing),
    ];
    const FORMS: &[Form] = &[
        form(&[], &[&["all", "vadapter"]], &["field", "fmt"]),
        form(&["net"], &[&["all", "vadapter"]], &["fmt"]),
        form_with(&["attr"], &[], &[], (0, 1)),
    ];

    fn read(line: &str) -> Result<Parsed, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(OPTIONS, FORMS, &words).map_err(|error| error.to_string())
    }

    #[test]
    fn options_come_in_any_order_and_take_their_words() {
        let parsed = read("-fmt : -field name physloc -all").expect("parsed");
        assert_eq!(parsed.get("fmt"), Some(":"));
        assert_eq!(parsed.words("field"), ["name", "physloc"]);
        assert!(parsed.has("all") && parsed.operands.is_empty());
        assert_eq!(read("-attr").expect("parsed").get("attr"), None);
        assert_eq!(read("-attr x").expect("parsed").get("attr"), Some("x"));
        assert_eq!(read("-attr x y").expect("parsed").operands, ["y"]);
        assert_eq!(read("-all -fmt -").expect("a value may be a dash").get("fmt"), Some("-"));
    }

    #[test]
    fn faults_are_named() {
        for (line, fault) in [
            ("-bogus", "Option flag is not valid: -bogus"),
            ("-all -bogus", "Option flag is not valid: -bogus"),
            ("-vadapter", "Option flag -vadapter requires an argument."),
            ("-vadapter -all", "Option flag -vadapter requires an argument."),
            ("-all -all", "Option flag -all is repeated."),
            ("", "The command requires option -all -vadapter."),
            ("-net", "The command requires option -all -vadapter."),
            ("-all -vadapter vhost0", "Invalid combination of option flags: -all -vadapter."),
            ("-net -all -field x", "Invalid combination of option flags: -field."),
            ("-all extra", "Too many arguments: extra"),
            ("-attr x y z", "Too many arguments: z"),
        ] {
            assert_eq!(read(line).expect_err(line), fault, "{line}");
        }
    }
}
