//! Commands that run until they are done or interrupted.

use varan_environment::Monotonic;

use super::super::session::{Session, User};
use super::super::{Guest, Moment};
use super::Ip;
use super::dump::Dump;
use super::ping::Ping;

/// What a command that takes time did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    Runs,
    /// It is done.
    Done,
}

pub(in super::super) enum Program {
    Ping(Ping),
    Dump(Dump),
}

/// A command that runs, and the filters that its output goes through at the end.
pub(in super::super) struct Foreground {
    pub(super) program: Program,
    user: User,
    stages: Vec<String>,
    collected: String,
}

impl Foreground {
    pub(super) fn new(user: User, program: Program) -> Self {
        Self { program, user, stages: Vec::new(), collected: String::new() }
    }

    pub(super) fn due(&self) -> Option<Monotonic> {
        match &self.program {
            Program::Ping(ping) => ping.due(),
            Program::Dump(_) => None,
        }
    }

    fn advance(&mut self, now: Moment, ip: &mut Ip, output: &mut String) -> Progress {
        match &mut self.program {
            Program::Ping(ping) => ping.advance(now, ip, output),
            Program::Dump(dump) => dump.advance(now, ip, output),
        }
    }

    fn end(&mut self, now: Moment, ip: &mut Ip, output: &mut String) {
        match &mut self.program {
            Program::Ping(ping) => ping.end(now, ip, output),
            Program::Dump(dump) => dump.end(now, ip, output),
        }
    }
}

impl Guest {
    /// Begins a command; its first output goes to the terminal now.
    pub(super) fn begin_foreground(&mut self, user: User, program: Program, output: &str) {
        let Some(ip) = self.ip_mut() else { return };
        let mut foreground = Box::new(Foreground::new(user, program));
        foreground.collected.push_str(output);
        ip.foreground = Some(foreground);
    }

    /// The command's output goes through filters, or else, when there are none, to the terminal.
    pub(in super::super) fn filter_foreground(&mut self, _user: User, stages: &[&str]) {
        let Some(foreground) = self.ip_mut().and_then(|ip| ip.foreground.as_deref_mut()) else { return };
        foreground.stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
        if stages.is_empty() {
            let output = std::mem::take(&mut foreground.collected);
            self.output(&output);
        }
    }

    /// Lets the command go on.
    pub(super) fn run_foreground(&mut self, now: Moment) {
        let Some(ip) = self.ip_mut() else { return };
        let Some(mut foreground) = ip.foreground.take() else { return };
        let mut output = String::new();
        let progress = foreground.advance(now, ip, &mut output);
        if progress == Progress::Done {
            foreground.end(now, ip, &mut output);
            self.finish_foreground(now, &foreground, output);
            return;
        }
        if foreground.stages.is_empty() {
            ip.foreground = Some(foreground);
            self.output(&output);
        } else {
            foreground.collected.push_str(&output);
            ip.foreground = Some(foreground);
        }
    }

    fn finish_foreground(&mut self, now: Moment, foreground: &Foreground, output: String) {
        let stages: Vec<&str> = foreground.stages.iter().map(String::as_str).collect();
        let output = if stages.is_empty() {
            output
        } else {
            self.filtered(foreground.user, &stages, format!("{}{output}", foreground.collected))
        };
        self.output(&output);
        // The command may have been the last thing that waited for the network.
        self.next_command(now);
        self.type_ahead(now);
        self.run_network(now);
    }

    /// The interrupt character was typed. False when no command takes time.
    pub(in super::super) fn interrupt(&mut self, now: Moment) -> bool {
        let Some(ip) = self.ip_mut() else { return false };
        let Some(mut foreground) = ip.foreground.take() else { return false };
        let mut output = "^C".to_owned();
        foreground.end(now, ip, &mut output);
        self.typed_ahead.clear();
        self.queued.clear();
        debug_assert!(matches!(self.session, Session::Shell(_)));
        self.finish_foreground(now, &foreground, output);
        true
    }
}
