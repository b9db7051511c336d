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
}

/// A host outside the managed systems: a router, an installation server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideHost {
    /// Name, unique in the site.
    pub name: String,
    /// Its address.
    pub ip_address: Ipv4Addr,
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
    table.finish()?;
    Ok(OutsideHost { name: name.value, ip_address: address.value })
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
    table.finish()?;
    let peer = peer.map(|(peer, _)| peer);
    Ok(SwitchPort { name: name.value, peer, native_vlan: native_vlan as u16, tagged_vlans })
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
    if let [_, (_, second), ..] = peers.as_slice() {
        let problem = SiteProblem::Conflict("a port has one cable".to_owned());
        return Err(checks.error(second, problem));
    }
    Ok(peers.pop())
}
