//! Volume groups and logical volumes: physical partitions of real disks.

use std::sync::Arc;

use varan_contract::vios::{DeviceOutcome, DeviceSelector, LogicalVolumeSize};
use varan_model::site::PhysicalVolumeIdentifier;
use varan_model::vios::header::PARTITIONS_START;
use varan_model::vios::{
    Backing, Device, DeviceDetail, DeviceKind, DeviceName, DeviceState, DiskHeader, Extent, GroupMark,
    ViosMessage, ViosRefusal,
};

use super::{Draft, Effect, Facts, Prepare, Refused, device, disk_of, refuse, target};
use crate::settings::ROOT_GROUP;
use crate::world::{Change, Group, GroupDisk, Snapshot, Volume};

/// Longest name of a volume group or logical volume.
const NAME_MAX: usize = 15;
/// Physical partitions of a disk in an ordinary volume group: the size of a partition follows from it.
const PARTITIONS_OF_A_DISK: u64 = 1_016;

pub(super) fn group(world: &Snapshot, name: &str) -> Result<Arc<Group>, ViosRefusal> {
    let unknown = || refuse(ViosMessage::VolumeGroupUnknown).with(name);
    world.groups.get(&name.to_owned()).cloned().ok_or_else(unknown)
}

pub(super) fn logical_volume(world: &Snapshot, name: &str) -> Result<Arc<Volume>, ViosRefusal> {
    let unknown = || refuse(ViosMessage::LogicalVolumeUnknown).with(name);
    world.volumes.get(&name.to_owned()).cloned().ok_or_else(unknown)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && name.len() <= NAME_MAX
}

/// Size of a physical partition for disks of which the largest has so many MB: the smallest power of two, from 4 MB, with
/// which it has no more partitions than an ordinary volume group allows.
pub(super) fn partition_size(megabytes: u64) -> u64 {
    let mut size = 4;
    while megabytes / size > PARTITIONS_OF_A_DISK {
        size *= 2;
    }
    size
}

/// An identifier of the form that AIX makes: machine, a constant, moment.
pub(super) fn new_group_identifier(facts: &Facts<'_>) -> u128 {
    let random = facts.random;
    let machine = (random >> 96 & 0x00FF_FFFF) << 96;
    machine | 0x0000_4C00_u128 << 64 | 0x0000_0100_u128 << 32 | random & 0x00FF_FFFF_FFFF
}

/// Physical partitions of a disk.
fn partitions_of(megabytes: u64, size: u64) -> u32 {
    let usable = megabytes.saturating_sub(PARTITIONS_START >> 20);
    u32::try_from(usable / size).unwrap_or(u32::MAX)
}

/// A disk that is to join a volume group: its device, its identifier from now on, and its first block as it is.
struct Candidate {
    device: Arc<Device>,
    pvid: PhysicalVolumeIdentifier,
    before: DiskHeader,
    megabytes: u64,
}

fn candidate(world: &Snapshot, name: &str, force: bool, facts: &Facts<'_>) -> Result<Candidate, ViosRefusal> {
    let unknown = || refuse(ViosMessage::DiskUnknown).with(name);
    let device = world.device(name).cloned().ok_or_else(unknown)?;
    let disk = disk_of(&device).ok_or_else(unknown)?;
    if device.state != DeviceState::Available {
        return Err(refuse(ViosMessage::DeviceNotAvailable).with(name));
    }
    if world.group_of_disk(&device).is_some() {
        return Err(refuse(ViosMessage::DiskInActiveGroup));
    }
    if !world.targets_on(&Backing::Disk(device.name.clone())).is_empty() {
        return Err(refuse(ViosMessage::BackingInUse).with(name));
    }
    let before = device::header_of(facts, &device.name)?;
    if before.group.is_some() && !force {
        return Err(refuse(ViosMessage::DiskTaken).with(name));
    }
    let salt = device.name.parts().1.unwrap_or(0);
    let pvid = before.identifier.unwrap_or_else(|| device::new_identifier(facts, u64::from(salt)));
    let megabytes = disk.megabytes;
    Ok(Candidate { device, pvid, before, megabytes })
}

