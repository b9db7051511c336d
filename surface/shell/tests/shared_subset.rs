//! Scripts that mean the same in bash: the expected output is written here, and a real bash is asked too.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::{FILES, RecordingHost, run_on, script};

/// (script, standard output, status)
type Row = (&'static str, &'static str, u8);

const QUOTING: &[Row] = &[
    ("echo a  b", "a b\n", 0),
    ("echo 'a  b' \"c  d\" e\\ \\ f", "a  b c  d e  f\n", 0),
    ("echo \"a\\\"b\\$c\\\\d\\e\"", "a\"b$c\\d\\e\n", 0),
    ("echo 'it'\\''s'", "it's\n", 0),
    ("echo $'a\\tb\\x41\\101\\'\\u00e9'", "a\tbAA'é\n", 0),
    ("echo \"\" '' x", "  x\n", 0),
    ("echo a\\\nb", "ab\n", 0),
    ("echo 'a\nb'", "a\nb\n", 0),
    ("echo # comment", "\n", 0),
    ("echo a#b '#c' # d", "a#b #c\n", 0),
    ("echo \"`echo \\\"x y\\\"`\"", "x y\n", 0),
    ("echo `echo \\`echo deep\\``", "deep\n", 0),
    (
        "echo {a,b{1,2}}c x{1..3} {c..a} {01..03} {a} {} '{a,b}' a{,b}",
        "ac b1c b2c x1 x2 x3 c b a 01 02 03 {a} {} {a,b} a ab\n",
        0,
    ),
    (
        "echo \"$(echo \"{a,b}\" {c,d})\" \"{e,f}\"$(echo {g,h}){1,2} {$(echo i),'j,k'}",
        "{a,b} c d {e,f}g h1 {e,f}g h2 i j,k\n",
        0,
    ),
    ("echo \"${u:-$'a\\tb'}\" \"${u:-'c'}\" ${u:-'d  e'}", "a\tb 'c' d  e\n", 0),
    ("echo {~/x,y} ${HOME+{a,b}} {a..$x} {a,}", "/home/hscroot/x y {a,b} {a..} a\n", 0),
    ("echo -i \"\\\"vios_names=a,b\\\"\"", "-i \"vios_names=a,b\"\n", 0),
];

