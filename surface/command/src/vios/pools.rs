//! `lssp`, `mksp`, `chsp`, `rmsp`, `mkbdsp`, `chbdsp`, `rmbdsp`: storage pools and their backing devices.

use varan_contract::vios::{BackingRequest, BackingSelector, ViosChange, ViosQuery};
use varan_model::vios::{BackingFile, PoolKind, StoragePool, ViosMessage};

use super::ViosCommand;
use super::error::{Ended, refused};
use super::grammar::{Parsed, Takes, form, form_with};
use super::invocation::{ViosInvocation, answer, by_name, confused, megabytes};
use super::listing::{Field, chosen, delimiter, field, print, right};
use super::volume_groups::print_name;

/// Disks that are taken behind a pool.
const MANY: usize = 1_024;

/// A size that must have a unit or counts MB.
fn size(text: &str) -> Result<u64, Ended> {
    match megabytes(text)? {
        Some(size) => Ok(size),
        None => match text.parse() {
            Ok(size) if size > 0 => Ok(size),
            _ => Err(refused(ViosMessage::ArgumentInvalid, text).into()),
        },
    }
}

fn not_clustered(parsed: &Parsed, command: &str) -> Result<(), Ended> {
    match parsed.get("clustername") {
        Some(_) => Err(refused(ViosMessage::NotSupported, format!("{command} -clustername")).into()),
        None => Ok(()),
    }
}

const FIELDS: &[Field<StoragePool>] = &[
    field("pool", "Pool", 16, |pool| pool.name.clone()),
    right("size", "Size(mb)", 9, |pool| pool.megabytes.to_string()),
    right("free", "Free(mb)", 10, |pool| pool.free_megabytes.to_string()),
    right("alloc", "Alloc Size(mb)", 15, |pool| pool.allocation_megabytes.to_string()),
    right("bds", "BDs", 6, |pool| pool.backing_devices.to_string()),
    field("type", "Type", 8, |pool| pool.kind.word().to_owned()),
];

fn target(device: &BackingFile, adapter: bool) -> String {
    let name = device.target.as_ref().map(|(target, server)| if adapter { server } else { target });
    name.map_or("None".to_owned(), ToString::to_string)
}

const BACKING_FIELDS: &[Field<BackingFile>] = &[
    field("bdname", "Name", 16, |device| device.name.clone()),
    right("size", "Size(mb)", 9, |device| device.megabytes.to_string()),
    field("vtd", "VTD", 15, |device| target(device, false)),
    field("svsa", "SVSA", 15, |device| target(device, true)),
];

/// A disk of a pool: name, PVID, size in MB.
struct PoolDisk(String, String, String);

const DISK_FIELDS: &[Field<PoolDisk>] = &[
    field("pvname", "Name", 23, |disk| disk.0.clone()),
    field("pvid", "PVID", 36, |disk| disk.1.clone()),
    right("size", "Size(mb)", 9, |disk| disk.2.clone()),
];

pub(crate) static LIST: ViosCommand = ViosCommand {
    name: "lssp",
    usage: "lssp [-detail | -bd] [-sp StoragePool] [-field FieldName...] [-fmt Delimiter]
lssp -default
lssp -type [-sp StoragePool]
lssp -clustername ClusterName [-sp StoragePool [-bd]]",
    summary: "Displays information about storage pools.",
    options: &[
        ("detail", Takes::Nothing),
        ("bd", Takes::Nothing),
        ("sp", Takes::One),
        ("default", Takes::Nothing),
        ("type", Takes::Nothing),
        ("clustername", Takes::One),
        ("field", Takes::Many),
        ("fmt", Takes::One),
    ],
    forms: &[
        form(&[], &[], &["sp", "field", "fmt"]),
        form(&["detail"], &[], &["sp", "field", "fmt"]),
        form(&["bd"], &[], &["sp", "field", "fmt"]),
        form(&["default"], &[], &[]),
        form(&["type"], &[], &["sp"]),
        form(&["clustername"], &[], &["sp", "bd", "field", "fmt"]),
    ],
    changes: false,
    run: list,
};

