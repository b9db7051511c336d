//! Client and server over in-memory connections and sockets, in good and in bad conditions.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_wire::{
    CallError, Client, ClientEvent, ClientOptions, Event, EventHub, Fault, Frame, FrameKind, FrameReader,
    HubOptions, LinkTrouble, LossyLink, Reply, Request, RequestContext, RequestId, Resync, Server,
    ServerOptions, Subscribe, Transport,
};

const LONG: Duration = Duration::from_secs(600);
const LIMIT: usize = varan_wire::DEFAULT_PAYLOAD_LIMIT;

type Numbers = Client<u64, u64, u64>;

/// A clock that only the test moves.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, milliseconds: u64) {
        self.0.store(milliseconds, Ordering::SeqCst);
    }

    fn reader(&self) -> varan_wire::MonotonicClock {
        let clock = self.clone();
        Arc::new(move || Duration::from_millis(clock.0.load(Ordering::SeqCst)))
    }
}

fn hub() -> EventHub {
    EventHub::new(1, HubOptions::default())
}

fn server(
    options: ServerOptions,
    handler: impl Fn(RequestContext, u64) -> u64 + Send + Sync + 'static,
) -> Server<u64, u64> {
    Server::start(Arc::new(handler), hub(), Clock::default().reader(), options).unwrap()
}

fn connect(server: &Server<u64, u64>) -> Numbers {
    let (near, far) = Transport::pair();
    server.serve(far).unwrap();
    Client::start(near, ClientOptions::default(), |_| {}).unwrap()
}

/// A handler that reports each request and then waits to be let go.
fn gated() -> (impl Fn(RequestContext, u64) -> u64 + Send + Sync, Receiver<u64>, Sender<()>) {
    let (entered, entries) = channel();
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let handler = move |_: RequestContext, body: u64| {
        entered.send(body).unwrap();
        gate.lock().unwrap().recv().unwrap();
        body + 100
    };
    (handler, entries, release)
}

#[test]
fn many_threads_ask_over_one_connection_and_each_gets_its_own_answer() {
    let server = server(ServerOptions::default(), |_, body| body * 2);
    let client = connect(&server);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..200 {
                    let body = thread * 1_000 + number;
                    assert_eq!(client.call(RequestId(u128::from(body)), LONG, body).unwrap(), body * 2);
                }
            });
        }
    });
}

#[test]
fn it_works_over_sockets() {
    let server = server(ServerOptions::default(), |_, body| body + 1);
    let (near, far) = UnixStream::pair().unwrap();
    server.serve(Transport::unix(far).unwrap()).unwrap();
    let client = Numbers::start(Transport::unix(near).unwrap(), ClientOptions::default(), |_| {}).unwrap();
    assert_eq!(client.call(RequestId(1), LONG, 1).unwrap(), 2);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    server.serve(Transport::tcp(listener.accept().unwrap().0).unwrap()).unwrap();
    let client = Numbers::start(Transport::tcp(near).unwrap(), ClientOptions::default(), |_| {}).unwrap();
    assert_eq!(client.call(RequestId(2), LONG, 1).unwrap(), 2);
    server.shutdown();
    assert!(matches!(client.call(RequestId(3), LONG, 1), Err(CallError::Disconnected)));
}

#[test]
fn a_repeated_request_is_done_once_whether_it_is_done_or_being_done() {
    let (handler, entries, release) = gated();
    let server = server(ServerOptions::default(), handler);
    let (first, second) = (connect(&server), connect(&server));
    let one = first.send(RequestId(1), LONG, 5).unwrap();
    assert_eq!(entries.recv().unwrap(), 5);
    assert!(matches!(first.send(RequestId(1), LONG, 5), Err(CallError::RepeatedId)));
    // The other connection repeats it meanwhile. The next request shows that the repeat was taken.
    let two = second.send(RequestId(1), LONG, 5).unwrap();
    let other = second.send(RequestId(2), LONG, 6).unwrap();
    assert_eq!(entries.recv().unwrap(), 6);
    release.send(()).unwrap();
    release.send(()).unwrap();
    assert_eq!(one.wait(LONG).unwrap(), 105);
    assert_eq!(two.wait(LONG).unwrap(), 105);
    assert_eq!(other.wait(LONG).unwrap(), 106);
    assert_eq!(first.call(RequestId(1), LONG, 5).unwrap(), 105, "afterwards too");
    assert!(entries.try_recv().is_err(), "done once");
}

