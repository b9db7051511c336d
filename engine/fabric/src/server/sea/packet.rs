//! Control packets between Shared Ethernet Adapters of the same VLANs.
//!
//! They travel on the control channel, or in VLAN 4095 between the default trunk adapters of a virtual switch. The real
//! ones' format is not published; this one is Varan's own. All numbers are big-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | `VSEA` |
//! | 1 | version, 1 |
//! | 1 | kind: 1 keep-alive, 2 recovery, 3 notify, 4 limbo, 5 clients |
//! | 1 | mode: 0 auto, 1 standby, 2 sharing |
//! | 1 | level: 0 no uplink, 1 uplink without answer to pings, 2 well |
//! | 1 | priority of its trunk adapters |
//! | 1 | flags: bit 0 it has just started and does not bridge yet |
//! | 6 | address of the adapter, which is its name here |
//! | 4 | sequence number |
//! | 1 | number of trunk adapters; for each 2 bytes VLAN and 1 byte: bit 0 there, bit 1 bridged, bit 2 wanted or granted |
//! | 1 | number of clients, only in `clients`; for each 6 bytes address and 2 bytes VLAN |

use varan_ethernet::{EthernetAddress, Frame, VlanTag};

use crate::control::TYPE_CONTROL;

/// Where control packets go: a locally administered group.
pub const GROUP: EthernetAddress = EthernetAddress([0x03, 0x00, 0x00, 0x53, 0x45, 0x41]);
/// Clients in one packet at most.
pub const MOST_CLIENTS: usize = 160;
/// Trunk adapters of a Shared Ethernet Adapter at most (documentation: 16).
pub const MOST_TRUNKS: usize = 16;

const MAGIC: [u8; 4] = *b"VSEA";
const VERSION: u8 = 1;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The sender lives, and this is how it is.
    KeepAlive,
    /// The sender, better than the receiver, wants trunk adapters that the receiver bridges.
    Recovery,
    /// The sender will leave trunk adapters to the receiver as soon as that bridges them.
    Notify,
    /// The sender lost its uplink.
    Limbo,
    /// Stations behind the sender's trunk adapters.
    Clients,
}

/// What the sender does about another Shared Ethernet Adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ha_mode=auto`.
    Auto,
    /// `ha_mode=standby`.
    Standby,
    /// `ha_mode=sharing`.
    Sharing,
}

/// A trunk adapter in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrunkState {
    /// Its port VLAN, which tells it apart.
    pub vlan: u16,
    /// The adapter works.
    pub there: bool,
    /// The sender bridges it.
    pub held: bool,
    /// The sender wants it (recovery), or leaves it (notify).
    pub asked: bool,
}

/// A control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is for.
    pub kind: Kind,
    /// Mode of the sender.
    pub mode: Mode,
    /// How its uplink is, 0 to 2.
    pub level: u8,
    /// Priority of its trunk adapters.
    pub priority: u8,
    /// It has just started: it bridges nothing yet, whatever its rank.
    pub starting: bool,
    /// The sender.
    pub sender: EthernetAddress,
    /// Counts its packets.
    pub sequence: u32,
    /// Its trunk adapters in the order of its configuration.
    pub trunks: Vec<TrunkState>,
    /// Stations, with their VLANs.
    pub clients: Vec<(EthernetAddress, u16)>,
}

impl Packet {
    /// Fills an empty frame; `tag` is for VLAN 4095.
    pub fn write(&self, tag: Option<VlanTag>, frame: &mut Frame) {
        frame.tag = tag;
        let bytes = frame.buffer();
        bytes.clear();
        bytes.extend_from_slice(&GROUP.0);
        bytes.extend_from_slice(&self.sender.0);
        bytes.extend_from_slice(&TYPE_CONTROL.to_be_bytes());
        bytes.extend_from_slice(&MAGIC);
        let kind = match self.kind {
            Kind::KeepAlive => 1,
            Kind::Recovery => 2,
            Kind::Notify => 3,
            Kind::Limbo => 4,
            Kind::Clients => 5,
        };
        let mode = match self.mode {
            Mode::Auto => 0,
            Mode::Standby => 1,
            Mode::Sharing => 2,
        };
        bytes.extend_from_slice(&[VERSION, kind, mode, self.level, self.priority, u8::from(self.starting)]);
        bytes.extend_from_slice(&self.sender.0);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        let trunks = &self.trunks[..self.trunks.len().min(MOST_TRUNKS)];
        bytes.push(u8::try_from(trunks.len()).unwrap_or(0));
        for trunk in trunks {
            bytes.extend_from_slice(&trunk.vlan.to_be_bytes());
            bytes.push(u8::from(trunk.there) | u8::from(trunk.held) << 1 | u8::from(trunk.asked) << 2);
        }
        let clients = &self.clients[..self.clients.len().min(MOST_CLIENTS)];
        bytes.push(u8::try_from(clients.len()).unwrap_or(0));
        for (address, vlan) in clients {
            bytes.extend_from_slice(&address.0);
            bytes.extend_from_slice(&vlan.to_be_bytes());
        }
        if bytes.len() < 60 {
            bytes.resize(60, 0);
        }
    }

