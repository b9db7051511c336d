//! From commands to effects.

pub(crate) mod arithmetic;
mod command;
mod compound;
mod condition;
mod expand;
mod glob;
mod pipeline;
mod redirect;
mod transform;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::cancellation::Cancellation;
use crate::dialect::Dialect;
use crate::files::{FileTree, TreePath};
use crate::host::CommandHost;
use crate::limits::{LimitReached, Meter};
use crate::streams::{Input, Output};
use crate::syntax::tree::{Command, List};
use crate::terminal::Terminal;
use crate::variables::{VariableError, Variables};

pub(crate) use condition::compare;
pub(crate) use glob::matches;

/// The status of a command that nobody could find.
pub(crate) const NOT_FOUND: u8 = 127;
/// The status of a stage whose reader went away: 128 + SIGPIPE.
pub(crate) const BROKEN_PIPE: u8 = 141;
/// The status after Ctrl-C: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why evaluation does not go on with the next command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// `exit`: ends the nearest shell process.
    Exit(u8),
    /// An error that ends the command line: a person gets a new prompt, a script ends.
    Abort(u8),
    Return(u8),
    Break(usize),
    Continue(usize),
    /// Cancelled, or a limit was reached: ends the whole run.
    Stopped,
}

pub(crate) type Eval<T> = Result<T, Halt>;

/// What all parts of one run share.
pub(crate) struct Run {
    pub(crate) host: Arc<dyn CommandHost>,
    pub(crate) files: Arc<dyn FileTree>,
    pub(crate) terminal: Option<Arc<Terminal>>,
    pub(crate) meter: Arc<Meter>,
    /// How messages begin: `-bash` or `/bin/bash`.
    pub(crate) shell_name: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) interactive: bool,
}

impl Run {
    pub(crate) fn cancellation(&self) -> &Arc<Cancellation> {
        &self.meter.cancellation
    }
}

/// What `set` switches.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Switches {
    pub(crate) exit_on_error: bool,
    pub(crate) unset_is_error: bool,
    pub(crate) no_glob: bool,
    pub(crate) trace: bool,
    pub(crate) pipe_fail: bool,
}

/// What one shell process remembers. A subshell gets a clone, which is cheap.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) variables: Variables,
    pub(crate) functions: Arc<BTreeMap<String, Arc<Command>>>,
    pub(crate) positional: Arc<Vec<String>>,
    pub(crate) directory: TreePath,
    pub(crate) switches: Switches,
    pub(crate) status: u8,
}

/// What a variable was: its value and whether it was exported; `None` when it was not set.
pub(crate) type Remembered = Option<(String, bool)>;

/// One shell process: the main one, a subshell, or a stage of a pipeline.
pub(crate) struct Evaluator {
    pub(crate) run: Arc<Run>,
    pub(crate) state: State,
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) error: Output,
    pub(crate) depth: usize,
    pub(crate) loops: usize,
    pub(crate) functions: usize,
    /// Greater than zero where a failing command does not end the shell under `set -e`.
    pub(crate) tested: usize,
    /// The variables that `local` hid, for each active function.
    pub(crate) hidden: Vec<Vec<(String, Remembered)>>,
    /// The status of the last command substitution of the current command.
    pub(crate) substitution_status: Option<u8>,
}

impl Evaluator {
    /// The main shell process of a run.
    pub(crate) fn new(run: Arc<Run>, state: State, input: Input, output: Output, error: Output) -> Self {
        Self {
            run,
            state,
            input,
            output,
            error,
            depth: 0,
            loops: 0,
            functions: 0,
            tested: 0,
            hidden: Vec::new(),
            substitution_status: None,
        }
    }

    /// A shell process like this one, whose changes stay its own.
    pub(crate) fn subshell(&self) -> Self {
        Self {
            run: self.run.clone(),
            state: self.state.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
            error: self.error.clone(),
            depth: self.depth,
            loops: self.loops,
            functions: self.functions,
            tested: self.tested,
            hidden: Vec::new(),
            substitution_status: None,
        }
    }

