//! Runs filters, and the host's tools of the same name, over the same files.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::cancellation::Cancellation;
use crate::files::{MemoryTree, TreePath};
use crate::filter::{FilterContext, lookup};
use crate::host::{CommandHost, Identity, WallClock};
use crate::limits::Limits;
use crate::streams::{Capture, Input, Output, Streams};

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: i32,
    pub(super) output: Vec<u8>,
    pub(super) error: String,
}

impl Outcome {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

/// A host without commands, with a clock that stands still.
pub(super) struct Clock(pub(super) WallClock);

impl Clock {
    pub(super) fn utc(unix_seconds: i64) -> Self {
        Self(WallClock { unix_seconds, nanoseconds: 0, offset_seconds: 0, zone: "UTC".to_string() })
    }
}

impl CommandHost for Clock {
    fn lookup(&self, _: &str) -> bool {
        false
    }

    fn run(&self, _: &str, _: &[String], _: Streams<'_>) -> u8 {
        127
    }

    fn command_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn user_name(&self) -> String {
        "hscroot".to_string()
    }

    fn host_name(&self) -> String {
        "hmc".to_string()
    }

    fn identity(&self) -> Identity {
        Identity { user_id: 0, groups: vec![(0, "hmc".to_string())] }
    }

    fn wall_clock(&self) -> WallClock {
        self.0.clone()
    }

    fn sleep(&self, _: Duration, _: &Cancellation) {}

    fn manual(&self, _: &str) -> Option<String> {
        None
    }
}

/// Runs a filter over files.
pub(super) fn run_over(files: &[(&str, &[u8])], name: &str, arguments: &[&str], input: &[u8]) -> Outcome {
    let limits = Limits::default();
    run_full(files, name, arguments, input, &Clock::utc(1_795_258_800), limits)
}

/// Runs a filter with everything that can be chosen.
pub(super) fn run_full(
    files: &[(&str, &[u8])],
    name: &str,
    arguments: &[&str],
    input: &[u8],
    host: &Clock,
    limits: Limits,
) -> Outcome {
    let tree = MemoryTree::new("hscroot");
    for (path, content) in files {
        tree.add(path, content).expect("a valid path");
    }
    let cancellation = Cancellation::new();
    let (output, error) = (Capture::new(1 << 28), Capture::new(1 << 24));
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
    let filter = lookup(name).expect("a known filter");
    let status = filter(&mut FilterContext {
        arguments: &arguments,
        stdin: &Input::from_bytes(input.to_vec()),
        stdout: &Output::new(output.clone(), &cancellation),
        stderr: &Output::new(error.clone(), &cancellation),
        files: &tree,
        directory: &TreePath::root(),
        host,
        cancellation: &cancellation,
        limits,
        terminal: false,
        keyboard: None,
    });
    let error = String::from_utf8_lossy(&error.take()).into_owned();
    Outcome { status: status.into(), output: output.take(), error }
}

/// Runs a filter over standard input only.
pub(super) fn run(name: &str, arguments: &[&str], input: &[u8]) -> Outcome {
    run_over(&[], name, arguments, input)
}

/// A directory of the host with the same files, for its tools.
pub(super) struct HostTools {
    directory: PathBuf,
    locale: &'static str,
}

impl HostTools {
    /// Writes the files; `None`, with a printed reason, when the tool is missing or is not GNU's.
    pub(super) fn new(tool: &str, files: &[(&str, &[u8])], locale: &'static str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let version = Command::new(tool).arg("--version").output();
        let known = version.is_ok_and(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.contains("GNU") || text.contains("util-linux")
        });
        if !known {
            println!("SKIP: no GNU {tool} on this host");
            return None;
        }
        let name = format!("varan-filter-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        for (path, content) in files {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, content).expect("a file");
        }
        fs::create_dir_all(&directory).expect("a directory");
        Some(Self { directory, locale })
    }

    pub(super) fn run(&self, tool: &str, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut child = Command::new(tool)
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", self.locale)
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool was there a moment ago");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        // A tool may end without reading everything; that is no error here.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("an output");
        writer.join().expect("a writer");
        Outcome {
            status: output.status.code().unwrap_or(-1),
            output: output.stdout,
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Drop for HostTools {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Differences shown when a comparison fails.
const SHOWN: usize = 8;

/// Compares a filter with the host's tool, case by case.
pub(super) struct Comparison<'a> {
    tools: HostTools,
    tool: &'a str,
    files: &'a [(&'a str, &'a [u8])],
    cases: u64,
    differences: Vec<String>,
}

impl<'a> Comparison<'a> {
    /// `None`, with a printed reason, when there is nothing to compare with.
    pub(super) fn new(tool: &'a str, files: &'a [(&'a str, &'a [u8])], locale: &'static str) -> Option<Self> {
        let tools = HostTools::new(tool, files, locale)?;
        Some(Self { tools, tool, files, cases: 0, differences: Vec::new() })
    }

    /// One case: output and status must be the same.
    pub(super) fn case(&mut self, arguments: &[&str], input: &[u8], seed: u64) {
        let expected = self.tools.run(self.tool, arguments, input);
        let actual = run_over(self.files, self.tool, arguments, input);
        self.cases += 1;
        if actual.status != expected.status || actual.output != expected.output {
            self.differences.push(format!(
                "seed {seed}: {} {arguments:?}\ninput    {:?}\nexpected {} {:?} {:?}\nactual   {} {:?} {:?}\n",
                self.tool,
                String::from_utf8_lossy(input),
                expected.status,
                expected.text(),
                expected.error,
                actual.status,
                actual.text(),
                actual.error,
            ));
        }
    }

    /// Fails when there was a difference.
    pub(super) fn finish(self) {
        let count = self.differences.len();
        let shown = self.differences.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(count == 0, "{count} of {} cases differ\n{shown}", self.cases);
        println!("{}: {} cases like the host's", self.tool, self.cases);
    }
}

/// A small generator of repeatable random numbers (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// Up to `most` of the pieces one after the other.
    pub(super) fn joined(&mut self, pieces: &[&str], most: usize) -> String {
        let count = self.below(most + 1);
        (0..count).map(|_| self.pick(pieces)).collect()
    }

    /// Lines of pieces; sometimes the last one has no newline.
    pub(super) fn lines(&mut self, pieces: &[&[u8]], most_lines: usize, most_pieces: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.below(most_lines + 1) {
            for _ in 0..self.below(most_pieces + 1) {
                text.extend_from_slice(self.pick(pieces));
            }
            text.push(b'\n');
        }
        if self.chance(4) {
            text.pop();
        }
        text
    }

    /// Each option with a chance of one in three.
    pub(super) fn options(&mut self, options: &[&str]) -> Vec<String> {
        options.iter().filter(|_| self.below(3) == 0).map(|option| option.to_string()).collect()
    }
}

/// The words as `&str`.
pub(super) fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// An output whose reader is gone.
pub(super) fn closed_output(cancellation: &Arc<Cancellation>) -> Output {
    let (writer, reader) = crate::pipe::pipe(16);
    drop(reader);
    Output::new(Arc::new(writer), cancellation)
}
