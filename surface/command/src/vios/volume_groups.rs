//! `lsvg`, `mkvg`, `extendvg`, `reducevg`, `lslv`, `mklv`, `extendlv`, `rmlv`.

use varan_contract::vios::{LogicalVolumeSize, ViosChange, ViosQuery};
use varan_model::vios::{LogicalVolume, LogicalVolumeState, ViosMessage, VolumeGroup};

use super::ViosCommand;
use super::error::{Ended, refused};
use super::grammar::{Parsed, Takes, form_with};
use super::invocation::{ViosInvocation, answer, confused, count, megabytes};
use super::listing::{delimiter, joined};

/// Regions of a disk, from the edge to the middle and on.
const REGIONS: u32 = 5;
/// Words that are taken behind a volume group or a logical volume.
const MANY: usize = 1_024;

/// Physical partitions of each region that lie in the ranges (first partition, how many).
pub(crate) fn regions(total: u32, ranges: &[(u32, u32)]) -> Vec<u32> {
    let border = |region: u32| u64::from(total) * u64::from(region) / u64::from(REGIONS);
    (0..REGIONS)
        .map(|region| {
            let (low, high) = (border(region), border(region + 1));
            let within = |(first, count): &(u32, u32)| {
                let (from, to) = (u64::from(*first), u64::from(*first) + u64::from(*count));
                to.min(high).saturating_sub(from.max(low))
            };
            u32::try_from(ranges.iter().map(within).sum::<u64>()).unwrap_or(u32::MAX)
        })
        .collect()
}

/// `111..68..29..111..112`
pub(crate) fn distribution(regions: &[u32]) -> String {
    regions.iter().map(|count| format!("{count:02}")).collect::<Vec<_>>().join("..")
}

/// Two labels with their values on one line.
pub(crate) fn pairs_of_two(label: &str, value: &str, second: &str, other: &str, width: usize) -> String {
    format!("{label:<20}{value:<25}{second:<width$}{other}")
}

/// A value of a volume group or logical volume: `-field` name, label, text.
type Value = (&'static str, &'static str, String);

fn group_values(group: &VolumeGroup, open: usize) -> Vec<Value> {
    let size = group.partition_megabytes;
    let amount = |count: u32| format!("{count} ({} megabytes)", u64::from(count) * size);
    let disks = group.disks.len();
    let descriptors = if disks == 1 {
        2
    } else if disks == 2 {
        3
    } else {
        disks
    };
    let active = group.disks.iter().filter(|disk| disk.active).count();
    let missing = disks - active;
    vec![
        ("vgname", "VOLUME GROUP:", group.name.clone()),
        ("vgid", "VG IDENTIFIER:", format!("{:032x}", group.identifier)),
        ("vgstate", "VG STATE:", if group.active { "active" } else { "inactive" }.to_owned()),
        ("ppsize", "PP SIZE:", format!("{size} megabyte(s)")),
        ("vgpermission", "VG PERMISSION:", "read/write".to_owned()),
        ("totalpps", "TOTAL PPs:", amount(group.total())),
        ("maxlvs", "MAX LVs:", "256".to_owned()),
        ("freepps", "FREE PPs:", amount(group.free())),
        ("numlvs", "LVs:", group.logical_volumes.len().to_string()),
        ("usedpps", "USED PPs:", amount(group.total().saturating_sub(group.free()))),
        ("openlvs", "OPEN LVs:", open.to_string()),
        ("quorum", "QUORUM:", format!("{} (Enabled)", descriptors / 2 + 1)),
        ("totalpvs", "TOTAL PVs:", disks.to_string()),
        ("vgds", "VG DESCRIPTORS:", descriptors.to_string()),
        ("stalepvs", "STALE PVs:", missing.to_string()),
        ("stalepps", "STALE PPs:", "0".to_owned()),
        ("activepvs", "ACTIVE PVs:", active.to_string()),
        ("autoon", "AUTO ON:", "yes".to_owned()),
        ("maxppspervg", "MAX PPs per VG:", "32512".to_owned()),
        ("maxppsperpv", "MAX PPs per PV:", "1016".to_owned()),
        ("maxpvs", "MAX PVs:", "32".to_owned()),
        ("ltgsize", "LTG size (Dynamic):", "256 kilobyte(s)".to_owned()),
        ("autosync", "AUTO SYNC:", "no".to_owned()),
        ("hotspare", "HOT SPARE:", "no".to_owned()),
        ("bbpolicy", "BB POLICY:", "relocatable".to_owned()),
        ("pvrestriction", "PV RESTRICTION:", "none".to_owned()),
        ("infiniteretry", "INFINITE RETRY:", "no".to_owned()),
    ]
}

