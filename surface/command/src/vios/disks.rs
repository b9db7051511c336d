//! `lspv`, `lspath`, `chpath`, `chkdev`.

use varan_contract::vios::{Select, ViosChange, ViosQuery};
use varan_model::vios::{DiskPath, LogicalVolume, PathState, PhysicalVolume, ViosMessage, VolumeGroup};

use super::ViosCommand;
use super::error::{Ended, refused};
use super::grammar::{Parsed, Takes, form, form_with};
use super::invocation::{ViosInvocation, answer, by_name, confused, select, selector};
use super::listing::{Field, chosen, delimiter, field, fitted, joined, print};
use super::volume_groups::{distribution, pairs_of_two, regions};

fn pvid(volume: &PhysicalVolume) -> String {
    volume.pvid.as_ref().map_or("none".to_owned(), ToString::to_string)
}

fn group(volume: &PhysicalVolume) -> String {
    volume.volume_group.clone().unwrap_or_else(|| "None".to_owned())
}

fn state(volume: &PhysicalVolume) -> String {
    match (&volume.volume_group, volume.active) {
        (Some(_), true) => "active".to_owned(),
        // A listing of real disks has the column's blank.
        _ => " ".to_owned(),
    }
}

const FIELDS: &[Field<PhysicalVolume>] = &[
    field("pvname", "NAME", 16, |volume| volume.name.to_string()),
    field("pvid", "PVID", 36, pvid),
    field("vgname", "VG", 16, group),
    field("pvstate", "STATUS", 8, state),
    field("size", "SIZE(megabytes)", 15, |volume| volume.megabytes.to_string()),
    field("udid", "UDID", 40, |volume| volume.udid.to_string()),
    field("physloc", "PHYSLOC", 40, |volume| volume.location.clone()),
];
/// As [`FIELDS`], in the widths of `-size` and `-free`.
const SIZE_FIELDS: &[Field<PhysicalVolume>] = &[
    field("pvname", "NAME", 15, |volume| volume.name.to_string()),
    field("pvid", "PVID", 35, pvid),
    field("size", "SIZE(megabytes)", 15, |volume| volume.megabytes.to_string()),
    field("vgname", "VG", 16, group),
];

pub(crate) static LIST: ViosCommand = ViosCommand {
    name: "lspv",
    usage: "lspv [-avail | -free | -size] [-field FieldName...] [-fmt Delimiter]
lspv [-map | -lv | -pv | -size] PhysicalVolume",
    summary: "Displays information about physical volumes.",
    options: &[
        ("avail", Takes::Nothing),
        ("free", Takes::Nothing),
        ("size", Takes::Nothing),
        ("map", Takes::Nothing),
        ("lv", Takes::Nothing),
        ("pv", Takes::Nothing),
        ("field", Takes::Many),
        ("fmt", Takes::One),
    ],
    forms: &[
        form_with(&[], &[], &["field", "fmt"], (0, 1)),
        form(&["avail"], &[], &["field", "fmt"]),
        form(&["free"], &[], &["field", "fmt"]),
        form_with(&["size"], &[], &["field", "fmt"], (0, 1)),
        form_with(&["map"], &[], &[], (1, 1)),
        form_with(&["lv"], &[], &[], (1, 1)),
        form_with(&["pv"], &[], &[], (1, 1)),
    ],
    changes: false,
    run: list,
};

/// Disks, all or one.
pub(crate) fn volumes(
    invocation: &ViosInvocation<'_>,
    name: Option<&str>,
) -> Result<Vec<PhysicalVolume>, Ended> {
    Ok(answer!(invocation, ViosQuery::PhysicalVolumes(select(name)), PhysicalVolumes))
}

fn list(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let name = parsed.operands.first().map(String::as_str);
    let mut volumes = volumes(invocation, name)?;
    if let Some(volume) = name.and_then(|_| volumes.first()) {
        if parsed.has("size") {
            writeln!(invocation.output, "{}", volume.megabytes)?;
            return Ok(0);
        }
        if parsed.words("field").is_empty() && !parsed.has("fmt") {
            return describe(invocation, parsed, &volume.clone());
        }
    }
    volumes.retain(|volume| {
        let unused = volume.volume_group.is_none();
        (!parsed.has("avail") || unused) && (!parsed.has("free") || unused && !volume.used)
    });
    let sized = parsed.has("size") || parsed.has("free");
    let fields = if sized {
        chosen(SIZE_FIELDS, &["pvname", "pvid", "size"], parsed)?
    } else {
        chosen(FIELDS, &["pvname", "pvid", "vgname", "pvstate"], parsed)?
    };
    let delimiter = delimiter(parsed)?;
    if let Some(delimiter) = delimiter.as_ref().filter(|_| volumes.is_empty() && parsed.has("free")) {
        // A listing without a row still has the delimiter, and nothing else.
        writeln!(invocation.output, "{}", delimiter.text)?;
        return Ok(0);
    }
    print(invocation.output, &fields, volumes, delimiter.as_ref())?;
    Ok(0)
}

