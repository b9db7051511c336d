//! What a restricted console does where it differs from bash, and the lines that its users type.

mod support;

use support::{Call, RecordingHost, run, run_on, run_with};
use varan_shell::{Feature, Limits};

fn call(words: &[&str]) -> Call {
    words.iter().map(|word| (*word).to_string()).collect()
}

#[test]
fn escapes_are_refused_in_the_words_of_a_restricted_bash() {
    // (script, standard error, status)
    let table: &[(&str, &str, u8)] = &[
        ("awk '{print $1}'", "/bin/bash: awk: command not found\n", 127),
        (
            "gawk 1; bc; sh -c id; perl; python3",
            "/bin/bash: gawk: command not found\n/bin/bash: bc: command not found\n/bin/bash: sh: command not found\n/bin/bash: perl: command not found\n/bin/bash: python3: command not found\n",
            127,
        ),
        ("bash", "/bin/bash: bash: command not found\n", 127),
        ("/bin/ls", "/bin/bash: /bin/ls: restricted: cannot specify `/' in command names\n", 1),
        ("./x", "/bin/bash: ./x: restricted: cannot specify `/' in command names\n", 1),
        (
            "/opt/hsc/bin/none",
            "/bin/bash: /opt/hsc/bin/none: restricted: cannot specify `/' in command names\n",
            1,
        ),
        (
            "/opt/hsc/bin/../../../bin/ls",
            "/bin/bash: /opt/hsc/bin/../../../bin/ls: restricted: cannot specify `/' in command names\n",
            1,
        ),
        ("cd /tmp", "/bin/bash: cd: restricted\n", 1),
        ("echo a > f", "/bin/bash: f: restricted: cannot redirect output\n", 1),
        ("echo a >> f", "/bin/bash: f: restricted: cannot redirect output\n", 1),
        ("echo a &> f", "/bin/bash: f: restricted: cannot redirect output\n", 1),
        ("echo a >& f", "/bin/bash: f: restricted: cannot redirect output\n", 1),
        ("{ echo a; } 2> f", "/bin/bash: f: restricted: cannot redirect output\n", 1),
        ("echo a > '/dev/../dev/sda'", "/bin/bash: /dev/../dev/sda: restricted: cannot redirect output\n", 1),
        ("echo a 3>&1 >&7", "/bin/bash: 3: Bad file descriptor\n", 1),
        ("cat < none", "/bin/bash: none: No such file or directory\n", 1),
        ("cat < ../../etc/passwd", "/bin/bash: ../../etc/passwd: No such file or directory\n", 1),
        ("exec ls", "/bin/bash: exec: restricted\n", 1),
        (
            "enable -f x y; source a; . a; eval id; trap : 0",
            "/bin/bash: enable: restricted\n/bin/bash: source: restricted\n/bin/bash: .: restricted\n/bin/bash: eval: restricted\n/bin/bash: trap: restricted\n",
            1,
        ),
        ("PATH=/bin", "/bin/bash: PATH: readonly variable\n", 1),
        ("SHELL=/bin/sh; echo no", "/bin/bash: SHELL: readonly variable\n", 1),
        ("export ENV=x", "/bin/bash: ENV: readonly variable\n", 1),
        ("unset PATH", "/bin/bash: unset: PATH: cannot unset: readonly variable\n", 1),
        ("set +r", "/bin/bash: set: +r: invalid option\n", 2),
        ("command -p ls", "/bin/bash: command: -p: restricted\n", 1),
        ("sleep 1 &", "/bin/bash: &: background jobs: restricted\n", 1),
        ("coproc cat", "/bin/bash: coproc: restricted\n", 1),
        ("lssyscfg() { :; }", "/bin/bash: lssyscfg: restricted: cannot redefine a command\n", 1),
        ("echo a | tee f", "/bin/bash: tee: command not found\n", 127),
        ("logout", "/bin/bash: logout: not login shell: use `exit'\n", 1),
    ];
    for (script, error, status) in table {
        let host = RecordingHost::new();
        let outcome = run_on(&host, script, "");
        assert_eq!((outcome.error.as_str(), outcome.status), (*error, *status), "{script}");
        assert_eq!(outcome.output, "", "{script}");
        assert!(host.calls().is_empty(), "{script}");
    }
}

