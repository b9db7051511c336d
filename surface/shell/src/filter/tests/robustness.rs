//! Limits, cancellation, closed pipes, and arguments and inputs that make no sense.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::support::{Clock, Random, closed_output, run_full, run_over};
use crate::cancellation::Cancellation;
use crate::files::{MemoryTree, TreePath};
use crate::filter::{FilterContext, lookup, names};
use crate::limits::Limits;
use crate::streams::{Capture, Input, Output};

/// Bytes without end; the cancellation is set after some of them.
struct Endless {
    left: usize,
    cancellation: Arc<Cancellation>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.cancellation.cancel();
        }
        self.left = self.left.saturating_sub(1);
        for (index, byte) in buffer.iter_mut().enumerate() {
            *byte = if index % 7 == 6 { b'\n' } else { b'a' + (index % 5) as u8 };
        }
        Ok(buffer.len())
    }
}

/// Arguments with which each filter reads all of its standard input.
fn reading_arguments(name: &str) -> Option<Vec<String>> {
    let arguments: &[&str] = match name {
        "date" | "ls" => return None,
        "cut" => &["-c1"],
        "grep" | "egrep" | "fgrep" => &["a"],
        "head" => &["-n", "1000000000"],
        "sed" => &["s/a/b/"],
        "tail" => &["-n", "2"],
        "tr" => &["a", "b"],
        _ => &[],
    };
    Some(arguments.iter().map(|argument| argument.to_string()).collect())
}

fn run_endless(name: &str, stdout: impl Fn(&Arc<Cancellation>) -> Output, blocks: usize) -> Option<u8> {
    let arguments = reading_arguments(name)?;
    let cancellation = Cancellation::new();
    let endless = Endless { left: blocks, cancellation: cancellation.clone() };
    let output = stdout(&cancellation);
    let status = lookup(name)?(&mut FilterContext {
        arguments: &arguments,
        stdin: &Input::from_reader(Box::new(endless), &cancellation),
        stdout: &output,
        stderr: &Output::discard(),
        files: &MemoryTree::new("hscroot"),
        directory: &TreePath::root(),
        host: &Clock::utc(0),
        cancellation: &cancellation,
        limits: Limits::default(),
        terminal: false,
        keyboard: None,
    });
    Some(status)
}

#[test]
fn every_filter_ends_when_it_is_cancelled() {
    for name in names() {
        let status = run_endless(name, |_| Output::discard(), 20);
        assert!(status.is_none_or(|status| status == 130), "{name}: {status:?}");
    }
}

#[test]
fn every_filter_ends_when_nobody_reads() {
    for name in names() {
        // These show nothing before the end of their input; what they do then is the next test's.
        if matches!(*name, "sort" | "tail" | "wc") {
            continue;
        }
        let status = run_endless(name, closed_output, 10_000);
        assert!(status.is_none_or(|status| status == 141), "{name}: {status:?}");
    }
}

#[test]
fn filters_that_collect_notice_a_closed_output_at_the_end() {
    for name in ["sort", "tail", "wc"] {
        let cancellation = Cancellation::new();
        let status = lookup(name).expect("a filter")(&mut FilterContext {
            arguments: &[],
            stdin: &Input::from_bytes(b"b\na\n".to_vec()),
            stdout: &closed_output(&cancellation),
            stderr: &Output::discard(),
            files: &MemoryTree::new("hscroot"),
            directory: &TreePath::root(),
            host: &Clock::utc(0),
            cancellation: &cancellation,
            limits: Limits::default(),
            terminal: false,
            keyboard: None,
        });
        assert_eq!(status, 141, "{name}");
    }
}

#[test]
fn memory_is_limited_with_a_clear_error() {
    let limits = Limits { filter_bytes: 100_000, ..Limits::default() };
    let short_lines = b"some text in a line\n".repeat(20_000);
    let long_line = vec![b'x'; 200_000];
    let collecting: &[(&str, &[&str])] = &[
        ("sort", &[]),
        ("tail", &["-n", "1000000"]),
        ("tail", &["-c", "1000000"]),
        ("head", &["-n", "-1000000"]),
        ("head", &["-c", "-1000000"]),
        ("grep", &["-B1000000", "nothing"]),
    ];
    let by_line: &[(&str, &[&str])] = &[
        ("grep", &["y"]),
        ("sed", &["p"]),
        ("uniq", &[]),
        ("cut", &["-f1"]),
        ("rev", &[]),
        ("nl", &[]),
        ("sort", &[]),
    ];
    let cases = collecting.iter().map(|case| (case, short_lines.as_slice()));
    for ((name, arguments), input) in cases.chain(by_line.iter().map(|case| (case, long_line.as_slice()))) {
        let refused = run_full(&[], name, arguments, input, &Clock::utc(0), limits);
        let message = format!("{name}: limit reached: a filter needs more than 100000 bytes\n");
        assert_eq!(refused.error, message, "{name} {arguments:?}");
        assert!(refused.status > 0, "{name}");
    }
    for (name, arguments) in
        [("cat", vec![]), ("wc", vec![]), ("tr", vec!["a", "b"]), ("head", vec!["-c", "5"])]
    {
        let streamed = run_full(&[], name, &arguments, &long_line, &Clock::utc(0), limits);
        assert_eq!(streamed.status, 0, "{name}");
    }
}