/// The volume group of a disk and the logical volumes on it.
fn content(
    invocation: &ViosInvocation<'_>,
    volume: &PhysicalVolume,
) -> Result<(VolumeGroup, Vec<LogicalVolume>), Ended> {
    let Some(group) = &volume.volume_group else {
        return Err(varan_model::vios::ViosRefusal::new(ViosMessage::NotInVolumeGroup).into());
    };
    let groups = answer!(invocation, ViosQuery::VolumeGroups(Some(group.clone())), VolumeGroups);
    let on = by_name(volume.name.as_str());
    let volumes = answer!(invocation, ViosQuery::LogicalVolumesOn(on), LogicalVolumes);
    Ok((groups.into_iter().next().ok_or_else(confused)?, volumes))
}

/// Physical partitions that a logical volume has on a disk: first and how many.
fn extents_on(logical: &LogicalVolume, volume: &PhysicalVolume) -> Vec<(u32, u32)> {
    let here = logical.extents.iter().filter(|extent| Some(&extent.disk) == volume.pvid.as_ref());
    here.map(|extent| (extent.first, extent.count)).collect()
}

/// `lspv hdisk0`, with `-lv` and `-map`; the same in both dialects.
pub(crate) fn describe(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    volume: &PhysicalVolume,
) -> Result<u8, Ended> {
    if parsed.has("pv") {
        writeln!(invocation.output, "{}", pvid(volume))?;
        return Ok(0);
    }
    let (group, logical) = content(invocation, volume)?;
    if parsed.has("lv") {
        return logical_volumes_on(invocation, volume, &group, &logical);
    }
    if parsed.has("map") {
        return map(invocation, volume, &logical);
    }
    let disk = group.disks.iter().find(|disk| disk.name == volume.name);
    let (total, free) = disk.map_or((0, 0), |disk| (disk.total, disk.free));
    let used: Vec<(u32, u32)> = logical.iter().flat_map(|one| extents_on(one, volume)).collect();
    let used = regions(total, &used);
    let all = regions(total, &[(0, total)]);
    let left: Vec<u32> = all.iter().zip(&used).map(|(all, used)| all.saturating_sub(*used)).collect();
    let size = group.partition_megabytes;
    let amount = |count: u32| format!("{count} ({} megabytes)", u64::from(count) * size);
    let state = if disk.is_some_and(|disk| disk.active) { "active" } else { "missing" };
    let rows = [
        ("PHYSICAL VOLUME:", volume.name.to_string(), "VOLUME GROUP:", group.name.clone()),
        ("PP SIZE:", format!("{size} megabyte(s)"), "LOGICAL VOLUMES:", logical.len().to_string()),
        (
            "TOTAL PPs:",
            amount(total),
            "VG DESCRIPTORS:",
            if group.disks.len() == 1 { "2" } else { "1" }.to_owned(),
        ),
        ("FREE PPs:", amount(free), "HOT SPARE:", "no".to_owned()),
        ("USED PPs:", amount(total.saturating_sub(free)), "MAX REQUEST:", "256 kilobytes".to_owned()),
    ];
    let shown = |row: &(&str, String, &str, String)| pairs_of_two(row.0, &row.1, row.2, &row.3, 18);
    writeln!(invocation.output, "{}", shown(&rows[0]))?;
    let identifier =
        format!("{:<20}{} VG IDENTIFIER     {:032x}", "PV IDENTIFIER:", pvid(volume), group.identifier);
    writeln!(invocation.output, "{identifier}")?;
    writeln!(invocation.output, "{:<20}{state:<43}", "PV STATE:")?;
    writeln!(invocation.output, "{}", pairs_of_two("STALE PARTITIONS:", "0", "ALLOCATABLE:", "yes", 18))?;
    for row in &rows[1..] {
        writeln!(invocation.output, "{}", shown(row))?;
    }
    writeln!(invocation.output, "{:<20}{:<43}", "FREE DISTRIBUTION:", distribution(&left))?;
    writeln!(invocation.output, "{:<20}{:<43}", "USED DISTRIBUTION:", distribution(&used))?;
    writeln!(invocation.output, "{:<20}{:<43}", "MIRROR POOL:", "None")?;
    Ok(0)
}