#[test]
fn syntax_errors_have_the_form_of_bash() {
    let table: &[(&str, &str)] = &[
        (
            "echo a | | b",
            "/bin/bash: -c: line 0: syntax error near unexpected token `|'\n/bin/bash: -c: line 0: `echo a | | b'\n",
        ),
        (
            "echo a\nfi",
            "/bin/bash: -c: line 1: syntax error near unexpected token `fi'\n/bin/bash: -c: line 1: `fi'\n",
        ),
        (
            "echo \"a",
            "/bin/bash: -c: line 0: unexpected EOF while looking for matching `\"'\n/bin/bash: -c: line 1: syntax error: unexpected end of file\n",
        ),
        ("if true", "/bin/bash: -c: line 1: syntax error: unexpected end of file\n"),
        (
            "do",
            "/bin/bash: -c: line 0: syntax error near unexpected token `do'\n/bin/bash: -c: line 0: `do'\n",
        ),
    ];
    for (script, error) in table {
        let outcome = run(script);
        assert_eq!((outcome.error.as_str(), outcome.status), (*error, 2), "{script}");
    }
}

#[test]
fn builtins_complain_with_their_names() {
    let table: &[(&str, &str)] = &[
        ("[ a", "/bin/bash: [: missing `]'\n"),
        ("[ x -eq 1 ]", "/bin/bash: [: x: integer expression expected\n"),
        ("[ a b ]", "/bin/bash: [: a: unary operator expected\n"),
        ("[ a b c ]", "/bin/bash: [: b: binary operator expected\n"),
        ("[ a b c d e ]", "/bin/bash: [: too many arguments\n"),
        ("break", "/bin/bash: break: only meaningful in a `for', `while', or `until' loop\n"),
        ("return", "/bin/bash: return: can only `return' from a function or sourced script\n"),
        ("exit x", "/bin/bash: exit: x: numeric argument required\n"),
        ("exit 1 2", "/bin/bash: exit: too many arguments\n"),
        ("printf %d abc", "/bin/bash: printf: abc: invalid number\n"),
        ("read 1a", "/bin/bash: read: `1a': not a valid identifier\n"),
        ("export 1a=b", "/bin/bash: export: `1a=b': not a valid identifier\n"),
        ("type none", "/bin/bash: type: none: not found\n"),
        ("which none", "which: no none in (/opt/hsc/bin:/usr/hmcrbin)\n"),
        ("sleep x", "sleep: invalid time interval 'x'\n"),
        ("echo $((1/0))", "/bin/bash: 1/0: division by 0 (error token is \"0\")\n"),
        ("echo ${x?gone}", "/bin/bash: x: gone\n"),
        ("echo ${x!y}", "/bin/bash: ${x!y}: bad substitution\n"),
        ("f() { f; }; f", "/bin/bash: limit reached: nesting deeper than 48 levels\n"),
    ];
    for (script, error) in table {
        let outcome = run(script);
        assert_eq!(outcome.error, *error, "{script}");
    }
}

#[test]
fn the_console_answers_for_its_user() {
    let table: &[(&str, &str, u8)] = &[
        (
            "whoami; hostname; pwd; echo $HOME $USER",
            "hscroot\nhmc1\n/home/hscroot\n/home/hscroot hscroot\n",
            0,
        ),
        (
            "id; id -u; id -un; id -gn; id -G",
            "uid=500(hscroot) gid=500(hmc) groups=500(hmc),502(audit)\n500\nhscroot\nhmc\n500 502\n",
            0,
        ),
        ("man lssyscfg", "LSSYSCFG\n\nlists resources\n", 0),
        ("man none", "", 16),
        (
            "type lssyscfg; which lssyscfg cat; command -v lssyscfg cat",
            "lssyscfg is /opt/hsc/bin/lssyscfg\n/opt/hsc/bin/lssyscfg\n/usr/hmcrbin/cat\n/opt/hsc/bin/lssyscfg\n/usr/hmcrbin/cat\n",
            0,
        ),
        (
            "/opt/hsc/bin/lssyscfg -r sys -F name; /usr/hmcrbin/lssyscfg -r sys -F name",
            "p824-1\np824-2\np824-1\np824-2\n",
            0,
        ),
        ("fails; echo $?", "HSCL8012 The partition named lpar9 was not found.\n1\n", 0),
        ("fails || echo failed", "HSCL8012 The partition named lpar9 was not found.\nfailed\n", 0),
        ("fails", "HSCL8012 The partition named lpar9 was not found.\n", 1),
        ("history", "", 0),
    ];
    for (script, output, status) in table {
        let outcome = run(script);
        assert_eq!((outcome.output.as_str(), outcome.status), (*output, *status), "{script}");
    }
}

