//! The guest's firewall: `iptables` and `ip6tables` of Linux, `genfilt`, `mkfilt`, `rmfilt` and `lsfilt` of AIX, each as far
//! as it names protocols, addresses, ports and interfaces. Rules end with the guest.

use std::net::{Ipv4Addr, Ipv6Addr};

use varan_station::packet::{ICMP, ICMPV6, TCP, UDP};
use varan_station::{Direction, Prefix, Rule};

use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};
use super::Ip;

/// Rules of one guest.
const RULES: usize = 256;

/// Rules as they were stated.
#[derive(Debug, Default)]
pub(in super::super) struct Firewall {
    rules: Vec<(String, Rule)>,
    /// AIX: the rules are in force (`mkfilt -u`).
    active: bool,
}

impl Firewall {
    fn load(ip: &mut Ip, always: bool) {
        let rules = if always || ip.firewall.active {
            ip.firewall.rules.iter().map(|(_, rule)| rule.clone()).collect()
        } else {
            Vec::new()
        };
        ip.station.set_rules(rules);
    }
}

fn protocol(name: &str) -> Option<u8> {
    match name {
        "tcp" => Some(TCP),
        "udp" => Some(UDP),
        "icmp" => Some(ICMP),
        "icmpv6" | "ipv6-icmp" => Some(ICMPV6),
        _ => None,
    }
}

fn network(value: &str) -> Option<Prefix> {
    value.parse().ok().or_else(|| {
        let address: std::net::IpAddr = value.parse().ok()?;
        Some(Prefix::new(address, if address.is_ipv4() { 32 } else { 128 }))
    })
}

fn everything(sixth: bool) -> Prefix {
    if sixth { Prefix::new(Ipv6Addr::UNSPECIFIED, 0) } else { Prefix::new(Ipv4Addr::UNSPECIFIED, 0) }
}

impl Guest {
    /// `iptables -A|-I|-D CHAIN ... -j TARGET`, `-F [CHAIN]`, `-S`, `-L`.
    pub(in super::super) fn iptables(&mut self, name: &str, arguments: &[&str]) -> Reply {
        let arguments: Vec<&str> = arguments.iter().copied().filter(|word| *word != "-n").collect();
        let Some(ip) = self.ip_mut() else { return text("") };
        match arguments[..] {
            ["-S" | "-L" | "--list"] => {
                let policies = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n";
                let rules: String =
                    ip.firewall.rules.iter().map(|(line, _)| format!("-A {line}\n")).collect();
                text(format!("{policies}{rules}"))
            }
            ["-F" | "--flush"] => {
                ip.firewall.rules.clear();
                Firewall::load(ip, true);
                text("")
            }
            ["-F" | "--flush", chain] => {
                ip.firewall.rules.retain(|(line, _)| line.split(' ').next() != Some(chain));
                Firewall::load(ip, true);
                text("")
            }
            [action @ ("-A" | "-I" | "-D"), chain @ ("INPUT" | "OUTPUT"), ref rest @ ..] => {
                let rule = match read_rule(ip, name == "ip6tables", chain == "INPUT", rest) {
                    Ok(rule) => rule,
                    Err(word) => {
                        return text(format!(
                            "{name}: {word}\nTry `{name} -h' or '{name} --help' for more information.\n"
                        ));
                    }
                };
                let line = format!("{chain} {}", rest.join(" "));
                match action {
                    "-D" => {
                        let Some(at) = ip.firewall.rules.iter().position(|(_, known)| *known == rule) else {
                            return text(format!(
                                "{name}: Bad rule (does a matching rule exist in that chain?).\n"
                            ));
                        };
                        ip.firewall.rules.remove(at);
                    }
                    _ if ip.firewall.rules.len() >= RULES => {
                        return text(format!("{name}: No space left on device\n"));
                    }
                    "-I" => ip.firewall.rules.insert(0, (line, rule)),
                    _ => ip.firewall.rules.push((line, rule)),
                }
                Firewall::load(ip, true);
                text("")
            }
            [] => text(format!("{name}: no command specified\n")),
            _ => text(format!("{name}: this form is not provided\n")),
        }
    }