const VARIABLES: &[Row] = &[
    ("a=b; echo $a ${a} \"$a\" '$a' \\$a x${a}y", "b b b $a $a xby\n", 0),
    ("a='x  y'; echo $a; echo \"$a\"", "x y\nx  y\n", 0),
    ("a=1 b=$a; echo $b; c=$(echo 2) d=`echo 3`; echo $c$d", "1\n23\n", 0),
    (
        "echo ${u:-x} ${u-y} \"${u:-a b}\" ${u:+z}; e=; echo ${e:-x} \"${e-y}\" ${e+set}",
        "x y a b\nx  set\n",
        0,
    ),
    ("echo ${u:=v} $u; echo ${#u} ${#missing}", "v v\n1 0\n", 0),
    ("f=a.b.c; echo ${f%.*} ${f%%.*} ${f#*.} ${f##*.}", "a.b a b.c c\n", 0),
    ("f='a*b*c'; echo \"${f%\\**}\" \"${f%%\"*\"*}\" \"${f#a?}\"", "a*b a b*c\n", 0),
    (
        "s=hello; echo ${s:1:3} ${s:2} ${s: -3} ${s:1:-1} ${s/l/L} ${s//l/L} ${s/#h/J} ${s/%o/0} ${s^} ${s^^}",
        "ell llo llo ell heLlo heLLo Jello hell0 Hello HELLO\n",
        0,
    ),
    (
        "n=3; echo $((n+1)) $((2**10)) $(( (1+2)*3 )) $((7/2)) $((7%3)) $((n>2&&n<5)) $((n++)) $n",
        "4 1024 9 3 1 1 3 4\n",
        0,
    ),
    (
        "echo $((0x1f)) $((010)) $((1?2:3)) $((a=5,a*2)) $a $((-3)) $((!0)) $((~0)) $((1<<4))",
        "31 8 2 10 5 -3 1 -1 16\n",
        0,
    ),
    ("a=1; a+=2; echo $a; let a=a+1 b=a*2; echo $a $b; let 0; echo $?", "12\n13 26\n1\n", 0),
    (
        "set -- a 'b c' d; echo $# $1 \"$2\" $3 ${10}x; shift; echo $1; for i in \"$@\"; do echo \"<$i>\"; done",
        "3 a b c d x\nb c\n<b c>\n<d>\n",
        0,
    ),
    (
        "set -- 'a b' c; for i in $*; do echo \"<$i>\"; done; for i in \"$*\"; do echo \"<$i>\"; done; IFS=,; echo \"$*\"",
        "<a>\n<b>\n<c>\n<a b c>\na b,c\n",
        0,
    ),
    ("unset a; a=1; unset a; echo \"[$a]\"; x=1 y=2; unset x y; echo \"$x$y.\"", "[]\n.\n", 0),
    ("IFS=:; p=a:b::c; for i in $p; do echo \"<$i>\"; done", "<a>\n<b>\n<>\n<c>\n", 0),
    ("a='*'; echo \"$a\" '*'", "* *\n", 0),
    ("true; echo $?; false; echo $?; (exit 7); echo $?", "0\n1\n7\n", 0),
    ("x=5; (x=6; echo $x); echo $x; { x=7; }; echo $x", "6\n5\n7\n", 0),
    ("export A=\"x y\" B=2; echo \"$A$B\"; v='p q'; export C=$v; echo \"$C\"", "x y2\np q\n", 0),
    ("a=b; b=c; echo ${!a}", "c\n", 0),
    ("v=\"a b\"; set -- $v; echo $#; set -- \"$v\"; echo $#; set --; echo $#", "2\n1\n0\n", 0),
];