#[test]
fn lines_of_the_documents_reach_the_commands_as_written() {
    let host = RecordingHost::new();
    let line = "for i in lpar2 lpar3 ; do chsyscfg -r lpar -m p824-2 -i \"name=$i,simplified_remote_restart_capable=1\" ; done";
    assert_eq!(run_on(&host, line, "").status, 0);
    let expected: Vec<Call> = ["lpar2", "lpar3"]
        .iter()
        .map(|name| {
            let record = format!("name={name},simplified_remote_restart_capable=1");
            call(&["chsyscfg", "-r", "lpar", "-m", "p824-2", "-i", &record])
        })
        .collect();
    assert_eq!(host.calls(), expected);

    let table: &[(&str, &[&str])] = &[
        (
            "chhwres -r virtualio -a vios_names=\\\"vios1,vios2\\\"",
            &["chhwres", "-r", "virtualio", "-a", "vios_names=\"vios1,vios2\""],
        ),
        (
            "chsyscfg -i 'lpar_name=aix01,\"virtual_eth_adapters+=\"\"4/0/900///0\"\"\"'",
            &["chsyscfg", "-i", "lpar_name=aix01,\"virtual_eth_adapters+=\"\"4/0/900///0\"\"\""],
        ),
        (
            "lssyscfg --filter \"\\\"lpar_names=a,b\\\",profile_names=p\"",
            &["lssyscfg", "--filter", "\"lpar_names=a,b\",profile_names=p"],
        ),
        (
            "lssyscfg --filter \"\"lpar_names=a,b\"\",profile_names=p",
            &["lssyscfg", "--filter", "lpar_names=a,b,profile_names=p"],
        ),
        (
            "lssyscfg -r lpar -F name,state:rmc_state,'*'",
            &["lssyscfg", "-r", "lpar", "-F", "name,state:rmc_state,*"],
        ),
        (
            "chsyscfg -r prof -i \"name=p,io_slots-=21010002/none/0\" --force",
            &["chsyscfg", "-r", "prof", "-i", "name=p,io_slots-=21010002/none/0", "--force"],
        ),
        (
            "chhwres -r mem -m reptilian-9119-MME-65BA46F -o a -p lpar1 -q 1024",
            &[
                "chhwres",
                "-r",
                "mem",
                "-m",
                "reptilian-9119-MME-65BA46F",
                "-o",
                "a",
                "-p",
                "lpar1",
                "-q",
                "1024",
            ],
        ),
    ];
    for (line, words) in table {
        let host = RecordingHost::new();
        assert_eq!(run_on(&host, line, "").status, 0, "{line}");
        assert_eq!(host.calls(), [call(words)], "{line}");
    }
}

#[test]
fn pipelines_of_the_documents_filter_listings() {
    let table: &[(&str, &str, u8)] = &[
        ("lssyscfg -r lpar -m p824-2 -F name | grep -v vioserver", "lpar1\nlpar2\n", 0),
        ("lssyscfg -r lpar -m p824-2 -F name | grep -iE \"LPAR1|x|server2\"", "lpar1\nvioserver2\n", 0),
        ("lssyscfg -r lpar -m p824-2 -F name | grep none; echo $?", "1\n", 0),
        ("lssyscfg -r lpar -F name | sort -r | head -1 | cut -c1-4", "vios\n", 0),
        ("for m in $(lssyscfg -r sys -F name); do echo \"== $m\"; done | tail -1", "== p824-2\n", 0),
        (
            "lssyscfg -r lpar -F name | while read l; do case $l in vio*) ;; *) echo \"$l ok\";; esac; done | wc -l",
            "2\n",
            0,
        ),
        (
            "ls; cat names.txt | sort | uniq -c",
            "logs\nnames.txt\nnotes.txt\n      2 lpar1\n      1 lpar2\n",
            0,
        ),
    ];
    for (script, output, status) in table {
        let outcome = run(script);
        assert_eq!(
            (outcome.output.as_str(), outcome.status),
            (*output, *status),
            "{script}: {}",
            outcome.error
        );
    }
    let host = RecordingHost::new();
    run_on(&host, "lssyscfg -r lpar -m `lssyscfg -r sys -F name | head -1` -F name", "");
    let expected = [
        call(&["lssyscfg", "-r", "sys", "-F", "name"]),
        call(&["lssyscfg", "-r", "lpar", "-m", "p824-1", "-F", "name"]),
    ];
    assert_eq!(host.calls(), expected);
}

