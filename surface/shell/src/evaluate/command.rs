//! Simple commands: words, assignments, and who runs them.

use std::sync::Arc;

use super::{Eval, Evaluator, Halt, NOT_FOUND, Remembered};
use crate::builtin;
use crate::dialect::Dialect;
use crate::filter::{self, Filter, FilterContext};
use crate::streams::{Input, Streams};
use crate::syntax::as_assignment;
use crate::syntax::tree::{Assignment, Command, Part, Simple, Word};

/// Builtins whose arguments are assignments.
const DECLARING: &[&str] = &["declare", "export", "local", "readonly", "typeset"];

impl Evaluator {
    pub(crate) fn run_command(&mut self, command: &Command) -> Eval<()> {
        match command {
            Command::Simple(simple) => self.run_simple(simple),
            Command::Compound(compound, redirections) => self.nested(|shell| {
                if redirections.is_empty() {
                    return shell.run_compound(compound);
                }
                let saved = shell.save_streams();
                let result = match shell.redirect(redirections) {
                    Ok(true) => shell.run_compound(compound),
                    Ok(false) => {
                        shell.state.status = 1;
                        Ok(())
                    }
                    Err(halt) => Err(halt),
                };
                shell.restore_streams(saved);
                result
            }),
            Command::Function { name, body } => self.define(name, body),
        }
    }

    fn define(&mut self, name: &str, body: &Arc<Command>) -> Eval<()> {
        let taken = builtin::is_builtin(name) || self.is_command(name);
        if taken {
            self.complain(&format!("{name}: restricted: cannot redefine a command"))?;
            self.state.status = 1;
            return Ok(());
        }
        Arc::make_mut(&mut self.state.functions).insert(name.to_string(), body.clone());
        self.state.status = 0;
        Ok(())
    }

    fn run_simple(&mut self, simple: &Simple) -> Eval<()> {
        self.step()?;
        self.substitution_status = None;
        let arguments = self.expand_command_words(&simple.words)?;
        let Some((name, arguments)) = arguments.split_first() else {
            return self.run_assignments(simple);
        };
        if self.state.switches.trace {
            self.trace(name, arguments)?;
        }
        if simple.redirections.is_empty() && simple.assignments.is_empty() {
            self.state.status = self.dispatch(name, arguments)?;
            return Ok(());
        }
        let saved = self.save_streams();
        let result = match self.redirect(&simple.redirections) {
            Ok(true) => self.run_with_assignments(&simple.assignments, name, arguments),
            Ok(false) => Ok(1),
            Err(halt) => Err(halt),
        };
        self.restore_streams(saved);
        self.state.status = result?;
        Ok(())
    }

    /// Expands a command's words. What a declaring builtin assigns is one text each, as in an assignment.
    fn expand_command_words(&mut self, words: &[Word]) -> Eval<Vec<String>> {
        let declares = match words.first().map(|word| word.parts.as_slice()) {
            Some([Part::Literal(name)]) => DECLARING.contains(&name.as_str()),
            _ => false,
        };
        if !declares {
            return self.expand_words(words);
        }
        let mut arguments = Vec::with_capacity(words.len());
        for word in words {
            match as_assignment(word) {
                Some(assignment) => {
                    let sign = if assignment.append { "+=" } else { "=" };
                    let value = self.expand_text(&assignment.value)?;
                    arguments.push(format!("{}{sign}{value}", assignment.name));
                }
                None => arguments.extend(self.expand_words(std::slice::from_ref(word))?),
            }
        }
        Ok(arguments)
    }

    fn trace(&self, name: &str, arguments: &[String]) -> Eval<()> {
        let mut line = format!("+ {name}");
        for argument in arguments {
            line.push(' ');
            line.push_str(&builtin::quote(argument));
        }
        line.push('\n');
        self.written(self.error.write_bytes(line.as_bytes()))
    }

    /// A line without a command: its assignments stay.
    fn run_assignments(&mut self, simple: &Simple) -> Eval<()> {
        for assignment in &simple.assignments {
            let value = self.assigned_value(assignment)?;
            self.assign(&assignment.name, value)?;
        }
        let saved = self.save_streams();
        let redirected = self.redirect(&simple.redirections);
        self.restore_streams(saved);
        let status = self.substitution_status.unwrap_or(0);
        self.state.status = if redirected? { status } else { 1 };
        Ok(())
    }

    fn assigned_value(&mut self, assignment: &Assignment) -> Eval<String> {
        let value = self.expand_text(&assignment.value)?;
        if !assignment.append {
            return Ok(value);
        }
        Ok(format!("{}{value}", self.state.variables.get(&assignment.name).unwrap_or("")))
    }