fn join(draft: &mut Draft, group: &mut Group, candidate: &Candidate, command: &str) -> Refused {
    let total = partitions_of(candidate.megabytes, group.partition_megabytes);
    if total == 0 {
        return Err(refuse(ViosMessage::NoFreePartitions));
    }
    let name = candidate.device.name.clone();
    target::reserve(draft, &candidate.device);
    let header = DiskHeader { identifier: Some(candidate.pvid), group: Some(mark_of(draft, group)) };
    draft.prepare.push(Prepare::Header { disk: name.clone(), header, before: candidate.before });
    let mut next = (*candidate.device).clone();
    if let DeviceDetail::Disk(disk) = &mut next.detail {
        if disk.pvid != Some(candidate.pvid) {
            draft.done.notes.push(format!("0516-1254 {command}: Changing the PVID in the ODM. "));
        }
        disk.pvid = Some(candidate.pvid);
    }
    draft.put_device(next);
    group.disks.push(GroupDisk { pvid: candidate.pvid, name, total, free: vec![(0, total)] });
    Ok(())
}

pub(super) fn mark_of(draft: &Draft, group: &Group) -> GroupMark {
    GroupMark {
        identifier: group.identifier,
        author: draft.author,
        partition_megabytes: u32::try_from(group.partition_megabytes).unwrap_or(u32::MAX),
    }
}

pub(super) fn create_group(
    draft: &mut Draft,
    name: Option<&str>,
    disks: &[String],
    force: bool,
    facts: &Facts<'_>,
) -> Refused {
    let taken = |name: &String| {
        draft.world.groups.contains(name)
            || draft.world.pools.contains(name)
            || draft.world.device(name).is_some()
    };
    let name = match name {
        Some(name) if !is_name(name) => return Err(refuse(ViosMessage::LogicalVolumeNameInvalid).with(name)),
        Some(name) => name.to_owned(),
        None => (0..).map(|number| format!("vg{number:02}")).find(|name| !taken(name)).unwrap_or_default(),
    };
    if taken(&name) {
        return Err(refuse(ViosMessage::VolumeGroupExists));
    }
    let mut candidates = Vec::new();
    for disk in disks {
        let next = candidate(&draft.world, disk, force, facts)?;
        if !candidates.iter().any(|other: &Candidate| other.device.name == next.device.name) {
            candidates.push(next);
        }
    }
    let largest = candidates.iter().map(|candidate| candidate.megabytes).max().unwrap_or(0);
    let mut group = Group {
        name: name.clone(),
        identifier: new_group_identifier(facts),
        partition_megabytes: partition_size(largest),
        disks: Vec::new(),
        volumes: Vec::new(),
        next_number: 1,
    };
    for candidate in &candidates {
        join(draft, &mut group, candidate, "mkvg")?;
    }
    draft.change(Change::PutGroup(Box::new(group)));
    draft.done.name = Some(name);
    Ok(())
}

pub(super) fn extend_group(
    draft: &mut Draft,
    name: &str,
    disks: &[String],
    force: bool,
    facts: &Facts<'_>,
) -> Refused {
    let mut group = (*group(&draft.world, name)?).clone();
    for disk in disks {
        let candidate = candidate(&draft.world, disk, force, facts)?;
        if group.disks.iter().any(|other| other.pvid == candidate.pvid) {
            return Err(refuse(ViosMessage::DiskInActiveGroup));
        }
        join(draft, &mut group, &candidate, "extendvg")?;
        draft.change(Change::PutGroup(Box::new(group.clone())));
    }
    draft.done.name = Some(name.to_owned());
    Ok(())
}

/// Takes disks out of a group; the group goes with its last one.
pub(super) fn reduce_group(draft: &mut Draft, name: &str, disks: &[String], force: bool) -> Refused {
    group(&draft.world, name)?;
    for disk in disks {
        let unknown = || refuse(ViosMessage::DiskUnknown).with(disk);
        let device = draft.world.device(disk).cloned().ok_or_else(unknown)?;
        let present = group(&draft.world, name).map_err(|_| refuse(ViosMessage::NotInVolumeGroup))?;
        let pvid = disk_of(&device).and_then(|disk| disk.pvid);
        let member = present.disks.iter().find(|member| Some(member.pvid) == pvid).cloned();
        let member = member.ok_or_else(|| refuse(ViosMessage::NotInVolumeGroup))?;
        if member.free_count() < member.total {
            if !force {
                return Err(refuse(ViosMessage::DiskNotEmpty));
            }
            let on: Vec<String> = present
                .volumes
                .iter()
                .filter(|name| {
                    let volume = draft.world.volumes.get(*name);
                    volume
                        .is_some_and(|volume| volume.extents.iter().any(|extent| extent.disk == member.pvid))
                })
                .cloned()
                .collect();
            remove_all(draft, &on)?;
        }
        let mut next = (*group(&draft.world, name)?).clone();
        next.disks.retain(|other| other.pvid != member.pvid);
        if next.disks.is_empty() {
            draft.change(Change::RemoveGroup(name.to_owned()));
            if draft.world.own.default_pool == name {
                super::pool::default_to(draft, ROOT_GROUP);
            }
        } else {
            draft.change(Change::PutGroup(Box::new(next)));
        }
        let header = DiskHeader { identifier: pvid, group: None };
        draft.effects.push(Effect::Header { disk: device.name.clone(), header });
        device::release_if_unused(draft, &device.name);
    }
    draft.done.name = Some(name.to_owned());
    Ok(())
}

