//! What one command line may use at most.
//!
//! Many users share one process, so nothing that a script does may grow without a bound. Run time is not
//! limited here: the host cancels a run that takes too long.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cancellation::Cancellation;

/// Bytes that all commands of one run may write together, pipes and `/dev/null` included. 1 GiB: months of a
/// monitoring loop's listings, but the end of a runaway one.
pub const OUTPUT_BYTES: u64 = 1 << 30;

/// Commands and loop rounds of one run. Ten million rounds of a loop that does nothing take some seconds.
pub const EVALUATED_COMMANDS: u64 = 10_000_000;

/// Commands in one pipeline. Scripts use fewer than ten; each stage but the last costs a thread.
pub const PIPELINE_STAGES: usize = 32;

/// Stage threads of one run that are alive at the same time, over nested pipelines.
pub const STAGE_THREADS: usize = 64;

/// Nesting of blocks, substitutions, function calls and quotes, for the parser and for the evaluator. The
/// evaluator needs about 10 KiB of stack for one level, and a thread has 2 MiB.
pub const NESTING_DEPTH: usize = 48;

/// Bytes of one expanded command line or one substitution's output. Twice the usual limit of a real system's
/// argument list would be 4 MiB; 2 MiB is what Linux passes to a program.
pub const EXPANSION_BYTES: usize = 2 << 20;

/// Words that brace expansion may make of one word.
pub const BRACE_WORDS: usize = 65_536;

/// Bytes of all variables of one shell together.
pub const VARIABLE_BYTES: usize = 4 << 20;

/// Bytes that one filter may hold in memory (`sort`, `tail`, one input line).
pub const FILTER_BYTES: usize = 64 << 20;

/// Bytes of one script.
pub const SCRIPT_BYTES: usize = 1 << 20;

/// Limits of one shell. The defaults are the constants of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`OUTPUT_BYTES`].
    pub output_bytes: u64,
    /// See [`EVALUATED_COMMANDS`].
    pub evaluated_commands: u64,
    /// See [`PIPELINE_STAGES`].
    pub pipeline_stages: usize,
    /// See [`STAGE_THREADS`].
    pub stage_threads: usize,
    /// See [`NESTING_DEPTH`].
    pub nesting_depth: usize,
    /// See [`EXPANSION_BYTES`].
    pub expansion_bytes: usize,
    /// See [`BRACE_WORDS`].
    pub brace_words: usize,
    /// See [`VARIABLE_BYTES`].
    pub variable_bytes: usize,
    /// See [`FILTER_BYTES`].
    pub filter_bytes: usize,
    /// See [`SCRIPT_BYTES`].
    pub script_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output_bytes: OUTPUT_BYTES,
            evaluated_commands: EVALUATED_COMMANDS,
            pipeline_stages: PIPELINE_STAGES,
            stage_threads: STAGE_THREADS,
            nesting_depth: NESTING_DEPTH,
            expansion_bytes: EXPANSION_BYTES,
            brace_words: BRACE_WORDS,
            variable_bytes: VARIABLE_BYTES,
            filter_bytes: FILTER_BYTES,
            script_bytes: SCRIPT_BYTES,
        }
    }
}

/// A limit that a run hit. It ends the run with status 1 and one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// The commands wrote more than they may.
    #[error("limit reached: the commands wrote more than {0} bytes")]
    Output(u64),
    /// Too many commands and loop rounds.
    #[error("limit reached: more than {0} commands and loop rounds")]
    Commands(u64),
    /// Too many commands in one pipeline.
    #[error("limit reached: more than {0} commands in one pipeline")]
    Stages(usize),
    /// Too many pipeline stages at the same time.
    #[error("limit reached: more than {0} pipeline stages at the same time")]
    Threads(usize),
    /// Blocks, substitutions or function calls nested too deep.
    #[error("limit reached: nesting deeper than {0} levels")]
    Depth(usize),
    /// A word or a substitution grew too large.
    #[error("limit reached: an expansion larger than {0} bytes")]
    Expansion(usize),
    /// Brace expansion made too many words.
    #[error("limit reached: brace expansion to more than {0} words")]
    Braces(usize),
    /// The variables hold too much.
    #[error("limit reached: variables larger than {0} bytes together")]
    Variables(usize),
    /// A filter would have to hold too much.
    #[error("limit reached: a filter needs more than {0} bytes")]
    Filter(usize),
    /// The script is too long.
    #[error("limit reached: a script longer than {0} bytes")]
    Script(usize),
    /// A pattern took too many steps on one text.
    #[error("limit reached: a pattern needs too many steps")]
    Pattern,
}

/// What one run has used so far. Shared by all its stages.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) limits: Limits,
    pub(crate) cancellation: Arc<Cancellation>,
    output_bytes: AtomicU64,
    commands: AtomicU64,
    threads: AtomicUsize,
    reached: Mutex<Option<LimitReached>>,
}

impl Meter {
    pub(crate) fn new(limits: Limits, cancellation: Arc<Cancellation>) -> Self {
        Self {
            limits,
            cancellation,
            output_bytes: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            threads: AtomicUsize::new(0),
            reached: Mutex::new(None),
        }
    }

    /// Notes the first limit that was hit and stops every stage of the run.
    pub(crate) fn fail(&self, reached: LimitReached) {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reached);
        self.cancellation.cancel();
    }

    pub(crate) fn reached(&self) -> Option<LimitReached> {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes written; false when the limit is passed.
    pub(crate) fn charge_output(&self, bytes: usize) -> bool {
        let before = self.output_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before.saturating_add(bytes as u64) <= self.limits.output_bytes {
            return true;
        }
        self.fail(LimitReached::Output(self.limits.output_bytes));
        false
    }

    /// Counts one command or loop round; false when the limit is passed.
    pub(crate) fn charge_command(&self) -> bool {
        self.charge_commands(1)
    }

    /// Counts work worth several commands; false when the limit is passed.
    pub(crate) fn charge_commands(&self, count: u64) -> bool {
        let before = self.commands.fetch_add(count, Ordering::Relaxed);
        if before.saturating_add(count) <= self.limits.evaluated_commands {
            return true;
        }
        self.fail(LimitReached::Commands(self.limits.evaluated_commands));
        false
    }

    /// Takes one of the stage threads; false when none is left.
    pub(crate) fn take_thread(&self) -> bool {
        if self.threads.fetch_add(1, Ordering::Relaxed) < self.limits.stage_threads {
            return true;
        }
        self.give_thread();
        self.fail(LimitReached::Threads(self.limits.stage_threads));
        false
    }

    pub(crate) fn give_thread(&self) {
        self.threads.fetch_sub(1, Ordering::Relaxed);
    }
}
