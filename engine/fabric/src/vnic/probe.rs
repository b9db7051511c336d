//! ARP probes out of backing devices.
//!
//! A probe asks who has a target's address, with no sender address (RFC 5227, section 1.1), so that nobody learns an IP
//! address from it. Its Ethernet source is made from the virtual NIC's address and the device's mark: answers find back to
//! the device, and switches outside learn nothing about the client's own address.

use varan_ethernet::{EthernetAddress, Frame, TYPE_ARP};

/// The address that probes of a device come from: locally administered, one of eight for each virtual NIC.
pub(crate) fn probe_address(client: EthernetAddress, mark: u8) -> EthernetAddress {
    let mut bytes = client.0;
    bytes[0] = first_byte(client) | (mark & 7) << 2;
    EthernetAddress(bytes)
}

/// What the first byte of probe addresses has besides the mark. The hypervisor's own addresses often begin with `fa`, which
/// must not look like a mark.
fn first_byte(client: EthernetAddress) -> u8 {
    if client.0[0] & 0xE3 == 0xE2 { 0xC2 } else { 0xE2 }
}

/// Whether an address has the form of those that probes of a virtual NIC come from.
#[must_use]
pub fn is_probe_address(address: EthernetAddress, client: EthernetAddress) -> bool {
    address.0[0] & 0xE3 == first_byte(client) && address.0[1..] == client.0[1..]
}

/// Writes a probe for `target` into an empty frame, without tag.
pub fn write_probe(frame: &mut Frame, source: EthernetAddress, target: std::net::Ipv4Addr) {
    frame.tag = None;
    let buffer = frame.buffer();
    buffer.clear();
    buffer.extend_from_slice(&EthernetAddress::BROADCAST.0);
    buffer.extend_from_slice(&source.0);
    buffer.extend_from_slice(&TYPE_ARP.to_be_bytes());
    // Ethernet, IPv4, address lengths, request.
    buffer.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    buffer.extend_from_slice(&source.0);
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&[0; 6]);
    buffer.extend_from_slice(&target.octets());
    // The shortest payload of a frame.
    buffer.resize(60, 0);
}

/// The target whose ARP answer a frame is.
pub(super) fn answered_target(frame: &Frame) -> Option<std::net::Ipv4Addr> {
    let payload = frame.payload();
    if frame.ethernet_type() != TYPE_ARP || payload.len() < 28 || payload[..8] != [0, 1, 8, 0, 6, 4, 0, 2] {
        return None;
    }
    Some(std::net::Ipv4Addr::new(payload[14], payload[15], payload[16], payload[17]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clients_own_address_looks_like_one_of_its_probes() {
        for first in (0..=255_u8).filter(|first| first & 1 == 0) {
            let client = EthernetAddress([first, 0x47, 0x90, 0x40, 0x00, 0x13]);
            assert!(!is_probe_address(client, client), "{client}");
            for mark in 0..8 {
                let probe = probe_address(client, mark);
                assert!(is_probe_address(probe, client) && probe != client && !probe.is_group());
            }
        }
    }
}
