//! What can be wrong with a site file, and where.

use std::fmt;

use thiserror::Error;

/// One error in a site file. It prints as `file:line: key: problem`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct SiteError {
    /// The file's name as the caller gave it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The dotted key, with an element of an array of tables named by its own name
    /// (`managed_system.p814-1.installed_memory`); empty where the file as a whole is wrong.
    pub key: String,
    /// What is wrong.
    pub problem: SiteProblem,
}

impl fmt::Display for SiteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        self.problem.fmt(formatter)
    }
}

/// What is wrong with one key of a site file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SiteProblem {
    /// The text is not TOML.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    /// The file, or what it expands to, is larger than a site may be.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// What is counted, in the plural.
        what: &'static str,
        /// The largest accepted count.
        limit: usize,
    },
    /// A key that no section of this kind has.
    #[error("unknown key")]
    UnknownKey,
    /// A key that must be given is absent.
    #[error("this key is missing")]
    MissingKey,
    /// A value of another TOML type than the key takes.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// The type that the key takes, with its article.
        expected: &'static str,
        /// The type that was given, with its article.
        found: &'static str,
    },
    /// A number outside its range.
    #[error("{value} is not between {minimum} and {maximum}")]
    OutOfRange {
        /// The number as given.
        value: String,
        /// The smallest accepted number.
        minimum: i64,
        /// The largest accepted number.
        maximum: i64,
    },
    /// A text that is not of the form the key takes.
    #[error("`{text}` is not a valid {kind}")]
    Malformed {
        /// What was expected, in words.
        kind: &'static str,
        /// What was given.
        text: String,
    },
    /// A word that is not in the list of the key.
    #[error("`{text}` is none of {choices}")]
    NotAChoice {
        /// What was given.
        text: String,
        /// The accepted words, separated by commas.
        choices: String,
    },
    /// A name, number or address that something else has already.
    #[error("the {what} `{value}` is already used at line {first_line}")]
    Duplicate {
        /// The name space.
        what: &'static str,
        /// The value that two places give.
        value: String,
        /// The line that gives it first.
        first_line: usize,
    },
    /// A reference to something that the file does not describe.
    #[error("there is no {what} `{value}`")]
    UnknownReference {
        /// The name space.
        what: &'static str,
        /// The value that was referred to.
        value: String,
    },
    /// Memory that is not whole memory regions.
    #[error("{value} MB is not a multiple of the memory region size, {region} MB")]
    NotWholeRegions {
        /// The size in MB.
        value: u64,
        /// The memory region size in MB.
        region: u64,
    },
    /// An attribute record that cannot be read; says which attribute where one is known.
    #[error("{0}")]
    Record(String),
    /// Two keys, or a key and a rule of the platform, contradict each other.
    #[error("{0}")]
    Conflict(String),
}
