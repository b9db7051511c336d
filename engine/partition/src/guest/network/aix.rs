//! AIX's commands about the network: `ifconfig`, `netstat`, `arp`, `route`, `mktcpip`.

use std::net::{IpAddr, Ipv4Addr};

use varan_ethernet::EthernetAddress;
use varan_station::{Interface, Prefix, Route, prefix_of_mask};

use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};
use super::{Ip, Port};

/// Buckets of the table of neighbours (`arptab_nb`); a neighbour is in the one of its address modulo their number.
const BUCKETS: u32 = 149;
const IFCONFIG_USAGE: &str = "usage: ifconfig interface [af] [address [netmask mask]] [up|down|detach|delete|alias] [mtu n]\n       ifconfig -a | -l\n";

fn no_interface(name: &str) -> Reply {
    text(format!("0821-555 ioctl (SIOCIFDETACH).: The device {name} does not exist.\n"))
}

/// An Ethernet address as `netstat` writes it: without leading zeros.
fn dotted(address: EthernetAddress, separator: &str) -> String {
    address.0.map(|byte| format!("{byte:x}")).join(separator)
}

/// The part of an address that names its network, as AIX writes it: whole bytes only.
fn network_part(network: Prefix) -> String {
    let IpAddr::V4(address) = network.network() else { return network.to_string() };
    let octets = address.octets();
    let shown = usize::from(network.length.div_ceil(8)).clamp(1, 4);
    octets[..shown].iter().map(u8::to_string).collect::<Vec<_>>().join(".")
}

impl Ip {
    pub(super) fn interface(&self, port: &Port) -> Option<&Interface> {
        self.station.interface(port.id)
    }

    /// Interfaces that are in use.
    pub(super) fn attached(&self) -> impl Iterator<Item = (&Port, &Interface)> {
        let ports = self.ports.iter().filter(|port| port.attached);
        ports.filter_map(|port| Some((port, self.interface(port)?)))
    }
}

fn interface_lines(port: &Port, interface: &Interface) -> String {
    let up = if interface.is_up() { "UP," } else { "" };
    let flags = if interface.is_up() { "1e084863" } else { "1e084862" };
    let mut lines = format!(
        "{}: flags={flags},14c0<{up}BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,CHECKSUM_OFFLOAD(ACTIVE),LARGESEND,CHAIN>\n",
        port.name
    );
    for own in interface.addresses() {
        lines.push_str(&match own.address {
            IpAddr::V4(address) => format!(
                "        inet {address} netmask 0x{:08x} broadcast {}\n",
                own.mask().to_bits(),
                own.broadcast().unwrap_or(address)
            ),
            IpAddr::V6(address) => format!("        inet6 {address}/{}\n", own.length),
        });
    }
    lines.push_str("         tcp_sendspace 262144 tcp_recvspace 262144 rfc1323 1\n");
    lines
}

const LOOPBACK: &str = "lo0: flags=e08084b,c0<UP,BROADCAST,LOOPBACK,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,LARGESEND,CHAIN>\n        inet 127.0.0.1 netmask 0xff000000 broadcast 127.255.255.255\n        inet6 ::1%1/0\n         tcp_sendspace 131072 tcp_recvspace 131072 rfc1323 1\n";

impl Guest {
    /// AIX's `ifconfig` in a network.
    pub(in super::super) fn ifconfig_command(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let Some(ip) = self.ip() else { return text("") };
        match arguments {
            ["-a"] => text(self.all_interfaces(ip)),
            ["-l"] => {
                let names: Vec<&str> = ip.attached().map(|(port, _)| port.name.as_str()).collect();
                text(format!("{} lo0\n", names.join(" ")).trim_start().to_owned())
            }
            ["lo0"] => text(LOOPBACK),
            [name] => match ip.attached().find(|(port, _)| port.name == *name) {
                Some((port, interface)) => text(interface_lines(port, interface)),
                None => no_interface(name),
            },
            [name, rest @ ..] if !name.starts_with('-') => self.change_interface(now, name, rest),
            _ => text(IFCONFIG_USAGE),
        }
    }

