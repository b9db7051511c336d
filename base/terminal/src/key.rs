//! From terminal bytes to keys.
//!
//! ```text
//!            0x1b          '[' or 'O'         final byte
//! Ground ----------> Escape ----------> Sequence ----------> Ground (key, or nothing)
//!   |  ^                |                                      ^
//!   |  '----------------' any other byte: Alt+key              |
//!   |  lead byte of UTF-8                                      |
//!   '----------> Character (collects continuation bytes) ------'
//! ```

/// The longest control sequence that is collected; longer ones are noise and are dropped.
const SEQUENCE_LIMIT: usize = 16;

/// What one or more bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Character(char),
    /// A control byte: 1 is Ctrl-A.
    Control(u8),
    Return,
    Newline,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    WordLeft,
    WordRight,
    DeleteWordRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    Sequence,
    Character,
}

/// Collects bytes until they make a key.
#[derive(Debug)]
pub(crate) struct KeyDecoder {
    state: State,
    collected: Vec<u8>,
    expected: usize,
}

impl KeyDecoder {
    pub(crate) fn new() -> Self {
        Self { state: State::Ground, collected: Vec::new(), expected: 0 }
    }

    /// Takes one byte; the key that it completes, if any.
    pub(crate) fn push(&mut self, byte: u8) -> Option<Key> {
        match self.state {
            State::Ground => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Sequence => self.sequence(byte),
            State::Character => self.continuation(byte),
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        match byte {
            0x1b => {
                self.state = State::Escape;
                None
            }
            b'\r' => Some(Key::Return),
            b'\n' => Some(Key::Newline),
            0x08 | 0x7f => Some(Key::Backspace),
            0x00..=0x1f => Some(Key::Control(byte)),
            0x20..=0x7e => Some(Key::Character(char::from(byte))),
            0xc2..=0xdf => self.lead(byte, 2),
            0xe0..=0xef => self.lead(byte, 3),
            0xf0..=0xf4 => self.lead(byte, 4),
            // A stray continuation byte or one that UTF-8 never uses.
            _ => None,
        }
    }

    fn lead(&mut self, byte: u8, expected: usize) -> Option<Key> {
        self.state = State::Character;
        self.collected.clear();
        self.collected.push(byte);
        self.expected = expected;
        None
    }

    fn continuation(&mut self, byte: u8) -> Option<Key> {
        if byte & 0xc0 != 0x80 {
            // The character was cut short; the byte stands for itself.
            self.state = State::Ground;
            return self.ground(byte);
        }
        self.collected.push(byte);
        if self.collected.len() < self.expected {
            return None;
        }
        self.state = State::Ground;
        let text = std::str::from_utf8(&self.collected).ok()?;
        text.chars().next().filter(|character| !character.is_control()).map(Key::Character)
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        self.state = State::Ground;
        match byte {
            b'[' | b'O' => {
                self.state = State::Sequence;
                self.collected.clear();
                None
            }
            0x1b => {
                self.state = State::Escape;
                None
            }
            b'b' | b'B' => Some(Key::WordLeft),
            b'f' | b'F' => Some(Key::WordRight),
            b'd' | b'D' => Some(Key::DeleteWordRight),
            0x08 | 0x7f => Some(Key::Control(0x17)),
            0x00..=0x1f => self.ground(byte),
            _ => None,
        }
    }

    fn sequence(&mut self, byte: u8) -> Option<Key> {
        match byte {
            0x20..=0x3f => {
                if self.collected.len() < SEQUENCE_LIMIT {
                    self.collected.push(byte);
                }
                return None;
            }
            0x00..=0x1f => {
                self.state = State::Ground;
                return self.ground(byte);
            }
            _ => self.state = State::Ground,
        }
        let modified = self.collected.contains(&b';');
        match byte {
            b'A' => Some(Key::Up),
            b'B' => Some(Key::Down),
            b'C' if modified => Some(Key::WordRight),
            b'D' if modified => Some(Key::WordLeft),
            b'C' => Some(Key::Right),
            b'D' => Some(Key::Left),
            b'H' => Some(Key::Home),
            b'F' => Some(Key::End),
            b'~' => match self.collected.as_slice() {
                b"1" | b"7" => Some(Key::Home),
                b"4" | b"8" => Some(Key::End),
                b"3" => Some(Key::Delete),
                _ => None,
            },
            _ => None,
        }
    }
}
