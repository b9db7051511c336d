//! Frames in one line each, as `tcpdump` prints them.

use std::fmt::Write;
use std::net::IpAddr;

use varan_ethernet::{EthernetAddress, TYPE_ARP, TYPE_IPV4, TYPE_IPV6};

use crate::packet::{ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, TCP, UDP, double_word, ipv4_at, ipv6_at, word};

/// Connections whose sequence numbers are shown from their beginning on; the oldest one gives way.
const CONNECTIONS: usize = 256;

/// What a frame must be to be shown: all that is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expression {
    /// Protocol: `tcp`, `udp`, `icmp`, `icmp6`, `arp`, `ip`, `ip6`.
    pub protocol: Option<String>,
    /// An address at either end.
    pub host: Option<IpAddr>,
    /// A port at either end.
    pub port: Option<u16>,
}

impl Expression {
    /// Reads primitives joined by `and`; `None` for what is not one of them.
    #[must_use]
    pub fn read(words: &[&str]) -> Option<Self> {
        let mut expression = Self::default();
        let mut words = words.iter().map(|word| word.trim_matches(['"', '\'']));
        while let Some(word) = words.next() {
            match word {
                "and" | "" => {}
                "tcp" | "udp" | "icmp" | "icmp6" | "arp" | "ip" | "ip6" => {
                    expression.protocol = Some(word.to_owned())
                }
                "host" => expression.host = Some(words.next()?.parse().ok()?),
                "port" => {
                    let port = words.next()?;
                    let known = SERVICES.iter().find(|(_, name)| *name == port).map(|(number, _)| *number);
                    expression.port = Some(known.or_else(|| port.parse().ok())?);
                }
                _ => return None,
            }
        }
        Some(expression)
    }

    fn takes(&self, seen: &Seen<'_>) -> bool {
        let protocol = match self.protocol.as_deref() {
            None => true,
            Some("arp") => seen.kind == TYPE_ARP,
            Some("ip") => seen.kind == TYPE_IPV4,
            Some("ip6") => seen.kind == TYPE_IPV6,
            Some(name) => match name {
                "tcp" => seen.protocol == Some(TCP),
                "udp" => seen.protocol == Some(UDP),
                "icmp" => seen.protocol == Some(ICMP),
                _ => seen.protocol == Some(ICMPV6),
            },
        };
        let hosts = seen.ends.map(|(source, destination)| [source, destination]);
        let ports = seen.ports.map(|(source, destination)| [source, destination]);
        protocol
            && self.host.is_none_or(|host| hosts.is_some_and(|hosts| hosts.contains(&host)))
            && self.port.is_none_or(|port| ports.is_some_and(|ports| ports.contains(&port)))
    }
}

const SERVICES: &[(u16, &str)] =
    &[(22, "ssh"), (25, "smtp"), (53, "domain"), (80, "http"), (123, "ntp"), (443, "https"), (657, "rmc")];

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Flags of TCP in brackets with lengths, as `tcpdump` 4 has them; else as version 3, which AIX has.
    pub modern: bool,
    /// Ports as numbers.
    pub numeric: bool,
}

/// What is in a frame, as far as its first bytes tell.
struct Seen<'a> {
    kind: u16,
    ends: Option<(IpAddr, IpAddr)>,
    protocol: Option<u8>,
    ports: Option<(u16, u16)>,
    /// Bytes of the packet's payload by its header.
    length: usize,
    payload: &'a [u8],
}

impl<'a> Seen<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let kind = word(bytes, 12)?;
        let packet = bytes.get(14..)?;
        let none = Self { kind, ends: None, protocol: None, ports: None, length: 0, payload: packet };
        let (source, destination, protocol, header, length): (IpAddr, IpAddr, _, _, _) = match kind {
            TYPE_IPV4 => {
                let header = usize::from(packet.first()? & 0x0F) * 4;
                let length = usize::from(word(packet, 2)?).checked_sub(header.max(IPV4_HEADER))?;
                (ipv4_at(packet, 12)?.into(), ipv4_at(packet, 16)?.into(), *packet.get(9)?, header, length)
            }
            TYPE_IPV6 => {
                let length = usize::from(word(packet, 4)?);
                (
                    ipv6_at(packet, 8)?.into(),
                    ipv6_at(packet, 24)?.into(),
                    *packet.get(6)?,
                    IPV6_HEADER,
                    length,
                )
            }
            _ => return Some(none),
        };
        let payload = packet.get(header..).unwrap_or_default();
        let ports = match (protocol, word(payload, 0), word(payload, 2)) {
            (TCP | UDP, Some(source), Some(destination)) => Some((source, destination)),
            _ => None,
        };
        Some(Self {
            kind,
            ends: Some((source, destination)),
            protocol: Some(protocol),
            ports,
            length,
            payload,
        })
    }
}