    fn all_interfaces(&self, ip: &Ip) -> String {
        let mut lines = String::new();
        let mut sixth = None;
        for (port, interface) in ip.attached() {
            lines.push_str(&interface_lines(port, interface));
            if interface.addresses().iter().any(|own| own.address.is_ipv6()) {
                let first = self.reported_addresses().first().map(|(_, address)| *address);
                sixth = Some(first.map_or_else(|| "::".to_owned(), |first| format!("::{first}/96")));
            }
        }
        if let Some(address) = sixth {
            lines.push_str(&format!("sit0: flags=8100041<UP,RUNNING,LINK0>\n        inet6 {address}\n"));
        }
        lines.push_str(LOOPBACK);
        lines
    }

    /// `ifconfig en0 [inet|inet6] [ADDRESS [netmask MASK]] [up|down|detach|delete|alias|mtu N]...`: until the next boot.
    fn change_interface(&mut self, now: Moment, name: &str, words: &[&str]) -> Reply {
        let known = self.ip().is_some_and(|ip| ip.ports.iter().any(|port| port.name == name));
        if !known {
            return no_interface(name);
        }
        let mut words = words.iter().peekable();
        let (mut address, mut mask, mut alias) = (None, None, false);
        let mut switches = Vec::new();
        while let Some(word) = words.next() {
            match *word {
                "inet" | "inet6" => {}
                "up" | "down" | "detach" | "delete" => switches.push(*word),
                "alias" => alias = true,
                "netmask" => match words.next().and_then(|mask| read_mask(mask)) {
                    Some(length) => mask = Some(length),
                    None => return text("ifconfig: bad value: netmask\n"),
                },
                "broadcast" => drop(words.next()),
                "mtu" => match words
                    .next()
                    .and_then(|mtu| mtu.parse().ok())
                    .filter(|mtu| (60..=9_000).contains(mtu))
                {
                    Some(mtu) => self.set_interface_mtu(name, mtu),
                    None => {
                        return text(
                            "ifconfig: 0821-555 ioctl (SIOCSIFMTU).: The parameter or environment lookup failed.\n",
                        );
                    }
                },
                other => match other.parse::<IpAddr>().or_else(|_| {
                    other.split_once('/').map_or(Err(()), |(address, _)| address.parse().map_err(drop))
                }) {
                    Ok(found) => {
                        if let Some((_, length)) = other.split_once('/') {
                            mask = length.parse().ok();
                        }
                        address = Some(found);
                    }
                    Err(()) => return text(format!("ifconfig: {other}: bad value\n{IFCONFIG_USAGE}")),
                },
            }
        }
        if let Some(address) = address
            && !switches.contains(&"delete")
        {
            let class = match address {
                IpAddr::V4(address) => class_prefix(address),
                IpAddr::V6(_) => 64,
            };
            let prefix = Prefix::new(address, mask.unwrap_or(class));
            if let Err(refusal) = self.put_address(now, name, prefix, alias) {
                return text(refusal);
            }
        }
        for switch in switches {
            match (switch, address) {
                ("detach", _) => {
                    if !self.detach_interface(now, name) {
                        return no_interface(name);
                    }
                }
                ("delete", Some(address)) => self.delete_address(name, address),
                ("delete", None) => self.delete_first_address(name),
                (other, _) => self.switch_interface(now, name, other == "up"),
            }
        }
        self.report();
        text("")
    }

    fn put_address(&mut self, now: Moment, name: &str, address: Prefix, alias: bool) -> Result<(), String> {
        let Some(ip) = self.ip_mut() else { return Ok(()) };
        let Some(port) = ip.ports.iter_mut().find(|port| port.name == name) else { return Ok(()) };
        port.attached = true;
        if !alias && address.address.is_ipv4() {
            let own = ip.station.interface(port.id).map(|own| own.addresses().to_vec()).unwrap_or_default();
            if let Some(first) = own.iter().find(|own| own.address.is_ipv4()) {
                ip.station.remove_address(port.id, first.address);
            }
        }
        ip.station.set_up(now.monotonic, port.id, true);
        let added = ip.station.add_address(now.monotonic, port.id, address);
        ip.client.try_now(now.monotonic);
        added.map_err(|_| {
            "ifconfig: 0821-555 ioctl (SIOCAIFADDR).: Do not specify an existing file.\n".to_owned()
        })
    }