    /// `a=b command`: the variables hold only while the command runs.
    fn run_with_assignments(
        &mut self,
        assignments: &[Assignment],
        name: &str,
        arguments: &[String],
    ) -> Eval<u8> {
        let mut before = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let value = self.assigned_value(assignment)?;
            before.push((assignment.name.clone(), self.remember(&assignment.name)));
            self.assign(&assignment.name, value)?;
            self.state.variables.export(&assignment.name, true);
        }
        let result = self.dispatch(name, arguments);
        for (name, old) in before.into_iter().rev() {
            self.bring_back(&name, old)?;
        }
        result
    }

    pub(crate) fn remember(&self, name: &str) -> Remembered {
        let value = self.state.variables.get(name)?.to_string();
        Some((value, self.state.variables.exported(name).is_some()))
    }

    pub(crate) fn bring_back(&mut self, name: &str, old: Remembered) -> Eval<()> {
        match old {
            Some((value, exported)) => {
                self.assign(name, value)?;
                self.state.variables.export(name, exported);
            }
            // A name that became protected meanwhile stays as it is.
            None => drop(self.state.variables.unset(name)),
        }
        Ok(())
    }

    /// Finds who runs a command, and runs it.
    pub(crate) fn dispatch(&mut self, name: &str, arguments: &[String]) -> Eval<u8> {
        let mut name = name;
        if name.contains('/') {
            let directories = self.run.dialect.command_directories(self.run.interactive);
            let stripped = directories.iter().find_map(|directory| name.strip_prefix(directory));
            match stripped.filter(|rest| !rest.contains('/') && self.is_command(rest)) {
                Some(rest) => name = rest,
                None => {
                    self.complain(&self.run.dialect.path_refused(name))?;
                    return Ok(if self.run.dialect == Dialect::Korn { NOT_FOUND } else { 1 });
                }
            }
            return self.run_found(name, arguments);
        }
        if let Some(body) = self.state.functions.get(name).cloned() {
            return self.call(&body, arguments);
        }
        self.dispatch_command(name, arguments)
    }

    /// As [`Self::dispatch`], past the functions.
    pub(crate) fn dispatch_command(&mut self, name: &str, arguments: &[String]) -> Eval<u8> {
        if name.contains('/') {
            return self.dispatch(name, arguments);
        }
        match builtin::find(name) {
            Some(run) => run(self, arguments),
            None => self.run_found(name, arguments),
        }
    }

    /// Whether the name is a command of the console or of the small programs beside it.
    pub(crate) fn is_command(&self, name: &str) -> bool {
        let host = self.run.host.as_ref();
        host.lookup(name) || builtin::utility(name, host).is_some() || filter::allowed(name, host).is_some()
    }

    /// Runs a command of the console, a utility or a filter, never a function or a builtin.
    fn run_found(&mut self, name: &str, arguments: &[String]) -> Eval<u8> {
        if self.run.host.lookup(name) {
            let streams = Streams {
                input: &self.input,
                output: &self.output,
                error: &self.error,
                terminal: self.run.terminal.as_ref(),
                cancellation: self.run.cancellation(),
                variables: &self.state.variables,
            };
            let status = self.run.host.run(name, arguments, streams);
            if self.run.cancellation().is_cancelled() {
                return Err(Halt::Stopped);
            }
            return Ok(status);
        }
        if let Some(run) = builtin::utility(name, self.run.host.as_ref()) {
            return run(self, arguments);
        }
        if let Some(filter) = filter::allowed(name, self.run.host.as_ref()) {
            let input = self.input.clone();
            return self.run_filter(filter, &input, arguments);
        }
        if builtin::is_refused(name) {
            self.complain(&self.run.dialect.builtin_refused(name))?;
            return Ok(1);
        }
        self.complain(&self.run.dialect.not_found(name))?;
        Ok(NOT_FOUND)
    }

    /// Runs a filter with the given standard input.
    pub(crate) fn run_filter(&mut self, filter: Filter, input: &Input, arguments: &[String]) -> Eval<u8> {
        let status = filter(&mut FilterContext {
            arguments,
            stdin: input,
            stdout: &self.output,
            stderr: &self.error,
            files: self.run.files.as_ref(),
            directory: &self.state.directory,
            host: self.run.host.as_ref(),
            cancellation: self.run.cancellation(),
            limits: self.run.meter.limits,
            terminal: self.output.is_terminal(),
            keyboard: self.run.terminal.as_ref(),
        });
        if self.run.cancellation().is_cancelled() { Err(Halt::Stopped) } else { Ok(status) }
    }

    fn call(&mut self, body: &Arc<Command>, arguments: &[String]) -> Eval<u8> {
        self.nested(|shell| {
            let positional = std::mem::replace(&mut shell.state.positional, Arc::new(arguments.to_vec()));
            let loops = std::mem::take(&mut shell.loops);
            shell.functions += 1;
            shell.hidden.push(Vec::new());
            let result = shell.run_command(body);
            for (name, old) in shell.hidden.pop().unwrap_or_default().into_iter().rev() {
                shell.bring_back(&name, old)?;
            }
            shell.functions -= 1;
            shell.loops = loops;
            shell.state.positional = positional;
            match result {
                Ok(()) => Ok(shell.state.status),
                Err(Halt::Return(status)) => Ok(status),
                Err(other) => Err(other),
            }
        })
    }
}
