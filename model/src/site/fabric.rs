//! Switches, their cables, and hosts outside the managed systems.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::checks::{Checks, NameSpace};
use super::console::check_host_name;
use super::error::{SiteError, SiteProblem};
use super::identifiers::LocationCode;
use super::reader::{Located, Place, TableReader};

/// Most ports of one switch.
pub const SWITCH_PORTS_MAX: usize = 1_024;
/// Largest VLAN ID that IEEE 802.1Q leaves for use.
pub const VLAN_ID_MAX: u32 = 4_094;

/// An Ethernet or Fibre Channel switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Name, unique in the site.
    pub name: String,
    /// Its ports.
    pub ports: Vec<SwitchPort>,
}

/// A port of a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchPort {
    /// Name, unique in the switch.
    pub name: String,
    /// What the other end of the cable is plugged into; `None` for no cable.
    pub peer: Option<CableEnd>,
    /// VLAN of untagged frames.
    pub native_vlan: u16,
    /// VLANs that pass tagged; a port with any is a trunk.
    pub tagged_vlans: Vec<u16>,
    /// TCP and UDP ports to which the switch lets nothing through here: a firewall.
    pub blocked_ports: Vec<u16>,
}

/// The far end of a cable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CableEnd {
    /// A port of an adapter, by its location code.
    AdapterPort(LocationCode),
    /// A host outside, by its name.
    OutsideHost(String),
    /// A port of another switch.
    SwitchPort {
        /// The switch's name.
        switch: String,
        /// The port's name.
        port: String,
    },
    /// A console, by its name.
    Console(String),
    /// A TAP device of the host that runs Varan, by its name.
    Tap(String),
    /// A program of that host that connects to a socket, by the socket's name in `run` of the data directory.
    Socket(String),
    /// The hypervisor of a managed system without Virtual I/O Servers, by the system's name. No file says it.
    Hypervisor(String),
}

/// A host outside the managed systems: a router, an installation server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideHost {
    /// Name, unique in the site.
    pub name: String,
    /// Its address.
    pub ip_address: Ipv4Addr,
    /// Bits of the address that name its network.
    pub prefix_length: u8,
    /// Further addresses: tagged VLAN, address, prefix length.
    pub vlan_addresses: Vec<(u16, Ipv4Addr, u8)>,
    /// It passes packets on between its networks.
    pub router: bool,
}

/// A switch port that stands in a site without switches: every VLAN passes.
#[must_use]
pub fn all_vlans() -> Vec<u16> {
    (2..=VLAN_ID_MAX as u16).collect()
}

pub(super) fn read_outside_host(
    mut table: TableReader<'_>,
    checks: &mut Checks<'_>,
) -> Result<OutsideHost, SiteError> {
    let name = table.required_string("name")?;
    check_host_name(&name, "host name", checks)?;
    checks.claim(NameSpace::OutsideHost, "", &name.value, &name.place)?;
    let address = read_ip_address(&mut table, "ip_address", checks)?;
    let address = address.ok_or_else(|| table.error_of_key("ip_address", SiteProblem::MissingKey))?;
    checks.claim(NameSpace::IpAddress, "", &address.value.to_string(), &address.place)?;
    let prefix_length = table.integer_or("prefix_length", (1, 30), 24)? as u8;
    let router = table.boolean_or("router", false)?;
    let mut vlan_addresses = Vec::new();
    for mut interface in table.tables("vlan_address", "vlan")? {
        let vlan = interface.required_integer("vlan", 1, VLAN_ID_MAX)?.value as u16;
        let address = read_ip_address(&mut interface, "ip_address", checks)?;
        let address = address.ok_or_else(|| interface.error_of_key("ip_address", SiteProblem::MissingKey))?;
        checks.claim(NameSpace::IpAddress, "", &address.value.to_string(), &address.place)?;
        let prefix = interface.integer_or("prefix_length", (1, 30), 24)? as u8;
        interface.finish()?;
        vlan_addresses.push((vlan, address.value, prefix));
    }
    table.finish()?;
    let ip_address = address.value;
    Ok(OutsideHost { name: name.value, ip_address, prefix_length, vlan_addresses, router })
}

/// Reads an IPv4 address that a host can have.
pub(super) fn read_ip_address(
    table: &mut TableReader<'_>,
    key: &str,
    checks: &Checks<'_>,
) -> Result<Option<Located<Ipv4Addr>>, SiteError> {
    let Some(text) = table.string(key)? else { return Ok(None) };
    match text.value.parse::<Ipv4Addr>() {
        Ok(value) if !value.is_unspecified() && !value.is_multicast() && !value.is_broadcast() => {
            Ok(Some(Located { value, place: text.place }))
        }
        _ => {
            let problem = SiteProblem::Malformed { kind: "IPv4 host address", text: text.value };
            Err(checks.error(&text.place, problem))
        }
    }
}