    fn delete_address(&mut self, name: &str, address: IpAddr) {
        let Some(ip) = self.ip_mut() else { return };
        if let Some(port) = ip.ports.iter().find(|port| port.name == name) {
            ip.station.remove_address(port.id, address);
        }
    }

    fn delete_first_address(&mut self, name: &str) {
        let address = self.ip().and_then(|ip| {
            let port = ip.ports.iter().find(|port| port.name == name)?;
            Some(ip.interface(port)?.addresses().first()?.address)
        });
        if let Some(address) = address {
            self.delete_address(name, address);
        }
    }

    fn set_interface_mtu(&mut self, name: &str, mtu: u16) {
        let Some(ip) = self.ip_mut() else { return };
        if let Some(port) = ip.ports.iter().find(|port| port.name == name) {
            ip.station.set_mtu(port.id, mtu);
        }
    }

    pub(super) fn switch_interface(&mut self, now: Moment, name: &str, up: bool) {
        let Some(ip) = self.ip_mut() else { return };
        if let Some(port) = ip.ports.iter_mut().find(|port| port.name == name) {
            port.attached |= up;
            ip.station.set_up(now.monotonic, port.id, up);
            ip.client.try_now(now.monotonic);
        }
    }

    /// `netstat -i`, `-in`, `-r`, `-rn`; `-v` is that of `entstat`.
    pub(in super::super) fn netstat(&self, now: Moment, arguments: &[&str]) -> Reply {
        let Some(ip) = self.ip() else { return text("") };
        match arguments {
            ["-in"] | ["-i"] | ["-i", "-n"] | ["-ni"] => text(interface_table(ip)),
            ["-rn"] | ["-nr"] | ["-r", "-n"] => text(self.route_table(ip, true)),
            ["-r"] => text(self.route_table(ip, false)),
            ["-v"] => {
                let devices: Vec<String> = ip.ports.iter().map(|port| port.device.clone()).collect();
                let listings = devices.iter().filter_map(|device| self.adapter_statistics(now, device, true));
                text(listings.collect::<String>())
            }
            _ => text("usage: netstat [-n] [-r] [-i] [-v]\n"),
        }
    }

    fn route_table(&self, ip: &Ip, numeric: bool) -> String {
        let loopback = if numeric { "127.0.0.1" } else { "loopback" };
        let capital = if self.aix_version() >= ('7', '2') { "tree" } else { "Tree" };
        let line = |destination: &str, gateway: &str, flags: &str, interface: &str, chain: &str| {
            format!(
                "{destination:<18} {gateway:<17} {flags:<8} {:>2} {:>9} {interface:<8} -      -{chain}\n",
                0, 0
            )
        };
        let mut lines =
            "Routing tables\nDestination        Gateway           Flags   Refs     Use  If   Exp  Groups\n\n"
                .to_owned();
        lines.push_str(&format!("Route {capital} for Protocol Family 2 (Internet):\n"));
        for route in ip.station.routes().iter().filter(|route| route.destination.address.is_ipv4()) {
            let destination = match route.destination.length {
                0 => "default".to_owned(),
                length => format!("{}/{length}", network_part(route.destination)),
            };
            let gateway = route.gateway.map_or_else(|| "-".to_owned(), |gateway| gateway.to_string());
            let id = route
                .interface
                .or_else(|| route.gateway.and_then(|gateway| ip.station.interface_for(gateway)));
            let name = id.and_then(|id| ip.station.interface(id)).map_or("-", Interface::name);
            lines.push_str(&line(&destination, &gateway, "UG", name, ""));
        }
        lines.push_str(&line("127/8", loopback, "U", "lo0", ""));
        for (port, interface) in ip.attached() {
            for own in interface.addresses().iter().filter(|own| own.address.is_ipv4()) {
                let (address, network) = (own.address.to_string(), own.network().to_string());
                lines.push_str(&line(&network, &address, "UHSb", &port.name, "   =>"));
                let part = format!("{}/{}", network_part(*own), own.length);
                lines.push_str(&line(&part, &address, "U", &port.name, ""));
                lines.push_str(&line(&address, loopback, "UGHS", "lo0", ""));
                if let Some(broadcast) = own.broadcast() {
                    lines.push_str(&line(&broadcast.to_string(), &address, "UHSb", &port.name, ""));
                }
            }
        }
        let sixth = if numeric { "::1%1" } else { "loopback" };
        lines.push_str(&format!("\nRoute {capital} for Protocol Family 24 (Internet v6):\n"));
        lines.push_str(&line(sixth, sixth, "UH", "lo0", ""));
        lines
    }