/// The one label that stands on a line by itself.
const ALONE: &str = "MAX PPs per VG:";

fn print_values(invocation: &mut ViosInvocation<'_>, values: &[Value], width: usize) -> Result<(), Ended> {
    let mut values = values.iter();
    while let Some((_, label, value)) = values.next() {
        let other = if *label == ALONE { None } else { values.next() };
        match other {
            Some((_, second, other)) => {
                writeln!(invocation.output, "{}", pairs_of_two(label, value, second, other, width))?;
            }
            None => writeln!(invocation.output, "{label:<20}{value:<42}")?,
        }
    }
    Ok(())
}

/// The values that `-field` names, with `-fmt` or a label each; false where neither was given.
fn print_chosen(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    values: &[Value],
) -> Result<bool, Ended> {
    let delimiter = delimiter(parsed)?;
    let words = parsed.words("field");
    let mut chosen: Vec<&Value> = Vec::new();
    for word in words {
        let same = |value: &&Value| {
            value.0.eq_ignore_ascii_case(word) || value.1.trim_end_matches(':').eq_ignore_ascii_case(word)
        };
        chosen.push(values.iter().find(same).ok_or_else(|| refused(ViosMessage::FieldUnknown, word))?);
    }
    if words.is_empty() {
        chosen = values.iter().collect();
    }
    match delimiter {
        Some(delimiter) => {
            writeln!(
                invocation.output,
                "{}",
                joined(chosen.iter().map(|value| value.2.clone()), &delimiter)
            )?;
        }
        None if words.is_empty() => return Ok(false),
        None => {
            for (_, label, value) in chosen {
                writeln!(invocation.output, "{label:<20}{value}")?;
            }
        }
    }
    Ok(true)
}

pub(crate) static LIST: ViosCommand = ViosCommand {
    name: "lsvg",
    usage: "lsvg [-map | -lv | -pv] [-field FieldName...] [-fmt Delimiter]
            [VolumeGroup...]",
    summary: "Displays information about volume groups.",
    options: &[
        ("map", Takes::Nothing),
        ("lv", Takes::Nothing),
        ("pv", Takes::Nothing),
        ("field", Takes::Many),
        ("fmt", Takes::One),
    ],
    forms: &[
        form_with(&[], &[], &["field", "fmt"], (0, MANY)),
        form_with(&["map"], &[], &[], (1, MANY)),
        form_with(&["lv"], &[], &["field", "fmt"], (1, MANY)),
        form_with(&["pv"], &[], &["field", "fmt"], (1, MANY)),
    ],
    changes: false,
    run: list,
};

fn list(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    if parsed.operands.is_empty() {
        let parsed = parsed.with_last_word_as_operand("field");
        if !parsed.operands.is_empty() {
            return list(invocation, &parsed);
        }
        for group in answer!(invocation, ViosQuery::VolumeGroups(None), VolumeGroups) {
            writeln!(invocation.output, "{}", group.name)?;
        }
        return Ok(0);
    }
    for name in &parsed.operands {
        describe_group(invocation, parsed, name)?;
    }
    Ok(0)
}

fn volumes_of(invocation: &ViosInvocation<'_>, group: &str) -> Result<Vec<LogicalVolume>, Ended> {
    Ok(answer!(invocation, ViosQuery::LogicalVolumes(group.to_owned()), LogicalVolumes))
}

