//! The command line of the binary.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::fault::{self, command::FaultCommand};
use crate::network::look::Look;

/// Usage text.
#[must_use]
pub fn usage() -> String {
    USAGE.replace("{fault}", fault::command::USAGE)
}

const USAGE: &str = "\
varan: an open, PowerVM-compatible virtualization platform

  varan up [--site NAME|FILE] [--data DIR] [--ssh-port N] [--rest-port N] [--listen ADDRESS] [--split]
           [--guest-memory MB] [--novalink SYSTEM [--novalink-port N]]
      starts a site in the foreground; prints how to connect, then a line that begins with `ready:`
  varan hmc [--data DIR] [--console NAME] [--user NAME] 'COMMAND LINE'
      runs a command line on a console of a site that is up
  varan hmc [--data DIR] [--console NAME] --power-on
      presses the power button of a console that was shut down
  varan fault [--data DIR] WHAT...
      breaks something of a site that is up and prints the number by which it is cleared:
{fault}  varan network [--data DIR] list SYSTEM
      lists the network ports of a managed system with what they carried
  varan network [--data DIR] capture SYSTEM PORT [--file FILE]
      writes the frames of a port as a capture file (for tcpdump -r), until it is ended
  varan scenario run DIR [--data DIR]
      plays a directory of timed commands on a site that is up, and compares what they print
  varan scenario simulate DIR [--seed N]
      plays it under virtual time on a simulated site of its own
  varan tour [--plain]
      plays a few minutes of an administrator's day on this terminal
  varan simulate [--seed N] [--steps N]
      runs a managed system under virtual time with losses of power, and prints the trace of the seed
  varan inspect {unverified | codes | commands | attributes}
      lists what the registries hold
  varan help
";

/// Least real memory for guests, in MB: below it the partitions of a site cannot boot.
const GUEST_MEMORY_MINIMUM: u64 = 64;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a site.
    Up(Up),
    /// Be the process of one managed system.
    FrameProcess(Up, String),
    /// Be the process of what is outside the frames.
    WorldProcess(Up),
    /// Be the process of a Virtual I/O Server, named `SYSTEM.PARTITION`.
    ServerProcess(Up, String),
    /// Be the process of a console.
    ConsoleProcess(Up, String),
    /// Run a command line on a running console.
    Hmc {
        /// Data directory of the site.
        data: PathBuf,
        /// Name of the console; the site's first in the order of names when none is given.
        console: Option<String>,
        /// User.
        user: String,
        /// Command line.
        command: String,
    },
    /// Press the power button of a console.
    PowerOn {
        /// Data directory of the site.
        data: PathBuf,
        /// Name of the console; the site's first in the order of names when none is given.
        console: Option<String>,
    },
    /// Break something of a running site.
    Fault {
        /// Data directory of the site.
        data: PathBuf,
        /// What.
        command: FaultCommand,
    },
    /// Look at the network of a running site.
    Network {
        /// Data directory of the site.
        data: PathBuf,
        /// At what.
        look: Look,
    },
    /// Play a scenario on a running site.
    RunScenario {
        /// Data directory of the site.
        data: PathBuf,
        /// Directory of the scenario.
        directory: PathBuf,
    },
    /// Play a scenario on a simulated site.
    SimulateScenario {
        /// Directory of the scenario.
        directory: PathBuf,
        /// Seed.
        seed: u64,
    },
    /// Play the tour.
    Tour {
        /// No pauses, no colours.
        plain: bool,
    },
    /// Run a simulation and print its trace.
    Simulate {
        /// Seed.
        seed: u64,
        /// Steps.
        steps: u64,
    },
    /// List a registry.
    Inspect(String),
    /// Print the usage.
    Help,
}

/// How a site is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Up {
    /// Name of a shipped site, or a file.
    pub site: String,
    /// Data directory.
    pub data: PathBuf,
    /// Port of the first console; 0 takes a free one.
    pub ssh_port: u16,
    /// Port of the first console's REST API; 0 takes a free one. `None` is 12443, or a free one when the SSH port is.
    pub rest_port: Option<u16>,
    /// System whose management partition (NovaLink) serves the REST API over plain HTTP.
    pub novalink: Option<String>,
    /// Port of that API; 0 takes a free one.
    pub novalink_port: u16,
    /// Address to listen on.
    pub listen: IpAddr,
    /// One process for each role.
    pub split: bool,
    /// Real memory for guests, in bytes.
    pub guest_memory: u64,
}

