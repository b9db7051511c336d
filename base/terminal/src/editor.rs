//! The editor itself.
//!
//! ```text
//!          start            Return / Newline, Ctrl-C, Ctrl-D on an empty line
//! Idle -----------> Reading ------------------------------------------------> Idle (one Event)
//!                    |   ^
//!                    '---' any other key: edit, redraw
//! ```
//! Input that arrives while idle stays queued for the next read, so a pasted text of several lines is
//! not lost.

use std::collections::VecDeque;

use crate::history::History;
use crate::key::{Key, KeyDecoder};
use crate::width::{character_width, text_width};

/// Input bytes that are queued at most. A paste larger than this is taken in parts: `feed` says how much
/// it took.
pub const INPUT_LIMIT: usize = 64 * 1024;

/// Characters in one line at most; further ones ring the bell. It is the kernel's limit for one argument
/// on common systems divided by two, far above what a person types.
pub const LINE_LIMIT: usize = 64 * 1024;

/// Whether typed characters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// Characters are shown and editing keys work.
    On,
    /// Nothing is shown, history is off: for passwords.
    Off,
}

/// What a read ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole line, without its end.
    Line(String),
    /// Ctrl-D on an empty line.
    EndOfFile,
    /// Ctrl-C. The line typed so far is dropped.
    Interrupt,
    /// The Tab key was pressed: the caller may offer completions with [`LineEditor::insert`] or
    /// [`LineEditor::show_choices`]. The read goes on. Only sent after [`LineEditor::enable_completion`].
    Complete {
        /// The text to the left of the cursor.
        before_cursor: String,
    },
}

/// A line editor. See the crate's documentation for its use.
#[derive(Debug)]
pub struct LineEditor {
    columns: usize,
    reading: bool,
    echo: Echo,
    completion: bool,
    prompt: String,
    prompt_width: usize,
    line: Vec<char>,
    cursor: usize,
    /// The row of the cursor, counted from the row where the prompt's last line begins.
    cursor_row: usize,
    input: VecDeque<u8>,
    output: Vec<u8>,
    decoder: KeyDecoder,
    skip_newline: bool,
    history: History,
    history_position: usize,
    /// The line that was being typed when the user went up into the history.
    stashed: Vec<char>,
    /// What Ctrl-K, Ctrl-U and Ctrl-W cut last, for Ctrl-Y.
    cut: Vec<char>,
}

impl LineEditor {
    /// An editor for a terminal of `columns` columns. 0 means unknown: lines are then never wrapped by us.
    pub fn new(columns: u16) -> Self {
        Self {
            columns: usize::from(columns),
            reading: false,
            echo: Echo::On,
            completion: false,
            prompt: String::new(),
            prompt_width: 0,
            line: Vec::new(),
            cursor: 0,
            cursor_row: 0,
            input: VecDeque::new(),
            output: Vec::new(),
            decoder: KeyDecoder::new(),
            skip_newline: false,
            history: History::default(),
            history_position: 0,
            stashed: Vec::new(),
            cut: Vec::new(),
        }
    }

    /// Sets the terminal's width in columns (0: unknown). The line being edited is drawn again.
    pub fn set_columns(&mut self, columns: u16) {
        if self.columns == usize::from(columns) {
            return;
        }
        self.columns = usize::from(columns);
        if self.reading && self.echo == Echo::On {
            // Where the terminal put the old rows after its own reflow is unknown, but the cursor was kept
            // on its character, so its row follows from the new width.
            self.cursor_row = self.row_of(self.width_before(self.cursor));
            self.redraw();
        }
    }

    /// Makes the Tab key an event instead of a bell.
    pub fn enable_completion(&mut self, enabled: bool) {
        self.completion = enabled;
    }

    /// Begins to read a line: shows the prompt. Must not be called while a read is under way; if it is, the
    /// line typed so far is dropped.
    pub fn start(&mut self, prompt: &str, echo: Echo) {
        self.reading = true;
        self.echo = echo;
        self.prompt = prompt.to_string();
        let last_line = prompt.rsplit('\n').next().unwrap_or("");
        self.prompt_width = visible_width(last_line);
        self.line.clear();
        self.cursor = 0;
        self.history_position = self.history.len();
        self.stashed.clear();
        self.draw_from_start();
    }

