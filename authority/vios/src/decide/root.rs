//! The volume group that the server is installed in, and marks of volume groups on disks.

use varan_model::vios::{DeviceKind, DeviceName, DiskHeader};

use super::{Draft, Effect, Facts, Prepare, device, disk_of, volume};
use crate::settings::ROOT_GROUP;
use crate::world::{Change, Group, GroupDisk};

/// Name, type, mount point and size in MB of what an installation makes. Names and order are AIX's; sizes are those of an
/// installed server, as far as the disk has room (unverified).
const VOLUMES: [(&str, &str, &str, u64); 13] = [
    ("hd5", "boot", "", 32),
    ("hd6", "paging", "", 512),
    ("paging00", "paging", "", 1_024),
    ("hd8", "jfs2log", "", 4),
    ("hd4", "jfs2", "/", 256),
    ("hd2", "jfs2", "/usr", 2_304),
    ("hd9var", "jfs2", "/var", 640),
    ("hd3", "jfs2", "/tmp", 4_608),
    ("hd1", "jfs2", "/home", 10_240),
    ("hd10opt", "jfs2", "/opt", 3_072),
    ("hd11admin", "jfs2", "/admin", 128),
    ("livedump", "jfs2", "/var/adm/ras/livedump", 256),
    ("lg_dumplv", "sysdump", "", 1_024),
];

/// Makes the root volume group on the disk that the server is installed on, where there is none yet.
pub(super) fn install(draft: &mut Draft, facts: &Facts<'_>) {
    if draft.world.groups.contains(&ROOT_GROUP.to_owned()) {
        return;
    }
    let Some(found) = &facts.found else { return };
    let boot = found.local.iter().find(|(disk, header)| disk.boot && header.is_some());
    let Some((disk, Some(before))) = boot else { return };
    let Some(udid) = draft.world.units.get(&super::discovery::local_udid(&disk.location)) else { return };
    let Some(device) = draft.world.devices.get(udid).cloned() else { return };
    let identifier = before.identifier.unwrap_or_else(|| device::new_identifier(facts, 0));
    let size = volume::partition_size(disk.megabytes);
    let total = u32::try_from(disk.megabytes.saturating_sub(1) / size).unwrap_or(u32::MAX);
    let group = Group {
        name: ROOT_GROUP.to_owned(),
        identifier: volume::new_group_identifier(facts),
        partition_megabytes: size,
        disks: vec![GroupDisk { pvid: identifier, name: device.name.clone(), total, free: vec![(0, total)] }],
        volumes: Vec::new(),
        next_number: 1,
    };
    let mark = volume::mark_of(draft, &group);
    let header = DiskHeader { identifier: Some(identifier), group: Some(mark) };
    draft.prepare.push(Prepare::Header { disk: device.name.clone(), header, before: *before });
    let mut next = (*device).clone();
    if let varan_model::vios::DeviceDetail::Disk(disk) = &mut next.detail {
        disk.pvid = Some(identifier);
    }
    draft.put_device(next);
    draft.change(Change::PutGroup(Box::new(group)));
    // What does not fit gets its share of the disk, at least one partition.
    let wanted: u64 = VOLUMES.iter().map(|(_, _, _, megabytes)| megabytes.div_ceil(size)).sum();
    let room = u64::from(total) * 3 / 4;
    for (name, kind, mount_point, megabytes) in VOLUMES {
        let mut count = megabytes.div_ceil(size);
        if wanted > room {
            count = (count * room / wanted).max(1);
        }
        let new = volume::NewVolume {
            name,
            kind,
            mount_point: mount_point.to_owned(),
            open: kind != "boot",
            count: u32::try_from(count).unwrap_or(u32::MAX),
            disks: &[],
        };
        // On a disk that is smaller than the partitions that must be, the last ones are missing.
        if volume::add(draft, ROOT_GROUP, new).is_err() {
            break;
        }
    }
}

/// Marks that a crash left: a group of ours on a disk that is in none goes, one that is missing comes back.
pub(super) fn mark_groups(draft: &mut Draft, facts: &Facts<'_>) {
    let Some(found) = &facts.found else { return };
    let san = found.headers.iter().map(|(udid, header)| (udid.as_str().to_owned(), *header));
    let local = found
        .local
        .iter()
        .filter_map(|(disk, header)| Some((super::discovery::local_udid(&disk.location), (*header)?)));
    let all: Vec<(String, DiskHeader)> = san.chain(local).collect();
    for (udid, header) in all {
        let Some(device) = draft.world.units.get(&udid).and_then(|name| draft.world.devices.get(name)) else {
            continue;
        };
        let Some(disk) = disk_of(device) else { continue };
        let name = device.name.clone();
        let pvid = disk.pvid;
        let group = pvid.and_then(|pvid| draft.world.group_of.get(&pvid.0)).cloned();
        let group = group.and_then(|name| draft.world.groups.get(&name).cloned());
        let right = group.as_ref().map(|group| volume::mark_of(draft, group));
        let installs =
            draft.prepare.iter().any(|step| matches!(step, Prepare::Header { disk, .. } if *disk == name));
        let ours = header.group.is_some_and(|mark| mark.author == draft.author);
        if installs || header.group == right || (right.is_none() && !ours) {
            continue;
        }
        let header = DiskHeader { identifier: pvid, group: right };
        draft.effects.push(Effect::Header { disk: name, header });
    }
    // The disks of volume groups are opened when the groups are varied on.
    let groups: Vec<DeviceName> = draft
        .world
        .groups
        .values()
        .flat_map(|group| group.disks.iter())
        .filter_map(|member| draft.world.identifiers.get(&member.pvid.0))
        .filter_map(|name| draft.world.devices.get(name))
        .filter(|device| device.kind == DeviceKind::FibreChannelDisk)
        .map(|device| device.name.clone())
        .collect();
    for disk in groups {
        draft.effects.push(Effect::Reserve(disk));
    }
}
