//! `grep` and `sed` against the host's on random expressions.

use super::support::{Comparison, Random, run, words};

const CASES: u64 = 500;

const FILES: &[(&str, &[u8])] = &[("one", b"abc\nfoo bar\n\nA.b\n"), ("two", b"b\nab_c\n"), ("empty", b"")];

const TEXT: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"ab",
    b"A",
    b"_",
    b" ",
    b"-",
    b".",
    b"1",
    b"\xff",
    "é".as_bytes(),
    b"(",
    b"+",
    b"{",
    b"|",
    b"*",
];

/// Without bytes that are not UTF-8: next to those the host's tools see ends of words where there are none.
const VALID_TEXT: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"ab",
    b"A",
    b"_",
    b" ",
    b"-",
    b".",
    b"1",
    "é".as_bytes(),
    b"(",
    b"+",
    b"{",
    b"|",
    b"*",
];

/// The host's sed takes other characters apart after an empty match.
const ASCII_TEXT: &[&[u8]] =
    &[b"a", b"b", b"c", b"ab", b"A", b"_", b" ", b"-", b".", b"1", b"(", b"+", b"{", b"|", b"*", b"#"];

/// Places: nothing repeats them, because tools differ in what that means.
const PLACES: &[&str] = &["^", "$", "\\<", "\\>", "\\b", "\\B"];

/// What can be repeated, in both syntaxes.
const ATOMS: &[&str] = &[
    "a",
    "b",
    "c",
    "A",
    ".",
    ".",
    "[ab]",
    "[^a]",
    "[a-c]",
    "[[:alpha:]]",
    "[[:space:]_]",
    "[]a]",
    "[[:digit:]-]",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "é",
    "\\.",
    "1",
];

const BASIC_ATOMS: &[&str] =
    &["\\(a\\)", "\\(b*\\)", "\\(a\\|ab\\)", "\\(.a*\\|b\\)", "\\(\\)", "(", "|", "+", "{"];
const BASIC_REPETITIONS: &[&str] = &["*", "*", "\\+", "\\?", "\\{2\\}", "\\{1,2\\}", "\\{,1\\}", "\\{1,\\}"];
const BASIC_BREAKS: &[&str] = &["\\|", "\\(", "\\)"];

const EXTENDED_ATOMS: &[&str] = &["(a)", "(b*)", "(a|ab)", "(a|b|ab)", "(.a*|b)", "()", "\\(", "\\|", "\\+"];
const EXTENDED_REPETITIONS: &[&str] = &["*", "*", "+", "?", "{2}", "{1,2}", "{,1}", "{1,}"];
const EXTENDED_BREAKS: &[&str] = &["|", "(", ")"];

/// A random expression of up to so many parts.
fn expression(random: &mut Random, extended: bool, most: usize) -> String {
    let (atoms, repetitions, breaks) = if extended {
        (EXTENDED_ATOMS, EXTENDED_REPETITIONS, EXTENDED_BREAKS)
    } else {
        (BASIC_ATOMS, BASIC_REPETITIONS, BASIC_BREAKS)
    };
    let mut text = String::new();
    for _ in 0..random.below(most + 1) {
        match random.below(10) {
            0 => text.push_str(random.pick(PLACES)),
            1 => text.push_str(random.pick(breaks)),
            kind => {
                text.push_str(random.pick(if kind < 5 { atoms } else { ATOMS }));
                if random.below(5) < 2 {
                    text.push_str(random.pick(repetitions));
                }
            }
        }
    }
    text
}

fn mentions_words(arguments: &[String]) -> bool {
    let places = ["-w", "\\<", "\\>", "\\b", "\\B"];
    arguments.iter().any(|argument| places.iter().any(|place| argument.contains(place)))
}

/// Whether all tools agree what the arguments mean. They do not for `-w` with `-x`, and for `-w` with an
/// expression that matches the empty text.
fn is_settled(arguments: &[String]) -> bool {
    let given = |option: &str| arguments.iter().any(|argument| argument == option);
    if !given("-w") {
        return true;
    }
    let mut plain: Vec<&str> = arguments
        .iter()
        .filter(|argument| matches!(argument.as_str(), "-G" | "-E" | "-F"))
        .map(String::as_str)
        .collect();
    for pair in arguments.windows(2).filter(|pair| pair[0] == "-e") {
        plain.extend(["-e", &pair[1]]);
    }
    let empty = run("grep", &plain, b"\n").status == 0;
    let places = arguments
        .iter()
        .any(|argument| ["\\<", "\\>", "\\b", "\\B"].iter().any(|place| argument.contains(place)));
    // GNU grep skips some words after a match that it had to shorten.
    let shortened = given("-o")
        && arguments
            .iter()
            .any(|argument| ["\\W", "\\S", ".", "[^"].iter().any(|wide| argument.contains(wide)));
    // Its join of several expressions lets a lone parenthesis close a group that it added itself.
    let count = |letter: char| plain.iter().map(|text| text.matches(letter).count()).sum::<usize>();
    !given("-x") && count('(') >= count(')') && !empty && !places && !shortened
}

