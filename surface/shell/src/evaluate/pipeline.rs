//! Lists and pipelines.

use std::sync::Arc;

use super::{BROKEN_PIPE, Eval, Evaluator, Halt};
use crate::limits::LimitReached;
use crate::pipe::{PIPE_BYTES, pipe};
use crate::streams::{Input, Output};
use crate::syntax::tree::{Connector, List, Pipeline, Stage, Statement};

/// Stack of a stage's thread; the evaluator's depth limit is chosen for it.
const STAGE_STACK: usize = 2 << 20;

impl Evaluator {
    pub(crate) fn run_list(&mut self, list: &List) -> Eval<()> {
        list.statements.iter().try_for_each(|statement| self.run_statement(statement))
    }

    fn run_statement(&mut self, statement: &Statement) -> Eval<()> {
        if statement.rest.is_empty() {
            self.run_pipeline(&statement.first)?;
            return self.after_command(!statement.first.negated);
        }
        self.tested += 1;
        let first = self.run_pipeline(&statement.first);
        self.tested -= 1;
        first?;
        let last = statement.rest.len() - 1;
        for (index, (connector, pipeline)) in statement.rest.iter().enumerate() {
            let succeeded = self.state.status == 0;
            if succeeded != (*connector == Connector::And) {
                continue;
            }
            if index < last {
                self.tested += 1;
            }
            let result = self.run_pipeline(pipeline);
            if index < last {
                self.tested -= 1;
            }
            result?;
            if index == last {
                self.after_command(!pipeline.negated)?;
            }
        }
        Ok(())
    }

    /// Under `set -e` a failed command ends the shell.
    fn after_command(&self, counts: bool) -> Eval<()> {
        if counts && self.state.switches.exit_on_error && self.state.status != 0 && self.tested == 0 {
            return Err(Halt::Exit(self.state.status));
        }
        Ok(())
    }

    pub(crate) fn run_pipeline(&mut self, pipeline: &Pipeline) -> Eval<()> {
        if pipeline.negated {
            self.tested += 1;
        }
        let result = match pipeline.stages.as_slice() {
            [] => Ok(()),
            [only] => self.run_command(&only.command),
            stages => self.run_stages(stages),
        };
        if pipeline.negated {
            self.tested -= 1;
        }
        result?;
        if pipeline.negated {
            self.state.status = u8::from(self.state.status == 0);
        }
        Ok(())
    }

    /// Runs the stages at the same time: all but the last on threads of their own, the last one here.
    fn run_stages(&mut self, stages: &[Stage]) -> Eval<()> {
        let limit = self.run.meter.limits.pipeline_stages;
        if stages.len() > limit {
            return Err(self.limit(LimitReached::Stages(limit)));
        }
        let Some((last, others)) = stages.split_last() else { return Ok(()) };
        let mut input = self.input.clone();
        let mut statuses = Vec::with_capacity(stages.len());
        let result = std::thread::scope(|scope| {
            let mut threads = Vec::with_capacity(others.len());
            for stage in others {
                let mut shell = self.subshell();
                let (writer, reader) = pipe(PIPE_BYTES);
                shell.input =
                    std::mem::replace(&mut input, Input::new(Arc::new(reader), self.run.cancellation()));
                shell.output =
                    Output::new(Arc::new(writer), self.run.cancellation()).metered(&self.run.meter);
                if stage.error_too {
                    shell.error = shell.output.clone();
                }
                if !self.run.meter.take_thread() {
                    return Err(Halt::Stopped);
                }
                let meter = self.run.meter.clone();
                let started = std::thread::Builder::new()
                    .name("shell-stage".to_string())
                    .stack_size(STAGE_STACK)
                    .spawn_scoped(scope, move || {
                        let status = shell.run_stage(stage);
                        drop(shell);
                        meter.give_thread();
                        status
                    });
                match started {
                    Ok(thread) => threads.push(thread),
                    Err(_) => {
                        self.run.meter.give_thread();
                        return Err(self.limit(LimitReached::Threads(limit)));
                    }
                }
            }
            let mut shell = self.subshell();
            shell.input = input;
            let status = shell.run_stage(last);
            // The last stage's end of the pipe is closed before the others are waited for.
            drop(shell);
            for thread in threads {
                statuses.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            statuses.push(status);
            Ok(())
        });
        result?;
        self.pipeline_status(&statuses)
    }

    fn pipeline_status(&mut self, statuses: &[Eval<u8>]) -> Eval<()> {
        let mut status = 0;
        for stage in statuses {
            let stage = (*stage)?;
            if stage != 0 || !self.state.switches.pipe_fail {
                status = stage;
            }
        }
        self.state.status = status;
        Ok(())
    }

    fn run_stage(&mut self, stage: &Stage) -> Eval<u8> {
        let result = self.process_result(|shell| shell.run_command(&stage.command));
        debug_assert!(result != Ok(BROKEN_PIPE) || self.depth <= self.run.meter.limits.nesting_depth);
        result
    }
}
