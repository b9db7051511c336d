//! Scenarios: a site that is broken on purpose, by the clock.
//!
//! A scenario is a directory:
//!
//! | file | content |
//! |---|---|
//! | `README.md` | one sentence: what happens, and what the console shows |
//! | `commands` | `site NAME`, then lines `SECONDS hmc COMMAND LINE` or `SECONDS fault WORDS`; `#` begins a comment |
//! | `expected.log` | what the commands print, each under its time |
//!
//! The seconds are those of the real thing, from the start of the scenario. A live site divides them by its `time_scale`; a
//! simulated one lets that much virtual time pass. Both give the same log, for it names the times of the file and holds only
//! what was printed.

mod live;
mod simulated;

use std::path::Path;
use std::time::Duration;

use crate::fault::command::{self, FaultCommand};

pub use live::run;
pub use simulated::simulate;

/// What one line of a scenario does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A command line on the site's first console.
    Console(String),
    /// A fault, or its end.
    Fault(FaultCommand),
}

/// One line of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, from the start.
    pub at: Duration,
    /// What.
    pub deed: Deed,
    /// The words after the time, for the log.
    pub text: String,
}

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Site that it is written for: the name of a shipped one, or a file.
    pub site: String,
    /// Lines in the order of their times.
    pub lines: Vec<Line>,
    /// The log that it gives; empty if none was written yet.
    pub expected: String,
}

/// Where a scenario is played.
trait Stage {
    /// Lets time pass until `at` from the start.
    fn wait_until(&mut self, at: Duration) -> Result<(), String>;
    /// Runs a command line on the first console: what it prints, and its exit status.
    fn console(&mut self, line: &str) -> Result<(String, u8), String>;
    /// Carries a fault out: what it prints, or why it is refused.
    fn fault(&mut self, command: &FaultCommand) -> Result<String, String>;
}

impl Scenario {
    /// Reads a scenario's directory.
    ///
    /// # Errors
    /// A text for the person, with the line.
    pub fn load(directory: &Path) -> Result<Self, String> {
        let path = directory.join("commands");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let expected = std::fs::read_to_string(directory.join("expected.log")).unwrap_or_default();
        let mut scenario =
            Self::parse(&text).map_err(|(line, error)| format!("{}:{line}: {error}", path.display()))?;
        scenario.expected = expected;
        Ok(scenario)
    }

    /// Reads the lines of a scenario.
    ///
    /// # Errors
    /// The number of the line that is wrong, and why.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let (mut site, mut lines) = (None, Vec::<Line>::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
            if first == "site" {
                site = Some(rest.trim().to_owned());
                continue;
            }
            let read = parse_line(first, rest.trim()).map_err(|error| (number, error))?;
            if lines.last().is_some_and(|last| last.at > read.at) {
                return Err((number, "the time is before that of the line above".to_owned()));
            }
            lines.push(read);
        }
        let site = site.ok_or((1, "a line `site NAME` is missing".to_owned()))?;
        Ok(Self { site, lines, expected: String::new() })
    }

    /// Plays the scenario; each part of the log goes to `tell` as it comes. Returns the log.
    fn play(&self, stage: &mut dyn Stage, tell: &mut dyn FnMut(&str)) -> Result<String, String> {
        let mut log = String::new();
        for line in &self.lines {
            stage.wait_until(line.at)?;
            let mut part = format!("[{:>6} s] {}\n", line.at.as_secs(), line.text);
            match &line.deed {
                Deed::Console(command) => {
                    let (output, status) = stage.console(command)?;
                    part.push_str(&output);
                    if status != 0 {
                        part.push_str(&format!("exit status {status}\n"));
                    }
                }
                Deed::Fault(command) => match stage.fault(command) {
                    Ok(output) => part.push_str(&output),
                    Err(reason) => part.push_str(&format!("varan: {reason}\n")),
                },
            }
            tell(&part);
            log.push_str(&part);
        }
        Ok(log)
    }

    /// Compares a log with the expected one.
    ///
    /// # Errors
    /// The first line that differs.
    pub fn compare(&self, log: &str) -> Result<(), String> {
        if log == self.expected {
            return Ok(());
        }
        let (mut expected, mut found) = (self.expected.lines(), log.lines());
        for number in 1.. {
            match (expected.next(), found.next()) {
                (None, None) => break,
                (one, two) if one == two => {}
                (one, two) => {
                    let show =
                        |line: Option<&str>| line.map_or("its end".to_owned(), |line| format!("`{line}`"));
                    return Err(format!(
                        "line {number} of the log is {}, expected was {}",
                        show(two),
                        show(one)
                    ));
                }
            }
        }
        Err("the logs differ in their line ends".to_owned())
    }
}

