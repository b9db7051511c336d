//! `lspartition` and `diagrmc`: which partitions the console reaches by RMC, and why it does not reach one.

use varan_console::Task;
use varan_contract::system::{PartitionFilter, Selector, SystemReply, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::ids::MachineIdentity;
use varan_model::partition::{OperatingSystem, PartitionEntry, PartitionState, RmcState};
use varan_model::refusal::Refusal;

use super::{MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME};
use crate::catalog::CommandDefinition;
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Given, OneOf, Optional, Required};
use crate::invocation::{Invocation, selector};
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lspartition",
    summary: "list the partitions that the console knows by RMC",
    options: &[
        OptionDefinition::new("-dlpar", OptionValue::Flag, "Partitions with their dynamic capabilities."),
        OptionDefinition::new("-all", OptionValue::Flag, "All partitions with an operating system."),
        OptionDefinition::new(
            "-c",
            OptionValue::Text("type-model_serial"),
            "Partitions of this machine only, tttt-mmm_sssssss.",
        ),
        OptionDefinition::new("-i", OptionValue::Flag, "On one line: ID, address, state; for programs."),
        OptionDefinition::new("-ix", OptionValue::Flag, "As -i, with host name, operating system and level."),
        HELP,
    ],
    forms: &[
        Form::new(&[OneOf(&["-dlpar", "-all"])]),
        Form::new(&[Given("-c")]),
        Form::new(&[Given("-i"), Optional("-c")]),
        Form::new(&[Given("-ix"), Optional("-c")]),
    ],
    filters: &[],
    attributes: &[],
    run: list,
};

pub(crate) static DIAGNOSE: CommandDefinition = CommandDefinition {
    name: "diagrmc",
    summary: "find out why the console has no RMC connection with a partition",
    options: &[
        MANAGED_SYSTEM,
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new("--ip", OptionValue::Text("address"), "Partition of this IPv4 address."),
        OptionDefinition::new(
            "--autocorrect",
            OptionValue::Flag,
            "Correct what is wrong on the console's own side.",
        ),
        OptionDefinition::new("-v", OptionValue::Flag, "Show checks that passed, too."),
        HELP,
    ],
    forms: &[Form::new(&[
        Required("-m"),
        OneOf(&["-p", "--id", "--ip"]),
        Optional("--autocorrect"),
        Optional("-v"),
    ])],
    filters: &[],
    attributes: &[],
    run: diagnose,
};

/// A partition whose operating system has reported.
struct Known {
    identity: MachineIdentity,
    entry: PartitionEntry,
    system: OperatingSystem,
    active: bool,
}

/// Whether a partition has a session with the console of that name.
fn has_session(entry: &PartitionEntry, console: &str) -> bool {
    let sessions = entry.runtime.operating_system.as_ref().and_then(|system| system.rmc_sessions.as_ref());
    let with_this = sessions.is_none_or(|sessions| sessions.iter().any(|name| name == console));
    entry.runtime.rmc == RmcState::Active && with_this
}

/// The words of `os_version`: name, version, level.
fn level(system: &OperatingSystem) -> (&str, &str, &str) {
    let mut words = system.version.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    (word(), word(), word())
}

/// Dynamic capabilities and command capabilities of an active partition. Source: captured lines; that of Linux is not
/// verified.
fn capabilities(system: &OperatingSystem) -> (&'static str, &'static str) {
    match level(system).0 {
        "VIOS" => ("0x4f9f", "0x4000003b, 0x3b"),
        "AIX" => ("0x2c5f", "0x4000001b, 0x1b"),
        _ => ("0x2c7f", "0x4000001b, 0x1b"),
    }
}