fn pools(invocation: &ViosInvocation<'_>, name: Option<&str>) -> Result<Vec<StoragePool>, Ended> {
    Ok(answer!(invocation, ViosQuery::StoragePools(name.map(str::to_owned)), StoragePools))
}

/// The pool of that name, or the default one.
fn pool(invocation: &ViosInvocation<'_>, name: Option<&str>) -> Result<StoragePool, Ended> {
    let found = pools(invocation, name)?.into_iter().find(|pool| name.is_some() || pool.default);
    Ok(found.ok_or_else(|| refused(ViosMessage::PoolUnknown, name.unwrap_or_default()))?)
}

fn list(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    not_clustered(parsed, "lssp")?;
    let name = parsed.get("sp");
    let delimiter = delimiter(parsed)?;
    if parsed.has("default") {
        let pool = pool(invocation, None)?;
        writeln!(invocation.output, "{}", pool.name)?;
    } else if parsed.has("type") {
        let pool = pool(invocation, name)?;
        writeln!(invocation.output, "{}", pool.kind.word())?;
    } else if parsed.has("bd") {
        let fields = chosen(BACKING_FIELDS, &["bdname", "size", "vtd", "svsa"], parsed)?;
        let query = ViosQuery::BackingDevices(name.map(str::to_owned));
        let devices = answer!(invocation, query, BackingDevices);
        print(invocation.output, &fields, devices, delimiter.as_ref())?;
    } else if parsed.has("detail") {
        let fields = chosen(DISK_FIELDS, &["pvname", "pvid", "size"], parsed)?;
        let pool = pool(invocation, name)?;
        let group = pool.parent.unwrap_or(pool.name);
        let groups = answer!(invocation, ViosQuery::VolumeGroups(Some(group)), VolumeGroups);
        let disks = groups.into_iter().flat_map(|group| {
            let size = group.partition_megabytes;
            let row = move |disk: varan_model::vios::VolumeGroupDisk| {
                let megabytes = u64::from(disk.total) * size;
                PoolDisk(disk.name.to_string(), disk.pvid.to_string(), megabytes.to_string())
            };
            group.disks.into_iter().map(row)
        });
        print(invocation.output, &fields, disks, delimiter.as_ref())?;
    } else {
        let fields = chosen(FIELDS, &["pool", "size", "free", "alloc", "bds", "type"], parsed)?;
        let pools = pools(invocation, name)?;
        print(invocation.output, &fields, pools, delimiter.as_ref())?;
    }
    Ok(0)
}

pub(crate) static MAKE: ViosCommand = ViosCommand {
    name: "mksp",
    usage: "mksp [-f] StoragePool PhysicalVolume ...
mksp -fb FilePool [-sp ParentStoragePool] -size Size",
    summary: "Creates a storage pool, of physical volumes or of files in another pool.",
    options: &[("f", Takes::Nothing), ("fb", Takes::One), ("sp", Takes::One), ("size", Takes::One)],
    forms: &[form_with(&[], &[], &["f"], (2, MANY)), form(&["fb"], &[&["size"]], &["sp"])],
    changes: true,
    run: |invocation, parsed| {
        if let Some(name) = parsed.get("fb") {
            let change = ViosChange::CreateFilePool {
                name: name.to_owned(),
                parent: parsed.get("sp").map(str::to_owned),
                megabytes: size(parsed.get("size").unwrap_or_default())?,
            };
            let done = invocation.change(change)?;
            writeln!(invocation.output, "{name}\nFile system created successfully.")?;
            invocation.print_notes(&done)?;
            return Ok(0);
        }
        let (name, disks) = parsed.operands.split_first().ok_or_else(confused)?;
        print_name(
            invocation,
            ViosChange::CreateVolumeGroup {
                name: Some(name.clone()),
                disks: disks.to_vec(),
                force: parsed.has("f"),
            },
        )
    },
};