    /// `arp -a`, `arp -an`, `arp -d HOST`.
    pub(in super::super) fn arp(&mut self, arguments: &[&str]) -> Reply {
        match arguments {
            ["-a" | "-an"] | ["-a", "-n"] => text(self.ip().map(arp_table).unwrap_or_default()),
            ["-d", host] => {
                let Ok(address) = host.parse::<Ipv4Addr>() else {
                    return text(format!("0821-275 arp: host name {host} not found\n"));
                };
                let Some(ip) = self.ip_mut() else { return text("") };
                let ids: Vec<_> = ip.ports.iter().map(|port| port.id).collect();
                let gone = ids.into_iter().any(|id| ip.station.forget_neighbour(id, address.into()));
                text(if gone {
                    format!("{host} ({address}) deleted\n")
                } else {
                    format!("{host} ({address}) -- no entry\n")
                })
            }
            _ => text("usage: arp -a | arp -d hostname\n"),
        }
    }

    /// `route add|delete DESTINATION GATEWAY`, until the next boot.
    pub(in super::super) fn route(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let words: Vec<&str> =
            arguments.iter().copied().filter(|word| !matches!(*word, "-net" | "-host" | "-inet")).collect();
        let [action @ ("add" | "delete"), destination, ref rest @ ..] = words[..] else {
            return text("usage: route add|delete [-net|-host] destination gateway [-netmask mask]\n");
        };
        let (gateway, mask) = match rest {
            [gateway] => (Some(*gateway), None),
            [gateway, "-netmask" | "netmask", mask] => (Some(*gateway), read_mask(mask)),
            [] if action == "delete" => (None, None),
            _ => return text("usage: route add|delete [-net|-host] destination gateway [-netmask mask]\n"),
        };
        let network = match destination {
            "default" | "0" => Some(Prefix::everything()),
            other => other.parse::<Prefix>().ok().or_else(|| {
                let address = other.parse::<Ipv4Addr>().ok()?;
                let host = arguments.contains(&"-host");
                Some(Prefix::new(address, mask.unwrap_or(if host { 32 } else { class_prefix(address) })))
            }),
        };
        let gateway_address = gateway.map(str::parse::<IpAddr>).transpose();
        let (Some(network), Ok(gateway_address)) = (network, gateway_address) else {
            return text(format!("0821-275 route: host name {destination} not found\n"));
        };
        let Some(ip) = self.ip_mut() else { return text("") };
        let shown = gateway.unwrap_or_default();
        if action == "add" {
            ip.station.add_route(Route { destination: network, gateway: gateway_address, interface: None });
            ip.client.try_now(now.monotonic);
            return text(format!("{shown} net {destination}: gateway {shown}\n"));
        }
        if ip.station.remove_route(network, gateway_address) {
            text(format!("{shown} net {destination}: gateway {shown}\n"))
        } else {
            text(format!(
                "writing to routing socket: The process does not exist.\ndelete net {destination}: gateway {shown}: not in table\n"
            ))
        }
    }

