//! Redirections of a restricted shell: reading files, `/dev/null`, and joining output and error.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Eval, Evaluator};
use crate::cancellation::Cancellation;
use crate::dialect::Dialect;
use crate::files::TreePath;
use crate::host::Feature;
use crate::streams::{ByteSink, Input, Output};
use crate::syntax::tree::{Redirection, Target, Word};

/// What was there before a redirection.
pub(crate) struct SavedStreams {
    input: Input,
    output: Output,
    error: Output,
}

/// A file that is written.
struct FileSink(Mutex<Box<dyn Write + Send>>);

impl ByteSink for FileSink {
    fn write_all(&self, bytes: &[u8], _: &Arc<Cancellation>) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)
    }
}

impl Evaluator {
    pub(crate) fn save_streams(&self) -> SavedStreams {
        SavedStreams { input: self.input.clone(), output: self.output.clone(), error: self.error.clone() }
    }

    pub(crate) fn restore_streams(&mut self, saved: SavedStreams) {
        (self.input, self.output, self.error) = (saved.input, saved.output, saved.error);
    }

    /// Applies redirections from left to right. False when one was refused; a message has been written.
    pub(crate) fn redirect(&mut self, redirections: &[Redirection]) -> Eval<bool> {
        for redirection in redirections {
            if let Err(message) = self.redirect_one(redirection)? {
                self.complain(&message)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn redirect_one(&mut self, redirection: &Redirection) -> Eval<Result<(), String>> {
        let descriptor = redirection.descriptor;
        let target = match &redirection.target {
            Target::Read(path) => {
                let path = self.expand_text(path)?;
                return Ok(self.open(&path).map(|input| {
                    if descriptor == 0 {
                        self.input = input
                    }
                }));
            }
            Target::HereDocument(body) => {
                let text = match body.get() {
                    Some(word) => self.expand_text(word)?,
                    None => String::new(),
                };
                self.input = Input::from_bytes(text.into_bytes());
                return Ok(Ok(()));
            }
            Target::HereString(word) => {
                let mut text = self.expand_text(word)?;
                text.push('\n');
                self.input = Input::from_bytes(text.into_bytes());
                return Ok(Ok(()));
            }
            Target::Write { path, append } => self.create(path, *append)?,
            Target::WriteBoth { path, append } => {
                let created = self.create(path, *append)?;
                return Ok(created.map(|output| {
                    self.error = output.clone();
                    self.output = output;
                }));
            }
            Target::Duplicate(word) => {
                let text = self.expand_text(word)?;
                match (descriptor, text.as_str()) {
                    (0, "0") => return Ok(Ok(())),
                    (0, "-") => {
                        self.input = Input::empty();
                        return Ok(Ok(()));
                    }
                    (_, "1") => Ok(self.output.clone()),
                    (_, "2") => Ok(self.error.clone()),
                    (_, "-") => Ok(Output::discard().metered(&self.run.meter)),
                    (1, _) if !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                        Err(self.run.dialect.redirection_refused(&text))
                    }
                    _ => Err(format!("{text}: Bad file descriptor")),
                }
            }
        };
        Ok(target.and_then(|output| match descriptor {
            1 => {
                self.output = output;
                Ok(())
            }
            2 => {
                self.error = output;
                Ok(())
            }
            other => Err(format!("{other}: Bad file descriptor")),
        }))
    }

    fn open(&self, path: &str) -> Result<Input, String> {
        if path == "/dev/null" {
            return Ok(Input::empty());
        }
        TreePath::resolve(&self.state.directory, path)
            .and_then(|resolved| self.run.files.open(&resolved))
            .map(|reader| Input::from_reader(reader, self.run.cancellation()))
            .map_err(|error| self.run.dialect.unreadable(path, &error))
    }

    fn create(&mut self, path: &Word, append: bool) -> Eval<Result<Output, String>> {
        let path = self.expand_text(path)?;
        let dialect = self.run.dialect;
        if path == "/dev/null" && dialect != Dialect::RestrictedKorn {
            return Ok(Ok(Output::discard().metered(&self.run.meter)));
        }
        if !self.run.host.allows(Feature::OutputRedirection) {
            return Ok(Err(dialect.redirection_refused(&path)));
        }
        let created = TreePath::resolve(&self.state.directory, &path)
            .and_then(|resolved| self.run.files.create(&resolved, append))
            .map_err(|error| dialect.not_created(&path, &error));
        Ok(created.map(|writer| {
            Output::new(Arc::new(FileSink(Mutex::new(writer))), self.run.cancellation())
                .metered(&self.run.meter)
        }))
    }

    /// `$(< file)`: copies a file to the output.
    pub(crate) fn copy_file(&mut self, path: &Word) -> Eval<u8> {
        let path = self.expand_text(path)?;
        match self.open(&path) {
            Err(message) => {
                self.complain(&message)?;
                Ok(1)
            }
            Ok(mut input) => {
                let output = self.output.clone();
                let copied = std::io::copy(&mut input, &mut &output).map(|_| ());
                self.written(copied)?;
                Ok(0)
            }
        }
    }
}