fn logical_volumes_on(
    invocation: &mut ViosInvocation<'_>,
    volume: &PhysicalVolume,
    group: &VolumeGroup,
    logical: &[LogicalVolume],
) -> Result<u8, Ended> {
    let total = group.disks.iter().find(|disk| disk.name == volume.name).map_or(0, |disk| disk.total);
    writeln!(invocation.output, "{}:", volume.name)?;
    writeln!(
        invocation.output,
        "{:<22}{:<8}{:<8}{:<22}MOUNT POINT",
        "LV NAME", "LPs", "PPs", "DISTRIBUTION"
    )?;
    for one in logical {
        let extents = extents_on(one, volume);
        let count: u32 = extents.iter().map(|(_, count)| count).sum();
        let shown = distribution(&regions(total, &extents));
        let mount = if one.mount_point.is_empty() { "N/A" } else { &one.mount_point };
        writeln!(invocation.output, "{:<22}{count:<8}{count:<8}{shown:<22}{mount}", one.name)?;
    }
    Ok(0)
}

fn map(
    invocation: &mut ViosInvocation<'_>,
    volume: &PhysicalVolume,
    logical: &[LogicalVolume],
) -> Result<u8, Ended> {
    writeln!(invocation.output, "{}:", volume.name)?;
    let mut partitions = Vec::new();
    for one in logical {
        let mut number = 1;
        for extent in &one.extents {
            for offset in 0..extent.count {
                if Some(&extent.disk) == volume.pvid.as_ref() {
                    partitions.push((extent.first + offset + 1, &one.name, number));
                }
                number += 1;
            }
        }
    }
    partitions.sort_unstable();
    for (partition, name, number) in partitions {
        let place = format!("{}:{partition}", volume.name);
        writeln!(invocation.output, "{place:<15} {name}:{number}")?;
    }
    Ok(0)
}

const PATH_FIELDS: &[Field<DiskPath>] = &[
    field("status", "status", 7, |path| path.state.word().to_owned()),
    field("name", "name", 8, |path| path.disk.to_string()),
    field("parent", "parent", 8, |path| path.parent.to_string()),
    field("connection", "connection", 34, |path| path.connection.clone()),
    field("pathid", "path_id", 7, |path| path.number.to_string()),
];

pub(crate) static PATHS: ViosCommand = ViosCommand {
    name: "lspath",
    usage: "lspath [-dev DeviceName] [-pdev Parent] [-status Status]
              [-field FieldName...] [-fmt Delimiter]",
    summary: "Displays the paths to disks that have several.",
    options: &[
        ("dev", Takes::One),
        ("pdev", Takes::One),
        ("status", Takes::One),
        ("field", Takes::Many),
        ("fmt", Takes::One),
    ],
    forms: &[form(&[], &[], &["dev", "pdev", "status", "field", "fmt"])],
    changes: false,
    run: paths,
};

/// Paths, of all disks or one, through all devices or one.
pub(crate) fn paths_of(
    invocation: &ViosInvocation<'_>,
    disk: Option<&str>,
    parent: Option<&str>,
    state: Option<&str>,
) -> Result<Vec<DiskPath>, Ended> {
    let mut paths = answer!(invocation, ViosQuery::Paths(select(disk)), Paths);
    if let Some(state) = state {
        let known = ["enabled", "disabled", "failed", "missing", "defined", "available"];
        if !known.contains(&state.to_ascii_lowercase().as_str()) {
            return Err(refused(ViosMessage::ArgumentInvalid, state).into());
        }
    }
    let same = |path: &DiskPath, state: &str| {
        let configured = !matches!(path.state, PathState::Missing | PathState::Defined);
        path.state.word().eq_ignore_ascii_case(state) || state.eq_ignore_ascii_case("available") && configured
    };
    paths.retain(|path| {
        parent.is_none_or(|parent| path.parent.as_str() == parent)
            && state.is_none_or(|state| same(path, state))
    });
    Ok(paths)
}

