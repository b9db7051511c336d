//! How a command of a Virtual I/O Server fails.

use std::fmt;
use std::io;

use varan_contract::vios::ViosCallError;
use varan_model::vios::{ViosMessage, ViosRefusal};

/// Exit status of a command that did not complete for a reason that is none of the registry's.
const NOT_COMPLETED: u8 = 4;

/// Why a command ended early.
#[derive(Debug)]
pub enum Ended {
    /// It was refused, by itself or by the server.
    Refused(ViosRefusal),
    /// The server did not answer.
    NoServer(ViosCallError),
    /// Nobody reads the output any more, or it cannot be written.
    Output(io::Error),
    /// What was wrong is said already.
    Said(u8),
}

impl Ended {
    /// Exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Refused(refusal) => refusal.exit_status(),
            Self::NoServer(_) => NOT_COMPLETED,
            Self::Output(_) => 1,
            Self::Said(status) => *status,
        }
    }

    /// Whether the command line is wrong, so that the usage helps.
    pub(crate) fn is_usage(&self) -> bool {
        let Self::Refused(refusal) = self else { return false };
        matches!(
            refusal.message,
            ViosMessage::OptionUnknown
                | ViosMessage::OptionValueMissing
                | ViosMessage::OptionMissing
                | ViosMessage::OptionRepeated
                | ViosMessage::OptionsExclusive
                | ViosMessage::ArgumentUnexpected
        )
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(formatter),
            Self::NoServer(error) => error.fmt(formatter),
            Self::Output(error) => error.fmt(formatter),
            Self::Said(_) => Ok(()),
        }
    }
}

impl From<ViosRefusal> for Ended {
    fn from(refusal: ViosRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ViosCallError> for Ended {
    fn from(error: ViosCallError) -> Self {
        match error {
            ViosCallError::Refused(refusal) => Self::Refused(refusal),
            error => Self::NoServer(error),
        }
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A refusal that is about one thing.
pub(crate) fn refused(message: ViosMessage, about: impl fmt::Display) -> ViosRefusal {
    ViosRefusal::new(message).with(about)
}
