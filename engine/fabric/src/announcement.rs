//! Frames that tell switches behind which port a station is now.

use varan_ethernet::{EthernetAddress, Frame, TYPE_RARP};

/// Writes a RARP request of `station` for its own address to all stations into an empty frame, without tag. Nobody answers
/// it, and every switch that it passes learns where the station is (`send_RARP`; RFC 903 has the format).
pub fn write_announcement(frame: &mut Frame, station: EthernetAddress) {
    frame.tag = None;
    let buffer = frame.buffer();
    buffer.clear();
    buffer.extend_from_slice(&EthernetAddress::BROADCAST.0);
    buffer.extend_from_slice(&station.0);
    buffer.extend_from_slice(&TYPE_RARP.to_be_bytes());
    // Ethernet, IPv4, address lengths, request reverse.
    buffer.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 3]);
    for _ in 0..2 {
        buffer.extend_from_slice(&station.0);
        buffer.extend_from_slice(&[0; 4]);
    }
    // The shortest payload of a frame.
    buffer.resize(60, 0);
}
