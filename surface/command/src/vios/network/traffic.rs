//! `ping`, `netstat`, and AIX's `ifconfig` and `arp`.

use std::net::Ipv4Addr;
use std::time::Duration;

use varan_contract::network::PingResult;
use varan_contract::vios::DeviceQuery;
use varan_contract::vios_network::{InterfaceState, NetworkNames, NetworkQuery};
use varan_model::ids::MacAddress;
use varan_model::vios::{DeviceState, ViosMessage};

use super::super::ViosCommand;
use super::super::error::{Ended, refused};
use super::super::grammar::{Parsed, Takes, form_with};
use super::super::invocation::{ViosInvocation, confused};
use super::entstat;
use super::{configuration, mask, name_of, network, resolve};

/// Requests of a `ping` that names no number: it cannot be interrupted, so it ends by itself.
const PINGS: u32 = 5;
/// Most requests that one may ask for.
const PINGS_MAX: u32 = 1_000;
/// Bytes of a request.
const PING_BYTES: u16 = 56;
/// Largest request.
const PING_BYTES_MAX: u16 = 65_000;
/// Seconds between requests at most.
const PING_PAUSE_MAX: u32 = 5;
/// Seconds that one question to the server may take.
const PING_PART: u32 = 10;
/// Exit status of a `ping` without any answer.
const NO_ANSWER: u8 = 1;

pub(in super::super) static PING: ViosCommand = ViosCommand {
    name: "ping",
    usage: "ping [-n] [-r] [-s PacketSize] [-src Address] Host [PacketSize] [Count]",
    summary: "Sends echo requests to a host. Without a count it sends 5.",
    options: &[("n", Takes::Nothing), ("r", Takes::Nothing), ("s", Takes::One), ("src", Takes::One)],
    forms: &[form_with(&[], &[], &["n", "r", "s", "src"], (1, 3))],
    changes: false,
    run: |invocation, parsed| {
        let mut operands = parsed.operands.iter();
        let host = operands.next().ok_or_else(confused)?.clone();
        let size = operands.next().map(String::as_str).or(parsed.get("s"));
        let count = operands.next().map(String::as_str);
        ping(invocation, &host, count, size, None)
    },
};

fn number<T: std::str::FromStr + PartialOrd>(text: Option<&str>, default: T, most: T) -> Result<T, Ended> {
    let Some(text) = text else { return Ok(default) };
    let wrong = || Ended::from(refused(ViosMessage::ArgumentInvalid, text));
    text.parse().ok().filter(|number| *number <= most).ok_or_else(wrong)
}

pub(in super::super) fn ping(
    invocation: &mut ViosInvocation<'_>,
    host: &str,
    count: Option<&str>,
    bytes: Option<&str>,
    interval: Option<&str>,
) -> Result<u8, Ended> {
    let count = number(count, PINGS, PINGS_MAX)?.max(1);
    let bytes = number(bytes, PING_BYTES, PING_BYTES_MAX)?;
    let seconds = number(interval, 1, PING_PAUSE_MAX)?.max(1);
    let Some(address) = resolve(invocation, host)? else {
        let _ = writeln!(invocation.errors, "0821-062 ping: host name {host} NOT FOUND");
        return Ok(NO_ANSWER);
    };
    writeln!(invocation.output, "PING {host}: ({address}): {bytes} data bytes")?;
    let mut result = PingResult::default();
    while result.sent < count {
        // A question to the server is answered within a few seconds, so that many requests are several questions.
        let part = (PING_PART / seconds).clamp(1, count - result.sent);
        let interval = Duration::from_secs(seconds.into());
        let query = NetworkQuery::Ping { address, count: part, bytes, interval };
        let answer: PingResult = network!(invocation, query, Ping);
        if answer.unreachable && answer.answers.is_empty() {
            invocation.output.flush()?;
            let text = "0821-069 ping: sendto: The network is not currently available.";
            let _ = writeln!(invocation.errors, "{text}");
        }
        for (number, lives, microseconds) in answer.answers {
            let sequence = result.sent + u32::from(number);
            let (size, milliseconds) = (u32::from(bytes) + 8, microseconds / 1_000);
            writeln!(
                invocation.output,
                "{size} bytes from {address}: icmp_seq={sequence} ttl={lives} time={milliseconds} ms"
            )?;
            result.answers.push((number, lives, microseconds));
        }
        invocation.output.flush()?;
        result.sent += part;
    }
    let received = result.answers.len();
    let sent = result.sent.max(1);
    let lost = u32::try_from(received).map_or(0, |received| sent.saturating_sub(received)) * 100 / sent;
    writeln!(
        invocation.output,
        "\n--- {host} ping statistics ---\n{} packets transmitted, {received} packets received, {lost}% packet loss",
        result.sent
    )?;
    let times = result.answers.iter().map(|(_, _, microseconds)| microseconds / 1_000);
    if let (Some(least), Some(most)) = (times.clone().min(), times.clone().max()) {
        let average = times.sum::<u64>() / u64::try_from(received).unwrap_or(1);
        writeln!(invocation.output, "round-trip min/avg/max = {least}/{average}/{most} ms")?;
    }
    Ok(if received == 0 { NO_ANSWER } else { 0 })
}