const CONTROL: &[Row] = &[
    ("for i in 1 2 3; do echo $i; done", "1\n2\n3\n", 0),
    ("for i in a b\ndo\necho $i\ndone", "a\nb\n", 0),
    ("for ((i=0; i<3; i++)); do echo -n $i; done; echo", "012\n", 0),
    ("i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done", "0\n1\n2\n", 0),
    ("i=3; until [ $i -eq 0 ]; do i=$((i-1)); done; echo $i", "0\n", 0),
    (
        "while true; do break; done; echo $?; for i in 1 2; do for j in 1 2; do continue 2; done; echo no; done; echo end",
        "0\nend\n",
        0,
    ),
    ("if true; then echo a; elif true; then echo b; else echo c; fi", "a\n", 0),
    ("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n", 0),
    ("if false; then echo a; else echo c; fi; if false; then :; fi; echo $?", "c\n0\n", 0),
    ("if ! false; then echo yes; fi; ! true; echo $?", "yes\n1\n", 0),
    ("case lpar7 in vios*) echo v;; lpar[0-9]|x) echo l;; *) echo o;; esac", "l\n", 0),
    ("case a in (b) echo b;; (a) echo a;& c) echo fall;; d) echo no;; esac", "a\nfall\n", 0),
    (
        "case \"a b\" in \"a b\") echo quoted;; esac; case x in '*') echo no;; *) echo any; esac",
        "quoted\nany\n",
        0,
    ),
    ("true && echo a || echo b; false && echo c || echo d; false || true && echo e", "a\nd\ne\n", 0),
    ("{ echo a; echo b; } | cat; (echo c; echo d) | cat", "a\nb\nc\nd\n", 0),
    ("echo x | { read a; echo \"got $a\"; }; echo x | read b; echo \"[$b]\"", "got x\n[]\n", 0),
    ("printf 'a b\\nc d\\n' | while read x y; do echo \"$y-$x\"; done", "b-a\nd-c\n", 0),
    ("f() { echo \"f:$1:$#\"; return 3; }; f x y; echo $?", "f:x:2\n3\n", 0),
    ("g() { local v=1; v=2; echo $v; }; v=0; g; echo $v", "2\n0\n", 0),
    ("exit 5; echo no", "", 5),
    ("echo a; exit 300", "a\n", 44),
    ("false", "", 1),
    ("(exit 3)", "", 3),
    ("false | true; echo $?; true | false; echo $?; set -o pipefail; false | true; echo $?", "0\n1\n1\n", 0),
    ("set -e; false || true; if false; then :; fi; echo on; false; echo off", "on\n", 1),
    (
        "cat <<E\na $((1+1)) $(echo x)\nE\ncat <<'E'\n$a\nE\ncat <<-E\n\tt\n\tE\ncat <<< word",
        "a 2 x\n$a\nt\nword\n",
        0,
    ),
    ("echo a >/dev/null; echo b 2>/dev/null; echo c 1>&2 2>/dev/null; { echo d 1>&2; } 2>&1", "b\nd\n", 0),
    (
        "cat < notes.txt; while read a b; do echo \"$b|$a\"; done < notes.txt",
        "one two three\nfour\ntwo three|one\n|four\n",
        0,
    ),
    ("echo $(< names.txt)", "lpar2 lpar1 lpar1\n", 0),
    (
        "echo *.txt; echo logs/*; echo *.none; echo [a-n]*.txt; echo ?otes.txt; echo 'n'*.txt",
        "names.txt notes.txt\nlogs/a b.log logs/c.log\n*.none\nnames.txt notes.txt\nnotes.txt\nnames.txt notes.txt\n",
        0,
    ),
    ("echo $(echo a; echo b) \"$(echo a; echo b)\"", "a b a\nb\n", 0),
    (
        "false; for i in 1; do echo $?; done; false; case a in a) echo $?;; esac; if false; then :; else echo $?; fi",
        "1\n1\n1\n",
        0,
    ),
    (
        "false; for i in; do :; done; echo $?; false; case a in a) ;; esac; echo $?; false; case a in b) ;; esac; echo $?",
        "0\n0\n0\n",
        0,
    ),
    ("for i in 1 2; do false || continue; done; echo $?; while false; do :; done; echo $?", "0\n0\n", 0),
    ("x=$(false); echo $?; x=$(exit 4) ; echo $?", "1\n4\n", 0),
    ("a=1; b=$(a=2; echo $a); echo $a$b", "12\n", 0),
    ("f() { f() { echo inner; }; echo outer; }; f; f", "outer\ninner\n", 0),
];

const TESTS: &[Row] = &[
    ("[ a = a ] && [ a != b ] && [ -n a ] && [ -z '' ] && [ 1 -lt 2 ] && echo ok", "ok\n", 0),
    (
        "[ ] ; echo $?; [ '' ]; echo $?; [ a ]; echo $?; [ ! a ]; echo $?; [ a -a '' ]; echo $?; [ a -o '' ]; echo $?",
        "1\n1\n0\n1\n1\n0\n",
        0,
    ),
    ("[ 01 -eq 1 ]; echo $?; [ -1 -lt 0 ]; echo $?; test 5 -ge 5; echo $?", "0\n0\n0\n", 0),
    (
        "[ -f names.txt ] && [ -d logs ] && [ -e logs/c.log ] && [ ! -e none ] && [ -s names.txt ] && echo files",
        "files\n",
        0,
    ),
    ("[ \\( a = b -o c = c \\) -a d = d ] && echo yes; [ a = b -o c = d ] || echo no", "yes\nno\n", 0),
    (
        "[[ lpar7 == lpar* && ! x == y || z == q ]] && echo m; [[ a < b ]] && echo less; [[ \"*\" == '*' ]] && echo lit",
        "m\nless\nlit\n",
        0,
    ),
    (
        "[[ lpar12 =~ ^lpar[0-9]+$ ]] && echo re; [[ abc =~ b.d ]]; echo $?; [[ -z '' && -n x ]] && echo z",
        "re\n1\nz\n",
        0,
    ),
    (
        "v='a b'; [[ $v = 'a b' ]] && echo nosplit; [[ 3 -gt 2 && ( 1 -eq 2 || 1 -eq 1 ) ]]; echo $?",
        "nosplit\n0\n",
        0,
    ),
    ("(( 3 > 2 )) && echo gt; (( 0 )); echo $?", "gt\n1\n", 0),
    ("[ a = b", "", 2),
    ("[ x -eq 1 ]", "", 2),
];