    /// Reads a packet; `None` for any other frame, whatever is in it.
    #[must_use]
    pub fn read(frame: &Frame) -> Option<Self> {
        if frame.ethernet_type() != TYPE_CONTROL || frame.destination() != GROUP {
            return None;
        }
        let mut bytes = Bytes(frame.payload());
        if bytes.take::<4>()? != MAGIC || bytes.byte()? != VERSION {
            return None;
        }
        let kind = match bytes.byte()? {
            1 => Kind::KeepAlive,
            2 => Kind::Recovery,
            3 => Kind::Notify,
            4 => Kind::Limbo,
            5 => Kind::Clients,
            _ => return None,
        };
        let mode = match bytes.byte()? {
            0 => Mode::Auto,
            1 => Mode::Standby,
            2 => Mode::Sharing,
            _ => return None,
        };
        let level = bytes.byte().filter(|level| *level <= 2)?;
        let priority = bytes.byte()?;
        let starting = bytes.byte()? & 1 != 0;
        let sender = EthernetAddress(bytes.take()?);
        if sender.is_group() || sender != frame.source() {
            return None;
        }
        let sequence = u32::from_be_bytes(bytes.take()?);
        let count = usize::from(bytes.byte()?);
        if count > MOST_TRUNKS {
            return None;
        }
        let mut trunks = Vec::with_capacity(count);
        for _ in 0..count {
            let [high, low, flags] = bytes.take()?;
            let bit = |number: u8| flags & 1 << number != 0;
            trunks.push(TrunkState {
                vlan: u16::from_be_bytes([high, low]) & 0x0FFF,
                there: bit(0),
                held: bit(1),
                asked: bit(2),
            });
        }
        let count = usize::from(bytes.byte()?);
        if count > MOST_CLIENTS {
            return None;
        }
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let [a, b, c, d, e, f, high, low] = bytes.take()?;
            let vlan = u16::from_be_bytes([high, low]) & 0x0FFF;
            clients.push((EthernetAddress([a, b, c, d, e, f]), vlan));
        }
        Some(Self { kind, mode, level, priority, starting, sender, sequence, trunks, clients })
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let (taken, rest) = self.0.split_first_chunk::<COUNT>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Packet {
        Packet {
            kind: Kind::Recovery,
            mode: Mode::Sharing,
            level: 2,
            priority: 1,
            starting: false,
            sender: EthernetAddress([2, 0, 0, 0, 0, 7]),
            sequence: 0x0102_0304,
            trunks: vec![
                TrunkState { vlan: 1, there: true, held: false, asked: true },
                TrunkState { vlan: 4_094, there: true, held: true, asked: false },
            ],
            clients: vec![(EthernetAddress([0xFA, 1, 2, 3, 4, 5]), 100)],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut frame = Frame::default();
        packet().write(None, &mut frame);
        assert_eq!(Packet::read(&frame), Some(packet()));
        let full = Packet {
            kind: Kind::Clients,
            trunks: vec![TrunkState::default(); MOST_TRUNKS],
            clients: vec![(EthernetAddress([2; 6]), 7); MOST_CLIENTS],
            ..packet()
        };
        full.write(Some(VlanTag::of(4_095)), &mut frame);
        assert_eq!(Packet::read(&frame), Some(full));
        assert!(frame.payload().len() <= 1_500);
    }

    #[test]
    fn damaged_packets_are_no_packets() {
        let mut whole = Frame::default();
        packet().write(None, &mut whole);
        let content = 14 + 4 + 6 + 6 + 4 + 1 + 6 + 1 + 8;
        for length in 0..content {
            let mut cut = whole.clone();
            cut.buffer().truncate(length);
            assert_eq!(Packet::read(&cut), None, "{length} bytes");
        }
        for (place, byte) in
            [(0, 1), (13, 0), (14, 0), (18, 2), (19, 0), (19, 6), (20, 3), (21, 3), (24, 3), (34, 17)]
        {
            let mut damaged = whole.clone();
            damaged.buffer()[place] = byte;
            assert_eq!(Packet::read(&damaged), None, "byte {place}");
        }
    }
}