#[test]
fn disconnection_fails_what_is_outstanding_and_a_repeat_elsewhere_finds_the_answer() {
    let (handler, entries, release) = gated();
    let server = server(ServerOptions::default(), handler);
    let (near, far) = UnixStream::pair().unwrap();
    let cable = near.try_clone().unwrap();
    server.serve(Transport::unix(far).unwrap()).unwrap();
    let client = Numbers::start(Transport::unix(near).unwrap(), ClientOptions::default(), |_| {}).unwrap();
    let lost = client.send(RequestId(1), LONG, 5).unwrap();
    entries.recv().unwrap();
    cable.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(matches!(lost.wait(LONG), Err(CallError::Disconnected)));
    assert!(matches!(client.call(RequestId(1), LONG, 5), Err(CallError::Disconnected)));
    assert!(!client.is_connected());
    let client = connect(&server);
    let again = client.send(RequestId(1), LONG, 5).unwrap();
    release.send(()).unwrap();
    assert_eq!(again.wait(LONG).unwrap(), 105);
    assert!(entries.try_recv().is_err(), "done once");
}

#[test]
fn a_full_server_is_busy_and_a_late_request_is_not_begun() {
    let clock = Clock::default();
    let (handler, entries, release) = gated();
    let options = ServerOptions { workers: 1, waiting: 1, ..ServerOptions::default() };
    let server = Server::start(Arc::new(handler), hub(), clock.reader(), options).unwrap();
    let client = connect(&server);
    let first = client.send(RequestId(1), LONG, 1).unwrap();
    entries.recv().unwrap();
    let second = client.send(RequestId(2), Duration::from_millis(10), 2).unwrap();
    let third = client.call(RequestId(3), LONG, 3);
    assert!(matches!(third, Err(CallError::Fault(Fault::Busy))), "{third:?}");
    clock.set(11);
    release.send(()).unwrap();
    assert_eq!(first.wait(LONG).unwrap(), 101);
    assert!(matches!(second.wait(LONG), Err(CallError::Fault(Fault::DeadlineExceeded))));
    release.send(()).unwrap();
    assert_eq!(client.call(RequestId(3), LONG, 3).unwrap(), 103, "a busy answer is not remembered");
    assert_eq!(entries.try_iter().collect::<Vec<_>>(), [3]);
}

#[test]
fn a_client_bounds_what_is_outstanding_and_forgets_what_nobody_waits_for() {
    let (handler, entries, release) = gated();
    let server = server(ServerOptions::default(), handler);
    let (near, far) = Transport::pair();
    server.serve(far).unwrap();
    let options = ClientOptions { outstanding: 1, ..ClientOptions::default() };
    let client = Numbers::start(near, options, |_| {}).unwrap();
    let first = client.send(RequestId(1), LONG, 1).unwrap();
    entries.recv().unwrap();
    assert!(matches!(client.send(RequestId(2), LONG, 2), Err(CallError::TooManyOutstanding)));
    assert!(matches!(first.wait(Duration::ZERO), Err(CallError::TimedOut)));
    release.send(()).unwrap();
    assert_eq!(client.call(RequestId(1), LONG, 1).unwrap(), 101, "a repeat after giving up");
}

