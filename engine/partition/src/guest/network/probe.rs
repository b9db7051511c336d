//! `netprobe`: this platform's own command that numbers packets to an address and tells which were lost, and for how long.

use std::time::Duration;

use varan_station::{EchoId, EchoRequest};

use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};

const USAGE: &str = "Usage: netprobe start ADDRESS [MILLISECONDS] | status | stop\n";

/// A probe that runs, or has run.
#[derive(Debug)]
pub(in super::super) struct NetworkProbe {
    echo: EchoId,
    to: String,
}

impl Guest {
    /// `netprobe start ADDRESS [MILLISECONDS]`, `netprobe status`, `netprobe stop`.
    pub(in super::super) fn netprobe(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        match arguments {
            ["start", host, rest @ ..] if rest.len() <= 1 => {
                self.start_probe(now, host, rest.first().copied())
            }
            ["status" | "stop"] => {
                let Some(ip) = self.ip_mut() else { return text("") };
                let Some(probe) = &ip.probe else { return text("netprobe: no probe was started\n") };
                let (echo, to) = (probe.echo, probe.to.clone());
                let sums = if arguments == ["stop"] {
                    ip.probe = None;
                    ip.station.echo_stop(now.monotonic, echo)
                } else {
                    ip.station.echo_statistics(now.monotonic, echo)
                };
                let sums = sums.unwrap_or_default();
                let lost = sums.sent.saturating_sub(sums.answered + sums.under_way);
                text(format!(
                    "{to}: {} packets sent, {} answered, {lost} lost, {} duplicates, longest outage {:.3} ms ({} packets)\n",
                    sums.sent,
                    sums.answered,
                    sums.duplicates,
                    sums.longest_outage.as_secs_f64() * 1e3,
                    sums.longest_loss
                ))
            }
            _ => text(USAGE),
        }
    }

    fn start_probe(&mut self, now: Moment, host: &str, interval: Option<&str>) -> Reply {
        let milliseconds = interval.map_or(Some(1.0), |interval| interval.parse::<f64>().ok());
        let Some(milliseconds) = milliseconds.filter(|interval| (0.1..=60_000.0).contains(interval)) else {
            return text("netprobe: the interval must be 0.1 to 60000 milliseconds\n");
        };
        let Some((to, via)) = self.resolve(host) else {
            return text(format!("netprobe: host name {host} not found\n"));
        };
        let Some(ip) = self.ip_mut() else { return text("") };
        if let Some(before) = ip.probe.take() {
            ip.station.echo_stop(now.monotonic, before.echo);
        }
        let interval = Duration::from_secs_f64(milliseconds / 1e3);
        let request = EchoRequest { to, via, count: None, interval, size: 56, ttl: None };
        match ip.station.echo_start(now.monotonic, request) {
            Ok(echo) => {
                ip.probe = Some(NetworkProbe { echo, to: host.to_owned() });
                text(format!("{host}: a packet every {milliseconds} ms\n"))
            }
            Err(error) => text(format!("netprobe: {error}\n")),
        }
    }
}
