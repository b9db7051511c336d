//! The shells of a Virtual I/O Server: what they refuse, in whose words, and what root may.

#![allow(missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use varan_shell::{
    Cancellation, Capture, Channels, CommandHost, Dialect, Feature, Identity, Input, MemoryTree, Output,
    Shell, Streams, TreePath, WallClock,
};

struct Server {
    dialect: Dialect,
}

impl CommandHost for Server {
    fn lookup(&self, name: &str) -> bool {
        matches!(name, "lsmap" | "ioscli")
    }

    fn run(&self, name: &str, arguments: &[String], streams: Streams<'_>) -> u8 {
        u8::from(streams.output.write_bytes(format!("{name} {}\n", arguments.join(" ")).as_bytes()).is_err())
    }

    fn command_names(&self) -> Vec<String> {
        vec!["lsmap".to_owned()]
    }

    fn user_name(&self) -> String {
        "padmin".to_owned()
    }

    fn host_name(&self) -> String {
        "vios1".to_owned()
    }

    fn identity(&self) -> Identity {
        Identity { user_id: 0, groups: vec![(0, "system".to_owned())] }
    }

    fn allows(&self, feature: Feature) -> bool {
        self.dialect == Dialect::Korn || feature != Feature::OutputRedirection
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn may_enter(&self, directory: &TreePath) -> bool {
        self.dialect == Dialect::Korn || directory.as_str().starts_with("/home")
    }

    fn wall_clock(&self) -> WallClock {
        WallClock { unix_seconds: 1_410_282_660, nanoseconds: 0, offset_seconds: 0, zone: "UTC".to_owned() }
    }

    fn sleep(&self, _: Duration, _: &Cancellation) {}

    fn manual(&self, _: &str) -> Option<String> {
        None
    }
}

fn run(dialect: Dialect, script: &str) -> (String, u8) {
    let home = TreePath::resolve(&TreePath::root(), "/home/padmin").expect("path");
    let tree = MemoryTree::new("padmin").with_home(home);
    tree.add("/home/padmin/a", b"one\n").expect("added");
    tree.add("/var/vio/VMLibrary/vopt", &[0; 428_032]).expect("added");
    let mut shell = Shell::new(Arc::new(Server { dialect }), Arc::new(tree));
    let cancellation = Cancellation::new();
    let capture = Capture::new(1 << 20);
    let output = Output::new(capture.clone(), &cancellation);
    let channels = Channels {
        input: Input::empty(),
        output: output.clone(),
        error: output,
        terminal: None,
        cancellation,
    };
    let status = shell.run_script(script, channels);
    (String::from_utf8_lossy(&capture.take()).into_owned(), status)
}

#[test]
fn the_restricted_shell_refuses_in_its_own_words() {
    let refused = "0403-019 The operation is not allowed in a restricted shell.\n";
    for (script, expected, status) in [
        ("nosuch", "rksh: nosuch:  not found.\n".to_owned(), 127),
        ("/usr/bin/ls", format!("rksh: /usr/bin/ls: {refused}"), 1),
        ("lsmap -all > out", format!("rksh: out: {refused}"), 1),
        ("lsmap -all > /dev/null", format!("rksh: /dev/null: {refused}"), 1),
        ("cd /var/vio", format!("rksh: /var/vio: {refused}"), 1),
        ("cd /nosuch", "rksh: /nosuch:  not found.\n".to_owned(), 1),
        ("PATH=/usr/bin", format!("rksh: PATH: {refused}"), 1),
        ("cat < nosuch", "rksh: nosuch: 0403-016 Cannot find or open the file.\n".to_owned(), 1),
        ("lsmap |", "rksh: 0403-057 Syntax error at line 1 : `end of file' is not expected.\n".to_owned(), 2),
    ] {
        assert_eq!(run(Dialect::RestrictedKorn, script), (expected, status), "{script}");
    }
    let (text, status) =
        run(Dialect::RestrictedKorn, "lsmap -all | tee out | wc -l; cat out; /usr/ios/cli/ioscli lsmap");
    assert_eq!((text.as_str(), status), ("1\nlsmap -all\nioscli lsmap\n", 0));
}

#[test]
fn root_writes_files_and_names_commands_by_their_path() {
    for (script, expected) in [
        ("lsmap -all > out 2>&1; cat out", "lsmap -all\n"),
        ("/usr/ios/cli/ioscli lsmap -all", "ioscli lsmap -all\n"),
        ("/usr/bin/cat a", "one\n"),
        ("cd /var/vio; pwd", "/var/vio\n"),
        ("export PATH=$PATH:/x; echo ${PATH##*:}", "/x\n"),
        ("/no/such", "ksh: /no/such:  not found.\n"),
        ("cp a b; mv b c; cat c; rm c; cat c", "one\ncat: 0652-050 Cannot open c.\n"),
        ("ls nosuch", "ls: 0653-341 The file nosuch does not exist.\n"),
        ("rm nosuch", "rm: nosuch: A file or directory in the path name does not exist.\n"),
        ("rm /var/vio", "rm: /var/vio is a directory.\n"),
        ("cp /var/vio x", "cp: 0653-436 /var/vio is a directory. Specify -r or -R to copy.\n"),
        ("dd if=a bs=2 count=1; echo", "on1+0 records in\n1+0 records out\n\n"),
        (
            "dd if=nosuch",
            "dd: 0511-054 Cannot open nosuch.\nnosuch: A file or directory in the path name does not exist.\n",
        ),
        ("dd bogus", "dd: 0511-061 The argument bogus is not valid.\n"),
        ("printf 'a: 1\\nb: 2\\n\\nc: 3\\n' | grep -p b", "a: 1\nb: 2\n\n"),
        ("printf 'a\\n\\nb\\n' | grep -ip A | wc -l", "2\n"),
        ("wc nosuch", "wc: 0653-755 Cannot open nosuch.\n"),
        ("grep x nosuch", "grep: 0652-033 Cannot open nosuch.\n"),
        ("head nosuch", "head: nosuch: A file or directory in the path name does not exist.\n"),
        ("sort nosuch", "sort: nosuch: A file or directory in the path name does not exist.\n"),
        ("find /var -name 'vo*'", "/var/vio/VMLibrary/vopt\n"),
    ] {
        assert_eq!(run(Dialect::Korn, script).0, expected, "{script}");
    }
}

/// The columns of the seeds' listing.
#[test]
fn long_listings_have_the_columns_of_aix() {
    let (text, _) = run(Dialect::Korn, "ls -l /var/vio/VMLibrary");
    assert_eq!(text, "total 840\n-rw-r--r--    1 padmin   padmin       428032 Jan  1  1970 vopt\n");
}

#[test]
fn a_console_has_none_of_it() {
    let (text, _) = run(Dialect::Console, "cp a b");
    // The host allows it; what a console's host does not allow is not there at all.
    assert_eq!(text, "");
    assert!(run(Dialect::Console, "nosuch").0.contains("command not found"));
}
