//! The text filters that scripts put into pipelines: `grep`, `sed`, `sort` and their like.
//!
//! Each filter is a function over a [`FilterContext`]. It reads lines or blocks, never a whole input (only
//! `sort`, `tail` and `head -n -N` keep some of it, up to [`Limits::filter_bytes`]), ends when the
//! cancellation is set (status 130) or nobody reads its output any more (status 141), and takes bytes that
//! are not UTF-8. Options, messages and statuses are those of the GNU tools in the C locale; character
//! classes and `.` follow UTF-8, and sorting is by bytes.

mod cat;
mod copy;
mod cut;
pub(crate) mod date;
mod dd;
mod df;
pub(crate) mod expression;
mod find;
mod grep;
mod head;
mod list;
mod manage;
mod nl;
mod numbers;
mod options;
mod page;
mod paste;
mod process;
mod rev;
mod sed;
mod sort;
mod tail;
mod tr;
mod uniq;
mod wc;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::cancellation::Cancellation;
use crate::files::{FileTree, TreePath};
use crate::host::{CommandHost, Feature};
use crate::limits::Limits;
use crate::streams::{Input, Output};
use crate::terminal::Terminal;

/// What one filter gets from the shell.
#[derive(Clone, Copy)]
pub struct FilterContext<'a> {
    /// The words after the filter's name.
    pub arguments: &'a [String],
    /// Standard input. What the filter does not need stays there for the next command.
    pub stdin: &'a Input,
    /// Standard output.
    pub stdout: &'a Output,
    /// Standard error.
    pub stderr: &'a Output,
    /// The files that operands name.
    pub files: &'a dyn FileTree,
    /// The directory that relative operands start from.
    pub directory: &'a TreePath,
    /// Gives `date` and `ls -l` the time.
    pub host: &'a dyn CommandHost,
    /// The filter ends soon after this is set.
    pub cancellation: &'a Arc<Cancellation>,
    /// What the filter may hold in memory: [`Limits::filter_bytes`].
    pub limits: Limits,
    /// Whether a person sees standard output: `more` pages and `ls` makes columns.
    pub terminal: bool,
    /// The user's terminal, from which `more` reads keys even when standard input is a pipe. Without it
    /// `more` does not page.
    pub keyboard: Option<&'a Arc<Terminal>>,
}

/// A filter. Returns its exit status.
pub type Filter = fn(&mut FilterContext<'_>) -> u8;

/// All filters by name, in order of names.
const FILTERS: &[(&str, Filter)] = &[
    ("cat", cat::run),
    ("cut", cut::run),
    ("date", date::run),
    ("egrep", grep::run_extended),
    ("fgrep", grep::run_fixed),
    ("grep", grep::run),
    ("head", head::run),
    ("less", page::run_less),
    ("ls", list::run),
    ("more", page::run_more),
    ("nl", nl::run),
    ("paste", paste::run),
    ("rev", rev::run),
    ("sed", sed::run),
    ("sort", sort::run),
    ("tail", tail::run),
    ("tr", tr::run),
    ("uniq", uniq::run),
    ("wc", wc::run),
];

/// What a shell has besides whose users work with files, in order of names.
const FILE_COMMANDS: &[(&str, Filter)] = &[
    ("cp", copy::run),
    ("dd", dd::run),
    ("df", df::run),
    ("find", find::run),
    ("mkdir", manage::make_directories),
    ("mv", copy::run_move),
    ("pg", page::run_more),
    ("rm", manage::remove),
    ("rmdir", manage::remove_directories),
    ("touch", manage::touch),
];

const NAMES: [&str; FILTERS.len()] = {
    let mut names = [""; FILTERS.len()];
    let mut index = 0;
    while index < FILTERS.len() {
        names[index] = FILTERS[index].0;
        index += 1;
    }
    names
};

/// The filter of that name.
pub fn lookup(name: &str) -> Option<Filter> {
    FILTERS.iter().find(|(known, _)| *known == name).map(|(_, filter)| *filter)
}

/// The filter of that name, when the host allows it.
pub(crate) fn allowed(name: &str, host: &dyn CommandHost) -> Option<Filter> {
    if let Some(found) = FILE_COMMANDS.iter().find(|(known, _)| *known == name) {
        return host.allows(Feature::FileCommands).then_some(found.1);
    }
    lookup(name)
}

/// The names of all filters, in order.
pub fn names() -> &'static [&'static str] {
    &NAMES
}
