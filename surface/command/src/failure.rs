//! How a command fails.

use std::io;

use thiserror::Error;
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

/// Why a command ended early.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It was refused; the text goes to standard output, as on the real console.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Nobody reads the output any more, or it cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The user cancelled the command. What it asked for may go on.
    #[error("cancelled")]
    Cancelled,
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// The refusal of parameters that are missing or have a wrong value.
pub(crate) fn invalid_parameters<Name: AsRef<str>>(names: &[Name]) -> Refusal {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    Refusal::new(MessageKey::ParameterInvalid).with(names.join(", "))
}

/// The refusal of something that a later level brings.
pub(crate) fn not_supported(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::NotSupportedAtThisLevel).with(what)
}
