//! `lslic`: firmware levels of managed systems, and of what a repository has.

use std::sync::Arc;

use varan_console::{SystemConnection, Task};
use varan_model::attributes::firmware::{FIRMWARE, FIRMWARE_REPOSITORY, FirmwareRow, Retrievable};
use varan_model::codes::MessageKey;
use varan_model::firmware::FirmwarePackage;
use varan_model::refusal::Refusal;
use varan_model::rules::firmware::{LevelWish, choose};
use varan_model::system::{ManagedSystem, SystemState};

use super::{FIELDS, HEADER, MANAGED_SYSTEM};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::firmware::{KINDS, Repository};
use crate::form::Form;
use crate::form::PartOfForm::{Needs, OneOf, Optional};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(super) const FRAME: OptionDefinition =
    OptionDefinition::new("-e", OptionValue::Text("managed-frame"), "Name of the managed frame.");
pub(super) const ALL_OF_FRAME: OptionDefinition =
    OptionDefinition::new("--allsystems", OptionValue::Flag, "With -e, all managed systems of the frame.");
pub(super) const EVERY_SYSTEM: OptionDefinition =
    OptionDefinition::new("-w", OptionValue::Flag, "All managed systems.");
pub(super) const REPOSITORY: OptionDefinition = OptionDefinition::new(
    "-r",
    OptionValue::Word(KINDS),
    "Where packages are: mountpoint for a directory of the home, disk for what was retrieved before.",
);
pub(super) const HOST: OptionDefinition =
    OptionDefinition::new("-h", OptionValue::Text("host-name"), "With -r ftp or sftp, the remote server.");
pub(super) const USER: OptionDefinition =
    OptionDefinition::new("-u", OptionValue::Text("user-ID"), "With -r ftp or sftp, the user there.");
pub(super) const PASSWORD: OptionDefinition =
    OptionDefinition::new("--passwd", OptionValue::Text("password"), "With -r ftp or sftp, the password.");
pub(super) const KEY: OptionDefinition = OptionDefinition::new(
    "-k",
    OptionValue::Text("SSH-private-key"),
    "With -r sftp, file of the private key.",
);
pub(super) const DIRECTORY: OptionDefinition =
    OptionDefinition::new("-d", OptionValue::Text("directory"), "Directory with the packages.");

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "lslic",
    summary: "list firmware levels",
    options: &[
        MANAGED_SYSTEM,
        FRAME,
        ALL_OF_FRAME,
        EVERY_SYSTEM,
        OptionDefinition::new(
            "-c",
            OptionValue::Flag,
            "The levels in the repository on the disk of the management console.",
        ),
        OptionDefinition::new(
            "-t",
            OptionValue::Word(&["sys", "power", "syspower", "powerfru", "sriov"]),
            "Which firmware: of the system, of a power subsystem, of both, of power units.",
        ),
        REPOSITORY,
        HOST,
        USER,
        PASSWORD,
        KEY,
        DIRECTORY,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[Form::listing(&[
        OneOf(&["-m", "-e", "-w", "-c"]),
        Needs("--allsystems", "-e"),
        Optional("-t"),
        Optional("-r"),
        Needs("-h", "-r"),
        Needs("-u", "-r"),
        Needs("--passwd", "-r"),
        Needs("-k", "-r"),
        Needs("-d", "-r"),
    ])],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-m", attributes: |release| attributes(&FIRMWARE, release) },
        AttributeGroup { title: "-c", attributes: |release| attributes(&FIRMWARE_REPOSITORY, release) },
    ],
    run,
};

/// The systems that `-m`, `-e` or `-w` names.
pub(super) fn targets(
    invocation: &Invocation<'_>,
    options: &ParsedOptions,
) -> Result<Vec<Arc<SystemConnection>>, Refusal> {
    if let Some(frame) = options.get("-e") {
        return Err(Refusal::new(MessageKey::FrameNotFound).with(frame));
    }
    if options.has("-w") {
        return Ok(invocation.systems());
    }
    Ok(vec![invocation.system(options)?])
}

/// The system, if it can be reached.
pub(super) fn reachable(
    invocation: &Invocation<'_>,
    connection: &SystemConnection,
) -> Result<Arc<ManagedSystem>, Refusal> {
    let system = invocation.console.describe(connection)?;
    if system.state == SystemState::NoConnection {
        return Err(invocation.console.no_connection(connection));
    }
    Ok(system)
}

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListSystems)?;
    let release = invocation.console.release();
    if options.has("-c") {
        if let Some(stranger) = ["-t", "-r"].into_iter().find(|option| options.has(option)) {
            return Err(Refusal::new(MessageKey::ParameterUnknown).with(stranger).into());
        }
        let layout = Layout::new(&FIRMWARE_REPOSITORY, options, release)?;
        return layout.print(Repository::Disk.packages(invocation.files)?, invocation.output);
    }
    if options.get("-t") == Some("sriov") {
        return Err(crate::failure::not_supported("lslic -t sriov").into());
    }
    let layout = Layout::new(&FIRMWARE, options, release)?;
    let targets = targets(invocation, options)?;
    let packages = match options.has("-r") {
        true => Some(Repository::of(options)?.packages(invocation.files)?),
        false => None,
    };
    let mut rows = Vec::new();
    // These machines have no power subsystem of their own.
    if !matches!(options.get("-t"), Some("power" | "powerfru")) {
        for connection in targets {
            let system = reachable(invocation, &connection)?;
            let retrievable = packages.as_ref().map(|packages| found(&system, packages));
            rows.push(FirmwareRow { system, retrievable });
        }
    }
    layout.print(rows, invocation.output)
}

fn found(system: &ManagedSystem, packages: &[FirmwarePackage]) -> Retrievable {
    let image = |wish, upgrade| {
        let package = choose(system, packages, &wish, upgrade).ok();
        package.map(|package| package.image.clone())
    };
    Retrievable {
        latest: image(LevelWish::Latest, true),
        concurrent: image(LevelWish::LatestConcurrent, false),
    }
}
