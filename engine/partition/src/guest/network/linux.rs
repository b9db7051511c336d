//! Linux's commands about the network: `ip`, `ifconfig`, `ethtool`, `arp`, `netstat`.

use std::net::IpAddr;

use varan_contract::network::GuestPort;
use varan_station::{Interface, Prefix, Route};

use super::super::adapters::Adapter;
use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};
use super::{Ip, Port};

const IP_USAGE: &str = "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\nwhere  OBJECT := { address | link | neighbour | route }\n";

impl Guest {
    /// `ip addr|link|route|neigh`, with `show`, `add`, `del` and `set`.
    pub(in super::super) fn ip_command(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let words: Vec<&str> =
            arguments.iter().copied().filter(|word| !matches!(*word, "-4" | "-6" | "-br")).collect();
        let Some((object, rest)) = words.split_first() else { return text(IP_USAGE) };
        let rest = match rest {
            ["show" | "list" | "ls", rest @ ..] => rest,
            other => other,
        };
        let device = match rest {
            [] => None,
            ["dev", device] | [device] if !matches!(*device, "add" | "del" | "set") => Some(*device),
            _ => return self.change_ip(now, object, rest),
        };
        let Some(ip) = self.ip() else { return text("") };
        if let Some(device) = device
            && device != "lo"
            && !ip.ports.iter().any(|port| port.name == device)
        {
            return text(format!("Device \"{device}\" does not exist.\n"));
        }
        match *object {
            "a" | "ad" | "addr" | "address" => text(links(ip, device, true)),
            "l" | "li" | "link" => text(links(ip, device, false)),
            "r" | "ro" | "route" => text(routes(ip)),
            "n" | "ne" | "neigh" | "neighbor" | "neighbour" => text(neighbours(ip)),
            other => text(format!("Object \"{other}\" is unknown, try \"ip help\".\n")),
        }
    }

    fn change_ip(&mut self, now: Moment, object: &str, words: &[&str]) -> Reply {
        let Some(ip) = self.ip_mut() else { return text("") };
        let port = |ip: &Ip, name: &str| ip.ports.iter().find(|port| port.name == name).map(|port| port.id);
        match (object, words) {
            (
                "l" | "link",
                ["set", "dev", name, state @ ("up" | "down")] | ["set", name, state @ ("up" | "down")],
            ) => match port(ip, name) {
                Some(_) => self.switch_interface(now, name, *state == "up"),
                None => return text(format!("Cannot find device \"{name}\"\n")),
            },
            ("l" | "link", ["set", "dev", name, "mtu", mtu] | ["set", name, "mtu", mtu]) => {
                match (port(ip, name), mtu.parse().ok().filter(|mtu| (68..=9_000).contains(mtu))) {
                    (Some(id), Some(mtu)) => ip.station.set_mtu(id, mtu),
                    (None, _) => return text(format!("Cannot find device \"{name}\"\n")),
                    _ => return text(format!("Error: argument \"{mtu}\" is wrong: Invalid \"mtu\" value\n")),
                }
            }
            ("a" | "addr" | "address", [action @ ("add" | "del"), address, "dev", name]) => {
                let prefix = address.parse::<Prefix>().ok().or_else(|| {
                    let address: IpAddr = address.parse().ok()?;
                    Some(Prefix::new(address, if address.is_ipv4() { 32 } else { 128 }))
                });
                let Some(prefix) = prefix else {
                    return text(format!("Error: any valid prefix is expected rather than \"{address}\".\n"));
                };
                let Some(id) = port(ip, name) else {
                    return text(format!("Cannot find device \"{name}\"\n"));
                };
                if *action == "del" {
                    if !ip.station.remove_address(id, prefix.address) {
                        return text("RTNETLINK answers: Cannot assign requested address\n");
                    }
                } else if ip.station.add_address(now.monotonic, id, prefix).is_err() {
                    return text("RTNETLINK answers: File exists\n");
                }
                ip.client.try_now(now.monotonic);
            }
            ("r" | "route", [action @ ("add" | "del"), destination, rest @ ..]) => {
                let network = match *destination {
                    "default" => Some(Prefix::everything()),
                    other => other.parse().ok(),
                };
                let Some(network) = network else {
                    return text(format!(
                        "Error: any valid prefix is expected rather than \"{destination}\".\n"
                    ));
                };
                let gateway = match rest {
                    ["via", gateway, ..] => gateway.parse::<IpAddr>().ok(),
                    _ => None,
                };
                if *action == "del" {
                    if !ip.station.remove_route(network, gateway) {
                        return text("RTNETLINK answers: No such process\n");
                    }
                } else {
                    let Some(gateway) = gateway else {
                        return text("RTNETLINK answers: No such device\n");
                    };
                    if ip.station.interface_for(gateway).is_none() {
                        return text("Error: Nexthop has invalid gateway.\n");
                    }
                    ip.station.add_route(Route {
                        destination: network,
                        gateway: Some(gateway),
                        interface: None,
                    });
                }
                ip.client.try_now(now.monotonic);
            }
            _ => return text(IP_USAGE),
        }
        self.report();
        text("")
    }