impl Default for Up {
    fn default() -> Self {
        Self {
            site: "demo".to_owned(),
            data: PathBuf::from("data"),
            ssh_port: 2_222,
            rest_port: None,
            novalink: None,
            novalink_port: crate::rest::NOVALINK_PORT,
            listen: IpAddr::from([127, 0, 0, 1]),
            split: false,
            guest_memory: crate::frame::GUEST_MEMORY_DEFAULT,
        }
    }
}

fn value<T: std::str::FromStr>(option: &str, rest: &mut impl Iterator<Item = String>) -> Result<T, String> {
    let text = rest.next().ok_or_else(|| format!("{option} needs a value"))?;
    text.parse().map_err(|_| format!("`{text}` is not a valid value of {option}"))
}

/// Reads the command line without the program's name.
///
/// # Errors
/// A text for the person.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Action, String> {
    let mut rest = arguments.into_iter();
    match rest.next().as_deref() {
        None | Some("help" | "--help" | "-h") => Ok(Action::Help),
        Some("up") => match parse_up(rest)? {
            (up, None, None) => Ok(Action::Up(up)),
            (_, Some(_), _) => Err("unknown option --system".to_owned()),
            _ => Err("unknown option --console".to_owned()),
        },
        Some("frame-process") => {
            let (up, system, _) = parse_up(rest)?;
            system
                .map(|system| Action::FrameProcess(up, system))
                .ok_or_else(|| "--system is missing".to_owned())
        }
        Some("world-process") => parse_up(rest).map(|(up, _, _)| Action::WorldProcess(up)),
        Some("server-process") => {
            let (up, server, _) = parse_up(rest)?;
            server
                .map(|server| Action::ServerProcess(up, server))
                .ok_or_else(|| "--system is missing".to_owned())
        }
        Some("console-process") => {
            let (up, _, console) = parse_up(rest)?;
            console
                .map(|console| Action::ConsoleProcess(up, console))
                .ok_or_else(|| "--console is missing".to_owned())
        }
        Some("hmc") => parse_hmc(rest),
        Some("fault") => parse_fault(rest),
        Some("network") => parse_network(rest),
        Some("scenario") => parse_scenario(rest),
        Some("tour") => match rest.next().as_deref() {
            None => Ok(Action::Tour { plain: false }),
            Some("--plain") => Ok(Action::Tour { plain: true }),
            Some(other) => Err(format!("unknown option {other}")),
        },
        Some("simulate") => {
            let (mut seed, mut steps) = (1, 200);
            while let Some(option) = rest.next() {
                match option.as_str() {
                    "--seed" => seed = value(&option, &mut rest)?,
                    "--steps" => steps = value(&option, &mut rest)?,
                    other => return Err(format!("unknown option {other}")),
                }
            }
            Ok(Action::Simulate { seed, steps })
        }
        Some("inspect") => rest.next().map(Action::Inspect).ok_or_else(|| "inspect needs a topic".to_owned()),
        Some(other) => Err(format!("unknown command {other}")),
    }
}

/// Options of `up`, and the role of a child process: its managed system, its console.
type UpOptions = (Up, Option<String>, Option<String>);

