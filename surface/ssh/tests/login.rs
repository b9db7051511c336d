//! Logging in, being refused, and the host key.

mod support;

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use support::{PASSWORD, TestServer, USER, first_line, keygen, run, text};
use varan_ssh::{AuthorizedKey, HomeQuota, HostKey, HostKeyError, Limits};

const QUOTA: HomeQuota = HomeQuota { bytes: 1 << 20, files: 10 };

#[test]
fn passwords_work_by_both_methods_and_wrong_ones_do_not() {
    let server = TestServer::start();
    for method in ["password", "keyboard-interactive"] {
        let output = run(&mut server.with_password(USER, PASSWORD, method, "echo in"));
        assert_eq!(text(&output.stdout), "in\n", "{method}: {}", text(&output.stderr));
        for (user, password) in [(USER, "wrong"), ("nobody", PASSWORD), (USER, ""), ("panic", "x")] {
            let output = run(&mut server.with_password(user, password, method, "echo in"));
            assert_eq!(output.status.code(), Some(255), "{method} {user}");
            let message = text(&output.stderr);
            assert!(
                message.contains("Permission denied (publickey,keyboard-interactive,password)"),
                "{message}"
            );
            assert_eq!(text(&output.stdout), "");
        }
        server.host.journal.wait_for(&format!("method: \"{method}\""));
    }
}

#[test]
fn a_locked_user_is_told_why() {
    let server = TestServer::start();
    let output = run(&mut server.with_password("locked", PASSWORD, "keyboard-interactive", "echo in"));
    assert_eq!(output.status.code(), Some(255));
    // The client shows the instructions of a request on its error stream.
    assert!(text(&output.stderr).contains("Come back tomorrow."), "{output:?}");
    let output = run(&mut server.with_password("locked", PASSWORD, "password", "echo in"));
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn keys_of_every_kind_log_in_and_unknown_ones_do_not() {
    let server = TestServer::start();
    let kinds: [&[&str]; 4] = [
        &["-t", "ed25519"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "521"],
    ];
    for (index, kind) in kinds.iter().enumerate() {
        let key = server.file(&format!("other-{index}"));
        keygen(&key, kind);
        let with_key = |server: &TestServer| {
            let mut command = server.client("ssh");
            let position = key.display().to_string();
            command.args(["-o", "IdentityFile=none", "-o", "PreferredAuthentications=publickey"]);
            command.args(["-i", &position, "-l", USER, "127.0.0.1", "echo in"]);
            command
        };
        // The server's usual key would do as well: take it off the list.
        server.host.authorized.lock().unwrap().clear();
        let output = run(&mut with_key(&server));
        assert_eq!(output.status.code(), Some(255), "{kind:?}");
        server.host.authorize(&key);
        let output = run(&mut with_key(&server));
        assert_eq!(text(&output.stdout), "in\n", "{kind:?}: {}", text(&output.stderr));
    }
    // An offer without a signature was asked about before each proof.
    assert!(server.host.journal.count("proven=false") >= server.host.journal.count("proven=true"));
    assert_eq!(server.host.journal.count("proven=true"), 4);
}

#[test]
fn an_authorized_keys_line_is_read() {
    let server = TestServer::start();
    let line = std::fs::read_to_string(server.file("key.pub")).unwrap();
    let key = AuthorizedKey::parse(&line).unwrap();
    assert_eq!((key.algorithm.as_str(), key.comment.as_str()), ("ssh-ed25519", "test key"));
    for line in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa !!!", "nonsense AAAAB3NzaC1yc2EAAAADAQAB"] {
        assert!(AuthorizedKey::parse(line).is_err(), "{line:?}");
    }
}

#[test]
fn the_banner_is_shown_before_the_login() {
    let server = TestServer::start();
    let output = run(server.talkative_ssh().args(["-l", USER, "127.0.0.1", "exit 0"]));
    assert!(text(&output.stderr).contains("A test console."), "{output:?}");
}

#[test]
fn attempts_on_one_connection_are_limited() {
    let limits =
        Limits { authentication_attempts: 3, rejection_time: Duration::from_millis(1), ..Limits::default() };
    let server = TestServer::with(limits, QUOTA);
    let mut many = server.client("ssh");
    many.args(["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=20"])
        .args(["-l", USER, "127.0.0.1", "echo in"])
        .env("SSH_ASKPASS", server.file("askpass"))
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("TEST_PASSWORD", "wrong");
    assert_eq!(run(&mut many).status.code(), Some(255));
    let tried = server.host.journal.count("LoginRejected");
    assert!((1..=3).contains(&tried), "{tried} attempts");
}

