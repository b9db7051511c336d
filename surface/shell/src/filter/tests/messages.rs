//! Messages and statuses, word for word as the host's tools give them.

use super::support::{HostTools, run_over};

const FILES: &[(&str, &[u8])] = &[("a", b"hello\n"), ("d/x", b"")];

/// Command lines, with words separated by one space; `''` is an empty word.
const LINES: &[&str] = &[
    "head nofile",
    "head d",
    "head -n x",
    "head -c x",
    "head -n",
    "head -5x",
    "head -n 1 a nofile a",
    "head -x5",
    "head -Z",
    "head --lin=1 a",
    "head --zork",
    "tail nofile",
    "tail d",
    "tail -n x",
    "tail -c x",
    "tail -n +x",
    "tail -5 a a",
    "tail -5x",
    "tail a +2",
    "tail +1 a",
    "tail -n",
    "sort nofile",
    "sort d",
    "sort -k",
    "sort -k 0",
    "sort -k x",
    "sort -k 1x",
    "sort -k 1.",
    "sort -k 1.0",
    "sort -k 1,0",
    "sort -k 1,x",
    "sort -k 1n,2z",
    "sort -t",
    "sort -t ab",
    "sort -t ''",
    "sort -t: -t,",
    "uniq nofile",
    "uniq a b c",
    "uniq -f x",
    "uniq -w x",
    "uniq -Z",
    "cut",
    "cut -f 1 nofile",
    "cut -f 1 d",
    "cut -f",
    "cut -f 0",
    "cut -c 0",
    "cut -f x",
    "cut -c x",
    "cut -f 3-1",
    "cut -f -",
    "cut -f 1 -c 1",
    "cut -d ab -f 1",
    "cut -c 1 -d x",
    "cut -c1 -s",
    "cut -f 1,,2",
    "cut -f ''",
    "cut -f 1-2-3",
    "cut -c 1-2-3",
    "cut -f 99999999999999999999999",
    "cut -f 1x",
    "wc nofile",
    "wc d",
    "wc -l nofile a",
    "wc -Z",
    "tr",
    "tr a",
    "tr a b c",
    "tr -d a b",
    "tr -s",
    "tr -ds a",
    "tr a ''",
    "tr z-a x",
    "tr [:foo:] x",
    "tr a [:digit:]",
    "tr [:digit:] [:upper:]",
    "tr -c a",
    "tr [x*] y",
    "tr ab\\ xyz",
    "tr -Z",
    "tr a-z [:upper:]",
    "cat nofile",
    "cat d",
    "cat -Z",
    "rev nofile",
    "nl nofile",
    "nl d",
    "nl -b x a",
    "nl -w x a",
    "paste nofile",
    "paste d",
    "paste -d",
    "ls nofile",
    "ls d nofile a",
    "date x",
    "date +a +b",
    "grep",
    "grep -Q",
    "grep -m x a",
    "grep -m",
    "grep \\( a",
    "grep \\) a",
    "grep -E ( a",
    "grep [a a",
    "grep a\\{1 a",
    "grep [[:foo:]] a",
    "grep [b-a] a",
    "grep \\ a",
    "grep -E a{2,1} a",
    "grep [:space:] a",
    "grep a\\{70000\\} a",
    "grep \\1 a",
    "grep --foo a",
    "grep -A",
    "grep -A x a",
    "grep -q a nofile",
    "grep l nofile a",
    "grep -s l nofile",
    "grep -E -F a a",
    "grep -l l a nofile",
    "grep -c l a nofile",
    "grep -L z a",
    "grep -L l a",
    "sed k",
    "sed 1",
    "sed 1,",
    "sed 1,2",
    "sed 1,p",
    "sed s/a/x",
    "sed s/a",
    "sed s",
    "sed s/a/x/q",
    "sed s/a/x/gg",
    "sed s/a/x/pp",
    "sed s/a/x/2g3",
    "sed s/a/x/0",
    "sed 1p2",
    "sed /a",
    "sed 0p",
    "sed 0,2p",
    "sed 1!!p",
    "sed p}",
    "sed 1,3q",
    "sed //p",
    "sed s/a\\(/x/",
    "sed s/\\(/x/;p",
    "sed /\\(/p",
    "sed s/\\(a\\)/\\2/",
    "sed -n p nofile",
    "sed -E s/b)/X/",
    "sed -E s/b{1/X/",
    "sed s/b\\{1/X/",
    "sed s/b\\{x\\}/X/",
    "sed -E s/*b/X/",
    "sed s/\\{1\\}b/X/",
    "sed -e p -e s/a",
    "sed +1p",
    "sed \\",
    "sed s/[/x/",
    "sed q5",
    "sed ppp",
];

#[test]
fn messages_are_the_hosts() {
    let mut compared = 0;
    let mut differences = Vec::new();
    for line in LINES {
        let mut words = line.split(' ').map(|word| if word == "''" { "" } else { word });
        let tool = words.next().expect("a tool");
        let arguments: Vec<&str> = words.collect();
        // Messages of the same tool in the C locale, so that quotes are plain.
        let Some(tools) = HostTools::new(tool, FILES, "C") else { continue };
        let expected = tools.run(tool, &arguments, b"x\n");
        let actual = run_over(FILES, tool, &arguments, b"x\n");
        if actual != expected {
            differences.push(format!("{line}\nexpected {expected:?}\nactual   {actual:?}"));
        }
        compared += 1;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    println!("{compared} messages like the host's");
}

#[test]
fn unknown_options_are_refused_in_each_tools_own_form() {
    let usage = |tool: &str| format!("Try '{tool} --help' for more information.\n");
    for tool in crate::filter::names() {
        let program = if tool.ends_with("grep") { "grep" } else { tool };
        let refused = run_over(&[], tool, &["-Z"], b"");
        let status = match program {
            "grep" | "sort" | "ls" => 2,
            _ => 1,
        };
        assert_eq!(refused.status, status, "{tool}");
        assert!(refused.output.is_empty(), "{tool}");
        let hint = match program {
            "grep" => format!("Usage: grep [OPTION]... PATTERNS [FILE]...\n{}", usage("grep")),
            "sed" => "Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...\n".to_string(),
            other => usage(other),
        };
        assert_eq!(refused.error, format!("{program}: invalid option -- 'Z'\n{hint}"), "{tool}");
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    for (line, message) in [
        ("grep \\(a\\)\\1 a", "grep: back-references are not supported\n"),
        ("sed s/\\(a\\)\\1/x/", "sed: -e expression #1, char 12: back-references are not supported\n"),
        ("sed y/a/b/", "sed: -e expression #1, char 1: unknown command: `y'\n"),
        ("sed s/a/\\u&/", "sed: -e expression #1, char 8: case conversion `\\u' is not supported\n"),
        ("sed s/a/b/w", "sed: -e expression #1, char 7: unknown option to `s'\n"),
        ("sed s/a/b/e", "sed: -e expression #1, char 7: unknown option to `s'\n"),
        ("date 010100002030", "date: cannot set date: Operation not permitted\n"),
        ("uniq a b", "uniq: b: writing to a file is not supported\n"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let refused = run_over(FILES, words[0], &words[1..], b"aa\n");
        assert_eq!(refused.error, message, "{line}");
        assert!(refused.status > 0 && refused.output.is_empty(), "{line}");
    }
}
