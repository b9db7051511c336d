//! `updlic`: updates and upgrades of firmware.

use std::sync::Arc;

use varan_console::{SystemConnection, Task};
use varan_contract::system::SystemRequest;
use varan_model::codes::MessageKey;
use varan_model::firmware::FirmwarePackage;
use varan_model::refusal::Refusal;
use varan_model::rules::firmware::{Activation, FirmwareOperation, LevelWish, choose, failed, plan};
use varan_model::system::ManagedSystem;

use super::MANAGED_SYSTEM;
use super::lslic::{
    ALL_OF_FRAME, DIRECTORY, EVERY_SYSTEM, FRAME, HOST, KEY, PASSWORD, REPOSITORY, USER, reachable, targets,
};
use crate::catalog::CommandDefinition;
use crate::failure::{CommandError, invalid_parameters};
use crate::firmware::{Repository, discard, keep};
use crate::form::Form;
use crate::form::PartOfForm::{Needs, OneOf, Optional, Required, When};
use crate::invocation::Invocation;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "updlic",
    summary: "update firmware",
    options: &[
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["a", "i", "u", "d", "r", "c", "h", "o", "p"]),
            "a: install and activate; i: install only; u: upgrade the release, always disruptive; d: activate what is installed, disruptively; r: go back to the accepted level; c: accept the installed level; h, o: give the control of updates to the console or to an operating system; p: remove levels from the disk of the console.",
        ),
        MANAGED_SYSTEM,
        FRAME,
        ALL_OF_FRAME,
        EVERY_SYSTEM,
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["sys", "power", "syspower", "io", "all"]),
            "Which firmware, sys when not given.",
        ),
        REPOSITORY,
        OptionDefinition::new(
            "-l",
            OptionValue::Text("{latest | latestconcurrent | sss | ccc,ppp | release_level,...}"),
            "Which level: the latest, the latest that activates concurrently, a level of the release, or full names.",
        ),
        HOST,
        USER,
        PASSWORD,
        KEY,
        DIRECTORY,
        OptionDefinition::new(
            "--allowpoweroff",
            OptionValue::Flag,
            "Allow the systems of a frame to be powered off for its power subsystem; without meaning for others.",
        ),
        OptionDefinition::new(
            "--ecnumber",
            OptionValue::Text("EC-number"),
            "With -o p, the release to remove; all when not given.",
        ),
        OptionDefinition::new("-q", OptionValue::Flag, "Ask nothing. Nothing is ever asked."),
        OptionDefinition::new("-v", OptionValue::Flag, "Print what is being done."),
        HELP,
    ],
    forms: &[
        Form::new(&[
            When("-o", &["a", "i", "u"]),
            OneOf(&["-m", "-e", "-w"]),
            Needs("--allsystems", "-e"),
            Optional("-t"),
            Required("-r"),
            Required("-l"),
            Optional("-h"),
            Optional("-u"),
            Optional("--passwd"),
            Optional("-k"),
            Optional("-d"),
            Optional("--allowpoweroff"),
            Optional("-q"),
            Optional("-v"),
        ]),
        Form::new(&[
            When("-o", &["d", "r", "c"]),
            OneOf(&["-m", "-e", "-w"]),
            Needs("--allsystems", "-e"),
            Optional("-t"),
            Optional("--allowpoweroff"),
            Optional("-q"),
            Optional("-v"),
        ]),
        Form::new(&[When("-o", &["h", "o"]), Required("-m"), Optional("-v")]),
        Form::new(&[When("-o", &["p"]), Optional("--ecnumber"), Optional("-q"), Optional("-v")]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::UpdateFirmware)?;
    let operation = options.require("-o")?;
    if operation == "p" {
        return purge(invocation, options);
    }
    let targets = targets(invocation, options)?;
    let source = match operation {
        "a" | "i" | "u" => Some(Source::read(invocation, options)?),
        _ => None,
    };
    invocation.each(targets, |invocation, connection| {
        let system = reachable(invocation, &connection)?;
        if let Some(subsystem @ ("power" | "io")) = options.get("-t") {
            return Err(
                failed(&system, &Refusal::new(MessageKey::FirmwareNoSubsystem).with(subsystem)).into()
            );
        }
        let operation = match (&source, operation) {
            (Some(source), operation) => source.operation(invocation, options, &system, operation)?,
            (None, "d") => FirmwareOperation::ActivateDisruptively,
            (None, "r") => FirmwareOperation::Remove,
            (None, "c") => FirmwareOperation::Accept,
            (None, operation) => FirmwareOperation::Control { console: operation == "h" },
        };
        carry_out(invocation, options, &connection, &system, operation)
    })
}

