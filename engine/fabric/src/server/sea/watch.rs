//! Asks an address over the real device whether the uplink works (`netaddr`).
//!
//! The question is an ARP request from no IP address: it needs none, and every host on the network answers it.

use std::net::Ipv4Addr;
use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame, TYPE_ARP};

use crate::vnic::write_probe;

/// Time between questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time without answer after which the uplink counts as lost: two questions, and half an interval for the second answer.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Watches one address.
#[derive(Debug)]
pub struct PingWatch {
    target: Option<Ipv4Addr>,
    interval: Duration,
    patience: Duration,
    /// When it was asked first, or answered last, since the link is up; `None` while it is down.
    good: Option<Monotonic>,
    next: Monotonic,
    lost: bool,
}

impl PingWatch {
    /// A watch that begins with the link: a question each second, lost after two without answer.
    #[must_use]
    pub fn new(target: Option<Ipv4Addr>) -> Self {
        Self::with(target, INTERVAL, PATIENCE)
    }

    /// A watch with times of its own.
    #[must_use]
    pub fn with(target: Option<Ipv4Addr>, interval: Duration, patience: Duration) -> Self {
        Self { target, interval, patience, good: None, next: Monotonic::default(), lost: false }
    }

    /// Whether there is no reason to doubt.
    #[must_use]
    pub fn answered(&self) -> bool {
        !self.lost
    }

    /// The link came or went.
    pub fn link(&mut self, now: Monotonic, up: bool) {
        if self.target.is_none() || up == self.good.is_some() {
            return;
        }
        self.good = up.then_some(now);
        self.next = now;
    }

    /// True when it is time to ask.
    pub fn tick(&mut self, now: Monotonic) -> bool {
        let Some(good) = self.good else {
            return false;
        };
        self.lost = self.lost || now.since(good) >= self.patience;
        if self.next > now {
            return false;
        }
        self.next = now.after(self.interval);
        true
    }

    /// When [`PingWatch::tick`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        let good = self.good?;
        Some(if self.lost { self.next } else { self.next.min(good.after(self.patience)) })
    }

    /// Writes the question.
    pub fn write(&self, from: EthernetAddress, frame: &mut Frame) {
        if let Some(target) = self.target {
            write_probe(frame, from, target);
        }
    }

    /// A frame for the asker; true for an answer.
    pub fn receive(&mut self, now: Monotonic, frame: &Frame) -> bool {
        let payload = frame.payload();
        let is_answer = self.good.is_some()
            && frame.ethernet_type() == TYPE_ARP
            && payload.get(6..8) == Some(&[0, 2])
            && payload
                .get(14..18)
                .is_some_and(|from| self.target.is_some_and(|target| from == target.octets()));
        if is_answer {
            self.good = Some(now);
            self.lost = false;
        }
        is_answer
    }
}
