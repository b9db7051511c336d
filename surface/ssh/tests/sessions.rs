//! Exec and interactive sessions, driven by the OpenSSH client.

mod support;

use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::atomic::Ordering;

use support::{TestServer, flood_byte, run, run_with_input, text};
use varan_ssh::{HomeQuota, Limits};

const QUOTA: HomeQuota = HomeQuota { bytes: 1 << 20, files: 10 };

#[test]
fn exec_gives_output_and_exit_status() {
    let server = TestServer::start();
    let output = run(&mut server.ssh(&["echo", "a  b"]));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "a  b\n"), "{output:?}");
    for status in [0, 1, 42, 255] {
        let output = run(&mut server.ssh(&[&format!("exit {status}")]));
        assert_eq!(output.status.code(), Some(status));
    }
    let output = run(&mut server.ssh(&["no-such-thing"]));
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(text(&output.stderr), "no-such-thing: command not found\n");
}

#[test]
fn a_command_line_that_cannot_be_run_is_answered() {
    use std::os::unix::ffi::OsStrExt;
    let server = TestServer::start();
    // One argument of a process has a limit of its own: the client joins two.
    let half = "x".repeat(100_000);
    let output = run(&mut server.ssh(&["echo", &half, &half]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "unusable: it has more than 131072 bytes\n");
    let mut client = server.ssh(&["echo"]);
    let output = run(client.arg(std::ffi::OsStr::from_bytes(b"\xff")));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "unusable: it is not a text in UTF-8\n");
    let output = run(&mut server.ssh(&["-tt", "echo", &half, &half]));
    assert_eq!(text(&output.stdout), "unusable: it has more than 131072 bytes\r\n");
}

#[test]
fn input_and_output_pass_whole_in_both_directions() {
    let server = TestServer::start();
    let sent: Vec<u8> = (0..(5 << 20) + 17).map(flood_byte).collect();
    let output = run_with_input(&mut server.ssh(&["cat"]), &sent);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stdout == sent, "{} bytes came back", output.stdout.len());
}

#[test]
fn output_and_error_are_separate_without_a_terminal_and_one_with_it() {
    let server = TestServer::start();
    let output = run(&mut server.ssh(&["both"]));
    assert_eq!(text(&output.stdout), "to output\n");
    assert_eq!(text(&output.stderr), "to error\n");
    let output = run(&mut server.ssh(&["-tt", "both"]));
    assert_eq!(text(&output.stdout), "to output\r\nto error\r\n");
    assert_eq!(text(&output.stderr), "");
    let output = run(&mut server.ssh(&["-tt", "exit 9"]));
    assert_eq!(output.status.code(), Some(9));
}

#[test]
fn a_terminal_and_variables_are_told_to_the_session() {
    let server = TestServer::start();
    let output = run(server.ssh(&["-tt", "tty"]).env("TERM", "vt320"));
    assert!(text(&output.stdout).starts_with("vt320 TerminalSize"), "{output:?}");
    assert_eq!(text(&run(&mut server.ssh(&["tty"])).stdout), "no terminal\n");
    let output = run(&mut server.ssh(&["-oSetEnv=COLOUR=green SIZE=3", "env"]));
    assert_eq!(text(&output.stdout), "COLOUR=green\nSIZE=3\n", "{output:?}");
    let mut routed = server.with_password("padmin%vios1%p814-1", support::PASSWORD, "password", "who");
    assert_eq!(text(&run(&mut routed).stdout), "padmin%vios1%p814-1\n");
}

#[test]
fn an_interactive_shell_answers_line_by_line() {
    let server = TestServer::start();
    let mut command = server.ssh(&["-tt"]);
    let mut client = command
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    let mut output = client.stdout.take().unwrap();
    let mut seen = String::new();
    let mut expect = |seen: &mut String, wanted: &str| {
        while !seen.contains(wanted) {
            let mut buffer = [0; 1024];
            let count = output.read(&mut buffer).unwrap();
            assert!(count > 0, "the output ended before {wanted:?}: {seen:?}");
            seen.push_str(&text(&buffer[..count]));
        }
        let end = seen.find(wanted).unwrap() + wanted.len();
        seen.drain(..end);
    };
    expect(&mut seen, "xterm ");
    expect(&mut seen, "\r\nhscroot@console:~> ");
    input.write_all(b"hello\r").unwrap();
    expect(&mut seen, "hello\r\nyou said hello\r\nhscroot@console:~> ");
    // The shell sees control-C itself.
    input.write_all(b"a\x03b\r").unwrap();
    expect(&mut seen, "you said a\x03b\r\n");
    input.write_all(b"exit 5\r").unwrap();
    expect(&mut seen, "exit 5\r\n");
    assert_eq!(client.wait().unwrap().code(), Some(5));
}

#[test]
fn no_output_is_ever_cut_off() {
    const LENGTH: usize = 3 << 20;
    let server = TestServer::start();
    let expected: Vec<u8> = (0..LENGTH).map(flood_byte).collect();
    let socket = server.master();
    let line = format!("flood {LENGTH}");
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (server, expected, socket, line) = (&server, &expected, &socket, &line);
            scope.spawn(move || {
                for round in 0..25 {
                    let output = if worker % 2 == 0 {
                        run(&mut server.ssh(&[line]))
                    } else {
                        run(&mut server.through(socket, line))
                    };
                    assert_eq!(output.status.code(), Some(7), "{worker} {round} {}", text(&output.stderr));
                    assert_eq!(output.stdout.len(), LENGTH, "worker {worker}, round {round}");
                    assert!(output.stdout == *expected, "worker {worker}, round {round}");
                }
            });
        }
    });
    server.stop_master(&socket);
}

