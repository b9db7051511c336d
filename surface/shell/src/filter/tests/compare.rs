//! Filters against the host's tools on random options and inputs.

use super::support::{Clock, Comparison, HostTools, Random, run_full, words};
use crate::limits::Limits;

/// Cases for each tool.
const CASES: u64 = 250;

const PIECES: &[&[u8]] = &[
    b"a",
    b"b",
    b"A",
    b"B",
    b"c",
    b" ",
    b"  ",
    b"\t",
    b",",
    b":",
    b"1",
    b"2",
    b"10",
    b"-3",
    b"0.5",
    b"-",
    b"\xff",
    "é".as_bytes(),
    b"x y",
    b"007",
];

const FILES: &[(&str, &[u8])] = &[
    ("one", b"alpha beta\ngamma\n\ndelta,epsilon\n"),
    ("two", b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12"),
    ("empty", b""),
];

/// Runs a tool on generated arguments.
fn compare(tool: &str, locale: &'static str, mut generate: impl FnMut(&mut Random) -> Vec<String>) {
    let Some(mut comparison) = Comparison::new(tool, FILES, locale) else { return };
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let arguments = generate(&mut random);
        let input = random.lines(PIECES, 14, 6);
        comparison.case(&words(&arguments), &input, seed);
    }
    comparison.finish();
}

/// Adds operands now and then.
fn operands(random: &mut Random, arguments: &mut Vec<String>) {
    // Standard input at most once: how much of it the host's `head` leaves is not the same.
    arguments.extend(random.options(&["one", "-", "missing", "empty", "two"]));
}

fn count(random: &mut Random) -> String {
    let sign = random.pick(&["", "", "+", "-"]);
    format!("{sign}{}", random.below(14))
}

#[test]
fn head_and_tail_show_what_the_host_shows() {
    for tool in ["head", "tail"] {
        compare(tool, "C", |random| {
            let mut arguments = random.options(&["-q", "-v"]);
            match random.below(4) {
                0 => arguments.extend(["-n".to_string(), count(random)]),
                1 => arguments.push(format!("-c{}", count(random))),
                2 => arguments.insert(0, format!("-{}", random.below(9))),
                _ => {}
            }
            operands(random, &mut arguments);
            arguments
        });
    }
}

#[test]
fn sort_orders_as_the_host_does() {
    compare("sort", "C", |random| {
        let mut arguments = random.options(&["-n", "-r", "-u", "-f", "-b", "-s"]);
        if random.chance(2) {
            arguments.push(format!("-t{}", random.pick(&[",", ":", " ", "-"])));
        }
        for _ in 0..random.below(3) {
            let mut key = format!("-k{}", random.below(4) + 1);
            if random.chance(3) {
                key.push_str(&format!(".{}", random.below(4) + 1));
            }
            key.push_str(&random.joined(&["n", "r", "f", "b"], 2));
            if random.chance(2) {
                key.push_str(&format!(",{}", random.below(4) + 1));
                if random.chance(2) {
                    key.push_str(&format!(".{}", random.below(4)));
                }
                key.push_str(&random.joined(&["n", "r", "f", "b"], 2));
            }
            arguments.push(key);
        }
        arguments
    });
}

#[test]
fn uniq_groups_as_the_host_does() {
    let Some(mut comparison) = Comparison::new("uniq", FILES, "C") else { return };
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let mut arguments = random.options(&["-c", "-d", "-u", "-i"]);
        if random.chance(3) {
            arguments.push(format!("-f{}", random.below(3)));
        }
        if random.chance(3) {
            arguments.push(format!("-s{}", random.below(3)));
        }
        if random.chance(3) {
            arguments.push(format!("-w{}", random.below(3)));
        }
        let input = random.lines(&[b"a", b"A", b" ", b"b a"], 14, 3);
        comparison.case(&words(&arguments), &input, seed);
    }
    comparison.finish();
}

#[test]
fn cut_takes_the_parts_that_the_host_takes() {
    compare("cut", "C", |random| {
        let range = |random: &mut Random| {
            let (first, last) = (random.below(5), random.below(7));
            match random.below(4) {
                0 => format!("{first}-"),
                1 => format!("-{last}"),
                2 => format!("{first}-{last}"),
                _ => format!("{last}"),
            }
        };
        let ranges: Vec<String> = (0..=random.below(3)).map(|_| range(random)).collect();
        let mut arguments = vec![format!("-{}{}", random.pick(&["f", "f", "c", "b"]), ranges.join(","))];
        if random.chance(2) {
            arguments.push(format!("-d{}", random.pick(&[",", ":", " ", "b"])));
        }
        arguments.extend(random.options(&["-s", "--output-delimiter=<>", "--complement"]));
        operands(random, &mut arguments);
        arguments
    });
}