    /// `mktcpip -h HOST -a ADDRESS -m MASK -i INTERFACE [-g GATEWAY]`: on the boot disk and now.
    pub(in super::super) fn mktcpip(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let usage = "usage: mktcpip -h hostname -a address -i interface [-m subnet mask] [-g gateway] [-s]\n";
        let (mut host, mut address, mut mask, mut interface, mut gateway) = (None, None, None, None, None);
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let place = match *word {
                "-h" => &mut host,
                "-a" => &mut address,
                "-m" => &mut mask,
                "-i" => &mut interface,
                "-g" => &mut gateway,
                "-s" => continue,
                _ => return text(usage),
            };
            let Some(value) = words.next() else { return text(usage) };
            *place = Some(*value);
        }
        let (Some(host), Some(address), Some(interface)) = (host, address, interface) else {
            return text(usage);
        };
        let gateway = gateway.map(|gateway| format!("route=net,-hopcount,0,,0,{gateway}"));
        let steps = [
            Some(("inet0".to_owned(), format!("hostname={host}"))),
            Some((interface.to_owned(), format!("netaddr={address}"))),
            mask.map(|mask| (interface.to_owned(), format!("netmask={mask}"))),
            gateway.map(|gateway| ("inet0".to_owned(), gateway)),
        ];
        let before = self.configuration.clone();
        for (device, assignment) in steps.into_iter().flatten() {
            match self.chdev(now, &["-l", &device, "-a", &assignment]) {
                Reply::Durable { .. } => {}
                refused => {
                    self.configuration = before;
                    return refused;
                }
            }
        }
        let device = interface.replacen("en", "ent", 1);
        self.apply_configuration(now, &device);
        Reply::Durable {
            text: format!("{interface}\n{host}\ninet0 changed\n{interface} changed\n"),
            report: true,
        }
    }
}

/// A mask as dotted numbers or in hexadecimal.
pub(super) fn read_mask(mask: &str) -> Option<u8> {
    let mask = match mask.strip_prefix("0x") {
        Some(digits) => Ipv4Addr::from_bits(u32::from_str_radix(digits, 16).ok()?),
        None => mask.parse().ok()?,
    };
    prefix_of_mask(mask)
}

/// The prefix of an address's class, which holds where no mask is given.
fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

fn interface_table(ip: &Ip) -> String {
    let mut lines = "Name  Mtu   Network     Address           Ipkts Ierrs    Opkts Oerrs  Coll\n".to_owned();
    for (number, (port, interface)) in ip.attached().enumerate() {
        let counters = interface.counters();
        let figures = format!(
            " {:>8} {:>5} {:>8} {:>5} {:>5}\n",
            counters.received_frames,
            counters.receive_errors,
            counters.transmitted_frames,
            counters.transmit_drops,
            0
        );
        let star = if interface.is_up() { "" } else { "*" };
        let name = format!("{}{star}", port.name);
        let mac = dotted(interface.address(), ".");
        let link = format!("link#{}", number + 2);
        lines.push_str(&format!("{name:<5} {:<5} {link:<11} {mac:<17}{figures}", interface.mtu()));
        for own in interface.addresses() {
            let row = match own.address {
                IpAddr::V4(address) => format!("{:<11} {:<17}", network_part(*own), address.to_string()),
                IpAddr::V6(address) => format!("{:<29}", address.to_string()),
            };
            lines.push_str(&format!("{name:<5} {:<5} {row}{figures}", interface.mtu()));
        }
    }
    for (network, address) in [("link#1", ""), ("127", "127.0.0.1"), ("::1%1", "")] {
        lines.push_str(&format!(
            "lo0   16896 {network:<11} {address:<17} {:>8} {:>5} {:>8} {:>5} {:>5}\n",
            0, 0, 0, 0, 0
        ));
    }
    lines
}

fn arp_table(ip: &Ip) -> String {
    let (mut lines, mut buckets, mut count) = (String::new(), vec![0; BUCKETS as usize], 0);
    for entry in ip.station.neighbours() {
        let IpAddr::V4(address) = entry.address else { continue };
        let bucket = address.to_bits() % BUCKETS;
        buckets[bucket as usize] += 1;
        count += 1;
        lines.push_str(&match entry.ethernet {
            Some(ethernet) => {
                format!(
                    "  ? ({address}) at {} [ethernet] stored in bucket {bucket}\n\n",
                    dotted(ethernet, ":")
                )
            }
            None => format!("  ? ({address}) at (incomplete)\n\n"),
        });
    }
    for (bucket, entries) in buckets.iter().enumerate() {
        lines.push_str(&format!("bucket: {bucket:>4}     contains: {entries:>4} entries\n"));
    }
    lines.push_str(&format!("\nThere are {count} entries in the arp table.\n"));
    lines
}
