//! Addresses of interfaces, routes and names: `mktcpip`, `rmtcpip`, `chtcpip`, `cfgnamesrv`, `hostmap`, `chdev` on an
//! interface.

use std::net::Ipv4Addr;
use std::sync::Arc;

use varan_contract::vios::{DeviceOutcome, DeviceSelector};
use varan_contract::vios_network::{AddressSetup, NetworkNames};
use varan_model::vios::{Device, DeviceKind, DeviceName, DeviceState, ViosMessage, ViosRefusal};

use super::super::device::set_attribute;
use super::super::server::set_hostname;
use super::{Draft, Refused, find, is_configured, refuse, users};
use crate::world::{Change, Snapshot};

/// Name servers that a resolver asks.
const NAME_SERVERS_MAX: usize = 3;
/// Domains that it searches.
const SEARCH_MAX: usize = 6;
/// Entries of the host table.
const HOSTS_MAX: usize = 1_000;
/// Routes besides the default one.
const ROUTES_MAX: usize = 100;
/// Largest packet over a device without jumbo frames.
const PLAIN_MTU: u32 = 1_500;
/// And over one with them.
const JUMBO_MTU: u32 = 9_000;

/// What `rmtcpip` removes besides addresses.
pub(super) struct Removal {
    pub(super) hostname: bool,
    pub(super) routing: bool,
    pub(super) names: bool,
}

/// Prefix length of an address by its class.
fn prefix_of(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

/// Prefix length of a mask: `255.255.255.0`, or `0xffffff00`.
fn prefix_of_mask(text: &str) -> Option<u8> {
    let bits = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => u32::from(text.parse::<Ipv4Addr>().ok()?),
    };
    (bits.leading_ones() == bits.count_ones()).then_some(u8::try_from(bits.count_ones()).unwrap_or(32))
}

fn is_host(address: Ipv4Addr, prefix: u8) -> bool {
    let usable = !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && !address.is_broadcast()
        && address.octets()[0] != 0
        && address.octets()[0] < 240;
    let host = u32::from(address) & !mask(prefix);
    usable && (1..=32).contains(&prefix) && (prefix > 30 || host != 0 && host != !mask(prefix))
}

/// Whether two addresses are in one network.
pub(super) fn same_network(one: Ipv4Addr, other: Ipv4Addr, prefix: u8) -> bool {
    (u32::from(one) ^ u32::from(other)) & mask(prefix) == 0
}

/// Address and prefix length of an interface.
pub(crate) fn address_of(interface: &Device) -> Option<(Ipv4Addr, u8)> {
    let address: Ipv4Addr = interface.attribute("netaddr")?.parse().ok()?;
    let prefix = interface.attribute("netmask").and_then(prefix_of_mask);
    Some((address, prefix.unwrap_or_else(|| prefix_of(address))))
}

fn interfaces(world: &Snapshot) -> Vec<Arc<Device>> {
    let mut found = Vec::new();
    for kind in [DeviceKind::EthernetInterface, DeviceKind::Ieee8023Interface] {
        let named = world.devices.from(&DeviceName::numbered(kind.prefix(), 0));
        let named = named.take_while(|(name, _)| name.parts().0 == kind.prefix());
        found.extend(named.map(|(_, device)| device).filter(|device| device.kind == kind).cloned());
    }
    found
}

fn interface(world: &Snapshot, name: &str) -> Result<Arc<Device>, ViosRefusal> {
    let unknown = || refuse(ViosMessage::InterfaceUnknown).with(name);
    let device = find(world, &DeviceSelector::Name(name.to_owned())).map_err(|_| unknown())?;
    match device.kind {
        DeviceKind::EthernetInterface | DeviceKind::Ieee8023Interface => Ok(device),
        _ => Err(unknown()),
    }
}

/// Whether a gateway is in the network of an interface.
fn is_reached(world: &Snapshot, gateway: Ipv4Addr) -> bool {
    interfaces(world).iter().any(|device| {
        let up = device.attribute("state") == Some("up");
        up && address_of(device).is_some_and(|(address, prefix)| same_network(gateway, address, prefix))
    })
}

