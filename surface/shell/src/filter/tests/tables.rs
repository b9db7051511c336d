//! What scripts on a console do with filters, as tables; they hold without the host's tools.

use super::support::{Clock, run, run_full, run_over};
use crate::filter::{lookup, names};
use crate::host::WallClock;
use crate::limits::Limits;

const LISTING: &[u8] = b"name=vios1,lpar_id=1,state=Running\nname=vios2,lpar_id=2,state=Running\nname=aix1,lpar_id=10,state=Not Activated\n";

#[test]
fn console_pipelines() {
    let cases: &[(&[&str], &str)] = &[
        (&["grep", "-c", "Running"], "2\n"),
        (&["grep", "-v", "vios"], "name=aix1,lpar_id=10,state=Not Activated\n"),
        (
            &["grep", "-iE", "VIOS2|AIX"],
            "name=vios2,lpar_id=2,state=Running\nname=aix1,lpar_id=10,state=Not Activated\n",
        ),
        (&["egrep", "-o", "lpar_id=[0-9]+"], "lpar_id=1\nlpar_id=2\nlpar_id=10\n"),
        (&["grep", "-w", "lpar_id=1"], "name=vios1,lpar_id=1,state=Running\n"),
        (&["grep", "-n", "^name=aix"], "3:name=aix1,lpar_id=10,state=Not Activated\n"),
        (
            &["grep", "vios1\\|aix1"],
            "name=vios1,lpar_id=1,state=Running\nname=aix1,lpar_id=10,state=Not Activated\n",
        ),
        (&["fgrep", "-m1", "lpar"], "name=vios1,lpar_id=1,state=Running\n"),
        (
            &["cut", "-d,", "-f1,3"],
            "name=vios1,state=Running\nname=vios2,state=Running\nname=aix1,state=Not Activated\n",
        ),
        (&["cut", "-d", "=", "-f2"], "vios1,lpar_id\nvios2,lpar_id\naix1,lpar_id\n"),
        (&["cut", "-c6-9"], "vios\nvios\naix1\n"),
        (&["sed", "s/,.*//"], "name=vios1\nname=vios2\nname=aix1\n"),
        (&["sed", "-n", "s/^name=\\([^,]*\\),.*/\\1/p"], "vios1\nvios2\naix1\n"),
        (&["sed", "-E", "s|name=(\\w+),lpar_id=([0-9]+).*|\\2:\\1|"], "1:vios1\n2:vios2\n10:aix1\n"),
        (&["sed", "-n", "$p"], "name=aix1,lpar_id=10,state=Not Activated\n"),
        (&["sed", "1d;s/state/S/"], "name=vios2,lpar_id=2,S=Running\nname=aix1,lpar_id=10,S=Not Activated\n"),
        (
            &["sort", "-t=", "-k3,3nr"],
            "name=aix1,lpar_id=10,state=Not Activated\nname=vios2,lpar_id=2,state=Running\nname=vios1,lpar_id=1,state=Running\n",
        ),
        (&["head", "-1"], "name=vios1,lpar_id=1,state=Running\n"),
        (&["tail", "-n", "+3"], "name=aix1,lpar_id=10,state=Not Activated\n"),
        (&["tail", "+3"], "name=aix1,lpar_id=10,state=Not Activated\n"),
        (&["wc", "-l"], "3\n"),
        (&["wc"], "      3       4     111\n"),
        (&["more"], std::str::from_utf8(LISTING).unwrap_or_default()),
        (&["less"], std::str::from_utf8(LISTING).unwrap_or_default()),
    ];
    for (words, expected) in cases {
        let outcome = run(words[0], &words[1..], LISTING);
        assert_eq!((outcome.text().as_str(), outcome.error.as_str()), (*expected, ""), "{words:?}");
        assert_eq!(outcome.status, 0, "{words:?}");
    }
}