    /// `ifconfig`, `ifconfig -a`, `ifconfig NAME [up|down]` of net-tools.
    pub(in super::super) fn ifconfig_linux(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let Some(ip) = self.ip() else { return text("") };
        match arguments {
            [] | ["-a"] => {
                let all = arguments == ["-a"];
                let shown = ip.attached().filter(|(_, interface)| all || interface.is_up());
                let lines: String = shown.map(|(port, interface)| net_tools(port, interface)).collect();
                text(format!("{lines}{LOOPBACK}"))
            }
            ["lo"] => text(LOOPBACK),
            [name] => match ip.attached().find(|(port, _)| port.name == *name) {
                Some((port, interface)) => text(net_tools(port, interface)),
                None => text(format!("{name}: error fetching interface information: Device not found\n")),
            },
            [name, state @ ("up" | "down")] => {
                if !ip.ports.iter().any(|port| port.name == *name) {
                    return text(format!("{name}: ERROR while getting interface flags: No such device\n"));
                }
                self.switch_interface(now, name, *state == "up");
                self.report();
                text("")
            }
            _ => text("ifconfig: this form is not provided; use ip\n"),
        }
    }

    /// `ethtool NAME`, `-i NAME`, `-S NAME`.
    pub(in super::super) fn ethtool(&self, arguments: &[&str]) -> Reply {
        let (option, name) = match arguments {
            [name] => ("", *name),
            [option @ ("-i" | "-S"), name] => (*option, *name),
            _ => return text("ethtool: bad command line argument(s)\nFor more information run ethtool -h\n"),
        };
        let Some(ip) = self.ip() else { return text("") };
        let Some(port) = ip.ports.iter().find(|port| port.name == name) else {
            return text(if option == "-i" {
                "Cannot get driver information: No such device\n".to_owned()
            } else {
                format!("Settings for {name}:\nNo data available\n")
            });
        };
        let (Some(interface), Some(adapter)) = (ip.interface(port), self.adapter_at(port.at.0, port.at.1))
        else {
            return text("");
        };
        let counted =
            ip.counters.iter().find(|(at, _)| (at.adapter, at.index) == port.at).map(|(_, counted)| *counted);
        let counted = counted.unwrap_or_default();
        text(match option {
            "-i" => driver(&adapter, port),
            "-S" => {
                let counters = interface.counters();
                let rows = [
                    ("rx_packets", counters.received_frames),
                    ("rx_bytes", counters.received_bytes),
                    ("rx_no_buffer", ip.dropped),
                    ("rx_invalid_buffer", counters.receive_errors),
                    ("tx_packets", counters.transmitted_frames),
                    ("tx_bytes", counters.transmitted_bytes),
                    ("tx_send_failed", counted.transmit_drops),
                    ("tx_invalid_vlan", counted.invalid_vlan_frames),
                ];
                let rows: String =
                    rows.iter().map(|(name, value)| format!("     {name}: {value}\n")).collect();
                format!("NIC statistics:\n{rows}")
            }
            _ => format!(
                "Settings for {name}:\n\tSpeed: 10000Mb/s\n\tDuplex: Full\n\tAuto-negotiation: off\n\tPort: FIBRE\n\tPHYAD: 0\n\tTransceiver: internal\n\tLink detected: {}\n",
                if interface.has_carrier() { "yes" } else { "no" }
            ),
        })
    }

    /// The port of a guest as the network knows it.
    pub(super) fn guest_port(&self, port: &Port) -> GuestPort {
        GuestPort { partition: self.specification.partition, adapter: port.at.0, index: port.at.1 }
    }
}

fn driver(adapter: &Adapter<'_>, port: &Port) -> String {
    let (driver, version, bus) = match (adapter, port.at.0) {
        (Adapter::Network(_), varan_contract::engine::AdapterAddress::Virtual(slot)) => {
            ("ibmveth", "1.06", format!("3{:07x}", slot.0))
        }
        (Adapter::Vnic(adapter), _) => ("ibmvnic", "1.0.1", format!("3{:07x}", adapter.slot.0)),
        _ => ("mlx5_core", "5.0-0", format!("{:04x}:01:00.0", port.id.0)),
    };
    format!(
        "driver: {driver}\nversion: {version}\nfirmware-version: \nexpansion-rom-version: \nbus-info: {bus}\nsupports-statistics: yes\nsupports-test: no\nsupports-eeprom-access: no\nsupports-register-dump: no\nsupports-priv-flags: no\n"
    )
}

/// What stands in the angle brackets, and the word for the state.
fn flags(interface: &Interface) -> (&'static str, &'static str) {
    match (interface.is_up(), interface.has_carrier()) {
        (true, true) => ("BROADCAST,MULTICAST,UP,LOWER_UP", "UP"),
        (true, false) => ("NO-CARRIER,BROADCAST,MULTICAST,UP", "DOWN"),
        (false, _) => ("BROADCAST,MULTICAST", "DOWN"),
    }
}

