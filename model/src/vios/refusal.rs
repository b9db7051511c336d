//! Why a Virtual I/O Server did not carry out a request. A refused request changed nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::codes::ViosMessage;

/// A refusal: message, arguments, further lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViosRefusal {
    /// Message in the registry.
    pub message: ViosMessage,
    /// Arguments of its text.
    pub arguments: Vec<String>,
    /// Lines after the text.
    pub details: Vec<String>,
}

impl ViosRefusal {
    /// A refusal without arguments.
    #[must_use]
    pub fn new(message: ViosMessage) -> Self {
        Self { message, arguments: Vec::new(), details: Vec::new() }
    }

    /// Adds an argument of the text.
    #[must_use]
    pub fn with(mut self, argument: impl fmt::Display) -> Self {
        self.arguments.push(argument.to_string());
        self
    }

    /// Adds a line after the text.
    #[must_use]
    pub fn and_line(mut self, line: impl fmt::Display) -> Self {
        self.details.push(line.to_string());
        self
    }

    /// Exit status of the command.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        self.message.exit_status()
    }
}

impl fmt::Display for ViosRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message.render(&self.arguments))?;
        for line in &self.details {
            write!(formatter, "\n{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ViosRefusal {}