/// `lsvg rootvg` with `-lv`, `-pv`, `-map`; the same in both dialects.
pub(crate) fn describe_group(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    name: &str,
) -> Result<(), Ended> {
    let query = ViosQuery::VolumeGroups(Some(name.to_owned()));
    let groups = answer!(invocation, query, VolumeGroups);
    let group = groups.into_iter().next().ok_or_else(confused)?;
    if parsed.has("pv") {
        return disks_of(invocation, parsed, &group);
    }
    let volumes = volumes_of(invocation, name)?;
    if parsed.has("lv") {
        return list_volumes(invocation, parsed, &group, &volumes);
    }
    if parsed.has("map") {
        writeln!(invocation.output, "{name}:")?;
        for volume in &volumes {
            map(invocation, &group, volume)?;
        }
        return Ok(());
    }
    let open = volumes.iter().filter(|volume| volume.state == LogicalVolumeState::Open).count();
    let values = group_values(&group, open);
    if !print_chosen(invocation, parsed, &values)? {
        print_values(invocation, &values, 16)?;
    }
    Ok(())
}

fn disks_of(invocation: &mut ViosInvocation<'_>, parsed: &Parsed, group: &VolumeGroup) -> Result<(), Ended> {
    let volumes = volumes_of(invocation, &group.name)?;
    let rows: Vec<Vec<Value>> = group
        .disks
        .iter()
        .map(|disk| {
            let here = volumes.iter().flat_map(|volume| &volume.extents).filter(|one| one.disk == disk.pvid);
            let used: Vec<(u32, u32)> = here.map(|one| (one.first, one.count)).collect();
            let all = regions(disk.total, &[(0, disk.total)]);
            let left = all.iter().zip(regions(disk.total, &used)).map(|(all, used)| all.saturating_sub(used));
            vec![
                ("pvname", "PV_NAME", disk.name.to_string()),
                ("pvstate", "PV STATE", if disk.active { "active" } else { "missing" }.to_owned()),
                ("totalpps", "TOTAL PPs", disk.total.to_string()),
                ("freepps", "FREE PPs", disk.free.to_string()),
                ("distribution", "FREE DISTRIBUTION", distribution(&left.collect::<Vec<_>>())),
            ]
        })
        .collect();
    table(invocation, parsed, group, &[18, 18, 12, 12, 0], &rows)
}

fn list_volumes(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    group: &VolumeGroup,
    volumes: &[LogicalVolume],
) -> Result<(), Ended> {
    let rows: Vec<Vec<Value>> = volumes
        .iter()
        .map(|volume| {
            let mut disks: Vec<_> = volume.extents.iter().map(|extent| &extent.disk).collect();
            disks.sort_unstable_by_key(ToString::to_string);
            disks.dedup();
            vec![
                ("lvname", "LV NAME", volume.name.clone()),
                ("lvtype", "TYPE", volume.kind.clone()),
                ("lps", "LPs", volume.partitions.to_string()),
                ("pps", "PPs", volume.partitions.to_string()),
                ("pvs", "PVs", disks.len().to_string()),
                ("lvstate", "LV STATE", state(volume, "open")),
                ("mount", "MOUNT POINT", mount_point(volume)),
            ]
        })
        .collect();
    table(invocation, parsed, group, &[20, 11, 8, 8, 5, 14, 0], &rows)
}

fn state(volume: &LogicalVolume, open: &str) -> String {
    match volume.state {
        LogicalVolumeState::Open => format!("{open}/syncd"),
        LogicalVolumeState::Closed => "closed/syncd".to_owned(),
    }
}

fn mount_point(volume: &LogicalVolume) -> String {
    if volume.mount_point.is_empty() { "N/A".to_owned() } else { volume.mount_point.clone() }
}

/// The group's name, headings, rows; or the values that `-field` and `-fmt` ask for.
fn table(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    group: &VolumeGroup,
    widths: &[usize],
    rows: &[Vec<Value>],
) -> Result<(), Ended> {
    if parsed.has("field") || parsed.has("fmt") {
        for row in rows {
            print_chosen(invocation, parsed, row)?;
        }
        return Ok(());
    }
    writeln!(invocation.output, "{}:", group.name)?;
    let line = |texts: Vec<&str>| -> String {
        texts.iter().zip(widths).map(|(text, width)| format!("{text:<width$}")).collect()
    };
    if let Some(first) = rows.first() {
        writeln!(invocation.output, "{}", line(first.iter().map(|value| value.1).collect()))?;
    }
    for row in rows {
        writeln!(invocation.output, "{}", line(row.iter().map(|value| value.2.as_str()).collect()))?;
    }
    Ok(())
}

