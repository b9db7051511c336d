//! The terminal that a client asked for, and what the server does in place of a line discipline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The interrupt character, control-C.
const INTERRUPT: u8 = 0x03;

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Width in characters; 0 when the client does not know it.
    pub columns: u32,
    /// Height in characters; 0 when the client does not know it.
    pub rows: u32,
}

type ResizeCallback = Box<dyn Fn(TerminalSize) + Send>;

struct State {
    name: String,
    size: Mutex<TerminalSize>,
    on_resize: Mutex<Vec<ResizeCallback>>,
    newline_translation: AtomicBool,
    interrupt_character: AtomicBool,
}

/// A terminal; clones speak of the same one. Echo, line editing and history are the program's.
#[derive(Clone)]
pub struct Terminal {
    state: Arc<State>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Terminal")
            .field("name", &self.state.name)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Terminal {
    pub(crate) fn new(name: String, size: TerminalSize, newline_translation: bool) -> Self {
        Self {
            state: Arc::new(State {
                name,
                size: Mutex::new(size),
                on_resize: Mutex::new(Vec::new()),
                newline_translation: AtomicBool::new(newline_translation),
                interrupt_character: AtomicBool::new(false),
            }),
        }
    }

    /// The value of `TERM` that the client sent, such as `xterm-256color`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The size at this moment.
    #[must_use]
    pub fn size(&self) -> TerminalSize {
        *self.state.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `callback` after each change of size, on one of the server's threads; it must not
    /// block nor use this terminal's `on_resize`.
    pub fn on_resize(&self, callback: impl Fn(TerminalSize) + Send + 'static) {
        self.state.on_resize.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(callback));
    }

    /// Whether output gets `\r` before each `\n` that lacks it. It starts as the client's terminal
    /// modes say, which is on unless it asks for raw output. Turn it off for bytes that must pass
    /// unchanged, such as a partition's console.
    pub fn set_newline_translation(&self, enabled: bool) {
        self.state.newline_translation.store(enabled, Ordering::Release);
    }

    /// Whether control-C in the input is taken out and acts as the signal `INT`. It starts on for
    /// exec and off for a shell, whose line editor reads all characters itself and turns it on
    /// while a command runs.
    pub fn set_interrupt_character(&self, enabled: bool) {
        self.state.interrupt_character.store(enabled, Ordering::Release);
    }

    pub(crate) fn resize(&self, size: TerminalSize) {
        *self.state.size.lock().unwrap_or_else(PoisonError::into_inner) = size;
        for callback in self.state.on_resize.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            callback(size);
        }
    }

    pub(crate) fn newline_translation(&self) -> bool {
        self.state.newline_translation.load(Ordering::Acquire)
    }

    /// Takes the interrupt characters out of `data`, when that is on, and says how many there were.
    pub(crate) fn take_interrupts(&self, data: &mut Vec<u8>) -> usize {
        if !self.state.interrupt_character.load(Ordering::Acquire) {
            return 0;
        }
        let before = data.len();
        data.retain(|byte| *byte != INTERRUPT);
        before - data.len()
    }
}

/// `data` with `\r` before each `\n` that lacks it; `last` is the byte written before it, kept for
/// the next call.
pub(crate) fn translate_newlines(data: &[u8], last: &mut u8) -> Vec<u8> {
    let mut translated = Vec::with_capacity(data.len() + data.len() / 16);
    for &byte in data {
        if byte == b'\n' && *last != b'\r' {
            translated.push(b'\r');
        }
        translated.push(byte);
        *last = byte;
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_are_translated_across_writes_and_never_doubled() {
        let table: &[(&[&[u8]], &[u8])] = &[
            (&[b"a\nb\n"], b"a\r\nb\r\n"),
            (&[b"a\r\nb"], b"a\r\nb"),
            (&[b"a\r", b"\nb\n"], b"a\r\nb\r\n"),
            (&[b"\n\n"], b"\r\n\r\n"),
            (&[b"", b"x"], b"x"),
        ];
        for (pieces, expected) in table {
            let mut last = 0;
            let joined: Vec<u8> =
                pieces.iter().flat_map(|piece| translate_newlines(piece, &mut last)).collect();
            assert_eq!(&joined, expected, "{pieces:?}");
        }
    }

    #[test]
    fn interrupts_are_taken_out_only_when_enabled() {
        let terminal = Terminal::new("xterm".into(), TerminalSize { columns: 80, rows: 24 }, true);
        let mut data = b"a\x03b\x03".to_vec();
        assert_eq!(terminal.take_interrupts(&mut data), 0);
        terminal.set_interrupt_character(true);
        assert_eq!(terminal.take_interrupts(&mut data), 2);
        assert_eq!(data, b"ab");
    }
}
