//! Whole conversations with a peer that plays QEMU, and bytes that no QEMU would send.

#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use varan_qmp::{Client, Incoming, LINE_BYTES_MAX, QmpError, Session, fuzz_one};

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 8}, "package": ""}, "capabilities": []}}"#;
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers each line by what `answers` makes of its command and id.
fn peer(answers: impl Fn(&str, u64) -> String + Send + 'static) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    std::thread::spawn(move || {
        let mut writer = theirs.try_clone().expect("socket");
        // The client may leave at any time.
        let _ = writeln!(writer, "{GREETING}");
        for line in BufReader::new(theirs).lines().map_while(Result::ok) {
            let command: Value = serde_json::from_str(&line).expect("a command");
            let id = command["id"].as_u64().expect("an id");
            let answer = answers(command["execute"].as_str().expect("a name"), id);
            if answer.is_empty() || writeln!(writer, "{answer}").is_err() {
                return;
            }
        }
    });
    ours
}

#[test]
fn commands_are_answered_and_events_are_kept() {
    let stream = peer(|command, id| match command {
        "qmp_capabilities" => json!({ "return": {}, "id": id }).to_string(),
        "query-status" => {
            let events = [r#"{"event": "STOP", "timestamp": {"seconds": 1}}"#, r#"{"event": "RESUME"}"#];
            format!("{}\n{}", events.join("\n"), json!({ "return": { "status": "running" }, "id": id }))
        }
        _ => {
            json!({ "error": { "class": "CommandNotFound", "desc": "no such thing" }, "id": id }).to_string()
        }
    });
    let mut client = Client::over(stream, PATIENCE).expect("greeting");
    assert_eq!(client.greeting().version.to_string(), "8.2.1");
    assert_eq!(client.execute("query-status", Value::Null).expect("answer")["status"], "running");
    let refused = client.execute("fly", json!({ "high": true })).expect_err("refused");
    assert_eq!(refused.to_string(), "QMP: fly: CommandNotFound: no such thing");
    assert_eq!(client.execute("query-status", Value::Null).expect("still works")["status"], "running");
    let names: Vec<String> = (0..4).map(|_| client.next_event().expect("event").name).collect();
    assert_eq!(names, ["STOP", "RESUME", "STOP", "RESUME"]);
}

#[test]
fn a_peer_that_breaks_the_protocol_ends_the_connection() {
    let answer = |text: &'static str| {
        let stream = peer(move |command, id| match command {
            "qmp_capabilities" => json!({ "return": {}, "id": id }).to_string(),
            _ => text.to_owned(),
        });
        let mut client = Client::over(stream, PATIENCE).expect("greeting");
        client.execute("query-status", Value::Null).expect_err(text).to_string()
    };
    assert_eq!(answer(""), "QMP: QEMU closed the connection");
    assert_eq!(answer("{}"), "QMP: this is no message of the protocol: {}");
    assert_eq!(answer(r#"{"return": {}, "id": 99}"#), "QMP: an answer that nobody waits for");
    assert_eq!(answer(r#"{"return": {}}"#), "QMP: an answer that nobody waits for");
    assert_eq!(answer(GREETING), "QMP: a second greeting");
}

#[test]
fn commands_wait_for_the_greeting_and_are_bounded() {
    let mut session = Session::new(LINE_BYTES_MAX);
    assert!(matches!(session.execute("stop", Value::Null), Err(QmpError::NotReady)));
    session.feed(format!("{GREETING}\n").as_bytes());
    assert!(matches!(session.next_incoming(), Ok(None)));
    assert_eq!(session.take_outgoing(), b"{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
    assert!(matches!(session.execute("stop", Value::Null), Err(QmpError::NotReady)));
    session.feed(b"{\"return\": {}, \"id\": 1}\n");
    assert!(matches!(session.next_incoming(), Ok(Some(Incoming::Ready(_)))));
    let accepted = (0..1_000).take_while(|_| session.execute("stop", json!({})).is_ok()).count();
    assert_eq!(accepted, 64);
    session.feed(b"{\"return\": {}, \"id\": 2}\n");
    assert!(matches!(session.next_incoming(), Ok(Some(Incoming::Answer(..)))));
    assert!(session.execute("stop", json!({})).is_ok());
}

#[test]
fn without_a_greeting_there_is_no_connection() {
    let mut session = Session::new(LINE_BYTES_MAX);
    session.feed(b"{\"return\": {}, \"id\": 1}\n");
    assert!(matches!(session.next_incoming(), Err(QmpError::Protocol("no greeting"))));
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(GREETING.to_owned()),
        (0..4u64).prop_map(|id| json!({ "return": {}, "id": id }).to_string()),
        Just(r#"{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}"#.to_owned()),
        Just(r#"{"error": {"class": "GenericError", "desc": "x"}, "id": 1}"#.to_owned()),
        ".{0,300}",
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_one(&bytes);
    }

    #[test]
    fn almost_right_lines_do_no_harm(piece in any::<u8>(), lines in proptest::collection::vec(line(), 0..8)) {
        let mut bytes = vec![piece];
        bytes.extend(lines.join("\n").into_bytes());
        fuzz_one(&bytes);
    }
}