pub(super) fn read_switch(mut table: TableReader<'_>, checks: &mut Checks<'_>) -> Result<Switch, SiteError> {
    let name = table.required_string("name")?;
    check_host_name(&name, "switch name", checks)?;
    checks.claim(NameSpace::Switch, "", &name.value, &name.place)?;
    let tables = table.tables("port", "name")?;
    if tables.len() > SWITCH_PORTS_MAX {
        let problem = SiteProblem::TooMuch { what: "ports on one switch", limit: SWITCH_PORTS_MAX };
        return Err(table.error_of_key("port", problem));
    }
    let mut ports = Vec::new();
    for port in tables {
        ports.push(read_port(port, &name.value, checks)?);
    }
    table.finish()?;
    Ok(Switch { name: name.value, ports })
}

fn read_port(
    mut table: TableReader<'_>,
    switch: &str,
    checks: &mut Checks<'_>,
) -> Result<SwitchPort, SiteError> {
    let name = table.required_string("name")?;
    check_host_name(&name, "port name", checks)?;
    let own_end = end_of_switch_port(switch, &name.value);
    checks.claim(NameSpace::SwitchPort, "", &own_end, &name.place)?;
    let peer = read_peer(&mut table, checks)?;
    if let Some((_, place)) = &peer {
        // A cable occupies both its ends, so that neither a port nor an adapter has two.
        checks.claim(NameSpace::CableEnd, "", &own_end, place)?;
    }
    let native_vlan = table.integer_or("native_vlan", (1, VLAN_ID_MAX), 1)?;
    let tagged = table.integers("tagged_vlans", 1, VLAN_ID_MAX)?;
    let mut tagged_vlans: Vec<u16> = Vec::with_capacity(tagged.len());
    for vlan in tagged {
        // The range above fits 16 bits.
        let number = vlan.value as u16;
        if tagged_vlans.contains(&number) {
            let problem = SiteProblem::Conflict(format!("VLAN {number} is given twice"));
            return Err(checks.error(&vlan.place, problem));
        }
        tagged_vlans.push(number);
    }
    let blocked = table.integers("blocked_ports", 1, 65_535)?;
    // The range fits 16 bits.
    let blocked_ports = blocked.into_iter().map(|port| port.value as u16).collect();
    table.finish()?;
    let peer = peer.map(|(peer, _)| peer);
    let native_vlan = native_vlan as u16;
    Ok(SwitchPort { name: name.value, peer, native_vlan, tagged_vlans, blocked_ports })
}

/// How a switch port is written where a cable names it: `switch-a:1`.
fn end_of_switch_port(switch: &str, port: &str) -> String {
    format!("{switch}:{port}")
}

fn read_peer(
    table: &mut TableReader<'_>,
    checks: &mut Checks<'_>,
) -> Result<Option<(CableEnd, Place)>, SiteError> {
    let mut peers: Vec<(CableEnd, Place)> = Vec::new();
    if let Some(port) = table.parsed::<LocationCode>("adapter_port")? {
        let text = port.value.to_string();
        checks.refer(NameSpace::AdapterPort, "", &text, &port.place);
        checks.claim(NameSpace::CableEnd, "", &text, &port.place)?;
        peers.push((CableEnd::AdapterPort(port.value), port.place));
    }
    if let Some(host) = table.string("outside_host")? {
        checks.refer(NameSpace::OutsideHost, "", &host.value, &host.place);
        checks.claim(NameSpace::CableEnd, "host", &host.value, &host.place)?;
        peers.push((CableEnd::OutsideHost(host.value), host.place));
    }
    if let Some(port) = table.string("switch_port")? {
        let Some((switch, name)) = port.value.split_once(':') else {
            let problem = SiteProblem::Malformed { kind: "switch port (`switch:port`)", text: port.value };
            return Err(checks.error(&port.place, problem));
        };
        checks.refer(NameSpace::SwitchPort, "", &port.value, &port.place);
        checks.claim(NameSpace::CableEnd, "", &port.value, &port.place)?;
        let end = CableEnd::SwitchPort { switch: switch.to_owned(), port: name.to_owned() };
        peers.push((end, port.place));
    }
    if let Some(console) = table.string("console")? {
        checks.refer(NameSpace::Console, "", &console.value, &console.place);
        checks.claim(NameSpace::CableEnd, "console", &console.value, &console.place)?;
        peers.push((CableEnd::Console(console.value), console.place));
    }
    if let Some(device) = table.string("tap")? {
        // The kernel's names of devices have at most 15 characters.
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if device.value.is_empty() || device.value.len() > 15 || !device.value.bytes().all(usable) {
            let problem = SiteProblem::Malformed { kind: "name of a TAP device", text: device.value };
            return Err(checks.error(&device.place, problem));
        }
        checks.claim(NameSpace::CableEnd, "tap", &device.value, &device.place)?;
        peers.push((CableEnd::Tap(device.value), device.place));
    }
    if let Some(socket) = table.string("socket")? {
        check_host_name(&socket, "socket name", checks)?;
        checks.claim(NameSpace::CableEnd, "socket", &socket.value, &socket.place)?;
        peers.push((CableEnd::Socket(socket.value), socket.place));
    }
    if let [_, (_, second), ..] = peers.as_slice() {
        let problem = SiteProblem::Conflict("a port has one cable".to_owned());
        return Err(checks.error(second, problem));
    }
    Ok(peers.pop())
}
