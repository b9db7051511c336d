//! Keys in, a screen out: what a terminal shows must always be the prompt and the line.

use varan_terminal::{Echo, Event, HISTORY_LIMIT, INPUT_LIMIT, LineEditor, character_width};

/// A terminal of a few rows that knows what the editor sends, and fails on anything else.
struct Screen {
    columns: usize,
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    pending_wrap: bool,
}

impl Screen {
    fn new(columns: usize) -> Self {
        Self { columns, cells: vec![vec![' '; columns]], row: 0, column: 0, pending_wrap: false }
    }

    fn put(&mut self, character: char) {
        let width = character_width(character);
        if self.pending_wrap || self.column + width > self.columns {
            self.down(1);
            self.column = 0;
            self.pending_wrap = false;
        }
        self.cells[self.row][self.column] = character;
        if width == 2 {
            self.cells[self.row][self.column + 1] = '\0';
        }
        self.column += width;
        if self.column == self.columns {
            self.column -= 1;
            self.pending_wrap = true;
        }
    }

    fn down(&mut self, count: usize) {
        self.row += count;
        while self.cells.len() <= self.row {
            self.cells.push(vec![' '; self.columns]);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("the editor writes UTF-8");
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => (self.column, self.pending_wrap) = (0, false),
                '\n' => self.down(1),
                '\x07' => {}
                '\x08' => {
                    // A terminal with a pending wrap goes back from the last column.
                    self.column = self.column.saturating_sub(1);
                    self.pending_wrap = false;
                }
                '\x1b' => {
                    assert_eq!(characters.next(), Some('['));
                    let mut parameter = String::new();
                    let last = loop {
                        match characters.next().expect("whole sequences only") {
                            digit @ '0'..='9' => parameter.push(digit),
                            other => break other,
                        }
                    };
                    self.control(parameter.parse().unwrap_or(0), last);
                }
                other => self.put(other),
            }
        }
    }

    fn control(&mut self, parameter: usize, last: char) {
        self.pending_wrap = false;
        let count = parameter.max(1);
        match last {
            'A' => self.row = self.row.checked_sub(count).expect("never above the first row"),
            'B' => {
                assert!(self.row + count < self.cells.len(), "never below what was drawn");
                self.row += count;
            }
            'C' => {
                self.column += count;
                assert!(self.column < self.columns);
            }
            'H' => (self.row, self.column) = (0, 0),
            'J' if parameter == 2 => self.cells = vec![vec![' '; self.columns]],
            'J' => {
                self.cells.truncate(self.row + 1);
                self.cells[self.row][self.column..].fill(' ');
            }
            other => panic!("unknown control {other}"),
        }
    }

    fn text(&self) -> String {
        let joined: String = self.cells.iter().flatten().filter(|cell| **cell != '\0').collect();
        joined.trim_end().to_string()
    }
}

fn drive(editor: &mut LineEditor, screen: &mut Screen, bytes: &[u8]) -> Option<Event> {
    assert_eq!(editor.feed(bytes), bytes.len());
    let event = editor.next_event();
    screen.write(&editor.take_output());
    event
}

/// Columns, keys, what the screen shows, cursor row, cursor column, the line on return.
type Row<'a> = (u16, &'a [u8], &'a str, usize, usize, &'a str);

