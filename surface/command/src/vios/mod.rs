//! The command language of a Virtual I/O Server: ioscli for padmin, and the commands of AIX that root has beside it.
//!
//! ```text
//! words -> grammar (options, forms) -> a command of COMMANDS -> ViosLink -> listing or outcome lines
//! ```
//!
//! [`run`] runs one command for padmin or root. What a server refuses comes with its exit status from the registry in
//! `varan_model::vios`; the texts go to standard error, as on the real thing.

mod aix;
mod devices;
mod disks;
mod error;
mod errors;
mod grammar;
mod help;
mod invocation;
mod listing;
mod mapping;
mod media;
mod network;
mod pools;
mod server;
mod targets;
mod volume_groups;

pub use error::Ended;
pub use errors::machine_id;
pub use grammar::{Form, OptionRow, Parsed, Takes, fuzz_one};
pub use invocation::{ServerFiles, ViosInvocation};

/// A command of ioscli.
pub struct ViosCommand {
    /// Name.
    pub name: &'static str,
    /// What follows `Usage: `, its lines aligned by hand.
    pub usage: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Options.
    pub options: &'static [OptionRow],
    /// Ways to use it.
    pub forms: &'static [Form],
    /// Whether it changes something: such a command is noted in the command log.
    pub changes: bool,
    /// Runs it.
    pub(crate) run: fn(&mut ViosInvocation<'_>, &Parsed) -> Result<u8, Ended>,
}

/// Every command, family by family as `help` lists them.
pub static FAMILIES: &[(&str, &[&ViosCommand])] = &[
    ("Install Commands", &[&server::LEVEL, &server::LICENCE, &server::UPDATE]),
    (
        "Device Commands",
        &[
            &devices::CHANGE,
            &disks::CHECK,
            &disks::CHANGE_PATH,
            &devices::CONFIGURE,
            &devices::LIST,
            &mapping::LIST,
            &targets::PORTS,
            &disks::PATHS,
            &targets::MAKE,
            &devices::REMOVE,
            &targets::REMOVE,
            &targets::MAP_PORT,
        ],
    ),
    (
        "Network Commands",
        &[
            &network::LINKS,
            &network::NAME_SERVICE,
            &network::CHANGE,
            &network::STATISTICS,
            &server::HOST_NAME,
            &network::HOSTS,
            &network::LIST,
            &network::MAKE,
            &network::NETSTAT,
            &network::PING,
            &network::REMOVE,
            &network::ACCOUNTING,
        ],
    ),
    ("Physical Volume Commands", &[&disks::LIST]),
    (
        "Logical Volume Commands",
        &[
            &volume_groups::EXTEND_VOLUME,
            &volume_groups::VOLUME,
            &volume_groups::MAKE_VOLUME,
            &volume_groups::REMOVE_VOLUME,
        ],
    ),
    (
        "Volume Group Commands",
        &[&volume_groups::EXTEND, &volume_groups::LIST, &volume_groups::MAKE, &volume_groups::REDUCE],
    ),
    (
        "Storage Pool Commands",
        &[
            &pools::CHANGE_BACKING,
            &pools::CHANGE,
            &pools::LIST,
            &pools::MAKE_BACKING,
            &pools::MAKE,
            &pools::REMOVE_BACKING,
            &pools::REMOVE,
        ],
    ),
    (
        "Virtual Media Commands",
        &[
            &media::CHANGE_REPOSITORY,
            &media::CHANGE,
            &media::LOAD,
            &media::REPOSITORY,
            &media::DRIVES,
            &media::MAKE_REPOSITORY,
            &media::MAKE,
            &media::REMOVE_REPOSITORY,
            &media::REMOVE,
            &media::UNLOAD,
        ],
    ),
    ("Maintenance Commands", &[&errors::LIST, &server::COMMAND_LOG, &server::PLATFORM, &server::SHUTDOWN]),
    ("Integrated Virtualization Manager Commands", &[&server::PARTITION]),
];

/// Every command.
pub fn commands() -> impl Iterator<Item = &'static ViosCommand> {
    FAMILIES.iter().flat_map(|(_, commands)| commands.iter().copied())
}

/// Commands of later levels, which are known and refused.
pub const LATER: &[&str] = &[
    "alert",
    "backupios",
    "chedition",
    "chlv",
    "chlang",
    "chrepos",
    "chuser",
    "clffdc",
    "clstartstop",
    "cluster",
    "cplv",
    "diagmenu",
    "failgrp",
    "fcstat",
    "lscluster",
    "lslparutil",
    "lssvc",
    "lssw",
    "lsuser",
    "lu",
    "migratepv",
    "mirrorios",
    "mklvcopy",
    "mkpath",
    "mkuser",
    "optimizenet",
    "part",
    "prepdev",
    "pv",
    "restorevgstruct",
    "rmlvcopy",
    "rmpath",
    "rmuser",
    "rules",
    "savevgstruct",
    "snap",
    "snapshot",
    "startnetsvc",
    "startsysdump",
    "stopnetsvc",
    "sysstat",
    "tier",
    "topas",
    "traceroute",
    "unmirrorios",
    "vasistat",
    "viosbr",
    "viosecure",
    "viostat",
    "viosupgrade",
    "vmstat",
];

