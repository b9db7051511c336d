//! Packets of clients that are too large for the physical network.

use varan_ethernet::{EthernetAddress, Frame, FramePool, HEADER_BYTES, TYPE_IPV4, TYPE_IPV6};

/// What becomes of a packet that is too large.
#[derive(Debug, PartialEq, Eq)]
pub enum Oversize {
    /// These fragments go instead of it.
    Fragments(Vec<Frame>),
    /// Its sender is told (ICMP fragmentation needed, ICMPv6 packet too big).
    Refused(Frame),
    /// It is no IP packet, or a damaged one.
    Dropped,
}

const DO_NOT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
/// Bytes of the packet that an ICMP error repeats, beside its IP header.
const QUOTED: usize = 8;
/// Bytes that an ICMPv6 error repeats at most: all of the smallest IPv6 packet that every link carries.
const QUOTED_6: usize = 1_280 - 48;

/// Decides about a frame whose payload is longer than `mtu`. `own` is the address that errors come from.
pub fn handle(frame: &mut Frame, mtu: usize, own: EthernetAddress, pool: &mut FramePool) -> Oversize {
    match frame.ethernet_type() {
        TYPE_IPV4 => version_4(frame, mtu, own, pool),
        TYPE_IPV6 => version_6(frame, mtu, own, pool),
        _ => Oversize::Dropped,
    }
}

