//! `lsmap`: what is served to whom.

use varan_contract::vios::{MappingQuery, Select, ViosQuery};
use varan_model::ids::PartitionId;
use varan_model::vios::{BackingKind, FibreChannelMapping, ScsiMapping, TargetMapping, ViosMessage};

use super::error::{Ended, refused};
use super::grammar::{Form, OptionRow, Parsed, Takes, form};
use super::invocation::{ViosInvocation, answer, selector};
use super::listing::{Delimiter, delimiter, joined, line};
use super::{ViosCommand, network};

const OPTIONS: &[OptionRow] = &[
    ("all", Takes::Nothing),
    ("vadapter", Takes::One),
    ("plc", Takes::One),
    ("type", Takes::Many),
    ("npiv", Takes::Nothing),
    ("net", Takes::Nothing),
    ("vnic", Takes::Nothing),
    ("ams", Takes::Nothing),
    ("vtd", Takes::One),
    ("suspend", Takes::Nothing),
    ("clustername", Takes::One),
    ("hostname", Takes::One),
    ("dec", Takes::Nothing),
    ("cpid", Takes::One),
    ("field", Takes::Many),
    ("fmt", Takes::One),
    ("fmt2", Takes::One),
];

const WHICH: &[&str] = &["vadapter", "plc", "all"];
const FORMS: &[Form] = &[
    form(&[], &[WHICH], &["type", "dec", "cpid", "field", "fmt", "fmt2"]),
    form(&["npiv"], &[WHICH], &["dec", "cpid", "field", "fmt", "fmt2"]),
    form(&["vnic"], &[WHICH], &["dec", "cpid", "field", "fmt", "fmt2"]),
    form(&["net"], &[WHICH], &["dec", "field", "fmt", "fmt2"]),
    form(&["ams"], &[&["vtd", "all"]], &["type", "dec", "field", "fmt", "fmt2"]),
    form(&["suspend"], &[&["vadapter", "all"]], &["type", "dec", "field", "fmt", "fmt2"]),
    form(&["clustername"], &[&["all", "hostname"]], &["dec", "field", "fmt", "fmt2"]),
];

pub(crate) static LIST: ViosCommand = ViosCommand {
    name: "lsmap",
    usage: "lsmap {-vadapter ServerVirtualAdapter | -plc PhysicalLocationCode | -all}
             [-type BackingDeviceType... | -npiv | -vnic] [-dec]
             [-cpid ClientPartitionId] [-field FieldName...]
             [-fmt Delimiter | -fmt2 Delimiter]
lsmap {-vadapter ServerVirtualAdapter | -plc PhysicalLocationCode | -all}
             -net [-dec] [-field FieldName...] [-fmt Delimiter | -fmt2 Delimiter]
lsmap -ams {-vtd PagingDevice | -all} [-type BackingDeviceType...] [-dec]
             [-field FieldName...] [-fmt Delimiter | -fmt2 Delimiter]
lsmap -clustername ClusterName {-all | -hostname HostName} [-dec]
             [-field FieldName...] [-fmt Delimiter | -fmt2 Delimiter]
lsmap -suspend {-vadapter ServerVirtualAdapter | -all}
             [-type BackingDeviceType...] [-dec] [-field FieldName...]
             [-fmt Delimiter | -fmt2 Delimiter]",
    summary: "Displays the mapping between physical, logical and virtual devices.",
    options: OPTIONS,
    forms: FORMS,
    changes: false,
    run: list,
};

/// A value of an adapter or of one of its mappings: `-field` name, heading of the long form, text.
struct Part<Row: ?Sized> {
    key: &'static str,
    title: &'static str,
    width: usize,
    value: fn(&Row, bool) -> String,
}

const fn part<Row: ?Sized>(
    key: &'static str,
    title: &'static str,
    width: usize,
    value: fn(&Row, bool) -> String,
) -> Part<Row> {
    Part { key, title, width, value }
}

fn client(id: Option<PartitionId>, decimal: bool) -> String {
    let number = id.map_or(0, |id| u32::from(id.0));
    if decimal { number.to_string() } else { format!("0x{number:08x}") }
}

const ADAPTER: &[Part<ScsiMapping>] = &[
    part("svsa", "SVSA", 15, |row, _| row.adapter.to_string()),
    part("physloc", "Physloc", 44, |row, _| row.location.clone()),
    part("clientid", "Client Partition ID", 18, |row, decimal| client(row.client, decimal)),
];
const TARGET: &[Part<TargetMapping>] = &[
    part("vtd", "VTD", 22, |row, _| row.name.to_string()),
    part("status", "Status", 22, |row, _| row.state.word().to_owned()),
    part("lun", "LUN", 22, |row, _| format!("0x{:016x}", row.lun)),
    part("backing", "Backing device", 22, |row, _| row.backing.to_string()),
    part("bdphysloc", "Physloc", 22, |row, _| row.backing_location.clone()),
    part("mirrored", "Mirrored", 22, |row, _| {
        row.mirrored.map_or("N/A".to_owned(), |mirrored| mirrored.to_string())
    }),
];
const NO_TARGET: &str = "NO VIRTUAL TARGET DEVICE FOUND";