#[test]
fn many_small_writes_arrive_in_order() {
    let server = TestServer::start();
    let output = run(&mut server.ssh(&["drip 5000"]));
    let expected: String = (0..5000).map(|index| format!("line {index}\n")).collect();
    assert!(text(&output.stdout) == expected);
}

#[test]
fn thirty_two_channels_run_at_the_same_time_on_one_connection() {
    let server = TestServer::start();
    server.host.together.store(32, Ordering::SeqCst);
    let socket = server.master();
    let names: Vec<String> = (0..32).map(|index| format!("session-{index}")).collect();
    // None of them returns before all have started.
    let clients: Vec<_> = names
        .iter()
        .map(|name| {
            server
                .through(&socket, &format!("together {name}"))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for (client, name) in clients.into_iter().zip(&names) {
        let output = client.wait_with_output().unwrap();
        assert_eq!(text(&output.stdout), format!("{name}\n"), "{}", text(&output.stderr));
    }
    assert_eq!(server.host.journal.count("LoggedIn"), 1);
    server.stop_master(&socket);
}

#[test]
fn a_client_that_goes_away_ends_output_input_and_waiting() {
    let server = TestServer::start();
    for (command, ended) in [
        ("endless", "endless ended: BrokenPipe"),
        ("hang", "hang ended: Some(ConnectionAborted) Some(ConnectionLost)"),
        ("wait", "wait ended: Some(ConnectionLost)"),
    ] {
        let mut client = server
            .plain_ssh(&[command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        server.host.journal.wait_for(&format!("{command} started"));
        client.kill().unwrap();
        client.wait().unwrap();
        server.host.journal.wait_for(ended);
    }
    server.host.journal.wait_for("LoggedOut");
}

#[test]
fn control_c_on_a_terminal_interrupts_a_command() {
    let server = TestServer::start();
    let mut client = server
        .ssh(&["-tt", "hang"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.host.journal.wait_for("hang started");
    client.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    server.host.journal.wait_for("hang ended: Some(ConnectionAborted) Some(Signal(Interrupt))");
    // What the session says after its cancellation still arrives, and so does its exit status.
    let mut output = String::new();
    client.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(output, "ended: Some(Signal(Interrupt))\r\n");
    assert_eq!(client.wait().unwrap().code(), Some(130));
}

#[test]
fn a_panic_ends_one_session_and_no_other() {
    let server = TestServer::start();
    let socket = server.master();
    let other = server.through(&socket, "cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let output = run(&mut server.through(&socket, "panic"));
    assert_eq!(output.status.code(), Some(254));
    server.host.journal.wait_for("a panic in a session");
    let mut other = other;
    other.stdin.take().unwrap().write_all(b"still here").unwrap();
    assert_eq!(text(&other.wait_with_output().unwrap().stdout), "still here");
    server.stop_master(&socket);
}

#[test]
fn a_session_that_reads_nothing_holds_up_no_other() {
    let server = TestServer::start();
    let socket = server.master();
    let mut deaf = server
        .through(&socket, "wait")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.host.journal.wait_for("wait started");
    let mut pipe = deaf.stdin.take().unwrap();
    let writer = std::thread::spawn(move || while pipe.write_all(&[0; 65536]).is_ok() {});
    for round in 0..5 {
        let sent: Vec<u8> = (0..1 << 20).map(flood_byte).collect();
        let output = run_with_input(&mut server.through(&socket, "cat"), &sent);
        assert!(output.stdout == sent, "round {round}: {} bytes", output.stdout.len());
    }
    server.stop_master(&socket);
    server.host.journal.wait_for("wait ended");
    drop(deaf.kill());
    deaf.wait().unwrap();
    writer.join().unwrap();
}

#[test]
fn channels_and_sessions_are_limited() {
    let limits = Limits { channels_per_connection: 2, sessions: 3, ..Limits::default() };
    let server = TestServer::with(limits, QUOTA);
    let socket = server.master();
    let start = |client: &mut std::process::Command| {
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut first = start(&mut server.through(&socket, "cat"));
    let mut second = start(&mut server.through(&socket, "cat"));
    let echo = |client: &mut std::process::Child| {
        client.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let mut byte = [0];
        client.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
    };
    echo(&mut first);
    echo(&mut second);
    // The client then tries a connection of its own, which is allowed.
    let refused = run(&mut server.through(&socket, "echo again"));
    assert!(text(&refused.stderr).contains("Session open refused by peer"), "{refused:?}");
    assert_eq!(text(&refused.stdout), "again\n");
    // Another connection has channels of its own, but only one session is left.
    let mut third = start(&mut server.ssh(&["cat"]));
    echo(&mut third);
    let refused = run(&mut server.ssh(&["echo no"]));
    assert_ne!(refused.status.code(), Some(0));
    assert!(text(&refused.stderr).contains("exec request failed"), "{refused:?}");
    server.host.journal.wait_for("SessionRefused");
    drop(third.stdin.take());
    assert!(third.wait().unwrap().success());
    for client in [&mut first, &mut second] {
        drop(client.stdin.take());
        assert!(client.wait().unwrap().success());
    }
    server.stop_master(&socket);
}

#[test]
fn a_shutdown_ends_running_sessions() {
    let mut server = TestServer::start();
    let mut client = server.ssh(&["wait"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    server.host.journal.wait_for("wait started");
    let running = server.server.take().unwrap();
    server.runtime.block_on(running.shutdown());
    server.host.journal.wait_for("wait ended: Some(ConnectionLost)");
    assert_eq!(client.wait().unwrap().code(), Some(255));
    assert!(std::net::TcpStream::connect(server.address).is_err());
}
