//! Whatever is typed, the shell neither panics nor runs away, and arguments arrive as they were quoted.

mod support;

use std::path::Path;

use proptest::prelude::*;
use support::{RecordingHost, run, run_on};
use varan_shell::fuzz_one;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/shell-corpus");

/// The least number of inputs that the corpus must keep.
const CORPUS_FILES: usize = 40;

/// Pieces that mean something to the shell.
const PIECES: &[&str] = &[
    "if",
    "then",
    "elif",
    "else",
    "fi",
    "for",
    "in",
    "do",
    "done",
    "while",
    "until",
    "case",
    "esac",
    "{",
    "}",
    "!",
    "[[",
    "]]",
    "[",
    "]",
    "(",
    ")",
    "((",
    "))",
    ";",
    ";;",
    ";&",
    "&",
    "&&",
    "|",
    "||",
    "|&",
    "\n",
    "<",
    ">",
    ">>",
    "<<",
    "<<-",
    "<<<",
    "2>&1",
    ">&2",
    "&>",
    "'",
    "\"",
    "`",
    "\\",
    "$",
    "$(",
    "$((",
    "${",
    "}",
    "${x",
    ":-",
    "%%",
    "##",
    "//",
    ":1",
    "#",
    "*",
    "?",
    "[a-z]",
    "~",
    "a",
    "b=1",
    "x",
    "x=$x$x",
    "$x",
    "$?",
    "$#",
    "$@",
    "\"$*\"",
    "$1",
    "1",
    "0",
    "+",
    "-eq",
    "=~",
    "==",
    "{1..9}",
    "{a,b}",
    "echo",
    "read x",
    "printf %s",
    "test",
    "set --",
    "shift",
    "break",
    "continue",
    "return",
    "exit",
    "local y=1",
    "export z",
    "unset x",
    "f()",
    "f",
    "seq 5",
    "cat",
    "names",
    "grep a",
    "sort",
    "sed s/a/b/",
    "head -1",
    "tr a b",
    "cut -c1",
    "wc",
    "uniq",
    "let x++",
    "sleep 1",
    "true",
    "false",
    " ",
    " ",
    " ",
    " ",
    "\t",
    "é",
    "日",
    "\u{0}",
    "\r",
];

#[test]
fn the_corpus_is_evaluated_without_a_panic() {
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(CORPUS)).expect("the corpus") {
        let content = std::fs::read(entry.expect("an entry").path()).expect("a file");
        fuzz_one(&content);
        // A cut-off script is the most common broken one.
        for end in (0..content.len()).step_by(1 + content.len() / 32) {
            fuzz_one(&content[..end]);
        }
        count += 1;
    }
    assert!(count >= CORPUS_FILES, "{count} inputs");
}

#[test]
fn deep_nesting_of_every_kind_ends_with_a_message() {
    let kinds: &[(&str, &str)] = &[
        ("( ", " )"),
        ("{ ", "; }"),
        ("$(", ")"),
        ("\"$(", ")\""),
        ("${a:-", "}"),
        ("\"${a:-", "}\""),
        ("if ", "; then a; fi"),
        ("until ", "; do a; done"),
        ("case a in a) ", ";; esac"),
        ("for i in a; do ", "; done"),
        ("f() { ", "; }"),
        ("! ", ""),
        ("[[ ( ", " ) ]]"),
        ("[[ ! ", " ]]"),
        ("$(( ", " ))"),
        ("(( ( ", " ) ))"),
        ("((", "))"),
        ("`", "`"),
        ("$((1+(", "))"),
        ("$((-", "))"),
        ("{a,", "}"),
        ("[ ! ", " ]"),
        ("a && ", ""),
        ("a | ", ""),
        ("[[ a && ", " ]]"),
        ("<<a ", ""),
        ("${a/", "/b}"),
        ("${a:", "}"),
        ("$'", "'"),
    ];
    for (open, close) in kinds {
        for count in [3, 47, 48, 49, 200, 5_000] {
            let script = open.repeat(count) + "echo" + &close.repeat(count);
            // Only that it ends, and that the thread's stack is enough.
            let outcome = run(&script);
            assert!(outcome.error.lines().count() <= 2 * count + 4, "{open:?} {count}");
            fuzz_one(script.as_bytes());
            fuzz_one(open.repeat(count).as_bytes());
        }
    }
}

#[test]
fn a_variable_that_refers_to_itself_ends() {
    for (script, status) in
        [("a=a; echo $((a))", 1), ("a=b+1 b=a; echo $((a))", 1), ("a='a+a+a+a'; let a", 1)]
    {
        assert_eq!(run(script).status, status, "{script}");
    }
}

#[test]
fn patterns_that_could_take_forever_end() {
    let subject = "a".repeat(20_000);
    let star = "*a".repeat(2_000);
    for script in [
        format!("x={subject}; case $x in {star}b) ;; esac; echo ${{#x}}"),
        format!("x={subject}; y=${{x//{star}b/}}; echo ${{#x}}"),
        format!("x={subject}; y=${{x%%{star}b}}; echo ${{#x}}"),
        format!("x={subject}; [[ $x =~ (a*)*b ]]; echo ${{#x}}"),
    ] {
        let outcome = run(&script);
        let ended = outcome.output == "20000\n"
            || outcome.error == "/bin/bash: limit reached: a pattern needs too many steps\n";
        assert!(ended, "{} {}", outcome.output, outcome.error);
    }
}

#[test]
fn whole_scripts_with_one_piece_broken_are_evaluated() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut script = support::script(&mut random, 4);
        fuzz_one(script.as_bytes());
        let place = random.usize(..=script.len());
        if script.is_char_boundary(place) {
            script.insert_str(place, random.choice(PIECES).expect("pieces"));
        }
        // The seed is shown when this panics or never ends.
        println!("seed {seed}");
        fuzz_one(script.as_bytes());
    }
}

fn soup() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat())
}

fn spaced_soup() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_evaluated(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz_one(&data);
    }

    #[test]
    fn any_words_of_the_language_are_evaluated(script in soup(), spaced in spaced_soup()) {
        fuzz_one(script.as_bytes());
        fuzz_one(spaced.as_bytes());
    }

    #[test]
    fn quoted_arguments_arrive_as_they_are(words in proptest::collection::vec("[^\u{0}]{0,12}", 0..6)) {
        let mut expected = vec!["lssyscfg".to_string()];
        expected.extend(words.iter().cloned());
        let single: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        let double: Vec<String> = words
            .iter()
            .map(|word| {
                let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`");
                format!("\"{escaped}\"")
            })
            .collect();
        for quoted in [single, double] {
            let host = RecordingHost::new();
            run_on(&host, &format!("lssyscfg {}", quoted.join(" ")), "");
            prop_assert_eq!(host.calls(), vec![expected.clone()]);
        }
        // As variables: expanded within double quotes they are not split, not globbed, not evaluated again.
        let host = RecordingHost::new();
        let assigned: Vec<String> = words.iter().enumerate().map(|(index, word)| format!("v{index}='{}'; ", word.replace('\'', "'\\''"))).collect();
        let used: Vec<String> = (0..words.len()).map(|index| format!("\"$v{index}\"")).collect();
        run_on(&host, &format!("{}lssyscfg {}", assigned.concat(), used.join(" ")), "");
        prop_assert_eq!(host.calls(), vec![expected]);
    }
}
