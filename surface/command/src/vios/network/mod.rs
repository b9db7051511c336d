//! The network of a server: Shared Ethernet Adapters, aggregations, VLANs, virtual NICs, TCP/IP.

mod addresses;
mod devices;
mod entstat;
mod listings;
mod maps;
mod names;
mod seastat;
mod traffic;
mod vnicstat;

pub(super) use addresses::{CHANGE, MAKE, REMOVE};
pub(super) use devices::{LINKS, make, remove};
pub(super) use entstat::{STATISTICS, show as statistics};
pub(super) use listings::LIST;
pub(super) use maps::{networks, virtual_nics};
pub(super) use names::{HOSTS, NAME_SERVICE};
pub(super) use seastat::ACCOUNTING;
pub(super) use traffic::{NETSTAT, PING, arp, interfaces as ifconfig, netstat, ping};
pub(super) use vnicstat::run as vnic_statistics;

/// Takes the answer of a network question, or says that the server answered something else.
macro_rules! network {
    ($invocation:expr, $query:expr, $kind:ident) => {
        match $invocation.ask(::varan_contract::vios::ViosQuery::Network($query))? {
            ::varan_contract::vios::ViosAnswer::Network(
                ::varan_contract::vios_network::NetworkAnswer::$kind(answer),
            ) => answer,
            _ => return Err($crate::vios::invocation::confused()),
        }
    };
}
use network;

use std::net::Ipv4Addr;

use varan_contract::vios_network::{NetworkNames, NetworkQuery};
use varan_model::vios::ViosMessage;

use super::error::{Ended, refused};
use super::invocation::ViosInvocation;

/// An address as a user wrote it.
fn address(text: &str) -> Result<Ipv4Addr, Ended> {
    text.parse().map_err(|_| refused(ViosMessage::AddressInvalid, text).into())
}

/// Prefix length of a mask: `255.255.255.0` or `0xffffff00`.
fn prefix(text: &str) -> Result<u8, Ended> {
    let bits = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse::<Ipv4Addr>().ok().map(u32::from),
    };
    let bits = bits.filter(|bits| bits.leading_ones() == bits.count_ones());
    bits.and_then(|bits| u8::try_from(bits.count_ones()).ok())
        .ok_or_else(|| refused(ViosMessage::NetmaskInvalid, text).into())
}

/// Mask of a prefix length.
fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

fn configuration(invocation: &ViosInvocation<'_>) -> Result<Box<NetworkNames>, Ended> {
    Ok(network!(invocation, NetworkQuery::Configuration, Configuration))
}

/// The address that a user means: an address, or a name of the host table.
fn resolve(invocation: &ViosInvocation<'_>, text: &str) -> Result<Option<Ipv4Addr>, Ended> {
    if let Ok(address) = text.parse() {
        return Ok(Some(address));
    }
    if matches!(text, "loopback" | "localhost") {
        return Ok(Some(Ipv4Addr::LOCALHOST));
    }
    let names = configuration(invocation)?;
    let same = |name: &String| name.eq_ignore_ascii_case(text);
    Ok(names.hosts.iter().find(|(_, names)| names.iter().any(same)).map(|(address, _)| *address))
}

/// The name that the host table has for an address.
fn name_of(names: &NetworkNames, address: Ipv4Addr) -> Option<&str> {
    if address.is_loopback() {
        return Some("loopback");
    }
    let found = names.hosts.iter().find(|(known, _)| *known == address)?;
    found.1.first().map(String::as_str)
}