fn wanted(size: LogicalVolumeSize, partition_megabytes: u64) -> u32 {
    match size {
        LogicalVolumeSize::Partitions(count) => count,
        LogicalVolumeSize::Megabytes(megabytes) => {
            u32::try_from(megabytes.div_ceil(partition_megabytes)).unwrap_or(u32::MAX)
        }
    }
}

/// Takes partitions from the disks of a group in their order, each time the first free ones.
fn allocate(
    world: &Snapshot,
    group: &mut Group,
    mut count: u32,
    disks: &[String],
) -> Result<Vec<Extent>, ViosRefusal> {
    let mut pvids = Vec::new();
    for name in disks {
        let unknown = || refuse(ViosMessage::DiskUnknown).with(name);
        let device = world.device(name).ok_or_else(unknown)?;
        let pvid = disk_of(device).and_then(|disk| disk.pvid);
        let member = pvid.filter(|pvid| group.disks.iter().any(|disk| disk.pvid == *pvid));
        pvids.push(member.ok_or_else(|| refuse(ViosMessage::NotInVolumeGroup))?);
    }
    let full = || refuse(ViosMessage::NoFreePartitions);
    if count == 0 {
        return Err(refuse(ViosMessage::ArgumentInvalid).with(0));
    }
    let mut extents = Vec::new();
    for disk in group.disks.iter_mut().filter(|disk| pvids.is_empty() || pvids.contains(&disk.pvid)) {
        while count > 0 && !disk.free.is_empty() {
            let (first, free) = disk.free[0];
            let taken = free.min(count);
            extents.push(Extent { disk: disk.pvid, first, count: taken });
            count -= taken;
            if taken == free {
                disk.free.remove(0);
            } else {
                disk.free[0] = (first + taken, free - taken);
            }
        }
    }
    if count > 0 { Err(full()) } else { Ok(extents) }
}

fn give_back(group: &mut Group, extents: &[Extent]) {
    for extent in extents {
        let Some(disk) = group.disks.iter_mut().find(|disk| disk.pvid == extent.disk) else { continue };
        let place = disk.free.partition_point(|(first, _)| *first < extent.first);
        disk.free.insert(place, (extent.first, extent.count));
        let mut joined: Vec<(u32, u32)> = Vec::new();
        for (first, count) in disk.free.drain(..) {
            match joined.last_mut() {
                Some((start, length)) if *start + *length == first => *length += count,
                _ => joined.push((first, count)),
            }
        }
        disk.free = joined;
    }
}

/// What a logical volume is made as.
pub(super) struct NewVolume<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) mount_point: String,
    pub(super) open: bool,
    pub(super) count: u32,
    pub(super) disks: &'a [String],
}

pub(super) fn add(draft: &mut Draft, group_name: &str, new: NewVolume<'_>) -> Refused {
    let mut group = (*group(&draft.world, group_name)?).clone();
    let extents = allocate(&draft.world, &mut group, new.count, new.disks)?;
    let volume = Volume {
        name: new.name.to_owned(),
        group: group_name.to_owned(),
        kind: new.kind.to_owned(),
        partition_megabytes: group.partition_megabytes,
        extents,
        mount_point: new.mount_point,
        number: group.next_number,
        open: new.open,
    };
    group.volumes.push(new.name.to_owned());
    group.next_number += 1;
    draft.change(Change::PutGroup(Box::new(group)));
    draft.change(Change::PutVolume(Box::new(volume)));
    Ok(())
}

/// Whether a logical volume may get a name.
pub(super) fn check_name(world: &Snapshot, name: &str) -> Refused {
    if !is_name(name) {
        return Err(refuse(ViosMessage::LogicalVolumeNameInvalid).with(name));
    }
    let taken = world.volumes.contains(&name.to_owned()) || world.device(name).is_some();
    if taken || world.groups.contains(&name.to_owned()) {
        return Err(refuse(ViosMessage::VolumeGroupExists));
    }
    Ok(())
}