pub(in super::super) static NETSTAT: ViosCommand = ViosCommand {
    name: "netstat",
    usage: "netstat [-num] [-routtable] [-routinfo] [-state]
netstat -stats [-protocol Protocol]
netstat -arp
netstat -cdlistats
netstat -v",
    summary: "Displays the state of the network: interfaces, routes, protocols, adapters.",
    options: &[
        ("num", Takes::Nothing),
        ("routtable", Takes::Nothing),
        ("routinfo", Takes::Nothing),
        ("state", Takes::Nothing),
        ("stats", Takes::Nothing),
        ("protocol", Takes::One),
        ("arp", Takes::Nothing),
        ("cdlistats", Takes::Nothing),
        ("v", Takes::Nothing),
    ],
    forms: &[
        form_with(&[], &[], &["num", "routtable", "routinfo", "state"], (0, 0)),
        form_with(&["stats"], &[], &["protocol"], (0, 0)),
        form_with(&["arp"], &[], &[], (0, 0)),
        form_with(&["cdlistats"], &[], &[], (0, 0)),
        form_with(&["v"], &[], &[], (0, 0)),
    ],
    changes: false,
    run: restricted,
};

fn restricted(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let numbers = parsed.has("num");
    if parsed.has("stats") {
        return protocols(invocation);
    }
    if parsed.has("arp") {
        return arp(invocation, false);
    }
    if parsed.has("cdlistats") || parsed.has("v") {
        return adapters(invocation);
    }
    let wants_routes = parsed.has("routtable") || parsed.has("routinfo");
    if parsed.has("state") || !wants_routes && numbers {
        states(invocation, numbers)?;
    }
    if wants_routes {
        return routes(invocation, numbers);
    }
    if !parsed.has("state") && !numbers {
        return sockets(invocation);
    }
    Ok(0)
}

/// AIX's `netstat` with these letters.
pub(in super::super) fn netstat(
    invocation: &mut ViosInvocation<'_>,
    has: &dyn Fn(char) -> bool,
) -> Result<u8, Ended> {
    let numbers = has('n');
    if has('v') {
        return adapters(invocation);
    }
    if has('s') {
        return protocols(invocation);
    }
    if has('r') {
        return routes(invocation, numbers);
    }
    if has('i') {
        return states(invocation, numbers);
    }
    sockets(invocation)
}

/// `netstat -v`: every adapter's own statistics.
fn adapters(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let devices = invocation.devices(DeviceQuery::All)?;
    for device in devices {
        if device.kind.is_ethernet() && device.state == DeviceState::Available {
            entstat::show(invocation, device.name.as_str(), true, false, false)?;
        }
    }
    Ok(0)
}