fn parse_up(mut rest: impl Iterator<Item = String>) -> Result<UpOptions, String> {
    let mut up = Up::default();
    let (mut system, mut console) = (None, None);
    while let Some(option) = rest.next() {
        match option.as_str() {
            "--site" => up.site = value(&option, &mut rest)?,
            "--data" => up.data = value(&option, &mut rest)?,
            "--ssh-port" => up.ssh_port = value(&option, &mut rest)?,
            "--rest-port" => up.rest_port = Some(value(&option, &mut rest)?),
            "--novalink" => up.novalink = Some(value(&option, &mut rest)?),
            "--novalink-port" => up.novalink_port = value(&option, &mut rest)?,
            "--listen" => up.listen = value(&option, &mut rest)?,
            "--split" => up.split = true,
            "--guest-memory" => {
                let megabytes: u64 = value(&option, &mut rest)?;
                if megabytes < GUEST_MEMORY_MINIMUM {
                    return Err(format!("--guest-memory is at least {GUEST_MEMORY_MINIMUM} MB"));
                }
                up.guest_memory = megabytes.saturating_mul(1 << 20);
            }
            "--system" => system = Some(value(&option, &mut rest)?),
            "--console" => console = Some(value(&option, &mut rest)?),
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok((up, system, console))
}

fn parse_hmc(mut rest: impl Iterator<Item = String>) -> Result<Action, String> {
    let (mut data, mut user, mut command) = (Up::default().data, "hscroot".to_owned(), None);
    let (mut console, mut power_on) = (None, false);
    while let Some(option) = rest.next() {
        match option.as_str() {
            "--data" => data = value(&option, &mut rest)?,
            "--user" => user = value(&option, &mut rest)?,
            "--console" => console = Some(value(&option, &mut rest)?),
            "--power-on" => power_on = true,
            _ if command.is_none() => command = Some(option),
            other => return Err(format!("unknown option {other}; put the command line in quotes")),
        }
    }
    if power_on {
        return match command {
            None => Ok(Action::PowerOn { data, console }),
            Some(command) => Err(format!("--power-on takes no command line, and `{command}` is one")),
        };
    }
    let command = command.ok_or_else(|| "hmc needs a command line in quotes".to_owned())?;
    Ok(Action::Hmc { data, console, user, command })
}

fn parse_fault(rest: impl Iterator<Item = String>) -> Result<Action, String> {
    let mut data = Up::default().data;
    let mut rest = rest.peekable();
    if rest.next_if(|word| word == "--data").is_some() {
        data = value("--data", &mut rest)?;
    }
    let words: Vec<String> = rest.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    fault::command::parse(&words).map(|command| Action::Fault { data, command })
}

fn parse_network(mut rest: impl Iterator<Item = String>) -> Result<Action, String> {
    let (mut data, mut file, mut words) = (Up::default().data, None, Vec::new());
    while let Some(option) = rest.next() {
        match option.as_str() {
            "--data" => data = value(&option, &mut rest)?,
            "--file" => file = Some(value(&option, &mut rest)?),
            _ if !option.starts_with('-') => words.push(option),
            other => return Err(format!("unknown option {other}")),
        }
    }
    let look = match (words.as_slice(), file) {
        ([word, system], None) if word == "list" => Look::List { system: system.clone() },
        ([word, system, port], file) if word == "capture" => {
            Look::Capture { system: system.clone(), port: port.clone(), file }
        }
        _ => return Err("network takes `list SYSTEM` or `capture SYSTEM PORT [--file FILE]`".to_owned()),
    };
    Ok(Action::Network { data, look })
}

fn parse_scenario(mut rest: impl Iterator<Item = String>) -> Result<Action, String> {
    let kind = rest.next().ok_or("scenario needs `run` or `simulate`")?;
    if kind != "run" && kind != "simulate" {
        return Err(format!("unknown word {kind} after scenario"));
    }
    let (mut data, mut seed, mut directory) = (Up::default().data, 1, None);
    while let Some(option) = rest.next() {
        match option.as_str() {
            "--data" if kind == "run" => data = value(&option, &mut rest)?,
            "--seed" if kind == "simulate" => seed = value(&option, &mut rest)?,
            _ if directory.is_none() && !option.starts_with('-') => directory = Some(PathBuf::from(option)),
            other => return Err(format!("unknown option {other}")),
        }
    }
    let directory = directory.ok_or_else(|| format!("scenario {kind} needs the scenario's directory"))?;
    Ok(match kind.as_str() {
        "run" => Action::RunScenario { data, directory },
        _ => Action::SimulateScenario { directory, seed },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Action, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        assert_eq!(read("up"), Ok(Action::Up(Up::default())));
        let expected = Up { site: "vnic".to_owned(), ssh_port: 22, split: true, ..Up::default() };
        assert_eq!(read("up --site vnic --ssh-port 22 --split"), Ok(Action::Up(expected)));
        assert_eq!(read("up --ssh-port x"), Err("`x` is not a valid value of --ssh-port".to_owned()));
        assert_eq!(read("up --data"), Err("--data needs a value".to_owned()));
        assert_eq!(read("up --console x"), Err("unknown option --console".to_owned()));
        assert_eq!(
            read("console-process --console x"),
            Ok(Action::ConsoleProcess(Up::default(), "x".to_owned()))
        );
        assert_eq!(read("console-process"), Err("--console is missing".to_owned()));
        assert_eq!(read("upp"), Err("unknown command upp".to_owned()));
        assert_eq!(read("hmc lshmc -V"), Err("unknown option -V; put the command line in quotes".to_owned()));
        assert_eq!(read(""), Ok(Action::Help));
        let directory = PathBuf::from("scenarios/x");
        assert_eq!(
            read("scenario simulate scenarios/x --seed 9"),
            Ok(Action::SimulateScenario { directory, seed: 9 })
        );
        assert_eq!(read("scenario run --seed 9 x"), Err("unknown option --seed".to_owned()));
        assert_eq!(read("scenario run"), Err("scenario run needs the scenario's directory".to_owned()));
        let command = FaultCommand::List;
        assert_eq!(read("fault --data d list"), Ok(Action::Fault { data: PathBuf::from("d"), command }));
    }
}