/// Whether an interface, as a user wants it, may be.
pub(super) fn check_interface(draft: &Draft, before: &Device, next: &Device) -> Refused {
    let world = &draft.world;
    if !is_configured(next) {
        return Ok(());
    }
    let below = next.parent.as_ref().and_then(|name| world.devices.get(name));
    let below = below.ok_or_else(|| refuse(ViosMessage::InterfaceUnknown).with(&next.name))?;
    let text = next.attribute("netaddr").unwrap_or_default();
    if !text.is_empty() {
        let invalid = || refuse(ViosMessage::AddressInvalid).with(text);
        let mask = next.attribute("netmask").unwrap_or_default();
        if !mask.is_empty() && prefix_of_mask(mask).is_none() {
            return Err(refuse(ViosMessage::NetmaskInvalid).with(mask));
        }
        let (address, prefix) = address_of(next).ok_or_else(invalid)?;
        if !is_host(address, prefix) {
            return Err(invalid());
        }
        let all = interfaces(world);
        let other = all.iter().find(|other| {
            other.name != next.name && address_of(other).is_some_and(|(taken, _)| taken == address)
        });
        if let Some(other) = other {
            return Err(refuse(ViosMessage::AddressTaken).with(address).with(&other.name));
        }
    }
    let mtu: u32 = next.attribute("mtu").and_then(|text| text.parse().ok()).unwrap_or(PLAIN_MTU);
    if mtu > largest_packet(below) && next.attribute("mtu") != before.attribute("mtu") {
        return Err(refuse(ViosMessage::AttributeValueInvalid).with(&next.name).with("mtu"));
    }
    if is_configured(before) {
        return Ok(());
    }
    // It opens the device below it.
    if below.state != DeviceState::Available {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(&below.name));
    }
    let holder = users(world, &below.name)
        .into_iter()
        .find(|user| world.devices.get(user).is_some_and(|user| user.kind != DeviceKind::VlanDevice));
    match holder {
        Some(holder) => Err(refuse(ViosMessage::AdapterOwned).with(&below.name).with(holder)),
        None => Ok(()),
    }
}

fn largest_packet(below: &Device) -> u32 {
    let jumbo = match below.kind {
        DeviceKind::VirtualEthernetAdapter => return 65_390,
        DeviceKind::LinkAggregation => below.attribute("use_jumbo_frame"),
        DeviceKind::VlanDevice => Some("yes"),
        _ => below.attribute("jumbo_frames"),
    };
    if jumbo == Some("yes") { JUMBO_MTU } else { PLAIN_MTU }
}

/// An interface that is up is available; one without anything is defined.
pub(in crate::decide) fn settle_interface(interface: &mut Device) {
    if interface.attribute("state") == Some("detach") {
        for name in ["netaddr", "netmask"] {
            interface.attributes.remove(name);
        }
    }
    let available = is_configured(interface);
    interface.state = if available { DeviceState::Available } else { DeviceState::Defined };
}

/// The interface has no address any more, and is down.
pub(super) fn take_down(draft: &mut Draft, interface: &Device) {
    let mut next = interface.clone();
    next.attributes.clear();
    next.pending.clear();
    next.state = DeviceState::Defined;
    draft.put_device(next);
}

/// What an interface had, on the interface of another device.
pub(super) fn bring_up_on(draft: &mut Draft, from: &Device, below: &DeviceName) {
    let name = DeviceName::numbered(from.kind.prefix(), below.parts().1.unwrap_or(0));
    let Some(interface) = draft.world.devices.get(&name).cloned() else { return };
    let mut next = (*interface).clone();
    next.attributes.clone_from(&from.attributes);
    next.state = DeviceState::Available;
    draft.put_device(next);
    draft.outcome(&name, DeviceOutcome::Available);
}

