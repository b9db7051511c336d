//! `mktcpip`, `chtcpip`, `rmtcpip`.

use std::net::Ipv4Addr;

use varan_contract::vios::ViosChange;
use varan_contract::vios_network::{AddressSetup, NetworkChange};
use varan_model::vios::ViosMessage;

use super::super::ViosCommand;
use super::super::error::{Ended, refused};
use super::super::grammar::{Parsed, Takes, form};
use super::super::invocation::{ViosInvocation, by_name, confused};
use super::{address, prefix};

pub(in super::super) static MAKE: ViosCommand = ViosCommand {
    name: "mktcpip",
    usage: "mktcpip -hostname HostName -inetaddr Address -interface Interface
             [-start] [-netmask SubnetMask] [-cabletype {dix | bnc | N/A}]
             [-gateway Gateway] [-nsrvaddr NameServerAddress -nsrvdomain Domain]
mktcpip -auto [-interface Interface]
mktcpip -plen PrefixLength -inetaddr Address -interface Interface",
    summary: "Sets the values that TCP/IP on the Virtual I/O Server needs.",
    options: &[
        ("hostname", Takes::One),
        ("inetaddr", Takes::One),
        ("interface", Takes::One),
        ("start", Takes::Nothing),
        ("netmask", Takes::One),
        ("cabletype", Takes::One),
        ("gateway", Takes::One),
        ("nsrvaddr", Takes::One),
        ("nsrvdomain", Takes::One),
        ("auto", Takes::Nothing),
        ("plen", Takes::One),
    ],
    forms: &[
        form(
            &[],
            &[&["hostname"], &["inetaddr"], &["interface"]],
            &["start", "netmask", "cabletype", "gateway", "nsrvaddr", "nsrvdomain"],
        ),
        form(&["auto"], &[], &["interface"]),
        form(&["plen"], &[&["inetaddr"], &["interface"]], &[]),
    ],
    changes: true,
    run: make,
};

fn make(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    for later in ["auto", "plen"] {
        if parsed.has(later) {
            return Err(refused(ViosMessage::NotSupported, format!("mktcpip -{later}")).into());
        }
    }
    let cable = parsed.get("cabletype");
    if let Some(wrong) = cable.filter(|cable| !matches!(*cable, "dix" | "bnc" | "N/A")) {
        return Err(refused(ViosMessage::ArgumentInvalid, wrong).into());
    }
    let name_server = match (parsed.get("nsrvaddr"), parsed.get("nsrvdomain")) {
        (Some(server), Some(domain)) => Some((address(server)?, domain.to_owned())),
        (None, None) => None,
        (Some(_), None) => return Err(refused(ViosMessage::OptionMissing, "-nsrvdomain").into()),
        (None, Some(_)) => return Err(refused(ViosMessage::OptionMissing, "-nsrvaddr").into()),
    };
    let interface = parsed.get("interface").unwrap_or_default().to_owned();
    let setup = AddressSetup {
        hostname: parsed.get("hostname").map(str::to_owned),
        interface: interface.clone(),
        address: address(parsed.get("inetaddr").unwrap_or_default())?,
        prefix: parsed.get("netmask").map(prefix).transpose()?,
        gateway: parsed.get("gateway").map(address).transpose()?,
        name_server,
    };
    let done = invocation.change(ViosChange::Network(NetworkChange::Address(setup)))?;
    writeln!(invocation.output, "{interface}")?;
    invocation.print_done(&done)?;
    Ok(0)
}

pub(in super::super) static CHANGE: ViosCommand = ViosCommand {
    name: "chtcpip",
    usage: "chtcpip -interface Interface [-inetaddr Address] [-netmask SubnetMask]
             [-state {up | down}]
chtcpip -gateway [-interface Interface] [-add Gateway] [-remove Gateway]
             [-network Network/PrefixLength]
chtcpip -hostname HostName",
    summary: "Changes the TCP/IP settings of the Virtual I/O Server.",
    options: &[
        ("interface", Takes::One),
        ("inetaddr", Takes::One),
        ("netmask", Takes::One),
        ("state", Takes::One),
        ("gateway", Takes::Nothing),
        ("add", Takes::One),
        ("remove", Takes::One),
        ("network", Takes::One),
        ("hostname", Takes::One),
    ],
    forms: &[
        form(&["gateway"], &[], &["add", "remove", "network"]),
        form(&["gateway", "interface"], &[], &["add", "remove", "network"]),
        form(&["hostname"], &[], &[]),
        form(&["interface"], &[], &["inetaddr", "netmask", "state"]),
    ],
    changes: true,
    run: change,
};

