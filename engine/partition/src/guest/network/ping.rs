//! `ping`, each operating system's.

use std::net::IpAddr;
use std::time::Duration;

use varan_contract::engine::Personality;
use varan_environment::Monotonic;
use varan_station::{EchoEvent, EchoId, EchoRequest, InterfaceId, StationError, is_link_local};

use super::super::session::User;
use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};
use super::Ip;
use super::foreground::{Program, Progress};

/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
const AIX_USAGE: &str = "usage: ping [-dDfnqrvRL] [-a addr_family] [-c count] [-i wait] [-I interface]\n            [-s packetsize] [-S hostname/IP addr] [-w timeout] host [packetsize] [count]\n";
const LINUX_USAGE: &str =
    "Usage: ping [-c count] [-i interval] [-s packetsize] [-I interface] [-W timeout] destination\n";

/// A `ping` that runs.
pub(in super::super) struct Ping {
    echo: EchoId,
    linux: bool,
    /// As it was typed, and the address behind it.
    name: String,
    address: IpAddr,
    size: u16,
    began: Monotonic,
    /// When the last answer is not waited for any more.
    end: Option<Monotonic>,
    wait: Duration,
    answered: u64,
    errors: u64,
    /// Sum and sum of squares of the times in microseconds.
    sums: (f64, f64),
    quiet: bool,
}

struct Wanted {
    count: Option<u64>,
    interval: Duration,
    size: u16,
    interface: Option<String>,
    wait: Duration,
    quiet: bool,
    host: String,
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (0.001..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

fn options(arguments: &[&str], linux: bool) -> Option<Wanted> {
    let mut wanted = Wanted {
        count: None,
        interval: Duration::from_secs(1),
        size: 56,
        interface: None,
        wait: LAST_ANSWERS,
        quiet: false,
        host: String::new(),
    };
    let mut plain = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
            plain.push(*word);
            continue;
        };
        let letter = flag.chars().next()?;
        if matches!(letter, 'n' | 'q' | '4' | '6' | 'v') && flag.len() == 1 {
            wanted.quiet |= letter == 'q';
            continue;
        }
        let value = if flag.len() > 1 { &flag[1..] } else { words.next()? };
        match letter {
            'c' => wanted.count = Some(value.parse().ok().filter(|count| *count > 0)?),
            'i' => wanted.interval = seconds(value)?,
            's' => wanted.size = value.parse().ok()?,
            'I' => wanted.interface = Some(value.to_owned()),
            'w' | 'W' => wanted.wait = seconds(value)?,
            'S' | 'a' if !linux => {}
            _ => return None,
        }
    }
    match plain[..] {
        [host] => wanted.host = host.to_owned(),
        [host, size] if !linux => (wanted.host, wanted.size) = (host.to_owned(), size.parse().ok()?),
        [host, size, count] if !linux => {
            (wanted.host, wanted.size) = (host.to_owned(), size.parse().ok()?);
            wanted.count = Some(count.parse().ok()?);
        }
        _ => return None,
    }
    Some(wanted)
}