pub(super) fn set_up(draft: &mut Draft, setup: &AddressSetup) -> Refused {
    let before = interface(&draft.world, &setup.interface)?;
    let prefix = setup.prefix.unwrap_or_else(|| prefix_of(setup.address));
    let mut next = (*before).clone();
    set_attribute(&mut next, "netaddr", setup.address.to_string());
    set_attribute(&mut next, "netmask", Ipv4Addr::from(mask(prefix)).to_string());
    set_attribute(&mut next, "state", "up".to_owned());
    check_interface(draft, &before, &next)?;
    settle_interface(&mut next);
    draft.put_device(next);
    let mut names = (*draft.world.names).clone();
    if let Some(name) = &setup.hostname {
        set_hostname(draft, name)?;
        put_host(&mut names, setup.address, std::slice::from_ref(name))?;
    }
    if let Some(gateway) = setup.gateway {
        if !is_reached(&draft.world, gateway) {
            return Err(refuse(ViosMessage::GatewayUnreachable).with(gateway));
        }
        names.gateway = Some(gateway);
    }
    if let Some((server, domain)) = &setup.name_server {
        check_name(domain)?;
        names.domain = Some(domain.clone());
        if !names.name_servers.contains(server) {
            names.name_servers.insert(0, *server);
            names.name_servers.truncate(NAME_SERVERS_MAX);
        }
    }
    put_names(draft, names);
    let internet = DeviceName::numbered(DeviceKind::Internet.prefix(), 0);
    if setup.hostname.is_some() || setup.gateway.is_some() {
        draft.outcome(&internet, DeviceOutcome::Changed);
    }
    draft.outcome(&before.name, DeviceOutcome::Changed);
    Ok(())
}

fn put_names(draft: &mut Draft, names: NetworkNames) {
    if names != *draft.world.names {
        draft.change(Change::Names(Box::new(names)));
    }
}

pub(super) fn remove(draft: &mut Draft, wanted: Option<&[String]>, besides: &Removal) -> Refused {
    let chosen: Vec<Arc<Device>> = match wanted {
        None => interfaces(&draft.world).into_iter().filter(|device| is_configured(device)).collect(),
        Some(names) => {
            let mut chosen = Vec::new();
            for name in names {
                let device = interface(&draft.world, name)?;
                if !is_configured(&device) {
                    return Err(refuse(ViosMessage::InterfaceNotConfigured).with(name));
                }
                chosen.push(device);
            }
            chosen
        }
    };
    for device in &chosen {
        take_down(draft, device);
        draft.outcome(&device.name, DeviceOutcome::Changed);
    }
    let mut names = (*draft.world.names).clone();
    if besides.routing {
        names.gateway = None;
        names.routes.clear();
    }
    if besides.names {
        names.name_servers.clear();
        names.domain = None;
        names.search.clear();
    }
    // A route over a network that is gone is gone.
    names.gateway = names.gateway.filter(|gateway| is_reached(&draft.world, *gateway));
    names.routes.retain(|(_, _, gateway)| is_reached(&draft.world, *gateway));
    put_names(draft, names);
    if besides.hostname {
        set_hostname(draft, "localhost")?;
    }
    Ok(())
}

/// How a route is shown in a refusal.
fn shown(destination: Ipv4Addr, prefix: u8) -> String {
    if prefix == 0 { "default".to_owned() } else { format!("{destination}/{prefix}") }
}

pub(super) fn change_routes(
    draft: &mut Draft,
    remove: &[(Ipv4Addr, u8, Ipv4Addr)],
    add: &[(Ipv4Addr, u8, Ipv4Addr)],
) -> Refused {
    let mut names = (*draft.world.names).clone();
    for route in remove {
        let (destination, prefix, gateway) = *route;
        let unknown = || refuse(ViosMessage::RouteUnknown).with(shown(destination, prefix)).with(gateway);
        if prefix == 0 {
            names.gateway.take_if(|present| *present == gateway).ok_or_else(unknown)?;
            continue;
        }
        let at = names.routes.iter().position(|present| present == route).ok_or_else(unknown)?;
        names.routes.remove(at);
    }
    for route in add {
        let (destination, prefix, gateway) = *route;
        let exists = || refuse(ViosMessage::RouteExists).with(shown(destination, prefix)).with(gateway);
        if !is_reached(&draft.world, gateway) {
            return Err(refuse(ViosMessage::GatewayUnreachable).with(gateway));
        }
        if prefix == 0 {
            if let Some(present) = names.gateway.replace(gateway) {
                return Err(refuse(ViosMessage::RouteExists).with("default").with(present));
            }
            continue;
        }
        if u32::from(destination) & !mask(prefix) != 0 {
            return Err(refuse(ViosMessage::AddressInvalid).with(shown(destination, prefix)));
        }
        if names.routes.iter().any(|(present, length, _)| (*present, *length) == (destination, prefix)) {
            return Err(exists());
        }
        if names.routes.len() >= ROUTES_MAX {
            return Err(refuse(ViosMessage::TooMany).with(ROUTES_MAX).with("routes"));
        }
        names.routes.push(*route);
    }
    put_names(draft, names);
    draft.outcome(&DeviceName::numbered(DeviceKind::Internet.prefix(), 0), DeviceOutcome::Changed);
    Ok(())
}

