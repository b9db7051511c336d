//! `mkvdev -sea`, `-lnagg`, `-vlan`, their removal, and `cfglnagg`.

use varan_contract::vios::{DeviceOutcome, ViosChange, ViosDone};
use varan_contract::vios_network::{NetworkChange, NetworkDeviceKind};
use varan_model::vios::ViosMessage;

use super::super::ViosCommand;
use super::super::error::{Ended, refused};
use super::super::grammar::{Parsed, Takes, form_with};
use super::super::invocation::{ViosInvocation, by_name, confused, outcome_line};

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn attributes(parsed: &Parsed) -> Result<Vec<(String, String)>, Ended> {
    let pairs = parsed.pairs("attr")?;
    Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// What a command prints of a new device: itself, then its interfaces.
fn print_made(invocation: &mut ViosInvocation<'_>, done: &ViosDone) -> Result<u8, Ended> {
    for (name, outcome) in &done.devices {
        let (prefix, number) = name.parts();
        let (Some(number), "ent") = (number, prefix) else { continue };
        writeln!(invocation.output, "{}", outcome_line(name, *outcome))?;
        if *outcome == DeviceOutcome::Available {
            writeln!(invocation.output, "en{number}\net{number}")?;
        }
    }
    invocation.print_notes(done)?;
    Ok(0)
}

/// `mkvdev` of one of these; `None` where it is about something else.
pub(in super::super) fn make(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
) -> Result<Option<u8>, Ended> {
    let change = if let Some(real) = parsed.get("sea") {
        NetworkChange::CreateBridge {
            real: by_name(real),
            virtuals: owned(&parsed.list("vadapter")),
            default: parsed.get("default").unwrap_or_default().to_owned(),
            default_vlan: parsed.get("defaultid").unwrap_or_default().to_owned(),
            attributes: attributes(parsed)?,
            migrate: parsed.has("migrate"),
        }
    } else if parsed.has("lnagg") {
        let interface = parsed.get("interface").unwrap_or_default().to_owned();
        NetworkChange::CreateAggregation {
            adapters: owned(&parsed.list("lnagg")),
            attributes: attributes(parsed)?,
            migrate: parsed.has("migrate").then_some(interface),
        }
    } else if let Some(base) = parsed.get("vlan") {
        let tag = parsed.get("tagid").unwrap_or_default().to_owned();
        NetworkChange::CreateVlan { base: by_name(base), tag }
    } else {
        return Ok(None);
    };
    let done = invocation.change(ViosChange::Network(change))?;
    print_made(invocation, &done).map(Some)
}

/// `rmvdev` of one of these; `None` where it is about something else.
pub(in super::super) fn remove(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
) -> Result<Option<u8>, Ended> {
    let kinds = [
        ("sea", NetworkDeviceKind::Bridge),
        ("lnagg", NetworkDeviceKind::Aggregation),
        ("vlan", NetworkDeviceKind::Vlan),
    ];
    let found = kinds.into_iter().find_map(|(option, kind)| Some((parsed.get(option)?, kind)));
    let Some((device, kind)) = found else { return Ok(None) };
    let change = NetworkChange::Remove { device: by_name(device), kind, migrate: parsed.has("migrate") };
    let done = invocation.change(ViosChange::Network(change))?;
    print_made(invocation, &done).map(Some)
}

pub(in super::super) static LINKS: ViosCommand = ViosCommand {
    name: "cfglnagg",
    usage: "cfglnagg {-add | -rm} [-backup] LnaggDevice TargetAdapter...
cfglnagg -failover LnaggDevice",
    summary: "Adds adapters to a link aggregation or removes them from it while it is in use; with -backup they are its backups.",
    options: &[
        ("add", Takes::Nothing),
        ("rm", Takes::Nothing),
        ("backup", Takes::Nothing),
        ("failover", Takes::Nothing),
    ],
    forms: &[
        form_with(&[], &[&["add", "rm"]], &["backup"], (2, 32)),
        form_with(&["failover"], &[], &[], (1, 1)),
    ],
    changes: true,
    run: |invocation, parsed| {
        if parsed.has("failover") {
            return Err(refused(ViosMessage::NotSupported, "cfglnagg -failover").into());
        }
        let (device, links) = parsed.operands.split_first().ok_or_else(confused)?;
        let links: Vec<String> = links
            .iter()
            .flat_map(|word| word.split(','))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let (add, remove) = if parsed.has("add") { (links, Vec::new()) } else { (Vec::new(), links) };
        let (device, backup) = (by_name(device), parsed.has("backup"));
        invocation.change_and_print(ViosChange::Network(NetworkChange::ChangeAggregation {
            device,
            add,
            remove,
            backup,
        }))
    },
};