fn parse_line(time: &str, text: &str) -> Result<Line, String> {
    let seconds: u64 = time.parse().map_err(|_| format!("`{time}` is not a number of seconds"))?;
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let deed = match word {
        "hmc" if !rest.trim().is_empty() => Deed::Console(rest.trim().to_owned()),
        "fault" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            Deed::Fault(command::parse(&words)?)
        }
        _ => return Err(format!("`{text}` is neither `hmc COMMAND LINE` nor `fault WORDS`")),
    };
    Ok(Line { at: Duration::from_secs(seconds), deed, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_lines_are_named() {
        for (text, line, expected) in [
            ("0 hmc lssyscfg", 1, "site NAME"),
            ("site demo\nx hmc lshmc", 2, "not a number"),
            ("site demo\n\n# comment\n5 hmc", 4, "neither"),
            ("site demo\n5 fault explode", 2, "not known"),
            ("site demo\n5 hmc a\n4 hmc b", 3, "before"),
        ] {
            let (number, error) = Scenario::parse(text).expect_err(text);
            assert_eq!(number, line, "{text}");
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_different_log_is_told_by_its_line() {
        let mut scenario = Scenario::parse("site demo").expect("read");
        scenario.expected = "a\nb\n".to_owned();
        assert_eq!(scenario.compare("a\nb\n"), Ok(()));
        let error = scenario.compare("a\nc\n").expect_err("differs");
        assert_eq!(error, "line 2 of the log is `c`, expected was `b`");
        assert!(scenario.compare("a\n").expect_err("short").contains("its end"));
    }

    fn shipped() -> Vec<std::path::PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("root").join("scenarios");
        let entries = std::fs::read_dir(root).expect("scenarios").map(|entry| entry.expect("entry").path());
        let mut found: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        found.sort();
        found
    }

    /// The scenarios are the tests of what a console shows of a broken site. With `VARAN_BLESS` set, the logs are written.
    #[test]
    fn the_shipped_scenarios_give_their_logs() {
        let scenarios = shipped();
        assert!(scenarios.len() >= 3);
        for directory in scenarios {
            let name = directory.file_name().expect("name").to_str().expect("text").to_owned();
            let readme = std::fs::read_to_string(directory.join("README.md")).expect("README.md");
            assert_eq!(readme.trim().lines().count(), 1, "{name}: one sentence");
            let scenario = Scenario::load(&directory).unwrap_or_else(|error| panic!("{error}"));
            let log = simulate(&scenario, 1, &mut |_| {}).unwrap_or_else(|error| panic!("{name}: {error}"));
            if std::env::var_os("VARAN_BLESS").is_some() {
                std::fs::write(directory.join("expected.log"), &log).expect("written");
                continue;
            }
            scenario.compare(&log).unwrap_or_else(|error| panic!("{name}, seed 1: {error}\n{log}"));
            for seed in 2..4 {
                let log = simulate(&scenario, seed, &mut |_| {}).expect("played");
                scenario.compare(&log).unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}\n{log}"));
            }
        }
    }
}
