//! `more` and `less`: page by page on a terminal, otherwise as `cat`.
//!
//! ```text
//!           page full              space: page, enter: line
//! Showing -----------> Waiting ------------------------------> Showing
//!    | end of input       | q, Ctrl-C, user gone
//!    '--> done            '--> done
//! ```

use super::FilterContext;
use super::cat::copy;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};
use crate::streams::Input;
use crate::terminal::RawTerminal;

static MORE: Grammar = Grammar {
    program: "more",
    synopsis: "more [OPTION]... [FILE]...",
    flags: &[flag('d', ""), flag('f', ""), flag('s', ""), flag('e', ""), value('n', "lines")],
    hint: "Try 'more --help' for more information.\n",
    trouble: 1,
};

static LESS: Grammar = Grammar {
    program: "less",
    synopsis: "less [OPTION]... [FILE]...",
    flags: &[flag('E', ""), flag('e', ""), flag('F', ""), flag('R', ""), flag('S', ""), flag('X', "")],
    hint: "Try 'less --help' for more information.\n",
    trouble: 1,
};

/// Rows and columns of a terminal that does not tell its size.
const DEFAULT_SIZE: (usize, usize) = (24, 80);

const INTERRUPT: u8 = 3;

/// Runs `more`.
pub(crate) fn run_more(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &MORE, |process, parsed| page_all(process, parsed, false))
}

/// Runs `less`.
pub(crate) fn run_less(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &LESS, |process, parsed| page_all(process, parsed, true))
}

fn page_all(process: &mut Process<'_>, parsed: Parsed, less: bool) -> Result<u8, Stop> {
    let names = parsed.inputs();
    let mut status = 0;
    let mut pager = Pager::new(process, &parsed, less);
    for name in &names {
        let input = match process.open(name) {
            Ok(input) => input,
            Err(error) => {
                let message = if process.is_korn() {
                    format!("{name}: {}\n", error.in_words_of_aix())
                } else if less {
                    format!("{name}: {error}\n")
                } else {
                    format!("more: cannot open {name}: {error}\n")
                };
                process.complain_raw(&message)?;
                status = 1;
                continue;
            }
        };
        if names.len() > 1 && !less {
            process.write(format!("::::::::::::::\n{name}\n::::::::::::::\n").as_bytes())?;
        }
        let goes_on = match &mut pager {
            Some(pager) => pager.page(process, &input)?,
            None => copy(process, &input).map(|()| true)?,
        };
        if !goes_on {
            return Ok(0);
        }
    }
    if let Some(pager) = pager.filter(|_| less && status == 0) {
        pager.wait_at_end(process)?;
    }
    Ok(status)
}

/// A terminal that shows pages.
struct Pager {
    keys: RawTerminal,
    rows: usize,
    columns: usize,
    /// Rows that may be shown before the next wait.
    left: usize,
    less: bool,
}

/// What the user wants next.
enum Next {
    Page,
    Line,
    Quit,
}

impl Pager {
    /// A pager, if the output is a terminal and keys can be read.
    fn new(process: &Process<'_>, parsed: &Parsed, less: bool) -> Option<Self> {
        let terminal = process.context.keyboard.filter(|_| process.context.terminal)?;
        let known = |size: u16, otherwise: usize| if size == 0 { otherwise } else { usize::from(size) };
        let lines = parsed.last('n').and_then(|text| text.parse::<usize>().ok());
        // The last row is the prompt's.
        let rows = lines.unwrap_or(known(terminal.rows(), DEFAULT_SIZE.0).saturating_sub(1)).max(1);
        let columns = known(terminal.columns(), DEFAULT_SIZE.1);
        Some(Self { keys: terminal.raw(), rows, columns, left: rows, less })
    }

    /// Shows an input. False when the user has seen enough.
    fn page(&mut self, process: &mut Process<'_>, input: &Input) -> Result<bool, Stop> {
        let mut line = Vec::new();
        while let Some(ended) = process.read_line(input, &mut line)? {
            let rows = self.rows_of(&line);
            if rows > self.left && self.left < self.rows {
                match self.wait(process, if self.less { ":" } else { "--More--" })? {
                    Next::Page => self.left = self.rows,
                    Next::Line => self.left = rows,
                    Next::Quit => return Ok(false),
                }
            }
            self.left = self.left.saturating_sub(rows);
            process.write(&line)?;
            if ended {
                process.write(b"\n")?;
            }
        }
        Ok(true)
    }

    fn rows_of(&self, line: &[u8]) -> usize {
        varan_terminal::text_width(&String::from_utf8_lossy(line)).div_ceil(self.columns).max(1)
    }

    /// `less` stays at the end until the user leaves it.
    fn wait_at_end(&self, process: &mut Process<'_>) -> Result<(), Stop> {
        while !matches!(self.wait(process, "(END)")?, Next::Quit) {}
        Ok(())
    }

    fn wait(&self, process: &mut Process<'_>, prompt: &str) -> Result<Next, Stop> {
        process.write(prompt.as_bytes())?;
        process.flush()?;
        let mut key = [0];
        let next = loop {
            // A terminal that fails is one that is gone.
            let read = self.keys.read(&mut key, process.context.cancellation).unwrap_or(0);
            process.check()?;
            match key[0] {
                _ if read == 0 => break Next::Quit,
                b' ' | b'f' => break Next::Page,
                b'\r' | b'\n' | b'j' => break Next::Line,
                b'q' | b'Q' | INTERRUPT => break Next::Quit,
                _ => {}
            }
        };
        process.write(b"\r\x1b[K")?;
        process.flush()?;
        Ok(next)
    }
}