fn known(invocation: &Invocation<'_>, machine: Option<&str>) -> Result<Vec<Known>, Refusal> {
    let console = invocation.console.description().name.clone();
    let mut found = Vec::new();
    for system in invocation.systems() {
        let identity = system.identity().clone();
        if machine.is_some_and(|machine| identity.to_string() != machine) {
            continue;
        }
        let request = SystemRequest::ListPartitions(PartitionFilter::All);
        // A system that cannot be reached has no partition that could be.
        let Ok(SystemReply::Partitions { entries, .. }) = invocation.ask(&system, request) else { continue };
        found.extend(entries.into_iter().filter_map(|entry| {
            let system = entry.runtime.operating_system.clone()?;
            let active = has_session(&entry, &console);
            Some(Known { identity: identity.clone(), entry, system, active })
        }));
    }
    Ok(found)
}

fn address(system: &OperatingSystem) -> String {
    system.address.map(|address| address.to_string()).unwrap_or_default()
}

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListPartitions)?;
    let machine = options.get("-c").map(|machine| machine.replacen('_', "*", 1));
    if let Some(machine) = &machine
        && !invocation.systems().iter().any(|system| system.identity().to_string() == *machine)
    {
        return Err(Refusal::new(MessageKey::SystemNotFound).with(machine).into());
    }
    let found = known(invocation, machine.as_deref())?;
    if options.has("-i") || options.has("-ix") {
        return on_one_line(invocation, &found, options.has("-ix"));
    }
    let everything = options.has("-all");
    for (index, one) in found.iter().filter(|one| everything || one.system.address.is_some()).enumerate() {
        let (name, version, level) = level(&one.system);
        let (id, active) = (one.entry.partition.id, u8::from(one.active));
        let (hostname, address) = (&one.system.hostname, address(&one.system));
        writeln!(invocation.output, "<#{index}> Partition:<{id}*{}, {hostname}, {address}>", one.identity)?;
        let start = format!("       Active:<{active}>, OS:<{name}, {version}, {level}>");
        if everything {
            writeln!(invocation.output, "{start}")?;
            continue;
        }
        let (dynamic, commands) = if one.active { capabilities(&one.system) } else { ("0x0", "0x0, 0x0") };
        // Guests do not report how much of their memory is pinned.
        writeln!(invocation.output, "{start}, DCaps:<{dynamic}>, CmdCaps:<{commands}>, PinnedMem:<0>")?;
    }
    Ok(0)
}

/// `ID,address,active[,hostname,system,level];` for each partition.
fn on_one_line(invocation: &mut Invocation<'_>, found: &[Known], extended: bool) -> Result<u8, CommandError> {
    let mut line = String::new();
    for one in found {
        let (name, version, level) = level(&one.system);
        let (id, address, active) = (one.entry.partition.id, address(&one.system), u8::from(one.active));
        line.push_str(&format!("{id},{address},{active}"));
        if extended {
            let level = if level.is_empty() { version } else { level };
            line.push_str(&format!(",{},{name},{level}", one.system.hostname));
        }
        line.push(';');
    }
    if !line.is_empty() {
        writeln!(invocation.output, "{line}")?;
    }
    Ok(0)
}

/// A check: what was found, and what to do where it is wrong.
struct Check {
    finding: String,
    action: Option<&'static str>,
}

impl Check {
    fn passed(finding: impl Into<String>) -> Self {
        Self { finding: finding.into(), action: None }
    }

    fn failed(finding: impl Into<String>, action: &'static str) -> Self {
        Self { finding: finding.into(), action: Some(action) }
    }
}

