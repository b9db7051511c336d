//! Internet headers: what is read from bytes that anyone may have sent, and how it is written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ICMP for IPv6.
pub const ICMPV6: u8 = 58;
/// Bytes of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;
/// Bytes of an IPv6 header.
pub const IPV6_HEADER: usize = 40;
/// Bytes of a UDP header, and of the header of an echo message.
pub const SHORT_HEADER: usize = 8;

/// A packet as its header tells, with its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Hops that it may still take.
    pub ttl: u8,
    /// Fragment of a larger packet: identification, offset in bytes, whether more follow.
    pub fragment: Option<(u16, usize, bool)>,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// Reads two bytes in network order.
#[must_use]
pub fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Reads four bytes in network order.
#[must_use]
pub fn double_word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(word(bytes, at)?) << 16 | u32::from(word(bytes, at + 2)?))
}

/// Reads an IPv4 address.
#[must_use]
pub fn ipv4_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

/// Reads an IPv6 address.
#[must_use]
pub fn ipv6_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

/// Reads an IP packet. `None` for what is none, or is cut, or has a header with a wrong checksum.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Packet<'_>> {
    match bytes.first()? >> 4 {
        4 => read_ipv4(bytes),
        6 => read_ipv6(bytes),
        _ => None,
    }
}

fn read_ipv4(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = usize::from(bytes.first()? & 0x0F) * 4;
    let total = usize::from(word(bytes, 2)?);
    if header < IPV4_HEADER || total < header || sum(0, bytes.get(..header)?) != 0xFFFF {
        return None;
    }
    let flags = word(bytes, 6)?;
    let offset = usize::from(flags & 0x1FFF) * 8;
    let more = flags & 0x2000 != 0;
    Some(Packet {
        source: ipv4_at(bytes, 12)?.into(),
        destination: ipv4_at(bytes, 16)?.into(),
        protocol: *bytes.get(9)?,
        ttl: *bytes.get(8)?,
        fragment: (offset > 0 || more).then_some((word(bytes, 4)?, offset, more)),
        payload: bytes.get(header..total)?,
    })
}

fn read_ipv6(bytes: &[u8]) -> Option<Packet<'_>> {
    let length = usize::from(word(bytes, 4)?);
    let (mut protocol, mut payload) = (*bytes.get(6)?, bytes.get(IPV6_HEADER..IPV6_HEADER + length)?);
    // Hop-by-hop, routing and destination options are passed over; their number is bounded by the packet's length.
    while matches!(protocol, 0 | 43 | 60) {
        let size = 8 + usize::from(*payload.get(1)?) * 8;
        protocol = *payload.first()?;
        payload = payload.get(size..)?;
    }
    Some(Packet {
        source: ipv6_at(bytes, 8)?.into(),
        destination: ipv6_at(bytes, 24)?.into(),
        protocol,
        ttl: *bytes.get(7)?,
        fragment: None,
        payload,
    })
}

/// Writes an IP packet. Source and destination are of the same kind; `fragment` is used with IPv4 only.
pub fn write(packet: &Packet<'_>, identification: u16, into: &mut Vec<u8>) {
    let length = packet.payload.len();
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let start = into.len();
            let total = u16::try_from(length + IPV4_HEADER).unwrap_or(u16::MAX).to_be_bytes();
            let (identification, flags) = match packet.fragment {
                Some((identification, offset, more)) => (
                    identification,
                    u16::try_from(offset / 8).unwrap_or(0x1FFF) | if more { 0x2000 } else { 0 },
                ),
                None => (identification, 0),
            };
            into.extend_from_slice(&[0x45, 0, total[0], total[1]]);
            into.extend_from_slice(&identification.to_be_bytes());
            into.extend_from_slice(&flags.to_be_bytes());
            into.extend_from_slice(&[packet.ttl, packet.protocol, 0, 0]);
            into.extend_from_slice(&source.octets());
            into.extend_from_slice(&destination.octets());
            let checksum = !sum(0, &into[start..]);
            into[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            into.extend_from_slice(&[0x60, 0, 0, 0]);
            into.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
            into.extend_from_slice(&[packet.protocol, packet.ttl]);
            into.extend_from_slice(&source.octets());
            into.extend_from_slice(&destination.octets());
        }
        _ => return,
    }
    into.extend_from_slice(packet.payload);
}