fn paths(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let fields = chosen(PATH_FIELDS, &["status", "name", "parent", "connection"], parsed)?;
    let paths = paths_of(invocation, parsed.get("dev"), parsed.get("pdev"), parsed.get("status"))?;
    let values = |path: &DiskPath| fields.iter().map(|field| (field.value)(path)).collect::<Vec<_>>();
    if let Some(delimiter) = delimiter(parsed)? {
        for path in &paths {
            writeln!(invocation.output, "{}", joined(values(path), &delimiter))?;
        }
        return Ok(0);
    }
    let mut rows = vec![fields.iter().map(|field| field.title.to_owned()).collect()];
    rows.extend(paths.iter().map(values));
    for row in fitted(&rows) {
        writeln!(invocation.output, "{row}")?;
    }
    Ok(0)
}

pub(crate) static CHANGE_PATH: ViosCommand = ViosCommand {
    name: "chpath",
    usage: "chpath -dev DeviceName -pdev Parent [-conn Connection] -op {enable | disable}",
    summary: "Enables or disables paths to a disk.",
    options: &[("dev", Takes::One), ("pdev", Takes::One), ("conn", Takes::One), ("op", Takes::One)],
    forms: &[form(&[], &[&["dev"], &["op"]], &["pdev", "conn"])],
    changes: true,
    run: |invocation, parsed| {
        let operation = parsed.get("op").unwrap_or_default();
        let parent = parsed.get("pdev").map(str::to_owned);
        let connection = parsed.get("conn").map(str::to_owned);
        change_path(invocation, parsed.get("dev").unwrap_or_default(), parent, connection, operation)
    },
};

/// Enables or disables paths, and says so.
pub(crate) fn change_path(
    invocation: &mut ViosInvocation<'_>,
    disk: &str,
    parent: Option<String>,
    connection: Option<String>,
    operation: &str,
) -> Result<u8, Ended> {
    let state = match operation {
        "enable" => PathState::Enabled,
        "disable" => PathState::Disabled,
        other => return Err(refused(ViosMessage::ArgumentInvalid, other).into()),
    };
    let done =
        invocation.change(ViosChange::ChangePath { disk: by_name(disk), parent, connection, state })?;
    writeln!(invocation.output, "paths {}", state.word())?;
    invocation.print_notes(&done)?;
    Ok(0)
}

/// A disk as `chkdev` judges it.
struct Checked(PhysicalVolume);

const CHECK_FIELDS: &[Field<Checked>] = &[
    field("name", "NAME", 20, |checked| checked.0.name.to_string()),
    field("identifier", "IDENTIFIER", 20, |checked| checked.0.udid.to_string()),
    // A disk with an identifier of its own can be served as a whole.
    field("phys2virt_capable", "PHYS2VIRT_CAPABLE", 20, |checked| {
        if checked.0.used || checked.0.volume_group.is_some() { "NA" } else { "YES" }.to_owned()
    }),
    field("virt2npiv_capable", "VIRT2NPIV_CAPABLE", 20, |checked| {
        if checked.0.used && checked.0.volume_group.is_none() { "YES" } else { "NA" }.to_owned()
    }),
    field("virt2phys_capable", "VIRT2PHYS_CAPABLE", 20, |checked| {
        if checked.0.used && checked.0.volume_group.is_none() { "YES" } else { "NA" }.to_owned()
    }),
];

pub(crate) static CHECK: ViosCommand = ViosCommand {
    name: "chkdev",
    usage: "chkdev [-dev DeviceName] [-verbose] [-field FieldName...] [-fmt Delimiter]",
    summary: "Says whether disks can move between physical and virtual adapters.",
    options: &[("dev", Takes::One), ("verbose", Takes::Nothing), ("field", Takes::Many), ("fmt", Takes::One)],
    forms: &[form(&[], &[], &["dev", "verbose", "field", "fmt"])],
    changes: false,
    run: check,
};

fn check(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let all: Vec<&str> = CHECK_FIELDS.iter().map(|field| field.key).collect();
    let fields = chosen(CHECK_FIELDS, &all, parsed)?;
    let select = selector(parsed, "dev", "dev").map_or(Select::All, Select::One);
    let volumes = answer!(invocation, ViosQuery::PhysicalVolumes(select), PhysicalVolumes);
    let delimiter = delimiter(parsed)?;
    for checked in volumes.into_iter().map(Checked) {
        match &delimiter {
            Some(delimiter) => {
                let values = fields.iter().map(|field| (field.value)(&checked));
                writeln!(invocation.output, "{}", joined(values, delimiter))?;
            }
            None => {
                for field in &fields {
                    writeln!(
                        invocation.output,
                        "{:<20} {}",
                        format!("{}:", field.title),
                        (field.value)(&checked)
                    )?;
                }
                writeln!(invocation.output)?;
            }
        }
    }
    Ok(0)
}
