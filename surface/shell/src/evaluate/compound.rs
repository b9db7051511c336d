//! Blocks, loops and branches.

use super::glob::{STEPS, STEPS_PER_UNIT};
use super::{Eval, Evaluator, Halt, matches};
use crate::limits::LimitReached;
use crate::syntax::tree::{CaseArm, CaseEnd, Compound, List, Word};

/// How a loop goes on after one round.
enum Round {
    Next,
    Leave,
}

impl Evaluator {
    pub(crate) fn run_compound(&mut self, compound: &Compound) -> Eval<()> {
        match compound {
            Compound::Group(list) => self.run_list(list),
            Compound::Subshell(list) => {
                let mut shell = self.subshell();
                self.state.status = shell.run_process(list)?;
                Ok(())
            }
            Compound::If { branches, otherwise } => self.run_if(branches, otherwise.as_ref()),
            Compound::For { name, words, body } => self.run_for(name, words.as_deref(), body),
            Compound::ForArithmetic { start, condition, step, body } => {
                self.run_arithmetic_for(start, condition, step, body)
            }
            Compound::While { until, condition, body } => self.run_while(*until, condition, body),
            Compound::Case { subject, arms } => self.run_case(subject, arms),
            Compound::Conditional(condition) => {
                let holds = self.condition(condition)?;
                self.state.status = holds;
                Ok(())
            }
            Compound::Arithmetic(word) => {
                let value = self.arithmetic_word(word)?;
                self.state.status = u8::from(value == 0);
                Ok(())
            }
        }
    }

    fn run_tested(&mut self, list: &List) -> Eval<bool> {
        self.tested += 1;
        let result = self.run_list(list);
        self.tested -= 1;
        result?;
        Ok(self.state.status == 0)
    }

    fn run_if(&mut self, branches: &[(List, List)], otherwise: Option<&List>) -> Eval<()> {
        for (condition, body) in branches {
            if self.run_tested(condition)? {
                return self.run_list(body);
            }
        }
        match otherwise {
            Some(body) => self.run_list(body),
            None => {
                self.state.status = 0;
                Ok(())
            }
        }
    }

    /// Runs a loop's body once.
    fn round(&mut self, body: &List) -> Eval<Round> {
        self.step()?;
        match self.run_list(body) {
            Ok(()) => Ok(Round::Next),
            Err(Halt::Break(levels)) if levels > 1 => Err(Halt::Break(levels - 1)),
            Err(Halt::Break(_)) => Ok(Round::Leave),
            Err(Halt::Continue(levels)) if levels > 1 => Err(Halt::Continue(levels - 1)),
            Err(Halt::Continue(_)) => Ok(Round::Next),
            Err(other) => Err(other),
        }
    }

    fn in_loop(&mut self, action: impl FnOnce(&mut Self) -> Eval<()>) -> Eval<()> {
        self.loops += 1;
        let result = action(self);
        self.loops -= 1;
        result
    }

    fn run_for(&mut self, name: &str, words: Option<&[Word]>, body: &List) -> Eval<()> {
        let values = match words {
            Some(words) => self.expand_words(words)?,
            None => self.state.positional.to_vec(),
        };
        if values.is_empty() {
            self.state.status = 0;
        }
        self.in_loop(|shell| {
            for value in values {
                shell.assign(name, value)?;
                if let Round::Leave = shell.round(body)? {
                    break;
                }
            }
            Ok(())
        })
    }

    fn run_arithmetic_for(&mut self, start: &Word, condition: &Word, step: &Word, body: &List) -> Eval<()> {
        self.arithmetic_word(start)?;
        let mut rounds = false;
        self.in_loop(|shell| {
            while condition.parts.is_empty() || shell.arithmetic_word(condition)? != 0 {
                rounds = true;
                if let Round::Leave = shell.round(body)? {
                    break;
                }
                shell.arithmetic_word(step)?;
            }
            Ok(())
        })?;
        if !rounds {
            self.state.status = 0;
        }
        Ok(())
    }

    fn run_while(&mut self, until: bool, condition: &List, body: &List) -> Eval<()> {
        let mut status = 0;
        self.in_loop(|shell| {
            loop {
                let holds = match shell.run_tested(condition) {
                    Ok(holds) => holds,
                    Err(Halt::Break(levels)) if levels <= 1 => break,
                    Err(Halt::Continue(levels)) if levels <= 1 => continue,
                    Err(other) => return Err(other),
                };
                if holds == until {
                    break;
                }
                let round = shell.round(body)?;
                status = shell.state.status;
                if let Round::Leave = round {
                    break;
                }
            }
            Ok(())
        })?;
        self.state.status = status;
        Ok(())
    }

    fn run_case(&mut self, subject: &Word, arms: &[CaseArm]) -> Eval<()> {
        let subject = self.expand_text(subject)?;
        let mut ran = false;
        let mut falls = false;
        for arm in arms {
            let mut chosen = falls;
            for pattern in &arm.patterns {
                if chosen {
                    break;
                }
                let pattern = self.expand_pattern(pattern)?;
                chosen = self.pattern_matches(&pattern, &subject)?;
            }
            if !chosen {
                continue;
            }
            ran |= !arm.body.statements.is_empty();
            self.run_list(&arm.body)?;
            match arm.end {
                CaseEnd::Leave => break,
                CaseEnd::FallThrough => falls = true,
                CaseEnd::TestNext => falls = false,
            }
        }
        if !ran {
            self.state.status = 0;
        }
        Ok(())
    }

    /// Matches a whole text; a pattern that takes too long ends the run.
    pub(crate) fn pattern_matches(&self, pattern: &str, text: &str) -> Eval<bool> {
        let mut steps = STEPS;
        let result = matches(pattern, text, &mut steps).ok_or_else(|| self.limit(LimitReached::Pattern))?;
        self.work((STEPS - steps) / STEPS_PER_UNIT)?;
        Ok(result)
    }
}