    /// Whether a read is under way.
    pub fn is_reading(&self) -> bool {
        self.reading
    }

    /// Queues input. Returns how many bytes were taken: fewer than given when [`INPUT_LIMIT`] is reached.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(INPUT_LIMIT.saturating_sub(self.input.len()));
        self.input.extend(&bytes[..taken]);
        taken
    }

    /// Works through the queued input until something happened. `None`: more input is needed, or no read is
    /// under way.
    pub fn next_event(&mut self) -> Option<Event> {
        while self.reading {
            let byte = self.input.pop_front()?;
            let Some(key) = self.decoder.push(byte) else { continue };
            if std::mem::take(&mut self.skip_newline) && key == Key::Newline {
                continue;
            }
            if let Some(event) = self.handle(key) {
                return Some(event);
            }
        }
        None
    }

    /// The bytes to show, since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Input that was queued and not used yet, for whoever reads the terminal raw next.
    pub fn take_queued_input(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.skip_newline) && self.input.front() == Some(&b'\n') {
            self.input.pop_front();
        }
        self.input.drain(..).collect()
    }

    /// The lines entered before.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The lines entered before, to add to or clear. The editor itself adds nothing: a shell decides what
    /// one entry is.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// Inserts text at the cursor, as if typed. Control characters are left out.
    pub fn insert(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            self.insert_character(character);
        }
    }

    /// Shows choices below the line, in columns, and draws the line again.
    pub fn show_choices(&mut self, choices: &[String]) {
        self.move_to_end();
        self.output.extend_from_slice(b"\r\n");
        let cell = choices.iter().map(|choice| text_width(choice)).max().unwrap_or(0) + 2;
        let per_row = (self.columns.max(cell) / cell).max(1);
        for row in choices.chunks(per_row) {
            for (index, choice) in row.iter().enumerate() {
                self.output.extend_from_slice(choice.as_bytes());
                if index + 1 < row.len() {
                    self.output.resize(self.output.len() + cell - text_width(choice), b' ');
                }
            }
            self.output.extend_from_slice(b"\r\n");
        }
        self.draw_from_start();
    }

    fn handle(&mut self, key: Key) -> Option<Event> {
        match key {
            Key::Return => {
                self.skip_newline = true;
                return Some(self.finish_line());
            }
            Key::Newline => return Some(self.finish_line()),
            Key::Control(3) => return Some(self.interrupt()),
            Key::Control(4) if self.line.is_empty() => {
                self.reading = false;
                return Some(Event::EndOfFile);
            }
            Key::Control(9) if self.completion && self.echo == Echo::On => {
                let before_cursor = self.line[..self.cursor].iter().collect();
                return Some(Event::Complete { before_cursor });
            }
            Key::Character(character) => self.insert_character(character),
            _ => self.edit(key),
        }
        None
    }

    fn edit(&mut self, key: Key) {
        let end = self.line.len();
        match key {
            Key::Left | Key::Control(2) => self.move_to(self.cursor.saturating_sub(1)),
            Key::Right | Key::Control(6) => self.move_to((self.cursor + 1).min(end)),
            Key::Home | Key::Control(1) => self.move_to(0),
            Key::End | Key::Control(5) => self.move_to(end),
            Key::WordLeft => self.move_to(self.word_start()),
            Key::WordRight => self.move_to(self.word_end()),
            Key::Backspace => self.remove(self.cursor.saturating_sub(1), self.cursor),
            Key::Delete | Key::Control(4) => self.remove(self.cursor, (self.cursor + 1).min(end)),
            Key::Control(0x0b) => self.cut(self.cursor, end),
            Key::Control(0x15) => self.cut(0, self.cursor),
            Key::Control(0x17) => self.cut(self.blank_word_start(), self.cursor),
            Key::DeleteWordRight => self.cut(self.cursor, self.word_end()),
            Key::Control(0x19) => {
                let text: String = self.cut.iter().collect();
                self.insert(&text);
            }
            Key::Control(0x0c) if self.echo == Echo::On => {
                self.output.extend_from_slice(b"\x1b[H\x1b[2J");
                self.draw_from_start();
            }
            Key::Up | Key::Control(0x10) => self.recall(self.history_position.wrapping_sub(1)),
            Key::Down | Key::Control(0x0e) => self.recall(self.history_position + 1),
            _ => self.bell(),
        }
    }

    fn finish_line(&mut self) -> Event {
        self.move_to_end();
        self.output.extend_from_slice(b"\r\n");
        self.reading = false;
        Event::Line(std::mem::take(&mut self.line).into_iter().collect())
    }

    fn interrupt(&mut self) -> Event {
        self.move_to_end();
        self.output.extend_from_slice(b"^C\r\n");
        self.reading = false;
        self.line.clear();
        // What was typed ahead belonged to what is being given up.
        self.input.clear();
        Event::Interrupt
    }

    fn bell(&mut self) {
        self.output.push(7);
    }

    fn insert_character(&mut self, character: char) {
        if self.line.len() >= LINE_LIMIT {
            return self.bell();
        }
        let at_end = self.cursor == self.line.len();
        let column = self.column_of(self.width_before(self.cursor));
        self.line.insert(self.cursor, character);
        self.cursor += 1;
        if self.echo == Echo::Off {
            return;
        }
        let width = character_width(character);
        if at_end && (self.columns == 0 || column + width < self.columns) {
            // The common case is a plain echo: programs that drive a terminal compare it.
            let mut encoded = [0; 4];
            self.output.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
        } else if at_end && column + width == self.columns {
            let mut encoded = [0; 4];
            self.output.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
            self.settle_wrap();
            self.cursor_row += 1;
        } else {
            self.redraw();
        }
    }

    /// After a character in the last column terminals differ on where the cursor is. A blank and a return
    /// put it at the beginning of the next row on all of them.
    fn settle_wrap(&mut self) {
        self.output.extend_from_slice(b" \r");
    }

    fn remove(&mut self, from: usize, to: usize) {
        if from >= to {
            return self.bell();
        }
        let at_end = to == self.line.len() && self.cursor == to;
        let removed_width: usize = self.line[from..to].iter().copied().map(character_width).sum();
        let column = self.column_of(self.width_before(self.cursor));
        self.line.drain(from..to);
        self.cursor = from;
        if self.echo == Echo::Off {
            return;
        }
        if at_end && removed_width == 1 && (self.columns == 0 || column > 0) {
            self.output.extend_from_slice(b"\x08 \x08");
        } else {
            self.redraw();
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from < to && self.echo == Echo::On {
            self.cut = self.line[from..to].to_vec();
        }
        self.remove(from, to);
    }

    fn move_to(&mut self, target: usize) {
        if target == self.cursor {
            return self.bell();
        }
        self.cursor = target;
        if self.echo == Echo::On {
            self.place_cursor();
        }
    }

    fn move_to_end(&mut self) {
        self.cursor = self.line.len();
        if self.echo == Echo::On {
            let row = self.row_of(self.width_before(self.cursor));
            if row != self.cursor_row || self.columns == 0 {
                self.place_cursor();
            }
        }
    }

    fn recall(&mut self, position: usize) {
        if self.echo == Echo::Off || position > self.history.len() {
            return self.bell();
        }
        if self.history_position == self.history.len() {
            self.stashed = self.line.clone();
        }
        self.history_position = position;
        self.line = match self.history.get(position) {
            Some(line) => line.chars().filter(|character| !character.is_control()).collect(),
            None => std::mem::take(&mut self.stashed),
        };
        self.cursor = self.line.len();
        self.redraw();
    }

    fn word_start(&self) -> usize {
        let mut index = self.cursor;
        while index > 0 && !self.line[index - 1].is_alphanumeric() {
            index -= 1;
        }
        while index > 0 && self.line[index - 1].is_alphanumeric() {
            index -= 1;
        }
        index
    }

    fn word_end(&self) -> usize {
        let mut index = self.cursor;
        while index < self.line.len() && !self.line[index].is_alphanumeric() {
            index += 1;
        }
        while index < self.line.len() && self.line[index].is_alphanumeric() {
            index += 1;
        }
        index
    }

    /// Ctrl-W cuts back to a blank, as the kernel's terminal driver does.
    fn blank_word_start(&self) -> usize {
        let mut index = self.cursor;
        while index > 0 && self.line[index - 1].is_whitespace() {
            index -= 1;
        }
        while index > 0 && !self.line[index - 1].is_whitespace() {
            index -= 1;
        }
        index
    }

    /// Columns from the prompt's start to a character, with the gap that a wide character leaves when it
    /// does not fit into the rest of a row.
    fn width_before(&self, index: usize) -> usize {
        let mut total = self.prompt_width;
        for (position, character) in self.line.iter().enumerate() {
            let width = character_width(*character);
            if width == 2 && self.columns > 1 && total % self.columns == self.columns - 1 {
                total += 1;
            }
            if position >= index {
                break;
            }
            total += width;
        }
        total
    }

    fn row_of(&self, width: usize) -> usize {
        width.checked_div(self.columns).unwrap_or(0)
    }

    fn column_of(&self, width: usize) -> usize {
        width.checked_rem(self.columns).unwrap_or(width)
    }

    /// Draws prompt and line where the cursor is, which must be at the left edge of a row.
    fn draw_from_start(&mut self) {
        let prompt = std::mem::take(&mut self.prompt);
        self.output.extend_from_slice(prompt.replace('\n', "\r\n").as_bytes());
        self.prompt = prompt;
        self.cursor_row = 0;
        if self.echo == Echo::On {
            self.draw_line();
        }
    }

    /// Draws prompt and line again over what is shown now.
    fn redraw(&mut self) {
        if self.cursor_row > 0 {
            self.output.extend_from_slice(format!("\x1b[{}A", self.cursor_row).as_bytes());
        }
        self.output.extend_from_slice(b"\r\x1b[J");
        let last_line = self.prompt.rsplit('\n').next().unwrap_or("").as_bytes().to_vec();
        self.output.extend_from_slice(&last_line);
        self.draw_line();
    }

    /// Draws the line behind the prompt and places the cursor.
    fn draw_line(&mut self) {
        let text: String = self.line.iter().collect();
        self.output.extend_from_slice(text.as_bytes());
        let width = self.width_before(self.line.len());
        if self.columns > 0 && width > 0 && width.is_multiple_of(self.columns) {
            self.settle_wrap();
        }
        self.cursor_row = self.row_of(width);
        if self.cursor < self.line.len() {
            self.place_cursor();
        }
    }

    /// Moves the terminal's cursor from the row where it is to the editing position.
    fn place_cursor(&mut self) {
        let width = self.width_before(self.cursor);
        let (row, column) = (self.row_of(width), self.column_of(width));
        let mut sequence = String::new();
        if row < self.cursor_row {
            sequence.push_str(&format!("\x1b[{}A", self.cursor_row - row));
        } else if row > self.cursor_row {
            sequence.push_str(&format!("\x1b[{}B", row - self.cursor_row));
        }
        sequence.push('\r');
        if column > 0 {
            sequence.push_str(&format!("\x1b[{column}C"));
        }
        self.output.extend_from_slice(sequence.as_bytes());
        self.cursor_row = row;
    }
}

/// The width of a prompt, without the escape sequences (colours) that it may hold.
fn visible_width(prompt: &str) -> usize {
    let mut total = 0;
    let mut characters = prompt.chars();
    while let Some(character) = characters.next() {
        if character != '\x1b' {
            total += character_width(character);
            continue;
        }
        if characters.next() == Some('[') {
            for following in characters.by_ref() {
                if ('\x40'..='\x7e').contains(&following) {
                    break;
                }
            }
        }
    }
    total
}