#[test]
fn grep_finds_what_the_host_finds() {
    let Some(mut comparison) = Comparison::new("grep", FILES, "C.UTF-8") else { return };
    for seed in 0..2 * CASES {
        let mut random = Random::new(seed);
        // The host's grep would say "binary file matches" for bytes that are not UTF-8.
        let mut arguments = vec!["-a".to_string()];
        arguments.extend(random.options(&["-v", "-i", "-n", "-x", "-w", "-c", "-o", "-H", "-l", "-m2"]));
        if random.chance(4) && !arguments.contains(&"-o".to_string()) {
            arguments.push(format!("-{}{}", random.pick(&["A", "B", "C"]), random.below(3)));
        }
        let syntax = random.pick(&["-G", "-E", "-F"]);
        arguments.push(syntax.to_string());
        for _ in 0..=random.below(2) {
            let text = match syntax {
                "-F" => random.joined(&["a", "b", "ab", "é", ".", "\n", "_"], 4),
                _ => expression(&mut random, syntax == "-E", 4),
            };
            arguments.extend(["-e".to_string(), text]);
        }
        // Standard input at most once: how much of it a search that ends early leaves is not the same.
        arguments.extend(random.options(&["one", "-", "missing", "empty", "two"]));
        if is_settled(&arguments) {
            let text = if mentions_words(&arguments) { VALID_TEXT } else { TEXT };
            let input = random.lines(text, 8, 7);
            comparison.case(&words(&arguments), &input, seed);
        }
    }
    comparison.finish();
}

#[test]
fn sed_substitutes_as_the_host_does() {
    let Some(mut comparison) = Comparison::new("sed", FILES, "C.UTF-8") else { return };
    for seed in 0..2 * CASES {
        let mut random = Random::new(seed);
        let extended = random.chance(2);
        let expression = expression(&mut random, extended, 4);
        let replacement = random.joined(&["x", "&", "[&]", "\\1", "<\\1>", "\\n", "\\&", "é", "\\t"], 3);
        let flags = random.joined(&["g", "I", "p", "2", "3"], 2);
        let delimiter = random.pick(&["/", "/", ",", "%", "!"]);
        let script = format!("s{delimiter}{expression}{delimiter}{replacement}{delimiter}{flags}");
        let mut arguments = random.options(&["-n"]);
        if extended {
            arguments.push("-E".to_string());
        }
        arguments.extend(["-e".to_string(), script]);
        let input = random.lines(ASCII_TEXT, 6, 7);
        comparison.case(&words(&arguments), &input, seed);
    }
    comparison.finish();
}

#[test]
fn sed_selects_the_lines_that_the_host_selects() {
    let Some(mut comparison) = Comparison::new("sed", FILES, "C.UTF-8") else { return };
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let address = |random: &mut Random| match random.below(7) {
            0 => "$".to_string(),
            1 => "/a/".to_string(),
            2 => "/B/I".to_string(),
            3 => "\\,c$,".to_string(),
            4 => format!("{}~{}", random.below(3), random.below(3)),
            _ => format!("{}", random.below(7)),
        };
        let mut commands = Vec::new();
        for _ in 0..=random.below(3) {
            let mut command = String::new();
            if random.below(4) > 0 {
                command.push_str(&address(&mut random));
                if random.chance(2) {
                    let end = match random.below(4) {
                        0 => format!("+{}", random.below(3)),
                        1 => format!("~{}", random.below(4)),
                        _ => address(&mut random),
                    };
                    command.push_str(&format!(",{end}"));
                }
            }
            command.push_str(random.pick(&["", "", "!"]));
            command.push_str(random.pick(&[
                "p",
                "d",
                "=",
                "q",
                "s/a/<&>/",
                "s/b*/x/2g",
                "s//[&]/",
                "q3",
                "p;p",
            ]));
            commands.push(command);
        }
        let mut arguments = random.options(&["-n"]);
        arguments.push(commands.join(random.pick(&[";", "\n", " ; "])));
        for _ in 0..random.below(3) {
            arguments.push(random.pick(&["one", "two", "-", "missing", "empty"]).to_string());
        }
        let input = random.lines(&[b"a", b"b", b"c", b"B", b" "], 8, 4);
        comparison.case(&words(&arguments), &input, seed);
    }
    comparison.finish();
}
