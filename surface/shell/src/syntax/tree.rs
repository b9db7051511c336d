//! What a script means: the tree that the parser makes and the evaluator walks.

use std::sync::{Arc, OnceLock};

/// Commands one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    pub(crate) statements: Vec<Statement>,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) first: Pipeline,
    pub(crate) rest: Vec<(Connector, Pipeline)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connector {
    And,
    Or,
}

#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) negated: bool,
    pub(crate) stages: Vec<Stage>,
}

/// One command of a pipeline; `error_too` is set for `|&`.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) command: Command,
    pub(crate) error_too: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Simple(Simple),
    Compound(Compound, Vec<Redirection>),
    Function { name: String, body: Arc<Command> },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Simple {
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) words: Vec<Word>,
    pub(crate) redirections: Vec<Redirection>,
}

#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) append: bool,
    pub(crate) value: Word,
}

#[derive(Debug, Clone)]
pub(crate) enum Compound {
    Group(List),
    Subshell(List),
    For { name: String, words: Option<Vec<Word>>, body: List },
    ForArithmetic { start: Word, condition: Word, step: Word, body: List },
    While { until: bool, condition: List, body: List },
    If { branches: Vec<(List, List)>, otherwise: Option<List> },
    Case { subject: Word, arms: Vec<CaseArm> },
    Conditional(Condition),
    Arithmetic(Word),
}

#[derive(Debug, Clone)]
pub(crate) struct CaseArm {
    pub(crate) patterns: Vec<Word>,
    pub(crate) body: List,
    pub(crate) end: CaseEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaseEnd {
    /// `;;`
    Leave,
    /// `;&`
    FallThrough,
    /// `;;&`
    TestNext,
}

/// The inside of `[[ ... ]]`.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Not(Box<Condition>),
    /// All hold. A list, not a pair: a long chain must not make a deep tree.
    All(Vec<Condition>),
    /// At least one holds.
    AnyOf(Vec<Condition>),
    Unary(String, Word),
    Binary(String, Word, Word),
}

#[derive(Debug, Clone)]
pub(crate) struct Redirection {
    /// The descriptor, 0 to 2 (others are refused when evaluated).
    pub(crate) descriptor: u32,
    pub(crate) target: Target,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Read(Word),
    Write {
        path: Word,
        append: bool,
    },
    /// `&>` and `&>>`: output and error.
    WriteBoth {
        path: Word,
        append: bool,
    },
    Duplicate(Word),
    /// A here-document; filled when its lines have been read.
    HereDocument(Arc<OnceLock<Word>>),
    HereString(Word),
}

/// A word before expansion.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Word {
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Text without quotes: split never (it was written so), globbed.
    Literal(String),
    /// Text in single quotes, behind a backslash, or plain text in double quotes.
    Quoted(String),
    /// Double quotes around parts.
    Double(Vec<Part>),
    Parameter(Parameter),
    Substitution(Arc<List>),
    Arithmetic(Word),
    /// A `~` at a word's beginning, with the name behind it.
    Tilde(String),
    /// A `${...}` that means nothing; an error only when evaluated.
    BadSubstitution(String),
}

// Function bodies and substitutions are never compared; words are, in the parser's own tests and for keywords.
impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(two)) | (Self::Quoted(one), Self::Quoted(two)) => one == two,
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) operation: Operation,
}

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Value,
    Length,
    Indirect,
    /// `-`, `=`, `?`, `+`; `colon` also tests for empty.
    Default {
        kind: char,
        colon: bool,
        word: Word,
    },
    /// `%`, `%%`, `#`, `##`.
    Remove {
        suffix: bool,
        longest: bool,
        pattern: Word,
    },
    /// `/`, `//`, `/#`, `/%`.
    Replace {
        mode: ReplaceMode,
        pattern: Word,
        replacement: Word,
    },
    Slice {
        offset: Word,
        length: Option<Word>,
    },
    /// `^`, `^^`, `,`, `,,`.
    Case {
        upper: bool,
        all: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplaceMode {
    First,
    All,
    Prefix,
    Suffix,
}
