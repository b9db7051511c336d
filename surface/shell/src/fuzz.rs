//! The entry of the fuzz target.

use std::sync::Arc;

use crate::cancellation::Cancellation;
use crate::dialect::Dialect;
use crate::files::MemoryTree;
use crate::host::StillHost;
use crate::limits::Limits;
use crate::shell::Shell;
use crate::streams::{Capture, Channels, Input, Output};

/// Bytes that a fuzzed script may write: enough to see every builtin, little enough to be quick.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Evaluates any bytes as a script. It must neither panic nor run away: limits far below the real ones make
/// sure that one input ends soon.
pub fn fuzz_one(data: &[u8]) {
    for dialect in [Dialect::Console, Dialect::RestrictedKorn, Dialect::Korn] {
        fuzz_dialect(data, dialect);
    }
}

fn fuzz_dialect(data: &[u8], dialect: Dialect) {
    let text = String::from_utf8_lossy(data);
    let files = MemoryTree::new("hscroot");
    for (path, content) in [("/names", "lpar2\nlpar1\nlpar1\n"), ("/logs/a b", "x:y\n"), ("/.hidden", "")] {
        if files.add(path, content.as_bytes()).is_err() {
            return;
        }
    }
    let limits = Limits {
        output_bytes: OUTPUT_BYTES as u64,
        evaluated_commands: 2_000,
        pipeline_stages: 6,
        stage_threads: 12,
        expansion_bytes: 16 * 1024,
        brace_words: 1_000,
        variable_bytes: 64 * 1024,
        filter_bytes: 64 * 1024,
        ..Limits::default()
    };
    let host = StillHost::new("hscroot", "hmc1").speaking(dialect);
    let mut shell = Shell::with_limits(Arc::new(host), Arc::new(files), limits);
    let cancellation = Cancellation::new();
    // A message about a limit comes on top.
    let written = Capture::new(2 * OUTPUT_BYTES);
    let output = Output::new(written, &cancellation);
    let channels = Channels {
        input: Input::from_bytes(b"one two\nthree\\\nfour\n\n".to_vec()),
        error: output.clone(),
        output,
        terminal: None,
        cancellation,
    };
    // What it evaluates to is of no interest here, only that it ends.
    let _ = shell.run_script(&text, channels);
    let _ = shell.incomplete(&text);
}
