//! One running filter: buffered output, input, messages, and how it ends.

use std::io::{self, Read};

use super::FilterContext;
use super::options::{Grammar, Parsed, help_text, parse};
use crate::files::{FileError, TreePath};
use crate::limits::LimitReached;
use crate::streams::Input;

/// Output that is held back before it is written: half of what a pipe holds.
const OUTPUT_BUFFER: usize = 32 * 1024;

/// The status of a program that wrote to a closed pipe: 128 + SIGPIPE.
const CLOSED: u8 = 141;

/// The status of a program that was interrupted: 128 + SIGINT.
const CANCELLED: u8 = 130;

/// Why a filter ends before its work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nobody reads the output any more.
    Closed,
    /// The cancellation is set.
    Cancelled,
    /// Ended on purpose; what was to be said is said.
    Status(u8),
}

/// What one filter works with.
pub(crate) struct Process<'a> {
    pub(crate) context: &'a FilterContext<'a>,
    grammar: &'static Grammar,
    output: Vec<u8>,
}

/// The body of a filter.
pub(crate) type Body = fn(&mut Process<'_>, Parsed) -> Result<u8, Stop>;

/// Runs a filter's body over the arguments of its context.
pub(crate) fn run(context: &mut FilterContext<'_>, grammar: &'static Grammar, body: Body) -> u8 {
    let arguments = context.arguments;
    run_with(context, grammar, arguments, body)
}

/// As [`run`], with other arguments than the context's.
pub(crate) fn run_with(
    context: &FilterContext<'_>,
    grammar: &'static Grammar,
    arguments: &[String],
    body: Body,
) -> u8 {
    let mut process = Process { context, grammar, output: Vec::new() };
    let result = process.start(arguments, body);
    let flushed = if matches!(result, Ok(_) | Err(Stop::Status(_))) { process.flush() } else { Ok(()) };
    match (result, flushed) {
        (Err(Stop::Closed), _) | (_, Err(Stop::Closed)) => CLOSED,
        (Err(Stop::Cancelled), _) | (_, Err(Stop::Cancelled)) => CANCELLED,
        (_, Err(Stop::Status(status))) | (Ok(status) | Err(Stop::Status(status)), Ok(())) => status,
    }
}

impl Process<'_> {
    fn start(&mut self, arguments: &[String], body: Body) -> Result<u8, Stop> {
        let parsed = match parse(self.grammar, arguments) {
            Ok(parsed) => parsed,
            Err(message) => return Err(self.usage_error(&message)),
        };
        if parsed.help {
            self.write(help_text(self.grammar).as_bytes())?;
            return Ok(0);
        }
        body(self, parsed)
    }

    /// Writes to standard output, sooner or later.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.output.extend_from_slice(bytes);
        if self.output.len() >= OUTPUT_BUFFER { self.flush() } else { Ok(()) }
    }

    /// Writes what is held back.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        if self.output.is_empty() {
            return Ok(());
        }
        let result = self.context.stdout.write_bytes(&self.output);
        self.output.clear();
        result.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::Closed,
            io::ErrorKind::ConnectionAborted => Stop::Cancelled,
            _ => self.fail(&format!("write error: {error}")),
        })
    }

    /// Writes a message with the program's name in front to standard error, after all output so far.
    pub(crate) fn complain(&mut self, message: &str) -> Result<(), Stop> {
        let text = format!("{}: {message}\n", self.grammar.program);
        self.complain_raw(&text)
    }

    /// Writes to standard error as it is.
    pub(crate) fn complain_raw(&mut self, text: &str) -> Result<(), Stop> {
        self.flush()?;
        match self.context.stderr.write_bytes(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Err(Stop::Cancelled),
            // As for a real program: a message that nobody reads changes nothing.
            _ => Ok(()),
        }
    }

    /// Complains and ends with the status for trouble.
    pub(crate) fn fail(&mut self, message: &str) -> Stop {
        match self.complain(message) {
            Ok(()) => Stop::Status(self.grammar.trouble),
            Err(stop) => stop,
        }
    }

    /// Complains, adds the hint how to use the filter and ends with the status for trouble.
    pub(crate) fn usage_error(&mut self, message: &str) -> Stop {
        let text = format!("{}: {message}\n{}", self.grammar.program, self.grammar.hint);
        match self.complain_raw(&text) {
            Ok(()) => Stop::Status(self.grammar.trouble),
            Err(stop) => stop,
        }
    }

    /// The usage error of an operand too many.
    pub(crate) fn extra_operand(&mut self, operand: &str) -> Stop {
        self.usage_error(&format!("extra operand '{operand}'"))
    }

    /// The error of a filter that would have to hold too much.
    pub(crate) fn too_large(&mut self) -> Stop {
        let limit = LimitReached::Filter(self.context.limits.filter_bytes);
        self.fail(&limit.to_string())
    }

    /// Whether messages are those of AIX.
    pub(crate) fn is_korn(&self) -> bool {
        self.context.host.dialect().is_korn()
    }

    /// What is said of an operand that cannot be read: AIX's number and words, or what the program says elsewhere.
    pub(crate) fn unreadable(&self, name: &str, error: &FileError, aix: &str, elsewhere: String) -> String {
        match (self.is_korn(), aix) {
            (false, _) => elsewhere,
            (true, "") => format!("{name}: {}", error.in_words_of_aix()),
            (true, number) => format!("{number} Cannot open {name}."),
        }
    }

    /// The path that an operand names.
    pub(crate) fn path(&self, name: &str) -> Result<TreePath, FileError> {
        TreePath::resolve(self.context.directory, name)
    }

    /// Opens an operand; `-` is standard input.
    pub(crate) fn open(&self, name: &str) -> Result<Input, FileError> {
        if name == "-" { Ok(self.context.stdin.clone()) } else { self.open_file(name) }
    }

    /// Opens an operand that is always a file's name.
    pub(crate) fn open_file(&self, name: &str) -> Result<Input, FileError> {
        let reader = self.context.files.open(&self.path(name)?)?;
        Ok(Input::from_reader(reader, self.context.cancellation))
    }

    /// Opens an operand, or complains `NAME: REASON`.
    pub(crate) fn open_or_complain(&mut self, name: &str) -> Result<Option<Input>, Stop> {
        match self.open(name) {
            Ok(input) => Ok(Some(input)),
            Err(_) if self.is_korn() && self.grammar.program == "cat" => {
                self.complain(&format!("0652-050 Cannot open {name}.")).map(|()| None)
            }
            Err(error) if self.is_korn() => {
                self.complain(&format!("{name}: {}", error.in_words_of_aix())).map(|()| None)
            }
            Err(error) => self.complain(&format!("{name}: {error}")).map(|()| None),
        }
    }

    /// Reads one line without its newline into `line`. `None` is the end, `Some(false)` a last line that
    /// has no newline.
    pub(crate) fn read_line(&mut self, input: &Input, line: &mut Vec<u8>) -> Result<Option<bool>, Stop> {
        line.clear();
        self.before_read(input)?;
        match input.read_until(b'\n', line, self.context.limits.filter_bytes) {
            Ok(0) => Ok(None),
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                Ok(Some(true))
            }
            Ok(_) => Ok(Some(false)),
            Err(error) => Err(self.read_error(&error)),
        }
    }

    /// Reads some bytes; 0 is the end.
    pub(crate) fn read_block(&mut self, mut input: &Input, block: &mut [u8]) -> Result<usize, Stop> {
        self.before_read(input)?;
        input.read(block).map_err(|error| self.read_error(&error))
    }

    /// Ends a cancelled filter, and shows what it has before a wait for more input.
    fn before_read(&mut self, input: &Input) -> Result<(), Stop> {
        if self.context.cancellation.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        if !self.output.is_empty() && !input.has_buffered() { self.flush() } else { Ok(()) }
    }

    /// Ends a filter whose cancellation is set; for work that neither reads nor writes.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        if self.context.cancellation.is_cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
    }

    fn read_error(&mut self, error: &io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::ConnectionAborted => Stop::Cancelled,
            io::ErrorKind::OutOfMemory => self.too_large(),
            _ => self.fail(&format!("read error: {error}")),
        }
    }
}