impl Guest {
    /// The address behind a name: numbers, and the guest's own names; there is no name service.
    pub(super) fn resolve(&self, host: &str) -> Option<(IpAddr, Option<InterfaceId>)> {
        let (plain, zone) = match host.split_once('%') {
            Some((plain, zone)) => (plain, Some(zone)),
            None => (host, None),
        };
        let interface = match zone {
            Some(zone) => Some(self.ip()?.station.interface_named(zone)?),
            None => None,
        };
        if let Ok(address) = plain.parse() {
            return Some((address, interface));
        }
        let own = host == self.hostname() || Some(host) == self.hostname().split('.').next();
        match host {
            "localhost" | "loopback" => Some((IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), None)),
            _ if own => self.reported_addresses().first().map(|(_, address)| (IpAddr::V4(*address), None)),
            _ => None,
        }
    }

    pub(in super::super) fn ping(&mut self, now: Moment, user: User, arguments: &[&str]) -> Reply {
        let linux = self.personality() == Personality::Linux;
        let Some(wanted) = options(arguments, linux) else {
            return text(if linux { LINUX_USAGE } else { AIX_USAGE });
        };
        let Some((address, zone)) = self.resolve(&wanted.host) else {
            return text(if linux {
                format!("ping: {}: Name or service not known\n", wanted.host)
            } else {
                format!("0821-062 ping: host name {} NOT FOUND\n", wanted.host)
            });
        };
        let Some(ip) = self.ip_mut() else { return text("") };
        let via = match &wanted.interface {
            Some(name) => match ip.station.interface_named(name) {
                Some(id) => Some(id),
                None => return text(format!("ping: unknown iface {name}\n")),
            },
            None => zone,
        };
        if linux && !address.is_loopback() && ip.station.source_for(address, via).is_none() {
            return text("connect: Network is unreachable\n");
        }
        let request = EchoRequest {
            to: address,
            via,
            count: wanted.count,
            interval: wanted.interval,
            size: wanted.size,
            ttl: (!linux && address.is_ipv4()).then_some(255),
        };
        let echo = match ip.station.echo_start(now.monotonic, request) {
            Ok(echo) => echo,
            Err(error) => return text(format!("ping: {error}\n")),
        };
        let ping = Ping {
            echo,
            linux,
            name: wanted.host,
            address,
            size: wanted.size,
            began: now.monotonic,
            end: None,
            wait: wanted.wait,
            answered: 0,
            errors: 0,
            sums: (0.0, 0.0),
            quiet: wanted.quiet,
        };
        let head = ping.head();
        self.begin_foreground(user, Program::Ping(ping), &head);
        Reply::Waiting
    }
}

impl Ping {
    fn head(&self) -> String {
        let (name, address, size) = (&self.name, self.address, self.size);
        match (self.linux, address) {
            (true, IpAddr::V4(_)) => {
                format!("PING {name} ({address}) {size}({}) bytes of data.\n", size + 28)
            }
            (true, IpAddr::V6(_)) => format!("PING {name}({name}) {size} data bytes\n"),
            (false, IpAddr::V4(_)) => format!("PING {name}: ({address}): {size} data bytes\n"),
            (false, IpAddr::V6(_)) => format!("PING {name} ({address}): {size} data bytes\n"),
        }
    }

    pub(super) fn due(&self) -> Option<Monotonic> {
        self.end
    }

    pub(super) fn advance(&mut self, now: Moment, ip: &mut Ip, output: &mut String) -> Progress {
        for event in ip.station.echo_events(self.echo) {
            match event {
                EchoEvent::Answer { sequence, from, ttl, time, bytes, duplicate } => {
                    let microseconds = time.as_secs_f64() * 1e6;
                    if !duplicate {
                        self.answered += 1;
                        self.sums.0 += microseconds;
                        self.sums.1 += microseconds * microseconds;
                    }
                    if !self.quiet {
                        let again = if duplicate { " (DUP!)" } else { "" };
                        let number = if self.linux { sequence + 1 } else { sequence };
                        let from = if self.linux && is_link_local(from) {
                            format!("{from}%{}", self.zone(ip))
                        } else {
                            from.to_string()
                        };
                        let time = self.time(time);
                        output.push_str(&format!(
                            "{bytes} bytes from {from}: icmp_seq={number} ttl={ttl} time={time} ms{again}\n"
                        ));
                    }
                }
                EchoEvent::Unreachable { sequence, from, kind } => {
                    self.errors += 1;
                    if self.linux {
                        let what = trouble(kind);
                        output.push_str(&format!("From {from} icmp_seq={} {what}\n", sequence + 1));
                    }
                }
                EchoEvent::NotSent { error, .. } => {
                    self.errors += 1;
                    output.push_str(&self.not_sent(error));
                }
            }
        }
        let sums = ip.station.echo_statistics(now.monotonic, self.echo).unwrap_or_default();
        if !ip.station.echo_is_asked(self.echo) {
            return Progress::Runs;
        }
        let end = *self.end.get_or_insert(now.monotonic.after(self.wait));
        if sums.answered >= sums.sent || self.errors >= sums.sent || end <= now.monotonic {
            return Progress::Done;
        }
        Progress::Runs
    }