/// The command of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ViosCommand> {
    commands().find(|command| command.name == name)
}

/// Whether the shell of padmin, or of root, has a command of this name here.
#[must_use]
pub fn knows(name: &str, root: bool) -> bool {
    name == "help" && !root
        || name == "ioscli"
        || find(name).is_some()
        || LATER.contains(&name)
        || root && aix::knows(name)
}

/// Names of all commands for padmin or root, in order.
#[must_use]
pub fn names(root: bool) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = commands().map(|command| command.name).collect();
    names.extend(LATER);
    names.push("ioscli");
    if root {
        names.extend(aix::NAMES);
    } else {
        names.push("help");
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// What `help NAME` prints.
#[must_use]
pub fn manual(name: &str) -> Option<String> {
    find(name).map(help::usage)
}

/// Runs one command to its end and returns its exit status.
pub fn run(name: &str, invocation: &mut ViosInvocation<'_>) -> u8 {
    let (status, _) = run_named(name, invocation);
    let _ = invocation.output.flush();
    status
}

fn run_named(name: &str, invocation: &mut ViosInvocation<'_>) -> (u8, bool) {
    if name == "ioscli" {
        let Some((name, arguments)) = invocation.arguments.split_first() else {
            return (say(invocation, &help::all()), true);
        };
        if name == "ioscli" || !(name == "help" || find(name).is_some() || LATER.contains(&name.as_str())) {
            let _ = writeln!(invocation.errors, "\nCommand not found or not valid: \"{name}\".\n");
            return (1, true);
        }
        invocation.arguments = arguments;
        return (ended(name, invocation, run_ioscli), true);
    }
    if invocation.root && aix::wants(name, invocation.arguments) {
        return (ended(name, invocation, aix::run), true);
    }
    (ended(name, invocation, run_ioscli), true)
}

fn say(invocation: &mut ViosInvocation<'_>, text: &str) -> u8 {
    u8::from(invocation.output.write_all(text.as_bytes()).is_err())
}

type Runner = fn(&str, &mut ViosInvocation<'_>) -> Result<u8, Ended>;

/// Runs a command and says why it failed.
fn ended(name: &str, invocation: &mut ViosInvocation<'_>, runner: Runner) -> u8 {
    let error = match runner(name, invocation) {
        Ok(status) => return status,
        Err(error) => error,
    };
    let _ = invocation.output.flush();
    let status = error.status();
    if matches!(error, Ended::Said(_) | Ended::Output(_)) {
        return status;
    }
    let text = error.to_string();
    if !invocation.root && text.starts_with("Method error") {
        // So padmin's commands introduce what comes from below them.
        let _ = write!(
            invocation.errors,
            "\nSome error messages may contain invalid information\nfor the Virtual I/O Server environment.\n\n"
        );
    }
    let _ = writeln!(invocation.errors, "{text}");
    if error.is_usage()
        && let Some(command) = find(name)
    {
        let _ = write!(invocation.errors, "\n{}", help::usage(command));
    }
    status
}

fn run_ioscli(name: &str, invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    if name == "help" {
        return help::run(invocation);
    }
    let Some(command) = find(name) else {
        let message = varan_model::vios::ViosMessage::NotSupported;
        return Err(error::refused(message, name).into());
    };
    if matches!(invocation.arguments, [only] if only == "-help") {
        invocation.output.write_all(help::usage(command).as_bytes())?;
        return Ok(0);
    }
    let parsed = grammar::parse(command.options, command.forms, invocation.arguments)?;
    if command.name != "license" {
        server::check_licence(invocation)?;
    }
    let status = (command.run)(invocation, &parsed)?;
    if command.changes && status == 0 {
        invocation.note(name);
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_name_of_its_own_and_forms_of_its_options() {
        let mut seen = Vec::new();
        for command in commands() {
            assert!(!seen.contains(&command.name) && !LATER.contains(&command.name), "{}", command.name);
            assert!(command.usage.starts_with(command.name), "{}", command.name);
            seen.push(command.name);
            let known = |name: &str| command.options.iter().any(|(option, _)| *option == name);
            let mut taken = Vec::new();
            for form in command.forms {
                let needed = form.needs.iter().flat_map(|group| group.iter());
                for name in form.given.iter().chain(needed).chain(form.takes) {
                    assert!(known(name), "{}: -{name}", command.name);
                    taken.push(*name);
                }
            }
            for (option, _) in command.options {
                assert!(taken.contains(option), "{}: no form takes -{option}", command.name);
                let shown = command.usage.contains(&format!("-{option}"));
                assert!(shown, "{}: the usage does not show -{option}", command.name);
            }
        }
    }
}