#[test]
fn a_connection_is_not_read_further_while_too_much_is_unanswered() {
    let options = ServerOptions { unanswered: 2, workers: 2, ..ServerOptions::default() };
    let server = server(options, |_, body| body);
    let client = connect(&server);
    let pending: Vec<_> =
        (0..200).map(|number| client.send(RequestId(u128::from(number)), LONG, number).unwrap()).collect();
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.wait(LONG).unwrap(), number as u64);
    }
}

#[test]
fn unexpected_failures_and_unknown_bodies_are_told_and_the_connection_goes_on() {
    let server =
        server(ServerOptions::default(), |_, body| if body == 13 { panic!("unlucky") } else { body });
    let (near, far) = Transport::pair();
    server.serve(far).unwrap();
    let client =
        Client::<serde_json::Value, u64, u64>::start(near, ClientOptions::default(), |_| {}).unwrap();
    let outcome = client.call(RequestId(1), LONG, 13.into());
    assert!(matches!(outcome, Err(CallError::Fault(Fault::Internal))), "{outcome:?}");
    let outcome = client.call(RequestId(2), LONG, "text".into());
    assert!(matches!(outcome, Err(CallError::Fault(Fault::Malformed(_)))), "{outcome:?}");
    assert_eq!(client.call(RequestId(3), LONG, 3.into()).unwrap(), 3);

    let large = Server::<u64, String>::start(
        Arc::new(|_: RequestContext, length: u64| "x".repeat(usize::try_from(length).unwrap())),
        hub(),
        Clock::default().reader(),
        ServerOptions { payload: 1_000, ..ServerOptions::default() },
    )
    .unwrap();
    let (near, far) = Transport::pair();
    large.serve(far).unwrap();
    let client = Client::<u64, String, u64>::start(near, ClientOptions::default(), |_| {}).unwrap();
    let outcome = client.call(RequestId(1), LONG, 1_000);
    assert!(matches!(outcome, Err(CallError::Fault(Fault::ReplyTooLarge))), "{outcome:?}");
    assert_eq!(client.call(RequestId(2), LONG, 1).unwrap(), "x");
}

#[test]
fn garbage_ends_a_connection_and_too_many_connections_are_refused() {
    let server = server(ServerOptions { connections: 1, ..ServerOptions::default() }, |_, body| body);
    let (mut near, far) = UnixStream::pair().unwrap();
    server.serve(Transport::unix(far).unwrap()).unwrap();
    let (_, far) = Transport::pair();
    assert!(server.serve(far).is_err());
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let ended = FrameReader::new(&near, LIMIT).read();
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    assert_eq!(server.connections(), 0);
    drop(connect(&server));
}

#[test]
fn an_event_published_while_a_request_is_handled_arrives_before_the_reply() {
    let hub = hub();
    let publisher = hub.clone();
    let handler = move |_: RequestContext, body: u64| {
        publisher.publish(&body).unwrap();
        body
    };
    let server =
        Server::start(Arc::new(handler), hub.clone(), Clock::default().reader(), ServerOptions::default())
            .unwrap();
    let (near, far) = Transport::pair();
    server.serve(far).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&seen);
    let client = Numbers::start(near, ClientOptions::default(), move |event| {
        if let ClientEvent::Event(event) = event {
            listener.lock().unwrap().push(event.body);
        }
    })
    .unwrap();
    client.subscribe(None).unwrap();
    for number in 1..=100 {
        client.call(RequestId(u128::from(number)), LONG, number).unwrap();
        assert_eq!(seen.lock().unwrap().last(), Some(&number));
    }
    assert_eq!(client.position(), Some(hub.position()));
}

/// A raw connection: what a subscriber that the test controls sends and sees.
struct Raw {
    stream: UnixStream,
    reader: FrameReader<UnixStream>,
}

impl Raw {
    fn connect(server: &Server<u64, u64>) -> Self {
        let (near, far) = UnixStream::pair().unwrap();
        server.serve(Transport::unix(far).unwrap()).unwrap();
        Self { reader: FrameReader::new(near.try_clone().unwrap(), LIMIT), stream: near }
    }

