//! The link aggregation control protocol (IEEE 802.1AX), as far as one aggregation needs it.
//!
//! ```text
//!   link down --carrier--> alone: nobody answers, the link is used as a static one
//!                            | a partner speaks
//!                            v
//!                          waiting --partner has our name right, and is in step--> in use
//!                            ^                                                      |
//!                            +---- nothing heard for 90 s, or another partner ------+
//! ```

use std::time::Duration;

use varan_environment::Monotonic;
use varan_ethernet::{EthernetAddress, Frame};

/// Where LACP packets go (slow protocols).
pub const GROUP: EthernetAddress = EthernetAddress([0x01, 0x80, 0xC2, 0x00, 0x00, 0x02]);
const TYPE_SLOW: u16 = 0x8809;
/// A partner that says nothing for so long is lost: three times the long interval.
const EXPIRY: Duration = Duration::from_secs(90);
/// Time between packets to a partner that has all right.
const LONG: Duration = Duration::from_secs(30);
/// Time between packets otherwise.
const SHORT: Duration = Duration::from_secs(1);
/// Answers at once in one second at most.
const ANSWERS: u32 = 10;

const ACTIVITY: u8 = 1;
const AGGREGATION: u8 = 4;
const SYNCHRONIZATION: u8 = 8;
const COLLECTING: u8 = 16;
const DISTRIBUTING: u8 = 32;
const DEFAULTED: u8 = 64;

/// One side of a link, in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Priority of the system.
    pub system_priority: u16,
    /// Name of the system.
    pub system: EthernetAddress,
    /// Links of the same key may be aggregated.
    pub key: u16,
    /// Priority of the port.
    pub port_priority: u16,
    /// Number of the port.
    pub port: u16,
    /// State bits: activity, short timeout, aggregation, synchronization, collecting, distributing, defaulted, expired.
    pub state: u8,
}

/// A packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacpdu {
    /// The sender.
    pub actor: Party,
    /// Whom the sender takes the receiver for.
    pub partner: Party,
}

impl Party {
    fn write(&self, kind: u8, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&[kind, 20]);
        bytes.extend_from_slice(&self.system_priority.to_be_bytes());
        bytes.extend_from_slice(&self.system.0);
        for number in [self.key, self.port_priority, self.port] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&[self.state, 0, 0, 0]);
    }

    fn read(bytes: &[u8], kind: u8) -> Option<Self> {
        let bytes = bytes.first_chunk::<20>()?;
        if bytes[..2] != [kind, 20] {
            return None;
        }
        let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let system = EthernetAddress(bytes[4..10].try_into().ok()?);
        Some(Self {
            system_priority: number(2),
            system,
            key: number(10),
            port_priority: number(12),
            port: number(14),
            state: bytes[16],
        })
    }

    fn is(&self, other: &Self) -> bool {
        (self.system, self.key, self.port) == (other.system, other.key, other.port)
    }
}

impl Lacpdu {
    /// Fills an empty frame.
    pub fn write(&self, from: EthernetAddress, frame: &mut Frame) {
        frame.tag = None;
        let bytes = frame.buffer();
        bytes.clear();
        bytes.extend_from_slice(&GROUP.0);
        bytes.extend_from_slice(&from.0);
        bytes.extend_from_slice(&TYPE_SLOW.to_be_bytes());
        bytes.extend_from_slice(&[1, 1]);
        self.actor.write(1, bytes);
        self.partner.write(2, bytes);
        bytes.extend_from_slice(&[3, 16]);
        bytes.resize(124, 0);
    }

    /// Reads a packet; `None` for any other frame, whatever is in it.
    #[must_use]
    pub fn read(frame: &Frame) -> Option<Self> {
        let payload = frame.payload();
        let ours = frame.ethernet_type() == TYPE_SLOW && frame.destination() == GROUP && frame.tag.is_none();
        if !ours || payload.len() < 110 || payload[..2] != [1, 1] {
            return None;
        }
        Some(Self { actor: Party::read(&payload[2..], 1)?, partner: Party::read(&payload[22..], 2)? })
    }
}

/// The protocol on one link.
#[derive(Debug)]
pub struct Link {
    own: Party,
    partner: Option<(Party, Monotonic)>,
    /// What the partner said of this side.
    seen: Party,
    /// Somebody has spoken since the link is up.
    spoken: bool,
    next: Option<Monotonic>,
    answers: (u32, Monotonic),
}

