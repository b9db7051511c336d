//! Help texts, made from the tables.

use varan_model::attributes::{Attribute, Change, Listing, Release, Table};
use varan_model::codes::Evidence;

use crate::catalog::{CommandDefinition, commands};
use crate::commands::later;
use crate::form::synopsis;

/// Width to which texts are wrapped.
const WIDTH: usize = 78;

/// One attribute of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeHelp {
    /// Name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Where it is listed.
    pub listing: Listing,
    /// Who may change it.
    pub change: Change,
    /// How sure its name and place are.
    pub evidence: Evidence,
}

/// What a table says about the attributes that a release has.
pub(crate) fn attributes<Row: 'static>(table: &'static Table<Row>, release: Release) -> Vec<AttributeHelp> {
    let of_release = |attribute: &&Attribute<Row>| attribute.since <= release;
    let help = |attribute: &Attribute<Row>| AttributeHelp {
        name: attribute.name,
        help: attribute.help,
        listing: attribute.listing,
        change: attribute.change,
        evidence: attribute.evidence,
    };
    table.attributes.iter().filter(of_release).map(help).collect()
}

fn wrap(text: &str, first: &str, indent: &str, out: &mut String) {
    let mut line = first.to_owned();
    let mut fresh = true;
    for word in text.split(' ') {
        if !fresh && line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = indent.to_owned();
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    out.push_str(&line);
    out.push('\n');
}

fn push_synopsis(command: &CommandDefinition, out: &mut String) {
    for form in command.forms.iter().filter(|form| form.supported) {
        wrap(&synopsis(command.name, form, command.options), "    ", "        ", out);
    }
}

fn push_options(command: &CommandDefinition, out: &mut String) {
    for option in command.options.iter().filter(|option| option.supported) {
        let name = format!("{}{}", option.name, option.value.placeholder());
        wrap(&name, "    ", "        ", out);
        wrap(option.help, "            ", "            ", out);
    }
    for (resource, filters) in command.filters {
        wrap(&format!("Filters of {resource}: {}.", filters.join(", ")), "    ", "        ", out);
    }
}

/// What `--help` prints.
#[must_use]
pub fn usage(command: &CommandDefinition) -> String {
    let mut out = format!("{} - {}\n\nUsage:\n", command.name, command.summary);
    push_synopsis(command, &mut out);
    out.push_str("\nOptions:\n");
    push_options(command, &mut out);
    out
}

/// The manual page of a command, or `None` for a name that is no command. Attributes are those of the console's release.
#[must_use]
pub fn manual(name: &str, release: Release) -> Option<String> {
    if later::NAMES.contains(&name) {
        return Some(format!(
            "NAME\n    {name}\n\nDESCRIPTION\n    {name} is not supported at this level.\n"
        ));
    }
    let command = commands().iter().find(|command| command.name == name)?;
    let mut out = format!("NAME\n    {} - {}\n\nSYNOPSIS\n", command.name, command.summary);
    push_synopsis(command, &mut out);
    out.push_str("\nOPTIONS\n");
    push_options(command, &mut out);
    for group in command.attributes {
        out.push_str(&format!("\nATTRIBUTES ({})\n", group.title));
        for attribute in (group.attributes)(release) {
            let when = match (attribute.listing, attribute.change) {
                (_, Change::AtCreation) => " Set at creation.",
                (Listing::Never, _) => " Can only be set.",
                (_, Change::Anytime) => " Can be changed.",
                (_, Change::WhenShutDown) => " Can be changed while the partition is shut down.",
                (Listing::OnRequest, Change::ReadOnly) => " Listed only with -F.",
                (Listing::Default, Change::ReadOnly) => "",
            };
            wrap(attribute.name, "    ", "        ", &mut out);
            wrap(&format!("{}{when}", attribute.help), "            ", "            ", &mut out);
        }
    }
    out.push_str("\nEXIT STATUS\n    0 when the command succeeded, 1 when it was refused.\n");
    Some(out)
}

/// A command with everything that a transcript must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredCommand {
    /// Name.
    pub name: &'static str,
    /// Supported options, `--help` included.
    pub options: Vec<&'static str>,
    /// Filters: resource and names.
    pub filters: Vec<(&'static str, Vec<&'static str>)>,
    /// Attributes: group and names.
    pub attributes: Vec<(&'static str, Vec<&'static str>)>,
}

/// Everything that the command language has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Commands that are there.
    pub commands: Vec<CoveredCommand>,
    /// Names that are refused as of a later level.
    pub later: Vec<&'static str>,
}

/// Lists every command, option, filter and attribute that a release has, for a test that compares with transcripts.
#[must_use]
pub fn coverage(release: Release) -> Coverage {
    let covered = |command: &&'static CommandDefinition| CoveredCommand {
        name: command.name,
        options: command.options.iter().filter(|option| option.supported).map(|option| option.name).collect(),
        filters: command.filters.iter().map(|(resource, names)| (*resource, names.to_vec())).collect(),
        attributes: command
            .attributes
            .iter()
            .map(|group| (group.title, (group.attributes)(release).into_iter().map(|one| one.name).collect()))
            .collect(),
    };
    Coverage { commands: commands().iter().map(covered).collect(), later: later::NAMES.to_vec() }
}
