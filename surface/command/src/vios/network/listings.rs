//! `lstcpip`.

use std::net::Ipv4Addr;

use varan_contract::vios::DeviceQuery;
use varan_contract::vios_network::{InterfaceState, NetworkQuery};
use varan_model::vios::{DeviceState, ViosMessage};

use super::super::ViosCommand;
use super::super::error::{Ended, refused};
use super::super::grammar::{Parsed, Takes, form};
use super::super::invocation::ViosInvocation;
use super::super::listing::{delimiter, fitted, joined};
use super::entstat::colons;
use super::traffic::{self, sockets};
use super::{configuration, mask, names, network};

pub(in super::super) static LIST: ViosCommand = ViosCommand {
    name: "lstcpip",
    usage: "lstcpip [-num] [-routtable] [-routinfo] [-state] [-arp]
lstcpip -stats
lstcpip -sockets [-family {inet | inet6 | unix}]
lstcpip -stored
lstcpip -adapters
lstcpip -interfaces [-fmt Delimiter]
lstcpip -hostname
lstcpip -namesrv",
    summary: "Displays the TCP/IP settings and parameters of the Virtual I/O Server. With -num addresses are not shown by their names.",
    options: &[
        ("num", Takes::Nothing),
        ("routtable", Takes::Nothing),
        ("routinfo", Takes::Nothing),
        ("state", Takes::Nothing),
        ("arp", Takes::Nothing),
        ("stats", Takes::Nothing),
        ("sockets", Takes::Nothing),
        ("family", Takes::One),
        ("stored", Takes::Nothing),
        ("adapters", Takes::Nothing),
        ("interfaces", Takes::Nothing),
        ("fmt", Takes::One),
        ("hostname", Takes::Nothing),
        ("namesrv", Takes::Nothing),
    ],
    forms: &[
        form(&[], &[], &["num"]),
        form(&["routtable"], &[], &["num"]),
        form(&["routinfo"], &[], &["num"]),
        form(&["state"], &[], &["num"]),
        form(&["arp"], &[], &["num"]),
        form(&["stats"], &[], &[]),
        form(&["sockets"], &[], &["family", "num"]),
        form(&["stored"], &[], &[]),
        form(&["adapters"], &[], &[]),
        form(&["interfaces"], &[], &["fmt"]),
        form(&["hostname"], &[], &[]),
        form(&["namesrv"], &[], &[]),
    ],
    changes: false,
    run: list,
};

fn list(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let numbers = parsed.has("num");
    let has = |option: &str| parsed.has(option);
    if has("routtable") || has("routinfo") {
        traffic::routes(invocation, numbers)
    } else if has("arp") {
        traffic::arp(invocation, numbers)
    } else if has("stats") {
        traffic::protocols(invocation)
    } else if has("sockets") {
        sockets(invocation)
    } else if has("stored") {
        stored(invocation)
    } else if has("adapters") {
        adapters(invocation)
    } else if has("interfaces") {
        interfaces(invocation, parsed)
    } else if has("hostname") {
        let name = invocation.identity()?.hostname;
        writeln!(invocation.output, "{name}")?;
        Ok(0)
    } else if has("namesrv") {
        let configured = configuration(invocation)?;
        names::show(invocation, &configured)
    } else if has("state") || numbers {
        traffic::states(invocation, numbers)
    } else {
        Err(refused(ViosMessage::OptionMissing, "-state -routtable -interfaces -stored").into())
    }
}

fn dotted(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from(mask(prefix))
}

fn shown(interface: &InterfaceState) -> Vec<String> {
    let (address, netmask) = match interface.address {
        Some((address, prefix)) => (address.to_string(), dotted(prefix).to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let state = if interface.state == "detach" { "detached" } else { interface.state.as_str() };
    let mac = interface.mac_address.map_or_else(|| "-".to_owned(), colons);
    vec![interface.name.to_string(), address, netmask, state.to_owned(), mac]
}

/// Three lines of heading, then a line for each interface: name, address, mask, state, MAC address.
fn interfaces(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let all = network!(invocation, NetworkQuery::Interfaces, Interfaces);
    let rows: Vec<Vec<String>> = all.iter().filter(|one| one.device.is_some()).map(shown).collect();
    if let Some(delimiter) = delimiter(parsed)? {
        for row in rows {
            writeln!(invocation.output, "{}", joined(row, &delimiter))?;
        }
        return Ok(0);
    }
    let heading = ["Name", "Address", "Netmask", "State", "MAC"].map(str::to_owned).to_vec();
    let mut table = vec![heading];
    table.extend(rows);
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let dashes = (0..5).map(|column| "-".repeat(width(column))).collect();
    table.insert(1, dashes);
    writeln!(invocation.output)?;
    for line in fitted(&table) {
        writeln!(invocation.output, "{line}")?;
    }
    Ok(0)
}

fn adapters(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let devices = invocation.devices(DeviceQuery::All)?;
    let mut table = vec![["Adapter", "Status", "Description"].map(str::to_owned).to_vec()];
    for device in devices.iter().filter(|device| device.kind.is_ethernet()) {
        let state: DeviceState = device.state;
        let row = [device.name.to_string(), state.word().to_owned(), device.description().to_owned()];
        table.push(row.to_vec());
    }
    for line in fitted(&table) {
        writeln!(invocation.output, "{line}")?;
    }
    Ok(0)
}

/// What is configured, a paragraph for each thing.
fn stored(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let hostname = invocation.identity()?.hostname;
    let configured = configuration(invocation)?;
    let all = network!(invocation, NetworkQuery::Interfaces, Interfaces);
    writeln!(invocation.output, "System Host Name\n    Hostname = {hostname}\n")?;
    for interface in all.iter().filter(|one| one.device.is_some()) {
        writeln!(invocation.output, "Network Interface\n    Interface = {}", interface.name)?;
        if let Some((address, prefix)) = interface.address {
            writeln!(invocation.output, "    Address = {address}\n    Netmask = {}", dotted(prefix))?;
        }
        writeln!(invocation.output, "    State = {}\n", interface.state)?;
    }
    let default = configured.gateway.map(|gateway| (Ipv4Addr::UNSPECIFIED, 0, gateway));
    for (destination, prefix, gateway) in default.into_iter().chain(configured.routes.iter().copied()) {
        let network = if prefix == 0 { "default".to_owned() } else { format!("{destination}/{prefix}") };
        writeln!(invocation.output, "Static Route\n    Network = {network}\n    Gateway = {gateway}\n")?;
    }
    if !configured.name_servers.is_empty() || configured.domain.is_some() {
        writeln!(invocation.output, "Domain Name Service")?;
        for server in &configured.name_servers {
            writeln!(invocation.output, "    Name Server = {server}")?;
        }
        if let Some(domain) = &configured.domain {
            writeln!(invocation.output, "    Domain Name = {domain}")?;
        }
        writeln!(invocation.output)?;
    }
    Ok(0)
}
