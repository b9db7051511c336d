//! Packets in pieces (IPv4): putting them together again.

use std::net::IpAddr;
use std::time::Duration;

use varan_environment::Monotonic;

/// Packets that are put together at the same time; the oldest one gives way.
const PACKETS: usize = 4;
/// Pieces of one packet.
const PIECES: usize = 64;
/// Largest payload of a packet.
const LARGEST: usize = 65_535 - 20;
/// A packet that is not whole after that is dropped (RFC 1122, 3.3.2: 60 to 120 s; shorter, as hosts do today).
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Partial {
    key: (IpAddr, IpAddr, u8, u16),
    since: Monotonic,
    bytes: Vec<u8>,
    held: Vec<(usize, usize)>,
    total: Option<usize>,
}

/// Packets that are not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    packets: Vec<Partial>,
}

impl Reassembly {
    /// Takes a piece; gives the whole payload when it was the last one missing. Pieces that overlap others, or lie outside
    /// of what a packet can be, end the packet.
    pub(crate) fn take(
        &mut self,
        now: Monotonic,
        key: (IpAddr, IpAddr, u8, u16),
        offset: usize,
        more: bool,
        piece: &[u8],
    ) -> Option<Vec<u8>> {
        self.packets.retain(|packet| now.since(packet.since) < PATIENCE);
        let at = match self.packets.iter().position(|packet| packet.key == key) {
            Some(at) => at,
            None => {
                if self.packets.len() >= PACKETS {
                    self.packets.remove(0);
                }
                self.packets.push(Partial {
                    key,
                    since: now,
                    bytes: Vec::new(),
                    held: Vec::new(),
                    total: None,
                });
                self.packets.len() - 1
            }
        };
        let packet = &mut self.packets[at];
        let end = offset + piece.len();
        let overlaps = packet.held.iter().any(|(from, to)| offset < *to && *from < end);
        let beyond = end > LARGEST || packet.total.is_some_and(|total| end > total || !more && end != total);
        let odd = more && (!piece.len().is_multiple_of(8) || piece.is_empty());
        if overlaps || beyond || odd || packet.held.len() >= PIECES {
            self.packets.remove(at);
            return None;
        }
        if packet.bytes.len() < end {
            packet.bytes.resize(end, 0);
        }
        packet.bytes[offset..end].copy_from_slice(piece);
        packet.held.push((offset, end));
        if !more {
            packet.total = Some(end);
        }
        let held: usize = packet.held.iter().map(|(from, to)| to - from).sum();
        if packet.total == Some(held) { Some(self.packets.remove(at).bytes) } else { None }
    }
}