fn all_interfaces(invocation: &ViosInvocation<'_>) -> Result<Vec<InterfaceState>, Ended> {
    Ok(network!(invocation, NetworkQuery::Interfaces, Interfaces))
}

/// The network of an address, without the part for hosts: `10.201.52`, `127`.
fn network_of(address: Ipv4Addr, prefix: u8) -> String {
    let network = Ipv4Addr::from(u32::from(address) & mask(prefix)).octets();
    let count = usize::from(prefix.div_ceil(8)).clamp(1, 4);
    let parts: Vec<String> = network[..count].iter().map(ToString::to_string).collect();
    parts.join(".")
}

/// `4e.8e.70.0.90.cf`: bytes without leading zeros.
fn bytes_of(address: MacAddress, separator: &str) -> String {
    let bytes = address.0.to_be_bytes();
    let parts: Vec<String> = bytes[2..].iter().map(|byte| format!("{byte:x}")).collect();
    parts.join(separator)
}

/// `netstat -i`.
pub(super) fn states(invocation: &mut ViosInvocation<'_>, numbers: bool) -> Result<u8, Ended> {
    let names = configuration(invocation)?;
    let all = all_interfaces(invocation)?;
    let title = "Name  Mtu   Network     Address           Ipkts Ierrs    Opkts Oerrs  Coll";
    writeln!(invocation.output, "{title}")?;
    for (number, interface) in all.iter().enumerate() {
        let counters = &interface.statistics;
        let (got, sent) = (counters.received_frames, counters.transmitted_frames);
        let row = |network: &str, address: &str| {
            let drops = (counters.receive_drops, counters.transmit_drops);
            format!(
                "{:<5} {:<5} {network:<11} {address:<17}{got:>9}{:>6}{sent:>9}{:>6}{:>6}",
                interface.name.as_str(),
                interface.mtu,
                drops.0,
                drops.1,
                0
            )
        };
        // Links are numbered as AIX does: the loopback interface was there first.
        let link = if interface.device.is_none() { 1 } else { number + 2 };
        let mac = interface.mac_address.map(|mac| bytes_of(mac, ".")).unwrap_or_default();
        let down = if interface.state == "up" { "" } else { "*" };
        let line = row(&format!("link#{link}"), &mac);
        writeln!(invocation.output, "{}", line.replacen(' ', if down.is_empty() { " " } else { down }, 1))?;
        if let Some((address, prefix)) = interface.address {
            let shown = match name_of(&names, address) {
                Some(name) if !numbers => name.to_owned(),
                _ => address.to_string(),
            };
            writeln!(invocation.output, "{}", row(&network_of(address, prefix), &shown))?;
        }
        if interface.device.is_none() {
            writeln!(invocation.output, "{}", row("::1%1", ""))?;
        }
    }
    Ok(0)
}

/// A row of the table of routes.
fn route(destination: &str, gateway: &str, flags: &str, used: u64, interface: &str) -> String {
    format!("{destination:<18} {gateway:<17} {flags:<6}{:>5}{used:>10} {interface:<3}{:>7}{:>7}", 0, "-", "-")
}

/// The interface whose network an address is in.
fn towards(all: &[InterfaceState], gateway: Ipv4Addr) -> Option<&InterfaceState> {
    all.iter().find(|one| {
        let same =
            |(address, prefix): (Ipv4Addr, u8)| (u32::from(address) ^ u32::from(gateway)) & mask(prefix) == 0;
        one.state == "up" && one.address.is_some_and(same)
    })
}

