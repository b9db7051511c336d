//! The bounds of the REST API, lowered so that they are met at once.

#![allow(missing_docs)]

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use varan_environment::{Environment, RealEnvironment};
use varan_rest::Limits;

#[path = "support/measured.rs"]
mod measured;
#[path = "support/served.rs"]
mod served;

use served::Served;

const PARTITIONS: usize = 10;

fn served(name: &str, limits: Limits) -> Served {
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    Served::start_with(name, PARTITIONS, &environment, limits)
}

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}

#[test]
fn a_session_that_was_not_used_for_long_is_over() {
    let site = served("limits-idle", Limits { session_idle: Duration::ZERO, ..Limits::default() });
    let answer = site.text(&mut site.client(), "ManagedSystem/quick/All");
    assert_eq!(status(&answer), "401", "{answer}");
    assert!(answer.contains("<Message") && answer.contains("session"), "{answer}");
}

#[test]
fn connections_beyond_the_bound_are_closed_and_those_within_served() {
    let site = served("limits-connections", Limits { connections: 2, ..Limits::default() });
    let mut client = site.client();
    assert_eq!(status(&site.text(&mut client, "ManagedSystem/quick/All")), "200");
    // The one that logged on may still count until the server sees its end; one more is one too many in any case.
    let mut further: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(site.address()).expect("connection")).collect();
    let last = further.last_mut().expect("a connection");
    assert_eq!(last.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(status(&site.text(&mut client, "ManagedSystem/quick/All")), "200");
}

#[test]
fn a_wait_for_events_ends_without_any() {
    let site = served("limits-events", Limits { event_wait: Duration::ZERO, ..Limits::default() });
    let mut client = site.client();
    let first = site.text(&mut client, "Event");
    assert!(status(&first) == "200" && first.contains("NEW_CLIENT"), "{first}");
    assert_eq!(status(&site.text(&mut client, "Event")), "204");
}