    /// `genfilt -v 4 -a D|P -s ADDRESS -m MASK [-d ADDRESS -M MASK] [-c tcp|udp|icmp|all] [-o any|eq -p PORT] [-O any|eq -P PORT]
    /// [-w I|O|B] [-i INTERFACE]`: adds a rule, which `mkfilt -u` puts in force.
    pub(in super::super) fn genfilt(&mut self, arguments: &[&str]) -> Reply {
        let usage = "usage: genfilt -v 4|6 -a D|P -s s_addr -m s_mask [-d d_addr] [-M d_mask] [-c protocol] [-o s_opr] [-p s_port] [-O d_opr] [-P d_port] [-w I|O|B] [-i interface]\n";
        let mut values: std::collections::BTreeMap<char, &str> = std::collections::BTreeMap::new();
        for pair in arguments.chunks(2) {
            let [flag, value] = pair else { return text(usage) };
            let Some(letter) = flag.strip_prefix('-').filter(|flag| flag.len() == 1) else {
                return text(usage);
            };
            let letter = letter.chars().next().unwrap_or(' ');
            if !"vasmdMcopOPwigrlfnteD".contains(letter) {
                return text(usage);
            }
            values.insert(letter, value);
        }
        let Some(rules) = read_filter(self.ip(), &values) else { return text(usage) };
        let Some(ip) = self.ip_mut() else { return text("") };
        if ip.firewall.rules.len() >= RULES {
            return text("genfilt: too many filter rules\n");
        }
        let line = arguments.join(" ");
        for rule in rules {
            ip.firewall.rules.push((line.clone(), rule));
        }
        let version = values.get(&'v').copied().unwrap_or("4");
        let number = numbered(&ip.firewall).len() + 1;
        text(format!("Filter rule {number} for IPv{version} has been added successfully.\n"))
    }

    /// `mkfilt -v 4 -u` and `-d`.
    pub(in super::super) fn mkfilt(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let Some(ip) = self.ip_mut() else { return text("") };
        ip.firewall.active = match arguments {
            ["-v", "4" | "6", "-u"] | ["-u"] => true,
            ["-v", "4" | "6", "-d"] | ["-d"] => false,
            _ => return text("usage: mkfilt [-v 4|6] -u | -d\n"),
        };
        Firewall::load(ip, false);
        ip.client.try_now(now.monotonic);
        text("")
    }

    /// `rmfilt -v 4 -n NUMBER|all`.
    pub(in super::super) fn rmfilt(&mut self, arguments: &[&str]) -> Reply {
        let (["-v", version @ ("4" | "6"), "-n", number], Some(ip)) = (arguments, self.ip_mut()) else {
            return text("usage: rmfilt -v 4|6 -n fid|all\n");
        };
        if *number == "all" {
            ip.firewall.rules.clear();
            Firewall::load(ip, false);
            return text(format!("All filter rules for IPv{version} have been removed successfully.\n"));
        }
        let lines = numbered(&ip.firewall);
        let line = number.parse::<usize>().ok().and_then(|number| lines.get(number.checked_sub(2)?).cloned());
        let Some(line) = line else { return text(format!("rmfilt: filter rule {number} does not exist.\n")) };
        ip.firewall.rules.retain(|(known, _)| *known != line);
        Firewall::load(ip, false);
        text(format!("Filter rule {number} for IPv{version} has been removed successfully.\n"))
    }

    /// `lsfilt -v 4`: the rules as they were stated, by number; the first one is AIX's own.
    pub(in super::super) fn lsfilt(&self, arguments: &[&str]) -> Reply {
        let Some(ip) = self.ip() else { return text("") };
        if !matches!(arguments, [] | ["-v", "4" | "6", ..] | ["-O"]) {
            return text("usage: lsfilt [-v 4|6] [-O]\n");
        }
        let mut lines = "1|*** Dynamic filter placement rule for IKE tunnels ***|no\n".to_owned();
        for (number, line) in numbered(&ip.firewall).iter().enumerate() {
            lines.push_str(&format!("{}|{line}\n", number + 2));
        }
        text(lines)
    }
}