const BUILTINS: &[Row] = &[
    (
        "echo -n a; echo -e 'b\\tc\\n'; echo -E 'd\\t'; echo -ne 'x\\c y'; echo -x; echo -",
        "ab\tc\n\nd\\t\nx-x\n-\n",
        0,
    ),
    (
        "printf '%s-%s\\n' a b c; printf '%d %5d|%-5d|%05d %x %o %X\\n' 7 7 7 7 255 8 255",
        "a-b\nc-\n7     7|7    |00007 ff 10 FF\n",
        0,
    ),
    (
        "printf '%5s|%-5s|%.2s|%c|%%|%b\\n' ab ab abc xyz 'a\\tb'; printf '%.2f %e %g\\n' 3.14159 12345.678 0.0001",
        "   ab|ab   |ab|x|%|a\tb\n3.14 1.234568e+04 0.0001\n",
        0,
    ),
    (
        "printf 'plain\\n'; printf '%s\\n'; printf -v v '%03d' 5; echo $v; printf '%+d % d %i\\n' 5 5 -5",
        "plain\n\n005\n+5  5 -5\n",
        0,
    ),
    (
        "printf '%q %q\\n' 'a b' \"it's\"; printf '%d\\n' \"'A\" 0x10 010; printf '%*d|\\n' 4 2",
        "a\\ b it\\'s\n65\n16\n8\n   2|\n",
        0,
    ),
    ("printf '%d\\n' abc", "0\n", 1),
    (
        "echo 'a b c' | { read x y; echo \"$x|$y\"; }; echo ' lead  trail ' | { read x; echo \"[$x]\"; }; echo ' r ' | { read; echo \"[$REPLY]\"; }",
        "a|b c\n[lead  trail]\n[ r ]\n",
        0,
    ),
    (
        "echo 'a\\tb\\\\c' | { read x; echo \"$x\"; }; echo 'a\\tb' | { read -r x; echo \"$x\"; }; printf 'a\\\\\\nb\\n' | { read x; echo $x; }",
        "atb\\c\na\\tb\nab\n",
        0,
    ),
    (
        "echo a:b:c: | { IFS=: read x y; echo \"$x|$y\"; }; echo a:b | { IFS=: read x y z; echo \"$x|$y|$z\"; }; echo a: | { IFS=: read x; echo \"$x\"; }",
        "a|b:c:\na|b|\na\n",
        0,
    ),
    (
        "printf x | { read v; echo $? $v; }; read v < /dev/null; echo $?; printf 'a;b' | { read -d ';' v; echo $v; }",
        "1 x\n1\na\n",
        0,
    ),
    (
        "printf 'a,b\\n' | while IFS=, read -r a b; do echo \"$a-$b\"; done; echo \"[$IFS]\" | cat",
        "a-b\n[ \t\n]\n",
        0,
    ),
    (
        "basename /a/b.c; basename /a/b.c .c; basename b/; dirname /a/b/c; dirname a; dirname /a; basename /",
        "b.c\nb\nb\n/a/b\n.\n/\n/\n",
        0,
    ),
    (
        "seq 3; seq 2 4; seq 5 -2 1; seq -w 8 10; seq -s, 3; seq 0.5 0.5 1.5; seq 3 1",
        "1\n2\n3\n2\n3\n4\n5\n3\n1\n08\n09\n10\n1,2,3\n0.5\n1.0\n1.5\n",
        0,
    ),
    (
        "type echo if; f() { :; }; type -t f echo if cat",
        "echo is a shell builtin\nif is a shell keyword\nfunction\nbuiltin\nkeyword\nfile\n",
        0,
    ),
    ("command echo a; command -v echo; command -v none; echo $?; builtin echo b", "a\necho\n1\nb\n", 0),
    ("true a b; : c; sleep 0; echo $?; let; echo $?", "0\n1\n", 0),
    ("readonly r=1; r=2; echo no", "", 1),
    ("shift 5; echo $?; set -- a b c; shift 2; echo $1; shift 0; echo $1", "1\nc\nc\n", 0),
    (
        "break; echo $?; f() { return; }; false; f; echo $?; g() { false; return 0; }; g; echo $?",
        "0\n1\n0\n",
        0,
    ),
    ("echo ${u?gone}; echo no", "", 127),
    ("set -u; echo $nothing; echo no", "", 127),
    ("echo $((1/0)); echo no", "", 1),
    ("set -f; echo *.txt; set +f; echo *.txt", "*.txt\nnames.txt notes.txt\n", 0),
    ("echo ~/x ~; a=~/y; echo $a '~' \"~\"", "/home/hscroot/x /home/hscroot\n/home/hscroot/y ~ ~\n", 0),
];