#[test]
fn wc_counts_as_the_host_does() {
    compare("wc", "C.UTF-8", |random| {
        let mut arguments = random.options(&["-l", "-w", "-c", "-m", "-L"]);
        operands(random, &mut arguments);
        arguments
    });
}

#[test]
fn tr_replaces_as_the_host_does() {
    const ELEMENTS: &[&str] = &[
        "a",
        "b",
        "c",
        "A-C",
        "a-c",
        "0-9",
        "1",
        "-",
        ",",
        " ",
        "\\t",
        "\\n",
        "[:upper:]",
        "[:lower:]",
        "[:digit:]",
        "[:space:]",
        "[:alpha:]",
        "[x*]",
        "[y*2]",
        "[=a=]",
        "\\101",
        "z-y",
        "\\\\",
        "[",
        "]",
        "[:punct:]",
    ];
    compare("tr", "C", |random| {
        let mut arguments = random.options(&["-d", "-s", "-c", "-t"]);
        arguments.push(random.joined(ELEMENTS, 4));
        if random.below(4) > 0 {
            arguments.push(random.joined(ELEMENTS, 4));
        }
        arguments
    });
}

#[test]
fn small_filters_do_what_the_host_does() {
    compare("cat", "C", |random| {
        let mut arguments = random.options(&["-n", "-b", "-s"]);
        operands(random, &mut arguments);
        arguments
    });
    compare("nl", "C", |random| {
        let mut arguments = random.options(&["-ba", "-nrz", "-nln", "-w3", "-s:", "-v-5", "-i2"]);
        operands(random, &mut arguments);
        arguments
    });
    compare("paste", "C", |random| {
        let mut arguments = random.options(&["-s", "-d,:", "-d\\n\\0x"]);
        operands(random, &mut arguments);
        arguments
    });
}

#[test]
fn rev_reverses_as_the_host_does() {
    let Some(mut comparison) = Comparison::new("rev", FILES, "C.UTF-8") else { return };
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let input = random.lines(&[b"a", b"b", b" ", "é".as_bytes(), "漢".as_bytes(), b"\t"], 6, 6);
        comparison.case(&[], &input, seed);
    }
    comparison.finish();
}

#[test]
fn ls_lists_what_the_host_lists() {
    let files: &[(&str, &[u8])] =
        &[("b", b"12"), ("a", b"1"), (".hidden", b""), ("d/x", b"123"), ("d/.y", b""), ("B", b"")];
    let Some(mut comparison) = Comparison::new("ls", files, "C") else { return };
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let mut arguments = random.options(&["-a", "-A", "-1", "-d", "-r"]);
        for _ in 0..random.below(4) {
            arguments.push(random.pick(&["a", "b", "d", "missing", ".", "d/x", "B"]).to_string());
        }
        comparison.case(&words(&arguments), b"", seed);
    }
    comparison.finish();
}

#[test]
fn date_formats_as_the_host_does() {
    let Some(tools) = HostTools::new("date", FILES, "C") else { return };
    const LETTERS: &[&str] = &[
        "a", "A", "b", "B", "c", "C", "d", "D", "e", "F", "g", "G", "h", "H", "I", "j", "k", "l", "m", "M",
        "n", "N", "p", "P", "q", "r", "R", "s", "S", "t", "T", "u", "U", "V", "w", "W", "x", "X", "y", "Y",
        "z", "Z", "%", "Q", ":z", "::z", ":::z",
    ];
    let mut differences = Vec::new();
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        // From 1970 to about 2100.
        let seconds = (random.next() % 4_102_444_800) as i64;
        let mut format = String::from("+");
        for _ in 0..4 {
            let style = random.joined(&["-", "_", "0", "^", "#"], 1);
            let width = random.pick(&["", "", "", "5", "12"]);
            // How a mistake is padded is nobody's business.
            match random.pick(LETTERS) {
                plain @ ("%" | "Q" | "N") => format.push_str(&format!("%{plain}|")),
                letter => format.push_str(&format!("%{style}{width}{letter}|")),
            }
        }
        // The host's tool only shows the given time: it is never called in a form that could set a clock.
        let expected = tools.run("date", &["-u", "-d", &format!("@{seconds}"), &format], b"");
        let actual = run_full(FILES, "date", &["-u", &format], b"", &Clock::utc(seconds), Limits::default());
        if actual.output != expected.output {
            differences.push(format!(
                "seed {seed}: {seconds} {format}\n{}{}",
                expected.text(),
                actual.text()
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