#[test]
fn connections_that_do_not_log_in_are_limited() {
    let limits = Limits { logins_in_progress_per_address: 2, ..Limits::default() };
    let server = TestServer::with(limits, QUOTA);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let stream = TcpStream::connect(server.address).unwrap();
            assert_eq!(first_line(&stream), "SSH-2.0-Varan\r\n");
            stream
        })
        .collect();
    let third = TcpStream::connect(server.address).unwrap();
    let line = first_line(&third);
    assert!(line.starts_with("Connection refused: too many connections from this address"), "{line:?}");
    server.host.journal.wait_for("ConnectionRefused");
    drop(waiting);
}

#[test]
fn connections_that_do_not_log_in_are_closed() {
    let limits = Limits { login_time: Duration::from_millis(50), ..Limits::default() };
    let server = TestServer::with(limits, QUOTA);
    // One is silent, one stops in the key exchange: reading to the end returns only because the
    // server closes them.
    for greeting in [&b""[..], b"SSH-2.0-Silent\r\n"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut stream, greeting).unwrap();
        let mut received = Vec::new();
        drop(stream.read_to_end(&mut received));
        assert!(received.starts_with(b"SSH-2.0-Varan\r\n"), "{received:?}");
    }
}

#[test]
fn the_connection_limit_refuses_with_a_reason() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = TestServer::with(limits, QUOTA);
    let socket = server.master();
    let refused = TcpStream::connect(server.address).unwrap();
    assert_eq!(first_line(&refused), "Connection refused: too many connections\r\n");
    server.host.journal.wait_for("ConnectionRefused");
    server.stop_master(&socket);
    server.host.journal.wait_for("LoggedOut");
}

#[test]
fn forwarding_is_refused() {
    let server = TestServer::start();
    let output = run(&mut server.ssh(&["-oExitOnForwardFailure=yes", "-R0:127.0.0.1:9", "exit 0"]));
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    // -W opens a direct-tcpip channel at once.
    let target = server.address.to_string();
    let output = run(server.talkative_ssh().args(["-W", &target, "-l", USER, "127.0.0.1"]));
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("administratively prohibited"), "{output:?}");
    let output = run(server.ssh(&["-A", "env"]).env("SSH_AUTH_SOCK", "/nonexistent"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = run(&mut server.ssh(&["-s", "netconf"]));
    assert!(text(&output.stderr).contains("subsystem request failed"), "{output:?}");
}

#[test]
fn the_host_key_is_made_once_and_kept() {
    let server = TestServer::start();
    let directory = server.file("keys/below");
    let key = HostKey::load_or_create(&directory).unwrap();
    assert!(key.was_created());
    let path = directory.join("ssh_host_ed25519_key");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let names: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["ssh_host_ed25519_key"]);
    let again = HostKey::load_or_create(&directory).unwrap();
    assert!(!again.was_created());
    assert_eq!(again.fingerprint(), key.fingerprint());
    let printed = run(std::process::Command::new("ssh-keygen").arg("-lf").arg(&path));
    assert!(text(&printed.stdout).contains(&key.fingerprint()), "{printed:?}");
    // Another directory has another key.
    let other = HostKey::load_or_create(&server.file("keys/other")).unwrap();
    assert_ne!(other.fingerprint(), key.fingerprint());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = HostKey::load_or_create(&directory).unwrap_err();
    assert!(matches!(error, HostKeyError::Exposed { mode: 0o640, .. }), "{error}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "not a key").unwrap();
    assert!(matches!(HostKey::load_or_create(&directory), Err(HostKeyError::Invalid { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a key");
    let rsa = server.file("rsa");
    keygen(&rsa, &["-t", "rsa", "-b", "2048"]);
    std::fs::rename(&rsa, &path).unwrap();
    let error = HostKey::load_or_create(&directory).unwrap_err().to_string();
    assert!(error.contains("Ed25519 only"), "{error}");
}

#[test]
fn the_client_sees_the_kept_key() {
    let server = TestServer::start();
    let running = server.server.as_ref().unwrap();
    let known = server.file("known_hosts");
    let line = running.host_key().public_line().unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:{} {line}\n", server.address.port())).unwrap();
    let mut command = std::process::Command::new("ssh");
    command
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(server.file("key"))
        .args(["-p", &server.address.port().to_string(), "-l", USER, "127.0.0.1", "echo known"]);
    assert_eq!(text(&run(&mut command).stdout), "known\n");
}