impl Link {
    /// A link of an aggregation of that address, its `number`-th.
    #[must_use]
    pub fn new(system: EthernetAddress, number: u16) -> Self {
        let state = ACTIVITY | AGGREGATION | SYNCHRONIZATION | DEFAULTED;
        let own =
            Party { system_priority: 0x8000, system, key: 0xBEEF, port_priority: 0x80, port: number, state };
        Self {
            own,
            partner: None,
            seen: Party::default(),
            spoken: false,
            next: None,
            answers: (0, Monotonic::default()),
        }
    }

    /// The carrier came or went.
    pub fn carrier(&mut self, now: Monotonic, up: bool) {
        *self = Self::new(self.own.system, self.own.port);
        self.next = up.then_some(now);
    }

    /// The partner's system and key, for all links of an aggregation must lead to the same one.
    #[must_use]
    pub fn partner(&self) -> Option<(EthernetAddress, u16)> {
        self.partner.map(|(partner, _)| (partner.system, partner.key))
    }

    /// Whether a partner has spoken since the link is up.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// Whether the partner takes frames of this link.
    #[must_use]
    pub fn in_step(&self) -> bool {
        self.partner
            .is_some_and(|(partner, _)| partner.state & SYNCHRONIZATION != 0 && self.seen.is(&self.own))
    }

    /// A packet came.
    pub fn receive(&mut self, now: Monotonic, packet: &Lacpdu) {
        self.partner = Some((packet.actor, now));
        self.seen = packet.partner;
        self.spoken = true;
        let before = self.own.state;
        self.own.state = ACTIVITY | AGGREGATION | SYNCHRONIZATION;
        if self.in_step() {
            self.own.state |= COLLECTING | DISTRIBUTING;
        }
        let wrong = !self.seen.is(&self.own) || self.seen.state != self.own.state || before != self.own.state;
        if now.since(self.answers.1) >= SHORT {
            self.answers = (0, now);
        }
        if wrong && self.answers.0 < ANSWERS {
            self.answers.0 += 1;
            self.next = Some(now);
        }
    }

    /// When [`Link::tick`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        let expiry = self.partner.map(|(_, heard)| heard.after(EXPIRY));
        self.next.into_iter().chain(expiry).min()
    }

    /// Does what is due; a packet to send.
    pub fn tick(&mut self, now: Monotonic) -> Option<Lacpdu> {
        if self.partner.is_some_and(|(_, heard)| now.since(heard) >= EXPIRY) {
            self.partner = None;
            self.own.state = ACTIVITY | AGGREGATION | SYNCHRONIZATION | DEFAULTED;
        }
        if self.next? > now {
            return None;
        }
        self.next = Some(now.after(if self.in_step() { LONG } else { SHORT }));
        let partner = self.partner.map(|(partner, _)| partner).unwrap_or_default();
        Some(Lacpdu { actor: self.own, partner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_links_get_into_step_with_few_packets() {
        let now = Monotonic(Duration::from_secs(5));
        let mut links =
            [(1, 1), (2, 7)].map(|(last, number)| Link::new(EthernetAddress([2, 0, 0, 0, 0, last]), number));
        links.iter_mut().for_each(|link| link.carrier(now, true));
        let mut packets = 0;
        for round in 0..20 {
            let from = round % 2;
            if let Some(packet) = links[from].tick(now) {
                packets += 1;
                let mut frame = Frame::default();
                packet.write(EthernetAddress([2, 0, 0, 0, 0, 9]), &mut frame);
                assert_eq!(Lacpdu::read(&frame), Some(packet));
                links[1 - from].receive(now, &packet);
            }
        }
        assert!(links.iter().all(Link::in_step));
        assert!(packets <= 8, "{packets}");
        assert!(links.iter().all(|link| link.next_due() >= Some(now.after(LONG))));
        let later = now.after(EXPIRY);
        links[0].tick(later);
        assert!(!links[0].in_step() && links[0].has_spoken());
    }

    #[test]
    fn cut_packets_are_none() {
        let mut whole = Frame::default();
        Lacpdu::default().write(EthernetAddress([2; 6]), &mut whole);
        assert!(Lacpdu::read(&whole).is_some());
        for length in 0..whole.bytes().len() {
            let mut cut = whole.clone();
            cut.buffer().truncate(length);
            assert_eq!(Lacpdu::read(&cut), None, "{length} bytes");
        }
        for (place, byte) in [(14, 2), (15, 2), (16, 2), (17, 19), (36, 1), (37, 0)] {
            let mut damaged = whole.clone();
            damaged.buffer()[place] = byte;
            assert_eq!(Lacpdu::read(&damaged), None, "byte {place}");
        }
    }
}