pub(crate) static CHANGE: ViosCommand = ViosCommand {
    name: "chsp",
    usage: "chsp -add [-f] [-sp StoragePool] PhysicalVolume ...
chsp -add [-sp FilePool] -size Size
chsp -rm -f [-sp StoragePool] PhysicalVolume ...
chsp -default StoragePool",
    summary: "Adds physical volumes or space to a storage pool, takes physical volumes out, or makes a pool the default one.",
    options: &[
        ("add", Takes::Nothing),
        ("rm", Takes::Nothing),
        ("f", Takes::Nothing),
        ("sp", Takes::One),
        ("size", Takes::One),
        ("default", Takes::One),
    ],
    forms: &[
        form_with(&["add"], &[], &["f", "sp"], (1, MANY)),
        form(&["add", "size"], &[], &["sp"]),
        form_with(&["rm", "f"], &[], &["sp"], (1, MANY)),
        form(&["default"], &[], &[]),
    ],
    changes: true,
    run: |invocation, parsed| {
        if let Some(name) = parsed.get("default") {
            return invocation.change_silently(ViosChange::DefaultPool(name.to_owned()));
        }
        let name = pool(invocation, parsed.get("sp"))?.name;
        let (disks, force) = (parsed.operands.clone(), parsed.has("f"));
        invocation.change_silently(match parsed.get("size") {
            Some(text) => ViosChange::GrowFilePool { name, megabytes: size(text)? },
            None if parsed.has("add") => ViosChange::ExtendVolumeGroup { name, disks, force },
            None => ViosChange::ReduceVolumeGroup { name, disks, force },
        })
    },
};

pub(crate) static REMOVE: ViosCommand = ViosCommand {
    name: "rmsp",
    usage: "rmsp [-f] StoragePool",
    summary: "Removes a storage pool; with -f also what is in it.",
    options: &[("f", Takes::Nothing)],
    forms: &[form_with(&[], &[], &["f"], (1, 1))],
    changes: true,
    run: |invocation, parsed| {
        let name = parsed.operands.first().ok_or_else(confused)?.clone();
        invocation.change_silently(ViosChange::RemovePool { name, force: parsed.has("f") })
    },
};

pub(crate) static MAKE_BACKING: ViosCommand = ViosCommand {
    name: "mkbdsp",
    usage: "mkbdsp [-sp StoragePool] Size -bd BackingDevice
mkbdsp [-sp StoragePool] [Size] -bd BackingDevice
              -vadapter ServerVirtualSCSIAdapter [-tn TargetName]
mkbdsp [-sp StoragePool] Size -vadapter ServerVirtualSCSIAdapter [-tn TargetName]
mkbdsp -clustername ClusterName -sp StoragePool Size -bd LogicalUnit",
    summary: "Creates a backing device in a storage pool, serves one to a client, or both.",
    options: &[
        ("sp", Takes::One),
        ("bd", Takes::One),
        ("vadapter", Takes::One),
        ("tn", Takes::One),
        ("clustername", Takes::One),
    ],
    forms: &[
        form_with(&["bd"], &[], &["sp"], (1, 1)),
        form_with(&["vadapter"], &[], &["sp", "tn"], (1, 1)),
        form_with(&["bd", "vadapter"], &[], &["sp", "tn"], (0, 1)),
        form_with(&["clustername"], &[&["sp"]], &["bd", "vadapter", "tn"], (0, 1)),
    ],
    changes: true,
    run: make_backing,
};

