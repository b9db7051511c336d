//! Options: what a command takes, and what a user gave.

use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::refusal::Refusal;
use varan_model::units::ProcessingUnits;

use crate::failure::invalid_parameters;

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// Nothing.
    Flag,
    /// Any text.
    Text(&'static str),
    /// A text that may be left out (`-F`): the next argument, unless it is an option.
    OptionalText(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number from the first to the second, both included.
    Number(&'static str, u64, u64),
    /// Processing units above zero (`0.5`).
    Units(&'static str),
    /// The number of a partition.
    PartitionId(&'static str),
    /// Numbers of partitions with commas between.
    PartitionIds(&'static str),
    /// Names with commas between, none empty.
    Names(&'static str),
    /// Any text that stands by itself: the argument that is no option. The name of its definition stands for it.
    Operand,
}

impl OptionValue {
    /// The word that stands for the value in a synopsis; empty for a flag.
    #[must_use]
    pub fn placeholder(self) -> String {
        match self {
            Self::Flag | Self::Operand => String::new(),
            Self::Text(word)
            | Self::Number(word, ..)
            | Self::Units(word)
            | Self::PartitionId(word)
            | Self::PartitionIds(word)
            | Self::Names(word) => format!(" {word}"),
            Self::OptionalText(word) => format!(" [{word}]"),
            Self::Word(words) => format!(" {{{}}}", words.join(" | ")),
        }
    }

    fn allows(self, value: &str) -> bool {
        match self {
            Self::Flag => false,
            Self::Text(_) | Self::Operand => !value.is_empty(),
            Self::OptionalText(_) => true,
            Self::Word(words) => words.contains(&value),
            Self::Number(_, least, most) => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                digits && value.parse().is_ok_and(|number: u64| (least..=most).contains(&number))
            }
            Self::Units(_) => value.parse().is_ok_and(|units: ProcessingUnits| units.0 > 0),
            Self::PartitionId(_) => value.parse::<PartitionId>().is_ok(),
            Self::PartitionIds(_) => value.split(',').all(|one| one.trim().parse::<PartitionId>().is_ok()),
            Self::Names(_) => value.split(',').all(|one| !one.trim().is_empty()),
        }
    }
}

/// An option of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionDefinition {
    /// Spelling, `-r` or `--filter`.
    pub name: &'static str,
    /// What follows it.
    pub value: OptionValue,
    /// One line of help.
    pub help: &'static str,
    /// False for an option that a later level brings: it is known, and refused as such.
    pub supported: bool,
}

impl OptionDefinition {
    /// An option.
    #[must_use]
    pub const fn new(name: &'static str, value: OptionValue, help: &'static str) -> Self {
        Self { name, value, help, supported: true }
    }

    /// An option that a later level brings.
    #[must_use]
    pub const fn later(name: &'static str, value: OptionValue, help: &'static str) -> Self {
        Self { name, value, help, supported: false }
    }
}

/// `--help`, which every command has.
pub const HELP: OptionDefinition =
    OptionDefinition::new("--help", OptionValue::Flag, "Display this help text and exit.");

/// The options that a user gave, each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedOptions {
    given: Vec<(&'static OptionDefinition, Option<String>)>,
}

impl ParsedOptions {
    /// Reads arguments: an option's value is the next argument.
    ///
    /// # Errors
    /// An unknown or repeated option, or all options whose value is missing or wrong.
    pub fn parse(definitions: &'static [OptionDefinition], arguments: &[String]) -> Result<Self, Refusal> {
        let is_operand = |definition: &&OptionDefinition| definition.value == OptionValue::Operand;
        let find = |name: &str| {
            definitions.iter().find(|definition| definition.name == name && !is_operand(definition))
        };
        let mut given: Vec<(&'static OptionDefinition, Option<String>)> = Vec::new();
        let mut invalid = Vec::new();
        let mut rest = arguments.iter().peekable();
        while let Some(argument) = rest.next() {
            let operand = || definitions.iter().find(is_operand).filter(|_| !argument.starts_with('-'));
            let Some(definition) = find(argument).or_else(operand) else {
                return Err(Refusal::new(MessageKey::ParameterUnknown).with(argument));
            };
            if given.iter().any(|(present, _)| present.name == definition.name) {
                return Err(Refusal::new(MessageKey::ParameterRepeated).with(definition.name));
            }
            let value = match definition.value {
                OptionValue::Flag => None,
                OptionValue::Operand => Some(argument.clone()),
                OptionValue::OptionalText(_) => rest.next_if(|next| !next.starts_with('-')).cloned(),
                // Something that is itself an option is not a value: the value was forgotten.
                _ => rest.next_if(|next| find(next).is_none()).cloned(),
            };
            let wrong = match (&value, definition.value) {
                (_, OptionValue::Flag) | (None, OptionValue::OptionalText(_)) => false,
                (None, _) => true,
                (Some(value), kind) => !kind.allows(value),
            };
            if wrong {
                invalid.push(definition.name);
            }
            given.push((definition, value));
        }
        if invalid.is_empty() { Ok(Self { given }) } else { Err(invalid_parameters(&invalid)) }
    }

    /// Whether the option was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(definition, _)| definition.name == name)
    }

    /// The value of an option, if it was given with one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.given.iter().find(|(definition, _)| definition.name == name);
        found.and_then(|(_, value)| value.as_deref())
    }

    /// The value of an option that its form requires.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| invalid_parameters(&[name]))
    }

    /// The number that an option gives.
    pub(crate) fn number<Number: std::str::FromStr>(&self, name: &str) -> Result<Option<Number>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| invalid_parameters(&[name]));
        self.get(name).map(read).transpose()
    }

    /// The options given, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static OptionDefinition> + '_ {
        self.given.iter().map(|(definition, _)| *definition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static OPTIONS: &[OptionDefinition] = &[
        OptionDefinition::new("-r", OptionValue::Word(&["sys", "lpar"]), ""),
        OptionDefinition::new("-m", OptionValue::Text("managed-system"), ""),
        OptionDefinition::new("-F", OptionValue::OptionalText("names"), ""),
        OptionDefinition::new("--header", OptionValue::Flag, ""),
        OptionDefinition::new("-w", OptionValue::Number("minutes", 0, 999), ""),
        OptionDefinition::new("--procunits", OptionValue::Units("units"), ""),
        OptionDefinition::new("--id", OptionValue::PartitionId("id"), ""),
        OptionDefinition::new("-n", OptionValue::Names("names"), ""),
        OptionDefinition::new("-a", OptionValue::Text("attributes"), ""),
    ];

    fn parse(line: &[&str]) -> Result<ParsedOptions, String> {
        let arguments: Vec<String> = line.iter().map(|&argument| argument.to_owned()).collect();
        ParsedOptions::parse(OPTIONS, &arguments).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn values_are_the_next_argument() {
        let options = parse(&["-r", "lpar", "-m", "p814-1", "-F", "--header"]).expect("options");
        assert_eq!(options.get("-r"), Some("lpar"));
        assert_eq!(options.get("-m"), Some("p814-1"));
        assert!(options.has("-F") && options.get("-F").is_none() && options.has("--header"));
        let options = parse(&["-F", "name,state"]).expect("options");
        assert_eq!(options.get("-F"), Some("name,state"));
        let options = parse(&["-a", "-x=1"]).expect("a value may begin with a dash");
        assert_eq!(options.get("-a"), Some("-x=1"));
        assert_eq!(parse(&["-F"]).expect("options").get("-F"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let invalid = |names: &str| {
            format!(
                "The command entered is either missing a required parameter or a parameter value is invalid. The parameters that are missing or have an invalid value are {names}. Please check your entry and retry the command."
            )
        };
        for (line, names) in [
            (&["-r"][..], "-r"),
            (&["-r", "cage"], "-r"),
            (&["-m", ""], "-m"),
            (&["-m", "-r", "lpar"], "-m"),
            (&["-r", "x", "-w", "-1"], "-r, -w"),
            (&["-w", "1000"], "-w"),
            (&["-w", "1x"], "-w"),
            (&["--procunits", "0.0"], "--procunits"),
            (&["--procunits", "1.005"], "--procunits"),
            (&["--id", "0"], "--id"),
            (&["-n", "a,,b"], "-n"),
        ] {
            assert_eq!(parse(line), Err(invalid(names)), "{line:?}");
        }
        let unknown = parse(&["-z"]).expect_err("unknown");
        assert!(unknown.contains("The invalid parameter is -z."), "{unknown}");
        let unknown = parse(&["lpar"]).expect_err("unknown");
        assert!(unknown.contains("The invalid parameter is lpar."), "{unknown}");
        let repeated = parse(&["-m", "a", "-m", "a"]).expect_err("repeated");
        assert!(repeated.contains("The repeated parameter is -m."), "{repeated}");
    }
}
