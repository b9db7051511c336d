//! Stations on one cable with many ends, which loses, doubles and delays frames as a seed says.

#![allow(dead_code, reason = "each test uses its share")]

use std::collections::BTreeMap;
use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};
use varan_station::{InterfaceId, InterfaceSetup, Prefix, Station};

/// A cable and its stations.
pub struct Cable {
    pub now: Monotonic,
    pub stations: Vec<Station>,
    /// Of 1,000 frames, so many are lost.
    pub loss: u64,
    /// Of 1,000 frames, so many come twice.
    pub doubles: u64,
    /// Longest delay.
    pub delay: Duration,
    /// Stations that are cut off.
    pub cut: Vec<usize>,
    flying: BTreeMap<(Monotonic, u64), (usize, Frame)>,
    number: u64,
    seed: u64,
}

impl Cable {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Monotonic(Duration::from_secs(1_000)),
            stations: Vec::new(),
            loss: 0,
            doubles: 0,
            delay: Duration::from_micros(50),
            cut: Vec::new(),
            flying: BTreeMap::new(),
            number: 0,
            seed,
        }
    }

    pub fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    /// A station `10.0.0.<number>` with a link-local address too; the number of the first is 1.
    pub fn add(&mut self) -> usize {
        let number = u8::try_from(self.stations.len() + 1).expect("few");
        let mut station = Station::new(u64::from(number) * 7_919);
        let address = EthernetAddress([0x02, 0, 0, 0, 0, number]);
        let id = station.add_interface(InterfaceSetup {
            name: "en0".into(),
            address,
            mtu: 1_500,
            link_local: true,
        });
        station.add_address(self.now, id, Prefix::new([10, 0, 0, number], 24)).expect("an address");
        station.set_carrier(self.now, id, true);
        self.stations.push(station);
        self.stations.len() - 1
    }

    /// Lets all stations do what is due, and frames fly.
    pub fn settle(&mut self) {
        for from in 0..self.stations.len() {
            let mut out = Vec::new();
            let now = self.now;
            self.stations[from].poll(now, &mut out);
            for (_, frame) in out {
                self.fly(from, frame);
            }
        }
    }

    fn fly(&mut self, from: usize, frame: Frame) {
        for to in (0..self.stations.len()).filter(|to| *to != from) {
            if self.cut.contains(&from) || self.cut.contains(&to) || self.random() % 1_000 < self.loss {
                continue;
            }
            let copies = if self.random() % 1_000 < self.doubles { 2 } else { 1 };
            for _ in 0..copies {
                let spread = self.random() % u64::try_from(self.delay.as_nanos()).expect("short").max(1);
                self.number += 1;
                let at = self.now.after(Duration::from_nanos(1_000 + spread));
                self.flying.insert((at, self.number), (to, frame.clone()));
            }
        }
    }

    /// The next time at which anything happens.
    pub fn next(&self) -> Option<Monotonic> {
        let stations = self.stations.iter().filter_map(Station::next_due);
        stations.chain(self.flying.keys().next().map(|(at, _)| *at)).min()
    }

    /// Goes on to a time at which something happens, not later than `end`; false when nothing happens before.
    pub fn step(&mut self, end: Monotonic) -> bool {
        self.settle();
        let Some(next) = self.next().filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, frame) = entry.remove();
            let now = self.now;
            self.stations[to].receive(now, InterfaceId(0), &frame);
        }
        self.settle();
        true
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.step(end) {}
    }
}
