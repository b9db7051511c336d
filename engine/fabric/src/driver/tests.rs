use std::sync::mpsc::{Sender, channel};

use varan_environment::RealEnvironment;
use varan_ethernet::EthernetAddress;

use super::*;

/// Sends what comes in at one port out of the other, and reports carriers.
struct Pipe {
    events: Vec<(u32, bool)>,
}

impl Place for Pipe {
    type Event = (u32, bool);

    fn receive(&mut self, _: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox) {
        out.send(PortNumber(1 - port.0), frame);
    }

    fn carrier(&mut self, _: Monotonic, port: PortNumber, up: bool, _: &mut Outbox) {
        self.events.push((port.0, up));
    }

    fn tick(&mut self, _: Monotonic, _: &mut Outbox) {}

    fn next_due(&self) -> Option<Monotonic> {
        None
    }

    fn take_events(&mut self) -> Vec<(u32, bool)> {
        std::mem::take(&mut self.events)
    }
}

struct Collector(Sender<Vec<u8>>);

impl Sink for Collector {
    fn deliver(&mut self, frames: &mut Vec<Frame>) {
        for frame in frames.drain(..) {
            let _ = self.0.send(frame.bytes().to_vec());
        }
    }
}

fn frame(number: u8) -> Frame {
    let mut bytes = EthernetAddress::BROADCAST.0.to_vec();
    bytes.extend([2, 0, 0, 0, 0, number, 8, 0]);
    Frame::new(bytes).expect("a frame")
}

fn pipe(driver: &Driver) -> (PlaceHandle<Pipe>, std::sync::mpsc::Receiver<(u32, bool)>) {
    let (sender, receiver) = channel();
    let place = driver.add(Pipe { events: Vec::new() }, move |event| {
        let _ = sender.send(event);
    });
    (place, receiver)
}

#[test]
fn frames_go_through_places_in_order_with_and_without_a_thread() {
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    for driver in [Driver::stepped(environment.clone()), Driver::threaded(environment).expect("a thread")] {
        let (one, _events) = pipe(&driver);
        let (two, _more) = pipe(&driver);
        let wiring = driver.wiring();
        let (sender, received) = channel();
        wiring.link(one.port(PortNumber(1)), two.port(PortNumber(0)));
        wiring.attach(two.port(PortNumber(1)), Collector(sender));
        for batch in 0..20_u8 {
            let mut frames = (0..10).map(|number| frame(batch * 10 + number)).collect();
            wiring.send(one.port(PortNumber(0)), &mut frames);
        }
        driver.step();
        for number in 0..200 {
            assert_eq!(received.recv().expect("a frame")[11], number);
        }
    }
}

#[test]
fn carriers_follow_links_places_and_pauses() {
    let driver = Driver::stepped(Arc::new(RealEnvironment::new()));
    let ((one, events), (two, others)) = (pipe(&driver), pipe(&driver));
    let wiring = driver.wiring();
    wiring.link(one.port(PortNumber(1)), two.port(PortNumber(0)));
    driver.step();
    assert_eq!((events.try_recv(), others.try_recv()), (Ok((1, true)), Ok((0, true))));
    one.tell(|_, _, out| out.carriers.push((PortNumber(1), false)));
    driver.step();
    assert_eq!(others.try_recv(), Ok((0, false)));
    two.pause(true);
    one.tell(|_, _, out| out.carriers.push((PortNumber(1), true)));
    driver.step();
    assert!(others.try_recv().is_err());
    two.pause(false);
    driver.step();
    assert_eq!(others.try_recv(), Ok((0, true)));
    two.remove();
    driver.step();
    assert_eq!(events.try_recv(), Ok((1, false)));
    assert!(two.ask(|_, _, _| ()).is_none());
    assert_eq!(one.ask(|_, _, _| 5), Some(5));
}

#[test]
fn frames_that_go_in_a_circle_hold_nobody_up() {
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let driver = Driver::threaded(environment).expect("a thread");
    let ((one, _), (two, _)) = (pipe(&driver), pipe(&driver));
    let wiring = driver.wiring();
    wiring.link(one.port(PortNumber(1)), two.port(PortNumber(0)));
    wiring.link(two.port(PortNumber(1)), one.port(PortNumber(0)));
    wiring.send(one.port(PortNumber(0)), &mut vec![frame(1)]);
    for _ in 0..100 {
        assert_eq!(two.ask(|_, _, _| 7), Some(7));
    }
}

#[test]
fn lines_carry_frames_and_carriers_between_processes_and_end_with_them() {
    let environment: Arc<dyn Environment> = Arc::new(RealEnvironment::new());
    let near = Driver::threaded(environment.clone()).expect("a thread");
    let far = Driver::threaded(environment).expect("a thread");
    let ((one, events), (two, others)) = (pipe(&near), pipe(&far));
    let (near_lines, far_lines) = (Lines::new(near.wiring()), Lines::new(far.wiring()));
    near_lines.bind("U78CA.001.CSS0A1C-P1-C5-C1-T1", one.port(PortNumber(1)));
    let (sender, received) = channel();
    far.wiring().attach(two.port(PortNumber(1)), Collector(sender));
    let (here, there) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    std::thread::scope(|scope| {
        scope.spawn(|| near_lines.carry(&here, true).expect("an end"));
        let served = scope.spawn(|| far_lines.carry(&there, false).expect("an end"));
        // The name is known at the other side only after the line was opened.
        far_lines.bind("U78CA.001.CSS0A1C-P1-C5-C1-T1", two.port(PortNumber(0)));
        assert_eq!((events.recv(), others.recv()), (Ok((1, true)), Ok((0, true))));
        let mut sent = frame(9);
        sent.tag = Some(varan_ethernet::VlanTag { id: 3_455, priority: 5 });
        near.wiring().send(one.port(PortNumber(0)), &mut vec![sent, frame(10)]);
        assert_eq!(received.recv().expect("a frame")[11], 9);
        assert_eq!(received.recv().expect("a frame")[11], 10);
        here.shutdown(std::net::Shutdown::Both).expect("shut down");
        served.join().expect("no panic");
    });
    assert_eq!((events.recv(), others.recv()), (Ok((1, false)), Ok((0, false))));
}

#[test]
fn a_frame_crosses_a_line_as_it_is() {
    let mut sent = frame(1);
    sent.tag = Some(varan_ethernet::VlanTag { id: 4_094, priority: 7 });
    sent.offload =
        varan_ethernet::Offload { checksum: Some((34, 16)), segment: Some((1_448, true)), header_bytes: 66 };
    assert_eq!(lines::round(&sent), Some(sent));
    assert_eq!(lines::round(&frame(2)), Some(frame(2)));
}
