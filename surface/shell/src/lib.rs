//! A restricted shell that runs in process: it reads a bash script, evaluates it itself, and never starts a
//! program of the host.
//!
//! [`Shell`] evaluates scripts ([`Shell::run_script`]) and talks to a person at a [`Terminal`]
//! ([`Shell::interactive`]). What a command name means comes from a [`CommandHost`]; which files exist comes
//! from a [`FileTree`]. The shell itself adds bash's builtins and the filters of [`filter`].
//!
//! ```
//! use std::sync::Arc;
//! use varan_shell::{Cancellation, Capture, Channels, Input, MemoryTree, Output, StillHost, Shell};
//! let mut shell = Shell::new(Arc::new(StillHost::new("hscroot", "hmc1")), Arc::new(MemoryTree::new("hscroot")));
//! let cancellation = Cancellation::new();
//! let written = Capture::new(1024);
//! let channels = Channels {
//!     input: Input::empty(),
//!     output: Output::new(written.clone(), &cancellation),
//!     error: Output::discard(),
//!     terminal: None,
//!     cancellation,
//! };
//! assert_eq!(shell.run_script("for i in 1 2; do echo lpar$i; done", channels), 0);
//! assert_eq!(written.take(), b"lpar1\nlpar2\n");
//! ```

mod builtin;
mod cancellation;
mod dialect;
mod escapes;
mod evaluate;
mod files;
pub mod filter;
mod fuzz;
mod host;
mod interactive;
mod limits;
mod pipe;
mod shell;
mod streams;
mod syntax;
mod terminal;
mod variables;

pub use cancellation::{Cancellation, Registration};
pub use dialect::Dialect;
pub use files::{FileError, FileKind, FileSystem, FileTree, MemoryTree, Metadata, PATH_BYTES, TreePath};
pub use filter::date::formatted as formatted_time;
pub use fuzz::fuzz_one;
pub use host::{CommandHost, Feature, Identity, StillHost, WallClock};
pub use limits::{
    BRACE_WORDS, EVALUATED_COMMANDS, EXPANSION_BYTES, FILTER_BYTES, LimitReached, Limits, NESTING_DEPTH,
    OUTPUT_BYTES, PIPELINE_STAGES, SCRIPT_BYTES, STAGE_THREADS, VARIABLE_BYTES,
};
pub use pipe::{PIPE_BYTES, PipeReader, PipeWriter, pipe};
pub use shell::Shell;
pub use streams::{ByteSink, ByteSource, Capture, Channels, Input, Output, Streams, WriteSink};
pub use terminal::{RawTerminal, Terminal};
pub use varan_terminal::{Echo, Event};
pub use variables::{VariableError, Variables};
