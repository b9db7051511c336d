//! Commands about the RMC daemons: `rmcctrl`, `recfgct`, `lssrc`, `startsrc`, `stopsrc`, `lsnodeid`, `rmcdomainstatus`,
//! `lsrsrc IBM.MCP`.

use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};

/// Subsystems of RSCT: name, group, whether it runs while the daemons do.
const SUBSYSTEMS: &[(&str, &str, bool)] = &[
    ("ctrmc", "rsct", true),
    ("IBM.DRM", "rsct_rm", true),
    ("IBM.HostRM", "rsct_rm", true),
    ("IBM.MgmtDomainRM", "rsct_rm", true),
    ("IBM.ServiceRM", "rsct_rm", true),
    ("ctcas", "rsct", false),
    ("IBM.ERRM", "rsct_rm", false),
    ("IBM.AuditRM", "rsct_rm", false),
    ("IBM.LPRM", "rsct_rm", false),
];

const HEADING: &str = "Subsystem         Group            PID          Status \n";

impl Guest {
    fn subsystem_identifier(&self, number: usize) -> u64 {
        // The same over a boot, as long as the daemons are not started anew.
        let started = self.ip().map_or(0, |ip| ip.rmc_starts);
        let mut seed = self.options.seed ^ (number as u64) << 32 ^ u64::from(started);
        3_000_000 + varan_environment::split_mix(&mut seed) % 8_000_000
    }

    fn subsystem_line(&self, number: usize) -> String {
        let (name, group, with_daemons) = SUBSYSTEMS[number];
        if with_daemons && self.rmc_runs() {
            return format!(" {name:<16} {group:<16} {:<12} active\n", self.subsystem_identifier(number));
        }
        format!(" {name:<16} {group:<16} {:<12} inoperative\n", "")
    }

    /// `lssrc -a`, `lssrc -g GROUP`, `lssrc -s SUBSYSTEM`.
    pub(in super::super) fn lssrc(&self, arguments: &[&str]) -> Reply {
        let chosen: Vec<usize> = match arguments {
            ["-a"] => (0..SUBSYSTEMS.len()).collect(),
            ["-g", group] => {
                let found: Vec<usize> =
                    (0..SUBSYSTEMS.len()).filter(|at| SUBSYSTEMS[*at].1 == *group).collect();
                if found.is_empty() {
                    return text(format!("0513-086 The {group} Group is not on file.\n"));
                }
                found
            }
            ["-s" | "-ls", name] => match SUBSYSTEMS.iter().position(|(known, ..)| known == name) {
                Some(at) => vec![at],
                None => return text(format!("0513-085 The {name} Subsystem is not on file.\n")),
            },
            _ => return text("Usage: lssrc -a | -g group | -s subsystem\n"),
        };
        let lines: String = chosen.into_iter().map(|at| self.subsystem_line(at)).collect();
        text(format!("{HEADING}{lines}"))
    }

    /// `startsrc -s ctrmc`, `startsrc -g rsct`.
    pub(in super::super) fn startsrc(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let number = match arguments {
            ["-s", name] => SUBSYSTEMS.iter().position(|(known, ..)| known == name),
            ["-g", "rsct"] => Some(0),
            _ => return text("Usage: startsrc -s subsystem | -g group\n"),
        };
        match number {
            Some(0) if self.rmc_runs() => text(
                "0513-029 The ctrmc Subsystem is already active.\nMultiple instances are not supported.\n",
            ),
            Some(0) => {
                self.set_rmc(now, true);
                let identifier = self.subsystem_identifier(0);
                text(format!(
                    "0513-059 The ctrmc Subsystem has been started. Subsystem PID is {identifier}.\n"
                ))
            }
            Some(at) => text(format!(
                "0513-059 The {} Subsystem has been started. Subsystem PID is {}.\n",
                SUBSYSTEMS[at].0,
                self.subsystem_identifier(at)
            )),
            None => text(format!("0513-085 The {} Subsystem is not on file.\n", arguments[1])),
        }
    }

    /// `stopsrc -s ctrmc`, `stopsrc -g rsct`.
    pub(in super::super) fn stopsrc(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let name = match arguments {
            ["-s", name] if SUBSYSTEMS.iter().any(|(known, ..)| known == name) => *name,
            ["-g", "rsct"] => "ctrmc",
            ["-s", name] => return text(format!("0513-085 The {name} Subsystem is not on file.\n")),
            _ => return text("Usage: stopsrc -s subsystem | -g group\n"),
        };
        if name == "ctrmc" {
            if !self.rmc_runs() {
                return text("0513-004 The Subsystem or Group, ctrmc, is currently inoperative.\n");
            }
            self.set_rmc(now, false);
        }
        text(format!("0513-044 The {name} Subsystem was requested to stop.\n"))
    }

