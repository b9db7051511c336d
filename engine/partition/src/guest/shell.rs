//! The guest's small shell: one command per line, with the filters that people pipe listings into.

use super::date::Date;
use super::session::User;
use super::workload::{WORKLOAD_OFFSET, Workload};
use super::{Guest, Moment};
use crate::memory::PAGE_BYTES;
use varan_contract::engine::Personality;

/// Most pages per second that the workload writes: 1 GB/s.
const WORKLOAD_RATE: u64 = 262_144;

/// What a command leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Show this, then the prompt.
    Text(String),
    /// Make the state durable, then show this.
    Durable { text: String, report: bool },
    /// Go on as this user.
    Become(User),
    /// Somebody else runs the line.
    Elsewhere,
    /// It goes on; what it shows, and the prompt, come later.
    Waiting,
    /// Leave the shell.
    Leave,
    /// The operating system goes down.
    ShutDown { fast: bool, restart: bool },
}

pub(super) fn text(text: impl Into<String>) -> Reply {
    Reply::Text(text.into())
}

impl Guest {
    /// Runs a line, or says that the server's own command line has to.
    pub(super) fn execute(&mut self, now: Moment, user: User, line: &str) -> Reply {
        let word = line.split_whitespace().next().unwrap_or_default();
        let own = matches!(word, "" | "exit" | "logout" | "oem_setup_env" | "dirty" | "load");
        if self.personality() == Personality::VirtualIoServer && !own {
            return Reply::Elsewhere;
        }
        // These need what the hypervisor counts.
        if matches!(word, "entstat" | "netstat" | "ethtool") && self.ask_counters(user, line) {
            return Reply::Waiting;
        }
        self.execute_here(now, user, line)
    }

    pub(super) fn execute_here(&mut self, now: Moment, user: User, line: &str) -> Reply {
        let mut stages = split_unquoted(line, '|').into_iter();
        let command = stages.next().unwrap_or_default();
        let words: Vec<&str> =
            command.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        let Some((&name, arguments)) = words.split_first() else {
            return text("");
        };
        let reply = self.run(now, user, name, arguments);
        let stages: Vec<&str> = stages.collect();
        let output = match reply {
            Reply::Text(output) => output,
            Reply::Waiting => {
                self.filter_foreground(user, &stages);
                return Reply::Waiting;
            }
            other => return other,
        };
        text(self.filtered(user, &stages, output))
    }

    /// What filters leave of an output.
    pub(super) fn filtered(&self, user: User, stages: &[&str], mut output: String) -> String {
        for stage in stages {
            output = match filter(stage, &output) {
                Some(filtered) => filtered,
                None => return self.not_found(user, stage.split_whitespace().next().unwrap_or("|")),
            };
        }
        output
    }

    fn not_found(&self, user: User, name: &str) -> String {
        match (self.personality(), user) {
            (Personality::Linux, _) => format!("-bash: {name}: command not found\n"),
            (_, User::Padmin) => format!("rksh: {name}:  not found.\n"),
            _ => format!("ksh: {name}:  not found.\n"),
        }
    }

    fn run(&mut self, now: Moment, user: User, name: &str, arguments: &[&str]) -> Reply {
        if user == User::Padmin {
            return self.run_padmin(now, name, arguments);
        }
        let aix = self.personality() != Personality::Linux;
        match (name, arguments) {
            ("exit" | "logout", _) => Reply::Leave,
            ("echo", _) => self.echo(arguments),
            ("stty", _) => self.stty(arguments),
            ("resize", []) => self.resize(),
            ("hostname", []) => text(format!("{}\n", self.hostname())),
            ("whoami", []) => text("root\n"),
            ("id", []) if aix => text("uid=0(root) gid=0(system) groups=0(system)\n"),
            ("id", []) => text("uid=0(root) gid=0(root) groups=0(root)\n"),
            ("date", []) => text(date_line(now)),
            ("uptime", []) => text(self.uptime(now)),
            ("uname", flags) => self.uname(flags),
            ("dirty", arguments) => self.dirty(now, arguments),
            ("load", arguments) => self.load(now, arguments),
            ("diskload", arguments) => self.diskload(now, arguments),
            ("recfgct" | "/usr/sbin/rsct/install/bin/recfgct", []) => self.recreate_node_id(now),
            _ if self.ip().is_some() && self.is_network_command(name) => {
                self.network_command(now, user, name, arguments)
            }
            ("shutdown" | "reboot" | "halt" | "poweroff", flags) => self.shutdown_command(name, flags),
            _ if aix => {
                self.run_aix(now, name, arguments).unwrap_or_else(|| text(self.not_found(user, name)))
            }
            _ => self.run_linux(name, arguments).unwrap_or_else(|| text(self.not_found(user, name))),
        }
    }