#[test]
fn small_transformations() {
    let cases: &[(&[&str], &str, &str)] = &[
        (&["tr", "a-z", "A-Z"], "vios1\n", "VIOS1\n"),
        (&["tr", "-d", "\\r\\n"], "a\r\nb\r\n", "ab"),
        (&["tr", "-s", " "], "a   b  c\n", "a b c\n"),
        (&["tr", ",", "\\n"], "a,b\n", "a\nb\n"),
        (&["tr", "-cd", "[:digit:]"], "a1b22\n", "122"),
        (&["tr", "-cs", "[:alnum:]", "[\\n*]"], "a, b;;c\n", "a\nb\nc\n"),
        (&["uniq", "-c"], "a\na\nb\n", "      2 a\n      1 b\n"),
        (&["uniq", "-d"], "a\na\nb\n", "a\n"),
        (&["rev"], "abé\n", "éba\n"),
        (&["nl"], "a\n\nb\n", "     1\ta\n       \n     2\tb\n"),
        (&["paste", "-s", "-d,"], "a\nb\nc\n", "a,b,c\n"),
        (&["paste", "-", "-"], "1\n2\n3\n", "1\t2\n3\t\n"),
        (&["cat", "-n"], "a\nb", "     1\ta\n     2\tb"),
        (&["grep", "-o", "."], "aé\n", "a\né\n"),
        (&["grep", "-oE", "a|ab|abc"], "abcd\n", "abc\n"),
        (&["grep", "-A1", "b"], "a\nb\nc\nd\nb\n", "b\nc\n--\nb\n"),
        (&["sed", "s/x*/-/g"], "abc\n", "-a-b-c-\n"),
        (&["sed", "s/\\(a\\|ab\\)\\(c\\|bcd\\)*/[\\1][\\2]/"], "abcd\n", "[a][bcd]\n"),
        (&["sed", "="], "a\nb\n", "1\na\n2\nb\n"),
        (&["sed", "-n", "/b/,$!p"], "a\nb\nc\n", "a\n"),
        (&["sed", "p"], "a", "a\na"),
        (&["sort", "-u"], "b\na\nb\n", "a\nb\n"),
        (&["sort"], "b\nA\na\nB", "A\nB\na\nb\n"),
    ];
    for (words, input, expected) in cases {
        let outcome = run(words[0], &words[1..], input.as_bytes());
        assert_eq!(outcome.text(), *expected, "{words:?}: {}", outcome.error);
    }
}

#[test]
fn bytes_that_are_no_text_pass_unchanged() {
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    for words in [
        &["cat"][..],
        &["more"],
        &["head", "-c", "999"],
        &["tail", "-c", "999"],
        &["tr", "a", "a"],
        &["sed", "p;d"],
    ] {
        assert_eq!(run(words[0], &words[1..], &bytes).output, bytes, "{words:?}");
    }
    assert_eq!(run("grep", &["-c", "\u{80}"], b"\xff\x80\n").text(), "0\n");
    assert_eq!(run("sed", &["s/b/x/g"], b"\xffb\xfe\n").output, b"\xffx\xfe\n");
}

#[test]
fn ls_shows_details() {
    let files: &[(&str, &[u8])] = &[("big", &[b'x'; 2000]), ("small", b"1"), ("d/in", b"")];
    let long = run_over(files, "ls", &["-l"], b"");
    let expected = "total 12\n\
        -rw-r--r-- 1 hscroot hscroot 2000 Jan  1  1970 big\n\
        drwxr-xr-x 1 hscroot hscroot 4096 Jan  1  1970 d\n\
        -rw-r--r-- 1 hscroot hscroot    1 Jan  1  1970 small\n";
    assert_eq!(long.text(), expected);
    assert_eq!(
        run_over(files, "ls", &["-lh", "big"], b"").text(),
        "-rw-r--r-- 1 hscroot hscroot 2.0K Jan  1  1970 big\n"
    );
    assert_eq!(run_over(files, "ls", &["-a"], b"").text(), ".\n..\nbig\nd\nsmall\n");
    assert_eq!(run_over(files, "ls", &["-d", "d"], b"").text(), "d\n");
    assert_eq!(run_over(files, "ls", &["d", "small"], b"").text(), "small\n\nd:\nin\n");
    // A change of the last half year comes with the time of day.
    let recent = run_full(files, "ls", &["-l", "small"], b"", &Clock::utc(86_400 * 100), Limits::default());
    assert_eq!(recent.text(), "-rw-r--r-- 1 hscroot hscroot 1 Jan  1 00:00 small\n");
}

#[test]
fn date_shows_the_hosts_clock() {
    let clock = Clock(WallClock {
        unix_seconds: 1_795_258_800,
        nanoseconds: 42_000_000,
        offset_seconds: 3600,
        zone: "CET".to_string(),
    });
    let date = |arguments: &[&str]| run_full(&[], "date", arguments, b"", &clock, Limits::default()).text();
    assert_eq!(date(&[]), "Sat Nov 21 12:00:00 CET 2026\n");
    assert_eq!(date(&["-u"]), "Sat Nov 21 11:00:00 UTC 2026\n");
    assert_eq!(date(&["+%Y%m%d_%H%M%S.%3N %z %:z"]), "20261121_120000.042 +0100 +01:00\n");
    assert_eq!(date(&["-R"]), "Sat, 21 Nov 2026 12:00:00 +0100\n");
}

#[test]
fn names_can_be_looked_up_and_are_in_order() {
    assert!(names().is_sorted());
    assert!(names().iter().all(|name| lookup(name).is_some()));
    assert!(lookup("awk").is_none() && lookup("tee").is_none());
}

#[test]
fn help_names_every_option() {
    let help = run("grep", &["--help"], b"");
    assert_eq!(help.status, 0);
    assert!(help.text().starts_with("Usage: grep [OPTION]... PATTERNS [FILE]...\n"));
    assert!(
        help.text().contains("  -v, --invert-match\n") && help.text().contains("  -m, --max-count=VALUE\n")
    );
}