/// Addresses and ports of both sides, the lower one first.
type Ends = [(IpAddr, u16); 2];

/// Prints frames; remembers where connections began.
#[derive(Debug)]
pub struct Dissector {
    style: Style,
    expression: Expression,
    /// Ends and first sequence numbers: of the side with the lower end, of the other one.
    connections: Vec<(Ends, [Option<u32>; 2])>,
}

impl Dissector {
    /// A printer.
    #[must_use]
    pub fn new(style: Style, expression: Expression) -> Self {
        Self { style, expression, connections: Vec::new() }
    }

    /// The line of a frame without its time; `None` for one that the expression leaves out.
    pub fn line(&mut self, bytes: &[u8]) -> Option<String> {
        let seen = Seen::of(bytes)?;
        if !self.expression.takes(&seen) {
            return None;
        }
        let Some((source, destination)) = seen.ends else {
            return Some(if seen.kind == TYPE_ARP {
                self.arp(seen.payload).unwrap_or_else(|| "[|arp]".to_owned())
            } else {
                format!(
                    "{} > {}, ethertype Unknown (0x{:04x}), length {}",
                    mac(bytes, 6),
                    mac(bytes, 0),
                    seen.kind,
                    bytes.len()
                )
            });
        };
        let family = if seen.kind == TYPE_IPV4 { "IP" } else { "IP6" };
        let ends = match seen.ports {
            Some((from, to)) => format!("{source}.{} > {destination}.{}", self.port(from), self.port(to)),
            None => format!("{source} > {destination}"),
        };
        let what = match seen.protocol {
            Some(TCP) => self.tcp(&seen, (source, destination)).unwrap_or_else(|| "[|tcp]".to_owned()),
            Some(UDP) => format!("UDP, length {}", seen.length.saturating_sub(8)),
            Some(ICMP) => control(seen.payload, seen.length).unwrap_or_else(|| "[|icmp]".to_owned()),
            Some(ICMPV6) => control_six(seen.payload, seen.length).unwrap_or_else(|| "[|icmp6]".to_owned()),
            Some(other) => format!("ip-proto-{other} {}", seen.length),
            None => String::new(),
        };
        Some(format!("{family} {ends}: {what}"))
    }

    fn port(&self, port: u16) -> String {
        let known = SERVICES.iter().find(|(number, _)| *number == port && !self.style.numeric);
        known.map_or_else(|| port.to_string(), |(_, name)| (*name).to_owned())
    }

    fn arp(&self, packet: &[u8]) -> Option<String> {
        let (source, target) = (ipv4_at(packet, 14)?, ipv4_at(packet, 24)?);
        Some(match (word(packet, 6)?, self.style.modern) {
            (1, false) => format!("arp who-has {target} tell {source}"),
            (1, true) => format!("ARP, Request who-has {target} tell {source}, length {}", packet.len()),
            (2, false) => format!("arp reply {source} is-at {} (oui Unknown)", mac(packet, 8)),
            (_, _) => format!("ARP, Reply {source} is-at {}, length {}", mac(packet, 8), packet.len()),
        })
    }