/// A repository, what is in it, and the level that is wanted of it.
struct Source {
    repository: Repository,
    packages: Vec<FirmwarePackage>,
    wish: LevelWish,
}

impl Source {
    fn read(invocation: &Invocation<'_>, options: &ParsedOptions) -> Result<Self, Refusal> {
        let wish = LevelWish::parse(options.require("-l")?).ok_or_else(|| invalid_parameters(&["-l"]))?;
        let repository = Repository::of(options)?;
        let packages = repository.packages(invocation.files)?;
        Ok(Self { repository, packages, wish })
    }

    /// Chooses the package for the system and retrieves it.
    fn operation(
        &self,
        invocation: &mut Invocation<'_>,
        options: &ParsedOptions,
        system: &ManagedSystem,
        letter: &str,
    ) -> Result<FirmwareOperation, CommandError> {
        let package = choose(system, &self.packages, &self.wish, letter == "u")?;
        let fixes = &invocation.console.description().fixes;
        if !package.allows_console(invocation.console.release(), fixes) {
            let reason = Refusal::new(MessageKey::FirmwareConsoleTooOld);
            let reason = reason.with(package.name()).with(package.console_needed());
            return Err(failed(system, &reason).into());
        }
        let boxed = || Box::new(package.clone());
        let operation = match letter {
            "a" => FirmwareOperation::Activate(boxed()),
            "i" => FirmwareOperation::Install(boxed()),
            _ => FirmwareOperation::Upgrade(boxed()),
        };
        // Before anything is copied; the system itself decides once more.
        plan(system, &operation)?;
        let image = self.repository.retrieve(invocation.files, package);
        let image = image.map_err(|reason| failed(system, &reason))?;
        if self.repository != Repository::Disk {
            keep(invocation.files, package, &image).map_err(|error| {
                let reason = Refusal::new(MessageKey::FirmwareRepositoryUnavailable);
                failed(system, &reason.with("disk").with(error))
            })?;
        }
        if options.has("-v") {
            let (name, place) = (package.name(), self.repository.shown());
            writeln!(invocation.output, "Retrieved {name} from {place}.")?;
        }
        Ok(operation)
    }
}

fn carry_out(
    invocation: &mut Invocation<'_>,
    options: &ParsedOptions,
    connection: &Arc<SystemConnection>,
    system: &ManagedSystem,
    operation: FirmwareOperation,
) -> Result<(), CommandError> {
    if options.has("-v") {
        if let Some(plan) = plan(system, &operation)? {
            let how = match plan.activation {
                Activation::None => "without activation",
                Activation::Concurrent => "concurrently",
                Activation::PowerCycle => "disruptively",
            };
            let from = &plan.before.activated.level;
            let to = plan.install.as_ref().unwrap_or(&plan.before.temporary);
            writeln!(
                invocation.output,
                "Updating {} from {from} to {}, {how}.",
                system.settings.name, to.level
            )?;
        }
        invocation.output.flush()?;
    }
    invocation.ask_long(connection, SystemRequest::UpdateFirmware(operation))?;
    if options.has("-v") {
        writeln!(invocation.output, "The operation completed for {}.", system.settings.name)?;
    }
    Ok(())
}

/// Removes packages from the console's own disk.
fn purge(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    let wanted = options.get("--ecnumber");
    let mut packages = Repository::Disk.packages(invocation.files)?;
    packages.retain(|package| wanted.is_none_or(|wanted| package.image.level.ec_number == wanted));
    if let (Some(wanted), true) = (wanted, packages.is_empty()) {
        return Err(Refusal::new(MessageKey::FirmwareLevelNotFound).with(wanted).into());
    }
    for package in &packages {
        discard(invocation.files, package).map_err(|error| {
            Refusal::new(MessageKey::FirmwareRepositoryUnavailable).with("disk").with(error)
        })?;
        if options.has("-v") {
            writeln!(invocation.output, "Removed {}.", package.name())?;
        }
    }
    Ok(0)
}
