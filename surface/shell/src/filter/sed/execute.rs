//! Runs a `sed` script over the lines of all inputs.

use std::collections::VecDeque;
use std::rc::Rc;

use super::script::{Action, Address, Command, End, Pattern, Range};
use super::substitute::substitute;
use crate::files::FileError;
use crate::filter::expression::Expression;
use crate::filter::process::{Process, Stop};
use crate::streams::Input;

/// The status after an input that could not be opened.
const MISSING: u8 = 2;

/// The status after an input that could not be read.
const UNREADABLE: u8 = 4;

/// A line, and whether it ends with a newline.
type Line = (Vec<u8>, bool);

/// The lines of all inputs, one after the other.
struct Lines {
    names: VecDeque<String>,
    current: Option<Input>,
    /// A line that was read ahead to know whether the one before is the last.
    ahead: Option<Line>,
    status: u8,
}

impl Lines {
    fn next(&mut self, process: &mut Process<'_>) -> Result<Option<Line>, Stop> {
        match self.ahead.take() {
            Some(line) => Ok(Some(line)),
            None => self.read(process),
        }
    }

    fn is_last(&mut self, process: &mut Process<'_>) -> Result<bool, Stop> {
        if self.ahead.is_none() {
            self.ahead = self.read(process)?;
        }
        Ok(self.ahead.is_none())
    }

    fn read(&mut self, process: &mut Process<'_>) -> Result<Option<Line>, Stop> {
        loop {
            if let Some(input) = &self.current {
                let mut line = Vec::new();
                match process.read_line(input, &mut line)? {
                    Some(ended) => return Ok(Some((line, ended))),
                    None => self.current = None,
                }
            }
            let Some(name) = self.names.pop_front() else { return Ok(None) };
            match process.open(&name) {
                Ok(input) => self.current = Some(input),
                Err(error @ FileError::IsDirectory) => {
                    process.complain(&format!("couldn't edit {name}: {error}"))?;
                    self.status = UNREADABLE;
                }
                Err(error) => {
                    process.complain(&format!("can't read {name}: {error}"))?;
                    self.status = MISSING;
                }
            }
        }
    }
}

struct Machine {
    lines: Lines,
    number: u64,
    last_expression: Option<Rc<Expression>>,
    /// The last line shown had no newline; one is due before anything else is shown.
    newline_due: bool,
}

/// Runs a script to the end of the inputs.
pub(super) fn execute(
    process: &mut Process<'_>,
    mut script: Vec<Command>,
    quiet: bool,
    names: Vec<String>,
) -> Result<u8, Stop> {
    let lines = Lines { names: names.into(), current: None, ahead: None, status: 0 };
    let mut machine = Machine { lines, number: 0, last_expression: None, newline_due: false };
    while let Some((mut line, ended)) = machine.lines.next(process)? {
        machine.number += 1;
        let mut deleted = false;
        let mut quit = None;
        for command in &mut script {
            if machine.selects(process, command, &line)? == command.inverted {
                continue;
            }
            match &command.action {
                Action::Delete => deleted = true,
                Action::Quit(status) => quit = Some(*status),
                Action::Print => machine.show(process, &line, ended)?,
                Action::Number => machine.show(process, machine.number.to_string().as_bytes(), true)?,
                Action::Substitute(substitution) => {
                    let expression = machine.expression(process, &substitution.pattern)?;
                    if let Some(changed) = substitute(process, substitution, &expression, &line)? {
                        line = changed;
                        if substitution.print {
                            machine.show(process, &line, ended)?;
                        }
                    }
                }
            }
            if deleted || quit.is_some() {
                break;
            }
        }
        if !quiet && !deleted {
            machine.show(process, &line, ended)?;
        }
        if let Some(status) = quit {
            if machine.newline_due {
                process.write(b"\n")?;
            }
            return Ok(if machine.lines.status == 0 { status } else { machine.lines.status });
        }
    }
    Ok(machine.lines.status)
}

impl Machine {
    fn show(&mut self, process: &mut Process<'_>, line: &[u8], ended: bool) -> Result<(), Stop> {
        if self.newline_due {
            process.write(b"\n")?;
        }
        self.newline_due = !ended;
        process.write(line)?;
        if ended { process.write(b"\n") } else { Ok(()) }
    }

