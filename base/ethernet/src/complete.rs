//! Does the work that a sender left to the way out: checksums, and cutting a large TCP packet into segments.

use crate::{Frame, FramePool, HEADER_BYTES, Offload, TYPE_IPV4, TYPE_IPV6};

const IPV6_HEADER_BYTES: usize = 40;
const TCP_HEADER_BYTES: usize = 20;
/// Flags of TCP that only the last segment has: FIN and PSH.
const LAST_ONLY: u8 = 0x09;

fn sum(start: u32, bytes: &[u8]) -> u32 {
    let mut pairs = bytes.chunks_exact(2);
    let whole = pairs
        .by_ref()
        .fold(start, |sum, pair| sum.wrapping_add(u32::from(u16::from_be_bytes([pair[0], pair[1]]))));
    pairs.remainder().first().map_or(whole, |last| whole.wrapping_add(u32::from(*last) << 8))
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    // No more than 16 bits are left.
    !(sum as u16)
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Where the parts of a TCP packet begin, and its version.
struct Parts {
    ip: usize,
    tcp: usize,
    payload: usize,
    version_6: bool,
}

fn parts(bytes: &[u8]) -> Option<Parts> {
    let kind = u16::from_be_bytes([*bytes.get(12)?, *bytes.get(13)?]);
    let ip = HEADER_BYTES;
    let (tcp, version_6) = match kind {
        TYPE_IPV4 => (ip + usize::from(bytes.get(ip)? & 0x0F) * 4, false),
        TYPE_IPV6 => (ip + IPV6_HEADER_BYTES, true),
        _ => return None,
    };
    let payload = tcp + usize::from(bytes.get(tcp + 12)? >> 4) * 4;
    let whole = tcp >= ip + 20 && payload >= tcp + TCP_HEADER_BYTES && payload <= bytes.len();
    whole.then_some(Parts { ip, tcp, payload, version_6 })
}

/// The sum over a pseudo header, without the length of what follows.
fn pseudo_header(bytes: &[u8], parts: &Parts) -> u32 {
    let addresses = if parts.version_6 { parts.ip + 8..parts.ip + 40 } else { parts.ip + 12..parts.ip + 20 };
    sum(6, &bytes[addresses])
}

impl Frame {
    /// Whether something is left to be done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.offload == Offload::default()
    }

    /// Does what the sender left to be done and hands the frames on: one, or the segments of a large one. A frame whose
    /// headers are not what it says is dropped.
    pub fn complete(mut self, pool: &mut FramePool, mut emit: impl FnMut(Frame)) {
        if self.is_complete() {
            return emit(self);
        }
        if let Some((size, _)) = self.offload.segment {
            self.cut(usize::from(size), pool, &mut emit);
            return pool.give(self);
        }
        if let Some((start, offset)) = self.offload.checksum {
            let (start, at) = (usize::from(start), usize::from(start) + usize::from(offset));
            let length = self.bytes().len();
            if start > length || at + 2 > length {
                return pool.give(self);
            }
            // The sender left the pseudo header's sum in the field.
            let checksum = fold(sum(0, &self.bytes()[start..]));
            put(self.buffer(), at, if checksum == 0 { 0xFFFF } else { checksum });
        }
        self.offload = Offload::default();
        emit(self);
    }

    fn cut(&self, size: usize, pool: &mut FramePool, emit: &mut impl FnMut(Frame)) {
        let bytes = self.bytes();
        let Some(parts) = parts(bytes).filter(|_| size > 0) else { return };
        let payload = &bytes[parts.payload..];
        let sequence_at = parts.tcp + 4;
        let sequence = u32::from_be_bytes([
            bytes[sequence_at],
            bytes[sequence_at + 1],
            bytes[sequence_at + 2],
            bytes[sequence_at + 3],
        ]);
        let identification = u16::from_be_bytes([bytes[parts.ip + 4], bytes[parts.ip + 5]]);
        let pseudo = pseudo_header(bytes, &parts);
        let count = payload.len().div_ceil(size).max(1);
        for number in 0..count {
            let from = number * size;
            let piece = &payload[from..payload.len().min(from + size)];
            let mut segment = pool.take();
            segment.tag = self.tag;
            let buffer = segment.buffer();
            buffer.extend_from_slice(&bytes[..parts.payload]);
            buffer.extend_from_slice(piece);
            // Lengths fit: the whole packet's did.
            let ip_length = (buffer.len() - parts.ip) as u16;
            if parts.version_6 {
                put(buffer, parts.ip + 4, ip_length - IPV6_HEADER_BYTES as u16);
            } else {
                put(buffer, parts.ip + 2, ip_length);
                put(buffer, parts.ip + 4, identification.wrapping_add(number as u16));
                put(buffer, parts.ip + 10, 0);
                let header = fold(sum(0, &buffer[parts.ip..parts.tcp]));
                put(buffer, parts.ip + 10, header);
            }
            let number_of_byte = sequence.wrapping_add(from as u32).to_be_bytes();
            buffer[sequence_at..sequence_at + 4].copy_from_slice(&number_of_byte);
            if number + 1 < count {
                buffer[parts.tcp + 13] &= !LAST_ONLY;
            }
            put(buffer, parts.tcp + 16, 0);
            let length = (buffer.len() - parts.tcp) as u32;
            let checksum = fold(sum(pseudo.wrapping_add(length), &buffer[parts.tcp..]));
            put(buffer, parts.tcp + 16, checksum);
            emit(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP packet from 10.0.0.1 to 10.0.0.2 with this payload and the flags ACK, PSH, FIN.
    fn tcp(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        let length = (40 + payload.len()) as u16;
        bytes.extend([0x45, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend([0x80, 0, 2, 0x91, 0, 0, 0x10, 0, 0, 0, 0, 0, 0x50, 0x19, 0xFF, 0xFF, 0, 0, 0, 0]);
        bytes.extend(payload);
        bytes
    }

    fn is_right(bytes: &[u8]) -> bool {
        let parts = parts(bytes).expect("TCP");
        let length = (bytes.len() - parts.tcp) as u32;
        fold(sum(pseudo_header(bytes, &parts).wrapping_add(length), &bytes[parts.tcp..])) == 0
            && fold(sum(0, &bytes[parts.ip..parts.tcp])) == 0
    }

    #[test]
    fn a_large_packet_becomes_segments_with_right_sums_and_numbers() {
        let payload: Vec<u8> = (0..3_001_u32).map(|number| number as u8).collect();
        let mut frame = Frame::new(tcp(&payload)).expect("a frame");
        frame.offload = Offload { checksum: Some((34, 16)), segment: Some((1_000, false)), header_bytes: 54 };
        let (mut pool, mut got) = (FramePool::new(8), Vec::new());
        frame.complete(&mut pool, |segment| got.push(segment));
        assert_eq!(
            got.iter().map(|segment| segment.bytes().len() - 54).collect::<Vec<_>>(),
            [1_000, 1_000, 1_000, 1]
        );
        let joined: Vec<u8> = got.iter().flat_map(|segment| segment.bytes()[54..].to_vec()).collect();
        assert_eq!(joined, payload);
        for (number, segment) in got.iter().enumerate() {
            assert!(segment.is_complete() && is_right(segment.bytes()), "segment {number}");
            let sequence = u32::from_be_bytes(segment.bytes()[38..42].try_into().expect("four bytes"));
            assert_eq!(sequence, 0x1000 + 1_000 * number as u32);
            assert_eq!(segment.bytes()[47], if number == 3 { 0x19 } else { 0x10 }, "flags of {number}");
        }
    }

    #[test]
    fn a_checksum_that_was_left_is_made() {
        let mut bytes = tcp(b"abc");
        let whole = parts(&bytes).expect("TCP");
        let left = fold(pseudo_header(&bytes, &whole).wrapping_add((bytes.len() - whole.tcp) as u32));
        put(&mut bytes, whole.tcp + 16, !left);
        put(&mut bytes, 24, 0);
        let header = fold(sum(0, &bytes[14..34]));
        put(&mut bytes, 24, header);
        let mut frame = Frame::new(bytes).expect("a frame");
        frame.offload.checksum = Some((34, 16));
        let mut got = Vec::new();
        frame.complete(&mut FramePool::new(1), |frame| got.push(frame));
        assert!(is_right(got[0].bytes()));
    }

    #[test]
    fn headers_that_are_not_what_they_say_are_dropped() {
        for length in 14..60 {
            for offload in [
                Offload { segment: Some((500, false)), ..Offload::default() },
                Offload { segment: Some((0, true)), ..Offload::default() },
                Offload { checksum: Some((60_000, 60_000)), ..Offload::default() },
            ] {
                let mut frame = Frame::new(tcp(&[0; 10])[..length].to_vec()).expect("a frame");
                frame.offload = offload;
                frame.complete(&mut FramePool::new(1), |frame| assert!(frame.is_complete()));
            }
        }
    }
}
