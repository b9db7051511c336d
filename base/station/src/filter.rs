//! What a station lets through: its firewall.

use crate::packet::{Packet, TCP, UDP, word};
use crate::{InterfaceId, Prefix};

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the station.
    In,
    /// From it.
    Out,
}

/// Ports of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Of the sender.
    pub source_port: u16,
    /// Of the receiver.
    pub destination_port: u16,
}

impl Flow {
    /// The ports of a packet whose protocol has ports.
    #[must_use]
    pub fn of(packet: &Packet<'_>) -> Option<Self> {
        if !matches!(packet.protocol, TCP | UDP) {
            return None;
        }
        Some(Self { source_port: word(packet.payload, 0)?, destination_port: word(packet.payload, 2)? })
    }
}

/// A rule: all that is stated must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which way.
    pub direction: Direction,
    /// By which interface.
    pub interface: Option<InterfaceId>,
    /// Protocol number.
    pub protocol: Option<u8>,
    /// Network of the sender.
    pub source: Option<Prefix>,
    /// Network of the receiver.
    pub destination: Option<Prefix>,
    /// Port of the sender.
    pub source_port: Option<u16>,
    /// Port of the receiver.
    pub destination_port: Option<u16>,
    /// Lets through; else drops.
    pub allow: bool,
}

impl Rule {
    /// A rule that fits all packets of a direction.
    #[must_use]
    pub fn new(direction: Direction, allow: bool) -> Self {
        Self {
            direction,
            interface: None,
            protocol: None,
            source: None,
            destination: None,
            source_port: None,
            destination_port: None,
            allow,
        }
    }

    fn fits(&self, direction: Direction, interface: InterfaceId, packet: &Packet<'_>) -> bool {
        let ports = Flow::of(packet);
        let port = |wanted: Option<u16>, own: fn(Flow) -> u16| {
            wanted.is_none_or(|port| ports.map(own) == Some(port))
        };
        self.direction == direction
            && self.interface.is_none_or(|only| only == interface)
            && self.protocol.is_none_or(|protocol| protocol == packet.protocol)
            && self.source.is_none_or(|network| network.contains(packet.source))
            && self.destination.is_none_or(|network| network.contains(packet.destination))
            && port(self.source_port, |flow| flow.source_port)
            && port(self.destination_port, |flow| flow.destination_port)
    }
}

/// Whether the rules let a packet through.
pub(crate) fn allows(
    rules: &[Rule],
    direction: Direction,
    interface: InterfaceId,
    packet: &Packet<'_>,
) -> bool {
    rules.iter().find(|rule| rule.fits(direction, interface, packet)).is_none_or(|rule| rule.allow)
}
