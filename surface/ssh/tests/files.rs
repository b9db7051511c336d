//! SFTP and scp, driven by the OpenSSH clients.

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Output;

use support::{TestServer, USER, flood_byte, run, run_with_input, text};
use varan_ssh::{HomeQuota, Limits};

fn sftp(server: &TestServer, batch: &str) -> Output {
    let mut command = server.client("sftp");
    command.args(["-b", "-"]).arg(format!("{USER}@127.0.0.1"));
    command.current_dir(&server.directory);
    run_with_input(&mut command, batch.as_bytes())
}

fn scp(server: &TestServer, options: &[&str], from: &str, to: &str) -> Output {
    let full = |name: &str| name.replace("HOST:", &format!("{USER}@127.0.0.1:"));
    let mut command = server.client("scp");
    command.args(options).arg(full(from)).arg(full(to)).current_dir(&server.directory);
    run(&mut command)
}

fn contents(length: usize) -> Vec<u8> {
    (0..length).map(flood_byte).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn sftp_puts_gets_lists_renames_and_removes() {
    let server = TestServer::start();
    let bytes = contents(3_000_001);
    std::fs::write(server.file("local"), &bytes).unwrap();
    let batch = "pwd\nput local one\nmkdir sub\nput -p local sub/two\nls -l\nrename one three\n\
                 get sub/two back\nchmod 600 three\nls sub\ndf_not_a_command\n";
    let output = sftp(&server, &batch.replace("df_not_a_command\n", ""));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("Remote working directory: /home/hscroot"), "{shown}");
    assert!(shown.contains("hscroot  hscroot     3000001"), "{shown}");
    assert!(std::fs::read(server.file("back")).unwrap() == bytes);
    assert!(std::fs::read(server.home().join("three")).unwrap() == bytes);
    assert_eq!(std::fs::metadata(server.home().join("three")).unwrap().mode() & 0o7777, 0o600);
    let times = |path: &Path| std::fs::metadata(path).unwrap().mtime();
    assert_eq!(times(&server.home().join("sub/two")), times(&server.file("local")));
    let output = sftp(&server, "rm three\nrm sub/two\nrmdir sub\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(names(server.home()).is_empty());
}

#[test]
fn every_way_to_name_the_home_works_and_no_other() {
    let server = TestServer::start();
    std::fs::write(server.file("local"), "x").unwrap();
    for target in ["a", "./a", "/home/hscroot/a", "../hscroot/a"] {
        let output = sftp(&server, &format!("put local {target}\n"));
        assert!(output.status.success(), "{target}: {}", text(&output.stderr));
        std::fs::remove_file(server.home().join("a")).unwrap();
    }
    let secret = server.file("secret");
    std::fs::write(&secret, "secret").unwrap();
    let full = secret.display().to_string();
    let attempts = [
        "get /etc/passwd stolen",
        "get ../secret stolen",
        "get ../../../../etc/passwd stolen",
        "put local ../planted",
        "put local /tmp/varan-ssh-planted",
        "ls /",
        "ls ..",
        "cd ..",
        "cd /home",
        "mkdir ../planted",
        "rm ../secret",
        "rename ../secret mine",
        "rmdir .",
        "ln -s /etc/passwd link",
        "ln local link",
        &format!("get {full} stolen"),
    ];
    for attempt in attempts {
        let output = sftp(&server, &format!("{attempt}\n"));
        assert!(!output.status.success(), "{attempt}: {}", text(&output.stdout));
        assert!(!server.file("stolen").exists() && !server.file("planted").exists(), "{attempt}");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    }
    assert!(names(server.home()).is_empty());
}

#[test]
fn symbolic_links_made_by_others_lead_nowhere() {
    let server = TestServer::start();
    std::fs::create_dir(server.file("outside")).unwrap();
    std::fs::write(server.file("outside/secret"), "secret").unwrap();
    std::fs::write(server.file("local"), "x").unwrap();
    symlink(server.file("outside"), server.home().join("directory")).unwrap();
    symlink(server.file("outside/secret"), server.home().join("file")).unwrap();
    for attempt in [
        "get directory/secret stolen",
        "get file stolen",
        "put local file",
        "put local directory/planted",
        "ls directory/secret",
        "cd directory",
        "mkdir directory/planted",
        "rm directory/secret",
        "rename directory/secret mine",
        "chmod 777 file",
    ] {
        let output = sftp(&server, &format!("{attempt}\n"));
        assert!(!output.status.success(), "{attempt}: {}", text(&output.stdout));
    }
    for (options, from, to) in [
        (&["-O"][..], "HOST:file", "stolen"),
        (&["-O"], "HOST:directory/secret", "stolen"),
        (&["-O"], "local", "HOST:file"),
        (&["-O"], "local", "HOST:directory/planted"),
        (&["-O"], "local", "HOST:directory"),
        (&["-O", "-r"], "HOST:directory", "stolen"),
        (&[], "HOST:file", "stolen"),
        (&[], "local", "HOST:directory/planted"),
    ] {
        let output = scp(&server, options, from, to);
        assert!(!output.status.success(), "{options:?} {from} {to}");
    }
    assert_eq!(std::fs::read_to_string(server.file("outside/secret")).unwrap(), "secret");
    assert_eq!(names(&server.file("outside")), ["secret"]);
    assert!(!server.file("stolen").exists());
    // A link can be seen and removed.
    let output = sftp(&server, "ls -l\nrm file\n");
    assert!(text(&output.stdout).contains("lrwx"), "{output:?}");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(names(server.home()), ["directory"]);
}

#[test]
fn the_quota_holds_over_every_way_to_write() {
    let quota = HomeQuota { bytes: 100_000, files: 4 };
    let server = TestServer::with(Limits::default(), quota);
    std::fs::write(server.file("small"), contents(60_000)).unwrap();
    std::fs::write(server.file("big"), contents(100_001)).unwrap();
    std::fs::write(server.file("exact"), contents(40_000)).unwrap();
    assert!(sftp(&server, "put small one\n").status.success());
    let output = sftp(&server, "put small two\n");
    assert!(!output.status.success());
    // This client shows the kind of a failure, not its text.
    assert!(text(&output.stderr).contains("Failure"), "{output:?}");
    assert!(sftp(&server, "rm two\nput exact two\n").status.success());
    // Full to the byte; replacing a file by one as long is possible, a longer one is not.
    for options in [&["-O"][..], &[]] {
        assert!(scp(&server, options, "small", "HOST:one").status.success(), "{options:?}");
        let output = scp(&server, options, "big", "HOST:one");
        assert!(!output.status.success(), "{options:?} {output:?}");
        assert!(scp(&server, options, "small", "HOST:one").status.success(), "{options:?}");
    }
    let stored: u64 =
        names(server.home()).iter().map(|name| server.home().join(name).metadata().unwrap().len()).sum();
    assert_eq!(stored, 100_000);
    // Removing gives back, within one session as well.
    assert!(sftp(&server, "rm one\nrm two\nput small three\nrm three\nput small four\n").status.success());
    std::fs::write(server.file("empty"), "").unwrap();
    assert!(sftp(&server, "mkdir a\nmkdir b\nput empty c\n").status.success());
    for attempt in ["put empty d\n", "mkdir d\n"] {
        let output = sftp(&server, attempt);
        assert!(text(&output.stderr).contains("Failure"), "{attempt}: {output:?}");
    }
    let output = scp(&server, &["-O"], "empty", "HOST:d");
    assert!(text(&output.stderr).contains("Disk quota exceeded: 4 files"), "{output:?}");
    assert!(sftp(&server, "rename c e\nrmdir a\nput empty d\n").status.success());
}

fn tree(server: &TestServer) {
    std::fs::create_dir_all(server.file("tree/deep/er")).unwrap();
    std::fs::write(server.file("tree/one"), contents(100_000)).unwrap();
    std::fs::write(server.file("tree/deep/empty"), "").unwrap();
    std::fs::write(server.file("tree/deep/er/a b'c"), "odd name").unwrap();
    std::fs::set_permissions(server.file("tree/one"), PermissionsExt::from_mode(0o640)).unwrap();
    run(std::process::Command::new("touch")
        .args(["-d", "2011-02-03T04:05:06Z"])
        .arg(server.file("tree/one")));
    run(std::process::Command::new("touch")
        .args(["-d", "2012-02-03T04:05:06Z"])
        .arg(server.file("tree/deep")));
}

#[test]
fn scp_copies_files_and_trees_both_ways_in_both_protocols() {
    for protocol in ["-O", "-s"] {
        let server = TestServer::start();
        tree(&server);
        let output = scp(&server, &[protocol, "-rp"], "tree", "HOST:");
        assert!(output.status.success(), "{protocol}: {}", text(&output.stderr));
        let output = scp(&server, &[protocol, "-rp"], "HOST:tree", "back");
        assert!(output.status.success(), "{protocol}: {}", text(&output.stderr));
        for copy in [server.home().join("tree"), server.file("back")] {
            for name in ["one", "deep/empty", "deep/er/a b'c"] {
                let original = server.file("tree").join(name);
                assert!(
                    std::fs::read(copy.join(name)).unwrap() == std::fs::read(original).unwrap(),
                    "{protocol} {name}"
                );
            }
            let one = std::fs::metadata(copy.join("one")).unwrap();
            assert_eq!((one.mode() & 0o777, one.mtime()), (0o640, 1_296_705_906), "{protocol}");
            assert_eq!(std::fs::metadata(copy.join("deep")).unwrap().mtime(), 1_328_241_906, "{protocol}");
        }
        // One file: into the home, to a name, to an existing directory, and over a file.
        for target in ["HOST:", "HOST:named", "HOST:tree/deep", "HOST:/home/hscroot/named", "HOST:~/named"] {
            let output = scp(&server, &[protocol], "tree/one", target);
            assert!(output.status.success(), "{protocol} {target}: {}", text(&output.stderr));
        }
        assert_eq!(names(server.home()), ["named", "one", "tree"]);
        assert!(server.home().join("tree/deep/one").is_file());
        // A shorter file leaves nothing of the longer one.
        std::fs::write(server.file("short"), "short").unwrap();
        assert!(scp(&server, &[protocol], "short", "HOST:named").status.success());
        assert_eq!(std::fs::read_to_string(server.home().join("named")).unwrap(), "short");
        std::fs::create_dir(server.file("matched")).unwrap();
        let output = scp(&server, &[protocol], "HOST:*n*", "matched");
        assert_eq!(names(&server.file("matched")), ["named", "one"], "{protocol} {output:?}");
    }
}

#[test]
fn scp_failures_are_told() {
    for protocol in ["-O", "-s"] {
        let server = TestServer::start();
        tree(&server);
        for (options, from, to) in [
            (&[protocol][..], "HOST:missing", "."),
            (&[protocol], "tree/one", "HOST:missing/one"),
            (&[protocol], "tree/one", "HOST:/etc/varan-ssh-planted"),
            (&[protocol], "tree/one", "HOST:../planted"),
            (&[protocol], "HOST:/etc/hostname", "stolen"),
            (&[protocol], "HOST:../askpass", "stolen"),
        ] {
            let output = scp(&server, options, from, to);
            assert_eq!(output.status.code(), Some(1), "{options:?} {from} {to}: {output:?}");
            assert!(!output.stderr.is_empty(), "{options:?} {from} {to}");
        }
        assert!(names(server.home()).is_empty());
        assert!(!server.file("stolen").exists() && !server.file("planted").exists());
    }
    let server = TestServer::start();
    let output = run(&mut server.ssh(&["scp -t a; echo b"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("not supported"), "{output:?}");
    // Without -t or -f it is the host's command.
    assert_eq!(run(&mut server.ssh(&["scp a b"])).status.code(), Some(127));
}

#[test]
fn a_hostile_scp_client_writes_only_where_it_may() {
    let server = TestServer::start();
    for message in [
        &b"C0644 1 ../planted\nx\0"[..],
        b"C0644 1 /etc/varan-ssh-planted\nx\0",
        b"C0644 1 ..\nx\0",
        b"D0755 0 ..\nC0644 1 planted\nx\0E\n",
        b"E\n",
        b"C0644 99999999999999999999 a\n",
        b"C4777 1 set-user-id",
        b"garbage\n",
    ] {
        let output = run_with_input(&mut server.ssh(&["scp -r -t ."]), message);
        assert_eq!(output.status.code(), Some(1), "{}: {output:?}", text(message));
    }
    assert_eq!(names(&server.directory), ["askpass", "home", "host-key", "key", "key.pub"]);
    assert!(names(server.home()).is_empty());
    // A mode's special bits are not taken over.
    let output = run_with_input(&mut server.ssh(&["scp -p -t ."]), b"C4777 1 plain\nx\0");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(std::fs::metadata(server.home().join("plain")).unwrap().mode() & 0o7000, 0);
}

#[test]
fn a_hostile_sftp_client_ends_its_own_session_only() {
    let server = TestServer::start();
    let packets: [&[u8]; 6] = [
        b"",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x05\x01\0\0\0\x03\0\0\0\x06\x10\0\0\0\x01\xff",
        b"\0\0\0\x05\x02\0\0\0\x03",
        b"\0\0\0\x05\x01\0\0\0\x03\0\0",
    ];
    for packet in packets {
        let output = run_with_input(&mut server.ssh(&["-s", "sftp"]), packet);
        let expected = i32::from(!packet.is_empty());
        assert_eq!(output.status.code(), Some(expected), "{packet:?} {output:?}");
    }
    // More handles than there are: each open of a directory after the last is refused.
    let mut many = b"\0\0\0\x05\x01\0\0\0\x03".to_vec();
    for id in 0..200_u32 {
        many.extend(10_u32.to_be_bytes());
        many.push(11);
        many.extend(id.to_be_bytes());
        many.extend(1_u32.to_be_bytes());
        many.push(b'.');
    }
    let output = run_with_input(&mut server.ssh(&["-s", "sftp"]), &many);
    let refused = text(&output.stdout).matches("Too many open handles").count();
    assert_eq!((output.status.code(), refused), (Some(0), 200 - varan_ssh::limits::SFTP_HANDLES));
}

#[test]
fn names_that_are_not_text_pass_unchanged() {
    use std::os::unix::ffi::OsStrExt;
    let server = TestServer::start();
    let name = std::ffi::OsStr::from_bytes(b"odd\xff\xfename");
    std::fs::write(server.home().join(name), "kept").unwrap();
    let output = scp(&server, &["-s", "-r"], "HOST:.", "back");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_to_string(server.file("back").join(name)).unwrap(), "kept");
}