fn change(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    if let Some(name) = parsed.get("hostname") {
        return invocation.change_silently(ViosChange::SetHostname(name.to_owned()));
    }
    if parsed.has("gateway") {
        return change_routes(invocation, parsed);
    }
    let mut attributes = Vec::new();
    if let Some(text) = parsed.get("inetaddr") {
        attributes.push(("netaddr".to_owned(), address(text)?.to_string()));
    }
    if let Some(text) = parsed.get("netmask") {
        prefix(text)?;
        attributes.push(("netmask".to_owned(), text.to_owned()));
    }
    if let Some(state) = parsed.get("state") {
        if !matches!(state, "up" | "down") {
            return Err(refused(ViosMessage::ArgumentInvalid, state).into());
        }
        attributes.push(("state".to_owned(), state.to_owned()));
    }
    if attributes.is_empty() {
        return Err(refused(ViosMessage::OptionMissing, "-inetaddr -netmask -state").into());
    }
    let device = by_name(parsed.get("interface").ok_or_else(confused)?);
    invocation.change_and_print(ViosChange::ChangeDevice { device, attributes, permanent_only: false })
}

fn change_routes(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let (destination, length) = match parsed.get("network") {
        None | Some("default") => (Ipv4Addr::UNSPECIFIED, 0),
        Some(text) => {
            let wrong = || Ended::from(refused(ViosMessage::AddressInvalid, text));
            let (network, length) = text.split_once('/').ok_or_else(wrong)?;
            let length: u8 =
                length.parse().ok().filter(|length| (1..=32).contains(length)).ok_or_else(wrong)?;
            (address(network)?, length)
        }
    };
    let routes = |option: &str| -> Result<Vec<(Ipv4Addr, u8, Ipv4Addr)>, Ended> {
        let gateway = parsed.get(option).map(address).transpose()?;
        Ok(gateway.into_iter().map(|gateway| (destination, length, gateway)).collect())
    };
    let (add, remove) = (routes("add")?, routes("remove")?);
    if add.is_empty() && remove.is_empty() {
        return Err(refused(ViosMessage::OptionMissing, "-add -remove").into());
    }
    invocation.change_and_print(ViosChange::Network(NetworkChange::Routes { remove, add }))
}

pub(in super::super) static REMOVE: ViosCommand = ViosCommand {
    name: "rmtcpip",
    usage: "rmtcpip [-f] -all
rmtcpip [-f] [-hostname] [-interface Interface...] [-namesrv] [-routing]",
    summary: "Removes the TCP/IP configuration of the Virtual I/O Server, all of it or what is named. Without -f it asks first.",
    options: &[
        ("f", Takes::Nothing),
        ("all", Takes::Nothing),
        ("hostname", Takes::Nothing),
        ("interface", Takes::Many),
        ("namesrv", Takes::Nothing),
        ("routing", Takes::Nothing),
    ],
    forms: &[
        form(&["all"], &[], &["f"]),
        form(&[], &[], &["f", "hostname", "interface", "namesrv", "routing"]),
    ],
    changes: true,
    run: remove,
};

fn remove(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let all = parsed.has("all");
    let names: Vec<String> = parsed.list("interface").into_iter().map(str::to_owned).collect();
    let others = ["hostname", "namesrv", "routing"].into_iter().any(|option| parsed.has(option));
    if !all && !others && names.is_empty() {
        let options = "-all -hostname -interface -namesrv -routing";
        return Err(refused(ViosMessage::OptionMissing, options).into());
    }
    let question = "Removing the TCP/IP configuration could end this session. Continue [y|n]?\n";
    if !parsed.has("f") && !invocation.confirm(question)? {
        return Err(Ended::Said(1));
    }
    invocation.change_silently(ViosChange::Network(NetworkChange::RemoveAddresses {
        interfaces: if all { None } else { Some(names) },
        hostname: all || parsed.has("hostname"),
        routing: all || parsed.has("routing"),
        name_service: all || parsed.has("namesrv"),
    }))
}