/// Stores the checksum that the sender left to whoever sends the frame out.
fn complete_checksum(frame: &mut Frame) {
    let Some((start, at)) = frame.offload.checksum.take() else {
        return;
    };
    let (start, at) = (usize::from(start), usize::from(start) + usize::from(at));
    let bytes = frame.buffer();
    if at + 2 <= bytes.len() && start < bytes.len() {
        let sum = checksum(&bytes[start..], 0);
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The Internet checksum over `bytes`, with a sum of what else counts.
fn checksum(bytes: &[u8], further: u32) -> u16 {
    let mut sum = further;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |byte| u32::from(*byte));
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn version_4(frame: &mut Frame, mtu: usize, own: EthernetAddress, pool: &mut FramePool) -> Oversize {
    let packet = frame.payload();
    let Some(first) = packet.first().filter(|first| **first >> 4 == 4 && packet.len() >= 20) else {
        return Oversize::Dropped;
    };
    let header = usize::from(first & 15) * 4;
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    if header < 20 || total > packet.len() || total <= header || header + 8 > mtu {
        return Oversize::Dropped;
    }
    let flags = u16::from_be_bytes([packet[6], packet[7]]);
    if flags & DO_NOT_FRAGMENT != 0 || frame.offload.segment.is_some() {
        return Oversize::Refused(refuse_4(frame, header, mtu, own, pool));
    }
    complete_checksum(frame);
    let packet = &frame.payload()[..total];
    let piece = (mtu - header) / 8 * 8;
    let mut fragments = Vec::new();
    let mut from = header;
    while from < total {
        let to = total.min(from + piece);
        let mut fragment = pool.take();
        fragment.tag = frame.tag;
        let bytes = fragment.buffer();
        bytes.extend_from_slice(&frame.bytes()[..HEADER_BYTES]);
        bytes.extend_from_slice(&packet[..header]);
        bytes.extend_from_slice(&packet[from..to]);
        let ip = &mut bytes[HEADER_BYTES..];
        let length = u16::try_from(header + to - from).unwrap_or(u16::MAX);
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        let offset = flags.wrapping_add(u16::try_from((from - header) / 8).unwrap_or(0));
        let more = if to < total { MORE_FRAGMENTS } else { 0 };
        ip[6..8].copy_from_slice(&(offset | more).to_be_bytes());
        set_header_checksum(&mut ip[..header]);
        fragments.push(fragment);
        from = to;
    }
    Oversize::Fragments(fragments)
}

fn set_header_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = checksum(header, 0);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// An error back to the sender, in the name of the packet's destination: a bridge has no address of its own there.
fn start_reply(frame: &Frame, own: EthernetAddress, pool: &mut FramePool) -> Frame {
    let mut reply = pool.take();
    reply.tag = frame.tag;
    let bytes = reply.buffer();
    bytes.extend_from_slice(&frame.source().0);
    bytes.extend_from_slice(&own.0);
    bytes.extend_from_slice(&frame.ethernet_type().to_be_bytes());
    reply
}

fn refuse_4(frame: &Frame, header: usize, mtu: usize, own: EthernetAddress, pool: &mut FramePool) -> Frame {
    let packet = frame.payload();
    let quoted = &packet[..packet.len().min(header + QUOTED)];
    let mut reply = start_reply(frame, own, pool);
    let bytes = reply.buffer();
    let length = u16::try_from(28 + quoted.len()).unwrap_or(u16::MAX);
    // Version and header length, type of service, length, identification, flags, hops, ICMP, checksum.
    bytes.extend_from_slice(&[0x45, 0xC0]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 255, 1, 0, 0]);
    bytes.extend_from_slice(&packet[16..20]);
    bytes.extend_from_slice(&packet[12..16]);
    set_header_checksum(&mut bytes[HEADER_BYTES..HEADER_BYTES + 20]);
    let icmp = bytes.len();
    // Destination unreachable, fragmentation needed; the MTU of the next hop (RFC 1191).
    bytes.extend_from_slice(&[3, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(quoted);
    let sum = checksum(&bytes[icmp..], 0);
    bytes[icmp + 2..icmp + 4].copy_from_slice(&sum.to_be_bytes());
    if bytes.len() < 60 {
        bytes.resize(60, 0);
    }
    reply
}

fn version_6(frame: &Frame, mtu: usize, own: EthernetAddress, pool: &mut FramePool) -> Oversize {
    let packet = frame.payload();
    // Nothing is answered to a group address or an address that is none (RFC 4443, section 2.4).
    if packet.len() < 40 || packet[0] >> 4 != 6 || packet[8] == 0xFF || packet[8..24] == [0; 16] {
        return Oversize::Dropped;
    }
    let quoted = &packet[..packet.len().min(QUOTED_6)];
    let mut reply = start_reply(frame, own, pool);
    let bytes = reply.buffer();
    let length = u16::try_from(8 + quoted.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&[0x60, 0, 0, 0]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[58, 255]);
    bytes.extend_from_slice(&packet[24..40]);
    bytes.extend_from_slice(&packet[8..24]);
    let icmp = bytes.len();
    bytes.extend_from_slice(&[2, 0, 0, 0]);
    bytes.extend_from_slice(&u32::try_from(mtu).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(quoted);
    let addresses = u32::from(!checksum(&bytes[icmp - 32..icmp], 0));
    let sum = checksum(&bytes[icmp..], addresses + u32::from(length) + 58);
    bytes[icmp + 2..icmp + 4].copy_from_slice(&sum.to_be_bytes());
    Oversize::Refused(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);

    fn packet(length: usize, flags: u16) -> Frame {
        let mut bytes = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0];
        let total = u16::try_from(length).expect("short");
        bytes.extend([0x45, 0]);
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 7]);
        bytes.extend(flags.to_be_bytes());
        bytes.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        set_header_checksum(&mut bytes[14..34]);
        bytes.extend((0..length - 20).map(|number| u8::try_from(number % 251).expect("small")));
        Frame::new(bytes).expect("a frame")
    }

    #[test]
    fn a_packet_that_may_be_cut_is_cut_into_pieces_that_make_it_up_again() {
        let mut frame = packet(4_020, 0);
        let Oversize::Fragments(fragments) = handle(&mut frame, 1_500, OWN, &mut FramePool::new(4)) else {
            panic!("cut");
        };
        let mut whole = Vec::new();
        for (number, fragment) in fragments.iter().enumerate() {
            let ip = fragment.payload();
            assert!(ip.len() <= 1_500);
            assert_eq!(checksum(&ip[..20], 0), 0, "right checksum");
            let flags = u16::from_be_bytes([ip[6], ip[7]]);
            assert_eq!(usize::from(flags & 0x1FFF) * 8, whole.len());
            assert_eq!(flags & MORE_FRAGMENTS != 0, number + 1 < fragments.len());
            whole.extend_from_slice(&ip[20..]);
        }
        assert_eq!(whole, packet(4_020, 0).payload()[20..]);
    }

    #[test]
    fn the_sender_of_a_packet_that_may_not_be_cut_is_told() {
        let mut frame = packet(4_020, DO_NOT_FRAGMENT);
        let Oversize::Refused(reply) = handle(&mut frame, 1_500, OWN, &mut FramePool::new(4)) else {
            panic!("refused");
        };
        assert_eq!((reply.destination(), reply.source()), (frame.source(), OWN));
        let ip = reply.payload();
        assert_eq!(checksum(&ip[..20], 0), 0);
        assert_eq!((&ip[12..16], &ip[16..20]), (&[10, 0, 0, 2][..], &[10, 0, 0, 1][..]));
        assert_eq!(ip[20..22], [3, 4]);
        assert_eq!(ip[26..28], 1_500u16.to_be_bytes());
        assert_eq!(checksum(&ip[20..56], 0), 0);
        assert_eq!(ip[28..56], frame.payload()[..28]);
    }

    #[test]
    fn a_large_packet_of_ip_version_6_is_refused_and_others_are_dropped() {
        let mut bytes =
            vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x86, 0xDD, 0x60, 0, 0, 0, 0x0F, 0xA0, 17, 64];
        bytes.extend([0xFD; 16]);
        bytes.extend([0xFC; 16]);
        bytes.resize(14 + 40 + 4_000, 7);
        let mut frame = Frame::new(bytes).expect("a frame");
        let Oversize::Refused(reply) = handle(&mut frame, 1_500, OWN, &mut FramePool::new(4)) else {
            panic!("refused");
        };
        let ip = reply.payload();
        assert_eq!((&ip[8..24], &ip[24..40]), (&[0xFC; 16][..], &[0xFD; 16][..]));
        let length = u32::try_from(ip.len() - 40).expect("small");
        let addresses = u32::from(!checksum(&ip[8..40], 0));
        assert_eq!(checksum(&ip[40..], addresses + length + 58), 0);
        let mut other = vec![2; 14];
        other.resize(3_000, 0);
        let mut other = Frame::new(other).expect("a frame");
        assert_eq!(handle(&mut other, 1_500, OWN, &mut FramePool::new(4)), Oversize::Dropped);
    }

    #[test]
    fn damaged_headers_are_dropped() {
        for length in 14..34 {
            let mut cut = packet(4_020, 0);
            cut.buffer().truncate(length);
            assert_eq!(handle(&mut cut, 1_500, OWN, &mut FramePool::new(4)), Oversize::Dropped);
        }
        for (at, byte) in [(14, 0x44), (14, 0x65), (16, 0xFF)] {
            let mut damaged = packet(4_020, 0);
            damaged.buffer()[at] = byte;
            assert_eq!(handle(&mut damaged, 1_500, OWN, &mut FramePool::new(4)), Oversize::Dropped);
        }
    }
}