fn find<'p, Row: ?Sized>(parts: &'p [Part<Row>], name: &str) -> Option<&'p Part<Row>> {
    parts.iter().find(|part| part.key.eq_ignore_ascii_case(name) || part.title.eq_ignore_ascii_case(name))
}

fn list(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let delimiter = delimiter(parsed)?;
    if let Some(name) = parsed.get("clustername") {
        return Err(refused(ViosMessage::NotSupported, format!("lsmap -clustername {name}")).into());
    }
    if parsed.has("net") {
        return network::networks(invocation, parsed, delimiter.as_ref());
    }
    if parsed.has("vnic") {
        return network::virtual_nics(invocation, parsed, delimiter.as_ref());
    }
    if let Some(name) = parsed.get("vtd") {
        return Err(refused(ViosMessage::NotPagingDevice, name).into());
    }
    let query = query(parsed)?;
    if parsed.has("ams") || parsed.has("suspend") {
        // Neither paging devices nor suspended clients are served at this level: of all adapters there is nothing to show.
        if matches!(query.adapters, Select::One(_)) {
            answer!(invocation, ViosQuery::ScsiMappings(query), ScsiMappings);
        }
        return Ok(0);
    }
    if parsed.has("npiv") {
        let rows = answer!(invocation, ViosQuery::FibreChannelMappings(query), FibreChannelMappings);
        return fibre_channel(invocation, parsed, delimiter.as_ref(), &rows);
    }
    let rows = answer!(invocation, ViosQuery::ScsiMappings(query), ScsiMappings);
    scsi(invocation, parsed, delimiter.as_ref(), &rows)
}

fn query(parsed: &Parsed) -> Result<MappingQuery, Ended> {
    let mut kinds = Vec::new();
    for word in parsed.list("type") {
        let kind = BackingKind::ALL.into_iter().find(|kind| kind.word() == word);
        kinds.push(kind.ok_or_else(|| refused(ViosMessage::ArgumentInvalid, word))?);
    }
    let client = match parsed.get("cpid") {
        Some(text) => Some(text.parse().map_err(|_| refused(ViosMessage::ArgumentInvalid, text))?),
        None => None,
    };
    let adapters = selector(parsed, "vadapter", "plc").map_or(Select::All, Select::One);
    Ok(MappingQuery { adapters, client, kinds })
}

/// Which parts `-field` names, in its order; all without it.
#[allow(clippy::type_complexity, reason = "two lists of parts, once")]
fn parts(
    parsed: &Parsed,
) -> Result<(Vec<&'static Part<ScsiMapping>>, Vec<&'static Part<TargetMapping>>), Ended> {
    let words = parsed.words("field");
    if words.is_empty() {
        return Ok((ADAPTER.iter().collect(), TARGET.iter().collect()));
    }
    let (mut adapter, mut target) = (Vec::new(), Vec::new());
    for word in words {
        let word = if word.eq_ignore_ascii_case("client id") { "clientid" } else { word };
        match (find(ADAPTER, word), find(TARGET, word)) {
            (Some(part), _) => adapter.push(part),
            (None, Some(part)) => target.push(part),
            (None, None) => return Err(refused(ViosMessage::FieldUnknown, word).into()),
        }
    }
    Ok((adapter, target))
}

fn scsi(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    delimiter: Option<&Delimiter>,
    rows: &[ScsiMapping],
) -> Result<u8, Ended> {
    let (adapter, target) = parts(parsed)?;
    let decimal = parsed.has("dec");
    for row in rows {
        if let Some(delimiter) = delimiter {
            let mut values: Vec<String> = adapter.iter().map(|part| (part.value)(row, decimal)).collect();
            for mapping in &row.targets {
                values.extend(target.iter().map(|part| (part.value)(mapping, decimal)));
            }
            if row.targets.is_empty() && !target.is_empty() {
                values.push(String::new());
            }
            writeln!(invocation.output, "{}", joined(values, delimiter))?;
            continue;
        }
        write_head(invocation, &adapter, row, decimal)?;
        if row.targets.is_empty() && !target.is_empty() {
            writeln!(invocation.output, "{:<22}{NO_TARGET}\n", "VTD")?;
        }
        for mapping in &row.targets {
            for part in &target {
                writeln!(invocation.output, "{:<22}{}", part.title, (part.value)(mapping, decimal))?;
            }
            if !target.is_empty() {
                writeln!(invocation.output)?;
            }
        }
    }
    Ok(0)
}

