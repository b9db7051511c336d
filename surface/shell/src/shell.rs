//! A shell: what it remembers, and how a script is run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cancellation::Cancellation;
use crate::dialect::Dialect;
use crate::evaluate::{Eval, Evaluator, Halt, INTERRUPTED, Run, State, Switches};
use crate::files::FileTree;
use crate::host::CommandHost;
use crate::limits::{LimitReached, Limits, Meter};
use crate::streams::{Channels, Output};
use crate::syntax::{Parser, SyntaxError};
use crate::variables::{VariableError, Variables};

/// The status of a syntax error, as bash has it.
const SYNTAX_ERROR: u8 = 2;

/// A restricted shell of one user. It remembers variables, functions and the last status between runs.
pub struct Shell {
    pub(crate) host: Arc<dyn CommandHost>,
    pub(crate) files: Arc<dyn FileTree>,
    limits: Limits,
    pub(crate) state: State,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It ran to its end, or to an error.
    Done(u8),
    /// `exit`, or nobody reads any more.
    Exit(u8),
    /// Cancelled.
    Cancelled,
}

impl Shell {
    /// A shell for the host's user, with the default limits, in the tree's home directory.
    pub fn new(host: Arc<dyn CommandHost>, files: Arc<dyn FileTree>) -> Self {
        Self::with_limits(host, files, Limits::default())
    }

    /// As [`Shell::new`], with limits of the caller's choice.
    pub fn with_limits(host: Arc<dyn CommandHost>, files: Arc<dyn FileTree>, limits: Limits) -> Self {
        let user = host.user_name();
        let dialect = host.dialect();
        let home = files.home();
        let mut variables = Variables::new(limits.variable_bytes, dialect == Dialect::Korn);
        for (name, value) in [
            ("HOME", home.as_str()),
            ("HOSTNAME", &host.host_name()),
            ("LOGNAME", &user),
            ("PATH", dialect.path()),
            ("PWD", home.as_str()),
            ("SHELL", dialect.program()),
            ("USER", &user),
        ] {
            variables.initialize(name, value, true);
        }
        let user_id = host.identity().user_id.to_string();
        variables.initialize("UID", &user_id, false);
        variables.initialize("EUID", &user_id, false);
        variables.initialize("IFS", " \t\n", false);
        let state = State {
            variables,
            functions: Arc::new(BTreeMap::new()),
            positional: Arc::default(),
            directory: home,
            switches: Switches::default(),
            status: 0,
        };
        Self { host, files, limits, state }
    }

    /// Sets and exports a variable, such as what a client sent (`LANG`, `TERM`).
    ///
    /// # Errors
    /// [`VariableError`] for a variable that users may not change, and when the variables hold too much.
    pub fn set_variable(&mut self, name: &str, value: &str) -> Result<(), VariableError> {
        self.state.variables.set(name, value.to_string())?;
        self.state.variables.export(name, true);
        Ok(())
    }

    /// The exit status of the last command.
    pub fn status(&self) -> u8 {
        self.state.status
    }

    /// Runs a script as `bash -c` does and returns its exit status: 1 when a limit was reached (with one
    /// message on the error channel), 2 for a syntax error, 130 when the channels' cancellation was set, else
    /// the last command's. Works on the calling thread, which needs 2 MiB of stack; only pipelines start
    /// threads, and all of them have ended when it returns. With a terminal in the channels, Ctrl-C on it
    /// stops the script.
    pub fn run_script(&mut self, text: &str, channels: Channels) -> u8 {
        match self.evaluate(text, &channels, false) {
            End::Done(status) | End::Exit(status) => status,
            End::Cancelled => INTERRUPTED,
        }
    }

