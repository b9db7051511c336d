//! The line discipline of the virtual terminal: echo, erase, kill, interrupt and end of file.

/// Longest line taken; more characters are dropped with a bell, as a terminal driver does.
const LINE_BYTES: usize = 255;

/// What a typed byte completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineEvent {
    Nothing,
    Line(String),
    Interrupt,
    EndOfFile,
}

#[derive(Default)]
pub(super) struct LineEditor {
    line: Vec<u8>,
    after_carriage_return: bool,
}

impl LineEditor {
    /// Takes one byte and appends what is to be echoed. Characters are echoed only if `echo`.
    pub(super) fn feed(&mut self, byte: u8, echo: bool, shown: &mut Vec<u8>) -> LineEvent {
        let after_carriage_return = std::mem::replace(&mut self.after_carriage_return, byte == b'\r');
        match byte {
            b'\n' if after_carriage_return => LineEvent::Nothing,
            b'\r' | b'\n' => {
                shown.extend_from_slice(b"\r\n");
                let line = String::from_utf8_lossy(&self.line).into_owned();
                self.forget();
                LineEvent::Line(line)
            }
            0x03 => {
                shown.extend_from_slice(b"^C\r\n");
                self.forget();
                LineEvent::Interrupt
            }
            0x04 if self.line.is_empty() => LineEvent::EndOfFile,
            0x08 | 0x7F => {
                self.erase(echo, shown);
                LineEvent::Nothing
            }
            0x15 => {
                while !self.line.is_empty() {
                    self.erase(echo, shown);
                }
                LineEvent::Nothing
            }
            0x00..0x20 => LineEvent::Nothing,
            _ if self.line.len() >= LINE_BYTES => {
                shown.push(0x07);
                LineEvent::Nothing
            }
            _ => {
                self.line.push(byte);
                if echo {
                    shown.push(byte);
                }
                LineEvent::Nothing
            }
        }
    }

    fn erase(&mut self, echo: bool, shown: &mut Vec<u8>) {
        // A character of UTF-8 goes as a whole.
        while self.line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
        if echo {
            shown.extend_from_slice(b"\x08 \x08");
        }
    }

    /// Drops the line and its memory: an idle guest keeps none.
    pub(super) fn forget(&mut self) {
        self.line = Vec::new();
    }

    pub(super) fn capacity(&self) -> usize {
        self.line.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_bytes_become_lines_and_echoes() {
        for (typed, echo, lines, shown) in [
            ("ab\r", true, vec!["ab"], "ab\r\n"),
            ("ab\r\ncd\n", true, vec!["ab", "cd"], "ab\r\ncd\r\n"),
            ("ax\x08b\r", true, vec!["ab"], "ax\x08 \x08b\r\n"),
            ("a\u{e9}\x7fb\r", true, vec!["ab"], "a\u{e9}\x08 \x08b\r\n"),
            ("abc\x15d\r", true, vec!["d"], "abc\x08 \x08\x08 \x08\x08 \x08d\r\n"),
            ("secret\r", false, vec!["secret"], "\r\n"),
            ("ab\x03c\r", true, vec!["c"], "ab^C\r\nc\r\n"),
            ("a\x04\x1b\r", true, vec!["a"], "a\r\n"),
        ] {
            let mut editor = LineEditor::default();
            let (mut found, mut echoed) = (Vec::new(), Vec::new());
            for byte in typed.bytes() {
                if let LineEvent::Line(line) = editor.feed(byte, echo, &mut echoed) {
                    found.push(line);
                }
            }
            assert_eq!(found, lines, "{typed:?}");
            assert_eq!(String::from_utf8_lossy(&echoed), shown, "{typed:?}");
        }
        let mut editor = LineEditor::default();
        assert_eq!(editor.feed(4, true, &mut Vec::new()), LineEvent::EndOfFile);
    }

    #[test]
    fn a_line_has_a_limit() {
        let (mut editor, mut shown) = (LineEditor::default(), Vec::new());
        for _ in 0..10_000 {
            editor.feed(b'x', true, &mut shown);
        }
        assert_eq!(editor.feed(b'\r', true, &mut shown), LineEvent::Line("x".repeat(LINE_BYTES)));
    }
}