    fn run_aix(&mut self, now: Moment, name: &str, arguments: &[&str]) -> Option<Reply> {
        Some(match (name, arguments) {
            ("errpt", arguments) => text(self.errpt(arguments)),
            ("lsattr", arguments) => text(self.lsattr(arguments)),
            ("chdev", arguments) => self.chdev(now, arguments),
            ("oslevel", []) => {
                let (version, release) = self.aix_version();
                text(format!("{version}.{release}.0.0\n"))
            }
            ("oslevel", ["-s"]) => text(format!("{}\n", self.aix_level())),
            ("oslevel", ["-r"]) => {
                let level: Vec<String> = self.aix_level().split('-').take(2).map(str::to_owned).collect();
                text(format!("{}\n", level.join("-")))
            }
            ("ioslevel" | "/usr/ios/cli/ioscli", _) if self.personality() == Personality::VirtualIoServer => {
                text(format!("{}\n", self.level()))
            }
            ("lparstat", ["-i"]) => text(self.lparstat()),
            ("ifconfig", ["-a"]) => text(self.ifconfig()),
            ("ifconfig", [interface, "detach"]) => self.detach(interface),
            ("cfgmgr", []) => self.cfgmgr(now),
            ("lspv", []) => self.lspv(),
            ("lspath", arguments) => self.lspath(arguments),
            ("chpath", arguments) => self.chpath(now, arguments),
            ("lsdev", arguments) => self.lsdev(arguments),
            ("lscfg", arguments) => self.lscfg(arguments),
            ("lsslot", arguments) => self.lsslot(arguments),
            ("mkdev", arguments) => self.mkdev(now, arguments),
            ("rmdev", arguments) => self.rmdev(now, arguments),
            _ => return None,
        })
    }

    fn run_linux(&mut self, name: &str, arguments: &[&str]) -> Option<Reply> {
        Some(match (name, arguments) {
            ("lsblk", []) => self.lsblk(),
            ("cat", ["/etc/os-release"]) => text(self.os_release()),
            ("cat", [path, ..]) => text(format!("cat: {path}: No such file or directory\n")),
            ("ip", ["addr" | "a" | "address"] | ["addr" | "a" | "address", "show"]) => {
                text(self.ip_addresses())
            }
            _ => return None,
        })
    }

    fn run_padmin(&mut self, now: Moment, name: &str, arguments: &[&str]) -> Reply {
        match (name, arguments) {
            ("exit" | "logout", _) => Reply::Leave,
            ("oem_setup_env", []) => Reply::Become(User::PadminAsRoot),
            ("ioslevel", []) => text(format!("{}\n", self.level())),
            ("hostname", []) => text(format!("{}\n", self.hostname())),
            ("whoami", []) => text("padmin\n"),
            ("date", []) => text(date_line(now)),
            ("echo", _) => text(format!("{}\n", arguments.join(" "))),
            ("errlog", []) => text(self.errpt(&[])),
            ("errlog", ["-ls"]) => text(self.errpt(&["-a"])),
            ("cfgdev", []) => self.cfgmgr(now),
            ("lsdev", arguments) => self.lsdev_padmin(arguments),
            ("rmdev", ["-dev", ..]) => self.rmdev(now, arguments),
            ("rmdev", _) => text("Usage: rmdev -dev Name [-recursive] [-ucfg]\n"),
            ("shutdown", flags) if flags.iter().all(|flag| matches!(*flag, "-force" | "-restart")) => {
                Reply::ShutDown { fast: true, restart: flags.contains(&"-restart") }
            }
            ("shutdown", _) => text("Usage: shutdown [-force] [-restart]\n"),
            _ => text(self.not_found(User::Padmin, name)),
        }
    }

