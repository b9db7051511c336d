//! `lsmap -net` and `lsmap -vnic`.

use varan_contract::vios::Select;
use varan_contract::vios_network::{BridgeMapping, NetworkQuery, VirtualNicMapping};
use varan_model::vios::ViosMessage;

use super::super::error::{Ended, refused};
use super::super::grammar::Parsed;
use super::super::invocation::{ViosInvocation, selector};
use super::super::listing::{Delimiter, joined};
use super::network;

/// Fields, in the order of `-fmt`, with the labels of the long form.
type Parts<Row> = &'static [(&'static str, &'static str, fn(&Row) -> String)];

fn chosen<Row>(parsed: &Parsed, parts: Parts<Row>) -> Result<Vec<usize>, Ended> {
    let words = parsed.words("field");
    if words.is_empty() {
        return Ok((0..parts.len()).collect());
    }
    let find = |word: &String| {
        let same = |(key, label, _): &(&str, &str, fn(&Row) -> String)| {
            key.eq_ignore_ascii_case(word) || label.eq_ignore_ascii_case(word)
        };
        parts.iter().position(same).ok_or_else(|| refused(ViosMessage::FieldUnknown, word).into())
    };
    words.iter().map(find).collect()
}

const BRIDGE: Parts<BridgeMapping> = &[
    ("svea", "SVEA", |row| row.adapter.to_string()),
    ("physloc", "Physloc", |row| row.location.clone()),
    ("sea", "SEA", |row| row.bridge.as_ref().map(ToString::to_string).unwrap_or_default()),
    ("backing", "Backing device", |row| row.backing.as_ref().map(ToString::to_string).unwrap_or_default()),
    ("status", "Status", |row| row.status.clone()),
    ("bdphysloc", "Physloc", |row| row.backing_location.clone()),
];
/// Of them, those in the table above the lines.
const BRIDGE_COLUMNS: [usize; 2] = [6, 44];
const NO_BRIDGE: &str = "NO SHARED ETHERNET ADAPTER FOUND";

pub(in super::super) fn networks(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    delimiter: Option<&Delimiter>,
) -> Result<u8, Ended> {
    let wanted = chosen(parsed, BRIDGE)?;
    let which = selector(parsed, "vadapter", "plc").map_or(Select::All, Select::One);
    for row in network!(invocation, NetworkQuery::Bridges(which), Bridges) {
        if let Some(delimiter) = delimiter {
            let values = wanted.iter().map(|index| (BRIDGE[*index].2)(&row));
            writeln!(invocation.output, "{}", joined(values, delimiter))?;
            continue;
        }
        let columns: Vec<usize> = wanted.iter().copied().filter(|index| *index < 2).collect();
        let cells = |text: &dyn Fn(usize) -> String| {
            let cells = columns.iter().map(|index| format!("{:<1$}", text(*index), BRIDGE_COLUMNS[*index]));
            cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
        };
        if !columns.is_empty() {
            writeln!(invocation.output, "{}", cells(&|index| BRIDGE[index].1.to_owned()))?;
            writeln!(invocation.output, "{}", cells(&|index| "-".repeat(BRIDGE_COLUMNS[index])))?;
            writeln!(invocation.output, "{}\n", cells(&|index| (BRIDGE[index].2)(&row)))?;
        }
        let lines: Vec<usize> = wanted.iter().copied().filter(|index| *index >= 2).collect();
        if lines.is_empty() {
            continue;
        }
        if row.bridge.is_none() {
            writeln!(invocation.output, "{:<20}{NO_BRIDGE}\n", "SEA")?;
            continue;
        }
        for index in lines {
            let text = format!("{:<22}{}", BRIDGE[index].1, (BRIDGE[index].2)(&row));
            writeln!(invocation.output, "{}", text.trim_end())?;
        }
        writeln!(invocation.output)?;
    }
    Ok(0)
}

fn known(text: Option<&str>) -> String {
    match text {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => "N/A".to_owned(),
    }
}

const NIC: Parts<VirtualNicMapping> = &[
    ("name", "Name", |row| row.adapter.to_string()),
    ("physloc", "Physloc", |row| row.location.clone()),
    ("clntid", "ClntID", |row| row.client.to_string()),
    ("clntname", "ClntName", |row| known(row.client_login.as_ref().map(|client| client.name.as_str()))),
    ("clntos", "ClntOS", |row| {
        known(row.client_login.as_ref().map(|client| client.operating_system.as_str()))
    }),
    ("backing", "Backing device", |row| known(row.backing.as_ref().map(|device| device.name.as_str()))),
    ("status", "Status", |row| known(row.backing.as_ref().map(|device| device.state.word()))),
    ("bdphysloc", "Physloc", |row| known(row.backing.as_ref().map(|device| device.location.as_str()))),
    ("clntdev", "Client device name", |row| {
        known(row.client_login.as_ref().map(|client| client.device.as_str()))
    }),
    ("clntphysloc", "Client device physloc", |row| row.client_location.clone()),
];
const NIC_COLUMNS: [usize; 5] = [13, 34, 6, 14, 7];
/// The client's number stands at the right.
const NIC_RIGHT: usize = 2;

pub(in super::super) fn virtual_nics(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    delimiter: Option<&Delimiter>,
) -> Result<u8, Ended> {
    let wanted = chosen(parsed, NIC)?;
    let client = match parsed.get("cpid") {
        Some(text) => Some(text.parse().map_err(|_| refused(ViosMessage::ArgumentInvalid, text))?),
        None => None,
    };
    let adapters = selector(parsed, "vadapter", "plc").map_or(Select::All, Select::One);
    let rows = network!(invocation, NetworkQuery::VirtualNics { adapters, client }, VirtualNics);
    let columns: Vec<usize> = wanted.iter().copied().filter(|index| *index < NIC_COLUMNS.len()).collect();
    let lines: Vec<usize> = wanted.iter().copied().filter(|index| *index >= NIC_COLUMNS.len()).collect();
    let cells = |text: &dyn Fn(usize) -> String| {
        let cell = |index: &usize| {
            let (text, width) = (text(*index), NIC_COLUMNS[*index]);
            if *index == NIC_RIGHT { format!("{text:>width$}") } else { format!("{text:<width$}") }
        };
        columns.iter().map(cell).collect::<Vec<_>>().join(" ")
    };
    let head = cells(&|index| NIC[index].1.to_owned());
    let dashes = cells(&|index| "-".repeat(NIC_COLUMNS[index]));
    if rows.is_empty() && delimiter.is_none() && !columns.is_empty() {
        writeln!(invocation.output, "{head}\n{dashes}")?;
    }
    for row in rows {
        if let Some(delimiter) = delimiter {
            let values = wanted.iter().map(|index| (NIC[*index].2)(&row));
            writeln!(invocation.output, "{}", joined(values, delimiter))?;
            continue;
        }
        if !columns.is_empty() {
            writeln!(invocation.output, "{head}\n{dashes}")?;
            writeln!(invocation.output, "{}\n", cells(&|index| (NIC[index].2)(&row)).trim_end())?;
        }
        for index in &lines {
            writeln!(invocation.output, "{}:{}", NIC[*index].1, (NIC[*index].2)(&row))?;
        }
        if !lines.is_empty() {
            writeln!(invocation.output)?;
        }
    }
    Ok(0)
}
