//! `tcpdump`: frames that pass an interface, until it is interrupted or has seen enough.

use varan_contract::engine::Personality;
use varan_environment::WallClock;
use varan_station::dissect::{Dissector, Expression, Style};

use super::super::date::Date;
use super::super::session::User;
use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};
use super::Ip;
use super::foreground::{Program, Progress};

/// Frames that wait to be printed.
const WAITING: usize = 4_096;
const USAGE: &str = "Usage: tcpdump [-n] [-i interface] [-c count] [-s snaplen] [expression]\n";

/// A `tcpdump` that runs.
pub(in super::super) struct Dump {
    dissector: Dissector,
    modern: bool,
    left: Option<u64>,
    shown: u64,
}

impl Guest {
    pub(in super::super) fn tcpdump(&mut self, user: User, arguments: &[&str]) -> Reply {
        let linux = self.personality() == Personality::Linux;
        let (mut numeric, mut count, mut name) = (false, None, None);
        let mut snap: usize = if linux { 262_144 } else { 96 };
        let mut words = arguments.iter();
        let mut expression = Vec::new();
        while let Some(word) = words.next() {
            match *word {
                "-n" | "-nn" if expression.is_empty() => numeric = true,
                "-l" if expression.is_empty() => {}
                "-i" | "-c" | "-s" if expression.is_empty() => {
                    let Some(value) = words.next() else { return text(USAGE) };
                    match (*word, value.parse::<u64>()) {
                        ("-i", _) => name = Some(*value),
                        ("-c", Ok(number @ 1..)) => count = Some(number),
                        ("-s", Ok(bytes)) => snap = (bytes as usize).clamp(68, 262_144),
                        _ => return text(USAGE),
                    }
                }
                other if other.starts_with('-') => return text(USAGE),
                other => expression.push(other),
            }
        }
        let Some(read) = Expression::read(&expression) else {
            return text(format!("tcpdump: syntax error in \"{}\"\n", expression.join(" ")));
        };
        let Some(ip) = self.ip_mut() else { return text("") };
        let port = match name {
            Some(name) => ip.ports.iter().find(|port| port.name == name),
            None => ip.ports.iter().find(|port| port.attached),
        };
        let Some(port) = port else {
            let name = name.unwrap_or("any");
            return text(format!("tcpdump: {name}: No such device exists (BIOCSETIF failed)\n"));
        };
        let addresses = ip.station.interface(port.id).map(|own| own.addresses().to_vec()).unwrap_or_default();
        let (id, name) = (port.id, port.name.clone());
        ip.station.capture_start(Some(id), snap.max(160), WAITING);
        let mut head = String::new();
        if !linux && !addresses.iter().any(|own| own.address.is_ipv4()) {
            head.push_str(&format!("tcpdump: WARNING: {name}: no IPv4 address assigned\n"));
        }
        head.push_str("tcpdump: verbose output suppressed, use -v or -vv for full protocol decode\n");
        let link = if linux { "EN10MB (Ethernet)" } else { "1" };
        head.push_str(&format!("listening on {name}, link-type {link}, capture size {snap} bytes\n"));
        let style = Style { modern: linux, numeric };
        let dissector = Dissector::new(style, read);
        let dump = Dump { dissector, modern: linux, left: count, shown: 0 };
        self.begin_foreground(user, Program::Dump(dump), &head);
        Reply::Waiting
    }
}

impl Dump {
    pub(super) fn advance(&mut self, now: Moment, ip: &mut Ip, output: &mut String) -> Progress {
        for captured in ip.station.capture_take() {
            if self.left == Some(0) {
                break;
            }
            let Some(line) = self.dissector.line(&captured.bytes) else { continue };
            let ago = now.monotonic.since(captured.at).as_nanos() as i128;
            output.push_str(&format!("{} {line}\n", stamp(WallClock(now.wall.0 - ago))));
            self.shown += 1;
            self.left = self.left.map(|left| left - 1);
        }
        if self.left == Some(0) { Progress::Done } else { Progress::Runs }
    }

    pub(super) fn end(&mut self, _now: Moment, ip: &mut Ip, output: &mut String) {
        let dropped = ip.station.capture_stop();
        let shown = self.shown;
        if self.modern {
            output.push_str(&format!("\n{shown} packets captured"));
        }
        output.push_str(&format!(
            "\n{shown} packets received by filter\n{dropped} packets dropped by kernel\n"
        ));
    }
}

/// Time of day with microseconds.
fn stamp(at: WallClock) -> String {
    let date = Date::from_seconds(at.seconds());
    let microseconds = at.0.rem_euclid(1_000_000_000) / 1_000;
    format!("{:02}:{:02}:{:02}.{microseconds:06}", date.hour, date.minute, date.second)
}
