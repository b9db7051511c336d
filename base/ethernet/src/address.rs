//! 48-bit addresses of stations.

use std::fmt;

/// An Ethernet address as it stands in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EthernetAddress(pub [u8; 6]);

impl EthernetAddress {
    /// All stations.
    pub const BROADCAST: Self = Self([0xFF; 6]);

    /// Whether the address means several stations, broadcast among them.
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether it is the address of all stations.
    #[must_use]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    /// Whether it is one of the addresses that bridges do not pass on (`01:80:c2:00:00:00` to `..0f`; IEEE 802.1Q, table
    /// of reserved addresses).
    #[must_use]
    pub fn is_reserved(self) -> bool {
        self.0[..5] == [0x01, 0x80, 0xC2, 0x00, 0x00] && self.0[5] < 0x10
    }
}

impl fmt::Display for EthernetAddress {
    /// Six pairs of lower-case hexadecimal digits with colons.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}