fn links(ip: &Ip, device: Option<&str>, addresses: bool) -> String {
    let mut lines = String::new();
    if device.is_none_or(|device| device == "lo") {
        lines.push_str("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN ");
        lines.push_str(if addresses {
            "group default qlen 1000\n"
        } else {
            "mode DEFAULT group default qlen 1000\n"
        });
        lines.push_str("    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n");
        if addresses {
            lines.push_str(
                "    inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n",
            );
        }
    }
    for (number, port) in ip.ports.iter().enumerate() {
        let Some(interface) = ip.interface(port).filter(|_| device.is_none_or(|device| device == port.name))
        else {
            continue;
        };
        let (flags, state) = flags(interface);
        let mode = if addresses { "" } else { "mode DEFAULT " };
        lines.push_str(&format!(
            "{}: {}: <{flags}> mtu {} qdisc fq_codel state {state} {mode}group default qlen 1000\n    link/ether {} brd ff:ff:ff:ff:ff:ff\n",
            number + 2,
            port.name,
            interface.mtu(),
            interface.address()
        ));
        if !addresses {
            continue;
        }
        for own in interface.addresses() {
            lines.push_str(&match own.address {
                IpAddr::V4(address) => format!(
                    "    inet {own} brd {} scope global {}\n",
                    own.broadcast().unwrap_or(address),
                    port.name
                ),
                IpAddr::V6(_) => format!("    inet6 {own} scope link \n"),
            });
            lines.push_str("       valid_lft forever preferred_lft forever\n");
        }
    }
    lines
}

fn routes(ip: &Ip) -> String {
    let mut lines = String::new();
    for route in ip.station.routes() {
        let destination = if route.destination.length == 0 {
            "default".to_owned()
        } else {
            format!("{}/{}", route.destination.network(), route.destination.length)
        };
        let gateway = route.gateway.map_or_else(String::new, |gateway| format!(" via {gateway}"));
        let id =
            route.interface.or_else(|| route.gateway.and_then(|gateway| ip.station.interface_for(gateway)));
        let name = id.and_then(|id| ip.station.interface(id)).map_or("lo", Interface::name);
        lines.push_str(&format!("{destination}{gateway} dev {name} \n"));
    }
    for (port, interface) in ip.attached().filter(|(_, interface)| interface.is_up()) {
        for own in interface.addresses().iter().filter(|own| own.address.is_ipv4()) {
            let network = own.network();
            lines.push_str(&format!(
                "{network}/{} dev {} proto kernel scope link src {} \n",
                own.length, port.name, own.address
            ));
        }
    }
    lines
}

fn neighbours(ip: &Ip) -> String {
    let mut lines = String::new();
    for entry in ip.station.neighbours() {
        let name = ip.station.interface(entry.interface).map_or("", Interface::name);
        lines.push_str(&match entry.ethernet {
            Some(ethernet) => format!("{} dev {name} lladdr {ethernet} REACHABLE\n", entry.address),
            None => format!("{} dev {name}  INCOMPLETE\n", entry.address),
        });
    }
    lines
}

const LOOPBACK: &str = "lo        Link encap:Local Loopback  \n          inet addr:127.0.0.1  Mask:255.0.0.0\n          inet6 addr: ::1/128 Scope:Host\n          UP LOOPBACK RUNNING  MTU:65536  Metric:1\n\n";

/// Bytes with their unit, as net-tools has them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}.0 B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn net_tools(port: &Port, interface: &Interface) -> String {
    let counters = interface.counters();
    let mut lines = format!("{:<9} Link encap:Ethernet  HWaddr {}  \n", port.name, interface.address());
    for own in interface.addresses() {
        lines.push_str(&match own.address {
            IpAddr::V4(address) => format!(
                "          inet addr:{address}  Bcast:{}  Mask:{}\n",
                own.broadcast().unwrap_or(address),
                own.mask()
            ),
            IpAddr::V6(_) => format!("          inet6 addr: {own} Scope:Link\n"),
        });
    }
    let up = if interface.is_up() { "UP " } else { "" };
    let running = if interface.works() { "RUNNING " } else { "" };
    lines.push_str(&format!(
        "          {up}BROADCAST {running}MULTICAST  MTU:{}  Metric:1\n          RX packets:{} errors:{} dropped:{} overruns:0 frame:0\n          TX packets:{} errors:0 dropped:{} overruns:0 carrier:0\n          collisions:0 txqueuelen:1000\n          RX bytes:{} ({})  TX bytes:{} ({})\n\n",
        interface.mtu(),
        counters.received_frames,
        counters.receive_errors,
        counters.receive_drops,
        counters.transmitted_frames,
        counters.transmit_drops,
        counters.received_bytes,
        size(counters.received_bytes),
        counters.transmitted_bytes,
        size(counters.transmitted_bytes)
    ));
    lines
}
