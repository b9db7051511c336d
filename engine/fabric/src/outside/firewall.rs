//! Packets that a switch port does not let through.

use varan_ethernet::{Frame, TYPE_IPV4, TYPE_IPV6};
use varan_station::packet;

/// Protocol numbers of TCP and UDP.
const WITH_PORTS: [u8; 2] = [6, 17];

/// Whether a frame carries a TCP or UDP packet to one of these ports. Later fragments of a packet carry no ports; without the
/// first they are of no use to anybody.
pub(super) fn is_blocked(blocked: &[u16], frame: &Frame) -> bool {
    if blocked.is_empty() || ![TYPE_IPV4, TYPE_IPV6].contains(&frame.ethernet_type()) {
        return false;
    }
    let Some(packet) = packet::read(frame.payload()) else { return false };
    let later = packet.fragment.is_some_and(|(_, offset, _)| offset > 0);
    let port = packet.payload.get(2..4).map(|port| u16::from_be_bytes([port[0], port[1]]));
    !later && WITH_PORTS.contains(&packet.protocol) && port.is_some_and(|port| blocked.contains(&port))
}