/// `netstat -r`.
pub(super) fn routes(invocation: &mut ViosInvocation<'_>, numbers: bool) -> Result<u8, Ended> {
    let names = configuration(invocation)?;
    let all = all_interfaces(invocation)?;
    let level = invocation.identity()?.platform_level;
    let tree = if level.starts_with('6') { "Tree" } else { "tree" };
    writeln!(invocation.output, "Routing tables")?;
    writeln!(
        invocation.output,
        "Destination        Gateway           Flags   Refs     Use  If   Exp  Groups\n"
    )?;
    writeln!(invocation.output, "Route {tree} for Protocol Family 2 (Internet):")?;
    let shown = |address: Ipv4Addr| match name_of(&names, address) {
        Some(name) if !numbers => name.to_owned(),
        _ => address.to_string(),
    };
    let mut write_route = |destination: &str, prefix: u8, gateway: Ipv4Addr| -> Result<(), Ended> {
        let Some(interface) = towards(&all, gateway) else { return Ok(()) };
        let destination = if prefix == 0 { "default".to_owned() } else { format!("{destination}/{prefix}") };
        let row = route(&destination, &shown(gateway), "UG", 0, interface.name.as_str());
        writeln!(invocation.output, "{row}")?;
        Ok(())
    };
    if let Some(gateway) = names.gateway {
        write_route("default", 0, gateway)?;
    }
    for (destination, prefix, gateway) in &names.routes {
        write_route(&network_of(*destination, *prefix), *prefix, *gateway)?;
    }
    let loopback = shown(Ipv4Addr::LOCALHOST);
    for interface in all.iter().filter(|one| one.state == "up") {
        let Some((address, prefix)) = interface.address else { continue };
        let (name, used) = (interface.name.as_str(), interface.statistics.transmitted_frames);
        let network = format!("{}/{prefix}", network_of(address, prefix));
        if interface.device.is_none() {
            writeln!(invocation.output, "{}", route("127/8", &loopback, "U", used, name))?;
            continue;
        }
        let own = shown(address);
        let first = Ipv4Addr::from(u32::from(address) & mask(prefix)).to_string();
        let last = Ipv4Addr::from(u32::from(address) | !mask(prefix)).to_string();
        writeln!(invocation.output, "{}   =>", route(&first, &own, "UHSb", 0, name))?;
        writeln!(invocation.output, "{}", route(&network, &own, "U", used, name))?;
        writeln!(invocation.output, "{}", route(&own, &loopback, "UGHS", 0, "lo0"))?;
        writeln!(invocation.output, "{}", route(&last, &own, "UHSb", 0, name))?;
    }
    let own = if numbers { "::1%1" } else { "loopback" };
    writeln!(invocation.output, "\nRoute {tree} for Protocol Family 24 (Internet v6):")?;
    writeln!(invocation.output, "{}", route(own, own, "UH", 0, "lo0"))?;
    Ok(0)
}

/// `netstat -s`: what the interfaces of the server carried, protocol by protocol as far as the network counts it.
pub(super) fn protocols(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let all = all_interfaces(invocation)?;
    let sum = |value: fn(&InterfaceState) -> u64| all.iter().map(value).sum::<u64>();
    let received = sum(|one| one.statistics.received_frames);
    let sent = sum(|one| one.statistics.transmitted_frames);
    let dropped = sum(|one| one.statistics.receive_drops);
    writeln!(invocation.output, "ip:")?;
    writeln!(invocation.output, "\t{received} total packets received\n\t0 bad header checksums")?;
    writeln!(invocation.output, "\t{sent} packets sent from this host")?;
    writeln!(invocation.output, "\t{dropped} packets dropped due to a full socket buffer")?;
    Ok(0)
}

/// Sockets of the server: RMC listens wherever it has an address.
pub(super) fn sockets(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let all = all_interfaces(invocation)?;
    writeln!(invocation.output, "Active Internet connections (including servers)")?;
    writeln!(
        invocation.output,
        "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)"
    )?;
    if !all.iter().any(|one| one.device.is_some() && one.state == "up" && one.address.is_some()) {
        return Ok(0);
    }
    for (protocol, state) in [("tcp", "LISTEN"), ("udp", "")] {
        let row = format!("{protocol:<10} 0      0  {:<22} {:<22} {state}", "*.657", "*.*");
        writeln!(invocation.output, "{}", row.trim_end())?;
    }
    Ok(0)
}