    fn send<T: serde::Serialize>(&mut self, kind: FrameKind, message: &T) {
        let frame = Frame::new(kind, message, LIMIT).unwrap();
        self.stream.write_all(&frame.encode().unwrap()).unwrap();
    }

    fn receive(&mut self) -> Frame {
        self.reader.read().unwrap().unwrap()
    }
}

#[test]
fn a_slow_subscriber_is_told_to_resync_and_still_gets_its_replies() {
    let hub = hub();
    let options = ServerOptions { events: 16, ..ServerOptions::default() };
    let handler = |_: RequestContext, body: u64| body;
    let server = Server::start(Arc::new(handler), hub.clone(), Clock::default().reader(), options).unwrap();
    let mut raw = Raw::connect(&server);
    raw.send(FrameKind::Subscribe, &Subscribe { position: None });
    assert_eq!(raw.receive().message::<Resync>().unwrap(), Resync { stream: 1, sequence: 0 });
    raw.send(FrameKind::Request, &Request { id: RequestId(1), deadline_milliseconds: 1_000, body: 7_u64 });
    // Far more than the socket and the queue hold.
    for number in 1..=200_000_u64 {
        assert_eq!(hub.publish(&number).unwrap(), number);
    }
    let (mut position, mut resyncs, mut replies) = (0, 0, 0);
    while position < 200_000 {
        let frame = raw.receive();
        match frame.kind {
            FrameKind::Event => {
                let event: Event<u64> = frame.message().unwrap();
                assert_eq!((event.sequence, event.body), (position + 1, position + 1));
                position += 1;
            }
            FrameKind::Resync => {
                let resync: Resync = frame.message().unwrap();
                assert!(resync.sequence > position);
                position = resync.sequence;
                resyncs += 1;
            }
            FrameKind::Reply => {
                assert_eq!(frame.message::<Reply<u64>>().unwrap().body, Ok(7));
                replies += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(resyncs >= 1 && replies == 1, "{resyncs} {replies}");
}

#[test]
fn a_subscriber_that_comes_back_gets_what_it_missed_or_a_resync() {
    let hub = EventHub::new(4, HubOptions { backlog: 5, ..HubOptions::default() });
    let handler = |_: RequestContext, body: u64| body;
    let server =
        Server::start(Arc::new(handler), hub.clone(), Clock::default().reader(), ServerOptions::default())
            .unwrap();
    for number in 1..=10_u64 {
        hub.publish(&number).unwrap();
    }
    let at = |stream, sequence| Some(Resync { stream, sequence });
    for (position, expected) in [
        (at(4, 7), Some(vec![8, 9, 10])),
        (at(4, 5), Some(vec![6, 7, 8, 9, 10])),
        (at(4, 4), None),
        (at(3, 9), None),
        (at(4, 11), None),
        (None, None),
    ] {
        let mut raw = Raw::connect(&server);
        raw.send(FrameKind::Subscribe, &Subscribe { position });
        match expected {
            Some(expected) => {
                let got: Vec<u64> = expected
                    .iter()
                    .map(|_| raw.receive().message::<Event<u64>>().unwrap().sequence)
                    .collect();
                assert_eq!(got, expected);
            }
            None => assert_eq!(raw.receive().message::<Resync>().ok(), at(4, 10), "{position:?}"),
        }
    }
    assert!(hub.subscribers() <= 6);
}

fn lossy(transport: Transport, seed: u64) -> Transport {
    let trouble = LinkTrouble { loss: 150_000, duplication: 150_000, delay: 200_000 };
    transport.map_writer(|writer| LossyLink::new(writer, trouble, seed))
}

/// A client over a link with trouble in both directions, and the events that it was told.
fn troubled(server: &Server<u64, u64>, seed: u64) -> (Numbers, Receiver<ClientEvent<u64>>) {
    let (near, far) = Transport::pair();
    server.serve(lossy(far, seed)).unwrap();
    let (sender, events) = channel();
    let client = Client::start(lossy(near, !seed), ClientOptions::default(), move |event| {
        // The test may have ended already.
        let _ended = sender.send(event);
    });
    (client.unwrap(), events)
}

#[test]
fn over_a_lossy_link_every_request_is_done_once_and_every_event_is_seen_once() {
    for seed in 0..4_u64 {
        let hub = hub();
        let publisher = hub.clone();
        let done = Arc::new(Mutex::new(BTreeMap::<RequestId, u32>::new()));
        let counts = Arc::clone(&done);
        let handler = move |context: RequestContext, body: u64| {
            *counts.lock().unwrap().entry(context.id).or_default() += 1;
            publisher.publish(&body).unwrap();
            body + 1
        };
        let server = Server::start(
            Arc::new(handler),
            hub.clone(),
            Clock::default().reader(),
            ServerOptions::default(),
        )
        .unwrap();
        let (client, events) = troubled(&server, seed);
        client.subscribe(None).unwrap();
        for number in 0..60_u64 {
            let id = RequestId(u128::from(number));
            // Giving up early only costs a repeat.
            let patience = Duration::from_millis(20);
            let answer = std::iter::repeat_with(|| client.send(id, LONG, number)?.wait(patience))
                .take(10_000)
                .find_map(Result::ok);
            assert_eq!(answer, Some(number + 1), "seed {seed}");
        }
        let counts = done.lock().unwrap().clone();
        assert!(counts.len() == 60 && counts.values().all(|count| *count == 1), "seed {seed}: {counts:?}");
        check_events(&client, &events, hub.position(), seed);
    }
}

/// Subscribes again and again until the client is where the hub is; events must have come in order.
fn check_events(client: &Numbers, events: &Receiver<ClientEvent<u64>>, goal: Resync, seed: u64) {
    let mut position = 0;
    let mut check = |event| match event {
        ClientEvent::Event(event) => {
            assert_eq!(event.sequence, position + 1, "seed {seed}");
            position = event.sequence;
        }
        ClientEvent::Resync(resync) => {
            assert!(resync.sequence >= position, "seed {seed}");
            position = resync.sequence;
        }
        ClientEvent::Disconnected => panic!("seed {seed}: disconnected"),
    };
    for _ in 0..10_000 {
        client.subscribe(None).unwrap();
        if let Ok(event) = events.recv_timeout(Duration::from_millis(20)) {
            check(event);
        }
        events.try_iter().for_each(&mut check);
        if client.position() == Some(goal) {
            events.try_iter().for_each(&mut check);
            return;
        }
    }
    panic!("seed {seed}: never reached {goal:?}");
}

#[test]
fn the_same_seed_gives_the_same_trouble() {
    let frames: Vec<Frame> =
        (0..200_u32).map(|number| Frame::new(FrameKind::Event, &number, 100).unwrap()).collect();
    let through = |seed| {
        let mut bytes = Vec::new();
        let trouble = LinkTrouble { loss: 100_000, duplication: 100_000, delay: 100_000 };
        let mut link = LossyLink::new(&mut bytes, trouble, seed);
        for frame in &frames {
            // In two pieces, as a stream may be written.
            let encoded = frame.encode().unwrap();
            link.write_all(&encoded[..7]).unwrap();
            link.write_all(&encoded[7..]).unwrap();
        }
        drop(link);
        bytes
    };
    assert_eq!(through(1), through(1));
    assert_ne!(through(1), through(2));
    let bytes = through(3);
    let mut reader = FrameReader::new(&bytes[..], LIMIT);
    let mut got = Vec::new();
    while let Some(frame) = reader.read().unwrap() {
        got.push(frame.message::<u32>().unwrap());
    }
    assert!(!got.is_sorted() && got.len() != 200, "{got:?}");
}
