//! Which consoles a Virtual I/O Server in a process of its own has RMC sessions with: a line for each console, whose carrier
//! is the session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use varan_environment::Monotonic;
use varan_ethernet::Frame;
use varan_fabric::driver::{Driver, Lines, PlaceHandle};
use varan_fabric::{Outbox, Place, PortNumber};

/// Ports that have a carrier or not, and carry nothing.
#[derive(Default)]
struct Indicators {
    events: Vec<(PortNumber, bool)>,
}

impl Place for Indicators {
    type Event = (PortNumber, bool);

    fn receive(&mut self, _: Monotonic, _: PortNumber, frame: Frame, out: &mut Outbox) {
        out.drop_frame(frame);
    }

    fn carrier(&mut self, _: Monotonic, port: PortNumber, up: bool, _: &mut Outbox) {
        self.events.push((port, up));
    }

    fn tick(&mut self, _: Monotonic, _: &mut Outbox) {}

    fn next_due(&self) -> Option<Monotonic> {
        None
    }

    fn take_events(&mut self) -> Vec<Self::Event> {
        std::mem::take(&mut self.events)
    }
}

fn line_of(console: &str) -> String {
    format!("session-{console}")
}

/// The server's side: says which sessions there are.
pub(super) struct SaidSessions {
    place: PlaceHandle<Indicators>,
    consoles: Vec<String>,
}

impl SaidSessions {
    pub(super) fn new(driver: &Driver, lines: &Lines, consoles: &[String]) -> Self {
        let place = driver.add(Indicators::default(), |_| {});
        for (number, console) in (0..).zip(consoles) {
            place.tell(move |_, _, out| out.carriers.push((PortNumber(number), false)));
            lines.bind(&line_of(console), place.port(PortNumber(number)));
        }
        Self { place, consoles: consoles.to_vec() }
    }

    pub(super) fn say(&self, established: &[String]) {
        let states: Vec<bool> = self.consoles.iter().map(|console| established.contains(console)).collect();
        self.place.tell(move |_, _, out| {
            out.carriers.extend((0..).map(PortNumber).zip(states));
        });
    }
}

/// The frame's side: `heard` is told which sessions there are whenever that changes.
pub(super) fn hear_sessions(
    driver: &Driver,
    lines: &Arc<Lines>,
    consoles: &[String],
    heard: impl Fn(&[String]) + Send + 'static,
) {
    let names = consoles.to_vec();
    let states: Mutex<HashMap<PortNumber, bool>> = Mutex::default();
    let place = driver.add(Indicators::default(), move |(port, up)| {
        let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(port, up);
        let established = (0..).map(PortNumber).zip(&names);
        let established = established.filter(|(port, _)| states.get(port) == Some(&true));
        let established: Vec<String> = established.map(|(_, name)| name.clone()).collect();
        heard(&established);
    });
    for (number, console) in (0..).zip(consoles) {
        lines.bind(&line_of(console), place.port(PortNumber(number)));
    }
}