    /// The sequence number of a segment, from the beginning of its connection on, and that of the acknowledgement.
    fn relative(&mut self, ends: (IpAddr, IpAddr), ports: (u16, u16), segment: &[u8]) -> Option<(u32, u32)> {
        let (sequence, acknowledged) = (double_word(segment, 4)?, double_word(segment, 8)?);
        let mut key = [(ends.0, ports.0), (ends.1, ports.1)];
        let swapped = key[0] > key[1];
        key.sort_unstable();
        let own = usize::from(swapped);
        let opens = segment.get(13)? & 0x02 != 0;
        let at = self.connections.iter().position(|(known, _)| *known == key);
        let Some(at) = at else {
            if self.connections.len() >= CONNECTIONS {
                self.connections.remove(0);
            }
            let mut first = [None; 2];
            first[own] = Some(sequence);
            self.connections.push((key, first));
            return Some((sequence, acknowledged));
        };
        let first = &mut self.connections[at].1;
        if opens {
            // Sequence numbers are absolute where they begin.
            first[own] = Some(sequence);
            return Some((sequence, acknowledged));
        }
        let before = first[own];
        first[own].get_or_insert(sequence);
        let acknowledged = first[1 - own].map_or(acknowledged, |first| acknowledged.wrapping_sub(first));
        Some((before.map_or(sequence, |first| sequence.wrapping_sub(first)), acknowledged))
    }

    fn tcp(&mut self, seen: &Seen<'_>, ends: (IpAddr, IpAddr)) -> Option<String> {
        let segment = seen.payload;
        let flags = *segment.get(13)?;
        let header = usize::from(segment.get(12)? >> 4) * 4;
        let data = seen.length.saturating_sub(header);
        let (sequence, acknowledged) = self.relative(ends, seen.ports?, segment)?;
        let window = word(segment, 14)?;
        let mut letters = String::new();
        for (bit, letter) in [(0x01, 'F'), (0x02, 'S'), (0x04, 'R'), (0x08, 'P')] {
            if flags & bit != 0 {
                letters.push(letter);
            }
        }
        let has_sequence = data > 0 || flags & 0x07 != 0;
        let end = sequence.wrapping_add(data as u32);
        let mut line = String::new();
        if self.style.modern {
            if flags & 0x10 != 0 {
                letters.push('.');
            }
            let _ = write!(line, "Flags [{letters}]");
            if data > 0 {
                let _ = write!(line, ", seq {sequence}:{end}");
            } else if has_sequence {
                let _ = write!(line, ", seq {sequence}");
            }
            if flags & 0x10 != 0 {
                let _ = write!(line, ", ack {acknowledged}");
            }
            let _ = write!(line, ", win {window}, length {data}");
            return Some(line);
        }
        line.push_str(if letters.is_empty() { "." } else { &letters });
        if has_sequence {
            let _ = write!(line, " {sequence}:{end}({data})");
        }
        if flags & 0x10 != 0 {
            let _ = write!(line, " ack {acknowledged}");
        }
        let _ = write!(line, " win {window} ");
        Some(line)
    }
}

fn mac(bytes: &[u8], at: usize) -> String {
    let address = bytes.get(at..at + 6).and_then(|bytes| bytes.try_into().ok());
    EthernetAddress(address.unwrap_or_default()).to_string()
}

fn control(message: &[u8], length: usize) -> Option<String> {
    let echo = |what: &str| {
        Some(format!("ICMP {what}, id {}, seq {}, length {length}", word(message, 4)?, word(message, 6)?))
    };
    match (*message.first()?, *message.get(1)?) {
        (8, _) => echo("echo request"),
        (0, _) => echo("echo reply"),
        (3, code) => {
            let inner = message.get(8..)?;
            let (host, port) = (ipv4_at(inner, 16)?, word(inner, 22));
            Some(match (code, port) {
                (0, _) => format!("ICMP net {host} unreachable, length {length}"),
                (3, Some(port)) => format!("ICMP {host} udp port {port} unreachable, length {length}"),
                _ => format!("ICMP host {host} unreachable, length {length}"),
            })
        }
        (11, _) => Some(format!("ICMP time exceeded in-transit, length {length}")),
        (kind, code) => Some(format!("ICMP type-#{kind}, code {code}, length {length}")),
    }
}

fn control_six(message: &[u8], length: usize) -> Option<String> {
    let target = || ipv6_at(message, 8);
    Some(match *message.first()? {
        128 => format!("ICMP6, echo request, seq {}, length {length}", word(message, 6)?),
        129 => format!("ICMP6, echo reply, seq {}, length {length}", word(message, 6)?),
        135 => format!("ICMP6, neighbor solicitation, who has {}, length {length}", target()?),
        136 => format!("ICMP6, neighbor advertisement, tgt is {}, length {length}", target()?),
        1 => format!("ICMP6, destination unreachable, length {length}"),
        kind => format!("ICMP6, type-#{kind}, length {length}"),
    })
}