    fn shutdown_command(&self, name: &str, flags: &[&str]) -> Reply {
        let linux = self.personality() == Personality::Linux;
        let (fast, restart) = match (name, flags) {
            ("reboot", [] | ["-q" | "-f"]) => (true, true),
            ("halt", [] | ["-q"]) => (true, false),
            ("poweroff", []) if linux => (true, false),
            ("shutdown", ["-h", "now"] | ["now"]) => (true, false),
            ("shutdown", ["-r", "now"]) => (true, true),
            ("shutdown", ["-F"] | ["-Fh"]) if !linux => (true, false),
            ("shutdown", ["-Fr" | "-rF"] | ["-F", "-r"] | ["-r", "-F"]) if !linux => (true, true),
            ("shutdown", [] | ["-h"]) if !linux => (false, false),
            ("shutdown", ["-r"]) if !linux => (false, true),
            _ if linux => return text(format!("{name}: this form is not provided\n")),
            _ => return text("Usage: shutdown [-F] [-h | -r] [now]\n"),
        };
        Reply::ShutDown { fast, restart }
    }

    fn uptime(&self, now: Moment) -> String {
        let date = Date::from_seconds(now.wall.seconds());
        let minutes = now.monotonic.since(self.booted_at).as_secs() / 60;
        let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
        let days_text = match days {
            0 => String::new(),
            1 => "1 day, ".to_owned(),
            _ => format!("{days} days, "),
        };
        let load = f64::from(self.meter.load_percent()) / 100.0 * f64::from(self.processors.processors);
        format!(
            "  {:02}:{:02}{}   up {days_text}{:>2}:{rest:02},  1 user,  load average: {load:.2}, {load:.2}, {load:.2}\n",
            (date.hour + 11) % 12 + 1,
            date.minute,
            if date.hour < 12 { "AM" } else { "PM" },
            hours
        )
    }

    fn load(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let percent = match arguments {
            [percent] => percent.parse().ok().filter(|percent| *percent <= 100),
            _ => None,
        };
        match percent {
            Some(percent) => {
                self.meter.set_load(now.monotonic, percent, &self.processors);
                text("")
            }
            None => text("Usage: load PERCENT (0 to 100, of all the partition's processors)\n"),
        }
    }

    fn dirty(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let most = self.memory.size().saturating_sub(WORKLOAD_OFFSET) / PAGE_BYTES as u64;
        match (arguments, &mut self.workload) {
            (["start", rest @ ..], _) if rest.len() <= 2 => {
                let pages = rest.first().map_or(Ok(256), |pages| pages.parse::<u64>());
                let rate = rest.get(1).map_or(Ok(1_000), |rate| rate.parse::<u64>());
                match (pages, rate) {
                    (Ok(pages), Ok(rate))
                        if (1..=most).contains(&pages) && (1..=WORKLOAD_RATE).contains(&rate) =>
                    {
                        self.free_workload();
                        let seed = self.options.seed ^ now.monotonic.0.as_nanos() as u64;
                        self.workload = Some(Box::new(Workload::start(now.monotonic, seed, pages, rate)));
                        text(format!("{pages} pages, {rate} pages per second\n"))
                    }
                    _ => text(format!(
                        "dirty: pages must be 1 to {most}, the rate 1 to {WORKLOAD_RATE} pages per second\n"
                    )),
                }
            }
            (["stop"], Some(workload)) => {
                workload.stop();
                text(format!("{} pages written, {} stalls\n", workload.steps(), workload.stalls()))
            }
            (["verify"], Some(workload)) => {
                let wrong = workload.verify(&self.memory);
                text(format!("{wrong} wrong pages after {} pages written\n", workload.steps()))
            }
            (["free"], Some(_)) => {
                self.free_workload();
                text("")
            }
            (["stop" | "verify" | "free"], None) => text("dirty: no workload was started\n"),
            _ => text("Usage: dirty start [PAGES [PAGES_PER_SECOND]] | stop | verify | free\n"),
        }
    }