/// `LP    PP1  PV1` of a logical volume.
fn map(
    invocation: &mut ViosInvocation<'_>,
    group: &VolumeGroup,
    volume: &LogicalVolume,
) -> Result<(), Ended> {
    writeln!(invocation.output, "{}:{}", volume.name, mount_point(volume))?;
    writeln!(
        invocation.output,
        "{:<6}{:<6}{:<18}{:<6}{:<18}{:<6}PV3",
        "LP", "PP1", "PV1", "PP2", "PV2", "PP3"
    )?;
    let mut number = 1u32;
    for extent in &volume.extents {
        let disk = group.disks.iter().find(|disk| disk.pvid == extent.disk);
        let name = disk.map(|disk| disk.name.to_string()).unwrap_or_default();
        for offset in 0..extent.count {
            writeln!(invocation.output, "{number:04}  {:04}  {name}", extent.first + offset + 1)?;
            number += 1;
        }
    }
    Ok(())
}

pub(crate) static MAKE: ViosCommand = ViosCommand {
    name: "mkvg",
    usage: "mkvg [-f] [-vg VolumeGroup] PhysicalVolume ...",
    summary: "Creates a volume group.",
    options: &[("f", Takes::Nothing), ("vg", Takes::One)],
    forms: &[form_with(&[], &[], &["f", "vg"], (1, MANY))],
    changes: true,
    run: |invocation, parsed| {
        let change = ViosChange::CreateVolumeGroup {
            name: parsed.get("vg").map(str::to_owned),
            disks: parsed.operands.clone(),
            force: parsed.has("f"),
        };
        let made = print_name(invocation, change);
        made.map_err(|error| ending(error, "0516-862 mkvg: Unable to create volume group."))
    },
};

/// A refusal with the line that a command of the logical volume manager ends with.
pub(crate) fn ending(error: Ended, line: &str) -> Ended {
    match error {
        Ended::Refused(refusal) => Ended::Refused(refusal.and_line(line)),
        other => other,
    }
}

/// Makes something and prints its name.
pub(crate) fn print_name(invocation: &mut ViosInvocation<'_>, change: ViosChange) -> Result<u8, Ended> {
    let done = invocation.change(change)?;
    if let Some(name) = &done.name {
        writeln!(invocation.output, "{name}")?;
    }
    invocation.print_done(&done)?;
    Ok(0)
}

/// The first operand and the others; grammar has checked that there are some.
fn first(operands: &[String]) -> Result<(&String, &[String]), Ended> {
    operands.split_first().ok_or_else(confused)
}

pub(crate) static EXTEND: ViosCommand = ViosCommand {
    name: "extendvg",
    usage: "extendvg [-f] VolumeGroup PhysicalVolume ...",
    summary: "Adds physical volumes to a volume group.",
    options: &[("f", Takes::Nothing)],
    forms: &[form_with(&[], &[], &["f"], (2, MANY))],
    changes: true,
    run: |invocation, parsed| {
        let (name, disks) = first(&parsed.operands)?;
        let (name, disks, force) = (name.clone(), disks.to_vec(), parsed.has("f"));
        let extended = invocation.change_silently(ViosChange::ExtendVolumeGroup { name, disks, force });
        extended.map_err(|error| ending(error, "0516-792 extendvg: Unable to extend volume group."))
    },
};

pub(crate) static REDUCE: ViosCommand = ViosCommand {
    name: "reducevg",
    usage: "reducevg [-f] [-rmlv] VolumeGroup PhysicalVolume ...",
    summary: "Removes physical volumes from a volume group. The group goes with its last one.",
    options: &[("f", Takes::Nothing), ("rmlv", Takes::Nothing)],
    forms: &[form_with(&[], &[], &["f", "rmlv"], (2, MANY))],
    changes: true,
    run: |invocation, parsed| {
        let (name, disks) = first(&parsed.operands)?;
        let line = format!("0516-884 reducevg: Unable to remove physical volume {}.", disks.join(" "));
        let (name, disks) = (name.clone(), disks.to_vec());
        let force = parsed.has("f") || parsed.has("rmlv");
        let change = ViosChange::ReduceVolumeGroup { name: name.clone(), disks, force };
        invocation.change_silently(change).map_err(|error| ending(error, &line))?;
        if invocation.ask(ViosQuery::VolumeGroups(Some(name))).is_err() {
            writeln!(
                invocation.output,
                "ldeletepv: Volume Group deleted since it contains no physical volumes."
            )?;
        }
        Ok(0)
    },
};