/// `arp -a`.
pub(in super::super) fn arp(invocation: &mut ViosInvocation<'_>, numbers: bool) -> Result<u8, Ended> {
    let names: Box<NetworkNames> = configuration(invocation)?;
    let stations = network!(invocation, NetworkQuery::Neighbours, Neighbours);
    for (address, mac, _) in &stations {
        let name = name_of(&names, *address).filter(|_| !numbers).unwrap_or("?");
        // The table has 149 buckets; an address is in that of its sum.
        let bucket = u32::from(*address) % 149;
        let mac = bytes_of(*mac, ":");
        writeln!(invocation.output, "  {name} ({address}) at {mac} [ethernet] stored in bucket {bucket}\n")?;
    }
    writeln!(invocation.output, "There are {} entries in the arp table.", stations.len())?;
    Ok(0)
}

/// `ifconfig -a`, `ifconfig en5`. It shows; what it would change, `chdev` and `mktcpip` do and keep.
pub(in super::super) fn interfaces(
    invocation: &mut ViosInvocation<'_>,
    all: bool,
    operands: &[String],
) -> Result<u8, Ended> {
    let mut found = all_interfaces(invocation)?;
    match operands {
        [] if all => {}
        [name] if !all => {
            found.retain(|one| one.name.as_str() == name);
            if found.is_empty() {
                let _ = writeln!(
                    invocation.errors,
                    "0821-506 ifconfig: error calling ioctl with SIOCGIFFLAGS.\n{name}: A file or directory in the path name does not exist."
                );
                return Ok(1);
            }
        }
        [] => return Err(refused(ViosMessage::OptionMissing, "Interface").into()),
        _ => return Err(refused(ViosMessage::NotSupported, "Changing an interface with ifconfig").into()),
    }
    for interface in &found {
        let text = configured(interface);
        invocation.output.write_all(text.as_bytes())?;
    }
    Ok(0)
}

fn configured(interface: &InterfaceState) -> String {
    let up = interface.state == "up";
    let loopback = interface.device.is_none();
    let (low, words) = match (loopback, up) {
        (true, _) => {
            ("e08084b,c0", "UP,BROADCAST,LOOPBACK,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,LARGESEND,CHAIN")
        }
        (false, true) => (
            "1e080863,480",
            "UP,BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,CHECKSUM_OFFLOAD(ACTIVE),CHAIN",
        ),
        (false, false) => (
            "1e080822,480",
            "BROADCAST,NOTRAILERS,SIMPLEX,MULTICAST,GROUPRT,64BIT,CHECKSUM_OFFLOAD(ACTIVE),CHAIN",
        ),
    };
    let mut text = format!("{}: flags={low}<{words}>\n", interface.name);
    if let Some((address, prefix)) = interface.address {
        let broadcast = Ipv4Addr::from(u32::from(address) | !mask(prefix));
        text.push_str(&format!(
            "        inet {address} netmask {:#010x} broadcast {broadcast}\n",
            mask(prefix)
        ));
    }
    if loopback {
        text.push_str(
            "        inet6 ::1%1/0\n         tcp_sendspace 131072 tcp_recvspace 131072 rfc1323 1\n",
        );
    } else if interface.address.is_some() {
        text.push_str("         tcp_sendspace 262144 tcp_recvspace 262144 rfc1323 1\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_shown_as_aix_does() {
        let address = |text: &str| text.parse::<Ipv4Addr>().expect("address");
        assert_eq!(network_of(address("10.201.52.7"), 24), "10.201.52");
        assert_eq!(network_of(address("127.0.0.1"), 8), "127");
        assert_eq!(network_of(address("10.174.149.8"), 22), "10.174.148");
        assert_eq!(bytes_of(MacAddress(0x4E8E_7000_90CF), "."), "4e.8e.70.0.90.cf");
        let row = route("default", "192.168.122.1", "UG", 1864, "en0");
        assert_eq!(row, "default            192.168.122.1     UG        0      1864 en0      -      -");
    }
}