/// The rules as they were stated, each once; AIX's numbers begin with 2.
fn numbered(firewall: &Firewall) -> Vec<String> {
    let mut lines: Vec<String> = firewall.rules.iter().map(|(line, _)| line.clone()).collect();
    lines.dedup();
    lines
}

fn read_rule(ip: &Ip, sixth: bool, inbound: bool, words: &[&str]) -> Result<Rule, String> {
    let direction = if inbound { Direction::In } else { Direction::Out };
    let mut rule = Rule::new(direction, true);
    rule.source = Some(everything(sixth));
    let mut target = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value =
            || words.next().copied().ok_or_else(|| format!("option \"{word}\" requires an argument"));
        let bad = |value: &str| format!("invalid value \"{value}\" of \"{word}\"");
        match *word {
            "-p" | "--protocol" => {
                let name = value()?;
                if name != "all" {
                    rule.protocol =
                        Some(protocol(name).ok_or_else(|| format!("unknown protocol \"{name}\" specified"))?);
                }
            }
            "-s" | "--source" => {
                let name = value()?;
                rule.source = Some(network(name).ok_or_else(|| bad(name))?);
            }
            "-d" | "--destination" => {
                let name = value()?;
                rule.destination = Some(network(name).ok_or_else(|| bad(name))?);
            }
            "--dport" | "--sport" => {
                let name = value()?;
                if !matches!(rule.protocol, Some(TCP | UDP)) {
                    return Err(format!("unknown option \"{word}\""));
                }
                let port =
                    Some(name.parse().map_err(|_| format!("invalid port/service `{name}' specified"))?);
                if *word == "--dport" {
                    rule.destination_port = port;
                } else {
                    rule.source_port = port;
                }
            }
            "-i" | "-o" => {
                let name = value()?;
                rule.interface = Some(ip.station.interface_named(name).ok_or_else(|| bad(name))?);
            }
            "-m" => drop(value()?),
            "-j" => target = Some(value()?),
            other => return Err(format!("unknown option \"{other}\"")),
        }
    }
    rule.allow = match target {
        Some("ACCEPT") => true,
        Some("DROP" | "REJECT") => false,
        Some(other) => return Err(format!("Couldn't load target `{other}':No such file or directory")),
        None => return Err("no target specified".to_owned()),
    };
    Ok(rule)
}

/// The rules that `genfilt` states: one for each direction.
fn read_filter(ip: Option<&Ip>, values: &std::collections::BTreeMap<char, &str>) -> Option<Vec<Rule>> {
    let value = |letter: char| values.get(&letter).copied();
    let sixth = match value('v')? {
        "4" => false,
        "6" => true,
        _ => return None,
    };
    let allow = match value('a')? {
        "D" => false,
        "P" => true,
        _ => return None,
    };
    let address = |address: Option<&str>, mask: Option<&str>| -> Option<Option<Prefix>> {
        let Some(address) = address else { return Some(None) };
        let address: std::net::IpAddr = address.parse().ok()?;
        let length = match mask {
            Some(mask) if address.is_ipv4() => super::aix::read_mask(mask)?,
            Some(mask) => mask.parse().ok()?,
            None => 32,
        };
        Some(Some(Prefix::new(address, length)))
    };
    let port = |operation: char, number: char| -> Option<Option<u16>> {
        match value(operation) {
            None | Some("any") => Some(None),
            Some("eq") => value(number)?.parse().ok().map(Some),
            Some(_) => None,
        }
    };
    let mut rule = Rule::new(Direction::In, allow);
    rule.source = Some(address(value('s'), value('m'))?.unwrap_or_else(|| everything(sixth)));
    rule.destination = address(value('d'), value('M'))?;
    rule.source_port = port('o', 'p')?;
    rule.destination_port = port('O', 'P')?;
    rule.protocol = match value('c') {
        None | Some("all") => None,
        Some(name) => Some(protocol(name)?),
    };
    rule.interface = match value('i') {
        None | Some("all") => None,
        Some(name) => Some(ip?.station.interface_named(name)?),
    };
    let outbound = Rule { direction: Direction::Out, ..rule.clone() };
    Some(match value('w') {
        Some("I") => vec![rule],
        Some("O") => vec![outbound],
        None | Some("B") => vec![rule, outbound],
        Some(_) => return None,
    })
}