pub(crate) static VOLUME: ViosCommand = ViosCommand {
    name: "lslv",
    usage: "lslv [-map] [-field FieldName...] [-fmt Delimiter] LogicalVolume",
    summary: "Displays information about a logical volume.",
    options: &[("map", Takes::Nothing), ("field", Takes::Many), ("fmt", Takes::One)],
    forms: &[form_with(&[], &[], &["field", "fmt"], (1, 1)), form_with(&["map"], &[], &[], (1, 1))],
    changes: false,
    run: volume,
};

fn volume_values(volume: &LogicalVolume, group: &VolumeGroup) -> Vec<Value> {
    let text = str::to_owned;
    vec![
        ("lvname", "LOGICAL VOLUME:", volume.name.clone()),
        ("vgname", "VOLUME GROUP:", volume.volume_group.clone()),
        ("lvid", "LV IDENTIFIER:", format!("{:032x}.{}", group.identifier, volume.number)),
        ("permission", "PERMISSION:", text("read/write")),
        ("vgstate", "VG STATE:", text(if group.active { "active/complete" } else { "inactive" })),
        ("lvstate", "LV STATE:", state(volume, "opened")),
        ("type", "TYPE:", volume.kind.clone()),
        ("writeverify", "WRITE VERIFY:", text("off")),
        ("maxlps", "MAX LPs:", volume.partitions.max(512).to_string()),
        ("ppsize", "PP SIZE:", format!("{} megabyte(s)", volume.partition_megabytes)),
        ("copies", "COPIES:", text("1")),
        ("schedpolicy", "SCHED POLICY:", text("parallel")),
        ("lps", "LPs:", volume.partitions.to_string()),
        ("pps", "PPs:", volume.partitions.to_string()),
        ("stalepps", "STALE PPs:", text("0")),
        ("bbpolicy", "BB POLICY:", text("relocatable")),
        ("interpolicy", "INTER-POLICY:", text("minimum")),
        ("relocatable", "RELOCATABLE:", text("yes")),
        ("intrapolicy", "INTRA-POLICY:", text("middle")),
        ("upperbound", "UPPER BOUND:", text("1024")),
        ("mount", "MOUNT POINT:", mount_point(volume)),
        ("label", "LABEL:", text(if volume.mount_point.is_empty() { "None" } else { &volume.mount_point })),
    ]
}

fn volume(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let (name, _) = first(&parsed.operands)?;
    let volumes = answer!(invocation, ViosQuery::LogicalVolume(name.clone()), LogicalVolumes);
    let volume = volumes.into_iter().next().ok_or_else(confused)?;
    let query = ViosQuery::VolumeGroups(Some(volume.volume_group.clone()));
    let groups = answer!(invocation, query, VolumeGroups);
    let group = groups.into_iter().next().ok_or_else(confused)?;
    if parsed.has("map") {
        map(invocation, &group, &volume)?;
        return Ok(0);
    }
    let values = volume_values(&volume, &group);
    if print_chosen(invocation, parsed, &values)? {
        return Ok(0);
    }
    for pair in values.chunks(2) {
        let [(_, label, value), (_, second, other)] = pair else { return Err(confused()) };
        // An identifier is longer than its column.
        let gap = if value.len() >= 23 { 1 } else { 23 - value.len() };
        writeln!(invocation.output, "{label:<20}{value}{}{second:<16}{other}", " ".repeat(gap))?;
    }
    writeln!(invocation.output, "MIRROR WRITE CONSISTENCY: on/ACTIVE                              ")?;
    writeln!(invocation.output, "EACH LP COPY ON A SEPARATE PV ?: yes                                    ")?;
    writeln!(invocation.output, "Serialize IO ?:     NO                                     ")?;
    Ok(0)
}

