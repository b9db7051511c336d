//! The shell's grammar: text in, commands out.

pub(crate) mod braces;
mod compound;
mod conditional;
mod lexer;
mod parser;
pub(crate) mod tree;
mod word;

pub(crate) use parser::{KEYWORDS, Parser, as_assignment};

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("syntax error near unexpected token `{token}'")]
    Unexpected { token: String, line: usize },
    #[error("unexpected EOF while looking for matching `{quote}'")]
    Unterminated { quote: String, line: usize },
    #[error("syntax error: unexpected end of file")]
    EndOfInput { line: usize },
    #[error("{what}: restricted")]
    Refused { what: &'static str, line: usize },
    #[error("limit reached: nesting deeper than {limit} levels")]
    TooDeep { limit: usize, line: usize },
    #[error("limit reached: brace expansion to more than {limit} words")]
    TooManyWords { limit: usize, line: usize },
}

impl SyntaxError {
    /// Whether more text could complete the script.
    pub(crate) fn is_incomplete(&self) -> bool {
        matches!(self, Self::Unterminated { .. } | Self::EndOfInput { .. })
    }

    /// The line where it was noticed, from 1.
    pub(crate) fn line(&self) -> usize {
        match self {
            Self::Unexpected { line, .. }
            | Self::Unterminated { line, .. }
            | Self::EndOfInput { line }
            | Self::Refused { line, .. }
            | Self::TooDeep { line, .. }
            | Self::TooManyWords { line, .. } => *line,
        }
    }
}