    /// The expression itself, or the one used last for an empty one.
    fn expression(&mut self, process: &mut Process<'_>, pattern: &Pattern) -> Result<Rc<Expression>, Stop> {
        let used = pattern.clone().or_else(|| self.last_expression.clone());
        match used {
            Some(expression) => {
                self.last_expression = Some(expression.clone());
                Ok(expression)
            }
            None => Err(process.fail("-e expression #1, char 0: no previous regular expression")),
        }
    }

    fn selects(
        &mut self,
        process: &mut Process<'_>,
        command: &mut Command,
        line: &[u8],
    ) -> Result<bool, Stop> {
        let Some(start) = &command.start else { return Ok(true) };
        let Some(end) = &command.end else { return self.matches(process, start, line) };
        // A start given by number is taken once, at that line or the first one after it that comes here.
        let numbered = if let Address::Line(line) = start { Some(*line) } else { None };
        let outside = if numbered.is_some() { Range::Over } else { Range::Outside };
        if let Range::Inside(last) = command.range {
            return match (last, end) {
                (Some(last), _) => {
                    if self.number >= last {
                        command.range = outside;
                    }
                    // As GNU sed: an end that is a line's number is not passed, a counted one may be.
                    let passed = self.number > last && matches!(end, End::Address(Address::Line(_)));
                    Ok(!passed || (numbered.is_none() && self.matches(process, start, line)?))
                }
                (None, End::Address(address)) => {
                    if self.matches(process, address, line)? {
                        command.range = outside;
                    }
                    Ok(true)
                }
                (None, _) => Ok(true),
            };
        }
        match numbered {
            Some(0) => {
                // A range from line 0 is inside before the first line, and only then.
                let End::Address(address) = end else { return Ok(false) };
                if self.number == 1 && !self.matches(process, address, line)? {
                    command.range = Range::Inside(None);
                }
                return Ok(self.number == 1);
            }
            Some(first) if command.range == Range::Over || self.number < first => return Ok(false),
            Some(_) => {}
            None if !self.matches(process, start, line)? => return Ok(false),
            None => {}
        }
        let last = self.last_of_range(process, end)?;
        let goes_on = last.is_none_or(|last| last > self.number);
        command.range = if goes_on { Range::Inside(last) } else { outside };
        let late = numbered.is_some_and(|first| first < self.number);
        let over = matches!(end, End::Address(Address::Line(last)) if *last < self.number);
        Ok(!(late && over))
    }

    /// The number of the line that a range ends with when it begins here; `None` when an expression or the
    /// end of the inputs decides.
    fn last_of_range(&mut self, process: &mut Process<'_>, end: &End) -> Result<Option<u64>, Stop> {
        let next_multiple = |step: u64| (self.number / step + 1).saturating_mul(step);
        Ok(match end {
            End::After(count) => Some(self.number.saturating_add(*count)),
            End::Multiple(0) => Some(self.number),
            // As GNU sed: the next multiple, even when the first line's number is one.
            End::Multiple(step) => Some(next_multiple(*step)),
            End::Address(Address::Line(last)) => Some(*last),
            End::Address(Address::Step { first, .. }) if *first >= self.number => Some(*first),
            End::Address(Address::Step { first, step }) => {
                Some(first.saturating_add((self.number - first).div_ceil(*step).saturating_mul(*step)))
            }
            End::Address(Address::Last) if self.lines.is_last(process)? => Some(self.number),
            End::Address(Address::Last | Address::Matching(_)) => None,
        })
    }

    fn matches(&mut self, process: &mut Process<'_>, address: &Address, line: &[u8]) -> Result<bool, Stop> {
        match address {
            Address::Line(number) => Ok(self.number == *number),
            Address::Step { first, step } => {
                Ok(self.number >= *first && (self.number - first).is_multiple_of(*step))
            }
            Address::Last => self.lines.is_last(process),
            Address::Matching(pattern) => {
                let expression = self.expression(process, pattern)?;
                Ok(expression.is_match(line))
            }
        }
    }
}