pub(super) fn create(
    draft: &mut Draft,
    group_name: &str,
    name: Option<&str>,
    kind: &str,
    size: LogicalVolumeSize,
    disks: &[String],
) -> Refused {
    let present = group(&draft.world, group_name)?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            let free = |name: &String| check_name(&draft.world, name).is_ok();
            (0..).map(|number| format!("lv{number:02}")).find(free).unwrap_or_default()
        }
    };
    check_name(&draft.world, &name)?;
    let count = wanted(size, present.partition_megabytes);
    let kind = if kind.is_empty() { "jfs" } else { kind };
    let new = NewVolume { name: &name, kind, mount_point: String::new(), open: false, count, disks };
    add(draft, group_name, new)?;
    draft.done.name = Some(name);
    Ok(())
}

pub(super) fn extend(draft: &mut Draft, name: &str, size: LogicalVolumeSize, disks: &[String]) -> Refused {
    let mut volume = (*logical_volume(&draft.world, name)?).clone();
    let mut group = (*group(&draft.world, &volume.group)?).clone();
    let count = wanted(size, group.partition_megabytes);
    let more = allocate(&draft.world, &mut group, count, disks)?;
    for extent in more {
        match volume.extents.last_mut() {
            Some(last) if last.disk == extent.disk && last.first + last.count == extent.first => {
                last.count += extent.count;
            }
            _ => volume.extents.push(extent),
        }
    }
    draft.change(Change::PutGroup(Box::new(group)));
    draft.change(Change::PutVolume(Box::new(volume)));
    draft.done.name = Some(name.to_owned());
    Ok(())
}

/// Removes logical volumes that nobody uses.
pub(super) fn remove_all(draft: &mut Draft, names: &[String]) -> Refused {
    for name in names {
        let volume = logical_volume(&draft.world, name)?;
        let targets = draft.world.targets_on(&Backing::LogicalVolume(name.clone())).to_vec();
        if volume.open || !volume.mount_point.is_empty() || !targets.is_empty() {
            return Err(refuse(ViosMessage::LogicalVolumeOpen).with(name));
        }
        drop_volume(draft, &volume);
    }
    Ok(())
}

/// Removes a logical volume that nothing is in any more.
pub(super) fn drop_volume(draft: &mut Draft, volume: &Volume) {
    if let Some(group) = draft.world.groups.get(&volume.group).cloned() {
        let mut group = (*group).clone();
        give_back(&mut group, &volume.extents);
        group.volumes.retain(|other| *other != volume.name);
        draft.change(Change::PutGroup(Box::new(group)));
    }
    draft.change(Change::RemoveVolume(volume.name.clone()));
    draft.outcome_of_volume(&volume.name);
}

impl Draft {
    fn outcome_of_volume(&mut self, name: &str) {
        if let Ok(name) = name.parse::<DeviceName>() {
            self.done.devices.push((name, DeviceOutcome::Deleted));
        }
    }
}

/// The disk device of a selector that is to be looked at, for questions.
pub(crate) fn disk_selected(world: &Snapshot, selector: &DeviceSelector) -> Result<Arc<Device>, ViosRefusal> {
    let device = super::find(world, selector)?;
    match device.kind {
        DeviceKind::FibreChannelDisk | DeviceKind::SasDisk => Ok(device),
        _ => Err(refuse(ViosMessage::DeviceWrongKind).with(&device.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_as_large_as_captured() {
        // A disk of 300 GB (286,102 MB) has 558 partitions of 512 MB.
        assert_eq!(partition_size(286_102), 512);
        assert_eq!(partitions_of(286_102, 512), 558);
        for (megabytes, size) in [(1, 4), (4_064, 4), (4_068, 8), (61_440, 64), (139_264, 256)] {
            assert_eq!(partition_size(megabytes), size, "{megabytes}");
        }
    }

    #[test]
    fn partitions_that_come_back_join_their_neighbours() {
        let pvid = PhysicalVolumeIdentifier(1);
        let name = DeviceName::numbered("hdisk", 0);
        let disk = GroupDisk { pvid, name, total: 10, free: vec![(4, 2)] };
        let mut group = Group {
            name: "vg".into(),
            identifier: 1,
            partition_megabytes: 4,
            disks: vec![disk],
            volumes: Vec::new(),
            next_number: 1,
        };
        let extent = |first, count| Extent { disk: pvid, first, count };
        give_back(&mut group, &[extent(8, 2), extent(0, 4)]);
        assert_eq!(group.disks[0].free, [(0, 6), (8, 2)]);
        give_back(&mut group, &[extent(6, 2)]);
        assert_eq!(group.disks[0].free, [(0, 10)]);
    }
}