#[test]
fn keys_edit_the_line_and_the_screen_follows() {
    let table: &[Row<'_>] = &[
        (20, b"abc", "> abc", 0, 5, "abc"),
        (20, b"abc\x7f", "> ab", 0, 4, "ab"),
        (20, b"abc\x1b[D\x1b[DX", "> aXbc", 0, 4, "aXbc"),
        (20, b"abc\x01X", "> Xabc", 0, 3, "Xabc"),
        (20, b"abc\x1b[HX\x1b[FY", "> XabcY", 0, 7, "XabcY"),
        (20, b"abc\x1bOHX\x1b[4~Y", "> XabcY", 0, 7, "XabcY"),
        (20, b"abc\x02\x02\x0b", "> a", 0, 3, "a"),
        (20, b"abc\x02\x15", "> c", 0, 2, "c"),
        (20, b"ab cd\x17", "> ab", 0, 5, "ab "),
        (20, b"ab cd\x17\x19\x19", "> ab cdcd", 0, 9, "ab cdcd"),
        (20, b"abc\x01\x1b[3~", "> bc", 0, 2, "bc"),
        (20, b"abc\x01\x04", "> bc", 0, 2, "bc"),
        (10, b"abcdefgh", "> abcdefgh", 1, 0, "abcdefgh"),
        (10, b"abcdefghi", "> abcdefghi", 1, 1, "abcdefghi"),
        (10, b"abcdefghi\x01", "> abcdefghi", 0, 2, "abcdefghi"),
        (10, b"abcdefghi\x01Z", "> Zabcdefghi", 0, 3, "Zabcdefghi"),
        (10, b"abcdefghi\x7f\x7f", "> abcdefg", 0, 9, "abcdefg"),
        (10, b"abcdefghijklmnopqrs\x15", ">", 0, 2, ""),
        ("å".len() as u16 * 5, "åäö\x7f".as_bytes(), "> åä", 0, 4, "åä"),
        (20, "日本\x1b[DX".as_bytes(), "> 日X本", 0, 5, "日X本"),
        (5, "ab日".as_bytes(), "> ab 日", 1, 2, "ab日"),
        (20, b"ab\x1b[99;99Zc\x1b[200~", "> abc", 0, 5, "abc"),
        (20, b"a\xffb\xc3c", "> abc", 0, 5, "abc"),
    ];
    for (columns, keys, shown, row, column, line) in table {
        let mut editor = LineEditor::new(*columns);
        let mut screen = Screen::new(usize::from(*columns));
        editor.start("> ", Echo::On);
        assert_eq!(drive(&mut editor, &mut screen, keys), None, "{keys:?}");
        assert_eq!(screen.text(), *shown, "{keys:?}");
        assert_eq!((screen.row, screen.column), (*row, *column), "{keys:?}");
        let ended = drive(&mut editor, &mut screen, b"\r");
        assert_eq!(ended, Some(Event::Line((*line).to_string())), "{keys:?}");
        assert_eq!(screen.column, 0);
    }
}

#[test]
fn random_keys_never_leave_the_screen_wrong() {
    let keys: &[&[u8]] = &[
        b"a",
        b"b",
        b" ",
        b"x",
        "é".as_bytes(),
        "日".as_bytes(),
        b"\x7f",
        b"\x1b[D",
        b"\x1b[C",
        b"\x01",
        b"\x05",
        b"\x0b",
        b"\x15",
        b"\x17",
        b"\x19",
        b"\x1b[3~",
        b"\x1b[A",
        b"\x1b[B",
        b"\x1bb",
        b"\x1bf",
    ];
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let columns = random.u16(4..30);
        let mut editor = LineEditor::new(columns);
        editor.history_mut().add("an older line that is long enough to wrap on most widths");
        editor.history_mut().add("short");
        let mut screen = Screen::new(usize::from(columns));
        editor.start("$ ", Echo::On);
        for _ in 0..120 {
            let key = keys[random.usize(..keys.len())];
            assert_eq!(drive(&mut editor, &mut screen, key), None);
        }
        let shown: String = screen.text().chars().filter(|cell| !cell.is_whitespace()).collect();
        let Some(Event::Line(line)) = drive(&mut editor, &mut screen, b"\r") else { panic!("seed {seed}") };
        let expected: String = format!("$ {line}").chars().filter(|cell| !cell.is_whitespace()).collect();
        assert_eq!(shown, expected, "seed {seed}");
    }
}

