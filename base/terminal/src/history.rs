//! The lines that were entered before.

use std::collections::VecDeque;

/// How many lines a history keeps. 500 is bash's own default (HISTSIZE).
pub const HISTORY_LIMIT: usize = 500;

/// A bounded list of entered lines, oldest first.
#[derive(Debug, Clone)]
pub struct History {
    lines: VecDeque<String>,
    limit: usize,
    dropped: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new(HISTORY_LIMIT)
    }
}

impl History {
    /// An empty history that keeps at most `limit` lines (at least one).
    pub fn new(limit: usize) -> Self {
        Self { lines: VecDeque::new(), limit: limit.max(1), dropped: 0 }
    }

    /// Adds a line. Blank lines and a repeat of the newest line are not kept.
    pub fn add(&mut self, line: &str) {
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == self.limit {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line.to_string());
    }

    /// The number of lines held.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The line at an index, 0 being the oldest that is still held.
    pub fn get(&self, index: usize) -> Option<&str> {
        self.lines.get(index).map(String::as_str)
    }

    /// The lines with their numbers, oldest first. Numbers start at 1 and are never reused.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().map(|(index, line)| (self.dropped + index + 1, line.as_str()))
    }

    /// Forgets every line.
    pub fn clear(&mut self) {
        self.dropped += self.lines.len();
        self.lines.clear();
    }
}
