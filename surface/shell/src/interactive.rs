//! A shell with a person at it.
//!
//! ```text
//!            first line                       complete text
//! Prompt -----------------> (More lines) ---------------------> Running --> Prompt
//!   |  ^  Ctrl-C: status 130     |  Ctrl-C                         |  Ctrl-C: status 130
//!   |  '-------------------------'                                 |
//!   | Ctrl-D, the user is gone                                     | exit
//!   '--------------------------------> Ended <---------------------'
//! ```

use std::sync::Arc;

use varan_terminal::{Echo, Event};

use crate::builtin;
use crate::cancellation::Cancellation;
use crate::evaluate::INTERRUPTED;
use crate::files::{FileKind, TreePath};
use crate::filter;
use crate::shell::{End, Shell};
use crate::terminal::Terminal;

/// The prompt for the next line of a command when the user has not set `PS2`.
const CONTINUATION: &str = "> ";

/// The status of a session whose user is gone: 128 + SIGHUP.
const HUNG_UP: u8 = 129;

/// Names offered to a person who pressed Tab, at most: more do not fit on a screen.
const CHOICES: usize = 200;

/// What came from the keyboard.
enum Typed {
    /// One or more whole commands, with the history's form of them.
    Text {
        text: String,
        entries: Vec<String>,
    },
    Interrupted,
    EndOfFile,
    /// The terminal failed or the session was cancelled.
    Gone,
}

impl Shell {
    /// Talks to the person at the terminal until `exit`, Ctrl-D, a hang-up or the cancellation, and returns
    /// the session's exit status. Works on the calling thread, which needs 2 MiB of stack.
    pub fn interactive(&mut self, terminal: &Arc<Terminal>, cancellation: &Arc<Cancellation>) -> u8 {
        loop {
            let (text, entries) = match self.read_commands(terminal, cancellation) {
                Typed::Text { text, entries } => (text, entries),
                Typed::Interrupted => {
                    self.state.status = INTERRUPTED;
                    continue;
                }
                Typed::EndOfFile => return self.leave(self.state.status, terminal, cancellation),
                Typed::Gone => return HUNG_UP,
            };
            terminal.with_editor(|editor| entries.iter().for_each(|entry| editor.history_mut().add(entry)));
            terminal.take_interrupted();
            match self.evaluate(&text, &terminal.channels(cancellation), true) {
                End::Done(_) => {}
                End::Exit(status) => return self.leave(status, terminal, cancellation),
                End::Cancelled if cancellation.is_cancelled() => return HUNG_UP,
                End::Cancelled => {
                    // An editor that was reading a line has shown it already.
                    if terminal.take_interrupted() && terminal.write_raw(b"^C\r\n", cancellation).is_err() {
                        return HUNG_UP;
                    }
                }
            }
        }
    }

    fn leave(&self, status: u8, terminal: &Terminal, cancellation: &Arc<Cancellation>) -> u8 {
        if self.host.dialect().is_korn() {
            return status;
        }
        // The user may be gone already.
        let _ = terminal.write_raw(b"logout\r\n", cancellation);
        status
    }

    /// Reads lines until they are whole commands.
    fn read_commands(&self, terminal: &Arc<Terminal>, cancellation: &Arc<Cancellation>) -> Typed {
        let mut text = String::new();
        let mut entries: Vec<String> = Vec::new();
        let mut prompt = self.prompt("PS1", self.host.dialect().prompt());
        loop {
            let complete = |before: &str| self.complete(before);
            match terminal.read_line_with(&prompt, Echo::On, cancellation, Some(&complete)) {
                Ok(Event::Line(line)) => {
                    let more = self.take_line(&line, &mut text, &mut entries);
                    if !more {
                        return Typed::Text { text, entries };
                    }
                    prompt = self.prompt("PS2", CONTINUATION);
                }
                Ok(Event::Interrupt) => return Typed::Interrupted,
                // The end of the input within a command: evaluation reports it as the syntax error it is.
                Ok(_) if !text.is_empty() => return Typed::Text { text, entries },
                Ok(_) => return Typed::EndOfFile,
                Err(_) => return Typed::Gone,
            }
        }
    }

    /// Adds a line to the text and to the history's form of it. True when the command goes on.
    fn take_line(&self, line: &str, text: &mut String, entries: &mut Vec<String>) -> bool {
        let before = if text.is_empty() { None } else { self.incomplete(text) };
        match (before, entries.last_mut()) {
            // One entry that means the same as the lines.
            (Some(false), Some(entry)) => join_line(entry, line),
            _ => entries.push(line.to_string()),
        }
        text.push_str(line);
        text.push('\n');
        self.incomplete(text).is_some()
    }