#[test]
fn line_ends_of_every_kind_and_pasted_lines() {
    let mut editor = LineEditor::new(80);
    assert_eq!(editor.feed(b"one\r\ntwo\nthree\rfour\r\n\r\nrest"), 29 - 2);
    let mut lines = Vec::new();
    loop {
        editor.start("", Echo::On);
        match editor.next_event() {
            Some(Event::Line(line)) => lines.push(line),
            other => {
                assert_eq!(other, None);
                break;
            }
        }
    }
    assert_eq!(lines, ["one", "two", "three", "four", ""]);
    assert_eq!(editor.take_output(), b"one\r\ntwo\r\nthree\r\nfour\r\n\r\nrest");
}

#[test]
fn a_return_and_its_newline_may_arrive_apart() {
    let mut editor = LineEditor::new(80);
    editor.start("", Echo::On);
    editor.feed(b"a\r");
    assert_eq!(editor.next_event(), Some(Event::Line("a".to_string())));
    editor.start("", Echo::On);
    editor.feed(b"\nb\n");
    assert_eq!(editor.next_event(), Some(Event::Line("b".to_string())));
}

#[test]
fn control_keys_end_the_read() {
    let mut editor = LineEditor::new(80);
    editor.start("", Echo::On);
    editor.feed(b"abc\x03typed ahead");
    assert_eq!(editor.next_event(), Some(Event::Interrupt));
    assert_eq!(editor.take_output(), b"abc^C\r\n");
    assert!(editor.take_queued_input().is_empty());
    editor.start("", Echo::On);
    editor.feed(b"\x04");
    assert_eq!(editor.next_event(), Some(Event::EndOfFile));
    assert!(!editor.is_reading());
    assert_eq!(editor.next_event(), None);
}

#[test]
fn passwords_are_not_shown_and_know_no_history() {
    let mut editor = LineEditor::new(80);
    editor.history_mut().add("old");
    editor.start("Password: ", Echo::Off);
    editor.feed(b"abx\x7fc\x1b[A1\r");
    assert_eq!(editor.next_event(), Some(Event::Line("abc1".to_string())));
    let shown: Vec<u8> = editor.take_output().into_iter().filter(|byte| *byte != 7).collect();
    assert_eq!(shown, b"Password: \r\n");
}

#[test]
fn history_is_bounded_and_keeps_the_line_being_typed() {
    let mut editor = LineEditor::new(80);
    for number in 0..HISTORY_LIMIT + 10 {
        editor.history_mut().add(&format!("line {number}"));
    }
    assert_eq!(editor.history().len(), HISTORY_LIMIT);
    assert_eq!(editor.history().numbered().next(), Some((11, "line 10")));
    editor.start("", Echo::On);
    editor.feed(b"half\x1b[A\x1b[A\x1b[B\x1b[B typed\r");
    assert_eq!(editor.next_event(), Some(Event::Line("half typed".to_string())));
    editor.start("", Echo::On);
    editor.feed(b"\x1b[A\x1b[A\r");
    assert_eq!(editor.next_event(), Some(Event::Line(format!("line {}", HISTORY_LIMIT + 8))));
}

#[test]
fn input_is_bounded() {
    let mut editor = LineEditor::new(80);
    assert_eq!(editor.feed(&vec![b'x'; INPUT_LIMIT + 5]), INPUT_LIMIT);
    assert_eq!(editor.feed(b"x"), 0);
}

#[test]
fn a_new_width_draws_again_and_completion_shows_choices() {
    let mut editor = LineEditor::new(80);
    editor.enable_completion(true);
    editor.start("> ", Echo::On);
    editor.feed(b"lss\t");
    assert_eq!(editor.next_event(), Some(Event::Complete { before_cursor: "lss".to_string() }));
    editor.take_output();
    editor.show_choices(&["lssyscfg".to_string(), "lssysconn".to_string()]);
    assert_eq!(editor.take_output(), b"\r\nlssyscfg   lssysconn\r\n> lss");
    editor.insert("yscfg ");
    assert_eq!(editor.take_output(), b"yscfg ");
    editor.set_columns(8);
    assert_eq!(editor.take_output(), b"\x1b[1A\r\x1b[J> lssyscfg ");
}
