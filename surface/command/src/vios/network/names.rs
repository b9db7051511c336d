//! `hostmap` and `cfgnamesrv`.

use varan_contract::vios::ViosChange;
use varan_contract::vios_network::{NetworkChange, NetworkNames};
use varan_model::vios::ViosMessage;

use super::super::ViosCommand;
use super::super::error::{Ended, refused};
use super::super::grammar::{Parsed, Takes, form};
use super::super::invocation::ViosInvocation;
use super::{address, configuration};

pub(in super::super) static HOSTS: ViosCommand = ViosCommand {
    name: "hostmap",
    usage: "hostmap -addr Address -hosts HostName...
hostmap -rm Address
hostmap -ls
hostmap -show",
    summary: "Adds, removes or displays the host names of addresses that the server knows.",
    options: &[
        ("addr", Takes::One),
        ("hosts", Takes::Many),
        ("rm", Takes::One),
        ("ls", Takes::Nothing),
        ("show", Takes::Nothing),
    ],
    forms: &[
        form(&["addr"], &[&["hosts"]], &[]),
        form(&["rm"], &[], &[]),
        form(&["ls"], &[], &[]),
        form(&["show"], &[], &[]),
    ],
    changes: true,
    run: hosts,
};

fn hosts(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    if let Some(text) = parsed.get("addr") {
        let names = parsed.list("hosts").into_iter().map(str::to_owned).collect();
        let change = NetworkChange::AddHost { address: address(text)?, names };
        return invocation.change_silently(ViosChange::Network(change));
    }
    if let Some(text) = parsed.get("rm") {
        return invocation.change_silently(ViosChange::Network(NetworkChange::RemoveHost(address(text)?)));
    }
    let names = configuration(invocation)?;
    writeln!(invocation.output, "127.0.0.1\tloopback localhost\t# loopback (lo0) name/address")?;
    for (address, names) in &names.hosts {
        writeln!(invocation.output, "{address}\t{}", names.join(" "))?;
    }
    Ok(0)
}

pub(in super::super) static NAME_SERVICE: ViosCommand = ViosCommand {
    name: "cfgnamesrv",
    usage: "cfgnamesrv -add {-ipaddr Address | -dname DomainName | -slist SearchName...}
cfgnamesrv -del {-ipaddr Address | -dname DomainName | -slist SearchName...}
cfgnamesrv -ls
cfgnamesrv -disable",
    summary: "Configures the name servers and domains by which the server finds addresses of names.",
    options: &[
        ("add", Takes::Nothing),
        ("del", Takes::Nothing),
        ("ls", Takes::Nothing),
        ("disable", Takes::Nothing),
        ("ipaddr", Takes::One),
        ("dname", Takes::One),
        ("slist", Takes::Many),
    ],
    forms: &[
        form(&["add"], &[&["ipaddr", "dname", "slist"]], &[]),
        form(&["del"], &[&["ipaddr", "dname", "slist"]], &[]),
        form(&["ls"], &[], &[]),
        form(&["disable"], &[], &[]),
    ],
    changes: true,
    run: name_service,
};

fn name_service(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let mut names = *configuration(invocation)?;
    if parsed.has("ls") {
        return show(invocation, &names);
    }
    if parsed.has("disable") {
        names = NetworkNames::default();
    } else if parsed.has("add") {
        add(&mut names, parsed)?;
    } else {
        take_away(&mut names, parsed)?;
    }
    let NetworkNames { name_servers, domain, search, .. } = names;
    let change = NetworkChange::NameService { name_servers, domain, search };
    invocation.change_silently(ViosChange::Network(change))
}

/// The lines of the resolver's file.
pub(super) fn show(invocation: &mut ViosInvocation<'_>, names: &NetworkNames) -> Result<u8, Ended> {
    for server in &names.name_servers {
        writeln!(invocation.output, "nameserver {server}")?;
    }
    if let Some(domain) = &names.domain {
        writeln!(invocation.output, "domain {domain}")?;
    }
    if !names.search.is_empty() {
        writeln!(invocation.output, "search {}", names.search.join(" "))?;
    }
    Ok(0)
}

fn add(names: &mut NetworkNames, parsed: &Parsed) -> Result<(), Ended> {
    if let Some(text) = parsed.get("ipaddr") {
        let server = address(text)?;
        if !names.name_servers.contains(&server) {
            names.name_servers.push(server);
        }
    }
    if let Some(domain) = parsed.get("dname") {
        names.domain = Some(domain.to_owned());
    }
    for domain in parsed.list("slist") {
        if !names.search.iter().any(|known| known == domain) {
            names.search.push(domain.to_owned());
        }
    }
    Ok(())
}

fn take_away(names: &mut NetworkNames, parsed: &Parsed) -> Result<(), Ended> {
    let missing = |text: &str| Ended::from(refused(ViosMessage::NameServiceUnknown, text));
    if let Some(text) = parsed.get("ipaddr") {
        let server = address(text)?;
        let at = names.name_servers.iter().position(|known| *known == server);
        names.name_servers.remove(at.ok_or_else(|| missing(text))?);
    }
    if let Some(domain) = parsed.get("dname") {
        names.domain.take_if(|known| known == domain).ok_or_else(|| missing(domain))?;
    }
    for domain in parsed.list("slist") {
        let at = names.search.iter().position(|known| known == domain);
        names.search.remove(at.ok_or_else(|| missing(domain))?);
    }
    Ok(())
}
