//! Ethernet frames: buffers that are used again, an 802.1Q tag beside the bytes, and views of the headers.
//!
//! A frame's first 802.1Q tag is not among its bytes while the frame travels inside a process: it stands beside them, so
//! that a switch which adds, takes or changes a tag moves no byte. Where frames leave or enter (TAP devices, sockets,
//! capture files) [`Frame::write_tagged`] and [`Frame::from_wire`] put it back and take it out. Further tags (Q-in-Q) stay
//! in the bytes.

mod address;
mod complete;
mod frame;
mod pool;

pub use address::EthernetAddress;
pub use frame::{Frame, FrameError, Offload, VlanTag};
pub use pool::FramePool;

/// Bytes of an Ethernet header: destination, source, type.
pub const HEADER_BYTES: usize = 14;
/// Bytes of an 802.1Q tag.
pub const TAG_BYTES: usize = 4;
/// Most bytes of a frame on a wire without its checksum: header and a payload of 9,000 bytes (jumbo frames).
pub const JUMBO_FRAME_BYTES: usize = HEADER_BYTES + 9_000;
/// Most bytes of a frame that is still to be cut into segments: header and the largest IP packet.
pub const LARGE_SEND_BYTES: usize = HEADER_BYTES + 65_535;
/// Type field of an 802.1Q tag.
pub const TYPE_VLAN: u16 = 0x8100;
/// Type field of IPv4.
pub const TYPE_IPV4: u16 = 0x0800;
/// Type field of ARP.
pub const TYPE_ARP: u16 = 0x0806;
/// Type field of IPv6.
pub const TYPE_IPV6: u16 = 0x86DD;
/// Type field of RARP.
pub const TYPE_RARP: u16 = 0x8035;
