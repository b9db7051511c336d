//! Addresses with their networks, interfaces and routes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use varan_ethernet::EthernetAddress;

/// An interface of a station, in the order in which they were added; a number is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u16);

/// An address, or a network, with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// Address.
    pub address: IpAddr,
    /// Bits of it that name the network.
    pub length: u8,
}

impl Prefix {
    /// An address in a network.
    #[must_use]
    pub fn new(address: impl Into<IpAddr>, length: u8) -> Self {
        let address = address.into();
        Self { address, length: length.min(if address.is_ipv4() { 32 } else { 128 }) }
    }

    /// Everything of IPv4: the destination of a default route.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(Ipv4Addr::UNSPECIFIED, 0)
    }

    /// Whether an address belongs to the network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = mask_bits(self.length);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }

    /// The mask of an IPv4 network.
    #[must_use]
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask_bits(self.length))
    }

    /// Address of the network itself.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & mask_bits(self.length)).into(),
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }

    /// Broadcast address of an IPv4 network that has one.
    #[must_use]
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) if self.length < 31 => {
                Some(Ipv4Addr::from_bits(address.to_bits() | !mask_bits(self.length)))
            }
            _ => None,
        }
    }
}

fn mask_bits(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0)
}

/// Length of the prefix that a mask stands for; `None` for a mask with holes.
#[must_use]
pub fn prefix_of_mask(mask: Ipv4Addr) -> Option<u8> {
    let ones = mask.to_bits().leading_ones();
    (mask.to_bits() == mask_bits(u8::try_from(ones).ok()?)).then(|| u8::try_from(ones).ok())?
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = ();

    /// `address/length`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = text.split_once('/').ok_or(())?;
        let (address, length): (IpAddr, u8) = (address.parse().map_err(drop)?, length.parse().map_err(drop)?);
        if length > if address.is_ipv4() { 32 } else { 128 } {
            return Err(());
        }
        Ok(Self { address, length })
    }
}

/// A way to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Network.
    pub destination: Prefix,
    /// Station that passes packets on; `None` for a network that the interface itself is in.
    pub gateway: Option<IpAddr>,
    /// Interface; `None` for the one that reaches the gateway.
    pub interface: Option<InterfaceId>,
}

/// The link-local IPv6 address of an Ethernet address (RFC 4291, appendix A: modified EUI-64).
#[must_use]
pub fn link_local(address: EthernetAddress) -> Ipv6Addr {
    let [a, b, c, d, e, f] = address.0;
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xFE80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xFF), pair(0xFE, d), pair(e, f))
}

/// The multicast address at which the owner of an address is asked for (RFC 4291, 2.7.1).
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 1, 0xFF00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// The Ethernet address of a multicast group.
#[must_use]
pub fn multicast_address(group: IpAddr) -> EthernetAddress {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            EthernetAddress([0x01, 0x00, 0x5E, b & 0x7F, c, d])
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            EthernetAddress([0x33, 0x33, a, b, c, d])
        }
    }
}

/// Whether an address is a link-local IPv6 address.
#[must_use]
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments()[0] & 0xFFC0 == 0xFE80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_local_address_is_that_of_the_novalink_listing() {
        let address = link_local(EthernetAddress([0xC2, 0x32, 0x52, 0x34, 0x6E, 0x4F]));
        assert_eq!(address.to_string(), "fe80::c032:52ff:fe34:6e4f");
        assert_eq!(
            link_local(EthernetAddress([0xB6, 0xF8, 0x37, 0x19, 0x2E, 0x63])).to_string(),
            "fe80::b4f8:37ff:fe19:2e63"
        );
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff34:6e4f");
        assert_eq!(multicast_address(solicited_node(address).into()).to_string(), "33:33:ff:34:6e:4f");
    }

    #[test]
    fn prefixes() {
        let prefix = Prefix::new(Ipv4Addr::new(10, 1, 2, 3), 22);
        assert_eq!(prefix.mask().to_string(), "255.255.252.0");
        assert_eq!(prefix.network().to_string(), "10.1.0.0");
        assert_eq!(prefix.broadcast().expect("one").to_string(), "10.1.3.255");
        assert!(prefix.contains("10.1.3.9".parse().expect("address")));
        assert!(!prefix.contains("10.1.4.9".parse().expect("address")));
        assert!(Prefix::everything().contains("1.2.3.4".parse().expect("address")));
        assert_eq!(prefix_of_mask(Ipv4Addr::new(255, 255, 252, 0)), Some(22));
        assert_eq!(prefix_of_mask(Ipv4Addr::new(255, 0, 255, 0)), None);
        assert_eq!("10.0.0.0/33".parse::<Prefix>(), Err(()));
    }
}