    /// Runs a list to its end as a process of its own: `exit` ends it, and only it.
    pub(crate) fn run_process(&mut self, list: &List) -> Eval<u8> {
        self.process_result(|shell| shell.run_list(list))
    }

    pub(crate) fn process_result(&mut self, action: impl FnOnce(&mut Self) -> Eval<()>) -> Eval<u8> {
        match action(self) {
            Ok(()) | Err(Halt::Break(_) | Halt::Continue(_)) => Ok(self.state.status),
            Err(Halt::Exit(status) | Halt::Abort(status) | Halt::Return(status)) => Ok(status),
            Err(Halt::Stopped) => Err(Halt::Stopped),
        }
    }

    /// Goes one level deeper for the time of the action.
    pub(crate) fn nested<T>(&mut self, action: impl FnOnce(&mut Self) -> Eval<T>) -> Eval<T> {
        let limit = self.run.meter.limits.nesting_depth;
        if self.depth >= limit {
            return Err(self.limit(LimitReached::Depth(limit)));
        }
        self.depth += 1;
        let result = action(self);
        self.depth -= 1;
        result
    }

    /// Ends the run because of a limit.
    pub(crate) fn limit(&self, reached: LimitReached) -> Halt {
        self.run.meter.fail(reached);
        Halt::Stopped
    }

    /// Counts a command or a loop round and looks whether the run was cancelled.
    pub(crate) fn step(&self) -> Eval<()> {
        if self.run.cancellation().is_cancelled() || !self.run.meter.charge_command() {
            return Err(Halt::Stopped);
        }
        Ok(())
    }

    /// Writes a message with the shell's name in front, to standard error.
    pub(crate) fn complain(&self, message: &str) -> Eval<()> {
        self.message(&format!("{}: {message}\n", self.run.shell_name))
    }

    /// Writes a whole message to standard error.
    pub(crate) fn message(&self, text: &str) -> Eval<()> {
        self.written(self.error.write_bytes(text.as_bytes())).or_else(|halt| match halt {
            // Nobody reads the messages; that is no reason to stop.
            Halt::Exit(_) | Halt::Abort(_) => Ok(()),
            other => Err(other),
        })
    }

    /// Writes to standard output.
    pub(crate) fn print(&self, bytes: &[u8]) -> Eval<()> {
        self.written(self.output.write_bytes(bytes))
    }

    /// Counts work that is not a command of its own, such as matching a long pattern.
    pub(crate) fn work(&self, units: usize) -> Eval<()> {
        if units > 0 && !self.run.meter.charge_commands(units as u64) { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// What a failed write means for the shell.
    pub(crate) fn written(&self, result: io::Result<()>) -> Eval<()> {
        result.map_err(|error| self.failed(&error))
    }

    /// What a failed read or write means for the shell.
    pub(crate) fn failed(&self, error: &io::Error) -> Halt {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Halt::Exit(BROKEN_PIPE),
            io::ErrorKind::OutOfMemory => {
                self.limit(LimitReached::Expansion(self.run.meter.limits.expansion_bytes))
            }
            io::ErrorKind::ConnectionAborted => {
                self.run.cancellation().cancel();
                Halt::Stopped
            }
            // The descriptor is unusable; the command fails, as with a full disk.
            _ => Halt::Abort(1),
        }
    }

    /// Sets a variable; a protected one ends the command line, as in bash.
    pub(crate) fn assign(&mut self, name: &str, value: String) -> Eval<()> {
        match self.state.variables.set(name, value) {
            Ok(()) => Ok(()),
            Err(VariableError::Limit(reached)) => Err(self.limit(reached)),
            Err(error @ VariableError::ReadOnly(_)) => {
                let message = match self.run.dialect {
                    Dialect::RestrictedKorn => self.run.dialect.builtin_refused(name),
                    _ => error.to_string(),
                };
                self.complain(&message)?;
                Err(Halt::Abort(1))
            }
        }
    }
}
