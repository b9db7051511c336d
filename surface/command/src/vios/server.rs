//! The server itself: `ioslevel`, `oem_platform_level`, `license`, `updateios`, `shutdown`, `hostname`, `lslparinfo`,
//! `lsgcl`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use varan_contract::vios::{ViosChange, ViosQuery};
use varan_model::vios::{ViosMessage, ViosRefusal};

use super::ViosCommand;
use super::error::{Ended, refused};
use super::grammar::{Parsed, Takes, form, form_with};
use super::invocation::{ViosInvocation, answer};

/// The file of an update bundle that says what it brings; `docs/vios.md` describes it.
const BUNDLE_FILE: &str = "update.ios";
/// Bytes of that file at most.
const BUNDLE_BYTES: u64 = 64 << 10;

/// Refuses a command as long as nobody accepted the licence.
pub(crate) fn check_licence(invocation: &ViosInvocation<'_>) -> Result<(), Ended> {
    if invocation.identity()?.licence_accepted {
        return Ok(());
    }
    Err(ViosRefusal::new(ViosMessage::LicenceNotAccepted).into())
}

pub(crate) static LEVEL: ViosCommand = ViosCommand {
    name: "ioslevel",
    usage: "ioslevel",
    summary: "Displays the level of the Virtual I/O Server.",
    options: &[],
    forms: &[form(&[], &[], &[])],
    changes: false,
    run: |invocation, _| {
        let level = invocation.identity()?.level;
        writeln!(invocation.output, "{level}")?;
        Ok(0)
    },
};

pub(crate) static PLATFORM: ViosCommand = ViosCommand {
    name: "oem_platform_level",
    usage: "oem_platform_level",
    summary: "Displays the level of the operating system below the Virtual I/O Server.",
    options: &[],
    forms: &[form(&[], &[], &[])],
    changes: false,
    run: |invocation, _| {
        let level = invocation.identity()?.platform_level;
        writeln!(invocation.output, "AIX: {level}")?;
        Ok(0)
    },
};

pub(crate) static LICENCE: ViosCommand = ViosCommand {
    name: "license",
    usage: "license [-view | -accept | -ls]",
    summary: "Displays the state of the licence, or accepts it.",
    options: &[("view", Takes::Nothing), ("accept", Takes::Nothing), ("ls", Takes::Nothing)],
    forms: &[
        form(&[], &[], &[]),
        form(&["view"], &[], &[]),
        form(&["accept"], &[], &[]),
        form(&["ls"], &[], &[]),
    ],
    changes: false,
    run: licence,
};

fn licence(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    if parsed.has("accept") {
        invocation.note("license");
        return invocation.change_silently(ViosChange::AcceptLicence);
    }
    if parsed.has("ls") {
        writeln!(invocation.output, "en_US")?;
        return Ok(0);
    }
    let identity = invocation.identity()?;
    if parsed.has("view") {
        writeln!(
            invocation.output,
            "Varan Virtual I/O Server {} is free software; its licence is in the file LICENSE of its source.",
            identity.level
        )?;
        return Ok(0);
    }
    let state = if identity.licence_accepted { "has been" } else { "has not been" };
    writeln!(invocation.output, "The license {state} accepted.")?;
    Ok(0)
}

pub(crate) static UPDATE: ViosCommand = ViosCommand {
    name: "updateios",
    usage: "updateios -dev Media [-f] [-install] [-accept]
updateios -list -dev Media
updateios -commit
updateios -cleanup
updateios -remove {-file RemoveListFile | RemoveList}
updateios -reject [-f]
updateios -fs FilesetName -dev Media",
    summary: "Updates the Virtual I/O Server from a directory with an update bundle.",
    options: &[
        ("dev", Takes::One),
        ("f", Takes::Nothing),
        ("install", Takes::Nothing),
        ("accept", Takes::Nothing),
        ("list", Takes::Nothing),
        ("commit", Takes::Nothing),
        ("cleanup", Takes::Nothing),
        ("remove", Takes::Nothing),
        ("file", Takes::One),
        ("reject", Takes::Nothing),
        ("fs", Takes::One),
    ],
    forms: &[
        form(&["dev"], &[], &["f", "install", "accept"]),
        form(&["list"], &[&["dev"]], &[]),
        form(&["commit"], &[], &[]),
        form(&["cleanup"], &[], &[]),
        form_with(&["remove"], &[], &["file"], (0, 64)),
        form(&["reject"], &[], &["f"]),
        form(&["fs"], &[&["dev"]], &[]),
    ],
    changes: true,
    run: update,
};