    fn zone(&self, ip: &Ip) -> String {
        let id = ip.station.interface_for(self.address);
        id.and_then(|id| ip.station.interface(id)).map_or_else(String::new, |own| own.name().to_owned())
    }

    fn not_sent(&self, error: StationError) -> String {
        if self.linux {
            return format!("ping: sendmsg: {}\n", capital(&error.to_string()));
        }
        let why = match error {
            StationError::TooLarge => "The message is too long.".to_owned(),
            StationError::Unreachable => "Cannot reach the destination network.".to_owned(),
            StationError::Refused => "Permission denied".to_owned(),
            other => other.to_string(),
        };
        format!(
            "0821-069 ping: sendto: {why}\nping: wrote {} {} chars, ret=-1\n",
            self.name,
            u32::from(self.size) + 8
        )
    }

    /// AIX: whole milliseconds for IPv4, three places for IPv6. Linux: as many places as make three figures.
    fn time(&self, time: Duration) -> String {
        let milliseconds = time.as_secs_f64() * 1e3;
        let places = match (self.linux, self.address) {
            (false, IpAddr::V4(_)) => return format!("{}", time.as_millis()),
            (false, IpAddr::V6(_)) => 3,
            (true, _) => match time.as_micros() {
                0..1_000 => 3,
                1_000..10_000 => 2,
                10_000..100_000 => 1,
                _ => 0,
            },
        };
        format!("{milliseconds:.places$}")
    }

    pub(super) fn end(&mut self, now: Moment, ip: &mut Ip, output: &mut String) {
        let sums = ip.station.echo_stop(now.monotonic, self.echo).unwrap_or_default();
        let (sent, answered) = (sums.sent, sums.answered);
        let lost = (sent - answered.min(sent)) * 100 / sent.max(1);
        output.push_str(&format!("\n--- {} ping statistics ---\n", self.name));
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let average = self.sums.0 / self.answered.max(1) as f64;
        if self.linux {
            let errors = if self.errors > 0 { format!("+{} errors, ", self.errors) } else { String::new() };
            let doubles = if sums.duplicates > 0 {
                format!("+{} duplicates, ", sums.duplicates)
            } else {
                String::new()
            };
            output.push_str(&format!(
                "{sent} packets transmitted, {answered} received, {doubles}{errors}{lost}% packet loss, time {}ms\n",
                now.monotonic.since(self.began).as_millis()
            ));
            if answered > 0 {
                let deviation =
                    (self.sums.1 / self.answered.max(1) as f64 - average * average).max(0.0).sqrt();
                output.push_str(&format!(
                    "rtt min/avg/max/mdev = {:.3}/{:.3}/{:.3}/{:.3} ms\n",
                    milliseconds(sums.minimum),
                    average / 1e3,
                    milliseconds(sums.maximum),
                    deviation / 1e3
                ));
            } else {
                output.push('\n');
            }
            return;
        }
        let doubles =
            if sums.duplicates > 0 { format!("+{} duplicates, ", sums.duplicates) } else { String::new() };
        output.push_str(&format!(
            "{sent} packets transmitted, {answered} packets received, {doubles}{lost}% packet loss\n"
        ));
        if answered > 0 {
            output.push_str(&format!(
                "round-trip min/avg/max = {}/{}/{} ms\n",
                sums.minimum.as_millis(),
                (average / 1e3) as u64,
                sums.maximum.as_millis()
            ));
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What an ICMP message says, in the words of Linux.
fn trouble(kind: (u8, u8)) -> &'static str {
    match kind {
        (3, 0) | (1, 0) => "Destination Net Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (11, _) => "Time to live exceeded",
        _ => "Destination Host Unreachable",
    }
}
