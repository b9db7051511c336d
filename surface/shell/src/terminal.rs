//! A user's terminal: raw bytes on one side, lines or raw bytes on the other.
//!
//! ```text
//!                read_line                    a line, Ctrl-C, Ctrl-D
//! Cooked -----------------------> Editing ---------------------------> Cooked
//!   |  ^  Ctrl-C sets the foreground's cancellation
//!   |  |
//!   |  '---- the guard is dropped
//!   '------> Raw: every byte, Ctrl-C too, goes to whoever reads raw
//! ```

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use varan_terminal::{Echo, Event, LineEditor};

use crate::cancellation::Cancellation;
use crate::pipe::{PIPE_BYTES, PipeReader, PipeWriter, pipe};
use crate::streams::{ByteSink, ByteSource, Channels, Input, Output};

const COOKED: u8 = 0;
const EDITING: u8 = 1;
const RAW: u8 = 2;

const INTERRUPT: u8 = 3;

/// Says what the word before the cursor can become.
pub(crate) type Complete<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// A user's terminal. The transport feeds what the user types and gives the sink that shows bytes; the
/// shell and its commands read lines or raw bytes.
pub struct Terminal {
    input: PipeReader,
    feeder: Mutex<Option<PipeWriter>>,
    sink: Arc<dyn ByteSink>,
    mode: AtomicU8,
    columns: AtomicU16,
    rows: AtomicU16,
    editor: Mutex<LineEditor>,
    foreground: Mutex<Option<Arc<Cancellation>>>,
    interrupted: AtomicBool,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Terminal")
            .field("columns", &self.columns())
            .field("rows", &self.rows())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminal {
    /// A terminal of the given size (0: unknown) that shows its bytes through `sink`.
    pub fn new(sink: Arc<dyn ByteSink>, columns: u16, rows: u16) -> Arc<Self> {
        let (writer, input) = pipe(PIPE_BYTES);
        Arc::new(Self {
            input,
            feeder: Mutex::new(Some(writer)),
            sink,
            mode: AtomicU8::new(COOKED),
            columns: AtomicU16::new(columns),
            rows: AtomicU16::new(rows),
            editor: Mutex::new(LineEditor::new(columns)),
            foreground: Mutex::new(None),
            interrupted: AtomicBool::new(false),
        })
    }

    /// Takes bytes that the user typed, without waiting for a thread. Ready with how many were taken.
    ///
    /// # Errors
    /// `BrokenPipe` after [`Terminal::hang_up`].
    pub fn poll_feed(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let skipped = self.interrupt_foreground(bytes);
        if skipped == bytes.len() {
            return Poll::Ready(Ok(skipped));
        }
        match &*lock(&self.feeder) {
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(writer) => {
                let written = writer.poll_write(context, &bytes[skipped..]);
                self.interrupt_late(&bytes[skipped..]);
                match written {
                    // What was skipped is dealt with, so it must be reported even when the rest has to wait.
                    Poll::Pending if skipped > 0 => Poll::Ready(Ok(skipped)),
                    written => written.map(|count| count.map(|count| count + skipped)),
                }
            }
        }
    }

    /// Takes bytes that the user typed, waiting for room.
    ///
    /// # Errors
    /// `BrokenPipe` after [`Terminal::hang_up`], `ConnectionAborted` when cancelled.
    pub fn feed(&self, bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()> {
        let skipped = self.interrupt_foreground(bytes);
        let writer = lock(&self.feeder).clone();
        match writer {
            None => Err(io::ErrorKind::BrokenPipe.into()),
            Some(writer) => {
                writer.write_all(&bytes[skipped..], cancellation)?;
                self.interrupt_late(&bytes[skipped..]);
                Ok(())
            }
        }
    }

    /// The user is gone: reads end after what was typed before.
    pub fn hang_up(&self) {
        lock(&self.feeder).take();
    }

    /// Sets the size in columns and rows (0: unknown).
    pub fn resize(&self, columns: u16, rows: u16) {
        self.columns.store(columns, Ordering::Relaxed);
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// Columns, 0 when unknown.
    pub fn columns(&self) -> u16 {
        self.columns.load(Ordering::Relaxed)
    }

    /// Rows, 0 when unknown.
    pub fn rows(&self) -> u16 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Hands the terminal to one command byte by byte until the guard is dropped: no echo, no editing, and
    /// Ctrl-C is a byte like any other. What was typed ahead is read first.
    pub fn raw(self: &Arc<Self>) -> RawTerminal {
        let before = self.mode.swap(RAW, Ordering::AcqRel);
        let typed_ahead = lock(&self.editor).take_queued_input();
        RawTerminal { terminal: self.clone(), before, typed_ahead: Mutex::new(typed_ahead) }
    }

    /// Shows bytes as they are: the caller writes `\r\n` for a line's end.
    ///
    /// # Errors
    /// As [`ByteSink::write_all`].
    pub fn write_raw(&self, bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()> {
        self.sink.write_all(bytes, cancellation)
    }

    /// Prompts for and reads one line with editing, or without echo for a password. Ctrl-D on an empty line
    /// and the end of the terminal are `EndOfFile`.
    ///
    /// # Errors
    /// `ConnectionAborted` when cancelled; what the sink fails with.
    pub fn read_line(&self, prompt: &str, echo: Echo, cancellation: &Arc<Cancellation>) -> io::Result<Event> {
        self.read_line_with(prompt, echo, cancellation, None)
    }

    /// As [`Terminal::read_line`]; the Tab key offers what `complete` returns for the text before the cursor.
    pub(crate) fn read_line_with(
        &self,
        prompt: &str,
        echo: Echo,
        cancellation: &Arc<Cancellation>,
        complete: Option<Complete<'_>>,
    ) -> io::Result<Event> {
        let before = self.mode.swap(EDITING, Ordering::AcqRel);
        let result = self.edit_line(prompt, echo, cancellation, complete);
        self.mode.store(before, Ordering::Release);
        self.interrupt_queued();
        result
    }

    fn edit_line(
        &self,
        prompt: &str,
        echo: Echo,
        cancellation: &Arc<Cancellation>,
        complete: Option<Complete<'_>>,
    ) -> io::Result<Event> {
        let mut editor = lock(&self.editor);
        editor.set_columns(self.columns());
        editor.enable_completion(complete.is_some());
        editor.start(prompt, echo);
        let mut buffer = [0; 1024];
        loop {
            let event = editor.next_event();
            let shown = editor.take_output();
            if !shown.is_empty() {
                self.sink.write_all(&shown, cancellation)?;
            }
            match event {
                Some(Event::Complete { before_cursor }) => {
                    let offered = complete.map(|complete| complete(&before_cursor)).unwrap_or_default();
                    offer_completion(&mut editor, &before_cursor, &offered);
                }
                Some(event) => return Ok(event),
                None => {
                    let count = self.input.read(&mut buffer, cancellation)?;
                    if count == 0 {
                        return Ok(Event::EndOfFile);
                    }
                    // The editor's queue is empty here and larger than this buffer.
                    editor.feed(&buffer[..count]);
                    editor.set_columns(self.columns());
                }
            }
        }
    }

    /// Gives access to the line editor, for its history.
    pub(crate) fn with_editor<T>(&self, action: impl FnOnce(&mut LineEditor) -> T) -> T {
        action(&mut lock(&self.editor))
    }

    /// Says whose cancellation Ctrl-C sets while a command runs. A Ctrl-C that was typed behind the command's
    /// line and waits to be read sets it at once.
    pub fn set_foreground(&self, cancellation: Option<Arc<Cancellation>>) {
        *lock(&self.foreground) = cancellation;
        self.interrupt_queued();
    }

    /// Standard streams on this terminal: lines in, `\n` shown as `\r\n`.
    pub fn channels(self: &Arc<Self>, cancellation: &Arc<Cancellation>) -> Channels {
        let output = Output::new(Arc::new(CookedOutput(self.clone())), cancellation);
        Channels {
            input: Input::new(Arc::new(CookedInput(self.clone())), cancellation),
            error: output.clone(),
            output,
            terminal: Some(self.clone()),
            cancellation: cancellation.clone(),
        }
    }

    /// Whether Ctrl-C stopped a command since the last call. It was not echoed: the one who feeds must not wait.
    pub(crate) fn take_interrupted(&self) -> bool {
        self.interrupted.swap(false, Ordering::AcqRel)
    }

    /// Feeds everything that a reader gives, until its end, an error or a hang-up; then hangs up. For a
    /// blocking transport: run it on a thread of its own.
    pub fn feed_from(&self, mut reader: impl Read, cancellation: &Arc<Cancellation>) {
        let mut buffer = [0; 4096];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) if self.feed(&buffer[..count], cancellation).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.hang_up();
    }

    /// In cooked mode a Ctrl-C stops the running command and drops what was typed before it. Returns how
    /// many bytes are dealt with.
    fn interrupt_foreground(&self, bytes: &[u8]) -> usize {
        if self.mode.load(Ordering::Acquire) != COOKED {
            return 0;
        }
        let Some(last) = bytes.iter().rposition(|byte| *byte == INTERRUPT) else { return 0 };
        let foreground = lock(&self.foreground).clone();
        let Some(foreground) = foreground else { return 0 };
        let mut dropped = [0; 1024];
        while self.input.try_read(&mut dropped).is_some_and(|count| count > 0) {}
        self.interrupted.store(true, Ordering::Release);
        foreground.cancel();
        last + 1
    }

    /// The command may have begun between the look at the foreground and the write: a Ctrl-C that is queued
    /// now is one that nobody looked for.
    fn interrupt_late(&self, bytes: &[u8]) {
        if bytes.contains(&INTERRUPT) && self.mode.load(Ordering::Acquire) == COOKED {
            let foreground = lock(&self.foreground).clone();
            if let Some(foreground) = foreground
                && self.input.drop_through_last(INTERRUPT)
            {
                self.interrupted.store(true, Ordering::Release);
                foreground.cancel();
            }
        }
    }

    /// Obeys a Ctrl-C that waits behind the line just read. The caller is the one who edits lines.
    fn interrupt_queued(&self) {
        let foreground = lock(&self.foreground).clone();
        let Some(foreground) = foreground.filter(|_| self.mode.load(Ordering::Acquire) == COOKED) else {
            return;
        };
        let mut found = self.input.drop_through_last(INTERRUPT);
        let mut editor = lock(&self.editor);
        let queued = editor.take_queued_input();
        let kept = match queued.iter().rposition(|byte| *byte == INTERRUPT) {
            Some(last) => {
                found = true;
                &queued[last + 1..]
            }
            None => &queued[..],
        };
        editor.feed(kept);
        drop(editor);
        if found {
            self.interrupted.store(true, Ordering::Release);
            foreground.cancel();
        }
    }
}

/// Puts in the longest common beginning of what is offered, or shows the choices.
fn offer_completion(editor: &mut LineEditor, before_cursor: &str, offered: &[String]) {
    let word_start = before_cursor.rfind(crate::interactive::WORD_BREAKS).map_or(0, |index| index + 1);
    let word = &before_cursor[word_start..];
    let Some(first) = offered.first() else { return };
    let mut common = first.len();
    for choice in offered {
        let same = choice.bytes().zip(first.bytes()).take_while(|(one, other)| one == other).count();
        common = common.min(same);
    }
    while !first.is_char_boundary(common) {
        common -= 1;
    }
    if common > word.len() {
        editor.insert(&first[word.len()..common]);
    } else if offered.len() > 1 {
        editor.show_choices(offered);
    }
    if offered.len() == 1 && !first.ends_with('/') {
        editor.insert(" ");
    }
}

/// The terminal as raw bytes; see [`Terminal::raw`].
#[derive(Debug)]
pub struct RawTerminal {
    terminal: Arc<Terminal>,
    before: u8,
    typed_ahead: Mutex<Vec<u8>>,
}

impl RawTerminal {
    /// Reads at least one byte, waiting for it; `Ok(0)`: the user is gone.
    ///
    /// # Errors
    /// `ConnectionAborted` when cancelled.
    pub fn read(&self, buffer: &mut [u8], cancellation: &Arc<Cancellation>) -> io::Result<usize> {
        let mut typed_ahead = lock(&self.typed_ahead);
        if !typed_ahead.is_empty() && !buffer.is_empty() {
            let count = buffer.len().min(typed_ahead.len());
            buffer[..count].copy_from_slice(&typed_ahead[..count]);
            typed_ahead.drain(..count);
            return Ok(count);
        }
        drop(typed_ahead);
        self.terminal.input.read(buffer, cancellation)
    }

    /// Columns and rows of the window; 0 when unknown.
    pub fn size(&self) -> (u16, u16) {
        (self.terminal.columns(), self.terminal.rows())
    }

    /// Shows bytes as they are.
    ///
    /// # Errors
    /// As [`ByteSink::write_all`].
    pub fn write_all(&self, bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()> {
        self.terminal.write_raw(bytes, cancellation)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let left = std::mem::take(&mut *lock(&self.typed_ahead));
        lock(&self.terminal.editor).feed(&left);
        self.terminal.mode.store(self.before, Ordering::Release);
    }
}

struct CookedOutput(Arc<Terminal>);

impl ByteSink for CookedOutput {
    fn write_all(&self, bytes: &[u8], cancellation: &Arc<Cancellation>) -> io::Result<()> {
        if !bytes.contains(&b'\n') {
            return self.0.sink.write_all(bytes, cancellation);
        }
        let mut translated = Vec::with_capacity(bytes.len() + bytes.len() / 16 + 8);
        for byte in bytes {
            if *byte == b'\n' {
                translated.push(b'\r');
            }
            translated.push(*byte);
        }
        self.0.sink.write_all(&translated, cancellation)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

struct CookedInput(Arc<Terminal>);

impl ByteSource for CookedInput {
    fn read(&self, buffer: &mut [u8], cancellation: &Arc<Cancellation>) -> io::Result<usize> {
        match self.0.read_line("", Echo::On, cancellation)? {
            Event::Line(line) => {
                let mut bytes = line.into_bytes();
                bytes.push(b'\n');
                // The reader's buffer is larger than what a person types; a longer line is cut, as a
                // kernel's terminal driver cuts it.
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                buffer[count - 1] = b'\n';
                Ok(count)
            }
            Event::EndOfFile | Event::Complete { .. } => Ok(0),
            Event::Interrupt => {
                cancellation.cancel();
                Err(crate::streams::cancelled_error())
            }
        }
    }

    fn is_terminal(&self) -> bool {
        true
    }
}
