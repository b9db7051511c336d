//! A scenario on a site that is up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use varan_environment::{Environment, Monotonic, RealEnvironment};

use super::{Scenario, Stage};
use crate::control;
use crate::fault::command::{self, FaultCommand};
use crate::sites;

/// User whose commands a scenario's are.
const USER: &str = "hscroot";

struct Live {
    sockets: PathBuf,
    environment: RealEnvironment,
    started: Monotonic,
    time_scale: f64,
}

impl Stage for Live {
    fn wait_until(&mut self, at: Duration) -> Result<(), String> {
        let due = self.started.after(at.div_f64(self.time_scale.max(1.0)));
        std::thread::sleep(due.since(self.environment.monotonic()));
        Ok(())
    }

    fn console(&mut self, line: &str) -> Result<(String, u8), String> {
        let mut running = control::begin(&self.sockets, USER, line, false)?;
        let mut printed = Vec::new();
        loop {
            match running.next_output()? {
                Ok((_, bytes)) => printed.extend(bytes),
                Err(status) => return Ok((String::from_utf8_lossy(&printed).into_owned(), status)),
            }
        }
    }

    fn fault(&mut self, fault: &FaultCommand) -> Result<String, String> {
        command::run(&self.sockets, fault)
    }
}

/// Plays a scenario on the site whose sockets are in `directory`, and compares its log with the expected one.
///
/// # Errors
/// No site runs there, or the log differs.
pub fn run(scenario: &Scenario, directory: &Path, tell: &mut dyn FnMut(&str)) -> Result<(), String> {
    let time_scale = sites::load(&scenario.site)?.time_scale;
    let environment = RealEnvironment::new();
    let started = environment.monotonic();
    let mut stage = Live { sockets: directory.to_owned(), environment, started, time_scale };
    let log = scenario.play(&mut stage, tell)?;
    scenario.compare(&log)
}