const SYNTAX: &[Row] = &[
    ("echo a\necho )", "a\n", 2),
    ("echo 'a", "", 2),
    ("if true", "", 2),
    ("for", "", 2),
    ("echo a | | echo b", "", 2),
    ("done", "", 2),
    ("case x in", "", 2),
    ("echo $(", "", 2),
    ("( echo a", "", 2),
    ("&& echo a", "", 2),
    (";", "", 2),
];

/// A directory with the files that the scripts see; removed at the end.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("varan-shell-{name}-{}", std::process::id()));
        for (path, content) in FILES {
            let path = directory.join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, content).expect("a file");
        }
        Self(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the test's own directory");
    }
}

/// What a real bash does; `None` when it cannot be asked.
fn bash(script: &str, directory: &Directory) -> Option<(String, u8)> {
    let child = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", script])
        .current_dir(&directory.0)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/home/hscroot")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.ok()?;
    child.stdin.take()?.write_all(b"").ok()?;
    let result = child.wait_with_output().ok()?;
    Some((String::from_utf8_lossy(&result.stdout).into_owned(), result.status.code()? as u8))
}

#[test]
fn random_scripts_mean_what_they_mean_in_bash() {
    if Command::new("bash").arg("--version").output().is_err() {
        println!("SKIP: no bash on this host to compare with");
        return;
    }
    let count = std::env::var("SHELL_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(150);
    let directory = Directory::new("random");
    let mut wrong = Vec::new();
    for seed in 0..count {
        let script = script(&mut fastrand::Rng::with_seed(seed), 4);
        let ours = run_on(&RecordingHost::new(), &script, "");
        let Some(theirs) = bash(&script, &directory) else { continue };
        if (&ours.output, ours.status) != (&theirs.0, theirs.1) {
            wrong.push(format!("seed {seed}: {script}\n  ours {ours:?}\n  bash {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn scripts_mean_what_they_mean_in_bash() {
    let with_bash = Command::new("bash").arg("--version").output().is_ok();
    if !with_bash {
        println!("SKIP: no bash on this host; only the written expectations are checked");
    }
    let directory = Directory::new("table");
    let mut wrong = Vec::new();
    for table in [QUOTING, VARIABLES, CONTROL, TESTS, BUILTINS, SYNTAX] {
        for (script, output, status) in table {
            let ours = run_on(&RecordingHost::new(), script, "");
            if (ours.output.as_str(), ours.status) != (*output, *status) {
                wrong.push(format!("{script:?}\n  expected {output:?} {status}\n  ours     {ours:?}"));
            }
            if let Some(theirs) = with_bash.then(|| bash(script, &directory)).flatten()
                && (theirs.0.as_str(), theirs.1) != (*output, *status)
            {
                wrong.push(format!("{script:?}\n  expected {output:?} {status}\n  bash     {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