fn make_backing(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    not_clustered(parsed, "mkbdsp")?;
    let pool = pool(invocation, parsed.get("sp"))?;
    let megabytes = match parsed.operands.first() {
        // A pool of logical volumes also takes a number of physical partitions.
        Some(text) => Some(match megabytes(text)? {
            Some(size) => size,
            None if pool.kind == PoolKind::LogicalVolume => {
                let partitions: u64 =
                    text.parse().map_err(|_| refused(ViosMessage::ArgumentInvalid, text))?;
                let size = partitions.checked_mul(pool.allocation_megabytes).filter(|size| *size > 0);
                size.ok_or_else(|| refused(ViosMessage::ArgumentInvalid, text))?
            }
            None => return Err(refused(ViosMessage::ArgumentInvalid, text).into()),
        }),
        None => None,
    };
    let adapter = parsed.get("vadapter").map(by_name);
    let (made, served) = (megabytes.is_some(), adapter.is_some());
    let done = invocation.change(ViosChange::CreateBackingDevice(BackingRequest {
        pool: parsed.get("sp").map(str::to_owned),
        name: parsed.get("bd").map(str::to_owned),
        megabytes,
        adapter,
        target: parsed.get("tn").map(str::to_owned),
    }))?;
    let name = done.name.clone().or_else(|| parsed.get("bd").map(str::to_owned)).unwrap_or_default();
    let kind = if pool.kind == PoolKind::File { "file" } else { "logical volume" };
    if made {
        writeln!(invocation.output, "Creating {kind} \"{name}\" in storage pool \"{}\".", pool.name)?;
    }
    if served {
        writeln!(invocation.output, "Assigning {kind} \"{name}\" as a backing device.")?;
    }
    invocation.print_done(&done)?;
    Ok(0)
}

pub(crate) static CHANGE_BACKING: ViosCommand = ViosCommand {
    name: "chbdsp",
    usage: "chbdsp [-sp StoragePool] -bd BackingDevice -size Size
chbdsp [-sp StoragePool] -bd BackingDevice -mv NewName",
    summary: "Makes a backing device larger by a size.",
    options: &[("sp", Takes::One), ("bd", Takes::One), ("size", Takes::One), ("mv", Takes::One)],
    forms: &[form(&["size"], &[&["bd"]], &["sp"]), form(&["mv"], &[&["bd"]], &["sp"])],
    changes: true,
    run: |invocation, parsed| {
        let Some(text) = parsed.get("size") else {
            return Err(refused(ViosMessage::NotSupported, "chbdsp -mv").into());
        };
        let change = ViosChange::GrowBackingDevice {
            pool: parsed.get("sp").map(str::to_owned),
            name: parsed.get("bd").unwrap_or_default().to_owned(),
            megabytes: size(text)?,
        };
        invocation.change_silently(change)
    },
};

pub(crate) static REMOVE_BACKING: ViosCommand = ViosCommand {
    name: "rmbdsp",
    usage: "rmbdsp [-sp StoragePool] -bd BackingDevice [-f]
rmbdsp -vtd VirtualTargetDevice [-savebd] [-f]
rmbdsp -clustername ClusterName -sp StoragePool -bd LogicalUnit",
    summary: "Removes a backing device from its storage pool, with its virtual target device.",
    options: &[
        ("sp", Takes::One),
        ("bd", Takes::One),
        ("vtd", Takes::One),
        ("savebd", Takes::Nothing),
        ("f", Takes::Nothing),
        ("clustername", Takes::One),
    ],
    forms: &[
        form(&["bd"], &[], &["sp", "f"]),
        form(&["vtd"], &[], &["savebd", "f"]),
        form(&["clustername"], &[&["sp"]], &["bd"]),
    ],
    changes: true,
    run: |invocation, parsed| {
        not_clustered(parsed, "rmbdsp")?;
        let named = parsed.get("bd").map(|name| BackingSelector::Name(name.to_owned()));
        let served = || parsed.get("vtd").map(|name| BackingSelector::Target(name.to_owned()));
        let change = ViosChange::RemoveBackingDevice {
            pool: parsed.get("sp").map(str::to_owned),
            device: named.or_else(served).ok_or_else(confused)?,
            keep: parsed.has("savebd"),
        };
        invocation.change_and_print(change)
    },
};