    fn free_workload(&mut self) {
        if let Some(workload) = self.workload.take() {
            self.memory.discard(workload.page_range());
        }
    }

    fn recreate_node_id(&mut self, now: Moment) -> Reply {
        let mut seed = self.options.seed ^ now.monotonic.0.as_nanos() as u64 ^ now.wall.0 as u64;
        if let Some(configuration) = &mut self.configuration {
            configuration.rsct_node_id = varan_environment::split_mix(&mut seed);
        }
        self.rmc_identity_changed(now);
        Reply::Durable { text: self.recfgct_words(), report: true }
    }
}

/// Splits at a character outside of quotation marks; the parts are trimmed, empty ones are left out at the end.
pub(super) fn split_unquoted(line: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    for (position, character) in line.char_indices() {
        match quote {
            Some(open) if open == character => quote = None,
            Some(_) => {}
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character == at => {
                parts.push(line[start..position].trim());
                start = position + character.len_utf8();
            }
            None => {}
        }
    }
    parts.push(line[start..].trim());
    if parts.len() > 1 && parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    parts
}

fn date_line(now: Moment) -> String {
    let date = Date::from_seconds(now.wall.seconds());
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} UTC {}\n",
        date.weekday_name(),
        date.month_name(),
        date.day,
        date.hour,
        date.minute,
        date.second,
        date.year
    )
}

/// Words of a command; what stands in quotation marks is one.
fn split_words(command: &str) -> Vec<&str> {
    split_unquoted(command, ' ').into_iter().filter(|word| !word.is_empty()).collect()
}

/// `more`, `head`, `tail`, `grep` and `wc -l`; `None` for anything else.
fn filter(stage: &str, input: &str) -> Option<String> {
    let words = split_words(stage);
    let (name, arguments) = words.split_first()?;
    let all: Vec<&str> = input.lines().collect();
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let count = |arguments: &[&str]| match arguments {
        [] => Some(10),
        ["-n", count] => count.parse::<usize>().ok(),
        [count] => count.strip_prefix('-')?.parse().ok(),
        _ => None,
    };
    match (*name, arguments) {
        ("more" | "pg" | "cat", []) => Some(join(&all)),
        ("head", arguments) => Some(join(&all[..count(arguments)?.min(all.len())])),
        ("tail", arguments) => Some(join(&all[all.len() - count(arguments)?.min(all.len())..])),
        ("wc", ["-l"]) => Some(format!("{:8}\n", all.len())),
        ("grep" | "egrep", arguments) => grep(*name == "egrep", arguments, &all),
        _ => None,
    }
}

/// `grep [-E] [-i] [-v] [-c] PATTERN`; a pattern is plain text, with `-E` several ones with `|` between them.
fn grep(extended: bool, arguments: &[&str], lines: &[&str]) -> Option<String> {
    let (mut extended, mut fold, mut invert, mut count, mut pattern) = (extended, false, false, false, None);
    for argument in arguments {
        match argument.strip_prefix('-').filter(|flags| !flags.is_empty() && pattern.is_none()) {
            Some(flags) => {
                for flag in flags.chars() {
                    match flag {
                        'E' => extended = true,
                        'i' => fold = true,
                        'v' => invert = true,
                        'c' => count = true,
                        _ => return None,
                    }
                }
            }
            None if pattern.is_none() => pattern = Some(argument.trim_matches(['"', '\''])),
            None => return None,
        }
    }
    let pattern = if fold { pattern?.to_lowercase() } else { pattern?.to_owned() };
    let wanted: Vec<&str> = if extended { pattern.split('|').collect() } else { vec![&pattern] };
    let fits = |line: &&&str| {
        let line = if fold { line.to_lowercase() } else { (**line).to_owned() };
        wanted.iter().any(|wanted| line.contains(wanted)) != invert
    };
    let found: Vec<&&str> = lines.iter().filter(fits).collect();
    if count {
        return Some(format!("{}\n", found.len()));
    }
    Some(found.iter().map(|line| format!("{line}\n")).collect())
}
