//! `seastat`: what a Shared Ethernet Adapter counts for each of its clients.

use std::net::IpAddr;

use varan_contract::network::ClientStatistics;
use varan_contract::vios::ViosChange;
use varan_contract::vios_network::{NetworkChange, NetworkNames, NetworkQuery};
use varan_model::vios::ViosMessage;

use super::super::ViosCommand;
use super::super::error::{Ended, refused};
use super::super::grammar::{Parsed, Takes, form};
use super::super::invocation::{ViosInvocation, by_name, confused};
use super::entstat::colons;
use super::{configuration, name_of, network};

pub(in super::super) static ACCOUNTING: ViosCommand = ViosCommand {
    name: "seastat",
    usage: "seastat -d SEAdevice [-n] [-s SearchCriterion=Value]
seastat -d SEAdevice -c",
    summary: "Displays statistics of the clients of a Shared Ethernet Adapter whose accounting attribute is enabled; with -c they begin anew. Clients are searched for by mac, vlan, priority, ip or hostname.",
    options: &[("d", Takes::One), ("c", Takes::Nothing), ("n", Takes::Nothing), ("s", Takes::One)],
    forms: &[form(&["d"], &[], &["n", "s"]), form(&["d", "c"], &[], &[])],
    changes: false,
    run: list,
};

fn list(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let device = parsed.get("d").ok_or_else(confused)?.to_owned();
    if parsed.has("c") {
        let change = NetworkChange::ResetAccounting(by_name(&device));
        return invocation.change_silently(ViosChange::Network(change));
    }
    let names = configuration(invocation)?;
    let mut clients = network!(invocation, NetworkQuery::Accounting(by_name(&device)), Accounting);
    if let Some(text) = parsed.get("s") {
        let wrong = || Ended::from(refused(ViosMessage::ArgumentInvalid, text));
        let (criterion, value) = text.split_once('=').ok_or_else(wrong)?;
        if !matches!(criterion, "mac" | "vlan" | "priority" | "ip" | "hostname") {
            return Err(wrong());
        }
        clients.retain(|client| fits(client, criterion, value, &names));
    }
    let rule = "=".repeat(80);
    writeln!(invocation.output, "\n{rule}\n\nAdvanced Statistics for SEA\nDevice Name: {device} \n\n{rule}")?;
    for client in &clients {
        let block = block(client, (!parsed.has("n")).then_some(&*names));
        writeln!(invocation.output, "{block}{rule}")?;
    }
    Ok(0)
}

fn name(client: &ClientStatistics, names: &NetworkNames) -> Option<String> {
    match client.address {
        Some(IpAddr::V4(address)) => name_of(names, address).map(str::to_owned),
        _ => None,
    }
}

fn fits(client: &ClientStatistics, criterion: &str, value: &str, names: &NetworkNames) -> bool {
    match criterion {
        "mac" => colons(client.mac_address).eq_ignore_ascii_case(value),
        "vlan" => client.vlan.is_some_and(|vlan| vlan.to_string() == value),
        "priority" => client.priority.to_string() == value,
        "ip" => client.address.is_some_and(|address| address.to_string() == value),
        _ => name(client, names).is_some_and(|name| name.eq_ignore_ascii_case(value)),
    }
}

fn block(client: &ClientStatistics, names: Option<&NetworkNames>) -> String {
    let mac = format!("MAC: {}", colons(client.mac_address).to_uppercase());
    let mut text = format!("{mac}\n{}\n\n", "-".repeat(mac.len()));
    let vlan = client.vlan.map_or("None".to_owned(), |vlan| vlan.to_string());
    text.push_str(&format!("VLAN: {vlan}\nVLAN Priority: {}\n", client.priority));
    if let Some(name) = names.and_then(|names| name(client, names)) {
        text.push_str(&format!("Hostname: {name}\n"));
    }
    if let Some(address) = client.address {
        text.push_str(&format!("IP: {address}\n"));
    }
    text.push_str(&format!("\n{:<39}Receive Statistics:\n", "Transmit Statistics:"));
    text.push_str(&format!("{:<39}-------------------\n", "--------------------"));
    let (sent, received) = (client.transmitted, client.received);
    for (label, sent, received) in [("Packets", sent.0, received.0), ("Bytes", sent.1, received.1)] {
        let (left, right) = (format!("{label}: {sent}"), format!("{label}: {received}"));
        text.push_str(&format!("{left:<39}{right:<39}\n"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use varan_model::ids::MacAddress;

    use super::*;

    #[test]
    fn blocks_are_as_captured() {
        let client = ClientStatistics {
            mac_address: MacAddress(0x5A0E_E6D2_E2C2),
            vlan: Some(706),
            priority: 0,
            address: Some("10.29.12.13".parse().expect("address")),
            transmitted: (19, 2_845),
            received: (20, 2_869),
        };
        let hosts = vec![("10.29.12.13".parse().expect("address"), vec!["frodo-g.dominio.com".to_owned()])];
        let names = NetworkNames { hosts, ..NetworkNames::default() };
        let expected = "MAC: 5A:0E:E6:D2:E2:C2\n----------------------\n\nVLAN: 706\nVLAN Priority: 0\n\
            Hostname: frodo-g.dominio.com\nIP: 10.29.12.13\n\n\
            Transmit Statistics:                   Receive Statistics:\n\
            --------------------                   -------------------\n\
            Packets: 19                            Packets: 20                            \n\
            Bytes: 2845                            Bytes: 2869                            \n\n";
        assert_eq!(block(&client, Some(&names)), expected);
    }
}