    /// A prompt variable with its backslash sequences replaced.
    fn prompt(&self, variable: &str, default: &str) -> String {
        let format = self.state.variables.get(variable).unwrap_or(default);
        if self.host.dialect().is_korn() {
            return self.korn_prompt(format);
        }
        let mut prompt = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character != '\\' {
                prompt.push(character);
                continue;
            }
            match characters.next() {
                Some('u') => prompt.push_str(&self.host.user_name()),
                Some('h' | 'H') => prompt.push_str(&self.host.host_name()),
                Some('w') => prompt.push_str(&self.shown_directory()),
                Some('W') => {
                    let shown = self.shown_directory();
                    let last = shown.rsplit('/').next().filter(|last| !last.is_empty());
                    prompt.push_str(last.unwrap_or(&shown));
                }
                Some('$') => prompt.push('$'),
                Some('s') => prompt.push_str("-bash"),
                Some('n') => prompt.push('\n'),
                Some('e') => prompt.push('\x1b'),
                Some('[' | ']') => {}
                Some('\\') | None => prompt.push('\\'),
                Some(other) => {
                    prompt.push('\\');
                    prompt.push(other);
                }
            }
        }
        prompt
    }

    /// A prompt in which the Korn shell replaces variables: `$PWD`, `${PWD}`.
    fn korn_prompt(&self, format: &str) -> String {
        let mut prompt = String::new();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('$') {
            prompt.push_str(before);
            let braced = after.strip_prefix('{').and_then(|text| text.split_once('}'));
            let (name, next) = match braced {
                Some(parts) => parts,
                None => {
                    let end = after.find(|one: char| !(one.is_ascii_alphanumeric() || one == '_'));
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            match self.state.variables.get(name) {
                Some(value) => prompt.push_str(value),
                None if name.is_empty() => prompt.push('$'),
                None => {}
            }
            rest = next;
        }
        prompt + rest
    }

    /// The working directory with `~` for the home.
    fn shown_directory(&self) -> String {
        let directory = self.state.directory.as_str();
        let home = self.files.home();
        match directory.strip_prefix(home.as_str()) {
            Some("") => "~".to_string(),
            Some(rest) if rest.starts_with('/') => format!("~{rest}"),
            _ => directory.to_string(),
        }
    }

    /// What the word before the cursor can become.
    fn complete(&self, before_cursor: &str) -> Vec<String> {
        let start = before_cursor.rfind(WORD_BREAKS).map_or(0, |index| index + 1);
        let (before, word) = before_cursor.split_at(start);
        let before = before.trim_end();
        let mut names = if before.is_empty() || before.ends_with(['|', ';', '&', '(', '`']) {
            self.command_choices(word)
        } else {
            self.file_choices(word)
        };
        names.sort();
        names.dedup();
        names.truncate(CHOICES);
        names
    }

    fn command_choices(&self, word: &str) -> Vec<String> {
        let own = builtin::names().chain(filter::names().iter().copied()).map(str::to_string);
        let functions = self.state.functions.keys().cloned();
        own.chain(functions).chain(self.host.command_names()).filter(|name| name.starts_with(word)).collect()
    }

    fn file_choices(&self, word: &str) -> Vec<String> {
        let (directory, name) = match word.rfind('/') {
            Some(index) => word.split_at(index + 1),
            None => ("", word),
        };
        let path = if directory.is_empty() { "." } else { directory };
        let Ok(path) = TreePath::resolve(&self.state.directory, path) else { return Vec::new() };
        let names = self.files.list(&path).unwrap_or_default();
        let fitting = names.into_iter().filter(|entry| entry.starts_with(name));
        let shown = fitting.filter(|entry| !name.is_empty() || !entry.starts_with('.'));
        shown
            .map(|entry| {
                let kind = self.files.metadata(&path.join(&entry)).map(|metadata| metadata.kind);
                let slash = if kind == Ok(FileKind::Directory) { "/" } else { "" };
                format!("{directory}{entry}{slash}")
            })
            .collect()
    }
}

/// Characters behind which a word begins, for completion.
pub(crate) const WORD_BREAKS: [char; 8] = [' ', '|', ';', '&', '(', '`', '"', '='];

/// Joins a further line to a command so that it stays the same command on one line.
fn join_line(entry: &mut String, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    if let Some(shortened) = entry.strip_suffix('\\') {
        entry.truncate(shortened.len());
        entry.push_str(line);
        return;
    }
    let trimmed = entry.trim_end();
    let word = trimmed.rsplit([' ', ';']).next().unwrap_or(trimmed);
    let open = ["do", "then", "else", "in", "{", "if", "while", "until", "elif", "!"].contains(&word);
    let joined = open || trimmed.ends_with(['|', '&', '(', ';']);
    entry.push_str(if joined { " " } else { "; " });
    entry.push_str(line.trim_start());
}