    /// Starts or stops the daemons, and tells the managed system.
    fn set_rmc(&mut self, now: Moment, running: bool) {
        let Some(ip) = self.ip_mut() else { return };
        if ip.client.is_running() != running {
            ip.rmc_starts += u32::from(running);
            ip.client.set_running(now.monotonic, &mut ip.station, running);
            ip.told = Some(ip.client.established());
            self.report();
        }
    }

    /// `rmcctrl`: silent when it does what it is asked for.
    pub(in super::super) fn rmcctrl(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        match arguments {
            ["-z" | "-k" | "-d" | "-K" | "-D"] => self.set_rmc(now, false),
            ["-A" | "-s"] => self.set_rmc(now, true),
            // Adds the subsystem without starting it; lets remote clients in, or not any more.
            ["-a" | "-p" | "-P" | "-m" | "-M"] => {}
            _ => {
                return text(
                    "rmcctrl: 2610-604 Option is missing or not known.\nUsage: rmcctrl {-a | -A | -d | -D | -k | -K | -s | -z | -p | -P | -m | -M}\n",
                );
            }
        }
        text("")
    }

    /// What `recfgct` says after it has made a new node id and started the daemons anew.
    pub(in super::super) fn recfgct_words(&mut self) -> String {
        let Some(ip) = self.ip_mut() else { return String::new() };
        ip.rmc_starts += 1;
        format!(
            "0513-071 The ctcas Subsystem has been added.\n0513-071 The ctrmc Subsystem has been added.\n\
             0513-059 The ctrmc Subsystem has been started. Subsystem PID is {}.\n",
            self.subsystem_identifier(0)
        )
    }

    /// `lsnodeid`.
    pub(in super::super) fn lsnodeid(&self) -> Reply {
        text(format!("{:016x}\n", self.rmc_identity().node_id))
    }

    /// `rmcdomainstatus -s ctrmc`: the consoles, `I` with a session and `O` without.
    pub(in super::super) fn rmcdomainstatus(&self, arguments: &[&str]) -> Reply {
        if !matches!(arguments, ["-s", "ctrmc"] | ["-s", "ctrmc", "-a", "ip"]) {
            return text("Usage: rmcdomainstatus -s ctrmc [-a ip]\n");
        }
        let Some(ip) = self.ip().filter(|ip| ip.client.is_running()) else {
            return text("2610-602 A session could not be established with the RMC daemon.\n");
        };
        let sessions = ip.client.sessions();
        let mut lines = "\nManagement Domain Status: Management Control Points\n".to_owned();
        for (number, session) in sessions.iter().enumerate() {
            let letter = if session.state.is_ok() { 'I' } else { 'O' };
            let node = session.node_id.unwrap_or(0);
            lines.push_str(&format!("  {letter} A  0x{node:016x}  {:04}  {}\n", number + 1, session.address));
        }
        text(lines)
    }

    /// `lsrsrc IBM.MCP`: the consoles as the daemons know them.
    pub(in super::super) fn lsrsrc(&self, arguments: &[&str]) -> Reply {
        if arguments != ["IBM.MCP"] {
            return text("Usage: lsrsrc IBM.MCP\n");
        }
        let Some(ip) = self.ip().filter(|ip| ip.client.is_running()) else {
            return text("2610-602 A session could not be established with the RMC daemon.\n");
        };
        let mut lines = "Resource Persistent Attributes for IBM.MCP\n".to_owned();
        let established = ip.client.sessions().into_iter().filter(|session| session.state.is_ok());
        for (number, session) in established.enumerate() {
            let own =
                ip.station.source_for(session.address, None).map_or_else(String::new, |own| own.to_string());
            lines.push_str(&format!("resource {}:\n", number + 1));
            for (name, value) in [
                ("MNName", format!("\"{own}\"")),
                ("NodeID", session.node_id.unwrap_or(0).to_string()),
                ("KeyToken", format!("\"{}\"", session.name)),
                ("IPAddresses", format!("{{\"{}\"}}", session.address)),
                ("ConnectivityNames", format!("{{\"{own}\"}}")),
                ("HMCName", format!("\"{}\"", session.name)),
                ("HMCIPAddr", format!("\"{}\"", session.address)),
                ("HMCAddIPs", "\"\"".to_owned()),
                ("HMCAddIPv6s", "\"\"".to_owned()),
                ("ActivePeerDomain", "\"\"".to_owned()),
                ("NodeNameList", format!("{{\"{}\"}}", self.hostname())),
            ] {
                lines.push_str(&format!("        {name:<18}= {value}\n"));
            }
        }
        text(lines)
    }
}