/// The level that a bundle brings.
fn bundle_level(invocation: &ViosInvocation<'_>, directory: &str) -> Result<String, Ended> {
    let wrong = |reason: &str| refused(ViosMessage::BundleInvalid, directory).with(reason);
    let path = format!("{}/{BUNDLE_FILE}", directory.trim_end_matches('/'));
    let content = invocation
        .files
        .read(&path, BUNDLE_BYTES)
        .map_err(|error| wrong(error.to_string().trim_end_matches('.')))?;
    let text = String::from_utf8(content).map_err(|_| wrong(&format!("{BUNDLE_FILE} is not a text")))?;
    let level = text.lines().find_map(|line| line.trim().strip_prefix("level=")).map(str::trim);
    let level = level.ok_or_else(|| wrong(&format!("{BUNDLE_FILE} names no level")))?;
    let parts: Vec<&str> = level.split('.').collect();
    let number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() != 4 || !parts.iter().all(number) {
        return Err(wrong(&format!("{level} is no level")).into());
    }
    Ok(level.to_owned())
}

fn update(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    for later in ["remove", "reject", "fs"] {
        if parsed.has(later) {
            return Err(refused(ViosMessage::NotSupported, format!("updateios -{later}")).into());
        }
    }
    if parsed.has("commit") || parsed.has("cleanup") {
        writeln!(invocation.output, "There are no uncommitted updates.")?;
        return Ok(0);
    }
    let level = bundle_level(invocation, parsed.get("dev").unwrap_or_default())?;
    if parsed.has("list") {
        writeln!(invocation.output, "ios.cli.rte {level}")?;
        return Ok(0);
    }
    let present = invocation.identity()?.level;
    if present != level {
        writeln!(invocation.output, "The update takes the Virtual I/O Server from {present} to {level}.")?;
    }
    if !parsed.has("accept") && !invocation.confirm("Continue the installation [y|n]?\n")? {
        return Err(Ended::Said(4));
    }
    let done = invocation.change(ViosChange::Update { level })?;
    writeln!(
        invocation.output,
        "installp:  * * *  A T T E N T I O N ! ! ! \n        Software changes processed during this session require this system \n        and any of its diskless/dataless clients to be rebooted in order \n        for the changes to be made effective."
    )?;
    invocation.print_notes(&done)?;
    Ok(0)
}

pub(crate) static SHUTDOWN: ViosCommand = ViosCommand {
    name: "shutdown",
    usage: "shutdown [-force] [-restart]",
    summary: "Ends the Virtual I/O Server, and starts it again with -restart. Without -force it asks first.",
    options: &[("force", Takes::Nothing), ("restart", Takes::Nothing)],
    forms: &[form(&[], &[], &["force", "restart"])],
    changes: false,
    run: |invocation, parsed| {
        let (force, restart) = (parsed.has("force"), parsed.has("restart"));
        let question = "Shutting down the VIO Server could affect Client Partitions. Continue [y|n]?\n\n";
        if !force && !invocation.confirm(question)? {
            return Err(Ended::Said(1));
        }
        // The log of commands would be gone with the server's answer.
        invocation.note("shutdown");
        invocation.change_silently(ViosChange::Shutdown { force, restart })
    },
};

pub(crate) static HOST_NAME: ViosCommand = ViosCommand {
    name: "hostname",
    usage: "hostname [HostName]",
    summary: "Displays the host name; root may set it.",
    options: &[],
    forms: &[form_with(&[], &[], &[], (0, 1))],
    changes: false,
    run: |invocation, parsed| match parsed.operands.first() {
        None => {
            let name = invocation.identity()?.hostname;
            writeln!(invocation.output, "{name}")?;
            Ok(0)
        }
        Some(_) if !invocation.root => Err(ViosRefusal::new(ViosMessage::AccessDenied).into()),
        Some(name) => {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            if name.is_empty() || name.len() > 64 || !name.bytes().all(letter) {
                return Err(refused(ViosMessage::ArgumentInvalid, name).into());
            }
            invocation.note("hostname");
            let done = invocation.change(ViosChange::SetHostname(name.clone()))?;
            writeln!(invocation.output, "{name}")?;
            invocation.print_notes(&done)?;
            Ok(0)
        }
    },
};

pub(crate) static PARTITION: ViosCommand = ViosCommand {
    name: "lslparinfo",
    usage: "lslparinfo",
    summary: "Displays the number and the name of the server's partition.",
    options: &[],
    forms: &[form(&[], &[], &[])],
    changes: false,
    run: |invocation, _| {
        let identity = invocation.identity()?;
        writeln!(invocation.output, "{} {}", identity.partition_id, identity.partition_name)?;
        Ok(0)
    },
};

pub(crate) static COMMAND_LOG: ViosCommand = ViosCommand {
    name: "lsgcl",
    usage: "lsgcl",
    summary: "Displays the commands that changed something, the oldest first.",
    options: &[],
    forms: &[form(&[], &[], &[])],
    changes: false,
    run: |invocation, _| {
        for entry in answer!(invocation, ViosQuery::CommandLog, CommandLog) {
            let time = Timestamp::from_second(entry.seconds).map_or(String::new(), |stamp| {
                stamp.to_zoned(TimeZone::UTC).strftime("%b %d %Y, %H:%M:%S").to_string()
            });
            writeln!(invocation.output, "{time} {:<10} {}", entry.user, entry.command)?;
        }
        Ok(0)
    },
};