#[test]
fn a_host_may_allow_what_a_console_refuses() {
    let host = RecordingHost::allowing(&[Feature::Tee, Feature::OutputRedirection, Feature::ChangeDirectory]);
    let script =
        "echo a | tee f; echo b > g; echo c >> g; cat < f < g; cd logs; pwd; echo *; cd; pwd; cd none";
    let outcome = run_on(&host, script, "");
    assert_eq!(outcome.output, "a\nb\nc\n/home/hscroot/logs\na b.log c.log\n/home/hscroot\n");
    assert_eq!(outcome.error, "/bin/bash: cd: none: No such file or directory\n");
}

#[test]
fn a_command_without_a_pipe_stays_on_the_callers_thread() {
    let host = RecordingHost::new();
    run_on(&host, "lssyscfg -r sys; x=$(lssyscfg -r sys); for i in 1; do lssyscfg -r sys; done", "");
    let own = std::thread::current().name().map(str::to_string);
    assert_eq!(*host.threads.lock().expect("threads"), vec![own.clone(), own.clone(), own]);
}

#[test]
fn a_stage_whose_reader_is_gone_stops() {
    let outcome = run("endless | read line; echo $?; endless | { read a; read b; echo $a $b; }");
    assert_eq!(outcome.output, "0\ntick tick\n");
    assert_eq!(outcome.status, 0);
    let outcome = run("while :; do echo x; done | true; echo end; endless | cat | read a; echo $?");
    assert_eq!(outcome.output, "end\n0\n");
    let outcome = run("set -o pipefail; endless | read line; echo $?");
    assert_eq!(outcome.output, "141\n");
}

#[test]
fn limits_end_a_run_with_one_message() {
    let small = Limits {
        output_bytes: 10_000,
        evaluated_commands: 5_000,
        pipeline_stages: 4,
        stage_threads: 6,
        nesting_depth: 10,
        expansion_bytes: 1_000,
        brace_words: 100,
        variable_bytes: 2_000,
        script_bytes: 500,
        ..Limits::default()
    };
    let long = "echo a;".repeat(100);
    let deep = "( ".repeat(12) + "echo" + &" )".repeat(12);
    let table: &[(&str, &str)] = &[
        ("endless", "the commands wrote more than 10000 bytes"),
        ("endless > /dev/null", "the commands wrote more than 10000 bytes"),
        ("endless | cat > /dev/null", "the commands wrote more than 10000 bytes"),
        ("while :; do :; done", "more than 5000 commands and loop rounds"),
        ("until false; do :; done", "more than 5000 commands and loop rounds"),
        ("for ((;;)); do :; done", "more than 5000 commands and loop rounds"),
        ("while :; do read x; done < names.txt", "more than 5000 commands and loop rounds"),
        ("true | true | true | true | true", "more than 4 commands in one pipeline"),
        ("f() { true | f; }; f", "nesting deeper than 10 levels"),
        ("f() { f; }; f", "nesting deeper than 10 levels"),
        (&deep, "nesting deeper than 10 levels"),
        ("a=x; while :; do a=$a$a; done", "an expansion larger than 1000 bytes"),
        ("a=$(endless)", "an expansion larger than 1000 bytes"),
        ("printf '%2000d' 1", "an expansion larger than 1000 bytes"),
        ("seq 400 | tr -d '\\n' | read x", "an expansion larger than 1000 bytes"),
        ("echo {1..200}", "brace expansion to more than 100 words"),
        ("a=$(seq 200); b=$a; c=$a; d=$a; e=$a", "variables larger than 2000 bytes together"),
        (&long, "a script longer than 500 bytes"),
    ];
    for (script, message) in table {
        let outcome = run_with(&RecordingHost::new(), script, "", small);
        assert_eq!(outcome.error, format!("/bin/bash: limit reached: {message}\n"), "{script}");
        assert_eq!(outcome.status, 1, "{script}");
    }
}
