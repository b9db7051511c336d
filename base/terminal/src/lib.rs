//! Terminals: a line editor over raw bytes, and the output side of a terminal that outlives what writes to it. Neither does
//! input or output of its own.
//!
//! [`LineEditor`] takes the bytes that a terminal sends and yields the bytes that the terminal should
//! show, plus [`Event`]s. The caller moves the bytes. So the same editor serves an SSH channel, a
//! partition's virtual terminal and a test.
//!
//! ```
//! use varan_terminal::{Echo, Event, LineEditor};
//! let mut editor = LineEditor::new(80);
//! editor.start("> ", Echo::On);
//! assert_eq!(editor.feed(b"lshmc -V\r"), 9);
//! assert_eq!(editor.next_event(), Some(Event::Line("lshmc -V".to_string())));
//! assert_eq!(editor.take_output(), b"> lshmc -V\r\n");
//! ```

mod attachment;
mod editor;
mod history;
mod key;
mod width;

pub use attachment::{Link, USUAL_SIZE, VirtualTerminal};
pub use editor::{Echo, Event, INPUT_LIMIT, LINE_LIMIT, LineEditor};
pub use history::{HISTORY_LIMIT, History};
pub use width::{character_width, text_width};
