//! `more` and `less` on a terminal, and columns of `ls`.

use super::support::Clock;
use crate::cancellation::Cancellation;
use crate::files::{MemoryTree, TreePath};
use crate::filter::{FilterContext, lookup};
use crate::limits::Limits;
use crate::streams::{Capture, Input};
use crate::terminal::Terminal;

/// Runs a filter on a terminal of 20 columns and 4 rows with keys typed ahead.
fn on_terminal(name: &str, keys: &[u8], input: &[u8], files: &[&str]) -> String {
    let cancellation = Cancellation::new();
    let screen = Capture::new(1 << 20);
    let terminal = Terminal::new(screen.clone(), 20, 4);
    terminal.feed(keys, &cancellation).expect("room for the keys");
    terminal.hang_up();
    let channels = terminal.channels(&cancellation);
    let tree = MemoryTree::new("hscroot");
    for file in files {
        tree.add(file, b"").expect("a valid path");
    }
    let status = lookup(name).expect("a filter")(&mut FilterContext {
        arguments: &[],
        stdin: &Input::from_bytes(input.to_vec()),
        stdout: &channels.output,
        stderr: &channels.error,
        files: &tree,
        directory: &TreePath::root(),
        host: &Clock::utc(0),
        cancellation: &cancellation,
        limits: Limits::default(),
        terminal: true,
        keyboard: Some(&terminal),
    });
    assert_eq!(status, 0);
    let shown = String::from_utf8_lossy(&screen.take()).replace("\r\n", "\n");
    shown.replace("\r\x1b[K", "<")
}

const TEN: &[u8] = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

#[test]
fn more_pages() {
    let all = "1\n2\n3\n--More--<4\n5\n6\n--More--<7\n8\n9\n--More--<10\n";
    assert_eq!(on_terminal("more", b"   ", TEN, &[]), all);
    let by_line = "1\n2\n3\n--More--<4\n--More--<5\n--More--<";
    assert_eq!(on_terminal("more", b"\r\rq", TEN, &[]), by_line);
    assert_eq!(on_terminal("more", b"x\x03", TEN, &[]), "1\n2\n3\n--More--<");
    // A user who is gone reads no further.
    assert_eq!(on_terminal("more", b"", TEN, &[]), "1\n2\n3\n--More--<");
    assert_eq!(on_terminal("more", b"", b"1\n2\n3\n", &[]), "1\n2\n3\n");
}

#[test]
fn long_lines_take_several_rows() {
    let input = format!("{}\nb\nc\n", "a".repeat(30));
    assert_eq!(on_terminal("more", b"q", input.as_bytes(), &[]), format!("{}\nb\n--More--<", "a".repeat(30)));
    let huge = format!("{}\nb\n", "a".repeat(200));
    assert_eq!(on_terminal("more", b" ", huge.as_bytes(), &[]), format!("{}\n--More--<b\n", "a".repeat(200)));
}

#[test]
fn less_stays_at_the_end() {
    assert_eq!(on_terminal("less", b" qx", b"1\n2\n3\n4\n", &[]), "1\n2\n3\n:<4\n(END)<");
}

#[test]
fn ls_makes_columns() {
    assert_eq!(
        on_terminal("ls", b"", b"", &["a", "bb", "ccc", "dddd", "eeeee"]),
        "a   ccc   eeeee\nbb  dddd\n"
    );
    assert_eq!(on_terminal("ls", b"", b"", &["a", "b"]), "a  b\n");
    assert_eq!(
        on_terminal("ls", b"", b"", &["a-name-longer-than-the-terminal", "b"]),
        "a-name-longer-than-the-terminal\nb\n"
    );
    assert_eq!(on_terminal("ls", b"", b"", &[]), "");
}