fn size(text: &str) -> Result<LogicalVolumeSize, Ended> {
    match megabytes(text)? {
        Some(size) => Ok(LogicalVolumeSize::Megabytes(size)),
        None => count(text).map(LogicalVolumeSize::Partitions),
    }
}

pub(crate) static MAKE_VOLUME: ViosCommand = ViosCommand {
    name: "mklv",
    usage: "mklv [-mirror] [-lv LogicalVolume | -prefix Prefix]
            [-type Type] VolumeGroup Size [PhysicalVolume ...]",
    summary: "Creates a logical volume.",
    options: &[("mirror", Takes::Nothing), ("lv", Takes::One), ("prefix", Takes::One), ("type", Takes::One)],
    forms: &[form_with(&[], &[], &["mirror", "lv", "prefix", "type"], (2, MANY))],
    changes: true,
    run: |invocation, parsed| {
        for later in ["mirror", "prefix"] {
            if parsed.has(later) {
                return Err(refused(ViosMessage::NotSupported, format!("mklv -{later}")).into());
            }
        }
        let [volume_group, wanted, disks @ ..] = parsed.operands.as_slice() else { return Err(confused()) };
        let change = ViosChange::CreateLogicalVolume {
            volume_group: volume_group.clone(),
            name: parsed.get("lv").map(str::to_owned),
            kind: parsed.get("type").unwrap_or_default().to_owned(),
            size: size(wanted)?,
            disks: disks.to_vec(),
        };
        let made = print_name(invocation, change);
        made.map_err(|error| ending(error, "0516-822 mklv: Unable to create logical volume."))
    },
};

pub(crate) static EXTEND_VOLUME: ViosCommand = ViosCommand {
    name: "extendlv",
    usage: "extendlv LogicalVolume Size [PhysicalVolume ...]",
    summary: "Makes a logical volume larger.",
    options: &[],
    forms: &[form_with(&[], &[], &[], (2, MANY))],
    changes: true,
    run: |invocation, parsed| {
        let [name, wanted, disks @ ..] = parsed.operands.as_slice() else { return Err(confused()) };
        let (name, size, disks) = (name.clone(), size(wanted)?, disks.to_vec());
        let extended = invocation.change_silently(ViosChange::ExtendLogicalVolume { name, size, disks });
        extended.map_err(|error| ending(error, "0516-788 extendlv: Unable to extend logical volume."))
    },
};

pub(crate) static REMOVE_VOLUME: ViosCommand = ViosCommand {
    name: "rmlv",
    usage: "rmlv [-f] LogicalVolume ...",
    summary: "Removes logical volumes. Without -f it asks first.",
    options: &[("f", Takes::Nothing)],
    forms: &[form_with(&[], &[], &["f"], (1, MANY))],
    changes: true,
    run: remove_volumes,
};

fn remove_volumes(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let mut status = 0;
    for name in &parsed.operands {
        if !parsed.has("f") {
            answer!(invocation, ViosQuery::LogicalVolume(name.clone()), LogicalVolumes);
            writeln!(
                invocation.output,
                "Warning, all data contained on logical volume {name} will be destroyed."
            )?;
            if !invocation.confirm("rmlv: Do you wish to continue? y(es) n(o)? ")? {
                status = 1;
                continue;
            }
        }
        let removed = invocation.change(ViosChange::RemoveLogicalVolumes(vec![name.clone()]));
        let line = format!("0516-912 rmlv: Unable to remove logical volume {name}.");
        let done = removed.map_err(|error| ending(error, &line))?;
        writeln!(invocation.output, "rmlv: Logical volume {name} is removed.")?;
        invocation.print_notes(&done)?;
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::{distribution, regions};

    #[test]
    fn partitions_are_counted_by_regions() {
        assert_eq!(distribution(&regions(546, &[(0, 546)])), "109..109..109..109..110");
        assert_eq!(distribution(&regions(10, &[(0, 3), (9, 1)])), "02..01..00..00..01");
        assert_eq!(distribution(&regions(0, &[])), "00..00..00..00..00");
    }
}
