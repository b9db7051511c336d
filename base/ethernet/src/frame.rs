//! One frame.

use std::fmt;

use crate::{EthernetAddress, HEADER_BYTES, LARGE_SEND_BYTES, TAG_BYTES, TYPE_VLAN};

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Shorter than a header.
    Short,
    /// Longer than the longest frame.
    Long,
}

impl fmt::Display for FrameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Short => "a frame without a whole header",
            Self::Long => "a frame that is too long",
        })
    }
}

impl std::error::Error for FrameError {}

/// Control information of an 802.1Q tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// VLAN, 0 (priority only) to 4095.
    pub id: u16,
    /// Priority, 0 to 7.
    pub priority: u8,
}

impl VlanTag {
    /// A tag of that VLAN without priority.
    #[must_use]
    pub fn of(id: u16) -> Self {
        Self { id, priority: 0 }
    }

    /// Reads the two bytes of control information.
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        Self { id: bits & 0x0FFF, priority: u8::try_from(bits >> 13).unwrap_or(0) }
    }

    /// The two bytes of control information.
    #[must_use]
    pub fn bits(self) -> u16 {
        u16::from(self.priority & 7) << 13 | self.id & 0x0FFF
    }
}

/// Work that the sender left to whoever takes the frame out of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where the checksum begins to count, and where it is to be stored after that, in bytes from the start of the frame
    /// without its tag; `None` when checksums are right.
    pub checksum: Option<(u16, u16)>,
    /// Payload bytes of each TCP segment that the frame is to be cut into, and whether it is IPv6; `None` when it is not to
    /// be cut.
    pub segment: Option<(u16, bool)>,
    /// Bytes of all headers of a frame that is to be cut.
    pub header_bytes: u16,
}

/// An Ethernet frame without its checksum: header and payload in one buffer, its 802.1Q tag beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
    /// The outermost tag; `None` for an untagged frame.
    pub tag: Option<VlanTag>,
    /// What is still to be done with it.
    pub offload: Offload,
}

impl Frame {
    /// A frame of these bytes, which have no tag or one that stays among them.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, FrameError> {
        match bytes.len() {
            0..HEADER_BYTES => Err(FrameError::Short),
            HEADER_BYTES..=LARGE_SEND_BYTES => Ok(Self { bytes, tag: None, offload: Offload::default() }),
            _ => Err(FrameError::Long),
        }
    }

    /// A frame in an emptied buffer; the caller fills [`Frame::buffer`].
    #[must_use]
    pub fn in_buffer(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { bytes: buffer, tag: None, offload: Offload::default() }
    }

    /// Takes bytes as they stand on a wire: a tag leaves them and stands beside.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn fill_from_wire(&mut self, wire: &[u8]) -> Result<(), FrameError> {
        if wire.len() < HEADER_BYTES {
            return Err(FrameError::Short);
        }
        if wire.len() > LARGE_SEND_BYTES + TAG_BYTES {
            return Err(FrameError::Long);
        }
        self.bytes.clear();
        self.offload = Offload::default();
        self.tag = None;
        let tagged = wire[12..14] == TYPE_VLAN.to_be_bytes();
        if tagged && wire.len() >= HEADER_BYTES + TAG_BYTES {
            self.tag = Some(VlanTag::from_bits(u16::from_be_bytes([wire[14], wire[15]])));
            self.bytes.extend_from_slice(&wire[..12]);
            self.bytes.extend_from_slice(&wire[16..]);
        } else if tagged {
            return Err(FrameError::Short);
        } else {
            self.bytes.extend_from_slice(wire);
        }
        Ok(())
    }

    /// A new frame from bytes as they stand on a wire.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn from_wire(wire: &[u8]) -> Result<Self, FrameError> {
        let mut frame = Self::default();
        frame.fill_from_wire(wire)?;
        Ok(frame)
    }

    /// Appends the frame as it stands on a wire, with its tag, to `wire`.
    pub fn write_tagged(&self, wire: &mut Vec<u8>) {
        match self.tag {
            None => wire.extend_from_slice(&self.bytes),
            Some(tag) => {
                let (addresses, rest) = self.bytes.split_at(self.bytes.len().min(12));
                wire.extend_from_slice(addresses);
                wire.extend_from_slice(&TYPE_VLAN.to_be_bytes());
                wire.extend_from_slice(&tag.bits().to_be_bytes());
                wire.extend_from_slice(rest);
            }
        }
    }

    /// Makes this frame a copy of another one in the buffer that it has.
    pub fn copy_from(&mut self, other: &Self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&other.bytes);
        self.tag = other.tag;
        self.offload = other.offload;
    }

    /// Header and payload, without the tag.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer, to be filled. A frame that leaves its maker has at least a header.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Gives the buffer up, to be used again.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes on the wire without the checksum, with the tag.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.bytes.len() + if self.tag.is_some() { TAG_BYTES } else { 0 }
    }

    /// Station that the frame is for.
    #[must_use]
    pub fn destination(&self) -> EthernetAddress {
        self.address(0)
    }

    /// Station that sent it.
    #[must_use]
    pub fn source(&self) -> EthernetAddress {
        self.address(6)
    }

    fn address(&self, at: usize) -> EthernetAddress {
        let bytes = self.bytes.get(at..at + 6).and_then(|bytes| bytes.try_into().ok());
        EthernetAddress(bytes.unwrap_or_default())
    }

    /// Type of the payload; 0 where there is no whole header.
    #[must_use]
    pub fn ethernet_type(&self) -> u16 {
        self.bytes.get(12..14).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What follows the header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// VLAN of the frame where untagged frames, and those with only a priority, belong to `port_vlan`.
    #[must_use]
    pub fn vlan(&self, port_vlan: u16) -> u16 {
        match self.tag {
            Some(tag) if tag.id != 0 => tag.id,
            _ => port_vlan,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_beside_the_bytes_and_goes_back_among_them() {
        let mut wire = vec![0xFF; 6];
        wire.extend([2, 0, 0, 0, 0, 1, 0x81, 0x00, 0x6D, 0x7F, 0x08, 0x00, 1, 2, 3]);
        let frame = Frame::from_wire(&wire).expect("a frame");
        assert_eq!(frame.tag, Some(VlanTag { id: 3_455, priority: 3 }));
        assert_eq!(frame.ethernet_type(), 0x0800);
        assert_eq!(frame.payload(), [1, 2, 3]);
        assert_eq!((frame.wire_bytes(), frame.vlan(1)), (wire.len(), 3_455));
        let mut again = Vec::new();
        frame.write_tagged(&mut again);
        assert_eq!(again, wire);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(Frame::from_wire(&[0; 13]), Err(FrameError::Short));
        let mut cut = vec![0; 12];
        cut.extend([0x81, 0x00, 0x00, 0x01, 0x08]);
        assert_eq!(Frame::from_wire(&cut), Err(FrameError::Short));
        assert_eq!(Frame::from_wire(&vec![0; LARGE_SEND_BYTES + 5]), Err(FrameError::Long));
        assert_eq!(Frame::new(vec![0; 14]).map(|frame| frame.ethernet_type()), Ok(0));
    }
}