#[test]
fn expressions_that_would_grow_are_refused() {
    let nested = format!("{}a{}", "(".repeat(500), ")".repeat(500));
    let starred = format!("{}{}", "(a{100}){100}", "{100}");
    let optional = format!("a{}", "{0,3}?".repeat(300));
    let alternatives = vec!["a{30000}b"; 50].join("|");
    for expression in [&nested, &starred, &optional, &alternatives] {
        let refused = run_over(&[], "grep", &["-oE", expression], b"aaaa\n");
        assert_eq!((refused.status, refused.error.as_str()), (2, "grep: Regular expression too big\n"));
    }
    // Slow for backtracking engines: here the time grows with the product of the lengths.
    let text = "a".repeat(3000);
    let found = run_over(&[], "grep", &["-cE", "(a*)*(a|aa)*(a?){50}b"], text.as_bytes());
    assert_eq!(found.text(), "0\n");
    let replaced = run_over(&[], "sed", &["-E", "s/(a*)*(a|aa)*$/x/"], text.as_bytes());
    assert_eq!(replaced.text(), "x");
}

#[test]
fn no_arguments_and_no_input_make_a_filter_panic() {
    const WORDS: &[&str] = &[
        "-",
        "--",
        "-n",
        "-c",
        "-k",
        "-t",
        "-e",
        "-E",
        "-i",
        "-v",
        "-o",
        "-w",
        "-x",
        "-m",
        "-d",
        "-f",
        "-s",
        "-r",
        "-u",
        "-l",
        "-a",
        "-1",
        "-q",
        "-b",
        "-A",
        "1",
        "0",
        "-5",
        "+5",
        "-1",
        "99999999999999999999",
        "1,2",
        "1-",
        "-3",
        "2.3,1.9n",
        "é",
        "",
        "a",
        "\\",
        "[",
        "[[",
        "[[:",
        "[a-",
        "(",
        ")",
        "\\(",
        "\\)",
        "{",
        "}",
        "\\{",
        "\\{1",
        "*",
        "+",
        "?",
        "|",
        "\\|",
        "^",
        "$",
        "s",
        "s/",
        "s/a/b/",
        "s/a*/&\\1/g",
        "s/(a|b)*/\\1/g",
        "s,\\,,\\,,g",
        "$!d",
        "/a/,/b/p",
        "y/a/b/",
        "\\1",
        "a-z",
        "z-a",
        "[:upper:]",
        "[=a=]",
        "[x*]",
        "[x*99999999]",
        "\\777",
        "\\x",
        "+%s",
        "+%",
        "+%999Y",
        "+%-^#12N",
        "+%::::z",
        "file",
        "dir",
        "../..",
        "--help",
        "--number",
        "--output-delimiter",
        "--output-delimiter=",
        "--n",
        "--=x",
        "-nrk2",
        "\u{10ffff}",
        "-é",
        "~1",
        "0~0p",
        "1~2p",
        "2,~0p",
        "0,/a/p",
        "+1p",
        "\n",
    ];
    const PIECES: &[&[u8]] = &[
        b"a",
        b"b",
        b"\n",
        b"\0",
        b"\xff",
        b"\xc3",
        "é".as_bytes(),
        b"\xe2\x82",
        b" ",
        b"\t",
        b"\r",
        b":",
        b"1",
        b"-",
        b".",
        b"\xf0\x9f\x98",
        b"aaaa",
    ];
    let files: &[(&str, &[u8])] = &[("file", b"one\ntwo\xff\n"), ("dir/inner", b"")];
    for seed in 0..6000u64 {
        let mut random = Random::new(seed);
        let name = random.pick(names());
        let arguments: Vec<&str> = (0..random.below(5)).map(|_| random.pick(WORDS)).collect();
        let mixed: Vec<String> =
            arguments
                .iter()
                .map(|word| {
                    if random.chance(4) { format!("{word}{}", random.pick(WORDS)) } else { word.to_string() }
                })
                .collect();
        let mixed: Vec<&str> = mixed.iter().map(String::as_str).collect();
        let input = random.lines(PIECES, 5, 12);
        let limits = Limits { filter_bytes: 1 << 20, ..Limits::default() };
        let result = catch_unwind(AssertUnwindSafe(|| {
            run_full(files, name, &mixed, &input, &Clock::utc(1_795_258_800), limits)
        }));
        assert!(result.is_ok(), "seed {seed}: {name} {mixed:?} {input:?}");
    }
}

#[test]
fn what_a_filter_does_not_need_stays_for_the_next_command() {
    let cancellation = Cancellation::new();
    let input = Input::from_bytes(b"one\ntwo\nthree\n".to_vec());
    let output = Capture::new(1000);
    let run = |name: &str, arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
        lookup(name).expect("a filter")(&mut FilterContext {
            arguments: &arguments,
            stdin: &input,
            stdout: &Output::new(output.clone(), &cancellation),
            stderr: &Output::discard(),
            files: &MemoryTree::new("hscroot"),
            directory: &TreePath::root(),
            host: &Clock::utc(0),
            cancellation: &cancellation,
            limits: Limits::default(),
            terminal: false,
            keyboard: None,
        })
    };
    assert_eq!(run("head", &["-1"]), 0);
    assert_eq!(run("grep", &["-q", "two"]), 0);
    assert_eq!(run("sed", &["s/^/>/;q"]), 0);
    assert_eq!(run("cat", &[]), 0);
    assert_eq!(output.take(), b"one\n>three\n");
}