    pub(crate) fn evaluate(&mut self, text: &str, channels: &Channels, interactive: bool) -> End {
        let meter = Arc::new(Meter::new(self.limits, Cancellation::child(&channels.cancellation)));
        let dialect = self.host.dialect();
        let shell_name = dialect.name(interactive);
        let run = Arc::new(Run {
            host: self.host.clone(),
            files: self.files.clone(),
            terminal: channels.terminal.clone(),
            meter: meter.clone(),
            shell_name,
            dialect,
            interactive,
        });
        if let Some(terminal) = &channels.terminal {
            terminal.set_foreground(Some(meter.cancellation.clone()));
        }
        let mut evaluator = Evaluator::new(
            run,
            self.state.clone(),
            channels.input.with_cancellation(&meter.cancellation),
            channels.output.metered(&meter),
            channels.error.metered(&meter),
        );
        let result = evaluator.run_text(text);
        self.state = evaluator.state;
        if let Some(terminal) = &channels.terminal {
            terminal.set_foreground(None);
        }
        let end = match meter.reached() {
            Some(reached) => {
                report_limit(reached, shell_name, &channels.error, &channels.cancellation);
                End::Done(1)
            }
            None => self.end_of(result),
        };
        self.state.status = match end {
            End::Done(status) | End::Exit(status) => status,
            End::Cancelled => INTERRUPTED,
        };
        end
    }

    fn end_of(&self, result: Eval<()>) -> End {
        match result {
            Ok(()) | Err(Halt::Break(_) | Halt::Continue(_)) => End::Done(self.state.status),
            Err(Halt::Abort(status) | Halt::Return(status)) => End::Done(status),
            Err(Halt::Exit(status)) => End::Exit(status),
            Err(Halt::Stopped) => End::Cancelled,
        }
    }

    /// Whether the text is the beginning of a command that goes on; `Some(true)`: on the next line within
    /// quotes or a here-document, where a line end is text.
    pub(crate) fn incomplete(&self, text: &str) -> Option<bool> {
        let mut parser = Parser::new(text, &self.limits, true);
        loop {
            match parser.next_commands() {
                Ok(Some(_)) => {}
                Ok(None) => return continues(text).then_some(false),
                Err(error) if error.is_incomplete() => {
                    let quoted = matches!(error, SyntaxError::Unterminated { .. }) || text.contains("<<");
                    return Some(quoted);
                }
                Err(_) => return None,
            }
        }
    }
}

/// Whether the last line ends with a backslash that joins the next one.
fn continues(text: &str) -> bool {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let last = line.rsplit('\n').next().unwrap_or(line);
    let backslashes = last.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1 && !last.trim_start().starts_with('#')
}

fn report_limit(reached: LimitReached, shell_name: &str, error: &Output, cancellation: &Arc<Cancellation>) {
    // Nobody may be left to read it; the status tells it too.
    let _ = error.write_message(format!("{shell_name}: {reached}\n").as_bytes(), cancellation);
}

impl Evaluator {
    /// Runs a script line by line, so that a syntax error stops only what comes after it.
    fn run_text(&mut self, text: &str) -> Eval<()> {
        let limits = self.run.meter.limits;
        if text.len() > limits.script_bytes {
            return Err(self.limit(LimitReached::Script(limits.script_bytes)));
        }
        let mut parser = Parser::new(text, &limits, false);
        loop {
            match parser.next_commands() {
                Ok(None) => return Ok(()),
                Ok(Some(list)) => self.run_list(&list)?,
                Err(error) => return Err(Halt::Abort(self.syntax_error(text, &error)?)),
            }
        }
    }

    /// Reports a syntax error in bash's form and returns its status.
    fn syntax_error(&self, text: &str, error: &SyntaxError) -> Eval<u8> {
        // bash counts the lines of `-c` from 0.
        let place =
            |line: usize| if self.run.interactive { String::new() } else { format!("-c: line {line}: ") };
        let here = place(error.line().saturating_sub(1));
        if let Some(message) = self.run.dialect.syntax_error(error) {
            self.complain(&message)?;
            return Ok(SYNTAX_ERROR);
        }
        match error {
            SyntaxError::Refused { .. } | SyntaxError::TooDeep { .. } | SyntaxError::TooManyWords { .. } => {
                self.complain(&error.to_string())?;
                return Ok(1);
            }
            SyntaxError::Unexpected { line, .. } => {
                self.complain(&format!("{here}{error}"))?;
                if !self.run.interactive {
                    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
                    self.complain(&format!("{here}`{shown}'"))?;
                }
            }
            SyntaxError::Unterminated { .. } => {
                self.complain(&format!("{here}{error}"))?;
                let end = SyntaxError::EndOfInput { line: 0 };
                self.complain(&format!("{}{end}", place(text.lines().count())))?;
            }
            SyntaxError::EndOfInput { .. } => {
                self.complain(&format!("{}{error}", place(text.lines().count())))?;
            }
        }
        Ok(SYNTAX_ERROR)
    }
}