/// Whether a text is a host or domain name: labels of letters, digits and dashes.
fn check_name(name: &str) -> Refused {
    let label = |label: &str| {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(usual)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= 255 && name.split('.').all(label) {
        Ok(())
    } else {
        Err(refuse(ViosMessage::HostNameInvalid).with(name))
    }
}

pub(super) fn set_name_service(
    draft: &mut Draft,
    name_servers: &[Ipv4Addr],
    domain: Option<&str>,
    search: &[String],
) -> Refused {
    if name_servers.len() > NAME_SERVERS_MAX {
        return Err(refuse(ViosMessage::TooMany).with(NAME_SERVERS_MAX).with("name servers"));
    }
    if search.len() > SEARCH_MAX {
        return Err(refuse(ViosMessage::TooMany).with(SEARCH_MAX).with("search domains"));
    }
    domain.into_iter().chain(search.iter().map(String::as_str)).try_for_each(check_name)?;
    if let Some(address) = name_servers.iter().find(|address| !is_host(**address, 32)) {
        return Err(refuse(ViosMessage::AddressInvalid).with(address));
    }
    let names = NetworkNames {
        name_servers: name_servers.to_vec(),
        domain: domain.map(str::to_owned),
        search: search.to_vec(),
        ..(*draft.world.names).clone()
    };
    put_names(draft, names);
    Ok(())
}

fn put_host(names: &mut NetworkNames, address: Ipv4Addr, given: &[String]) -> Refused {
    given.iter().try_for_each(|name| check_name(name))?;
    if let Some((_, known)) = names.hosts.iter_mut().find(|(known, _)| *known == address) {
        for name in given {
            if !known.contains(name) {
                known.push(name.clone());
            }
        }
        return Ok(());
    }
    if names.hosts.len() >= HOSTS_MAX {
        return Err(refuse(ViosMessage::TooMany).with(HOSTS_MAX).with("host table entries"));
    }
    names.hosts.push((address, given.to_vec()));
    Ok(())
}

pub(super) fn add_host(draft: &mut Draft, address: Ipv4Addr, given: &[String]) -> Refused {
    if !is_host(address, 32) || given.is_empty() {
        return Err(refuse(ViosMessage::AddressInvalid).with(address));
    }
    let mut names = (*draft.world.names).clone();
    put_host(&mut names, address, given)?;
    put_names(draft, names);
    Ok(())
}

pub(super) fn remove_host(draft: &mut Draft, address: Ipv4Addr) -> Refused {
    let mut names = (*draft.world.names).clone();
    let before = names.hosts.len();
    names.hosts.retain(|(known, _)| *known != address);
    if names.hosts.len() == before {
        return Err(refuse(ViosMessage::HostUnknown).with(address));
    }
    put_names(draft, names);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_hosts() {
        for (mask, prefix) in [
            ("255.255.255.0", Some(24)),
            ("0xffffff00", Some(24)),
            ("255.255.240.0", Some(20)),
            ("0.0.0.0", Some(0)),
            ("255.255.255.255", Some(32)),
            ("255.0.255.0", None),
            ("24", None),
            ("0xfffffg00", None),
        ] {
            assert_eq!(prefix_of_mask(mask), prefix, "{mask}");
        }
        for (address, prefix, host) in [
            ("10.0.0.1", 24, true),
            ("10.0.0.0", 24, false),
            ("10.0.0.255", 24, false),
            ("10.0.0.0", 31, true),
            ("127.0.0.1", 8, false),
            ("224.0.0.1", 24, false),
            ("0.0.0.0", 24, false),
            ("10.0.0.1", 0, false),
            ("10.0.0.1", 33, false),
        ] {
            assert_eq!(is_host(address.parse().expect(address), prefix), host, "{address}/{prefix}");
        }
    }

    #[test]
    fn names_are_labels() {
        for name in ["vios1", "vios1.example.com", "a-b", "a_b", "1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "a..b", "-a", "a-", "a b", "a/b", &"a".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
