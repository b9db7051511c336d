//! `chsysstate`: power and keys of managed systems and partitions.

use std::sync::Arc;

use varan_console::{SystemConnection, Task};
use varan_contract::engine::StopRequest;
use varan_contract::system::{PowerOnOptions, Selector, SystemPower, SystemRequest};
use varan_model::configuration::BootMode;
use varan_model::partition::Keylock;

use super::{IMMEDIATE, MANAGED_SYSTEM, RESTART};
use crate::catalog::CommandDefinition;
use crate::failure::{CommandError, invalid_parameters};
use crate::form::Form;
use crate::form::PartOfForm::{Needs, OneOf, Optional, Required, When};
use crate::invocation::{Invocation, selectors};
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

const OPERATIONS: &[&str] = &[
    "on",
    "onstandby",
    "onstartpolicy",
    "onsysprof",
    "onhwdisc",
    "off",
    "rebuild",
    "recover",
    "spfailover",
    "chkey",
    "shutdown",
    "osshutdown",
    "dumprestart",
    "retrydump",
    "dston",
    "remotedston",
    "remotedstoff",
    "consoleservice",
    "iopreset",
    "iopdump",
    "unownediooff",
];

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "chsysstate",
    summary: "change the state of managed systems and partitions",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["sys", "lpar", "sysprof"]),
            "Whose state to change: managed systems or partitions.",
        ),
        OptionDefinition::new("-o", OptionValue::Word(OPERATIONS), "What to do."),
        OptionDefinition {
            help: "Name of the managed system; with -r sys several names with commas between.",
            ..MANAGED_SYSTEM
        },
        OptionDefinition::new("--all", OptionValue::Flag, "All managed systems."),
        OptionDefinition::new(
            "-n",
            OptionValue::Names("partition-names"),
            "Names of the partitions, with commas between; with -r sysprof the name of the system profile.",
        ),
        OptionDefinition::new(
            "--id",
            OptionValue::PartitionIds("partition-IDs"),
            "IDs of the partitions, with commas between.",
        ),
        OptionDefinition::new(
            "-f",
            OptionValue::Text("profile-name"),
            "Profile to activate; without it the current configuration is used. With -o onsysprof the system profile.",
        ),
        OptionDefinition::new(
            "-b",
            OptionValue::Word(&["norm", "dd", "ds", "of", "sms"]),
            "Boot mode of this activation.",
        ),
        OptionDefinition::new("-k", OptionValue::Word(&["manual", "norm"]), "Keylock position to set."),
        OptionDefinition::later("-i", OptionValue::Word(&["a", "b", "c", "d"]), "IPL source (IBM i)."),
        IMMEDIATE,
        RESTART,
        OptionDefinition::later("--force", OptionValue::Flag, "Power off whatever the state is."),
        OptionDefinition::new(
            "--test",
            OptionValue::Flag,
            "Check only whether the system profile could be activated.",
        ),
        OptionDefinition::later(
            "--ip",
            OptionValue::Text("address"),
            "Address for a network installation (IBM i).",
        ),
        OptionDefinition::later("--gateway", OptionValue::Text("address"), "Gateway (IBM i)."),
        OptionDefinition::later("--serverip", OptionValue::Text("address"), "Installation server (IBM i)."),
        OptionDefinition::later("--serverdir", OptionValue::Text("directory"), "Directory on it (IBM i)."),
        OptionDefinition::later("--speed", OptionValue::Text("speed"), "Adapter speed (IBM i)."),
        OptionDefinition::later("--duplex", OptionValue::Text("duplex"), "Adapter duplex mode (IBM i)."),
        OptionDefinition::later("--mtu", OptionValue::Text("mtu"), "Adapter MTU (IBM i)."),
        OptionDefinition::later("--vlan", OptionValue::Text("vlan"), "VLAN (IBM i)."),
        HELP,
    ],
    forms: &[
        Form::new(&[
            When("-r", &["sys"]),
            When("-o", &["on", "onstandby", "onstartpolicy"]),
            OneOf(&["-m", "--all"]),
            Optional("-k"),
        ]),
        Form::new(&[
            When("-r", &["sys"]),
            When("-o", &["off"]),
            OneOf(&["-m", "--all"]),
            Optional("--immed"),
            Needs("--restart", "--immed"),
        ]),
        Form::new(&[When("-r", &["sys"]), When("-o", &["rebuild"]), OneOf(&["-m", "--all"])]),
        Form::new(&[When("-r", &["sys"]), When("-o", &["chkey"]), Required("-m"), Required("-k")]),
        Form::new(&[
            When("-r", &["sys"]),
            When("-o", &["onsysprof"]),
            OneOf(&["-m", "--all"]),
            Required("-f"),
            Optional("-k"),
        ]),
        Form::later(&[When("-r", &["sys"]), When("-o", &["onhwdisc", "recover", "spfailover"])]),
        Form::new(&[
            When("-r", &["lpar"]),
            When("-o", &["on"]),
            Required("-m"),
            OneOf(&["-n", "--id"]),
            Optional("-f"),
            Optional("-b"),
            Optional("-k"),
        ]),
        Form::new(&[
            When("-r", &["lpar"]),
            When("-o", &["shutdown"]),
            Required("-m"),
            OneOf(&["-n", "--id"]),
            Optional("--immed"),
            Needs("--restart", "--immed"),
        ]),
        Form::new(&[
            When("-r", &["lpar"]),
            When("-o", &["osshutdown"]),
            Required("-m"),
            OneOf(&["-n", "--id"]),
            Optional("--immed"),
            Optional("--restart"),
        ]),
        Form::new(&[
            When("-r", &["lpar"]),
            When("-o", &["chkey"]),
            Required("-m"),
            OneOf(&["-n", "--id"]),
            Required("-k"),
        ]),
        Form::later(&[
            When("-r", &["lpar"]),
            When(
                "-o",
                &[
                    "dumprestart",
                    "retrydump",
                    "dston",
                    "remotedston",
                    "remotedstoff",
                    "consoleservice",
                    "iopreset",
                    "iopdump",
                    "unownediooff",
                ],
            ),
        ]),
        Form::new(&[
            When("-r", &["sysprof"]),
            When("-o", &["on"]),
            Required("-m"),
            Required("-n"),
            Optional("--test"),
        ]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    match options.get("-r") {
        Some("sys") => systems(invocation, options),
        Some("sysprof") => super::system_profiles::activate(invocation, options),
        _ => partitions(invocation, options),
    }
}

fn keylock(options: &ParsedOptions) -> Option<Keylock> {
    options.get("-k").and_then(Keylock::from_word)
}

fn systems(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let (task, power) = match options.require("-o")? {
        "on" | "onstartpolicy" => (Task::PowerOnSystem, Some(SystemPower::On)),
        "onsysprof" => (Task::PowerOnSystem, None),
        "onstandby" => (Task::PowerOnSystem, Some(SystemPower::OnStandby)),
        "off" => {
            let (immediate, restart) = (options.has("--immed"), options.has("--restart"));
            (Task::PowerOffSystem, Some(SystemPower::Off { immediate, restart }))
        }
        "rebuild" => (Task::RebuildSystem, Some(SystemPower::Rebuild)),
        _ => (Task::ChangeSystem, None),
    };
    invocation.authorize(task)?;
    let names: Vec<String> = match options.get("-m") {
        Some(names) => names.split(',').map(|name| name.trim().to_owned()).collect(),
        None => invocation.systems().iter().map(|system| system.identity().to_string()).collect(),
    };
    let (keylock, several) = (keylock(options), names.len() > 1);
    invocation.each(names, |invocation, name| {
        let system = invocation.find_system(&name)?;
        let change = || -> Result<(), CommandError> {
            if let Some(profile) = options.get("-f") {
                let profile = profile.to_owned();
                invocation.ask_long(&system, SystemRequest::PowerOnWithProfile { profile })?;
            }
            if let Some(power) = power {
                invocation.ask_long(&system, SystemRequest::PowerSystem(power))?;
            }
            // Last: a power-on that is refused leaves the key as it was.
            if let Some(keylock) = keylock {
                invocation.ask(&system, SystemRequest::TurnKey { partition: None, keylock })?;
            }
            Ok(())
        };
        change().map_err(|error| match error {
            CommandError::Refused(refusal) if several && refusal.subject.is_none() => {
                let shown = invocation.console.name_of(&system);
                (*refusal).about("changing the state of", "managed system", &shown).into()
            }
            error => error,
        })
    })
}

fn partitions(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let operation = options.require("-o")?;
    let shuts = matches!(operation, "shutdown" | "osshutdown");
    invocation.authorize(if shuts { Task::ShutdownPartition } else { Task::ActivatePartition })?;
    let system = invocation.system(options)?;
    let targets = selectors(options, "-n", "--id")?;
    invocation.each_partition(&system, "changing the state of", targets, |invocation, partition| {
        match operation {
            "on" => activate(invocation, options, &system, partition),
            "chkey" => {
                let keylock = keylock(options).ok_or_else(|| invalid_parameters(&["-k"]))?;
                invocation.ask(&system, SystemRequest::TurnKey { partition: Some(partition), keylock })?;
                Ok(())
            }
            _ => stop(invocation, options, &system, partition),
        }
    })
}

fn activate(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
    system: &Arc<SystemConnection>,
    partition: Selector,
) -> Result<(), CommandError> {
    let options = PowerOnOptions {
        profile: options.get("-f").map(str::to_owned),
        boot_mode: options.get("-b").and_then(BootMode::from_word),
        keylock: keylock(options),
    };
    invocation.ask_long(system, SystemRequest::PowerOn { partition, options })?;
    Ok(())
}

/// Stops a partition as `-o`, `--immed` and `--restart` say.
pub(super) fn stop(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
    system: &Arc<SystemConnection>,
    partition: Selector,
) -> Result<(), CommandError> {
    let request = match (options.require("-o")?, options.has("--immed")) {
        ("osshutdown", false) => StopRequest::OperatingSystem,
        ("osshutdown", true) => StopRequest::OperatingSystemImmediate,
        (_, false) => StopRequest::Delayed,
        (_, true) => StopRequest::Immediate,
    };
    let restart = options.has("--restart");
    invocation.ask_long(system, SystemRequest::Stop { partition, request, restart })?;
    Ok(())
}