/// Headings, dashes, the adapter's values, a blank line.
fn write_head<Row>(
    invocation: &mut ViosInvocation<'_>,
    parts: &[&Part<Row>],
    row: &Row,
    decimal: bool,
) -> Result<(), Ended> {
    if parts.is_empty() {
        return Ok(());
    }
    let cells = |text: &dyn Fn(&Part<Row>) -> String| {
        let cells: Vec<_> = parts.iter().map(|part| (text(part), part.width, false)).collect();
        line(&cells)
    };
    writeln!(invocation.output, "{}", cells(&|part| part.title.to_owned()))?;
    writeln!(invocation.output, "{}", cells(&|part| "-".repeat(part.width)))?;
    writeln!(invocation.output, "{}\n", cells(&|part| (part.value)(row, decimal)))?;
    Ok(())
}

const PORT: &[Part<FibreChannelMapping>] = &[
    part("name", "Name", 13, |row, _| row.adapter.to_string()),
    part("physloc", "Physloc", 34, |row, _| row.location.clone()),
    part("clntid", "ClntID", 6, |row, _| row.client.map(|id| id.to_string()).unwrap_or_default()),
    part("clntname", "ClntName", 14, |row, _| row.client_name.clone()),
    part("clntos", "ClntOS", 7, |row, _| row.client_operating_system.clone()),
    part("status", "Status", 0, |row, _| row.status.word().to_owned()),
    part("fc", "FC name", 0, |row, _| row.port.as_ref().map(|port| port.0.to_string()).unwrap_or_default()),
    part("fcphysloc", "FC loc code", 0, |row, _| {
        row.port.as_ref().map(|port| port.1.clone()).unwrap_or_default()
    }),
    part("ports", "Ports logged in", 0, |row, _| row.ports_logged_in.to_string()),
    part("flags", "Flags", 0, |row, _| format!("{:x}", row.flags.0)),
    part("vfcclient", "VFC client name", 0, |row, _| row.client_device.clone()),
    part("vfcclientdrc", "VFC client DRC", 0, |row, _| row.client_location.clone()),
];

/// Parts that stand in the table; the others are lines below it.
const PORT_COLUMNS: usize = 5;

fn fibre_channel(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    delimiter: Option<&Delimiter>,
    rows: &[FibreChannelMapping],
) -> Result<u8, Ended> {
    let words = parsed.words("field");
    let mut parts: Vec<&Part<FibreChannelMapping>> = Vec::new();
    for word in words {
        parts.push(find(PORT, word).ok_or_else(|| refused(ViosMessage::FieldUnknown, word))?);
    }
    if words.is_empty() {
        parts = PORT.iter().collect();
    }
    for row in rows {
        if let Some(delimiter) = delimiter {
            let values = parts.iter().map(|part| (part.value)(row, true));
            writeln!(invocation.output, "{}", joined(values, delimiter))?;
            continue;
        }
        let is_column = |part: &&Part<FibreChannelMapping>| {
            PORT[..PORT_COLUMNS].iter().any(|column| column.key == part.key)
        };
        let (columns, others): (Vec<_>, Vec<_>) = parts.iter().copied().partition(is_column);
        client_head(invocation, &columns, row)?;
        for text in lines_below(&others, row) {
            writeln!(invocation.output, "{text}")?;
        }
        if !others.is_empty() {
            writeln!(invocation.output)?;
        }
    }
    Ok(0)
}

/// As [`write_head`], with the client's number at the right of its column.
fn client_head(
    invocation: &mut ViosInvocation<'_>,
    parts: &[&Part<FibreChannelMapping>],
    row: &FibreChannelMapping,
) -> Result<(), Ended> {
    if parts.is_empty() {
        return Ok(());
    }
    let cells = |text: &dyn Fn(&Part<FibreChannelMapping>) -> String| {
        let cells: Vec<_> = parts.iter().map(|part| (text(part), part.width, part.key == "clntid")).collect();
        line(&cells)
    };
    writeln!(invocation.output, "{}", cells(&|part| part.title.to_owned()))?;
    writeln!(invocation.output, "{}", cells(&|part| "-".repeat(part.width)))?;
    writeln!(invocation.output, "{}\n", cells(&|part| (part.value)(row, true)).trim_end())?;
    Ok(())
}

/// The lines of a mapping below its table; names and locations of one end stand beside each other.
fn lines_below(parts: &[&Part<FibreChannelMapping>], row: &FibreChannelMapping) -> Vec<String> {
    let shown = |part: &Part<FibreChannelMapping>| match part.key {
        "flags" => format!("{}:{}", part.title, row.flags),
        _ => format!("{}:{}", part.title, (part.value)(row, true)),
    };
    let mut lines: Vec<String> = Vec::new();
    let mut beside = false;
    for part in parts {
        match (part.key, lines.last_mut()) {
            ("fcphysloc" | "vfcclientdrc", Some(last)) if beside => {
                *last = format!("{last:<32}{}", shown(part));
                beside = false;
            }
            _ => {
                lines.push(shown(part));
                beside = matches!(part.key, "fc" | "vfcclient");
            }
        }
    }
    lines
}