/// One's complement sum of 16-bit words, folded, beginning with `start`.
#[must_use]
pub fn sum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(start);
    let mut pairs = bytes.chunks_exact(2);
    for pair in &mut pairs {
        sum += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    if let [last] = pairs.remainder() {
        sum += u64::from(*last) << 8;
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Sum over source, destination, length and protocol, as UDP, TCP and ICMPv6 include it.
#[must_use]
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u32 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut total = u32::from(protocol) + (length >> 16) + (length & 0xFFFF);
    for address in [source, destination] {
        total += u32::from(match address {
            IpAddr::V4(address) => sum(0, &address.octets()),
            IpAddr::V6(address) => sum(0, &address.octets()),
        });
    }
    total
}

/// Whether the checksum of a packet's payload is right, for the protocols that have one here.
#[must_use]
pub fn payload_is_whole(packet: &Packet<'_>) -> bool {
    let payload = packet.payload;
    let start = match packet.protocol {
        ICMP => 0,
        UDP if payload.get(6..8) == Some(&[0, 0]) => return packet.source.is_ipv4(),
        UDP | TCP | ICMPV6 => {
            pseudo_header(packet.source, packet.destination, packet.protocol, payload.len())
        }
        _ => return true,
    };
    sum(start, payload) == 0xFFFF
}

/// A UDP datagram with its checksum.
#[must_use]
pub fn datagram(source: (IpAddr, u16), destination: (IpAddr, u16), bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() + SHORT_HEADER;
    let mut datagram = Vec::with_capacity(length);
    datagram.extend_from_slice(&source.1.to_be_bytes());
    datagram.extend_from_slice(&destination.1.to_be_bytes());
    datagram.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(bytes);
    let checksum = match !sum(pseudo_header(source.0, destination.0, UDP, length), &datagram) {
        0 => 0xFFFF,
        checksum => checksum,
    };
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    datagram
}

/// An ICMP message of either kind with its checksum; `rest` is what follows type, code and checksum.
#[must_use]
pub fn control_message(source: IpAddr, destination: IpAddr, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(4 + rest.len());
    message.extend_from_slice(&[kind, code, 0, 0]);
    message.extend_from_slice(rest);
    let start = if source.is_ipv6() { pseudo_header(source, destination, ICMPV6, message.len()) } else { 0 };
    let checksum = !sum(start, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// A TCP segment without data that ends a connection nobody here knows (RFC 9293, 3.5.2); `None` for one that is itself a
/// reset, or cut.
#[must_use]
pub fn reset_of(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let segment = packet.payload;
    let flags = *segment.get(13)?;
    if flags & 0x04 != 0 {
        return None;
    }
    let (sequence, acknowledged, answer) = if flags & 0x10 != 0 {
        (double_word(segment, 8)?, 0, 0x04)
    } else {
        let header = usize::from(segment.get(12)? >> 4) * 4;
        let data = u32::try_from(segment.len().checked_sub(header)?).ok()?;
        let length = data + u32::from(flags & 0x01) + u32::from(flags >> 1 & 1);
        (0, double_word(segment, 4)?.wrapping_add(length), 0x14)
    };
    let mut reset = Vec::with_capacity(20);
    reset.extend_from_slice(segment.get(2..4)?);
    reset.extend_from_slice(segment.get(0..2)?);
    reset.extend_from_slice(&sequence.to_be_bytes());
    reset.extend_from_slice(&acknowledged.to_be_bytes());
    reset.extend_from_slice(&[0x50, answer, 0, 0, 0, 0, 0, 0]);
    let checksum = !sum(pseudo_header(packet.destination, packet.source, TCP, reset.len()), &reset);
    reset[16..18].copy_from_slice(&checksum.to_be_bytes());
    Some(reset)
}
