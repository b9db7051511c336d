//! A refusal: why a request was not carried out. It changes nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codes::MessageKey;

/// What was being done to a partition when it was refused; prints as the first of two lines where the console shows two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `changing`, `creating` or `removing`.
    pub doing: String,
    /// What it was done to: `partition`, `partition profile`, `managed system`.
    pub noun: String,
    /// Its name as the user wrote it.
    pub name: String,
}

/// A refusal with its message, arguments and detail lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Message in the registry.
    pub key: MessageKey,
    /// Arguments of its text.
    pub arguments: Vec<String>,
    /// First line, where the console shows one.
    pub subject: Option<Subject>,
    /// Lines after the text (a guest's own words).
    pub details: Vec<String>,
}

impl Refusal {
    /// A refusal without arguments.
    #[must_use]
    pub fn new(key: MessageKey) -> Self {
        Self { key, arguments: Vec::new(), subject: None, details: Vec::new() }
    }

    /// Adds an argument of the text.
    #[must_use]
    pub fn with(mut self, argument: impl fmt::Display) -> Self {
        self.arguments.push(argument.to_string());
        self
    }

    /// Adds the first line `An error occurred while <doing> the <noun> named <name>.`
    #[must_use]
    pub fn about(mut self, doing: &str, noun: &str, name: &str) -> Self {
        self.subject =
            Some(Subject { doing: doing.to_owned(), noun: noun.to_owned(), name: name.to_owned() });
        self
    }

    /// Adds detail lines.
    #[must_use]
    pub fn detailed(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = &self.subject {
            writeln!(
                formatter,
                "An error occurred while {} the {} named {}.",
                subject.doing, subject.noun, subject.name
            )?;
        }
        formatter.write_str(&self.key.message().render(&self.arguments))?;
        for line in &self.details {
            write!(formatter, "\n{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_prints_the_two_lines_of_the_seeds() {
        let refusal =
            Refusal::new(MessageKey::RemoteRestartNeedsShutdown).about("changing", "partition", "lpar6");
        assert_eq!(
            refusal.to_string(),
            "An error occurred while changing the partition named lpar6.\nHSCLA9F8 The remote restart capability of the partition can only be changed when the partition is shutdown."
        );
    }
}