fn checks(entry: &PartitionEntry, others: &[PartitionEntry], console: &str) -> Vec<Check> {
    let runtime = &entry.runtime;
    let mut found = Vec::new();
    if runtime.state != PartitionState::Running {
        let finding = format!("The state of the partition is {}.", runtime.state.word());
        return vec![Check::failed(finding, "Bring its operating system up; see chsysstate and mkvterm.")];
    }
    found.push(Check::passed("The partition is running."));
    let Some(system) = &runtime.operating_system else {
        let action = "Wait until it is up; look at its virtual terminal with mkvterm.";
        found.push(Check::failed("The operating system has not reported.", action));
        return found;
    };
    found.push(Check::passed(format!(
        "The operating system is {}, host name {}.",
        system.version, system.hostname
    )));
    match system.address {
        Some(address) => found.push(Check::passed(format!("The address of the partition is {address}."))),
        None => found.push(Check::failed(
            "The partition has no address on the network of the management console.",
            "Configure an address in the partition; check its adapter's VLAN and virtual switch with lshwres -r virtualio --rsubtype eth.",
        )),
    }
    let same = |other: &&PartitionEntry| {
        let its = other.runtime.operating_system.as_ref().map(|system| &system.rsct_node_id);
        other.partition.id != entry.partition.id && its == Some(&system.rsct_node_id)
    };
    match others.iter().find(same) {
        Some(other) => found.push(Check::failed(
            format!(
                "The partition {} has the same RSCT node ID {}.",
                other.partition.name, system.rsct_node_id
            ),
            "Run /usr/sbin/rsct/install/bin/recfgct in the partition that was cloned.",
        )),
        None => found.push(Check::passed(format!("The RSCT node ID {} is its own.", system.rsct_node_id))),
    }
    if has_session(entry, console) {
        found.push(Check::passed(format!("There is a session with the management console {console}.")));
    } else {
        found.push(Check::failed(
            format!("There is no session with the management console {console}."),
            "Check VLAN, Shared Ethernet Adapter and firewalls for TCP and UDP port 657; in the partition run rmcctrl -z, rmcctrl -A and rmcctrl -p of /usr/sbin/rsct/bin.",
        ));
    }
    found
}

fn diagnose(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListPartitions)?;
    let system = invocation.system(options)?;
    let reply = invocation.ask(&system, SystemRequest::ListPartitions(PartitionFilter::All))?;
    let SystemReply::Partitions { entries, .. } = reply else {
        return Err(invocation.console.no_connection(&system).into());
    };
    let entry = match options.get("--ip") {
        Some(address) => {
            let own = |entry: &&PartitionEntry| {
                let system = entry.runtime.operating_system.as_ref();
                system.and_then(|system| system.address).is_some_and(|one| one.to_string() == address)
            };
            let missing = || Refusal::new(MessageKey::PartitionNotFound).with(address);
            entries.iter().find(own).ok_or_else(missing)?
        }
        None => {
            let wanted = selector(options, "-p", "--id")?;
            let own = |entry: &&PartitionEntry| match &wanted {
                Selector::Name(name) => entry.partition.name == *name,
                Selector::Id(id) => entry.partition.id == *id,
                Selector::Uuid(uuid) => entry.partition.uuid == *uuid,
            };
            let missing = || match &wanted {
                Selector::Name(name) => Refusal::new(MessageKey::PartitionNotFound).with(name),
                Selector::Id(id) => Refusal::new(MessageKey::PartitionIdNotFound).with(id),
                Selector::Uuid(uuid) => Refusal::new(MessageKey::PartitionNotFound).with(uuid),
            };
            entries.iter().find(own).ok_or_else(missing)?
        }
    };
    let console = invocation.console.description().name.clone();
    let found = checks(entry, &entries, &console);
    let failed = found.iter().filter(|check| check.action.is_some()).count();
    let verbose = options.has("-v");
    for check in found.iter().filter(|check| verbose || check.action.is_some()) {
        let word = if check.action.is_some() { "FAILED" } else { "PASSED" };
        writeln!(invocation.output, "{word}: {}", check.finding)?;
        if let Some(action) = check.action {
            writeln!(invocation.output, "ACTION: {action}")?;
        }
    }
    if options.has("--autocorrect") {
        // Sessions are made by the partition; the console answers whoever calls.
        writeln!(invocation.output, "The management console itself needs no correction.")?;
    }
    let (id, name) = (entry.partition.id, &entry.partition.name);
    let outcome = if failed == 0 { "has an RMC connection" } else { "has problems with its RMC connection" };
    writeln!(invocation.output, "Partition {name} (ID {id}) {outcome}.")?;
    Ok(u8::from(failed > 0))
}
